#include "speech/align.h"

#include "speech/align_silence.h"
#include "speech/words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PROMPT_ROWS 8                /* from <|startoftranscript|> to the first sampled token at most 4 */
#define MAX_ROWS (SN_ALIGN_MAX_TOKENS + PROMPT_ROWS)
#define MEDIAN 7                     /* frames of the filter */
#define FRAMES_PER_STEP 2

/* Moves of the path. */
enum { NEXT_BOTH, NEXT_ROW, NEXT_STEP };

struct sn_align {
	sn_whisper *whisper;
	const sn_whisper_config *config;
	nn_pool *pool;
	int positions;                   /* most steps */
	float *probs;                    /* [heads, rows, steps] */
	float *mean, *scale;             /* [heads, positions] */
	float *filtered;                 /* [rows, positions] */
	float *cost;                     /* [2, positions + 1] */
	uint8_t *move;                   /* [MAX_ROWS, positions] */
	/* of the sequence at hand; rows: the decoded tokens from <|startoftranscript|> on, each stands for the token that it predicts */
	int rows, steps;
	int32_t slots[MAX_ROWS], at[MAX_ROWS];
	int begin[MAX_ROWS + 1];         /* step at which the path enters each row */
	sn_token_word split[SN_ALIGN_MAX_TOKENS];
};

int sn_align_open(sn_align **out, sn_whisper *whisper, nn_pool *pool, char *err) {
	sn_align *a = *out = calloc(1, sizeof *a);
	if (!a)
		return sn_fail(err, SN_E_MEMORY, "no memory for the alignment of words");
	a->whisper = whisper;
	a->config = sn_whisper_get_config(whisper);
	a->pool = pool;
	a->positions = a->config->source_positions;
	const size_t positions = (size_t)a->positions, heads = (size_t)a->config->alignment_count;
	a->probs = malloc(heads * MAX_ROWS * positions * sizeof *a->probs);
	a->mean = malloc(heads * positions * sizeof *a->mean);
	a->scale = malloc(heads * positions * sizeof *a->scale);
	a->filtered = malloc(MAX_ROWS * positions * sizeof *a->filtered);
	a->cost = malloc(2 * (positions + 1) * sizeof *a->cost);
	a->move = malloc(MAX_ROWS * positions * sizeof *a->move);
	if (!a->probs || !a->mean || !a->scale || !a->filtered || !a->cost || !a->move) {
		sn_align_close(out);
		return sn_fail(err, SN_E_MEMORY, "no memory for the alignment of words by %zu heads", heads);
	}
	return SN_OK;
}

void sn_align_close(sn_align **align) {
	sn_align *a = *align;
	*align = NULL;
	if (!a)
		return;
	free(a->probs);
	free(a->mean);
	free(a->scale);
	free(a->filtered);
	free(a->cost);
	free(a->move);
	free(a);
}

/* ---- from attention to one matrix ---- */

/* Mean and 1 / deviation of each step over all rows of a head. */
static void measure_head(void *payload, int64_t head, int worker) {
	sn_align *a = payload;
	const float *p = a->probs + head * a->rows * a->steps;
	float *mean = a->mean + head * a->positions, *scale = a->scale + head * a->positions;
	memset(mean, 0, (size_t)a->steps * sizeof *mean);
	memset(scale, 0, (size_t)a->steps * sizeof *scale);
	for (int r = 0; r < a->rows; r++)
		for (int t = 0; t < a->steps; t++)
			mean[t] += p[r * a->steps + t];
	for (int t = 0; t < a->steps; t++)
		mean[t] /= (float)a->rows;
	for (int r = 0; r < a->rows; r++)
		for (int t = 0; t < a->steps; t++) {
			float d = p[r * a->steps + t] - mean[t];
			scale[t] += d * d;
		}
	for (int t = 0; t < a->steps; t++)
		scale[t] = scale[t] > 0 ? 1 / sqrtf(scale[t] / (float)a->rows) : 0;
}

#define ORDER(i, k) do { float least = v[i] < v[k] ? v[i] : v[k]; v[k] = v[i] < v[k] ? v[k] : v[i]; v[i] = least; } while (0)

/* Adds to out[t] the median of x[t-3 .. t+3]; x has 3 values before and behind. A network that leaves the median in the middle. */
static void add_medians(const float *x, int steps, float *restrict out) {
	for (int t = 0; t < steps; t++) {
		float v[MEDIAN] = { x[t - 3], x[t - 2], x[t - 1], x[t], x[t + 1], x[t + 2], x[t + 3] };
		ORDER(0, 5); ORDER(0, 3); ORDER(1, 6); ORDER(2, 4); ORDER(0, 1); ORDER(3, 5); ORDER(2, 6);
		ORDER(2, 3); ORDER(3, 6); ORDER(4, 5); ORDER(1, 4); ORDER(1, 3); ORDER(3, 4);
		out[t] += v[3];
	}
}

