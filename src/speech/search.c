#include "speech/search.h"

#include "nn/cpu/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MASKED (-1e30f) /* finite, so that differences of masked values stay numbers */
#define BLOCK 256       /* logits per maximum kept for finding the best few */
#define MAX_FINISHED 64
#define MAX_CANDIDATES (2 * SN_SEARCH_MAX_BEAM)

typedef struct sequence {
	int32_t tokens[SN_SEARCH_MAX_TOKENS]; /* sampled, without <|endoftext|> */
	float logprobs[SN_SEARCH_MAX_TOKENS];
	int count, ended; /* ended: <|endoftext|> was sampled; its log-probability is in `sum` */
	float sum, bonus;  /* bonus: of hot words, which `sum` has beyond log probabilities */
	sn_hotwords_state hot;
	uint64_t random;
} sequence;

typedef struct candidate {
	float sum, logprob, bonus;
	int source;
	int32_t token;
} candidate;

struct sn_search {
	sn_whisper *whisper;
	const sn_whisper_config *config;
	const nn_kernels *kernels;
	sn_search_options options;
	int window, width, max_tokens, max_finished; /* width: sequences that run at once */
	int32_t slots[SN_SEARCH_MAX_BEAM];
	int32_t *prompt; /* [target_positions] */
	int prompt_count, sot_index, fed, pending, done;
	sequence *running, *next, *finished;            /* [SN_SEARCH_MAX_BEAM] twice, [MAX_FINISHED] */
	int finished_count;
	int32_t *tables, *next_tables;                  /* [SN_SEARCH_MAX_BEAM, target_positions]: slot of each earlier position */
	/* [MAX_FINISHED, target_positions]: those of finished sequences, whose entries stay: rows only write at positions to come */
	int32_t *finished_tables;
	const int32_t *best_table;
	float *logits, *sot_logits, *scratch;           /* [SN_SEARCH_MAX_BEAM, vocab], [vocab], [vocab] */
	float *block_max;                               /* [ceil(vocab / BLOCK)] */
	sn_search_result result;
};

/* ---- life ---- */

int sn_search_new(sn_search **out, sn_whisper *whisper, char *err) {
	*out = NULL;
	sn_search *s = calloc(1, sizeof *s);
	if (!s)
		return sn_fail(err, SN_E_MEMORY, "out of memory for a search");
	s->whisper = whisper;
	s->config = sn_whisper_get_config(whisper);
	s->kernels = nn_kernels_best();
	size_t vocab = (size_t)s->config->vocab, positions = (size_t)s->config->target_positions;
	s->prompt = malloc(positions * sizeof *s->prompt);
	s->running = malloc(SN_SEARCH_MAX_BEAM * sizeof *s->running);
	s->next = malloc(SN_SEARCH_MAX_BEAM * sizeof *s->next);
	s->finished = malloc(MAX_FINISHED * sizeof *s->finished);
	s->tables = malloc(SN_SEARCH_MAX_BEAM * positions * sizeof *s->tables);
	s->next_tables = malloc(SN_SEARCH_MAX_BEAM * positions * sizeof *s->next_tables);
	s->finished_tables = malloc(MAX_FINISHED * positions * sizeof *s->finished_tables);
	s->logits = malloc(SN_SEARCH_MAX_BEAM * vocab * sizeof *s->logits);
	s->sot_logits = malloc(vocab * sizeof *s->sot_logits);
	s->scratch = malloc((vocab + NN_OVERREAD) * sizeof *s->scratch);
	s->block_max = malloc((vocab / BLOCK + 1) * sizeof *s->block_max);
	if (!s->prompt || !s->running || !s->next || !s->finished || !s->tables || !s->next_tables || !s->finished_tables ||
	    !s->logits || !s->sot_logits || !s->scratch || !s->block_max) {
		sn_search_free(&s);
		return sn_fail(err, SN_E_MEMORY, "out of memory for a search over %zu tokens", vocab);
	}
	s->done = 1;
	*out = s;
	return SN_OK;
}

