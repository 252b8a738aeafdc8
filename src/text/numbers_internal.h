/* The speller (numbers_spell.c), and reading numbers without what a text cleaner does itself. */
#ifndef SN_TEXT_NUMBERS_INTERNAL_H
#define SN_TEXT_NUMBERS_INTERNAL_H

#include "text/numbers.h"

#include <unicode/unum.h>

/* Numbers as words by ICU's rules, which are loaded at the first number. */
typedef struct speller {
	char locale[16];
	int english, opened;
	UNumberFormat *format; /* NULL: ICU has no rules for the language */
	char group, point;     /* characters of the locale: 1,000.5 */
} speller;

typedef enum { SPELL_CARDINAL, SPELL_ORDINAL } spell_form;

void speller_init(speller *s, const char *language);
void speller_free(speller *s);
/* Appends a number ("12", "3.14") as words. 0: ICU cannot, and nothing was appended. */
int spell(speller *s, sn_buf *out, const char *number, size_t size, spell_form form);
int spell_int(speller *s, sn_buf *out, int64_t number, spell_form form);
/* Digit by digit with spaces between. */
int spell_digits(speller *s, sn_buf *out, const char *digits, size_t size);
/* 1984 as nineteen eighty-four, 2005 as two thousand five, 1905 as nineteen oh five. */
int spell_year(speller *s, sn_buf *out, int year);

/* What English text cleaners of Tacotron's kind read: times with a m or p m always, numbers, money and ordinals; every
 * integer from 1001 to 2999 as a year; no titles, dates or units. */
int numbers_for_cleaner(sn_buf *out, const char *text, size_t size, int times, char *err);

#endif
