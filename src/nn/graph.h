/* A recorded graph, as the planner reads it. Nodes stand in order: a node's inputs come before it. */
#ifndef SN_NN_GRAPH_H
#define SN_NN_GRAPH_H

#include "nn/nn.h"

#define NN_MAX_NODES 8192
#define NN_MAX_INPUTS 10

typedef enum nn_op {
	OP_INPUT, OP_WEIGHT, OP_CONST, OP_KV_STATE, OP_CACHE_STATE,
	OP_UNARY, OP_BINARY, OP_AFFINE, OP_LINEAR, OP_CONV, OP_CONV_TRANSPOSE, OP_NORM, OP_GATED,
	OP_SLICE_COLS, OP_TRIM_ROWS, OP_CONCAT_COLS, OP_FLIP_COLS, OP_RESHAPE, OP_GATHER, OP_PAD_ROWS, OP_UNFOLD, OP_MAX_POOL,
	OP_NORM_ROWS, OP_SOFTMAX_ROWS, OP_SUM_ROWS,
	OP_ATTENTION, OP_KV_WRITE, OP_KV_ATTENTION, OP_CACHE_ATTENTION, OP_CACHE_WRITE, OP_LSTM, OP_GRU, OP_LSTM_CELL, OP_SPLINE,
	OP_PROBS, OP_LSTM_LAST, /* further outputs of inputs[0] */
	OP_FOLD_NORM, OP_FOLD_ROWS, OP_FOLD_SCALE, OP_FOLD_CONCAT
} nn_op;

typedef struct nn_unfolding { int kh, kw, stride_h, stride_w, pad_h, pad_w; } nn_unfolding;

typedef struct nn_node {
	nn_op op;
	nn_type type;
	int rank;
	nn_dim dims[NN_MAX_RANK];
	int count;
	nn_t inputs[NN_MAX_INPUTS]; /* NN_NONE where optional and absent */
	char name[NN_NAME];
	int is_output;
	char output_name[NN_NAME];
	/* what the op needs, each read by the ops that set it */
	nn_act act;
	nn_binary_op binary;
	nn_conv conv;     /* padded rows: pad_left and pad_right */
	nn_unfolding unfold;
	nn_pad pad;
	nn_attn attn;
	float a, b; /* unary's param; affine's scale and shift; norm's epsilon; attention's scale; spline's bound */
	int64_t first; /* slices and trims: first; kv and cache states: heads; spline's bins; second outputs: which, 0 or 1; sums: 1 for the
	                * mean, 2 for the largest; weight norms: the axis that keeps its norm, 0 or 2 */
	const sn_weight *weight;
	float *values; /* OP_CONST, owned */
} nn_node;

struct nn_graph {
	char name[NN_NAME];
	char error[SN_ERRLEN];
	int count, capacity;
	nn_node *nodes;
	int symbols;
	struct { char name[NN_NAME]; int64_t most; } symbol[NN_MAX_SYMBOLS];
};

/* The extent with symbols at the given values; at the maxima when NULL. */
int64_t nn_dim_value(const nn_graph *g, nn_dim d, const int64_t *values);
int nn_dim_equal(nn_dim a, nn_dim b);
int nn_dim_fixed(nn_dim d);
int64_t nn_cols(const nn_node *n);             /* the last extent, which is fixed */
int nn_is_constant(const nn_graph *g, nn_t t); /* weights, constants and folds of them */
int nn_is_state(nn_op op);

/* fold.c: the float values of a constant tensor, malloc'ed into *out. */
int nn_fold(const nn_graph *g, nn_t t, float **out, int64_t *count, char *err);
/* The tensor of the file whose rows, from *first on, the constant is as they stand; NULL where it has to be computed. */
const sn_weight *nn_stored_rows(const nn_graph *g, nn_t t, int64_t *first);

#endif
