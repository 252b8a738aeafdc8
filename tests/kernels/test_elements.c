/* Element kernels of every instruction set against scalar C. */
#include "fence.h"
#include "levels.h"
#include "nn/cpu/scalar.h"

static const nn_kernels *truth, *k;
static fence in_a, in_b, out_a, out_b, out_c;

static const int64_t long_sizes[] = { 384, 512, 1499, 1500, 2048 };
#define SIZES (200 + 5)
static int64_t size_at(int i) { return i < 200 ? i + 1 : long_sizes[i - 200]; }

static size_t bytes_of(nn_store store, int64_t n) { return (size_t)n * (store == NN_STORE_F32 ? 4 : 2); }
static const char *store_name(nn_store store) { return store == NN_STORE_F32 ? "f32" : "bf16"; }

/* A bf16 result may fall on the next value where the float result lies by the middle: one step of 2^-8, times 2. The conversion of
 * AVX512-BF16 takes denormals for zero. */
static double bound_of(nn_store store, double wanted, double bound) {
	return isfinite(wanted) && store == NN_STORE_BF16 ? bound + fabs(wanted) / 128 + 0x1p-126 : bound;
}

static void fill(void *x, nn_store store, int64_t n, float spread) {
	for (int64_t i = 0; i < n; i++)
		nn_save(x, store, i, spread * normal());
}

static void fill_special(void *x, nn_store store, int64_t n, int infinities) {
	static const float special[] = { 0.f, -0.f, 1e-40f, -1e-40f, 1e-20f, -1e-20f, 1e-4f, 88.f, -88.f, 104.f, -104.f, 1e5f, -1e5f,
	                                 3e38f, -3e38f, NAN, INFINITY, -INFINITY };
	int count = (int)(sizeof special / sizeof *special) - (infinities ? 0 : 2);
	for (int64_t i = 0; i < n; i++)
		nn_save(x, store, i, special[random_bits() % (uint32_t)count]);
}

/* ---- unary ---- */

/* |error| <= absolute + relative * |wanted|. Where infinities are left out the formula itself has none (0 times infinity). */
static const struct {
	nn_act act;
	const char *name;
	float param;
	double absolute, relative;
	int infinities;
} acts[] = {
	{ NN_IDENTITY, "identity", 0, 0, 0, 1 },
	{ NN_RELU, "relu", 0, 0, 0, 1 },
	{ NN_LEAKY_RELU, "leaky relu", 0.1f, 0, 0, 1 },
	{ NN_GELU, "gelu", 0, 6e-7, 3e-7, 0 },
	{ NN_GELU_TANH, "gelu tanh", 0, 6e-7, 5e-7, 0 },
	{ NN_SILU, "silu", 0, 2e-7, 6e-7, 0 },
	{ NN_TANH, "tanh", 0, 1e-37, 5e-7, 1 },
	{ NN_SIGMOID, "sigmoid", 0, 1e-37, 6e-7, 1 },
	{ NN_EXP, "exp", 0, 1e-37, 5e-7, 1 },
	{ NN_LOG, "log", 0, 1e-7, 3e-7, 1 },
	{ NN_SQRT, "sqrt", 0, 0, 0, 1 },
	{ NN_SOFTPLUS, "softplus", 0, 1e-37, 8e-7, 1 },
	{ NN_NEG, "neg", 0, 0, 0, 1 },
	{ NN_ABS, "abs", 0, 0, 0, 1 },
	{ NN_CLAMP_MIN, "clamp min", 0.25f, 0, 0, 1 },
	{ NN_ELU, "elu", 0, 2e-7, 6e-7, 1 },
};

