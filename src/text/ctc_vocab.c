#include "text/ctc_vocab.h"

#include "text/files.h"
#include "text/utf8.h"
#include "text/vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uloc.h>
#include <unicode/utf8.h>

#define MAX_TEXT ((size_t)1 << 20)
#define MAX_LANGUAGES 4096

struct sn_ctc_vocab {
	sn_ctc_vocab_config config;
	vocab tokens;      /* as in the file */
	vocab_index index;
	vocab text;        /* what each id adds to text */
	uint8_t *special;  /* by id */
	vocab languages;   /* by their place in the file */
	char delimiter[64];
};

/* ---- reading ---- */

static int is_nested(const json_t *root) {
	const json_t *first = json_object_iter_value(json_object_iter((json_t *)root));
	return json_is_object(first);
}

/* What a code of several languages means in MMS, which lists them one by one. By their codes of three letters in ISO 639-2 and 639-3. */
static const char *individual_of(const char *three) {
	static const char several[][2][4] = { { "zho", "cmn" }, { "swa", "swh" }, { "msa", "zlm" }, { "nep", "npi" }, { "est", "ekk" },
		{ "nor", "nob" }, { "aze", "azj" }, { "kur", "kmr" }, { "ori", "ory" }, { "jaw", "jav" } };
	for (size_t i = 0; i < sizeof several / sizeof *several; i++)
		if (strcmp(several[i][0], three) == 0)
			return several[i][1];
	return "";
}

/* What MMS calls the script that the language is mostly written in; "": not known. */
static const char *script_of(const char *code) {
	static const struct {
		char code[5], name[12];
	} scripts[] = { { "Latn", "latin" }, { "Cyrl", "cyrillic" }, { "Arab", "arabic" }, { "Deva", "devanagari" }, { "Hans", "simplified" },
		{ "Hant", "traditional" } };
	char full[64], script[8];
	UErrorCode status = U_ZERO_ERROR;
	uloc_addLikelySubtags(code, full, sizeof full, &status);
	if (U_SUCCESS(status))
		uloc_getScript(full, script, sizeof script, &status);
	for (size_t i = 0; U_SUCCESS(status) && i < sizeof scripts / sizeof *scripts; i++)
		if (strcmp(scripts[i].code, script) == 0)
			return scripts[i].name;
	return "";
}

/* "uzb-script_latin" of "uzb": that of the script, else the first that there is. */
static const char *written(const json_t *root, const char *code, const char *script) {
	const char *key, *first = NULL;
	const size_t size = strlen(code);
	json_t *value;
	json_object_foreach((json_t *)root, key, value) {
		if (!size || strncmp(key, code, size) != 0 || strncmp(key + size, "-script_", 8) != 0)
			continue;
		if (strcmp(key + size + 8, script) == 0)
			return key;
		first = first ? first : key;
	}
	return first;
}

/* "en" is "eng", "sw" is "swh", "zh" is "cmn-script_simplified", where the file has them. */
static const char *code_of(const json_t *root, const char *language) {
	char code[8] = "";
	UErrorCode status = U_ZERO_ERROR;
	if (json_object_get(root, language))
		return language;
	uloc_getLanguage(language, code, sizeof code, &status);
	if (U_FAILURE(status) || status == U_STRING_NOT_TERMINATED_WARNING)
		return NULL;
	const char *const three = uloc_getISO3Language(code), *const individual = individual_of(three), *const script = script_of(code);
	if (json_object_get(root, three))
		return three;
	if (json_object_get(root, individual))
		return individual;
	const char *key = written(root, three, script);
	key = key ? key : written(root, individual, script);
	return key ? key : written(root, code, script);
}

static int unknown_language(const sn_ctc_vocab *v, const char *language, const char *path, char *err) {
	char some[512] = "";
	size_t used = 0;
	for (int i = 0; i < v->languages.size && used + SN_CTC_LANGUAGE + 2 < sizeof some; i++)
		used += (size_t)snprintf(some + used, sizeof some - used, "%s%.63s", i ? ", " : "", vocab_text(&v->languages, i));
	return sn_fail(err, SN_E_UNSUPPORTED, "%s has no language '%.63s'; its %d are %s%s", path, language, v->languages.size, some,
	               used + SN_CTC_LANGUAGE + 2 < sizeof some ? "" : " and more");
}

