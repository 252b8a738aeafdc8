/* Matrix products with 256-bit vectors, for any type whose packed group of k is four bytes: one float, two bf16, four int8.
 * The including file defines
 *   ELEMENT        bytes of an element: 4, 2 or 1
 *   PASSES         how many times a group is gone through: each pass takes some of its elements, so that fewer registers are needed
 *   LEFT(p, x)     what pass p multiplies of a group of A, which is in every lane of the vi x
 *   RIGHT(p, x)    the same of a vector of groups of B
 *   ADD(c, a, b)   the vi of sums c + a . b, of what LEFT and RIGHT gave
 *   STORE(to, c, s) leaves sums at a float *: floats times s, integers as their bits
 *
 * A tile is M rows by V vectors of eight columns. Its sums stay in registers over all of k, so that each is one chain in ascending k.
 * Two vectors are one panel of B; V = 1 is the left half of a panel; V > 2 are neighbouring panels, read side by side where rows are
 * few and the time goes into reading B. */
#include "nn/cpu/kernels.h"
#include "nn/cpu/wide/epilogue.h"
#include "nn/cpu/x86/gemm_parts.h"

#include <immintrin.h>

#define NR NN256_NR
#define MR NN256_MR
#define KR (4 / ELEMENT)
#define GROUP_BYTES (NR * 4) /* one group of k in a panel */
#define MAX_V 8

typedef struct tile_args {
	const char *a, *b;
	int64_t row_bytes, tap_bytes, panel_bytes, k;
	int taps;
	float *c; /* [M, 8 V]: floats or the bits of integers */
	int64_t c_stride;
	float scale; /* of what is stored, for float sums */
} tile_args;

/* The last element of an odd k in bf16: what lies behind the row may be anything, even a NaN, and must not be multiplied. Where
 * int8 reads on, B's zeros make it harmless. */
VEC_INLINE vi group_at(const char *a, const int last) {
	int32_t bits = 0;
	memcpy(&bits, a, last ? 2 : 4);
	return vi_set1(bits);
}

VEC_INLINE void tile_step(const int M, const int V, vi c[MR][MAX_V], const char *const a[2], int64_t row, const char *b, int64_t panel,
                          const int last) {
	VEC_UNROLL for (int pass = 0; pass < PASSES; pass++) {
		vi w[2], x[MR];
		if (V <= 2) { /* vectors stay, rows pass by */
			VEC_UNROLL for (int v = 0; v < V; v++)
				w[v] = RIGHT(pass, vi_load(b + v * VEC_BYTES));
			VEC_UNROLL for (int i = 0; i < M; i++) {
				x[0] = LEFT(pass, group_at(a[i / 3] + i % 3 * row, last));
				VEC_UNROLL for (int v = 0; v < V; v++)
					c[i][v] = ADD(c[i][v], x[0], w[v]);
			}
		} else { /* rows stay, vectors pass by */
			VEC_UNROLL for (int i = 0; i < M; i++)
				x[i] = LEFT(pass, group_at(a[i / 3] + i % 3 * row, last));
			VEC_UNROLL for (int v = 0; v < V; v++) {
				w[0] = RIGHT(pass, vi_load(b + v / 2 * panel + v % 2 * VEC_BYTES));
				VEC_UNROLL for (int i = 0; i < M; i++)
					c[i][v] = ADD(c[i][v], x[i], w[0]);
			}
		}
	}
}

