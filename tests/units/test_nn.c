/* Graphs against plain loops, and plans against each other: fused against debug, bf16 and int8 against f32, any thread count. */
#include "nn/cpu/kernels.h"
#include "nn/nn.h"
#include "nn/pack.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static uint32_t seed = 1;

#define LARGE ((size_t)512 << 10)
static int no_large; /* requests of LARGE bytes and more fail: the program is linked with --wrap=malloc */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) { return no_large && size >= LARGE ? NULL : __real_malloc(size); }

static float uniform(void) {
	seed = seed * 1664525u + 1013904223u;
	return (float)(seed >> 8) / 8388608.0f - 1;
}

static float *values(int64_t count, float scale) {
	float *x = malloc((size_t)count * sizeof *x);
	for (int64_t i = 0; i < count; i++)
		x[i] = scale * uniform();
	return x;
}

static nn_t constant(nn_graph *g, const char *name, int rank, int64_t a, int64_t b, int64_t c, float scale) {
	int64_t dims[3] = { a, b, c }, count = a * (rank > 1 ? b : 1) * (rank > 2 ? c : 1);
	float *v = values(count, scale);
	nn_t t = nn_const(g, name, rank, dims, v);
	free(v);
	return t;
}

static void save_npy(const char *path, const float *w, int rows, int columns) {
	char header[118];
	memset(header, ' ', sizeof header);
	int length = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, columns);
	header[length] = ' ';
	header[sizeof header - 1] = '\n';
	FILE *out = fopen(path, "wb");
	assert_non_null(out);
	fwrite("\x93NUMPY\1\0\x76\0", 1, 10, out);
	fwrite(header, 1, sizeof header, out);
	fwrite(w, sizeof *w, (size_t)rows * (size_t)columns, out);
	fclose(out);
}

static nn_exec *build(const nn_graph *g, nn_pool *pool, nn_dtype dtype, int debug, unsigned flags) {
	char err[SN_ERRLEN] = "";
	nn_kernels k;
	memset(&k, 0, sizeof k);
	nn_kernels_fill(&k, flags);
	nn_plan *plan;
	if (nn_plan_compile(&plan, g, &(nn_plan_options){ .dtype = dtype, .debug = debug, .kernels = &k }, err) != SN_OK)
		fail_msg("%s", err);
	nn_exec *exec;
	assert_int_equal(nn_exec_new(&exec, plan, pool, err), SN_OK);
	nn_plan_release(&plan);
	return exec;
}

static double relative(const float *a, const float *b, int64_t n) {
	double d = 0, s = 1e-30;
	for (int64_t i = 0; i < n; i++) {
		d += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
		s += (double)b[i] * b[i];
	}
	return sqrt(d / s);
}

/* Runs the graph under every kind of plan with the same input and compares the output "y" with the scalar debug plan's. */
static void compare_plans(const nn_graph *g, const char *symbol, int64_t extent, int64_t in_count, int64_t out_count, double bf16, double int8) {
	char err[SN_ERRLEN];
	nn_pool *one, *three;
	assert_int_equal(nn_pool_open(&one, 1, err), SN_OK);
	assert_int_equal(nn_pool_open(&three, 3, err), SN_OK);
	float *x = values(in_count, 1), *truth = malloc((size_t)out_count * 4), *first = malloc((size_t)out_count * 4);
	unsigned best = nn_cpu_detect();
	struct { nn_dtype dtype; int debug; unsigned flags; double bound; } runs[] = {
		{ NN_DTYPE_F32, 1, 0, 0 }, { NN_DTYPE_F32, 1, best, 1e-5 }, { NN_DTYPE_F32, 0, 0, 1e-5 }, { NN_DTYPE_F32, 0, best, 1e-5 },
		{ NN_DTYPE_BF16, 0, 0, bf16 }, { NN_DTYPE_BF16, 0, best, bf16 }, { NN_DTYPE_INT8, 0, best, int8 }, { NN_DTYPE_INT8, 0, 0, int8 },
	};
	for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
		for (int threads = 0; threads < 2; threads++) {
			nn_exec *e = build(g, threads ? three : one, runs[i].dtype, runs[i].debug, runs[i].flags);
			if (symbol)
				nn_exec_set(e, symbol, extent);
			memcpy(nn_exec_input(e, "x"), x, (size_t)in_count * 4);
			for (int again = 0; again < 2; again++)
				assert_int_equal(nn_exec_run(e, NULL), SN_OK);
			const float *y = nn_exec_output(e, "y", NULL);
			assert_non_null(y);
			if (i == 0 && !threads)
				memcpy(truth, y, (size_t)out_count * 4);
			double r = relative(y, truth, out_count);
			if (!(r <= runs[i].bound + 1e-12))
				fail_msg("run %zu, threads %d: relative L2 %g, bound %g", i, threads ? 3 : 1, r, runs[i].bound);
			if (threads)
				assert_memory_equal(y, first, (size_t)out_count * 4);
			memcpy(first, y, (size_t)out_count * 4);
			nn_exec_free(&e);
		}
	}
	free(x);
	free(truth);
	free(first);
	nn_pool_close(&one);
	nn_pool_close(&three);
}

