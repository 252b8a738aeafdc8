/* The strand's side of a session: messages in their order, replies, errors. */
#include "server/ws_inner.h"

#include "base/json.h"
#include "server/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FAILURES 64 /* after which a session that goes on with mistakes is ended */
#define MAX_VALUES 65536 /* of a message */
#define ROUNDS 32 /* of taking and sending before others have their turn */

sv_request *ws_request(const ws_session *s) { return &s->connection->request; }

sv_server *ws_server(const ws_session *s) { return s->sockets->server; }

int ws_listening(ws_session *s, int change) { return atomic_fetch_add(&s->sockets->listening, change) + change; }

/* ---- what came in ---- */

static void free_message(ws_message *m) {
	json_decref(m->json);
	free(m);
}

static void pop(ws_session *s) {
	pthread_mutex_lock(&s->lock);
	ws_message *const m = s->first;
	const int was_full = s->inbox >= WS_MAX_INBOX;
	s->first = m->next;
	if (!m->next)
		s->last = &s->first;
	s->inbox -= m->size + sizeof *m;
	const int post = was_full && s->inbox < WS_MAX_INBOX && !s->posted;
	s->posted |= post;
	pthread_mutex_unlock(&s->lock);
	free_message(m);
	if (post)
		sv_http_call(ws_server(s)->http, ws_session_turn, s);
}

static ws_message *peek(ws_session *s) {
	pthread_mutex_lock(&s->lock);
	ws_message *const m = s->closing ? NULL : s->first;
	pthread_mutex_unlock(&s->lock);
	return m;
}

static json_t *parse(ws_message *m, char *err) {
	json_error_t error;
	if (m->json)
		return m->json;
	if (sn_json_values(m->data, m->size) > MAX_VALUES) {
		sn_fail(err, SN_E_LIMIT, "the message has more than %d values", MAX_VALUES);
		return NULL;
	}
	m->json = json_loadb(m->data, m->size, JSON_REJECT_DUPLICATES, &error);
	if (!m->json)
		sn_fail(err, SN_E_FORMAT, "the message is no JSON: %.120s (byte %d)", error.text, error.position);
	else if (!json_is_string(json_object_get(m->json, "type")))
		sn_fail(err, SN_E_ARGUMENT, "the message is no object with a text \"type\"");
	else
		return m->json;
	return NULL;
}

json_t *ws_message_json(ws_session *s, ws_message *m) {
	char err[SN_ERRLEN];
	json_t *const json = parse(m, err);
	if (!json)
		ws_fail(s, m->json ? SN_E_ARGUMENT : SN_E_FORMAT, "type", err, 1);
	return json;
}

/* Whether a "cancel" waits behind the message that cannot be taken now; those before it are thrown away. */
static int skip_to_cancel(ws_session *s) {
	pthread_mutex_lock(&s->lock);
	ws_message *found = s->first;
	for (; found; found = found->next) {
		const char *const text = found->is_text ? json_string_value(json_object_get(parse(found, NULL), "type")) : NULL;
		if (text && strcmp(text, "cancel") == 0)
			break;
	}
	pthread_mutex_unlock(&s->lock);
	while (found && s->first != found)
		pop(s);
	return found != NULL;
}

/* ---- what goes out ---- */

static void post(ws_session *s) {
	pthread_mutex_lock(&s->lock);
	const int wanted = !s->posted;
	s->posted = 1;
	pthread_mutex_unlock(&s->lock);
	if (wanted)
		sv_http_call(ws_server(s)->http, ws_session_turn, s);
}

/* code: of a closing frame, behind which nothing is sent. */
static void queue(ws_session *s, int kind, int code, const void *data, size_t size) {
	ws_out *const o = malloc(sizeof *o + size + 1);
	pthread_mutex_lock(&s->lock);
	if (!o || s->closing) {
		s->closing |= !o; /* a reply with a gap is none */
		pthread_mutex_unlock(&s->lock);
		free(o);
		return;
	}
	*o = (ws_out){ .kind = kind, .code = code, .size = size };
	memcpy(o->data, data, size);
	o->data[size] = 0;
	*s->out_last = o;
	s->out_last = &o->next;
	s->outbox += size;
	s->closing |= !kind;
	pthread_mutex_unlock(&s->lock);
	post(s);
}

