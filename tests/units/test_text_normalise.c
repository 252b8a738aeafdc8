/* Written text as it is spoken: the table of readings, say-as, where pieces went, what is left out. */
#include "test_text.h"

#include "text/cleaners.h"
#include "text/normalise.h"
#include "text/numbers.h"
#include "text/sentences.h"

#include <pthread.h>

static char *read_as(const char *language, const char *text, sn_normal_map *map) {
	char err[SN_ERRLEN] = "";
	sn_normaliser *n;
	sn_buf out;
	sn_buf_init(&out, 1 << 20);
	if (sn_normaliser_open(&n, language, err) != SN_OK || sn_normalise(n, text, strlen(text), &out, map, err) != SN_OK)
		fail_msg("%s", err);
	sn_normaliser_close(&n);
	char *read = sn_buf_take(&out, NULL);
	return read ? read : strdup("");
}

static void expect_read(const char *language, const char *text, const char *expected) {
	char *read = read_as(language, text, NULL);
	assert_string_equal(read, expected);
	free(read);
}

/* ---- the table ---- */

typedef struct table {
	char language[16];
	sn_normaliser *n;
	int cases, wrong;
} table;

static char *read_row(table *t, const char *language, const char *text) {
	char err[SN_ERRLEN] = "";
	sn_buf out;
	sn_buf_init(&out, 1 << 20);
	if (strcmp(t->language, language) != 0) {
		sn_normaliser_close(&t->n);
		snprintf(t->language, sizeof t->language, "%s", language);
		assert_int_equal(sn_normaliser_open(&t->n, language, err), SN_OK);
	}
	if (sn_normalise(t->n, text, strlen(text), &out, NULL, err) != SN_OK)
		fail_msg("%s: %s", text, err);
	char *read = sn_buf_take(&out, NULL);
	return read ? read : strdup("");
}

static void each_row(table *t, void (*use)(table *, const char *language, const char *text, const char *expected)) {
	char line[4096];
	FILE *file = fopen(FIXTURES "text/normalise.tsv", "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = 0;
		char *text = strchr(line, '\t'), *expected = text ? strchr(text + 1, '\t') : NULL;
		if (*line == '#' || !expected)
			continue;
		*text++ = *expected++ = 0;
		use(t, line, text, expected);
	}
	fclose(file);
	sn_normaliser_close(&t->n);
}

static void compare(table *t, const char *language, const char *text, const char *expected) {
	char *read = read_row(t, language, text);
	t->cases++;
	if (strcmp(read, expected) != 0) {
		t->wrong++;
		fprintf(stderr, "# %s: \"%s\" is read \"%s\", not \"%s\"\n", language, text, read, expected);
	}
	free(read);
}

static void readings(void **state) {
	table t = { 0 };
	each_row(&t, compare);
	assert_true(t.cases >= 300);
	assert_int_equal(t.wrong, 0);
	expect_read("en", "I said no. 5 people left.", "I said no. five people left."); /* two sentences in one text */
}

/* What has been read is read again as itself, and the readers inside models find nothing more to read. */
static void compare_again(table *t, const char *language, const char *text, const char *expected) {
	char err[SN_ERRLEN] = "";
	sn_buf out;
	int own = strncmp(language, "en", 2) == 0 || strcmp(language, "de") == 0 || strcmp(language, "fr") == 0 ||
	    strcmp(language, "es") == 0;
	char *read = read_row(t, language, expected);
	if (own && strcmp(read, expected) != 0) {
		t->wrong++;
		fprintf(stderr, "# %s: \"%s\" is read again as \"%s\"\n", language, expected, read);
	}
	free(read);
	sn_buf_init(&out, 1 << 20);
	if (own && (sn_text_numbers(&out, expected, strlen(expected), language, err) != SN_OK || strcmp(out.data, expected) != 0)) {
		t->wrong++;
		fprintf(stderr, "# %s: a model's reader makes \"%s\" of \"%s\"\n", language, out.data, expected);
	}
	sn_buf_free(&out);
}

