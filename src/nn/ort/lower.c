#include "nn/ort/lower.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- nodes and constants ---- */

static onnx_value op(nn_lowering *l, const char *name, onnx_value a, onnx_value b, onnx_value c) {
	const onnx_value in[3] = { a, b, c };
	return onnx_node(l->m, name, c >= 0 ? 3 : b >= 0 ? 2 : 1, in, 1);
}

onnx_value nn_op1(nn_lowering *l, const char *name, onnx_value a) { return op(l, name, a, ONNX_NONE, ONNX_NONE); }
onnx_value nn_op2(nn_lowering *l, const char *name, onnx_value a, onnx_value b) { return op(l, name, a, b, ONNX_NONE); }
onnx_value nn_op3(nn_lowering *l, const char *name, onnx_value a, onnx_value b, onnx_value c) { return op(l, name, a, b, c); }

onnx_value nn_low_ints(nn_lowering *l, int count, const int64_t *values) {
	return onnx_constant(l->m, ONNX_I64, 1, (int64_t[]){ count }, values);
}
onnx_value nn_low_int(nn_lowering *l, int64_t value) { return nn_low_ints(l, 1, &value); }
onnx_value nn_low_float(nn_lowering *l, float value) { return onnx_constant(l->m, ONNX_F32, 0, NULL, &value); }

void nn_low_fail(nn_lowering *l, int i, const char *why) {
	if (l->result == SN_OK)
		l->result = sn_fail(l->err, SN_E_MODEL, "graph %s, node %d '%s': %s", l->g->name, i, nn_low_node(l, i)->name, why);
}

float *nn_low_values(nn_lowering *l, nn_t t, int64_t *count) {
	float *values = NULL;
	*count = 0;
	if (l->result == SN_OK)
		l->result = nn_fold(l->g, t, &values, count, l->err);
	return values;
}

onnx_value nn_low_constant(nn_lowering *l, const char *name, int rank, const int64_t *dims, float *values) {
	return values ? onnx_constant_owned(l->m, name, ONNX_F32, rank, dims, values) : ONNX_NONE;
}

/* A tensor of the checkpoint keeps its name, where no input or output has the same. */
static const char *stored_name(const nn_lowering *l, nn_t t) {
	const nn_node *n = nn_low_node(l, t);
	for (int i = 0; n->op == OP_WEIGHT && i < l->g->count; i++) {
		const nn_node *other = nn_low_node(l, i);
		if ((other->op == OP_INPUT && strcmp(other->name, n->weight->name) == 0) ||
		    (other->is_output && strcmp(other->output_name, n->weight->name) == 0))
			return "";
	}
	return n->op == OP_WEIGHT ? n->weight->name : "";
}

onnx_value nn_low_shaped(nn_lowering *l, nn_t t, int rank, const int64_t *dims) {
	int64_t count;
	return nn_low_constant(l, t == NN_NONE ? "" : stored_name(l, t), rank, dims, nn_low_values(l, t, &count));
}

/* ---- extents ---- */

/* From the shape of an input that has the bare symbol as an axis; else an input of its own. */
static onnx_value extent(nn_lowering *l, int symbol) {
	if (l->extent[symbol] >= 0)
		return l->extent[symbol];
	for (int i = 0; i < l->g->count && l->extent[symbol] < 0; i++) {
		const nn_node *n = nn_low_node(l, i);
		for (int a = 0; n->op == OP_INPUT && l->of[i].rows >= 0 && a < n->rank && l->extent[symbol] < 0; a++)
			if (nn_dim_equal(n->dims[a], (nn_dim){ (int16_t)symbol, 1, 1, 0 })) {
				onnx_int(l->m, "start", a);
				onnx_int(l->m, "end", a + 1);
				l->extent[symbol] = nn_op1(l, "Shape", l->of[i].rows);
			}
	}
	return l->extent[symbol];
}

onnx_value nn_low_dim(nn_lowering *l, nn_dim d) {
	if (nn_dim_fixed(d))
		return nn_low_int(l, d.add);
	onnx_value v = extent(l, d.symbol);
	if (d.mul != 1)
		v = nn_op2(l, "Mul", v, nn_low_int(l, d.mul));
	if (d.add)
		v = nn_op2(l, "Add", v, nn_low_int(l, d.add));
	return d.div == 1 ? v : nn_op2(l, "Div", v, nn_low_int(l, d.div));
}

onnx_value nn_low_shape(nn_lowering *l, int rank, const nn_dim *dims) {
	onnx_value parts[NN_MAX_RANK];
	int64_t fixed[NN_MAX_RANK];
	int symbolic = 0;
	for (int a = 0; a < rank; a++) {
		symbolic += !nn_dim_fixed(dims[a]);
		fixed[a] = nn_dim_fixed(dims[a]) ? dims[a].add : -1;
	}
	if (symbolic < 2)
		return nn_low_ints(l, rank, fixed);
	for (int a = 0; a < rank; a++)
		parts[a] = nn_low_dim(l, dims[a]);
	onnx_int(l->m, "axis", 0);
	return onnx_node(l->m, "Concat", rank, parts, 1);
}

