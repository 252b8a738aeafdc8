/* Sentences, and what text may be spoken. */
#include "test_text.h"

#include "text/sentences.h"
#include "text/validate.h"

/* expected: the sentences with | between. */
static void expect_sentences(const char *text, const char *locale, const char *expected) {
	char err[SN_ERRLEN] = "";
	sn_spans spans;
	sn_buf joined;
	sn_buf_init(&joined, 1 << 16);
	if (sn_sentences(text, strlen(text), locale, 1000, &spans, err) != SN_OK)
		fail_msg("%s", err);
	for (int i = 0; i < spans.count; i++) {
		assert_int_equal(spans.items[i].sentence_end, 1);
		sn_buf_add(&joined, "|", i > 0);
		sn_buf_add(&joined, text + spans.items[i].begin, spans.items[i].end - spans.items[i].begin);
	}
	assert_string_equal(joined.data ? joined.data : "", expected);
	sn_spans_free(&spans);
	sn_buf_free(&joined);
}

static void sentences(void **state) {
	expect_sentences("One. Two! Three?  Four", "en", "One.|Two!|Three?|Four");
	expect_sentences("  \n Hello.\n", NULL, "Hello.");
	expect_sentences("日本語。テキスト！そう。", "ja", "日本語。|テキスト！|そう。");
	expect_sentences("\"Go!\" she said. \"Why?\" No.", "en", "\"Go!\"|she said.|\"Why?\"|No.");
	expect_sentences("¿Qué? ¡No! Sí.", "es", "¿Qué?|¡No!|Sí.");
	expect_sentences("", "en", "");
	expect_sentences(" \n ", "en", "");
}

static void numbers_and_abbreviations_stay_whole(void **state) {
	expect_sentences("Pi is 3.14. It costs $1,000.50 at 10:30. Yes.", "en", "Pi is 3.14.|It costs $1,000.50 at 10:30.|Yes.");
	expect_sentences("Dr. Smith met Mrs. Jones. J. R. R. Tolkien wrote it.", "en", "Dr. Smith met Mrs. Jones.|J. R. R. Tolkien wrote it.");
	expect_sentences("See No. 5 and Fig. 3. I said no. Then I left.", "en", "See No. 5 and Fig. 3.|I said no.|Then I left.");
	expect_sentences("It is e.g. this, i.e. that. It was I. Yes.", "en", "It is e.g. this, i.e. that.|It was I.|Yes.");
	expect_sentences("Am 3. Oktober kam Dr. Müller z. B. an. Gut.", "de_DE", "Am 3. Oktober kam Dr. Müller z. B. an.|Gut.");
	expect_sentences("I have 3. You have 4.", "en", "I have 3.|You have 4.");
	expect_sentences("Go to example.com/a?b=c now. Wait... what?! No.", "en", "Go to example.com/a?b=c now.|Wait... what?!|No.");
}

/* What follows tells whether the dot of initials, of a time or of a company ends the sentence. */
static void the_next_word_decides(void **state) {
	expect_sentences("The U.S. Army and the U.S. Supreme Court met.", "en", "The U.S. Army and the U.S. Supreme Court met.");
	expect_sentences("J.K. Rowling and J.R.R. Tolkien met a U.K. Prime Minister.", "en", "J.K. Rowling and J.R.R. Tolkien met a U.K. Prime Minister.");
	expect_sentences("He left the U.S. It is big. She left the U.S. \"Why?\" I left the U.S.", "en",
	                 "He left the U.S.|It is big.|She left the U.S.|\"Why?\"|I left the U.S.");
	expect_sentences("The U.S. 5th Fleet and the U.S. (United States) are one. It’s in the U.S. It’s big.", "en",
	                 "The U.S. 5th Fleet and the U.S. (United States) are one.|It’s in the U.S.|It’s big.");
	expect_sentences("Come at 5 p.m. Monday or 9 A.M. EST to Apt. 4B. It is 5 p.m. Bring it.", "en",
	                 "Come at 5 p.m. Monday or 9 A.M. EST to Apt. 4B.|It is 5 p.m.|Bring it.");
	expect_sentences("Nissan Motor Co. Ltd. makes them. He runs Smith & Co. She does not.", "en",
	                 "Nissan Motor Co. Ltd. makes them.|He runs Smith & Co.|She does not.");
	expect_sentences("Dr. med. Müller geht zur Huber GmbH & Co. KG. E.T.A. Hoffmann war in den U.S.A. Er schrieb.", "de",
	                 "Dr. med. Müller geht zur Huber GmbH & Co. KG.|E.T.A. Hoffmann war in den U.S.A.|Er schrieb.");
	expect_sentences("J.K. Rowling est aux U.S.A. Elle écrit.", "fr", "J.K. Rowling est aux U.S.A.|Elle écrit.");
	expect_sentences("А.С. Пушкин писал.", "ru", "А.С. Пушкин писал.");
	expect_sentences("J.K. Rowling wrote. She is in the U.S. The end.", NULL, "J.K. Rowling wrote.|She is in the U.S.|The end.");
}

