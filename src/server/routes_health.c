/* Whether the server lives, is ready, and what it is doing. */
#include "server/api.h"
#include "server/batch.h"
#include "server/config.h"
#include "server/connection.h"
#include "server/metrics_data.h"
#include "server/models.h"
#include "server/routes_usage.h"
#include "server/sockets.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define HEALTH_AGE 0.1                    /* seconds for which an answer is given again */
#define LEAST_FREE ((uint64_t)64 << 20)   /* bytes of disk below which the store is about to fail */

static void live(sv_request *r, sv_reply *reply) {
	(void)r;
	sv_reply_bytes(reply, 200, "text/plain", "ok\n", 3, NULL);
}

/* Whether requests can be served as configured; why says what is missing. */
static int is_ready(const sv_server *s, char *why) {
	if (atomic_load(&s->stopping))
		return sn_fail(why, SN_E_CLOSED, "the server is stopping"), 0;
	return sv_models_ready(s->models, why);
}

static void ready(sv_request *r, sv_reply *reply) {
	char why[SN_ERRLEN];
	if (is_ready(r->server, why))
		sv_reply_bytes(reply, 200, "text/plain", "ready\n", 6, NULL);
	else
		sv_reply_retry(reply, 503, 1, why);
}

/* ---- health ---- */

/* "ok", or why what is to be kept cannot be. */
static void look_at_store(const sv_server *s, char *out) {
	sn_engine_info info;
	struct statvfs disk;
	sn_engine_describe(s->engine, &info);
	snprintf(out, SN_ERRLEN, "ok");
	if (statvfs(info.home, &disk) != 0)
		sn_fail_errno(out, "the home cannot be looked at");
	else if ((uint64_t)disk.f_bavail * disk.f_frsize < LEAST_FREE)
		snprintf(out, SN_ERRLEN, "the disk is full: %llu MB are free", (unsigned long long)disk.f_bavail * disk.f_frsize >> 20);
}

static int any_failed(json_t *models) {
	size_t i;
	json_t *one;
	json_array_foreach(models, i, one)
		if (strcmp(json_string_value(json_object_get(one, "state")), "failed") == 0)
			return 1;
	return 0;
}

static char *health_text(sv_server *s) {
	char why[SN_ERRLEN] = "", store[SN_ERRLEN];
	sv_http_facts http;
	json_t *const models = sv_models_states(s->models);
	sv_http_describe(s->http, &http);
	look_at_store(s, store);
	const int stopping = atomic_load(&s->stopping), usable = is_ready(s, why), stored = strcmp(store, "ok") == 0;
	sn_engine_stats engine;
	sv_batch_facts jobs = { 0 };
	sv_socket_facts sockets = { 0 };
	sn_engine_measure(s->engine, &engine);
	if (s->sockets)
		sv_sockets_describe(s->sockets, &sockets);
	if (s->batch)
		sv_batch_describe(s->batch, &jobs);
	if (stored && jobs.full)
		snprintf(store, sizeof store, "results of jobs wait for room on the disk");
	const char *const status = stopping ? "stopping" : usable && stored && !jobs.full && !any_failed(models) ? "ok" : "degraded";
	json_t *const o = json_pack("{s:s, s:s, s:f, s:b, s:o, s:s}", "status", status, "version", sn_version(), "uptime", sn_now() - s->started, "ready",
	                            usable, "models", models, "store", store);
	json_object_set_new(o, "sessions", json_pack("{s:i, s:i, s:i}", "interactive", engine.sessions[SN_PRIORITY_INTERACTIVE], "realtime",
	                    engine.sessions[SN_PRIORITY_REALTIME], "batch", engine.sessions[SN_PRIORITY_BATCH]));
	json_object_set_new(o, "sockets", json_pack("{s:i, s:i, s:i}", "transcribe", sockets.transcribe, "speak", sockets.speak, "realtime",
	                    sockets.realtime));
	json_object_set_new(o, "jobs", json_pack("{s:I, s:I}", "queued", (json_int_t)jobs.queued, "running", (json_int_t)jobs.running));
	json_object_set_new(o, "requests", json_pack("{s:i, s:i, s:i, s:i}", "connections", http.connections, "receiving", http.receiving, "working",
	                    http.working, "replying", http.replying));
	json_object_set_new(o, "queue", json_pack("{s:i, s:I}", "waiting", s->workers ? sv_workers_waiting(s->workers) : 0, "most",
	                    (json_int_t)s->config->max_queue));
	json_object_set_new(o, "memory", json_pack("{s:I, s:I}", "resident", (json_int_t)sv_resident_bytes(), "budget",
	                    (json_int_t)s->config->memory_budget));
	if (o && !usable)
		json_object_set_new(o, "reason", json_string(why));
	char *const text = o ? sn_json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(o);
	return text;
}

/* On the io thread only. The text is made ten times a second at most, however often it is asked for. */
static void health(sv_request *r, sv_reply *reply) {
	sv_metrics *const m = r->server->metrics;
	const double now = sn_now();
	const int stopping = atomic_load(&r->server->stopping);
	if (!m->health || now - m->health_made > HEALTH_AGE || stopping != m->health_stopping) {
		free(m->health);
		m->health = health_text(r->server);
		m->health_size = m->health ? strlen(m->health) : 0;
		m->health_made = now;
		m->health_stopping = stopping;
	}
	char *const copy = m->health ? malloc(m->health_size) : NULL;
	if (!copy) {
		sv_reply_fail(reply, SN_E_MEMORY, NULL, "no memory for the reply");
		return;
	}
	memcpy(copy, m->health, m->health_size);
	sv_reply_bytes(reply, 200, "application/json", copy, m->health_size, free);
}

/* ---- metrics, configuration, the document ---- */

static void metrics(sv_request *r, sv_reply *reply) {
	size_t size;
	char *const text = sv_metrics_text(r->server->metrics, &size);
	if (text)
		sv_reply_bytes(reply, 200, "text/plain; version=0.0.4; charset=utf-8", text, size, free);
	else
		sv_reply_fail(reply, SN_E_MEMORY, NULL, "no memory for the metrics");
}

static void metrics_json(sv_request *r, sv_reply *reply) { sv_reply_json(reply, 200, sv_metrics_json(r->server->metrics)); }

static void config(sv_request *r, sv_reply *reply) {
	json_t *const all = sv_config_json(r->server->config);
	for (int i = 0; i < sv_option_count; i++)
		if (sv_options[i].kind == SV_TEXT && sv_options[i].least > 0)
			json_object_del(all, sv_options[i].name);
	sv_reply_json(reply, 200, json_pack("{s:o}", "config", all));
}

static void openapi(sv_request *r, sv_reply *reply) {
	(void)r;
	sv_reply_bytes(reply, 200, "application/json", (void *)(uintptr_t)sv_openapi_text, sv_openapi_size, NULL);
}

const sv_operation sv_operations_health[] = {
	{ "live", live, 1, NULL }, { "ready", ready, 1, NULL }, { "health", health, 1, NULL }, { "metrics", metrics, 1, NULL },
	{ "metricsJson", metrics_json, 1, NULL }, { "config", config, 1, NULL },
	{ "usage", sv_route_usage, 0, NULL }, { "openapi", openapi, 1, NULL }, { 0 },
};
