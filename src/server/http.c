#include "server/connection.h"

#include "base/clock.h"
#include "base/map.h"
#include "server/api.h"
#include "server/auth.h"
#include "server/config.h"
#include "server/metrics.h"
#include "server/origin.h"
#include "server/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 64
#define REQUEST_MEMORY 32768 /* bytes of headers of one connection */
#define MAX_CALLS 65536
#define TICK 1000            /* milliseconds between looks at deadlines */
#define LAST_TURNS 2.0       /* seconds in which those that were given up may still be told */
#define TLS_VERSIONS "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1" /* RFC 8996 */

typedef struct call {
	struct call *next;
	void (*fn)(void *payload);
	void *payload;
} call;

struct sv_http {
	sv_server *server;
	struct MHD_Daemon *daemon;
	int listener, epoll, event, port;
	char *certificate, *key;
	sv_watch daemon_watch, event_watch;
	sv_connection *connections;
	sv_socket *sockets;
	double ticked;
	atomic_int stopping;
	pthread_mutex_t lock;        /* calls and counts */
	call *first, **last;
	int calls;
	sv_http_facts facts;
	pthread_t thread;            /* the io thread */
	uint8_t random[4096];        /* for ids: fetched many at once */
	size_t random_left;
	atomic_int hurried;          /* told to stop a second time */
};

/* The loop's epoll returns. */
void sv_http_wake(const sv_http *h) {
	const uint64_t one = 1;
	ssize_t wrote;
	do
		wrote = write(h->event, &one, sizeof one);
	while (wrote < 0 && errno == EINTR);
}

/* ---- one request ---- */

/* What the client got; 499, as proxies log it, where it went away before. */
static int final_status(const sv_connection *c) {
	const sv_reply *const r = &c->reply;
	if (c->delivered)
		return r->status;
	return c->timed_out ? 504 : c->stopped ? 503 : r->streaming && r->ended && !r->complete && !c->went ? 500 : 499;
}

/* io thread: the key may have another session. */
static void leave(sv_connection *c) {
	if (c->entered)
		sv_auth_leave(c->request.server->auth, &c->request.key);
	c->entered = 0;
}

/* io thread */
static void destroy(void *payload) {
	sv_connection *const c = payload;
	if (c->seen)
		sv_metrics_request(c->request.server->metrics, &c->request, final_status(c), c->body_bytes, c->reply.sent);
	leave(c);
	sv_reply_close(&c->reply);
	sv_upload_close(c);
	json_decref(c->request.params);
	pthread_cond_destroy(&c->room);
	pthread_mutex_destroy(&c->lock);
	free(c->url);
	free(c);
}

void sv_connection_retain(sv_connection *c) {
	pthread_mutex_lock(&c->lock);
	c->references++;
	pthread_mutex_unlock(&c->lock);
}

void sv_connection_release(sv_connection *c) {
	pthread_mutex_lock(&c->lock);
	const int left = --c->references;
	pthread_mutex_unlock(&c->lock);
	if (left)
		return;
	if (pthread_equal(c->http->thread, pthread_self()) || sv_http_call(c->http, destroy, c) != SN_OK)
		destroy(c);
}

/* The library finds out in its next turn, for which the loop has to wake. */
void sv_connection_resume_locked(sv_connection *c) {
	if (c->lost)
		return;
	MHD_resume_connection(c->mhd);
	sv_http_wake(c->http);
}

void sv_connection_resume(sv_connection *c) {
	pthread_mutex_lock(&c->lock);
	sv_connection_resume_locked(c);
	pthread_mutex_unlock(&c->lock);
}

void sv_connection_done(sv_connection *c) {
	if (!c->reply.streaming)
		sv_connection_resume(c);
	sv_connection_release(c);
}

/* The request is to give up: its session is cancelled, a reply that waits for room is woken. Lock held. */
static void give_up(sv_connection *c) {
	if (atomic_exchange(&c->request.gone, 1))
		return;
	if (c->request.cancel)
		c->request.cancel(c->request.cancel_payload);
	pthread_cond_broadcast(&c->room);
}

