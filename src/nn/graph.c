/* Recording: shape rules and checks of every op. Nothing is computed here. */
#include "nn/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

nn_graph *nn_graph_new(const char *name) {
	nn_graph *g = calloc(1, sizeof *g);
	if (g)
		snprintf(g->name, sizeof g->name, "%s", name);
	return g;
}

void nn_graph_free(nn_graph **held) {
	nn_graph *g = *held;
	*held = NULL;
	if (!g)
		return;
	for (int i = 0; i < g->count; i++) {
		free(g->nodes[i].values);
	}
	free(g->nodes);
	free(g);
}

const char *nn_graph_error(const nn_graph *g) { return g->error; }

/* Keeps the first error; later ones follow from it. */
__attribute__((format(printf, 2, 3))) static nn_t fail(nn_graph *g, const char *format, ...) {
	if (!g->error[0]) {
		int used = snprintf(g->error, sizeof g->error, "graph %s: ", g->name);
		va_list args;
		va_start(args, format);
		vsnprintf(g->error + used, sizeof g->error - (size_t)used, format, args);
		va_end(args);
	}
	return NN_NONE;
}

/* ---- extents ---- */

nn_dim nn_symbol(nn_graph *g, const char *name, int64_t most) {
	for (int i = 0; i < g->symbols; i++)
		if (strcmp(g->symbol[i].name, name) == 0)
			return (nn_dim){ (int16_t)i, 1, 1, 0 };
	if (g->symbols == NN_MAX_SYMBOLS || most < 1) {
		fail(g, "symbol '%s' with maximum %lld: at most %d symbols, maxima of at least 1", name, (long long)most, NN_MAX_SYMBOLS);
		return nn_fix(1);
	}
	int i = g->symbols++;
	snprintf(g->symbol[i].name, NN_NAME, "%s", name);
	g->symbol[i].most = most;
	return (nn_dim){ (int16_t)i, 1, 1, 0 };
}

int nn_dim_fixed(nn_dim d) { return d.symbol < 0; }
int nn_dim_equal(nn_dim a, nn_dim b) { return a.symbol == b.symbol && a.mul == b.mul && a.div == b.div && a.add == b.add; }

nn_dim nn_dim_add(nn_dim d, int64_t n) {
	d.add += n * d.div; /* floor((x + n*div) / div) = floor(x / div) + n */
	return d;
}

nn_dim nn_dim_mul(nn_dim d, int32_t n) {
	if (d.div == 1) {
		d.mul *= n;
		d.add *= n;
	}
	return d;
}

nn_dim nn_dim_div(nn_dim d, int32_t n) {
	if (nn_dim_fixed(d))
		return nn_fix(d.add >= 0 ? d.add / n : -((-d.add + n - 1) / n));
	d.div *= n;
	return d;
}

int64_t nn_dim_value(const nn_graph *g, nn_dim d, const int64_t *values) {
	int64_t x = d.add;
	if (!nn_dim_fixed(d))
		x += d.mul * (values ? values[d.symbol] : g->symbol[d.symbol].most);
	return x >= 0 ? x / d.div : -((-x + d.div - 1) / d.div);
}

/* ---- nodes ---- */

static nn_node *node(const nn_graph *g, nn_t t) { return g->nodes + t; }

/* Adds a node with the given inputs; shape and type are those of `like` when it is not NN_NONE. NULL after an earlier error or when
 * an input that must exist is missing (`optional` has bit i set where input i may be NN_NONE). */
static nn_node *add(nn_graph *g, nn_op op, int count, const nn_t *inputs, unsigned optional, nn_t like) {
	if (g->error[0])
		return NULL;
	for (int i = 0; i < count; i++) {
		int absent = inputs[i] == NN_NONE && (optional >> i & 1);
		if (!absent && (inputs[i] < 0 || inputs[i] >= g->count)) {
			fail(g, "op %d at node %d lacks input %d", (int)op, g->count, i);
			return NULL;
		}
	}
	if (g->count == g->capacity) {
		int grown = g->capacity ? g->capacity * 2 : 64;
		nn_node *nodes = grown <= NN_MAX_NODES ? realloc(g->nodes, (size_t)grown * sizeof *nodes) : NULL;
		if (!nodes) {
			fail(g, "more than %d nodes, or out of memory", g->capacity);
			return NULL;
		}
		g->nodes = nodes;
		g->capacity = grown;
	}
	nn_node *n = g->nodes + g->count++;
	*n = (nn_node){ .op = op, .count = count };
	for (int i = 0; i < count; i++)
		n->inputs[i] = inputs[i];
	if (like != NN_NONE) {
		n->rank = node(g, like)->rank;
		memcpy(n->dims, node(g, like)->dims, sizeof n->dims);
	}
	return n;
}

static nn_t id(const nn_graph *g, const nn_node *n) { return n ? (nn_t)(n - g->nodes) : NN_NONE; }

int nn_rank(const nn_graph *g, nn_t t) { return t < 0 || t >= g->count ? 0 : node(g, t)->rank; }

int64_t nn_cols(const nn_node *n) { return n->rank ? n->dims[n->rank - 1].add : 1; }

int nn_is_state(nn_op op) { return op == OP_KV_STATE || op == OP_CACHE_STATE; }

