/* Matrix products with 512-bit vectors, for any type whose packed group of k is four bytes: one float, two bf16, four int8.
 * The including file defines
 *   ELEMENT         bytes of an element: 4, 2 or 1
 *   ACC, ACC_ZERO   sixteen sums, float or int32
 *   DOT(c, a, b)    c + a . b; __m512i a holds one group of a row of A in every lane, __m512i b a group of sixteen columns of B
 *   STORE(to, c, s) leaves sums at a float *: floats times s, integers as their bits
 *   MR              rows of the largest tile: 2 * MR sums and the operands of DOT must fit in 32 registers
 *
 * A tile is M rows by V vectors of sixteen columns. Its sums stay in registers over all of k, so that each is one chain in
 * ascending k. Two vectors are one panel of B; V = 1 is the left half of a panel; V > 2 are neighbouring panels, read side by side
 * where rows are few and the time goes into reading B. */
#include "nn/cpu/kernels.h"
#include "nn/cpu/x86/gemm_epilogue.h"
#include "nn/cpu/x86/gemm_parts.h"

#include <string.h>

#define NR NN512_NR
#define KR (4 / ELEMENT)
#define GROUP_BYTES (NR * 4) /* one group of k in a panel */
#define MAX_V 8

typedef struct tile_args {
	const char *a, *b;
	int64_t row_bytes, tap_bytes, panel_bytes, k;
	int taps;
	float *c; /* [M, 16 V]: ACC's bits */
	int64_t c_stride;
	float scale; /* of what is stored, for float sums */
} tile_args;

NN16_INLINE __m512i group_at(const char *a) {
	int32_t bits;
	memcpy(&bits, a, sizeof bits);
	return _mm512_set1_epi32(bits);
}

/* The last element of an odd k in bf16: what lies behind the row may be anything, even a NaN, and must not be multiplied. Where
 * int8 reads on, B's zeros make it harmless. */
NN16_INLINE __m512i last_at(const char *a) {
	uint16_t bits;
	memcpy(&bits, a, sizeof bits);
	return _mm512_set1_epi32(bits);
}

NN16_INLINE void tile_step(const int M, const int V, ACC c[MR][MAX_V], const char *const a[5], int64_t row, const char *b, int64_t panel,
                           const int last) {
	__m512i w[MAX_V], x[MR];
	if (V <= 2) { /* vectors stay, rows pass by */
		NN16_UNROLL for (int v = 0; v < V; v++)
			w[v] = _mm512_load_si512(b + v * 64);
		NN16_UNROLL for (int i = 0; i < M; i++) {
			x[0] = last ? last_at(a[i / 3] + i % 3 * row) : group_at(a[i / 3] + i % 3 * row);
			NN16_UNROLL for (int v = 0; v < V; v++)
				c[i][v] = DOT(c[i][v], x[0], w[v]);
		}
	} else { /* rows stay, vectors pass by */
		NN16_UNROLL for (int i = 0; i < M; i++)
			x[i] = last ? last_at(a[i / 3] + i % 3 * row) : group_at(a[i / 3] + i % 3 * row);
		NN16_UNROLL for (int v = 0; v < V; v++) {
			w[0] = _mm512_load_si512(b + v / 2 * panel + v % 2 * 64);
			NN16_UNROLL for (int i = 0; i < M; i++)
				c[i][v] = DOT(c[i][v], x[i], w[0]);
		}
	}
}

NN16_INLINE void tile(const int M, const int V, const tile_args *t) {
	ACC c[MR][MAX_V];
	NN16_UNROLL for (int i = 0; i < M; i++)
		NN16_UNROLL for (int v = 0; v < V; v++)
			c[i][v] = ACC_ZERO;
	int64_t row = t->row_bytes, panel = t->panel_bytes;
	const char *b = t->b;
	for (int tap = 0; tap < t->taps; tap++) {
		const char *from = t->a + tap * t->tap_bytes;
		/* every third row: the two behind it are reached by the addressing modes base + stride and base + 2 stride */
		const char *a[5] = { from, from + 3 * row, from + 6 * row, from + 9 * row, from + 12 * row };
		for (int64_t k = ELEMENT == 2 ? t->k / 2 : (t->k + KR - 1) / KR; k > 0; k--, b += GROUP_BYTES) {
			tile_step(M, V, c, a, row, b, panel, 0);
			NN16_UNROLL for (int i = 0; i < 5; i++)
				a[i] += 4;
		}
		if (ELEMENT == 2 && t->k % 2) {
			tile_step(M, V, c, a, row, b, panel, 1);
			b += GROUP_BYTES;
		}
	}
	NN16_UNROLL for (int i = 0; i < M; i++)
		NN16_UNROLL for (int v = 0; v < V; v++)
			STORE(t->c + i * t->c_stride + v * 16, c[i][v], t->scale);
}

#define TILE(m, v) static void tile_##m##_##v(const tile_args *t) { tile(m, v, t); }
TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1) TILE(7, 1) TILE(8, 1) TILE(9, 1) TILE(10, 1) TILE(11, 1) TILE(12, 1)
TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2) TILE(7, 2) TILE(8, 2) TILE(9, 2) TILE(10, 2) TILE(11, 2) TILE(12, 2)
TILE(1, 8) TILE(2, 8) TILE(3, 8) TILE(1, 4) TILE(2, 4) TILE(3, 4)
#if MR > 12
TILE(13, 1) TILE(14, 1) TILE(13, 2) TILE(14, 2)
#endif

