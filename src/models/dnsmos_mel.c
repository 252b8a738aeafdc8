#include "models/dnsmos_mel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FFT 321
#define HALF 160  /* samples on either side of a frame's middle; with the window's first weight, which is 0, they make up the frame */
#define HOP 160
#define BINS 161
#define HEARD (SN_DNSMOS_WINDOW - HOP)
#define LEAST 1e-10f /* power */
#define RANGE 80     /* dB */

/* Bins that a filter spans. */
typedef struct filter {
	int low, high; /* [low, high) */
	double weights[BINS];
} filter;

struct sn_dnsmos_mel {
	double window[FFT];
	/* Both are of pairs of samples that lie symmetrically, 1 .. 160 and 320 .. 161: [HALF, BINS], bins side by side. */
	double cosine[HALF * BINS], sine[HALF * BINS];
	filter filters[SN_DNSMOS_MELS];
};

/* Slaney's scale: linear to 1000 Hz, then 27 steps for each factor of 6.4. */
static double mel_of(double hz) { return hz < 1000 ? hz * 3 / 200 : 15 + log(hz / 1000) * 27 / log(6.4); }
static double hz_of(double mel) { return mel < 15 ? mel * 200 / 3 : 1000 * exp((mel - 15) * log(6.4) / 27); }

/* A triangle of area 1 over its frequencies. */
static void fill_filter(filter *f, int index) {
	double edges[3];
	for (int k = 0; k < 3; k++) edges[k] = hz_of(mel_of(SN_DNSMOS_RATE / 2.0) * (index + k) / (SN_DNSMOS_MELS + 1));
	f->low = BINS;
	for (int b = 0; b < BINS; b++) {
		const double hz = (double)b * SN_DNSMOS_RATE / FFT;
		const double up = (hz - edges[0]) / (edges[1] - edges[0]), down = (edges[2] - hz) / (edges[2] - edges[1]);
		const double height = fmin(up, down);
		f->weights[b] = height > 0 ? height * 2 / (edges[2] - edges[0]) : 0;
		if (height <= 0) continue;
		f->low = b < f->low ? b : f->low;
		f->high = b + 1;
	}
}

int sn_dnsmos_mel_open(sn_dnsmos_mel **out, char *err) {
	sn_dnsmos_mel *const m = *out = calloc(1, sizeof *m);
	if (!m) return sn_fail(err, SN_E_MEMORY, "no memory for mel filters");
	for (int n = 0; n < FFT; n++) m->window[n] = 0.5 - 0.5 * cos(2 * M_PI * n / FFT);
	for (int n = 0; n < HALF; n++)
		for (int b = 0; b < BINS; b++) {
			const double angle = 2 * M_PI * ((n + 1) * b % FFT) / FFT;
			m->cosine[n * BINS + b] = cos(angle);
			m->sine[n * BINS + b] = sin(angle);
		}
	for (int i = 0; i < SN_DNSMOS_MELS; i++) fill_filter(&m->filters[i], i);
	return SN_OK;
}

void sn_dnsmos_mel_close(sn_dnsmos_mel **mel) {
	free(*mel);
	*mel = NULL;
}

/* In double: a quiet band beside a loud one loses its digits in single precision, and decibels show it. */
static void power_frame(const sn_dnsmos_mel *m, const float *window, int64_t start, float *out) {
	double re[BINS] = { 0 }, im[BINS] = { 0 };
	for (int n = 0; n < HALF; n++) {
		const int64_t a = start + n + 1, b = start + FFT - 1 - n;
		const double x = a >= 0 && a < HEARD ? window[a] * m->window[n + 1] : 0;
		const double y = b >= 0 && b < HEARD ? window[b] * m->window[n + 1] : 0;
		const double *const cosine = m->cosine + n * BINS, *const sine = m->sine + n * BINS;
		for (int k = 0; k < BINS; k++) {
			re[k] += (x + y) * cosine[k];
			im[k] += (x - y) * sine[k];
		}
	}
	for (int k = 0; k < BINS; k++) re[k] = re[k] * re[k] + im[k] * im[k];
	for (int i = 0; i < SN_DNSMOS_MELS; i++) {
		double sum = 0;
		for (int k = m->filters[i].low; k < m->filters[i].high; k++) sum += m->filters[i].weights[k] * re[k];
		out[i] = (float)sum;
	}
}

void sn_dnsmos_mel_power(const sn_dnsmos_mel *mel, const float *window, int first, int count, float *out) {
	for (int t = first; t < first + count; t++, out += SN_DNSMOS_MELS) power_frame(mel, window, (int64_t)t * HOP - HALF, out);
}

void sn_dnsmos_mel_decibels(const float *power, float *out) {
	const int64_t count = (int64_t)SN_DNSMOS_MEL_FRAMES * SN_DNSMOS_MELS;
	float most = LEAST;
	for (int64_t i = 0; i < count; i++) most = fmaxf(most, power[i]);
	const float reference = 10 * log10f(most);
	for (int64_t i = 0; i < count; i++) out[i] = (fmaxf(10 * log10f(fmaxf(power[i], LEAST)) - reference, -RANGE) + 40) / 40;
}
