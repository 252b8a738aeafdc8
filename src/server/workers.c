/* The threads that run handlers, and the queue before them. Of those who wait, the one whose key has the fewest requests in work goes
 * first, and among these the one who has waited longest. A thread whose client reads slowly is lent out meanwhile: another takes its place,
 * up to MAX_LENT of them. */
#include "server/connection.h"

#include "base/clock.h"
#include "server/config.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_LENT 1024

struct sv_workers {
	sv_server *server;
	pthread_mutex_t lock;
	pthread_cond_t news;
	sv_connection *first, **last; /* waiting, oldest first */
	int waiting, stopping;
	int count, most, target;     /* threads: that there are, that there may be, that work at once */
	int busy, lent;              /* threads with a request; of these, those that wait for their clients */
	pthread_t *threads;          /* [most] */
	int64_t *working;            /* [most] the key that each thread works for, -1: none */
};

/* ---- choosing; lock held ---- */

static int in_work(const sv_workers *w, int64_t key) {
	int n = 0;
	for (int i = 0; i < w->count; i++)
		n += w->working[i] == key;
	return n;
}

static sv_connection *take(sv_workers *w) {
	sv_connection **best = NULL;
	int least = 0;
	for (sv_connection **at = &w->first; *at; at = &(*at)->queued) {
		const int n = in_work(w, (*at)->request.key.id);
		if (!best || n < least) {
			best = at;
			least = n;
		}
	}
	if (!best)
		return NULL;
	sv_connection *const c = *best;
	*best = c->queued;
	if (!c->queued)
		w->last = best;
	w->waiting--;
	return c;
}

/* ---- working ---- */

static void answer(sv_workers *w, sv_connection *c) {
	sv_request *const r = &c->request;
	const sv_config *const config = w->server->config;
	r->started = sn_now();
	if (atomic_load(&r->gone))
		sv_reply_fail(&c->reply, SN_E_CANCELLED, NULL, "the client went away");
	else if (w->stopping)
		sv_reply_retry(&c->reply, 503, 5, "the server is stopping");
	else if (r->started - r->queued > config->queue_timeout)
		sv_reply_retry(&c->reply, 503, 5, "the request waited too long for its turn");
	else
		r->route->handler(r, &c->reply);
	sv_request_watch(r, NULL, NULL);
	if (!c->reply.answered)
		sv_reply_refusal(c);
	if (c->reply.streaming && !c->reply.ended)
		sv_reply_end(&c->reply, 0);
}

typedef struct worker { sv_workers *all; int index; } worker;

static void *work(void *payload) {
	const worker self = *(worker *)payload;
	sv_workers *const w = self.all;
	free(payload);
	pthread_mutex_lock(&w->lock);
	for (;;) {
		sv_connection *const c = w->stopping || w->busy - w->lent < w->target ? take(w) : NULL;
		if (!c && w->stopping)
			break;
		if (!c) {
			pthread_cond_wait(&w->news, &w->lock);
			continue;
		}
		w->working[self.index] = c->request.key.id;
		w->busy++;
		pthread_mutex_unlock(&w->lock);
		answer(w, c);
		sv_connection_done(c);
		pthread_mutex_lock(&w->lock);
		w->working[self.index] = -1;
		w->busy--;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Lock held. 0: the thread cannot be made. */
static int add_thread(sv_workers *w) {
	worker *const self = malloc(sizeof *self);
	if (!self)
		return 0;
	*self = (worker){ w, w->count };
	w->working[w->count] = -1;
	if (pthread_create(&w->threads[w->count], NULL, work, self) != 0) {
		free(self);
		return 0;
	}
	w->count++;
	return 1;
}

void sv_workers_lend(sv_workers *w, int change) {
	pthread_mutex_lock(&w->lock);
	w->lent += change;
	if (change > 0 && !w->stopping && w->count - w->lent < w->target && w->count < w->most)
		add_thread(w);
	if (change > 0)
		pthread_cond_signal(&w->news);
	pthread_mutex_unlock(&w->lock);
}

int sv_workers_open(sv_workers **out, sv_server *server, int count, char *err) {
	sv_workers *w = *out = calloc(1, sizeof *w);
	const int most = count + MAX_LENT;
	if (w) {
		w->threads = calloc((size_t)most, sizeof *w->threads);
		w->working = malloc((size_t)most * sizeof *w->working);
	}
	if (!w || !w->threads || !w->working) {
		if (w) {
			free(w->threads);
			free(w->working);
		}
		free(w);
		*out = NULL;
		return sn_fail(err, SN_E_MEMORY, "no memory for %d workers", count);
	}
	w->server = server;
	w->last = &w->first;
	w->target = count;
	w->most = most;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->news, NULL);
	for (int i = 0; i < count; i++) {
		pthread_mutex_lock(&w->lock);
		const int added = add_thread(w);
		pthread_mutex_unlock(&w->lock);
		if (!added) {
			sv_workers_close(out);
			return sn_fail(err, SN_E_MEMORY, "only %d of %d workers could be started", i, count);
		}
	}
	return SN_OK;
}

void sv_workers_close(sv_workers **held) {
	sv_workers *const w = *held;
	*held = NULL;
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = 1;
	pthread_cond_broadcast(&w->news);
	pthread_mutex_unlock(&w->lock);
	for (int i = 0; i < w->count; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->news);
	pthread_mutex_destroy(&w->lock);
	free(w->threads);
	free(w->working);
	free(w);
}

int sv_workers_add(sv_workers *w, sv_connection *c, char *err) {
	const int64_t most = w->server->config->max_queue;
	pthread_mutex_lock(&w->lock);
	int result = SN_OK;
	if (w->waiting > 0 && w->waiting >= most) {
		result = sn_fail(err, SN_E_BUSY, "%d requests are waiting already", w->waiting);
	} else {
		c->queued = NULL;
		*w->last = c;
		w->last = &c->queued;
		w->waiting++;
		pthread_cond_signal(&w->news);
	}
	pthread_mutex_unlock(&w->lock);
	return result;
}

void sv_workers_expire(sv_workers *w) {
	const double latest = sn_now() - w->server->config->queue_timeout;
	sv_connection *over = NULL;
	pthread_mutex_lock(&w->lock);
	for (sv_connection **at = &w->first; *at;) {
		sv_connection *const c = *at;
		if (c->request.queued > latest && !atomic_load(&c->request.gone)) {
			at = &c->queued;
			continue;
		}
		*at = c->queued;
		c->queued = over;
		over = c;
		w->waiting--;
	}
	w->last = &w->first;
	while (*w->last)
		w->last = &(*w->last)->queued;
	pthread_mutex_unlock(&w->lock);
	while (over) {
		sv_connection *const next = over->queued;
		if (atomic_load(&over->request.gone))
			sv_reply_fail(&over->reply, SN_E_CANCELLED, NULL, "the client went away");
		else
			sv_reply_retry(&over->reply, 503, 5, "the request waited too long for its turn");
		sv_connection_done(over);
		over = next;
	}
}

int sv_workers_waiting(sv_workers *w) {
	pthread_mutex_lock(&w->lock);
	const int waiting = w->waiting;
	pthread_mutex_unlock(&w->lock);
	return waiting;
}
