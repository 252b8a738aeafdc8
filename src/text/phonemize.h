/* Text to IPA by espeak-ng, which runs in the helper program sonant-phonemize: it has global state, may crash on odd
 * text, and is GPL. */
#ifndef SN_TEXT_PHONEMIZE_H
#define SN_TEXT_PHONEMIZE_H

#include "base/error.h"

#define SN_PHONEMIZE_MAX ((size_t)64 << 10) /* bytes of text in one call */

/* One helper process behind a lock; calls from many threads wait for each other. */
typedef struct sn_phonemizer sn_phonemizer;

typedef struct sn_clause {
	const char *phonemes; /* IPA, NUL-terminated, as espeak gives it (with "(en)" markers where it switches the language) */
	size_t begin, end;    /* bytes of the text it came from */
	char terminator;      /* one of . ? ! , : ; or 0 */
	int sentence_end;
} sn_clause;

typedef struct sn_clauses {
	sn_clause *items;
	int count;
} sn_clauses;

/* Starts nothing yet. */
int sn_phonemizer_open(sn_phonemizer **out, char *err);
void sn_phonemizer_close(sn_phonemizer **phonemizer);

/* Starts the helper and returns without waiting for it, so that it gets ready (30 ms with its voice, which may be NULL)
 * while a model loads. Errors: SN_E_DEPENDENCY with the places looked at. Not needed: run starts it too. */
int sn_phonemizer_prestart(sn_phonemizer *phonemizer, const char *voice, char *err);

/* Phonemes of `text` (UTF-8; control characters count as spaces) by an espeak voice ("en-us"). A helper that died is
 * started again, and so is one without an answer, once. On success free *out with sn_clauses_free. Errors: SN_E_LIMIT (text
 * too long), SN_E_UNSUPPORTED (unknown voice), SN_E_DEPENDENCY (no helper, no espeak data), SN_E_TIMEOUT, SN_E_IO (the helper died of this text). */
int sn_phonemizer_run(sn_phonemizer *phonemizer, const char *voice, const char *text, size_t size, sn_clauses *out, char *err);
void sn_clauses_free(sn_clauses *clauses);

#endif
