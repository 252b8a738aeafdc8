/* SpeechT5 (Ao et al. 2022), text to speech: characters and a speaker's x-vector to a mel spectrogram, some frames a step.
 * Reference: transformers' SpeechT5ForTextToSpeech. One engine thread drives a loaded model. */
#ifndef SN_MODELS_SPEECHT5_H
#define SN_MODELS_SPEECHT5_H

#include "models/synth.h"

#define SN_SPEECHT5_MAX_TEXT 4096    /* ids of one start, where the checkpoint has positions for so many */
#define SN_SPEECHT5_MAX_FRAMES 16384 /* of one start */

typedef struct sn_speecht5 sn_speecht5;
typedef struct sn_speecht5_stream sn_speecht5_stream;

typedef struct sn_speecht5_config {
	int vocab, mels, reduction;      /* reduction: frames a step */
	int speaker_width;               /* values of an x-vector */
	int max_text, max_steps;         /* positions that the checkpoint was trained for, within this engine's maxima */
	int decoder_layers, decoder_heads, prenet_layers, prenet_units;
	sn_mel_layout mel;               /* hop 0: generating does not depend on it, and vocoders of any hop are paired with it */
	int hop;                         /* samples a frame by the feature extractor's milliseconds */
} sn_speecht5_config;

typedef struct sn_speecht5_options {
	const float *speaker;            /* [speaker_width] */
	int dropout;                     /* of the prenet: 1 as the reference, 0 off */
	uint64_t seed;
	int force_frames;                /* exactly so many, whatever the stop condition says; 0: as it says */
	double threshold, least, most;   /* stop: sum of the step's stop probabilities; least and most frames a symbol (0.5, 0, 20) */
	int watch;                       /* 1: ends an utterance whose attention or output stands still */
	const float *keep;               /* tests: dropout masks [keep_steps, prenet layers, units] of 0 and 1, else NULL */
	int64_t keep_steps;
	void (*observe)(void *payload, sn_speecht5_stream *stream); /* tests: called after each step */
	void *payload;
} sn_speecht5_options;
/* Those of the reference's generate_speech. */
sn_speecht5_options sn_speecht5_defaults(void);

/* Whether the directory's config.json is SpeechT5's, of whatever task. */
int sn_speecht5_accepts(const char *path);
int sn_speecht5_open(sn_speecht5 **out, const sn_load_options *load, char *err);
void sn_speecht5_close(sn_speecht5 **model);
const sn_speecht5_config *sn_speecht5_get_config(const sn_speecht5 *model);
int64_t sn_speecht5_parameters(const sn_speecht5 *model);

int sn_speecht5_stream_new(sn_speecht5_stream **out, sn_speecht5 *model, char *err);
void sn_speecht5_stream_free(sn_speecht5_stream **stream);
/* Runs the encoder. Errors: SN_E_ARGUMENT (no ids, one outside the vocabulary, no finite speaker), SN_E_LIMIT (too many ids or
 * frames: says how many and the maximum). */
int sn_speecht5_start(sn_speecht5_stream *stream, const int32_t *ids, int count, const sn_speecht5_options *options, char *err);
/* See sn_synth_class.next. Rows leave as soon as all rows that they depend on are there. SN_E_MODEL: a value is not a number. */
int sn_speecht5_next(sn_speecht5_stream *stream, int most, float *out, int *frames, char *err);
const char *sn_speecht5_remark(const sn_speecht5_stream *stream);
/* Copies a named tensor of the last run: "encoder_out", "stop" [1, reduction], "cross<layer>" [heads, 1, max_text]; "before_postnet"
 * [frames, mels]; any other of debug plans. */
int sn_speecht5_tensor(sn_speecht5_stream *stream, const char *name, float **values, int *rank, int64_t *dims, char *err);

#endif
