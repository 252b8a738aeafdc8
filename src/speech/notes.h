/* Remarks on a result: see sn_note in sonant.h for what they are for. */
#ifndef SN_SPEECH_NOTES_H
#define SN_SPEECH_NOTES_H

#include "base/error.h"

#define SN_MAX_NOTES 48
#define SN_NOTES_ALIKE 8         /* notes of one code; the last then counts those that are left out */
#define SN_NOTE_TEXT 256

typedef struct sn_notes {
	int count;
	struct { char code[32], message[SN_NOTE_TEXT]; int length, more; } note[SN_MAX_NOTES]; /* length: without "; and N more" */
} sn_notes;

/* Adds a note; a second one with the same code and whatever is beyond SN_MAX_NOTES is dropped. */
void sn_notes_add(sn_notes *notes, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Adds one of several with the same code, of different places in the audio. From SN_NOTES_ALIKE on they are only counted, in the
 * message of the last: "...; and 12 more". */
void sn_notes_append(sn_notes *notes, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
