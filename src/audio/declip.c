#include "audio/declip.h"

#include <math.h>
#include <string.h>

#define WIDTH (2.0f / SN_CLIP_BINS)
#define LEAST_LEVEL 0.05f   /* quieter sounds are not looked at */
#define ALIKE 1e-4f         /* three units of 16 bits */
#define LEAST_PILE 16       /* flat samples in the two highest bins */
#define PILE_RATIO 10       /* and how many times more than samples in two bins below; a sine has 3 */

void sn_clip_find(sn_clip_finder *finder, const float *samples, size_t count) {
	for (size_t i = 0; i < count; i++) {
		const float magnitude = fabsf(samples[i]);
		const int bin = magnitude < 2 ? (int)(magnitude / WIDTH) : SN_CLIP_BINS - 1;
		finder->counts[samples[i] > 0][bin]++;
		if (fabsf(samples[i] - finder->last[0]) < ALIKE && fabsf(samples[i] - finder->last[1]) < ALIKE)
			finder->flat[samples[i] > 0][bin]++;
		finder->last[0] = finder->last[1];
		finder->last[1] = samples[i];
	}
}

void sn_clip_levels(const sn_clip_finder *finder, float levels[2]) {
	for (int side = 0; side < 2; side++) {
		const int64_t *const n = finder->counts[side], *const flat = finder->flat[side];
		int top = SN_CLIP_BINS - 1;
		levels[side] = INFINITY;
		while (top > 9 && !n[top])
			top--;
		if ((float)top * WIDTH < LEAST_LEVEL || top == SN_CLIP_BINS - 1)
			continue;
		int64_t below = 0;
		for (int i = top - 9; i < top - 1; i++)
			below += n[i];
		const int64_t pile = flat[top] + flat[top - 1];
		if (pile >= LEAST_PILE && pile * 4 >= PILE_RATIO * below)
			levels[side] = (float)(top - 1) * WIDTH;
	}
}

void sn_declip_init(sn_declipper *d, const float levels[2], int rate) {
	*d = (sn_declipper){ .levels = { levels[0], levels[1] } };
	d->longest = (size_t)(rate / 250 < 2 ? 2 : rate / 250 > SN_DECLIP_MAX_RUN ? SN_DECLIP_MAX_RUN : rate / 250);
}

static int is_clipped(const sn_declipper *d, float x) { return fabsf(x) >= d->levels[x > 0]; }

/* A cubic from the last sample before the run to the first one behind it, with the slopes that the sound has there; never below what
 * was recorded, since that is where it was cut off. `next` follows `d->after`. */
static void repair(sn_declipper *d, float next) {
	const float a = d->before[1], b = d->after, length = (float)(d->run_count + 1);
	const float slope_a = (a - d->before[0]) * length, slope_b = (next - b) * length;
	for (size_t i = 0; i < d->run_count; i++) {
		const float t = (float)(i + 1) / length, u = 1 - t;
		const float y = a * u * u * (1 + 2 * t) + slope_a * t * u * u + b * t * t * (1 + 2 * u) - slope_b * t * t * u;
		const float most = 2 * fabsf(d->run[i]);
		d->run[i] = d->run[i] > 0 ? fminf(fmaxf(y, d->run[i]), most) : fmaxf(fminf(y, d->run[i]), -most);
	}
	d->repaired += (int64_t)d->run_count;
}

static float *emit(sn_declipper *d, float x, float *out) {
	d->before[0] = d->before[1];
	d->before[1] = x;
	*out = x;
	return out + 1;
}

/* Gives the run and what is behind it. next: the second good sample behind the run, or NULL where there is none. */
static float *end_run(sn_declipper *d, const float *next, float *out) {
	if (d->run_count > 1) {
		d->clipped += (int64_t)d->run_count;
		if (d->after_count)
			repair(d, next ? *next : d->after);
	}
	for (size_t i = 0; i < d->run_count; i++)
		out = emit(d, d->run[i], out);
	if (d->after_count)
		out = emit(d, d->after, out);
	d->run_count = d->after_count = 0;
	return out;
}

size_t sn_declip(sn_declipper *d, const float *in, size_t count, float *out) {
	float *at = out;
	for (size_t i = 0; in && i < count; i++) {
		const float x = in[i];
		const int clipped = is_clipped(d, x);
		if (d->after_count) {
			at = end_run(d, clipped ? NULL : &x, at);
		} else if (d->run_count && !clipped) {
			d->after = x;
			d->after_count = 1;
			continue;
		} else if (clipped && d->run_count == d->longest) {
			at = end_run(d, NULL, at); /* longer than can be guessed: it is left as it is */
			d->overlong = 1;
		}
		d->overlong &= clipped;
		if (!clipped || d->overlong)
			at = emit(d, x, at);
		else
			d->run[d->run_count++] = x;
		d->clipped += d->overlong;
	}
	if (!in)
		at = end_run(d, NULL, at);
	return (size_t)(at - out);
}