int nn_is_constant(const nn_graph *g, nn_t t) {
	const nn_node *n = node(g, t);
	switch (n->op) {
	case OP_WEIGHT: case OP_CONST: return 1;
	case OP_FOLD_NORM: case OP_FOLD_ROWS: case OP_FOLD_SCALE: case OP_FOLD_CONCAT: return 1;
	case OP_UNARY: case OP_AFFINE: case OP_BINARY: case OP_RESHAPE:
		for (int i = 0; i < n->count; i++)
			if (!nn_is_constant(g, n->inputs[i]))
				return 0;
		return 1;
	default: return 0;
	}
}

static int64_t fixed_count(const nn_graph *g, const nn_node *n) {
	int64_t count = 1;
	for (int i = 0; i < n->rank; i++)
		count *= nn_dim_value(g, n->dims[i], NULL);
	return count;
}

nn_t nn_name(nn_graph *g, nn_t t, const char *format, ...) {
	if (t >= 0 && t < g->count) {
		va_list args;
		va_start(args, format);
		vsnprintf(node(g, t)->name, NN_NAME, format, args);
		va_end(args);
	}
	return t;
}

void nn_output(nn_graph *g, nn_t t, const char *name) {
	if (t < 0 || t >= g->count || nn_is_state(node(g, t)->op)) {
		fail(g, "output '%s' is no computed tensor", name);
		return;
	}
	node(g, t)->is_output = 1;
	snprintf(node(g, t)->output_name, NN_NAME, "%s", name);
}

static int valid_rank(nn_graph *g, const char *what, int rank) {
	if (rank >= 0 && rank <= NN_MAX_RANK)
		return 1;
	fail(g, "'%s' has rank %d; at most %d", what, rank, NN_MAX_RANK);
	return 0;
}

nn_t nn_input(nn_graph *g, const char *name, nn_type type, int rank, const nn_dim *dims) {
	if (!valid_rank(g, name, rank) || (rank > 0 && !nn_dim_fixed(dims[rank - 1]) && !(rank == 1 && type == NN_I32)))
		return fail(g, "input '%s' must have a fixed last extent", name);
	nn_node *n = add(g, OP_INPUT, 0, NULL, 0, NN_NONE);
	if (!n)
		return NN_NONE;
	n->type = type;
	n->rank = rank;
	memcpy(n->dims, dims, (size_t)rank * sizeof *dims);
	snprintf(n->name, NN_NAME, "%s", name);
	return id(g, n);
}

nn_t nn_weight(nn_graph *g, const sn_weight *weight, const char *what) {
	if (!weight)
		return fail(g, "the weights lack tensor '%s'", what);
	if (!valid_rank(g, what, weight->rank))
		return NN_NONE;
	if (!sn_weight_is_float(weight))
		return fail(g, "tensor '%s' holds %s%s; float32, float16, bfloat16, float64 or int8 with scales can be used", weight->name,
		            sn_dtype_name(weight->dtype), weight->dtype == SN_I8 ? " without scales" : "");
	if (!weight->bytes)
		return fail(g, "tensor '%s' holds no values", weight->name);
	nn_node *n = add(g, OP_WEIGHT, 0, NULL, 0, NN_NONE);
	if (!n)
		return NN_NONE;
	n->weight = weight;
	n->rank = weight->rank;
	for (int i = 0; i < weight->rank; i++)
		n->dims[i] = nn_fix(weight->dims[i]);
	snprintf(n->name, NN_NAME, "%s", weight->name);
	return id(g, n);
}

static void shape_text(char *text, size_t size, int rank, const int64_t *dims) {
	size_t used = (size_t)snprintf(text, size, "[");
	for (int i = 0; i < rank && used < size; i++) {
		const char *comma = i ? ", " : "";
		used += (size_t)(dims[i] < 0 ? snprintf(text + used, size - used, "%sany", comma)
		                             : snprintf(text + used, size - used, "%s%lld", comma, (long long)dims[i]));
	}
	if (used < size)
		snprintf(text + used, size - used, "]");
}

nn_t nn_weight_shaped(nn_graph *g, const sn_weights *w, const char *name, int rank, const int64_t *dims) {
	const sn_weight *weight = sn_weights_find(w, name);
	if (!weight)
		return fail(g, "%s lacks tensor '%s'", sn_weights_path(w), name);
	int same = weight->rank == rank;
	for (int i = 0; same && i < rank; i++)
		same = dims[i] < 0 || dims[i] == weight->dims[i];
	if (!same) {
		char found[96], expected[96];
		shape_text(found, sizeof found, weight->rank, weight->dims);
		shape_text(expected, sizeof expected, rank, dims);
		return fail(g, "%s: tensor '%s' has shape %s; expected %s", sn_weights_path(w), name, found, expected);
	}
	return nn_weight(g, weight, name);
}

nn_t nn_const(nn_graph *g, const char *name, int rank, const int64_t *dims, const float *values) {
	if (!valid_rank(g, name, rank))
		return NN_NONE;
	nn_node *n = add(g, OP_CONST, 0, NULL, 0, NN_NONE);
	if (!n)
		return NN_NONE;
	n->rank = rank;
	for (int i = 0; i < rank; i++)
		n->dims[i] = nn_fix(dims[i]);
	size_t bytes = (size_t)fixed_count(g, n) * sizeof(float);
	n->values = malloc(bytes ? bytes : 1);
	if (!n->values)
		return fail(g, "no memory for constant '%s'", name);
	memcpy(n->values, values, bytes);
	snprintf(n->name, NN_NAME, "%s", name);
	return id(g, n);
}

