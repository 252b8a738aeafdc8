/* Enhancement of files and samples: sn_enhance_*. */
#include "speech/enhance.h"

#include "audio/encode.h"
#include "audio/validate.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_LIMIT 24.0f
#define DEFAULT_LOUDNESS (-16.0f)
#define DEFAULT_CEILING (-1.0f)
#define MIN_RATE 8000
#define MAX_RATE 192000
#define MAX_OUT ((size_t)1 << 30) /* samples of a result in memory */

/* NaN is out of every range. */
static int check_range(float *value, float otherwise, float low, float high, const char *name, const char *unit, char *err) {
	if (*value == 0)
		*value = otherwise;
	if (*value >= low && *value <= high)
		return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "%s of %g %s; %g to %g is possible", name, (double)*value, unit, (double)low, (double)high);
}

static int check_switch(sn_switch value, const char *name, char *err) {
	return value >= SN_DEFAULT && value <= SN_ON ? SN_OK : sn_fail(err, SN_E_ARGUMENT, "%s is %d, which is no sn_switch", name, (int)value);
}

static int check_rate(int rate, const char *what, char *err) {
	if (rate >= MIN_RATE && rate <= MAX_RATE)
		return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "a sample rate %s of %d Hz; %d to %d Hz can be enhanced", what, rate, MIN_RATE, MAX_RATE);
}

static int take_options(sn_enhancer *e, const sn_enhance_options *options, char *err) {
	sn_enhance_options *o = &e->options;
	*o = options ? *options : (sn_enhance_options){ 0 };
	const struct { sn_switch value; const char *name; } switches[] = {
		{ o->denoise, "denoise" }, { o->normalise, "normalise" }, { o->compress, "compress" }, { o->declip, "declip" }, { o->highpass, "highpass" },
		{ o->scores, "scores" },
	};
	int result = check_range(&o->attenuation_limit, DEFAULT_LIMIT, 1, 100, "an attenuation limit", "dB", err);
	if (result == SN_OK)
		result = check_range(&o->loudness, DEFAULT_LOUDNESS, -40, -5, "a loudness", "LUFS", err);
	if (result == SN_OK)
		result = check_range(&o->ceiling, DEFAULT_CEILING, -20, -0.1f, "a ceiling", "dBTP", err);
	if (result == SN_OK && o->sample_rate)
		result = check_rate(o->sample_rate, "of the result", err);
	for (size_t i = 0; result == SN_OK && i < sizeof switches / sizeof *switches; i++)
		result = check_switch(switches[i].value, switches[i].name, err);
	return result;
}

static void enhancer_close(sn_enhancer **enhancer) {
	sn_enhancer *e = *enhancer;
	*enhancer = NULL;
	if (!e)
		return;
	sn_levels_close(&e->levels);
	sn_rater_close(&e->rater);
	sn_denoise_close(&e->denoise);
	sn_limiter_close(&e->limiter);
	sn_resampler_close(&e->resampler);
	sn_spool_close(&e->spool);
	free(e);
}

static int enhancer_open(sn_enhancer **out, sn_engine *engine, const sn_enhance_options *options, char *err) {
	sn_enhancer *e = *out = calloc(1, sizeof *e);
	if (!e)
		return sn_fail(err, SN_E_MEMORY, "no memory for enhancement");
	e->engine = engine;
	e->spool = (sn_spool)SN_SPOOL_CLOSED;
	int result = take_options(e, options, err);
	if (result == SN_OK)
		result = sn_spool_open(&e->spool, err);
	if (result != SN_OK)
		enhancer_close(out);
	return result;
}

/* From here on the rate is known. frames: of the input, below 0 where its header does not say. */
static int set_rate(sn_enhancer *e, int rate, int64_t frames, char *err) {
	e->rate = e->facts.input_rate = rate;
	e->facts.sample_rate = e->options.sample_rate ? e->options.sample_rate : rate;
	e->facts.duration = frames > 0 ? (double)frames / rate : 0;
	return check_rate(rate, "of the input", err);
}

/* The passes after the input was heard. */
static int finish(sn_enhancer *e, sn_enhance_sink sink, void *payload, char *err) {
	if (!e->spool.count)
		return sn_fail(err, SN_E_FORMAT, "the input holds no samples");
	e->facts.duration = (double)e->spool.count / e->rate;
	int result = sn_enhance_clean(e, err);
	if (result == SN_OK)
		result = sn_enhance_compress(e, err);
	return result == SN_OK ? sn_enhance_master(e, sink, payload, err) : result;
}

/* ---- files ---- */

