/* The steps of a speaking session: the start of a sentence, a piece of its spectrogram, or a chunk of its sound. */
#include "speech/tts.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_STEPS 16 /* of models that make a spectrogram first */

/* The slot that the next chunk goes to. Only the conductor fills slots, so it stays free without the lock. */
static tts_chunk *free_chunk(sn_tts *tts) { return &tts->chunks[(tts->chunk_first + tts->chunk_count) % SN_TTS_MAX_CHUNKS]; }

/* Lock held. name: TTS_NAME bytes. */
void sn_tts_count_mark(sn_tts *tts, const char name[TTS_NAME]) {
	if (tts->mark_count < SN_SPEECH_MARKS) {
		sn_speech_mark *const mark = &tts->marks[tts->mark_count];
		memcpy(mark->name, name, sizeof mark->name);
		mark->time = (double)tts->samples / tts->rate;
	}
	tts->mark_count++;
}

void sn_tts_count(sn_tts *tts, size_t count) {
	tts->samples += (int64_t)count;
	if (tts->first_audio == 0)
		tts->first_audio = sn_now() - tts->opened;
}

static void publish(sn_tts *tts, size_t count, int64_t clipped) {
	sn_sched_lock(tts->engine->sched);
	tts_chunk *chunk = free_chunk(tts);
	chunk->count = count;
	chunk->sentence = tts->sentence;
	chunk->is_mark = 0;
	chunk->held = tts->take.holds && tts->speaking;
	tts->chunk_count++;
	if (tts->take.holds) { /* counted when they are given out, behind the sentence before */
		tts->take.clipped += clipped;
	} else {
		sn_tts_count(tts, count);
		tts->clipped += clipped;
	}
	sn_sched_signal(tts->engine->sched, &tts->job);
	sn_sched_unlock(tts->engine->sched);
}

static void publish_mark(sn_tts *tts, const char *name) {
	sn_sched_lock(tts->engine->sched);
	tts_chunk *chunk = free_chunk(tts);
	chunk->count = 0;
	chunk->sentence = tts->sentence;
	chunk->is_mark = 1;
	chunk->held = tts->take.holds && tts->speaking;
	snprintf(chunk->mark, sizeof chunk->mark, "%s", name);
	tts->chunk_count++;
	if (!tts->take.holds)
		sn_tts_count_mark(tts, chunk->mark);
	sn_sched_signal(tts->engine->sched, &tts->job);
	sn_sched_unlock(tts->engine->sched);
}

static void publish_silence(sn_tts *tts, tts_chunk *chunk, int64_t *left) {
	int64_t room = (int64_t)sn_chain_room(tts->chain), count = *left < room ? *left : room;
	memset(chunk->pcm, 0, (size_t)count * sizeof *chunk->pcm);
	*left -= count;
	publish(tts, (size_t)count, 0);
}

static int begin_sentence(sn_tts *tts, tts_item *item) {
	const tts_style *const style = &item->style;
	tts->how = tts->options;
	tts->how.speed = style->speed;
	tts->how.pitch = style->pitch;
	tts->how.language = style->language;
	tts->how.voice = style->voice;
	tts->how.seed = tts->seed + 0x9e3779b97f4a7c15u * (uint64_t)item->index + 0xd1b54a32d192ed03u * tts->attempt;
	sn_sched_lock(tts->engine->sched);
	tts->now = item;
	tts->sentence = item->index;
	tts->speaking = 1;
	sn_sched_unlock(tts->engine->sched);
	tts->marks_passed = 0;
	tts->within = tts->over = 0;
	return sn_chain_start(tts->chain, item->ids, item->count, &tts->how, tts->spoken++ == 0, tts->message);
}

/* A held sentence stays until its caller has looked at it. */
static void end_sentence(sn_tts *tts) {
	const char *const remark = sn_chain_remark(tts->chain);
	sn_sched_lock(tts->engine->sched);
	tts->speaking = 0;
	tts->pause_left = tts->now->ends ? tts->pause : 0;
	if (remark)
		sn_notes_add(&tts->notes, "remark", "sentence %d: %s", tts->sentence + 1, remark);
	tts->awaits = tts->take.holds;
	sn_sched_signal(tts->engine->sched, &tts->job);
	sn_sched_unlock(tts->engine->sched);
	if (!tts->take.holds) {
		free(tts->now);
		tts->now = NULL;
	}
}

/* Scaled and within -1..1. Returns how many were louder. */
static int64_t limit(float *pcm, size_t count, float gain) {
	int64_t clipped = 0;
	for (size_t i = 0; i < count; i++) {
		float x = pcm[i] * gain;
		clipped += x > 1 || x < -1;
		pcm[i] = x > 1 ? 1 : x < -1 ? -1 : x;
	}
	return clipped;
}

