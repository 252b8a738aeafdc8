#include "text/roman_internal.h"

#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>
#include <unicode/utrans.h>

#define MAX_TEXT ((size_t)1 << 20) /* bytes of one text */
#define SYLLABLES 0xac00           /* of Hangul, up to SYLLABLES_LAST */
#define SYLLABLES_LAST 0xd7a3
#define ADDAK 0xa71                /* of Gurmukhi: doubles what follows */
#define VIRAMA 0x94d               /* of Devanagari */

typedef struct job {
	const char *text;
	int32_t size, at, before; /* before: the letter that was read last */
	sn_buf *out;
	size_t word;              /* where the present word begins in out */
	UTransliterator *chinese; /* opened where the first character is met */
	char *err;
} job;

static int32_t peek(const job *j, int32_t at) {
	int32_t c = -1;
	if (at < j->size)
		U8_NEXT((const uint8_t *)j->text, at, j->size, c);
	return c;
}

/* ---- Korean ---- */

/* Each part of a syllable as it is written, however it sounds. */
static void hangul(job *j, int32_t c) {
	static const char *const leads[] = { "g", "gg", "n", "d", "dd", "r", "m", "b", "bb", "s", "ss", "", "j", "jj", "c", "k", "t", "p", "h" };
	static const char *const vowels[] = { "a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wai", "oe", "yo", "u", "weo", "we", "wi",
		                                  "yu", "eu", "yi", "i" };
	static const char *const tails[] = { "", "g", "gg", "gs", "n", "nj", "nh", "d", "l", "lg", "lm", "lb", "ls", "lt", "lp", "lh", "m", "b", "bs",
		                                 "s", "ss", "ng", "j", "c", "k", "t", "p", "h" };
	const int32_t index = c - SYLLABLES;
	sn_buf_text(j->out, leads[index / 588]);
	sn_buf_text(j->out, vowels[index / 28 % 21]);
	sn_buf_text(j->out, tails[index % 28]);
}

/* ---- Chinese ---- */

static int is_han(int32_t c) {
	UErrorCode status = U_ZERO_ERROR;
	return c >= 0 && uscript_getScript(c, &status) == USCRIPT_HAN;
}

/* A run of characters by ICU, without tones and without the spaces between syllables. */
static int chinese(job *j) {
	UErrorCode status = U_ZERO_ERROR;
	UChar wide[512];
	int32_t length = 0, limit;
	if (!j->chinese)
		j->chinese = utrans_openU(u"Han-Latin; NFD; [:Mn:] Remove; Latin-ASCII; Lower", -1, UTRANS_FORWARD, NULL, 0, NULL, &status);
	for (int32_t c; length < 64 && is_han(c = peek(j, j->at));) {
		U16_APPEND_UNSAFE(wide, length, c);
		U8_FWD_1((const uint8_t *)j->text, j->at, j->size);
	}
	limit = length;
	if (U_SUCCESS(status))
		utrans_transUChars(j->chinese, wide, &length, sizeof wide / sizeof *wide, 0, &limit, &status);
	if (U_FAILURE(status))
		return sn_fail(j->err, SN_E_DEPENDENCY, "ICU cannot write Chinese characters in Latin letters: %s", u_errorName(status));
	for (int32_t i = 0, c; i < length;) {
		U16_NEXT(wide, i, length, c);
		if (c != ' ')
			sn_utf8_add(j->out, c);
	}
	return SN_OK;
}

/* ---- Japanese ---- */

static int is_kana(int script) { return script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA; }

static char last(const job *j) { return j->out->size > j->word ? j->out->data[j->out->size - 1] : 0; }

