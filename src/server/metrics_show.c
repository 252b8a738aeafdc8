/* Everything that is counted, as Prometheus text or JSON: each family is told once, to either. */
#include "server/metrics_data.h"

#include "base/buf.h"
#include "base/clock.h"
#include "server/batch.h"
#include "server/config.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/models.h"
#include "server/sockets.h"
#include "store/cache.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAX_TEXT ((size_t)16 << 20)
#define LABELS 3

typedef struct label { const char *name, *value; } label;

/* One of the two is written: text, or families (JSON). */
typedef struct show {
	sn_buf text;
	json_t *families, *samples;  /* NULL: text */
	const char *name;
} show;

/* ---- families and samples ---- */

static void family(show *s, const char *name, const char *type, const char *help) {
	s->name = name;
	if (!s->families) {
		sn_buf_printf(&s->text, "# HELP sonant_%s %s\n# TYPE sonant_%s %s\n", name, help, name, type);
		return;
	}
	char whole[128];
	snprintf(whole, sizeof whole, "sonant_%s", name);
	s->samples = json_array();
	json_object_set_new(s->families, whole, json_pack("{s:s, s:s, s:O}", "type", type, "help", help, "samples", s->samples));
	json_decref(s->samples); /* the family holds it */
}

static void put_labels(show *s, const label *labels, const char *le) {
	int count = 0;
	for (int i = 0; i < LABELS && labels[i].name; i++) {
		sn_buf_printf(&s->text, "%s%s=\"", count++ ? "," : "{", labels[i].name);
		for (const char *c = labels[i].value; *c; c++) {
			if (*c == '"' || *c == '\\')
				sn_buf_text(&s->text, "\\");
			sn_buf_add(&s->text, (unsigned char)*c < 0x20 ? " " : c, 1);
		}
		sn_buf_text(&s->text, "\"");
	}
	if (le)
		sn_buf_printf(&s->text, "%sle=\"%s\"", count++ ? "," : "{", le);
	if (count)
		sn_buf_text(&s->text, "}");
}

static json_t *labels_json(const label *labels) {
	json_t *const o = json_object();
	for (int i = 0; i < LABELS && labels[i].name; i++)
		json_object_set_new(o, labels[i].name, json_string(labels[i].value));
	return o;
}

static void sample(show *s, const label *labels, double value) {
	if (s->families) {
		json_array_append_new(s->samples, json_pack("{s:o, s:f}", "labels", labels_json(labels), "value", value));
		return;
	}
	sn_buf_printf(&s->text, "sonant_%s", s->name);
	put_labels(s, labels, NULL);
	sn_buf_printf(&s->text, " %.15g\n", value);
}

static void distribution_json(show *s, const label *labels, const sv_distribution *d, sv_scale scale) {
	static const struct { const char *name; double share; } quantiles[] = { { "p50", 0.5 }, { "p95", 0.95 }, { "p99", 0.99 } };
	json_t *const buckets = json_array();
	int64_t sum = 0;
	for (int i = 0; i < sv_scale_buckets[scale].count; i++)
		json_array_append_new(buckets, json_pack("[f, I]", sv_scale_buckets[scale].most[i], (json_int_t)(sum += d->buckets[i])));
	json_t *const o = json_pack("{s:o, s:I, s:f, s:o}", "labels", labels_json(labels), "count", (json_int_t)d->count, "sum", d->sum, "buckets",
	                            buckets);
	for (int i = 0; i < 3; i++)
		json_object_set_new(o, quantiles[i].name, json_real(sv_distribution_quantile(d, scale, quantiles[i].share)));
	json_array_append_new(s->samples, o);
}

static void distribution(show *s, const label *labels, const sv_distribution *d, sv_scale scale) {
	int64_t sum = 0;
	char le[32];
	if (s->families) {
		distribution_json(s, labels, d, scale);
		return;
	}
	for (int i = 0; i <= sv_scale_buckets[scale].count; i++) {
		sum += d->buckets[i];
		if (i < sv_scale_buckets[scale].count)
			snprintf(le, sizeof le, "%.10g", sv_scale_buckets[scale].most[i]);
		sn_buf_printf(&s->text, "sonant_%s_bucket", s->name);
		put_labels(s, labels, i < sv_scale_buckets[scale].count ? le : "+Inf");
		sn_buf_printf(&s->text, " %lld\n", (long long)sum);
	}
	sn_buf_printf(&s->text, "sonant_%s_sum", s->name);
	put_labels(s, labels, NULL);
	sn_buf_printf(&s->text, " %.15g\nsonant_%s_count", d->sum, s->name);
	put_labels(s, labels, NULL);
	sn_buf_printf(&s->text, " %lld\n", (long long)d->count);
}

