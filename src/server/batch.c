#include "server/batch.h"

#include "base/clock.h"
#include "base/json.h"
#include "server/api.h"
#include "server/config.h"
#include "server/jobs.h"
#include "server/log.h"
#include "server/metrics.h"
#include "store/blobs.h"
#include "store/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAUSE 2.0       /* seconds before something that failed for want of room or turn is tried again */
#define TRIES 3         /* of what is hardly going to pass */
#define RECENT SV_BATCH_MOST
#define UPKEEP 60.0     /* seconds between looks for what is kept no longer */

typedef struct slot {
	sv_batch *batch;
	pthread_t thread;
	pthread_mutex_t lock;   /* the request's */
	int index, busy;
	sv_claim claim;
	sv_upload upload;
	sv_request request;
} slot;

struct sv_batch {
	sv_server *server;
	pthread_mutex_t lock;
	pthread_cond_t news;
	atomic_int stopping;
	int count;
	/* for describe, which must not wait: the lock is held while the database is asked */
	atomic_int full;        /* slots whose results wait for room */
	atomic_llong queued, running, done, failed;
	int64_t recent[RECENT], claims; /* keys of the last claims, and how many there were */
	double looked;          /* when upkeep was done */
	const sv_route *routes[2];
	slot *slots[SV_BATCH_MOST];
};

/* ---- one item ---- */

static int open_input(sv_server *s, slot *t, char *err) {
	int64_t size = 0;
	t->upload = (sv_upload){ .field = "file", .file_name = t->claim.name, .fd = -1 };
	if (!t->claim.params)
		return sn_fail(err, SN_E_INTERNAL, "the item's options cannot be read");
	if (t->claim.attempts > SV_JOB_ATTEMPTS)
		return sn_fail(err, SN_E_INTERNAL, "the server ended %d times while it worked on this item; it is given up", SV_JOB_ATTEMPTS);
	if (!t->claim.has_input)
		return SN_OK;
	t->upload.fd = sn_blobs_open_blob(s->blobs, t->claim.input, &size, err);
	t->upload.size = (size_t)size;
	memcpy(t->upload.hash, t->claim.input, sizeof t->upload.hash);
	return t->upload.fd < 0 ? SN_E_IO : SN_OK;
}

static void begin_request(sv_batch *b, slot *t) {
	sv_request *const r = &t->request;
	*r = (sv_request){ .server = b->server, .route = b->routes[t->claim.kind], .key = t->claim.key, .params = t->claim.params,
		.uploads = &t->upload, .upload_count = t->claim.has_input, .accept = "application/json", .lock = &t->lock,
		.priority = SN_PRIORITY_BATCH };
	snprintf(r->id, sizeof r->id, "%s", t->claim.job);
	r->received = r->queued = r->started = sn_now();
}

/* What was made of an item. */
typedef struct outcome {
	int code;
	char err[SN_ERRLEN];
	char *text;             /* JSON of the result, or the problem */
	void *audio;
	size_t size;
	const char *type;
} outcome;

static void free_outcome(outcome *o) {
	free(o->text);
	free(o->audio);
	*o = (outcome){ 0 };
}

static void compute(sv_server *s, slot *t, outcome *o) {
	sv_request *const r = &t->request;
	json_t *result = NULL;
	o->code = open_input(s, t, o->err);
	if (o->code == SN_OK && t->claim.kind == SV_JOB_SYNTHESIZE)
		o->code = sv_synthesize_item(r, &result, &o->audio, &o->size, &o->type, o->err);
	else if (o->code == SN_OK)
		o->code = sv_transcribe_item(r, &result, o->err);
	sv_request_watch(r, NULL, NULL);
	if (t->upload.fd >= 0)
		close(t->upload.fd);
	if (o->code != SN_OK)
		result = json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title", sn_result_text(o->code), "status",
		                   sn_result_http(o->code), "detail", o->err, "code", sn_result_name(o->code));
	json_object_set_new(result, "request_id", json_string(r->id));
	o->text = result ? sn_json_dumps(result, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(result);
}

/* Waits a while. 0: the item is not wanted any more. */
static int pause_item(sv_batch *b, slot *t, int full) {
	const double end = sn_now() + PAUSE;
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)PAUSE;
	pthread_mutex_lock(&b->lock);
	b->full += full;
	while (!atomic_load(&t->request.gone) && sn_now() < end)
		pthread_cond_timedwait(&b->news, &b->lock, &until);
	b->full -= full;
	pthread_mutex_unlock(&b->lock);
	return !atomic_load(&t->request.gone);
}

