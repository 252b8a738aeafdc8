#include "server/serve.h"

#include "base/clock.h"
#include "base/path.h"
#include "server/api.h"
#include "server/auth.h"
#include "server/batch.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/models.h"
#include "server/sockets.h"
#include "store/blobs.h"
#include "store/cache.h"
#include "store/db.h"
#include "store/models.h"
#include "store/usage.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_RELOADS 1000 /* that change something; each keeps its configuration until the end */
#define IGNORED 512      /* bytes of a list of options */

static const sv_operation *const tables[] = {
	sv_operations_health, sv_operations_audio, sv_operations_jobs, sv_operations_tts, sv_operations_voices, sv_operations_openai_tts,
	sv_operations_openai_stt, sv_operations_stt, sv_operations_models, sv_operations_page, sv_operations_sockets, NULL,
};

/* ---- the parts, in the order in which they are opened ---- */

static int open_engine(sv_server *s, char *err) {
	static const char *const dtypes[] = { "auto", "f32", "bf16", "int8" };
	sn_engine_options options = { .threads = (int)s->config->threads, .home = *s->config->home ? s->config->home : NULL,
		                          .no_paths = !sv_models_have_paths(s->config), .max_memory = s->config->max_memory,
		                          .backend = s->config->backend };
	for (int i = 0; i < 4; i++)
		if (strcmp(dtypes[i], s->config->dtype) == 0)
			options.precision = (sn_precision)i;
	return sn_engine_open(&s->engine, &options, err);
}

static int open_store(sv_server *s, char *err) {
	sn_engine_info info;
	char path[SN_PATH_MAX];
	sn_engine_describe(s->engine, &info);
	const int result = sv_store_path(path, info.home, "sonant.db", err);
	return result == SN_OK ? sn_db_open(&s->db, path, err) : result;
}

static int open_blobs(sv_server *s, char *err) {
	sn_engine_info info;
	char path[SN_PATH_MAX];
	sn_engine_describe(s->engine, &info);
	const int result = sv_store_path(path, info.home, "blobs", err);
	return result == SN_OK ? sn_blobs_open(&s->blobs, s->db, path, err) : result;
}

static int open_caches(sv_server *s, char *err) {
	const sv_config *const c = s->config;
	const int result = sn_cache_open(&s->results, s->db, s->blobs, SN_CACHE_RESULT, c->result_cache, c->cache_memory, err);
	return result == SN_OK ? sn_cache_open(&s->audio, s->db, s->blobs, SN_CACHE_AUDIO, c->audio_cache, c->cache_memory, err) : result;
}

static int open_usage(sv_server *s, char *err) { return sn_usage_open(&s->usage, s->db, err); }
static int open_log(sv_server *s, char *err) { return sv_log_open(&s->log, s, err); }
static int open_metrics(sv_server *s, char *err) { return sv_metrics_open(&s->metrics, s, err); }
static int open_api(sv_server *s, char *err) { return sv_api_open(&s->api, sv_openapi_text, sv_openapi_size, tables, err); }
static int open_auth(sv_server *s, char *err) { return sv_auth_open(&s->auth, s, err); }
static int open_models(sv_server *s, char *err) { return sv_models_open(&s->models, s, err); }
static int open_batch(sv_server *s, char *err) { return sv_batch_open(&s->batch, s, err); }
static int open_workers(sv_server *s, char *err) { return sv_workers_open(&s->workers, s, (int)s->config->workers, err); }
static int open_http(sv_server *s, char *err) { return sv_http_open(&s->http, s, err); }
static int open_sockets(sv_server *s, char *err) { return sv_sockets_open(&s->sockets, s, err); }

static void close_log(sv_server *s) { sv_log_close(&s->log); }
static void close_metrics(sv_server *s) { sv_metrics_close(&s->metrics); }
static void close_engine(sv_server *s) { sn_engine_close(&s->engine); }
static void close_store(sv_server *s) { sn_db_close(&s->db); }
static void close_blobs(sv_server *s) { sn_blobs_close(&s->blobs); }
static void close_usage(sv_server *s) { sn_usage_close(&s->usage); }
static void close_caches(sv_server *s) {
	sn_cache_close(&s->audio);
	sn_cache_close(&s->results);
}
static void close_api(sv_server *s) { sv_api_close(&s->api); }
static void close_auth(sv_server *s) { sv_auth_close(&s->auth); }
static void close_models(sv_server *s) { sv_models_close(&s->models); }
static void close_batch(sv_server *s) { sv_batch_close(&s->batch); }
static void close_workers(sv_server *s) { sv_workers_close(&s->workers); }
static void close_http(sv_server *s) { sv_http_close(&s->http); }
static void close_sockets(sv_server *s) { sv_sockets_close(&s->sockets); }

