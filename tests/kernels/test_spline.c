/* The inverse spline undoes the forward one, which is computed here from its published formula. */
#include "fence.h"
#include "nn/cpu/spline.h"

#define BINS_MAX 32

/* Knots from a softmax, every bin at least a thousandth of [-bound, bound]. */
static void knots(const float *raw, int bins, double bound, double *at) {
	double sum = 0, part = 0;
	for (int i = 0; i < bins; i++)
		sum += exp(raw[i]);
	at[0] = -bound;
	for (int i = 0; i < bins; i++) {
		part += 1e-3 + (1 - 1e-3 * bins) * exp(raw[i]) / sum;
		at[i + 1] = -bound + 2 * bound * part;
	}
}

/* Durkan et al. 2019, equation 4: s = rise / run of the bin, e = (x - left) / run,
 * y = low + rise (s e^2 + d0 e (1 - e)) / (s + (d1 + d0 - 2 s) e (1 - e)). *slope receives dy/dx by its equation 5. */
static double forward(const float *params, int bins, double bound, double x, double *slope) {
	double across[BINS_MAX + 1], up[BINS_MAX + 1];
	knots(params, bins, bound, across);
	knots(params + bins, bins, bound, up);
	int i = 0;
	while (i < bins - 1 && x >= across[i + 1])
		i++;
	const float *d = params + 2 * bins;
	double d0 = i == 0 ? 1 : 1e-3 + log1p(exp(d[i - 1])), d1 = i == bins - 1 ? 1 : 1e-3 + log1p(exp(d[i]));
	double run = across[i + 1] - across[i], rise = up[i + 1] - up[i], s = rise / run, e = (x - across[i]) / run;
	double below = s + (d1 + d0 - 2 * s) * e * (1 - e);
	*slope = s * s * (d1 * e * e + 2 * s * e * (1 - e) + d0 * (1 - e) * (1 - e)) / (below * below);
	return up[i] + rise * (s * e * e + d0 * e * (1 - e)) / below;
}

/* y is a float: its rounding (3e-7 of the bound) is divided by the slope on the way back. */
static void test_round_trip(int bins, float bound, float spread) {
	result r = { 0 };
	float params[3 * BINS_MAX];
	for (int again = 0; again < 2000; again++) {
		for (int i = 0; i < 3 * bins - 1; i++)
			params[i] = spread * normal();
		double x = uniform(-bound, bound), slope, y = forward(params, bins, bound, x, &slope);
		float back;
		nn_spline_inverse_row(params, bins, bound, (float)y, &back);
		check_near(&r, back, x, bound * 3e-7 * (1 + 1 / slope), "input", bins, again);
	}
	char name[60];
	snprintf(name, sizeof name, "spline of %d bins to %g, spread %g", bins, (double)bound, (double)spread);
	case_end(&r, "scalar", name);
}

static float inverse(const float *params, int bins, float bound, float x) {
	float y;
	nn_spline_inverse_row(params, bins, bound, x, &y);
	return y;
}

static void test_edges(void) {
	result r = { 0 };
	float params[29], flat[29] = { 0 };
	for (int i = 0; i < 29; i++)
		params[i] = normal();
	check_that(&r, inverse(params, 10, 5, 5.001f) == 5.001f && inverse(params, 10, 5, -7) == -7, "the tails are not linear", 10);
	check_that(&r, isinf(inverse(params, 10, 5, INFINITY)), "infinity", 10);
	check_that(&r, isnan(inverse(params, 10, 5, NAN)), "NaN", 10);
	check_near(&r, inverse(params, 10, 5, 5), 5, 2e-6, "upper end", 10, 0);
	check_near(&r, inverse(params, 10, 5, -5), -5, 2e-6, "lower end", 10, 0);
	check_near(&r, inverse(flat, 10, 5, 0), 0, 1e-6, "middle of a symmetric spline", 10, 0);
	check_near(&r, inverse(params, 1, 5, 1.25f), 1.25, 1e-6, "one bin is the identity", 1, 0);
	float before = -5;
	for (int i = -4999; i <= 5000; i++) {
		float now = inverse(params, 10, 5, (float)i / 1000);
		check_that(&r, now > before, "does not rise", i);
		before = now;
	}
	params[3] = NAN;
	check_that(&r, isnan(inverse(params, 10, 5, 0.5f)), "a NaN was lost", 10);
	case_end(&r, "scalar", "spline at its edges");
}

int main(void) {
	test_round_trip(10, 5, 0.3f);
	test_round_trip(10, 5, 1);
	test_round_trip(10, 5, 4);
	test_round_trip(4, 1, 1);
	test_round_trip(32, 3, 2);
	test_round_trip(1, 2, 1);
	test_edges();
	return cases_end();
}
