/* Names of languages for their codes, so that a caller may write either. */
#ifndef SN_SPEECH_LANGUAGES_H
#define SN_SPEECH_LANGUAGES_H

#include <stddef.h>

/* The code of an English name ("German", any case) or a code as it is ("de", "DE", "de-AT" gives "de"). Writes up to size bytes
 * with NUL; returns 0 when the text cannot be a language. */
int sn_language_code(const char *text, char *code, size_t size);

#endif
