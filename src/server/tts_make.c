/* Text to samples to audio. The samples come from a session of the engine or from the audio cache, which keeps them as they were made. */
#include "server/tts_speech.h"

#include "base/clock.h"
#include "base/error.h"
#include "store/cache.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 65536 /* samples encoded at once from the cache */

typedef struct making {
	sv_request *request;
	tts_wish *wish;
	const tts_way *way;
	sn_model *model;
	double since;
	sn_writer *writer;
	int begun;
	uint8_t key[32];           /* in the audio cache */
	float *kept;               /* samples for it, while there are not too many */
	size_t count, room;
	int keeps;
	sn_speech speech;
	int rate;                  /* of the audio */
	int cached;                /* the samples came from the cache */
} making;

/* ---- the audio ---- */

static int open_writer(making *m, char *err) {
	const tts_wish *const w = m->wish;
	const sn_writer_options options = { .format = w->format, .sample_rate = m->speech.sample_rate, .output_rate = w->rate,
		.bitrate = w->bitrate, .most = TTS_MOST_REPLY };
	if (m->begun)
		return SN_OK;
	m->begun = 1;
	m->request->facts.first = sn_now() - m->request->received;
	if (!m->way)
		return sn_writer_open_memory(&m->writer, &options, err);
	/* the header's bytes come while it is opened, the rate must be known before */
	sn_writer *probe;
	int result = sn_writer_open_memory(&probe, &options, err);
	if (result != SN_OK)
		return result;
	m->rate = sn_writer_rate(probe);
	sn_writer_close(&probe);
	result = m->way->begin(m->way->payload, &m->speech, m->rate);
	if (result != SN_OK)
		return sn_fail(err, result, "the reply cannot begin: %s", sn_result_text(result));
	return sn_writer_open_callback(&m->writer, m->way->write, m->way->payload, &options, err);
}

static int take_samples(making *m, const float *pcm, size_t count, char *err) {
	int result = open_writer(m, err);
	if (result == SN_OK)
		result = sn_writer_write(m->writer, pcm, count, err);
	if (result == SN_E_LIMIT)
		sn_fail(err, SN_E_LIMIT, "the speech has more than %zu bytes of audio; \"stream\": true with Accept: audio/* has no such limit",
		        TTS_MOST_REPLY);
	return result;
}

static int finish_audio(making *m, tts_result *out, char *err) {
	int result = sn_writer_finish(m->writer, err);
	if (result != SN_OK)
		return result;
	m->rate = sn_writer_rate(m->writer);
	if (!m->way)
		out->audio = sn_writer_take(m->writer, &out->size);
	return m->way || out->audio ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the audio");
}

/* ---- the cache of samples ---- */

/* Each text with its end, so that no two wishes hash the same bytes. */
static void hash_text(gnutls_hash_hd_t hash, const char *text) { gnutls_hash(hash, text ? text : "", strlen(text ? text : "") + 1); }

/* All that decides the samples; format, rate and rating do not. */
static int make_key(making *m, const uint8_t version[32]) {
	const tts_wish *const w = m->wish;
	const sn_tts_options *const o = &w->options;
	char numbers[512];
	gnutls_hash_hd_t hash;
	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0)
		return 0;
	snprintf(numbers, sizeof numbers, "speech %zu %.9g %llu %.9g %.9g %.9g %.9g %.9g %.9g %d %d %d %d %d %d", sizeof(sn_speech),
	         (double)o->speed, (unsigned long long)o->seed, (double)o->noise, (double)o->noise_duration, (double)o->pause, (double)o->pitch,
	         (double)o->energy, (double)o->temperature, (int)o->dropout, (int)o->normalise, (int)o->ssml, (int)o->inspect, (int)o->verify,
	         o->retries);
	gnutls_hash(hash, version, 32);
	hash_text(hash, numbers);
	hash_text(hash, w->text);
	hash_text(hash, o->voice);
	hash_text(hash, o->language);
	hash_text(hash, o->emotion);
	hash_text(hash, o->vocoder);
	hash_text(hash, o->verify_model);
	gnutls_hash_deinit(hash, m->key);
	return 1;
}

