#include "models/bert_internal.h"

#include "base/ascii.h"
#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WIDTH 8192
#define MAX_LAYERS 128
#define MAX_VOCAB (1 << 20)
#define MAX_POSITIONS (1 << 16)

static const struct { const char *type; bert_kind kind; int sentencepiece; } types[] = {
	{ "bert", BERT_PLAIN, 0 }, { "roberta", BERT_ROBERTA, 0 }, { "xlm-roberta", BERT_ROBERTA, 1 }, { "camembert", BERT_ROBERTA, 1 },
	{ "distilbert", BERT_DISTIL, 0 }, { "electra", BERT_ELECTRA, 0 },
};
#define TYPES (sizeof types / sizeof *types)

/* ---- labels ---- */

typedef struct mark_name { const char *name, *mark; } mark_name;

static const mark_name mark_names[] = {
	{ "O", "" }, { "0", "" }, { "NONE", "" }, { "SPACE", "" }, { "_", "" }, { "EMPTY", "" }, { "PERIOD", "." }, { "FULLSTOP", "." },
	{ "FULL_STOP", "." }, { "STOP", "." }, { "DOT", "." }, { "COMMA", "," }, { "QUESTION", "?" }, { "QUESTIONMARK", "?" },
	{ "QUESTION_MARK", "?" }, { "QMARK", "?" }, { "EXCLAMATION", "!" }, { "EXCLAMATIONMARK", "!" }, { "EXCLAMATION_MARK", "!" },
	{ "EXLAMATIONMARK", "!" }, { "EXCLAMATION_POINT", "!" }, { "COLON", ":" }, { "SEMICOLON", ";" }, { "DASH", "-" }, { "HYPHEN", "-" },
	{ "APOSTROPHE", "'" }, { "ELLIPSIS", "…" },
};
static const char *const signs[] = { ".", ",", "?", "!", ":", ";", "-", "'", "…", "。", "，", "、", "？", "！", "：", "；", "؟", "،", "।", "—", "–", "%" };

static int read_sign(const char *text, size_t size, sn_bert_label *label) {
	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
		if (strlen(signs[i]) == size && memcmp(signs[i], text, size) == 0) {
			strcpy(label->mark, strcmp(signs[i], "%") == 0 ? "" : signs[i]);
			return 1;
		}
	return 0;
}

static int read_name(const char *text, sn_bert_label *label) {
	char name[24];
	size_t i = 0;
	for (; text[i] && i < sizeof name - 1; i++)
		name[i] = (char)sn_toupper((unsigned char)text[i]);
	name[i] = 0;
	for (size_t k = 0; !text[i] && k < sizeof mark_names / sizeof *mark_names; k++)
		if (strcmp(mark_names[k].name, name) == 0) {
			strcpy(label->mark, mark_names[k].mark);
			return 1;
		}
	return 0;
}

/* "O", "C" (first letter), "U" (first letter, or all where C is the first), "M" (as it is). */
static int read_case(char letter, sn_bert_label *label) {
	switch (letter) {
	case 'O': case 'L': case 'M': label->how = SN_BERT_CASE_LOWER; return 1;
	case 'C': case 'U': label->how = SN_BERT_CASE_CAPITAL; return 1;
	default: return 0;
	}
}

int sn_bert_read_label(const char *text, sn_bert_label *label) {
	*label = (sn_bert_label){ .how = SN_BERT_CASE_UNKNOWN };
	if ((text[0] == 'B' || text[0] == 'I') && text[1] == '-' && text[2])
		text += 2;
	const size_t size = strlen(text);
	if (size == 0 || size > 23)
		return 0;
	if (read_name(text, label) || read_sign(text, size, label))
		return 1;
	/* A mark or "O", and a letter of case */
	return read_case(text[size - 1], label) && ((size == 2 && text[0] == 'O') || read_sign(text, size - 1, label));
}

