/* What the products of AArch64 are put together from: a tile's arguments, and the functions that several files share. */
#ifndef SN_NN_CPU_ARM_GEMM_PARTS_H
#define SN_NN_CPU_ARM_GEMM_PARTS_H

#include "nn/cpu/kernels.h"
#include "nn/cpu/wide/vec.h"

#define NR 16    /* columns of a panel: four vectors */
#define MAX_V 16 /* vectors of the widest tile */
#define GROUP_BYTES (NR * KR * ELEMENT) /* one group of k in a panel, of the including file's type */

/* M rows by V vectors of four columns. Four vectors are one panel of B, fewer are its left part, more are neighbouring panels. */
typedef struct tile_args {
	const char *a, *b;
	int64_t row_bytes, tap_bytes, panel_bytes, k;
	int taps;
	float *c; /* [M, 4 V]: float sums, or the bits of int32 sums */
	int64_t c_stride;
	float scale; /* of what is stored, for float sums */
} tile_args;

typedef void (*tile_fn)(const tile_args *t);

/* What wide_epilogue() finds: floats; int32 sums of A's bytes, which are 128 too large; int32 sums of A's values. */
enum { SUMS_FLOAT, SUMS_OF_BYTES, SUMS_OF_VALUES };

/* Rows of the largest tile where operands are widened in registers first. */
#define NN_ARM_BF16_MR 4
#define NN_ARM_S8_MR 2

/* Panels of groups of k that are four bytes, by wide/pack.h. */
void nn_arm_pack_f32(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                     float *scale, int32_t *colsum);
void nn_arm_pack_bf16(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                      float *scale, int32_t *colsum);
void nn_arm_pack_s8(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                    float *scale, int32_t *colsum);
void nn_arm_run_bf16(const nn_gemm *gemm);
void nn_arm_run_s8(const nn_gemm *gemm);

#endif
