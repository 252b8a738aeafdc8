/* Whisper's log-mel features, and nothing but what the reference computes:
 *   STFT of 400 samples every 160, centred, periodic Hann, reflected at the clip's beginning, zeros past its end, last frame
 *   dropped; power; slaney filters; log10 of at least 1e-10; floored at max - 8; (x + 4) / 4.
 * A frame is [mels] floats and frames follow each other: [frames, mels].
 *
 * The reference takes `max` over everything it was given. Here the caller says which maximum counts, so that long audio needs one
 * window of samples and no second pass: sn_mel_window takes it over its own window, as in the 30 s pieces that the models were
 * trained on. Over one window of audio this is the reference to the digit; in longer audio a quiet window keeps detail that the
 * loudest moment of the whole file would have floored. A caller who wants the whole file's maximum folds the values that sn_mel_block
 * returns and hands them to sn_mel_normalise. */
#ifndef SN_AUDIO_MEL_H
#define SN_AUDIO_MEL_H

#include "base/error.h"

#include <stdint.h>

#define SN_MEL_RATE 16000
#define SN_MEL_FFT 400
#define SN_MEL_HOP 160
#define SN_MEL_BINS 201
#define SN_MEL_CONTEXT 200 /* samples that the first frame of a window reads before the window, and the last one after it */
#define SN_MEL_GROUP 8    /* frames computed side by side: blocks of a multiple of it waste nothing */
#define SN_MEL_MAX 128

typedef struct sn_mel sn_mel;

/* mels: 1 to SN_MEL_MAX (Whisper uses 80 and 128). Immutable after it was opened: any thread may use it. */
int sn_mel_open(sn_mel **out, int mels, char *err);
void sn_mel_close(sn_mel **mel);

/* The slaney-normalised triangles, [mels, SN_MEL_BINS]. */
const float *sn_mel_filters(const sn_mel *mel);

/* What a window is cut from: samples[origin] is the middle of the window's frame 0. Samples before samples[0] are the mirror image of
 * those behind it, samples from `count` on are zero. A clip's beginning has origin 0; further in, at least SN_MEL_CONTEXT samples
 * before origin should be there, and SN_MEL_CONTEXT after the window's end. */
typedef struct sn_mel_view {
	const float *samples;
	int64_t count, origin;
} sn_mel_view;

/* Frames [first, first + frames) as log10, not yet normalised: out [frames, mels]. Returns their largest value. Blocks of one window may
 * run on different threads; how a window is split changes no bit of it. */
float sn_mel_block(const sn_mel *mel, const sn_mel_view *view, int64_t first, int64_t frames, float *out);

/* x = (max(x, max - 8) + 4) / 4 */
void sn_mel_normalise(float *x, int64_t values, float max);

/* Both steps for frames [0, frames) with the maximum over them. */
void sn_mel_window(const sn_mel *mel, const sn_mel_view *view, int64_t frames, float *out);

#endif
