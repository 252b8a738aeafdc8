/* From nodes to steps: what is fused into a product's epilogue, in which form each tensor is stored, and the steps in order.
 *
 * Fusion: product [-> activation] [-> + residual] [-> * scale] becomes one step, with an activation of its result that others
 * also need as a second output. Storage: readers say what they want (float32, bfloat16 for products in bf16, rows of bytes with a
 * scale for int8 products); a tensor is made in the widest form wanted and converted once for the others. */
#include "nn/plan.h"

#include <stdlib.h>
#include <string.h>

typedef struct fuse {
	int final;    /* the node whose tensor the step makes */
	nn_act act, act2;
	float param, param2, scale;
	int residual; /* node or -1 */
	int second;   /* node of the second output or -1 */
} fuse;

typedef struct emitter {
	nn_plan *plan;
	nn_pack *pack;
	char *err;
	int result, count;
	int *uses, *user;    /* readers of each node, and one of them */
	int *absorbed;       /* the product that makes this node inside its epilogue, or -1 */
	int *second_of;      /* [count * 2] nodes of further outputs, or -1 */
	unsigned char *want; /* bits 1 << nn_store */
	fuse *fuse;
	float *pre_scaled;   /* factor that attention's query product already applies */
} emitter;

#define BIT(store) (1u << (store))

static const nn_node *node_of(const emitter *e, int i) { return e->plan->graph->nodes + i; }
static int constant(const emitter *e, int i) { return nn_is_constant(e->plan->graph, i); }

static int view_op(nn_op op) { return op == OP_SLICE_COLS || op == OP_RESHAPE || op == OP_TRIM_ROWS; }

/* Written into a state: the step is kept though nobody reads a result. */
static int write_op(nn_op op) { return op == OP_KV_WRITE || op == OP_CACHE_WRITE; }

static int depthwise(const emitter *e, const nn_node *n) {
	return n->op == OP_CONV && n->conv.groups > 1 && n->conv.groups == nn_cols(n) && nn_cols(node_of(e, n->inputs[0])) == nn_cols(n) &&
	       n->rank == 2 && !view_op(node_of(e, n->inputs[0])->op);
}

static int product(const emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	return n->op == OP_LINEAR || n->op == OP_CONV_TRANSPOSE || (n->op == OP_CONV && !depthwise(e, n));
}

/* Where products in bf16 are slow an int8 plan has them in f32, and bf16 only in what a decoder step reads from memory. */
static int bf16_plan(const emitter *e) {
	const nn_dtype dtype = e->plan->dtype;
	return e->plan->kernels.bf16.run && (dtype == NN_DTYPE_BF16 || (dtype == NN_DTYPE_INT8 && !e->plan->kernels.bf16_slow));
}

/* In which form a product reads its left side. */
static nn_store product_store(const emitter *e, const nn_node *n) {
	const nn_node *w = node_of(e, n->inputs[1]);
	if (n->op == OP_LINEAR && e->plan->dtype == NN_DTYPE_INT8 && e->plan->kernels.s8.run && w->dims[0].add >= 32 && w->dims[1].add >= 32)
		return NN_STORE_U8;
	return bf16_plan(e) ? NN_STORE_BF16 : NN_STORE_F32;
}

static nn_store attention_store(const emitter *e, const nn_node *n) {
	int relative = n->op == OP_ATTENTION && (n->attn.rel_k != NN_NONE || n->attn.shifted);
	int bf16 = n->op == OP_ATTENTION ? bf16_plan(e) && !e->plan->debug : nn_attention_family(e->plan) == &e->plan->kernels.bf16;
	return relative || !bf16 ? NN_STORE_F32 : NN_STORE_BF16;
}

/* ---- what reads what ---- */

static void count_uses(emitter *e) {
	for (int i = 0; i < e->count; i++) {
		const nn_node *n = node_of(e, i);
		for (int k = 0; k < n->count; k++)
			if (n->inputs[k] >= 0) {
				e->uses[n->inputs[k]]++;
				e->user[n->inputs[k]] = i;
			}
		if (n->is_output)
			e->uses[i] += 2; /* never absorbed */
		if (n->op == OP_PROBS || n->op == OP_LSTM_LAST)
			e->second_of[2 * n->inputs[0] + n->first] = i;
	}
}

/* Follows a product's single readers as far as the epilogue can do their work. */
static void fuse_product(emitter *e, int i) {
	fuse *f = e->fuse + i;
	int transposed = node_of(e, i)->op == OP_CONV_TRANSPOSE;
	int stage = 0; /* 1: an activation is in, 2: a residual, 3: a scale */
	while (e->uses[f->final] == 1) {
		int next = e->user[f->final];
		const nn_node *n = node_of(e, next);
		if (e->absorbed[next] >= 0)
			break; /* a sum of two products belongs to the first */
		if (n->op == OP_UNARY && stage < 1) {
			f->act = n->act;
			f->param = n->a;
			stage = 1;
		} else if (n->op == OP_BINARY && n->binary == NN_ADD && n->first == 0 && n->inputs[0] != n->inputs[1] && stage < 2 && !transposed) {
			int other = n->inputs[0] == f->final ? n->inputs[1] : n->inputs[0];
			if (view_op(node_of(e, other)->op))
				break;
			f->residual = other;
			stage = 2;
		} else if (n->op == OP_AFFINE && n->b == 0 && stage < 3) {
			f->scale = n->a;
			stage = 3;
		} else {
			break;
		}
		e->absorbed[next] = i;
		f->final = next;
	}
}

