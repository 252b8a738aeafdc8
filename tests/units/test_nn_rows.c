/* Ops over rows, patches, relative positions, cells and folds, each against a plain loop, under debug and fused plans, scalar and
 * vector kernels, one thread and three. */
#include "nn/cpu/kernels.h"
#include "nn/nn.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t seed = 7;

static void fill(float *x, int64_t count, float scale) {
	for (int64_t i = 0; i < count; i++) {
		seed = seed * 1664525u + 1013904223u;
		x[i] = scale * ((float)(seed >> 8) / 8388608.0f - 1);
	}
}

typedef struct input { const char *name; const void *values; size_t bytes; int ids; } input;

/* Runs g under every kind of plan; output "y" must be `expected` within 2e-5 of the largest value. */
static void check(const nn_graph *g, const char *symbol, int64_t extent, const input *inputs, int count, const double *expected, int64_t size) {
	char err[SN_ERRLEN] = "";
	double most = 1;
	for (int64_t i = 0; i < size; i++)
		most = fmax(most, fabs(expected[i]));
	for (int kind = 0; kind < 8; kind++) {
		nn_pool *pool;
		nn_plan *plan;
		nn_exec *e;
		nn_kernels k;
		memset(&k, 0, sizeof k);
		nn_kernels_fill(&k, kind & 1 ? nn_cpu_detect() : 0);
		assert_int_equal(nn_pool_open(&pool, kind & 4 ? 3 : 1, err), SN_OK);
		if (nn_plan_compile(&plan, g, &(nn_plan_options){ .debug = kind & 2, .kernels = &k }, err) != SN_OK)
			fail_msg("%s", err);
		assert_int_equal(nn_exec_new(&e, plan, pool, err), SN_OK);
		if (symbol)
			nn_exec_set(e, symbol, extent);
		for (int i = 0; i < count; i++)
			memcpy(inputs[i].ids ? (void *)nn_exec_input_ids(e, inputs[i].name) : (void *)nn_exec_input(e, inputs[i].name), inputs[i].values,
			       inputs[i].bytes);
		for (int again = 0; again < 2; again++)
			assert_int_equal(nn_exec_run(e, NULL), SN_OK);
		const float *y = nn_exec_output(e, "y", NULL);
		assert_non_null(y);
		for (int64_t i = 0; i < size; i++)
			if (!(fabs((double)y[i] - expected[i]) <= 2e-5 * most))
				fail_msg("plan %d, value %lld: %g, expected %g", kind, (long long)i, (double)y[i], expected[i]);
		nn_exec_free(&e);
		nn_plan_release(&plan);
		nn_pool_close(&pool);
	}
}

enum { T = 11, C = 70 };

static nn_graph *begin(nn_t *x, int64_t cols) {
	nn_graph *g = nn_graph_new("rows");
	*x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ nn_symbol(g, "t", 40), nn_fix(cols) });
	return g;
}

static void trims_and_pads(void **state) {
	(void)state;
	static const int mirrored[] = { 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 6 }, repeated[] = { 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8 };
	float x[T * C];
	double y[14 * C];
	fill(x, T * C, 1);
	for (int how = NN_PAD_ZERO; how <= NN_PAD_REFLECT; how++) {
		nn_t in;
		nn_graph *g = begin(&in, C);
		nn_t cut = nn_trim_rows(g, nn_unary(g, NN_NEG, in, 0), 1, 1); /* rows 1 .. 9 */
		nn_output(g, nn_affine(g, nn_pad_rows(g, cut, 3, 2, (nn_pad)how), 2, 0), "y");
		for (int r = 0; r < 14; r++)
			for (int c = 0; c < C; c++) {
				int from = how == NN_PAD_REPEAT ? repeated[r] : mirrored[r];
				y[r * C + c] = how == NN_PAD_ZERO && (r < 3 || r > 11) ? 0 : -2.0 * (double)x[(from + 1) * C + c];
			}
		check(g, "t", T, (input[]){ { "x", x, sizeof x, 0 } }, 1, y, 14 * C);
		nn_graph_free(&g);
	}
}

