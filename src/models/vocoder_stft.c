#include "models/vocoder_stft.h"

#include <kiss_fftr.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct vocoder_stft {
	int fft, hop;
	float *window, *weight; /* [fft] */
	float *frame;           /* [fft] */
	kiss_fftr_cfg forward, inverse;
};

int vocoder_stft_open(vocoder_stft **out, int fft, int hop, int window, char *err) {
	vocoder_stft *s = *out = NULL;
	if (fft < 4 || fft > VOCODER_STFT_MAX || fft % 2 || hop < 1 || hop > fft || window < 1 || window > fft)
		return sn_fail(err, SN_E_ARGUMENT,
		               "a transform of %d samples every %d with a window of %d cannot be turned back; an even number of up to %d is "
		               "right, and neither hop nor window may be longer", fft, hop, window, VOCODER_STFT_MAX);
	if (!(s = calloc(1, sizeof *s))) return sn_fail(err, SN_E_MEMORY, "out of memory for a Fourier transform");
	s->fft = fft;
	s->hop = hop;
	s->window = calloc((size_t)fft, sizeof *s->window);
	s->weight = calloc((size_t)fft, sizeof *s->weight);
	s->frame = calloc((size_t)fft, sizeof *s->frame);
	s->forward = kiss_fftr_alloc(fft, 0, NULL, NULL);
	s->inverse = kiss_fftr_alloc(fft, 1, NULL, NULL);
	if (!s->window || !s->weight || !s->frame || !s->forward || !s->inverse) {
		vocoder_stft_close(&s);
		return sn_fail(err, SN_E_MEMORY, "out of memory for a Fourier transform");
	}
	for (int i = 0; i < window; i++) {
		const double w = 0.5 - 0.5 * cos(2 * M_PI * i / window);
		s->window[(fft - window) / 2 + i] = (float)w;
		s->weight[(fft - window) / 2 + i] = (float)(w * w);
	}
	*out = s;
	return SN_OK;
}

void vocoder_stft_close(vocoder_stft **stft) {
	vocoder_stft *const s = *stft;
	if (!s) return;
	free(s->window);
	free(s->weight);
	free(s->frame);
	kiss_fftr_free(s->forward);
	kiss_fftr_free(s->inverse);
	free(s);
	*stft = NULL;
}

int vocoder_stft_bins(const vocoder_stft *stft) { return stft->fft / 2 + 1; }
const float *vocoder_stft_weight(const vocoder_stft *stft) { return stft->weight; }

void vocoder_stft_forward(vocoder_stft *s, const float *frame, float *spectrum) {
	for (int i = 0; i < s->fft; i++) s->frame[i] = frame[i] * s->window[i];
	kiss_fftr(s->forward, s->frame, (kiss_fft_cpx *)(void *)spectrum);
}

void vocoder_stft_inverse(vocoder_stft *s, const float *spectrum, float *frame) {
	kiss_fftri(s->inverse, (const kiss_fft_cpx *)(const void *)spectrum, frame);
	for (int i = 0; i < s->fft; i++) frame[i] *= s->window[i] / (float)s->fft;
}

int64_t vocoder_mirror(int64_t i, int64_t count) {
	const int64_t turn = 2 * (count - 1);
	if (count < 2) return 0;
	i = i < 0 ? -i % turn : i % turn;
	return i < count ? i : turn - i;
}