/* One row: the heads' normalised attention, smoothed, summed over the heads. */
static void filter_row(void *payload, int64_t row, int worker) {
	sn_align *a = payload;
	float padded[SN_WHISPER_WINDOW / 320 + MEDIAN], *x = padded + MEDIAN / 2, *out = a->filtered + row * a->positions;
	const int steps = a->steps;
	memset(out, 0, (size_t)steps * sizeof *out);
	for (int h = 0; h < a->config->alignment_count; h++) {
		const float *p = a->probs + ((int64_t)h * a->rows + row) * steps;
		const float *mean = a->mean + (int64_t)h * a->positions, *scale = a->scale + (int64_t)h * a->positions;
		for (int t = 0; t < steps; t++)
			x[t] = (p[t] - mean[t]) * scale[t];
		for (int t = 1; t <= MEDIAN / 2; t++) { /* mirrored without the edge; what is shorter repeats it */
			x[-t] = x[t < steps ? t : 0];
			x[steps - 1 + t] = x[steps - 1 - t >= 0 ? steps - 1 - t : steps - 1];
		}
		add_medians(x, steps, out);
	}
}

/* ---- the path ---- */

/* Dynamic time warping: the path from (first row, step 0) to (last row, last step) with the largest sum; writes begin[row]. */
static void warp(sn_align *a, int first) {
	const int steps = a->steps;
	float *before = a->cost, *now = a->cost + a->positions + 1;
	before[0] = 0;
	for (int t = 1; t <= steps; t++)
		before[t] = INFINITY;
	for (int r = first; r < a->rows; r++) {
		const float *gain = a->filtered + (int64_t)r * a->positions;
		uint8_t *move = a->move + (int64_t)r * a->positions;
		now[0] = INFINITY;
		for (int t = 0; t < steps; t++) {
			float both = before[t], row = before[t + 1], step = now[t], least = step;
			move[t] = NEXT_STEP;
			if (row < least) {
				least = row;
				move[t] = NEXT_ROW;
			}
			if (both <= least) {
				least = both;
				move[t] = NEXT_BOTH;
			}
			now[t + 1] = least - gain[t];
		}
		float *swap = before;
		before = now;
		now = swap;
	}
	int t = steps - 1;
	for (int r = a->rows - 1; r >= first; r--) {
		const uint8_t *move = a->move + (int64_t)r * a->positions;
		while (t > 0 && move[t] == NEXT_STEP)
			t--;
		a->begin[r] = t;
		t -= t > 0 && move[t] == NEXT_BOTH;
	}
	a->begin[a->rows] = steps;
}

/* ---- words ---- */

static float confidence(const sn_align_sequence *s, int first, int end) {
	double sum = 0;
	for (int i = first; i < end && s->logprobs; i++)
		sum += (double)s->logprobs[i];
	return s->logprobs ? (float)exp(sum / (end - first)) : 0;
}

/* Rows of all decoded tokens from <|startoftranscript|> on. */
static void list_rows(sn_align *a, const sn_align_sequence *s) {
	const int end = s->first + (s->fed < SN_ALIGN_MAX_TOKENS ? s->fed : SN_ALIGN_MAX_TOKENS);
	const int from = s->first - s->sot > PROMPT_ROWS ? s->first - PROMPT_ROWS : s->sot;
	a->rows = end - from;
	for (int i = 0; i < a->rows; i++) {
		a->at[i] = from + i;
		a->slots[i] = s->table[from + i];
	}
	const int64_t steps = s->frames / FRAMES_PER_STEP;
	a->steps = steps < 1 ? 1 : steps < a->positions ? (int)steps : a->positions;
}

int sn_align_words(sn_align *a, const sn_align_sequence *s, sn_aligned_word *words) {
	const int kept = s->count < SN_ALIGN_MAX_TOKENS ? s->count : SN_ALIGN_MAX_TOKENS;
	const int count = sn_words_split(sn_whisper_bpe(a->whisper), s->tokens, kept, a->config->eot, a->split);
	if (!count || s->frames < 1)
		return 0;
	list_rows(a, s);
	const int offset = a->at[0] + 1 - s->first; /* row r predicts token r + offset */
	const int first = a->split[0].spoken_first - offset;
	sn_whisper_attend(a->whisper, s->window, a->slots, a->at, a->rows, a->steps, a->probs);
	nn_pool_run(a->pool, measure_head, a, a->config->alignment_count);
	nn_pool_run(a->pool, filter_row, a, a->rows);
	warp(a, first);
	for (int i = 0; i < count; i++) {
		const sn_token_word *const w = &a->split[i];
		const int from = w->spoken_first - offset, to = w->spoken_end - offset;
		words[i] = (sn_aligned_word){ w->first, w->end, SN_ALIGN_STEP * a->begin[from], SN_ALIGN_STEP * a->begin[to < a->rows ? to : a->rows],
		                              confidence(s, w->first, w->end) };
	}
	sn_align_silence(s, words, count);
	return count;
}
