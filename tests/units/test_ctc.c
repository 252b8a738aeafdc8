/* Decoding of frames: greedy and prefix search against all paths, alignments, listed words, and windows joined without seams. */
#include "speech/ctc.h"
#include "speech/ctc_track.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_T 6
#define MAX_V 4

static uint64_t state = 1;

static double draw(void) { /* 0..1 */
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (double)(state >> 40) / (double)(1 << 24);
}

static void fill(float *rows, int frames, int size, double spread) {
	for (int i = 0; i < frames * size; i++)
		rows[i] = (float)(spread * draw());
	sn_ctc_log_softmax(rows, frames, size);
}

static sn_ctc *open_ctc(const sn_ctc_options *o) {
	sn_ctc *c = NULL;
	char err[SN_ERRLEN];
	assert_int_equal(sn_ctc_open(&c, o, err), SN_OK);
	return c;
}

/* ---- against all paths ---- */

static int collapse(const int *path, int frames, int blank, int32_t *ids) {
	int count = 0;
	for (int t = 0; t < frames; t++)
		if (path[t] != blank && (t == 0 || path[t] != path[t - 1]))
			ids[count++] = path[t];
	return count;
}

/* A labelling as a number: its letters in base 8 behind a leading 1. */
static int key_of(const int32_t *ids, int count) {
	int key = 1;
	for (int i = 0; i < count; i++)
		key = 8 * key + ids[i];
	return key;
}

/* The likeliest labelling over all size^frames paths; *margin: how much likelier than the next. */
static int brute_force(const float *rows, int frames, int size, int blank, double *margin) {
	static double sum[1 << 19];
	int path[MAX_T] = { 0 }, best = 1;
	memset(sum, 0, sizeof sum);
	for (;;) {
		double p = 0;
		int32_t ids[MAX_T];
		for (int t = 0; t < frames; t++)
			p += (double)rows[t * size + path[t]];
		sum[key_of(ids, collapse(path, frames, blank, ids))] += exp(p);
		int t = 0;
		while (t < frames && ++path[t] == size)
			path[t++] = 0;
		if (t == frames)
			break;
	}
	for (int i = 1; i < 1 << 19; i++)
		best = sum[i] > sum[best] ? i : best;
	double second = 0;
	for (int i = 1; i < 1 << 19; i++)
		second = i != best && sum[i] > second ? sum[i] : second;
	*margin = sum[best] - second;
	return best;
}

static void prefix_search_finds_the_likeliest_text(void **unused) {
	int told = 0, differs = 0;
	for (int round = 0; round < 300; round++) {
		const int frames = 1 + round % MAX_T, size = 2 + round % (MAX_V - 1), blank = round % size;
		float rows[MAX_T * MAX_V];
		sn_ctc_token tokens[MAX_T];
		int32_t ids[MAX_T];
		double margin;
		fill(rows, frames, size, 3);
		const int expected = brute_force(rows, frames, size, blank, &margin);
		if (margin < 1e-5)
			continue;
		sn_ctc *c = open_ctc(&(sn_ctc_options){ .size = size, .blank = blank, .delimiter = -1, .beam = SN_CTC_MAX_BEAM });
		int count = sn_ctc_decode(c, rows, frames, tokens);
		for (int i = 0; i < count; i++)
			ids[i] = tokens[i].id;
		assert_int_equal(key_of(ids, count), expected);
		sn_ctc_close(&c);
		c = open_ctc(&(sn_ctc_options){ .size = size, .blank = blank, .delimiter = -1 });
		count = sn_ctc_decode(c, rows, frames, tokens);
		for (int i = 0; i < count; i++)
			ids[i] = tokens[i].id;
		differs += key_of(ids, count) != expected;
		sn_ctc_close(&c);
		told++;
	}
	assert_true(told > 250);
	assert_true(differs > 5); /* the likeliest path is not always the likeliest text: else the search would prove nothing */
}

/* ---- alignments ---- */

