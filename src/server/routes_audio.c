/* Looking at audio, and changing it: /audio/analyze, /audio/quality, /audio/convert, /audio/enhance. */
#include "server/audio_files.h"
#include "server/base64.h"
#include "server/models.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_BASE64 (64 << 20) /* bytes of audio within JSON */

static sn_switch switch_of(const sv_request *r, const char *name) {
	const json_t *const value = json_object_get(r->params, name);
	return json_is_boolean(value) ? (json_is_true(value) ? SN_ON : SN_OFF) : SN_DEFAULT;
}

static int is_format(const sv_request *r, const char *format) { return strcmp(sv_text(r, "response_format", "json"), format) == 0; }

/* ---- models: those that the library would load by itself are held by the server, so that they stay from one request to the next ---- */

typedef struct held { sv_model_use use; sn_model_info info; } held;

/* A model of a task. missing_is_fine: where none is installed the library does without. *name receives what to call it, or stays. */
static int hold(sv_request *r, held *h, const char *name, int task, int missing_is_fine, const char **called, char *err) {
	const int result = sv_models_get(r->server->models, &h->use, name ? name : "auto", task, NULL, err);
	if (result != SN_OK)
		return missing_is_fine && !name ? SN_OK : result;
	sn_model_describe(h->use.model, &h->info);
	if (called)
		*called = h->info.name;
	return SN_OK;
}

static void let_go(sv_request *r, held *h) {
	if (h->use.entry)
		sv_models_give(r->server->models, &h->use);
}

/* ---- replies ---- */

/* The text of facts that the library wrote, as a reply. */
static void reply_facts(sv_reply *reply, char *text, size_t size, int is_json, json_t *more) {
	if (!is_json) {
		sv_reply_bytes(reply, 200, "text/plain; charset=utf-8", text, size, free);
		json_decref(more);
		return;
	}
	json_t *const facts = json_loadb(text, size, 0, NULL);
	free(text);
	json_object_update(facts, more);
	json_decref(more);
	if (facts)
		json_object_set_new(facts, "success", json_true());
	sv_reply_json(reply, 200, facts);
}

/* The file that a handler made. */
static void reply_file(sv_audio_files *f, sv_reply *reply, const char *type) {
	char err[SN_ERRLEN];
	int64_t size;
	const int fd = sv_audio_result(f, &size, err);
	if (fd < 0)
		sv_reply_fail(reply, SN_E_IO, NULL, err);
	else
		sv_reply_file(reply, 200, type, fd, size);
}

/* The file within JSON, beside its facts. */
static void reply_base64(sv_audio_files *f, sv_reply *reply, json_t *facts) {
	char err[SN_ERRLEN];
	int64_t size;
	const int fd = sv_audio_result(f, &size, err);
	if (fd >= 0 && size > MAX_BASE64) {
		close(fd);
		json_decref(facts);
		sn_fail(err, SN_E_LIMIT, "the audio has %lld bytes; JSON takes up to %d: ask for bytes with Accept: audio/*", (long long)size, MAX_BASE64);
		sv_reply_fail(reply, SN_E_LIMIT, NULL, err);
		return;
	}
	char *const data = fd >= 0 && size > 0 ? malloc((size_t)size) : NULL;
	int64_t have = 0;
	for (ssize_t count = 1; data && have < size && count > 0; have += count > 0 ? count : 0)
		count = read(fd, data + have, (size_t)(size - have));
	if (fd >= 0)
		close(fd);
	char *const text = data && have == size ? sv_base64_encode(data, (size_t)size) : NULL;
	free(data);
	json_t *const value = text ? json_string_nocheck(text) : NULL;
	free(text);
	if (value && json_object_set_new(facts, "audio_data", value) == 0) {
		sv_reply_json(reply, 200, facts);
		return;
	}
	json_decref(facts);
	sv_reply_fail(reply, SN_E_MEMORY, NULL, "no memory for the audio as base64; ask for bytes with Accept: audio/*");
}

/* Facts as headers: "input_rate" is X-Input-Rate; objects are JSON. */
static void set_headers(sv_reply *reply, json_t *facts) {
	const char *key;
	json_t *value;
	json_object_foreach(facts, key, value) {
		char name[SV_NAME], text[512];
		char *const dump = json_is_string(value) || json_is_array(value) ? NULL
			: sn_json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
		snprintf(text, sizeof text, "%s", dump ? dump : json_is_string(value) ? json_string_value(value) : "");
		free(dump);
		snprintf(name, sizeof name, "X-%s", key);
		for (char *c = name + 2, before = '-'; *c; before = *c++)
			*c = *c == '_' ? '-' : (char)(before == '-' ? toupper((unsigned char)*c) : *c);
		if (*text && strcmp(key, "success") != 0)
			sv_reply_header(reply, name, text);
	}
}

