/* The steps of a live session, each some milliseconds long. What ends an utterance goes first, then a partial that is due, then a pass. */
#include "speech/stt_live.h"

#include "base/clock.h"

#include <string.h>

#define MARGIN 64                /* positions of silence behind the sound of a shortened context */
#define SHORTEST 128             /* positions */
#define FRESH (SN_STT_RATE / 8)  /* a partial that is due hears all but so many samples of what has come */
#define FIRST_PARTIAL (SN_STT_RATE / 4) /* samples of speech */
#define TOKENS_BASE 32           /* most tokens of an utterance: these and */
#define TOKENS_PER_SECOND 25     /* as scripts have that are written by the byte */
#define SURE 0.9f
#define SURE_SPEECH (2 * SN_STT_RATE)
#define KEPT_EVIDENCE 0.7f       /* of a language, from utterance to utterance */

/* ---- tasks ---- */

static void give_ear(stt_live *live, stt_live_task *task) {
	if (task->ear)
		sn_lane_ear_give(live->whisper.base.model->lane, task->ear);
	task->ear = NULL;
}

static void drop(stt_live *live, stt_live_task *task) {
	give_ear(live, task);
	task->stage = LIVE_IDLE;
}

static int busy(const stt_live_task *task) { return task->stage >= LIVE_ENCODING && task->stage <= LIVE_DECODING; }

/* Takes the utterance up to `until` into an ear. SN_AGAIN: it is not free. */
static int start(stt_live *live, stt_live_task *task, sn_ear_kind kind, int64_t until) {
	sn_stt *const base = &live->whisper.base;
	sn_lane *const lane = base->model->lane;
	task->ear = sn_lane_ear_take(lane, kind, &base->job);
	if (!task->ear) {
		sn_sched_rest(base->engine->sched, &base->job);
		return SN_AGAIN;
	}
	const int whole = live->whisper.config->source_positions, first = stt_live_context(live, until);
	const int hears_past = kind == SN_EAR_WHOLE && first < live->past_count;
	task->from = hears_past ? live->past[first].start : live->start;
	task->context = hears_past ? live->past_tokens - live->past[first].first : 0;
	const int64_t frames = (until - task->from) / SN_MEL_HOP;
	/* without what is behind `until`, which may have come already */
	const sn_mel_view view = { base->tape, until - base->tape_first, task->from - base->tape_first };
	int64_t positions = (frames + 1) / 2 + MARGIN;
	positions = positions < SHORTEST ? SHORTEST : positions;
	if (kind == SN_EAR_WHOLE || positions > whole)
		positions = whole;
	sn_lane_ear_features(lane, task->ear, &view, frames, (int)positions);
	task->until = until;
	task->stage = LIVE_ENCODING;
	return SN_OK;
}

/* The draft is what was last written of the utterance. */
static void start_decoding(stt_live *live, stt_live_task *task) {
	const stt_whisper *const w = &live->whisper;
	const sn_whisper_config *const c = w->config;
	int32_t prompt[2 * STT_LIVE_PAST_TOKENS + 8];
	int n = 0, keep = w->history_count < live->most_past ? w->history_count : live->most_past;
	keep = keep < w->previous_tokens ? keep : w->previous_tokens;
	if (keep > 0 && c->sot_prev >= 0) {
		prompt[n++] = c->sot_prev;
		memcpy(prompt + n, w->history + w->history_count - keep, (size_t)keep * sizeof *prompt);
		n += keep;
	}
	const int sot = n;
	prompt[n++] = c->sot;
	if (c->multilingual) {
		prompt[n++] = c->language[task->language].token;
		prompt[n++] = w->translate ? c->translate : c->transcribe;
	}
	if (c->no_timestamps >= 0)
		prompt[n++] = c->no_timestamps;
	memcpy(prompt + n, live->past_token + live->past_tokens - task->context, (size_t)task->context * sizeof *prompt);
	n += task->context;
	const int64_t most = TOKENS_BASE + TOKENS_PER_SECOND * (task->until - live->start) / SN_STT_RATE;
	stt_decode_start(&task->decode, c, task->ear->entry, task->ear->slot, prompt, n, sot, &live->committed, live->latest,
	                 live->latest_count, (int)most);
	task->decode.hotwords = live->whisper.hotwords;
	if (w->words && task == &live->pass)
		sn_whisper_keep_queries(w->base.model->whisper, 1);
	task->stage = LIVE_DECODING;
}

