/* The steps that are neither products nor attention, and the switch over all of them. */
#include "nn/exec.h"

#include "nn/cpu/spline.h"

#include <math.h>
#include <string.h>

static void run_unary(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *x = nn_val(p, s->in[0]), *y = nn_val(p, s->out);
	for (int64_t r = p->r0; r < p->r1; r++)
		nn_kern(p)->unary(s->act, s->param, nn_row(p, s->in[0], r), x->store, nn_row(p, s->out, r), y->store, y->cols);
}

/* first: 0 same shape, 1 one row for all, 2 one value for all. */
static void run_binary(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *y = nn_val(p, s->out);
	nn_binary_op op = nn_plan_node(p->exec->plan, s->node)->binary;
	for (int64_t r = p->r0; r < p->r1; r++)
		nn_kern(p)->binary(op, (const float *)nn_row(p, s->in[0], r), (const float *)nn_row(p, s->in[1], s->first ? 0 : r),
		                   s->first == 2 ? 1 : y->cols, nn_row(p, s->out, r), y->store, y->cols);
}

static void run_affine(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *y = nn_val(p, s->out);
	for (int64_t r = p->r0; r < p->r1; r++)
		nn_kern(p)->affine((const float *)nn_row(p, s->in[0], r), s->param, s->out_scale, nn_row(p, s->out, r), y->store, y->cols);
}

static void run_convert(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *x = nn_val(p, s->in[0]), *y = nn_val(p, s->out);
	for (int64_t r = p->r0; r < p->r1; r++)
		nn_kern(p)->convert(nn_row(p, s->in[0], r), x->store, nn_row(p, s->out, r), y->store, y->cols);
}

static void run_quantize(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *x = nn_val(p, s->in[0]), *y = nn_val(p, s->out);
	float *scales = nn_scales(p, s->out, p->r0);
	for (int64_t r = p->r0; r < p->r1; r++)
		scales[r - p->r0] = nn_kern(p)->quantize_row(nn_row(p, s->in[0], r), x->store, (uint8_t *)nn_row(p, s->out, r), y->cols);
}

static void run_norm(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *y = nn_val(p, s->out);
	const float *gamma = (const float *)nn_row(p, s->in[1], 0), *beta = (const float *)nn_row(p, s->in[2], 0);
	float *scales = y->store == NN_STORE_U8 ? nn_scales(p, s->out, p->r0) : NULL;
	for (int64_t r = p->r0; r < p->r1; r++) {
		float scale = nn_kern(p)->layer_norm((const float *)nn_row(p, s->in[0], r), gamma, beta, s->param, nn_row(p, s->out, r), y->store,
		                                     (float *)nn_scratch(p), y->cols);
		if (scales)
			scales[r - p->r0] = scale;
	}
}

static void run_gated(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *y = nn_val(p, s->out);
	for (int64_t r = p->r0; r < p->r1; r++)
		nn_kern(p)->gated_tanh((const float *)nn_row(p, s->in[0], r), nn_row(p, s->out, r), y->store, y->cols);
}

static void run_concat(const nn_part *p) {
	const nn_step *s = p->step;
	size_t a = (size_t)nn_val(p, s->in[0])->cols * sizeof(float), b = (size_t)nn_val(p, s->in[1])->cols * sizeof(float);
	for (int64_t r = p->r0; r < p->r1; r++) {
		memcpy(nn_row(p, s->out, r), nn_row(p, s->in[0], r), a);
		memcpy(nn_row(p, s->out, r) + a, nn_row(p, s->in[1], r), b);
	}
}

static void run_flip(const nn_part *p) {
	const nn_step *s = p->step;
	int64_t n = nn_val(p, s->out)->cols;
	for (int64_t r = p->r0; r < p->r1; r++) {
		const float *x = (const float *)nn_row(p, s->in[0], r);
		float *y = (float *)nn_row(p, s->out, r);
		for (int64_t c = 0; c < n; c++)
			y[c] = x[n - 1 - c];
	}
}

static void run_copy(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *y = nn_val(p, s->out);
	for (int64_t r = p->r0; r < p->r1; r++)
		memcpy(nn_row(p, s->out, r), nn_row(p, s->in[0], r), (size_t)y->cols * nn_store_size(y->store));
}

