/* One conductor runs the steps of all sessions. It is worker 0 of the engine's pool, so a step may lead parallel sections. A job
 * is a state machine whose step takes some milliseconds; classes go before one another, and inside a class the job that has had
 * the least computing goes first, so that a short request overtakes a long one at the next step. */
#ifndef SN_SPEECH_SCHEDULER_H
#define SN_SPEECH_SCHEDULER_H

#include "nn/nn.h"

#include <pthread.h>

#define SN_SCHED_MAX_JOBS 4096

typedef struct sn_sched sn_sched;

typedef struct sn_job {
	/* Set before sn_sched_add. */
	int (*step)(struct sn_job *job);  /* conductor, no lock held: SN_OK more to do, SN_AGAIN sleep until woken */
	void (*leave)(struct sn_job *job); /* conductor: gives back what is shared with other jobs, called once */
	sn_priority priority;
	/* The scheduler's. */
	struct sn_job *next;
	int runnable, leaving, left;
	double served;                    /* seconds of computing it has had */
	pthread_cond_t event;             /* its caller waits here */
} sn_job;

int sn_sched_open(sn_sched **out, nn_pool *pool, char *err);
void sn_sched_close(sn_sched **sched); /* no job may be left */

/* The one lock of the engine's sessions: it guards what push, pull and steps hand to each other, and is held for copies only. */
void sn_sched_lock(sn_sched *sched);
void sn_sched_unlock(sn_sched *sched);
/* A job's caller waits, lock held, until a step signals. */
void sn_sched_wait(sn_sched *sched, sn_job *job);
void sn_sched_signal(sn_sched *sched, sn_job *job);

/* `left` is 0 from here on until the job was removed. Errors: SN_E_BUSY. */
int sn_sched_add(sn_sched *sched, sn_job *job, char *err);
/* Returns once no step of the job runs or will run, and `leave` was called. */
void sn_sched_remove(sn_sched *sched, sn_job *job);
/* The job has something to do. Lock held. */
void sn_sched_wake(sn_sched *sched, sn_job *job);
/* From a step: jobs that wait for a shared resource may try again. */
void sn_sched_wake_all(sn_sched *sched);
/* From a step: this job has had that much computing in a step of another one. */
void sn_sched_charge(sn_sched *sched, sn_job *job, double seconds);

/* Runs fn on the conductor between two steps and waits. */
void sn_sched_call(sn_sched *sched, void (*fn)(void *payload), void *payload);

#endif