static void read_once(void **state) {
	table t = { 0 };
	each_row(&t, compare_again);
	assert_int_equal(t.wrong, 0);
}

/* The texts of the table are one sentence each: no number or abbreviation is cut. */
static void expect_whole(table *t, const char *language, const char *text, const char *expected) {
	char err[SN_ERRLEN] = "";
	sn_spans spans;
	assert_int_equal(sn_sentences(text, strlen(text), language, 400, &spans, err), SN_OK);
	if (spans.count > 1) {
		t->wrong++;
		fprintf(stderr, "# %s: \"%s\" is cut behind \"%.*s\"\n", language, text, (int)spans.items[0].end, text);
	}
	sn_spans_free(&spans);
}

static void kept_whole(void **state) {
	table t = { 0 };
	each_row(&t, expect_whole);
	assert_int_equal(t.wrong, 0);
}

/* ---- say-as ---- */

static void expect_say(const char *language, const char *kind, const char *format, const char *detail, const char *text, int code,
    const char *expected) {
	char err[SN_ERRLEN] = "";
	sn_normaliser *n;
	sn_buf out;
	sn_buf_init(&out, 1 << 16);
	assert_int_equal(sn_normaliser_open(&n, language, err), SN_OK);
	int result = sn_say_as(n, kind, format, detail, text, strlen(text), &out, NULL, err);
	if (result != code || strcmp(out.data ? out.data : "", expected) != 0)
		fail_msg("%s %s \"%s\": %d \"%s\" (%s), not \"%s\"", language, kind, text, result, out.data, err, expected);
	assert_int_equal(code != SN_OK, *err != 0);
	sn_buf_free(&out);
	sn_normaliser_close(&n);
}

static void say_as(void **state) {
	expect_say("en", "cardinal", NULL, NULL, "1984", SN_OK, "one thousand nine hundred eighty-four");
	expect_say("en", "cardinal", NULL, NULL, "-12.5", SN_OK, "minus twelve point five");
	expect_say("en", "cardinal", NULL, NULL, "XIV", SN_OK, "fourteen");
	expect_say("en", "ordinal", NULL, NULL, "21", SN_OK, "twenty-first");
	expect_say("de", "ordinal", NULL, NULL, "3", SN_OK, "dritte");
	expect_say("en", "characters", NULL, NULL, "B-52 x", SN_OK, "B dash five two, X");
	expect_say("en", "characters", NULL, "3 3", "ABCDEF", SN_OK, "A.B.C, D.E.F");
	expect_say("en", "spell-out", NULL, NULL, "ABC", SN_OK, "A.B.C");
	expect_say("en", "verbatim", NULL, NULL, "a1 cd", SN_OK, "A one, C.D");
	expect_say("de", "characters", NULL, NULL, "ABC", SN_OK, "A B C");
	expect_say("fr", "spell-out", NULL, NULL, "été", SN_OK, "é T é");
	expect_say("en", "digits", NULL, NULL, "1984", SN_OK, "one nine eight four");
	expect_say("en", "date", "dmy", NULL, "3/5/2024", SN_OK, "May third, twenty twenty-four");
	expect_say("en", "date", "mdy", NULL, "3/5/24", SN_OK, "March fifth, twenty twenty-four");
	expect_say("en", "date", "ymd", NULL, "20240305", SN_OK, "March fifth, twenty twenty-four");
	expect_say("en", "date", "my", NULL, "3/2024", SN_OK, "March twenty twenty-four");
	expect_say("de", "date", "dm", NULL, "5.3.", SN_OK, "fünfter März");
	expect_say("de", "date", "dmy", NULL, "5.3.2024", SN_OK, "fünfter März zweitausendvierundzwanzig");
	expect_say("en", "date", "mdy", NULL, "13/45/2024", SN_AGAIN, "thirteen slash forty-five slash two thousand twenty-four");
	expect_say("en", "time", "hms12", NULL, "2:30pm", SN_OK, "two thirty P.M");
	expect_say("en", "duration", NULL, NULL, "1:21:05", SN_OK, "one hour twenty-one minutes five seconds");
	expect_say("de", "duration", NULL, NULL, "1'21\"", SN_OK, "eine Minute einundzwanzig Sekunden");
	expect_say("en", "telephone", "1", NULL, "555-1234", SN_OK, "one, five five five, one two three four");
	expect_say("en", "telephone", NULL, "punctuation", "555-1234", SN_OK, "five five five dash, one two three four");
	expect_say("en", "currency", NULL, NULL, "USD45.30", SN_OK, "forty-five dollars and thirty cents");
	expect_say("en", "unit", NULL, NULL, "10 ft", SN_OK, "ten feet");
	expect_say("en", "fraction", NULL, NULL, "3/64", SN_OK, "three sixty-fourths");
	expect_say("en", "fraction", NULL, NULL, "1+1/2", SN_OK, "one and a half");
	expect_say("en", "address", NULL, NULL, "150th St.", SN_OK, "one hundred fiftieth Street.");
	expect_say("en", "expletive", NULL, NULL, "damn", SN_OK, "bleep");
	expect_say("en", "verbatim", NULL, NULL, "abc", SN_OK, "A.B.C");
	expect_say("en", "no-such-kind", NULL, NULL, "5 km", SN_AGAIN, "five kilometers");
	expect_say("xx", "cardinal", NULL, NULL, "5", SN_AGAIN, "5");
}

