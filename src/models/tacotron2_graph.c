#include "models/tacotron2_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NORM_EPS 1e-5f    /* torch's default, which both references keep */
#define PRIOR_LEAST 1e-6f /* of dynamic convolution attention, before the logarithm */

/* ---- tensors by name ---- */

static nn_t named(taco_recorder *r, taco_name name, int layer, const char *suffix, int rank, const int64_t *dims) {
	char full[2 * SN_WEIGHTS_MAX_NAME];
	return nn_weight_shaped(r->g, r->w, taco_tensor(r->s, name, layer, suffix, full), rank, dims);
}

static nn_t plain(taco_recorder *r, const char *name, int rank, const int64_t *dims) {
	char full[2 * SN_WEIGHTS_MAX_NAME];
	snprintf(full, sizeof full, "%s%s", r->s->prefix, name);
	return nn_weight_shaped(r->g, r->w, full, rank, dims);
}

static nn_t matrix(taco_recorder *r, const char *name, int64_t rows, int64_t cols) {
	return plain(r, name, 2, (int64_t[]){ rows, cols });
}

static nn_t vector(taco_recorder *r, const char *name, int64_t size) { return plain(r, name, 1, &size); }

static nn_t row_input(taco_recorder *r, const char *name, int64_t cols) {
	return nn_input(r->g, name, NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(cols) });
}

static nn_dim symbols_of(taco_recorder *r) { return nn_symbol(r->g, "symbols", SN_TACOTRON2_MAX_IDS); }

static nn_t symbols_input(taco_recorder *r, const char *name, int64_t cols) {
	return nn_input(r->g, name, NN_F32, 2, (nn_dim[]){ symbols_of(r), nn_fix(cols) });
}

static nn_t filled(taco_recorder *r, const char *name, int64_t rows, int64_t cols, float value) {
	float *const values = malloc((size_t)(rows * cols) * sizeof *values);
	for (int64_t i = 0; values && i < rows * cols; i++) values[i] = value;
	const nn_t t = values ? nn_const(r->g, name, 2, (int64_t[]){ rows, cols }, values) : NN_NONE;
	free(values);
	return t;
}

/* ---- layers ---- */

static nn_t add(taco_recorder *r, nn_t x, nn_t y) { return nn_binary(r->g, NN_ADD, x, y); }

/* The batch norm behind a layer as a scale of its weight and a shift: s = gamma / sqrt(var + eps), beta - mean * s */
static nn_t norm_scale(taco_recorder *r, taco_name name, int layer, const char *dot, int64_t size) {
	char suffix[64];
	snprintf(suffix, sizeof suffix, "%srunning_var", dot);
	const nn_t deviation = nn_unary(r->g, NN_SQRT, nn_affine(r->g, named(r, name, layer, suffix, 1, &size), 1, NORM_EPS), 0);
	snprintf(suffix, sizeof suffix, "%sweight", dot);
	return nn_binary(r->g, NN_DIV, named(r, name, layer, suffix, 1, &size), deviation);
}

static nn_t norm_shift(taco_recorder *r, taco_name name, int layer, const char *dot, int64_t size, nn_t scale) {
	char suffix[64];
	snprintf(suffix, sizeof suffix, "%srunning_mean", dot);
	const nn_t mean = named(r, name, layer, suffix, 1, &size);
	snprintf(suffix, sizeof suffix, "%sbias", dot);
	return nn_binary(r->g, NN_SUB, named(r, name, layer, suffix, 1, &size), nn_binary(r->g, NN_MUL, mean, scale));
}

static nn_t normed_conv(taco_recorder *r, nn_t x, const taco_conv *c, taco_name name, taco_name norm, int layer) {
	const nn_t w = named(r, name, layer, "weight", 3, (int64_t[]){ c->out, c->in, c->kernel });
	const nn_t b = named(r, name, layer, "bias", 1, &c->out);
	const nn_t scale = norm_scale(r, norm, layer, "", c->out);
	const nn_t shift = add(r, nn_binary(r->g, NN_MUL, b, scale), norm_shift(r, norm, layer, "", c->out, scale));
	const nn_conv same = { .pad_left = (int)(c->kernel - 1) / 2, .pad_right = (int)(c->kernel - 1) / 2 };
	return nn_conv1d(r->g, x, nn_fold_scale(r->g, w, scale), shift, same);
}

/* One direction of the encoder's LSTM. */
static nn_t lstm(taco_recorder *r, nn_t x, int64_t in, const char *direction) {
	static const char *const parts[] = { "weight_ih", "weight_hh", "bias_ih", "bias_hh" };
	const int64_t units = r->s->lstm, cols[] = { in, units };
	nn_t w[4];
	for (int i = 0; i < 4; i++) {
		char name[80];
		snprintf(name, sizeof name, "encoder.lstm.%s_l0%s", parts[i], direction);
		w[i] = i < 2 ? matrix(r, name, 4 * units, cols[i]) : vector(r, name, 4 * units);
	}
	const nn_t zeros = filled(r, "zeros", 1, units, 0);
	return nn_lstm(r->g, x, zeros, zeros, w[0], w[1], w[2], w[3], NULL, NULL);
}

