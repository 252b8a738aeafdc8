#include "audio/spectrum.h"

#include <kiss_fftr.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sn_spectrum {
	sn_spectrum_options options; /* its `filters` point to nothing */
	int bins, columns;
	float *window;      /* [fft], zeros around a shorter one */
	float *filters;     /* [mels, bins] */
	int *first, *last;  /* [mels]: the bins that a filter is not zero in */
};

/* ---- tables ---- */

static double mel_of(const sn_spectrum_options *o, double hz) {
	if (o->scale == SN_SCALE_HTK) return 2595 * log10(1 + hz / 700);
	return hz < 1000 ? hz * 3 / 200 : 15 + log(hz / 1000) * 27 / log(6.4);
}

static double hz_of(const sn_spectrum_options *o, double mel) {
	if (o->scale == SN_SCALE_HTK) return 700 * (pow(10, mel / 2595) - 1);
	return mel < 15 ? mel * 200 / 3 : 1000 * exp((mel - 15) * log(6.4) / 27);
}

static void make_window(sn_spectrum *s) {
	const sn_spectrum_options *const o = &s->options;
	const int size = o->window_size, before = (o->fft - size) / 2, turn = o->symmetric ? size - 1 : size;
	for (int i = 0; i < size; i++) {
		const double c = cos(2 * M_PI * i / (turn ? turn : 1));
		s->window[before + i] = o->window == SN_WINDOW_ONES ? 1 : (float)(o->window == SN_WINDOW_HANN ? 0.5 - 0.5 * c : 0.54 - 0.46 * c);
	}
}

/* Triangles between neighbouring centres, which lie evenly on the mel scale. */
static void make_filters(sn_spectrum *s) {
	const sn_spectrum_options *const o = &s->options;
	const double low = mel_of(o, o->low), step = (mel_of(o, o->high) - low) / (o->mels + 1);
	for (int i = 0; i < o->mels; i++) {
		const double left = hz_of(o, low + step * i), middle = hz_of(o, low + step * (i + 1));
		const double right = o->filter_symmetric ? 2 * middle - left : hz_of(o, low + step * (i + 2));
		const double height = o->area ? 2 / (right - left) : 1;
		for (int k = 0; k < s->bins; k++) {
			const double hz = (double)k * o->sample_rate / o->fft;
			const double weight = fmin((hz - left) / (middle - left), (right - hz) / (right - middle));
			s->filters[(size_t)i * (size_t)s->bins + (size_t)k] = weight > 0 ? (float)(weight * height) : 0;
		}
	}
}

static void find_edges(sn_spectrum *s) {
	for (int i = 0; i < s->options.mels; i++) {
		const float *const filter = s->filters + (size_t)i * (size_t)s->bins;
		int first = 0, last = s->bins;
		while (first < last && filter[first] == 0) first++;
		while (last > first && filter[last - 1] == 0) last--;
		s->first[i] = first;
		s->last[i] = last;
	}
}

static int check(const sn_spectrum_options *o, char *err) {
	if (o->sample_rate < 1 || o->hop < 1 || o->fft < 2 || o->fft > SN_SPECTRUM_MAX_FFT || o->fft % 2)
		return sn_fail(err, SN_E_ARGUMENT, "a transform of %d samples every %d at %d Hz; an even number of 2 to %d samples is right", o->fft, o->hop,
		               o->sample_rate, SN_SPECTRUM_MAX_FFT);
	if (o->window_size < 0 || o->window_size > o->fft)
		return sn_fail(err, SN_E_ARGUMENT, "a window of %d samples; 1 to %d fit the transform", o->window_size, o->fft);
	if (o->mels < 0 || o->mels > SN_SPECTRUM_MAX_MELS || (o->power != 1 && o->power != 2))
		return sn_fail(err, SN_E_ARGUMENT, "%d mel bands of spectra to the power of %d; up to %d, and 1 or 2, are right", o->mels, o->power,
		               SN_SPECTRUM_MAX_MELS);
	const double high = o->high > 0 ? (double)o->high : o->sample_rate / 2.0;
	if (o->mels && !(o->low >= 0 && (double)o->low < high && isfinite(high)))
		return sn_fail(err, SN_E_ARGUMENT, "mel bands from %g to %g Hz; they must rise", (double)o->low, high);
	if (!isfinite(o->preemphasis) || !isfinite(o->floor) || !isfinite(o->offset) || !isfinite(o->gain))
		return sn_fail(err, SN_E_ARGUMENT, "a setting of the spectrum is not a number");
	return SN_OK;
}

