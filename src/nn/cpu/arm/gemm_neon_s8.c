/* int8 products with plain NEON, exact in int32. Products of two bytes are at most 128 * 127, so two of them fit in 16 bits; pairs of
 * those are then added to sums of 32 bits, of which each column has two.
 *
 * 2 x 16: 16 sums, 4 vectors of A, 2 of B and 2 of products. Eight steps of k take 48 instructions for 256 products, 5.3 for each,
 * where f32 has 4. */
#include "nn/cpu/arm/gemm_parts.h"

#define ELEMENT 1
#define KR 4
#define MR NN_ARM_S8_MR
#define ONE_V 8
#define TWO_V 4
#define SUMS SUMS_OF_VALUES

/* One group of a row, four times, as signed values. */
VEC_INLINE int8x16_t group_at(const char *p) {
	int32_t bits;
	memcpy(&bits, p, sizeof bits);
	return (int8x16_t)(vi_set1(bits) ^ (int32_t)0x80808080);
}

/* c: sums of columns 0 and 1 (two each), then of 2 and 3. */
VEC_INLINE void add_two(int32x4_t c[2], int8x16_t x0, int8x16_t x1, int8x16_t w0, int8x16_t w1) {
	int16x8_t low = vmull_s8(vget_low_s8(x0), vget_low_s8(w0)), high = vmull_high_s8(x0, w0);
	c[0] = vpadalq_s16(c[0], vmlal_s8(low, vget_low_s8(x1), vget_low_s8(w1)));
	c[1] = vpadalq_s16(c[1], vmlal_high_s8(high, x1, w1));
}

VEC_INLINE void add_one(int32x4_t c[2], int8x16_t x, int8x16_t w) {
	c[0] = vpadalq_s16(c[0], vmull_s8(vget_low_s8(x), vget_low_s8(w)));
	c[1] = vpadalq_s16(c[1], vmull_high_s8(x, w));
}

VEC_INLINE void tile(const int M, const int V, const tile_args *t) {
	int32x4_t c[MR][MAX_V][2];
	int8x16_t x0[MR], x1[MR];
	VEC_UNROLL for (int i = 0; i < M; i++)
		VEC_UNROLL for (int v = 0; v < V; v++)
			c[i][v][0] = c[i][v][1] = vdupq_n_s32(0);
	int64_t row = t->row_bytes, panel = t->panel_bytes;
	const char *b = t->b;
	for (int tap = 0; tap < t->taps; tap++) {
		const char *a = t->a + tap * t->tap_bytes;
		int64_t groups = (t->k + KR - 1) / KR;
		for (; groups >= 2; groups -= 2, a += 8, b += 2 * NR * 4) {
			VEC_UNROLL for (int i = 0; i < M; i++) {
				x0[i] = group_at(a + i * row);
				x1[i] = group_at(a + i * row + 4);
			}
			VEC_UNROLL for (int v = 0; v < V; v++) {
				const char *at = b + v / 4 * panel + v % 4 * 16;
				int8x16_t w0 = (int8x16_t)vi_load(at), w1 = (int8x16_t)vi_load(at + NR * 4);
				VEC_UNROLL for (int i = 0; i < M; i++)
					add_two(c[i][v], x0[i], x1[i], w0, w1);
			}
		}
		if (groups) {
			VEC_UNROLL for (int i = 0; i < M; i++)
				x0[i] = group_at(a + i * row);
			VEC_UNROLL for (int v = 0; v < V; v++)
				VEC_UNROLL for (int i = 0; i < M; i++)
					add_one(c[i][v], x0[i], (int8x16_t)vi_load(b + v / 4 * panel + v % 4 * 16));
			b += NR * 4;
		}
	}
	VEC_UNROLL for (int i = 0; i < M; i++)
		VEC_UNROLL for (int v = 0; v < V; v++)
			vi_store(t->c + i * t->c_stride + v * 4, (vi)vpaddq_s32(c[i][v][0], c[i][v][1]));
}

#include "nn/cpu/arm/gemm_run.h"

void nn_arm_run_s8(const nn_gemm *gemm) { run(gemm); }
