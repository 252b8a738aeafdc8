/* A compiled graph: values (where tensors lie), steps (what is done) and regions (what runs without waiting in between).
 *
 * A region is a run of steps over the same rows in which every step reads, of what the region itself made, only the row it
 * writes. It is executed by blocks of rows: one worker takes a block through all steps, so that what passes between them stays in
 * its cache ("local" values have only a block's worth of memory per worker) and nobody waits. With few rows (a decoder step) the
 * steps run one after the other instead, each split by columns. */
#ifndef SN_NN_PLAN_H
#define SN_NN_PLAN_H

#include "nn/cpu/kernels.h"
#include "nn/graph.h"
#include "nn/pack.h"

#include <stdatomic.h>

#define NN_BLOCK_ROWS 56  /* rows of a block: a multiple of the kernels' tile heights */
#define NN_COLUMN_ROWS 56 /* up to so many rows a region runs split by columns */
#define NN_ATTN_ROWS 28   /* query rows scored at once: their scores stay in the cache */
#define NN_GATHER_ROWS 14 /* convolution rows copied together where the input's ends are near */
#define NN_STRIP_COLS 64  /* columns that a worker sums over all rows at once */
#define NN_ALIGN 64

typedef enum nn_place { PLACE_ARENA, PLACE_LOCAL, PLACE_CONST, PLACE_INPUT, PLACE_STATE } nn_place;

typedef struct nn_value {
	nn_place place;
	nn_store store;
	int ids;              /* int32 instead of `store` */
	int base;             /* the value that this is a view of, or -1 */
	int64_t view;         /* elements from the base's start */
	int same_rows;        /* view: row r is the base's row r */
	int rank;
	nn_dim dims[NN_MAX_RANK];
	int64_t cols, stride; /* elements; stride between rows */
	size_t offset, bytes; /* in arena, scratch, inputs or states; for the maxima */
	size_t scales;        /* NN_STORE_U8: bytes from the value's start to its row scales */
	int born, dies;       /* regions; steps inside a region for local values */
	float *constant;      /* PLACE_CONST, owned by the plan */
	int node;
} nn_value;

typedef enum nn_step_kind {
	STEP_GEMM, STEP_DEPTHWISE, STEP_UNARY, STEP_BINARY, STEP_AFFINE, STEP_CONVERT, STEP_QUANTIZE, STEP_NORM, STEP_GATED,
	STEP_CONCAT, STEP_FLIP, STEP_COPY, STEP_GATHER, STEP_PAD, STEP_UNFOLD, STEP_MAX_POOL, STEP_LSTM_CELL, STEP_SPLINE, STEP_ATTENTION, STEP_KV_ATTENTION,
	STEP_CACHE_ATTENTION,
	/* those below are regions of their own */
	STEP_ATTENTION_PACK, STEP_KV_WRITE, STEP_CACHE_WRITE, STEP_LSTM, STEP_GRU,
	/* and of these, columns are shared among threads */
	STEP_NORM_ROWS, STEP_SOFTMAX_ROWS, STEP_SUM_ROWS
} nn_step_kind;

typedef struct nn_step {
	nn_step_kind kind;
	int node;
	int count, in[NN_MAX_INPUTS]; /* values */
	unsigned whole;               /* bit i: in[i] is read at other rows than the one written */
	int out, out2;                /* values; out2: GEMM's second output, attention's probabilities, an LSTM's or GRU's last h */
	int out3;                     /* LSTM's last c */
	/* products */
	const nn_gemm_family *family;
	const void *packed;
	const float *scale, *bias;
	const int32_t *colsum;
	int64_t n, k;
	int taps, stride, dilation, pad, groups;
	nn_act act, act2;
	float param, param2, out_scale;
	int residual; /* value or -1 */
	/* the rest */
	nn_attn attn;
	int64_t first;
	double flops_per_row;
} nn_step;

typedef struct nn_region {
	int first, count; /* steps */
	int by_rows;      /* 0: one step that organises itself */
	size_t local;     /* scratch bytes of its local values */
} nn_region;

struct nn_plan {
	_Atomic int references;
	char name[NN_NAME];
	nn_graph *graph; /* a copy: names, shapes, ops and the values of constants; weights are borrowed */
	nn_kernels kernels;
	nn_dtype dtype;
	int debug;
	int values, steps, regions;
	nn_value *value;
	nn_step *step;
	nn_region *region;
	int value_capacity, step_capacity;
	int *of_node; /* [nodes * 3] value of each node by store, -1 */
	size_t arena, local, scratch, inputs, states; /* bytes; scratch: attention scores and gathered rows of one worker, after its locals */
	nn_pack *own_pack;
	nn_need *need; /* only measured, or exported: nothing is read of the weights */
	nn_need unneeded;
	struct nn_ort_plan *ort; /* run by ONNX Runtime: the graph's copy, and nothing else of the above */
};

static inline size_t nn_store_size(nn_store s) { return s == NN_STORE_F32 ? 4 : s == NN_STORE_BF16 ? 2 : 1; }
static inline const nn_node *nn_plan_node(const nn_plan *p, int i) { return p->graph->nodes + i; }
/* The family whose layout kv states and attention workspaces use. */
static inline const nn_gemm_family *nn_attention_family(const nn_plan *p) {
	return p->dtype == NN_DTYPE_F32 || p->debug || !p->kernels.bf16.run ? &p->kernels.f32 : &p->kernels.bf16;
}
size_t nn_packed_size(const nn_gemm_family *f, int64_t n, int64_t k, int taps);
/* Bytes of one head's packed keys and values. */
static inline size_t nn_packed_head(const nn_gemm_family *f, int64_t length, int64_t head) {
	return nn_packed_size(f, length, head, 1) + nn_packed_size(f, head, length, 1) + NN_OVERREAD;
}

/* Floats of a query row's products with the positions that a block of rows shifts over (see attention.c). */
static inline int64_t nn_shifted_stride(const nn_gemm_family *f, int64_t length) {
	return (length + NN_ATTN_ROWS + 2 * f->nr + 15) / 16 * 16;
}

/* emit.c */
int nn_plan_emit(nn_plan *plan, nn_pack *pack, char *err);
/* place.c */
int nn_plan_place(nn_plan *plan, char *err);

/* plan.c */
int nn_value_new(nn_plan *plan, const nn_value *like); /* -1: out of memory */
nn_step *nn_step_new(nn_plan *plan, const nn_step *like);
int nn_weights_pack(nn_plan *plan, nn_pack *pack, nn_step *step, int node, char *err);

#endif
