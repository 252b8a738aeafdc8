/* Threads that run steps. Worker 0 executes whole calls (nn_pool_call) and leads the parallel sections inside them; the others
 * help with sections. A section's tasks are claimed one by one from one word that holds generation, task count and next task, so
 * that a worker that wakes late can neither take a task of another section nor be waited for. */
#include "nn/nn.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MAX_THREADS 256
#define TASK_BITS 20 /* at most 2^20 - 1 tasks a section */
#define TASK_MASK ((UINT64_C(1) << TASK_BITS) - 1)
#define SPIN 4000 /* pauses before a worker sleeps: the serial parts between two sections are shorter than this */

typedef struct call {
	void (*fn)(void *payload);
	void *payload;
	int done;
	struct call *next;
} call;

typedef struct worker {
	nn_pool *pool;
	int index;
	pthread_t thread;
} worker;

struct nn_pool {
	int threads;
	_Atomic uint64_t state; /* generation << 2*TASK_BITS | tasks << TASK_BITS | next task */
	_Atomic int64_t done;
	_Atomic(void (*)(void *, int64_t, int)) fn;
	_Atomic(void *) payload;
	_Atomic int sleepers, quit;
	pthread_mutex_t lock;
	pthread_cond_t wake, call_wake, call_done;
	call *first, **last; /* queue of calls for worker 0 */
	worker workers[];
};

static void flush_denormals(void) {
#if defined(__x86_64__)
	__builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
#elif defined(__aarch64__)
	uint64_t control;
	__asm__ volatile("mrs %0, fpcr" : "=r"(control));
	__asm__ volatile("msr fpcr, %0" : : "r"(control | (1u << 24)));
#endif
}

