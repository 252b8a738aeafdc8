#include "weights/pickle.h"

#include "weights/reader.h"

#include <stdlib.h>
#include <string.h>

#define MAX_VALUES ((size_t)1 << 20) /* of the stack, the memo, the cells and the containers, each */
#define MAX_DEPTH 8                  /* of dictionaries in dictionaries */

typedef enum kind { NONE, INT, TEXT, GLOBAL, STORAGE, TENSOR, LIST, DICT, MARK, OTHER } kind;
typedef enum global { ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, STORAGE_TYPE } global;

typedef struct value {
	uint8_t kind, global, dtype; /* GLOBAL: which, and the element type of a STORAGE_TYPE */
	uint32_t length;             /* TEXT */
	int64_t at;                  /* INT: the number; TEXT: offset in data; STORAGE, TENSOR, LIST, DICT: index in its pool */
} value;

typedef struct cell {
	value value;
	uint32_t next; /* index + 1 of the next cell of the container, 0 at its end */
} cell;

typedef struct container { /* LIST (also tuples): items; DICT: key, value, key, value, ... */
	uint32_t first, last, count;
	int visited;
} container;

typedef struct pool {
	void *items;
	size_t count, capacity;
} pool;

typedef struct machine {
	const uint8_t *data;
	size_t at, size;
	const char *file;
	char *err;
	int result; /* sticky */
	pool stack, memo, cells, containers, tensors;
} machine;

/* ---- pools ---- */

/* The new item, zeroed, or NULL after a failure. */
static void *push_item(machine *m, pool *pool, size_t size) {
	if (m->result != SN_OK)
		return NULL;
	if (pool->count == MAX_VALUES) {
		m->result = sn_fail(m->err, SN_E_LIMIT, "%s: the pickle holds more than %zu values", m->file, MAX_VALUES);
		return NULL;
	}
	if (pool->count == pool->capacity) {
		size_t capacity = pool->capacity ? pool->capacity * 2 : 256;
		void *items = realloc(pool->items, capacity * size);
		if (!items) {
			m->result = sn_fail(m->err, SN_E_MEMORY, "%s: out of memory", m->file);
			return NULL;
		}
		pool->items = items;
		pool->capacity = capacity;
	}
	return memset((char *)pool->items + pool->count++ * size, 0, size);
}

static void push(machine *m, value v) {
	value *top = push_item(m, &m->stack, sizeof v);
	if (top)
		*top = v;
}

static void malformed(machine *m, const char *what) {
	if (m->result == SN_OK)
		m->result = sn_fail(m->err, SN_E_MODEL, "%s: malformed pickle at byte %zu: %s", m->file, m->at, what);
}

static value pop(machine *m) {
	if (m->result != SN_OK || m->stack.count == 0) {
		malformed(m, "the stack is empty");
		return (value){ 0 };
	}
	return ((value *)m->stack.items)[--m->stack.count];
}

static value new_container(machine *m, kind kind) {
	value v = { .kind = (uint8_t)kind, .at = (int64_t)m->containers.count };
	push_item(m, &m->containers, sizeof(container));
	return v;
}

static container *container_of(machine *m, value v) { return (container *)m->containers.items + v.at; }
static cell *cell_of(machine *m, uint32_t index) { return (cell *)m->cells.items + index - 1; }
static sn_pickle_tensor *tensor_of(machine *m, value v) { return (sn_pickle_tensor *)m->tensors.items + v.at; }

static void append(machine *m, value to, value item) {
	cell *added = push_item(m, &m->cells, sizeof *added);
	if (!added)
		return;
	added->value = item;
	container *c = container_of(m, to);
	uint32_t index = (uint32_t)m->cells.count;
	if (c->last)
		cell_of(m, c->last)->next = index;
	else
		c->first = index;
	c->last = index;
	c->count++;
}

/* Item `index` of a list or tuple; NONE where there is none. */
static value item_of(machine *m, value list, uint32_t index) {
	if (m->result != SN_OK || list.kind != LIST)
		return (value){ 0 };
	uint32_t at = container_of(m, list)->first;
	while (at && index--)
		at = cell_of(m, at)->next;
	return at ? cell_of(m, at)->value : (value){ 0 };
}

/* Everything above the topmost mark becomes the items of `to`; the mark goes too. */
static void append_to_mark(machine *m, value to) {
	const value *stack = m->stack.items;
	size_t mark = m->stack.count;
	while (mark > 0 && stack[mark - 1].kind != MARK)
		mark--;
	if (mark == 0) {
		malformed(m, "no mark on the stack");
		return;
	}
	for (size_t i = mark; i < m->stack.count && m->result == SN_OK; i++)
		append(m, to, stack[i]);
	m->stack.count = mark - 1;
}

