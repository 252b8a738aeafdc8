/* What follows the sums of a product (see nn_gemm), VL columns at a time. */
#ifndef SN_NN_CPU_WIDE_EPILOGUE_H
#define SN_NN_CPU_WIDE_EPILOGUE_H

#include "nn/cpu/kernels.h"
#include "nn/cpu/wide/math.h"

/* Whether the sums, times out_scale, are the result: they may then be stored where they belong. */
static inline int wide_is_plain(const nn_gemm *g) {
	return !g->a_scale && !g->row_scale && !g->bias && g->act == NN_IDENTITY && !g->residual && g->c && !g->c2 &&
	       g->c_store == NN_STORE_F32;
}

/* The forms that models are made of, in bits. Those of wide_epilogue() are compiled without questions in the loop; ANY asks. */
enum { FORM_BIAS = 1, FORM_RESIDUAL = 2, FORM_GELU = 4, FORM_F32 = 8, FORM_BF16 = 16, FORM_LEAKY_F32 = 32, FORM_ANY = 64 };

static inline unsigned wide_form(const nn_gemm *g) {
	if (g->row_scale || g->out_scale != 1 || !g->c || (g->act != NN_IDENTITY && g->act != NN_GELU) ||
	    (g->c2 && (g->act2 != NN_LEAKY_RELU || g->c2_store != NN_STORE_F32)))
		return FORM_ANY;
	return (g->bias ? FORM_BIAS : 0u) | (g->residual ? FORM_RESIDUAL : 0u) | (g->act == NN_GELU ? FORM_GELU : 0u) |
	       (g->c_store == NN_STORE_F32 ? FORM_F32 : FORM_BF16) | (g->c2 ? FORM_LEAKY_F32 : 0u);
}

VEC_INLINE void wide_put(void *c, const int f32, int64_t at, int64_t left, vf v) {
	if (f32 && left >= VL)
		vf_store((float *)c + at, v);
	else if (f32)
		vf_store_part((float *)c + at, left, v);
	else
		vf_store_bf16_part((uint16_t *)c + at, left, v);
}

VEC_INLINE vf wide_get(const float *x, int64_t left) { return left >= VL ? vf_load(x) : vf_load_part(x, left); }

/* Column n and up to VL - 1 more (`left` of them are there) of rows m .., whose sums lie `width` apart. int8 1: the sums are of A's
 * bytes, which are 128 too large: (sum - 128 colsum[n]) * (a_scale[m] * b_scale[n]); int8 2: they are of A's values already. */
VEC_INLINE void wide_columns(const nn_gemm *g, int64_t m, int rows, int64_t n, const float *sums, int64_t width, int64_t left,
                             const int int8, const unsigned form) {
	const nn_gemm e = *g; /* a copy, which no store can change */
	const int any = form == FORM_ANY, has_bias = any ? e.bias != NULL : form & FORM_BIAS;
	const int has_residual = any ? e.residual != NULL : form & FORM_RESIDUAL, has_c2 = any ? e.c2 != NULL : form & FORM_LEAKY_F32;
	const int c_f32 = any ? e.c_store == NN_STORE_F32 : form & FORM_F32, c2_f32 = any ? e.c2_store == NN_STORE_F32 : 1;
	const nn_act act = any ? e.act : form & FORM_GELU ? NN_GELU : NN_IDENTITY, act2 = any ? e.act2 : NN_LEAKY_RELU;
	const vf param = vf_set1(e.act_param), param2 = vf_set1(e.act2_param);
	vf bias = has_bias ? wide_get(e.bias + n, left) : vf_set1(0), b_scale = vf_set1(0);
	vi offset = vi_set1(0);
	if (int8) {
		b_scale = wide_get(e.b_scale + n, left);
		if (int8 == 1)
			offset = vi_load_part(e.b_colsum + n, left) << 7;
	}
	for (int i = 0; i < rows; i++, m++, sums += width) {
		vf v = vf_load(sums);
		if (int8)
			v = vf_from_vi((vi)v - offset) * (vf_set1(e.a_scale[m]) * b_scale);
		if (any && e.row_scale)
			v *= vf_set1(e.row_scale[m]);
		if (has_bias)
			v += bias;
		v = wide_act(act, param, v);
		if (has_residual)
			v += wide_get(e.residual + m * e.residual_stride + n, left);
		if (any)
			v *= vf_set1(e.out_scale);
		if (!any || e.c)
			wide_put(e.c, c_f32, m * e.c_stride + n, left, v);
		if (has_c2)
			wide_put(e.c2, c2_f32, m * e.c2_stride + n, left, wide_act(act2, param2, v));
	}
}

VEC_INLINE void wide_epilogue_as(const nn_gemm *g, int64_t m, int rows, int64_t n, int64_t cols, const float *sums, int64_t width,
                                 const int int8, const unsigned form) {
	for (int64_t j = 0; j < cols; j += VL)
		wide_columns(g, m, rows, n + j, sums + j, width, VL, int8, form);
}

/* Rows m .. of columns n .. n + cols - 1, whose sums lie in rows of `width`, a multiple of VL. */
static void wide_epilogue(const nn_gemm *g, int64_t m, int rows, int64_t n, int64_t cols, const float *sums, int64_t width,
                          const int int8) {
	int64_t whole = cols / VL * VL;
#define CASE(form) case form: wide_epilogue_as(g, m, rows, n, whole, sums, width, int8, form); break
	switch (wide_form(g)) {
	CASE(FORM_BIAS | FORM_F32);
	CASE(FORM_BIAS | FORM_BF16);
	CASE(FORM_BIAS | FORM_GELU | FORM_F32);
	CASE(FORM_BIAS | FORM_GELU | FORM_BF16);
	CASE(FORM_BIAS | FORM_RESIDUAL | FORM_F32);
	CASE(FORM_BIAS | FORM_RESIDUAL | FORM_F32 | FORM_LEAKY_F32);
	CASE(FORM_BIAS | FORM_F32 | FORM_LEAKY_F32);
	default: wide_epilogue_as(g, m, rows, n, whole, sums, width, int8, FORM_ANY);
	}
#undef CASE
	if (whole < cols)
		wide_columns(g, m, rows, n + whole, sums + whole, width, cols - whole, int8, FORM_ANY);
}

#endif
