/* The kernels of one instruction set: a table of function pointers, filled with scalar C first and then overwritten ISA by ISA.
 * Scalar C is the truth that tests compare with. A kernel, its packer and its tile sizes travel together.
 *
 * Numeric rules that every variant keeps, so that rows are computed alike whatever batch, block or thread they are in:
 *  - element (m, n) of a product accumulates k in ascending order in ONE accumulator (f32: fused multiply-add; bf16: pairs by
 *    vdpbf16ps order; int8: exact); taps ascending outside k. No splitting of k by block size or row count.
 *  - a row operation (norm, softmax, quantise) reduces in an order fixed by the row's length.
 */
#ifndef SN_NN_CPU_KERNELS_H
#define SN_NN_CPU_KERNELS_H

#include "nn/nn.h"

#include <stdint.h>

typedef uint16_t nn_bf16; /* upper half of a float, round to nearest even */

/* Storage of activations inside a plan. */
typedef enum nn_store {
	NN_STORE_F32, /* float [rows, cols] */
	NN_STORE_BF16,
	NN_STORE_U8   /* uint8 value+128 with one float scale a row: x ~ scale[row] * (byte - 128) */
} nn_store;

/* C[m, n] = epilogue( sum over tap, k of A[row m, tap][k] * B[n][tap][k] )
 *
 * A: element (m, tap, k) lies at (char *)a + m * row_bytes + tap * tap_bytes + k * element size. (A convolution is taps > 1
 *    over the same rows; a linear layer has taps 1.) A is never read outside those elements, except that a kernel may read
 *    up to NN_OVERREAD bytes behind the last one; the plan pads its buffers for that.
 * B: packed by `pack` of the same table.
 * Epilogue, in this order, each part optional:
 *    v = acc                                             (int8: acc - 128 * colsum[n], times a_scale[m] * b_scale[n])
 *    v *= row_scale[m]                                   (f32, bf16: softmax normalisation)
 *    v += bias[n];  v = act(v);  v += residual[m, n] (float);  v *= out_scale (1 when unused)
 *    c[m, n] = v as c_store (NN_STORE_F32 or NN_STORE_BF16; NULL c: not stored)
 *    c2[m, n] = act2(v) as c2_store
 */
#define NN_OVERREAD 64

typedef struct nn_gemm {
	int64_t m, n, k;            /* k: elements per tap */
	int taps;
	const void *a;
	int64_t row_bytes, tap_bytes;
	const void *b;              /* packed weights, panel of column 0 */
	const float *a_scale;       /* int8: [m] */
	const float *b_scale;       /* int8: [n] */
	const int32_t *b_colsum;    /* int8: [n] sum over tap, k of B's int8 values */
	const float *row_scale;     /* [m] or NULL */
	const float *bias;          /* [n] or NULL */
	nn_act act;
	float act_param;
	const float *residual;      /* or NULL */
	int64_t residual_stride;    /* floats between rows */
	float out_scale;            /* 1 when unused */
	void *c;
	nn_store c_store;
	int64_t c_stride;           /* elements between rows */
	void *c2;                   /* or NULL */
	nn_store c2_store;
	int64_t c2_stride;
	nn_act act2;
	float act2_param;
} nn_gemm;

/* One precision's product family. Panels are `nr` columns wide; the last may be partial (its missing columns are packed as zeros).
 * Packed layout: [panel][tap][ceil(k / kr)][nr][kr], k padded with zeros to a multiple of kr per tap.
 * Bytes of packed weights: panels * taps * ceil(k/kr) * nr * kr * element size. Columns n0 (a multiple of nr) start at
 * b + (n0 / nr) * taps * ceil(k/kr) * nr * kr * element size. Alignment of packed memory: 64. */
typedef struct nn_gemm_family {
	const char *isa;   /* the level it comes from, as SONANT_CPU names it */
	int mr, nr, kr;    /* mr: rows a tile; callers cut row blocks at multiples of it for speed, never for correctness */
	int element;       /* bytes of one packed element: 4, 2, 1 */
	/* Packs w, float, element (n, tap, k) at w[n * n_stride + tap * tap_stride + k * k_stride]. int8: symmetric per n,
	 * scale[n] = max|w| / 127 (1 where all are zero), colsum[n]; f32 and bf16 ignore scale and colsum (may be NULL). */
	void (*pack)(const float *w, int64_t n, int64_t k, int taps, int64_t n_stride, int64_t tap_stride, int64_t k_stride, void *packed,
	             float *scale, int32_t *colsum);
	void (*run)(const nn_gemm *gemm);
} nn_gemm_family;

