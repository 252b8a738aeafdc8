#include "text/roman_internal.h"

#include "base/ascii.h"

#include <stdio.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>

#define MAX_WORDS 12

/* A letter's name in words: "DEVANAGARI VOWEL SIGN AA" without what comes behind WITH. */
typedef struct name {
	char text[128];
	const char *words[MAX_WORDS];
	int count;
	int with; /* something comes behind WITH */
} name;

static void split(name *n, int32_t c) {
	UErrorCode status = U_ZERO_ERROR;
	*n = (name){ 0 };
	u_charName(c, U_UNICODE_CHAR_NAME, n->text, sizeof n->text, &status);
	char *at = U_FAILURE(status) ? NULL : n->text, *save;
	for (char *word = at ? strtok_r(at, " ", &save) : NULL; word && n->count < MAX_WORDS; word = strtok_r(NULL, " ", &save)) {
		n->with = strcmp(word, "WITH") == 0;
		if (n->with)
			break;
		n->words[n->count++] = word;
	}
}

static int has(const name *n, const char *word) {
	for (int i = 0; i < n->count; i++)
		if (strcmp(n->words[i], word) == 0)
			return i + 1;
	return 0;
}

static int one_of(const char *word, const char *const *list) {
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return 1;
	return 0;
}

static int is_vowel(char c) { return c && strchr("AEIOU", c) != NULL; }

static void lower(char *out, const char *text, size_t size) {
	size_t n = 0;
	for (; n < size && text[n] && n + 1 < ROMAN_READING; n++)
		out[n] = (char)sn_tolower((unsigned char)text[n]);
	out[n] = 0;
}

static void set(roman_letter *l, const char *text) { snprintf(l->text, sizeof l->text, "%s", text); }

