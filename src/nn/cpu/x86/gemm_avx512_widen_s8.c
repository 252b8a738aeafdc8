/* int8 products with plain AVX-512: bytes widened to 16 bits, even and odd ones apart, and multiplied in pairs; exact in int32. */
#include "nn/cpu/x86/gemm_parts.h"

#include <immintrin.h>

static inline __attribute__((always_inline)) __m512i dot(__m512i c, __m512i a, __m512i b) {
	__m512i a_even = _mm512_and_si512(a, _mm512_set1_epi16(0xff)), a_odd = _mm512_srli_epi16(a, 8);
	__m512i b_even = _mm512_srai_epi16(_mm512_slli_epi16(b, 8), 8), b_odd = _mm512_srai_epi16(b, 8);
	c = _mm512_add_epi32(c, _mm512_madd_epi16(a_even, b_even));
	return _mm512_add_epi32(c, _mm512_madd_epi16(a_odd, b_odd));
}

#define ELEMENT 1
#define ACC __m512i
#define ACC_ZERO _mm512_setzero_si512()
#define DOT dot
#define STORE(to, c, s) _mm512_storeu_si512(to, c)
#define MR NN512_WIDEN_MR
#include "nn/cpu/x86/gemm_avx512.h"

void nn512_run_widen_s8(const nn_gemm *gemm) { run(gemm); }
