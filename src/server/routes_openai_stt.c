/* OpenAI's transcription, translation and list of models on the same transcripts. What its clients send and this server does not know is
 * ignored, as openapi.json says. */
#include "server/models.h"
#include "server/stt_reply.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOKENS_A_SECOND 10 /* of audio, as OpenAI counts them */
#define MAX_TOKEN 256      /* bytes of a token's text */
#define MAX_TEXT ((size_t)64 << 20)

static const char *const listeners[] = { "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe-2025-12-15",
	"gpt-transcribe", NULL };
static const char *const speakers[] = { "tts-1", "tts-1-hd", "gpt-4o-mini-tts", NULL };

static int lists(const sv_request *r, const char *name, const char *wanted) {
	size_t i;
	json_t *one;
	json_array_foreach(json_object_get(r->params, name), i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), wanted) == 0)
			return 1;
	return 0;
}

/* ---- what is asked for ---- */

typedef struct wish {
	sv_stt_call call;                /* first */
	const char *format;
	int words, segments;             /* of verbose_json */
	int logprobs, by_tokens;         /* the usage is in tokens, not in seconds */
	int translates;
} wish;

/* keywords[] as hotwords. */
static int take_keywords(wish *w, char *err) {
	sn_buf text;
	size_t i;
	json_t *one;
	sn_buf_init(&text, SN_MAX_HOTWORDS);
	json_array_foreach(json_object_get(w->call.request->params, "keywords"), i, one)
		sn_buf_printf(&text, "%s%s", text.size ? "," : "", json_string_value(one));
	if (text.failed) {
		sn_buf_free(&text);
		w->call.field = "keywords";
		return sn_fail(err, SN_E_LIMIT, "the keywords have more than %zu bytes together", SN_MAX_HOTWORDS);
	}
	w->call.text = sn_buf_take(&text, NULL);
	w->call.o.hotwords = w->call.text;
	return SN_OK;
}

static int prepare(wish *w, sv_request *r, char *err) {
	const json_t *const languages = json_object_get(r->params, "languages");
	const char *const model = sv_text(r, "model", "whisper-1"), *const only = json_string_value(json_array_get(languages, 0));
	*w = (wish){ .format = sv_text(r, "response_format", "json"), .words = lists(r, "timestamp_granularities", "word"),
		.segments = lists(r, "timestamp_granularities", "segment") || !json_array_size(json_object_get(r->params, "timestamp_granularities")),
		.logprobs = lists(r, "include", "logprobs"), .by_tokens = strncmp(model, "gpt-", 4) == 0,
		.translates = strcmp(r->route->operation, "openaiTranslate") == 0 };
	sv_stt_init(&w->call, r);
	sn_stt_options *const o = &w->call.o;
	w->call.model = sv_openai_model(model);
	o->language = sv_text(r, "language", json_array_size(languages) == 1 && only ? only : "auto");
	o->task = w->translates ? "translate" : "transcribe";
	o->prompt = sv_text(r, "prompt", NULL);
	o->temperature = (float)sv_number(r, "temperature", 0);
	const int is_subtitles = strcmp(w->format, "srt") == 0 || strcmp(w->format, "vtt") == 0;
	o->words = is_subtitles ? SN_DEFAULT : w->words && strcmp(w->format, "verbose_json") == 0 ? SN_ON : SN_OFF;
	o->denoise = SN_OFF;
	o->vad_settings = (sn_vad_settings){ .threshold = (float)sv_number(r, "chunking_strategy[threshold]", 0),
		.pad = sv_stt_milliseconds(r, "chunking_strategy[prefix_padding_ms]"),
		.min_silence = sv_stt_milliseconds(r, "chunking_strategy[silence_duration_ms]") };
	snprintf(w->call.form, sizeof w->call.form, "openai %s %d %d %d %d", w->format, w->words, w->segments, w->logprobs, w->by_tokens);
	return take_keywords(w, err);
}

/* ---- parts of replies ---- */

static json_t *usage_of(const sn_transcript *t, int by_tokens) {
	json_int_t out = 0;
	const json_int_t in = (json_int_t)(t->duration * TOKENS_A_SECOND + 0.5);
	if (!by_tokens)
		return json_pack("{s:s, s:f}", "type", "duration", "seconds", t->duration);
	for (size_t i = 0; i < t->segment_count; i++)
		out += t->segments[i].token_count;
	return json_pack("{s:s, s:I, s:I, s:I, s:{s:I, s:i}}", "type", "tokens", "input_tokens", in, "output_tokens", out, "total_tokens",
	                 in + out, "input_token_details", "audio_tokens", in, "text_tokens", 0);
}

static json_t *lenient(const char *text) {
	json_t *const value = json_string(text);
	return value ? value : json_string("\xef\xbf\xbd"); /* a part of a character */
}

