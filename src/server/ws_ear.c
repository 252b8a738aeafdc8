#include "server/ws_ear.h"

#include "base/clock.h"
#include "server/config.h"
#include "server/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096           /* samples decoded at a time */
#define INTERVAL 320         /* ms between partials where there is time */
#define INTERVAL_EACH 100    /* ms by which each session lengthens it, */
#define INTERVAL_MOST 1000   /* up to this */

static void cancel(void *stt) { sn_stt_cancel(stt); }

/* Each partial costs a decoding: with many sessions they come more rarely, so that they stay prompt. */
static int interval_for(int sessions, int wanted) {
	const int fair = INTERVAL_EACH * sessions < INTERVAL_MOST ? INTERVAL_EACH * sessions : INTERVAL_MOST;
	if (wanted < 0)
		return wanted;
	wanted = wanted ? wanted : INTERVAL;
	return wanted > fair ? wanted : fair;
}

static int open_session(ws_ear *e, char *err) {
	const sv_request *const r = ws_request(e->session);
	sn_stt_options o = e->options.o;
	o.live = e->live ? SN_ON : SN_OFF;
	o.beam = e->live ? 1 : o.beam;
	o.partial_interval = interval_for(ws_listening(e->session, 0), o.partial_interval);
	o.words = o.words == SN_ON && !e->info.has_words ? SN_OFF : o.words;
	o.priority = SN_PRIORITY_REALTIME;
	o.share = (uint64_t)r->key.id;
	o.ready = ws_wake;
	o.ready_payload = e->session;
	return sn_stt_open(&e->stt, e->use.model, &o, err);
}

static void rest(ws_ear *e) {
	if (!e->awake)
		return;
	e->awake = 0;
	ws_watch(e->session, NULL, NULL);
	ws_watch_fd(e->session, -1, 0);
	ws_listening(e->session, -1);
	sn_stt_close(&e->stt);
	sn_reader_close(&e->reader);
	free(e->block);
	e->block = NULL;
}

/* What takes memory: all of it is there, or nothing. */
static int wake(ws_ear *e, const char **field, char *err) {
	if (e->awake)
		return SN_OK;
	e->awake = 1;
	ws_listening(e->session, 1);
	e->block = malloc(BLOCK * sizeof *e->block);
	int result = e->block ? sn_reader_open(&e->reader, &e->options.reader, err) : sn_fail(err, SN_E_MEMORY, "no memory for a live transcription");
	if (result == SN_E_ARGUMENT && field)
		*field = "format";
	if (result == SN_OK)
		result = open_session(e, err);
	if (result == SN_OK)
		ws_watch(e->session, cancel, e->stt);
	else
		rest(e);
	return result;
}

int ws_ear_open(ws_ear **out, ws_session *session, const ws_ear_options *options, json_t *owner, const char **field, char *err) {
	ws_ear *e = *out = calloc(1, sizeof *e);
	*field = NULL;
	if (!e)
		return sn_fail(err, SN_E_MEMORY, "no memory for a live transcription");
	e->session = session;
	e->options = *options;
	e->owner = json_incref(owner);
	e->began = sn_now();
	int result = sv_models_get(ws_server(session)->models, &e->use, options->model, SN_TASK_TRANSCRIBE, options->o.language, err);
	if (result != SN_OK) {
		*field = "model";
	} else {
		sn_model_describe(e->use.model, &e->info);
		e->live = options->live && e->info.streams;
		result = wake(e, field, err);
		rest(e); /* the options are good, and memory is for those who speak */
		if (result == SN_E_UNSUPPORTED && e->live) { /* a model that hears whole utterances, or something else that it lacks */
			e->live = 0;
			result = wake(e, field, err);
			rest(e);
		}
	}
	if (result != SN_OK)
		ws_ear_close(out);
	return result;
}

double ws_ear_seconds(const ws_ear *e) { return (double)e->samples / SN_STT_RATE; }

/* For the counts, which know each utterance, and the access log, which knows the connection. */
static void tell_facts(const ws_ear *e) {
	sv_request *const r = ws_request(e->session);
	const double now = sn_now();
	sv_facts f = { .audio = ws_ear_seconds(e), .first = e->first, .processing = now - e->began, .confidence = e->confidence, .task = "transcribe" };
	snprintf(f.model, sizeof f.model, "%s", e->info.name);
	sv_metrics_work(ws_server(e->session)->metrics, &r->key, &f, e->first_came > 0 ? now - e->last_came : 0, e->failed);
	f.audio += r->facts.audio;
	f.processing += r->facts.processing;
	f.first = r->facts.first > 0 ? r->facts.first : f.first;
	r->facts = f;
}