static int hear_file(sn_enhancer *e, const char *path, char *err) {
	sn_decoder *decoder = NULL;
	size_t got = 0;
	int result = sn_decoder_open_input(&decoder, path, 0, 0, e->options.progress, e->options.payload, err);
	if (result != SN_OK)
		return result;
	const sn_audio_info *info = sn_decoder_get_info(decoder);
	e->facts.input_channels = info->channels;
	result = set_rate(e, info->out_rate, info->frames, err);
	while (result == SN_OK && (result = sn_decoder_read(decoder, e->block, SN_ENHANCE_BLOCK, &got, err)) == SN_OK)
		result = sn_enhance_hear(e, e->block, got, err);
	if (info->channels > 1 && !*info->note)
		snprintf(e->facts.note, sizeof e->facts.note, "the %d channels were averaged: the result is mono", info->channels);
	else
		snprintf(e->facts.note, sizeof e->facts.note, "%s", info->note);
	sn_decoder_close(&decoder);
	return result == SN_END ? SN_OK : result;
}

static int to_encoder(void *payload, const float *samples, size_t count, char *err) { return sn_encoder_write(payload, samples, count, err); }

int sn_enhance_file(sn_enhancement *facts, sn_engine *engine, const char *path, const char *out_path, const char *format,
                    const sn_enhance_options *options, char *err) {
	const double start = sn_now();
	sn_enhancer *e = NULL;
	sn_encoder *encoder = NULL;
	sn_encoder_options eo = { .channels = 1 };
	int result = sn_audio_format_choose(format, out_path, &eo.format, err);
	if (result == SN_OK)
		result = enhancer_open(&e, engine, options, err);
	if (result == SN_OK)
		result = hear_file(e, path, err);
	if (result == SN_OK) {
		eo.rate = e->facts.sample_rate;
		result = strcmp(out_path, "-") == 0 ? sn_encoder_open_fd(&encoder, STDOUT_FILENO, "standard output", &eo, err)
			: sn_encoder_open_path(&encoder, out_path, &eo, err);
	}
	if (result == SN_OK)
		result = finish(e, to_encoder, encoder, err);
	if (result == SN_OK)
		result = sn_encoder_finish(encoder, err);
	if (result == SN_OK && facts) {
		*facts = e->facts;
		facts->sample_rate = sn_encoder_rate(encoder);
		facts->processing_time = sn_now() - start;
	}
	sn_encoder_close(&encoder);
	enhancer_close(&e);
	return result;
}

/* ---- samples ---- */

typedef struct memory { float *samples; size_t count, room; } memory;

static int to_memory(void *payload, const float *samples, size_t count, char *err) {
	memory *m = payload;
	size_t room = m->room ? m->room : SN_ENHANCE_BLOCK;
	while (room < m->count + count)
		room *= 2;
	if (room > MAX_OUT)
		return sn_fail(err, SN_E_LIMIT, "the result has more than %zu samples", MAX_OUT);
	float *grown = room > m->room ? realloc(m->samples, room * sizeof *grown) : m->samples;
	if (!grown)
		return sn_fail(err, SN_E_MEMORY, "no memory for %zu samples", room);
	memcpy(grown + m->count, samples, count * sizeof *grown);
	m->samples = grown;
	m->count += count;
	m->room = room;
	return SN_OK;
}

int sn_enhance_pcm(float **out, size_t *out_count, sn_enhancement *facts, sn_engine *engine, const float *pcm, size_t count, int sample_rate,
                   const sn_enhance_options *options, char *err) {
	const double start = sn_now();
	const size_t invalid = sn_audio_find_invalid(pcm, count);
	sn_enhancer *e = NULL;
	memory m = { 0 };
	*out = NULL;
	*out_count = 0;
	if (invalid < count)
		return sn_fail(err, SN_E_FORMAT, "sample %zu is %g; samples must be numbers between -1 and 1", invalid, (double)pcm[invalid]);
	int result = enhancer_open(&e, engine, options, err);
	if (result == SN_OK) {
		e->facts.input_channels = 1;
		result = set_rate(e, sample_rate, (int64_t)count, err);
	}
	for (size_t at = 0, part; result == SN_OK && at < count; at += part) {
		part = count - at < SN_ENHANCE_BLOCK ? count - at : SN_ENHANCE_BLOCK;
		result = sn_enhance_hear(e, pcm + at, part, err);
	}
	if (result == SN_OK)
		result = finish(e, to_memory, &m, err);
	if (result == SN_OK && facts) {
		*facts = e->facts;
		facts->processing_time = sn_now() - start;
	}
	enhancer_close(&e);
	if (result != SN_OK) {
		free(m.samples);
		return result;
	}
	*out = m.samples;
	*out_count = m.count;
	return SN_OK;
}
