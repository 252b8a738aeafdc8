/* Compiling: see plan.h for what comes out. This file owns the plan, its lists and the packing of weights. */
#include "nn/plan.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUES 32768
#define MAX_STEPS 32768

static void *grow(void *list, int count, int *capacity, size_t size, int most) {
	if (count < *capacity)
		return list;
	int grown = *capacity ? *capacity * 2 : 128;
	void *bigger = grown <= most ? realloc(list, (size_t)grown * size) : NULL;
	if (bigger)
		*capacity = grown;
	return bigger;
}

int nn_value_new(nn_plan *plan, const nn_value *like) {
	nn_value *list = grow(plan->value, plan->values, &plan->value_capacity, sizeof *list, MAX_VALUES);
	if (!list)
		return -1;
	plan->value = list;
	list[plan->values] = *like;
	return plan->values++;
}

nn_step *nn_step_new(nn_plan *plan, const nn_step *like) {
	nn_step *list = grow(plan->step, plan->steps, &plan->step_capacity, sizeof *list, MAX_STEPS);
	if (!list)
		return NULL;
	plan->step = list;
	list[plan->steps] = *like;
	return &list[plan->steps++];
}

size_t nn_packed_size(const nn_gemm_family *f, int64_t n, int64_t k, int taps) {
	size_t panels = (size_t)((n + f->nr - 1) / f->nr), groups = (size_t)((k + f->kr - 1) / f->kr);
	return panels * (size_t)taps * groups * (size_t)f->nr * (size_t)f->kr * (size_t)f->element;
}

static size_t aligned(size_t size) { return (size + NN_ALIGN - 1) / NN_ALIGN * NN_ALIGN; }

/* The weight as [n][tap][k] floats. linear: w[n, k] as it is; conv: w[Cout, Cin/groups, taps];
 * transposed conv, as a convolution of `taps` = ceil(kernel / stride) over rows m with n = phase * Cout + co:
 *   out[m * stride + phase - pad] = sum over i of x[m - i] . w[:, co, phase + i * stride]; tap index taps-1-i, so that rows ascend. */
static float *arranged(const nn_plan *plan, int node, const nn_step *s, char *err, int *result) {
	const nn_node *n = nn_plan_node(plan, node);
	const nn_node *weight = nn_plan_node(plan, n->inputs[1]);
	float *w;
	int64_t count;
	*result = nn_fold(plan->graph, n->inputs[1], &w, &count, err);
	if (*result != SN_OK || n->op == OP_LINEAR)
		return w;
	int transposed = n->op == OP_CONV_TRANSPOSE;
	int64_t kernel = weight->dims[2].add, cin = transposed ? weight->dims[0].add : weight->dims[1].add;
	int64_t cout = transposed ? weight->dims[1].add : weight->dims[0].add, taps = transposed ? (kernel + s->stride - 1) / s->stride : kernel;
	int64_t rows = transposed ? cout * s->stride : cout;
	float *out = calloc((size_t)(rows * taps * cin), sizeof *out);
	if (!out) {
		free(w);
		*result = sn_fail(err, SN_E_MEMORY, "no memory to arrange '%s'", weight->name);
		return NULL;
	}
	for (int64_t r = 0; r < rows; r++)
		for (int64_t tap = 0; tap < taps; tap++) {
			int64_t j = transposed ? r / cout + (taps - 1 - tap) * s->stride : tap;
			for (int64_t c = 0; j < kernel && c < cin; c++)
				out[(r * taps + tap) * cin + c] = transposed ? w[(c * cout + r % cout) * kernel + j] : w[(r * cin + c) * kernel + j];
		}
	free(w);
	return out;
}

/* Depthwise weights [channels, 1, k] as [k][channels]. */
static void arrange_depthwise(float *out, const float *w, int64_t channels, int64_t k) {
	for (int64_t c = 0; c < channels; c++)
		for (int64_t j = 0; j < k; j++)
			out[j * channels + c] = w[c * k + j];
}

