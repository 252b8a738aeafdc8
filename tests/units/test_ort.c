/* The second backend: every op at several extents by both backends; states over several runs; what providers are told; what is said where
 * something is missing. Comparisons are skipped where there is no libonnxruntime. */
#include "nn/graph.h"
#include "nn/nn.h"
#include "nn/ort/ort.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t seed = 1;

static uint32_t draw(void) { return (seed = seed * 1664525u + 1013904223u) >> 8; }
static float uniform(void) { return (float)draw() / 8388608.0f - 1; }

static nn_t constant(nn_graph *g, int rank, int64_t a, int64_t b, int64_t c, float scale) {
	const int64_t dims[3] = { a, b, c }, count = a * (rank > 1 ? b : 1) * (rank > 2 ? c : 1);
	float *v = malloc((size_t)count * sizeof *v);
	for (int64_t i = 0; i < count; i++)
		v[i] = scale * uniform();
	const nn_t t = nn_const(g, "c", rank, dims, v);
	free(v);
	return t;
}

#define T nn_symbol(g, "t", 70)
#define X(cols) nn_input(g, "x", NN_F32, 2, (nn_dim[]){ T, nn_fix(cols) })
#define OUT(t) nn_output(g, t, "y")

/* ---- one graph for each op ---- */

static void acts(nn_graph *g) {
	const nn_t x = X(37);
	for (int act = NN_IDENTITY; act <= NN_ELU; act++) {
		char name[16];
		snprintf(name, sizeof name, "act%d", act);
		const int positive = act == NN_LOG || act == NN_SQRT;
		nn_output(g, nn_unary(g, (nn_act)act, positive ? nn_affine(g, x, 1, 1.5f) : nn_affine(g, x, 3, 0), 0.1f), name);
	}
}

static void binaries(nn_graph *g) {
	const nn_t x = X(24), y = nn_input(g, "z", NN_F32, 2, (nn_dim[]){ T, nn_fix(24) });
	const nn_t row = nn_input(g, "row", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(24) }), one = nn_input(g, "one", NN_F32, 1, (nn_dim[]){ nn_fix(1) });
	const nn_t conv = nn_conv1d(g, x, constant(g, 3, 24, 24, 3, 0.3f), NN_NONE, (nn_conv){ .pad_left = 1, .pad_right = 1 });
	const nn_t other[] = { y, row, one, constant(g, 1, 24, 0, 0, 1), constant(g, 2, 1, 24, 0, 1), constant(g, 1, 1, 0, 0, 1) };
	for (int k = 0; k < 6; k++)
		for (int op = NN_ADD; op <= NN_DIV; op++) {
			char name[16];
			const nn_t b = op == NN_DIV ? nn_affine(g, nn_unary(g, NN_ABS, other[k], 0), 1, 0.5f) : other[k];
			if (nn_is_constant(g, b) && op == NN_DIV)
				continue;
			snprintf(name, sizeof name, "b%d.%d", k, op);
			nn_output(g, nn_binary(g, (nn_binary_op)op, x, b), name);
			snprintf(name, sizeof name, "c%d.%d", k, op); /* the left side channels first */
			nn_output(g, nn_binary(g, (nn_binary_op)op, conv, b), name);
		}
}

static void linears(nn_graph *g) {
	const nn_t x = X(40), w = constant(g, 2, 24, 40, 0, 0.2f), b = constant(g, 1, 24, 0, 0, 0.2f);
	OUT(nn_linear(g, x, w, b));
	nn_output(g, nn_linear(g, x, w, NN_NONE), "plain");
	nn_output(g, nn_linear(g, nn_reshape(g, x, 3, (nn_dim[]){ T, nn_fix(2), nn_fix(20) }), constant(g, 2, 7, 20, 0, 0.2f), constant(g, 1, 7, 0, 0, 1)), "deep");
	nn_output(g, nn_linear(g, x, nn_fold_rows(g, w, 3, 9), nn_fold_rows(g, b, 3, 9)), "rows");
	nn_output(g, nn_linear(g, nn_concat_cols(g, x, x), nn_fold_concat(g, w, w), NN_NONE), "beside");
	nn_output(g, nn_linear(g, x, nn_fold_scale(g, w, b), NN_NONE), "scaled");
}

