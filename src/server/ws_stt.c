/* GET /stt/stream: audio in, text out while it is spoken. Messages: api/websocket.md. */
#include "server/ws_ear.h"

#include "base/clock.h"
#include "server/api.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TRANSCRIPT ((size_t)16 << 20) /* bytes of a session's whole text */

typedef struct stt {
	ws_ear *ear;             /* NULL: nothing is being transcribed */
	sn_buf text;
	int segments, words;
	double confidence, weight; /* of segments by duration */
	char language[32];
	int begun;               /* utterances of this connection */
} stt;

/* ---- beginning ---- */

static const char *text_of(const json_t *start, const char *name) { return json_string_value(json_object_get(start, name)); }

static int64_t number_of(const json_t *start, const char *name) { return (int64_t)json_number_value(json_object_get(start, name)); }

/* Milliseconds as sn_vad_settings takes them: 0 asks for none, absent for the default. */
static int setting_of(const json_t *start, const char *name) {
	const json_t *const value = json_object_get(start, name);
	return !value ? 0 : number_of(start, name) ? (int)number_of(start, name) : -1;
}

static sn_switch switch_of(const json_t *start, const char *name) { return json_is_false(json_object_get(start, name)) ? SN_OFF : SN_DEFAULT; }

static ws_ear_options options_of(const json_t *start) {
	return (ws_ear_options){ .model = text_of(start, "model"), .live = json_is_true(json_object_get(start, "live")),
		.reader = { .format = text_of(start, "format"), .sample_rate = (int)number_of(start, "sample_rate"), .channels = (int)number_of(start, "channels") },
		.o = { .language = text_of(start, "language"), .task = text_of(start, "task"), .prompt = text_of(start, "prompt"),
			.hotwords = text_of(start, "hotwords"), .temperature = (float)json_number_value(json_object_get(start, "temperature")),
			.words = json_is_true(json_object_get(start, "return_timestamps")) ? SN_ON : SN_OFF,
			.denoise = json_is_true(json_object_get(start, "noise_reduction")) ? SN_ON : SN_DEFAULT, .guards = switch_of(start, "guards"),
			.punctuate = switch_of(start, "punctuate"), .partial_interval = (int)number_of(start, "partial_interval"),
			.vad_settings = { .threshold = (float)json_number_value(json_object_get(start, "vad_threshold")), .min_speech = setting_of(start, "min_speech"),
				.min_silence = setting_of(start, "min_silence"), .pad = setting_of(start, "pad") } } };
}

static void close_ear(stt *t) {
	ws_ear_close(&t->ear);
	sn_buf_free(&t->text);
}

static void say_ready(ws_session *s, const stt *t, const json_t *start) {
	const sn_model_info *const i = &t->ear->info;
	ws_send(s, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:b}", "type", "ready", "session", ws_request(s)->id, "model", i->name, "dtype",
	                     i->precision, "language", text_of(start, "language"), "task", text_of(start, "task"), "format", text_of(start, "format"),
	                     "sample_rate", (json_int_t)number_of(start, "sample_rate"), "live", t->ear->live, "return_timestamps", t->words));
	if (!t->ear->live && json_is_true(json_object_get(start, "live")))
		ws_send(s, json_pack("{s:s, s:s, s:s}", "type", "note", "code", "not_live", "message",
		                     "this model hears whole utterances: there are segments, and neither partial nor commit messages"));
}

