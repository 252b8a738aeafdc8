#include "models/wav2vec2_internal.h"

#include <math.h>
#include <string.h>

#define NORM_EPS 1e-5 /* of torch's GroupNorm */

void wav2vec2_normalise(float *samples, int64_t count) {
	double sum = 0, square = 0;
	for (int64_t i = 0; i < count; i++) sum += samples[i];
	const double mean = count ? sum / (double)count : 0;
	for (int64_t i = 0; i < count; i++) square += ((double)samples[i] - mean) * ((double)samples[i] - mean);
	const double deviation = sqrt((count ? square / (double)count : 0) + 1e-7);
	for (int64_t i = 0; i < count; i++) samples[i] = (float)(((double)samples[i] - mean) / deviation);
}

/* The convolution y[t] = b + sum_k w[k] x[step t + k] is linear, so its mean and variance over t need no y:
 *   m[k] = mean_t x[step t + k],  C[k, l] = mean_t (x[step t + k] - m[k]) (x[step t + l] - m[l])
 *   mean y = b + w . m,           var y = w^T C w
 * A kernel of 10 has 55 sums in C where y has 512 channels, and y need never be kept whole: windows run in blocks. In double
 * precision this is nearer to the exact norm than float32 sums over y are. */
void wav2vec2_group_norm(const wav2vec2_first *f, const float *samples, int64_t count, float *scale, float *shift) {
	const int k = f->kernel;
	const int64_t rows = count < k ? 0 : (count - k) / f->step + 1;
	const double n = rows ? (double)rows : 1;
	double mean[WAV2VEC2_MAX_FIRST] = { 0 }, cross[WAV2VEC2_MAX_FIRST][WAV2VEC2_MAX_FIRST];
	for (int i = 0; i < k; i++) memset(cross[i], 0, (size_t)k * sizeof *cross[i]);
	for (int64_t t = 0; t < rows; t++)
		for (int i = 0; i < k; i++) mean[i] += samples[t * f->step + i];
	for (int i = 0; i < k; i++) mean[i] /= n;
	for (int64_t t = 0; t < rows; t++) {
		double x[WAV2VEC2_MAX_FIRST];
		for (int i = 0; i < k; i++) x[i] = samples[t * f->step + i] - mean[i];
		for (int i = 0; i < k; i++)
			for (int j = i; j < k; j++) cross[i][j] += x[i] * x[j];
	}
	for (int c = 0; c < f->channels; c++) {
		const float *const w = f->weight + (int64_t)c * k;
		double y = f->bias ? f->bias[c] : 0, variance = 0;
		for (int i = 0; i < k; i++) {
			y += w[i] * mean[i];
			variance += w[i] * cross[i][i] * w[i];
			for (int j = i + 1; j < k; j++) variance += 2 * w[i] * cross[i][j] * w[j];
		}
		const double s = f->gamma[c] / sqrt((variance > 0 ? variance / n : 0) + NORM_EPS);
		scale[c] = (float)s;
		shift[c] = (float)(f->beta[c] - y * s);
	}
}