static void convolutions(nn_graph *g) {
	const nn_t x = X(12);
	const nn_conv how[] = { { .pad_left = 3, .pad_right = 1 }, { .stride = 3, .pad_left = 4 }, { .dilation = 2, .pad_left = 4, .pad_right = 4 },
		{ .groups = 3, .pad_left = 2, .pad_right = 2 }, { .groups = 12, .pad_left = 4, .dilation = 1 } };
	for (int k = 0; k < 5; k++) {
		char name[16];
		snprintf(name, sizeof name, "conv%d", k);
		const int groups = how[k].groups ? how[k].groups : 1;
		nn_output(g, nn_conv1d(g, x, constant(g, 3, 12, 12 / groups, 5, 0.3f), constant(g, 1, 12, 0, 0, 0.2f), how[k]), name);
	}
	nn_output(g, nn_conv_transpose1d(g, x, constant(g, 3, 12, 7, 8, 0.3f), constant(g, 1, 7, 0, 0, 0.2f), 4, 2), "up4");
	nn_output(g, nn_conv_transpose1d(g, x, constant(g, 3, 12, 7, 5, 0.3f), NN_NONE, 3, 1), "up3");
	const nn_t v = constant(g, 3, 10, 12, 4, 0.3f);
	nn_output(g, nn_conv1d(g, x, nn_fold_weight_norm(g, constant(g, 1, 10, 0, 0, 1), v), NN_NONE, (nn_conv){ .pad_left = 3 }), "normed");
	nn_output(g, nn_conv1d(g, x, nn_fold_weight_norm_last(g, constant(g, 1, 4, 0, 0, 1), v), NN_NONE, (nn_conv){ .pad_left = 3 }), "last");
}

static void batches(nn_graph *g) {
	const nn_t x = nn_input(g, "x", NN_F32, 3, (nn_dim[]){ T, nn_fix(4), nn_fix(6) });
	nn_t y = nn_conv1d(g, x, constant(g, 3, 8, 6, 3, 0.3f), constant(g, 1, 8, 0, 0, 0.2f), (nn_conv){ .stride = 2, .pad_left = 1, .pad_right = 1 });
	y = nn_unary(g, NN_RELU, y, 0);
	OUT(nn_reshape(g, nn_conv1d(g, y, constant(g, 3, 8, 8, 2, 0.3f), NN_NONE, (nn_conv){ 0 }), 2, (nn_dim[]){ T, nn_fix(8) }));
}

static void norms(nn_graph *g) {
	const nn_t x = X(32), gamma = constant(g, 1, 32, 0, 0, 1), beta = constant(g, 1, 32, 0, 0, 1);
	OUT(nn_layer_norm(g, x, gamma, beta, 1e-5f));
	nn_output(g, nn_layer_norm(g, x, gamma, NN_NONE, 1e-5f), "plain");
	nn_output(g, nn_norm_rows(g, x, gamma, beta, 1e-3f), "rows");
	nn_output(g, nn_norm_rows(g, x, NN_NONE, NN_NONE, 1e-3f), "bare");
	nn_output(g, nn_softmax_rows(g, nn_affine(g, x, 4, 0)), "soft");
	nn_output(g, nn_sum_rows(g, x), "sum");
	nn_output(g, nn_mean_rows(g, x), "mean");
	nn_output(g, nn_max_rows(g, x), "max");
}

static void columns(nn_graph *g) {
	const nn_t x = X(20), conv = nn_conv1d(g, x, constant(g, 3, 20, 20, 1, 0.3f), NN_NONE, (nn_conv){ 0 });
	for (int k = 0; k < 2; k++) {
		const nn_t from = k ? conv : x;
		const char *const names[2][5] = { { "gate", "slice", "flip", "concat", "wide" }, { "gate2", "slice2", "flip2", "concat2", "wide2" } };
		nn_output(g, nn_gated_tanh(g, from), names[k][0]);
		nn_output(g, nn_slice_cols(g, from, 3, 11), names[k][1]);
		nn_output(g, nn_flip_cols(g, from), names[k][2]);
		nn_output(g, nn_concat_cols(g, from, nn_slice_cols(g, x, 2, 5)), names[k][3]);
		nn_output(g, nn_reshape(g, from, 2, (nn_dim[]){ nn_dim_mul(T, 4), nn_fix(5) }), names[k][4]);
	}
}

static void row_pads(nn_graph *g) {
	const nn_t x = X(6), conv = nn_conv1d(g, x, constant(g, 3, 6, 6, 1, 0.3f), NN_NONE, (nn_conv){ 0 });
	for (int how = NN_PAD_ZERO; how <= NN_PAD_REFLECT; how++)
		for (int k = 0; k < 2; k++) { /* farther than x is long at its shortest */
			char name[16];
			snprintf(name, sizeof name, "pad%d.%d", how, k);
			nn_output(g, nn_pad_rows(g, k ? conv : x, 9, 4, (nn_pad)how), name);
		}
	nn_output(g, nn_trim_rows(g, nn_pad_rows(g, x, 9, 4, NN_PAD_REPEAT), 5, 3), "trim");
	nn_output(g, nn_trim_rows(g, nn_pad_rows(g, conv, 9, 4, NN_PAD_ZERO), 5, 0), "trim2");
	nn_output(g, nn_trim_rows(g, nn_pad_rows(g, conv, 9, 4, NN_PAD_ZERO), 0, 2), "trim3");
}

