/* What stands in for the classes and functions that a pickle names: each becomes one of the few kinds of value, or is refused
 * by its name. Formats as torch/serialization.py and torch/_utils.py write them. */
#include "weights/pickle_machine.h"

#include <string.h>

static int same(const uint8_t *text, size_t size, const char *word) {
	return size == strlen(word) && memcmp(text, word, size) == 0;
}

void sn_pickle_refuse(sn_pickle *m, value v) {
	const global_name *g = v.kind == GLOBAL ? (const global_name *)m->globals.items + v.at : NULL;
	if (!g)
		sn_pickle_malformed(m, "a call of something that is no function");
	else if (m->result == SN_OK)
		m->result = sn_fail(m->err, SN_E_MODEL,
		                    "%s: the pickle asks for %.*s.%.*s; only dictionaries of tensors and the state of modules are read", m->file,
		                    (int)(g->module_length < 80 ? g->module_length : 80), (const char *)g->module,
		                    (int)(g->length < 80 ? g->length : 80), (const char *)g->name);
}

/* ---- names ---- */

static const struct known {
	const char *module, *name;
	value_global global;
	sn_dtype dtype;
} known[] = {
	{ "collections", "OrderedDict", ORDERED_DICT, 0 },
	{ "collections", "defaultdict", DEFAULT_DICT, 0 },
	{ "builtins", "set", SEQUENCE, 0 },
	{ "builtins", "frozenset", SEQUENCE, 0 },
	{ "builtins", "list", SEQUENCE, 0 },
	{ "builtins", "tuple", SEQUENCE, 0 },
	{ "builtins", "dict", INERT, 0 },
	{ "builtins", "int", INERT, 0 },
	{ "builtins", "float", INERT, 0 },
	{ "builtins", "bool", INERT, 0 },
	{ "builtins", "str", INERT, 0 },
	{ "builtins", "object", INERT, 0 },
	{ "copyreg", "_reconstructor", RECONSTRUCTOR, 0 },
	{ "copy_reg", "_reconstructor", RECONSTRUCTOR, 0 },
	{ "_codecs", "encode", OPAQUE, 0 },
	{ "numpy", "dtype", OPAQUE, 0 },
	{ "numpy", "ndarray", INERT, 0 },
	{ "numpy.core.multiarray", "scalar", OPAQUE, 0 },
	{ "numpy._core.multiarray", "scalar", OPAQUE, 0 },
	{ "numpy.core.multiarray", "_reconstruct", OPAQUE, 0 },
	{ "numpy._core.multiarray", "_reconstruct", OPAQUE, 0 },
	{ "torch", "device", OPAQUE, 0 },
	{ "torch", "Size", SEQUENCE, 0 },
	{ "torch.nn.backends.thnn", "_get_thnn_function_backend", OPAQUE, 0 },
	{ "torch._utils", "_rebuild_tensor", REBUILD_TENSOR, 0 },
	{ "torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, 0 },
	{ "torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, 0 },
	{ "torch._utils", "_rebuild_parameter_with_state", REBUILD_PARAMETER, 0 },
	{ "torch._tensor", "_rebuild_from_type_v2", REBUILD_FROM_TYPE, 0 },
	{ "torch", "FloatStorage", STORAGE_TYPE, SN_F32 },
	{ "torch", "HalfStorage", STORAGE_TYPE, SN_F16 },
	{ "torch", "BFloat16Storage", STORAGE_TYPE, SN_BF16 },
	{ "torch", "DoubleStorage", STORAGE_TYPE, SN_F64 },
	{ "torch", "LongStorage", STORAGE_TYPE, SN_I64 },
	{ "torch", "IntStorage", STORAGE_TYPE, SN_I32 },
	{ "torch", "ShortStorage", STORAGE_TYPE, SN_I16 },
	{ "torch", "CharStorage", STORAGE_TYPE, SN_I8 },
	{ "torch", "ByteStorage", STORAGE_TYPE, SN_U8 },
	{ "torch", "BoolStorage", STORAGE_TYPE, SN_BOOL },
};

/* Python 2 wrote __builtin__, and old versions of torch the storages of a GPU as torch.cuda's. */
static int is_known(const struct known *k, const uint8_t *module, size_t module_length, const uint8_t *name, size_t length) {
	if (!same(name, length, k->name))
		return 0;
	return same(module, module_length, k->module) || (same(module, module_length, "__builtin__") && !strcmp(k->module, "builtins")) ||
	       (same(module, module_length, "torch.cuda") && k->global == STORAGE_TYPE);
}

void sn_pickle_global(sn_pickle *m, const uint8_t *module, size_t module_length, const uint8_t *name, size_t length) {
	value v = { .kind = GLOBAL, .global = STRANGER, .at = (int64_t)m->globals.count };
	if (module_length == 5 || (module_length > 5 && module[5] == '.'))
		v.global = memcmp(module, "torch", 5) == 0 ? INERT : STRANGER;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (is_known(known + i, module, module_length, name, length)) {
			v.global = (uint8_t)known[i].global;
			v.dtype = (uint8_t)known[i].dtype;
		}
	global_name *added = sn_pickle_push_item(m, &m->globals, sizeof *added);
	if (added)
		*added = (global_name){ module, name, (uint32_t)module_length, (uint32_t)length };
	sn_pickle_push(m, v);
}

/* ---- storages and tensors ---- */

/* A view of a storage in the older stream: None, or (key, first element, elements). */
static int read_view(sn_pickle *m, value view, sn_pickle_storage *storage) {
	value first = sn_pickle_item(m, view, 1), count = sn_pickle_item(m, view, 2);
	if (view.kind != LIST)
		return view.kind == NONE;
	if (first.kind != INTEGER || count.kind != INTEGER || first.at < 0 || count.at < 0 || first.at > storage->elements ||
	    count.at > storage->elements - first.at)
		return 0;
	storage->begin = first.at;
	storage->end = first.at + count.at;
	return 1;
}

/* ("storage", type, key, location, elements[, view]) | ("module", class, file, source), the record of a class */
void sn_pickle_persistent(sn_pickle *m) {
	value list = sn_pickle_pop(m), what = sn_pickle_item(m, list, 0), type = sn_pickle_item(m, list, 1);
	value key = sn_pickle_item(m, list, 2), elements = sn_pickle_item(m, list, 4);
	if (m->result == SN_OK && what.kind == TEXT && same(m->data + what.at, what.length, "module") && type.kind == GLOBAL) {
		sn_pickle_push(m, type);
		return;
	}
	if (type.kind == GLOBAL && type.global != STORAGE_TYPE)
		sn_pickle_refuse(m, type);
	sn_pickle_storage storage = { .dtype = (sn_dtype)type.dtype, .elements = elements.at, .end = elements.at };
	if (type.kind != GLOBAL || key.kind != TEXT || elements.kind != INTEGER || elements.at < 0 ||
	    !read_view(m, sn_pickle_item(m, list, 5), &storage)) {
		sn_pickle_malformed(m, "a storage without type, key and number of elements");
		return;
	}
	storage.key = (const char *)m->data + key.at;
	storage.key_length = key.length;
	value v = { .kind = STORAGE, .at = (int64_t)m->storages.count };
	sn_pickle_storage *added = sn_pickle_push_item(m, &m->storages, sizeof *added);
	if (added)
		*added = storage;
	sn_pickle_push(m, v);
}

static int read_extents(sn_pickle *m, value list, int64_t *out) {
	uint32_t count = list.kind == LIST && m->result == SN_OK ? sn_pickle_container_of(m, list)->count : UINT32_MAX;
	if (count > SN_WEIGHTS_MAX_RANK)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		value v = sn_pickle_item(m, list, i);
		if (v.kind != INTEGER || v.at < 0)
			return -1;
		out[i] = v.at;
	}
	return (int)count;
}

/* (storage, offset, sizes, strides, ...) */
static value rebuild_tensor(sn_pickle *m, value list) {
	value storage = sn_pickle_item(m, list, 0), offset = sn_pickle_item(m, list, 1);
	sn_pickle_tensor tensor = { .offset = offset.at };
	if (storage.kind == STORAGE)
		tensor.storage = ((const sn_pickle_storage *)m->storages.items)[storage.at];
	tensor.rank = read_extents(m, sn_pickle_item(m, list, 2), tensor.dims);
	int strides = read_extents(m, sn_pickle_item(m, list, 3), tensor.strides);
	if (storage.kind != STORAGE || offset.kind != INTEGER || offset.at < 0 || tensor.rank < 0 || strides != tensor.rank) {
		sn_pickle_malformed(m, "a tensor without storage, offset, sizes and strides");
		return (value){ 0 };
	}
	value v = { .kind = TENSOR, .at = (int64_t)m->tensors.count };
	sn_pickle_tensor *added = sn_pickle_push_item(m, &m->tensors, sizeof *added);
	if (added)
		*added = tensor;
	return v;
}

/* (function, class, its arguments, attributes) */
static value rebuild_from_type(sn_pickle *m, value list) {
	value function = sn_pickle_item(m, list, 0), arguments = sn_pickle_item(m, list, 2);
	if (function.kind == GLOBAL && function.global == REBUILD_TENSOR)
		return rebuild_tensor(m, arguments);
	if (function.kind == GLOBAL && function.global == REBUILD_PARAMETER)
		return sn_pickle_item(m, arguments, 0);
	sn_pickle_refuse(m, function);
	return (value){ 0 };
}

/* ---- calls and objects ---- */

/* (), or as Python 2 wrote it: ([[key, value], ...],) */
static value ordered_dict(sn_pickle *m, value arguments) {
	value dict = sn_pickle_container(m, DICT), pairs = sn_pickle_item(m, arguments, 0);
	uint32_t at = pairs.kind == LIST && m->result == SN_OK ? sn_pickle_container_of(m, pairs)->first : 0;
	for (; at && m->result == SN_OK; at = sn_pickle_cell(m, at)->next) {
		value pair = sn_pickle_cell(m, at)->value;
		if (pair.kind != LIST || sn_pickle_container_of(m, pair)->count != 2) {
			sn_pickle_malformed(m, "a key without value");
			break;
		}
		sn_pickle_append(m, dict, sn_pickle_item(m, pair, 0));
		sn_pickle_append(m, dict, sn_pickle_item(m, pair, 1));
	}
	return dict;
}

static value sequence(sn_pickle *m, value arguments) {
	value items = sn_pickle_item(m, arguments, 0);
	return items.kind == LIST ? items : sn_pickle_container(m, LIST);
}

static value object_of(sn_pickle *m, value class) {
	if (class.kind == GLOBAL && (class.global == STRANGER || class.global == INERT))
		return sn_pickle_container(m, OBJECT);
	if (class.kind == GLOBAL && class.global == ORDERED_DICT)
		return sn_pickle_container(m, DICT);
	sn_pickle_refuse(m, class);
	return (value){ 0 };
}

void sn_pickle_reduce(sn_pickle *m) {
	value arguments = sn_pickle_pop(m), function = sn_pickle_pop(m), made = { 0 };
	if (m->result != SN_OK)
		return;
	if (function.kind != GLOBAL) {
		sn_pickle_refuse(m, function);
		return;
	}
	switch (function.global) {
	case ORDERED_DICT: made = ordered_dict(m, arguments); break;
	case DEFAULT_DICT: made = sn_pickle_container(m, DICT); break;
	case SEQUENCE: made = sequence(m, arguments); break;
	case OPAQUE: made = (value){ .kind = OTHER }; break;
	case RECONSTRUCTOR: made = object_of(m, sn_pickle_item(m, arguments, 0)); break;
	case REBUILD_TENSOR: made = rebuild_tensor(m, arguments); break;
	case REBUILD_PARAMETER: made = sn_pickle_item(m, arguments, 0); break;
	case REBUILD_FROM_TYPE: made = rebuild_from_type(m, arguments); break;
	default: sn_pickle_refuse(m, function); break;
	}
	sn_pickle_push(m, made);
}

/* class, arguments[, keywords]: an empty object. The arguments would be the constructor's, which is not called. */
void sn_pickle_new_object(sn_pickle *m, int with_keywords) {
	if (with_keywords)
		sn_pickle_pop(m);
	sn_pickle_pop(m);
	value class = sn_pickle_pop(m);
	if (m->result == SN_OK)
		sn_pickle_push(m, object_of(m, class));
}

/* The attributes of an object: a dictionary, or a pair of it and the slots. Those of other values hold no weights. */
void sn_pickle_build(sn_pickle *m) {
	value state = sn_pickle_pop(m);
	if (m->result == SN_OK && m->stack.count == 0)
		sn_pickle_malformed(m, "the stack is empty");
	if (m->result != SN_OK)
		return;
	value object = ((const value *)m->stack.items)[m->stack.count - 1];
	if (state.kind == LIST)
		state = sn_pickle_item(m, state, 0);
	if (object.kind == OBJECT && state.kind == DICT)
		sn_pickle_container_of(m, object)->state = (uint32_t)state.at + 1;
}