static void greedy_times_are_those_of_the_frames(void **unused) {
	/* frames: A A - A B B -   with blank 0, A 1, B 2 */
	static const int path[] = { 1, 1, 0, 1, 2, 2, 0 };
	float rows[7 * 3];
	sn_ctc_token k[7];
	for (int t = 0; t < 7; t++)
		for (int v = 0; v < 3; v++)
			rows[3 * t + v] = logf(v == path[t] ? 0.8f : 0.1f);
	sn_ctc *c = open_ctc(&(sn_ctc_options){ .size = 3, .delimiter = -1 });
	assert_int_equal(sn_ctc_decode(c, rows, 7, k), 3);
	static const int expected[][3] = { { 1, 0, 1 }, { 1, 3, 3 }, { 2, 4, 5 } };
	for (int i = 0; i < 3; i++) {
		assert_int_equal(k[i].id, expected[i][0]);
		assert_int_equal(k[i].first, expected[i][1]);
		assert_int_equal(k[i].last, expected[i][2]);
		assert_true(fabsf(k[i].logprob - logf(0.8f)) < 1e-6f);
	}
	sn_ctc_close(&c);
	c = open_ctc(&(sn_ctc_options){ .size = 3, .delimiter = -1, .beam = 8 });
	sn_ctc_token found[7];
	assert_int_equal(sn_ctc_decode(c, rows, 7, found), 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(found[i].first, k[i].first);
		assert_int_equal(found[i].last, k[i].last);
	}
	sn_ctc_close(&c);
}

static void alignments_hold_what_was_found(void **unused) {
	enum { FRAMES = 300, SIZE = 9 };
	static float rows[FRAMES * SIZE];
	static sn_ctc_token tokens[FRAMES];
	sn_ctc *c = open_ctc(&(sn_ctc_options){ .size = SIZE, .blank = 3, .delimiter = 5, .beam = 12 });
	for (int round = 0; round < 5; round++) {
		fill(rows, FRAMES, SIZE, 8);
		const int count = sn_ctc_decode(c, rows, FRAMES, tokens);
		assert_true(count > 50);
		for (int i = 0; i < count; i++) {
			assert_true(tokens[i].id != 3 && tokens[i].first <= tokens[i].last && tokens[i].last < FRAMES && tokens[i].logprob <= 0);
			if (i) /* equal letters need a blank between them */
				assert_true(tokens[i].first > tokens[i - 1].last + (tokens[i].id == tokens[i - 1].id));
		}
	}
	sn_ctc_close(&c);
}

static void silence_and_nothing_have_no_letters(void **unused) {
	float rows[4 * 3];
	sn_ctc_token tokens[4];
	for (int i = 0; i < 12; i++)
		rows[i] = logf(i % 3 == 0 ? 0.98f : 0.01f);
	for (int beam = 0; beam <= 4; beam += 4) {
		sn_ctc *c = open_ctc(&(sn_ctc_options){ .size = 3, .delimiter = -1, .beam = beam });
		assert_int_equal(sn_ctc_decode(c, rows, 4, tokens), 0);
		assert_int_equal(sn_ctc_decode(c, rows, 0, tokens), 0);
		sn_ctc_close(&c);
	}
}

/* ---- listed words ---- */

enum { BLANK, SPACE, A, B, C, LETTERS };

/* Certain letters, but for one frame that is B at 0.55 and C at 0.4. */
static int spell(float *rows, const char *text, int doubtful) {
	const int count = (int)strlen(text);
	for (int i = 0; i < count; i++)
		for (int half = 0; half < 2; half++) {
			float *row = rows + (2 * i + half) * LETTERS;
			const int id = half ? BLANK : text[i] == ' ' ? SPACE : A + text[i] - 'a';
			for (int v = 0; v < LETTERS; v++)
				row[v] = logf(v == id ? 0.999f : 0.00025f);
			if (i == doubtful && !half) {
				for (int v = 0; v < LETTERS; v++)
					row[v] = logf(0.0003f);
				row[B] = logf(0.55f);
				row[C] = logf(0.4f);
			}
		}
	return 2 * count;
}

