/* Running a plan: memory of an instance, extents of a run, and how a region's work is shared among threads. */
#include "nn/exec.h"

#include "base/clock.h"
#include "base/log.h"
#include "nn/ort/ort.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Reserved memory costs nothing until it is touched, so plans for large maxima stay small when little is run. */
static int reserve(char **out, size_t size, char *err) {
	void *memory = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return sn_fail(err, SN_E_MEMORY, "no memory for %zu bytes of a plan", size);
	*out = memory;
	return SN_OK;
}

static void unreserve(char *memory, size_t size) {
	if (memory)
		munmap(memory, size ? size : 1);
}

int nn_exec_new(nn_exec **out, nn_plan *plan, nn_pool *pool, char *err) {
	*out = NULL;
	nn_exec *e = calloc(1, sizeof *e);
	if (!e)
		return sn_fail(err, SN_E_MEMORY, "no memory to run plan %s", plan->name);
	e->plan = plan;
	atomic_fetch_add(&plan->references, 1);
	e->pool = pool;
	e->threads = nn_pool_threads(pool);
	for (int i = 0; i < plan->graph->symbols; i++)
		e->symbol[i] = plan->graph->symbol[i].most;
	if (plan->ort) {
		const int result = nn_ort_exec_new(&e->ort, plan->ort, plan->graph, err);
		if (result != SN_OK)
			nn_exec_free(&e);
		*out = e;
		return result;
	}
	e->scratch_stride = (plan->local + plan->scratch + 8191) / 4096 * 4096;
	e->rows = calloc((size_t)plan->values + 1, sizeof *e->rows);
	e->state = calloc((size_t)plan->values + 1, sizeof *e->state);
	e->seconds = getenv("SONANT_PROFILE") ? calloc(2 * ((size_t)plan->regions + 1), sizeof *e->seconds) : NULL;
	int result = e->rows && e->state ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory to run plan %s", plan->name);
	e->arena_size = plan->arena;
	e->scratch_size = e->scratch_stride * (size_t)e->threads;
	if (result == SN_OK)
		result = reserve(&e->arena, e->arena_size, err);
	if (result == SN_OK)
		result = reserve(&e->inputs, plan->inputs, err);
	if (result == SN_OK)
		result = reserve(&e->states, plan->states, err);
	if (result == SN_OK)
		result = reserve(&e->scratch, e->scratch_size, err);
	if (result != SN_OK) {
		nn_exec_free(&e);
		return result;
	}
	for (int i = 0; i < plan->values; i++)
		if (plan->value[i].place == PLACE_STATE && plan->value[i].base < 0)
			e->state[i] = e->states + plan->value[i].offset;
	e->stale = 1;
	*out = e;
	return SN_OK;
}

void nn_exec_free(nn_exec **held) {
	nn_exec *e = *held;
	*held = NULL;
	if (!e)
		return;
	if (!e->guest) {
		unreserve(e->arena, e->arena_size);
		unreserve(e->scratch, e->scratch_size);
	}
	nn_ort_exec_free(&e->ort);
	unreserve(e->inputs, e->plan->inputs);
	unreserve(e->states, e->plan->states);
	free(e->rows);
	free(e->state);
	free(e->seconds);
	nn_plan_release(&e->plan);
	free(e);
}

/* ---- names ---- */

static int find_node(const nn_plan *p, nn_op from, nn_op to, const char *name) {
	for (int i = 0; i < p->graph->count; i++) {
		const nn_node *n = nn_plan_node(p, i);
		if (n->op >= from && n->op <= to && strcmp(n->name, name) == 0)
			return i;
	}
	return -1;
}

int nn_exec_share(nn_exec *e, nn_exec *owner, char *err) {
	if (e->ort && owner->ort)
		return nn_ort_exec_share(e->ort, owner->ort, err);
	if (e->ort || owner->ort)
		return sn_fail(err, SN_E_INTERNAL, "plans %s and %s are run by two backends and cannot share states", e->plan->name, owner->plan->name);
	for (int i = 0; i < e->plan->values; i++) {
		const nn_value *v = e->plan->value + i;
		if (v->place != PLACE_STATE || v->base >= 0)
			continue;
		const char *name = nn_plan_node(e->plan, v->node)->name;
		int other = find_node(owner->plan, OP_KV_STATE, OP_CACHE_STATE, name);
		int from = other < 0 ? -1 : owner->plan->of_node[3 * other];
		if (from < 0)
			continue;
		if (owner->plan->value[from].bytes != v->bytes)
			return sn_fail(err, SN_E_INTERNAL, "state '%s' has %zu bytes in one plan and %zu in the other", name, v->bytes,
			               owner->plan->value[from].bytes);
		e->state[i] = owner->state[from];
	}
	return SN_OK;
}

