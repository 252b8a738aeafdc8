#include "server/stt_reply.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EVENT ((size_t)64 << 20)

/* ---- failures ---- */

void sv_stt_fail(const sv_stt_call *call, sv_reply *reply, int code, const char *message) {
	const sv_route *const route = call->request->route;
	if (code == SN_E_BUSY)
		sv_reply_retry(reply, 503, 2, message);
	else if (route && route->openai && (code == SN_E_FORMAT || code == SN_E_UNSUPPORTED))
		sv_reply_status(reply, 400, code, call->field, message);
	else
		sv_reply_fail(reply, code, call->field, message);
}

/* ---- whole replies ---- */

void sv_stt_note_codes(const sn_transcript *t, char *text, size_t size) {
	size_t used = 0;
	*text = 0;
	for (size_t i = 0; i < t->note_count && used < size; i++) {
		int seen = 0;
		for (size_t k = 0; k < i; k++)
			seen |= strcmp(t->notes[k].code, t->notes[i].code) == 0;
		if (!seen)
			used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", t->notes[i].code);
	}
}

/* What the result cache keeps beside the bytes. free() it. */
static char *describe(const sv_stt_call *call, const sn_transcript *t, const sv_stt_body *body) {
	char notes[256];
	const sv_facts *const f = &call->request->facts;
	sv_stt_note_codes(t, notes, sizeof notes);
	json_t *const facts = json_pack("{s:s, s:b, s:f, s:f, s:s, s:s, s:s}", "type", body->type, "open", body->open, "audio", f->audio,
	                                "confidence", (double)f->confidence, "model", f->model, "task", f->task, "notes", notes);
	char *const text = facts ? sn_json_dumps(facts, JSON_COMPACT) : NULL;
	json_decref(facts);
	return text;
}

static void take_facts(sv_stt_call *call, const json_t *facts) {
	sv_facts *const f = &call->request->facts;
	f->audio = json_number_value(json_object_get(facts, "audio"));
	f->confidence = (float)json_number_value(json_object_get(facts, "confidence"));
	snprintf(f->model, sizeof f->model, "%s", json_string_value(json_object_get(facts, "model")));
	snprintf(f->task, sizeof f->task, "%s", json_string_value(json_object_get(facts, "task")));
	f->cached = SV_RESULT_HIT;
	f->first = sn_now() - call->request->received;
	f->processing = sn_now() - call->began;
}

/* The bytes, of an open object with what belongs to this reply alone. free() it; NULL: no memory. */
static char *finished(const sv_stt_call *call, const void *data, size_t size, int open, double processing, size_t *total) {
	char tail[SV_ID + 64] = "";
	const size_t begin = open ? size - 1 : size; /* without the closing brace */
	if (open)
		snprintf(tail, sizeof tail, ",\"processing_time\":%.6f,\"request_id\":\"%s\"}", processing, call->request->id);
	*total = begin + strlen(tail);
	char *const out = malloc(*total + 1);
	if (!out)
		return NULL;
	memcpy(out, data, begin);
	memcpy(out + begin, tail, strlen(tail) + 1);
	return out;
}

static void send_body(sv_stt_call *call, sv_reply *reply, const void *data, size_t size, const char *type, int open, const char *notes) {
	static const char *const names[] = { [SV_UNCACHED] = "miss", [SV_RESULT_HIT] = "hit", [SV_AUDIO_HIT] = "audio" };
	size_t total;
	char *const out = finished(call, data, size, open, call->request->facts.processing, &total);
	if (!out) {
		sv_reply_fail(reply, SN_E_MEMORY, NULL, "no memory for the reply");
		return;
	}
	sv_reply_header(reply, "X-Cache", names[call->request->facts.cached]);
	if (!open && notes && *notes)
		sv_reply_header(reply, "X-Notes", notes);
	sv_reply_bytes(reply, 200, type, out, total, free);
}

/* Facts of an entry that can be given out, or NULL. */
static json_t *entry_facts(const sn_cached *entry) {
	json_t *const facts = json_loads(entry->facts ? entry->facts : "", 0, NULL);
	const int open = json_is_true(json_object_get(facts, "open")), fine = json_is_string(json_object_get(facts, "type")) &&
		json_is_string(json_object_get(facts, "model")) && json_is_string(json_object_get(facts, "task"));
	if (fine && (!open || entry->size > 1))
		return facts;
	json_decref(facts);
	return NULL;
}

