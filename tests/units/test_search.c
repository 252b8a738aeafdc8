/* The search runs over a made-up language model whose logits are a hash of the history that a row can see through its table, so a
 * beam that reads another's cache entries gives other tokens. Results are compared with plain re-tellings of openai-whisper's rules. */
#include "speech/search.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#define VOCAB 300
#define TEXT 100 /* ids below are text, <|endoftext|> is the next */
#define TIME 120 /* the first timestamp */
#define POSITIONS 48

static sn_whisper_config config = {
	.vocab = VOCAB, .target_positions = POSITIONS, .multilingual = 1, .eot = TEXT, .sot = TEXT + 1, .no_speech = TEXT + 7,
	.no_timestamps = TIME - 1, .timestamp_begin = TIME, .languages = 3,
	.language = { { "en", TEXT + 2 }, { "fr", TEXT + 3 }, { "de", TEXT + 4 } }, .suppress_count = 4,
	.suppress = { TEXT + 1, TEXT + 7, 5, 6 }, .begin_suppress_count = 2, .begin_suppress = { 9, TEXT }, .max_initial_timestamp = 10,
};

/* In the place of models/whisper.c: a search asks a model for nothing else. */
const sn_whisper_config *sn_whisper_get_config(const sn_whisper *whisper) { return &config; }

/* ---- the language model ---- */

