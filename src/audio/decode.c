#include "audio/decode_source.h"
#include "audio/validate.h"
#include "base/ascii.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096 /* frames read at a time */
#define SNIFF 4096
#define PASSED 256 /* blocks that one call passes over */

struct sn_decoder {
	sn_input input;
	sn_source source;
	sn_audio_info info;
	sn_resampler *resampler; /* NULL: the source's rate is the one asked for */
	float *raw;              /* [BLOCK, channels] */
	float mono[BLOCK];
	size_t at, count;        /* what of mono is still to be taken */
	int64_t position;        /* frames that came from the source */
	int ended;
	int failed;              /* SN_OK or the final error, with its message */
	char failure[SN_ERRLEN];
};

/* Text that was given an audio file's name: a web page in place of a download, a transcript. */
static int is_text(const sn_input *input) {
	unsigned char head[SNIFF];
	int64_t size = sn_input_read(input, 0, head, sizeof head);
	for (int64_t i = 0; i < size; i++)
		if (head[i] < 0x20 && !sn_isspace(head[i]))
			return 0;
	return size > 0;
}

/* What libsndfile opened, in the light of what its frames say. */
static int correct(sn_decoder *d, const sn_length *length) {
	sn_audio_info *const info = &d->info;
	if (length->goes_on) {
		info->truncated = 1;
		snprintf(info->note, sizeof info->note, "it goes on behind %.3f s, where its header ends it; only sonant-decode reads on, and cannot be used",
		         (double)info->frames / info->rate);
	} else if (length->frames >= 0) {
		info->frames = length->frames;
	}
	return SN_OK;
}

/* libsndfile reads what it can; the helper what it cannot, and what it would end too early. */
static int open_source(sn_decoder *d, char *err) {
	char refusal[SN_ERRLEN], needed[SN_ERRLEN];
	sn_length length;
	if (d->source.state)
		return SN_OK;
	sn_source_measure(&d->input, &length);
	int known = 0, result = length.goes_on ? sn_source_open_helper(&d->source, &d->input, &d->info, needed) : SN_AGAIN;
	if (result == SN_OK)
		d->info.frames = length.frames;
	if (result != SN_AGAIN && result != SN_E_DEPENDENCY && result != SN_E_FORMAT && result != SN_E_LIMIT)
		return result == SN_OK ? SN_OK : sn_fail(err, result, "%s", needed);
	result = sn_source_open_sndfile(&d->source, &d->input, &d->info, &known, refusal);
	if (result != SN_AGAIN)
		return result == SN_OK ? correct(d, &length) : sn_fail(err, result, "%s", refusal);
	if (is_text(&d->input))
		return sn_fail(err, SN_E_FORMAT, "'%s' is text, not audio", d->input.name);
	result = sn_source_open_helper(&d->source, &d->input, &d->info, needed);
	if (result == SN_OK)
		return SN_OK;
	if (known && (result == SN_E_FORMAT || result == SN_E_LIMIT)) /* the file's fault: libsndfile's complaint says more */
		return sn_fail(err, SN_E_FORMAT, "%s", refusal);
	if (known && result == SN_E_DEPENDENCY)
		return sn_fail(err, result, "%.200s; only sonant-decode may read it, and %s", refusal, needed);
	if (result == SN_E_DEPENDENCY)
		return sn_fail(err, result, "'%.120s' is of a kind that only sonant-decode reads, and %s", d->input.name, needed);
	return sn_fail(err, result, "%s", needed);
}

static int check_info(const sn_decoder *d, char *err) {
	const sn_audio_info *info = &d->info;
	if (info->rate < SN_AUDIO_MIN_RATE || info->rate > SN_AUDIO_MAX_RATE)
		return sn_fail(err, SN_E_FORMAT, "'%s' claims %d samples a second; %d to %d are possible", d->input.name, info->rate,
		               SN_AUDIO_MIN_RATE, SN_AUDIO_MAX_RATE);
	if (info->channels < 1 || info->channels > SN_AUDIO_MAX_CHANNELS)
		return sn_fail(err, SN_E_LIMIT, "'%s' has %d channels; 1 to %d are read", d->input.name, info->channels, SN_AUDIO_MAX_CHANNELS);
	return SN_OK;
}

