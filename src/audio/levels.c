#include "audio/levels.h"

#include "audio/resample.h"

#include <ebur128.h>
#include <kiss_fftr.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_RATE 50            /* frames a second whose levels are counted */
#define STEP 0.5                 /* dB of a bin of that count */
#define BINS 240                 /* from SN_LEVELS_FLOOR to +20 dB */
#define MIN_FFT 64
#define FULL_SCALE 0.98f         /* flat runs from here on are clipping */
#define FLAT 2e-5f               /* difference of neighbours in one: less than a step of 16 bits */
#define FLAT_RUN 3
#define SILENT (-60.0)           /* dBFS of a frame without sound */
#define BESIDE_FLOOR 3.0         /* dB above the floor that are level with it, */
#define FAR_BELOW 20.0           /* where it is that far below the loud parts */
#define REGIONS 128              /* of equal width, for the bandwidth */
#define RUMBLE 300.0             /* Hz below which nothing counts for it */
#define FAINT 65.0               /* dB below the strongest region: no energy */
#define CLIFF 20.0               /* dB of a step between neighbours that no voice has, */
#define CLIFF_REST 18.0          /* with nothing above it coming closer than this */

struct sn_levels {
	int rate, frame, fft;
	int64_t samples;
	double sum, square_sum;
	float peak, last;
	int64_t crossings;
	int64_t run, clipped, clipped_runs; /* run: of flat samples so far */
	/* frames */
	double frame_sum;
	int frame_count;
	int64_t frames, counts[BINS];       /* bin 0 holds what is lower, too */
	/* spectrum */
	kiss_fftr_cfg plan;
	float *window, *held, *windowed;    /* [fft] each; held: samples of the next transform */
	kiss_fft_cpx *bins;
	double *power;                      /* [fft / 2 + 1], summed */
	int held_count;
	int64_t transforms;
	ebur128_state *loudness;
};

double sn_decibels(double power) { return power > 1e-10 ? fmax(10 * log10(power), SN_LEVELS_FLOOR) : SN_LEVELS_FLOOR; }
double sn_levels_band(int index) { return 31.25 * (double)(1 << index); }

int sn_levels_open(sn_levels **out, int rate, char *err) {
	*out = NULL;
	if (rate < SN_AUDIO_MIN_RATE || rate > SN_AUDIO_MAX_RATE)
		return sn_fail(err, SN_E_ARGUMENT, "a sample rate of %d Hz is not possible; %d to %d Hz are", rate, SN_AUDIO_MIN_RATE,
			SN_AUDIO_MAX_RATE);
	sn_levels *l = calloc(1, sizeof *l);
	if (!l)
		return sn_fail(err, SN_E_MEMORY, "no memory to measure audio");
	l->rate = rate;
	l->frame = rate / FRAME_RATE;
	for (l->fft = MIN_FFT; l->fft * 25 < rate; l->fft *= 2) /* at least 40 ms */
		;
	l->plan = kiss_fftr_alloc(l->fft, 0, NULL, NULL);
	l->window = malloc((size_t)l->fft * sizeof *l->window);
	l->held = malloc((size_t)l->fft * sizeof *l->held);
	l->windowed = malloc((size_t)l->fft * sizeof *l->windowed);
	l->bins = malloc((size_t)(l->fft / 2 + 1) * sizeof *l->bins);
	l->power = calloc((size_t)(l->fft / 2 + 1), sizeof *l->power);
	l->loudness = ebur128_init(1, (unsigned long)rate, EBUR128_MODE_I | EBUR128_MODE_LRA | EBUR128_MODE_TRUE_PEAK | EBUR128_MODE_HISTOGRAM);
	if (!l->plan || !l->window || !l->held || !l->windowed || !l->bins || !l->power || !l->loudness) {
		sn_levels_close(&l);
		return sn_fail(err, SN_E_MEMORY, "no memory to measure audio of %d Hz", rate);
	}
	for (int i = 0; i < l->fft; i++)
		l->window[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * i / l->fft));
	*out = l;
	return SN_OK;
}

