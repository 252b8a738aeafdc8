/* Checkpoints with narrower weights: see weights/quantize.h for how they lie in the file. */
#include "speech/engine.h"

#include "base/json.h"
#include "models/vits.h"
#include "models/vocoder.h"
#include "speech/check.h"
#include "speech/checkpoint.h"
#include "weights/quantize.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION 1 /* of quantized.json */
#define FILE_NAME "model.safetensors"
#define MAX_TEXTS 4096
#define MAX_TEXT ((long)64 << 10) /* bytes of one */

typedef struct quantized {
	sn_quantized facts; /* first: callers see only this */
	sn_quantized_layer *layers;
	char *names;        /* of the layers, one behind the other */
	char model[SN_STORE_NAME], architecture[32];
} quantized;

void sn_quantized_free(sn_quantized **held) {
	quantized *q = (quantized *)*held;
	*held = NULL;
	if (!q)
		return;
	free(q->layers);
	free(q->names);
	free(q);
}

/* ---- what was done ---- */

static int64_t elements(const sn_weight *w) { return (int64_t)(w->bytes / sn_dtype_size(w->dtype)); }

static int report(quantized *out, const sn_quantized_weight *list, const sn_weights *w, char *err) {
	size_t room = 1, count = 0;
	double lost = 0, all = 0;
	for (size_t i = 0; i < sn_weights_count(w); i++) {
		count += list[i].rows && !list[i].same;
		room += strlen(list[i].from->name) + 1;
	}
	out->layers = calloc(count + 1, sizeof *out->layers);
	out->names = malloc(room);
	if (!out->layers || !out->names)
		return sn_fail(err, SN_E_MEMORY, "no memory for what is said of %zu tensors", count);
	char *name = out->names;
	sn_quantized *const f = &out->facts;
	for (size_t i = 0; i < sn_weights_count(w); i++) {
		const sn_quantized_weight *q = list + i;
		if (q->same)
			continue;
		f->parameters += q->from->rank > 0 && sn_weight_is_float(q->from) ? elements(q->from) : 0;
		f->bytes_before += (int64_t)q->from->bytes;
		f->bytes += (int64_t)q->bytes;
		if (!q->rows)
			continue;
		out->layers[f->layer_count++] = (sn_quantized_layer){ name, sn_dtype_name(q->dtype), q->rows, q->columns,
			(int64_t)q->from->bytes, (int64_t)q->bytes, q->error };
		lost += q->error * q->error * (double)elements(q->from);
		all += (double)elements(q->from);
		name = stpcpy(name, q->from->name) + 1;
	}
	f->bytes_f32 = 4 * f->parameters;
	f->error = all > 0 ? sqrt(lost / all) : 0;
	f->layers = out->layers;
	return SN_OK;
}

/* JSON has no other numbers. */
static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *said(const quantized *q, const sn_model_place *place) {
	const sn_quantized *const f = &q->facts;
	json_t *layers = json_array();
	for (size_t i = 0; i < f->layer_count; i++)
		json_array_append_new(layers, json_pack("{s:o, s:s, s:[I, I], s:I, s:o}", "name", sn_json_string(f->layers[i].name),
			"type", f->layers[i].type, "shape", (json_int_t)f->layers[i].rows, (json_int_t)f->layers[i].columns,
			"bytes", (json_int_t)f->layers[i].bytes, "error", number(f->layers[i].error)));
	return json_pack("{s:s, s:i, s:s, s:o, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "format", "sonant-quantized", "version", VERSION,
		"sonant", sn_version(), "model", sn_json_string(f->model), "architecture", f->architecture, "dtype", f->precision,
		"licence", place->entry ? place->entry->licence : "", "parameters", (json_int_t)f->parameters, "bytes", (json_int_t)f->bytes,
		"error", number(f->error), "layers", layers);
}

/* ---- writing ---- */

/* Narrower weights of a model that computes in one precision would only be widened again. */
static int check_use(const sn_model_place *place, const char *label, char *err) {
	nn_dtype fixed;
	if (!sn_model_fixed_dtype(&fixed, label, place->path))
		return SN_OK;
	return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%.100s\" (%s) computes in %s only: narrower weights would gain nothing",
	               place->name, label, sn_dtype_label(fixed));
}