static nn_t state(nn_graph *g, nn_op op, const char *name, int rank, const int64_t *dims, int heads) {
	if (!valid_rank(g, name, rank))
		return NN_NONE;
	nn_node *n = add(g, op, 0, NULL, 0, NN_NONE);
	if (!n)
		return NN_NONE;
	n->rank = rank;
	for (int i = 0; i < rank; i++)
		n->dims[i] = nn_fix(dims[i]);
	n->first = heads;
	snprintf(n->name, NN_NAME, "%s", name);
	return id(g, n);
}

nn_t nn_kv_state(nn_graph *g, const char *name, int64_t slots, int64_t length, int64_t width, int heads) {
	if (heads < 1 || width % heads)
		return fail(g, "state '%s': width %lld is no multiple of %d heads", name, (long long)width, heads);
	return state(g, OP_KV_STATE, name, 3, (int64_t[]){ slots, length, width }, heads);
}

nn_t nn_cache_state(nn_graph *g, const char *name, int64_t slots, int64_t length, int64_t width, int heads) {
	if (heads < 1 || width % heads)
		return fail(g, "state '%s': width %lld is no multiple of %d heads", name, (long long)width, heads);
	return state(g, OP_CACHE_STATE, name, 3, (int64_t[]){ slots, length, width }, heads);
}

/* ---- ops ---- */

nn_t nn_unary(nn_graph *g, nn_act act, nn_t x, float param) {
	nn_node *n = add(g, OP_UNARY, 1, &x, 0, x);
	if (n) {
		n->act = act;
		n->a = param;
	}
	return id(g, n);
}

static int same_shape(const nn_node *a, const nn_node *b) {
	if (a->rank != b->rank)
		return 0;
	for (int i = 0; i < a->rank; i++)
		if (!nn_dim_equal(a->dims[i], b->dims[i]))
			return 0;
	return 1;
}

nn_t nn_binary(nn_graph *g, nn_binary_op op, nn_t x, nn_t y) {
	nn_node *n = add(g, OP_BINARY, 2, (nn_t[]){ x, y }, 0, x);
	if (!n)
		return NN_NONE;
	const nn_node *a = node(g, x), *b = node(g, y);
	int row = 1; /* y: one row of x's columns, or one value */
	for (int i = 0; i + 1 < b->rank; i++)
		row = row && nn_dim_fixed(b->dims[i]) && b->dims[i].add == 1;
	row = row && (nn_cols(b) == nn_cols(a) || nn_cols(b) == 1);
	if (!same_shape(a, b) && !row)
		return fail(g, "node %d '%s': the second operand '%s' is neither of the first one's shape nor a row of %lld columns", id(g, n), a->name,
		            b->name, (long long)nn_cols(a));
	n->binary = op;
	n->first = same_shape(a, b) ? 0 : nn_cols(b) == nn_cols(a) ? 1 : 2;
	return id(g, n);
}

nn_t nn_affine(nn_graph *g, nn_t x, float scale, float shift) {
	nn_node *n = add(g, OP_AFFINE, 1, &x, 0, x);
	if (n) {
		n->a = scale;
		n->b = shift;
	}
	return id(g, n);
}

/* Checks a constant weight of the given rank and returns its node, NULL after an error. */
static const nn_node *constant(nn_graph *g, nn_t t, int rank, const char *role) {
	if (t < 0 || t >= g->count || !nn_is_constant(g, t)) {
		fail(g, "node %d: the %s must be a constant", g->count, role);
		return NULL;
	}
	if (node(g, t)->rank != rank) {
		fail(g, "'%s' has rank %d; the %s of node %d needs rank %d", node(g, t)->name, node(g, t)->rank, role, g->count, rank);
		return NULL;
	}
	return node(g, t);
}

static int check_vector(nn_graph *g, nn_t t, int64_t size, const char *role) {
	if (t == NN_NONE)
		return 1;
	if (t < 0 || t >= g->count || !nn_is_constant(g, t) || fixed_count(g, node(g, t)) != size) {
		fail(g, "node %d: the %s must be a constant of %lld values", g->count, role, (long long)size);
		return 0;
	}
	return 1;
}

static int check_cols(nn_graph *g, nn_t x, int64_t cols, const char *weight) {
	if (x >= 0 && x < g->count && nn_is_constant(g, x)) {
		fail(g, "node %d: '%s' is applied to a constant", g->count, weight);
		return 0;
	}
	if (x < 0 || x >= g->count || nn_cols(node(g, x)) != cols) {
		fail(g, "node %d: '%s' takes %lld columns, its input has %lld", g->count, weight, (long long)cols,
		     x < 0 || x >= g->count ? 0ll : (long long)nn_cols(node(g, x)));
		return 0;
	}
	return 1;
}

nn_t nn_linear(nn_graph *g, nn_t x, nn_t w, nn_t b) {
	if (g->error[0])
		return NN_NONE;
	const nn_node *weight = constant(g, w, 2, "weight");
	if (!weight || !check_cols(g, x, nn_cols(weight), weight->name) || !check_vector(g, b, weight->dims[0].add, "bias"))
		return NN_NONE;
	nn_dim out = weight->dims[0];
	nn_node *n = add(g, OP_LINEAR, 3, (nn_t[]){ x, w, b }, 4, x);
	if (n)
		n->dims[n->rank - 1] = out;
	return id(g, n);
}