void nn_exec_share_arena(nn_exec **execs, int count) {
	nn_exec *host = NULL;
	size_t arena = 0, scratch = 0;
	for (int i = 0; i < count; i++) {
		nn_exec *e = execs[i];
		if (e->plan->debug || e->guest || e->ort)
			continue;
		host = host ? host : e;
		arena = e->arena_size > arena ? e->arena_size : arena;
		scratch = e->scratch_size > scratch ? e->scratch_size : scratch;
	}
	char *memory[2] = { NULL, NULL };
	char err[SN_ERRLEN]; /* without room for a shared piece each keeps its own */
	if (!host || reserve(&memory[0], arena, err) != SN_OK || reserve(&memory[1], scratch, err) != SN_OK) {
		unreserve(memory[0], arena);
		return;
	}
	for (int i = 0; i < count; i++) {
		nn_exec *e = execs[i];
		if (e->plan->debug || e->guest || e->ort)
			continue;
		unreserve(e->arena, e->arena_size);
		unreserve(e->scratch, e->scratch_size);
		e->arena = memory[0];
		e->scratch = memory[1];
		e->arena_size = arena;
		e->scratch_size = scratch;
		e->guest = e != host;
	}
}

void nn_exec_set(nn_exec *e, const char *symbol, int64_t extent) {
	for (int i = 0; i < e->plan->graph->symbols; i++)
		if (strcmp(e->plan->graph->symbol[i].name, symbol) == 0 && e->symbol[i] != extent && extent >= 1 &&
		    extent <= e->plan->graph->symbol[i].most) {
			e->symbol[i] = extent;
			e->stale = 1;
		}
}

static char *named(nn_exec *e, nn_op from, nn_op to, const char *name) {
	int node = find_node(e->plan, from, to, name), value = node < 0 ? -1 : e->plan->of_node[3 * node];
	nn_part p = { .exec = e };
	return value < 0 ? NULL : nn_row(&p, value, 0);
}

float *nn_exec_input(nn_exec *e, const char *name) {
	return e->ort ? nn_ort_exec_input(e->ort, name) : (float *)named(e, OP_INPUT, OP_INPUT, name);
}

int32_t *nn_exec_input_ids(nn_exec *e, const char *name) {
	return e->ort ? nn_ort_exec_input(e->ort, name) : (int32_t *)named(e, OP_INPUT, OP_INPUT, name);
}

/* ---- regions ---- */

typedef struct share {
	nn_exec *exec;
	const nn_step *step;
	int64_t rows, chunk; /* rows, columns or heads a task */
	int first, count;    /* steps */
} share;

static void rows_task(void *payload, int64_t task, int worker) {
	const share *s = payload;
	nn_part p = { .exec = s->exec, .r0 = task * s->chunk, .worker = worker, .lane = worker };
	p.origin = p.r0;
	p.r1 = p.r0 + s->chunk < s->rows ? p.r0 + s->chunk : s->rows;
	for (int i = s->first; i < s->first + s->count; i++) {
		p.step = s->exec->plan->step + i;
		p.n1 = p.step->kind == STEP_GEMM ? p.step->n : p.step->attn.heads;
		nn_run_step(&p);
	}
}

static int64_t round_up(int64_t x, int64_t unit) { return (x + unit - 1) / unit * unit; }

static void run_by_rows(nn_exec *e, const nn_region *region, int64_t rows) {
	share s = { .exec = e, .rows = rows, .first = region->first, .count = region->count };
	s.chunk = round_up(rows / (4 * e->threads) + 1, NN_GATHER_ROWS);
	if (s.chunk > NN_BLOCK_ROWS)
		s.chunk = NN_BLOCK_ROWS;
	nn_pool_run(e->pool, rows_task, &s, (rows + s.chunk - 1) / s.chunk);
}

