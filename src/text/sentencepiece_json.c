/* Unigram models in Hugging Face's tokenizer.json. */
#include "text/sentencepiece_internal.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

typedef struct reading {
	sn_spm *spm;
	const char *path;
	char *err;
} reading;

static const char *text_of(const json_t *object, const char *key) {
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static int unknown_part(const reading *r, const char *part, const json_t *object) {
	return sn_fail(r->err, SN_E_UNSUPPORTED, "%s: the %s '%.40s' is not known for a Unigram model", r->path, part, text_of(object, "type"));
}

static int base64_digit(char c) {
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

static int read_charsmap(reading *r, const json_t *value) {
	const char *text = json_string_value(value);
	size_t length = json_string_length(value), size = 0;
	uint8_t *bytes = malloc(length + 1);
	uint32_t bits = 0;
	int result = SN_OK;
	if (!bytes)
		return sn_fail(r->err, SN_E_MEMORY, "out of memory for %zu bytes of rules", length);
	while (length && text[length - 1] == '=')
		length--;
	for (size_t i = 0; result == SN_OK && i < length; i++) {
		int digit = base64_digit(text[i]);
		if (digit < 0)
			result = sn_fail(r->err, SN_E_FORMAT, "%s: 'precompiled_charsmap' is not base64 at character %zu", r->path, i);
		bits = bits << 6 | (uint32_t)(digit & 63);
		if (i % 4)
			bytes[size++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	if (result == SN_OK && size)
		result = spm_rules_read(&r->spm->rules, bytes, size, r->path, r->err);
	free(bytes);
	return result;
}

/* Precompiled rules; a replacement of several spaces by one. */
static int read_normalizer(reading *r, const json_t *n) {
	const char *type = text_of(n, "type");
	if (!n || json_is_null(n))
		return SN_OK;
	if (strcmp(type, "Precompiled") == 0)
		return read_charsmap(r, json_object_get(n, "precompiled_charsmap"));
	if (strcmp(type, "Replace") == 0 && strcmp(text_of(json_object_get(n, "pattern"), "Regex"), " {2,}") == 0) {
		r->spm->config.remove_extra_whitespaces = 1;
		return SN_OK;
	}
	if (strcmp(type, "Sequence") != 0)
		return unknown_part(r, "normalizer", n);
	const json_t *list = json_object_get(n, "normalizers");
	int result = SN_OK;
	for (size_t i = 0; result == SN_OK && i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		result = strcmp(text_of(entry, "type"), "Sequence") == 0 ? unknown_part(r, "nested normalizer", entry) : read_normalizer(r, entry);
	}
	return result;
}

static int read_pre_tokenizer(reading *r, const json_t *p) {
	const char *type = text_of(p, "type"), *scheme = text_of(p, "prepend_scheme");
	if (!p || json_is_null(p))
		return SN_OK;
	if (strcmp(type, "WhitespaceSplit") == 0) {
		r->spm->config.remove_extra_whitespaces = 1;
		return SN_OK;
	}
	if (strcmp(type, "Metaspace") == 0 && strcmp(text_of(p, "replacement"), SN_SPM_SPACE) == 0) {
		const json_t *prefix = json_object_get(p, "add_prefix_space");
		r->spm->config.add_dummy_prefix = *scheme ? strcmp(scheme, "never") != 0 : !json_is_false(prefix);
		return SN_OK;
	}
	if (strcmp(type, "Sequence") != 0)
		return unknown_part(r, "pre_tokenizer", p);
	const json_t *list = json_object_get(p, "pretokenizers");
	int result = SN_OK;
	for (size_t i = 0; result == SN_OK && i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		result = strcmp(text_of(entry, "type"), "Sequence") == 0 ? unknown_part(r, "nested pre_tokenizer", entry) : read_pre_tokenizer(r, entry);
	}
	return result;
}

/* What added_tokens says of a piece: 0 nothing, else its kind. */
static int added_kind(const json_t *added, size_t id) {
	for (size_t i = 0; i < json_array_size(added); i++) {
		const json_t *entry = json_array_get(added, i), *number = json_object_get(entry, "id");
		if (json_is_integer(number) && json_integer_value(number) == (json_int_t)id)
			return json_is_true(json_object_get(entry, "special")) ? SPM_CONTROL : SPM_USER;
	}
	return 0;
}

static int read_pieces(reading *r, const json_t *model, const json_t *added) {
	const json_t *list = json_object_get(model, "vocab");
	int64_t unknown = -1;
	int result = sn_json_int(model, "unk_id", 0, SN_VOCAB_MAX_TOKENS, &unknown, r->path, r->err);
	if (result == SN_OK)
		result = sn_json_bool(model, "byte_fallback", &r->spm->config.byte_fallback, r->path, r->err);
	if (result == SN_OK && (!json_is_array(list) || json_array_size(added) > 1024))
		result = sn_fail(r->err, SN_E_FORMAT, "%s: 'vocab' must be a list of pieces with scores, with at most 1024 added tokens", r->path);
	for (size_t i = 0; result == SN_OK && i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i), *piece = json_array_get(entry, 0), *score = json_array_get(entry, 1);
		if (!json_is_string(piece) || !json_is_number(score) || json_array_size(entry) != 2)
			return sn_fail(r->err, SN_E_FORMAT, "%s: entry %zu of 'vocab' is not a piece with its score", r->path, i);
		int byte = r->spm->config.byte_fallback && spm_byte_of(json_string_value(piece)) >= 0, said = added_kind(added, i);
		int kind = (int64_t)i == unknown ? SPM_UNKNOWN : said ? said : byte ? SPM_BYTE : SPM_NORMAL;
		result = spm_add_piece(r->spm, json_string_value(piece), json_string_length(piece), (float)json_number_value(score), kind, r->path,
		                       r->err);
	}
	return result;
}

/* Tokens behind the pieces, which are symbols of their own. */
static int read_added(reading *r, const json_t *added) {
	int result = SN_OK;
	for (size_t i = 0; result == SN_OK && i < json_array_size(added); i++) {
		const json_t *entry = json_array_get(added, i), *id = json_object_get(entry, "id");
		const char *content = text_of(entry, "content");
		if (!json_is_integer(id) || !*content)
			return sn_fail(r->err, SN_E_FORMAT, "%s: added token %zu lacks its content or id", r->path, i);
		if (json_integer_value(id) < r->spm->pieces.size)
			continue;
		if (json_integer_value(id) > r->spm->pieces.size)
			return sn_fail(r->err, SN_E_MODEL, "%s: the id of the added token '%.40s' is %lld; %d comes next", r->path, content,
			               (long long)json_integer_value(id), r->spm->pieces.size);
		result = spm_add_piece(r->spm, content, strlen(content), 0, json_is_true(json_object_get(entry, "special")) ? SPM_CONTROL : SPM_USER,
		                       r->path, r->err);
	}
	return result;
}

int spm_read_json(sn_spm *spm, const char *path, char *err) {
	json_t *root = NULL;
	reading r = { spm, path, err };
	int result = sn_json_file(&root, path, err);
	const json_t *model = json_object_get(root, "model"), *added = json_object_get(root, "added_tokens");
	spm->config.remove_extra_whitespaces = spm->config.add_dummy_prefix = 0;
	if (result == SN_OK && strcmp(text_of(model, "type"), "Unigram") != 0)
		result = sn_fail(err, SN_E_UNSUPPORTED, "%s: the model '%.40s' is not Unigram", path, text_of(model, "type"));
	if (result == SN_OK)
		result = read_normalizer(&r, json_object_get(root, "normalizer"));
	if (result == SN_OK)
		result = read_pre_tokenizer(&r, json_object_get(root, "pre_tokenizer"));
	if (result == SN_OK)
		result = read_pieces(&r, model, added);
	if (result == SN_OK)
		result = read_added(&r, added);
	json_decref(root);
	return result;
}
