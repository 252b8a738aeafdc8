#include "golden.h"

#include "base/json.h"
#include "base/map.h"
#include "models/vits.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 48 /* frames decoded at once: chunks must join to what the reference decodes as a whole */

typedef struct run {
	golden *g;
	sn_vits *vits;
	sn_vits_stream *stream;
	golden_kind sound; /* how waveforms are held */
} run;

/* Names of one synthesis in the fixture, and its options. */
typedef struct synthesis {
	char prefix[96]; /* "noisy_" */
	const int32_t *ids;
	int64_t count;
	sn_vits_options options;
} synthesis;

/* ---- what both layouts share ---- */

static int open_run(run *r, golden *g, golden_kind sound, char *err) {
	*r = (run){ .g = g, .sound = sound };
	const sn_load_options load = { .dir = golden_model(g), .dtype = NN_DTYPE_F32, .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	const int code = sn_vits_open(&r->vits, &load, err);
	return code == SN_OK ? sn_vits_stream_new(&r->stream, r->vits, err) : code;
}

static void close_run(run *r) {
	sn_vits_stream_free(&r->stream);
	sn_vits_close(&r->vits);
}

static const char *name_of(const synthesis *s, const char *tail, char name[160]) {
	snprintf(name, 160, "%s%s", s->prefix, tail);
	return name;
}

/* Latents are rows of frames here, rows of channels in the reference. */
static void compare_latent(run *r, const synthesis *s, const char *tensor) {
	char name[160], err[SN_ERRLEN];
	float *values, *turned;
	int rank;
	int64_t dims[NN_MAX_RANK];
	if (sn_vits_tensor(r->stream, tensor, &values, &rank, dims, err) != SN_OK) return;
	turned = malloc((size_t)(dims[0] * dims[1]) * sizeof *turned);
	for (int64_t t = 0; turned && t < dims[0]; t++)
		for (int64_t c = 0; c < dims[1]; c++) turned[c * dims[0] + t] = values[t * dims[1] + c];
	if (turned) golden_compare(r->g, name_of(s, tensor, name), turned, dims[0] * dims[1], GOLDEN_TENSOR);
	free(turned);
	free(values);
}

static void compare_tensor(run *r, const char *tensor, const char *expected) {
	char err[SN_ERRLEN];
	float *values;
	int rank;
	int64_t dims[NN_MAX_RANK], count = 1;
	if (sn_vits_tensor(r->stream, tensor, &values, &rank, dims, err) != SN_OK) return;
	for (int i = 0; i < rank; i++) count *= dims[i];
	golden_compare(r->g, expected, values, count, GOLDEN_TENSOR);
	free(values);
}

static void compare_durations(run *r, const synthesis *s) {
	char name[160];
	int count;
	const int32_t *const durations = sn_vits_durations(r->stream, &count);
	golden_compare_ids(r->g, name_of(s, "durations", name), durations, count);
}

static int compare_waveform(run *r, const synthesis *s, int frames, char *err) {
	const int hop = sn_vits_get_config(r->vits)->hop;
	char name[160];
	int64_t count = 0, got;
	float *const pcm = malloc((size_t)(frames + CHUNK) * (size_t)hop * sizeof *pcm);
	if (!pcm) return sn_fail(err, SN_E_MEMORY, "out of memory");
	while ((got = sn_vits_next(r->stream, CHUNK, pcm + count, err)) > 0) count += got;
	if (got == 0) golden_compare(r->g, name_of(s, "waveform", name), pcm, count, r->sound);
	free(pcm);
	return (int)got;
}

/* A synthesis of the fixture: durations, the latents before and after the flow, and the sound. */
static int compare_synthesis(run *r, synthesis *s, int noisy, char *err) {
	char name[160];
	int frames;
	if (noisy) {
		sn_vits_options *const o = &s->options;
		o->duration_noise = golden_input(r->g, name_of(s, "duration_randn", name), &o->duration_noise_count);
		o->prior_noise = golden_input(r->g, name_of(s, "prior_randn", name), &o->prior_noise_count);
		if (!o->duration_noise) o->duration_noise = golden_input(r->g, "noise_duration_randn", &o->duration_noise_count);
		if (!o->prior_noise) o->prior_noise = golden_input(r->g, "noise_prior_randn", &o->prior_noise_count);
	}
	const int code = sn_vits_start(r->stream, s->ids, (int)s->count, &s->options, &frames, err);
	compare_durations(r, s); /* where they differ, the reference's noise may not fit, and start has failed */
	if (code != SN_OK) return code;
	compare_tensor(r, "log_duration", name_of(s, "log_duration", name));
	compare_latent(r, s, "z_prior");
	compare_latent(r, s, "z_after_flow");
	return compare_waveform(r, s, frames, err);
}

/* The number after `key` in the fixture's README, or `otherwise`. */
static float readme_number(const golden *g, const char *key, float otherwise) {
	char path[PATH_MAX], text[8192];
	snprintf(path, sizeof path, "%s/README.md", golden_dir(g));
	FILE *const file = fopen(path, "r");
	const size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
	if (file) fclose(file);
	text[size] = 0;
	const char *const at = strstr(text, key);
	float value;
	return at && sscanf(at + strlen(key), " %f", &value) == 1 ? value : otherwise;
}

/* ---- Hugging Face's layout, and the authors' ---- */

static int vits_accepts(const char *model) {
	char path[PATH_MAX];
	json_t *config = NULL;
	if (snprintf(path, sizeof path, "%s/config.json", model) >= (int)sizeof path || sn_json_file(&config, path, NULL) != SN_OK) return 0;
	const char *const type = json_string_value(json_object_get(config, "model_type"));
	const int yes = (type && strcmp(type, "vits") == 0) || json_object_get(json_object_get(config, "model"), "inter_channels");
	json_decref(config);
	return yes;
}

static int vits_run(golden *g, char *err) {
	static const struct { const char *prefix; int noisy, slow; } cases[] = { { "quiet_", 0, 0 }, { "noisy_", 1, 0 }, { "slow_", 0, 1 } };
	run r;
	int64_t count = 0;
	int code = open_run(&r, g, GOLDEN_SIGNAL, err);
	const int32_t *const ids = golden_input_ids(g, "input_ids", &count), *const speaker = golden_input_ids(g, "speaker_id", NULL);
	if (code == SN_OK && !ids) code = sn_fail(err, SN_E_FORMAT, "the fixture has no input_ids");
	for (size_t i = 0; code == SN_OK && i < sizeof cases / sizeof *cases; i++) {
		synthesis s = { .ids = ids, .count = count, .options = { .speaker = speaker ? speaker[0] : 0, .length_scale = -1 } };
		char name[160];
		snprintf(s.prefix, sizeof s.prefix, "%s", cases[i].prefix);
		if (!golden_find(g, name_of(&s, "durations", name))) continue;
		if (cases[i].noisy) s.options.noise_scale = readme_number(g, "noisy:", -1), s.options.noise_duration = -1;
		if (cases[i].slow) s.options.length_scale = (float)(1 / (double)readme_number(g, "speaking_rate", 0.7f));
		code = compare_synthesis(&r, &s, cases[i].noisy, err);
	}
	for (size_t i = 0; code == SN_OK && i < golden_count(g); i++) {
		const char *const name = golden_at(g, i)->name;
		if (strncmp(name, "text_encoder_", 13) == 0 || strncmp(name, "prior_", 6) == 0) compare_tensor(&r, name, name);
	}
	close_run(&r);
	return code;
}

const golden_adapter golden_vits = { "vits", vits_accepts, vits_run };

/* ---- Piper ---- */

static int ends_with(const char *text, const char *tail) {
	const size_t length = strlen(text), end = strlen(tail);
	return length >= end && strcmp(text + length - end, tail) == 0;
}

static int piper_accepts(const char *model) {
	if (ends_with(model, ".onnx")) return 1;
	DIR *const dir = opendir(model);
	int yes = 0;
	for (const struct dirent *entry; dir && (entry = readdir(dir));) yes |= ends_with(entry->d_name, ".onnx.json");
	if (dir) closedir(dir);
	return yes;
}

/* Syntheses of one text: "a_ids", "a_quiet_durations", "a_quiet_waveform", ... */
static int run_text(run *r, const char *ids_name, char *err) {
	static const struct { const char *name; float noise, length, duration; } cases[] = {
		{ "quiet_", 0, 1, 0 }, { "quiet_slow_", 0, 1.3f, 0 }, { "noisy_", 0.667f, 1, 0.8f },
	};
	synthesis s = { .ids = golden_input_ids(r->g, ids_name, NULL) };
	const int32_t *const speaker = golden_input_ids(r->g, "speaker_id", NULL);
	const int stem = (int)(strlen(ids_name) - strlen("ids"));
	golden_input_ids(r->g, ids_name, &s.count);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char name[160];
		snprintf(s.prefix, sizeof s.prefix, "%.*s%s", stem, ids_name, cases[i].name);
		if (!golden_find(r->g, name_of(&s, "durations", name))) continue;
		s.options = (sn_vits_options){ .speaker = speaker ? speaker[0] : 0, .noise_scale = cases[i].noise, .noise_duration = cases[i].duration,
		                               .length_scale = cases[i].length };
		const int code = compare_synthesis(r, &s, cases[i].noise > 0, err);
		if (code != SN_OK) return code;
	}
	return SN_OK;
}

static int piper_run(golden *g, char *err) {
	run r;
	/* onnxruntime's own float32 is 3.3e-5 from float64 here, and 5.8e-5 from itself without its graph optimisation: a voice's sound is held
	 * to the bounds of tensors, which ask for the relative L2 too. */
	int code = open_run(&r, g, GOLDEN_TENSOR, err);
	for (size_t i = 0; code == SN_OK && i < golden_count(g); i++) {
		const char *const name = golden_at(g, i)->name;
		if (ends_with(name, "_ids")) code = run_text(&r, name, err);
	}
	close_run(&r);
	return code;
}

const golden_adapter golden_piper = { "piper", piper_accepts, piper_run };
