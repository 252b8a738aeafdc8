/* Sentences and clauses of a text, for synthesis that starts before the text has ended. */
#ifndef SN_TEXT_SENTENCES_H
#define SN_TEXT_SENTENCES_H

#include "base/error.h"

typedef struct sn_span {
	size_t begin, end;  /* bytes of the text, white space at both ends left out */
	int sentence_end;   /* 0: a long sentence was cut here */
} sn_span;

typedef struct sn_spans {
	sn_span *items;
	int count;
} sn_spans;

/* Splits valid UTF-8 into sentences of at most max_bytes bytes (at least 16); a longer one is cut after a clause, else
 * between words, else between characters. Numbers, times, abbreviations and initials ("3.14", "10:30", "Dr. Smith",
 * "U.S. troops") are not cut. `locale` ("en", "de_DE") may be NULL. Spans without a letter or digit are joined to a
 * neighbour. Errors: SN_E_FORMAT (invalid UTF-8 at a byte), SN_E_LIMIT, SN_E_ARGUMENT, SN_E_MEMORY. */
int sn_sentences(const char *text, size_t size, const char *locale, size_t max_bytes, sn_spans *out, char *err);
void sn_spans_free(sn_spans *spans);

#endif