static nn_t block(nn_graph *g, nn_t x, int64_t d) {
	nn_t n = nn_layer_norm(g, x, constant(g, "g", 1, d, 0, 0, 1), constant(g, "b", 1, d, 0, 0, 0.1f), 1e-5f);
	nn_t q = nn_linear(g, n, constant(g, "wq", 2, d, d, 0, 0.2f), constant(g, "bq", 1, d, 0, 0, 0.1f));
	nn_t k = nn_linear(g, n, constant(g, "wk", 2, d, d, 0, 0.2f), NN_NONE);
	nn_t v = nn_linear(g, n, constant(g, "wv", 2, d, d, 0, 0.2f), constant(g, "bv", 1, d, 0, 0, 0.1f));
	nn_t a = nn_attention(g, q, k, v, (nn_attn){ .heads = 2, .scale = 0.2f, .rel_k = NN_NONE, .rel_v = NN_NONE }, NULL);
	x = nn_binary(g, NN_ADD, x, nn_linear(g, a, constant(g, "wo", 2, d, d, 0, 0.2f), constant(g, "bo", 1, d, 0, 0, 0.1f)));
	n = nn_layer_norm(g, x, constant(g, "g2", 1, d, 0, 0, 1), constant(g, "b2", 1, d, 0, 0, 0.1f), 1e-5f);
	nn_t h = nn_unary(g, NN_GELU, nn_linear(g, n, constant(g, "w1", 2, 4 * d, d, 0, 0.2f), constant(g, "b1", 1, 4 * d, 0, 0, 0.1f)), 0);
	return nn_binary(g, NN_ADD, nn_linear(g, h, constant(g, "w2", 2, d, 4 * d, 0, 0.2f), constant(g, "bb", 1, d, 0, 0, 0.1f)), x);
}

static void transformer_block(void **state) {
	(void)state;
	for (int rows = 5; rows <= 205; rows += 100) {
		nn_graph *g = nn_graph_new("block");
		nn_dim t = nn_symbol(g, "t", 300);
		nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ t, nn_fix(64) });
		nn_output(g, block(g, block(g, x, 64), 64), "y");
		compare_plans(g, "t", rows, rows * 64, rows * 64, 2e-2, 4e-2);
		nn_graph_free(&g);
	}
}

static void vocoder_stage(void **state) {
	(void)state;
	for (int rows = 3; rows <= 63; rows += 20) {
		nn_graph *g = nn_graph_new("vocoder");
		nn_dim t = nn_symbol(g, "t", 100);
		nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ t, nn_fix(24) });
		x = nn_conv1d(g, x, constant(g, "pre", 3, 32, 24, 7, 0.2f), constant(g, "pb", 1, 32, 0, 0, 0.1f), (nn_conv){ .pad_left = 3, .pad_right = 3 });
		x = nn_unary(g, NN_LEAKY_RELU, x, 0.1f);
		x = nn_conv_transpose1d(g, x, constant(g, "up", 3, 32, 16, 8, 0.2f), constant(g, "ub", 1, 16, 0, 0, 0.1f), 4, 2);
		nn_t sum = NN_NONE;
		for (int k = 3; k <= 5; k += 2) {
			nn_t r = x;
			for (int d = 1; d <= 3; d += 2) {
				nn_t h = nn_unary(g, NN_LEAKY_RELU, r, 0.1f);
				h = nn_conv1d(g, h, constant(g, "c1", 3, 16, 16, k, 0.2f), constant(g, "cb", 1, 16, 0, 0, 0.1f),
				              (nn_conv){ .dilation = d, .pad_left = d * (k - 1) / 2, .pad_right = d * (k - 1) / 2 });
				r = nn_binary(g, NN_ADD, h, r);
			}
			sum = sum == NN_NONE ? r : nn_binary(g, NN_ADD, sum, r);
		}
		x = nn_unary(g, NN_LEAKY_RELU, nn_affine(g, sum, 0.5f, 0), 0.01f);
		x = nn_conv1d(g, x, constant(g, "post", 3, 1, 16, 7, 0.2f), NN_NONE, (nn_conv){ .pad_left = 3, .pad_right = 3 });
		nn_output(g, nn_unary(g, NN_TANH, x, 0), "y");
		compare_plans(g, "t", rows, rows * 24, rows * 4, 3e-2, 3e-2);
		nn_graph_free(&g);
	}
}

