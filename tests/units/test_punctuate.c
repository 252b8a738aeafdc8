/* Marks and capitals by rules: a table of words with pauses, and what is written. */
#include "speech/punctuate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST 64

/* Words stand 0.05 s apart; "/" is a pause of 0.4 s, "//" of 0.9 s, "|" the end of a segment with one of 0.6 s behind it. */
typedef struct row { const char *language, *words, *expected; } row;

static const row rows[] = {
	{ "en", "AND SO MY FELLOW AMERICANS / ASK NOT WHAT YOUR COUNTRY CAN DO FOR YOU // ASK WHAT YOU CAN DO FOR YOUR COUNTRY",
	  "And so my fellow Americans, ask not what your country can do for you. Ask what you can do for your country." },
	{ "en", "what's the weather like in new york on tuesday // i think it's cold", "What's the weather like in New York on Tuesday? I think it's cold." },
	{ "en", "how many people live in germany // about eighty million", "How many people live in Germany? About eighty million." },
	{ "en", "when i was young i lived in the // united states", "When I was young I lived in the United States." },
	{ "en", "do you speak french // yes i do / and my wife speaks english", "Do you speak French? Yes I do, and my wife speaks English." },
	{ "en", "the u s a is large // plan b is mister smith's idea", "The USA is large. Plan B is Mister Smith's idea." },
	{ "en", "it may rain in may and you may march in march", "It may rain in May and you may march in March." },
	{ "en", "no", "No." },
	{ "en", "where the river ends there is a town", "Where the river ends there is a town." },
	{ "en", "he came home | and slept // turkey is a bird", "He came home, and slept. Turkey is a bird." },
	{ "de", "wo wohnst du // ich wohne seit januar in deutschland / aber am montag bin ich in london",
	  "Wo wohnst du? Ich wohne seit Januar in Deutschland, aber am Montag bin ich in London." },
	{ "de", "können sie mir helfen // das ist der // hund", "Können sie mir helfen? Das ist der hund." },
	{ "fr", "comment allez vous // je suis en france depuis lundi / mais je pars", "Comment allez vous? Je suis en France depuis lundi, mais je pars." },
	{ "es", "dónde está la biblioteca // no lo sé / pero vivo en españa", "¿Dónde está la biblioteca? No lo sé, pero vivo en España." },
	{ "es", "por qué no // porque no quiero", "¿Por qué no? Porque no quiero." },
	{ "it", "come stai // sto bene / grazie // sono di roma", "Come stai? Sto bene, grazie. Sono di Roma." },
	{ "pt", "onde fica a estação // não sei / mas ela é em portugal", "Onde fica a estação? Não sei, mas ela é em Portugal." },
	{ "nl", "hoe gaat het met je // ijsland is mooi // ijs ook", "Hoe gaat het met je? IJsland is mooi. IJs ook." },
	{ "sv", "vad heter du // jag bor i sverige", "Vad heter du? Jag bor i Sverige." },
	{ "ru", "почему ты молчишь // я живу в россии", "Почему ты молчишь? Я живу в россии." },
	{ "tr", "istanbul güzel // izmir de", "İstanbul güzel. İzmir de." },
	{ "hi", "मैं ठीक हूँ // आप कहाँ हैं", "मैं ठीक हूँ। आप कहाँ हैं।" },
	{ "ar", "أنا بخير / شكرا // إلى اللقاء", "أنا بخير، شكرا. إلى اللقاء." },
	{ "ko", "안녕하세요 // 어디에 가십니까", "안녕하세요. 어디에 가십니까?" },
	{ "eng", "i am here", "I am here." },
	{ "xx", "aba i // kodu", "Aba i. Kodu." },
	{ "", "aba // kodu", "Aba. Kodu." },
};

typedef struct speech {
	char text[4096];
	sn_word words[MOST];
	sn_segment segments[8];
	int count;
} speech;

/* Segments of the row; spaceless words are cut by hand with spaces, too. */
static void make(speech *s, const char *words) {
	static const int32_t token = 7;
	double at = 1;
	int first = 0, n = 0;
	snprintf(s->text, sizeof s->text, "%s", words);
	s->count = 0;
	for (char *w = strtok(s->text, " "); w; w = strtok(NULL, " ")) {
		if (*w == '/' || *w == '|')
			at += *w == '|' ? 0.55 : w[1] ? 0.85 : 0.35;
		if (*w == '|') {
			s->segments[s->count++] = (sn_segment){ .words = s->words + first, .word_count = n - first };
			first = n;
		}
		if (*w == '/' || *w == '|')
			continue;
		s->words[n++] = (sn_word){ .start = at, .end = at + 0.2, .text = w, .confidence = 0.5f };
		at += 0.25;
	}
	s->segments[s->count++] = (sn_segment){ .words = s->words + first, .word_count = n - first };
	for (int i = 0; i < s->count; i++) {
		s->segments[i].id = i;
		s->segments[i].tokens = &token;
		s->segments[i].token_count = 1;
	}
}

