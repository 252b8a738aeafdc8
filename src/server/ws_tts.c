/* GET /tts/stream: text in while it is written, speech out while it is made. Messages: api/websocket.md. */
#include "server/tts_speech.h"
#include "server/ws_session.h"

#include "base/clock.h"
#include "server/api.h"
#include "server/config.h"
#include "server/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MP3_RATE 64000              /* bit/s where none is asked for */
#define MAX_CHUNK ((size_t)8 << 20) /* bytes of encoded audio of one chunk of speech */

/* One utterance: what is spoken from a start until its finish. A flush ends a session of the engine, and the next text opens another. */
typedef struct utterance {
	tts_wish wish;
	sv_model_use use;
	sn_model_info info;
	sn_tts *tts;             /* NULL: no text since the beginning or a flush */
	sn_writer *writer;
	sn_buf audio;            /* encoded, not yet sent */
	int pushed, flushing, finishing, broken, failed;
	int sentences, last;     /* of earlier sessions; the one being sent */
	int64_t samples, characters;
	int rate;                /* of samples */
	double began, first_text, first_audio;
	char voice[SV_NAME];
} utterance;

typedef struct tts {
	json_t *start;           /* of this and the following utterances */
	utterance *now;
} tts;

static double rounded(double seconds) { return (double)(int64_t)(seconds * 1000 + 0.5) / 1000; }

static double seconds_of(const utterance *u) { return u->rate ? (double)u->samples / u->rate : 0; }

/* ---- beginning and end ---- */

static void cancel(void *session) { sn_tts_cancel(session); }

static void close_session(ws_session *s, utterance *u) {
	ws_watch(s, NULL, NULL);
	sn_tts_close(&u->tts);
	u->pushed = u->flushing = u->broken = 0;
	u->last = -1;
}

/* For the counts, which know each utterance, and the access log, which knows the connection. */
static void tell_facts(ws_session *s, const utterance *u) {
	sv_request *const r = ws_request(s);
	sv_facts f = { .speech = seconds_of(u), .characters = u->characters, .first = u->first_audio, .processing = sn_now() - u->began, .task = "speak" };
	snprintf(f.model, sizeof f.model, "%s", u->info.name);
	sv_metrics_work(ws_server(s)->metrics, &r->key, &f, f.processing, u->failed);
	f.speech += r->facts.speech;
	f.characters += r->facts.characters;
	f.processing += r->facts.processing;
	f.first = r->facts.first > 0 ? r->facts.first : f.first;
	r->facts = f;
}

static void close_utterance(ws_session *s, tts *t) {
	utterance *const u = t->now;
	t->now = NULL;
	if (!u)
		return;
	close_session(s, u);
	if (u->info.name)
		tell_facts(s, u);
	sn_writer_close(&u->writer);
	sn_buf_free(&u->audio);
	if (u->use.model)
		sv_models_give(ws_server(s)->models, &u->use);
	free(u);
}

static int open_session(ws_session *s, utterance *u, char *err) {
	sn_tts_options o = u->wish.options;
	o.stream = SN_ON;
	o.inspect = SN_OFF; /* it would wait for whole sentences */
	o.priority = SN_PRIORITY_REALTIME;
	o.ready = ws_wake;
	o.ready_payload = s;
	const int result = sn_tts_open(&u->tts, u->use.model, &o, err);
	if (result == SN_OK)
		ws_watch(s, cancel, u->tts);
	return result;
}

/* The wish of the start's fields, as of a request's. */
static int read_wish(ws_session *s, tts *t, char *field, char *err) {
	utterance *const u = t->now;
	const sv_request *const r = ws_request(s);
	const sv_request asked = { .server = r->server, .key = r->key, .params = t->start, .accept = "" };
	int result = tts_wish_read(&asked, &u->wish, err);
	u->wish.format = json_string_value(json_object_get(t->start, "format"));
	if (result == SN_OK)
		result = tts_wish_check(&asked, &u->wish, err);
	if (result == SN_OK) {
		u->wish.field = "model";
		result = sv_models_get(r->server->models, &u->use, u->wish.model, SN_TASK_SPEAK, u->wish.options.language, err);
	}
	if (result == SN_OK && !tts_has_voice(r->server, u->use.model, u->wish.options.voice)) {
		u->wish.field = "voice";
		result = sn_fail(err, SN_E_NOT_FOUND, "the model has no voice \"%.80s\", nor has the bank; GET /tts/voices lists them", u->wish.options.voice);
	}
	if (result != SN_OK && u->wish.field)
		snprintf(field, SV_NAME, "%s", u->wish.field);
	return result;
}