/* A sum of two products, and an output that is a slice of columns. */
static void skips_and_slices(void **state) {
	(void)state;
	nn_graph *g = nn_graph_new("skips");
	nn_dim t = nn_symbol(g, "t", 100);
	nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ t, nn_fix(16) });
	nn_t a = nn_linear(g, x, constant(g, "a", 2, 32, 16, 0, 0.3f), constant(g, "ab", 1, 32, 0, 0, 0.3f));
	nn_t b = nn_linear(g, x, constant(g, "b", 2, 32, 16, 0, 0.3f), NN_NONE);
	nn_t sum = nn_binary(g, NN_ADD, b, a);
	nn_t half = nn_slice_cols(g, nn_gated_tanh(g, sum), 3, 9);
	nn_output(g, half, "y");
	compare_plans(g, "t", 70, 70 * 16, 70 * 9, 2e-2, 2e-2);
	compare_plans(g, "t", 2, 2 * 16, 2 * 9, 2e-2, 2e-2);
	nn_graph_free(&g);
}

/* Every op against a loop of its own: conv with stride, padding, dilation and groups; transposed conv. */
static void convolutions_by_hand(void **state) {
	(void)state;
	const int T = 19, ci = 6, co = 4, k = 3, stride = 2, dil = 2, pad = 3, groups = 2;
	float *x = values(T * ci, 1), *w = values(co * ci / groups * k, 1), *b = values(co, 1), *wt = values(ci * co * 5, 1);
	nn_graph *g = nn_graph_new("conv");
	nn_t in = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ nn_fix(T), nn_fix(ci) });
	nn_t weight = nn_const(g, "w", 3, (int64_t[]){ co, ci / groups, k }, w), bias = nn_const(g, "b", 1, (int64_t[]){ co }, b);
	nn_output(g, nn_conv1d(g, in, weight, bias, (nn_conv){ stride, dil, pad, 1, groups }), "y");
	nn_output(g, nn_conv_transpose1d(g, in, nn_const(g, "wt", 3, (int64_t[]){ ci, co, 5 }, wt), bias, 3, 1), "z");
	char err[SN_ERRLEN];
	nn_pool *pool;
	assert_int_equal(nn_pool_open(&pool, 2, err), SN_OK);
	nn_exec *e = build(g, pool, NN_DTYPE_F32, 0, nn_cpu_detect());
	memcpy(nn_exec_input(e, "x"), x, sizeof(float) * T * ci);
	assert_int_equal(nn_exec_run(e, NULL), SN_OK);
	int64_t dims[NN_MAX_RANK];
	const float *y = nn_exec_output(e, "y", dims);
	assert_int_equal(dims[0], (T + pad + 1 - dil * (k - 1) - 1) / stride + 1);
	for (int t = 0; t < dims[0]; t++)
		for (int o = 0; o < co; o++) {
			double sum = b[o];
			for (int j = 0; j < k; j++)
				for (int c = 0; c < ci / groups; c++) {
					int at = t * stride - pad + j * dil;
					if (at >= 0 && at < T)
						sum += (double)x[at * ci + o / (co / groups) * (ci / groups) + c] * w[(o * (ci / groups) + c) * k + j];
				}
			assert_true(fabs(sum - y[t * co + o]) < 1e-5);
		}
	const float *z = nn_exec_output(e, "z", dims);
	assert_int_equal(dims[0], (T - 1) * 3 - 2 + 5);
	for (int t = 0; t < dims[0]; t++)
		for (int o = 0; o < co; o++) {
			double sum = b[o];
			for (int s = 0; s < T; s++) {
				int j = t + 1 - 3 * s;
				for (int c = 0; j >= 0 && j < 5 && c < ci; c++)
					sum += (double)x[s * ci + c] * wt[(c * co + o) * 5 + j];
			}
			assert_true(fabs(sum - z[t * co + o]) < 1e-5);
		}
	nn_exec_free(&e);
	nn_pool_close(&pool);
	nn_graph_free(&g);
	free(x);
	free(w);
	free(b);
	free(wt);
}

