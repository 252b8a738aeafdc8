/* bf16 products with plain AVX-512: two fused multiply-adds for what vdpbf16ps does, in its order (odd element first). */
#include "nn/cpu/x86/gemm_parts.h"

#include <immintrin.h>

static inline __attribute__((always_inline)) __m512 dot(__m512 c, __m512i a, __m512i b) {
	const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
	c = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(a, upper)), _mm512_castsi512_ps(_mm512_and_si512(b, upper)), c);
	return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(a, 16)), _mm512_castsi512_ps(_mm512_slli_epi32(b, 16)), c);
}

#define ELEMENT 2
#define ACC __m512
#define ACC_ZERO _mm512_setzero_ps()
#define DOT dot
#define STORE(to, c, s) _mm512_storeu_ps(to, _mm512_mul_ps(c, _mm512_set1_ps(s)))
#define MR NN512_WIDEN_MR
#include "nn/cpu/x86/gemm_avx512.h"

void nn512_run_widen_bf16(const nn_gemm *gemm) { run(gemm); }
