#ifndef SN_TEXT_CHARS_INTERNAL_H
#define SN_TEXT_CHARS_INTERNAL_H

#include "text/chars.h"

#define CHARS_MAX_VOCABULARY 65536
#define CHARS_MAX_SPECIALS 64

typedef struct chars_entry {
	int32_t character, id;
} chars_entry;

/* A token of several characters, or one that splits the text wherever it stands. */
typedef struct chars_special {
	char text[32];
	size_t size;
	int32_t id; /* -1: not in the vocabulary */
} chars_special;

struct sn_chars {
	sn_chars_config config;
	chars_entry *entries; /* by character, each once */
	int count;
	chars_special specials[CHARS_MAX_SPECIALS];
	int special_count;
	int32_t unknown;      /* id for characters without one, or -1 */
	const char *cleaner;  /* that goes before all else, or NULL */
	int lower_all;        /* 1: capitals that the vocabulary has become small letters, too */
	int plain;            /* 1: phonemes without stress and punctuation */
};

/* chars_authors.c: the configuration of the authors' layout. *chars is zeroed. */
int chars_read_authors(sn_chars *chars, const char *json, char *err);

/* Adds a character; entries has room. chars_sort: after the last one, of which the later ones count. */
void chars_add(sn_chars *chars, int32_t character, int32_t id);
void chars_sort(sn_chars *chars);
/* The only character of the text, or -1. */
int32_t chars_only(const char *text);
/* "eng" becomes "en": checkpoints name languages by ISO 639-3, all else here by two letters, where there are such. */
void chars_set_language(sn_chars *chars, const char *text);

#endif
