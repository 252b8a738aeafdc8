#include "models/bark_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PROMPT_BUDGET 10   /* parts in 100 of a causal transformer that one piece of work on a prompt is */
#define FINE_BUDGET 2      /* and of the fine one */
#define REPEAT_SECONDS 3.0 /* of the same few semantic tokens over and over: no speech does that */
#define REPEAT_PERIOD 8    /* tokens of what repeats, at most */
#define REPEAT_KEPT 0.5    /* seconds of it that are kept */

enum { DRAW_SEMANTIC, DRAW_COARSE, DRAW_FINE }; /* streams of random numbers */

/* ---- causal transformers ---- */

static void add_row(const sn_weight *table, int64_t row, int width, float *x) {
	float values[BARK_MAX_WIDTH];
	sn_weight_floats(table, row * width, width, values);
	for (int i = 0; i < width; i++) x[i] += values[i];
}

/* The embeddings of the next `count` positions. */
static void fill_piece(bark_run *run, int count) {
	const bark_gpt_part *const part = run->part;
	const int width = part->c->width, first = run->held;
	float *const x = nn_exec_input(run->exec, "x");
	int32_t *const position = nn_exec_input_ids(run->exec, "position");
	for (int i = 0; i < count; i++) {
		float *const row = x + (size_t)i * (size_t)width;
		sn_weight_floats(part->tokens, (int64_t)run->ids[first + i] * width, width, row);
		if (run->added[first + i] >= 0) add_row(part->tokens, run->added[first + i], width, row);
		add_row(part->positions, first + i, width, row);
		position[i] = first + i;
	}
	memset(nn_exec_input_ids(run->exec, "slot"), 0, (size_t)count * sizeof(int32_t));
	memset(nn_exec_input_ids(run->exec, "table"), 0, (size_t)count * (size_t)part->c->block * sizeof(int32_t));
	nn_exec_input_ids(run->exec, "wanted")[0] = count - 1;
}

/* A piece of work on the next positions that are asked for, at most BARK_ROWS at once. Only the last of all needs logits. SN_OK: they are
 * there; SN_AGAIN: more is left. */
static int run_piece(bark_run *run, char *err) {
	if (run->held == run->wanted) return SN_OK;
	if (!run->running) {
		const int left = run->wanted - run->held, count = left < BARK_ROWS ? left : BARK_ROWS;
		nn_exec_set(run->exec, "rows", count);
		fill_piece(run, count);
		nn_exec_begin(run->exec);
		run->running = count;
	}
	const int code = nn_exec_next(run->exec, run->running == 1 ? 100 : PROMPT_BUDGET, err);
	if (code != SN_OK) return code;
	run->held += run->running;
	run->running = 0;
	if (run->held < run->wanted) return SN_AGAIN;
	memcpy(run->logits, nn_exec_output(run->exec, "logits", NULL), (size_t)run->part->c->out * sizeof *run->logits);
	return SN_OK;
}

/* Asks for a prompt. Positions that the cache holds already are kept: what a position gives depends on those before it only. */
static void ask(bark_run *run, const int32_t *ids, const int32_t *added, int count) {
	int same = 0;
	while (same < run->held && same < count - 1 && run->ids[same] == ids[same] && run->added[same] == (added ? added[same] : -1)) same++;
	for (int i = same; i < count; i++) {
		run->ids[i] = ids[i];
		run->added[i] = added ? added[i] : -1;
	}
	run->held = same;
	run->wanted = count;
	run->running = 0;
}

static void ask_more(bark_run *run, int32_t id) {
	run->ids[run->wanted] = id;
	run->added[run->wanted++] = -1;
}

static void watch_logits(const bark_run *run, float *to, int *steps) {
	if (!to || *steps >= SN_BARK_WATCHED) return;
	memcpy(to + (size_t)*steps * (size_t)run->part->c->out, run->logits, (size_t)run->part->c->out * sizeof *to);
	++*steps;
}

/* ---- semantic tokens ---- */

