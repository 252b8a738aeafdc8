/* Sessions that speak: SSML, text that is still being written, texts that end badly, sentences that are looked at. */
#include "test_text.h"

#include <math.h>
#include <unistd.h>

#define TINY TEST_SOURCE "/tests/fixtures/tiny/"

static sn_engine *engine;
static sn_model *model;

static int open_model(void **state) {
	char err[SN_ERRLEN] = "";
	const sn_engine_options options = { .threads = 2, .precision = SN_PRECISION_F32, .no_cache = 1 };
	if (sn_engine_open(&engine, &options, err) != SN_OK || sn_model_load(&model, engine, TINY "vits-sdp", NULL, err) != SN_OK)
		fail_msg("%s", err);
	return 0;
}

static int close_model(void **state) {
	sn_model_release(&model);
	sn_engine_close(&engine);
	return 0;
}

/* All that a session gave: samples, marks with their places. */
typedef struct speech {
	sn_tts *tts;
	float *pcm;
	size_t count;
	char marks[8][64];
	size_t places[8];
	int mark_count, chunks;
	char err[SN_ERRLEN];
} speech;
#define MAX_SAMPLES ((size_t)1 << 22)

static void begin(speech *s, const sn_tts_options *options) {
	*s = (speech){ .pcm = malloc(MAX_SAMPLES * sizeof(float)) };
	if (sn_tts_open(&s->tts, model, options, s->err) != SN_OK)
		fail_msg("%s", s->err);
}

static int push(speech *s, const char *text) { return sn_tts_push(s->tts, text, strlen(text), s->err); }

/* Pulls until something else than a chunk comes. */
static int drain(speech *s) {
	sn_audio audio;
	int result;
	while ((result = sn_tts_pull(s->tts, &audio, s->err)) == SN_OK) {
		assert_true(s->count + audio.count <= MAX_SAMPLES);
		if (audio.mark) {
			assert_true(audio.count == 0 && s->mark_count < 8);
			strcpy(s->marks[s->mark_count], audio.mark);
			s->places[s->mark_count++] = s->count;
			continue;
		}
		assert_true(audio.count > 0);
		memcpy(s->pcm + s->count, audio.pcm, audio.count * sizeof(float));
		s->count += audio.count;
		s->chunks++;
	}
	return result;
}

static void finish(speech *s) {
	if (sn_tts_finish(s->tts, s->err) != SN_OK)
		fail_msg("%s", s->err);
	assert_int_equal(drain(s), SN_END);
}

static void end(speech *s) {
	sn_tts_close(&s->tts);
	free(s->pcm);
}

static void say(speech *s, const char *text, const sn_tts_options *options) {
	begin(s, options);
	assert_int_equal(push(s, text), SN_OK);
	finish(s);
}

static sn_speech facts_of(const speech *s) {
	sn_speech facts;
	sn_tts_result(s->tts, &facts);
	return facts;
}

static int has_note(const sn_speech *facts, const char *code) {
	for (int i = 0; i < facts->note_count; i++)
		if (strcmp(facts->notes[i].code, code) == 0)
			return 1;
	return 0;
}

/* ---- SSML ---- */

static void plain_ssml_is_plain_text(void **state) {
	speech plain, ssml, literal;
	say(&plain, "Hello there. How are you?", NULL);
	say(&ssml, "<speak>\n\tHello   there.\n  How are you? </speak>", NULL);
	say(&literal, "<speak>Hello there. How are you?</speak>", &(sn_tts_options){ .ssml = SN_OFF });
	assert_int_equal(plain.count, ssml.count);
	assert_memory_equal(plain.pcm, ssml.pcm, plain.count * sizeof(float));
	assert_true(literal.count > plain.count);
	end(&plain);
	end(&ssml);
	end(&literal);
}

static void breaks_are_silence(void **state) {
	speech plain, with;
	say(&plain, "<speak><s>Hello there.</s><s>How are you?</s></speak>", NULL);
	say(&with, "<speak><s>Hello there.</s><break time='250ms'/><s>How are you?</s><break time='1s'/></speak>", NULL);
	const int rate = facts_of(&with).sample_rate;
	assert_int_equal(with.count - plain.count, rate / 4 + rate);
	for (size_t i = with.count - (size_t)rate; i < with.count; i++)
		assert_true(with.pcm[i] == 0);
	end(&plain);
	end(&with);
}

