#include "server/models_internal.h"

#include "base/clock.h"
#include "server/config.h"
#include "server/log.h"
#include "server/metrics.h"
#include "store/db.h"

#include <dirent.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define RETRY_MISSING 5  /* seconds after which a preload is tried again that found no model */
#define RETRY_BROKEN 60.0 /* likewise, one whose model could not be loaded: a try takes time and room, so twice as long each time, */
#define RETRY_MOST 3600.0 /* up to this */
#define RETRY_FAILED 5.0 /* seconds in which a load that failed is not tried again */

const char *const sv_task_names[SV_TASKS] = { [0] = "", [SN_TASK_TRANSCRIBE] = "transcribe", [SN_TASK_SPEAK] = "speak", [SN_TASK_VAD] = "vad",
	[SN_TASK_VOCODE] = "vocode", [SN_TASK_EMBED] = "embed", [SN_TASK_DENOISE] = "denoise", [SN_TASK_SCORE] = "score",
	[SN_TASK_PUNCTUATE] = "punctuate" };

static int task_of(const char *name) {
	for (int i = 1; i < SV_TASKS; i++)
		if (strcmp(name, sv_task_names[i]) == 0)
			return i;
	return 0;
}

/* ---- entries; lock held ---- */

static int answers_to(const sv_model_entry *e, const char *name) {
	if (strcasecmp(e->name, name) == 0)
		return 1;
	const size_t size = strlen(name);
	for (const char *at = e->aliases; size && *at; at += strcspn(at, " "), at += *at == ' ')
		if (strcspn(at, " ") == size && strncasecmp(at, name, size) == 0)
			return 1;
	return 0;
}

sv_model_entry *sv_models_find(const sv_models *m, const char *name) {
	for (int i = m->count - 1; i >= 0; i--)
		if (!m->entries[i]->leaving && answers_to(m->entries[i], name))
			return m->entries[i];
	return NULL;
}

static sv_model_entry *add(sv_models *m, const char *name) {
	sv_model_entry *const e = m->count < SV_MAX_MODELS ? calloc(1, sizeof *e) : NULL;
	if (!e)
		return NULL;
	snprintf(e->name, sizeof e->name, "%s", name);
	e->used = sn_now();
	m->entries[m->count++] = e;
	return e;
}

/* Takes it out; what is to be released without the lock goes to the list. */
static void drop(sv_models *m, sv_model_entry *e, sv_model_entry **gone, int *count) {
	int at = 0;
	while (m->entries[at] != e)
		at++;
	memmove(m->entries + at, m->entries + at + 1, (size_t)(--m->count - at) * sizeof *m->entries);
	gone[(*count)++] = e;
}

/* Lock not held: giving memory back takes time. */
static void release(sv_model_entry **gone, int count) {
	for (int i = 0; i < count; i++) {
		sn_model_release(&gone[i]->model);
		free(gone[i]);
	}
}

/* ---- defaults ---- */

/* The list of a task: what was set by request outlives a restart, else the configuration's. */
static void read_defaults(sv_models *m) {
	static const char *const settings[] = { [SN_TASK_TRANSCRIBE] = "default.transcribe", [SN_TASK_SPEAK] = "default.speak" };
	const sv_config *const config = m->server->config;
	for (int task = SN_TASK_TRANSCRIBE; task <= SN_TASK_SPEAK; task++) {
		char list[SV_NAMES];
		sn_query q;
		snprintf(list, sizeof list, "%s", task == SN_TASK_TRANSCRIBE ? config->models_transcribe : config->models_speak);
		int set = 0;
		if (sn_db_begin(m->server->db, &q, "SELECT value FROM settings WHERE name = ?1", "t", NULL, settings[task]) == SN_OK &&
		    sn_db_row(&q, NULL) == SN_OK)
			set = snprintf(list, sizeof list, "%s", (const char *)sqlite3_column_text(q.statement, 0)) > 0;
		sn_db_end(&q);
		pthread_mutex_lock(&m->lock);
		memcpy(m->defaults[task], list, sizeof list);
		m->is_set[task] = set;
		pthread_mutex_unlock(&m->lock);
	}
}

