/* The networks of DeepFilterNet3 as graphs.
 *
 * Activations are [time, frequency, channels], so that a convolution over frequency is one over the time axis of nn_conv1d with frames
 * as its batch. Convolutions over time are only the first ones and the filter decoder's path from the input. A depthwise convolution and
 * the pointwise one behind it have nothing in between and are one dense convolution here: more arithmetic, in products that run at
 * full speed. A transposed convolution by two makes both of its rows as columns of one product.
 *
 * Exporters fold batch norms into tensors without a name, so weights are bound by the nodes that use them. */
#include "models/deepfilter_internal.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/map.h"
#include "weights/onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define C DF_CHANNELS

/* ---- config.ini ---- */

/* What of the architecture no tensor's shape tells. Other values belong to other networks. */
static const struct { const char *section, *key, *value; } known[] = {
	{ "train", "model", "deepfilternet3" }, { "df", "sr", "48000" }, { "df", "fft_size", "960" }, { "df", "hop_size", "480" },
	{ "df", "nb_erb", "32" }, { "df", "nb_df", "96" }, { "df", "norm_tau", "1" }, { "df", "lsnr_max", "35" }, { "df", "lsnr_min", "-15" },
	{ "df", "min_nb_erb_freqs", "2" }, { "df", "df_order", "5" }, { "df", "df_lookahead", "2" }, { "deepfilternet", "conv_lookahead", "2" },
	{ "deepfilternet", "enc_concat", "False" }, { "deepfilternet", "emb_gru_skip", "none" }, { "deepfilternet", "mask_pf", "False" },
};
#define KNOWN (sizeof known / sizeof *known)

/* Cuts white space off both ends of [text, end). */
static char *trimmed(char *text, char *end) {
	while (end > text && sn_isspace((unsigned char)end[-1])) end--;
	*end = 0;
	while (sn_isspace((unsigned char)*text)) text++;
	return text;
}

/* One line: "[section]" or "key = value". Counts the known keys that it gives. */
static int check_line(char *line, char section[32], size_t *seen, const char *path, char *err) {
	char *const text = trimmed(line, line + strlen(line)), *const equals = strchr(text, '=');
	if (*text == '[') {
		snprintf(section, 32, "%.*s", (int)strcspn(text + 1, "]"), text + 1);
		return SN_OK;
	}
	if (!equals) return SN_OK;
	const char *const value = trimmed(equals + 1, equals + 1 + strlen(equals + 1)), *const key = trimmed(text, equals);
	for (size_t i = 0; i < KNOWN; i++) {
		if (strcmp(known[i].section, section) != 0 || strcmp(known[i].key, key) != 0) continue;
		if (strcmp(known[i].value, value) != 0)
			return sn_fail(err, SN_E_MODEL, "%s: %s in [%s] is \"%.40s\"; this version knows the DeepFilterNet3 with %s", path, key, section, value,
			               known[i].value);
		++*seen;
	}
	return SN_OK;
}

static int check_config(const char *path, char *err) {
	char section[32] = "", line[256];
	size_t seen = 0, at = 0;
	sn_map map;
	int code = sn_map_open(&map, path, err);
	if (code != SN_OK) return code;
	while (code == SN_OK && at < map.size) {
		const unsigned char *const start = map.data + at, *const end = memchr(start, '\n', map.size - at);
		const size_t length = end ? (size_t)(end - start) : map.size - at;
		snprintf(line, sizeof line, "%.*s", (int)(length < sizeof line ? length : sizeof line - 1), (const char *)start);
		code = check_line(line, section, &seen, path, err);
		at += length + 1;
	}
	sn_map_close(&map);
	if (code == SN_OK && seen < KNOWN)
		code = sn_fail(err, SN_E_MODEL, "%s gives %zu of the %zu keys that describe a DeepFilterNet3", path, seen, KNOWN);
	return code;
}

/* ---- weights ---- */

typedef struct recorder {
	nn_graph *g;
	const sn_weights *file;
	nn_dim time;
	int64_t parameters;
	int code; /* the first failure; later calls do nothing */
	char *err;
} recorder;

