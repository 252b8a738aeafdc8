/* Words: abbreviations, initials, Roman numerals, acronyms. */
#include "text/normalise_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

/* ---- abbreviations ---- */

/* Where `written` ends that begins at `at`; 0: other text. A space may stand behind each of its inner dots, and a capital for a
 * small first letter. */
static size_t abbreviation_end(const norm_reader *r, size_t at, const char *written) {
	size_t i = at;
	for (const char *w = written; *w; w++) {
		if (w > written && w[-1] == '.' && i < r->size && r->text[i] != *w)
			i = norm_spaces(r, i);
		int same = i < r->size && (r->text[i] == *w || (w == written && *w >= 'a' && *w <= 'z' && r->text[i] == *w - 32));
		if (!same)
			return 0;
		i++;
	}
	if (i > at && u_isalpha(norm_char_before(r, i)) && (norm_is_letter(r, i) || norm_is_digit(r, i) || norm_starts(r, i, "'")))
		return 0;
	return i;
}

static int capitalised(const char *word) {
	int32_t i = 0, c = 0;
	if (*word)
		U8_NEXT((const uint8_t *)word, i, -1, c);
	return u_isupper(c);
}

/* "221 Baker St.": a house number before the name before. */
static int after_house_number(const norm_reader *r, size_t at) {
	char word[48];
	for (int words = 0; words < 3; words++) {
		size_t begin = norm_word_before(r, at, word, sizeof word);
		if (!*word || !capitalised(word))
			break;
		size_t i = begin;
		while (i && r->text[i - 1] == ' ')
			i--;
		if (i && (norm_is_digit(r, i - 1) || (i > 1 && norm_is_digit(r, i - 2) && r->text[i - 1] >= 'A' && r->text[i - 1] <= 'Z')))
			return 1;
		at = begin;
	}
	return 0;
}

/* "I said no. 5 people left." */
static int is_answer(const norm_reader *r, const norm_abbreviation *a, size_t at) {
	char before[16];
	norm_word_before(r, at, before, sizeof before);
	return norm_speaks(r, "en") && strcmp(a->written, "no.") == 0 && norm_starts(r, at, "n") &&
	       norm_is_word("say says said saying answer answers answered reply replied vote voted", before);
}

static int applies(const norm_reader *r, const norm_abbreviation *a, size_t at, size_t end, int *second) {
	char before[48];
	size_t next = norm_spaces(r, end), begin;
	int numbered;
	int32_t last = norm_char_before(r, at);
	*second = 0;
	switch (a->when) {
	case NORM_BEFORE_NAME: return norm_is_upper(r, next);
	case NORM_BEFORE_NUMBER:
		return !is_answer(r, a, at) && (norm_is_digit(r, next) || (next > end && norm_is_upper(r, next) &&
		    !norm_word(r, next, "I") && norm_roman(r->text + next, norm_letters(r, next) - next)));
	case NORM_AFTER_NUMBER:
		while (last == ' ' || last == 0xa0)
			last = norm_char_before(r, at -= last == ' ' ? 1 : 2);
		return u_isdigit(last);
	case NORM_STREET:
		begin = norm_word_before(r, at, before, sizeof before);
		numbered = begin && norm_is_digit(r, begin - 1) && norm_is_word("st nd rd th", before); /* "5th St." */
		*second = numbered || (capitalised(before) && (!norm_is_upper(r, next) || after_house_number(r, at)));
		return *second || norm_is_upper(r, next);
	default: return 1;
	}
}

/* The longest that stands here: "Sig.ra" before "Sig." */
static size_t read_abbreviation(norm_reader *r, size_t at) {
	const norm_abbreviation *best = NULL;
	size_t best_end = 0;
	int best_second = 0, second;
	for (const norm_abbreviation *a = r->l->abbreviations; a && a->written; a++) {
		size_t end = (a->written[0] | 32) == (r->text[at] | 32) ? abbreviation_end(r, at, a->written) : 0;
		if (end > best_end && applies(r, a, at, end, &second)) {
			best = a;
			best_end = end;
			best_second = second;
		}
	}
	if (!best)
		return 0;
	const char *bar = strchr(best->spoken, '|');
	if (bar && best_second)
		norm_say(r, bar + 1);
	else
		norm_say_part(r, best->spoken, bar ? (size_t)(bar - best->spoken) : strlen(best->spoken));
	if (r->text[best_end - 1] == '.' && norm_at_end(r, best_end))
		norm_glue(r, ".");
	else if (bar && best_second && norm_is_upper(r, norm_spaces(r, best_end)))
		norm_glue(r, ","); /* "221 Baker St. London": a town, or another sentence */
	return best_end;
}

