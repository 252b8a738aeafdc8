/* What the sessions of one loaded Whisper share: the encoder, the entries for encoded windows, the cache slots, and the decoder
 * step that takes the rows of every search at once. Only the conductor calls it. */
#ifndef SN_SPEECH_LANE_H
#define SN_SPEECH_LANE_H

#include "audio/mel.h"
#include "speech/scheduler.h"
#include "speech/search.h"

#define SN_LANE_MAX_WINDOWS 32
#define SN_LANE_BEST_OF 5 /* sequences sampled at temperatures above 0 */

typedef struct sn_lane sn_lane;

/* One window from its encoding to its text. */
typedef struct sn_place {
	sn_job *job;              /* whose it is; NULL: free */
	int entry;                /* of the cross attention */
	int slot_count;
	int32_t slots[SN_SEARCH_MAX_BEAM];
	sn_search *search;
	int searching, detecting; /* rows are wanted; those of a language detection */
	double since;             /* when the search was started */
	int failed;               /* not SN_OK: what ended the search, with the cause */
	char why[SN_ERRLEN];
	int language;             /* index in the configuration, found by a detection */
	float language_probability;
} sn_place;

/* What live sessions share, each held by one job at a time: an encoder that runs between the pieces of others, an entry and a cache
 * slot that other sessions cannot take. One hears partials, one whole windows. */
typedef enum sn_ear_kind { SN_EAR_PARTIAL, SN_EAR_WHOLE, SN_EARS } sn_ear_kind;
typedef struct sn_ear {
	sn_job *job;              /* whose it is; NULL: free */
	int entry;                /* of the cross attention */
	int32_t slot;
	sn_whisper_encoder *encoder;
	int positions, begun, budget;
} sn_ear;

/* The whisper was loaded for `windows` + SN_EARS windows and `rows` + SN_EARS sequences: the last ones are the ears'. */
int sn_lane_open(sn_lane **out, sn_whisper *whisper, int windows, int rows, sn_sched *sched, nn_pool *pool, char *err);
void sn_lane_close(sn_lane **lane);
sn_whisper *sn_lane_whisper(const sn_lane *lane);
int sn_lane_windows(const sn_lane *lane);

/* A free place with `slots` cache slots for the job, and the encoder with it. NULL: not now; sn_sched_rest until it may be tried again.
 * Who has places leaves the last one to who has none. */
sn_place *sn_lane_take(sn_lane *lane, sn_job *job, int slots);
/* The job, which has no place, asked for one in vain and will ask again: until it has one, nobody but a higher class takes slots, or the
 * last place, that it would miss, so that many are free at once some time. One job at a time is waited for: the first that asked, of the
 * highest class. */
void sn_lane_await(sn_lane *lane, sn_job *job, int slots);
/* It will not ask again for now. Does nothing for a job that is not waited for. */
void sn_lane_withdraw(sn_lane *lane, const sn_job *job);
/* Gives the place back whatever it is doing. */
void sn_lane_give(sn_lane *lane, sn_place *place);

/* Log-mel of `frames` frames of the view, zeros (as the reference pads its features) up to the whole window. */
void sn_lane_features(sn_lane *lane, sn_place *place, const sn_mel_view *view, int64_t frames);
/* A piece of the encoder: SN_AGAIN more is left; SN_OK done, the encoder is free for others; else an error. At once where a free place still holds the
 * encoding of the very same features; the place then has another entry. */
int sn_lane_encode(sn_lane *lane, sn_place *place, char *err);
/* The entry was written to by other means. */
void sn_lane_forget(sn_lane *lane, const sn_place *place);

int sn_lane_detect(sn_lane *lane, sn_place *place, char *err);
int sn_lane_search(sn_lane *lane, sn_place *place, const int32_t *prompt, int count, int sot_index,
                   const sn_search_options *options, char *err);
/* Is it better for the searches of this job to wait? Another session's first window is being encoded: then both are decoded at once. Never
 * for long, nor for a session of a lower class. sn_sched_rest until it may be asked again. */
int sn_lane_gathers(const sn_lane *lane, const sn_job *job);
/* One decoder step for the rows of all searches; the time is shared among their jobs. A step that fails ends them all: each place says so. */
void sn_lane_decode(sn_lane *lane);

/* ---- live sessions ---- */

/* Makes the ears, on a caller's thread, one at a time; does nothing when they are there. */
int sn_lane_listen(sn_lane *lane, char *err);
/* NULL: not now, as sn_lane_take. */
sn_ear *sn_lane_ear_take(sn_lane *lane, sn_ear_kind kind, sn_job *job);
void sn_lane_ear_give(sn_lane *lane, sn_ear *ear);
/* As sn_lane_features for `positions` of the encoder, and as sn_lane_encode. */
void sn_lane_ear_features(sn_lane *lane, sn_ear *ear, const sn_mel_view *view, int64_t frames, int positions);
int sn_lane_ear_encode(sn_lane *lane, sn_ear *ear, char *err);
/* Room for the logits of SN_EAR_ROWS rows, for the time of one step. */
#define SN_EAR_ROWS 48
float *sn_lane_ear_logits(sn_lane *lane);

#endif
