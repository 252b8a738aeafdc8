/* Capital letters for text that was written without: names of days, months, countries, languages and cities by ICU's locale data, and
 * in English "I", titles before names, people of countries, single letters. What is not sure stays in lower case: names of persons,
 * German nouns. */
#ifndef SN_TEXT_CASING_H
#define SN_TEXT_CASING_H

#include "base/buf.h"
#include "base/error.h"

typedef struct sn_casing sn_casing;

typedef enum sn_case { SN_CASE_LOWER, SN_CASE_CAPITAL, SN_CASE_UPPER, SN_CASE_AS_IS } sn_case;

/* language: a code of two or three letters; "": none, only sentences get capitals. Errors: SN_E_MEMORY. */
int sn_casing_open(sn_casing **out, const char *language, char *err);
void sn_casing_close(sn_casing **casing);

/* How words[count], in lower case, are written inside a sentence. */
void sn_casing_find(const sn_casing *casing, const char *const *words, int count, sn_case *cases);

/* Whether words[at], ... are letters spelled one by one that make an acronym ("u", "s", "a"): how many words, else 0. Says so only
 * where no word of one letter can be meant. */
int sn_casing_spelled(const sn_casing *casing, const char *const *words, int count, int at);

/* Appends a word so written, by the rules of the language (Dutch "IJ", Turkish "İ"). */
void sn_casing_write(const sn_casing *casing, const char *word, sn_case how, sn_buf *out);

#endif
