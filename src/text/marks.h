/* Punctuation as espeak's wrappers keep it between phonemes. */
#ifndef SN_TEXT_MARKS_H
#define SN_TEXT_MARKS_H

#include "base/buf.h"
#include "text/phonemize.h"

int sn_marks_is(int32_t c);
/* The length of what holds only marks and white space, with at least one mark; 0 when text does not start so. */
size_t sn_marks_at(const char *text, size_t size);

/* Appends espeak's phonemes without what it writes where it changes the language ("(en)"). `between` stands between clauses. */
int sn_marks_phonemes(sn_phonemizer *phonemizer, const char *voice, const char *text, size_t size, const char *between, sn_buf *out,
                      char *err);

#endif
