#include "nn/ort/onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Field numbers of onnx.proto. */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_GRAPH = 7, MODEL_OPSET = 8, OPSET_VERSION = 2 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_CONSTANT = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_F = 2, ATTRIBUTE_I = 3, ATTRIBUTE_S = 4, ATTRIBUTE_INTS = 8, ATTRIBUTE_TYPE = 20 };
enum { KIND_FLOAT = 1, KIND_INT = 2, KIND_STRING = 3, KIND_INTS = 7 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { INFO_NAME = 1, INFO_TYPE = 2, TYPE_TENSOR = 1, TENSOR_TYPE_ELEMENT = 1, TENSOR_TYPE_SHAPE = 2, SHAPE_DIM = 1, DIM_VALUE = 1,
	DIM_NAME = 2 };

#define EXTERNAL_ALIGN 4096 /* of a constant in its file: a loader may map it */

/* ---- the wire ---- */

static void append(onnx_bytes *b, const void *data, size_t size) {
	if (b->failed || size > ONNX_MAX_BYTES - b->size) {
		b->failed = 1;
		return;
	}
	if (b->size + size > b->capacity) {
		size_t grown = b->capacity ? b->capacity : 256;
		while (grown < b->size + size)
			grown *= 2;
		uint8_t *bigger = realloc(b->data, grown);
		if (!bigger) {
			b->failed = 1;
			return;
		}
		b->data = bigger;
		b->capacity = grown;
	}
	if (size)
		memcpy(b->data + b->size, data, size);
	b->size += size;
}

static void varint(onnx_bytes *b, uint64_t v) {
	uint8_t text[10];
	size_t n = 0;
	for (; v > 127; v >>= 7)
		text[n++] = (uint8_t)(v | 128);
	text[n++] = (uint8_t)v;
	append(b, text, n);
}

static void number(onnx_bytes *b, int field, int64_t v) {
	varint(b, (uint64_t)field << 3);
	varint(b, (uint64_t)v);
}

static void bytes(onnx_bytes *b, int field, const void *data, size_t size) {
	varint(b, (uint64_t)field << 3 | 2);
	varint(b, size);
	append(b, data, size);
}

static void text(onnx_bytes *b, int field, const char *s) { bytes(b, field, s, strlen(s)); }

/* `inner` as a field of b; inner is emptied. */
static void message(onnx_bytes *b, int field, onnx_bytes *inner) {
	bytes(b, field, inner->data, inner->size);
	b->failed |= inner->failed;
	free(inner->data);
	*inner = (onnx_bytes){ 0 };
}

/* ---- models ---- */

onnx_model *onnx_new(void) { return calloc(1, sizeof(onnx_model)); }

void onnx_free(onnx_model **held) {
	onnx_model *m = *held;
	*held = NULL;
	if (!m)
		return;
	onnx_bytes *all[] = { &m->nodes, &m->constants, &m->inputs, &m->outputs, &m->attributes };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]->data);
	for (int i = 0; i < m->externals; i++)
		free(m->external[i].data);
	free(m->external);
	free(m->names);
	free(m);
}

static onnx_value new_value(onnx_model *m, const char *name) {
	if (m->failed)
		return ONNX_NONE;
	if (m->values == m->value_capacity) {
		int grown = m->value_capacity ? 2 * m->value_capacity : 512;
		char (*bigger)[ONNX_NAME] = grown <= ONNX_MAX_VALUES ? realloc(m->names, (size_t)grown * sizeof *bigger) : NULL;
		if (!bigger) {
			m->failed = 1;
			return ONNX_NONE;
		}
		m->names = bigger;
		m->value_capacity = grown;
	}
	snprintf(m->names[m->values], ONNX_NAME, "%s", name);
	return m->values++;
}

const char *onnx_name(const onnx_model *m, onnx_value value, char buffer[ONNX_NAME]) {
	if (value < 0 || value >= m->values)
		return "";
	if (m->names[value][0])
		return m->names[value];
	snprintf(buffer, ONNX_NAME, "/%d", value);
	return buffer;
}