/* An activation that reads the result beside others (a residual block's) becomes the second output. */
static void fuse_second(emitter *e, int i) {
	fuse *f = e->fuse + i;
	for (int u = f->final + 1; u < e->count && f->second < 0; u++) {
		const nn_node *n = node_of(e, u);
		if (n->op == OP_UNARY && n->inputs[0] == f->final && e->absorbed[u] < 0) {
			f->second = u;
			f->act2 = n->act;
			f->param2 = n->a;
			e->absorbed[u] = i;
			}
	}
}

/* softmax(s q k): the factor s goes into the product that makes q. */
static void fuse_attention_scale(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	int q = n->inputs[0], p = product(e, q) ? q : e->absorbed[q];
	e->pre_scaled[i] = 1;
	if (n->op == OP_ATTENTION && (n->attn.rel_k != NN_NONE || n->attn.shifted))
		return;
	if (p >= 0 && e->fuse[p].final == q && e->uses[q] == 1 && e->fuse[p].second < 0) {
		e->fuse[p].scale *= n->a;
		e->pre_scaled[i] = n->a;
	}
}

static void find_fusions(emitter *e) {
	for (int i = 0; i < e->count; i++)
		e->fuse[i] = (fuse){ .final = i, .scale = 1, .residual = -1, .second = -1 };
	for (int i = 0; i < e->count; i++)
		e->pre_scaled[i] = 1;
	if (e->plan->debug)
		return;
	for (int i = 0; i < e->count; i++)
		if (product(e, i))
			fuse_product(e, i);
	for (int i = 0; i < e->count; i++)
		if (product(e, i) && e->uses[e->fuse[i].final] > 1)
			fuse_second(e, i);
	for (int i = 0; i < e->count; i++) {
		nn_op op = node_of(e, i)->op;
		if (op == OP_ATTENTION || op == OP_KV_ATTENTION || op == OP_CACHE_ATTENTION)
			fuse_attention_scale(e, i);
	}
}

/* ---- who wants what ---- */

static void want(emitter *e, int i, unsigned bits) {
	if (i >= 0)
		e->want[i] |= (unsigned char)bits;
}

static void want_inputs(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	if (product(e, i)) {
		want(e, n->inputs[0], BIT(product_store(e, n)));
		return;
	}
	if (view_op(n->op) || n->op == OP_PAD_ROWS) {
		unsigned bits = e->want[i] & (BIT(NN_STORE_F32) | BIT(NN_STORE_BF16));
		if (!bits)
			bits = bf16_plan(e) ? BIT(NN_STORE_BF16) : BIT(NN_STORE_F32);
		want(e, n->inputs[0], bits);
		return;
	}
	for (int k = 0; k < n->count; k++) {
		int attention = (n->op == OP_ATTENTION && k < 3) || (n->op == OP_KV_ATTENTION && k == 0) || (n->op == OP_KV_WRITE && (k == 1 || k == 2));
		want(e, n->inputs[k], BIT(attention ? attention_store(e, n) : NN_STORE_F32));
	}
}

/* From the last node to the first: when a node is reached all its readers have spoken. */
static void find_wants(emitter *e) {
	for (int i = e->count - 1; i >= 0; i--) {
		const nn_node *n = node_of(e, i);
		if (n->is_output || e->plan->debug || write_op(n->op))
			e->want[i] |= BIT(NN_STORE_F32);
		if (e->plan->debug)
			continue;
		if (e->absorbed[i] >= 0) {
			fuse *f = e->fuse + e->absorbed[i];
			if (e->want[i] && f->final != i && f->second != i)
				e->want[i] = 0;
			if (n->op == OP_BINARY && f->residual >= 0)
				want(e, f->residual, BIT(NN_STORE_F32));
			continue;
		}
		int wanted = e->want[i] || e->want[e->fuse[i].final] || (e->fuse[i].second >= 0 && e->want[e->fuse[i].second]);
		for (int k = 0; k < 2; k++)
			wanted |= e->second_of[2 * i + k] >= 0 && e->want[e->second_of[2 * i + k]];
		if (wanted && !constant(e, i))
			want_inputs(e, i);
		if (wanted && !e->want[e->fuse[i].final])
			e->want[e->fuse[i].final] = BIT(NN_STORE_F32);
	}
}

/* ---- values ---- */