/* Adds a segment's tokens that write something. */
static void add_logprobs(json_t *list, const sn_model *model, const sn_segment *s) {
	char text[MAX_TOKEN];
	for (int i = 0; s->token_logprobs && i < s->token_count; i++) {
		size_t size = sn_model_token(model, s->tokens[i], text, sizeof text);
		size = size < sizeof text ? size : sizeof text - 1;
		if (!size)
			continue;
		json_t *const bytes = json_array();
		for (size_t k = 0; k < size; k++)
			json_array_append_new(bytes, json_integer((unsigned char)text[k]));
		json_array_append_new(list, json_pack("{s:o, s:o, s:f}", "token", lenient(text), "bytes", bytes, "logprob",
		                                      (double)s->token_logprobs[i]));
	}
}

static json_t *all_logprobs(const sn_model *model, const sn_transcript *t) {
	json_t *const list = json_array();
	for (size_t i = 0; i < t->segment_count; i++)
		add_logprobs(list, model, &t->segments[i]);
	return list;
}

/* ---- whole replies ---- */

static json_t *plain_json(const wish *w, const sn_transcript *t) {
	json_t *const out = json_pack("{s:o, s:o}", "text", lenient(t->text), "usage", usage_of(t, w->by_tokens));
	if (out && w->logprobs)
		json_object_set_new(out, "logprobs", all_logprobs(w->call.use.model, t));
	return out;
}

/* The native object's parts under OpenAI's names. */
static json_t *verbose_json(const wish *w, const sn_transcript *t) {
	const char *const language = w->translates ? "english" : sn_language_name(t->language);
	char *text;
	size_t size, i;
	json_t *one;
	if (sn_transcript_format(&text, &size, t, "verbose_json", NULL, NULL) != SN_OK)
		return NULL;
	json_t *const native = json_loadb(text, size, 0, NULL), *const segments = json_object_get(native, "segments");
	free(text);
	json_t *const out = json_pack("{s:s, s:s, s:O?, s:O?, s:o}", "task", t->task, "language", language ? language : t->language, "duration",
	                              json_object_get(native, "duration"), "text", json_object_get(native, "text"), "usage", usage_of(t, 0));
	json_array_foreach(segments, i, one) {
		json_object_del(one, "confidence");
		json_object_del(one, "token_logprobs");
		json_object_set_new(one, "seek", json_integer((json_int_t)(t->segments[i].start * 100)));
	}
	if (out && w->segments)
		json_object_set(out, "segments", segments);
	json_t *const words = json_object_get(native, "word_timestamps");
	json_array_foreach(words, i, one)
		json_object_del(one, "confidence");
	if (out && w->words)
		json_object_set_new(out, "words", words ? json_incref(words) : json_array());
	json_decref(native);
	return out;
}

static int write_openai(const sv_stt_call *call, const sn_transcript *t, sv_stt_body *body, char *err) {
	const wish *const w = (const wish *)(const void *)call;
	const int plain = strcmp(w->format, "json") == 0, verbose = strcmp(w->format, "verbose_json") == 0;
	body->type = strcmp(w->format, "srt") == 0 ? "application/x-subrip; charset=utf-8"
		: strcmp(w->format, "vtt") == 0 ? "text/vtt; charset=utf-8" : "text/plain; charset=utf-8";
	if (!plain && !verbose)
		return sn_transcript_format(&body->data, &body->size, t, w->format, NULL, err);
	json_t *const value = plain ? plain_json(w, t) : verbose_json(w, t);
	body->type = "application/json";
	body->data = value ? sn_json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	body->size = body->data ? strlen(body->data) : 0;
	json_decref(value);
	return body->data ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the transcript's JSON");
}

/* ---- in pieces ---- */

typedef struct openai_stream {
	wish w;
	sv_events events;
	sn_buf text;                     /* of all segments so far */
	size_t given;                    /* bytes of it that went out */
	json_t *pending, *all;           /* logprobs of what has not gone out yet; of everything */
} openai_stream;

/* The text so far but the spaces at its end, which are not the transcript's unless more comes. */
static void give_delta(openai_stream *s) {
	size_t end = s->text.size;
	while (end > s->given && isspace((unsigned char)s->text.data[end - 1]))
		end--;
	if (end == s->given)
		return;
	json_t *const text = json_stringn(s->text.data + s->given, end - s->given);
	json_t *const delta = json_pack("{s:s, s:o}", "type", "transcript.text.delta", "delta", text ? text : json_string(""));
	if (delta && s->w.logprobs)
		json_object_set(delta, "logprobs", s->pending);
	json_array_extend(s->all, s->pending);
	json_decref(s->pending);
	s->pending = json_array();
	s->given = end;
	sv_events_send(&s->events, NULL, delta);
}

static void stream_segment(void *payload, const sn_segment *segment) {
	openai_stream *const s = payload;
	sn_buf_text(&s->text, s->text.size ? segment->text : segment->text + strspn(segment->text, " "));
	if (s->w.logprobs)
		add_logprobs(s->pending, s->w.call.use.model, segment);
	if (!s->text.failed && s->text.size)
		give_delta(s);
}

static void finish_stream(openai_stream *s, const sn_transcript *t) {
	json_t *const done = json_pack("{s:s, s:o, s:o}", "type", "transcript.text.done", "text", lenient(t->text), "usage", usage_of(t, 1));
	if (done && s->w.logprobs)
		json_object_set(done, "logprobs", s->all);
	sv_events_send(&s->events, NULL, done);
	sv_events_text(&s->events, "data: [DONE]\n\n");
}