static void gathers(nn_graph *g) {
	const nn_t ids = nn_input(g, "ids", NN_I32, 1, (nn_dim[]){ T });
	nn_output(g, nn_gather_rows(g, constant(g, 2, 9, 5, 0, 1), ids), "table"); /* ids from -2 to 12: those outside read as row 0 */
	nn_output(g, nn_gather_rows(g, X(3), ids), "computed");
}

static void images(nn_graph *g) {
	const nn_t x = nn_input(g, "x", NN_F32, 3, (nn_dim[]){ nn_dim_add(T, 4), nn_fix(7), nn_fix(3) });
	nn_output(g, nn_unfold(g, x, 3, 3, 1, 1, 1, 1), "same");
	nn_output(g, nn_unfold(g, x, 3, 2, 2, 3, 0, 1), "strided");
	nn_output(g, nn_unfold(g, x, 1, 1, 2, 2, 0, 0), "thin");
	nn_output(g, nn_max_pool(g, x, 2, 3, 2, 2), "pool");
}

static nn_t attend(nn_graph *g, nn_attn a, nn_t q, nn_t k, nn_t v, const char *name) {
	char probs_name[NN_NAME];
	nn_t probs;
	const nn_t y = nn_attention(g, q, k, v, a, &probs);
	snprintf(probs_name, sizeof probs_name, "%s.probs", name);
	nn_output(g, y, name);
	nn_output(g, probs, probs_name);
	return y;
}

static void attentions(nn_graph *g) {
	enum { D = 24, H = 3 };
	const nn_t q = X(D), k = nn_input(g, "k", NN_F32, 2, (nn_dim[]){ T, nn_fix(D) }), v = nn_input(g, "v", NN_F32, 2, (nn_dim[]){ T, nn_fix(D) });
	const nn_t far = nn_input(g, "far", NN_F32, 2, (nn_dim[]){ nn_symbol(g, "s", 50), nn_fix(D) });
	const nn_t rel_k = constant(g, 2, 9, D / H, 0, 1), rel_v = constant(g, 2, 9, D / H, 0, 1);
	const nn_t pos = nn_slice_cols(g, nn_input(g, "pos", NN_F32, 2, (nn_dim[]){ nn_dim_add(nn_dim_mul(T, 2), -1), nn_fix(D) }), 0, D);
	const nn_t shifted = nn_affine(g, q, 1, 0.2f);
	const nn_attn plain = { .heads = H, .scale = 0.7f, .rel_k = NN_NONE, .rel_v = NN_NONE };
	nn_attn a = plain;
	attend(g, a, q, k, v, "plain");
	attend(g, a, q, far, far, "cross");
	a.causal = 1;
	attend(g, a, q, k, v, "causal");
	attend(g, a, q, far, far, "causal.cross");
	a = (nn_attn){ .heads = H, .scale = 0.7f, .window = 4, .rel_k = rel_k, .rel_v = rel_v };
	attend(g, a, q, k, v, "relative");
	a.rel_v = NN_NONE;
	a.rel_clip = 1;
	attend(g, a, q, k, v, "clipped");
	a = plain;
	a.shifted = 1;
	a.shifted_q = shifted;
	a.shifted_pos = pos;
	attend(g, a, q, k, v, "shifted");
}

static void recurrents(nn_graph *g) {
	enum { I = 10, H = 13 };
	const nn_t x = X(I), h0 = nn_input(g, "h", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(H) }), c0 = nn_input(g, "c", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(H) });
	nn_t h, c, h2, c2;
	nn_output(g, nn_lstm(g, x, h0, c0, constant(g, 2, 4 * H, I, 0, 0.5f), constant(g, 2, 4 * H, H, 0, 0.5f), constant(g, 1, 4 * H, 0, 0, 0.5f),
	          constant(g, 1, 4 * H, 0, 0, 0.5f), &h, &c), "lstm");
	nn_output(g, h, "last.h");
	nn_output(g, c, "c"); /* named as an input is */
	nn_output(g, nn_gru(g, x, h0, constant(g, 2, 3 * H, I, 0, 0.5f), constant(g, 2, 3 * H, H, 0, 0.5f), constant(g, 1, 3 * H, 0, 0, 0.5f),
	          constant(g, 1, 3 * H, 0, 0, 0.5f), &h2), "gru");
	nn_output(g, h2, "gru.h");
	nn_output(g, nn_lstm(g, x, h0, c0, constant(g, 2, 4 * H, I, 0, 0.5f), constant(g, 2, 4 * H, H, 0, 0.5f), NN_NONE, NN_NONE, NULL, NULL), "bare");
	const nn_t gates = nn_input(g, "gates", NN_F32, 2, (nn_dim[]){ T, nn_fix(4 * H) }), cell = nn_input(g, "cell", NN_F32, 2, (nn_dim[]){ T, nn_fix(H) });
	nn_output(g, nn_lstm_cell(g, gates, cell, &c2), "cell.h");
	nn_output(g, c2, "cell.c");
}