/* ---- where pieces went; what is left out ---- */

static void maps(void **state) {
	const char *text = "At 5 km, 20 then x.";
	sn_normal_map map = { 0 };
	char *read = read_as("en", text, &map);
	assert_string_equal(read, "At five kilometers, twenty then x.");
	for (int i = 0; i < map.count; i++) { /* nothing is left out */
		assert_int_equal(map.items[i].from, i ? map.items[i - 1].to : 0);
		assert_int_equal(map.items[i].begin, i ? map.items[i - 1].end : 0);
	}
	assert_int_equal(map.items[map.count - 1].to, strlen(text));
	assert_int_equal(map.items[map.count - 1].end, strlen(read));
	assert_int_equal(map.read, 2);
	assert_int_equal(sn_normal_map_at(&map, 1), 1);
	assert_int_equal(sn_normal_map_at(&map, 5), 3);                                           /* "km" is in "five kilometers" */
	assert_string_equal(read + sn_normal_map_at(&map, strstr(text, "then") - text), "then x."); /* exact where nothing was read */
	free(read);
	sn_normal_map_free(&map);
}

static void counts(void **state) {
	sn_normal_map map = { 0 };
	char *read = read_as("en", "I \xf0\x9f\x91\xa9\xf0\x9f\x8f\xbd\xe2\x80\x8d\xf0\x9f\x92\xbb you \xe2\x98\x85 \xe2\x98\x85!", &map);
	assert_string_equal(read, "I you !");
	assert_int_equal(map.unspoken, 3);                                      /* a person with skin and a computer is one */
	assert_string_equal(map.sample, "\xf0\x9f\x91\xa9\xe2\x98\x85");        /* each once */
	free(read);
	sn_normal_map_free(&map);
	read = read_as("qq", "12 and 345", &map);
	assert_string_equal(read, "12 and 345");
	assert_int_equal(map.digits, 5);
	free(read);
	sn_normal_map_free(&map);
	expect_read(NULL, "", "");
	expect_read("not a language", "25", "25");
	expect_read("en-us", "3/5/2024", "March fifth, twenty twenty-four");
	expect_read("fr_FR", "1 234,5", "mille deux cent trente-quatre virgule cinq");
}

