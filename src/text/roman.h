/* Text of any script in Latin letters, near to what the program uroman writes: voices of MMS were trained on its output. */
#ifndef SN_TEXT_ROMAN_H
#define SN_TEXT_ROMAN_H

#include "base/buf.h"
#include "base/error.h"

/* Appends the text in small letters of ASCII; marks and signs that have no reading stay as they are. Letters are read by their names in
 * Unicode, syllables of Hangul by their parts, Chinese characters by ICU. Errors: SN_E_FORMAT (invalid UTF-8), SN_E_LIMIT (out's maximum),
 * SN_E_DEPENDENCY (ICU's data are missing), SN_E_MEMORY. */
int sn_roman(sn_buf *out, const char *text, size_t size, char *err);

#endif
