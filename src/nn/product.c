/* Linear layers and convolutions as products over rows. */
#include "nn/exec.h"

#include <string.h>

/* A convolution's geometry at the present extents. Row r of the output is (batch r / out, time r % out). */
typedef struct geometry {
	int64_t in, out;      /* time extents */
	int64_t kernel, step; /* input rows an output row touches, and between them */
	int64_t low, high;    /* output times [low, high) read no padding */
} geometry;

static geometry conv_geometry(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *x = nn_val(p, s->in[0]), *y = nn_val(p, s->out);
	geometry g = { .in = nn_now(p, s->in[0], x->rank - 2), .out = nn_now(p, s->out, y->rank - 2), .step = s->dilation };
	g.kernel = s->taps > 1 ? s->taps : s->k * s->groups / x->cols;
	int64_t last = g.in - 1 - (g.kernel - 1) * g.step + s->pad;
	g.low = (s->pad + s->stride - 1) / s->stride;
	g.high = last < 0 ? 0 : last / s->stride + 1;
	if (g.low > g.out)
		g.low = g.out;
	if (g.high < g.low)
		g.high = g.low;
	if (g.high > g.out)
		g.high = g.out;
	return g;
}

/* The product of rows [r, r + m) whose left sides begin at `a`. */
static void multiply(const nn_part *p, int64_t r, int64_t m, const char *a, int64_t row_bytes, int64_t tap_bytes, int64_t group_bytes) {
	const nn_step *s = p->step;
	const nn_value *c = nn_val(p, s->out), *c2 = s->out2 >= 0 ? nn_val(p, s->out2) : NULL;
	int64_t per_group = s->n / s->groups;
	size_t group_size = (nn_packed_size(s->family, per_group, s->k, s->taps) + NN_ALIGN - 1) / NN_ALIGN * NN_ALIGN;
	for (int g = 0; g < s->groups; g++) {
		int64_t n0 = s->groups > 1 ? g * per_group : p->n0, n1 = s->groups > 1 ? n0 + per_group : p->n1;
		nn_gemm gemm = {
			.m = m, .n = n1 - n0, .k = s->k, .taps = s->taps, .a = a + g * group_bytes, .row_bytes = row_bytes, .tap_bytes = tap_bytes,
			.b = (const char *)s->packed + (s->groups > 1 ? (size_t)g * group_size : nn_packed_size(s->family, n0, s->k, s->taps)),
			.act = s->act, .act_param = s->param, .out_scale = s->out_scale,
			.c = nn_row(p, s->out, r) + (size_t)n0 * nn_store_size(c->store), .c_store = c->store, .c_stride = c->stride,
		};
		if (s->scale) {
			gemm.a_scale = nn_scales(p, s->in[0], r);
			gemm.b_scale = s->scale + n0;
			gemm.b_colsum = s->colsum + n0;
		}
		if (s->bias)
			gemm.bias = s->bias + n0;
		if (s->residual >= 0) {
			gemm.residual = (const float *)nn_row(p, s->residual, r) + n0;
			gemm.residual_stride = nn_val(p, s->residual)->stride;
		}
		if (c2) {
			gemm.c2 = nn_row(p, s->out2, r) + (size_t)n0 * nn_store_size(c2->store);
			gemm.c2_store = c2->store;
			gemm.c2_stride = c2->stride;
			gemm.act2 = s->act2;
			gemm.act2_param = s->param2;
		}
		s->family->run(&gemm);
	}
}

/* Copies what output rows [r, r + m) read, padding as zeros, to scratch as [m][kernel][columns]. */
static void gather_rows(const nn_part *p, const geometry *g, int64_t r, int64_t m, char *to) {
	const nn_step *s = p->step;
	const nn_value *x = nn_val(p, s->in[0]);
	size_t bytes = (size_t)x->cols * nn_store_size(x->store);
	for (int64_t i = 0; i < m; i++) {
		int64_t batch = (r + i) / g->out, first = (r + i) % g->out * s->stride - s->pad;
		for (int64_t j = 0; j < g->kernel; j++, to += bytes) {
			int64_t t = first + j * g->step;
			if (t >= 0 && t < g->in)
				memcpy(to, nn_row(p, s->in[0], batch * g->in + t), bytes);
			else
				memset(to, 0, bytes);
		}
	}
}

/* How many rows from r on can be read in place: same batch item, no padding. */
static int64_t run_length(const geometry *g, int64_t r, int64_t end) {
	int64_t t = r % g->out, stop = r - t + g->high;
	return t < g->low || stop <= r ? 0 : (stop < end ? stop : end) - r;
}

void nn_run_product(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *x = nn_val(p, s->in[0]);
	int64_t size = (int64_t)nn_store_size(x->store);
	if (!(s->whole & 1)) {
		multiply(p, p->r0, p->r1 - p->r0, nn_row(p, s->in[0], p->r0), x->stride * size, 0, 0);
		return;
	}
	geometry g = conv_geometry(p);
	int64_t group = x->cols / s->groups * size;
	for (int64_t r = p->r0; r < p->r1;) {
		int64_t m = run_length(&g, r, p->r1);
		if (m >= NN_GATHER_ROWS || (m && r + m == p->r1 && g.out > NN_GATHER_ROWS)) {
			int64_t at = r / g.out * g.in + r % g.out * s->stride - s->pad;
			multiply(p, r, m, nn_row(p, s->in[0], at), s->stride * x->stride * size, s->dilation * x->stride * size, group);
		} else {
			m = p->r1 - r < NN_GATHER_ROWS ? p->r1 - r : NN_GATHER_ROWS;
			for (int64_t i = 1; i < m; i++) /* stop where a long run begins */
				if (run_length(&g, r + i, p->r1) >= NN_GATHER_ROWS)
					m = i;
			char *rows = nn_scratch(p);
			gather_rows(p, &g, r, m, rows);
			multiply(p, r, m, rows, g.kernel * x->cols * size, x->cols * size, group);
		}
		r += m;
	}
}