static void marks_are_reached_in_order(void **state) {
	speech s;
	say(&s, "<speak><mark name='begin'/>Hello there <mark name='inside'/> my old friend. <mark name='second'/>How are you?"
		"<mark name='last'/></speak>", NULL);
	static const char *const names[] = { "begin", "inside", "second", "last" };
	sn_speech facts = facts_of(&s);
	assert_int_equal(s.mark_count, 4);
	assert_int_equal(facts.mark_count, 4);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(s.marks[i], names[i]);
		assert_string_equal(facts.marks[i].name, names[i]);
		assert_true(fabs(facts.marks[i].time - (double)s.places[i] / facts.sample_rate) < 1e-6);
	}
	assert_int_equal(s.places[0], 0);
	assert_true(s.places[1] > 0 && s.places[1] < s.places[2]);
	assert_true(s.places[2] < s.places[3]);
	assert_int_equal(s.places[3], s.count);
	end(&s);
}

static void styles_change_what_is_heard(void **state) {
	speech plain, slow, soft;
	say(&plain, "<speak>Hello there.</speak>", NULL);
	say(&slow, "<speak><prosody rate='50%'>Hello there.</prosody></speak>", NULL);
	say(&soft, "<speak><prosody volume='-6.0206dB'>Hello there.</prosody></speak>", NULL);
	assert_true(slow.count > plain.count * 3 / 2);
	assert_int_equal(soft.count, plain.count);
	for (size_t i = 0; i < plain.count; i++)
		assert_true(fabsf(soft.pcm[i] - plain.pcm[i] / 2) < 1e-4f || fabsf(plain.pcm[i]) == 1);
	end(&plain);
	end(&slow);
	end(&soft);
}

static void what_a_model_lacks_is_noted(void **state) {
	speech s;
	say(&s, "<speak>One <voice name='nobody'>two</voice> <phoneme ph='x'>three</phoneme> <prosody pitch='high'>four</prosody> "
		"<lang xml:lang='ja'>five</lang> <emphasis>six</emphasis><break time='60s'/></speak>", NULL);
	const sn_speech facts = facts_of(&s);
	static const char *const codes[] = { "ssml_voice", "ssml_phoneme", "ssml_prosody", "ssml_ignored", "ssml_break" };
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (!has_note(&facts, codes[i]))
			fail_msg("there is no note %s", codes[i]);
	end(&s);
}

static void pieces_of_a_document(void **state) {
	static const char text[] = "<speak>Hello <b>there</b>, <say-as interpret-as='characters'>ab</say-as> friend. <break time='100ms'/>"
							   "<prosody rate='fast'>Wie geht's, Mäxchen?</prosody><mark name='x'/></speak>";
	speech whole, pieces;
	say(&whole, text, NULL);
	begin(&pieces, NULL);
	for (size_t i = 0; i < sizeof text - 1; i++) /* also inside a character */
		assert_int_equal(sn_tts_push(pieces.tts, text + i, 1, pieces.err), SN_OK);
	finish(&pieces);
	assert_int_equal(whole.count, pieces.count);
	assert_memory_equal(whole.pcm, pieces.pcm, whole.count * sizeof(float));
	assert_int_equal(pieces.mark_count, 1);
	end(&whole);
	end(&pieces);
}

/* ---- texts that end badly ---- */

static void a_refused_push_changes_nothing(void **state) {
	speech s, plain;
	char *large = malloc(SN_TTS_MAX_TEXT + 2);
	memset(large, 'a', SN_TTS_MAX_TEXT + 1);
	large[SN_TTS_MAX_TEXT + 1] = 0;
	begin(&s, NULL);
	assert_int_equal(push(&s, "Hello "), SN_OK);
	assert_int_equal(push(&s, "One sentence. Another one. \xff"), SN_E_FORMAT);
	assert_int_equal(push(&s, large), SN_E_LIMIT);
	assert_int_equal(push(&s, "there."), SN_OK);
	finish(&s);
	say(&plain, "Hello there.", NULL);
	assert_int_equal(s.count, plain.count);
	assert_memory_equal(s.pcm, plain.pcm, plain.count * sizeof(float));
	end(&s);
	begin(&s, NULL);
	assert_int_equal(push(&s, "<spe\xff"), SN_E_FORMAT); /* while it is not clear yet what it is */
	assert_int_equal(push(&s, "Hello there."), SN_OK);
	finish(&s);
	assert_int_equal(s.count, plain.count);
	end(&s);
	end(&plain);
	free(large);
}