void sn_search_free(sn_search **search) {
	sn_search *s = *search;
	if (!s)
		return;
	free(s->prompt);
	free(s->running);
	free(s->next);
	free(s->finished);
	free(s->tables);
	free(s->next_tables);
	free(s->finished_tables);
	free(s->logits);
	free(s->sot_logits);
	free(s->scratch);
	free(s->block_max);
	free(s);
	*search = NULL;
}

static int check_start(const sn_search *s, const sn_search_options *o, int width, int slot_count, const int32_t *prompt, int count,
                       int sot_index, char *err) {
	int positions = s->config->target_positions;
	if (width < 1 || width > SN_SEARCH_MAX_BEAM)
		return sn_fail(err, SN_E_ARGUMENT, "%s is %d; it must lie between 1 and %d", o->temperature > 0 ? "best_of" : "the beam width",
		               width, SN_SEARCH_MAX_BEAM);
	if (slot_count < width)
		return sn_fail(err, SN_E_ARGUMENT, "%d sequences need as many cache slots; %d were given", width, slot_count);
	if (!(o->patience >= 0 && o->patience * (float)width <= MAX_FINISHED))
		return sn_fail(err, SN_E_ARGUMENT, "patience is %g; with beam width %d it must lie between 0 and %g", o->patience, width,
		               (double)MAX_FINISHED / width);
	if (count < 1 || count > positions)
		return sn_fail(err, SN_E_ARGUMENT, "the prompt has %d tokens; it must have between 1 and %d", count, positions);
	if (sot_index < 0 || sot_index >= count)
		return sn_fail(err, SN_E_ARGUMENT, "the start token's index is %d; it must lie within the prompt's %d tokens", sot_index, count);
	for (int i = 0; i < count; i++)
		if (prompt[i] < 0 || prompt[i] >= s->config->vocab)
			return sn_fail(err, SN_E_ARGUMENT, "token %d of the prompt is %d; the vocabulary has %d", i, prompt[i], s->config->vocab);
	return SN_OK;
}

int sn_search_start(sn_search *s, int window, const int32_t *slots, int slot_count, const int32_t *prompt, int prompt_count,
                    int sot_index, const sn_search_options *options, char *err) {
	int width = options->temperature > 0 ? options->best_of : options->beam;
	width = width ? width : 1;
	int result = check_start(s, options, width, slot_count, prompt, prompt_count, sot_index, err);
	if (result != SN_OK)
		return result;
	int positions = s->config->target_positions, most = options->max_tokens > 0 ? options->max_tokens : positions / 2;
	s->options = *options;
	s->window = window;
	s->width = width;
	/* The last sampled token is not fed back, so it needs no position. */
	s->max_tokens = most < positions + 1 - prompt_count ? most : positions + 1 - prompt_count;
	if (s->max_tokens > SN_SEARCH_MAX_TOKENS)
		s->max_tokens = SN_SEARCH_MAX_TOKENS;
	s->max_finished = (int)rintf((float)width * (options->patience > 0 ? options->patience : 1));
	if (s->max_finished < 1)
		s->max_finished = 1;
	memcpy(s->slots, slots, (size_t)width * sizeof *slots);
	memcpy(s->prompt, prompt, (size_t)prompt_count * sizeof *prompt);
	s->prompt_count = prompt_count;
	s->sot_index = sot_index;
	s->fed = s->pending = s->done = s->finished_count = 0;
	for (int i = 0; i < width; i++) {
		s->running[i].count = s->running[i].ended = 0;
		s->running[i].sum = s->running[i].bonus = 0;
		s->running[i].hot = (sn_hotwords_state){ 0 };
		s->running[i].random = options->seed + (uint64_t)i * 0x632be59bd9b4e019ull;
		for (int p = 0; p < prompt_count; p++)
			s->tables[i * positions + p] = slots[0];
	}
	s->result.count = s->result.reached_limit = 0;
	s->result.sum_logprob = s->result.avg_logprob = s->result.no_speech_prob = 0;
	s->result.temperature = options->temperature;
	return SN_OK;
}

