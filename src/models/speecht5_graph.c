#include "models/speecht5_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH_NORM_EPS 1e-5f /* torch's default; no configuration states it */

static nn_t weight(speecht5_recorder *r, int rank, const int64_t *dims, const char *format, ...) __attribute__((format(printf, 4, 5)));
static nn_t weight(speecht5_recorder *r, int rank, const int64_t *dims, const char *format, ...) {
	char name[160];
	va_list args;
	va_start(args, format);
	vsnprintf(name, sizeof name, format, args);
	va_end(args);
	return nn_weight_shaped(r->g, r->w, name, rank, dims);
}

/* [.., in] -> [.., out] by `base`.weight [out, in] and `base`.bias [out] */
static nn_t linear(speecht5_recorder *r, nn_t x, int64_t out, int64_t in, const char *format, ...) __attribute__((format(printf, 5, 6)));
static nn_t linear(speecht5_recorder *r, nn_t x, int64_t out, int64_t in, const char *format, ...) {
	char base[128];
	va_list args;
	va_start(args, format);
	vsnprintf(base, sizeof base, format, args);
	va_end(args);
	const nn_t w = weight(r, 2, (int64_t[]){ out, in }, "%s.weight", base);
	return nn_linear(r->g, x, w, weight(r, 1, &out, "%s.bias", base));
}

static nn_t layer_norm(speecht5_recorder *r, nn_t x, const char *base, const char *which) {
	const int64_t width = r->s->width;
	const nn_t gamma = weight(r, 1, &width, "%s.%s.weight", base, which);
	return nn_layer_norm(r->g, x, gamma, weight(r, 1, &width, "%s.%s.bias", base, which), r->s->norm_eps);
}

static nn_t activate(speecht5_recorder *r, nn_t x) {
	if (!r->s->quick_gelu) return nn_unary(r->g, r->s->act, x, r->s->act_param);
	return nn_binary(r->g, NN_MUL, x, nn_unary(r->g, NN_SIGMOID, nn_affine(r->g, x, 1.702f, 0), 0));
}

/* x + FFN(x), normalised */
static nn_t feed_forward(speecht5_recorder *r, nn_t x, int64_t inner, const char *base) {
	nn_t h = activate(r, linear(r, x, inner, r->s->width, "%s.feed_forward.intermediate_dense", base));
	h = linear(r, h, r->s->width, inner, "%s.feed_forward.output_dense", base);
	return layer_norm(r, nn_binary(r->g, NN_ADD, h, x), base, "final_layer_norm");
}

/* ---- text encoder ---- */

/* The reference's table has 2 * window rows, row d + window for query - key = d, where d beyond -window .. window - 1 takes the nearest;
 * the kernel's has 2 * window + 1 rows by key - query. */
static nn_t relative_keys(speecht5_recorder *r) {
	static const char name[] = "speecht5.encoder.wrapped_encoder.embed_positions.pe_k.weight";
	const int64_t window = r->s->window, head = r->s->width / r->s->encoder_heads, dims[2] = { 2 * window + 1, head };
	if (nn_weight_shaped(r->g, r->w, name, 2, (int64_t[]){ 2 * window, head }) == NN_NONE) return NN_NONE;
	const sn_weight *const table = sn_weights_find(r->w, name);
	float *const rows = malloc((size_t)(dims[0] * head) * sizeof *rows);
	for (int64_t d = -window; rows && d <= window; d++) {
		const int64_t row = -d < window ? window - d : 2 * window - 1;
		sn_weight_floats(table, row * head, head, rows + (d + window) * head);
	}
	const nn_t t = rows ? nn_const(r->g, "relative_keys", 2, dims, rows) : NN_NONE;
	free(rows);
	return t;
}

static nn_t encoder_layer(speecht5_recorder *r, nn_t x, nn_t relative, int layer) {
	const int64_t width = r->s->width;
	char base[96];
	snprintf(base, sizeof base, "speecht5.encoder.wrapped_encoder.layers.%d", layer);
	const nn_attn attn = { .heads = r->s->encoder_heads, .scale = 1 / sqrtf((float)(width / r->s->encoder_heads)), .window = r->s->window,
	                       .rel_k = relative, .rel_v = NN_NONE, .rel_clip = 1 };
	nn_t probs;
	const nn_t q = linear(r, x, width, width, "%s.attention.q_proj", base);
	const nn_t k = linear(r, x, width, width, "%s.attention.k_proj", base);
	const nn_t v = linear(r, x, width, width, "%s.attention.v_proj", base);
	nn_t h = nn_attention(r->g, q, k, v, attn, r->debug ? &probs : NULL);
	if (r->debug) nn_name(r->g, probs, "encoder_attn_layer%d", layer);
	h = linear(r, h, width, width, "%s.attention.out_proj", base);
	h = layer_norm(r, nn_binary(r->g, NN_ADD, h, x), base, "layer_norm");
	return nn_name(r->g, feed_forward(r, h, r->s->encoder_ffn, base), "encoder_layer%d_out", layer);
}