static uint64_t mix(uint64_t z) {
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

typedef struct model {
	uint64_t seed;
	float scale, end, time; /* spread of logits; added to <|endoftext|> and to timestamps */
} model;

static void logits_after(const model *m, const int32_t *history, int count, float *out) {
	uint64_t h = mix(m->seed + 0x9e3779b97f4a7c15ull);
	for (int i = 0; i < count; i++)
		h = mix(h ^ (uint64_t)(history[i] + 1) * 0x9e3779b97f4a7c15ull);
	for (int v = 0; v < VOCAB; v++) {
		double u = (double)(mix(h + (uint64_t)v) >> 11) * 0x1p-53;
		out[v] = (float)(m->scale * u * u * u) + (v == TEXT ? m->end : v >= TIME ? m->time : 0);
	}
}

static int32_t cache[SN_SEARCH_MAX_BEAM][POSITIONS];

static void decode(const model *m, const sn_whisper_row *rows, int count) {
	for (int i = 0; i < count; i++) {
		assert_in_range(rows[i].position, 0, POSITIONS - 1);
		assert_int_equal(rows[i].table[rows[i].position], rows[i].slot);
		cache[rows[i].slot][rows[i].position] = rows[i].token;
	}
	for (int i = 0; i < count; i++) {
		int32_t history[POSITIONS];
		for (int p = 0; p <= rows[i].position; p++)
			history[p] = cache[rows[i].table[p]][p];
		if (rows[i].logits)
			logits_after(m, history, rows[i].position + 1, rows[i].logits);
	}
}

static const int32_t slots[SN_SEARCH_MAX_BEAM] = { 3, 1, 7, 0, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
static const int32_t prompt[] = { 11, 12, TEXT + 1, TEXT + 2, TEXT + 5 };
#define PROMPT 5
#define SOT 2

static sn_search_result run(const model *m, const sn_search_options *options) {
	char err[SN_ERRLEN];
	sn_search *s;
	static sn_whisper_row rows[SN_WHISPER_MAX_ROWS];
	assert_int_equal(sn_search_new(&s, NULL, err), SN_OK);
	assert_int_equal(sn_search_start(s, 0, slots, SN_SEARCH_MAX_BEAM, prompt, PROMPT, SOT, options, err), SN_OK);
	int done = 0, steps = 0;
	while (!done) {
		int count = sn_search_rows(s, rows);
		assert_in_range(count, 1, SN_WHISPER_MAX_ROWS);
		decode(m, rows, count);
		done = sn_search_advance(s);
		assert_true(++steps <= POSITIONS);
	}
	assert_int_equal(sn_search_rows(s, rows), 0);
	sn_search_result result = *sn_search_get(s);
	/* Where its table points, its own tokens lie, though other sequences ran on after it had finished. */
	const int32_t *table = sn_search_table(s);
	int sot, first = sn_search_prompt(s, &sot);
	assert_int_equal(first, PROMPT);
	assert_int_equal(sot, SOT);
	for (int i = 0; i < first + result.count - result.reached_limit; i++)
		assert_int_equal(cache[table[i]][i], i < first ? prompt[i] : result.tokens[i - first]);
	sn_search_free(&s);
	assert_null(s);
	return result;
}

/* ---- the rules once more ---- */

typedef struct path {
	int32_t tokens[POSITIONS]; /* without <|endoftext|> */
	int count, ended;
	double sum;
} path;

static int is_time(int32_t token) { return token >= TIME; }

static void log_softmax(double *x) {
	double most = -INFINITY, sum = 0;
	for (int v = 0; v < VOCAB; v++)
		most = fmax(most, x[v]);
	for (int v = 0; v < VOCAB; v++)
		sum += exp(x[v] - most);
	for (int v = 0; v < VOCAB; v++)
		x[v] -= most + log(sum);
}

static void rules(const path *p, int times, double *x) {
	for (int i = 0; i < config.suppress_count; i++)
		x[config.suppress[i]] = -INFINITY;
	for (int i = 0; i < config.begin_suppress_count && !p->count; i++)
		x[config.begin_suppress[i]] = -INFINITY;
	if (!times)
		return;
	int n = p->count, after = n >= 1 && is_time(p->tokens[n - 1]), pair = n < 2 || is_time(p->tokens[n - 2]);
	int32_t last = -1;
	for (int i = 0; i < n; i++)
		last = is_time(p->tokens[i]) ? p->tokens[i] : last;
	for (int v = 0; v < VOCAB; v++) {
		int bad = v == TIME - 1 || (after && pair && is_time(v)) || (after && !pair && v < TEXT);
		bad |= last >= 0 && is_time(v) && (v < last || (v == last && !(after && !pair)));
		bad |= !n && (v < TIME || v > TIME + config.max_initial_timestamp);
		x[v] = bad ? -INFINITY : x[v];
	}
	double y[VOCAB], mass = 0, text = -INFINITY;
	memcpy(y, x, sizeof y);
	log_softmax(y);
	for (int v = TIME; v < VOCAB; v++)
		mass += exp(y[v]);
	for (int v = 0; v < TIME; v++)
		text = fmax(text, y[v]);
	for (int v = 0; v < TIME && log(mass) > text; v++)
		x[v] = -INFINITY;
}

static void next_logprobs(const model *m, const path *p, int times, double *x) {
	int32_t history[PROMPT + POSITIONS];
	float logits[VOCAB];
	memcpy(history, prompt, sizeof prompt);
	memcpy(history + PROMPT, p->tokens, (size_t)p->count * sizeof *history);
	logits_after(m, history, PROMPT + p->count, logits);
	for (int v = 0; v < VOCAB; v++)
		x[v] = logits[v];
	rules(p, times, x);
	log_softmax(x);
}

static path extended(path p, int32_t token, double logprob) {
	p.sum += logprob;
	if (token == TEXT)
		p.ended = 1;
	else
		p.tokens[p.count++] = token;
	return p;
}

static path plain_greedy(const model *m, int times, int most) {
	path p = { 0 };
	while (!p.ended && p.count < most) {
		double x[VOCAB];
		int best = 0;
		next_logprobs(m, &p, times, x);
		for (int v = 1; v < VOCAB; v++)
			best = x[v] > x[best] ? v : best;
		p = extended(p, best, x[best]);
	}
	return p;
}

static int better(const void *a, const void *b) {
	const path *x = a, *y = b;
	return x->sum < y->sum ? 1 : x->sum > y->sum ? -1 : 0;
}

/* Every continuation of every beam is ranked: the beams' own shortlists must not lose any. */
static path plain_beams(const model *m, int width, int most_finished, double alpha, int times, int most) {
	static path all[SN_SEARCH_MAX_BEAM * VOCAB], beams[SN_SEARCH_MAX_BEAM], finished[128];
	int running = 1, done = 0;
	memset(beams, 0, sizeof beams);
	for (int step = 0; step < most && done < most_finished; step++) {
		int count = 0, kept = 0;
		for (int i = 0; i < running; i++) {
			double x[VOCAB];
			next_logprobs(m, &beams[i], times, x);
			for (int v = 0; v < VOCAB; v++)
				if (x[v] > -INFINITY)
					all[count++] = extended(beams[i], v, x[v]);
		}
		qsort(all, (size_t)count, sizeof *all, better);
		for (int i = 0; i < count && kept < width; i++)
			if (!all[i].ended)
				beams[kept++] = all[i];
			else if (done < most_finished)
				finished[done++] = all[i];
		running = kept;
	}
	for (int i = 0; i < running && done < width; i++)
		finished[done++] = beams[i];
	int best = 0;
	for (int i = 1; i < done; i++) {
		double a = finished[i].sum / (alpha < 0 ? finished[i].count : pow((5.0 + finished[i].count) / 6, alpha));
		double b = finished[best].sum / (alpha < 0 ? finished[best].count : pow((5.0 + finished[best].count) / 6, alpha));
		best = a > b ? i : best;
	}
	return finished[best];
}

static void assert_same(const sn_search_result *r, const path *p) {
	assert_int_equal(r->count, p->count);
	assert_memory_equal(r->tokens, p->tokens, (size_t)p->count * sizeof *p->tokens);
	assert_true(fabs(r->sum_logprob - p->sum) < 1e-3 * (1 + fabs(p->sum)));
	assert_true(fabs(r->avg_logprob - p->sum / (p->count + 1)) < 1e-3);
	assert_int_equal(r->reached_limit, !p->ended);
}

/* ---- tests ---- */

static void greedy_follows_the_rules(void **state) {
	for (uint64_t seed = 0; seed < 60; seed++) {
		model m = { seed, 12, seed % 3 ? 8 : 0, seed % 2 ? 6 : 0 };
		int times = (int)(seed & 1);
		sn_search_options options = { .beam = 1, .length_penalty = -1, .timestamps = times, .max_tokens = 20 };
		sn_search_result r = run(&m, &options);
		path p = plain_greedy(&m, times, 20);
		assert_same(&r, &p);
		double sum = 0;
		for (int i = 0; i < r.count; i++)
			sum += r.logprobs[i];
		assert_true(r.reached_limit ? fabs(sum - r.sum_logprob) < 1e-3 : sum >= r.sum_logprob - 1e-3);
	}
}

static void beams_follow_the_rules(void **state) {
	static const int widths[] = { 2, 3, 5, 8 };
	for (uint64_t seed = 100; seed < 140; seed++) {
		model m = { seed, seed % 4 ? 5 : 12, seed % 3 ? 4 : 0, seed % 2 ? 3 : 0 };
		int width = widths[seed % 4], times = (int)(seed & 1);
		float patience = seed % 5 ? 1 : 2;
		double alpha = seed % 3 ? -1 : 0.6;
		sn_search_options options = { .beam = width, .patience = patience, .length_penalty = (float)alpha, .timestamps = times,
		                              .max_tokens = 12 };
		sn_search_result r = run(&m, &options);
		path p = plain_beams(&m, width, (int)rint(width * patience), alpha, times, 12);
		assert_same(&r, &p);
	}
}

static void timestamps_are_paired_and_rise(void **state) {
	for (uint64_t seed = 200; seed < 300; seed++) {
		model m = { seed, 9, 2, 2 };
		sn_search_options options = { .temperature = 1, .best_of = 3, .seed = seed, .length_penalty = -1, .timestamps = 1,
		                              .max_tokens = 40 };
		sn_search_result r = run(&m, &options);
		assert_true(r.count > 0 && is_time(r.tokens[0]) && r.tokens[0] <= TIME + config.max_initial_timestamp);
		int32_t last = -1;
		for (int i = 0; i < r.count; i++) {
			assert_true(r.tokens[i] != 5 && r.tokens[i] != 6 && r.tokens[i] != TIME - 1);
			if (!is_time(r.tokens[i]))
				continue;
			assert_true(r.tokens[i] >= last);
			assert_false(i >= 2 && is_time(r.tokens[i - 1]) && is_time(r.tokens[i - 2]));
			last = r.tokens[i];
		}
	}
}

/* With `until`, <|endoftext|> never follows a time before it. */
static void a_cut_window_is_written_to_its_end(void **state) {
	int early = 0;
	for (uint64_t seed = 300; seed < 340; seed++) {
		model m = { seed, 12, 9, 0 };
		sn_search_options options = { .beam = 1, .length_penalty = -1, .timestamps = 1, .max_tokens = 40 };
		sn_search_result r = run(&m, &options);
		early += r.count >= 2 && !r.reached_limit && is_time(r.tokens[r.count - 1]) && r.tokens[r.count - 1] < TIME + 120;
		options.until = 120;
		r = run(&m, &options);
		assert_false(r.count >= 2 && !r.reached_limit && is_time(r.tokens[r.count - 1]) && r.tokens[r.count - 1] < TIME + 120);
	}
	assert_true(early > 0); /* so the rule had something to forbid */
}

static void sampling_is_reproducible(void **state) {
	model m = { 7, 3, 0, 0 };
	sn_search_options options = { .temperature = 0.8f, .best_of = 5, .seed = 1, .length_penalty = -1, .max_tokens = 16 };
	sn_search_result a = run(&m, &options), b = run(&m, &options);
	assert_int_equal(a.count, b.count);
	assert_memory_equal(a.tokens, b.tokens, (size_t)a.count * sizeof *a.tokens);
	options.seed = 2;
	b = run(&m, &options);
	assert_true(a.count != b.count || memcmp(a.tokens, b.tokens, (size_t)a.count * sizeof *a.tokens));
	assert_true(a.temperature == 0.8f);

	/* More candidates of the same seed can only be as good or better. */
	options.seed = 1;
	options.best_of = 1;
	sn_search_result one = run(&m, &options);
	assert_true(a.sum_logprob / (float)a.count >= one.sum_logprob / (float)one.count);
}

static void silence_probability_is_read_after_the_start(void **state) {
	model m = { 5, 6, 0, 0 };
	sn_search_options options = { .beam = 1, .length_penalty = -1, .max_tokens = 1 };
	sn_search_result r = run(&m, &options);
	float x[VOCAB];
	double sum = 0;
	logits_after(&m, prompt, SOT + 1, x);
	for (int v = 0; v < VOCAB; v++)
		sum += exp(x[v]);
	assert_true(fabs(r.no_speech_prob - exp(x[config.no_speech]) / sum) < 1e-5);
}

static void language_is_the_likeliest(void **state) {
	char err[SN_ERRLEN];
	sn_search *s;
	sn_whisper_row rows[SN_WHISPER_MAX_ROWS];
	sn_search_options options = { .beam = 1 };
	for (uint64_t seed = 0; seed < 20; seed++) {
		model m = { seed, 6, 0, 0 };
		float x[VOCAB], probability;
		int best = 0;
		double sum = 0;
		assert_int_equal(sn_search_new(&s, NULL, err), SN_OK);
		assert_int_equal(sn_search_start(s, 0, slots, 1, &config.sot, 1, 0, &options, err), SN_OK);
		decode(&m, rows, sn_search_rows(s, rows));
		logits_after(&m, &config.sot, 1, x);
		for (int i = 0; i < 3; i++) {
			sum += exp(x[config.language[i].token]);
			best = x[config.language[i].token] > x[config.language[best].token] ? i : best;
		}
		assert_int_equal(sn_search_language(s, &probability), best);
		assert_true(fabs(probability - exp(x[config.language[best].token]) / sum) < 1e-5);
		sn_search_free(&s);
	}
}

static void ends_with_the_context(void **state) {
	char err[SN_ERRLEN];
	sn_search *s;
	sn_whisper_row rows[SN_WHISPER_MAX_ROWS];
	int32_t full[POSITIONS];
	model m = { 3, 6, -20, 0 };
	for (int i = 0; i < POSITIONS; i++)
		full[i] = 1 + i;
	assert_int_equal(sn_search_new(&s, NULL, err), SN_OK);
	for (int length = POSITIONS - 3; length <= POSITIONS; length++) {
		sn_search_options options = { .beam = 2, .length_penalty = -1, .max_tokens = 1000 };
		assert_int_equal(sn_search_start(s, 0, slots, 2, full, length, 0, &options, err), SN_OK);
		do
			decode(&m, rows, sn_search_rows(s, rows));
		while (!sn_search_advance(s));
		assert_int_equal(sn_search_get(s)->count, POSITIONS + 1 - length);
		assert_true(sn_search_get(s)->reached_limit);
	}
	sn_search_free(&s);
}

static void not_numbers_end(void **state) {
	char err[SN_ERRLEN];
	sn_search *s;
	sn_whisper_row rows[SN_WHISPER_MAX_ROWS];
	assert_int_equal(sn_search_new(&s, NULL, err), SN_OK);
	for (int beam = 1; beam <= 5; beam += 4)
		for (int times = 0; times < 2; times++) {
			sn_search_options options = { .beam = beam, .length_penalty = -1, .timestamps = times };
			assert_int_equal(sn_search_start(s, 0, slots, 5, prompt, PROMPT, SOT, &options, err), SN_OK);
			int done = 0, steps = 0;
			while (!done && ++steps < POSITIONS) {
				int count = sn_search_rows(s, rows);
				for (int i = 0; i < count; i++)
					for (int v = 0; rows[i].logits && v < VOCAB; v++)
						rows[i].logits[v] = NAN;
				done = sn_search_advance(s);
			}
			assert_true(done);
			for (int i = 0; i < sn_search_get(s)->count; i++)
				assert_in_range(sn_search_get(s)->tokens[i], 0, VOCAB - 1);
		}
	sn_search_free(&s);
}

static void refuses_what_it_cannot_do(void **state) {
	char err[SN_ERRLEN];
	sn_search *s = NULL;
	int32_t wrong[] = { 1, VOCAB }, longer[POSITIONS + 1] = { 0 };
	sn_search_options one = { .beam = 1 }, wide = { .beam = SN_SEARCH_MAX_BEAM + 1 }, five = { .beam = 5 };
	sn_search_options eager = { .beam = 5, .patience = 100 };
	assert_int_equal(sn_search_new(&s, NULL, err), SN_OK);
	assert_int_equal(sn_search_start(s, 0, slots, 1, wrong, 2, 0, &one, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "300"));
	assert_int_equal(sn_search_start(s, 0, slots, 1, longer, POSITIONS + 1, 0, &one, err), SN_E_ARGUMENT);
	assert_int_equal(sn_search_start(s, 0, slots, 1, prompt, 0, 0, &one, err), SN_E_ARGUMENT);
	assert_int_equal(sn_search_start(s, 0, slots, 1, prompt, PROMPT, PROMPT, &one, err), SN_E_ARGUMENT);
	assert_int_equal(sn_search_start(s, 0, slots, 4, prompt, PROMPT, SOT, &five, err), SN_E_ARGUMENT);
	assert_int_equal(sn_search_start(s, 0, slots, 16, prompt, PROMPT, SOT, &wide, err), SN_E_ARGUMENT);
	assert_int_equal(sn_search_start(s, 0, slots, 16, prompt, PROMPT, SOT, &eager, err), SN_E_ARGUMENT);
	sn_search_free(&s);
	sn_search_free(&s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greedy_follows_the_rules), cmocka_unit_test(beams_follow_the_rules),
		cmocka_unit_test(timestamps_are_paired_and_rise), cmocka_unit_test(a_cut_window_is_written_to_its_end), cmocka_unit_test(sampling_is_reproducible),
		cmocka_unit_test(silence_probability_is_read_after_the_start), cmocka_unit_test(language_is_the_likeliest),
		cmocka_unit_test(ends_with_the_context), cmocka_unit_test(not_numbers_end), cmocka_unit_test(refuses_what_it_cannot_do),
	};
	return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
