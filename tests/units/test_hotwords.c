/* Hot words as a tree of tokens: what is earned, lost and kept. argv[1]: a directory with a byte-level BPE. */
#include "speech/hotwords.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sn_bpe *bpe;

static sn_hotwords *open_list(const char *list) {
	char err[SN_ERRLEN] = "";
	sn_hotwords *h;
	const int result = sn_hotwords_open(&h, list, bpe, sn_bpe_size(bpe), err);
	if (result != SN_OK)
		fail_msg("%s: %s", list, err);
	return h;
}

/* All that a text has earned when it ends, token by token; checks on the way that apply and bonus say the same of every token. */
static float earned(const sn_hotwords *h, const char *text) {
	const int vocab = sn_bpe_size(bpe), end = sn_bpe_id(bpe, "<|endoftext|>");
	int32_t ids[512];
	int count;
	assert_int_equal(sn_bpe_encode(bpe, text, strlen(text), ids, 511, &count, NULL), SN_OK);
	assert_true(end >= 0);
	ids[count++] = end;
	float *const logits = malloc((size_t)vocab * sizeof *logits), sum = 0;
	sn_hotwords_state s = { 0 };
	for (int i = 0; i < count; i++) {
		for (int beams = 0; beams < 2; beams++) {
			memset(logits, 0, (size_t)vocab * sizeof *logits);
			const float base = sn_hotwords_apply(h, s, logits, beams);
			assert_true(base <= 0 && (beams || base == 0));
			for (int32_t v = 0; v < vocab; v++)
				if (fabsf(logits[v] - sn_hotwords_bonus(h, s, v, beams)) > 1e-5f)
					fail_msg("'%s', token %d of %d: %g was added to %d, not %g", text, i, count, (double)logits[v], v,
					         (double)sn_hotwords_bonus(h, s, v, beams));
			if (beams)
				sum += base + logits[ids[i]];
		}
		s = sn_hotwords_next(h, s, ids[i]);
	}
	assert_int_equal(s.node, 0);
	free(logits);
	return sum;
}

static void expect(const char *list, const char *text, int some) {
	sn_hotwords *h = open_list(list);
	const float sum = earned(h, text);
	if (some ? sum <= 0.5f : fabsf(sum) > 1e-4f)
		fail_msg("'%s' earned %g in '%s'", list, (double)sum, text);
	sn_hotwords_close(&h);
	assert_null(h);
}

static void whole_phrases_earn(void **state) {
	(void)state;
	expect("Kvothe", " my name is Kvothe", 1);
	expect("Kvothe", " my name is Kvothe.", 1);
	expect("Kvothe", " Kvothe's name", 1);
	expect("Kvothe", "Kvothe", 1);
	expect("Kvothe", " \"Kvothe\"", 1);
	expect("kvothe", " Kvothe said", 1);
	expect("new york", " in New York today", 1);
	expect("Tarantella, Kvothe,  New York City ", " in New York City", 1);
	expect("\xe6\x9d\xb1\xe4\xba\xac", "\xe5\xa4\xa7\xe6\x9d\xb1\xe4\xba\xac\xe9\x83\xbd", 1); /* no spaces round it */
}

static void broken_phrases_lose_all(void **state) {
	(void)state;
	expect("Kvothe", " my name is Kvot", 0);
	expect("Kvothe", " my name is Kvothes", 0);
	expect("Ann", " Anna", 0);
	expect("Ann", " Joann", 0);
	expect("New York City", " New York", 0);
	expect("New York City", " New York is big", 0);
	expect("New York City", "", 0);
}

/* What is complete stays earned when a longer phrase breaks, and an overlapping one is found. */
static void overlapping_phrases(void **state) {
	(void)state;
	sn_hotwords *h = open_list("New York, New York City");
	const float whole = earned(h, " in New York"), broken = earned(h, " in New York Cit");
	assert_true(whole > 0.5f && fabsf(whole - broken) < 1e-4f);
	assert_true(earned(h, " New York City") > whole);
	assert_true(fabsf(earned(h, " New York New York") - 2 * whole) < 1e-4f);
	sn_hotwords_close(&h);
	expect("old New York bridge, New York Minster", " old New York Minster", 1);
}

static void items_of_lists(void **state) {
	(void)state;
	static const char *const expected[] = { "one", "two words", "\xe4\xb8\x89", "4" };
	const char *at = " one ,, two words\n\xe4\xb8\x89\xef\xbc\x8c 4,", *item;
	size_t size;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(sn_hotwords_item(&at, &item, &size), 1);
		assert_int_equal(size, strlen(expected[i]));
		assert_memory_equal(item, expected[i], size);
	}
	assert_int_equal(sn_hotwords_item(&at, &item, &size), 0);
}

static void bad_lists_are_refused(void **state) {
	(void)state;
	char err[SN_ERRLEN], *big = malloc(SN_MAX_HOTWORDS + 2);
	sn_hotwords *h;
	memset(big, 'a', SN_MAX_HOTWORDS + 1);
	big[SN_MAX_HOTWORDS + 1] = 0;
	assert_int_equal(sn_hotwords_open(&h, big, bpe, sn_bpe_size(bpe), err), SN_E_LIMIT);
	assert_non_null(strstr(err, "4096"));
	big[SN_MAX_HOTWORDS] = 0;
	assert_int_equal(sn_hotwords_open(&h, big, bpe, sn_bpe_size(bpe), err), SN_OK);
	sn_hotwords_close(&h);
	for (size_t i = 1; i < SN_MAX_HOTWORDS; i += 2)
		big[i] = ',';
	assert_int_equal(sn_hotwords_open(&h, big, bpe, sn_bpe_size(bpe), err), SN_OK);
	sn_hotwords_close(&h);
	free(big);
	assert_int_equal(sn_hotwords_open(&h, "a\xff", bpe, sn_bpe_size(bpe), err), SN_E_FORMAT);
	assert_null(h);
	assert_int_equal(sn_hotwords_open(&h, " , ,", bpe, sn_bpe_size(bpe), err), SN_OK);
	assert_null(h);
	assert_int_equal(sn_hotwords_open(&h, NULL, bpe, sn_bpe_size(bpe), err), SN_OK);
	assert_null(h);
}

int main(int argc, char **argv) {
	char err[SN_ERRLEN];
	if (argc < 2 || sn_bpe_open(&bpe, argv[1], err) != SN_OK) {
		fprintf(stderr, "%s\n", argc < 2 ? "a directory with a BPE is needed" : err);
		return 1;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_phrases_earn),
		cmocka_unit_test(broken_phrases_lose_all),
		cmocka_unit_test(overlapping_phrases),
		cmocka_unit_test(items_of_lists),
		cmocka_unit_test(bad_lists_are_refused),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	sn_bpe_close(&bpe);
	return failed;
}