static void columns_over_rows(void **state) {
	(void)state;
	float x[T * C], gamma[C], beta[C];
	double norm[T * C], soft[T * C], weighted[C];
	fill(x, T * C, 3);
	fill(gamma, C, 1);
	fill(beta, C, 1);
	for (int c = 0; c < C; c++) {
		double mean = 0, variance = 0, sum = 0;
		weighted[c] = 0;
		for (int t = 0; t < T; t++)
			mean += (double)x[t * C + c] / T, sum += exp((double)x[t * C + c]);
		for (int t = 0; t < T; t++)
			variance += ((double)x[t * C + c] - mean) * ((double)x[t * C + c] - mean) / T;
		for (int t = 0; t < T; t++) {
			norm[t * C + c] = ((double)x[t * C + c] - mean) / sqrt(variance + 1e-5) * (double)gamma[c] + (double)beta[c];
			soft[t * C + c] = exp((double)x[t * C + c]) / sum;
			weighted[c] += soft[t * C + c] * (double)x[t * C + c];
		}
	}
	const input in[] = { { "x", x, sizeof x, 0 } };
	nn_t t;
	nn_graph *g = begin(&t, C);
	int64_t cols = C;
	nn_output(g, nn_norm_rows(g, t, nn_const(g, "gamma", 1, &cols, gamma), nn_const(g, "beta", 1, &cols, beta), 1e-5f), "y");
	check(g, "t", T, in, 1, norm, T * C);
	nn_graph_free(&g);
	g = begin(&t, C);
	nn_output(g, nn_softmax_rows(g, t), "y");
	check(g, "t", T, in, 1, soft, T * C);
	nn_graph_free(&g);
	g = begin(&t, C);
	nn_output(g, nn_sum_rows(g, nn_binary(g, NN_MUL, t, nn_softmax_rows(g, t))), "y");
	check(g, "t", T, in, 1, weighted, C);
	nn_graph_free(&g);
	g = begin(&t, C);
	nn_output(g, nn_binary(g, NN_SUB, t, nn_mean_rows(g, t)), "y");
	for (int c = 0; c < C; c++)
		for (int r = 0; r < T; r++) {
			double mean = 0;
			for (int s = 0; s < T; s++)
				mean += (double)x[s * C + c] / T;
			norm[r * C + c] = (double)x[r * C + c] - mean;
		}
	check(g, "t", T, in, 1, norm, T * C);
	nn_graph_free(&g);
}

/* A 3 x 3 convolution of stride (2, 1) with a scale for each output channel, as a batch norm folds into it. */
static void two_dimensional_convolution(void **state) {
	(void)state;
	enum { H = 9, W = 6, CI = 3, CO = 5, HO = 5 };
	float x[H * W * CI], w[CO * 9 * CI], scale[CO];
	double y[HO * W * CO];
	fill(x, H * W * CI, 1);
	fill(w, CO * 9 * CI, 1);
	fill(scale, CO, 1);
	nn_graph *g = nn_graph_new("image");
	nn_t in = nn_input(g, "x", NN_F32, 3, (nn_dim[]){ nn_symbol(g, "h", 20), nn_fix(W), nn_fix(CI) });
	nn_t weight = nn_const(g, "w", 2, (int64_t[]){ CO, 9 * CI }, w), factor = nn_const(g, "s", 1, (int64_t[]){ CO }, scale);
	nn_output(g, nn_linear(g, nn_unfold(g, in, 3, 3, 2, 1, 1, 1), nn_fold_scale(g, weight, factor), NN_NONE), "y");
	for (int h = 0; h < HO; h++)
		for (int v = 0; v < W; v++)
			for (int o = 0; o < CO; o++) {
				double sum = 0;
				for (int k = 0; k < 9 * CI; k++) {
					int a = 2 * h + k / (3 * CI) - 1, b = v + k / CI % 3 - 1;
					if (a >= 0 && a < H && b >= 0 && b < W)
						sum += (double)x[(a * W + b) * CI + k % CI] * (double)w[o * 9 * CI + k];
				}
				y[(h * W + v) * CO + o] = sum * (double)scale[o];
			}
	check(g, "h", H, (input[]){ { "x", x, sizeof x, 0 } }, 1, y, HO * W * CO);
	nn_graph_free(&g);
}

/* ---- attention ---- */

enum { D = 16, HEADS = 2, HEAD = D / HEADS, KEYS = 37 };