static void run_gather(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_node *table = nn_plan_node(p->exec->plan, nn_plan_node(p->exec->plan, s->node)->inputs[0]);
	const int32_t *ids = (const int32_t *)nn_row(p, s->in[1], 0);
	int64_t n = nn_val(p, s->out)->cols;
	int64_t rows = s->in[0] >= 0 ? p->exec->rows[s->in[0]] : table->dims[0].add;
	for (int64_t r = p->r0; r < p->r1; r++) {
		float *y = (float *)nn_row(p, s->out, r);
		int64_t id = ids[r] < 0 || ids[r] >= rows ? 0 : ids[r]; /* callers check; memory stays safe all the same */
		if (s->in[0] >= 0)
			memcpy(y, nn_row(p, s->in[0], id), (size_t)n * sizeof *y);
		else if (table->op == OP_WEIGHT)
			sn_weight_floats(table->weight, id * n, n, y);
		else
			memcpy(y, table->values + id * n, (size_t)n * sizeof *y);
	}
}

/* The row of x[rows] that padded row t shows, -1 for zeros. Mirrored rows bounce as often as it takes. */
static int64_t padded_row(nn_pad how, int64_t t, int64_t rows) {
	if (t >= 0 && t < rows)
		return t;
	if (how == NN_PAD_ZERO)
		return -1;
	if (how == NN_PAD_REPEAT || rows == 1)
		return t < 0 ? 0 : rows - 1;
	int64_t period = 2 * (rows - 1), at = t % period;
	at += at < 0 ? period : 0;
	return at < rows ? at : period - at;
}

static void run_pad(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_value *y = nn_val(p, s->out);
	const nn_node *n = nn_plan_node(p->exec->plan, s->node);
	size_t bytes = (size_t)y->cols * nn_store_size(y->store);
	for (int64_t r = p->r0; r < p->r1; r++) {
		int64_t from = padded_row(n->pad, r - n->conv.pad_left, p->exec->rows[s->in[0]]);
		if (from < 0)
			memset(nn_row(p, s->out, r), 0, bytes);
		else
			memcpy(nn_row(p, s->out, r), nn_row(p, s->in[0], from), bytes);
	}
}

/* Row r is the patch of image position (r / Wo, r % Wo). */
static void run_unfold(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_unfolding u = nn_plan_node(p->exec->plan, s->node)->unfold;
	int64_t high = nn_now(p, s->in[0], 0), wide = nn_now(p, s->in[0], 1), cols = nn_val(p, s->in[0])->cols, across = nn_now(p, s->out, 1);
	for (int64_t r = p->r0; r < p->r1; r++) {
		float *to = (float *)nn_row(p, s->out, r);
		for (int i = 0; i < u.kh; i++)
			for (int j = 0; j < u.kw; j++, to += cols) {
				int64_t h = r / across * u.stride_h + i - u.pad_h, w = r % across * u.stride_w + j - u.pad_w;
				if (h >= 0 && h < high && w >= 0 && w < wide)
					memcpy(to, nn_row(p, s->in[0], h * wide + w), (size_t)cols * sizeof *to);
				else
					memset(to, 0, (size_t)cols * sizeof *to);
			}
	}
}

/* Row r is the patch of image position (r / Wo, r % Wo); it lies inside the image. */
static void run_max_pool(const nn_part *p) {
	const nn_step *s = p->step;
	const nn_unfolding u = nn_plan_node(p->exec->plan, s->node)->unfold;
	int64_t wide = nn_now(p, s->in[0], 1), cols = nn_val(p, s->in[0])->cols, across = nn_now(p, s->out, 1);
	for (int64_t r = p->r0; r < p->r1; r++) {
		float *to = (float *)nn_row(p, s->out, r);
		for (int i = 0; i < u.kh * u.kw; i++) {
			int64_t h = r / across * u.stride_h + i / u.kw, w = r % across * u.stride_w + i % u.kw;
			const float *x = (const float *)nn_row(p, s->in[0], h * wide + w);
			for (int64_t c = 0; c < cols; c++)
				to[c] = i && to[c] >= x[c] ? to[c] : x[c];
		}
	}
}

static void run_lstm_cell(const nn_part *p) {
	const nn_step *s = p->step;
	int64_t hidden = nn_val(p, s->out)->cols;
	for (int64_t r = p->r0; r < p->r1; r++) {
		float *c = (float *)(s->out3 >= 0 ? nn_row(p, s->out3, r) : nn_scratch(p));
		memcpy(c, nn_row(p, s->in[1], r), (size_t)hidden * sizeof *c);
		nn_kern(p)->lstm_gates((const float *)nn_row(p, s->in[0], r), c, (float *)nn_row(p, s->out, r), hidden);
	}
}

static void run_spline(const nn_part *p) {
	const nn_step *s = p->step;
	for (int64_t r = p->r0; r < p->r1; r++)
		nn_spline_inverse_row((const float *)nn_row(p, s->in[1], r), (int)s->first, s->param, *(const float *)nn_row(p, s->in[0], r),
		                      (float *)nn_row(p, s->out, r));
}

