#include "text/bpe_internal.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/map.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/utf8.h>
#include <unistd.h>

/* Byte-level spelling: printable Latin-1 characters stand for the byte of their code, U+0100 + i for the i-th of the others. */
static int spelled_byte(int32_t c) {
	if ((c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff))
		return c;
	if (c < 0x100 || c > 0x143)
		return -1;
	int i = c - 0x100; /* 0x00..0x20, 0x7f..0xa0, 0xad */
	return i <= 0x20 ? i : i <= 0x42 ? 0x7f + i - 0x21 : 0xad;
}

int bpe_unspell(const char *text, size_t size, char *out) {
	const uint8_t *s = (const uint8_t *)text;
	int32_t i = 0, length = (int32_t)size, n = 0, plain = 1;
	while (i < length) {
		int32_t c;
		U8_NEXT(s, i, length, c);
		if (c < 0)
			return -1;
		int byte = spelled_byte(c);
		plain &= byte >= 0;
		out[n] = (char)byte;
		n += plain;
	}
	if (!plain)
		memcpy(out, text, n = length);
	return n;
}

int bpe_path(char *path, const char *dir, const char *name, char *err) {
	int length = snprintf(path, PATH_MAX, "%s/%s", dir, name);
	if (length < 0 || length >= PATH_MAX)
		return sn_fail(err, SN_E_LIMIT, "the path '%.100s.../%s' is too long", dir, name);
	return SN_OK;
}

int bpe_has(const char *dir, const char *name) {
	char path[PATH_MAX];
	return bpe_path(path, dir, name, NULL) == SN_OK && access(path, F_OK) == 0;
}

static int same(const sn_bpe *bpe, int32_t id, const char *bytes, size_t size) {
	const bpe_token *token = &bpe->tokens[id];
	return token->size == size && memcmp(bpe->bytes + token->at, bytes, size) == 0;
}

int32_t bpe_table_find(const sn_bpe *bpe, const bpe_table *table, const char *bytes, size_t size) {
	if (!table->slots)
		return -1;
	uint32_t slot = (uint32_t)sn_hash(SN_HASH_INIT, bytes, size) & table->mask;
	for (; table->slots[slot]; slot = (slot + 1) & table->mask)
		if (same(bpe, (int32_t)table->slots[slot] - 1, bytes, size))
			return (int32_t)table->slots[slot] - 1;
	return -1;
}

int bpe_table_build(const sn_bpe *bpe, bpe_table *table, int special, char *err) {
	uint32_t count = 0, slots = 16;
	for (int id = 0; id < bpe->size; id++)
		count += bpe->tokens[id].known && bpe->tokens[id].special == (unsigned)special;
	while (slots < 2 * count)
		slots *= 2;
	*table = (bpe_table){ calloc(slots, sizeof *table->slots), slots - 1 };
	if (!table->slots)
		return sn_fail(err, SN_E_MEMORY, "out of memory for the index of %u tokens", count);
	for (int id = 0; id < bpe->size; id++) {
		const bpe_token *token = &bpe->tokens[id];
		const char *bytes = bpe->bytes + token->at;
		if (!token->known || token->special != (unsigned)special || bpe_table_find(bpe, table, bytes, token->size) >= 0)
			continue;
		uint32_t slot = (uint32_t)sn_hash(SN_HASH_INIT, bytes, token->size) & table->mask;
		while (table->slots[slot])
			slot = (slot + 1) & table->mask;
		table->slots[slot] = (uint32_t)id + 1;
	}
	return SN_OK;
}

/* Decoding never lengthens a token. */
int bpe_reserve(sn_bpe *bpe, size_t bytes, int size, const char *path, char *err) {
	if (bytes > SN_BPE_MAX_BYTES)
		return sn_fail(err, SN_E_LIMIT, "%s has %zu bytes; a vocabulary may have %zu", path, bytes, SN_BPE_MAX_BYTES);
	if (bpe->used + bytes > bpe->capacity) {
		char *grown = realloc(bpe->bytes, bpe->used + bytes);
		if (!grown)
			return sn_fail(err, SN_E_MEMORY, "out of memory for the vocabulary %s", path);
		bpe->bytes = grown;
		bpe->capacity = bpe->used + bytes;
	}
	if (size > bpe->size) {
		bpe_token *tokens = realloc(bpe->tokens, (size_t)size * sizeof *tokens);
		if (!tokens)
			return sn_fail(err, SN_E_MEMORY, "out of memory for %d tokens", size);
		memset(tokens + bpe->size, 0, (size_t)(size - bpe->size) * sizeof *tokens);
		bpe->tokens = tokens;
		bpe->size = size;
	}
	return SN_OK;
}

