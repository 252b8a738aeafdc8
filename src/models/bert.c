#include "models/bert_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/path.h"
#include "nn/cpu/kernels.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACK_VERSION 1 /* raised when the recorded graph changes what is packed */
#define NAME_BYTES 192

struct sn_bert {
	sn_bert_config config;
	bert_settings settings;
	sn_weights *weights;
	nn_pack *pack;
	nn_exec *exec;
	bert_text *text;
	int busy;
};

/* ---- graph ---- */

typedef struct recorder {
	nn_graph *g;
	const bert_settings *s;
	const sn_weights *weights;
	char prefix[SN_WEIGHTS_MAX_NAME + 1];
	int debug, most;
} recorder;

/* Names of a layer's parts. */
enum { QUERY, KEY, VALUE, ATTENDED, ATTENTION_NORM, INNER, OUTER, OUTPUT_NORM, PARTS };
static const char *const plain_parts[PARTS] = { "attention.self.query", "attention.self.key", "attention.self.value",
	"attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm" };
static const char *const distil_parts[PARTS] = { "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
	"sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm" };

static nn_t weight(const recorder *r, int rank, int64_t a, int64_t b, const char *format, ...) __attribute__((format(printf, 5, 6)));
static nn_t weight(const recorder *r, int rank, int64_t a, int64_t b, const char *format, ...) {
	char name[NAME_BYTES], full[SN_WEIGHTS_MAX_NAME + NAME_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(name, sizeof name, format, args);
	va_end(args);
	snprintf(full, sizeof full, "%s%s", r->prefix, name);
	return nn_weight_shaped(r->g, r->weights, full, rank, (int64_t[]){ a, b });
}

static nn_t linear(const recorder *r, nn_t x, const char *stem, int64_t out, int64_t in) {
	const nn_t w = weight(r, 2, out, in, "%s.weight", stem);
	return nn_linear(r->g, x, w, weight(r, 1, out, 0, "%s.bias", stem));
}

/* Checkpoints that were converted from TensorFlow call the scale gamma. */
static nn_t norm(const recorder *r, nn_t x, const char *stem, int64_t width) {
	char name[SN_WEIGHTS_MAX_NAME + NAME_BYTES];
	snprintf(name, sizeof name, "%s%s.gamma", r->prefix, stem);
	const int old = sn_weights_find(r->weights, name) != NULL;
	const nn_t gamma = weight(r, 1, width, 0, "%s.%s", stem, old ? "gamma" : "weight");
	return nn_layer_norm(r->g, x, gamma, weight(r, 1, width, 0, "%s.%s", stem, old ? "beta" : "bias"), r->s->eps);
}

static nn_t activation(const recorder *r, nn_t x) {
	if (!r->s->quick) return nn_unary(r->g, r->s->act, x, 0);
	return nn_affine(r->g, nn_unary(r->g, NN_SILU, nn_affine(r->g, x, 1.702f, 0), 0), 1 / 1.702f, 0);
}

/* ids, positions [tokens] -> [tokens, width]: the tables' rows added and normed. The text is all of the first type. */
static nn_t embed(const recorder *r) {
	const bert_settings *const s = r->s;
	const nn_dim tokens = nn_symbol(r->g, "tokens", r->most);
	const nn_t ids = nn_input(r->g, "ids", NN_I32, 1, &tokens), at = nn_input(r->g, "positions", NN_I32, 1, &tokens);
	nn_t x = nn_gather_rows(r->g, weight(r, 2, s->vocab, s->embedding, "embeddings.word_embeddings.weight"), ids);
	if (s->types) {
		const nn_t types = weight(r, 2, s->types, s->embedding, "embeddings.token_type_embeddings.weight");
		x = nn_binary(r->g, NN_ADD, x, nn_fold_rows(r->g, types, 0, 1));
	}
	const nn_t positions = weight(r, 2, s->positions, s->embedding, "embeddings.position_embeddings.weight");
	x = nn_binary(r->g, NN_ADD, x, nn_gather_rows(r->g, positions, at));
	x = norm(r, x, "embeddings.LayerNorm", s->embedding);
	if (s->embedding != s->width) x = linear(r, x, "embeddings_project", s->width, s->embedding);
	return nn_name(r->g, x, "embeddings_out");
}

/* Attention and feed-forward, each added to what it read and normed behind it. */
static nn_t layer(const recorder *r, nn_t x, int index) {
	const bert_settings *const s = r->s;
	const char *const *const parts = s->kind == BERT_DISTIL ? distil_parts : plain_parts;
	char stem[PARTS][NAME_BYTES];
	for (int i = 0; i < PARTS; i++)
		snprintf(stem[i], NAME_BYTES, "%s.layer.%d.%s", s->kind == BERT_DISTIL ? "transformer" : "encoder", index, parts[i]);
	const nn_attn attn = { .heads = s->heads, .scale = 1 / sqrtf((float)(s->width / s->heads)), .rel_k = NN_NONE, .rel_v = NN_NONE };
	nn_t probs;
	const nn_t q = linear(r, x, stem[QUERY], s->width, s->width), k = linear(r, x, stem[KEY], s->width, s->width);
	nn_t y = nn_attention(r->g, q, k, linear(r, x, stem[VALUE], s->width, s->width), attn, r->debug ? &probs : NULL);
	if (r->debug) nn_name(r->g, probs, "attn_layer%d", index);
	x = norm(r, nn_binary(r->g, NN_ADD, linear(r, y, stem[ATTENDED], s->width, s->width), x), stem[ATTENTION_NORM], s->width);
	y = activation(r, linear(r, x, stem[INNER], s->ffn, s->width));
	x = norm(r, nn_binary(r->g, NN_ADD, linear(r, y, stem[OUTER], s->width, s->ffn), x), stem[OUTPUT_NORM], s->width);
	return nn_name(r->g, x, "layer%d_out", index);
}

static void record(recorder *r) {
	nn_t x = embed(r);
	for (int i = 0; i < r->s->layers; i++) x = layer(r, x, i);
	*r->prefix = 0; /* the head stands beside the body */
	nn_output(r->g, linear(r, x, "classifier", r->s->labels, r->s->width), "logits");
}

/* ---- opening ---- */

static int find_body(recorder *r, char *err) {
	static const char stem[] = "embeddings.word_embeddings.weight";
	if (!sn_weights_prefix(r->weights, stem, r->prefix))
		return sn_fail(err, SN_E_MODEL, "%s has no tensor '%s'", sn_weights_path(r->weights), stem);
	if (!sn_weights_find(r->weights, "classifier.weight"))
		return sn_fail(err, SN_E_MODEL, "%s has no tensor 'classifier.weight': only checkpoints for token classification put marks into text",
		               sn_weights_path(r->weights));
	return SN_OK;
}

static int compile(sn_bert *b, const sn_load_options *load, char *err) {
	recorder r = { .s = &b->settings, .weights = b->weights, .debug = load->debug, .most = b->config.most };
	int code = find_body(&r, err);
	if (code != SN_OK) return code;
	nn_plan *plan = NULL;
	r.g = nn_graph_new("bert");
	if (!r.g) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	record(&r);
	code = nn_plan_compile(&plan, r.g, &(nn_plan_options){ .backend = load->backend, .exports = load->exports, .dtype = load->dtype,
	                       .debug = load->debug, .pack = b->pack }, err);
	if (code == SN_OK) code = nn_exec_new(&b->exec, plan, load->pool, err);
	nn_plan_release(&plan);
	nn_graph_free(&r.g);
	return code;
}

static int load_all(sn_bert *b, const sn_load_options *load, char *err) {
	char note[SN_ERRLEN] = "";
	int code = bert_settings_read(&b->settings, &b->config, load->dir, err);
	if (code == SN_OK) code = bert_text_open(&b->text, &b->settings, load->dir, err);
	if (code == SN_OK) code = sn_weights_open(&b->weights, load->dir, err);
	if (code != SN_OK) return code;
	bert_text_ends(b->text, &b->config.begin, &b->config.end);
	for (size_t i = 0; i < sn_weights_count(b->weights); i++) {
		const sn_weight *const w = sn_weights_at(b->weights, i);
		b->config.parameters += (int64_t)(w->bytes / sn_dtype_size(w->dtype));
	}
	const int facts[] = { PACK_VERSION, load->dtype, load->debug };
	const uint64_t key = sn_hash_text(sn_hash(sn_weights_key(b->weights), facts, sizeof facts), nn_kernels_best()->name);
	code = nn_pack_open(&b->pack, load->pack_path, key, err);
	if (code == SN_OK) code = compile(b, load, err);
	if (code == SN_OK && load->pack_path && nn_pack_save(b->pack, note) != SN_OK)
		sn_log(SN_LOG_WARN, "packed weights of %s were not kept: %s", load->dir, note);
	return code;
}

int sn_bert_open(sn_bert **out, const sn_load_options *load, char *err) {
	sn_bert *b = calloc(1, sizeof *b);
	*out = NULL;
	const int code = b ? load_all(b, load, err) : sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	if (code != SN_OK) sn_bert_close(&b);
	*out = b;
	return code;
}

void sn_bert_close(sn_bert **bert) {
	sn_bert *b = *bert;
	*bert = NULL;
	if (!b) return;
	nn_exec_free(&b->exec);
	nn_pack_close(&b->pack);
	bert_text_close(&b->text);
	sn_weights_close(&b->weights);
	free(b);
}

const sn_bert_config *sn_bert_get_config(const sn_bert *b) { return &b->config; }

int sn_bert_encode(const sn_bert *b, const char *word, int first, int32_t *ids, int *count, char *err) {
	return bert_text_encode(b->text, word, first, ids, count, err);
}

/* ---- a window ---- */

int sn_bert_start(sn_bert *b, const int32_t *ids, int count) {
	if (b->busy) return SN_AGAIN;
	nn_exec_set(b->exec, "tokens", count);
	int32_t *const in = nn_exec_input_ids(b->exec, "ids"), *const at = nn_exec_input_ids(b->exec, "positions");
	for (int i = 0; i < count; i++) {
		in[i] = ids[i] >= 0 && ids[i] < b->settings.vocab ? ids[i] : 0; /* a tokenizer's own tokens beyond the table */
		at[i] = b->settings.offset + i;
	}
	nn_exec_begin(b->exec);
	b->busy = 1;
	return SN_OK;
}

int sn_bert_next(sn_bert *b, int budget, char *err) { return nn_exec_next(b->exec, budget, err); }

const float *sn_bert_logits(const sn_bert *b) { return nn_exec_output(b->exec, "logits", NULL); }

void sn_bert_end(sn_bert *b) { b->busy = 0; }

int sn_bert_tensor(const sn_bert *b, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	return nn_exec_tensor(b->exec, name, values, rank, dims, err);
}
