/* What the rows of a mel spectrogram mean: an acoustic model makes them in one layout and a vocoder takes them in one. A field of 0
 * (or SN_MEL_UNKNOWN) is one that the checkpoint does not state; it fits anything. */
#ifndef SN_MODELS_MEL_LAYOUT_H
#define SN_MODELS_MEL_LAYOUT_H

#include "base/json.h"

typedef enum sn_mel_scale { SN_MEL_UNKNOWN, SN_MEL_SLANEY, SN_MEL_HTK } sn_mel_scale;
typedef enum sn_mel_log { SN_MEL_LOG_UNKNOWN, SN_MEL_LOG_E, SN_MEL_LOG_10 } sn_mel_log;

typedef struct sn_mel_layout {
	int sample_rate, mels, fft, hop, window; /* window: samples */
	float low, high;             /* Hz; high 0: half the rate where `fft` is stated */
	sn_mel_scale scale;
	sn_mel_log log;
	float floor;                 /* least amplitude before the logarithm */
	float gain;                  /* factor of the logarithm: 1, or 20 for decibels */
	/* Coqui's normalisation: 0 in `normalised` where values are the logarithm itself */
	int normalised, symmetric;
	float min_db, ref_db, max_norm, preemphasis;
} sn_mel_layout;

/* SN_OK, or SN_E_ARGUMENT with one sentence that names both sides and every field in which they differ, with both values. */
int sn_mel_layout_match(const sn_mel_layout *made, const char *by, const sn_mel_layout *taken, const char *from, char *err);

/* Coqui's "audio" section of a config.json: librosa's filters, a logarithm of either base times a gain, and a normalisation of
 * decibels (`normalised` 2: by statistics of a file). `file` is for messages. Errors: SN_E_MODEL. */
int sn_mel_layout_coqui(sn_mel_layout *out, const json_t *config, const char *file, char *err);

#endif
