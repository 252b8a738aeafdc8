/* Tacotron 2 (Shen et al. 2018): text to mel spectrogram, one or several frames a step, with location-sensitive attention. Layouts:
 * NVIDIA's (a state dictionary or a training checkpoint, alone or with hparams.json) and Coqui's (config.json and a checkpoint with
 * its reduction factor). References: NVIDIA/tacotron2, TTS.tts.models.tacotron2. One engine thread drives a loaded model. */
#ifndef SN_MODELS_TACOTRON2_H
#define SN_MODELS_TACOTRON2_H

#include "models/synth.h"

#define SN_TACOTRON2_MAX_IDS 1024     /* symbols of one start */
#define SN_TACOTRON2_MAX_FRAMES 16384 /* spectrogram frames of one start */
#define SN_TACOTRON2_MAX_SPEAKERS 4096
#define SN_TACOTRON2_RETRIES 2        /* other seeds that are tried before anything was given out */

/* The class is sn_synth_tacotron2 (synth.h). What follows is for tests. */

typedef struct sn_tacotron2_probe {
	const float *keep;           /* masks of the prenet's dropout [keep_steps, layers, units], 0 or 1; NULL: drawn by the seed */
	int64_t keep_steps;
	int unwatched;               /* 1: neither the attention watch nor the most frames by the text's length */
	/* Called after each step: its stop logit and the attention over the symbols. */
	void (*observe)(void *payload, float stop, const float *alignment, int symbols);
	void *payload;
} sn_tacotron2_probe;

/* As the class's start; `probe` is copied. */
int sn_tacotron2_start(void *stream, const int32_t *ids, int count, const sn_synth_options *options,
                       const sn_tacotron2_probe *probe, char *err);
/* Copies a tensor of the last run: "encoder_out" [symbols, width], "before_postnet" [frames, mels], of debug plans any that is
 * named. *values is the caller's (free()). */
int sn_tacotron2_tensor(const void *stream, const char *name, float **values, int *rank, int64_t *dims, char *err);

#endif
