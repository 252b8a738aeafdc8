/* GET /v1/realtime: OpenAI's realtime transcription sessions. Messages: api/websocket.md. */
#include "server/ws_realtime.h"

#include "base/clock.h"
#include "server/base64.h"
#include "server/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TRANSCRIPT ((size_t)1 << 20) /* bytes of one item's text */

/* ---- events ---- */

/* Takes the fields; adds type and event_id. */
static void send_event(ws_session *s, ws_realtime *t, const char *type, json_t *fields) {
	char id[32];
	snprintf(id, sizeof id, "event_%lld", (long long)++t->events);
	if (fields) {
		json_object_set_new(fields, "type", json_string(type));
		json_object_set_new(fields, "event_id", json_string(id));
	}
	ws_send(s, fields);
}

static void name_item(const ws_session *s, int64_t number, char name[WS_ITEM]) {
	snprintf(name, WS_ITEM, "item_%.12s_%lld", ws_request(s)->id, (long long)number);
}

static int milliseconds(const ws_realtime *t, double seconds) { return (int)((t->base + seconds) * 1000 + 0.5); }

static void start_speech(ws_session *s, ws_realtime *t, double position) {
	char item[WS_ITEM];
	if (t->speaking)
		return;
	t->speaking = 1;
	name_item(s, t->item, item);
	if (t->options.detects)
		send_event(s, t, "input_audio_buffer.speech_started",
		           json_pack("{s:i, s:s}", "audio_start_ms", milliseconds(t, position > t->heard ? position : t->heard), "item_id", item));
}

static void commit_item(ws_session *s, ws_realtime *t) {
	char item[WS_ITEM], before[WS_ITEM];
	if (t->committed)
		return;
	t->committed = 1;
	name_item(s, t->item, item);
	name_item(s, t->item - 1, before);
	const char *const previous = t->item > 1 ? before : NULL;
	send_event(s, t, "input_audio_buffer.committed", json_pack("{s:s?, s:s}", "previous_item_id", previous, "item_id", item));
	send_event(s, t, "conversation.item.added",
	           json_pack("{s:s?, s:{s:s, s:s, s:s, s:s, s:s, s:[{s:s, s:n}]}}", "previous_item_id", previous, "item", "id", item, "object", "realtime.item",
	                     "type", "message", "status", "completed", "role", "user", "content", "type", "input_audio", "transcript"));
}

static void send_delta(ws_session *s, ws_realtime *t, const char *text) {
	char item[WS_ITEM];
	name_item(s, t->item, item);
	text += t->text.size ? 0 : strspn(text, " ");
	sn_buf_text(&t->text, text);
	send_event(s, t, "conversation.item.input_audio_transcription.delta",
	           json_pack("{s:s, s:i, s:s}", "item_id", item, "content_index", 0, "delta", text));
}

/* seconds: of the item's audio. */
static void complete_item(ws_session *s, ws_realtime *t, double seconds) {
	char item[WS_ITEM];
	name_item(s, t->item, item);
	commit_item(s, t);
	send_event(s, t, "conversation.item.input_audio_transcription.completed",
	           json_pack("{s:s, s:i, s:s, s:{s:s, s:f}}", "item_id", item, "content_index", 0, "transcript", t->text.data ? t->text.data : "", "usage", "type",
	                     "duration", "seconds", seconds));
	sn_buf_free(&t->text);
	t->item++;
	t->speaking = t->committed = 0;
}

static void fail_item(ws_session *s, ws_realtime *t, int code, const char *message) {
	char item[WS_ITEM];
	name_item(s, t->item, item);
	send_event(s, t, "conversation.item.input_audio_transcription.failed",
	           json_pack("{s:s, s:i, s:{s:s, s:s, s:s, s:n}}", "item_id", item, "content_index", 0, "error", "type",
	                     sn_result_http(code) >= 500 ? "server_error" : "invalid_request_error", "code", sn_result_name(code), "message", message, "param"));
	t->item++;
	t->speaking = t->committed = 0;
}

/* ---- what the engine says ---- */

