/* Measurements of models' parts. */
#ifndef SN_SPEECH_MEASURE_H
#define SN_SPEECH_MEASURE_H

#include "speech/engine.h"

typedef struct sn_measure_list {
	sn_measure *items;
	size_t max, count;
} sn_measure_list;

/* Adds a figure: the median and least of times[runs] (sorted here) times `factor`. Nothing where the list is full. */
void sn_measure_add(sn_measure_list *list, const char *name, const char *unit, double factor, double *times, int runs);

/* Models that speak, vocoders and Wav2Vec2. Errors: SN_E_BUSY, SN_E_MEMORY, and those of encoding and of choosing a vocoder. */
int sn_measure_speech(sn_model *model, int runs, sn_measure_list *list, char *err);

/* The others: detectors, denoisers, scores, marks, speaker encoders. Errors: SN_E_BUSY, SN_E_MEMORY, those of their runs. */
int sn_measure_small(sn_model *model, int runs, sn_measure_list *list, char *err);

#endif
