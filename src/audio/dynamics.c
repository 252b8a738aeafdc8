#include "audio/dynamics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

/* ---- high-pass ---- */

void sn_highpass_init(sn_highpass *f, double hertz, int rate) {
	const double w = 2 * PI * fmin(hertz, rate * 0.45) / rate, alpha = sin(w) / sqrt(2), a0 = 1 + alpha;
	*f = (sn_highpass){ .b0 = (1 + cos(w)) / 2 / a0, .a1 = -2 * cos(w) / a0, .a2 = (1 - alpha) / a0 };
	f->b1 = -2 * f->b0;
	f->b2 = f->b0;
}

void sn_highpass_run(sn_highpass *f, float *samples, size_t count) {
	for (size_t i = 0; i < count; i++) {
		const double x = samples[i], y = f->b0 * x + f->b1 * f->x1 + f->b2 * f->x2 - f->a1 * f->y1 - f->a2 * f->y2;
		f->x2 = f->x1;
		f->x1 = x;
		f->y2 = f->y1;
		f->y1 = fabs(y) > 1e-20 ? y : 0; /* no denormals in a long silence */
		samples[i] = (float)y;
	}
}

/* ---- compressor ---- */

#define KNEE 6.0
#define SLOPE 0.5 /* 1 - 1 / ratio */

static double keep(double seconds, int rate) { return exp(-1 / (seconds * rate)); }

void sn_compressor_init(sn_compressor *c, double threshold, int rate) {
	*c = (sn_compressor){ .threshold = threshold, .follow = keep(0.02, rate), .attack = keep(0.01, rate), .release = keep(0.25, rate) };
}

/* Decibels by which a level is to be lowered: nothing below the knee, SLOPE of what is above it, a parabola between. */
static double wanted_reduction(double above) {
	if (above <= -KNEE / 2)
		return 0;
	return above >= KNEE / 2 ? SLOPE * above : SLOPE * (above + KNEE / 2) * (above + KNEE / 2) / (2 * KNEE);
}

void sn_compressor_run(sn_compressor *c, float *samples, size_t count) {
	for (size_t i = 0; i < count; i++) {
		c->power = c->power * c->follow + (double)samples[i] * samples[i] * (1 - c->follow);
		const double wanted = wanted_reduction(10 * log10(c->power + 1e-12) - c->threshold);
		const double held = wanted > c->reduction ? c->attack : c->release;
		c->reduction = c->reduction * held + wanted * (1 - held);
		samples[i] *= (float)pow(10, -c->reduction / 20);
		c->most = fmax(c->most, c->reduction);
		c->sum += c->reduction;
	}
	c->samples += (int64_t)count;
}

/* ---- limiter ----
 *
 * For sample n: r[n] = ceiling / (largest magnitude at and right behind it), at most 1; m[n] = least of r[n - 1 .. n + ahead], rising
 * by a share of what is missing to 1 each sample; gain[n] = mean of m[n - ahead + 1 .. n]. Each of the averaged values has r[n] in its
 * window, so gain[n] <= r[n]; and a mean has no steps. */

#define REACH 12        /* samples on either side that a value between two samples is made of */
#define LEAST_AHEAD 160 /* samples: a gain that moves fast at a low rate would make new peaks between samples */
#define MOST_PHASES 4
#define SAFETY 0.97      /* the meter interpolates a little otherwise, and the gain moves between samples: 0.26 dB */

struct sn_limiter {
	double ceiling, release;
	int phases, ahead, ring;     /* ring: length of the rings, a power of two */
	float filter[MOST_PHASES][2 * REACH];
	float line[2 * REACH];       /* the last samples taken, oldest first */
	float *samples, *wanted;     /* rings by sample number */
	double *least;               /* ring of m */
	int64_t *falling;            /* ring: numbers whose `wanted` is below that of all behind it in the window */
	int64_t head, tail;          /* of falling */
	int64_t taken, known, given, end; /* samples taken; with r; with a gain; in all once the end is known, else -1 */
	double sum, last;            /* of the mean; m before */
	double most;
	int64_t lowered;
};

/* Windowed sinc for the values a half or a quarter sample further each, between line[REACH - 1] and line[REACH]. */
static void fill_filter(sn_limiter *l) {
	for (int phase = 0; phase < l->phases; phase++)
		for (int i = 0; i < 2 * REACH; i++) {
			const double x = i - (REACH - 1) - (double)phase / l->phases, w = cos(PI * x / (2 * REACH));
			l->filter[phase][i] = (float)(x == 0 ? 1 : sin(PI * x) / (PI * x) * w * w);
		}
}

