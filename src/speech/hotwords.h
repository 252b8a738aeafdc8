/* Hot words: words and phrases that a caller expects, made likelier where they fit the sound. Contextual biasing by a tree of token
 * sequences in shallow fusion (as in Williams et al. 2018, "Contextual speech recognition in end-to-end neural network systems using
 * beam search", and k2's context graph): each token that goes on in a listed phrase earns a bonus on its log probability, and a
 * hypothesis that leaves a phrase before its end gives back what it earned in it. A phrase counts when the word ends with it, so
 * "Ann" earns nothing in "Anna".
 *
 * A search keeps one state for each of its sequences, copied with it. For each row, after the rules have masked the logits and
 * log(sum(exp)) was taken of them, so that probabilities stay the model's own:
 *
 *	base = sn_hotwords_apply(h, state, logits, beams);           candidates are the largest of logits now
 *	bonus = base + sn_hotwords_bonus(h, state, token, beams);    of a candidate: what its score has beyond its log probability
 *	state = sn_hotwords_next(h, state, token);                   when the token is appended
 *
 * All of it reads only: one object serves every search of a session. Nothing allocates after opening. */
#ifndef SN_SPEECH_HOTWORDS_H
#define SN_SPEECH_HOTWORDS_H

#include "text/bpe.h"

typedef struct sn_hotwords sn_hotwords;

typedef struct sn_hotwords_state {
	int32_t node;    /* of the tree; 0: in no phrase */
	int32_t inside;  /* the last token ended inside a word; 0 at the beginning */
} sn_hotwords_state; /* {0} begins */

/* The next phrase of a list separated by commas (also those of Chinese and Japanese) or line ends, without the white space round
 * it; empty ones are passed over. *at moves on. Returns 0 at the end. */
int sn_hotwords_item(const char **at, const char **item, size_t *size);

/* The phrases as tokens of a byte-level BPE: as they are written and capitalised, behind a space and where a text or quotation
 * begins. vocab: tokens of the model. *out is NULL for a list without phrases.
 * Errors: SN_E_LIMIT (more than SN_MAX_HOTWORDS bytes), SN_E_FORMAT (invalid UTF-8), those of sn_bpe_encode. */
int sn_hotwords_open(sn_hotwords **out, const char *list, sn_bpe *bpe, int vocab, char *err);
void sn_hotwords_close(sn_hotwords **hotwords);

/* Adds to logits[vocab] what each token would earn, less what every token loses, which it returns (0 or below). beams: 0
 * for a search that keeps one hypothesis, which cannot go back and so loses nothing. */
float sn_hotwords_apply(const sn_hotwords *hotwords, sn_hotwords_state state, float *logits, int beams);
/* What apply added to that token. */
float sn_hotwords_bonus(const sn_hotwords *hotwords, sn_hotwords_state state, int32_t token, int beams);
sn_hotwords_state sn_hotwords_next(const sn_hotwords *hotwords, sn_hotwords_state state, int32_t token);

#endif
