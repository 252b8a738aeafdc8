#include "models/fastspeech2_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NORM_EPS 1e-5f /* torch's default, which both references keep */
#define COQUI_NORM_EPS 1e-4f /* of Coqui's own layer norm in the predictors */

/* ---- tensors by name ---- */

static nn_t tensor(fs2_recorder *r, int rank, const int64_t *dims, const char *format, va_list args) {
	char own[256], name[2 * SN_WEIGHTS_MAX_NAME];
	vsnprintf(own, sizeof own, format, args);
	snprintf(name, sizeof name, "%s%s", r->prefix, own);
	return nn_weight_shaped(r->g, r->w, name, rank, dims);
}

__attribute__((format(printf, 3, 4))) static nn_t vector(fs2_recorder *r, int64_t size, const char *format, ...) {
	va_list args;
	va_start(args, format);
	const nn_t t = tensor(r, 1, (int64_t[]){ size }, format, args);
	va_end(args);
	return t;
}

__attribute__((format(printf, 4, 5))) static nn_t matrix(fs2_recorder *r, int64_t rows, int64_t cols, const char *format, ...) {
	va_list args;
	va_start(args, format);
	const nn_t t = tensor(r, 2, (int64_t[]){ rows, cols }, format, args);
	va_end(args);
	return t;
}

__attribute__((format(printf, 5, 6))) static nn_t kernel(fs2_recorder *r, int64_t out, int64_t in, int64_t size, const char *format, ...) {
	va_list args;
	va_start(args, format);
	const nn_t t = tensor(r, 3, (int64_t[]){ out, in, size }, format, args);
	va_end(args);
	return t;
}

/* ---- layers ---- */

static nn_t add(fs2_recorder *r, nn_t x, nn_t y) { return nn_binary(r->g, NN_ADD, x, y); }

static nn_t linear(fs2_recorder *r, nn_t x, int64_t out, int64_t in, const char *name) {
	return nn_linear(r->g, x, matrix(r, out, in, "%s.weight", name), vector(r, out, "%s.bias", name));
}

/* Padded by (size - 1) / 2 on both sides, as the references do: an even kernel would shorten the rows, so it does not fit. */
static nn_conv same(int64_t size, int64_t groups) {
	return (nn_conv){ .pad_left = (int)(size - 1) / 2, .pad_right = (int)(size - 1) / 2, .groups = (int)groups };
}

static nn_t conv(fs2_recorder *r, nn_t x, int64_t out, int64_t in, int64_t size, const char *name) {
	return nn_conv1d(r->g, x, kernel(r, out, in, size, "%s.weight", name), vector(r, out, "%s.bias", name), same(size, 1));
}

static nn_t norm(fs2_recorder *r, nn_t x, int64_t width, const char *name) {
	return nn_layer_norm(r->g, x, vector(r, width, "%s.weight", name), vector(r, width, "%s.bias", name), NORM_EPS);
}

/* A convolution with the batch norm behind it: w' = w * s, b' = (b - mean) * s + beta, s = gamma / sqrt(var + eps). */
static nn_t normed_conv(fs2_recorder *r, nn_t x, nn_t w, nn_t b, int64_t out, int64_t size, int64_t groups, const char *bn) {
	nn_graph *const g = r->g;
	const nn_t deviation = nn_unary(g, NN_SQRT, nn_affine(g, vector(r, out, "%s.running_var", bn), 1, NORM_EPS), 0);
	const nn_t scale = nn_binary(g, NN_DIV, vector(r, out, "%s.weight", bn), deviation), mean = vector(r, out, "%s.running_mean", bn);
	const nn_t centred = b == NN_NONE ? nn_affine(g, mean, -1, 0) : nn_binary(g, NN_SUB, b, mean);
	const nn_t shift = add(r, nn_binary(g, NN_MUL, centred, scale), vector(r, out, "%s.bias", bn));
	return nn_conv1d(g, x, nn_fold_scale(g, w, scale), shift, same(size, groups));
}

/* ---- conformer ---- */

