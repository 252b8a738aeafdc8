#include "server/metrics_data.h"

#include "base/clock.h"
#include "base/error.h"
#include "server/log.h"
#include "store/usage.h"

#include <stdlib.h>
#include <string.h>

const sv_buckets sv_scale_buckets[SV_SCALES] = {
	[SV_SCALE_SECONDS] = { 18, { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200 } },
	[SV_SCALE_FACTOR] = { 12, { 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5 } },
	[SV_SCALE_SCORE] = { 8, { 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5 } },
	[SV_SCALE_SHARE] = { 11, { 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1 } },
};

#define SV_X(id, scale, name, help) SV_SCALE_##scale,
static const sv_scale scales[] = { SV_HISTOGRAMS(SV_X) };
#undef SV_X

sv_scale sv_histogram_scale(sv_histogram histogram) { return scales[histogram]; }

int sv_metrics_open(sv_metrics **out, sv_server *server, char *err) {
	struct timespec now;
	sv_metrics *const m = *out = calloc(1, sizeof *m);
	if (!m)
		return sn_fail(err, SN_E_MEMORY, "no memory for the metrics");
	clock_gettime(CLOCK_REALTIME, &now);
	m->started = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
	m->server = server;
	m->route_count = 1; /* [0]: no route */
	pthread_mutex_init(&m->lock, NULL);
	return SN_OK;
}

void sv_metrics_close(sv_metrics **held) {
	sv_metrics *const m = *held;
	*held = NULL;
	if (!m)
		return;
	pthread_mutex_destroy(&m->lock);
	free(m->health);
	free(m);
}

/* ---- counting; the lower case ones with the lock held ---- */

static void observe(sv_distribution *d, sv_scale scale, double value) {
	const sv_buckets *const b = &sv_scale_buckets[scale];
	int at = 0;
	if (!(value >= 0)) /* a clock that went back, or no number */
		return;
	while (at < b->count && value > b->most[at])
		at++;
	d->buckets[at]++;
	d->count++;
	d->sum += value;
}

void sv_metrics_add(sv_metrics *m, sv_counter counter, double value) {
	if (!m || !(value > 0))
		return;
	pthread_mutex_lock(&m->lock);
	m->counters[counter] += value;
	pthread_mutex_unlock(&m->lock);
}

void sv_metrics_observe(sv_metrics *m, sv_histogram histogram, double value) {
	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	observe(&m->histograms[histogram], scales[histogram], value);
	pthread_mutex_unlock(&m->lock);
}

static sv_route_counts *counts_of(sv_metrics *m, const sv_route *route) {
	for (int i = 0; i < m->route_count; i++)
		if (m->routes[i].route == route)
			return &m->routes[i];
	if (m->route_count == SV_MAX_ROUTES)
		return &m->routes[0];
	m->routes[m->route_count].route = route;
	return &m->routes[m->route_count++];
}

static void count_status(sv_route_counts *c, int status) {
	int at = 0;
	while (at < c->status_count && c->statuses[at].status != status)
		at++;
	if (at == c->status_count && at < SV_MAX_STATUSES)
		c->statuses[c->status_count++].status = status;
	c->statuses[at < SV_MAX_STATUSES ? at : SV_MAX_STATUSES - 1].count++;
}

static void count_facts(sv_metrics *m, const sv_facts *f, double total, int failed) {
	const int speaks = strcmp(f->task, "speak") == 0, transcribes = strncmp(f->task, "trans", 5) == 0;
	m->counters[SV_COUNT_AUDIO_SECONDS] += f->audio > 0 ? f->audio : 0;
	m->counters[SV_COUNT_SPEECH_SECONDS] += f->speech > 0 ? f->speech : 0;
	m->counters[SV_COUNT_CHARACTERS] += f->characters > 0 ? (double)f->characters : 0;
	m->counters[SV_COUNT_RETRIES] += f->retries > 0 ? f->retries : 0;
	m->counters[SV_COUNT_GUARDS] += f->guards > 0 ? f->guards : 0;
	m->counters[SV_COUNT_RESULT_HITS] += f->cached == SV_RESULT_HIT;
	m->counters[SV_COUNT_AUDIO_HITS] += f->cached == SV_AUDIO_HIT;
	if (f->cached == SV_UNCACHED && f->quality > 0)
		observe(&m->histograms[SV_TIME_QUALITY], SV_SCALE_SCORE, (double)f->quality);
	if (failed)
		return;
	if (f->first > 0 && (speaks || transcribes))
		observe(&m->histograms[speaks ? SV_TIME_FIRST_AUDIO : SV_TIME_FIRST_TEXT], SV_SCALE_SECONDS, f->first);
	if (transcribes && total > 0)
		observe(&m->histograms[SV_TIME_FINAL_TEXT], SV_SCALE_SECONDS, total);
	if (f->cached == SV_UNCACHED && transcribes && f->confidence > 0)
		observe(&m->histograms[SV_TIME_CONFIDENCE], SV_SCALE_SHARE, (double)f->confidence);
	const double lasts = speaks ? f->speech : transcribes ? f->audio : 0;
	if (f->cached == SV_UNCACHED && f->processing > 0 && lasts > 0)
		observe(&m->histograms[speaks ? SV_TIME_TTS_FACTOR : SV_TIME_STT_FACTOR], SV_SCALE_FACTOR, f->processing / lasts);
}

void sv_metrics_work(sv_metrics *m, const sv_key *key, const sv_facts *facts, double total, int failed) {
	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	count_facts(m, facts, total, failed);
	pthread_mutex_unlock(&m->lock);
	if (m->server->usage)
		sn_usage_add(m->server->usage, &(sn_usage_row){ .key = key->id, .requests = 1, .failed = failed, .characters = facts->characters,
			.audio = facts->audio, .speech = facts->speech });
}

void sv_metrics_request(sv_metrics *m, const sv_request *r, int status, int64_t bytes_in, int64_t bytes_out) {
	const double total = sn_now() - r->received;
	const int is_socket = status == 101; /* its session tells its work by itself */
	const int is_open = !r->route || r->route->scope == SV_SCOPE_NONE; /* health, the page, what does not exist: no key's usage */
	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	sv_route_counts *const c = counts_of(m, r->route);
	count_status(c, status);
	if (!is_socket)
		observe(&c->time, SV_SCALE_SECONDS, total);
	if (r->started > 0)
		observe(&m->histograms[SV_TIME_QUEUE], SV_SCALE_SECONDS, r->started - r->queued);
	m->counters[SV_COUNT_SHED] += (status == 429 || status == 503) && !is_open;
	m->counters[SV_COUNT_BYTES_IN] += (double)bytes_in;
	m->counters[SV_COUNT_BYTES_OUT] += (double)bytes_out;
	pthread_mutex_unlock(&m->lock);
	if (!is_socket && !is_open)
		sv_metrics_work(m, &r->key, &r->facts, total, status >= 400);
	sv_log_request(m->server->log, r, status, bytes_in, bytes_out);
}

double sv_distribution_quantile(const sv_distribution *d, sv_scale scale, double share) {
	const sv_buckets *const b = &sv_scale_buckets[scale];
	const double wanted = share * (double)d->count;
	double below = 0;
	for (int i = 0; i < b->count; i++) {
		const double here = (double)d->buckets[i], least = i ? b->most[i - 1] : 0;
		if (here > 0 && below + here >= wanted)
			return least + (b->most[i] - least) * (wanted - below) / here;
		below += here;
	}
	return d->count ? b->most[b->count - 1] : 0;
}