/* The vocabulary of one language; of {token: id} itself. */
static int choose(sn_ctc_vocab *v, const json_t *root, const json_t *config, const char *language, const json_t **chosen, const char *path,
                  char *err) {
	const char *key, *target = json_string_value(json_object_get(config, "target_lang"));
	json_t *value;
	*chosen = root;
	v->config.language = "";
	if (!is_nested(root))
		return SN_OK;
	if (json_object_size(root) > MAX_LANGUAGES)
		return sn_fail(err, SN_E_LIMIT, "%s has %zu languages; at most %d are allowed", path, json_object_size(root), MAX_LANGUAGES);
	json_object_foreach((json_t *)root, key, value) {
		int result = vocab_add(&v->languages, v->languages.size, key, strlen(key), path, err);
		if (result == SN_OK && !json_is_object(value))
			result = sn_fail(err, SN_E_FORMAT, "%s: the vocabulary of '%.20s' must be an object", path, key);
		if (result != SN_OK)
			return result;
	}
	const char *name = code_of(root, language ? language : target ? target : "eng");
	if (!name && !language)
		name = vocab_text(&v->languages, 0);
	if (!name)
		return unknown_language(v, language, path, err);
	if (strlen(name) >= SN_CTC_LANGUAGE)
		return sn_fail(err, SN_E_LIMIT, "%s: the language '%.20s...' has a code of %zu bytes; at most %d are taken", path, name, strlen(name),
		               SN_CTC_LANGUAGE - 1);
	for (int i = 0; i < v->languages.size; i++)
		if (strcmp(vocab_text(&v->languages, i), name) == 0)
			v->config.language = vocab_text(&v->languages, i);
	v->config.languages = v->languages.size;
	*chosen = json_object_get(root, name);
	return SN_OK;
}

/* Tokens of added_tokens.json, whose ids are behind those of vocab.json or say the same. */
static int add_added(sn_ctc_vocab *v, const json_t *added, char *err) {
	const char *token;
	json_t *id;
	json_object_foreach((json_t *)added, token, id) {
		const char *there = json_is_integer(id) && json_integer_value(id) < v->tokens.size
		                      ? vocab_text(&v->tokens, (int32_t)json_integer_value(id))
		                      : NULL;
		if (there && (strcmp(there, token) == 0 || v->config.languages))
			continue;
		int result = json_is_integer(id) ? vocab_add(&v->tokens, json_integer_value(id), token, strlen(token), "added_tokens.json", err)
		                                 : sn_fail(err, SN_E_MODEL, "added_tokens.json: the id of '%.40s' must be an integer", token);
		if (result != SN_OK)
			return result;
	}
	return SN_OK;
}

static int check_holes(const sn_ctc_vocab *v, const char *path, char *err) {
	for (int id = 0; id < v->tokens.size; id++)
		if (!v->tokens.tokens[id].known)
			return sn_fail(err, SN_E_MODEL, "%s: no token has the id %d; ids from 0 to %d are expected, each once", path, id, v->tokens.size - 1);
	return SN_OK;
}

/* tokenizer_config.json goes before special_tokens_map.json. */
static int32_t special_id(sn_ctc_vocab *v, const json_t *config, const json_t *map, const char *key, const char *fallback) {
	int32_t id = sn_ctc_vocab_id(v, sn_text_token(config, key, sn_text_token(map, key, fallback)));
	if (id >= 0)
		v->special[id] = 1;
	return id;
}

static void mark_added(sn_ctc_vocab *v, const json_t *config) {
	const char *key;
	json_t *token;
	json_object_foreach(json_object_get(config, "added_tokens_decoder"), key, token) {
		const char *content = json_string_value(json_object_get(token, "content"));
		int32_t id = content && json_is_true(json_object_get(token, "special")) ? sn_ctc_vocab_id(v, content) : -1;
		if (id >= 0)
			v->special[id] = 1;
	}
	const json_t *more = json_object_get(config, "additional_special_tokens");
	for (size_t i = 0; i < json_array_size(more); i++) {
		const json_t *entry = json_array_get(more, i);
		const char *content = json_string_value(json_is_object(entry) ? json_object_get(entry, "content") : entry);
		int32_t id = content ? sn_ctc_vocab_id(v, content) : -1;
		if (id >= 0)
			v->special[id] = 1;
	}
}

/* The reference lowers the whole text, special tokens too. */
static int add_texts(sn_ctc_vocab *v, const char *path, char *err) {
	sn_buf lower;
	sn_buf_init(&lower, 8 * SN_VOCAB_MAX_TOKEN);
	int result = SN_OK;
	for (int32_t id = 0; result == SN_OK && id < v->tokens.size; id++) {
		const char *text = id == v->config.blank ? "" : id == v->config.delimiter ? v->config.replacement : vocab_text(&v->tokens, id);
		sn_buf_clear(&lower);
		sn_buf_text(&lower, "");
		for (int32_t i = 0, c; v->config.lower_case && text[i];) {
			U8_NEXT((const uint8_t *)text, i, -1, c);
			sn_utf8_add_lower(&lower, c);
		}
		result = lower.failed ? sn_fail(err, lower.failed, "%s: token %d is too long in lower case", path, id) : SN_OK;
		text = v->config.lower_case ? lower.data : text;
		if (result == SN_OK)
			result = vocab_add(&v->text, id, text, strlen(text), path, err);
	}
	sn_buf_free(&lower);
	return result;
}

