#include "golden.h"

#include "audio/decode.h"
#include "models/dnsmos.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


static int dnsmos_accepts(const char *model) {
	char path[PATH_MAX];
	return snprintf(path, sizeof path, "%s/model_v8.onnx", model) < (int)sizeof path && access(path, F_OK) == 0;
}

/* A clip beside the fixture, of the stem's name, repeated until it fills a window. */
static int read_clip(golden *g, const char *stem, float **pcm, int64_t *count, char *err) {
	static const char *const endings[] = { ".wav", "_16k.wav" };
	char path[PATH_MAX];
	sn_decoder *decoder = NULL;
	float *samples = NULL;
	size_t got = 0;
	int code = SN_E_NOT_FOUND;
	for (int i = 0; i < 2 && code == SN_E_NOT_FOUND; i++) {
		snprintf(path, sizeof path, "%s/%s%s", golden_dir(g), stem, endings[i]);
		code = sn_decoder_open_path(&decoder, path, SN_DNSMOS_RATE, err);
	}
	if (code == SN_OK) code = sn_decoder_read_all(decoder, 600, &samples, &got, err);
	sn_decoder_close(&decoder);
	if (code != SN_OK) return code;
	*count = sn_dnsmos_doubled((int64_t)got);
	*pcm = malloc((size_t)*count * sizeof **pcm);
	for (int64_t i = 0; *pcm && i < *count; i++) (*pcm)[i] = samples[i % (int64_t)got];
	free(samples);
	return *pcm ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory");
}

static void compare_first(golden *g, const char *stem, const sn_dnsmos_stream *stream, const sn_dnsmos_raw *raw) {
	char name[160];
	snprintf(name, sizeof name, "%s_window0_raw_sig_bak_ovr", stem);
	golden_compare(g, name, &raw->signal, 3, GOLDEN_TENSOR);
	snprintf(name, sizeof name, "%s_window0_raw_p808", stem);
	golden_compare(g, name, &raw->p808, 1, GOLDEN_TENSOR);
	snprintf(name, sizeof name, "%s_window0_p808_mel", stem);
	golden_compare(g, name, sn_dnsmos_get_mel(stream), SN_DNSMOS_MEL_FRAMES * SN_DNSMOS_MELS, GOLDEN_TENSOR);
}

static int run_clip(golden *g, sn_dnsmos *dnsmos, const char *stem, char *err) {
	static const char *const names[] = { "%s_dnsmos_ovrl_sig_bak_p808", "%s_dnsmos_personalized_ovrl_sig_bak_p808" };
	sn_dnsmos_stream *stream = NULL;
	float *pcm = NULL;
	int64_t count = 0;
	double sums[2][4] = { { 0 } };
	const int variants = 1 + sn_dnsmos_is_personalised(dnsmos);
	int code = read_clip(g, stem, &pcm, &count, err);
	if (code == SN_OK) code = sn_dnsmos_stream_open(&stream, variants == 2, err);
	const int64_t windows = sn_dnsmos_windows(count);
	int heard = 0;
	for (int64_t i = 0; code == SN_OK && i < windows; i++) {
		sn_dnsmos_raw raw;
		if (!sn_dnsmos_is_heard(i)) continue;
		heard++;
		sn_dnsmos_begin(dnsmos, stream, pcm + i * SN_DNSMOS_HOP, i);
		while ((code = sn_dnsmos_next(dnsmos, stream, err)) == SN_AGAIN) continue;
		if (code != SN_OK) break;
		sn_dnsmos_get_raw(stream, &raw);
		if (i == 0) compare_first(g, stem, stream, &raw);
		for (int v = 0; v < variants; v++) {
			sn_dnsmos_scores s;
			sn_dnsmos_scale(&raw, v, &s);
			const double values[4] = { s.overall, s.signal, s.background, s.p808 };
			for (int k = 0; k < 4; k++) sums[v][k] += values[k];
		}
	}
	for (int v = 0; code == SN_OK && v < variants; v++) {
		char name[160];
		snprintf(name, sizeof name, names[v], stem);
		float means[4];
		for (int k = 0; k < 4; k++) means[k] = (float)(sums[v][k] / heard);
		golden_compare(g, name, means, 4, GOLDEN_TENSOR);
	}
	sn_dnsmos_stream_close(&stream);
	free(pcm);
	return code;
}

static int dnsmos_run(golden *g, char *err) {
	static const char tail[] = "_window0_raw_p808";
	const sn_load_options load = { .dir = golden_model(g), .dtype = NN_DTYPE_F32, .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	sn_dnsmos *dnsmos = NULL;
	int code = sn_dnsmos_open(&dnsmos, &load, err);
	for (size_t i = 0; code == SN_OK && i < golden_count(g); i++) {
		const char *const name = golden_at(g, i)->name;
		const size_t length = strlen(name), end = sizeof tail - 1;
		char stem[128];
		if (length <= end || length - end >= sizeof stem || strcmp(name + length - end, tail) != 0) continue;
		memcpy(stem, name, length - end);
		stem[length - end] = 0;
		code = run_clip(g, dnsmos, stem, err);
	}
	sn_dnsmos_close(&dnsmos);
	return code;
}

const golden_adapter golden_dnsmos = { "dnsmos", dnsmos_accepts, dnsmos_run };