static void splines(nn_graph *g) {
	const nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ T, nn_fix(1) });
	for (int bins = 2; bins <= 10; bins += 4) {
		char name[16];
		snprintf(name, sizeof name, "params%d", bins);
		const nn_t params = nn_input(g, name, NN_F32, 2, (nn_dim[]){ T, nn_fix(3 * bins - 1) });
		snprintf(name, sizeof name, "y%d", bins);
		nn_output(g, nn_spline_inverse(g, nn_affine(g, x, 6, 0), nn_affine(g, params, 2, 0), bins, 5), name);
	}
}

/* A symbol that no input has as an axis is an input of its own. */
static void extents(nn_graph *g) {
	const nn_dim t = T;
	const nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ nn_dim_add(nn_dim_mul(t, 6), 2), nn_fix(4) });
	const nn_t y = nn_reshape(g, nn_trim_rows(g, x, 1, 1), 2, (nn_dim[]){ t, nn_fix(24) });
	OUT(nn_pad_rows(g, y, 2, 3, NN_PAD_REFLECT));
	nn_output(g, nn_attention(g, y, y, y, (nn_attn){ .heads = 2, .scale = 0.3f, .causal = 1, .rel_k = NN_NONE, .rel_v = NN_NONE }, NULL), "causal");
	nn_output(g, nn_norm_rows(g, nn_reshape(g, y, 3, (nn_dim[]){ t, nn_fix(4), nn_fix(6) }), NN_NONE, NN_NONE, 1e-3f), "deep");
}

/* A finished sequence for each of 3 slots, of the length of the moment; then queries that listen to any of them. */
static void sequences(nn_graph *g) {
	enum { D = 16, H = 2 };
	const nn_dim r = nn_symbol(g, "r", 9), s = nn_symbol(g, "s", 50);
	const nn_t keys = nn_input(g, "k", NN_F32, 2, (nn_dim[]){ s, nn_fix(D) }), at = nn_input(g, "entry", NN_I32, 1, (nn_dim[]){ nn_fix(1) });
	const nn_t q = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ r, nn_fix(D) }), slot = nn_input(g, "slot", NN_I32, 1, &r);
	const nn_t state = nn_kv_state(g, "cross", 3, 50, D, H);
	nn_t probs;
	nn_kv_write(g, state, keys, nn_affine(g, keys, 0.5f, 0.1f), at);
	OUT(nn_kv_attention(g, q, state, slot, 0.8f, &probs));
	nn_output(g, probs, "probs");
}

/* The same entries read before they are written anew: what is read is the last run's. */
static void read_then_written(nn_graph *g) {
	enum { D = 16 };
	const nn_dim r = nn_symbol(g, "r", 9), s = nn_symbol(g, "s", 50);
	const nn_t keys = nn_input(g, "k", NN_F32, 2, (nn_dim[]){ s, nn_fix(D) }), at = nn_input(g, "entry", NN_I32, 1, (nn_dim[]){ nn_fix(1) });
	const nn_t q = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ r, nn_fix(D) }), slot = nn_input(g, "slot", NN_I32, 1, &r);
	const nn_t state = nn_kv_state(g, "cross", 3, 50, D, 4);
	OUT(nn_kv_attention(g, q, state, slot, 0.8f, NULL));
	nn_kv_write(g, state, keys, keys, at);
}

static void growing(nn_graph *g) {
	enum { D = 16, L = 40 };
	const nn_dim r = nn_symbol(g, "r", 9);
	const nn_t q = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ r, nn_fix(D) }), k = nn_input(g, "k", NN_F32, 2, (nn_dim[]){ r, nn_fix(D) });
	const nn_t slot = nn_input(g, "slot", NN_I32, 1, &r), position = nn_input(g, "position", NN_I32, 1, &r);
	const nn_t table = nn_input(g, "table", NN_I32, 2, (nn_dim[]){ r, nn_fix(L) });
	const nn_t first = nn_cache_state(g, "first", 3, L, D, 2), second = nn_cache_state(g, "second", 3, L, D, 4);
	nn_t probs, probs2;
	const nn_t y = nn_cache_attention(g, q, k, nn_affine(g, k, 2, 0.1f), first, slot, position, table, 0.6f, &probs);
	nn_cache_write(g, second, y, k, slot, position);
	OUT(nn_cache_attention(g, y, NN_NONE, NN_NONE, second, slot, position, table, 0.6f, &probs2));
	nn_output(g, probs, "probs");
	nn_output(g, probs2, "probs2");
}

/* ---- both backends ---- */

static const char *missing; /* why there is nothing to compare with */
static nn_backend *backend;
static nn_pool *pool;