/* out = softmax(score) v, head by head; score[h][i][j] is given. */
static void weigh(const double *score, const float *v, int rows, int keys, double *out) {
	for (int h = 0; h < HEADS; h++)
		for (int i = 0; i < rows; i++) {
			const double *s = score + (h * rows + i) * keys;
			double sum = 0;
			for (int j = 0; j < keys; j++)
				sum += exp(s[j]);
			for (int c = h * HEAD; c < (h + 1) * HEAD; c++) {
				out[i * D + c] = 0;
				for (int j = 0; j < keys; j++)
					out[i * D + c] += exp(s[j]) / sum * (double)v[j * D + c];
			}
		}
}

static double dot(const float *a, const float *b) {
	double sum = 0;
	for (int c = 0; c < HEAD; c++)
		sum += (double)a[c] * (double)b[c];
	return sum;
}

static void relative_positions(void **state) {
	(void)state;
	enum { WINDOW = 3 };
	float x[KEYS * D], q2[KEYS * D], rel[(2 * WINDOW + 1) * HEAD], pos[(2 * KEYS - 1) * D];
	double *score = malloc(sizeof *score * HEADS * KEYS * KEYS), y[KEYS * D];
	fill(x, KEYS * D, 1);
	fill(q2, KEYS * D, 1);
	fill(rel, (2 * WINDOW + 1) * HEAD, 1);
	fill(pos, (2 * KEYS - 1) * D, 1);
	for (int shifted = 0; shifted < 2; shifted++) {
		nn_graph *g = nn_graph_new("relative");
		nn_dim t = nn_symbol(g, "t", 60);
		nn_t in = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ t, nn_fix(D) });
		nn_t second = nn_input(g, "q2", NN_F32, 2, (nn_dim[]){ t, nn_fix(D) });
		nn_t positions = nn_input(g, "pos", NN_F32, 2, (nn_dim[]){ nn_dim_add(nn_dim_mul(t, 2), -1), nn_fix(D) });
		nn_attn a = { .heads = HEADS, .scale = 0.4f, .rel_k = NN_NONE, .rel_v = NN_NONE };
		if (shifted) {
			a.shifted = 1;
			a.shifted_q = nn_affine(g, second, 1, 0);
			a.shifted_pos = nn_affine(g, positions, 1, 0);
		} else {
			a.window = WINDOW;
			a.rel_clip = 1;
			a.rel_k = nn_const(g, "rel", 2, (int64_t[]){ 2 * WINDOW + 1, HEAD }, rel);
		}
		nn_output(g, nn_attention(g, in, in, in, a, NULL), "y");
		for (int h = 0; h < HEADS; h++)
			for (int i = 0; i < KEYS; i++)
				for (int j = 0; j < KEYS; j++) {
					int o = j - i < -WINDOW ? -WINDOW : j - i > WINDOW ? WINDOW : j - i;
					double more = shifted ? dot(q2 + i * D + h * HEAD, pos + (KEYS - 1 - (i - j)) * D + h * HEAD)
					                      : dot(x + i * D + h * HEAD, rel + (o + WINDOW) * HEAD);
					score[(h * KEYS + i) * KEYS + j] = 0.4 * (dot(x + i * D + h * HEAD, x + j * D + h * HEAD) + more);
				}
		weigh(score, x, KEYS, KEYS, y);
		check(g, "t", KEYS, (input[]){ { "x", x, sizeof x, 0 }, { "q2", q2, sizeof q2, 0 }, { "pos", pos, sizeof pos, 0 } }, 3, y, KEYS * D);
		nn_graph_free(&g);
	}
	free(score);
}

static void clipped_positions_need_keys(void **state) {
	char err[SN_ERRLEN] = "";
	nn_plan *plan = NULL;
	nn_t in;
	nn_graph *g = begin(&in, 4);
	nn_output(g, nn_attention(g, in, in, in, (nn_attn){ .heads = 1, .scale = 1, .rel_k = NN_NONE, .rel_v = NN_NONE, .rel_clip = 1 }, NULL), "y");
	assert_int_equal(nn_plan_compile(&plan, g, &(nn_plan_options){ 0 }, err), SN_E_MODEL);
	assert_non_null(strstr(err, "relative keys"));
	nn_graph_free(&g);
}