/* A decoder row gives the same whether it runs alone, with others, or as part of a prompt. */
static void cached_rows_are_batch_invariant(void **state) {
	(void)state;
	enum { D = 32, L = 12, SLOTS = 4 };
	nn_graph *g = nn_graph_new("cache");
	nn_dim r = nn_symbol(g, "rows", 8);
	nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ r, nn_fix(D) }), slot = nn_input(g, "slot", NN_I32, 1, &r);
	nn_t position = nn_input(g, "position", NN_I32, 1, &r), table = nn_input(g, "table", NN_I32, 2, (nn_dim[]){ r, nn_fix(L) });
	nn_t cache = nn_cache_state(g, "cache", SLOTS, L, D, 2);
	nn_t q = nn_linear(g, x, constant(g, "q", 2, D, D, 0, 0.3f), NN_NONE), k = nn_linear(g, x, constant(g, "k", 2, D, D, 0, 0.3f), NN_NONE);
	nn_output(g, nn_cache_attention(g, q, k, x, cache, slot, position, table, 0.25f, NULL), "y");
	char err[SN_ERRLEN];
	nn_pool *pool;
	assert_int_equal(nn_pool_open(&pool, 2, err), SN_OK);
	float *prompt = values(6 * D, 1), all[6 * D];
	for (int dtype = NN_DTYPE_F32; dtype <= NN_DTYPE_INT8; dtype++) {
		nn_exec *e = build(g, pool, (nn_dtype)dtype, 0, nn_cpu_detect());
		for (int how = 0; how < 2; how++) { /* a prompt of six rows in slot 1; then one by one in slot 2 */
			for (int i = 0; i < 6; i += how ? 1 : 6) {
				int n = how ? 1 : 6;
				nn_exec_set(e, "rows", n);
				memcpy(nn_exec_input(e, "x"), prompt + i * D, sizeof(float) * (size_t)n * D);
				for (int j = 0; j < n; j++) {
					nn_exec_input_ids(e, "slot")[j] = 1 + how;
					nn_exec_input_ids(e, "position")[j] = i + j;
					for (int p = 0; p < L; p++)
						nn_exec_input_ids(e, "table")[j * L + p] = 1 + how;
				}
				assert_int_equal(nn_exec_run(e, NULL), SN_OK);
				const float *y = nn_exec_output(e, "y", NULL);
				if (!how)
					memcpy(all, y, sizeof all);
				else
					assert_memory_equal(y, all + i * D, D * sizeof(float));
			}
		}
		nn_exec_free(&e);
	}
	free(prompt);
	nn_pool_close(&pool);
	nn_graph_free(&g);
}

/* Two plans in one arena, run in turn, give what each gives alone. */
static void arenas_are_shared(void **state) {
	(void)state;
	enum { D = 48, ROWS = 130 };
	char err[SN_ERRLEN];
	nn_pool *pool;
	nn_exec *execs[4]; /* two alone, two together */
	float *x = values(ROWS * D, 1);
	assert_int_equal(nn_pool_open(&pool, 2, err), SN_OK);
	for (int i = 0; i < 4; i++) {
		seed = 5 + (uint32_t)i % 2;
		nn_graph *g = nn_graph_new("shared");
		nn_t t = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ nn_symbol(g, "t", i % 2 ? 200 : 400), nn_fix(D) });
		nn_output(g, i % 2 ? block(g, t, D) : block(g, block(g, t, D), D), "y");
		execs[i] = build(g, pool, NN_DTYPE_F32, 0, nn_cpu_detect());
		nn_graph_free(&g);
	}
	nn_exec_share_arena(execs + 2, 2);
	for (int again = 0; again < 2; again++)
		for (int i = 0; i < 4; i++) {
			nn_exec_set(execs[i], "t", ROWS);
			memcpy(nn_exec_input(execs[i], "x"), x, sizeof(float) * ROWS * D);
			assert_int_equal(nn_exec_run(execs[i], NULL), SN_OK);
			if (i > 1)
				assert_memory_equal(nn_exec_output(execs[i], "y", NULL), nn_exec_output(execs[i - 2], "y", NULL), sizeof(float) * ROWS * D);
		}
	for (int i = 3; i >= 0; i--)
		nn_exec_free(&execs[i]);
	free(x);
	nn_pool_close(&pool);
}

