/* Numbers as words. */
#include "test_text.h"

#include "text/numbers.h"

static int read_any(sn_buf *out, const char *text, const char *language, char *err) {
	return language && strcmp(language, "speecht5") == 0 ? sn_text_numbers_speecht5(out, text, strlen(text), err)
	                                                     : sn_text_numbers(out, text, strlen(text), language, err);
}

static void expect_read(const char *language, const char *text, const char *expected) {
	char err[SN_ERRLEN] = "";
	sn_buf out;
	sn_buf_init(&out, 1 << 16);
	if (read_any(&out, text, language, err) != SN_OK)
		fail_msg("%s", err);
	assert_string_equal(out.data ? out.data : "", expected);
	sn_buf_free(&out);
}

static void english_numbers(void **state) {
	expect_read("en", "I have 3 cats, 21 dogs and 1,234,567 ants.",
	            "I have three cats, twenty-one dogs and one million two hundred thirty-four thousand five hundred sixty-seven ants.");
	expect_read("en-us", "Pi is 3.14, not 3.0.", "Pi is three point one four, not three point zero.");
	expect_read(NULL, "0 and 007 and -5", "zero and zero zero seven and minus five");
	expect_read("en", "the 1st, 2nd, 3rd and 112th", "the first, second, third and one hundred twelfth");
	expect_read("en", "50% of 2.5 % are 12345678901234567890", "fifty percent of two point five percent are one two three four five six seven eight nine "
	                                                           "zero one two three four five six seven eight nine zero");
	expect_read("en", "1/2 cup, 3/4 cup, 2/3 of it", "one half cup, three quarters cup, two thirds of it");
	expect_read("en", "pages 10–20, #7, No. 5", "pages ten to twenty, number seven, number five");
	expect_read("en", "mp3 and 3D", "mp three and three D");
	expect_read("en", "no numbers here", "no numbers here");
	expect_read("en", "", "");
}

static void years_dates_and_times(void **state) {
	expect_read("en", "In 1984, 1905, 2000, 2005, 2024 and 1900.",
	            "In nineteen eighty-four, nineteen oh five, two thousand, two thousand five, twenty twenty-four and nineteen hundred.");
	expect_read("en", "the 1980s", "the nineteen eighties");
	expect_read("en", "January 5, 2024 and Feb. 29", "January fifth, twenty twenty-four and February twenty-ninth");
	expect_read("en", "2024-01-15 or 1/15/2024", "January fifteenth, twenty twenty-four or January fifteenth, twenty twenty-four");
	expect_read("en", "at 10:30, 9:05 pm, 14:00 and 7:00 a.m. sharp", "at ten thirty, nine oh five p m, fourteen hundred and seven a m sharp");
}

static void money_units_and_titles(void **state) {
	expect_read("en", "$5.20, $1, $0.99 and $1.5 million", "five dollars twenty cents, one dollar, ninety-nine cents and one point five million dollars");
	expect_read("en", "5.20 EUR, 100 € and £2.01", "five euros twenty cents, one hundred euros and two pounds one penny");
	expect_read("en", "5 km, 1kg, 20°C and 100 km/h", "five kilometers, one kilogram, twenty degrees Celsius and one hundred kilometers per hour");
	expect_read("en", "Dr. Smith and Mrs. Jones vs. St. Mary", "Doctor Smith and Missus Jones versus Saint Mary");
}

static void other_languages(void **state) {
	expect_read("de", "Es sind 1.234 oder 3,14 und 50 %.", "Es sind eintausendzweihundertvierunddreißig oder drei Komma eins vier und fünfzig Prozent.");
	expect_read("fr-fr", "J'ai 21 chats.", "J'ai vingt-et-un chats.");
	expect_read("pt-br", "21", "vinte e um");
	expect_read("es", "1984", "mil novecientos ochenta y cuatro");
	expect_read("haw", "25 keiki", "25 keiki"); /* ICU has no words for it */
	expect_read("not a language", "25", "25");
}

static void refuses(void **state) {
	char err[SN_ERRLEN] = "";
	sn_buf out;
	sn_buf_init(&out, 8);
	expect_failure(sn_text_numbers(&out, "a\xff 5", 4, "en", err), SN_E_FORMAT, err, "byte 1");
	sn_buf_free(&out);
	sn_buf_init(&out, 8);
	expect_failure(sn_text_numbers(&out, "77777777", 8, "en", err), SN_E_LIMIT, err, "more than 8 bytes");
	sn_buf_free(&out);
}

/* Cases are what transformers' EnglishNumberNormalizer gives, but for zeros, which it drops. */
static void speecht5(void **state) {
	json_t *cases = load_json(FIXTURES "text/speecht5_numbers.json"), *entry;
	size_t i;
	json_array_foreach(cases, i, entry)
		expect_read("speecht5", text_of(entry, "text"), text_of(entry, "read"));
	json_decref(cases);
	expect_read("speecht5", "0 and 0.5", "zero and zero point five");
	expect_read("speecht5", "1,000,000", "one million");
}

int main(void) {
	const struct CMUnitTest tests[] = { cmocka_unit_test(english_numbers), cmocka_unit_test(years_dates_and_times), cmocka_unit_test(money_units_and_titles),
		                                cmocka_unit_test(other_languages), cmocka_unit_test(refuses), cmocka_unit_test(speecht5) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
