#include "text/vocab.h"

#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

void vocab_free(vocab *v) {
	free(v->bytes);
	free(v->tokens);
	*v = (vocab){ 0 };
}

static int reserve(vocab *v, int64_t id, size_t size, const char *file, char *err) {
	if (v->used + size + 1 > v->room) {
		size_t room = 2 * (v->used + size) + 256;
		if (room > 2 * SN_VOCAB_MAX_BYTES)
			return sn_fail(err, SN_E_LIMIT, "%s: the tokens take more than %zu bytes", file, SN_VOCAB_MAX_BYTES);
		char *bytes = realloc(v->bytes, room);
		if (!bytes)
			return sn_fail(err, SN_E_MEMORY, "out of memory for tokens of %zu bytes", room);
		v->bytes = bytes;
		v->room = room;
	}
	if (id >= v->capacity) {
		int capacity = id < 64 ? 128 : 2 * (int)id;
		vocab_token *tokens = realloc(v->tokens, (size_t)capacity * sizeof *tokens);
		if (!tokens)
			return sn_fail(err, SN_E_MEMORY, "out of memory for %d tokens", capacity);
		memset(tokens + v->capacity, 0, (size_t)(capacity - v->capacity) * sizeof *tokens);
		v->tokens = tokens;
		v->capacity = capacity;
	}
	return SN_OK;
}

int vocab_add(vocab *v, int64_t id, const char *text, size_t size, const char *file, char *err) {
	const int shown = size < 40 ? (int)size : 40; /* of a text that need not end with a NUL */
	if (id < 0 || id >= SN_VOCAB_MAX_TOKENS)
		return sn_fail(err, SN_E_MODEL, "%s: the id of '%.*s' is %lld; it must lie between 0 and %d", file, shown, text, (long long)id,
		               SN_VOCAB_MAX_TOKENS - 1);
	if (size > SN_VOCAB_MAX_TOKEN || sn_utf8_check(text, size, SN_VOCAB_MAX_TOKEN, NULL) != SN_OK)
		return sn_fail(err, SN_E_MODEL, "%s: token %lld has %zu bytes or is not valid UTF-8; at most %d are allowed", file, (long long)id,
		               size, SN_VOCAB_MAX_TOKEN);
	int result = reserve(v, id, size, file, err);
	if (result != SN_OK)
		return result;
	if (v->tokens[id].known)
		return sn_fail(err, SN_E_MODEL, "%s: the id %lld belongs to '%.40s' and to '%.*s'", file, (long long)id, vocab_text(v, (int32_t)id),
		               shown, text);
	v->tokens[id] = (vocab_token){ (uint32_t)v->used, (uint32_t)size, 1 };
	memcpy(v->bytes + v->used, text, size);
	v->bytes[v->used + size] = 0;
	v->used += size + 1;
	if (id >= v->size)
		v->size = (int)id + 1;
	return SN_OK;
}

int vocab_add_object(vocab *v, const json_t *object, const char *file, char *err) {
	const char *key;
	json_t *value;
	if (!json_is_object(object) || !json_object_size(object))
		return sn_fail(err, SN_E_FORMAT, "%s: an object of tokens and ids is expected", file);
	json_object_foreach((json_t *)object, key, value) {
		if (!json_is_integer(value))
			return sn_fail(err, SN_E_MODEL, "%s: the id of '%.40s' must be an integer", file, key);
		int result = vocab_add(v, json_integer_value(value), key, strlen(key), file, err);
		if (result != SN_OK)
			return result;
	}
	return SN_OK;
}

const char *vocab_text(const vocab *v, int32_t id) {
	return id >= 0 && id < v->size && v->tokens[id].known ? v->bytes + v->tokens[id].at : NULL;
}

static int compare(const vocab *v, int32_t id, const char *text, size_t size) {
	const vocab_token *token = &v->tokens[id];
	int order = memcmp(v->bytes + token->at, text, token->size < size ? token->size : size);
	return order ? order : (token->size > size) - (token->size < size);
}

static int by_text(const void *a, const void *b, void *context) {
	const vocab *v = context;
	const vocab_token *other = &v->tokens[*(const int32_t *)b];
	return compare(v, *(const int32_t *)a, v->bytes + other->at, other->size);
}

int vocab_index_build(const vocab *v, vocab_index *index, const uint8_t *flags, int wanted, const char *file, char *err) {
	*index = (vocab_index){ malloc((size_t)v->size * sizeof *index->ids + 1), 0 };
	if (!index->ids)
		return sn_fail(err, SN_E_MEMORY, "out of memory for the index of %d tokens", v->size);
	for (int32_t id = 0; id < v->size; id++)
		if (v->tokens[id].known && (!flags || flags[id] == wanted))
			index->ids[index->count++] = id;
	qsort_r(index->ids, (size_t)index->count, sizeof *index->ids, by_text, (void *)v);
	for (int i = 1; i < index->count; i++)
		if (by_text(&index->ids[i - 1], &index->ids[i], (void *)v) == 0)
			return sn_fail(err, SN_E_MODEL, "%s: the token '%.40s' has the ids %d and %d", file, vocab_text(v, index->ids[i]), index->ids[i - 1],
			               index->ids[i]);
	return SN_OK;
}

void vocab_index_free(vocab_index *index) {
	free(index->ids);
	*index = (vocab_index){ 0 };
}

int32_t vocab_find(const vocab *v, const vocab_index *index, const char *text, size_t size) {
	int from = 0, to = index->count;
	while (from < to) {
		int middle = from + (to - from) / 2, order = compare(v, index->ids[middle], text, size);
		if (!order)
			return index->ids[middle];
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return -1;
}

/* The first place in [from, to) whose byte at `depth` is at least `byte`; a token that ends there counts as -1. */
static int first_from(const vocab *v, const vocab_index *index, int from, int to, uint32_t depth, int byte) {
	while (from < to) {
		int middle = from + (to - from) / 2;
		const vocab_token *token = &v->tokens[index->ids[middle]];
		int there = token->size > depth ? (uint8_t)v->bytes[token->at + depth] : -1;
		if (there < byte)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

int32_t vocab_step(const vocab *v, const vocab_index *index, vocab_cursor *cursor, uint8_t byte) {
	cursor->from = first_from(v, index, cursor->from, cursor->to, cursor->depth, byte);
	cursor->to = first_from(v, index, cursor->from, cursor->to, cursor->depth, byte + 1);
	cursor->depth++;
	if (cursor->from == cursor->to)
		return -2;
	int32_t id = index->ids[cursor->from];
	return v->tokens[id].size == cursor->depth ? id : -1;
}

int32_t vocab_longest(const vocab *v, const vocab_index *index, const char *text, size_t size, size_t *length) {
	vocab_cursor cursor = VOCAB_START(index);
	int32_t longest = -1;
	for (size_t i = 0; i < size; i++) {
		int32_t id = vocab_step(v, index, &cursor, (uint8_t)text[i]);
		if (id == -2)
			break;
		if (id >= 0) {
			longest = id;
			*length = i + 1;
		}
	}
	return longest;
}