static int is_special(const char *text, size_t size) {
	return size >= 5 && memcmp(text, "<|", 2) == 0 && memcmp(text + size - 2, "|>", 2) == 0;
}

static int add(sn_bpe *bpe, int id, const char *text, size_t size, const char *path, char *err) {
	if (size > SN_BPE_MAX_TOKEN || size > bpe->capacity - bpe->used)
		return sn_fail(err, SN_E_LIMIT, "%s: token %d has %zu bytes; at most %d are allowed", path, id, size, SN_BPE_MAX_TOKEN);
	int length = bpe_unspell(text, size, bpe->bytes + bpe->used);
	if (length < 0)
		return sn_fail(err, SN_E_FORMAT, "%s: token %d is not valid UTF-8", path, id);
	int special = is_special(text, size);
	bpe->tokens[id] = (bpe_token){ (uint32_t)bpe->used, (uint32_t)length & 0x3fffffff, special & 1, 1 };
	bpe->used += (size_t)length;
	return SN_OK;
}

/* One token a line; the line number is the id. An empty line is the empty token, which Whisper has. */
static int read_lines(sn_bpe *bpe, const char *path, char *err) {
	sn_map map;
	int result = sn_map_open(&map, path, err);
	if (result != SN_OK)
		return result;
	const char *text = (const char *)map.data, *end = text + map.size;
	int lines = 0;
	for (const char *s = text; s < end && lines <= SN_BPE_MAX_TOKENS; lines++) {
		const char *newline = memchr(s, '\n', (size_t)(end - s));
		s = newline ? newline + 1 : end;
	}
	if (!lines)
		result = sn_fail(err, SN_E_FORMAT, "%s is empty; one token a line is expected", path);
	else if (lines > SN_BPE_MAX_TOKENS)
		result = sn_fail(err, SN_E_LIMIT, "%s has more than %d lines; a vocabulary may have that many", path, SN_BPE_MAX_TOKENS);
	else
		result = bpe_reserve(bpe, map.size, lines, path, err);
	for (int id = 0; result == SN_OK && id < lines; id++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
		size_t size = (size_t)(stop - text);
		result = add(bpe, id, text, size && text[size - 1] == '\r' ? size - 1 : size, path, err);
		text = stop + 1;
	}
	sn_map_close(&map);
	return result;
}

/* A list of tokens; the position is the id. */
static int add_list(sn_bpe *bpe, const json_t *list, const char *path, char *err) {
	size_t bytes = 0, count = json_array_size(list);
	for (size_t i = 0; i < count; i++) {
		if (!json_is_string(json_array_get(list, i)))
			return sn_fail(err, SN_E_FORMAT, "%s: entry %zu is not a text; a list of tokens is expected", path, i);
		bytes += json_string_length(json_array_get(list, i));
	}
	if (!count || count > SN_BPE_MAX_TOKENS)
		return sn_fail(err, SN_E_LIMIT, "%s has %zu tokens; 1 to %d are allowed", path, count, SN_BPE_MAX_TOKENS);
	int result = bpe_reserve(bpe, bytes, (int)count, path, err);
	for (size_t i = 0; result == SN_OK && i < count; i++) {
		const json_t *token = json_array_get(list, i);
		result = add(bpe, (int)i, json_string_value(token), json_string_length(token), path, err);
	}
	return result;
}

static int check_id(const json_t *value, const char *token, const char *path, char *err) {
	json_int_t id = json_integer_value(value);
	if (!json_is_integer(value) || id < 0 || id >= SN_BPE_MAX_TOKENS)
		return sn_fail(err, SN_E_MODEL, "%s: the id of '%.40s' must be an integer from 0 to %d", path, token, SN_BPE_MAX_TOKENS - 1);
	return SN_OK;
}