/* Keys and values written by one op are read by another that writes none: cross attention over part of a cache. */
static void caches_are_read(void **state) {
	(void)state;
	enum { LENGTH = 50 };
	float x[KEYS * D];
	int32_t slot[KEYS], position[KEYS], last[KEYS], table[KEYS * LENGTH];
	double *score = malloc(sizeof *score * HEADS * KEYS * KEYS), y[KEYS * D];
	fill(x, KEYS * D, 1);
	for (int i = 0; i < KEYS; i++)
		slot[i] = 1, position[i] = i, last[i] = KEYS - 1;
	for (int i = 0; i < KEYS * LENGTH; i++)
		table[i] = 1;
	nn_graph *g = nn_graph_new("cross");
	nn_dim t = nn_symbol(g, "t", LENGTH);
	nn_t in = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ t, nn_fix(D) }), where = nn_input(g, "slot", NN_I32, 1, &t);
	nn_t at = nn_input(g, "position", NN_I32, 1, &t), end = nn_input(g, "last", NN_I32, 1, &t);
	nn_t tables = nn_input(g, "table", NN_I32, 2, (nn_dim[]){ t, nn_fix(LENGTH) }), cache = nn_cache_state(g, "cache", 2, LENGTH, D, HEADS);
	nn_cache_write(g, cache, nn_affine(g, in, 0.5f, 0), in, where, at);
	nn_output(g, nn_cache_attention(g, in, NN_NONE, NN_NONE, cache, where, end, tables, 0.7f, NULL), "y");
	for (int h = 0; h < HEADS; h++)
		for (int i = 0; i < KEYS; i++)
			for (int j = 0; j < KEYS; j++)
				score[(h * KEYS + i) * KEYS + j] = 0.7 * 0.5 * dot(x + i * D + h * HEAD, x + j * D + h * HEAD);
	weigh(score, x, KEYS, KEYS, y);
	const input inputs[] = { { "x", x, sizeof x, 0 }, { "slot", slot, sizeof slot, 1 }, { "position", position, sizeof position, 1 },
	                         { "last", last, sizeof last, 1 }, { "table", table, sizeof table, 1 } };
	check(g, "t", KEYS, inputs, 5, y, KEYS * D);
	free(score);
	nn_graph_free(&g);
}

/* An entry of packed keys holds as many as were written: here fewer than it has room for. */
static void entries_know_their_length(void **state) {
	(void)state;
	enum { LENGTH = 50 };
	float x[KEYS * D];
	int32_t one = 1, slot[KEYS];
	double *score = malloc(sizeof *score * HEADS * KEYS * KEYS), y[KEYS * D];
	fill(x, KEYS * D, 1);
	for (int i = 0; i < KEYS; i++)
		slot[i] = 1;
	nn_graph *g = nn_graph_new("entries");
	nn_dim t = nn_symbol(g, "t", LENGTH);
	nn_t in = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ t, nn_fix(D) }), where = nn_input(g, "slot", NN_I32, 1, &t);
	nn_t entry = nn_input(g, "entry", NN_I32, 1, (nn_dim[]){ nn_fix(1) }), cross = nn_kv_state(g, "cross", 2, LENGTH, D, HEADS);
	nn_kv_write(g, cross, nn_affine(g, in, 0.5f, 0), in, entry);
	nn_output(g, nn_kv_attention(g, in, cross, where, 0.7f, NULL), "y");
	for (int h = 0; h < HEADS; h++)
		for (int i = 0; i < KEYS; i++)
			for (int j = 0; j < KEYS; j++)
				score[(h * KEYS + i) * KEYS + j] = 0.7 * 0.5 * dot(x + i * D + h * HEAD, x + j * D + h * HEAD);
	weigh(score, x, KEYS, KEYS, y);
	check(g, "t", KEYS, (input[]){ { "x", x, sizeof x, 0 }, { "slot", slot, sizeof slot, 1 }, { "entry", &one, sizeof one, 1 } }, 3, y, KEYS * D);
	free(score);
	nn_graph_free(&g);
}

