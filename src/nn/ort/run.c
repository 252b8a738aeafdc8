/* An exec: memory of inputs and outputs for the symbols' maxima, bound at the extents of each run, and states that stay where they
 * are. */
#include "nn/ort/runtime.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* One part of a state. It begins as zeros in this process' memory, of which only what is used becomes real; what lies on a device
 * moves there with the first run that writes it, for good. */
typedef struct buffer {
	char *memory;       /* of value[0] */
	size_t bytes;
	OrtAllocator *allocator; /* of the others */
	OrtValue *value[3]; /* `now` holds the state; where it is not written in place, another one takes its next contents */
	int now;
	int far;            /* value[1] and [2] lie on the device */
} buffer;

typedef struct state {
	int node;
	buffer part[NN_STATE_PARTS];
} state;

typedef struct port {
	const nn_port *of;
	char *memory; /* of the maxima; NULL for states */
	size_t bytes;
	int bound, rank;
	int64_t dims[NN_MAX_RANK]; /* at which it is bound */
	const OrtValue *state;     /* that is bound: a part's values live as long as it does */
	int64_t symbol;
} port;

struct nn_ort_exec {
	nn_ort_plan *plan;
	const nn_graph *graph;
	OrtIoBinding *binding;
	char *memory; /* of all ports and inputs */
	size_t bytes;
	port *input, *output;
	char **node_memory; /* by node: inputs, also those that the graph does not need */
	int states;
	state *own;
	state **state; /* own, or another exec's */
	int states_bound;
};

static int map(char **out, size_t size, const char *name, char *err) {
	void *memory = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return sn_fail(err, SN_E_MEMORY, "no memory for %zu bytes of plan %s", size, name);
	*out = memory;
	return SN_OK;
}

static void unmap(char *memory, size_t size) {
	if (memory)
		munmap(memory, size ? size : 1);
}

/* ---- ports ---- */

/* An input of this process' memory goes to a device at the moment in which it is bound: before each run. All else stays bound. */
static int stays_bound(const nn_ort_exec *e, int output, int far) { return output || far || !e->plan->backend->device; }

static size_t most_bytes(const nn_graph *g, const nn_node *n) {
	size_t size = 4;
	for (int a = 0; a < n->rank; a++)
		size *= (size_t)nn_dim_value(g, n->dims[a], NULL);
	return (size + 63) / 64 * 64 + 64;
}

/* Places of all inputs and outputs in one piece of memory; counts only while there is none. */
static void place(nn_ort_exec *e) {
	const nn_lowered *l = e->plan->lowered;
	size_t at = 0;
	for (int i = 0; i < e->graph->count; i++)
		if (e->graph->nodes[i].op == OP_INPUT) {
			e->node_memory[i] = e->memory ? e->memory + at : NULL;
			at += most_bytes(e->graph, e->graph->nodes + i);
		}
	for (int i = 0; i < l->inputs + l->outputs; i++) {
		port *p = i < l->inputs ? e->input + i : e->output + i - l->inputs;
		p->of = i < l->inputs ? l->input + i : l->output + i - l->inputs;
		if (p->of->kind == PORT_STATE)
			continue;
		p->bytes = p->of->kind == PORT_SYMBOL ? 64 : most_bytes(e->graph, e->graph->nodes + p->of->index);
		p->memory = p->of->kind == PORT_INPUT ? e->node_memory[p->of->index] : e->memory ? e->memory + at : NULL;
		at += p->of->kind == PORT_INPUT ? 0 : p->bytes;
	}
	e->bytes = at;
}

static int bind(nn_ort_exec *e, const port *p, int output, const OrtValue *value, char *err) {
	const nn_backend *b = e->plan->backend;
	OrtStatus *status = output ? b->api->BindOutput(e->binding, p->of->name, value)
	                           : b->api->BindInput(e->binding, p->of->name, value);
	return nn_ort_check(b, status, err, "plan %s: '%s' cannot be bound", e->plan->name, p->of->name);
}

