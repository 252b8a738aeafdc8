/* Live transcription without a model: drafts are verified against made-up logits, utterances found in made-up probabilities. */
#include "speech/stt_live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define VOCAB 96
#define EOT 80
#define PROMPT 4

static sn_whisper_config config = { .vocab = VOCAB, .eot = EOT, .no_speech = 90, .target_positions = 448, .suppress_count = 1,
	.suppress = { 7 }, .begin_suppress_count = 1, .begin_suppress = { EOT } };

/* The likeliest token behind a sequence is a function of all of it, so that a row that saw a wrong guess shows. */
static void fake_logits(const int32_t *sequence, int count, int most, float *logits) {
	uint32_t x = 17;
	for (int i = 0; i < count; i++)
		x = x * 1664525 + (uint32_t)sequence[i] * 7919 + 1013904223;
	for (int i = 0; i < VOCAB; i++)
		logits[i] = -(float)(((x >> (i % 16)) + (uint32_t)i * 31) & 255) / 32;
	logits[x / 64 % EOT] = 9;
	logits[count >= most ? EOT : (int)(x / 64 % EOT)] = 12;
	logits[7] = 50; /* suppressed */
}

/* Decodes and returns the number of calls. */
static int decode(stt_decode *d, const int32_t *draft, int draft_count, const stt_tokens *given, int length) {
	static const int32_t prompt[PROMPT] = { 81, 82, 83, 84 };
	static float logits[STT_DECODE_ROWS * VOCAB];
	sn_whisper_row rows[SN_WHISPER_MAX_ROWS];
	stt_choice choices[SN_WHISPER_MAX_ROWS];
	int32_t cache[STT_DECODE_TOKENS];
	int calls = 0, over = 0;
	stt_decode_start(d, &config, 3, 5, prompt, PROMPT, 0, given, draft, draft_count, 200);
	while (!over) {
		const int count = stt_decode_rows(d, rows, logits);
		assert_in_range(count, 1, SN_WHISPER_MAX_ROWS);
		for (int i = 0; i < count; i++) {
			assert_int_equal(rows[i].window, 3);
			assert_int_equal(rows[i].slot, 5);
			cache[rows[i].position] = rows[i].token; /* as a decoder's cache: what was written last counts */
			if (rows[i].logits)
				fake_logits(cache, rows[i].position + 1, PROMPT + length, rows[i].logits);
		}
		for (int i = count; i-- > 0;)
			if (rows[i].logits)
				choices[i] = stt_decode_choose(d, rows, i);
		over = stt_decode_advance(d, rows, choices);
		assert_in_range(++calls, 1, 400);
	}
	return calls;
}

static void same_text_whatever_the_draft(void **state) {
	stt_decode plain, d;
	uint32_t x = 1;
	const int calls = decode(&plain, NULL, 0, NULL, 40);
	assert_int_equal(plain.count, 40);
	assert_int_equal(calls, 41);
	assert_true(plain.ended && !plain.looped && !plain.limited);
	for (int round = 0; round < 300; round++) {
		int32_t draft[80];
		int count = 0;
		for (int i = 0; i < 40; i++) {
			x = x * 1664525 + 1013904223;
			const int chance = (int)(x >> 24);
			if (chance < 20)
				continue; /* left out */
			draft[count++] = chance < 40 ? (int32_t)(x >> 8 & 63) : plain.sequence[PROMPT + i];
			if (chance >= 40 && chance < 55)
				draft[count++] = (int32_t)(x >> 9 & 63); /* one too many */
		}
		const int fewer = decode(&d, draft, count, NULL, 40);
		assert_int_equal(d.count, plain.count);
		assert_memory_equal(d.sequence, plain.sequence, (size_t)(PROMPT + 40) * sizeof(int32_t));
		assert_memory_equal(d.logprob, plain.logprob, 40 * sizeof(float));
		assert_true(d.no_speech_prob == plain.no_speech_prob);
		assert_true(fewer <= calls);
	}
}

static void a_right_draft_takes_one_call(void **state) {
	stt_decode plain, d;
	decode(&plain, NULL, 0, NULL, 30);
	assert_int_equal(decode(&d, plain.sequence + PROMPT, 30, NULL, 30), 1);
	assert_int_equal(decode(&d, plain.sequence + PROMPT, 20, NULL, 30), 11);
	decode(&plain, NULL, 0, NULL, 120);
	assert_in_range(decode(&d, plain.sequence + PROMPT, 120, NULL, 120), 3, 4); /* more rows than fit one call */
	assert_int_equal(d.count, 120);
}

static void given_text_stays(void **state) {
	stt_tokens given = { .count = 3, .token = { 11, 12, 13 }, .logprob = { -1, -2, -3 } };
	stt_decode d;
	decode(&d, NULL, 0, &given, 20);
	assert_int_equal(d.count, 20);
	assert_memory_equal(d.sequence + PROMPT, given.token, 3 * sizeof(int32_t));
	assert_true(d.logprob[1] == -2);
}

static void loops_are_cut(void **state) {
	static const int32_t prompt[PROMPT] = { 81, 82, 83, 84 };
	static float logits[STT_DECODE_ROWS * VOCAB];
	sn_whisper_row rows[SN_WHISPER_MAX_ROWS];
	stt_choice choices[SN_WHISPER_MAX_ROWS];
	stt_decode d;
	stt_decode_start(&d, &config, 0, 0, prompt, PROMPT, 0, NULL, NULL, 0, 300);
	for (int over = 0, calls = 0; !over; calls++) {
		const int count = stt_decode_rows(&d, rows, logits);
		for (int i = 0; i < count; i++)
			choices[i] = (stt_choice){ .token = 20 + rows[i].position % 6 };
		over = stt_decode_advance(&d, rows, choices);
		assert_in_range(calls, 0, 60);
	}
	assert_true(d.looped);
	assert_int_equal(d.count, 6);
}