/* ---- few rows: steps one after the other, each shared by columns, heads or rows ---- */

static void column_part(const share *s, const nn_step *step, int64_t r0, int64_t r1, int64_t n0, int64_t n1, int worker) {
	nn_part p = { .exec = s->exec, .step = step, .r0 = r0, .r1 = r1, .n0 = n0, .n1 = n1, .lane = worker };
	nn_run_step(&p);
}

static int64_t panels(const nn_step *s) { return (s->n + s->family->nr - 1) / s->family->nr; }

static void panels_task(void *payload, int64_t task, int worker) {
	const share *s = payload;
	for (int i = s->first; i < s->first + s->count; i++) {
		const nn_step *step = s->exec->plan->step + i;
		int64_t tasks = (panels(step) + s->chunk - 1) / s->chunk;
		if (task < tasks) {
			int64_t n0 = task * s->chunk * step->family->nr, n1 = n0 + s->chunk * step->family->nr;
			column_part(s, step, 0, s->rows, n0, n1 < step->n ? n1 : step->n, worker);
			return;
		}
		task -= tasks;
	}
}

static void heads_task(void *payload, int64_t task, int worker) {
	const share *s = payload;
	int64_t end = task * s->chunk + s->chunk, heads = s->step->attn.heads;
	column_part(s, s->step, 0, s->rows, task * s->chunk, end < heads ? end : heads, worker);
}

static void few_rows_task(void *payload, int64_t task, int worker) {
	const share *s = payload;
	int64_t end = task * s->chunk + s->chunk;
	column_part(s, s->step, task * s->chunk, end < s->rows ? end : s->rows, 0, s->step->kind == STEP_GEMM ? s->step->n : s->step->attn.heads,
	            worker);
}

static int reads(const nn_plan *p, const nn_step *s, int value) {
	for (int k = 0; k < s->count; k++)
		for (int v = s->in[k]; v >= 0; v = p->value[v].base)
			if (v == value)
				return 1;
	return 0;
}

/* Products from step i on that do not read each other: they share one section. */
static int independent_products(const nn_plan *p, const nn_region *region, int i) {
	int count = 1, end = region->first + region->count;
	while (i + count < end && p->step[i + count].kind == STEP_GEMM && p->step[i + count].groups == 1) {
		for (int k = i; k < i + count; k++)
			if (reads(p, p->step + i + count, p->step[k].out) || (p->step[k].out2 >= 0 && reads(p, p->step + i + count, p->step[k].out2)))
				return count;
		count++;
	}
	return count;
}

#define SERIAL_WORK 16384 /* values that one thread handles before a second is worth waking */

static int run_products(nn_exec *e, const nn_region *region, int i, int64_t rows) {
	share s = { .exec = e, .step = e->plan->step + i, .rows = rows, .first = i, .count = 1 };
	int64_t total = 0, tasks = 0;
	if (s.step->groups > 1) {
		s.chunk = rows;
		few_rows_task(&s, 0, 0);
		return 1;
	}
	s.count = independent_products(e->plan, region, i);
	for (int k = i; k < i + s.count; k++)
		total += panels(e->plan->step + k);
	s.chunk = total / (4 * e->threads) > 0 ? total / (4 * e->threads) : 1;
	if ((double)rows * (double)total * s.step->family->nr * (double)s.step->k * s.step->taps < SERIAL_WORK)
		s.chunk = INT32_MAX;
	for (int k = i; k < i + s.count; k++)
		tasks += (panels(e->plan->step + k) + s.chunk - 1) / s.chunk;
	nn_pool_run(e->pool, panels_task, &s, tasks);
	return s.count;
}