/* The file among those at place->path that the model is read from. */
static int locate_weights(char path[SN_PATH_MAX], const sn_model_place *place, const char *label, char *err) {
	sn_vits_files files;
	if (sn_model_task(label) == SN_TASK_VOCODE)
		return sn_vocoder_locate(path, place->path, err);
	const int is_vits = strcmp(label, "vits") == 0 || strcmp(label, "yourtts") == 0;
	const int found = is_vits && sn_vits_locate(&files, place->path, NULL) == SN_OK;
	snprintf(path, SN_PATH_MAX, "%s", found ? files.weights : place->path);
	return SN_OK;
}

static int weights_of(sn_weights **out, const sn_model_place *place, const char *label, char *err) {
	char path[SN_PATH_MAX];
	const int is_graphs = strcmp(label, "whisper") == 0 && sn_whisper_is_export(place->path);
	*out = NULL;
	int result = is_graphs ? SN_OK : locate_weights(path, place, label, err);
	if (result == SN_OK && !is_graphs)
		result = sn_weights_open(out, path, err);
	if (result == SN_OK && (is_graphs || sn_weights_layout(*out) == SN_LAYOUT_ONNX)) {
		sn_weights_close(out);
		result = sn_fail(err, SN_E_UNSUPPORTED, "the weights of \"%.100s\" are inside of an ONNX graph, which is not rewritten; "
		                 "checkpoints of safetensors, CTranslate2 and PyTorch can be quantised", place->name);
	}
	return result;
}

static int write_weights(quantized *out, const sn_whole *to, const sn_weights *w, const sn_quantize_options *o, char *err) {
	const sn_dtype dtype = o->precision == SN_PRECISION_INT8 ? SN_I8 : SN_BF16;
	sn_quantized_weight *list;
	char path[SN_PATH_MAX];
	int result = sn_quantize_plan(&list, w, dtype, err);
	if (result == SN_OK && !sn_path_join(path, to->path, FILE_NAME))
		result = sn_fail(err, SN_E_ARGUMENT, "the path '%.200s' is too long", to->path);
	if (result == SN_OK)
		result = sn_quantize_write(list, w, dtype, path, o->progress, o->payload, err);
	if (result == SN_OK)
		result = report(out, list, w, err);
	if (result == SN_OK && !out->facts.layer_count)
		result = sn_fail(err, SN_E_UNSUPPORTED, "the model \"%.100s\" has no tensors that can be narrowed", out->model);
	free(list);
	return result;
}

static int write_said(const quantized *out, const sn_whole *to, const sn_model_place *place, char *err) {
	json_t *const object = said(out, place);
	char *const text = object ? sn_json_dumps(object, JSON_INDENT(1) | JSON_ENSURE_ASCII) : NULL;
	const int result = text ? sn_whole_write(to, SN_QUANTIZED_MANIFEST, text, strlen(text), err)
	                        : sn_fail(err, SN_E_MEMORY, "no memory for what is said of a checkpoint");
	free(text);
	json_decref(object);
	return result;
}

/* ---- measuring ---- */

typedef struct measuring {
	sn_engine *engine;
	sn_model *model, *ear; /* ear: of a model that speaks */
	const sn_quantize_options *o;
	sn_normaliser *normaliser;
	int64_t words, errors;
	int texts;
} measuring;

static int is_text(const struct dirent *entry) { return entry->d_name[0] != '.' && sn_path_ends_with(entry->d_name, ".txt"); }

static int read_text(const char *path, char **text, size_t *size, char *err) {
	FILE *file = fopen(path, "re");
	*text = file ? malloc((size_t)MAX_TEXT) : NULL;
	*size = *text ? fread(*text, 1, (size_t)MAX_TEXT, file) : 0;
	const int result = !file ? sn_fail_errno(err, "cannot open '%.300s'", path)
	                   : !*text ? sn_fail(err, SN_E_MEMORY, "no memory for a text")
	                   : *size < (size_t)MAX_TEXT ? SN_OK
	                   : sn_fail(err, SN_E_LIMIT, "'%.300s' has more than %ld bytes", path, MAX_TEXT);
	if (file)
		fclose(file);
	return result;
}

