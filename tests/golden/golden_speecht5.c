#include "golden.h"

#include "models/speecht5.h"
#include "models/vocoder.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PUSH 32 /* frames */

/* One synthesis of the fixture and what its steps gave. */
typedef struct run {
	golden *g;
	sn_speecht5 *model;
	sn_speecht5_stream *stream;
	const sn_speecht5_config *c;
	char prefix[64];  /* "nodrop_" */
	int64_t ids, steps;
	float *stop, *prenet, *cross; /* [steps, reduction], [steps, width], [steps, layers * heads, ids] */
	int64_t width;
} run;

static const char *name_of(const run *r, const char *tail, char name[160]) {
	snprintf(name, 160, "%s%s", r->prefix, tail);
	return name;
}

/* Appends a tensor of the last step. */
static int64_t keep(run *r, const char *tensor, float **list, int64_t used, int64_t cols) {
	char err[SN_ERRLEN];
	float *values;
	int rank;
	int64_t dims[NN_MAX_RANK], count = 1;
	if (sn_speecht5_tensor(r->stream, tensor, &values, &rank, dims, err) != SN_OK) return 0;
	for (int i = 0; i < rank; i++) count *= dims[i];
	const int64_t rows = count / dims[rank - 1], last = dims[rank - 1];
	float *const grown = realloc(*list, (size_t)(used + rows * (cols ? cols : last)) * sizeof *grown);
	if (grown) *list = grown;
	for (int64_t i = 0; grown && i < rows; i++)
		memcpy(grown + used + i * (cols ? cols : last), values + i * last, (size_t)(cols ? cols : last) * sizeof *grown);
	free(values);
	return grown ? last : 0;
}

static void observe(void *payload, sn_speecht5_stream *stream) {
	run *const r = payload;
	const int64_t heads = r->c->decoder_heads, layers = r->c->decoder_layers;
	(void)stream;
	keep(r, "stop", &r->stop, r->steps * r->c->reduction, 0);
	r->width = keep(r, "prenet", &r->prenet, r->steps * r->width, 0);
	for (int64_t i = 0; i < layers; i++) {
		char name[32];
		snprintf(name, sizeof name, "cross%lld", (long long)i);
		keep(r, name, &r->cross, (r->steps * layers + i) * heads * r->ids, r->ids);
	}
	r->steps++;
}

/* [steps, layers * heads, ids] -> [layers, heads, steps, ids] */
static void compare_cross(run *r) {
	const int64_t rows = (int64_t)r->c->decoder_layers * r->c->decoder_heads, count = rows * r->steps * r->ids;
	float *const turned = malloc((size_t)count * sizeof *turned + 1);
	char name[160];
	for (int64_t s = 0; turned && s < r->steps; s++)
		for (int64_t row = 0; row < rows; row++)
			memcpy(turned + (row * r->steps + s) * r->ids, r->cross + (s * rows + row) * r->ids, (size_t)r->ids * sizeof *turned);
	if (turned) golden_compare(r->g, name_of(r, "cross_attn_layer_head_step_src", name), turned, count, GOLDEN_TENSOR);
	free(turned);
}

static void compare_tensor(run *r, const char *tensor, const char *expected, golden_kind kind) {
	char err[SN_ERRLEN];
	float *values;
	int rank;
	int64_t dims[NN_MAX_RANK], count = 1;
	if (sn_speecht5_tensor(r->stream, tensor, &values, &rank, dims, err) != SN_OK) return;
	for (int i = 0; i < rank; i++) count *= dims[i];
	golden_compare(r->g, expected, values, count, kind);
	free(values);
}

/* The text after `key` in the fixture's README. */
static int readme_text(const golden *g, const char *key, const char *format, void *out) {
	char path[PATH_MAX], text[8192];
	snprintf(path, sizeof path, "%s/README.md", golden_dir(g));
	FILE *const file = fopen(path, "r");
	const size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
	if (file) fclose(file);
	text[size] = 0;
	const char *const at = strstr(text, key);
	return at && sscanf(at + strlen(key), format, out) == 1;
}

/* The waveform by the vocoder that the README names ("vocoder in ../NAME"). */
static int compare_waveform(run *r, const float *mel, int frames, char *err) {
	char name[160], folder[256], path[PATH_MAX];
	float *pcm = NULL;
	sn_vocoder *vocoder = NULL;
	sn_vocoder_stream *stream = NULL;
	name_of(r, "waveform", name);
	if (!golden_find(r->g, name)) return SN_OK;
	if (!readme_text(r->g, "vocoder in ../", "%255[^/ \n]", folder) ||
	    snprintf(path, sizeof path, "%s/../%s", golden_dir(r->g), folder) >= (int)sizeof path || access(path, R_OK) != 0) {
		printf("%-5s  %-44s  no vocoder beside the fixture: left out\n", golden_debug(r->g) ? "debug" : "fused", name);
		golden_input(r->g, name, NULL);
		return SN_OK;
	}
	const sn_load_options load = { .dir = path, .dtype = NN_DTYPE_F32, .debug = golden_debug(r->g), .pool = golden_pool(r->g), .backend = golden_backend(r->g) };
	const sn_vocoder_options options = { .sigma = -1, .denoise = -1 };
	int code = sn_vocoder_open(&vocoder, &load, err);
	if (code == SN_OK) code = sn_vocoder_stream_new(&stream, vocoder, err);
	if (code == SN_OK) code = sn_vocoder_start(stream, &options, err);
	const sn_vocoder_facts *const facts = code == SN_OK ? sn_vocoder_get_facts(vocoder) : NULL;
	if (facts) pcm = malloc(((size_t)(frames + PUSH) * (size_t)facts->hop + (size_t)facts->extra) * sizeof *pcm);
	if (facts && !pcm) code = sn_fail(err, SN_E_MEMORY, "out of memory");
	int64_t count = 0, got;
	for (int at = 0; code == SN_OK && at < frames; at += PUSH) {
		const int rows = frames - at < PUSH ? frames - at : PUSH;
		code = sn_vocoder_push(stream, mel + (int64_t)at * r->c->mels, rows, at + rows == frames, err);
		while (code == SN_OK && (got = sn_vocoder_next(stream, PUSH, pcm + count, err)) > 0) count += got;
	}
	if (code == SN_OK) golden_compare(r->g, name, pcm, count, GOLDEN_SIGNAL);
	free(pcm);
	sn_vocoder_stream_free(&stream);
	sn_vocoder_close(&vocoder);
	return code;
}

