/* Wav2Vec2 with a CTC head (Baevski et al. 2020; MMS: Pratap et al. 2023), any size and layout by its configuration: samples to the
 * logits of letters, a frame each 20 ms. Reference: transformers' Wav2Vec2ForCTC. One engine thread drives a loaded model. */
#ifndef SN_MODELS_WAV2VEC2_H
#define SN_MODELS_WAV2VEC2_H

#include "models/options.h"
#include "text/ctc_vocab.h"

#define SN_WAV2VEC2_MAX_FRAMES 2048    /* of one window */
#define SN_WAV2VEC2_MAX_LANGUAGES 4096
#define SN_WAV2VEC2_MAX_HEADS 4        /* languages of a model with adapters that are ready at once */

typedef struct sn_wav2vec2 sn_wav2vec2;
typedef struct sn_wav2vec2_head sn_wav2vec2_head;

typedef struct sn_wav2vec2_config {
	int sample_rate;          /* 16000 */
	int stride, reach;        /* samples from one frame to the next (320), and that one frame hears (400) */
	int64_t window;           /* most samples of one window */
	int width, layers;
	int adapters;             /* 1: languages are chosen by adapter files, each with its own letters */
	int language_count;       /* 0: the files do not say */
	const char *const *languages; /* codes as the files have them ("eng", "en"); [0] is the default's */
} sn_wav2vec2_config;

/* 1 when the directory's config.json says that it is a Wav2Vec2 (other tasks than CTC are refused by open). */
int sn_wav2vec2_accepts(const char *dir);

/* Reads config.json, preprocessor_config.json, weights and the default language's vocabulary and adapter. */
int sn_wav2vec2_open(sn_wav2vec2 **out, const sn_load_options *load, char *err);
void sn_wav2vec2_close(sn_wav2vec2 **wav2vec2); /* no head may be out */
const sn_wav2vec2_config *sn_wav2vec2_get_config(const sn_wav2vec2 *wav2vec2);
int64_t sn_wav2vec2_parameters(const sn_wav2vec2 *wav2vec2); /* with the default language's adapter */

/* The model made ready for a language of its list (NULL: the default, the only one without adapters). May read an adapter file and
 * compile; call it outside of steps, one call at a time. Errors: SN_E_UNSUPPORTED (no such language: lists some that there are),
 * SN_E_BUSY (SN_WAV2VEC2_MAX_HEADS others are in use), and those of loading. */
int sn_wav2vec2_take(sn_wav2vec2_head **out, sn_wav2vec2 *wav2vec2, const char *language, char *err);
void sn_wav2vec2_give(sn_wav2vec2_head **head);
const sn_ctc_vocab *sn_wav2vec2_vocab(const sn_wav2vec2_head *head);
const char *sn_wav2vec2_language(const sn_wav2vec2_head *head); /* "" where the files do not say */

/* Frames of a window of so many samples; 0: too short to hear anything. */
int64_t sn_wav2vec2_frames(const sn_wav2vec2 *wav2vec2, int64_t samples);

/* One window at a time in a model, whatever its heads: start (at least `reach`, at most config->window samples; copied; SN_AGAIN: the
 * model is at work), next until SN_OK (SN_AGAIN: more), the logits [frames, letters of the vocabulary], and end, which gives the model
 * back at any point. */
int sn_wav2vec2_start(sn_wav2vec2_head *head, const float *pcm, int64_t samples);
int sn_wav2vec2_next(sn_wav2vec2_head *head, int budget, char *err); /* budget: parts in 100 of the encoder's work; as nn_exec_next */
const float *sn_wav2vec2_logits(const sn_wav2vec2_head *head, int64_t *frames); /* borrowed until end */
int sn_wav2vec2_letters(const sn_wav2vec2_head *head);    /* of a frame: at least the vocabulary's blank is among them */
void sn_wav2vec2_end(sn_wav2vec2_head *head);

/* Debug plans, as a row of a padded batch: zeros follow up to `padded` samples, frames behind the audio are masked. */
int sn_wav2vec2_start_padded(sn_wav2vec2_head *head, const float *pcm, int64_t samples, int64_t padded);
/* Debug plans: copies a named tensor of the last window, as nn_exec_tensor. "input_values" is the normalised window [samples]. */
int sn_wav2vec2_tensor(sn_wav2vec2_head *head, const char *name, float **values, int *rank, int64_t *dims, char *err);

#endif
