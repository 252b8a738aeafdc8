/* From samples to utterances and the places where a pass is due. What is marked depends on the samples alone, not on when they came. */
#include "speech/stt_live.h"

#include <string.h>

#define MS(n) ((int64_t)(n) * SN_STT_RATE / 1000)
#define PASS_SILENCE MS(200)     /* after which a pass is made, since the utterance may end there */
#define PASS_SPEECH MS(1000)     /* new audio that makes another pass worth it at such a silence */
#define PASS_EVERY MS(5000)
#define LONG MS(12000)           /* from which on a shorter silence ends the utterance */
#define LONGER MS(18000)
#define LONG_SILENCE MS(200)
#define LONGER_SILENCE MS(100)
#define CONTEXT MS(12000)        /* most sound of utterances before */
#define CONTEXT_GAP MS(2000)     /* between them */
#define CUT_REACH MS(10000)      /* before the end of an utterance that must be cut, and at least */
#define CUT_MARGIN MS(500)
#define SMOOTH 2                 /* chunks on each side that count when a place for a cut is looked for */

int64_t stt_live_patience(const stt_live *live) {
	const int64_t length = live->heard - live->start;
	int64_t patience = live->min_silence;
	if (length >= LONG && patience > LONG_SILENCE)
		patience = LONG_SILENCE;
	if (length >= LONGER && patience > LONGER_SILENCE)
		patience = LONGER_SILENCE;
	return patience;
}

static void begin(stt_live *live, int64_t onset) {
	const int64_t start = onset - live->pad;
	live->speaking = 1;
	live->start = start > live->floor ? start : live->floor;
	live->speech = live->likely_count = 0;
	live->first_chunk = onset;
	live->partialed = onset;
	live->passed = live->start;
	live->agreed = live->start;
}

/* Where speech is least likely, not too far from the end, and behind all that is committed. */
static int64_t least_likely(const stt_live *live) {
	const int64_t end = live->heard - CUT_MARGIN, reach = live->heard - CUT_REACH, from = reach > live->agreed ? reach : live->agreed;
	int64_t best = end;
	float least = 1e9f;
	for (int i = SMOOTH; i + SMOOTH < live->likely_count; i++) {
		const int64_t middle = live->first_chunk + (int64_t)i * STT_LIVE_CHUNK + STT_LIVE_CHUNK / 2;
		float sum = 0;
		for (int k = -SMOOTH; k <= SMOOTH; k++)
			sum += live->likely[i + k];
		if (middle >= from && middle <= end && sum < least) {
			least = sum;
			best = middle;
		}
	}
	return best;
}

/* One more chunk, with its probability of speech, was heard up to live->heard. */
static void follow(stt_live *live, float probability) {
	if (!live->speaking && probability < live->threshold)
		return;
	if (!live->speaking)
		begin(live, live->heard - STT_LIVE_CHUNK);
	if (live->likely_count < STT_LIVE_CHUNKS)
		live->likely[live->likely_count++] = probability;
	if (probability >= live->quiet) {
		live->speech_end = live->heard;
		live->speech += STT_LIVE_CHUNK;
	}
	const int64_t silence = live->heard - live->speech_end, length = live->heard - live->start, fresh = live->heard - live->passed;
	live->marked = live->heard;
	if (silence >= stt_live_patience(live))
		live->mark = LIVE_END;
	else if (length >= STT_LIVE_MOST - STT_LIVE_CHUNK)
		live->mark = LIVE_CUT;
	else if (live->speech >= live->min_speech && live->speech_end > live->passed &&
	         (fresh >= PASS_EVERY || (silence >= PASS_SILENCE && fresh >= PASS_SPEECH)))
		live->mark = LIVE_PASS;
	if (live->mark == LIVE_CUT)
		live->marked = least_likely(live);
}

int stt_live_hear(stt_live *live) {
	stt_whisper *const w = &live->whisper;
	int result = SN_AGAIN;
	if (live->mark != LIVE_UNMARKED)
		return SN_AGAIN;
	if (w->probability_next == w->probability_count) {
		int64_t needed = live->speaking ? live->start : live->heard - live->pad;
		if (live->past_count && live->past[0].start < needed)
			needed = live->past[0].start;
		sn_stt_trim(&w->base, needed - SN_MEL_CONTEXT);
		result = sn_stt_whisper_hear(w);
		if (result == SN_AGAIN && !w->base.at_end) {
			result = sn_stt_intake(&w->base);
			if (result == SN_OK)
				return SN_OK;
		}
		if (result != SN_OK && result != SN_AGAIN)
			return result;
	}
	while (live->mark == LIVE_UNMARKED && w->probability_next < w->probability_count) {
		const int64_t end = sn_stt_tape_end(&w->base), next = live->heard + STT_LIVE_CHUNK;
		live->heard = w->base.at_end && next > end ? end : next;
		follow(live, w->probabilities[w->probability_next++]);
		result = SN_OK;
	}
	const int over = w->base.at_end && w->heard == sn_stt_tape_end(&w->base) && w->probability_next == w->probability_count;
	if (live->mark != LIVE_END && live->mark != LIVE_CUT && over && live->speaking) {
		live->mark = LIVE_END;
		live->marked = live->heard;
		result = SN_OK;
	}
	return result;
}

/* Forgets the utterances before that no window will reach. */
static void forget_past(stt_live *live, int count) {
	if (!count)
		return;
	const int tokens = count < live->past_count ? live->past[count].first : live->past_tokens;
	memmove(live->past, live->past + count, (size_t)(live->past_count - count) * sizeof *live->past);
	memmove(live->past_token, live->past_token + tokens, (size_t)(live->past_tokens - tokens) * sizeof *live->past_token);
	live->past_count -= count;
	live->past_tokens -= tokens;
	for (int i = 0; i < live->past_count; i++)
		live->past[i].first -= tokens;
}

/* The utterance becomes one of those before the next. */
static void remember(stt_live *live) {
	const stt_tokens *const t = &live->committed;
	if (!t->count || t->count > live->most_past)
		return forget_past(live, live->past_count);
	while (live->past_count == STT_LIVE_PAST || live->past_tokens + t->count > live->most_past)
		forget_past(live, 1);
	live->past[live->past_count++] = (stt_live_past){ live->start, live->marked, live->past_tokens, t->count };
	memcpy(live->past_token + live->past_tokens, t->token, (size_t)t->count * sizeof *t->token);
	live->past_tokens += t->count;
}

int stt_live_context(const stt_live *live, int64_t until) {
	int first = live->past_count;
	int64_t start = live->start;
	while (first > 0 && start - live->past[first - 1].end <= CONTEXT_GAP && live->start - live->past[first - 1].start <= CONTEXT &&
	       until - live->past[first - 1].start <= STT_LIVE_MOST)
		start = live->past[--first].start;
	return first;
}

void stt_live_forget(stt_live *live) {
	const int goes_on = live->mark == LIVE_CUT;
	remember(live);
	live->floor = live->marked;
	live->speaking = goes_on;
	live->start = live->passed = live->agreed = live->marked;
	if (goes_on) {
		const int64_t chunks = (live->marked - live->first_chunk) / STT_LIVE_CHUNK;
		const int drop = chunks < live->likely_count ? (int)chunks : live->likely_count;
		memmove(live->likely, live->likely + drop, (size_t)(live->likely_count - drop) * sizeof *live->likely);
		live->likely_count -= drop;
		live->first_chunk += (int64_t)drop * STT_LIVE_CHUNK;
		live->speech = live->speech_end > live->start ? live->speech_end - live->start : 0;
	}
	live->mark = LIVE_UNMARKED;
}
