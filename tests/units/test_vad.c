/* Speech segments against what silero-vad's and faster-whisper's own functions gave for the same probabilities. */
#include "speech/vad.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#define MAX_RUNS 64
#define MAX_SEGMENTS 16

typedef struct example {
	const char *name;
	int rate;
	int64_t samples;
	sn_vad_options options;
	struct { int percent, chunks; } runs[MAX_RUNS]; /* the probability, for so many chunks */
	sn_vad_segment segments[MAX_SEGMENTS];
} example;

static const example examples[] = {
	{ "silero defaults", 16000, 122268, { 0.5, -1, 250, 100, 30, 0, 98, 1 },
	  { { 90, 1 }, { 90, 8 }, { 20, 6 }, { 5, 2 }, { 5, 1 }, { 20, 5 }, { 60, 1 }, { 90, 29 }, { 45, 26 }, { 97, 1 }, { 90, 44 },
	    { 40, 2 }, { 97, 4 }, { 5, 13 }, { 40, 20 }, { 40, 2 }, { 60, 2 }, { 5, 27 }, { 90, 19 }, { 20, 1 }, { 90, 3 }, { 5, 1 },
	    { 45, 15 }, { 90, 6 } },
	  { { 0, 5088 }, { 11296, 67040 }, { 98848, 122268 } } },
	{ "silero defaults at 8 kHz", 8000, 116217, { 0.5, -1, 250, 100, 30, 0, 98, 1 },
	  { { 40, 7 }, { 90, 23 }, { 90, 1 }, { 60, 2 }, { 45, 35 }, { 90, 6 }, { 40, 1 }, { 97, 2 }, { 45, 3 }, { 20, 7 }, { 90, 51 },
	    { 90, 19 }, { 40, 2 }, { 90, 24 }, { 60, 115 }, { 60, 47 }, { 20, 5 }, { 45, 1 }, { 97, 1 }, { 90, 6 }, { 45, 2 },
	    { 45, 68 }, { 40, 1 }, { 90, 25 } },
	  { { 1552, 20720 }, { 22032, 88560 }, { 89616, 116217 } } },
	{ "silero, cut at the longest silence", 16000, 374781, { 0.5, -1, 250, 400, 30, 5, 98, 1 },
	  { { 90, 4 }, { 40, 21 }, { 45, 2 }, { 60, 5 }, { 5, 27 }, { 90, 2 }, { 40, 5 }, { 97, 2 }, { 45, 1 }, { 40, 8 }, { 5, 5 },
	    { 5, 2 }, { 97, 1 }, { 20, 71 }, { 20, 17 }, { 97, 28 }, { 60, 6 }, { 40, 86 }, { 90, 15 }, { 60, 16 }, { 20, 1 },
	    { 40, 1 }, { 60, 1 }, { 5, 1 }, { 5, 2 }, { 5, 3 }, { 90, 28 }, { 60, 6 }, { 60, 32 }, { 97, 104 }, { 45, 1 }, { 5, 46 },
	    { 45, 60 }, { 97, 1 }, { 5, 94 }, { 40, 1 }, { 20, 5 }, { 45, 4 }, { 20, 15 }, { 20, 2 } },
	  { { 0, 16864 }, { 29728, 44000 }, { 88096, 167904 }, { 170016, 249600 }, { 249600, 258528 } } },
	{ "faster-whisper defaults", 16000, 216888, { 0.5, -1, 0, 2000, 400, 0, 98, 0 },
	  { { 5, 10 }, { 90, 40 }, { 20, 50 }, { 60, 30 }, { 5, 80 }, { 97, 100 }, { 40, 20 }, { 5, 3 }, { 90, 9 }, { 5, 70 },
	    { 90, 12 } },
	  { { 0, 72960 }, { 101120, 181504 }, { 204544, 216888 } } },
	{ "faster-whisper batched", 16000, 435189, { 0.5, -1, 0, 160, 400, 30, 98, 0 },
	  { { 97, 1 }, { 90, 1 }, { 97, 2 }, { 45, 62 }, { 20, 116 }, { 5, 4 }, { 5, 34 }, { 97, 37 }, { 45, 20 }, { 20, 7 }, { 5, 2 },
	    { 5, 2 }, { 60, 1 }, { 60, 1 }, { 5, 1 }, { 45, 1 }, { 60, 1 }, { 45, 30 }, { 40, 6 }, { 90, 8 }, { 40, 17 }, { 90, 15 },
	    { 40, 1 }, { 45, 1 }, { 60, 5 }, { 40, 3 }, { 5, 3 }, { 40, 4 }, { 97, 20 }, { 97, 2 }, { 90, 1 }, { 40, 1 }, { 90, 3 },
	    { 40, 6 }, { 40, 6 }, { 90, 17 }, { 45, 29 }, { 97, 1 }, { 90, 107 }, { 40, 1 }, { 40, 6 }, { 40, 6 }, { 45, 72 }, { 5, 1 },
	    { 90, 5 }, { 5, 19 }, { 60, 4 }, { 20, 2 }, { 40, 2 }, { 20, 6 }, { 5, 25 }, { 60, 80 }, { 90, 2 }, { 97, 2 }, { 45, 1 },
	    { 90, 26 }, { 45, 3 }, { 20, 2 }, { 97, 2 }, { 20, 4 } },
	  { { 0, 40192 }, { 106240, 144640 }, { 144640, 347904 }, { 347904, 361216 }, { 366336, 435189 } } },
	{ "faster-whisper, cut at the last silence", 16000, 676853, { 0.5, -1, 0, 2000, 400, 4, 98, 0 },
	  { { 40, 27 }, { 97, 2 }, { 5, 4 }, { 40, 28 }, { 5, 12 }, { 90, 87 }, { 97, 1 }, { 5, 6 }, { 60, 2 }, { 5, 45 }, { 90, 14 },
	    { 60, 2 }, { 60, 3 }, { 5, 1 }, { 60, 3 }, { 45, 2 }, { 60, 22 }, { 97, 2 }, { 60, 22 }, { 45, 13 }, { 90, 18 }, { 20, 4 },
	    { 90, 87 }, { 90, 5 }, { 60, 13 }, { 60, 2 }, { 40, 4 }, { 97, 15 }, { 45, 87 }, { 20, 102 }, { 97, 6 }, { 5, 17 },
	    { 90, 3 }, { 97, 6 }, { 40, 2 }, { 20, 1 }, { 20, 79 }, { 97, 2 }, { 45, 6 }, { 90, 64 }, { 45, 2 }, { 90, 1 }, { 97, 29 },
	    { 20, 7 }, { 60, 1 }, { 45, 4 }, { 90, 25 }, { 45, 107 }, { 60, 115 }, { 20, 58 }, { 40, 6 }, { 40, 81 }, { 20, 15 },
	    { 5, 8 }, { 40, 11 }, { 60, 1 }, { 20, 4 }, { 90, 6 }, { 20, 2 }, { 45, 18 } },
	  { { 7424, 21248 }, { 30976, 83968 }, { 83968, 94976 }, { 103168, 161024 }, { 161024, 212736 }, { 212736, 270592 },
	    { 318720, 348928 }, { 377088, 434944 }, { 434944, 438528 }, { 438528, 497920 }, { 504064, 561920 }, { 561920, 575744 },
	    { 654592, 676853 } } },
};