static void malformed_ssml_ends_the_text_where_it_stands(void **state) {
	speech s, plain;
	begin(&s, NULL);
	assert_int_equal(push(&s, "<speak><s>Hello there.</s>"), SN_OK);
	assert_int_equal(push(&s, "\n</p> more"), SN_E_FORMAT);
	assert_non_null(strstr(s.err, "line 2"));
	assert_int_equal(push(&s, "<s>never</s>"), SN_E_FORMAT);
	assert_int_equal(sn_tts_finish(s.tts, s.err), SN_E_FORMAT);
	assert_int_equal(drain(&s), SN_E_FORMAT);
	assert_non_null(strstr(s.err, "line 2"));
	say(&plain, "Hello there.", NULL);
	assert_int_equal(s.count, plain.count);
	end(&s);
	end(&plain);
}

static void nothing_to_speak_is_said(void **state) {
	static const char *const texts[] = { "!!!", "\xf0\x9f\x98\x80", "<speak>...</speak>", "<speak></speak>", "", "\n\n" };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		speech s;
		begin(&s, NULL);
		assert_int_equal(push(&s, texts[i]), SN_OK);
		assert_int_equal(sn_tts_finish(s.tts, s.err), SN_E_ARGUMENT);
		assert_true(*s.err);
		assert_int_equal(drain(&s), SN_END);
		end(&s);
	}
}

/* ---- streams ---- */

static void a_stream_speaks_before_its_text_ends(void **state) {
	static const char text[] = "Well, I think so, but then again nobody knows at 10:30 what Dr. Smith said. And so on, to the end. Now 1,000 ";
	speech s;
	begin(&s, &(sn_tts_options){ .stream = SN_ON });
	for (size_t i = 0; i < sizeof "Well, I think so, " - 1; i++)
		assert_int_equal(sn_tts_push(s.tts, text + i, 1, s.err), SN_OK);
	for (int i = 0; i < 500 && !s.count; i++) {
		assert_int_equal(drain(&s), SN_AGAIN);
		usleep(10000);
	}
	assert_true(s.count > 0);
	for (size_t i = sizeof "Well, I think so, " - 1; i < sizeof text - 1; i++)
		assert_int_equal(sn_tts_push(s.tts, text + i, 1, s.err), SN_OK);
	finish(&s);
	assert_true(facts_of(&s).sentences >= 3);
	end(&s);
}

static void a_stream_that_stalls_is_spoken(void **state) {
	speech s;
	begin(&s, &(sn_tts_options){ .stream = SN_ON });
	assert_int_equal(push(&s, "Hello there my friend. And now a longer clause comes, "), SN_OK);
	for (int i = 0; i < 1000 && facts_of(&s).sentences < 2; i++) { /* its speech is over some time, and the clause is all there is */
		assert_int_equal(drain(&s), SN_AGAIN);
		usleep(10000);
	}
	assert_int_equal(facts_of(&s).sentences, 2);
	end(&s);
}

/* ---- looking at speech ---- */

static void held_sentences_are_the_same(void **state) {
	char err[SN_ERRLEN] = "";
	speech s;
	sn_speech facts;
	void *data;
	size_t size;
	static const char text[] = "<speak>Hello there. <mark name='a'/>How are you <mark name='b'/> today?<break time='300ms'/><mark name='c'/></speak>";
	say(&s, text, &(sn_tts_options){ .seed = 7 });
	assert_int_equal(sn_speak_memory(&data, &size, model, text, strlen(text), "pcm", &(sn_tts_options){ .seed = 7, .retries = -1 }, &facts, err), SN_OK);
	assert_int_equal(size, 2 * s.count);
	assert_int_equal(facts.attempts, 1);
	assert_int_equal(facts.mark_count, 3);
	for (int i = 0; i < 3; i++) {
		assert_string_equal(facts.marks[i].name, s.marks[i]);
		assert_true(fabs(facts.marks[i].time - (double)s.places[i] / facts.sample_rate) < 1e-6);
	}
	assert_true(facts.word_error_rate < 0 && facts.quality == 0);
	free(data);
	end(&s);
}