nn_t nn_conv1d(nn_graph *g, nn_t x, nn_t w, nn_t b, nn_conv c) {
	if (g->error[0])
		return NN_NONE;
	c.stride += !c.stride;
	c.dilation += !c.dilation;
	c.groups += !c.groups;
	const nn_node *weight = constant(g, w, 3, "convolution weight"); /* [Cout, Cin/groups, k] */
	if (!weight || !check_cols(g, x, weight->dims[1].add * c.groups, weight->name) || !check_vector(g, b, weight->dims[0].add, "bias"))
		return NN_NONE;
	if (node(g, x)->rank < 2 || weight->dims[0].add % c.groups || c.pad_left < 0 || c.pad_right < 0)
		return fail(g, "node %d: '%s' with %d groups or negative padding does not fit its input", g->count, weight->name, c.groups);
	nn_dim out = weight->dims[0];
	int64_t reach = c.dilation * (weight->dims[2].add - 1);
	nn_node *n = add(g, OP_CONV, 3, (nn_t[]){ x, w, b }, 4, x);
	if (!n)
		return NN_NONE;
	n->conv = c;
	n->dims[n->rank - 1] = out;
	nn_dim time = nn_dim_add(n->dims[n->rank - 2], c.pad_left + c.pad_right - reach - 1);
	n->dims[n->rank - 2] = nn_dim_add(c.stride == 1 ? time : nn_dim_div(time, c.stride), 1);
	if (nn_dim_value(g, n->dims[n->rank - 2], NULL) < 1)
		return fail(g, "node %d: '%s' is longer than its input", id(g, n), weight->name);
	return id(g, n);
}

nn_t nn_conv_transpose1d(nn_graph *g, nn_t x, nn_t w, nn_t b, int stride, int pad) {
	if (g->error[0])
		return NN_NONE;
	const nn_node *weight = constant(g, w, 3, "transposed convolution weight"); /* [Cin, Cout, k] */
	if (!weight || !check_cols(g, x, weight->dims[0].add, weight->name) || !check_vector(g, b, weight->dims[1].add, "bias"))
		return NN_NONE;
	if (node(g, x)->rank != 2 || stride < 1 || pad < 0 || weight->dims[2].add < stride || node(g, x)->dims[0].div != 1)
		return fail(g, "node %d: '%s' with stride %d and padding %d cannot be applied", g->count, weight->name, stride, pad);
	nn_dim out = weight->dims[1];
	int64_t k = weight->dims[2].add;
	nn_node *n = add(g, OP_CONV_TRANSPOSE, 3, (nn_t[]){ x, w, b }, 4, x);
	if (!n)
		return NN_NONE;
	n->conv = (nn_conv){ .stride = stride, .pad_left = pad };
	n->dims[1] = out;
	n->dims[0] = nn_dim_add(nn_dim_mul(nn_dim_add(n->dims[0], -1), stride), k - 2 * pad);
	return id(g, n);
}

/* A row of `cols` equal values. */
static nn_t constant_row(nn_graph *g, int64_t cols, float value) {
	float *values = cols > 0 ? malloc((size_t)cols * sizeof *values) : NULL;
	if (!values)
		return fail(g, "node %d: no memory for a row of %lld values", g->count, (long long)cols);
	for (int64_t i = 0; i < cols; i++)
		values[i] = value;
	nn_t row = nn_const(g, value == 0 ? "zeros" : "ones", 1, &cols, values);
	free(values);
	return row;
}

static nn_t norm(nn_graph *g, nn_op op, nn_t x, nn_t gamma, nn_t beta, float eps) {
	if (g->error[0])
		return NN_NONE;
	int64_t cols = x >= 0 && x < g->count ? nn_cols(node(g, x)) : 0;
	if (!check_vector(g, gamma, cols, "gamma") || !check_vector(g, beta, cols, "beta"))
		return NN_NONE;
	if (gamma == NN_NONE)
		gamma = constant_row(g, cols, 1);
	if (beta == NN_NONE)
		beta = constant_row(g, cols, 0);
	nn_node *n = add(g, op, 3, (nn_t[]){ x, gamma, beta }, 0, x);
	if (n)
		n->a = eps;
	return id(g, n);
}

nn_t nn_layer_norm(nn_graph *g, nn_t x, nn_t gamma, nn_t beta, float eps) { return norm(g, OP_NORM, x, gamma, beta, eps); }
nn_t nn_norm_rows(nn_graph *g, nn_t x, nn_t gamma, nn_t beta, float eps) { return norm(g, OP_NORM_ROWS, x, gamma, beta, eps); }

static nn_t with_cols(nn_graph *g, nn_node *n, int64_t cols) {
	if (n)
		n->dims[n->rank - 1] = nn_fix(cols);
	return id(g, n);
}

nn_t nn_gated_tanh(nn_graph *g, nn_t x) {
	nn_node *n = add(g, OP_GATED, 1, &x, 0, x);
	if (n && nn_cols(n) % 2)
		return fail(g, "node %d: a gate needs an even number of columns, not %lld", id(g, n), (long long)nn_cols(n));
	return n ? with_cols(g, n, nn_cols(n) / 2) : NN_NONE;
}

