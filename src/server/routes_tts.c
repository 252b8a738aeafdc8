/* Text to speech by request: /tts/synthesize, whole or as it is made, and the items of jobs. */
#include "server/tts_speech.h"

#include "base/error.h"
#include "base/json.h"
#include "server/base64.h"
#include "store/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the result cache: bytes of bodies, and a JSON text of what else a reply says ---- */

static int wants_audio(const sv_request *r) { return sv_accepts(r, "audio/"); }

static const char *voice_of(const sv_request *r) { return sv_text(r, "voice", "default"); }

/* A kept body of JSON ends where the request's id comes. */
static void tail_of(const sv_request *r, char tail[SV_ID + 24]) { snprintf(tail, SV_ID + 24, ",\"request_id\":\"%s\"}", r->id); }

static void take_facts(sv_request *r, const json_t *facts) {
	snprintf(r->facts.task, sizeof r->facts.task, "speak");
	const char *const model = json_string_value(json_object_get(facts, "model"));
	snprintf(r->facts.model, sizeof r->facts.model, "%.*s", SV_NAME - 1, model ? model : "");
	r->facts.characters = json_integer_value(json_object_get(facts, "characters"));
	r->facts.speech = json_number_value(json_object_get(facts, "speech"));
	r->facts.quality = (float)json_number_value(json_object_get(facts, "quality"));
	r->facts.cached = SV_RESULT_HIT;
}

static void release_entry(void *payload) {
	const sn_cached *entry = payload;
	sn_cached_release(&entry);
}

/* 1: replied, with the entry's own bytes. */
static int reply_entry(sv_request *r, sv_reply *reply, const sn_cached *entry) {
	char tail[SV_ID + 24] = "";
	const int audio = wants_audio(r);
	if (!audio)
		tail_of(r, tail);
	json_t *const facts = json_loads(entry->facts, 0, NULL);
	const char *const type = json_string_value(json_object_get(facts, "type"));
	if (type) {
		take_facts(r, facts);
		tts_send_headers(reply, json_object_get(facts, "headers"));
		sv_reply_header(reply, "X-Cache", "hit");
		sv_reply_shared(reply, 200, type, entry->data, entry->size, tail, release_entry, (void *)entry);
	} else {
		sn_cached_release(&entry);
	}
	const int replied = type != NULL;
	json_decref(facts);
	return replied;
}

static int wants_rating(const sv_request *r) { return sv_flag(r, "quality", !wants_audio(r)); }

static void mix(uint8_t version[32], const uint8_t other[32]) {
	for (int i = 0; i < 32; i++)
		version[i] = (uint8_t)(version[i] * 3 + other[i]);
}

/* io thread: a hit in memory of a model that is loaded. A rating is part of the reply, so what rates is part of the key. */
static int peek(sv_request *r, sv_reply *reply) {
	uint8_t version[32], rater[32], key[32];
	sv_server *const server = r->server;
	if (!server->results || sv_flag(r, "stream", 0))
		return 0;
	if (sv_models_peek(server->models, sv_text(r, "model", "auto"), SN_TASK_SPEAK, sv_text(r, "language", "auto"), version) != SN_OK)
		return 0;
	if (wants_rating(r) && sv_models_peek(server->models, "auto", SN_TASK_SCORE, NULL, rater) == SN_OK)
		mix(version, rater);
	tts_bank_version(server, voice_of(r), sv_text(r, "text", ""), version);
	if (sv_request_key(r, version, key) != SN_OK)
		return 0;
	const sn_cached *const entry = sn_cache_peek(server->results, key);
	return entry && reply_entry(r, reply, entry);
}

/* The same on a worker: loads the model, looks on the disk. *known: the key may be used to keep the result. */
static int find_result(sv_request *r, sv_reply *reply, uint8_t key[32], int *known) {
	char err[SN_ERRLEN];
	uint8_t version[32], rater[32];
	sv_model_use use;
	sv_server *const server = r->server;
	*known = 0;
	const char *const model = sv_text(r, "model", "auto"), *const language = sv_text(r, "language", "auto");
	if (!server->results || sv_models_get(server->models, &use, model, SN_TASK_SPEAK, language, err) != SN_OK)
		return 0;
	sv_models_version(&use, version);
	sv_models_give(server->models, &use);
	if (wants_rating(r) && sv_models_get(server->models, &use, "auto", SN_TASK_SCORE, NULL, err) == SN_OK) {
		sv_models_version(&use, rater);
		sv_models_give(server->models, &use);
		mix(version, rater);
	}
	tts_bank_version(server, voice_of(r), sv_text(r, "text", ""), version);
	*known = sv_request_key(r, version, key) == SN_OK;
	const sn_cached *const entry = *known ? sn_cache_get(server->results, key) : NULL;
	return entry && reply_entry(r, reply, entry);
}

static void put_result(sv_request *r, const uint8_t key[32], const char *type, const json_t *headers, const void *body, size_t size) {
	json_t *const facts = json_pack("{s:s, s:s, s:I, s:f, s:f, s:O*}", "type", type, "model", r->facts.model, "characters",
		(json_int_t)r->facts.characters, "speech", r->facts.speech, "quality", (double)r->facts.quality, "headers", headers);
	char *const text = facts ? sn_json_dumps(facts, JSON_COMPACT) : NULL;
	if (text)
		sn_cache_put(r->server->results, key, body, size, text);
	free(text);
	json_decref(facts);
}

/* ---- whole replies ---- */