/* For models that read them: words in capitals and the signs of a song stay, all else is read. */
static void emphasis_stays(void **state) {
	static const char text[] = "♪ WHO ate 12 pies at 5 PM? It was SO BAD, Dr. NASA! ★ ♪";
	char err[SN_ERRLEN] = "";
	sn_normaliser *n;
	sn_normal_map map = { 0 };
	sn_buf out;
	sn_buf_init(&out, 1 << 16);
	assert_int_equal(sn_normaliser_open(&n, "en", err), SN_OK);
	sn_normaliser_keep_emphasis(n);
	assert_int_equal(sn_normalise(n, text, strlen(text), &out, &map, err), SN_OK);
	assert_string_equal(out.data, "♪ WHO ate twelve pies at five P.M? It was SO BAD, Doctor NASA! ♪");
	assert_int_equal(map.unspoken, 1); /* the star */
	sn_normal_map_free(&map);
	sn_buf_free(&out);
	sn_normaliser_close(&n);
}

static void refuses(void **state) {
	char err[SN_ERRLEN] = "";
	sn_normaliser *n;
	sn_buf out;
	assert_int_equal(sn_normaliser_open(&n, "en", err), SN_OK);
	assert_string_equal(sn_normaliser_language(n), "en");
	assert_int_equal(sn_normaliser_level(n), 2);
	sn_buf_init(&out, 32);
	sn_buf_text(&out, "before");
	expect_failure(sn_normalise(n, "a\xff 5", 4, &out, NULL, err), SN_E_FORMAT, err, "byte 1");
	expect_failure(sn_normalise(n, "777777777", 9, &out, NULL, err), SN_E_LIMIT, err, "more than 32 bytes");
	sn_buf_free(&out);
	sn_buf_init(&out, (size_t)16 << 20);
	char *many = malloc(SN_NORMAL_MAX + 1);
	memset(many, '5', SN_NORMAL_MAX + 1);
	expect_failure(sn_normalise(n, many, SN_NORMAL_MAX + 1, &out, NULL, err), SN_E_LIMIT, err, "at most");
	assert_int_equal(sn_normalise(n, many, 10000, &out, NULL, err), SN_OK); /* digit by digit, bounded */
	assert_true(out.size < 10000 * SN_NORMAL_GROWTH);
	free(many);
	sn_buf_free(&out);
	sn_normaliser_close(&n);
	sn_normaliser_close(&n);
}

/* ---- one object, many threads ---- */

static void *read_often(void *context) {
	char err[SN_ERRLEN] = "";
	long wrong = 0;
	for (int i = 0; i < 200; i++) {
		sn_buf out;
		sn_buf_init(&out, 4096);
		if (sn_normalise(context, "Am 3. Mai 2024 um 14:30 Uhr: 5 km, 5,20 € und 12,5 %.",
		    strlen("Am 3. Mai 2024 um 14:30 Uhr: 5 km, 5,20 € und 12,5 %."), &out,
		                 NULL, err) != SN_OK ||
		    strcmp(out.data, "Am dritten Mai zweitausendvierundzwanzig um vierzehn Uhr dreißig: fünf Kilometer, fünf Euro zwanzig Cent und zwölf Komma "
		                     "fünf Prozent.") != 0)
			wrong++;
		sn_buf_free(&out);
	}
	return (void *)wrong;
}

static void threads(void **state) {
	char err[SN_ERRLEN] = "";
	sn_normaliser *n;
	pthread_t all[4];
	assert_int_equal(sn_normaliser_open(&n, "de", err), SN_OK);
	for (int i = 0; i < 4; i++)
		pthread_create(&all[i], NULL, read_often, n);
	for (int i = 0; i < 4; i++) {
		void *wrong;
		pthread_join(all[i], &wrong);
		assert_null(wrong);
	}
	sn_normaliser_close(&n);
}

int main(void) {
	const struct CMUnitTest tests[] = { cmocka_unit_test(readings), cmocka_unit_test(read_once), cmocka_unit_test(kept_whole),
	    cmocka_unit_test(say_as), cmocka_unit_test(maps),
		                                cmocka_unit_test(counts), cmocka_unit_test(emphasis_stays), cmocka_unit_test(refuses), cmocka_unit_test(threads) };
	return cmocka_run_group_tests_name("text normalise", tests, NULL, NULL);
}
