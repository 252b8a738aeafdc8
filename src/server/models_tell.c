/* What is known, installed and loaded, as the API tells it. */
#include "server/models_internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

static json_t *texts(const char *const *list, int count) {
	json_t *const out = json_array();
	for (int i = 0; list && i < count; i++)
		json_array_append_new(out, json_string(list[i]));
	return out;
}

static void add_capabilities(json_t *o, const sn_model_info *info) {
	const struct { const char *name; int has; } can[] = { { "language_detection", info->detects_language }, { "translation", info->translates },
		{ "streaming", info->streams }, { "words", info->has_words }, { "cloning", info->embeds }, { "presets", info->has_presets },
		{ "speed", info->has_speed }, { "pitch", info->has_pitch }, { "energy", info->has_energy }, { "temperature", info->has_temperature } };
	json_t *const list = json_array();
	for (size_t i = 0; i < sizeof can / sizeof *can; i++)
		if (can[i].has)
			json_array_append_new(list, json_string(can[i].name));
	json_object_set_new(o, "capabilities", list);
}

static void add_loaded(json_t *o, const sv_model_entry *e) {
	sn_model_info info;
	sn_model_describe(e->model, &info);
	json_object_set_new(o, "architecture", json_string(info.architecture));
	json_object_set_new(o, "dtype", json_string(info.precision));
	json_object_set_new(o, "parameters", json_integer(info.parameters));
	json_object_set_new(o, "memory", json_integer((json_int_t)e->memory));
	json_object_set_new(o, "sample_rate", json_integer(info.sample_rate));
	json_object_set_new(o, "languages", texts(info.languages, info.language_count));
	json_object_set_new(o, "emotions", texts(info.emotions, info.emotion_count));
	json_object_set_new(o, "voices", json_integer(info.speakers));
	json_object_set_new(o, "load_time", json_real(info.load_time));
	json_object_set_new(o, "idle", json_real(e->users ? 0 : sn_now() - e->used));
	json_object_set_new(o, "sessions", json_integer(e->users));
	add_capabilities(o, &info);
}

/* Whether "auto" stands for it, without a language: the first of the list that is installed, else the first other by name. */
static int is_default(const sv_models *m, const sn_model_list *list, const sn_model_entry *known) {
	char name[256];
	for (int at = 0; sv_models_candidate(m, known->task, at, name); at++) {
		const sn_catalogue_entry *const entry = sn_store_find(m->store, name);
		for (size_t i = 0; i < list->count; i++)
			if (strcasecmp(list->entries[i].name, entry ? entry->name : name) == 0 && list->entries[i].installed)
				return &list->entries[i] == known;
	}
	int first = known->installed && (known->task == SN_TASK_TRANSCRIBE || known->task == SN_TASK_SPEAK) && sv_models_are_open(m, known->task);
	for (size_t i = 0; i < list->count && first; i++)
		first = list->entries[i].task != known->task || !list->entries[i].installed || strcmp(known->name, list->entries[i].name) <= 0;
	return first;
}

static json_t *tell(const sv_models *m, const sn_model_list *list, const sn_model_entry *known) {
	static const char *const states[] = { [SV_MODEL_LOADING] = "loading", [SV_MODEL_READY] = "ready", [SV_MODEL_FAILED] = "failed" };
	const sv_model_entry *const e = sv_models_find(m, known->name);
	json_t *const o = json_pack("{s:s, s:s, s:s, s:b, s:s, s:I, s:s, s:b}", "name", known->name, "architecture", known->architecture, "task",
	                            sv_task_names[known->task], "installed", known->installed, "state",
	                            e ? states[e->state] : known->installed ? "installed" : "absent", "bytes", (json_int_t)known->bytes, "licence",
	                            known->licence, "is_default", is_default(m, list, known));
	const sn_catalogue_entry *const entry = sn_store_find(m->store, known->name);
	if (!o)
		return NULL;
	json_object_set_new(o, "aliases", entry ? texts(entry->aliases, entry->alias_count) : json_array());
	if (entry && entry->language_count)
		json_object_set_new(o, "languages", texts(entry->languages, entry->language_count));
	if (e && e->state == SV_MODEL_READY)
		add_loaded(o, e);
	else if (e && e->state == SV_MODEL_FAILED)
		json_object_set_new(o, "error", json_string(e->error));
	return o;
}

/* What is loaded, without a look at the disk. */
static json_t *tell_other(const sv_model_entry *e) {
	json_t *const o = json_pack("{s:s, s:s, s:s, s:b, s:s}", "name", e->name, "architecture", "", "task", sv_task_names[e->task], "installed", 1,
	                            "state", e->state == SV_MODEL_READY ? "ready" : e->state == SV_MODEL_LOADING ? "loading" : "failed");
	if (o && e->state == SV_MODEL_READY)
		add_loaded(o, e);
	else if (o && e->state == SV_MODEL_FAILED)
		json_object_set_new(o, "error", json_string(e->error));
	return o;
}

json_t *sv_models_json(sv_models *m, int task) {
	sn_model_list *list;
	json_t *const out = json_array();
	if (sn_model_list_read(&list, m->server->engine, NULL) != SN_OK)
		return out;
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < list->count; i++)
		if (!task || list->entries[i].task == task)
			json_array_append_new(out, tell(m, list, &list->entries[i]));
	for (int k = 0; k < m->count; k++) {
		size_t i = 0;
		while (i < list->count && strcasecmp(list->entries[i].name, m->entries[k]->name) != 0)
			i++;
		if (i == list->count && (!task || m->entries[k]->task == task))
			json_array_append_new(out, tell_other(m->entries[k]));
	}
	pthread_mutex_unlock(&m->lock);
	sn_model_list_free(&list);
	return out;
}

json_t *sv_models_states(sv_models *m) {
	json_t *const out = json_array();
	pthread_mutex_lock(&m->lock);
	for (int i = 0; i < m->count; i++)
		json_array_append_new(out, tell_other(m->entries[i]));
	pthread_mutex_unlock(&m->lock);
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
