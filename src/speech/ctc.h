/* Decoding frames of letters (connectionist temporal classification, Graves et al. 2006): equal neighbours are one letter, blanks part
 * letters. Greedy, or a search over prefixes (Graves 2012; Hannun et al. 2014) that can favour words of a list. A search allocates
 * when it is opened and never later. */
#ifndef SN_SPEECH_CTC_H
#define SN_SPEECH_CTC_H

#include "base/error.h"

#define SN_CTC_MAX_FRAMES 2048  /* of one decoding */
#define SN_CTC_MAX_BEAM 64
#define SN_CTC_MAX_LETTERS 8192 /* of all listed words */

typedef struct sn_ctc sn_ctc;

typedef struct sn_ctc_options {
	int size;                  /* values of a frame */
	int32_t blank, delimiter;  /* delimiter: between words, -1 where there is none */
	int beam;                  /* prefixes kept, 1..SN_CTC_MAX_BEAM; 0: greedy, which takes no words */
	const int32_t *words;      /* ids of the listed words one after another; a phrase has delimiters between its words */
	const int *lengths;        /* [word_count] */
	int word_count;
	float weight;              /* added to the log probability for each letter of a listed word, up to ten */
} sn_ctc_options;

typedef struct sn_ctc_token {
	int32_t id;
	int first, last;           /* frames that hold it, in the likeliest alignment */
	float logprob;             /* mean over these frames */
} sn_ctc_token;

int sn_ctc_open(sn_ctc **out, const sn_ctc_options *options, char *err);
void sn_ctc_close(sn_ctc **ctc);

/* rows[frames, size] of logits to log probabilities, in place */
void sn_ctc_log_softmax(float *rows, int64_t frames, int size);

/* The letters of logprobs[frames, size], at most SN_CTC_MAX_FRAMES: writes to tokens[frames] and returns how many. */
int sn_ctc_decode(sn_ctc *ctc, const float *logprobs, int frames, sn_ctc_token *tokens);

#endif