static void decode_text(char *out, const float *rows, int frames, int beam, const char *words) {
	int32_t ids[64];
	int lengths[16], used = 0, count = 0;
	sn_ctc_token tokens[64];
	for (const char *at = words; *at; count++) { /* '_' is the delimiter inside a phrase */
		lengths[count] = (int)strcspn(at, " ");
		for (int i = 0; i < lengths[count]; i++)
			ids[used++] = at[i] == '_' ? SPACE : A + at[i] - 'a';
		at += lengths[count] + (at[lengths[count]] == ' ');
	}
	sn_ctc *c = open_ctc(&(sn_ctc_options){ .size = LETTERS, .blank = BLANK, .delimiter = SPACE, .beam = beam, .words = ids,
		.lengths = lengths, .word_count = count, .weight = 1.5f });
	const int n = sn_ctc_decode(c, rows, frames, tokens);
	for (int i = 0; i < n; i++)
		out[i] = tokens[i].id == SPACE ? ' ' : (char)('a' + tokens[i].id - A);
	out[n] = 0;
	sn_ctc_close(&c);
}

static void listed_words_are_favoured_when_they_are_whole(void **unused) {
	float rows[64 * LETTERS];
	char text[64];
	const int last = spell(rows, "ab aab", 5); /* its last letter: aab or aac */
	decode_text(text, rows, last, 8, "");
	assert_string_equal(text, "ab aab");
	decode_text(text, rows, last, 8, "aac");
	assert_string_equal(text, "ab aac");
	decode_text(text, rows, last, 8, "aaca"); /* only begun */
	assert_string_equal(text, "ab aab");
	decode_text(text, rows, last, 8, "ac"); /* only its end */
	assert_string_equal(text, "ab aab");
	decode_text(text, rows, last, 8, "aac aab"); /* both: the likelier */
	assert_string_equal(text, "ab aab");
}

static void phrases_are_favoured_when_they_are_whole(void **unused) {
	float rows[64 * LETTERS];
	char text[64];
	const int last = spell(rows, "ab aab", 5);
	decode_text(text, rows, last, 8, "ab_aac");
	assert_string_equal(text, "ab aac");
	decode_text(text, rows, last, 8, "ab_aac_a"); /* only begun */
	assert_string_equal(text, "ab aab");
	decode_text(text, rows, last, 8, "cc_aac"); /* only its end */
	assert_string_equal(text, "ab aab");
	decode_text(text, rows, last, 8, "ab_abc aac"); /* the phrase breaks, but its second word begins another listed one */
	assert_string_equal(text, "ab aac");
	decode_text(text, rows, last, 8, "ab ab_aab_b aac"); /* what is complete inside a phrase stays */
	assert_string_equal(text, "ab aac");
}

static void wrong_options_are_refused(void **unused) {
	char err[SN_ERRLEN];
	sn_ctc *c = NULL;
	sn_ctc_track *t = NULL;
	assert_int_equal(sn_ctc_open(&c, &(sn_ctc_options){ .size = 3, .blank = 3 }, err), SN_E_ARGUMENT);
	assert_int_equal(sn_ctc_open(&c, &(sn_ctc_options){ .size = 3, .beam = SN_CTC_MAX_BEAM + 1 }, err), SN_E_ARGUMENT);
	const int lengths[] = { SN_CTC_MAX_LETTERS + 1 };
	assert_int_equal(sn_ctc_open(&c, &(sn_ctc_options){ .size = 3, .beam = 1, .lengths = lengths, .word_count = 1 }, err), SN_E_LIMIT);
	const sn_ctc_track_options wrong = { .size = 3, .window = 4, .overlap = 4, .most = 9 };
	assert_int_equal(sn_ctc_track_open(&t, &wrong, err), SN_E_ARGUMENT);
	assert_null(c);
	assert_null(t);
}

/* ---- windows ---- */

#define WINDOW 60
#define OVERLAP 16
#define MARGIN 4
#define MOST 90

/* What is spoken at a frame: words of letters with a delimiter behind each, and now and then a pause. */
static int truth(int64_t frame) {
	const int64_t word = frame / 8, place = frame % 8;
	const uint64_t mix = (uint64_t)(word + 1) * UINT64_C(0x9E3779B97F4A7C15);
	if ((mix >> 60) < 4)
		return BLANK;
	return place == 7 ? SPACE : place % 2 ? BLANK : A + (int)((mix >> (8 * place)) % 3);
}

