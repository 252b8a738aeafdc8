/* The vocabulary of Wav2Vec2 CTC checkpoints, and how ids become text. */
#ifndef SN_TEXT_CTC_VOCAB_H
#define SN_TEXT_CTC_VOCAB_H

#include "base/buf.h"
#include "base/error.h"

#define SN_CTC_LANGUAGE 64 /* bytes of a language's code, with NUL: "cmn-script_simplified" */

typedef struct sn_ctc_vocab sn_ctc_vocab;

typedef struct sn_ctc_vocab_config {
	int size;                                 /* ids; 0 .. size - 1 all have a token */
	int32_t blank;                            /* the pad token, which is CTC's blank */
	int32_t unknown, begin, end, delimiter;   /* -1 where the vocabulary lacks the token */
	int lower_case;                           /* the text is given in lower case */
	char replacement[16];                     /* stands in text for the delimiter: " " */
	const char *language;                     /* of a vocabulary by languages: which one was read, else "" */
	int languages;                            /* how many there are; 0: one vocabulary without a language */
} sn_ctc_vocab_config;

/* Reads vocab.json with tokenizer_config.json, special_tokens_map.json and added_tokens.json (all three may be missing).
 * vocab.json is {token: id} or {language: {token: id}} (MMS); `language` (as the file has it, or a code of two or three letters, for
 * which the file may have a narrower one or one with a script; NULL: tokenizer_config.json's target_lang, else "eng", else the first)
 * chooses. Errors: SN_E_NOT_FOUND, SN_E_FORMAT, SN_E_MODEL (no blank, an id twice, a hole: says which), SN_E_LIMIT (also of a code
 * that SN_CTC_LANGUAGE does not hold), SN_E_UNSUPPORTED (no such language: lists some that there are). */
int sn_ctc_vocab_open(sn_ctc_vocab **out, const char *dir, const char *language, char *err);
void sn_ctc_vocab_close(sn_ctc_vocab **vocab);
const sn_ctc_vocab_config *sn_ctc_vocab_get_config(const sn_ctc_vocab *vocab);

const char *sn_ctc_vocab_language(const sn_ctc_vocab *vocab, int index);       /* in the file's order; NULL outside */
const char *sn_ctc_vocab_token(const sn_ctc_vocab *vocab, int32_t id);         /* as in the file; NULL outside */
/* What one id adds to text: the token in the case of the checkpoint, the delimiter's replacement, "" for the blank. With
 * `skip` special tokens (unknown, begin, end, added ones that say so) are "" too. Borrowed; "" outside. */
const char *sn_ctc_vocab_text(const sn_ctc_vocab *vocab, int32_t id, int skip);
int sn_ctc_vocab_special(const sn_ctc_vocab *vocab, int32_t id);
int32_t sn_ctc_vocab_id(const sn_ctc_vocab *vocab, const char *token);         /* -1: no such token */

/* Ids of frames (or of a path already collapsed) to text: equal neighbours are one (where `group` is 1), blanks drop out,
 * the delimiter becomes its replacement; white space at both ends is left out. `skip` as above. */
int sn_ctc_vocab_decode(const sn_ctc_vocab *vocab, const int32_t *ids, int count, int group, int skip, sn_buf *out);
/* Text to ids for aligning and for word lists: the longest token first, white space runs become the delimiter, letters in
 * the case that the vocabulary has; characters without an id are left out and counted in *missing (may be NULL). */
int sn_ctc_vocab_encode(const sn_ctc_vocab *vocab, const char *text, size_t size, int32_t *ids, int max, int *count, int *missing,
                        char *err);

#endif