static void value_info(onnx_bytes *to, int field, const char *name, onnx_type type, int rank, const int64_t *dims,
                       const char *const *names) {
	onnx_bytes shape = { 0 }, tensor = { 0 }, kind = { 0 }, info = { 0 };
	for (int a = 0; a < rank; a++) {
		onnx_bytes dim = { 0 };
		if (dims[a] >= 0)
			number(&dim, DIM_VALUE, dims[a]);
		else if (names && names[a])
			text(&dim, DIM_NAME, names[a]);
		message(&shape, SHAPE_DIM, &dim);
	}
	number(&tensor, TENSOR_TYPE_ELEMENT, type);
	message(&tensor, TENSOR_TYPE_SHAPE, &shape);
	message(&kind, TYPE_TENSOR, &tensor);
	text(&info, INFO_NAME, name);
	message(&info, INFO_TYPE, &kind);
	message(to, field, &info);
}

onnx_value onnx_input(onnx_model *m, const char *name, onnx_type type, int rank, const int64_t *dims, const char *const *names) {
	onnx_value v = new_value(m, name);
	if (v >= 0)
		value_info(&m->inputs, GRAPH_INPUT, name, type, rank, dims, names);
	return v;
}

void onnx_output(onnx_model *m, onnx_value value, const char *name, onnx_type type, int rank, const int64_t *dims,
                 const char *const *names) {
	if (m->failed || value < 0)
		return;
	/* The value has a name already, and may be an input or an output of another name. */
	onnx_name_next(m, name);
	onnx_output_named(m, onnx_node(m, "Identity", 1, &value, 1), type, rank, dims, names);
}

void onnx_output_named(onnx_model *m, onnx_value value, onnx_type type, int rank, const int64_t *dims, const char *const *names) {
	if (value >= 0)
		value_info(&m->outputs, GRAPH_OUTPUT, m->names[value], type, rank, dims, names);
}

void onnx_name_next(onnx_model *m, const char *name) { m->named_as = new_value(m, name) + 1; }

static size_t element(onnx_type type) { return type == ONNX_I64 || type == ONNX_F64 ? 8 : type == ONNX_BOOL ? 1 : 4; }

static void external_entry(onnx_bytes *tensor, const char *key, const char *value) {
	onnx_bytes entry = { 0 };
	text(&entry, ENTRY_KEY, key);
	text(&entry, ENTRY_VALUE, value);
	message(tensor, TENSOR_EXTERNAL, &entry);
}

static void tensor_head(onnx_bytes *t, const char *name, onnx_type type, int rank, const int64_t *dims) {
	for (int a = 0; a < rank; a++)
		number(t, TENSOR_DIMS, dims[a]);
	number(t, TENSOR_TYPE, type);
	text(t, TENSOR_NAME, name);
}

static size_t count_bytes(onnx_type type, int rank, const int64_t *dims) {
	size_t size = element(type);
	for (int a = 0; a < rank; a++)
		size *= (size_t)dims[a];
	return size;
}

onnx_value onnx_constant(onnx_model *m, onnx_type type, int rank, const int64_t *dims, const void *values) {
	onnx_value v = new_value(m, "");
	if (v < 0)
		return v;
	char name[ONNX_NAME];
	onnx_bytes t = { 0 };
	tensor_head(&t, onnx_name(m, v, name), type, rank, dims);
	bytes(&t, TENSOR_RAW, values, count_bytes(type, rank, dims));
	message(&m->constants, GRAPH_CONSTANT, &t);
	return v;
}

static int is_free(const onnx_model *m, const char *name) {
	for (int i = 0; i < m->externals; i++)
		if (strcmp(m->external[i].name, name) == 0)
			return 0;
	return strlen(name) < ONNX_NAME && name[0] != '/'; /* as values without a name are called */
}

onnx_value onnx_constant_owned(onnx_model *m, const char *name, onnx_type type, int rank, const int64_t *dims, void *values) {
	size_t size = count_bytes(type, rank, dims);
	if (m->externals == m->external_capacity && !m->failed) {
		int grown = m->external_capacity ? 2 * m->external_capacity : 64;
		onnx_external *bigger = realloc(m->external, (size_t)grown * sizeof *bigger);
		m->failed |= !bigger;
		m->external = bigger ? bigger : m->external;
		m->external_capacity = bigger ? grown : m->external_capacity;
	}
	if (size <= ONNX_INLINE || m->failed) {
		onnx_value v = onnx_constant(m, type, rank, dims, values);
		free(values);
		return v;
	}
	onnx_value v = new_value(m, is_free(m, name) ? name : "");
	if (v < 0) {
		free(values);
		return v;
	}
	onnx_external *e = m->external + m->externals++;
	*e = (onnx_external){ .type = type, .rank = rank, .data = values, .bytes = size, .offset = m->external_bytes };
	memcpy(e->dims, dims, (size_t)rank * sizeof *dims);
	char buffer[ONNX_NAME];
	snprintf(e->name, sizeof e->name, "%s", onnx_name(m, v, buffer));
	m->external_bytes += (size + EXTERNAL_ALIGN - 1) / EXTERNAL_ALIGN * EXTERNAL_ALIGN;
	return v;
}

