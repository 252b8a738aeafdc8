/* int8 products: bytes widened to 16 bits, even and odd ones apart, and multiplied in pairs; exact in int32. */
#include "nn/cpu/wide/vec.h"

#include <immintrin.h>

typedef int16_t vh __attribute__((vector_size(VEC_BYTES)));
typedef uint16_t vuh __attribute__((vector_size(VEC_BYTES)));

#define ELEMENT 1
#define PASSES 2
#define LEFT(pass, x) (pass ? (vi)((vuh)(x) >> 8) : (x) & 0x00ff00ff)
#define RIGHT(pass, x) (pass ? (vi)((vh)(x) >> 8) : (vi)((vh)(x) << 8 >> 8))
#define ACC vi
#define ACC_ZERO vi_set1(0)
#define ADD(c, a, b) (c) + (vi)_mm256_madd_epi16((__m256i)(a), (__m256i)(b))
#define STORE(to, c, s) vi_store(to, c)
#include "nn/cpu/x86/gemm_avx2.h"

void nn256_run_s8(const nn_gemm *gemm) { run(gemm); }