static void peer_gone(sv_watch *watch, uint32_t events) {
	sv_connection *const c = (sv_connection *)(void *)((char *)watch - offsetof(sv_connection, peer));
	(void)events;
	pthread_mutex_lock(&c->lock);
	give_up(c);
	pthread_mutex_unlock(&c->lock);
}

/* ---- what a request is ---- */

static const uint8_t *random_bits(sv_http *h) {
	if (h->random_left < 16) {
		if (getrandom(h->random, sizeof h->random, 0) != sizeof h->random)
			return NULL;
		h->random_left = sizeof h->random;
	}
	h->random_left -= 16;
	return h->random + h->random_left;
}

/* The client's id where it is a plain token, else 128 random bits. */
static void take_id(sv_connection *c) {
	static const char digits[] = "0123456789abcdef";
	const char *const given = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, "X-Request-Id");
	const size_t size = given ? strspn(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") : 0;
	if (size && size < SV_ID && !given[size]) {
		memcpy(c->request.id, given, size + 1);
		return;
	}
	const uint8_t *const bits = random_bits(c->http);
	for (int i = 0; bits && i < 32; i++)
		c->request.id[i] = digits[bits[i / 2] >> (i % 2 ? 0 : 4) & 15];
}

/* "a=b&c=d", percent-decoded, into params. */
static int take_query(sv_connection *c, char *query, char *err) {
	for (char *part; query && (part = strsep(&query, "&"));) {
		char *const value = strchr(part, '=');
		if (value)
			*value = 0;
		for (int side = 0; side < (value ? 2 : 1); side++) {
			char *to = side ? value + 1 : part;
			for (const char *from = to; *from; from++) {
				const int high = *from == '%' ? sv_hex(from[1]) : -1, low = high >= 0 ? sv_hex(from[2]) : -1;
				*to++ = low >= 0 ? (char)(high * 16 + low) : *from == '+' ? ' ' : *from;
				from += low >= 0 ? 2 : 0;
			}
			*to = 0;
		}
		const int twice = json_object_get(c->request.params, part) != NULL;
		if (*part && (twice || json_object_set_new(c->request.params, part, json_string(value ? value + 1 : "")) != 0))
			return sn_fail(err, SN_E_ARGUMENT, "the query's \"%.60s\" is no UTF-8 or came twice", part);
	}
	return SN_OK;
}

static void no_route(sv_connection *c, const char *method, const char *path, const char *allowed) {
	char text[SN_ERRLEN];
	if (*allowed) {
		sn_fail(text, SN_E_UNSUPPORTED, "%.80s takes %s, not %.20s", path, allowed, method);
		sv_reply_header(&c->reply, "Allow", allowed);
		sv_reply_status(&c->reply, 405, SN_E_UNSUPPORTED, NULL, text);
	} else {
		sn_fail(text, SN_E_NOT_FOUND, "there is no %.120s; openapi.json lists what there is", path);
		sv_reply_fail(&c->reply, SN_E_NOT_FOUND, NULL, text);
	}
}

/* An Origin's question whether it may send something. One that is listed may send what headers it likes: clients of others' making name
 * some of their own. */
static int preflight(sv_connection *c, const char *method) {
	if (strcmp(method, "OPTIONS") != 0 || !*c->request.server->config->cors_origins)
		return 0;
	const char *const asked = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, "Access-Control-Request-Headers");
	const int fits = asked && *asked && strlen(asked) < SV_HEADER;
	sv_reply_header(&c->reply, "Access-Control-Allow-Methods", "GET, POST, DELETE");
	sv_reply_header(&c->reply, "Access-Control-Allow-Headers", fits ? asked : "Authorization, Content-Type, X-Request-Id");
	sv_reply_header(&c->reply, "Access-Control-Max-Age", "600");
	sv_reply_bytes(&c->reply, 204, "text/plain", "", 0, NULL);
	return 1;
}

/* ---- what may be wrong with headers beyond what the library sees to ---- */

