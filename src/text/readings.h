/* How Japanese words are read, by the analyser MeCab and a dictionary in ipadic's layout. libmecab is opened when the first text needs it. */
#ifndef SN_TEXT_READINGS_H
#define SN_TEXT_READINGS_H

#include "base/error.h"

#include <stddef.h>

typedef struct sn_readings sn_readings;

/* Opens nothing yet. */
int sn_readings_open(sn_readings **out, char *err);
void sn_readings_close(sn_readings **readings);

/* 1 when the analyser and its dictionary are at hand; else 0, and err says what to install. The dictionary is $SONANT_MECAB_DIC, or Debian's. */
int sn_readings_ready(sn_readings *readings, char *err);

typedef enum sn_word_kind { SN_WORD_OTHER, SN_WORD_VERB, SN_WORD_AUXILIARY, SN_WORD_CONNECTIVE } sn_word_kind; /* connective: "te" behind a verb */

typedef struct sn_reading {
	const char *word, *reading; /* as it is written; katakana as it is pronounced, "" where the dictionary has none */
	size_t word_size, reading_size;
	sn_word_kind kind;
} sn_reading;

/* Called for each word in order. */
typedef void sn_readings_word(void *payload, const sn_reading *word);
/* Any thread; calls wait for each other. Errors: SN_E_DEPENDENCY, SN_E_LIMIT (more than 64 KB of text), SN_E_MEMORY. */
int sn_readings_run(sn_readings *readings, const char *text, size_t size, sn_readings_word *word, void *payload, char *err);

#endif
