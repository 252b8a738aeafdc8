#include "golden.h"

#include "models/tacotron2.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 5 /* frames given out at once: chunks must join to what the reference makes as a whole */
#define MOST_STEPS SN_TACOTRON2_MAX_FRAMES

typedef struct run {
	golden *g;
	void *model, *stream;
	char prefix[64];       /* "nodrop_" */
	float *stop, *alignment; /* [steps], [steps, symbols] */
	int64_t steps;
} run;

static const sn_synth_class *const class = &sn_synth_tacotron2;

static void observe(void *payload, float stop, const float *alignment, int symbols) {
	run *const r = payload;
	float *const grown = realloc(r->alignment, (size_t)(r->steps + 1) * (size_t)symbols * sizeof *grown);
	if (!grown || r->steps == MOST_STEPS) return;
	r->alignment = grown;
	memcpy(grown + r->steps * symbols, alignment, (size_t)symbols * sizeof *grown);
	r->stop[r->steps++] = stop;
}

/* As frames [frames, mels] where the name says so, else with the mels first. */
static void compare_mel(run *r, const char *what, const float *mel, int64_t frames) {
	const int64_t mels = class->facts(r->model)->width;
	char name[160];
	float *const turned = malloc((size_t)(frames * mels) * sizeof *turned + 1);
	for (int64_t t = 0; turned && t < frames; t++)
		for (int64_t c = 0; c < mels; c++) turned[c * frames + t] = mel[t * mels + c];
	snprintf(name, sizeof name, "%s%s_frames_first", r->prefix, what);
	golden_compare(r->g, name, mel, frames * mels, GOLDEN_SIGNAL);
	snprintf(name, sizeof name, "%s%s", r->prefix, what);
	if (turned) golden_compare(r->g, name, turned, frames * mels, GOLDEN_SIGNAL);
	free(turned);
}

static void compare_steps(run *r, int64_t symbols, const float *mel, int64_t frames) {
	char name[160], err[SN_ERRLEN];
	float *values;
	int rank;
	int64_t dims[NN_MAX_RANK];
	compare_mel(r, "mel", mel, frames);
	if (sn_tacotron2_tensor(r->stream, "before_postnet", &values, &rank, dims, err) == SN_OK) {
		compare_mel(r, "mel_before_postnet", values, dims[0]);
		free(values);
	}
	snprintf(name, sizeof name, "%salignments_step_symbol", r->prefix);
	golden_compare(r->g, name, r->alignment, r->steps * symbols, GOLDEN_TENSOR);
	snprintf(name, sizeof name, "%sgate_logits", r->prefix);
	golden_compare(r->g, name, r->stop, r->steps, GOLDEN_TENSOR);
	for (int64_t i = 0; i < r->steps; i++) r->stop[i] = 1 / (1 + expf(-r->stop[i]));
	snprintf(name, sizeof name, "%sstop_probs", r->prefix);
	golden_compare(r->g, name, r->stop, r->steps, GOLDEN_TENSOR);
}

/* Masks that the fixture drew; a name that says so leaves dropout out; else as the checkpoint has it. */
static int speak(run *r, const int32_t *ids, int64_t count, char *err) {
	char name[160];
	int64_t masks = 0, size = 0;
	const int64_t mels = class->facts(r->model)->width;
	snprintf(name, sizeof name, "%skeep_mask_step_layer_unit", r->prefix);
	const sn_weight *const mask = golden_find(r->g, name);
	const float *const keep = golden_input(r->g, name, &masks), *const embedding = golden_input(r->g, "d_vector", &size);
	const int32_t *const speaker = golden_input_ids(r->g, "speaker_id", NULL);
	const sn_voice voice = { .speaker = speaker ? *speaker : 0, .embedding = (float *)embedding,
	                         .embedding_count = (int)size }; /* only read */
	const sn_synth_options options = { .dropout = strstr(r->prefix, "nodrop") ? 0 : keep ? 1 : -1,
	                                   .voice = speaker || embedding ? &voice : NULL };
	const sn_tacotron2_probe probe = { .keep = keep, .keep_steps = mask && mask->rank == 3 ? mask->dims[0] : 0, .unwatched = 1,
	                                   .observe = observe, .payload = r };
	float *const mel = malloc((size_t)(SN_TACOTRON2_MAX_FRAMES + CHUNK) * (size_t)mels * sizeof *mel); /* costs what is touched */
	int frames = 0, got, extra;
	r->steps = 0;
	int code = mel ? sn_tacotron2_start(r->stream, ids, (int)count, &options, &probe, err)
	               : sn_fail(err, SN_E_MEMORY, "out of memory");
	while (code == SN_OK) {
		code = class->next(r->stream, CHUNK, mel + frames * mels, &got, &extra, err);
		frames += got;
	}
	if (code == SN_END) compare_steps(r, count, mel, frames);
	free(mel);
	return code == SN_END ? SN_OK : code;
}

static void compare_encoder(run *r) {
	char err[SN_ERRLEN];
	float *values;
	int rank;
	int64_t dims[NN_MAX_RANK], count = 1;
	if (sn_tacotron2_tensor(r->stream, "encoder_out", &values, &rank, dims, err) != SN_OK) return;
	for (int i = 0; i < rank; i++) count *= dims[i];
	golden_compare(r->g, "encoder_out", values, count, GOLDEN_TENSOR);
	free(values);
}

static int tacotron2_run(golden *g, char *err) {
	static const char tail[] = "alignments_step_symbol";
	run r = { .g = g, .stop = malloc(MOST_STEPS * sizeof(float)) };
	const sn_load_options load = { .dir = golden_model(g), .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	int64_t count = 0;
	const int32_t *const ids = golden_input_ids(g, "input_ids", &count);
	int code = r.stop ? class->open(&r.model, &load, err) : sn_fail(err, SN_E_MEMORY, "out of memory");
	if (code == SN_OK) code = class->stream_new(&r.stream, r.model, err);
	if (code == SN_OK && !ids) code = sn_fail(err, SN_E_FORMAT, "the fixture has no input_ids");
	for (size_t i = 0; code == SN_OK && i < golden_count(g); i++) {
		const char *const name = golden_at(g, i)->name;
		const size_t length = strlen(name), end = strlen(tail);
		if (length < end || length - end >= sizeof r.prefix || strcmp(name + length - end, tail) != 0) continue;
		snprintf(r.prefix, sizeof r.prefix, "%.*s", (int)(length - end), name);
		code = speak(&r, ids, count, err);
	}
	if (code == SN_OK) compare_encoder(&r);
	free(r.stop);
	free(r.alignment);
	if (r.stream) class->stream_free(&r.stream);
	if (r.model) class->close(&r.model);
	return code;
}

static int tacotron2_accepts(const char *model) { return class->accepts(model); }

const golden_adapter golden_tacotron2 = { "tacotron2", tacotron2_accepts, tacotron2_run };