static void unary_once(result *r, int a, nn_store xs, nn_store ys, int64_t n, int special) {
	void *x = fence_input(&in_a, bytes_of(xs, n)), *y = fence_output(&out_a, bytes_of(ys, n), (size_t)(n & 7) * 4);
	void *wanted = fence_output(&out_b, bytes_of(ys, n), 0);
	if (special)
		fill_special(x, xs, n, acts[a].infinities);
	else
		fill(x, xs, n, n % 3 ? 3 : 30);
	truth->unary(acts[a].act, acts[a].param, x, xs, wanted, ys, n);
	k->unary(acts[a].act, acts[a].param, x, xs, y, ys, n);
	check_that(r, fence_whole(&out_a), "wrote outside", n);
	for (int64_t i = 0; i < n; i++) {
		double w = nn_load(wanted, ys, i);
		check_near(r, nn_load(y, ys, i), w, bound_of(ys, w, acts[a].absolute + acts[a].relative * fabs(w)), special ? "special" : "random",
		           n, i);
	}
	if (xs != ys)
		return;
	void *same = fence_output(&out_c, bytes_of(xs, n), 4);
	memcpy(same, x, bytes_of(xs, n));
	k->unary(acts[a].act, acts[a].param, same, xs, same, xs, n);
	check_that(r, !memcmp(same, y, bytes_of(ys, n)), "in place differs", n);
}

static void test_unary(const char *isa) {
	for (size_t a = 0; a < sizeof acts / sizeof *acts; a++)
		for (int stores = 0; stores < 4; stores++) {
			result r = { 0 };
			nn_store xs = stores & 1 ? NN_STORE_BF16 : NN_STORE_F32, ys = stores & 2 ? NN_STORE_BF16 : NN_STORE_F32;
			for (int s = 0; s < SIZES; s++)
				for (int special = 0; special < 2; special++)
					unary_once(&r, (int)a, xs, ys, size_at(s), special);
			char name[60];
			snprintf(name, sizeof name, "%s %s to %s", acts[a].name, store_name(xs), store_name(ys));
			case_end(&r, isa, name);
		}
}

/* ---- binary, affine, convert: exact but for denormals in bf16 ---- */

static void check_same(result *r, const void *got, const void *wanted, nn_store store, int64_t n) {
	for (int64_t i = 0; i < n; i++) {
		float a = nn_load(got, store, i), b = nn_load(wanted, store, i);
		int tiny = store == NN_STORE_BF16 && fabsf(a) < 0x1p-126f && fabsf(b) <= 0x1p-126f;
		if (!tiny && !(isnan(a) && isnan(b)))
			check_that(r, !memcmp(&a, &b, sizeof a), "not the same bits", n);
	}
}

static void binary_once(result *r, nn_binary_op op, nn_store ys, int64_t n, int64_t period, int special) {
	float *a = fence_input(&in_a, (size_t)n * 4), *b = fence_input(&in_b, (size_t)period * 4);
	void *y = fence_output(&out_a, bytes_of(ys, n), (size_t)(n & 3) * 4), *wanted = fence_output(&out_b, bytes_of(ys, n), 0);
	if (special) {
		fill_special(a, NN_STORE_F32, n, 1);
		fill_special(b, NN_STORE_F32, period, 1);
	} else {
		fill(a, NN_STORE_F32, n, 3);
		fill(b, NN_STORE_F32, period, 3);
	}
	truth->binary(op, a, b, period, wanted, ys, n);
	k->binary(op, a, b, period, y, ys, n);
	check_that(r, fence_whole(&out_a), "wrote outside", n);
	check_same(r, y, wanted, ys, n);
	if (ys != NN_STORE_F32)
		return;
	k->binary(op, a, b, period, a, ys, n);
	check_same(r, a, wanted, ys, n);
}

