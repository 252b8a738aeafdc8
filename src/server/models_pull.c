/* Installing models of the catalogue: one at a time. A client names a model, never a place. */
#include "server/models_internal.h"

#include "server/config.h"
#include "server/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PULLS 32 /* remembered; those that are over make room */

typedef enum pull_state { QUEUED, RUNNING, DONE, FAILED } pull_state;

typedef struct one_pull {
	char model[256], error[SN_ERRLEN], file[256], source[16], revision[65];
	pull_state state;
	int64_t bytes, total, rate; /* rate: bytes a second */
} one_pull;

struct sv_pulls {
	sv_models *models;
	pthread_mutex_t lock;
	pthread_cond_t news;
	pthread_t thread;
	one_pull pulls[MAX_PULLS];
	int count, started, stopping;
};

/* ---- one pull ---- */

typedef struct showing {
	sv_pulls *pulls;
	one_pull *one;
} showing;

/* An sn_pull_progress; breaks the pull off when the server stops: what came so far is taken up again. */
static int show(void *payload, const sn_pull_state *state) {
	const showing *const s = payload;
	pthread_mutex_lock(&s->pulls->lock);
	s->one->bytes = state->bytes;
	s->one->total = state->total > state->bytes ? state->total : state->bytes;
	s->one->rate = (int64_t)state->rate;
	snprintf(s->one->file, sizeof s->one->file, "%s", state->file);
	const int stop = s->pulls->stopping;
	pthread_mutex_unlock(&s->pulls->lock);
	if (state->note)
		sv_log_say(s->pulls->models->server->log, SN_LOG_INFO, "model \"%s\": %s", state->model, state->note);
	return stop;
}

static int install(sv_pulls *p, one_pull *one, char *err) {
	const sv_config *const config = p->models->server->config;
	showing s = { p, one };
	const sn_pull_options options = { .home = sn_store_home(p->models->store), .index = config->package_index,
		.certificates = config->package_certificates, .progress = show, .payload = &s };
	sn_pulled *pulled;
	const sn_catalogue_entry *const entry = sn_store_find(p->models->store, one->model);
	/* a short name means the files that the catalogue knows; "org/name" would be whatever lies there now */
	const int result = sn_models_pull(&pulled, entry && entry->alias_count ? entry->aliases[0] : one->model, &options, err);
	if (result != SN_OK)
		return result;
	pthread_mutex_lock(&p->lock);
	one->bytes = one->total = pulled->bytes;
	snprintf(one->source, sizeof one->source, "%s", pulled->source);
	snprintf(one->revision, sizeof one->revision, "%s", pulled->revision);
	pthread_mutex_unlock(&p->lock);
	sn_pulled_free(&pulled);
	return SN_OK;
}

static void work_on(sv_pulls *p, one_pull *one) {
	sv_log *const log = p->models->server->log;
	char err[SN_ERRLEN];
	const int result = install(p, one, err);
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
	if (o && one->state == RUNNING) {
		json_object_set_new(o, "file", json_string(one->file));
		json_object_set_new(o, "rate", json_integer(one->rate));
	}
	if (o && *one->source)
		json_object_set_new(o, "source", json_string(one->source));
	if (o && *one->revision)
		json_object_set_new(o, "revision", json_string(one->revision));
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
	if (!entry->package_count && !sn_store_on_hub(entry))
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" is neither on the hub nor in a package: put the files of %s into the server's models/%s",
		               entry->name, entry->origin, entry->directory);
	const int installed = sn_store_resolve(m->store, entry->name, &place, NULL) == SN_OK;
	pthread_mutex_lock(&p->lock);
	one_pull *const one = place_for(p, entry->name);
	const int waits = one && strcmp(one->model, entry->name) == 0 && one->state < DONE;
	if (one && !waits) {
		*one = (one_pull){ .state = installed ? DONE : QUEUED, .bytes = installed ? entry->size : 0, .total = entry->size };
		snprintf(one->model, sizeof one->model, "%s", entry->name);
		if (!installed && !p->started)
			p->started = pthread_create(&p->thread, NULL, work, p) == 0;
		if (!installed && !p->started) {
			one->state = FAILED;
			snprintf(one->error, sizeof one->error, "no thread to install models");
		}
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
	pthread_cond_signal(&p->news);
	pthread_mutex_unlock(&p->lock);
	if (p->started)
		pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->news);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
