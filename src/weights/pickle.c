#include "weights/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

/* ---- pools ---- */

static int grow(sn_pickle *m, pool *pool, size_t size) {
	size_t capacity = pool->capacity ? pool->capacity * 2 : 256;
	size_t more = (capacity - pool->capacity) * size;
	if (more > m->most - m->used)
		return sn_fail(m->err, SN_E_LIMIT, "%s: the values of the pickle take more than %zu bytes", m->file, m->most);
	void *items = realloc(pool->items, capacity * size);
	if (!items)
		return sn_fail(m->err, SN_E_MEMORY, "%s: out of memory for the values of the pickle", m->file);
	m->used += more;
	pool->items = items;
	pool->capacity = capacity;
	return SN_OK;
}

void *sn_pickle_push_item(sn_pickle *m, pool *pool, size_t size) {
	if (m->result == SN_OK && pool->count == SN_PICKLE_MAX_VALUES)
		m->result = sn_fail(m->err, SN_E_LIMIT, "%s: the pickle holds more than %zu values", m->file, SN_PICKLE_MAX_VALUES);
	if (m->result == SN_OK && pool->count == pool->capacity)
		m->result = grow(m, pool, size);
	return m->result == SN_OK ? memset((char *)pool->items + pool->count++ * size, 0, size) : NULL;
}

void sn_pickle_push(sn_pickle *m, value v) {
	value *top = sn_pickle_push_item(m, &m->stack, sizeof v);
	if (top)
		*top = v;
}

void sn_pickle_malformed(sn_pickle *m, const char *what) {
	if (m->result == SN_OK)
		m->result = sn_fail(m->err, SN_E_MODEL, "%s: malformed pickle at byte %zu: %s", m->file, m->at, what);
}

value sn_pickle_pop(sn_pickle *m) {
	if (m->result != SN_OK || m->stack.count == 0) {
		sn_pickle_malformed(m, "the stack is empty");
		return (value){ 0 };
	}
	return ((value *)m->stack.items)[--m->stack.count];
}

value sn_pickle_container(sn_pickle *m, value_kind kind) {
	value v = { .kind = (uint8_t)kind, .at = (int64_t)m->containers.count };
	sn_pickle_push_item(m, &m->containers, sizeof(container));
	return v;
}

void sn_pickle_append(sn_pickle *m, value to, value item) {
	cell *added = sn_pickle_push_item(m, &m->cells, sizeof *added);
	if (!added)
		return;
	added->value = item;
	container *c = sn_pickle_container_of(m, to);
	uint32_t index = (uint32_t)m->cells.count;
	if (c->last)
		sn_pickle_cell(m, c->last)->next = index;
	else
		c->first = index;
	c->last = index;
	c->count++;
}

value sn_pickle_item(sn_pickle *m, value list, uint32_t index) {
	if (m->result != SN_OK || list.kind != LIST)
		return (value){ 0 };
	uint32_t at = sn_pickle_container_of(m, list)->first;
	while (at && index--)
		at = sn_pickle_cell(m, at)->next;
	return at ? sn_pickle_cell(m, at)->value : (value){ 0 };
}

/* Everything above the topmost mark becomes the items of `to`; the mark goes too. */
static void append_to_mark(sn_pickle *m, value to) {
	const value *stack = m->stack.items;
	size_t mark = m->stack.count;
	while (mark > 0 && stack[mark - 1].kind != MARK)
		mark--;
	if (mark == 0) {
		sn_pickle_malformed(m, "no mark on the stack");
		return;
	}
	for (size_t i = mark; i < m->stack.count && m->result == SN_OK; i++)
		sn_pickle_append(m, to, stack[i]);
	m->stack.count = mark - 1;
}

/* ---- operands ---- */

static const uint8_t *take(sn_pickle *m, size_t size) {
	static const uint8_t zeros[8];
	if (m->result == SN_OK && size > m->size - m->at)
		sn_pickle_malformed(m, "cut short");
	if (m->result != SN_OK)
		return size <= sizeof zeros ? zeros : NULL;
	m->at += size;
	return m->data + m->at - size;
}

static void push_bytes(sn_pickle *m, value_kind kind, size_t size) {
	if (take(m, size))
		sn_pickle_push(m, (value){ .kind = (uint8_t)kind, .length = (uint32_t)size, .at = (int64_t)(m->at - size) });
}

