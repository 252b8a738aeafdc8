#include "server/serve.h"

#include "base/clock.h"
#include "base/path.h"
#include "server/api.h"
#include "server/auth.h"
#include "server/connection.h"
#include "server/models.h"
#include "store/db.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static const sv_operation *const tables[] = { sv_operations_health, sv_operations_stt, sv_operations_models, NULL };

static int open_store(sv_server *s, char *err) {
	sn_engine_info info;
	char dir[SN_PATH_MAX], path[SN_PATH_MAX];
	sn_engine_describe(s->engine, &info);
	if (mkdir(info.home, 0777) != 0 && errno != EEXIST)
		return sn_fail_errno(err, "the home \"%.200s\" cannot be made", info.home);
	if (!sn_path_join(dir, info.home, "server") || !sn_path_join(path, dir, "sonant.db"))
		return sn_fail(err, SN_E_LIMIT, "the home \"%.200s\" is too long a path", info.home);
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return sn_fail_errno(err, "the server's store \"%.200s\" cannot be made", dir);
	return sn_db_open(&s->db, path, err);
}

static int open_engine(sv_server *s, char *err) {
	static const char *const dtypes[] = { "auto", "f32", "bf16", "int8" };
	sn_engine_options options = { .threads = (int)s->config->threads, .home = *s->config->home ? s->config->home : NULL };
	for (int i = 0; i < 4; i++)
		if (strcmp(dtypes[i], s->config->dtype) == 0)
			options.precision = (sn_precision)i;
	return sn_engine_open(&s->engine, &options, err);
}

static int open_parts(sv_server *s, char *err) {
	int result = sv_config_check(s->config, err);
	if (result == SN_OK)
		result = sv_api_open(&s->api, sv_openapi_text, sv_openapi_size, tables, err);
	if (result == SN_OK)
		result = open_engine(s, err);
	if (result == SN_OK)
		result = open_store(s, err);
	if (result == SN_OK)
		result = sv_auth_open(&s->auth, s, err);
	if (result == SN_OK)
		result = sv_models_open(&s->models, s, err);
	if (result == SN_OK)
		result = sv_models_preload(s->models, err);
	if (result == SN_OK)
		result = sv_workers_open(&s->workers, s, (int)s->config->workers, err);
	return result == SN_OK ? sv_http_open(&s->http, s, err) : result;
}

static void close_parts(sv_server *s) {
	sv_workers_close(&s->workers);
	sv_http_close(&s->http);
	sv_models_close(&s->models);
	sv_auth_close(&s->auth);
	sn_db_close(&s->db);
	sn_engine_close(&s->engine);
	sv_api_close(&s->api);
}

typedef struct signals {
	sv_watch watch;
	sv_server *server;
	const sv_run *run;
} signals;

static void take_signal(sv_watch *watch, uint32_t events) {
	signals *const s = (signals *)(void *)watch;
	struct signalfd_siginfo info;
	(void)events;
	if (read(watch->fd, &info, sizeof info) != sizeof info)
		return;
	if (info.ssi_signo != SIGHUP)
		sv_http_stop(s->server->http);
}

int sv_serve(const sv_run *run, char *err) {
	sv_server server = { .started = sn_now() };
	signals caught = { .server = &server, .run = run };
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, &old); /* before any thread is made */
	signal(SIGPIPE, SIG_IGN);
	atomic_store(&server.config, run->config);
	int result = open_parts(&server, err);
	caught.watch = (sv_watch){ take_signal, result == SN_OK ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1 };
	if (result == SN_OK && (caught.watch.fd < 0 || sv_http_watch(server.http, &caught.watch, 1 /* EPOLLIN */) != 0))
		result = sn_fail_errno(err, "signals cannot be watched");
	if (result == SN_OK) {
		char url[SV_CONFIG_TEXT + 32];
		snprintf(url, sizeof url, "http%s://%s:%d", *run->config->tls_certificate ? "s" : "", run->config->host, sv_http_port(server.http));
		run->ready(run->payload, url);
		sv_http_run(server.http);
	}
	close_parts(&server);
	if (caught.watch.fd >= 0)
		close(caught.watch.fd);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return result;
}