/* Whether it is worth another try: a want of room or turn passes; of other things one may be sure after some tries. */
static int passes(int code, int tries) {
	return code == SN_E_BUSY || code == SN_E_NO_SPACE || ((code == SN_E_MEMORY || code == SN_E_CANCELLED) && tries < TRIES);
}

/* Stores the outcome; where there is no room it is held until there is. 0: the server ends before that. */
static int store(sv_batch *b, slot *t, const outcome *o, int *kept) {
	char err[SN_ERRLEN];
	const int done = o->code == SN_OK;
	for (int said = 0;; said = 1) {
		const int result = sv_jobs_finish(b->server, &t->claim, done ? "done" : "failed", o->text, o->audio, done ? o->size : 0, o->type,
		                                  kept, err);
		if (result == SN_OK)
			return 1;
		if (!said)
			sv_log_say(b->server->log, SN_LOG_WARN, "job %s, item %lld: its end waits to be stored: %s", t->claim.job, (long long)t->claim.at, err);
		if (!pause_item(b, t, 1))
			return 0;
	}
}

static void count_end(sv_batch *b, slot *t, int failed) {
	sv_metrics_work(b->server->metrics, &t->claim.key, &t->request.facts, 0, failed);
	atomic_fetch_add(failed ? &b->failed : &b->done, 1);
}

static void run_item(sv_batch *b, slot *t) {
	outcome o = { 0 };
	int kept = 0, tries = 0;
	do {
		free_outcome(&o);
		compute(b->server, t, &o);
	} while (!atomic_load(&t->request.gone) && (passes(o.code, ++tries) || !o.text) && pause_item(b, t, o.code == SN_E_NO_SPACE));
	if (!atomic_load(&t->request.gone)) {
		if (store(b, t, &o, &kept) && kept)
			count_end(b, t, o.code != SN_OK);
	} else if (!b->stopping) {
		sv_jobs_finish(b->server, &t->claim, "failed", NULL, NULL, 0, NULL, &kept, NULL); /* its job was cancelled */
	}
	free_outcome(&o);
}

/* ---- threads ---- */

/* Lock held. SN_END: nothing to do. */
static int claim(sv_batch *b, slot *t, char *err) {
	int64_t served[2 * SV_BATCH_MOST];
	int count = 0;
	if (t->index >= b->server->config->batch_sessions || atomic_load(&b->server->stopping))
		return SN_END;
	for (int i = 0; i < b->count; i++)
		if (b->slots[i]->busy)
			served[count++] = b->slots[i]->claim.key.id;
	for (int i = 0; i < RECENT && i < b->claims; i++)
		served[count++] = b->recent[i];
	const int result = sv_jobs_claim(b->server, served, count, &t->claim, err);
	if (result != SN_OK)
		return result;
	b->recent[b->claims++ % RECENT] = t->claim.key.id;
	t->busy = 1;
	b->running++;
	if (b->queued > 0)
		b->queued--;
	begin_request(b, t);
	return SN_OK;
}

