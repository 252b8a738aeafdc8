#include "models/wav2vec2_internal.h"

#include "base/hash.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 192
#define CONV_EPS 1e-5f /* norms of the feature encoder and of adapters: torch's default, whatever layer_norm_eps is */

static void format_name(char name[NAME_BYTES], const wav2vec2_recorder *r, const char *format, va_list args) {
	const int n = snprintf(name, NAME_BYTES, "%s", r->files.prefix);
	vsnprintf(name + n, (size_t)(NAME_BYTES - n), format, args);
}

/* A tensor below the prefix. */
static nn_t weight(wav2vec2_recorder *r, int rank, const int64_t *dims, const char *format, ...) __attribute__((format(printf, 4, 5)));
static nn_t weight(wav2vec2_recorder *r, int rank, const int64_t *dims, const char *format, ...) {
	char name[NAME_BYTES];
	va_list args;
	va_start(args, format);
	format_name(name, r, format, args);
	va_end(args);
	const nn_t t = nn_weight_shaped(r->g, r->files.body, name, rank, dims);
	if (!r->tag) return t;
	/* What is packed is found by its node's name, which is too short for both in full. */
	return nn_name(r->g, t, "%.40s:%016llx", r->tag, (unsigned long long)sn_hash_text(sn_hash_text(SN_HASH_INIT, r->tag), name));
}

static nn_t linear(wav2vec2_recorder *r, nn_t x, const char *stem, int64_t out, int64_t in) {
	const nn_t w = weight(r, 2, (int64_t[]){ out, in }, "%s.weight", stem);
	return nn_linear(r->g, x, w, weight(r, 1, &out, "%s.bias", stem));
}

static nn_t layer_norm(wav2vec2_recorder *r, nn_t x, const char *stem, int64_t width, float eps) {
	const nn_t gamma = weight(r, 1, &width, "%s.weight", stem);
	return nn_layer_norm(r->g, x, gamma, weight(r, 1, &width, "%s.bias", stem), eps);
}

static nn_t relu6(nn_graph *g, nn_t x) { /* min(max(x, 0), 6) = 6 - max(6 - max(x, 0), 0) */
	return nn_affine(g, nn_unary(g, NN_RELU, nn_affine(g, nn_unary(g, NN_RELU, x, 0), -1, 6), 0), -1, 6);
}

/* mish(x) = x tanh(softplus(x)); hard swish x relu6(x + 3) / 6; quick GELU x sigmoid(1.702 x) is a SiLU of another slope */
static nn_t activation(nn_graph *g, wav2vec2_act act, nn_t x) {
	switch (act) {
	case WAV2VEC2_GELU: return nn_unary(g, NN_GELU, x, 0);
	case WAV2VEC2_GELU_TANH: return nn_unary(g, NN_GELU_TANH, x, 0);
	case WAV2VEC2_QUICK_GELU: return nn_affine(g, nn_unary(g, NN_SILU, nn_affine(g, x, 1.702f, 0), 0), 1 / 1.702f, 0);
	case WAV2VEC2_RELU: return nn_unary(g, NN_RELU, x, 0);
	case WAV2VEC2_RELU2: return x = nn_unary(g, NN_RELU, x, 0), nn_binary(g, NN_MUL, x, x);
	case WAV2VEC2_LEAKY_RELU: return nn_unary(g, NN_LEAKY_RELU, x, 0.01f);
	case WAV2VEC2_RELU6: return relu6(g, x);
	case WAV2VEC2_HARD_SWISH: return nn_binary(g, NN_MUL, nn_affine(g, relu6(g, nn_affine(g, x, 1, 3)), 1 / 6.0f, 0), x);
	case WAV2VEC2_SILU: return nn_unary(g, NN_SILU, x, 0);
	case WAV2VEC2_TANH: return nn_unary(g, NN_TANH, x, 0);
	case WAV2VEC2_SIGMOID: return nn_unary(g, NN_SIGMOID, x, 0);
	case WAV2VEC2_MISH: return nn_binary(g, NN_MUL, nn_unary(g, NN_TANH, nn_unary(g, NN_SOFTPLUS, x, 0), 0), x);
	default: return x;
	}
}

/* ---- features ---- */

