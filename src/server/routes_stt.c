/* Speech to text by request: /stt/transcribe, and what items of jobs share with it. */
#include "server/models.h"
#include "server/stt_reply.h"

#include "base/error.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- formats ---- */

#define FORMATS 6
/* accept: what a client asks for it by, where response_format says nothing */
static const struct { const char *format, *accept, *type; } formats[FORMATS] = {
	{ "text", "text/plain", "text/plain; charset=utf-8" }, { "srt", "application/x-subrip", "application/x-subrip; charset=utf-8" },
	{ "vtt", "text/vtt", "text/vtt; charset=utf-8" }, { "tsv", "text/tab-separated-values", "text/tab-separated-values; charset=utf-8" },
	{ "json", NULL, "application/json" }, { "verbose_json", NULL, "application/json" },
};

static const char *format_of(const sv_request *r) {
	const char *const given = sv_text(r, "response_format", NULL);
	for (int i = 0; !given && i < FORMATS; i++)
		if (formats[i].accept && sv_accepts(r, formats[i].accept))
			return formats[i].format;
	return given ? given : "json";
}

static const char *type_of(const char *format) {
	int at = 0;
	while (at < FORMATS - 1 && strcmp(formats[at].format, format) != 0)
		at++;
	return formats[at].type;
}

static int is_subtitles(const char *format) { return strcmp(format, "srt") == 0 || strcmp(format, "vtt") == 0; }

static int is_json(const char *format) { return strcmp(type_of(format), "application/json") == 0; }

static void drop_confidence(json_t *value) {
	static const char *const lists[] = { "segments", "word_timestamps" };
	size_t i;
	json_t *one;
	json_object_del(value, "avg_confidence");
	for (int k = 0; k < 2; k++)
		json_array_foreach(json_object_get(value, lists[k]), i, one)
			json_object_del(one, "confidence");
}

static int write_json(const sv_stt_call *call, char *text, size_t size, sv_stt_body *body, char *err) {
	json_t *const value = json_loadb(text, size, 0, NULL);
	if (value) {
		json_object_del(value, "processing_time");
		if (!sv_flag(call->request, "return_confidence", 1))
			drop_confidence(value);
		body->data = sn_json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9));
	}
	json_decref(value);
	body->size = body->data ? strlen(body->data) : 0;
	body->open = 1;
	return body->data ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the transcript's JSON");
}

static int write_native(const sv_stt_call *call, const sn_transcript *t, sv_stt_body *body, char *err) {
	const char *const format = format_of(call->request);
	char *text;
	size_t size;
	const sn_transcript_options options = { .format = format, .line_width = (int)sv_integer(call->request, "max_line_width", 0),
		.line_count = (int)sv_integer(call->request, "max_line_count", 0) };
	int result = sn_transcript_write(&text, &size, t, &options, err);
	if (result != SN_OK)
		return result;
	body->type = type_of(format);
	if (is_json(format)) {
		result = write_json(call, text, size, body, err);
		free(text);
	} else {
		body->data = text;
		body->size = size;
	}
	return result;
}

static int prepare(sv_stt_call *call, sv_request *r, char *err) {
	const char *const format = format_of(r);
	sv_stt_init(call, r);
	snprintf(call->form, sizeof call->form, "native %s %d %d %d", format, sv_flag(r, "return_confidence", 1),
	         (int)sv_integer(r, "max_line_width", 0), (int)sv_integer(r, "max_line_count", 0));
	const int result = sv_stt_options(call, err);
	if (is_subtitles(format) && !json_object_get(r->params, "return_timestamps"))
		call->o.words = SN_DEFAULT; /* where the model has them, they say where to cut */
	return result;
}

/* ---- in pieces ---- */

typedef struct native_stream {
	sv_events events;
	sv_stt_call *call;
} native_stream;

