/* Speech to text by request: /stt/transcribe, and OpenAI's two routes. */
#include "server/base64.h"
#include "server/config.h"
#include "server/models.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the options ---- */

typedef struct stt_options {
	sn_stt_options o;
	const char *retry[SN_MAX_RETRIES];
} stt_options;

static int still_there(void *payload, double seconds, double total) {
	(void)seconds, (void)total;
	return atomic_load(&((sv_request *)payload)->gone);
}

static void read_options(sv_request *r, stt_options *s) {
	const json_t *const retry = json_object_get(r->params, "retry_models");
	size_t i;
	json_t *one;
	*s = (stt_options){ .o = { .language = sv_text(r, "language", "auto"), .task = sv_text(r, "task", NULL), .prompt = sv_text(r, "prompt", NULL),
		.beam = (int)sv_integer(r, "beam_size", 0), .temperature = (float)sv_number(r, "temperature", 0),
		.words = sv_flag(r, "return_timestamps", 0) ? SN_ON : SN_OFF, .denoise = sv_flag(r, "noise_reduction", 0) ? SN_ON : SN_DEFAULT,
		.hotwords = sv_text(r, "hotwords", NULL), .guards = sv_flag(r, "guards", 1) ? SN_DEFAULT : SN_OFF,
		.punctuate = sv_flag(r, "punctuate", 1) ? SN_DEFAULT : SN_OFF, .min_confidence = (float)sv_number(r, "min_confidence", 0),
		.progress = still_there, .payload = r } };
	json_array_foreach((json_t *)retry, i, one)
		if (i < SN_MAX_RETRIES)
			s->retry[s->o.retry_model_count++] = json_string_value(one);
	s->o.retry_models = s->retry;
}

/* ---- transcribing ---- */

static int transcribe_upload(sn_transcript **out, sn_model *model, const sv_upload *upload, const sn_stt_options *o, char *err) {
	char path[32];
	if (upload->fd < 0)
		return sn_transcribe_memory(out, model, upload->data ? upload->data : "", upload->size, o, err);
	snprintf(path, sizeof path, "/proc/self/fd/%d", upload->fd); /* opened anew, so it is read from its beginning */
	return sn_transcribe_file(out, model, path, o, err);
}

/* The transcript of the request's audio; the model's use is given back. */
static int transcribe(sv_request *r, sn_transcript **out, const char *name, const sn_stt_options *o, char *err) {
	const sv_upload *const upload = sv_request_file(r, "file");
	const char *const text = sv_text(r, "audio_data", NULL);
	sv_model_use use;
	void *data = NULL;
	size_t size = 0;
	*out = NULL;
	int result = text && !upload ? sv_base64_decode(&data, &size, text, strlen(text), "audio_data", err) : SN_OK;
	if (result == SN_OK && !upload && !text)
		result = sn_fail(err, SN_E_ARGUMENT, "\"file\" must be an upload with a file name");
	if (result == SN_OK)
		result = sv_models_get(r->server->models, &use, name, SN_TASK_TRANSCRIBE, o->language, err);
	if (result == SN_OK) {
		result = upload ? transcribe_upload(out, use.model, upload, o, err) : sn_transcribe_memory(out, use.model, data, size, o, err);
		sv_models_give(r->server->models, &use);
	}
	free(data);
	return result;
}

static const char *type_of(const char *format) {
	return strcmp(format, "srt") == 0 ? "application/x-subrip" : strcmp(format, "vtt") == 0 ? "text/vtt"
		: strcmp(format, "tsv") == 0 ? "text/tab-separated-values" : "text/plain; charset=utf-8";
}

static void reply_transcript(sv_request *r, sv_reply *reply, const sn_transcript *t, const char *format) {
	char *text, err[SN_ERRLEN];
	size_t size;
	const int json = strcmp(format, "json") == 0 || strcmp(format, "verbose_json") == 0;
	const int code = sn_transcript_format(&text, &size, t, format, NULL, err);
	if (code != SN_OK) {
		sv_reply_fail(reply, code, "response_format", err);
	} else if (json) {
		json_t *const value = json_loadb(text, size, 0, NULL);
		if (value && !sv_flag(r, "return_confidence", 1))
			json_object_del(value, "avg_confidence");
		sv_reply_json(reply, 200, value);
		free(text);
	} else {
		sv_reply_bytes(reply, 200, type_of(format), text, size, free);
	}
}

static void handle_transcribe(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	sn_transcript *t;
	stt_options s;
	read_options(r, &s);
	const int result = transcribe(r, &t, sv_text(r, "model", "auto"), &s.o, err);
	if (result == SN_OK)
		reply_transcript(r, reply, t, sv_text(r, "response_format", "json"));
	else
		sv_reply_fail(reply, result, NULL, err);
	sn_transcript_free(&t);
}

static void handle_models(sv_request *r, sv_reply *reply) {
	sv_reply_json(reply, 200, json_pack("{s:o}", "models", sv_models_json(r->server->models, SN_TASK_TRANSCRIBE)));
}

const sv_operation sv_operations_stt[] = { { "transcribe", handle_transcribe, 0, NULL }, { "sttModels", handle_models, 0, NULL }, { 0 } };