/* A cell fed with [x, h] through matrices side by side is one step of the recurrent op. */
static void cells_are_lstm_steps(void **state) {
	(void)state;
	enum { I = 10, H = 20 };
	float x[I + 2 * H], w_ih[4 * H * I], w_hh[4 * H * H], b[4 * H];
	double y[H];
	fill(x, I + 2 * H, 1);
	fill(w_ih, 4 * H * I, 0.5f);
	fill(w_hh, 4 * H * H, 0.5f);
	fill(b, 4 * H, 0.5f);
	for (int what = 0; what < 3; what++) { /* h, c, and h of the recurrent op */
		nn_graph *g = nn_graph_new("cell");
		nn_t in = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(I + 2 * H) }), next, h;
		nn_t c = nn_slice_cols(g, in, I + H, H), wi = nn_const(g, "wi", 2, (int64_t[]){ 4 * H, I }, w_ih);
		nn_t wh = nn_const(g, "wh", 2, (int64_t[]){ 4 * H, H }, w_hh), bias = nn_const(g, "b", 1, (int64_t[]){ 4 * H }, b);
		if (what < 2) {
			h = nn_lstm_cell(g, nn_linear(g, nn_slice_cols(g, in, 0, I + H), nn_fold_concat(g, wi, wh), bias), c, &next);
			nn_output(g, what ? next : h, "y");
		} else {
			nn_output(g, nn_lstm(g, nn_slice_cols(g, in, 0, I), nn_slice_cols(g, in, I, H), c, wi, wh, bias, NN_NONE, NULL, NULL), "y");
		}
		for (int u = 0; u < H; u++) {
			double gate[4];
			for (int k = 0; k < 4; k++) {
				gate[k] = (double)b[k * H + u];
				for (int j = 0; j < I; j++)
					gate[k] += (double)x[j] * (double)w_ih[(k * H + u) * I + j];
				for (int j = 0; j < H; j++)
					gate[k] += (double)x[I + j] * (double)w_hh[(k * H + u) * H + j];
				gate[k] = k == 2 ? tanh(gate[k]) : 1 / (1 + exp(-gate[k]));
			}
			double cell = gate[1] * (double)x[I + H + u] + gate[0] * gate[2];
			y[u] = what == 1 ? cell : gate[3] * tanh(cell);
		}
		check(g, NULL, 0, (input[]){ { "x", x, sizeof x, 0 } }, 1, y, H);
		nn_graph_free(&g);
	}
}

/* Five steps of torch's GRU, and its last state. */
static void gated_units(void **state) {
	(void)state;
	enum { I = 10, H = 20, STEPS = 5 };
	float x[STEPS * (I + H)], w_ih[3 * H * I], w_hh[3 * H * H], b_ih[3 * H], b_hh[3 * H];
	double y[STEPS * H], h[H], next[H];
	fill(x, STEPS * (I + H), 1);
	fill(w_ih, 3 * H * I, 0.5f);
	fill(w_hh, 3 * H * H, 0.5f);
	fill(b_ih, 3 * H, 0.5f);
	fill(b_hh, 3 * H, 0.5f);
	for (int u = 0; u < H; u++)
		h[u] = (double)x[I + u]; /* the first row's last columns */
	for (int t = 0; t < STEPS; t++) {
		for (int u = 0; u < H; u++) {
			double in[3], back[3];
			for (int k = 0; k < 3; k++) {
				in[k] = (double)b_ih[k * H + u];
				back[k] = (double)b_hh[k * H + u];
				for (int j = 0; j < I; j++)
					in[k] += (double)x[t * (I + H) + j] * (double)w_ih[(k * H + u) * I + j];
				for (int j = 0; j < H; j++)
					back[k] += h[j] * (double)w_hh[(k * H + u) * H + j];
			}
			double reset = 1 / (1 + exp(-in[0] - back[0])), update = 1 / (1 + exp(-in[1] - back[1]));
			next[u] = y[t * H + u] = (1 - update) * tanh(in[2] + reset * back[2]) + update * h[u];
		}
		memcpy(h, next, sizeof h);
	}
	for (int last = 0; last < 2; last++) {
		nn_graph *g = nn_graph_new("gru");
		nn_dim t = nn_symbol(g, "t", 8);
		nn_t in = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ t, nn_fix(I + H) }), end, out;
		nn_t first = nn_gather_rows(g, nn_slice_cols(g, in, I, H), nn_input(g, "zero", NN_I32, 1, (nn_dim[]){ nn_fix(1) }));
		out = nn_gru(g, nn_slice_cols(g, in, 0, I), first, nn_const(g, "wi", 2, (int64_t[]){ 3 * H, I }, w_ih),
		             nn_const(g, "wh", 2, (int64_t[]){ 3 * H, H }, w_hh), nn_const(g, "bi", 1, (int64_t[]){ 3 * H }, b_ih),
		             nn_const(g, "bh", 1, (int64_t[]){ 3 * H }, b_hh), last ? &end : NULL);
		nn_output(g, last ? end : out, "y");
		check(g, "t", STEPS, (input[]){ { "x", x, sizeof x, 0 }, { "zero", (int32_t[]){ 0 }, sizeof(int32_t), 1 } }, 2,
		      last ? y + (STEPS - 1) * H : y, last ? H : STEPS * H);
		nn_graph_free(&g);
	}
}

