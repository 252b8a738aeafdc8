/* Text cleaners by the names that Coqui's configs and Tacotron give them. */
#ifndef SN_TEXT_CLEANERS_H
#define SN_TEXT_CLEANERS_H

#include "base/buf.h"
#include "base/error.h"

int sn_cleaner_known(const char *name);
/* Appends the text cleaned: `name` as in config.json, "tacotron2" for NVIDIA's English cleaners, or for those of VITS's authors "vits"
 * (English, before its phonemes), "vits_transliteration" and "vits_basic". `language` ("en",
 * "pt-br") may be NULL: the cleaner's own. Errors: SN_E_UNSUPPORTED (no such cleaner),
 * SN_E_FORMAT (invalid UTF-8), SN_E_LIMIT, SN_E_DEPENDENCY (ICU's data are missing). */
int sn_clean(sn_buf *out, const char *name, const char *language, const char *text, size_t size, char *err);

#endif
