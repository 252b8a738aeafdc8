#include "server/ws_realtime.h"

#include <stdio.h>
#include <string.h>

void ws_realtime_defaults(ws_realtime_options *o, const char *model) {
	*o = (ws_realtime_options){ .format = "pcm16", .rate = 24000, .detects = 1, .threshold = 0.5f, .padding = 300, .silence = 500 };
	snprintf(o->model, sizeof o->model, "%s", model);
}

/* ---- reading ---- */

static int refuse(char field[SV_NAME], const char *name, char *err, const char *message) {
	snprintf(field, SV_NAME, "%s", name);
	return sn_fail(err, SN_E_ARGUMENT, "%s", message);
}

/* NULL or absent: as it was. */
static int read_text(char *to, size_t room, const json_t *object, const char *name, char field[SV_NAME], char *err) {
	const json_t *const value = json_object_get(object, name);
	if (!value || json_is_null(value))
		return SN_OK;
	if (!json_is_string(value) || json_string_length(value) >= room)
		return refuse(field, name, err, "the value is no text, or too long a one");
	memcpy(to, json_string_value(value), json_string_length(value) + 1);
	return SN_OK;
}

static int read_number(double *to, const json_t *object, const char *name, double most, char field[SV_NAME], char *err) {
	const json_t *const value = json_object_get(object, name);
	if (!value || json_is_null(value))
		return SN_OK;
	*to = json_number_value(value);
	if (json_is_number(value) && *to >= 0 && *to <= most)
		return SN_OK;
	snprintf(field, SV_NAME, "%s", name);
	return sn_fail(err, SN_E_ARGUMENT, "\"%s\" must be a number from 0 to %g", name, most);
}

static int read_keywords(ws_realtime_options *o, const json_t *list, char field[SV_NAME], char *err) {
	size_t i, used = 0;
	json_t *word;
	if (!json_is_array(list))
		return SN_OK;
	*o->keywords = 0;
	json_array_foreach((json_t *)list, i, word) {
		if (!json_is_string(word) || used + json_string_length(word) + 2 > sizeof o->keywords)
			return refuse(field, "keywords", err, "the keywords are no texts, or too long together");
		used += (size_t)snprintf(o->keywords + used, sizeof o->keywords - used, "%s%s", i ? "," : "", json_string_value(word));
	}
	return SN_OK;
}

static int read_transcription(ws_realtime_options *o, const json_t *t, char field[SV_NAME], char *err) {
	int result = read_text(o->model, sizeof o->model, t, "model", field, err);
	if (result == SN_OK)
		result = read_text(o->language, sizeof o->language, t, "language", field, err);
	if (result == SN_OK)
		result = read_text(o->prompt, sizeof o->prompt, t, "prompt", field, err);
	return result == SN_OK ? read_keywords(o, json_object_get(t, "keywords"), field, err) : result;
}

/* The key's absence changes nothing, null turns it off. */
static int read_detection(ws_realtime_options *o, const json_t *parent, char field[SV_NAME], char *err) {
	const json_t *const d = json_object_get(parent, "turn_detection");
	const char *const type = json_string_value(json_object_get(d, "type"));
	double threshold = (double)o->threshold, padding = o->padding, silence = o->silence;
	if (!d)
		return SN_OK;
	if (!json_is_null(d) && (!type || (strcmp(type, "server_vad") != 0 && strcmp(type, "semantic_vad") != 0)))
		return refuse(field, "turn_detection", err, "turn_detection is null, or its type server_vad or semantic_vad");
	int result = read_number(&threshold, d, "threshold", 1, field, err);
	if (result == SN_OK)
		result = read_number(&padding, d, "prefix_padding_ms", 10000, field, err);
	if (result == SN_OK)
		result = read_number(&silence, d, "silence_duration_ms", 10000, field, err);
	o->detects = !json_is_null(d);
	o->threshold = (float)threshold;
	o->padding = (int)padding;
	o->silence = (int)silence;
	return result;
}

static void read_noise(ws_realtime_options *o, const json_t *noise) {
	const char *const type = json_string_value(json_object_get(noise, "type"));
	if (!noise)
		return;
	o->denoise = !json_is_null(noise);
	o->noise = !o->denoise ? NULL : type && strcmp(type, "far_field") == 0 ? "far_field" : "near_field";
}

