/* Norms, softmax, quantisation, and attention over a grown cache. A sum runs in lanes by index modulo VL, 2 VL or 4 VL, then across
 * lanes: its order hangs on the row's length alone. */
#ifndef SN_NN_CPU_WIDE_ROWS_H
#define SN_NN_CPU_WIDE_ROWS_H

#include "nn/cpu/scalar.h"
#include "nn/cpu/wide/elements.h"

/* bytes[i] = round(x[i] / s) + 128, where `most` holds the row's largest magnitude. Magnitudes compare as integers; a NaN is above
 * all of them and so becomes the scale. */
VEC_INLINE float wide_quantize_by(vi most, const void *x, nn_store xs, uint8_t *bytes, int64_t n) {
	int32_t bits = vi_top(most);
	float max, s = 1, inverse = 0;
	memcpy(&max, &bits, sizeof max);
	if (!(max < NN_QUANT_ZERO))
		s = max / 127;
	if (isfinite(max) && max >= NN_QUANT_ZERO)
		inverse = 1 / s;
	if (inverse == 0) {
		memset(bytes, 128, (size_t)(n + 3) & ~(size_t)3);
		return s;
	}
	const vf factor = vf_set1(inverse);
	int64_t i = 0;
	for (; i + VL <= n; i += VL)
		vi_store_bytes_part(bytes + i, VL, vi_round(wide_load(x, xs, i) * factor));
	if (i < n)
		vi_store_bytes_part(bytes + i, (n - i + 3) & ~3, vi_round(wide_load_part(x, xs, i, n - i) * factor));
	return s;
}

VEC_INLINE float wide_quantize_as(const void *x, const nn_store xs, uint8_t *bytes, int64_t n) {
	vi most = vi_set1(0), other = most;
	int64_t i = 0;
	for (; i + 2 * VL <= n; i += 2 * VL) {
		most = vi_max(most, (vi)vf_abs(wide_load(x, xs, i)));
		other = vi_max(other, (vi)vf_abs(wide_load(x, xs, i + VL)));
	}
	for (; i < n; i += VL)
		most = vi_max(most, (vi)vf_abs(wide_load_part(x, xs, i, n - i)));
	return wide_quantize_by(vi_max(most, other), x, xs, bytes, n);
}

static float wide_quantize_row(const void *x, nn_store xs, uint8_t *bytes, int64_t n) {
	if (xs == NN_STORE_F32)
		return wide_quantize_as(x, NN_STORE_F32, bytes, n);
	return wide_quantize_as(x, NN_STORE_BF16, bytes, n);
}

static inline float wide_row_mean(const float *x, int64_t n) {
	vf s0 = vf_set1(0), s1 = s0;
	int64_t i = 0;
	for (; i + 2 * VL <= n; i += 2 * VL) {
		s0 += vf_load(x + i);
		s1 += vf_load(x + i + VL);
	}
	for (; i < n; i += VL)
		s0 += vf_load_part(x + i, n - i);
	return vf_sum(s0 + s1) / (float)n;
}

static inline float wide_row_variance(const float *x, vf mean, int64_t n) {
	vf s0 = vf_set1(0), s1 = s0;
	int64_t i = 0;
	for (; i + 2 * VL <= n; i += 2 * VL) {
		vf d0 = vf_load(x + i) - mean, d1 = vf_load(x + i + VL) - mean;
		s0 = vf_fma(d0, d0, s0);
		s1 = vf_fma(d1, d1, s1);
	}
	for (; i < n; i += VL) {
		vf d = (vf)((vi)(vf_load_part(x + i, n - i) - mean) & vi_first(n - i));
		s0 = vf_fma(d, d, s0);
	}
	return vf_sum(s0 + s1) / (float)n;
}

/* y = (x - mean) * rstd * gamma + beta; returns the largest magnitude by lanes */
VEC_INLINE vi wide_norm_as(const float *x, const float *gamma, const float *beta, vf mean, vf rstd, void *y, const nn_store ys, int64_t n) {
	vi most = vi_set1(0);
	int64_t i = 0;
	for (; i + VL <= n; i += VL) {
		vf v = vf_fma((vf_load(x + i) - mean) * rstd, vf_load(gamma + i), vf_load(beta + i));
		most = vi_max(most, (vi)vf_abs(v));
		wide_save(y, ys, i, v);
	}
	if (i < n) {
		int64_t left = n - i;
		vf v = vf_fma((vf_load_part(x + i, left) - mean) * rstd, vf_load_part(gamma + i, left), vf_load_part(beta + i, left));
		most = vi_max(most, (vi)vf_abs(v) & vi_first(left));
		wide_save_part(y, ys, i, left, v);
	}
	return most;
}