int sn_limiter_open(sn_limiter **out, double ceiling, int rate, char *err) {
	sn_limiter *l = *out = calloc(1, sizeof *l);
	if (l) {
		l->ceiling = pow(10, ceiling / 20) * SAFETY;
		l->release = keep(0.1, rate);
		l->phases = rate < 96000 ? 4 : rate < 192000 ? 2 : 1;
		l->ahead = rate / 200 > LEAST_AHEAD ? rate / 200 : LEAST_AHEAD;
		for (l->ring = 64; l->ring < 2 * (l->ahead + 2 * REACH);)
			l->ring *= 2;
		l->end = -1;
		l->last = 1;
		l->sum = l->ahead;
		l->known = -1;        /* what lies between the silence before and the first sample counts, too */
		l->given = -l->ahead; /* as if silence came before, so that the gain has fallen where the first sample needs it */
		l->samples = calloc((size_t)l->ring, sizeof *l->samples);
		l->wanted = calloc((size_t)l->ring, sizeof *l->wanted);
		l->least = calloc((size_t)l->ring, sizeof *l->least);
		l->falling = calloc((size_t)l->ring, sizeof *l->falling);
		fill_filter(l);
	}
	if (l && l->samples && l->wanted && l->least && l->falling) {
		for (int i = 0; i < l->ring; i++)
			l->least[i] = 1;
		return SN_OK;
	}
	sn_limiter_close(out);
	return sn_fail(err, SN_E_MEMORY, "no memory for a limiter");
}

void sn_limiter_close(sn_limiter **limiter) {
	sn_limiter *l = *limiter;
	*limiter = NULL;
	if (!l)
		return;
	free(l->samples);
	free(l->wanted);
	free(l->least);
	free(l->falling);
	free(l);
}

static size_t slot(const sn_limiter *l, int64_t n) { return (size_t)n & (size_t)(l->ring - 1); }

/* Takes a sample; `known` follows REACH behind: r of the sample in the middle of the line, from the values up to the next one. */
static void take(sn_limiter *l, float x) {
	memmove(l->line, l->line + 1, sizeof l->line - sizeof *l->line);
	l->line[2 * REACH - 1] = x;
	l->samples[slot(l, l->taken++)] = x;
	if (l->taken < REACH)
		return;
	float peak = 0;
	for (int phase = 0; phase < l->phases; phase++) {
		float sum = 0;
		for (int i = 0; i < 2 * REACH; i++)
			sum += l->filter[phase][i] * l->line[i];
		peak = fmaxf(peak, fabsf(sum));
	}
	const int64_t n = l->known++;
	l->wanted[slot(l, n)] = peak > (float)l->ceiling ? (float)l->ceiling / peak : 1;
	while (l->tail > l->head && l->wanted[slot(l, l->falling[slot(l, l->tail - 1)])] >= l->wanted[slot(l, n)])
		l->tail--;
	l->falling[slot(l, l->tail++)] = n;
}

static float give(sn_limiter *l) {
	const int64_t n = l->given++;
	while (l->falling[slot(l, l->head)] < n - 1)
		l->head++;
	const double least = l->wanted[slot(l, l->falling[slot(l, l->head)])];
	l->last = fmin(least, l->last + (1 - l->last) * (1 - l->release));
	l->sum += l->last - l->least[slot(l, n - l->ahead)];
	l->least[slot(l, n)] = l->last;
	const double gain = fmin(l->sum / l->ahead, 1);
	l->most = fmax(l->most, -20 * log10(gain));
	l->lowered += gain < 0.98855;
	return (float)(l->samples[slot(l, n)] * gain);
}

size_t sn_limiter_run(sn_limiter *l, const float *in, size_t count, float *out) {
	size_t got = 0;
	if (!in && l->end < 0)
		l->end = l->taken;
	for (size_t i = 0; in ? i < count : got < count && l->given < l->end; i++) {
		take(l, in ? in[i] : 0);
		if (l->known <= l->given + l->ahead)
			continue;
		const float y = give(l);
		if (l->given > 0)
			out[got++] = y;
	}
	return got;
}

double sn_limiter_most(const sn_limiter *l) { return l->most; }
double sn_limiter_share(const sn_limiter *l) { return l->given > 0 ? (double)l->lowered / (double)l->given : 0; }