typedef struct framing { int lengths, codings, hosts, odd; } framing;

static enum MHD_Result look_at_header(void *payload, enum MHD_ValueKind kind, const char *name, const char *value) {
	framing *const f = payload;
	const size_t size = strlen(name);
	(void)kind;
	f->lengths += strcasecmp(name, "Content-Length") == 0;
	f->hosts += strcasecmp(name, "Host") == 0;
	if (strcasecmp(name, "Transfer-Encoding") == 0) {
		f->codings++;
		f->odd |= !value || strcasecmp(value, "chunked") != 0;
	}
	f->odd |= !size || name[size - 1] == ' ' || name[size - 1] == '\t';
	return MHD_YES;
}

/* Where servers may differ about a message's end, a proxy before this one could be led to take half of one request for another. */
static int check_framing(sv_connection *c) {
	framing f = { 0 };
	MHD_get_connection_values(c->mhd, MHD_HEADER_KIND, look_at_header, &f);
	if (f.lengths + f.codings <= 1 && f.hosts <= 1 && !f.odd)
		return SN_OK;
	sv_reply_status(&c->reply, 400, SN_E_FORMAT, NULL, "of Content-Length and Transfer-Encoding there must be one, once, the latter \"chunked\"; Host comes "
	                "once; names of headers have no spaces");
	c->closing = 1;
	return SN_E_FORMAT;
}

/* Whether the refused body is to be read and forgotten, so that the connection can go on: one that is short, or says no length. The library
 * takes an answer before the body or behind it, not amid it; and a client that is still sending when the connection ends sees no answer. */
static int may_swallow(const sv_connection *c) {
	const char *const length = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *const expect = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
	return !c->closing && !expect && (!length || strtoll(length, NULL, 10) <= SV_DRAIN);
}

/* Where no key is asked for, another site's page could use this server, or change it, by the browser of whoever has it open: SN_OK, or the
 * reply is made. */
static int check_page(sv_connection *c, const char *method) {
	char text[SN_ERRLEN];
	const int reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	if (c->request.route->scope == SV_SCOPE_NONE || sv_auth_required(c->request.server))
		return SN_OK;
	if (!sv_host_may(c)) {
		const char *const host = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
		sn_fail(text, SN_E_ARGUMENT, "this server is not called \"%.100s\"; the option hosts lists names that it is reached by, beside addresses and "
		        "localhost", host);
		sv_reply_status(&c->reply, 403, SN_E_ARGUMENT, "Host", text);
	} else if (!reads && !sv_origin_may(c)) {
		sv_reply_status(&c->reply, 403, SN_E_ARGUMENT, "Origin", "pages of this origin may not call; cors_origins lists those that may");
	}
	return c->reply.answered ? SN_E_ARGUMENT : SN_OK;
}

/* The headers are there. The reply is made where they are refused. */
static void begin(sv_connection *c, const char *method) {
	sv_server *const server = c->request.server;
	char allowed[64], field[SV_NAME] = "", err[SN_ERRLEN];
	char *query = strchr(c->url, '?');
	if (query)
		*query++ = 0;
	take_id(c);
	const char *const accept = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	c->request.accept = accept ? accept : "";
	if (check_framing(c) != SN_OK || preflight(c, method))
		return;
	c->request.route = sv_api_route(server->api, method, c->url, c->request.params, allowed);
	if (!c->request.route) {
		no_route(c, method, c->url, allowed);
		return;
	}
	if (atomic_load(&server->stopping) && c->request.route->scope != SV_SCOPE_NONE) {
		sv_reply_retry(&c->reply, 503, 5, "the server is stopping");
		return;
	}
	if (check_page(c, method) != SN_OK || sv_auth(c) != SN_OK)
		return;
	int result = sv_upload_open(c, err); /* first: where the body is of the wrong kind, its fields often stand in the query */
	if (result == SN_OK)
		result = take_query(c, query, err);
	if (result == SN_OK)
		result = sv_api_check_parameters(server->api, c->request.route, c->request.params, field, err);
	if (result == SN_E_UNSUPPORTED)
		sv_reply_status(&c->reply, 415, result, "Content-Type", err);
	else if (result != SN_OK)
		sv_reply_fail(&c->reply, result, field, err);
}