void wav2vec2_record_features(wav2vec2_recorder *r) {
	const wav2vec2_settings *const s = r->s;
	nn_graph *const g = r->g;
	int stride = 1, reach = 1;
	for (int i = 0; i < s->convs; i++) {
		reach += (s->kernel[i] - 1) * stride;
		stride *= s->step[i];
	}
	const nn_dim frames = nn_symbol(g, "frames", r->most);
	nn_t x = nn_input(g, "samples", NN_F32, 2, (nn_dim[]){ nn_dim_add(nn_dim_mul(frames, stride), reach - stride), nn_fix(1) });
	for (int i = 0; i < s->convs; i++) {
		const int64_t out = s->dim[i], in = i ? s->dim[i - 1] : 1;
		char stem[64];
		snprintf(stem, sizeof stem, "feature_extractor.conv_layers.%d.layer_norm", i);
		const nn_t w = weight(r, 3, (int64_t[]){ out, in, s->kernel[i] }, "feature_extractor.conv_layers.%d.conv.weight", i);
		const nn_t b = s->conv_bias ? weight(r, 1, &out, "feature_extractor.conv_layers.%d.conv.bias", i) : NN_NONE;
		x = nn_conv1d(g, x, w, b, (nn_conv){ .stride = s->step[i] });
		if (!s->group_norm) {
			x = layer_norm(r, x, stem, out, CONV_EPS);
		} else if (i == 0) { /* its statistics are of the whole window, see wav2vec2_group_norm */
			const nn_dim row[] = { nn_fix(1), nn_fix(out) };
			x = nn_binary(g, NN_MUL, x, nn_input(g, "scale", NN_F32, 2, row));
			x = nn_binary(g, NN_ADD, x, nn_input(g, "shift", NN_F32, 2, row));
		}
		x = nn_name(g, activation(g, s->conv_act, x), "conv%d_out", i);
	}
	x = layer_norm(r, x, "feature_projection.layer_norm", s->dim[s->convs - 1], s->eps);
	nn_name(g, x, "feature_projection_normed");
	x = linear(r, x, "feature_projection.projection", s->width, s->dim[s->convs - 1]);
	nn_output(g, nn_name(g, x, "feature_projection"), "hidden");
}

/* ---- encoder ---- */

/* The weight is normalised over all but its last axis. torch's weight_norm is stored under two pairs of names. */
static nn_t position_weight(wav2vec2_recorder *r) {
	static const char *const names[][2] = {
		{ "weight_g", "weight_v" }, { "parametrizations.weight.original0", "parametrizations.weight.original1" },
	};
	const wav2vec2_settings *const s = r->s;
	const int64_t one[] = { 1, 1, s->positions }, all[] = { s->width, s->width / s->position_groups, s->positions };
	char name[NAME_BYTES];
	for (size_t i = 0; i < 2; i++) {
		snprintf(name, sizeof name, "%sencoder.pos_conv_embed.conv.%s", r->files.prefix, names[i][0]);
		if (!sn_weights_find(r->files.body, name)) continue;
		const nn_t norm = weight(r, 3, one, "encoder.pos_conv_embed.conv.%s", names[i][0]);
		return nn_fold_weight_norm_last(r->g, norm, weight(r, 3, all, "encoder.pos_conv_embed.conv.%s", names[i][1]));
	}
	return weight(r, 3, all, "encoder.pos_conv_embed.conv.weight");
}

/* Centred, and an even kernel's last frame is dropped: one row less of padding behind. */
static nn_t position_conv(wav2vec2_recorder *r, nn_t x) {
	const int64_t width = r->s->width;
	const int half = r->s->positions / 2;
	const nn_conv shape = { .pad_left = half, .pad_right = r->s->positions % 2 ? half : half - 1, .groups = r->s->position_groups };
	x = nn_conv1d(r->g, x, position_weight(r), weight(r, 1, &width, "encoder.pos_conv_embed.conv.bias"), shape);
	return nn_name(r->g, activation(r->g, r->s->conv_act, x), "pos_conv_out");
}

static const char *stem_of(char stem[NAME_BYTES], int layer, const char *part) {
	snprintf(stem, NAME_BYTES, "encoder.layers.%d.%s", layer, part);
	return stem;
}

static nn_t attention(wav2vec2_recorder *r, nn_t x, int layer, nn_t keys) {
	const int64_t width = r->s->width;
	const float scale = 1 / sqrtf((float)(r->s->width / r->s->heads));
	const nn_attn attn = { .heads = r->s->heads, .scale = scale, .rel_k = NN_NONE, .rel_v = NN_NONE };
	char stem[NAME_BYTES];
	nn_t probs;
	const nn_t q = linear(r, x, stem_of(stem, layer, "attention.q_proj"), width, width);
	nn_t k = linear(r, x, stem_of(stem, layer, "attention.k_proj"), width, width);
	nn_t v = linear(r, x, stem_of(stem, layer, "attention.v_proj"), width, width);
	if (r->debug) {
		k = nn_gather_rows(r->g, k, keys);
		v = nn_gather_rows(r->g, v, keys);
	}
	x = nn_attention(r->g, q, k, v, attn, r->debug ? &probs : NULL);
	if (r->debug) nn_name(r->g, probs, "attn_layer%d", layer);
	return linear(r, x, stem_of(stem, layer, "attention.out_proj"), width, width);
}

static nn_t feed_forward(wav2vec2_recorder *r, nn_t x, int layer) {
	char stem[NAME_BYTES];
	x = linear(r, x, stem_of(stem, layer, "feed_forward.intermediate_dense"), r->s->ffn, r->s->width);
	x = activation(r->g, r->s->act, x);
	return linear(r, x, stem_of(stem, layer, "feed_forward.output_dense"), r->s->width, r->s->ffn);
}

