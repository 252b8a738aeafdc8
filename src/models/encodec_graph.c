#include "models/encodec_internal.h"

#include <math.h>
#include <stdio.h>

#define NORM_EPS 1e-5f
#define NAME_BYTES 256

void encodec_padding(const encodec_config *c, int kernel, int dilation, int *left, int *right) {
	const int total = (kernel - 1) * dilation;
	*right = c->causal ? 0 : total / 2;
	*left = total - *right;
}

/* Rows that a transposed convolution (kernel 2 * ratio) has too many, before and behind. */
static void surplus(const encodec_config *c, int ratio, int *left, int *right) {
	*right = c->causal ? (int)ceil(ratio * c->trim_right) : ratio / 2;
	*left = ratio - *right;
}

static int64_t dilation_of(const encodec_config *c, int layer) {
	int64_t dilation = 1;
	for (int i = 0; i < layer && dilation <= ENCODEC_MAX_DILATION; i++) dilation *= c->growth;
	return dilation;
}

static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

static void widen(const encodec_config *c, int mirrored, int kernel, int dilation, int64_t *first, int64_t *last) {
	int left, right;
	encodec_padding(c, kernel, dilation, &left, &right);
	*first -= mirrored && right > left ? right : left;
	*last += mirrored && left > right ? left : right;
}

void encodec_needs(const encodec_config *c, int mirrored, int64_t first, int64_t last, int64_t *in_first, int64_t *in_last) {
	widen(c, mirrored, c->last_kernel, 1, &first, &last);
	for (int i = c->ratio_count - 1; i >= 0; i--) {
		const int ratio = (int)c->ratios[i];
		int left, right;
		for (int j = c->residual_layers - 1; j >= 0; j--) widen(c, mirrored, c->residual_kernel, (int)dilation_of(c, j), &first, &last);
		surplus(c, ratio, &left, &right);
		first = floor_div(first + left - ratio, ratio); /* output row t takes input rows (t + left) / ratio and the one before */
		last = floor_div(last - 1 + left, ratio) + 1;
	}
	*in_first = first;
	*in_last = last;
}

/* ---- recording ---- */

static nn_t tensor(encodec_recorder *r, const char *base, const char *tail, int rank, const int64_t *dims) {
	char name[NAME_BYTES];
	snprintf(name, sizeof name, "%s%s.%s", r->prefix, base, tail);
	return nn_weight_shaped(r->g, r->weights, name, rank, dims);
}

static int has(const encodec_recorder *r, const char *base, const char *tail) {
	char name[NAME_BYTES];
	snprintf(name, sizeof name, "%s%s.%s", r->prefix, base, tail);
	return sn_weights_find(r->weights, name) != NULL;
}

/* A convolution's weight: as it is, or weight normalised in the names of torch before and since 2.0. */
static nn_t kernel_weight(encodec_recorder *r, const char *base, const int64_t dims[3]) {
	const int64_t norms[3] = { dims[0], 1, 1 };
	if (r->c->group_norm) return tensor(r, base, "conv.weight", 3, dims);
	if (has(r, base, "conv.parametrizations.weight.original1"))
		return nn_fold_weight_norm(r->g, tensor(r, base, "conv.parametrizations.weight.original0", 3, norms),
		                           tensor(r, base, "conv.parametrizations.weight.original1", 3, dims));
	if (!has(r, base, "conv.weight_v") && has(r, base, "conv.weight")) return tensor(r, base, "conv.weight", 3, dims); /* norm removed */
	return nn_fold_weight_norm(r->g, tensor(r, base, "conv.weight_g", 3, norms), tensor(r, base, "conv.weight_v", 3, dims));
}

/* Group norm of one group: over all rows and columns. x [rows, channels] */
static nn_t normalize(encodec_recorder *r, const char *base, nn_t x, int64_t channels) {
	nn_graph *const g = r->g;
	if (!r->c->group_norm) return x;
	float share[ENCODEC_MAX_WIDTH];
	for (int64_t i = 0; i < channels; i++) share[i] = 1 / (float)channels;
	const nn_t mean_of = nn_const(g, "encodec.mean", 2, (int64_t[]){ 1, channels }, share);
	const nn_dim one = nn_fix(1);
	nn_t mean = nn_reshape(g, nn_linear(g, nn_mean_rows(g, x), mean_of, NN_NONE), 1, &one);
	x = nn_binary(g, NN_SUB, x, mean);
	nn_t variance = nn_reshape(g, nn_linear(g, nn_mean_rows(g, nn_binary(g, NN_MUL, x, x)), mean_of, NN_NONE), 1, &one);
	x = nn_binary(g, NN_DIV, x, nn_unary(g, NN_SQRT, nn_affine(g, variance, 1, NORM_EPS), 0));
	x = nn_binary(g, NN_MUL, x, tensor(r, base, "norm.weight", 1, &channels));
	return nn_binary(g, NN_ADD, x, tensor(r, base, "norm.bias", 1, &channels));
}

typedef struct conv_shape {
	int64_t in, out;
	int kernel, dilation;
	int padded; /* x has its padding already */
} conv_shape;

