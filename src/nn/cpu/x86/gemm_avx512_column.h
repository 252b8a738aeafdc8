/* Products with a single column (a vocoder's last convolution): lanes are rows of A instead of columns of B. Part of gemm_avx512.h.
 *
 * The rows of a block, and those that further taps read behind them, are turned to x[group of k][row]; then sixteen rows' sums grow by
 * one vector of x for each tap and group, in the order in which tiles add, so that the bits are the same. */
#include "nn/cpu/x86/transpose_avx512.h"

#define COLUMN_ROWS 64   /* of a block */
#define COLUMN_BEHIND 64 /* rows that taps reach behind it */
#define COLUMN_GROUPS 64
#define COLUMN_STEP (COLUMN_ROWS + COLUMN_BEHIND)

typedef struct column {
	int64_t k, groups, reach; /* elements and groups of a row, rows from one tap to the next */
	int taps;
} column;

/* Whether the product has that shape. A flattened convolution (k spans several rows) is taken apart again. */
static int is_column(const nn_gemm *g, column *c) {
	*c = (column){ .k = g->k, .taps = g->taps };
	int64_t row = g->row_bytes, tap = g->tap_bytes;
	if (g->n != 1 || g->m < 16 || row < 4 || g->row_scale || (g->c && g->c_stride != 1) || (g->c2 && g->c2_stride != 1) ||
	    (g->residual && g->residual_stride != 1))
		return 0;
	if (g->taps == 1 && g->k * ELEMENT > row && g->k * ELEMENT % row == 0 && row % 4 == 0) {
		c->taps = (int)(g->k * ELEMENT / row);
		c->k = row / ELEMENT;
		tap = row;
	}
	c->groups = (c->k + KR - 1) / KR;
	c->reach = c->taps > 1 ? tap / row : 0;
	return c->groups <= COLUMN_GROUPS && (c->taps == 1 || (tap > 0 && tap % row == 0)) && (c->taps - 1) * c->reach <= COLUMN_BEHIND;
}

/* Sixteen groups of a row from byte `at` on; zero behind its end. */
NN16_INLINE __m512i row_groups(const char *row, int64_t at, int64_t bytes) {
	int64_t left = bytes - at;
	return _mm512_maskz_loadu_epi8(left >= 64 ? ~0ull : (1ull << left) - 1, row + at);
}

static void turn_rows(const nn_gemm *g, const column *c, const char *a, int64_t rows, int32_t *x) {
	for (int64_t r = 0; r < rows; r += 16)
		for (int64_t group = 0; group < c->groups; group += 16) {
			__m512i v[16];
			NN16_UNROLL for (int i = 0; i < 16; i++)
				v[i] = r + i < rows ? row_groups(a + (r + i) * g->row_bytes, group * 4, c->k * ELEMENT) : _mm512_setzero_si512();
			int64_t count = c->groups - group < 16 ? c->groups - group : 16;
			nn512_store_transposed(v, (char *)(x + group * COLUMN_STEP + r), COLUMN_STEP * 4, count);
		}
}

/* sums[i], i < rows (rounded up to 16) */
static void column_sums(const nn_gemm *g, const column *c, const int32_t *x, int64_t rows, float *sums) {
	for (int64_t r = 0; r < rows; r += 64) {
		ACC s0 = ACC_ZERO, s1 = ACC_ZERO, s2 = ACC_ZERO, s3 = ACC_ZERO; /* four chains hide each other's latency */
		const char *b = g->b;
		for (int tap = 0; tap < c->taps; tap++) {
			const int32_t *from = x + r + tap * c->reach;
			for (int64_t group = 0; group < c->groups; group++, b += GROUP_BYTES, from += COLUMN_STEP) {
				__m512i w = group_at(b);
				s0 = DOT(s0, _mm512_loadu_si512(from), w);
				s1 = DOT(s1, _mm512_loadu_si512(from + 16), w);
				s2 = DOT(s2, _mm512_loadu_si512(from + 32), w);
				s3 = DOT(s3, _mm512_loadu_si512(from + 48), w);
			}
		}
		STORE(sums + r, s0, 1);
		STORE(sums + r + 16, s1, 1);
		STORE(sums + r + 32, s2, 1);
		STORE(sums + r + 48, s3, 1);
	}
}

/* The epilogue of rows m .. m + rows - 1, as that of one row with as many columns. */
static void column_epilogue(const nn_gemm *g, int64_t m, int64_t rows, const float *sums) {
	float bias[COLUMN_ROWS];
	int32_t colsum[COLUMN_ROWS];
	for (int i = 0; i < COLUMN_ROWS; i++) {
		bias[i] = g->bias ? g->bias[0] : 0;
		colsum[i] = g->b_colsum ? g->b_colsum[0] : 0;
	}
	nn_gemm turned = *g;
	turned.bias = g->bias ? bias : NULL;
	turned.b_colsum = colsum;
	turned.a_scale = g->b_scale;
	turned.b_scale = g->a_scale ? g->a_scale + m : NULL;
	turned.residual = g->residual ? g->residual + m : NULL;
	turned.c = g->c ? (char *)g->c + m * (g->c_store == NN_STORE_F32 ? 4 : 2) : NULL;
	turned.c2 = g->c2 ? (char *)g->c2 + m * (g->c2_store == NN_STORE_F32 ? 4 : 2) : NULL;
	nn512_epilogue(&turned, 0, 1, 0, rows, sums, COLUMN_ROWS, ELEMENT == 1);
}

static int run_column(const nn_gemm *g) {
	column c;
	if (!is_column(g, &c))
		return 0;
	int32_t x[COLUMN_GROUPS * COLUMN_STEP] __attribute__((aligned(64)));
	float sums[COLUMN_ROWS] __attribute__((aligned(64)));
	for (int64_t m = 0; m < g->m; m += COLUMN_ROWS) {
		int64_t rows = g->m - m < COLUMN_ROWS ? g->m - m : COLUMN_ROWS;
		turn_rows(g, &c, (const char *)g->a + m * g->row_bytes, rows + (c.taps - 1) * c.reach, x);
		column_sums(g, &c, x, rows, sums);
		column_epilogue(g, m, rows, sums);
	}
	return 1;
}
