#include "models/bark_internal.h"

#include <math.h>
#include <stdio.h>

#define NORM_EPS 1e-5f

static nn_t tensor(bark_recorder *r, const char *base, const char *tail, int rank, const int64_t *dims) {
	char name[128];
	snprintf(name, sizeof name, "%s.%s.%s", r->prefix, base, tail);
	return nn_weight_shaped(r->g, r->weights, name, rank, dims);
}

static nn_t dense(bark_recorder *r, nn_t x, const char *base, int64_t out, int64_t in) {
	const nn_t b = r->c->bias ? tensor(r, base, "bias", 1, &out) : NN_NONE;
	return nn_linear(r->g, x, tensor(r, base, "weight", 2, (int64_t[]){ out, in }), b);
}

static nn_t norm(bark_recorder *r, nn_t x, const char *base) {
	const int64_t width = r->c->width;
	const nn_t beta = r->fine || r->c->bias ? tensor(r, base, "bias", 1, &width) : NN_NONE;
	return nn_layer_norm(r->g, x, tensor(r, base, "weight", 1, &width), beta, NORM_EPS);
}

typedef struct cache_inputs {
	nn_t slot, position, table;
} cache_inputs;

/* cache: NULL attends to all rows of x. */
static nn_t attention(bark_recorder *r, nn_t x, const cache_inputs *cache, int layer) {
	const int64_t width = r->c->width;
	const float scale = 1 / sqrtf((float)(width / r->c->heads));
	char name[NN_NAME];
	snprintf(name, sizeof name, "layers.%d.attn.att_proj", layer);
	const nn_t all = dense(r, x, name, 3 * width, width);
	const nn_t q = nn_slice_cols(r->g, all, 0, width), k = nn_slice_cols(r->g, all, width, width);
	const nn_t v = nn_slice_cols(r->g, all, 2 * width, width);
	if (cache) {
		snprintf(name, sizeof name, "self%d", layer);
		const nn_t state = nn_cache_state(r->g, name, 1, r->c->block, width, r->c->heads);
		x = nn_cache_attention(r->g, q, k, v, state, cache->slot, cache->position, cache->table, scale, NULL);
	} else {
		const nn_attn options = { .heads = r->c->heads, .scale = scale, .rel_k = NN_NONE, .rel_v = NN_NONE };
		x = nn_attention(r->g, q, k, v, options, NULL);
	}
	snprintf(name, sizeof name, "layers.%d.attn.out_proj", layer);
	return dense(r, x, name, width, width);
}

/* Blocks of attention and feed-forward, normalised before each (GPT-2). */
static nn_t blocks(bark_recorder *r, nn_t x, const cache_inputs *cache) {
	const int64_t width = r->c->width;
	char name[NN_NAME];
	for (int i = 0; i < r->c->layers; i++) {
		snprintf(name, sizeof name, "layers.%d.layernorm_1", i);
		x = nn_binary(r->g, NN_ADD, attention(r, norm(r, x, name), cache, i), x);
		snprintf(name, sizeof name, "layers.%d.layernorm_2", i);
		nn_t y = norm(r, x, name);
		snprintf(name, sizeof name, "layers.%d.mlp.in_proj", i);
		y = nn_unary(r->g, NN_GELU, dense(r, y, name, 4 * width, width), 0);
		snprintf(name, sizeof name, "layers.%d.mlp.out_proj", i);
		x = nn_name(r->g, nn_binary(r->g, NN_ADD, dense(r, y, name, width, 4 * width), x), "layer%d_out", i);
	}
	return x;
}

void bark_record_causal(bark_recorder *r) {
	nn_graph *const g = r->g;
	const int64_t width = r->c->width;
	const nn_dim rows = nn_symbol(g, "rows", r->rows), one = nn_fix(1);
	nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ rows, nn_fix(width) });
	const cache_inputs cache = {
		.slot = nn_input(g, "slot", NN_I32, 1, &rows), .position = nn_input(g, "position", NN_I32, 1, &rows),
		.table = nn_input(g, "table", NN_I32, 2, (nn_dim[]){ rows, nn_fix(r->c->block) }),
	};
	const nn_t wanted = nn_input(g, "wanted", NN_I32, 1, &one);
	x = norm(r, nn_gather_rows(g, blocks(r, x, &cache), wanted), "layernorm_final");
	nn_output(g, nn_linear(g, x, tensor(r, "lm_head", "weight", 2, (int64_t[]){ r->c->out, width }), NN_NONE), "logits");
}

void bark_record_fine(bark_recorder *r) {
	nn_t x = nn_input(r->g, "x", NN_F32, 2, (nn_dim[]){ nn_symbol(r->g, "rows", r->rows), nn_fix(r->c->width) });
	nn_output(r->g, norm(r, blocks(r, x, NULL), "layernorm_final"), "hidden");
}

void bark_record_head(bark_recorder *r, const char *weight) {
	const int64_t dims[2] = { r->c->out, r->c->width };
	nn_t x = nn_input(r->g, "hidden", NN_F32, 2, (nn_dim[]){ nn_symbol(r->g, "rows", r->rows), nn_fix(r->c->width) });
	nn_output(r->g, nn_linear(r->g, x, nn_weight_shaped(r->g, r->weights, weight, 2, dims), NN_NONE), "logits");
}
