/* Tokens to words, with the tiny Whisper's byte-level vocabulary. */
#include "speech/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MOST 256
#define SPECIAL 316 /* <|endoftext|> of the fixture */

static sn_bpe *bpe;

/* The words of the text, each followed by "|"; the spoken ones of its tokens by "~" where they are fewer. */
static const char *split(const char *text) {
	static char out[2048];
	char err[SN_ERRLEN];
	int32_t ids[MOST];
	sn_token_word words[MOST];
	int count = 0;
	sn_buf bytes;
	sn_buf_init(&bytes, sizeof out);
	assert_int_equal(sn_bpe_encode(bpe, text, strlen(text), ids, MOST, &count, err), SN_OK);
	int made = sn_words_split(bpe, ids, count, SPECIAL, words), at = 0;
	for (int i = 0; i < made; i++) {
		assert_int_equal(words[i].first, at); /* nothing between words */
		assert_true(words[i].first <= words[i].spoken_first && words[i].spoken_first < words[i].spoken_end);
		assert_true(words[i].spoken_end <= words[i].end);
		sn_bpe_decode(bpe, ids + words[i].first, words[i].end - words[i].first, &bytes);
		sn_buf_text(&bytes, "|");
		at = words[i].end;
	}
	assert_int_equal(at, count);
	strcpy(out, bytes.data ? bytes.data : "");
	sn_buf_free(&bytes);
	return out;
}

static void words_end_at_spaces(void **state) {
	assert_string_equal(split(" I don't know."), " I| don't| know.|");
	assert_string_equal(split("Ask not, what"), "Ask| not,| what|");
	assert_string_equal(split(" twenty-five and/or U.S.A. ..."), " twenty-five| and/or| U.S.A. ...|");
}

static void numbers_stay_whole(void **state) {
	assert_string_equal(split(" It cost $1,000.50 (10%) at 3:15."), " It| cost| $1,000.50| (10%)| at| 3:15.|");
	assert_string_equal(split(" #1 \xe2\x82\xac" "5"), " #1| \xe2\x82\xac" "5|");
}

static void marks_go_with_their_word(void **state) {
	assert_string_equal(split(" He said, \xe2\x80\x9cno\xe2\x80\x9d \xe2\x80\x94 twice."),
	                    " He| said,| \xe2\x80\x9cno\xe2\x80\x9d \xe2\x80\x94| twice.|");
	assert_string_equal(split(" \xc2\xbfQu\xc3\xa9? \"S\xc3\xad\""), " \xc2\xbfQu\xc3\xa9?| \"S\xc3\xad\"|");
	assert_string_equal(split(" ..."), " ...|");
}

/* „ and “ in German, » and « in Danish, “ in English and Chinese: what closes in one language opens in another. */
static void quotation_marks_of_any_language(void **state) {
	assert_string_equal(split(" Er sagte \u201eHallo\u201c und ging."), " Er| sagte| \u201eHallo\u201c| und| ging.|");
	assert_string_equal(split(" \u201eNein\u201c."), " \u201eNein\u201c.|");
	assert_string_equal(split(" \u201eNein!\u201c Er"), " \u201eNein!\u201c| Er|");
	assert_string_equal(split(" \u201e\u201aNein!\u2018\u201c, er"), " \u201e\u201aNein!\u2018\u201c,| er|");
	assert_string_equal(split(" Han sagde \u00bbhej\u00ab til"), " Han| sagde| \u00bbhej\u00ab| til|");
	assert_string_equal(split(" Qur\u2018an"), " Qur\u2018an|");
	assert_string_equal(split(" \u201chello\u201d to"), " \u201chello\u201d| to|");
	assert_string_equal(split(" said,\u201chello\u201d to"), " said,|\u201chello\u201d| to|");
	assert_string_equal(split(" \u00ab bien \u00bb dit-il"), " \u00ab bien \u00bb| dit-il|");
	assert_string_equal(split(" and \u2019tis"), " and| \u2019tis|");
	/* yes, bracketed, and "he said: 'hello'", "said 'OK'" in Chinese */
	assert_string_equal(split("\u300c\u306f\u3044\u300d\u3068"), "\u300c\u306f|\u3044\u300d|\u3068|");
	assert_string_equal(split("\u8bf4\uff1a\u201c\u4f60\u597d\u201d\u3002"), "\u8bf4\uff1a|\u201c\u4f60|\u597d\u201d\u3002|");
	assert_string_equal(split("\u8bf4\u201cOK\u201d\u3002"), "\u8bf4|\u201cOK\u201d\u3002|");
}