static void errors_are_sentences(void **state) {
	(void)state;
	nn_graph *g = nn_graph_new("bad");
	nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ nn_fix(3), nn_fix(5) });
	nn_output(g, nn_linear(g, x, constant(g, "weight", 2, 4, 7, 0, 1), NN_NONE), "y");
	char err[SN_ERRLEN] = "";
	nn_plan *plan;
	assert_int_equal(nn_plan_compile(&plan, g, &(nn_plan_options){ 0 }, err), SN_E_MODEL);
	assert_non_null(strstr(err, "'weight' takes 7 columns, its input has 5"));
	assert_null(plan);
	nn_graph_free(&g);
	const sn_weight hollow = { .name = "hollow", .dtype = SN_F32, .rank = 2, .dims = { 4, 0 } };
	g = nn_graph_new("bad");
	assert_int_equal(nn_weight(g, &hollow, "hollow"), NN_NONE);
	assert_non_null(strstr(nn_graph_error(g), "'hollow' holds no values"));
	nn_graph_free(&g);
}

/* What is packed once is read back from disk with the same result; a damaged file is packed anew. */
static void packs_are_kept(void **state) {
	(void)state;
	char err[SN_ERRLEN], path[] = "/tmp/sonant-pack-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	nn_pool *pool;
	assert_int_equal(nn_pool_open(&pool, 1, err), SN_OK);
	float first[10 * 64];
	for (int run = 0; run < 4; run++) {
		seed = 77;
		nn_graph *g = nn_graph_new("pack");
		nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ nn_fix(10), nn_fix(64) });
		nn_output(g, nn_linear(g, x, constant(g, "w", 2, 64, 64, 0, 1), NN_NONE), "y");
		if (run == 2)
			assert_int_equal(truncate(path, 1000), 0);
		nn_pack *pack;
		struct stat before, after;
		assert_int_equal(stat(path, &before), 0);
		assert_int_equal(nn_pack_open(&pack, path, 5, err), SN_OK);
		nn_plan *plan;
		assert_int_equal(nn_plan_compile(&plan, g, &(nn_plan_options){ .dtype = NN_DTYPE_INT8, .pack = pack }, err), SN_OK);
		assert_int_equal(nn_pack_save(pack, err), SN_OK);
		assert_int_equal(stat(path, &after), 0);
		assert_int_equal(before.st_ino == after.st_ino, run == 1 || run == 3);
		nn_exec *e;
		assert_int_equal(nn_exec_new(&e, plan, pool, err), SN_OK);
		for (int i = 0; i < 640; i++)
			nn_exec_input(e, "x")[i] = (float)(i % 13) - 6;
		assert_int_equal(nn_exec_run(e, NULL), SN_OK);
		if (!run)
			memcpy(first, nn_exec_output(e, "y", NULL), sizeof first);
		assert_memory_equal(first, nn_exec_output(e, "y", NULL), sizeof first);
		nn_exec_free(&e);
		nn_plan_release(&plan);
		nn_pack_close(&pack);
		nn_graph_free(&g);
	}
	nn_pool_close(&pool);
	close(fd);
	unlink(path);
}

/* A file of the directory that was used so many days ago. */
static void put_old(int dir, const char *name, int days) {
	const int fd = openat(dir, name, O_CREAT | O_WRONLY, 0644);
	assert_true(fd >= 0);
	const struct timespec then = { .tv_sec = time(NULL) - days * 24L * 3600 };
	assert_int_equal(futimens(fd, (struct timespec[2]){ then, then }), 0);
	close(fd);
}