/* start NULL: all defaults. */
static int begin(ws_session *s, stt *t, json_t *start) {
	char err[SN_ERRLEN], field[SV_NAME] = "";
	const char *blamed = NULL;
	json_t *const given = start ? json_incref(start) : json_pack("{s:s}", "type", "start");
	int result = given ? sv_api_check_schema(ws_server(s)->api, "SttStreamStart", given, field, err) : sn_fail(err, SN_E_MEMORY, "no memory for a start");
	if (result == SN_OK) {
		const ws_ear_options options = options_of(given);
		result = ws_ear_open(&t->ear, s, &options, given, &blamed, err);
	}
	if (result == SN_OK) {
		sn_buf_init(&t->text, MAX_TRANSCRIPT);
		t->segments = 0;
		t->confidence = t->weight = 0;
		*t->language = 0;
		t->words = json_is_true(json_object_get(given, "return_timestamps")) && t->ear->info.has_words;
		t->begun++;
		say_ready(s, t, given);
	} else {
		ws_fail(s, result, blamed ? blamed : field, err, 1);
	}
	json_decref(given);
	return result;
}

/* ---- what comes out ---- */

static json_t *number(double value) { return json_real(isfinite(value) ? value : 0); }

static double rounded(double seconds) { return (double)(int64_t)(seconds * 1000 + 0.5) / 1000; }

static json_t *words_of(const sn_word *words, int count) {
	json_t *const list = json_array();
	for (int i = 0; words && i < count; i++)
		json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:f}", "word", words[i].text, "start", rounded(words[i].start), "end",
		                                      rounded(words[i].end), "confidence", (double)words[i].confidence));
	return list;
}

static void send_text(ws_session *s, const stt *t, const char *type, const sn_event *e, double latency) {
	json_t *const m = json_pack("{s:s, s:s, s:f}", "type", type, "text", e->text, "position", rounded(e->position));
	if (m && t->words && e->kind == SN_EVENT_COMMIT)
		json_object_set_new(m, "words", words_of(e->words, e->word_count));
	if (m && latency >= 0)
		json_object_set_new(m, "latency", json_real(rounded(latency)));
	ws_send(s, m);
}

static void send_segment(ws_session *s, stt *t, const sn_event *e) {
	const sn_segment *const g = &e->segment;
	json_t *const m = json_pack("{s:s, s:i, s:f, s:f, s:s, s:f, s:o, s:o, s:o, s:f}", "type", "segment", "id", g->id, "start", rounded(g->start), "end",
	                            rounded(g->end), "text", g->text, "confidence", (double)g->confidence, "avg_logprob", number(g->avg_logprob),
	                            "no_speech_prob", number(g->no_speech_prob), "compression_ratio", number(g->compression_ratio), "position",
	                            rounded(e->position));
	if (m && t->words)
		json_object_set_new(m, "words", words_of(g->words, g->word_count));
	sn_buf_text(&t->text, g->text);
	t->segments++;
	t->confidence += (double)g->confidence * (g->end - g->start);
	t->weight += g->end - g->start;
	ws_send(s, m);
}

static void send_event(ws_session *s, stt *t, const sn_event *e, double latency) {
	switch (e->kind) {
	case SN_EVENT_LANGUAGE:
		snprintf(t->language, sizeof t->language, "%s", e->language ? e->language : ""); /* a model without a list of languages tells none */
		ws_send(s, json_pack("{s:s, s:s, s:f, s:f}", "type", "language", "language", t->language, "confidence", (double)e->language_confidence,
		                     "position", rounded(e->position)));
		break;
	case SN_EVENT_NOTE:
		ws_send(s, json_pack("{s:s, s:s, s:s}", "type", "note", "code", e->note.code, "message", e->note.message));
		break;
	case SN_EVENT_SEGMENT: send_segment(s, t, e); break;
	case SN_EVENT_PARTIAL: send_text(s, t, "partial", e, latency); break;
	case SN_EVENT_COMMIT: send_text(s, t, "commit", e, latency); break;
	}
}

static void send_done(ws_session *s, stt *t) {
	const char *const text = t->text.data ? t->text.data : "";
	const double processing = sn_now() - t->ear->began;
	if (t->text.failed)
		ws_fail(s, t->text.failed, NULL, "the whole text is too long for one message; its segments were sent", 1);
	else
		ws_send(s, json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:i, s:f, s:f, s:s}", "type", "done", "text", text + strspn(text, " "), "language", t->language,
		                     "model", t->ear->info.name, "dtype", t->ear->info.precision, "confidence", t->weight > 0 ? t->confidence / t->weight : 0.0,
		                     "segments", t->segments, "duration", rounded(ws_ear_seconds(t->ear)), "processing_time", rounded(processing), "request_id",
		                     ws_request(s)->id));
	close_ear(t);
}

