#include "models/speaker_encoder_internal.h"

#include <math.h>
#include <stdlib.h>

#define NORM_EPS 1e-5

/* Weights are turned to the graph's layout here: an image is [frames, frequencies, channels], the reference's [channels, frequencies,
 * frames]. Memory that cannot be had makes a tensor NN_NONE with the graph's sticky error. */
typedef struct recorder {
	nn_graph *g;
	const se_weights *w;
} recorder;

/* [out * in] floats, free() them; NULL when out of memory. */
static float *floats(const sn_weight *t) {
	const int64_t count = (int64_t)(t->bytes / sn_dtype_size(t->dtype));
	float *const values = malloc((size_t)count * sizeof *values);
	if (values) sn_weight_floats(t, 0, count, values);
	return values;
}

static nn_t missing(recorder *r, const sn_weight *t) { return nn_weight(r->g, NULL, t->name); }

/* A batch norm as x * scale + shift. */
static int affine(const se_norm *n, int channels, float **scale, float **shift) {
	float *const beta = floats(n->beta), *const mean = floats(n->mean), *const variance = floats(n->variance), *const gamma = floats(n->gamma);
	const int ready = beta && mean && variance && gamma;
	for (int c = 0; ready && c < channels; c++) {
		gamma[c] = (float)(gamma[c] / sqrt(variance[c] + NORM_EPS));
		beta[c] = (float)(beta[c] - (double)mean[c] * gamma[c]);
	}
	free(mean);
	free(variance);
	*scale = gamma;
	*shift = beta;
	return ready;
}

static nn_t constant(recorder *r, const char *name, int64_t count, const float *values) {
	return nn_const(r->g, name, 1, (int64_t[]){ count }, values);
}

/* Normalises x [.., channels]. */
static nn_t batch_norm(recorder *r, const se_norm *n, int channels, nn_t x) {
	float *scale, *shift;
	if (affine(n, channels, &scale, &shift)) {
		x = nn_binary(r->g, NN_MUL, x, constant(r, n->gamma->name, channels, scale));
		x = nn_binary(r->g, NN_ADD, x, constant(r, n->beta->name, channels, shift));
	} else {
		x = missing(r, n->gamma);
	}
	free(scale);
	free(shift);
	return x;
}

/* A convolution of k x k that keeps the size up to its stride, then a batch norm where `n` is given, which goes into its weights.
 * Weight [out, in, k frequencies, k frames] -> [out, k frames, k frequencies, in], a patch's order. x [T, F, in] -> [T', F', out] */
static nn_t conv(recorder *r, const sn_weight *weight, const sn_weight *bias, const se_norm *n, int stride, nn_t x) {
	const int64_t out = weight->dims[0], in = weight->dims[1], k = weight->dims[2];
	float *const from = floats(weight), *to = malloc((size_t)(out * in * k * k) * sizeof *to), *scale = NULL, *shift = NULL;
	const int ready = from && to && (!n || affine(n, (int)out, &scale, &shift));
	for (int64_t o = 0; ready && o < out; o++)
		for (int64_t c = 0; c < in; c++)
			for (int64_t i = 0; i < k; i++)
				for (int64_t j = 0; j < k; j++) {
					const float value = from[((o * in + c) * k + i) * k + j];
					to[((o * k + j) * k + i) * in + c] = scale ? value * scale[o] : value;
				}
	nn_t y = NN_NONE;
	if (!ready) {
		y = missing(r, weight);
	} else {
		const nn_t w = nn_const(r->g, weight->name, 2, (int64_t[]){ out, in * k * k }, to);
		const nn_t b = shift ? constant(r, n->beta->name, out, shift) : bias ? nn_weight(r->g, bias, bias->name) : NN_NONE;
		const int pad = (int)k / 2;
		y = nn_linear(r->g, nn_unfold(r->g, x, (int)k, (int)k, stride, stride, pad, pad), w, b);
	}
	free(from);
	free(to);
	free(scale);
	free(shift);
	return y;
}

static nn_t linear(recorder *r, const sn_weight *w, const sn_weight *b, nn_t x) {
	return nn_linear(r->g, x, nn_weight(r->g, w, w->name), nn_weight(r->g, b, b->name));
}

