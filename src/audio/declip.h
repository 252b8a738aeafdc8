/* Clipped peaks: found by the pile of samples at the largest magnitude, repaired where they are short. Two passes: the first one looks
 * at all samples to learn at which level they were cut off, the second one repairs. */
#ifndef SN_AUDIO_DECLIP_H
#define SN_AUDIO_DECLIP_H

#include <stddef.h>
#include <stdint.h>

#define SN_CLIP_BINS 8192        /* of the magnitudes 0 to 2 */
#define SN_DECLIP_MAX_RUN 1024   /* samples */

/* How often each magnitude occurs, below and above zero, and how often it ends three samples that are alike. Starts zeroed. */
typedef struct sn_clip_finder {
	int64_t counts[2][SN_CLIP_BINS], flat[2][SN_CLIP_BINS];
	float last[2];
} sn_clip_finder;

void sn_clip_find(sn_clip_finder *finder, const float *samples, size_t count);
/* The magnitudes from which on a sample below (0) or above (1) zero was cut off; infinite where none was. A sound that was clipped is
 * flat at its largest magnitude, many times more often than it comes near it; no sine is. What was clipped, then filtered or compressed
 * has no such pile and is not found. */
void sn_clip_levels(const sn_clip_finder *finder, float levels[2]);

typedef struct sn_declipper {
	float levels[2];
	size_t longest;              /* run that is repaired, samples */
	float before[2];             /* the last two samples that were given out */
	float run[SN_DECLIP_MAX_RUN], after; /* clipped samples; one good sample behind them */
	size_t run_count, after_count;
	int overlong;                /* inside a run that is left as it is */
	int64_t clipped, repaired;   /* samples so far, in runs of two or more */
} sn_declipper;

/* Runs of up to 4 ms are repaired. */
void sn_declip_init(sn_declipper *declipper, const float levels[2], int rate);
/* Repairs samples; gives up to count + SN_DECLIP_MAX_RUN + 1 of them to out, all together as many as were taken. in NULL: the rest. */
size_t sn_declip(sn_declipper *declipper, const float *in, size_t count, float *out);

#endif