VEC_INLINE void tile(const int M, const int V, const tile_args *t) {
	vi c[MR][MAX_V];
	VEC_UNROLL for (int i = 0; i < M; i++)
		VEC_UNROLL for (int v = 0; v < V; v++)
			c[i][v] = vi_set1(0);
	int64_t row = t->row_bytes, panel = t->panel_bytes;
	const char *b = t->b;
	for (int tap = 0; tap < t->taps; tap++) {
		const char *from = t->a + tap * t->tap_bytes;
		const char *a[2] = { from, from + 3 * row }; /* the rows between are reached by addressing modes */
		for (int64_t k = ELEMENT == 2 ? t->k / 2 : (t->k + KR - 1) / KR; k > 0; k--, b += GROUP_BYTES) {
			tile_step(M, V, c, a, row, b, panel, 0);
			a[0] += 4;
			a[1] += 4;
		}
		if (ELEMENT == 2 && t->k % 2) {
			tile_step(M, V, c, a, row, b, panel, 1);
			b += GROUP_BYTES;
		}
	}
	VEC_UNROLL for (int i = 0; i < M; i++)
		VEC_UNROLL for (int v = 0; v < V; v++)
			STORE(t->c + i * t->c_stride + v * VL, c[i][v], t->scale);
}

#define TILE(m, v) static void tile_##m##_##v(const tile_args *t) { tile(m, v, t); }
TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1)
TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)
TILE(1, 8) TILE(1, 4) TILE(2, 4)

typedef void (*tile_fn)(const tile_args *t);

static const tile_fn half_tiles[MR + 1] = { NULL, tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1 };
static const tile_fn tiles[MR + 1] = { NULL, tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2 };

/* Its lines are on their way while the sums are made. */
static void prefetch_residual(const float *x, int64_t stride, int rows, int64_t cols) {
	for (int i = 0; i < rows; i++, x += stride)
		for (int64_t j = 0; j < cols; j += 16)
			_mm_prefetch((const char *)(x + j), _MM_HINT_T0);
}

/* Rows m .. m + rows - 1, which lie at t->a, by columns n .. n + cols - 1 at t->b, with a tile of `width` columns. */
static void run_tile(const nn_gemm *g, tile_args *t, tile_fn fn, int64_t m, int rows, int64_t n, int64_t cols, int64_t width, int plain) {
	float sums[MR * NR + MAX_V * VL] __attribute__((aligned(VEC_BYTES)));
	int direct = plain && cols == width;
	t->c = direct ? (float *)g->c + m * g->c_stride + n : sums;
	t->c_stride = direct ? g->c_stride : width;
	t->scale = direct ? g->out_scale : 1;
	if (g->residual && rows > 2)
		prefetch_residual(g->residual + m * g->residual_stride + n, g->residual_stride, rows, cols);
	fn(t);
	if (!direct)
		wide_epilogue(g, m, rows, n, cols, sums, width, ELEMENT == 1);
}

/* With one or two rows the time goes into reading B and into waiting for sums: four or two panels at once. Returns how many columns
 * are done. */
static int64_t run_few(const nn_gemm *g, tile_args *t, int plain) {
	int64_t n = 0;
	for (int panels = g->m == 1 ? 4 : 2; g->m > 0 && g->m <= 2 && panels > 1; panels -= 2)
		for (int cols = panels * NR; n + cols <= g->n; n += cols, t->b += panels * t->panel_bytes)
			run_tile(g, t, g->m == 2 ? tile_2_4 : panels == 4 ? tile_1_8 : tile_1_4, 0, (int)g->m, n, cols, cols, plain);
	return n;
}

static void run(const nn_gemm *g) {
	tile_args t = { .row_bytes = g->row_bytes, .tap_bytes = g->tap_bytes, .k = g->k, .taps = g->taps, .a = g->a, .b = g->b };
	int64_t parts = (g->m + MR - 1) / MR; /* tiles of even height */
	int plain = wide_is_plain(g);
	t.panel_bytes = g->taps * ((g->k + KR - 1) / KR) * GROUP_BYTES;
	for (int64_t n = run_few(g, &t, plain); n < g->n; n += NR, t.b += t.panel_bytes)
		for (int64_t part = 0; part < parts; part++) {
			int64_t m = g->m * part / parts, rows = g->m * (part + 1) / parts - m, cols = g->n - n < NR ? g->n - n : NR;
			t.a = (const char *)g->a + m * g->row_bytes;
			run_tile(g, &t, cols > VL ? tiles[rows] : half_tiles[rows], m, (int)rows, n, cols, cols > VL ? NR : VL, plain);
		}
}
