/* ONNX files. The protobuf wire format is read here by hand: generated readers (protobuf-c) copy every bytes field, which for a
 * voice is 60 MB at each start, while the tensors' raw data can stay where it is mapped. Only typed data is copied.
 *
 * Wire format: a message is a row of (varint key = number << 3 | type), then type 0: varint, 1: 8 bytes, 2: varint length and
 * bytes, 5: 4 bytes. Repeated numbers come one by one or packed into a bytes field. */
#include "weights/facts.h"
#include "weights/reader.h"

#include <stdlib.h>
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* Field numbers of onnx.proto. */
enum { MODEL_GRAPH = 7, MODEL_METADATA = 14 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_F = 2, ATTRIBUTE_I = 3, ATTRIBUTE_S = 4, ATTRIBUTE_T = 5, ATTRIBUTE_G = 6, ATTRIBUTE_FLOATS = 7,
       ATTRIBUTE_INTS = 8, ATTRIBUTE_GRAPHS = 11 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_FLOATS = 4, TENSOR_INT32S = 5, TENSOR_INT64S = 7, TENSOR_NAME = 8, TENSOR_RAW = 9,
       TENSOR_DOUBLES = 10, TENSOR_EXTERNAL = 13 };

typedef struct bytes {
	const uint8_t *at, *end;
} bytes;

typedef struct field {
	uint32_t number;
	int type;
	uint64_t value; /* of types 0, 1 and 5 */
	bytes bytes;    /* of type 2 */
} field;

typedef struct reader {
	sn_weights *weights;
	const char *file;
	const uint8_t *start;
	char *err;
	int result; /* sticky */
	sn_onnx_external external;
} reader;

static size_t length_of(bytes b) { return (size_t)(b.end - b.at); }

static int read_varint(bytes *in, uint64_t *value) {
	*value = 0;
	for (int shift = 0; shift < 64 && in->at < in->end; shift += 7) {
		uint8_t byte = *in->at++;
		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return 1;
	}
	return 0;
}

static int read_fixed(bytes *in, size_t size, uint64_t *value) {
	if (length_of(*in) < size)
		return 0;
	*value = size == 8 ? sn_le64(in->at) : sn_le32(in->at);
	in->at += size;
	return 1;
}

/* 1: a field was read; 0: the message ends here, or it is malformed and the reader has failed. */
static int next_field(reader *r, bytes *in, field *out) {
	if (r->result != SN_OK || in->at == in->end)
		return 0;
	const uint8_t *from = in->at;
	uint64_t key, size;
	int good = read_varint(in, &key);
	out->number = (uint32_t)(key >> 3);
	out->type = (int)(key & 7);
	if (good && out->type == WIRE_VARINT) {
		good = read_varint(in, &out->value);
	} else if (good && (out->type == WIRE_64 || out->type == WIRE_32)) {
		good = read_fixed(in, out->type == WIRE_64 ? 8 : 4, &out->value);
	} else if (good && out->type == WIRE_BYTES) {
		good = read_varint(in, &size) && size <= length_of(*in);
		if (good) {
			out->bytes = (bytes){ in->at, in->at + size };
			in->at += size;
		}
	} else {
		good = 0;
	}
	if (!good)
		r->result = sn_fail(r->err, SN_E_MODEL, "%s: malformed at byte %zu (cut short, or no ONNX file)",
		                    r->file, (size_t)(from - r->start));
	return good;
}

static void *own(reader *r, size_t size) {
	return r->result == SN_OK ? sn_weights_own(r->weights, size, &r->result, r->err) : NULL;
}

/* A copy of a text field. "" for any other field or after a failure. */
static const char *own_text(reader *r, const field *f) {
	if (f->type != WIRE_BYTES || f->bytes.at == f->bytes.end || r->result != SN_OK)
		return "";
	if (memchr(f->bytes.at, 0, length_of(f->bytes)))
		return "";
	const char *text = sn_weights_own_text(r->weights, f->bytes.at, length_of(f->bytes), &r->result, r->err);
	return text ? text : "";
}

/* ---- repeated numbers ---- */

/* Stores up to `max` numbers of field `number` as elements of `dtype` and returns how many there are; out may be NULL. On the
 * wire float32 and float64 have their own width; everything else is a varint, of which a narrow element takes the low bits. */
