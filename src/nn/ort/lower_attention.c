/* Attention and the states that it reads. */
#include "nn/ort/lower.h"

#define MASKED (-1e30f) /* a score that softmax makes nothing of; finite, so that reduced precisions stay finite */

static int64_t head_size(const nn_node *n, int64_t heads) { return nn_cols(n) / heads; }

/* [T, D] -> [heads, T, size] or, `turned`, [heads, size, T] */
static onnx_value by_heads(nn_lowering *l, onnx_value x, int64_t heads, int64_t size, int turned) {
	x = nn_low_reshape(l, x, 3, (int64_t[]){ -1, heads, size });
	return nn_low_transpose(l, x, 3, turned ? (int64_t[]){ 1, 2, 0 } : (int64_t[]){ 1, 0, 2 });
}

/* [heads, T, size] -> [T, D] */
static onnx_value by_rows(nn_lowering *l, onnx_value x, int64_t heads, int64_t size) {
	return nn_low_reshape(l, nn_low_transpose(l, x, 3, (int64_t[]){ 1, 0, 2 }), 2, (int64_t[]){ -1, heads * size });
}

static onnx_value scaled(nn_lowering *l, onnx_value x, float scale) {
	return scale == 1 ? x : nn_op2(l, "Mul", x, nn_low_float(l, scale));
}

static onnx_value softmax(nn_lowering *l, onnx_value x) {
	onnx_int(l->m, "axis", -1);
	return nn_op1(l, "Softmax", x);
}

static onnx_value column(nn_lowering *l, onnx_value x, int64_t axis) { return nn_op2(l, "Unsqueeze", x, nn_low_int(l, axis)); }

static onnx_value clamped(nn_lowering *l, onnx_value x, int64_t low, onnx_value high) {
	return nn_op2(l, "Min", nn_op2(l, "Max", x, nn_low_int(l, low)), high);
}

/* x[heads, T, N] -> y[heads, T, M]: y[h, t, m] = x[h, t, at[t, m]] */
static onnx_value pick(nn_lowering *l, onnx_value x, onnx_value at, int64_t heads) {
	const onnx_value shape = nn_op1(l, "Shape", at);
	onnx_int(l->m, "axis", 0);
	const onnx_value full = nn_op2(l, "Concat", nn_low_int(l, heads), shape), index = nn_op2(l, "Expand", at, full);
	onnx_int(l->m, "axis", 2);
	return nn_op2(l, "GatherElements", x, index);
}

/* key minus query, int64 [T, S] */
static onnx_value distances(nn_lowering *l, nn_dim queries, nn_dim keys) {
	return nn_op2(l, "Sub", column(l, nn_low_range(l, keys), 0), column(l, nn_low_range(l, queries), 1));
}

/* Scores of relative positions: q . rel_k[clamp(j - i) + window], nothing where j - i is outside of the window unless it clips. */
static onnx_value relative_keys(nn_lowering *l, const nn_node *n, onnx_value q, int64_t size) {
	const nn_attn *a = &n->attn;
	const int64_t w = a->window;
	const onnx_value distance = distances(l, n->dims[0], nn_low_node(l, n->inputs[1])->dims[0]);
	const onnx_value table = nn_low_shaped(l, a->rel_k, 2, (int64_t[]){ 2 * w + 1, size });
	const onnx_value products = nn_op2(l, "MatMul", q, nn_low_transpose(l, table, 2, (int64_t[]){ 1, 0 }));
	const onnx_value at = nn_op2(l, "Add", clamped(l, distance, -w, nn_low_int(l, w)), nn_low_int(l, w));
	const onnx_value scores = pick(l, products, at, a->heads);
	if (a->rel_clip)
		return scores;
	const onnx_value inside = nn_op2(l, "LessOrEqual", nn_op1(l, "Abs", distance), nn_low_int(l, w));
	return nn_op3(l, "Where", inside, scores, nn_low_float(l, 0));
}

