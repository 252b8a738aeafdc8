/* Byte-level BPE as GPT-2 and Whisper use it. */
#ifndef SN_TEXT_BPE_H
#define SN_TEXT_BPE_H

#include "base/error.h"
#include "base/buf.h"

typedef struct sn_bpe sn_bpe;

/* Reads a Hugging Face or CTranslate2 model directory: vocab.json + added_tokens.json, or tokenizer.json, or
 * vocabulary.json/.txt (one token a line; the line number is the id). Only the vocabulary is read at once; merges
 * (merges.txt or tokenizer.json; of a CTranslate2 list the order of the ids) are read by the first sn_bpe_encode,
 * thread-safely, since a transcription without a prompt never encodes. */
int sn_bpe_open(sn_bpe **out, const char *dir, char *err);
void sn_bpe_close(sn_bpe **bpe);

/* Reads a file of tiktoken: "BASE64 ID" a line, ids in the order of the merges (a lone "=" or nothing before the id is the empty token).
 * Special tokens do not stand there: `special` has them, each with an id that no other token has. */
typedef struct sn_bpe_named {
	const char *text; /* "<|en|>" */
	int32_t id;
} sn_bpe_named;
int sn_bpe_open_ranks(sn_bpe **out, const char *path, const sn_bpe_named *special, int count, char *err);

int sn_bpe_size(const sn_bpe *bpe);                        /* largest id + 1 */
int32_t sn_bpe_id(const sn_bpe *bpe, const char *token);   /* id of a token as written in the vocabulary ("<|en|>"), or -1 */
int sn_bpe_special(const sn_bpe *bpe, int32_t id);         /* 1 for <|...|> tokens, which decoding leaves out */
/* The bytes of one id (byte-level decoded): borrowed, *size receives the length. NULL for an unknown or special id. */
const char *sn_bpe_bytes(const sn_bpe *bpe, int32_t id, size_t *size);

/* Text to ids (special tokens in the text are encoded as plain text). Errors: SN_E_LIMIT when more than `max` ids,
 * SN_E_MODEL when merges do not fit the vocabulary, SN_E_FORMAT for invalid UTF-8 or unreadable merges. */
int sn_bpe_encode(sn_bpe *bpe, const char *text, size_t size, int32_t *ids, int max, int *count, char *err);
/* Ids to UTF-8; incomplete or invalid sequences become U+FFFD, as the reference does with errors="replace". */
int sn_bpe_decode(const sn_bpe *bpe, const int32_t *ids, int count, sn_buf *out);

#endif