onnx_value nn_low_range_of(nn_lowering *l, onnx_value count) {
	const int64_t zero = 0, one = 1;
	const onnx_value from = onnx_constant(l->m, ONNX_I64, 0, NULL, &zero), step = onnx_constant(l->m, ONNX_I64, 0, NULL, &one);
	return nn_op3(l, "Range", from, nn_op2(l, "Squeeze", count, nn_low_int(l, 0)), step);
}

onnx_value nn_low_range(nn_lowering *l, nn_dim d) { return nn_low_range_of(l, nn_low_dim(l, d)); }

/* ---- moving things about ---- */

onnx_value nn_low_reshape(nn_lowering *l, onnx_value x, int rank, const int64_t *dims) {
	return nn_op2(l, "Reshape", x, nn_low_ints(l, rank, dims));
}

onnx_value nn_low_transpose(nn_lowering *l, onnx_value x, int rank, const int64_t *order) {
	onnx_ints(l->m, "perm", rank, order);
	return nn_op1(l, "Transpose", x);
}

onnx_value nn_low_slice(nn_lowering *l, onnx_value x, int64_t axis, int64_t first, int64_t end) {
	const onnx_value in[4] = { x, nn_low_int(l, first), nn_low_int(l, end), nn_low_int(l, axis) };
	return onnx_node(l->m, "Slice", 4, in, 1);
}

onnx_value nn_low_pad(nn_lowering *l, onnx_value x, int rank, int axis, int64_t before, onnx_value after, int64_t fixed,
                      float fill) {
	int64_t pads[2 * ONNX_MAX_RANK] = { 0 };
	pads[axis] = before;
	pads[rank + axis] = fixed;
	onnx_value all = nn_low_ints(l, 2 * rank, pads);
	if (after >= 0) {
		int64_t is_after[2 * ONNX_MAX_RANK] = { 0 };
		is_after[rank + axis] = 1;
		all = nn_op2(l, "Add", all, nn_op2(l, "Mul", nn_low_ints(l, 2 * rank, is_after), after));
	}
	return fill == 0 ? nn_op2(l, "Pad", x, all) : nn_op3(l, "Pad", x, all, nn_low_float(l, fill));
}

onnx_value nn_low_cast(nn_lowering *l, onnx_value x, onnx_type type) {
	onnx_int(l->m, "to", type);
	return nn_op1(l, "Cast", x);
}

onnx_value nn_low_ids(nn_lowering *l, nn_t t, int rank, const int64_t *dims) {
	return nn_low_reshape(l, nn_low_cast(l, nn_low_rows(l, t), ONNX_I64), rank, dims);
}

/* ---- forms ---- */

/* A weight that another node has recorded already is written once. */
static onnx_value constant_rows(nn_lowering *l, nn_t t) {
	const nn_node *n = nn_low_node(l, t);
	for (int i = 0; n->op == OP_WEIGHT && i < l->g->count; i++)
		if (i != t && nn_low_node(l, i)->op == OP_WEIGHT && nn_low_node(l, i)->weight == n->weight && l->of[i].rows >= 0)
			return l->of[i].rows;
	int64_t dims[NN_MAX_RANK];
	for (int a = 0; a < n->rank; a++)
		dims[a] = n->dims[a].add;
	return nn_low_shaped(l, t, n->rank, dims);
}

onnx_value nn_low_rows(nn_lowering *l, nn_t t) {
	nn_forms *f = l->of + t;
	const nn_node *n = nn_low_node(l, t);
	if (f->rows < 0 && nn_is_constant(l->g, t)) {
		f->rows = constant_rows(l, t);
	} else if (f->rows < 0 && f->channels >= 0) {
		if (n->rank == 3)
			f->rows = nn_low_transpose(l, f->channels, 3, (int64_t[]){ 0, 2, 1 });
		else
			f->rows = nn_low_transpose(l, nn_op2(l, "Squeeze", f->channels, nn_low_int(l, 0)), 2, (int64_t[]){ 1, 0 });
	} else if (f->rows < 0) {
		nn_low_fail(l, t, "is read before it is made");
	}
	return f->rows;
}

onnx_value nn_low_channels(nn_lowering *l, nn_t t) {
	nn_forms *f = l->of + t;
	if (f->channels >= 0)
		return f->channels;
	const onnx_value rows = nn_low_rows(l, t);
	if (nn_low_node(l, t)->rank == 3)
		f->channels = nn_low_transpose(l, rows, 3, (int64_t[]){ 0, 2, 1 });
	else
		f->channels = nn_op2(l, "Unsqueeze", nn_low_transpose(l, rows, 2, (int64_t[]){ 1, 0 }), nn_low_int(l, 0));
	return f->channels;
}

onnx_value nn_low_any(nn_lowering *l, nn_t t, int *channels) {
	*channels = l->of[t].rows < 0 && l->of[t].channels >= 0;
	return *channels ? l->of[t].channels : nn_low_rows(l, t);
}

void nn_low_set(nn_lowering *l, int i, onnx_value v, int channels) {
	if (channels)
		l->of[i].channels = v;
	else
		l->of[i].rows = v;
}

static int64_t column_axis(const nn_node *n, int channels) { return channels ? 1 : n->rank - 1; }
static int64_t row_axis(int channels) { return channels ? 2 : 0; }

