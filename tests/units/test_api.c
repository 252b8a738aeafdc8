/* The C API on tiny models with random weights: what they write means nothing, but it must be the same whoever asks and however.
 * */
#include <sonant/sonant.h>

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define WHISPER TEST_SOURCE "/tests/fixtures/tiny/whisper"
#define VITS TEST_SOURCE "/tests/fixtures/tiny/vits-sdp"
#define SECONDS 65
#define SAMPLES ((size_t)SECONDS * SN_STT_RATE)

static float *noise; /* [SAMPLES] */
static const sn_stt_options plain = { .vad = SN_OFF, .beam = 1, .language = "en", .fallback = SN_OFF, .guards = SN_OFF };

static int setup(void **state) {
	uint32_t x = 1;
	noise = malloc(SAMPLES * sizeof *noise);
	for (size_t i = 0; i < SAMPLES; i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = 0.2f * sinf((float)i * (0.01f + 1e-7f * (float)(i % 50000))) + ((float)(x >> 8) / 16777216.0f - 0.5f) * 0.1f;
	}
	return noise ? 0 : -1;
}

static int teardown(void **state) {
	free(noise);
	return 0;
}

static sn_engine *open_engine(int threads) {
	char err[SN_ERRLEN] = "";
	sn_engine *engine;
	const sn_engine_options options = { .threads = threads, .precision = SN_PRECISION_F32, .no_cache = 1 };
	if (sn_engine_open(&engine, &options, err) != SN_OK)
		fail_msg("%s", err);
	return engine;
}

static sn_model *load(sn_engine *engine, const char *path) {
	char err[SN_ERRLEN] = "";
	sn_model *model;
	if (sn_model_load(&model, engine, path, NULL, err) != SN_OK)
		fail_msg("%s", err);
	return model;
}

/* The transcript without its times of day. */
static char *written(sn_transcript *t) {
	char *text, err[SN_ERRLEN];
	t->processing_time = 0;
	assert_int_equal(sn_transcript_format(&text, NULL, t, "verbose_json", NULL, err), SN_OK);
	sn_transcript_free(&t);
	return text;
}

static char *transcribe(sn_model *model, size_t samples, const sn_stt_options *options) {
	char err[SN_ERRLEN] = "";
	sn_transcript *t;
	if (sn_transcribe_pcm(&t, model, noise, samples, options, err) != SN_OK)
		fail_msg("%s", err);
	return written(t);
}

static void same_for_any_number_of_threads(void **state) {
	char *first = NULL;
	for (int threads = 1; threads <= 4; threads *= 2) {
		sn_engine *engine = open_engine(threads);
		sn_model *model = load(engine, WHISPER);
		const sn_stt_options beam = { .vad = SN_OFF, .beam = 3 };
		char *text = transcribe(model, SAMPLES, &beam);
		assert_true(!first || strcmp(first, text) == 0);
		if (first)
			free(text);
		else
			first = text;
		sn_model_release(&model);
		sn_engine_close(&engine);
	}
	free(first);
}

typedef struct caller {
	pthread_t thread;
	sn_model *model;
	size_t samples;
	char *text;
} caller;

static void *call(void *payload) {
	caller *c = payload;
	char err[SN_ERRLEN];
	sn_transcript *t;
	c->text = sn_transcribe_pcm(&t, c->model, noise, c->samples, &plain, err) == SN_OK ? written(t) : NULL;
	return NULL;
}

static void same_alone_and_among_others(void **state) {
	enum { CALLERS = 6 };
	caller callers[CALLERS];
	sn_engine *engine = open_engine(2);
	sn_model *model = load(engine, WHISPER);
	for (int i = 0; i < CALLERS; i++) {
		callers[i] = (caller){ .model = model, .samples = SAMPLES / (size_t)(i + 1) };
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
	}
	for (int i = 0; i < CALLERS; i++)
		pthread_join(callers[i].thread, NULL);
	for (int i = 0; i < CALLERS; i++) {
		char *alone = transcribe(model, callers[i].samples, &plain);
		assert_non_null(callers[i].text);
		assert_string_equal(callers[i].text, alone);
		free(alone);
		free(callers[i].text);
	}
	sn_model_release(&model);
	sn_engine_close(&engine);
}