static void a_mark_behind_a_space_begins_what_it_touches(void **state) {
	assert_string_equal(split(" use .NET now"), " use| .NET| now|");
	assert_string_equal(split(" costs .5 of it"), " costs| .5| of| it|");
	assert_string_equal(split(" well ...and then"), " well| ...and| then|");
	assert_string_equal(split(" oui ? non :-)"), " oui ?| non :-)|");
}

static void scripts_without_spaces_by_characters(void **state) {
	/* kyaku, kan, teki, na, comma, bracket, ji, bracket, full stop */
	assert_string_equal(split("\xe5\xae\xa2\xe8\xa6\xb3\xe7\x9a\x84\xe3\x81\xaa\xe3\x80\x81\xe3\x80\x8c\xe5\xae\x9f\xe3\x80\x8d\xe3\x80\x82"),
	                    "\xe5\xae\xa2|\xe8\xa6\xb3|\xe7\x9a\x84|\xe3\x81\xaa\xe3\x80\x81|\xe3\x80\x8c\xe5\xae\x9f\xe3\x80\x8d\xe3\x80\x82|");
	/* English and digits inside stay whole */
	assert_string_equal(split("\xe6\x88\x91" "3.5 GHz\xe6\x98\xaf"), "\xe6\x88\x91|3.5| GHz|\xe6\x98\xaf|");
	/* Thai: a vowel sign goes with its consonant */
	assert_string_equal(split("\xe0\xb8\x81\xe0\xb8\xb4\xe0\xb8\x99"), "\xe0\xb8\x81\xe0\xb8\xb4|\xe0\xb8\x99|");
	/* Korean has spaces */
	assert_string_equal(split(" \xea\xb7\xb8\xeb\x8a\x94 \xea\xb8\xb8"), " \xea\xb7\xb8\xeb\x8a\x94| \xea\xb8\xb8|");
}

static void times_end_words(void **state) {
	char err[SN_ERRLEN];
	int32_t ids[MOST];
	sn_token_word words[MOST];
	int count = 0;
	assert_int_equal(sn_bpe_encode(bpe, "ab", 2, ids + 1, MOST - 1, &count, err), SN_OK);
	assert_int_equal(count, 2);
	ids[3] = ids[2];
	ids[0] = ids[2] = ids[4] = SPECIAL + 20; /* <t> a <t> b <t> */
	assert_int_equal(sn_words_split(bpe, ids, 5, SPECIAL, words), 2);
	assert_int_equal(words[0].first, 1);
	assert_int_equal(words[0].end, 2);
	assert_int_equal(words[1].first, 3);
	assert_int_equal(words[1].spoken_end, 4);
	assert_int_equal(sn_words_split(bpe, ids, 1, SPECIAL, words), 0);
}

int main(int argc, char **argv) {
	char err[SN_ERRLEN];
	if (argc < 2 || sn_bpe_open(&bpe, argv[1], err) != SN_OK)
		return 2;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_end_at_spaces), cmocka_unit_test(numbers_stay_whole), cmocka_unit_test(marks_go_with_their_word),
		cmocka_unit_test(quotation_marks_of_any_language), cmocka_unit_test(a_mark_behind_a_space_begins_what_it_touches),
		cmocka_unit_test(scripts_without_spaces_by_characters), cmocka_unit_test(times_end_words),
	};
	int failed = cmocka_run_group_tests_name("words", tests, NULL, NULL);
	sn_bpe_close(&bpe);
	return failed;
}
