/* The activations of every vector instruction set over the whole range of floats, against libm in double. */
#include "fence.h"
#include "levels.h"

static nn_kernels k;

static double exact_identity(double x) { return x; }
static double exact_relu(double x) { return x < 0 ? 0 : x; }
static double exact_leaky(double x) { return x < 0 ? x * 0.1f : x; }
static double exact_gelu(double x) { return x * 0.5 * erfc(-x / sqrt(2)); }
static double exact_gelu_tanh(double x) { return x / (1 + exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
static double exact_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double exact_silu(double x) { return x / (1 + exp(-x)); }
static double exact_softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double exact_neg(double x) { return -x; }
static double exact_clamp(double x) { return x < 0.1f ? 0.1f : x; }

/* |error| <= absolute + relative * |value|. An absolute bound of 1e-37 lets denormals be flushed. */
static const struct {
	const char *name;
	nn_act act;
	double (*exact)(double x);
	double absolute, relative;
} functions[] = {
	{ "identity", NN_IDENTITY, exact_identity, 0, 0 },
	{ "relu", NN_RELU, exact_relu, 0, 0 },
	{ "leaky relu", NN_LEAKY_RELU, exact_leaky, 1e-37, 6e-8 },
	{ "gelu", NN_GELU, exact_gelu, 4e-7, 6e-8 },
	{ "gelu tanh", NN_GELU_TANH, exact_gelu_tanh, 4e-7, 3e-7 },
	{ "silu", NN_SILU, exact_silu, 1e-36, 4e-7 },
	{ "tanh", NN_TANH, tanh, 1e-37, 4e-7 },
	{ "sigmoid", NN_SIGMOID, exact_sigmoid, 1e-37, 4e-7 },
	{ "exp", NN_EXP, exp, 1e-37, 2e-7 },
	{ "log", NN_LOG, log, 0, 2e-7 },
	{ "sqrt", NN_SQRT, sqrt, 0, 6e-8 },
	{ "softplus", NN_SOFTPLUS, exact_softplus, 1e-37, 4e-7 },
	{ "neg", NN_NEG, exact_neg, 0, 0 },
	{ "abs", NN_ABS, fabs, 0, 0 },
	{ "clamp min", NN_CLAMP_MIN, exact_clamp, 0, 0 },
};

static float from_bits(uint32_t bits) {
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

static const double float_max = 3.4028235e38;

/* Every `step`th float: 16 at a time, signs alternating, denormals, infinities and NaNs among them. */
static void test_function(size_t f, uint32_t step) {
	result r = { 0 };
	double worst_relative = 0, worst_absolute = 0;
	float relative_at = 0, absolute_at = 0;
	for (uint32_t bits = 0; bits < 0x80000000u - 8 * step; bits += 8 * step) {
		float x[16], y[16];
		for (uint32_t i = 0; i < 16; i++)
			x[i] = from_bits((bits + i / 2 * step) | (i & 1) << 31);
		k.unary(functions[f].act, 0.1f, x, NN_STORE_F32, y, NN_STORE_F32, 16);
		for (int i = 0; i < 16; i++) {
			double wanted = functions[f].exact(x[i]), error = fabs(y[i] - wanted);
			if (isinf(x[i]) && isnan(wanted))
				continue; /* 0 times infinity in the formula */
			if (fabs(wanted) > float_max)
				wanted = wanted > 0 ? INFINITY : -INFINITY;
			check_near(&r, y[i], wanted, functions[f].absolute + functions[f].relative * fabs(wanted), "value at bits", bits, i);
			if (!isfinite(wanted) || !(error > 0))
				continue;
			if (fabs(wanted) > 1e-30 && error / fabs(wanted) > worst_relative && error > functions[f].absolute) {
				worst_relative = error / fabs(wanted);
				relative_at = x[i];
			}
			if (fabs(wanted) <= 16 && error > worst_absolute) {
				worst_absolute = error;
				absolute_at = x[i];
			}
		}
	}
	case_end(&r, k.name, functions[f].name);
	printf("# %-10s bound %.0e + %.0e |y|; largest error where |y| <= 16: %.2e at %g", functions[f].name, functions[f].absolute,
	       functions[f].relative, worst_absolute, (double)absolute_at);
	printf(worst_relative > 0 ? "; relative: %.2e at %g\n" : "\n", worst_relative, (double)relative_at);
}

/* tanh(a) sigmoid(b) on a grid: within 4e-7 of it, and of nothing else where it is tiny. */
static void test_gated(void) {
	result r = { 0 };
	double worst = 0;
	for (double a = -20; a <= 20; a += 0.0371)
		for (double b = -120; b <= 50; b += 16 * 0.0273) {
			float x[32], y[16];
			for (int i = 0; i < 16; i++) {
				x[i] = (float)a;
				x[16 + i] = (float)(b + i * 0.0273);
			}
			k.gated_tanh(x, y, NN_STORE_F32, 16);
			for (int i = 0; i < 16; i++) {
				double wanted = tanh((float)a) * exact_sigmoid(x[16 + i]);
				worst = fmax(worst, fabs(y[i] - wanted));
				check_near(&r, y[i], wanted, 4e-7, "value", (int64_t)(a * 1000), (int64_t)(x[16 + i] * 1000));
			}
		}
	case_end(&r, k.name, "gated tanh");
	printf("# gated tanh bound 4e-07; largest error %.2e\n", worst);
}

/* All bf16 values there and back. The conversion of AVX512-BF16 takes denormals for zero. */
static void test_bf16(void) {
	result r = { 0 };
	for (int first = 0; first < 65536; first += 16) {
		uint16_t in[16], out[16];
		float wide[16];
		for (int i = 0; i < 16; i++)
			in[i] = (uint16_t)(first + i);
		k.convert(in, NN_STORE_BF16, wide, NN_STORE_F32, 16);
		k.convert(wide, NN_STORE_F32, out, NN_STORE_BF16, 16);
		for (int i = 0; i < 16; i++) {
			int nan = (in[i] & 0x7fff) > 0x7f80;
			int flushed = !(in[i] & 0x7f80) && out[i] == (in[i] & 0x8000) && !strcmp(k.name, "avx512_bf16");
			check_that(&r, nan ? (out[i] & 0x7fff) > 0x7f80 : in[i] == out[i] || flushed, "bf16 there and back", in[i]);
		}
	}
	case_end(&r, k.name, "bf16");
}

int main(int argc, char **argv) {
	/* An argument is the step between neighbours: 1 takes all floats. */
	uint32_t step = argc > 1 && atoi(argv[1]) > 0 ? (uint32_t)atoi(argv[1]) : 4001;
	for (size_t i = 1; i < LEVEL_COUNT; i++) {
		if (!has_level(i))
			continue;
		nn_kernels_fill(&k, levels[i].flags);
		for (size_t f = 0; f < sizeof functions / sizeof *functions; f++)
			test_function(f, step);
		test_gated();
		test_bf16();
	}
	return cases_end();
}