void sv_models_reload(sv_models *m) { read_defaults(m); }

int sv_models_candidate(const sv_models *m, int task, int at, char out[256]) {
	const char *list = *m->defaults[task] ? m->defaults[task] : "auto", *name;
	while (*list) {
		list += strspn(list, " ,");
		const size_t size = strcspn(list, " ,");
		const int is_auto = size == 4 && strncmp(list, "auto", 4) == 0;
		int known = 0;
		while (is_auto && known <= at && (name = sn_store_default(m->store, sv_task_names[task], known)))
			known++;
		if (is_auto ? known > at : size && at == 0)
			return snprintf(out, 256, "%.*s", is_auto ? 255 : (int)(size < 255 ? size : 255), is_auto ? name : list), 1;
		at -= is_auto ? known : size > 0;
		list += size;
	}
	return 0;
}

int sv_models_are_open(const sv_models *m, int task) {
	const char *list = *m->defaults[task] ? m->defaults[task] : "auto";
	int is_auto = 0;
	for (; *list && !is_auto; list += strcspn(list, " ,")) {
		list += strspn(list, " ,");
		is_auto = strcspn(list, " ,") == 4 && strncmp(list, "auto", 4) == 0;
	}
	return is_auto;
}

/* ---- what a name stands for ---- */

typedef struct found {
	char name[256], path[SN_STORE_PATH], aliases[256];
	const sn_catalogue_entry *entry; /* NULL: not of the catalogue */
	int installed;
	uint64_t bytes;
} found;