static int fail(emitter *e) {
	if (e->result == SN_OK)
		e->result = sn_fail(e->err, SN_E_MEMORY, "no memory for plan %s", e->plan->name);
	return 0;
}

static int *slot(emitter *e, int node, nn_store store) { return e->plan->of_node + 3 * node + store; }

static int new_value(emitter *e, int node, nn_store store, nn_place place) {
	const nn_node *n = node_of(e, node);
	nn_value v = { .place = place, .store = store, .ids = n->type == NN_I32, .base = -1, .rank = n->rank, .node = node };
	memcpy(v.dims, n->dims, sizeof v.dims);
	v.cols = n->rank == 1 && v.ids ? 1 : nn_cols(n);
	if (n->rank == 1 && v.ids) { /* a vector of ids: one a row */
		v.rank = 2;
		v.dims[1] = nn_fix(1);
	}
	if (n->rank && !nn_dim_fixed(n->dims[n->rank - 1])) { /* attention probabilities over keys of any number: one a row */
		v.rank = n->rank + 1;
		v.dims[n->rank] = nn_fix(1);
		v.cols = 1;
	}
	v.stride = store == NN_STORE_U8 ? (v.cols + 3) / 4 * 4 : v.cols;
	int id = nn_value_new(e->plan, &v);
	return id < 0 ? fail(e) : (*slot(e, node, store) = id);
}

static nn_step *new_step(emitter *e, nn_step_kind kind, int node, int out) {
	nn_step s = { .kind = kind, .node = node, .out = out, .out2 = -1, .out3 = -1, .residual = -1, .out_scale = 1, .groups = 1, .taps = 1, .stride = 1,
		      .dilation = 1 };
	nn_step *step = nn_step_new(e->plan, &s);
	if (!step)
		fail(e);
	return step;
}

static int constant_value(emitter *e, int node) {
	int id = *slot(e, node, NN_STORE_F32);
	if (id >= 0)
		return id;
	id = new_value(e, node, NN_STORE_F32, PLACE_CONST);
	float *values = NULL;
	int64_t count;
	if (e->result == SN_OK && e->plan->need) {
		size_t bytes = sizeof(float);
		for (int a = 0; a < node_of(e, node)->rank; a++)
			bytes *= (size_t)node_of(e, node)->dims[a].add;
		e->plan->need->weights += bytes;
		return id;
	}
	if (e->result == SN_OK)
		e->result = nn_fold(e->plan->graph, node, &values, &count, e->err);
	if (e->result == SN_OK)
		e->plan->value[id].constant = values;
	return id;
}

/* The value of `node` in one form; its step was emitted before. */
static int value_of(emitter *e, int node, nn_store store) {
	if (constant(e, node))
		return constant_value(e, node);
	return *slot(e, node, store);
}

static nn_store primary(const emitter *e, int node) {
	unsigned bits = e->want[node];
	if (bits & BIT(NN_STORE_F32))
		return NN_STORE_F32;
	return bits & BIT(NN_STORE_BF16) || bf16_plan(e) ? NN_STORE_BF16 : NN_STORE_F32;
}

/* Makes the forms of `node` that are wanted and not there yet from one that is. */
static void finish(emitter *e, int node) {
	for (int store = NN_STORE_F32; store <= NN_STORE_U8 && e->result == SN_OK; store++) {
		if (!(e->want[node] & BIT(store)) || *slot(e, node, (nn_store)store) >= 0)
			continue;
		int from = *slot(e, node, NN_STORE_F32) >= 0 ? *slot(e, node, NN_STORE_F32) : *slot(e, node, NN_STORE_BF16);
		int out = new_value(e, node, (nn_store)store, PLACE_ARENA);
		nn_step *s = e->result == SN_OK ? new_step(e, store == NN_STORE_U8 ? STEP_QUANTIZE : STEP_CONVERT, node, out) : NULL;
		if (s)
			s->in[s->count++] = from;
	}
}

static const float *vector(emitter *e, int node, int64_t size, int64_t repeat) {
	if (node == NN_NONE || e->result != SN_OK)
		return NULL;
	int id = constant_value(e, node);
	if (e->result != SN_OK || repeat == 1 || e->plan->need)
		return e->plan->value[id].constant;
	nn_value v = { .place = PLACE_CONST, .store = NN_STORE_F32, .base = -1, .node = node, .cols = size * repeat, .stride = size * repeat };
	v.constant = malloc((size_t)(size * repeat) * sizeof(float) + NN_OVERREAD);
	const float *once = e->plan->value[id].constant;
	for (int64_t i = 0; v.constant && i < size * repeat; i++)
		v.constant[i] = once[i % size];
	if (!v.constant || nn_value_new(e->plan, &v) < 0) {
		free(v.constant);
		fail(e);
		return NULL;
	}
	return v.constant;
}

/* ---- products ---- */