static void test_binary(const char *isa) {
	static const char *const names[] = { "add", "sub", "mul", "div" };
	for (int op = 0; op < 4; op++)
		for (int bf16 = 0; bf16 < 2; bf16++) {
			result r = { 0 };
			nn_store ys = bf16 ? NN_STORE_BF16 : NN_STORE_F32;
			for (int s = 0; s < SIZES; s++) {
				int64_t n = size_at(s), periods[] = { n, 1, 2, 7, 48 };
				for (int p = 0; p < 5; p++) {
					binary_once(&r, (nn_binary_op)op, ys, n, periods[p], 0);
					binary_once(&r, (nn_binary_op)op, ys, n, periods[p], 1);
				}
			}
			char name[60];
			snprintf(name, sizeof name, "%s to %s", names[op], store_name(ys));
			case_end(&r, isa, name);
		}
}

static void test_affine(const char *isa) {
	result r = { 0 };
	for (int s = 0; s < 2 * SIZES; s++) {
		int64_t n = size_at(s / 2);
		nn_store ys = s & 1 ? NN_STORE_BF16 : NN_STORE_F32;
		float *x = fence_input(&in_a, (size_t)n * 4);
		void *y = fence_output(&out_a, bytes_of(ys, n), 8), *wanted = fence_output(&out_b, bytes_of(ys, n), 0);
		fill(x, NN_STORE_F32, n, 3);
		truth->affine(x, 1.7f, -0.3f, wanted, ys, n);
		k->affine(x, 1.7f, -0.3f, y, ys, n);
		check_that(&r, fence_whole(&out_a), "wrote outside", n);
		check_same(&r, y, wanted, ys, n);
	}
	case_end(&r, isa, "affine");
}

/* Every bf16 value to float and back, and floats of any bits to bf16. */
static void test_convert(const char *isa) {
	result r = { 0 };
	nn_bf16 *half = fence_input(&in_a, 65536 * 2), *back = fence_output(&out_b, 65536 * 2, 0);
	float *wide = fence_output(&out_a, 65536 * 4, 4);
	for (int i = 0; i < 65536; i++)
		half[i] = (nn_bf16)i;
	k->convert(half, NN_STORE_BF16, wide, NN_STORE_F32, 65536);
	k->convert(wide, NN_STORE_F32, back, NN_STORE_BF16, 65536);
	for (int i = 0; i < 65536; i++) {
		check_that(&r, isnan(nn_bf16_get(half[i])) ? isnan(wide[i]) : wide[i] == nn_bf16_get(half[i]), "bf16 to f32", i);
		int tiny = fabsf(wide[i]) < 0x1p-126f && !(back[i] & 0x7fff);
		check_that(&r, isnan(wide[i]) ? isnan(nn_bf16_get(back[i])) : tiny || half[i] == back[i], "bf16 to f32 and back", i);
	}
	for (int s = 0; s < 20 * SIZES; s++) {
		int64_t n = size_at(s / 20);
		float *x = fence_input(&in_a, (size_t)n * 4);
		nn_bf16 *y = fence_output(&out_a, (size_t)n * 2, 2), *wanted = fence_output(&out_b, (size_t)n * 2, 0);
		for (int64_t i = 0; i < n; i++) {
			uint32_t bits = random_bits();
			memcpy(x + i, &bits, 4);
		}
		truth->convert(x, NN_STORE_F32, wanted, NN_STORE_BF16, n);
		k->convert(x, NN_STORE_F32, y, NN_STORE_BF16, n);
		check_that(&r, fence_whole(&out_a), "wrote outside", n);
		check_same(&r, y, wanted, NN_STORE_BF16, n);
	}
	case_end(&r, isa, "convert");
}

/* ---- gates ---- */