/* Pushes pieces of `chunk` samples and returns the texts of all segments. */
static char *stream(sn_model *model, size_t chunk) {
	char err[SN_ERRLEN] = "", *all = calloc(1, 1 << 16);
	sn_stt *stt;
	sn_event event;
	int code;
	assert_int_equal(sn_stt_open(&stt, model, &plain, err), SN_OK);
	for (size_t at = 0; at < SAMPLES; at += chunk) {
		size_t count = SAMPLES - at < chunk ? SAMPLES - at : chunk;
		while ((code = sn_stt_push(stt, noise + at, count, err)) == SN_AGAIN)
			while (sn_stt_pull(stt, &event, err) == SN_OK)
				strcat(all, event.kind == SN_EVENT_SEGMENT ? event.segment.text : "");
		assert_int_equal(code, SN_OK);
	}
	assert_int_equal(sn_stt_finish(stt, err), SN_OK);
	while ((code = sn_stt_pull(stt, &event, err)) == SN_OK)
		strcat(all, event.kind == SN_EVENT_SEGMENT ? event.segment.text : "");
	assert_int_equal(code, SN_END);
	assert_int_equal(sn_stt_pull(stt, &event, err), SN_END);
	sn_stt_close(&stt);
	assert_null(stt);
	return all;
}

static void same_in_any_pieces(void **state) {
	sn_engine *engine = open_engine(2);
	sn_model *model = load(engine, WHISPER);
	char *whole = stream(model, SAMPLES), *small = stream(model, 777);
	assert_true(*whole != 0);
	assert_string_equal(whole, small);
	free(whole);
	free(small);
	sn_model_release(&model);
	sn_engine_close(&engine);
}

static void short_and_silent_audio_is_explained(void **state) {
	static const float silence[SN_STT_RATE];
	char err[SN_ERRLEN] = "";
	sn_engine *engine = open_engine(1);
	sn_model *model = load(engine, WHISPER);
	for (size_t count = 0; count < 2; count++) {
		sn_transcript *t;
		assert_int_equal(sn_transcribe_pcm(&t, model, silence, count, &plain, err), SN_OK);
		assert_string_equal(t->text, "");
		assert_int_equal(t->note_count, 1);
		assert_string_equal(t->notes[0].code, count ? "too_short" : "no_audio");
		sn_transcript_free(&t);
	}
	sn_model_release(&model);
	sn_engine_close(&engine);
}

static void wrong_use_is_refused(void **state) {
	static const struct {
		sn_stt_options options;
		int code;
		const char *says;
	} cases[] = {
		{ { .language = "klingon" }, SN_E_ARGUMENT, "klingon" },
		{ { .language = "sw" }, SN_E_UNSUPPORTED, "sw" },
		{ { .task = "sing" }, SN_E_ARGUMENT, "sing" },
		{ { .beam = 99 }, SN_E_ARGUMENT, "99" },
		{ { .temperature = 3 }, SN_E_ARGUMENT, "3" },
		{ { .min_confidence = 2 }, SN_E_ARGUMENT, "2" },
		{ { .vad_settings.threshold = 7 }, SN_E_ARGUMENT, "7" },
		{ { .vad = 77 }, SN_E_ARGUMENT, "77 is none of sn_switch" },
	};
	char err[SN_ERRLEN];
	float bad[3] = { 0, NAN, 0 };
	sn_stt *stt;
	sn_tts *tts;
	sn_event event;
	sn_engine *engine = open_engine(1);
	sn_model *model = load(engine, WHISPER), *none;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(sn_stt_open(&stt, model, &cases[i].options, err), cases[i].code);
		assert_null(stt);
		assert_non_null(strstr(err, cases[i].says));
	}
	assert_int_equal(sn_stt_open(&stt, model, &(sn_stt_options){ .language = "", .vad = SN_OFF }, err), SN_OK); /* as "auto" */
	sn_stt_close(&stt);
	assert_int_equal(sn_tts_open(&tts, model, NULL, err), SN_E_UNSUPPORTED);
	assert_int_equal(sn_model_load(&none, engine, "no-such-model", NULL, err), SN_E_NOT_FOUND);
	assert_null(none);
	assert_int_equal(sn_model_load(&none, engine, WHISPER, &(sn_model_options){ .task = SN_TASK_SPEAK }, err), SN_E_UNSUPPORTED);
	assert_int_equal(sn_stt_open(&stt, model, &plain, err), SN_OK);
	assert_int_equal(sn_stt_pull(stt, &event, err), SN_OK); /* the language that was given */
	assert_int_equal(event.kind, SN_EVENT_LANGUAGE);
	assert_int_equal(sn_stt_pull(stt, &event, err), SN_AGAIN);
	assert_int_equal(sn_stt_push(stt, bad, 3, err), SN_E_FORMAT);
	assert_non_null(strstr(err, "sample 1"));
	assert_int_equal(sn_stt_push(stt, noise, SN_STT_MAX_PUSH + 1, err), SN_E_LIMIT);
	assert_int_equal(sn_stt_finish(stt, err), SN_OK);
	assert_int_equal(sn_stt_finish(stt, err), SN_E_CLOSED);
	assert_int_equal(sn_stt_push(stt, noise, 1, err), SN_E_CLOSED);
	sn_stt_close(&stt);
	sn_stt_close(&stt);
	sn_model_release(&model);
	sn_engine_close(&engine);
}

