/* How fast the products of every table are on shapes of speech models: test_gemm --bench [PEAK OF F32, BF16, INT8 in Gop/s]. */
#include "bench_gemm.h"
#include "fence.h"
#include "nn/cpu/scalar.h"

/* epilogue: what follows the product in the model */
enum { PLAIN, BIAS_ACT, BIAS_RESIDUAL, WEIGHTED, LEAKY_TWICE };
typedef struct shape {
	const char *what;
	int64_t m, n, k;
	int taps, dilation, epilogue;
	nn_act act;
	int64_t block; /* rows of one call; 0: all */
	unsigned types; /* bits: f32, bf16, int8 */
} shape;

static const shape shapes[] = {
	{ "encoder query", 1500, 512, 512, 1, 0, BIAS_ACT, NN_IDENTITY, 56, 7 },
	{ "encoder up, gelu", 1500, 2048, 512, 1, 0, BIAS_ACT, NN_GELU, 56, 7 },
	{ "encoder down", 1500, 512, 2048, 1, 0, BIAS_RESIDUAL, NN_IDENTITY, 56, 7 },
	{ "encoder tiny", 1500, 384, 384, 1, 0, BIAS_ACT, NN_IDENTITY, 56, 7 },
	{ "scores", 28, 1500, 64, 1, 0, PLAIN, NN_IDENTITY, 0, 3 },
	{ "scores", 56, 1500, 64, 1, 0, PLAIN, NN_IDENTITY, 0, 3 },
	{ "weighted values", 28, 64, 1500, 1, 0, WEIGHTED, NN_IDENTITY, 0, 3 },
	{ "weighted values", 56, 64, 1500, 1, 0, WEIGHTED, NN_IDENTITY, 0, 3 },
	{ "mel convolution", 3000, 512, 80, 3, 1, BIAS_ACT, NN_GELU, 56, 3 },
	{ "vocoder 256, 3 taps", 8192, 256, 256, 3, 1, LEAKY_TWICE, NN_IDENTITY, 56, 3 },
	{ "vocoder 128, 7 taps", 8192, 128, 128, 7, 3, LEAKY_TWICE, NN_IDENTITY, 56, 3 },
	{ "vocoder 64, 11 taps", 8192, 64, 64, 11, 5, LEAKY_TWICE, NN_IDENTITY, 56, 3 },
	{ "vocoder 32, 3 taps", 8192, 32, 32, 3, 1, LEAKY_TWICE, NN_IDENTITY, 56, 3 },
	{ "vocoder 32, 7 taps", 8192, 32, 32, 7, 3, LEAKY_TWICE, NN_IDENTITY, 56, 3 },
	{ "vocoder 32, 11 taps", 8192, 32, 32, 11, 5, LEAKY_TWICE, NN_IDENTITY, 56, 3 },
	{ "vocoder 16, 7 taps", 8192, 16, 16, 7, 3, LEAKY_TWICE, NN_IDENTITY, 56, 3 },
	{ "vocoder's last", 8192, 1, 32, 7, 1, BIAS_ACT, NN_TANH, 56, 3 },
	{ "decoder step", 1, 512, 512, 1, 0, BIAS_RESIDUAL, NN_IDENTITY, 0, 7 },
	{ "decoder step", 1, 2048, 512, 1, 0, BIAS_ACT, NN_GELU, 0, 7 },
	{ "decoder step", 1, 512, 2048, 1, 0, BIAS_RESIDUAL, NN_IDENTITY, 0, 7 },
	{ "decoder step", 2, 2048, 512, 1, 0, BIAS_ACT, NN_GELU, 0, 7 },
	{ "decoder step", 4, 2048, 512, 1, 0, BIAS_ACT, NN_GELU, 0, 7 },
	{ "decoder step", 8, 2048, 512, 1, 0, BIAS_ACT, NN_GELU, 0, 7 },
	{ "decoder's values", 1, 64, 1500, 1, 0, WEIGHTED, NN_IDENTITY, 0, 3 },
	{ "vocabulary", 1, 51865, 512, 1, 0, PLAIN, NN_IDENTITY, 0, 7 },
	{ "vocabulary", 5, 51865, 512, 1, 0, PLAIN, NN_IDENTITY, 0, 7 },
	{ "vocabulary", 8, 51865, 512, 1, 0, PLAIN, NN_IDENTITY, 0, 7 },
};

#define SLICES 8

/* Of this thread alone: what else runs does not count. */
static double thread_seconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *memory(size_t bytes) {
	void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
	if (!p) {
		printf("Bail out! no memory\n");
		exit(1);
	}
	return memset(p, 0, bytes);
}