/* Fills step's packed, scale and colsum from the pack, packing on a miss. The blob: packed | scale[n] | colsum[n], per group. */
int nn_weights_pack(nn_plan *plan, nn_pack *pack, nn_step *s, int node, char *err) {
	const nn_gemm_family *f = s->family;
	int64_t n = s->n / s->groups, total = s->n;
	int s8 = f == &plan->kernels.s8, depthwise = s->kind == STEP_DEPTHWISE;
	size_t group = depthwise ? 0 : nn_packed_size(f, n, s->k, s->taps);
	size_t body = depthwise ? (size_t)(s->n * s->taps) * sizeof(float) : aligned(group) * (size_t)s->groups;
	size_t size = aligned(body) + (s8 ? 2 * aligned((size_t)total * 4) : 0);
	/* The weight's own name tells apart graphs that differ in some weights of the same shapes only (adapters of a language). */
	const char *weight = nn_plan_node(plan, nn_plan_node(plan, node)->inputs[1])->name;
	char name[4 * NN_NAME];
	snprintf(name, sizeof name, "%s/%d/%lldx%lldx%d/%d/%s/%s", plan->name, node, (long long)s->n, (long long)s->k, s->taps, s->groups,
	         depthwise ? "depthwise" : f->isa, weight);
	size_t found;
	const char *blob = nn_pack_find(pack, name, &found);
	if (!blob || found != size) {
		char *fresh = nn_pack_new(pack, name, size);
		int result = fresh ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for %zu bytes of packed weights", size);
		float *w = fresh ? arranged(plan, node, s, err, &result) : NULL;
		if (result != SN_OK)
			return result;
		if (depthwise) {
			arrange_depthwise((float *)fresh, w, s->n, s->taps);
		} else {
			for (int g = 0; g < s->groups; g++)
				f->pack(w + g * n * s->taps * s->k, n, s->k, s->taps, s->taps * s->k, s->k, 1, fresh + (size_t)g * aligned(group),
				        s8 ? (float *)(fresh + aligned(body)) + g * n : NULL,
				        s8 ? (int32_t *)(fresh + aligned(body) + aligned((size_t)total * 4)) + g * n : NULL);
		}
		free(w);
		blob = fresh;
	}
	s->packed = blob;
	s->scale = s8 ? (const float *)(blob + aligned(body)) : NULL;
	s->colsum = s8 ? (const int32_t *)(blob + aligned(body) + aligned((size_t)total * 4)) : NULL;
	return SN_OK;
}

/* A copy of the graph for shapes and names. Constant values stay with it (they are small); weights are borrowed. */
static nn_graph *copy_graph(const nn_graph *g) {
	nn_graph *copy = malloc(sizeof *copy);
	if (!copy)
		return NULL;
	*copy = *g;
	copy->capacity = copy->count;
	copy->nodes = calloc((size_t)g->count + 1, sizeof *copy->nodes);
	if (!copy->nodes) {
		free(copy);
		return NULL;
	}
	memcpy(copy->nodes, g->nodes, (size_t)g->count * sizeof *g->nodes);
	for (int i = 0; i < g->count; i++) /* nothing owned twice, whatever fails below */
		copy->nodes[i].values = NULL;
	int failed = 0;
	for (int i = 0; i < g->count; i++) {
		nn_node *n = copy->nodes + i;
		size_t bytes = sizeof(float);
		for (int a = 0; a < n->rank; a++)
			bytes *= (size_t)n->dims[a].add;
		if (g->nodes[i].values && (n->values = malloc(bytes + 1)))
			memcpy(n->values, g->nodes[i].values, bytes);
		failed |= g->nodes[i].values && !n->values;
	}
	if (failed)
		nn_graph_free(&copy);
	return copy;
}

int nn_plan_compile(nn_plan **out, const nn_graph *g, const nn_plan_options *options, char *err) {
	*out = NULL;
	if (g->error[0])
		return sn_fail(err, SN_E_MODEL, "%s", g->error);
	nn_plan *plan = calloc(1, sizeof *plan);
	if (!plan || !(plan->graph = copy_graph(g))) {
		nn_plan_release(&plan);
		return sn_fail(err, SN_E_MEMORY, "no memory for plan %s", g->name);
	}
	atomic_init(&plan->references, 1);
	memcpy(plan->name, g->name, sizeof plan->name);
	plan->kernels = *(options->kernels ? options->kernels : nn_kernels_best());
	plan->debug = options->debug;
	plan->dtype = options->debug ? NN_DTYPE_F32 : options->dtype;
	plan->of_node = malloc(((size_t)g->count * 3 + 1) * sizeof *plan->of_node);
	nn_pack *pack = options->pack;
	int result = plan->of_node ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for plan %s", g->name);
	if (result == SN_OK && !pack) {
		result = nn_pack_open(&plan->own_pack, NULL, 0, err);
		pack = plan->own_pack;
	}
	if (result == SN_OK)
		result = nn_plan_emit(plan, pack, err);
	if (result == SN_OK)
		result = nn_plan_place(plan, err);
	if (result != SN_OK) {
		nn_plan_release(&plan);
		return result;
	}
	*out = plan;
	return SN_OK;
}

void nn_plan_release(nn_plan **held) {
	nn_plan *plan = *held;
	*held = NULL;
	if (!plan || atomic_fetch_sub(&plan->references, 1) > 1)
		return;
	for (int i = 0; i < plan->values; i++)
		free(plan->value[i].constant);
	free(plan->value);
	free(plan->step);
	free(plan->region);
	free(plan->of_node);
	nn_pack_close(&plan->own_pack);
	nn_graph_free(&plan->graph);
	free(plan);
}
