/* Sample rate conversion (libsoxr, high quality) of float32. */
#ifndef SN_AUDIO_RESAMPLE_H
#define SN_AUDIO_RESAMPLE_H

#include "base/error.h"

#include <stdint.h>

#define SN_AUDIO_MIN_RATE 1000
#define SN_AUDIO_MAX_RATE 768000

typedef struct sn_resampler sn_resampler;

/* Errors: SN_E_ARGUMENT for a rate outside SN_AUDIO_MIN_RATE..SN_AUDIO_MAX_RATE. */
int sn_resampler_open(sn_resampler **out, int in_rate, int out_rate, int channels, char *err);
void sn_resampler_close(sn_resampler **resampler);

/* Takes up to in_count frames of interleaved samples and gives up to out_count; *used and *got say how many. in NULL: no more input; call until *got is 0,
 * and sn_resampled_count() frames have come. */
int sn_resampler_process(sn_resampler *resampler, const float *in, size_t in_count, size_t *used, float *out, size_t out_count, size_t *got,
                         char *err);

/* Frames that in_count frames become: ceil(in_count * out_rate / in_rate). */
int64_t sn_resampled_count(int64_t in_count, int in_rate, int out_rate);

/* All of one channel at once. *out (free() it) holds *out_count samples, which is sn_resampled_count(). */
int sn_resample(const float *in, size_t in_count, int in_rate, int out_rate, float **out, size_t *out_count, char *err);

#endif
