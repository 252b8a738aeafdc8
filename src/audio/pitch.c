#include "audio/pitch.h"

#include <string.h>

#define RATE (SN_PITCH_RATE / 2)
#define HOP (SN_PITCH_HOP / 2)
#define MIN_LAG (RATE / SN_PITCH_HIGH)
#define CLEAR 0.15f   /* normalised difference below which a lag is a period */
#define LEAST 1e-6f   /* mean power of a window that is heard: -60 dBFS */

void sn_pitch_init(sn_pitch *pitch) { memset(pitch, 0, sizeof *pitch); }

/* The period of the window: the first dip of the cumulative mean normalised difference below CLEAR, refined by a parabola. 0: none. */
static float period(const float *x) {
	float d[SN_PITCH_MAX_LAG + 2], power = 0, sum = 0;
	for (int i = 0; i < SN_PITCH_WINDOW; i++)
		power += x[i] * x[i];
	if (power < LEAST * SN_PITCH_WINDOW)
		return 0;
	d[0] = 1;
	for (int lag = 1; lag <= SN_PITCH_MAX_LAG; lag++) {
		float difference = 0;
		for (int i = 0; i < SN_PITCH_WINDOW; i++)
			difference += (x[i] - x[i + lag]) * (x[i] - x[i + lag]);
		sum += difference;
		d[lag] = sum > 0 ? difference * (float)lag / sum : 1;
	}
	for (int lag = MIN_LAG; lag < SN_PITCH_MAX_LAG; lag++) {
		if (d[lag] >= CLEAR)
			continue;
		while (lag + 1 < SN_PITCH_MAX_LAG && d[lag + 1] < d[lag])
			lag++;
		const float a = d[lag - 1], b = d[lag], c = d[lag + 1], curve = a - 2 * b + c;
		return (float)lag + (curve > 0 ? 0.5f * (a - c) / curve : 0);
	}
	return 0;
}

int sn_pitch_push(sn_pitch *p, const float *samples, size_t count, float *values) {
	int made = 0;
	for (size_t i = 0; i < count; i++) {
		if (p->odd)
			p->halved[p->count++] = 0.25f * p->last[0] + 0.5f * p->last[1] + 0.25f * samples[i];
		p->odd = !p->odd;
		p->last[0] = p->last[1];
		p->last[1] = samples[i];
		if (p->count < SN_PITCH_SPAN)
			continue;
		const float lag = period(p->halved);
		values[made++] = lag > 0 ? (float)RATE / lag : 0;
		p->count -= HOP;
		memmove(p->halved, p->halved + HOP, (size_t)p->count * sizeof *p->halved);
	}
	return made;
}