/* ---- rows ---- */

static float *logits_of(const sn_search *s, int sequence) { return s->logits + (int64_t)sequence * s->config->vocab; }

static int prompt_rows(sn_search *s, sn_whisper_row *rows) {
	int count = 0;
	for (int p = s->fed; p < s->prompt_count && count < SN_WHISPER_MAX_ROWS; p++) {
		float *logits = p == s->prompt_count - 1 ? s->logits : p == s->sot_index ? s->sot_logits : NULL;
		rows[count++] = (sn_whisper_row){ s->prompt[p], p, s->slots[0], s->window, s->tables, logits };
	}
	return count;
}

int sn_search_rows(sn_search *s, sn_whisper_row *rows) {
	int count = 0;
	if (s->done)
		return 0;
	if (s->fed < s->prompt_count)
		return s->pending = prompt_rows(s, rows);
	for (int i = 0; i < s->width; i++) {
		const sequence *q = &s->running[i];
		if (q->ended)
			continue;
		int position = s->prompt_count + q->count - 1;
		int32_t *table = s->tables + (int64_t)i * s->config->target_positions;
		table[position] = s->slots[i];
		rows[count++] = (sn_whisper_row){ q->tokens[q->count - 1], position, s->slots[i], s->window, table, logits_of(s, i) };
	}
	return s->pending = count;
}

/* ---- one row of logits ---- */

static float max_of(const float *x, int count) {
	float lane[16], most = -INFINITY;
	int i = 0;
	for (int j = 0; j < 16; j++)
		lane[j] = -INFINITY;
	for (; i + 16 <= count; i += 16)
		for (int j = 0; j < 16; j++)
			lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
	for (; i < count; i++)
		most = x[i] > most ? x[i] : most;
	for (int j = 0; j < 16; j++)
		most = lane[j] > most ? lane[j] : most;
	return most;
}

static void fill(float *x, int from, int to, float value) {
	for (int i = from; i < to; i++)
		x[i] = value;
}

/* log(sum(exp(x))); leaves exp(x - max) in scratch. */
static float log_sum(sn_search *s, const float *x) {
	float inverse = s->kernels->softmax_row(x, s->config->vocab, s->config->vocab, s->scratch, NN_STORE_F32);
	return max_of(x, s->config->vocab) - logf(inverse);
}

/* Timestamps come in pairs and never decrease; a segment that was opened with text may end where it began only as a pair. */
static void mask_timestamps(const sn_search *s, const sequence *q, float *x) {
	const sn_whisper_config *c = s->config;
	int begin = c->timestamp_begin, last = -1;
	int after_time = q->count >= 1 && q->tokens[q->count - 1] >= begin;
	int after_pair = q->count < 2 || q->tokens[q->count - 2] >= begin;
	if (c->no_timestamps >= 0)
		x[c->no_timestamps] = MASKED;
	if (after_time && after_pair)
		fill(x, begin, c->vocab, MASKED);
	else if (after_time)
		fill(x, 0, c->eot, MASKED);
	for (int i = q->count - 1; i >= 0 && last < 0; i--)
		if (q->tokens[i] >= begin)
			last = q->tokens[i];
	if (last >= 0)
		fill(x, begin, after_time && !after_pair ? last : last + 1, MASKED);
	if (after_time && q->count >= 2 && last < begin + s->options.until)
		x[c->eot] = MASKED;
	if (!q->count) {
		fill(x, 0, begin, MASKED);
		if (begin + c->max_initial_timestamp + 1 < c->vocab)
			fill(x, begin + c->max_initial_timestamp + 1, c->vocab, MASKED);
	}
}