static void *work(void *payload) {
	slot *const t = payload;
	sv_batch *const b = t->batch;
	char err[SN_ERRLEN];
	pthread_mutex_lock(&b->lock);
	while (!b->stopping) {
		const int result = claim(b, t, err);
		if (result != SN_OK) {
			struct timespec until;
			clock_gettime(CLOCK_MONOTONIC, &until);
			until.tv_sec += (time_t)PAUSE;
			b->full += result == SN_E_NO_SPACE;
			if (result == SN_END && b->queued == 0)
				pthread_cond_wait(&b->news, &b->lock);
			else
				pthread_cond_timedwait(&b->news, &b->lock, &until);
			b->full -= result == SN_E_NO_SPACE;
			continue;
		}
		pthread_mutex_unlock(&b->lock);
		run_item(b, t);
		pthread_mutex_lock(&b->lock);
		t->busy = 0;
		b->running--;
		sv_claim_free(&t->claim);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static int count_waiting(sv_batch *b, char *err) {
	int64_t count = 0;
	const int result = sv_jobs_waiting(b->server, &count, err);
	if (result == SN_OK)
		b->queued = count;
	return result;
}

/* Slots are made as the configuration asks for them, and kept. */
static int add_slots(sv_batch *b, char *err) {
	const int wanted = (int)b->server->config->batch_sessions;
	while (b->count < wanted && b->count < SV_BATCH_MOST) {
		slot *const t = calloc(1, sizeof *t);
		if (!t)
			return sn_fail(err, SN_E_MEMORY, "no memory for the jobs");
		t->batch = b;
		t->index = b->count;
		pthread_mutex_init(&t->lock, NULL);
		pthread_mutex_lock(&b->lock);
		const int made = pthread_create(&t->thread, NULL, work, t) == 0;
		if (made)
			b->slots[b->count++] = t;
		pthread_mutex_unlock(&b->lock);
		if (made)
			continue;
		pthread_mutex_destroy(&t->lock);
		free(t);
		return sn_fail(err, SN_E_MEMORY, "no thread for the jobs");
	}
	return SN_OK;
}

int sv_batch_open(sv_batch **out, sv_server *server, char *err) {
	static const char *const paths[] = { "/stt/transcribe", "/tts/synthesize" };
	char allowed[64];
	sv_batch *const b = *out = calloc(1, sizeof *b);
	if (!b)
		return sn_fail(err, SN_E_MEMORY, "no memory for the jobs");
	pthread_condattr_t clock;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->news, &clock);
	pthread_condattr_destroy(&clock);
	b->server = server;
	for (int i = 0; i < 2; i++)
		b->routes[i] = sv_api_route(server->api, "POST", paths[i], NULL, allowed);
	int result = sv_jobs_recover(server, 0, err);
	if (result == SN_OK)
		result = count_waiting(b, err);
	if (result == SN_OK)
		result = add_slots(b, err);
	if (result != SN_OK)
		sv_batch_close(out);
	return result;
}

/* The item of a slot is not wanted any more. */
static void stop_slot(slot *t) {
	pthread_mutex_lock(&t->lock);
	atomic_store(&t->request.gone, 1);
	if (t->request.cancel)
		t->request.cancel(t->request.cancel_payload);
	t->request.cancel = NULL;
	pthread_mutex_unlock(&t->lock);
}

void sv_batch_close(sv_batch **held) {
	sv_batch *const b = *held;
	*held = NULL;
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->stopping = 1;
	for (int i = 0; i < b->count; i++)
		if (b->slots[i]->busy)
			stop_slot(b->slots[i]);
	pthread_cond_broadcast(&b->news);
	pthread_mutex_unlock(&b->lock);
	for (int i = 0; i < b->count; i++) {
		pthread_join(b->slots[i]->thread, NULL);
		pthread_mutex_destroy(&b->slots[i]->lock);
		free(b->slots[i]);
	}
	sv_jobs_recover(b->server, 1, NULL); /* where it fails, the next start does it */
	pthread_cond_destroy(&b->news);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* ---- from others ---- */

void sv_batch_wake(sv_batch *b) {
	pthread_mutex_lock(&b->lock);
	count_waiting(b, NULL);
	pthread_cond_broadcast(&b->news);
	pthread_mutex_unlock(&b->lock);
}

void sv_batch_stop_job(sv_batch *b, const char *id) {
	pthread_mutex_lock(&b->lock);
	for (int i = 0; i < b->count; i++)
		if (b->slots[i]->busy && strcmp(b->slots[i]->claim.job, id) == 0)
			stop_slot(b->slots[i]);
	pthread_mutex_unlock(&b->lock);
	sv_batch_wake(b);
}

void sv_batch_tick(sv_batch *b) {
	const sv_config *const config = b->server->config;
	char err[SN_ERRLEN];
	int removed = 0;
	if (b->count < config->batch_sessions && add_slots(b, err) == SN_OK)
		sv_batch_wake(b);
	if (b->looked > 0 && sn_now() - b->looked < UPKEEP)
		return;
	b->looked = sn_now();
	if (sv_jobs_retain(b->server, (double)time(NULL) - config->job_retention, &removed, err) != SN_OK)
		sv_log_say(b->server->log, SN_LOG_WARN, "jobs that are kept no longer cannot be removed: %s", err);
	if (sn_usage_retain(b->server->usage, (int)(config->usage_retention / 86400) + 1, err) != SN_OK)
		sv_log_say(b->server->log, SN_LOG_WARN, "old counts of usage cannot be removed: %s", err);
}

void sv_batch_describe(sv_batch *b, sv_batch_facts *facts) {
	*facts = (sv_batch_facts){ .queued = b->queued, .running = b->running, .done = b->done, .failed = b->failed, .full = b->full > 0 };
}
