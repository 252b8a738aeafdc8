/* Conversion of files: sn_convert_file. Read, cut, raise, write; for a loudness the samples go through a temporary file, since the gain
 * is known only behind the last one. */
#include "audio/decode.h"
#include "audio/dynamics.h"
#include "audio/encode.h"
#include "audio/levels.h"
#include "audio/spool.h"
#include "base/ascii.h"
#include "base/clock.h"

#include <sonant/sonant.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096
#define CEILING (-1.0)     /* dBTP */
#define MAX_GAIN 60.0      /* dB */

typedef struct converter {
	sn_convert_options options;
	sn_conversion facts;
	sn_audio_format format;
	const char *out_path;
	sn_decoder *decoder;
	sn_encoder *encoder;   /* opened when the first samples are there */
	sn_spool spool;        /* with a loudness only, as are the next two */
	sn_levels *levels;
	sn_limiter *limiter;
	int rate;
	int64_t read, first, last; /* samples read; the part that is taken */
	int64_t written;
	float gain, peak;      /* factor; largest magnitude */
	float block[BLOCK];
} converter;

/* ---- options ---- */

static int choose_format(converter *c, char *err) {
	static const char *const others[] = { "aac", "m4a", "mp4", "wma", "webm", "ac3" };
	const char *const dot = strrchr(c->out_path, '.'), *const name = c->options.format ? c->options.format : dot ? dot + 1 : "";
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (sn_strcasecmp(name, others[i]) == 0)
			return sn_fail(err, SN_E_ARGUMENT, "%s can be read but not written; %s can be written", others[i], SN_AUDIO_FORMATS);
	return sn_audio_format_choose(c->options.format, c->out_path, &c->format, err);
}

/* NaN is out of every range. */
static int check_options(const converter *c, char *err) {
	const sn_convert_options *const o = &c->options;
	const int holds_floats = c->format == SN_AUDIO_WAV || c->format == SN_AUDIO_PCM;
	if (o->bits && o->bits != 16 && o->bits != 24 && o->bits != 32)
		return sn_fail(err, SN_E_ARGUMENT, "samples of %d bits are not possible; 16, 24 and 32 (float) are", o->bits);
	if (o->bits && !holds_floats && c->format != SN_AUDIO_FLAC)
		return sn_fail(err, SN_E_ARGUMENT, "%s has no bits to choose; wav, flac and pcm do", sn_audio_format_name(c->format));
	if (o->bits == 32 && !holds_floats)
		return sn_fail(err, SN_E_ARGUMENT, "flac has no samples of 32 bits; wav and pcm do, as floats");
	if (o->sample_rate && (o->sample_rate < SN_AUDIO_MIN_RATE || o->sample_rate > SN_AUDIO_MAX_RATE))
		return sn_fail(err, SN_E_ARGUMENT, "a sample rate of %d Hz is not possible; %d to %d Hz are", o->sample_rate,
			SN_AUDIO_MIN_RATE, SN_AUDIO_MAX_RATE);
	if (!(o->start >= 0 && o->start <= SN_AUDIO_MAX_SECONDS) || !(o->end >= 0 && o->end <= SN_AUDIO_MAX_SECONDS))
		return sn_fail(err, SN_E_ARGUMENT, "a part from %g to %g s; seconds are 0 to %d", o->start, o->end, SN_AUDIO_MAX_SECONDS);
	if (o->end > 0 && o->end <= o->start)
		return sn_fail(err, SN_E_ARGUMENT, "a part from %g to %g s is empty; the end lies behind the start", o->start, o->end);
	if (!(fabs((double)o->gain) <= MAX_GAIN))
		return sn_fail(err, SN_E_ARGUMENT, "a gain of %g dB; -%g to %g dB is possible", (double)o->gain, MAX_GAIN, MAX_GAIN);
	if (o->loudness != 0 && !(o->loudness >= -40 && o->loudness <= -5))
		return sn_fail(err, SN_E_ARGUMENT, "a loudness of %g LUFS; -40 to -5 LUFS is possible", (double)o->loudness);
	if (o->loudness != 0 && o->gain != 0)
		return sn_fail(err, SN_E_ARGUMENT, "either a gain or a loudness can be asked for, not both");
	return SN_OK;
}

