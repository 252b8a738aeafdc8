/* What a rater computes on the conductor, in pieces of some milliseconds: voice activity, and DNSMOS window by window. */
#include "speech/quality_internal.h"

#include <string.h>

#define SURE_SPEECH 0.5f /* probabilities */
#define SURE_REST 0.15f

/* Gives back the tape's samples that nobody needs any more. Lock held. */
static void trim(sn_rater *r) {
	int64_t needed = sn_rater_end(r);
	if (r->score && needed < SN_DNSMOS_WINDOW)
		return; /* windows may have to be made of it */
	if (r->voice && r->voiced < needed)
		needed = r->voiced;
	if (r->score && r->due * SN_DNSMOS_HOP < needed)
		needed = r->due * SN_DNSMOS_HOP;
	if (needed <= r->first)
		return;
	r->count -= needed - r->first;
	memmove(r->tape, r->tape + (needed - r->first), (size_t)r->count * sizeof *r->tape);
	r->first = needed;
	sn_sched_signal(r->engine->sched, &r->job);
}

static int fail(sn_rater *r, int result) {
	sn_sched_lock(r->engine->sched);
	r->result = result;
	r->done = 1;
	sn_sched_signal(r->engine->sched, &r->job);
	sn_sched_unlock(r->engine->sched);
	return SN_AGAIN;
}

/* ---- voice activity ---- */

/* Copies what the detector hears next; the last chunk is filled up with zeros. Returns its chunks. */
static int take_chunks(sn_rater *r, int64_t *samples) {
	sn_sched_lock(r->engine->sched);
	const int64_t fresh = sn_rater_end(r) - r->voiced;
	int64_t chunks = r->at_end ? (fresh + RATER_CHUNK - 1) / RATER_CHUNK : fresh / RATER_CHUNK;
	chunks = chunks < RATER_CHUNKS ? chunks : RATER_CHUNKS;
	*samples = chunks * RATER_CHUNK < fresh ? chunks * RATER_CHUNK : fresh;
	if (chunks) {
		memset(r->chunks + *samples, 0, (size_t)(chunks * RATER_CHUNK - *samples) * sizeof *r->chunks);
		memcpy(r->chunks, r->tape + (r->voiced - r->first), (size_t)*samples * sizeof *r->chunks);
	}
	sn_sched_unlock(r->engine->sched);
	return (int)chunks;
}

/* Power of the chunk before the one that is heard: speech where the detector is sure, background where it and both its neighbours are
 * surely none. */
static void weigh_chunk(sn_rater *r, const float *pcm, float probability) {
	double power = 0;
	for (int i = 0; i < RATER_CHUNK; i++)
		power += (double)pcm[i] * (double)pcm[i] / RATER_CHUNK;
	const int speaks = r->near[1] >= SURE_SPEECH, rests = r->near[0] < SURE_REST && r->near[1] < SURE_REST && probability < SURE_REST;
	if (speaks || rests) {
		r->powers[rests] += r->last_power;
		r->weights[rests]++;
	}
	r->near[0] = r->near[1];
	r->near[1] = probability;
	r->last_power = power;
}

static void take_speech(sn_rater *r) {
	sn_vad_segment s;
	while (sn_vad_next(&r->vad, &s)) {
		r->speech += s.end - s.start;
		if (r->options.speech)
			r->options.speech(r->options.payload, s.start, s.end);
	}
}

/* SN_AGAIN: nothing new to hear. */
static int hear(sn_rater *r) {
	float probabilities[RATER_CHUNKS];
	int64_t samples;
	const int chunks = take_chunks(r, &samples);
	if (!chunks)
		return SN_AGAIN;
	const int result = sn_silero_run(r->voice->silero, &r->voice_stream, r->chunks, chunks, probabilities, r->message);
	if (result != SN_OK)
		return result;
	for (int i = 0; i < chunks; i++) {
		sn_vad_push(&r->vad, probabilities[i]);
		weigh_chunk(r, r->chunks + i * RATER_CHUNK, probabilities[i]);
		take_speech(r);
	}
	if (r->options.voice)
		r->options.voice(r->options.payload, r->voiced, probabilities, chunks);
	sn_sched_lock(r->engine->sched);
	r->voiced += samples;
	trim(r);
	sn_sched_unlock(r->engine->sched);
	return SN_OK;
}

/* ---- scores ---- */

/* Keeps every other window, and hears no others from now on. */
static void thin(sn_rater *r) {
	int kept = 0;
	r->hop *= 2;
	for (int i = 0; i < r->rated_count; i++)
		if (r->list[i].second % r->hop == 0)
			r->list[kept++] = r->list[i];
	r->rated_count = kept;
}