static void keep(making *m, const float *pcm, size_t count) {
	if (!m->keeps)
		return;
	if (m->count + count > m->room) {
		const size_t wanted = m->count + count, room = wanted > 2 * m->room ? wanted : 2 * m->room;
		char *const grown = wanted > TTS_MOST_KEPT ? NULL : realloc(m->kept, sizeof(sn_speech) + room * sizeof(float));
		if (!grown) {
			m->keeps = 0;
			return;
		}
		m->kept = (float *)(void *)grown;
		m->room = room;
	}
	memcpy((char *)m->kept + sizeof(sn_speech) + m->count * sizeof(float), pcm, count * sizeof *pcm);
	m->count += count;
}

/* The facts stand before the samples, as they lie in memory: their size is part of the key, as is the engine's version. */
static void put_samples(making *m) {
	if (!m->keeps || !m->count)
		return;
	static const char facts[16] = "{}             "; /* fifteen, so that the data behind them and their NUL are aligned for samples */
	memcpy(m->kept, &m->speech, sizeof m->speech);
	sn_cache_put(m->request->server->audio, m->key, m->kept, sizeof m->speech + m->count * sizeof(float), facts);
}

/* Speech from the cache, as if it were spoken now. SN_AGAIN: it is not there. */
static int take_cached(making *m, char *err) {
	const sn_cached *entry = m->keeps ? sn_cache_get(m->request->server->audio, m->key) : NULL;
	sn_quality quality;
	if (!entry || entry->size <= sizeof m->speech || (entry->size - sizeof m->speech) % sizeof(float) ||
	    ((uintptr_t)entry->data + sizeof m->speech) % sizeof(float)) { /* not as this version keeps them */
		sn_cached_release(&entry);
		return SN_AGAIN;
	}
	memcpy(&m->speech, entry->data, sizeof m->speech);
	const float *const pcm = (const float *)(const void *)((const char *)entry->data + sizeof m->speech);
	const size_t count = (entry->size - sizeof m->speech) / sizeof(float);
	int result = SN_OK;
	m->cached = 1;
	m->speech.first_audio = sn_now() - m->since;
	for (size_t at = 0; at < count && result == SN_OK; at += BLOCK)
		result = atomic_load(&m->request->gone) ? sn_fail(err, SN_E_CANCELLED, "the client went away")
			: take_samples(m, pcm + at, count - at < BLOCK ? count - at : BLOCK, err);
	if (result == SN_OK && m->wish->rates && m->speech.quality <= 0 &&
	    sn_quality_pcm(&quality, m->request->server->engine, pcm, count, m->speech.sample_rate, NULL, NULL) == SN_OK)
		m->speech.quality = quality.scores.overall;
	if (!m->wish->rates) /* not told, though it may be known: the same request gets the same reply */
		m->speech.quality = 0;
	m->speech.processing_time = sn_now() - m->since;
	m->keeps = 0;
	sn_cached_release(&entry);
	return result;
}

/* ---- a session ---- */

static void cancel(void *session) { sn_tts_cancel(session); }

/* What is ready; after sn_tts_finish all of it. SN_AGAIN, SN_END or an error. */
static int drain(making *m, sn_tts *tts, char *err) {
	sn_audio audio;
	int result;
	while ((result = sn_tts_pull(tts, &audio, err)) == SN_OK) {
		if (!audio.count)
			continue;
		if (!m->begun)
			sn_tts_result(tts, &m->speech);
		result = take_samples(m, audio.pcm, audio.count, err);
		if (result != SN_OK)
			return result;
		keep(m, audio.pcm, audio.count);
	}
	return result;
}

/* Bytes of whole characters. */
static size_t piece(const char *text, size_t size) {
	size_t most = TTS_PIECE;
	if (size <= most)
		return size;
	while (most > 1 && ((unsigned char)text[most] & 0xc0) == 0x80)
		most--;
	return most;
}

static int run(making *m, sn_tts *tts, char *err) {
	const char *text = m->wish->text;
	size_t size = m->wish->size;
	int result = SN_OK;
	while (size && result == SN_OK) {
		const size_t part = piece(text, size);
		while ((result = sn_tts_push(tts, text, part, err)) == SN_AGAIN)
			if ((result = drain(m, tts, err)) != SN_AGAIN)
				return result;
		text += part;
		size -= part;
		if (result == SN_OK && size && (result = drain(m, tts, err)) == SN_AGAIN)
			result = SN_OK;
	}
	if (result == SN_OK)
		result = sn_tts_finish(tts, err);
	if (result == SN_E_ARGUMENT || result == SN_E_FORMAT)
		m->wish->field = "text";
	return result == SN_OK ? drain(m, tts, err) : result;
}