static void open_all(void) {
	static char err[SN_ERRLEN];
	if (nn_pool_open(&pool, 2, err) != SN_OK || nn_backend_open(&backend, "ort", &(nn_backend_options){ .threads = 2, .home = getenv("SONANT_HOME") }, err) != SN_OK)
		missing = err;
}

static int close_all(void **state) {
	nn_pool_close(&pool);
	nn_backend_close(&backend);
	return 0;
}

static nn_exec *build(const nn_graph *g, nn_backend *by, int debug) {
	char err[SN_ERRLEN] = "";
	nn_plan *plan;
	nn_exec *e;
	if (nn_plan_compile(&plan, g, &(nn_plan_options){ .backend = by, .debug = debug }, err) != SN_OK || nn_exec_new(&e, plan, pool, err) != SN_OK)
		fail_msg("%s", err);
	nn_plan_release(&plan);
	return e;
}

/* Ids of an input of `count` values in the run'th run. */
static void fill_ids(const char *name, int32_t *to, int64_t count, int run) {
	for (int64_t i = 0; i < count; i++)
		to[i] = strcmp(name, "ids") == 0        ? (int32_t)(draw() % 15) - 2
		        : strcmp(name, "entry") == 0    ? run % 3
		        : strcmp(name, "position") == 0 ? (int32_t)(run % 4 * 9 + i)
		        : strcmp(name, "slot") == 0     ? (int32_t)(i / 3 % 3)
		                                        : (int32_t)(i / 40 / 3 % 3); /* a table: each row its own slot */
}

static void fill(const nn_graph *g, nn_exec *const *e, int count, const int64_t *symbols, int run) {
	for (int i = 0; i < g->count; i++) {
		const nn_node *n = g->nodes + i;
		int64_t size = 1;
		for (int a = 0; a < n->rank; a++)
			size *= nn_dim_value(g, n->dims[a], symbols);
		if (n->op != OP_INPUT)
			continue;
		if (n->type == NN_I32)
			fill_ids(n->name, nn_exec_input_ids(e[0], n->name), size, run);
		for (int64_t k = 0; n->type == NN_F32 && k < size; k++)
			nn_exec_input(e[0], n->name)[k] = uniform();
		for (int k = 1; k < count; k++)
			memcpy(nn_exec_input(e[k], n->name), nn_exec_input(e[0], n->name), (size_t)size * 4);
	}
}

static double relative(const float *a, const float *b, int64_t n) {
	double d = 0, s = 1e-30;
	for (int64_t i = 0; i < n; i++) {
		d += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
		s += (double)b[i] * b[i];
	}
	return sqrt(d / s);
}

static void compare_outputs(const nn_graph *g, nn_exec *const *e, int count, int run) {
	for (int i = 0; i < g->count; i++) {
		const nn_node *n = g->nodes + i;
		int64_t dims[2][NN_MAX_RANK], size = 1;
		if (!n->is_output)
			continue;
		const float *expected = nn_exec_output(e[0], n->output_name, dims[0]);
		for (int a = 0; a < n->rank; a++)
			size *= dims[0][a];
		for (int k = 1; k < count; k++) {
			const float *y = nn_exec_output(e[k], n->output_name, dims[1]);
			assert_non_null(y);
			assert_memory_equal(dims[0], dims[1], (size_t)n->rank * sizeof(int64_t));
			const double r = relative(y, expected, size);
			if (!(r <= 1e-4))
				fail_msg("graph %s, '%s', plan %d, run %d: relative L2 %g", g->name, n->output_name, k, run, r);
		}
	}
}

static void run_one(nn_exec *e) {
	char err[SN_ERRLEN] = "";
	if (nn_exec_run(e, err) != SN_OK)
		fail_msg("%s", err);
}

static void set_extents(const nn_graph *g, nn_exec *const *e, int count, int run, int64_t symbols[NN_MAX_SYMBOLS]) {
	const int64_t parts[] = { 1, 3, 2, 9, 50, 100, 100, 7 }; /* of 100 of a symbol's maximum */
	for (int s = 0; s < g->symbols; s++) {
		symbols[s] = 1 + (g->symbol[s].most - 1) * parts[(run + 3 * s) % 8] / 100;
		for (int k = 0; k < count; k++)
			nn_exec_set(e[k], g->symbol[s].name, symbols[s]);
	}
}

/* Native, a backend, and its debug plan, over runs of several extents, of which each writes what the next may read. */
static void compare_runs(const char *name, void (*record)(nn_graph *g), nn_backend *by) {
	nn_graph *g = nn_graph_new(name);
	record(g);
	if (nn_graph_error(g)[0])
		fail_msg("%s", nn_graph_error(g));
	nn_exec *e[3] = { build(g, NULL, 0), build(g, by, 0), build(g, by, 1) };
	for (int run = 0; run < 8; run++) {
		int64_t symbols[NN_MAX_SYMBOLS];
		set_extents(g, e, 3, run, symbols);
		fill(g, e, 3, symbols, run);
		for (int k = 0; k < 3; k++)
			run_one(e[k]);
		compare_outputs(g, e, 3, run);
	}
	for (int k = 0; k < 3; k++)
		nn_exec_free(&e[k]);
	nn_graph_free(&g);
}