/* Where a letter's name does not begin with its sound, and where voices were trained on another: script, word, reading. */
static const struct { int script; const char *word, *reading; } exceptions[] = {
	{ USCRIPT_CYRILLIC, "IE", "e" }, { USCRIPT_CYRILLIC, "IO", "e" }, { USCRIPT_CYRILLIC, "YERU", "y" }, { USCRIPT_CYRILLIC, "GHE", "g" },
	{ USCRIPT_CYRILLIC, "HA", "kh" },
	{ USCRIPT_CYRILLIC, "EL", "l" }, { USCRIPT_CYRILLIC, "EM", "m" }, { USCRIPT_CYRILLIC, "EN", "n" }, { USCRIPT_CYRILLIC, "ER", "r" },
	{ USCRIPT_CYRILLIC, "ES", "s" }, { USCRIPT_CYRILLIC, "EF", "f" }, { USCRIPT_CYRILLIC, "SIGN", "" }, { USCRIPT_CYRILLIC, "YU", "yu" },
	{ USCRIPT_CYRILLIC, "YA", "ya" }, { USCRIPT_CYRILLIC, "YI", "yi" }, { USCRIPT_CYRILLIC, "SCHWA", "e" }, { USCRIPT_CYRILLIC, "UKRAINIAN-IE", "ie" },
	{ USCRIPT_CYRILLIC, "YAT", "ya" }, { USCRIPT_CYRILLIC, "YUS", "yu" }, { USCRIPT_CYRILLIC, "IZHITSA", "i" }, { USCRIPT_CYRILLIC, "PALOCHKA", "'" },
	{ USCRIPT_GREEK, "RHO", "r" }, { USCRIPT_GREEK, "PHI", "f" }, { USCRIPT_GREEK, "UPSILON", "y" },
	{ USCRIPT_ARABIC, "HAMZA", "'" }, { USCRIPT_ARABIC, "AIN", "'" }, { USCRIPT_ARABIC, "MARBUTA", "a" }, { USCRIPT_ARABIC, "MAKSURA", "a" },
	{ USCRIPT_ARABIC, "BARREE", "ye" }, { USCRIPT_ARABIC, "THAL", "th" }, { USCRIPT_ARABIC, "OE", "oe" },
	{ USCRIPT_ARABIC, "YU", "yu" }, { USCRIPT_ARABIC, "AE", "ae" }, { USCRIPT_ARABIC, "TATWEEL", "" }, { USCRIPT_ARABIC, "NG", "ng" },
	{ USCRIPT_HEBREW, "BET", "v" }, { USCRIPT_HEBREW, "HET", "ch" }, { USCRIPT_HEBREW, "PE", "f" }, { USCRIPT_HEBREW, "AYIN", "'" },
	{ USCRIPT_HEBREW, "SHEVA", "e" }, { USCRIPT_HEBREW, "SEGOL", "e" }, { USCRIPT_HEBREW, "PATAH", "a" }, { USCRIPT_HEBREW, "QAMATS", "a" },
	{ USCRIPT_HEBREW, "HIRIQ", "i" }, { USCRIPT_HEBREW, "TSERE", "e" }, { USCRIPT_HEBREW, "HOLAM", "o" }, { USCRIPT_HEBREW, "QUBUTS", "u" },
	{ USCRIPT_ARMENIAN, "XEH", "kh" }, { USCRIPT_ARMENIAN, "CA", "ts" }, { USCRIPT_ARMENIAN, "JA", "dz" }, { USCRIPT_ARMENIAN, "CHEH", "tch" },
	{ USCRIPT_ARMENIAN, "JHEH", "j" }, { USCRIPT_ARMENIAN, "VO", "o" }, { USCRIPT_ARMENIAN, "YIWN", "w" },
	{ USCRIPT_GEORGIAN, "CAN", "ts" }, { USCRIPT_GEORGIAN, "CIL", "ts" }, { USCRIPT_GEORGIAN, "JIL", "dz" }, { USCRIPT_GEORGIAN, "JHAN", "j" },
	{ USCRIPT_LATIN, "ENG", "ng" }, { USCRIPT_LATIN, "SCHWA", "e" }, { USCRIPT_LATIN, "THORN", "th" }, { USCRIPT_LATIN, "ETH", "d" },
	{ USCRIPT_LATIN, "SHARP-S", "ss" }, { USCRIPT_LATIN, "EZH", "zh" }, { USCRIPT_LATIN, "ESH", "sh" }, { USCRIPT_LATIN, "SALTILLO", "'" },
	{ USCRIPT_LATIN, "IOTA", "i" }, { USCRIPT_LATIN, "GAMMA", "g" }, { USCRIPT_LATIN, "UPSILON", "u" }, { USCRIPT_LATIN, "ALPHA", "a" },
	{ USCRIPT_HIRAGANA, "SI", "shi" }, { USCRIPT_HIRAGANA, "TI", "chi" }, { USCRIPT_HIRAGANA, "TU", "tsu" }, { USCRIPT_HIRAGANA, "HU", "fu" },
	{ USCRIPT_HIRAGANA, "WO", "o" },
	{ USCRIPT_HIRAGANA, "ZI", "ji" }, { USCRIPT_HIRAGANA, "DI", "ji" }, { USCRIPT_HIRAGANA, "DU", "zu" },
	{ USCRIPT_TIFINAGH, "YA", "a" }, { USCRIPT_TIFINAGH, "YI", "i" }, { USCRIPT_TIFINAGH, "YU", "u" }, { USCRIPT_TIFINAGH, "YEY", "e" },
	{ USCRIPT_LAO, "NYO", "nyo" },
};

/* Letters that are told from others only by what comes behind WITH. */
static const struct { int32_t c; const char *reading; } letters[] = {
	{ 0xe4, "ae" }, { 0xf6, "oe" }, { 0xfc, "ue" }, { 0x439, "i" }, { 0x4cf, "p" }, { 0x4d5, "ae" }, { 0x4d7, "ie" }, { 0x4a5, "ng" }, { 0x450, "ie" },
	{ 0x623, "a" }, { 0x625, "i" }, { 0x626, "ye" }, { 0x681, "z" }, { 0x685, "ts" }, { 0x696, "g" }, { 0x69a, "kh" }, { 0x6a0, "n" },
	{ 0x6cd, "ye" }, { 0x6d0, "e" }, { 0x587, "ev" }, { 0x2bc, "'" }, { 0x2bb, "'" }, { 0x1361, " " },
	{ 0x93d, "'" }, { 0xe7, "s" }, { 0x15f, "sh" }, { 0x6ab, "g" }, { 0x4a9, "h" }, { 0x5e3, "p" }, { 0x5f0, "vav" }, { 0x5f1, "oy" }, { 0x5f2, "yy" },
};

