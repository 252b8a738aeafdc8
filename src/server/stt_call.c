#include "server/stt_call.h"

#include "base/clock.h"
#include "base/error.h"
#include "server/base64.h"
#include "server/config.h"
#include "server/stt_record.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int progress(void *payload, double seconds, double total) {
	sv_stt_call *const call = payload;
	const double limit = call->request->server->config->max_duration;
	if (seconds > limit || total > limit)
		call->length = total > limit ? total : seconds;
	return call->length > 0 || atomic_load(&call->request->gone);
}

static void segment_ready(void *payload, const sn_segment *segment) {
	sv_stt_call *const call = payload;
	sv_facts *const facts = &call->request->facts;
	if (!(facts->first > 0))
		facts->first = sn_now() - call->request->received;
	if (call->segment)
		call->segment(call->payload, segment);
}

void sv_stt_init(sv_stt_call *call, sv_request *r) {
	*call = (sv_stt_call){ .request = r, .model = "auto", .began = sn_now(), .o = { .share = (uint64_t)r->key.id, .priority = r->priority } };
}

void sv_stt_close(sv_stt_call *call) {
	sv_models_give(call->request->server->models, &call->use);
	json_decref(call->names);
	free(call->decoded);
	free(call->text);
	call->names = NULL;
	call->decoded = NULL;
	call->text = NULL;
}

/* ---- native options ---- */

static sn_switch off_unless(const sv_request *r, const char *name) { return sv_flag(r, name, 1) ? SN_DEFAULT : SN_OFF; }

int sv_stt_milliseconds(const sv_request *r, const char *name) {
	const int64_t ms = sv_integer(r, name, -1);
	return ms < 0 ? 0 : ms == 0 ? -1 : (int)ms;
}

/* A model that the engine itself will load: only one that the list of models has, so that no client's text is looked up as a path. */
static const char *known_model(sv_stt_call *call, const char *name, const char *field, char *err) {
	json_t *const one = sv_models_one(call->request->server->models, name);
	json_t *const listed = json_object_get(one, "name");
	if (!call->names)
		call->names = json_array();
	const int kept = listed && json_array_append(call->names, listed) == 0;
	json_decref(one);
	if (kept)
		return json_string_value(json_array_get(call->names, json_array_size(call->names) - 1));
	sn_fail(err, SN_E_NOT_FOUND, "there is no model \"%.80s\"; GET /audio/models lists them", name);
	call->field = field;
	return NULL;
}

static int read_models(sv_stt_call *call, char *err) {
	const json_t *const retry = json_object_get(call->request->params, "retry_models");
	const char *const punctuation = sv_text(call->request, "punctuation", NULL);
	size_t i;
	json_t *one;
	json_array_foreach((json_t *)retry, i, one) {
		const char *const name = i < SN_MAX_RETRIES ? known_model(call, json_string_value(one), "retry_models", err) : NULL;
		if (!name)
			return SN_E_NOT_FOUND;
		call->retry[call->o.retry_model_count++] = name;
	}
	call->o.retry_models = call->retry;
	call->o.min_confidence = (float)sv_number(call->request, "min_confidence", call->o.retry_model_count ? 0.6 : 0);
	if (punctuation && !(call->o.punctuation = known_model(call, punctuation, "punctuation", err)))
		return SN_E_NOT_FOUND;
	return SN_OK;
}

int sv_stt_options(sv_stt_call *call, char *err) {
	sv_request *const r = call->request;
	sn_stt_options *const o = &call->o;
	call->model = sv_text(r, "model", "auto");
	o->language = sv_text(r, "language", "auto");
	o->task = sv_text(r, "task", NULL);
	o->prompt = sv_text(r, "prompt", NULL);
	o->beam = (int)sv_integer(r, "beam_size", 0);
	o->temperature = (float)sv_number(r, "temperature", 0);
	o->fallback = off_unless(r, "fallback");
	o->seed = (uint64_t)sv_integer(r, "seed", 0);
	o->vad = !json_object_get(r->params, "vad") ? SN_DEFAULT : sv_flag(r, "vad", 1) ? SN_ON : SN_OFF;
	o->vad_settings = (sn_vad_settings){ .threshold = (float)sv_number(r, "vad_threshold", 0), .min_speech = sv_stt_milliseconds(r, "vad_min_speech"),
		.min_silence = sv_stt_milliseconds(r, "vad_min_silence"), .pad = sv_stt_milliseconds(r, "vad_pad") };
	o->condition = off_unless(r, "condition");
	o->timestamps = off_unless(r, "timestamps");
	o->words = sv_flag(r, "return_timestamps", 0) ? SN_ON : SN_OFF;
	o->denoise = sv_flag(r, "noise_reduction", 0) ? SN_ON : SN_OFF;
	o->hotwords = sv_text(r, "hotwords", NULL);
	o->guards = off_unless(r, "guards");
	o->punctuate = off_unless(r, "punctuate");
	return read_models(call, err);
}