typedef struct nn_kernels {
	const char *name; /* the level, as SONANT_CPU names it */
	int bf16_slow;    /* products in bf16 take longer than in f32: worth it only where the time goes into reading B */
	nn_gemm_family f32, bf16, s8; /* every family is filled */

	/* Packs activation rows x[rows, cols] (row stride in elements) as B, for attention:
	 * pack_keys: panels over rows, k over cols: scores = Q K^T.     (n = rows, k = cols)
	 * pack_values: panels over cols, k over rows: out = P V.        (n = cols, k = rows)
	 * Source float or bf16 by `store`; target is the f32 family's layout when `family` is &k->f32, the bf16 one's when &k->bf16. */
	void (*pack_keys)(const nn_gemm_family *family, const void *x, nn_store store, int64_t rows, int64_t cols, int64_t stride, void *packed);
	void (*pack_values)(const nn_gemm_family *family, const void *x, nn_store store, int64_t rows, int64_t cols, int64_t stride, void *packed);

	/* y = act(x) on n elements; stores may differ (F32 or BF16 each); x may equal y when the stores are the same. */
	void (*unary)(nn_act act, float param, const void *x, nn_store xs, void *y, nn_store ys, int64_t n);
	/* y[i] = a[i] op b[i]; b_period: b repeats after that many elements (n when it does not). float in; out F32 or BF16. */
	void (*binary)(nn_binary_op op, const float *a, const float *b, int64_t b_period, void *y, nn_store ys, int64_t n);
	void (*affine)(const float *x, float scale, float shift, void *y, nn_store ys, int64_t n);
	/* float <-> bf16 copies. */
	void (*convert)(const void *x, nn_store xs, void *y, nn_store ys, int64_t n);
	/* One row: bytes[i] = round(x[i] / s) + 128, s = max|x| / 127 (s = 1 for a zero row); returns s. x: F32 or BF16. Bytes past n up
	 * to the next multiple of 4 are written as 128. */
	float (*quantize_row)(const void *x, nn_store xs, uint8_t *bytes, int64_t n);
	/* One row: y = (x - mean) / sqrt(var + eps) * gamma + beta (var over n, two passes). ys F32 or BF16, or U8 (then returns the
	 * row's scale; quantised as quantize_row does, through a float scratch row of n elements that the caller gives). */
	float (*layer_norm)(const float *x, const float *gamma, const float *beta, float eps, void *y, nn_store ys, float *scratch, int64_t n);
	/* One row: p[i] = exp(x[i] - max) for i < n, as ps; returns 1 / sum (of the values before rounding to ps). p past n up to `padded`
	 * is written as zero. x and p may be the same memory when ps is F32. */
	float (*softmax_row)(const float *x, int64_t n, int64_t padded, void *p, nn_store ps);
	/* y[c] = tanh(x[c]) * sigmoid(x[n + c]) */
	void (*gated_tanh)(const float *x, void *y, nn_store ys, int64_t n);
	/* Depthwise convolution along time of rows [t0, t1) of the output: y[t, c] = bias[c] + sum_j x[t*stride + j*dilation - pad, c] *
	 * w[j * channels + c] (w transposed to [k, channels]); x has `time` rows; rows outside read as zero. */
	void (*depthwise)(const float *x, int64_t time, int64_t channels, const float *w, const float *bias, int k, int stride, int dilation,
	                  int pad, float *y, int64_t t0, int64_t t1);
	/* One decoder row's attention over a grown cache. For head h: s[p] = scale * q[h] . key(p)[h], softmax over p < length, out[h] =
	 * sum p v(p)[h]. key(p) = k_cache + (table[p] * stride_slot + p * width) elements; same for values. Caches F32 or BF16 by `store`.
	 * Rows are `width` apart and hold at least heads * size elements: a share of the heads is computed by shifting q, caches and out.
	 * scratch: length floats. probs: NULL or [heads] rows of probs_stride floats. out: F32 or BF16. */
	void (*cache_attention)(const float *q, const void *k_cache, const void *v_cache, nn_store store, const int32_t *table,
	                        int64_t stride_slot, int64_t width, int64_t size, int heads, int64_t length, float scale, float *scratch,
	                        float *probs, int64_t probs_stride, void *out, nn_store out_store);
	/* One LSTM step: gates[4H] (already x w_ih^T + b_ih + h w_hh^T + b_hh, order i f g o) and c[H] -> new c in place, h[H]. */
	void (*lstm_gates)(const float *gates, float *c, float *h, int64_t hidden);
	/* One GRU step: x[3H] (input x w_ih^T + b_ih) and recurrent[3H] (h w_hh^T + b_hh), order r z n; h[H] in place. */
	void (*gru_gates)(const float *x, const float *recurrent, float *h, int64_t hidden);
} nn_kernels;

/* CPU features. SONANT_CPU in the environment names a level and lowers them to it: on x86 scalar < avx2 < avx512 < avx512_vnni <
 * avx512_bf16, on ARM scalar < neon < neon_dotprod < neon_i8mm; the last is everything. Each level has all below it. Another name
 * lowers nothing, and nn_cpu_mask_known() says so. */
enum { NN_CPU_AVX512 = 1, NN_CPU_VNNI = 2, NN_CPU_BF16 = 4, NN_CPU_AVX2 = 8, /* with FMA */
       NN_CPU_NEON = 16, NN_CPU_DOTPROD = 32, NN_CPU_I8MM = 64 };
unsigned nn_cpu_detect(void);                 /* what the processor has, lowered by SONANT_CPU */
int nn_cpu_mask_known(void);                  /* 0: SONANT_CPU names no level of this architecture */
const char *nn_cpu_text(unsigned flags);      /* for `info`; static */
/* One sentence: what the processor has, what it lacks for the next level, what SONANT_CPU left of it. Cut at `size`. */
void nn_cpu_why(char *text, size_t size);

/* Whether products of int8 weights, quantisation of their left sides included, take less time than those of float32; the same for
 * bf16. Where they do not, these types only save memory. */
static inline int nn_cpu_prefers_int8(unsigned flags) { return (flags & (NN_CPU_AVX2 | NN_CPU_VNNI | NN_CPU_DOTPROD)) != 0; }
static inline int nn_cpu_prefers_bf16(unsigned flags) { return (flags & NN_CPU_BF16) != 0; }

void nn_kernels_fill(nn_kernels *k, unsigned flags);
const nn_kernels *nn_kernels_best(void);      /* filled once for nn_cpu_detect() */

#endif