static void run_depthwise(const nn_part *p) {
	const nn_step *s = p->step;
	nn_kern(p)->depthwise((const float *)nn_row(p, s->in[0], 0), nn_now(p, s->in[0], 0), s->n, s->packed, s->bias, s->taps, s->stride,
	                      s->dilation, s->pad, (float *)nn_row(p, s->out, 0), p->r0, p->r1);
}

/* ---- steps that are a region of their own ---- */

/* in: gates of the input [T, 4H], h0, c0; packed: w_hh [4H, H]. */
static void run_lstm(const nn_part *p) {
	const nn_step *s = p->step;
	int64_t rows = p->exec->rows[s->in[0]], hidden = s->k;
	float *gates = (float *)nn_scratch(p), *h = gates + s->n, *c = h + hidden;
	memcpy(h, nn_row(p, s->in[1], 0), (size_t)hidden * sizeof *h);
	memcpy(c, nn_row(p, s->in[2], 0), (size_t)hidden * sizeof *c);
	for (int64_t t = 0; t < rows; t++) {
		nn_gemm step = { .m = 1, .n = s->n, .k = hidden, .taps = 1, .a = h, .row_bytes = hidden * 4, .b = s->packed, .bias = s->bias,
				 .residual = (const float *)nn_row(p, s->in[0], t), .residual_stride = s->n, .out_scale = 1, .c = gates,
				 .c_store = NN_STORE_F32, .c_stride = s->n };
		s->family->run(&step);
		nn_kern(p)->lstm_gates(gates, c, h, hidden);
		memcpy(nn_row(p, s->out, t), h, (size_t)hidden * sizeof *h);
	}
	if (s->out2 >= 0)
		memcpy(nn_row(p, s->out2, 0), h, (size_t)hidden * sizeof *h);
	if (s->out3 >= 0)
		memcpy(nn_row(p, s->out3, 0), c, (size_t)hidden * sizeof *c);
}

/* in: gates of the input [T, 3H], h0; packed: w_hh [3H, H]. */
static void run_gru(const nn_part *p) {
	const nn_step *s = p->step;
	int64_t rows = p->exec->rows[s->in[0]], hidden = s->k;
	float *gates = (float *)nn_scratch(p), *h = gates + s->n;
	memcpy(h, nn_row(p, s->in[1], 0), (size_t)hidden * sizeof *h);
	for (int64_t t = 0; t < rows; t++) {
		nn_gemm step = { .m = 1, .n = s->n, .k = hidden, .taps = 1, .a = h, .row_bytes = hidden * 4, .b = s->packed, .bias = s->bias,
				 .out_scale = 1, .c = gates, .c_store = NN_STORE_F32, .c_stride = s->n };
		s->family->run(&step);
		nn_kern(p)->gru_gates((const float *)nn_row(p, s->in[0], t), gates, h, hidden);
		memcpy(nn_row(p, s->out, t), h, (size_t)hidden * sizeof *h);
	}
	if (s->out2 >= 0)
		memcpy(nn_row(p, s->out2, 0), h, (size_t)hidden * sizeof *h);
}

/* ---- steps over all rows of columns [n0, n1), at most NN_STRIP_COLS of them ---- */

static void add_rows(const nn_part *p, double *sum) {
	int64_t rows = p->exec->rows[p->step->in[0]], n = p->n1 - p->n0;
	memset(sum, 0, (size_t)n * sizeof *sum);
	for (int64_t r = 0; r < rows; r++) {
		const float *x = (const float *)nn_row(p, p->step->in[0], r) + p->n0;
		for (int64_t c = 0; c < n; c++)
			sum[c] += (double)x[c];
	}
}

static void largest_of_rows(const nn_part *p, float *most) {
	int64_t rows = p->exec->rows[p->step->in[0]], n = p->n1 - p->n0;
	memcpy(most, (const float *)nn_row(p, p->step->in[0], 0) + p->n0, (size_t)n * sizeof *most);
	for (int64_t r = 1; r < rows; r++) {
		const float *x = (const float *)nn_row(p, p->step->in[0], r) + p->n0;
		for (int64_t c = 0; c < n; c++)
			most[c] = x[c] > most[c] ? x[c] : most[c];
	}
}

/* first 0: the sum, 1: the mean, 2: the largest */
static void run_sum_rows(const nn_part *p) {
	double sum[NN_STRIP_COLS];
	float *y = (float *)nn_row(p, p->step->out, 0);
	if (p->step->first == 2) {
		largest_of_rows(p, y + p->n0);
		return;
	}
	double scale = p->step->first ? 1.0 / (double)p->exec->rows[p->step->in[0]] : 1;
	add_rows(p, sum);
	for (int64_t c = p->n0; c < p->n1; c++)
		y[c] = (float)(sum[c - p->n0] * scale);
}

