/* Times of a model's parts, taken on the conductor so that nothing else runs meanwhile. */
#include "speech/measure.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RUNS 1000
#define STEPS 32 /* decoder steps of one run: a usual window's worth */

typedef struct job {
	sn_model *model;
	int runs, result;
	double *encode, *step;
	char *err;
} job;

/* Floating-point operations of one window (two for a multiplication and its addition): convolutions, linear layers, attention,
 * keys and values of the decoder's cross attention. */
static double encoder_flops(const sn_whisper_config *c) {
	const double t = c->source_positions, d = c->width, ffn = c->encoder_ffn, layers = c->encoder_layers;
	const double front = 2 * t * 3 * c->mels * d + t * 3 * d * d;
	return 2 * (front + layers * t * (4 * d * d + 2 * d * ffn) + layers * 2 * t * t * d + c->decoder_layers * 2 * t * d * d);
}

static int run_encoder(sn_whisper *w, int entry, double *seconds, char *err) {
	double start = sn_now();
	int result;
	sn_whisper_encode_begin(w, entry);
	while ((result = sn_whisper_encode_next(w, 100, err)) == SN_AGAIN)
		;
	*seconds = sn_now() - start;
	return result;
}

static int run_decoder(sn_whisper *w, const sn_place *place, int32_t *table, float *logits, double *seconds, char *err) {
	const sn_whisper_config *const c = sn_whisper_get_config(w);
	double start = sn_now();
	int result = SN_OK;
	for (int i = 0; i < STEPS && i < c->target_positions && result == SN_OK; i++) {
		const sn_whisper_row row = { .token = c->sot, .position = i, .slot = place->slots[0], .window = place->entry,
			.table = table, .logits = logits };
		result = sn_whisper_decode(w, &row, 1, err);
	}
	*seconds = (sn_now() - start) / STEPS;
	return result;
}

static void measure(void *payload) {
	job *j = payload;
	sn_whisper *w = j->model->whisper;
	const sn_whisper_config *const c = sn_whisper_get_config(w);
	sn_job nobody = { .served = 0 };
	sn_place *place = sn_lane_take(j->model->lane, &nobody, 1);
	int32_t *table = malloc((size_t)c->target_positions * sizeof *table);
	float *logits = malloc((size_t)c->vocab * sizeof *logits);
	if (!place)
		j->result = sn_fail(j->err, SN_E_BUSY, "the model is at work; measure it when no session uses it");
	else if (!table || !logits)
		j->result = sn_fail(j->err, SN_E_MEMORY, "no memory to measure in");
	if (j->result == SN_OK) {
		for (int i = 0; i < c->target_positions; i++)
			table[i] = place->slots[0];
		memset(sn_whisper_mel_input(w), 0, 2 * (size_t)c->source_positions * (size_t)c->mels * sizeof(float));
		double warm;
		sn_lane_forget(j->model->lane, place);
		j->result = run_encoder(w, place->entry, &warm, j->err);
		for (int i = 0; i < j->runs && j->result == SN_OK; i++) {
			j->result = run_encoder(w, place->entry, &j->encode[i], j->err);
			if (j->result == SN_OK)
				j->result = run_decoder(w, place, table, logits, &j->step[i], j->err);
		}
	}
	if (place)
		sn_lane_give(j->model->lane, place);
	free(table);
	free(logits);
}

static int ascending(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

void sn_measure_add(sn_measure_list *list, const char *name, const char *unit, double factor, double *times, int runs) {
	if (list->count == list->max)
		return;
	sn_measure *m = &list->items[list->count++];
	qsort(times, (size_t)runs, sizeof *times, ascending);
	*m = (sn_measure){ .median = factor * times[runs / 2], .best = factor * times[0], .runs = runs };
	snprintf(m->name, sizeof m->name, "%s", name);
	snprintf(m->unit, sizeof m->unit, "%s", unit);
}

static int measure_whisper(sn_model *model, int runs, sn_measure_list *list, char *err) {
	double *times = calloc(3 * (size_t)runs, sizeof *times), *rate = times + 2 * runs;
	if (!times)
		return sn_fail(err, SN_E_MEMORY, "no memory for %d runs", runs);
	job j = { .model = model, .runs = runs, .encode = times, .step = times + runs, .err = err };
	sn_sched_call(model->engine->sched, measure, &j);
	if (j.result == SN_OK) {
		const double flops = encoder_flops(sn_whisper_get_config(model->whisper)) * 1e-9;
		for (int i = 0; i < runs; i++)
			rate[i] = flops / j.encode[i];
		sn_measure_add(list, "encoder, one window", "ms", 1e3, j.encode, runs);
		const size_t before = list->count;
		sn_measure_add(list, "encoder, one window", "Gflop/s", 1, rate, runs);
		if (list->count > before)
			list->items[before].best = rate[runs - 1]; /* of a rate the most is the best */
		sn_measure_add(list, "decoder step", "ms", 1e3, j.step, runs);
	}
	free(times);
	return j.result;
}

int sn_model_measure(sn_model *model, int runs, sn_measure *measures, size_t max, size_t *count, char *err) {
	sn_measure_list list = { .items = measures, .max = max };
	*count = 0;
	if (runs < 0 || runs > MAX_RUNS)
		return sn_fail(err, SN_E_ARGUMENT, "%d runs asked for; 1 to %d can be made", runs, MAX_RUNS);
	runs = runs ? runs : 5;
	int result = SN_OK;
	if (model->whisper)
		result = measure_whisper(model, runs, &list, err);
	else if (model->synth || model->vocoder || model->wav2vec2)
		result = sn_measure_speech(model, runs, &list, err);
	else
		result = sn_measure_small(model, runs, &list, err);
	*count = list.count;
	return result;
}