int bark_generate_start(bark_stream *s, const int32_t *ids, int count, char *err) {
	const bark_config *const c = &s->model->config;
	const int length = c->semantic.length;
	const bark_prompt *const h = s->history;
	int32_t prompt[BARK_MAX_BLOCK], added[BARK_MAX_BLOCK];
	for (int i = 0; i < count && i < length; i++) {
		const int64_t id = (int64_t)ids[i] + c->semantic.text_offset;
		if (ids[i] < 0 || id >= c->semantic.gpt.in)
			return sn_fail(err, SN_E_ARGUMENT, "token %d has id %d; this model knows ids 0 to %d", i, ids[i],
			               c->semantic.gpt.in - c->semantic.text_offset - 1);
		prompt[i] = (int32_t)id;
	}
	for (int i = count; i < length; i++) prompt[i] = c->semantic.text_pad;
	const int kept = !h ? 0 : h->count[0] < length ? h->count[0] : length; /* the voice's last tokens, then pads */
	for (int i = 0; i < kept; i++) added[i] = h->tokens[0][h->count[0] - kept + i];
	for (int i = kept; i < length; i++) added[i] = c->semantic.eos;
	prompt[length] = c->semantic.infer;
	added[length] = -1;
	s->semantic_run.held = 0; /* the coarse transformer may have used the cache's memory */
	ask(&s->semantic_run, prompt, added, length + 1);
	s->semantic_before = s->semantic_count = s->coarse_count = s->coarse_before = s->coarse_wanted = s->frames = 0;
	s->window_step = s->window_steps = s->loop = s->loops = s->running = 0;
	s->watched.semantic_steps = s->watched.coarse_steps = 0;
	s->stage = BARK_SEMANTIC;
	return SN_OK;
}

/* Tokens at the end of list[count] that repeat with a period of at most REPEAT_PERIOD. */
static int repeated(const int32_t *list, int count) {
	int most = 0;
	for (int period = 1; period <= REPEAT_PERIOD && period < count; period++) {
		int run = 0;
		while (run + period < count && list[count - 1 - run] == list[count - 1 - run - period]) run++;
		if (run > most) most = run;
	}
	return most;
}

/* Semantic tokens that are needed for the frames that are forced. */
static int tokens_for(const bark_config *c, int frames) {
	const int tokens = (int)ceil(frames * c->coarse.books / c->ratio);
	return tokens > c->most_tokens ? c->most_tokens : tokens;
}

static void begin_coarse(bark_stream *s);

/* Whether the utterance ends here, with the reason where it is no ordinary one. */
static int semantic_ends(bark_stream *s, int token) {
	const bark_config *const c = &s->model->config;
	if (s->forced) {
		s->semantic[s->semantic_before + s->semantic_count++] = token;
		return s->semantic_count >= tokens_for(c, s->forced);
	}
	if (token == c->semantic.eos) return 1;
	s->semantic[s->semantic_before + s->semantic_count++] = token;
	const int again = repeated(s->semantic + s->semantic_before, s->semantic_count);
	if (again >= REPEAT_SECONDS * c->semantic.rate) {
		s->semantic_count -= again - (int)(REPEAT_KEPT * c->semantic.rate);
		s->own = 0;
		snprintf(s->remark, sizeof s->remark, "the speech began to repeat itself and was cut after %.1f s",
		         s->semantic_count / c->semantic.rate);
		return 1;
	}
	if (s->semantic_count < s->limit) return 0;
	snprintf(s->remark, sizeof s->remark, "cut after %.1f s: %s", s->semantic_count / c->semantic.rate,
	         s->limited ? "the speech is far longer than its text" : "one utterance can be no longer");
	return 1;
}