static const char *media_type(const char *format) {
	static const struct { const char *format, *type; } types[] = { { "wav", "audio/wav" }, { "flac", "audio/flac" }, { "mp3", "audio/mpeg" },
		{ "opus", "audio/ogg" }, { "pcm", "audio/pcm" } };
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(types[i].format, format) == 0)
			return types[i].type;
	return "application/octet-stream";
}

/* Audio and its facts, which are taken, in the shape that the client asks for: bytes unless it wants JSON. */
static void reply_audio(sv_audio_files *f, sv_reply *reply, json_t *facts) {
	if (!facts) {
		sv_reply_fail(reply, SN_E_MEMORY, NULL, "no memory for the reply");
		return;
	}
	if (strstr(f->request->accept, "application/json") && !sv_accepts(f->request, "audio/")) {
		reply_base64(f, reply, facts);
		return;
	}
	set_headers(reply, facts);
	reply_file(f, reply, media_type(json_string_value(json_object_get(facts, "format"))));
	json_decref(facts);
}

/* ---- /audio/quality, /audio/analyze ---- */

static void know(sv_request *r, const char *task, double duration, double processing, float quality) {
	snprintf(r->facts.task, sizeof r->facts.task, "%s", task);
	r->facts.audio = duration;
	r->facts.processing = processing;
	r->facts.quality = quality;
}

static sn_quality_options quality_options(sv_request *r, sv_audio_files *f) {
	return (sn_quality_options){ .scores = switch_of(r, "scores"), .personalised = switch_of(r, "personalised"),
		.windows = sv_flag(r, "exact", 0) ? -1 : (int)sv_integer(r, "windows", 0),
		.vad.threshold = (float)sv_number(r, "vad_threshold", 0), .progress = sv_audio_progress, .payload = f };
}

static void handle_quality(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN], *text = NULL;
	const char *field = NULL;
	size_t size = 0;
	sn_quality q;
	sv_audio_files f;
	held scores = { 0 };
	int result = sv_audio_take(&f, r, &field, err);
	sn_quality_options o = quality_options(r, &f);
	if (result == SN_OK && o.scores != SN_OFF)
		result = hold(r, &scores, sv_text(r, "model", NULL), SN_TASK_SCORE, o.scores == SN_DEFAULT, &o.model, err);
	if (result == SN_OK)
		result = sn_quality_file(&q, r->server->engine, f.in, &o, err);
	if (result == SN_OK)
		know(r, "quality", q.duration, sn_now() - f.started, q.scores.windows ? q.scores.overall : 0);
	if (result == SN_OK)
		result = sn_quality_format(&text, &size, &q, is_format(r, "text") ? "text" : "json", NULL, err);
	if (result == SN_OK)
		reply_facts(reply, text, size, !is_format(r, "text"), json_pack("{s:f}", "processing_time", r->facts.processing));
	else
		sv_reply_fail(reply, sv_audio_failed(&f, result, err), result == SN_E_FORMAT ? field : NULL, err);
	let_go(r, &scores);
	sv_audio_close(&f);
}

static json_t *points_json(const sn_analysis *a) {
	json_t *const low = json_array(), *const high = json_array(), *const level = json_array(), *const pitch = json_array(), *const speech = json_array();
	for (size_t i = 0; i < a->point_count; i++) {
		const sn_analysis_point *const p = &a->points[i];
		json_array_append_new(low, json_real(round((double)p->low * 1e4) / 1e4));
		json_array_append_new(high, json_real(round((double)p->high * 1e4) / 1e4));
		json_array_append_new(level, json_real(round((double)p->level * 10) / 10));
		json_array_append_new(pitch, json_real(round((double)p->pitch * 10) / 10));
		json_array_append_new(speech, json_real(round((double)p->speech * 1e3) / 1e3));
	}
	return json_pack("{s:f, s:o, s:o, s:o, s:o, s:o}", "interval", a->point_interval, "low", low, "high", high, "level", level, "pitch", pitch,
	                 "speech", speech);
}