/* ---- operands ---- */

static const uint8_t *take(machine *m, size_t size) {
	static const uint8_t zeros[8];
	if (m->result == SN_OK && size > m->size - m->at)
		malformed(m, "cut short");
	if (m->result != SN_OK)
		return size <= sizeof zeros ? zeros : NULL;
	m->at += size;
	return m->data + m->at - size;
}

static void push_text(machine *m, uint32_t size) {
	take(m, size);
	push(m, (value){ .kind = TEXT, .length = size, .at = (int64_t)(m->at - size) });
}

/* Little-endian two's complement of 0 to 8 bytes. */
static void push_long(machine *m, size_t size) {
	if (size > 8) {
		take(m, size);
		push(m, (value){ .kind = OTHER });
		return;
	}
	uint64_t number = 0;
	const uint8_t *p = take(m, size);
	for (size_t i = 0; i < size; i++)
		number |= (uint64_t)p[i] << (8 * i);
	if (size > 0 && size < 8 && p[size - 1] & 0x80)
		number |= UINT64_MAX << (8 * size);
	push(m, (value){ .kind = INT, .at = (int64_t)number });
}

static int same(const uint8_t *text, size_t size, const char *word) { return size == strlen(word) && memcmp(text, word, size) == 0; }

static void push_global(machine *m, const uint8_t *module, size_t module_size, const uint8_t *name, size_t size) {
	static const struct {
		const char *module, *name;
		global global;
		sn_dtype dtype;
	} known[] = {
		{ "collections", "OrderedDict", ORDERED_DICT, 0 },
		{ "torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, 0 },
		{ "torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, 0 },
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
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (same(module, module_size, known[i].module) && same(name, size, known[i].name)) {
			push(m, (value){ .kind = GLOBAL, .global = (uint8_t)known[i].global, .dtype = (uint8_t)known[i].dtype });
			return;
		}
	if (m->result == SN_OK)
		m->result = sn_fail(m->err, SN_E_MODEL, "%s: the pickle asks for %.*s.%.*s; only dictionaries of tensors are read", m->file,
		                    (int)(module_size < 80 ? module_size : 80), (const char *)module, (int)(size < 80 ? size : 80), (const char *)name);
}

/* Two lines: module, name. */
static void op_global(machine *m) {
	const uint8_t *module = m->data + m->at, *end = memchr(module, '\n', m->size - m->at);
	const uint8_t *name = end ? end + 1 : NULL, *stop = name ? memchr(name, '\n', (size_t)(m->data + m->size - name)) : NULL;
	if (!stop) {
		malformed(m, "an unfinished global");
		return;
	}
	m->at = (size_t)(stop + 1 - m->data);
	push_global(m, module, (size_t)(end - module), name, (size_t)(stop - name));
}

static void op_stack_global(machine *m) {
	value name = pop(m), module = pop(m);
	if (name.kind != TEXT || module.kind != TEXT)
		malformed(m, "a global that is no text");
	else
		push_global(m, m->data + module.at, module.length, m->data + name.at, name.length);
}

/* ---- objects ---- */

/* ("storage", type, key, location, elements) */
static void op_storage(machine *m) {
	value list = pop(m), type = item_of(m, list, 1), key = item_of(m, list, 2), elements = item_of(m, list, 4);
	if (type.kind != GLOBAL || type.global != STORAGE_TYPE || key.kind != TEXT || elements.kind != INT || elements.at < 0) {
		malformed(m, "not a storage of numbers");
		return;
	}
	value v = { .kind = STORAGE, .at = (int64_t)m->tensors.count };
	sn_pickle_tensor *tensor = push_item(m, &m->tensors, sizeof *tensor);
	if (tensor)
		*tensor = (sn_pickle_tensor){ .dtype = (sn_dtype)type.dtype, .storage = (const char *)m->data + key.at,
			                          .storage_length = key.length,
			                          .storage_elements = elements.at };
	push(m, v);
}

static int read_extents(machine *m, value list, int64_t *out) {
	uint32_t count = list.kind == LIST && m->result == SN_OK ? container_of(m, list)->count : UINT32_MAX;
	if (count > SN_WEIGHTS_MAX_RANK)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		value v = item_of(m, list, i);
		if (v.kind != INT || v.at < 0)
			return -1;
		out[i] = v.at;
	}
	return (int)count;
}

/* (storage, offset, sizes, strides, ...) */
static void rebuild_tensor(machine *m, value list) {
	value storage = item_of(m, list, 0), offset = item_of(m, list, 1);
	sn_pickle_tensor tensor = { 0 };
	if (storage.kind == STORAGE)
		tensor = *tensor_of(m, storage);
	tensor.offset = offset.at;
	tensor.rank = read_extents(m, item_of(m, list, 2), tensor.dims);
	int strides = read_extents(m, item_of(m, list, 3), tensor.strides);
	if (storage.kind != STORAGE || offset.kind != INT || offset.at < 0 || tensor.rank < 0 || strides != tensor.rank) {
		malformed(m, "a tensor without storage, offset, sizes and strides");
		return;
	}
	value v = { .kind = TENSOR, .at = (int64_t)m->tensors.count };
	sn_pickle_tensor *added = push_item(m, &m->tensors, sizeof *added);
	if (added)
		*added = tensor;
	push(m, v);
}

static void op_reduce(machine *m) {
	value arguments = pop(m), function = pop(m);
	if (m->result != SN_OK)
		return;
	if (function.kind != GLOBAL || arguments.kind != LIST)
		malformed(m, "a call of something unknown");
	else if (function.global == ORDERED_DICT)
		push(m, new_container(m, DICT));
	else if (function.global == REBUILD_TENSOR)
		rebuild_tensor(m, arguments);
	else if (function.global == REBUILD_PARAMETER)
		push(m, item_of(m, arguments, 0));
	else
		malformed(m, "a call of a storage type");
}

static value top_of(machine *m, kind kind) {
	const value *stack = m->stack.items;
	if (m->result == SN_OK && (m->stack.count == 0 || stack[m->stack.count - 1].kind != kind))
		malformed(m, "items for something that holds none");
	return m->result == SN_OK ? stack[m->stack.count - 1] : (value){ 0 };
}

/* The container that items above the topmost mark are for. */
static value below_mark(machine *m, kind kind) {
	const value *stack = m->stack.items;
	size_t at = m->stack.count;
	while (at > 0 && stack[at - 1].kind != MARK)
		at--;
	if (m->result == SN_OK && (at < 2 || stack[at - 2].kind != kind))
		malformed(m, "items for something that holds none");
	return m->result == SN_OK ? stack[at - 2] : (value){ 0 };
}

static void op_items_to_mark(machine *m, kind kind) {
	value to = below_mark(m, kind);
	uint32_t before = m->result == SN_OK ? container_of(m, to)->count : 0;
	if (m->result == SN_OK)
		append_to_mark(m, to);
	if (m->result == SN_OK && kind == DICT && (container_of(m, to)->count - before) % 2)
		malformed(m, "a key without value");
}

static void op_tuple(machine *m, int count) {
	value items[3], tuple = new_container(m, LIST);
	for (int i = count - 1; i >= 0; i--)
		items[i] = pop(m);
	for (int i = 0; i < count && m->result == SN_OK; i++)
		append(m, tuple, items[i]);
	push(m, tuple);
}

static void op_tuple_to_mark(machine *m) {
	value tuple = new_container(m, LIST);
	if (m->result == SN_OK)
		append_to_mark(m, tuple);
	push(m, tuple);
}

static void op_set_item(machine *m) {
	value v = pop(m), key = pop(m), dict = top_of(m, DICT);
	if (m->result == SN_OK) {
		append(m, dict, key);
		append(m, dict, v);
	}
}

static void op_append(machine *m) {
	value v = pop(m), list = top_of(m, LIST);
	if (m->result == SN_OK)
		append(m, list, v);
}

static void op_put(machine *m, size_t index) {
	if (m->stack.count == 0)
		malformed(m, "the stack is empty");
	while (m->memo.count <= index && push_item(m, &m->memo, sizeof(value))) {
	}
	if (m->result == SN_OK)
		((value *)m->memo.items)[index] = ((value *)m->stack.items)[m->stack.count - 1];
}

static void op_get(machine *m, size_t index) {
	if (index >= m->memo.count)
		malformed(m, "nothing was remembered under that number");
	else
		push(m, ((value *)m->memo.items)[index]);
}

/* ---- the machine ---- */

/* 1 until the pickle stops. Opcodes by their numbers in Python's pickletools. */
static int step(machine *m) {
	uint8_t op = *take(m, 1);
	switch (op) {
	case 0x80: take(m, 1); break;                                     /* PROTO */
	case 0x95: take(m, 8); break;                                     /* FRAME */
	case '.': return 0;                                               /* STOP */
	case '(': push(m, (value){ .kind = MARK }); break;                /* MARK */
	case '0': pop(m); break;                                          /* POP */
	case 'N': push(m, (value){ .kind = NONE }); break;                /* NONE */
	case 0x88:                                                        /* NEWTRUE */
	case 0x89: push(m, (value){ .kind = OTHER }); break;              /* NEWFALSE */
	case 'G': take(m, 8), push(m, (value){ .kind = OTHER }); break;   /* BINFLOAT */
	case 'J': push(m, (value){ .kind = INT, .at = (int32_t)sn_le32(take(m, 4)) }); break; /* BININT */
	case 'K': push(m, (value){ .kind = INT, .at = *take(m, 1) }); break;                  /* BININT1 */
	case 'M': { /* BININT2 */
		const uint8_t *p = take(m, 2);
		push(m, (value){ .kind = INT, .at = p[0] | p[1] << 8 });
		break;
	}
	case 0x8a: push_long(m, *take(m, 1)); break;                      /* LONG1 */
	case 'X': push_text(m, sn_le32(take(m, 4))); break;               /* BINUNICODE */
	case 0x8c:                                                        /* SHORT_BINUNICODE */
	case 'U': push_text(m, *take(m, 1)); break;                       /* SHORT_BINSTRING */
	case 'c': op_global(m); break;                                    /* GLOBAL */
	case 0x93: op_stack_global(m); break;                             /* STACK_GLOBAL */
	case '}': push(m, new_container(m, DICT)); break;                 /* EMPTY_DICT */
	case ']':                                                         /* EMPTY_LIST */
	case ')': push(m, new_container(m, LIST)); break;                 /* EMPTY_TUPLE */
	case 0x85: case 0x86: case 0x87: op_tuple(m, op - 0x84); break;   /* TUPLE1, 2, 3 */
	case 't': op_tuple_to_mark(m); break;                             /* TUPLE */
	case 'a': op_append(m); break;                                    /* APPEND */
	case 'e': op_items_to_mark(m, LIST); break;                       /* APPENDS */
	case 's': op_set_item(m); break;                                  /* SETITEM */
	case 'u': op_items_to_mark(m, DICT); break;                       /* SETITEMS */
	case 'b': pop(m); break;                                          /* BUILD: attributes of an object, which hold no weights */
	case 'Q': op_storage(m); break;                                   /* BINPERSID */
	case 'R': op_reduce(m); break;                                    /* REDUCE */
	case 'q': op_put(m, *take(m, 1)); break;                          /* BINPUT */
	case 'r': op_put(m, sn_le32(take(m, 4))); break;                  /* LONG_BINPUT */
	case 0x94: op_put(m, m->memo.count); break;                       /* MEMOIZE */
	case 'h': op_get(m, *take(m, 1)); break;                          /* BINGET */
	case 'j': op_get(m, sn_le32(take(m, 4))); break;                  /* LONG_BINGET */
	default: malformed(m, "an instruction that no dictionary of tensors needs"); break;
	}
	return m->result == SN_OK;
}

typedef struct walk {
	machine *m;
	sn_pickle_visit visit;
	void *payload;
	char name[SN_WEIGHTS_MAX_NAME + 1];
} walk;

/* Each dictionary is walked once, so that ones that hold each other end. `length`: of the name so far. */
static void walk_dict(walk *w, value dict, size_t length, int depth) {
	machine *m = w->m;
	container *c = container_of(m, dict);
	if (c->visited || depth > MAX_DEPTH)
		return;
	c->visited = 1;
	for (uint32_t at = c->first; at && m->result == SN_OK;) {
		const cell *key = cell_of(m, at), *item = cell_of(m, key->next);
		at = item->next;
		if (key->value.kind != TEXT || (item->value.kind != TENSOR && item->value.kind != DICT))
			continue;
		size_t dot = length > 0, end = length + dot + key->value.length;
		if (end > SN_WEIGHTS_MAX_NAME || memchr(m->data + key->value.at, 0, key->value.length)) {
			malformed(m, "a name that is too long or no text");
			return;
		}
		w->name[length] = '.';
		memcpy(w->name + length + dot, m->data + key->value.at, key->value.length);
		w->name[end] = 0;
		if (item->value.kind == TENSOR)
			m->result = w->visit(w->payload, w->name, tensor_of(m, item->value), m->err);
		else
			walk_dict(w, item->value, end, depth + 1);
	}
}

int sn_pickle_read(const uint8_t *data, size_t size, const char *file, sn_pickle_visit visit, void *payload, char *err) {
	machine m = { .data = data, .size = size, .file = file, .err = err };
	while (step(&m)) {
	}
	value root = pop(&m);
	if (root.kind != DICT)
		malformed(&m, "not a dictionary");
	walk w = { .m = &m, .visit = visit, .payload = payload };
	if (m.result == SN_OK)
		walk_dict(&w, root, 0, 0);
	free(m.stack.items);
	free(m.memo.items);
	free(m.cells.items);
	free(m.containers.items);
	free(m.tensors.items);
	return m.result;
}
