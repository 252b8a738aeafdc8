/* What the P.808 network of DNSMOS hears: librosa's mel spectrogram of 321-point transforms every 160 samples, 120 slaney filters, of
 * a window but its last 160 samples, in decibels below the window's loudest, at least 80 below, as (dB + 40) / 40. */
#ifndef SN_MODELS_DNSMOS_MEL_H
#define SN_MODELS_DNSMOS_MEL_H

#include "models/dnsmos.h"

typedef struct sn_dnsmos_mel sn_dnsmos_mel;

int sn_dnsmos_mel_open(sn_dnsmos_mel **out, char *err);
void sn_dnsmos_mel_close(sn_dnsmos_mel **mel);

/* Power of frames [first, first + count) of a window of SN_DNSMOS_WINDOW samples: out [count, SN_DNSMOS_MELS]. Frame t has sample
 * 160 t in its middle; zeros lie around the window. */
void sn_dnsmos_mel_power(const sn_dnsmos_mel *mel, const float *window, int first, int count, float *out);

/* power and out: [SN_DNSMOS_MEL_FRAMES, SN_DNSMOS_MELS] */
void sn_dnsmos_mel_decibels(const float *power, float *out);

#endif