static void sessions_end_when_cancelled_or_closed(void **state) {
	char err[SN_ERRLEN];
	sn_event event;
	sn_stt *stt;
	sn_engine *engine = open_engine(2);
	sn_model *model = load(engine, WHISPER);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(sn_stt_open(&stt, model, &plain, err), SN_OK);
		assert_int_equal(sn_stt_push(stt, noise, SN_STT_MAX_PUSH / 2, err), SN_OK);
		usleep((useconds_t)(1000 * i));
		if (i % 2) {
			sn_stt_cancel(stt);
			assert_int_equal(sn_stt_push(stt, noise, 1, err), SN_E_CANCELLED);
			assert_int_equal(sn_stt_pull(stt, &event, err), SN_E_CANCELLED);
		}
		sn_stt_close(&stt);
	}
	char *text = transcribe(model, SAMPLES, &plain); /* and leave nothing taken */
	free(text);
	sn_engine_close(&engine); /* before the model, which keeps what it needs */
	sn_model_release(&model);
}

static float *speak(sn_model *model, const char *text, size_t step, const sn_tts_options *options, size_t *count) {
	char err[SN_ERRLEN] = "";
	sn_tts *tts;
	sn_audio audio;
	sn_speech facts;
	float *all = NULL;
	int code;
	*count = 0;
	assert_int_equal(sn_tts_open(&tts, model, options, err), SN_OK);
	for (size_t at = 0, size = strlen(text); at < size; at += step) {
		code = sn_tts_push(tts, text + at, size - at < step ? size - at : step, err);
		if (code != SN_OK)
			fail_msg("%s", err);
	}
	assert_int_equal(sn_tts_finish(tts, err), SN_OK);
	while ((code = sn_tts_pull(tts, &audio, err)) == SN_OK) {
		all = realloc(all, (*count + audio.count) * sizeof *all);
		memcpy(all + *count, audio.pcm, audio.count * sizeof *all);
		*count += audio.count;
	}
	assert_int_equal(code, SN_END);
	sn_tts_result(tts, &facts);
	assert_int_equal(facts.samples, *count);
	assert_true(fabs(facts.duration - (double)*count / facts.sample_rate) < 1e-6);
	sn_tts_close(&tts);
	return all;
}

static void speech_is_the_same_for_the_same_seed(void **state) {
	static const char text[] = "hello there. how are you today? fine.";
	float *first = NULL;
	size_t first_count = 0, count;
	for (int threads = 1; threads <= 4; threads *= 2) {
		sn_engine *engine = open_engine(threads);
		sn_model *model = load(engine, VITS);
		float *whole = speak(model, text, sizeof text, NULL, &count), *again = speak(model, text, 5, NULL, &first_count);
		assert_true(count > 0 && count == first_count);
		assert_memory_equal(whole, again, count * sizeof *whole);
		if (first)
			assert_memory_equal(first, whole, count * sizeof *whole);
		free(again);
		free(first);
		first = whole;
		if (threads == 1) {
			float *other = speak(model, text, sizeof text, &(sn_tts_options){ .seed = 7 }, &count);
			assert_true(count != first_count || memcmp(other, whole, count * sizeof *other) != 0);
			free(other);
			float *slow = speak(model, text, sizeof text, &(sn_tts_options){ .speed = 0.5f }, &count);
			assert_true((double)count > 1.4 * (double)first_count);
			free(slow);
		}
		sn_model_release(&model);
		sn_engine_close(&engine);
	}
	free(first);
}

