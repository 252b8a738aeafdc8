/* Loading, sharing and describing models. */
#include "speech/engine.h"

#include "base/clock.h"
#include "base/hash.h"
#include "nn/cpu/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_WINDOWS 8
#define MIN_ROWS SN_SEARCH_MAX_BEAM

static const struct {
	const char *name;
	sn_architecture architecture;
	sn_task task;
} architectures[] = {
	{ "whisper", SN_ARCH_WHISPER, SN_TASK_TRANSCRIBE },
	{ "vits", SN_ARCH_VITS, SN_TASK_SPEAK },
	{ "silero-vad", SN_ARCH_SILERO, SN_TASK_VAD },
};
#define ARCHITECTURES (sizeof architectures / sizeof architectures[0])

static const char *const task_names[] = { [SN_TASK_TRANSCRIBE] = "transcribe", [SN_TASK_SPEAK] = "speak", [SN_TASK_VAD] = "vad" };

const char *sn_dtype_label(nn_dtype dtype) {
	static const char *const labels[] = { [NN_DTYPE_F32] = "f32", [NN_DTYPE_BF16] = "bf16", [NN_DTYPE_INT8] = "int8" };
	return labels[dtype];
}

static int task_of(const char *architecture) {
	for (size_t i = 0; i < ARCHITECTURES; i++)
		if (strcmp(architectures[i].name, architecture) == 0)
			return architectures[i].task;
	return 0;
}

void sn_model_retain(sn_model *model) {
	pthread_mutex_lock(&model->engine->models_lock);
	model->references++;
	pthread_mutex_unlock(&model->engine->models_lock);
}

static void destroy(sn_model *model) {
	sn_lane_close(&model->lane);
	sn_whisper_close(&model->whisper);
	sn_vits_close(&model->vits);
	sn_piper_close(&model->piper);
	sn_chars_close(&model->chars);
	sn_silero_close(&model->silero);
	free(model);
}

void sn_model_release(sn_model **held) {
	sn_model *model = *held;
	*held = NULL;
	if (!model)
		return;
	sn_engine *engine = model->engine;
	pthread_mutex_lock(&engine->models_lock);
	int left = --model->references;
	for (sn_model **at = &engine->models; !left && *at; at = &(*at)->next)
		if (*at == model) {
			*at = model->next;
			break;
		}
	pthread_mutex_unlock(&engine->models_lock);
	if (left)
		return;
	destroy(model);
	sn_engine_close(&engine);
}

/* ---- choosing ---- */

static nn_dtype choose_dtype(const sn_engine *engine, sn_precision asked, const sn_model_place *place) {
	const sn_precision precision = asked != SN_AUTO ? asked : engine->precision;
	if (precision != SN_AUTO)
		return precision == SN_PRECISION_F32 ? NN_DTYPE_F32 : precision == SN_PRECISION_BF16 ? NN_DTYPE_BF16 : NN_DTYPE_INT8;
	const unsigned cpu = nn_cpu_detect();
	if ((cpu & NN_CPU_VNNI) && place->entry && sn_catalogue_allows(place->entry, "int8"))
		return NN_DTYPE_INT8;
	int bf16 = (cpu & NN_CPU_BF16) && (!place->entry || sn_catalogue_allows(place->entry, "bf16"));
	return bf16 ? NN_DTYPE_BF16 : NN_DTYPE_F32;
}

/* Where the model of that name lies; "auto": the first of the task's defaults that is installed. */
static int resolve(const sn_engine *engine, const char *name, int task, sn_model_place *place, char *err) {
	if (name && *name && strcmp(name, "auto") != 0)
		return sn_store_resolve(engine->store, name, place, err);
	if (task < SN_TASK_TRANSCRIBE || task > SN_TASK_VAD)
		return sn_fail(err, SN_E_ARGUMENT, "model \"auto\" needs a task: transcribe, speak or vad");
	int result = SN_E_NOT_FOUND;
	char why[SN_ERRLEN] = "no model is known for the task";
	for (int i = 0; (name = sn_store_default(engine->store, task_names[task], i)); i++) {
		result = sn_store_resolve(engine->store, name, place, i ? NULL : why);
		if (result != SN_E_NOT_FOUND)
			break;
	}
	return result == SN_OK ? SN_OK : sn_fail(err, result, "%s", why);
}

/* ---- loading ---- */

static int load_whisper(sn_model *m, const sn_load_options *load, char *err) {
	int result = sn_whisper_open(&m->whisper, load, err);
	if (result != SN_OK)
		return result;
	const sn_whisper_config *const c = sn_whisper_get_config(m->whisper);
	for (int i = 0; i < c->languages && c->multilingual; i++)
		m->languages[i] = c->language[i].code;
	m->languages[0] = c->multilingual ? m->languages[0] : "en";
	return sn_lane_open(&m->lane, m->whisper, load->windows, load->rows, m->engine->sched, m->engine->pool, err);
}

