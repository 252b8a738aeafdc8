#include "text/wordpiece.h"

#include "base/map.h"
#include "text/files.h"
#include "text/utf8.h"
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#define MAX_TEXT ((size_t)1 << 20)
#define MAX_NORMAL ((size_t)16 << 20)
#define MAX_WORD 1000  /* characters of a word that a config may allow */

struct sn_wordpiece {
	sn_wordpiece_config config;
	vocab tokens;
	vocab_index index;
	uint8_t *whole; /* by id: never split, also where it stands in a text */
	vocab_index wholes;
	char prefix[16]; /* of a token that goes on: "##" */
	int clean;       /* control characters are left out */
};

/* ---- reading ---- */

static int read_lines(sn_wordpiece *w, const char *dir, char *err) {
	char path[SN_PATH_MAX];
	sn_map map;
	int result = sn_text_path(path, dir, "vocab.txt", err);
	if (result == SN_OK)
		result = sn_map_open(&map, path, err);
	if (result != SN_OK)
		return result;
	const char *text = (const char *)map.data, *end = text + map.size;
	if (map.size > SN_VOCAB_MAX_BYTES)
		result = sn_fail(err, SN_E_LIMIT, "%s has %zu bytes; a vocabulary may have %zu", path, map.size, SN_VOCAB_MAX_BYTES);
	for (int id = 0; result == SN_OK && text < end; id++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
		size_t size = (size_t)(stop - text);
		size -= size && text[size - 1] == '\r';
		result = memchr(text, 0, size) ? sn_fail(err, SN_E_FORMAT, "%s: line %d holds a NUL", path, id + 1)
		                               : vocab_add(&w->tokens, id, text, size, path, err);
		text = stop + 1;
	}
	if (result == SN_OK && !w->tokens.size)
		result = sn_fail(err, SN_E_FORMAT, "%s is empty; one token a line is expected", path);
	sn_map_close(&map);
	return result;
}

static int keep_whole(sn_wordpiece *w, int32_t id) {
	if (id >= 0)
		w->whole[id] = 1;
	return id;
}

static int index_tokens(sn_wordpiece *w, const char *file, char *err) {
	w->config.size = w->tokens.size;
	w->whole = calloc((size_t)w->tokens.size + 1, 1);
	if (!w->whole)
		return sn_fail(err, SN_E_MEMORY, "out of memory for %d tokens", w->tokens.size);
	return vocab_index_build(&w->tokens, &w->index, NULL, 0, file, err);
}

static int32_t special(sn_wordpiece *w, const json_t *config, const json_t *map, const char *key, const char *fallback) {
	return keep_whole(w, sn_wordpiece_id(w, sn_text_token(config, key, sn_text_token(map, key, fallback))));
}

static int find_special(sn_wordpiece *w, const json_t *config, const json_t *map, const char *dir, char *err) {
	sn_wordpiece_config *c = &w->config;
	c->unknown = special(w, config, map, "unk_token", "[UNK]");
	c->begin = special(w, config, map, "cls_token", "[CLS]");
	c->end = special(w, config, map, "sep_token", "[SEP]");
	c->pad = special(w, config, map, "pad_token", "[PAD]");
	c->mask = special(w, config, map, "mask_token", "[MASK]");
	if (c->unknown < 0)
		return sn_fail(err, SN_E_MODEL, "the vocabulary in '%.200s' has no '%.40s' (unk_token)", dir,
		               sn_text_token(config, "unk_token", sn_text_token(map, "unk_token", "[UNK]")));
	return vocab_index_build(&w->tokens, &w->wholes, w->whole, 1, dir, err);
}

/* "added_tokens_decoder": {id: {"content": }}, "never_split": [token] */
static void read_added(sn_wordpiece *w, const json_t *config) {
	const char *key;
	json_t *token;
	json_object_foreach(json_object_get(config, "added_tokens_decoder"), key, token) {
		const char *content = json_string_value(json_object_get(token, "content"));
		if (content)
			keep_whole(w, sn_wordpiece_id(w, content));
	}
	const json_t *never = json_object_get(config, "never_split");
	for (size_t i = 0; i < json_array_size(never); i++)
		if (json_is_string(json_array_get(never, i)))
			keep_whole(w, sn_wordpiece_id(w, json_string_value(json_array_get(never, i))));
}

