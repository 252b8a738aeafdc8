/* The tokenizer of Hugging Face SpeechT5 directories: spm_char.model with added_tokens.json around it. */
#ifndef SN_TEXT_SPEECHT5_TEXT_H
#define SN_TEXT_SPEECHT5_TEXT_H

#include "base/buf.h"
#include "base/error.h"

typedef struct sn_speecht5_text sn_speecht5_text;

typedef struct sn_speecht5_text_config {
	int size;                             /* largest id + 1, added tokens counted */
	int32_t begin, end, unknown, pad;     /* of tokenizer_config.json; -1 where the vocabulary lacks the token */
	int normalize;                        /* read numbers as words (English), as the checkpoint asks */
} sn_speecht5_text_config;

/* Reads spm_char.model, added_tokens.json and tokenizer_config.json of a directory (the last two may be missing). */
int sn_speecht5_text_open(sn_speecht5_text **out, const char *dir, char *err);
void sn_speecht5_text_close(sn_speecht5_text **text);
const sn_speecht5_text_config *sn_speecht5_text_get_config(const sn_speecht5_text *text);

/* Text to ids with </s> at the end. Errors: those of sn_spm_encode. */
int sn_speecht5_text_encode(const sn_speecht5_text *tokenizer, const char *text, size_t size, int32_t *ids, int max, int *count, char *err);
/* Ids to text without special tokens. */
int sn_speecht5_text_decode(const sn_speecht5_text *tokenizer, const int32_t *ids, int count, sn_buf *out);

#endif
