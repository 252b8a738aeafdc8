/* Raters, and levels measured in pieces. */
#include "audio/levels.h"
#include "speech/quality.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RATE 22050
#define COUNT (30 * RATE)

static sn_engine *engine;
static float *tone;

static int setup(void **state) {
	tone = malloc(COUNT * sizeof *tone);
	for (int i = 0; tone && i < COUNT; i++) tone[i] = 0.2f * sinf(0.05f * (float)(i % 100000)) * (i / RATE % 2 ? 1 : 0.01f);
	return tone ? sn_engine_open(&engine, &(sn_engine_options){ .threads = 2, .no_cache = 1 }, NULL) : -1;
}

static int teardown(void **state) {
	sn_engine_close(&engine);
	free(tone);
	return 0;
}

/* Sizes of pieces change no figure. */
static void test_pieces(void **state) {
	sn_quality whole, pieces;
	const sn_rater_options o = { .quality = { .scores = SN_OFF } };
	sn_rater *rater;
	assert_int_equal(sn_quality_pcm(&whole, engine, tone, COUNT, RATE, &o.quality, NULL), SN_OK);
	assert_int_equal(sn_rater_open(&rater, engine, RATE, &o, NULL), SN_OK);
	for (size_t at = 0, part = 1; at < COUNT; at += part, part = part * 3 + 1) {
		part = part < COUNT - at ? part : COUNT - at;
		assert_int_equal(sn_rater_push(rater, tone + at, part, NULL), SN_OK);
	}
	assert_int_equal(sn_rater_finish(rater, &pieces, NULL), SN_OK);
	sn_rater_close(&rater);
	assert_true(fabsf(whole.loudness - pieces.loudness) < 1e-3f);
	assert_true(fabsf(whole.rms - pieces.rms) < 1e-3f);
	assert_true(fabsf(whole.silence - pieces.silence) < 1e-6f);
	assert_true(whole.snr == pieces.snr && whole.speech == pieces.speech);
	assert_true(fabs(whole.duration - 30) < 1e-9);
}

/* A rater that nobody waits for comes to its end with what it could compute, whether a model is installed or not. */
static void test_impatient(void **state) {
	const sn_rater_options o = { .impatient = 1 };
	sn_quality q;
	sn_rater *rater;
	assert_int_equal(sn_rater_open(&rater, engine, RATE, &o, NULL), SN_OK);
	for (size_t at = 0; at < COUNT; at += RATE) assert_int_equal(sn_rater_push(rater, tone + at, RATE, NULL), SN_OK);
	assert_int_equal(sn_rater_finish(rater, &q, NULL), SN_OK);
	assert_true(q.scores.windows <= q.windows_possible);
	assert_true(q.score >= 1 && q.score <= 5);
	sn_rater_close(&rater);
}

static void test_mistakes(void **state) {
	char err[SN_ERRLEN];
	sn_quality q;
	sn_rater *rater;
	const float bad[3] = { 0, NAN, 0 };
	const sn_quality_options scores = { .windows = 5000 };
	assert_int_equal(sn_quality_pcm(&q, engine, bad, 3, RATE, NULL, err), SN_E_FORMAT);
	assert_non_null(strstr(err, "sample 1"));
	assert_int_equal(sn_quality_pcm(&q, engine, tone, 0, RATE, NULL, err), SN_E_ARGUMENT);
	assert_int_equal(sn_quality_pcm(&q, engine, tone, 10, 5, NULL, err), SN_E_ARGUMENT);
	assert_int_equal(sn_quality_pcm(&q, engine, tone, 10, RATE, &scores, err), SN_E_ARGUMENT);
	assert_int_equal(sn_rater_open(&rater, engine, RATE, &(sn_rater_options){ .quality = { .scores = SN_OFF } }, NULL), SN_OK);
	assert_int_equal(sn_rater_push(rater, tone, 100, NULL), SN_OK);
	assert_int_equal(sn_rater_finish(rater, &q, NULL), SN_OK);
	assert_int_equal(sn_rater_push(rater, tone, 100, NULL), SN_E_CLOSED);
	assert_int_equal(sn_rater_finish(rater, &q, NULL), SN_E_CLOSED);
	sn_rater_close(&rater);
	sn_rater_close(&rater);
}

/* Closed in the middle of a window: the model serves the next one. */
static void test_given_up(void **state) {
	sn_rater *rater;
	sn_quality q;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sn_rater_open(&rater, engine, RATE, NULL, NULL), SN_OK);
		assert_int_equal(sn_rater_push(rater, tone, 11 * RATE, NULL), SN_OK);
		sn_rater_close(&rater);
	}
	assert_int_equal(sn_quality_pcm(&q, engine, tone, RATE, RATE, NULL, NULL), SN_OK);
}

int main(void) {
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_pieces), cmocka_unit_test(test_impatient), cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_given_up) };
	return cmocka_run_group_tests(tests, setup, teardown);
}
