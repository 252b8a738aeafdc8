/* Raters: the caller's side. */
#include "speech/quality_internal.h"

#include "audio/validate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OFFER ((size_t)2048) /* samples heard at once */

/* ---- opening ---- */

/* The model of a task that is wanted, or wanted where it is installed. */
static int load_model(sn_model **out, sn_engine *engine, const char *name, sn_task task, sn_switch wanted, char *err) {
	char why[SN_ERRLEN];
	const int result = sn_model_load(out, engine, name, &(sn_model_options){ .task = (int)task }, why);
	if (result == SN_OK || (result == SN_E_NOT_FOUND && wanted == SN_DEFAULT))
		return SN_OK;
	return sn_fail(err, result, "%s", why);
}

static int check_options(const sn_rater_options *o, int rate, char *err) {
	const sn_vad_settings *const v = &o->quality.vad;
	if (rate < SN_AUDIO_MIN_RATE || rate > SN_AUDIO_MAX_RATE)
		return sn_fail(err, SN_E_ARGUMENT, "audio of %d Hz cannot be rated; %d to %d Hz can", rate, SN_AUDIO_MIN_RATE,
			SN_AUDIO_MAX_RATE);
	if (o->quality.windows > RATER_MAX_WINDOWS)
		return sn_fail(err, SN_E_ARGUMENT, "%d windows are too many to choose; at most %d are, and below 0 all",
			o->quality.windows, RATER_MAX_WINDOWS);
	if (!(v->threshold >= 0 && v->threshold <= 1))
		return sn_fail(err, SN_E_ARGUMENT, "a speech threshold of %g is not possible; 0 to 1 is", (double)v->threshold);
	if (v->min_speech > SN_MAX_VAD_MS || v->min_silence > SN_MAX_VAD_MS || v->pad > SN_MAX_VAD_MS)
		return sn_fail(err, SN_E_ARGUMENT, "times of speech activity are at most %d ms", SN_MAX_VAD_MS);
	return SN_OK;
}

static int choose_ms(int asked, int usual) { return asked < 0 ? 0 : asked ? asked : usual; }

static void open_voice(sn_rater *r) {
	const sn_vad_settings *const v = &r->options.quality.vad;
	sn_vad_options o = sn_vad_silero_defaults();
	o.threshold = v->threshold > 0 ? v->threshold : o.threshold;
	o.min_speech_ms = choose_ms(v->min_speech, o.min_speech_ms);
	o.min_silence_ms = choose_ms(v->min_silence, o.min_silence_ms);
	o.speech_pad_ms = choose_ms(v->pad, o.speech_pad_ms);
	sn_vad_init(&r->vad, &o, SN_DNSMOS_RATE);
	sn_silero_reset(&r->voice_stream, SN_DNSMOS_RATE);
}

/* The least hop, a power of two, at which no more windows are rated than wanted. */
static int64_t choose_hop(int64_t windows, int most) {
	int64_t hop = 1;
	while (most && (windows + hop - 1) / hop > most)
		hop *= 2;
	return hop;
}

static int open_scores(sn_rater *r, char *err) {
	const sn_quality_options *const o = &r->options.quality;
	if (o->personalised == SN_ON && !sn_dnsmos_is_personalised(r->score->dnsmos))
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" has no personalised scores: sig_bak_ovr_personalised.onnx is missing",
		               r->score->name);
	r->most = o->windows < 0 ? 0 : o->windows ? o->windows : SN_QUALITY_WINDOWS;
	r->hop = choose_hop(sn_dnsmos_windows((int64_t)((double)r->options.expected / r->rate * SN_DNSMOS_RATE)), r->most);
	r->list = malloc((size_t)(r->most + 1) * sizeof *r->list);
	r->window = malloc(SN_DNSMOS_WINDOW * sizeof *r->window);
	if (!r->list || !r->window)
		return sn_fail(err, SN_E_MEMORY, "no memory to rate audio in");
	return sn_dnsmos_stream_open(&r->stream, o->personalised == SN_ON, err);
}

