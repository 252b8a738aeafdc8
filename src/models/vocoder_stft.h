/* Short-time Fourier transforms there and back: frames of `fft` samples every `hop`, sample 0 in the first one's middle, a periodic
 * Hann window, and the overlapped sum divided by the windows' squares (librosa's istft). Tables of one engine thread. */
#ifndef SN_MODELS_VOCODER_STFT_H
#define SN_MODELS_VOCODER_STFT_H

#include "base/error.h"

#define VOCODER_STFT_MAX 16384

typedef struct vocoder_stft vocoder_stft;

/* window: samples of the Hann window in the middle of a frame. Errors: SN_E_ARGUMENT. */
int vocoder_stft_open(vocoder_stft **out, int fft, int hop, int window, char *err);
void vocoder_stft_close(vocoder_stft **stft);
int vocoder_stft_bins(const vocoder_stft *stft); /* fft / 2 + 1 */
/* [fft, centred] square of the window */
const float *vocoder_stft_weight(const vocoder_stft *stft);
/* frame [fft] -> spectrum [bins, 2]: real, imaginary */
void vocoder_stft_forward(vocoder_stft *stft, const float *frame, float *spectrum);
/* spectrum [bins, 2] -> what is added to the sum, windowed [fft] */
void vocoder_stft_inverse(vocoder_stft *stft, const float *spectrum, float *frame);

/* Index within 0 .. count - 1 of sample i of a signal mirrored at both ends without its edges. */
int64_t vocoder_mirror(int64_t i, int64_t count);

#endif