/* x of any rank as [rows, C] */
static onnx_value matrix(nn_lowering *l, nn_t t) {
	const nn_node *n = nn_low_node(l, t);
	return n->rank == 2 ? nn_low_rows(l, t) : nn_low_reshape(l, nn_low_rows(l, t), 2, (int64_t[]){ -1, nn_cols(n) });
}

/* ---- element by element ---- */

static const char *const act_ops[] = { [NN_IDENTITY] = "Identity", [NN_RELU] = "Relu", [NN_LEAKY_RELU] = "LeakyRelu",
	[NN_GELU] = "Gelu", [NN_GELU_TANH] = "Gelu", [NN_SILU] = "Sigmoid", [NN_TANH] = "Tanh", [NN_SIGMOID] = "Sigmoid",
	[NN_EXP] = "Exp", [NN_LOG] = "Log", [NN_SQRT] = "Sqrt", [NN_SOFTPLUS] = "Softplus", [NN_NEG] = "Neg", [NN_ABS] = "Abs",
	[NN_CLAMP_MIN] = "Clip", [NN_ELU] = "Elu" };

static void lower_unary(nn_lowering *l, int i, const nn_node *n) {
	int channels;
	const onnx_value x = nn_low_any(l, n->inputs[0], &channels);
	if (n->act == NN_LEAKY_RELU)
		onnx_float(l->m, "alpha", n->a);
	if (n->act == NN_GELU_TANH)
		onnx_text(l->m, "approximate", "tanh");
	onnx_value y = nn_op2(l, act_ops[n->act], x, n->act == NN_CLAMP_MIN ? nn_low_float(l, n->a) : ONNX_NONE);
	if (n->act == NN_SILU)
		y = nn_op2(l, "Mul", x, y);
	nn_low_set(l, i, y, channels);
}

static const char *const binary_ops[] = { [NN_ADD] = "Add", [NN_SUB] = "Sub", [NN_MUL] = "Mul", [NN_DIV] = "Div" };

/* A row [C] or a single value so that it spreads over x. */
static onnx_value row_operand(nn_lowering *l, nn_t x, nn_t y, int channels) {
	const int64_t cols = nn_cols(nn_low_node(l, y));
	const int64_t as_row[] = { cols }, as_column[] = { cols, 1 };
	if (!channels && nn_low_node(l, y)->rank <= nn_low_node(l, x)->rank)
		return nn_low_rows(l, y);
	if (nn_is_constant(l->g, y))
		return nn_low_shaped(l, y, channels ? 2 : 1, channels ? as_column : as_row);
	return nn_low_reshape(l, nn_low_rows(l, y), channels ? 2 : 1, channels ? as_column : as_row);
}

static void lower_binary(nn_lowering *l, int i, const nn_node *n) {
	int channels, other;
	onnx_value x = nn_low_any(l, n->inputs[0], &channels), y;
	if (n->first) {
		y = row_operand(l, n->inputs[0], n->inputs[1], channels);
	} else {
		y = nn_low_any(l, n->inputs[1], &other);
		if (channels != other) { /* the one by channels is nearer to a convolution than the other */
			channels = nn_low_node(l, n->inputs[0])->rank > 1;
			x = channels ? nn_low_channels(l, n->inputs[0]) : nn_low_rows(l, n->inputs[0]);
			y = channels ? nn_low_channels(l, n->inputs[1]) : nn_low_rows(l, n->inputs[1]);
		}
	}
	nn_low_set(l, i, nn_op2(l, binary_ops[n->binary], x, y), channels);
}

static void lower_affine(nn_lowering *l, int i, const nn_node *n) {
	int channels;
	onnx_value x = nn_low_any(l, n->inputs[0], &channels);
	if (n->a != 1)
		x = nn_op2(l, "Mul", x, nn_low_float(l, n->a));
	if (n->b != 0)
		x = nn_op2(l, "Add", x, nn_low_float(l, n->b));
	nn_low_set(l, i, x, channels);
}

static void lower_gated(nn_lowering *l, int i, const nn_node *n) {
	int channels;
	const onnx_value x = nn_low_any(l, n->inputs[0], &channels);
	const int64_t axis = column_axis(n, channels), half = nn_cols(n);
	const onnx_value a = nn_op1(l, "Tanh", nn_low_slice(l, x, axis, 0, half));
	nn_low_set(l, i, nn_op2(l, "Mul", a, nn_op1(l, "Sigmoid", nn_low_slice(l, x, axis, half, 2 * half))), channels);
}

/* ---- products ---- */

static onnx_value bias(nn_lowering *l, nn_t b, int64_t size) { return b == NN_NONE ? ONNX_NONE : nn_low_shaped(l, b, 1, &size); }

/* w[N, K] as [K, N] */
static onnx_value turned(nn_lowering *l, nn_t w) {
	const int64_t rows = nn_low_node(l, w)->dims[0].add, cols = nn_cols(nn_low_node(l, w));
	int64_t count;
	float *values = nn_low_values(l, w, &count), *out = values ? malloc((size_t)count * sizeof *out) : NULL;
	for (int64_t r = 0; out && r < rows; r++)
		for (int64_t c = 0; c < cols; c++)
			out[c * rows + r] = values[r * cols + c];
	free(values);
	if (!out && l->result == SN_OK)
		l->result = sn_fail(l->err, SN_E_MEMORY, "no memory for '%s' (%lld values)", nn_low_node(l, w)->name, (long long)count);
	return nn_low_constant(l, "", 2, (int64_t[]){ cols, rows }, out);
}

