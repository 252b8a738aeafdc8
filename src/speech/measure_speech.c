/* Times of models that speak, of vocoders and of Wav2Vec2, on the conductor. Lengths are forced, so that a model's stop condition,
 * which means nothing in weights made for measuring, does not change the work. */
#include "speech/measure.h"

#include "base/clock.h"
#include "models/wav2vec2.h"
#include "speech/chain.h"
#include "speech/vocoders.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS 3.2     /* of speech in one run */
#define CLIP_SECONDS 11 /* that Wav2Vec2 hears */
#define CHUNK 64        /* frames of a vocoder's step */

static const char text[] = "The quick brown fox jumps over the lazy dog by the old bridge"; /* 61 characters */

enum { SPECTROGRAM, VOCODER, FIRST, SPEECH, WINDOW, FIGURES };

typedef struct job {
	sn_model *model, *vocoder;
	int32_t *ids;
	int count, frames;
	int runs, result;
	double *times[FIGURES]; /* [runs] each */
	char *err;
} job;

static int keep_ids(void *payload, const int32_t *ids, int count, size_t bytes, char *err) {
	job *j = payload;
	if (j->ids)
		return SN_OK;
	j->ids = malloc((size_t)count * sizeof *ids);
	if (!j->ids)
		return sn_fail(err, SN_E_MEMORY, "no memory for %d ids", count);
	memcpy(j->ids, ids, (size_t)count * sizeof *ids);
	j->count = count;
	return SN_OK;
}

static sn_synth_options fixed(const job *j) {
	return (sn_synth_options){ .speed = 1, .pitch = 1, .energy = 1, .noise_scale = -1, .noise_duration = -1, .temperature = -1, .dropout = -1,
	                           .force_frames = j->frames };
}

static int time_spectrogram(job *j, double *seconds) {
	const sn_synth_class *const c = j->model->class;
	const sn_synth_options options = fixed(j);
	void *stream = NULL;
	float *out = malloc((size_t)(SN_SYNTH_MAX_NEXT + 1) * (size_t)j->model->facts->width * sizeof *out);
	int frames, extra, result = out ? c->stream_new(&stream, j->model->synth, j->err) : sn_fail(j->err, SN_E_MEMORY, "no memory to measure in");
	const double start = sn_now();
	if (result == SN_OK)
		result = c->start(stream, j->ids, j->count, &options, j->err);
	while (result == SN_OK)
		result = c->next(stream, SN_SYNTH_MAX_NEXT, out, &frames, &extra, j->err);
	*seconds = sn_now() - start;
	if (stream)
		c->stream_free(&stream);
	free(out);
	return result == SN_END ? SN_OK : result;
}

/* A slow wave over frames and mels: neither silence nor noise. */
static void fill_mel(float *mel, int frames, int mels) {
	for (int i = 0; i < frames; i++)
		for (int k = 0; k < mels; k++)
			mel[(size_t)i * (size_t)mels + (size_t)k] = 2 * sinf(0.1f * (float)i + 0.3f * (float)k) - 2;
}

static int time_vocoder(job *j, const sn_vocoder *vocoder, double *seconds) {
	const sn_vocoder_facts *const f = sn_vocoder_get_facts(vocoder);
	sn_vocoder_stream *stream = NULL;
	float *mel = malloc((size_t)j->frames * (size_t)f->mel.mels * sizeof *mel);
	float *pcm = malloc(((size_t)CHUNK * (size_t)f->hop + (size_t)f->extra) * sizeof *pcm);
	int result = mel && pcm ? sn_vocoder_stream_new(&stream, (sn_vocoder *)vocoder, j->err) : sn_fail(j->err, SN_E_MEMORY, "no memory to measure in");
	if (result == SN_OK)
		fill_mel(mel, j->frames, f->mel.mels);
	const double start = sn_now();
	if (result == SN_OK)
		result = sn_vocoder_start(stream, &(sn_vocoder_options){ .sigma = -1 }, j->err);
	for (int at = 0; result == SN_OK && at < j->frames;) {
		const int left = j->frames - at, count = left < SN_VOCODER_MAX_PUSH ? left : SN_VOCODER_MAX_PUSH;
		result = sn_vocoder_push(stream, mel + (size_t)at * (size_t)f->mel.mels, count, count == left, j->err);
		at += count;
		int64_t made = 1;
		while (result == SN_OK && made > 0)
			made = sn_vocoder_next(stream, CHUNK, pcm, j->err);
		if (made < 0)
			result = (int)made;
	}
	*seconds = sn_now() - start;
	sn_vocoder_stream_free(&stream);
	free(mel);
	free(pcm);
	return result;
}

static int time_speech(job *j, double *first, double *total) {
	const sn_synth_options options = fixed(j);
	sn_chain *chain = NULL;
	int result = sn_chain_new(&chain, j->model, j->vocoder, j->err);
	float *pcm = result == SN_OK ? malloc(sn_chain_room(chain) * sizeof *pcm) : NULL;
	if (result == SN_OK && !pcm)
		result = sn_fail(j->err, SN_E_MEMORY, "no memory to measure in");
	const double start = sn_now();
	*first = 0;
	if (result == SN_OK)
		result = sn_chain_start(chain, j->ids, j->count, &options, 1, j->err);
	while (result == SN_OK) {
		size_t made;
		result = sn_chain_next(chain, pcm, &made, j->err);
		if (made && *first == 0)
			*first = sn_now() - start;
	}
	*total = sn_now() - start;
	free(pcm);
	if (chain)
		sn_chain_free(&chain);
	return result == SN_END ? SN_OK : result;
}

