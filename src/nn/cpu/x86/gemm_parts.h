/* What the tables of AVX2 and plain AVX-512 products are put together from. Packed layouts do not depend on the instruction set beyond it, so
 * VNNI and BF16 only replace `run`. */
#ifndef SN_NN_CPU_X86_GEMM_PARTS_H
#define SN_NN_CPU_X86_GEMM_PARTS_H

#include "nn/cpu/kernels.h"

#define NN256_NR 16
#define NN256_MR 6 /* twelve sums, two vectors of B and one of A: sixteen registers */

void nn256_run_bf16(const nn_gemm *gemm);
void nn256_run_s8(const nn_gemm *gemm);

#define NN512_NR 32
#define NN512_WIDEN_MR 12 /* rows of a tile where operands are widened in registers first */

void nn512_run_widen_bf16(const nn_gemm *gemm);
void nn512_run_widen_s8(const nn_gemm *gemm);

void nn512_pack_f32(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                    float *scale, int32_t *colsum);
void nn512_pack_bf16(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                     float *scale, int32_t *colsum);
void nn512_pack_s8(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                   float *scale, int32_t *colsum);
void nn512_pack_keys(const nn_gemm_family *family, const void *x, nn_store store, int64_t rows, int64_t cols, int64_t stride, void *packed);
void nn512_pack_values(const nn_gemm_family *family, const void *x, nn_store store, int64_t rows, int64_t cols, int64_t stride, void *packed);

#endif