/* Each may use those above it. Closing goes upwards; what was not opened is NULL. */
static const struct { int (*open)(sv_server *s, char *err); void (*close)(sv_server *s); } parts[] = {
	{ open_log, close_log },
	{ open_metrics, close_metrics },
	{ open_api, close_api },
	{ open_engine, close_engine },
	{ open_store, close_store },
	{ open_blobs, close_blobs },
	{ open_caches, close_caches },
	{ open_usage, close_usage },
	{ open_auth, close_auth },
	{ open_models, close_models },
	{ open_batch, close_batch },
	{ open_http, close_http },
	{ open_sockets, close_sockets },
	{ open_workers, close_workers }, /* ends before the loop that its replies need is taken down */
};
#define PARTS (int)(sizeof parts / sizeof *parts)

int sv_store_path(char path[SN_PATH_MAX], const char *home, const char *name, char *err) {
	char dir[SN_PATH_MAX];
	if (mkdir(home, 0777) != 0 && errno != EEXIST)
		return sn_fail_errno(err, "the home \"%.200s\" cannot be made", home);
	if (!sn_path_join(dir, home, "server") || !sn_path_join(path, dir, name))
		return sn_fail(err, SN_E_LIMIT, "the home \"%.200s\" is too long a path", home);
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return sn_fail_errno(err, "the server's store \"%.200s\" cannot be made", dir);
	return SN_OK;
}

int sv_store_open(sn_db **out, const sv_config *config, char *err) {
	char path[SN_PATH_MAX];
	sn_store *store;
	*out = NULL;
	int result = sn_store_open(&store, *config->home ? config->home : NULL, err);
	if (result != SN_OK)
		return result;
	result = sv_store_path(path, sn_store_home(store), "sonant.db", err);
	sn_store_close(&store);
	return result == SN_OK ? sn_db_open(out, path, err) : result;
}

/* ---- what goes on beside the loop: things that may wait ---- */

typedef struct keeper {
	sv_watch watch;              /* signals; first */
	sv_server *server;
	const sv_run *run;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t news;
	int running, reload, stop;   /* under the lock */
	sv_config *configs[MAX_RELOADS];
	int config_count;
} keeper;

/* Takes over what may change; what may not is named. */
static int reload(keeper *k, char ignored[IGNORED], char *err) {
	sv_server *const s = k->server;
	*ignored = 0;
	if (!k->run->reload)
		return SN_OK;
	if (k->config_count == MAX_RELOADS)
		return sn_fail(err, SN_E_LIMIT, "the configuration has changed %d times; the server must be started anew", MAX_RELOADS);
	sv_config *const fresh = calloc(1, sizeof *fresh), *const next = calloc(1, sizeof *next);
	int result = fresh && next ? k->run->reload(k->run->payload, fresh, err) : sn_fail(err, SN_E_MEMORY, "no memory for the configuration");
	if (result == SN_OK) {
		*next = *atomic_load(&s->config);
		sv_config_reload(next, fresh, ignored, IGNORED);
		result = sv_config_check(next, err);
	}
	free(fresh);
	if (result == SN_OK && memcmp(next, atomic_load(&s->config), sizeof *next) != 0) {
		k->configs[k->config_count++] = next;
		atomic_store(&s->config, next);
	} else {
		free(next);
	}
	return result;
}

static void reload_and_say(keeper *k) {
	char ignored[IGNORED], err[SN_ERRLEN];
	const int result = reload(k, ignored, err);
	sv_log *const log = k->server->log;
	sv_log_reopen(log);
	if (result == SN_OK) {
		sv_models_reload(k->server->models);
		sn_cache_set_limit(k->server->results, k->server->config->result_cache);
		sn_cache_set_limit(k->server->audio, k->server->config->audio_cache);
	}
	if (result != SN_OK)
		sv_log_say(log, SN_LOG_ERROR, "the configuration stays as it was: %s", err);
	else
		sv_log_say(log, SN_LOG_INFO, "the configuration was read again%s%s", *ignored ? "; these wait for another start: " : "", ignored);
}