static int open_input(sn_decoder *d, int rate, char *err) {
	if (rate != 0 && (rate < SN_AUDIO_MIN_RATE || rate > SN_AUDIO_MAX_RATE))
		return sn_fail(err, SN_E_ARGUMENT, "%d Hz asked for; %d to %d are possible, 0 keeps the source's", rate, SN_AUDIO_MIN_RATE,
		               SN_AUDIO_MAX_RATE);
	int result = open_source(d, err);
	if (result == SN_OK)
		result = check_info(d, err);
	if (result != SN_OK)
		return result;
	d->info.out_rate = rate ? rate : d->info.rate;
	d->raw = malloc(sizeof(float) * BLOCK * (size_t)d->info.channels);
	if (!d->raw)
		return sn_fail(err, SN_E_MEMORY, "no memory to read '%s'", d->input.name);
	if (d->info.out_rate != d->info.rate)
		return sn_resampler_open(&d->resampler, d->info.rate, d->info.out_rate, 1, err);
	return SN_OK;
}

/* input: its result so far. */
static int finish_open(sn_decoder **out, sn_decoder *d, int result, int rate, char *err) {
	if (result == SN_OK)
		result = open_input(d, rate, err);
	if (result != SN_OK)
		sn_decoder_close(&d);
	*out = d;
	return result;
}

static sn_decoder *new_decoder(char *err) {
	sn_decoder *d = calloc(1, sizeof *d);
	if (d)
		d->input.fd = -1;
	else
		sn_fail(err, SN_E_MEMORY, "no memory for a decoder");
	return d;
}

int sn_decoder_open_path(sn_decoder **out, const char *path, int rate, char *err) {
	sn_decoder *d = *out = new_decoder(err);
	return d ? finish_open(out, d, sn_input_open_path(&d->input, path, err), rate, err) : SN_E_MEMORY;
}

int sn_decoder_open_fd(sn_decoder **out, int fd, const char *name, int rate, char *err) {
	sn_decoder *d = *out = new_decoder(err);
	return d ? finish_open(out, d, sn_input_open_fd(&d->input, fd, name, err), rate, err) : SN_E_MEMORY;
}

static int open_pipe(sn_decoder *d, int fd, const char *name, char *err) {
	snprintf(d->input.name, sizeof d->input.name, "%s", name);
	const int result = sn_source_open_pipe(&d->source, &d->input, fd, &d->info, err);
	return result == SN_AGAIN ? SN_OK : result;
}

int sn_decoder_open_stream(sn_decoder **out, int fd, const char *name, int rate, char *err) {
	sn_decoder *d = *out = new_decoder(err);
	return d ? finish_open(out, d, open_pipe(d, fd, name, err), rate, err) : SN_E_MEMORY;
}

int sn_decoder_open_input(sn_decoder **out, const char *path, int rate, int once, sn_progress progress, void *payload, char *err) {
	sn_decoder *d = *out = new_decoder(err);
	if (!d)
		return SN_E_MEMORY;
	d->input.progress = progress;
	d->input.payload = payload;
	int result;
	if (strcmp(path, "-") != 0)
		result = sn_input_open_path(&d->input, path, err);
	else if (once)
		result = open_pipe(d, STDIN_FILENO, "standard input", err);
	else
		result = sn_input_open_fd(&d->input, STDIN_FILENO, "standard input", err);
	return finish_open(out, d, result, rate, err);
}