/* ---- keys ---- */

/* All options that decide about the transcript and are no texts. 0: they do not fit. */
static int describe_options(const sn_stt_options *o, char *text, size_t size) {
	const sn_vad_settings *const v = &o->vad_settings;
	const int translate = o->task && strcmp(o->task, "translate") == 0;
	const int n = snprintf(text, size, "%d %d %a %d %llu %d %a %d %d %d %d %d %d %d %d %d", translate, o->beam, (double)o->temperature,
		o->fallback, (unsigned long long)o->seed, o->vad, (double)v->threshold, v->min_speech, v->min_silence, v->pad, o->condition,
		o->timestamps, o->words, o->denoise, o->guards, o->punctuate);
	return n > 0 && (size_t)n < size;
}

static int hash_text(gnutls_hash_hd_t hash, const char *text) { return gnutls_hash(hash, text ? text : "", text ? strlen(text) + 1 : 1); }

static int make_keys(sv_stt_call *call, const uint8_t content[32], const uint8_t version[32]) {
	const sn_stt_options *const o = &call->o;
	gnutls_hash_hd_t hash;
	char options[512];
	call->keyed = 0;
	/* what other models make of it depends on their versions, too, which are not known before they are loaded */
	if (o->retry_model_count || !describe_options(o, options, sizeof options) || gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0)
		return 0;
	int bad = hash_text(hash, "transcript 1") | gnutls_hash(hash, content, 32) | gnutls_hash(hash, version, 32) | hash_text(hash, options);
	bad |= hash_text(hash, o->language) | hash_text(hash, o->prompt) | hash_text(hash, o->hotwords) | hash_text(hash, o->punctuation);
	gnutls_hash_output(hash, call->audio_key); /* and begins anew */
	bad |= hash_text(hash, "reply 1") | gnutls_hash(hash, call->audio_key, 32) | hash_text(hash, call->form);
	gnutls_hash_deinit(hash, call->result_key);
	return call->keyed = !bad;
}

int sv_stt_peek(sv_stt_call *call) {
	sv_server *const server = call->request->server;
	const sv_upload *const upload = sv_request_file(call->request, "file");
	uint8_t version[32];
	if (!upload || !server->results || sv_models_peek(server->models, call->model, SN_TASK_TRANSCRIBE, call->o.language, version) != SN_OK)
		return SN_AGAIN;
	return make_keys(call, upload->hash, version) ? SN_OK : SN_AGAIN;
}

/* ---- opening ---- */

/* The one upload, or what audio_data holds. */
static int find_audio(sv_stt_call *call, uint8_t content[32], char *err) {
	const sv_request *const r = call->request;
	const char *const text = sv_text(r, "audio_data", NULL);
	int files = 0;
	for (int i = 0; i < r->upload_count; i++)
		files += strcmp(r->uploads[i].field, "file") == 0;
	call->field = text ? "audio_data" : "file";
	call->upload = sv_request_file(r, "file");
	if (files > 1)
		return sn_fail(err, SN_E_ARGUMENT, "%d files came; one is transcribed, POST /stt/batch takes many", files);
	if (!call->upload && !text)
		return sn_fail(err, SN_E_ARGUMENT, "\"file\" must be an upload with a file name");
	if (call->upload) {
		memcpy(content, call->upload->hash, 32);
		return SN_OK;
	}
	const int result = sv_base64_decode(&call->decoded, &call->decoded_size, text, strlen(text), "audio_data", err);
	json_object_del(r->params, "audio_data"); /* not kept twice */
	if (result == SN_OK && gnutls_hash_fast(GNUTLS_DIG_SHA256, call->decoded, call->decoded_size, content) != 0)
		return sn_fail(err, SN_E_INTERNAL, "the audio's hash failed");
	return result;
}