static int open_parts(sn_rater *r, char *err) {
	const sn_quality_options *const o = &r->options.quality;
	int result = sn_levels_open(&r->levels, r->rate, err);
	if (result == SN_OK && r->rate != SN_DNSMOS_RATE)
		result = sn_resampler_open(&r->resampler, r->rate, SN_DNSMOS_RATE, 1, err);
	if (result == SN_OK)
		result = load_model(&r->voice, r->engine, "silero-vad", SN_TASK_VAD, SN_DEFAULT, err);
	if (result == SN_OK && r->voice)
		open_voice(r);
	if (result == SN_OK && o->scores != SN_OFF)
		result = load_model(&r->score, r->engine, o->model, SN_TASK_SCORE, o->model ? SN_ON : o->scores, err);
	if (result == SN_OK && r->score)
		result = open_scores(r, err);
	if (result != SN_OK || (!r->voice && !r->score))
		return result;
	r->room = r->options.impatient ? RATER_LATER : RATER_TAPE;
	r->tape = malloc((size_t)r->room * sizeof *r->tape);
	if (!r->tape)
		return sn_fail(err, SN_E_MEMORY, "no memory to rate audio in");
	result = sn_sched_add(r->engine->sched, &r->job, err);
	r->joined = result == SN_OK;
	return result;
}

int sn_rater_open(sn_rater **out, sn_engine *engine, int rate, const sn_rater_options *options, char *err) {
	static const sn_rater_options defaults;
	const sn_rater_options *const o = options ? options : &defaults;
	*out = NULL;
	int result = check_options(o, rate, err);
	if (result != SN_OK)
		return result;
	sn_rater *r = calloc(1, sizeof *r);
	if (!r)
		return sn_fail(err, SN_E_MEMORY, "no memory to rate audio in");
	r->job = (sn_job){ .step = sn_rater_step, .leave = sn_rater_leave, .priority = SN_PRIORITY_BATCH,
		.ready = o->outer && o->outer->ready ? sn_sched_pass_on : NULL, .ready_payload = o->outer };
	r->engine = engine;
	r->options = *o;
	r->rate = rate;
	r->rating = -1;
	result = open_parts(r, err);
	if (result != SN_OK)
		sn_rater_close(&r);
	*out = r;
	return result;
}

void sn_rater_be_patient(sn_rater *r, double seconds) { r->options.patience = seconds; }

void sn_rater_hear_all(sn_rater *r) { r->options.impatient = 0; }

void sn_rater_close(sn_rater **rater) {
	sn_rater *const r = *rater;
	*rater = NULL;
	if (!r)
		return;
	if (r->joined)
		sn_sched_remove(r->engine->sched, &r->job);
	sn_dnsmos_stream_close(&r->stream);
	sn_levels_close(&r->levels);
	sn_resampler_close(&r->resampler);
	sn_model_release(&r->score);
	sn_model_release(&r->voice);
	free(r->tape);
	free(r->window);
	free(r->list);
	free(r);
}

/* ---- hearing ---- */

/* Makes room on the tape, a second at least since the rest moves, at the cost of what was not computed in time. Lock held. */
static void drop(sn_rater *r, int64_t count) {
	count = count > SN_DNSMOS_HOP ? count : SN_DNSMOS_HOP;
	r->count -= count;
	memmove(r->tape, r->tape + count, (size_t)r->count * sizeof *r->tape);
	r->first += count;
	r->voiced = r->voiced > r->first ? r->voiced : r->first;
	while (r->score && r->due * SN_DNSMOS_HOP < r->first)
		r->due += r->hop;
}

/* Puts samples at 16 kHz on the tape; waits for room. */
static int tape(sn_rater *r, const float *pcm, size_t count, char *err) {
	if (r->options.heard)
		r->options.heard(r->options.payload, pcm, count);
	if (!r->joined) {
		r->count += (int64_t)count;
		return SN_OK;
	}
	sn_sched *const s = r->engine->sched;
	sn_sched_lock(s);
	while (r->count + (int64_t)count > r->room && !r->done) {
		sn_sched_wake(s, &r->job);
		if (r->options.impatient)
			drop(r, r->count + (int64_t)count - r->room);
		else
			sn_sched_wait(s, &r->job, INFINITY);
	}
	const int result = r->done ? r->result : SN_OK;
	if (!r->done) {
		memcpy(r->tape + r->count, pcm, count * sizeof *pcm);
		r->count += (int64_t)count;
		sn_sched_wake(s, &r->job);
	}
	sn_sched_unlock(s);
	return result == SN_OK ? SN_OK : sn_fail(err, result, "%s", r->message);
}

