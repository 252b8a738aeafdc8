/* bf16 products: widened in registers, two fused multiply-adds for what vdpbf16ps does, in its order (odd element first). */
#include "nn/cpu/wide/vec.h"

#include <immintrin.h>

#define ELEMENT 2
#define PASSES 2
#define LEFT(pass, x) (pass ? (x) << 16 : (x) & (int32_t)0xffff0000)
#define RIGHT(pass, x) LEFT(pass, x)
#define ACC vf
#define ACC_ZERO vf_set1(0)
#define ADD(c, a, b) vf_fma((vf)(a), (vf)(b), c)
#define STORE(to, c, s) vf_store(to, (c) * vf_set1(s))
#include "nn/cpu/x86/gemm_avx2.h"

void nn256_run_bf16(const nn_gemm *gemm) { run(gemm); }