static uint64_t bytes_of(const char *path) {
	struct stat st;
	struct dirent *one;
	uint64_t sum = 0;
	DIR *const dir = opendir(path);
	if (!dir)
		return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	while ((one = readdir(dir)))
		if (fstatat(dirfd(dir), one->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	closedir(dir);
	return sum;
}

static int find_listed(const sv_models *m, const char *name, sn_model_place *out) {
	sn_model_place *places;
	int count, hit = 0;
	if (sn_store_list(m->store, &places, &count, NULL) != SN_OK)
		return 0;
	for (int i = 0; i < count && !hit; i++)
		if (strcasecmp(places[i].name, name) == 0) {
			*out = places[i];
			hit = 1;
		}
	free(places);
	return hit;
}

static int is_path(const char *name) { return *name && strchr("/.~", *name) != NULL; }

static int has_path(const char *list) {
	int found = 0;
	for (const char *at = list; *at && !found; at += strcspn(at, ", ")) {
		at += strspn(at, ", ");
		found = is_path(at);
	}
	return found;
}

int sv_models_have_paths(const sv_config *c) { return has_path(c->models_transcribe) || has_path(c->models_speak) || has_path(c->preload); }

/* A client names models of the catalogue, the home and the hub's cache; only the configuration names paths. */
static int look_up(const sv_models *m, const char *name, int trusted, found *f, char *err) {
	const sn_catalogue_entry *const e = sn_store_find(m->store, name);
	sn_model_place place;
	char voice[SN_STORE_NAME];
	*f = (found){ .entry = e };
	if (e) {
		snprintf(f->name, sizeof f->name, "%s", e->name);
		for (int i = 0; i < e->alias_count; i++) {
			const size_t used = strlen(f->aliases);
			snprintf(f->aliases + used, sizeof f->aliases - used, "%s%s", used ? " " : "", e->aliases[i]);
		}
		const int result = sn_store_resolve(m->store, e->name, &place, err);
		if (result != SN_OK)
			return result;
	} else if (!find_listed(m, name, &place) && !(sn_store_piper(name, voice) && find_listed(m, voice, &place))) {
		if (!trusted || !is_path(name))
			return sn_fail(err, SN_E_NOT_FOUND, "there is no model \"%.80s\" here; GET /audio/models lists those that are", name);
		snprintf(place.path, sizeof place.path, "%s", name);
		snprintf(place.name, sizeof place.name, "%s", name);
	}
	if (!e)
		snprintf(f->name, sizeof f->name, "%s", place.name);
	memcpy(f->path, place.path, sizeof f->path);
	f->installed = 1;
	f->bytes = bytes_of(f->path);
	return SN_OK;
}

/* ---- loading ---- */

/* Identity of what a model computes: its files by name, time and size, in whatever order they lie. */
static void identify(const sn_model_info *info, uint8_t version[32]) {
	struct stat st;
	struct dirent *one;
	uint64_t files = 0;
	gnutls_hash_hd_t hash;
	memset(version, 0, 32);
	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0)
		return;
	DIR *const dir = opendir(info->path);
	while (dir && (one = readdir(dir))) {
		uint64_t h = 14695981039346656037u;
		if (fstatat(dirfd(dir), one->d_name, &st, 0) != 0 || !S_ISREG(st.st_mode))
			continue;
		for (const char *at = one->d_name; *at; at++)
			h = (h ^ (uint8_t)*at) * 1099511628211u;
		files += (h ^ (uint64_t)st.st_mtim.tv_sec ^ (uint64_t)st.st_mtim.tv_nsec << 20 ^ (uint64_t)st.st_size << 40) * 1099511628211u;
	}
	if (dir)
		closedir(dir);
	else if (stat(info->path, &st) == 0)
		files = (uint64_t)st.st_mtim.tv_sec ^ (uint64_t)st.st_mtim.tv_nsec << 20 ^ (uint64_t)st.st_size << 40;
	gnutls_hash(hash, info->path, strlen(info->path) + 1);
	gnutls_hash(hash, info->precision, strlen(info->precision) + 1);
	gnutls_hash(hash, &files, sizeof files);
	gnutls_hash(hash, sn_version(), strlen(sn_version()));
	gnutls_hash_deinit(hash, version);
}

/* Packed weights are mapped, and so become resident only when they are used; they count as a whole. */
static uint64_t memory_of(const sn_model_info *info, int64_t grown) {
	const uint64_t each = strcmp(info->precision, "f32") == 0 ? 4 : strcmp(info->precision, "bf16") == 0 ? 2 : 1;
	const uint64_t weights = info->parameters > 0 ? (uint64_t)info->parameters * each : 0;
	return grown > 0 && (uint64_t)grown > weights ? (uint64_t)grown : weights;
}

/* Lock held: whether `wanted` more bytes fit, if unused models go; with a list they do go. */
static int make_room(sv_models *m, uint64_t wanted, sv_model_entry **gone, int *count) {
	const uint64_t budget = (uint64_t)m->server->config->memory_budget;
	uint64_t held = wanted, free_able = 0;
	for (int i = 0; i < m->count; i++) {
		held += m->entries[i]->memory;
		free_able += m->entries[i]->state == SV_MODEL_READY && !m->entries[i]->users && m->entries[i]->keep >= 0 ? m->entries[i]->memory : 0;
	}
	if (!budget || held <= budget || held - free_able > budget)
		return !budget || held <= budget;
	while (gone && held > budget) {
		sv_model_entry *oldest = NULL;
		for (int i = 0; i < m->count; i++) {
			sv_model_entry *const e = m->entries[i];
			if (e->state == SV_MODEL_READY && !e->users && e->keep >= 0 && (!oldest || e->used < oldest->used))
				oldest = e;
		}
		held -= oldest->memory;
		drop(m, oldest, gone, count);
	}
	return 1;
}

static void note_load(sv_models *m, int result, double seconds) {
	sv_metrics_add(m->server->metrics, result == SN_OK ? SV_COUNT_MODEL_LOADS : SV_COUNT_MODEL_FAILURES, 1);
	if (result == SN_OK)
		sv_metrics_observe(m->server->metrics, SV_TIME_MODEL_LOAD, seconds);
}

/* Loads what the entry, which is LOADING and used by this thread, stands for. */
static int load_entry(sv_models *m, sv_model_entry *e, const found *f, char *err) {
	const sn_model_options options = { .precision = e->asked };
	sn_model *model = NULL;
	sn_model_info info;
	uint8_t version[32];
	const int64_t before = sv_resident_bytes();
	const double start = sn_now();
	const int result = sn_model_load(&model, m->server->engine, f->entry || !sv_models_have_paths(m->server->config) ? f->name : f->path, &options, err);
	const int64_t grown = sv_resident_bytes() - before;
	note_load(m, result, sn_now() - start);
	if (result == SN_OK) {
		sn_model_describe(model, &info);
		identify(&info, version);
	}
	pthread_mutex_lock(&m->lock);
	e->code = result;
	e->state = result == SN_OK ? SV_MODEL_READY : SV_MODEL_FAILED;
	e->used = sn_now();
	if (result == SN_OK) {
		e->model = model;
		e->task = info.task;
		e->memory = memory_of(&info, grown);
		memcpy(e->version, version, sizeof version);
	} else {
		e->memory = 0;
		e->failed_at = sn_now();
		snprintf(e->error, sizeof e->error, "%s", err);
	}
	pthread_cond_broadcast(&m->loaded);
	pthread_mutex_unlock(&m->lock);
	return result;
}

/* Lock held: a user leaves. */
static void leave(sv_models *m, sv_model_entry *e, sv_model_entry **gone, int *count) {
	e->used = sn_now();
	if (--e->users == 0 && e->leaving)
		drop(m, e, gone, count);
}

/* Lock held. A new entry for what is to be loaded, used once; NULL: it does not fit (err). */
static sv_model_entry *begin_load(sv_models *m, const found *f, sn_precision precision, sv_model_entry **gone, int *count, char *err) {
	sv_model_entry *const old = sv_models_find(m, f->name);
	if (old && old->state == SV_MODEL_FAILED && !old->users)
		drop(m, old, gone, count);
	if (!make_room(m, f->bytes, gone, count)) {
		sn_fail(err, SN_E_MEMORY, "the model \"%s\" of %llu MB does not fit into the memory budget of %lld MB beside those that are used", f->name,
		        (unsigned long long)(f->bytes >> 20), (long long)(m->server->config->memory_budget >> 20));
		return NULL;
	}
	sv_model_entry *const e = add(m, f->name);
	if (!e) {
		sn_fail(err, SN_E_LIMIT, "%d models are loaded already", SV_MAX_MODELS);
		return NULL;
	}
	memcpy(e->aliases, f->aliases, sizeof e->aliases);
	e->asked = precision;
	e->memory = f->bytes;
	e->users = 1;
	return e;
}

/* Lock held: waits until the entry is no longer being loaded, and takes a use of it where it is ready. */
static int await(sv_models *m, sv_model_entry *e, sv_model_use *use, sv_model_entry **gone, int *count, char *err) {
	e->users++;
	while (e->state == SV_MODEL_LOADING)
		pthread_cond_wait(&m->loaded, &m->lock);
	e->used = sn_now();
	if (e->state == SV_MODEL_READY) {
		*use = (sv_model_use){ e->model, e };
		return SN_OK;
	}
	const int code = sn_fail(err, e->code, "%s", e->error);
	leave(m, e, gone, count);
	return code;
}

static int check_task(const sv_model_entry *e, int task, char *err) {
	if (!task || e->task == task)
		return SN_OK;
	return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" is there to %s; it cannot %s", e->name, sv_task_names[e->task], sv_task_names[task]);
}

