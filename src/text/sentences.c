#include "text/sentences_internal.h"

#include "text/inline.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#define MAX_TEXT ((size_t)16 << 20)

typedef sentence_source source;

typedef struct list {
	sn_span *items;
	int count, capacity, failed;
} list;

static void push(list *l, int32_t begin, int32_t end, int sentence_end) {
	if (l->count == l->capacity) {
		int capacity = l->capacity ? 2 * l->capacity : 32;
		sn_span *grown = realloc(l->items, (size_t)capacity * sizeof *grown);
		if (!grown) {
			l->failed = 1;
			return;
		}
		l->items = grown;
		l->capacity = capacity;
	}
	l->items[l->count++] = (sn_span){ (size_t)begin, (size_t)end, sentence_end };
}

int32_t sentence_next(const source *s, int32_t *i) {
	int32_t c;
	U8_NEXT(s->text, *i, s->size, c);
	return c;
}

int32_t sentence_previous(const source *s, int32_t *i) {
	int32_t c;
	U8_PREV(s->text, 0, *i, c);
	return c;
}

static int32_t back_over_white(const source *s, int32_t begin, int32_t i) {
	while (i > begin) {
		int32_t at = i;
		if (!u_isUWhiteSpace(sentence_previous(s, &at)))
			break;
		i = at;
	}
	return i;
}

/* Past white space; *lines counts its line ends, of which CR LF is one and a paragraph separator two. */
static int32_t over_white(const source *s, int32_t i, int *lines) {
	while (i < s->size) {
		int32_t at = i, c = sentence_next(s, &at);
		if (!u_isUWhiteSpace(c))
			break;
		int carriage = c == '\r' && !(at < s->size && s->text[at] == '\n');
		*lines += c == 0x2029 ? 2 : c == '\n' || c == 0x85 || c == 0x2028 || carriage;
		i = at;
	}
	return i;
}

int sentence_closes(int32_t c) {
	int type = u_charType(c);
	return c == '"' || c == '\'' || c == SN_INLINE_MARK_CODE || type == U_END_PUNCTUATION || type == U_FINAL_PUNCTUATION || type == U_INITIAL_PUNCTUATION;
}

/* Whether a break that ICU found at `at` is to be ignored. */
static int keep_together(const source *s, int32_t begin, int32_t at) {
	int lines = 0;
	int32_t end = back_over_white(s, begin, at), after = over_white(s, end, &lines), next_at = after;
	if (end == begin || after == s->size || lines > 1)
		return 0;
	int32_t next = sentence_next(s, &next_at), last = 0, i = end;
	while (next == SN_INLINE_MARK_CODE && next_at < s->size)
		next = sentence_next(s, &next_at);
	while (i > begin && sentence_closes(last = sentence_previous(s, &i)))
		;
	if (!u_hasBinaryProperty(last, UCHAR_S_TERM))
		return 1; /* a line that was wrapped */
	if (after == end && last < 0x80)
		return 1; /* "path?x=1" */
	return last == '.' && (u_islower(next) || sentence_dot_of_word(s, begin, i, next) || sentence_goes_on(s, begin, i));
}

/* Marks count: none may be lost. */
static int speakable(const source *s, int32_t begin, int32_t end) {
	while (begin < end) {
		int32_t c = sentence_next(s, &begin);
		if (u_isalnum(c) || c == SN_INLINE_MARK_CODE)
			return 1;
	}
	return 0;
}

int sentence_ends_clause(int32_t c) {
	return c == ',' || c == ';' || c == ':' || c == 0x2013 || c == 0x2014 || c == 0x2026 || c == 0x3001 || c == 0xff0c || c == 0xff1a ||
	       c == 0xff1b || c == 0x60c || c == 0x61b || u_hasBinaryProperty(c, UCHAR_S_TERM);
}

int sentence_is_wide_mark(int32_t c) { return c == 0x3001 || c == 0xff0c || c == 0xff1a || c == 0xff1b || c == 0x3002; }

/* Where to end a piece of at most `most` bytes from begin: behind the last clause, else word, else character that fits. */
static int32_t cut(const source *s, int32_t begin, int32_t most) {
	int32_t clause = 0, word = 0, whole = 0, before = 0;
	for (int32_t i = begin; i < s->size && i - begin <= most;) {
		int32_t at = i, c = sentence_next(s, &i);
		if (u_isUWhiteSpace(c)) {
			word = at > begin ? at : word;
			clause = sentence_ends_clause(before) ? at : clause;
		} else if (sentence_is_wide_mark(before)) {
			clause = at;
		}
		if (at > begin && !(U_GET_GC_MASK(c) & U_GC_M_MASK))
			whole = at;
		before = c;
	}
	if (clause - begin >= most / 4)
		return clause;
	return word > begin ? word : whole > begin ? whole : begin + most;
}