static void lower_linear(nn_lowering *l, int i, const nn_node *n) {
	const onnx_value x = nn_low_rows(l, n->inputs[0]), b = bias(l, n->inputs[2], nn_cols(n));
	onnx_value y;
	if (n->rank == 2) {
		const onnx_value w = nn_low_rows(l, n->inputs[1]);
		onnx_int(l->m, "transB", 1);
		y = nn_op3(l, "Gemm", x, w, b);
	} else {
		y = nn_op2(l, "MatMul", x, turned(l, n->inputs[1]));
		if (b >= 0)
			y = nn_op2(l, "Add", y, b);
	}
	nn_low_set(l, i, y, 0);
}

static void lower_conv(nn_lowering *l, int i, const nn_node *n) {
	const nn_conv *c = &n->conv;
	if (n->rank > 3) {
		nn_low_fail(l, i, "a convolution over more than one batch axis has no ONNX form");
		return;
	}
	const onnx_value x = nn_low_channels(l, n->inputs[0]), w = nn_low_rows(l, n->inputs[1]), b = bias(l, n->inputs[2], nn_cols(n));
	onnx_ints(l->m, "kernel_shape", 1, &nn_low_node(l, n->inputs[1])->dims[2].add);
	onnx_ints(l->m, "strides", 1, (int64_t[]){ c->stride });
	onnx_ints(l->m, "dilations", 1, (int64_t[]){ c->dilation });
	onnx_ints(l->m, "pads", 2, (int64_t[]){ c->pad_left, c->pad_right });
	onnx_int(l->m, "group", c->groups);
	nn_low_set(l, i, nn_op3(l, "Conv", x, w, b), 1);
}

static void lower_conv_transpose(nn_lowering *l, int i, const nn_node *n) {
	const onnx_value x = nn_low_channels(l, n->inputs[0]), w = nn_low_rows(l, n->inputs[1]), b = bias(l, n->inputs[2], nn_cols(n));
	onnx_ints(l->m, "kernel_shape", 1, &nn_low_node(l, n->inputs[1])->dims[2].add);
	onnx_ints(l->m, "strides", 1, (int64_t[]){ n->conv.stride });
	onnx_ints(l->m, "pads", 2, (int64_t[]){ n->conv.pad_left, n->conv.pad_left });
	nn_low_set(l, i, nn_op3(l, "ConvTranspose", x, w, b), 1);
}

/* ---- norms and sums ---- */

static void lower_norm(nn_lowering *l, int i, const nn_node *n) {
	const int64_t cols = nn_cols(n);
	const onnx_value x = nn_low_rows(l, n->inputs[0]);
	const onnx_value gamma = nn_low_shaped(l, n->inputs[1], 1, &cols), beta = nn_low_shaped(l, n->inputs[2], 1, &cols);
	onnx_int(l->m, "axis", -1);
	onnx_float(l->m, "epsilon", n->a);
	nn_low_set(l, i, nn_op3(l, "LayerNormalization", x, gamma, beta), 0);
}

static void lower_norm_rows(nn_lowering *l, int i, const nn_node *n) {
	const int64_t cols = nn_cols(n);
	onnx_value x;
	if (n->rank == 2)
		x = nn_low_channels(l, n->inputs[0]);
	else
		x = nn_op2(l, "Unsqueeze", nn_low_transpose(l, matrix(l, n->inputs[0]), 2, (int64_t[]){ 1, 0 }), nn_low_int(l, 0));
	const onnx_value gamma = nn_low_shaped(l, n->inputs[1], 1, &cols), beta = nn_low_shaped(l, n->inputs[2], 1, &cols);
	onnx_float(l->m, "epsilon", n->a);
	const onnx_value y = nn_op3(l, "InstanceNormalization", x, gamma, beta);
	if (n->rank == 2)
		nn_low_set(l, i, y, 1);
	else
		nn_low_set(l, i, nn_op2(l, "Reshape", nn_low_transpose(l, y, 3, (int64_t[]){ 0, 2, 1 }), nn_low_shape(l, n->rank, n->dims)), 0);
}

static void lower_softmax_rows(nn_lowering *l, int i, const nn_node *n) {
	onnx_value x = matrix(l, n->inputs[0]);
	onnx_int(l->m, "axis", 0);
	x = nn_op1(l, "Softmax", x);
	nn_low_set(l, i, n->rank == 2 ? x : nn_op2(l, "Reshape", x, nn_low_shape(l, n->rank, n->dims)), 0);
}

static void lower_sum_rows(nn_lowering *l, int i, const nn_node *n) {
	static const char *const names[] = { "ReduceSum", "ReduceMean", "ReduceMax" };
	const onnx_value x = matrix(l, n->inputs[0]), axes = nn_low_int(l, 0);
	onnx_int(l->m, "keepdims", 1);
	nn_low_set(l, i, nn_op2(l, names[n->first], x, axes), 0);
}

/* ---- rows and columns ---- */

static void lower_slice_cols(nn_lowering *l, int i, const nn_node *n) {
	int channels;
	const onnx_value x = nn_low_any(l, n->inputs[0], &channels);
	nn_low_set(l, i, nn_low_slice(l, x, column_axis(n, channels), n->first, n->first + nn_cols(n)), channels);
}