/* Little-endian two's complement. */
static void push_long(sn_pickle *m, uint32_t size) {
	if (size > 8) {
		push_bytes(m, LONG, size);
		return;
	}
	uint64_t number = 0;
	const uint8_t *p = take(m, size);
	for (size_t i = 0; i < size; i++)
		number |= (uint64_t)p[i] << (8 * i);
	if (size > 0 && size < 8 && p[size - 1] & 0x80)
		number |= UINT64_MAX << (8 * size);
	sn_pickle_push(m, (value){ .kind = INTEGER, .at = (int64_t)number });
}

static void push_real(sn_pickle *m) {
	const uint8_t *p = take(m, 8);
	uint64_t bits = 0;
	for (int i = 0; i < 8; i++)
		bits = bits << 8 | p[i];
	sn_pickle_push(m, (value){ .kind = REAL, .at = (int64_t)bits });
}

/* Two lines: module, name. */
static void op_global(sn_pickle *m, int called) {
	const uint8_t *module = m->data + m->at, *end = memchr(module, '\n', m->size - m->at);
	const uint8_t *name = end ? end + 1 : NULL, *stop = name ? memchr(name, '\n', (size_t)(m->data + m->size - name)) : NULL;
	if (!stop) {
		sn_pickle_malformed(m, "an unfinished name of a class");
		return;
	}
	m->at = (size_t)(stop + 1 - m->data);
	sn_pickle_global(m, module, (size_t)(end - module), name, (size_t)(stop - name));
	if (called && m->result == SN_OK)
		sn_pickle_refuse(m, sn_pickle_pop(m));
}

static void op_stack_global(sn_pickle *m) {
	value name = sn_pickle_pop(m), module = sn_pickle_pop(m);
	if (name.kind != TEXT || module.kind != TEXT)
		sn_pickle_malformed(m, "a name of a class that is no text");
	else
		sn_pickle_global(m, m->data + module.at, module.length, m->data + name.at, name.length);
}

/* ---- containers ---- */

static int holds(value v, value_kind kind) { return v.kind == kind || (kind == DICT && v.kind == OBJECT); }

static value top_of(sn_pickle *m, value_kind kind) {
	const value *stack = m->stack.items;
	if (m->result == SN_OK && (m->stack.count == 0 || !holds(stack[m->stack.count - 1], kind)))
		sn_pickle_malformed(m, "items for something that holds none");
	return m->result == SN_OK ? stack[m->stack.count - 1] : (value){ 0 };
}

/* The container that items above the topmost mark are for. */
static value below_mark(sn_pickle *m, value_kind kind) {
	const value *stack = m->stack.items;
	size_t at = m->stack.count;
	while (at > 0 && stack[at - 1].kind != MARK)
		at--;
	if (m->result == SN_OK && (at < 2 || !holds(stack[at - 2], kind)))
		sn_pickle_malformed(m, "items for something that holds none");
	return m->result == SN_OK ? stack[at - 2] : (value){ 0 };
}

/* Names that are neither called nor a class have no place in a checkpoint, but for torch's own functions. */
static void check_item(sn_pickle *m, value v) {
	if (v.kind == GLOBAL && v.global == STRANGER)
		sn_pickle_refuse(m, v);
}

static void op_items_to_mark(sn_pickle *m, value_kind kind) {
	value to = below_mark(m, kind);
	if (m->result != SN_OK)
		return;
	const container *c = sn_pickle_container_of(m, to);
	uint32_t before = c->count, last = c->last;
	append_to_mark(m, to);
	if (m->result == SN_OK && kind == DICT && (sn_pickle_container_of(m, to)->count - before) % 2)
		sn_pickle_malformed(m, "a key without value");
	uint32_t at = m->result != SN_OK ? 0 : last ? sn_pickle_cell(m, last)->next : sn_pickle_container_of(m, to)->first;
	for (; at && m->result == SN_OK; at = sn_pickle_cell(m, at)->next)
		check_item(m, sn_pickle_cell(m, at)->value);
}

static void op_tuple(sn_pickle *m, int count) {
	value items[3], tuple = sn_pickle_container(m, LIST);
	for (int i = count - 1; i >= 0; i--)
		items[i] = sn_pickle_pop(m);
	for (int i = 0; i < count && m->result == SN_OK; i++)
		sn_pickle_append(m, tuple, items[i]);
	sn_pickle_push(m, tuple);
}

