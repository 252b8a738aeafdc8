/* Ratings in one call. */
#include "speech/quality_internal.h"

#include <string.h>
#include <unistd.h>

int sn_rater_feed(sn_rater *rater, sn_decoder *decoder, const sn_quality_options *o, char *err) {
	const sn_audio_info *const info = sn_decoder_get_info(decoder);
	const double total = info->frames > 0 ? (double)info->frames / info->rate : 0;
	float block[RATER_BLOCK];
	int64_t samples = 0;
	size_t got;
	int result;
	while ((result = sn_decoder_read(decoder, block, RATER_BLOCK, &got, err)) == SN_OK) {
		result = sn_rater_push(rater, block, got, err);
		if (result != SN_OK)
			return result;
		samples += (int64_t)got;
		if (o && o->progress && o->progress(o->payload, (double)samples / info->out_rate, total) != 0)
			return sn_fail(err, SN_E_CANCELLED, "cancelled by the caller");
	}
	if (result == SN_END && samples == 0)
		return sn_fail(err, SN_E_FORMAT, "there are no samples in it");
	return result == SN_END ? SN_OK : result;
}

static int rate(sn_quality *quality, sn_engine *engine, sn_decoder *decoder, const sn_quality_options *o, char *err) {
	const sn_audio_info *const info = sn_decoder_get_info(decoder);
	const sn_rater_options options = { .quality = o ? *o : (sn_quality_options){ 0 },
		.expected = info->frames > 0 ? info->frames : 0 };
	sn_rater *rater = NULL;
	int result = sn_rater_open(&rater, engine, info->out_rate, &options, err);
	if (result == SN_OK)
		result = sn_rater_feed(rater, decoder, o, err);
	if (result == SN_OK)
		result = sn_rater_finish(rater, quality, err);
	if (result == SN_OK)
		quality->channels = info->channels;
	sn_rater_close(&rater);
	return result;
}

int sn_quality_file(sn_quality *quality, sn_engine *engine, const char *path, const sn_quality_options *options, char *err) {
	sn_decoder *decoder = NULL;
	int result = strcmp(path, "-") == 0 ? sn_decoder_open_fd(&decoder, STDIN_FILENO, "standard input", 0, err)
		: sn_decoder_open_path(&decoder, path, 0, err);
	if (result == SN_OK)
		result = rate(quality, engine, decoder, options, err);
	sn_decoder_close(&decoder);
	return result;
}

int sn_quality_memory(sn_quality *quality, sn_engine *engine, const void *data, size_t size, const sn_quality_options *options,
                      char *err) {
	sn_decoder *decoder = NULL;
	int result = sn_decoder_open_memory(&decoder, data, size, "the audio", 0, err);
	if (result == SN_OK)
		result = rate(quality, engine, decoder, options, err);
	sn_decoder_close(&decoder);
	return result;
}

int sn_quality_pcm(sn_quality *quality, sn_engine *engine, const float *pcm, size_t count, int sample_rate,
                   const sn_quality_options *options, char *err) {
	const sn_rater_options o = { .quality = options ? *options : (sn_quality_options){ 0 }, .expected = (int64_t)count };
	sn_rater *rater = NULL;
	int result = sn_rater_open(&rater, engine, sample_rate, &o, err);
	if (result == SN_OK)
		result = sn_rater_push(rater, pcm, count, err);
	if (result == SN_OK)
		result = sn_rater_finish(rater, quality, err);
	sn_rater_close(&rater);
	return result;
}