/* {token: id}. Ids that two tokens of this object claim are refused; those of an earlier file are replaced. */
static int add_object(sn_bpe *bpe, json_t *object, const char *path, char *err) {
	const char *key;
	json_t *value;
	size_t bytes = 0;
	int size = bpe->size;
	if (!json_is_object(object))
		return sn_fail(err, SN_E_FORMAT, "%s: an object of tokens and ids is expected", path);
	json_object_foreach(object, key, value) {
		int result = check_id(value, key, path, err);
		if (result != SN_OK)
			return result;
		bytes += strlen(key);
		if (json_integer_value(value) >= size)
			size = (int)json_integer_value(value) + 1;
	}
	uint32_t first = (uint32_t)bpe->used;
	int result = bpe_reserve(bpe, bytes, size, path, err);
	if (result != SN_OK)
		return result;
	json_object_foreach(object, key, value) {
		int id = (int)json_integer_value(value);
		if (bpe->tokens[id].known && bpe->tokens[id].size && bpe->tokens[id].at >= first)
			return sn_fail(err, SN_E_MODEL, "%s: the id %d belongs to '%.40s' and to another token", path, id, key);
		result = add(bpe, id, key, strlen(key), path, err);
		if (result != SN_OK)
			return result;
	}
	return SN_OK;
}

static int read_json(sn_bpe *bpe, const char *path, char *err) {
	json_t *root;
	int result = sn_json_file(&root, path, err);
	if (result != SN_OK)
		return result;
	result = json_is_array(root) ? add_list(bpe, root, path, err) : add_object(bpe, root, path, err);
	json_decref(root);
	return result;
}

/* What is not byte-level BPE is refused: its ids would be others. Parts that are missing or null change nothing. */
static int check_tokenizer(const json_t *root, const char *path, char *err) {
	static const char *const parts[][2] = { { "model", "BPE" }, { "pre_tokenizer", "ByteLevel" }, { "decoder", "ByteLevel" } };
	const json_t *normalizer = json_object_get(root, "normalizer");
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		const char *type = json_string_value(json_object_get(json_object_get(root, parts[i][0]), "type"));
		if (type && strcmp(type, parts[i][1]) != 0)
			return sn_fail(err, SN_E_UNSUPPORTED, "%s: the %s '%.40s' is not known here; %s is", path, parts[i][0], type, parts[i][1]);
	}
	const char *type = json_string_value(json_object_get(normalizer, "type"));
	int empty = json_is_array(json_object_get(normalizer, "normalizers")) && !json_array_size(json_object_get(normalizer, "normalizers"));
	if (type && !empty)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: the normalizer '%.40s' is not known for byte-level BPE", path, type);
	return SN_OK;
}

/* {"model": {"vocab": {token: id}}, "added_tokens": [{"id": , "content": }]} */
static int read_tokenizer(sn_bpe *bpe, const char *path, char *err) {
	json_t *root;
	int result = sn_json_file(&root, path, err);
	if (result != SN_OK)
		return result;
	result = check_tokenizer(root, path, err);
	if (result != SN_OK) {
		json_decref(root);
		return result;
	}
	json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab"), *added = json_object(), *entry;
	size_t i;
	json_array_foreach(json_object_get(root, "added_tokens"), i, entry) {
		const char *content = json_string_value(json_object_get(entry, "content"));
		json_t *const id = json_object_get(entry, "id");
		if (!content || !id)
			result = sn_fail(err, SN_E_FORMAT, "%s: added token %zu lacks its content or id", path, i);
		else if (json_object_set(added, content, id) != 0)
			result = sn_fail(err, SN_E_MEMORY, "no memory for the added tokens of %s", path);
	}
	if (result == SN_OK)
		result = add_object(bpe, vocab, path, err);
	if (result == SN_OK)
		result = add_object(bpe, added, path, err);
	json_decref(added);
	json_decref(root);
	return result;
}

typedef int reader(sn_bpe *bpe, const char *path, char *err);

static int read_with(reader *read, sn_bpe *bpe, const char *name, char *err) {
	char path[PATH_MAX];
	int result = bpe_path(path, bpe->dir, name, err);
	return result == SN_OK ? read(bpe, path, err) : result;
}