static int speak(making *m, char *err) {
	char reason[SN_ERRLEN];
	sn_tts *tts;
	sn_tts_options options = m->wish->options;
	options.check = m->wish->rates ? SN_ON : SN_OFF;
	int result = sn_tts_open(&tts, m->model, &options, err);
	if (result != SN_OK)
		return result;
	sv_request_watch(m->request, cancel, tts);
	result = run(m, tts, err);
	if (result == SN_END)
		result = SN_OK;
	if (result == SN_OK && atomic_load(&m->request->gone))
		result = sn_fail(err, SN_E_CANCELLED, "the client went away");
	if (result == SN_OK)
		sn_tts_check(tts, &m->speech, reason);
	sv_request_watch(m->request, NULL, NULL);
	sn_tts_close(&tts);
	return result;
}

/* ---- all of it ---- */

static void tell_facts(making *m) {
	sv_facts *const f = &m->request->facts;
	snprintf(f->model, sizeof f->model, "%.*s", SV_NAME - 1, m->speech.model);
	f->speech = m->speech.duration;
	f->processing = m->speech.processing_time;
	f->quality = m->speech.quality;
	f->retries = 0;
	f->cached = m->cached ? SV_AUDIO_HIT : SV_UNCACHED;
}

/* What rates speech stays loaded between requests. It may be missing: then the speech goes without. */
static void hold_raters(making *m, sv_model_use uses[2]) {
	static const int tasks[] = { SN_TASK_SCORE, SN_TASK_VAD };
	char reason[SN_ERRLEN];
	for (int i = 0; i < 2; i++)
		if (!m->wish->rates || sv_models_get(m->request->server->models, &uses[i], "auto", tasks[i], NULL, reason) != SN_OK)
			uses[i] = (sv_model_use){ 0 };
}

static int make(making *m, const sv_model_use *use, tts_result *out, char *err) {
	sv_server *const server = m->request->server;
	uint8_t version[32];
	m->model = use->model;
	m->wish->field = "voice";
	if (!tts_has_voice(server, m->model, m->wish->options.voice))
		return tts_no_voice(m->model, m->wish->options.voice, err);
	m->wish->field = NULL;
	sv_models_version(use, version);
	tts_bank_version(server, m->wish->options.voice, m->wish->text, version);
	m->keeps = server->audio && make_key(m, version);
	sv_model_use raters[2];
	hold_raters(m, raters);
	int result = take_cached(m, err);
	if (result == SN_AGAIN)
		result = speak(m, err);
	for (int i = 0; i < 2; i++)
		sv_models_give(server->models, &raters[i]);
	if (result == SN_OK)
		result = finish_audio(m, out, err);
	if (result == SN_OK)
		put_samples(m);
	return result;
}

int tts_make(sv_request *r, tts_wish *wish, const tts_way *way, tts_result *out, char *err) {
	making m = { .request = r, .wish = wish, .way = way, .since = sn_now() };
	sv_model_use use;
	*out = (tts_result){ .format = wish->format, .type = tts_type_of(wish->format) };
	snprintf(r->facts.task, sizeof r->facts.task, "speak");
	for (size_t i = 0; i < wish->size; i++)
		r->facts.characters += ((unsigned char)wish->text[i] & 0xc0) != 0x80;
	int result = tts_wish_check(r, wish, err);
	if (result != SN_OK)
		return result;
	wish->field = "model";
	result = sv_models_get(r->server->models, &use, wish->model, SN_TASK_SPEAK, wish->options.language, err);
	if (result != SN_OK)
		return result;
	result = make(&m, &use, out, err);
	sv_models_give(r->server->models, &use);
	sn_writer_close(&m.writer);
	free(m.kept);
	if (m.speech.sample_rate)
		tell_facts(&m);
	out->speech = m.speech;
	out->rate = m.rate;
	return result;
}