/* What a language's file replaces is read from there, and packed under the language's name. */
static wav2vec2_recorder language_part(const wav2vec2_recorder *r) {
	wav2vec2_recorder own = *r;
	if (!r->files.adapter) return own;
	own.files.body = r->files.adapter;
	own.files.prefix = sn_weights_find(r->files.adapter, "encoder.layers.0.adapter_layer.norm.weight") ? "" : "wav2vec2.";
	own.tag = r->language;
	return own;
}

/* MMS: norm, down, ReLU, up, added to what came in. */
static nn_t language_adapter(wav2vec2_recorder *r, nn_t x, int layer) {
	wav2vec2_recorder own = language_part(r);
	char stem[NAME_BYTES];
	nn_t h = layer_norm(&own, x, stem_of(stem, layer, "adapter_layer.norm"), r->s->width, CONV_EPS);
	h = linear(&own, h, stem_of(stem, layer, "adapter_layer.linear_1"), r->s->language_width, r->s->width);
	h = linear(&own, nn_unary(r->g, NN_RELU, h, 0), stem_of(stem, layer, "adapter_layer.linear_2"), r->s->width, r->s->language_width);
	return nn_binary(r->g, NN_ADD, h, x);
}

static nn_t encoder_layer(wav2vec2_recorder *r, nn_t x, int layer, nn_t keys) {
	const wav2vec2_settings *const s = r->s;
	char first[NAME_BYTES], last[NAME_BYTES];
	stem_of(first, layer, "layer_norm");
	stem_of(last, layer, "final_layer_norm");
	if (s->stable) {
		x = nn_binary(r->g, NN_ADD, attention(r, layer_norm(r, x, first, s->width, s->eps), layer, keys), x);
		x = nn_binary(r->g, NN_ADD, feed_forward(r, layer_norm(r, x, last, s->width, s->eps), layer), x);
		if (s->language_width) x = language_adapter(r, x, layer);
	} else {
		x = layer_norm(r, nn_binary(r->g, NN_ADD, attention(r, x, layer, keys), x), first, s->width, s->eps);
		x = layer_norm(r, nn_binary(r->g, NN_ADD, feed_forward(r, x, layer), x), last, s->width, s->eps);
	}
	return nn_name(r->g, x, "layer%d_out", layer);
}

/* Strided convolutions with gated linear units: a * sigmoid(b) of both halves. */
static nn_t output_adapter(wav2vec2_recorder *r, nn_t x) {
	const wav2vec2_settings *const s = r->s;
	const int64_t width = s->adapter_width, twice = 2 * width;
	if (width != s->width) {
		x = linear(r, x, "adapter.proj", width, s->width);
		x = layer_norm(r, x, "adapter.proj_layer_norm", width, CONV_EPS);
	}
	for (int i = 0; i < s->adapter_layers; i++) {
		const nn_t w = weight(r, 3, (int64_t[]){ twice, width, s->adapter_kernel }, "adapter.layers.%d.conv.weight", i);
		const nn_t b = weight(r, 1, &twice, "adapter.layers.%d.conv.bias", i);
		x = nn_conv1d(r->g, x, w, b, (nn_conv){ .stride = s->adapter_stride, .pad_left = 1, .pad_right = 1 });
		const nn_t gate = nn_unary(r->g, NN_SIGMOID, nn_slice_cols(r->g, x, width, width), 0);
		x = nn_binary(r->g, NN_MUL, gate, nn_slice_cols(r->g, x, 0, width));
	}
	return x;
}

void wav2vec2_record_encoder(wav2vec2_recorder *r) {
	const wav2vec2_settings *const s = r->s;
	nn_graph *const g = r->g;
	const nn_dim frames = nn_symbol(g, "frames", r->most);
	nn_t x = nn_input(g, "hidden", NN_F32, 2, (nn_dim[]){ frames, nn_fix(s->width) }), keys = NN_NONE;
	if (r->debug) keys = nn_input(g, "keys", NN_I32, 1, (nn_dim[]){ nn_symbol(g, "valid", r->most) });
	x = nn_binary(g, NN_ADD, position_conv(r, x), x);
	if (!s->stable) x = layer_norm(r, x, "encoder.layer_norm", s->width, s->eps);
	nn_name(g, x, "encoder_input_hidden");
	for (int i = 0; i < s->layers; i++) x = encoder_layer(r, x, i, keys);
	if (s->stable) x = layer_norm(r, x, "encoder.layer_norm", s->width, s->eps);
	if (r->outputs) nn_output(g, x, "encoder_out");
	nn_name(g, x, "encoder_out");
	if (s->add_adapter) x = nn_name(g, output_adapter(r, x), "adapter_out");
	wav2vec2_recorder head = language_part(r);
	head.files.prefix = "";
	x = linear(&head, x, "lm_head", r->vocab, s->add_adapter ? s->adapter_width : s->width);
	nn_output(g, nn_name(g, x, "logits"), "logits");
}