static void lines_and_paragraphs(void **state) {
	expect_sentences("a wrapped\nline of text.\r\nNext\r\none", "en", "a wrapped\nline of text.|Next\r\none");
	expect_sentences("A title\n\nText. More\n \nEnd", "en", "A title|Text.|More|End");
}

static void signs_join_their_neighbours(void **state) {
	expect_sentences("... Hello. !!! World. ???", "en", "... Hello. !!!|World. ???");
	expect_sentences("Nice. 😀", "en", "Nice. 😀");
	expect_sentences("!!!", "en", "!!!");
}

static void long_sentences_are_cut(void **state) {
	static const char text[] = "first part, second part; costs 1,000.50 at 10:30 and then nothing but words without any mark at all up to here "
							   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.";
	char err[SN_ERRLEN] = "";
	for (size_t most = 16; most < sizeof text; most++) {
		sn_spans spans;
		size_t letters = 0, end = 0;
		assert_int_equal(sn_sentences(text, strlen(text), "en", most, &spans, err), SN_OK);
		for (int i = 0; i < spans.count; i++) {
			const sn_span *span = &spans.items[i];
			assert_true(span->begin >= end && span->end > span->begin && span->end - span->begin <= most);
			assert_int_equal(span->sentence_end, i + 1 == spans.count);
			for (size_t k = end; k < span->begin; k++)
				assert_int_equal(text[k], ' ');
			const char *number = strstr(text, "1,000.50");
			assert_false(text + span->end > number && text + span->end < number + 8);
			letters += span->end - span->begin;
			end = span->end;
		}
		assert_int_equal(end, strlen(text));
		sn_spans_free(&spans);
	}
	sn_spans spans;
	assert_int_equal(sn_sentences("Hello there, my friend who came, today", 38, "en", 36, &spans, err), SN_OK);
	assert_int_equal(spans.items[0].end, strlen("Hello there, my friend who came,"));
	sn_spans_free(&spans);
}

static void sentences_refuse(void **state) {
	char err[SN_ERRLEN] = "";
	sn_spans spans;
	expect_failure(sn_sentences("ab\xff", 3, NULL, 100, &spans, err), SN_E_FORMAT, err, "byte 2");
	expect_failure(sn_sentences("ab", 2, NULL, 15, &spans, err), SN_E_ARGUMENT, err, "15 bytes");
}

static void expect_clean(const char *text, size_t size, const char *expected, size_t removed) {
	char err[SN_ERRLEN] = "";
	sn_text_facts facts;
	sn_buf clean;
	sn_buf_init(&clean, SN_TEXT_MAX);
	if (sn_text_validate(text, size, &clean, &facts, err) != SN_OK)
		fail_msg("%s", err);
	assert_string_equal(clean.data, expected);
	assert_int_equal(facts.removed, removed);
	sn_buf_free(&clean);
}

static void expect_unspeakable(const char *text, size_t size, int code, const char *says) {
	char err[SN_ERRLEN] = "";
	sn_buf clean;
	sn_buf_init(&clean, SN_TEXT_MAX);
	expect_failure(sn_text_validate(text, size, &clean, NULL, err), code, err, says);
	sn_buf_free(&clean);
}

static void validation(void **state) {
	expect_clean("Grüße, 日本 😀\t3\n", strlen("Grüße, 日本 😀\t3\n"), "Grüße, 日本 😀\t3\n", 0);
	expect_clean("a\0b\033[1mc\r\nd\re\x7f", 14, "ab[1mc\nd\ne", 3);
	expect_clean("\ufeffhi\u202e", 8, "hi", 2);
	expect_unspeakable("", 0, SN_E_ARGUMENT, "empty");
	expect_unspeakable(" \n\t", 3, SN_E_ARGUMENT, "white space");
	expect_unspeakable("\001\002 ", 3, SN_E_ARGUMENT, "2 control characters");
	expect_unspeakable("😀😀!", 9, SN_E_ARGUMENT, "2 emoji and 1 other");
	expect_unspeakable("ok\xc3", 3, SN_E_FORMAT, "offset 2");
	expect_unspeakable("ok \xed\xa0\x80", 6, SN_E_FORMAT, "offset 3");
	char *big = malloc(SN_TEXT_MAX + 1);
	memset(big, 'a', SN_TEXT_MAX + 1);
	expect_unspeakable(big, SN_TEXT_MAX + 1, SN_E_LIMIT, "1048577 bytes");
	big[SN_TEXT_MAX] = 0;
	expect_clean(big, SN_TEXT_MAX, big, 0);
	free(big);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentences),
		cmocka_unit_test(numbers_and_abbreviations_stay_whole),
		cmocka_unit_test(the_next_word_decides),
		cmocka_unit_test(lines_and_paragraphs),
		cmocka_unit_test(signs_join_their_neighbours),
		cmocka_unit_test(long_sentences_are_cut),
		cmocka_unit_test(sentences_refuse),
		cmocka_unit_test(validation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