/* ---- writing ---- */

static int open_output(converter *c, char *err) {
	const sn_convert_options *const o = &c->options;
	const sn_encoder_options eo = { .format = c->format, .rate = c->rate, .channels = 1, .floats = o->bits == 32,
		.deep = o->bits == 24, .bitrate = o->bitrate };
	return strcmp(c->out_path, "-") == 0 ? sn_encoder_open_fd(&c->encoder, STDOUT_FILENO, "standard output", &eo, err)
		: sn_encoder_open_path(&c->encoder, c->out_path, &eo, err);
}

static int write_block(converter *c, size_t count, char *err) {
	for (size_t i = 0; i < count; i++) {
		const float size = fabsf(c->block[i]);
		c->peak = size > c->peak ? size : c->peak;
		c->facts.clipped += size > 1 && c->options.bits != 32;
	}
	c->written += (int64_t)count;
	return sn_encoder_write(c->encoder, c->block, count, err);
}

/* A block that was read, of which the samples inside the part are taken. */
static int take_block(converter *c, size_t count, char *err) {
	const int64_t at = c->read;
	const int64_t from = at < c->first ? c->first - at : 0, to = at + (int64_t)count > c->last ? c->last - at : (int64_t)count;
	c->read += (int64_t)count;
	if (from >= to)
		return SN_OK;
	if (!c->encoder) {
		const int result = open_output(c, err);
		if (result != SN_OK)
			return result;
	}
	count = (size_t)(to - from);
	memmove(c->block, c->block + from, count * sizeof *c->block);
	if (c->levels) {
		const int result = sn_levels_push(c->levels, c->block, count, err);
		return result == SN_OK ? sn_spool_write(&c->spool, c->spool.count, c->block, count, err) : result;
	}
	for (size_t i = 0; i < count; i++)
		c->block[i] *= c->gain;
	return write_block(c, count, err);
}

/* From the temporary file, raised and limited. */
static int write_levelled(converter *c, char *err) {
	sn_level_facts facts;
	size_t got = 0;
	sn_levels_get(c->levels, &facts);
	const double gain = facts.loudness > SN_LEVELS_FLOOR ? fmin((double)c->options.loudness - facts.loudness, MAX_GAIN) : 0;
	c->gain = (float)pow(10, gain / 20);
	int result = sn_limiter_open(&c->limiter, CEILING, c->rate, err);
	for (int64_t at = 0; result == SN_OK && at < c->spool.count; at += (int64_t)got) {
		result = sn_spool_read(&c->spool, at, c->block, BLOCK, &got, err);
		for (size_t i = 0; i < got; i++)
			c->block[i] *= c->gain;
		const size_t out = result == SN_OK ? sn_limiter_run(c->limiter, c->block, got, c->block) : 0;
		if (out)
			result = write_block(c, out, err);
		const double done = (double)c->read / c->rate; /* all was read: this pass only asks whether it may go on */
		if (result == SN_OK && c->options.progress && c->options.progress(c->options.payload, done, done) != 0)
			return sn_fail(err, SN_E_CANCELLED, "cancelled by the caller");
	}
	while (result == SN_OK && (got = sn_limiter_run(c->limiter, NULL, BLOCK, c->block)) > 0)
		result = write_block(c, got, err);
	c->facts.limited = c->limiter ? (float)sn_limiter_most(c->limiter) : 0;
	return result;
}

/* ---- the whole ---- */