static void both(const char *name, void (*record)(nn_graph *g)) { compare_runs(name, record, backend); }

/* A run that fails says why, and gives zeros; the next one is right again. */
static void failed_runs_are_told(void **state) {
	char err[SN_ERRLEN] = "";
	nn_graph *g = nn_graph_new("short");
	OUT(nn_conv1d(g, X(4), constant(g, 3, 4, 4, 5, 1), NN_NONE, (nn_conv){ 0 })); /* five rows at least */
	nn_exec *e[2] = { build(g, NULL, 0), build(g, backend, 0) };
	nn_exec_set(e[1], "t", 2);
	assert_true(nn_exec_run(e[1], err) < 0);
	assert_non_null(strstr(err, "short"));
	assert_true(nn_exec_output(e[1], "y", NULL)[0] == 0);
	for (int k = 0; k < 2; k++)
		nn_exec_set(e[k], "t", 9);
	fill(g, e, 2, (const int64_t[]){ 9 }, 0);
	run_one(e[0]);
	run_one(e[1]);
	compare_outputs(g, e, 2, 0);
	for (int k = 0; k < 2; k++)
		nn_exec_free(&e[k]);
	nn_graph_free(&g);
}

/* ---- states on a device ---- */

/* A provider of a device whose memory is this process', by ort_shim.c; skips where that was not built. */
static nn_backend *behind_shim(const char *name) {
	char err[SN_ERRLEN];
	const char *const shim = getenv("ORT_SHIM"), *const real = getenv("SONANT_ONNXRUNTIME");
	nn_backend *b;
	if (!shim || !real)
		skip();
	char *const kept = strdup(real);
	setenv("ORT_SHIM_REAL", kept, 1);
	setenv("ORT_SHIM_DEVICE", "1", 1);
	setenv("SONANT_ONNXRUNTIME", shim, 1);
	const int result = nn_backend_open(&b, name, &(nn_backend_options){ .threads = 2 }, err);
	setenv("SONANT_ONNXRUNTIME", kept, 1);
	free(kept);
	if (result != SN_OK)
		fail_msg("%s", err);
	return b;
}

/* CUDA writes states in place, TensorRT does not. */
static void states_move_to_a_device(void **state) {
	static const char *const names[] = { "ort:cuda", "ort:tensorrt" };
	for (int i = 0; i < 2; i++) {
		nn_backend *b = behind_shim(names[i]);
		compare_runs("sequences", sequences, b);
		compare_runs("read_then_written", read_then_written, b);
		compare_runs("growing", growing, b);
		nn_backend_close(&b);
	}
}

static void fails_now(const char *call, const char *until) {
	setenv("ORT_SHIM_FAIL", call, 1);
	setenv("ORT_SHIM_UNTIL", until, 1);
}

/* One run of native and e[1] at the maxima; what e[1] gives is compared where it succeeds. */
static int run_both(const nn_graph *g, nn_exec *const *e, int run, char *err) {
	int64_t symbols[NN_MAX_SYMBOLS];
	for (int s = 0; s < g->symbols; s++)
		symbols[s] = g->symbol[s].most;
	fill(g, e, 2, symbols, run);
	run_one(e[0]);
	const int result = nn_exec_run(e[1], err);
	if (result == SN_OK)
		compare_outputs(g, e, 2, run);
	return result;
}

/* Two states of two parts: on a device that does not write in place each part has two values, the second one made in the second run. One that
 * cannot be made ends that run, and is made in the next. */
static void states_have_two_values_on_a_device(void **state) {
	char err[SN_ERRLEN] = "";
	nn_backend *b = behind_shim("ort:tensorrt");
	nn_graph *g = nn_graph_new("growing");
	growing(g);
	nn_exec *e[2] = { build(g, NULL, 0), build(g, b, 0) };
	fails_now("CreateTensorAsOrtValue:8", "8");
	assert_int_equal(run_both(g, e, 0, err), SN_OK);
	assert_true(run_both(g, e, 1, err) < 0);
	assert_non_null(strstr(err, "no memory for state 'second"));
	assert_int_equal(nn_exec_run(e[1], err), SN_OK);
	compare_outputs(g, e, 2, 1);
	for (int run = 2; run < 5; run++)
		assert_int_equal(run_both(g, e, run, err), SN_OK);
	fails_now("CreateTensorAsOrtValue", "99");
	assert_int_equal(run_both(g, e, 5, err), SN_OK); /* no more are made */
	unsetenv("ORT_SHIM_FAIL");
	nn_exec_free(&e[0]);
	nn_exec_free(&e[1]);
	nn_graph_free(&g);
	nn_backend_close(&b);
}

