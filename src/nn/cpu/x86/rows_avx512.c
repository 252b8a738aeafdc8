/* Norms, softmax, quantisation, and attention over a grown cache, 16 lanes at a time. A sum runs in lanes by index modulo 16, 32
 * or 64, then across lanes: its order hangs on the row's length alone. */
#include "nn/cpu/scalar.h"
#include "nn/cpu/x86/rows_avx512.h"

static inline __m512i magnitude(__m512 v) { return _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7fffffff)); }

/* bytes[i] = round(x[i] / s) + 128, where `most` holds the row's largest magnitude. Magnitudes compare as integers; a NaN is above
 * all of them and so becomes the scale. */
NN16_INLINE float quantize_by(__m512i most, const void *x, nn_store xs, uint8_t *bytes, int64_t n) {
	int32_t bits = _mm512_reduce_max_epi32(most);
	float max, s = 1, inverse = 0;
	memcpy(&max, &bits, sizeof max);
	if (!(max < NN_QUANT_ZERO))
		s = max / 127;
	if (isfinite(max) && max >= NN_QUANT_ZERO)
		inverse = 1 / s;
	if (inverse == 0) {
		memset(bytes, 128, (size_t)(n + 3) & ~(size_t)3);
		return s;
	}
	const __m512 factor = _mm512_set1_ps(inverse);
	const __m128i flip = _mm_set1_epi8((char)0x80);
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) {
		__m512i v = _mm512_cvtps_epi32(_mm512_mul_ps(row_load(x, xs, i), factor));
		_mm_storeu_si128((__m128i *)(bytes + i), _mm_xor_si128(_mm512_cvtsepi32_epi8(v), flip));
	}
	if (i < n) {
		__m512i v = _mm512_cvtps_epi32(_mm512_mul_ps(row_mask_load(nn16_mask(n - i), x, xs, i), factor));
		_mm_mask_storeu_epi8(bytes + i, nn16_mask((n - i + 3) & ~3), _mm_xor_si128(_mm512_cvtsepi32_epi8(v), flip));
	}
	return s;
}

NN16_INLINE float quantize_as(const void *x, const nn_store xs, uint8_t *bytes, int64_t n) {
	__m512i most = _mm512_setzero_si512(), other = most;
	int64_t i = 0;
	for (; i + 32 <= n; i += 32) {
		most = _mm512_max_epi32(most, magnitude(row_load(x, xs, i)));
		other = _mm512_max_epi32(other, magnitude(row_load(x, xs, i + 16)));
	}
	for (; i < n; i += 16)
		most = _mm512_max_epi32(most, magnitude(row_mask_load(nn16_mask(n - i), x, xs, i)));
	return quantize_by(_mm512_max_epi32(most, other), x, xs, bytes, n);
}

static float quantize_row(const void *x, nn_store xs, uint8_t *bytes, int64_t n) {
	if (xs == NN_STORE_F32)
		return quantize_as(x, NN_STORE_F32, bytes, n);
	return quantize_as(x, NN_STORE_BF16, bytes, n);
}

static inline float row_mean(const float *x, int64_t n) {
	__m512 s0 = _mm512_setzero_ps(), s1 = s0;
	int64_t i = 0;
	for (; i + 32 <= n; i += 32) {
		s0 = _mm512_add_ps(s0, _mm512_loadu_ps(x + i));
		s1 = _mm512_add_ps(s1, _mm512_loadu_ps(x + i + 16));
	}
	for (; i < n; i += 16)
		s0 = _mm512_add_ps(s0, _mm512_maskz_loadu_ps(nn16_mask(n - i), x + i));
	return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1)) / (float)n;
}

static inline float row_variance(const float *x, __m512 mean, int64_t n) {
	__m512 s0 = _mm512_setzero_ps(), s1 = s0;
	int64_t i = 0;
	for (; i + 32 <= n; i += 32) {
		__m512 d0 = _mm512_sub_ps(_mm512_loadu_ps(x + i), mean), d1 = _mm512_sub_ps(_mm512_loadu_ps(x + i + 16), mean);
		s0 = _mm512_fmadd_ps(d0, d0, s0);
		s1 = _mm512_fmadd_ps(d1, d1, s1);
	}
	for (; i < n; i += 16) {
		__mmask16 m = nn16_mask(n - i);
		__m512 d = _mm512_maskz_sub_ps(m, _mm512_maskz_loadu_ps(m, x + i), mean);
		s0 = _mm512_fmadd_ps(d, d, s0);
	}
	return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1)) / (float)n;
}