/* The body is through: an answer at once, or a place in the queue. */
static enum MHD_Result dispatch(sv_connection *c) {
	sv_server *const server = c->request.server;
	const sv_route *const route = c->request.route;
	char err[SN_ERRLEN];
	c->request.queued = sn_now();
	if (sv_upload_finish(c, err) != SN_OK) {
		sv_reply_refusal(c);
		return sv_reply_queue(c);
	}
	if (route->peek && route->peek(&c->request, &c->reply))
		return sv_reply_queue(c);
	if (route->runs_inline) {
		route->handler(&c->request, &c->reply);
		sv_reply_refusal(c);
		return sv_reply_queue(c);
	}
	c->stage = SV_WORKING;
	MHD_suspend_connection(c->mhd);
	sv_connection_retain(c);
	if (sv_workers_add(server->workers, c, err) != SN_OK) {
		sv_reply_retry(&c->reply, 503, 2, err);
		sv_connection_done(c);
		return MHD_YES;
	}
	c->peer = (sv_watch){ .ready = peer_gone, .fd = c->fd };
	if (c->fd >= 0 && sv_http_watch(c->http, &c->peer, EPOLLRDHUP | EPOLLONESHOT) != 0)
		c->peer.fd = -1;
	return MHD_YES;
}

static enum MHD_Result handle(void *payload, struct MHD_Connection *mhd, const char *url, const char *method, const char *version,
                              const char *data, size_t *size, void **held) {
	sv_connection *const c = *held;
	(void)payload, (void)url, (void)version;
	if (!c)
		return MHD_NO;
	if (!c->seen) {
		c->seen = 1;
		c->mhd = mhd;
		begin(c, method);
		return c->reply.answered && !may_swallow(c) ? sv_reply_queue(c) : MHD_YES;
	}
	if (*size && c->reply.answered) {
		c->body_bytes += (int64_t)*size;
		*size = 0;
		return c->body_bytes <= c->request.server->config->max_body + SV_DRAIN ? MHD_YES : MHD_NO;
	}
	if (c->reply.answered && c->stage == SV_RECEIVING)
		return sv_reply_queue(c);
	if (*size) {
		const int go_on = sv_upload_take(c, data, *size);
		*size = 0;
		return go_on ? MHD_YES : MHD_NO;
	}
	if (c->stage == SV_RECEIVING)
		return dispatch(c);
	return c->reply.answered && c->stage == SV_WORKING ? sv_reply_queue(c) : MHD_YES;
}

/* ---- the life of requests and sockets; io thread ---- */

static void take_address(sv_connection *c) {
	const union MHD_ConnectionInfo *const info = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *const a = info ? info->client_addr : NULL;
	if (a && a->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, c->address, sizeof c->address);
	else if (a && a->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, c->address, sizeof c->address);
}

static void *begin_request(void *payload, const char *uri, struct MHD_Connection *mhd) {
	sv_http *const h = payload;
	sv_connection *const c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->url = strdup(uri);
	c->request.params = json_object();
	if (!c->url || !c->request.params) {
		free(c->url);
		json_decref(c->request.params);
		free(c);
		return NULL;
	}
	c->request.server = h->server;
	c->request.connection = c;
	c->request.lock = &c->lock;
	c->request.received = sn_now();
	c->mhd = mhd;
	c->http = h;
	c->references = 1;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	c->fd = info ? info->connect_fd : -1;
	c->peer.fd = -1;
	info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT); /* from 1.0 on, in the place of the last answer */
	c->socket = info ? info->socket_context : NULL;
	take_address(c);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->room, NULL);
	sv_reply_open(&c->reply, c);
	c->link = &h->connections;
	c->next = h->connections;
	if (c->next)
		c->next->link = &c->next;
	h->connections = c;
	if (c->socket)
		c->socket->request = c;
	pthread_mutex_lock(&h->lock);
	h->facts.requests++;
	pthread_mutex_unlock(&h->lock);
	return c;
}