/* pcm NULL: the rest of what the resampler holds. */
static int hear(sn_rater *r, const float *pcm, size_t count, char *err) {
	size_t used = 0, got = 0;
	int result = SN_OK;
	while (result == SN_OK && !r->resampler && count) {
		const size_t part = count < RATER_BLOCK ? count : RATER_BLOCK;
		result = tape(r, pcm, part, err);
		pcm += part;
		count -= part;
	}
	while (result == SN_OK && r->resampler && (pcm ? count > 0 : 1)) {
		result = sn_resampler_process(r->resampler, pcm, count, &used, r->block, RATER_BLOCK, &got, err);
		if (result == SN_OK && got)
			result = tape(r, r->block, got, err);
		if (!pcm && !got)
			break;
		pcm = pcm ? pcm + used : NULL;
		count -= used;
	}
	return result;
}

int sn_rater_push(sn_rater *r, const float *pcm, size_t count, char *err) {
	const size_t bad = sn_audio_find_invalid(pcm, count);
	if (r->failed)
		return sn_fail(err, r->failed, "%s", r->failure);
	if (r->finished)
		return sn_fail(err, SN_E_CLOSED, "the rating is finished");
	if (bad < count)
		return sn_fail(err, SN_E_FORMAT, "sample %lld is not a number within +-%g", (long long)(r->pushed + (int64_t)bad),
			(double)SN_AUDIO_MAX_SAMPLE);
	r->failed = sn_levels_push(r->levels, pcm, count, r->failure);
	if (r->failed == SN_OK)
		r->failed = hear(r, pcm, count, r->failure);
	r->pushed += (int64_t)count;
	return r->failed ? sn_fail(err, r->failed, "%s", r->failure) : SN_OK;
}

/* The caller waits, lock held, for something that the conductor does. 0: its patience has ended. */
static int wait_for_conductor(sn_rater *r) {
	const double patience = r->options.patience;
	sn_sched_hunger(&r->job);
	sn_sched_wake(r->engine->sched, &r->job);
	return patience >= 0 && sn_sched_wait(r->engine->sched, &r->job, patience > 0 ? patience : INFINITY);
}

/* Is there room for what becomes of OFFER samples? */
static int has_room(sn_rater *r) {
	sn_sched *const s = r->engine->sched;
	int waits = 1;
	if (!r->joined || r->options.impatient)
		return 1;
	sn_sched_lock(s);
	while (waits && !r->done && r->count + 2 * RATER_BLOCK > r->room)
		waits = wait_for_conductor(r);
	sn_sched_unlock(s);
	return waits;
}

int sn_rater_offer(sn_rater *r, const float *pcm, size_t count, size_t *used, char *err) {
	*used = 0;
	while (*used < count) {
		const size_t part = count - *used < OFFER ? count - *used : OFFER;
		if (!has_room(r))
			return SN_AGAIN;
		const int result = sn_rater_push(r, pcm + *used, part, err);
		if (result != SN_OK)
			return result;
		*used += part;
	}
	return SN_OK;
}

int sn_rater_push_asking(sn_rater *r, const float *pcm, size_t count, const sn_tick *tick, char *err) {
	size_t used = 0;
	int result = SN_AGAIN;
	if (!tick->progress)
		return sn_rater_push(r, pcm, count, err);
	r->options.patience = SN_TICK;
	while (result == SN_AGAIN) {
		result = sn_rater_offer(r, pcm, count, &used, err);
		pcm += used;
		count -= used;
		if (result == SN_AGAIN && sn_tick_ask(tick, err) != SN_OK)
			return SN_E_CANCELLED;
	}
	return result;
}

