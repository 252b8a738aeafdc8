/* SentencePiece models (.model): unigram, BPE, word and character types with the normaliser that the file states. */
#ifndef SN_TEXT_SENTENCEPIECE_H
#define SN_TEXT_SENTENCEPIECE_H

#include "base/buf.h"
#include "base/error.h"

typedef struct sn_spm sn_spm;

typedef enum { SN_SPM_UNIGRAM = 1, SN_SPM_BPE, SN_SPM_WORD, SN_SPM_CHAR } sn_spm_type; /* numbers as in the file */

typedef struct sn_spm_config {
	sn_spm_type type;
	int size;                              /* pieces */
	int32_t unknown, begin, end, pad;      /* ids of <unk>, <s>, </s>, <pad>; all but the first may be -1 */
	int add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces, byte_fallback, whitespace_as_suffix;
} sn_spm_config;

/* Reads a .model file, or a Hugging Face tokenizer.json whose model is Unigram (path ends with ".json"). Errors:
 * SN_E_NOT_FOUND, SN_E_FORMAT (damaged; says the byte), SN_E_LIMIT, SN_E_MODEL (no unknown piece, a piece twice),
 * SN_E_UNSUPPORTED (a part of tokenizer.json that is not known, by name). */
int sn_spm_open(sn_spm **out, const char *path, char *err);
void sn_spm_close(sn_spm **spm);
const sn_spm_config *sn_spm_get_config(const sn_spm *spm);

int32_t sn_spm_id(const sn_spm *spm, const char *piece);     /* -1: no such piece */
const char *sn_spm_piece(const sn_spm *spm, int32_t id);     /* borrowed, NUL-terminated; NULL outside 0 .. size - 1 */
int sn_spm_special(const sn_spm *spm, int32_t id);           /* 1 for control and unknown pieces */

/* Text to ids as EncodeAsIds gives them, without <s> and </s>; a run of unknown characters is one unknown id. Errors:
 * SN_E_FORMAT (invalid UTF-8), SN_E_LIMIT (more than `max` ids, a text of more than 1 MiB), SN_E_MEMORY. */
int sn_spm_encode(const sn_spm *spm, const char *text, size_t size, int32_t *ids, int max, int *count, char *err);
/* Appends the normalised text, as encoding sees it. */
int sn_spm_normalize(const sn_spm *spm, const char *text, size_t size, sn_buf *out, char *err);
/* Ids to UTF-8 as DecodeIds gives it; control pieces and ids outside are left out, unknown ones are " \u2047 ". */
int sn_spm_decode(const sn_spm *spm, const int32_t *ids, int count, sn_buf *out);

#endif
