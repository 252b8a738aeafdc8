#include "text/numbers_internal.h"

#include "text/utf8.h"

#include <stdio.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uloc.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

#define MAX_WORDS 2048 /* UTF-16 units of one number */

void speller_init(speller *s, const char *language) {
	UErrorCode status = U_ZERO_ERROR;
	*s = (speller){ 0 };
	if (!language || !*language)
		language = "en";
	int32_t length = uloc_getLanguage(language, s->locale, sizeof s->locale, &status);
	if (U_FAILURE(status) || length < 2 || length >= (int32_t)sizeof s->locale)
		*s->locale = 0;
	s->english = strcmp(s->locale, "en") == 0;
	s->group = ',';
	s->point = '.';
}

void speller_free(speller *s) {
	if (s->format)
		unum_close(s->format);
	*s = (speller){ 0 };
}

/* A locale that ICU does not know gets another one's rules, which are of no use here. */
static void open_format(speller *s) {
	UErrorCode status = U_ZERO_ERROR;
	char found[16] = "";
	s->opened = 1;
	if (!*s->locale)
		return;
	s->format = unum_open(UNUM_SPELLOUT, NULL, 0, s->locale, NULL, &status);
	if (U_FAILURE(status)) {
		s->format = NULL;
		return;
	}
	const char *valid = unum_getLocaleByType(s->format, ULOC_VALID_LOCALE, &status);
	uloc_getLanguage(valid ? valid : "", found, sizeof found, &status);
	if (U_FAILURE(status) || strcmp(found, s->locale) != 0) {
		unum_close(s->format);
		s->format = NULL;
	}
}

static void set_form(speller *s, spell_form form) {
	UChar rules[32];
	UErrorCode status = U_ZERO_ERROR;
	u_uastrcpy(rules, form == SPELL_ORDINAL ? "%spellout-ordinal" : "%spellout-numbering");
	if (s->english)
		unum_setTextAttribute(s->format, UNUM_DEFAULT_RULESET, rules, -1, &status);
}

int spell(speller *s, sn_buf *out, const char *number, size_t size, spell_form form) {
	UChar words[MAX_WORDS];
	UErrorCode status = U_ZERO_ERROR;
	if (!s->opened)
		open_format(s);
	if (!s->format)
		return 0;
	set_form(s, form);
	int32_t count = unum_formatDecimal(s->format, number, (int32_t)size, words, MAX_WORDS, NULL, &status), c;
	if (U_FAILURE(status) || count >= MAX_WORDS)
		return 0;
	for (int32_t i = 0; i < count;) { /* ICU gives digits where it has no words */
		U16_NEXT(words, i, count, c);
		if (u_isdigit(c))
			return 0;
	}
	for (int32_t i = 0; i < count;) {
		U16_NEXT(words, i, count, c);
		if (c != 0xad) /* a soft hyphen */
			sn_utf8_add(out, c);
	}
	return 1;
}

int spell_int(speller *s, sn_buf *out, int64_t number, spell_form form) {
	char text[32];
	int length = snprintf(text, sizeof text, "%lld", (long long)number);
	return spell(s, out, text, (size_t)length, form);
}

int spell_digits(speller *s, sn_buf *out, const char *digits, size_t size) {
	for (size_t i = 0; i < size; i++) {
		if (i)
			sn_buf_text(out, " ");
		if (!spell(s, out, digits + i, 1, SPELL_CARDINAL))
			return 0;
	}
	return 1;
}

int spell_year(speller *s, sn_buf *out, int year) {
	int rest = year % 100;
	if (year >= 2000 && year < 2010)
		return spell_int(s, out, year, SPELL_CARDINAL);
	spell_int(s, out, year / 100, SPELL_CARDINAL);
	sn_buf_text(out, rest == 0 ? " hundred" : rest < 10 ? " oh " : " ");
	return rest == 0 || spell_int(s, out, rest, SPELL_CARDINAL);
}