int sn_spectrum_open(sn_spectrum **out, const sn_spectrum_options *options, char *err) {
	*out = NULL;
	const int code = check(options, err);
	if (code != SN_OK) return code;
	sn_spectrum *s = calloc(1, sizeof *s);
	if (!s) return sn_fail(err, SN_E_MEMORY, "no memory for a spectrum's tables");
	s->options = *options;
	s->options.filters = NULL;
	if (!s->options.window_size) s->options.window_size = options->fft;
	if (!(s->options.high > 0)) s->options.high = (float)options->sample_rate / 2;
	if (s->options.gain == 0) s->options.gain = 1;
	s->bins = options->fft / 2 + 1;
	s->columns = options->mels ? options->mels : s->bins;
	const size_t mels = (size_t)options->mels, size = mels * (size_t)s->bins;
	s->window = calloc((size_t)options->fft, sizeof *s->window);
	s->filters = calloc(size + 1, sizeof *s->filters);
	s->first = calloc(mels + 1, sizeof *s->first);
	s->last = calloc(mels + 1, sizeof *s->last);
	if (!s->window || !s->filters || !s->first || !s->last) {
		sn_spectrum_close(&s);
		return sn_fail(err, SN_E_MEMORY, "no memory for a spectrum's tables");
	}
	make_window(s);
	if (options->filters) memcpy(s->filters, options->filters, size * sizeof *s->filters);
	else make_filters(s);
	find_edges(s);
	*out = s;
	return SN_OK;
}

void sn_spectrum_close(sn_spectrum **spectrum) {
	sn_spectrum *const s = *spectrum;
	*spectrum = NULL;
	if (!s) return;
	free(s->window);
	free(s->filters);
	free(s->first);
	free(s->last);
	free(s);
}

/* ---- frames ---- */

int sn_spectrum_columns(const sn_spectrum *spectrum) { return spectrum->columns; }

int64_t sn_spectrum_frames(const sn_spectrum *spectrum, int64_t count) {
	const sn_spectrum_options *const o = &spectrum->options;
	if (o->pad == SN_SPECTRUM_PAD_NONE) return count < o->fft ? 0 : 1 + (count - o->fft) / o->hop;
	if (count < 1 || (o->pad == SN_SPECTRUM_PAD_REFLECT && count <= o->fft / 2)) return 0;
	return 1 + count / o->hop;
}

static float emphasised(const sn_spectrum_options *o, const float *x, int64_t count, int64_t i) {
	if (o->preemphasis == 0) return x[i];
	const float before = i > 0 ? x[i - 1] : o->preemphasis_reflect && count > 1 ? x[1] : 0;
	return x[i] - o->preemphasis * before;
}

/* The windowed samples of the frame that begins at `start`. */
static void cut(const sn_spectrum *s, const float *x, int64_t count, int64_t start, float *frame) {
	const sn_spectrum_options *const o = &s->options;
	for (int i = 0; i < o->fft; i++) {
		int64_t at = start + i;
		if (o->pad == SN_SPECTRUM_PAD_REFLECT) at = at < 0 ? -at : at >= count ? 2 * (count - 1) - at : at;
		frame[i] = at < 0 || at >= count || s->window[i] == 0 ? 0 : emphasised(o, x, count, at) * s->window[i];
	}
}

static float finish(const sn_spectrum_options *o, double value) {
	if (o->log == SN_SPECTRUM_LINEAR) return (float)value;
	const double x = fmax(value, (double)o->floor) + (double)o->offset;
	return (float)((double)o->gain * (o->log == SN_SPECTRUM_LOG_E ? log(x) : log10(x)));
}

static void write_row(const sn_spectrum *s, const kiss_fft_cpx *spectrum, float *power, float *row) {
	const sn_spectrum_options *const o = &s->options;
	for (int k = 0; k < s->bins; k++) {
		power[k] = spectrum[k].r * spectrum[k].r + spectrum[k].i * spectrum[k].i;
		if (o->power == 1) power[k] = sqrtf(power[k]);
	}
	for (int i = 0; i < s->columns; i++) {
		double sum = o->mels ? 0 : (double)power[i];
		const float *const filter = s->filters + (size_t)i * (size_t)s->bins;
		for (int k = o->mels ? s->first[i] : 0; o->mels && k < s->last[i]; k++) sum += (double)filter[k] * (double)power[k];
		row[i] = finish(o, sum);
	}
}

int sn_spectrum_run(const sn_spectrum *spectrum, const float *samples, int64_t count, float *out, char *err) {
	const sn_spectrum_options *const o = &spectrum->options;
	if (count > SN_SPECTRUM_MAX_SAMPLES)
		return sn_fail(err, SN_E_LIMIT, "a clip of %lld samples; at most %lld are taken", (long long)count, (long long)SN_SPECTRUM_MAX_SAMPLES);
	const int64_t frames = sn_spectrum_frames(spectrum, count);
	if (frames < 1)
		return sn_fail(err, SN_E_ARGUMENT, "a clip of %lld samples is too short for spectra of %d", (long long)count, o->fft);
	const size_t bins = (size_t)spectrum->bins;
	kiss_fftr_cfg plan = kiss_fftr_alloc(o->fft, 0, NULL, NULL); /* holds scratch memory, so it belongs to one run */
	float *const frame = malloc(((size_t)o->fft + bins) * sizeof *frame);
	kiss_fft_cpx *const spectra = malloc(bins * sizeof *spectra);
	const int ready = plan && frame && spectra;
	for (int64_t t = 0; ready && t < frames; t++) {
		cut(spectrum, samples, count, t * o->hop - (o->pad == SN_SPECTRUM_PAD_NONE ? 0 : o->fft / 2), frame);
		kiss_fftr(plan, frame, spectra);
		write_row(spectrum, spectra, frame + o->fft, out + t * spectrum->columns);
	}
	kiss_fftr_free(plan);
	free(frame);
	free(spectra);
	return ready ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for spectra of %d samples", o->fft);
}
