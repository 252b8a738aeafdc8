/* Values of constant tensors. Weights are read from their files here, and as they stand where plan.c packs them, only when a plan needs
 * them: packed weights that are already on disk are never evaluated again. */
#include "nn/graph.h"

#include "nn/cpu/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RELEASED 65536 /* elements of a tensor whose pages are worth a system call */

static int64_t element_count(const nn_node *n) {
	int64_t count = 1;
	for (int i = 0; i < n->rank; i++)
		count *= n->dims[i].add;
	return count;
}

/* w = g * v / |v|, the norm over all axes but the first (Salimans and Kingma 2016, torch's weight_norm with dim 0). */
static void fold_norm(const float *g, float *v, int64_t rows, int64_t per_row) {
	for (int64_t r = 0; r < rows; r++) {
		double sum = 0;
		for (int64_t i = 0; i < per_row; i++)
			sum += (double)v[r * per_row + i] * v[r * per_row + i];
		float scale = sum > 0 ? (float)(g[r] / sqrt(sum)) : 0;
		for (int64_t i = 0; i < per_row; i++)
			v[r * per_row + i] *= scale;
	}
}

/* The same over the first two axes of v[rows, cols], one norm for each column (dim 2 of a convolution's weight). */
static int fold_norm_last(const float *g, float *v, int64_t rows, int64_t cols) {
	double *sum = calloc((size_t)cols, sizeof *sum);
	if (!sum)
		return 0;
	for (int64_t i = 0; i < rows * cols; i++)
		sum[i % cols] += (double)v[i] * v[i];
	for (int64_t i = 0; i < rows * cols; i++)
		v[i] *= sum[i % cols] > 0 ? (float)(g[i % cols] / sqrt(sum[i % cols])) : 0;
	free(sum);
	return 1;
}

/* [rows, a] and [rows, b] -> [rows, a + b] in memory for the latter, of which `left` is the owner. */
static int fold_concat(float **left, const float *right, int64_t rows, int64_t a, int64_t b) {
	float *out = malloc((size_t)(rows * (a + b)) * sizeof *out + NN_OVERREAD);
	if (!out)
		return 0;
	for (int64_t r = 0; r < rows; r++) {
		memcpy(out + r * (a + b), *left + r * a, (size_t)a * sizeof *out);
		memcpy(out + r * (a + b) + a, right + r * b, (size_t)b * sizeof *out);
	}
	free(*left);
	*left = out;
	return 1;
}

static void fold_binary(nn_binary_op op, float *a, int64_t count, const float *b, int64_t period) {
	for (int64_t i = 0; i < count; i++) {
		float y = b[i % period];
		a[i] = op == NN_ADD ? a[i] + y : op == NN_SUB ? a[i] - y : op == NN_MUL ? a[i] * y : a[i] / y;
	}
}

/* What was read will not be needed again once it is packed. */
static void read_rows(const sn_weight *weight, int64_t first, int64_t count, float *out) {
	sn_weight_floats(weight, first, count, out);
	if (count >= RELEASED)
		sn_weight_release(weight, first, count);
}

const sn_weight *nn_stored_rows(const nn_graph *g, nn_t t, int64_t *first) {
	const nn_node *n = g->nodes + t;
	*first = n->op == OP_FOLD_ROWS ? n->first : 0;
	n = n->op == OP_FOLD_ROWS ? g->nodes + n->inputs[0] : n;
	return n->op == OP_WEIGHT ? n->weight : NULL;
}

int nn_fold(const nn_graph *g, nn_t t, float **out, int64_t *count, char *err) {
	const nn_node *n = g->nodes + t;
	*out = NULL;
	*count = element_count(n);
	if (n->op == OP_WEIGHT || n->op == OP_CONST) {
		*out = malloc((size_t)*count * sizeof(float) + NN_OVERREAD);
		if (!*out)
			return sn_fail(err, SN_E_MEMORY, "no memory for '%s' (%lld values)", n->name, (long long)*count);
		if (n->op == OP_WEIGHT)
			read_rows(n->weight, 0, *count, *out);
		else
			memcpy(*out, n->values, (size_t)*count * sizeof(float));
		return SN_OK;
	}
	int64_t size = 0, size2 = 0;
	float *second = NULL;
	nn_t source = n->op == OP_FOLD_NORM ? n->inputs[1] : n->inputs[0];
	int result = nn_fold(g, source, out, &size, err);
	if (result == SN_OK && n->count > 1)
		result = nn_fold(g, n->op == OP_FOLD_NORM ? n->inputs[0] : n->inputs[1], &second, &size2, err);
	if (result != SN_OK) {
		free(*out);
		*out = NULL;
		return result;
	}
	nn_kernels scalar = { 0 };
	nn_kernels_fill(&scalar, 0);
	switch (n->op) {
	case OP_FOLD_NORM:
		if (!n->first)
			fold_norm(second, *out, n->dims[0].add, *count / n->dims[0].add);
		else if (!fold_norm_last(second, *out, *count / n->dims[2].add, n->dims[2].add))
			result = SN_E_MEMORY;
		break;
	case OP_FOLD_SCALE:
		for (int64_t i = 0; i < *count; i++)
			(*out)[i] *= second[i / (*count / n->dims[0].add)];
		break;
	case OP_FOLD_CONCAT:
		if (!fold_concat(out, second, n->dims[0].add, size / n->dims[0].add, size2 / n->dims[0].add))
			result = SN_E_MEMORY;
		break;
	case OP_FOLD_ROWS: {
		int64_t per_row = *count / n->dims[0].add;
		memmove(*out, *out + n->first * per_row, (size_t)*count * sizeof(float));
		break;
	}
	case OP_UNARY: scalar.unary(n->act, n->a, *out, NN_STORE_F32, *out, NN_STORE_F32, *count); break;
	case OP_AFFINE: scalar.affine(*out, n->a, n->b, *out, NN_STORE_F32, *count); break;
	case OP_BINARY: fold_binary(n->binary, *out, *count, second, size2); break;
	default: break; /* a reshape changes nothing */
	}
	free(second);
	if (result == SN_OK)
		return SN_OK;
	free(*out);
	*out = NULL;
	return sn_fail(err, result, "no memory for '%s' (%lld values)", n->name, (long long)*count);
}
