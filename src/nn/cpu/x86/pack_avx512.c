/* Packing for 512-bit products: panels of 32 columns, k in groups of four bytes (see nn_gemm_family). */
#include "nn/cpu/scalar.h"
#include "nn/cpu/x86/gemm_parts.h"
#include "nn/cpu/x86/math_avx512.h"
#include "nn/cpu/x86/transpose_avx512.h"

#define NR NN512_NR
#define GROUP_BYTES (NR * 4)

/* Element (n, tap, k) lies n * n_stride + tap * tap_stride + k * k_stride elements behind x. */
typedef struct source {
	const void *x;
	nn_store store;
	int element; /* bytes of a packed one */
	int64_t n, k, n_stride, tap_stride, k_stride;
	int taps;
} source;

/* Sixteen elements, `stride` apart, from element `at` on; zero past `left`. */
NN16_INLINE __m512 load(const source *s, int64_t at, int64_t stride, int64_t left) {
	__mmask16 mask = left > 0 ? nn16_mask(left) : 0;
	if (stride == 1 && s->store == NN_STORE_F32)
		return _mm512_maskz_loadu_ps(mask, (const float *)s->x + at);
	if (stride == 1)
		return nn16_mask_load_bf16(mask, (const nn_bf16 *)s->x + at);
	float v[16] __attribute__((aligned(64))) = { 0 };
	for (int64_t i = 0; i < 16 && i < left; i++)
		v[i] = nn_load(s->x, s->store, at + i * stride);
	return _mm512_load_ps(v);
}

/* round(x * inverse) within -127 .. 127; a NaN gives -127 */
NN16_INLINE __m128i quantized(__m512 x, float inverse) {
	__m512 q = _mm512_max_ps(_mm512_mul_ps(x, _mm512_set1_ps(inverse)), _mm512_set1_ps(-127));
	return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_min_ps(q, _mm512_set1_ps(127))));
}

/* Sixteen groups along k of one column, from element `at` on, of which `left` are there. */
NN16_INLINE __m512i groups(const source *s, int64_t at, int64_t left, float inverse) {
	int64_t step = s->k_stride;
	if (s->element == 4)
		return _mm512_castps_si512(load(s, at, step, left));
	if (s->element == 2) {
		__m256i low = nn16_to_bf16(load(s, at, step, left)), high = nn16_to_bf16(load(s, at + 16 * step, step, left - 16));
		return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
	}
	__m512i all = _mm512_castsi128_si512(quantized(load(s, at, step, left), inverse));
	all = _mm512_inserti32x4(all, quantized(load(s, at + 16 * step, step, left - 16), inverse), 1);
	all = _mm512_inserti32x4(all, quantized(load(s, at + 32 * step, step, left - 32), inverse), 2);
	return _mm512_inserti32x4(all, quantized(load(s, at + 48 * step, step, left - 48), inverse), 3);
}

/* One panel (s->n at most 32) of a source whose k is the quicker axis. */
static void pack_rows(const source *s, const float *inverse, char *to) {
	int64_t per_group = 4 / s->element, all = (s->k + per_group - 1) / per_group;
	for (int tap = 0; tap < s->taps; tap++, to += all * GROUP_BYTES)
		for (int64_t g = 0; g < all; g += 16)
			for (int half = 0; half < NR; half += 16) {
				__m512i x[16];
				NN16_UNROLL for (int i = 0; i < 16; i++) {
					int64_t n = half + i, k = g * per_group;
					int64_t at = n * s->n_stride + tap * s->tap_stride + k * s->k_stride;
					x[i] = n >= s->n ? _mm512_setzero_si512() : groups(s, at, s->k - k, inverse ? inverse[n] : 0);
				}
				nn512_store_transposed(x, to + g * GROUP_BYTES + half * 4, GROUP_BYTES, all - g < 16 ? all - g : 16);
			}
}

