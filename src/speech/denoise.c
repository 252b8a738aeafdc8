#include "speech/denoise.h"

#include "audio/resample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME SN_DEEPFILTER_FRAME
#define WIDE ((SN_DENOISE_FRAMES + 1) * FRAME)
#define QUIETEST 120 /* decibels below full scale that are told apart */

struct sn_denoise {
	sn_model *model;
	sn_deepfilter_stream *stream;
	sn_resampler *up, *down;   /* NULL at 48 kHz */
	int flushed;               /* all input has left `up` */
	int64_t taken, given;      /* samples at the caller's rate */
	int64_t arrived, fed, made; /* at 48 kHz: from `up`, through the network, from it after its delay */
	size_t wide_count, clean_at, clean_count;
	float wide[WIDE], clean[SN_DENOISE_FRAMES * FRAME];
	int64_t levels[2][QUIETEST + 1]; /* frames of -i decibels, before and after */
	double snr_sum;
	int64_t frames;
};

int sn_denoise_open(sn_denoise **out, sn_engine *engine, int rate, float limit, char *err) {
	*out = NULL;
	sn_denoise *d = calloc(1, sizeof *d);
	if (!d)
		return sn_fail(err, SN_E_MEMORY, "no memory for noise reduction");
	int result = sn_model_load(&d->model, engine, NULL, &(sn_model_options){ .task = SN_TASK_DENOISE }, err);
	if (result == SN_OK)
		result = sn_deepfilter_stream_open(&d->stream, limit, err);
	if (result == SN_OK && rate != SN_DEEPFILTER_RATE)
		result = sn_resampler_open(&d->up, rate, SN_DEEPFILTER_RATE, 1, err);
	if (result == SN_OK && rate != SN_DEEPFILTER_RATE)
		result = sn_resampler_open(&d->down, SN_DEEPFILTER_RATE, rate, 1, err);
	if (result != SN_OK)
		sn_denoise_close(&d);
	*out = d;
	return result;
}