/* ---- letters ---- */

void norm_say_letters(norm_reader *r, size_t at, size_t end, int plural) {
	int english = norm_speaks(r, "en"), two = norm_next(r, at) < end && norm_next(r, norm_next(r, at)) >= end;
	for (size_t i = at, next; i < end; i = next) {
		next = norm_next(r, i);
		if (i == at || !english) {
			norm_say_part(r, r->text + i, next - i);
			continue;
		}
		norm_glue(r, plural && two ? "-" : "."); /* P-C's: behind one dot 's is a word of its own */
		norm_copy(r, i, next);
	}
}

/* The letters of "U.S.A." and "U.S.A" (a last one without a dot), of "J." in "J. R. R. Tolkien": how many; 0: something else. */
static int initials(const norm_reader *r, size_t at, size_t *end) {
	size_t next;
	int letters = 0;
	for (*end = at; norm_is_upper(r, *end) && norm_starts(r, next = norm_next(r, *end), "."); letters++)
		*end = next + 1;
	if (letters && norm_is_upper(r, *end) && !norm_is_letter(r, next = norm_next(r, *end)) && !norm_is_digit(r, next)) {
		*end = next;
		letters++;
	}
	next = norm_spaces(r, *end);
	if (letters > 1)
		return letters;
	return letters == 1 && norm_is_upper(r, next) && next > *end ? 1 : 0;
}

static size_t read_initials(norm_reader *r, size_t at) {
	size_t end;
	int english = norm_speaks(r, "en"), letters = r->n->spaces ? initials(r, at, &end) : 0;
	if (!letters || (letters == 1 && english && norm_starts(r, at, "I.")))
		return 0;
	for (size_t i = at; i < end; i = norm_next(r, i) + 1) {
		if (english && i > at)
			norm_glue(r, ".");
		if (english && i > at)
			norm_copy(r, i, norm_next(r, i));
		else
			norm_say_part(r, r->text + i, norm_next(r, i) - i);
	}
	if (r->text[end - 1] == '.' && norm_at_end(r, end)) {
		norm_glue(r, ".");
	} else if (english && letters == 1 && norm_starts(r, at, "A")) {
		norm_glue(r, "-"); /* "George A. Smith": else it is the article */
		end = norm_spaces(r, end);
	}
	return end;
}

static int is_vowel(int32_t c) { return c > 0x7f || strchr("AEIOUY", (int)c) != NULL; }

/* Whether capitals are said letter by letter: all of two or three that no list calls a word, longer ones that nobody can say. */
static int is_spelled(const norm_reader *r, size_t at, size_t end) {
	const char *word = r->text + at;
	size_t size = end - at, count = 0, vowels = 0, run = 0, longest = 0, first = 0;
	if (norm_listed(r->l->say_words, word, size))
		return 0;
	if (norm_listed(r->l->say_letters, word, size))
		return 1;
	for (size_t i = at; i < end; i = norm_next(r, i)) {
		int vowel = is_vowel(norm_char(r, i));
		count++;
		vowels += (size_t)vowel;
		run = vowel ? 0 : run + 1;
		longest = run > longest ? run : longest;
		first += !vowels;
	}
	if (!vowels)
		return count <= 6;
	if (r->shouting)
		return 0;
	return count <= 3 || (count <= 5 && (longest >= 4 || first >= 3));
}

/* "BBC", "DVDs", "MP" of MP3. Where one is said as a word it stays as it is. */
static size_t read_acronym(norm_reader *r, size_t at) {
	size_t end = at, upper = 0;
	while (norm_is_upper(r, end)) {
		end = norm_next(r, end);
		upper++;
	}
	size_t plural = upper >= 2 && norm_starts(r, end, "s") && !norm_is_letter(r, end + 1) ? 1 : 0;
	int cased = upper >= 2 && (plural || !norm_is_letter(r, end));
	if (!cased || r->n->emphasis || !r->l->language || norm_char(r, at) > 0x24f || !is_spelled(r, at, end))
		return 0;
	norm_say_letters(r, at, end, plural || norm_starts(r, end, "'"));
	if (plural)
		norm_glue(r, "'s");
	return end + plural;
}

