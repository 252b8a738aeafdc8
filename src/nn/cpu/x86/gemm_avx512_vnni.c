/* int8 products by vpdpbusd: unsigned activations times signed weights, exact in int32. */
#ifndef __AVX512VNNI__
#error "gemm_avx512_vnni.c needs -mavx512vnni"
#endif

#include "nn/cpu/fills.h"

#include <immintrin.h>

#define ELEMENT 1
#define ACC __m512i
#define ACC_ZERO _mm512_setzero_si512()
#define DOT(c, a, b) _mm512_dpbusd_epi32(c, a, b)
#define STORE(to, c, s) _mm512_storeu_si512(to, c)
#define MR 14
#include "nn/cpu/x86/gemm_avx512.h"

void nn_gemm_fill_vnni(nn_kernels *k) {
	k->s8.isa = "avx512_vnni";
	k->s8.mr = MR;
	k->s8.run = run;
}
