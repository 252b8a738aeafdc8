/* What follows the sums of a product (see nn_gemm), sixteen columns at a time. */
#ifndef SN_NN_CPU_X86_GEMM_EPILOGUE_H
#define SN_NN_CPU_X86_GEMM_EPILOGUE_H

#include "nn/cpu/kernels.h"
#include "nn/cpu/x86/math_avx512.h"

/* Whether the sums, times out_scale, are the result: they may then be stored where they belong. */
static inline int nn512_is_plain(const nn_gemm *g) {
	return !g->a_scale && !g->row_scale && !g->bias && g->act == NN_IDENTITY && !g->residual && g->c && !g->c2 &&
	       g->c_store == NN_STORE_F32;
}

/* The forms that models are made of, in bits. Those of nn512_epilogue() are compiled without questions in the loop; ANY asks. */
enum { FORM_BIAS = 1, FORM_RESIDUAL = 2, FORM_GELU = 4, FORM_F32 = 8, FORM_BF16 = 16, FORM_LEAKY_F32 = 32, FORM_LEAKY_BF16 = 64,
       FORM_ANY = 128 };

static inline unsigned nn512_form(const nn_gemm *g) {
	if (g->row_scale || g->out_scale != 1 || !g->c || (g->act != NN_IDENTITY && g->act != NN_GELU) ||
	    (g->c2 && g->act2 != NN_LEAKY_RELU))
		return FORM_ANY;
	return (g->bias ? FORM_BIAS : 0u) | (g->residual ? FORM_RESIDUAL : 0u) | (g->act == NN_GELU ? FORM_GELU : 0u) |
	       (g->c_store == NN_STORE_F32 ? FORM_F32 : FORM_BF16) |
	       (!g->c2 ? 0u : g->c2_store == NN_STORE_F32 ? FORM_LEAKY_F32 : FORM_LEAKY_BF16);
}

NN16_INLINE __m512 nn512_load(const float *p, const int full, __mmask16 mask) {
	return full ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(mask, p);
}

NN16_INLINE void nn512_store(void *c, const int f32, int64_t at, const int full, __mmask16 mask, __m512 v) {
	if (f32 && full)
		_mm512_storeu_ps((float *)c + at, v);
	else if (f32)
		_mm512_mask_storeu_ps((float *)c + at, mask, v);
	else if (full)
		nn16_store_bf16((uint16_t *)c + at, v);
	else
		nn16_mask_store_bf16((uint16_t *)c + at, mask, v);
}

/* Column n and up to fifteen more (mask; full: all sixteen) of rows m .., whose sums lie `width` apart. int8: the sums are of A's
 * bytes, which are 128 too large: (sum - 128 colsum[n]) * (a_scale[m] * b_scale[n]). */
NN16_INLINE void nn512_columns(const nn_gemm *g, int64_t m, int rows, int64_t n, const float *sums, int64_t width, __mmask16 mask,
                               const int full, const int int8, const unsigned form) {
	const nn_gemm e = *g; /* a copy, which no store can change */
	const int any = form == FORM_ANY, has_bias = any ? e.bias != NULL : form & FORM_BIAS;
	const int has_residual = any ? e.residual != NULL : form & FORM_RESIDUAL;
	const int has_c2 = any ? e.c2 != NULL : form & (FORM_LEAKY_F32 | FORM_LEAKY_BF16);
	const int c_f32 = any ? e.c_store == NN_STORE_F32 : form & FORM_F32, c2_f32 = any ? e.c2_store == NN_STORE_F32 : form & FORM_LEAKY_F32;
	const nn_act act = any ? e.act : form & FORM_GELU ? NN_GELU : NN_IDENTITY, act2 = any ? e.act2 : NN_LEAKY_RELU;
	const __m512 param = _mm512_set1_ps(e.act_param), param2 = _mm512_set1_ps(e.act2_param), out_scale = _mm512_set1_ps(e.out_scale);
	__m512 bias = has_bias ? nn512_load(e.bias + n, full, mask) : _mm512_setzero_ps(), b_scale = _mm512_setzero_ps();
	__m512i offset = _mm512_setzero_si512();
	if (int8) {
		b_scale = nn512_load(e.b_scale + n, full, mask);
		offset = _mm512_slli_epi32(_mm512_maskz_loadu_epi32(mask, e.b_colsum + n), 7);
	}
	for (int i = 0; i < rows; i++, m++, sums += width) {
		__m512 v = _mm512_load_ps(sums);
		if (int8)
			v = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_castps_si512(v), offset)),
			                  _mm512_mul_ps(_mm512_set1_ps(e.a_scale[m]), b_scale));
		if (any && e.row_scale)
			v = _mm512_mul_ps(v, _mm512_set1_ps(e.row_scale[m]));
		if (has_bias)
			v = _mm512_add_ps(v, bias);
		v = nn16_act(act, param, v);
		if (has_residual)
			v = _mm512_add_ps(v, nn512_load(e.residual + m * e.residual_stride + n, full, mask));
		if (any)
			v = _mm512_mul_ps(v, out_scale);
		if (!any || e.c)
			nn512_store(e.c, c_f32, m * e.c_stride + n, full, mask, v);
		if (has_c2)
			nn512_store(e.c2, c2_f32, m * e.c2_stride + n, full, mask, nn16_act(act2, param2, v));
	}
}

NN16_INLINE void nn512_epilogue_as(const nn_gemm *g, int64_t m, int rows, int64_t n, int64_t cols, const float *sums, int64_t width,
                                   const int int8, const unsigned form) {
	for (int64_t j = 0; j < cols; j += 16)
		nn512_columns(g, m, rows, n + j, sums + j, width, 0xffff, 1, int8, form);
}

/* Rows m .. of columns n .. n + cols - 1, whose sums lie in rows of `width`. */
static void nn512_epilogue(const nn_gemm *g, int64_t m, int rows, int64_t n, int64_t cols, const float *sums, int64_t width,
                           const int int8) {
	int64_t whole = cols / 16 * 16;
#define CASE(form) case form: nn512_epilogue_as(g, m, rows, n, whole, sums, width, int8, form); break
	switch (nn512_form(g)) {
	CASE(FORM_BIAS | FORM_F32);
	CASE(FORM_BIAS | FORM_BF16);
	CASE(FORM_BIAS | FORM_GELU | FORM_F32);
	CASE(FORM_BIAS | FORM_GELU | FORM_BF16);
	CASE(FORM_BIAS | FORM_RESIDUAL | FORM_F32);
	CASE(FORM_BIAS | FORM_RESIDUAL | FORM_F32 | FORM_LEAKY_F32);
	CASE(FORM_BIAS | FORM_RESIDUAL | FORM_F32 | FORM_LEAKY_BF16);
	CASE(FORM_BIAS | FORM_F32 | FORM_LEAKY_F32);
	CASE(FORM_BIAS | FORM_F32 | FORM_LEAKY_BF16);
	default: nn512_epilogue_as(g, m, rows, n, whole, sums, width, int8, FORM_ANY);
	}
#undef CASE
	if (whole < cols)
		nn512_columns(g, m, rows, n + whole, sums + whole, width, nn16_mask(cols - whole), 0, int8, FORM_ANY);
}

#endif