static int is_letter(roman_letter *l, int32_t c) {
	for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
		if (letters[i].c != c)
			continue;
		set(l, letters[i].reading);
		return 1;
	}
	return 0;
}

static int is_exception(roman_letter *l, int script, const char *word) {
	for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++) {
		if (exceptions[i].script != script || strcmp(exceptions[i].word, word) != 0)
			continue;
		set(l, exceptions[i].reading);
		return 1;
	}
	return 0;
}

/* The word that says the sound: the last one, but the first where the rest is an example ("KO KAI") or a shape ("YEH BARREE"). */
static const char *sound_word(const name *n, int script) {
	static const char *const kinds[] = { "LETTER", "CHARACTER", "POINT", "SYLLABLE", NULL };
	static const char *const shapes[] = { "FINAL", "FARSI", "SWASH", "HIGH", "DOTLESS", "KIRGHIZ", "SMALL", "CAPITAL", "MODIFIER", "HATAF", "SHORT",
		                                  "BASHKIR", "ABKHASIAN", "KHAKASSIAN", "STRAIGHT", "BARRED", "PALI", "SANSKRIT", NULL };
	int first = 0;
	for (int i = 0; i < n->count; i++)
		if (one_of(n->words[i], kinds))
			first = i + 1;
	if (script == USCRIPT_ARABIC || script == USCRIPT_THAI || script == USCRIPT_LAO || script == USCRIPT_HEBREW) {
		while (first + 1 < n->count && one_of(n->words[first], shapes))
			first++;
		return first < n->count ? n->words[first] : "";
	}
	return n->count ? n->words[n->count - 1] : "";
}

/* The consonants that a letter's name begins with, or its first vowels. */
static void alphabetic(roman_letter *l, const char *word) {
	size_t size = 0;
	const int vowel = is_vowel(word[0]);
	while (word[size] && is_vowel(word[size]) == vowel && (size == 0 || !vowel || word[size] == word[0]))
		size++;
	lower(l->text, word, size);
}

static void ethiopic(roman_letter *l, const char *word) {
	const char next = word[0] ? word[1] : 0;
	lower(l->text, word, ROMAN_READING);
	if (word[0] == 'C' && is_vowel(next))
		snprintf(l->text, sizeof l->text, "ch%s", word + 1);
	else if (word[0] == 'S' && next == 'Z' && is_vowel(word[2]))
		snprintf(l->text, sizeof l->text, "s%s", word + 2);
	else if (word[0] == 'T' && next == 'H' && is_vowel(word[2]))
		snprintf(l->text, sizeof l->text, "t%s", word + 2);
	for (char *at = l->text; *at; at++)
		*at = (char)sn_tolower((unsigned char)*at);
}

static int is_abugida(int script) {
	static const int16_t scripts[] = { USCRIPT_DEVANAGARI, USCRIPT_BENGALI, USCRIPT_GURMUKHI, USCRIPT_GUJARATI, USCRIPT_ORIYA, USCRIPT_TAMIL,
		USCRIPT_TELUGU, USCRIPT_KANNADA, USCRIPT_MALAYALAM, USCRIPT_SINHALA, USCRIPT_KHMER, USCRIPT_MYANMAR, USCRIPT_TIBETAN, USCRIPT_JAVANESE,
		USCRIPT_BALINESE, USCRIPT_SUNDANESE, USCRIPT_TAGALOG, USCRIPT_LANNA, USCRIPT_CHAKMA, USCRIPT_GRANTHA, USCRIPT_BUGINESE, USCRIPT_CHAM,
		USCRIPT_LIMBU, USCRIPT_LEPCHA, USCRIPT_MEITEI_MAYEK, USCRIPT_NEW_TAI_LUE, USCRIPT_SYLOTI_NAGRI, USCRIPT_SAURASHTRA, USCRIPT_BATAK,
		USCRIPT_REJANG, USCRIPT_BRAHMI, USCRIPT_KAITHI };
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
		if (scripts[i] == script)
			return 1;
	return 0;
}

static int is_killer(int32_t c, const name *n) {
	return u_getCombiningClass(c) == 9 || has(n, "VIRAMA") || has(n, "ASAT") || has(n, "COENG") || has(n, "TOANDAKHIAT");
}