/* One panel of a source whose n is the quicker axis: f32 and bf16. */
static void pack_columns(const source *s, char *to) {
	int64_t per_group = 4 / s->element;
	for (int tap = 0; tap < s->taps; tap++)
		for (int64_t k = 0; k < s->k; k += per_group, to += GROUP_BYTES)
			for (int half = 0; half < NR; half += 16) {
				int64_t at = tap * s->tap_stride + k * s->k_stride + half, left = s->n - half;
				__m512i x = _mm512_castps_si512(load(s, at, 1, left));
				if (s->element == 2) {
					__m512 odd = k + 1 < s->k ? load(s, at + s->k_stride, 1, left) : _mm512_setzero_ps();
					x = _mm512_cvtepu16_epi32(nn16_to_bf16(_mm512_castsi512_ps(x)));
					x = _mm512_or_si512(x, _mm512_slli_epi32(_mm512_cvtepu16_epi32(nn16_to_bf16(odd)), 16));
				}
				_mm512_store_si512(to + half * 4, x);
			}
}

static float largest(const source *s, int64_t n) {
	__m512 max = _mm512_setzero_ps();
	for (int tap = 0; tap < s->taps; tap++)
		for (int64_t k = 0; k < s->k; k += 16) {
			__m512 x = load(s, n * s->n_stride + tap * s->tap_stride + k * s->k_stride, s->k_stride, s->k - k);
			max = _mm512_max_ps(_mm512_abs_ps(x), max); /* a NaN in the first operand is passed over */
		}
	return _mm512_reduce_max_ps(max);
}

static void column_scales(const source *s, float *scale, float *inverse) {
	for (int64_t n = 0; n < s->n; n++) {
		float max = largest(s, n);
		inverse[n] = max < NN_QUANT_ZERO ? 0 : 127 / max;
		scale[n] = max < NN_QUANT_ZERO ? 1 : max / 127;
	}
}

static void column_sums(const char *panel, int64_t bytes, int64_t n, int32_t *colsum) {
	const __m512i ones = _mm512_set1_epi8(1), wide_ones = _mm512_set1_epi16(1);
	for (int64_t half = 0; half < n; half += 16) {
		__m512i sum = _mm512_setzero_si512();
		for (int64_t at = half * 4; at < bytes; at += GROUP_BYTES)
			sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(ones, _mm512_load_si512(panel + at)), wide_ones));
		_mm512_mask_storeu_epi32(colsum + half, nn16_mask(n - half), sum);
	}
}

static void pack(source s, char *to, float *scale, int32_t *colsum) {
	int64_t per_group = 4 / s.element, panel_bytes = s.taps * ((s.k + per_group - 1) / per_group) * GROUP_BYTES, all = s.n;
	for (int64_t n = 0; n < all; n += NR, to += panel_bytes) {
		float inverse[NR];
		s.n = all - n < NR ? all - n : NR;
		if (s.element == 1) {
			column_scales(&s, scale + n, inverse);
			pack_rows(&s, inverse, to);
			column_sums(to, panel_bytes, s.n, colsum + n);
		} else if (s.n_stride == 1 && s.k_stride != 1) {
			pack_columns(&s, to);
		} else {
			pack_rows(&s, NULL, to);
		}
		s.x = (const char *)s.x + NR * s.n_stride * (s.store == NN_STORE_F32 ? 4 : 2);
	}
}

void nn512_pack_f32(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                    float *scale, int32_t *colsum) {
	pack((source){ w, NN_STORE_F32, 4, n, k, n_stride, tap_stride, k_stride, taps }, packed, NULL, NULL);
}

void nn512_pack_bf16(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                     float *scale, int32_t *colsum) {
	pack((source){ w, NN_STORE_F32, 2, n, k, n_stride, tap_stride, k_stride, taps }, packed, NULL, NULL);
}

void nn512_pack_s8(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                   float *scale, int32_t *colsum) {
	pack((source){ w, NN_STORE_F32, 1, n, k, n_stride, tap_stride, k_stride, taps }, packed, scale, colsum);
}

void nn512_pack_keys(const nn_gemm_family *family, const void *x, nn_store store, int64_t rows, int64_t cols, int64_t stride, void *packed) {
	pack((source){ x, store, family->element, rows, cols, stride, 0, 1, 1 }, packed, NULL, NULL);
}

void nn512_pack_values(const nn_gemm_family *family, const void *x, nn_store store, int64_t rows, int64_t cols, int64_t stride, void *packed) {
	pack((source){ x, store, family->element, cols, rows, 1, 0, stride, 1 }, packed, NULL, NULL);
}
