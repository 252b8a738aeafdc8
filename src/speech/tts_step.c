/* The steps of a speaking session: the start of a sentence, a piece of its spectrogram, or a chunk of its sound. */
#include "speech/tts.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* The slot that the next chunk goes to. Only the conductor fills slots, so it stays free without the lock. */
static tts_chunk *free_chunk(sn_tts *tts) { return &tts->chunks[(tts->chunk_first + tts->chunk_count) % SN_TTS_MAX_CHUNKS]; }

static void publish(sn_tts *tts, size_t count, int64_t clipped) {
	sn_sched_lock(tts->engine->sched);
	tts_chunk *chunk = free_chunk(tts);
	chunk->count = count;
	chunk->sentence = tts->sentence;
	tts->chunk_count++;
	if (tts->samples == 0)
		tts->first_audio = sn_now() - tts->opened;
	tts->samples += (int64_t)count;
	tts->clipped += clipped;
	sn_sched_signal(tts->engine->sched, &tts->job);
	sn_sched_unlock(tts->engine->sched);
}

static void publish_silence(sn_tts *tts, tts_chunk *chunk) {
	int64_t room = (int64_t)sn_chain_room(tts->chain), count = tts->pause_left < room ? tts->pause_left : room;
	memset(chunk->pcm, 0, (size_t)count * sizeof *chunk->pcm);
	tts->pause_left -= count;
	publish(tts, (size_t)count, 0);
}

static int begin_sentence(sn_tts *tts, tts_sentence *sentence) {
	tts->now = tts->options;
	tts->now.seed = tts->seed + 0x9e3779b97f4a7c15u * (uint64_t)sentence->index;
	tts->sentence = sentence->index;
	tts->speaking = 1;
	int result = sn_chain_start(tts->chain, sentence->ids, sentence->count, &tts->now, tts->spoken++ == 0, tts->message);
	free(sentence);
	return result;
}

static void end_sentence(sn_tts *tts) {
	const char *const remark = sn_chain_remark(tts->chain);
	tts->speaking = 0;
	tts->pause_left = tts->pause;
	if (!remark)
		return;
	sn_sched_lock(tts->engine->sched);
	sn_notes_add(&tts->notes, "remark", "sentence %d: %s", tts->sentence + 1, remark);
	sn_sched_unlock(tts->engine->sched);
}

static int speak_chunk(sn_tts *tts, tts_chunk *chunk) {
	size_t count;
	int64_t clipped = 0;
	int result = sn_chain_next(tts->chain, chunk->pcm, &count, tts->message);
	if (result < 0)
		return result;
	for (size_t i = 0; i < count; i++) {
		float x = chunk->pcm[i];
		clipped += x > 1 || x < -1;
		chunk->pcm[i] = x > 1 ? 1 : x < -1 ? -1 : x;
	}
	if (result == SN_END)
		end_sentence(tts);
	if (count)
		publish(tts, count, clipped);
	return SN_OK;
}

/* Takes the next sentence from the queue. NULL: none waits. */
static tts_sentence *next_sentence(sn_tts *tts) {
	tts_sentence *sentence = tts->first;
	if (sentence) {
		tts->first = sentence->next;
		if (!tts->first)
			tts->last = &tts->first;
		tts->waiting -= sentence->bytes;
	}
	return sentence;
}

int sn_tts_step(sn_job *job) {
	sn_tts *tts = (sn_tts *)job;
	sn_sched *sched = tts->engine->sched;
	tts_sentence *sentence = NULL;
	sn_sched_lock(sched);
	int rests = tts->cancelled || tts->error || tts->done || tts->chunk_count == SN_TTS_MAX_CHUNKS;
	int pausing = !tts->speaking && tts->pause_left > 0 && tts->first;
	tts_chunk *chunk = free_chunk(tts);
	if (!rests && !tts->speaking && !pausing) {
		sentence = next_sentence(tts);
		if (!sentence && tts->finished) {
			tts->done = 1;
			tts->ended = sn_now();
			sn_sched_signal(sched, &tts->job);
		}
		rests = !sentence;
	}
	sn_sched_unlock(sched);
	if (rests)
		return SN_AGAIN;
	int result = SN_OK;
	if (pausing)
		publish_silence(tts, chunk);
	else if (sentence)
		result = begin_sentence(tts, sentence);
	else
		result = speak_chunk(tts, chunk);
	if (result == SN_OK)
		return SN_OK;
	sn_sched_lock(sched);
	tts->error = result;
	sn_sched_signal(sched, &tts->job);
	sn_sched_unlock(sched);
	return SN_AGAIN;
}

void sn_tts_leave(sn_job *job) { (void)job; }
