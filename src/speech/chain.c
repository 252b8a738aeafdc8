#include "speech/chain.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* The first chunk is short so that it is ready soon, shorter where a spectrogram comes before it; each one after it is twice as long. */
#define FIRST_FRAMES 32
#define FIRST_VOCODER_FRAMES 8
#define VOCODER_FRAMES 64 /* most of one step of a vocoder: some tens of milliseconds of work */

struct sn_chain {
	sn_model *model, *vocoder;
	void *stream;
	int chunk, most;            /* frames of the next chunk, of the longest */
	int limit;                  /* most frames of the next one alone; 0: none */
	/* with a vocoder */
	sn_vocoder_stream *sound;
	float *mel;                 /* [SN_SYNTH_MAX_NEXT, mels] made and not yet pushed */
	int made, mel_ended;        /* rows in it; no more will come */
	int pushed_all;
	int64_t pushed, given;      /* frames */
};

static const sn_vocoder_facts *vocoder_facts(const sn_chain *c) { return sn_vocoder_get_facts(c->vocoder->vocoder); }

int sn_chain_new(sn_chain **out, sn_model *model, sn_model *vocoder, char *err) {
	sn_chain *c = *out = calloc(1, sizeof *c);
	if (!c)
		return sn_fail(err, SN_E_MEMORY, "no memory for a session");
	sn_model_retain(c->model = model);
	if (vocoder)
		sn_model_retain(c->vocoder = vocoder);
	c->most = vocoder ? VOCODER_FRAMES : SN_SYNTH_MAX_NEXT;
	c->mel = vocoder ? malloc((size_t)SN_SYNTH_MAX_NEXT * (size_t)model->facts->width * sizeof *c->mel) : NULL;
	int result = vocoder && !c->mel ? sn_fail(err, SN_E_MEMORY, "no memory for a spectrogram") : SN_OK;
	if (result == SN_OK)
		result = model->class->stream_new(&c->stream, model->synth, err);
	if (result == SN_OK && vocoder)
		result = sn_vocoder_stream_new(&c->sound, vocoder->vocoder, err);
	if (result != SN_OK)
		sn_chain_free(out);
	return result;
}

void sn_chain_free(sn_chain **held) {
	sn_chain *c = *held;
	*held = NULL;
	if (!c)
		return;
	if (c->stream)
		c->model->class->stream_free(&c->stream);
	sn_vocoder_stream_free(&c->sound);
	free(c->mel);
	sn_model_release(&c->vocoder);
	sn_model_release(&c->model);
	free(c);
}

int sn_chain_rate(const sn_chain *c) { return c->vocoder ? vocoder_facts(c)->sample_rate : c->model->facts->sample_rate; }

size_t sn_chain_room(const sn_chain *c) {
	if (!c->vocoder)
		return (size_t)(c->most + 1) * (size_t)c->model->facts->width; /* a last, shorter frame counts as one */
	return (size_t)c->most * (size_t)vocoder_facts(c)->hop + (size_t)vocoder_facts(c)->extra;
}

int sn_chain_start(sn_chain *c, const int32_t *ids, int count, const sn_synth_options *options, int is_first, char *err) {
	c->chunk = !is_first ? c->most / 2 : c->vocoder ? FIRST_VOCODER_FRAMES : FIRST_FRAMES;
	c->limit = c->made = c->mel_ended = c->pushed_all = 0;
	c->pushed = c->given = 0;
	int result = SN_OK;
	if (c->vocoder)
		result = sn_vocoder_start(c->sound, &(sn_vocoder_options){ .seed = options->seed, .sigma = -1, .denoise = -1 }, err);
	return result == SN_OK ? c->model->class->start(c->stream, ids, count, options, err) : result;
}

static void grow_chunk(sn_chain *c) { c->chunk = 2 * c->chunk < c->most ? 2 * c->chunk : c->most; }

static int next_sound(sn_chain *c, float *pcm, size_t *count, char *err) {
	int frames = 0, extra = 0;
	const int most = c->limit && c->limit < c->chunk ? c->limit : c->chunk;
	const double start = sn_now();
	int result = c->model->class->next(c->stream, most, pcm, &frames, &extra, err);
	sn_sched_count(c->model->engine->sched, SN_STAGE_SPEAK, frames > 0, start);
	c->limit = 0;
	*count = (size_t)frames * (size_t)c->model->facts->width + (size_t)extra;
	if (*count)
		grow_chunk(c);
	return result;
}

/* Hands the rows that were made to the vocoder. SN_AGAIN: it has no room for them now. */
static int push_mel(sn_chain *c, char *err) {
	int result = sn_vocoder_push(c->sound, c->mel, c->made, c->mel_ended, err);
	if (result != SN_OK)
		return result;
	c->pushed += c->made;
	c->pushed_all = c->mel_ended;
	c->made = 0;
	return SN_OK;
}

static int give_sound(sn_chain *c, float *pcm, size_t *count, char *err) {
	const double start = sn_now();
	int64_t samples = sn_vocoder_next(c->sound, c->chunk, pcm, err);
	sn_sched_count(c->model->engine->sched, SN_STAGE_VOCODE, samples > 0, start);
	if (samples < 0)
		return (int)samples;
	*count = (size_t)samples;
	c->given += samples / vocoder_facts(c)->hop;
	if (samples)
		grow_chunk(c);
	return c->pushed_all && sn_vocoder_ended(c->sound) ? SN_END : SN_OK;
}

/* Either a piece of the spectrogram, or sound of what there is: as soon as a whole chunk waits, and where nothing more comes. */
static int next_of_both(sn_chain *c, float *pcm, size_t *count, char *err) {
	int full = 0;
	*count = 0;
	if (c->made || (c->mel_ended && !c->pushed_all)) {
		int result = push_mel(c, err);
		if (result != SN_OK && result != SN_AGAIN)
			return result;
		full = result == SN_AGAIN;
	}
	if (full || c->pushed_all || c->pushed - c->given >= c->chunk) {
		int result = give_sound(c, pcm, count, err);
		if (result == SN_OK && full && !*count)
			return sn_fail(err, SN_E_INTERNAL, "the vocoder \"%s\" neither takes nor gives anything", c->vocoder->name);
		if (result != SN_OK || *count || c->pushed_all)
			return result;
	}
	int extra = 0;
	const double start = sn_now();
	int result = c->model->class->next(c->stream, SN_SYNTH_MAX_NEXT, c->mel, &c->made, &extra, err);
	sn_sched_count(c->model->engine->sched, SN_STAGE_SPEAK, c->made > 0, start);
	c->mel_ended = result == SN_END;
	return result == SN_END ? SN_OK : result;
}

int sn_chain_next(sn_chain *c, float *pcm, size_t *count, char *err) {
	*count = 0;
	return c->vocoder ? next_of_both(c, pcm, count, err) : next_sound(c, pcm, count, err);
}

int64_t sn_chain_place(const sn_chain *c, double share) {
	if (c->vocoder || !c->model->class->place)
		return 0;
	return c->model->class->place(c->stream, share) * c->model->facts->hop;
}

void sn_chain_limit(sn_chain *c, int64_t samples) {
	const int64_t frames = (samples + c->model->facts->hop - 1) / c->model->facts->hop;
	c->limit = frames < 1 ? 1 : frames < c->most ? (int)frames : c->most;
}

const char *sn_chain_remark(const sn_chain *c) { return c->model->class->remark ? c->model->class->remark(c->stream) : NULL; }
