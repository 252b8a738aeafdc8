/* The library reads names and numbers the same way whatever locale the program that uses it has set. Makes locales by localedef; where
 * there is none, nothing is tested. */
#include "base/ascii.h"
#include "speech/languages.h"
#include "text/normalise.h"
#include "text/ssml.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/sonant-locale-XXXXXX";

static int setup(void **state) {
	char command[200];
	if (!mkdtemp(folder))
		return -1;
	for (int i = 0; i < 2; i++) {
		snprintf(command, sizeof command, "localedef -i %s -f UTF-8 %s/%s.UTF-8 >/dev/null 2>&1", i ? "tr_TR" : "de_DE", folder, i ? "tr_TR" : "de_DE");
		if (system(command) != 0)
			continue; /* the case is skipped */
	}
	return setenv("LOCPATH", folder, 1);
}

static int teardown(void **state) {
	char command[64];
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

static void use(const char *locale) {
	if (!setlocale(LC_ALL, locale))
		skip();
}

static int keep(void *payload, const sn_ssml_event *e, char *err) {
	if (e->kind == SN_SSML_BREAK_OF)
		*(double *)payload += e->seconds;
	return e->kind == SN_SSML_NOTE ? sn_fail(err, SN_E_FORMAT, "%.*s", (int)e->size, e->text) : SN_OK;
}

static void numbers_have_points(void **state) {
	static const char text[] = "<speak>a <break time=\"1.5s\"/> <prosody rate=\"0.9\" volume=\"+1.5DB\">b</prosody></speak>";
	char err[SN_ERRLEN] = "", *end;
	double seconds = 0;
	sn_ssml *ssml;
	use("de_DE.UTF-8");
	assert_true(strtod("1.5", NULL) == 1); /* the locale is in force */
	assert_true(sn_number("1.5s", &end) == 1.5 && *end == 's');
	assert_int_equal(sn_ssml_open(&ssml, keep, &seconds, err), SN_OK);
	if (sn_ssml_push(ssml, text, sizeof text - 1, 1, err) != SN_OK)
		fail_msg("%s", err);
	sn_ssml_close(&ssml);
	assert_true(fabs(seconds - 1.5) < 1e-9);
}

static void names_have_no_case(void **state) {
	char code[8] = "";
	use("tr_TR.UTF-8");
	assert_int_equal(sn_language_code("Italian", code, sizeof code), 1);
	assert_string_equal(code, "it");
	assert_int_equal(sn_language_code("FI", code, sizeof code), 1);
	assert_string_equal(code, "fi");
	assert_int_equal(sn_strcasecmp("INDONESIAN", "indonesian"), 0);
	assert_true(sn_strncasecmp("Ii", "iI?", 2) == 0 && sn_strcasecmp("i", "ii") < 0);
}

static void texts_are_read_alike(void **state) {
	static const char text[] = "It is 3.5 KM, i.e. 1,234.50 MILES, at HTTPS://INFO.example/I on 5 JUNE 2021.";
	char err[SN_ERRLEN] = "", *expected = NULL;
	static const char *const locales[] = { "C", "de_DE.UTF-8", "tr_TR.UTF-8" };
	for (int i = 0; i < 3; i++) {
		sn_normaliser *normaliser;
		sn_buf out;
		if (!setlocale(LC_ALL, locales[i]))
			continue;
		sn_buf_init(&out, 1 << 16);
		assert_int_equal(sn_normaliser_open(&normaliser, "en", err), SN_OK);
		assert_int_equal(sn_normalise(normaliser, text, sizeof text - 1, &out, NULL, err), SN_OK);
		if (!expected)
			expected = strdup(out.data);
		assert_string_equal(out.data, expected);
		sn_buf_free(&out);
		sn_normaliser_close(&normaliser);
	}
	free(expected);
}

int main(void) {
	const struct CMUnitTest tests[] = { cmocka_unit_test(numbers_have_points), cmocka_unit_test(names_have_no_case), cmocka_unit_test(texts_are_read_alike) };
	return cmocka_run_group_tests(tests, setup, teardown);
}