void ws_send(ws_session *s, json_t *value) {
	char *const text = value ? sn_json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(value);
	if (text)
		queue(s, WS_TEXT, 0, text, strlen(text));
	else
		ws_close(s, WS_TRY_LATER, "no memory for a reply");
	free(text);
}

void ws_send_audio(ws_session *s, const void *data, size_t size) { queue(s, WS_BINARY, 0, data, size); }

void ws_drop_audio(ws_session *s) {
	pthread_mutex_lock(&s->lock);
	for (ws_out **at = &s->out; *at;) {
		ws_out *const o = *at;
		if (o->kind != WS_BINARY) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		s->outbox -= o->size;
		free(o);
	}
	s->out_last = &s->out;
	while (*s->out_last)
		s->out_last = &(*s->out_last)->next;
	pthread_mutex_unlock(&s->lock);
}

int ws_has_room(ws_session *s) {
	pthread_mutex_lock(&s->lock);
	const int room = s->outbox < WS_MAX_OUTBOX && !s->closing;
	s->stalled |= !room;
	pthread_mutex_unlock(&s->lock);
	return room;
}

void ws_close(ws_session *s, int code, const char *reason) { queue(s, 0, code, reason, strlen(reason)); }

static json_t *openai_error(int code, const char *field, const char *message) {
	return json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s*, s:n}}", "type", "error", "event_id", "event_error", "error", "type",
	                 sn_result_http(code) >= 500 ? "server_error" : "invalid_request_error", "code", sn_result_name(code), "message", message,
	                 "param", field && *field ? field : NULL, "event_id");
}

int ws_fail(ws_session *s, int code, const char *field, const char *message, int fatal) {
	const int http = sn_result_http(code);
	json_t *const error = s->protocol->openai
		? openai_error(code, field, message)
		: json_pack("{s:s, s:s, s:s, s:b, s:s, s:s*}", "type", "error", "code", sn_result_name(code), "message", message, "fatal", fatal,
	                "request_id", ws_request(s)->id, "field", field && *field ? field : NULL);
	ws_send(s, error);
	if (!fatal && ++s->failures < MAX_FAILURES)
		return code;
	sv_metrics_add(ws_server(s)->metrics, SV_COUNT_SOCKET_ERRORS, 1);
	ws_close(s, 4000 + http, sn_result_text(code));
	return code;
}

void ws_watch(ws_session *s, void (*cancel)(void *payload), void *payload) {
	pthread_mutex_lock(&s->lock);
	s->cancel = cancel;
	s->cancel_payload = payload;
	if (cancel && s->closing) {
		cancel(payload);
		s->cancel = NULL;
	}
	pthread_mutex_unlock(&s->lock);
}

void ws_watch_fd(ws_session *s, int fd, int write_too) {
	pthread_mutex_lock(&s->lock);
	s->aux.fd = fd;
	s->aux_new = fd >= 0;
	s->aux_write = write_too;
	pthread_mutex_unlock(&s->lock);
	if (fd >= 0)
		post(s);
}

/* ---- a turn ---- */

static void end(ws_session *s) {
	if (s->begun && !s->ended)
		s->protocol->end(s, s->state);
	s->ended = 1;
	while (s->first)
		pop(s);
}

static int is_closing(ws_session *s) {
	pthread_mutex_lock(&s->lock);
	const int closing = s->closing;
	pthread_mutex_unlock(&s->lock);
	return closing;
}

/* Takes and sends until neither can go on; 1: there is more, but others come first. */
static int go_on(ws_session *s) {
	for (int round = 0; round < ROUNDS; round++) {
		ws_message *m;
		int taken = 0, blocked = 0;
		while (!blocked && taken < ROUNDS && (m = peek(s)) != NULL) {
			blocked = s->protocol->take(s, s->state, m) == SN_AGAIN;
			if (!blocked)
				pop(s);
			else if (!s->protocol->openai)
				blocked = !skip_to_cancel(s);
			taken += !blocked;
		}
		const int ran = !is_closing(s) && s->protocol->run(s, s->state);
		if (is_closing(s) || (!ran && !taken))
			return 0;
	}
	return 1;
}

void ws_session_run(ws_session *s) {
	if (!s->begun && !is_closing(s)) {
		s->begun = 1;
		s->protocol->begin(s, s->state);
	}
	const int more = s->begun && !s->ended && !is_closing(s) && go_on(s);
	if (is_closing(s))
		end(s);
	else if (more)
		ws_schedule(s);
}