/* The nth node of that kind whose result is named below `layer` ("/erb_conv1/"). */
static const sn_onnx_node *find_node(const sn_weights *file, const char *layer, const char *op, int nth) {
	for (size_t i = 0; i < sn_onnx_node_count(file); i++) {
		const sn_onnx_node *const node = sn_onnx_node_at(file, i);
		if (strcmp(node->op, op) == 0 && node->output_count > 0 && strncmp(node->outputs[0], layer, strlen(layer)) == 0 && nth-- == 0)
			return node;
	}
	return NULL;
}

/* Input `input` of that node as floats of exactly these dimensions; free() it. NULL after a failure, now or before. */
static float *take(recorder *r, const char *layer, const char *op, int nth, int input, int rank, const int64_t *dims) {
	char shape[96] = "";
	if (r->code != SN_OK) return NULL;
	const sn_onnx_node *const node = find_node(r->file, layer, op, nth);
	const sn_weight *const w = node && input < node->input_count ? sn_onnx_input(r->file, node, input) : NULL;
	int fits = w && w->rank == rank && w->dtype == SN_F32;
	int64_t count = 1;
	for (int i = 0, n = 0; i < rank; i++) {
		n += snprintf(shape + n, sizeof shape - (size_t)n, "%s%lld", i ? ", " : "", (long long)dims[i]);
		fits = fits && w->dims[i] == dims[i];
		count *= dims[i];
	}
	if (!fits) {
		r->code = sn_fail(r->err, SN_E_MODEL, "%s: input %d of the %s node %d below '%s' should be a float32 tensor [%s]%s%s",
		                  sn_weights_path(r->file), input, op, nth, layer, shape, w ? "; it is not: " : " and is missing", w ? w->name : "");
		return NULL;
	}
	float *const values = malloc((size_t)count * sizeof *values);
	if (!values) {
		r->code = sn_fail(r->err, SN_E_MEMORY, "out of memory while loading DeepFilterNet");
		return NULL;
	}
	sn_weight_floats(w, 0, count, values);
	r->parameters += count;
	return values;
}

#define DIMS(...) (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[]){ __VA_ARGS__ }

/* Hands values that were computed to the graph and frees them. */
static nn_t constant(recorder *r, const char *layer, const char *part, float *values, int rank, const int64_t *dims) {
	char name[NN_NAME];
	snprintf(name, sizeof name, "%s%s", layer, part);
	const nn_t t = values ? nn_const(r->g, name, rank, dims, values) : NN_NONE;
	free(values);
	return t;
}

static nn_t vector(recorder *r, const char *layer, const char *op, int nth, int input, int64_t count) {
	return constant(r, layer, "bias", take(r, layer, op, nth, input, DIMS(count)), DIMS(count));
}

static float *fresh(recorder *r, int64_t count) {
	float *const values = r->code == SN_OK ? calloc((size_t)count, sizeof *values) : NULL;
	if (!values && r->code == SN_OK) r->code = sn_fail(r->err, SN_E_MEMORY, "out of memory while loading DeepFilterNet");
	return values;
}

/* Depthwise [C, 1, 1, 3] and pointwise [C, C, 1, 1] -> [C, C, 3]. */
static nn_t merge(recorder *r, const char *layer) {
	float *const deep = take(r, layer, "Conv", 0, 1, DIMS(C, 1, 1, 3)), *const point = take(r, layer, "Conv", 1, 1, DIMS(C, C, 1, 1));
	float *const w = fresh(r, C * C * 3);
	for (int64_t i = 0; w && i < C * C * 3; i++) w[i] = point[i / 3] * deep[i / 3 % C * 3 + i % 3];
	free(deep);
	free(point);
	return constant(r, layer, "weight", w, DIMS(C, C, 3));
}

/* The same with a transposed depthwise convolution of stride 2 and padding 1: of x[j] and x[j + 1] it makes row 2j = deep[1] x[j] and
 * row 2j + 1 = deep[2] x[j] + deep[0] x[j + 1] -> [2C, C, 2], one row after the other. */
