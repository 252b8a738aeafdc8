/* Kernels whose elements (in the depthwise convolution, channels) stand alone. Tails run through the same code on a part of a vector,
 * so an element's value does not depend on where it lies. */
#ifndef SN_NN_CPU_WIDE_ELEMENTS_H
#define SN_NN_CPU_WIDE_ELEMENTS_H

#include "nn/cpu/fills.h"
#include "nn/cpu/wide/math.h"
#include "nn/cpu/wide/store.h"

/* y[i] = expression of v = x[i], i < n, with stores xs and ys */
#define EACH(expression) do { \
		int64_t i = 0; \
		for (; i + VL <= n; i += VL) { \
			vf v = wide_load(x, xs, i); \
			wide_save(y, ys, i, expression); \
		} \
		if (i < n) { \
			vf v = wide_load_part(x, xs, i, n - i); \
			wide_save_part(y, ys, i, n - i, expression); \
		} \
	} while (0)

#define CASE(name) case name: EACH(wide_act(name, slope, v)); return

static void wide_unary(nn_act act, float param, const void *x, nn_store xs, void *y, nn_store ys, int64_t n) {
	const vf slope = vf_set1(param);
	switch (act) {
		CASE(NN_IDENTITY);
		CASE(NN_RELU);
		CASE(NN_LEAKY_RELU);
		CASE(NN_GELU);
		CASE(NN_GELU_TANH);
		CASE(NN_SILU);
		CASE(NN_TANH);
		CASE(NN_SIGMOID);
		CASE(NN_EXP);
		CASE(NN_LOG);
		CASE(NN_SQRT);
		CASE(NN_SOFTPLUS);
		CASE(NN_NEG);
		CASE(NN_ABS);
		CASE(NN_CLAMP_MIN);
		CASE(NN_ELU);
	}
}

static void wide_affine(const float *x, float scale, float shift, void *y, nn_store ys, int64_t n) {
	const nn_store xs = NN_STORE_F32;
	const vf factor = vf_set1(scale), term = vf_set1(shift);
	EACH(vf_fma(v, factor, term));
}

static void wide_convert(const void *x, nn_store xs, void *y, nn_store ys, int64_t n) {
	EACH(v);
}

VEC_INLINE vf wide_apply(nn_binary_op op, vf a, vf b) {
	switch (op) {
	case NN_ADD: return a + b;
	case NN_SUB: return a - b;
	case NN_MUL: return a * b;
	case NN_DIV: return a / b;
	}
	return a;
}

VEC_INLINE void wide_binary_as(const nn_binary_op op, const float *x, const float *b, int64_t period, void *y, nn_store ys, int64_t n) {
	const nn_store xs = NN_STORE_F32;
	if (period == 1) {
		const vf one = vf_set1(*b);
		EACH(wide_apply(op, v, one));
		return;
	}
	for (int64_t row = 0; row < n; row += period) {
		int64_t end = period < n - row ? row + period : n, i = row;
		for (; i + VL <= end; i += VL)
			wide_save(y, ys, i, wide_apply(op, vf_load(x + i), vf_load(b + i - row)));
		if (i < end)
			wide_save_part(y, ys, i, end - i, wide_apply(op, vf_load_part(x + i, end - i), vf_load_part(b + i - row, end - i)));
	}
}

#undef EACH
#undef CASE

static void wide_binary(nn_binary_op op, const float *a, const float *b, int64_t b_period, void *y, nn_store ys, int64_t n) {
	switch (op) {
	case NN_ADD: wide_binary_as(NN_ADD, a, b, b_period, y, ys, n); return;
	case NN_SUB: wide_binary_as(NN_SUB, a, b, b_period, y, ys, n); return;
	case NN_MUL: wide_binary_as(NN_MUL, a, b, b_period, y, ys, n); return;
	case NN_DIV: wide_binary_as(NN_DIV, a, b, b_period, y, ys, n); return;
	}
}

static void wide_gated(const float *x, void *y, nn_store ys, int64_t n) {
	int64_t i = 0;
	for (; i + VL <= n; i += VL)
		wide_save(y, ys, i, wide_gated_tanh(vf_load(x + i), vf_load(x + n + i)));
	if (i < n)
		wide_save_part(y, ys, i, n - i, wide_gated_tanh(vf_load_part(x + i, n - i), vf_load_part(x + n + i, n - i)));
}

static void wide_depthwise(const float *x, int64_t time, int64_t channels, const float *w, const float *bias, int k, int stride,
                           int dilation, int pad, float *y, int64_t t0, int64_t t1) {
	for (int64_t t = t0; t < t1; t++)
		for (int64_t c = 0; c < channels; c += VL) {
			int64_t left = channels - c;
			vf sum = bias ? vf_load_part(bias + c, left) : vf_set1(0);
			for (int j = 0; j < k; j++) {
				int64_t row = t * stride + (int64_t)j * dilation - pad;
				if (row < 0 || row >= time)
					continue;
				sum = vf_fma(vf_load_part(x + row * channels + c, left), vf_load_part(w + j * channels + c, left), sum);
			}
			vf_store_part(y + t * channels + c, left, sum);
		}
}

static void wide_lstm(const float *gates, float *c, float *h, int64_t hidden) {
	for (int64_t i = 0; i < hidden; i += VL) {
		int64_t n = hidden - i;
		vf in = wide_sigmoid(vf_load_part(gates + i, n)), forget = wide_sigmoid(vf_load_part(gates + hidden + i, n));
		vf cell = wide_tanh(vf_load_part(gates + 2 * hidden + i, n)), out = wide_sigmoid(vf_load_part(gates + 3 * hidden + i, n));
		vf next = vf_fma(forget, vf_load_part(c + i, n), in * cell);
		vf_store_part(c + i, n, next);
		vf_store_part(h + i, n, out * wide_tanh(next));
	}
}

static void wide_gru(const float *x, const float *recurrent, float *h, int64_t hidden) {
	const vf one = vf_set1(1);
	for (int64_t i = 0; i < hidden; i += VL) {
		int64_t n = hidden - i;
		vf reset = wide_sigmoid(vf_load_part(x + i, n) + vf_load_part(recurrent + i, n));
		vf update = wide_sigmoid(vf_load_part(x + hidden + i, n) + vf_load_part(recurrent + hidden + i, n));
		vf fresh = wide_tanh(vf_fma(reset, vf_load_part(recurrent + 2 * hidden + i, n), vf_load_part(x + 2 * hidden + i, n)));
		vf_store_part(h + i, n, vf_fma(one - update, fresh, update * vf_load_part(h + i, n)));
	}
}

static void wide_elements_fill(nn_kernels *k) {
	k->unary = wide_unary;
	k->binary = wide_binary;
	k->affine = wide_affine;
	k->convert = wide_convert;
	k->gated_tanh = wide_gated;
	k->depthwise = wide_depthwise;
	k->lstm_gates = wide_lstm;
	k->gru_gates = wide_gru;
}

#endif
