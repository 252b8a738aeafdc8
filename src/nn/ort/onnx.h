/* Writes an ONNX model: nodes, constants, inputs and outputs, appended in order. Values are known by numbers; a value's name in the file is
 * its number, but for inputs, outputs and constants that are given one.
 *
 * Errors are sticky: once memory or a bound is exceeded every call does nothing and onnx_finish() says so. */
#ifndef SN_NN_ORT_ONNX_H
#define SN_NN_ORT_ONNX_H

#include <stddef.h>
#include <stdint.h>

#define ONNX_OPSET 20
#define ONNX_IR 9
#define ONNX_MAX_VALUES 262144
#define ONNX_MAX_BYTES ((size_t)1 << 30) /* of the model itself; large constants lie outside */
#define ONNX_INLINE 1024                 /* bytes of a constant up to which it stands in the model */
#define ONNX_NAME 128
#define ONNX_MAX_RANK 6

typedef int onnx_value;
#define ONNX_NONE (-1)

typedef enum onnx_type { ONNX_F32 = 1, ONNX_I32 = 6, ONNX_I64 = 7, ONNX_BOOL = 9, ONNX_F64 = 11 } onnx_type;

typedef struct onnx_bytes {
	uint8_t *data;
	size_t size, capacity;
	int failed;
} onnx_bytes;

/* A constant that lies outside of the model's bytes. */
typedef struct onnx_external {
	char name[ONNX_NAME];
	onnx_type type;
	int rank;
	int64_t dims[ONNX_MAX_RANK];
	void *data; /* owned */
	size_t bytes, offset; /* offset: in the one file beside an exported model */
} onnx_external;

typedef struct onnx_model {
	onnx_bytes nodes, constants, inputs, outputs; /* encoded fields of the graph */
	onnx_bytes attributes;                        /* of the next node */
	char (*names)[ONNX_NAME];                     /* by value; "": its number */
	int values, value_capacity;
	int named_as; /* 1 + the value that the next node makes as its first output */
	onnx_external *external;
	int externals, external_capacity;
	size_t external_bytes;
	int failed;
} onnx_model;

onnx_model *onnx_new(void);
void onnx_free(onnx_model **model);

/* dims: extents; -1 with a text in names[i] (may be NULL) is an axis of any extent. */
onnx_value onnx_input(onnx_model *m, const char *name, onnx_type type, int rank, const int64_t *dims, const char *const *names);
/* Makes `value` an output called `name`. */
void onnx_output(onnx_model *m, onnx_value value, const char *name, onnx_type type, int rank, const int64_t *dims, const char *const *names);

/* The same for a value that has its name already, by onnx_name_next. */
void onnx_output_named(onnx_model *m, onnx_value value, onnx_type type, int rank, const int64_t *dims, const char *const *names);
/* The first output of the node that is made next has this name. */
void onnx_name_next(onnx_model *m, const char *name);

/* A constant, copied. */
onnx_value onnx_constant(onnx_model *m, onnx_type type, int rank, const int64_t *dims, const void *values);
/* A constant whose malloc'ed values the model takes over; it lies outside where it is large, by that name where it fits and is not taken. */
onnx_value onnx_constant_owned(onnx_model *m, const char *name, onnx_type type, int rank, const int64_t *dims, void *values);

/* Attributes of the node that onnx_node makes next. */
void onnx_int(onnx_model *m, const char *name, int64_t value);
void onnx_float(onnx_model *m, const char *name, float value);
void onnx_text(onnx_model *m, const char *name, const char *value);
void onnx_ints(onnx_model *m, const char *name, int count, const int64_t *values);

/* Appends a node with `outputs` outputs and returns the first of them; the others follow in number. Inputs may be ONNX_NONE. */
onnx_value onnx_node(onnx_model *m, const char *op, int inputs, const onnx_value *in, int outputs);
const char *onnx_name(const onnx_model *m, onnx_value value, char buffer[ONNX_NAME]);

/* The whole model as bytes (malloc'ed); NULL where something failed. `file` is where the external constants are said to lie. */
uint8_t *onnx_finish(onnx_model *m, const char *graph, const char *file, size_t *size);

#endif