static int next_semantic(bark_stream *s, char *err) {
	const bark_config *const c = &s->model->config;
	bark_run *const run = &s->semantic_run;
	const int code = run_piece(run, err);
	if (code != SN_OK) return code == SN_AGAIN ? SN_OK : code;
	watch_logits(run, s->watched.semantic, &s->watched.semantic_steps);
	const int endless = s->forced || s->semantic_count < c->semantic.least;
	/* Ids between the vocabulary and the end token, and behind that, are never spoken (a list of the reference's own, which there takes the
	 * place of the generation config's suppress_tokens). */
	const bark_allowed allowed = { 0, c->semantic.vocab < c->semantic.eos ? c->semantic.vocab : c->semantic.eos,
	                               endless ? -1 : c->semantic.eos };
	const double draw = bark_uniform(s->seed, DRAW_SEMANTIC, (uint64_t)s->semantic_count);
	const int stops = !endless && c->semantic.min_eos > 0 && bark_probability(run->logits, allowed) > c->semantic.min_eos;
	const int token = stops ? c->semantic.eos : bark_pick(run->logits, allowed, &s->semantic_sampling, draw, s->scratch);
	if (semantic_ends(s, token)) begin_coarse(s);
	else ask_more(run, token);
	return SN_OK;
}

/* ---- coarse tokens ---- */

/* The voice's last tokens before the new ones, as many of both kinds as belong together in time. What a count of 0 takes is the whole, as
 * in the reference; the last two coarse tokens are dropped (it sounds better, says Suno's implementation). */
static void coarse_history(bark_stream *s) {
	const bark_config *const c = &s->model->config;
	const bark_prompt *const h = s->history;
	const int books = c->coarse.books;
	s->semantic_before = s->coarse_before = 0;
	if (!h) return;
	const int flat = h->count[1] * books;
	int tokens = c->semantic_history, even = h->count[0] - h->count[0] % 2;
	if (even < tokens) tokens = even;
	if (floor(flat / c->ratio) < tokens) tokens = (int)floor(flat / c->ratio);
	int codes = (int)rint(tokens * c->ratio);
	if (tokens == 0) tokens = h->count[0];
	if (codes == 0 || codes > flat) codes = flat;
	s->semantic_before = tokens;
	memmove(s->semantic + tokens, s->semantic, (size_t)s->semantic_count * sizeof *s->semantic);
	memcpy(s->semantic, h->tokens[0] + h->count[0] - tokens, (size_t)tokens * sizeof *s->semantic);
	for (int i = flat - codes; i < flat - 2; i++) {
		const int book = i % books;
		s->coarse[s->coarse_before++] = h->tokens[1][(size_t)book * (size_t)h->count[1] + (size_t)(i / books)] + c->codebook * book + c->semantic.vocab;
	}
}

static void begin_coarse(bark_stream *s) {
	const bark_config *const c = &s->model->config;
	int spoken = 0;
	coarse_history(s);
	for (int i = 0; i < s->semantic_count; i++) {
		int32_t *const token = &s->semantic[s->semantic_before + i];
		if (*token == c->semantic.eos) *token = c->coarse.pad;
		spoken += *token != c->coarse.pad;
	}
	/* The reference multiplies a tensor of integers by a number, which is float32. */
	const float frames = floorf((float)spoken * (float)c->ratio / (float)c->coarse.books);
	s->coarse_wanted = (int)rintf(frames * (float)c->coarse.books);
	const int most = (s->forced && s->forced < c->most_frames ? s->forced : c->most_frames) * c->coarse.books;
	if (s->coarse_wanted > most || s->forced) s->coarse_wanted = most;
	s->window_step = s->window_steps = s->coarse_count = 0;
	s->coarse_run.held = s->coarse_run.wanted = s->coarse_run.running = 0;
	s->stage = BARK_COARSE;
}

/* The semantic tokens around the present time, the infer token, the last coarse tokens. */
static int begin_window(bark_stream *s, char *err) {
	const bark_config *const c = &s->model->config;
	const int semantic = s->semantic_before + s->semantic_count, coarse = s->coarse_before + s->coarse_count;
	const int now = s->semantic_before + (int)rint(s->coarse_count / c->ratio);
	const int from = now > c->semantic_history ? now - c->semantic_history : 0;
	const int kept = coarse < c->coarse.history ? coarse : c->coarse.history, left = s->coarse_wanted - s->coarse_count;
	int32_t prompt[BARK_MAX_BLOCK];
	s->window_step = 0;
	s->window_steps = left < c->coarse.window ? left : c->coarse.window;
	const int positions = c->coarse.length + 1 + kept + s->window_steps - 1;
	if (positions > c->coarse.gpt.block)
		return sn_fail(err, SN_E_MODEL, "a window of %d coarse tokens needs %d positions; the transformer has %d", s->window_steps,
		               positions, c->coarse.gpt.block);
	for (int i = 0; i < c->coarse.length; i++) prompt[i] = from + i < semantic ? s->semantic[from + i] : c->coarse.pad;
	prompt[c->coarse.length] = c->coarse.infer;
	memcpy(prompt + c->coarse.length + 1, s->coarse + coarse - kept, (size_t)kept * sizeof *prompt);
	ask(&s->coarse_run, prompt, NULL, c->coarse.length + 1 + kept);
	return SN_OK;
}