static void abugida_sign(roman_letter *l, int32_t c, const name *n, const char *word) {
	l->kind = ROMAN_MARK;
	if (is_killer(c, n))
		l->kind = ROMAN_KILLER;
	else if (has(n, "ANUSVARA"))
		set(l, l->script == USCRIPT_BENGALI ? "ng" : l->script == USCRIPT_MYANMAR ? "n" : "m");
	else if (has(n, "CANDRABINDU") && l->script == USCRIPT_BENGALI)
		set(l, "n");
	else if (has(n, "CANDRABINDU") || has(n, "NIKAHIT") || has(n, "BINDI") || has(n, "TIPPI"))
		set(l, "m");
	else if (has(n, "VISARGA") || has(n, "REAHMUK"))
		set(l, l->script == USCRIPT_MYANMAR ? "" : "h");
	else if (has(n, "MEDIAL") || has(n, "SUBJOINED")) {
		l->kind = ROMAN_CONSONANT;
		alphabetic(l, word);
		l->inherent = 'a';
	} else if (has(n, "VOCALIC")) {
		l->kind = ROMAN_VOWEL;
		lower(l->text, word, ROMAN_READING);
	} else if (has(n, "VOWEL") || has(n, "LENGTH")) {
		l->kind = ROMAN_VOWEL;
		lower(l->text, has(n, "LENGTH") ? "" : word, ROMAN_READING);
		if (l->script == USCRIPT_KHMER && word[0] == 'Y')
			set(l, word[1] == 'A' ? "ya" : "oe");
	}
}

/* Sinhala's names are those of its own grammar: ALPAPRAANA KAYANNA, VOWEL SIGN KOMBUVA. */
static void sinhala(roman_letter *l, int32_t c, const char *word) {
	static const char *const signs[] = { "aa", "ae", "ae", "i", "ii", "u", "", "uu", "", "ra", "e", "ee", "ai", "o", "oo", "au", "l" };
	if (c >= 0xdcf && c <= 0xddf) {
		l->kind = ROMAN_VOWEL;
		set(l, signs[c - 0xdcf]);
		return;
	}
	const char *const end = strstr(word, "YANNA");
	lower(l->text, word, end ? (size_t)(end - word) : ROMAN_READING);
	l->kind = ROMAN_LETTER;
	const size_t size = strlen(l->text);
	if (!size || l->text[size - 1] != 'a' || strchr("aeiou", l->text[0]))
		return;
	l->kind = ROMAN_CONSONANT;
	l->inherent = 'a';
	l->text[size - 1] = 0;
}

static void abugida_letter(roman_letter *l, const name *n, const char *word) {
	const size_t size = strlen(word);
	l->kind = ROMAN_LETTER;
	if (has(n, "VOCALIC")) {
		snprintf(l->text, sizeof l->text, "%ca", sn_tolower((unsigned char)word[0]));
		return;
	}
	if (size >= ROMAN_READING - 1)
		return;
	lower(l->text, word, ROMAN_READING);
	if (has(n, "CHILLU"))
		snprintf(l->text + size, sizeof l->text - size, "a");
	if (is_vowel(word[0]) || size < 2 || has(n, "VOWEL") || has(n, "CHILLU"))
		return;
	if (!is_vowel(word[size - 1]))
		return;
	l->kind = ROMAN_CONSONANT;
	l->inherent = l->text[size - 1];
	l->text[size - 1] = 0;
	if (l->script == USCRIPT_BENGALI && word[0] == 'C')
		set(l, word[1] == 'H' ? "chh" : "ch");
	if (l->script == USCRIPT_TAMIL) /* which has no doubled names, and one of its t is read as d */
		l->text[size > 2 && word[0] == word[1] ? 1 : size] = 0;
	if (l->script == USCRIPT_TAMIL && strcmp(word, "TTA") == 0)
		l->text[0] = 'd';
}

