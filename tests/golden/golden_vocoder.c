#include "golden.h"

#include "base/json.h"
#include "models/vocoder.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 7 /* frames of a piece in fused passes: pieces must join to what the reference makes as a whole */

typedef struct run {
	golden *g;
	sn_vocoder *vocoder;
	sn_vocoder_stream *stream;
	const sn_vocoder_facts *facts;
} run;

/* [rows, cols] -> [cols, rows] */
static float *turned(const float *from, int64_t rows, int64_t cols) {
	float *const out = malloc((size_t)(rows * cols) * sizeof *out + 1);
	for (int64_t r = 0; out && r < rows; r++)
		for (int64_t c = 0; c < cols; c++) out[c * rows + r] = from[r * cols + c];
	return out;
}

/* Pushes the frames as far as there is room, takes sound, and again. */
static int64_t vocode(run *r, const float *mel, int64_t frames, int chunk, const sn_vocoder_options *options, float *pcm,
                      char *err) {
	int64_t count = 0, at = 0;
	int code = sn_vocoder_start(r->stream, options, err), ended = 0;
	while (code == SN_OK && !sn_vocoder_ended(r->stream)) {
		const int piece = frames - at < chunk ? (int)(frames - at) : chunk;
		if (!ended) code = sn_vocoder_push(r->stream, mel + at * r->facts->mel.mels, piece, at + piece == frames, err);
		if (code < 0) return code;
		if (code == SN_OK) at += piece, ended = at == frames;
		code = SN_OK;
		const int64_t got = sn_vocoder_next(r->stream, chunk, pcm + count, err);
		if (got < 0) return got;
		if (got == 0 && ended && !sn_vocoder_ended(r->stream))
			return sn_fail(err, SN_E_INTERNAL, "the vocoder is stuck at sample %lld", (long long)count);
		count += got;
	}
	return code == SN_OK ? count : code;
}

/* WaveGlow's upsampled mel lies by groups of samples: [groups, mels * group] -> [mels, samples]. */
static void compare_upsampled(run *r) {
	char err[SN_ERRLEN];
	float *values;
	int rank;
	int64_t dims[NN_MAX_RANK];
	if (!golden_debug(r->g) || !golden_find(r->g, "upsampled_mel") ||
	    sn_vocoder_tensor(r->stream, "upsampled", &values, &rank, dims, err) != SN_OK) return;
	const int64_t mels = r->facts->mel.mels, group = dims[1] / mels;
	float *const out = malloc((size_t)(dims[0] * dims[1]) * sizeof *out);
	for (int64_t i = 0; out && i < dims[0] * dims[1]; i++) {
		const int64_t row = i / dims[1], mel = i % dims[1] / group;
		out[(mel * dims[0] + row) * group + i % group] = values[i];
	}
	if (out) golden_compare(r->g, "upsampled_mel", out, dims[0] * dims[1], GOLDEN_TENSOR);
	free(out);
	free(values);
}

/* z0, z1, ... one behind the other: the draws in the order of use. */
static float *gather_noise(golden *g, int64_t *count) {
	float *out = NULL;
	char name[16];
	int64_t size;
	*count = 0;
	for (int i = 0; snprintf(name, sizeof name, "z%d", i) > 0 && golden_find(g, name); i++) {
		const float *const z = golden_input(g, name, &size);
		float *const more = realloc(out, (size_t)(*count + size) * sizeof *out);
		if (!z || !more) break;
		memcpy((out = more) + *count, z, (size_t)size * sizeof *out);
		*count += size;
	}
	return out;
}

/* The tensors of the last run by the names that the fixture has. */
static void compare_tensors(run *r) {
	char err[SN_ERRLEN];
	for (size_t i = 0; golden_debug(r->g) && i < golden_count(r->g); i++) {
		const char *const name = golden_at(r->g, i)->name;
		float *values;
		int rank;
		int64_t dims[NN_MAX_RANK];
		if (sn_vocoder_tensor(r->stream, name, &values, &rank, dims, err) != SN_OK) continue;
		float *const columns = turned(values, dims[0], dims[1]);
		if (columns) golden_compare(r->g, name, columns, dims[0] * dims[1], GOLDEN_TENSOR);
		free(columns);
		free(values);
	}
}

