/* Recurrent layers and the spline. */
#include "nn/ort/lower.h"

#include <stdlib.h>
#include <string.h>

/* ---- LSTM and GRU ---- */

/* Row blocks of a constant [gates * H, ..] in another order; `extra` more values follow, left to the caller. */
static float *reordered(nn_lowering *l, nn_t t, int gates, const int *order, int64_t extra) {
	int64_t count;
	float *values = nn_low_values(l, t, &count), *out = values ? malloc((size_t)(count + extra) * sizeof *out) : NULL;
	const int64_t block = count / gates;
	for (int b = 0; out && b < gates; b++)
		memcpy(out + b * block, values + order[b] * block, (size_t)block * sizeof *out);
	free(values);
	if (!out && l->result == SN_OK)
		l->result = sn_fail(l->err, SN_E_MEMORY, "no memory for '%s' (%lld values)", nn_low_node(l, t)->name, (long long)count);
	return out;
}

/* Both biases behind each other, [1, 2 * gates * H]; absent ones are zeros. */
static onnx_value biases(nn_lowering *l, nn_t first, nn_t second, int gates, const int *order, int64_t hidden) {
	const int64_t half = gates * hidden;
	float *both = calloc((size_t)(2 * half), sizeof *both);
	const nn_t of[2] = { first, second };
	for (int k = 0; both && k < 2; k++) {
		float *one = of[k] == NN_NONE ? NULL : reordered(l, of[k], gates, order, 0);
		if (one)
			memcpy(both + k * half, one, (size_t)half * sizeof *both);
		free(one);
	}
	return nn_low_constant(l, "", 2, (int64_t[]){ 1, 2 * half }, both);
}

/* The gates' product of the recorded layer is part of ONNX's. */
static void recurrent(nn_lowering *l, int i, const nn_node *n, const char *op, int gates, const int *order, int states) {
	const nn_node *product = nn_low_node(l, n->inputs[0]);
	const int64_t hidden = nn_cols(n);
	if (product->op != OP_LINEAR) {
		nn_low_fail(l, i, "the gates of a recurrent layer are a linear layer's");
		return;
	}
	const int64_t inner = nn_cols(nn_low_node(l, product->inputs[1]));
	onnx_value in[7] = { ONNX_NONE, ONNX_NONE, ONNX_NONE, ONNX_NONE, ONNX_NONE, ONNX_NONE, ONNX_NONE };
	in[0] = nn_op2(l, "Unsqueeze", nn_low_rows(l, product->inputs[0]), nn_low_int(l, 1)); /* [T, 1, I] */
	in[1] = nn_low_constant(l, "", 3, (int64_t[]){ 1, gates * hidden, inner }, reordered(l, product->inputs[1], gates, order, 0));
	in[2] = nn_low_constant(l, "", 3, (int64_t[]){ 1, gates * hidden, hidden }, reordered(l, n->inputs[1 + states], gates, order, 0));
	in[3] = biases(l, product->inputs[2], n->inputs[2 + states], gates, order, hidden);
	for (int k = 0; k < states; k++)
		in[5 + k] = nn_low_reshape(l, nn_low_rows(l, n->inputs[1 + k]), 3, (int64_t[]){ 1, 1, hidden });
	onnx_int(l->m, "hidden_size", hidden);
	if (states == 1)
		onnx_int(l->m, "linear_before_reset", 1);
	const onnx_value y = onnx_node(l->m, op, 5 + states, in, 1 + states);
	nn_low_set(l, i, nn_low_reshape(l, y, 2, (int64_t[]){ -1, hidden }), 0);
	for (int k = 0; k < states; k++)
		l->of[i].second[k] = nn_low_reshape(l, y + 1 + k, 2, (int64_t[]){ 1, hidden });
}

/* torch has i f g o, ONNX i o f c */
void nn_lower_lstm(nn_lowering *l, int i, const nn_node *n) { recurrent(l, i, n, "LSTM", 4, (const int[]){ 0, 3, 1, 2 }, 2); }

/* torch has r z n, ONNX z r h */
void nn_lower_gru(nn_lowering *l, int i, const nn_node *n) { recurrent(l, i, n, "GRU", 3, (const int[]){ 1, 0, 2 }, 1); }

void nn_lower_lstm_cell(nn_lowering *l, int i, const nn_node *n) {
	const int64_t hidden = nn_cols(n);
	const onnx_value gates = nn_low_rows(l, n->inputs[0]);
	onnx_value gate[4];
	for (int k = 0; k < 4; k++)
		gate[k] = nn_op1(l, k == 2 ? "Tanh" : "Sigmoid", nn_low_slice(l, gates, 1, k * hidden, (k + 1) * hidden));
	const onnx_value kept = nn_op2(l, "Mul", gate[1], nn_low_rows(l, n->inputs[1]));
	const onnx_value c = nn_op2(l, "Add", kept, nn_op2(l, "Mul", gate[0], gate[2]));
	nn_low_set(l, i, nn_op2(l, "Mul", gate[3], nn_op1(l, "Tanh", c)), 0);
	l->of[i].second[1] = c;
}

