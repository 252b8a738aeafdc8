/* Ratings in one call. */
#include "speech/quality_internal.h"

#include "audio/validate.h"

#define PIECE ((size_t)65536) /* samples pushed at once */

int sn_rater_feed(sn_rater *rater, sn_decoder *decoder, sn_tick *tick, char *err) {
	const sn_audio_info *const info = sn_decoder_get_info(decoder);
	tick->total = info->frames > 0 ? (double)info->frames / info->rate : 0;
	float block[RATER_BLOCK];
	int64_t samples = 0;
	size_t got;
	int result;
	while ((result = sn_decoder_read(decoder, block, RATER_BLOCK, &got, err)) == SN_OK) {
		result = sn_rater_push_asking(rater, block, got, tick, err);
		samples += (int64_t)got;
		tick->seconds = (double)samples / info->out_rate;
		if (result == SN_OK)
			result = sn_tick_ask(tick, err);
		if (result != SN_OK)
			return result;
	}
	if (result == SN_END && samples == 0)
		return sn_fail(err, SN_E_FORMAT, "there are no samples in it");
	return result == SN_END ? SN_OK : result;
}

static int rate(sn_quality *quality, sn_engine *engine, sn_decoder *decoder, const sn_quality_options *o, char *err) {
	const sn_audio_info *const info = sn_decoder_get_info(decoder);
	const sn_rater_options options = { .quality = o ? *o : (sn_quality_options){ 0 },
		.expected = info->frames > 0 ? info->frames : 0 };
	sn_tick tick = { .progress = options.quality.progress, .payload = options.quality.payload };
	sn_rater *rater = NULL;
	int result = sn_rater_open(&rater, engine, info->out_rate, &options, err);
	if (result == SN_OK)
		result = sn_rater_feed(rater, decoder, &tick, err);
	if (result == SN_OK)
		result = sn_rater_finish_asking(rater, quality, &tick, err);
	if (result == SN_OK)
		quality->channels = info->channels;
	sn_rater_close(&rater);
	return result;
}

int sn_quality_file(sn_quality *quality, sn_engine *engine, const char *path, const sn_quality_options *options, char *err) {
	sn_decoder *decoder = NULL;
	int result = sn_decoder_open_input(&decoder, path, 0, 0, options ? options->progress : NULL, options ? options->payload : NULL, err);
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
	sn_tick tick = { .progress = o.quality.progress, .payload = o.quality.payload, .total = (double)count / sample_rate };
	sn_rater *rater = NULL;
	int result = sn_rater_open(&rater, engine, sample_rate, &o, err);
	const size_t invalid = result == SN_OK ? sn_audio_find_invalid(pcm, count) : count;
	if (invalid < count)
		result = sn_fail(err, SN_E_FORMAT, "sample %zu is not a number within +-%g", invalid, (double)SN_AUDIO_MAX_SAMPLE);
	for (size_t at = 0; result == SN_OK && at < count; at += PIECE) {
		tick.seconds = (double)at / sample_rate;
		result = sn_rater_push_asking(rater, pcm + at, count - at < PIECE ? count - at : PIECE, &tick, err);
		if (result == SN_OK)
			result = sn_tick_ask(&tick, err);
	}
	if (result == SN_OK)
		result = sn_rater_finish_asking(rater, quality, &tick, err);
	sn_rater_close(&rater);
	return result;
}