/* sum over |j - i| <= window of p[i, j] * rel_v[j - i + window] */
static onnx_value relative_values(nn_lowering *l, const nn_node *n, onnx_value p, int64_t size) {
	const nn_attn *a = &n->attn;
	const int64_t w = a->window;
	const onnx_value keys = nn_low_dim(l, nn_low_node(l, n->inputs[1])->dims[0]);
	const onnx_value offset = nn_op2(l, "Sub", nn_low_range(l, nn_fix(2 * w + 1)), nn_low_int(l, w));
	const onnx_value j = nn_op2(l, "Add", column(l, nn_low_range(l, n->dims[0]), 1), column(l, offset, 0)); /* [T, 2w+1] */
	const onnx_value inside = nn_op2(l, "And", nn_op2(l, "GreaterOrEqual", j, nn_low_int(l, 0)), nn_op2(l, "Less", j, keys));
	const onnx_value weights = pick(l, p, clamped(l, j, 0, nn_op2(l, "Sub", keys, nn_low_int(l, 1))), a->heads);
	return nn_op2(l, "MatMul", nn_op3(l, "Where", inside, weights, nn_low_float(l, 0)),
	              nn_low_shaped(l, a->rel_v, 2, (int64_t[]){ 2 * w + 1, size }));
}

/* (q + v) pos^T, of which row i column j is at T-1-i+j */
static onnx_value shifted_scores(nn_lowering *l, const nn_node *n, int64_t size) {
	const nn_attn *a = &n->attn;
	const onnx_value q = scaled(l, by_heads(l, nn_low_rows(l, a->shifted_q), a->heads, size, 0), a->scale);
	const onnx_value products = nn_op2(l, "MatMul", q, by_heads(l, nn_low_rows(l, a->shifted_pos), a->heads, size, 1));
	const onnx_value last = nn_op2(l, "Sub", nn_low_dim(l, n->dims[0]), nn_low_int(l, 1));
	return pick(l, products, nn_op2(l, "Add", distances(l, n->dims[0], n->dims[0]), last), a->heads);
}

void nn_lower_attention(nn_lowering *l, int i, const nn_node *n) {
	const nn_attn *a = &n->attn;
	const int64_t size = head_size(n, a->heads);
	const onnx_value q = scaled(l, by_heads(l, nn_low_rows(l, n->inputs[0]), a->heads, size, 0), a->scale);
	const onnx_value k = by_heads(l, nn_low_rows(l, n->inputs[1]), a->heads, size, 1);
	const onnx_value v = by_heads(l, nn_low_rows(l, n->inputs[2]), a->heads, size, 0);
	onnx_value scores = nn_op2(l, "MatMul", q, k);
	if (a->rel_k != NN_NONE)
		scores = nn_op2(l, "Add", scores, relative_keys(l, n, q, size));
	if (a->shifted)
		scores = nn_op2(l, "Add", scores, shifted_scores(l, n, size));
	if (a->causal) {
		const onnx_value distance = distances(l, n->dims[0], nn_low_node(l, n->inputs[1])->dims[0]);
		scores = nn_op3(l, "Where", nn_op2(l, "LessOrEqual", distance, nn_low_int(l, 0)), scores, nn_low_float(l, MASKED));
	}
	const onnx_value p = softmax(l, scores);
	onnx_value y = nn_op2(l, "MatMul", p, v);
	if (a->rel_v != NN_NONE)
		y = nn_op2(l, "Add", y, relative_values(l, n, p, size));
	nn_low_set(l, i, by_rows(l, y, a->heads, size), 0);
	l->of[i].second[0] = p;
}

/* ---- finished sequences ---- */

static onnx_value entry_index(nn_lowering *l, nn_t slot) { return nn_low_ids(l, slot, 2, (int64_t[]){ -1, 1 }); }

/* [S, D] with rows of zeros up to the entry's length, by heads, as one entry of the state. */
static onnx_value whole_entry(nn_lowering *l, const nn_node *state, nn_t t, int turned) {
	const int64_t heads = state->first, length = state->dims[1].add;
	const nn_dim rows = nn_low_node(l, t)->dims[0];
	onnx_value x = nn_low_rows(l, t);
	if (!nn_dim_fixed(rows))
		x = nn_low_pad(l, x, 2, 0, 0, nn_op2(l, "Sub", nn_low_int(l, length), nn_low_dim(l, rows)), 0, 0);
	x = nn_low_reshape(l, x, 3, (int64_t[]){ length, heads, head_size(state, heads) });
	return column(l, nn_low_transpose(l, x, 3, turned ? (int64_t[]){ 1, 2, 0 } : (int64_t[]){ 1, 0, 2 }), 0);
}