static nn_t merge_transposed(recorder *r, const char *layer) {
	float *const deep = take(r, layer, "ConvTranspose", 0, 1, DIMS(C, 1, 1, 3)), *const point = take(r, layer, "Conv", 0, 1, DIMS(C, C, 1, 1));
	float *const w = fresh(r, 2 * C * C * 2);
	for (int64_t i = 0; w && i < C * C; i++) {
		const float *const d = deep + i % C * 3;
		w[2 * i] = point[i] * d[1];
		w[2 * (C * C + i)] = point[i] * d[2];
		w[2 * (C * C + i) + 1] = point[i] * d[0];
	}
	free(deep);
	free(point);
	return constant(r, layer, "weight", w, DIMS(2 * C, C, 2));
}

/* Blocks [groups, in, out] of a linear layer whose weight is diagonal but for them -> a grouped convolution of one tap. */
static nn_t grouped(recorder *r, nn_t x, const char *layer, int64_t groups, int64_t in, int64_t out) {
	float *const blocks = take(r, layer, "Einsum", 0, 1, DIMS(groups, in, out)), *const w = fresh(r, groups * out * in);
	for (int64_t i = 0; w && i < groups * out * in; i++) w[i] = blocks[i / (out * in) * out * in + i % in * out + i / in % out];
	free(blocks);
	x = nn_reshape(r->g, x, 2, (nn_dim[]){ r->time, nn_fix(groups * in) });
	return nn_conv1d(r->g, x, constant(r, layer, "weight", w, DIMS(groups * out, in, 1)), NN_NONE, (nn_conv){ .groups = (int)groups });
}

/* ONNX keeps gates in the order z r n, its two biases in one vector; torch's order is r z n. rows x cols of each gate. */
static nn_t gates(recorder *r, const char *layer, const char *part, const float *values, int64_t cols) {
	float *const w = fresh(r, 3 * DF_HIDDEN * cols);
	const size_t gate = (size_t)(DF_HIDDEN * cols);
	if (w && values) {
		memcpy(w, values + gate, gate * sizeof *w);
		memcpy(w + gate, values, gate * sizeof *w);
		memcpy(w + 2 * gate, values + 2 * gate, gate * sizeof *w);
	}
	return cols > 1 ? constant(r, layer, part, w, DIMS(3 * DF_HIDDEN, cols)) : constant(r, layer, part, w, DIMS(3 * DF_HIDDEN));
}

static nn_t gru(recorder *r, nn_t x, const char *layer, int nth, int state) {
	const int64_t h = DF_HIDDEN;
	char name[16];
	snprintf(name, sizeof name, "h%d", state);
	const nn_t h0 = nn_input(r->g, name, NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(h) });
	float *const w = take(r, layer, "GRU", nth, 1, DIMS(1, 3 * h, h)), *const u = take(r, layer, "GRU", nth, 2, DIMS(1, 3 * h, h));
	float *const b = take(r, layer, "GRU", nth, 3, DIMS(1, 6 * h));
	nn_t last;
	x = nn_gru(r->g, x, h0, gates(r, layer, "w_ih", w, h), gates(r, layer, "w_hh", u, h), gates(r, layer, "b_ih", b, 1),
	           gates(r, layer, "b_hh", b ? b + 3 * h : NULL, 1), &last);
	nn_output(r->g, last, name);
	free(w);
	free(u);
	free(b);
	return x;
}

/* ---- graphs ---- */

static nn_t relu(recorder *r, nn_t x) { return nn_unary(r->g, NN_RELU, x, 0); }

static nn_t rows(recorder *r, nn_t x, int64_t frequencies, int64_t channels) {
	return nn_reshape(r->g, x, 3, (nn_dim[]){ r->time, nn_fix(frequencies), nn_fix(channels) });
}

