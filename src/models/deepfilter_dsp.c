/* Spectra and features of DeepFilterNet as its authors' libDF computes them: a Vorbis window of 20 ms every 10 ms, spectra scaled by
 * 1 / 960, bands on the ERB scale of Glasberg and Moore, running means with a time constant of one second. */
#include "models/deepfilter_internal.h"

#include <math.h>
#include <string.h>

#define ALPHA 0.99f        /* exp(-10 ms / 1 s), rounded to three places */
#define MIN_WIDTH 2        /* bins of a band */
#define LEAST_SCALE 1e-12f /* of a bin's mean magnitude: minutes of digital silence would bring it to zero, and the feature to 0 / 0 */

static float erb_of(float hertz) { return 9.265f * log1pf(hertz / (24.7f * 9.265f)); }
static float hertz_of(float erb) { return 24.7f * 9.265f * (expf(erb / 9.265f) - 1); }

/* Bands of equal width on the ERB scale; the low ones would be narrower than MIN_WIDTH bins and borrow from their neighbours. */
static void fill_widths(int *widths) {
	const float bin = (float)SN_DEEPFILTER_RATE / DF_FFT, step = erb_of(SN_DEEPFILTER_RATE / 2) / DF_BANDS;
	int before = 0, borrowed = 0, sum = 0;
	for (int i = 0; i < DF_BANDS; i++) {
		const int edge = (int)roundf(hertz_of((float)(i + 1) * step) / bin);
		const int width = edge - before - borrowed;
		borrowed = width < MIN_WIDTH ? MIN_WIDTH - width : 0;
		widths[i] = width < MIN_WIDTH ? MIN_WIDTH : width;
		before = edge;
		sum += widths[i];
	}
	widths[DF_BANDS - 1] += DF_BINS - sum;
}

int df_tables_open(df_tables *t, char *err) {
	const double quarter = acos(0);
	for (int i = 0; i < DF_FFT; i++) {
		const double s = sin(quarter * (i + 0.5) / (DF_FFT / 2));
		t->window[i] = (float)sin(quarter * s * s);
	}
	fill_widths(t->widths);
	t->forward = kiss_fftr_alloc(DF_FFT, 0, NULL, NULL);
	t->inverse = kiss_fftr_alloc(DF_FFT, 1, NULL, NULL);
	return t->forward && t->inverse ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory while loading DeepFilterNet");
}

void df_tables_close(df_tables *t) {
	kiss_fftr_free(t->forward);
	kiss_fftr_free(t->inverse);
	t->forward = t->inverse = NULL;
}

/* Means start as the authors' do: falling from -60 to -90 dB over the bands, from 1e-3 to 1e-4 over the bins. */
void df_stream_reset(sn_deepfilter_stream *s) {
	const float keep = s->keep;
	memset(s, 0, sizeof *s);
	s->keep = keep;
	for (int i = 0; i < DF_BANDS; i++) s->band_mean[i] = -60 + (float)i * (-30.0f / (DF_BANDS - 1));
	for (int i = 0; i < DF_LOW; i++) s->bin_scale[i] = 1e-3f + (float)i * ((1e-4f - 1e-3f) / (DF_LOW - 1));
}

void df_analyse(const df_tables *t, sn_deepfilter_stream *s, const float *pcm, float *spectrum) {
	float line[DF_FFT];
	kiss_fft_cpx bins[DF_BINS];
	const int past = DF_FFT - SN_DEEPFILTER_FRAME;
	for (int i = 0; i < past; i++) line[i] = s->analysis[i] * t->window[i];
	for (int i = 0; i < SN_DEEPFILTER_FRAME; i++) line[past + i] = pcm[i] * t->window[past + i];
	memcpy(s->analysis, pcm, sizeof s->analysis);
	kiss_fftr(t->forward, line, bins);
	for (int i = 0; i < DF_BINS; i++) {
		spectrum[2 * i] = bins[i].r * (1.0f / DF_FFT);
		spectrum[2 * i + 1] = bins[i].i * (1.0f / DF_FFT);
	}
}

void df_features(const df_tables *t, sn_deepfilter_stream *s, const float *spectrum, float *bands, float *bins) {
	const float *x = spectrum;
	for (int i = 0; i < DF_BANDS; i++) {
		float power = 0;
		for (int j = 0; j < t->widths[i]; j++, x += 2) power += x[0] * x[0] + x[1] * x[1];
		const float db = log10f(power / (float)t->widths[i] + 1e-10f) * 10;
		s->band_mean[i] = db * (1 - ALPHA) + s->band_mean[i] * ALPHA;
		bands[i] = (db - s->band_mean[i]) / 40;
	}
	for (int i = 0; i < DF_LOW; i++) {
		const float re = spectrum[2 * i], im = spectrum[2 * i + 1];
		s->bin_scale[i] = fmaxf(sqrtf(re * re + im * im) * (1 - ALPHA) + s->bin_scale[i] * ALPHA, LEAST_SCALE);
		const float root = sqrtf(s->bin_scale[i]);
		bins[2 * i] = re / root;
		bins[2 * i + 1] = im / root;
	}
}

void df_apply(const df_tables *t, float (*spectra)[2 * DF_BINS], const float *gains, const float *coefs, float keep, float *out) {
	const float *const noisy = spectra[DF_ORDER - 1 - DF_AHEAD];
	int bin = 0;
	for (int i = 0; i < DF_BANDS; i++)
		for (const int end = bin + t->widths[i]; bin < end; bin++) {
			out[2 * bin] = noisy[2 * bin] * gains[i];
			out[2 * bin + 1] = noisy[2 * bin + 1] * gains[i];
		}
	for (int i = 0; i < DF_LOW; i++, coefs += DF_COEFS) {
		float re = 0, im = 0;
		for (int n = 0; n < DF_ORDER; n++) {
			const float a = spectra[n][2 * i], b = spectra[n][2 * i + 1], c = coefs[2 * n], d = coefs[2 * n + 1];
			re += a * c - b * d;
			im += a * d + b * c;
		}
		out[2 * i] = re;
		out[2 * i + 1] = im;
	}
	for (int i = 0; keep > 0 && i < 2 * DF_BINS; i++) out[i] = out[i] * (1 - keep) + noisy[i] * keep;
}

void df_synthesise(const df_tables *t, sn_deepfilter_stream *s, const float *spectrum, float *pcm) {
	float line[DF_FFT];
	kiss_fft_cpx bins[DF_BINS];
	for (int i = 0; i < DF_BINS; i++) bins[i] = (kiss_fft_cpx){ spectrum[2 * i], spectrum[2 * i + 1] };
	kiss_fftri(t->inverse, bins, line);
	for (int i = 0; i < SN_DEEPFILTER_FRAME; i++) {
		pcm[i] = line[i] * t->window[i] + s->synthesis[i];
		s->synthesis[i] = line[SN_DEEPFILTER_FRAME + i] * t->window[SN_DEEPFILTER_FRAME + i];
	}
}
