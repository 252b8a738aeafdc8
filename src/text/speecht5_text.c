#include "text/speecht5_text.h"

#include "text/files.h"
#include "text/numbers.h"
#include "text/sentencepiece.h"
#include "text/utf8.h"
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#define MAX_TEXT ((size_t)1 << 20)
#define MAX_READ ((size_t)16 << 20) /* bytes of a text whose numbers were read */

struct sn_speecht5_text {
	sn_speecht5_text_config config;
	sn_spm *spm;
	vocab whole; /* what is never split: special tokens and added ones, by id */
	vocab_index index;
	int32_t mask; /* takes the white space before it; -1: none */
};

static int add_whole(sn_speecht5_text *t, const char *token, int32_t id, const char *path, char *err) {
	const char *there = vocab_text(&t->whole, id);
	return there && strcmp(there, token) == 0 ? SN_OK : vocab_add(&t->whole, id, token, strlen(token), path, err);
}

/* Ids behind the pieces, without a hole. */
static int read_added(sn_speecht5_text *t, const char *dir, char *err) {
	json_t *added;
	const char *token;
	json_t *id;
	char path[SN_PATH_MAX];
	const int pieces = sn_spm_get_config(t->spm)->size;
	t->config.size = pieces;
	int result = sn_text_path(path, dir, "added_tokens.json", err);
	if (result == SN_OK)
		result = sn_text_json(&added, dir, "added_tokens.json", 1, 0, err);
	if (result != SN_OK || !added)
		return result;
	const int size = pieces + (int)json_object_size(added);
	json_object_foreach(added, token, id) {
		const int64_t n = json_is_integer(id) ? json_integer_value(id) : -1;
		if (result != SN_OK)
			break;
		if (n < 0 || n >= size || (n < pieces && sn_spm_id(t->spm, token) != n))
			result = sn_fail(err, SN_E_MODEL, "%s: the id of '%.40s' is %lld; behind %d pieces it must lie between %d and %d", path, token,
			                 (long long)n, pieces, pieces, size - 1);
		else
			result = add_whole(t, token, (int32_t)n, path, err);
		if (n >= t->config.size)
			t->config.size = (int)n + 1;
	}
	json_decref(added);
	return result;
}

/* The id of a special token, which is then never split; -1 where neither the pieces nor the added tokens have it. */
static int read_special(sn_speecht5_text *t, const json_t *config, const char *key, const char *fallback, int32_t *id, char *err) {
	const char *token = sn_text_token(config, key, fallback);
	*id = sn_spm_id(t->spm, token);
	for (int32_t i = 0; *id < 0 && i < t->whole.size; i++)
		if (vocab_text(&t->whole, i) && strcmp(vocab_text(&t->whole, i), token) == 0)
			*id = i;
	return *id < 0 || !*token ? SN_OK : add_whole(t, token, *id, "tokenizer_config.json", err);
}

static int read_config(sn_speecht5_text *t, const char *dir, char *err) {
	json_t *config;
	int result = sn_text_json(&config, dir, "tokenizer_config.json", 1, 1, err);
	if (result == SN_OK)
		result = sn_json_bool(config, "normalize", &t->config.normalize, "tokenizer_config.json", err);
	if (result == SN_OK)
		result = read_special(t, config, "bos_token", "<s>", &t->config.begin, err);
	if (result == SN_OK)
		result = read_special(t, config, "eos_token", "</s>", &t->config.end, err);
	if (result == SN_OK)
		result = read_special(t, config, "unk_token", "<unk>", &t->config.unknown, err);
	if (result == SN_OK)
		result = read_special(t, config, "pad_token", "<pad>", &t->config.pad, err);
	if (result == SN_OK)
		result = read_special(t, config, "mask_token", "<mask>", &t->mask, err);
	json_decref(config);
	if (result == SN_OK && t->config.end < 0)
		result = sn_fail(err, SN_E_MODEL, "'%.200s': neither spm_char.model nor added_tokens.json has the end token (eos_token)", dir);
	return result;
}

