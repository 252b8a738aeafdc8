/* Compiling: see plan.h for what comes out. This file owns the plan, its lists and the packing of weights. */
#include "nn/plan.h"

#include "base/hash.h"
#include "nn/export.h"
#include "nn/ort/ort.h"

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

#define STRIPE ((int64_t)256 << 10) /* values of a matrix that are read and packed together */

/* A matrix of the file stripe by stripe, so that a large one is never whole in float32. Rows are packed alike whatever is beside them. */
static int pack_stripes(const nn_step *s, const sn_weight *stored, int64_t first, char *packed, float *scale, int32_t *colsum, char *err) {
	const nn_gemm_family *f = s->family;
	const int64_t fit = STRIPE / s->k / f->nr * f->nr, most = fit > f->nr ? fit : f->nr;
	float *w = malloc((size_t)(most * s->k) * sizeof *w + NN_OVERREAD);
	if (!w)
		return sn_fail(err, SN_E_MEMORY, "no memory for %lld rows of '%s'", (long long)most, stored->name);
	for (int64_t r = 0; r < s->n; r += most) {
		const int64_t rows = s->n - r < most ? s->n - r : most;
		sn_weight_floats(stored, (first + r) * s->k, rows * s->k, w);
		f->pack(w, rows, s->k, 1, s->k, s->k, 1, packed + nn_packed_size(f, r, s->k, 1), scale ? scale + r : NULL, colsum ? colsum + r : NULL);
		sn_weight_release(stored, (first + r) * s->k, rows * s->k);
	}
	free(w);
	sn_weight_release(stored, first * s->k, s->n * s->k); /* and what was mapped beside each stripe */
	return SN_OK;
}

/* Depthwise weights [channels, 1, k] as [k][channels]. */
static void arrange_depthwise(float *out, const float *w, int64_t channels, int64_t k) {
	for (int64_t c = 0; c < channels; c++)
		for (int64_t j = 0; j < k; j++)
			out[j * channels + c] = w[c * k + j];
}

/* The blob of a step: packed | scale[n] | colsum[n], per group. */
typedef struct layout {
	size_t group, body, size;
	int scaled; /* has scales and sums */
} layout;

static layout layout_of(const nn_plan *plan, const nn_step *s) {
	const int depthwise = s->kind == STEP_DEPTHWISE;
	layout l = { .group = depthwise ? 0 : nn_packed_size(s->family, s->n / s->groups, s->k, s->taps), .scaled = s->family == &plan->kernels.s8 };
	l.body = depthwise ? (size_t)(s->n * s->taps) * sizeof(float) : aligned(l.group) * (size_t)s->groups;
	l.size = aligned(l.body) + (l.scaled ? 2 * aligned((size_t)s->n * 4) : 0);
	return l;
}

static void point_into(nn_step *s, const layout *l, const char *blob) {
	s->packed = blob;
	s->scale = l->scaled ? (const float *)(blob + aligned(l->body)) : NULL;
	s->colsum = l->scaled ? (const int32_t *)(blob + aligned(l->body) + aligned((size_t)s->n * 4)) : NULL;
}

static int pack_into(char *fresh, const nn_plan *plan, const nn_step *s, const layout *l, int node, char *err) {
	const nn_gemm_family *f = s->family;
	const int64_t n = s->n / s->groups;
	nn_step to = *s;
	point_into(&to, l, fresh);
	int64_t first;
	const sn_weight *stored = nn_plan_node(plan, node)->op == OP_LINEAR ? nn_stored_rows(plan->graph, nn_plan_node(plan, node)->inputs[1], &first) : NULL;
	if (stored)
		return pack_stripes(s, stored, first, fresh, (float *)to.scale, (int32_t *)to.colsum, err);
	int result;
	float *w = arranged(plan, node, s, err, &result);
	if (result != SN_OK)
		return result;
	if (s->kind == STEP_DEPTHWISE)
		arrange_depthwise((float *)fresh, w, s->n, s->taps);
	for (int g = 0; g < s->groups && s->kind != STEP_DEPTHWISE; g++)
		f->pack(w + g * n * s->taps * s->k, n, s->k, s->taps, s->taps * s->k, s->k, 1, fresh + (size_t)g * aligned(l->group),
		        l->scaled ? (float *)to.scale + g * n : NULL, l->scaled ? (int32_t *)to.colsum + g * n : NULL);
	free(w);
	return SN_OK;
}

/* Fills step's packed, scale and colsum from the pack, packing on a miss. */
int nn_weights_pack(nn_plan *plan, nn_pack *pack, nn_step *s, int node, char *err) {
	const layout l = layout_of(plan, s);
	if (plan->need) {
		plan->need->weights += l.size + NN_ALIGN;
		return SN_OK;
	}
	/* The weight's own name tells apart graphs that differ in some weights of the same shapes only (adapters of a language). */
	const char *weight = nn_plan_node(plan, nn_plan_node(plan, node)->inputs[1])->name;
	char name[4 * NN_NAME];
	snprintf(name, sizeof name, "%s/%d/%lldx%lldx%d/%d/%s/%s", plan->name, node, (long long)s->n, (long long)s->k, s->taps, s->groups,
	         s->kind == STEP_DEPTHWISE ? "depthwise" : s->family->isa, weight);
	size_t found;
	const char *blob = nn_pack_find(pack, name, &found);
	if (!blob || found != l.size) {
		char *fresh = nn_pack_new(pack, name, l.size);
		if (!fresh)
			return sn_fail(err, SN_E_MEMORY, "no memory for %zu bytes of packed weights", l.size);
		const int result = pack_into(fresh, plan, s, &l, node, err);
		if (result != SN_OK) {
			nn_pack_drop(pack);
			return result;
		}
		blob = nn_pack_filled(pack);
	}
	point_into(s, &l, blob);
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

static int compile(nn_plan **out, const nn_graph *g, const nn_plan_options *options, nn_need *need, char *err) {
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
	plan->need = need;
	if (options->exports && !need) {
		const int result = nn_exports_add(options->exports, g, err);
		if (result != SN_OK) {
			nn_plan_release(&plan);
			return result;
		}
		need = plan->need = &plan->unneeded;
	}
	if (options->backend && !need) {
		const int result = nn_ort_plan_new(&plan->ort, g, options->backend, options->debug, err);
		if (result != SN_OK)
			nn_plan_release(&plan);
		*out = plan;
		return result;
	}
	plan->of_node = malloc(((size_t)g->count * 3 + 1) * sizeof *plan->of_node);
	nn_pack *pack = options->pack;
	int result = plan->of_node ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for plan %s", g->name);
	if (result == SN_OK && !pack && !need) {
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

int nn_plan_compile(nn_plan **out, const nn_graph *g, const nn_plan_options *options, char *err) { return compile(out, g, options, NULL, err); }

int nn_plan_measure(nn_need *need, const nn_graph *g, const nn_plan_options *options, int threads, char *err) {
	nn_plan *plan;
	nn_plan_options measured = *options;
	if (options->backend) /* about what ONNX Runtime takes, which does not say it */
		measured.dtype = NN_DTYPE_F32;
	*need = (nn_need){ 0 };
	int result = compile(&plan, g, &measured, need, err);
	if (result != SN_OK)
		return result;
	need->work = plan->arena + plan->inputs + (plan->local + plan->scratch) * (size_t)threads;
	need->states = plan->states;
	nn_plan_release(&plan);
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
	nn_ort_plan_free(&plan->ort);
	nn_graph_free(&plan->graph);
	free(plan);
}