/* Binds a port's memory at the extents of the moment, where they differ from the last run's. */
static int bind_port(nn_ort_exec *e, port *p, int output, const int64_t *symbols, char *err) {
	const nn_backend *b = e->plan->backend;
	int64_t dims[NN_MAX_RANK] = { 1 };
	int rank = 1;
	size_t bytes = 8;
	ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
	if (p->of->kind == PORT_SYMBOL) {
		memcpy(p->memory, &symbols[p->of->index], sizeof *symbols);
	} else {
		const nn_node *n = e->graph->nodes + p->of->index;
		type = n->type == NN_I32 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
		rank = n->rank;
		bytes = 4;
		for (int a = 0; a < rank; a++) {
			dims[a] = nn_dim_value(e->graph, n->dims[a], symbols);
			dims[a] = dims[a] > 0 ? dims[a] : 0;
			bytes *= (size_t)dims[a];
		}
	}
	if (p->bound && p->rank == rank && memcmp(dims, p->dims, (size_t)rank * sizeof *dims) == 0 && stays_bound(e, output, 0))
		return SN_OK;
	OrtValue *value = NULL;
	OrtStatus *status = b->api->CreateTensorWithDataAsOrtValue(b->cpu, p->memory, bytes, dims, (size_t)rank, type, &value);
	int result = nn_ort_check(b, status, err, "plan %s: '%s'", e->plan->name, p->of->name);
	if (result == SN_OK)
		result = bind(e, p, output, value, err);
	if (value)
		b->api->ReleaseValue(value); /* the binding holds it */
	p->bound = result == SN_OK;
	p->rank = rank;
	memcpy(p->dims, dims, sizeof dims);
	return result;
}

/* ---- states ---- */

static int new_buffer(nn_ort_exec *e, const nn_node *n, int part, buffer *out, char *err) {
	const nn_backend *b = e->plan->backend;
	int rank;
	int64_t dims[ONNX_MAX_RANK];
	const onnx_type type = nn_state_shape(n, part, &rank, dims);
	out->far = b->device && type != ONNX_I64; /* lengths are read here */
	out->bytes = type == ONNX_I64 ? 8 : 4;
	for (int a = 0; a < rank; a++)
		out->bytes *= (size_t)dims[a];
	const int result = map(&out->memory, out->bytes, e->plan->name, err);
	if (result != SN_OK)
		return result;
	OrtStatus *status = b->api->CreateTensorWithDataAsOrtValue(b->cpu, out->memory, out->bytes, dims, (size_t)rank,
	                                                           (ONNXTensorElementDataType)type, &out->value[0]);
	return nn_ort_check(b, status, err, "state '%s'", n->name);
}

static int new_states(nn_ort_exec *e, char *err) {
	int result = SN_OK;
	for (int i = 0; i < e->graph->count; i++)
		e->states += nn_is_state(e->graph->nodes[i].op);
	e->own = calloc((size_t)e->states + 1, sizeof *e->own);
	e->state = calloc((size_t)e->states + 1, sizeof *e->state);
	if (!e->own || !e->state)
		return sn_fail(err, SN_E_MEMORY, "no memory for the states of plan %s", e->plan->name);
	for (int i = 0, s = 0; i < e->graph->count && result == SN_OK; i++) {
		const nn_node *n = e->graph->nodes + i;
		if (!nn_is_state(n->op))
			continue;
		e->own[s].node = i;
		e->state[s] = &e->own[s];
		for (int part = 0; part < nn_state_parts(n) && result == SN_OK; part++)
			result = new_buffer(e, n, part, &e->own[s].part[part], err);
		s++;
	}
	return result;
}

static void free_states(nn_ort_exec *e) {
	const nn_backend *b = e->plan->backend;
	for (int s = 0; e->own && s < e->states; s++)
		for (int part = 0; part < NN_STATE_PARTS; part++) {
			buffer *p = &e->own[s].part[part];
			for (int i = 0; i < 3; i++)
				if (p->value[i])
					b->api->ReleaseValue(p->value[i]);
			if (p->allocator)
				b->api->ReleaseAllocator(p->allocator);
			unmap(p->memory, p->bytes);
		}
	free(e->own);
	free(e->state);
}

static buffer *buffer_of(nn_ort_exec *e, const nn_port *p) {
	for (int s = 0; s < e->states; s++)
		if (e->own[s].node == p->index)
			return &e->state[s]->part[p->part];
	return NULL;
}

/* Which value takes what a run makes of the state. In place only the rows that it writes are touched. */
static int next_of(const nn_ort_exec *e, const buffer *of) {
	const int moves = of->far && of->now == 0;
	if (e->plan->backend->in_place && !e->plan->lowered->write_after_read && !moves)
		return of->now;
	return of->far ? 1 + (of->now == 1) : !of->now;
}