static int read_options(sn_wordpiece *w, const json_t *config, const char *chinese, const char *lower, const char *file, char *err) {
	sn_wordpiece_config *c = &w->config;
	int result = sn_json_bool(config, lower, &c->lower_case, file, err);
	if (result == SN_OK)
		result = sn_json_bool(config, chinese, &c->chinese_characters, file, err);
	c->strip_accents = c->lower_case; /* unless it is said */
	return result == SN_OK ? sn_json_bool(config, "strip_accents", &c->strip_accents, file, err) : result;
}

static int read_vocab_txt(sn_wordpiece *w, const char *dir, char *err) {
	json_t *config = NULL, *map = NULL;
	int result = sn_text_json(&config, dir, "tokenizer_config.json", 1, 1, err);
	if (result == SN_OK)
		result = sn_text_json(&map, dir, "special_tokens_map.json", 1, 1, err);
	if (result == SN_OK)
		result = read_options(w, config, "tokenize_chinese_chars", "do_lower_case", "tokenizer_config.json", err);
	if (result == SN_OK)
		result = read_lines(w, dir, err);
	if (result == SN_OK)
		result = index_tokens(w, "vocab.txt", err);
	if (result == SN_OK) {
		read_added(w, config);
		result = find_special(w, config, map, dir, err);
	}
	json_decref(config);
	json_decref(map);
	return result;
}

/* ---- tokenizer.json ---- */

static const char *type_of(const json_t *part) {
	const char *type = json_string_value(json_object_get(part, "type"));
	return type ? type : "";
}

static int expect_type(const json_t *root, const char *part, const char *type, const char *other, char *err) {
	const json_t *object = json_object_get(root, part);
	if (!object || json_is_null(object) || strcmp(type_of(object), type) == 0 || (other && strcmp(type_of(object), other) == 0))
		return SN_OK;
	return sn_fail(err, SN_E_UNSUPPORTED, "tokenizer.json: the %s '%.40s' is not known for WordPiece; %s is", part, type_of(object), type);
}

static int read_model(sn_wordpiece *w, const json_t *model, char *err) {
	const char *file = "tokenizer.json", *prefix = sn_text_token(model, "continuing_subword_prefix", "##");
	int64_t most = w->config.max_word;
	if (strcmp(type_of(model), "WordPiece") != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "tokenizer.json: the model '%.40s' is not WordPiece", type_of(model));
	if (strlen(prefix) >= sizeof w->prefix)
		return sn_fail(err, SN_E_MODEL, "tokenizer.json: 'continuing_subword_prefix' is '%.40s'; less than 16 bytes are expected", prefix);
	strcpy(w->prefix, prefix);
	int result = sn_json_int(model, "max_input_chars_per_word", 1, MAX_WORD, &most, file, err);
	w->config.max_word = (int)most;
	return result == SN_OK ? vocab_add_object(&w->tokens, json_object_get(model, "vocab"), file, err) : result;
}

static int read_added_list(sn_wordpiece *w, const json_t *list, char *err) {
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i), *id = json_object_get(entry, "id");
		const char *content = json_string_value(json_object_get(entry, "content"));
		if (!content || !json_is_integer(id))
			return sn_fail(err, SN_E_FORMAT, "tokenizer.json: added token %zu lacks its content or id", i);
		const int64_t n = json_integer_value(id);
		const char *there = n >= 0 && n < w->tokens.size ? vocab_text(&w->tokens, (int32_t)n) : NULL;
		if (there && strcmp(there, content) == 0)
			continue;
		int result = vocab_add(&w->tokens, n, content, strlen(content), "tokenizer.json", err);
		if (result != SN_OK)
			return result;
	}
	return SN_OK;
}

static int read_normalizer(sn_wordpiece *w, const json_t *normalizer, char *err) {
	w->clean = 0;
	w->config.chinese_characters = w->config.lower_case = w->config.strip_accents = 0;
	if (!normalizer || json_is_null(normalizer))
		return SN_OK;
	w->clean = w->config.chinese_characters = w->config.lower_case = 1;
	int result = sn_json_bool(normalizer, "clean_text", &w->clean, "tokenizer.json", err);
	return result == SN_OK ? read_options(w, normalizer, "handle_chinese_chars", "lowercase", "tokenizer.json", err) : result;
}