static nn_t feed_forward(fs2_recorder *r, const fs2_block *b, nn_t x, const char *name) {
	char first[256], second[256];
	snprintf(first, sizeof first, "%s.conv1", name);
	snprintf(second, sizeof second, "%s.conv2", name);
	x = nn_unary(r->g, NN_RELU, conv(r, x, b->hidden, r->s->width, r->s->ffn_kernel, first), 0);
	return conv(r, x, r->s->width, b->hidden, r->s->ffn_kernel, second);
}

/* Transformer-XL attention: q with bias u meets the keys, q with bias v the positions. */
static nn_t relative_attention(fs2_recorder *r, const fs2_block *b, nn_t x, nn_t positions, const char *layer, nn_t *probs) {
	nn_graph *const g = r->g;
	const int64_t width = r->s->width, head = width / b->heads;
	char name[256];
	nn_t parts[3], bias[2];
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof name, "%s.self_attn.linear_%c", layer, "qkv"[i]);
		parts[i] = linear(r, x, width, width, name);
	}
	for (int i = 0; i < 2; i++)
		bias[i] = nn_reshape(g, matrix(r, b->heads, head, "%s.self_attn.pos_bias_%c", layer, "uv"[i]), 1, (nn_dim[]){ nn_fix(width) });
	const nn_t pos = nn_linear(g, positions, matrix(r, width, width, "%s.self_attn.linear_pos.weight", layer), NN_NONE);
	const nn_attn attn = { .heads = (int)b->heads, .scale = 1 / sqrtf((float)head), .rel_k = NN_NONE, .rel_v = NN_NONE, .shifted = 1,
	                       .shifted_q = add(r, parts[0], bias[1]), .shifted_pos = pos };
	const nn_t y = nn_attention(g, add(r, parts[0], bias[0]), parts[1], parts[2], attn, probs);
	snprintf(name, sizeof name, "%s.self_attn.linear_out", layer);
	return linear(r, y, width, width, name);
}

/* Pointwise, gate, depthwise with batch norm, SiLU, pointwise. */
static nn_t convolution_module(fs2_recorder *r, const fs2_block *b, nn_t x, const char *layer) {
	nn_graph *const g = r->g;
	const int64_t width = r->s->width;
	const int biased = r->s->convolution_bias;
	char name[256], bn[264];
	snprintf(name, sizeof name, "%s.conv_module", layer);
	snprintf(bn, sizeof bn, "%s.norm", name);
	const nn_t up = nn_conv1d(g, x, kernel(r, 2 * width, width, 1, "%s.pointwise_conv1.weight", name),
	                          biased ? vector(r, 2 * width, "%s.pointwise_conv1.bias", name) : NN_NONE, same(1, 1));
	x = nn_binary(g, NN_MUL, nn_slice_cols(g, up, 0, width), nn_unary(g, NN_SIGMOID, nn_slice_cols(g, up, width, width), 0));
	x = normed_conv(r, x, kernel(r, width, 1, b->kernel, "%s.depthwise_conv.weight", name),
	                biased ? vector(r, width, "%s.depthwise_conv.bias", name) : NN_NONE, width, b->kernel, width, bn);
	return nn_conv1d(g, nn_unary(g, NN_SILU, x, 0), kernel(r, width, width, 1, "%s.pointwise_conv2.weight", name),
	                 biased ? vector(r, width, "%s.pointwise_conv2.bias", name) : NN_NONE, same(1, 1));
}

/* A sublayer's norm goes before it or after its residual. */
static nn_t before(fs2_recorder *r, const fs2_block *b, nn_t x, const char *layer, const char *name) {
	char full[256];
	snprintf(full, sizeof full, "%s.%s", layer, name);
	return b->normalize_before ? norm(r, x, r->s->width, full) : x;
}

static nn_t after(fs2_recorder *r, const fs2_block *b, nn_t x, const char *layer, const char *name) {
	char full[256];
	snprintf(full, sizeof full, "%s.%s", layer, name);
	return b->normalize_before ? x : norm(r, x, r->s->width, full);
}