static void lower_trim_rows(nn_lowering *l, int i, const nn_node *n) {
	int channels;
	const onnx_value x = nn_low_any(l, n->inputs[0], &channels);
	const nn_dim before = nn_low_node(l, n->inputs[0])->dims[0], now = n->dims[0];
	const int64_t last = (before.add - now.add) / before.div - n->first; /* rows cut off behind */
	nn_low_set(l, i, nn_low_slice(l, x, row_axis(channels), n->first, last ? -last : INT64_MAX), channels);
}

static void lower_concat_cols(nn_lowering *l, int i, const nn_node *n) {
	int channels, other;
	onnx_value a = nn_low_any(l, n->inputs[0], &channels), b = nn_low_any(l, n->inputs[1], &other);
	if (channels != other) {
		channels = 0;
		a = nn_low_rows(l, n->inputs[0]);
		b = nn_low_rows(l, n->inputs[1]);
	}
	onnx_int(l->m, "axis", column_axis(n, channels));
	nn_low_set(l, i, nn_op2(l, "Concat", a, b), channels);
}

static void lower_flip_cols(nn_lowering *l, int i, const nn_node *n) {
	int channels;
	const onnx_value x = nn_low_any(l, n->inputs[0], &channels);
	const onnx_value in[5] = { x, nn_low_int(l, -1), nn_low_int(l, INT64_MIN + 1), nn_low_int(l, column_axis(n, channels)),
		nn_low_int(l, -1) };
	nn_low_set(l, i, onnx_node(l->m, "Slice", 5, in, 1), channels);
}

static void lower_reshape(nn_lowering *l, int i, const nn_node *n) {
	nn_low_set(l, i, nn_op2(l, "Reshape", nn_low_rows(l, n->inputs[0]), nn_low_shape(l, n->rank, n->dims)), 0);
}

static void lower_gather(nn_lowering *l, int i, const nn_node *n) {
	const onnx_value table = nn_low_rows(l, n->inputs[0]);
	onnx_value ids = nn_low_ids(l, n->inputs[1], 1, (int64_t[]){ -1 }), rows;
	rows = nn_low_dim(l, nn_low_node(l, n->inputs[0])->dims[0]);
	const onnx_value zero = nn_low_int(l, 0);
	const onnx_value inside = nn_op2(l, "And", nn_op2(l, "GreaterOrEqual", ids, zero), nn_op2(l, "Less", ids, rows));
	ids = nn_op3(l, "Where", inside, ids, zero);
	nn_low_set(l, i, nn_op2(l, "Gather", table, ids), 0);
}

/* Which row each padded row shows: clamped, or bouncing between the ends with a period of 2 (T - 1). */
static onnx_value padded_rows(nn_lowering *l, const nn_node *n) {
	const onnx_value rows = nn_low_dim(l, nn_low_node(l, n->inputs[0])->dims[0]), one = nn_low_int(l, 1), zero = nn_low_int(l, 0);
	const onnx_value last = nn_op2(l, "Sub", rows, one);
	const onnx_value at = nn_op2(l, "Sub", nn_low_range(l, n->dims[0]), nn_low_int(l, n->conv.pad_left));
	if (n->pad == NN_PAD_REPEAT)
		return nn_op2(l, "Min", nn_op2(l, "Max", at, zero), last);
	const onnx_value period = nn_op2(l, "Max", nn_op2(l, "Mul", last, nn_low_int(l, 2)), one);
	const onnx_value phase = nn_op2(l, "Mod", at, period);
	return nn_op2(l, "Min", phase, nn_op2(l, "Sub", period, phase));
}

static void lower_pad_rows(nn_lowering *l, int i, const nn_node *n) {
	int channels;
	const onnx_value x = nn_low_any(l, n->inputs[0], &channels);
	if (n->pad == NN_PAD_ZERO) {
		const int axis = (int)row_axis(channels);
		nn_low_set(l, i, nn_low_pad(l, x, channels ? 3 : 2, axis, n->conv.pad_left, ONNX_NONE, n->conv.pad_right, 0), channels);
		return;
	}
	const onnx_value rows = padded_rows(l, n);
	onnx_int(l->m, "axis", row_axis(channels));
	nn_low_set(l, i, nn_op2(l, "Gather", x, rows), channels);
}

/* ---- images ---- */

/* Every stride-th element of an axis, `count` of them where it is fixed. */
static onnx_value strided(nn_lowering *l, onnx_value x, int64_t axis, int64_t first, onnx_value end, int64_t stride) {
	const onnx_value in[5] = { x, nn_low_int(l, first), end, nn_low_int(l, axis), nn_low_int(l, stride) };
	return onnx_node(l->m, "Slice", 5, in, 1);
}