/* The reply out of an entry, which is given back: 1. 0: there is none. */
static int answer_from(sv_stt_call *call, sv_reply *reply, const sn_cached *entry) {
	json_t *const facts = entry ? entry_facts(entry) : NULL;
	if (facts) {
		take_facts(call, facts);
		send_body(call, reply, entry->data, entry->size, json_string_value(json_object_get(facts, "type")),
		          json_is_true(json_object_get(facts, "open")), json_string_value(json_object_get(facts, "notes")));
	}
	json_decref(facts);
	sn_cached_release(&entry);
	return facts != NULL;
}

int sv_stt_answer_at_once(sv_stt_call *call, sv_reply *reply) {
	const int found = sv_stt_peek(call) == SN_OK && answer_from(call, reply, sn_cache_peek(call->request->server->results, call->result_key));
	sv_stt_close(call);
	return found;
}

/* The transcript's bytes, which the result cache then has. */
static int make_body(sv_stt_call *call, sv_stt_body *body, char notes[256], sv_stt_write write, char *err) {
	sn_cache *const results = call->request->server->results;
	sv_transcript transcript;
	int result = sv_stt_transcribe(call, &transcript, err);
	if (result == SN_OK) {
		sv_stt_note_codes(transcript.t, notes, 256);
		result = write(call, transcript.t, body, err);
	}
	char *const facts = result == SN_OK && call->keyed && results ? describe(call, transcript.t, body) : NULL;
	if (facts)
		sn_cache_put(results, call->result_key, body->data, body->size, facts);
	free(facts);
	sv_transcript_release(&transcript);
	return result;
}

void sv_stt_answer(sv_stt_call *call, sv_reply *reply, sv_stt_write write) {
	sn_cache *const results = call->request->server->results;
	char err[SN_ERRLEN], notes[256];
	sv_stt_body body = { 0 };
	int result = sv_stt_open(call, err);
	if (result != SN_OK || !call->keyed || !results || !answer_from(call, reply, sn_cache_get(results, call->result_key))) {
		if (result == SN_OK)
			result = make_body(call, &body, notes, write, err);
		if (result == SN_OK)
			send_body(call, reply, body.data, body.size, body.type, body.open, notes);
		else
			sv_stt_fail(call, reply, result, err);
	}
	free(body.data);
	sv_stt_close(call);
}

int sv_stt_result(sv_stt_call *call, json_t **out, sv_stt_write write, char *err) {
	sn_cache *const results = call->request->server->results;
	char notes[256];
	sv_stt_body body = { 0 };
	*out = NULL;
	int result = sv_stt_open(call, err);
	const sn_cached *entry = result == SN_OK && call->keyed && results ? sn_cache_get(results, call->result_key) : NULL;
	json_t *const facts = entry ? entry_facts(entry) : NULL;
	if (facts) {
		take_facts(call, facts);
		*out = json_loadb(entry->data, entry->size, 0, NULL);
	}
	if (result == SN_OK && !*out && (result = make_body(call, &body, notes, write, err)) == SN_OK &&
	    !(*out = json_loadb(body.data, body.size, 0, NULL)))
		result = sn_fail(err, SN_E_MEMORY, "no memory for the result");
	if (*out)
		json_object_set_new(*out, "processing_time", json_real(call->request->facts.processing));
	json_decref(facts);
	sn_cached_release(&entry);
	free(body.data);
	sv_stt_close(call);
	return result;
}

/* ---- events ---- */

void sv_events_text(sv_events *e, const char *text) {
	if (!e->begun) {
		sv_reply_header(e->reply, "Cache-Control", "no-cache");
		e->begun = 1;
		if (sv_reply_begin(e->reply, "text/event-stream") != SN_OK)
			return;
	}
	sv_reply_write(e->reply, text, strlen(text));
}

void sv_events_send(sv_events *e, const char *name, json_t *data) {
	char *const json = data ? sn_json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	sn_buf text;
	json_decref(data);
	sn_buf_init(&text, MAX_EVENT);
	if (name)
		sn_buf_printf(&text, "event: %s\n", name);
	sn_buf_printf(&text, "data: %s\n\n", json ? json : "null");
	if (!text.failed)
		sv_events_text(e, text.data);
	sn_buf_free(&text);
	free(json);
}
