/* Marks and capitals for models that write letters only: segments with the times of their words go in, the same segments with
 * sentences come out. By a token classifier (models/bert.h) where there is one, else by rules on pauses and words. Marks belong to the
 * word before them; times, confidences and tokens stay as they are.
 *
 * A segment is held back until what follows it is known, so segments come out some later than they go in. */
#ifndef SN_SPEECH_PUNCTUATE_H
#define SN_SPEECH_PUNCTUATE_H

#include "models/bert.h"

#define SN_PUNCTUATE_MAX_SEGMENTS 1024 /* held back */
#define SN_PUNCTUATE_MAX_WORDS 16384   /* of them */

typedef struct sn_punctuator sn_punctuator;

typedef struct sn_punctuator_options {
	const char *language;      /* code; "": unknown, only what holds everywhere */
	const char *space;         /* between words; "" where they are letters of a script without spaces */
	int keep;                  /* the model writes both cases: its letters stay, only sentences begin with capitals */
	sn_bert *model;            /* NULL: rules. Stays the caller's */
} sn_punctuator_options;

int sn_punctuator_open(sn_punctuator **out, const sn_punctuator_options *options, char *err);
void sn_punctuator_close(sn_punctuator **punctuator);

/* Takes a segment with its words; what it points to is copied. Errors: SN_E_MEMORY, SN_E_LIMIT. */
int sn_punctuator_add(sn_punctuator *punctuator, const sn_segment *segment, char *err);
/* No more segments will come. */
void sn_punctuator_end(sn_punctuator *punctuator);

/* A piece of work, some ms long. SN_OK: call again; SN_END: nothing to do until a segment is added or all are; SN_AGAIN: others use the
 * classifier. Errors: SN_E_MEMORY. */
int sn_punctuator_work(sn_punctuator *punctuator, char *err);
/* The next segment that is ready: 1, borrowed until the next call; 0: none; SN_E_MEMORY. */
int sn_punctuator_next(sn_punctuator *punctuator, const sn_segment **segment);
/* Whether it is in the middle of a window of the classifier, so that others wait for it; leave gives that back, and it begins the
 * window anew later. */
int sn_punctuator_holds(const sn_punctuator *punctuator);
void sn_punctuator_leave(sn_punctuator *punctuator);

#endif