static int draw(sv_audio_files *f, const sn_analysis *a, char *err) {
	const sv_upload *const upload = sv_request_file(f->request, "file");
	const int result = sv_audio_place(f, err);
	return result != SN_OK ? result : sn_analysis_plot(a, f->out, (int)sv_integer(f->request, "width", 0), (int)sv_integer(f->request, "height", 0),
	                                                   upload ? upload->file_name : NULL, err);
}

static void reply_analysis(sv_audio_files *f, sv_reply *reply, const sn_analysis *a) {
	char err[SN_ERRLEN], *text;
	size_t size;
	const int is_text = is_format(f->request, "text");
	int result = is_format(f->request, "png") ? draw(f, a, err) : sn_analysis_format(&text, &size, a, is_text ? "text" : "json", NULL, err);
	if (result != SN_OK)
		sv_reply_fail(reply, sv_audio_failed(f, result, err), NULL, err);
	else if (is_format(f->request, "png"))
		reply_file(f, reply, "image/png");
	else
		reply_facts(reply, text, size, !is_text, sv_flag(f->request, "points", 0) ? json_pack("{s:o}", "points", points_json(a)) : json_object());
}

static void handle_analyze(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	const char *field = NULL;
	sn_analysis *a = NULL;
	sv_audio_files f;
	held hears = { 0 }, scores = { 0 };
	int result = sv_audio_take(&f, r, &field, err);
	sn_analysis_options o = { .quality = quality_options(r, &f), .words = switch_of(r, "words"),
		.language = sv_flag(r, "language", 0) ? SN_ON : SN_OFF };
	if (result == SN_OK && (o.words == SN_ON || o.language == SN_ON))
		result = hold(r, &hears, sv_text(r, "model", NULL), SN_TASK_TRANSCRIBE, 0, &o.model, err);
	if (result == SN_OK && o.quality.scores == SN_ON)
		result = hold(r, &scores, NULL, SN_TASK_SCORE, 0, &o.quality.model, err);
	if (result == SN_OK)
		result = sn_analyze_file(&a, r->server->engine, f.in, &o, err);
	if (result == SN_OK) {
		know(r, "analyze", a->quality.duration, a->processing_time, a->quality.scores.windows ? a->quality.scores.overall : 0);
		reply_analysis(&f, reply, a);
	} else {
		sv_reply_fail(reply, sv_audio_failed(&f, result, err), result == SN_E_FORMAT ? field : NULL, err);
	}
	sn_analysis_free(&a);
	let_go(r, &hears);
	let_go(r, &scores);
	sv_audio_close(&f);
}

/* ---- /audio/convert, /audio/enhance ---- */

static double thousandths(double value) { return round(value * 1e3) / 1e3; }

static json_t *conversion_json(const sn_conversion *c) {
	return json_pack("{s:b, s:s, s:s, s:f, s:f, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:I, s:s}", "success", 1, "input_format", c->input_format,
		"format", c->format, "duration", thousandths(c->duration), "processing_time", thousandths(c->processing_time), "input_rate",
		c->input_rate, "input_channels", c->input_channels, "sample_rate", c->sample_rate, "channels", c->channels, "bits", c->bits, "gain",
		thousandths((double)c->gain), "peak", thousandths((double)c->peak), "limited", thousandths((double)c->limited), "clipped_samples",
		(json_int_t)c->clipped, "note", c->note);
}

static void handle_convert(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	const char *field = NULL;
	sn_conversion facts;
	sv_audio_files f;
	int result = sv_audio_take(&f, r, &field, err);
	const sn_convert_options o = { .format = sv_text(r, "response_format", "wav"), .sample_rate = (int)sv_integer(r, "sample_rate", 0),
		.bits = (int)sv_integer(r, "bits", 0), .bitrate = (int)sv_integer(r, "bitrate", 0) * 1000, .start = sv_number(r, "start", 0),
		.end = sv_number(r, "end", 0), .gain = (float)sv_number(r, "gain", 0), .loudness = (float)sv_number(r, "loudness", 0),
		.progress = sv_audio_progress, .payload = &f };
	if (result == SN_OK)
		result = sv_audio_place(&f, err);
	if (result == SN_OK)
		result = sn_convert_file(&facts, f.in, f.out, &o, err);
	if (result == SN_OK) {
		know(r, "convert", facts.duration, facts.processing_time, 0);
		reply_audio(&f, reply, conversion_json(&facts));
	} else {
		sv_reply_fail(reply, sv_audio_failed(&f, result, err), result == SN_E_FORMAT ? field : NULL, err);
	}
	sv_audio_close(&f);
}