static void end_request(void *payload, struct MHD_Connection *mhd, void **held, enum MHD_RequestTerminationCode why) {
	sv_connection *const c = *held;
	(void)payload;
	*held = NULL;
	if (!c)
		return;
	c->went = atomic_load(&c->request.gone) && !c->timed_out;
	c->delivered = c->reply.answered && why == MHD_REQUEST_TERMINATED_COMPLETED_OK;
	if (c->delivered) {
		leave(c);
		if (c->reply.status != 101) /* a WebSocket's connection has no next request */
			sv_let_wait(mhd, c->request.server->config->header_timeout);
	}
	if (c->peer.fd >= 0)
		sv_http_watch(c->http, &c->peer, 0);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	if (c->socket) {
		c->socket->request = NULL;
		c->socket->since = sn_now();
	}
	pthread_mutex_lock(&c->lock);
	c->lost = 1;
	c->reply.waiting = 0;
	give_up(c);
	pthread_mutex_unlock(&c->lock);
	sv_connection_release(c);
}

static void change_socket(void *payload, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode what) {
	sv_http *const h = payload;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *const fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
		sv_socket *const s = *context = calloc(1, sizeof *s);
		if (!s)
			return;
		*s = (sv_socket){ .next = h->sockets, .link = &h->sockets, .fd = fd ? fd->connect_fd : -1, .since = sn_now() };
		if (s->next)
			s->next->link = &s->next;
		h->sockets = s;
	} else if (*context) {
		sv_socket *const s = *context;
		*s->link = s->next;
		if (s->next)
			s->next->link = s->link;
		free(s);
		*context = NULL;
	}
	pthread_mutex_lock(&h->lock);
	h->facts.connections += what == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1;
	h->facts.accepted += what == MHD_CONNECTION_NOTIFY_STARTED;
	pthread_mutex_unlock(&h->lock);
}

/* Clients that take too long, and requests that do. A socket that is shut down is closed by the library, which tells end_request. */
static void look_at_deadlines(sv_http *h) {
	const sv_config *const config = h->server->config;
	const double now = sn_now();
	int stages[SV_UPGRADED + 1] = { 0 };
	for (sv_socket *s = h->sockets; s; s = s->next) {
		const sv_connection *const c = s->request;
		const double age = now - (c ? c->request.received : s->since);
		const int header = c ? !c->seen && age > config->header_timeout : age > 2 * config->header_timeout;
		const int body = c && c->seen && c->stage == SV_RECEIVING && age > config->header_timeout && (double)c->body_bytes / age < (double)config->body_rate;
		if (header || body)
			shutdown(s->fd, SHUT_RDWR);
	}
	for (sv_connection *c = h->connections; c; c = c->next) {
		stages[c->stage]++;
		if (c->stage == SV_UPGRADED || !(c->request.queued > 0) || now - c->request.queued < config->request_timeout)
			continue;
		pthread_mutex_lock(&c->lock);
		c->timed_out = 1;
		give_up(c);
		pthread_mutex_unlock(&c->lock);
	}
	pthread_mutex_lock(&h->lock);
	h->facts.receiving = stages[SV_RECEIVING];
	h->facts.working = stages[SV_WORKING];
	h->facts.replying = stages[SV_REPLYING];
	pthread_mutex_unlock(&h->lock);
	h->ticked = now;
	sv_workers_expire(h->server->workers);
}

/* ---- the loop ---- */

int sv_http_watch(sv_http *h, sv_watch *watch, uint32_t events) {
	struct epoll_event event = { .events = events, .data.ptr = watch };
	if (!events)
		return epoll_ctl(h->epoll, EPOLL_CTL_DEL, watch->fd, &event);
	const int result = epoll_ctl(h->epoll, EPOLL_CTL_MOD, watch->fd, &event);
	return result != 0 && errno == ENOENT ? epoll_ctl(h->epoll, EPOLL_CTL_ADD, watch->fd, &event) : result;
}