/* Whether what stands under a name will do: it is ready or being loaded in that precision, or failed a moment ago. */
static int will_do(const sv_model_entry *e, sn_precision precision) {
	return e && (precision == SN_AUTO || e->asked == precision) && (e->state != SV_MODEL_FAILED || sn_now() - e->failed_at < RETRY_FAILED);
}

/* The model of one name, loaded where it is not. */
static int get_one(sv_models *m, sv_model_use *use, const char *name, int trusted, int task, sn_precision precision, char *err) {
	sv_model_entry *gone[SV_MAX_MODELS];
	int count = 0, result = SN_OK;
	found f;
	*use = (sv_model_use){ 0 };
	pthread_mutex_lock(&m->lock);
	sv_model_entry *e = sv_models_find(m, name);
	if (!will_do(e, precision)) { /* the disk is looked at without the lock; another may have begun to load it meanwhile */
		pthread_mutex_unlock(&m->lock);
		result = look_up(m, name, trusted, &f, err);
		if (result != SN_OK)
			return result;
		pthread_mutex_lock(&m->lock);
		e = sv_models_find(m, f.name);
	}
	if (will_do(e, precision)) {
		result = await(m, e, use, gone, &count, err);
		pthread_mutex_unlock(&m->lock);
	} else {
		sv_model_entry *const old = e && e->state == SV_MODEL_READY ? e : NULL;
		e = begin_load(m, &f, precision, gone, &count, err);
		pthread_mutex_unlock(&m->lock);
		release(gone, count);
		count = 0;
		result = e ? load_entry(m, e, &f, err) : SN_E_MEMORY;
		pthread_mutex_lock(&m->lock);
		if (result == SN_OK)
			*use = (sv_model_use){ e->model, e };
		else if (e)
			leave(m, e, gone, &count);
		if (result == SN_OK && old) { /* of another precision: it is gone once its users are */
			int still = 0;
			for (int i = 0; i < m->count; i++)
				still |= m->entries[i] == old;
			if (still && old->users)
				old->leaving = 1;
			else if (still)
				drop(m, old, gone, &count);
		}
		pthread_mutex_unlock(&m->lock);
	}
	release(gone, count);
	if (result == SN_OK && (result = check_task(use->entry, task, err)) != SN_OK)
		sv_models_give(m, use);
	return result;
}