/* Masks x and returns log(sum(exp(x))) of what remains (in transformers' beams: of all). */
static float apply_rules(sn_search *s, const sequence *q, float *x) {
	const sn_whisper_config *c = s->config;
	int raw = s->options.transformers && s->width > 1 && s->options.temperature <= 0;
	int times = s->options.timestamps && c->timestamp_begin >= 0;
	float raw_sum = raw ? log_sum(s, x) : 0;
	for (int i = 0; !q->count && i < c->begin_suppress_count; i++)
		x[c->begin_suppress[i]] = MASKED;
	for (int i = 0; i < c->suppress_count; i++)
		x[c->suppress[i]] = MASKED;
	if (times)
		mask_timestamps(s, q, x);
	if (raw && !times)
		return raw_sum;
	float all = log_sum(s, x);
	if (times) {
		/* When time is likelier than the likeliest text token, it must be time. */
		double mass = 0;
		for (int i = c->timestamp_begin; i < c->vocab; i++)
			mass += s->scratch[i];
		float most = max_of(x, c->vocab);
		if (mass > max_of(s->scratch, c->timestamp_begin)) {
			fill(x, 0, c->timestamp_begin, MASKED);
			all = most + logf((float)mass);
		}
	}
	return raw ? raw_sum : all;
}

/* The `count` largest of x, falling; of equals the first. Takes them out of x. */
static void largest(sn_search *s, float *x, int count, int32_t *ids, float *values) {
	int vocab = s->config->vocab, blocks = (vocab + BLOCK - 1) / BLOCK;
	for (int b = 0; b < blocks; b++)
		s->block_max[b] = max_of(x + b * BLOCK, b + 1 < blocks ? BLOCK : vocab - b * BLOCK);
	for (int k = 0; k < count; k++) {
		int best = 0;
		for (int b = 1; b < blocks; b++)
			if (s->block_max[b] > s->block_max[best])
				best = b;
		int first = best * BLOCK, size = best + 1 < blocks ? BLOCK : vocab - first, at = 0;
		while (at < size - 1 && x[first + at] != s->block_max[best])
			at++;
		ids[k] = first + at;
		values[k] = x[first + at];
		x[first + at] = -INFINITY;
		s->block_max[best] = max_of(x + first, size);
	}
}

