/* Who fills the kernel table. Each function overwrites the members it has a better form of, so they are called in this order:
 * scalar first, then one instruction set after the other. */
#ifndef SN_NN_CPU_FILLS_H
#define SN_NN_CPU_FILLS_H

#include "nn/cpu/kernels.h"

/* Products and the packing of attention operands. */
void nn_gemm_fill_scalar(nn_kernels *k);
void nn_gemm_fill_avx2(nn_kernels *k);
void nn_gemm_fill_avx512(nn_kernels *k);
void nn_gemm_fill_vnni(nn_kernels *k);
void nn_gemm_fill_bf16(nn_kernels *k);

/* Everything else: rows, elements, caches. */
void nn_rows_fill_scalar(nn_kernels *k);
void nn_rows_fill_avx2(nn_kernels *k);
void nn_rows_fill_avx512(nn_kernels *k);
void nn_rows_fill_bf16(nn_kernels *k);

/* ARM: which of NN_CPU_NEON, NN_CPU_DOTPROD and NN_CPU_I8MM the processor has. */
unsigned nn_arm_features(void);
void nn_gemm_fill_neon(nn_kernels *k);
void nn_rows_fill_neon(nn_kernels *k);
void nn_gemm_fill_dotprod(nn_kernels *k);
void nn_gemm_fill_i8mm(nn_kernels *k);

#endif