static nn_gemm gemm_of(const shape *s, int type, const nn_gemm_family *f, size_t *packed) {
	int64_t size = 4 >> type, row = s->k * size;
	*packed = (size_t)((s->n + f->nr - 1) / f->nr * s->taps * ((s->k + f->kr - 1) / f->kr) * f->nr * f->kr * f->element);
	nn_gemm g = { .m = s->m, .n = s->n, .k = s->k, .taps = s->taps, .row_bytes = row, .tap_bytes = s->dilation * row, .out_scale = 1 };
	g.a = memory((size_t)((s->m + s->taps * s->dilation) * row + NN_OVERREAD));
	g.c = memory((size_t)(s->m * (s->n + 32)) * 4);
	g.c_stride = g.c2_stride = g.residual_stride = s->n;
	g.act = s->act;
	float *w = memory((size_t)(s->n * s->k * s->taps) * 4), *rows = memory((size_t)s->m * 4), *columns = memory((size_t)s->n * 4);
	for (int64_t i = 0; i < s->n * s->k * s->taps; i++)
		w[i] = uniform(-1, 1);
	for (int64_t i = 0; i < s->m * s->k; i++) {
		if (type == 2)
			((uint8_t *)g.a)[i] = (uint8_t)random_bits();
		else
			nn_save((void *)g.a, type ? NN_STORE_BF16 : NN_STORE_F32, i, uniform(-1, 1));
	}
	void *b = memory(*packed);
	float *scale = memory((size_t)s->n * 4);
	int32_t *colsum = memory((size_t)s->n * 4);
	f->pack(w, s->n, s->k, s->taps, s->k * s->taps, s->k, 1, b, scale, colsum);
	free(w);
	g.b = b;
	if (type == 2) {
		g.a_scale = rows;
		g.b_scale = scale;
		g.b_colsum = colsum;
	}
	g.row_scale = s->epilogue == WEIGHTED ? rows : NULL;
	g.bias = s->epilogue == PLAIN || s->epilogue == WEIGHTED ? NULL : columns;
	g.residual = s->epilogue == BIAS_RESIDUAL || s->epilogue == LEAKY_TWICE ? memory((size_t)(s->m * s->n) * 4) : NULL;
	if (type && s->epilogue == BIAS_ACT)
		g.c_store = NN_STORE_BF16;
	if (s->epilogue == LEAKY_TWICE) {
		g.c2 = memory((size_t)(s->m * s->n) * 4);
		g.c2_store = type ? NN_STORE_BF16 : NN_STORE_F32;
		g.act2 = NN_LEAKY_RELU;
		g.act2_param = 0.1f;
	}
	return g;
}

static void run_block(const nn_gemm_family *f, const nn_gemm *whole, int64_t m, int64_t rows) {
	nn_gemm g = *whole;
	g.m = rows;
	g.a = (const char *)g.a + m * g.row_bytes;
	g.c = (char *)g.c + m * g.c_stride * (g.c_store == NN_STORE_F32 ? 4 : 2);
	g.c2 = g.c2 ? (char *)g.c2 + m * g.c2_stride * (g.c2_store == NN_STORE_F32 ? 4 : 2) : NULL;
	g.residual = g.residual ? g.residual + m * g.residual_stride : NULL;
	f->run(&g);
}

/* Runs all blocks, timed in slices of neighbours; best[i]: the least time so far of slice i. Returns the time of all. */
static double run_blocks(const nn_gemm_family *f, const nn_gemm *g, int64_t block, int64_t blocks, int64_t slices, double *best) {
	double all = 0;
	for (int64_t i = 0; i < slices; i++) {
		double start = thread_seconds();
		for (int64_t m = blocks * i / slices * block; m < blocks * (i + 1) / slices * block && m < g->m; m += block)
			run_block(f, g, m, g->m - m < block ? g->m - m : block);
		double taken = thread_seconds() - start;
		best[i] = taken < best[i] ? taken : best[i];
		all += taken;
	}
	return all;
}

static void bench_shape(const nn_gemm_family *f, const shape *s, int type, double peak) {
	static const char *const types[] = { "f32", "bf16", "int8" };
	size_t packed;
	nn_gemm g = gemm_of(s, type, f, &packed);
	int64_t block = s->block ? s->block : s->m, blocks = (s->m + block - 1) / block, slices = blocks < SLICES ? 1 : SLICES;
	double each[SLICES], best = 0, all = 0;
	for (int64_t i = 0; i < slices; i++)
		each[i] = 1e9;
	for (int round = 0; round < 1000 && all < 0.25; round++)
		all += run_blocks(f, &g, block, blocks, slices, each);
	for (int64_t i = 0; i < slices; i++)
		best += each[i];
	double rate = 2e-9 * (double)(s->m * s->n * s->k * s->taps) / best;
	printf("# %-12s %-4s %-20s m %5lld n %5lld k %4lld taps %2d  %9.1f us %7.1f Gop/s", f->isa, types[type], s->what, (long long)s->m,
	       (long long)s->n, (long long)s->k, s->taps, best * 1e6, rate);
	if (peak > 0)
		printf(" %5.1f %%", 100 * rate / peak);
	printf(s->m <= 8 ? "  reads %.1f GB/s\n" : "\n", (double)packed / best * 1e-9);
	free((void *)g.a);
	free((void *)g.b);
	free((void *)g.a_scale);
	free((void *)g.b_scale);
	free((void *)g.b_colsum);
	free(g.c);
	free(g.c2);
	free((void *)g.residual);
}

void bench_gemm(const nn_kernels *k, const double *peaks, const char *only) {
	const nn_gemm_family *families[] = { &k->f32, &k->bf16, &k->s8 };
	for (int type = 0; type < 3; type++)
		for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
			if (shapes[i].types >> type & 1 && (!only || strstr(shapes[i].what, only)))
				bench_shape(families[type], &shapes[i], type, peaks[type]);
}