static int compare_steps(run *r, int frames, const float *mel, char *err) {
	char name[160];
	golden_compare(r->g, name_of(r, "spectrogram", name), mel, (int64_t)frames * r->c->mels, GOLDEN_SIGNAL);
	compare_tensor(r, "before_postnet", name_of(r, "before_postnet", name), GOLDEN_SIGNAL);
	if (r->stop) golden_compare(r->g, name_of(r, "stop_probs", name), r->stop, r->steps * r->c->reduction, GOLDEN_TENSOR);
	if (r->prenet) golden_compare(r->g, name_of(r, "prenet_last_rows", name), r->prenet, r->steps * r->width, GOLDEN_TENSOR);
	if (r->cross) compare_cross(r);
	return compare_waveform(r, mel, frames, err);
}

static int synthesise(run *r, const int32_t *ids, sn_speecht5_options *o, char *err) {
	char name[160];
	int64_t masks;
	int frames = 0, got;
	o->keep = golden_input(r->g, name_of(r, "keep_mask_step_layer_unit", name), &masks);
	o->dropout = o->keep != NULL;
	if (o->keep) o->keep_steps = masks / ((int64_t)r->c->prenet_layers * r->c->prenet_units);
	o->observe = observe;
	o->payload = r;
	float *const mel = malloc((size_t)SN_SPEECHT5_MAX_FRAMES * (size_t)r->c->mels * sizeof *mel);
	int code = mel ? sn_speecht5_start(r->stream, ids, (int)r->ids, o, err) : sn_fail(err, SN_E_MEMORY, "out of memory");
	while (code == SN_OK) {
		code = sn_speecht5_next(r->stream, 7, mel + (int64_t)frames * r->c->mels, &got, err);
		frames += got;
	}
	if (code == SN_END) code = compare_steps(r, frames, mel, err);
	free(mel);
	free(r->stop);
	free(r->prenet);
	free(r->cross);
	r->stop = r->prenet = r->cross = NULL;
	r->steps = r->width = 0;
	return code;
}

static int speecht5_run(golden *g, char *err) {
	static const char tail[] = "spectrogram";
	run r = { .g = g };
	const sn_load_options load = { .dir = golden_model(g), .dtype = NN_DTYPE_F32, .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	const int32_t *const ids = golden_input_ids(g, "input_ids", &r.ids);
	int64_t width = 0;
	sn_speecht5_options o = sn_speecht5_defaults();
	o.speaker = golden_input(g, "speaker_embedding", &width);
	o.watch = 0;
	readme_text(g, "threshold=", "%lf", &o.threshold);
	readme_text(g, "minlenratio=", "%lf", &o.least);
	readme_text(g, "maxlenratio=", "%lf", &o.most);
	int code = sn_speecht5_open(&r.model, &load, err);
	if (code == SN_OK) code = sn_speecht5_stream_new(&r.stream, r.model, err);
	if (code == SN_OK) r.c = sn_speecht5_get_config(r.model);
	if (code == SN_OK && (!ids || !o.speaker || width != r.c->speaker_width))
		code = sn_fail(err, SN_E_FORMAT, "the fixture has no input_ids or no speaker_embedding of %d values", r.c->speaker_width);
	for (size_t i = 0; code == SN_OK && i < golden_count(g); i++) {
		const char *const name = golden_at(g, i)->name;
		const size_t length = strlen(name), end = strlen(tail);
		if (length >= end + sizeof r.prefix || length < end || strcmp(name + length - end, tail) != 0) continue;
		snprintf(r.prefix, sizeof r.prefix, "%.*s", (int)(length - end), name);
		code = synthesise(&r, ids, &o, err);
	}
	for (size_t i = 0; code == SN_OK && i < golden_count(g); i++) {
		const char *const name = golden_at(g, i)->name;
		if (strncmp(name, "encoder_", 8) == 0) compare_tensor(&r, name, name, GOLDEN_TENSOR);
	}
	sn_speecht5_stream_free(&r.stream);
	sn_speecht5_close(&r.model);
	return code;
}

const golden_adapter golden_speecht5 = { "speecht5", sn_speecht5_accepts, speecht5_run };
