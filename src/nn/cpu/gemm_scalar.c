/* Matrix products in scalar C: the truth that the vector forms are tested against. */
#include "nn/cpu/fills.h"
#include "nn/cpu/scalar.h"

#define MR 4
#define NR 8

/* ---- packing ---- */

/* Where element (n, tap, k) of the source lies, and how far each reaches. */
typedef struct source {
	const void *x;
	nn_store store;
	int64_t n, k, n_stride, tap_stride, k_stride;
	int taps;
} source;

static float source_at(const source *s, int64_t n, int tap, int64_t k) {
	return nn_load(s->x, s->store, n * s->n_stride + tap * s->tap_stride + k * s->k_stride);
}

/* inverse: int8 only, 127 / max|w| of each column. */
static void pack_element(int element, float x, float inverse, char *to) {
	if (element == 4) {
		memcpy(to, &x, sizeof x);
	} else if (element == 2) {
		nn_bf16 h = nn_bf16_put(x);
		memcpy(to, &h, sizeof h);
	} else {
		float q = x * inverse;
		q = !(q > -127) ? -127 : q > 127 ? 127 : q;
		*to = (int8_t)lrintf(q);
	}
}

/* [panel][tap][ceil(k / kr)][nr][kr] */
static void pack_source(const source *s, int nr, int kr, int element, const float *inverse, void *packed) {
	char *to = packed;
	for (int64_t n0 = 0; n0 < s->n; n0 += nr)
		for (int tap = 0; tap < s->taps; tap++)
			for (int64_t k0 = 0; k0 < s->k; k0 += kr)
				for (int64_t n = n0; n < n0 + nr; n++)
					for (int64_t k = k0; k < k0 + kr; k++, to += element) {
						int inside = n < s->n && k < s->k;
						pack_element(element, inside ? source_at(s, n, tap, k) : 0, inside && inverse ? inverse[n] : 0, to);
					}
}

static void pack_f32(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                     float *scale, int32_t *colsum) {
	pack_source(&(source){ w, NN_STORE_F32, n, k, n_stride, tap_stride, k_stride, taps }, NR, 1, 4, NULL, packed);
}

static void pack_bf16(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                      float *scale, int32_t *colsum) {
	pack_source(&(source){ w, NN_STORE_F32, n, k, n_stride, tap_stride, k_stride, taps }, NR, 2, 2, NULL, packed);
}

static float largest(const source *s, int64_t n) {
	float max = 0;
	for (int tap = 0; tap < s->taps; tap++)
		for (int64_t k = 0; k < s->k; k++)
			max = fmaxf(max, fabsf(source_at(s, n, tap, k)));
	return max;
}

static void pack_s8(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
                    float *scale, int32_t *colsum) {
	int64_t panel_bytes = taps * ((k + 3) / 4) * NR * 4;
	for (int64_t n0 = 0; n0 < n; n0 += NR) {
		source s = { w + n0 * n_stride, NN_STORE_F32, n - n0 < NR ? n - n0 : NR, k, n_stride, tap_stride, k_stride, taps };
		int8_t *panel = (int8_t *)packed + n0 / NR * panel_bytes;
		float inverse[NR];
		for (int64_t i = 0; i < s.n; i++) {
			float max = largest(&s, i);
			inverse[i] = max < NN_QUANT_ZERO ? 0 : 127 / max;
			scale[n0 + i] = max < NN_QUANT_ZERO ? 1 : max / 127;
		}
		pack_source(&s, NR, 4, 1, inverse, panel);
		for (int64_t i = 0; i < s.n; i++) {
			int32_t sum = 0;
			for (int64_t group = 0; group < panel_bytes; group += NR * 4)
				for (int j = 0; j < 4; j++)
					sum += panel[group + i * 4 + j];
			colsum[n0 + i] = sum;
		}
	}
}

static void pack_keys(const nn_gemm_family *family, const void *x, nn_store store, int64_t rows, int64_t cols, int64_t stride, void *packed) {
	pack_source(&(source){ x, store, rows, cols, stride, 0, 1, 1 }, family->nr, family->kr, family->element, NULL, packed);
}

static void pack_values(const nn_gemm_family *family, const void *x, nn_store store, int64_t rows, int64_t cols, int64_t stride, void *packed) {
	pack_source(&(source){ x, store, cols, rows, 1, 0, stride, 1 }, family->nr, family->kr, family->element, NULL, packed);
}

/* ---- products ---- */

/* What is left to do for `cols` elements of row m from column n on, whose sums are in v. */
static void finish(const nn_gemm *g, int64_t m, int64_t n, int64_t cols, const float *sums) {
	for (int64_t i = 0; i < cols; i++) {
		float v = sums[i];
		if (g->row_scale)
			v *= g->row_scale[m];
		if (g->bias)
			v += g->bias[n + i];
		v = nn_act_apply(g->act, g->act_param, v);
		if (g->residual)
			v += g->residual[m * g->residual_stride + n + i];
		v *= g->out_scale;
		if (g->c)
			nn_save(g->c, g->c_store, m * g->c_stride + n + i, v);
		if (g->c2)
			nn_save(g->c2, g->c2_store, m * g->c2_stride + n + i, nn_act_apply(g->act2, g->act2_param, v));
	}
}

