#include "models/vits_internal.h"

#include <math.h>
#include <stdio.h>

static nn_t weight(vits_recorder *r, const vits_conv *c) {
	if (c->weight) return nn_weight(r->g, c->weight, c->weight->name);
	return nn_fold_weight_norm(r->g, nn_weight(r->g, c->norm_g, c->norm_v->name), nn_weight(r->g, c->norm_v, c->norm_v->name));
}

static nn_t bias(vits_recorder *r, const vits_conv *c) {
	return c->bias ? nn_weight(r->g, c->bias, c->bias->name) : NN_NONE;
}

/* The weight of a convolution of kernel 1 as a matrix [out, in]. */
static nn_t matrix(vits_recorder *r, const vits_conv *c) {
	const nn_t w = weight(r, c);
	return nn_rank(r->g, w) == 2 ? w : nn_reshape(r->g, w, 2, (nn_dim[]){ nn_fix(c->out), nn_fix(c->in) });
}

/* A convolution that keeps the length. x [T, in] -> [T, out] */
static nn_t conv(vits_recorder *r, const vits_conv *c, nn_t x) {
	if (c->kernel == 1 && c->groups == 1) return nn_linear(r->g, x, matrix(r, c), bias(r, c));
	const int span = (int)(c->kernel - 1) * c->dilation;
	const nn_conv shape = { .dilation = c->dilation, .groups = c->groups, .pad_left = span / 2, .pad_right = span - span / 2 };
	return nn_conv1d(r->g, x, weight(r, c), bias(r, c), shape);
}

/* A vector that a checkpoint may keep as [1, channels, 1]. */
static nn_t vector(vits_recorder *r, const sn_weight *w) {
	const nn_t t = nn_weight(r->g, w, w->name);
	return w->rank == 1 ? t : nn_reshape(r->g, t, 1, (nn_dim[]){ nn_fix(w->dims[1]) });
}

static nn_t norm(vits_recorder *r, const vits_norm *n, nn_t x, float eps) {
	return nn_layer_norm(r->g, x, vector(r, n->gamma), vector(r, n->beta), eps);
}

static nn_t add(vits_recorder *r, nn_t x, nn_t y) { return nn_binary(r->g, NN_ADD, x, y); }

/* x times `count` rows of a matrix, from `first` on. */
static nn_t part(vits_recorder *r, nn_t x, nn_t w, nn_t b, int64_t first, int64_t count) {
	return nn_linear(r->g, x, nn_fold_rows(r->g, w, first, count), b == NN_NONE ? NN_NONE : nn_fold_rows(r->g, b, first, count));
}

/* The chosen speaker's embedding [1, speaker width], NN_NONE for a model of one speaker. */
static nn_t speaker(vits_recorder *r) {
	if (!r->w->speaker_width) return NN_NONE;
	if (!r->w->speakers) return nn_input(r->g, "voice", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(r->w->speaker_width) });
	const nn_t id = nn_input(r->g, "speaker", NN_I32, 1, (nn_dim[]){ nn_fix(1) });
	return nn_gather_rows(r->g, nn_weight(r->g, r->w->speakers, r->w->speakers->name), id);
}

/* ---- text encoder ---- */

static nn_t relative(vits_recorder *r, const sn_weight *table) {
	const nn_dim dims[] = { nn_fix(2 * r->w->window + 1), nn_fix(r->w->width / r->w->heads) };
	return table ? nn_reshape(r->g, nn_weight(r->g, table, table->name), 2, dims) : NN_NONE;
}

/* Self attention and feed-forward, each normalised after its residual. */
static nn_t layer(vits_recorder *r, int i, nn_t x) {
	nn_graph *const g = r->g;
	const vits_layer *const l = &r->w->layers[i];
	const nn_attn attn = { .heads = r->w->heads, .scale = 1 / sqrtf((float)(r->w->width / r->w->heads)), .window = r->w->window,
	                       .rel_k = relative(r, l->rel_k), .rel_v = relative(r, l->rel_v) };
	nn_t probs;
	nn_t y = nn_attention(g, conv(r, &l->q, x), conv(r, &l->k, x), conv(r, &l->v, x), attn, r->debug ? &probs : NULL);
	if (r->debug) nn_name(g, probs, "text_encoder_attn_layer%d", i);
	x = norm(r, &l->norm1, add(r, conv(r, &l->o, y), x), r->s->norm_eps);
	y = nn_unary(g, r->s->act, conv(r, &l->ffn1, x), 0);
	x = norm(r, &l->norm2, add(r, conv(r, &l->ffn2, y), x), r->s->norm_eps);
	return nn_name(g, x, "text_encoder_layer%d_out", i);
}

/* ---- duration predictors ---- */

#define SEPARABLE_EPS 1e-5f

static nn_t separable(vits_recorder *r, const vits_separable *s, nn_t x, nn_t cond) {
	if (cond != NN_NONE) x = add(r, x, cond);
	for (int i = 0; i < s->depth; i++) {
		nn_t y = norm(r, &s->norm1[i], conv(r, &s->dilated[i], x), SEPARABLE_EPS);
		y = conv(r, &s->pointwise[i], nn_unary(r->g, NN_GELU, y, 0));
		y = norm(r, &s->norm2[i], y, SEPARABLE_EPS);
		x = add(r, nn_unary(r->g, NN_GELU, y, 0), x);
	}
	return x;
}