void taco_record_text(taco_recorder *r) {
	nn_graph *const g = r->g;
	const taco_settings *const s = r->s;
	const nn_dim symbols = symbols_of(r);
	const nn_t ids = nn_input(g, "ids", NN_I32, 1, &symbols), reversed = nn_input(g, "reversed", NN_I32, 1, &symbols);
	nn_t x = nn_gather_rows(g, matrix(r, "embedding.weight", s->vocab, s->width), ids);
	for (int i = 0; i < s->convs; i++) x = nn_unary(g, NN_RELU, normed_conv(r, x, s->conv + i, TACO_CONV, TACO_CONV_NORM, i), 0);
	const int64_t in = s->conv[s->convs - 1].out;
	const nn_t forward = lstm(r, x, in, ""), backward = lstm(r, nn_gather_rows(g, x, reversed), in, "_reverse");
	x = nn_concat_cols(g, forward, nn_gather_rows(g, backward, reversed));
	nn_output(g, x, "encoder_out");
	if (s->style + s->vector) {
		const nn_t voice = row_input(r, "voice", s->style + s->vector), zeros = nn_input(g, "zeros", NN_I32, 1, &symbols);
		x = nn_concat_cols(g, x, nn_gather_rows(g, nn_affine(g, voice, 1, 0), zeros));
		nn_output(g, x, "memory");
	}
	if (s->attention_kind != TACO_DYNAMIC)
		nn_output(g, nn_linear(g, x, named(r, TACO_MEMORY_LAYER, 0, "weight", 2, (int64_t[]){ s->attention, s->memory }), NN_NONE),
		          "processed");
}

/* ---- a step ---- */

static nn_t prenet(taco_recorder *r, nn_t x) {
	nn_graph *const g = r->g;
	int64_t in = r->s->frame;
	for (int i = 0; i < r->s->prenets; i++) {
		const int64_t units = r->s->prenet[i];
		char keep[NN_NAME];
		snprintf(keep, sizeof keep, "keep%d", i);
		nn_t w = named(r, TACO_PRENET_LAYER, i, "linear_layer.weight", 2, (int64_t[]){ units, in }), b = NN_NONE;
		if (r->s->prenet_norm) {
			const nn_t scale = norm_scale(r, TACO_PRENET_LAYER, i, "batch_normalization.", units);
			w = nn_fold_scale(g, w, scale);
			b = norm_shift(r, TACO_PRENET_LAYER, i, "batch_normalization.", units, scale);
		}
		x = nn_binary(g, NN_MUL, nn_unary(g, NN_RELU, nn_linear(g, x, w, b), 0), row_input(r, keep, units));
		in = units;
	}
	return nn_name(g, x, "prenet");
}

/* A cell of the decoder: one product over [input, h]. */
static nn_t cell(taco_recorder *r, nn_t x, nn_t h, nn_t c, const char *name, int64_t in, int64_t units, nn_t *next) {
	nn_graph *const g = r->g;
	char ih[64], hh[64], bias_ih[64], bias_hh[64];
	snprintf(ih, sizeof ih, "decoder.%s.weight_ih", name);
	snprintf(hh, sizeof hh, "decoder.%s.weight_hh", name);
	snprintf(bias_ih, sizeof bias_ih, "decoder.%s.bias_ih", name);
	snprintf(bias_hh, sizeof bias_hh, "decoder.%s.bias_hh", name);
	const nn_t w = nn_fold_concat(g, matrix(r, ih, 4 * units, in), matrix(r, hh, 4 * units, units));
	const nn_t b = add(r, vector(r, bias_ih, 4 * units), vector(r, bias_hh, 4 * units));
	return nn_lstm_cell(g, nn_linear(g, nn_concat_cols(g, x, h), w, b), c, next);
}

