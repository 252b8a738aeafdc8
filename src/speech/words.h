/* Which tokens make a word. Unlike openai-whisper, whose words are cut at each mark, so that "1,000" and "don't" fall apart, words end
 * where the text has a space, and in scripts that write none, at each character that a token completes. The script of the characters
 * decides, not the language: a text may hold several. */
#ifndef SN_SPEECH_WORDS_H
#define SN_SPEECH_WORDS_H

#include "text/bpe.h"

typedef struct sn_token_word {
	int first, end;               /* tokens; punctuation goes with the word that it stands at */
	int spoken_first, spoken_end; /* those of them that are not punctuation alone; all of a word that is nothing else */
} sn_token_word;

/* Words of tokens[0..count), which hold ids from `special` on (timestamps) anywhere between words. words: room for `count`. Returns how
 * many. */
int sn_words_split(const sn_bpe *bpe, const int32_t *tokens, int count, int32_t special, sn_token_word *words);

#endif