static int set_format(ws_realtime_options *o, const char *name, double rate, char field[SV_NAME], char *err) {
	static const struct { const char *now, *before; } names[] = { { "audio/pcm", "pcm16" }, { "audio/pcmu", "g711_ulaw" }, { "audio/pcma", "g711_alaw" } };
	for (int i = 0; i < 3; i++)
		if (strcmp(name, names[i].now) == 0 || strcmp(name, names[i].before) == 0) {
			o->format = names[i].before;
			o->rate = i ? 8000 : (int)rate;
			return o->rate >= 8000 ? SN_OK : refuse(field, "rate", err, "the rate must be from 8000 to 192000");
		}
	return refuse(field, "format", err, "the formats are audio/pcm, audio/pcmu and audio/pcma");
}

static int read_format(ws_realtime_options *o, const json_t *format, char field[SV_NAME], char *err) {
	const char *const type = json_string_value(json_object_get(format, "type"));
	double rate = 24000;
	if (!format || json_is_null(format))
		return SN_OK;
	const int result = read_number(&rate, format, "rate", 192000, field, err);
	return result == SN_OK ? set_format(o, type ? type : "", rate, field, err) : result;
}

int ws_realtime_read(ws_realtime_options *options, const json_t *session, char field[SV_NAME], char *err) {
	const char *const type = json_string_value(json_object_get(session, "type"));
	const json_t *const input = json_object_get(json_object_get(session, "audio"), "input");
	ws_realtime_options o = *options;
	if (!json_is_object(session))
		return refuse(field, "session", err, "\"session\" must be an object");
	if (type && strcmp(type, "transcription") != 0)
		return refuse(field, "session.type", err, "sessions here transcribe: \"type\" must be \"transcription\"");
	int result = read_format(&o, json_object_get(input, "format"), field, err);
	if (result == SN_OK)
		result = read_transcription(&o, json_object_get(input, "transcription"), field, err);
	if (result == SN_OK)
		result = read_detection(&o, input, field, err);
	read_noise(&o, json_object_get(input, "noise_reduction"));
	if (result == SN_OK)
		*options = o;
	return result;
}

int ws_realtime_read_old(ws_realtime_options *options, const json_t *session, char field[SV_NAME], char *err) {
	const json_t *const format = json_object_get(session, "input_audio_format");
	ws_realtime_options o = *options;
	if (!json_is_object(session))
		return refuse(field, "session", err, "\"session\" must be an object");
	int result = json_is_string(format) ? set_format(&o, json_string_value(format), 24000, field, err) : SN_OK;
	if (result == SN_OK)
		result = read_transcription(&o, json_object_get(session, "input_audio_transcription"), field, err);
	if (result == SN_OK)
		result = read_detection(&o, session, field, err);
	read_noise(&o, json_object_get(session, "input_audio_noise_reduction"));
	if (result == SN_OK)
		*options = o;
	return result;
}

/* ---- showing ---- */

static json_t *detection_of(const ws_realtime_options *o) {
	return !o->detects ? json_null()
	                   : json_pack("{s:s, s:f, s:i, s:i}", "type", "server_vad", "threshold", (double)o->threshold, "prefix_padding_ms", o->padding,
	                               "silence_duration_ms", o->silence);
}

static json_t *noise_of(const ws_realtime_options *o) { return o->noise ? json_pack("{s:s}", "type", o->noise) : json_null(); }

static json_t *transcription_of(const ws_realtime_options *o) {
	return json_pack("{s:s, s:s*, s:s*}", "model", o->model, "language", *o->language ? o->language : NULL, "prompt", *o->prompt ? o->prompt : NULL);
}

json_t *ws_realtime_json(const ws_realtime_options *o, const char *id, int old) {
	const char *const type = strcmp(o->format, "pcm16") == 0 ? "audio/pcm" : strcmp(o->format, "g711_ulaw") == 0 ? "audio/pcmu" : "audio/pcma";
	if (old)
		return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "id", id, "object", "realtime.transcription_session", "input_audio_format", o->format,
		                 "input_audio_transcription", transcription_of(o), "turn_detection", detection_of(o), "input_audio_noise_reduction", noise_of(o));
	json_t *const format = json_pack("{s:s}", "type", type);
	if (format && strcmp(o->format, "pcm16") == 0)
		json_object_set_new(format, "rate", json_integer(o->rate));
	return json_pack("{s:s, s:s, s:s, s:{s:{s:o, s:o, s:o, s:o}}}", "id", id, "object", "realtime.transcription_session", "type", "transcription", "audio",
	                 "input", "format", format, "transcription", transcription_of(o), "turn_detection", detection_of(o), "noise_reduction", noise_of(o));
}