int sn_decoder_open_memory(sn_decoder **out, const void *data, size_t size, const char *name, int rate, char *err) {
	sn_decoder *d = *out = new_decoder(err);
	return d ? finish_open(out, d, sn_input_open_memory(&d->input, data, size, name, err), rate, err) : SN_E_MEMORY;
}

/* All but the input. */
static void close_source(sn_decoder *d) {
	if (d->source.close)
		d->source.close(d->source.state);
	sn_resampler_close(&d->resampler);
	free(d->raw);
}

int sn_decoder_rewind(sn_decoder *d, char *err) {
	const sn_input input = d->input;
	const int rate = d->info.out_rate;
	close_source(d);
	*d = (sn_decoder){ .input = input };
	return open_input(d, rate, err);
}

static int fill(sn_decoder *d, char *err);

/* Decodes and drops what comes before the frame. SN_AGAIN: some of it. */
static int pass_over(sn_decoder *d, int64_t frame, char *err) {
	int result = SN_OK;
	for (int i = 0; i < PASSED && d->position < frame && !d->ended && result == SN_OK; i++)
		result = fill(d, err);
	const int64_t behind = d->position - frame;
	d->at = behind >= 0 && (size_t)behind <= d->count ? d->count - (size_t)behind : d->count;
	return result == SN_OK && behind < 0 && !d->ended ? SN_AGAIN : result;
}

int sn_decoder_seek(sn_decoder *d, double seconds, char *err) {
	const int64_t frame = llround(seconds * d->info.rate);
	int result = SN_OK;
	if (!d->source.seek || d->info.frames < 0) /* where it ends is known only there */
		return pass_over(d, frame, err);
	if (frame >= d->info.frames)
		d->ended = 1;
	else
		result = d->source.seek(d->source.state, frame, err);
	d->position = frame;
	return result;
}

void sn_decoder_close(sn_decoder **decoder) {
	if (!decoder || !*decoder)
		return;
	sn_decoder *d = *decoder;
	close_source(d);
	sn_input_close(&d->input);
	free(d);
	*decoder = NULL;
}

const sn_audio_info *sn_decoder_get_info(const sn_decoder *decoder) { return &decoder->info; }

/* mono[t] = mean over c of raw[t, c] */
static void mix(const float *raw, int channels, float *mono, size_t frames) {
	float scale = 1.0f / (float)channels;
	for (size_t t = 0; t < frames; t++) {
		float sum = raw[t * (size_t)channels];
		for (int c = 1; c < channels; c++)
			sum += raw[t * (size_t)channels + (size_t)c];
		mono[t] = channels == 1 ? sum : sum * scale;
	}
}

static int refuse_samples(const sn_decoder *d, size_t first, size_t count, char *err) {
	size_t bad = 0;
	for (size_t i = 0; i < count; i++)
		bad += sn_audio_find_invalid(d->mono + i, 1) == 0;
	if (bad == count && !d->position)
		return sn_fail(err, SN_E_FORMAT, "'%s' holds no audio: its samples are not numbers (all of the first %zu are NaN or infinite)",
		               d->input.name, count);
	int64_t frame = d->position + (int64_t)first;
	return sn_fail(err, SN_E_FORMAT, "'%s' is damaged: the sample at %.4f s (frame %lld) is not a number within +-%g", d->input.name,
	               (double)frame / d->info.rate, (long long)frame, (double)SN_AUDIO_MAX_SAMPLE);
}

/* Refills mono, or sets ended. */
static int fill(sn_decoder *d, char *err) {
	size_t got = 0;
	int result = d->source.read(d->source.state, d->raw, BLOCK, &got, &d->info, err);
	if (result != SN_OK)
		return result;
	d->ended = got == 0;
	if (d->ended && !d->position && !*d->info.note)
		snprintf(d->info.note, sizeof d->info.note, "it holds no samples");
	mix(d->raw, d->info.channels, d->mono, got);
	size_t bad = sn_audio_find_invalid(d->mono, got);
	if (bad < got)
		return refuse_samples(d, bad, got, err);
	d->at = 0;
	d->count = got;
	d->position += (int64_t)got;
	if (d->position > (int64_t)d->info.rate * SN_AUDIO_MAX_SECONDS)
		return sn_fail(err, SN_E_LIMIT, "'%s' is longer than %d hours, the most that is read", d->input.name, SN_AUDIO_MAX_SECONDS / 3600);
	return SN_OK;
}