/* A segment of its own is that of a transcript that has no other. */
static json_t *segment_json(const sv_stt_call *call, const sn_segment *segment) {
	const sn_transcript one = { .text = "", .language = "", .task = "", .model = "", .dtype = "", .segments = (sn_segment *)segment,
		.segment_count = 1 };
	const char *const format = strcmp(format_of(call->request), "verbose_json") == 0 ? "verbose_json" : "json";
	char *text;
	size_t size;
	if (sn_transcript_format(&text, &size, &one, format, NULL, NULL) != SN_OK)
		return NULL;
	json_t *const value = json_loadb(text, size, 0, NULL);
	free(text);
	if (value && !sv_flag(call->request, "return_confidence", 1))
		drop_confidence(value);
	json_t *const out = json_incref(json_array_get(json_object_get(value, "segments"), 0));
	json_t *const words = json_object_get(value, "word_timestamps");
	if (out && words)
		json_object_set(out, "word_timestamps", words);
	json_decref(value);
	return out;
}

static void stream_segment(void *payload, const sn_segment *segment) {
	native_stream *const s = payload;
	sv_events_send(&s->events, "segment", segment_json(s->call, segment));
}

static json_t *problem(const sv_request *r, int code, const char *message) {
	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "type", "about:blank", "title", sn_result_text(code), "status", sn_result_http(code),
	                 "detail", message, "code", sn_result_name(code), "request_id", r->id);
}

static void stream(sv_stt_call *call, sv_reply *reply) {
	char err[SN_ERRLEN];
	native_stream s = { { reply, 0 }, call };
	sv_transcript transcript = { 0 };
	sv_stt_body body = { 0 };
	call->segment = stream_segment;
	call->payload = &s;
	int result = sv_stt_open(call, err);
	if (result == SN_OK)
		result = sv_stt_transcribe(call, &transcript, err);
	if (result == SN_OK)
		result = write_native(call, transcript.t, &body, err);
	if (result == SN_OK) {
		json_t *const done = json_loadb(body.data, body.size, 0, NULL);
		json_object_set_new(done, "processing_time", json_real(call->request->facts.processing));
		json_object_set_new(done, "request_id", json_string(call->request->id));
		sv_events_send(&s.events, "done", done);
	} else if (s.events.begun) {
		sv_events_send(&s.events, "error", problem(call->request, result, err));
	} else {
		sv_stt_fail(call, reply, result, err);
	}
	if (s.events.begun)
		sv_reply_end(reply, 1);
	free(body.data);
	sv_transcript_release(&transcript);
	sv_stt_close(call);
}

/* ---- handlers ---- */

static void handle_transcribe(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	sv_stt_call call;
	int result = prepare(&call, r, err);
	const int in_pieces = sv_flag(r, "stream", 0);
	if (result == SN_OK && in_pieces && !is_json(format_of(r))) {
		call.field = "response_format";
		result = sn_fail(err, SN_E_ARGUMENT, "a stream is of json or verbose_json, not of %s", format_of(r));
	}
	if (result != SN_OK) {
		sv_stt_fail(&call, reply, result, err);
		sv_stt_close(&call);
	} else if (in_pieces) {
		stream(&call, reply);
	} else {
		sv_stt_answer(&call, reply, write_native);
	}
}

static int peek_transcribe(sv_request *r, sv_reply *reply) {
	sv_stt_call call;
	/* names of models to retry are looked up on the disk */
	if (sv_flag(r, "stream", 0) || json_object_get(r->params, "retry_models") || json_object_get(r->params, "punctuation"))
		return 0;
	return prepare(&call, r, NULL) == SN_OK ? sv_stt_answer_at_once(&call, reply) : (sv_stt_close(&call), 0);
}

static void handle_models(sv_request *r, sv_reply *reply) {
	sv_reply_json(reply, 200, json_pack("{s:o}", "models", sv_models_json(r->server->models, SN_TASK_TRANSCRIBE)));
}

int sv_transcribe_item(sv_request *r, json_t **result, char *err) {
	sv_stt_call call;
	*result = NULL;
	const int prepared = prepare(&call, r, err);
	if (prepared == SN_OK)
		return sv_stt_result(&call, result, write_native, err);
	sv_stt_close(&call);
	return prepared;
}

const sv_operation sv_operations_stt[] = { { "transcribe", handle_transcribe, 0, peek_transcribe }, { "sttModels", handle_models, 0, NULL },
	{ 0 } };