static void pause_cpu(void) {
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Takes tasks of the present section until none is left. */
static void help(nn_pool *pool, int index) {
	for (;;) {
		uint64_t state = atomic_load(&pool->state);
		if ((state & TASK_MASK) >= (state >> TASK_BITS & TASK_MASK))
			return;
		void (*fn)(void *, int64_t, int) = atomic_load(&pool->fn);
		void *payload = atomic_load(&pool->payload);
		if (!atomic_compare_exchange_strong(&pool->state, &state, state + 1))
			continue;
		fn(payload, (int64_t)(state & TASK_MASK), index);
		atomic_fetch_add(&pool->done, 1);
	}
}

static void wait_for_section(nn_pool *pool, uint64_t generation) {
	for (int i = 0; i < SPIN; i++) {
		if (atomic_load(&pool->state) >> 2 * TASK_BITS != generation || atomic_load(&pool->quit))
			return;
		pause_cpu();
	}
	pthread_mutex_lock(&pool->lock);
	atomic_fetch_add(&pool->sleepers, 1);
	while (atomic_load(&pool->state) >> 2 * TASK_BITS == generation && !atomic_load(&pool->quit))
		pthread_cond_wait(&pool->wake, &pool->lock);
	atomic_fetch_sub(&pool->sleepers, 1);
	pthread_mutex_unlock(&pool->lock);
}

static void *helper_main(void *arg) {
	worker *self = arg;
	nn_pool *pool = self->pool;
	flush_denormals();
	uint64_t generation = 0;
	while (!atomic_load(&pool->quit)) {
		wait_for_section(pool, generation);
		generation = atomic_load(&pool->state) >> 2 * TASK_BITS;
		help(pool, self->index);
	}
	return NULL;
}

static void *leader_main(void *arg) {
	nn_pool *pool = ((worker *)arg)->pool;
	flush_denormals();
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (!pool->first && !atomic_load(&pool->quit))
			pthread_cond_wait(&pool->call_wake, &pool->lock);
		call *c = pool->first;
		if (!c)
			break;
		pool->first = c->next;
		if (!pool->first)
			pool->last = &pool->first;
		pthread_mutex_unlock(&pool->lock);
		c->fn(c->payload);
		pthread_mutex_lock(&pool->lock);
		c->done = 1;
		pthread_cond_broadcast(&pool->call_done);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

int nn_pool_open(nn_pool **out, int threads, char *err) {
	*out = NULL;
	if (threads < 1 || threads > MAX_THREADS)
		return sn_fail(err, SN_E_ARGUMENT, "%d threads asked for; between 1 and %d can run", threads, MAX_THREADS);
	nn_pool *pool = calloc(1, sizeof *pool + (size_t)threads * sizeof(worker));
	if (!pool)
		return sn_fail(err, SN_E_MEMORY, "no memory for a pool of %d threads", threads);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pthread_cond_init(&pool->call_wake, NULL);
	pthread_cond_init(&pool->call_done, NULL);
	pool->last = &pool->first;
	for (int i = 0; i < threads; i++) {
		pool->workers[i] = (worker){ .pool = pool, .index = i };
		if (pthread_create(&pool->workers[i].thread, NULL, i ? helper_main : leader_main, &pool->workers[i]) != 0) {
			int result = sn_fail(err, SN_E_MEMORY, "cannot start thread %d of %d", i + 1, threads);
			nn_pool_close(&pool);
			return result;
		}
		pool->threads = i + 1;
	}
	*out = pool;
	return SN_OK;
}

void nn_pool_close(nn_pool **held) {
	nn_pool *pool = *held;
	*held = NULL;
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	atomic_store(&pool->quit, 1);
	pthread_cond_broadcast(&pool->wake);
	pthread_cond_broadcast(&pool->call_wake);
	pthread_mutex_unlock(&pool->lock);
	for (int i = 0; i < pool->threads; i++)
		pthread_join(pool->workers[i].thread, NULL);
	pthread_cond_destroy(&pool->wake);
	pthread_cond_destroy(&pool->call_wake);
	pthread_cond_destroy(&pool->call_done);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

int nn_pool_threads(const nn_pool *pool) { return pool->threads; }

void nn_pool_call(nn_pool *pool, void (*fn)(void *payload), void *payload) {
	if (pthread_equal(pthread_self(), pool->workers[0].thread)) {
		fn(payload);
		return;
	}
	call c = { .fn = fn, .payload = payload };
	pthread_mutex_lock(&pool->lock);
	*pool->last = &c;
	pool->last = &c.next;
	pthread_cond_signal(&pool->call_wake);
	while (!c.done)
		pthread_cond_wait(&pool->call_done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

typedef struct section {
	nn_pool *pool;
	void (*fn)(void *payload, int64_t task, int worker);
	void *payload;
	int64_t first, tasks;
} section;

static void section_task(void *arg, int64_t task, int worker) {
	const section *s = arg;
	s->fn(s->payload, s->first + task, worker);
}

static void lead(void *arg) {
	section *s = arg;
	nn_pool *pool = s->pool;
	if (pool->threads == 1 || s->tasks == 1) {
		for (int64_t i = 0; i < s->tasks; i++)
			section_task(s, i, 0);
		return;
	}
	/* The last section's tasks are all claimed, so nobody reads these until the state below is published. */
	atomic_store(&pool->done, 0);
	atomic_store(&pool->fn, section_task);
	atomic_store(&pool->payload, s);
	uint64_t generation = (atomic_load(&pool->state) >> 2 * TASK_BITS) + 1;
	atomic_store(&pool->state, generation << 2 * TASK_BITS | (uint64_t)s->tasks << TASK_BITS);
	if (atomic_load(&pool->sleepers)) {
		pthread_mutex_lock(&pool->lock);
		pthread_cond_broadcast(&pool->wake);
		pthread_mutex_unlock(&pool->lock);
	}
	help(pool, 0);
	/* The last tasks end soon, unless the system has taken a helper's CPU away: then it gets this one. */
	for (int i = 0; atomic_load(&pool->done) < s->tasks; i++) {
		if (i < SPIN)
			pause_cpu();
		else
			sched_yield();
	}
}

void nn_pool_run(nn_pool *pool, void (*fn)(void *payload, int64_t task, int worker), void *payload, int64_t tasks) {
	if (tasks <= 0)
		return;
	for (int64_t first = 0; first < tasks; first += (int64_t)TASK_MASK) {
		section s = { pool, fn, payload, first, tasks - first < (int64_t)TASK_MASK ? tasks - first : (int64_t)TASK_MASK };
		nn_pool_call(pool, lead, &s);
	}
}