static void daemon_ready(sv_watch *watch, uint32_t events) {
	(void)watch, (void)events; /* MHD_run follows every turn */
}

static void take_calls(sv_http *h) {
	pthread_mutex_lock(&h->lock);
	call *at = h->first;
	h->first = NULL;
	h->last = &h->first;
	h->calls = 0;
	pthread_mutex_unlock(&h->lock);
	while (at) {
		call *const next = at->next;
		at->fn(at->payload);
		free(at);
		at = next;
	}
}

static void event_ready(sv_watch *watch, uint32_t events) {
	sv_http *const h = (sv_http *)(void *)((char *)watch - offsetof(sv_http, event_watch));
	uint64_t count;
	(void)events;
	if (read(h->event, &count, sizeof count) >= 0 || errno == EAGAIN)
		take_calls(h);
}

int sv_http_call(sv_http *h, void (*fn)(void *payload), void *payload) {
	call *const c = malloc(sizeof *c);
	if (!c)
		return SN_E_MEMORY;
	*c = (call){ NULL, fn, payload };
	pthread_mutex_lock(&h->lock);
	const int full = h->calls >= MAX_CALLS;
	if (!full) {
		*h->last = c;
		h->last = &c->next;
		h->calls++;
	}
	pthread_mutex_unlock(&h->lock);
	if (full)
		free(c);
	else
		sv_http_wake(h);
	return full ? SN_E_MEMORY : SN_OK;
}

void sv_http_stop(sv_http *h) {
	if (atomic_exchange(&h->stopping, 1))
		atomic_store(&h->hurried, 1);
	sv_http_wake(h);
}

static void turn(sv_http *h) {
	struct epoll_event events[EVENTS];
	MHD_UNSIGNED_LONG_LONG wait;
	int timeout = TICK;
	if (MHD_get_timeout(h->daemon, &wait) == MHD_YES && wait < TICK)
		timeout = (int)wait;
	const int count = epoll_wait(h->epoll, events, EVENTS, timeout);
	for (int i = 0; i < count; i++) {
		sv_watch *const watch = events[i].data.ptr;
		watch->ready(watch, events[i].events);
	}
	MHD_run(h->daemon);
	if (sn_now() - h->ticked >= TICK / 1000.0)
		look_at_deadlines(h);
}

void sv_http_run(sv_http *h) {
	while (!atomic_load(&h->stopping))
		turn(h);
	const MHD_socket listener = MHD_quiesce_daemon(h->daemon);
	if (listener != MHD_INVALID_SOCKET)
		close(listener);
	atomic_store(&h->server->stopping, 1);
	sv_sockets_stop(h->server->sockets);
	const double until = sn_now() + h->server->config->drain_timeout;
	while (h->connections && sn_now() < until && !atomic_load(&h->hurried))
		turn(h);
	for (sv_connection *c = h->connections; c; c = c->next) {
		pthread_mutex_lock(&c->lock);
		c->stopped = 1;
		give_up(c);
		pthread_mutex_unlock(&c->lock);
	}
	for (const double last = sn_now() + LAST_TURNS; h->connections && sn_now() < last;)
		turn(h);
}

/* ---- opening ---- */

static int listen_on(const char *host, int port, char *err) {
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *found = NULL;
	char text[8];
	const int yes = 1, no = 0;
	snprintf(text, sizeof text, "%d", port);
	const int code = getaddrinfo(host, text, &hints, &found);
	if (code != 0)
		return sn_fail(err, SN_E_ARGUMENT, "host \"%.100s\" is no address to listen on: %s", host, gai_strerror(code)), -1;
	const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int failed = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0;
	if (!failed && found->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
	failed = failed || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0;
	if (failed) {
		sn_fail_errno(err, "port %d of %.100s cannot be listened on", port, host);
		if (fd >= 0)
			close(fd);
	}
	freeaddrinfo(found);
	return failed ? -1 : fd;
}

static int port_of(int fd) {
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		return 0;
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
	                                           : ((struct sockaddr_in *)(void *)&address)->sin_port);
}

