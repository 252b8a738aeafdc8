/* What shapes the level of a timeline of one channel, in pieces of any size: a high-pass, a gentle compressor, a true-peak limiter. */
#ifndef SN_AUDIO_DYNAMICS_H
#define SN_AUDIO_DYNAMICS_H

#include "base/error.h"

#include <stdint.h>

/* Butterworth of second order: takes off rumble and a constant offset. */
typedef struct sn_highpass {
	double b0, b1, b2, a1, a2, x1, x2, y1, y2;
} sn_highpass;

void sn_highpass_init(sn_highpass *filter, double hertz, int rate);
void sn_highpass_run(sn_highpass *filter, float *samples, size_t count);

/* 2:1 above the threshold with a knee of 6 dB; follows the power of 20 ms, attacks in 10 ms, releases in 250 ms. */
typedef struct sn_compressor {
	double threshold;            /* dBFS, of power */
	double follow, attack, release; /* shares of the old value that are kept each sample */
	double power, reduction;     /* dB of the latter */
	double most, sum;            /* largest and summed reduction, dB */
	int64_t samples;
} sn_compressor;

void sn_compressor_init(sn_compressor *compressor, double threshold, int rate);
void sn_compressor_run(sn_compressor *compressor, float *samples, size_t count);

/* Keeps the peaks, also those between the samples (four times oversampled as ITU-R BS.1770 measures them, twice from 96 kHz on), below
 * a ceiling: looks ahead 5 ms (at low rates 160 samples), so that the gain falls before the peak and without a step; it returns in
 * 100 ms. */
typedef struct sn_limiter sn_limiter;

/* ceiling: dBTP, at most 0. Errors: SN_E_MEMORY. */
int sn_limiter_open(sn_limiter **out, double ceiling, int rate, char *err);
void sn_limiter_close(sn_limiter **limiter);
/* Gives up to `count` samples, all together as many as were taken; in NULL: the rest, count at a time, 0 when all are out. */
size_t sn_limiter_run(sn_limiter *limiter, const float *in, size_t count, float *out);
double sn_limiter_most(const sn_limiter *limiter); /* dB by which it lowered anything */
double sn_limiter_share(const sn_limiter *limiter); /* 0..1: of the samples that it lowered by 0.1 dB or more */

#endif
