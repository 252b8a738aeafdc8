/* int8 products by usmmla: two rows' unsigned bytes times two columns' signed ones over eight steps of k, exact in int32: eight products
 * for each of four sums, twice those of sdot.
 *
 * 6 x 16: three pairs of rows by eight of columns are 24 sums, with 3 vectors of A and one or two of B. Packed B has eight bytes of k
 * for each column, so that a vector is a pair of columns. */
#ifndef __ARM_FEATURE_MATMUL_INT8
#error "gemm_neon_i8mm.c needs -march=armv8.2-a+i8mm"
#endif

#include "nn/cpu/fills.h"
#include "nn/cpu/arm/gemm_parts.h"

#define ELEMENT 1
#define KR 8
#define MR 6
#define ONE_V 8
#define TWO_V 8
#define SUMS SUMS_OF_BYTES

/* Eight bytes of each of two rows. */
VEC_INLINE uint8x16_t rows_at(const char *first, const char *second) {
	return vcombine_u8(vld1_u8((const uint8_t *)first), vld1_u8((const uint8_t *)second));
}

/* Sums of rows 2i and 2i + 1 by columns 2v and 2v + 1 lie in c[i][v] as a matrix. Of an odd M's last row there are two. */
VEC_INLINE void tile(const int M, const int V, const tile_args *t) {
	int32x4_t c[MR / 2][2 * MAX_V];
	const int P = (M + 1) / 2, last = M - 1;
	VEC_UNROLL for (int i = 0; i < P; i++)
		VEC_UNROLL for (int v = 0; v < 2 * V; v++)
			c[i][v] = vdupq_n_s32(0);
	int64_t row = t->row_bytes, panel = t->panel_bytes;
	const char *b = t->b;
	for (int tap = 0; tap < t->taps; tap++) {
		const char *a = t->a + tap * t->tap_bytes;
		for (int64_t groups = (t->k + KR - 1) / KR; groups > 0; groups--, a += KR, b += GROUP_BYTES) {
			uint8x16_t x[MR / 2];
			VEC_UNROLL for (int i = 0; i < P; i++)
				x[i] = rows_at(a + 2 * i * row, a + (2 * i < last ? 2 * i + 1 : last) * row);
			VEC_UNROLL for (int v = 0; v < 2 * V; v++) {
				int8x16_t w = (int8x16_t)vi_load(b + v / 8 * panel + v % 8 * 16);
				VEC_UNROLL for (int i = 0; i < P; i++)
					c[i][v] = vusmmlaq_s32(c[i][v], x[i], w);
			}
		}
	}
	VEC_UNROLL for (int i = 0; i < M; i++)
		VEC_UNROLL for (int v = 0; v < V; v++) {
			int64x2_t left = (int64x2_t)c[i / 2][2 * v], right = (int64x2_t)c[i / 2][2 * v + 1];
			vi_store(t->c + i * t->c_stride + v * 4, (vi)(i % 2 ? vzip2q_s64(left, right) : vzip1q_s64(left, right)));
		}
}

#include "nn/cpu/arm/gemm_run.h"

/* Packed by fours in place of which come eights: within a panel every pair of groups is turned from [2][columns][4] to [columns][2][4],
 * from the end on, since a tap of an odd number of groups grows by one of zeros. */
static void pair_groups(char *panel, int64_t fours, int taps) {
	int64_t eights = (fours + 1) / 2;
	for (int tap = taps - 1; tap >= 0; tap--)
		for (int64_t i = eights - 1; i >= 0; i--) {
			const char *from = panel + (tap * fours + 2 * i) * NR * 4;
			vi low[4], high[4];
			VEC_UNROLL for (int v = 0; v < 4; v++) {
				low[v] = vi_load(from + v * 16);
				high[v] = 2 * i + 1 < fours ? vi_load(from + NR * 4 + v * 16) : vi_set1(0);
			}
			char *to = panel + (tap * eights + i) * NR * KR;
			VEC_UNROLL for (int v = 0; v < 4; v++) {
				vi_store(to + v * 32, (vi)vzip1q_s32((int32x4_t)low[v], (int32x4_t)high[v]));
				vi_store(to + v * 32 + 16, (vi)vzip2q_s32((int32x4_t)low[v], (int32x4_t)high[v]));
			}
		}
}

static void pack_s8(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                    float *scale, int32_t *colsum) {
	int64_t panel_bytes = taps * ((k + KR - 1) / KR) * GROUP_BYTES;
	for (int64_t i = 0; i < n; i += NR) {
		char *panel = (char *)packed + i / NR * panel_bytes;
		nn_arm_pack_s8(w + i * n_stride, n - i < NR ? n - i : NR, k, taps, n_stride, tap_stride, k_stride, panel, scale + i, colsum + i);
		pair_groups(panel, (k + 3) / 4, taps);
	}
}

void nn_gemm_fill_i8mm(nn_kernels *k) {
	k->s8 = (nn_gemm_family){ "neon_i8mm", MR, NR, KR, 1, pack_s8, run };
}
