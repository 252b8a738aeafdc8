/* Text that is spoken while it is being written. */
#ifndef SN_TEXT_CLAUSES_H
#define SN_TEXT_CLAUSES_H

#include "base/error.h"

/* The first piece of a text whose end is not known yet. Returns its bytes from the text's beginning, white space behind it left out;
 * 0: nothing is whole. What follows later changes no answer but 0, so a text that comes byte by byte is cut as one that is there.
 *
 * early 0: sentences and paragraphs. early 1: as soon as something can be spoken, also a clause that has something to it (a few
 * words before a comma, semicolon, colon or dash), and, where no mark comes, a dozen words. Numbers, times, dates, addresses,
 * abbreviations and initials are never cut. *sentence_end: 0 for a part of a sentence.
 *
 * `locale` ("en", "de_DE") may be NULL. The text is valid UTF-8 of at most 2^31 - 1 bytes. */
size_t sn_clause_end(const char *text, size_t size, const char *locale, int early, int *sentence_end);

#endif
