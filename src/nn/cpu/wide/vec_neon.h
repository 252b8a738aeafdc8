/* vec.h with four lanes: NEON, which every AArch64 processor has. Included by vec.h. */
#include <arm_neon.h>

VEC_INLINE vf vf_set1(float x) { return (vf)vdupq_n_f32(x); }
VEC_INLINE vi vi_set1(int32_t x) { return (vi)vdupq_n_s32(x); }

/* Up to four of any 32 bits. */
VEC_INLINE vi vi_load_part(const int32_t *p, int64_t n) {
	int32x4_t x = vdupq_n_s32(0);
	if (n >= VL)
		return vi_load(p);
	if (n > 1)
		x = vcombine_s32(vld1_s32(p), vdup_n_s32(0));
	if (n == 3)
		x = vld1q_lane_s32(p + 2, x, 2);
	if (n == 1)
		x = vld1q_lane_s32(p, x, 0);
	return (vi)x;
}

VEC_INLINE void vi_store_part(int32_t *p, int64_t n, vi x) {
	if (n >= VL) {
		vi_store(p, x);
		return;
	}
	if (n > 1)
		vst1_s32(p, vget_low_s32((int32x4_t)x));
	if (n == 3)
		vst1q_lane_s32(p + 2, (int32x4_t)x, 2);
	if (n == 1)
		vst1q_lane_s32(p, (int32x4_t)x, 0);
}

VEC_INLINE vf vf_load_part(const float *p, int64_t n) { return (vf)vi_load_part((const int32_t *)(const void *)p, n); }
VEC_INLINE void vf_store_part(float *p, int64_t n, vf x) { vi_store_part((int32_t *)(void *)p, n, (vi)x); }

VEC_INLINE vf vec_from_bf16(uint16x4_t h) { return (vf)vshll_n_u16(h, 16); }
VEC_INLINE vf vf_load_bf16(const uint16_t *p) { return vec_from_bf16(vld1_u16(p)); }

VEC_INLINE vf vf_load_bf16_part(const uint16_t *p, int64_t n) {
	if (n >= VL)
		return vf_load_bf16(p);
	uint16_t h[VL] = { 0 };
	for (int64_t i = 0; i < n; i++)
		h[i] = p[i];
	return vf_load_bf16(h);
}

VEC_INLINE void vi_store_upper(uint16_t *p, vi x) { vst1_u16(p, vshrn_n_u32((uint32x4_t)x, 16)); }

VEC_INLINE void vi_store_upper_part(uint16_t *p, int64_t n, vi x) {
	if (n >= VL) {
		vi_store_upper(p, x);
		return;
	}
	uint16_t h[VL];
	vi_store_upper(h, x);
	for (int64_t i = 0; i < n; i++)
		p[i] = h[i];
}

VEC_INLINE void vi_store_bytes_part(uint8_t *p, int64_t n, vi x) {
	uint16x4_t half = vmovn_u32((uint32x4_t)(x + 128));
	uint32_t bytes = vget_lane_u32((uint32x2_t)vmovn_u16(vcombine_u16(half, half)), 0);
	if (n >= VL)
		memcpy(p, &bytes, VL);
	for (int64_t i = 0; n < VL && i < n; i++)
		p[i] = (uint8_t)(bytes >> 8 * i);
}

VEC_INLINE vf vf_fma(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
VEC_INLINE vf vf_fnma(vf a, vf b, vf c) { return (vf)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
VEC_INLINE vf vf_select(vi m, vf a, vf b) { return (vf)vbslq_f32((uint32x4_t)m, (float32x4_t)a, (float32x4_t)b); }
VEC_INLINE vi vi_select(vi m, vi a, vi b) { return (vi)vbslq_s32((uint32x4_t)m, (int32x4_t)a, (int32x4_t)b); }
/* fmin and fmax would give a NaN wherever there is one. */
VEC_INLINE vf vf_min(vf a, vf b) { return vf_select(a < b, a, b); }
VEC_INLINE vf vf_max(vf a, vf b) { return vf_select(a > b, a, b); }
VEC_INLINE vi vi_max(vi a, vi b) { return (vi)vmaxq_s32((int32x4_t)a, (int32x4_t)b); }
VEC_INLINE vf vf_sqrt(vf x) { return (vf)vsqrtq_f32((float32x4_t)x); }
VEC_INLINE vf vf_round(vf x) { return (vf)vrndnq_f32((float32x4_t)x); }
VEC_INLINE vf vf_floor(vf x) { return (vf)vrndmq_f32((float32x4_t)x); }
VEC_INLINE vi vi_round(vf x) { return (vi)vcvtnq_s32_f32((float32x4_t)x); }
VEC_INLINE vf vf_from_vi(vi x) { return (vf)vcvtq_f32_s32((int32x4_t)x); }

/* By bytes: lane i's are the four from 4 (i & 15) on. */
VEC_INLINE vf vf_table16(const float *t, vi i) {
	const uint8_t *bytes = (const uint8_t *)t;
	uint8x16x4_t table = { { vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32), vld1q_u8(bytes + 48) } };
	return (vf)vqtbl4q_u8(table, (uint8x16_t)((i & 15) * 0x04040404 + 0x03020100));
}

VEC_INLINE float vf_sum(vf x) { return vaddvq_f32((float32x4_t)x); }
VEC_INLINE float vf_top(vf x) { return vmaxvq_f32((float32x4_t)x); }
VEC_INLINE int32_t vi_top(vi x) { return vmaxvq_s32((int32x4_t)x); }

VEC_INLINE void vf_sum4(vf a, vf b, vf c, vf d, float to[4]) {
	float32x4_t ab = vpaddq_f32((float32x4_t)a, (float32x4_t)b), cd = vpaddq_f32((float32x4_t)c, (float32x4_t)d);
	vst1q_f32(to, vpaddq_f32(ab, cd));
}

VEC_INLINE void vi_transpose(vi x[VL]) {
	int32x4_t a = (int32x4_t)x[0], b = (int32x4_t)x[1], c = (int32x4_t)x[2], d = (int32x4_t)x[3];
	int64x2_t ab = (int64x2_t)vtrn1q_s32(a, b), ab2 = (int64x2_t)vtrn2q_s32(a, b);
	int64x2_t cd = (int64x2_t)vtrn1q_s32(c, d), cd2 = (int64x2_t)vtrn2q_s32(c, d);
	x[0] = (vi)vtrn1q_s64(ab, cd);
	x[1] = (vi)vtrn1q_s64(ab2, cd2);
	x[2] = (vi)vtrn2q_s64(ab, cd);
	x[3] = (vi)vtrn2q_s64(ab2, cd2);
}