static int clip_of(const char *text, char path[SN_PATH_MAX], char *err) {
	static const char *const endings[] = { "wav", "flac", "mp3", "ogg", "opus", "m4a" };
	const int stem = (int)strlen(text) - 3;
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
		if (snprintf(path, SN_PATH_MAX, "%.*s%s", stem, text, endings[i]) < SN_PATH_MAX && access(path, F_OK) == 0)
			return SN_OK;
	return sn_fail(err, SN_E_NOT_FOUND, "'%.300s' has no clip beside it (.wav, .flac, .mp3, .ogg, .opus, .m4a)", text);
}

/* What is understood of the clip of a text, or of the text when the model speaks it. */
static int understand(measuring *m, const char *path, const char *text, size_t size, sn_transcript **out, char *err) {
	const sn_stt_options hear = { .language = m->o->language, .beam = 1, .fallback = SN_OFF };
	char clip[SN_PATH_MAX];
	if (!m->ear) {
		const int result = clip_of(path, clip, err);
		return result == SN_OK ? sn_transcribe_file(out, m->model, clip, &hear, err) : result;
	}
	const sn_tts_options speak = { .language = m->o->language, .check = SN_OFF, .retries = -1 };
	void *sound;
	size_t bytes;
	int result = sn_speak_memory(&sound, &bytes, m->model, text, size, "wav", &speak, NULL, err);
	if (result == SN_OK)
		result = sn_transcribe_memory(out, m->ear, sound, bytes, &hear, err);
	free(sound);
	return result;
}

static int measure_text(measuring *m, const char *path, char *err) {
	char *text;
	size_t size;
	int words = 0, errors = 0;
	sn_transcript *heard = NULL;
	int result = read_text(path, &text, &size, err);
	if (result == SN_OK && m->o->progress && m->o->progress(m->o->payload, path, -1))
		result = sn_fail(err, SN_E_CANCELLED, "the quantisation was cancelled");
	if (result == SN_OK)
		result = understand(m, path, text, size, &heard, err);
	if (result == SN_OK)
		result = sn_word_errors(m->normaliser, text, size, heard->text, strlen(heard->text), &words, &errors, err);
	m->words += words;
	m->errors += errors;
	m->texts++;
	sn_transcript_free(&heard);
	free(text);
	return result;
}

/* Word errors of the model at `path`. */
static int measure(measuring *m, const char *path, sn_precision precision, double *wer, char *err) {
	struct dirent **list = NULL;
	char text[SN_PATH_MAX];
	sn_model_info info;
	m->words = m->errors = m->texts = 0;
	const int count = scandir(m->o->measure, &list, is_text, alphasort);
	int result = count < 0 ? sn_fail_errno(err, "cannot read '%.200s'", m->o->measure) : SN_OK;
	if (result == SN_OK && (count == 0 || count > MAX_TEXTS))
		result = sn_fail(err, SN_E_ARGUMENT, "'%.200s' holds %d texts (*.txt); 1 to %d are measured", m->o->measure, count, MAX_TEXTS);
	if (result == SN_OK)
		result = sn_model_load(&m->model, m->engine, path, &(sn_model_options){ .precision = precision }, err);
	if (result == SN_OK)
		sn_model_describe(m->model, &info);
	if (result == SN_OK && info.task != SN_TASK_TRANSCRIBE && info.task != SN_TASK_SPEAK)
		result = sn_fail(err, SN_E_UNSUPPORTED, "only models that transcribe or speak are measured");
	if (result == SN_OK && info.task == SN_TASK_SPEAK && !m->ear)
		result = sn_model_load(&m->ear, m->engine, "auto", &(sn_model_options){ .task = SN_TASK_TRANSCRIBE }, err);
	if (result == SN_OK && !m->normaliser)
		result = sn_normaliser_open(&m->normaliser, m->o->language ? m->o->language : info.language_count ? info.languages[0] : "en",
		                            err);
	for (int i = 0; i < count; i++) {
		if (result == SN_OK)
			result = sn_path_join(text, m->o->measure, list[i]->d_name) ? measure_text(m, text, err)
			                                                            : sn_fail(err, SN_E_ARGUMENT, "a path is too long");
		free(list[i]);
	}
	free(list);
	sn_model_release(&m->model);
	*wer = m->words ? (double)m->errors / (double)m->words : 0;
	return result;
}