nn_t nn_slice_cols(nn_graph *g, nn_t x, int64_t first, int64_t count) {
	nn_node *n = add(g, OP_SLICE_COLS, 1, &x, 0, x);
	if (n && (first < 0 || count < 1 || first + count > nn_cols(n)))
		return fail(g, "node %d: columns %lld..%lld of %lld", id(g, n), (long long)first, (long long)(first + count), (long long)nn_cols(n));
	if (n)
		n->first = first;
	return with_cols(g, n, count);
}

nn_t nn_concat_cols(nn_graph *g, nn_t a, nn_t b) {
	nn_node *n = add(g, OP_CONCAT_COLS, 2, (nn_t[]){ a, b }, 0, a);
	return n ? with_cols(g, n, nn_cols(node(g, a)) + nn_cols(node(g, b))) : NN_NONE;
}

nn_t nn_flip_cols(nn_graph *g, nn_t x) { return id(g, add(g, OP_FLIP_COLS, 1, &x, 0, x)); }

nn_t nn_trim_rows(nn_graph *g, nn_t x, int64_t first, int64_t drop_last) {
	nn_node *n = add(g, OP_TRIM_ROWS, 1, &x, 0, x);
	if (!n)
		return NN_NONE;
	n->first = first;
	n->dims[0] = nn_dim_add(n->dims[0], -first - drop_last);
	if (n->rank != 2 || first < 0 || drop_last < 0 || nn_dim_value(g, n->dims[0], NULL) < 1)
		return fail(g, "node %d: %lld rows before and %lld behind cannot be cut off '%s'", id(g, n), (long long)first, (long long)drop_last,
		            node(g, x)->name);
	return id(g, n);
}

nn_t nn_pad_rows(nn_graph *g, nn_t x, int64_t left, int64_t right, nn_pad how) {
	nn_node *n = add(g, OP_PAD_ROWS, 1, &x, 0, x);
	if (!n)
		return NN_NONE;
	if (n->rank != 2 || left < 0 || right < 0 || left > INT32_MAX || right > INT32_MAX)
		return fail(g, "node %d: %lld and %lld rows cannot be added to '%s'", id(g, n), (long long)left, (long long)right, node(g, x)->name);
	n->conv = (nn_conv){ .pad_left = (int)left, .pad_right = (int)right };
	n->pad = how;
	n->dims[0] = nn_dim_add(n->dims[0], left + right);
	return id(g, n);
}

nn_t nn_softmax_rows(nn_graph *g, nn_t x) { return id(g, add(g, OP_SOFTMAX_ROWS, 1, &x, 0, x)); }

static nn_t reduce_rows(nn_graph *g, nn_t x, int how) {
	nn_node *n = add(g, OP_SUM_ROWS, 1, &x, 0, x);
	if (!n)
		return NN_NONE;
	n->first = how;
	n->rank = 2;
	n->dims[0] = nn_fix(1);
	n->dims[1] = nn_fix(nn_cols(node(g, x)));
	return id(g, n);
}

nn_t nn_sum_rows(nn_graph *g, nn_t x) { return reduce_rows(g, x, 0); }
nn_t nn_mean_rows(nn_graph *g, nn_t x) { return reduce_rows(g, x, 1); }
nn_t nn_max_rows(nn_graph *g, nn_t x) { return reduce_rows(g, x, 2); }

static nn_t patches(nn_graph *g, nn_op op, nn_t x, nn_unfolding u) {
	nn_node *n = add(g, op, 1, &x, 0, x);
	if (!n)
		return NN_NONE;
	if (n->rank != 3 || !nn_dim_fixed(n->dims[1]) || u.kh < 1 || u.kw < 1 || u.stride_h < 1 || u.stride_w < 1 || u.pad_h < 0 || u.pad_w < 0)
		return fail(g, "node %d: patches of %d x %d by %d, %d of '%s', which is no image of fixed width", id(g, n), u.kh, u.kw, u.stride_h,
		            u.stride_w, node(g, x)->name);
	n->unfold = u;
	nn_dim h = nn_dim_add(n->dims[0], 2 * (int64_t)u.pad_h - u.kh);
	n->dims[0] = nn_dim_add(u.stride_h == 1 ? h : nn_dim_div(h, u.stride_h), 1);
	n->dims[1] = nn_dim_add(nn_dim_div(nn_dim_add(n->dims[1], 2 * (int64_t)u.pad_w - u.kw), u.stride_w), 1);
	if (nn_dim_value(g, n->dims[0], NULL) < 1 || n->dims[1].add < 1)
		return fail(g, "node %d: patches of %d x %d are larger than '%s'", id(g, n), u.kh, u.kw, node(g, x)->name);
	return op == OP_UNFOLD ? with_cols(g, n, u.kh * u.kw * nn_cols(node(g, x))) : id(g, n);
}

nn_t nn_unfold(nn_graph *g, nn_t x, int kh, int kw, int stride_h, int stride_w, int pad_h, int pad_w) {
	return patches(g, OP_UNFOLD, x, (nn_unfolding){ kh, kw, stride_h, stride_w, pad_h, pad_w });
}

nn_t nn_max_pool(nn_graph *g, nn_t x, int kh, int kw, int stride_h, int stride_w) {
	return patches(g, OP_MAX_POOL, x, (nn_unfolding){ kh, kw, stride_h, stride_w, 0, 0 });
}