static int read_all(converter *c, char *err) {
	const sn_audio_info *const info = sn_decoder_get_info(c->decoder);
	const sn_convert_options *const o = &c->options;
	const double total = info->frames > 0 ? (double)info->frames / info->rate : 0;
	size_t got;
	int result = SN_OK;
	while (result == SN_OK && c->read < c->last && (result = sn_decoder_read(c->decoder, c->block, BLOCK, &got, err)) == SN_OK) {
		result = take_block(c, got, err);
		if (result == SN_OK && o->progress && o->progress(o->payload, (double)c->read / c->rate, total) != 0)
			return sn_fail(err, SN_E_CANCELLED, "cancelled by the caller");
	}
	if (result != SN_OK && result != SN_END)
		return result;
	if (c->read == 0)
		return sn_fail(err, SN_E_FORMAT, "there are no samples in it");
	if (!c->encoder)
		return sn_fail(err, SN_E_ARGUMENT, "a part from %g s on was asked for, but it ends at %.3f s", o->start,
			(double)c->read / c->rate);
	return c->levels ? write_levelled(c, err) : SN_OK;
}

static int open_input(converter *c, const char *path, char *err) {
	const sn_convert_options *const o = &c->options;
	int result = sn_decoder_open_input(&c->decoder, path, o->sample_rate, 0, o->progress, o->payload, err);
	if (result != SN_OK)
		return result;
	c->rate = sn_decoder_get_info(c->decoder)->out_rate;
	c->first = (int64_t)llround(o->start * c->rate);
	c->last = o->end > 0 ? (int64_t)llround(o->end * c->rate) : INT64_MAX;
	if (o->loudness != 0)
		result = sn_levels_open(&c->levels, c->rate, err);
	return result == SN_OK && o->loudness != 0 ? sn_spool_open(&c->spool, err) : result;
}

static void fill_facts(converter *c, double started) {
	const sn_audio_info *const info = sn_decoder_get_info(c->decoder);
	sn_conversion *const f = &c->facts;
	const int lossy = c->format == SN_AUDIO_MP3 || c->format == SN_AUDIO_OPUS;
	f->duration = (double)c->written / c->rate;
	snprintf(f->input_format, sizeof f->input_format, "%s", info->format);
	f->input_rate = info->rate;
	f->input_channels = info->channels;
	f->format = sn_audio_format_name(c->format);
	f->sample_rate = sn_encoder_rate(c->encoder);
	f->channels = 1;
	f->bits = lossy ? 0 : c->options.bits ? c->options.bits : 16;
	f->gain = (float)(20 * log10((double)c->gain));
	f->peak = (float)sn_decibels((double)c->peak * (double)c->peak);
	if (info->channels > 1 && !info->note[0])
		snprintf(f->note, sizeof f->note, "the %d channels were averaged: the result is mono", info->channels);
	else
		snprintf(f->note, sizeof f->note, "%s", info->note);
	f->processing_time = sn_now() - started;
}

static void converter_close(converter **converter) {
	if (!*converter)
		return;
	sn_encoder_close(&(*converter)->encoder);
	sn_decoder_close(&(*converter)->decoder);
	sn_limiter_close(&(*converter)->limiter);
	sn_levels_close(&(*converter)->levels);
	sn_spool_close(&(*converter)->spool);
	free(*converter);
	*converter = NULL;
}

int sn_convert_file(sn_conversion *facts, const char *path, const char *out_path, const sn_convert_options *options, char *err) {
	const double started = sn_now();
	converter *c = calloc(1, sizeof *c);
	if (!c)
		return sn_fail(err, SN_E_MEMORY, "no memory to convert audio");
	c->options = options ? *options : (sn_convert_options){ 0 };
	c->out_path = out_path;
	c->spool = (sn_spool)SN_SPOOL_CLOSED;
	c->gain = (float)pow(10, (double)c->options.gain / 20);
	int result = choose_format(c, err);
	if (result == SN_OK)
		result = check_options(c, err);
	if (result == SN_OK)
		result = open_input(c, path, err);
	if (result == SN_OK)
		result = read_all(c, err);
	if (result == SN_OK)
		result = sn_encoder_finish(c->encoder, err);
	if (result == SN_OK && facts) {
		fill_facts(c, started);
		*facts = c->facts;
	}
	converter_close(&c);
	return result;
}