/* Probabilities of an example, one by one; -1 behind the last. */
static float probability(const example *e, int chunk) {
	for (int r = 0; r < MAX_RUNS && e->runs[r].chunks; chunk -= e->runs[r++].chunks)
		if (chunk < e->runs[r].chunks) return (float)e->runs[r].percent / 100;
	return -1;
}

static int take(sn_vad *vad, const example *e, int found) {
	sn_vad_segment segment;
	while (sn_vad_next(vad, &segment)) {
		assert_in_range(found, 0, MAX_SEGMENTS - 1);
		assert_int_equal(segment.start, e->segments[found].start);
		assert_int_equal(segment.end, e->segments[found].end);
		found++;
	}
	return found;
}

static void segments_equal_the_references(void **state) {
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		const example *const e = &examples[i];
		int expected = 0, found = 0;
		float p;
		sn_vad vad;
		while (expected < MAX_SEGMENTS && e->segments[expected].end) expected++;
		print_message("# %s: %d segments\n", e->name, expected);
		sn_vad_init(&vad, &e->options, e->rate);
		for (int chunk = 0; (p = probability(e, chunk)) >= 0; chunk++) {
			sn_vad_push(&vad, p);
			found = take(&vad, e, found);
		}
		sn_vad_finish(&vad, e->samples);
		assert_int_equal(take(&vad, e, found), expected);
	}
}

/* A caller drops audio before the settled sample: no later segment may reach back to it. */
static void settled_audio_is_never_asked_for_again(void **state) {
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		const example *const e = &examples[i];
		int64_t settled = 0;
		float p;
		sn_vad vad;
		sn_vad_segment segment;
		sn_vad_init(&vad, &e->options, e->rate);
		for (int chunk = 0; (p = probability(e, chunk)) >= 0; chunk++) {
			sn_vad_push(&vad, p);
			while (sn_vad_next(&vad, &segment)) assert_true(segment.start >= settled);
			assert_true(sn_vad_settled(&vad) >= settled);
			settled = sn_vad_settled(&vad);
		}
		sn_vad_finish(&vad, e->samples);
		while (sn_vad_next(&vad, &segment)) assert_true(segment.start >= settled);
		assert_true(settled > 0);
	}
}

static void a_segment_is_told_as_soon_as_it_is_certain(void **state) {
	const sn_vad_options options = sn_vad_silero_defaults();
	sn_vad_segment segment;
	sn_vad vad;
	int chunks = 0;
	sn_vad_init(&vad, &options, 16000);
	for (int i = 0; i < 20; i++) sn_vad_push(&vad, 0.9f);
	while (sn_vad_push(&vad, 0.1f), !sn_vad_next(&vad, &segment)) chunks++;
	assert_in_range(chunks, 3, 5); /* 100 ms of silence are 3.1 chunks */
	assert_int_equal(segment.start, 0);
	assert_int_equal(segment.end, 20 * 512 + 480);
}

static void silence_has_no_segments(void **state) {
	const sn_vad_options options = sn_vad_whisper_defaults(30);
	sn_vad_segment segment;
	sn_vad vad;
	sn_vad_init(&vad, &options, 16000);
	for (int i = 0; i < 1000; i++) sn_vad_push(&vad, 0.49f);
	sn_vad_finish(&vad, 1000 * 512);
	assert_int_equal(sn_vad_next(&vad, &segment), 0);
	sn_vad_init(&vad, &options, 16000);
	sn_vad_finish(&vad, 0);
	assert_int_equal(sn_vad_next(&vad, &segment), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_equal_the_references),
		cmocka_unit_test(settled_audio_is_never_asked_for_again),
		cmocka_unit_test(a_segment_is_told_as_soon_as_it_is_certain),
		cmocka_unit_test(silence_has_no_segments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
