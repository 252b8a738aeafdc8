/* f32 products, and the table of plain AVX-512. */
#if !defined __AVX512F__ || !defined __AVX512BW__ || !defined __FMA__
#error "gemm_avx512.c needs -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma"
#endif

#include "nn/cpu/fills.h"
#include "nn/cpu/x86/gemm_parts.h"

#include <immintrin.h>

#define ELEMENT 4
#define ACC __m512
#define ACC_ZERO _mm512_setzero_ps()
#define DOT(c, a, b) _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), c)
#define STORE(to, c, s) _mm512_storeu_ps(to, _mm512_mul_ps(c, _mm512_set1_ps(s)))
#define MR 14
#include "nn/cpu/x86/gemm_avx512.h"

void nn_gemm_fill_avx512(nn_kernels *k) {
	k->f32 = (nn_gemm_family){ "avx512", MR, NR, 1, 4, nn512_pack_f32, run };
	k->bf16 = (nn_gemm_family){ "avx512", NN512_WIDEN_MR, NR, 2, 2, nn512_pack_bf16, nn512_run_widen_bf16 };
	k->s8 = (nn_gemm_family){ "avx512", NN512_WIDEN_MR, NR, 4, 1, nn512_pack_s8, nn512_run_widen_s8 };
	k->pack_keys = nn512_pack_keys;
	k->pack_values = nn512_pack_values;
}