static void lower_unfold(nn_lowering *l, int i, const nn_node *n) {
	const nn_unfolding *u = &n->unfold;
	onnx_value x = nn_low_rows(l, n->inputs[0]), parts[NN_MAX_NODES];
	if (u->pad_h || u->pad_w)
		x = nn_op2(l, "Pad", x, nn_low_ints(l, 6, (int64_t[]){ u->pad_h, u->pad_w, 0, u->pad_h, u->pad_w, 0 }));
	if ((int64_t)u->kh * u->kw > NN_MAX_NODES) {
		nn_low_fail(l, i, "its patches are too large");
		return;
	}
	int count = 0;
	for (int h = 0; h < u->kh; h++) {
		/* rows h, h + stride, ..: as many as the result has */
		nn_dim end = n->dims[0];
		const onnx_value last = nn_op2(l, "Sub", nn_low_dim(l, end), nn_low_int(l, 1));
		onnx_value stop = nn_op2(l, "Add", nn_op2(l, "Mul", last, nn_low_int(l, u->stride_h)), nn_low_int(l, h + 1));
		const onnx_value rows = strided(l, x, 0, h, stop, u->stride_h);
		for (int w = 0; w < u->kw; w++)
			parts[count++] = strided(l, rows, 1, w, nn_low_int(l, (n->dims[1].add - 1) * u->stride_w + w + 1), u->stride_w);
	}
	onnx_int(l->m, "axis", 2);
	nn_low_set(l, i, onnx_node(l->m, "Concat", count, parts, 1), 0);
}

static void lower_max_pool(nn_lowering *l, int i, const nn_node *n) {
	const nn_unfolding *u = &n->unfold;
	onnx_value x = nn_low_transpose(l, nn_low_rows(l, n->inputs[0]), 3, (int64_t[]){ 2, 0, 1 });
	x = nn_op2(l, "Unsqueeze", x, nn_low_int(l, 0));
	onnx_ints(l->m, "kernel_shape", 2, (int64_t[]){ u->kh, u->kw });
	onnx_ints(l->m, "strides", 2, (int64_t[]){ u->stride_h, u->stride_w });
	x = nn_op2(l, "Squeeze", nn_op1(l, "MaxPool", x), nn_low_int(l, 0));
	nn_low_set(l, i, nn_low_transpose(l, x, 3, (int64_t[]){ 1, 2, 0 }), 0);
}

/* ---- inputs, states, further outputs ---- */

static nn_port *new_port(nn_lowering *l, nn_port **list, int *count, int *capacity, nn_port_kind kind, int index, int part) {
	if (*count == *capacity) {
		const int grown = *capacity ? 2 * *capacity : 32;
		nn_port *bigger = realloc(*list, (size_t)grown * sizeof *bigger);
		if (!bigger) {
			if (l->result == SN_OK)
				l->result = sn_fail(l->err, SN_E_MEMORY, "no memory for the inputs and outputs of graph %s", l->g->name);
			return NULL;
		}
		*list = bigger;
		*capacity = grown;
	}
	nn_port *p = *list + (*count)++;
	*p = (nn_port){ .kind = kind, .index = index, .part = part };
	return p;
}

static nn_port *input_port(nn_lowering *l, nn_port_kind kind, int index, int part) {
	return new_port(l, &l->to->input, &l->to->inputs, &l->to->input_capacity, kind, index, part);
}

static nn_port *output_port(nn_lowering *l, nn_port_kind kind, int index, int part) {
	return new_port(l, &l->to->output, &l->to->outputs, &l->to->output_capacity, kind, index, part);
}

void nn_dim_text(const nn_graph *g, nn_dim d, char *text, size_t size) {
	char product[NN_NAME + 16], sum[NN_NAME + 48];
	const char *name = g->symbol[d.symbol].name;
	if (d.mul == 1)
		snprintf(product, sizeof product, "%s", name);
	else
		snprintf(product, sizeof product, "%d*%s", d.mul, name);
	if (d.add)
		snprintf(sum, sizeof sum, "%s%+lld", product, (long long)d.add);
	else
		snprintf(sum, sizeof sum, "%s", product);
	if (d.div == 1)
		snprintf(text, size, "%s", sum);
	else
		snprintf(text, size, "(%s)/%d", sum, d.div);
}

typedef struct axes {
	int64_t dims[NN_MAX_RANK];
	char text[NN_MAX_RANK][2 * NN_NAME];
	const char *names[NN_MAX_RANK];
} axes;

static void describe(const nn_lowering *l, const nn_node *n, axes *out) {
	for (int a = 0; a < n->rank; a++) {
		out->dims[a] = nn_dim_fixed(n->dims[a]) ? n->dims[a].add : -1;
		out->names[a] = NULL;
		if (out->dims[a] < 0) {
			nn_dim_text(l->g, n->dims[a], out->text[a], sizeof out->text[a]);
			out->names[a] = out->text[a];
		}
	}
}

static void lower_input(nn_lowering *l, int i, const nn_node *n) {
	axes shape;
	nn_port *p = input_port(l, PORT_INPUT, i, 0);
	if (!p)
		return;
	describe(l, n, &shape);
	snprintf(p->name, sizeof p->name, "%s", n->name);
	l->of[i].rows = onnx_input(l->m, p->name, n->type == NN_I32 ? ONNX_I32 : ONNX_F32, n->rank, shape.dims, shape.names);
}

int nn_state_parts(const nn_node *state) { return state->op == OP_KV_STATE ? 3 : 2; }

/* Keys and values of finished sequences lie as products want them: [slots, heads, size, length] and [slots, heads, length, size], and
 * each slot's count of keys; those of a growing cache lie by rows: [slots * length, width]. */