/* One tile: up to MR rows by NR columns. Rows beyond the last repeat it. */
typedef void (*tile_fn)(const nn_gemm *g, const char *const *a, const char *b, float sums[MR][NR]);

static void tile_f32(const nn_gemm *g, const char *const *a, const char *b, float sums[MR][NR]) {
	float acc[MR][NR] = { { 0 } };
	const float *w = (const float *)b;
	for (int tap = 0; tap < g->taps; tap++)
		for (int64_t k = 0; k < g->k; k++, w += NR)
			for (int r = 0; r < MR; r++) {
				float x;
				memcpy(&x, a[r] + tap * g->tap_bytes + k * 4, sizeof x);
				for (int c = 0; c < NR; c++)
					acc[r][c] += x * w[c];
			}
	memcpy(sums, acc, sizeof acc);
}

/* As vdpbf16ps: the odd element of a pair first. Products of two bf16 are exact, so this is a chain of fused multiply-adds. */
static void tile_bf16(const nn_gemm *g, const char *const *a, const char *b, float sums[MR][NR]) {
	float acc[MR][NR] = { { 0 } };
	const nn_bf16 *w = (const nn_bf16 *)b;
	for (int tap = 0; tap < g->taps; tap++)
		for (int64_t k = 0; k < g->k; k += 2, w += NR * 2)
			for (int r = 0; r < MR; r++) {
				nn_bf16 pair[2] = { 0, 0 };
				memcpy(pair, a[r] + tap * g->tap_bytes + k * 2, k + 1 < g->k ? 4 : 2);
				float even = nn_bf16_get(pair[0]), odd = nn_bf16_get(pair[1]);
				for (int c = 0; c < NR; c++) {
					float first = acc[r][c] + odd * nn_bf16_get(w[c * 2 + 1]);
					acc[r][c] = first + even * nn_bf16_get(w[c * 2]);
				}
			}
	memcpy(sums, acc, sizeof acc);
}

/* Leaves the plain integer sums, as floats' bits. */
static void tile_s8(const nn_gemm *g, const char *const *a, const char *b, float sums[MR][NR]) {
	int32_t acc[MR][NR] = { { 0 } };
	const int8_t *w = (const int8_t *)b;
	for (int tap = 0; tap < g->taps; tap++)
		for (int64_t k = 0; k < g->k; k += 4, w += NR * 4)
			for (int r = 0; r < MR; r++)
				for (int64_t j = 0; j < 4 && k + j < g->k; j++) {
					int16_t x = (int16_t)(uint8_t)a[r][tap * g->tap_bytes + k + j];
					for (int c = 0; c < NR; c++)
						acc[r][c] += x * w[c * 4 + j];
				}
	memcpy(sums, acc, sizeof acc);
}

static void scale_s8(const nn_gemm *g, int64_t m, int64_t n, int64_t cols, float *sums) {
	for (int64_t i = 0; i < cols; i++) {
		int32_t sum;
		memcpy(&sum, &sums[i], sizeof sum);
		sums[i] = (float)(sum - 128 * g->b_colsum[n + i]) * (g->a_scale[m] * g->b_scale[n + i]);
	}
}

static void run(const nn_gemm *g, tile_fn tile, int kr, int element) {
	int64_t panel_bytes = g->taps * ((g->k + kr - 1) / kr) * NR * kr * element;
	for (int64_t n = 0; n < g->n; n += NR) {
		const char *b = (const char *)g->b + n / NR * panel_bytes;
		int64_t cols = g->n - n < NR ? g->n - n : NR;
		for (int64_t m = 0; m < g->m; m += MR) {
			int rows = g->m - m < MR ? (int)(g->m - m) : MR;
			const char *a[MR];
			for (int r = 0; r < MR; r++)
				a[r] = (const char *)g->a + (m + (r < rows ? r : rows - 1)) * g->row_bytes;
			float sums[MR][NR];
			tile(g, a, b, sums);
			for (int r = 0; r < rows; r++) {
				if (element == 1)
					scale_s8(g, m + r, n, cols, sums[r]);
				finish(g, m + r, n, cols, sums[r]);
			}
		}
	}
}

static void run_f32(const nn_gemm *g) { run(g, tile_f32, 1, 4); }
static void run_bf16(const nn_gemm *g) { run(g, tile_bf16, 2, 2); }
static void run_s8(const nn_gemm *g) { run(g, tile_s8, 4, 1); }

void nn_gemm_fill_scalar(nn_kernels *k) {
	k->f32 = (nn_gemm_family){ "scalar", MR, NR, 1, 4, pack_f32, run_f32 };
	k->bf16 = (nn_gemm_family){ "scalar", MR, NR, 2, 2, pack_bf16, run_bf16 };
	k->s8 = (nn_gemm_family){ "scalar", MR, NR, 4, 1, pack_s8, run_s8 };
	k->pack_keys = pack_keys;
	k->pack_values = pack_values;
}
