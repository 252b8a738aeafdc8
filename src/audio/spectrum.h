/* Short-time spectra and mel features of whole clips, for encoders of voices: framing, window, Fourier transform (kissfft), magnitude
 * or power, mel filters, logarithm. Whisper's features, which are on the hot path, have code of their own (mel.h). */
#ifndef SN_AUDIO_SPECTRUM_H
#define SN_AUDIO_SPECTRUM_H

#include "base/error.h"

#include <stdint.h>

#define SN_SPECTRUM_MAX_SAMPLES ((int64_t)1 << 26) /* of one clip */
#define SN_SPECTRUM_MAX_FFT 16384
#define SN_SPECTRUM_MAX_MELS 512

typedef enum sn_spectrum_window { SN_WINDOW_HANN, SN_WINDOW_HAMMING, SN_WINDOW_ONES } sn_spectrum_window;
/* What the first frame sees. NONE: samples 0 .. fft - 1. ZERO and REFLECT: sample 0 in its middle, zeros or the mirror image (without
 * the edge) around the clip. */
typedef enum sn_spectrum_pad { SN_SPECTRUM_PAD_NONE, SN_SPECTRUM_PAD_ZERO, SN_SPECTRUM_PAD_REFLECT } sn_spectrum_pad;
/* HTK: 2595 log10(1 + f / 700); SLANEY: linear below 1000 Hz, logarithmic above. */
typedef enum sn_spectrum_scale { SN_SCALE_HTK, SN_SCALE_SLANEY } sn_spectrum_scale;
typedef enum sn_spectrum_log { SN_SPECTRUM_LINEAR, SN_SPECTRUM_LOG_E, SN_SPECTRUM_LOG_10 } sn_spectrum_log;

typedef struct sn_spectrum_options {
	int sample_rate;
	int fft, hop;                /* fft: even */
	int window_size;             /* at most fft, in whose middle the window lies; 0: fft */
	sn_spectrum_window window;
	int symmetric;               /* 1: the window's last value equals its first; 0: periodic */
	sn_spectrum_pad pad;
	int power;                   /* 1: magnitudes, 2: their squares */
	float preemphasis;           /* y[t] = x[t] - preemphasis * x[t - 1] */
	int preemphasis_reflect;     /* x[-1] is x[1], else 0 */
	int mels;                    /* 0: fft / 2 + 1 linear frequencies */
	float low, high;             /* Hz; high 0: half the rate */
	sn_spectrum_scale scale;
	int area;                    /* 1: each filter has area 1 over its frequencies (slaney's norm), 0: peak 1 */
	int filter_symmetric;        /* 1: both sides of a filter are as wide as its left one (SpeechBrain) */
	const float *filters;        /* [mels, fft / 2 + 1] in place of computed ones (copied), or NULL */
	sn_spectrum_log log;         /* of max(x, floor) + offset, times gain (0 reads as 1) */
	float floor, offset, gain;
} sn_spectrum_options;

typedef struct sn_spectrum sn_spectrum;

/* Immutable after it was opened: any thread may use it. Errors: SN_E_ARGUMENT with the value and what would be right. */
int sn_spectrum_open(sn_spectrum **out, const sn_spectrum_options *options, char *err);
void sn_spectrum_close(sn_spectrum **spectrum);

int sn_spectrum_columns(const sn_spectrum *spectrum); /* values a frame */
/* Frames of a clip of so many samples: 0 when it is too short for one (or for the mirror image). */
int64_t sn_spectrum_frames(const sn_spectrum *spectrum, int64_t count);
/* The whole clip: out [sn_spectrum_frames(), columns]. Errors: SN_E_ARGUMENT (too short), SN_E_LIMIT (longer than
 * SN_SPECTRUM_MAX_SAMPLES), SN_E_MEMORY. */
int sn_spectrum_run(const sn_spectrum *spectrum, const float *samples, int64_t count, float *out, char *err);

#endif
