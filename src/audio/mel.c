#include "audio/mel_kernel.h"

#include "nn/cpu/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOG_FLOOR -10.0f /* log10(1e-10), what silence gives */

struct sn_mel {
	sn_mel_tables tables;
	sn_mel_kernel kernel;
	float dense[]; /* [mels, SN_MEL_BINS] */
};

/* Slaney's scale: linear below 1000 Hz, 27 mels per factor 6.4 above. */
static double mel_to_hz(double mel) { return mel < 15 ? mel * 200 / 3 : 1000 * exp((mel - 15) * log(6.4) / 27); }
static double hz_to_mel(double hz) { return hz < 1000 ? hz * 3 / 200 : 15 + log(hz / 1000) * 27 / log(6.4); }

/* Triangles between neighbouring centres, each of area 1 over its frequencies; rounded to float as the reference stores them. */
static void make_filters(sn_mel_tables *t, float *dense) {
	double top = hz_to_mel(SN_MEL_RATE / 2.0);
	for (int i = 0; i < t->mels; i++) {
		double left = mel_to_hz(top * i / (t->mels + 1)), middle = mel_to_hz(top * (i + 1) / (t->mels + 1));
		double right = mel_to_hz(top * (i + 2) / (t->mels + 1));
		t->low[i] = t->high[i] = 0;
		for (int k = 0; k < SN_MEL_BINS; k++) {
			double hz = (double)k * SN_MEL_RATE / SN_MEL_FFT;
			double weight = fmin((hz - left) / (middle - left), (right - hz) / (right - middle));
			dense[i * SN_MEL_BINS + k] = weight > 0 ? (float)(weight * 2 / (right - left)) : 0;
			t->filters[i][k] = dense[i * SN_MEL_BINS + k];
			if (weight > 0) {
				if (!t->high[i])
					t->low[i] = (int16_t)k;
				t->high[i] = (int16_t)(k + 1);
			}
		}
	}
}

static void make_tables(sn_mel_tables *t, float *dense) {
	const double turn = 2 * M_PI;
	for (int i = 0; i < SN_MEL_FFT; i++)
		t->window[i] = 0.5 - 0.5 * cos(turn * i / SN_MEL_FFT);
	for (int i = 0; i < SN_MEL_HALF; i++) {
		t->twiddle[i][0] = cos(turn * i / SN_MEL_HALF);
		t->twiddle[i][1] = -sin(turn * i / SN_MEL_HALF);
		t->untangle[i][0] = cos(turn * i / SN_MEL_FFT);
		t->untangle[i][1] = -sin(turn * i / SN_MEL_FFT);
	}
	make_filters(t, dense);
}

static sn_mel_kernel choose_kernel(void) {
#if defined(__x86_64__)
	const unsigned cpu = nn_cpu_detect();
	if (cpu & NN_CPU_AVX512)
		return sn_mel_kernel_avx512;
	if (cpu & NN_CPU_AVX2)
		return sn_mel_kernel_avx2;
#endif
	return sn_mel_kernel_base;
}

int sn_mel_open(sn_mel **out, int mels, char *err) {
	*out = NULL;
	if (mels < 1 || mels > SN_MEL_MAX)
		return sn_fail(err, SN_E_ARGUMENT, "%d mel bands asked for; 1 to %d are possible (Whisper uses 80 or 128)", mels, SN_MEL_MAX);
	sn_mel *mel = calloc(1, sizeof *mel + sizeof(float) * (size_t)mels * SN_MEL_BINS);
	if (!mel)
		return sn_fail(err, SN_E_MEMORY, "no memory for the tables of %d mel bands", mels);
	mel->tables.mels = mels;
	make_tables(&mel->tables, mel->dense);
	mel->kernel = choose_kernel();
	*out = mel;
	return SN_OK;
}

void sn_mel_close(sn_mel **mel) {
	if (mel && *mel) {
		free(*mel);
		*mel = NULL;
	}
}

const float *sn_mel_filters(const sn_mel *mel) { return mel->dense; }

/* The samples of a group that reads past an end of the view: mirrored before it, zeros behind it. */
static const float *padded(const sn_mel_view *view, int64_t start, float buffer[SN_MEL_SPAN]) {
	for (int i = 0; i < SN_MEL_SPAN; i++) {
		int64_t at = start + i < 0 ? -(start + i) : start + i;
		buffer[i] = at < view->count ? view->samples[at] : 0;
	}
	return buffer;
}

static int is_silent(const float *samples) {
	uint32_t any = 0;
	for (int i = 0; i < SN_MEL_SPAN; i++) {
		uint32_t bits;
		memcpy(&bits, samples + i, sizeof bits);
		any |= bits << 1; /* without the sign */
	}
	return !any;
}

float sn_mel_block(const sn_mel *mel, const sn_mel_view *view, int64_t first, int64_t frames, float *out) {
	float buffer[SN_MEL_SPAN], rest[SN_MEL_GROUP * SN_MEL_MAX], max = LOG_FLOOR;
	int mels = mel->tables.mels;
	for (int64_t done = 0; done < frames; done += SN_MEL_GROUP) {
		int64_t start = view->origin + (first + done) * SN_MEL_HOP - SN_MEL_CONTEXT;
		int64_t count = (frames - done < SN_MEL_GROUP ? frames - done : SN_MEL_GROUP) * mels;
		float *y = out + done * mels;
		int inside = start >= 0 && start + SN_MEL_SPAN <= view->count;
		const float *samples = inside ? view->samples + start : padded(view, start, buffer);
		if (is_silent(samples)) {
			for (int64_t i = 0; i < count; i++)
				y[i] = LOG_FLOOR;
			continue;
		}
		if (count == SN_MEL_GROUP * mels) {
			mel->kernel(&mel->tables, samples, y);
		} else {
			mel->kernel(&mel->tables, samples, rest);
			memcpy(y, rest, sizeof(float) * (size_t)count);
		}
		for (int64_t i = 0; i < count; i++)
			max = y[i] > max ? y[i] : max;
	}
	return max;
}

void sn_mel_normalise(float *x, int64_t values, float max) {
	float floor = max - 8;
	for (int64_t i = 0; i < values; i++)
		x[i] = ((x[i] > floor ? x[i] : floor) + 4) * 0.25f;
}

void sn_mel_window(const sn_mel *mel, const sn_mel_view *view, int64_t frames, float *out) {
	float max = sn_mel_block(mel, view, 0, frames, out);
	sn_mel_normalise(out, frames * mel->tables.mels, max);
}