static nn_t conformer_layer(fs2_recorder *r, const fs2_block *b, nn_t x, nn_t positions, const char *layer, nn_t *probs) {
	nn_graph *const g = r->g;
	const int64_t width = r->s->width;
	const float share = r->s->macaron ? 0.5f : 1;
	char name[256];
	if (r->s->macaron) {
		snprintf(name, sizeof name, "%s.feed_forward_macaron", layer);
		const nn_t y = feed_forward(r, b, before(r, b, x, layer, "ff_macaron_layer_norm"), name);
		x = after(r, b, add(r, nn_affine(g, y, share, 0), x), layer, "ff_macaron_layer_norm");
	}
	const nn_t h = before(r, b, x, layer, "self_attn_layer_norm");
	nn_t y = relative_attention(r, b, h, positions, layer, probs);
	if (b->concat_after) {
		snprintf(name, sizeof name, "%s.concat_linear", layer);
		y = linear(r, nn_concat_cols(g, h, y), width, 2 * width, name);
	}
	x = after(r, b, add(r, y, x), layer, "self_attn_layer_norm");
	if (r->s->convolution) {
		y = convolution_module(r, b, before(r, b, x, layer, "conv_layer_norm"), layer);
		x = after(r, b, add(r, y, x), layer, "conv_layer_norm");
	}
	snprintf(name, sizeof name, "%s.feed_forward", layer);
	y = feed_forward(r, b, before(r, b, x, layer, "ff_layer_norm"), name);
	x = after(r, b, add(r, nn_affine(g, y, share, 0), x), layer, "ff_layer_norm");
	snprintf(name, sizeof name, "%s.final_layer_norm", layer);
	return r->s->convolution ? norm(r, x, width, name) : x;
}

static nn_t conformer(fs2_recorder *r, const fs2_block *b, nn_t x, nn_dim rows, const char *which) {
	nn_graph *const g = r->g;
	const nn_dim dims[2] = { nn_dim_add(nn_dim_mul(rows, 2), -1), nn_fix(r->s->width) };
	const nn_t positions = nn_input(g, "positions", NN_F32, 2, dims);
	x = nn_name(g, nn_affine(g, x, sqrtf((float)r->s->width), 0), "%s_hidden0", which);
	for (int i = 0; i < b->layers; i++) {
		char layer[64];
		nn_t probs;
		snprintf(layer, sizeof layer, "%s.conformer_layers.%d", which, i);
		x = conformer_layer(r, b, x, positions, layer, &probs);
		nn_name(g, x, "%s_hidden%d", which, i + 1);
		nn_name(g, probs, "%s_attn_layer%d", which, i);
	}
	return x;
}

/* ---- Coqui's feed-forward transformer ---- */

/* Fixed at 3 in the reference's code, and in no configuration. */
static int64_t inner_kernel(const fs2_recorder *r, const char *layer) {
	char name[2 * SN_WEIGHTS_MAX_NAME];
	snprintf(name, sizeof name, "%s%s.conv1.weight", r->prefix, layer);
	const sn_weight *const found = sn_weights_find(r->w, name);
	return found && found->rank == 3 && found->dims[2] < 256 ? found->dims[2] : 3;
}

static nn_t transformer_layer(fs2_recorder *r, const fs2_block *b, nn_t x, const char *layer, nn_t *probs) {
	nn_graph *const g = r->g;
	const int64_t width = r->s->width;
	char name[256];
	const nn_t w = matrix(r, 3 * width, width, "%s.self_attn.in_proj_weight", layer);
	const nn_t bias = vector(r, 3 * width, "%s.self_attn.in_proj_bias", layer);
	nn_t parts[3];
	for (int i = 0; i < 3; i++) parts[i] = nn_linear(g, x, nn_fold_rows(g, w, i * width, width), nn_fold_rows(g, bias, i * width, width));
	const nn_attn attn = { .heads = (int)b->heads, .scale = 1 / sqrtf((float)(width / b->heads)), .rel_k = NN_NONE, .rel_v = NN_NONE };
	snprintf(name, sizeof name, "%s.self_attn.out_proj", layer);
	nn_t y = linear(r, nn_attention(g, parts[0], parts[1], parts[2], attn, probs), width, width, name);
	snprintf(name, sizeof name, "%s.norm1", layer);
	x = norm(r, add(r, nn_affine(g, y, 2, 0), x), width, name); /* the reference adds it to the residual and to the sum */
	const int64_t size = inner_kernel(r, layer);
	snprintf(name, sizeof name, "%s.conv1", layer);
	y = nn_unary(g, NN_RELU, conv(r, x, b->hidden, width, size, name), 0);
	snprintf(name, sizeof name, "%s.conv2", layer);
	y = conv(r, y, width, b->hidden, size, name);
	snprintf(name, sizeof name, "%s.norm2", layer);
	return norm(r, add(r, y, x), width, name);
}