static int read_tokenizer_json(sn_wordpiece *w, const char *dir, char *err) {
	json_t *root = NULL;
	int result = sn_text_json(&root, dir, "tokenizer.json", 0, 0, err);
	if (result == SN_OK)
		result = expect_type(root, "normalizer", "BertNormalizer", NULL, err);
	if (result == SN_OK)
		result = expect_type(root, "pre_tokenizer", "BertPreTokenizer", NULL, err);
	if (result == SN_OK)
		result = expect_type(root, "post_processor", "TemplateProcessing", "BertProcessing", err);
	if (result == SN_OK)
		result = expect_type(root, "decoder", "WordPiece", NULL, err);
	if (result == SN_OK)
		result = read_normalizer(w, json_object_get(root, "normalizer"), err);
	if (result == SN_OK)
		result = read_model(w, json_object_get(root, "model"), err);
	if (result == SN_OK)
		result = read_added_list(w, json_object_get(root, "added_tokens"), err);
	if (result == SN_OK)
		result = index_tokens(w, "tokenizer.json", err);
	if (result == SN_OK) {
		const json_t *added = json_object_get(root, "added_tokens");
		for (size_t i = 0; i < json_array_size(added); i++)
			keep_whole(w, sn_wordpiece_id(w, json_string_value(json_object_get(json_array_get(added, i), "content"))));
		result = find_special(w, json_object_get(root, "model"), NULL, dir, err);
	}
	json_decref(root);
	return result;
}

int sn_wordpiece_open(sn_wordpiece **out, const char *dir, char *err) {
	sn_wordpiece *w = calloc(1, sizeof *w);
	int result = w ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory for a tokenizer");
	if (result == SN_OK) {
		w->config = (sn_wordpiece_config){ .lower_case = 1, .chinese_characters = 1, .max_word = 100 };
		w->clean = 1;
		strcpy(w->prefix, "##");
		if (sn_text_has(dir, "vocab.txt"))
			result = read_vocab_txt(w, dir, err);
		else if (sn_text_has(dir, "tokenizer.json"))
			result = read_tokenizer_json(w, dir, err);
		else
			result = sn_fail(err, SN_E_NOT_FOUND, "no vocabulary in '%.200s': looked for vocab.txt and tokenizer.json", dir);
	}
	if (result != SN_OK)
		sn_wordpiece_close(&w);
	*out = w;
	return result;
}

void sn_wordpiece_close(sn_wordpiece **out) {
	sn_wordpiece *w = *out;
	*out = NULL;
	if (!w)
		return;
	vocab_free(&w->tokens);
	vocab_index_free(&w->index);
	vocab_index_free(&w->wholes);
	free(w->whole);
	free(w);
}

const sn_wordpiece_config *sn_wordpiece_get_config(const sn_wordpiece *w) { return &w->config; }

int32_t sn_wordpiece_id(const sn_wordpiece *w, const char *token) { return vocab_find(&w->tokens, &w->index, token, strlen(token)); }

const char *sn_wordpiece_token(const sn_wordpiece *w, int32_t id) { return vocab_text(&w->tokens, id); }

/* ---- words: white space goes, punctuation and Chinese characters stand alone ---- */

typedef enum { LETTER, ALONE, WHITE, NOTHING } kind;

