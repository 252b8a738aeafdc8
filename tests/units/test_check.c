/* What a look at speech finds, and how many words of it are wrong. */
#include "test_text.h"

#include "speech/check.h"

#include <math.h>

#define RATE 16000

/* A tone of some seconds, with silence from..to. */
static size_t tone(float *pcm, double seconds, double from, double to, float level) {
	const size_t count = (size_t)(seconds * RATE);
	for (size_t i = 0; i < count; i++) {
		const double t = (double)i / RATE;
		pcm[i] = t >= from && t < to ? 0 : level * (float)sin(2 * 3.14159265 * 220 * t);
	}
	return count;
}

static unsigned faults_of(double seconds, double from, double to, float level, int64_t clipped, double expected) {
	static float pcm[RATE * 40];
	sn_check check;
	sn_check_speech(&check, pcm, tone(pcm, seconds, from, to, level), RATE, clipped, expected);
	return check.faults;
}

static void each_fault_is_seen(void **state) {
	assert_int_equal(faults_of(2, 0, 0, 0.5f, 0, 2), 0);
	assert_int_equal(faults_of(20, 0, 0, 0.5f, 0, 2), SN_FAULT_TOO_LONG);
	assert_int_equal(faults_of(0.4, 0, 0, 0.5f, 0, 4), SN_FAULT_TOO_SHORT);
	assert_int_equal(faults_of(2, 0, 0, 0.001f, 0, 2), SN_FAULT_SILENT);
	assert_int_equal(faults_of(6, 1, 4, 0.5f, 0, 4), SN_FAULT_SILENCE_INSIDE);
	assert_int_equal(faults_of(6, 0, 4, 0.5f, 0, 4), 0); /* before the first sound it is none */
	assert_int_equal(faults_of(2, 0, 0, 0.9f, 1000, 2), SN_FAULT_CLIPPED);
	assert_int_equal(faults_of(20, 0, 0, 0.5f, 0, 0), 0); /* nothing is known of its length */
}

static void an_offset_is_seen(void **state) {
	float pcm[RATE];
	sn_check check;
	const size_t count = tone(pcm, 1, 0, 0, 0.5f);
	for (size_t i = 0; i < count; i++)
		pcm[i] += 0.1f;
	sn_check_speech(&check, pcm, count, RATE, 0, 1);
	assert_int_equal(check.faults, SN_FAULT_OFFSET);
	char message[SN_ERRLEN];
	for (int i = 0; i < SN_FAULT_COUNT; i++) {
		const char *const code = sn_check_fault(&check, i, 3, message, sizeof message);
		assert_int_equal(code != NULL, 1 << i == SN_FAULT_OFFSET);
		if (code)
			assert_string_equal(code, "offset");
	}
	assert_non_null(strstr(message, "sentence 3"));
}

static void the_better_take(void **state) {
	sn_check good = { .duration = 2, .expected = 2 }, longer = { .duration = 3, .expected = 2 };
	sn_check bad = { .faults = SN_FAULT_SILENT, .duration = 2, .expected = 2 }, light = { .faults = SN_FAULT_CLIPPED, .duration = 2, .expected = 2 };
	sn_check right = bad, wrong = good;
	sn_check_words(&right, 10, 0);
	sn_check_words(&wrong, 10, 5);
	assert_true(sn_check_better(&good, &longer));
	assert_true(sn_check_better(&longer, &bad));
	assert_true(sn_check_better(&light, &bad) && !sn_check_better(&bad, &light));
	assert_true(sn_check_better(&right, &wrong));
	assert_false(sn_check_better(&good, &good));
	assert_int_equal(wrong.faults, SN_FAULT_MISREAD);
	sn_check_words(&good, 10, 1);
	assert_int_equal(good.faults, 0);
}

static void lengths_are_expected(void **state) {
	static const char english[] = "the quick brown fox jumps over the lazy dog, and then it sleeps in the garden.";
	const double seconds = sn_check_expected(english, strlen(english));
	assert_true(seconds > 3.5 && seconds < 6.5);
	assert_true(sn_check_expected("你好世界朋友", strlen("你好世界朋友")) > 1);
	assert_true(sn_check_expected("", 0) == 0);
}

static void words_that_differ(void **state) {
	static const struct {
		const char *reference, *other;
		int words, errors;
	} cases[] = {
		{ "Hello, World!", "hello world", 2, 0 },
		{ "one two three four", "one too three", 4, 2 },
		{ "a b", "a x y b", 2, 2 },
		{ "Don't stop", "dont stop", 2, 0 },
		{ "it costs five dollars", "It costs $5.", 4, 0 },
		{ "", "some words", 0, 2 },
		{ "some words", "", 2, 2 },
		{ "你好世界", "你好世", 4, 1 },
	};
	char err[SN_ERRLEN] = "";
	sn_normaliser *normaliser;
	assert_int_equal(sn_normaliser_open(&normaliser, "en", err), SN_OK);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int words, errors;
		assert_int_equal(sn_word_errors(normaliser, cases[i].reference, strlen(cases[i].reference), cases[i].other, strlen(cases[i].other),
		                                &words, &errors, err), SN_OK);
		if (words != cases[i].words || errors != cases[i].errors)
			fail_msg("\"%s\" and \"%s\": %d of %d", cases[i].reference, cases[i].other, errors, words);
	}
	sn_normaliser_close(&normaliser);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_is_seen), cmocka_unit_test(an_offset_is_seen), cmocka_unit_test(the_better_take),
		cmocka_unit_test(lengths_are_expected), cmocka_unit_test(words_that_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
