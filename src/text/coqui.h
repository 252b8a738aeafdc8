/* Text to ids as Coqui TTS checkpoints want it: character sets, cleaners and phonemes that config.json names. */
#ifndef SN_TEXT_COQUI_H
#define SN_TEXT_COQUI_H

#include "text/phonemize.h"

typedef struct sn_coqui sn_coqui;

typedef struct sn_coqui_config {
	int size;                            /* symbols: rows of the embedding, as the checkpoint's num_chars */
	int32_t pad, begin, end, blank;      /* ids; -1: the set has no such symbol (blank: then `size`, as in the reference) */
	int add_blank, begin_end, phonemes;  /* begin_end: the text stands between begin and end symbols */
	char cleaner[48];                    /* name of the text cleaner, or "" */
	char phoneme_language[32];           /* espeak's name of the language, or "" */
} sn_coqui_config;

/* Reads config.json: "characters", "add_blank", "enable_eos_bos_chars", "use_phonemes", "phonemizer", "phoneme_language",
 * "text_cleaner". Phonemes of "gruut" are made by espeak-ng, whose inventory that one follows. Errors: SN_E_NOT_FOUND,
 * SN_E_FORMAT, SN_E_MODEL (a wrong key, a character twice), SN_E_UNSUPPORTED (a characters class, cleaner or phonemizer
 * that is not known, by name). */
int sn_coqui_open(sn_coqui **out, const char *path, char *err);
void sn_coqui_close(sn_coqui **coqui);
const sn_coqui_config *sn_coqui_get_config(const sn_coqui *coqui);

int32_t sn_coqui_id(const sn_coqui *coqui, const char *symbol);      /* -1: no such symbol */
const char *sn_coqui_symbol(const sn_coqui *coqui, int32_t id);      /* borrowed; NULL outside */

/* Text to ids: cleaned, phonemized where the checkpoint asks for it (else the phonemizer may be NULL), blanks between,
 * begin and end around; characters without an id are left out and counted in *missing (may be NULL). `language` ("en",
 * "fr-fr", "pt-br"; NULL: the checkpoint's) is for cleaners and phonemes. Errors: SN_E_LIMIT when more than `max` ids,
 * SN_E_FORMAT for invalid UTF-8, those of sn_phonemizer_run. */
int sn_coqui_encode(const sn_coqui *coqui, sn_phonemizer *phonemizer, const char *language, const char *text, size_t size, int32_t *ids,
                    int max, int *count, int *missing, char *err);

#endif