static void marks(roman_letter *l, const name *n, const char *word) {
	static const char *const vowels[][2] = { { "FATHA", "a" }, { "DAMMA", "u" }, { "KASRA", "i" }, { "SUPERSCRIPT", "a" }, { "SUKUN", "" } };
	l->kind = ROMAN_MARK;
	for (size_t i = 0; i < sizeof vowels / sizeof *vowels; i++)
		if (has(n, vowels[i][0]))
			set(l, vowels[i][1]);
	if (l->script == USCRIPT_THAANA)
		alphabetic(l, word);
	if (l->script == USCRIPT_THAI || l->script == USCRIPT_LAO) {
		if (has(n, "SARA") || has(n, "VOWEL"))
			lower(l->text, n->words[n->count - 1], ROMAN_READING);
		if (has(n, "HAN-AKAT") || has(n, "KAN"))
			set(l, "a");
		if (has(n, "MAITAIKHU") || has(n, "KON"))
			set(l, "o");
		if (has(n, "NIKHAHIT"))
			set(l, "m");
		if (has(n, "NIGGAHITA"))
			set(l, "oo");
		if (has(n, "SEMIVOWEL"))
			set(l, has(n, "NYO") ? "y" : "l");
	}
	if (l->script == USCRIPT_HEBREW)
		is_exception(l, USCRIPT_HEBREW, word);
}

static void joined(char out[64], const name *n) {
	snprintf(out, 64, "%s-%s", n->count > 1 ? n->words[n->count - 2] : "", n->count ? n->words[n->count - 1] : "");
}

static void letter(roman_letter *l, const name *n, const char *word) {
	char two[64];
	joined(two, n);
	l->kind = ROMAN_LETTER;
	const int script = l->script == USCRIPT_KATAKANA ? USCRIPT_HIRAGANA : l->script;
	if (script == USCRIPT_CYRILLIC && n->with && (strcmp(word, "HA") == 0 || strcmp(word, "GHE") == 0)) {
		alphabetic(l, word);
		return;
	}
	if (script == USCRIPT_ARABIC && has(n, "FARSI") && !n->with) {
		set(l, "i");
		return;
	}
	if (is_exception(l, script, two) || is_exception(l, script, n->words[n->count - 1]) || is_exception(l, script, word))
		return;
	switch (script) {
	case USCRIPT_ETHIOPIC: ethiopic(l, word); return;
	case USCRIPT_LATIN: lower(l->text, strlen(word) <= 2 ? word : "", ROMAN_READING); return;
	case USCRIPT_HIRAGANA: case USCRIPT_YI: case USCRIPT_CHEROKEE: case USCRIPT_VAI: case USCRIPT_CANADIAN_ABORIGINAL: case USCRIPT_BOPOMOFO:
	case USCRIPT_LIMBU: case USCRIPT_BAMUM: lower(l->text, word, ROMAN_READING); return;
	case USCRIPT_TIFINAGH: alphabetic(l, word[0] == 'Y' && word[1] == 'A' && word[2] ? word + 2 : word); return;
	case USCRIPT_THAI: case USCRIPT_LAO:
		if (has(n, "SARA") || has(n, "VOWEL"))
			lower(l->text, n->words[n->count - 1 - (has(n, "MAIMUAN") || has(n, "MAIMALAI"))], ROMAN_READING);
		else if (has(n, "SEMIVOWEL"))
			set(l, has(n, "NYO") ? "y" : "l");
		else
			alphabetic(l, word);
		return;
	default: alphabetic(l, word);
	}
}

void roman_by_name(int32_t c, roman_letter *l) {
	UErrorCode status = U_ZERO_ERROR;
	name n;
	*l = (roman_letter){ .script = uscript_getScript(c, &status) };
	if (u_charDigitValue(c) >= 0) {
		l->kind = ROMAN_LETTER;
		snprintf(l->text, sizeof l->text, "%d", (int)u_charDigitValue(c));
		return;
	}
	if (is_letter(l, c)) {
		l->kind = c == 0x1361 ? ROMAN_OTHER : ROMAN_LETTER;
		return;
	}
	const int type = u_charType(c), mark = type == U_NON_SPACING_MARK || type == U_COMBINING_SPACING_MARK || type == U_ENCLOSING_MARK;
	if (!mark && !u_isalpha(c))
		return;
	split(&n, c);
	if (!n.count)
		return;
	const char *const word = sound_word(&n, l->script);
	if (l->script == USCRIPT_SINHALA && (!mark || (c >= 0xdcf && c <= 0xddf)))
		sinhala(l, c, word);
	else if (is_abugida(l->script) && mark)
		abugida_sign(l, c, &n, word);
	else if (is_abugida(l->script))
		abugida_letter(l, &n, word);
	else if (mark)
		marks(l, &n, word);
	else
		letter(l, &n, word);
}
