/* English text to ARPAbet phones with stress ("HH AH0 L OW1"), made from espeak-ng's IPA, and the vocabulary of
 * FastSpeech2Conformer that they are looked up in. */
#ifndef SN_TEXT_ARPABET_H
#define SN_TEXT_ARPABET_H

#include "base/buf.h"
#include "text/phonemize.h"

/* Appends phones and punctuation (, . ? !) to out, one space between two, no space between words: "HH AH0 L OW1 , W ER1 L D". Phones
 * in braces ("{HH AH0 L OW1}") are taken as they are. With `spaces` a token "|" stands between words. Errors: those of
 * sn_phonemizer_run, SN_E_FORMAT (invalid UTF-8), SN_E_ARGUMENT (an unknown phone in braces). */
int sn_arpabet_run(sn_phonemizer *phonemizer, const char *text, size_t size, int spaces, sn_buf *out, char *err);

/* Appends the phones of IPA as espeak's en-us gives it. What is no sound is left out. */
int sn_arpabet_from_ipa(const char *ipa, size_t size, sn_buf *out);

int sn_arpabet_known(const char *phone); /* 1 for "AH0", "HH" and the like */

/* The tokenizer of FastSpeech2Conformer directories. */
typedef struct sn_phones sn_phones;

typedef struct sn_phones_config {
	int size;                               /* largest id + 1 */
	int32_t unknown, end, begin, pad;       /* <unk> <sos/eos> <sos/eos> <blank>; -1 where the vocabulary lacks the token */
	int strip_spaces;
} sn_phones_config;

/* Reads vocab.json and tokenizer_config.json (which may be missing). Errors: SN_E_NOT_FOUND, SN_E_FORMAT, SN_E_MODEL. */
int sn_phones_open(sn_phones **out, const char *dir, char *err);
void sn_phones_close(sn_phones **phones);
const sn_phones_config *sn_phones_get_config(const sn_phones *phones);
int32_t sn_phones_id(const sn_phones *phones, const char *token); /* -1: no such token */

/* Tokens with spaces between ("HH AH0 L OW1 .") to ids, the end token behind them; tokens without an id become the unknown
 * one and are counted in *missing (may be NULL). Errors: SN_E_LIMIT. */
int sn_phones_ids(const sn_phones *phones, const char *tokens, int32_t *ids, int max, int *count, int *missing, char *err);
/* Text to ids: sn_arpabet_run, then sn_phones_ids. Where the vocabulary has a phone only with other stress, that one is taken. */
int sn_phones_encode(const sn_phones *phones, sn_phonemizer *phonemizer, const char *text, size_t size, int32_t *ids, int max, int *count,
                     int *missing, char *err);

#endif
