/* Speaking sessions of every architecture, on tiny models with random weights: the same samples alone, among others and in any
 * pieces, and an end whenever it is wanted. */
#include <sonant/sonant.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TINY TEST_SOURCE "/tests/fixtures/tiny/"
#define MAX_SAMPLES ((size_t)1 << 20)
#define SESSIONS 4

static const char *const models[] = {
	"vits-sdp", "yourtts", "speecht5", "fastspeech2-conformer-with-hifigan", "fastpitch-coqui", "bark", "tacotron2-coqui",
};
#define MODELS ((int)(sizeof models / sizeof *models))
static const char text[] = "Hello there. How are you today? Fine, thank you.";

static sn_engine *open_engine(void) {
	char err[SN_ERRLEN] = "";
	sn_engine *engine;
	const sn_engine_options options = { .threads = 2, .precision = SN_PRECISION_F32, .no_cache = 1 };
	if (sn_engine_open(&engine, &options, err) != SN_OK)
		fail_msg("%s", err);
	return engine;
}

static sn_model *load(sn_engine *engine, const char *name) {
	char err[SN_ERRLEN] = "", path[4096];
	sn_model *model;
	strcat(strcpy(path, TINY), name);
	if (sn_model_load(&model, engine, path, NULL, err) != SN_OK)
		fail_msg("%s", err);
	return model;
}

typedef struct speech {
	sn_tts *tts;
	float *pcm; /* [MAX_SAMPLES] */
	size_t count;
} speech;

static void begin(speech *s, sn_model *model, const sn_tts_options *options) {
	char err[SN_ERRLEN] = "";
	s->pcm = malloc(MAX_SAMPLES * sizeof *s->pcm);
	s->count = 0;
	if (sn_tts_open(&s->tts, model, options, err) != SN_OK)
		fail_msg("%s", err);
}

static void say(speech *s, const char *words, size_t size) {
	char err[SN_ERRLEN] = "";
	if (sn_tts_push(s->tts, words, size, err) != SN_OK)
		fail_msg("%s", err);
}

/* Takes one chunk; 0: the end. */
static int take(speech *s) {
	char err[SN_ERRLEN] = "";
	sn_audio audio;
	const int result = sn_tts_pull(s->tts, &audio, err);
	if (result == SN_END)
		return 0;
	if (result != SN_OK)
		fail_msg("%s", err);
	assert_true(audio.count > 0 && s->count + audio.count <= MAX_SAMPLES);
	memcpy(s->pcm + s->count, audio.pcm, audio.count * sizeof *audio.pcm);
	s->count += audio.count;
	return 1;
}

static void finish(speech *s) {
	assert_int_equal(sn_tts_finish(s->tts, NULL), SN_OK);
}

static void end(speech *s) {
	sn_tts_close(&s->tts);
	free(s->pcm);
}

static void expect_same(const speech *a, const speech *b) {
	assert_int_equal(a->count, b->count);
	assert_memory_equal(a->pcm, b->pcm, a->count * sizeof *a->pcm);
}

static void same_alone_among_others_and_in_pieces(void **state) {
	sn_engine *engine = open_engine();
	for (int m = 0; m < MODELS; m++) {
		sn_model *model = load(engine, models[m]);
		speech alone, all[SESSIONS];
		begin(&alone, model, &(sn_tts_options){ .seed = 3 });
		say(&alone, text, sizeof text - 1);
		finish(&alone);
		while (take(&alone))
			;
		assert_true(alone.count > 0);
		for (int i = 0; i < SESSIONS; i++) {
			begin(&all[i], model, &(sn_tts_options){ .seed = 3, .priority = i % 2 ? SN_PRIORITY_BATCH : SN_PRIORITY_REALTIME });
			for (size_t at = 0; at < sizeof text - 1; at++)
				say(&all[i], text + at, 1);
			finish(&all[i]);
		}
		for (int more = 1; more;) {
			more = 0;
			for (int i = 0; i < SESSIONS; i++)
				more |= take(&all[i]);
		}
		for (int i = 0; i < SESSIONS; i++) {
			expect_same(&all[i], &alone);
			end(&all[i]);
		}
		sn_speech facts;
		sn_tts_result(alone.tts, &facts);
		assert_int_equal(facts.samples, alone.count);
		assert_true(facts.first_audio > 0 && facts.first_audio <= facts.processing_time);
		end(&alone);
		sn_model_release(&model);
	}
	sn_engine_close(&engine);
}

