/* What all transcribing sessions share: stt.c hands samples and events between caller and conductor, stt_tape.c keeps the samples that
 * are in work. How audio becomes segments is a class's own: stt_whisper.h, stt_ctc.c. */
#ifndef SN_SPEECH_STT_H
#define SN_SPEECH_STT_H

#include "speech/denoise.h"
#include "speech/engine.h"
#include "speech/notes.h"

/* Samples between the queue and the windows: two stretches of speech of a window each, their padding, the silence kept between
 * them, and what comes and goes in blocks; about 1.1 million. A power of two, since the tape grows by doubling. */
#define SN_STT_TAPE_MAX ((size_t)1 << 21)
#define SN_STT_BLOCK 32768       /* samples taken from the queue at once */
#define SN_STT_CLEAN 8192        /* the same with noise reduction */

/* How one architecture transcribes. A session is a struct that begins with sn_stt. */
typedef struct sn_stt_class {
	size_t size;                 /* of the session's struct */
	/* On the caller's thread, before the job is known to the scheduler: options, and memory of its own. */
	int (*open)(sn_stt *stt, const sn_stt_options *options, char *err);
	/* On the conductor, before the first work: what only a session with audio needs. May be NULL. */
	int (*begin)(sn_stt *stt, char *err);
	/* Steps of the conductor: SN_OK more may follow at once, SN_AGAIN wait for the caller or for others, else an error (in
	 * stt->message). `full`: the caller has enough to pull; bring to an end what is begun, so that nobody waits for it, but emit
	 * no segments. */
	int (*work)(sn_stt *stt, int full);
	void (*leave)(sn_stt *stt);  /* conductor: gives back what is shared with other jobs; may come more than once */
	/* What would hold the conductor up too long, on a caller's thread, after work has asked for it with sn_stt_ask. SN_AGAIN: not
	 * done within the caller's patience, or SN_TICK; to be called again. May be NULL. */
	int (*serve)(sn_stt *stt, char *err);
	void (*close)(sn_stt *stt);  /* frees its own memory, not the struct */
} sn_stt_class;

extern const sn_stt_class sn_stt_whisper, sn_stt_live, sn_stt_ctc;

/* An event in the queue, with the memory that it points to behind it. */
typedef struct stt_event {
	struct stt_event *next;
	sn_event event;
} stt_event;

struct sn_stt {
	sn_job job;
	sn_engine *engine;
	sn_model *model;
	const sn_stt_class *class;
	double origin;               /* seconds of the whole audio before the first sample */
	double patience;             /* seconds that a call of the caller may wait: INFINITY, or 0 where it is told by `ready` */

	/* between caller and conductor, under the scheduler's lock */
	float *queue;
	size_t queued, queue_capacity;
	int finished, cancelled, done;
	int chore;                   /* work waits for `serve` */
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
	int begun;
	sn_denoise *denoise;         /* between queue and tape; NULL: off */
	int segments;                /* made so far */
	sn_notes notes;
};

/* ---- stt.c: for the classes ---- */
/* Ends the session with an error, which the caller gets instead of what was not pulled yet; returns `code`. */
int sn_stt_fail(sn_stt *stt, int code, const char *sentence);
int sn_stt_emit(sn_stt *stt, const sn_event *event); /* appends an event for the caller; copies what it points to */
void sn_stt_moved(sn_stt *stt, int64_t samples);     /* so many are done */
void sn_stt_conclude(sn_stt *stt);                   /* emits the notes and ends the session */

void sn_stt_ask(sn_stt *stt);                        /* work rests until the caller's thread has called `serve` */

/* Options of a session inside of another, whose caller is told of what happens in it. */
void sn_stt_inside(sn_stt_options *options, sn_job *outer);
/* The most seconds that a call of the session may wait; then it returns SN_AGAIN. */
void sn_stt_be_patient(sn_stt *stt, double seconds);
/* Where its first sample lies in the whole audio, whose times it tells. Before the first push. */
void sn_stt_begin_at(sn_stt *stt, double seconds);

/* ---- stt_tape.c ---- */
static inline int64_t sn_stt_tape_end(const sn_stt *stt) { return stt->tape_first + stt->tape_count; }
void sn_stt_trim(sn_stt *stt, int64_t sample); /* forgets samples before `sample`, when that makes room worth the move */
int sn_stt_intake(sn_stt *stt);                /* from the queue to the tape. SN_AGAIN: there is nothing new, not even the end */

#endif