/* ---- choosing ---- */

static int same_language(const char *known, const char *asked) {
	return strlen(asked) >= 2 && strncasecmp(known, asked, strcspn(known, "-_")) == 0;
}

/* A name in words ("German") is for the session to tell. */
static int any_language(const char *language) {
	return !language || !*language || strcmp(language, "auto") == 0 || (strlen(language) > 3 && !strpbrk(language, "-_"));
}

static int knows_language(const sn_model *model, const char *language) {
	sn_model_info info;
	sn_model_describe(model, &info);
	int known = any_language(language) || !info.language_count;
	for (int i = 0; i < info.language_count && !known; i++)
		known = same_language(info.languages[i], language);
	return known;
}

/* What the catalogue says of a model that is not loaded. */
static int may_know_language(const sn_catalogue_entry *e, const char *language) {
	int known = any_language(language) || !e || !e->language_count;
	for (int i = 0; i < (e ? e->language_count : 0) && !known; i++)
		known = strcmp(e->languages[i], "multilingual") == 0 || same_language(e->languages[i], language);
	return known;
}

/* One of those that "auto" may take. */
static int try_auto(sv_models *m, sv_model_use *use, const char *name, int task, const char *language, char *err) {
	const int may = may_know_language(sn_store_find(m->store, name), language);
	const int result = may ? get_one(m, use, name, 1, task, SN_AUTO, err) : SN_OK;
	if (result != SN_OK || (may && knows_language(use->model, language)))
		return result;
	if (may)
		sv_models_give(m, use);
	return sn_fail(err, SN_E_UNSUPPORTED, "no configured model knows the language \"%.20s\"", language);
}

/* What else is installed, where the list of the task leaves it to the catalogue. */
static int get_other(sv_models *m, sv_model_use *use, int task, const char *language, char *err) {
	sn_model_place *places;
	int count, result = sn_fail(err, SN_E_NOT_FOUND, "no other model is installed to %s", sv_task_names[task]);
	pthread_mutex_lock(&m->lock);
	const int open = sv_models_are_open(m, task);
	pthread_mutex_unlock(&m->lock);
	if (!open || sn_store_others(m->store, sv_task_names[task], any_language(language) ? NULL : language, &places, &count, NULL) != SN_OK)
		return result;
	for (int i = 0; i < count && result != SN_OK; i++)
		result = try_auto(m, use, places[i].name, task, language, err);
	free(places);
	return result;
}

