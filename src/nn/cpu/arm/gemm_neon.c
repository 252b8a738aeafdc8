/* f32 products, and the table of plain NEON.
 *
 * 6 x 16: 24 sums, 6 vectors of A and one or two of B in 32 registers. Four steps of k take 96 fused multiply-adds, 16 loads of B and 6
 * of A: 48 cycles of a core with two pipes for multiplication, which loads fill for 11 at two a cycle. */
#include "nn/cpu/fills.h"
#include "nn/cpu/arm/gemm_parts.h"

#define ELEMENT 4
#define MR 6
#define ONE_V 16
#define TWO_V 8
#define SUMS SUMS_FLOAT
#define ACC float32x4_t
#define ACC_ZERO vdupq_n_f32(0)
#define W float32x4_t
#define W_LOAD(p) ((float32x4_t)vf_load((const float *)(p)))
#define X float32x4_t
#define X_LOAD(p) ((float32x4_t)vf_load((const float *)(p)))
#define X_GROUP(p) vld1q_dup_f32((const float *)(p))
#define DOT(c, w, x, l) vfmaq_laneq_f32(c, w, x, l)
#define STORE(to, c, s) vst1q_f32(to, vmulq_n_f32(c, s))
#include "nn/cpu/arm/gemm_lanes.h"

void nn_gemm_fill_neon(nn_kernels *k) {
	k->f32 = (nn_gemm_family){ "neon", MR, NR, 1, 4, nn_arm_pack_f32, run };
	k->bf16 = (nn_gemm_family){ "neon", NN_ARM_BF16_MR, NR, 2, 2, nn_arm_pack_bf16, nn_arm_run_bf16 };
	k->s8 = (nn_gemm_family){ "neon", NN_ARM_S8_MR, NR, 4, 1, nn_arm_pack_s8, nn_arm_run_s8 };
}