nn_t nn_reshape(nn_graph *g, nn_t x, int rank, const nn_dim *dims) {
	if (!valid_rank(g, "reshape", rank))
		return NN_NONE;
	nn_node *n = add(g, OP_RESHAPE, 1, &x, 0, x);
	if (!n)
		return NN_NONE;
	int64_t before = fixed_count(g, n);
	n->rank = rank;
	memcpy(n->dims, dims, (size_t)rank * sizeof *dims);
	n->type = node(g, x)->type;
	if (fixed_count(g, n) != before)
		return fail(g, "node %d: a reshape from %lld to %lld elements", id(g, n), (long long)before, (long long)fixed_count(g, n));
	return id(g, n);
}



nn_t nn_gather_rows(nn_graph *g, nn_t table, nn_t ids) {
	nn_node *n = add(g, OP_GATHER, 2, (nn_t[]){ table, ids }, 0, NN_NONE);
	if (!n)
		return NN_NONE;
	const nn_node *t = node(g, table), *i = node(g, ids);
	if (nn_is_constant(g, table) && t->op != OP_WEIGHT && t->op != OP_CONST)
		return fail(g, "node %d: rows are gathered from a weight as it is, not from a folded one", id(g, n));
	if (t->rank != 2 || i->type != NN_I32 || i->rank != 1)
		return fail(g, "node %d: rows are gathered from a matrix by a vector of int32", id(g, n));
	n->rank = 2;
	n->dims[0] = i->dims[0];
	n->dims[1] = t->dims[1];
	return id(g, n);
}

static nn_t second_output(nn_graph *g, nn_t of, nn_op op, int rank, const nn_dim *dims, int64_t which) {
	nn_node *n = add(g, op, 1, &of, 0, NN_NONE);
	if (!n)
		return NN_NONE;
	n->rank = rank;
	memcpy(n->dims, dims, (size_t)rank * sizeof *dims);
	n->first = which;
	return id(g, n);
}

nn_t nn_attention(nn_graph *g, nn_t q, nn_t k, nn_t v, nn_attn a, nn_t *probs) {
	if (!a.shifted)
		a.shifted_q = a.shifted_pos = NN_NONE;
	nn_t inputs[] = { q, k, v, a.rel_k, a.rel_v, a.shifted_q, a.shifted_pos };
	nn_node *n = add(g, OP_ATTENTION, 7, inputs, a.shifted ? 8 | 16 : 8 | 16 | 32 | 64, q);
	if (probs)
		*probs = NN_NONE;
	if (!n)
		return NN_NONE;
	int64_t d = nn_cols(n);
	if (n->rank != 2 || a.heads < 1 || d % a.heads || nn_cols(node(g, k)) != d || nn_cols(node(g, v)) != d)
		return fail(g, "node %d: attention of %d heads over widths %lld, %lld, %lld", id(g, n), a.heads, (long long)d,
		            (long long)nn_cols(node(g, k)), (long long)nn_cols(node(g, v)));
	if (a.rel_k == NN_NONE && (a.rel_v != NN_NONE || a.rel_clip))
		return fail(g, "node %d: relative values and clipped positions come with relative keys", id(g, n));
	if (a.shifted) {
		const nn_node *p = node(g, a.shifted_pos);
		int64_t keys = nn_dim_value(g, node(g, k)->dims[0], NULL);
		nn_dim reach = nn_dim_add(nn_dim_mul(n->dims[0], 2), -1);
		if (n->dims[0].div != 1 || !nn_dim_equal(p->dims[0], reach) || !same_shape(node(g, q), node(g, a.shifted_q)) ||
		    !nn_dim_equal(n->dims[0], node(g, k)->dims[0]) || p->rank != 2 || nn_cols(p) != d ||
		    nn_dim_value(g, p->dims[0], NULL) != 2 * keys - 1 || nn_is_constant(g, a.shifted_pos))
			return fail(g, "node %d: shifted attention over %lld keys needs queries of the same shape and 2 T - 1 computed positions of width %lld",
			            id(g, n), (long long)keys, (long long)d);
	}
	int64_t relative = (2 * (int64_t)a.window + 1) * (d / a.heads);
	if (a.rel_k != NN_NONE && (!check_vector(g, a.rel_k, relative, "relative keys") || !check_vector(g, a.rel_v, relative, "relative values")))
		return NN_NONE;
	n->attn = a;
	n->a = a.scale;
	nn_t self = id(g, n);
	if (probs)
		*probs = second_output(g, self, OP_PROBS, 3, (nn_dim[]){ nn_fix(a.heads), n->dims[0], node(g, k)->dims[0] }, 0);
	return self;
}

nn_t nn_kv_write(nn_graph *g, nn_t st, nn_t k, nn_t v, nn_t slot) {
	nn_node *n = add(g, OP_KV_WRITE, 4, (nn_t[]){ st, k, v, slot }, 0, NN_NONE);
	if (!n)
		return NN_NONE;
	const nn_node *s = node(g, st);
	if (s->op != OP_KV_STATE || nn_cols(node(g, k)) != nn_cols(s) || nn_cols(node(g, v)) != nn_cols(s) ||
	    nn_dim_value(g, node(g, k)->dims[0], NULL) != s->dims[1].add)
		return fail(g, "node %d: keys and values do not fit state '%s'", id(g, n), s->name);
	n->rank = 1;
	n->dims[0] = nn_fix(1);
	return id(g, n);
}