/* splitmix64, [0, 1) */
static double uniform(uint64_t *state) {
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static int32_t draw(sn_search *s, sequence *q, const float *x) {
	int vocab = s->config->vocab, last = s->config->eot;
	for (int i = 0; i < vocab; i++)
		s->scratch[i] = x[i] / s->options.temperature;
	double left = uniform(&q->random) / s->kernels->softmax_row(s->scratch, vocab, vocab, s->scratch, NN_STORE_F32);
	for (int i = 0; i < vocab; i++) {
		if (!(s->scratch[i] > 0))
			continue;
		last = i;
		if ((left -= s->scratch[i]) < 0)
			break;
	}
	return last;
}

/* ---- choosing ---- */

static void append(const sn_search *s, sequence *q, int32_t token, float logprob) {
	q->sum += logprob;
	if (s->options.hotwords)
		q->hot = sn_hotwords_next(s->options.hotwords, q->hot, token);
	if (token == s->config->eot) {
		q->ended = 1;
		return;
	}
	q->tokens[q->count] = token;
	q->logprobs[q->count++] = logprob;
}

/* Greedy and sampling: each sequence goes its own way. */
static int advance_single(sn_search *s, int first) {
	const sn_hotwords *const hot = s->options.hotwords;
	int open = 0;
	float sum = 0;
	for (int i = 0; i < s->width; i++) {
		sequence *q = &s->running[i];
		if (q->ended)
			continue;
		float *x = logits_of(s, first ? 0 : i), value;
		int32_t token;
		if (!first || i == 0) {
			sum = apply_rules(s, q, x); /* at the first step all share the prompt's distribution */
			if (hot)
				sn_hotwords_apply(hot, q->hot, x, 0);
		}
		if (s->options.temperature > 0) {
			token = draw(s, q, x);
			value = x[token];
		} else {
			largest(s, x, 1, &token, &value);
		}
		append(s, q, token, value - sum - (hot ? sn_hotwords_bonus(hot, q->hot, token, 0) : 0));
		open += !q->ended && q->count < s->max_tokens;
	}
	return !open;
}

static float rank(const sn_search *s, const sequence *q) {
	float length = (float)(q->count > 1 ? q->count : 1), alpha = s->options.length_penalty;
	if (s->options.transformers)
		return q->sum / powf((float)(q->count + q->ended), alpha);
	return alpha < 0 ? q->sum / length : q->sum / powf((5 + (float)q->count) / 6, alpha);
}

static void extend(const sn_search *s, sequence *to, const candidate *c) {
	*to = s->running[c->source];
	append(s, to, c->token, c->logprob);
	to->sum = c->sum;
	to->bonus += c->bonus;
}

/* `at` takes over what sequence `from` has decoded. */
static void keep_table(sn_search *s, int at, int from) {
	const int positions = s->config->target_positions;
	memcpy(s->finished_tables + at * positions, s->tables + from * positions, (size_t)positions * sizeof *s->tables);
}

static void finish(sn_search *s, const candidate *c) {
	int at = s->finished_count;
	if (s->options.transformers && at == s->width) {
		int worst = 0;
		for (int i = 1; i < at; i++)
			if (rank(s, &s->finished[i]) < rank(s, &s->finished[worst]))
				worst = i;
		sequence *spare = &s->finished[MAX_FINISHED - 1];
		extend(s, spare, c);
		if (rank(s, spare) > rank(s, &s->finished[worst])) {
			s->finished[worst] = *spare;
			keep_table(s, worst, c->source);
		}
		return;
	}
	if (at >= s->max_finished && !s->options.transformers)
		return;
	extend(s, &s->finished[at], c);
	keep_table(s, at, c->source);
	s->finished_count++;
}

/* The best continuations of all running sequences, falling. At the first step all sequences are the same one. */
static int gather(sn_search *s, int first, candidate *out) {
	const sn_hotwords *const hot = s->options.hotwords;
	int each = s->options.transformers ? 2 * s->width : s->width + 1, count = 0;
	for (int i = 0; i < (first ? 1 : s->width); i++) {
		const sequence *q = &s->running[i];
		int32_t ids[MAX_CANDIDATES];
		float values[MAX_CANDIDATES], *x = logits_of(s, i);
		if (q->ended)
			continue;
		const float sum = apply_rules(s, q, x), lost = hot ? sn_hotwords_apply(hot, q->hot, x, 1) : 0;
		largest(s, x, each, ids, values);
		for (int k = 0; k < each; k++) {
			const float bonus = hot ? sn_hotwords_bonus(hot, q->hot, ids[k], 1) : 0, logprob = values[k] - bonus - sum;
			candidate c = { .sum = q->sum + logprob + bonus + lost, .logprob = logprob, .bonus = bonus + lost, .source = i,
			                .token = ids[k] };
			int at = count++;
			for (; at > 0 && out[at - 1].sum < c.sum; at--)
				out[at] = out[at - 1];
			out[at] = c;
		}
	}
	return s->options.transformers && count > 2 * s->width ? 2 * s->width : count;
}

/* transformers' test whether a running sequence could still beat the worst finished one. */
static int none_better(const sn_search *s) {
	if (s->finished_count < s->width)
		return 0;
	float worst = rank(s, &s->finished[0]);
	for (int i = 1; i < s->finished_count; i++)
		worst = fminf(worst, rank(s, &s->finished[i]));
	return rank(s, &s->running[0]) <= worst;
}

static int advance_beams(sn_search *s, int first) {
	candidate candidates[SN_SEARCH_MAX_BEAM * MAX_CANDIDATES];
	int count = gather(s, first, candidates), kept = 0, positions = s->config->target_positions;
	int at_limit = s->running[0].count + 1 >= s->max_tokens;
	for (int i = 0; i < count && (kept < s->width || s->options.transformers); i++) {
		const candidate *c = &candidates[i];
		if (c->token == s->config->eot || (at_limit && s->options.transformers)) {
			if (i < s->width || !s->options.transformers)
				finish(s, c);
			continue;
		}
		if (kept == s->width)
			continue;
		extend(s, &s->next[kept], c);
		memcpy(s->next_tables + kept * positions, s->tables + c->source * positions, (size_t)positions * sizeof *s->tables);
		kept++;
	}
	if (at_limit && s->options.transformers)
		return 1;
	for (int i = kept; i < s->width; i++) { /* only where logits are not numbers */
		s->next[i] = s->running[i];
		s->next[i].ended = 1;
		s->next[i].sum = -INFINITY;
	}
	sequence *running = s->running;
	int32_t *tables = s->tables;
	s->running = s->next;
	s->next = running;
	s->tables = s->next_tables;
	s->next_tables = tables;
	if (s->options.transformers)
		return !kept || none_better(s);
	return !kept || s->finished_count >= s->max_finished || at_limit;
}

/* ---- end ---- */

static void finalize(sn_search *s) {
	if (s->width == 1 || s->options.temperature > 0) {
		for (int i = 0; i < s->width; i++) {
			s->finished[i] = s->running[i];
			keep_table(s, i, i);
		}
		s->finished_count = s->width;
	}
	/* Beams in falling order fill up what has not finished. */
	for (int i = 0; i < s->width && s->finished_count < s->width && !s->options.transformers; i++) {
		keep_table(s, s->finished_count, i);
		s->finished[s->finished_count++] = s->running[i];
	}
	const sequence *best = &s->finished[0];
	for (int i = 1; i < s->finished_count; i++)
		if (rank(s, &s->finished[i]) > rank(s, best))
			best = &s->finished[i];
	s->best_table = s->finished_tables + (best - s->finished) * s->config->target_positions;
	sn_search_result *r = &s->result;
	r->count = best->count;
	memcpy(r->tokens, best->tokens, (size_t)best->count * sizeof *r->tokens);
	memcpy(r->logprobs, best->logprobs, (size_t)best->count * sizeof *r->logprobs);
	r->sum_logprob = best->sum - best->bonus;
	r->avg_logprob = r->sum_logprob / (float)(best->count + 1);
	r->reached_limit = !best->ended;
	s->done = 1;
}

int sn_search_advance(sn_search *s) {
	if (s->done)
		return 1;
	int first = s->fed < s->prompt_count;
	if (first) {
		s->fed += s->pending;
		if (s->fed < s->prompt_count)
			return 0;
		if (s->config->no_speech >= 0) {
			const float *x = s->sot_index == s->prompt_count - 1 ? s->logits : s->sot_logits;
			s->result.no_speech_prob = expf(x[s->config->no_speech] - log_sum(s, x));
		}
	}
	int beams = s->width > 1 && s->options.temperature <= 0;
	if (!(beams ? advance_beams(s, first) : advance_single(s, first)))
		return 0;
	finalize(s);
	return 1;
}

const sn_search_result *sn_search_get(const sn_search *s) { return &s->result; }
const int32_t *sn_search_table(const sn_search *s) { return s->best_table; }

int sn_search_prompt(const sn_search *s, int *sot_index) {
	*sot_index = s->sot_index;
	return s->prompt_count;
}

int sn_search_language(const sn_search *s, float *probability) {
	const sn_whisper_config *c = s->config;
	int best = 0;
	double sum = 0;
	for (int i = 1; i < c->languages; i++)
		if (s->logits[c->language[i].token] > s->logits[c->language[best].token])
			best = i;
	for (int i = 0; i < c->languages; i++)
		sum += exp((double)s->logits[c->language[i].token] - s->logits[c->language[best].token]);
	*probability = c->languages ? (float)(1 / sum) : 0;
	return best;
}
