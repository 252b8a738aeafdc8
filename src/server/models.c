#include "server/models.h"

#include "base/clock.h"
#include "base/error.h"
#include "server/config.h"

#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAMES 512 /* bytes of a list of names */

struct sv_model_entry {
	char name[256];              /* as sn_model_info says it; of a failed load: as it was asked for */
	sn_model *model;             /* NULL: failed or being loaded */
	int task, loading, users, leaving;
	double used, keep;           /* when last; seconds, 0 the configuration's, below 0 for ever */
	uint64_t bytes;
	char aliases[256];           /* of the catalogue, separated by spaces */
	int is_auto;                 /* it is what "auto" stands for by itself */
	uint8_t version[32];
	char error[SN_ERRLEN];
};

struct sv_models {
	sv_server *server;
	pthread_mutex_t lock;
	sv_model_entry *entries[SV_MAX_MODELS];
	int count;
	char defaults[SN_TASK_PUNCTUATE + 1][NAMES]; /* by task, from the configuration or /audio/models/default */
};

static const char *const task_names[] = { [0] = "", [SN_TASK_TRANSCRIBE] = "transcribe", [SN_TASK_SPEAK] = "speak", [SN_TASK_VAD] = "vad",
	[SN_TASK_VOCODE] = "vocode", [SN_TASK_EMBED] = "embed", [SN_TASK_DENOISE] = "denoise", [SN_TASK_SCORE] = "score",
	[SN_TASK_PUNCTUATE] = "punctuate" };

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

static sv_model_entry *find(const sv_models *m, const char *name) {
	for (int i = 0; i < m->count; i++)
		if (answers_to(m->entries[i], name))
			return m->entries[i];
	return NULL;
}