static void pauses_are_silence_between_sentences(void **state) {
	sn_engine *engine = open_engine();
	for (int m = 0; m < MODELS; m++) {
		sn_model *model = load(engine, models[m]);
		speech plain, paused;
		sn_speech facts;
		begin(&plain, model, NULL);
		begin(&paused, model, &(sn_tts_options){ .pause = 0.5f });
		say(&plain, text, sizeof text - 1);
		say(&paused, text, sizeof text - 1);
		finish(&plain);
		finish(&paused);
		while (take(&plain))
			;
		while (take(&paused))
			;
		sn_tts_result(paused.tts, &facts);
		assert_true(facts.sentences > 1);
		assert_int_equal(paused.count - plain.count, (size_t)(facts.sentences - 1) * (size_t)facts.sample_rate / 2);
		end(&plain);
		end(&paused);
		sn_model_release(&model);
	}
	sn_engine_close(&engine);
}

static void sessions_end_when_they_are_cancelled_or_closed(void **state) {
	sn_engine *engine = open_engine();
	for (int m = 0; m < MODELS; m++) {
		sn_model *model = load(engine, models[m]);
		speech cancelled, closed;
		sn_audio audio;
		begin(&cancelled, model, NULL);
		begin(&closed, model, NULL);
		for (int i = 0; i < 20; i++)
			say(&cancelled, text, sizeof text - 1);
		say(&closed, text, sizeof text - 1);
		finish(&closed);
		take(&closed);
		sn_model_release(&model); /* the sessions hold it */
		end(&closed);
		sn_tts_cancel(cancelled.tts);
		assert_int_equal(sn_tts_pull(cancelled.tts, &audio, NULL), SN_E_CANCELLED);
		assert_int_equal(sn_tts_push(cancelled.tts, text, 5, NULL), SN_E_CANCELLED);
		end(&cancelled);
	}
	sn_engine_close(&engine);
}

static void vocoders_are_chosen_and_named(void **state) {
	char err[SN_ERRLEN] = "";
	sn_engine *engine = open_engine();
	sn_model *model = load(engine, "speecht5"), *vits = load(engine, "vits-sdp");
	sn_tts *tts;
	sn_speech facts;
	static const struct { const char *asked, *taken; } good[] = {
		{ NULL, "speecht5-hifigan" }, { "", "speecht5-hifigan" }, { "default", "speecht5-hifigan" }, { "griffin-lim", "griffin-lim" },
		{ TINY "speecht5-hifigan", "speecht5-hifigan" },
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(sn_tts_open(&tts, model, &(sn_tts_options){ .vocoder = good[i].asked }, err), SN_OK);
		sn_tts_result(tts, &facts);
		assert_string_equal(facts.vocoder, good[i].taken);
		sn_tts_close(&tts);
	}
	assert_int_equal(sn_tts_open(&tts, model, &(sn_tts_options){ .vocoder = TINY "melgan" }, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "melgan"));
	assert_non_null(strstr(err, "speecht5"));
	assert_null(tts);
	assert_int_equal(sn_tts_open(&tts, model, &(sn_tts_options){ .vocoder = TINY "vits-sdp" }, err), SN_E_UNSUPPORTED);
	assert_int_equal(sn_tts_open(&tts, model, &(sn_tts_options){ .vocoder = TINY "nothing" }, err), SN_E_NOT_FOUND);
	assert_int_equal(sn_tts_open(&tts, vits, &(sn_tts_options){ .vocoder = "griffin-lim" }, err), SN_E_UNSUPPORTED);
	sn_model_release(&vits);
	sn_model_release(&model);
	sn_engine_close(&engine);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_alone_among_others_and_in_pieces), cmocka_unit_test(pauses_are_silence_between_sentences),
		cmocka_unit_test(sessions_end_when_they_are_cancelled_or_closed), cmocka_unit_test(vocoders_are_chosen_and_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