/* A PEM file as text; free() it. */
static char *read_pem(const char *path, char *err) {
	FILE *const file = fopen(path, "r");
	char *const text = file ? calloc(1, 65537) : NULL;
	if (!file)
		sn_fail_errno(err, "the file \"%.200s\" cannot be read", path);
	else if (text && (fread(text, 1, 65536, file) == 0 || !feof(file)))
		sn_fail(err, SN_E_FORMAT, "\"%.200s\" is empty or larger than 65536 bytes", path);
	if (file)
		fclose(file);
	return text;
}

static int start_daemon(sv_http *h, char *err) {
	const sv_config *const config = h->server->config;
	const int tls = *config->tls_certificate != 0;
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE;
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_LISTEN_SOCKET, h->listener, NULL }, { MHD_OPTION_CONNECTION_LIMIT, (intptr_t)config->max_connections, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)(config->header_timeout < 1 ? 1 : config->header_timeout), NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_MEMORY, NULL }, { MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)end_request, h }, { MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)begin_request, h },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)change_socket, h }, { MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL },
		{ tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, NULL }, { tls ? MHD_OPTION_HTTPS_MEM_KEY : MHD_OPTION_END, 0, NULL },
		{ tls ? MHD_OPTION_HTTPS_PRIORITIES : MHD_OPTION_END, 0, TLS_VERSIONS }, { MHD_OPTION_END, 0, NULL },
	};
	if (tls) {
		h->certificate = read_pem(config->tls_certificate, err);
		h->key = h->certificate ? read_pem(config->tls_key, err) : NULL;
		if (!h->key)
			return SN_E_ARGUMENT;
		options[9].ptr_value = h->certificate;
		options[10].ptr_value = h->key;
		flags |= MHD_USE_TLS;
	}
	h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, h, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	if (!h->daemon)
		return sn_fail(err, tls ? SN_E_ARGUMENT : SN_E_IO, "the HTTP server cannot be started%s",
		               tls ? "; are tls_certificate and tls_key a pair in PEM?" : "");
	const union MHD_DaemonInfo *const info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	h->daemon_watch = (sv_watch){ daemon_ready, info->epoll_fd };
	h->event_watch = (sv_watch){ event_ready, h->event };
	if (sv_http_watch(h, &h->daemon_watch, EPOLLIN) != 0 || sv_http_watch(h, &h->event_watch, EPOLLIN) != 0)
		return sn_fail_errno(err, "the server's loop cannot be made");
	return SN_OK;
}

int sv_http_open(sv_http **out, sv_server *server, char *err) {
	sv_http *const h = *out = calloc(1, sizeof *h);
	if (!h)
		return sn_fail(err, SN_E_MEMORY, "no memory for the HTTP server");
	h->server = server;
	h->thread = pthread_self();
	h->last = &h->first;
	pthread_mutex_init(&h->lock, NULL);
	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	h->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	h->listener = listen_on(server->config->host, (int)server->config->port, err);
	int result = h->listener < 0 ? SN_E_IO : h->epoll < 0 || h->event < 0 ? sn_fail_errno(err, "the server's loop cannot be made") : SN_OK;
	if (result == SN_OK) {
		h->port = port_of(h->listener);
		result = start_daemon(h, err);
	}
	if (result != SN_OK)
		sv_http_close(out);
	return result;
}

void sv_http_close(sv_http **held) {
	sv_http *const h = *held;
	*held = NULL;
	if (!h)
		return;
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	else if (h->listener >= 0)
		close(h->listener);
	take_calls(h);
	close(h->epoll);
	close(h->event);
	pthread_mutex_destroy(&h->lock);
	free(h->certificate);
	free(h->key);
	free(h);
}

int sv_http_port(const sv_http *h) { return h->port; }

void sv_http_describe(sv_http *h, sv_http_facts *facts) {
	pthread_mutex_lock(&h->lock);
	*facts = h->facts;
	pthread_mutex_unlock(&h->lock);
}
