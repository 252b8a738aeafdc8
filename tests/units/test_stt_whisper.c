/* What sessions on Whisper make of their options. test_stt_whisper FIXTURES: tests/fixtures/tiny. */
#include "speech/engine.h"
#include "speech/languages.h"
#include "speech/stt_whisper.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLES (5 * SN_STT_RATE)

static sn_engine *engine;
static sn_model *model;
static float noise[SAMPLES];

static void languages_have_several_names(void **state) {
	static const char *const same[][2] = { { "german", "de" }, { "DE", "de" }, { "de-AT", "de" }, { "mandarin", "zh" }, { "Castilian", "es" },
		{ "flemish", "nl" }, { "haitian", "ht" }, { "myanmar", "my" }, { "farsi", "fa" }, { "nb", "no" }, { "nb-NO", "no" }, { "nn", "nn" },
		{ "jv", "jw" }, { "iw", "he" }, { "fil", "tl" }, { "cmn", "zh" }, { "cmn_Hans", "zh" }, { "yue", "yue" }, { "deu", "deu" } };
	char code[8];
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		assert_true(sn_language_code(same[i][0], code, sizeof code));
		assert_string_equal(code, same[i][1]);
	}
	assert_false(sn_language_code("klingon", code, sizeof code));
	assert_false(sn_language_code("", code, sizeof code));
	(void)state;
}

/* A language that the model lacks is another error than what is none. */
static void names_are_known_whatever_the_model_knows(void **state) {
	char err[SN_ERRLEN];
	sn_stt *stt = NULL;
	assert_int_equal(sn_stt_open(&stt, model, &(sn_stt_options){ .language = "mandarin" }, err), SN_E_UNSUPPORTED);
	assert_int_equal(sn_stt_open(&stt, model, &(sn_stt_options){ .language = "klingon" }, err), SN_E_ARGUMENT);
	(void)state;
}

/* White space round a prompt says nothing, as in the reference. */
static void prompts_are_stripped_at_both_ends(void **state) {
	static const char *const prompts[] = { "Kennedy", "\t Kennedy \r\n", NULL, " \n" };
	char err[SN_ERRLEN];
	int32_t tokens[2][512];
	int counts[2] = { 0 };
	for (int i = 0; i < 4; i++) {
		sn_transcript *t = NULL;
		const sn_stt_options o = { .language = "en", .prompt = prompts[i], .vad = SN_OFF, .fallback = SN_OFF, .guards = SN_OFF, .beam = 1 };
		int count = 0;
		assert_int_equal(sn_transcribe_pcm(&t, model, noise, SAMPLES, &o, err), SN_OK);
		for (size_t k = 0; k < t->segment_count; k++)
			for (int n = 0; n < t->segments[k].token_count && count < 512; n++)
				tokens[i % 2][count++] = t->segments[k].tokens[n];
		sn_transcript_free(&t);
		assert_true(count > 0);
		counts[i % 2] = count;
		if (i % 2 == 0)
			continue;
		assert_int_equal(counts[0], counts[1]);
		assert_memory_equal(tokens[0], tokens[1], (size_t)count * sizeof(int32_t));
	}
	(void)state;
}

/* Distilled models have <|translate|>, but write what they hear. */
static void models_that_only_transcribe_say_so(void **state) {
	sn_whisper_config config = { .multilingual = 1, .translate = 50358, .encoder_layers = 32, .decoder_layers = 32 };
	assert_true(sn_stt_whisper_translates(&config));
	config.decoder_layers = 4; /* large-v3-turbo */
	assert_false(sn_stt_whisper_translates(&config));
	config.decoder_layers = 2; /* distil-large-v3 */
	assert_false(sn_stt_whisper_translates(&config));
	config.encoder_layers = config.decoder_layers = 4; /* tiny */
	assert_true(sn_stt_whisper_translates(&config));
	config.translate = -1;
	assert_false(sn_stt_whisper_translates(&config));
	(void)state;
}

/* The codes of the notes of a session without audio. */
static void notes_of(const char *task, char *codes, size_t size) {
	char err[SN_ERRLEN];
	sn_stt *stt = NULL;
	sn_event e;
	int result;
	*codes = 0;
	assert_int_equal(sn_stt_open(&stt, model, &(sn_stt_options){ .language = "en", .task = task }, err), SN_OK);
	assert_int_equal(sn_stt_finish(stt, err), SN_OK);
	while ((result = sn_stt_pull(stt, &e, err)) == SN_OK)
		if (e.kind == SN_EVENT_NOTE)
			strncat(codes, e.note.code, size - strlen(codes) - 1);
	assert_int_equal(result, SN_END);
	sn_stt_close(&stt);
}

static void a_translation_that_may_be_none_is_noted(void **state) {
	char codes[512];
	sn_model_info info;
	sn_whisper_config *const config = (sn_whisper_config *)(uintptr_t)sn_whisper_get_config(model->whisper); /* no audio: nothing is computed */
	const sn_whisper_config kept = *config;
	notes_of("translate", codes, sizeof codes);
	assert_null(strstr(codes, "not_translated"));
	config->encoder_layers = 32;
	config->decoder_layers = 4;
	sn_model_describe(model, &info);
	assert_int_equal(info.translates, 0);
	notes_of("translate", codes, sizeof codes);
	assert_non_null(strstr(codes, "not_translated"));
	notes_of("transcribe", codes, sizeof codes);
	assert_null(strstr(codes, "not_translated"));
	*config = kept;
	(void)state;
}

int main(int argc, char **argv) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(languages_have_several_names),
		cmocka_unit_test(names_are_known_whatever_the_model_knows),
		cmocka_unit_test(prompts_are_stripped_at_both_ends),
		cmocka_unit_test(models_that_only_transcribe_say_so),
		cmocka_unit_test(a_translation_that_may_be_none_is_noted),
	};
	char err[SN_ERRLEN], path[4096];
	uint32_t state = 1;
	for (size_t i = 0; i < SAMPLES; i++) {
		state = state * 1664525u + 1013904223u;
		noise[i] = 0.2f * sinf((float)i * 0.01f) + (float)(state >> 8) / (1 << 27);
	}
	snprintf(path, sizeof path, "%s/whisper", argc > 1 ? argv[1] : ".");
	const sn_model_options options = { .precision = SN_PRECISION_F32 };
	if (sn_engine_open(&engine, &(sn_engine_options){ .threads = 1, .home = "/nonexistent", .no_cache = 1 }, err) != SN_OK ||
	    sn_model_load(&model, engine, path, &options, err) != SN_OK) {
		fprintf(stderr, "%s\n", err);
		return 2;
	}
	const int failed = cmocka_run_group_tests_name("stt whisper", tests, NULL, NULL);
	sn_model_release(&model);
	sn_engine_close(&engine);
	return failed;
}
