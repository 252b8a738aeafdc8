/* Bark (Suno 2023): text to semantic tokens, to coarse and fine codes, to sound. Reference: transformers' BarkModel. The interface is
 * sn_synth_bark of synth.h; here is what only Bark has.
 *
 * Text goes to the tokenizer as it is: the tags that Bark was trained with work ([laughs], [laughter], [sighs], [music], [gasps],
 * [clears throat], [MAN], [WOMAN], a song between two ♪, CAPITALS for emphasis, ... or — for hesitation).
 *
 * Emotions are such tags put around the text:
 *   happy      [laughs] before it          amused     [laughter] before it
 *   sad        [sighs] before it           surprised  [gasps] before it
 *   angry      the text in capitals        singing    ♪ before and after it
 *   nervous    [clears throat] before it   hesitant   ... before it
 *   neutral    nothing
 *
 * Voices are presets: names of speaker_embeddings_path.json ("v2/en_speaker_0", also "en_speaker_0"), an .npz file, or NAME where
 * NAME_semantic_prompt.npy, NAME_coarse_prompt.npy and NAME_fine_prompt.npy lie. Without one the first utterance of a stream draws a
 * voice, and its tokens are the preset of those that follow. */
#ifndef SN_MODELS_BARK_H
#define SN_MODELS_BARK_H

#include "models/synth.h"

#define SN_BARK_MAX_PROMPT 8192   /* columns of a preset that count; earlier ones are dropped */
#define SN_BARK_MAX_PRESETS 4096

/* From the next start on, the stream keeps intermediate results (which allocates). */
int sn_bark_watch(void *stream, char *err);
/* Copies a result of the last utterance, of a stream that watches: "semantic_tokens" [n], "semantic_logits" [steps, vocabulary] (the first
 * SN_BARK_WATCHED steps), "coarse_tokens" [n], "coarse_logits" [steps, vocabulary], "fine_logits_codebookK" [rows, vocabulary] (the first
 * window), "fine_codes" [books, frames], "codec_embedding" [width, frames]. Tokens are whole numbers. */
int sn_bark_tensor(void *stream, const char *name, float **values, int *rank, int64_t *dims, char *err);
#define SN_BARK_WATCHED 8

#endif