/* Three taps over frequency with a stride: [time, F, C] -> [time, F / stride, C] */
static nn_t conv(recorder *r, nn_t x, const char *layer, int stride) {
	const nn_t w = merge(r, layer), b = vector(r, layer, "Conv", 1, 2, C);
	return relu(r, nn_conv1d(r->g, x, w, b, (nn_conv){ .stride = stride, .pad_left = 1, .pad_right = 1 }));
}

/* [time, F, C] -> [time, 2F, C] */
static nn_t conv_up(recorder *r, nn_t x, const char *layer, int64_t frequencies) {
	float *const b = take(r, layer, "Conv", 0, 2, DIMS(C)), *const both = fresh(r, 2 * C);
	for (int i = 0; both && i < 2 * C; i++) both[i] = b[i % C];
	free(b);
	const nn_t bias = constant(r, layer, "bias", both, DIMS(2 * C));
	x = nn_conv1d(r->g, x, merge_transposed(r, layer), bias, (nn_conv){ .pad_right = 1 });
	return rows(r, relu(r, x), 2 * frequencies, C);
}

/* bands [time + 2, 32] -> [time, 32, C], 3 x 3 taps over frames t - 2 .. t */
static nn_t first_of_bands(recorder *r) {
	const nn_dim past = nn_dim_add(r->time, DF_INPUT_PAST);
	nn_t x = nn_input(r->g, "bands", NN_F32, 3, (nn_dim[]){ past, nn_fix(DF_BANDS), nn_fix(1) });
	float *const w = take(r, "/erb_conv0/", "Conv", 0, 1, DIMS(C, 1, 3, 3));
	x = nn_unfold(r->g, x, 3, 3, 1, 1, 0, 1);
	x = nn_linear(r->g, x, constant(r, "/erb_conv0/", "weight", w, DIMS(C, 9)), vector(r, "/erb_conv0/", "Conv", 0, 2, C));
	return relu(r, x);
}

/* bins [time + 2, 96, 2] -> [time, 96, C]. Half of the first convolution's channels see real parts, half imaginary ones: with the
 * pointwise one behind it [C, (tap over time, tap over frequency, part)]. */
static nn_t first_of_bins(recorder *r) {
	const nn_dim past = nn_dim_add(r->time, DF_INPUT_PAST);
	nn_t x = nn_input(r->g, "bins", NN_F32, 3, (nn_dim[]){ past, nn_fix(DF_LOW), nn_fix(2) });
	float *const half = take(r, "/df_conv0/", "Conv", 0, 1, DIMS(C, 1, 3, 3)), *const point = take(r, "/df_conv0/", "Conv", 1, 1, DIMS(C, C, 1, 1));
	float *const w = fresh(r, C * 18);
	for (int64_t i = 0; w && i < C * C * 9; i++)
		w[i / (C * 9) * 18 + i % 9 * 2 + (i / 9 % C >= C / 2)] += point[i / 9] * half[i % (C * 9)];
	free(half);
	free(point);
	x = nn_unfold(r->g, x, 3, 3, 1, 1, 0, 1);
	x = nn_linear(r->g, x, constant(r, "/df_conv0/", "weight", w, DIMS(C, 18)), vector(r, "/df_conv0/", "Conv", 1, 2, C));
	return relu(r, x);
}

/* What the filter decoder adds up over five frames t - 4 .. t: c0 [time, 96, C] -> [time, 96, 5 * 10], ten values for each distance.
 * Its convolution over time is in two groups, then pointwise. */
static nn_t path(recorder *r, nn_t c0, const sn_weights *decoder) {
	const sn_weights *const own = r->file;
	r->file = decoder;
	float *const deep = take(r, "/df_convp/", "Conv", 0, 1, DIMS(DF_COEFS, C / 2, DF_ORDER, 1));
	float *const point = take(r, "/df_convp/", "Conv", 1, 1, DIMS(DF_COEFS, DF_COEFS, 1, 1));
	float *const w = fresh(r, DF_ORDER * DF_COEFS * C);
	r->file = own;
	for (int64_t i = 0; w && i < DF_ORDER * DF_COEFS * C; i++) {
		const int64_t tap = i / (DF_COEFS * C), o = i / C % DF_COEFS, c = i % C, group = c / (C / 2);
		for (int64_t j = group * DF_ORDER; j < (group + 1) * DF_ORDER; j++)
			w[i] += point[o * DF_COEFS + j] * deep[(j * (C / 2) + c % (C / 2)) * DF_ORDER + tap];
	}
	free(deep);
	free(point);
	return nn_linear(r->g, c0, constant(r, "/df_convp/", "weight", w, DIMS(DF_ORDER * DF_COEFS, C)), NN_NONE);
}

