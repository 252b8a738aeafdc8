/* Vocabularies of tiktoken. */
#include "text/bpe_internal.h"

#include "base/map.h"

#include <string.h>

static int digit(char c) {
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *const at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* The bytes that `text` stands for -> out, at most 3/4 of its size; returns how many, or -1. */
static int decode(const char *text, size_t size, char *out) {
	uint32_t bits = 0;
	int held = 0, n = 0;
	while (size && text[size - 1] == '=')
		size--;
	if (size % 4 == 1)
		return -1;
	for (size_t i = 0; i < size; i++) {
		const int value = digit(text[i]);
		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[n++] = (char)(bits >> held & 0xff);
		}
	}
	return n;
}

typedef struct line {
	const char *text;
	size_t size;
	int64_t id;
} line;

/* The next line that is not empty. 0 at the end; a line without a number has the id -1. */
static int next_line(const char **at, const char *end, line *out) {
	while (*at < end) {
		const char *const newline = memchr(*at, '\n', (size_t)(end - *at));
		const char *stop = newline ? newline : end, *begin = *at;
		*at = newline ? newline + 1 : end;
		while (stop > begin && (stop[-1] == '\r' || stop[-1] == ' '))
			stop--;
		while (begin < stop && *begin == ' ')
			begin++;
		const char *number = stop;
		while (number > begin && number[-1] >= '0' && number[-1] <= '9')
			number--;
		if (stop == begin)
			continue;
		*out = (line){ begin, number > begin ? (size_t)(number - begin - 1) : 0, -1 };
		if (number == stop || stop - number > 9 || (number > begin && number[-1] != ' '))
			return 1;
		out->id = 0;
		for (; number < stop; number++)
			out->id = 10 * out->id + (*number - '0');
		return 1;
	}
	return 0;
}

/* The largest id + 1. */
static int measure(const char *text, const char *end, int *size, const char *path, char *err) {
	line l;
	*size = 0;
	for (int number = 1; next_line(&text, end, &l); number++) {
		if (l.id < 0 || l.id >= SN_BPE_MAX_TOKENS)
			return sn_fail(err, SN_E_FORMAT, "%s: line %d is no token in base64 and its id of 0 to %d", path, number, SN_BPE_MAX_TOKENS - 1);
		*size = l.id >= *size ? (int)l.id + 1 : *size;
	}
	return *size ? SN_OK : sn_fail(err, SN_E_FORMAT, "%s is empty; a token in base64 and its id a line are expected", path);
}

static int read_tokens(sn_bpe *bpe, const char *text, const char *end, const char *path, char *err) {
	line l;
	for (int number = 1; next_line(&text, end, &l); number++) {
		const int length = l.size <= SN_BPE_MAX_TOKEN ? decode(l.text, l.size, bpe->bytes + bpe->used) : -1;
		if (length < 0)
			return sn_fail(err, SN_E_FORMAT, "%s: line %d does not begin with base64 of at most %d letters", path, number, SN_BPE_MAX_TOKEN);
		if (bpe->tokens[l.id].known)
			return sn_fail(err, SN_E_MODEL, "%s: line %d has the id %d, as a line before", path, number, (int)l.id);
		bpe->tokens[l.id] = (bpe_token){ (uint32_t)bpe->used, (uint32_t)length & 0x3fffffff, 0, 1 };
		bpe->used += (size_t)length;
	}
	return SN_OK;
}

static int add_special(sn_bpe *bpe, const sn_bpe_named *special, int count, const char *path, char *err) {
	size_t bytes = 0;
	int size = bpe->size;
	for (int i = 0; i < count; i++) {
		bytes += strlen(special[i].text);
		size = special[i].id >= size ? special[i].id + 1 : size;
		if (special[i].id < 0 || special[i].id >= SN_BPE_MAX_TOKENS)
			return sn_fail(err, SN_E_MODEL, "%s: token '%s' has the id %d; 0 to %d are allowed", path, special[i].text, special[i].id,
			               SN_BPE_MAX_TOKENS - 1);
	}
	int result = bpe_reserve(bpe, bytes, size, path, err);
	for (int i = 0; i < count && result == SN_OK; i++) {
		const size_t length = strlen(special[i].text);
		bpe_token *const token = bpe->tokens + special[i].id;
		if (token->known)
			return sn_fail(err, SN_E_MODEL, "%s: the id %d of '%s' belongs to another token", path, special[i].id, special[i].text);
		*token = (bpe_token){ (uint32_t)bpe->used, (uint32_t)length & 0x3fffffff, 1, 1 };
		memcpy(bpe->bytes + bpe->used, special[i].text, length);
		bpe->used += length;
	}
	return result;
}

int sn_bpe_open_ranks(sn_bpe **out, const char *path, const sn_bpe_named *special, int count, char *err) {
	sn_map map;
	int size;
	*out = NULL;
	int result = sn_map_open(&map, path, err);
	if (result != SN_OK)
		return result;
	const char *const text = (const char *)map.data, *const end = text + map.size;
	sn_bpe *const bpe = bpe_new(path, err);
	result = bpe ? measure(text, end, &size, path, err) : SN_E_MEMORY;
	if (result == SN_OK)
		result = bpe_reserve(bpe, map.size, size, path, err);
	if (result == SN_OK)
		result = read_tokens(bpe, text, end, path, err);
	if (result == SN_OK)
		result = add_special(bpe, special, count, path, err);
	if (bpe) {
		bpe->ordered = 1;
		result = bpe_finish(out, bpe, result, err);
	}
	sn_map_close(&map);
	return result;
}
