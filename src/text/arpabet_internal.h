#ifndef SN_TEXT_ARPABET_INTERNAL_H
#define SN_TEXT_ARPABET_INTERNAL_H

#include "text/arpabet.h"

int arpabet_known(const char *phone, size_t size);
/* Appends a token, a space before it where there is something. */
void arpabet_add(sn_buf *out, const char *token, size_t size);
/* Appends the phones of words of IPA; with `spaces` "|" between two words. */
int arpabet_words(const char *ipa, size_t size, int spaces, sn_buf *out);

#endif
