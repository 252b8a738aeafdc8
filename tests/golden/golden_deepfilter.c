#include "golden.h"

#include "models/deepfilter_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int deepfilter_accepts(const char *model) {
	char path[4096];
	snprintf(path, sizeof path, "%s/erb_dec.onnx", model);
	return access(path, F_OK) == 0;
}

/* values [time, frequencies, channels] -> the reference's [channels, time, frequencies]. */
static void compare_turned(golden *g, const char *name, const float *values, int64_t time, int64_t frequencies, int64_t channels) {
	float *const turned = malloc((size_t)(time * frequencies * channels) * sizeof *turned);
	for (int64_t i = 0; turned && i < time * frequencies * channels; i++)
		turned[(i % channels * time + i / channels / frequencies) * frequencies + i / channels % frequencies] = values[i];
	if (turned) golden_compare(g, name, turned, time * frequencies * channels, GOLDEN_TENSOR);
	free(turned);
}

/* Inner tensors, which debug plans keep. */
static int compare_inner(golden *g, sn_deepfilter *filter, int64_t time, char *err) {
	static const struct { const char *name, *expected; int frequencies; } inner[] = {
		{ "e0", "net_e0", 32 }, { "e1", "net_e1", 16 }, { "e2", "net_e2", 8 }, { "e3", "net_e3", 8 }, { "c0", "net_c0", DF_LOW },
	};
	for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
		float *values = NULL;
		int64_t dims[NN_MAX_RANK];
		int rank, code = nn_exec_tensor(filter->front, inner[i].name, &values, &rank, dims, err);
		if (code != SN_OK) return code;
		compare_turned(g, inner[i].expected, values, time, inner[i].frequencies, DF_CHANNELS);
		free(values);
	}
	golden_compare(g, "net_alpha", nn_exec_output(filter->filter, "alpha", NULL), time, GOLDEN_TENSOR);
	return SN_OK;
}

/* The networks alone, on random features. */
static int run_networks(golden *g, sn_deepfilter *filter, sn_deepfilter_stream *stream, char *err) {
	int64_t count = 0;
	const float *const bands = golden_input(g, "net_feat_erb", &count), *const bins = golden_input(g, "net_feat_spec", NULL);
	const int64_t time = count / DF_BANDS;
	if (!bands || !bins || time < 1 || time > SN_DEEPFILTER_BLOCK) return sn_fail(err, SN_E_MODEL, "the fixture has no features");
	memcpy(nn_exec_input(filter->front, "bands") + DF_INPUT_PAST * DF_BANDS, bands, (size_t)count * sizeof *bands);
	float *const to = nn_exec_input(filter->front, "bins") + DF_INPUT_PAST * 2 * DF_LOW;
	for (int64_t i = 0; i < 2 * time * DF_LOW; i++) to[i % (time * DF_LOW) * 2 + i / (time * DF_LOW)] = bins[i];
	const int code = df_graphs_run(filter, stream, (int)time, err);
	if (code != SN_OK) return code;
	golden_compare(g, "net_emb", nn_exec_output(filter->front, "emb", NULL), time * DF_EMBEDDING, GOLDEN_TENSOR);
	golden_compare(g, "net_lsnr", nn_exec_output(filter->front, "snr", NULL), time, GOLDEN_TENSOR);
	golden_compare(g, "net_mask", nn_exec_output(filter->front, "gains", NULL), time * DF_BANDS, GOLDEN_TENSOR);
	golden_compare(g, "net_coefs", nn_exec_output(filter->filter, "coefs", NULL), time * DF_LOW * DF_COEFS, GOLDEN_TENSOR);
	return golden_debug(g) ? compare_inner(g, filter, time, err) : SN_OK;
}

/* Sound in, sound out. */
static int run_sound(golden *g, sn_deepfilter *filter, float limit, const char *name, char *err) {
	int64_t count = 0;
	char snr_name[64];
	const float *const noisy = golden_input(g, "noisy_48k", &count);
	const int frames = (int)(count / SN_DEEPFILTER_FRAME);
	sn_deepfilter_stream *stream = NULL;
	float *const clean = malloc((size_t)(count + frames) * sizeof *clean);
	int code = noisy && clean ? sn_deepfilter_stream_open(&stream, limit, err) : sn_fail(err, SN_E_MODEL, "the fixture has no sound");
	if (code == SN_OK) code = sn_deepfilter_run(filter, stream, noisy, frames, clean, clean + count, err);
	if (code == SN_OK) {
		golden_compare(g, name, clean, count, GOLDEN_SIGNAL);
		snprintf(snr_name, sizeof snr_name, "%s_lsnr", name);
		golden_compare(g, snr_name, clean + count, frames, GOLDEN_TENSOR);
	}
	sn_deepfilter_stream_close(&stream);
	free(clean);
	return code;
}

static int deepfilter_run(golden *g, char *err) {
	const sn_load_options load = { .dir = golden_model(g), .dtype = NN_DTYPE_F32, .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	sn_deepfilter *filter = NULL;
	sn_deepfilter_stream *stream = NULL;
	int code = sn_deepfilter_open(&filter, &load, err);
	if (code == SN_OK) code = sn_deepfilter_stream_open(&stream, SN_DEEPFILTER_NO_LIMIT, err);
	if (code == SN_OK) code = run_networks(g, filter, stream, err);
	if (code == SN_OK) code = run_sound(g, filter, SN_DEEPFILTER_NO_LIMIT, "enhanced", err);
	if (code == SN_OK) code = run_sound(g, filter, 12, "enhanced_limit_12db", err);
	sn_deepfilter_stream_close(&stream);
	sn_deepfilter_close(&filter);
	return code;
}

const golden_adapter golden_deepfilter = { "deepfilternet", deepfilter_accepts, deepfilter_run };