static void keep_scores(sn_rater *r) {
	rated w = { .second = r->rating };
	sn_dnsmos_raw raw;
	sn_dnsmos_get_raw(r->stream, &raw);
	for (int v = 0; v < (r->options.quality.personalised == SN_ON ? RATER_VARIANTS : 1); v++) {
		sn_dnsmos_scores s;
		sn_dnsmos_scale(&raw, v, &s);
		memcpy(w.scores[v], (double[]){ s.overall, s.signal, s.background, s.p808 }, sizeof w.scores[v]);
		for (int k = 0; k < RATER_SCORES && !r->most; k++)
			r->sums[v][k] += w.scores[v][k];
	}
	sn_sched_lock(r->engine->sched);
	while (r->most && r->rated_count == r->most && w.second % r->hop == 0) /* the window of second 0 stays however often it is thinned */
		thin(r);
	if (r->most && w.second % r->hop == 0)
		r->list[r->rated_count] = w;
	if (!r->most || w.second % r->hop == 0)
		r->rated_count++;
	r->due = (r->due + r->hop - 1) / r->hop * r->hop;
	trim(r);
	sn_sched_unlock(r->engine->sched);
}

/* Copies the window at second `due`; at its end a clip shorter than a window is repeated. Returns 0 when the window is not there (yet).
 * Lock held. */
static int take_window(sn_rater *r) {
	const int64_t end = sn_rater_end(r), start = r->due * SN_DNSMOS_HOP, heard = r->at_end ? sn_dnsmos_doubled(end) : end;
	if (heard < SN_DNSMOS_WINDOW || r->due >= sn_dnsmos_windows(heard))
		return 0;
	if (heard == end)
		memcpy(r->window, r->tape + (start - r->first), SN_DNSMOS_WINDOW * sizeof *r->window);
	for (int64_t i = 0; heard > end && i < SN_DNSMOS_WINDOW; i++)
		r->window[i] = r->tape[(start + i) % end];
	return 1;
}

/* Begins the next window. SN_AGAIN: there is none. */
static int begin(sn_rater *r) {
	int found;
	sn_sched_lock(r->engine->sched);
	while ((found = take_window(r)) && r->hop == 1 && !sn_dnsmos_is_heard(r->due))
		r->due++;
	r->rating = found ? r->due : -1;
	if (found) {
		r->due += r->hop;
		trim(r);
	}
	sn_sched_unlock(r->engine->sched);
	if (!found)
		return SN_AGAIN;
	r->score->dnsmos_owner = &r->job;
	sn_dnsmos_begin(r->score->dnsmos, r->stream, r->window, r->rating);
	return SN_OK;
}

/* A piece of a window. SN_AGAIN: none can be rated now. */
static int rate(sn_rater *r) {
	if (r->rating < 0 && r->score->dnsmos_owner)
		sn_sched_rest(r->engine->sched, &r->job);
	if (r->rating < 0)
		return r->score->dnsmos_owner ? SN_AGAIN : begin(r);
	const int result = sn_dnsmos_next(r->score->dnsmos, r->stream, r->message);
	if (result == SN_AGAIN)
		return SN_OK;
	if (result == SN_OK)
		keep_scores(r);
	r->rating = -1;
	r->score->dnsmos_owner = NULL;
	sn_sched_wake_all(r->engine->sched);
	return result;
}

/* ---- the job ---- */

/* Nothing is left to hear or to rate: is it the end? */
static int rest(sn_rater *r) {
	sn_sched_lock(r->engine->sched);
	const int waits = r->score && r->score->dnsmos_owner;
	const int more = r->at_end && r->voice && r->voiced < sn_rater_end(r);
	if (r->at_end && !waits && !more) {
		if (r->voice) {
			sn_vad_finish(&r->vad, sn_rater_end(r));
			take_speech(r);
		}
		r->done = 1;
		sn_sched_signal(r->engine->sched, &r->job);
	}
	if (!r->at_end)
		trim(r); /* the next window may begin far behind what is there */
	sn_sched_unlock(r->engine->sched);
	return more ? SN_OK : SN_AGAIN;
}

int sn_rater_step(sn_job *job) {
	sn_rater *const r = (sn_rater *)job;
	if (r->done)
		return SN_AGAIN;
	int result = r->voice ? hear(r) : SN_AGAIN;
	if (result == SN_AGAIN && r->score)
		result = rate(r);
	if (result == SN_AGAIN)
		return rest(r);
	return result == SN_OK ? SN_OK : fail(r, result);
}

void sn_rater_leave(sn_job *job) {
	sn_rater *const r = (sn_rater *)job;
	if (r->score && r->score->dnsmos_owner == job)
		r->score->dnsmos_owner = NULL;
}