static int make_value(nn_ort_exec *e, const nn_port *p, buffer *of, int index, char *err) {
	const nn_backend *b = e->plan->backend;
	int rank, result = SN_OK;
	int64_t dims[ONNX_MAX_RANK];
	const onnx_type type = nn_state_shape(e->graph->nodes + p->index, p->part, &rank, dims);
	if (of->value[index])
		return SN_OK;
	if (!of->allocator)
		result = nn_ort_check(b, b->api->CreateAllocator(e->plan->session, of->far ? b->device : b->cpu, &of->allocator), err,
		                      "no memory for state '%s'", p->name);
	if (result != SN_OK)
		return result;
	OrtStatus *status = b->api->CreateTensorAsOrtValue(of->allocator, dims, (size_t)rank, (ONNXTensorElementDataType)type,
	                                                   &of->value[index]);
	return nn_ort_check(b, status, err, "no memory for state '%s'", p->name);
}

static int bind_state(nn_ort_exec *e, port *p, int output, char *err) {
	buffer *of = buffer_of(e, p->of);
	const int index = output ? next_of(e, of) : of->now;
	int result = make_value(e, p->of, of, index, err);
	if (result != SN_OK || (p->state == of->value[index] && stays_bound(e, output, of->far && index > 0)))
		return result;
	p->state = NULL;
	result = bind(e, p, output, of->value[index], err);
	if (result == SN_OK)
		p->state = of->value[index];
	return result;
}

static int bind_all(nn_ort_exec *e, port *ports, int count, int output, const int64_t *symbols, char *err) {
	int result = SN_OK;
	for (int i = 0; i < count && result == SN_OK; i++)
		result = ports[i].of->kind == PORT_STATE ? bind_state(e, ports + i, output, err)
		                                         : bind_port(e, ports + i, output, symbols, err);
	return result;
}

/* What was written is the state now. */
static void exchange_states(nn_ort_exec *e) {
	for (int i = 0; i < e->plan->lowered->outputs; i++)
		if (e->output[i].of->kind == PORT_STATE) {
			buffer *of = buffer_of(e, e->output[i].of);
			of->now = next_of(e, of);
		}
}

/* ---- execs ---- */

int nn_ort_exec_new(nn_ort_exec **out, nn_ort_plan *plan, const nn_graph *g, char *err) {
	const nn_lowered *l = plan->lowered;
	nn_ort_exec *e = calloc(1, sizeof *e);
	*out = NULL;
	if (!e)
		return sn_fail(err, SN_E_MEMORY, "no memory to run plan %s", plan->name);
	e->plan = plan;
	e->graph = g;
	e->input = calloc((size_t)l->inputs + 1, sizeof *e->input);
	e->output = calloc((size_t)l->outputs + 1, sizeof *e->output);
	e->node_memory = calloc((size_t)g->count + 1, sizeof *e->node_memory);
	const int whole = e->input && e->output && e->node_memory;
	int result = whole ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory to run plan %s", plan->name);
	if (result == SN_OK) {
		place(e);
		result = map(&e->memory, e->bytes, plan->name, err);
	}
	if (result == SN_OK) {
		place(e);
		result = new_states(e, err);
	}
	if (result == SN_OK)
		result = nn_ort_check(plan->backend, plan->backend->api->CreateIoBinding(plan->session, &e->binding), err, "plan %s",
		                      plan->name);
	if (result != SN_OK)
		nn_ort_exec_free(&e);
	*out = e;
	return result;
}

void nn_ort_exec_free(nn_ort_exec **held) {
	nn_ort_exec *e = *held;
	*held = NULL;
	if (!e)
		return;
	if (e->binding)
		e->plan->backend->api->ReleaseIoBinding(e->binding);
	free_states(e);
	unmap(e->memory, e->bytes);
	free(e->input);
	free(e->output);
	free(e->node_memory);
	free(e);
}

static int same_state(const nn_node *a, const nn_node *b) {
	return a->op == b->op && a->first == b->first && nn_cols(a) == nn_cols(b) && a->dims[0].add == b->dims[0].add &&
	       a->dims[1].add == b->dims[1].add;
}

