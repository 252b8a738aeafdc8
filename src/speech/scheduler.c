#include "speech/scheduler.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

typedef struct request {
	void (*fn)(void *payload);
	void *payload;
	int done;
	struct request *next;
} request;

struct sn_sched {
	nn_pool *pool;
	pthread_t host; /* waits while worker 0 of the pool conducts */
	pthread_t conductor;
	pthread_mutex_t lock;
	pthread_cond_t work, event;
	pthread_condattr_t monotonic;
	sn_link *jobs, *runnable, *resting, *leaving;
	sn_link *told;   /* jobs whose `ready` is to be called */
	sn_turn *turns;  /* of shares, one for each class that they have jobs in */
	int count, quit;
	request *requests;
	double clock[3]; /* per class: `served` of the turn that ran last; who joins or wakes starts there */
	double charged;  /* of the present step, to jobs by name */
	sn_engine_stats stats;
};

/* ---- lists ---- */

static void put(sn_link **list, sn_link *link, sn_job *job) {
	if (link->at)
		return;
	*link = (sn_link){ .next = *list, .at = list, .job = job };
	if (link->next)
		link->next->at = &link->next;
	*list = link;
}

static void take(sn_link *link) {
	if (!link->at)
		return;
	*link->at = link->next;
	if (link->next)
		link->next->at = link->at;
	link->at = NULL;
}

/* ---- turns ---- */

/* Before the others: a higher class, else what is urgent, else a less served share, else less served in it. */
static int before(const sn_job *a, const sn_job *b) {
	static const int rank[] = { [SN_PRIORITY_REALTIME] = 0, [SN_PRIORITY_INTERACTIVE] = 1, [SN_PRIORITY_BATCH] = 2 };
	if (a->priority != b->priority)
		return rank[a->priority] < rank[b->priority];
	if (a->urgent != b->urgent)
		return a->urgent;
	return a->turn == b->turn ? a->served < b->served : a->turn->served < b->turn->served;
}

static sn_job *pick(const sn_sched *s) {
	if (s->leaving)
		return s->leaving->job;
	sn_job *best = s->runnable ? s->runnable->job : NULL;
	for (const sn_link *l = s->runnable; l; l = l->next)
		if (before(l->job, best))
			best = l->job;
	return best;
}

static sn_turn *find_turn(const sn_sched *s, uint64_t share, sn_priority priority) {
	for (sn_turn *t = s->turns; t; t = t->next)
		if (t->share == share && t->priority == priority)
			return t;
	return NULL;
}

/* Lock held. 0: no memory. */
static int join_turn(sn_sched *s, sn_job *job) {
	sn_turn *turn = job->share ? find_turn(s, job->share, job->priority) : &job->own;
	if (job->share && !turn) {
		turn = malloc(sizeof *turn);
		if (!turn)
			return 0;
	}
	if (turn == &job->own || !find_turn(s, job->share, job->priority)) {
		*turn = (sn_turn){ .share = job->share, .priority = job->priority, .served = s->clock[job->priority] };
		if (job->share) {
			turn->next = s->turns;
			s->turns = turn;
		}
	}
	turn->jobs++;
	job->turn = turn;
	job->served = turn->clock;
	return 1;
}

static void leave_turn(sn_sched *s, sn_job *job) {
	sn_turn *const turn = job->turn;
	turn->runnable -= job->runnable;
	if (--turn->jobs || turn == &job->own)
		return;
	sn_turn **at = &s->turns;
	while (*at != turn)
		at = &(*at)->next;
	*at = turn->next;
	free(turn);
}

static void make_runnable(sn_sched *s, sn_job *job) {
	job->runnable = 1;
	job->since = sn_now();
	job->turn->runnable++;
	put(&s->runnable, &job->runs, job);
}

static void wake_resting(sn_sched *s) {
	while (s->resting) {
		sn_job *const job = s->resting->job;
		take(&job->rests);
		sn_sched_wake(s, job);
	}
}

/* ---- the conductor ---- */