/* Widths and heights divided by sqrt(width), derivatives as they are. */
static nn_t spline_params(vits_recorder *r, const vits_spline *f, nn_t x) {
	const int64_t count = f->proj.out, bins = (count + 1) / 3;
	float scale[192];
	for (int64_t i = 0; i < count; i++) scale[i] = i < 2 * bins ? 1 / sqrtf((float)f->proj.in) : 1;
	return nn_binary(r->g, NN_MUL, conv(r, &f->proj, x), nn_const(r->g, "spline.scale", 1, (int64_t[]){ count }, scale));
}

/* noise [tokens, 2] through the flows backwards; each flow but the last swaps the channels first, so only the columns' names change. */
static nn_t stochastic(vits_recorder *r, nn_t x, nn_t voice, nn_t language, nn_dim tokens) {
	nn_graph *const g = r->g;
	const nn_t noise = nn_input(g, "noise", NN_F32, 2, (nn_dim[]){ tokens, nn_fix(2) });
	nn_t a = nn_slice_cols(g, noise, 0, 1), b = nn_slice_cols(g, noise, 1, 1);
	x = conv(r, &r->w->duration.pre, x);
	if (voice != NN_NONE) x = add(r, x, conv(r, &r->w->duration.cond, voice));
	if (language != NN_NONE) x = add(r, x, conv(r, &r->w->duration.cond_language, language));
	x = conv(r, &r->w->duration.proj, separable(r, &r->w->duration.separable, x, NN_NONE));
	for (int i = 0; i < r->w->spline_count; i++) {
		const vits_spline *const f = &r->w->duration.splines[i];
		const nn_t kept = b, h = separable(r, &f->separable, conv(r, &f->pre, kept), x);
		b = nn_spline_inverse(g, a, spline_params(r, f, h), (int)(f->proj.out + 1) / 3, r->s->tail_bound);
		a = kept;
	}
	const nn_t centred = nn_affine(g, b, 1, -r->w->duration.translate);
	return nn_affine(g, centred, r->w->duration.scale, 0);
}

static nn_t deterministic(vits_recorder *r, nn_t x, nn_t voice, nn_t language) {
	if (voice != NN_NONE) x = add(r, x, conv(r, &r->w->duration.cond, voice));
	if (language != NN_NONE) x = add(r, x, conv(r, &r->w->duration.cond_language, language));
	x = norm(r, &r->w->duration.norm1, nn_unary(r->g, NN_RELU, conv(r, &r->w->duration.conv1, x), 0), r->s->duration_eps);
	x = norm(r, &r->w->duration.norm2, nn_unary(r->g, NN_RELU, conv(r, &r->w->duration.conv2, x), 0), r->s->duration_eps);
	return conv(r, &r->w->duration.proj, x);
}

void vits_record_text(vits_recorder *r) {
	nn_graph *const g = r->g;
	const vits_weights *const w = r->w;
	const nn_dim tokens = nn_symbol(g, "tokens", SN_VITS_MAX_TOKENS);
	const nn_t ids = nn_input(g, "ids", NN_I32, 1, &tokens), voice = w->duration.cond.out ? speaker(r) : NN_NONE;
	nn_t x = nn_gather_rows(g, nn_weight(g, w->embedding, w->embedding->name), ids), language = NN_NONE;
	x = nn_affine(g, x, sqrtf((float)(w->width - w->language_width)), 0);
	if (w->languages) {
		language = nn_gather_rows(g, nn_weight(g, w->languages, w->languages->name), nn_input(g, "language", NN_I32, 1, &tokens));
		x = nn_concat_cols(g, x, language);
	}
	nn_name(g, x, "text_encoder_embed");
	for (int i = 0; i < w->layer_count; i++) x = layer(r, i, x);
	nn_output(g, x, "text_encoder_out");
	const nn_t project = matrix(r, &w->project), project_b = bias(r, &w->project);
	nn_output(g, part(r, x, project, project_b, 0, 2 * w->half), "prior_means");
	nn_output(g, part(r, x, project, project_b, 2 * w->half, 2 * w->half), "prior_log_variances");
	x = w->stochastic ? stochastic(r, x, voice, language, tokens) : deterministic(r, x, voice, language);
	nn_output(g, x, "log_duration");
}

/* ---- flow ---- */

/* One dilated layer of a coupling: *h gets the residual, *out gathers the skips. */
static void wavenet_layer(vits_recorder *r, const vits_coupling *f, int i, nn_t cond, nn_t *h, nn_t *out) {
	nn_graph *const g = r->g;
	const int64_t width = f->pre.out;
	nn_t a = conv(r, &f->in[i], *h);
	if (cond != NN_NONE) a = add(r, a, nn_slice_cols(g, cond, 2 * width * i, 2 * width));
	a = nn_gated_tanh(g, a);
	const nn_t w = matrix(r, &f->skip[i]), b = bias(r, &f->skip[i]);
	const int last = i + 1 == f->depth;
	if (!last) *h = add(r, part(r, a, w, b, 0, width), *h);
	const nn_t skip = last ? nn_linear(g, a, w, b) : part(r, a, w, b, width, width);
	*out = *out == NN_NONE ? skip : add(r, skip, *out);
}

