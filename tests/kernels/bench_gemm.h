#ifndef SN_TESTS_KERNELS_BENCH_GEMM_H
#define SN_TESTS_KERNELS_BENCH_GEMM_H

#include "nn/cpu/kernels.h"

/* peaks: Gop/s of f32, bf16, int8, 0 where unknown. only: shapes whose name has this in it, or NULL. */
void bench_gemm(const nn_kernels *k, const double *peaks, const char *only);

#endif
