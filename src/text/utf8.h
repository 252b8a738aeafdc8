/* Unicode text as UTF-8, character by character. */
#ifndef SN_TEXT_UTF8_H
#define SN_TEXT_UTF8_H

#include "base/buf.h"
#include "base/error.h"

typedef enum { SN_NFC, SN_NFD, SN_NFKC } sn_normal_form;

/* SN_OK for valid UTF-8 of at most `most` bytes, else SN_E_FORMAT with the byte or SN_E_LIMIT. */
int sn_utf8_check(const char *text, size_t size, size_t most, char *err);
void sn_utf8_add(sn_buf *out, int32_t c);
/* Each character by itself, as references in Python and Rust do it: no context (final sigma) and no language. */
void sn_utf8_add_lower(sn_buf *out, int32_t c);
void sn_utf8_add_upper(sn_buf *out, int32_t c);
/* Appends valid UTF-8 in a normal form. */
int sn_utf8_normal(sn_buf *out, const char *text, size_t size, sn_normal_form form, char *err);

#endif