/* The first of the task's list that knows the language and is loaded or fits. */
static int get_auto(sv_models *m, sv_model_use *use, int task, const char *language, char *err) {
	char name[256], why[SN_ERRLEN];
	int result = sn_fail(err, SN_E_NOT_FOUND, "no model is configured to %s", sv_task_names[task]);
	for (int i = 0, more = 1, worst = 0;; i++) {
		pthread_mutex_lock(&m->lock);
		more = sv_models_candidate(m, task, i, name);
		pthread_mutex_unlock(&m->lock);
		const int code = more ? try_auto(m, use, name, task, language, why) : get_other(m, use, task, language, why);
		if (code == SN_OK)
			return SN_OK;
		/* one that is not installed says less than one that cannot, and that less than one that failed */
		const int weight = code == SN_E_NOT_FOUND ? 1 : code == SN_E_UNSUPPORTED ? 2 : 3;
		if (weight > worst) {
			worst = weight;
			result = sn_fail(err, code, "%s", why);
		}
		if (!more)
			return result;
	}
}

int sv_models_get(sv_models *m, sv_model_use *use, const char *name, int task, const char *language, char *err) {
	*use = (sv_model_use){ 0 };
	if (strcmp(name, "auto") == 0)
		return get_auto(m, use, task, language, err);
	return get_one(m, use, name, 0, task, SN_AUTO, err);
}

void sv_models_give(sv_models *m, sv_model_use *use) {
	sv_model_entry *gone[1];
	int count = 0;
	if (use->entry) {
		pthread_mutex_lock(&m->lock);
		leave(m, use->entry, gone, &count);
		pthread_mutex_unlock(&m->lock);
		release(gone, count);
	}
	*use = (sv_model_use){ 0 };
}

int sv_models_peek(sv_models *m, const char *name, int task, const char *language, uint8_t version[32]) {
	char candidate[256];
	const int is_auto = strcmp(name, "auto") == 0;
	int result = SN_AGAIN, more = 1;
	pthread_mutex_lock(&m->lock);
	for (int i = 0; more && result == SN_AGAIN; i++) {
		more = is_auto ? sv_models_candidate(m, task, i, candidate) : i == 0;
		sv_model_entry *const e = more ? sv_models_find(m, is_auto ? candidate : name) : NULL;
		if (e && e->state == SV_MODEL_LOADING)
			break; /* it would be the one */
		if (!e || e->state != SV_MODEL_READY || e->task != task || (is_auto && !knows_language(e->model, language)))
			continue;
		e->used = sn_now();
		memcpy(version, e->version, 32);
		result = SN_OK;
	}
	pthread_mutex_unlock(&m->lock);
	return result;
}

void sv_models_version(const sv_model_use *use, uint8_t version[32]) { memcpy(version, use->entry->version, 32); }

/* ---- preloading ---- */

/* Lock held: a model that failed at the start may have been loaded since. */
static int is_ready(sv_models *m, sv_preload *p) {
	for (int i = 0; i < m->count && !p->done; i++) {
		const sv_model_entry *const e = m->entries[i];
		p->done = e->state == SV_MODEL_READY && (p->task ? e->task == p->task : answers_to(e, p->name));
	}
	return p->done;
}

/* Its result; a failure is told the first time only. */
static int preload_one(sv_models *m, sv_preload *p, int again) {
	sv_model_use use;
	char err[SN_ERRLEN];
	const int result = p->task ? get_auto(m, &use, p->task, NULL, err) : get_one(m, &use, p->name, 1, 0, SN_AUTO, err);
	if (result != SN_OK) {
		if (!again)
			sv_log_say(m->server->log, SN_LOG_WARN, "%s is not preloaded: %s", p->name, err);
		pthread_mutex_lock(&m->lock);
		snprintf(p->error, sizeof p->error, "%s", err);
		pthread_mutex_unlock(&m->lock);
		return result;
	}
	pthread_mutex_lock(&m->lock);
	use.entry->keep = -1;
	p->done = 1;
	pthread_mutex_unlock(&m->lock);
	sv_models_give(m, &use);
	return SN_OK;
}