static int64_t read_numbers(reader *r, bytes message, uint32_t number, sn_dtype dtype, int64_t max, void *out) {
	int64_t count = 0;
	size_t element = sn_dtype_size(dtype);
	int wire = dtype == SN_F32 ? WIRE_32 : dtype == SN_F64 ? WIRE_64 : WIRE_VARINT;
	for (field f; next_field(r, &message, &f);) {
		if (f.number != number || (f.type != WIRE_BYTES && f.type != wire))
			continue;
		bytes packed = f.bytes;
		for (int more = 1; more; count++) {
			uint64_t value = f.value;
			if (f.type == WIRE_BYTES) {
				if (packed.at == packed.end)
					break;
				more = wire == WIRE_VARINT ? read_varint(&packed, &value) : read_fixed(&packed, element, &value);
				if (!more) {
					r->result = sn_fail(r->err, SN_E_MODEL, "%s: malformed numbers at byte %zu",
					                    r->file, (size_t)(f.bytes.at - r->start));
					break;
				}
			} else {
				more = 0;
			}
			if (out && count < max)
				memcpy((uint8_t *)out + (size_t)count * element, &value, element);
		}
	}
	return count;
}

/* ---- tensors ---- */

static int dtype_of(uint64_t code, sn_dtype *dtype, uint32_t *typed) {
	static const struct {
		uint8_t code, dtype, typed;
	} types[] = {
		{ 1, SN_F32, TENSOR_FLOATS },  { 2, SN_U8, TENSOR_INT32S },   { 3, SN_I8, TENSOR_INT32S },    { 5, SN_I16, TENSOR_INT32S },
		{ 6, SN_I32, TENSOR_INT32S },  { 7, SN_I64, TENSOR_INT64S },  { 9, SN_BOOL, TENSOR_INT32S },  { 10, SN_F16, TENSOR_INT32S },
		{ 11, SN_F64, TENSOR_DOUBLES }, { 16, SN_BF16, TENSOR_INT32S },
	};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (types[i].code == code) {
			*dtype = (sn_dtype)types[i].dtype;
			*typed = types[i].typed;
			return 1;
		}
	return 0;
}

/* Bodies of If and Loop may reuse each other's names; the main graph may not. */
static void add_tensor(reader *r, sn_weight *weight, const char *scope) {
	if (*scope && sn_weights_find(r->weights, weight->name)) {
		char name[SN_WEIGHTS_MAX_NAME + 1];
		size_t length = strlen(scope), rest = strlen(weight->name);
		if (length + 1 + rest > SN_WEIGHTS_MAX_NAME) {
			r->result = sn_fail(r->err, SN_E_MODEL, "%s: tensor '%s' occurs twice and its scope is too long", r->file, weight->name);
			return;
		}
		memcpy(name, scope, length);
		name[length] = '/';
		memcpy(name + length + 1, weight->name, rest);
		weight->name = sn_weights_own_text(r->weights, name, length + 1 + rest, &r->result, r->err);
		if (!weight->name)
			return;
	}
	r->result = sn_weights_add(r->weights, weight, r->file, r->err);
}

/* Numbers in typed fields are copied. Each takes at least a byte of the message, which bounds what a lying shape can ask for. */
static void read_typed(reader *r, bytes message, uint32_t number, sn_weight *weight) {
	int64_t elements = sn_weights_elements(weight->rank, weight->dims);
	int64_t given = read_numbers(r, message, number, weight->dtype, 0, NULL);
	if (r->result == SN_OK && given != elements)
		r->result = sn_fail(r->err, SN_E_MODEL, "%s: tensor '%s' holds %lld values; its shape needs %lld", r->file, weight->name,
		                    (long long)given, (long long)elements);
	weight->bytes = (size_t)given * sn_dtype_size(weight->dtype);
	void *data = own(r, weight->bytes);
	if (data)
		read_numbers(r, message, number, weight->dtype, given, data);
	weight->data = data;
}

/* A StringStringEntryProto. */
static void read_entry(reader *r, bytes message, const char **key, const char **value) {
	*key = *value = "";
	for (field f; next_field(r, &message, &f);)
		if (f.number == ENTRY_KEY)
			*key = own_text(r, &f);
		else if (f.number == ENTRY_VALUE)
			*value = own_text(r, &f);
}

static void read_external(reader *r, bytes message, sn_weight *weight) {
	const char *location = NULL, *offset = NULL, *length = NULL, *key, *value;
	const int64_t elements = sn_weights_elements(weight->rank, weight->dims);
	for (field f; next_field(r, &message, &f);) {
		if (f.number != TENSOR_EXTERNAL || f.type != WIRE_BYTES)
			continue;
		read_entry(r, f.bytes, &key, &value);
		location = strcmp(key, "location") == 0 ? value : location;
		offset = strcmp(key, "offset") == 0 ? value : offset;
		length = strcmp(key, "length") == 0 ? value : length;
	}
	if (r->result == SN_OK && (elements < 0 || elements > INT64_MAX / 8))
		r->result = sn_fail(r->err, SN_E_MODEL, "%s: the dimensions of tensor '%s' are negative or too large", r->file, weight->name);
	if (r->result != SN_OK)
		return;
	weight->bytes = (size_t)elements * sn_dtype_size(weight->dtype);
	r->result = sn_onnx_external_find(r->weights, &r->external, r->file, weight->name, location, offset, length, weight->bytes, &weight->data,
	                                  r->err);
}

