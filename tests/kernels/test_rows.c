/* Row kernels (quantising, norms, softmax, cache attention) of every instruction set against scalar C. */
#include "fence.h"
#include "levels.h"
#include "nn/cpu/scalar.h"

static const nn_kernels *truth, *k;
static fence in_a, in_b, in_c, in_d, out_a, out_b, out_c;

static const int64_t long_sizes[] = { 384, 448, 512, 1499, 1500, 2048 };
#define SIZES (200 + 6)
static int64_t size_at(int i) { return i < 200 ? i + 1 : long_sizes[i - 200]; }

static size_t element(nn_store store) { return store == NN_STORE_F32 ? 4 : store == NN_STORE_BF16 ? 2 : 1; }
static const char *const store_names[] = { "f32", "bf16", "u8" };

static void fill(void *x, nn_store store, int64_t n, float mean, float spread) {
	for (int64_t i = 0; i < n; i++)
		nn_save(x, store, i, mean + spread * normal());
}

/* ---- quantising: the same bytes ---- */

static void quantize_once(result *r, nn_store store, int64_t n, int kind) {
	static const float spreads[] = { 1, 1e-12f, 1e30f, 1e-36f, 1, 1, 0 };
	void *x = fence_input(&in_a, (size_t)n * element(store));
	size_t bytes = (size_t)(n + 3) & ~(size_t)3;
	uint8_t *got = fence_output(&out_a, bytes, (size_t)(n & 3) * 4), *wanted = fence_output(&out_b, bytes, 0);
	fill(x, store, n, 0, spreads[kind]);
	if (kind == 4 || kind == 5)
		nn_save(x, store, random_bits() % (uint64_t)n, kind == 4 ? NAN : -INFINITY);
	float a = k->quantize_row(x, store, got, n), b = truth->quantize_row(x, store, wanted, n);
	check_that(r, fence_whole(&out_a) && fence_whole(&out_b), "wrote outside", n);
	check_that(r, a == b || (isnan(a) && isnan(b)), "another scale", n);
	check_that(r, !memcmp(got, wanted, bytes), "other bytes", n);
	check_that(r, kind == 4 ? isnan(b) : kind == 5 ? isinf(b) : b > 0 && isfinite(b), "wrong scale", n);
	if (kind > 2)
		return;
	for (int64_t i = 0; i < n; i++)
		check_near(r, (wanted[i] - 128) * (double)b, nn_load(x, store, i), 0.5001 * b, "value", n, i);
}

static void test_quantize(const char *isa) {
	for (int store = 0; store < 2; store++) {
		result r = { 0 };
		for (int s = 0; s < SIZES; s++)
			for (int kind = 0; kind < 7; kind++)
				quantize_once(&r, (nn_store)store, size_at(s), kind);
		char name[60];
		snprintf(name, sizeof name, "quantize row of %s", store_names[store]);
		case_end(&r, isa, name);
	}
}

/* ---- layer norm ----
 * The mean is off by about 1e-7 |mean|, which the division by the deviation enlarges. A byte may fall on the next step. */

static void norm_once(result *r, nn_store store, int64_t n, float mean, float spread) {
	float *x = fence_input(&in_a, (size_t)n * 4), *gamma = fence_input(&in_b, (size_t)n * 4), *beta = fence_input(&in_c, (size_t)n * 4);
	float *scratch = fence_output(&out_c, (size_t)n * 4, 4);
	size_t bytes = store == NN_STORE_U8 ? (size_t)(n + 3) & ~(size_t)3 : (size_t)n * element(store);
	void *y = fence_output(&out_a, bytes, (size_t)(n & 3) * 4), *wanted = fence_output(&out_b, bytes, 0);
	fill(x, NN_STORE_F32, n, mean, spread);
	fill(gamma, NN_STORE_F32, n, 1, 0.5f);
	fill(beta, NN_STORE_F32, n, 0, 0.5f);
	float b = truth->layer_norm(x, gamma, beta, 1e-5f, wanted, store, scratch, n);
	float a = k->layer_norm(x, gamma, beta, 1e-5f, y, store, scratch, n);
	check_that(r, fence_whole(&out_a) && fence_whole(&out_c), "wrote outside", n);
	double bound = 2e-6 + 1e-6 * fabs(mean) / sqrt((double)spread * spread + 1e-5);
	if (store == NN_STORE_U8) {
		check_near(r, a, b, bound * b, "scale", n, 0);
		for (size_t i = 0; i < bytes; i++)
			check_near(r, ((uint8_t *)y)[i], ((uint8_t *)wanted)[i], 1, "byte", n, (int64_t)i);
		return;
	}
	for (int64_t i = 0; i < n; i++) {
		double w = nn_load(wanted, store, i), step = store == NN_STORE_BF16 ? fabs(w) / 128 : 0;
		check_near(r, nn_load(y, store, i), w, bound * (4 + fabs(w)) + step, "value", n, i);
	}
}

