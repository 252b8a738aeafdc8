#include "golden.h"

#include "models/bark.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 7 /* frames given out at once: chunks must join to what the reference decodes as a whole */

typedef struct run {
	golden *g;
	void *model, *stream;
	const sn_synth_facts *facts;
	const char *prefix; /* "novoice_" */
} run;

static const sn_synth_class *const bark = &sn_synth_bark;

/* "novoice_semantic_logits_step0_3": steps 0 to 3 of the logits; "..._rows0_16": rows 0 to 15. Without such an end, the whole. */
static void compare(run *r, const char *expected) {
	char base[128], err[SN_ERRLEN];
	const char *const tail = expected + strlen(r->prefix);
	const char *const step = strstr(tail, "_step"), *const rows = strstr(tail, "_rows"), *const end = step ? step : rows;
	float *values;
	int rank, first = 0, last = 0;
	int64_t dims[NN_MAX_RANK], count;
	snprintf(base, sizeof base, "%.*s", end ? (int)(end - tail) : (int)strlen(tail), tail);
	if (sn_bark_tensor(r->stream, base, &values, &rank, dims, err) != SN_OK) return;
	if (step && sscanf(step, "_step%d_%d", &first, &last) == 2) last++;
	else if (rows && sscanf(rows, "_rows%d_%d", &first, &last) != 2) last = 0;
	if (!end) last = (int)dims[0];
	count = (last - first) * dims[1];
	if (first < 0 || last > dims[0] || first >= last) first = 0, count = 0;
	if (strstr(base, "tokens") || strstr(base, "codes")) {
		int32_t *const ids = malloc((size_t)(count + 1) * sizeof *ids);
		for (int64_t i = 0; ids && i < count; i++) ids[i] = (int32_t)values[i];
		if (ids) golden_compare_ids(r->g, expected, ids, count);
		free(ids);
	} else {
		golden_compare(r->g, expected, values + (int64_t)first * dims[1], count, GOLDEN_TENSOR);
	}
	free(values);
}

static int speak(run *r, float **pcm, int64_t *count, char *err) {
	const int hop = r->facts->hop;
	int64_t room = 0;
	int code = SN_OK, frames, extra;
	while (code == SN_OK) {
		if (*count + (CHUNK + 1) * hop > room) {
			room = 2 * room + (CHUNK + 1) * hop;
			float *const more = realloc(*pcm, (size_t)room * sizeof *more);
			if (!more) return sn_fail(err, SN_E_MEMORY, "out of memory");
			*pcm = more;
		}
		code = bark->next(r->stream, CHUNK, *pcm + *count, &frames, &extra, err);
		*count += (int64_t)frames * hop + extra;
	}
	return code == SN_END ? SN_OK : code;
}

static int synthesis(run *r, const int32_t *ids, int count, const sn_voice *voice, char *err) {
	const sn_synth_options options = { .voice = voice, .speed = 1, .temperature = 0 };
	char name[64];
	float *pcm = NULL;
	int64_t samples = 0;
	int code = bark->stream_new(&r->stream, r->model, err);
	if (code == SN_OK) code = sn_bark_watch(r->stream, err);
	if (code == SN_OK) code = bark->start(r->stream, ids, count, &options, err);
	if (code == SN_OK) code = speak(r, &pcm, &samples, err);
	for (size_t i = 0; code == SN_OK && i < golden_count(r->g); i++)
		if (strncmp(golden_at(r->g, i)->name, r->prefix, strlen(r->prefix)) == 0) compare(r, golden_at(r->g, i)->name);
	snprintf(name, sizeof name, "%swaveform", r->prefix);
	if (code == SN_OK) golden_compare(r->g, name, pcm, samples, GOLDEN_SIGNAL);
	free(pcm);
	bark->stream_free(&r->stream);
	return code;
}

/* The voice that the fixture's README names, else the model's first. */
static int find_voice(run *r, sn_voice *voice, char *err) {
	char path[PATH_MAX], text[8192], name[128] = "0";
	snprintf(path, sizeof path, "%s/README.md", golden_dir(r->g));
	FILE *const file = fopen(path, "r");
	const size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
	if (file) fclose(file);
	text[size] = 0;
	const char *const at = strstr(text, "speaker_embeddings/");
	if (at && sscanf(at, "speaker_embeddings/%127[A-Za-z0-9_/]", name) != 1) strcpy(name, "0");
	return bark->voice(r->model, name, voice, err);
}

static int bark_run(golden *g, char *err) {
	run r = { .g = g };
	const sn_load_options load = { .dir = golden_model(g), .dtype = NN_DTYPE_F32, .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	int64_t count = 0;
	sn_voice voice = { .speaker = -1 };
	const int32_t *const ids = golden_input_ids(g, "input_ids", &count), *const mask = golden_input_ids(g, "attention_mask", NULL);
	if (!ids) return sn_fail(err, SN_E_FORMAT, "the fixture has no input_ids");
	while (mask && count > 0 && !mask[count - 1]) count--;
	int code = bark->open(&r.model, &load, err);
	if (code == SN_OK) {
		r.facts = bark->facts(r.model);
		r.prefix = "novoice_";
		code = synthesis(&r, ids, (int)count, NULL, err);
	}
	if (code == SN_OK && golden_find(g, "voice_waveform")) {
		r.prefix = "voice_";
		code = find_voice(&r, &voice, err);
		if (code == SN_OK) code = synthesis(&r, ids, (int)count, &voice, err);
	}
	sn_voice_clear(&voice);
	bark->close(&r.model);
	return code;
}

static int bark_accepts(const char *model) { return bark->accepts(model); }

const golden_adapter golden_bark = { "bark", bark_accepts, bark_run };
