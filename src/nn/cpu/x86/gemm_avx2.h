/* Matrix products with 256-bit vectors, for any type whose packed group of k is four bytes: one float, two bf16, four int8.
 * The including file defines
 *   ELEMENT        bytes of an element: 4, 2 or 1
 *   PASSES         how many times a group is gone through: each pass takes some of its elements, so that fewer registers are needed
 *   LEFT(p, x)     what pass p multiplies of a group of A, which is in every lane of the vi x
 *   RIGHT(p, x)    the same of a vector of groups of B
 *   ACC, ACC_ZERO  eight sums, vf or vi
 *   ADD(c, a, b)   c + a . b, of what LEFT and RIGHT gave
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

/* Keeps the compiler to the order as written: else it works ahead, runs out of the sixteen registers and spills sums. */
#define HOLD(x) __asm__ volatile("" : "+x"(x))

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
	vi x = vi_set1(bits);
	HOLD(x); /* or what follows is done in general registers before it is spread over the lanes */
	return x;
}

/* What a pass multiplies of A. widened: rows were widened before, what passes multiply lies side by side. */
VEC_INLINE vi left_at(const char *a, const int pass, const int last, const int widened) {
	return widened ? group_at(a + pass * 4, 0) : LEFT(pass, group_at(a, last));
}

VEC_INLINE void tile_step(const int M, const int V, ACC c[MR][MAX_V], const char *const a[2], int64_t row, const char *b, int64_t panel,
                          const int last, const int widened) {
	VEC_UNROLL for (int pass = 0; pass < PASSES; pass++) {
		vi w[2], x[MR];
		if (V <= 2) { /* vectors stay, rows pass by */
			VEC_UNROLL for (int v = 0; v < V; v++)
				w[v] = RIGHT(pass, vi_load(b + v * VEC_BYTES));
			VEC_UNROLL for (int i = 0; i < M; i++) {
				x[0] = left_at(a[i / 3] + i % 3 * row, pass, last, widened);
				VEC_UNROLL for (int v = 0; v < V; v++) {
					c[i][v] = ADD(c[i][v], x[0], w[v]);
					HOLD(c[i][v]);
				}
			}
		} else { /* rows stay, vectors pass by */
			VEC_UNROLL for (int i = 0; i < M; i++)
				x[i] = left_at(a[i / 3] + i % 3 * row, pass, last, widened);
			VEC_UNROLL for (int v = 0; v < V; v++) {
				w[0] = RIGHT(pass, vi_load(b + v / 2 * panel + v % 2 * VEC_BYTES));
				VEC_UNROLL for (int i = 0; i < M; i++) {
					c[i][v] = ADD(c[i][v], x[i], w[0]);
					HOLD(c[i][v]);
				}
			}
		}
		__asm__ volatile("" ::: "memory"); /* the next pass loads again, for there are no registers to remember */
	}
}

VEC_INLINE void tile(const int M, const int V, const tile_args *t, const int widened) {
	const int odd = ELEMENT == 2 && !widened; /* what is widened has its zeros */
	ACC c[MR][MAX_V];
	VEC_UNROLL for (int i = 0; i < M; i++)
		VEC_UNROLL for (int v = 0; v < V; v++)
			c[i][v] = ACC_ZERO;
	int64_t row = t->row_bytes, panel = t->panel_bytes;
	const char *b = t->b;
	for (int tap = 0; tap < t->taps; tap++) {
		const char *from = t->a + tap * t->tap_bytes;
		const char *a[2] = { from, from + 3 * row }; /* the rows between are reached by addressing modes */
		for (int64_t k = odd ? t->k / 2 : (t->k + KR - 1) / KR; k > 0; k--, b += GROUP_BYTES) {
			tile_step(M, V, c, a, row, b, panel, 0, widened);
			a[0] += widened ? PASSES * 4 : 4;
			a[1] += widened ? PASSES * 4 : 4;
		}
		if (odd && t->k % 2) {
			tile_step(M, V, c, a, row, b, panel, 1, 0);
			b += GROUP_BYTES;
		}
	}
	VEC_UNROLL for (int i = 0; i < M; i++)
		VEC_UNROLL for (int v = 0; v < V; v++)
			STORE(t->c + i * t->c_stride + v * VL, c[i][v], t->scale);
}

#define TILE(m, v) static void tile_##m##_##v(const tile_args *t) { tile(m, v, t, 0); }
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

/* With one or two rows the time goes into reading B and into waiting for sums: four or two panels at once. */
static void run_few(const nn_gemm *g, tile_args *t, int plain) {
	int64_t n = 0;
	for (int panels = g->m == 1 ? 4 : 2; g->m > 0 && panels > 1; panels -= 2)
		for (int cols = panels * NR; n + cols <= g->n; n += cols, t->b += panels * t->panel_bytes)
			run_tile(g, t, g->m == 2 ? tile_2_4 : panels == 4 ? tile_1_8 : tile_1_4, 0, (int)g->m, n, cols, cols, plain);
	for (; g->m > 0 && n < g->n; n += NR, t->b += t->panel_bytes) {
		int64_t cols = g->n - n < NR ? g->n - n : NR;
		run_tile(g, t, cols > VL ? tiles[g->m] : half_tiles[g->m], 0, (int)g->m, n, cols, cols > VL ? NR : VL, plain);
	}
}

/* Lines [from, to) of the next panel are on their way while a tile is made: the first tile of a panel would wait for all of them. */
static void prefetch_panel(const char *b, int64_t from, int64_t to) {
	for (int64_t at = from / 64 * 64; at < to; at += 64)
		_mm_prefetch(b + at, _MM_HINT_T0);
}

/* Panels of B by tiles of rows: rows m0 .. m0 + rows - 1, which lie at `a`. */
static void run_rows(const nn_gemm *g, tile_args *t, const tile_fn *whole, const tile_fn *half, const char *a, int64_t m0, int64_t all,
                     int plain) {
	const int64_t parts = (all + MR - 1) / MR; /* tiles of even height */
	t->b = g->b;
	for (int64_t n = 0; n < g->n; n += NR, t->b += t->panel_bytes)
		for (int64_t part = 0; part < parts; part++) {
			int64_t m = all * part / parts, rows = all * (part + 1) / parts - m, cols = g->n - n < NR ? g->n - n : NR;
			t->a = a + m * t->row_bytes;
			if (n + NR < g->n)
				prefetch_panel(t->b + t->panel_bytes, t->panel_bytes * part / parts, t->panel_bytes * (part + 1) / parts);
			run_tile(g, t, cols > VL ? whole[rows] : half[rows], m0 + m, (int)rows, n, cols, cols > VL ? NR : VL, plain);
		}
}

#if PASSES > 1
#include "nn/cpu/x86/gemm_avx2_widened.h"
#else
static int run_widened(const nn_gemm *g, int plain) { return 0; }
#endif

static void run(const nn_gemm *g) {
	tile_args t = { .row_bytes = g->row_bytes, .tap_bytes = g->tap_bytes, .k = g->k, .taps = g->taps, .a = g->a, .b = g->b };
	int plain = wide_is_plain(g);
	t.panel_bytes = g->taps * ((g->k + KR - 1) / KR) * GROUP_BYTES;
	if (g->m <= 2)
		run_few(g, &t, plain);
	else if (!run_widened(g, plain))
		run_rows(g, &t, tiles, half_tiles, g->a, 0, g->m, plain);
}