/* A column [in, 1] and a bias [1] */
static nn_t single(recorder *r, nn_t x, const char *layer, int64_t in) {
	const nn_t w = constant(r, layer, "weight", take(r, layer, "MatMul", 0, 1, DIMS(in, 1)), DIMS(1, in));
	return nn_unary(r->g, NN_SIGMOID, nn_linear(r->g, x, w, vector(r, layer, "Add", 0, 0, 1)), 0);
}

typedef struct encoded { nn_t e0, e1, e2, e3, emb; } encoded;

static encoded record_encoder(recorder *r, const sn_weights *df_dec) {
	encoded e;
	e.e0 = nn_name(r->g, first_of_bands(r), "e0");           /* [time, 32, C] */
	e.e1 = nn_name(r->g, conv(r, e.e0, "/erb_conv1/", 2), "e1"); /* [time, 16, C] */
	e.e2 = nn_name(r->g, conv(r, e.e1, "/erb_conv2/", 2), "e2"); /* [time, 8, C] */
	e.e3 = nn_name(r->g, conv(r, e.e2, "/erb_conv3/", 1), "e3");
	const nn_t c0 = nn_name(r->g, first_of_bins(r), "c0");   /* [time, 96, C] */
	nn_output(r->g, path(r, c0, df_dec), "path");
	nn_t x = conv(r, c0, "/df_conv1/", 2);                   /* [time, 48, C] */
	x = relu(r, grouped(r, x, "/df_fc_emb/", 32, 96, 16));   /* [time, 512] */
	x = nn_binary(r->g, NN_ADD, x, nn_reshape(r->g, e.e3, 2, (nn_dim[]){ r->time, nn_fix(DF_EMBEDDING) }));
	x = relu(r, grouped(r, x, "/emb_gru/linear_in/", 16, 32, 16));
	x = gru(r, x, "/emb_gru/", 0, DF_GRU_ENC);
	e.emb = relu(r, grouped(r, x, "/emb_gru/linear_out/", 16, 16, 32));
	nn_output(r->g, nn_name(r->g, e.emb, "emb"), "emb");
	nn_output(r->g, nn_affine(r->g, single(r, e.emb, "/lsnr_fc/", DF_EMBEDDING), 50, -15), "snr");
	return e;
}

/* A channel's weight and bias: [time, F, C] */
static nn_t skip(recorder *r, nn_t x, const char *layer) {
	float *const w = take(r, layer, "Conv", 0, 1, DIMS(C, 1, 1, 1));
	x = nn_binary(r->g, NN_MUL, x, constant(r, layer, "weight", w, DIMS(C)));
	return relu(r, nn_binary(r->g, NN_ADD, x, vector(r, layer, "Conv", 0, 2, C)));
}

static void record_gains(recorder *r, encoded e) {
	nn_graph *const g = r->g;
	nn_t x = relu(r, grouped(r, e.emb, "/emb_gru/linear_in/", 16, 32, 16));
	x = gru(r, x, "/emb_gru/", 0, DF_GRU_ERB);
	x = gru(r, x, "/emb_gru/", 1, DF_GRU_ERB + 1);
	x = relu(r, grouped(r, x, "/emb_gru/linear_out/", 16, 16, 32));
	x = nn_binary(g, NN_ADD, skip(r, e.e3, "/conv3p/"), rows(r, x, 8, C));
	x = nn_binary(g, NN_ADD, skip(r, e.e2, "/conv2p/"), conv(r, x, "/convt3/", 1));
	x = nn_binary(g, NN_ADD, skip(r, e.e1, "/conv1p/"), conv_up(r, x, "/convt2/", 8));
	x = nn_binary(g, NN_ADD, skip(r, e.e0, "/conv0p/"), conv_up(r, x, "/convt1/", 16)); /* [time, 32, C] */
	const nn_t w = constant(r, "/conv0_out/", "weight", take(r, "/conv0_out/", "Conv", 0, 1, DIMS(1, C, 1, 3)), DIMS(1, C, 3));
	x = nn_conv1d(g, x, w, vector(r, "/conv0_out/", "Conv", 0, 2, 1), (nn_conv){ .pad_left = 1, .pad_right = 1 });
	nn_output(g, nn_unary(g, NN_SIGMOID, x, 0), "gains");
}