/* A small ya, yu or yo changes the syllable before it, a small tu doubles the next consonant, a line repeats the vowel. */
static int kana(job *j, int32_t c, const roman_letter *l) {
	static const int32_t tu[] = { 0x3063, 0x30c3 };
	if (c == tu[0] || c == tu[1]) {
		roman_letter next;
		roman_by_name(peek(j, j->at), &next);
		if (is_kana(next.script) && *next.text && !strchr("aeiou", next.text[0]))
			sn_buf_add(j->out, next.text[0] == 'c' ? "t" : next.text, 1);
		return 1;
	}
	const int is_small = l->text[0] == 'y' && (c == 0x3083 || c == 0x3085 || c == 0x3087 || c == 0x30e3 || c == 0x30e5 || c == 0x30e7);
	if (!is_small || last(j) != 'i')
		return 0;
	j->out->size--;
	const char before = last(j);
	const int palatal = before == 'j' || (before == 'h' && j->out->size - j->word > 1 && strchr("sc", j->out->data[j->out->size - 2]));
	sn_buf_text(j->out, l->text + (palatal ? 1 : 0));
	return 1;
}

/* ---- scripts with an inherent vowel ---- */

/* What follows a consonant decides about its vowel. */
static int keeps_vowel(const job *j, const roman_letter *l) {
	roman_letter next = { 0 };
	int32_t at = j->at, c;
	while ((c = peek(j, at)) >= 0) {
		roman_by_name(c, &next);
		if (next.kind != ROMAN_MARK || *next.text || next.script != l->script)
			break;
		U8_FWD_1((const uint8_t *)j->text, at, j->size);
	}
	if (c >= 0 && (next.kind == ROMAN_VOWEL || next.kind == ROMAN_KILLER))
		return 0;
	if (l->script == USCRIPT_MYANMAR && c >= 0 && next.kind == ROMAN_CONSONANT && u_charType(c) != U_OTHER_LETTER)
		return 0;
	const int begins = j->out->size <= j->word + strlen(l->text), ends = c < 0 || next.kind == ROMAN_OTHER;
	return !(l->script == USCRIPT_DEVANAGARI && ends && !begins && j->before != VIRAMA);
}

/* ---- Greek, Hebrew, Armenian: pairs of letters ---- */

enum { GAMMA = 0x3b3, KAPPA = 0x3ba, MU = 0x3bc, NU = 0x3bd, PI = 0x3c0, TAU = 0x3c4, UPSILON = 0x3c5 };

/* A small letter of Greek without its accents; 0: other scripts. */
static int32_t greek(int32_t c) {
	UErrorCode status = U_ZERO_ERROR;
	if (c < 0x370 || (c > 0x3ff && (c < 0x1f00 || c > 0x1fff)))
		return 0;
	const UNormalizer2 *const nfd = unorm2_getNFDInstance(&status);
	UChar parts[8];
	const int32_t count = U_SUCCESS(status) ? unorm2_getDecomposition(nfd, c, parts, 8, &status) : -1;
	return u_tolower(count > 0 ? parts[0] : c);
}

static int is_letter_at(const job *j, int32_t at) {
	const int32_t c = at <= j->size ? peek(j, at) : -1;
	return c >= 0 && u_isalpha(c);
}

static const char *pair(const job *j, int32_t c, int32_t next) {
	const int32_t base = greek(c), behind = greek(next);
	if (base == UPSILON && (c != UPSILON || (last(j) && strchr("aeo", last(j)))))
		return "u";
	if (base == GAMMA && (behind == GAMMA || behind == KAPPA))
		return "n";
	if (base == KAPPA && greek(j->before) == GAMMA)
		return "g";
	if (base == MU && behind == PI && !last(j))
		return "";
	if (base == PI && greek(j->before) == MU)
		return "b";
	if (base == TAU && greek(j->before) == NU)
		return "d";
	if ((c == 0x5d1 || c == 0x5e4) && next == 0x5bc)
		return c == 0x5d1 ? "b" : "p";
	if (c == 0x5d5 && (next == 0x5b9 || next == 0x5bc))
		return next == 0x5b9 ? "" : "u";
	if (c == 0x582 && last(j) == 'o') /* Armenian ou */
		return "u";
	if (c == 0x565 && !last(j)) /* ye at a word's beginning, but in those of two letters */
		return is_letter_at(j, j->at + 2) ? "ye" : "e";
	if (c == 0x578 && !last(j))
		return next == 0x582 ? "o" : "vo";
	if (c == 0x627 && next == 0x6cc && !last(j)) /* an alef carries the vowel behind it */
		return "";
	if (c == 0x64b && last(j) == 'a') /* a doubled sign behind its alef */
		return "n";
	if (c == 0x439 && j->before == 0x438 && last(j))
		return "y";
	return NULL;
}

