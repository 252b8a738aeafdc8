/* The values of a pickle, shared by what runs it (pickle.c), what stands in for Python's classes (pickle_calls.c) and what
 * goes over the result (pickle_walk.c). */
#ifndef SN_WEIGHTS_PICKLE_MACHINE_H
#define SN_WEIGHTS_PICKLE_MACHINE_H

#include "weights/pickle.h"
#include "weights/reader.h"

#define SN_PICKLE_MAX_VALUES ((size_t)1 << 25) /* of the stack, the memo, the cells and the containers, each */

typedef enum value_kind {
	NONE, OTHER, INTEGER, REAL, BOOLEAN, LONG, TEXT, GLOBAL, STORAGE, TENSOR, LIST, DICT, OBJECT, MARK
} value_kind;

typedef enum value_global {
	STRANGER, /* any other name: the class of an object, or a name that is never used */
	INERT,    /* a type that may stand in a dictionary and is never called */
	ORDERED_DICT,
	DEFAULT_DICT,
	SEQUENCE, /* set, list, tuple, torch.Size */
	OPAQUE,   /* calls whose result nobody needs: numpy's scalars, torch.device */
	RECONSTRUCTOR,
	REBUILD_TENSOR,
	REBUILD_PARAMETER,
	REBUILD_FROM_TYPE,
	STORAGE_TYPE
} value_global;

typedef struct value {
	uint8_t kind, global, dtype; /* GLOBAL: which, and the element type of a STORAGE_TYPE */
	uint32_t length;             /* TEXT, LONG: bytes */
	int64_t at; /* INTEGER, BOOLEAN: the number; REAL: its bits; TEXT, LONG: offset in data; else index in its pool */
} value;

typedef struct cell {
	value value;
	uint32_t next; /* index + 1 of the next cell of the container, 0 at its end */
} cell;

/* LIST (also tuples): items; DICT: key, value, key, value, ...; OBJECT: as DICT, for classes that are dictionaries */
typedef struct container {
	uint32_t first, last, count;
	uint32_t state; /* OBJECT: index + 1 of the dictionary of its attributes */
	int busy;       /* being walked */
} container;

typedef struct global_name {
	const uint8_t *module, *name;
	uint32_t module_length, length;
} global_name;

typedef struct pool {
	void *items;
	size_t count, capacity;
} pool;

struct sn_pickle {
	const uint8_t *data;
	size_t at, size;
	size_t used, most; /* bytes of the pools */
	const char *file;
	char *err;
	int result; /* sticky */
	value root;
	pool stack, memo, cells, containers, tensors, storages, globals;
};

/* The new item, zeroed, or NULL after a failure. */
void *sn_pickle_push_item(sn_pickle *m, pool *pool, size_t size);
void sn_pickle_push(sn_pickle *m, value v);
value sn_pickle_pop(sn_pickle *m);
value sn_pickle_container(sn_pickle *m, value_kind kind);
void sn_pickle_append(sn_pickle *m, value to, value item);
/* Item `index` of a list or tuple; NONE where there is none. */
value sn_pickle_item(sn_pickle *m, value list, uint32_t index);
void sn_pickle_malformed(sn_pickle *m, const char *what);
/* Fails with the name when `v` is a class or function that nothing good needs. */
void sn_pickle_refuse(sn_pickle *m, value v);

/* The instructions that name and call things. */
void sn_pickle_global(sn_pickle *m, const uint8_t *module, size_t module_length, const uint8_t *name, size_t length);
void sn_pickle_persistent(sn_pickle *m);
void sn_pickle_reduce(sn_pickle *m);
void sn_pickle_new_object(sn_pickle *m, int with_keywords);
void sn_pickle_build(sn_pickle *m);

static inline container *sn_pickle_container_of(sn_pickle *m, value v) { return (container *)m->containers.items + v.at; }
static inline cell *sn_pickle_cell(sn_pickle *m, uint32_t index) { return (cell *)m->cells.items + index - 1; }

#endif
