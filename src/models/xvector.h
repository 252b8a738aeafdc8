/* x-vectors (Snyder et al. 2018) in SpeechBrain's layout (spkrec-xvect-voxceleb: embedding_model.ckpt, hyperparams.yaml): a clip of
 * speech to the embedding of its speaker, as SpeechT5 takes it. Reference: speechbrain's EncoderClassifier.encode_batch. */
#ifndef SN_MODELS_XVECTOR_H
#define SN_MODELS_XVECTOR_H

#include "models/options.h"

#define SN_XVECTOR_MAX_SECONDS 60 /* of a clip; what comes later is not heard */

typedef struct sn_xvector sn_xvector;

/* Whether the directory holds such an encoder. */
int sn_xvector_accepts(const char *dir);
/* Immutable after it was opened: any thread may use it. Errors: SN_E_NOT_FOUND, SN_E_MODEL, SN_E_MEMORY, ... */
int sn_xvector_open(sn_xvector **out, const sn_load_options *load, char *err);
void sn_xvector_close(sn_xvector **xvector);
int sn_xvector_width(const sn_xvector *xvector); /* values of an embedding */

/* Mono samples of any rate, at least half a second -> embedding [width]. */
int sn_xvector_embed(const sn_xvector *xvector, const float *pcm, int64_t count, int sample_rate, float *embedding, char *err);

/* The two halves of it. Features: decibels [frames, mels], free() them. `look` (may be NULL) is called after the run, with an exec
 * whose tensors can be read where the plan is one for debugging. */
int sn_xvector_features(const sn_xvector *xvector, const float *pcm, int64_t count, int sample_rate, float **features, int64_t *frames,
                        char *err);
int sn_xvector_run(const sn_xvector *xvector, const float *features, int64_t frames, float *embedding,
                   void (*look)(void *payload, nn_exec *exec), void *payload, char *err);

#endif
