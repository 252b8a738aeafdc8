/* What a block of samples is like: for checks before inference and of what inference gave. */
#ifndef SN_AUDIO_VALIDATE_H
#define SN_AUDIO_VALIDATE_H

#include "base/error.h"

#include <stdint.h>

#define SN_AUDIO_MAX_SAMPLE 1e10f /* larger magnitudes count as invalid: their power would leave float32 */
#define SN_AUDIO_CLIP 0.999f      /* samples from here on count as clipped */

typedef struct sn_audio_level {
	int64_t samples, clipped, invalid;
	int64_t first_invalid; /* -1: none. NaN, infinite or beyond SN_AUDIO_MAX_SAMPLE */
	double square_sum;     /* over the valid ones */
	float peak;            /* largest magnitude of the valid ones */
} sn_audio_level;

/* Adds a block to `level`, which starts zeroed (with first_invalid -1: SN_AUDIO_LEVEL_INIT). Blocks add up to the same as one call. */
#define SN_AUDIO_LEVEL_INIT { .first_invalid = -1 }
void sn_audio_measure(sn_audio_level *level, const float *samples, size_t count);

float sn_audio_rms(const sn_audio_level *level);

/* Index of the first invalid sample, or count. */
size_t sn_audio_find_invalid(const float *samples, size_t count);

#endif