static int64_t save_one(const char *path, const char *name) {
	char err[SN_ERRLEN] = "";
	nn_pack *pack;
	struct stat st;
	assert_int_equal(nn_pack_open(&pack, path, 5, err), SN_OK);
	if (name) {
		assert_non_null(nn_pack_new(pack, name, 64));
		assert_non_null(nn_pack_filled(pack));
	}
	assert_int_equal(nn_pack_save(pack, err), SN_OK);
	nn_pack_close(&pack);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mtime;
}

static void packs_that_nobody_uses_go(void **state) {
	char directory[] = "/tmp/sonant-packs-XXXXXX", path[64];
	assert_non_null(mkdtemp(directory));
	const int dir = open(directory, O_RDONLY | O_DIRECTORY);
	snprintf(path, sizeof path, "%s/mine.pack", directory);
	put_old(dir, "a-1.pack", 31);
	put_old(dir, "b-2.pack", 29);
	put_old(dir, "c-3.pack.Xy12ab", 2);
	put_old(dir, "c-3.pack.new0", 0);
	put_old(dir, "a-1.packs", 99);
	save_one(path, "w");
	assert_int_equal(faccessat(dir, "a-1.pack", F_OK, 0), -1);
	assert_int_equal(faccessat(dir, "c-3.pack.Xy12ab", F_OK, 0), -1);
	const char *const kept[] = { "b-2.pack", "c-3.pack.new0", "a-1.packs", "mine.pack" };
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		assert_int_equal(faccessat(dir, kept[i], F_OK, 0), 0);
	put_old(dir, "mine.pack", 20);
	assert_true(time(NULL) - save_one(path, NULL) < 3600); /* it was opened */
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		assert_int_equal(unlinkat(dir, kept[i], 0), 0);
	close(dir);
	rmdir(directory);
}

/* A matrix of a file: packed stripe by stripe into the pack's file, which is what packing it whole in memory gives. */
static void large_matrices_are_packed_in_stripes(void **state) {
	enum { N = 1030, K = 520, ROWS = 3 };
	static const nn_dtype dtypes[] = { NN_DTYPE_F32, NN_DTYPE_BF16, NN_DTYPE_INT8 };
	(void)state;
	char err[SN_ERRLEN] = "", dir[] = "/tmp/sonant-stripes-XXXXXX", file[64], packed[64];
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/w.npy", dir);
	snprintf(packed, sizeof packed, "%s/w.pack", dir);
	seed = 5;
	float *w = values(N * K, 0.1f);
	save_npy(file, w, N, K);
	sn_weights *weights;
	assert_int_equal(sn_weights_open(&weights, file, err), SN_OK);
	nn_pool *pool;
	assert_int_equal(nn_pool_open(&pool, 1, err), SN_OK);
	for (int d = 0; d < 3; d++) {
		float first[ROWS * N];
		unlink(packed);
		for (int run = 0; run < 3; run++) { /* a constant in memory, of the file, and from the pack */
			nn_graph *g = nn_graph_new("stripes");
			nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ nn_fix(ROWS), nn_fix(K) });
			nn_t matrix = run ? nn_weight_shaped(g, weights, "array", 2, (int64_t[]){ N, K }) : nn_const(g, "w", 2, (int64_t[]){ N, K }, w);
			nn_output(g, nn_linear(g, x, matrix, NN_NONE), "y");
			nn_pack *pack;
			nn_plan *plan;
			nn_exec *e;
			nn_need need;
			nn_plan_options options = { .dtype = dtypes[d] };
			assert_int_equal(nn_plan_measure(&need, g, &options, 1, err), SN_OK);
			assert_int_equal(nn_pack_open(&pack, run ? packed : NULL, 7, err), SN_OK);
			options.pack = pack;
			assert_int_equal(nn_plan_compile(&plan, g, &options, err), SN_OK);
			assert_int_equal(nn_pack_save(pack, err), SN_OK);
			struct stat st;
			if (run && (stat(packed, &st) != 0 || (size_t)st.st_size < need.weights || (size_t)st.st_size > need.weights + 8192))
				fail_msg("%zu bytes were measured, the file has %lld", need.weights, (long long)st.st_size);
			assert_int_equal(nn_exec_new(&e, plan, pool, err), SN_OK);
			for (int i = 0; i < ROWS * K; i++)
				nn_exec_input(e, "x")[i] = (float)(i % 13) - 6;
			assert_int_equal(nn_exec_run(e, NULL), SN_OK);
			if (!run)
				memcpy(first, nn_exec_output(e, "y", NULL), sizeof first);
			assert_memory_equal(first, nn_exec_output(e, "y", NULL), sizeof first);
			nn_exec_free(&e);
			nn_plan_release(&plan);
			nn_pack_close(&pack);
			nn_graph_free(&g);
		}
	}
	nn_pool_close(&pool);
	sn_weights_close(&weights);
	free(w);
	unlink(file);
	unlink(packed);
	assert_int_equal(rmdir(dir), 0); /* nothing else was left there */
}