static nn_t cross_state(speecht5_recorder *r, int layer) {
	const sn_speecht5_config *const c = &r->s->public;
	char name[NN_NAME];
	snprintf(name, sizeof name, "cross_cache%d", layer);
	return nn_cache_state(r->g, name, 1, c->max_text, r->s->width, c->decoder_heads);
}

void speecht5_record_text(speecht5_recorder *r) {
	nn_graph *const g = r->g;
	const speecht5_settings *const s = r->s;
	const int64_t width = s->width;
	const nn_dim tokens = nn_symbol(g, "tokens", s->public.max_text);
	const nn_t ids = nn_input(g, "ids", NN_I32, 1, &tokens);
	const nn_t positions = nn_input(g, "positions", NN_F32, 2, (nn_dim[]){ tokens, nn_fix(width) });
	const nn_t slot = nn_input(g, "slot", NN_I32, 1, &tokens), place = nn_input(g, "place", NN_I32, 1, &tokens);
	const nn_t table = weight(r, 2, (int64_t[]){ s->public.vocab, width }, "speecht5.encoder.prenet.embed_tokens.weight");
	const nn_t relative = relative_keys(r);
	nn_t x = nn_binary(g, NN_ADD, nn_gather_rows(g, table, ids), positions);
	nn_name(g, x, "encoder_in_hidden");
	x = layer_norm(r, x, "speecht5.encoder.wrapped_encoder", "layer_norm");
	for (int i = 0; i < s->encoder_layers; i++) x = encoder_layer(r, x, relative, i);
	nn_output(g, x, "encoder_out");
	for (int i = 0; i < s->public.decoder_layers; i++) {
		const nn_t k = linear(r, x, width, width, "speecht5.decoder.wrapped_decoder.layers.%d.encoder_attn.k_proj", i);
		const nn_t v = linear(r, x, width, width, "speecht5.decoder.wrapped_decoder.layers.%d.encoder_attn.v_proj", i);
		char name[NN_NAME];
		snprintf(name, sizeof name, "written%d", i);
		nn_output(g, nn_cache_write(g, cross_state(r, i), k, v, slot, place), name);
	}
}

/* ---- decoder step ---- */

typedef struct step_inputs {
	nn_t slot, place, table, cross_place, cross_table;
} step_inputs;

static nn_t prenet(speecht5_recorder *r) {
	nn_graph *const g = r->g;
	const sn_speecht5_config *const c = &r->s->public;
	const int64_t width = r->s->width;
	int64_t in = c->mels;
	nn_t x = nn_input(g, "frame", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(c->mels) });
	for (int i = 0; i < c->prenet_layers; i++) {
		char name[NN_NAME];
		snprintf(name, sizeof name, "keep%d", i);
		const nn_t keep = nn_input(g, name, NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(c->prenet_units) });
		x = nn_unary(g, NN_RELU, linear(r, x, c->prenet_units, in, "speecht5.decoder.prenet.layers.%d", i), 0);
		x = nn_binary(g, NN_MUL, x, keep);
		in = c->prenet_units;
	}
	x = linear(r, x, width, in, "speecht5.decoder.prenet.final_layer");
	x = nn_binary(g, NN_ADD, x, nn_input(g, "position_row", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(width) }));
	x = nn_concat_cols(g, x, nn_input(g, "speaker", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(c->speaker_width) }));
	x = linear(r, x, width, width + c->speaker_width, "speecht5.decoder.prenet.speaker_embeds_layer");
	return nn_name(g, nn_unary(g, NN_RELU, x, 0), "prenet");
}