/* 1: the next mark of the sentence is reached, and was published; chunks end where one is. */
static int pass_mark(sn_tts *tts) {
	const tts_item *const item = tts->now;
	if (tts->marks_passed == item->mark_count)
		return 0;
	const tts_mark *const mark = &item->marks[tts->marks_passed];
	const int64_t place = sn_chain_place(tts->chain, (double)mark->share);
	if (tts->over || (mark->share < 1 && place <= tts->within)) {
		tts->marks_passed++;
		publish_mark(tts, mark->name);
		return 1;
	}
	if (mark->share < 1)
		sn_chain_limit(tts->chain, place - tts->within);
	return 0;
}

/* A sentence is over when the marks behind its last sound have been passed, too. */
static int speak_chunk(sn_tts *tts, tts_chunk *chunk) {
	size_t count = 0;
	int result = SN_OK;
	if (pass_mark(tts))
		return SN_OK;
	if (!tts->over) {
		result = sn_chain_next(tts->chain, chunk->pcm, &count, tts->message);
		if (result < 0)
			return result;
		const int64_t clipped = limit(chunk->pcm, count, tts->now->style.gain);
		tts->within += (int64_t)count;
		tts->over = result == SN_END;
		if (count)
			publish(tts, count, clipped);
	}
	if (tts->over && tts->marks_passed == tts->now->mark_count)
		end_sentence(tts);
	return SN_OK;
}

/* Takes the next item from the queue. NULL: none waits. */
static tts_item *next_item(sn_tts *tts) {
	tts_item *item = tts->first;
	if (item) {
		tts->first = item->next;
		if (!tts->first)
			tts->last = &tts->first;
		tts->waiting -= item->bytes;
		sn_sched_signal(tts->engine->sched, &tts->job); /* there is room for more text */
	}
	return item;
}

/* The first chunk of an utterance that nobody hears; not when somebody is waiting already. */
static void warm_up(sn_tts *tts, const tts_item *item, tts_chunk *chunk) {
	char err[SN_ERRLEN];
	size_t count = 0;
	sn_sched_lock(tts->engine->sched);
	const int waits = tts->first != NULL;
	sn_sched_unlock(tts->engine->sched);
	int result = waits ? SN_E_CANCELLED : sn_chain_start(tts->chain, item->ids, item->count, &tts->options, 1, err);
	for (int i = 0; result == SN_OK && !count && i < WARM_STEPS; i++)
		result = sn_chain_next(tts->chain, chunk->pcm, &count, err);
}

/* What has no sound of the model. */
static int begin_other(sn_tts *tts, tts_item *item, tts_chunk *chunk) {
	int result = SN_OK;
	if (item->kind == TTS_SILENCE)
		tts->silence_left = item->silence;
	else if (item->kind == TTS_MARK)
		publish_mark(tts, item->marks[0].name);
	else if (item->kind == TTS_WARM)
		warm_up(tts, item, chunk);
	else {
		result = item->error;
		snprintf(tts->message, sizeof tts->message, "%s", item->words);
	}
	free(item);
	return result;
}

/* One step of what is being spoken or comes next. item: taken from the queue just now, or NULL. */
static int do_step(sn_tts *tts, tts_item *item, tts_chunk *chunk) {
	if (tts->silence_left > 0)
		publish_silence(tts, chunk, &tts->silence_left);
	else if (item)
		return item->kind == TTS_SPEECH ? begin_sentence(tts, item) : begin_other(tts, item, chunk);
	else if (tts->speaking)
		return speak_chunk(tts, chunk);
	else
		publish_silence(tts, chunk, &tts->pause_left);
	return SN_OK;
}

int sn_tts_step(sn_job *job) {
	sn_tts *tts = (sn_tts *)job;
	sn_sched *sched = tts->engine->sched;
	tts_item *item = NULL;
	sn_sched_lock(sched);
	int rests = tts->cancelled || tts->error || tts->done || tts->awaits || tts->chunk_count == SN_TTS_MAX_CHUNKS;
	tts_chunk *chunk = free_chunk(tts);
	if (!rests && !tts->speaking && tts->silence_left <= 0) {
		const int pausing = tts->pause_left > 0 && tts->first && tts->first->kind == TTS_SPEECH && !tts->again;
		if (tts->again) {
			item = tts->now;
			tts->again = 0;
		} else if (!pausing) {
			item = next_item(tts);
			if (!item && tts->finished) {
				tts->done = 1;
				tts->ended = sn_now();
				sn_tts_signal_end(tts);
			}
			rests = !item;
		}
	}
	sn_sched_unlock(sched);
	if (rests)
		return SN_AGAIN;
	int result = tts->chain ? SN_OK : sn_tts_make_buffers(tts, tts->message);
	if (result == SN_OK)
		result = do_step(tts, item, chunk);
	else
		free(item);
	if (result == SN_OK)
		return SN_OK;
	sn_sched_lock(sched);
	tts->error = result;
	sn_tts_signal_end(tts);
	sn_sched_unlock(sched);
	return SN_AGAIN;
}

void sn_tts_leave(sn_job *job) { (void)job; }