static json_t *levels_json(const sn_enhanced_levels *l) {
	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "score", thousandths((double)l->score), "loudness", thousandths((double)l->loudness),
		"loudness_range", thousandths((double)l->range), "true_peak", thousandths((double)l->true_peak), "rms", thousandths((double)l->rms),
		"noise_floor", thousandths((double)l->noise_floor), "snr", thousandths((double)l->snr));
}

static json_t *enhancement_json(const sn_enhancement *e, const char *format) {
	json_t *const stages = json_array(), *const notes = json_array();
	for (int i = 0; i < SN_ENHANCE_STAGES; i++)
		json_array_append_new(stages, json_pack("{s:s, s:b, s:s}", "name", e->stages[i].name, "done", e->stages[i].done, "message",
			e->stages[i].message));
	if (*e->note)
		json_array_append_new(notes, json_pack("{s:s, s:s}", "code", "input", "message", e->note));
	return json_pack("{s:b, s:s, s:f, s:f, s:i, s:i, s:i, s:o, s:o, s:I, s:I, s:f, s:f, s:f, s:f, s:s, s:o, s:o}", "success", 1, "format", format,
		"duration", thousandths(e->duration), "processing_time", thousandths(e->processing_time), "input_rate", e->input_rate, "input_channels",
		e->input_channels, "sample_rate", e->sample_rate, "before", levels_json(&e->before), "after", levels_json(&e->after), "clipped_samples",
		(json_int_t)e->clipped, "repaired_samples", (json_int_t)e->repaired, "noise_reduction", thousandths((double)e->noise_reduction), "gain",
		thousandths((double)e->gain), "compression", thousandths((double)e->compression), "limited", thousandths((double)e->limited),
		"denoiser", e->denoiser, "stages", stages, "notes", notes);
}

static int hold_for_enhancing(sv_request *r, const sn_enhance_options *o, held *denoises, held *scores, char *err) {
	int result = SN_OK;
	if (o->denoise != SN_OFF)
		result = hold(r, denoises, NULL, SN_TASK_DENOISE, o->denoise == SN_DEFAULT, NULL, err);
	if (result == SN_OK && o->scores == SN_ON)
		result = hold(r, scores, NULL, SN_TASK_SCORE, 0, NULL, err);
	return result;
}

static void handle_enhance(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	const char *field = NULL, *const format = sv_text(r, "response_format", "wav");
	sn_enhancement facts;
	sv_audio_files f;
	held denoises = { 0 }, scores = { 0 };
	int result = sv_audio_take(&f, r, &field, err);
	const sn_enhance_options o = { .denoise = switch_of(r, "denoise"), .attenuation_limit = (float)sv_number(r, "attenuation", 0),
		.normalise = switch_of(r, "normalise"), .loudness = (float)sv_number(r, "loudness", 0), .ceiling = (float)sv_number(r, "ceiling", 0),
		.compress = switch_of(r, "compress"), .declip = switch_of(r, "declip"), .highpass = switch_of(r, "highpass"),
		.scores = switch_of(r, "scores"), .sample_rate = (int)sv_integer(r, "sample_rate", 0), .progress = sv_audio_progress, .payload = &f };
	if (result == SN_OK)
		result = hold_for_enhancing(r, &o, &denoises, &scores, err);
	if (result == SN_OK)
		result = sv_audio_place(&f, err);
	if (result == SN_OK)
		result = sn_enhance_file(&facts, r->server->engine, f.in, f.out, format, &o, err);
	if (result == SN_OK) {
		know(r, "enhance", facts.duration, facts.processing_time, facts.after.score);
		snprintf(r->facts.model, sizeof r->facts.model, "%.63s", facts.denoiser);
		reply_audio(&f, reply, enhancement_json(&facts, format));
	} else {
		sv_reply_fail(reply, sv_audio_failed(&f, result, err), result == SN_E_FORMAT ? field : NULL, err);
	}
	let_go(r, &denoises);
	let_go(r, &scores);
	sv_audio_close(&f);
}

const sv_operation sv_operations_audio[] = { { "analyze", handle_analyze, 0, NULL }, { "quality", handle_quality, 0, NULL },
	{ "convert", handle_convert, 0, NULL }, { "enhance", handle_enhance, 0, NULL }, { 0 } };