static void close_ear(ws_realtime *t) {
	if (t->ear)
		t->base += ws_ear_seconds(t->ear);
	ws_ear_close(&t->ear);
	sn_buf_free(&t->text);
	t->heard = 0;
}

static void take_event(ws_session *s, ws_realtime *t, const sn_event *e) {
	const sn_segment *const g = &e->segment;
	if (e->kind == SN_EVENT_PARTIAL && *e->text)
		start_speech(s, t, e->position - 0.5);
	if (e->kind == SN_EVENT_COMMIT) {
		start_speech(s, t, e->position - 1);
		send_delta(s, t, e->text);
	}
	if (e->kind != SN_EVENT_SEGMENT)
		return;
	start_speech(s, t, g->start);
	if (!t->ear->live || (t->options.detects && !t->text.size)) /* else it is what was committed */
		send_delta(s, t, g->text);
	t->heard = g->end;
	if (!t->options.detects)
		return;
	char item[WS_ITEM];
	name_item(s, t->item, item);
	send_event(s, t, "input_audio_buffer.speech_stopped", json_pack("{s:i, s:s}", "audio_end_ms", milliseconds(t, g->end), "item_id", item));
	complete_item(s, t, g->end - g->start);
}

static int run(ws_session *s, void *state) {
	ws_realtime *const t = state;
	char err[SN_ERRLEN];
	sn_event event;
	double latency;
	int result = SN_AGAIN, sent = 0;
	while (t->ear && ws_has_room(s) && (result = ws_ear_pull(t->ear, &event, &latency, err)) == SN_OK) {
		take_event(s, t, &event);
		sent = 1;
	}
	if (!t->ear || result == SN_OK || result == SN_AGAIN)
		return sent;
	if (result != SN_END)
		fail_item(s, t, result, err);
	else if (t->committed || t->text.size)
		complete_item(s, t, ws_ear_seconds(t->ear));
	close_ear(t);
	return 1;
}

/* ---- what the client says ---- */

static int open_ear(ws_session *s, ws_realtime *t) {
	char err[SN_ERRLEN];
	const char *field;
	const ws_realtime_options *const w = &t->options;
	const ws_ear_options options = { .model = sv_openai_model(w->model), .live = 1,
		.reader = { .format = w->format, .sample_rate = w->rate },
		.o = { .language = *w->language ? w->language : NULL, .prompt = *w->prompt ? w->prompt : NULL, .hotwords = *w->keywords ? w->keywords : NULL,
			.denoise = w->denoise ? SN_ON : SN_DEFAULT, .partial_interval = 0,
			.vad_settings = { .threshold = w->threshold, .min_silence = w->silence, .pad = w->padding } } };
	const int result = ws_ear_open(&t->ear, s, &options, NULL, &field, err);
	if (result != SN_OK)
		return ws_fail(s, result, field, err, 0);
	sn_buf_init(&t->text, MAX_TRANSCRIPT);
	return SN_OK;
}

static void drop_bytes(ws_realtime *t) {
	free(t->bytes);
	t->bytes = NULL;
	t->size = t->at = 0;
}

static int append(ws_session *s, ws_realtime *t, const json_t *m, double came) {
	const json_t *const audio = json_object_get(m, "audio");
	char err[SN_ERRLEN];
	size_t taken;
	if (t->ear && t->ear->finishing)
		return SN_AGAIN; /* the committed item comes first */
	int result = json_is_string(audio) ? SN_OK : sn_fail(err, SN_E_ARGUMENT, "\"audio\" must be a text: base64");
	if (result == SN_OK && !t->bytes)
		result = sv_base64_decode(&t->bytes, &t->size, json_string_value(audio), json_string_length(audio), "audio", err);
	if (result != SN_OK)
		return ws_fail(s, result, "audio", err, 0);
	if (!t->ear && open_ear(s, t) != SN_OK) {
		drop_bytes(t);
		return SN_OK;
	}
	result = ws_ear_push(t->ear, (char *)t->bytes + t->at, t->size - t->at, &taken, came, err);
	t->at += taken;
	if (result == SN_AGAIN && t->at < t->size)
		return SN_AGAIN;
	if (result < 0) {
		fail_item(s, t, result, err);
		close_ear(t);
	}
	drop_bytes(t);
	return SN_OK;
}