/* y = (x - mean) * rstd * gamma + beta; returns the largest magnitude by lanes */
NN16_INLINE __m512i norm_as(const float *x, const float *gamma, const float *beta, __m512 mean, __m512 rstd, void *y, const nn_store ys,
                            int64_t n) {
	__m512i most = _mm512_setzero_si512();
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) {
		__m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + i), mean), rstd);
		v = _mm512_fmadd_ps(v, _mm512_loadu_ps(gamma + i), _mm512_loadu_ps(beta + i));
		most = _mm512_max_epi32(most, magnitude(v));
		row_save(y, ys, i, v);
	}
	if (i < n) {
		__mmask16 m = nn16_mask(n - i);
		__m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, x + i), mean), rstd);
		v = _mm512_maskz_fmadd_ps(m, v, _mm512_maskz_loadu_ps(m, gamma + i), _mm512_maskz_loadu_ps(m, beta + i));
		most = _mm512_max_epi32(most, magnitude(v));
		row_mask_save(m, y, ys, i, v);
	}
	return most;
}

static float layer_norm(const float *x, const float *gamma, const float *beta, float eps, void *y, nn_store ys, float *scratch, int64_t n) {
	const __m512 mean = _mm512_set1_ps(row_mean(x, n));
	const __m512 rstd = _mm512_set1_ps(1 / sqrtf(row_variance(x, mean, n) + eps));
	switch (ys) {
	case NN_STORE_F32: norm_as(x, gamma, beta, mean, rstd, y, NN_STORE_F32, n); return 0;
	case NN_STORE_BF16: norm_as(x, gamma, beta, mean, rstd, y, NN_STORE_BF16, n); return 0;
	case NN_STORE_U8: break;
	}
	__m512i most = norm_as(x, gamma, beta, mean, rstd, scratch, NN_STORE_F32, n);
	return quantize_by(most, scratch, NN_STORE_F32, y, n);
}

/* exp(d) for d <= 0: 2^t = 2^floor(t) p(t - floor(t)); -infinity gives 0, 0 gives 1 exactly. The product with log2(e) is not split,
 * for what lies far below the maximum counts for little: relative error 3e-7 + 6e-8 |d|. Where the result becomes bf16, which keeps
 * 4e-3, a cubic with 9e-5 does. */
NN16_INLINE __m512 exp_below(__m512 d, const nn_store store) {
	__m512 t = _mm512_mul_ps(d, _mm512_set1_ps(1.44269504f)), p;
	__m512 f = _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
	if (store == NN_STORE_BF16) {
		p = _mm512_set1_ps(0.07706704206f);
		p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.2276449912f));
		p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.6951167864f));
	} else {
		p = _mm512_set1_ps(0.001867130081f);
		p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.009017030287f));
		p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.05579991314f));
		p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.2401644501f));
		p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.6931513118f));
	}
	return _mm512_scalef_ps(_mm512_fmadd_ps(p, f, _mm512_set1_ps(1)), t);
}

static inline float row_max(const float *x, int64_t n) {
	__m512 m0 = _mm512_set1_ps(-INFINITY), m1 = m0, m2 = m0, m3 = m0;
	int64_t i = 0;
	for (; i + 64 <= n; i += 64) {
		m0 = _mm512_max_ps(_mm512_loadu_ps(x + i), m0);
		m1 = _mm512_max_ps(_mm512_loadu_ps(x + i + 16), m1);
		m2 = _mm512_max_ps(_mm512_loadu_ps(x + i + 32), m2);
		m3 = _mm512_max_ps(_mm512_loadu_ps(x + i + 48), m3);
	}
	for (; i < n; i += 16) {
		__mmask16 m = nn16_mask(n - i);
		m0 = _mm512_mask_max_ps(m0, m, _mm512_maskz_loadu_ps(m, x + i), m0);
	}
	return _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(m0, m1), _mm512_max_ps(m2, m3)));
}