/* A convolution over contiguous rows with dilation 1 is a product over k * Cin neighbouring values: fewer, longer taps. */
static void collapse_taps(const emitter *e, nn_step *s) {
	const nn_value *x = e->plan->value + s->in[0];
	if (s->dilation == 1 && s->groups == 1 && x->stride == x->cols && s->taps > 1) {
		s->k *= s->taps;
		s->taps = 1;
	}
}

static void shape_product(emitter *e, int i, nn_step *s) {
	const nn_node *n = node_of(e, i), *w = node_of(e, n->inputs[1]);
	if (n->op == OP_LINEAR) {
		s->n = w->dims[0].add;
		s->k = w->dims[1].add;
	} else if (n->op == OP_CONV) {
		s->n = w->dims[0].add;
		s->k = w->dims[1].add;
		s->taps = (int)w->dims[2].add;
		s->stride = n->conv.stride;
		s->dilation = n->conv.dilation;
		s->pad = n->conv.pad_left;
		s->groups = n->conv.groups;
	} else {
		s->n = w->dims[1].add * n->conv.stride;
		s->k = w->dims[0].add;
		s->taps = (int)((w->dims[2].add + n->conv.stride - 1) / n->conv.stride);
		s->pad = s->taps - 1;
		s->stride = n->conv.stride; /* for arranging the weights; reset to 1 after */
	}
	s->flops_per_row = 2.0 * (double)s->n * (double)s->k * s->taps;
}

/* Where a transposed convolution's rows [m][phase * Cout + co] begin to be the tensor: `pad` rows in. */
static int transposed_view(emitter *e, int node, int base, int64_t pad, int64_t cols) {
	int id = new_value(e, node, e->plan->value[base].store, PLACE_ARENA);
	if (e->result != SN_OK)
		return 0;
	nn_value *v = e->plan->value + id;
	v->base = base;
	v->view = pad * cols;
	return id;
}

/* The buffer a product writes for `node`; a transposed convolution writes rows of `stride` frames and the node is a view of it. */
static int product_out(emitter *e, int i, int node, nn_store store) {
	const nn_node *n = node_of(e, i);
	if (n->op != OP_CONV_TRANSPOSE)
		return new_value(e, node, store, PLACE_ARENA);
	const nn_node *w = node_of(e, n->inputs[1]);
	int taps = (int)((w->dims[2].add + n->conv.stride - 1) / n->conv.stride);
	nn_value v = { .place = PLACE_ARENA, .store = store, .base = -1, .rank = 2, .node = -1 };
	v.dims[0] = nn_dim_add(node_of(e, n->inputs[0])->dims[0], taps - 1);
	v.cols = v.stride = nn_cols(n) * n->conv.stride;
	v.dims[1] = nn_fix(v.cols);
	int base = nn_value_new(e->plan, &v);
	if (base < 0)
		return fail(e);
	transposed_view(e, node, base, n->conv.pad_left, nn_cols(n));
	return base;
}

static void emit_product(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	const fuse *f = e->fuse + i;
	nn_store left = product_store(e, n), out = primary(e, f->final);
	int value = product_out(e, i, f->final, out);
	int second = -1;
	if (f->second >= 0 && e->want[f->second])
		second = product_out(e, i, f->second, primary(e, f->second));
	else if (out == NN_STORE_F32 && (e->want[f->final] & BIT(NN_STORE_BF16)))
		second = product_out(e, i, f->final, NN_STORE_BF16);
	nn_step *s = e->result == SN_OK ? new_step(e, STEP_GEMM, i, value) : NULL;
	if (!s)
		return;
	s->out2 = second;
	s->in[s->count++] = value_of(e, n->inputs[0], left);
	s->family = left == NN_STORE_U8 ? &e->plan->kernels.s8 : left == NN_STORE_BF16 ? &e->plan->kernels.bf16 : &e->plan->kernels.f32;
	shape_product(e, i, s);
	s->act = f->act;
	s->param = f->param;
	s->act2 = f->act2;
	s->param2 = f->param2;
	s->out_scale = f->scale;
	if (f->residual >= 0)
		s->in[s->count++] = s->residual = value_of(e, f->residual, NN_STORE_F32);
	if (n->op == OP_CONV)
		collapse_taps(e, s);
	nn_step copy = *s; /* lists may move while constants are added */
	int64_t repeat = n->op == OP_CONV_TRANSPOSE ? n->conv.stride : 1;
	copy.bias = vector(e, n->inputs[2], copy.n / repeat, repeat);
	if (e->result == SN_OK)
		e->result = nn_weights_pack(e->plan, e->pack, &copy, i, e->err);
	if (n->op == OP_CONV_TRANSPOSE)
		copy.stride = 1;
	copy.whole = n->op == OP_LINEAR ? 0 : 1;
	e->plan->step[e->plan->steps - 1] = copy;
	if (f->second >= 0)
		finish(e, f->second);
	finish(e, f->final);
}