static void op_tuple_to_mark(sn_pickle *m) {
	value tuple = sn_pickle_container(m, LIST);
	if (m->result == SN_OK)
		append_to_mark(m, tuple);
	sn_pickle_push(m, tuple);
}

static void op_set_item(sn_pickle *m) {
	value v = sn_pickle_pop(m), key = sn_pickle_pop(m), dict = top_of(m, DICT);
	check_item(m, v);
	if (m->result == SN_OK) {
		sn_pickle_append(m, dict, key);
		sn_pickle_append(m, dict, v);
	}
}

static void op_append(sn_pickle *m) {
	value v = sn_pickle_pop(m), list = top_of(m, LIST);
	check_item(m, v);
	if (m->result == SN_OK)
		sn_pickle_append(m, list, v);
}

static void op_put(sn_pickle *m, size_t index) {
	if (m->stack.count == 0)
		sn_pickle_malformed(m, "the stack is empty");
	while (m->memo.count <= index && sn_pickle_push_item(m, &m->memo, sizeof(value))) {
	}
	if (m->result == SN_OK)
		((value *)m->memo.items)[index] = ((value *)m->stack.items)[m->stack.count - 1];
}

static void op_get(sn_pickle *m, size_t index) {
	if (index >= m->memo.count)
		sn_pickle_malformed(m, "nothing was remembered under that number");
	else
		sn_pickle_push(m, ((value *)m->memo.items)[index]);
}

/* ---- the machine ---- */

static void op_integer(sn_pickle *m, uint8_t op) {
	int64_t number = 0;
	if (op == 'J') { /* BININT */
		number = (int32_t)sn_le32(take(m, 4));
	} else if (op == 'M') { /* BININT2 */
		const uint8_t *p = take(m, 2);
		number = p[0] | p[1] << 8;
	} else { /* BININT1 */
		number = *take(m, 1);
	}
	sn_pickle_push(m, (value){ .kind = INTEGER, .at = number });
}

/* 1 until the pickle stops. Opcodes by their numbers in Python's pickletools. */
static int step(sn_pickle *m) {
	uint8_t op = *take(m, 1);
	if (m->result != SN_OK)
		return 0;
	switch (op) {
	case 0x80: take(m, 1); break;                                         /* PROTO */
	case 0x95: take(m, 8); break;                                         /* FRAME */
	case '.': return 0;                                                   /* STOP */
	case '(': sn_pickle_push(m, (value){ .kind = MARK }); break;          /* MARK */
	case '0': sn_pickle_pop(m); break;                                    /* POP */
	case 'N': sn_pickle_push(m, (value){ .kind = NONE }); break;          /* NONE */
	case 0x88:                                                            /* NEWTRUE */
	case 0x89: sn_pickle_push(m, (value){ .kind = BOOLEAN, .at = op == 0x88 }); break; /* NEWFALSE */
	case 'G': push_real(m); break;                                        /* BINFLOAT */
	case 'J': case 'K': case 'M': op_integer(m, op); break;
	case 0x8a: push_long(m, *take(m, 1)); break;                          /* LONG1 */
	case 0x8b: push_long(m, sn_le32(take(m, 4))); break;                  /* LONG4 */
	case 'X': case 'T': push_bytes(m, TEXT, sn_le32(take(m, 4))); break;  /* BINUNICODE, BINSTRING */
	case 0x8c: case 'U': push_bytes(m, TEXT, *take(m, 1)); break;         /* SHORT_BINUNICODE, SHORT_BINSTRING */
	case 'B': push_bytes(m, LONG, sn_le32(take(m, 4))); break;            /* BINBYTES */
	case 'C': push_bytes(m, LONG, *take(m, 1)); break;                    /* SHORT_BINBYTES */
	case 'c': op_global(m, 0); break;                                     /* GLOBAL */
	case 'i': op_global(m, 1); break;                                     /* INST */
	case 0x93: op_stack_global(m); break;                                 /* STACK_GLOBAL */
	case '}': sn_pickle_push(m, sn_pickle_container(m, DICT)); break;     /* EMPTY_DICT */
	case 0x8f: case ']': case ')': sn_pickle_push(m, sn_pickle_container(m, LIST)); break; /* EMPTY_SET, _LIST, _TUPLE */
	case 0x85: case 0x86: case 0x87: op_tuple(m, op - 0x84); break;       /* TUPLE1, 2, 3 */
	case 't': op_tuple_to_mark(m); break;                                 /* TUPLE */
	case 'a': op_append(m); break;                                        /* APPEND */
	case 0x90: case 'e': op_items_to_mark(m, LIST); break;                /* ADDITEMS, APPENDS */
	case 's': op_set_item(m); break;                                      /* SETITEM */
	case 'u': op_items_to_mark(m, DICT); break;                           /* SETITEMS */
	case 'b': sn_pickle_build(m); break;                                  /* BUILD */
	case 'Q': sn_pickle_persistent(m); break;                             /* BINPERSID */
	case 'R': sn_pickle_reduce(m); break;                                 /* REDUCE */
	case 0x81: case 0x92: sn_pickle_new_object(m, op == 0x92); break;     /* NEWOBJ, NEWOBJ_EX */
	case 'q': op_put(m, *take(m, 1)); break;                              /* BINPUT */
	case 'r': op_put(m, sn_le32(take(m, 4))); break;                      /* LONG_BINPUT */
	case 0x94: op_put(m, m->memo.count); break;                           /* MEMOIZE */
	case 'h': op_get(m, *take(m, 1)); break;                              /* BINGET */
	case 'j': op_get(m, sn_le32(take(m, 4))); break;                      /* LONG_BINGET */
	default: sn_pickle_malformed(m, "an instruction that no checkpoint needs"); break;
	}
	return m->result == SN_OK;
}