/* "id2label": {"0": label, ...}; the labels of a set that has 'C' write 'U' for words of capitals. */
static int read_labels(bert_settings *s, sn_bert_config *c, const json_t *config, const char *file, char *err) {
	const json_t *const list = json_object_get(config, "id2label");
	const char *key;
	json_t *value;
	int seen = 0, capitals = 0, marks = 0;
	s->labels = (int)json_object_size(list);
	if (s->labels < 2 || s->labels > SN_BERT_MAX_LABELS)
		return sn_fail(err, SN_E_MODEL, "%s: 'id2label' has %d labels; between 2 and %d are expected", file, s->labels, SN_BERT_MAX_LABELS);
	json_object_foreach((json_t *)list, key, value) {
		const char *const text = json_string_value(value);
		char *end;
		const long id = strtol(key, &end, 10);
		if (*end || end == key || id < 0 || id >= s->labels || !text)
			return sn_fail(err, SN_E_MODEL, "%s: 'id2label' has an entry '%.40s'; ids from 0 to %d with texts are expected", file, key,
			               s->labels - 1);
		if (!sn_bert_read_label(text, &c->label[id]))
			return sn_fail(err, SN_E_UNSUPPORTED, "%s: the label '%.40s' is no mark: '.', 'PERIOD', 'B-COMMA', ',U', '0' and the like are "
			               "known", file, text);
		seen++;
		capitals |= text[strlen(text) - 1] == 'C' && c->label[id].how == SN_BERT_CASE_CAPITAL;
		marks |= *c->label[id].mark != 0;
		c->has_case |= c->label[id].how != SN_BERT_CASE_UNKNOWN;
	}
	json_object_foreach((json_t *)list, key, value) {
		const char *const text = json_string_value(value);
		sn_bert_label *const label = &c->label[strtol(key, NULL, 10)];
		if (capitals && label->how == SN_BERT_CASE_CAPITAL && text[strlen(text) - 1] == 'U')
			label->how = SN_BERT_CASE_UPPER;
	}
	c->labels = s->labels;
	return marks || c->has_case ? SN_OK : sn_fail(err, SN_E_UNSUPPORTED, "%s: none of its %d labels is a mark", file, seen);
}

/* ---- sizes ---- */

static int read_activation(bert_settings *s, const json_t *config, const char *key, const char *file, char *err) {
	static const struct { const char *name; nn_act act; int quick; } known[] = {
		{ "gelu", NN_GELU, 0 }, { "gelu_python", NN_GELU, 0 }, { "gelu_new", NN_GELU_TANH, 0 }, { "gelu_fast", NN_GELU_TANH, 0 },
		{ "gelu_pytorch_tanh", NN_GELU_TANH, 0 }, { "gelu_accurate", NN_GELU_TANH, 0 }, { "quick_gelu", NN_SILU, 1 }, { "relu", NN_RELU, 0 },
		{ "silu", NN_SILU, 0 }, { "swish", NN_SILU, 0 }, { "tanh", NN_TANH, 0 }, { "linear", NN_IDENTITY, 0 },
	};
	const json_t *const value = json_object_get(config, key);
	const char *const name = json_string_value(value);
	s->act = NN_GELU;
	if (!value || json_is_null(value)) return SN_OK;
	for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
		if (strcmp(name, known[i].name) == 0) {
			s->act = known[i].act;
			s->quick = known[i].quick;
			return SN_OK;
		}
	return sn_fail(err, SN_E_UNSUPPORTED, "%s: '%s' is '%.40s'; known are gelu, gelu_new, quick_gelu, relu, silu, tanh and linear", file, key,
	               name ? name : "no text");
}

static int read_type(bert_settings *s, const json_t *config, const char *file, char *err) {
	const char *const type = json_string_value(json_object_get(config, "model_type"));
	const char *const positions = json_string_value(json_object_get(config, "position_embedding_type"));
	size_t at = 0;
	while (type && at < TYPES && strcmp(types[at].type, type) != 0) at++;
	if (!type || at == TYPES)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: 'model_type' is '%.40s'; bert, roberta, xlm-roberta, camembert, distilbert and electra are "
		               "known", file, type ? type : "missing");
	if (positions && strcmp(positions, "absolute") != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: 'position_embedding_type' is '%.40s'; only absolute positions are known", file, positions);
	s->kind = types[at].kind;
	s->sentencepiece = types[at].sentencepiece;
	s->camembert = strcmp(type, "camembert") == 0;
	return SN_OK;
}

