/* What follows the sums of a product (see nn_gemm), sixteen columns at a time. */
#ifndef SN_NN_CPU_X86_GEMM_EPILOGUE_H
#define SN_NN_CPU_X86_GEMM_EPILOGUE_H

#include "nn/cpu/kernels.h"
#include "nn/cpu/x86/math_avx512.h"

/* Whether the sums, times out_scale, are the result: they may then be stored where they belong. */
static inline int nn512_is_plain(const nn_gemm *g) {
	return !g->a_scale && !g->row_scale && !g->bias && g->act == NN_IDENTITY && !g->residual && g->c && g->c_store == NN_STORE_F32 && !g->c2;
}

NN16_INLINE __m512 nn512_load(const float *p, const int full, __mmask16 mask) {
	return full ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(mask, p);
}

NN16_INLINE void nn512_store(void *c, nn_store store, int64_t at, const int full, __mmask16 mask, __m512 v) {
	if (store == NN_STORE_F32 && full)
		_mm512_storeu_ps((float *)c + at, v);
	else if (store == NN_STORE_F32)
		_mm512_mask_storeu_ps((float *)c + at, mask, v);
	else if (full)
		nn16_store_bf16((uint16_t *)c + at, v);
	else
		nn16_mask_store_bf16((uint16_t *)c + at, mask, v);
}

/* Column n and up to fifteen more (mask; full: all sixteen) of rows m .., whose sums lie `width` apart. int8: the sums are of A's
 * bytes, which are 128 too large: (sum - 128 colsum[n]) * (a_scale[m] * b_scale[n]). `act` is g->act where it is a constant. */
NN16_INLINE void nn512_columns(const nn_gemm *g, int64_t m, int rows, int64_t n, const float *sums, int64_t width, __mmask16 mask, const int full,
                               const int int8, const nn_act act) {
	const nn_gemm e = *g; /* a copy, which no store can change */
	const __m512 param = _mm512_set1_ps(e.act_param), param2 = _mm512_set1_ps(e.act2_param), out_scale = _mm512_set1_ps(e.out_scale);
	__m512 bias = _mm512_setzero_ps(), b_scale = bias;
	__m512i offset = _mm512_setzero_si512();
	if (e.bias)
		bias = nn512_load(e.bias + n, full, mask);
	if (int8) {
		b_scale = nn512_load(e.b_scale + n, full, mask);
		offset = _mm512_slli_epi32(_mm512_maskz_loadu_epi32(mask, e.b_colsum + n), 7);
	}
	for (int i = 0; i < rows; i++, m++, sums += width) {
		__m512 v = _mm512_load_ps(sums);
		if (int8)
			v = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_castps_si512(v), offset)),
			                  _mm512_mul_ps(_mm512_set1_ps(e.a_scale[m]), b_scale));
		if (e.row_scale)
			v = _mm512_mul_ps(v, _mm512_set1_ps(e.row_scale[m]));
		if (e.bias)
			v = _mm512_add_ps(v, bias);
		v = nn16_act(act, param, v);
		if (e.residual)
			v = _mm512_add_ps(v, nn512_load(e.residual + m * e.residual_stride + n, full, mask));
		v = _mm512_mul_ps(v, out_scale);
		if (e.c)
			nn512_store(e.c, e.c_store, m * e.c_stride + n, full, mask, v);
		if (!e.c2)
			continue;
		v = e.act2 == NN_LEAKY_RELU ? nn16_act(NN_LEAKY_RELU, param2, v) : nn16_act(e.act2, param2, v);
		nn512_store(e.c2, e.c2_store, m * e.c2_stride + n, full, mask, v);
	}
}

NN16_INLINE void nn512_epilogue_as(const nn_gemm *g, int64_t m, int rows, int64_t n, int64_t cols, const float *sums, int64_t width,
                                   const int int8, const nn_act act) {
	for (int64_t j = 0; j < cols; j += 16)
		if (cols - j >= 16)
			nn512_columns(g, m, rows, n + j, sums + j, width, 0xffff, 1, int8, act);
		else
			nn512_columns(g, m, rows, n + j, sums + j, width, nn16_mask(cols - j), 0, int8, g->act);
}

/* Rows m .. of columns n .. n + cols - 1, whose sums lie in rows of `width`. The usual activations are chosen outside the loops. */
NN16_INLINE void nn512_epilogue(const nn_gemm *g, int64_t m, int rows, int64_t n, int64_t cols, const float *sums, int64_t width,
                                const int int8) {
	if (g->act == NN_IDENTITY)
		nn512_epilogue_as(g, m, rows, n, cols, sums, width, int8, NN_IDENTITY);
	else if (g->act == NN_GELU)
		nn512_epilogue_as(g, m, rows, n, cols, sums, width, int8, NN_GELU);
	else
		nn512_epilogue_as(g, m, rows, n, cols, sums, width, int8, g->act);
}

#endif