int nn_ort_exec_share(nn_ort_exec *e, nn_ort_exec *owner, char *err) {
	for (int s = 0; s < e->states; s++)
		for (int o = 0; o < owner->states; o++) {
			const nn_node *mine = e->graph->nodes + e->own[s].node, *theirs = owner->graph->nodes + owner->own[o].node;
			if (strcmp(mine->name, theirs->name) != 0)
				continue;
			if (!same_state(mine, theirs))
				return sn_fail(err, SN_E_INTERNAL, "state '%s' has one shape in plan %s and another in %s", mine->name,
				               e->plan->name, owner->plan->name);
			e->state[s] = owner->state[o];
		}
	return SN_OK;
}

void *nn_ort_exec_input(nn_ort_exec *e, const char *name) {
	for (int i = 0; i < e->graph->count; i++)
		if (e->graph->nodes[i].op == OP_INPUT && strcmp(e->graph->nodes[i].name, name) == 0)
			return e->node_memory[i];
	return NULL;
}

static int run(nn_ort_exec *e, const int64_t *symbols, char *err) {
	const nn_backend *b = e->plan->backend;
	const nn_lowered *l = e->plan->lowered;
	int result = bind_all(e, e->input, l->inputs, 0, symbols, err);
	if (result == SN_OK)
		result = bind_all(e, e->output, l->outputs, 1, symbols, err);
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->RunWithBinding(e->plan->session, NULL, e->binding), err,
		                      "ONNX Runtime fails in graph %s", e->plan->name);
	if (result == SN_OK)
		exchange_states(e);
	return result;
}

int nn_ort_exec_run(nn_ort_exec *e, const int64_t *symbols, char *err) {
	const int result = run(e, symbols, err);
	for (int i = 0; result != SN_OK && i < e->plan->lowered->outputs; i++)
		if (e->output[i].memory)
			memset(e->output[i].memory, 0, e->output[i].bytes);
	return result;
}

/* ---- results ---- */

static const float *copy_dims(const nn_ort_exec *e, int node, const char *memory, const int64_t *symbols, int64_t *dims) {
	const nn_node *n = e->graph->nodes + node;
	for (int a = 0; dims && a < n->rank; a++)
		dims[a] = nn_dim_value(e->graph, n->dims[a], symbols);
	return (const float *)(const void *)memory;
}

const float *nn_ort_exec_output(nn_ort_exec *e, const char *name, const int64_t *symbols, int64_t *dims) {
	for (int i = 0; i < e->plan->lowered->outputs; i++) {
		const nn_port *p = e->output[i].of;
		if (p->kind == PORT_OUTPUT && strcmp(e->graph->nodes[p->index].output_name, name) == 0)
			return copy_dims(e, p->index, e->output[i].memory, symbols, dims);
	}
	return NULL;
}

int nn_ort_exec_tensor(nn_ort_exec *e, const char *name, const int64_t *symbols, float **values, int *rank, int64_t *dims,
                       char *err) {
	const char *memory = NULL;
	int node = -1;
	for (int i = 0; i < e->graph->count; i++)
		if (e->graph->nodes[i].op == OP_INPUT && e->graph->nodes[i].type == NN_F32 &&
		    strcmp(e->graph->nodes[i].name, name) == 0) {
			node = i;
			memory = e->node_memory[i];
		}
	for (int i = 0; i < e->plan->lowered->outputs; i++) {
		const nn_port *p = e->output[i].of;
		const nn_node *n = e->graph->nodes + p->index;
		const int has_name = strcmp(n->name, name) == 0 || (n->is_output && strcmp(n->output_name, name) == 0);
		if (p->kind != PORT_STATE && p->index > node && has_name) {
			node = p->index;
			memory = e->output[i].memory;
		}
	}
	*values = NULL;
	if (node < 0)
		return sn_fail(err, SN_E_NOT_FOUND, "plan %s keeps no tensor '%s'", e->plan->name, name);
	copy_dims(e, node, memory, symbols, dims);
	*rank = e->graph->nodes[node].rank;
	size_t bytes = sizeof **values;
	for (int a = 0; a < *rank; a++)
		bytes *= (size_t)(dims[a] > 0 ? dims[a] : 0);
	*values = malloc(bytes + 1);
	if (!*values)
		return sn_fail(err, SN_E_MEMORY, "no memory for tensor '%s'", name);
	memcpy(*values, memory, bytes);
	return SN_OK;
}