static int load_vits(sn_model *m, const sn_load_options *load, char *err) {
	sn_vits_files files;
	int result = sn_vits_locate(&files, m->path, err);
	if (result == SN_OK && files.piper) {
		result = sn_piper_open(&m->piper, files.json, err);
		if (result == SN_OK && sn_piper_get_config(m->piper)->phonemize) /* where it is missing, the first sentence says so */
			sn_phonemizer_prestart(m->engine->phonemizer, sn_piper_get_config(m->piper)->espeak_voice, NULL);
	} else if (result == SN_OK) {
		result = sn_chars_open(&m->chars, m->path, err);
	}
	if (result == SN_OK)
		result = sn_vits_open(&m->vits, load, err);
	if (result != SN_OK)
		return result;
	const char *language = m->piper ? sn_piper_get_config(m->piper)->language : sn_chars_get_config(m->chars)->language;
	snprintf(m->language, sizeof m->language, "%s", language);
	m->languages[0] = m->language;
	return SN_OK;
}

static int load(sn_model *m, const sn_model_place *place, char *err) {
	char pack[SN_STORE_PATH] = "", note[SN_ERRLEN], variant[96];
	const double start = sn_now();
	const int rows = m->windows * SN_LANE_BEST_OF;
	if (!m->engine->no_cache) {
		snprintf(variant, sizeof variant, "%s-%s", sn_dtype_label(m->dtype), nn_kernels_best()->name);
		sn_store_packed_path(m->engine->store, place->name, sn_hash_text(SN_HASH_INIT, place->path), variant, pack, note);
	}
	struct stat before;
	m->from_cache = *pack && stat(pack, &before) == 0;
	const sn_load_options options = { .dir = place->path, .dtype = m->dtype, .pool = m->engine->pool, .windows = m->windows,
	                                  .pack_path = *pack ? pack : NULL, .rows = rows < MIN_ROWS ? MIN_ROWS : rows };
	int result;
	if (m->architecture == SN_ARCH_WHISPER)
		result = load_whisper(m, &options, err);
	else if (m->architecture == SN_ARCH_VITS)
		result = load_vits(m, &options, err);
	else
		result = sn_silero_open(&m->silero, &options, err);
	m->load_time = sn_now() - start;
	return result;
}

static sn_model *find_loaded(sn_engine *engine, const sn_model_place *place, nn_dtype dtype, int windows) {
	pthread_mutex_lock(&engine->models_lock);
	sn_model *m = engine->models;
	while (m && (strcmp(m->path, place->path) != 0 || m->dtype != dtype || m->windows != windows))
		m = m->next;
	if (m)
		m->references++;
	pthread_mutex_unlock(&engine->models_lock);
	return m;
}

static int load_new(sn_model **out, sn_engine *engine, const sn_model_place *place, nn_dtype dtype, int windows, char *err) {
	sn_model *m = calloc(1, sizeof *m);
	if (!m)
		return sn_fail(err, SN_E_MEMORY, "no memory for a model");
	m->engine = engine;
	m->references = 1;
	m->dtype = dtype;
	m->windows = windows;
	for (size_t i = 0; i < ARCHITECTURES; i++)
		if (strcmp(architectures[i].name, place->architecture) == 0)
			m->architecture = architectures[i].architecture;
	snprintf(m->name, sizeof m->name, "%s", place->name);
	snprintf(m->path, sizeof m->path, "%s", place->path);
	int result = load(m, place, err);
	if (result != SN_OK) {
		destroy(m);
		return result;
	}
	pthread_mutex_lock(&engine->models_lock);
	engine->references++;
	m->next = engine->models;
	engine->models = m;
	pthread_mutex_unlock(&engine->models_lock);
	*out = m;
	return SN_OK;
}

int sn_model_load(sn_model **out, sn_engine *engine, const char *name, const sn_model_options *options, char *err) {
	static const sn_model_options defaults;
	const sn_model_options *const o = options ? options : &defaults;
	sn_model_place place;
	*out = NULL;
	if (o->windows < 0 || o->windows > SN_LANE_MAX_WINDOWS)
		return sn_fail(err, SN_E_ARGUMENT, "%d windows asked for; 1 to %d can be decoded together", o->windows,
		               SN_LANE_MAX_WINDOWS);
	if (o->precision < SN_AUTO || o->precision > SN_PRECISION_INT8)
		return sn_fail(err, SN_E_ARGUMENT, "precision %d is none of sn_precision", (int)o->precision);
	if (o->task < 0 || o->task > SN_TASK_VAD)
		return sn_fail(err, SN_E_ARGUMENT, "task %d is none of sn_task", o->task);
	int result = resolve(engine, name, o->task, &place, err);
	if (result != SN_OK)
		return result;
	const int task = task_of(place.architecture);
	if (!task)
		return sn_fail(err, SN_E_MODEL, "%s holds no model that this version knows (Whisper, VITS, Silero VAD)", place.path);
	if (o->task && o->task != task)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" is a %s model: it cannot be used to %s", place.name,
		               place.architecture,
		               o->task == SN_TASK_VAD ? "detect speech" : task_names[o->task]);
	const nn_dtype dtype = task == SN_TASK_VAD ? NN_DTYPE_F32 : choose_dtype(engine, o->precision, &place);
	const int windows = o->windows ? o->windows : DEFAULT_WINDOWS;
	if ((*out = find_loaded(engine, &place, dtype, windows)) != NULL)
		return SN_OK; /* without waiting for another model that is being loaded */
	pthread_mutex_lock(&engine->load_lock);
	*out = find_loaded(engine, &place, dtype, windows);
	if (!*out)
		result = load_new(out, engine, &place, dtype, windows, err);
	pthread_mutex_unlock(&engine->load_lock);
	return result;
}

