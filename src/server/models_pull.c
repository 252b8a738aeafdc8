/* Installing models of the catalogue: one at a time, by the helper sonant-pull. A client names a model, never a place. */
#include "server/models_internal.h"

#include "base/clock.h"
#include "base/helper_path.h"
#include "server/config.h"
#include "server/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PULLS 32 /* remembered; those that are over make room */

extern char **environ;

typedef enum pull_state { QUEUED, RUNNING, DONE, FAILED } pull_state;

typedef struct one_pull {
	char model[256], error[SN_ERRLEN];
	pull_state state;
	int64_t bytes, total;
} one_pull;

struct sv_pulls {
	sv_models *models;
	pthread_mutex_t lock;
	pthread_cond_t news;
	pthread_t thread;
	one_pull pulls[MAX_PULLS];
	int count, started, stopping;
	pid_t child;                 /* 0: none */
};

/* ---- the helper ---- */

static int start_helper(sv_pulls *p, const char *model, int *from, char *err) {
	char path[SN_STORE_PATH];
	int ends[2];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	const sv_config *const config = p->models->server->config;
	int result = sn_helper_path("sonant-pull", path, sizeof path, err);
	if (result != SN_OK)
		return result;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return sn_fail_errno(err, "no pipe for sonant-pull");
	char *const arguments[] = { path, (char *)(uintptr_t)sn_store_home(p->models->store), (char *)(uintptr_t)config->package_index,
		(char *)(uintptr_t)config->package_certificates, (char *)(uintptr_t)model, NULL };
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	pthread_mutex_lock(&p->lock);
	const int code = p->stopping ? ECANCELED : posix_spawn(&p->child, path, &actions, &attributes, arguments, environ);
	if (code != 0)
		p->child = 0;
	pthread_mutex_unlock(&p->lock);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	close(ends[1]);
	if (code == 0)
		*from = ends[0];
	else
		close(ends[0]);
	return code == 0 ? SN_OK : sn_fail(err, SN_E_DEPENDENCY, "sonant-pull cannot be started: %s", strerror(code));
}

/* Lines of the helper until it ends. */
static int follow(sv_pulls *p, one_pull *one, int from, char *err) {
	char line[2 * SN_ERRLEN];
	long long bytes, total;
	int status = 0;
	FILE *const lines = fdopen(from, "r");
	snprintf(err, SN_ERRLEN, "sonant-pull was broken off");
	while (lines && fgets(line, sizeof line, lines)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "error: ", 7) == 0) {
			snprintf(err, SN_ERRLEN, "%.*s", SN_ERRLEN - 1, line + 7);
		} else if (sscanf(line, "%lld %lld", &bytes, &total) == 2) {
			pthread_mutex_lock(&p->lock);
			one->bytes = bytes;
			one->total = total > bytes ? total : bytes;
			pthread_mutex_unlock(&p->lock);
		}
	}
	if (lines)
		fclose(lines);
	else
		close(from);
	while (waitpid(p->child, &status, 0) < 0 && errno == EINTR)
		continue;
	pthread_mutex_lock(&p->lock);
	p->child = 0;
	pthread_mutex_unlock(&p->lock);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? SN_OK : SN_E_IO;
}

static void work_on(sv_pulls *p, one_pull *one) {
	sv_log *const log = p->models->server->log;
	char err[SN_ERRLEN];
	int from = -1;
	int result = start_helper(p, one->model, &from, err);
	if (result == SN_OK)
		result = follow(p, one, from, err);
	if (result == SN_OK)
		sv_log_say(log, SN_LOG_INFO, "the model \"%s\" was installed", one->model);
	else
		sv_log_say(log, SN_LOG_WARN, "the model \"%s\" was not installed: %s", one->model, err);
	pthread_mutex_lock(&p->lock);
	one->state = result == SN_OK ? DONE : FAILED;
	snprintf(one->error, sizeof one->error, "%s", result == SN_OK ? "" : err);
	pthread_mutex_unlock(&p->lock);
}

