/* Numbers as words and names of units and currencies, by ICU's rules. */
#include "text/normalise_internal.h"

#include "text/utf8.h"

#include <stdio.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

#define MAX_WORDS 2048 /* UTF-16 units of one number */
#define MAX_RULES 16384

/* The rule sets that a form takes, the best first. */
static const char *const wanted[NORM_FORMS][5] = {
	[NORM_NUMBER] = { "%spellout-numbering", "%spellout-cardinal" },
	[NORM_MASCULINE] = { "%spellout-cardinal-masculine", "%spellout-cardinal-common", "%spellout-cardinal", "%spellout-numbering" },
	[NORM_FEMININE] = { "%spellout-cardinal-feminine", "%spellout-cardinal-reale", "%spellout-cardinal", "%spellout-numbering" },
	[NORM_NEUTER] = { "%spellout-cardinal-neuter", "%spellout-cardinal-masculine", "%spellout-cardinal", "%spellout-numbering" },
	[NORM_DATIVE] = { "%spellout-cardinal-m", "%spellout-cardinal-masculine" },
	[NORM_DATIVE_FEMININE] = { "%spellout-cardinal-r", "%spellout-cardinal-feminine" },
	[NORM_YEAR] = { "%spellout-numbering-year", "%spellout-numbering" },
	[NORM_ORDINAL] = { "%spellout-ordinal-masculine", "%spellout-ordinal", "%spellout-ordinal-reale", "%digits-ordinal" },
	[NORM_ORDINAL_FEMININE] = { "%spellout-ordinal-feminine", "%spellout-ordinal" },
	[NORM_ORDINAL_PLURAL] = { "%spellout-ordinal-masculine-plural", "%spellout-ordinal-masculine", "%spellout-ordinal" },
	[NORM_ORDINAL_SHORT] = { "%spellout-ordinal-masculine-adjective", "%spellout-ordinal-masculine", "%spellout-ordinal" },
	[NORM_ORDINAL_N] = { "%spellout-ordinal-n", "%spellout-ordinal" },
	[NORM_ORDINAL_R] = { "%spellout-ordinal-r", "%spellout-ordinal" },
	[NORM_ORDINAL_S] = { "%spellout-ordinal-s", "%spellout-ordinal" },
	[NORM_ORDINAL_GENITIVE] = { "%spellout-ordinal-neuter-genitive", "%spellout-ordinal-masculine-genitive",
	    "%spellout-ordinal-masculine",
	                            "%spellout-ordinal" },
};

/* `sets` is a list with semicolons behind each. */
static int has_set(const char *sets, const char *name) {
	size_t length = strlen(name);
	for (const char *at = sets; (at = strstr(at, name)); at += length)
		if ((at == sets || at[-1] == ';') && at[length] == ';')
			return 1;
	return 0;
}

static void choose_rules(sn_normaliser *n, const char *sets) {
	int british = strcmp(n->language, "en") == 0 && !norm_listed("US CA PH", n->region, strlen(n->region)) && *n->region;
	for (int form = 0; form < NORM_FORMS; form++)
		for (int i = 0; i < 5 && wanted[form][i] && !n->rules[form][0]; i++) {
			char verbose[64]; /* one hundred and one */
			snprintf(verbose, sizeof verbose, "%s-verbose", wanted[form][i]);
			const char *name = british && has_set(sets, verbose) ? verbose : wanted[form][i];
			if (has_set(sets, name))
				u_uastrcpy(n->rules[form], name);
		}
}

/* ---- formatters of units and currencies ---- */

static UNumberFormatter *open_measure(const sn_normaliser *n, const char *name) {
	UErrorCode status = U_ZERO_ERROR;
	char skeleton[192];
	UChar wide[192];
	snprintf(skeleton, sizeof skeleton, "%s unit-width-full-name .###### group-off latin", name);
	u_uastrcpy(wide, skeleton);
	UNumberFormatter *format = unumf_openForSkeletonAndLocale(wide, -1, n->locale, &status);
	if (U_SUCCESS(status))
		return format;
	unumf_close(format);
	return NULL;
}

/* The kept formatter of that name; *made: to be closed by the caller. */
static UNumberFormatter *measure(sn_normaliser *n, const char *name, int *made) {
	*made = 0;
	for (int i = 0; i < n->measure_count; i++)
		if (strcmp(n->measures[i].name, name) == 0)
			return n->measures[i].format;
	UNumberFormatter *format = open_measure(n, name);
	if (!format)
		return NULL;
	*made = n->measure_count == NORM_MAX_MEASURES || strlen(name) >= sizeof n->measures[0].name;
	if (!*made) {
		norm_measure *kept = &n->measures[n->measure_count++];
		snprintf(kept->name, sizeof kept->name, "%s", name);
		kept->format = format;
	}
	return format;
}

/* ---- opening ---- */