/* One row behind <|startoftranscript|>. A pass's finding counts for the session when it rests on more than the one before. */
static int detect(stt_live *live, stt_live_task *task) {
	stt_whisper *const w = &live->whisper;
	const sn_whisper_config *const c = w->config;
	float *const logits = sn_lane_ear_logits(w->base.model->lane), probability;
	const int32_t table = task->ear->slot;
	const sn_whisper_row row = { c->sot, 0, task->ear->slot, task->ear->entry, &table, logits };
	const int result = sn_whisper_decode(w->base.model->whisper, &row, 1, w->base.message);
	if (result != SN_OK)
		return result;
	task->language = stt_decode_language(c, logits, &probability);
	start_decoding(live, task);
	if (task != &live->pass)
		return SN_OK;
	const float evidence = probability * (float)live->speech / SN_STT_RATE;
	live->sure = probability >= SURE && live->speech >= SURE_SPEECH;
	if (w->language >= 0 && task->language != w->language && evidence < live->evidence && !live->sure) {
		task->language = w->language;
		start_decoding(live, task);
		return SN_OK;
	}
	live->evidence = task->language == w->language && live->evidence > evidence ? live->evidence : evidence;
	return stt_live_say_language(live, task->language, probability);
}

typedef struct choosing {
	stt_live_task *task;
	sn_whisper_row rows[SN_WHISPER_MAX_ROWS];
	stt_choice choices[SN_WHISPER_MAX_ROWS];
} choosing;

static void choose(void *payload, int64_t i, int worker) {
	choosing *const c = payload;
	if (c->rows[i].logits)
		c->choices[i] = stt_decode_choose(&c->task->decode, c->rows, (int)i);
}

static int decode(stt_live *live, stt_live_task *task) {
	sn_stt *const base = &live->whisper.base;
	choosing c;
	c.task = task;
	const double start = sn_now();
	const int count = stt_decode_rows(&task->decode, c.rows, sn_lane_ear_logits(base->model->lane));
	int result = sn_whisper_decode(base->model->whisper, c.rows, count, base->message);
	if (result != SN_OK)
		return result;
	nn_pool_run(base->engine->pool, choose, &c, count);
	sn_sched_count(base->engine->sched, SN_STAGE_DECODE, count, start);
	if (!stt_decode_advance(&task->decode, c.rows, c.choices))
		return SN_OK;
	if (task == &live->pass) {
		stt_live_guard(live);
		result = stt_live_align(live);
	}
	give_ear(live, task);
	task->stage = LIVE_DONE;
	return result;
}

/* A step of a task that is under way. */
static int go_on(stt_live *live, stt_live_task *task) {
	const int language = live->whisper.language;
	if (task->stage == LIVE_ENCODING) {
		const int result = sn_lane_ear_encode(live->whisper.base.model->lane, task->ear, live->whisper.base.message);
		if (result != SN_OK)
			return result == SN_AGAIN ? SN_OK : result;
		task->stage = LIVE_ENCODED;
	} else if (task->stage == LIVE_ENCODED && !live->sure && !live->committed.count && (task == &live->pass || language < 0)) {
		return detect(live, task);
	} else if (task->stage == LIVE_ENCODED) {
		task->language = language;
		start_decoding(live, task);
	} else {
		return decode(live, task);
	}
	return SN_OK;
}

/* ---- what is due ---- */

/* Keeps what the task wrote behind the committed text as the draft of the next. */
static void keep_latest(stt_live *live, const stt_live_task *task) {
	const stt_decode *const d = &task->decode;
	const int from = live->committed.count, count = d->count > from ? d->count - from : 0;
	if (task->until < live->latest_until)
		return;
	memcpy(live->latest, d->sequence + d->prompt + from, (size_t)count * sizeof *live->latest);
	live->latest_count = count;
	live->latest_until = task->until;
}

static int end_partial(stt_live *live) {
	keep_latest(live, &live->partial);
	const int result = stt_live_show(live, &live->partial);
	drop(live, &live->partial);
	return result;
}

/* Commits, and shows the rest where no partial knows more and the utterance goes on. */
static int end_pass(stt_live *live) {
	const int result = stt_live_agree(live);
	live->pass.stage = LIVE_TOLD;
	const stt_decode *const d = &live->pass.decode;
	const int rest = d->count - live->committed.count;
	const int known = rest == live->latest_count &&
	                  memcmp(d->sequence + d->prompt + live->committed.count, live->latest, (size_t)rest * sizeof *live->latest) == 0;
	if (live->pass.until < live->latest_until || known)
		return result;
	keep_latest(live, &live->pass);
	const int ends = live->mark == LIVE_END || live->mark == LIVE_CUT;
	return result == SN_OK && !ends ? stt_live_show(live, &live->pass) : result;
}

static int end_utterance(stt_live *live) {
	const int result = live->speech >= live->min_speech ? stt_live_finish(live) : SN_OK;
	live->pass.stage = LIVE_IDLE;
	sn_stt_moved(&live->whisper.base, live->marked);
	stt_live_forget(live);
	live->committed.count = live->before.count = live->latest_count = live->word_count = 0;
	live->latest_until = 0;
	live->evidence *= KEPT_EVIDENCE;
	sn_buf_clear(&live->word_text);
	return result;
}

