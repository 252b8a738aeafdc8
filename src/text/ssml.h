/* SSML 1.1 as speech users write it, read by expat in pieces of any size: what is to be said, in order, with the style it is said in.
 *
 * Elements: speak, p, s, break, prosody (rate, pitch, volume), say-as, phoneme, sub, lang, voice, mark; metadata and meta are passed
 * over; emphasis, audio, desc and unknown elements are left out with a note, their content is spoken.
 *
 * Hostile input: a document type with declarations of its own is refused (so there is no entity to expand, and nothing is ever
 * fetched), elements nest at most SN_SSML_DEPTH deep, a tag has at most SN_SSML_TAG bytes. Memory does not grow with the document. */
#ifndef SN_TEXT_SSML_H
#define SN_TEXT_SSML_H

#include "base/error.h"

#define SN_SSML_DEPTH 64
#define SN_SSML_TAG ((size_t)16 << 10)
#define SN_SSML_CONTENT ((size_t)4 << 10) /* bytes of text inside one say-as or phoneme */
#define SN_SSML_PHONEMES ((size_t)512)    /* bytes of a ph attribute, as IPA */
#define SN_SSML_NAME ((size_t)63)         /* bytes of the name of a voice or mark */
#define SN_SSML_BREAK 10.0                /* seconds; a longer one is cut, with a note */

typedef struct sn_ssml_style {
	float rate, pitch;         /* factors */
	float gain;                /* of the samples; 0: silent */
	char language[16];         /* xml:lang as written; "": none was */
	char voice[SN_SSML_NAME + 1]; /* "": none was named */
} sn_ssml_style;

typedef enum sn_ssml_kind {
	SN_SSML_TEXT,      /* text */
	SN_SSML_SAY_AS,    /* text, to be read as `value` with `format` and `detail` */
	SN_SSML_IPA,       /* `value`: IPA; text: what it stands for */
	SN_SSML_BREAK_OF,  /* seconds of silence */
	SN_SSML_MARK,      /* `value`: its name */
	SN_SSML_END,       /* of a sentence or paragraph */
	SN_SSML_NOTE       /* `value`: a code; text: a sentence on what was ignored */
} sn_ssml_kind;

/* Everything is borrowed for the call. text has `size` bytes, the others end with NUL, "" where they were not given. */
typedef struct sn_ssml_event {
	sn_ssml_kind kind;
	const sn_ssml_style *style;
	const char *text;
	size_t size;
	const char *value, *format, *detail;
	double seconds;
} sn_ssml_event;

/* A code other than SN_OK ends the reading. */
typedef int (*sn_ssml_emit)(void *payload, const sn_ssml_event *event, char *err);

typedef struct sn_ssml sn_ssml;
int sn_ssml_open(sn_ssml **out, sn_ssml_emit emit, void *payload, char *err);
void sn_ssml_close(sn_ssml **ssml);

/* The next bytes of the document; last: there are no more. Errors are final: SN_E_FORMAT (malformed: says line and column),
 * SN_E_LIMIT, SN_E_MEMORY, what emit returned. */
int sn_ssml_push(sn_ssml *ssml, const char *data, size_t size, int last, char *err);

/* Is this the beginning of an SSML document? 1 yes, 0 no, -1 too short to tell. White space, a byte order mark and an XML
 * declaration may come first. */
int sn_ssml_begins(const char *text, size_t size);

/* X-SAMPA to IPA, at most room - 1 bytes. 0: a sign that is not X-SAMPA, or too long. */
int sn_ipa_of_xsampa(const char *xsampa, char *ipa, size_t room);

#endif