/* ---- describing ---- */

void sn_model_describe(const sn_model *m, sn_model_info *info) {
	*info = (sn_model_info){ .name = m->name, .path = m->path, .architecture = architectures[m->architecture].name,
		.precision = sn_dtype_label(m->dtype), .task = architectures[m->architecture].task, .sample_rate = SN_STT_RATE,
		.languages = m->languages, .windows = m->windows, .load_time = m->load_time, .from_cache = m->from_cache };
	if (m->whisper) {
		const sn_whisper_config *const c = sn_whisper_get_config(m->whisper);
		info->parameters = sn_whisper_parameters(m->whisper);
		info->language_count = c->multilingual ? c->languages : 1;
		info->detects_language = c->multilingual;
		info->translates = c->multilingual && c->translate >= 0;
		info->streams = 1;
	}
	if (m->vits) {
		const sn_vits_config *const c = sn_vits_get_config(m->vits);
		info->parameters = sn_vits_parameters(m->vits);
		info->sample_rate = c->sample_rate;
		info->language_count = *m->language != 0;
		info->speakers = c->speakers;
		info->streams = info->has_speed = 1;
	}
}

/* What a list's texts point to. */
typedef struct model_list {
	sn_model_list list; /* first: callers see only this */
	sn_model_place *places;
	char (*aliases)[SN_STORE_NAME], (*paths)[SN_STORE_PATH];
} model_list;

static void list_aliases(char out[SN_STORE_NAME], const sn_catalogue_entry *entry) {
	size_t used = 0;
	*out = 0;
	for (int i = 0; i < entry->alias_count && used < SN_STORE_NAME; i++)
		used += (size_t)snprintf(out + used, SN_STORE_NAME - used, "%s%s", i ? " " : "", entry->aliases[i]);
}

static const sn_model_place *installed_place(const model_list *l, int count, const sn_catalogue_entry *entry) {
	for (int i = 0; i < count; i++)
		if (l->places[i].entry == entry)
			return &l->places[i];
	return NULL;
}

static void fill_list(model_list *l, const sn_store *store, int known, int installed) {
	for (int i = 0; i < known; i++) {
		const sn_catalogue_entry *const e = sn_store_at(store, i);
		const sn_model_place *const place = installed_place(l, installed, e);
		snprintf(l->paths[i], sizeof l->paths[i], "%.*s/models/%s", SN_STORE_PATH / 2, sn_store_home(store), e->directory);
		list_aliases(l->aliases[i], e);
		l->list.entries[l->list.count++] = (sn_model_entry){ .name = e->name, .architecture = e->architecture,
			.licence = e->licence,
			.source = e->origin, .aliases = l->aliases[i], .task = task_of(e->architecture), .bytes = (uint64_t)e->size,
			.installed = place != NULL, .path = place ? place->path : l->paths[i] };
	}
	for (int i = 0; i < installed; i++) {
		const sn_model_place *const p = &l->places[i];
		if (!p->entry)
			l->list.entries[l->list.count++] = (sn_model_entry){ .name = p->name, .architecture = p->architecture, .licence = "",
				.source = "",
				.aliases = "", .task = task_of(p->architecture), .installed = 1, .path = p->path };
	}
}

int sn_model_list_read(sn_model_list **out, sn_engine *engine, char *err) {
	*out = NULL;
	int installed = 0, known = sn_store_count(engine->store);
	model_list *l = calloc(1, sizeof *l);
	int result = l ? sn_store_list(engine->store, &l->places, &installed, err) : SN_E_MEMORY;
	if (result == SN_OK) {
		l->list.entries = calloc((size_t)(known + installed), sizeof *l->list.entries);
		l->aliases = calloc((size_t)known, sizeof *l->aliases);
		l->paths = calloc((size_t)known, sizeof *l->paths);
	}
	sn_model_list *list = l ? &l->list : NULL;
	if (result == SN_E_MEMORY || (result == SN_OK && (!l->list.entries || !l->aliases || !l->paths)))
		result = sn_fail(err, SN_E_MEMORY, "no memory for a list of models");
	if (result == SN_OK)
		fill_list(l, engine->store, known, installed);
	else
		sn_model_list_free(&list);
	*out = list;
	return result;
}

void sn_model_list_free(sn_model_list **held) {
	model_list *l = (model_list *)*held;
	*held = NULL;
	if (!l)
		return;
	free(l->list.entries);
	free(l->places);
	free(l->aliases);
	free(l->paths);
	free(l);
}
