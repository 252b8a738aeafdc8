/* Times of the models that stand beside recognition and speech, on the conductor: what one needs for a usual piece of its work. */
#include "speech/measure.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEARD 10       /* s that a detector hears and a denoiser cleans */
#define VAD_CHUNK 512
#define VOICE 3        /* s of which a speaker's embedding is made */
#define TOKENS 128     /* of a window that gets its marks */

typedef struct job {
	sn_model *model;
	int task, runs, result;
	float *pcm, *out;      /* [HEARD * SN_DEEPFILTER_RATE] each */
	double *times;         /* [runs] */
	char *err;
} job;

static int time_detector(job *j) {
	sn_silero_stream stream;
	sn_silero_reset(&stream, SN_STT_RATE);
	return sn_silero_run(j->model->silero, &stream, j->pcm, HEARD * SN_STT_RATE / VAD_CHUNK, j->out, j->err);
}

static int time_denoiser(job *j) {
	sn_deepfilter_stream *stream;
	int result = sn_deepfilter_stream_open(&stream, SN_DEEPFILTER_NO_LIMIT, j->err);
	if (result == SN_OK)
		result = sn_deepfilter_run(j->model->deepfilter, stream, j->pcm, HEARD * SN_DEEPFILTER_RATE / SN_DEEPFILTER_FRAME, j->out, NULL, j->err);
	sn_deepfilter_stream_close(&stream);
	return result;
}

static int time_score(job *j) {
	sn_dnsmos_stream *stream;
	if (j->model->dnsmos_owner)
		return sn_fail(j->err, SN_E_BUSY, "the model is at work; measure it when no session uses it");
	int result = sn_dnsmos_stream_open(&stream, 0, j->err);
	if (result == SN_OK) {
		sn_dnsmos_begin(j->model->dnsmos, stream, j->pcm, 0);
		while ((result = sn_dnsmos_next(j->model->dnsmos, stream, j->err)) == SN_AGAIN)
			;
	}
	sn_dnsmos_stream_close(&stream);
	return result;
}

static int time_marks(job *j) {
	sn_bert *const bert = j->model->bert;
	const sn_bert_config *const c = sn_bert_get_config(bert);
	const int count = c->most < TOKENS ? c->most : TOKENS;
	int32_t ids[TOKENS];
	for (int i = 0; i < count; i++)
		ids[i] = i == 0 ? c->begin : c->end;
	if (sn_bert_start(bert, ids, count) != SN_OK)
		return sn_fail(j->err, SN_E_BUSY, "the model is at work; measure it when no session uses it");
	int result;
	while ((result = sn_bert_next(bert, 100, j->err)) == SN_AGAIN)
		;
	sn_bert_end(bert);
	return result;
}

static int time_voice(job *j) {
	const sn_model *const m = j->model;
	return m->xvector ? sn_xvector_embed(m->xvector, j->pcm, VOICE * SN_STT_RATE, SN_STT_RATE, j->out, j->err)
	                  : sn_speaker_encoder_embed(m->encoder, j->pcm, VOICE * SN_STT_RATE, SN_STT_RATE, j->out, j->err);
}

static const struct {
	const char *name;
	int (*time)(job *j);
} pieces[] = {
	[SN_TASK_VAD] = { "10 s of audio", time_detector },
	[SN_TASK_DENOISE] = { "10 s of audio", time_denoiser },
	[SN_TASK_SCORE] = { "a window of 9 s", time_score },
	[SN_TASK_PUNCTUATE] = { "a window of up to 128 tokens", time_marks },
	[SN_TASK_EMBED] = { "3 s of a voice", time_voice },
};

static void measure(void *payload) {
	job *j = payload;
	for (int i = -1; i < j->runs && j->result == SN_OK; i++) { /* the first warms up and is overwritten */
		const double start = sn_now();
		j->result = pieces[j->task].time(j);
		j->times[i < 0 ? 0 : i] = sn_now() - start;
	}
}

int sn_measure_small(sn_model *model, int runs, sn_measure_list *list, char *err) {
	const size_t samples = (size_t)HEARD * SN_DEEPFILTER_RATE;
	job j = { .model = model, .task = sn_model_task(model->label), .runs = runs, .pcm = malloc(samples * sizeof *j.pcm), .out = malloc(samples * sizeof *j.out),
	          .times = calloc((size_t)runs, sizeof *j.times), .err = err };
	if (!j.pcm || !j.out || !j.times) {
		j.result = sn_fail(err, SN_E_MEMORY, "no memory for %d runs", runs);
	} else {
		for (size_t i = 0; i < samples; i++)
			j.pcm[i] = 0.3f * sinf(0.05f * (float)i) * sinf(0.0007f * (float)i);
		sn_sched_call(model->engine->sched, measure, &j);
	}
	if (j.result == SN_OK)
		sn_measure_add(list, pieces[j.task].name, "ms", 1e3, j.times, runs);
	free(j.pcm);
	free(j.out);
	free(j.times);
	return j.result;
}