static int read_settings(sn_ctc_vocab *v, const json_t *config, const json_t *map, const char *path, char *err) {
	sn_ctc_vocab_config *c = &v->config;
	c->size = v->tokens.size;
	v->special = calloc((size_t)c->size + 1, 1);
	if (!v->special)
		return sn_fail(err, SN_E_MEMORY, "out of memory for %d tokens", c->size);
	const char *delimiter = sn_text_token(config, "word_delimiter_token", "|");
	const char *replacement = sn_text_token(config, "replace_word_delimiter_char", " ");
	const char *pad = sn_text_token(config, "pad_token", sn_text_token(map, "pad_token", "<pad>"));
	if (strlen(delimiter) >= sizeof v->delimiter || strlen(replacement) >= sizeof c->replacement)
		return sn_fail(err, SN_E_MODEL, "tokenizer_config.json: the word delimiter '%.20s' or its replacement '%.20s' is too long", delimiter,
		               replacement);
	strcpy(v->delimiter, delimiter);
	strcpy(c->replacement, replacement);
	int result = sn_json_bool(config, "do_lower_case", &c->lower_case, "tokenizer_config.json", err);
	if (result != SN_OK)
		return result;
	c->blank = special_id(v, config, map, "pad_token", "<pad>");
	c->unknown = special_id(v, config, map, "unk_token", "<unk>");
	c->begin = special_id(v, config, map, "bos_token", "<s>");
	c->end = special_id(v, config, map, "eos_token", "</s>");
	c->delimiter = sn_ctc_vocab_id(v, delimiter);
	mark_added(v, config);
	if (c->blank < 0)
		return sn_fail(err, SN_E_MODEL, "%s has no '%.40s' (pad_token), which is CTC's blank", path, pad);
	if (c->delimiter >= 0)
		v->special[c->delimiter] = 0;
	return add_texts(v, path, err);
}

static int read_files(sn_ctc_vocab *v, const char *dir, const char *language, char *err) {
	char path[SN_PATH_MAX];
	json_t *root = NULL, *config = NULL, *map = NULL, *added = NULL;
	const json_t *chosen = NULL;
	int result = sn_text_path(path, dir, "vocab.json", err);
	if (result == SN_OK)
		result = sn_text_json(&root, dir, "vocab.json", 0, 0, err);
	if (result == SN_OK)
		result = sn_text_json(&config, dir, "tokenizer_config.json", 1, 1, err);
	if (result == SN_OK)
		result = sn_text_json(&map, dir, "special_tokens_map.json", 1, 1, err);
	if (result == SN_OK)
		result = sn_text_json(&added, dir, "added_tokens.json", 1, 0, err);
	if (result == SN_OK)
		result = choose(v, root, config, language, &chosen, path, err);
	if (result == SN_OK)
		result = vocab_add_object(&v->tokens, chosen, path, err);
	if (result == SN_OK)
		result = add_added(v, added, err);
	if (result == SN_OK)
		result = check_holes(v, path, err);
	if (result == SN_OK)
		result = vocab_index_build(&v->tokens, &v->index, NULL, 0, path, err);
	if (result == SN_OK)
		result = read_settings(v, config, map, path, err);
	json_decref(root);
	json_decref(config);
	json_decref(map);
	json_decref(added);
	return result;
}

int sn_ctc_vocab_open(sn_ctc_vocab **out, const char *dir, const char *language, char *err) {
	sn_ctc_vocab *v = calloc(1, sizeof *v);
	int result = v ? read_files(v, dir, language, err) : sn_fail(err, SN_E_MEMORY, "out of memory for a vocabulary");
	if (result != SN_OK)
		sn_ctc_vocab_close(&v);
	*out = v;
	return result;
}

void sn_ctc_vocab_close(sn_ctc_vocab **out) {
	sn_ctc_vocab *v = *out;
	*out = NULL;
	if (!v)
		return;
	vocab_free(&v->tokens);
	vocab_free(&v->text);
	vocab_free(&v->languages);
	vocab_index_free(&v->index);
	free(v->special);
	free(v);
}

/* ---- asking ---- */

const sn_ctc_vocab_config *sn_ctc_vocab_get_config(const sn_ctc_vocab *v) { return &v->config; }