void nn_lower_kv_write(nn_lowering *l, int i, const nn_node *n) {
	const nn_node *state = nn_low_node(l, n->inputs[0]);
	const onnx_value at = entry_index(l, n->inputs[3]);
	nn_low_scatter(l, n->inputs[0], 0, at, whole_entry(l, state, n->inputs[1], 1));
	nn_low_scatter(l, n->inputs[0], 1, at, whole_entry(l, state, n->inputs[2], 0));
	nn_low_scatter(l, n->inputs[0], 2, at, nn_low_dim(l, nn_low_node(l, n->inputs[1])->dims[0]));
}

/* Which keys of its entry each row may see: bool [R, 1, length]. A slot never written counts as whole. */
static onnx_value within_length(nn_lowering *l, int state, onnx_value slot) {
	const onnx_value length = nn_low_int(l, nn_low_node(l, state)->dims[1].add);
	onnx_value held = nn_op2(l, "Gather", nn_low_state(l, state, 2), slot);
	held = nn_op3(l, "Where", nn_op2(l, "Equal", held, nn_low_int(l, 0)), length, held);
	held = nn_low_reshape(l, held, 3, (int64_t[]){ -1, 1, 1 });
	return nn_op2(l, "Less", nn_low_range(l, nn_low_node(l, state)->dims[1]), held);
}

/* Entries are taken once for all rows that listen to them: the rows' products with every entry in use, and of these each row's
 * own. */
void nn_lower_kv_attention(nn_lowering *l, int i, const nn_node *n) {
	const int state = n->inputs[1];
	const int64_t heads = n->attn.heads, size = head_size(n, heads);
	const onnx_value slot = nn_low_ids(l, n->inputs[2], 1, (int64_t[]){ -1 });
	/* Slots in use [U]; of each row its number [R]. */
	const onnx_value used = onnx_node(l->m, "Unique", 1, &slot, 4), inverse = used + 2;
	const onnx_value k = nn_op2(l, "Gather", nn_low_state(l, state, 0), used);
	const onnx_value v = nn_op2(l, "Gather", nn_low_state(l, state, 1), used);
	const onnx_value q = scaled(l, by_heads(l, nn_low_rows(l, n->inputs[0]), heads, size, 0), n->a);
	onnx_value scores = nn_op2(l, "MatMul", column(l, q, 0), k); /* [U, heads, R, length] */
	scores = nn_low_transpose(l, scores, 4, (int64_t[]){ 2, 0, 1, 3 });
	const onnx_value own_entry = column(l, inverse, 1);
	onnx_int(l->m, "batch_dims", 1);
	scores = nn_op2(l, "GatherND", scores, own_entry); /* [R, heads, length] */
	const onnx_value p = softmax(l, nn_op3(l, "Where", within_length(l, state, slot), scores, nn_low_float(l, MASKED)));
	const onnx_value by_head = nn_low_transpose(l, p, 3, (int64_t[]){ 1, 0, 2 }); /* [heads, R, length] */
	const onnx_value numbers = nn_low_reshape(l, nn_low_range_of(l, nn_op1(l, "Shape", used)), 4, (int64_t[]){ -1, 1, 1, 1 });
	const onnx_value own = nn_op2(l, "Equal", numbers, nn_low_reshape(l, inverse, 4, (int64_t[]){ 1, 1, -1, 1 }));
	const onnx_value weights = nn_op3(l, "Where", own, by_head, nn_low_float(l, 0)); /* [U, heads, R, length] */
	const onnx_value y = nn_op2(l, "MatMul", weights, v), axis = nn_low_int(l, 0);
	onnx_int(l->m, "keepdims", 0);
	nn_low_set(l, i, by_rows(l, nn_op2(l, "ReduceSum", y, axis), heads, size), 0);
	l->of[i].second[0] = by_head;
}

/* ---- growing caches ---- */

/* slot * length + position: the rows of the state, int64 of the shape of both */
static onnx_value cache_rows(nn_lowering *l, const nn_node *state, onnx_value slot, onnx_value position) {
	return nn_op2(l, "Add", nn_op2(l, "Mul", slot, nn_low_int(l, state->dims[1].add)), position);
}

static void write_cache(nn_lowering *l, int state, nn_t k, nn_t v, nn_t slot, nn_t position) {
	const int64_t shape[2] = { -1, 1 };
	const onnx_value at = cache_rows(l, nn_low_node(l, state), nn_low_ids(l, slot, 2, shape), nn_low_ids(l, position, 2, shape));
	nn_low_scatter(l, state, 0, at, nn_low_rows(l, k));
	nn_low_scatter(l, state, 1, at, nn_low_rows(l, v));
}

