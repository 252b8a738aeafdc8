/* The io thread's side of a session: bytes, frames, deadlines, the end. */
#include "server/ws_inner.h"

#include "base/clock.h"
#include "server/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_BYTES ((size_t)256 << 10) /* that one session may read before others have their turn */
#define CLOSE_WAIT 5.0                 /* seconds for the peer's closing frame, and to take what was sent */

/* ---- bytes ---- */

static ssize_t receive(void *payload, void *to, size_t size) {
	ws_session *const s = payload;
	pthread_mutex_lock(&s->lock);
	const int full = s->inbox >= WS_MAX_INBOX;
	pthread_mutex_unlock(&s->lock);
	size = size < s->budget ? size : s->budget;
	if (full || !size) {
		errno = EAGAIN;
		return -1;
	}
	ssize_t got;
	if (s->early_at < s->early_size) {
		got = (ssize_t)(size < s->early_size - s->early_at ? size : s->early_size - s->early_at);
		memcpy(to, s->early + s->early_at, (size_t)got);
		s->early_at += (size_t)got;
	} else {
		got = recv(s->watch.fd, to, size, MSG_DONTWAIT);
	}
	if (got > 0) {
		s->budget -= (size_t)got;
		s->heard = sn_now();
		s->bytes_in += got;
		atomic_fetch_add(&s->sockets->bytes_in, got);
	}
	return got;
}

static ssize_t send_bytes(void *payload, const void *from, size_t size) {
	ws_session *const s = payload;
	const ssize_t sent = send(s->watch.fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0) {
		s->progress = sn_now();
		s->bytes_out += sent;
		atomic_fetch_add(&s->sockets->bytes_out, sent);
	}
	return sent;
}

static void take_message(void *payload, ws_kind kind, const void *data, size_t size) {
	ws_session *const s = payload;
	if ((kind != WS_TEXT && kind != WS_BINARY) || s->phase != WS_OPEN)
		return;
	ws_message *const m = malloc(sizeof *m + size + 1);
	if (!m) {
		ws_session_stop(s, WS_TRY_LATER, "no memory for the message");
		return;
	}
	*m = (ws_message){ .is_text = kind == WS_TEXT, .came = sn_now(), .size = size };
	memcpy(m->data, data, size);
	m->data[size] = 0;
	s->active = m->came;
	pthread_mutex_lock(&s->lock);
	*s->last = m;
	s->last = &m->next;
	s->inbox += size + sizeof *m;
	pthread_mutex_unlock(&s->lock);
	ws_schedule(s);
}

/* ---- the end ---- */

/* The connection is of no use any more: the strand ends its work, and then it is given back. */
static void lose(ws_session *s) {
	if (s->phase >= WS_LOST)
		return;
	s->phase = WS_LOST;
	if (s->polled)
		sv_http_watch(s->sockets->server->http, &s->watch, 0);
	s->polled = 0;
	pthread_mutex_lock(&s->lock);
	s->closing = 1;
	atomic_store(&s->gone, 1);
	if (s->cancel)
		s->cancel(s->cancel_payload);
	s->cancel = NULL;
	pthread_mutex_unlock(&s->lock);
	ws_schedule(s);
}

static void drop_output(ws_session *s) {
	while (s->out) {
		ws_out *const next = s->out->next;
		free(s->out);
		s->out = next;
	}
	s->out_last = &s->out;
	s->outbox = 0;
}

static void link_to(ws_session **list, ws_session *s) {
	s->next = *list;
	s->link = list;
	if (s->next)
		s->next->link = &s->next;
	*list = s;
}

static void unlink_from_list(ws_session *s) {
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
}

static void release(void *payload) {
	ws_session *const s = payload;
	pthread_mutex_destroy(&s->lock);
	free(s->early);
	free(s->state);
	free(s);
}

static void give_back(ws_session *s) {
	s->phase = WS_OVER;
	unlink_from_list(s);
	if (s->aux.fd >= 0)
		sv_http_watch(s->sockets->server->http, &s->aux, 0);
	drop_output(s);
	atomic_fetch_sub(&s->sockets->count[s->protocol->kind], 1);
	s->connection->body_bytes = s->bytes_in;
	s->connection->reply.sent = s->bytes_out;
	ws_frames_close(&s->frames);
	MHD_upgrade_action(s->handle, MHD_UPGRADE_ACTION_CLOSE);
	sv_connection_release(s->connection);
}

/* Freed in a later turn of the loop, which may still have events for it, and behind the calls that were asked for before. */
static void finish(ws_session *s) {
	sv_http *const http = s->sockets->server->http;
	give_back(s);
	sv_http_call(http, release, s);
}