static void unspeakable_text_is_refused(void **state) {
	static const struct {
		const char *text;
		int code;
	} cases[] = { { "", SN_E_ARGUMENT }, { "  \n", SN_E_ARGUMENT }, { "\xf0\x9f\x98\x80", SN_E_ARGUMENT }, { "\x01\x02",
		SN_E_ARGUMENT }, { "a\xff", SN_E_FORMAT } };
	char err[SN_ERRLEN], *big = malloc(1 << 20);
	void *data;
	size_t size;
	sn_engine *engine = open_engine(1);
	sn_model *model = load(engine, VITS);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(sn_speak_memory(&data, &size, model, cases[i].text, strlen(cases[i].text), NULL, NULL, NULL, err),
		                 cases[i].code);
		assert_null(data);
	}
	memset(big, 'a', 1 << 20);
	assert_int_equal(sn_speak_memory(&data, &size, model, big, 1 << 20, NULL, NULL, NULL, err), SN_E_LIMIT);
	assert_int_equal(sn_speak_memory(&data, &size, model, "a", 1, "jpeg", NULL, NULL, err), SN_E_ARGUMENT);
	assert_int_equal(sn_speak_memory(&data, &size, model, "a", 1, NULL, &(sn_tts_options){ .speed = 9 }, NULL, err),
	                 SN_E_ARGUMENT);
	assert_int_equal(sn_speak_memory(&data, &size, model, "a", 1, NULL, &(sn_tts_options){ .voice = "anna" }, NULL, err),
	                 SN_E_NOT_FOUND);
	free(big);
	sn_model_release(&model);
	sn_engine_close(&engine);
}

/* What the tokens of the segments write is their text. */
static void tokens_write_the_text(void **state) {
	char err[SN_ERRLEN], bytes[64], all[4096] = "";
	sn_transcript *t;
	sn_engine *engine = open_engine(1);
	sn_model *model = load(engine, WHISPER);
	assert_int_equal(sn_transcribe_pcm(&t, model, noise, 5 * SN_STT_RATE, &plain, err), SN_OK);
	assert_true(t->segment_count > 0);
	const sn_segment *const s = &t->segments[0];
	for (int i = 0; i < s->token_count; i++) {
		const size_t count = sn_model_token(model, s->tokens[i], bytes, sizeof bytes);
		assert_int_equal(strlen(bytes), count);
		strcat(all, bytes);
	}
	assert_true(strlen(s->text) > 0 && (strchr(s->text, '\xef') || strcmp(all, s->text) == 0)); /* U+FFFD: bytes of no character */
	assert_int_equal(sn_model_token(model, -1, bytes, sizeof bytes), 0);
	assert_int_equal(sn_model_token(model, 1 << 30, bytes, 0), 0);
	assert_string_equal(sn_language_name("de"), "german");
	assert_null(sn_language_name("xx"));
	sn_transcript_free(&t);
	sn_model_release(&model);
	sn_engine_close(&engine);
}

/* Names that strangers give open no files. */
static void names_may_be_kept_from_being_paths(void **state) {
	char err[SN_ERRLEN];
	sn_model *model;
	sn_engine *engine;
	assert_int_equal(sn_engine_open(&engine, &(sn_engine_options){ .threads = 1, .no_cache = 1, .no_paths = 1 }, err), SN_OK);
	assert_int_equal(sn_model_load(&model, engine, WHISPER, NULL, err), SN_E_NOT_FOUND);
	assert_int_equal(chdir(TEST_SOURCE "/tests/fixtures/tiny"), 0);
	assert_int_equal(sn_model_load(&model, engine, "whisper", NULL, err), SN_E_NOT_FOUND);
	assert_int_equal(sn_model_load(&model, engine, "./whisper", NULL, err), SN_E_NOT_FOUND);
	sn_engine_close(&engine);
}

static void models_are_shared_and_described(void **state) {
	sn_engine *engine = open_engine(1);
	sn_model *a = load(engine, WHISPER), *b = load(engine, WHISPER);
	sn_model_info info;
	assert_ptr_equal(a, b);
	sn_model_describe(a, &info);
	assert_string_equal(info.architecture, "whisper");
	assert_string_equal(info.precision, "f32");
	assert_int_equal(info.task, SN_TASK_TRANSCRIBE);
	assert_true(info.parameters > 0 && info.language_count == 3 && info.detects_language);
	sn_model_release(&a);
	assert_non_null(b);
	sn_model_release(&b);
	sn_engine_close(&engine);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_for_any_number_of_threads), cmocka_unit_test(same_alone_and_among_others),
			cmocka_unit_test(same_in_any_pieces),
		cmocka_unit_test(short_and_silent_audio_is_explained), cmocka_unit_test(wrong_use_is_refused),
		cmocka_unit_test(sessions_end_when_cancelled_or_closed), cmocka_unit_test(speech_is_the_same_for_the_same_seed),
		cmocka_unit_test(unspeakable_text_is_refused), cmocka_unit_test(models_are_shared_and_described), cmocka_unit_test(tokens_write_the_text),
		cmocka_unit_test(names_may_be_kept_from_being_paths),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