/* Backwards, a coupling subtracts from one half a mean computed from the other. Channels are reversed before each, which turns the
 * halves about as well. */
void vits_record_flow(vits_recorder *r) {
	nn_graph *const g = r->g;
	const int half = r->w->half;
	const nn_dim frames = nn_symbol(g, "frames", SN_VITS_MAX_FRAMES);
	const nn_t z = nn_input(g, "z", NN_F32, 2, (nn_dim[]){ frames, nn_fix(2 * half) }), voice = speaker(r);
	nn_t first = nn_slice_cols(g, z, 0, half), second = nn_slice_cols(g, z, half, half);
	for (int i = 0; i < r->w->flow_count; i++) {
		const vits_coupling *const f = &r->w->flows[i];
		const nn_t cond = voice == NN_NONE ? NN_NONE : conv(r, &f->cond, voice), kept = nn_flip_cols(g, second);
		nn_t h = conv(r, &f->pre, kept), out = NN_NONE;
		for (int j = 0; j < f->depth; j++) wavenet_layer(r, f, j, cond, &h, &out);
		second = nn_binary(g, NN_SUB, nn_flip_cols(g, first), conv(r, &f->post, out));
		first = kept;
	}
	nn_output(g, nn_concat_cols(g, first, second), "z");
}

/* ---- decoder ---- */

static nn_t leaky(vits_recorder *r, nn_t x, float slope) { return nn_unary(r->g, NN_LEAKY_RELU, x, slope); }

static nn_t block(vits_recorder *r, const vits_block *k, nn_t x) {
	for (int i = 0; i < k->depth; i++) {
		nn_t y = conv(r, &k->first[i], leaky(r, x, r->s->slope));
		if (k->two) y = conv(r, &k->second[i], leaky(r, y, r->s->slope));
		x = add(r, y, x);
	}
	return x;
}

#define FINAL_SLOPE 0.01f /* the reference leaves the last activation at its library's default */

void vits_record_stage(vits_recorder *r, int index, int64_t most) {
	nn_graph *const g = r->g;
	const vits_weights *const w = r->w;
	const vits_stage *const stage = &w->stages[index];
	const vits_conv *const up = &stage->up;
	const nn_dim rows = nn_symbol(g, "rows", most);
	nn_t x = nn_input(g, "x", NN_F32, 2, (nn_dim[]){ rows, nn_fix(index ? up->in : 2 * w->half) });
	if (index == 0) {
		const nn_t voice = speaker(r);
		x = conv(r, &w->conv_pre, x);
		if (voice != NN_NONE) x = add(r, x, conv(r, &w->decoder_cond, voice));
	}
	x = nn_conv_transpose1d(g, leaky(r, x, r->s->slope), weight(r, up), bias(r, up), up->stride, (int)(up->kernel - up->stride) / 2);
	nn_t sum = NN_NONE;
	for (int i = 0; i < w->kernel_count; i++) {
		const nn_t y = block(r, &stage->blocks[i], x);
		sum = i ? add(r, sum, y) : y;
	}
	x = nn_affine(g, sum, 1.0f / (float)w->kernel_count, 0);
	if (index + 1 == w->stage_count) x = nn_unary(g, NN_TANH, conv(r, &w->conv_post, leaky(r, x, FINAL_SLOPE)), 0);
	nn_output(g, x, "y");
}

/* Rows on each side that a convolution of odd kernel reaches. */
static int64_t side(const vits_conv *c) { return (c->kernel - 1) / 2 * c->dilation; }

static int64_t reach(const vits_block *k) {
	int64_t rows = 0;
	for (int i = 0; i < k->depth; i++) {
		rows += side(&k->first[i]);
		if (k->two) rows += side(&k->second[i]);
	}
	return rows;
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

void vits_stage_needs(const vits_weights *w, int index, int64_t first, int64_t last, int64_t *in_first, int64_t *in_last) {
	const vits_stage *const stage = &w->stages[index];
	const int64_t kernel = stage->up.kernel, stride = stage->up.stride, pad = (kernel - stride) / 2;
	int64_t rows = index + 1 == w->stage_count ? side(&w->conv_post) : 0, most = 0;
	for (int i = 0; i < w->kernel_count; i++) most = reach(&stage->blocks[i]) > most ? reach(&stage->blocks[i]) : most;
	rows += most;
	/* Output row t of the upsampling is made of inputs j with t = j * stride - pad + m, 0 <= m < kernel. */
	const int64_t before = index ? 0 : side(&w->conv_pre);
	*in_first = floor_div(first - rows + pad - kernel + stride, stride) - before;
	*in_last = floor_div(last - 1 + rows + pad, stride) + 1 + before;
}