/* ---- nodes ---- */

static void attribute(onnx_model *m, onnx_bytes *a, const char *name, int kind) {
	text(a, ATTRIBUTE_NAME, name);
	number(a, ATTRIBUTE_TYPE, kind);
	message(&m->attributes, NODE_ATTRIBUTE, a);
}

void onnx_int(onnx_model *m, const char *name, int64_t value) {
	onnx_bytes a = { 0 };
	number(&a, ATTRIBUTE_I, value);
	attribute(m, &a, name, KIND_INT);
}

void onnx_float(onnx_model *m, const char *name, float value) {
	onnx_bytes a = { 0 };
	varint(&a, ATTRIBUTE_F << 3 | 5);
	append(&a, &value, sizeof value);
	attribute(m, &a, name, KIND_FLOAT);
}

void onnx_text(onnx_model *m, const char *name, const char *value) {
	onnx_bytes a = { 0 };
	text(&a, ATTRIBUTE_S, value);
	attribute(m, &a, name, KIND_STRING);
}

void onnx_ints(onnx_model *m, const char *name, int count, const int64_t *values) {
	onnx_bytes a = { 0 };
	for (int i = 0; i < count; i++)
		number(&a, ATTRIBUTE_INTS, values[i]);
	attribute(m, &a, name, KIND_INTS);
}

onnx_value onnx_node(onnx_model *m, const char *op, int inputs, const onnx_value *in, int outputs) {
	char name[ONNX_NAME];
	onnx_bytes node = { 0 };
	for (int i = 0; i < inputs; i++)
		text(&node, NODE_INPUT, onnx_name(m, in[i], name));
	onnx_value first = m->named_as ? m->named_as - 1 : new_value(m, "");
	m->named_as = 0;
	for (int i = 0; i < outputs; i++)
		text(&node, NODE_OUTPUT, onnx_name(m, i ? new_value(m, "") : first, name));
	text(&node, NODE_OP, op);
	snprintf(name, sizeof name, "%s%d", op, first);
	text(&node, NODE_NAME, name);
	append(&node, m->attributes.data, m->attributes.size);
	node.failed |= m->attributes.failed;
	m->attributes.size = 0;
	message(&m->nodes, GRAPH_NODE, &node);
	return m->failed ? ONNX_NONE : first;
}

/* ---- the whole ---- */

static void external_constant(onnx_bytes *to, const onnx_external *e, const char *file) {
	onnx_bytes t = { 0 };
	char number_text[32];
	tensor_head(&t, e->name, e->type, e->rank, e->dims);
	external_entry(&t, "location", file);
	snprintf(number_text, sizeof number_text, "%zu", e->offset);
	external_entry(&t, "offset", number_text);
	snprintf(number_text, sizeof number_text, "%zu", e->bytes);
	external_entry(&t, "length", number_text);
	number(&t, TENSOR_LOCATION, 1);
	message(to, GRAPH_CONSTANT, &t);
}

uint8_t *onnx_finish(onnx_model *m, const char *graph, const char *file, size_t *size) {
	onnx_bytes g = { 0 }, opset = { 0 }, model = { 0 };
	append(&g, m->nodes.data, m->nodes.size);
	text(&g, GRAPH_NAME, graph);
	append(&g, m->constants.data, m->constants.size);
	for (int i = 0; i < m->externals; i++)
		external_constant(&g, m->external + i, file);
	append(&g, m->inputs.data, m->inputs.size);
	append(&g, m->outputs.data, m->outputs.size);
	number(&model, MODEL_IR, ONNX_IR);
	text(&model, MODEL_PRODUCER, "sonant");
	message(&model, MODEL_GRAPH, &g);
	number(&opset, OPSET_VERSION, ONNX_OPSET);
	message(&model, MODEL_OPSET, &opset);
	if (m->failed || m->nodes.failed || m->constants.failed || m->inputs.failed || m->outputs.failed || model.failed) {
		free(model.data);
		return NULL;
	}
	*size = model.size;
	return model.data;
}