static void push_pieces(list *l, const source *s, int32_t begin, int32_t end, int32_t most) {
	while (end - begin > most) {
		int lines = 0;
		int32_t stop = cut(s, begin, most);
		push(l, begin, back_over_white(s, begin, stop), 0);
		begin = over_white(s, stop, &lines);
	}
	if (end > begin)
		push(l, begin, end, 1);
	else if (l->count)
		l->items[l->count - 1].sentence_end = 1;
}

/* Adds the sentence to the list, or, having nothing to speak, to the sentence before or after it where that keeps within
 * `most`. */
static int32_t push_sentence(list *l, const source *s, int32_t begin, int32_t end, int32_t most) {
	if (speakable(s, begin, end)) {
		push_pieces(l, s, begin, end, most);
		return -1;
	}
	sn_span *before = l->count ? &l->items[l->count - 1] : NULL;
	if (before && end - (int32_t)before->begin <= most) {
		before->end = (size_t)end;
		return -1;
	}
	return before ? -1 : begin;
}

static int split(const source *s, UBreakIterator *breaks, int32_t most, list *l) {
	int lines = 0;
	int32_t begin = over_white(s, 0, &lines), held = -1; /* held: start of unspeakable text before the first sentence */
	ubrk_first(breaks);
	for (int32_t at; (at = ubrk_next(breaks)) != UBRK_DONE;) {
		if (at <= begin || (at < s->size && keep_together(s, begin, at)))
			continue;
		int32_t end = back_over_white(s, begin, at), start = held >= 0 && end - held <= most ? held : begin;
		if (end > begin)
			held = push_sentence(l, s, start, end, most);
		begin = over_white(s, at, &lines);
	}
	if (held >= 0)
		push_pieces(l, s, held, back_over_white(s, held, s->size), most);
	return !l->failed;
}

static int check(const char *text, size_t size, size_t max_bytes, char *err) {
	if (max_bytes < 16)
		return sn_fail(err, SN_E_ARGUMENT, "sentences of at most %zu bytes; at least 16 are needed", max_bytes);
	if (size > MAX_TEXT)
		return sn_fail(err, SN_E_LIMIT, "the text has %zu bytes; at most %zu are taken", size, MAX_TEXT);
	for (int32_t i = 0; i < (int32_t)size;) {
		int32_t at = i, c;
		U8_NEXT((const uint8_t *)text, i, (int32_t)size, c);
		if (c < 0)
			return sn_fail(err, SN_E_FORMAT, "the text is not valid UTF-8 at byte %d", at);
	}
	return SN_OK;
}

int sn_sentences(const char *text, size_t size, const char *locale, size_t max_bytes, sn_spans *out, char *err) {
	*out = (sn_spans){ 0 };
	int result = check(text, size, max_bytes, err);
	if (result != SN_OK || !size)
		return result;
	source s = { (const uint8_t *)text, (int32_t)size, sentence_has_ordinal_dots(locale ? locale : ""), locale };
	list l = { 0 };
	UErrorCode status = U_ZERO_ERROR;
	UText input = UTEXT_INITIALIZER;
	utext_openUTF8(&input, text, (int64_t)size, &status);
	UBreakIterator *breaks = ubrk_open(UBRK_SENTENCE, locale ? locale : "", NULL, 0, &status);
	ubrk_setUText(breaks, &input, &status);
	if (U_FAILURE(status))
		result = sn_fail(err, SN_E_DEPENDENCY, "ICU cannot split text into sentences: %s", u_errorName(status));
	else if (!split(&s, breaks, max_bytes < size ? (int32_t)max_bytes : (int32_t)size, &l))
		result = sn_fail(err, SN_E_MEMORY, "out of memory for the sentences of %zu bytes", size);
	if (breaks)
		ubrk_close(breaks);
	utext_close(&input);
	if (result == SN_OK)
		*out = (sn_spans){ l.items, l.count };
	else
		free(l.items);
	return result;
}

void sn_spans_free(sn_spans *spans) {
	free(spans->items);
	*spans = (sn_spans){ 0 };
}
