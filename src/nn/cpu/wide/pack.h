/* Packing for products: panels of WIDE_NR columns (a multiple of VL), k in groups of four bytes (see nn_gemm_family). */
#ifndef SN_NN_CPU_WIDE_PACK_H
#define SN_NN_CPU_WIDE_PACK_H

#ifndef WIDE_NR
#error "wide/pack.h wants WIDE_NR"
#endif

#include "nn/cpu/scalar.h"
#include "nn/cpu/wide/store.h"

#define WIDE_GROUP (WIDE_NR * 4) /* bytes of one group of k in a panel */

/* Element (n, tap, k) lies n * n_stride + tap * tap_stride + k * k_stride elements behind x. */
typedef struct wide_source {
	const void *x;
	nn_store store;
	int element; /* bytes of a packed one */
	int64_t n, k, n_stride, tap_stride, k_stride;
	int taps;
} wide_source;

/* VL elements, `stride` apart, from element `at` on; zero past `left`. */
VEC_INLINE vf wide_fetch(const wide_source *s, int64_t at, int64_t stride, int64_t left) {
	if (stride == 1)
		return left >= VL ? wide_load(s->x, s->store, at) : wide_load_part(s->x, s->store, at, left);
	float v[VL] = { 0 };
	for (int64_t i = 0; i < VL && i < left; i++)
		v[i] = nn_load(s->x, s->store, at + i * stride);
	return vf_load(v);
}

/* round(x * inverse) within -127 .. 127; a NaN gives -127 */
VEC_INLINE vi wide_quantized(vf x, float inverse) {
	return vi_round(vf_min(vf_max(x * inverse, vf_set1(-127)), vf_set1(127)));
}

/* VL groups along k of one column, from element `at` on, of which `left` are there. */
VEC_INLINE vi wide_groups(const wide_source *s, int64_t at, int64_t left, float inverse) {
	int64_t step = s->k_stride;
	if (s->element == 4)
		return (vi)wide_fetch(s, at, step, left);
	if (s->element == 2) {
		uint16_t halves[2 * VL];
		vf_store_bf16(halves, wide_fetch(s, at, step, left));
		vf_store_bf16(halves + VL, wide_fetch(s, at + VL * step, step, left - VL));
		return vi_load(halves);
	}
	uint8_t bytes[4 * VL];
	for (int i = 0; i < 4 * VL; i += VL)
		vi_store_bytes_part(bytes + i, VL, wide_quantized(wide_fetch(s, at + i * step, step, left - i), inverse));
	return vi_load(bytes) ^ (int32_t)0x80808080;
}

/* One panel (s->n at most WIDE_NR) of a source whose k is the quicker axis. */
static void wide_pack_rows(const wide_source *s, const float *inverse, char *to) {
	int64_t per_group = 4 / s->element, all = (s->k + per_group - 1) / per_group;
	for (int tap = 0; tap < s->taps; tap++, to += all * WIDE_GROUP)
		for (int64_t g = 0; g < all; g += VL)
			for (int part = 0; part < WIDE_NR; part += VL) {
				vi x[VL];
				VEC_UNROLL for (int i = 0; i < VL; i++) {
					int64_t n = part + i, k = g * per_group;
					int64_t at = n * s->n_stride + tap * s->tap_stride + k * s->k_stride;
					x[i] = n >= s->n ? vi_set1(0) : wide_groups(s, at, s->k - k, inverse ? inverse[n] : 0);
				}
				vi_transpose(x);
				VEC_UNROLL for (int i = 0; i < VL; i++)
					if (g + i < all)
						vi_store(to + (g + i) * WIDE_GROUP + part * 4, x[i]);
			}
}

/* One panel of a source whose n is the quicker axis: f32 and bf16. */
static void wide_pack_columns(const wide_source *s, char *to) {
	int64_t per_group = 4 / s->element;
	for (int tap = 0; tap < s->taps; tap++)
		for (int64_t k = 0; k < s->k; k += per_group, to += WIDE_GROUP)
			for (int part = 0; part < WIDE_NR; part += VL) {
				int64_t at = tap * s->tap_stride + k * s->k_stride + part, left = s->n - part;
				vf x = wide_fetch(s, at, 1, left);
				if (s->element == 2) {
					vf odd = k + 1 < s->k ? wide_fetch(s, at + s->k_stride, 1, left) : vf_set1(0);
					x = (vf)(vi)((vu)vi_rounded_bf16(x) >> 16 | ((vu)vi_rounded_bf16(odd) & 0xffff0000));
				}
				vf_store((float *)(to + part * 4), x);
			}
}

