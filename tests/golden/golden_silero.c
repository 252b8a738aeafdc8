#include "golden.h"

#include "audio/decode.h"
#include "models/silero.h"
#include "speech/vad.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SEGMENTS 256

static int silero_accepts(const char *model) {
	DIR *const dir = opendir(model);
	int yes = 0;
	for (const struct dirent *entry; dir && (entry = readdir(dir));) yes |= strncmp(entry->d_name, "silero_vad", 10) == 0;
	if (dir) closedir(dir);
	return yes;
}

/* A clip is a tensor ("jfk8k_wav", of 8 kHz when its name says so) or a file beside the fixture, padded to whole chunks by the caller's
 * `room` of zeros. free() *pcm. */
static int read_clip(golden *g, const char *stem, float **pcm, int64_t *count, int *rate, char *err) {
	char path[PATH_MAX], name[160];
	int64_t samples;
	snprintf(name, sizeof name, "%s_wav", stem);
	const float *const tensor = golden_input(g, name, &samples);
	if (tensor) {
		*rate = strstr(stem, "8k") ? 8000 : 16000;
		*count = samples;
		*pcm = malloc((size_t)samples * sizeof **pcm + 1);
		if (!*pcm) return sn_fail(err, SN_E_MEMORY, "out of memory");
		memcpy(*pcm, tensor, (size_t)samples * sizeof **pcm);
		return SN_OK;
	}
	sn_decoder *decoder = NULL;
	size_t got = 0;
	snprintf(path, sizeof path, "%s/%s.wav", golden_dir(g), stem);
	int code = sn_decoder_open_path(&decoder, path, 0, err);
	if (code == SN_OK) code = sn_decoder_read_all(decoder, 600, pcm, &got, err);
	if (code == SN_OK) *rate = sn_decoder_get_info(decoder)->out_rate;
	sn_decoder_close(&decoder);
	*count = (int64_t)got;
	return code;
}

static void compare_segments(golden *g, const char *name, const float *probabilities, int chunks, int64_t samples, int rate) {
	const sn_vad_options options = sn_vad_silero_defaults();
	int32_t segments[2 * MAX_SEGMENTS];
	sn_vad_segment segment;
	sn_vad vad;
	int count = 0;
	sn_vad_init(&vad, &options, rate);
	for (int i = 0; i <= chunks; i++) {
		if (i < chunks) sn_vad_push(&vad, probabilities[i]);
		else sn_vad_finish(&vad, samples);
		while (sn_vad_next(&vad, &segment) && count < MAX_SEGMENTS) {
			segments[2 * count] = (int32_t)segment.start;
			segments[2 * count++ + 1] = (int32_t)segment.end;
		}
	}
	golden_compare_ids(g, name, segments, 2 * count);
}

static int run_clip(golden *g, sn_silero *silero, const char *stem, char *err) {
	char name[160];
	float *pcm = NULL, *padded = NULL;
	int64_t count = 0;
	int rate = 0, code = read_clip(g, stem, &pcm, &count, &rate, err);
	if (code != SN_OK) return code;
	const int chunk = rate == 8000 ? 256 : 512, chunks = (int)((count + chunk - 1) / chunk);
	sn_silero_stream stream;
	padded = calloc((size_t)(chunks + 1) * (size_t)(chunk + 1), sizeof *padded); /* the probabilities lie behind */
	if (padded) {
		float *const probabilities = padded + (size_t)chunks * (size_t)chunk;
		memcpy(padded, pcm, (size_t)count * sizeof *pcm);
		sn_silero_reset(&stream, rate);
		code = sn_silero_run(silero, &stream, padded, chunks, probabilities, err);
		if (code == SN_OK) {
			snprintf(name, sizeof name, "%s_probs", stem);
			golden_compare(g, name, probabilities, chunks, GOLDEN_TENSOR);
			snprintf(name, sizeof name, "%s_final_state", stem);
			golden_compare(g, name, stream.state[0], 2 * 128, GOLDEN_TENSOR);
			snprintf(name, sizeof name, "%s_timestamps_samples", stem);
			compare_segments(g, name, probabilities, chunks, count, rate);
		}
	}
	free(padded);
	free(pcm);
	return code;
}

static int silero_run(golden *g, char *err) {
	static const char tail[] = "_probs";
	const sn_load_options load = { .dir = golden_model(g), .dtype = NN_DTYPE_F32, .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	sn_silero *silero = NULL;
	int code = sn_silero_open(&silero, &load, err);
	for (size_t i = 0; code == SN_OK && i < golden_count(g); i++) {
		const char *const name = golden_at(g, i)->name;
		const size_t length = strlen(name), end = sizeof tail - 1;
		char stem[128];
		if (length <= end || length - end >= sizeof stem || strcmp(name + length - end, tail) != 0) continue;
		memcpy(stem, name, length - end);
		stem[length - end] = 0;
		code = run_clip(g, silero, stem, err);
	}
	sn_silero_close(&silero);
	return code;
}

const golden_adapter golden_silero = { "silero", silero_accepts, silero_run };
