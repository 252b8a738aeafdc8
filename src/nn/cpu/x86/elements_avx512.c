/* Kernels whose elements (in the depthwise convolution, channels) stand alone. Tails run through the same code under a mask, so an
 * element's value does not depend on where it lies. */
#include "nn/cpu/x86/rows_avx512.h"

/* y[i] = expression of v = x[i], i < n, with stores xs and ys */
#define EACH(expression) do { \
		int64_t i = 0; \
		for (; i + 16 <= n; i += 16) { \
			__m512 v = row_load(x, xs, i); \
			row_save(y, ys, i, expression); \
		} \
		if (i < n) { \
			__mmask16 m = nn16_mask(n - i); \
			__m512 v = row_mask_load(m, x, xs, i); \
			row_mask_save(m, y, ys, i, expression); \
		} \
	} while (0)

#define CASE(name) case name: EACH(nn16_act(name, slope, v)); return

static void unary(nn_act act, float param, const void *x, nn_store xs, void *y, nn_store ys, int64_t n) {
	const __m512 slope = _mm512_set1_ps(param);
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

static void affine(const float *x, float scale, float shift, void *y, nn_store ys, int64_t n) {
	const nn_store xs = NN_STORE_F32;
	const __m512 factor = _mm512_set1_ps(scale), term = _mm512_set1_ps(shift);
	EACH(_mm512_fmadd_ps(v, factor, term));
}

static void convert(const void *x, nn_store xs, void *y, nn_store ys, int64_t n) {
	EACH(v);
}

NN16_INLINE __m512 apply(nn_binary_op op, __m512 a, __m512 b) {
	switch (op) {
	case NN_ADD: return _mm512_add_ps(a, b);
	case NN_SUB: return _mm512_sub_ps(a, b);
	case NN_MUL: return _mm512_mul_ps(a, b);
	case NN_DIV: return _mm512_div_ps(a, b);
	}
	return a;
}

NN16_INLINE void binary_as(const nn_binary_op op, const float *x, const float *b, int64_t period, void *y, nn_store ys, int64_t n) {
	const nn_store xs = NN_STORE_F32;
	if (period == 1) {
		const __m512 one = _mm512_set1_ps(*b);
		EACH(apply(op, v, one));
		return;
	}
	for (int64_t row = 0; row < n; row += period) {
		int64_t end = period < n - row ? row + period : n, i = row;
		for (; i + 16 <= end; i += 16)
			row_save(y, ys, i, apply(op, _mm512_loadu_ps(x + i), _mm512_loadu_ps(b + i - row)));
		if (i == end)
			continue;
		__mmask16 m = nn16_mask(end - i);
		row_mask_save(m, y, ys, i, apply(op, _mm512_maskz_loadu_ps(m, x + i), _mm512_maskz_loadu_ps(m, b + i - row)));
	}
}

static void binary(nn_binary_op op, const float *a, const float *b, int64_t b_period, void *y, nn_store ys, int64_t n) {
	switch (op) {
	case NN_ADD: binary_as(NN_ADD, a, b, b_period, y, ys, n); return;
	case NN_SUB: binary_as(NN_SUB, a, b, b_period, y, ys, n); return;
	case NN_MUL: binary_as(NN_MUL, a, b, b_period, y, ys, n); return;
	case NN_DIV: binary_as(NN_DIV, a, b, b_period, y, ys, n); return;
	}
}

static void gated_tanh(const float *x, void *y, nn_store ys, int64_t n) {
	int64_t i = 0;
	for (; i + 16 <= n; i += 16)
		row_save(y, ys, i, nn16_gated_tanh(_mm512_loadu_ps(x + i), _mm512_loadu_ps(x + n + i)));
	if (i == n)
		return;
	__mmask16 m = nn16_mask(n - i);
	row_mask_save(m, y, ys, i, nn16_gated_tanh(_mm512_maskz_loadu_ps(m, x + i), _mm512_maskz_loadu_ps(m, x + n + i)));
}

static void depthwise(const float *x, int64_t time, int64_t channels, const float *w, const float *bias, int k, int stride, int dilation,
                      int pad, float *y, int64_t t0, int64_t t1) {
	for (int64_t t = t0; t < t1; t++)
		for (int64_t c = 0; c < channels; c += 16) {
			__mmask16 m = nn16_mask(channels - c);
			__m512 sum = bias ? _mm512_maskz_loadu_ps(m, bias + c) : _mm512_setzero_ps();
			for (int j = 0; j < k; j++) {
				int64_t row = t * stride + (int64_t)j * dilation - pad;
				if (row < 0 || row >= time)
					continue;
				__m512 weight = _mm512_maskz_loadu_ps(m, w + j * channels + c);
				sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m, x + row * channels + c), weight, sum);
			}
			_mm512_mask_storeu_ps(y + t * channels + c, m, sum);
		}
}

static void lstm_gates(const float *gates, float *c, float *h, int64_t hidden) {
	for (int64_t i = 0; i < hidden; i += 16) {
		__mmask16 m = nn16_mask(hidden - i);
		__m512 in = nn16_sigmoid(_mm512_maskz_loadu_ps(m, gates + i));
		__m512 forget = nn16_sigmoid(_mm512_maskz_loadu_ps(m, gates + hidden + i));
		__m512 cell = nn16_tanh(_mm512_maskz_loadu_ps(m, gates + 2 * hidden + i));
		__m512 out = nn16_sigmoid(_mm512_maskz_loadu_ps(m, gates + 3 * hidden + i));
		__m512 next = _mm512_fmadd_ps(forget, _mm512_maskz_loadu_ps(m, c + i), _mm512_mul_ps(in, cell));
		_mm512_mask_storeu_ps(c + i, m, next);
		_mm512_mask_storeu_ps(h + i, m, _mm512_mul_ps(out, nn16_tanh(next)));
	}
}

static void gru_gates(const float *x, const float *recurrent, float *h, int64_t hidden) {
	const __m512 one = _mm512_set1_ps(1);
	for (int64_t i = 0; i < hidden; i += 16) {
		__mmask16 m = nn16_mask(hidden - i);
		__m512 reset = nn16_sigmoid(_mm512_add_ps(_mm512_maskz_loadu_ps(m, x + i), _mm512_maskz_loadu_ps(m, recurrent + i)));
		__m512 update = nn16_sigmoid(_mm512_add_ps(_mm512_maskz_loadu_ps(m, x + hidden + i), _mm512_maskz_loadu_ps(m, recurrent + hidden + i)));
		__m512 fresh = nn16_tanh(_mm512_fmadd_ps(reset, _mm512_maskz_loadu_ps(m, recurrent + 2 * hidden + i),
		                                         _mm512_maskz_loadu_ps(m, x + 2 * hidden + i)));
		__m512 kept = _mm512_mul_ps(update, _mm512_maskz_loadu_ps(m, h + i));
		_mm512_mask_storeu_ps(h + i, m, _mm512_fmadd_ps(_mm512_sub_ps(one, update), fresh, kept));
	}
}

void FILL_ELEMENTS(nn_kernels *k) {
	k->unary = unary;
	k->binary = binary;
	k->affine = affine;
	k->convert = convert;
	k->gated_tanh = gated_tanh;
	k->depthwise = depthwise;
	k->lstm_gates = lstm_gates;
	k->gru_gates = gru_gates;
}