static void emit_depthwise(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	int out = new_value(e, i, NN_STORE_F32, PLACE_ARENA);
	nn_step *s = e->result == SN_OK ? new_step(e, STEP_DEPTHWISE, i, out) : NULL;
	if (!s)
		return;
	s->in[s->count++] = value_of(e, n->inputs[0], NN_STORE_F32);
	s->whole = 1;
	s->n = nn_cols(n);
	s->k = 1;
	s->taps = (int)node_of(e, n->inputs[1])->dims[2].add;
	s->stride = n->conv.stride;
	s->dilation = n->conv.dilation;
	s->pad = n->conv.pad_left;
	s->family = &e->plan->kernels.f32;
	s->flops_per_row = 2.0 * (double)s->n * s->taps;
	nn_step copy = *s;
	copy.bias = vector(e, n->inputs[2], copy.n, 1);
	if (e->result == SN_OK)
		e->result = nn_weights_pack(e->plan, e->pack, &copy, i, e->err);
	e->plan->step[e->plan->steps - 1] = copy;
	finish(e, i);
}

/* ---- attention ---- */

static int second_value(emitter *e, int i, int which) {
	int node = e->second_of[2 * i + which];
	return node < 0 || !e->want[node] ? -1 : new_value(e, node, NN_STORE_F32, PLACE_ARENA);
}

/* The step that packs keys and values of all heads into one buffer. Returns the buffer's value, -1 after an error. */
static int packed_rows(emitter *e, int i, nn_t keys, nn_t values, nn_store store, const nn_gemm_family *f) {
	const nn_node *n = node_of(e, i);
	int64_t head = nn_cols(n) / n->attn.heads, length = nn_dim_value(e->plan->graph, node_of(e, keys)->dims[0], NULL);
	size_t bytes = nn_packed_head(f, length, head) * (size_t)n->attn.heads;
	nn_value work = { .place = PLACE_ARENA, .store = NN_STORE_F32, .base = -1, .rank = 1, .node = -1, .cols = (int64_t)(bytes / 4 + 1) };
	work.dims[0] = nn_fix(work.cols);
	work.stride = work.cols;
	int packed = nn_value_new(e->plan, &work);
	nn_step *s = packed < 0 ? (fail(e), NULL) : new_step(e, STEP_ATTENTION_PACK, i, packed);
	if (!s)
		return -1;
	s->in[s->count++] = value_of(e, keys, store);
	s->in[s->count++] = value_of(e, values, store);
	s->whole = 3;
	s->family = f;
	s->attn = n->attn;
	return packed;
}

/* Keys and values, then the queries. */
static void emit_attention(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	nn_store store = attention_store(e, n);
	const nn_gemm_family *f = store == NN_STORE_BF16 ? &e->plan->kernels.bf16 : &e->plan->kernels.f32;
	int64_t length = nn_dim_value(e->plan->graph, node_of(e, n->inputs[1])->dims[0], NULL);
	int packed = packed_rows(e, i, n->inputs[1], n->inputs[2], store, f);
	int positions = n->attn.shifted && packed >= 0 ? packed_rows(e, i, n->attn.shifted_pos, n->attn.shifted_pos, store, f) : -1;
	if (packed < 0)
		return;
	int relative = n->attn.rel_k != NN_NONE; /* relative values are added to float32 */
	int shifted = n->attn.shifted ? value_of(e, n->attn.shifted_q, NN_STORE_F32) : -1;
	int out = new_value(e, i, relative ? NN_STORE_F32 : primary(e, i), PLACE_ARENA), probs = second_value(e, i, 0);
	int rel_k = relative ? constant_value(e, n->attn.rel_k) : -1;
	int rel_v = n->attn.rel_v != NN_NONE ? constant_value(e, n->attn.rel_v) : -1;
	nn_step *s = e->result == SN_OK ? new_step(e, STEP_ATTENTION, i, out) : NULL;
	if (!s)
		return;
	s->in[0] = value_of(e, n->inputs[0], store);
	s->in[1] = packed;
	s->in[2] = value_of(e, n->inputs[1], store); /* for its extent */
	s->in[3] = rel_k;
	s->in[4] = rel_v;
	s->in[5] = shifted;
	s->in[6] = positions;
	s->count = 7;
	s->whole = 2 | 4 | 64;
	s->out2 = probs;
	s->family = f;
	s->attn = n->attn;
	s->attn.scale = n->a / e->pre_scaled[i];
	s->flops_per_row = 4.0 * (double)nn_cols(n) * (double)length;
	finish(e, i);
}

