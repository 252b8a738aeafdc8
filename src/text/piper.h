/* Piper voices: the .onnx.json beside the model, and text to phoneme ids as piper makes them. */
#ifndef SN_TEXT_PIPER_H
#define SN_TEXT_PIPER_H

#include "text/phonemize.h"

typedef struct sn_piper sn_piper;

typedef struct sn_piper_config {
	int sample_rate, hop, symbols, speakers, default_speaker;
	float noise_scale, noise_duration, length_scale;
	int phonemize;            /* 1: espeak phonemes, 0: the characters of the text ("phoneme_type": "text") */
	char espeak_voice[32];
	char language[16];        /* "en_US", or "" */
} sn_piper_config;

/* Reads voice.onnx.json. Errors: SN_E_NOT_FOUND, SN_E_FORMAT, SN_E_MODEL (a wrong or missing key), SN_E_UNSUPPORTED (a
 * phoneme type that needs another phonemizer). */
int sn_piper_open(sn_piper **out, const char *path, char *err);
void sn_piper_close(sn_piper **piper);
const sn_piper_config *sn_piper_get_config(const sn_piper *piper);

/* Speakers by name and back: -1 and NULL when there is none. The i-th name in the file's order, for lists. */
int sn_piper_speaker(const sn_piper *piper, const char *name);
const char *sn_piper_speaker_name(const sn_piper *piper, int speaker);

typedef struct sn_piper_sentence {
	size_t begin, end;    /* bytes of the text it came from */
	const char *phonemes; /* decomposed (NFD) IPA with punctuation, as the ids were made from */
	const int32_t *ids;   /* ^ _ p _ p _ ... $ */
	int count;
	int missing;          /* phonemes the voice has no id for, left out */
} sn_piper_sentence;

typedef struct sn_piper_sentences {
	sn_piper_sentence *items;
	int count;
} sn_piper_sentences;

/* Sentences as piper splits them, without empty ones; a sentence of more than max_ids ids is cut at its clauses, else
 * between words. `voice`: espeak's, for text in another language than the voice's own (NULL: its own). Phonemes may stand in the text
 * as text/inline.h says. Errors: those of sn_phonemizer_run, SN_E_FORMAT (invalid UTF-8), SN_E_ARGUMENT (max_ids below 16). The
 * phonemizer may be NULL for a voice that takes characters. */
int sn_piper_run(const sn_piper *piper, sn_phonemizer *phonemizer, const char *voice, const char *text, size_t size, int max_ids,
                 sn_piper_sentences *out, char *err);
void sn_piper_sentences_free(sn_piper_sentences *sentences);

/* Phonemes (UTF-8, any normal form) to ids: SN_E_LIMIT when there are more than max. */
int sn_piper_ids(const sn_piper *piper, const char *phonemes, size_t size, int32_t *ids, int max, int *count, int *missing, char *err);

#endif