/* What was written loads; and how well it does. */
static int try(quantized *out, const sn_whole *made, const sn_engine *engine, const sn_model_place *place,
               const sn_quantize_options *o, char *err) {
	const sn_engine_options options = { .threads = engine->threads, .home = sn_store_home(engine->store), .no_cache = 1,
		.max_memory = (int64_t)engine->max_memory };
	measuring m = { .o = o };
	sn_model *model = NULL;
	char why[SN_ERRLEN];
	int result = sn_engine_open(&m.engine, &options, err);
	if (result == SN_OK) {
		result = sn_model_load(&model, m.engine, made->path, &(sn_model_options){ .precision = o->precision }, why);
		if (result != SN_OK)
			sn_fail(err, result, "the quantised checkpoint of \"%.100s\" cannot be loaded: %s", place->name, why);
		sn_model_release(&model);
	}
	if (result == SN_OK && o->measure)
		result = measure(&m, place->path, SN_PRECISION_F32, &out->facts.wer_before, err);
	if (result == SN_OK && o->measure)
		result = measure(&m, made->path, o->precision, &out->facts.wer_after, err);
	out->facts.texts = m.texts;
	out->facts.words = m.words;
	sn_model_release(&m.ear);
	sn_normaliser_close(&m.normaliser);
	sn_engine_close(&m.engine);
	return result;
}

/* ---- all of it ---- */

static int quantize_into(quantized *out, const sn_whole *to, const sn_engine *engine, const sn_model_place *place,
                         const sn_weights *weights, const sn_quantize_options *o, char *err) {
	json_t *names = json_array();
	int result = write_weights(out, to, weights, o, err);
	if (result == SN_OK)
		result = sn_checkpoint_copy(to, place->path, out->architecture, 1, names, err);
	if (result == SN_OK)
		result = write_said(out, to, place, err);
	json_decref(names);
	return result == SN_OK ? try(out, to, engine, place, o, err) : result;
}

static quantized *new_facts(const sn_model_place *place, const char *label, sn_precision precision) {
	quantized *q = calloc(1, sizeof *q);
	if (!q)
		return NULL;
	snprintf(q->model, sizeof q->model, "%s", place->name);
	snprintf(q->architecture, sizeof q->architecture, "%s", label);
	q->facts = (sn_quantized){ .model = q->model, .architecture = q->architecture,
		.precision = precision == SN_PRECISION_INT8 ? "int8" : "bf16" };
	return q;
}

int sn_model_quantize(sn_quantized **held, sn_engine *engine, const char *name, const sn_quantize_options *o, const char *dir,
                      char *err) {
	sn_model_place place;
	const char *label;
	sn_whole whole;
	sn_weights *weights = NULL;
	*held = NULL;
	*whole.path = 0;
	errno = 0;
	if (!o || (o->precision != SN_PRECISION_INT8 && o->precision != SN_PRECISION_BF16))
		return sn_fail(err, SN_E_ARGUMENT, "a precision is needed: int8 or bf16");
	int result = sn_model_locate(&place, &label, engine, name, o->task, err);
	if (result == SN_OK)
		result = check_use(&place, label, err);
	if (result == SN_OK)
		result = weights_of(&weights, &place, label, err);
	if (result == SN_OK)
		result = sn_whole_begin(&whole, dir, err);
	quantized *const out = result == SN_OK ? new_facts(&place, label, o->precision) : NULL;
	if (result == SN_OK)
		result = out ? quantize_into(out, &whole, engine, &place, weights, o, err)
		             : sn_fail(err, SN_E_MEMORY, "no memory for what is said of a checkpoint");
	sn_weights_close(&weights);
	if (result == SN_OK && errno == ENOMEM) /* what is said may lack a part */
		result = sn_fail(err, SN_E_MEMORY, "no memory to quantise '%.200s'", name);
	result = result == SN_OK ? sn_whole_keep(&whole, err) : sn_fail_memory(result, err);
	sn_whole_drop(&whole);
	*held = out ? &out->facts : NULL;
	if (result != SN_OK)
		sn_quantized_free(held);
	return result;
}
