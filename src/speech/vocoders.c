#include "speech/vocoders.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- layouts in words ---- */

static void add(char out[SN_MEL_TEXT], const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(char out[SN_MEL_TEXT], const char *format, ...) {
	const size_t used = strlen(out);
	size_t at = used;
	if (used && used + 2 < SN_MEL_TEXT)
		at += (size_t)snprintf(out + used, SN_MEL_TEXT - used, ", ");
	va_list args;
	va_start(args, format);
	vsnprintf(out + at, SN_MEL_TEXT - at, format, args);
	va_end(args);
}

void sn_mel_describe(char out[SN_MEL_TEXT], const sn_mel_layout *m) {
	*out = 0;
	add(out, "%d mels", m->mels);
	if (m->sample_rate)
		add(out, "%d Hz", m->sample_rate);
	if (m->fft)
		add(out, "fft %d", m->fft);
	if (m->hop)
		add(out, "hop %d", m->hop);
	if (m->window)
		add(out, "window %d", m->window);
	if (m->high > 0)
		add(out, "from %g to %g Hz", (double)m->low, (double)m->high);
	if (m->scale)
		add(out, "%s scale", m->scale == SN_MEL_SLANEY ? "slaney" : "htk");
	if (m->log)
		add(out, "%s", m->log == SN_MEL_LOG_E ? "natural logarithm" : "logarithm to base 10");
	if (m->gain != 0 && m->gain != 1)
		add(out, "times %g", (double)m->gain);
	if (m->floor > 0)
		add(out, "floor %g", (double)m->floor);
	if (m->preemphasis != 0)
		add(out, "preemphasis %g", (double)m->preemphasis);
	if (m->normalised)
		add(out, "normalised to %s%g from %g dB at %g dB", m->symmetric ? "-/+" : "0..", (double)m->max_norm, (double)m->min_db,
		    (double)m->ref_db);
}

/* ---- finding ---- */

static const sn_mel_layout *layout_of(const sn_model *vocoder) { return &sn_vocoder_get_facts(vocoder->vocoder)->mel; }

static int check_fit(const sn_model *model, const sn_model *vocoder, char *err) {
	return sn_mel_layout_match(&model->facts->mel, model->name, layout_of(vocoder), vocoder->name, err);
}

static int ask(sn_model_request *request, const sn_model *model, const sn_model_place *place, char *err) {
	const char *label = sn_model_label(place);
	if (sn_model_task(label) != SN_TASK_VOCODE) /* perhaps a vocoder lies in the files of an acoustic model */
		label = sn_vocoder_accepts(place->path) ? "hifigan" : label;
	if (sn_model_task(label) != SN_TASK_VOCODE)
		return sn_fail(err, SN_E_UNSUPPORTED, "\"%s\" is %s%s, not a vocoder", place->name, label ? "a model of the kind " : "unknown",
		               label ? label : "");
	*request = (sn_model_request){ .label = label, .backend = model->backend_name, .dtype = sn_vocoder_dtype(model->dtype), .windows = model->windows_wanted };
	return SN_OK;
}

static int take(sn_model **out, const sn_model *model, const sn_model_place *place, char *err) {
	sn_model_request request;
	const int result = ask(&request, model, place, err);
	return result == SN_OK ? sn_model_take(out, model->engine, place, &request, err) : result;
}

/* mel: lives as long as the request. */
static void ask_griffin_lim(sn_model_request *request, sn_model_place *place, sn_mel_layout *mel, const sn_model *model) {
	*mel = model->facts->mel;
	mel->hop = mel->hop ? mel->hop : mel->window / 4; /* the usual overlap, where the files do not say */
	*request = (sn_model_request){ .label = SN_GRIFFIN_LIM, .backend = model->backend_name, .dtype = NN_DTYPE_F32, .windows = model->windows_wanted, .mel = mel };
	*place = (sn_model_place){ .name = SN_GRIFFIN_LIM };
	snprintf(place->path, sizeof place->path, "%s: %s", SN_GRIFFIN_LIM, model->mel);
}

static int take_griffin_lim(sn_model **out, const sn_model *model, char *err) {
	sn_model_request request;
	sn_model_place place;
	sn_mel_layout mel;
	ask_griffin_lim(&request, &place, &mel, model);
	return sn_model_take(out, model->engine, &place, &request, err);
}

/* The directory of the model's files: its parent and its own name. 0: too long, or gone. */
static int split_path(const sn_model *model, char parent[SN_STORE_PATH], char name[SN_STORE_NAME]) {
	char *const path = realpath(model->path, NULL);
	char *slash = path ? strrchr(path, '/') : NULL;
	if (slash && !sn_path_is_directory(path)) {
		*slash = 0;
		slash = strrchr(path, '/');
	}
	const int good = slash && snprintf(name, SN_STORE_NAME, "%s", slash + 1) < SN_STORE_NAME &&
	                 snprintf(parent, SN_STORE_PATH, "%.*s", (int)(slash - path), path) < SN_STORE_PATH;
	free(path);
	return good;
}

/* The vocoder that belongs to the model by its name: NAME-hifigan or NAME_hifigan beside it or in HOME/models, or the one that the
 * catalogue says, in either place. */
static int find_sibling(const sn_model *model, sn_model_place *place) {
	char parent[SN_STORE_PATH], name[SN_STORE_NAME], other[SN_STORE_NAME + 16], models[SN_STORE_PATH];
	const sn_store *const store = model->engine->store;
	if (!split_path(model, parent, name))
		return 0;
	const sn_catalogue_entry *const by_name = sn_store_vocoder(store, model->name);
	const sn_catalogue_entry *const pair = by_name ? by_name : sn_store_vocoder(store, name);
	if (!sn_path_join(models, sn_store_home(store), "models"))
		*models = 0;
	for (int i = 0; i < 6; i++) {
		if (i < 4)
			snprintf(other, sizeof other, "%s%chifigan", name, i % 2 ? '_' : '-');
		else
			snprintf(other, sizeof other, "%s", pair ? pair->directory : "");
		*place = (sn_model_place){ 0 };
		if (*other && sn_path_join(place->path, i < 2 || i == 4 ? parent : models, other) && sn_path_is_directory(place->path) &&
		    sn_vocoder_accepts(place->path)) {
			snprintf(place->name, sizeof place->name, "%.*s", SN_STORE_NAME - 1, other);
			return 1;
		}
	}
	return pair && sn_store_resolve(store, pair->name, place, NULL) == SN_OK;
}

/* Both layouts say enough to tell them from others, and agree in all that they say (SpeechT5's files leave its hop open). */
static int fits_exactly(const sn_model *model, const sn_model *vocoder) {
	const sn_mel_layout *const a = &model->facts->mel, *const b = layout_of(vocoder);
	return a->sample_rate && b->sample_rate && a->log && b->log && a->high > 0 && b->high > 0 && check_fit(model, vocoder, NULL) == SN_OK;
}

/* The first installed vocoder by name that fits exactly; SN_E_NOT_FOUND: none. Damaged ones are passed over. */
static int take_installed(sn_model **out, const sn_model *model, char *err) {
	sn_model_place *places;
	int count, result = sn_store_list(model->engine->store, &places, &count, err);
	if (result != SN_OK)
		return result;
	for (int i = 0; i < count && !*out; i++)
		if (sn_model_task(places[i].architecture) == SN_TASK_VOCODE && take(out, model, &places[i], NULL) == SN_OK &&
		    !fits_exactly(model, *out))
			sn_model_release(out);
	free(places);
	return *out ? SN_OK : SN_E_NOT_FOUND;
}

int sn_vocoder_of_model(sn_model **out, const sn_model *model, char *err) {
	sn_model_place place = { 0 };
	char why[SN_ERRLEN];
	*out = NULL;
	int result = SN_E_NOT_FOUND;
	snprintf(place.name, sizeof place.name, "%s", model->name);
	snprintf(place.path, sizeof place.path, "%s", model->path);
	if (sn_vocoder_accepts(model->path) || find_sibling(model, &place)) {
		result = take(out, model, &place, err);
		if (result == SN_OK && (result = check_fit(model, *out, err)) != SN_OK)
			sn_model_release(out);
		return result;
	}
	if (take_installed(out, model, why) == SN_OK)
		return SN_OK;
	result = take_griffin_lim(out, model, why);
	if (result == SN_OK)
		return SN_OK;
	return sn_fail(err, SN_E_NOT_FOUND, "the model \"%s\" makes spectrograms and needs a vocoder: none lies in or beside its files, "
	               "none that is installed fits (%s), and %.200s", model->name, model->mel, why);
}

int sn_vocoder_choose(sn_model **out, const sn_model *model, const char *name, char *err) {
	sn_engine *const engine = model->engine;
	*out = NULL;
	if (!name || !*name || strcmp(name, "default") == 0 || strcmp(name, "auto") == 0) {
		if (model->vocoder_result != SN_OK)
			return sn_fail(err, model->vocoder_result, "%s", model->vocoder_error);
		*out = model->own_vocoder;
		sn_model_retain(*out);
		return SN_OK;
	}
	sn_model_request request;
	sn_model_place place;
	sn_mel_layout mel;
	const int is_griffin_lim = strcmp(name, SN_GRIFFIN_LIM) == 0;
	if (is_griffin_lim)
		ask_griffin_lim(&request, &place, &mel, model);
	int result = is_griffin_lim ? SN_OK : sn_store_resolve(engine->store, name, &place, err);
	if (result == SN_OK && !is_griffin_lim)
		result = ask(&request, model, &place, err);
	if (result != SN_OK)
		return result;
	*out = sn_model_find(engine, &place, &request);
	if (!*out) { /* only then behind what is being loaded */
		pthread_mutex_lock(&engine->load_lock);
		result = sn_model_take(out, engine, &place, &request, err);
		pthread_mutex_unlock(&engine->load_lock);
	}
	if (result == SN_OK && !is_griffin_lim && (result = check_fit(model, *out, err)) != SN_OK)
		sn_model_release(out);
	return result;
}
