/* Recorded graphs as ONNX: what each op of nn.h is in ONNX.
 *
 * A tensor has one or two forms in the file: rows as nn.h has them ([T, C]), or channels first with a batch axis ([1, C, T]; [B, C, T] for
 * rank 3), as ONNX's convolutions want them. Ops that do not care which take the form that is there, so that a chain of convolutions
 * and activations stays in one. */
#ifndef SN_NN_ORT_LOWER_H
#define SN_NN_ORT_LOWER_H

#include "nn/graph.h"
#include "nn/ort/onnx.h"

#define NN_STATE_PARTS 3

typedef enum nn_port_kind { PORT_INPUT, PORT_SYMBOL, PORT_STATE, PORT_OUTPUT, PORT_TENSOR } nn_port_kind;

/* An input or output of the ONNX model. */
typedef struct nn_port {
	nn_port_kind kind;
	char name[ONNX_NAME];
	int index; /* node, or symbol */
	int part;  /* of a state: keys, values, lengths */
} nn_port;

typedef struct nn_lowered {
	onnx_model *model;
	int inputs, outputs, input_capacity, output_capacity;
	nn_port *input, *output;
	int write_after_read; /* a state is read before the graph writes it: its new value must not lie where the old one does */
} nn_lowered;

/* Lowers what the outputs (and with `debug` all named tensors) need. On success the caller frees with nn_lowered_free. */
int nn_lower(nn_lowered **out, const nn_graph *g, int debug, char *err);
void nn_lowered_free(nn_lowered **lowered);

/* A symbolic extent: "4*frames+1". */
void nn_dim_text(const nn_graph *g, nn_dim d, char *text, size_t size);

/* Of a state's part: its type, rank and extents (nn_state_parts of them there are). */
int nn_state_parts(const nn_node *state);
onnx_type nn_state_shape(const nn_node *state, int part, int *rank, int64_t dims[ONNX_MAX_RANK]);

/* ---- within the lowering ---- */

typedef struct nn_forms {
	onnx_value rows, channels;
	onnx_value second[2];
	onnx_value state[NN_STATE_PARTS];
	int writes, read; /* of a state: writes to come; whether it was read before one of them */
} nn_forms;

typedef struct nn_lowering {
	const nn_graph *g;
	onnx_model *m;
	nn_lowered *to;
	nn_forms *of;
	unsigned char *needed;
	onnx_value extent[NN_MAX_SYMBOLS];
	char *err;
	int result, debug;
} nn_lowering;

static inline const nn_node *nn_low_node(const nn_lowering *l, int i) { return l->g->nodes + i; }

/* Nodes: inputs that are ONNX_NONE at the end are left out. */
onnx_value nn_op1(nn_lowering *l, const char *op, onnx_value a);
onnx_value nn_op2(nn_lowering *l, const char *op, onnx_value a, onnx_value b);
onnx_value nn_op3(nn_lowering *l, const char *op, onnx_value a, onnx_value b, onnx_value c);

/* Constants. */
onnx_value nn_low_ints(nn_lowering *l, int count, const int64_t *values); /* int64 [count] */
onnx_value nn_low_int(nn_lowering *l, int64_t value);                     /* int64 [1] */
onnx_value nn_low_float(nn_lowering *l, float value);                     /* float32, rank 0 */
/* The values of a constant tensor, malloc'ed; NULL after an error. */
float *nn_low_values(nn_lowering *l, nn_t t, int64_t *count);
/* A float constant of other extents or arrangement than recorded; takes `values` over. */
onnx_value nn_low_constant(nn_lowering *l, const char *name, int rank, const int64_t *dims, float *values);
/* A constant tensor with the extents `dims`. */
onnx_value nn_low_shaped(nn_lowering *l, nn_t t, int rank, const int64_t *dims);

/* An extent of the moment, int64 [1]; several as one vector. */
onnx_value nn_low_dim(nn_lowering *l, nn_dim d);
onnx_value nn_low_shape(nn_lowering *l, int rank, const nn_dim *dims);
/* 0, 1, .. d-1: int64 [d] */
onnx_value nn_low_range(nn_lowering *l, nn_dim d);
onnx_value nn_low_range_of(nn_lowering *l, onnx_value extent);

onnx_value nn_low_reshape(nn_lowering *l, onnx_value x, int rank, const int64_t *dims); /* -1: what is left, 0: as it was */
onnx_value nn_low_transpose(nn_lowering *l, onnx_value x, int rank, const int64_t *order);
onnx_value nn_low_slice(nn_lowering *l, onnx_value x, int64_t axis, int64_t first, int64_t end);
/* `before` and `after` elements of `fill` at the ends of one axis. `after`: int64 [1] or, where it is ONNX_NONE, `fixed`. All axes are given
 * to ONNX's Pad: ONNX Runtime's optimiser loses track of a choice of them. */
onnx_value nn_low_pad(nn_lowering *l, onnx_value x, int rank, int axis, int64_t before, onnx_value after, int64_t fixed, float fill);
onnx_value nn_low_cast(nn_lowering *l, onnx_value x, onnx_type type);
/* An int32 tensor as int64 of the given extents. */
onnx_value nn_low_ids(nn_lowering *l, nn_t t, int rank, const int64_t *dims);

/* A part of a state, to be read; and written: updates at indices of its first axis, int64 [N, 1]. */
onnx_value nn_low_state(nn_lowering *l, int state, int part);
void nn_low_scatter(nn_lowering *l, int state, int part, onnx_value indices, onnx_value updates);

/* A tensor by rows; channels first; and whichever is there (rows where both are). */
onnx_value nn_low_rows(nn_lowering *l, nn_t t);
onnx_value nn_low_channels(nn_lowering *l, nn_t t);
onnx_value nn_low_any(nn_lowering *l, nn_t t, int *channels);
void nn_low_set(nn_lowering *l, int i, onnx_value v, int channels);
void nn_low_fail(nn_lowering *l, int i, const char *why);

/* One function for each op; lower_attention.c and lower_recurrent.c have some. */
typedef void nn_lower_op(nn_lowering *l, int i, const nn_node *n);
nn_lower_op nn_lower_attention, nn_lower_kv_write, nn_lower_kv_attention, nn_lower_cache_write, nn_lower_cache_attention;
nn_lower_op nn_lower_lstm, nn_lower_gru, nn_lower_lstm_cell, nn_lower_spline;

#endif