static void begin_fine(bark_stream *s);

static int next_coarse(bark_stream *s, char *err) {
	const bark_config *const c = &s->model->config;
	bark_run *const run = &s->coarse_run;
	if (s->coarse_count >= s->coarse_wanted) {
		begin_fine(s);
		return SN_OK;
	}
	if (s->window_step >= s->window_steps) {
		const int code = begin_window(s, err);
		if (code != SN_OK) return code;
	}
	const int code = run_piece(run, err);
	if (code != SN_OK) return code == SN_AGAIN ? SN_OK : code;
	watch_logits(run, s->watched.coarse, &s->watched.coarse_steps);
	const int second = c->semantic.vocab + c->codebook; /* books take turns, from the first in each window */
	const bark_allowed one = { c->semantic.vocab, second, -1 }, two = { second, c->coarse.gpt.out, -1 };
	const bark_allowed allowed = s->window_step % 2 ? two : one;
	const double draw = bark_uniform(s->seed, DRAW_COARSE, (uint64_t)s->coarse_count);
	const int token = bark_pick(run->logits, allowed, &s->coarse_sampling, draw, s->scratch);
	s->coarse[s->coarse_before + s->coarse_count++] = token;
	if (++s->window_step < s->window_steps) ask_more(run, token);
	return SN_OK;
}

/* ---- fine codes ---- */

static int remainder_of(int a, int b) { return (a % b + b) % b; }

/* Rows of the voice, of the new frames (books still to come hold the pad), and of pads up to one window. */
static void begin_fine(bark_stream *s) {
	const bark_config *const c = &s->model->config;
	const bark_prompt *const h = s->history;
	const int books = c->fine.books, given = c->coarse.books;
	s->frames = s->coarse_wanted / given;
	if (s->frames < 1) {
		if (!*s->remark) snprintf(s->remark, sizeof s->remark, "the model found nothing to say");
		s->stage = BARK_ENDED;
		return;
	}
	s->fine_before = !h ? 0 : h->count[2] < c->fine.history ? h->count[2] : c->fine.history;
	s->fine_rows = s->fine_before + s->frames < c->fine.length ? c->fine.length : s->fine_before + s->frames;
	for (int i = 0; i < s->fine_rows * books; i++) s->fine[i] = c->codebook;
	for (int t = 0; t < s->fine_before; t++)
		for (int b = 0; b < books; b++)
			s->fine[t * books + b] = h->tokens[2][(size_t)b * (size_t)h->count[2] + (size_t)(h->count[2] - s->fine_before + t)];
	for (int t = 0; t < s->frames; t++)
		for (int b = 0; b < given; b++)
			s->fine[(s->fine_before + t) * books + b] =
			    remainder_of(s->coarse[s->coarse_before + t * given + b] - c->semantic.vocab, c->codebook);
	const double more = ceil((double)(s->frames - (c->fine.length - s->fine_before)) / c->fine.history);
	s->loops = (more > 0 ? (int)more : 0) + 1;
	s->loop = s->running = 0;
	s->book = given;
	s->stage = BARK_FINE;
}

static int least(int a, int b) { return a < b ? a : b; }