static void test_norm(const char *isa) {
	for (int store = 0; store < 3; store++) {
		result r = { 0 };
		for (int s = 0; s < SIZES; s++) {
			norm_once(&r, (nn_store)store, size_at(s), 0, 1);
			norm_once(&r, (nn_store)store, size_at(s), 3, 1e-3f);
			norm_once(&r, (nn_store)store, size_at(s), 100, 1);
			norm_once(&r, (nn_store)store, size_at(s), 0, 1e6f);
		}
		char name[60];
		snprintf(name, sizeof name, "layer norm to %s", store_names[store]);
		case_end(&r, isa, name);
	}
}

/* A constant row, whose variance is zero, and a row with a NaN. */
static void test_norm_edges(const char *isa) {
	result r = { 0 };
	float gamma[64], beta[64], x[64], y[64], scratch[64];
	uint8_t bytes[64];
	for (int i = 0; i < 64; i++) {
		gamma[i] = 2;
		beta[i] = (float)i;
		x[i] = 0.5f;
	}
	k->layer_norm(x, gamma, beta, 1e-5f, y, NN_STORE_F32, scratch, 64);
	for (int i = 0; i < 64; i++)
		check_near(&r, y[i], i, 1e-6, "constant row", 64, i);
	x[17] = NAN;
	k->layer_norm(x, gamma, beta, 1e-5f, y, NN_STORE_F32, scratch, 64);
	check_that(&r, isnan(y[0]) && isnan(y[63]), "a NaN was lost", 64);
	check_that(&r, isnan(k->layer_norm(x, gamma, beta, 1e-5f, bytes, NN_STORE_U8, scratch, 64)), "a NaN was lost in bytes", 64);
	case_end(&r, isa, "layer norm of a constant, of a NaN");
}

/* ---- softmax ----
 * p = exp(d), d = x - max: relative error up to 3e-7 + 1e-7 |d|; the sum's is below 1e-6. To bf16: 1e-4 and a step. */

static void softmax_once(result *r, nn_store store, int64_t n, float spread, int masked) {
	float *x = fence_input(&in_a, (size_t)n * 4), top = -INFINITY;
	int64_t padded = n + (int64_t)(random_bits() % 40);
	size_t bytes = (size_t)padded * element(store);
	void *p = fence_output(&out_a, bytes, (size_t)(n & 3) * 4), *wanted = fence_output(&out_b, bytes, 0);
	fill(x, NN_STORE_F32, n, 0, spread);
	for (int64_t i = 0; i < n; i++) {
		if (masked == 2 || (masked && random_bits() % 3 == 0))
			x[i] = -INFINITY;
		top = x[i] > top ? x[i] : top;
	}
	float b = truth->softmax_row(x, n, padded, wanted, store), a = k->softmax_row(x, n, padded, p, store);
	check_that(r, fence_whole(&out_a), "wrote outside", n);
	check_near(r, a, b, (store == NN_STORE_BF16 ? 1e-4 : 1e-6) * b + 1e-30, "1 / sum", n, 0);
	if (top == -INFINITY)
		check_that(r, a == 0, "a row of nothing", n);
	for (int64_t i = 0; i < padded; i++) {
		double w = nn_load(wanted, store, i), d = i < n && top > -INFINITY ? fmin(fabs((double)x[i] - top), 200) : 0;
		double bound = store == NN_STORE_BF16 ? 1e-4 + 1.0 / 128 : 3e-7;
		check_near(r, nn_load(p, store, i), w, (bound + 1e-7 * d) * w + 1e-37, "value", n, i);
		if (i >= n || x[i] == -INFINITY)
			check_that(r, nn_load(p, store, i) == 0, "not zero where masked or padded", n);
	}
	if (store != NN_STORE_F32)
		return;
	float *same = fence_output(&out_c, bytes, 4);
	memcpy(same, x, (size_t)n * 4);
	k->softmax_row(same, n, padded, same, NN_STORE_F32);
	check_that(r, fence_whole(&out_c) && !memcmp(same, p, bytes), "in place differs", n);
}