/* `name` overrides the tensor's own. Types that hold no weights (text, complex numbers) are passed over. */
static void read_tensor(reader *r, bytes message, const char *name, const char *scope) {
	sn_weight weight = { .name = name };
	bytes raw = { 0 };
	uint64_t code = 0;
	int external = 0;
	bytes in = message;
	for (field f; next_field(r, &in, &f);) {
		if (f.number == TENSOR_NAME && !name)
			weight.name = own_text(r, &f);
		else if (f.number == TENSOR_TYPE && f.type == WIRE_VARINT)
			code = f.value;
		else if (f.number == TENSOR_RAW && f.type == WIRE_BYTES)
			raw = f.bytes;
		else if (f.number == TENSOR_EXTERNAL)
			external = 1;
	}
	uint32_t typed = 0;
	if (r->result != SN_OK || !dtype_of(code, &weight.dtype, &typed) || !weight.name || !*weight.name)
		return;
	int64_t rank = read_numbers(r, message, TENSOR_DIMS, SN_I64, SN_WEIGHTS_MAX_RANK, weight.dims);
	if (r->result == SN_OK && rank > SN_WEIGHTS_MAX_RANK)
		r->result = sn_fail(r->err, SN_E_MODEL, "%s: tensor '%s' has %lld dimensions; at most %d are read",
		                    r->file, weight.name, (long long)rank, SN_WEIGHTS_MAX_RANK);
	if (r->result != SN_OK)
		return;
	weight.rank = (int)rank;
	if (external) {
		read_external(r, message, &weight);
	} else if (raw.at) {
		weight.data = raw.at;
		weight.bytes = length_of(raw);
	} else {
		read_typed(r, message, typed, &weight);
	}
	if (r->result == SN_OK)
		add_tensor(r, &weight, scope);
}

/* A Constant node's value: a tensor, or numbers in the attribute itself (value_float, value_ints, ...). */
static void read_constant(reader *r, bytes attribute, const sn_onnx_attribute *parsed, const char *name, const char *scope) {
	sn_weight weight = { .name = name };
	for (field f; next_field(r, &attribute, &f);)
		if (f.number == ATTRIBUTE_T && f.type == WIRE_BYTES) {
			read_tensor(r, f.bytes, name, scope);
			return;
		}
	int list = parsed->floats || parsed->ints, is_float = parsed->floats || strcmp(parsed->name, "value_float") == 0;
	if (r->result != SN_OK || (!list && !is_float && strcmp(parsed->name, "value_int") != 0))
		return;
	weight.dtype = is_float ? SN_F32 : SN_I64;
	weight.rank = list;
	weight.dims[0] = parsed->count;
	weight.bytes = sn_dtype_size(weight.dtype) * (size_t)(list ? parsed->count : 1);
	weight.data = parsed->floats ? (const void *)parsed->floats : parsed->ints ? (const void *)parsed->ints
	              : is_float     ? (const void *)&parsed->f
	                             : (const void *)&parsed->i;
	add_tensor(r, &weight, scope);
}

/* ---- nodes ---- */

static int count_fields(reader *r, bytes message, uint32_t number) {
	int count = 0;
	for (field f; next_field(r, &message, &f);)
		count += f.number == number && f.type == WIRE_BYTES;
	return count;
}

/* The texts of a repeated field. */
static const char *const *read_texts(reader *r, bytes message, uint32_t number, int *count) {
	*count = count_fields(r, message, number);
	const char **texts = own(r, (size_t)(*count + 1) * sizeof *texts);
	int at = 0;
	for (field f; texts && next_field(r, &message, &f);)
		if (f.number == number && f.type == WIRE_BYTES)
			texts[at++] = own_text(r, &f);
	if (r->result != SN_OK)
		*count = 0;
	return texts;
}