static sv_model_entry *find_model(const sv_models *m, const sn_model *model) {
	for (int i = 0; i < m->count; i++)
		if (m->entries[i]->model == model)
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

static void drop(sv_models *m, sv_model_entry *e) {
	for (int i = 0; i < m->count; i++)
		if (m->entries[i] == e) {
			m->entries[i] = m->entries[--m->count];
			break;
		}
	sn_model_release(&e->model);
	free(e);
}

/* ---- opening ---- */

static void read_defaults(sv_models *m) {
	snprintf(m->defaults[SN_TASK_TRANSCRIBE], NAMES, "%s", m->server->config->models_transcribe);
	snprintf(m->defaults[SN_TASK_SPEAK], NAMES, "%s", m->server->config->models_speak);
}

int sv_models_open(sv_models **out, sv_server *server, char *err) {
	sv_models *const m = *out = calloc(1, sizeof *m);
	if (!m)
		return sn_fail(err, SN_E_MEMORY, "no memory for the models");
	m->server = server;
	pthread_mutex_init(&m->lock, NULL);
	read_defaults(m);
	return SN_OK;
}

void sv_models_close(sv_models **held) {
	sv_models *const m = *held;
	*held = NULL;
	if (!m)
		return;
	while (m->count)
		drop(m, m->entries[0]);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* ---- loading ---- */

/* A name of the catalogue, of the home or the hub's cache: nothing that a path could be. */
static int check_name(const char *name, char *err) {
	if (!*name || strlen(name) > 200 || *name == '/' || *name == '.' || *name == '~' || strstr(name, ".."))
		return sn_fail(err, SN_E_ARGUMENT, "\"%.80s\" is no name of a model; GET /audio/models lists them", name);
	return SN_OK;
}

/* What the catalogue knows of a name: bytes of the files, as an estimate of the memory, and other names. */
static uint64_t look_up(sv_models *m, const char *name, char aliases[256]) {
	sn_model_list *list;
	uint64_t bytes = 0;
	*aliases = 0;
	if (sn_model_list_read(&list, m->server->engine, NULL) != SN_OK)
		return 0;
	for (size_t i = 0; i < list->count; i++) {
		sv_model_entry known = { 0 };
		snprintf(known.name, sizeof known.name, "%s", list->entries[i].name);
		snprintf(known.aliases, sizeof known.aliases, "%s", list->entries[i].aliases);
		if (!answers_to(&known, name))
			continue;
		bytes = list->entries[i].bytes;
		memcpy(aliases, known.aliases, 256);
	}
	sn_model_list_free(&list);
	return bytes;
}

/* Identity of what a model computes. */
static void identify(const sn_model_info *info, uint8_t version[32]) {
	struct stat st = { 0 };
	gnutls_hash_hd_t hash;
	memset(version, 0, 32);
	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0)
		return;
	stat(info->path, &st);
	gnutls_hash(hash, info->path, strlen(info->path) + 1);
	gnutls_hash(hash, info->precision, strlen(info->precision) + 1);
	gnutls_hash(hash, &st.st_mtim, sizeof st.st_mtim);
	gnutls_hash(hash, sn_version(), strlen(sn_version()));
	gnutls_hash_deinit(hash, version);
}

/* Lock held: unloads what is unused longest until `wanted` bytes fit. */
static void make_room(sv_models *m, uint64_t wanted) {
	const int64_t budget = m->server->config->memory_budget;
	for (;;) {
		uint64_t sum = wanted;
		sv_model_entry *oldest = NULL;
		for (int i = 0; i < m->count; i++) {
			sv_model_entry *const e = m->entries[i];
			sum += e->model ? e->bytes : 0;
			if (e->model && !e->users && e->keep >= 0 && (!oldest || e->used < oldest->used))
				oldest = e;
		}
		if (!budget || sum <= (uint64_t)budget || !oldest)
			return;
		drop(m, oldest);
	}
}

/* Loads by name and takes a use of it. */
static int load(sv_models *m, sv_model_use *use, const char *name, int task, sn_precision precision, char *err) {
	sn_model *model = NULL;
	sn_model_info info;
	int result = strcmp(name, "auto") == 0 ? SN_OK : check_name(name, err);
	if (result != SN_OK)
		return result;
	char aliases[256];
	const uint64_t bytes = look_up(m, name, aliases);
	pthread_mutex_lock(&m->lock);
	make_room(m, bytes);
	pthread_mutex_unlock(&m->lock);
	result = sn_model_load(&model, m->server->engine, name, &(sn_model_options){ .task = task, .precision = precision }, err);
	pthread_mutex_lock(&m->lock);
	if (result != SN_OK) {
		sv_model_entry *e = find(m, name);
		if (!e && (result != SN_E_NOT_FOUND && result != SN_E_UNSUPPORTED))
			e = add(m, name);
		if (e && !e->model)
			snprintf(e->error, sizeof e->error, "%s", err);
		pthread_mutex_unlock(&m->lock);
		return result;
	}
	sn_model_describe(model, &info);
	sv_model_entry *e = find_model(m, model);
	if (e) {
		sn_model_release(&model); /* loaded before, or by another request meanwhile */
	} else if ((e = add(m, info.name)) != NULL) {
		e->model = model;
		e->task = info.task;
		e->bytes = bytes;
		memcpy(e->aliases, aliases, sizeof aliases);
		identify(&info, e->version);
	}
	if (e) {
		e->is_auto |= strcmp(name, "auto") == 0;
		e->users++;
		e->used = sn_now();
		*use = (sv_model_use){ e->model, e };
	}
	pthread_mutex_unlock(&m->lock);
	if (e)
		return SN_OK;
	sn_model_release(&model);
	return sn_fail(err, SN_E_LIMIT, "%d models are loaded already", SV_MAX_MODELS);
}

/* ---- choosing ---- */

static int knows_language(const sn_model *model, const char *language) {
	sn_model_info info;
	sn_model_describe(model, &info);
	if (!language || !*language || strcmp(language, "auto") == 0 || !info.language_count)
		return 1;
	for (int i = 0; i < info.language_count; i++) {
		const size_t size = strcspn(info.languages[i], "-_");
		if (strlen(language) >= 2 && strncasecmp(info.languages[i], language, size) == 0)
			return 1;
	}
	return strlen(language) > 3; /* a name in words: the session tells */
}

int sv_models_get(sv_models *m, sv_model_use *use, const char *name, int task, const char *language, char *err) {
	char list[NAMES], why[SN_ERRLEN];
	int result = SN_E_NOT_FOUND;
	*use = (sv_model_use){ 0 };
	if (strcmp(name, "auto") != 0)
		return load(m, use, name, task, SN_AUTO, err);
	pthread_mutex_lock(&m->lock);
	memcpy(list, m->defaults[task], sizeof list);
	pthread_mutex_unlock(&m->lock);
	if (!*list)
		strcpy(list, "auto");
	sn_fail(err, SN_E_NOT_FOUND, "no model is configured to %s", task_names[task]);
	for (char *at = list, *one; (one = strsep(&at, ","));) {
		one += strspn(one, " ");
		result = load(m, use, one, task, SN_AUTO, why);
		if (result == SN_OK && knows_language(use->model, language))
			return SN_OK;
		if (result == SN_OK) {
			sv_models_give(m, use);
			result = sn_fail(why, SN_E_UNSUPPORTED, "no configured model knows the language \"%.20s\"", language);
		}
		sn_fail(err, result, "%s", why);
	}
	return result;
}

void sv_models_give(sv_models *m, sv_model_use *use) {
	sv_model_entry *const e = use->entry;
	*use = (sv_model_use){ 0 };
	if (!e)
		return;
	pthread_mutex_lock(&m->lock);
	e->used = sn_now();
	if (--e->users == 0 && e->leaving)
		drop(m, e);
	pthread_mutex_unlock(&m->lock);
}

int sv_models_peek(sv_models *m, const char *name, int task, const char *language, uint8_t version[32]) {
	char list[NAMES];
	int result = SN_AGAIN;
	pthread_mutex_lock(&m->lock);
	snprintf(list, sizeof list, "%s", strcmp(name, "auto") == 0 ? m->defaults[task] : name);
	for (char *at = list, *one; result == SN_AGAIN && (one = strsep(&at, ","));) {
		one += strspn(one, " ");
		for (int i = 0; i < m->count && result == SN_AGAIN; i++) {
			sv_model_entry *const e = m->entries[i];
			if (!e->model || e->task != task || (strcmp(one, "auto") == 0 ? !e->is_auto : !answers_to(e, one)))
				continue;
			if (strcmp(name, "auto") == 0 && !knows_language(e->model, language))
				break;
			e->used = sn_now();
			memcpy(version, e->version, 32);
			result = SN_OK;
		}
		if (result == SN_AGAIN && strcmp(one, "auto") == 0)
			break;
	}
	pthread_mutex_unlock(&m->lock);
	return result;
}

/* ---- management ---- */

/* Names of preload: tasks stand for their defaults. */
static int preload_one(sv_models *m, const char *name, char *err) {
	sv_model_use use;
	int task = 0;
	for (int i = 1; i <= SN_TASK_PUNCTUATE; i++)
		task = strcmp(name, task_names[i]) == 0 ? i : task;
	int result = sv_models_get(m, &use, task ? "auto" : name, task, NULL, err);
	if (result == SN_OK) {
		use.entry->keep = -1;
		sv_models_give(m, &use);
	}
	return result;
}

static int each_preload(sv_models *m, int (*one)(sv_models *m, const char *name, char *err), char *err) {
	char list[SV_CONFIG_TEXT], why[SN_ERRLEN];
	int result = SN_OK;
	snprintf(list, sizeof list, "%s", m->server->config->preload);
	for (char *at = list, *name; (name = strsep(&at, ","));) {
		name += strspn(name, " ");
		const int code = *name && strcmp(name, "none") != 0 ? one(m, name, why) : SN_OK;
		if (code != SN_OK && result == SN_OK)
			result = sn_fail(err, code, "%s", why);
	}
	return result;
}

int sv_models_preload(sv_models *m, char *err) { return each_preload(m, preload_one, err); }

static int is_ready(sv_models *m, const char *name, char *err) {
	int task = 0, ready = 0;
	for (int i = 1; i <= SN_TASK_PUNCTUATE; i++)
		task = strcmp(name, task_names[i]) == 0 ? i : task;
	pthread_mutex_lock(&m->lock);
	for (int i = 0; i < m->count; i++)
		ready |= m->entries[i]->model && (task ? m->entries[i]->task == task : strcasecmp(m->entries[i]->name, name) == 0);
	pthread_mutex_unlock(&m->lock);
	return ready ? SN_OK : sn_fail(err, SN_E_NOT_FOUND, "%s is not ready", name);
}

int sv_models_ready(sv_models *m, char *why) { return each_preload(m, is_ready, why) == SN_OK; }

int sv_models_load(sv_models *m, const char *name, sn_precision precision, int64_t keep, char *err) {
	sv_model_use use;
	const int result = load(m, &use, name, 0, precision, err);
	if (result != SN_OK)
		return result;
	pthread_mutex_lock(&m->lock);
	use.entry->keep = (double)keep;
	use.entry->leaving = 0;
	pthread_mutex_unlock(&m->lock);
	sv_models_give(m, &use);
	return SN_OK;
}

int sv_models_unload(sv_models *m, const char *name, char *err) {
	pthread_mutex_lock(&m->lock);
	sv_model_entry *const e = find(m, name);
	int result = e ? SN_OK : sn_fail(err, SN_E_NOT_FOUND, "the model \"%.80s\" is not loaded", name);
	if (e && e->users) {
		e->leaving = 1;
		result = sn_fail(err, SN_E_BUSY, "%d sessions use the model \"%s\"; it is unloaded after them", e->users, e->name);
	} else if (e) {
		drop(m, e);
	}
	pthread_mutex_unlock(&m->lock);
	return result;
}

int sv_models_set_default(sv_models *m, int task, const char *name, char *err) {
	sv_model_use use;
	const int result = load(m, &use, name, task, SN_AUTO, err);
	if (result != SN_OK)
		return result;
	pthread_mutex_lock(&m->lock);
	snprintf(m->defaults[task], NAMES, "%s", use.entry->name);
	pthread_mutex_unlock(&m->lock);
	sv_models_give(m, &use);
	return SN_OK;
}

void sv_models_tick(sv_models *m) {
	const double now = sn_now(), ttl = m->server->config->model_ttl;
	pthread_mutex_lock(&m->lock);
	for (int i = m->count - 1; i >= 0; i--) {
		sv_model_entry *const e = m->entries[i];
		const double keep = e->keep > 0 ? e->keep : ttl;
		if (e->model && !e->users && e->keep >= 0 && keep > 0 && now - e->used > keep)
			drop(m, e);
	}
	pthread_mutex_unlock(&m->lock);
}

/* ---- telling ---- */

static json_t *texts(const char *const *list, int count) {
	json_t *const out = json_array();
	for (int i = 0; list && i < count; i++)
		json_array_append_new(out, json_string(list[i]));
	return out;
}

static void add_loaded(const sv_models *m, json_t *o, const sv_model_entry *e) {
	sn_model_info info;
	sn_model_describe(e->model, &info);
	json_object_set_new(o, "architecture", json_string(info.architecture));
	json_object_set_new(o, "dtype", json_string(info.precision));
	json_object_set_new(o, "parameters", json_integer(info.parameters));
	json_object_set_new(o, "sample_rate", json_integer(info.sample_rate));
	json_object_set_new(o, "languages", texts(info.languages, info.language_count));
	json_object_set_new(o, "emotions", texts(info.emotions, info.emotion_count));
	json_object_set_new(o, "voices", json_integer(info.speakers));
	json_object_set_new(o, "load_time", json_real(info.load_time));
	json_object_set_new(o, "idle", json_real(e->users ? 0 : sn_now() - e->used));
	json_object_set_new(o, "sessions", json_integer(e->users));
	json_object_set_new(o, "is_default", json_boolean(strcasecmp(m->defaults[info.task], e->name) == 0));
	const struct { const char *name; int has; } can[] = { { "language_detection", info.detects_language }, { "translation", info.translates },
		{ "streaming", info.streams }, { "words", info.has_words }, { "cloning", info.embeds }, { "presets", info.has_presets },
		{ "speed", info.has_speed }, { "pitch", info.has_pitch }, { "energy", info.has_energy }, { "temperature", info.has_temperature } };
	json_t *const list = json_array();
	for (size_t i = 0; i < sizeof can / sizeof *can; i++)
		if (can[i].has)
			json_array_append_new(list, json_string(can[i].name));
	json_object_set_new(o, "capabilities", list);
}

json_t *sv_models_json(sv_models *m, int task) {
	sn_model_list *list;
	json_t *const out = json_array();
	if (sn_model_list_read(&list, m->server->engine, NULL) != SN_OK)
		return out;
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < list->count; i++) {
		const sn_model_entry *const known = &list->entries[i];
		const sv_model_entry *const e = find(m, known->name);
		if (task && known->task != task)
			continue;
		const char *const state = e && e->model ? "ready" : e ? "failed" : known->installed ? "installed" : "absent";
		json_t *const o = json_pack("{s:s, s:s, s:s, s:b, s:s, s:I, s:s}", "name", known->name, "architecture", known->architecture, "task",
		                            task_names[known->task], "installed", known->installed, "state", state, "bytes", (json_int_t)known->bytes,
		                            "licence", known->licence);
		json_t *const aliases = json_array();
		char copy[NAMES];
		snprintf(copy, sizeof copy, "%s", known->aliases);
		for (char *at = copy, *one; (one = strsep(&at, " "));)
			if (*one)
				json_array_append_new(aliases, json_string(one));
		json_object_set_new(o, "aliases", aliases);
		if (e && e->model)
			add_loaded(m, o, e);
		else if (e)
			json_object_set_new(o, "error", json_string(e->error));
		json_array_append_new(out, o);
	}
	pthread_mutex_unlock(&m->lock);
	sn_model_list_free(&list);
	return out;
}

json_t *sv_models_one(sv_models *m, const char *name) {
	json_t *const all = sv_models_json(m, 0);
	json_t *one, *alias, *found = NULL;
	size_t i, k;
	json_array_foreach(all, i, one) {
		int same = strcasecmp(json_string_value(json_object_get(one, "name")), name) == 0;
		json_array_foreach(json_object_get(one, "aliases"), k, alias)
			same |= strcasecmp(json_string_value(alias), name) == 0;
		if (same && !found)
			found = json_incref(one);
	}
	json_decref(all);
	return found;
}

void sv_models_version(const sv_model_use *use, uint8_t version[32]) { memcpy(version, use->entry->version, 32); }
