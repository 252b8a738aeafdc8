#include "text/clauses.h"

#include "text/inline.h"
#include "text/sentences_internal.h"

#include <unicode/uchar.h>

#define CLAUSE_WORDS 2    /* a clause has at least so many words, */
#define CLAUSE_LETTERS 12 /* and so many letters, */
#define WIDE_LETTERS 6    /* or so many of a script without spaces */
#define WORDS 12          /* are spoken without waiting for a mark */

/* One place where white space begins, or where a wide mark ends. */
typedef struct place {
	const sentence_source *s;
	int32_t begin, end; /* of the text before it */
	int32_t next;       /* character behind the white space; -1: not there yet */
	int32_t last, last_at; /* character that ends the text before it, quotes left aside */
	int32_t before;     /* and the one before that; 0: none */
} place;

static place place_of(const sentence_source *s, int32_t begin, int32_t end, int32_t next) {
	place p = { s, begin, end, next, 0, end, 0 };
	while (p.last_at > begin && sentence_closes(p.last = sentence_previous(s, &p.last_at)))
		;
	int32_t at = p.last_at;
	p.before = at > begin ? sentence_previous(s, &at) : 0;
	return p;
}

/* "U.S." */
static int is_initials(const place *p) {
	int32_t at = p->last_at;
	return at > p->begin && u_isalpha(sentence_previous(p->s, &at)) && at > p->begin && sentence_previous(p->s, &at) == '.';
}

/* A dot may belong to its word. Whether it does can depend on what follows: -1 until that is there. */
static int dot_ends(const place *p, int early) {
	const int with_number = sentence_dot_of_word(p->s, p->begin, p->last_at, '1');
	const int with_word = sentence_dot_of_word(p->s, p->begin, p->last_at, 'A');
	if (with_number && with_word)
		return 0;
	const int sure = early && !is_initials(p), goes_on = sentence_goes_on(p->s, p->begin, p->last_at);
	if (goes_on)
		return goes_on > 0 ? 0 : -1;
	if (p->next < 0 && (with_number || !sure))
		return -1;
	if (with_number && u_isdigit(p->next))
		return 0;
	return sure || !u_islower(p->next);
}

/* 1: a sentence ends here, 0: not, -1: too early to tell. */
static int sentence_ends(const place *p, int early) {
	if (!u_hasBinaryProperty(p->last, UCHAR_S_TERM))
		return 0;
	return p->last == '.' ? dot_ends(p, early) : 1;
}

/* The same for a clause. A comma between numbers may be that of a date. */
static int clause_ends(const place *p) {
	if (!sentence_ends_clause(p->last) || u_hasBinaryProperty(p->last, UCHAR_S_TERM))
		return 0;
	if (!u_isdigit(p->before))
		return 1;
	return p->next < 0 ? -1 : !u_isdigit(p->next);
}

/* Between two words, none of which may be part of a number, a unit, a price or an abbreviation. */
static int words_part(const place *p) {
	if (!u_isalpha(p->last) || p->last == '.')
		return 0;
	return p->next < 0 ? -1 : u_isalpha(p->next) != 0;
}

/* What was counted of a piece. */
typedef struct tally {
	int words, letters, wide;
} tally;

static int judge(const place *p, const tally *t, int early, int *sentence_end) {
	int verdict = t->letters || t->wide ? sentence_ends(p, early) : 0;
	*sentence_end = 1;
	if (verdict || !early)
		return verdict;
	*sentence_end = 0;
	if ((t->words >= CLAUSE_WORDS && t->letters >= CLAUSE_LETTERS) || t->wide >= WIDE_LETTERS)
		verdict = clause_ends(p);
	return verdict || t->words < WORDS ? verdict : words_part(p);
}

static void count(tally *t, int32_t c, int32_t before) {
	const int wide = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH) == U_EA_WIDE && u_isalpha(c);
	t->wide += wide;
	t->letters += !wide && u_isalnum(c);
	t->words += u_isalnum(c) && (!before || u_isUWhiteSpace(before));
}

/* Past white space and marks between words; *lines counts line ends. */
static int32_t over_white(const sentence_source *s, int32_t i, int *lines) {
	while (i < s->size) {
		int32_t at = i, c = sentence_next(s, &at);
		if (!u_isUWhiteSpace(c) && c != SN_INLINE_MARK_CODE)
			break;
		*lines += c == 0x2029 ? 2 : c == '\n' || c == 0x2028;
		i = at;
	}
	return i;
}

size_t sn_clause_end(const char *text, size_t size, const char *locale, int early, int *sentence_end) {
	const sentence_source s = { (const uint8_t *)text, (int32_t)size, sentence_has_ordinal_dots(locale ? locale : ""), locale };
	tally t = { 0 };
	int lines = 0;
	int32_t begin = over_white(&s, 0, &lines), before = 0;
	for (int32_t i = begin; i < s.size;) {
		int32_t at = i, c = sentence_next(&s, &i);
		const int white = u_isUWhiteSpace(c);
		const int wide = sentence_is_wide_mark(before) || (before > 0x7f && u_hasBinaryProperty(before, UCHAR_S_TERM));
		if (white || (wide && !sentence_closes(c) && !u_hasBinaryProperty(c, UCHAR_S_TERM))) {
			int32_t after, next_at;
			lines = 0;
			after = next_at = over_white(&s, at, &lines);
			const place p = place_of(&s, begin, at, after < s.size ? sentence_next(&s, &next_at) : -1);
			const int paragraph = lines > 1 && (t.letters || t.wide);
			int verdict = judge(&p, &t, early, sentence_end);
			if (paragraph)
				verdict = *sentence_end = 1;
			if (verdict)
				return verdict > 0 ? (size_t)at : 0;
			before = white ? ' ' : 0;
			i = white ? after : i;
			if (white)
				continue;
		}
		count(&t, c, before);
		before = c;
	}
	return 0;
}