static void commit(ws_session *s, ws_realtime *t) {
	if (!t->ear || t->ear->first_came <= 0 || t->ear->finishing) {
		ws_fail(s, SN_E_ARGUMENT, NULL, "the input audio buffer is empty: there is nothing to commit", 0);
		return;
	}
	commit_item(s, t);
	char err[SN_ERRLEN];
	const int result = ws_ear_finish(t->ear, err);
	if (result != SN_OK)
		fail_item(s, t, result, err);
}

/* SN_AGAIN: the committed item comes first. */
static int update(ws_session *s, ws_realtime *t, const json_t *m, int old) {
	char err[SN_ERRLEN], field[SV_NAME] = "";
	if (t->ear && t->ear->finishing)
		return SN_AGAIN;
	const json_t *const session = json_object_get(m, "session");
	int result = t->ear ? sn_fail(err, SN_E_CLOSED, "the session changes only while no audio is in the buffer: commit or clear it first") : SN_OK;
	if (result == SN_OK)
		result = old ? ws_realtime_read_old(&t->options, session, field, err) : ws_realtime_read(&t->options, session, field, err);
	if (result != SN_OK)
		ws_fail(s, result, field, err, 0);
	else
		send_event(s, t, old ? "transcription_session.updated" : "session.updated", json_pack("{s:o}", "session", ws_realtime_json(&t->options, t->id, old)));
	return SN_OK;
}

/* What was committed is no longer in the buffer. */
static void clear(ws_session *s, ws_realtime *t) {
	if (!t->ear || !t->ear->finishing) {
		close_ear(t);
		t->speaking = t->committed = 0;
	}
	send_event(s, t, "input_audio_buffer.cleared", json_object());
}

static int take(ws_session *s, void *state, ws_message *message) {
	ws_realtime *const t = state;
	if (!message->is_text)
		return ws_fail(s, SN_E_ARGUMENT, NULL, "messages here are JSON texts; audio goes into input_audio_buffer.append", 1);
	json_t *const m = ws_message_json(s, message);
	if (!m)
		return SN_OK;
	const char *const type = json_string_value(json_object_get(m, "type"));
	if (strcmp(type, "input_audio_buffer.append") == 0)
		return append(s, t, m, message->came) == SN_AGAIN ? SN_AGAIN : SN_OK;
	if (strcmp(type, "input_audio_buffer.commit") == 0) {
		commit(s, t);
	} else if (strcmp(type, "input_audio_buffer.clear") == 0) {
		clear(s, t);
	} else if (strcmp(type, "session.update") == 0 || strcmp(type, "transcription_session.update") == 0) {
		return update(s, t, m, *type == 't');
	} else {
		ws_fail(s, SN_E_UNSUPPORTED, "type", "sessions here transcribe: session.update, transcription_session.update, input_audio_buffer.append, "
		        ".commit and .clear are taken", 0);
	}
	return SN_OK;
}

static void greet(ws_session *s, void *state) {
	ws_realtime *const t = state;
	ws_realtime_defaults(&t->options, sv_text(ws_request(s), "model", "auto"));
	snprintf(t->id, sizeof t->id, "sess_%s", ws_request(s)->id);
	t->item = 1;
	send_event(s, t, "session.created", json_pack("{s:o}", "session", ws_realtime_json(&t->options, t->id, 0)));
}

static void end(ws_session *s, void *state) {
	(void)s;
	close_ear(state);
	drop_bytes(state);
}

const ws_protocol ws_realtime_protocol = {
	.kind = WS_REALTIME, .subprotocol = "realtime", .openai = 1, .max_text = WS_MAX_EVENT, .max_binary = WS_MAX_TEXT, .state_size = sizeof(ws_realtime),
	.begin = greet, .take = take, .run = run, .end = end,
};