/* The utterance ends at the mark: the last pass tells its text if nothing was said since. */
static int conclude_utterance(stt_live *live) {
	drop(live, &live->partial);
	if (busy(&live->pass))
		return go_on(live, &live->pass);
	if (live->pass.stage == LIVE_DONE)
		return end_pass(live);
	const int covers = live->pass.stage == LIVE_TOLD && live->pass.until <= live->marked &&
	                   (live->pass.until == live->marked || (live->mark == LIVE_END && live->pass.until >= live->speech_end));
	if (covers || live->speech < live->min_speech)
		return end_utterance(live);
	return start(live, &live->pass, SN_EAR_WHOLE, live->marked);
}

/* There is newer sound to be heard first, which takes no time. */
static int behind(stt_live *live) {
	sn_stt *const base = &live->whisper.base;
	sn_sched_lock(base->engine->sched);
	const int64_t waiting = (int64_t)base->queued;
	sn_sched_unlock(base->engine->sched);
	return waiting + sn_stt_tape_end(base) - live->heard >= FRESH;
}

static int partial_due(stt_live *live) {
	return live->interval && live->speaking && live->heard - live->partialed >= live->interval && live->speech >= FIRST_PARTIAL &&
	       live->speech_end > live->partialed && !behind(live);
}

/* With `full` nothing is emitted: what others wait for is given back or brought to its end. */
static int compute(stt_live *live, int full) {
	if (full) {
		drop(live, &live->partial);
		return busy(&live->pass) ? go_on(live, &live->pass) : SN_AGAIN;
	}
	if (live->mark == LIVE_END || live->mark == LIVE_CUT)
		return conclude_utterance(live);
	if (live->partial.stage == LIVE_DONE)
		return end_partial(live);
	if (busy(&live->partial))
		return go_on(live, &live->partial);
	if (partial_due(live) && start(live, &live->partial, SN_EAR_PARTIAL, live->heard) == SN_OK) {
		live->partialed = live->heard;
		return SN_OK;
	}
	if (live->pass.stage == LIVE_DONE)
		return end_pass(live);
	if (busy(&live->pass))
		return go_on(live, &live->pass);
	if (live->mark != LIVE_PASS)
		return SN_AGAIN;
	const int result = start(live, &live->pass, SN_EAR_WHOLE, live->marked);
	if (result == SN_OK) {
		live->passed = live->marked;
		live->mark = LIVE_UNMARKED;
	}
	return result;
}

/* ---- the session ---- */

static void conclude(stt_live *live) {
	sn_stt *const base = &live->whisper.base;
	const double seconds = (double)sn_stt_tape_end(base) / SN_STT_RATE;
	if (live->looped)
		sn_notes_add(&base->notes, "guard_repetition", "%d of %d utterances repeated themselves and were cut there", live->looped,
		             live->utterances);
	if (live->silent)
		sn_notes_add(&base->notes, "guard_silence", "%d of %d utterances were silence or noise to the model; their text was dropped",
		             live->silent, live->utterances);
	if (live->echoed)
		sn_notes_add(&base->notes, "guard_prompt", "%d of %d utterances repeated the prompt instead of the speech and were dropped",
		             live->echoed, live->utterances);
	if (sn_stt_tape_end(base) == 0)
		sn_notes_add(&base->notes, "no_audio", "there are no samples in the audio");
	else if (!base->segments && live->silent == live->utterances && live->silent)
		sn_notes_add(&base->notes, "no_speech", "the model takes all %.2f s of the audio for silence or noise", seconds);
	else if (!live->utterances)
		sn_notes_add(&base->notes, "no_speech", "no speech was found in %.2f s of audio", seconds);
	else if (!base->segments)
		sn_notes_add(&base->notes, "no_text", "the model wrote no words for %.2f s of audio", seconds);
	sn_stt_conclude(base);
}

int stt_live_work(sn_stt *base, int full) {
	stt_live *const live = (stt_live *)base;
	const int heard = full ? SN_AGAIN : stt_live_hear(live);
	if (heard != SN_OK && heard != SN_AGAIN)
		return heard;
	/* hearing is cheap and partials are short: with many sessions they do not wait for the passes of others */
	base->job.presses = heard == SN_OK;
	if (heard == SN_OK && live->mark == LIVE_UNMARKED && !busy(&live->partial) && !partial_due(live))
		return SN_OK;
	const int computed = compute(live, full);
	base->job.presses |= live->partial.stage == LIVE_DONE || busy(&live->partial) || partial_due(live);
	if (computed != SN_AGAIN || full)
		return computed;
	if (heard == SN_AGAIN && base->at_end && !live->speaking && live->whisper.heard == sn_stt_tape_end(base) &&
	    live->whisper.probability_next == live->whisper.probability_count)
		conclude(live);
	return heard;
}

void stt_live_leave(sn_stt *base) {
	stt_live *const live = (stt_live *)base;
	drop(live, &live->partial);
	drop(live, &live->pass);
}