static int stop(void *payload, double seconds, double total) { return ++*(int *)payload > 1; }

static void samples_are_those_of_a_session(void **state) {
	char err[SN_ERRLEN] = "";
	speech s;
	sn_speech facts;
	float *pcm;
	size_t count;
	int asked = 0;
	static const char text[] = "Hello there. How are you today? It is <1> long sentence, and 22 more.";
	const sn_tts_options quiet = { .seed = 7, .pause = 0.25f, .retries = -1 };
	say(&s, text, &quiet);
	assert_int_equal(sn_speak_pcm(&pcm, &count, model, text, strlen(text), &quiet, &facts, err), SN_OK);
	assert_int_equal(count, s.count);
	assert_memory_equal(pcm, s.pcm, count * sizeof *pcm);
	assert_int_equal(facts.samples, (int64_t)count);
	assert_true(facts.sample_rate > 0 && facts.sentences == 3 && facts.attempts == 1);
	free(pcm);
	assert_int_equal(sn_speak_pcm(&pcm, &count, model, "Yes.", 4, &(sn_tts_options){ .check = SN_OFF }, NULL, err), SN_OK);
	assert_true(count > 0);
	free(pcm);
	assert_int_equal(sn_speak_pcm(&pcm, &count, model, text, strlen(text), &(sn_tts_options){ .progress = stop, .payload = &asked }, NULL, err),
	                 SN_E_CANCELLED);
	assert_true(pcm == NULL && count == 0);
	assert_int_equal(sn_speak_pcm(&pcm, &count, model, "?!", 2, NULL, &facts, err), SN_E_ARGUMENT);
	assert_true(pcm == NULL && count == 0 && strstr(err, "letter"));
	end(&s);
}

/* The tiny checkpoint says any text in a moment, which is too short for a long one: it is spoken again, but not for ever. */
static void bad_speech_is_spoken_again_and_said_so(void **state) {
	char err[SN_ERRLEN] = "";
	sn_speech facts;
	void *data;
	size_t size;
	static const char text[] = "<speak><prosody rate='400%'>Internationalization counterintuitiveness misrepresentations</prosody></speak>";
	assert_int_equal(sn_speak_memory(&data, &size, model, text, strlen(text), NULL, &(sn_tts_options){ .retries = 3, .noise_duration = -1, .speed = 4 },
	                                 &facts, err), SN_OK);
	free(data);
	if (facts.attempts > 1)
		assert_true(has_note(&facts, "spoken_again"));
	assert_true(facts.attempts <= 4);
}

static void options_of_checks(void **state) {
	char err[SN_ERRLEN] = "";
	sn_tts *tts;
	assert_int_equal(sn_tts_open(&tts, model, &(sn_tts_options){ .retries = 99 }, err), SN_E_ARGUMENT);
	assert_int_equal(sn_tts_open(&tts, model, &(sn_tts_options){ .ssml = 5 }, err), SN_E_ARGUMENT);
	assert_int_equal(sn_tts_open(&tts, model, &(sn_tts_options){ .verify = SN_ON, .verify_model = TINY "nothing" }, err), SN_E_NOT_FOUND);
	sn_speech facts;
	assert_int_equal(sn_tts_open(&tts, model, NULL, err), SN_OK);
	assert_int_equal(sn_tts_check(tts, &facts, err), SN_E_ARGUMENT);
	sn_tts_close(&tts);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_ssml_is_plain_text), cmocka_unit_test(breaks_are_silence), cmocka_unit_test(marks_are_reached_in_order),
		cmocka_unit_test(styles_change_what_is_heard), cmocka_unit_test(what_a_model_lacks_is_noted), cmocka_unit_test(pieces_of_a_document),
		cmocka_unit_test(a_refused_push_changes_nothing), cmocka_unit_test(malformed_ssml_ends_the_text_where_it_stands),
		cmocka_unit_test(nothing_to_speak_is_said), cmocka_unit_test(a_stream_speaks_before_its_text_ends),
		cmocka_unit_test(a_stream_that_stalls_is_spoken), cmocka_unit_test(held_sentences_are_the_same),
		cmocka_unit_test(samples_are_those_of_a_session),
		cmocka_unit_test(bad_speech_is_spoken_again_and_said_so), cmocka_unit_test(options_of_checks),
	};
	return cmocka_run_group_tests(tests, open_model, close_model);
}