static int begin(ws_session *s, tts *t, json_t *start) {
	char err[SN_ERRLEN], field[SV_NAME] = "";
	utterance *const u = t->now = calloc(1, sizeof *u);
	if (start) {
		json_decref(t->start);
		t->start = json_incref(start);
	} else if (!t->start) {
		t->start = json_pack("{s:s}", "type", "start");
	}
	if (!u || !t->start)
		return ws_fail(s, SN_E_MEMORY, NULL, "no memory to speak", 1);
	u->began = sn_now();
	u->last = -1;
	sn_buf_init(&u->audio, MAX_CHUNK);
	int result = sv_api_check_schema(ws_server(s)->api, "TtsStreamStart", t->start, field, err);
	if (result == SN_OK)
		result = read_wish(s, t, field, err);
	if (result == SN_OK) {
		sn_model_describe(u->use.model, &u->info);
		snprintf(u->voice, sizeof u->voice, "%s", u->wish.options.voice);
		result = open_session(s, u, err);
		close_session(s, u); /* the options are good, and memory is for those who have a text */
	}
	if (result != SN_OK) {
		ws_fail(s, result, field, err, 1);
		close_utterance(s, t);
		return result;
	}
	ws_send(s, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "type", "ready", "session", ws_request(s)->id, "model", u->info.name, "dtype",
	                     u->info.precision, "voice", u->voice, "format", u->wish.format, "sample_rate",
	                     u->wish.rate ? u->wish.rate : u->info.sample_rate));
	return SN_OK;
}

/* ---- what comes out ---- */

static int take_bytes(void *payload, const void *data, size_t size) { return sn_buf_add(&((utterance *)payload)->audio, data, size); }

static void send_bytes(ws_session *s, utterance *u) {
	if (u->audio.size)
		ws_send_audio(s, u->audio.data, u->audio.size);
	sn_buf_clear(&u->audio);
}

static int open_writer(utterance *u, char *err) {
	/* a stream has no header that tells its length, which readers guess from the bit rate: it must be constant */
	const int bitrate = !u->wish.bitrate && strcmp(u->wish.format, "mp3") == 0 ? MP3_RATE : u->wish.bitrate;
	const sn_writer_options options = { .format = u->wish.format, .sample_rate = u->rate, .output_rate = u->wish.rate, .bitrate = bitrate };
	return u->writer ? SN_OK : sn_writer_open_callback(&u->writer, take_bytes, u, &options, err);
}

static int send_chunk(ws_session *s, utterance *u, const sn_audio *audio, char *err) {
	u->rate = audio->sample_rate;
	if (audio->mark) {
		ws_send(s, json_pack("{s:s, s:s, s:f}", "type", "mark", "name", audio->mark, "time", rounded(seconds_of(u))));
		return SN_OK;
	}
	if (audio->sentence != u->last)
		ws_send(s, json_pack("{s:s, s:i, s:f}", "type", "sentence", "index", u->sentences + audio->sentence, "time", rounded(seconds_of(u))));
	u->last = audio->sentence;
	int result = open_writer(u, err);
	if (result == SN_OK)
		result = sn_writer_write(u->writer, audio->pcm, audio->count, err);
	if (result != SN_OK)
		return result;
	if (!u->samples)
		u->first_audio = sn_now() - u->first_text;
	u->samples += (int64_t)audio->count;
	send_bytes(s, u);
	return SN_OK;
}

static void send_notes(ws_session *s, utterance *u) {
	sn_speech speech;
	sn_tts_result(u->tts, &speech);
	for (int i = 0; i < speech.note_count; i++)
		ws_send(s, json_pack("{s:s, s:s, s:s}", "type", "note", "code", speech.notes[i].code, "message", speech.notes[i].message));
	if (*speech.voice)
		snprintf(u->voice, sizeof u->voice, "%s", speech.voice);
}

