/* vec.h with eight lanes: AVX2 and FMA, no F16C. Included by vec.h. */
#include <immintrin.h>

VEC_INLINE vf vf_set1(float x) { return (vf)_mm256_set1_ps(x); }
VEC_INLINE vi vi_set1(int32_t x) { return (vi)_mm256_set1_epi32(x); }

/* Not by the masked moves: on some processors their stores take tens of cycles, and emulators read all that they mask. */
VEC_INLINE __m128i vec_load_few(const void *p, int64_t n) { /* n < 4 */
	switch (n) {
	case 1: return _mm_loadu_si32(p);
	case 2: return _mm_loadl_epi64(p);
	case 3: return _mm_unpacklo_epi64(_mm_loadl_epi64(p), _mm_loadu_si32((const char *)p + 8));
	}
	return _mm_setzero_si128();
}

VEC_INLINE void vec_store_few(void *p, int64_t n, __m128i x) {
	if (n >= 2)
		_mm_storel_epi64(p, x);
	if (n == 1)
		_mm_storeu_si32(p, x);
	if (n == 3)
		_mm_storeu_si32((char *)p + 8, _mm_unpackhi_epi64(x, x));
}

VEC_INLINE vi vi_load_part(const int32_t *p, int64_t n) {
	if (n >= VL)
		return vi_load(p);
	if (n < 4)
		return (vi)_mm256_zextsi128_si256(vec_load_few(p, n));
	return (vi)_mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p)), vec_load_few(p + 4, n - 4), 1);
}

VEC_INLINE void vi_store_part(int32_t *p, int64_t n, vi x) {
	const __m128i low = _mm256_castsi256_si128((__m256i)x);
	if (n >= VL) {
		vi_store(p, x);
	} else if (n < 4) {
		vec_store_few(p, n, low);
	} else {
		_mm_storeu_si128((__m128i *)p, low);
		vec_store_few(p + 4, n - 4, _mm256_extracti128_si256((__m256i)x, 1));
	}
}

VEC_INLINE vf vf_load_part(const float *p, int64_t n) { return (vf)vi_load_part((const int32_t *)p, n); }
VEC_INLINE void vf_store_part(float *p, int64_t n, vf x) { vi_store_part((int32_t *)p, n, (vi)x); }

VEC_INLINE vf vec_from_bf16(__m128i h) { return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16); }
VEC_INLINE vf vf_load_bf16(const uint16_t *p) { return vec_from_bf16(_mm_loadu_si128((const __m128i *)p)); }

VEC_INLINE vf vf_load_bf16_part(const uint16_t *p, int64_t n) {
	if (n >= VL)
		return vf_load_bf16(p);
	uint16_t h[VL] = { 0 };
	for (int64_t i = 0; i < n; i++)
		h[i] = p[i];
	return vf_load_bf16(h);
}

VEC_INLINE void vi_store_upper(uint16_t *p, vi x) {
	__m256i upper = _mm256_srli_epi32((__m256i)x, 16);
	_mm_storeu_si128((__m128i *)p, _mm_packus_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1)));
}

VEC_INLINE void vi_store_upper_part(uint16_t *p, int64_t n, vi x) {
	if (n >= VL) {
		vi_store_upper(p, x);
		return;
	}
	uint16_t h[VL];
	vi_store_upper(h, x);
	for (int64_t i = 0; i < n; i++)
		p[i] = h[i];
}

VEC_INLINE void vi_store_bytes_part(uint8_t *p, int64_t n, vi x) {
	__m128i half = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
	__m128i all = _mm_xor_si128(_mm_packs_epi16(half, half), _mm_set1_epi8((char)0x80));
	if (n >= VL) {
		_mm_storel_epi64((__m128i *)p, all);
		return;
	}
	uint8_t bytes[VL];
	_mm_storel_epi64((__m128i *)bytes, all);
	for (int64_t i = 0; i < n; i++)
		p[i] = bytes[i];
}

VEC_INLINE vf vf_fma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
VEC_INLINE vf vf_fnma(vf a, vf b, vf c) { return (vf)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c); }
VEC_INLINE vf vf_min(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
VEC_INLINE vf vf_max(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
VEC_INLINE vi vi_max(vi a, vi b) { return (vi)_mm256_max_epi32((__m256i)a, (__m256i)b); }
VEC_INLINE vf vf_sqrt(vf x) { return (vf)_mm256_sqrt_ps((__m256)x); }
VEC_INLINE vf vf_round(vf x) { return (vf)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VEC_INLINE vf vf_floor(vf x) { return (vf)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
VEC_INLINE vi vi_round(vf x) { return (vi)_mm256_cvtps_epi32((__m256)x); }
VEC_INLINE vf vf_from_vi(vi x) { return (vf)_mm256_cvtepi32_ps((__m256i)x); }
VEC_INLINE vf vf_select(vi m, vf a, vf b) { return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m); }
VEC_INLINE vi vi_select(vi m, vi a, vi b) { return (vi)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m); }

VEC_INLINE vf vf_table16(const float *t, vi i) {
	__m256 low = _mm256_permutevar8x32_ps(_mm256_load_ps(t), (__m256i)i), high = _mm256_permutevar8x32_ps(_mm256_load_ps(t + 8), (__m256i)i);
	return (vf)_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32((__m256i)i, 28)));
}

VEC_INLINE float vf_sum(vf x) {
	__m128 four = _mm_add_ps(_mm256_castps256_ps128((__m256)x), _mm256_extractf128_ps((__m256)x, 1));
	__m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
	return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

VEC_INLINE float vf_top(vf x) {
	__m128 four = _mm_max_ps(_mm256_castps256_ps128((__m256)x), _mm256_extractf128_ps((__m256)x, 1));
	__m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
	return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

VEC_INLINE int32_t vi_top(vi x) {
	__m128i four = _mm_max_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
	__m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
	return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

VEC_INLINE void vf_sum4(vf a, vf b, vf c, vf d, float to[4]) {
	__m256 ab = _mm256_hadd_ps((__m256)a, (__m256)b), cd = _mm256_hadd_ps((__m256)c, (__m256)d), all = _mm256_hadd_ps(ab, cd);
	_mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
}

VEC_INLINE void vi_transpose(vi x[VL]) {
	__m256i y[VL];
	VEC_UNROLL for (int i = 0; i < VL; i += 2) {
		y[i] = _mm256_unpacklo_epi32((__m256i)x[i], (__m256i)x[i + 1]);
		y[i + 1] = _mm256_unpackhi_epi32((__m256i)x[i], (__m256i)x[i + 1]);
	}
	__m256i z[VL];
	VEC_UNROLL for (int i = 0; i < VL; i += 4)
		VEC_UNROLL for (int j = 0; j < 2; j++) {
			z[i + 2 * j] = _mm256_unpacklo_epi64(y[i + j], y[i + j + 2]);
			z[i + 2 * j + 1] = _mm256_unpackhi_epi64(y[i + j], y[i + j + 2]);
		}
	VEC_UNROLL for (int i = 0; i < VL / 2; i++) {
		x[i] = (vi)_mm256_permute2x128_si256(z[i], z[i + 4], 0x20);
		x[i + 4] = (vi)_mm256_permute2x128_si256(z[i], z[i + 4], 0x31);
	}
}