static void *keep(void *payload) {
	keeper *const k = payload;
	pthread_mutex_lock(&k->lock);
	while (!k->stop) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		while (!k->stop && !k->reload && pthread_cond_timedwait(&k->news, &k->lock, &until) == 0)
			continue;
		const int reload_now = k->reload && !k->stop, stop = k->stop;
		k->reload = 0;
		pthread_mutex_unlock(&k->lock);
		if (reload_now)
			reload_and_say(k);
		if (!stop) {
			sv_auth_refresh(k->server->auth);
			sv_models_tick(k->server->models);
			sv_batch_tick(k->server->batch);
		}
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

static void tell_keeper(keeper *k, int *what) {
	pthread_mutex_lock(&k->lock);
	*what = 1;
	pthread_cond_signal(&k->news);
	pthread_mutex_unlock(&k->lock);
}

static int open_keeper(keeper *k, char *err) {
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&k->news, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&k->lock, NULL);
	k->running = pthread_create(&k->thread, NULL, keep, k) == 0;
	return k->running ? SN_OK : sn_fail(err, SN_E_MEMORY, "no thread for the server's upkeep");
}

static void stop_keeper(keeper *k) {
	if (!k->running)
		return;
	tell_keeper(k, &k->stop);
	pthread_join(k->thread, NULL);
	pthread_cond_destroy(&k->news);
	pthread_mutex_destroy(&k->lock);
	k->running = 0;
}

/* ---- signals ---- */

static void take_signal(sv_watch *watch, uint32_t events) {
	keeper *const k = (keeper *)(void *)watch;
	struct signalfd_siginfo info;
	(void)events;
	if (read(watch->fd, &info, sizeof info) != sizeof info)
		return;
	if (info.ssi_signo == SIGHUP)
		tell_keeper(k, &k->reload);
	else
		sv_http_stop(k->server->http);
}

static int watch_signals(keeper *k, const sigset_t *set, char *err) {
	k->watch = (sv_watch){ take_signal, signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK) };
	if (k->watch.fd < 0 || sv_http_watch(k->server->http, &k->watch, EPOLLIN) != 0)
		return sn_fail_errno(err, "signals cannot be watched");
	return SN_OK;
}

/* As many files as connections need, uploads and helpers beside them. */
static void raise_files(const sv_server *s) {
	struct rlimit limit;
	const rlim_t wanted = (rlim_t)(2 * s->config->max_connections + 4 * s->config->workers + 512);
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
		sv_log_say(s->log, SN_LOG_WARN, "%llu files may be open; max_connections needs %llu", (unsigned long long)limit.rlim_cur,
		           (unsigned long long)wanted);
}

static int serve(keeper *k, const sigset_t *set, char *err) {
	sv_server *const s = k->server;
	char url[SV_CONFIG_TEXT + 32];
	int result = sv_config_check(s->config, err);
	for (int i = 0; i < PARTS && result == SN_OK; i++)
		result = parts[i].open(s, err);
	if (result == SN_OK)
		result = sv_auth_check(s, err);
	if (result == SN_OK)
		result = watch_signals(k, set, err);
	if (result == SN_OK)
		result = open_keeper(k, err);
	if (result == SN_OK)
		result = sv_models_preload(s->models, err);
	if (result != SN_OK)
		return result;
	raise_files(s);
	const char *const host = s->config->host;
	snprintf(url, sizeof url, strchr(host, ':') ? "http%s://[%s]:%d" : "http%s://%s:%d", *s->config->tls_certificate ? "s" : "", host,
	         sv_http_port(s->http));
	k->run->ready(k->run->payload, url);
	sv_http_run(s->http);
	return SN_OK;
}

int sv_serve(const sv_run *run, char *err) {
	sv_server server = { .started = sn_now() };
	keeper *const k = calloc(1, sizeof *k);
	sigset_t set, old;
	if (!k)
		return sn_fail(err, SN_E_MEMORY, "no memory for the server");
	*k = (keeper){ .watch.fd = -1, .server = &server, .run = run };
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, &old); /* before any thread is made */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a full disk */
	atomic_store(&server.config, run->config);
	const int result = serve(k, &set, err);
	stop_keeper(k);
	for (int i = PARTS - 1; i >= 0; i--)
		parts[i].close(&server);
	if (k->watch.fd >= 0)
		close(k->watch.fd);
	for (int i = 0; i < k->config_count; i++)
		free(k->configs[i]);
	free(k);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return result;
}