nn_t nn_kv_attention(nn_graph *g, nn_t q, nn_t st, nn_t slot, float scale, nn_t *probs) {
	nn_node *n = add(g, OP_KV_ATTENTION, 3, (nn_t[]){ q, st, slot }, 0, q);
	if (probs)
		*probs = NN_NONE;
	if (!n)
		return NN_NONE;
	const nn_node *s = node(g, st);
	if (s->op != OP_KV_STATE || nn_cols(n) != nn_cols(s) || node(g, slot)->type != NN_I32)
		return fail(g, "node %d: queries of width %lld do not fit state '%s'", id(g, n), (long long)nn_cols(n), s->name);
	n->a = scale;
	n->attn.heads = (int)s->first;
	nn_t self = id(g, n);
	if (probs)
		*probs = second_output(g, self, OP_PROBS, 3, (nn_dim[]){ nn_fix(s->first), n->dims[0], s->dims[1] }, 0);
	return self;
}

nn_t nn_cache_attention(nn_graph *g, nn_t q, nn_t k, nn_t v, nn_t st, nn_t slot, nn_t position, nn_t table, float scale, nn_t *probs) {
	int reads = k == NN_NONE && v == NN_NONE; /* what is there, without writing */
	nn_node *n = add(g, OP_CACHE_ATTENTION, 7, (nn_t[]){ q, k, v, st, slot, position, table }, reads ? 2 | 4 : 0, q);
	if (probs)
		*probs = NN_NONE;
	if (!n)
		return NN_NONE;
	const nn_node *s = node(g, st), *t = node(g, table);
	int fits = reads || (nn_cols(node(g, k)) == nn_cols(s) && nn_cols(node(g, v)) == nn_cols(s));
	if (s->op != OP_CACHE_STATE || nn_cols(n) != nn_cols(s) || !fits || t->type != NN_I32 || nn_cols(t) != s->dims[1].add ||
	    node(g, slot)->type != NN_I32 || node(g, position)->type != NN_I32)
		return fail(g, "node %d: queries, keys, values or tables do not fit state '%s'", id(g, n), s->name);
	n->a = scale;
	n->attn.heads = (int)s->first;
	nn_t self = id(g, n);
	if (probs)
		*probs = second_output(g, self, OP_PROBS, 3, (nn_dim[]){ nn_fix(s->first), n->dims[0], s->dims[1] }, 0);
	return self;
}

nn_t nn_cache_write(nn_graph *g, nn_t st, nn_t k, nn_t v, nn_t slot, nn_t position) {
	nn_node *n = add(g, OP_CACHE_WRITE, 5, (nn_t[]){ st, k, v, slot, position }, 0, NN_NONE);
	if (!n)
		return NN_NONE;
	const nn_node *s = node(g, st);
	if (s->op != OP_CACHE_STATE || nn_cols(node(g, k)) != nn_cols(s) || nn_cols(node(g, v)) != nn_cols(s) || node(g, slot)->type != NN_I32 ||
	    node(g, position)->type != NN_I32)
		return fail(g, "node %d: keys and values do not fit state '%s'", id(g, n), s->name);
	n->rank = 1;
	n->dims[0] = nn_fix(1);
	return id(g, n);
}

nn_t nn_lstm_cell(nn_graph *g, nn_t gates, nn_t c, nn_t *next_c) {
	*next_c = NN_NONE;
	nn_node *n = add(g, OP_LSTM_CELL, 2, (nn_t[]){ gates, c }, 0, c);
	if (!n)
		return NN_NONE;
	if (n->rank != 2 || nn_cols(node(g, gates)) != 4 * nn_cols(n) || !nn_dim_equal(node(g, gates)->dims[0], n->dims[0]))
		return fail(g, "node %d: %lld gates for a cell of %lld units; four times as many are right", id(g, n), (long long)nn_cols(node(g, gates)),
		            (long long)nn_cols(n));
	nn_dim dims[2] = { n->dims[0], n->dims[1] };
	nn_t self = id(g, n);
	*next_c = second_output(g, self, OP_LSTM_LAST, 2, dims, 1);
	return self;
}

nn_t nn_lstm(nn_graph *g, nn_t x, nn_t h0, nn_t c0, nn_t w_ih, nn_t w_hh, nn_t b_ih, nn_t b_hh, nn_t *last_h, nn_t *last_c) {
	if (last_h)
		*last_h = NN_NONE;
	if (last_c)
		*last_c = NN_NONE;
	nn_t gates = nn_linear(g, x, w_ih, b_ih); /* [T, 4H]: the input's part of every step at once */
	const nn_node *recurrent = g->error[0] ? NULL : constant(g, w_hh, 2, "recurrent weight");
	if (!recurrent)
		return NN_NONE;
	int64_t hidden = nn_cols(recurrent);
	if (recurrent->dims[0].add != 4 * hidden || nn_cols(node(g, gates)) != 4 * hidden || !check_vector(g, b_hh, 4 * hidden, "recurrent bias"))
		return fail(g, "'%s' does not fit an LSTM of %lld units", recurrent->name, (long long)hidden);
	nn_node *n = add(g, OP_LSTM, 5, (nn_t[]){ gates, h0, c0, w_hh, b_hh }, 16, gates);
	if (!n)
		return NN_NONE;
	nn_t self = with_cols(g, n, hidden);
	nn_dim row[2] = { nn_fix(1), nn_fix(hidden) };
	if (last_h)
		*last_h = second_output(g, self, OP_LSTM_LAST, 2, row, 0);
	if (last_c)
		*last_c = second_output(g, self, OP_LSTM_LAST, 2, row, 1);
	return self;
}

