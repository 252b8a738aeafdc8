/* SN_MEL_GROUP frames at once, one per vector lane: the inner part of mel.c, compiled once per instruction set from mel_kernel.c. */
#ifndef SN_AUDIO_MEL_KERNEL_H
#define SN_AUDIO_MEL_KERNEL_H

#include "audio/mel.h"

#define SN_MEL_HALF (SN_MEL_FFT / 2)
#define SN_MEL_SPAN ((SN_MEL_GROUP - 1) * SN_MEL_HOP + SN_MEL_FFT) /* samples that a group reads */

typedef struct sn_mel_tables {
	int mels;
	double window[SN_MEL_FFT];
	double twiddle[SN_MEL_HALF][2];   /* exp(-2 pi i k / 200): cos, sin */
	double untangle[SN_MEL_HALF][2];  /* exp(-2 pi i k / 400) */
	int16_t low[SN_MEL_MAX], high[SN_MEL_MAX]; /* bins with weight of each filter: [low, high) */
	double filters[SN_MEL_MAX][SN_MEL_BINS];
} sn_mel_tables;

/* samples [SN_MEL_SPAN] -> out [SN_MEL_GROUP, mels], log10 of the filtered power. */
typedef void (*sn_mel_kernel)(const sn_mel_tables *tables, const float *samples, float *out);

void sn_mel_kernel_base(const sn_mel_tables *tables, const float *samples, float *out);
#if defined(__x86_64__)
void sn_mel_kernel_avx2(const sn_mel_tables *tables, const float *samples, float *out);
void sn_mel_kernel_avx512(const sn_mel_tables *tables, const float *samples, float *out);
#endif

#endif
