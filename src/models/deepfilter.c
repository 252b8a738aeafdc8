#include "models/deepfilter_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PAST (DF_ORDER - 1)

int sn_deepfilter_open(sn_deepfilter **out, const sn_load_options *load, char *err) {
	*out = NULL;
	sn_deepfilter *filter = calloc(1, sizeof *filter);
	if (filter) filter->spectra = calloc(PAST + SN_DEEPFILTER_BLOCK, sizeof *filter->spectra);
	if (!filter || !filter->spectra) {
		free(filter);
		return sn_fail(err, SN_E_MEMORY, "out of memory while loading DeepFilterNet");
	}
	int code = df_tables_open(&filter->tables, err);
	if (code == SN_OK) code = df_graphs_open(filter, load, err);
	if (code != SN_OK) sn_deepfilter_close(&filter);
	*out = filter;
	return code;
}

void sn_deepfilter_close(sn_deepfilter **held) {
	sn_deepfilter *const filter = *held;
	*held = NULL;
	if (!filter) return;
	nn_exec_free(&filter->front);
	nn_exec_free(&filter->filter);
	nn_plan_release(&filter->front_plan);
	nn_plan_release(&filter->filter_plan);
	df_tables_close(&filter->tables);
	free(filter->spectra);
	free(filter);
}

int64_t sn_deepfilter_parameters(const sn_deepfilter *filter) { return filter->parameters; }

int sn_deepfilter_stream_open(sn_deepfilter_stream **out, float limit, char *err) {
	*out = calloc(1, sizeof **out);
	if (!*out) return sn_fail(err, SN_E_MEMORY, "out of memory for noise reduction");
	(*out)->keep = limit >= SN_DEEPFILTER_NO_LIMIT ? 0 : powf(10, -fmaxf(limit, 0) / 20);
	df_stream_reset(*out);
	return SN_OK;
}

void sn_deepfilter_stream_close(sn_deepfilter_stream **stream) {
	free(*stream);
	*stream = NULL;
}

/* The authors' library would skip frames after five silent ones, but counts anew after each frame that has gains, which at its thresholds
 * is every one: digital silence goes through the networks there, too. */
static int run_block(sn_deepfilter *filter, sn_deepfilter_stream *stream, const float *pcm, int count, float *out, float *snr, char *err) {
	float *const bands = nn_exec_input(filter->front, "bands") + DF_INPUT_PAST * DF_BANDS;
	float *const bins = nn_exec_input(filter->front, "bins") + DF_INPUT_PAST * 2 * DF_LOW;
	float clean[2 * DF_BINS];
	memcpy(filter->spectra, stream->spectra, sizeof stream->spectra);
	for (int i = 0; i < count; i++) {
		float *const spectrum = filter->spectra[PAST + i];
		df_analyse(&filter->tables, stream, pcm + i * SN_DEEPFILTER_FRAME, spectrum);
		df_features(&filter->tables, stream, spectrum, bands + i * DF_BANDS, bins + i * 2 * DF_LOW);
	}
	const int code = df_graphs_run(filter, stream, count, err);
	if (code != SN_OK) return code;
	const float *const gains = nn_exec_output(filter->front, "gains", NULL), *const coefs = nn_exec_output(filter->filter, "coefs", NULL);
	for (int i = 0; i < count; i++) {
		df_apply(&filter->tables, filter->spectra + i, gains + i * DF_BANDS, coefs + i * DF_LOW * DF_COEFS, stream->keep, clean);
		df_synthesise(&filter->tables, stream, clean, out + i * SN_DEEPFILTER_FRAME);
	}
	if (snr) memcpy(snr, nn_exec_output(filter->front, "snr", NULL), (size_t)count * sizeof *snr);
	memcpy(stream->spectra, filter->spectra + count, sizeof stream->spectra);
	return SN_OK;
}

int sn_deepfilter_run(sn_deepfilter *filter, sn_deepfilter_stream *stream, const float *pcm, int frames, float *out, float *snr, char *err) {
	for (int done = 0; done < frames; done += SN_DEEPFILTER_BLOCK) {
		const int count = frames - done < SN_DEEPFILTER_BLOCK ? frames - done : SN_DEEPFILTER_BLOCK;
		const size_t at = (size_t)done * SN_DEEPFILTER_FRAME;
		const int code = run_block(filter, stream, pcm + at, count, out + at, snr ? snr + done : NULL, err);
		if (code != SN_OK) return code;
	}
	return SN_OK;
}
