/* A transcribing session: stt.c hands data over, stt_step.c computes, stt_text.c makes segments. */
#ifndef SN_SPEECH_STT_H
#define SN_SPEECH_STT_H

#include "speech/engine.h"
#include "speech/notes.h"
#include "speech/vad.h"

#define SN_STT_MAX_PIECES 256    /* stretches of speech in one window */
#define SN_STT_MAX_PAUSES 64     /* kept for choosing the cut of a window */
#define SN_STT_MAX_HISTORY 448   /* tokens of earlier text that are kept */
/* Samples between the queue and the windows: two stretches of speech of a window each, their padding, the silence kept between
 * them, and what comes and goes in blocks; about 1.1 million. A power of two, since the tape grows by doubling. */
#define SN_STT_TAPE_MAX ((size_t)1 << 21)
#define SN_STT_VAD_CHUNKS 128    /* chunks that the detector hears at once */

/* An event in the queue, with the memory that it points to behind it. */
typedef struct stt_event {
	struct stt_event *next;
	sn_event event;
} stt_event;

/* A stretch of the source inside a window. */
typedef struct stt_piece {
	int64_t at, source, samples; /* where in the window, where in the source */
} stt_piece;

/* A pause in the speech, where a window may be cut. */
typedef struct stt_pause {
	int64_t middle, samples;     /* in the source */
} stt_pause;

typedef enum stt_stage { STT_FREE, STT_ENCODING, STT_ENCODED, STT_DETECTING, STT_SEARCHING, STT_DONE } stt_stage;

/* A window that is being decoded. */
typedef struct stt_window {
	stt_stage stage;
	sn_place *place;
	int index;                   /* 0, 1, ... in the session */
	int64_t frames;              /* of audio in it; the rest is padding */
	int until;                   /* text goes on at least to this time, see sn_search_options */
	int tries;                   /* temperatures used before this one */
	float compression_ratio;     /* of the last try, as is the result */
	sn_search_result result;
	int piece_count;
	stt_piece pieces[SN_STT_MAX_PIECES];
} stt_window;

struct sn_stt {
	sn_job job;
	sn_engine *engine;
	sn_model *model, *vad_model; /* vad_model NULL: sequential windows */
	const sn_whisper_config *config;
	/* options */
	int language, translate;     /* language: index in the configuration, -1: not known yet */
	int beam, fallback, condition, previous_tokens, timestamps, batch;
	float temperature;
	uint64_t seed;
	int32_t prompt[SN_STT_MAX_HISTORY];
	int prompt_count;

	/* between caller and conductor, under the scheduler's lock */
	float *queue;
	size_t queued, queue_capacity;
	int finished, cancelled, done;
	int error;                   /* not SN_OK: ended the session */
	char message[SN_ERRLEN];
	stt_event *first, **last, *current; /* current: borrowed by the caller */
	int events;
	double position;

	/* the conductor's */
	float *tape;                 /* samples tape_first .. tape_first + tape_count of the source */
	int64_t tape_first, tape_count;
	size_t tape_capacity;
	int at_end;                  /* the tape has the last sample */
	int64_t seek;                /* sequential: frame at which the next window begins */
	sn_vad vad;
	sn_silero_stream vad_stream;
	int64_t heard;               /* samples that the detector has seen */
	float probabilities[SN_STT_VAD_CHUNKS]; /* of chunks that the state machine has not seen */
	int probability_count, probability_next;
	int vad_ended;
	stt_pause pauses[SN_STT_MAX_PAUSES]; /* the last ones, a ring */
	int pause_count;             /* ever */
	int64_t quiet;               /* samples of the pause that lasts */
	sn_vad_segment speech;       /* found, not yet in a window */
	int has_speech;
	sn_vad_segment carried[SN_STT_MAX_PIECES]; /* cut off the window before: goes before `speech` */
	int carried_next, carried_count;
	int64_t window_frames, window_samples; /* of a whole window */
	float *staged;               /* vad: the window being filled, [window_samples] */
	int64_t staged_count, staged_speech; /* the latter: up to the end of the last speech */
	stt_piece pieces[SN_STT_MAX_PIECES];
	int piece_count, sealed;     /* sealed: waits for the encoder */
	int window_first, window_count, window_room, places; /* places: windows that hold one */
	stt_window *windows;         /* [window_room], a ring in the order of time */
	int32_t history[SN_STT_MAX_HISTORY]; /* text before the window, for conditioning */
	int history_count;
	int segments;                /* made so far */
	int begun, silent, repeated, limited; /* windows: all, skipped as silence, decoded again, ended by the most tokens */
	float language_confidence;
	sn_notes notes;
};

/* stt_step.c */
int sn_stt_step(sn_job *job);
void sn_stt_leave(sn_job *job);

/* stt.c: appends an event for the caller. */
int sn_stt_emit(sn_stt *stt, const sn_event *event);

/* stt_text.c: segments of a finished window. Returns the frames by which a sequential reading goes on. */
int64_t sn_stt_segments(sn_stt *stt, const stt_window *window);
/* Length of the text of the tokens against its zlib-compressed length. */
int sn_stt_compression_ratio(const sn_stt *stt, const int32_t *tokens, int count, float *ratio);

#endif
