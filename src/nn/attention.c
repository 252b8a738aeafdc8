/* Attention: packed keys and values, then for blocks of query rows scores = q k^T, their softmax, and the weighted values.
 * Per head the packed form is keys [S x head] as columns, then values [head x S], as the product family wants its right sides. */
#include "nn/exec.h"

#include <string.h>

/* Behind all entries of a kv state: how many keys each holds, int32 [slots]; 0 before the first writing reads as all. */
static int32_t *kv_lengths(const nn_part *p, int state, const nn_gemm_family *f) {
	const nn_value *v = nn_val(p, state);
	const int64_t heads = nn_plan_node(p->exec->plan, v->node)->first;
	const size_t entry = nn_packed_head(f, v->dims[1].add, v->cols / heads) * (size_t)heads;
	return (int32_t *)(void *)(nn_row(p, state, 0) + entry * (size_t)v->dims[0].add);
}

void nn_run_pack(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_gemm_family *f = s->family;
	const nn_value *k = nn_val(p, s->in[0]), *v = nn_val(p, s->in[1]), *state = nn_val(p, s->out);
	int kv = s->kind == STEP_KV_WRITE;
	int64_t heads = kv ? nn_plan_node(p->exec->plan, state->node)->first : s->attn.heads;
	int64_t head = k->cols / heads, length = nn_now(p, s->in[0], 0);
	size_t bytes = nn_packed_head(f, kv ? state->dims[1].add : length, head);
	char *base = nn_row(p, s->out, 0);
	if (kv) {
		const int32_t slot = *(const int32_t *)nn_row(p, s->in[2], 0);
		base += (size_t)slot * (size_t)heads * bytes;
		if (p->n0 == 0)
			kv_lengths(p, s->out, f)[slot] = (int32_t)length;
	}
	size_t size = nn_store_size(k->store);
	for (int64_t h = p->n0; h < p->n1; h++) {
		char *at = base + (size_t)h * bytes;
		nn_kern(p)->pack_keys(f, nn_row(p, s->in[0], 0) + (size_t)(h * head) * size, k->store, length, head, k->stride, at);
		at += nn_packed_size(f, length, head, 1);
		nn_kern(p)->pack_values(f, nn_row(p, s->in[1], 0) + (size_t)(h * head) * size, v->store, length, head, v->stride, at);
	}
}

typedef struct block {
	int64_t r, m, h, head; /* query rows, head, its width */
	int64_t length, most;  /* keys; those that an entry has room for */
	const char *packed;
	float *scores; /* [m][ld] */
	char *weights; /* [m][ld] of the family's elements; the scores themselves in f32 */
	int64_t ld;
	float *more; /* products with relative positions, behind the scores */
	float inverse[NN_ATTN_ROWS];
} block;

static int64_t clamped(int64_t x, int64_t least, int64_t most) { return x < least ? least : x > most ? most : x; }

/* scores[i, j] += scale * q[i] . rel_k[j - i + window] for |j - i| <= window; with rel_clip for all j, the window's ends standing
 * for what lies beyond. */
static void add_relative_keys(const nn_part *p, const block *b) {
	const nn_step *s = p->step;
	const int64_t w = s->attn.window;
	float *const products = b->more; /* of one query row with each relative position */
	for (int64_t i = 0; i < b->m; i++) {
		const float *row = (const float *)nn_row(p, s->in[0], b->r + i) + b->h * b->head;
		const int64_t at = b->r + i, low = clamped(-at, -w, w), high = clamped(b->length - 1 - at, -w, w);
		for (int64_t o = low; o <= high; o++) {
			const float *rel = (const float *)nn_row(p, s->in[3], 0) + (o + w) * b->head;
			float sum = 0;
			for (int64_t c = 0; c < b->head; c++)
				sum += row[c] * rel[c];
			products[o + w] = s->attn.scale * sum;
		}
		const int64_t first = s->attn.rel_clip ? 0 : clamped(at - w, 0, b->length);
		const int64_t end = s->attn.rel_clip ? b->length : clamped(at + w + 1, 0, b->length);
		for (int64_t j = first; j < end; j++)
			b->scores[i * b->ld + j] += products[clamped(j - at, -w, w) + w];
	}
}

/* scores[i, j] += scale * q2[i] . pos[T-1 - (i - j)]: one product of the block's rows with all positions that they reach, then
 * each row reads its own window of T. */