static int read_vocabulary(sn_bpe *bpe, char *err) {
	const char *dir = bpe->dir;
	int lines = bpe_has(dir, "vocabulary.txt");
	bpe->ordered = lines || bpe_has(dir, "vocabulary.json");
	if (bpe->ordered)
		return lines ? read_with(read_lines, bpe, "vocabulary.txt", err) : read_with(read_json, bpe, "vocabulary.json", err);
	int added = bpe_has(dir, "added_tokens.json");
	if (bpe_has(dir, "vocab.json") && (added || !bpe_has(dir, "tokenizer.json"))) {
		int result = read_with(read_json, bpe, "vocab.json", err);
		return result == SN_OK && added ? read_with(read_json, bpe, "added_tokens.json", err) : result;
	}
	if (bpe_has(dir, "tokenizer.json"))
		return read_with(read_tokenizer, bpe, "tokenizer.json", err);
	return sn_fail(err, SN_E_NOT_FOUND,
	               "no vocabulary in '%s': looked for vocabulary.txt, vocabulary.json, vocab.json and tokenizer.json", dir);
}

sn_bpe *bpe_new(const char *dir, char *err) {
	sn_bpe *bpe = calloc(1, sizeof *bpe);
	if (!bpe || !(bpe->dir = strdup(dir))) {
		free(bpe);
		sn_fail(err, SN_E_MEMORY, "out of memory for a tokenizer");
		return NULL;
	}
	pthread_mutex_init(&bpe->lock, NULL);
	return bpe;
}

int bpe_finish(sn_bpe **out, sn_bpe *bpe, int result, char *err) {
	if (result == SN_OK)
		result = bpe_table_build(bpe, &bpe->special, 1, err);
	if (result != SN_OK)
		sn_bpe_close(&bpe);
	*out = bpe;
	return result;
}

int sn_bpe_open(sn_bpe **out, const char *dir, char *err) {
	sn_bpe *const bpe = bpe_new(dir, err);
	*out = NULL;
	return bpe ? bpe_finish(out, bpe, read_vocabulary(bpe, err), err) : SN_E_MEMORY;
}

void sn_bpe_close(sn_bpe **out) {
	sn_bpe *bpe = *out;
	*out = NULL;
	if (!bpe)
		return;
	pthread_mutex_destroy(&bpe->lock);
	free(bpe->merges);
	free(bpe->all.slots);
	free(bpe->special.slots);
	free(bpe->tokens);
	free(bpe->bytes);
	free(bpe->dir);
	free(bpe);
}

int sn_bpe_size(const sn_bpe *bpe) { return bpe->size; }

int32_t sn_bpe_id(const sn_bpe *bpe, const char *token) {
	char bytes[SN_BPE_MAX_TOKEN];
	size_t size = strlen(token);
	int length = size <= sizeof bytes ? bpe_unspell(token, size, bytes) : -1;
	if (length < 0)
		return -1;
	if (is_special(token, size))
		return bpe_table_find(bpe, &bpe->special, bytes, (size_t)length);
	for (int32_t id = 0; id < bpe->size; id++)
		if (bpe->tokens[id].known && same(bpe, id, bytes, (size_t)length))
			return id;
	return -1;
}

int sn_bpe_special(const sn_bpe *bpe, int32_t id) { return id >= 0 && id < bpe->size && bpe->tokens[id].special; }

const char *sn_bpe_bytes(const sn_bpe *bpe, int32_t id, size_t *size) {
	int there = id >= 0 && id < bpe->size && bpe->tokens[id].known && !bpe->tokens[id].special;
	*size = there ? bpe->tokens[id].size : 0;
	return there ? bpe->bytes + bpe->tokens[id].at : NULL;
}

static int add_repaired(sn_buf *out, const char *bytes, size_t size) {
	const uint8_t *s = (const uint8_t *)bytes;
	int32_t i = 0, start = 0, length = (int32_t)size;
	while (i < length) {
		int32_t before = i, c;
		U8_NEXT(s, i, length, c);
		if (c >= 0)
			continue;
		sn_buf_add(out, bytes + start, (size_t)(before - start));
		sn_buf_text(out, "\xef\xbf\xbd");
		start = i;
	}
	return sn_buf_add(out, bytes + start, (size_t)(length - start));
}

int sn_bpe_decode(const sn_bpe *bpe, const int32_t *ids, int count, sn_buf *out) {
	sn_buf raw;
	sn_buf_init(&raw, out->max < INT32_MAX ? out->max : INT32_MAX - 1);
	for (int i = 0; i < count; i++) {
		size_t size;
		const char *bytes = sn_bpe_bytes(bpe, ids[i], &size);
		if (bytes)
			sn_buf_add(&raw, bytes, size);
	}
	int result = raw.failed ? raw.failed : add_repaired(out, raw.data ? raw.data : "", raw.size);
	sn_buf_free(&raw);
	return result;
}
