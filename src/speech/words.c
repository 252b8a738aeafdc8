#include "speech/words.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#define MAX_UNIT 64 /* bytes of a unit that are looked at */

/* Tokens that complete a character together. */
typedef struct unit {
	int first, end;
	int space;        /* begins with one; spaces alone go with what follows */
	int mark;         /* nothing but punctuation and spaces */
	int opens;        /* such as stands before a word: "(" */
	int quotes;       /* begins with a quotation mark that opens in some languages and closes in others */
	int joins;        /* cannot begin a word: combining characters */
	int alone;        /* begins with a character of a script without spaces */
	int wide;         /* ends with one */
} unit;

/* Bytes of a character that are still missing at the end of text. */
static int missing(const char *text, size_t size) {
	for (size_t back = 1; back <= 3 && back <= size; back++) {
		const unsigned char c = (unsigned char)text[size - back];
		if (c < 0x80)
			return 0;
		if (c >= 0xc0) {
			const int length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
			return length > (int)back ? length - (int)back : 0;
		}
	}
	return 0;
}

static int no_spaces(UChar32 c) {
	UErrorCode status = U_ZERO_ERROR;
	switch (uscript_getScript(c, &status)) {
	case USCRIPT_HAN: case USCRIPT_HIRAGANA: case USCRIPT_KATAKANA: case USCRIPT_THAI: case USCRIPT_LAO: case USCRIPT_MYANMAR:
	case USCRIPT_KHMER: case USCRIPT_TIBETAN: case USCRIPT_YI: return 1;
	default: return c == 0x30fc; /* the mark of long vowels is common to both kana */
	}
}

static int opening(UChar32 c, int after_space) {
	if (u_charType(c) == U_START_PUNCTUATION || c == 0xbf || c == 0xa1) /* inverted ? and ! */
		return 1;
	return after_space && (c == '"' || c == '\'' || c == '-' || c == '#');
}

static void describe(unit *u, const char *text, int size) {
	UChar32 c, last = 0;
	int first = 1;
	*u = (unit){ .first = u->first, .end = u->end, .mark = 1 };
	for (int i = 0; i < size;) {
		U8_NEXT(text, i, size, c);
		if (u_isUWhiteSpace(c)) {
			u->space |= first;
			continue;
		}
		if (first) {
			u->opens = opening(c, u->space);
			u->quotes = u_charType(c) == U_INITIAL_PUNCTUATION;
			u->joins = !u->space && (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0;
			u->alone = c >= 0 && no_spaces(c);
		}
		first = 0;
		u->mark &= c >= 0 && u_ispunct(c) && c != '%' && c != '&' && c != '@';
		last = c;
	}
	u->opens &= u->mark;
	u->quotes &= u->mark;
	u->wide = last > 0 && no_spaces(last);
}

/* The unit that begins with token `first`: up to where characters are complete or a special token stands. */
static unit next_unit(const sn_bpe *bpe, const int32_t *tokens, int count, int32_t special, int first) {
	char text[MAX_UNIT + 1];
	size_t size = 0;
	unit u = { .first = first, .end = first };
	while (u.end < count && tokens[u.end] < special) {
		size_t more = 0;
		const char *bytes = sn_bpe_bytes(bpe, tokens[u.end++], &more);
		const size_t room = MAX_UNIT - size;
		if (bytes)
			memcpy(text + size, bytes, more < room ? more : room);
		size += bytes ? more < room ? more : room : 0;
		text[size] = 0;
		if (size == MAX_UNIT || (!missing(text, size) && strspn(text, " ") < size))
			break;
	}
	describe(&u, text, (int)size);
	return u;
}

/* What is behind the marks from `first` on, or one of them that opens in any language; a space where there is nothing. */
static unit touched(const sn_bpe *bpe, const int32_t *tokens, int count, int32_t special, int first) {
	unit u = { .end = first };
	do {
		if (u.end == count || tokens[u.end] >= special)
			return (unit){ .space = 1 };
		u = next_unit(bpe, tokens, count, special, u.end);
	} while (u.mark && !u.space && !u.opens);
	return u;
}

/* Does the mark go to the word behind it? before: NULL, u is the first. A quotation mark does not tell by itself: the one that begins an
 * English quotation ends a German one, and the one that begins a French one a Danish one. */
static int opens(const unit *u, const unit *before, const unit *after) {
	if (!u->mark || u->opens)
		return u->opens;
	if (u->quotes)
		return u->space || !before || (!after->space && (before->mark || before->wide));
	return u->space && !after->space; /* ".NET" */
}

/* Does a word begin with u, which follows on `before`? */
static int begins(const unit *u, const unit *before) {
	if (u->joins)
		return 0;
	if ((u->mark && !u->opens) || before->opens) /* a mark goes to the word before, one that opens to the word behind */
		return 0;
	return u->space || u->alone || u->opens || before->wide;
}

int sn_words_split(const sn_bpe *bpe, const int32_t *tokens, int count, int32_t special, sn_token_word *words) {
	int made = 0, open = 0; /* open: the last word may go on */
	unit before = { .first = 0 };
	for (int i = 0; i < count;) {
		if (tokens[i] >= special) {
			open = 0;
			i++;
			continue;
		}
		unit u = next_unit(bpe, tokens, count, special, i);
		if (u.mark) {
			const unit after = touched(bpe, tokens, count, special, u.end);
			u.opens = opens(&u, open ? &before : NULL, &after);
		}
		sn_token_word *w = open ? &words[made - 1] : NULL;
		if (!w || begins(&u, &before)) {
			w = &words[made++];
			*w = (sn_token_word){ u.first, u.end, -1, -1 };
		}
		w->end = u.end;
		if (!u.mark) {
			w->spoken_first = w->spoken_first < 0 ? u.first : w->spoken_first;
			w->spoken_end = u.end;
		}
		before = u;
		open = 1;
		i = u.end;
	}
	for (int k = 0; k < made; k++)
		if (words[k].spoken_first < 0) {
			words[k].spoken_first = words[k].first;
			words[k].spoken_end = words[k].end;
		}
	return made;
}
