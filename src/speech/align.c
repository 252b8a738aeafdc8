#include "speech/align.h"

#include "speech/align_silence.h"
#include "speech/words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PROMPT_ROWS 8                /* from <|startoftranscript|> to the first sampled token at most 4 */
#define MAX_ROWS (SN_ALIGN_MAX_TOKENS + PROMPT_ROWS)
#define MAX_STATES (2 * SN_ALIGN_MAX_TOKENS + 1) /* every token a word, and a rest round each */
#define MEDIAN 5                     /* steps of the filter */
#define FRAMES_PER_STEP 2
#define EVEN 0.02f                   /* attention of a step that counts half */
#define GAIN 4.0f                    /* of a step that only one token attends to */
#define SHARE 0.1f                   /* of a step that pays neither way */
#define SILENCE_COST 1.0f            /* of a step of a word in silence */
#define REST_COST 0.5f               /* of a step of rest in speech */
#define ONSET_GAIN 2.0f              /* of a word that begins with a full onset */
#define NEVER (-1e30f)

/* How a state is entered: from itself or a state before, at the step before or at the same step. */
enum { BEGIN, STAY, LAST_BEFORE, LAST_SAME, OVER_BEFORE, OVER_SAME }; /* over: the one before last, across a rest */

typedef struct state {
	int row, word;                   /* row -1: a rest before that word */
	int first;                       /* of its word */
} state;