static int run(ws_session *s, void *state) {
	stt *const t = state;
	char err[SN_ERRLEN];
	sn_event event;
	double latency;
	int result = SN_AGAIN, sent = 0;
	while (t->ear && ws_has_room(s) && (result = ws_ear_pull(t->ear, &event, &latency, err)) == SN_OK) {
		send_event(s, t, &event, latency);
		sent = 1;
	}
	if (!t->ear || result == SN_OK || result == SN_AGAIN)
		return sent;
	if (result == SN_END) {
		send_done(s, t);
		return 1;
	}
	ws_fail(s, result, NULL, err, 1);
	close_ear(t);
	return 1;
}

/* ---- what comes in ---- */

static int take_audio(ws_session *s, stt *t, ws_message *m) {
	char err[SN_ERRLEN];
	size_t taken = 0;
	if (!t->ear && begin(s, t, NULL) != SN_OK)
		return SN_OK;
	if (t->ear->finishing)
		return ws_fail(s, SN_E_CLOSED, NULL, "audio came after \"finish\" and before \"done\"", 1);
	const int result = ws_ear_push(t->ear, m->data + m->at, m->size - m->at, &taken, m->came, err);
	m->at += taken;
	if (result < 0)
		ws_fail(s, result, NULL, err, 1);
	return result == SN_AGAIN && m->at < m->size ? SN_AGAIN : SN_OK;
}

static int take_control(ws_session *s, stt *t, json_t *m) {
	char err[SN_ERRLEN];
	const char *const type = text_of(m, "type");
	if (strcmp(type, "start") == 0) {
		if (t->ear && t->ear->finishing)
			return SN_AGAIN; /* of the next one: its turn comes with "done" */
		if (t->ear)
			return ws_fail(s, SN_E_CLOSED, "type", "\"start\" came while audio is being transcribed; \"finish\" or \"cancel\" it first", 1);
		return begin(s, t, m);
	}
	if (strcmp(type, "ping") == 0) {
		json_t *const id = json_object_get(m, "id");
		ws_send(s, id ? json_pack("{s:s, s:O}", "type", "pong", "id", id) : json_pack("{s:s}", "type", "pong"));
	} else if (strcmp(type, "finish") == 0 && t->ear) {
		const int result = ws_ear_finish(t->ear, err);
		if (result != SN_OK)
			return ws_fail(s, result, NULL, err, 1);
	} else if (strcmp(type, "cancel") == 0) {
		close_ear(t);
		ws_send(s, json_pack("{s:s}", "type", "cancelled"));
	} else if (strcmp(type, "finish") == 0) {
		ws_fail(s, SN_E_CLOSED, "type", "there is nothing to finish: no audio came", 0);
	} else {
		ws_fail(s, SN_E_ARGUMENT, "type", "the types of messages are start, finish, cancel and ping", 1);
	}
	return SN_OK;
}

static int take(ws_session *s, void *state, ws_message *m) {
	stt *const t = state;
	if (!m->is_text)
		return take_audio(s, t, m);
	json_t *const json = ws_message_json(s, m);
	return json ? take_control(s, t, json) : SN_OK;
}

static void greet(ws_session *s, void *state) { (void)s, (void)state; }

static void end(ws_session *s, void *state) {
	(void)s;
	close_ear(state);
}

const ws_protocol ws_stt_protocol = {
	.kind = WS_TRANSCRIBE, .max_text = WS_MAX_TEXT, .max_binary = WS_MAX_BINARY, .state_size = sizeof(stt),
	.begin = greet, .take = take, .run = run, .end = end,
};
