#include "speech/scheduler.h"

#include "base/clock.h"

#include <stdlib.h>

typedef struct request {
	void (*fn)(void *payload);
	void *payload;
	int done;
	struct request *next;
} request;

struct sn_sched {
	nn_pool *pool;
	pthread_t host; /* waits while worker 0 of the pool conducts */
	pthread_mutex_t lock;
	pthread_cond_t work, event;
	sn_job *jobs;
	int count, quit;
	request *requests;
	double clock[3]; /* per class: `served` of the job that ran last; who joins or wakes starts there */
};

/* Before the others: a higher class, else less served. */
static int before(const sn_job *a, const sn_job *b) {
	static const int rank[] = { [SN_PRIORITY_REALTIME] = 0, [SN_PRIORITY_INTERACTIVE] = 1, [SN_PRIORITY_BATCH] = 2 };
	if (a->priority != b->priority)
		return rank[a->priority] < rank[b->priority];
	return a->served < b->served;
}

static sn_job *pick(const sn_sched *s) {
	sn_job *best = NULL;
	for (sn_job *j = s->jobs; j; j = j->next)
		if (j->leaving || (j->runnable && !(best && best->leaving) && (!best || before(j, best))))
			best = j;
	return best;
}

static void detach(sn_sched *s, sn_job *job) {
	pthread_mutex_unlock(&s->lock);
	job->leave(job);
	pthread_mutex_lock(&s->lock);
	sn_job **at = &s->jobs;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	s->count--;
	job->left = 1;
	for (sn_job *j = s->jobs; j; j = j->next)
		sn_sched_wake(s, j);
	pthread_cond_broadcast(&s->event);
}

static void run_step(sn_sched *s, sn_job *job) {
	job->runnable = 0; /* a wake during the step sets it again */
	s->clock[job->priority] = job->served;
	pthread_mutex_unlock(&s->lock);
	double start = sn_now();
	int result = job->step(job);
	double spent = sn_now() - start;
	pthread_mutex_lock(&s->lock);
	job->served += spent;
	if (result == SN_OK)
		job->runnable = 1;
}

static void conduct(void *payload) {
	sn_sched *s = payload;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		request *r = s->requests;
		if (r) {
			s->requests = r->next;
			pthread_mutex_unlock(&s->lock);
			r->fn(r->payload);
			pthread_mutex_lock(&s->lock);
			r->done = 1;
			pthread_cond_broadcast(&s->event);
			continue;
		}
		sn_job *job = pick(s);
		if (job && job->leaving)
			detach(s, job);
		else if (job)
			run_step(s, job);
		else if (s->quit)
			break;
		else
			pthread_cond_wait(&s->work, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
}

static void *host_main(void *payload) {
	sn_sched *s = payload;
	nn_pool_call(s->pool, conduct, s);
	return NULL;
}

int sn_sched_open(sn_sched **out, nn_pool *pool, char *err) {
	*out = NULL;
	sn_sched *s = calloc(1, sizeof *s);
	if (!s)
		return sn_fail(err, SN_E_MEMORY, "no memory for a scheduler");
	s->pool = pool;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->event, NULL);
	if (pthread_create(&s->host, NULL, host_main, s) != 0) {
		free(s);
		return sn_fail(err, SN_E_MEMORY, "cannot start the engine's conductor thread");
	}
	*out = s;
	return SN_OK;
}

void sn_sched_close(sn_sched **sched) {
	sn_sched *s = *sched;
	*sched = NULL;
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->quit = 1;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->host, NULL);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->event);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void sn_sched_lock(sn_sched *s) { pthread_mutex_lock(&s->lock); }
void sn_sched_unlock(sn_sched *s) { pthread_mutex_unlock(&s->lock); }
void sn_sched_wait(sn_sched *s, sn_job *job) { pthread_cond_wait(&job->event, &s->lock); }
void sn_sched_signal(sn_sched *s, sn_job *job) { pthread_cond_broadcast(&job->event); }

int sn_sched_add(sn_sched *s, sn_job *job, char *err) {
	pthread_mutex_lock(&s->lock);
	int full = s->count >= SN_SCHED_MAX_JOBS;
	if (!full) {
		pthread_cond_init(&job->event, NULL);
		job->served = s->clock[job->priority];
		job->next = s->jobs;
		s->jobs = job;
		job->left = 0;
		s->count++;
	}
	pthread_mutex_unlock(&s->lock);
	return full ? sn_fail(err, SN_E_BUSY, "%d sessions are open, which is the most an engine takes; close some",
	                      SN_SCHED_MAX_JOBS) : SN_OK;
}

void sn_sched_remove(sn_sched *s, sn_job *job) {
	pthread_mutex_lock(&s->lock);
	job->leaving = 1;
	pthread_cond_signal(&s->work);
	while (!job->left)
		pthread_cond_wait(&s->event, &s->lock);
	pthread_mutex_unlock(&s->lock);
	pthread_cond_destroy(&job->event);
}

void sn_sched_wake(sn_sched *s, sn_job *job) {
	if (job->runnable)
		return;
	job->runnable = 1;
	if (job->served < s->clock[job->priority])
		job->served = s->clock[job->priority];
	pthread_cond_signal(&s->work);
}

void sn_sched_wake_all(sn_sched *s) {
	pthread_mutex_lock(&s->lock);
	for (sn_job *j = s->jobs; j; j = j->next)
		sn_sched_wake(s, j);
	pthread_mutex_unlock(&s->lock);
}

void sn_sched_charge(sn_sched *s, sn_job *job, double seconds) {
	pthread_mutex_lock(&s->lock);
	job->served += seconds;
	pthread_mutex_unlock(&s->lock);
}

void sn_sched_call(sn_sched *s, void (*fn)(void *payload), void *payload) {
	request r = { .fn = fn, .payload = payload };
	pthread_mutex_lock(&s->lock);
	request **at = &s->requests;
	while (*at)
		at = &(*at)->next;
	*at = &r;
	pthread_cond_signal(&s->work);
	while (!r.done)
		pthread_cond_wait(&s->event, &s->lock);
	pthread_mutex_unlock(&s->lock);
}