static const label none[LABELS];

static void one(show *s, const char *name, const char *type, const char *help, double value) {
	family(s, name, type, help);
	sample(s, none, value);
}

/* ---- what is counted here ---- */

static void set_route(label labels[LABELS], const sv_route *route) {
	labels[0] = (label){ "method", route ? route->method : "other" };
	labels[1] = (label){ "route", route ? route->path : "other" };
}

static void show_routes(show *s, const sv_metrics *m) {
	char status[16];
	family(s, "requests_total", "counter", "requests by route and status; 499: the client went away");
	for (int i = 0; i < m->route_count; i++)
		for (int k = 0; k < m->routes[i].status_count; k++) {
			label labels[LABELS] = { 0 };
			set_route(labels, m->routes[i].route);
			snprintf(status, sizeof status, "%d", m->routes[i].statuses[k].status);
			labels[2] = (label){ "status", status };
			sample(s, labels, (double)m->routes[i].statuses[k].count);
		}
	family(s, "request_seconds", "histogram", "from a request's arrival to its end, by route");
	for (int i = 0; i < m->route_count; i++)
		if (m->routes[i].time.count) {
			label labels[LABELS] = { 0 };
			set_route(labels, m->routes[i].route);
			distribution(s, labels, &m->routes[i].time, SV_SCALE_SECONDS);
		}
}

#define SV_X(id, name, help) { name, help },
static const struct { const char *name, *help; } counters[] = { SV_COUNTERS(SV_X) };
#undef SV_X
#define SV_X(id, scale, name, help) { name, help },
static const struct { const char *name, *help; } histograms[] = { SV_HISTOGRAMS(SV_X) };
#undef SV_X

static void show_counts(show *s, const sv_metrics *m) {
	for (int i = 0; i < SV_COUNTER_COUNT; i++)
		one(s, counters[i].name, "counter", counters[i].help, m->counters[i]);
	for (int i = 0; i < SV_HISTOGRAM_COUNT; i++) {
		family(s, histograms[i].name, "histogram", histograms[i].help);
		distribution(s, none, &m->histograms[i], sv_histogram_scale((sv_histogram)i));
	}
}

/* ---- what other parts tell ---- */