static nn_t decoder_layer(speecht5_recorder *r, nn_t x, const step_inputs *in, int layer) {
	nn_graph *const g = r->g;
	const sn_speecht5_config *const c = &r->s->public;
	const int64_t width = r->s->width;
	const float scale = 1 / sqrtf((float)(width / c->decoder_heads));
	char base[96], name[NN_NAME];
	snprintf(base, sizeof base, "speecht5.decoder.wrapped_decoder.layers.%d", layer);
	snprintf(name, sizeof name, "self_cache%d", layer);
	const nn_t state = nn_cache_state(g, name, 1, c->max_steps, width, c->decoder_heads);
	nn_t q = linear(r, x, width, width, "%s.self_attn.q_proj", base), probs;
	const nn_t k = linear(r, x, width, width, "%s.self_attn.k_proj", base);
	const nn_t v = linear(r, x, width, width, "%s.self_attn.v_proj", base);
	nn_t h = nn_cache_attention(g, q, k, v, state, in->slot, in->place, in->table, scale, NULL);
	h = linear(r, h, width, width, "%s.self_attn.out_proj", base);
	x = layer_norm(r, nn_binary(g, NN_ADD, h, x), base, "self_attn_layer_norm");

	q = linear(r, x, width, width, "%s.encoder_attn.q_proj", base);
	h = nn_cache_attention(g, q, NN_NONE, NN_NONE, cross_state(r, layer), in->slot, in->cross_place, in->cross_table, scale, &probs);
	snprintf(name, sizeof name, "cross%d", layer);
	nn_output(g, probs, name);
	h = linear(r, h, width, width, "%s.encoder_attn.out_proj", base);
	x = layer_norm(r, nn_binary(g, NN_ADD, h, x), base, "encoder_attn_layer_norm");
	return nn_name(g, feed_forward(r, x, r->s->decoder_ffn, base), "decoder_layer%d_out", layer);
}

void speecht5_record_step(speecht5_recorder *r) {
	nn_graph *const g = r->g;
	const sn_speecht5_config *const c = &r->s->public;
	const nn_dim one = nn_fix(1);
	const step_inputs in = {
		.slot = nn_input(g, "slot", NN_I32, 1, &one), .place = nn_input(g, "place", NN_I32, 1, &one),
		.table = nn_input(g, "table", NN_I32, 2, (nn_dim[]){ one, nn_fix(c->max_steps) }),
		.cross_place = nn_input(g, "cross_place", NN_I32, 1, &one),
		.cross_table = nn_input(g, "cross_table", NN_I32, 2, (nn_dim[]){ one, nn_fix(c->max_text) }),
	};
	nn_t x = prenet(r);
	for (int i = 0; i < c->decoder_layers; i++) x = decoder_layer(r, x, &in, i);
	nn_output(g, linear(r, x, (int64_t)c->mels * c->reduction, r->s->width, "speech_decoder_postnet.feat_out"), "mel");
	nn_output(g, nn_unary(g, NN_SIGMOID, linear(r, x, c->reduction, r->s->width, "speech_decoder_postnet.prob_out"), 0), "stop");
}

/* ---- postnet ---- */

/* A convolution without bias and its batch norm as one convolution. */
static nn_t postnet_layer(speecht5_recorder *r, nn_t x, int layer, int64_t in, int64_t out) {
	nn_graph *const g = r->g;
	const int64_t kernel = r->s->postnet_kernel;
	char base[64];
	snprintf(base, sizeof base, "speech_decoder_postnet.layers.%d", layer);
	const nn_t w = weight(r, 3, (int64_t[]){ out, in, kernel }, "%s.conv.weight", base);
	const nn_t gamma = weight(r, 1, &out, "%s.batch_norm.weight", base), beta = weight(r, 1, &out, "%s.batch_norm.bias", base);
	const nn_t mean = weight(r, 1, &out, "%s.batch_norm.running_mean", base);
	const nn_t variance = weight(r, 1, &out, "%s.batch_norm.running_var", base);
	const nn_t scale = nn_binary(g, NN_DIV, gamma, nn_unary(g, NN_SQRT, nn_affine(g, variance, 1, BATCH_NORM_EPS), 0));
	const nn_t shift = nn_binary(g, NN_SUB, beta, nn_binary(g, NN_MUL, mean, scale));
	const nn_conv shape = { .pad_left = (int)(kernel - 1) / 2, .pad_right = (int)(kernel - 1) / 2 };
	return nn_conv1d(g, x, nn_fold_scale(g, w, scale), shift, shape);
}

void speecht5_record_postnet(speecht5_recorder *r) {
	nn_graph *const g = r->g;
	const speecht5_settings *const s = r->s;
	const int64_t mels = s->public.mels, units = s->postnet_units;
	const nn_dim rows = nn_symbol(g, "rows", SPEECHT5_POSTNET_ROWS + 2 * (int64_t)speecht5_reach(s));
	const nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ rows, nn_fix(mels) });
	nn_t h = x;
	for (int i = 0; i < s->postnet_layers; i++) {
		const int last = i + 1 == s->postnet_layers;
		h = postnet_layer(r, h, i, i ? units : mels, last ? mels : units);
		if (!last) h = nn_unary(g, NN_TANH, h, 0);
	}
	nn_output(g, nn_binary(g, NN_ADD, h, x), "y");
}