static void one(job *j, int32_t c) {
	roman_letter l;
	const char *const paired = pair(j, c, peek(j, j->at));
	roman_by_name(c, &l);
	if (c == 0x30fc && last(j)) {
		sn_buf_add(j->out, (char[]){ last(j) }, 1);
	} else if (paired) {
		const int32_t next = peek(j, j->at);
		if (c == 0x582 || (c == 0x439 && (next < 0 || !u_isalpha(next))))
			j->out->size--;
		sn_buf_text(j->out, paired);
	} else if (l.kind == ROMAN_OTHER) {
		if (*l.text)
			sn_buf_text(j->out, l.text);
		else
			sn_utf8_add(j->out, c);
		j->word = j->out->size;
	} else if (!is_kana(l.script) || !kana(j, c, &l)) {
		if (j->before == ADDAK && *l.text)
			sn_buf_add(j->out, l.text, 1);
		sn_buf_text(j->out, l.text);
		if (l.kind == ROMAN_CONSONANT && keeps_vowel(j, &l))
			sn_buf_add(j->out, &l.inherent, 1);
	}
}

static int romanise(job *j) {
	int result = SN_OK;
	while (result == SN_OK && j->at < j->size) {
		int32_t c = peek(j, j->at);
		if (is_han(c)) {
			result = chinese(j);
			continue;
		}
		U8_FWD_1((const uint8_t *)j->text, j->at, j->size);
		if (c >= SYLLABLES && c <= SYLLABLES_LAST) {
			hangul(j, c);
		} else if (c < 0x80) {
			sn_utf8_add_lower(j->out, c);
			j->word = u_isalnum(c) ? j->word : j->out->size;
		} else {
			one(j, c);
		}
		j->before = c;
	}
	return result;
}

/* Accents that stand by themselves are joined to their letters. Else text stays as it is, since letters with a dot below, which NFC takes
 * apart, have names of their own. */
static int has_accents(const char *text, size_t size) {
	for (size_t i = 0; i + 1 < size; i++)
		if ((uint8_t)text[i] == 0xcc || ((uint8_t)text[i] == 0xcd && (uint8_t)text[i + 1] < 0xb0))
			return 1;
	return 0;
}

int sn_roman(sn_buf *out, const char *text, size_t size, char *err) {
	sn_buf composed;
	int result = sn_utf8_check(text, size, MAX_TEXT, err);
	if (result != SN_OK)
		return result;
	sn_buf_init(&composed, 4 * MAX_TEXT);
	if (has_accents(text, size))
		result = sn_utf8_normal(&composed, text, size, SN_NFC, err);
	else
		result = sn_buf_add(&composed, text, size) == SN_OK ? SN_OK : sn_fail(err, composed.failed, "out of memory for a text of %zu bytes", size);
	job j = { .text = composed.data, .size = (int32_t)composed.size, .out = out, .word = out->size, .err = err };
	if (result == SN_OK)
		result = romanise(&j);
	if (result == SN_OK && out->failed)
		result = sn_fail(err, out->failed, "the text takes more than %zu bytes in Latin letters", out->max);
	if (j.chinese)
		utrans_close(j.chinese);
	sn_buf_free(&composed);
	return result;
}
