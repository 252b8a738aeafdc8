/* Times of words from the decoder's own attention: the alignment heads of the cross attention follow the speech, so a monotonic path
 * through what they attended to tells when each token was said. No second pass of the decoder: queries are kept while it decodes
 * (sn_whisper_keep_queries). Works for any sequence decoded by sn_whisper_decode, searched or live. Only the conductor calls it.
 *
 * openai-whisper (timing.py) and what follows it warp the attention, normalised at each step over the tokens, and let words touch each
 * other, so that pauses go to the words beside them and starts come early. Here
 *   - a step's attention is shared out among the tokens: share = a / (sum of a over all tokens + EVEN). Steps that no token attends to
 *     count for none, where a normalised deviation makes the noise of silence look like speech;
 *   - the path may rest between words, where there is no speech, and pays for words in silence;
 *   - a word begins rather where the sound gets louder;
 *   - how far attention runs ahead of the sound or behind it depends on the heads, thus on the checkpoint (align.c: lead). */
#ifndef SN_SPEECH_ALIGN_H
#define SN_SPEECH_ALIGN_H

#include "audio/mel.h"
#include "models/whisper.h"

#define SN_ALIGN_MAX_TOKENS 448  /* of one sequence; what is behind has no times */
#define SN_ALIGN_MAX_LEVELS 3000 /* of 10 ms: a window */
#define SN_ALIGN_STEP 0.02       /* seconds of one position of the encoder */

typedef struct sn_align sn_align;

/* Buffers for sequences of `whisper`, up to alignment heads x 448 tokens x 1500 positions; untouched memory costs nothing. `pool`: runs
 * the work, its worker 0 calls. */
int sn_align_open(sn_align **out, sn_whisper *whisper, nn_pool *pool, char *err);
void sn_align_close(sn_align **align);

/* Each 10 ms of a window: how loud it is, in half decibels below full scale, 0 (loudest) to 255, samples outside the view being silence;
 * and the detector's probability of speech times 255, which sn_align_measure sets to 255 and a caller with a detector overwrites. */
typedef struct sn_align_levels {
	int count;
	uint8_t level[SN_ALIGN_MAX_LEVELS], speech[SN_ALIGN_MAX_LEVELS];
} sn_align_levels;
void sn_align_measure(sn_align_levels *levels, const sn_mel_view *view, int64_t frames);

/* A decoded sequence. Each of its rows must have been decoded while queries were kept, and nothing else at its (slot, position)
 * since: table[p] is the slot of position p, for p in [sot, first + fed). */
typedef struct sn_align_sequence {
	int window;                  /* entry of the cross attention; still holds the audio */
	int64_t frames;              /* log-mel frames of audio in it (10 ms each), > 0 */
	const int32_t *table;        /* [first + fed] */
	int sot;                     /* position of <|startoftranscript|> */
	int first;                   /* position of tokens[0], >= 1: how many tokens the prompt has */
	const int32_t *tokens;       /* sampled ones, timestamps included, without <|endoftext|> */
	const float *logprobs;       /* of each, for the words' confidence; may be NULL */
	int count;
	int fed;                     /* tokens that were decoded: `count`, or count - 1 where the last one has only been sampled */
	const sn_align_levels *levels;     /* of the window: keeps words out of silence; may be NULL */
	const int64_t *joints;       /* samples of the window where audio that was cut out is missing, rising: no word lies across one */
	int joint_count;
} sn_align_sequence;

/* A word: text tokens [first, end) of the sequence, punctuation included, never across a timestamp token. */
typedef struct sn_aligned_word {
	int first, end;
	double start, stop;          /* seconds in the window: start <= stop <= the next word's start, within the audio */
	float confidence;            /* exp of the mean log probability of its tokens; 0 without logprobs */
} sn_aligned_word;

/* Writes at most SN_ALIGN_MAX_TOKENS words (each has a token); *count: how many. Takes some milliseconds. Errors: those of nn_exec_run. */
int sn_align_words(sn_align *align, const sn_align_sequence *sequence, sn_aligned_word *words, int *count, char *err);

#endif