/* Also of an utterance whose last flush has spoken all of it. */
static int send_done(ws_session *s, tts *t, char *err) {
	utterance *const u = t->now;
	if (u->writer) {
		const int result = sn_writer_finish(u->writer, err);
		if (result != SN_OK)
			return result;
		send_bytes(s, u);
	}
	ws_send(s, json_pack("{s:s, s:f, s:f, s:f, s:i, s:I, s:s, s:s, s:s, s:s, s:i, s:s}", "type", "done", "duration", rounded(seconds_of(u)), "processing_time",
	                     rounded(sn_now() - u->began), "first_audio", rounded(u->first_audio), "sentences", u->sentences, "characters",
	                     (json_int_t)u->characters, "model", u->info.name, "dtype", u->info.precision, "voice", u->voice, "format", u->wish.format,
	                     "sample_rate", u->writer ? sn_writer_rate(u->writer) : u->rate, "request_id", ws_request(s)->id));
	close_utterance(s, t);
	return SN_OK;
}

static void send_flushed(ws_session *s, double time) {
	ws_send(s, json_pack("{s:s, s:f}", "type", "flushed", "time", rounded(time)));
}

/* The engine's session has spoken all that it had. */
static int end_session(ws_session *s, tts *t, char *err) {
	utterance *const u = t->now;
	const int was_flush = u->flushing && !u->finishing;
	send_notes(s, u);
	u->sentences += u->last + 1;
	close_session(s, u);
	if (!was_flush)
		return send_done(s, t, err);
	send_flushed(s, seconds_of(u));
	return SN_OK;
}

static int run(ws_session *s, void *state) {
	tts *const t = state;
	char err[SN_ERRLEN];
	sn_audio audio;
	int sent = 0, result = SN_AGAIN;
	while (t->now && t->now->tts && ws_has_room(s)) {
		result = sn_tts_pull(t->now->tts, &audio, err);
		if (result == SN_AGAIN)
			break;
		sent = 1;
		result = result == SN_OK ? send_chunk(s, t->now, &audio, err) : result == SN_END ? end_session(s, t, err) : result;
		if (result != SN_OK) {
			t->now->failed = 1;
			ws_fail(s, result, NULL, err, 1);
			close_utterance(s, t);
			break;
		}
	}
	return sent;
}

/* ---- what comes in ---- */

static int fail_utterance(ws_session *s, tts *t, int code, const char *field, const char *message, int fatal) {
	ws_fail(s, code, field, message, fatal);
	close_utterance(s, t);
	return code;
}

/* A piece at a time, so that the first sound does not wait for the last word of a long text. */
static int push_text(ws_session *s, tts *t, ws_message *m, const char *text, size_t size) {
	utterance *const u = t->now;
	char err[SN_ERRLEN];
	size_t piece = size - m->at < TTS_PIECE ? size - m->at : TTS_PIECE;
	while (piece && m->at + piece < size && ((unsigned char)text[m->at + piece] & 0xc0) == 0x80)
		piece--;
	const int result = sn_tts_push(u->tts, text + m->at, piece, err);
	if (result == SN_AGAIN)
		return SN_AGAIN;
	u->pushed |= piece > 0;
	u->broken = result != SN_OK; /* what came before is spoken, and then the engine tells the error */
	if (result == SN_E_FORMAT || result == SN_E_LIMIT || result == SN_E_CLOSED)
		return fail_utterance(s, t, result, "text", err, 1);
	m->at += piece;
	if (u->broken || m->at == size)
		return SN_OK;
	ws_wake(s);
	return SN_AGAIN;
}