/* 0: the server is stopping. */
static int wait_to_retry(sv_models *m) {
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += RETRY_MISSING;
	pthread_mutex_lock(&m->lock);
	while (!m->closing && pthread_cond_timedwait(&m->loaded, &m->lock, &until) != ETIMEDOUT)
		continue;
	const int go_on = !m->closing && !atomic_load(&m->server->stopping);
	pthread_mutex_unlock(&m->lock);
	return go_on;
}

/* Not again too soon, if its model is there but cannot be loaded. Whether it is ready. */
static int retry_preload(sv_models *m, sv_preload *p) {
	pthread_mutex_lock(&m->lock);
	const int done = is_ready(m, p);
	pthread_mutex_unlock(&m->lock);
	if (done || sn_now() < p->next)
		return done;
	const int result = preload_one(m, p, 1);
	if (result < 0 && result != SN_E_NOT_FOUND) {
		p->pause = p->pause == 0 ? RETRY_BROKEN : p->pause < RETRY_MOST / 2 ? 2 * p->pause : RETRY_MOST;
		p->next = sn_now() + p->pause;
	}
	return result == SN_OK;
}

/* What could not be loaded at the start may be installed later, or mended: tried again until all were ready once. */
static void retry_preloads(sv_models *m) {
	for (int left = 1; left && wait_to_retry(m);) {
		left = 0;
		for (int i = 0; i < m->preload_count && !atomic_load(&m->server->stopping); i++)
			left += !retry_preload(m, &m->preload[i]);
	}
}

/* The first loader that finds nothing left to begin with stays, for what failed. */
static void *preload(void *payload) {
	sv_models *const m = payload;
	int i;
	while ((i = atomic_fetch_add(&m->next_preload, 1)) < m->preload_count && !atomic_load(&m->server->stopping))
		preload_one(m, &m->preload[i], 0);
	if (i == m->preload_count)
		retry_preloads(m);
	return NULL;
}

int sv_models_preload(sv_models *m, char *err) {
	for (int i = 0; i < SV_LOADERS && i < m->preload_count; i++) {
		if (pthread_create(&m->loaders[i], NULL, preload, m) != 0)
			return sn_fail(err, SN_E_MEMORY, "no thread to load models");
		m->loader_count++;
	}
	return SN_OK;
}

int sv_models_ready(sv_models *m, char *why) {
	int ready = 1;
	pthread_mutex_lock(&m->lock);
	for (int i = 0; i < m->preload_count && ready; i++) {
		const sv_preload *const p = &m->preload[i];
		ready = is_ready(m, &m->preload[i]);
		if (!ready)
			sn_fail(why, SN_E_NOT_FOUND, "%s is not ready%s%.400s", p->name, *p->error ? ": " : "", p->error);
	}
	pthread_mutex_unlock(&m->lock);
	return ready;
}

/* ---- management ---- */

int sv_models_load(sv_models *m, const char *name, sn_precision precision, int64_t keep, char *err) {
	sv_model_use use;
	const int result = get_one(m, &use, name, 0, 0, precision, err);
	if (result != SN_OK)
		return result;
	pthread_mutex_lock(&m->lock);
	use.entry->keep = (double)keep;
	pthread_mutex_unlock(&m->lock);
	sv_models_give(m, &use);
	return SN_OK;
}