static void read_attribute(reader *r, bytes message, sn_onnx_attribute *out) {
	*out = (sn_onnx_attribute){ .name = "", .s = "" };
	bytes in = message;
	for (field f; next_field(r, &in, &f);) {
		if (f.number == ATTRIBUTE_NAME) {
			out->name = own_text(r, &f);
		} else if (f.number == ATTRIBUTE_S) {
			out->s = own_text(r, &f);
		} else if (f.number == ATTRIBUTE_I && f.type == WIRE_VARINT) {
			out->i = (int64_t)f.value;
		} else if (f.number == ATTRIBUTE_F && f.type == WIRE_32) {
			uint32_t bits = (uint32_t)f.value;
			memcpy(&out->f, &bits, sizeof bits);
		}
	}
	int64_t floats = read_numbers(r, message, ATTRIBUTE_FLOATS, SN_F32, 0, NULL);
	int64_t ints = floats ? 0 : read_numbers(r, message, ATTRIBUTE_INTS, SN_I64, 0, NULL);
	void *numbers = floats || ints ? own(r, floats ? (size_t)floats * sizeof(float) : (size_t)ints * sizeof(int64_t)) : NULL;
	if (!numbers)
		return;
	read_numbers(r, message, floats ? ATTRIBUTE_FLOATS : ATTRIBUTE_INTS, floats ? SN_F32 : SN_I64, floats + ints, numbers);
	out->floats = floats ? numbers : NULL;
	out->ints = ints ? numbers : NULL;
	out->count = (int)(floats + ints);
}

static int64_t add_node(reader *r, const sn_onnx_node *node) {
	sn_weights *weights = r->weights;
	if (r->result != SN_OK)
		return -1;
	if (weights->node_count == SN_ONNX_MAX_NODES) {
		r->result = sn_fail(r->err, SN_E_LIMIT, "%s: more than %d nodes", r->file, SN_ONNX_MAX_NODES);
		return -1;
	}
	if (weights->node_count == weights->node_capacity) {
		size_t capacity = weights->node_capacity ? weights->node_capacity * 2 : 1024;
		sn_onnx_node *nodes = realloc(weights->nodes, capacity * sizeof *nodes);
		if (!nodes) {
			r->result = sn_fail(r->err, SN_E_MEMORY, "%s: out of memory for %zu nodes", r->file, capacity);
			return -1;
		}
		weights->nodes = nodes;
		weights->node_capacity = capacity;
	}
	weights->nodes[weights->node_count] = *node;
	return (int64_t)weights->node_count++;
}

static void read_graph(reader *r, bytes message, const char *scope, int parent, int depth);

/* SCOPE/NODE.ATTRIBUTE */
static const char *body_scope(reader *r, const sn_onnx_node *node, const char *attribute) {
	size_t scope = strlen(node->scope), name = strlen(node->name), tail = strlen(attribute), at = scope ? scope + 1 : 0;
	size_t length = at + name + 1 + tail;
	if (r->result == SN_OK && length > SN_WEIGHTS_MAX_NAME)
		r->result = sn_fail(r->err, SN_E_LIMIT, "%s: a graph inside node '%.128s' has a path of %zu bytes; at most %d are read",
		                    r->file, node->name, length, SN_WEIGHTS_MAX_NAME);
	char *text = own(r, length + 1);
	if (!text)
		return "";
	if (scope) {
		memcpy(text, node->scope, scope);
		text[scope] = '/';
	}
	memcpy(text + at, node->name, name);
	text[at + name] = '.';
	memcpy(text + at + name + 1, attribute, tail + 1);
	return text;
}

static void read_bodies(reader *r, bytes message, const sn_onnx_node *node, int index, int depth) {
	int at = 0;
	for (field f; next_field(r, &message, &f);) {
		if (f.number != NODE_ATTRIBUTE || f.type != WIRE_BYTES)
			continue;
		const sn_onnx_attribute *attribute = node->attributes + at++;
		bytes in = f.bytes;
		for (field g; next_field(r, &in, &g);)
			if ((g.number == ATTRIBUTE_G || g.number == ATTRIBUTE_GRAPHS) && g.type == WIRE_BYTES)
				read_graph(r, g.bytes, body_scope(r, node, attribute->name), index, depth + 1);
		if (r->result == SN_OK && strcmp(node->op, "Constant") == 0 && node->output_count > 0)
			read_constant(r, f.bytes, attribute, node->outputs[0], node->scope);
	}
}

static const char *read_node_name(reader *r, const field *f) {
	if (r->result == SN_OK && f->type == WIRE_BYTES && length_of(f->bytes) > SN_WEIGHTS_MAX_NAME)
		r->result = sn_fail(r->err, SN_E_LIMIT, "%s: a node's name has %zu bytes; at most %d are read",
		                    r->file, length_of(f->bytes), SN_WEIGHTS_MAX_NAME);
	return own_text(r, f);
}

