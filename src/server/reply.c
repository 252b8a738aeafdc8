#include "server/config.h"
#include "server/connection.h"
#include "server/origin.h"

#include "base/error.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 1 /* seconds without room, after which a client is a slow reader */

void sv_reply_open(sv_reply *r, sv_connection *c) { *r = (sv_reply){ .connection = c, .status = 200 }; }

void sv_reply_close(sv_reply *r) {
	if (r->response)
		MHD_destroy_response(r->response);
	free(r->ring);
	r->response = NULL;
	r->ring = NULL;
}

void sv_reply_header(sv_reply *r, const char *name, const char *value) {
	if (r->header_count == SV_MAX_HEADERS)
		return;
	snprintf(r->header[r->header_count].name, SV_NAME, "%s", name);
	snprintf(r->header[r->header_count].value, sizeof r->header[0].value, "%s", value);
	for (char *at = r->header[r->header_count++].value; *at; at++)
		*at = (unsigned char)*at < 0x20 || *at == 0x7f ? ' ' : *at; /* no line may begin in a value */
}

/* ---- whole replies ---- */

void sv_reply_bytes(sv_reply *r, int status, const char *type, void *data, size_t size, void (*release)(void *)) {
	if (r->answered || r->streaming) {
		if (release)
			release(data);
		return;
	}
	r->response = release ? MHD_create_response_from_buffer_with_free_callback(size, data, release)
	                      : MHD_create_response_from_buffer(size, data, MHD_RESPMEM_PERSISTENT);
	r->answered = r->response != NULL;
	r->status = status;
	r->sent = (int64_t)size;
	if (!r->response && release)
		release(data);
	sv_reply_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
}

typedef struct shared { void (*release)(void *payload); void *payload; char tail[]; } shared;

static void end_shared(void *payload) {
	shared *const s = payload;
	s->release(s->payload);
	free(s);
}

void sv_reply_shared(sv_reply *r, int status, const char *type, const void *data, size_t size, const char *tail, void (*release)(void *payload),
                     void *payload) {
	const size_t more = strlen(tail);
	shared *const s = r->answered ? NULL : malloc(sizeof *s + more + 1);
	if (!s) {
		release(payload);
		return;
	}
	*s = (shared){ release, payload };
	memcpy(s->tail, tail, more + 1);
	const struct MHD_IoVec parts[2] = { { data, size }, { s->tail, more } };
	r->response = MHD_create_response_from_iovec(parts, more ? 2 : 1, end_shared, s);
	if (!r->response) {
		end_shared(s);
		return;
	}
	r->answered = 1;
	r->status = status;
	r->sent = (int64_t)(size + more);
	sv_reply_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
}

void sv_reply_file(sv_reply *r, int status, const char *type, int fd, int64_t size) {
	r->response = r->answered ? NULL : MHD_create_response_from_fd64((uint64_t)size, fd);
	if (!r->response) {
		close(fd);
		return;
	}
	r->answered = 1;
	r->status = status;
	r->sent = size;
	sv_reply_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
}

void sv_reply_json(sv_reply *r, int status, json_t *value) {
	if (value && json_is_object(value))
		json_object_set_new(value, "request_id", json_string(r->connection->request.id));
	char *const text = value ? sn_json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(value);
	if (!text)
		sv_reply_fail(r, SN_E_MEMORY, NULL, "no memory for the reply");
	else
		sv_reply_bytes(r, status, "application/json", text, strlen(text), free);
}

/* OpenAI's clients look at type and message. */
static json_t *openai_error(int http, int code, const char *field, const char *message) {
	const char *const type = http == 401 || http == 403 ? "authentication_error" : http == 429 ? "rate_limit_error"
		: http >= 500 ? "server_error" : "invalid_request_error";
	const char *const name = http == 401 ? "invalid_api_key" : http == 429 ? "rate_limit_exceeded"
		: code == SN_E_NOT_FOUND && field && strcmp(field, "model") == 0 ? "model_not_found" : sn_result_name(code);
	json_t *const param = field && *field ? json_string(field) : json_null();
	return json_pack("{s:{s:s, s:s, s:o, s:s}}", "error", "message", message, "type", type, "param", param, "code", name);
}

