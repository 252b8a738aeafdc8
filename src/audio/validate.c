#include "audio/validate.h"

#include <math.h>

size_t sn_audio_find_invalid(const float *samples, size_t count) {
	for (size_t i = 0; i < count; i++)
		if (!(fabsf(samples[i]) <= SN_AUDIO_MAX_SAMPLE)) /* false for NaN too */
			return i;
	return count;
}

void sn_audio_measure(sn_audio_level *level, const float *samples, size_t count) {
	for (size_t i = 0; i < count; i++) {
		float size = fabsf(samples[i]);
		if (!(size <= SN_AUDIO_MAX_SAMPLE)) {
			if (!level->invalid++)
				level->first_invalid = level->samples + (int64_t)i;
			continue;
		}
		level->clipped += size >= SN_AUDIO_CLIP;
		level->square_sum += (double)size * size;
		level->peak = size > level->peak ? size : level->peak;
	}
	level->samples += (int64_t)count;
}

float sn_audio_rms(const sn_audio_level *level) {
	int64_t valid = level->samples - level->invalid;
	return valid ? (float)sqrt(level->square_sum / (double)valid) : 0;
}