onnx_type nn_state_shape(const nn_node *n, int part, int *rank, int64_t dims[ONNX_MAX_RANK]) {
	const int64_t slots = n->dims[0].add, length = n->dims[1].add, width = nn_cols(n), head = width / n->first;
	if (n->op == OP_CACHE_STATE || part == 2) {
		*rank = part == 2 ? 1 : 2;
		dims[0] = part == 2 ? slots : slots * length;
		dims[1] = width;
		return part == 2 ? ONNX_I64 : ONNX_F32;
	}
	*rank = 4;
	dims[0] = slots;
	dims[1] = n->first;
	dims[2] = part ? length : head;
	dims[3] = part ? head : length;
	return ONNX_F32;
}

static const char *const state_parts[] = { "keys", "values", "lengths" };

static void lower_state(nn_lowering *l, int i, const nn_node *n) {
	for (int part = 0; part < nn_state_parts(n); part++) {
		int rank;
		int64_t dims[ONNX_MAX_RANK];
		const onnx_type type = nn_state_shape(n, part, &rank, dims);
		nn_port *p = input_port(l, PORT_STATE, i, part);
		if (!p)
			return;
		snprintf(p->name, sizeof p->name, "%s.%s", n->name, state_parts[part]);
		l->of[i].state[part] = onnx_input(l->m, p->name, type, rank, dims, NULL);
	}
}

onnx_value nn_low_state(nn_lowering *l, int state, int part) {
	l->of[state].read = 1;
	return l->of[state].state[part];
}

/* The last write of a run makes the graph's output: where its memory is the input's, nothing but the new rows is touched. */
void nn_low_scatter(nn_lowering *l, int state, int part, onnx_value indices, onnx_value updates) {
	nn_forms *f = l->of + state;
	const nn_node *n = nn_low_node(l, state);
	int rank;
	int64_t dims[ONNX_MAX_RANK];
	const onnx_type type = nn_state_shape(n, part, &rank, dims);
	nn_port *p = f->writes == 1 ? output_port(l, PORT_STATE, state, part) : NULL;
	l->to->write_after_read |= f->read;
	if (p) {
		snprintf(p->name, sizeof p->name, "%s.%s.next", n->name, state_parts[part]);
		onnx_name_next(l->m, p->name);
	}
	f->state[part] = nn_op3(l, "ScatterND", f->state[part], indices, updates);
	if (p)
		onnx_output_named(l->m, f->state[part], type, rank, dims, NULL);
	if (part == nn_state_parts(n) - 1)
		f->writes--;
}

static void lower_second(nn_lowering *l, int i, const nn_node *n) { nn_low_set(l, i, l->of[n->inputs[0]].second[n->first], 0); }

/* ---- all of it ---- */

static nn_lower_op *const table[] = {
	[OP_INPUT] = lower_input, [OP_KV_STATE] = lower_state, [OP_CACHE_STATE] = lower_state, [OP_UNARY] = lower_unary,
	[OP_BINARY] = lower_binary, [OP_AFFINE] = lower_affine, [OP_LINEAR] = lower_linear, [OP_CONV] = lower_conv,
	[OP_CONV_TRANSPOSE] = lower_conv_transpose,
	[OP_NORM] = lower_norm, [OP_GATED] = lower_gated, [OP_SLICE_COLS] = lower_slice_cols, [OP_TRIM_ROWS] = lower_trim_rows,
	[OP_CONCAT_COLS] = lower_concat_cols, [OP_FLIP_COLS] = lower_flip_cols, [OP_RESHAPE] = lower_reshape, [OP_GATHER] = lower_gather,
	[OP_PAD_ROWS] = lower_pad_rows, [OP_UNFOLD] = lower_unfold, [OP_MAX_POOL] = lower_max_pool, [OP_NORM_ROWS] = lower_norm_rows,
	[OP_SOFTMAX_ROWS] = lower_softmax_rows, [OP_SUM_ROWS] = lower_sum_rows, [OP_ATTENTION] = nn_lower_attention,
	[OP_KV_WRITE] = nn_lower_kv_write,
	[OP_KV_ATTENTION] = nn_lower_kv_attention, [OP_CACHE_ATTENTION] = nn_lower_cache_attention, [OP_CACHE_WRITE] = nn_lower_cache_write,
	[OP_LSTM] = nn_lower_lstm, [OP_GRU] = nn_lower_gru, [OP_LSTM_CELL] = nn_lower_lstm_cell, [OP_SPLINE] = nn_lower_spline,
	[OP_PROBS] = lower_second, [OP_LSTM_LAST] = lower_second,
};

/* The state that a node writes, or NN_NONE. */
static nn_t written(const nn_node *n) {
	if (n->op == OP_KV_WRITE || n->op == OP_CACHE_WRITE)
		return n->inputs[0];
	return n->op == OP_CACHE_ATTENTION && n->inputs[1] != NN_NONE ? n->inputs[3] : NN_NONE;
}

static int kept(const nn_lowering *l, int i) {
	const nn_node *n = nn_low_node(l, i);
	return n->is_output || written(n) != NN_NONE ||
	       (l->debug && n->name[0] && n->type == NN_F32 && !nn_is_state(n->op) && !nn_is_constant(l->g, i));
}

