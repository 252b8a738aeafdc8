/* From ids to sound, in steps of some milliseconds: a model that makes sound alone, or one that makes mel spectrograms and the
 * vocoder after it. One chain is one session's; the conductor drives it. */
#ifndef SN_SPEECH_CHAIN_H
#define SN_SPEECH_CHAIN_H

#include "speech/engine.h"

typedef struct sn_chain sn_chain;

/* vocoder: for a model that makes spectrograms, already checked against it, else NULL. The chain holds references to both. */
int sn_chain_new(sn_chain **out, sn_model *model, sn_model *vocoder, char *err);
void sn_chain_free(sn_chain **chain);
int sn_chain_rate(const sn_chain *chain);
/* Samples that sn_chain_next may write at once. */
size_t sn_chain_room(const sn_chain *chain);

/* Begins an utterance. is_first: of its session, so that its first chunk is short. options must stay as long as the utterance. */
int sn_chain_start(sn_chain *chain, const int32_t *ids, int count, const sn_synth_options *options, int is_first, char *err);
/* One step. *count samples were written to pcm; 0 where the step made none yet. SN_OK: more to come; SN_END: these were the last. */
int sn_chain_next(sn_chain *chain, float *pcm, size_t *count, char *err);
/* Samples of this utterance that come before the ids from `share` (0..1) of all on; 0 where the model has no plan of their lengths. */
int64_t sn_chain_place(const sn_chain *chain, double share);
/* The next chunk has at most so many samples, rounded up to whole frames; where the model has a plan. */
void sn_chain_limit(sn_chain *chain, int64_t samples);
/* The model's on the utterance that has just ended, or NULL. */
const char *sn_chain_remark(const sn_chain *chain);

#endif