void sn_levels_close(sn_levels **levels) {
	sn_levels *const l = *levels;
	*levels = NULL;
	if (!l)
		return;
	free(l->plan);
	free(l->window);
	free(l->held);
	free(l->windowed);
	free(l->bins);
	free(l->power);
	if (l->loudness)
		ebur128_destroy(&l->loudness);
	free(l);
}

static void end_run(sn_levels *l) {
	if (l->run >= FLAT_RUN) {
		l->clipped += l->run;
		l->clipped_runs++;
	}
	l->run = 0;
}

static void end_frame(sn_levels *l) {
	const int bin = (int)((sn_decibels(l->frame_sum / l->frame_count) - SN_LEVELS_FLOOR) / STEP);
	l->counts[bin < BINS ? bin : BINS - 1]++;
	l->frames++;
	l->frame_sum = l->frame_count = 0;
}

static void transform(sn_levels *l) {
	for (int i = 0; i < l->fft; i++)
		l->windowed[i] = l->held[i] * l->window[i];
	kiss_fftr(l->plan, l->windowed, l->bins);
	for (int k = 0; k <= l->fft / 2; k++)
		l->power[k] += (double)l->bins[k].r * l->bins[k].r + (double)l->bins[k].i * l->bins[k].i;
	l->transforms++;
}

int sn_levels_push(sn_levels *l, const float *samples, size_t count, char *err) {
	for (size_t i = 0; i < count; i++) {
		const float x = samples[i], size = fabsf(x);
		const int flat = size >= FULL_SCALE && fabsf(x - l->last) <= FLAT;
		if (!flat)
			end_run(l);
		l->run = flat ? l->run + 1 : size >= FULL_SCALE;
		l->crossings += (x >= 0) != (l->last >= 0);
		l->last = x;
		l->sum += x;
		l->square_sum += (double)x * x;
		l->peak = size > l->peak ? size : l->peak;
		l->frame_sum += (double)x * x;
		if (++l->frame_count == l->frame)
			end_frame(l);
		l->held[l->held_count++] = x;
		if (l->held_count == l->fft) {
			transform(l);
			l->held_count = l->fft / 2;
			memcpy(l->held, l->held + l->fft / 2, (size_t)(l->fft / 2) * sizeof *l->held);
		}
	}
	l->samples += (int64_t)count;
	return ebur128_add_frames_float(l->loudness, samples, count) == EBUR128_SUCCESS ? SN_OK
		: sn_fail(err, SN_E_MEMORY, "no memory to measure loudness");
}

/* ---- results ---- */

static double bin_level(int bin) { return SN_LEVELS_FLOOR + (bin + 0.5) * STEP; }

/* The mean power of frames whose rank, from the quietest on, is in [from, to) of all that are not digitally silent. */
static double mean_power(const sn_levels *l, double from, double to) {
	const int64_t heard = l->frames - l->counts[0];
	const double first = from * (double)heard, last = to * (double)heard;
	double rank = 0, sum = 0, weight = 0;
	for (int b = 1; b < BINS; b++) {
		const double low = fmax(rank, first), high = fmin(rank + (double)l->counts[b], last);
		rank += (double)l->counts[b];
		if (high <= low)
			continue;
		sum += (high - low) * pow(10, bin_level(b) / 10);
		weight += high - low;
	}
	return weight > 0 ? sum / weight : 0;
}

static void get_frames(const sn_levels *l, sn_level_facts *f) {
	const double quiet = mean_power(l, 0, 0.1), loud = mean_power(l, 0.67, 1);
	f->floor = sn_decibels(quiet);
	f->loud = sn_decibels(loud);
	f->snr = loud <= quiet ? 0 : quiet > 0 ? fmin(fmax(10 * log10(loud / quiet - 1), 0), 100) : 100;
	const double beside = f->loud - f->floor > FAR_BELOW ? f->floor + BESIDE_FLOOR : SN_LEVELS_FLOOR;
	int64_t silent = 0;
	for (int b = 0; b < BINS; b++)
		silent += bin_level(b) < fmax(SILENT, beside) ? l->counts[b] : 0;
	f->silence = l->frames ? (double)silent / (double)l->frames : l->square_sum > 0 ? 0 : 1;
}