static json_t *problem(const sv_reply *r, int code, const char *field, const char *message) {
	json_t *const p = json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title", sn_result_text(code), "status",
	                            r->status, "detail", message, "code", sn_result_name(code));
	if (p && field && *field)
		json_object_set_new(p, "field", json_string(field));
	return p;
}

static void fail(sv_reply *r, int status, int code, const char *field, const char *message) {
	static char nothing[] = "{\"status\":500}";
	if (code == SN_E_CANCELLED && r->connection->timed_out) {
		fail(r, 504, SN_E_TIMEOUT, NULL, "the request ran longer than request_timeout");
		return;
	}
	if (code == SN_E_CANCELLED && r->connection->stopped) {
		sv_reply_retry(r, 503, 5, "the server is stopping");
		return;
	}
	const sv_route *const route = r->connection->request.route;
	const int openai = route ? route->openai : r->connection->url && strncmp(r->connection->url, "/v1/", 4) == 0;
	r->status = status;
	r->code = code;
	char said[2 * SN_ERRLEN], named[SN_ERRLEN]; /* what is no UTF-8 would be no JSON */
	snprintf(said, sizeof said, "%s", message);
	snprintf(named, sizeof named, "%s", field ? field : "");
	sn_clean_text(said);
	sn_clean_text(named);
	json_t *const value = openai ? openai_error(status, code, named, said) : problem(r, code, named, said);
	if (value && !openai)
		json_object_set_new(value, "request_id", json_string(r->connection->request.id));
	char *const text = value ? sn_json_dumps(value, JSON_COMPACT) : NULL;
	json_decref(value);
	sv_reply_bytes(r, status, openai ? "application/json" : "application/problem+json", text ? text : nothing, strlen(text ? text : nothing),
	               text ? free : NULL);
}

void sv_reply_fail(sv_reply *r, int code, const char *field, const char *message) { fail(r, sn_result_http(code), code, field, message); }

void sv_reply_status(sv_reply *r, int status, int code, const char *field, const char *message) { fail(r, status, code, field, message); }

void sv_reply_retry(sv_reply *r, int code, int seconds, const char *message) {
	char text[24];
	snprintf(text, sizeof text, "%d", seconds > 0 ? seconds : 1);
	sv_reply_header(r, MHD_HTTP_HEADER_RETRY_AFTER, text);
	fail(r, code, SN_E_BUSY, NULL, message);
}

void sv_reply_refusal(sv_connection *c) {
	if (c->refused && !c->reply.answered)
		sv_reply_fail(&c->reply, c->refused, c->refused_field, c->refusal);
	else if (!c->reply.answered)
		sv_reply_fail(&c->reply, SN_E_INTERNAL, NULL, "the request was not answered");
}

/* ---- replies in pieces ---- */

/* io thread: bytes for the client. With none to give the connection is suspended until the handler has more. */
static ssize_t read_stream(void *payload, uint64_t position, char *out, size_t most) {
	sv_connection *const c = payload;
	sv_reply *const r = &c->reply;
	(void)position;
	pthread_mutex_lock(&c->lock);
	size_t size = r->fill < most ? r->fill : most;
	if (size > SV_STREAM_BUFFER - r->first)
		size = SV_STREAM_BUFFER - r->first;
	ssize_t result = (ssize_t)size;
	if (size) {
		memcpy(out, r->ring + r->first, size);
		r->first = (r->first + size) % SV_STREAM_BUFFER;
		r->fill -= size;
		r->sent += result;
		pthread_cond_signal(&c->room);
	} else if (r->ended) {
		result = r->complete ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
	} else {
		r->waiting = 1;
		MHD_suspend_connection(c->mhd);
	}
	pthread_mutex_unlock(&c->lock);
	return result;
}