void sn_denoise_close(sn_denoise **denoise) {
	sn_denoise *d = *denoise;
	*denoise = NULL;
	if (!d)
		return;
	sn_resampler_close(&d->up);
	sn_resampler_close(&d->down);
	sn_deepfilter_stream_close(&d->stream);
	sn_model_release(&d->model);
	free(d);
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Through a resampler, or where there is none as it is. */
static int convert(sn_resampler *resampler, const float *in, size_t count, size_t *used, float *out, size_t most, size_t *got, char *err) {
	if (resampler)
		return sn_resampler_process(resampler, in, count, used, out, most, got, err);
	*used = *got = in ? least(count, most) : 0;
	memcpy(out, in ? in : out, *got * sizeof *out);
	return SN_OK;
}

/* At 48 kHz with the silence behind the end that pushes the last samples out of the network: whole frames. */
static int64_t whole(const sn_denoise *d) { return (d->arrived + SN_DEEPFILTER_DELAY + FRAME - 1) / FRAME * FRAME; }

/* Input, or after its end what `up` still holds and then silence, to d->wide. */
static int take(sn_denoise *d, const float *in, size_t count, size_t *used, char *err) {
	size_t got = 0, room = WIDE - d->wide_count;
	*used = 0;
	if (!d->flushed) {
		int result = convert(d->up, in, count, used, d->wide + d->wide_count, room, &got, err);
		if (result != SN_OK)
			return result;
		d->taken += (int64_t)*used;
		d->arrived += (int64_t)got;
		d->wide_count += got;
		d->flushed = !in && !got;
	}
	if (d->flushed) {
		int64_t missing = whole(d) - d->fed - (int64_t)d->wide_count;
		got = least(WIDE - d->wide_count, missing > 0 ? (size_t)missing : 0);
		memset(d->wide + d->wide_count, 0, got * sizeof *d->wide);
		d->wide_count += got;
	}
	return SN_OK;
}

static void measure(sn_denoise *d, int which, const float *frames, int count) {
	for (int i = 0; i < count; i++, frames += FRAME) {
		double sum = 0;
		for (int j = 0; j < FRAME; j++)
			sum += (double)frames[j] * frames[j];
		double quiet = sum > 0 ? -10 * log10(sum / FRAME) : QUIETEST;
		d->levels[which][(int)fmin(fmax(quiet, 0), QUIETEST)]++;
	}
}

/* The whole frames of d->wide through the network to d->clean; what its delay puts before the first sample and what lies behind the
 * last one is left out. */
static int run(sn_denoise *d, char *err) {
	float snr[SN_DENOISE_FRAMES];
	int frames = (int)least(d->wide_count / FRAME, SN_DENOISE_FRAMES);
	size_t count = (size_t)frames * FRAME;
	const int result = sn_deepfilter_run(d->model->deepfilter, d->stream, d->wide, frames, d->clean, snr, err);
	if (result != SN_OK)
		return result;
	measure(d, 0, d->wide, frames);
	measure(d, 1, d->clean, frames);
	for (int i = 0; i < frames; i++)
		d->snr_sum += snr[i];
	d->frames += frames;
	int64_t early = SN_DEEPFILTER_DELAY - d->fed;
	d->clean_at = early > 0 ? least((size_t)early, count) : 0;
	d->clean_count = count - d->clean_at;
	if (d->made + (int64_t)d->clean_count > d->arrived)
		d->clean_count = (size_t)(d->arrived - d->made);
	d->made += (int64_t)d->clean_count;
	d->fed += (int64_t)count;
	d->wide_count -= count;
	memmove(d->wide, d->wide + count, d->wide_count * sizeof *d->wide);
	return SN_OK;
}

/* From d->clean to the caller, at the end what `down` still holds; never more samples than were taken, and in the end not fewer. */
static int give(sn_denoise *d, float *out, size_t most, size_t *got, char *err) {
	size_t used = 0, more = 0;
	const int ends = d->flushed && d->fed >= whole(d) && !d->clean_count;
	if (d->flushed)
		most = least(most, *got + (size_t)(d->taken - d->given));
	if (d->clean_count || ends) {
		int result = convert(d->down, ends ? NULL : d->clean + d->clean_at, d->clean_count, &used, out + *got, most - *got, &more, err);
		if (result != SN_OK)
			return result;
	}
	d->clean_at += used;
	d->clean_count -= used;
	*got += more;
	d->given += (int64_t)more;
	if (ends && !more && *got < most) {
		memset(out + *got, 0, (most - *got) * sizeof *out);
		d->given += (int64_t)(most - *got);
		*got = most;
	}
	return SN_OK;
}

int sn_denoise_process(sn_denoise *d, const float *in, size_t count, size_t *used, float *out, size_t most, size_t *got, char *err) {
	int result = SN_OK, ran = 0;
	*used = *got = 0;
	while (result == SN_OK) {
		const size_t had = *got, waiting = d->wide_count, left = d->clean_count;
		size_t some = 0;
		result = give(d, out, most, got, err);
		if (result != SN_OK || *got == most || d->clean_count)
			break; /* the caller has enough */
		if (d->wide_count < WIDE - FRAME && (!in || *used < count))
			result = take(d, in ? in + *used : NULL, count - *used, &some, err);
		*used += some;
		if (result != SN_OK)
			break;
		if (d->wide_count >= FRAME && (d->wide_count >= WIDE - FRAME || !in || *used == count)) {
			if (ran && (in || *got))
				break;
			result = run(d, err);
			ran = 1;
		} else if (!some && *got == had && d->wide_count == waiting && d->clean_count == left) {
			break;
		}
	}
	return result;
}

typedef struct call {
	sn_denoise *denoise;
	const float *in;
	size_t count, *used;
	float *out;
	size_t most, *got;
	char *err;
	int result;
} call;

static void process(void *payload) {
	call *c = payload;
	c->result = sn_denoise_process(c->denoise, c->in, c->count, c->used, c->out, c->most, c->got, c->err);
}

int sn_denoise_call(sn_denoise *d, const float *in, size_t count, size_t *used, float *out, size_t most, size_t *got, char *err) {
	call c = { d, in, count, used, out, most, got, err, SN_OK };
	sn_sched_call(d->model->engine->sched, process, &c);
	return c.result;
}

/* The level that a tenth of the frames does not reach. */
static double quiet_level(const int64_t *levels, int64_t frames) {
	int64_t sum = 0;
	for (int i = QUIETEST; i > 0; i--)
		if ((sum += levels[i]) * 10 >= frames)
			return -i;
	return 0;
}

void sn_denoise_describe(const sn_denoise *d, sn_denoise_facts *facts) {
	*facts = (sn_denoise_facts){ .frames = d->frames };
	if (!d->frames)
		return;
	facts->before = quiet_level(d->levels[0], d->frames);
	facts->after = quiet_level(d->levels[1], d->frames);
	facts->snr = d->snr_sum / (double)d->frames;
}

void sn_denoise_name(const sn_denoise *d, char *name, size_t size) { snprintf(name, size, "%s", d->model->name); }

void sn_denoise_remark(const sn_denoise *d, char *text, size_t size) {
	sn_denoise_facts f;
	sn_denoise_describe(d, &f);
	snprintf(text, size, "%s took noise out of the audio: its quiet parts went from %.0f to %.0f dB, the estimated signal-to-noise ratio was %.0f dB",
	         d->model->name, f.before, f.after, f.snr);
}
