/* The steps of a speaking session: one sentence's encoder and flow, or one chunk of its decoder. */
#include "speech/tts.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_FRAMES 32 /* the first chunk is short so that it is ready soon; each one after it is twice as long */

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
	int64_t room = (int64_t)SN_TTS_CHUNK_FRAMES * tts->config->hop, count = tts->pause_left < room ? tts->pause_left : room;
	memset(chunk->pcm, 0, (size_t)count * sizeof *chunk->pcm);
	tts->pause_left -= count;
	publish(tts, (size_t)count, 0);
}

static int begin_sentence(sn_tts *tts, tts_sentence *sentence) {
	int frames;
	sn_vits_options options = tts->options;
	options.seed = tts->seed + 0x9e3779b97f4a7c15u * (uint64_t)sentence->index;
	int result = sn_vits_start(tts->stream, sentence->ids, sentence->count, &options, &frames, tts->message);
	tts->sentence = sentence->index;
	tts->chunk_frames = tts->spoken++ == 0 ? FIRST_FRAMES : SN_TTS_CHUNK_FRAMES / 2;
	tts->speaking = 1;
	free(sentence);
	return result;
}

static void speak_chunk(sn_tts *tts, tts_chunk *chunk) {
	int64_t count = sn_vits_next(tts->stream, tts->chunk_frames, chunk->pcm), clipped = 0;
	if (count <= 0) {
		tts->speaking = 0;
		tts->pause_left = tts->pause;
		return;
	}
	for (int64_t i = 0; i < count; i++) {
		float x = chunk->pcm[i];
		clipped += x > 1 || x < -1;
		chunk->pcm[i] = x > 1 ? 1 : x < -1 ? -1 : x;
	}
	tts->chunk_frames = 2 * tts->chunk_frames < SN_TTS_CHUNK_FRAMES ? 2 * tts->chunk_frames : SN_TTS_CHUNK_FRAMES;
	publish(tts, (size_t)count, clipped);
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
		speak_chunk(tts, chunk);
	if (result == SN_OK)
		return SN_OK;
	sn_sched_lock(sched);
	tts->error = result;
	sn_sched_signal(sched, &tts->job);
	sn_sched_unlock(sched);
	return SN_AGAIN;
}

void sn_tts_leave(sn_job *job) { (void)job; }
