/* Times of words from the decoder's own attention: the alignment heads of the cross attention follow the speech, so a monotonic path
 * through what they attended to (dynamic time warping) tells when each token was said. No second pass of the decoder: queries are
 * kept while it decodes (sn_whisper_keep_queries). Works for any sequence decoded by sn_whisper_decode, searched or live.
 * References: openai-whisper timing.py; transformers' generation_whisper.py. Only the conductor calls it. */
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

/* How loud each 10 ms of a window is: half decibels below full scale, 0 (loudest) to 255. Samples outside the view are silence. */
typedef struct sn_levels {
	int count;
	uint8_t level[SN_ALIGN_MAX_LEVELS];
} sn_levels;
void sn_levels_measure(sn_levels *levels, const sn_mel_view *view, int64_t frames);

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
	const sn_levels *levels;     /* of the window: keeps words out of silence; may be NULL */
	const int64_t *joints;       /* samples of the window where audio that was cut out is missing, rising: no word lies across one */
	int joint_count;
} sn_align_sequence;

/* A word: text tokens [first, end) of the sequence, punctuation included, never across a timestamp token. */
typedef struct sn_aligned_word {
	int first, end;
	double start, stop;          /* seconds in the window: start <= stop <= the next word's start, within the audio */
	float confidence;            /* exp of the mean log probability of its tokens; 0 without logprobs */
} sn_aligned_word;

/* Writes at most SN_ALIGN_MAX_TOKENS words (each has a token) and returns how many. Takes some milliseconds; allocates nothing. */
int sn_align_words(sn_align *align, const sn_align_sequence *sequence, sn_aligned_word *words);

#endif