/* v tanh(W q + U memory + F * [weights, their sum]) (Chorowski et al. 2015), one row a symbol. */
static nn_t energies(taco_recorder *r, nn_t query) {
	nn_graph *const g = r->g;
	const taco_settings *const s = r->s;
	const int64_t one = 1;
	nn_t sum = symbols_input(r, "processed", s->attention);
	if (s->attention_kind == TACO_LOCATION) {
		const int side = (int)(s->location_kernel - 1) / 2;
		const nn_t filters = named(r, TACO_LOCATION_CONV, 0, "weight", 3, (int64_t[]){ s->filters, 2, s->location_kernel });
		const nn_t dense = named(r, TACO_LOCATION_DENSE, 0, "weight", 2, (int64_t[]){ s->attention, s->filters });
		const nn_t seen = nn_conv1d(g, symbols_input(r, "location", 2), filters, NN_NONE,
		                            (nn_conv){ .pad_left = side, .pad_right = side });
		sum = add(r, sum, nn_linear(g, seen, dense, NN_NONE));
	}
	const nn_t asked = nn_linear(g, query, named(r, TACO_QUERY_LAYER, 0, "weight", 2, (int64_t[]){ s->attention, s->query }), NN_NONE);
	const nn_t bias = s->coqui ? named(r, TACO_ENERGY_LAYER, 0, "bias", 1, &one) : NN_NONE;
	const nn_t w = named(r, TACO_ENERGY_LAYER, 0, "weight", 2, (int64_t[]){ 1, s->attention });
	return nn_linear(g, nn_unary(g, NN_TANH, add(r, sum, asked), 0), w, bias);
}

/* Shifted copies of a column as a convolution: [symbols, 1] -> [symbols, count * kernel], in column f * kernel + k the row at
 * k - (kernel - 1) / 2. */
static nn_t shifts(taco_recorder *r, nn_t x, int64_t count, int64_t kernel) {
	float *const values = calloc((size_t)(count * kernel * kernel), sizeof *values);
	for (int64_t i = 0; values && i < count * kernel; i++) values[i * kernel + i % kernel] = 1;
	const nn_t w = values ? nn_const(r->g, "shifts", 3, (int64_t[]){ count * kernel, 1, kernel }, values) : NN_NONE;
	free(values);
	return nn_conv1d(r->g, x, w, NN_NONE, (nn_conv){ .pad_left = (int)(kernel - 1) / 2, .pad_right = (int)(kernel - 1) / 2 });
}

/* Each column of a matrix [attention, filters] as often as a filter has taps, so that its product sums them:
 * [attention, filters * kernel] */
static nn_t repeated(taco_recorder *r, const char *name, int64_t filters, int64_t kernel) {
	const int64_t rows = r->s->attention;
	char full[2 * SN_WEIGHTS_MAX_NAME];
	if (matrix(r, name, rows, filters) == NN_NONE) return NN_NONE; /* a wrong shape is an error of the graph now */
	snprintf(full, sizeof full, "%s%s", r->s->prefix, name);
	float *const from = malloc((size_t)(rows * filters) * sizeof *from);
	float *const to = malloc((size_t)(rows * filters * kernel) * sizeof *to);
	if (from && to) sn_weight_floats(sn_weights_find(r->w, full), 0, rows * filters, from);
	for (int64_t i = 0; from && to && i < rows * filters * kernel; i++) to[i] = from[i / kernel];
	const nn_t t = from && to ? nn_const(r->g, "dynamic", 2, (int64_t[]){ rows, filters * kernel }, to) : NN_NONE;
	free(from);
	free(to);
	return t;
}

/* Dynamic convolution attention (Battenberg et al. 2019): v tanh(S static(weights) + D dynamic(weights)) + ln prior(weights),
 * where the query makes the dynamic filters. "location" holds the weights of the step before in its first column. */
static nn_t dynamic_energies(taco_recorder *r, nn_t query) {
	nn_graph *const g = r->g;
	const taco_settings *const s = r->s;
	const int64_t filters = s->dynamic_filters, kernel = s->dynamic_kernel, side = (s->location_kernel - 1) / 2, prior = s->prior;
	const nn_t before = nn_slice_cols(g, symbols_input(r, "location", 2), 0, 1);
	const nn_t inner = nn_linear(g, query, matrix(r, "decoder.attention.query_layer.weight", s->attention, s->query),
	                             vector(r, "decoder.attention.query_layer.bias", s->attention));
	const nn_t keys = matrix(r, "decoder.attention.key_layer.weight", filters * kernel, s->attention);
	const nn_t taps = nn_linear(g, nn_unary(g, NN_TANH, inner, 0), keys, NN_NONE);
	const nn_t moved = nn_linear(g, nn_binary(g, NN_MUL, shifts(r, before, filters, kernel), taps),
	                             repeated(r, "decoder.attention.dynamic_filter_layer.weight", filters, kernel),
	                             vector(r, "decoder.attention.dynamic_filter_layer.bias", s->attention));
	const nn_t still = plain(r, "decoder.attention.static_filter_conv.weight", 3, (int64_t[]){ s->filters, 1, s->location_kernel });
	const nn_t dense = matrix(r, "decoder.attention.static_filter_layer.weight", s->attention, s->filters);
	const nn_t fixed = nn_conv1d(g, before, still, NN_NONE, (nn_conv){ .pad_left = (int)side, .pad_right = (int)side });
	const nn_t sum = add(r, nn_linear(g, fixed, dense, NN_NONE), moved);
	const nn_t e = nn_linear(g, nn_unary(g, NN_TANH, sum, 0), matrix(r, "decoder.attention.v.weight", 1, s->attention), NN_NONE);
	const nn_t w = nn_reshape(g, vector(r, "decoder.attention.prior", prior), 3, (nn_dim[]){ nn_fix(1), nn_fix(1), nn_fix(prior) });
	const nn_t likely = nn_conv1d(g, before, w, NN_NONE, (nn_conv){ .pad_left = (int)prior - 1 });
	return add(r, e, nn_unary(g, NN_LOG, nn_unary(g, NN_CLAMP_MIN, likely, PRIOR_LEAST), 0));
}