typedef void (*tile_fn)(const tile_args *t);

static const tile_fn half_tiles[MR + 1] = {
	NULL, tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1, tile_7_1, tile_8_1, tile_9_1, tile_10_1, tile_11_1, tile_12_1,
#if MR > 12
	tile_13_1, tile_14_1,
#endif
};

static const tile_fn tiles[MR + 1] = {
	NULL, tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2, tile_7_2, tile_8_2, tile_9_2, tile_10_2, tile_11_2, tile_12_2,
#if MR > 12
	tile_13_2, tile_14_2,
#endif
};

/* With up to three rows the time goes into reading B and into waiting for sums: four or two panels at once. From four rows on one
 * panel is as fast from the second-level cache, and faster from beyond. */
#define FEW_ROWS 3
static const tile_fn few_tiles[2][FEW_ROWS + 1] = { { NULL, tile_1_8, tile_2_8, tile_3_8 }, { NULL, tile_1_4, tile_2_4, tile_3_4 } };

/* Its lines are on their way while the sums are made. */
static void prefetch_residual(const float *x, int64_t stride, int rows, int64_t cols) {
	for (int i = 0; i < rows; i++, x += stride)
		for (int64_t j = 0; j < cols; j += 16)
			_mm_prefetch((const char *)(x + j), _MM_HINT_T0);
}

/* Rows m .. m + rows - 1, which lie at t->a, by columns n .. n + cols - 1 at t->b, with a tile of `width` columns. */
static void run_tile(const nn_gemm *g, tile_args *t, tile_fn fn, int64_t m, int rows, int64_t n, int64_t cols, int64_t width, int plain) {
	float sums[MR * 2 * 16] __attribute__((aligned(64)));
	int direct = plain && cols == width;
	t->c = direct ? (float *)g->c + m * g->c_stride + n : sums;
	t->c_stride = direct ? g->c_stride : width;
	t->scale = direct ? g->out_scale : 1;
	if (g->residual && rows > FEW_ROWS)
		prefetch_residual(g->residual + m * g->residual_stride + n, g->residual_stride, rows, cols);
	fn(t);
	if (!direct)
		nn512_epilogue(g, m, rows, n, cols, sums, width, ELEMENT == 1);
}

#include "nn/cpu/x86/gemm_avx512_column.h"

static void run_panel(const nn_gemm *g, tile_args *t, int64_t m, int rows, int64_t n, int plain) {
	int64_t cols = g->n - n < NR ? g->n - n : NR;
	run_tile(g, t, cols > 16 ? tiles[rows] : half_tiles[rows], m, rows, n, cols, cols > 16 ? NR : NR / 2, plain);
}

/* Rows a multiple of 4096 bytes apart all fall into one set of the first-level cache, and a tile has more rows than a set has lines:
 * they would push each other out at every step. Where there is enough to do, such rows are copied to a friendlier distance. */
#define CROWDED 4096
#define COPY_BYTES (2 * CROWDED + 64)

static int is_crowded(const nn_gemm *g) {
	return g->row_bytes % CROWDED == 0 && g->taps == 1 && g->k * ELEMENT <= 2 * CROWDED && g->m > FEW_ROWS && g->n > 4 * NR;
}

static void run_crowded(const nn_gemm *g, tile_args *t, int64_t parts, int plain) {
	char copy[MR * COPY_BYTES + NN_OVERREAD] __attribute__((aligned(64)));
	t->a = copy;
	t->row_bytes = COPY_BYTES;
	for (int64_t part = 0; part < parts; part++) {
		int64_t m = g->m * part / parts, rows = g->m * (part + 1) / parts - m;
		for (int64_t i = 0; i < rows; i++)
			memcpy(copy + i * COPY_BYTES, (const char *)g->a + (m + i) * g->row_bytes, (size_t)(g->k * ELEMENT));
		t->b = g->b;
		for (int64_t n = 0; n < g->n; n += NR, t->b += t->panel_bytes)
			run_panel(g, t, m, (int)rows, n, plain);
	}
}

static void run(const nn_gemm *g) {
	if (run_column(g))
		return;
	tile_args t = { .row_bytes = g->row_bytes, .tap_bytes = g->tap_bytes, .k = g->k, .taps = g->taps, .a = g->a, .b = g->b };
	int64_t n = 0, parts = (g->m + MR - 1) / MR; /* tiles of even height */
	int plain = nn512_is_plain(g);
	t.panel_bytes = g->taps * ((g->k + KR - 1) / KR) * GROUP_BYTES;
	if (is_crowded(g)) {
		run_crowded(g, &t, parts, plain);
		return;
	}
	for (int panels = 4; g->m > 0 && g->m <= FEW_ROWS && panels > 1; panels -= 2)
		for (int cols = panels * NR; n + cols <= g->n; n += cols, t.b += panels * t.panel_bytes)
			run_tile(g, &t, few_tiles[panels == 2][g->m], 0, (int)g->m, n, cols, cols, plain);
	for (; n < g->n; n += NR, t.b += t.panel_bytes)
		for (int64_t part = 0; part < parts; part++) {
			int64_t m = g->m * part / parts, rows = g->m * (part + 1) / parts - m;
			t.a = (const char *)g->a + m * g->row_bytes;
			run_panel(g, &t, m, (int)rows, n, plain);
		}
}
