/* Numbers, texts, lists and dictionaries of pickles by path (weights.h). Private to this room. */
#ifndef SN_WEIGHTS_FACTS_H
#define SN_WEIGHTS_FACTS_H

#include "weights/weights.h"

typedef enum sn_fact_kind { SN_FACT_NUMBER, SN_FACT_TEXT, SN_FACT_NUMBERS, SN_FACT_LIST, SN_FACT_DICT } sn_fact_kind;

/* What it points at is owned by the weights. */
typedef struct sn_fact {
	const char *path;
	sn_fact_kind kind;
	size_t count; /* of numbers, of items, or of keys */
	union {
		double number;
		const char *text;
		const double *numbers;
		const char *const *keys;
	} is;
} sn_fact;

/* Adds a fact; of two with the same path the first stays. */
int sn_facts_add(sn_weights *weights, const sn_fact *fact, const char *file, char *err);

#endif