static int is_chinese(int32_t c) {
	return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
	       (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static kind kind_of(const sn_wordpiece *w, int32_t c) {
	if (u_isUWhiteSpace(c))
		return WHITE;
	if (w->clean && (c == 0 || c == 0xfffd || (U_GET_GC_MASK(c) & U_GC_C_MASK)))
		return NOTHING;
	int ascii_mark = (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
	if (ascii_mark || (U_GET_GC_MASK(c) & U_GC_P_MASK) || (w->config.chinese_characters && is_chinese(c)))
		return ALONE;
	return LETTER;
}

typedef struct writer {
	const sn_wordpiece *w;
	int32_t *ids;
	int max, count;
} writer;

static void put(writer *out, int32_t id) {
	if (out->count < out->max)
		out->ids[out->count] = id;
	out->count++;
}

/* The longest token first; what is left must go on with the prefix. A word that no tokens make up is one unknown id. */
static void put_word(writer *out, const char *text, size_t size) {
	char rest[8 * MAX_WORD + 16];
	const sn_wordpiece *w = out->w;
	int32_t characters = 0, first = out->count;
	for (int32_t i = 0; i < (int32_t)size; characters++)
		U8_FWD_1((const uint8_t *)text, i, (int32_t)size);
	size_t prefix = strlen(w->prefix), at = 0;
	if (characters > w->config.max_word || size + prefix > sizeof rest) {
		put(out, w->config.unknown);
		return;
	}
	while (at < size) {
		size_t length = 0, lead = at ? prefix : 0;
		memcpy(rest, w->prefix, lead);
		memcpy(rest + lead, text + at, size - at);
		int32_t id = vocab_longest(&w->tokens, &w->index, rest, lead + size - at, &length);
		if (id < 0 || length <= lead) {
			out->count = first;
			put(out, w->config.unknown);
			return;
		}
		put(out, id);
		at += length - lead;
	}
}

static void put_words(writer *out, const sn_buf *text) {
	size_t start = 0;
	for (int32_t i = 0; i <= (int32_t)text->size;) {
		int32_t at = i, c = ' ';
		if (i < (int32_t)text->size)
			U8_NEXT((const uint8_t *)text->data, i, (int32_t)text->size, c);
		else
			i++;
		kind k = kind_of(out->w, c);
		if (k != WHITE && k != ALONE)
			continue;
		if ((size_t)at > start)
			put_word(out, text->data + start, (size_t)at - start);
		if (k == ALONE)
			put_word(out, text->data + at, (size_t)(i - at));
		start = (size_t)i;
	}
}

/* Without control characters; lower case and without accents where the config says so. */
static int normalize(const sn_wordpiece *w, const char *text, size_t size, sn_buf *out, char *err) {
	sn_buf cleaned, decomposed;
	int result = SN_OK;
	sn_buf_init(&cleaned, MAX_NORMAL);
	sn_buf_init(&decomposed, MAX_NORMAL);
	for (int32_t i = 0; i < (int32_t)size;) {
		int32_t at = i, c;
		U8_NEXT((const uint8_t *)text, i, (int32_t)size, c);
		if (kind_of(w, c) != NOTHING)
			sn_buf_add(&cleaned, text + at, (size_t)(i - at));
	}
	const char *from = cleaned.data ? cleaned.data : "";
	size = cleaned.size;
	if (w->config.strip_accents && size) {
		result = sn_utf8_normal(&decomposed, from, size, SN_NFD, err);
		from = decomposed.data;
		size = decomposed.size;
	}
	for (int32_t i = 0; result == SN_OK && i < (int32_t)size;) {
		int32_t at = i, c;
		U8_NEXT((const uint8_t *)from, i, (int32_t)size, c);
		if (w->config.strip_accents && u_charType(c) == U_NON_SPACING_MARK)
			continue;
		if (w->config.lower_case)
			sn_utf8_add_lower(out, c);
		else
			sn_buf_add(out, from + at, (size_t)(i - at));
	}
	if (result == SN_OK && (out->failed || cleaned.failed))
		result = sn_fail(err, SN_E_LIMIT, "the text takes more than %zu bytes", MAX_NORMAL);
	sn_buf_free(&cleaned);
	sn_buf_free(&decomposed);
	return result;
}

static int put_text(writer *out, const char *text, size_t size, char *err) {
	sn_buf normal;
	sn_buf_init(&normal, MAX_NORMAL);
	int result = normalize(out->w, text, size, &normal, err);
	if (result == SN_OK)
		put_words(out, &normal);
	sn_buf_free(&normal);
	return result;
}

int sn_wordpiece_encode(const sn_wordpiece *w, const char *text, size_t size, int32_t *ids, int max, int *count, char *err) {
	writer out = { w, ids, max, 0 };
	int result = sn_utf8_check(text, size, MAX_TEXT, err);
	*count = 0;
	for (size_t i = 0, start = 0; result == SN_OK && i <= size;) {
		size_t length = 0;
		int32_t id = vocab_longest(&w->tokens, &w->wholes, text + i, size - i, &length);
		if (id < 0 && i < size) {
			i++;
			continue;
		}
		result = put_text(&out, text + start, i - start, err);
		if (result == SN_OK && id >= 0)
			put(&out, id);
		i += length + (id < 0);
		start = i;
	}
	if (result == SN_OK && out.count > max)
		result = sn_fail(err, SN_E_LIMIT, "the text makes %d ids; at most %d are taken", out.count, max);
	*count = result == SN_OK ? out.count : 0;
	return result;
}