NN16_INLINE float softmax_as(const float *x, int64_t n, int64_t padded, void *p, const nn_store ps) {
	float top = row_max(x, n);
	const __m512 max = _mm512_set1_ps(top == -INFINITY ? 0 : top);
	__m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
	int64_t i = 0;
	for (; i + 64 <= n; i += 64) {
		__m512 e0 = exp_below(_mm512_sub_ps(_mm512_loadu_ps(x + i), max), ps);
		__m512 e1 = exp_below(_mm512_sub_ps(_mm512_loadu_ps(x + i + 16), max), ps);
		__m512 e2 = exp_below(_mm512_sub_ps(_mm512_loadu_ps(x + i + 32), max), ps);
		__m512 e3 = exp_below(_mm512_sub_ps(_mm512_loadu_ps(x + i + 48), max), ps);
		s0 = _mm512_add_ps(s0, e0);
		s1 = _mm512_add_ps(s1, e1);
		s2 = _mm512_add_ps(s2, e2);
		s3 = _mm512_add_ps(s3, e3);
		row_save(p, ps, i, e0);
		row_save(p, ps, i + 16, e1);
		row_save(p, ps, i + 32, e2);
		row_save(p, ps, i + 48, e3);
	}
	for (; i < n; i += 16) {
		__mmask16 m = nn16_mask(n - i);
		__m512 e = _mm512_maskz_mov_ps(m, exp_below(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, x + i), max), ps));
		s0 = _mm512_add_ps(s0, e);
		row_mask_save(m, p, ps, i, e);
	}
	size_t element = ps == NN_STORE_F32 ? sizeof(float) : sizeof(nn_bf16);
	if (padded > n)
		memset((char *)p + (size_t)n * element, 0, (size_t)(padded - n) * element);
	float sum = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
	return sum == 0 ? 0 : 1 / sum;
}

static float softmax_row(const float *x, int64_t n, int64_t padded, void *p, nn_store ps) {
	if (ps == NN_STORE_F32)
		return softmax_as(x, n, padded, p, NN_STORE_F32);
	return softmax_as(x, n, padded, p, NN_STORE_BF16);
}

/* The sums of four vectors. */
static inline __m128 sum_four(__m512 a, __m512 b, __m512 c, __m512 d) {
	__m256 a8 = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
	__m256 b8 = _mm256_add_ps(_mm512_castps512_ps256(b), _mm512_extractf32x8_ps(b, 1));
	__m256 c8 = _mm256_add_ps(_mm512_castps512_ps256(c), _mm512_extractf32x8_ps(c, 1));
	__m256 d8 = _mm256_add_ps(_mm512_castps512_ps256(d), _mm512_extractf32x8_ps(d, 1));
	__m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a8, b8), _mm256_unpackhi_ps(a8, b8));
	__m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c8, d8), _mm256_unpackhi_ps(c8, d8));
	__m256 lo = _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(ab), _mm256_castps_pd(cd)));
	__m256 hi = _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(ab), _mm256_castps_pd(cd)));
	__m256 sum = _mm256_add_ps(lo, hi);
	return _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
}

/* A head's view of a cache: element (p, c) of its keys or values is base[table[p] * stride_slot + p * width + c]. */
typedef struct view {
	const void *base;
	const int32_t *table;
	int64_t stride_slot, width;
} view;

static inline int64_t view_at(const view *v, int64_t p) { return v->table[p] * v->stride_slot + p * v->width; }

static inline __mmask16 lanes(int64_t left) { return left > 0 ? nn16_mask(left) : 0; }

/* s[p] = scale * sum_c q[c] key(p)[c]; past the end the last position is computed again and not stored. */
NN16_INLINE void cache_scores(const float *q, view k, const nn_store store, int64_t size, int64_t length,
                                                               float scale, float *s) {
	for (int64_t p = 0; p < length; p += 4) {
		int64_t at[4];
		for (int j = 0; j < 4; j++)
			at[j] = view_at(&k, p + j < length ? p + j : length - 1);
		__m512 a = _mm512_setzero_ps(), b = a, c = a, d = a;
		for (int64_t i = 0; i < size; i += 16) {
			__mmask16 m = nn16_mask(size - i);
			__m512 x = _mm512_maskz_loadu_ps(m, q + i);
			a = _mm512_fmadd_ps(x, row_mask_load(m, k.base, store, at[0] + i), a);
			b = _mm512_fmadd_ps(x, row_mask_load(m, k.base, store, at[1] + i), b);
			c = _mm512_fmadd_ps(x, row_mask_load(m, k.base, store, at[2] + i), c);
			d = _mm512_fmadd_ps(x, row_mask_load(m, k.base, store, at[3] + i), d);
		}
		__m128 sums = _mm_mul_ps(sum_four(a, b, c, d), _mm_set1_ps(scale));
		if (p + 4 <= length)
			_mm_storeu_ps(s + p, sums);
		else
			_mm_mask_storeu_ps(s + p, (__mmask8)nn16_mask(length - p), sums);
	}
}

