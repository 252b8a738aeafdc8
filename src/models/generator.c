#include "models/generator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS ((int64_t)1 << 24) /* of one stage's input in a call */
#define MAX_FLOATS ((int64_t)1 << 27) /* of rows kept before one stage, and of one input of its graph */
#define BLOCK_FLOATS 65536  /* of a stage's widest tensor: what a stage works on stays in the second-level cache */
#define BLOCK_REACHES 10    /* but at least so many times the rows that one depends on, which are computed twice */

typedef struct stage {
	sn_generator_stage shape;
	nn_exec *exec;
	int64_t block; /* output rows of one run */
	int64_t most;  /* input rows of one run */
	int64_t held;  /* input rows that a stream has room for */
} stage;

struct sn_generator {
	int stages;
	stage stage[SN_GENERATOR_MAX_STAGES];
	int64_t hop, more;
};

/* Rows first .. last - 1 of a signal of the utterance. */
typedef struct rows {
	float *data;
	int64_t first, last;
} rows;

struct sn_generator_stream {
	sn_generator *generator;
	rows in[SN_GENERATOR_MAX_STAGES]; /* of each stage's input */
	int64_t position;                 /* output rows given out */
	int ended;
};

/* ---- geometry ---- */

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* Input rows that output rows first .. last - 1 depend on, not clipped to what exists. */
static void needs(const sn_generator_stage *s, int64_t first, int64_t last, int64_t *in_first, int64_t *in_last) {
	*in_first = floor_div(first - s->after + s->left - s->kernel + s->stride, s->stride) - s->before;
	*in_last = floor_div(last - 1 + s->after + s->left, s->stride) + 1 + s->before;
}

/* Output rows of a whole signal. */
static int64_t made_of(const sn_generator_stage *s, int64_t rows) {
	const int64_t made = rows > 0 ? (rows - 1) * s->stride + s->kernel - s->left - s->right : 0;
	return made > 0 ? made : 0;
}

/* Output rows that depend on none but the first `rows` of a signal that goes on. */
static int64_t ready_of(const sn_generator_stage *s, int64_t rows) {
	const int64_t ready = s->stride * (rows - s->before) - s->after - s->left;
	return ready > 0 ? ready : 0;
}

/* ---- loading ---- */

static int check(const sn_generator_shape *shape, char *err) {
	if (shape->stages < 1 || shape->stages > SN_GENERATOR_MAX_STAGES)
		return sn_fail(err, SN_E_MODEL, "%s has %d stages; 1 to %d are supported", shape->name, shape->stages, SN_GENERATOR_MAX_STAGES);
	for (int i = 0; i < shape->stages; i++) {
		const sn_generator_stage *const s = &shape->stage[i];
		if (s->stride < 1 || s->kernel < s->stride || s->left < 0 || s->left >= s->kernel || s->right <= -s->stride || s->before < 0 ||
		    s->after < 0 || s->in < 1 || s->out < 1 || s->widest < 1)
			return sn_fail(err, SN_E_MODEL, "%s, stage %d: a kernel of %lld rows with stride %lld and padding %lld, %lld cannot be run",
			               shape->name, i, (long long)s->kernel, (long long)s->stride, (long long)s->left, (long long)s->right);
	}
	return SN_OK;
}

/* Sizes of runs and of the rows kept before stages, from the last stage's largest chunk backwards. */
static int size_stages(sn_generator *g, const sn_generator_shape *shape, char *err) {
	int64_t rows = shape->most, first, last;
	for (int i = g->stages - 1; i >= 0; i--) {
		stage *const s = &g->stage[i];
		needs(&s->shape, 0, 1, &first, &last);
		s->block = BLOCK_FLOATS / s->shape.widest;
		if (s->block < BLOCK_REACHES * (last - first) * s->shape.stride) s->block = BLOCK_REACHES * (last - first) * s->shape.stride;
		if (s->block > rows) s->block = rows;
		needs(&s->shape, 0, s->block, &first, &last);
		s->most = last - first + 2; /* where a block begins within a stride shifts its ends */
		needs(&s->shape, 0, rows, &first, &last);
		rows = last - first + 2;
		s->held = rows + (i ? 0 : shape->push);
		if (rows > MAX_ROWS || s->held > MAX_FLOATS / s->shape.in || s->most * s->shape.stride > MAX_FLOATS / s->shape.widest)
			return sn_fail(err, SN_E_LIMIT,
			               "%s, stage %d: %lld output rows depend on %lld rows of %lld values; at most %lld rows are supported",
			               shape->name, i, (long long)shape->most, (long long)rows, (long long)s->shape.in, (long long)MAX_ROWS);
	}
	return SN_OK;
}

