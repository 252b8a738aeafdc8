/* What sentences.c and clauses.c share. */
#ifndef SN_TEXT_SENTENCES_INTERNAL_H
#define SN_TEXT_SENTENCES_INTERNAL_H

#include "text/sentences.h"

typedef struct sentence_source {
	const uint8_t *text;
	int32_t size;
	int ordinal_dots; /* the language writes "3. October" */
	const char *locale;
} sentence_source;

int32_t sentence_next(const sentence_source *s, int32_t *i);     /* the character at *i, and past it */
int32_t sentence_previous(const sentence_source *s, int32_t *i); /* the one before *i, and back to it */
int sentence_closes(int32_t c);        /* quotes, brackets and marks that belong to what is before them */
int sentence_ends_clause(int32_t c);
int sentence_is_wide_mark(int32_t c);  /* needs no space behind it */
int sentence_has_ordinal_dots(const char *locale);
/* The dot at `dot` with `next` as the next character that is not white space: part of an abbreviation, an initial or an ordinal? */
int sentence_dot_of_word(const sentence_source *s, int32_t begin, int32_t dot, int32_t next);
/* Behind initials ("U.S.") and what ends sentences as well ("p.m.", "Co.") the next word tells. 1: the sentence goes on behind the dot at
 * `dot`, 0: it does not, or the dot is none of these, -1: the text ends before the next word does. */
int sentence_goes_on(const sentence_source *s, int32_t begin, int32_t dot);

#endif