/* Calls `ready` of all that are to be told. The conductor alone does, so a job that it has removed is told nothing more. Lock held, but
 * not meanwhile. */
static void tell(sn_sched *s) {
	while (s->told) {
		sn_job *const job = s->told->job;
		take(&job->told);
		pthread_mutex_unlock(&s->lock);
		job->ready(job->ready_payload);
		pthread_mutex_lock(&s->lock);
	}
}

static void detach(sn_sched *s, sn_job *job) {
	pthread_mutex_unlock(&s->lock);
	job->leave(job);
	pthread_mutex_lock(&s->lock);
	leave_turn(s, job);
	sn_link *const links[] = { &job->all, &job->runs, &job->rests, &job->told };
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		take(links[i]);
	s->count--;
	job->left = 1;
	wake_resting(s);
	pthread_cond_broadcast(&s->event);
}

static void run_step(sn_sched *s, sn_job *job) {
	job->runnable = 0; /* a wake during the step sets it again, and urgent */
	job->urgent = job->presses = 0;
	job->turn->runnable--;
	take(&job->runs);
	take(&job->rests);
	s->clock[job->priority] = job->turn->served;
	job->turn->clock = job->served;
	s->charged = 0;
	double start = sn_now();
	s->stats.queued += start - job->since;
	pthread_mutex_unlock(&s->lock);
	int result = job->step(job);
	double spent = sn_now() - start;
	pthread_mutex_lock(&s->lock);
	s->stats.busy += spent;
	job->urgent |= job->presses;
	job->served += spent - s->charged;
	job->turn->served += spent - s->charged;
	if (result == SN_OK && !job->runnable)
		make_runnable(s, job);
}