static void read_node(reader *r, bytes message, const char *scope, int parent, int depth) {
	sn_onnx_node node = { .op = "", .name = "", .scope = scope, .parent = parent };
	bytes in = message;
	for (field f; next_field(r, &in, &f);) {
		if (f.number == NODE_NAME)
			node.name = read_node_name(r, &f);
		else if (f.number == NODE_OP)
			node.op = own_text(r, &f);
	}
	node.inputs = read_texts(r, message, NODE_INPUT, &node.input_count);
	node.outputs = read_texts(r, message, NODE_OUTPUT, &node.output_count);
	int count = count_fields(r, message, NODE_ATTRIBUTE), at = 0;
	sn_onnx_attribute *attributes = own(r, (size_t)(count + 1) * sizeof *attributes);
	in = message;
	for (field f; attributes && next_field(r, &in, &f);)
		if (f.number == NODE_ATTRIBUTE && f.type == WIRE_BYTES)
			read_attribute(r, f.bytes, attributes + at++);
	node.attributes = attributes;
	node.attribute_count = count;
	int64_t index = add_node(r, &node);
	if (index >= 0)
		read_bodies(r, message, &node, (int)index, depth);
}

static void read_graph(reader *r, bytes message, const char *scope, int parent, int depth) {
	if (r->result == SN_OK && depth > SN_ONNX_MAX_DEPTH)
		r->result = sn_fail(r->err, SN_E_LIMIT, "%s: graphs are nested deeper than %d", r->file, SN_ONNX_MAX_DEPTH);
	bytes in = message;
	for (field f; next_field(r, &in, &f);)
		if (f.number == GRAPH_INITIALIZER && f.type == WIRE_BYTES)
			read_tensor(r, f.bytes, NULL, scope);
	for (field f; next_field(r, &message, &f);)
		if (f.number == GRAPH_NODE && f.type == WIRE_BYTES)
			read_node(r, f.bytes, scope, parent, depth);
}

static void read_metadata(reader *r, bytes message) {
	const char *key, *value;
	read_entry(r, message, &key, &value);
	const sn_fact fact = { .path = key, .kind = SN_FACT_TEXT, .is.text = value };
	if (r->result == SN_OK && *key)
		r->result = sn_facts_add(r->weights, &fact, r->file, r->err);
}

int sn_read_onnx(sn_weights *weights, const char *path, char *err) {
	sn_map map;
	int result = sn_weights_map(weights, path, &map, err);
	if (result != SN_OK)
		return result;
	if (map.size > INT32_MAX) /* protobuf's own limit of a message; what fields are counted in */
		return sn_fail(err, SN_E_LIMIT, "%s has %zu bytes; at most %d are read as ONNX", path, map.size, INT32_MAX);
	reader r = { .weights = weights, .file = path, .start = map.data, .err = err };
	bytes in = { map.data, map.data + map.size };
	int graphs = 0;
	for (field f; next_field(&r, &in, &f);)
		if (f.number == MODEL_GRAPH && f.type == WIRE_BYTES) {
			graphs++;
			read_graph(&r, f.bytes, "", -1, 0);
		} else if (f.number == MODEL_METADATA && f.type == WIRE_BYTES) {
			read_metadata(&r, f.bytes);
		}
	if (r.result == SN_OK && graphs == 0)
		return sn_fail(err, SN_E_MODEL, "%s: holds no graph (no ONNX file)", path);
	return r.result;
}

/* ---- the view ---- */

size_t sn_onnx_node_count(const sn_weights *weights) { return weights->node_count; }
const sn_onnx_node *sn_onnx_node_at(const sn_weights *weights, size_t index) { return weights->nodes + index; }

const sn_onnx_attribute *sn_onnx_attribute_find(const sn_onnx_node *node, const char *name) {
	for (int i = 0; i < node->attribute_count; i++)
		if (strcmp(node->attributes[i].name, name) == 0)
			return node->attributes + i;
	return NULL;
}

const sn_weight *sn_onnx_input(const sn_weights *weights, const sn_onnx_node *node, int index) {
	if (index < 0 || index >= node->input_count || !*node->inputs[index])
		return NULL;
	const char *name = node->inputs[index];
	char scoped[SN_WEIGHTS_MAX_NAME + 1];
	size_t scope = strlen(node->scope), length = strlen(name);
	if (scope && scope + 1 + length <= SN_WEIGHTS_MAX_NAME) {
		memcpy(scoped, node->scope, scope);
		scoped[scope] = '/';
		memcpy(scoped + scope + 1, name, length + 1);
		const sn_weight *weight = sn_weights_find(weights, scoped);
		if (weight)
			return weight;
	}
	return sn_weights_find(weights, name);
}
