/* Looking at the text and saying words. */
#include "text/normalise_internal.h"

#include "base/ascii.h"
#include "text/utf8.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

int32_t norm_char(const norm_reader *r, size_t at) {
	int32_t i = (int32_t)at, c = 0;
	if (at < r->size)
		U8_NEXT((const uint8_t *)r->text, i, (int32_t)r->size, c);
	return c;
}

int32_t norm_char_before(const norm_reader *r, size_t at) {
	int32_t i = (int32_t)at, c = 0;
	if (at)
		U8_PREV((const uint8_t *)r->text, 0, i, c);
	return c;
}

size_t norm_next(const norm_reader *r, size_t at) {
	int32_t i = (int32_t)at;
	if (at < r->size)
		U8_FWD_1((const uint8_t *)r->text, i, (int32_t)r->size);
	return (size_t)i;
}

int norm_is_digit(const norm_reader *r, size_t at) { return at < r->size && r->text[at] >= '0' && r->text[at] <= '9'; }

int norm_is_letter(const norm_reader *r, size_t at) { return at < r->size && u_isalpha(norm_char(r, at)); }

int norm_is_upper(const norm_reader *r, size_t at) { return at < r->size && u_isupper(norm_char(r, at)); }

int norm_joins_words(int32_t c) {
	UErrorCode status = U_ZERO_ERROR;
	return u_isalnum(c) && !uscript_breaksBetweenLetters(uscript_getScript(c, &status));
}

int norm_starts(const norm_reader *r, size_t at, const char *what) {
	size_t length = strlen(what);
	return at <= r->size && r->size - at >= length && memcmp(r->text + at, what, length) == 0;
}

static int word_ends(const norm_reader *r, size_t at) { return !norm_is_letter(r, at) && !norm_is_digit(r, at); }

size_t norm_word(const norm_reader *r, size_t at, const char *word) {
	size_t length = strlen(word);
	return norm_starts(r, at, word) && word_ends(r, at + length) ? length : 0;
}

size_t norm_word_any(const norm_reader *r, size_t at, const char *word) {
	size_t length = strlen(word);
	return at <= r->size && r->size - at >= length && sn_strncasecmp(r->text + at, word, length) == 0 && word_ends(r, at + length)
	    ? length : 0;
}

size_t norm_spaces(const norm_reader *r, size_t at) {
	while (at < r->size && (r->text[at] == ' ' || r->text[at] == '\t' || norm_starts(r, at, "\xc2\xa0")))
		at = norm_next(r, at);
	return at;
}

size_t norm_letters(const norm_reader *r, size_t at) {
	while (at < r->size) {
		int32_t c = norm_char(r, at);
		if (!u_isalpha(c) && !(U_GET_GC_MASK(c) & U_GC_M_MASK) && c != 0x200c && c != 0x200d)
			break;
		at = norm_next(r, at);
	}
	return at;
}

int norm_plain(const norm_reader *r, size_t at, int least, int most, int *value) {
	int length = 0;
	*value = 0;
	while (norm_is_digit(r, at + (size_t)length) && length < most)
		*value = 10 * *value + r->text[at + (size_t)length++] - '0';
	return length >= least && !norm_is_digit(r, at + (size_t)length) ? length : 0;
}

size_t norm_word_before(const norm_reader *r, size_t at, char *word, size_t room) {
	int32_t end = (int32_t)at, c = 0;
	*word = 0;
	while (end > 0 && (r->text[end - 1] == ' ' || (end > 1 && r->text[end - 1] == '\xa0' && r->text[end - 2] == '\xc2')))
		end -= r->text[end - 1] == ' ' ? 1 : 2;
	int32_t begin = end, i = end;
	if (end > 1 && r->text[end - 1] == '.') /* "vol. 3" */
		begin = i = end - 1;
	int32_t last = begin;
	while (i > 0) {
		U8_PREV((const uint8_t *)r->text, 0, i, c);
		if (!u_isalpha(c) && !(U_GET_GC_MASK(c) & U_GC_M_MASK))
			break;
		begin = i;
	}
	size_t size = (size_t)(last - begin);
	if (size && size < room) {
		memcpy(word, r->text + begin, size);
		word[size] = 0;
	}
	return (size_t)begin;
}

int norm_listed(const char *list, const char *word, size_t size) {
	if (!list || !size)
		return 0;
	for (const char *at = list; (at = memmem(at, strlen(at), word, size)); at++)
		if ((at == list || at[-1] == ' ') && (at[size] == ' ' || !at[size]))
			return 1;
	return 0;
}

int norm_is_word(const char *list, const char *word) { return norm_listed(list, word, strlen(word)); }

int norm_speaks(const norm_reader *r, const char *languages) { return norm_is_word(languages, r->n->language); }

int norm_at_end(const norm_reader *r, size_t at) {
	while (at < r->size) {
		int32_t c = norm_char(r, at);
		if (!u_isUWhiteSpace(c) && !strchr("\"')]}", c < 0x80 ? (int)c : 1))
			return 0;
		at = norm_next(r, at);
	}
	return 1;
}

/* ---- saying ---- */

static int joins(const norm_reader *r) {
	const sn_buf *out = r->out;
	int32_t i = (int32_t)out->size, c = 0;
	if (!r->n->spaces || out->size == r->base)
		return 1;
	U8_PREV((const uint8_t *)out->data, (int32_t)r->base, i, c);
	if (out->size > r->piece)
		return u_isUWhiteSpace(c) || c == '-';
	return !u_isalnum(c) && !(U_GET_GC_MASK(c) & U_GC_M_MASK);
}

void norm_say_part(norm_reader *r, const char *words, size_t size) {
	if (!size)
		return;
	if (!joins(r))
		sn_buf_add(r->out, " ", 1);
	sn_buf_add(r->out, words, size);
}

void norm_say(norm_reader *r, const char *words) {
	if (words)
		norm_say_part(r, words, strlen(words));
}

void norm_glue(norm_reader *r, const char *text) { sn_buf_text(r->out, text); }

void norm_copy(norm_reader *r, size_t from, size_t to) {
	sn_buf_add(r->out, r->text + from, to - from);
}

void norm_unspoken(norm_reader *r, int32_t c) {
	sn_normal_map *map = r->map;
	char bytes[5] = "";
	int32_t length = 0;
	size_t used = strlen(map->sample);
	map->unspoken++;
	U8_APPEND_UNSAFE((uint8_t *)bytes, length, c);
	bytes[length] = 0;
	if (used + (size_t)length < sizeof map->sample && !strstr(map->sample, bytes))
		memcpy(map->sample + used, bytes, (size_t)length + 1);
}
