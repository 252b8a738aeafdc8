/* Rating audio: what people would say of it (DNSMOS), and what its samples are like. A rater hears one timeline, in pieces as they come.
 *
 *	sn_rater *rater;
 *	if (sn_rater_open(&rater, engine, 22050, NULL, err) != SN_OK) ...;
 *	while (...) sn_rater_push(rater, pcm, count, err);
 *	sn_rater_finish(rater, &quality, err);          (waits for the last scores)
 *	sn_rater_close(&rater);
 *
 * The network runs as a job of class SN_PRIORITY_BATCH, in pieces of some milliseconds, so every session goes before it. Where nobody
 * may wait for it, options->impatient is set: a push then never waits, and of what lies more than a minute behind, the oldest is left out.
 * All functions are for callers' threads, never for the conductor: push resamples and measures (about 1 % of real time), finish waits.
 *
 * Cost with DNSMOS: a first window of 9.01 s costs more than an encoder window of Whisper base, each further one, a second later,
 * a seventh of that: neighbours share what they both hear. A clip shorter than 9.01 s is heard repeatedly, as the reference does it. */
#ifndef SN_SPEECH_QUALITY_H
#define SN_SPEECH_QUALITY_H

#include "speech/scheduler.h"
#include "speech/tick.h"

typedef struct sn_rater sn_rater;

typedef struct sn_rater_options {
	sn_quality_options quality; /* progress and payload are not used */
	int64_t expected;          /* samples that will come as far as is known: spreads the windows; 0: unknown */
	int impatient;             /* pushes never wait for the network */
	double patience;           /* seconds that an offer or finish may wait; 0: without end, below 0: not at all */
	sn_job *outer;             /* told when one that returned SN_AGAIN may go on; may be NULL */
	/* For who wants to know what the rater hears; each may be NULL. heard: on the pushing thread, all samples at 16 kHz. voice and
	 * speech: on the conductor, before finish returns: probabilities of chunks of 512 such samples from `first` on, and stretches of
	 * speech. */
	void (*heard)(void *payload, const float *pcm, size_t count);
	void (*voice)(void *payload, int64_t first, const float *probabilities, int chunks);
	void (*speech)(void *payload, int64_t start, int64_t end);
	void *payload;
} sn_rater_options;

/* rate: of the samples pushed, mono. options may be NULL. Loads the model that scores, where one is wanted and installed.
 * Returns SN_OK, SN_E_ARGUMENT, SN_E_NOT_FOUND (scores are on and no model is installed), SN_E_BUSY, SN_E_MEMORY, and those of
 * sn_model_load. */
int sn_rater_open(sn_rater **out, sn_engine *engine, int rate, const sn_rater_options *options, char *err);

/* Any number of samples, copied. Returns SN_OK, SN_E_FORMAT (a sample is not a number: says which; none of the push counts), or the
 * error that ended the rating. */
int sn_rater_push(sn_rater *rater, const float *pcm, size_t count, char *err);

void sn_rater_be_patient(sn_rater *rater, double seconds); /* options.patience from here on */
void sn_rater_hear_all(sn_rater *rater); /* options.impatient no more; before the first push */

/* As push, for as much as there is room within the caller's patience: *used samples. SN_AGAIN: that was not all. */
int sn_rater_offer(sn_rater *rater, const float *pcm, size_t count, size_t *used, char *err);

/* As push, but asks the tick, whose `seconds` are the caller's, while it waits. */
int sn_rater_push_asking(sn_rater *rater, const float *pcm, size_t count, const sn_tick *tick, char *err);
int sn_rater_finish_asking(sn_rater *rater, sn_quality *quality, const sn_tick *tick, char *err);

/* The rating of all that was pushed; `sample_rate` is the rate pushed, `channels` 1. Nothing pushed: SN_E_ARGUMENT. Once, but for SN_AGAIN:
 * patience has ended. */
int sn_rater_finish(sn_rater *rater, sn_quality *quality, char *err);
void sn_rater_close(sn_rater **rater);

#endif