/* Moves what there is of mono to out, through the resampler where there is one. */
static int deliver(sn_decoder *d, float *out, size_t frames, size_t *got, char *err) {
	size_t left = d->count - d->at, used = left < frames ? left : frames;
	if (!d->resampler) {
		memcpy(out, d->mono + d->at, sizeof(float) * used);
		*got = used;
	} else {
		int result = sn_resampler_process(d->resampler, left ? d->mono + d->at : NULL, left, &used, out, frames, got, err);
		if (result != SN_OK)
			return result;
	}
	d->at += used;
	return SN_OK;
}

static int read_some(sn_decoder *d, float *out, size_t frames, size_t *got, char *err) {
	*got = 0;
	while (*got < frames) {
		int result = d->at == d->count && !d->ended ? fill(d, err) : SN_OK;
		if (result != SN_OK)
			return result;
		if (d->ended && (!d->resampler || !d->position))
			break;
		size_t n = 0;
		if ((result = deliver(d, out + *got, frames - *got, &n, err)) != SN_OK)
			return result;
		*got += n;
		if (d->ended && !n)
			break;
	}
	return *got ? SN_OK : SN_END;
}

int sn_decoder_read(sn_decoder *decoder, float *out, size_t frames, size_t *got, char *err) {
	*got = 0;
	if (decoder->failed)
		return sn_fail(err, decoder->failed, "%s", decoder->failure);
	if (!frames)
		return SN_OK;
	int result = read_some(decoder, out, frames, got, decoder->failure);
	if (result < 0) {
		decoder->failed = result;
		*got = 0;
		return sn_fail(err, result, "%s", decoder->failure);
	}
	return result;
}

/* Room for `frames` more samples behind `count`; doubles. */
static int grow(float **samples, size_t count, size_t *capacity, size_t frames) {
	if (count + frames <= *capacity)
		return 1;
	size_t next = *capacity * 2 > count + frames ? *capacity * 2 : count + frames;
	float *bigger = realloc(*samples, sizeof(float) * next);
	if (bigger) {
		*samples = bigger;
		*capacity = next;
	}
	return bigger != NULL;
}

int sn_decoder_read_all(sn_decoder *decoder, double max_seconds, float **samples, size_t *count, char *err) {
	const size_t step = 16384;
	const sn_audio_info *info = &decoder->info;
	double expected = info->frames > 0 ? (double)info->frames / info->rate : 0;
	double limit = max_seconds * info->out_rate;
	size_t capacity = 0, have = 0;
	float *all = NULL;
	int result = SN_OK;
	*samples = NULL;
	*count = 0;
	if (expected <= max_seconds && expected < 3600) /* one allocation where the length is known; a lying header costs little */
		grow(&all, 0, &capacity, (size_t)(expected * info->out_rate) + step);
	while (result == SN_OK) {
		size_t got = 0;
		if (!grow(&all, have, &capacity, step))
			result = sn_fail(err, SN_E_MEMORY, "no memory for '%s' beyond %zu samples", decoder->input.name, have);
		else
			result = sn_decoder_read(decoder, all + have, step, &got, err);
		have += got;
		if (result == SN_OK && (double)have > limit)
			result = sn_fail(err, SN_E_LIMIT, "'%s' is longer than %.0f s, the most that is allowed here", decoder->input.name, max_seconds);
	}
	if (result != SN_END) {
		free(all);
		return result;
	}
	*samples = all;
	*count = have;
	return SN_OK;
}
