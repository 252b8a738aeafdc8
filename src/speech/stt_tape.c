#include "speech/stt.h"

#include <stdlib.h>
#include <string.h>

static int tape_reserve(sn_stt *stt, size_t count) {
	if (count <= stt->tape_capacity)
		return SN_OK;
	if (count > SN_STT_TAPE_MAX)
		return sn_fail(stt->message, SN_E_INTERNAL, "%zu samples wait for a window; at most %zu ever should", count,
		               SN_STT_TAPE_MAX);
	size_t capacity = stt->tape_capacity ? stt->tape_capacity : 4 * SN_STT_BLOCK;
	while (capacity < count)
		capacity *= 2;
	float *grown = realloc(stt->tape, capacity * sizeof *grown);
	if (!grown)
		return sn_fail(stt->message, SN_E_MEMORY, "no memory for %zu samples", capacity);
	stt->tape = grown;
	stt->tape_capacity = capacity;
	return SN_OK;
}

void sn_stt_trim(sn_stt *stt, int64_t sample) {
	int64_t drop = sample - stt->tape_first;
	if (drop > stt->tape_count)
		drop = stt->tape_count;
	if (drop < SN_STT_BLOCK)
		return;
	memmove(stt->tape, stt->tape + drop, (size_t)(stt->tape_count - drop) * sizeof *stt->tape);
	stt->tape_first += drop;
	stt->tape_count -= drop;
}

/* Lock held. */
static void drop(sn_stt *stt, size_t count) {
	const int was_full = stt->queued >= SN_STT_MAX_QUEUE;
	if (count)
		memmove(stt->queue, stt->queue + count, (stt->queued - count) * sizeof *stt->queue);
	stt->queued -= count;
	if (was_full && stt->queued < SN_STT_MAX_QUEUE)
		sn_sched_signal(stt->engine->sched, &stt->job);
}

/* By way of the noise reduction, some milliseconds of computing at a time. The caller only ever appends to the queue. */
static int intake_clean(sn_stt *stt) {
	sn_sched *sched = stt->engine->sched;
	float block[SN_STT_CLEAN];
	size_t used, got;
	sn_sched_lock(sched);
	const size_t count = stt->queued < SN_STT_CLEAN ? stt->queued : SN_STT_CLEAN;
	const int ends = stt->finished && !count;
	memcpy(block, stt->queue ? stt->queue : block, count * sizeof *block);
	sn_sched_unlock(sched);
	if ((!count && !ends) || stt->at_end)
		return SN_AGAIN;
	const int result = sn_denoise_process(stt->denoise, ends ? NULL : block, count, &used, stt->tape + stt->tape_count, SN_STT_BLOCK, &got,
	                                      stt->message);
	if (result != SN_OK)
		return result;
	sn_sched_lock(sched);
	drop(stt, used);
	sn_sched_unlock(sched);
	stt->tape_count += (int64_t)got;
	stt->at_end = ends && !got;
	return SN_OK;
}

int sn_stt_intake(sn_stt *stt) {
	sn_sched *sched = stt->engine->sched;
	int result = tape_reserve(stt, (size_t)stt->tape_count + SN_STT_BLOCK);
	if (result != SN_OK || stt->denoise)
		return result == SN_OK ? intake_clean(stt) : result;
	sn_sched_lock(sched);
	size_t count = stt->queued < SN_STT_BLOCK ? stt->queued : SN_STT_BLOCK;
	if (count) {
		memcpy(stt->tape + stt->tape_count, stt->queue, count * sizeof *stt->tape);
		drop(stt, count);
	}
	int end = stt->finished && !stt->queued && !stt->at_end;
	sn_sched_unlock(sched);
	stt->tape_count += (int64_t)count;
	stt->at_end |= end;
	return count || end ? SN_OK : SN_AGAIN;
}
