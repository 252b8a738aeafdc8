/* The character tokenizer of VITS checkpoints: Hugging Face's (MMS-TTS and kin) and the authors' cleaners and symbols. */
#ifndef SN_TEXT_CHARS_H
#define SN_TEXT_CHARS_H

#include "text/phonemize.h"

typedef struct sn_chars sn_chars;

typedef struct sn_chars_config {
	int size;          /* largest id + 1 */
	int add_blank, normalize, phonemize;
	int uroman;        /* the voice was trained on romanised text: text of other letters is romanised by text/roman.h */
	char language[16]; /* "en"; "yue" where there is no code of two letters; or "" */
} sn_chars_config;

/* Reads vocab.json and tokenizer_config.json of a directory. Errors: SN_E_NOT_FOUND, SN_E_FORMAT, SN_E_MODEL. */
int sn_chars_open(sn_chars **out, const char *dir, char *err);
/* Reads the authors' configuration, and of MMS the vocab.txt beside it. Errors: the same, and SN_E_UNSUPPORTED (a cleaner that is not
 * known: lists those that are). */
int sn_chars_open_authors(sn_chars **out, const char *json, char *err);
void sn_chars_close(sn_chars **chars);
const sn_chars_config *sn_chars_get_config(const sn_chars *chars);

/* The letters that have an id, in order, spaces between; "..." where there are more than fit. */
void sn_chars_letters(const sn_chars *chars, char *out, size_t size);

/* Text to ids; characters without an id are left out and counted in *missing (may be NULL). No ids at all is success
 * with *count 0. The phonemizer is used where the checkpoint asks for it, else it may be NULL. Errors: SN_E_LIMIT when
 * more than `max` ids, SN_E_FORMAT for invalid UTF-8, those of sn_roman and sn_phonemizer_run. */
int sn_chars_encode(const sn_chars *chars, sn_phonemizer *phonemizer, const char *text, size_t size, int32_t *ids, int max, int *count,
                    int *missing, char *err);

#endif