struct sn_align {
	sn_whisper *whisper;
	const sn_whisper_config *config;
	nn_pool *pool;
	int positions;                   /* most steps */
	float *probs;                    /* [heads, rows, steps] */
	float *sum;                      /* [heads, positions]: attention of all rows */
	float *gain;                     /* [rows, positions] */
	float *score;                    /* [3, positions]: of the last states, in turn */
	uint8_t *move;                   /* [MAX_STATES, positions] */
	float *speech, *onset;           /* [positions] */
	/* of the sequence at hand; rows: the decoded tokens from <|startoftranscript|> on, each stands for the token that it predicts */
	int rows, steps, states;
	int32_t slots[MAX_ROWS], at[MAX_ROWS];
	state state[MAX_STATES];
	int begin[MAX_STATES], end[MAX_STATES]; /* steps of the path in each state */
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
	a->sum = malloc(heads * positions * sizeof *a->sum);
	a->gain = malloc(MAX_ROWS * positions * sizeof *a->gain);
	a->score = malloc(3 * positions * sizeof *a->score);
	a->move = malloc(MAX_STATES * positions * sizeof *a->move);
	a->speech = malloc(positions * sizeof *a->speech);
	a->onset = malloc(positions * sizeof *a->onset);
	if (!a->probs || !a->sum || !a->gain || !a->score || !a->move || !a->speech || !a->onset) {
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
	free(a->sum);
	free(a->gain);
	free(a->score);
	free(a->move);
	free(a->speech);
	free(a->onset);
	free(a);
}

/* Steps by which the attention runs ahead of the sound: measured on speech with known times, for the heads that the published
 * checkpoints of these sizes list; others by what lies between. */
static int lead(const sn_whisper_config *c) {
	static const struct { int layers, width, multilingual, steps; } known[] = { { 6, 512, 1, 3 }, { 4, 384, 0, -2 } };
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (c->decoder_layers == known[i].layers && c->width == known[i].width && c->multilingual == known[i].multilingual)
			return known[i].steps;
	return 1;
}

/* ---- from attention to one matrix ---- */

#define ORDER(i, k) do { float least = v[i] < v[k] ? v[i] : v[k]; v[k] = v[i] < v[k] ? v[k] : v[i]; v[i] = least; } while (0)

/* out[t]: the median of x[t-2 .. t+2]; x has 2 values before and behind. The network leaves the median in the middle. */
static void medians(const float *restrict x, int steps, float *restrict out) {
	for (int t = 0; t < steps; t++) {
		float v[MEDIAN] = { x[t - 2], x[t - 1], x[t], x[t + 1], x[t + 2] };
		ORDER(0, 1); ORDER(3, 4); ORDER(0, 3); ORDER(1, 4); ORDER(1, 2); ORDER(2, 3); ORDER(1, 2);
		out[t] = v[2];
	}
}

/* One head: each row smoothed over the steps, and the sum of all rows. */
static void smooth_head(void *payload, int64_t head, int worker) {
	sn_align *a = payload;
	const int steps = a->steps;
	float padded[SN_WHISPER_WINDOW / 320 + MEDIAN], *x = padded + MEDIAN / 2, *sum = a->sum + head * a->positions;
	memset(sum, 0, (size_t)steps * sizeof *sum);
	for (int r = 0; r < a->rows; r++) {
		float *p = a->probs + (head * a->rows + r) * steps;
		memcpy(x, p, (size_t)steps * sizeof *x);
		for (int t = 1; t <= MEDIAN / 2; t++) { /* mirrored without the edge; what is shorter repeats it */
			x[-t] = x[t < steps ? t : 0];
			x[steps - 1 + t] = p[steps - 1 - t >= 0 ? steps - 1 - t : steps - 1];
		}
		medians(x, steps, p);
		for (int t = 0; t < steps; t++)
			sum[t] += p[t];
	}
}

/* gain[row, t] of its token being said at step t: the mean over the heads of its share, `lead` steps earlier; only cost in silence. */
static void weigh_row(void *payload, int64_t row, int worker) {
	sn_align *a = payload;
	const int steps = a->steps, heads = a->config->alignment_count, ahead = lead(a->config);
	float share[SN_WHISPER_WINDOW / 320] = { 0 }, *gain = a->gain + row * a->positions;
	for (int h = 0; h < heads; h++) {
		const float *p = a->probs + ((int64_t)h * a->rows + row) * steps, *sum = a->sum + (int64_t)h * a->positions;
		for (int t = 0; t < steps; t++)
			share[t] += p[t] / (sum[t] + EVEN);
	}
	for (int t = 0; t < steps; t++) {
		const int from = t - ahead < 0 ? 0 : t - ahead < steps ? t - ahead : steps - 1;
		gain[t] = GAIN * (share[from] / (float)heads - SHARE) * a->speech[t] - SILENCE_COST * (1 - a->speech[t]);
	}
}

/* ---- the path ---- */

/* A rest, the spoken tokens of a word, a rest, ... `offset`: row r predicts token r + offset. */
static void list_states(sn_align *a, int words, int offset) {
	a->states = 0;
	for (int k = 0; k <= words; k++) {
		a->state[a->states++] = (state){ -1, k, 0 };
		for (int i = k < words ? a->split[k].spoken_first : 1; k < words && i < a->split[k].spoken_end; i++)
			a->state[a->states++] = (state){ i - offset, k, i == a->split[k].spoken_first };
	}
}

/* Scores of state s at all steps, from those of the two states before it. A token takes at least a step, which neighbours may share; a
 * rest may be left out. */
static void enter_state(const sn_align *a, int s, const float *over, const float *last, float *now) {
	const state *st = &a->state[s];
	const float *gain = st->row >= 0 ? a->gain + (int64_t)st->row * a->positions : NULL;
	uint8_t *move = a->move + (int64_t)s * a->positions;
	for (int t = 0; t < a->steps; t++) {
		const float extra = st->first ? ONSET_GAIN * a->onset[t] : 0;
		float best = t ? now[t - 1] : s == 0 || s == 1 ? extra : NEVER;
		int how = t ? STAY : BEGIN;
		const struct { float score; int how; } ways[] = {
			{ t && s > 0 ? last[t - 1] + extra : NEVER, LAST_BEFORE }, { gain && !st->first ? last[t] : NEVER, LAST_SAME },
			{ t && st->first && s > 1 ? over[t - 1] + extra : NEVER, OVER_BEFORE },
			{ st->first && s > 1 ? over[t] + extra : NEVER, OVER_SAME },
		};
		for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
			if (ways[i].score > best) {
				best = ways[i].score;
				how = ways[i].how;
			}
		move[t] = (uint8_t)how;
		now[t] = best + (gain ? gain[t] : -REST_COST * a->speech[t]);
	}
}

/* The path with the largest sum from the first state to the last, either of which may be left out where it is a rest: begin and end
 * of every state that it visits. */
static void find_path(sn_align *a) {
	float *line[3] = { a->score, a->score + a->positions, a->score + 2 * a->positions };
	for (int s = 0; s < a->states; s++)
		enter_state(a, s, line[(s + 1) % 3], line[(s + 2) % 3], line[s % 3]);
	int s = a->states - 1, t = a->steps - 1;
	s -= line[(s + 2) % 3][t] > line[s % 3][t];
	a->end[s] = t + 1;
	for (;;) {
		const int how = a->move[(int64_t)s * a->positions + t];
		a->begin[s] = t;
		if (how == BEGIN)
			return;
		s -= how == LAST_BEFORE || how == LAST_SAME ? 1 : how == OVER_BEFORE || how == OVER_SAME ? 2 : 0;
		t -= how == STAY || how == LAST_BEFORE || how == OVER_BEFORE;
		if (how != STAY)
			a->end[s] = t + 1;
	}
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

int sn_align_words(sn_align *a, const sn_align_sequence *s, sn_aligned_word *words, int *found, char *err) {
	const int kept = s->count < SN_ALIGN_MAX_TOKENS ? s->count : SN_ALIGN_MAX_TOKENS;
	const int count = sn_words_split(sn_whisper_bpe(a->whisper), s->tokens, kept, a->config->eot, a->split);
	*found = 0;
	if (!count || s->frames < 1)
		return SN_OK;
	list_rows(a, s);
	list_states(a, count, a->at[0] + 1 - s->first);
	sn_align_hear(s->levels, a->steps, a->speech, a->onset);
	const int result = sn_whisper_attend(a->whisper, s->window, a->slots, a->at, a->rows, a->steps, a->probs, err);
	if (result != SN_OK)
		return result;
	nn_pool_run(a->pool, smooth_head, a, a->config->alignment_count);
	nn_pool_run(a->pool, weigh_row, a, a->rows);
	find_path(a);
	for (int i = 0; i < count; i++)
		words[i] = (sn_aligned_word){ .first = a->split[i].first, .end = a->split[i].end, .start = -1,
		                              .confidence = confidence(s, a->split[i].first, a->split[i].end) };
	for (int i = 0; i < a->states; i++) {
		sn_aligned_word *const w = &words[a->state[i].word];
		if (a->state[i].row < 0)
			continue;
		w->start = w->start < 0 ? SN_ALIGN_STEP * a->begin[i] : w->start;
		w->stop = SN_ALIGN_STEP * a->end[i];
	}
	sn_align_trim(s, words, count);
	*found = count;
	return SN_OK;
}