/* From the last node to the first. A recurrent layer takes its gates' product apart: it reads that one's input. */
static void find_needed(nn_lowering *l) {
	for (int i = l->g->count - 1; i >= 0; i--) {
		const nn_node *n = nn_low_node(l, i);
		l->needed[i] |= (unsigned char)kept(l, i);
		if (!l->needed[i] || nn_is_constant(l->g, i))
			continue;
		if (written(n) != NN_NONE)
			l->of[written(n)].writes++;
		for (int k = 0; k < n->count; k++)
			if (n->inputs[k] >= 0)
				l->needed[k == 0 && (n->op == OP_LSTM || n->op == OP_GRU) ? nn_low_node(l, n->inputs[0])->inputs[0] : n->inputs[k]] = 1;
	}
}

/* A symbol that a node may need as a number and no input has as an axis becomes an input. */
static void lower_symbols(nn_lowering *l) {
	for (int s = 0; s < l->g->symbols; s++) {
		if (extent(l, s) >= 0)
			continue;
		nn_port *p = input_port(l, PORT_SYMBOL, s, 0);
		if (!p)
			return;
		snprintf(p->name, sizeof p->name, "%s", l->g->symbol[s].name);
		l->extent[s] = onnx_input(l->m, p->name, ONNX_I64, 1, (int64_t[]){ 1 }, NULL);
	}
}

static int name_taken(const nn_lowered *to, const char *name) {
	for (int i = 0; i < to->inputs; i++)
		if (strcmp(to->input[i].name, name) == 0)
			return 1;
	for (int i = 0; i + 1 < to->outputs; i++) /* the last one is being named */
		if (strcmp(to->output[i].name, name) == 0)
			return 1;
	return 0;
}

static void lower_outputs(nn_lowering *l) {
	for (int i = 0; i < l->g->count && l->result == SN_OK; i++) {
		const nn_node *n = nn_low_node(l, i);
		if (nn_is_state(n->op))
			continue; /* written by nn_low_scatter */
		if (!kept(l, i) || (!n->is_output && !(l->debug && n->name[0])) || n->op == OP_KV_WRITE || n->op == OP_CACHE_WRITE)
			continue;
		axes shape;
		nn_port *p = output_port(l, n->is_output ? PORT_OUTPUT : PORT_TENSOR, i, 0);
		if (!p)
			return;
		describe(l, n, &shape);
		if (n->is_output)
			snprintf(p->name, sizeof p->name, "%s", n->output_name);
		else
			snprintf(p->name, sizeof p->name, "tensor%d", i);
		if (name_taken(l->to, p->name))
			snprintf(p->name, sizeof p->name, "%.*s.next", NN_NAME, n->output_name);
		onnx_output(l->m, nn_low_rows(l, i), p->name, ONNX_F32, n->rank, shape.dims, shape.names);
	}
}

static void lower_all(nn_lowering *l) {
	find_needed(l);
	for (int i = 0; i < l->g->count && l->result == SN_OK; i++)
		if (l->needed[i] && nn_low_node(l, i)->op == OP_INPUT)
			lower_input(l, i, nn_low_node(l, i));
	lower_symbols(l);
	for (int i = 0; i < l->g->count && l->result == SN_OK; i++) {
		const nn_node *n = nn_low_node(l, i);
		if (!l->needed[i] || n->op == OP_INPUT || nn_is_constant(l->g, i))
			continue;
		if ((size_t)n->op >= sizeof table / sizeof *table || !table[n->op])
			nn_low_fail(l, i, "this op has no ONNX form");
		else
			table[n->op](l, i, n);
	}
	lower_outputs(l);
	if (l->result == SN_OK && l->m->failed)
		l->result = sn_fail(l->err, SN_E_MEMORY, "graph %s is too large for an ONNX model, or there is no memory for it", l->g->name);
}

int nn_lower(nn_lowered **out, const nn_graph *g, int debug, char *err) {
	*out = NULL;
	if (g->error[0])
		return sn_fail(err, SN_E_MODEL, "%s", g->error);
	nn_lowering l = { .g = g, .err = err, .result = SN_OK, .debug = debug };
	l.to = calloc(1, sizeof *l.to);
	l.of = malloc(((size_t)g->count + 1) * sizeof *l.of);
	l.needed = calloc((size_t)g->count + 1, 1);
	if (!l.to || !l.of || !l.needed || !(l.m = l.to->model = onnx_new())) {
		l.result = sn_fail(err, SN_E_MEMORY, "no memory to write graph %s as ONNX", g->name);
	} else {
		for (int i = 0; i < g->count; i++)
			l.of[i] = (nn_forms){ ONNX_NONE, ONNX_NONE, { ONNX_NONE, ONNX_NONE }, { ONNX_NONE, ONNX_NONE, ONNX_NONE }, 0, 0 };
		for (int s = 0; s < NN_MAX_SYMBOLS; s++)
			l.extent[s] = ONNX_NONE;
		lower_all(&l);
	}
	free(l.of);
	free(l.needed);
	if (l.result != SN_OK)
		nn_lowered_free(&l.to);
	*out = l.to;
	return l.result;
}

void nn_lowered_free(nn_lowered **held) {
	nn_lowered *to = *held;
	*held = NULL;
	if (!to)
		return;
	onnx_free(&to->model);
	free(to->input);
	free(to->output);
	free(to);
}
