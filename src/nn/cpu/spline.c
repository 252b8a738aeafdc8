#include "nn/cpu/spline.h"

#include <math.h>

#define LEAST 1e-3 /* of a bin's width and height as parts of the interval, and of a derivative */

/* softmax denominators: sum exp(v - max) */
static double exp_sum(const float *v, int count, double *max) {
	double sum = 0;
	*max = v[0];
	for (int i = 1; i < count; i++)
		if (v[i] > *max)
			*max = v[i];
	for (int i = 0; i < count; i++)
		sum += exp(v[i] - *max);
	return sum;
}

/* Derivative at knot i of 0..bins. The outer ones are 1, so that the tails join smoothly. */
static double slope(const float *inner, int bins, int i) {
	if (i == 0 || i == bins)
		return 1;
	double v = inner[i - 1];
	return LEAST + (v > 20 ? v : log1p(exp(v)));
}

void nn_spline_inverse_row(const float *params, int bins, float bound, float x, float *y) {
	*y = x;
	if (!(x >= -bound && x <= bound))
		return;
	const float *widths = params, *heights = params + bins, *slopes = params + 2 * bins;
	double wmax, hmax, wsum = exp_sum(widths, bins, &wmax), hsum = exp_sum(heights, bins, &hmax);
	double span = 2 * (double)bound, free_part = 1 - LEAST * bins;
	double left = -bound, bottom = -bound, width = 0, height = 0;
	int bin = 0;
	for (;; bin++) {
		width = span * (LEAST + free_part * exp(widths[bin] - wmax) / wsum);
		height = span * (LEAST + free_part * exp(heights[bin] - hmax) / hsum);
		if (bin == bins - 1 || x < bottom + height)
			break;
		left += width;
		bottom += height;
	}

	/* Inside a bin x is a ratio of quadratics of t in [0, 1]; a t^2 + b t + c = 0, by the form of the root that does not cancel. */
	double d0 = slope(slopes, bins, bin), d1 = slope(slopes, bins, bin + 1), delta = height / width;
	double rise = x - bottom, bend = rise * (d0 + d1 - 2 * delta);
	double a = height * (delta - d0) + bend, b = height * d0 - bend, c = -delta * rise;
	double discriminant = b * b - 4 * a * c;
	double t = 2 * c / (-b - sqrt(discriminant > 0 ? discriminant : 0));
	*y = (float)(left + t * width);
}
