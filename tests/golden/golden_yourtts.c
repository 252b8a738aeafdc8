#include "golden.h"

#include "base/json.h"
#include "models/speaker_encoder.h"
#include "models/vits.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 40 /* frames decoded at once: chunks must join to what the reference decodes as a whole */

typedef struct run {
	golden *g;
	sn_vits *vits;
	sn_vits_stream *stream;
	sn_speaker_encoder *encoder;
} run;

static int accepts(const char *model) {
	char path[PATH_MAX];
	json_t *config = NULL;
	if (snprintf(path, sizeof path, "%s/config.json", model) >= (int)sizeof path || sn_json_file(&config, path, NULL) != SN_OK) return 0;
	const char *const type = json_string_value(json_object_get(config, "model"));
	const int yes = type && strcmp(type, "vits") == 0;
	json_decref(config);
	return yes;
}

/* Rows of frames here, [.., frames] in the reference: [frames, a, b] becomes [b * a, frames]. */
static void offer_turned(golden *g, const char *name, float *values, int rank, const int64_t *dims, golden_kind kind) {
	const int64_t frames = dims[0], a = rank > 2 ? dims[1] : 1, b = dims[rank - 1];
	float *const turned = malloc((size_t)(frames * a * b) * sizeof *turned);
	for (int64_t t = 0; turned && t < frames; t++)
		for (int64_t i = 0; i < a; i++)
			for (int64_t j = 0; j < b; j++) turned[(j * a + i) * frames + t] = values[(t * a + i) * b + j];
	if (turned) golden_offer(g, name, turned, 2, (int64_t[]){ a * b, frames }, kind);
	free(turned);
	free(values);
}

/* ---- the speaker encoder ---- */

static int run_encoder(run *r, const sn_load_options *load, char *err) {
	static const struct { const char *tensor, *name; golden_kind kind; } parts[] = {
		{ "mel", "speaker_mel", GOLDEN_SIGNAL }, { "instancenorm", "speaker_instancenorm", GOLDEN_TENSOR }, { "layer1", "speaker_layer1", GOLDEN_TENSOR },
	};
	char config[PATH_MAX], weights[PATH_MAX], ignored[SN_ERRLEN];
	float *embedding, *values;
	int rank;
	int64_t count = 0, dims[NN_MAX_RANK];
	const float *const clip = golden_input(r->g, "reference_wav", &count);
	if (!clip) return SN_OK;
	snprintf(config, sizeof config, "%s/config_se.json", golden_model(r->g));
	snprintf(weights, sizeof weights, "%s/model_se.pth", golden_model(r->g));
	int code = sn_speaker_encoder_open(&r->encoder, config, weights, load, err);
	if (code != SN_OK) return code;
	const int size = sn_speaker_encoder_size(r->encoder);
	if (!(embedding = malloc((size_t)size * sizeof *embedding))) return sn_fail(err, SN_E_MEMORY, "out of memory");
	code = sn_speaker_encoder_clip(r->encoder, clip, count, embedding, err);
	if (code == SN_OK) golden_compare(r->g, "speaker_embedding_whole_clip", embedding, size, GOLDEN_TENSOR);
	for (size_t i = 0; code == SN_OK && i < sizeof parts / sizeof *parts; i++)
		if (sn_speaker_encoder_tensor(r->encoder, parts[i].tensor, &values, &rank, dims, ignored) == SN_OK)
			offer_turned(r->g, parts[i].name, values, rank, dims, parts[i].kind);
	if (code == SN_OK) code = sn_speaker_encoder_crops(r->encoder, clip, count, embedding, err);
	if (code == SN_OK) golden_compare(r->g, "d_vector", embedding, size, GOLDEN_TENSOR);
	free(embedding);
	return code;
}

/* ---- the voice ---- */

static void compare_tensor(run *r, const char *tensor, const char *name) {
	char err[SN_ERRLEN];
	float *values;
	int rank;
	int64_t dims[NN_MAX_RANK];
	if (sn_vits_tensor(r->stream, tensor, &values, &rank, dims, err) == SN_OK) offer_turned(r->g, name, values, rank, dims, GOLDEN_TENSOR);
}

