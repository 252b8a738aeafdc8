/* The fixed symbol table of NVIDIA's Tacotron2: 148 symbols, which are no part of its checkpoints. */
#ifndef SN_TEXT_SYMBOLS_H
#define SN_TEXT_SYMBOLS_H

#include "base/error.h"

#define SN_SYMBOLS 148 /* _ - punctuation, space, A-Z, a-z, 84 ARPAbet phones as "@AA0" */

/* Text to ids: English cleaners (ASCII, lower case, numbers and abbreviations as words, single spaces), then one id a
 * character; phones in braces ("turn {HH AW1 S}") go by name. What has no id is left out and counted in *missing (may be
 * NULL). Errors: SN_E_FORMAT (invalid UTF-8), SN_E_LIMIT (more than `max` ids), SN_E_ARGUMENT (an unknown phone in
 * braces), SN_E_DEPENDENCY (ICU). */
int sn_symbols_encode(const char *text, size_t size, int32_t *ids, int max, int *count, int *missing, char *err);

const char *sn_symbols_name(int32_t id);       /* "a", "@AA0"; NULL outside */
int32_t sn_symbols_id(const char *name);       /* -1: none */

#endif