static int open_files(void) {
	DIR *list = opendir("/proc/self/fd");
	int count = 0;
	while (list && readdir(list))
		count++;
	if (list)
		closedir(list);
	return count;
}

/* Languages of a model are packed while it runs: what there was no memory for is packed anew, and no file stays open behind a saved one. */
static void packs_are_added_to(void **state) {
	enum { N = 1030, K = 520 };
	(void)state;
	char err[SN_ERRLEN] = "", dir[] = "/tmp/sonant-later-XXXXXX", file[64], packed[64];
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/w.npy", dir);
	snprintf(packed, sizeof packed, "%s/w.pack", dir);
	float *w = values(N * K, 0.1f), first[N];
	save_npy(file, w, N, K);
	sn_weights *weights;
	assert_int_equal(sn_weights_open(&weights, file, err), SN_OK);
	nn_graph *g = nn_graph_new("later");
	nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(K) });
	nn_output(g, nn_linear(g, x, nn_weight_shaped(g, weights, "array", 2, (int64_t[]){ N, K }), NN_NONE), "y");
	nn_pool *pool;
	assert_int_equal(nn_pool_open(&pool, 1, err), SN_OK);
	for (int run = 0; run < 2; run++) { /* from a pack of its own; then later than the saved ones */
		nn_pack *pack;
		nn_plan *plan;
		nn_exec *e;
		assert_int_equal(nn_pack_open(&pack, run ? packed : NULL, 7, err), SN_OK);
		nn_plan_options options = { .dtype = NN_DTYPE_BF16, .pack = pack };
		if (run) {
			assert_int_equal(nn_pack_save(pack, err), SN_OK);
			no_large = 1;
			assert_int_equal(nn_plan_compile(&plan, g, &options, err), SN_E_MEMORY);
			no_large = 0;
		}
		const int before = open_files();
		assert_int_equal(nn_plan_compile(&plan, g, &options, err), SN_OK);
		assert_int_equal(open_files(), before);
		assert_int_equal(nn_exec_new(&e, plan, pool, err), SN_OK);
		for (int i = 0; i < K; i++)
			nn_exec_input(e, "x")[i] = (float)(i % 13) - 6;
		assert_int_equal(nn_exec_run(e, NULL), SN_OK);
		if (!run)
			memcpy(first, nn_exec_output(e, "y", NULL), sizeof first);
		assert_memory_equal(first, nn_exec_output(e, "y", NULL), sizeof first);
		nn_exec_free(&e);
		nn_plan_release(&plan);
		assert_int_equal(nn_pack_save(pack, err), SN_OK);
		assert_int_equal(access(packed, F_OK), run ? 0 : -1);
		nn_pack_close(&pack);
	}
	nn_graph_free(&g);
	nn_pool_close(&pool);
	sn_weights_close(&weights);
	free(w);
	unlink(file);
	unlink(packed);
	assert_int_equal(rmdir(dir), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transformer_block), cmocka_unit_test(vocoder_stage), cmocka_unit_test(convolutions_by_hand), cmocka_unit_test(skips_and_slices),
		cmocka_unit_test(cached_rows_are_batch_invariant), cmocka_unit_test(arenas_are_shared), cmocka_unit_test(errors_are_sentences), cmocka_unit_test(packs_are_kept),
		cmocka_unit_test(large_matrices_are_packed_in_stripes), cmocka_unit_test(packs_are_added_to), cmocka_unit_test(packs_that_nobody_uses_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