int sv_reply_begin(sv_reply *r, const char *type) {
	sv_connection *const c = r->connection;
	if (r->answered || r->streaming)
		return SN_E_CLOSED;
	r->ring = malloc(SV_STREAM_BUFFER);
	r->response = r->ring ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_stream, c, NULL) : NULL;
	if (!r->response)
		return SN_E_MEMORY;
	r->status = 200;
	r->streaming = r->answered = 1;
	sv_reply_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	sv_connection_resume(c);
	return SN_OK;
}

/* Lock held: the client may read on. */
static void wake(sv_connection *c) {
	if (!c->reply.waiting)
		return;
	c->reply.waiting = 0;
	sv_connection_resume_locked(c);
}

/* Lock held: returns when there may be room, or the client has gone. A client that takes its time costs no worker. */
static void wait_for_room(sv_connection *c) {
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE;
	if (pthread_cond_timedwait(&c->room, &c->lock, &until) != ETIMEDOUT)
		return;
	sv_workers_lend(c->request.server->workers, 1);
	while (c->reply.fill == SV_STREAM_BUFFER && !atomic_load(&c->request.gone))
		pthread_cond_wait(&c->room, &c->lock);
	sv_workers_lend(c->request.server->workers, -1);
}

int sv_reply_write(sv_reply *r, const void *data, size_t size) {
	sv_connection *const c = r->connection;
	const char *from = data;
	pthread_mutex_lock(&c->lock);
	while (size && !atomic_load(&c->request.gone)) {
		const size_t end = (r->first + r->fill) % SV_STREAM_BUFFER;
		size_t part = SV_STREAM_BUFFER - r->fill < size ? SV_STREAM_BUFFER - r->fill : size;
		part = part < SV_STREAM_BUFFER - end ? part : SV_STREAM_BUFFER - end;
		if (!part) {
			wait_for_room(c);
			continue;
		}
		memcpy(r->ring + end, from, part);
		r->fill += part;
		from += part;
		size -= part;
		wake(c);
	}
	pthread_mutex_unlock(&c->lock);
	return size ? SN_E_CANCELLED : SN_OK;
}

void sv_reply_end(sv_reply *r, int complete) {
	pthread_mutex_lock(&r->connection->lock);
	r->ended = 1;
	r->complete = complete;
	wake(r->connection); /* also one whose client went: it is suspended and must come to its end */
	pthread_mutex_unlock(&r->connection->lock);
}

/* ---- to the library ---- */

static void add_cors(sv_connection *c) {
	static const char exposed[] = "Location, Retry-After, X-Cache, X-Duration, X-Format, X-Ignored, X-Model, X-Notes, X-Processing-Time, "
		"X-Quality-Score, X-Request-Id, X-Sample-Rate, X-Voice, X-Word-Error-Rate";
	const char *const origin = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, "Origin");
	if (!*c->request.server->config->cors_origins)
		return;
	MHD_add_response_header(c->reply.response, "Vary", "Origin");
	if (origin && strlen(origin) <= 256 && sv_origin_listed(c, origin)) {
		MHD_add_response_header(c->reply.response, "Access-Control-Allow-Origin", origin);
		MHD_add_response_header(c->reply.response, "Access-Control-Expose-Headers", exposed);
	}
}

void sv_let_wait(struct MHD_Connection *mhd, double seconds) {
	MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)(seconds < 1 ? 1 : seconds));
}

enum MHD_Result sv_reply_queue(sv_connection *c) {
	sv_reply *const r = &c->reply;
	if (c->closing || atomic_load(&c->request.server->stopping))
		sv_reply_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	for (int i = 0; i < r->header_count; i++)
		MHD_add_response_header(r->response, r->header[i].name, r->header[i].value);
	MHD_add_response_header(r->response, "X-Request-Id", c->request.id);
	MHD_add_response_header(r->response, "X-Content-Type-Options", "nosniff");
	add_cors(c);
	c->stage = SV_REPLYING;
	sv_let_wait(c->mhd, c->request.server->config->reply_timeout);
	return MHD_queue_response(c->mhd, (unsigned)r->status, r->response);
}
