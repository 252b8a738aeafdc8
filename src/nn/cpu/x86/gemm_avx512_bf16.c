/* bf16 products by vdpbf16ps. */
#ifndef __AVX512BF16__
#error "gemm_avx512_bf16.c needs -mavx512bf16"
#endif

#include "nn/cpu/fills.h"

#include <immintrin.h>

#define ELEMENT 2
#define ACC __m512
#define ACC_ZERO _mm512_setzero_ps()
#define DOT(c, a, b) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))
#define STORE(to, c, s) _mm512_storeu_ps(to, _mm512_mul_ps(c, _mm512_set1_ps(s)))
#define MR 14
#include "nn/cpu/x86/gemm_avx512.h"

void nn_gemm_fill_bf16(nn_kernels *k) {
	k->bf16.isa = "avx512_bf16";
	k->bf16.mr = MR;
	k->bf16.run = run;
}
