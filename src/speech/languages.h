/* Names of languages for their codes, so that a caller may write either. */
#ifndef SN_SPEECH_LANGUAGES_H
#define SN_SPEECH_LANGUAGES_H

#include <stddef.h>

/* The code that Whisper has for an English name ("German", any case; "Mandarin" gives "zh") or for a code ("de", "DE", "de-AT" give "de",
 * "nb" gives "no"). Writes up to size bytes with NUL; returns 0 when the text cannot be a language. */
int sn_language_code(const char *text, char *code, size_t size);

#endif