/* ---- utterances ---- */

static stt_live *quiet(int silence_ms) {
	stt_live *live = calloc(1, sizeof *live);
	live->threshold = 0.5f;
	live->quiet = 0.35f;
	live->min_speech = 1600;
	live->min_silence = (int64_t)silence_ms * 16;
	live->pad = 6400;
	return live;
}

/* Hears `chunks` chunks of one probability up to a mark at most; returns how many. */
static int hear(stt_live *live, float probability, int chunks) {
	stt_whisper *const w = &live->whisper;
	for (int done = 0; done < chunks; done++) {
		w->probabilities[0] = probability;
		w->probability_next = 0;
		w->probability_count = 1;
		w->heard += STT_LIVE_CHUNK;
		w->base.tape_count = w->heard;
		assert_int_equal(stt_live_hear(live), SN_OK);
		if (live->mark != LIVE_UNMARKED)
			return done + 1;
	}
	return chunks;
}

static void silence_is_nothing(void **state) {
	stt_live *live = quiet(400);
	assert_int_equal(hear(live, 0.1f, 1000), 1000);
	assert_false(live->speaking);
	free(live);
}

static void a_pause_ends_an_utterance(void **state) {
	stt_live *live = quiet(400);
	hear(live, 0.0f, 50);
	assert_int_equal(hear(live, 0.9f, 60), 60);
	assert_true(live->speaking);
	assert_int_equal(live->start, 50 * STT_LIVE_CHUNK - 6400);
	assert_int_equal(hear(live, 0.0f, 100), 7); /* 200 ms: a pass */
	assert_int_equal(live->mark, LIVE_PASS);
	assert_int_equal(live->marked, 117 * STT_LIVE_CHUNK);
	live->passed = live->marked;
	live->mark = LIVE_UNMARKED;
	assert_int_equal(hear(live, 0.0f, 100), 6); /* 400 ms: the end */
	assert_int_equal(live->mark, LIVE_END);
	stt_live_forget(live);
	assert_false(live->speaking);
	hear(live, 0.9f, 1);
	assert_int_equal(live->start, 123 * STT_LIVE_CHUNK); /* not before the end of the last */
	free(live);
}

static void long_speech_is_passed_over_and_cut(void **state) {
	stt_live *live = quiet(400);
	int passes = 0;
	hear(live, 0.9f, 700);
	for (; live->mark == LIVE_PASS; passes++) {
		live->passed = live->marked;
		live->mark = LIVE_UNMARKED;
		const int at = (int)(live->heard / STT_LIVE_CHUNK);
		if (at < 750)
			hear(live, 0.9f, 750 - at);
		else if (at < 756)
			hear(live, 0.4f, 756 - at); /* a doubtful moment */
		else
			hear(live, 0.9f, 700);
		while (live->mark == LIVE_UNMARKED)
			hear(live, live->heard / STT_LIVE_CHUNK >= 750 && live->heard / STT_LIVE_CHUNK < 756 ? 0.4f : 0.9f, 1);
	}
	assert_in_range(passes, 4, 6);
	assert_int_equal(live->mark, LIVE_CUT);
	assert_in_range(live->heard, STT_LIVE_MOST - 2 * STT_LIVE_CHUNK, STT_LIVE_MOST);
	assert_in_range(live->marked, 750 * STT_LIVE_CHUNK, 757 * STT_LIVE_CHUNK);
	const int64_t marked = live->marked;
	stt_live_forget(live);
	assert_true(live->speaking);
	assert_int_equal(live->start, marked);
	free(live);
}

static void long_speech_ends_at_a_shorter_pause(void **state) {
	stt_live *live = quiet(400);
	for (int chunks = 0; chunks < 400;) {
		chunks += hear(live, 0.9f, 400 - chunks);
		live->passed = live->heard;
		live->mark = LIVE_UNMARKED;
	}
	assert_in_range(hear(live, 0.0f, 100), 6, 8);
	assert_int_equal(live->mark, LIVE_END);
	free(live);
}

/* What was said before goes into the prompt, as far as the model has room for it. */
static void only_so_much_is_remembered(void **state) {
	stt_live *live = quiet(400);
	live->most_past = 20;
	for (int i = 0; i < 5; i++) {
		live->committed.count = 15;
		live->mark = LIVE_END;
		live->marked += SN_STT_RATE;
		stt_live_forget(live);
		assert_int_equal(live->past_tokens, 15);
		assert_int_equal(live->past_count, 1);
	}
	live->committed.count = 21;
	live->mark = LIVE_END;
	stt_live_forget(live);
	assert_int_equal(live->past_tokens, 0);
	free(live);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_text_whatever_the_draft),
		cmocka_unit_test(a_right_draft_takes_one_call),
		cmocka_unit_test(given_text_stays),
		cmocka_unit_test(loops_are_cut),
		cmocka_unit_test(silence_is_nothing),
		cmocka_unit_test(a_pause_ends_an_utterance),
		cmocka_unit_test(long_speech_is_passed_over_and_cut),
		cmocka_unit_test(long_speech_ends_at_a_shorter_pause),
		cmocka_unit_test(only_so_much_is_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