static void test_softmax(const char *isa) {
	for (int store = 0; store < 2; store++) {
		result r = { 0 };
		for (int s = 0; s < SIZES; s++)
			for (int masked = 0; masked < 3; masked++) {
				softmax_once(&r, (nn_store)store, size_at(s), 1, masked);
				softmax_once(&r, (nn_store)store, size_at(s), 30, masked);
				softmax_once(&r, (nn_store)store, size_at(s), 1e30f, masked);
			}
		char name[60];
		snprintf(name, sizeof name, "softmax to %s", store_names[store]);
		case_end(&r, isa, name);
	}
	result r = { 0 };
	float x[50], p[50];
	for (int i = 0; i < 50; i++)
		x[i] = (float)(i % 7);
	x[33] = NAN;
	check_that(&r, isnan(k->softmax_row(x, 50, 50, p, NN_STORE_F32)), "a NaN was lost", 50);
	check_that(&r, k->softmax_row(x, 0, 5, p, NN_STORE_F32) == 0 && p[0] == 0 && p[4] == 0, "an empty row", 0);
	case_end(&r, isa, "softmax of a NaN, of nothing");
}

/* The same row gives the same bytes wherever it lies. */
static void test_places(const char *isa) {
	result r = { 0 };
	for (int s = 0; s < SIZES; s++) {
		int64_t n = size_at(s);
		float *x = fence_input(&in_a, (size_t)n * 4), *first = fence_output(&out_a, (size_t)n * 4, 0), sum = 0;
		float *ones = fence_input(&in_b, (size_t)n * 4), *scratch = fence_output(&out_c, (size_t)n * 8 + 64, 0);
		fill(x, NN_STORE_F32, n, 0, 3);
		fill(ones, NN_STORE_F32, n, 1, 0);
		for (int shift = 0; shift < 16; shift++) {
			float *moved = (float *)out_b.page + shift, *y = scratch + shift;
			memcpy(moved, x, (size_t)n * 4);
			float got = k->softmax_row(moved, n, n, y, NN_STORE_F32);
			if (!shift) {
				sum = got;
				memcpy(first, y, (size_t)n * 4);
			}
			check_that(&r, got == sum && !memcmp(first, y, (size_t)n * 4), "softmax differs by place", n);
		}
		for (int shift = 0; shift < 16; shift++) {
			float *moved = (float *)out_b.page + shift, *y = scratch + shift;
			memcpy(moved, x, (size_t)n * 4);
			k->layer_norm(moved, ones, ones, 1e-5f, y, NN_STORE_F32, NULL, n);
			if (!shift)
				memcpy(first, y, (size_t)n * 4);
			check_that(&r, !memcmp(first, y, (size_t)n * 4), "layer norm differs by place", n);
		}
	}
	case_end(&r, isa, "the same bytes at every place");
}

/* ---- attention over a cache ---- */

#define SLOTS 5

static void attend(result *r, nn_store store, nn_store out_store, int heads, int64_t size, int64_t length, int with_probs) {
	int64_t width = heads * size, most = length + 3, slot = most * width, stride = length + 2;
	float *q = fence_input(&in_a, (size_t)width * 4);
	void *keys = fence_input(&in_b, (size_t)(SLOTS * slot) * element(store));
	void *values = fence_input(&in_c, (size_t)(SLOTS * slot) * element(store));
	int32_t *table = fence_input(&in_d, (size_t)length * 4);
	fill(q, NN_STORE_F32, width, 0, 2);
	fill(keys, store, SLOTS * slot, 0, 1);
	fill(values, store, SLOTS * slot, 0, 1);
	for (int64_t p = 0; p < length; p++)
		table[p] = (int32_t)(random_bits() % SLOTS);

	float *scratch = fence_output(&out_a, (size_t)length * 4, 4), *probs[2] = { NULL, NULL };
	size_t bytes = (size_t)width * element(out_store), prob_bytes = (size_t)((heads - 1) * stride + length) * 4;
	unsigned char *out = fence_output(&out_b, 2 * bytes, 4);
	if (with_probs) {
		probs[0] = fence_output(&out_c, 2 * prob_bytes, 4);
		probs[1] = probs[0] + prob_bytes / 4;
	}
	float scale = 1 / sqrtf((float)size);
	truth->cache_attention(q, keys, values, store, table, slot, width, size, heads, length, scale, scratch, probs[0], stride, out, out_store);
	k->cache_attention(q, keys, values, store, table, slot, width, size, heads, length, scale, scratch, probs[1], stride, out + bytes,
	                   out_store);
	check_that(r, fence_whole(&out_a) && fence_whole(&out_b) && (!with_probs || fence_whole(&out_c)), "wrote outside", length);
	for (int64_t c = 0; c < width; c++) {
		double w = nn_load(out, out_store, c);
		check_near(r, nn_load(out + bytes, out_store, c), w, 5e-6 + (out_store == NN_STORE_BF16 ? fabs(w) / 128 : 0), "out", length, c);
	}
	for (int h = 0; with_probs && h < heads; h++) {
		double sum = 0;
		for (int64_t p = 0; p < length; p++) {
			check_near(r, probs[1][h * stride + p], probs[0][h * stride + p], 4e-6, "probability", length, p);
			sum += probs[1][h * stride + p];
		}
		check_near(r, sum, 1, 1e-5, "sum of probabilities", length, h);
	}
}