/* x = the sum of the embeddings of books 0 .. book, and the position's. */
static void fill_window(bark_stream *s, int start) {
	const bark_model *const m = s->model;
	const bark_config *const c = &m->config;
	const int width = c->fine.gpt.width;
	float *const x = nn_exec_input(s->fine_exec, "x");
	nn_exec_set(s->fine_exec, "rows", c->fine.length);
	for (int t = 0; t < c->fine.length; t++) {
		float *const row = x + (size_t)t * (size_t)width;
		const int32_t *const codes = s->fine + (size_t)(start + t) * (size_t)c->fine.books;
		sn_weight_floats(m->fine.tokens[0], (int64_t)codes[0] * width, width, row);
		for (int b = 1; b <= s->book; b++) add_row(m->fine.tokens[b], codes[b], width, row);
		add_row(m->fine.positions, t, width, row);
	}
}

/* The codes of the present book for the window's rows from `fill` on. */
static int pick_codes(bark_stream *s, int start, int fill, char *err) {
	const bark_config *const c = &s->model->config;
	nn_exec *const head = s->head_exec[s->book];
	const bark_sampling how = { .sample = s->fine_temperature != 1, .temperature = s->fine_temperature, .top_p = 1 };
	const float *const hidden = nn_exec_output(s->fine_exec, "hidden", NULL);
	float *const watched = s->loop == 0 ? s->watched.fine[s->book] : NULL;
	const int width = c->fine.gpt.width, out = c->fine.gpt.out;
	for (int first = watched ? 0 : fill; first < c->fine.length; first += BARK_HEAD_ROWS) {
		const int count = least(c->fine.length - first, BARK_HEAD_ROWS);
		nn_exec_set(head, "rows", count);
		memcpy(nn_exec_input(head, "hidden"), hidden + (size_t)first * (size_t)width, (size_t)count * (size_t)width * sizeof *hidden);
		const int code = nn_exec_run(head, err);
		if (code != SN_OK) return code;
		const float *const logits = nn_exec_output(head, "logits", NULL);
		if (watched) memcpy(watched + (size_t)first * (size_t)out, logits, (size_t)count * (size_t)out * sizeof *logits);
		for (int i = 0; i < count; i++) {
			const int row = first + i;
			if (row < fill) continue;
			const uint64_t index = ((uint64_t)s->loop * (uint64_t)c->fine.books + (uint64_t)s->book) * (uint64_t)c->fine.length + (uint64_t)row;
			s->fine[(size_t)(start + row) * (size_t)c->fine.books + (size_t)s->book] =
			    bark_pick(logits + (size_t)i * (size_t)out, (bark_allowed){ 0, c->codebook, -1 }, &how,
			              bark_uniform(s->seed, DRAW_FINE, index), s->scratch);
		}
	}
	return SN_OK;
}

static int begin_codec(bark_stream *s, char *err) {
	const bark_config *const c = &s->model->config;
	for (int b = 0; b < c->fine.books; b++)
		for (int t = 0; t < s->frames; t++) s->codes[b * s->frames + t] = s->fine[(s->fine_before + t) * c->fine.books + b];
	s->quiet = s->longest_quiet = 0;
	s->stage = BARK_CODEC;
	return sn_encodec_start(s->codec, s->codes, c->fine.books, s->frames, err);
}

static int next_fine(bark_stream *s, char *err) {
	const bark_config *const c = &s->model->config;
	if (s->loop >= s->loops || s->book >= c->fine.books) return begin_codec(s, err);
	const int start = least(s->loop * c->fine.history, s->fine_rows - c->fine.length);
	const int fill = least(s->fine_before + s->loop * c->fine.history, s->fine_rows - c->fine.history) - start;
	if (!s->running) {
		fill_window(s, start);
		nn_exec_begin(s->fine_exec);
		s->running = 1;
	}
	int code = nn_exec_next(s->fine_exec, FINE_BUDGET, err);
	if (code == SN_AGAIN) return SN_OK;
	s->running = 0;
	if (code == SN_OK) code = pick_codes(s, start, fill, err);
	if (code != SN_OK) return code;
	if (++s->book < c->fine.books) return SN_OK;
	s->book = c->coarse.books;
	s->loop++;
	return SN_OK;
}

int bark_generate_next(bark_stream *s, char *err) {
	switch (s->stage) {
	case BARK_SEMANTIC: return next_semantic(s, err);
	case BARK_COARSE: return next_coarse(s, err);
	case BARK_FINE: return next_fine(s, err);
	default: return SN_OK;
	}
}