int norm_spell_open(sn_normaliser *n, char *err) {
	UErrorCode status = U_ZERO_ERROR;
	char found[16] = "", sets[MAX_RULES];
	UChar wide[MAX_RULES / 2];
	n->result = unumf_openResult(&status);
	if (U_FAILURE(status))
		return sn_fail(err, SN_E_MEMORY, "out of memory for ICU's formatters");
	n->form = NORM_FORMS;
	n->spell = unum_open(UNUM_SPELLOUT, NULL, 0, n->locale, NULL, &status);
	if (status == U_FILE_ACCESS_ERROR)
		return sn_fail(err, SN_E_DEPENDENCY, "ICU's data are missing: install the package of libicu");
	const char *valid = U_SUCCESS(status) ? unum_getLocaleByType(n->spell, ULOC_VALID_LOCALE, &status) : NULL;
	uloc_getLanguage(valid ? valid : "", found, sizeof found, &status);
	int32_t length = U_SUCCESS(status) ? unum_getTextAttribute(n->spell, UNUM_PUBLIC_RULESETS, wide, MAX_RULES / 2, &status) : 0;
	u_strToUTF8(sets, sizeof sets - 1, NULL, wide, length, &status);
	/* A locale that ICU does not know gets another one's rules, which are of no use here. */
	if (U_FAILURE(status) || strcmp(found, n->language) != 0) {
		unum_close(n->spell);
		n->spell = NULL;
		return SN_OK;
	}
	strcat(sets, sets[0] && sets[strlen(sets) - 1] != ';' ? ";" : "");
	choose_rules(n, sets);
	int made; /* ICU reads its tables of units now rather than at the first unit of a text */
	measure(n, "unit/kilometer", &made);
	return SN_OK;
}

void norm_spell_close(sn_normaliser *n) {
	if (n->spell)
		unum_close(n->spell);
	if (n->result)
		unumf_closeResult(n->result);
	for (int i = 0; i < n->measure_count; i++)
		unumf_close(n->measures[i].format);
}

/* ---- numbers ---- */

static void say_wide(norm_reader *r, const UChar *words, int32_t count) {
	char text[4 * MAX_WORDS];
	int32_t size = 0, c;
	for (int32_t i = 0; i < count && size < (int32_t)sizeof text - 8;) {
		U16_NEXT(words, i, count, c);
		if (u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) || c == 0x200b) /* soft hyphens mark where words were joined */
			continue;
		if (u_isUWhiteSpace(c))
			c = ' ';
		if (c == 0x2019)
			c = '\'';
		uint8_t bytes[4];
		int32_t length = 0;
		U8_APPEND_UNSAFE(bytes, length, c);
		memcpy(text + size, bytes, (size_t)length);
		size += length;
	}
	norm_say_part(r, text, (size_t)size);
}

int norm_spell(norm_reader *r, const char *number, size_t size, norm_form form) {
	sn_normaliser *n = r->n;
	UChar words[MAX_WORDS];
	UErrorCode status = U_ZERO_ERROR;
	if (!n->spell || !n->rules[form][0])
		return 0;
	if (n->form != form)
		unum_setTextAttribute(n->spell, UNUM_DEFAULT_RULESET, n->rules[form], -1, &status);
	n->form = form;
	int32_t count = unum_formatDecimal(n->spell, number, (int32_t)size, words, MAX_WORDS, NULL, &status), c;
	if (U_FAILURE(status) || count >= MAX_WORDS)
		return 0;
	for (int32_t i = 0; i < count;) { /* ICU gives digits where it has no words */
		U16_NEXT(words, i, count, c);
		if (u_isdigit(c))
			return 0;
	}
	say_wide(r, words, count);
	return 1;
}

int norm_spell_int(norm_reader *r, int64_t value, norm_form form) {
	char text[32];
	int length = snprintf(text, sizeof text, "%lld", (long long)value);
	return norm_spell(r, text, (size_t)length, form);
}

int norm_spell_digits(norm_reader *r, const char *digits, size_t count) {
	for (size_t i = 0; i < count; i++)
		if (digits[i] >= '0' && digits[i] <= '9' && !norm_spell(r, digits + i, 1, NORM_NUMBER))
			return 0;
	return 1;
}

/* ---- names of units and currencies ---- */

/* UTF-8 without white space at its ends and with plain spaces and apostrophes. */
static void trimmed(char *out, const UChar *text, int32_t count) {
	int32_t size = 0, c;
	while (count && u_isUWhiteSpace(text[count - 1]))
		count--;
	for (int32_t i = 0; i < count && size < 120;) {
		U16_NEXT(text, i, count, c);
		if (u_isUWhiteSpace(c))
			c = ' ';
		if (c == 0x2019)
			c = '\'';
		if ((c == ' ' && !size) || u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT))
			continue;
		U8_APPEND_UNSAFE((uint8_t *)out, size, c);
	}
	out[size] = 0;
}

int norm_measure_name(norm_reader *r, const char *name, const norm_number *n, char *before, char *after) {
	char figure[2 * NORM_MAX_DIGITS + 8];
	UChar text[256];
	UErrorCode status = U_ZERO_ERROR;
	int made;
	UNumberFormatter *format = measure(r->n, name, &made);
	if (!format)
		return 0;
	int decimals = n->decimals > 6 ? 6 : n->decimals;
	int length = snprintf(figure, sizeof figure, "%s%s%.*s", n->digits, decimals ? "." : "", decimals, decimals
	    ? r->text + n->decimals_at : "");
	unumf_formatDecimal(format, figure, length, r->n->result, &status);
	int32_t count = unumf_resultToString(r->n->result, text, 256, &status), first = 0;
	if (made)
		unumf_close(format);
	if (U_FAILURE(status) || count >= 256)
		return 0;
	while (first < count && !(text[first] >= '0' && text[first] <= '9'))
		first++;
	int32_t end = first;
	while (end < count && ((text[end] >= '0' && text[end] <= '9') || ((text[end] == '.' || text[end] == ',') && end + 1 < count &&
	                                                                  text[end + 1] >= '0' && text[end + 1] <= '9')))
		end++;
	trimmed(before, text, first);
	trimmed(after, text + end, count - end);
	return first < count;
}
