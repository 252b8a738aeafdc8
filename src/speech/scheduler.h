/* One conductor runs the steps of all sessions. It is worker 0 of the engine's pool, so a step may lead parallel sections. A job
 * is a state machine whose step takes some milliseconds; classes go before one another, inside a class what is urgent (someone listens for
 * it) before what is not, then the share that has had the least computing goes first, and in it the job that has had the least, so that a short request overtakes a long one at the next step. */
#ifndef SN_SPEECH_SCHEDULER_H
#define SN_SPEECH_SCHEDULER_H

#include "nn/nn.h"

#include <pthread.h>

#define SN_SCHED_MAX_JOBS 4096

typedef struct sn_sched sn_sched;

/* In a list, or, where `at` is NULL, in none. */
typedef struct sn_link {
	struct sn_link *next, **at;
	struct sn_job *job;
} sn_link;

/* Sessions that take turns as one. */
typedef struct sn_turn {
	struct sn_turn *next;
	uint64_t share;
	sn_priority priority;
	int jobs, runnable;
	double served;                    /* seconds of computing that they have had */
	double clock;                     /* `served` of its job that ran last */
} sn_turn;

typedef struct sn_job {
	/* Set before sn_sched_add. */
	int (*step)(struct sn_job *job);  /* conductor, no lock held: SN_OK more to do, SN_AGAIN sleep until woken */
	void (*leave)(struct sn_job *job); /* conductor: gives back what is shared with other jobs, called once */
	sn_priority priority;
	uint64_t share;                   /* 0: of its own */
	int counts;                       /* as a session, in the statistics */
	int lively;                       /* what wakes it is urgent: it goes before the others of its class until a step says else */
	void (*ready)(void *payload);     /* conductor, no lock held: see sn_sched_signal; may be NULL */
	void *ready_payload;
	/* The scheduler's. */
	sn_sched *sched;
	sn_link all, runs, rests, told;
	int runnable, leaving, left, hungry;
	int urgent;                       /* lock held */
	int presses;                      /* set by its step: what is next is urgent */
	sn_turn *turn, own;
	double served;                    /* seconds of computing it has had */
	double since;                     /* when it became runnable */
	pthread_cond_t event;             /* its caller waits here */
} sn_job;

int sn_sched_open(sn_sched **out, nn_pool *pool, char *err);
void sn_sched_close(sn_sched **sched); /* no job may be left */

/* The one lock of the engine's sessions: it guards what push, pull and steps hand to each other, and is held for copies only. */
void sn_sched_lock(sn_sched *sched);
void sn_sched_unlock(sn_sched *sched);
/* A job's caller waits, lock held, until a step signals, for `seconds` at most; INFINITY: without an end. 0: the time is over. */
int sn_sched_wait(sn_sched *sched, sn_job *job, double seconds);
/* Something has changed for the job's caller: who waits goes on; where nobody does and the caller is hungry, `ready` is called once the lock
 * is free. Lock held. */
void sn_sched_signal(sn_sched *sched, sn_job *job);
/* A `ready` for a job inside of another, the payload: what happens in it happens in that one. */
void sn_sched_pass_on(void *outer);
/* The caller went away with empty hands and wants to be told by `ready`. Lock held. */
void sn_sched_hunger(sn_job *job);

/* `left` is 0 from here on until the job was removed. Errors: SN_E_BUSY, SN_E_MEMORY. */
int sn_sched_add(sn_sched *sched, sn_job *job, char *err);
/* Returns once no step of the job runs or will run, nor `ready`, and `leave` was called. */
void sn_sched_remove(sn_sched *sched, sn_job *job);
/* The job has something to do. Lock held. */
void sn_sched_wake(sn_sched *sched, sn_job *job);
/* From a step: what the job wants is in use by others; sn_sched_wake_all wakes it. */
void sn_sched_rest(sn_sched *sched, sn_job *job);
/* From a step: jobs that wait for a shared resource may try again. */
void sn_sched_wake_all(sn_sched *sched);
/* From a step: so much of it was computing for this job, which need not be the one whose step it is. */
void sn_sched_charge(sn_sched *sched, sn_job *job, double seconds);

/* ---- statistics ---- */

/* Stages of computing, in the order of sn_engine_stats. What no stage counts is "other". */
typedef enum sn_stage { SN_STAGE_ENCODE, SN_STAGE_DECODE, SN_STAGE_SPEAK, SN_STAGE_VOCODE, SN_STAGE_OTHER } sn_stage;
/* From a step: so much was computed since `start` (sn_now). A stage that works in pieces counts rows with its last one. */
void sn_sched_count(sn_sched *sched, sn_stage stage, int rows, double start);
void sn_sched_count_feature(sn_sched *sched, int hit);
void sn_sched_measure(sn_sched *sched, sn_engine_stats *stats);

/* Runs fn on the conductor between two steps and waits. */
void sn_sched_call(sn_sched *sched, void (*fn)(void *payload), void *payload);

#endif