static void run_by_columns(nn_exec *e, const nn_region *region, int64_t rows) {
	for (int i = region->first; i < region->first + region->count;) {
		const nn_step *step = e->plan->step + i;
		share s = { .exec = e, .step = step, .rows = rows, .chunk = rows };
		if (step->kind == STEP_GEMM) {
			i += run_products(e, region, i, rows);
			continue;
		}
		i++;
		int attention = step->kind == STEP_ATTENTION || step->kind == STEP_KV_ATTENTION;
		int64_t work = rows * e->plan->value[step->out].cols;
		if (step->kind == STEP_CACHE_ATTENTION) {
			nn_part p = { .exec = e, .step = step };
			work *= *(const int32_t *)nn_row(&p, step->in[2], rows - 1) + 1;
			attention = work > SERIAL_WORK && rows < 2 * e->threads;
		}
		if (attention) {
			s.chunk = (step->attn.heads + 2 * e->threads - 1) / (2 * e->threads);
			nn_pool_run(e->pool, heads_task, &s, (step->attn.heads + s.chunk - 1) / s.chunk);
		} else if (rows > 1 && work > SERIAL_WORK) {
			s.chunk = (rows + 2 * e->threads - 1) / (2 * e->threads);
			nn_pool_run(e->pool, few_rows_task, &s, (rows + s.chunk - 1) / s.chunk);
		} else {
			few_rows_task(&s, 0, 0);
		}
	}
}

static void strips_task(void *payload, int64_t task, int worker) {
	const share *s = payload;
	int64_t n0 = task * NN_STRIP_COLS, cols = s->exec->plan->value[s->step->out].cols;
	column_part(s, s->step, 0, s->rows, n0, n0 + NN_STRIP_COLS < cols ? n0 + NN_STRIP_COLS : cols, worker);
}

static void run_alone(nn_exec *e, const nn_region *region) {
	const nn_step *step = e->plan->step + region->first;
	share s = { .exec = e, .step = step, .rows = e->rows[step->out], .chunk = 1 };
	nn_step counted = *step;
	if (step->kind == STEP_KV_WRITE)
		counted.attn.heads = (int)nn_plan_node(e->plan, e->plan->value[step->out].node)->first;
	s.step = &counted;
	if (step->kind == STEP_ATTENTION_PACK || step->kind == STEP_KV_WRITE) {
		nn_pool_run(e->pool, heads_task, &s, counted.attn.heads);
	} else if (step->kind >= STEP_NORM_ROWS) {
		int64_t strips = (e->plan->value[step->out].cols + NN_STRIP_COLS - 1) / NN_STRIP_COLS;
		if (strips > 1)
			nn_pool_run(e->pool, strips_task, &s, strips);
		else
			strips_task(&s, 0, 0);
	} else {
		s.chunk = s.rows;
		few_rows_task(&s, 0, 0);
	}
}

static void run_region(nn_exec *e, int index) {
	const nn_region *region = e->plan->region + index;
	double start = e->seconds ? sn_now() : 0;
	int64_t rows = e->rows[e->plan->step[region->first].out];
	if (!region->by_rows)
		run_alone(e, region);
	else if (rows <= NN_COLUMN_ROWS)
		run_by_columns(e, region, rows);
	else
		run_by_rows(e, region, rows);
	if (!e->seconds)
		return;
	e->seconds[2 * index] += sn_now() - start;
	for (int i = region->first; i < region->first + region->count; i++)
		e->seconds[2 * index + 1] += e->plan->step[i].flops_per_row * (double)e->rows[e->plan->step[i].out];
}

static void update_rows(nn_exec *e) {
	const nn_plan *p = e->plan;
	e->flops = 0;
	for (int i = 0; i < p->values; i++) {
		int64_t rows = 1;
		for (int a = 0; a + 1 < p->value[i].rank; a++)
			rows *= nn_dim_value(p->graph, p->value[i].dims[a], e->symbol);
		e->rows[i] = rows > 0 ? rows : 0; /* extents of the moment may leave nothing of a trimmed tensor */
	}
	for (int i = 0; i < p->steps; i++)
		e->flops += p->step[i].flops_per_row * (double)e->rows[p->step[i].out];
	e->stale = 0;
}

void nn_exec_begin(nn_exec *e) {
	if (e->stale)
		update_rows(e);
	e->next = 0;
}

typedef struct pieces {
	nn_exec *exec;
	int budget, result;
	char *err;
} pieces;