static void emit_kv_attention(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	nn_store store = attention_store(e, n);
	int out = new_value(e, i, primary(e, i), PLACE_ARENA), probs = second_value(e, i, 0);
	nn_step *s = e->result == SN_OK ? new_step(e, STEP_KV_ATTENTION, i, out) : NULL;
	if (!s)
		return;
	s->in[s->count++] = value_of(e, n->inputs[0], store);
	s->in[s->count++] = *slot(e, n->inputs[1], NN_STORE_F32);
	s->in[s->count++] = *slot(e, n->inputs[2], NN_STORE_F32);
	s->whole = 2;
	s->out2 = probs;
	s->family = nn_attention_family(e->plan);
	s->attn = n->attn;
	s->attn.scale = n->a / e->pre_scaled[i];
	s->flops_per_row = 4.0 * (double)nn_cols(n) * (double)node_of(e, n->inputs[1])->dims[1].add;
	finish(e, i);
}

static void emit_cache_write(emitter *e, int i, nn_t state, nn_t k, nn_t v, nn_t entry, nn_t position) {
	nn_step *s = new_step(e, STEP_CACHE_WRITE, i, *slot(e, state, NN_STORE_F32));
	nn_t inputs[4] = { k, v, entry, position };
	for (int j = 0; s && j < 4; j++)
		s->in[s->count++] = value_of(e, inputs[j], NN_STORE_F32);
	if (s)
		s->whole = 15;
}

static void emit_cache_attention(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	int state = *slot(e, n->inputs[3], NN_STORE_F32);
	if (n->inputs[1] != NN_NONE)
		emit_cache_write(e, i, n->inputs[3], n->inputs[1], n->inputs[2], n->inputs[4], n->inputs[5]);
	int out = e->result == SN_OK ? new_value(e, i, primary(e, i), PLACE_ARENA) : 0, probs = second_value(e, i, 0);
	nn_step *s = e->result == SN_OK ? new_step(e, STEP_CACHE_ATTENTION, i, out) : NULL;
	if (!s)
		return;
	s->in[s->count++] = value_of(e, n->inputs[0], NN_STORE_F32);
	s->in[s->count++] = state;
	s->in[s->count++] = value_of(e, n->inputs[5], NN_STORE_F32);
	s->in[s->count++] = value_of(e, n->inputs[6], NN_STORE_F32);
	s->whole = 2;
	s->out2 = probs;
	s->attn = n->attn;
	s->attn.scale = n->a / e->pre_scaled[i];
	finish(e, i);
}

/* ---- the rest ---- */

static void emit_view(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	for (int store = NN_STORE_F32; store <= NN_STORE_BF16 && e->result == SN_OK; store++) {
		int from = constant(e, n->inputs[0]) && store == NN_STORE_F32 ? constant_value(e, n->inputs[0]) : *slot(e, n->inputs[0], (nn_store)store);
		if (from < 0 || (!(e->want[i] & BIT(store)) && !(e->want[i] & BIT(NN_STORE_U8))))
			continue;
		nn_value base = e->plan->value[from];
		if (n->op == OP_RESHAPE && base.stride != base.cols && base.cols > 0) { /* a reshape needs its rows without gaps */
			int copy = new_value(e, n->inputs[0], (nn_store)store, PLACE_ARENA);
			nn_step *s = e->result == SN_OK ? new_step(e, STEP_COPY, i, copy) : NULL;
			if (!s)
				return;
			s->in[s->count++] = from;
			*slot(e, n->inputs[0], (nn_store)store) = from;
			from = copy;
			base = e->plan->value[from];
		}
		int id = new_value(e, i, (nn_store)store, base.place);
		if (e->result != SN_OK)
			return;
		nn_value *v = e->plan->value + id;
		v->base = from;
		v->view = n->op == OP_SLICE_COLS ? n->first : n->op == OP_TRIM_ROWS ? n->first * base.stride : 0;
		v->stride = n->op == OP_RESHAPE ? v->cols : base.stride;
		v->same_rows = n->op == OP_SLICE_COLS;
		v->ids = base.ids;
		if (n->is_output && store == NN_STORE_F32 && v->stride != v->cols) { /* outputs have no gaps */
			int copy = new_value(e, i, NN_STORE_F32, PLACE_ARENA);
			nn_step *s = e->result == SN_OK ? new_step(e, STEP_COPY, i, copy) : NULL;
			if (!s)
				return;
			s->in[s->count++] = id;
		}
	}
	if (node_of(e, i)->type != NN_I32)
		finish(e, i);
}

/* One step for every form that is wanted: rows are only copied. */
static void emit_pad(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	for (int store = NN_STORE_F32; store <= NN_STORE_BF16 && e->result == SN_OK; store++) {
		int from = value_of(e, n->inputs[0], (nn_store)store);
		if (from < 0 || (!(e->want[i] & BIT(store)) && !(e->want[i] & BIT(NN_STORE_U8))))
			continue;
		int out = new_value(e, i, (nn_store)store, PLACE_ARENA);
		nn_step *s = e->result == SN_OK ? new_step(e, STEP_PAD, i, out) : NULL;
		if (!s)
			return;
		s->in[s->count++] = from;
		s->whole = 1;
	}
	finish(e, i);
}