static void run_norm_rows(const nn_part *p) {
	const nn_step *s = p->step;
	int64_t rows = p->exec->rows[s->in[0]], n = p->n1 - p->n0;
	const nn_value *y = nn_val(p, s->out);
	const float *gamma = (const float *)nn_row(p, s->in[1], 0) + p->n0, *beta = (const float *)nn_row(p, s->in[2], 0) + p->n0;
	double sum[NN_STRIP_COLS], squares[NN_STRIP_COLS] = { 0 };
	float mean[NN_STRIP_COLS], scale[NN_STRIP_COLS], row[NN_STRIP_COLS];
	add_rows(p, sum);
	for (int64_t c = 0; c < n; c++)
		mean[c] = (float)(sum[c] / (double)rows);
	for (int64_t r = 0; r < rows; r++) {
		const float *x = (const float *)nn_row(p, s->in[0], r) + p->n0;
		for (int64_t c = 0; c < n; c++)
			squares[c] += (double)(x[c] - mean[c]) * (double)(x[c] - mean[c]);
	}
	for (int64_t c = 0; c < n; c++)
		scale[c] = gamma[c] / sqrtf((float)(squares[c] / (double)rows) + s->param);
	for (int64_t r = 0; r < rows; r++) {
		const float *x = (const float *)nn_row(p, s->in[0], r) + p->n0;
		for (int64_t c = 0; c < n; c++)
			row[c] = (x[c] - mean[c]) * scale[c] + beta[c];
		nn_kern(p)->convert(row, NN_STORE_F32, nn_row(p, s->out, r) + (size_t)p->n0 * nn_store_size(y->store), y->store, n);
	}
}

static void run_softmax_rows(const nn_part *p) {
	const nn_step *s = p->step;
	int64_t rows = p->exec->rows[s->in[0]], n = p->n1 - p->n0;
	double sum[NN_STRIP_COLS] = { 0 };
	float most[NN_STRIP_COLS];
	largest_of_rows(p, most);
	for (int64_t r = 0; r < rows; r++) {
		const float *x = (const float *)nn_row(p, s->in[0], r) + p->n0;
		float *y = (float *)nn_row(p, s->out, r) + p->n0;
		for (int64_t c = 0; c < n; c++)
			y[c] = x[c] - most[c];
		nn_kern(p)->unary(NN_EXP, 0, y, NN_STORE_F32, y, NN_STORE_F32, n);
		for (int64_t c = 0; c < n; c++)
			sum[c] += (double)y[c];
	}
	for (int64_t r = 0; r < rows; r++) {
		float *y = (float *)nn_row(p, s->out, r) + p->n0;
		for (int64_t c = 0; c < n; c++)
			y[c] = (float)(y[c] / sum[c]);
	}
}

void nn_run_step(const nn_part *p) {
	switch (p->step->kind) {
	case STEP_GEMM: nn_run_product(p); break;
	case STEP_DEPTHWISE: run_depthwise(p); break;
	case STEP_UNARY: run_unary(p); break;
	case STEP_BINARY: run_binary(p); break;
	case STEP_AFFINE: run_affine(p); break;
	case STEP_CONVERT: run_convert(p); break;
	case STEP_QUANTIZE: run_quantize(p); break;
	case STEP_NORM: run_norm(p); break;
	case STEP_GATED: run_gated(p); break;
	case STEP_CONCAT: run_concat(p); break;
	case STEP_FLIP: run_flip(p); break;
	case STEP_COPY: run_copy(p); break;
	case STEP_GATHER: run_gather(p); break;
	case STEP_PAD: run_pad(p); break;
	case STEP_UNFOLD: run_unfold(p); break;
	case STEP_MAX_POOL: run_max_pool(p); break;
	case STEP_LSTM_CELL: run_lstm_cell(p); break;
	case STEP_SPLINE: run_spline(p); break;
	case STEP_ATTENTION: case STEP_KV_ATTENTION: nn_run_attention(p); break;
	case STEP_CACHE_ATTENTION: nn_run_cache_attention(p); break;
	case STEP_ATTENTION_PACK: case STEP_KV_WRITE: nn_run_pack(p); break;
	case STEP_CACHE_WRITE: nn_run_cache_write(p); break;
	case STEP_LSTM: run_lstm(p); break;
	case STEP_GRU: run_gru(p); break;
	case STEP_NORM_ROWS: run_norm_rows(p); break;
	case STEP_SOFTMAX_ROWS: run_softmax_rows(p); break;
	case STEP_SUM_ROWS: run_sum_rows(p); break;
	}
}