static nn_t transformer(fs2_recorder *r, const fs2_block *b, nn_t x, const char *which, const char *path) {
	for (int i = 0; i < b->layers; i++) {
		char layer[96];
		nn_t probs;
		snprintf(layer, sizeof layer, "%s.fft_layers.%d", path, i);
		x = transformer_layer(r, b, x, layer, &probs);
		nn_name(r->g, x, "%s_layer%d_out", which, i);
		nn_name(r->g, probs, "%s_layer%d_attn", which, i);
	}
	return x;
}

/* ---- predictors ---- */

static nn_t coqui_norm(fs2_recorder *r, nn_t x, int64_t width, const char *predictor, int index) {
	const nn_dim flat = nn_fix(width);
	const nn_t gamma = kernel(r, 1, width, 1, "%s.norm_%d.gamma", predictor, index);
	const nn_t beta = kernel(r, 1, width, 1, "%s.norm_%d.beta", predictor, index);
	return nn_layer_norm(r->g, x, nn_reshape(r->g, gamma, 1, &flat), nn_reshape(r->g, beta, 1, &flat), COQUI_NORM_EPS);
}

/* x [tokens, width] -> [tokens, 1] */
static nn_t predict(fs2_recorder *r, const fs2_predictor *p, nn_t x, const char *which) {
	char name[128], predictor[64];
	int64_t in = r->s->width;
	snprintf(predictor, sizeof predictor, "%s_predictor", which);
	for (int i = 0; i < p->layers; i++, in = p->channels) {
		if (r->s->coqui) snprintf(name, sizeof name, "%s.conv_%d", predictor, i + 1);
		else snprintf(name, sizeof name, "%s.conv_layers.%d.conv", predictor, i);
		x = nn_unary(r->g, NN_RELU, conv(r, x, p->channels, in, p->kernel, name), 0);
		snprintf(name, sizeof name, "%s.conv_layers.%d.layer_norm", predictor, i);
		x = r->s->coqui ? coqui_norm(r, x, p->channels, predictor, i + 1) : norm(r, x, p->channels, name);
	}
	snprintf(name, sizeof name, "%s.%s", predictor, r->s->coqui ? "proj" : "linear");
	return r->s->coqui ? conv(r, x, 1, in, 1, name) : linear(r, x, 1, in, name);
}

/* The predicted curve, as an output and, times its factor, as an embedding [tokens, width]. */
static nn_t variance(fs2_recorder *r, const fs2_predictor *p, nn_t x, const char *which) {
	nn_graph *const g = r->g;
	char name[64];
	const nn_t curve = predict(r, p, x, which);
	nn_output(g, curve, which);
	snprintf(name, sizeof name, "%s_factor", which);
	const nn_t factor = nn_input(g, name, NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(1) });
	snprintf(name, sizeof name, r->s->coqui ? "%s_emb" : "%s_embed.conv", which);
	return conv(r, nn_binary(g, NN_MUL, curve, factor), r->s->width, 1, p->embed_kernel, name);
}

/* ---- the two graphs ---- */

/* What a voice does to every row: adds "voice", and in a conformer with embeddings goes through a projection of [row, embedding],
 * which `mix` 0 leaves out, as the reference does without an embedding. */