/* x [rows, in] -> [rows, out] */
static nn_t conv(encodec_recorder *r, const char *base, nn_t x, conv_shape s) {
	nn_t w = kernel_weight(r, base, (int64_t[]){ s.out, s.in, s.kernel });
	const nn_t b = tensor(r, base, "conv.bias", 1, &s.out);
	nn_conv shape = { .dilation = s.dilation };
	if (s.kernel == 1) {
		w = nn_reshape(r->g, w, 2, (nn_dim[]){ nn_fix(s.out), nn_fix(s.in) });
		return normalize(r, base, nn_linear(r->g, x, w, b), s.out);
	}
	if (!s.padded) encodec_padding(r->c, s.kernel, s.dilation, &shape.pad_left, &shape.pad_right);
	if (r->c->pad != NN_PAD_ZERO && !s.padded) {
		x = nn_pad_rows(r->g, x, shape.pad_left, shape.pad_right, r->c->pad);
		shape.pad_left = shape.pad_right = 0;
	}
	return normalize(r, base, nn_conv1d(r->g, x, w, b, shape), s.out);
}

/* x [rows, in] -> [rows * ratio, out] */
static nn_t upsample(encodec_recorder *r, const char *base, nn_t x, int64_t in, int64_t out, int ratio) {
	int left, right;
	const nn_t w = kernel_weight(r, base, (int64_t[]){ in, out, 2 * ratio });
	x = nn_conv_transpose1d(r->g, x, w, tensor(r, base, "conv.bias", 1, &out), ratio, 0);
	surplus(r->c, ratio, &left, &right);
	return nn_trim_rows(r->g, normalize(r, base, x, out), left, right);
}

static nn_t residual(encodec_recorder *r, const char *base, nn_t x, int64_t width, int layer) {
	char name[NAME_BYTES / 2];
	const int64_t hidden = width / r->c->compress;
	snprintf(name, sizeof name, "%s.block.1", base);
	nn_t y = conv(r, name, nn_unary(r->g, NN_ELU, x, 0),
	              (conv_shape){ .in = width, .out = hidden, .kernel = r->c->residual_kernel,
	                            .dilation = (int)dilation_of(r->c, layer) });
	snprintf(name, sizeof name, "%s.block.3", base);
	y = conv(r, name, nn_unary(r->g, NN_ELU, y, 0), (conv_shape){ .in = hidden, .out = width, .kernel = 1, .dilation = 1 });
	snprintf(name, sizeof name, "%s.shortcut", base);
	if (r->c->shortcut) x = conv(r, name, x, (conv_shape){ .in = width, .out = width, .kernel = 1, .dilation = 1 });
	return nn_binary(r->g, NN_ADD, y, x);
}

static nn_t recurrent_layer(encodec_recorder *r, nn_t x, int layer) {
	static const char base[] = "decoder.layers.1.lstm";
	const int64_t width = r->c->channels, matrix[2] = { 4 * width, width }, gates = 4 * width;
	const nn_dim row[2] = { nn_fix(1), nn_fix(width) };
	char name[NN_NAME];
	nn_t w[4], state[2], next[2];
	static const char *const parts[] = { "weight_ih_l%d", "weight_hh_l%d", "bias_ih_l%d", "bias_hh_l%d" };
	static const char *const inputs[] = { "h%d", "c%d" }, *const outputs[] = { "next_h%d", "next_c%d" };
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof name, parts[i], layer);
		w[i] = tensor(r, base, name, i < 2 ? 2 : 1, i < 2 ? matrix : &gates);
	}
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof name, inputs[i], layer);
		state[i] = nn_input(r->g, name, NN_F32, 2, row);
	}
	x = nn_lstm(r->g, x, state[0], state[1], w[0], w[1], w[2], w[3], &next[0], &next[1]);
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof name, outputs[i], layer);
		nn_output(r->g, next[i], name);
	}
	return x;
}

void encodec_record_recurrent(encodec_recorder *r) {
	const encodec_config *const c = r->c;
	const nn_dim dims[] = { nn_dim_add(nn_symbol(r->g, "rows", r->rows), c->kernel - 1), nn_fix(c->width) };
	nn_t x = nn_input(r->g, "x", NN_F32, 2, dims);
	x = conv(r, "decoder.layers.0", x,
	         (conv_shape){ .in = c->width, .out = c->channels, .kernel = c->kernel, .dilation = 1, .padded = 1 });
	nn_t y = x;
	for (int i = 0; i < c->lstm_layers; i++) y = recurrent_layer(r, y, i);
	nn_output(r->g, nn_binary(r->g, NN_ADD, y, x), "y");
}

void encodec_record_upsampler(encodec_recorder *r) {
	const encodec_config *const c = r->c;
	nn_t x = nn_input(r->g, "x", NN_F32, 2, (nn_dim[]){ nn_symbol(r->g, "rows", r->rows), nn_fix(c->channels) });
	int64_t width = c->channels;
	int index = 2; /* of the reference's list of layers: 0 is the first convolution, 1 the recurrent layers */
	char base[NN_NAME];
	for (int i = 0; i < c->ratio_count; i++, width /= 2) {
		snprintf(base, sizeof base, "decoder.layers.%d", index + 1); /* behind the activation */
		x = upsample(r, base, nn_unary(r->g, NN_ELU, x, 0), width, width / 2, (int)c->ratios[i]);
		for (int j = 0; j < c->residual_layers; j++) {
			snprintf(base, sizeof base, "decoder.layers.%d", index + 2 + j);
			x = residual(r, base, x, width / 2, j);
		}
		index += 2 + c->residual_layers;
	}
	snprintf(base, sizeof base, "decoder.layers.%d", index + 1);
	x = conv(r, base, nn_unary(r->g, NN_ELU, x, 0), (conv_shape){ .in = width, .out = 1, .kernel = c->last_kernel, .dilation = 1 });
	nn_output(r->g, x, "y");
}