/* in: gates [R, 4H], c [R, H]; out h, out3 the next c. */
static void emit_lstm_cell(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	int out = new_value(e, i, NN_STORE_F32, PLACE_ARENA), next = second_value(e, i, 1);
	nn_step *s = e->result == SN_OK ? new_step(e, STEP_LSTM_CELL, i, out) : NULL;
	if (!s)
		return;
	s->in[s->count++] = value_of(e, n->inputs[0], NN_STORE_F32);
	s->in[s->count++] = value_of(e, n->inputs[1], NN_STORE_F32);
	s->out3 = next;
	finish(e, i);
}

/* An LSTM: gates of the input, h, c, w_hh, b_hh; a GRU: the same without c. */
static void emit_recurrent(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	const int states = n->op == OP_LSTM ? 2 : 1;
	int out = new_value(e, i, NN_STORE_F32, PLACE_ARENA);
	int last_h = second_value(e, i, 0), last_c = second_value(e, i, 1);
	nn_step *s = e->result == SN_OK ? new_step(e, n->op == OP_LSTM ? STEP_LSTM : STEP_GRU, i, out) : NULL;
	if (!s)
		return;
	for (int k = 0; k < 1 + states; k++)
		s->in[s->count++] = value_of(e, n->inputs[k], NN_STORE_F32);
	s->whole = 7;
	s->out2 = last_h;
	s->out3 = last_c;
	s->family = &e->plan->kernels.f32;
	s->n = nn_cols(node_of(e, n->inputs[0]));
	s->k = nn_cols(n);
	s->flops_per_row = 2.0 * (double)s->n * (double)s->k;
	nn_step copy = *s;
	copy.bias = vector(e, n->inputs[2 + states], copy.n, 1);
	/* The recurrent weight is packed as a linear layer's would be. */
	nn_node *w = e->plan->graph->nodes + i;
	nn_op op = w->op;
	nn_t second = w->inputs[1];
	w->op = OP_LINEAR;
	w->inputs[1] = n->inputs[1 + states];
	if (e->result == SN_OK)
		e->result = nn_weights_pack(e->plan, e->pack, &copy, i, e->err);
	w->op = op;
	w->inputs[1] = second;
	e->plan->step[e->plan->steps - 1] = copy;
	finish(e, i);
}

static nn_step_kind simple_kind(nn_op op) {
	switch (op) {
	case OP_UNARY: return STEP_UNARY;
	case OP_BINARY: return STEP_BINARY;
	case OP_AFFINE: return STEP_AFFINE;
	case OP_NORM: return STEP_NORM;
	case OP_GATED: return STEP_GATED;
	case OP_CONCAT_COLS: return STEP_CONCAT;
	case OP_FLIP_COLS: return STEP_FLIP;
	case OP_GATHER: return STEP_GATHER;
	case OP_SPLINE: return STEP_SPLINE;
	case OP_UNFOLD: return STEP_UNFOLD;
	case OP_MAX_POOL: return STEP_MAX_POOL;
	case OP_NORM_ROWS: return STEP_NORM_ROWS;
	case OP_SOFTMAX_ROWS: return STEP_SOFTMAX_ROWS;
	case OP_SUM_ROWS: return STEP_SUM_ROWS;
	default: return STEP_KV_WRITE;
	}
}

static void emit_simple(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	nn_step_kind kind = simple_kind(n->op);
	int narrow = kind == STEP_UNARY || kind == STEP_BINARY || kind == STEP_AFFINE || kind == STEP_GATED || kind == STEP_NORM ||
	             kind == STEP_NORM_ROWS;
	nn_store store = narrow ? primary(e, i) : NN_STORE_F32;
	if (kind == STEP_NORM && e->want[i] == BIT(NN_STORE_U8))
		store = NN_STORE_U8;
	int out = kind == STEP_KV_WRITE ? *slot(e, n->inputs[0], NN_STORE_F32) : new_value(e, i, store, PLACE_ARENA);
	int inputs[NN_MAX_INPUTS], count = 0;
	unsigned whole = kind == STEP_KV_WRITE || kind == STEP_UNFOLD || kind == STEP_MAX_POOL || kind >= STEP_NORM_ROWS ? ~0u : 0;
	for (int k = kind == STEP_KV_WRITE ? 1 : 0; k < n->count && e->result == SN_OK; k++) {
		int table = kind == STEP_GATHER && k == 0;
		if (table)
			whole |= 1;
		int from = table && constant(e, n->inputs[0]) ? -1 : value_of(e, n->inputs[k], kind == STEP_KV_WRITE && k < 3 ? attention_store(e, n) : NN_STORE_F32);
		if (kind == STEP_BINARY && k == 1 && n->first)
			whole |= 2; /* one row for all */
		inputs[count++] = from;
	}
	nn_step *s = e->result == SN_OK ? new_step(e, kind, i, out) : NULL;
	if (!s)
		return;
	memcpy(s->in, inputs, sizeof inputs);
	s->count = count;
	s->whole = whole;
	s->act = n->act;
	s->param = n->a;
	s->out_scale = n->b;
	s->first = n->first;
	s->family = nn_attention_family(e->plan);
	if (kind != STEP_KV_WRITE)
		finish(e, i);
}