int sv_models_unload(sv_models *m, const char *name, char *err) {
	sv_model_entry *gone[1];
	int count = 0, result = SN_OK;
	pthread_mutex_lock(&m->lock);
	sv_model_entry *const e = sv_models_find(m, name);
	if (!e)
		result = sn_fail(err, SN_E_NOT_FOUND, "the model \"%.80s\" is not loaded", name);
	else if (e->state == SV_MODEL_LOADING)
		result = sn_fail(err, SN_E_BUSY, "the model \"%s\" is being loaded", e->name);
	else if (e->users)
		result = sn_fail(err, SN_E_BUSY, "%d sessions use the model \"%s\"; it is unloaded after them", e->users, e->name);
	if (e && e->users && e->state == SV_MODEL_READY)
		e->leaving = 1;
	else if (result == SN_OK)
		drop(m, e, gone, &count);
	pthread_mutex_unlock(&m->lock);
	release(gone, count);
	return result;
}

/* "auto" goes back to the configuration's list. */
int sv_models_set_default(sv_models *m, int task, const char *name, char *err) {
	const char *const setting = task == SN_TASK_SPEAK ? "default.speak" : "default.transcribe";
	sv_model_use use;
	int result;
	if (strcmp(name, "auto") == 0) {
		result = sn_db_do(m->server->db, NULL, "DELETE FROM settings WHERE name = ?1", "t", err, setting);
	} else {
		result = get_one(m, &use, name, 0, task, SN_AUTO, err);
		if (result != SN_OK)
			return result;
		result = sn_db_do(m->server->db, NULL, "INSERT OR REPLACE INTO settings(name, value) VALUES(?1, ?2)", "tt", err, setting, use.entry->name);
		sv_models_give(m, &use);
	}
	if (result == SN_OK)
		read_defaults(m);
	return result;
}

void sv_models_tick(sv_models *m) {
	sv_model_entry *gone[SV_MAX_MODELS];
	const double now = sn_now(), ttl = m->server->config->model_ttl;
	int count = 0;
	pthread_mutex_lock(&m->lock);
	for (int i = m->count - 1; i >= 0; i--) {
		sv_model_entry *const e = m->entries[i];
		const double keep = e->keep > 0 ? e->keep : ttl;
		if (e->state == SV_MODEL_READY && !e->users && e->keep >= 0 && keep > 0 && now - e->used > keep)
			drop(m, e, gone, &count);
	}
	make_room(m, 0, gone, &count); /* a reload may have made the budget smaller */
	pthread_mutex_unlock(&m->lock);
	release(gone, count);
}

/* ---- opening ---- */

static void read_preload(sv_models *m) {
	char list[SV_CONFIG_TEXT];
	snprintf(list, sizeof list, "%s", m->server->config->preload);
	for (char *at = list, *name; (name = strsep(&at, ", "));)
		if (*name && strcmp(name, "none") != 0 && m->preload_count < SV_MAX_PRELOAD) {
			sv_preload *const p = &m->preload[m->preload_count++];
			snprintf(p->name, sizeof p->name, "%.255s", name);
			p->task = task_of(name);
		}
}

int sv_models_open(sv_models **out, sv_server *server, char *err) {
	sn_engine_info info;
	sv_models *const m = *out = calloc(1, sizeof *m);
	if (!m)
		return sn_fail(err, SN_E_MEMORY, "no memory for the models");
	m->server = server;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->loaded, NULL);
	sn_engine_describe(server->engine, &info);
	int result = sn_store_open(&m->store, info.home, err);
	if (result == SN_OK)
		result = sv_pulls_open(&m->pulls, m, err);
	if (result != SN_OK) {
		sv_models_close(out);
		return result;
	}
	read_defaults(m);
	read_preload(m);
	return SN_OK;
}

void sv_models_close(sv_models **held) {
	sv_models *const m = *held;
	*held = NULL;
	if (!m)
		return;
	sv_pulls_close(&m->pulls);
	pthread_mutex_lock(&m->lock);
	m->closing = 1;
	pthread_cond_broadcast(&m->loaded);
	pthread_mutex_unlock(&m->lock);
	for (int i = 0; i < m->loader_count; i++)
		pthread_join(m->loaders[i], NULL);
	release(m->entries, m->count);
	sn_store_close(&m->store);
	pthread_cond_destroy(&m->loaded);
	pthread_mutex_destroy(&m->lock);
	free(m);
}