static int time_window(job *j, double *seconds) {
	const int64_t samples = (int64_t)(CLIP_SECONDS * sn_wav2vec2_get_config(j->model->wav2vec2)->sample_rate);
	sn_wav2vec2_head *head = NULL;
	float *pcm = malloc((size_t)samples * sizeof *pcm);
	int result = pcm ? sn_wav2vec2_take(&head, j->model->wav2vec2, NULL, j->err) : sn_fail(j->err, SN_E_MEMORY, "no memory to measure in");
	for (int64_t i = 0; pcm && i < samples; i++)
		pcm[i] = 0.3f * sinf(0.05f * (float)i) * sinf(0.0007f * (float)i);
	const double start = sn_now();
	if (result == SN_OK && sn_wav2vec2_start(head, pcm, samples) != SN_OK)
		result = sn_fail(j->err, SN_E_BUSY, "the model is at work; measure it when no session uses it");
	if (result == SN_OK) {
		while ((result = sn_wav2vec2_next(head, 100, j->err)) == SN_AGAIN)
			;
		sn_wav2vec2_end(head);
	}
	*seconds = sn_now() - start;
	if (head)
		sn_wav2vec2_give(&head);
	free(pcm);
	return result;
}

static void measure(void *payload) {
	job *j = payload;
	for (int i = -1; i < j->runs && j->result == SN_OK; i++) { /* the first warms up and is overwritten */
		const int at = i < 0 ? 0 : i;
		if (j->model->wav2vec2) {
			j->result = time_window(j, j->times[WINDOW] + at);
		} else if (j->model->vocoder) {
			j->result = time_vocoder(j, j->model->vocoder, j->times[VOCODER] + at);
		} else {
			if (j->vocoder) {
				j->result = time_spectrogram(j, j->times[SPECTROGRAM] + at);
				if (j->result == SN_OK)
					j->result = time_vocoder(j, j->vocoder->vocoder, j->times[VOCODER] + at);
			}
			if (j->result == SN_OK)
				j->result = time_speech(j, j->times[FIRST] + at, j->times[SPEECH] + at);
		}
	}
}

/* The model's text as ids, its vocoder, and how many frames make SECONDS. */
static int prepare(job *j) {
	const sn_model *const m = j->model;
	int missing = 0, result = SN_OK;
	int rate = m->vocoder ? sn_vocoder_get_facts(m->vocoder)->sample_rate : m->facts ? m->facts->sample_rate : 0;
	int hop = m->vocoder ? sn_vocoder_get_facts(m->vocoder)->hop : m->facts ? m->facts->hop : 1;
	if (m->synth) {
		const sn_synth_options options = fixed(j);
		result = m->class->encode(m->synth, m->engine->phonemizer, text, strlen(text), &options, keep_ids, j, &missing, j->err);
		if (result == SN_OK && !j->ids)
			result = sn_fail(j->err, SN_E_MODEL, "the model \"%s\" has no symbol for English letters", m->name);
		if (result == SN_OK && m->facts->kind == SN_SYNTH_MEL)
			result = sn_vocoder_choose(&j->vocoder, m, NULL, j->err);
		if (result == SN_OK && j->vocoder) {
			rate = sn_vocoder_get_facts(j->vocoder->vocoder)->sample_rate;
			hop = sn_vocoder_get_facts(j->vocoder->vocoder)->hop;
		}
	}
	j->frames = (int)(SECONDS * rate / (hop > 0 ? hop : 1));
	return result;
}

static void report(const job *j, sn_measure_list *list) {
	char name[40];
	snprintf(name, sizeof name, "spectrogram, %d frames", j->frames);
	if (j->vocoder)
		sn_measure_add(list, name, "ms", 1e3, j->times[SPECTROGRAM], j->runs);
	snprintf(name, sizeof name, "vocoder, %d frames", j->frames);
	if (j->vocoder || j->model->vocoder)
		sn_measure_add(list, name, "ms", 1e3, j->times[VOCODER], j->runs);
	if (j->model->synth) {
		sn_measure_add(list, "first audio", "ms", 1e3, j->times[FIRST], j->runs);
		snprintf(name, sizeof name, "%.1f s of speech", SECONDS);
		sn_measure_add(list, name, "ms", 1e3, j->times[SPEECH], j->runs);
	}
	snprintf(name, sizeof name, "letters of %d s", CLIP_SECONDS);
	if (j->model->wav2vec2)
		sn_measure_add(list, name, "ms", 1e3, j->times[WINDOW], j->runs);
}

int sn_measure_speech(sn_model *model, int runs, sn_measure_list *list, char *err) {
	job j = { .model = model, .runs = runs, .err = err };
	double *times = calloc((size_t)FIGURES * (size_t)runs, sizeof *times);
	int result = times ? prepare(&j) : sn_fail(err, SN_E_MEMORY, "no memory for %d runs", runs);
	for (int i = 0; times && i < FIGURES; i++)
		j.times[i] = times + (size_t)i * (size_t)runs;
	if (result == SN_OK) {
		sn_sched_call(model->engine->sched, measure, &j);
		result = j.result;
	}
	if (result == SN_OK)
		report(&j, list);
	sn_model_release(&j.vocoder);
	free(j.ids);
	free(times);
	return result;
}