/* path [time + 4, 96 * 50] -> ReLU of the sum over the frames t - 4 .. t, [time, 96, 10] */
static nn_t sum_path(recorder *r) {
	nn_graph *const g = r->g;
	const nn_dim past = nn_dim_add(r->time, DF_PATH_PAST);
	const nn_t all = nn_input(g, "path", NN_F32, 3, (nn_dim[]){ past, nn_fix(DF_LOW), nn_fix(DF_ORDER * DF_COEFS) });
	nn_t sum = NN_NONE;
	for (int tap = 0; tap < DF_ORDER; tap++) {
		nn_t x = nn_slice_cols(g, all, tap * DF_COEFS, DF_COEFS);
		x = nn_reshape(g, x, 2, (nn_dim[]){ past, nn_fix(DF_LOW * DF_COEFS) });
		x = nn_trim_rows(g, x, tap, DF_PATH_PAST - tap);
		sum = tap ? nn_binary(g, NN_ADD, sum, x) : x;
	}
	return relu(r, nn_binary(g, NN_ADD, rows(r, sum, DF_LOW, DF_COEFS), vector(r, "/df_convp/", "Conv", 1, 2, DF_COEFS)));
}

/* alpha: the decoder's opinion whether to filter at all, which nothing uses; for debug plans. */
static void record_filters(recorder *r, int alpha) {
	nn_graph *const g = r->g;
	const nn_t emb = nn_input(g, "emb", NN_F32, 2, (nn_dim[]){ r->time, nn_fix(DF_EMBEDDING) });
	nn_t x = relu(r, grouped(r, emb, "/df_gru/linear_in/", 8, 64, 32));
	x = gru(r, x, "/df_gru/", 0, DF_GRU_DF);
	x = gru(r, x, "/df_gru/", 1, DF_GRU_DF + 1);
	x = nn_binary(g, NN_ADD, x, grouped(r, emb, "/df_skip/", 16, 32, 16));
	if (alpha) nn_output(g, single(r, x, "/df_fc_a/", DF_HIDDEN), "alpha");
	x = nn_unary(g, NN_TANH, grouped(r, x, "/df_out/", 16, 16, DF_LOW * DF_COEFS / 16), 0);
	nn_output(g, nn_binary(g, NN_ADD, rows(r, x, DF_LOW, DF_COEFS), sum_path(r)), "coefs");
}

/* ---- opening and running ---- */

enum { ENC, ERB_DEC, DF_DEC, FILES };
static const char *const names[FILES] = { "enc.onnx", "erb_dec.onnx", "df_dec.onnx" };

static int compile(recorder *r, const sn_load_options *load, nn_plan **plan, nn_exec **exec) {
	const nn_plan_options options = { .backend = load->backend, .exports = load->exports, .dtype = NN_DTYPE_F32, .debug = load->debug };
	int code = r->code == SN_OK ? nn_plan_compile(plan, r->g, &options, r->err) : r->code;
	if (code == SN_OK) code = nn_exec_new(exec, *plan, load->pool, r->err);
	nn_graph_free(&r->g);
	return code;
}

static int start(recorder *r, const char *name) {
	r->g = nn_graph_new(name);
	if (!r->g) return sn_fail(r->err, SN_E_MEMORY, "out of memory while loading DeepFilterNet");
	r->time = nn_symbol(r->g, "time", SN_DEEPFILTER_BLOCK);
	return SN_OK;
}

