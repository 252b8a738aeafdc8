/* What follows the sums of a product (see nn_gemm), sixteen columns at a time. */
#ifndef SN_NN_CPU_X86_GEMM_EPILOGUE_H
#define SN_NN_CPU_X86_GEMM_EPILOGUE_H

#include "nn/cpu/kernels.h"
#include "nn/cpu/x86/math_avx512.h"

/* Whether the sums, times out_scale, are the result: they may then be stored where they belong. */
static inline int nn512_is_plain(const nn_gemm *g) {
	return !g->a_scale && !g->row_scale && !g->bias && g->act == NN_IDENTITY && !g->residual && g->c &&
	       g->c_store == NN_STORE_F32 && !g->c2;
}

NN16_INLINE void nn512_store(void *c, nn_store store, int64_t at, __mmask16 mask, __m512 v) {
	if (store == NN_STORE_F32)
		_mm512_mask_storeu_ps((float *)c + at, mask, v);
	else
		nn16_mask_store_bf16((uint16_t *)c + at, mask, v);
}

/* The integer sums are of A's bytes, which are 128 too large: (sum - 128 colsum[n]) * (a_scale[m] * b_scale[n]). */
NN16_INLINE __m512 nn512_scale_s8(const nn_gemm *g, __m512i sum, __m512 a_scale, __mmask16 mask, int64_t n) {
	__m512i offset = _mm512_slli_epi32(_mm512_maskz_loadu_epi32(mask, g->b_colsum + n), 7);
	__m512 scale = _mm512_mul_ps(a_scale, _mm512_maskz_loadu_ps(mask, g->b_scale + n));
	return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, offset)), scale);
}

/* Rows m .. of columns n .. n + cols - 1, whose sums lie in rows of `width`; act is g->act where it is a constant, to keep the
 * choice out of the loop. */
NN16_INLINE void nn512_epilogue_as(const nn_gemm *g, int64_t m, int rows, int64_t n, int64_t cols, const float *sums, int64_t width, nn_act act) {
	const __m512 param = _mm512_set1_ps(g->act_param), param2 = _mm512_set1_ps(g->act2_param), out_scale = _mm512_set1_ps(g->out_scale);
	for (int i = 0; i < rows; i++, m++, sums += width) {
		__m512 a_scale = _mm512_set1_ps(g->a_scale ? g->a_scale[m] : 1), row_scale = _mm512_set1_ps(g->row_scale ? g->row_scale[m] : 1);
		for (int64_t j = 0; j < cols; j += 16) {
			__mmask16 mask = nn16_mask(cols - j);
			__m512 v = _mm512_load_ps(sums + j);
			if (g->a_scale)
				v = nn512_scale_s8(g, _mm512_castps_si512(v), a_scale, mask, n + j);
			if (g->row_scale)
				v = _mm512_mul_ps(v, row_scale);
			if (g->bias)
				v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, g->bias + n + j));
			v = nn16_act(act, param, v);
			if (g->residual)
				v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, g->residual + m * g->residual_stride + n + j));
			v = _mm512_mul_ps(v, out_scale);
			if (g->c)
				nn512_store(g->c, g->c_store, m * g->c_stride + n + j, mask, v);
			if (g->c2)
				nn512_store(g->c2, g->c2_store, m * g->c2_stride + n + j, mask, nn16_act(g->act2, param2, v));
		}
	}
}

static void nn512_epilogue(const nn_gemm *g, int64_t m, int rows, int64_t n, int64_t cols, const float *sums, int64_t width) {
	switch (g->act) {
	case NN_IDENTITY: nn512_epilogue_as(g, m, rows, n, cols, sums, width, NN_IDENTITY); return;
	case NN_GELU: nn512_epilogue_as(g, m, rows, n, cols, sums, width, NN_GELU); return;
	case NN_LEAKY_RELU: nn512_epilogue_as(g, m, rows, n, cols, sums, width, NN_LEAKY_RELU); return;
	default: nn512_epilogue_as(g, m, rows, n, cols, sums, width, g->act); return;
	}
}

#endif