/* Up to where there is energy: the last region that is not faint, unless a step before it shows that something cut what lay above
 * (a telephone, a codec, a conversion from a lower rate) and left only traces. */
static double bandwidth(const sn_levels *l) {
	double levels[REGIONS], most = -300;
	const int bins = l->fft / 2, regions = bins < REGIONS ? bins : REGIONS;
	const int rumble = (int)(RUMBLE / l->rate * 2 * regions);
	for (int i = 0; i < regions; i++) {
		double sum = 0;
		for (int k = i * bins / regions; k < (i + 1) * bins / regions; k++)
			sum += l->power[k + 1];
		levels[i] = sum > 0 ? 10 * log10(sum) : -300;
		most = i <= rumble || levels[i] > most ? levels[i] : most;
	}
	int end = regions;
	while (end > 0 && levels[end - 1] < most - FAINT)
		end--;
	double above = -300;
	for (int i = end - 3; i > rumble; i--) {
		above = fmax(above, levels[i + 2]);
		if (levels[i] - levels[i + 2] >= CLIFF && levels[i] - above >= CLIFF_REST)
			end = i + 1;
	}
	return most > -300 ? (double)end / regions * l->rate / 2 : 0;
}

static void get_spectrum(const sn_levels *l, sn_level_facts *f) {
	/* Sum over one side of a Hann-windowed transform to mean power: 2 / (fft * sum of squared weights), which is 3/8 fft. */
	const double scale = l->transforms ? 2 / (0.375 * (double)l->fft * l->fft * (double)l->transforms) : 0;
	const double width = (double)l->rate / l->fft;
	double total = 0, moment = 0, below = 0;
	for (int b = 0; b < SN_LEVELS_BANDS; b++) {
		double sum = 0;
		for (int k = 1; k <= l->fft / 2; k++)
			sum += k * width >= sn_levels_band(b) * M_SQRT1_2 && k * width < sn_levels_band(b) * M_SQRT2 ? l->power[k] : 0;
		f->bands[b] = sn_decibels(sum * scale);
	}
	for (int k = 1; k <= l->fft / 2; k++) {
		total += l->power[k];
		moment += k * width * l->power[k];
	}
	f->centroid = total > 0 ? moment / total : 0;
	for (int k = 1; k <= l->fft / 2 && total > 0 && below < 0.95 * total; k++) {
		below += l->power[k];
		f->rolloff = k * width;
	}
	f->bandwidth = total > 0 ? bandwidth(l) : 0;
}

void sn_levels_get(sn_levels *l, sn_level_facts *f) {
	const double n = (double)l->samples, rms = n > 0 ? l->square_sum / n : 0;
	const int64_t run = l->run >= FLAT_RUN ? l->run : 0;
	double value;
	*f = (sn_level_facts){ .samples = l->samples, .peak = sn_decibels((double)l->peak * l->peak), .rms = sn_decibels(rms),
		.dc = n > 0 ? l->sum / n : 0, .clipped_runs = l->clipped_runs + (run > 0),
		.clipping = n > 0 ? (double)(l->clipped + run) / n : 0, .crossings = n > 0 ? (double)l->crossings / n * l->rate : 0 };
	f->crest = f->peak - f->rms;
	f->true_peak = ebur128_true_peak(l->loudness, 0, &value) == EBUR128_SUCCESS ? fmax(sn_decibels(value * value), f->peak)
		: f->peak;
	f->loudness = ebur128_loudness_global(l->loudness, &value) == EBUR128_SUCCESS ? fmax(value, SN_LEVELS_FLOOR) : SN_LEVELS_FLOOR;
	f->range = ebur128_loudness_range(l->loudness, &value) == EBUR128_SUCCESS ? value : 0;
	if (!l->transforms && l->held_count) { /* shorter than a transform */
		memset(l->held + l->held_count, 0, (size_t)(l->fft - l->held_count) * sizeof *l->held);
		transform(l);
	}
	get_frames(l, f);
	get_spectrum(l, f);
}