static int compile(stage *s, const char *name, int index, sn_generator_record record, void *payload, const sn_load_options *load,
                   nn_pack *pack, char *err) {
	/* Waveforms do not bear 8 bits. */
	const nn_plan_options options = { .backend = load->backend, .exports = load->exports, .debug = load->debug, .pack = pack,
	                                  .dtype = load->dtype == NN_DTYPE_F32 ? NN_DTYPE_F32 : NN_DTYPE_BF16 };
	char full[NN_NAME];
	nn_plan *plan = NULL;
	snprintf(full, sizeof full, "%s%d", name, index);
	nn_graph *g = nn_graph_new(full);
	if (!g) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	const nn_dim dims[] = { nn_symbol(g, "rows", s->most), nn_fix(s->shape.in) };
	nn_output(g, record(payload, g, index, nn_input(g, "x", NN_F32, 2, dims)), "y");
	int code = nn_plan_compile(&plan, g, &options, err);
	if (code == SN_OK) code = nn_exec_new(&s->exec, plan, load->pool, err);
	nn_plan_release(&plan);
	nn_graph_free(&g);
	return code;
}

int sn_generator_open(sn_generator **out, const sn_generator_shape *shape, sn_generator_record record, void *payload,
                      const sn_load_options *load, nn_pack *pack, char *err) {
	sn_generator *g = *out = NULL;
	int code = check(shape, err);
	if (code != SN_OK) return code;
	if (!(g = calloc(1, sizeof *g))) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	g->stages = shape->stages;
	g->hop = 1;
	for (int i = 0; i < g->stages; i++) {
		const sn_generator_stage *const s = &shape->stage[i];
		g->stage[i].shape = *s;
		g->more = g->more * s->stride + s->kernel - s->stride - s->left - s->right;
		g->hop *= s->stride;
		if (g->hop > MAX_ROWS) {
			sn_generator_close(&g);
			return sn_fail(err, SN_E_LIMIT, "%s makes more than %lld rows of one", shape->name, (long long)MAX_ROWS);
		}
	}
	code = size_stages(g, shape, err);
	for (int i = 0; code == SN_OK && i < g->stages; i++)
		code = compile(&g->stage[i], shape->name, i, record, payload, load, pack, err);
	if (code == SN_OK) {
		nn_exec *execs[SN_GENERATOR_MAX_STAGES]; /* each one's result is copied before the next begins */
		for (int i = 0; i < g->stages; i++) execs[i] = g->stage[i].exec;
		nn_exec_share_arena(execs, g->stages);
	}
	if (code != SN_OK) sn_generator_close(&g);
	*out = g;
	return code;
}

void sn_generator_close(sn_generator **generator) {
	if (!*generator) return;
	for (int i = 0; i < (*generator)->stages; i++) {
		nn_exec_profile((*generator)->stage[i].exec);
		nn_exec_free(&(*generator)->stage[i].exec);
	}
	free(*generator);
	*generator = NULL;
}

int sn_generator_stages(const sn_generator *generator) { return generator->stages; }
int64_t sn_generator_hop(const sn_generator *generator) { return generator->hop; }
int64_t sn_generator_more(const sn_generator *generator) { return generator->more; }
nn_exec *sn_generator_exec(sn_generator *generator, int stage) { return generator->stage[stage].exec; }

/* ---- streams ---- */

int sn_generator_stream_new(sn_generator_stream **out, sn_generator *generator, char *err) {
	sn_generator_stream *const s = *out = calloc(1, sizeof *s);
	int whole = s != NULL;
	for (int i = 0; whole && i < generator->stages; i++) { /* untouched pages cost nothing */
		const stage *const stage = &generator->stage[i];
		whole = (s->in[i].data = malloc((size_t)(stage->held * stage->shape.in) * sizeof(float))) != NULL;
	}
	if (s) s->generator = generator;
	if (whole) return SN_OK;
	sn_generator_stream_free(out);
	return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
}

void sn_generator_stream_free(sn_generator_stream **stream) {
	if (!*stream) return;
	for (int i = 0; i < SN_GENERATOR_MAX_STAGES; i++) free((*stream)->in[i].data);
	free(*stream);
	*stream = NULL;
}

