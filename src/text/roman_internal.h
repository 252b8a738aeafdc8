/* Shared by the files of romanisation: what a single letter stands for. */
#ifndef SN_TEXT_ROMAN_INTERNAL_H
#define SN_TEXT_ROMAN_INTERNAL_H

#include "text/roman.h"

#include <stdint.h>

#define ROMAN_READING 32 /* bytes of a letter's reading, its end included */

typedef enum roman_kind {
	ROMAN_OTHER,     /* no letter: stands as it is */
	ROMAN_LETTER,    /* of an alphabet or a syllabary: the reading is all */
	ROMAN_CONSONANT, /* of a script with an inherent vowel, which `inherent` is */
	ROMAN_VOWEL,     /* a sign that takes the inherent vowel's place */
	ROMAN_KILLER,    /* a sign that takes the inherent vowel away */
	ROMAN_MARK,      /* a sign with a reading of its own behind the vowel, which may be "" */
} roman_kind;

typedef struct roman_letter {
	roman_kind kind;
	int script; /* UScriptCode */
	char text[ROMAN_READING];
	char inherent;
} roman_letter;

/* roman_names.c: by its name in Unicode. */
void roman_by_name(int32_t c, roman_letter *letter);

#endif