static void test_cache_attention(const char *isa) {
	static const int64_t head_sizes[] = { 64, 16, 32, 48, 80, 128, 144, 1, 5, 20, 63, 65, 100 };
	for (int stores = 0; stores < 4; stores++) {
		nn_store store = stores & 1 ? NN_STORE_BF16 : NN_STORE_F32, out = stores & 2 ? NN_STORE_BF16 : NN_STORE_F32;
		result r = { 0 };
		for (int64_t length = 1; length <= 40; length++)
			attend(&r, store, out, 2, 64, length, length & 1);
		attend(&r, store, out, 8, 64, 224, 1);
		for (int s = 0; s < 13; s++)
			for (int64_t length = 1; length <= 9; length++)
				attend(&r, store, out, 3, head_sizes[s], length, 1);
		char name[60];
		snprintf(name, sizeof name, "cache attention %s to %s", store_names[store], store_names[out]);
		case_end(&r, isa, name);
	}
}

static void bench(const char *isa) {
	int64_t n = 1500;
	float *x = fence_input(&in_a, 4096 * 4), *y = fence_output(&out_a, 4096 * 4, 0), *g = fence_input(&in_d, 4096 * 4);
	float *scratch = fence_output(&out_b, 4096 * 4, 0);
	fill(x, NN_STORE_F32, 2048, 0, 3);
	fill(g, NN_STORE_F32, 2048, 1, 1);
	BENCH(isa, "softmax 1500 to f32", n, k->softmax_row(x, n, n, y, NN_STORE_F32));
	BENCH(isa, "softmax 1500 to bf16", n, k->softmax_row(x, n, n, y, NN_STORE_BF16));
	BENCH(isa, "softmax 100 to f32", 100, k->softmax_row(x, 100, 100, y, NN_STORE_F32));
	BENCH(isa, "quantize 512", 512, k->quantize_row(x, NN_STORE_F32, (uint8_t *)y, 512));
	BENCH(isa, "quantize 512 of bf16", 512, k->quantize_row(x, NN_STORE_BF16, (uint8_t *)y, 512));
	BENCH(isa, "layer norm 512 to f32", 512, k->layer_norm(x, g, g, 1e-5f, y, NN_STORE_F32, scratch, 512));
	BENCH(isa, "layer norm 512 to bf16", 512, k->layer_norm(x, g, g, 1e-5f, y, NN_STORE_BF16, scratch, 512));
	BENCH(isa, "layer norm 512 to u8", 512, k->layer_norm(x, g, g, 1e-5f, y, NN_STORE_U8, scratch, 512));
	int32_t table[224] = { 0 };
	void *keys = fence_input(&in_b, 224 * 512 * 4), *values = fence_input(&in_c, 224 * 512 * 4);
	fill(keys, NN_STORE_F32, 224 * 512, 0, 1);
	fill(values, NN_STORE_F32, 224 * 512, 0, 1);
	BENCH(isa, "cache attention f32 8x64x224", 224 * 512, k->cache_attention(x, keys, values, NN_STORE_F32, table, 0, 512, 64, 8, 224, 0.1f,
	                                                                           scratch, NULL, 0, y, NN_STORE_F32));
	fill(keys, NN_STORE_BF16, 224 * 512, 0, 1);
	fill(values, NN_STORE_BF16, 224 * 512, 0, 1);
	BENCH(isa, "cache attention bf16 8x64x224", 224 * 512, k->cache_attention(x, keys, values, NN_STORE_BF16, table, 0, 512, 64, 8, 224,
	                                                                            0.1f, scratch, NULL, 0, y, NN_STORE_F32));
}

int main(int argc, char **argv) {
	static nn_kernels scalar, tested;
	nn_kernels_fill(&scalar, 0);
	truth = &scalar;
	fence *fences[] = { &in_a, &in_b, &in_c, &in_d, &out_a, &out_b, &out_c };
	for (int i = 0; i < 7; i++)
		fence_open(fences[i]);
	int benches = argc > 1 && !strcmp(argv[1], "--bench");
	k = &tested;
	for (size_t i = benches ? 0 : 1; i < LEVEL_COUNT; i++) {
		const nn_kernels last = tested;
		nn_kernels_fill(&tested, levels[i].flags);
		if (!has_level(i) || tested.softmax_row == (i ? last.softmax_row : NULL))
			continue;
		if (benches) {
			bench(k->name);
			continue;
		}
		test_quantize(k->name);
		test_norm(k->name);
		test_norm_edges(k->name);
		test_softmax(k->name);
		test_places(k->name);
		test_cache_attention(k->name);
	}
	return benches ? 0 : cases_end();
}