static void test_gated_tanh(const char *isa) {
	for (int bf16 = 0; bf16 < 2; bf16++) {
		result r = { 0 };
		nn_store ys = bf16 ? NN_STORE_BF16 : NN_STORE_F32;
		for (int s = 0; s < 2 * SIZES; s++) {
			int64_t n = size_at(s / 2);
			float *x = fence_input(&in_a, (size_t)n * 8);
			void *y = fence_output(&out_a, bytes_of(ys, n), 4), *wanted = fence_output(&out_b, bytes_of(ys, n), 0);
			if (s & 1)
				fill_special(x, NN_STORE_F32, 2 * n, 1);
			else
				fill(x, NN_STORE_F32, 2 * n, 4);
			truth->gated_tanh(x, wanted, ys, n);
			k->gated_tanh(x, y, ys, n);
			check_that(&r, fence_whole(&out_a), "wrote outside", n);
			for (int64_t i = 0; i < n; i++) {
				double w = nn_load(wanted, ys, i);
				check_near(&r, nn_load(y, ys, i), w, bound_of(ys, w, 5e-7), s & 1 ? "special" : "random", n, i);
			}
		}
		case_end(&r, isa, bf16 ? "gated tanh to bf16" : "gated tanh to f32");
	}
}

static void test_lstm(const char *isa) {
	result r = { 0 };
	for (int s = 0; s < SIZES; s++) {
		int64_t n = size_at(s);
		float *gates = fence_input(&in_a, (size_t)n * 16);
		float *c = fence_output(&out_a, (size_t)n * 4, 4), *h = fence_output(&out_b, (size_t)n * 4, 4);
		float *wanted = fence_input(&in_b, (size_t)n * 8);
		fill(gates, NN_STORE_F32, 4 * n, s % 2 ? 2 : 20);
		fill(c, NN_STORE_F32, n, 2);
		memcpy(wanted, c, (size_t)n * 4);
		truth->lstm_gates(gates, wanted, wanted + n, n);
		k->lstm_gates(gates, c, h, n);
		check_that(&r, fence_whole(&out_a) && fence_whole(&out_b), "wrote outside", n);
		for (int64_t i = 0; i < n; i++) {
			check_near(&r, c[i], wanted[i], 1e-6 + 1e-6 * fabs(wanted[i]), "cell", n, i);
			check_near(&r, h[i], wanted[n + i], 1.5e-6, "hidden", n, i);
		}
	}
	case_end(&r, isa, "lstm gates");
}

static void test_gru(const char *isa) {
	result r = { 0 };
	for (int s = 0; s < SIZES; s++) {
		int64_t n = size_at(s);
		float *x = fence_input(&in_a, (size_t)n * 12), *recurrent = fence_input(&in_b, (size_t)n * 12);
		float *h = fence_output(&out_a, (size_t)n * 4, 4), *wanted = fence_output(&out_b, (size_t)n * 4, 4);
		fill(x, NN_STORE_F32, 3 * n, s % 2 ? 2 : 20);
		fill(recurrent, NN_STORE_F32, 3 * n, 2);
		fill(h, NN_STORE_F32, n, 1);
		memcpy(wanted, h, (size_t)n * 4);
		truth->gru_gates(x, recurrent, wanted, n);
		k->gru_gates(x, recurrent, h, n);
		check_that(&r, fence_whole(&out_a), "wrote outside", n);
		for (int64_t i = 0; i < n; i++)
			check_near(&r, h[i], wanted[i], 1.5e-6, "hidden", n, i);
	}
	case_end(&r, isa, "gru gates");
}

/* ---- depthwise: taps ascend with fused multiply-adds, so exact ---- */