static int take_text(ws_session *s, tts *t, ws_message *m, const json_t *json) {
	const json_t *const value = json_object_get(json, "text");
	char err[SN_ERRLEN];
	if (!json_is_string(value))
		return ws_fail(s, SN_E_ARGUMENT, "text", "\"text\" must be a text", 1);
	if (t->now && (t->now->finishing || t->now->flushing))
		return SN_AGAIN;
	if (!t->now && begin(s, t, NULL) != SN_OK)
		return SN_OK;
	utterance *const u = t->now;
	if (u->broken)
		return SN_OK;
	const int opened = u->tts ? SN_OK : open_session(s, u, err);
	if (opened != SN_OK)
		return fail_utterance(s, t, opened, NULL, err, 1);
	if (!m->at)
		for (const char *c = json_string_value(value); *c; c++)
			u->characters += ((unsigned char)*c & 0xc0) != 0x80;
	if (u->first_text <= 0)
		u->first_text = m->came;
	return push_text(s, t, m, json_string_value(value), json_string_length(value));
}

static int finish(ws_session *s, tts *t, int flush) {
	utterance *const u = t->now;
	char err[SN_ERRLEN];
	if (!u && !flush)
		return ws_fail(s, SN_E_CLOSED, "type", "there is nothing to finish: no text came", 0);
	if (u && u->finishing)
		return ws_fail(s, SN_E_CLOSED, "type", "\"finish\" came already", 0);
	if (flush && u && u->flushing)
		return SN_AGAIN; /* each is answered, in its turn */
	if (flush && (!u || !u->pushed)) {
		send_flushed(s, u ? seconds_of(u) : 0);
		return SN_OK;
	}
	u->finishing = !flush;
	if (u->flushing)
		return SN_OK; /* the session ends already */
	u->flushing = flush;
	const int opened = u->characters || u->tts ? SN_OK : open_session(s, u, err); /* without a text the engine says so */
	if (opened != SN_OK)
		return fail_utterance(s, t, opened, NULL, err, 1);
	if (!u->tts || (!u->pushed && u->sentences)) {
		const int result = send_done(s, t, err);
		return result == SN_OK ? result : fail_utterance(s, t, result, NULL, err, 1);
	}
	const int result = sn_tts_finish(u->tts, err);
	if (result == SN_E_ARGUMENT && !u->samples)
		return fail_utterance(s, t, result, "text", err, 0);
	return SN_OK;
}

static int take(ws_session *s, void *state, ws_message *m) {
	tts *const t = state;
	json_t *const json = m->is_text ? ws_message_json(s, m) : NULL;
	if (!m->is_text)
		return ws_fail(s, SN_E_ARGUMENT, NULL, "this socket takes text messages only; it sends the audio", 1);
	if (!json)
		return SN_OK;
	const char *const type = json_string_value(json_object_get(json, "type"));
	if (strcmp(type, "text") == 0)
		return take_text(s, t, m, json);
	if (strcmp(type, "flush") == 0 || strcmp(type, "finish") == 0)
		return finish(s, t, strcmp(type, "flush") == 0);
	if (strcmp(type, "start") == 0) {
		if (t->now && t->now->finishing)
			return SN_AGAIN; /* of the next one: its turn comes with "done" */
		return t->now ? ws_fail(s, SN_E_CLOSED, "type", "\"start\" came inside an utterance; \"finish\" or \"cancel\" it first", 1) : begin(s, t, json);
	}
	if (strcmp(type, "cancel") == 0) {
		const double time = t->now ? seconds_of(t->now) : 0;
		ws_drop_audio(s);
		close_utterance(s, t);
		ws_send(s, json_pack("{s:s, s:f}", "type", "cancelled", "time", rounded(time)));
		return SN_OK;
	}
	if (strcmp(type, "ping") == 0) {
		json_t *const id = json_object_get(json, "id");
		ws_send(s, id ? json_pack("{s:s, s:O}", "type", "pong", "id", id) : json_pack("{s:s}", "type", "pong"));
		return SN_OK;
	}
	return ws_fail(s, SN_E_ARGUMENT, "type", "the types of messages are start, text, flush, finish, cancel and ping", 1);
}

static void greet(ws_session *s, void *state) { (void)s, (void)state; }

static void end(ws_session *s, void *state) {
	tts *const t = state;
	close_utterance(s, t);
	json_decref(t->start);
	t->start = NULL;
}

const ws_protocol ws_tts_protocol = {
	.kind = WS_SPEAK, .max_text = WS_MAX_TEXT, .max_binary = WS_MAX_BINARY, .state_size = sizeof(tts),
	.begin = greet, .take = take, .run = run, .end = end,
};
