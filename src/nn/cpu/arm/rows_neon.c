/* Rows, elements and packing: the forms of wide/ in four lanes. */
#include "nn/cpu/arm/gemm_parts.h"

#define WIDE_NR NR
#include "nn/cpu/wide/pack.h"
#include "nn/cpu/wide/rows.h"

void nn_arm_pack_f32(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                     float *scale, int32_t *colsum) {
	wide_pack_f32(w, n, k, taps, n_stride, tap_stride, k_stride, packed, scale, colsum);
}

void nn_arm_pack_bf16(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                      float *scale, int32_t *colsum) {
	wide_pack_bf16(w, n, k, taps, n_stride, tap_stride, k_stride, packed, scale, colsum);
}

void nn_arm_pack_s8(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                    float *scale, int32_t *colsum) {
	wide_pack_s8(w, n, k, taps, n_stride, tap_stride, k_stride, packed, scale, colsum);
}

void nn_rows_fill_neon(nn_kernels *k) {
	wide_rows_fill(k);
	k->pack_keys = wide_pack_keys;
	k->pack_values = wide_pack_values;
}
