/* Products of types that are widened before they are multiplied: with several rows, A is widened once for all panels instead of at
 * every step. Part of gemm_avx2.h. */
#define WIDENED_BYTES ((int64_t)128 << 10)

#define WIDENED_TILE(m, v) static void widened_##m##_##v(const tile_args *t) { tile(m, v, t, 1); }
WIDENED_TILE(1, 1) WIDENED_TILE(2, 1) WIDENED_TILE(3, 1) WIDENED_TILE(4, 1) WIDENED_TILE(5, 1) WIDENED_TILE(6, 1)
WIDENED_TILE(1, 2) WIDENED_TILE(2, 2) WIDENED_TILE(3, 2) WIDENED_TILE(4, 2) WIDENED_TILE(5, 2) WIDENED_TILE(6, 2)

static const tile_fn half_widened[MR + 1] = { NULL, widened_1_1, widened_2_1, widened_3_1, widened_4_1, widened_5_1, widened_6_1 };
static const tile_fn whole_widened[MR + 1] = { NULL, widened_1_2, widened_2_2, widened_3_2, widened_4_2, widened_5_2, widened_6_2 };

/* `bytes` of a row as groups, each as what the two passes multiply of it. Zero behind the row. */
static void widen_row(const char *a, int64_t bytes, char *to) {
	for (int64_t at = 0; at < bytes; at += VEC_BYTES, to += 2 * VEC_BYTES) {
		char rest[VEC_BYTES] = { 0 };
		const char *from = a + at;
		if (bytes - at < VEC_BYTES)
			from = memcpy(rest, a + at, (size_t)(bytes - at));
		__m256i x = (__m256i)vi_load(from), first = (__m256i)LEFT(0, (vi)x), second = (__m256i)LEFT(1, (vi)x);
		__m256i low = _mm256_unpacklo_epi32(first, second), high = _mm256_unpackhi_epi32(first, second);
		vi_store(to, (vi)_mm256_permute2x128_si256(low, high, 0x20));
		vi_store(to + VEC_BYTES, (vi)_mm256_permute2x128_si256(low, high, 0x31));
	}
}

/* Whether a tile's rows fit, and if so, the product. */
static int run_widened(const nn_gemm *g, int plain) {
	char wide[WIDENED_BYTES] __attribute__((aligned(64)));
	const int64_t bytes = g->k * ELEMENT, tap = (bytes + VEC_BYTES - 1) / VEC_BYTES * 2 * VEC_BYTES;
	const int64_t row = (g->taps * tap + 127) / 128 * 128 + 64; /* an odd number of lines: rows do not crowd in one set of the cache */
	const int64_t most = WIDENED_BYTES / row / MR * MR, blocks = most ? (g->m + most - 1) / most : 0;
	for (int64_t block = 0; block < blocks; block++) {
		int64_t m = g->m * block / blocks, rows = g->m * (block + 1) / blocks - m;
		for (int64_t i = 0; i < rows; i++)
			for (int j = 0; j < g->taps; j++)
				widen_row((const char *)g->a + (m + i) * g->row_bytes + j * g->tap_bytes, bytes, wide + i * row + j * tap);
		tile_args t = { .row_bytes = row, .tap_bytes = tap, .k = g->k, .taps = g->taps,
		                .panel_bytes = g->taps * ((g->k + KR - 1) / KR) * GROUP_BYTES };
		run_rows(g, &t, whole_widened, half_widened, wide, m, rows, plain);
	}
	return blocks > 0;
}