/* The JSON of a reply up to its request id; free() it. */
static char *make_body(const tts_result *t, size_t *size) {
	json_t *const facts = tts_facts_json(t);
	char *const rest = facts ? sn_json_dumps(facts, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	const size_t encoded = SV_BASE64_SIZE(t->size), more = rest ? strlen(rest) : 0;
	char *const body = more > 2 ? malloc(encoded + more + SV_ID + 64) : NULL;
	json_decref(facts);
	if (body) {
		char *at = stpcpy(body, "{\"audio_data\":\"");
		sv_base64_write(at, t->audio, t->size);
		at = stpcpy(at + encoded, "\",");
		memcpy(at, rest + 1, more - 2);
		*size = (size_t)(at - body) + more - 2;
	}
	free(rest);
	return body;
}

static void reply_json(sv_request *r, sv_reply *reply, const tts_result *t, const uint8_t *key) {
	size_t size = 0;
	char tail[SV_ID + 24];
	char *const body = make_body(t, &size);
	if (!body) {
		sv_reply_fail(reply, SN_E_MEMORY, NULL, "no memory for the reply");
		return;
	}
	if (key)
		put_result(r, key, "application/json", NULL, body, size);
	tail_of(r, tail);
	memcpy(body + size, tail, strlen(tail));
	sv_reply_bytes(reply, 200, "application/json", body, size + strlen(tail), free);
}

static void reply_audio(sv_request *r, sv_reply *reply, tts_result *t, const uint8_t *key) {
	json_t *const headers = tts_facts_headers(t);
	if (key)
		put_result(r, key, t->type, headers, t->audio, t->size);
	tts_send_headers(reply, headers);
	sv_reply_bytes(reply, 200, t->type, t->audio, t->size, free);
	t->audio = NULL;
	json_decref(headers);
}

void tts_reply_fail(sv_reply *reply, int code, const char *field, const char *message) {
	if (code == SN_E_BUSY)
		sv_reply_retry(reply, 503, 1, message);
	else
		sv_reply_fail(reply, code, field, message);
}

static void synthesize(sv_request *r, sv_reply *reply, tts_wish *wish) {
	char err[SN_ERRLEN];
	uint8_t key[32];
	int known;
	tts_result t;
	if (find_result(r, reply, key, &known))
		return;
	const int result = tts_make(r, wish, NULL, &t, err);
	if (result != SN_OK) {
		tts_reply_fail(reply, result, wish->field, err);
		return;
	}
	const uint8_t *const kept = known ? key : NULL;
	sv_reply_header(reply, "X-Cache", r->facts.cached == SV_AUDIO_HIT ? "audio" : "miss");
	if (wants_audio(r))
		reply_audio(r, reply, &t, kept);
	else
		reply_json(r, reply, &t, kept);
	free(t.audio);
}

/* ---- audio as it is made ---- */

typedef struct stream {
	sv_reply *reply;
	const char *format;
	int begun;
} stream;

static int begin_stream(void *payload, const sn_speech *so_far, int rate) {
	stream *const s = payload;
	char text[16];
	snprintf(text, sizeof text, "%d", rate);
	sv_reply_header(s->reply, "X-Sample-Rate", text);
	sv_reply_header(s->reply, "X-Model", so_far->model);
	sv_reply_header(s->reply, "X-Voice", *so_far->voice ? so_far->voice : "default");
	sv_reply_header(s->reply, "X-Format", s->format);
	s->begun = 1;
	return sv_reply_begin(s->reply, tts_type_of(s->format));
}

static int write_stream(void *payload, const void *data, size_t size) { return sv_reply_write(((stream *)payload)->reply, data, size); }

void tts_reply_stream(sv_request *r, sv_reply *reply, tts_wish *wish) {
	char err[SN_ERRLEN];
	tts_result t;
	stream s = { reply, wish->format, 0 };
	const tts_way way = { begin_stream, write_stream, &s };
	wish->rates = 0;
	wish->options.inspect = SN_OFF;
	const int result = tts_make(r, wish, &way, &t, err);
	if (s.begun)
		sv_reply_end(reply, result == SN_OK);
	else
		tts_reply_fail(reply, result == SN_OK ? SN_E_INTERNAL : result, wish->field, err);
}

static void handle_synthesize(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	tts_wish wish;
	const int streams = sv_flag(r, "stream", 0);
	const int result = tts_wish_read(r, &wish, err);
	if (result != SN_OK)
		sv_reply_fail(reply, result, wish.field, err);
	else if (streams && !wants_audio(r))
		sv_reply_fail(reply, SN_E_ARGUMENT, "stream", "a stream is audio alone: send the header \"Accept: audio/*\"");
	else if (streams)
		tts_reply_stream(r, reply, &wish);
	else
		synthesize(r, reply, &wish);
}

/* ---- jobs ---- */

int sv_synthesize_item(sv_request *r, json_t **out, void **audio, size_t *size, const char **type, char *err) {
	tts_wish wish;
	tts_result t;
	*out = NULL;
	*audio = NULL;
	int result = tts_wish_read(r, &wish, err);
	if (result == SN_OK)
		result = tts_make(r, &wish, NULL, &t, err);
	if (result != SN_OK)
		return result;
	*out = tts_facts_json(&t);
	if (!*out) {
		free(t.audio);
		return sn_fail(err, SN_E_MEMORY, "no memory for the result");
	}
	*audio = t.audio;
	*size = t.size;
	*type = t.type;
	return SN_OK;
}

const sv_operation sv_operations_tts[] = { { "synthesize", handle_synthesize, 0, peek }, { 0 } };