/* The largest of patches, odd edges left out, and of all rows. */
static void largest_values(void **state) {
	(void)state;
	enum { H = 9, W = 7, CH = 5 };
	float x[H * W * CH];
	double pooled[4 * 3 * CH], most[CH];
	fill(x, H * W * CH, 1);
	for (int h = 0; h < 4; h++)
		for (int w = 0; w < 3; w++)
			for (int c = 0; c < CH; c++) {
				double *y = &pooled[(h * 3 + w) * CH + c];
				*y = -INFINITY;
				for (int i = 0; i < 4; i++)
					*y = fmax(*y, (double)x[((2 * h + i / 2) * W + 2 * w + i % 2) * CH + c]);
			}
	for (int c = 0; c < CH; c++) {
		most[c] = -INFINITY;
		for (int i = 0; i < H * W; i++)
			most[c] = fmax(most[c], (double)x[i * CH + c]);
	}
	for (int rows = 0; rows < 2; rows++) {
		nn_graph *g = nn_graph_new("largest");
		nn_dim high = nn_symbol(g, "h", 20);
		nn_t in = nn_input(g, "x", NN_F32, 3, (nn_dim[]){ high, nn_fix(W), nn_fix(CH) });
		nn_output(g, rows ? nn_max_rows(g, nn_reshape(g, in, 2, (nn_dim[]){ nn_dim_mul(high, W), nn_fix(CH) })) : nn_max_pool(g, in, 2, 2, 2, 2), "y");
		check(g, "h", H, (input[]){ { "x", x, sizeof x, 0 } }, 1, rows ? most : pooled, rows ? CH : 4 * 3 * CH);
		nn_graph_free(&g);
	}
}

/* Weight norm over all but the last axis, in a grouped convolution with an even kernel. */
static void weight_norm_of_positions(void **state) {
	(void)state;
	enum { CH = 6, K = 4, GROUPS = 3 };
	float x[T * CH], v[CH * 2 * K], magnitude[K];
	double y[(T + 1) * CH];
	fill(x, T * CH, 1);
	fill(v, CH * 2 * K, 1);
	fill(magnitude, K, 1);
	nn_t in;
	nn_graph *g = begin(&in, CH);
	nn_t w = nn_fold_weight_norm_last(g, nn_const(g, "g", 3, (int64_t[]){ 1, 1, K }, magnitude),
	                                  nn_const(g, "v", 3, (int64_t[]){ CH, 2, K }, v));
	nn_output(g, nn_conv1d(g, in, w, NN_NONE, (nn_conv){ .pad_left = 2, .pad_right = 2, .groups = GROUPS }), "y");
	double norm[K] = { 0 };
	for (int i = 0; i < CH * 2 * K; i++)
		norm[i % K] += (double)v[i] * (double)v[i];
	for (int t = 0; t <= T; t++)
		for (int o = 0; o < CH; o++) {
			y[t * CH + o] = 0;
			for (int j = 0; j < K; j++)
				for (int c = 0; c < 2 && t + j >= 2 && t + j - 2 < T; c++)
					y[t * CH + o] += (double)x[(t + j - 2) * CH + o / 2 * 2 + c] * (double)v[(o * 2 + c) * K + j] * (double)magnitude[j] / sqrt(norm[j]);
		}
	check(g, "t", T, (input[]){ { "x", x, sizeof x, 0 } }, 1, y, (T + 1) * CH);
	nn_graph_free(&g);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trims_and_pads), cmocka_unit_test(columns_over_rows), cmocka_unit_test(two_dimensional_convolution),
		cmocka_unit_test(relative_positions), cmocka_unit_test(clipped_positions_need_keys), cmocka_unit_test(caches_are_read), cmocka_unit_test(entries_know_their_length), cmocka_unit_test(cells_are_lstm_steps),
		cmocka_unit_test(weight_norm_of_positions), cmocka_unit_test(gated_units), cmocka_unit_test(largest_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
