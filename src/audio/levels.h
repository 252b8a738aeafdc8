/* What samples are like as a whole: levels, loudness, clipping, quiet and loud parts, spectrum. One timeline of one channel at any rate,
 * in pieces; memory does not grow with its length. */
#ifndef SN_AUDIO_LEVELS_H
#define SN_AUDIO_LEVELS_H

#include "base/error.h"

#include <stdint.h>

#define SN_LEVELS_FLOOR (-100.0) /* dB that stand for silence */
#define SN_LEVELS_BANDS 10       /* octaves round 31.25, 62.5, ... 16000 Hz */

typedef struct sn_level_facts {
	int64_t samples;
	double peak, true_peak;   /* dBFS; dBTP: between the samples, too */
	double rms, dc;           /* dBFS; -1..1 */
	double crest;             /* dB, peak above rms */
	double loudness, range;   /* LUFS integrated, LU (EBU R128, one channel) */
	double clipping;          /* 0..1: share of samples in flat runs near full scale */
	int64_t clipped_runs;
	double crossings;         /* of zero, a second */
	/* From frames of 20 ms: */
	double floor, loud;       /* dBFS of the quietest tenth, of the loud third */
	double snr;               /* dB, of the loud third without the noise that the floor stands for; 0..100 */
	double silence;           /* 0..1: share of frames below -60 dBFS, or level with a floor that is far below the loud parts */
	/* From the mean power spectrum: */
	double bandwidth;         /* Hz up to which there is energy */
	double centroid, rolloff; /* Hz; 95 % of the power lies below the latter */
	double bands[SN_LEVELS_BANDS]; /* dBFS; SN_LEVELS_FLOOR from half the rate on */
} sn_level_facts;

double sn_levels_band(int index); /* its middle, Hz */

typedef struct sn_levels sn_levels;

/* rate: SN_AUDIO_MIN_RATE..SN_AUDIO_MAX_RATE. Errors: SN_E_ARGUMENT, SN_E_MEMORY. */
int sn_levels_open(sn_levels **out, int rate, char *err);
void sn_levels_close(sn_levels **levels);

/* Samples are numbers (sn_audio_find_invalid). Errors: SN_E_MEMORY. */
int sn_levels_push(sn_levels *levels, const float *samples, size_t count, char *err);

/* Of everything so far; push no more. Nothing: all levels are SN_LEVELS_FLOOR. */
void sn_levels_get(sn_levels *levels, sn_level_facts *facts);

/* 10 log10 of a power, not below SN_LEVELS_FLOOR. */
double sn_decibels(double power);

#endif
