/* Looking at speech that was just made, from its samples alone: what can go wrong in a model that speaks shows in them. */
#ifndef SN_SPEECH_CHECK_H
#define SN_SPEECH_CHECK_H

#include "text/normalise.h"

#include <stdint.h>

typedef enum sn_fault {
	SN_FAULT_TOO_LONG = 1, SN_FAULT_TOO_SHORT = 2, SN_FAULT_SILENT = 4, SN_FAULT_SILENCE_INSIDE = 8, SN_FAULT_CLIPPED = 16,
	SN_FAULT_OFFSET = 32, SN_FAULT_MISREAD = 64
} sn_fault;
#define SN_FAULT_COUNT 7

typedef struct sn_check {
	unsigned faults;           /* of sn_fault */
	double duration, expected; /* seconds */
	double gap;                /* longest silence inside */
	float peak, clipped, offset; /* largest magnitude; share of samples; mean */
	int words, word_errors;    /* words 0: not read back */
} sn_check;

/* Seconds that the words take at the usual pace, about: by letters, signs of other scripts, and punctuation. */
double sn_check_expected(const char *words, size_t size);

/* expected: as above, divided by the speed; 0: unknown. clipped: samples that were louder than full scale. Fills all but the words. */
void sn_check_speech(sn_check *check, const float *pcm, size_t count, int rate, int64_t clipped, double expected);

/* What was understood: many errors make it misread. */
void sn_check_words(sn_check *check, int words, int errors);

/* Is a better than b? Fewer words wrong, then fewer and lighter faults, then the length nearer to what was expected. */
int sn_check_better(const sn_check *a, const sn_check *b);

/* Code of the i-th fault and a message on it, where the check has it; else NULL. `sentence` counts from 1. */
const char *sn_check_fault(const sn_check *check, int i, int sentence, char *message, size_t size);

/* Words of the reference, and how many must be put in, taken out or changed to get the other text, both read as words, without case and
 * punctuation. Scripts without spaces count by characters. Errors: those of sn_normalise. */
int sn_word_errors(sn_normaliser *normaliser, const char *reference, size_t reference_size, const char *other, size_t other_size,
                   int *words, int *errors, char *err);

#endif