/* out[c] = inverse * sum_p s[p] value(p)[c] */
NN16_INLINE void cache_values(const float *s, view v, const nn_store store, int64_t size, int64_t length,
                                                               float inverse, void *out, nn_store out_store, int64_t first) {
	const __m512 factor = _mm512_set1_ps(inverse);
	for (int64_t i = 0; i < size; i += 64) {
		__mmask16 m0 = lanes(size - i), m1 = lanes(size - i - 16), m2 = lanes(size - i - 32), m3 = lanes(size - i - 48);
		__m512 a = _mm512_setzero_ps(), b = a, c = a, d = a;
		for (int64_t p = 0; p < length; p++) {
			int64_t at = view_at(&v, p) + i;
			__m512 weight = _mm512_set1_ps(s[p]);
			a = _mm512_fmadd_ps(weight, row_mask_load(m0, v.base, store, at), a);
			b = _mm512_fmadd_ps(weight, row_mask_load(m1, v.base, store, at + 16), b);
			c = _mm512_fmadd_ps(weight, row_mask_load(m2, v.base, store, at + 32), c);
			d = _mm512_fmadd_ps(weight, row_mask_load(m3, v.base, store, at + 48), d);
		}
		row_mask_save(m0, out, out_store, first + i, _mm512_mul_ps(a, factor));
		row_mask_save(m1, out, out_store, first + i + 16, _mm512_mul_ps(b, factor));
		row_mask_save(m2, out, out_store, first + i + 32, _mm512_mul_ps(c, factor));
		row_mask_save(m3, out, out_store, first + i + 48, _mm512_mul_ps(d, factor));
	}
}

static inline const void *element(const void *x, nn_store store, int64_t i) {
	return (const char *)x + i * (int64_t)(store == NN_STORE_F32 ? sizeof(float) : sizeof(nn_bf16));
}

static void cache_attention(const float *q, const void *k_cache, const void *v_cache, nn_store store, const int32_t *table,
                            int64_t stride_slot, int64_t width, int64_t size, int heads, int64_t length, float scale, float *scratch,
                            float *probs, int64_t probs_stride, void *out, nn_store out_store) {
	for (int64_t first = 0; first < size * heads; first += size) {
		view k = { element(k_cache, store, first), table, stride_slot, width };
		view v = { element(v_cache, store, first), table, stride_slot, width };
		if (store == NN_STORE_F32)
			cache_scores(q + first, k, NN_STORE_F32, size, length, scale, scratch);
		else if (size == 64)
			cache_scores(q + first, k, NN_STORE_BF16, 64, length, scale, scratch);
		else
			cache_scores(q + first, k, NN_STORE_BF16, size, length, scale, scratch);
		float inverse = softmax_as(scratch, length, length, scratch, NN_STORE_F32);
		if (store == NN_STORE_F32)
			cache_values(scratch, v, NN_STORE_F32, size, length, inverse, out, out_store, first);
		else if (size == 64)
			cache_values(scratch, v, NN_STORE_BF16, 64, length, inverse, out, out_store, first);
		else
			cache_values(scratch, v, NN_STORE_BF16, size, length, inverse, out, out_store, first);
		if (!probs)
			continue;
		for (int64_t p = 0; p < length; p += 16) {
			__mmask16 m = nn16_mask(length - p);
			__m512 e = _mm512_maskz_loadu_ps(m, scratch + p);
			_mm512_mask_storeu_ps(probs + p, m, _mm512_mul_ps(e, _mm512_set1_ps(inverse)));
		}
		probs += probs_stride;
	}
}

void FILL(nn_kernels *k) {
	FILL_ELEMENTS(k);
	k->quantize_row = quantize_row;
	k->layer_norm = layer_norm;
	k->softmax_row = softmax_row;
	k->cache_attention = cache_attention;
}
