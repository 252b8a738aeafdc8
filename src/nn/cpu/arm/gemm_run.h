/* A product cut into tiles. The including file defines
 *   ELEMENT, KR, SUMS   bytes of an element, elements of a group of k, what sums are of
 *   MR                  rows of the largest tile: 2, 4 or 6
 *   ONE_V, TWO_V        vectors of the widest tile of one row, and of two; 4 where that is not worth a form
 *   void tile(const int M, const int V, const tile_args *t), always inlined */
#include "nn/cpu/wide/epilogue.h"

#define TILE(m, v) static void tile_##m##_##v(const tile_args *t) { tile(m, v, t); }
#define TILES(m) TILE(m, 1) TILE(m, 2) TILE(m, 4)
TILES(1) TILES(2)
static void tile_one(const tile_args *t) { tile(1, ONE_V, t); }
static void tile_two(const tile_args *t) { tile(2, TWO_V, t); }
#if MR > 2
TILES(3) TILES(4)
#endif
#if MR > 4
TILES(5) TILES(6)
#endif

/* By rows; then of one, two or four vectors. */
static const tile_fn tiles[MR + 1][3] = {
	{ NULL, NULL, NULL }, { tile_1_1, tile_1_2, tile_1_4 }, { tile_2_1, tile_2_2, tile_2_4 },
#if MR > 2
	{ tile_3_1, tile_3_2, tile_3_4 }, { tile_4_1, tile_4_2, tile_4_4 },
#endif
#if MR > 4
	{ tile_5_1, tile_5_2, tile_5_4 }, { tile_6_1, tile_6_2, tile_6_4 },
#endif
};

/* With one or two rows the time goes into reading B and into waiting for sums: sixteen of them are on their way at once. */
#define FEW_ROWS 2
static const tile_fn few_tiles[FEW_ROWS + 1] = { NULL, tile_one, tile_two };

/* Rows m .. m + rows - 1, which lie at t->a, by columns n .. n + cols - 1 at t->b, with a tile of `width` columns. */
static void run_tile(const nn_gemm *g, tile_args *t, tile_fn fn, int64_t m, int rows, int64_t n, int64_t cols, int64_t width, int plain) {
	float sums[MR * NR > 4 * MAX_V ? MR * NR : 4 * MAX_V] __attribute__((aligned(64)));
	const int direct = plain && cols == width;
	t->c = direct ? (float *)g->c + m * g->c_stride + n : sums;
	t->c_stride = direct ? g->c_stride : width;
	t->scale = direct ? g->out_scale : 1;
	fn(t);
	if (!direct)
		wide_epilogue(g, m, rows, n, cols, sums, width, SUMS);
}

static void run_panel(const nn_gemm *g, tile_args *t, int64_t m, int rows, int64_t n, int plain) {
	int64_t cols = g->n - n < NR ? g->n - n : NR;
	int narrow = cols <= 4 ? 0 : cols <= 8 ? 1 : 2;
	run_tile(g, t, tiles[rows][narrow], m, rows, n, cols, 4 << narrow, plain);
}

/* Rows a multiple of 4096 bytes apart fall into few sets of the first-level cache, fewer lines than a tile has rows on processors with
 * two ways: they would push each other out at every step. Where there is enough to do, such rows are copied to a friendlier distance. */
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
	tile_args t = { .row_bytes = g->row_bytes, .tap_bytes = g->tap_bytes, .k = g->k, .taps = g->taps, .a = g->a, .b = g->b };
	int64_t n = 0, parts = (g->m + MR - 1) / MR; /* tiles of even height */
	int plain = wide_is_plain(g);
	t.panel_bytes = g->taps * ((g->k + KR - 1) / KR) * GROUP_BYTES;
	if (is_crowded(g)) {
		run_crowded(g, &t, parts, plain);
		return;
	}
	if (g->m > 0 && g->m <= FEW_ROWS) {
		int64_t cols = 4 * (g->m == 1 ? ONE_V : TWO_V);
		for (; n + cols <= g->n; n += cols, t.b += cols / NR * t.panel_bytes)
			run_tile(g, &t, few_tiles[g->m], 0, (int)g->m, n, cols, cols, plain);
	}
	for (; n < g->n; n += NR, t.b += t.panel_bytes)
		for (int64_t part = 0; part < parts; part++) {
			int64_t m = g->m * part / parts, rows = g->m * (part + 1) / parts - m;
			t.a = (const char *)g->a + m * g->row_bytes;
			run_panel(g, &t, m, (int)rows, n, plain);
		}
}
