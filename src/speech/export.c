/* Models as ONNX files for other programs: see docs/onnx.md for what is written. */
#include "speech/engine.h"

#include "base/json.h"
#include "nn/export.h"
#include "nn/ort/onnx.h"
#include "speech/checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1 /* of the directory's form */

/* ---- what is said of it ---- */

static int by_name(const void *a, const void *b) {
	const json_t *const one = json_object_get(*(json_t *const *)a, "name"), *const other = json_object_get(*(json_t *const *)b, "name");
	return strcmp(json_string_value(one), json_string_value(other));
}

/* As a directory lists them is no order. */
static json_t *sorted(json_t *names) {
	const size_t count = json_array_size(names);
	json_t **const items = malloc((count + 1) * sizeof(json_t *)), *list = items ? json_array() : NULL;
	for (size_t i = 0; items && i < count; i++)
		items[i] = json_array_get(names, i);
	if (items)
		qsort(items, count, sizeof *items, by_name);
	for (size_t i = 0; list && i < count; i++)
		json_array_append(list, items[i]);
	free(items);
	json_decref(names);
	return list;
}

static json_t *texts(const char *const *list, int count) {
	json_t *all = json_array();
	for (int i = 0; list && i < count; i++)
		json_array_append_new(all, json_string(list[i]));
	return all;
}

static json_t *ids(const int32_t *list, int count) {
	json_t *all = json_array();
	for (int i = 0; i < count; i++)
		json_array_append_new(all, json_integer(list[i]));
	return all;
}

/* What a program needs to decode with it; -1: there is no such token. */
static json_t *whisper_json(const sn_whisper_config *c) {
	json_t *languages = json_object(), *aligned = json_array();
	for (int i = 0; i < c->languages && c->multilingual; i++)
		json_object_set_new(languages, c->language[i].code, json_integer(c->language[i].token));
	for (int i = 0; i < c->alignment_count; i++)
		json_array_append_new(aligned, json_pack("[i, i]", c->alignment[i].layer, c->alignment[i].head));
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:o}", "mels", c->mels,
		"source_positions", c->source_positions, "target_positions", c->target_positions, "multilingual", c->multilingual,
		"eot", c->eot, "sot", c->sot, "translate", c->translate, "transcribe", c->transcribe, "previous", c->sot_prev,
		"no_speech", c->no_speech, "no_timestamps", c->no_timestamps, "timestamp_begin", c->timestamp_begin,
		"suppress", ids(c->suppress, c->suppress_count), "suppress_first", ids(c->begin_suppress, c->begin_suppress_count),
		"language_tokens", languages, "alignment_heads", aligned);
}

static json_t *manifest(const sn_model *m, const sn_model_place *place, json_t *graphs, json_t *files) {
	static const char *const tasks[] = { "", "transcribe", "speak", "vad", "vocode", "embed", "denoise", "score", "punctuate" };
	sn_model_info info;
	sn_model_describe(m, &info);
	if (m->wav2vec2 && sn_wav2vec2_get_config(m->wav2vec2)->adapters)
		info.language_count = 1; /* the graphs are of the first; each other would be graphs of its own */
	json_t *const o = json_pack("{s:s, s:i, s:s, s:i, s:i, s:o, s:s, s:s, s:s, s:s, s:i, s:I, s:o, s:o}", "format", "sonant-onnx",
		"version", VERSION, "sonant", sn_version(), "ir", ONNX_IR, "opset", ONNX_OPSET, "model", sn_json_string(m->name),
		"architecture", info.architecture, "task", tasks[info.task], "licence", place->entry ? place->entry->licence : "",
		"origin", place->entry ? place->entry->origin : "", "sample_rate", info.sample_rate, "parameters", (json_int_t)info.parameters,
		"languages", texts(info.languages, info.language_count), "files", sorted(files));
	if (o)
		json_object_update(o, graphs);
	if (o && m->whisper)
		json_object_set_new(o, "whisper", whisper_json(sn_whisper_get_config(m->whisper)));
	return o;
}

static int write_manifest(const sn_whole *to, json_t *said, char *err) {
	char *const text = said ? sn_json_dumps(said, JSON_INDENT(1) | JSON_ENSURE_ASCII) : NULL;
	const int result = text ? sn_whole_write(to, SN_EXPORT_MANIFEST, text, strlen(text), err)
	                        : sn_fail(err, SN_E_MEMORY, "no memory for what is said of an export");
	free(text);
	json_decref(said);
	return result;
}

/* ---- all of it ---- */

/* Loading writes the graphs. The model is in no list and takes no vocoder, so other loads may go on beside it: also those of the caller's
 * progress, inside of this one. */
static int load(sn_model **out, sn_engine *engine, const sn_model_place *place, const char *label, const sn_export_options *o,
                nn_exports *exports, char *err) {
	const sn_model_request request = { .label = label, .dtype = NN_DTYPE_F32, .backend = "cpu", .exports = exports,
		.windows = o->windows ? o->windows : 1, .sequences = o->sequences ? o->sequences : 1 };
	return sn_model_take(out, engine, place, &request, err);
}

static int export_into(const sn_whole *to, sn_engine *engine, const sn_model_place *place, const char *label,
                       const sn_export_options *o, char *err) {
	nn_exports *exports;
	sn_model *model = NULL;
	json_t *graphs = NULL, *files = json_array();
	int result = nn_exports_open(&exports, to->path, o->progress, o->payload, err);
	if (result == SN_OK)
		result = load(&model, engine, place, label, o, exports, err);
	if (result == SN_OK)
		result = nn_exports_finish(exports, &graphs, err);
	if (result == SN_OK)
		result = sn_checkpoint_copy(to, place->path, label, 0, files, err);
	if (result == SN_OK)
		result = write_manifest(to, manifest(model, place, graphs, json_incref(files)), err);
	json_decref(files);
	json_decref(graphs);
	sn_model_release(&model);
	nn_exports_close(&exports);
	return result;
}

static int check(const sn_export_options *o, char *err) {
	if (o->format && strcmp(o->format, "onnx") != 0)
		return sn_fail(err, SN_E_ARGUMENT, "the format '%.40s' is none that models are exported in: \"onnx\"", o->format);
	if (o->sequences < 0 || o->sequences > SN_EXPORT_MAX || o->windows < 0 || o->windows > SN_EXPORT_MAX)
		return sn_fail(err, SN_E_ARGUMENT, "%d sequences and %d windows asked for; 1 to %d are right, 0 means 1", o->sequences,
		               o->windows, SN_EXPORT_MAX);
	return SN_OK;
}

int sn_model_export(sn_engine *engine, const char *name, const sn_export_options *options, const char *dir, char *err) {
	static const sn_export_options defaults;
	const sn_export_options *const o = options ? options : &defaults;
	sn_model_place place;
	const char *label;
	sn_whole whole;
	errno = 0;
	int result = check(o, err);
	if (result == SN_OK)
		result = sn_model_locate(&place, &label, engine, name, o->task, err);
	if (result == SN_OK)
		result = sn_whole_begin(&whole, dir, err);
	if (result != SN_OK)
		return sn_fail_memory(result, err);
	result = export_into(&whole, engine, &place, label, o, err);
	if (result == SN_OK && errno == ENOMEM) /* what is said may lack a part */
		result = sn_fail(err, SN_E_MEMORY, "no memory to export '%.200s'", name);
	if (result == SN_OK)
		result = sn_whole_keep(&whole, err);
	else
		result = sn_fail_memory(result, err);
	sn_whole_drop(&whole);
	return result;
}
