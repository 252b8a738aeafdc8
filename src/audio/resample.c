#include "audio/resample.h"

#include <soxr.h>
#include <stdlib.h>
#include <string.h>

struct sn_resampler {
	soxr_t soxr;
	int in_rate, out_rate, channels;
	int64_t taken, given; /* frames */
};

static int check_rate(int rate, char *err) {
	if (rate >= SN_AUDIO_MIN_RATE && rate <= SN_AUDIO_MAX_RATE)
		return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "a sample rate of %d Hz is not possible; %d to %d Hz are", rate, SN_AUDIO_MIN_RATE, SN_AUDIO_MAX_RATE);
}

int sn_resampler_open(sn_resampler **out, int in_rate, int out_rate, int channels, char *err) {
	*out = NULL;
	int result = check_rate(in_rate, err);
	if (result == SN_OK)
		result = check_rate(out_rate, err);
	if (result != SN_OK)
		return result;
	sn_resampler *resampler = calloc(1, sizeof *resampler);
	if (!resampler)
		return sn_fail(err, SN_E_MEMORY, "no memory for a resampler");
	soxr_error_t error = NULL;
	soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
	soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
	soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
	resampler->soxr = soxr_create(in_rate, out_rate, (unsigned)channels, &error, &io, &quality, &runtime);
	resampler->in_rate = in_rate;
	resampler->out_rate = out_rate;
	resampler->channels = channels;
	if (error || !resampler->soxr) {
		sn_resampler_close(&resampler);
		return sn_fail(err, SN_E_MEMORY, "cannot resample from %d to %d Hz: %s", in_rate, out_rate, error ? error : "no memory");
	}
	*out = resampler;
	return SN_OK;
}

void sn_resampler_close(sn_resampler **resampler) {
	if (!resampler || !*resampler)
		return;
	if ((*resampler)->soxr)
		soxr_delete((*resampler)->soxr);
	free(*resampler);
	*resampler = NULL;
}

int sn_resampler_process(sn_resampler *resampler, const float *in, size_t in_count, size_t *used, float *out, size_t out_count, size_t *got,
                         char *err) {
	*used = *got = 0;
	soxr_error_t error = soxr_process(resampler->soxr, in, in_count, used, out, out_count, got);
	if (error)
		return sn_fail(err, SN_E_INTERNAL, "resampling from %d to %d Hz failed: %s", resampler->in_rate, resampler->out_rate, error);
	resampler->taken += (int64_t)*used;
	/* soxr rounds the length. Here a begun sample counts, so that a clip of one sample does not vanish. */
	if (!in && !*got && out_count && resampler->given < sn_resampled_count(resampler->taken, resampler->in_rate, resampler->out_rate)) {
		memset(out, 0, sizeof *out * (size_t)resampler->channels);
		*got = 1;
	}
	resampler->given += (int64_t)*got;
	return SN_OK;
}

int64_t sn_resampled_count(int64_t in_count, int in_rate, int out_rate) {
	/* In parts, because a count times a rate may exceed 64 bits. */
	int64_t whole = in_count / in_rate, rest = in_count % in_rate;
	return whole * out_rate + (rest * out_rate + in_rate - 1) / in_rate;
}

int sn_resample(const float *in, size_t in_count, int in_rate, int out_rate, float **out, size_t *out_count, char *err) {
	*out = NULL;
	*out_count = 0;
	sn_resampler *resampler = NULL;
	int result = sn_resampler_open(&resampler, in_rate, out_rate, 1, err);
	if (result != SN_OK)
		return result;
	size_t count = (size_t)sn_resampled_count((int64_t)in_count, in_rate, out_rate), have = 0;
	float *samples = calloc(count ? count : 1, sizeof *samples);
	if (!samples)
		result = sn_fail(err, SN_E_MEMORY, "no memory for %zu samples at %d Hz", count, out_rate);
	for (size_t taken = 0; result == SN_OK && have < count;) {
		size_t used, got, left = in_count - taken;
		result = sn_resampler_process(resampler, left ? in + taken : NULL, left, &used, samples + have, count - have, &got, err);
		taken += used;
		have += got;
		if (!left && !got)
			break;
	}
	sn_resampler_close(&resampler);
	if (result != SN_OK) {
		free(samples);
		return result;
	}
	*out = samples;
	*out_count = count;
	return SN_OK;
}
