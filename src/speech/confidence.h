/* How probable a word is to be right: a logistic map of what the decoder knows of its tokens, fitted on words of clips with transcripts
 * by bench/calibrate.py; docs/confidence.md says how well it holds. */
#ifndef SN_SPEECH_CONFIDENCE_H
#define SN_SPEECH_CONFIDENCE_H

#include "text/bpe.h"

/* A word of `count` tokens, its punctuation among them. */
float sn_confidence_word(const float *logprobs, int count);

/* The share of words that are probably right: the mean over the words of a Whisper text, whose ids from `special` on are no text. 0 for
 * one without words. */
float sn_confidence_text(const sn_bpe *bpe, const int32_t *tokens, const float *logprobs, int count, int32_t special);

#endif