/* Texts of all segments; checks that each begins and ends where it did, and that its words make its text. */
static void write_all(sn_punctuator *p, const speech *s, char out[4096]) {
	const sn_segment *segment;
	int result = SN_OK, given = 0;
	*out = 0;
	for (int i = 0; i < s->count; i++)
		assert_int_equal(sn_punctuator_add(p, &s->segments[i], NULL), SN_OK);
	sn_punctuator_end(p);
	while (result == SN_OK) {
		while (sn_punctuator_next(p, &segment)) {
			const sn_segment *const in = &s->segments[given++];
			char joined[4096] = "";
			assert_int_equal(segment->tokens[0], 7);
			assert_true(segment->words[0].start == in->words[0].start);
			assert_true(segment->words[segment->word_count - 1].end == in->words[in->word_count - 1].end);
			for (int i = 0; i < segment->word_count; i++) {
				strcat(joined, i || segment->id ? " " : "");
				strcat(joined, segment->words[i].text);
			}
			assert_string_equal(joined, segment->text);
			strcat(out, segment->text);
		}
		result = sn_punctuator_work(p, NULL);
	}
	assert_int_equal(result, SN_END);
	assert_int_equal(given, s->count);
}

static void texts_of_many_languages(void **state) {
	(void)state;
	static speech s;
	char out[4096];
	int failed = 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		sn_punctuator *p;
		const sn_punctuator_options o = { .language = rows[i].language, .space = " " };
		assert_int_equal(sn_punctuator_open(&p, &o, NULL), SN_OK);
		make(&s, rows[i].words);
		write_all(p, &s, out);
		if (strcmp(out, rows[i].expected) != 0) {
			print_error("%s: \"%s\"\n  expected \"%s\"\n", rows[i].language, out, rows[i].expected);
			failed++;
		}
		sn_punctuator_close(&p);
	}
	assert_int_equal(failed, 0);
}

/* Scripts without spaces: words are letters. */
static void letters_without_spaces(void **state) {
	(void)state;
	static speech s;
	char out[4096];
	sn_punctuator *p;
	assert_int_equal(sn_punctuator_open(&p, &(sn_punctuator_options){ .language = "zh", .space = "" }, NULL), SN_OK);
	make(&s, "你 好 吗 // 我 很 好 / 谢 谢");
	const sn_segment *segment;
	assert_int_equal(sn_punctuator_add(p, &s.segments[0], NULL), SN_OK);
	sn_punctuator_end(p);
	*out = 0;
	while (sn_punctuator_work(p, NULL) == SN_OK)
		while (sn_punctuator_next(p, &segment))
			strcat(out, segment->text);
	assert_string_equal(out, "你好吗？我很好，谢谢。");
	sn_punctuator_close(&p);
}

/* Letters that have both cases stay as they are. */
static void letters_of_both_cases_are_kept(void **state) {
	(void)state;
	static speech s;
	char out[4096];
	sn_punctuator *p;
	assert_int_equal(sn_punctuator_open(&p, &(sn_punctuator_options){ .language = "de", .space = " ", .keep = 1 }, NULL), SN_OK);
	make(&s, "das Haus von McDonald // im januar");
	write_all(p, &s, out);
	assert_string_equal(out, "Das Haus von McDonald. Im januar.");
	sn_punctuator_close(&p);
}

/* A long stream: what is given out is forgotten, so memory does not grow; words longer than any buffer pass. */
static void long_streams(void **state) {
	(void)state;
	static speech s;
	static char word[20000];
	const sn_segment *segment;
	sn_punctuator *p;
	int given = 0;
	assert_int_equal(sn_punctuator_open(&p, &(sn_punctuator_options){ .language = "en", .space = " " }, NULL), SN_OK);
	memset(word, 'X', sizeof word - 1);
	for (int i = 0; i < 5000; i++) {
		make(&s, "one two three");
		s.words[1].text = i % 1000 ? "two" : word;
		s.segments[0].id = i;
		assert_int_equal(sn_punctuator_add(p, &s.segments[0], NULL), SN_OK);
		while (sn_punctuator_work(p, NULL) == SN_OK)
			while (sn_punctuator_next(p, &segment))
				given++;
	}
	assert_int_equal(given, 4999); /* the last waits for what follows */
	sn_punctuator_close(&p);
	assert_null(p);
	sn_punctuator_close(&p);
}

static void too_much_at_once_is_refused(void **state) {
	(void)state;
	static speech s;
	char err[SN_ERRLEN] = "";
	sn_punctuator *p;
	int result = SN_OK;
	assert_int_equal(sn_punctuator_open(&p, &(sn_punctuator_options){ .language = "en", .space = " " }, NULL), SN_OK);
	make(&s, "one");
	for (int i = 0; i <= SN_PUNCTUATE_MAX_SEGMENTS && result == SN_OK; i++)
		result = sn_punctuator_add(p, &s.segments[0], err);
	assert_int_equal(result, SN_E_LIMIT);
	assert_non_null(strstr(err, "1024"));
	sn_punctuator_close(&p);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_of_many_languages),
		cmocka_unit_test(letters_without_spaces),
		cmocka_unit_test(letters_of_both_cases_are_kept),
		cmocka_unit_test(long_streams),
		cmocka_unit_test(too_much_at_once_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
