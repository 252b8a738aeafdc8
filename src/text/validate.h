/* What text synthesis accepts. */
#ifndef SN_TEXT_VALIDATE_H
#define SN_TEXT_VALIDATE_H

#include "base/buf.h"
#include "base/error.h"

#define SN_TEXT_MAX ((size_t)1 << 20) /* bytes */

typedef struct sn_text_facts {
	size_t letters, digits, symbols, emoji; /* characters */
	size_t removed;                         /* control characters left out */
} sn_text_facts;

/* Checks text and appends it without control characters to `clean` (line breaks and tabs stay, CR LF becomes LF).
 * Errors: SN_E_LIMIT (more than SN_TEXT_MAX bytes), SN_E_FORMAT (invalid UTF-8, with the byte offset), SN_E_ARGUMENT
 * (nothing to speak: says what was found instead). */
int sn_text_validate(const char *text, size_t size, sn_buf *clean, sn_text_facts *facts, char *err);

#endif