void ws_session_free(ws_session *s) {
	if (!s->ended && s->begun)
		s->protocol->end(s, s->state);
	while (s->first) {
		ws_message *const next = s->first->next;
		json_decref(s->first->json);
		free(s->first);
		s->first = next;
	}
	if (s->polled)
		sv_http_watch(s->sockets->server->http, &s->watch, 0);
	finish(s);
}

static int has_ended(ws_session *s) {
	pthread_mutex_lock(&s->sockets->lock);
	const int ended = s->strand == WS_ENDED;
	pthread_mutex_unlock(&s->sockets->lock);
	return ended;
}

/* The closing frames are through. Where the peer has not sent its own it may still be sending, and a close would make its system throw away
 * what we have sent. */
static void linger(ws_session *s) {
	if (ws_frames_reading(s->frames) || s->phase >= WS_LINGERING)
		return;
	if (ws_frames_answered(s->frames)) {
		lose(s);
		return;
	}
	s->phase = WS_LINGERING;
	s->ending = sn_now();
	shutdown(s->watch.fd, SHUT_WR);
}

static void read_and_forget(ws_session *s) {
	char bytes[4096];
	ssize_t got = 1;
	for (int i = 0; i < 16 && got > 0; i++)
		got = recv(s->watch.fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		lose(s);
}

/* ---- reading and writing ---- */

static void poll_for(ws_session *s) {
	if (s->phase >= WS_LOST)
		return;
	pthread_mutex_lock(&s->lock);
	const int full = s->inbox >= WS_MAX_INBOX;
	pthread_mutex_unlock(&s->lock);
	const int reading = s->phase == WS_LINGERING || (!full && ws_frames_reading(s->frames));
	const uint32_t events = (reading ? EPOLLIN : 0) | (s->phase < WS_LINGERING && ws_frames_pending(s->frames) ? EPOLLOUT : 0);
	if (events != s->polled && (events || s->polled) && sv_http_watch(s->sockets->server->http, &s->watch, events) != 0) {
		lose(s);
		return;
	}
	s->polled = events;
}

/* A closing frame, ours or the peer's, is queued: nothing more is to be taken. */
static void begin_to_close(ws_session *s) {
	if (s->phase != WS_OPEN)
		return;
	s->phase = WS_CLOSING;
	s->ending = sn_now();
	pthread_mutex_lock(&s->lock);
	s->closing = 1;
	if (s->cancel)
		s->cancel(s->cancel_payload);
	s->cancel = NULL;
	pthread_mutex_unlock(&s->lock);
	ws_schedule(s);
}

static ws_out *next_output(ws_session *s) {
	pthread_mutex_lock(&s->lock);
	s->outbox -= s->flying;
	s->flying = 0;
	ws_out *const o = s->out;
	if (o) {
		s->out = o->next;
		if (!o->next)
			s->out_last = &s->out;
		s->flying = o->size;
	}
	const int room = s->stalled && s->outbox < WS_MAX_OUTBOX / 2;
	s->stalled &= !room;
	pthread_mutex_unlock(&s->lock);
	if (room)
		ws_schedule(s);
	return o;
}

static void write_out(ws_session *s) {
	for (;;) {
		const int result = ws_frames_write(s->frames);
		if (result == SN_END) {
			lose(s);
			return;
		}
		if (result == SN_AGAIN)
			return;
		ws_out *const o = ws_frames_ended(s->frames) ? NULL : next_output(s);
		if (!o)
			break;
		if (o->kind)
			ws_frames_queue(s->frames, (ws_kind)o->kind, o->data, o->size);
		else
			ws_frames_end(s->frames, o->code, o->data);
		s->active = sn_now();
		free(o);
	}
	if (ws_frames_ended(s->frames)) {
		begin_to_close(s);
		linger(s);
	}
}

static void ready(sv_watch *watch, uint32_t events) {
	ws_session *const s = (ws_session *)(void *)((char *)watch - offsetof(ws_session, watch));
	if (s->phase >= WS_LOST)
		return;
	s->budget = TURN_BYTES;
	if (s->phase == WS_LINGERING)
		read_and_forget(s);
	else if ((events & (EPOLLERR | EPOLLHUP)) && !(events & EPOLLIN))
		lose(s);
	else if ((events & EPOLLIN) && ws_frames_read(s->frames) != SN_OK)
		lose(s);
	if (s->phase < WS_LINGERING)
		write_out(s);
	poll_for(s);
}

/* ---- turns that others ask for ---- */

static void aux_ready(sv_watch *watch, uint32_t events) {
	(void)events;
	ws_schedule((ws_session *)(void *)((char *)watch - offsetof(ws_session, aux)));
}

/* Under the lock, so that the descriptor cannot be closed, and its number given to another, meanwhile. */
static void watch_aux(ws_session *s) {
	pthread_mutex_lock(&s->lock);
	if (s->aux_new && s->aux.fd >= 0)
		sv_http_watch(s->sockets->server->http, &s->aux, (uint32_t)(EPOLLIN | EPOLLONESHOT) | (s->aux_write ? EPOLLOUT : 0));
	s->aux_new = 0;
	pthread_mutex_unlock(&s->lock);
}

void ws_session_turn(void *session) {
	ws_session *const s = session;
	pthread_mutex_lock(&s->lock);
	s->posted = 0;
	pthread_mutex_unlock(&s->lock);
	if (s->phase == WS_OVER)
		return;
	if (s->phase == WS_LOST) {
		if (has_ended(s))
			finish(s);
		return;
	}
	watch_aux(s);
	s->budget = TURN_BYTES;
	if (s->early_at < s->early_size && s->phase == WS_OPEN && ws_frames_read(s->frames) != SN_OK)
		lose(s);
	if (s->phase < WS_LINGERING)
		write_out(s);
	poll_for(s);
}

void ws_session_stop(ws_session *s, int code, const char *reason) {
	if (s->phase != WS_OPEN)
		return;
	ws_frames_end(s->frames, code, reason);
	begin_to_close(s);
	write_out(s);
	poll_for(s);
}

/* A session that has nothing to say is asked for a sign of life; one that gives none, does not read, or does nothing for long, is ended. */
void ws_session_tick(ws_session *s, double now) {
	const sv_config *const config = s->sockets->server->config;
	if (s->phase >= WS_LOST || (s->phase > WS_OPEN && now - s->ending > CLOSE_WAIT)) {
		if (s->phase < WS_LOST)
			lose(s);
		ws_session_turn(s);
		return;
	}
	if (s->phase != WS_OPEN)
		return;
	const double silent = now - s->heard;
	pthread_mutex_lock(&s->lock);
	const int waiting = s->outbox > 0, full = s->inbox >= WS_MAX_INBOX;
	pthread_mutex_unlock(&s->lock);
	if (!waiting)
		s->progress = now;
	if (now - s->progress > config->socket_timeout)
		ws_session_stop(s, WS_POLICY, "the client does not read");
	else if (!full && silent > config->socket_timeout)
		lose(s);
	else if (now - s->active > config->socket_idle)
		ws_session_stop(s, 4408, "nothing was said for too long");
	else if (!full && silent > config->socket_timeout / 2 && now - s->pinged > config->socket_timeout / 2) {
		s->pinged = now;
		ws_frames_queue(s->frames, WS_PING, NULL, 0);
	}
	ws_session_turn(s);
}

/* ---- the beginning ---- */

static int make(ws_session *s, const ws_protocol *protocol, const char *early, size_t early_size, char *err) {
	const ws_port port = { receive, send_bytes, take_message, protocol->max_text, protocol->max_binary };
	s->state = calloc(1, protocol->state_size);
	s->early = early_size ? malloc(early_size) : NULL;
	if (!s->state || (early_size && !s->early))
		return sn_fail(err, SN_E_MEMORY, "no memory for a session");
	if (early_size)
		memcpy(s->early, early, early_size);
	s->early_size = early_size;
	return ws_frames_open(&s->frames, &port, s, err);
}

void ws_session_open(sv_sockets *sockets, sv_request *request, const ws_protocol *protocol, struct MHD_UpgradeResponseHandle *handle, int fd,
                     const char *early, size_t early_size) {
	char err[SN_ERRLEN];
	ws_session *const s = calloc(1, sizeof *s);
	const int flags = fcntl(fd, F_GETFL);
	if (!s || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || make(s, protocol, early, early_size, err) != SN_OK) {
		if (s) {
			free(s->state);
			free(s->early);
		}
		free(s);
		MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
		return;
	}
	s->sockets = sockets;
	s->protocol = protocol;
	s->connection = request->connection;
	s->connection->stage = SV_UPGRADED;
	s->handle = handle;
	s->watch = (sv_watch){ ready, fd };
	s->aux = (sv_watch){ aux_ready, -1 };
	s->last = &s->first;
	s->out_last = &s->out;
	s->heard = s->pinged = s->active = s->progress = sn_now();
	pthread_mutex_init(&s->lock, NULL);
	sv_connection_retain(s->connection);
	link_to(&sockets->sessions, s);
	atomic_fetch_add(&sockets->count[protocol->kind], 1);
	atomic_fetch_add(&sockets->opened, 1);
	sv_metrics_add(sockets->server->metrics, SV_COUNT_SOCKETS_OPENED, 1);
	ws_schedule(s);
	ws_session_turn(s);
}