/* A state that finds no room is tried again with the allocator that it has. */
static void a_full_device_costs_nothing(void **state) {
	char err[SN_ERRLEN] = "";
	nn_backend *b = behind_shim("ort:cuda");
	nn_graph *g = nn_graph_new("growing");
	growing(g);
	nn_exec *e[2] = { build(g, NULL, 0), build(g, b, 0) };
	fails_now("CreateTensorAsOrtValue:1", "1");
	assert_true(run_both(g, e, 0, err) < 0);
	fails_now("CreateAllocator:4", "99"); /* the other three */
	assert_int_equal(run_both(g, e, 0, err), SN_OK);
	unsetenv("ORT_SHIM_FAIL");
	nn_exec_free(&e[0]);
	nn_exec_free(&e[1]);
	nn_graph_free(&g);
	nn_backend_close(&b);
}

/* What was bound for the last run and still is right is not bound again. */
static void bindings_are_kept(void **state) {
	static const char *const calls[] = { "BindInput", "BindOutput", "CreateTensorAsOrtValue" };
	char err[SN_ERRLEN] = "";
	nn_backend *b = behind_shim("ort:cpu");
	nn_graph *g = nn_graph_new("growing");
	growing(g);
	nn_exec *e[2] = { build(g, NULL, 0), build(g, b, 0) };
	assert_int_equal(run_both(g, e, 0, err), SN_OK);
	for (int i = 0; i < 3; i++) {
		fails_now(calls[i], "99");
		assert_int_equal(run_both(g, e, 1 + i, err), SN_OK);
	}
	fails_now("BindInput", "99");
	nn_exec_set(e[1], "r", 2);
	assert_true(nn_exec_run(e[1], err) < 0); /* other extents are another binding */
	assert_non_null(strstr(err, "cannot be bound"));
	unsetenv("ORT_SHIM_FAIL");
	assert_int_equal(nn_exec_run(e[1], err), SN_OK);
	nn_exec_free(&e[0]);
	nn_exec_free(&e[1]);
	nn_graph_free(&g);
	nn_backend_close(&b);
}

/* ---- options and messages ---- */

static const char *option(const nn_provider_options *o, const char *key) {
	for (int i = 0; i < o->count; i++)
		if (strcmp(o->key[i], key) == 0)
			return o->value[i];
	return "";
}

/* What each provider is told about a graph; TensorRT's shapes are the least and the most of every input that has a symbol. */
static void providers_are_told(void **state) {
	char err[SN_ERRLEN] = "";
	nn_lowered *lowered;
	nn_provider_options o;
	nn_graph *g = nn_graph_new("growing");
	growing(g);
	assert_int_equal(nn_lower(&lowered, g, 0, err), SN_OK);
	assert_int_equal(nn_provider_options_make(&o, PROVIDER_CPU, lowered, g, "/cache", 3, 0, err), SN_OK);
	assert_int_equal(o.count, 0);
	nn_provider_options_free(&o);
	assert_int_equal(nn_provider_options_make(&o, PROVIDER_CUDA, lowered, g, "/cache", 3, 0, err), SN_OK);
	assert_string_equal(option(&o, "device_id"), "0");
	assert_string_equal(option(&o, "cudnn_conv_algo_search"), "HEURISTIC");
	assert_string_equal(o.key[o.count - 1], "use_tf32");
	assert_string_equal(option(&o, "use_tf32"), "0");
	nn_provider_options_free(&o);
	assert_int_equal(nn_provider_options_make(&o, PROVIDER_TENSORRT, lowered, g, "/cache", 3, 0, err), SN_OK);
	assert_string_equal(option(&o, "trt_fp16_enable"), "1");
	assert_string_equal(option(&o, "trt_engine_cache_enable"), "1");
	assert_string_equal(option(&o, "trt_engine_cache_path"), "/cache");
	assert_string_equal(option(&o, "trt_profile_min_shapes"), "x:1x16,k:1x16,slot:1,position:1,table:1x40");
	assert_string_equal(option(&o, "trt_profile_max_shapes"), "x:9x16,k:9x16,slot:9,position:9,table:9x40");
	assert_string_equal(option(&o, "trt_profile_opt_shapes"), option(&o, "trt_profile_max_shapes"));
	nn_provider_options_free(&o);
	assert_int_equal(nn_provider_options_make(&o, PROVIDER_TENSORRT, lowered, g, NULL, 3, 0, err), SN_OK);
	assert_string_equal(option(&o, "trt_engine_cache_enable"), "0");
	assert_string_equal(option(&o, "trt_engine_cache_path"), "");
	nn_provider_options_free(&o);
	assert_int_equal(nn_provider_options_make(&o, PROVIDER_TENSORRT, lowered, g, NULL, 3, 1, err), SN_OK);
	assert_string_equal(option(&o, "trt_fp16_enable"), "0");
	nn_provider_options_free(&o);
	assert_int_equal(nn_provider_options_make(&o, PROVIDER_OPENVINO, lowered, g, "/cache", 3, 0, err), SN_OK);
	assert_string_equal(option(&o, "num_of_threads"), "3");
	assert_string_equal(option(&o, "precision"), "FP32");
	assert_string_equal(option(&o, "cache_dir"), "/cache");
	nn_provider_options_free(&o);
	nn_lowered_free(&lowered);
	nn_graph_free(&g);
}

