/* A runnable instance of a plan, and the functions that run its steps. */
#ifndef SN_NN_EXEC_H
#define SN_NN_EXEC_H

#include "nn/plan.h"

struct nn_exec {
	nn_plan *plan;
	nn_pool *pool;
	int threads;
	char *arena, *inputs, *states, *scratch;
	size_t arena_size, scratch_size;
	int guest;             /* arena and scratch are another exec's */
	size_t scratch_stride; /* bytes a worker */
	char **state;          /* per value: where a state lies (own or shared) */
	int64_t symbol[NN_MAX_SYMBOLS];
	int64_t *rows;         /* per value, for the present symbols */
	int stale;             /* symbols changed since rows were computed */
	int next;              /* region to run next */
	double flops;          /* of a run at the present symbols */
	struct nn_ort_exec *ort; /* of a plan that ONNX Runtime runs: symbols are above, all else is there */
	double *seconds;       /* per region, when profiling: seconds, and floating-point operations in them */
};

/* One worker's share of a step: rows [r0, r1) and, for products, columns [n0, n1); attention: heads [n0, n1).
 * `origin` is the row at which the worker's block of local values starts. In a region that runs by columns all workers use worker
 * 0's local values, each with its own step scratch. */
typedef struct nn_part {
	nn_exec *exec;
	const nn_step *step;
	int64_t r0, r1, n0, n1, origin;
	int worker; /* whose local values */
	int lane;   /* whose step scratch: the running worker */
} nn_part;

/* The address of row r of a value. */
static inline char *nn_row(const nn_part *p, int value, int64_t r) {
	const nn_value *v = p->exec->plan->value + value;
	int64_t view = v->view, stride = v->stride;
	int id = value;
	while (v->base >= 0) {
		id = v->base;
		v = p->exec->plan->value + id;
		view += v->view;
	}
	int64_t size = v->ids ? 4 : (int64_t)nn_store_size(v->store), at = (view + r * stride) * size;
	switch (v->place) {
	case PLACE_ARENA: return p->exec->arena + v->offset + at;
	case PLACE_LOCAL:
		return p->exec->scratch + (size_t)p->worker * p->exec->scratch_stride + v->offset + at - p->origin * stride * size;
	case PLACE_CONST: return (char *)v->constant + at;
	case PLACE_INPUT: return p->exec->inputs + v->offset + at;
	default: return p->exec->state[id] + at;
	}
}

/* Row scales of a byte value, from row r. */
static inline float *nn_scales(const nn_part *p, int value, int64_t r) {
	const nn_value *v = p->exec->plan->value + value;
	int64_t first = v->place == PLACE_LOCAL ? p->origin : 0;
	return (float *)(nn_row(p, value, first) + v->scales) + (r - first);
}

static inline char *nn_scratch(const nn_part *p) {
	return p->exec->scratch + (size_t)p->lane * p->exec->scratch_stride + p->exec->plan->local;
}

static inline const nn_value *nn_val(const nn_part *p, int value) { return p->exec->plan->value + value; }
static inline const nn_kernels *nn_kern(const nn_part *p) { return &p->exec->plan->kernels; }
/* The extent of a value's axis now. */
static inline int64_t nn_now(const nn_part *p, int value, int axis) {
	return nn_dim_value(p->exec->plan->graph, nn_val(p, value)->dims[axis], p->exec->symbol);
}

void nn_run_product(const nn_part *p);      /* product.c */
void nn_run_attention(const nn_part *p);    /* attention.c: STEP_ATTENTION, STEP_KV_ATTENTION */
void nn_run_cache_attention(const nn_part *p);
void nn_run_cache_write(const nn_part *p);
void nn_run_pack(const nn_part *p);         /* STEP_ATTENTION_PACK, STEP_KV_WRITE: heads [n0, n1) */
void nn_run_step(const nn_part *p);         /* run.c: any step, all columns */

#endif
