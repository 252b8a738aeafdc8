/* OpenAI's /v1/audio/speech on the same speech: its names of models and voices stand for the defaults. */
#include "server/tts_speech.h"

#include "base/error.h"
#include "base/json.h"
#include "server/base64.h"
#include "server/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCM_RATE 24000 /* of "pcm", as OpenAI documents it */
#define BYTES_A_TOKEN 4

static const char *const voices[] = { "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
	"shimmer", "verse", NULL };

static int is_among(const char *const *names, const char *name) {
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return 1;
	return 0;
}

static const char *voice_of(const sv_request *r) {
	const json_t *const voice = json_object_get(r->params, "voice"), *const id = json_object_get(voice, "id");
	return json_is_string(voice) ? json_string_value(voice) : json_is_string(id) ? json_string_value(id) : "default";
}

/* A name of OpenAI's is the default voice, unless the bank has one of that name, or the model. */
static int choose_voice(const sv_request *r, tts_wish *w, char *err) {
	sv_model_use use;
	if (!is_among(voices, w->options.voice))
		return SN_OK;
	w->field = "model";
	const int result = sv_models_get(r->server->models, &use, w->model, SN_TASK_SPEAK, NULL, err);
	if (result != SN_OK)
		return result;
	if (!tts_has_voice(r->server, use.model, w->options.voice))
		w->options.voice = "default";
	sv_models_give(r->server->models, &use);
	w->field = NULL;
	return SN_OK;
}

static int read_wish(const sv_request *r, tts_wish *w, char *err) {
	const char *const model = sv_text(r, "model", "tts-1");
	*w = (tts_wish){ .text = sv_text(r, "input", ""), .size = json_string_length(json_object_get(r->params, "input")),
		.model = sv_openai_model(model), .format = sv_text(r, "response_format", "mp3") };
	w->options = (sn_tts_options){ .voice = voice_of(r), .language = "auto", .speed = (float)sv_number(r, "speed", 1), .priority = r->priority,
		.share = (uint64_t)r->key.id };
	if (strcmp(w->format, "pcm") == 0)
		w->rate = PCM_RATE;
	w->field = "response_format";
	if (strcmp(w->format, "aac") == 0)
		return sn_fail(err, SN_E_ARGUMENT, "aac cannot be written; mp3, opus, flac, wav and pcm can");
	w->field = "input";
	if (w->size > (size_t)r->server->config->max_text)
		return sn_fail(err, SN_E_LIMIT, "the input has %zu bytes; at most %lld are spoken at once", w->size,
		               (long long)r->server->config->max_text);
	w->field = NULL;
	return choose_voice(r, w, err);
}

/* ---- server-sent events ---- */

typedef struct events {
	sv_reply *reply;
	int begun;
} events;

static int begin_events(void *payload, const sn_speech *so_far, int rate) {
	events *const e = payload;
	(void)so_far, (void)rate;
	e->begun = 1;
	sv_reply_header(e->reply, "Cache-Control", "no-cache");
	return sv_reply_begin(e->reply, "text/event-stream");
}

static int write_event(void *payload, const void *data, size_t size) {
	events *const e = payload;
	static const char before[] = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"", after[] = "\"}\n\n";
	char *const text = sv_base64_encode(data, size);
	if (!text)
		return SN_E_MEMORY;
	int result = sv_reply_write(e->reply, before, sizeof before - 1);
	if (result == SN_OK)
		result = sv_reply_write(e->reply, text, strlen(text));
	free(text);
	return result == SN_OK ? sv_reply_write(e->reply, after, sizeof after - 1) : result;
}

static int write_text(events *e, json_t *event) {
	char *const text = event ? sn_json_dumps(event, JSON_COMPACT) : NULL;
	int result = text ? sv_reply_write(e->reply, "data: ", 6) : SN_E_MEMORY;
	if (result == SN_OK)
		result = sv_reply_write(e->reply, text, strlen(text));
	if (result == SN_OK)
		result = sv_reply_write(e->reply, "\n\n", 2);
	free(text);
	json_decref(event);
	return result;
}

/* Tokens are OpenAI's unit of account: estimated from the bytes of the text, and 20 a second of speech. */
static json_t *done_event(const tts_wish *w, const tts_result *t) {
	const json_int_t in = (json_int_t)(w->size / BYTES_A_TOKEN + 1), out = (json_int_t)(t->speech.duration * 20);
	return json_pack("{s:s, s:{s:I, s:I, s:I}}", "type", "speech.audio.done", "usage", "input_tokens", in, "output_tokens", out,
	                 "total_tokens", in + out);
}

static void reply_events(sv_request *r, sv_reply *reply, tts_wish *w) {
	char err[SN_ERRLEN];
	tts_result t;
	events e = { reply, 0 };
	const tts_way way = { begin_events, write_event, &e };
	int result = tts_make(r, w, &way, &t, err);
	if (!e.begun) {
		tts_reply_fail(reply, result == SN_OK ? SN_E_INTERNAL : result, w->field, err);
		return;
	}
	if (result == SN_OK)
		result = write_text(&e, done_event(w, &t));
	else
		write_text(&e, json_pack("{s:s, s:{s:s, s:s, s:s, s:n}}", "type", "error", "error", "type", "server_error", "code",
		                         sn_result_name(result), "message", err, "param"));
	sv_reply_end(reply, result == SN_OK);
}

static void handle_speech(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	tts_wish w;
	const int result = read_wish(r, &w, err);
	if (result != SN_OK) {
		tts_reply_fail(reply, result, w.field, err);
		return;
	}
	if (*sv_text(r, "instructions", ""))
		sv_reply_header(reply, "X-Ignored", "instructions");
	if (strcmp(sv_text(r, "stream_format", "audio"), "sse") == 0)
		reply_events(r, reply, &w);
	else
		tts_reply_stream(r, reply, &w);
}

const sv_operation sv_operations_openai_tts[] = { { "openaiSpeech", handle_speech, 0, NULL }, { 0 } };