static void conduct(void *payload) {
	sn_sched *s = payload;
	pthread_mutex_lock(&s->lock);
	s->conductor = pthread_self();
	for (;;) {
		tell(s);
		request *r = s->requests;
		if (r) {
			s->requests = r->next;
			pthread_mutex_unlock(&s->lock);
			const double start = sn_now();
			r->fn(r->payload);
			pthread_mutex_lock(&s->lock);
			s->stats.busy += sn_now() - start;
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

/* ---- opening ---- */

static void destroy(sn_sched *s) {
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->event);
	pthread_condattr_destroy(&s->monotonic);
	pthread_mutex_destroy(&s->lock);
	free(s);
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
	pthread_condattr_init(&s->monotonic);
	pthread_condattr_setclock(&s->monotonic, CLOCK_MONOTONIC);
	if (pthread_create(&s->host, NULL, host_main, s) != 0) {
		destroy(s);
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
	destroy(s);
}

/* ---- callers ---- */

void sn_sched_lock(sn_sched *s) { pthread_mutex_lock(&s->lock); }

void sn_sched_unlock(sn_sched *s) {
	if (s->told && pthread_equal(s->conductor, pthread_self()))
		tell(s);
	pthread_mutex_unlock(&s->lock);
}

int sn_sched_wait(sn_sched *s, sn_job *job, double seconds) {
	struct timespec until;
	if (!isfinite(seconds))
		return pthread_cond_wait(&job->event, &s->lock) == 0;
	clock_gettime(CLOCK_MONOTONIC, &until);
	const double end = (double)until.tv_nsec * 1e-9 + seconds;
	until.tv_sec += (time_t)end;
	until.tv_nsec = (long)((end - floor(end)) * 1e9);
	return pthread_cond_timedwait(&job->event, &s->lock, &until) == 0;
}

void sn_sched_signal(sn_sched *s, sn_job *job) {
	if (job->left)
		return;
	pthread_cond_broadcast(&job->event);
	if (!job->ready || !job->hungry)
		return;
	job->hungry = 0;
	put(&s->told, &job->told, job);
	pthread_cond_signal(&s->work);
}

void sn_sched_pass_on(void *payload) {
	sn_job *const outer = payload;
	sn_sched_lock(outer->sched);
	sn_sched_signal(outer->sched, outer);
	sn_sched_unlock(outer->sched);
}

void sn_sched_hunger(sn_job *job) { job->hungry = 1; }

int sn_sched_add(sn_sched *s, sn_job *job, char *err) {
	pthread_mutex_lock(&s->lock);
	const int full = s->count >= SN_SCHED_MAX_JOBS, joined = !full && join_turn(s, job);
	if (joined) {
		pthread_cond_init(&job->event, &s->monotonic);
		put(&s->jobs, &job->all, job);
		job->sched = s;
		job->left = 0;
		job->hungry = 1;
		s->count++;
	}
	pthread_mutex_unlock(&s->lock);
	if (full)
		return sn_fail(err, SN_E_BUSY, "%d sessions are open, which is the most an engine takes; close some", SN_SCHED_MAX_JOBS);
	return joined ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for a session");
}

void sn_sched_remove(sn_sched *s, sn_job *job) {
	pthread_mutex_lock(&s->lock);
	job->leaving = 1;
	take(&job->runs);
	put(&s->leaving, &job->runs, job);
	pthread_cond_signal(&s->work);
	while (!job->left)
		pthread_cond_wait(&s->event, &s->lock);
	pthread_mutex_unlock(&s->lock);
	pthread_cond_destroy(&job->event);
}

void sn_sched_wake(sn_sched *s, sn_job *job) {
	sn_turn *const turn = job->turn;
	job->urgent |= job->lively;
	if (job->runnable || job->leaving)
		return;
	if (!turn->runnable && turn->served < s->clock[job->priority])
		turn->served = s->clock[job->priority];
	if (job->served < turn->clock)
		job->served = turn->clock;
	make_runnable(s, job);
	pthread_cond_signal(&s->work);
}

void sn_sched_rest(sn_sched *s, sn_job *job) {
	pthread_mutex_lock(&s->lock);
	put(&s->resting, &job->rests, job);
	pthread_mutex_unlock(&s->lock);
}

void sn_sched_wake_all(sn_sched *s) {
	pthread_mutex_lock(&s->lock);
	wake_resting(s);
	pthread_mutex_unlock(&s->lock);
}

void sn_sched_charge(sn_sched *s, sn_job *job, double seconds) {
	pthread_mutex_lock(&s->lock);
	job->served += seconds;
	job->turn->served += seconds;
	s->charged += seconds;
	pthread_mutex_unlock(&s->lock);
}

void sn_sched_count(sn_sched *s, sn_stage stage, int rows, double start) {
	sn_stage_stats *const counts = &s->stats.stages[stage];
	pthread_mutex_lock(&s->lock);
	counts->steps += rows > 0;
	counts->rows += rows;
	counts->seconds += sn_now() - start;
	pthread_mutex_unlock(&s->lock);
}

void sn_sched_count_feature(sn_sched *s, int hit) {
	pthread_mutex_lock(&s->lock);
	*(hit ? &s->stats.feature_hits : &s->stats.feature_misses) += 1;
	pthread_mutex_unlock(&s->lock);
}

void sn_sched_measure(sn_sched *s, sn_engine_stats *stats) {
	static const char *const names[SN_STAGES] = { "encode", "decode", "speak", "vocode", "other" };
	pthread_mutex_lock(&s->lock);
	*stats = s->stats;
	for (const sn_link *l = s->jobs; l; l = l->next)
		stats->sessions[l->job->priority] += l->job->counts;
	for (const sn_link *l = s->runnable; l; l = l->next)
		stats->ready[l->job->priority] += l->job->counts;
	pthread_mutex_unlock(&s->lock);
	stats->stages[SN_STAGE_OTHER].seconds = stats->busy;
	for (int i = 0; i < SN_STAGES; i++) {
		stats->stages[i].name = names[i];
		if (i != SN_STAGE_OTHER)
			stats->stages[SN_STAGE_OTHER].seconds -= stats->stages[i].seconds;
	}
	if (stats->stages[SN_STAGE_OTHER].seconds < 0) /* a step that is being counted */
		stats->stages[SN_STAGE_OTHER].seconds = 0;
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