static nn_t voiced(fs2_recorder *r, nn_t x, nn_dim tokens) {
	nn_graph *const g = r->g;
	const int64_t width = r->s->width, size = r->s->embedding;
	if (r->s->speakers || r->s->languages || (r->s->coqui && size))
		x = add(r, x, nn_input(g, "voice", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(width) }));
	if (r->s->coqui || !size) return x;
	const nn_t embedding = nn_input(g, "embedding", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(size) });
	const nn_t zeros = nn_input(g, "zeros", NN_I32, 1, &tokens), mix = nn_input(g, "mix", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(1) });
	const nn_t wide = nn_concat_cols(g, x, nn_gather_rows(g, nn_affine(g, embedding, 1, 0), zeros));
	const nn_t projected = linear(r, wide, width, width + size, "projection");
	return add(r, x, nn_binary(g, NN_MUL, nn_binary(g, NN_SUB, projected, x), mix));
}

void fs2_record_text(fs2_recorder *r) {
	nn_graph *const g = r->g;
	const fs2_settings *const s = r->s;
	const nn_dim tokens = nn_symbol(g, "tokens", SN_FASTSPEECH2_MAX_TOKENS);
	const nn_t ids = nn_input(g, "ids", NN_I32, 1, &tokens);
	const nn_t table = s->coqui ? matrix(r, s->vocab, s->width, "emb.weight") : matrix(r, s->vocab, s->width, "encoder.embed.weight");
	nn_t x = nn_gather_rows(g, table, ids);
	x = s->coqui ? transformer(r, &s->encoder, x, "encoder", "encoder.encoder") : conformer(r, &s->encoder, x, tokens, "encoder");
	nn_output(g, x, "encoder_out");
	x = voiced(r, x, tokens);
	nn_output(g, predict(r, &s->duration, x, "duration"), "log_durations");
	/* Conformer predicts both from the encoder's rows, Coqui the energy from rows that the pitch was added to. */
	const nn_t pitch = s->pitch.used ? variance(r, &s->pitch, x, "pitch") : NN_NONE;
	if (s->coqui && s->pitch.used) x = add(r, x, pitch);
	const nn_t energy = s->energy.used ? variance(r, &s->energy, x, "energy") : NN_NONE;
	if (s->energy.used) x = add(r, x, energy);
	if (!s->coqui) x = add(r, x, pitch);
	nn_output(g, x, "hidden");
}

/* mel + five convolutions over it, each with a batch norm and all but the last with a tanh. */
static nn_t postnet(fs2_recorder *r, nn_t mel) {
	const fs2_settings *const s = r->s;
	nn_t x = mel;
	int64_t in = s->mels;
	for (int i = 0; i < s->postnet_layers; i++) {
		const int last = i + 1 == s->postnet_layers;
		const int64_t out = last ? s->mels : s->postnet_units;
		char bn[80];
		snprintf(bn, sizeof bn, "speech_decoder_postnet.layers.%d.batch_norm", i);
		const nn_t w = kernel(r, out, in, s->postnet_kernel, "speech_decoder_postnet.layers.%d.conv.weight", i);
		x = normed_conv(r, x, w, NN_NONE, out, s->postnet_kernel, 1, bn);
		if (!last) x = nn_unary(r->g, NN_TANH, x, 0);
		in = out;
	}
	return s->postnet_layers ? add(r, x, mel) : mel;
}

void fs2_record_decoder(fs2_recorder *r) {
	nn_graph *const g = r->g;
	const fs2_settings *const s = r->s;
	const nn_dim frames = nn_symbol(g, "frames", SN_FASTSPEECH2_MAX_FRAMES);
	nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ frames, nn_fix(s->width) });
	if (s->coqui) {
		x = transformer(r, &s->decoder, x, "decoder", "decoder.decoder.transformer_block");
		nn_output(g, conv(r, x, s->mels, s->width, 1, "decoder.decoder.postnet"), "mel");
		return;
	}
	x = conformer(r, &s->decoder, x, frames, "decoder");
	x = linear(r, x, s->mels * s->reduction, s->width, "speech_decoder_postnet.feat_out");
	x = nn_reshape(g, x, 2, (nn_dim[]){ nn_dim_mul(frames, (int32_t)s->reduction), nn_fix(s->mels) });
	nn_output(g, postnet(r, nn_name(g, x, "spectrogram_before_postnet")), "mel");
}
