/* int8 products by sdot: four steps of k in each of four sums at once, exact in int32. Activations are bytes of value + 128; with their top
 * bit turned they are the values themselves. The tile is that of f32, with four times the products. */
#ifndef __ARM_FEATURE_DOTPROD
#error "gemm_neon_dotprod.c needs -march=armv8.2-a+dotprod"
#endif

#include "nn/cpu/fills.h"
#include "nn/cpu/arm/gemm_parts.h"

VEC_INLINE vi group_at(const char *p) {
	int32_t bits;
	memcpy(&bits, p, sizeof bits);
	return vi_set1(bits);
}

#define ELEMENT 1
#define MR 6
#define ONE_V 16
#define TWO_V 8
#define SUMS SUMS_OF_VALUES
#define ACC int32x4_t
#define ACC_ZERO vdupq_n_s32(0)
#define W int8x16_t
#define W_LOAD(p) ((int8x16_t)vi_load(p))
#define X int8x16_t
#define X_LOAD(p) ((int8x16_t)(vi_load(p) ^ (int32_t)0x80808080))
#define X_GROUP(p) ((int8x16_t)(group_at(p) ^ (int32_t)0x80808080))
#define DOT(c, w, x, l) vdotq_laneq_s32(c, w, x, l)
#define STORE(to, c, s) vi_store(to, (vi)(c))
#include "nn/cpu/arm/gemm_lanes.h"

void nn_gemm_fill_dotprod(nn_kernels *k) {
	k->s8.isa = "neon_dotprod";
	k->s8.mr = MR;
	k->s8.run = run;
}