/* What the network itself gives: samples, or bands before their synthesis (kept by debug plans). */
static void compare_forward(run *r, const char *name, const float *pcm, int64_t count) {
	const sn_weight *const expected = golden_find(r->g, name);
	char err[SN_ERRLEN];
	float *values;
	int rank;
	int64_t dims[NN_MAX_RANK];
	if (expected->dims[0] == 1) {
		golden_compare(r->g, name, pcm, count, GOLDEN_SIGNAL);
	} else if (golden_debug(r->g) && sn_vocoder_tensor(r->stream, "bands", &values, &rank, dims, err) == SN_OK) {
		float *const columns = turned(values, dims[0], dims[1]);
		if (columns) golden_compare(r->g, name, columns, dims[0] * dims[1], GOLDEN_SIGNAL);
		free(columns);
		free(values);
	}
}

static int compare_sound(run *r, const float *mel, int64_t frames, const char *name, const sn_vocoder_options *options,
                         char *err) {
	float *const pcm = malloc((size_t)(frames * r->facts->hop + r->facts->extra + 2 * SN_VOCODER_MAX_CHUNK * (int64_t)r->facts->hop) *
	                          sizeof *pcm);
	if (!pcm) return sn_fail(err, SN_E_MEMORY, "out of memory");
	const int whole = golden_debug(r->g) && frames <= SN_VOCODER_MAX_CHUNK;
	const int64_t count = vocode(r, mel, frames, whole ? (int)frames : CHUNK, options, pcm, err);
	if (count >= 0 && !options->bare) golden_compare(r->g, name, pcm, count, GOLDEN_SIGNAL);
	if (count >= 0 && options->bare) compare_forward(r, name, pcm, count);
	free(pcm);
	return count < 0 ? (int)count : SN_OK;
}

/* Fixtures hold frames as rows ("spectrogram") or as columns ("mel"). */
static int run_checkpoint(golden *g, const char *path, char *err) {
	run r = { .g = g };
	const sn_load_options load = { .dir = path, .dtype = NN_DTYPE_F32, .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	sn_vocoder_options options = { .sigma = -1, .denoise = 0 };
	int64_t count = 0;
	float *mine = NULL;
	int code = sn_vocoder_open(&r.vocoder, &load, err);
	float *const noise = gather_noise(g, &options.noise_count);
	const float *const sigma = golden_find(g, "sigma") ? golden_input(g, "sigma", NULL) : NULL;
	if (sigma) options.sigma = *sigma;
	options.noise = noise;
	if (code == SN_OK) code = sn_vocoder_stream_new(&r.stream, r.vocoder, err);
	if (code == SN_OK) {
		r.facts = sn_vocoder_get_facts(r.vocoder);
		const int mels = r.facts->mel.mels;
		const float *rows = golden_input(g, "spectrogram", &count);
		const float *const columns = rows ? NULL : golden_input(g, "mel", &count);
		if (columns) rows = mine = turned(columns, mels, count / mels);
		if (!rows || count % mels)
			code = sn_fail(err, SN_E_FORMAT, "the fixture's spectrogram has %lld values; the model takes %d mels", (long long)count, mels);
		if (code == SN_OK)
			code = compare_sound(&r, rows, count / mels, golden_find(g, "waveform") ? "waveform" : "waveform_inference", &options, err);
		if (code == SN_OK) compare_tensors(&r);
		if (code == SN_OK) compare_upsampled(&r);
		options.bare = 1;
		if (code == SN_OK && golden_find(g, "waveform_forward"))
			code = compare_sound(&r, rows, count / mels, "waveform_forward", &options, err);
	}
	free(mine);
	free(noise);
	sn_vocoder_stream_free(&r.stream);
	sn_vocoder_close(&r.vocoder);
	return code;
}

/* A directory that holds an acoustic model too is that model's fixture. */
static int vocoder_accepts(const char *model) {
	char path[PATH_MAX];
	json_t *config = NULL;
	if (snprintf(path, sizeof path, "%s/config.json", model) < (int)sizeof path) sn_json_file(&config, path, NULL);
	const int combined = json_object_get(config, "model_config") != NULL;
	json_decref(config);
	return !combined && sn_vocoder_accepts(model);
}

/* WaveGlow's fixture holds the same weights in several files. */
static int vocoder_run(golden *g, char *err) {
	static const char *const files[] = { "waveglow_statedict.pt", "waveglow_module.pt", "waveglow_folded_ddp.pt" };
	int code = run_checkpoint(g, golden_model(g), err);
	for (size_t i = 0; code == SN_OK && i < sizeof files / sizeof *files; i++) {
		char path[PATH_MAX];
		if (snprintf(path, sizeof path, "%s/%s", golden_model(g), files[i]) < (int)sizeof path && access(path, F_OK) == 0)
			code = run_checkpoint(g, path, err);
	}
	return code;
}

const golden_adapter golden_vocoder = { "vocoder", vocoder_accepts, vocoder_run };