/* x [T, F, channels] -> [T', F', out]; *frames and *height follow. */
static nn_t block(recorder *r, const se_block *k, int *frames, int *height, nn_t x) {
	nn_graph *const g = r->g;
	nn_t y = nn_unary(g, NN_RELU, conv(r, k->conv1, NULL, NULL, k->stride, x), 0);
	y = conv(r, k->conv2, NULL, &k->norm2, 1, batch_norm(r, &k->norm1, k->out, y));
	*frames = (*frames - 1) / k->stride + 1;
	*height = (*height - 1) / k->stride + 1;
	const nn_dim image[] = { nn_fix(*frames), nn_fix(*height), nn_fix(k->out) }, rows[] = { nn_fix((int64_t)*frames * *height), nn_fix(k->out) };
	const nn_t flat = nn_reshape(g, y, 2, rows);
	nn_t share = nn_unary(g, NN_RELU, linear(r, k->squeeze, k->squeeze_bias, nn_mean_rows(g, flat)), 0);
	share = nn_unary(g, NN_SIGMOID, linear(r, k->excite, k->excite_bias, share), 0);
	y = nn_reshape(g, nn_binary(g, NN_MUL, flat, share), 3, image);
	if (k->down) x = conv(r, k->down, NULL, &k->down_norm, k->stride, x);
	return nn_unary(g, NN_RELU, nn_binary(g, NN_ADD, y, x), 0);
}

/* Entry `c * height + f` of the reference's pooled channels is `f * channels + c` here. */
static int64_t place(const se_weights *w, int64_t width, int64_t reference) {
	const int64_t channels = width / w->height;
	return reference % w->height * channels + reference / w->height;
}

/* A matrix [rows, cols] whose columns (in `parts` equal parts) or rows belong to the pooled channels, in the graph's order. */
static nn_t pooled(recorder *r, const sn_weight *weight, int64_t width, int parts, int by_rows) {
	const int64_t rows = weight->dims[0], cols = weight->rank > 1 ? weight->dims[1] : 1;
	float *const from = floats(weight), *const to = malloc((size_t)(rows * cols) * sizeof *to);
	nn_t out = NN_NONE;
	for (int64_t i = 0; from && to && i < rows; i++)
		for (int64_t j = 0; j < cols; j++) {
			const int64_t row = by_rows ? place(r->w, width, i) : i;
			const int64_t col = parts ? j / width * width + place(r->w, width, j % width) : j;
			to[row * cols + col] = from[i * cols + j];
		}
	if (from && to) out = nn_const(r->g, weight->name, weight->rank > 1 ? 2 : 1, (int64_t[]){ rows, cols }, to);
	else out = missing(r, weight);
	free(from);
	free(to);
	return out;
}

/* Means and deviations of x [T, width], each frame weighed by an attention of its own for every channel. -> [1, 2 * width] */
static nn_t statistics(recorder *r, nn_t x, int64_t width) {
	nn_graph *const g = r->g;
	const se_weights *const w = r->w;
	nn_t a = nn_linear(g, x, pooled(r, w->attend1, width, 1, 0), nn_weight(g, w->attend1_bias, w->attend1_bias->name));
	a = batch_norm(r, &w->attend_norm, (int)w->attend1->dims[0], nn_unary(g, NN_RELU, a, 0));
	a = nn_linear(g, a, pooled(r, w->attend2, width, 0, 1), pooled(r, w->attend2_bias, width, 0, 1));
	const nn_t weighed = nn_binary(g, NN_MUL, x, nn_softmax_rows(g, a)), mean = nn_sum_rows(g, weighed);
	const nn_t square = nn_sum_rows(g, nn_binary(g, NN_MUL, x, weighed));
	const nn_t variance = nn_binary(g, NN_SUB, square, nn_binary(g, NN_MUL, mean, mean));
	return nn_concat_cols(g, mean, nn_unary(g, NN_SQRT, nn_unary(g, NN_CLAMP_MIN, variance, 1e-5f), 0));
}

void se_record(nn_graph *g, const se_weights *w, int frames, int log_input) {
	recorder r = { g, w };
	int height = w->mels;
	nn_t x = nn_input(g, "mel", NN_F32, 2, (nn_dim[]){ nn_fix(frames), nn_fix(w->mels) });
	if (log_input) x = nn_unary(g, NN_LOG, nn_affine(g, x, 1, 1e-6f), 0);
	x = nn_name(g, nn_norm_rows(g, x, NN_NONE, NN_NONE, 1e-5f), "instancenorm");
	x = nn_reshape(g, x, 3, (nn_dim[]){ nn_fix(frames), nn_fix(w->mels), nn_fix(1) });
	x = nn_unary(g, NN_RELU, conv(&r, w->conv, w->conv_bias, NULL, 1, x), 0);
	x = batch_norm(&r, &w->norm, (int)w->conv->dims[0], x);
	int channels = 0;
	for (int i = 0; i < SE_LAYERS; i++) {
		for (int j = 0; j < w->block_count[i]; j++) x = block(&r, &w->blocks[i][j], &frames, &height, x);
		channels = w->blocks[i][w->block_count[i] - 1].out;
		nn_name(g, x, "layer%d", i + 1);
	}
	const int64_t width = (int64_t)channels * height;
	x = nn_reshape(g, x, 2, (nn_dim[]){ nn_fix(frames), nn_fix(width) });
	x = nn_linear(g, statistics(&r, x, width), pooled(&r, w->project, width, 2, 0), nn_weight(g, w->project_bias, w->project_bias->name));
	nn_output(g, x, "embedding");
}
