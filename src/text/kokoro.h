/* Text to the ids of Kokoro-82M (hexgrad): sounds of English and other languages by espeak-ng in the notation that the voices were trained
 * with, Japanese by its kana. References: hexgrad/kokoro, hexgrad/misaki, thewh1teagle/kokoro-onnx. */
#ifndef SN_TEXT_KOKORO_H
#define SN_TEXT_KOKORO_H

#include "base/buf.h"
#include "text/phonemize.h"

#include <stdint.h>

#define SN_KOKORO_MAX_ID 1023

typedef struct sn_kokoro_text sn_kokoro_text;

/* Reads "vocab" of a JSON file: {character: id}. Errors: SN_E_NOT_FOUND, SN_E_FORMAT, SN_E_MODEL (no such object, a key of several
 * characters, an id outside 1 to SN_KOKORO_MAX_ID), SN_E_MEMORY. */
int sn_kokoro_text_open(sn_kokoro_text **out, const char *path, char *err);
void sn_kokoro_text_close(sn_kokoro_text **text);

/* Languages by the letter that a voice's name begins with ("jf_alpha": 'j'): a code that sonant knows, NULL for none that can be made. */
const char *sn_kokoro_language(char letter);

/* Appends the sounds and marks of valid UTF-8 to out. `language`: one of sn_kokoro_language's, NULL: English. `espeak`: a voice of espeak for
 * text of another language (NULL: the language's). Phonemes may stand in the text as text/inline.h says. Characters that have no sound are
 * counted in *missing. Errors: those of sn_phonemizer_run; SN_E_DEPENDENCY (Japanese in Chinese characters without MeCab). */
int sn_kokoro_sounds(const sn_kokoro_text *text, sn_phonemizer *phonemizer, const char *language, const char *espeak, const char *in, size_t size,
                     sn_buf *out, int *missing, char *err);

/* Sounds as ids, at most `max` of them; what has no id is counted. Returns how many; *used: bytes that they stand for. Sounds that are too
 * many are cut behind a sentence's mark, a clause's, a word, else where they are full. */
int sn_kokoro_ids(const sn_kokoro_text *text, const char *sounds, size_t size, int32_t *ids, int max, size_t *used, int *missing);

#endif