/* "v2.0" */
static size_t read_version(norm_reader *r, size_t at) {
	size_t dot = norm_starts(r, at + 1, ".") ? 1 : 0;
	if (!r->l->version || !(norm_starts(r, at, "v") || norm_starts(r, at, "V")) || !norm_is_digit(r, at + 1 + dot))
		return 0;
	norm_say(r, r->l->version);
	norm_glue(r, " ");
	size_t number = norm_read_number(r, at + 1 + dot);
	return number;
}

/* ---- Roman numerals ---- */

int norm_roman(const char *text, size_t size) {
	static const struct { const char *sign; int value; } signs[] = {
		{ "M", 1000 }, { "CM", 900 }, { "D", 500 }, { "CD", 400 }, { "C", 100 }, { "XC", 90 }, { "L", 50 }, { "XL", 40 },
		{ "X", 10 }, { "IX", 9 }, { "V", 5 }, { "IV", 4 }, { "I", 1 } };
	int value = 0;
	size_t at = 0;
	for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
		size_t length = strlen(signs[i].sign);
		int most = length == 2 || strchr("DLV", signs[i].sign[0]) ? 1 : 3;
		for (int times = 0; times < most && size - at >= length && memcmp(text + at, signs[i].sign, length) == 0; times++) {
			value += signs[i].value;
			at += length;
		}
	}
	return at == size && size ? value : 0;
}

static int only_small(const char *text, size_t size) {
	for (size_t i = 0; i < size; i++)
		if (!strchr("IVX", text[i]))
			return 0;
	return 1;
}

/* Sure behind a ruler's name or a word that is counted, likely from two letters on behind any name. */
static size_t read_roman(norm_reader *r, size_t at) {
	char before[48];
	size_t end = norm_letters(r, at), next = norm_spaces(r, end), size = end - at;
	int value = strchr("IVXLCDM", r->text[at]) ? norm_roman(r->text + at, size) : 0;
	if (!value || norm_is_digit(r, end) || !r->n->spell || !r->l->language)
		return 0;
	norm_word_before(r, at, before, sizeof before);
	size_t length = strlen(before);
	if (norm_listed(r->l->centuries, r->text + next, norm_letters(r, next) - next)) {
		int feminine = norm_starts(r, norm_letters(r, next) - 1, "a") || norm_starts(r, norm_letters(r, next) - 3, "one");
		norm_spell_int(r, value, feminine ? NORM_ORDINAL_FEMININE : NORM_ORDINAL);
		return end;
	}
	if (norm_listed(r->l->chapters, before, length)) {
		norm_spell_int(r, value, NORM_NUMBER);
		return end;
	}
	if (r->l->king && norm_listed(r->l->kings, before, length) && value < 40) {
		r->l->king(r, value, at);
		return norm_starts(r, end, ".") && !norm_at_end(r, end + 1) && norm_speaks(r, "de") ? end + 1 : end;
	}
	if (size < 2 || !only_small(r->text + at, size) || !capitalised(before) || r->shouting || !length)
		return 0;
	norm_spell_int(r, value, NORM_NUMBER);
	return end;
}

size_t norm_read_word(norm_reader *r, size_t at) {
	int32_t before = norm_char_before(r, at);
	size_t end;
	if (before == '\'' && at > 1 && norm_is_letter(r, at - 2) && !norm_speaks(r, "fr it ca"))
		return norm_is_upper(r, at) ? read_acronym(r, at) : 0; /* "don't", but "l'art. 5" */
	if (u_isalnum(before) && !u_isdigit(before))
		return 0;
	if (!u_isdigit(before) && (end = norm_read_address(r, at)))
		return end;
	if ((end = read_abbreviation(r, at)) || (end = norm_read_money(r, at)))
		return end;
	if (r->l->word && (end = r->l->word(r, at)))
		return end;
	if ((end = read_roman(r, at)) || (end = read_initials(r, at)) || (end = read_version(r, at)))
		return end;
	return read_acronym(r, at);
}
