/* bf16 products with plain NEON: two fused multiply-adds for a pair of k, the odd element first, as scalar C and vdpbf16ps do. BFDOT and
 * BFMMLA round in other ways, so they are not used; bf16 saves memory and its traffic here, not arithmetic.
 *
 * 4 x 16: 16 sums, 8 vectors of A's odd and even elements, one or two of B. A pair takes 32 fused multiply-adds, and for B 4 loads and 8
 * operations that widen it. */
#include "nn/cpu/arm/gemm_parts.h"

/* The elements of four pairs as floats. */
typedef struct pairs { float32x4_t even, odd; } pairs;

VEC_INLINE pairs widened(vi x) { return (pairs){ (float32x4_t)(x << 16), (float32x4_t)(x & (int32_t)0xffff0000) }; }

VEC_INLINE vi pair_at(const char *p) {
	int32_t bits;
	memcpy(&bits, p, sizeof bits);
	return vi_set1(bits);
}

/* What lies behind an odd k may be anything, even a NaN, and must not be multiplied. */
VEC_INLINE vi last_at(const char *p) {
	uint16_t bits;
	memcpy(&bits, p, sizeof bits);
	return vi_set1(bits);
}

#define ELEMENT 2
#define MR NN_ARM_BF16_MR
#define ONE_V 16
#define TWO_V 4
#define SUMS SUMS_FLOAT
#define ACC float32x4_t
#define ACC_ZERO vdupq_n_f32(0)
#define W pairs
#define W_LOAD(p) widened(vi_load(p))
#define X pairs
#define X_LOAD(p) widened(vi_load(p))
#define X_GROUP(p) widened(pair_at(p))
#define X_LAST(p) widened(last_at(p))
#define DOT(c, w, x, l) vfmaq_laneq_f32(vfmaq_laneq_f32(c, (w).odd, (x).odd, l), (w).even, (x).even, l)
#define STORE(to, c, s) vst1q_f32(to, vmulq_n_f32(c, s))
#include "nn/cpu/arm/gemm_lanes.h"

void nn_arm_run_bf16(const nn_gemm *gemm) { run(gemm); }