static float wide_layer_norm(const float *x, const float *gamma, const float *beta, float eps, void *y, nn_store ys, float *scratch,
                             int64_t n) {
	const vf mean = vf_set1(wide_row_mean(x, n)), rstd = vf_set1(1 / sqrtf(wide_row_variance(x, mean, n) + eps));
	switch (ys) {
	case NN_STORE_F32: wide_norm_as(x, gamma, beta, mean, rstd, y, NN_STORE_F32, n); return 0;
	case NN_STORE_BF16: wide_norm_as(x, gamma, beta, mean, rstd, y, NN_STORE_BF16, n); return 0;
	case NN_STORE_U8: break;
	}
	vi most = wide_norm_as(x, gamma, beta, mean, rstd, scratch, NN_STORE_F32, n);
	return wide_quantize_by(most, scratch, NN_STORE_F32, y, n);
}

/* exp(d) for d <= 0: 2^t = 2^floor(t) p(t - floor(t)); below 2^-126 and for -infinity 0, 0 gives 1 exactly, a NaN stays. The product
 * with log2(e) is not split, for what lies far below the maximum counts for little: relative error 3e-7 + 6e-8 |d|. Where the result
 * becomes bf16, which keeps 4e-3, a cubic with 9e-5 does. */
VEC_INLINE vf wide_exp_below(vf d, const nn_store store) {
	vf t = vf_max(vf_set1(-127), d * 1.44269504f), whole = vf_floor(t), f = t - whole, p;
	if (store == NN_STORE_BF16) {
		p = vf_set1(0.07706704206f);
		p = vf_fma(p, f, vf_set1(0.2276449912f));
		p = vf_fma(p, f, vf_set1(0.6951167864f));
	} else {
		p = vf_set1(0.001867130081f);
		p = vf_fma(p, f, vf_set1(0.009017030287f));
		p = vf_fma(p, f, vf_set1(0.05579991314f));
		p = vf_fma(p, f, vf_set1(0.2401644501f));
		p = vf_fma(p, f, vf_set1(0.6931513118f));
	}
	return vf_fma(p, f, vf_set1(1)) * (vf)((vi_round(whole) + 127) << 23);
}

/* A NaN is passed over. */
static inline float wide_row_max(const float *x, int64_t n) {
	vf m0 = vf_set1(-INFINITY), m1 = m0, m2 = m0, m3 = m0;
	int64_t i = 0;
	for (; i + 4 * VL <= n; i += 4 * VL) {
		m0 = vf_max(vf_load(x + i), m0);
		m1 = vf_max(vf_load(x + i + VL), m1);
		m2 = vf_max(vf_load(x + i + 2 * VL), m2);
		m3 = vf_max(vf_load(x + i + 3 * VL), m3);
	}
	for (; i < n; i += VL)
		m0 = vf_select(vi_first(n - i), vf_max(vf_load_part(x + i, n - i), m0), m0);
	return vf_top(vf_max(vf_max(m0, m1), vf_max(m2, m3)));
}

VEC_INLINE float wide_softmax_as(const float *x, int64_t n, int64_t padded, void *p, const nn_store ps) {
	float top = wide_row_max(x, n);
	const vf max = vf_set1(top == -INFINITY ? 0 : top);
	vf s0 = vf_set1(0), s1 = s0, s2 = s0, s3 = s0;
	int64_t i = 0;
	for (; i + 4 * VL <= n; i += 4 * VL) {
		vf e0 = wide_exp_below(vf_load(x + i) - max, ps), e1 = wide_exp_below(vf_load(x + i + VL) - max, ps);
		vf e2 = wide_exp_below(vf_load(x + i + 2 * VL) - max, ps), e3 = wide_exp_below(vf_load(x + i + 3 * VL) - max, ps);
		s0 += e0;
		s1 += e1;
		s2 += e2;
		s3 += e3;
		wide_save(p, ps, i, e0);
		wide_save(p, ps, i + VL, e1);
		wide_save(p, ps, i + 2 * VL, e2);
		wide_save(p, ps, i + 3 * VL, e3);
	}
	for (; i < n; i += VL) {
		vf e = (vf)((vi)wide_exp_below(vf_load_part(x + i, n - i) - max, ps) & vi_first(n - i));
		s0 += e;
		wide_save_part(p, ps, i, n - i, e);
	}
	size_t element = ps == NN_STORE_F32 ? sizeof(float) : sizeof(nn_bf16);
	if (padded > n)
		memset((char *)p + (size_t)n * element, 0, (size_t)(padded - n) * element);
	float sum = vf_sum((s0 + s1) + (s2 + s3));
	return sum == 0 ? 0 : 1 / sum;
}

static float wide_softmax_row(const float *x, int64_t n, int64_t padded, void *p, nn_store ps) {
	if (ps == NN_STORE_F32)
		return wide_softmax_as(x, n, padded, p, NN_STORE_F32);
	return wide_softmax_as(x, n, padded, p, NN_STORE_BF16);
}

/* A head's view of a cache: element (p, c) of its keys or values is base[table[p] * stride_slot + p * width + c]. */
typedef struct wide_view {
	const void *base;
	const int32_t *table;
	int64_t stride_slot, width;
} wide_view;