nn_t nn_gru(nn_graph *g, nn_t x, nn_t h0, nn_t w_ih, nn_t w_hh, nn_t b_ih, nn_t b_hh, nn_t *last_h) {
	if (last_h)
		*last_h = NN_NONE;
	nn_t gates = nn_linear(g, x, w_ih, b_ih); /* [T, 3H]: the input's part of every step at once */
	const nn_node *recurrent = g->error[0] ? NULL : constant(g, w_hh, 2, "recurrent weight");
	if (!recurrent)
		return NN_NONE;
	int64_t hidden = nn_cols(recurrent);
	if (recurrent->dims[0].add != 3 * hidden || nn_cols(node(g, gates)) != 3 * hidden || !check_vector(g, b_hh, 3 * hidden, "recurrent bias"))
		return fail(g, "'%s' does not fit a GRU of %lld units", recurrent->name, (long long)hidden);
	nn_node *n = add(g, OP_GRU, 4, (nn_t[]){ gates, h0, w_hh, b_hh }, 8, gates);
	if (!n)
		return NN_NONE;
	nn_t self = with_cols(g, n, hidden);
	if (last_h)
		*last_h = second_output(g, self, OP_LSTM_LAST, 2, (nn_dim[]){ nn_fix(1), nn_fix(hidden) }, 0);
	return self;
}

nn_t nn_spline_inverse(nn_graph *g, nn_t x, nn_t params, int bins, float bound) {
	nn_node *n = add(g, OP_SPLINE, 2, (nn_t[]){ x, params }, 0, x);
	if (!n)
		return NN_NONE;
	if (nn_cols(n) != 1 || bins < 1 || nn_cols(node(g, params)) != 3 * bins - 1)
		return fail(g, "node %d: a spline of %d bins takes one column and %d parameters", id(g, n), bins, 3 * bins - 1);
	n->first = bins;
	n->a = bound;
	return id(g, n);
}

static nn_t fold_weight_norm(nn_graph *g, nn_t weight_g, nn_t weight_v, int axis) {
	if (g->error[0])
		return NN_NONE;
	if (weight_v < 0 || weight_v >= g->count || !nn_is_constant(g, weight_v) || node(g, weight_v)->rank <= axis)
		return fail(g, "node %d: weight norm of something that is no constant of rank %d or more", g->count, axis + 1);
	const nn_node *v = node(g, weight_v);
	if (weight_g == NN_NONE || !check_vector(g, weight_g, v->dims[axis].add, "weight norm's g"))
		return fail(g, "node %d: weight norm lacks its magnitudes", g->count);
	nn_node *n = add(g, OP_FOLD_NORM, 2, (nn_t[]){ weight_g, weight_v }, 0, weight_v);
	if (n)
		n->first = axis;
	return id(g, n);
}

nn_t nn_fold_weight_norm(nn_graph *g, nn_t weight_g, nn_t weight_v) { return fold_weight_norm(g, weight_g, weight_v, 0); }
nn_t nn_fold_weight_norm_last(nn_graph *g, nn_t weight_g, nn_t weight_v) { return fold_weight_norm(g, weight_g, weight_v, 2); }

nn_t nn_fold_scale(nn_graph *g, nn_t w, nn_t scale) {
	if (g->error[0])
		return NN_NONE;
	if (w < 0 || w >= g->count || !nn_is_constant(g, w) || node(g, w)->rank < 1)
		return fail(g, "node %d: only constants can be scaled by rows", g->count);
	if (scale == NN_NONE || !check_vector(g, scale, node(g, w)->dims[0].add, "scale"))
		return fail(g, "node %d: '%s' has %lld rows to scale", g->count, node(g, w)->name, (long long)node(g, w)->dims[0].add);
	return id(g, add(g, OP_FOLD_SCALE, 2, (nn_t[]){ w, scale }, 0, w));
}

nn_t nn_fold_concat(nn_graph *g, nn_t a, nn_t b) {
	if (g->error[0])
		return NN_NONE;
	const nn_node *x = constant(g, a, 2, "left matrix"), *y = x ? constant(g, b, 2, "right matrix") : NULL;
	if (!y || x->dims[0].add != y->dims[0].add)
		return fail(g, "node %d: matrices of different heights cannot stand side by side", g->count);
	int64_t cols = nn_cols(x) + nn_cols(y);
	return with_cols(g, add(g, OP_FOLD_CONCAT, 2, (nn_t[]){ a, b }, 0, a), cols);
}

nn_t nn_fold_rows(nn_graph *g, nn_t w, int64_t first, int64_t count) {
	if (g->error[0])
		return NN_NONE;
	if (w < 0 || w >= g->count || !nn_is_constant(g, w) || node(g, w)->rank < 1 || first < 0 || count < 1 ||
	    first + count > node(g, w)->dims[0].add)
		return fail(g, "node %d: rows %lld..%lld cannot be cut from a constant", g->count, (long long)first, (long long)(first + count));
	nn_node *n = add(g, OP_FOLD_ROWS, 1, &w, 0, w);
	if (n) {
		n->first = first;
		n->dims[0] = nn_fix(count);
	}
	return id(g, n);
}
