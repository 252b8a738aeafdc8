/* f32 products, and the table of AVX2. */
#if !defined __AVX2__ || !defined __FMA__ || defined __AVX512F__
#error "gemm_avx2.c needs -mavx2 -mfma and nothing more"
#endif

#include "nn/cpu/fills.h"
#include "nn/cpu/wide/vec.h"

#define ELEMENT 4
#define PASSES 1
#define LEFT(pass, x) (x)
#define RIGHT(pass, x) (x)
#define ACC vf
#define ACC_ZERO vf_set1(0)
#define ADD(c, a, b) vf_fma((vf)(a), (vf)(b), c)
#define STORE(to, c, s) vf_store(to, (c) * vf_set1(s))
#include "nn/cpu/x86/gemm_avx2.h"

#define WIDE_NR NR
#include "nn/cpu/wide/pack.h"

void nn_gemm_fill_avx2(nn_kernels *k) {
	k->f32 = (nn_gemm_family){ "avx2", MR, NR, 1, 4, wide_pack_f32, run };
	k->bf16 = (nn_gemm_family){ "avx2", MR, NR, 2, 2, wide_pack_bf16, nn256_run_bf16 };
	k->s8 = (nn_gemm_family){ "avx2", MR, NR, 4, 1, wide_pack_s8, nn256_run_s8 };
	k->pack_keys = wide_pack_keys;
	k->pack_values = wide_pack_values;
}
