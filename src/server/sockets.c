#include "server/ws_inner.h"

#include "base/clock.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define STRANDS 8 /* threads: they load models and read texts; engine and helpers compute elsewhere */

/* ---- strands ---- */

void ws_schedule(ws_session *s) {
	sv_sockets *const all = s->sockets;
	pthread_mutex_lock(&all->lock);
	if (s->strand == WS_RUNNING) {
		s->strand = WS_AGAIN;
	} else if (s->strand == WS_IDLE) {
		s->strand = WS_QUEUED;
		s->queued = NULL;
		*all->last = s;
		all->last = &s->queued;
		pthread_cond_signal(&all->news);
	}
	pthread_mutex_unlock(&all->lock);
}

void ws_wake(void *session) { ws_schedule(session); }

/* Lock held. */
static ws_session *take(sv_sockets *all) {
	ws_session *const s = all->first;
	if (s) {
		all->first = s->queued;
		if (!s->queued)
			all->last = &all->first;
		s->strand = WS_RUNNING;
	}
	return s;
}

static void *work(void *payload) {
	sv_sockets *const all = payload;
	pthread_mutex_lock(&all->lock);
	for (;;) {
		ws_session *const s = take(all);
		if (!s && all->stopping)
			break;
		if (!s) {
			pthread_cond_wait(&all->news, &all->lock);
			continue;
		}
		pthread_mutex_unlock(&all->lock);
		ws_session_run(s);
		pthread_mutex_lock(&all->lock);
		const int again = s->strand == WS_AGAIN, ended = s->ended && atomic_load(&s->gone);
		s->strand = ended ? WS_ENDED : WS_IDLE;
		if (ended) /* under the lock: an io thread that sees WS_ENDED frees the session, and must find this call before it */
			sv_http_call(all->server->http, ws_session_turn, s);
		if (ended || !again)
			continue;
		pthread_mutex_unlock(&all->lock);
		ws_schedule(s);
		pthread_mutex_lock(&all->lock);
	}
	pthread_mutex_unlock(&all->lock);
	return NULL;
}

/* ---- all of them ---- */

static void tick(sv_watch *watch, uint32_t events) {
	sv_sockets *const all = (sv_sockets *)(void *)((char *)watch - offsetof(sv_sockets, timer));
	uint64_t count;
	(void)events;
	if (read(watch->fd, &count, sizeof count) != sizeof count)
		return;
	const double now = sn_now();
	for (ws_session *s = all->sessions, *next; s; s = next) {
		next = s->next;
		ws_session_tick(s, now);
	}
}

static int start(sv_sockets *all, char *err) {
	const struct itimerspec second = { { 1, 0 }, { 1, 0 } };
	all->timer = (sv_watch){ tick, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK) };
	if (all->timer.fd < 0 || timerfd_settime(all->timer.fd, 0, &second, NULL) != 0 || sv_http_watch(all->server->http, &all->timer, EPOLLIN) != 0)
		return sn_fail_errno(err, "the timer of the WebSockets cannot be made");
	all->threads = calloc(STRANDS, sizeof *all->threads);
	while (all->threads && all->thread_count < STRANDS && pthread_create(&all->threads[all->thread_count], NULL, work, all) == 0)
		all->thread_count++;
	return all->thread_count == STRANDS ? SN_OK : sn_fail(err, SN_E_MEMORY, "the threads of the WebSockets cannot be started");
}

int sv_sockets_open(sv_sockets **out, sv_server *server, char *err) {
	sv_sockets *const all = *out = calloc(1, sizeof *all);
	if (!all)
		return sn_fail(err, SN_E_MEMORY, "no memory for the WebSockets");
	all->server = server;
	all->last = &all->first;
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->news, NULL);
	const int result = start(all, err);
	if (result != SN_OK)
		sv_sockets_close(out);
	return result;
}

void sv_sockets_stop(sv_sockets *all) {
	for (ws_session *s = all ? all->sessions : NULL; s; s = s->next)
		ws_session_stop(s, WS_GOING_AWAY, "the server is stopping");
}

void sv_sockets_close(sv_sockets **held) {
	sv_sockets *const all = *held;
	*held = NULL;
	if (!all)
		return;
	pthread_mutex_lock(&all->lock);
	all->stopping = 1;
	pthread_cond_broadcast(&all->news);
	pthread_mutex_unlock(&all->lock);
	for (int i = 0; i < all->thread_count; i++)
		pthread_join(all->threads[i], NULL);
	while (all->sessions)
		ws_session_free(all->sessions);
	if (all->timer.fd >= 0)
		close(all->timer.fd);
	pthread_cond_destroy(&all->news);
	pthread_mutex_destroy(&all->lock);
	free(all->threads);
	free(all);
}

void sv_sockets_describe(sv_sockets *all, sv_socket_facts *facts) {
	*facts = (sv_socket_facts){ 0 };
	if (!all)
		return;
	facts->transcribe = atomic_load(&all->count[WS_TRANSCRIBE]);
	facts->speak = atomic_load(&all->count[WS_SPEAK]);
	facts->realtime = atomic_load(&all->count[WS_REALTIME]);
	facts->opened = atomic_load(&all->opened);
	facts->bytes_in = atomic_load(&all->bytes_in);
	facts->bytes_out = atomic_load(&all->bytes_out);
}