static void *work(void *payload) {
	sv_pulls *const p = payload;
	pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		one_pull *next = NULL;
		for (int i = 0; i < p->count && !next; i++)
			next = p->pulls[i].state == QUEUED ? &p->pulls[i] : NULL;
		if (!next) {
			pthread_cond_wait(&p->news, &p->lock);
			continue;
		}
		next->state = RUNNING;
		pthread_mutex_unlock(&p->lock);
		work_on(p, next);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- asking ---- */

static json_t *tell(const one_pull *one) {
	static const char *const states[] = { "queued", "running", "done", "failed" };
	json_t *const o = json_pack("{s:s, s:s, s:I, s:I}", "model", one->model, "state", states[one->state], "bytes", (json_int_t)one->bytes, "total",
	                            (json_int_t)one->total);
	if (o && one->state == FAILED)
		json_object_set_new(o, "error", json_string(one->error));
	return o;
}

/* Lock held: the model's own place, a free one, or that of one that is over and whose place the worker does not hold. NULL: full. */
static one_pull *place_for(sv_pulls *p, const char *name) {
	one_pull *over = NULL;
	for (int i = 0; i < p->count; i++) {
		if (strcmp(p->pulls[i].model, name) == 0)
			return &p->pulls[i];
		over = !over && p->pulls[i].state >= DONE ? &p->pulls[i] : over;
	}
	return p->count < MAX_PULLS ? &p->pulls[p->count++] : over;
}

int sv_models_pull(sv_models *m, const char *name, json_t **out, char *err) {
	const sn_catalogue_entry *const entry = sn_store_find(m->store, name);
	sv_pulls *const p = m->pulls;
	sn_model_place place;
	*out = NULL;
	if (!entry)
		return sn_fail(err, SN_E_NOT_FOUND, "the catalogue has no model \"%.80s\"", name);
	if (!entry->package_count)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" is in no package: put the files of %s into the server's models/%s", entry->name,
		               entry->origin, entry->directory);
	const int installed = sn_store_resolve(m->store, entry->name, &place, NULL) == SN_OK;
	pthread_mutex_lock(&p->lock);
	one_pull *const one = place_for(p, entry->name);
	const int waits = one && strcmp(one->model, entry->name) == 0 && one->state < DONE;
	if (one && !waits) {
		*one = (one_pull){ .state = installed ? DONE : QUEUED, .bytes = installed ? entry->size : 0, .total = entry->size };
		snprintf(one->model, sizeof one->model, "%s", entry->name);
		if (!installed && !p->started)
			p->started = pthread_create(&p->thread, NULL, work, p) == 0;
		pthread_cond_signal(&p->news);
	}
	*out = one ? tell(one) : NULL;
	pthread_mutex_unlock(&p->lock);
	return *out ? SN_OK : sn_fail(err, SN_E_BUSY, "%d models wait to be installed already", MAX_PULLS);
}

json_t *sv_models_pulls(sv_models *m) {
	json_t *const out = json_array();
	pthread_mutex_lock(&m->pulls->lock);
	for (int i = 0; i < m->pulls->count; i++)
		json_array_append_new(out, tell(&m->pulls->pulls[i]));
	pthread_mutex_unlock(&m->pulls->lock);
	return out;
}

/* ---- opening ---- */

int sv_pulls_open(sv_pulls **out, sv_models *models, char *err) {
	sv_pulls *const p = *out = calloc(1, sizeof *p);
	if (!p)
		return sn_fail(err, SN_E_MEMORY, "no memory for the models");
	p->models = models;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->news, NULL);
	return SN_OK;
}

void sv_pulls_close(sv_pulls **held) {
	sv_pulls *const p = *held;
	*held = NULL;
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = 1;
	if (p->child)
		kill(p->child, SIGTERM); /* what came so far is taken up again */
	pthread_cond_signal(&p->news);
	pthread_mutex_unlock(&p->lock);
	if (p->started)
		pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->news);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
