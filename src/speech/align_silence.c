#include "speech/align_silence.h"

#include <math.h>

void sn_levels_measure(sn_levels *levels, const sn_mel_view *view, int64_t frames) {
	levels->count = frames < SN_ALIGN_MAX_LEVELS ? (int)frames : SN_ALIGN_MAX_LEVELS;
	for (int i = 0; i < levels->count; i++) {
		const int64_t first = view->origin + (int64_t)i * SN_MEL_HOP;
		float sum = 0;
		for (int64_t k = first < 0 ? 0 : first; k < first + SN_MEL_HOP && k < view->count; k++)
			sum += view->samples[k] * view->samples[k];
		const float db = -20 * log10f(sum / SN_MEL_HOP + 1e-13f); /* twice the decibels of power, which are half of these */
		levels->level[i] = db < 0 ? 0 : db > 255 ? 255 : (uint8_t)db;
	}
}

void sn_align_silence(const sn_align_sequence *s, sn_aligned_word *words, int count) {
	(void)s; (void)words; (void)count;
}
