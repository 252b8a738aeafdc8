/* BERT's WordPiece tokenizer. */
#ifndef SN_TEXT_WORDPIECE_H
#define SN_TEXT_WORDPIECE_H

#include "base/buf.h"
#include "base/error.h"

typedef struct sn_wordpiece sn_wordpiece;

typedef struct sn_wordpiece_config {
	int size;                                             /* largest id + 1 */
	int32_t unknown, begin, end, pad, mask;               /* [UNK] [CLS] [SEP] [PAD] [MASK]; all but the first may be -1 */
	int lower_case, strip_accents, chinese_characters;    /* Chinese characters are words of their own */
	int max_word;                                         /* characters; a longer word is unknown */
} sn_wordpiece_config;

/* Reads vocab.txt with tokenizer_config.json and special_tokens_map.json (both may be missing), else tokenizer.json.
 * Errors: SN_E_NOT_FOUND, SN_E_FORMAT, SN_E_MODEL (no [UNK], a bad id), SN_E_LIMIT, SN_E_UNSUPPORTED (a part of
 * tokenizer.json that is not known, by name). */
int sn_wordpiece_open(sn_wordpiece **out, const char *dir, char *err);
void sn_wordpiece_close(sn_wordpiece **wordpiece);
const sn_wordpiece_config *sn_wordpiece_get_config(const sn_wordpiece *wordpiece);

int32_t sn_wordpiece_id(const sn_wordpiece *wordpiece, const char *token);      /* -1: no such token */
const char *sn_wordpiece_token(const sn_wordpiece *wordpiece, int32_t id);      /* borrowed; NULL where there is none */

/* Text to ids without [CLS] and [SEP]; special tokens written in the text are kept whole. Errors: SN_E_FORMAT (invalid
 * UTF-8), SN_E_LIMIT (more than `max` ids, a text of more than 1 MiB), SN_E_MEMORY. */
int sn_wordpiece_encode(const sn_wordpiece *wordpiece, const char *text, size_t size, int32_t *ids, int max, int *count, char *err);

#endif