static void stream(openai_stream *s, sv_reply *reply) {
	sv_stt_call *const call = &s->w.call;
	sv_transcript transcript = { 0 };
	char err[SN_ERRLEN];
	sn_buf_init(&s->text, MAX_TEXT);
	s->events = (sv_events){ reply, 0 };
	s->pending = json_array();
	s->all = json_array();
	call->segment = stream_segment;
	call->payload = s;
	int result = sv_stt_open(call, err);
	if (result == SN_OK)
		result = sv_stt_transcribe(call, &transcript, err);
	if (result == SN_OK)
		finish_stream(s, transcript.t);
	else if (s->events.begun)
		sv_events_send(&s->events, NULL, json_pack("{s:{s:s, s:s, s:n, s:s}}", "error", "message", err, "type", "server_error", "param", "code",
		                                           sn_result_name(result)));
	else
		sv_stt_fail(call, reply, result, err);
	if (s->events.begun)
		sv_reply_end(reply, 1);
	sv_transcript_release(&transcript);
	json_decref(s->pending);
	json_decref(s->all);
	sn_buf_free(&s->text);
	sv_stt_close(call);
}

/* ---- handlers ---- */

static void handle(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	openai_stream s = { 0 };
	const int result = prepare(&s.w, r, err);
	if (result != SN_OK) {
		sv_stt_fail(&s.w.call, reply, result, err);
		sv_stt_close(&s.w.call);
	} else if (sv_flag(r, "stream", 0)) {
		stream(&s, reply);
	} else {
		sv_stt_answer(&s.w.call, reply, write_openai);
	}
}

static int peek(sv_request *r, sv_reply *reply) {
	wish w;
	if (sv_flag(r, "stream", 0))
		return 0;
	if (prepare(&w, r, NULL) == SN_OK)
		return sv_stt_answer_at_once(&w.call, reply);
	sv_stt_close(&w.call);
	return 0;
}

/* ---- models ---- */

static json_t *model_json(const sv_request *r, const char *name, const char *owner) {
	const time_t created = time(NULL) - (time_t)(sn_now() - r->server->started);
	return json_pack("{s:s, s:s, s:I, s:s}", "id", name, "object", "model", "created", (json_int_t)created, "owned_by", owner);
}

/* Installed models that transcribe or speak, and OpenAI's names where there is one that they can stand for. */
static json_t *all_models(const sv_request *r) {
	json_t *const list = json_array();
	for (int i = 0; i < 2; i++) {
		json_t *const known = sv_models_json(r->server->models, i == 0 ? SN_TASK_TRANSCRIBE : SN_TASK_SPEAK), *one;
		const char *const *const names = i == 0 ? listeners : speakers;
		const size_t before = json_array_size(list);
		size_t k;
		json_array_foreach(known, k, one)
			if (json_is_true(json_object_get(one, "installed")))
				json_array_append_new(list, model_json(r, json_string_value(json_object_get(one, "name")), "sonant"));
		for (int n = 0; json_array_size(list) > before && names[n]; n++)
			json_array_append_new(list, model_json(r, names[n], "openai"));
		json_decref(known);
	}
	return list;
}

static void handle_models(sv_request *r, sv_reply *reply) {
	json_t *const value = json_pack("{s:s, s:o}", "object", "list", "data", all_models(r));
	char *const text = value ? sn_json_dumps(value, JSON_COMPACT) : NULL;
	json_decref(value);
	if (text)
		sv_reply_bytes(reply, 200, "application/json", text, strlen(text), free);
	else
		sv_reply_fail(reply, SN_E_MEMORY, NULL, "no memory for the reply");
}

static void handle_model(sv_request *r, sv_reply *reply) {
	const char *const name = sv_text(r, "model", "");
	char err[SN_ERRLEN], *text = NULL;
	json_t *const list = all_models(r), *const known = sv_models_one(r->server->models, name), *one;
	const char *const wanted = json_string_value(json_object_get(known, "name")); /* aliases */
	size_t i;
	json_array_foreach(list, i, one) {
		const char *const id = json_string_value(json_object_get(one, "id"));
		if (!text && (strcmp(id, name) == 0 || (wanted && strcmp(id, wanted) == 0)))
			text = sn_json_dumps(one, JSON_COMPACT);
	}
	json_decref(list);
	json_decref(known);
	sn_fail(err, SN_E_NOT_FOUND, "there is no model \"%.80s\"; GET /v1/models lists them", name);
	if (text)
		sv_reply_bytes(reply, 200, "application/json", text, strlen(text), free);
	else
		sv_reply_fail(reply, SN_E_NOT_FOUND, "model", err);
}

const sv_operation sv_operations_openai_stt[] = { { "openaiTranscribe", handle, 0, peek }, { "openaiTranslate", handle, 0, peek },
	{ "openaiModels", handle_models, 0, NULL }, { "openaiModel", handle_model, 0, NULL }, { 0 } };