static const char *text_of(const json_t *object, const char *key) {
	const char *const text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static void show_http(show *s, const sv_server *server) {
	sv_http_facts f = { 0 };
	if (server->http)
		sv_http_describe(server->http, &f);
	one(s, "connections", "gauge", "open connections, WebSockets among them", f.connections);
	one(s, "connections_total", "counter", "connections that were accepted", (double)f.accepted);
	const struct { const char *stage; int count; } stages[] = {
		{ "receiving", f.receiving }, { "working", f.working }, { "replying", f.replying },
	};
	family(s, "requests_open", "gauge", "requests in hand by stage");
	for (int i = 0; i < 3; i++)
		sample(s, (label[LABELS]){ { "stage", stages[i].stage } }, stages[i].count);
	one(s, "queue_waiting", "gauge", "requests that wait for a worker", server->workers ? sv_workers_waiting(server->workers) : 0);
	one(s, "queue_limit", "gauge", "requests that may wait", (double)server->config->max_queue);
	one(s, "workers", "gauge", "requests that are worked on at once at most", (double)server->config->workers);
	one(s, "log_dropped_total", "counter", "lines that the log had no room for", (double)sv_log_dropped(server->log));
}

static void show_models(show *s, const sv_server *server) {
	static const char *const states[] = { "loading", "ready", "failed" };
	json_t *const models = server->models ? sv_models_states(server->models) : NULL;
	const struct { const char *name, *help, *field; } facts[] = {
		{ "model_memory_bytes", "memory of a loaded model", "memory" },
		{ "model_idle_seconds", "since a loaded model was used last", "idle" },
		{ "model_sessions", "requests and sessions that use a model now", "sessions" },
	};
	size_t i;
	json_t *one;
	family(s, "model_state", "gauge", "1 for the state that a model is in");
	json_array_foreach(models, i, one)
		for (int k = 0; k < 3; k++)
			sample(s, (label[LABELS]){ { "model", text_of(one, "name") }, { "task", text_of(one, "task") }, { "state", states[k] } },
			       strcmp(text_of(one, "state"), states[k]) == 0);
	for (size_t k = 0; k < sizeof facts / sizeof *facts; k++) {
		family(s, facts[k].name, "gauge", facts[k].help);
		json_array_foreach(models, i, one)
			if (json_object_get(one, facts[k].field))
				sample(s, (label[LABELS]){ { "model", text_of(one, "name") } }, json_number_value(json_object_get(one, facts[k].field)));
	}
	json_decref(models);
}

static void show_engine(show *s, const sn_engine_stats *e) {
	static const char *const classes[] = { [SN_PRIORITY_INTERACTIVE] = "interactive", [SN_PRIORITY_REALTIME] = "realtime", [SN_PRIORITY_BATCH] = "batch" };
	for (int part = 0; part < 4; part++) {
		static const struct { const char *name, *type, *help; } told[] = {
			{ "engine_steps_total", "counter", "steps of inference by stage; each computes a batch" },
			{ "engine_rows_total", "counter", "rows of all those batches" },
			{ "engine_seconds_total", "counter", "time that they took" },
			{ "engine_rows_per_step", "gauge", "mean size of a batch since the start" },
		};
		family(s, told[part].name, told[part].type, told[part].help);
		for (int i = 0; i < SN_STAGES; i++) {
			const sn_stage_stats *const g = &e->stages[i];
			const double mean = g->steps ? (double)g->rows / (double)g->steps : 0;
			if (g->name)
				sample(s, (label[LABELS]){ { "stage", g->name } }, part == 0 ? (double)g->steps : part == 1 ? (double)g->rows : part == 2 ? g->seconds : mean);
		}
	}
	family(s, "engine_sessions", "gauge", "open sessions by class");
	for (int i = 0; i < 3; i++)
		sample(s, (label[LABELS]){ { "class", classes[i] } }, e->sessions[i]);
	family(s, "engine_ready", "gauge", "of those, that have something to compute");
	for (int i = 0; i < 3; i++)
		sample(s, (label[LABELS]){ { "class", classes[i] } }, e->ready[i]);
	one(s, "engine_busy_seconds_total", "counter", "time in which something was computed", e->busy);
	one(s, "engine_queued_seconds_total", "counter", "time that sessions with something to compute waited, all together", e->queued);
}

static void show_sockets(show *s, const sv_server *server) {
	sv_socket_facts f = { 0 };
	if (server->sockets)
		sv_sockets_describe(server->sockets, &f);
	family(s, "sockets", "gauge", "open WebSocket sessions");
	sample(s, (label[LABELS]){ { "kind", "transcribe" } }, f.transcribe);
	sample(s, (label[LABELS]){ { "kind", "speak" } }, f.speak);
	sample(s, (label[LABELS]){ { "kind", "realtime" } }, f.realtime);
	family(s, "socket_bytes_total", "counter", "bytes of WebSockets' messages");
	sample(s, (label[LABELS]){ { "direction", "in" } }, (double)f.bytes_in);
	sample(s, (label[LABELS]){ { "direction", "out" } }, (double)f.bytes_out);
}

static void show_jobs(show *s, const sv_server *server) {
	sv_batch_facts f = { 0 };
	if (server->batch)
		sv_batch_describe(server->batch, &f);
	family(s, "job_items", "gauge", "items of batch jobs that are not done");
	sample(s, (label[LABELS]){ { "state", "queued" } }, (double)f.queued);
	sample(s, (label[LABELS]){ { "state", "running" } }, (double)f.running);
	family(s, "job_items_total", "counter", "items of batch jobs that ended, since the start");
	sample(s, (label[LABELS]){ { "result", "done" } }, (double)f.done);
	sample(s, (label[LABELS]){ { "result", "failed" } }, (double)f.failed);
	one(s, "job_disk_full", "gauge", "1: results of jobs wait for room on the disk", f.full);
}

static void show_disk(show *s, const sv_server *server) {
	sn_engine_info info;
	struct statvfs disk = { 0 };
	sn_engine_describe(server->engine, &info);
	const int known = statvfs(info.home, &disk) == 0;
	one(s, "disk_free_bytes", "gauge", "room where models and the store lie", known ? (double)disk.f_bavail * (double)disk.f_frsize : 0);
	one(s, "disk_size_bytes", "gauge", "of that file system", known ? (double)disk.f_blocks * (double)disk.f_frsize : 0);
}

static void show_caches(show *s, const sv_server *server, const sn_engine_stats *e) {
	struct { const char *name; sn_cache *cache; sn_cache_facts facts; } caches[] = { { "result", server->results, { 0 } }, { "audio", server->audio, { 0 } } };
	const struct { const char *name, *type, *help; size_t at; } told[] = {
		{ "cache_hits_total", "counter", "look-ups that found an entry", offsetof(sn_cache_facts, hits) },
		{ "cache_misses_total", "counter", "look-ups that found none", offsetof(sn_cache_facts, misses) },
		{ "cache_evicted_total", "counter", "entries that made room for others", offsetof(sn_cache_facts, evicted) },
		{ "cache_failures_total", "counter", "entries that could not be written or read", offsetof(sn_cache_facts, failed) },
		{ "cache_entries", "gauge", "entries", offsetof(sn_cache_facts, entries) },
		{ "cache_bytes", "gauge", "bytes on disk", offsetof(sn_cache_facts, bytes) },
		{ "cache_memory_bytes", "gauge", "of those, bytes in memory, too", offsetof(sn_cache_facts, memory) },
	};
	for (int i = 0; i < 2; i++)
		if (caches[i].cache)
			sn_cache_describe(caches[i].cache, &caches[i].facts);
	for (size_t k = 0; k < sizeof told / sizeof *told; k++) {
		family(s, told[k].name, told[k].type, told[k].help);
		for (int i = 0; i < 2; i++)
			sample(s, (label[LABELS]){ { "cache", caches[i].name } },
			       (double)*(const int64_t *)(const void *)((const char *)&caches[i].facts + told[k].at));
		if (k < 2) /* of encoded windows, inside the engine */
			sample(s, (label[LABELS]){ { "cache", "feature" } }, (double)(k ? e->feature_misses : e->feature_hits));
	}
}

int64_t sv_resident_bytes(void) {
	FILE *const file = fopen("/proc/self/statm", "re");
	long long total = 0, resident = 0;
	const int count = file ? fscanf(file, "%lld %lld", &total, &resident) : 0;
	if (file)
		fclose(file);
	return count == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

static int open_files(void) {
	DIR *const dir = opendir("/proc/self/fd");
	int count = -3; /* ".", "..", and its own */
	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count > 0 ? count : 0;
}

static double seconds_of(struct timeval t) { return (double)t.tv_sec + 1e-6 * (double)t.tv_usec; }

static void show_process(show *s, const sv_metrics *m) {
	struct rusage usage = { 0 };
	const struct mallinfo2 heap = mallinfo2();
	char why[SN_ERRLEN];
	getrusage(RUSAGE_SELF, &usage);
	family(s, "build_info", "gauge", "1, labelled with the version");
	sample(s, (label[LABELS]){ { "version", sn_version() } }, 1);
	one(s, "process_start_time_seconds", "gauge", "when the server was started, seconds since 1970", m->started);
	one(s, "uptime_seconds", "gauge", "since the start", sn_now() - m->server->started);
	one(s, "process_cpu_seconds_total", "counter", "time of CPUs", seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
	one(s, "process_resident_bytes", "gauge", "memory in use", (double)sv_resident_bytes());
	one(s, "heap_bytes", "gauge", "memory that is allocated", (double)heap.uordblks + (double)heap.hblkhd);
	one(s, "heap_free_bytes", "gauge", "memory that was freed and is kept for later", (double)heap.fordblks);
	one(s, "process_open_fds", "gauge", "open files and sockets", open_files());
	one(s, "ready", "gauge", "1: the models that are to be ready are", m->server->models ? sv_models_ready(m->server->models, why) : 0);
	one(s, "stopping", "gauge", "1: the server drains", atomic_load(&m->server->stopping));
}

static void show_all(show *s, sv_metrics *m) {
	sv_metrics *const copy = malloc(sizeof *copy); /* so that nobody waits for the writing */
	if (!copy)
		return;
	pthread_mutex_lock(&m->lock);
	memcpy(copy, m, sizeof *copy);
	pthread_mutex_unlock(&m->lock);
	show_routes(s, copy);
	show_counts(s, copy);
	free(copy);
	show_http(s, m->server);
	if (m->server->engine) {
		sn_engine_stats stats;
		sn_engine_measure(m->server->engine, &stats);
		show_engine(s, &stats);
		show_models(s, m->server);
		show_caches(s, m->server, &stats);
		show_sockets(s, m->server);
		show_jobs(s, m->server);
		show_disk(s, m->server);
	}
	show_process(s, m);
}

char *sv_metrics_text(sv_metrics *m, size_t *size) {
	show s = { 0 };
	*size = 0;
	if (!m)
		return NULL;
	sn_buf_init(&s.text, MAX_TEXT);
	show_all(&s, m);
	char *const text = sn_buf_take(&s.text, size);
	sn_buf_free(&s.text);
	return text;
}

json_t *sv_metrics_json(sv_metrics *m) {
	show s = { .families = json_object() };
	if (!m || !s.families)
		return NULL;
	show_all(&s, m);
	return json_pack("{s:f, s:f, s:o}", "started", m->started, "uptime", sn_now() - m->server->started, "metrics", s.families);
}