/* What follows the attention's weights [symbols, 1]: context, decoder cell, frames and the stop logit. */
static void decode(taco_recorder *r, nn_t alignment, nn_t query) {
	nn_graph *const g = r->g;
	const taco_settings *const s = r->s;
	const int64_t values = s->stored * s->mels, one = 1;
	const nn_t spread = nn_linear(g, alignment, filled(r, "ones", s->memory, 1, 1), NN_NONE); /* [symbols, memory] */
	const nn_t context = nn_sum_rows(g, nn_binary(g, NN_MUL, symbols_input(r, "memory", s->memory), spread));
	nn_output(g, context, "next_context");
	nn_t next;
	const nn_t hidden = row_input(r, "hidden", s->decoder), c = row_input(r, "cell", s->decoder);
	const nn_t h = cell(r, nn_concat_cols(g, query, context), hidden, c, "decoder_rnn", s->query + s->memory, s->decoder, &next);
	nn_output(g, h, "next_hidden");
	nn_output(g, next, "next_cell");
	const nn_t both = nn_concat_cols(g, h, context);
	const nn_t mel = nn_linear(g, both, matrix(r, "decoder.linear_projection.linear_layer.weight", values, s->decoder + s->memory),
	                           vector(r, "decoder.linear_projection.linear_layer.bias", values));
	nn_output(g, mel, "mel");
	const int64_t width = s->decoder + (s->coqui ? values : s->memory);
	const nn_t w = named(r, TACO_STOP, 0, "weight", 2, (int64_t[]){ 1, width }), b = named(r, TACO_STOP, 0, "bias", 1, &one);
	nn_output(g, nn_linear(g, s->coqui ? nn_concat_cols(g, h, mel) : both, w, b), "stop");
	if (s->forward && s->agent)
		nn_output(g, nn_linear(g, nn_concat_cols(g, context, query), matrix(r, "decoder.attention.ta.weight", 1, s->memory + s->query),
		                       vector(r, "decoder.attention.ta.bias", 1)), "move");
}

void taco_record_step(taco_recorder *r) {
	nn_graph *const g = r->g;
	const taco_settings *const s = r->s;
	nn_t next;
	const nn_t x = nn_concat_cols(g, prenet(r, row_input(r, "frame", s->frame)), row_input(r, "context", s->memory));
	const nn_t query = cell(r, x, row_input(r, "query", s->query), row_input(r, "query_cell", s->query), "attention_rnn",
	                        s->prenet[s->prenets - 1] + s->memory, s->query, &next);
	nn_output(g, query, "next_query");
	nn_output(g, next, "next_query_cell");
	const nn_t e = s->attention_kind == TACO_DYNAMIC ? dynamic_energies(r, query) : energies(r, query);
	if (taco_split(s)) {
		nn_output(g, e, "energies");
		return;
	}
	const nn_t open = s->sigmoid ? nn_unary(g, NN_SIGMOID, e, 0) : NN_NONE;
	const nn_t alignment = s->sigmoid ? nn_binary(g, NN_DIV, open, nn_sum_rows(g, open)) : nn_softmax_rows(g, e);
	nn_output(g, alignment, "alignment");
	decode(r, alignment, query);
}

void taco_record_rest(taco_recorder *r) { decode(r, symbols_input(r, "alignment", 1), row_input(r, "query", r->s->query)); }

/* ---- postnet ---- */

void taco_record_postnet(taco_recorder *r) {
	nn_graph *const g = r->g;
	const taco_settings *const s = r->s;
	const nn_dim rows = nn_symbol(g, "rows", TACO_POSTNET_ROWS + 2 * (int64_t)taco_reach(s));
	const nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ rows, nn_fix(s->mels) });
	nn_t h = x;
	for (int i = 0; i < s->postnets; i++) {
		h = normed_conv(r, h, s->postnet + i, TACO_POSTNET, TACO_POSTNET_NORM, i);
		if (i + 1 < s->postnets) h = nn_unary(g, NN_TANH, h, 0);
	}
	nn_output(g, add(r, h, x), "y");
}