/* A window of a model whose frames are right but for the `reach` nearest to an end of the window that is not one of the audio. */
static void hear(float *rows, int64_t at, int frames, int64_t total, int reach) {
	for (int i = 0; i < frames; i++) {
		const int cut = (at > 0 && i < reach) || (at + frames < total && i >= frames - reach);
		const int id = cut ? (int)((at + i) % LETTERS) : truth(at + i);
		for (int v = 0; v < LETTERS; v++)
			rows[i * LETTERS + v] = logf(v == id ? 0.9f : 0.025f);
	}
}

/* Text of all segments, and how many there are. */
static int read_track(char *text, int64_t total, int reach, int pause) {
	char err[SN_ERRLEN];
	sn_ctc_track *track = NULL;
	sn_ctc *ctc = open_ctc(&(sn_ctc_options){ .size = LETTERS, .blank = BLANK, .delimiter = SPACE });
	sn_ctc_token tokens[MOST];
	float rows[WINDOW * LETTERS];
	int segments = 0, used = 0, is_last = 0;
	int64_t before = 0;
	const sn_ctc_track_options options = { .size = LETTERS, .blank = BLANK, .delimiter = SPACE, .window = WINDOW, .overlap = OVERLAP,
		.margin = MARGIN, .pause = pause, .most = MOST };
	assert_int_equal(sn_ctc_track_open(&track, &options, err), SN_OK);
	for (int64_t at = 0; !is_last; at += WINDOW - OVERLAP) {
		const int frames = total - at < WINDOW ? (int)(total - at) : WINDOW;
		is_last = at + frames == total;
		hear(rows, at, frames, total, reach);
		sn_ctc_track_add(track, at, rows, frames, is_last);
		sn_ctc_cut cut;
		while (sn_ctc_track_next(track, &cut)) {
			assert_true(cut.frames > 0 && cut.frames <= MOST && cut.first >= before && cut.first + cut.frames <= total);
			before = cut.first + cut.frames;
			for (int i = 0; i < cut.spaces && segments; i++)
				text[used++] = ' ';
			const int count = sn_ctc_decode(ctc, cut.logprobs, cut.frames, tokens);
			for (int i = 0; i < count; i++)
				text[used++] = tokens[i].id == SPACE ? ' ' : (char)('a' + tokens[i].id - A);
			segments++;
		}
	}
	while (used && text[used - 1] == ' ')
		used--;
	text[used] = 0;
	sn_ctc_track_close(&track);
	sn_ctc_close(&ctc);
	return segments;
}

static void windows_read_what_one_would(void **unused) {
	static char whole[4096], text[4096];
	for (int total = 1; total < 1200; total += total < 200 ? 1 : 37) {
		int used = 0;
		for (int64_t t = 0, last = BLANK; t < total; last = truth(t++))
			if (truth(t) != BLANK && truth(t) != last && (used || truth(t) != SPACE))
				whole[used++] = truth(t) == SPACE ? ' ' : (char)('a' + truth(t) - A);
		while (used && whole[used - 1] == ' ')
			used--;
		whole[used] = 0;
		read_track(text, total, MARGIN, 9);
		assert_string_equal(text, whole);
		read_track(text, total, MARGIN, 1000); /* no pause is long enough: segments end where they must */
		assert_string_equal(text, whole);
	}
}

static void segments_end_at_pauses(void **unused) {
	static char text[4096];
	assert_true(read_track(text, 1000, 0, 9) > 10);
	const int forced = read_track(text, 1000, 0, 1000);
	assert_true(forced >= 1000 / MOST && forced < 30);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefix_search_finds_the_likeliest_text),
		cmocka_unit_test(greedy_times_are_those_of_the_frames),
		cmocka_unit_test(alignments_hold_what_was_found),
		cmocka_unit_test(silence_and_nothing_have_no_letters),
		cmocka_unit_test(listed_words_are_favoured_when_they_are_whole),
		cmocka_unit_test(phrases_are_favoured_when_they_are_whole),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(windows_read_what_one_would),
		cmocka_unit_test(segments_end_at_pauses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