const char *sn_ctc_vocab_language(const sn_ctc_vocab *v, int index) { return vocab_text(&v->languages, index); }

const char *sn_ctc_vocab_token(const sn_ctc_vocab *v, int32_t id) { return vocab_text(&v->tokens, id); }

int sn_ctc_vocab_special(const sn_ctc_vocab *v, int32_t id) { return id >= 0 && id < v->config.size && v->special[id]; }

int32_t sn_ctc_vocab_id(const sn_ctc_vocab *v, const char *token) { return vocab_find(&v->tokens, &v->index, token, strlen(token)); }

const char *sn_ctc_vocab_text(const sn_ctc_vocab *v, int32_t id, int skip) {
	const char *text = skip && sn_ctc_vocab_special(v, id) ? "" : vocab_text(&v->text, id);
	return text ? text : "";
}

static void strip(sn_buf *out, size_t start) {
	size_t size = out->size;
	int32_t first = 0, last, c;
	if (out->failed || size == start)
		return;
	const uint8_t *text = (const uint8_t *)out->data + start;
	for (last = (int32_t)(size - start); last > 0;) {
		int32_t at = last;
		U8_PREV(text, 0, at, c);
		if (!u_isUWhiteSpace(c))
			break;
		last = at;
	}
	while (first < last) {
		int32_t at = first;
		U8_NEXT(text, at, last, c);
		if (!u_isUWhiteSpace(c))
			break;
		first = at;
	}
	memmove(out->data + start, text + first, (size_t)(last - first));
	out->size = start + (size_t)(last - first);
	out->data[out->size] = 0;
}

/* Special tokens are skipped first, so that what stood around them are neighbours; not so the blank, which the reference skips
 * too, so that it writes "HELO". */
int sn_ctc_vocab_decode(const sn_ctc_vocab *v, const int32_t *ids, int count, int group, int skip, sn_buf *out) {
	size_t start = out->size;
	int32_t before = -1;
	for (int i = 0; i < count; i++) {
		int32_t id = ids[i] >= 0 && ids[i] < v->config.size ? ids[i] : v->config.unknown;
		if (id < 0 || (skip && v->special[id] && id != v->config.blank))
			continue;
		if (!group || id != before)
			sn_buf_text(out, sn_ctc_vocab_text(v, id, 0));
		before = id;
	}
	strip(out, start);
	return out->failed;
}

/* The id of one character in its own case, else in the other. */
static int32_t any_case(const sn_ctc_vocab *v, const char *text, size_t size, int32_t c) {
	int32_t id = vocab_find(&v->tokens, &v->index, text, size);
	for (int upper = 1; id < 0 && upper >= 0; upper--) {
		sn_buf other;
		sn_buf_init(&other, 64);
		upper ? sn_utf8_add_upper(&other, c) : sn_utf8_add_lower(&other, c);
		if (!other.failed && other.size)
			id = vocab_find(&v->tokens, &v->index, other.data, other.size);
		sn_buf_free(&other);
	}
	return id;
}

/* The longest token that is none of the special ones, else one character in any case; -1: none. */
static int32_t token_at(const sn_ctc_vocab *v, const char *text, size_t size, size_t *length) {
	int32_t next = 0, c, id = vocab_longest(&v->tokens, &v->index, text, size, length);
	if (id >= 0 && !v->special[id])
		return id;
	U8_NEXT((const uint8_t *)text, next, (int32_t)size, c);
	*length = (size_t)next;
	return any_case(v, text, *length, c);
}

int sn_ctc_vocab_encode(const sn_ctc_vocab *v, const char *text, size_t size, int32_t *ids, int max, int *count, int *missing, char *err) {
	int n = 0, absent = 0, pending = 0, result = sn_utf8_check(text, size, MAX_TEXT, err);
	*count = 0;
	for (size_t i = 0; result == SN_OK && i < size;) {
		size_t length = 0;
		int32_t next = (int32_t)i, c;
		U8_NEXT((const uint8_t *)text, next, (int32_t)size, c);
		if (u_isUWhiteSpace(c)) {
			pending = n > 0 && v->config.delimiter >= 0;
			i = (size_t)next;
			continue;
		}
		int32_t id = token_at(v, text + i, size - i, &length);
		i += length;
		absent += id < 0;
		if (id < 0)
			continue;
		if (pending && n < max)
			ids[n] = v->config.delimiter;
		n += pending;
		pending = 0;
		if (n < max)
			ids[n] = id;
		n++;
	}
	if (missing)
		*missing = absent;
	if (result == SN_OK && n > max)
		return sn_fail(err, SN_E_LIMIT, "the text makes %d ids; at most %d are taken", n, max);
	*count = result == SN_OK ? n : 0;
	return result;
}
