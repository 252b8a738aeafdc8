/* Coqui's speaker encoder (config_se.json, model_se.pth): a residual network with squeeze-and-excitation over mel spectra and attentive
 * statistics pooling (Heo et al. 2020, arXiv 2009.14153), which gives YourTTS the embedding of a voice. Reference: coqui-tts'
 * ResNetSpeakerEncoder. */
#ifndef SN_MODELS_SPEAKER_ENCODER_H
#define SN_MODELS_SPEAKER_ENCODER_H

#include "models/options.h"

#define SN_SPEAKER_MAX_SECONDS 3600 /* of one clip */
#define SN_SPEAKER_MAX_FRAMES 4096  /* of one run of the network */

typedef struct sn_speaker_encoder sn_speaker_encoder;

/* Reads both files; computes nothing yet. Of `load` only pool and debug count. Errors: those of sn_weights_open; SN_E_MODEL,
 * SN_E_UNSUPPORTED (an encoder of another kind, by name). */
int sn_speaker_encoder_open(sn_speaker_encoder **out, const char *config, const char *weights, const sn_load_options *load, char *err);
void sn_speaker_encoder_close(sn_speaker_encoder **encoder);

int sn_speaker_encoder_size(const sn_speaker_encoder *encoder); /* values of an embedding */
int sn_speaker_encoder_rate(const sn_speaker_encoder *encoder); /* of the samples it takes */
int64_t sn_speaker_encoder_parameters(const sn_speaker_encoder *encoder);

/* A voice's embedding from a clip at any rate, as the reference makes it of a file: resampled, brought to the level that the
 * configuration asks for, then sn_speaker_encoder_crops. Any thread may call it; calls wait for each other. Errors: SN_E_ARGUMENT for less than a
 * second, silence, or samples that are no numbers, SN_E_LIMIT. */
int sn_speaker_encoder_embed(sn_speaker_encoder *encoder, const float *pcm, int64_t count, int sample_rate, float *embedding, char *err);

/* At the encoder's own rate: the mean over ten evenly spaced crops of 250 hops (of the clip where it is shorter). */
int sn_speaker_encoder_crops(sn_speaker_encoder *encoder, const float *pcm, int64_t count, float *embedding, char *err);
/* The same of the whole clip as one crop, of length 1. */
int sn_speaker_encoder_clip(sn_speaker_encoder *encoder, const float *pcm, int64_t count, float *embedding, char *err);
/* Debug plans: copies a named tensor of the last run ("mel", "instancenorm" [frames, mels]; "layer1" [frames, mels, channels]). */
int sn_speaker_encoder_tensor(sn_speaker_encoder *encoder, const char *name, float **values, int *rank, int64_t *dims, char *err);

#endif