void sn_generator_start(sn_generator_stream *stream) {
	for (int i = 0; i < SN_GENERATOR_MAX_STAGES; i++) stream->in[i].first = stream->in[i].last = 0;
	stream->position = 0;
	stream->ended = 0;
}

int64_t sn_generator_room(const sn_generator_stream *stream) {
	const rows *const in = &stream->in[0];
	return stream->generator->stage[0].held - (in->last - in->first);
}

void sn_generator_push(sn_generator_stream *stream, const float *data, int64_t count) {
	const int64_t width = stream->generator->stage[0].shape.in;
	rows *const in = &stream->in[0];
	memcpy(in->data + (in->last - in->first) * width, data, (size_t)(count * width) * sizeof *data);
	in->last += count;
}

void sn_generator_end(sn_generator_stream *stream) { stream->ended = 1; }

/* Output rows that can be had from what was pushed. */
static int64_t reachable(const sn_generator_stream *s) {
	int64_t rows = s->in[0].last;
	for (int i = 0; i < s->generator->stages; i++) {
		const sn_generator_stage *const shape = &s->generator->stage[i].shape;
		rows = s->ended ? made_of(shape, rows) : ready_of(shape, rows);
	}
	return rows;
}

int sn_generator_ended(const sn_generator_stream *stream) { return stream->ended && stream->position == reachable(stream); }

/* Rows first .. last - 1 of a stage's output, block by block. */
static int run_stage(const stage *stage, const rows *in, int64_t first, int64_t last, float *out, char *err) {
	const sn_generator_stage *const s = &stage->shape;
	for (int64_t at = first; at < last; at += stage->block) {
		const int64_t end = at + stage->block < last ? at + stage->block : last;
		int64_t a, b;
		needs(s, at, end, &a, &b);
		if (a < 0) a = 0;
		if (b > in->last) b = in->last;
		nn_exec_set(stage->exec, "rows", b - a);
		memcpy(nn_exec_input(stage->exec, "x"), in->data + (a - in->first) * s->in, (size_t)((b - a) * s->in) * sizeof(float));
		const int code = nn_exec_run(stage->exec, err);
		if (code != SN_OK) return code;
		memcpy(out + (at - first) * s->out, nn_exec_output(stage->exec, "y", NULL) + (at - a * s->stride) * s->out,
		       (size_t)((end - at) * s->out) * sizeof *out);
	}
	return SN_OK;
}

/* Forgets the rows that no output row from `next` on depends on. */
static void drop(const stage *stage, rows *in, int64_t next) {
	int64_t first, last;
	needs(&stage->shape, next, next + 1, &first, &last);
	if (first <= in->first) return;
	if (first > in->last) first = in->last;
	memmove(in->data, in->data + (first - in->first) * stage->shape.in,
	        (size_t)((in->last - first) * stage->shape.in) * sizeof(float));
	in->first = first;
}

int64_t sn_generator_next(sn_generator_stream *stream, int64_t most, float *out, char *err) {
	sn_generator *const g = stream->generator;
	int64_t ends[SN_GENERATOR_MAX_STAGES + 1], first, total[SN_GENERATOR_MAX_STAGES];
	int64_t end = reachable(stream);
	if (end > stream->position + most) end = stream->position + most;
	if (end <= stream->position) return 0;
	total[0] = stream->in[0].last;
	for (int i = 1; i < g->stages; i++) total[i] = stream->ended ? made_of(&g->stage[i - 1].shape, total[i - 1]) : INT64_MAX;
	ends[g->stages] = end;
	for (int i = g->stages - 1; i >= 0; i--) {
		needs(&g->stage[i].shape, ends[i + 1] - 1, ends[i + 1], &first, &ends[i]);
		if (ends[i] > total[i]) ends[i] = total[i];
	}
	for (int i = 0; i < g->stages; i++) {
		const int last = i + 1 == g->stages;
		rows *const to = last ? NULL : &stream->in[i + 1];
		const int64_t from = last ? stream->position : to->last;
		if (ends[i + 1] <= from) continue;
		float *const y = last ? out : to->data + (from - to->first) * g->stage[i].shape.out;
		const int code = run_stage(&g->stage[i], &stream->in[i], from, ends[i + 1], y, err);
		if (code != SN_OK) return code;
		if (!last) to->last = ends[i + 1];
		drop(&g->stage[i], &stream->in[i], ends[i + 1]);
	}
	const int64_t count = end - stream->position;
	stream->position = end;
	return count;
}