static float wide_largest(const wide_source *s, int64_t n) {
	vf max = vf_set1(0);
	for (int tap = 0; tap < s->taps; tap++)
		for (int64_t k = 0; k < s->k; k += VL) {
			vf x = wide_fetch(s, n * s->n_stride + tap * s->tap_stride + k * s->k_stride, s->k_stride, s->k - k);
			max = vf_max(vf_abs(x), max); /* a NaN is passed over */
		}
	return vf_top(max);
}

static void wide_column_scales(const wide_source *s, float *scale, float *inverse) {
	for (int64_t n = 0; n < s->n; n++) {
		float max = wide_largest(s, n);
		inverse[n] = max < NN_QUANT_ZERO ? 0 : 127 / max;
		scale[n] = max < NN_QUANT_ZERO ? 1 : max / 127;
	}
}

static void wide_column_sums(const char *panel, int64_t bytes, int64_t n, int32_t *colsum) {
	for (int64_t part = 0; part < n; part += VL) {
		vi sum = vi_set1(0);
		for (int64_t at = part * 4; at < bytes; at += WIDE_GROUP) {
			vi x = vi_load(panel + at);
			sum += (x << 24 >> 24) + (x << 16 >> 24) + (x << 8 >> 24) + (x >> 24);
		}
		vi_store_part(colsum + part, n - part, sum);
	}
}

static void wide_pack(wide_source s, char *to, float *scale, int32_t *colsum) {
	int64_t per_group = 4 / s.element, panel_bytes = s.taps * ((s.k + per_group - 1) / per_group) * WIDE_GROUP, all = s.n;
	for (int64_t n = 0; n < all; n += WIDE_NR, to += panel_bytes) {
		float inverse[WIDE_NR];
		s.n = all - n < WIDE_NR ? all - n : WIDE_NR;
		if (s.element == 1) {
			wide_column_scales(&s, scale + n, inverse);
			wide_pack_rows(&s, inverse, to);
			wide_column_sums(to, panel_bytes, s.n, colsum + n);
		} else if (s.n_stride == 1 && s.k_stride != 1) {
			wide_pack_columns(&s, to);
		} else {
			wide_pack_rows(&s, NULL, to);
		}
		s.x = (const char *)s.x + WIDE_NR * s.n_stride * (s.store == NN_STORE_F32 ? 4 : 2);
	}
}

static void wide_pack_f32(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride,
                          void *packed, float *scale, int32_t *colsum) {
	wide_pack((wide_source){ w, NN_STORE_F32, 4, n, k, n_stride, tap_stride, k_stride, taps }, packed, NULL, NULL);
}

static void wide_pack_bf16(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride,
                           void *packed, float *scale, int32_t *colsum) {
	wide_pack((wide_source){ w, NN_STORE_F32, 2, n, k, n_stride, tap_stride, k_stride, taps }, packed, NULL, NULL);
}

static void wide_pack_s8(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride,
                         void *packed, float *scale, int32_t *colsum) {
	wide_pack((wide_source){ w, NN_STORE_F32, 1, n, k, n_stride, tap_stride, k_stride, taps }, packed, scale, colsum);
}

static void wide_pack_keys(const nn_gemm_family *family, const void *x, nn_store store, int64_t rows, int64_t cols, int64_t stride,
                           void *packed) {
	wide_pack((wide_source){ x, store, family->element, rows, cols, stride, 0, 1, 1 }, packed, NULL, NULL);
}

static void wide_pack_values(const nn_gemm_family *family, const void *x, nn_store store, int64_t rows, int64_t cols, int64_t stride,
                             void *packed) {
	wide_pack((wide_source){ x, store, family->element, cols, rows, 1, 0, stride, 1 }, packed, NULL, NULL);
}

#endif
