/* Row and element kernels in scalar C: the truth that the vector forms are tested against. Sums are taken in double. */
#include "nn/cpu/fills.h"
#include "nn/cpu/scalar.h"

static void unary(nn_act act, float param, const void *x, nn_store xs, void *y, nn_store ys, int64_t n) {
	for (int64_t i = 0; i < n; i++)
		nn_save(y, ys, i, nn_act_apply(act, param, nn_load(x, xs, i)));
}

static float apply(nn_binary_op op, float a, float b) {
	switch (op) {
	case NN_ADD: return a + b;
	case NN_SUB: return a - b;
	case NN_MUL: return a * b;
	case NN_DIV: return a / b;
	}
	return a;
}

static void binary(nn_binary_op op, const float *a, const float *b, int64_t b_period, void *y, nn_store ys, int64_t n) {
	for (int64_t i = 0, j = 0; i < n; i++) {
		nn_save(y, ys, i, apply(op, a[i], b[j]));
		if (++j == b_period)
			j = 0;
	}
}

static void affine(const float *x, float scale, float shift, void *y, nn_store ys, int64_t n) {
	for (int64_t i = 0; i < n; i++)
		nn_save(y, ys, i, fmaf(x[i], scale, shift));
}

static void convert(const void *x, nn_store xs, void *y, nn_store ys, int64_t n) {
	for (int64_t i = 0; i < n; i++)
		nn_save(y, ys, i, nn_load(x, xs, i));
}

/* A row with a NaN or an infinity gets that as its scale, so that every product with it shows it. */
static float quantize_row(const void *x, nn_store xs, uint8_t *bytes, int64_t n) {
	float max = 0, s = 1, inverse = 0;
	for (int64_t i = 0; i < n; i++) {
		float v = fabsf(nn_load(x, xs, i));
		if (v > max || isnan(v))
			max = v;
	}
	if (!(max < NN_QUANT_ZERO))
		s = max / 127;
	if (isfinite(max) && max >= NN_QUANT_ZERO)
		inverse = 1 / s;
	for (int64_t i = 0; i < n; i++) {
		float v = inverse == 0 ? 0 : rintf(nn_load(x, xs, i) * inverse);
		bytes[i] = (uint8_t)(128 + (int)(v > 127 ? 127 : v < -127 ? -127 : v));
	}
	for (int64_t i = n; i & 3; i++)
		bytes[i] = 128;
	return s;
}

static float layer_norm(const float *x, const float *gamma, const float *beta, float eps, void *y, nn_store ys, float *scratch, int64_t n) {
	double sum = 0, squares = 0;
	for (int64_t i = 0; i < n; i++)
		sum += x[i];
	float mean = (float)(sum / n);
	for (int64_t i = 0; i < n; i++)
		squares += (double)(x[i] - mean) * (x[i] - mean);
	float rstd = 1 / sqrtf((float)(squares / n) + eps);
	void *out = ys == NN_STORE_U8 ? scratch : y;
	nn_store store = ys == NN_STORE_U8 ? NN_STORE_F32 : ys;
	for (int64_t i = 0; i < n; i++)
		nn_save(out, store, i, fmaf((x[i] - mean) * rstd, gamma[i], beta[i]));
	return ys == NN_STORE_U8 ? quantize_row(scratch, NN_STORE_F32, y, n) : 0;
}

static float softmax_row(const float *x, int64_t n, int64_t padded, void *p, nn_store ps) {
	double sum = 0;
	float max = -INFINITY;
	for (int64_t i = 0; i < n; i++)
		if (x[i] > max)
			max = x[i];
	if (max == -INFINITY)
		max = 0;
	for (int64_t i = 0; i < n; i++) {
		float e = expf(x[i] - max);
		sum += e;
		nn_save(p, ps, i, e);
	}
	for (int64_t i = n; i < padded; i++)
		nn_save(p, ps, i, 0);
	return sum == 0 ? 0 : (float)(1 / sum);
}

static void gated_tanh(const float *x, void *y, nn_store ys, int64_t n) {
	for (int64_t i = 0; i < n; i++)
		nn_save(y, ys, i, tanhf(x[i]) * nn_sigmoid(x[n + i]));
}

static void depthwise(const float *x, int64_t time, int64_t channels, const float *w, const float *bias, int k, int stride, int dilation,
                      int pad, float *y, int64_t t0, int64_t t1) {
	for (int64_t t = t0; t < t1; t++)
		for (int64_t c = 0; c < channels; c++) {
			float sum = bias ? bias[c] : 0;
			for (int j = 0; j < k; j++) {
				int64_t row = t * stride + (int64_t)j * dilation - pad;
				if (row >= 0 && row < time)
					sum = fmaf(x[row * channels + c], w[j * channels + c], sum);
			}
			y[t * channels + c] = sum;
		}
}

static void cache_attention(const float *q, const void *k_cache, const void *v_cache, nn_store store, const int32_t *table,
                            int64_t stride_slot, int64_t width, int64_t size, int heads, int64_t length, float scale, float *scratch,
                            float *probs, int64_t probs_stride, void *out, nn_store out_store) {
	for (int64_t first = 0; first < size * heads; first += size) {
		for (int64_t p = 0; p < length; p++) {
			int64_t key = table[p] * stride_slot + p * width + first;
			double dot = 0;
			for (int64_t c = 0; c < size; c++)
				dot += (double)q[first + c] * nn_load(k_cache, store, key + c);
			scratch[p] = (float)dot * scale;
		}
		float inverse = softmax_row(scratch, length, length, scratch, NN_STORE_F32);
		for (int64_t c = 0; c < size; c++) {
			double sum = 0;
			for (int64_t p = 0; p < length; p++)
				sum += (double)scratch[p] * nn_load(v_cache, store, table[p] * stride_slot + p * width + first + c);
			nn_save(out, out_store, first + c, (float)sum * inverse);
		}
		if (!probs)
			continue;
		for (int64_t p = 0; p < length; p++)
			probs[p] = scratch[p] * inverse;
		probs += probs_stride;
	}
}

static void lstm_gates(const float *gates, float *c, float *h, int64_t hidden) {
	for (int64_t i = 0; i < hidden; i++) {
		float in = nn_sigmoid(gates[i]), forget = nn_sigmoid(gates[hidden + i]);
		float cell = tanhf(gates[2 * hidden + i]), out = nn_sigmoid(gates[3 * hidden + i]);
		c[i] = forget * c[i] + in * cell;
		h[i] = out * tanhf(c[i]);
	}
}

static void gru_gates(const float *x, const float *recurrent, float *h, int64_t hidden) {
	for (int64_t i = 0; i < hidden; i++) {
		float reset = nn_sigmoid(x[i] + recurrent[i]), update = nn_sigmoid(x[hidden + i] + recurrent[hidden + i]);
		float fresh = tanhf(x[2 * hidden + i] + reset * recurrent[2 * hidden + i]);
		h[i] = (1 - update) * fresh + update * h[i];
	}
}

void nn_rows_fill_scalar(nn_kernels *k) {
	k->unary = unary;
	k->binary = binary;
	k->affine = affine;
	k->convert = convert;
	k->quantize_row = quantize_row;
	k->layer_norm = layer_norm;
	k->softmax_row = softmax_row;
	k->gated_tanh = gated_tanh;
	k->depthwise = depthwise;
	k->cache_attention = cache_attention;
	k->lstm_gates = lstm_gates;
	k->gru_gates = gru_gates;
}