int sn_speecht5_text_open(sn_speecht5_text **out, const char *dir, char *err) {
	char path[SN_PATH_MAX];
	sn_speecht5_text *t = calloc(1, sizeof *t);
	int result = t ? sn_text_path(path, dir, "spm_char.model", err) : sn_fail(err, SN_E_MEMORY, "out of memory for a tokenizer");
	if (result == SN_OK)
		result = sn_spm_open(&t->spm, path, err);
	if (result == SN_OK)
		result = read_added(t, dir, err);
	if (result == SN_OK)
		result = read_config(t, dir, err);
	if (result == SN_OK)
		result = vocab_index_build(&t->whole, &t->index, NULL, 0, dir, err);
	if (result != SN_OK)
		sn_speecht5_text_close(&t);
	*out = t;
	return result;
}

void sn_speecht5_text_close(sn_speecht5_text **out) {
	sn_speecht5_text *t = *out;
	*out = NULL;
	if (!t)
		return;
	sn_spm_close(&t->spm);
	vocab_free(&t->whole);
	vocab_index_free(&t->index);
	free(t);
}

const sn_speecht5_text_config *sn_speecht5_text_get_config(const sn_speecht5_text *t) { return &t->config; }

static size_t without_last_white(const char *text, size_t size) {
	while (size) {
		int32_t at = (int32_t)size, c;
		U8_PREV((const uint8_t *)text, 0, at, c);
		if (!u_isUWhiteSpace(c))
			break;
		size = (size_t)at;
	}
	return size;
}

/* What stands between the tokens that are never split is encoded by itself; the mask takes the white space before it. */
static int encode(const sn_speecht5_text *t, const char *text, size_t size, int32_t *ids, int max, int *count, char *err) {
	int result = SN_OK;
	for (size_t start = 0, i = 0; result == SN_OK && i <= size;) {
		size_t length = 0;
		int32_t id = vocab_longest(&t->whole, &t->index, text + i, size - i, &length);
		if (id < 0 && i < size) {
			i++;
			continue;
		}
		int added = 0;
		size_t end = id >= 0 && id == t->mask ? start + without_last_white(text + start, i - start) : i;
		result = sn_spm_encode(t->spm, text + start, end - start, ids + *count, max - *count, &added, err);
		*count += added;
		if (result == SN_OK && *count < max)
			ids[(*count)++] = id < 0 ? t->config.end : id;
		else if (result == SN_OK)
			result = sn_fail(err, SN_E_LIMIT, "the text makes more than %d ids", max);
		i += length + (id < 0);
		start = i;
	}
	return result;
}

int sn_speecht5_text_encode(const sn_speecht5_text *t, const char *text, size_t size, int32_t *ids, int max, int *count, char *err) {
	sn_buf read;
	sn_buf_init(&read, MAX_READ);
	*count = 0;
	int result = sn_utf8_check(text, size, MAX_TEXT, err);
	if (result == SN_OK && t->config.normalize) {
		result = sn_text_numbers_speecht5(&read, text, size, err);
		text = read.data ? read.data : "";
		size = read.size;
	}
	if (result == SN_OK)
		result = encode(t, text, size, ids, max, count, err);
	sn_buf_free(&read);
	return result;
}

int sn_speecht5_text_decode(const sn_speecht5_text *t, const int32_t *ids, int count, sn_buf *out) {
	for (int i = 0; i < count; i++) {
		int32_t id = ids[i];
		const char *piece = sn_spm_piece(t->spm, id);
		if (!piece || sn_spm_special(t->spm, id) || id == t->mask)
			continue;
		int space = strcmp(piece, "\xe2\x96\x81") == 0;
		if (!space || out->size)
			sn_buf_text(out, space ? " " : piece);
	}
	while (!out->failed && out->size && out->data[out->size - 1] == ' ')
		out->data[--out->size] = 0;
	return out->failed;
}