static int opened(const char *name, char *err) {
	nn_backend *b = (nn_backend *)err;
	const int result = nn_backend_open(&b, name, &(nn_backend_options){ .threads = 1 }, err);
	assert_true(result == SN_OK || !b);
	nn_backend_close(&b);
	return result;
}

static void names_and_remedies(void **state) {
	char err[SN_ERRLEN] = "";
	const char *named = getenv("SONANT_ONNXRUNTIME");
	char *kept = named ? strdup(named) : NULL;
	assert_int_equal(opened("cpu", err), SN_OK);
	assert_int_equal(opened("gpu", err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "'gpu'"));
	assert_int_equal(opened("ort:metal", err), SN_E_ARGUMENT);
	assert_int_equal(opened("", err), SN_E_ARGUMENT);
	assert_int_equal(opened("ort:tensorrt", err), SN_E_DEPENDENCY); /* no machine that tests has it */
	setenv("SONANT_ONNXRUNTIME", "/nowhere/libonnxruntime.so", 1);
	assert_int_equal(opened("ort", err), SN_E_DEPENDENCY);
	assert_non_null(strstr(err, "nstall")); /* whatever is missing, it says what to install */
	setenv("SONANT_ONNXRUNTIME", "libm.so.6", 1);
	assert_int_equal(opened("ort", err), SN_E_DEPENDENCY);
	if (kept)
		setenv("SONANT_ONNXRUNTIME", kept, 1);
	else
		unsetenv("SONANT_ONNXRUNTIME");
	free(kept);
}

/* More values than a model may have are an error, and nothing is written. */
static void models_are_bounded(void **state) {
	size_t size = 0;
	onnx_model *m = onnx_new();
	assert_non_null(m);
	for (int i = 0; i <= ONNX_MAX_VALUES; i++)
		onnx_constant(m, ONNX_I64, 0, NULL, &(int64_t){ i });
	assert_int_equal(onnx_constant(m, ONNX_I64, 0, NULL, &(int64_t){ 0 }), ONNX_NONE);
	assert_null(onnx_finish(m, "many", "weights.bin", &size));
	onnx_free(&m);
}

#define BOTH(graph) static void graph##_agree(void **state) { both(#graph, graph); }
BOTH(acts)
BOTH(binaries)
BOTH(linears)
BOTH(convolutions)
BOTH(batches)
BOTH(norms)
BOTH(columns)
BOTH(row_pads)
BOTH(gathers)
BOTH(images)
BOTH(attentions)
BOTH(recurrents)
BOTH(splines)
BOTH(extents)
BOTH(sequences)
BOTH(read_then_written)
BOTH(growing)

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(providers_are_told), cmocka_unit_test(names_and_remedies), cmocka_unit_test(models_are_bounded),
		/* those below compare with ONNX Runtime */
		cmocka_unit_test(acts_agree), cmocka_unit_test(binaries_agree), cmocka_unit_test(linears_agree), cmocka_unit_test(convolutions_agree),
		cmocka_unit_test(batches_agree), cmocka_unit_test(norms_agree), cmocka_unit_test(columns_agree), cmocka_unit_test(row_pads_agree),
		cmocka_unit_test(gathers_agree), cmocka_unit_test(images_agree), cmocka_unit_test(attentions_agree), cmocka_unit_test(recurrents_agree),
		cmocka_unit_test(splines_agree), cmocka_unit_test(extents_agree), cmocka_unit_test(sequences_agree), cmocka_unit_test(read_then_written_agree),
		cmocka_unit_test(growing_agree), cmocka_unit_test(failed_runs_are_told), cmocka_unit_test(states_move_to_a_device),
		cmocka_unit_test(states_have_two_values_on_a_device), cmocka_unit_test(a_full_device_costs_nothing), cmocka_unit_test(bindings_are_kept),
	};
	open_all();
	if (missing)
		printf("# not compared: %s\n", missing);
	return _cmocka_run_group_tests("ort", tests, missing ? 3 : sizeof tests / sizeof *tests, NULL, close_all);
}