/* ---- the end ---- */

static void get_scores(const sn_rater *r, int variant, sn_scores *scores) {
	double sums[RATER_SCORES];
	const int n = r->rated_count;
	memcpy(sums, r->sums[variant], sizeof sums);
	for (int i = 0; i < n && r->most; i++)
		for (int k = 0; k < RATER_SCORES; k++)
			sums[k] += r->list[i].scores[variant][k];
	if (n)
		*scores = (sn_scores){ (float)(sums[0] / n), (float)(sums[1] / n), (float)(sums[2] / n), (float)(sums[3] / n), n };
}

/* Where a detector told speech from background their powers say more than loud and quiet parts, which both have both. */
static void weigh_speech(const sn_rater *r, sn_level_facts *f) {
	if (r->weights[0] < RATER_LEAST_CHUNKS || r->weights[1] < RATER_LEAST_CHUNKS)
		return;
	const double speech = r->powers[0] / (double)r->weights[0], rest = r->powers[1] / (double)r->weights[1];
	f->floor = sn_decibels(rest);
	f->loud = sn_decibels(speech);
	f->snr = speech <= rest ? 0 : rest > 0 ? fmin(fmax(10 * log10(speech / rest - 1), 0), 100) : 100;
}

static int64_t possible(int64_t samples) {
	int64_t count = 0;
	for (int64_t s = 0; s < sn_dnsmos_windows(samples); s++)
		count += sn_dnsmos_is_heard(s);
	return samples ? count : 0;
}

/* Waits until the conductor has heard it all. */
static int wait_done(sn_rater *r, char *err) {
	sn_sched *const s = r->engine->sched;
	int waits = 1;
	sn_sched_lock(s);
	r->at_end = 1;
	while (!r->done && waits)
		waits = wait_for_conductor(r);
	const int result = !waits ? SN_AGAIN : r->result;
	sn_sched_unlock(s);
	return result == SN_OK || result == SN_AGAIN ? result : sn_fail(err, result, "%s", r->message);
}

static int end_hearing(sn_rater *r, char *err) {
	if (!has_room(r))
		return SN_AGAIN;
	r->finished = 1;
	return r->resampler ? hear(r, NULL, 0, err) : SN_OK;
}

void sn_rater_levels(sn_rater *r, sn_level_facts *facts) { sn_levels_get(r->levels, facts); }

int sn_rater_finish(sn_rater *r, sn_quality *quality, char *err) {
	sn_level_facts facts;
	if (r->failed)
		return sn_fail(err, r->failed, "%s", r->failure);
	if (r->concluded)
		return sn_fail(err, SN_E_CLOSED, "the rating is finished");
	if (!r->pushed)
		return sn_fail(err, SN_E_ARGUMENT, "there is nothing to rate: no samples");
	int result = r->finished ? SN_OK : end_hearing(r, err);
	if (result == SN_OK && r->joined)
		result = wait_done(r, err);
	if (result != SN_OK)
		return result;
	r->concluded = 1;
	const int64_t samples = sn_rater_end(r);
	*quality = (sn_quality){ .duration = (double)r->pushed / r->rate, .sample_rate = r->rate, .channels = 1,
		.windows_possible = (int)possible(sn_dnsmos_doubled(samples)),
		.speech = !r->voice ? -1 : samples ? (float)r->speech / (float)samples : 0 };
	get_scores(r, 0, &quality->scores);
	if (r->options.quality.personalised == SN_ON)
		get_scores(r, 1, &quality->personalised);
	sn_levels_get(r->levels, &facts);
	weigh_speech(r, &facts);
	sn_quality_judge(quality, &facts);
	return SN_OK;
}

int sn_rater_finish_asking(sn_rater *r, sn_quality *quality, const sn_tick *tick, char *err) {
	int result;
	if (tick->progress)
		r->options.patience = SN_TICK;
	while ((result = sn_rater_finish(r, quality, err)) == SN_AGAIN)
		if (sn_tick_ask(tick, err) != SN_OK)
			return SN_E_CANCELLED;
	return result;
}