void ws_ear_close(ws_ear **held) {
	ws_ear *const e = *held;
	*held = NULL;
	if (!e)
		return;
	if (e->stt)
		tell_facts(e);
	rest(e);
	if (e->use.model)
		sv_models_give(ws_server(e->session)->models, &e->use);
	json_decref(e->owner);
	free(e);
}

/* ---- audio ---- */

static void remember(ws_ear *e) {
	e->arrivals[e->arrival].until = ws_ear_seconds(e);
	e->arrivals[e->arrival].came = e->last_came;
	e->arrival = (e->arrival + 1) % WS_ARRIVALS;
}

/* When the audio at `position` came: the oldest arrival that holds it. */
static double came_at(const ws_ear *e, double position) {
	for (int i = 0; i < WS_ARRIVALS; i++) {
		const int at = (e->arrival + i) % WS_ARRIVALS;
		if (e->arrivals[at].came > 0 && e->arrivals[at].until >= position - 1e-3)
			return e->arrivals[at].came;
	}
	return e->last_came;
}

/* Moves samples from the reader to the engine. SN_OK: the reader has no more now. */
static int drain(ws_ear *e, char *err) {
	const double most = ws_server(e->session)->config->max_duration;
	for (;;) {
		if (e->at == e->count) {
			const int result = sn_reader_pull(e->reader, e->block, BLOCK, &e->count, err);
			e->at = 0;
			if (result == SN_AGAIN || result == SN_END) {
				e->count = 0;
				if (result == SN_END && !e->finished) {
					sn_stt_finish(e->stt, err);
					e->finished = 1;
				}
				return SN_OK;
			}
			if (result != SN_OK)
				return result;
		}
		if (ws_ear_seconds(e) > most)
			return sn_fail(err, SN_E_LIMIT, "the audio is longer than %g s, the most that is taken", most);
		const int result = sn_stt_push(e->stt, e->block + e->at, e->count - e->at, err);
		if (result != SN_OK)
			return result;
		e->samples += (int64_t)(e->count - e->at);
		e->at = e->count;
		remember(e);
	}
}

int ws_ear_push(ws_ear *e, const void *data, size_t size, size_t *taken, double came, char *err) {
	int result = wake(e, NULL, err);
	*taken = 0;
	if (result != SN_OK)
		return result;
	e->last_came = came;
	if (e->first_came <= 0)
		e->first_came = came;
	do {
		size_t part = 0;
		result = drain(e, err);
		if (result != SN_OK)
			return result;
		result = sn_reader_push(e->reader, (const char *)data + *taken, size - *taken, &part, err);
		*taken += part;
	} while (result == SN_OK && *taken < size);
	if (result == SN_OK || result == SN_AGAIN) {
		const int fd = sn_reader_descriptor(e->reader), drained = drain(e, err);
		if (fd >= 0)
			ws_watch_fd(e->session, fd, result == SN_AGAIN);
		if (drained != SN_OK && drained != SN_AGAIN)
			return drained;
	}
	return *taken == size ? SN_OK : result == SN_OK ? SN_AGAIN : result;
}

int ws_ear_finish(ws_ear *e, char *err) {
	const int result = wake(e, NULL, err);
	if (result == SN_OK && !e->finishing)
		sn_reader_finish(e->reader, NULL);
	e->finishing |= result == SN_OK;
	return result;
}

/* ---- events ---- */

int ws_ear_pull(ws_ear *e, sn_event *event, double *latency, char *err) {
	if (!e->stt)
		return SN_AGAIN;
	const int fd = sn_reader_descriptor(e->reader), drained = e->finished ? SN_OK : drain(e, err);
	if (drained != SN_OK && drained != SN_AGAIN)
		return drained;
	if (fd >= 0 && !e->finished && drained == SN_OK)
		ws_watch_fd(e->session, fd, 0);
	const int result = sn_stt_pull(e->stt, event, err);
	*latency = -1;
	e->failed |= result < 0;
	if (result != SN_OK)
		return result;
	if (e->live && (event->kind == SN_EVENT_PARTIAL || event->kind == SN_EVENT_COMMIT)) {
		const double now = sn_now(), came = came_at(e, event->position);
		*latency = now > came ? now - came : 0;
		if (event->kind == SN_EVENT_PARTIAL)
			sv_metrics_observe(ws_server(e->session)->metrics, SV_TIME_PARTIAL, *latency);
	}
	if (event->kind >= SN_EVENT_PARTIAL || event->kind == SN_EVENT_SEGMENT)
		e->first = e->first > 0 ? e->first : sn_now() - e->first_came;
	if (event->kind == SN_EVENT_SEGMENT && e->confidence <= 0)
		e->confidence = event->segment.confidence;
	return SN_OK;
}