static void run_pieces(void *payload) {
	pieces *w = payload;
	nn_exec *e = w->exec;
	if (e->ort) {
		w->result = nn_ort_exec_run(e->ort, e->symbol, w->err);
		return;
	}
	double done = 0, most = e->flops * w->budget / 100;
	while (e->next < e->plan->regions && (done <= most || w->budget >= 100)) {
		const nn_region *region = e->plan->region + e->next;
		for (int i = region->first; i < region->first + region->count; i++)
			done += e->plan->step[i].flops_per_row * (double)e->rows[e->plan->step[i].out];
		run_region(e, e->next++);
	}
	w->result = e->next < e->plan->regions ? SN_AGAIN : SN_OK;
}

int nn_exec_next(nn_exec *e, int budget, char *err) {
	pieces w = { e, budget, SN_OK, err };
	nn_pool_call(e->pool, run_pieces, &w);
	return w.result;
}

int nn_exec_run(nn_exec *e, char *err) {
	nn_exec_begin(e);
	return nn_exec_next(e, 100, err);
}

/* ---- results ---- */

const float *nn_exec_output(nn_exec *e, const char *name, int64_t *dims) {
	if (e->ort)
		return nn_ort_exec_output(e->ort, name, e->symbol, dims);
	nn_part p = { .exec = e };
	for (int i = 0; i < e->plan->graph->count; i++) {
		const nn_node *n = nn_plan_node(e->plan, i);
		if (!n->is_output || strcmp(n->output_name, name) != 0 || e->plan->of_node[3 * i] < 0)
			continue;
		for (int a = 0; dims && a < n->rank; a++)
			dims[a] = nn_dim_value(e->plan->graph, n->dims[a], e->symbol);
		return (const float *)nn_row(&p, e->plan->of_node[3 * i], 0);
	}
	return NULL;
}

int nn_exec_tensor(nn_exec *e, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	if (e->ort)
		return nn_ort_exec_tensor(e->ort, name, e->symbol, values, rank, dims, err);
	*values = NULL;
	int node = -1;
	for (int i = 0; i < e->plan->graph->count; i++) {
		const nn_node *n = nn_plan_node(e->plan, i);
		if (strcmp(n->name, name) == 0 || (n->is_output && strcmp(n->output_name, name) == 0))
			node = i;
	}
	int value = node < 0 ? -1 : e->plan->of_node[3 * node];
	if (value < 0 || e->plan->value[value].place == PLACE_LOCAL || e->plan->value[value].ids)
		return sn_fail(err, SN_E_NOT_FOUND, "plan %s keeps no tensor '%s'", e->plan->name, name);
	const nn_node *n = nn_plan_node(e->plan, node);
	*rank = n->rank;
	for (int a = 0; a < n->rank; a++)
		dims[a] = nn_dim_value(e->plan->graph, n->dims[a], e->symbol);
	int64_t rows = e->rows[value], cols = e->plan->value[value].cols;
	*values = malloc((size_t)(rows * cols) * sizeof(float) + 1);
	if (!*values)
		return sn_fail(err, SN_E_MEMORY, "no memory for tensor '%s'", name);
	nn_part p = { .exec = e };
	for (int64_t r = 0; r < rows; r++)
		memcpy(*values + r * cols, nn_row(&p, value, r), (size_t)cols * sizeof(float));
	return SN_OK;
}

static const char *const kind_names[] = { "product", "depthwise", "unary", "binary", "affine", "convert", "quantize", "norm", "gated",
	"concat", "flip", "copy", "gather", "pad", "unfold", "max pool", "lstm cell", "spline", "attention", "kv attention", "cache attention",
	"attention pack", "kv write", "cache write", "lstm", "gru", "norm of rows", "softmax of rows", "sum of rows" };

void nn_exec_profile(nn_exec *e) {
	for (int i = 0; e && e->seconds && i < e->plan->regions; i++) {
		const nn_region *region = e->plan->region + i;
		const nn_step *s = e->plan->step + region->first;
		const double seconds = e->seconds[2 * i], flops = e->seconds[2 * i + 1];
		sn_log(SN_LOG_INFO, "%s region %d: %d steps from %s (n %lld k %lld taps %d), rows %lld, %.3f ms, %.1f Gflop/s", e->plan->name, i,
		       region->count, kind_names[s->kind], (long long)s->n, (long long)s->k, s->taps, (long long)e->rows[s->out],
		       seconds * 1e3, flops / (seconds + 1e-12) * 1e-9);
		e->seconds[2 * i] = e->seconds[2 * i + 1] = 0;
	}
}