static int build(sn_deepfilter *filter, const sn_load_options *load, sn_weights *const *files, char *err) {
	recorder r = { .err = err, .file = files[ENC] };
	int code = start(&r, "deepfilter.front");
	if (code != SN_OK) return code;
	const encoded e = record_encoder(&r, files[DF_DEC]);
	r.file = files[ERB_DEC];
	record_gains(&r, e);
	code = compile(&r, load, &filter->front_plan, &filter->front);
	r.file = files[DF_DEC];
	if (code == SN_OK) code = start(&r, "deepfilter.filter");
	if (code != SN_OK) return code;
	record_filters(&r, load->debug);
	filter->parameters = r.parameters;
	return compile(&r, load, &filter->filter_plan, &filter->filter);
}

int df_graphs_open(sn_deepfilter *filter, const sn_load_options *load, char *err) {
	sn_weights *files[FILES] = { NULL };
	char path[4096];
	int code = SN_OK;
	for (int i = 0; i <= FILES && code == SN_OK; i++) {
		if (snprintf(path, sizeof path, "%s/%s", load->dir, i < FILES ? names[i] : "config.ini") >= (int)sizeof path)
			code = sn_fail(err, SN_E_LIMIT, "the path \"%.200s\" is too long", load->dir);
		else
			code = i < FILES ? sn_weights_open(&files[i], path, err) : check_config(path, err);
	}
	if (code == SN_OK) code = build(filter, load, files, err);
	for (int i = 0; i < FILES; i++) sn_weights_close(&files[i]);
	return code;
}

/* States of the GRUs first .. last: the stream's to inputs, or outputs to the stream's. */
static void move_states(nn_exec *exec, sn_deepfilter_stream *stream, int first, int last, int back) {
	char name[16];
	for (int i = first; i <= last; i++) {
		snprintf(name, sizeof name, "h%d", i);
		if (back) memcpy(stream->hidden[i], nn_exec_output(exec, name, NULL), sizeof stream->hidden[i]);
		else memcpy(nn_exec_input(exec, name), stream->hidden[i], sizeof stream->hidden[i]);
	}
}

/* Rows of the past go before the block's in the input, the last ones of both back to the stream. */
static void move_past(float *input, void *past, int rows, int count, int64_t cols, const float *block) {
	const size_t row = (size_t)cols * sizeof *input;
	memcpy(input, past, (size_t)rows * row);
	if (block) memcpy(input + rows * cols, block, (size_t)count * row);
	memcpy(past, input + count * cols, (size_t)rows * row);
}

int df_graphs_run(sn_deepfilter *f, sn_deepfilter_stream *stream, int count, char *err) {
	move_past(nn_exec_input(f->front, "bands"), stream->bands, DF_INPUT_PAST, count, DF_BANDS, NULL);
	move_past(nn_exec_input(f->front, "bins"), stream->bins, DF_INPUT_PAST, count, 2 * DF_LOW, NULL);
	move_states(f->front, stream, DF_GRU_ENC, DF_GRU_DF - 1, 0);
	nn_exec_set(f->front, "time", count);
	int code = nn_exec_run(f->front, err);
	if (code != SN_OK) return code;
	move_states(f->front, stream, DF_GRU_ENC, DF_GRU_DF - 1, 1);
	move_past(nn_exec_input(f->filter, "path"), stream->path, DF_PATH_PAST, count, DF_PATH, nn_exec_output(f->front, "path", NULL));
	memcpy(nn_exec_input(f->filter, "emb"), nn_exec_output(f->front, "emb", NULL), (size_t)count * DF_EMBEDDING * sizeof(float));
	move_states(f->filter, stream, DF_GRU_DF, DF_GRUS - 1, 0);
	nn_exec_set(f->filter, "time", count);
	code = nn_exec_run(f->filter, err);
	if (code == SN_OK) move_states(f->filter, stream, DF_GRU_DF, DF_GRUS - 1, 1);
	return code;
}