/* "noisy: 0.333 / 0.8" of the fixture's README. */
static void read_noise(const golden *g, sn_vits_options *o) {
	char path[PATH_MAX], text[8192];
	snprintf(path, sizeof path, "%s/README.md", golden_dir(g));
	FILE *const file = fopen(path, "r");
	const size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
	if (file) fclose(file);
	text[size] = 0;
	const char *const at = strstr(text, "noisy:");
	if (!at || sscanf(at, "noisy: %f / %f", &o->noise_scale, &o->noise_duration) != 2) o->noise_scale = o->noise_duration = -1;
}

static int compare_waveform(run *r, const char *name, int frames, char *err) {
	const int hop = sn_vits_get_config(r->vits)->hop;
	int64_t count = 0, got;
	float *const pcm = malloc((size_t)(frames + CHUNK) * (size_t)hop * sizeof *pcm);
	if (!pcm) return sn_fail(err, SN_E_MEMORY, "out of memory");
	while ((got = sn_vits_next(r->stream, CHUNK, pcm + count, err)) > 0) count += got;
	if (got == 0) golden_compare(r->g, name, pcm, count, GOLDEN_SIGNAL);
	free(pcm);
	return (int)got;
}

static int synthesis(run *r, const char *prefix, sn_vits_options o, char *err) {
	char name[96];
	int64_t count = 0;
	int frames, symbols;
	const int32_t *const ids = golden_input_ids(r->g, "input_ids", &count);
	if (!ids) return sn_fail(err, SN_E_FORMAT, "the fixture has no input_ids");
	const int code = sn_vits_start(r->stream, ids, (int)count, &o, &frames, err);
	const int32_t *const durations = sn_vits_durations(r->stream, &symbols);
	snprintf(name, sizeof name, "%s_durations", prefix);
	golden_compare_ids(r->g, name, durations, symbols); /* where they differ, the reference's noise may not fit, and start has failed */
	if (code != SN_OK) return code;
	snprintf(name, sizeof name, "%s_log_durations", prefix);
	compare_tensor(r, "log_duration", name);
	snprintf(name, sizeof name, "%s_z_p", prefix);
	compare_tensor(r, "z_prior", name);
	snprintf(name, sizeof name, "%s_z", prefix);
	compare_tensor(r, "z_after_flow", name);
	snprintf(name, sizeof name, "%s_waveform", prefix);
	return compare_waveform(r, name, frames, err);
}

static int run_voice(run *r, const sn_load_options *load, char *err) {
	int code = sn_vits_open(&r->vits, load, err);
	if (code == SN_OK) code = sn_vits_stream_new(&r->stream, r->vits, err);
	if (code != SN_OK) return code;
	int64_t size = 0;
	const int32_t *const language = golden_input_ids(r->g, "language_id", NULL), *const speaker = golden_input_ids(r->g, "speaker_id", NULL);
	sn_vits_options o = { .language = language ? language[0] : 0, .speaker = speaker ? speaker[0] : 0, .length_scale = -1,
	                      .embedding = golden_floats(r->g, "d_vector", &size) };
	if (!r->encoder) golden_input(r->g, "d_vector", NULL); /* else it was compared */
	if (o.embedding && size != sn_vits_get_config(r->vits)->embedding)
		return sn_fail(err, SN_E_MODEL, "the fixture's d_vector has %lld values, the model takes %d", (long long)size,
		               sn_vits_get_config(r->vits)->embedding);
	code = golden_find(r->g, "quiet_durations") ? synthesis(r, "quiet", o, err) : SN_OK;
	if (code != SN_OK || !golden_find(r->g, "noisy_durations")) return code;
	o.duration_noise = golden_input(r->g, "noise_duration_randn", &o.duration_noise_count);
	o.prior_noise = golden_input(r->g, "noise_prior_randn", &o.prior_noise_count);
	read_noise(r->g, &o);
	code = synthesis(r, "noisy", o, err);
	compare_tensor(r, "text_encoder_out", "text_encoder_out");
	compare_tensor(r, "prior_means", "prior_means");
	compare_tensor(r, "prior_log_variances", "prior_logs");
	return code;
}

static int yourtts_run(golden *g, char *err) {
	const sn_load_options load = { .dir = golden_model(g), .dtype = NN_DTYPE_F32, .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	run r = { .g = g };
	int code = run_encoder(&r, &load, err);
	if (code == SN_OK) code = run_voice(&r, &load, err);
	sn_vits_stream_free(&r.stream);
	sn_vits_close(&r.vits);
	sn_speaker_encoder_close(&r.encoder);
	return code;
}

const golden_adapter golden_yourtts = { "yourtts", accepts, yourtts_run };