static void test_depthwise(const char *isa) {
	result r = { 0 };
	for (int s = 0; s < 400; s++) {
		int taps = 1 + (int)(random_bits() % 9), stride = 1 + (int)(random_bits() % 3), dilation = 1 + (int)(random_bits() % 9);
		int pad = (int)(random_bits() % 12);
		int64_t channels = 1 + random_bits() % 70, time = 1 + random_bits() % 60;
		int64_t rows = (time + 2 * pad - (int64_t)dilation * (taps - 1) - 1) / stride + 1;
		if (time + 2 * pad - (int64_t)dilation * (taps - 1) < 1)
			continue;
		int64_t t0 = random_bits() % (uint64_t)rows, t1 = t0 + 1 + random_bits() % (uint64_t)(rows - t0);
		float *x = fence_input(&in_a, (size_t)(time * channels) * 4), *w = fence_input(&in_b, (size_t)((taps + 1) * channels) * 4);
		float *bias = s & 1 ? w + taps * channels : NULL;
		/* outputs begin at row t0: what lies before and after must stay */
		size_t bytes = (size_t)((t1 - t0) * channels) * 4;
		float *y = fence_output(&out_a, bytes, 4), *wanted = fence_output(&out_b, bytes, 4);
		fill(x, NN_STORE_F32, time * channels, 1);
		fill(w, NN_STORE_F32, (taps + 1) * channels, 1);
		truth->depthwise(x, time, channels, w, bias, taps, stride, dilation, pad, wanted - t0 * channels, t0, t1);
		k->depthwise(x, time, channels, w, bias, taps, stride, dilation, pad, y - t0 * channels, t0, t1);
		check_that(&r, fence_whole(&out_a), "wrote outside", channels);
		check_same(&r, y, wanted, NN_STORE_F32, (t1 - t0) * channels);
	}
	case_end(&r, isa, "depthwise");
}

static void bench(const char *isa) {
	int64_t n = 8192;
	float *x = fence_input(&in_a, (size_t)n * 8), *y = fence_output(&out_a, (size_t)n * 4, 0), *b = fence_input(&in_b, (size_t)n * 8);
	fill(x, NN_STORE_F32, 2 * n, 2);
	fill(b, NN_STORE_F32, n, 2);
	for (size_t a = 0; a < sizeof acts / sizeof *acts; a++)
		BENCH(isa, acts[a].name, n, k->unary(acts[a].act, acts[a].param, x, NN_STORE_F32, y, NN_STORE_F32, n));
	BENCH(isa, "convert to bf16", n, k->convert(x, NN_STORE_F32, y, NN_STORE_BF16, n));
	BENCH(isa, "convert to f32", n, k->convert(x, NN_STORE_BF16, y, NN_STORE_F32, n));
	BENCH(isa, "add", n, k->binary(NN_ADD, x, b, n, y, NN_STORE_F32, n));
	BENCH(isa, "add a row of 192", n, k->binary(NN_ADD, x, b, 192, y, NN_STORE_F32, n));
	BENCH(isa, "affine", n, k->affine(x, 2, 1, y, NN_STORE_F32, n));
	BENCH(isa, "gated tanh", n, k->gated_tanh(x, y, NN_STORE_F32, n));
	BENCH(isa, "lstm gates", 128, k->lstm_gates(x, y, y + 128, 128));
	BENCH(isa, "depthwise 192 by 3 taps", 32 * 192 * 3, k->depthwise(x, 32, 192, b, NULL, 3, 1, 1, 1, y, 0, 32));
}

int main(int argc, char **argv) {
	static nn_kernels scalar, tested;
	nn_kernels_fill(&scalar, 0);
	truth = &scalar;
	fence *fences[] = { &in_a, &in_b, &out_a, &out_b, &out_c };
	for (int i = 0; i < 5; i++)
		fence_open(fences[i]);
	int benches = argc > 1 && !strcmp(argv[1], "--bench");
	k = &tested;
	for (size_t i = benches ? 0 : 1; i < LEVEL_COUNT; i++) {
		const nn_kernels last = tested;
		nn_kernels_fill(&tested, levels[i].flags);
		if (!has_level(i) || tested.unary == (i ? last.unary : NULL))
			continue;
		if (benches) {
			bench(k->name);
			continue;
		}
		test_unary(k->name);
		test_binary(k->name);
		test_affine(k->name);
		test_convert(k->name);
		test_gated_tanh(k->name);
		test_lstm(k->name);
		test_gru(k->name);
		test_depthwise(k->name);
	}
	return benches ? 0 : cases_end();
}