static inline int64_t wide_at(const wide_view *v, int64_t p) { return v->table[p] * v->stride_slot + p * v->width; }

/* s[p] = scale * sum_c q[c] key(p)[c]; past the end the last position is computed again and not stored. */
VEC_INLINE void wide_cache_scores(const float *q, wide_view k, const nn_store store, int64_t size, int64_t length, float scale, float *s) {
	for (int64_t p = 0; p < length; p += 4) {
		int64_t at[4], i = 0;
		for (int j = 0; j < 4; j++)
			at[j] = wide_at(&k, p + j < length ? p + j : length - 1);
		vf sum[4] = { { 0 } };
		for (; i + VL <= size; i += VL)
			VEC_UNROLL for (int j = 0; j < 4; j++)
				sum[j] = vf_fma(vf_load(q + i), wide_load(k.base, store, at[j] + i), sum[j]);
		if (i < size)
			VEC_UNROLL for (int j = 0; j < 4; j++)
				sum[j] = vf_fma(vf_load_part(q + i, size - i), wide_load_part(k.base, store, at[j] + i, size - i), sum[j]);
		float sums[4];
		vf_sum4(sum[0], sum[1], sum[2], sum[3], sums);
		for (int j = 0; j < 4 && p + j < length; j++)
			s[p + j] = sums[j] * scale;
	}
}

/* out[c] = inverse * sum_p s[p] value(p)[c] for c from i on: V whole vectors, or what is left of a row in V vectors. */
VEC_INLINE void wide_values_block(const int V, const int whole, const float *s, const wide_view *v, const nn_store store, int64_t i,
                                  int64_t left, int64_t length, float inverse, void *out, nn_store out_store, int64_t first) {
	vf sum[8] = { { 0 } };
	for (int64_t p = 0; p < length; p++) {
		int64_t at = wide_at(v, p) + i;
		vf weight = vf_set1(s[p]);
		VEC_UNROLL for (int j = 0; j < V; j++) {
			vf x = whole ? wide_load(v->base, store, at + j * VL) : wide_load_part(v->base, store, at + j * VL, left - j * VL);
			sum[j] = vf_fma(weight, x, sum[j]);
		}
	}
	VEC_UNROLL for (int j = 0; j < V; j++)
		if (j * VL < left)
			wide_save_part(out, out_store, first + i + j * VL, left - j * VL, sum[j] * inverse);
}

VEC_INLINE void wide_cache_values(const float *s, wide_view v, const nn_store store, int64_t size, int64_t length, float inverse,
                                  void *out, nn_store out_store, int64_t first) {
	int64_t i = 0;
	for (; i + 8 * VL <= size; i += 8 * VL)
		wide_values_block(8, 1, s, &v, store, i, 8 * VL, length, inverse, out, out_store, first);
	for (; i < size; i += 2 * VL)
		wide_values_block(2, 0, s, &v, store, i, size - i < 2 * VL ? size - i : 2 * VL, length, inverse, out, out_store, first);
}

static inline const void *wide_element(const void *x, nn_store store, int64_t i) {
	return (const char *)x + i * (int64_t)(store == NN_STORE_F32 ? sizeof(float) : sizeof(nn_bf16));
}

static void wide_cache_attention(const float *q, const void *k_cache, const void *v_cache, nn_store store, const int32_t *table,
                                 int64_t stride_slot, int64_t width, int64_t size, int heads, int64_t length, float scale, float *scratch,
                                 float *probs, int64_t probs_stride, void *out, nn_store out_store) {
	for (int64_t first = 0; first < size * heads; first += size) {
		wide_view k = { wide_element(k_cache, store, first), table, stride_slot, width };
		wide_view v = { wide_element(v_cache, store, first), table, stride_slot, width };
		if (store == NN_STORE_F32)
			wide_cache_scores(q + first, k, NN_STORE_F32, size, length, scale, scratch);
		else
			wide_cache_scores(q + first, k, NN_STORE_BF16, size, length, scale, scratch);
		float inverse = wide_softmax_as(scratch, length, length, scratch, NN_STORE_F32);
		if (store == NN_STORE_F32)
			wide_cache_values(scratch, v, NN_STORE_F32, size, length, inverse, out, out_store, first);
		else
			wide_cache_values(scratch, v, NN_STORE_BF16, size, length, inverse, out, out_store, first);
		if (!probs)
			continue;
		wide_affine(scratch, inverse, 0, probs, NN_STORE_F32, length);
		probs += probs_stride;
	}
}

static void wide_rows_fill(nn_kernels *k) {
	wide_elements_fill(k);
	k->quantize_row = wide_quantize_row;
	k->layer_norm = wide_layer_norm;
	k->softmax_row = wide_softmax_row;
	k->cache_attention = wide_cache_attention;
}

#endif
