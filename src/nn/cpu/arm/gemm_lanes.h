/* Tiles for any type whose packed group of k is four bytes (one float, two bf16, four int8) and that is multiplied by one lane of a
 * row's vector. The including file defines ELEMENT, MR, ONE_V, TWO_V, SUMS (see gemm_run.h) and
 *   ACC, ACC_ZERO     four sums, float or int32
 *   W, W_LOAD(p)      a group of four columns of B
 *   X, X_LOAD(p)      four groups of a row of A;  X_GROUP(p): one, in lane 0;  X_LAST(p): one whose second half is not there
 *   DOT(c, w, x, l)   c + w . lane l of x; l is a literal
 *   STORE(to, c, s)   leaves sums at a float *: floats times s, integers as their bits
 *
 * The sums of a tile stay in registers over all of k, so that each is one chain in ascending k: M V of them, M vectors of A and one
 * of B at a time. */
#include "nn/cpu/arm/gemm_parts.h"

#define KR (4 / ELEMENT)

#define STEP(lane, at) \
	VEC_UNROLL for (int v = 0; v < V; v++) { \
		W w = W_LOAD((at) + v / 4 * panel + v % 4 * 16); \
		VEC_UNROLL for (int i = 0; i < M; i++) \
			c[i][v] = DOT(c[i][v], w, x[i], lane); \
	}

VEC_INLINE void tile(const int M, const int V, const tile_args *t) {
	ACC c[MR][MAX_V];
	X x[MR];
	VEC_UNROLL for (int i = 0; i < M; i++)
		VEC_UNROLL for (int v = 0; v < V; v++)
			c[i][v] = ACC_ZERO;
	int64_t row = t->row_bytes, panel = t->panel_bytes;
	const char *b = t->b;
	for (int tap = 0; tap < t->taps; tap++) {
		const char *a = t->a + tap * t->tap_bytes;
		int64_t groups = ELEMENT == 2 ? t->k / 2 : (t->k + KR - 1) / KR;
		for (; groups >= 4; groups -= 4, a += 16, b += 4 * NR * 4) {
			VEC_UNROLL for (int i = 0; i < M; i++)
				x[i] = X_LOAD(a + i * row);
			STEP(0, b)
			STEP(1, b + NR * 4)
			STEP(2, b + 2 * NR * 4)
			STEP(3, b + 3 * NR * 4)
		}
		for (; groups > 0; groups--, a += 4, b += NR * 4) {
			VEC_UNROLL for (int i = 0; i < M; i++)
				x[i] = X_GROUP(a + i * row);
			STEP(0, b)
		}
#ifdef X_LAST
		if (t->k % KR) {
			VEC_UNROLL for (int i = 0; i < M; i++)
				x[i] = X_LAST(a + i * row);
			STEP(0, b)
			b += NR * 4;
		}
#endif
	}
	VEC_UNROLL for (int i = 0; i < M; i++)
		VEC_UNROLL for (int v = 0; v < V; v++)
			STORE(t->c + i * t->c_stride + v * 4, c[i][v], t->scale);
}

#include "nn/cpu/arm/gemm_run.h"