static void emit_state(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	int id = new_value(e, i, NN_STORE_F32, PLACE_STATE);
	if (e->result != SN_OK)
		return;
	nn_value *v = e->plan->value + id;
	const nn_gemm_family *f = nn_attention_family(e->plan);
	int64_t slots = n->dims[0].add, length = n->dims[1].add, width = nn_cols(n);
	if (n->op == OP_CACHE_STATE) { /* keys [slots, length, width], then values */
		v->store = f == &e->plan->kernels.bf16 ? NN_STORE_BF16 : NN_STORE_F32;
		v->bytes = 2 * (size_t)(slots * length * width) * nn_store_size(v->store) + NN_OVERREAD;
	} else { /* per slot and head: keys, values; then each slot's count of keys */
		int64_t head = width / n->first;
		v->bytes = nn_packed_head(f, length, head) * (size_t)(slots * n->first) + (size_t)slots * sizeof(int32_t);
	}
	finish(e, i);
}

static void emit_node(emitter *e, int i) {
	const nn_node *n = node_of(e, i);
	if (e->plan->debug && constant(e, i))
		return;
	switch (n->op) {
	case OP_INPUT:
		new_value(e, i, NN_STORE_F32, PLACE_INPUT);
		if (e->result == SN_OK && n->type == NN_F32)
			finish(e, i);
		break;
	case OP_KV_STATE: case OP_CACHE_STATE: emit_state(e, i); break;
	case OP_LINEAR: case OP_CONV: case OP_CONV_TRANSPOSE:
		if (product(e, i))
			emit_product(e, i);
		else
			emit_depthwise(e, i);
		break;
	case OP_SLICE_COLS: case OP_RESHAPE: case OP_TRIM_ROWS: emit_view(e, i); break;
	case OP_PAD_ROWS: emit_pad(e, i); break;
	case OP_ATTENTION: emit_attention(e, i); break;
	case OP_KV_ATTENTION: emit_kv_attention(e, i); break;
	case OP_CACHE_ATTENTION: emit_cache_attention(e, i); break;
	case OP_CACHE_WRITE: emit_cache_write(e, i, n->inputs[0], n->inputs[1], n->inputs[2], n->inputs[3], n->inputs[4]); break;
	case OP_LSTM: case OP_GRU: emit_recurrent(e, i); break;
	case OP_LSTM_CELL: emit_lstm_cell(e, i); break;
	case OP_PROBS: case OP_LSTM_LAST: finish(e, i); break;
	default: emit_simple(e, i);
	}
}

static int wanted(const emitter *e, int i) {
	int any = e->want[i] || e->want[e->fuse[i].final];
	for (int k = 0; k < 2; k++)
		any |= e->second_of[2 * i + k] >= 0 && e->want[e->second_of[2 * i + k]];
	return any || node_of(e, i)->op == OP_INPUT || nn_is_state(node_of(e, i)->op);
}

int nn_plan_emit(nn_plan *plan, nn_pack *pack, char *err) {
	size_t n = (size_t)plan->graph->count + 1;
	emitter e = { .plan = plan, .pack = pack, .err = err, .result = SN_OK, .count = plan->graph->count };
	e.uses = calloc(n, sizeof *e.uses);
	e.user = calloc(n, sizeof *e.user);
	e.absorbed = malloc(n * sizeof *e.absorbed);
	e.second_of = malloc(2 * n * sizeof *e.second_of);
	e.want = calloc(n, 1);
	e.fuse = calloc(n, sizeof *e.fuse);
	e.pre_scaled = calloc(n, sizeof *e.pre_scaled);
	if (!e.uses || !e.user || !e.absorbed || !e.second_of || !e.want || !e.fuse || !e.pre_scaled) {
		fail(&e);
	} else {
		memset(e.absorbed, -1, n * sizeof *e.absorbed);
		memset(e.second_of, -1, 2 * n * sizeof *e.second_of);
		memset(plan->of_node, -1, 3 * n * sizeof *plan->of_node - 2 * sizeof *plan->of_node);
		count_uses(&e);
		find_fusions(&e);
		find_wants(&e);
		/* A fused step is emitted where its last node stands: all that it reads is there by then. */
		for (int i = 0; i < e.count && e.result == SN_OK; i++) {
			int maker = e.absorbed[i];
			if (maker >= 0 && e.fuse[maker].final == i && wanted(&e, maker))
				emit_node(&e, maker);
			else if (maker < 0 && e.fuse[i].final == i && !constant(&e, i) && wanted(&e, i))
				emit_node(&e, i);
		}
	}
	free(e.uses);
	free(e.user);
	free(e.absorbed);
	free(e.second_of);
	free(e.want);
	free(e.fuse);
	free(e.pre_scaled);
	return e.result;
}