int sv_stt_open(sv_stt_call *call, char *err) {
	uint8_t content[32], version[32];
	int result = find_audio(call, content, err);
	if (result != SN_OK)
		return result;
	call->field = "model";
	result = sv_models_get(call->request->server->models, &call->use, call->model, SN_TASK_TRANSCRIBE, call->o.language, err);
	if (result != SN_OK)
		return result;
	call->field = NULL;
	sv_models_version(&call->use, version);
	make_keys(call, content, version);
	return SN_OK;
}

/* ---- transcribing ---- */

static void tell_facts(sv_stt_call *call, const sn_transcript *t) {
	sv_facts *const f = &call->request->facts;
	f->audio = t->duration;
	f->processing = t->processing_time;
	f->confidence = t->avg_confidence;
	f->retries = t->attempt_count > 1 ? t->attempt_count - 1 : 0;
	for (size_t i = 0; i < t->note_count; i++)
		f->guards += strncmp(t->notes[i].code, "guard_", 6) == 0;
	snprintf(f->model, sizeof f->model, "%s", t->model);
	snprintf(f->task, sizeof f->task, "%s", t->task);
	if (!(f->first > 0))
		f->first = sn_now() - call->request->received;
}

static int from_cache(sv_stt_call *call, sv_transcript *out) {
	sv_server *const server = call->request->server;
	const sn_cached *entry = call->keyed && server->audio ? sn_cache_get(server->audio, call->audio_key) : NULL;
	if (!entry)
		return 0;
	*out = (sv_transcript){ sv_record_read(entry->data, entry->size), 1 };
	sn_cached_release(&entry);
	if (!out->t)
		return 0;
	for (size_t i = 0; i < out->t->segment_count; i++)
		segment_ready(call, &out->t->segments[i]);
	out->t->processing_time = sn_now() - call->began;
	call->request->facts.cached = SV_AUDIO_HIT;
	return 1;
}

static void keep(const sv_stt_call *call, const sn_transcript *t) {
	sv_server *const server = call->request->server;
	sn_buf record;
	if (!call->keyed || !server->audio)
		return;
	sn_buf_init(&record, SV_MAX_RECORD);
	sv_record_write(&record, t);
	if (!record.failed)
		sn_cache_put(server->audio, call->audio_key, record.data, record.size, "{}");
	sn_buf_free(&record);
}

static int infer(sv_stt_call *call, sn_transcript **out, char *err) {
	char path[32];
	const sv_upload *const u = call->upload;
	sn_stt_options *const o = &call->o;
	o->progress = progress;
	o->segment = segment_ready;
	o->payload = call;
	if (!u || u->fd < 0)
		return sn_transcribe_memory(out, call->use.model, u ? (u->data ? u->data : "") : call->decoded, u ? u->size : call->decoded_size, o, err);
	snprintf(path, sizeof path, "/proc/self/fd/%d", u->fd); /* opened anew, so it is read from its beginning */
	return sn_transcribe_file(out, call->use.model, path, o, err);
}

int sv_stt_transcribe(sv_stt_call *call, sv_transcript *out, char *err) {
	*out = (sv_transcript){ 0 };
	if (!from_cache(call, out)) {
		const int result = infer(call, &out->t, err);
		if (result == SN_E_CANCELLED && call->length > 0) {
			call->field = call->decoded ? "audio_data" : "file";
			return sn_fail(err, SN_E_LIMIT, "the audio is longer than %g seconds; no more is taken here (max_duration)",
			               call->request->server->config->max_duration);
		}
		if (result == SN_E_FORMAT)
			call->field = call->decoded ? "audio_data" : "file";
		if (result != SN_OK)
			return result;
		keep(call, out->t);
	}
	tell_facts(call, out->t);
	return SN_OK;
}

void sv_transcript_release(sv_transcript *transcript) {
	if (transcript->is_record)
		free(transcript->t);
	else
		sn_transcript_free(&transcript->t);
	transcript->t = NULL;
}