int sn_pickle_read(sn_pickle **out, const uint8_t *data, size_t size, const char *file, size_t most, size_t *used, char *err) {
	sn_pickle *m = *out = calloc(1, sizeof *m);
	if (!m)
		return sn_fail(err, SN_E_MEMORY, "%s: out of memory", file);
	m->data = data;
	m->size = size;
	m->file = file;
	m->most = most;
	m->err = err;
	while (step(m)) {
	}
	m->root = sn_pickle_pop(m);
	*used = m->at;
	int result = m->result;
	if (result != SN_OK)
		sn_pickle_close(out);
	return result;
}

void sn_pickle_close(sn_pickle **pickle) {
	sn_pickle *m = *pickle;
	*pickle = NULL;
	if (!m)
		return;
	pool *pools[] = { &m->stack, &m->memo, &m->cells, &m->containers, &m->tensors, &m->storages, &m->globals };
	for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++)
		free(pools[i]->items);
	free(m);
}

size_t sn_pickle_storage_count(const sn_pickle *pickle) { return pickle->storages.count; }

const sn_pickle_storage *sn_pickle_storage_at(const sn_pickle *pickle, size_t index) {
	return (const sn_pickle_storage *)pickle->storages.items + index;
}

int sn_pickle_is_integer(const sn_pickle *m, int64_t number) { return m->root.kind == INTEGER && m->root.at == number; }

int sn_pickle_is_long(const sn_pickle *m, const void *bytes, size_t size) {
	return m->root.kind == LONG && m->root.length == size && memcmp(m->data + m->root.at, bytes, size) == 0;
}

int sn_pickle_says_true(sn_pickle *m, const char *key) {
	if (m->root.kind != DICT)
		return 0;
	for (uint32_t at = sn_pickle_container_of(m, m->root)->first; at;) {
		const cell *name = sn_pickle_cell(m, at), *item = sn_pickle_cell(m, name->next);
		at = item->next;
		if (name->value.kind == TEXT && name->value.length == strlen(key) && memcmp(m->data + name->value.at, key, strlen(key)) == 0)
			return item->value.kind == BOOLEAN && item->value.at;
	}
	return 0;
}

const char *sn_pickle_text(sn_pickle *m, uint32_t *cursor, size_t *length) {
	if (m->root.kind != LIST)
		return NULL;
	const container *c = sn_pickle_container_of(m, m->root);
	uint32_t at = *cursor ? sn_pickle_cell(m, *cursor)->next : c->first;
	if (!at || sn_pickle_cell(m, at)->value.kind != TEXT)
		return NULL;
	*cursor = at;
	*length = sn_pickle_cell(m, at)->value.length;
	return (const char *)m->data + sn_pickle_cell(m, at)->value.at;
}
