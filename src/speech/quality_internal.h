/* Inside of rating. */
#ifndef SN_SPEECH_QUALITY_INTERNAL_H
#define SN_SPEECH_QUALITY_INTERNAL_H

#include "audio/decode.h"
#include "audio/levels.h"
#include "audio/resample.h"
#include "speech/engine.h"
#include "speech/quality.h"
#include "speech/vad.h"

#define RATER_MAX_WINDOWS 1024   /* rated windows that are told apart */
#define RATER_TAPE (SN_DNSMOS_WINDOW + 2 * SN_DNSMOS_HOP) /* samples */
#define RATER_LATER (SN_DNSMOS_WINDOW + 55 * SN_DNSMOS_HOP) /* the same where nobody waits: all windows of a minute may come later */
#define RATER_BLOCK 4096         /* samples resampled at once */
#define RATER_CHUNK 512          /* samples of a chunk of the voice activity detector */
#define RATER_CHUNKS 32          /* of them heard in one step */
#define SN_MAX_VAD_MS 10000
#define RATER_LEAST_CHUNKS 10    /* of speech and of background from which on their ratio counts */
#define RATER_VARIANTS 2         /* plain, personalised */
#define RATER_SCORES 4           /* overall, signal, background, P.808 */

/* The scores of one window. */
typedef struct rated {
	int64_t second;
	double scores[RATER_VARIANTS][RATER_SCORES];
} rated;

struct sn_rater {
	sn_job job;               /* first */
	sn_engine *engine;
	sn_model *score, *voice;  /* DNSMOS, Silero; either may be NULL */
	sn_rater_options options;
	int joined;               /* the job is the scheduler's */
	/* the caller's */
	int rate;
	sn_levels *levels;
	sn_resampler *resampler;  /* NULL: the rate is the networks' */
	float block[RATER_BLOCK];
	int64_t pushed;           /* samples at the caller's rate */
	int finished, concluded;  /* concluded: the rating was given */
	int failed;               /* the final error, with its message */
	char failure[SN_ERRLEN];
	/* both', under the scheduler's lock */
	float *tape;              /* [room]: samples [first, first + count) at 16 kHz */
	int64_t room;
	int64_t first, count;
	int64_t due;              /* second at which the next window starts */
	int64_t hop;              /* seconds from window to window, a power of two */
	int64_t voiced;           /* samples that the detector has heard */
	int at_end, done;         /* done: all is computed, or the step has failed */
	int result;
	char message[SN_ERRLEN];
	/* the conductor's */
	sn_dnsmos_stream *stream;
	float *window;            /* [SN_DNSMOS_WINDOW] that is being rated */
	int64_t rating;           /* second at which it starts; below 0: none */
	rated *list;              /* [most] */
	int most, rated_count;    /* most 0: all windows count, and only their sums are kept */
	double sums[RATER_VARIANTS][RATER_SCORES];
	sn_silero_stream voice_stream;
	sn_vad vad;
	float chunks[RATER_CHUNKS * RATER_CHUNK];
	int64_t speech;           /* samples */
	float near[2];            /* probabilities of the last two chunks */
	double last_power;        /* of the last one */
	double powers[2];         /* summed, of chunks of speech and of background, */
	int64_t weights[2];       /* and how many those were */
};

int sn_rater_step(sn_job *job);
void sn_rater_leave(sn_job *job);

/* Samples of the timeline at 16 kHz. Lock held, or after the end. */
static inline int64_t sn_rater_end(const sn_rater *r) { return r->first + r->count; }

/* What was measured, once the rater is finished. */
void sn_rater_levels(sn_rater *rater, sn_level_facts *facts);

/* The rating: scores from the means, problems in words. facts: of the levels. */
void sn_quality_judge(sn_quality *quality, const sn_level_facts *facts);

/* quality_file.c: pushes all that the decoder reads, asking the tick. SN_E_FORMAT: it holds no samples. */
int sn_rater_feed(sn_rater *rater, sn_decoder *decoder, sn_tick *tick, char *err);

#endif