static int read_sizes(bert_settings *s, const json_t *config, const char *file, char *err) {
	const int distil = s->kind == BERT_DISTIL, roberta = s->kind == BERT_ROBERTA;
	const struct { const char *key; int64_t least, most; int *out, usual; } sizes[] = {
		{ "vocab_size", 4, MAX_VOCAB, &s->vocab, 30522 }, { distil ? "dim" : "hidden_size", 1, MAX_WIDTH, &s->width, 768 },
		{ distil ? "n_layers" : "num_hidden_layers", 1, MAX_LAYERS, &s->layers, distil ? 6 : 12 },
		{ distil ? "n_heads" : "num_attention_heads", 1, MAX_WIDTH, &s->heads, 12 },
		{ distil ? "hidden_dim" : "intermediate_size", 1, 4 * MAX_WIDTH, &s->ffn, 3072 },
		{ "max_position_embeddings", 8, MAX_POSITIONS, &s->positions, 512 },
	};
	int64_t pad = roberta ? 1 : 0, begin = roberta ? 0 : -1, end = roberta ? 2 : -1;
	double eps = 1e-12;
	int code = SN_OK;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes && code == SN_OK; i++) {
		*sizes[i].out = sizes[i].usual;
		code = sn_json_int32(config, sizes[i].key, sizes[i].least, sizes[i].most, sizes[i].out, file, err);
	}
	s->types = distil ? 0 : 2;
	if (code == SN_OK && !distil) code = sn_json_int32(config, "type_vocab_size", 0, 1024, &s->types, file, err);
	s->embedding = s->kind == BERT_ELECTRA ? 128 : s->width;
	if (code == SN_OK && s->kind == BERT_ELECTRA) code = sn_json_int32(config, "embedding_size", 1, MAX_WIDTH, &s->embedding, file, err);
	if (code == SN_OK) code = sn_json_int(config, "pad_token_id", 0, MAX_VOCAB, &pad, file, err);
	if (code == SN_OK) code = sn_json_int(config, "bos_token_id", 0, MAX_VOCAB, &begin, file, err);
	if (code == SN_OK) code = sn_json_int(config, "eos_token_id", 0, MAX_VOCAB, &end, file, err);
	if (code == SN_OK && !distil) code = sn_json_double(config, "layer_norm_eps", 0, 1, &eps, file, err);
	s->eps = (float)eps;
	s->begin = (int32_t)begin;
	s->end = (int32_t)end;
	s->offset = roberta ? (int)pad + 1 : 0;
	if (code == SN_OK && s->width % s->heads)
		return sn_fail(err, SN_E_MODEL, "%s: %d channels cannot be shared by %d heads", file, s->width, s->heads);
	if (code == SN_OK && s->positions - s->offset < 8)
		return sn_fail(err, SN_E_MODEL, "%s: %d positions from %d on leave no room for a text", file, s->positions, s->offset);
	return code;
}

int bert_settings_read(bert_settings *s, sn_bert_config *c, const char *dir, char *err) {
	char path[SN_PATH_MAX];
	json_t *config = NULL;
	if (!sn_path_join(path, dir, "config.json")) return sn_fail(err, SN_E_LIMIT, "the path '%.200s' is too long", dir);
	int code = sn_json_file(&config, path, err);
	if (code == SN_OK) code = read_type(s, config, path, err);
	if (code == SN_OK) code = read_sizes(s, config, path, err);
	if (code == SN_OK) code = read_activation(s, config, s->kind == BERT_DISTIL ? "activation" : "hidden_act", path, err);
	if (code == SN_OK) code = read_labels(s, c, config, path, err);
	json_decref(config);
	const int most = s->positions - s->offset;
	c->most = most < SN_BERT_MAX_TOKENS ? most : SN_BERT_MAX_TOKENS;
	c->width = s->width;
	c->layers = s->layers;
	return code;
}

int sn_bert_accepts(const char *dir) {
	char path[SN_PATH_MAX];
	json_t *config = NULL;
	int found = 0;
	if (!sn_path_join(path, dir, "config.json") || sn_json_file(&config, path, NULL) != SN_OK) return 0;
	const char *const type = json_string_value(json_object_get(config, "model_type"));
	for (size_t i = 0; type && i < TYPES; i++) found |= strcmp(types[i].type, type) == 0;
	json_decref(config);
	return found;
}