static void add_shifted_positions(const nn_part *p, const block *b) {
	const nn_step *s = p->step;
	const nn_gemm_family *f = s->family;
	const nn_value *q = nn_val(p, s->in[5]);
	const int64_t low = (b->length - b->r - b->m) / f->nr * f->nr, high = 2 * b->length - 1 - b->r; /* positions [low, high) */
	const int64_t stride = nn_shifted_stride(f, b->length);
	const size_t bytes = nn_packed_head(f, 2 * b->length - 1, b->head);
	float *const products = b->more;
	nn_gemm gemm = { .m = b->m, .n = high - low, .k = b->head, .taps = 1, .a = nn_row(p, s->in[5], b->r) + b->h * b->head * 4,
			 .row_bytes = q->stride * 4, .b = nn_row(p, s->in[6], 0) + (size_t)b->h * bytes + nn_packed_size(f, low, b->head, 1),
			 .out_scale = s->attn.scale, .c = products, .c_store = NN_STORE_F32, .c_stride = stride };
	f->run(&gemm);
	for (int64_t i = 0; i < b->m; i++) {
		const float *from = products + i * stride + (b->length - 1 - b->r - i - low);
		float *const to = b->scores + i * b->ld;
		nn_kern(p)->binary(NN_ADD, to, from, b->length, to, NN_STORE_F32, b->length);
	}
}

/* out[i] += sum over |j - i| <= window of weight[i, j] * rel_v[j - i + window] */
static void add_relative_values(const nn_part *p, const block *b) {
	const nn_step *s = p->step;
	int64_t w = s->attn.window;
	for (int64_t i = 0; i < b->m; i++) {
		float *row = (float *)nn_row(p, s->out, b->r + i) + b->h * b->head;
		for (int64_t o = -w; o <= w; o++) {
			int64_t j = b->r + i + o;
			if (j < 0 || j >= b->length)
				continue;
			const float *rel = (const float *)nn_row(p, s->in[4], 0) + (o + w) * b->head;
			float weight = b->scores[i * b->ld + j] * b->inverse[i];
			for (int64_t c = 0; c < b->head; c++)
				row[c] += weight * rel[c];
		}
	}
}

static void store_probs(const nn_part *p, const block *b) {
	const nn_step *s = p->step;
	int64_t rows = p->exec->rows[s->out];
	nn_store store = s->family->element == 4 ? NN_STORE_F32 : NN_STORE_BF16;
	for (int64_t i = 0; i < b->m; i++) {
		float *to = (float *)nn_row(p, s->out2, 0) + (b->h * rows + b->r + i) * b->most;
		nn_kern(p)->convert(b->weights + (size_t)(i * b->ld) * nn_store_size(store), store, to, NN_STORE_F32, b->length);
		nn_kern(p)->affine(to, b->inverse[i], 0, to, NN_STORE_F32, b->length);
		memset(to + b->length, 0, (size_t)(b->most - b->length) * sizeof *to);
	}
}

static void attend(const nn_part *p, block *b) {
	const nn_step *s = p->step;
	const nn_gemm_family *f = s->family;
	const nn_value *q = nn_val(p, s->in[0]), *out = nn_val(p, s->out);
	int64_t size = (int64_t)nn_store_size(q->store);
	nn_store store = f->element == 4 ? NN_STORE_F32 : NN_STORE_BF16;
	nn_gemm score = { .m = b->m, .n = b->length, .k = b->head, .taps = 1, .a = nn_row(p, s->in[0], b->r) + b->h * b->head * size,
			  .row_bytes = q->stride * size, .b = b->packed, .out_scale = s->attn.scale, .c = b->scores, .c_store = NN_STORE_F32,
			  .c_stride = b->ld };
	f->run(&score);
	int relative = s->kind == STEP_ATTENTION && s->in[3] >= 0;
	if (relative)
		add_relative_keys(p, b);
	if (s->kind == STEP_ATTENTION && s->attn.shifted)
		add_shifted_positions(p, b);
	for (int64_t i = 0; i < b->m; i++) {
		int64_t n = s->attn.causal && b->r + i + 1 < b->length ? b->r + i + 1 : b->length;
		b->inverse[i] = nn_kern(p)->softmax_row(b->scores + i * b->ld, n, b->ld, b->weights + (size_t)(i * b->ld) * nn_store_size(store), store);
	}
	nn_gemm weigh = { .m = b->m, .n = b->head, .k = b->length, .taps = 1, .a = b->weights, .row_bytes = b->ld * (int64_t)nn_store_size(store),
			  .b = b->packed + nn_packed_size(f, b->length, b->head, 1), .row_scale = b->inverse, .out_scale = 1,
			  .c = nn_row(p, s->out, b->r) + (size_t)(b->h * b->head) * nn_store_size(out->store), .c_store = out->store,
			  .c_stride = out->stride };
	f->run(&weigh);
	if (relative && s->in[4] >= 0)
		add_relative_values(p, b);
	if (s->out2 >= 0)
		store_probs(p, b);
}