void nn_lower_cache_write(nn_lowering *l, int i, const nn_node *n) {
	write_cache(l, n->inputs[0], n->inputs[1], n->inputs[2], n->inputs[3], n->inputs[4]);
}

/* The state's rows at index[R, L] -> [R, heads, L, size], `turned` [R, heads, size, L] */
static onnx_value cached(nn_lowering *l, int state, int part, onnx_value index, int64_t heads, int64_t size, int turned) {
	onnx_value x = nn_op2(l, "Gather", nn_low_state(l, state, part), index);
	x = nn_low_reshape(l, x, 4, (int64_t[]){ 0, 0, heads, size });
	return nn_low_transpose(l, x, 4, turned ? (int64_t[]){ 0, 2, 3, 1 } : (int64_t[]){ 0, 2, 1, 3 });
}

/* [R, heads, 1, L] -> [heads, R, length], zeros behind */
static onnx_value cache_probs(nn_lowering *l, const nn_node *state, onnx_value p, onnx_value reach, int64_t heads) {
	p = nn_low_transpose(l, nn_op2(l, "Squeeze", p, nn_low_int(l, 2)), 3, (int64_t[]){ 1, 0, 2 });
	return nn_low_pad(l, p, 3, 2, 0, nn_op2(l, "Sub", nn_low_int(l, state->dims[1].add), reach), 0, 0);
}

void nn_lower_cache_attention(nn_lowering *l, int i, const nn_node *n) {
	const int state = n->inputs[3];
	const nn_node *s = nn_low_node(l, state);
	const int64_t heads = n->attn.heads, size = head_size(n, heads);
	if (n->inputs[1] != NN_NONE)
		write_cache(l, state, n->inputs[1], n->inputs[2], n->inputs[4], n->inputs[5]);
	const onnx_value position = nn_low_ids(l, n->inputs[5], 2, (int64_t[]){ -1, 1 });
	onnx_value axes = nn_low_ints(l, 2, (int64_t[]){ 0, 1 });
	onnx_int(l->m, "keepdims", 0);
	const onnx_value most = nn_low_reshape(l, nn_op2(l, "ReduceMax", position, axes), 1, (int64_t[]){ 1 });
	const onnx_value reach = nn_op2(l, "Add", most, nn_low_int(l, 1)); /* positions that any row sees */
	const onnx_value at = nn_low_range_of(l, reach), seen = nn_op2(l, "LessOrEqual", at, position); /* [R, L] */
	const onnx_value table = nn_low_ids(l, n->inputs[6], 2, (int64_t[]){ -1, s->dims[1].add });
	const onnx_value in[4] = { table, nn_low_int(l, 0), reach, nn_low_int(l, 1) };
	const onnx_value slots = nn_op3(l, "Where", seen, onnx_node(l->m, "Slice", 4, in, 1), nn_low_int(l, 0));
	const onnx_value index = cache_rows(l, s, slots, at);
	const onnx_value q = scaled(l, nn_low_reshape(l, nn_low_rows(l, n->inputs[0]), 4, (int64_t[]){ -1, heads, 1, size }), n->a);
	const onnx_value scores = nn_op2(l, "MatMul", q, cached(l, state, 0, index, heads, size, 1)); /* [R, heads, 1, L] */
	axes = nn_low_ints(l, 2, (int64_t[]){ 1, 2 });
	const onnx_value p = softmax(l, nn_op3(l, "Where", nn_op2(l, "Unsqueeze", seen, axes), scores, nn_low_float(l, MASKED)));
	const onnx_value y = nn_op2(l, "MatMul", p, cached(l, state, 1, index, heads, size, 0));
	nn_low_set(l, i, nn_low_reshape(l, y, 2, (int64_t[]){ -1, nn_cols(n) }), 0);
	l->of[i].second[0] = ONNX_NONE;
	for (int u = i + 1; u < l->g->count; u++)
		if (nn_low_node(l, u)->op == OP_PROBS && nn_low_node(l, u)->inputs[0] == i && l->needed[u])
			l->of[i].second[0] = cache_probs(l, s, p, reach, heads);
}