/* ---- the spline ---- */

#define LEAST 1e-3f /* of a bin's width and height as parts of the interval, and of a derivative; as in cpu/spline.c */

typedef struct knots {
	onnx_value sizes, starts; /* of bins [T, bins] */
} knots;

static knots knots_of(nn_lowering *l, onnx_value params, int64_t first, int64_t bins, float bound) {
	knots k;
	const onnx_value part = nn_low_slice(l, params, 1, first, first + bins);
	onnx_int(l->m, "axis", 1);
	k.sizes = nn_op1(l, "Softmax", part);
	k.sizes = nn_op2(l, "Mul", k.sizes, nn_low_float(l, 2 * bound * (1 - LEAST * (float)bins)));
	k.sizes = nn_op2(l, "Add", k.sizes, nn_low_float(l, 2 * bound * LEAST));
	const onnx_value axis = nn_low_int(l, 1);
	onnx_int(l->m, "exclusive", 1);
	k.starts = nn_op2(l, "CumSum", k.sizes, axis);
	k.starts = nn_op2(l, "Sub", k.starts, nn_low_float(l, bound));
	return k;
}

/* Derivatives at a bin's ends: ones at the outer knots. `after`: at its right end. */
static onnx_value slopes(nn_lowering *l, onnx_value inner, int after) {
	return nn_low_pad(l, inner, 2, 1, !after, ONNX_NONE, after, 1);
}

static onnx_value picked(nn_lowering *l, onnx_value x, onnx_value one_hot) {
	const onnx_value product = nn_op2(l, "Mul", x, one_hot), axis = nn_low_int(l, 1);
	onnx_int(l->m, "keepdims", 1);
	return nn_op2(l, "ReduceSum", product, axis);
}

/* 1 for the bin that x lies in: the last that begins at or before x, the first where none does. [T, bins] */
static onnx_value bin_of(nn_lowering *l, onnx_value x, onnx_value starts, int64_t bins) {
	const onnx_value reached = nn_op2(l, "GreaterOrEqual", x, nn_low_slice(l, starts, 1, 1, bins));
	const onnx_value begun = nn_low_cast(l, reached, ONNX_F32); /* [T, bins-1] */
	const onnx_value from = nn_low_pad(l, begun, 2, 1, 1, ONNX_NONE, 0, 1);
	return nn_op2(l, "Sub", from, nn_low_pad(l, begun, 2, 1, 0, ONNX_NONE, 1, 0));
}

#define MUL(a, b) nn_op2(l, "Mul", a, b)
#define ADD(a, b) nn_op2(l, "Add", a, b)
#define SUB(a, b) nn_op2(l, "Sub", a, b)

void nn_lower_spline(nn_lowering *l, int i, const nn_node *n) {
	const int64_t bins = n->first;
	const float bound = n->a;
	const onnx_value x = nn_low_rows(l, n->inputs[0]), params = nn_low_rows(l, n->inputs[1]);
	if (bins < 2) {
		nn_low_fail(l, i, "a spline of one bin has no ONNX form");
		return;
	}
	const knots across = knots_of(l, params, 0, bins, bound), up = knots_of(l, params, bins, bins, bound);
	const onnx_value inner = ADD(nn_op1(l, "Softplus", nn_low_slice(l, params, 1, 2 * bins, 3 * bins - 1)), nn_low_float(l, LEAST));
	const onnx_value bin = bin_of(l, x, up.starts, bins);
	const onnx_value left = picked(l, across.starts, bin), width = picked(l, across.sizes, bin);
	const onnx_value bottom = picked(l, up.starts, bin), height = picked(l, up.sizes, bin);
	const onnx_value d0 = picked(l, slopes(l, inner, 0), bin), d1 = picked(l, slopes(l, inner, 1), bin);
	/* a t^2 + b t + c = 0, by the form of the root that does not cancel */
	const onnx_value delta = nn_op2(l, "Div", height, width), rise = SUB(x, bottom);
	const onnx_value bend = MUL(rise, SUB(ADD(d0, d1), MUL(delta, nn_low_float(l, 2))));
	const onnx_value a = ADD(MUL(height, SUB(delta, d0)), bend), b = SUB(MUL(height, d0), bend);
	const onnx_value c = nn_op1(l, "Neg", MUL(delta, rise));
	onnx_value root = SUB(MUL(b, b), MUL(MUL(a, c), nn_low_float(l, 4)));
	root = nn_op1(l, "Sqrt", nn_op2(l, "Max", root, nn_low_float(l, 0)));
	const onnx_value t = nn_op2(l, "Div", MUL(c, nn_low_float(l, -2)), ADD(b, root));
	const onnx_value inside = nn_op2(l, "And", nn_op2(l, "GreaterOrEqual", x, nn_low_float(l, -bound)),
	                                 nn_op2(l, "LessOrEqual", x, nn_low_float(l, bound)));
	nn_low_set(l, i, nn_op3(l, "Where", inside, ADD(left, MUL(t, width)), x), 0);
}