/* Rows from r on that listen to the same entry. */
static int64_t same_slot(const int32_t *slot, int64_t r, int64_t end) {
	int64_t m = 1;
	while (r + m < end && m < NN_ATTN_ROWS && slot[r + m] == slot[r])
		m++;
	return m;
}

void nn_run_attention(const nn_part *p) {
	const nn_step *s = p->step;
	int kv = s->kind == STEP_KV_ATTENTION;
	block b = { .head = nn_val(p, s->out)->cols / s->attn.heads };
	b.length = b.most = kv ? nn_now(p, s->in[1], 1) : nn_now(p, s->in[2], 0);
	b.ld = (b.length + 31) / 32 * 32 + 16; /* not a multiple of a page: rows of a block fall on different cache sets */
	b.scores = (float *)nn_scratch(p);
	b.weights = s->family->element == 4 ? (char *)b.scores : (char *)(b.scores + NN_ATTN_ROWS * b.ld);
	b.more = b.scores + (s->family->element == 4 ? 1 : 2) * NN_ATTN_ROWS * b.ld;
	size_t bytes = nn_packed_head(s->family, b.length, b.head);
	const int32_t *slot = kv ? (const int32_t *)nn_row(p, s->in[2], 0) : NULL;
	for (b.r = p->r0; b.r < p->r1; b.r += b.m) {
		b.m = kv ? same_slot(slot, b.r, p->r1) : p->r1 - b.r < NN_ATTN_ROWS ? p->r1 - b.r : NN_ATTN_ROWS;
		if (kv) {
			const int32_t length = kv_lengths(p, s->in[1], s->family)[slot[b.r]];
			b.length = length ? length : b.most;
		}
		const char *base = nn_row(p, s->in[1], 0) + (kv ? (size_t)slot[b.r] * (size_t)s->attn.heads * bytes : 0);
		for (b.h = p->n0; b.h < p->n1; b.h++) {
			b.packed = base + (size_t)b.h * bytes;
			attend(p, &b);
		}
	}
}

/* ---- growing caches ---- */

void nn_run_cache_write(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *state = nn_val(p, s->out);
	int64_t slots = state->dims[0].add, length = state->dims[1].add, width = state->cols, rows = p->exec->rows[s->in[0]];
	const int32_t *slot = (const int32_t *)nn_row(p, s->in[2], 0), *position = (const int32_t *)nn_row(p, s->in[3], 0);
	size_t size = nn_store_size(state->store);
	char *keys = nn_row(p, s->out, 0), *values = keys + (size_t)(slots * length * width) * size;
	for (int64_t r = 0; r < rows; r++) {
		size_t at = (size_t)((slot[r] * length + position[r]) * width) * size;
		nn_kern(p)->convert(nn_row(p, s->in[0], r), NN_STORE_F32, keys + at, state->store, width);
		nn_kern(p)->convert(nn_row(p, s->in[1], r), NN_STORE_F32, values + at, state->store, width);
	}
}

void nn_run_cache_attention(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *state = nn_val(p, s->in[1]), *out = nn_val(p, s->out);
	int64_t slots = state->dims[0].add, length = state->dims[1].add, width = state->cols, rows = p->exec->rows[s->out];
	const int32_t *position = (const int32_t *)nn_row(p, s->in[2], 0);
	int64_t size = width / s->attn.heads, first = p->n0 * size; /* this share's heads */
	const char *keys = nn_row(p, s->in[1], 0), *values = keys + (size_t)(slots * length * width) * nn_store_size(state->store);
	keys += (size_t)first * nn_store_size(state->store);
	values += (size_t)first * nn_store_size(state->store);
	for (int64_t r = p->r0; r < p->r1; r++) {
		float *probs = s->out2 >= 0 ? (float *)nn_row(p, s->out2, 0) + (p->n0 * rows + r) * length : NULL;
		for (int64_t h = 0; probs && h < p->n1 - p->n0; h++)
			memset(probs + h * rows * length, 0, (size_t)length * sizeof(float));
		nn_kern(p)->cache_attention((const float *)nn_row(p, s->in[0], r) + first, keys, values, state->store,
		                            (const int32_t *)nn_row(p, s->in[3], r), length * width, width, size, (int)(p->n1 - p->n0),
		                            position[r] + 1, s->attn.scale, (float *)nn_scratch(p), probs, rows * length,
		                            nn_row(p, s->out, r) + (size_t)first * nn_store_size(out->store), out->store);
	}
}
