#include "models/dnsmos.h"

#include "models/dnsmos_mel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 160     /* samples between spectra, half a spectrum's window */
#define BINS 161
#define FRAMES 900    /* spectra of a window */
#define PAIRS 450     /* rows after the first pooling, each of two spectra */
#define EDGE 2        /* of those at either end, which see the zeros around the window */
#define STRIP 25      /* most pairs computed at once */
#define REACH 4       /* spectra that the four convolutions before the pooling see on either side */
#define WIDTH 80      /* columns after the first pooling */
#define CHANNELS 32
#define ROW (WIDTH * CHANNELS)
#define MEL_FRAMES 90 /* mel frames computed at once */

/* The parts of the network for P.835: what comes before the first pooling, inside the window and at its two ends, and the rest. */
enum { INSIDE, TOP, BOTTOM, TAIL, PARTS };

typedef struct part {
	nn_plan *plan;
	nn_exec *exec;
} part;

typedef struct net {
	sn_weights *weights;
	part parts[PARTS];
} net;

struct sn_dnsmos {
	nn_pool *pool;
	nn_backend *backend;
	nn_exports *exports;
	sn_dnsmos_mel *mel;
	net nets[2];          /* plain; personalised, which may be absent: weights NULL */
	sn_weights *p808_weights;
	part p808;
	int64_t parameters;
	int debug;
};

/* Where a stream is in its window: mel frames, the P.808 network, then for each net strips and tail. */
typedef enum stage { MEL, P808, STRIPS, TAILS, DONE } stage;

struct sn_dnsmos_stream {
	const float *window;
	int64_t second;
	int nets;             /* 1, or 2 when personalised */
	int running;          /* an exec is in the middle of its run */
	stage stage;
	int net, kind;        /* that are being computed; kind: INSIDE until all pairs are there, then TOP and BOTTOM */
	int kept;             /* pairs below it came from the window before */
	int done, mel_done;   /* pairs and mel frames below these are there */
	sn_dnsmos_raw raw;
	float *pooled[2];     /* [PAIRS, WIDTH, CHANNELS] */
	float *power;         /* [SN_DNSMOS_MEL_FRAMES, SN_DNSMOS_MELS] */
	float *mel;           /* of the same size, in decibels of the window's loudest */
};

/* ---- graphs ---- */

typedef struct recorder {
	nn_graph *g;
	const sn_weights *weights;
	int first;            /* convolutions are named conv2d, conv2d_1, ... or from conv2d_5 on */
} recorder;

/* All values of a tensor of that shape, or NULL with the graph's sticky error set. free() them. */
static float *values_of(const recorder *r, const char *name, int rank, const int64_t *dims) {
	const sn_weight *const w = sn_weights_find(r->weights, name);
	int64_t count = 1;
	for (int i = 0; i < rank; i++) count *= dims[i];
	nn_weight_shaped(r->g, r->weights, name, rank, dims);
	float *const values = *nn_graph_error(r->g) ? NULL : malloc((size_t)count * sizeof *values);
	if (values) sn_weight_floats(w, 0, count, values);
	else nn_weight(r->g, NULL, name);
	return values;
}

static void kernel_name(const recorder *r, int index, const char *what, char name[NN_NAME]) {
	index += r->first;
	if (index) snprintf(name, NN_NAME, "conv2d_%d/%s:0", index, what);
	else snprintf(name, NN_NAME, "conv2d/%s:0", what);
}

static nn_t bias_of(const recorder *r, int index, int64_t out) {
	char name[NN_NAME];
	kernel_name(r, index, "bias", name);
	return nn_weight_shaped(r->g, r->weights, name, 1, &out);
}

/* The first convolution, over an image of one channel: x [H, W] -> [H - 2 + pads, W, out]; its kernel [out, 1, 3, 3] is in a patch's
 * order already. */
static nn_t first_conv(const recorder *r, nn_t x, nn_dim height, int64_t width, int64_t out, int top, int bottom) {
	char name[NN_NAME];
	kernel_name(r, 0, "kernel", name);
	const nn_t w = nn_weight_shaped(r->g, r->weights, name, 4, (int64_t[]){ out, 1, 3, 3 });
	if (top || bottom) x = nn_pad_rows(r->g, x, top, bottom, NN_PAD_ZERO);
	x = nn_reshape(r->g, x, 3, (nn_dim[]){ nn_dim_add(height, top + bottom), nn_fix(width), nn_fix(1) });
	x = nn_unfold(r->g, x, 3, 3, 1, 1, 0, 1);
	x = nn_linear(r->g, x, nn_reshape(r->g, w, 2, (nn_dim[]){ nn_fix(out), nn_fix(9) }), bias_of(r, 0, out));
	return nn_unary(r->g, NN_RELU, x, 0);
}

/* Another 3 x 3 convolution, x [H, W, in] -> [H - 2 + pads, W, out], and its ReLU: the sum of three convolutions along rows, of the
 * image from its first, second and third row on. Patches would be nine times the image. */
static nn_t conv(const recorder *r, int index, nn_t x, nn_dim height, int64_t width, int64_t in, int64_t out, int top, int bottom) {
	nn_graph *const g = r->g;
	char name[NN_NAME];
	kernel_name(r, index, "kernel", name);
	float *const w = values_of(r, name, 4, (int64_t[]){ out, in, 3, 3 });
	float *const row = w ? malloc((size_t)(out * in * 3) * sizeof *row) : NULL;
	const nn_t b = bias_of(r, index, out);
	x = nn_reshape(g, x, 2, (nn_dim[]){ height, nn_fix(width * in) });
	if (top || bottom) x = nn_pad_rows(g, x, top, bottom, NN_PAD_ZERO);
	nn_t sum = row ? NN_NONE : nn_weight(g, NULL, name);
	for (int i = 0; i < 3 && row; i++) {
		for (int64_t k = 0; k < out * in; k++) memcpy(row + 3 * k, w + 9 * k + 3 * i, 3 * sizeof *row);
		char tap[NN_NAME + 8];
		snprintf(tap, sizeof tap, "%.50s.%d", name, i);
		const nn_t kernel = nn_const(g, tap, 3, (int64_t[]){ out, in, 3 }, row);
		nn_t part = nn_trim_rows(g, x, i, 2 - i);
		part = nn_reshape(g, part, 3, (nn_dim[]){ nn_dim_add(height, top + bottom - 2), nn_fix(width), nn_fix(in) });
		part = nn_conv1d(g, part, kernel, i ? NN_NONE : b, (nn_conv){ .pad_left = 1, .pad_right = 1 });
		sum = i ? nn_binary(g, NN_ADD, part, sum) : part;
	}
	free(row);
	free(w);
	return nn_unary(g, NN_RELU, sum, 0);
}

/* x [1, in] times the matrix [in, out] of that name, plus its bias. */
static nn_t dense(const recorder *r, const char *layer, nn_t x, int64_t in, int64_t out) {
	char matrix[2 * NN_NAME], bias[2 * NN_NAME];
	snprintf(matrix, sizeof matrix, "%s/MatMul/ReadVariableOp/resource:0", layer);
	snprintf(bias, sizeof bias, "%s/BiasAdd/ReadVariableOp/resource:0", layer);
	float *const w = values_of(r, matrix, 2, (int64_t[]){ in, out });
	float *const turned = w ? malloc((size_t)(in * out) * sizeof *turned) : NULL;
	for (int64_t i = 0; turned && i < in * out; i++) turned[i] = w[i % in * out + i / in];
	const nn_t m = turned ? nn_const(r->g, layer, 2, (int64_t[]){ out, in }, turned) : nn_weight(r->g, NULL, matrix);
	free(turned);
	free(w);
	return nn_linear(r->g, x, m, nn_weight_shaped(r->g, r->weights, bias, 1, &out));
}

/* Log power spectra: blocks [n + 1, 160] -> [n, 161]; a spectrum sees two blocks. The kernels are [161, 320, 1]. */
static nn_t spectra(const recorder *r, nn_t blocks) {
	static const char *const names[] = { "time2freq/stft-real/kernel:0", "time2freq/stft-imag/kernel:0" };
	nn_t power[2];
	for (int k = 0; k < 2; k++) {
		float *const w = values_of(r, names[k], 3, (int64_t[]){ BINS, 2 * BLOCK, 1 });
		float *const taps = w ? malloc(BINS * 2 * BLOCK * sizeof *taps) : NULL;
		for (int i = 0; taps && i < BINS * 2 * BLOCK; i++) taps[i - i % (2 * BLOCK) + i % BLOCK * 2 + i % (2 * BLOCK) / BLOCK] = w[i];
		const nn_t kernel = taps ? nn_const(r->g, names[k], 3, (int64_t[]){ BINS, BLOCK, 2 }, taps)
			: nn_weight(r->g, NULL, names[k]);
		free(taps);
		free(w);
		const nn_t x = nn_conv1d(r->g, blocks, kernel, NN_NONE, (nn_conv){ .stride = 1 });
		power[k] = nn_binary(r->g, NN_MUL, x, x);
	}
	const nn_t x = nn_unary(r->g, NN_CLAMP_MIN, nn_binary(r->g, NN_ADD, power[0], power[1]), 1e-12f);
	return nn_affine(r->g, nn_unary(r->g, NN_LOG, x, 0), 1 / logf(10), 0);
}

/* blocks -> pairs [p, 80, 32]. Inside of the window four convolutions each take a row from both sides; at its ends they see zeros. */
static void record_strip(const recorder *r, int kind) {
	nn_graph *const g = r->g;
	const int top = kind == TOP, bottom = kind == BOTTOM;
	const nn_dim pairs = kind == INSIDE ? nn_symbol(g, "pairs", STRIP) : nn_fix(EDGE);
	nn_dim height = nn_dim_add(nn_dim_mul(pairs, 2), kind == INSIDE ? 2 * REACH : REACH);
	const nn_t blocks = nn_input(g, "blocks", NN_F32, 2, (nn_dim[]){ nn_dim_add(height, 1), nn_fix(BLOCK) });
	static const int64_t channels[] = { 128, 64, 64, CHANNELS };
	nn_t x = first_conv(r, spectra(r, blocks), height, BINS, channels[0], top, bottom);
	for (int i = 1; i < 4; i++) {
		height = nn_dim_add(height, top + bottom - 2);
		x = conv(r, i, x, height, BINS, channels[i - 1], channels[i], top, bottom);
	}
	nn_output(g, nn_max_pool(g, x, 2, 2, 2, 2), "pairs");
}

/* The largest of each channel over an image [H, W, channels]. */
static nn_t largest(nn_graph *g, nn_t x, int64_t pixels, int64_t channels) {
	return nn_max_rows(g, nn_reshape(g, x, 2, (nn_dim[]){ nn_fix(pixels), nn_fix(channels) }));
}

/* pairs [450, 80, 32] -> signal, background, overall [1, 3] */
static void record_tail(const recorder *r, int kind) {
	nn_graph *const g = r->g;
	nn_t x = nn_input(g, "pairs", NN_F32, 3, (nn_dim[]){ nn_fix(PAIRS), nn_fix(WIDTH), nn_fix(CHANNELS) });
	x = nn_max_pool(g, conv(r, 4, x, nn_fix(PAIRS), WIDTH, CHANNELS, CHANNELS, 1, 1), 2, 2, 2, 2); /* [225, 40, 32] */
	x = nn_max_pool(g, conv(r, 5, x, nn_fix(225), 40, CHANNELS, CHANNELS, 1, 1), 2, 2, 2, 2);      /* [112, 20, 32] */
	x = largest(g, conv(r, 6, x, nn_fix(112), 20, CHANNELS, 64, 1, 1), 112 * 20, 64);
	x = nn_unary(g, NN_RELU, dense(r, "mos_estimator_logpow/dense", x, 64, 128), 0);
	x = nn_unary(g, NN_RELU, dense(r, "mos_estimator_logpow/dense_1", x, 128, 64), 0);
	nn_output(g, dense(r, "mos_estimator_logpow/dense_3", x, 64, 3), "scores");
}

/* mel [900, 120] -> P.808 score [1, 1] */
static void record_p808(const recorder *r, int kind) {
	nn_graph *const g = r->g;
	nn_t x = nn_input(g, "mel", NN_F32, 2, (nn_dim[]){ nn_fix(SN_DNSMOS_MEL_FRAMES), nn_fix(SN_DNSMOS_MELS) });
	x = first_conv(r, x, nn_fix(900), 120, CHANNELS, 1, 1);
	x = nn_max_pool(g, x, 2, 2, 2, 2);                                                          /* [450, 60, 32] */
	x = nn_max_pool(g, conv(r, 1, x, nn_fix(450), 60, CHANNELS, CHANNELS, 1, 1), 2, 2, 2, 2);   /* [225, 30, 32] */
	x = conv(r, 2, x, nn_fix(225), 30, CHANNELS, CHANNELS, 1, 1);
	x = nn_max_pool(g, conv(r, 3, x, nn_fix(225), 30, CHANNELS, CHANNELS, 1, 1), 2, 2, 2, 2);   /* [112, 15, 32] */
	x = largest(g, conv(r, 4, x, nn_fix(112), 15, CHANNELS, 64, 1, 1), 112 * 15, 64);
	x = nn_unary(g, NN_RELU, dense(r, "mos_estimator_small_1/dense_3", x, 64, 64), 0);
	x = nn_unary(g, NN_RELU, dense(r, "mos_estimator_small_1/dense_4", x, 64, 64), 0);
	nn_output(g, dense(r, "mos_estimator_small_1/dense_5", x, 64, 1), "score");
}

/* ---- loading ---- */

static void part_close(part *p) {
	nn_exec_free(&p->exec);
	nn_plan_release(&p->plan);
}

static int part_open(sn_dnsmos *d, part *p, const char *name, const sn_weights *weights,
                     void (*record)(const recorder *, int), int kind, char *err) {
	const recorder r = { .g = nn_graph_new(name), .weights = weights, .first = record == record_p808 ? 5 : 0 };
	if (!r.g) return sn_fail(err, SN_E_MEMORY, "out of memory while loading DNSMOS");
	record(&r, kind);
	int code = nn_plan_compile(&p->plan, r.g, &(nn_plan_options){ .backend = d->backend, .exports = d->exports, .debug = d->debug }, err);
	nn_graph *g = r.g;
	nn_graph_free(&g);
	return code == SN_OK ? nn_exec_new(&p->exec, p->plan, d->pool, err) : code;
}

static void count_parameters(sn_dnsmos *d, const sn_weights *weights) {
	for (size_t i = 0; i < sn_weights_count(weights); i++) {
		const sn_weight *const w = sn_weights_at(weights, i);
		d->parameters += w->dtype == SN_F32 ? (int64_t)(w->bytes / sizeof(float)) : 0;
	}
}

static int net_open(sn_dnsmos *d, net *n, const char *name, char *err) {
	static const char *const suffixes[PARTS] = { "inside", "top", "bottom", "tail" };
	int code = SN_OK;
	for (int i = 0; i < PARTS && code == SN_OK; i++) {
		char graph[NN_NAME];
		snprintf(graph, sizeof graph, "%s.%s", name, suffixes[i]);
		code = part_open(d, &n->parts[i], graph, n->weights, i == TAIL ? record_tail : record_strip, i, err);
	}
	count_parameters(d, n->weights);
	return code;
}

/* A file of the directory; one that may be absent leaves *weights NULL. */
static int open_file(sn_weights **weights, const char *dir, const char *name, int needed, char *err) {
	char path[4096];
	if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
		return sn_fail(err, SN_E_LIMIT, "the path \"%.200s\" is too long", dir);
	if (access(path, F_OK) != 0)
		return !needed ? SN_OK
			: sn_fail(err, SN_E_NOT_FOUND, "%.300s holds no %s; DNSMOS is sig_bak_ovr.onnx and model_v8.onnx", dir, name);
	return sn_weights_open(weights, path, err);
}

static int open_all(sn_dnsmos *d, const char *dir, char *err) {
	int code = open_file(&d->nets[0].weights, dir, "sig_bak_ovr.onnx", 1, err);
	if (code == SN_OK) code = open_file(&d->nets[1].weights, dir, "sig_bak_ovr_personalised.onnx", 0, err);
	if (code == SN_OK) code = open_file(&d->p808_weights, dir, "model_v8.onnx", 1, err);
	if (code == SN_OK) code = net_open(d, &d->nets[0], "dnsmos", err);
	if (code == SN_OK && d->nets[1].weights) code = net_open(d, &d->nets[1], "dnsmos.personalised", err);
	if (code == SN_OK) code = part_open(d, &d->p808, "dnsmos.p808", d->p808_weights, record_p808, 0, err);
	if (code != SN_OK) return code;
	count_parameters(d, d->p808_weights);
	nn_exec *execs[2 * PARTS + 1];
	int count = 0;
	for (int n = 0; n < 2; n++)
		for (int i = 0; i < PARTS && d->nets[n].weights; i++) execs[count++] = d->nets[n].parts[i].exec;
	execs[count++] = d->p808.exec;
	nn_exec_share_arena(execs, count);
	return sn_dnsmos_mel_open(&d->mel, err);
}

int sn_dnsmos_open(sn_dnsmos **out, const sn_load_options *load, char *err) {
	*out = NULL;
	sn_dnsmos *d = calloc(1, sizeof *d);
	if (!d) return sn_fail(err, SN_E_MEMORY, "out of memory while loading DNSMOS");
	d->pool = load->pool;
	d->debug = load->debug;
	d->backend = load->backend;
	d->exports = load->exports;
	const int code = open_all(d, load->dir, err);
	if (code != SN_OK) sn_dnsmos_close(&d);
	*out = d;
	return code;
}

void sn_dnsmos_close(sn_dnsmos **dnsmos) {
	sn_dnsmos *const d = *dnsmos;
	*dnsmos = NULL;
	if (!d) return;
	/* Execs that share an arena are all freed before the plans. */
	for (int n = 0; n < 2; n++) {
		for (int i = 0; i < PARTS; i++) part_close(&d->nets[n].parts[i]);
		sn_weights_close(&d->nets[n].weights);
	}
	part_close(&d->p808);
	sn_weights_close(&d->p808_weights);
	sn_dnsmos_mel_close(&d->mel);
	free(d);
}

int sn_dnsmos_is_personalised(const sn_dnsmos *d) { return d->nets[1].weights != NULL; }
int64_t sn_dnsmos_parameters(const sn_dnsmos *d) { return d->parameters; }

/* ---- windows ---- */

int sn_dnsmos_stream_open(sn_dnsmos_stream **out, int personalised, char *err) {
	sn_dnsmos_stream *s = *out = calloc(1, sizeof *s);
	if (!s) return sn_fail(err, SN_E_MEMORY, "no memory to rate audio in");
	s->nets = personalised ? 2 : 1;
	s->second = -1;
	s->power = malloc(SN_DNSMOS_MEL_FRAMES * SN_DNSMOS_MELS * sizeof(float));
	s->mel = malloc(SN_DNSMOS_MEL_FRAMES * SN_DNSMOS_MELS * sizeof(float));
	for (int n = 0; n < s->nets; n++) s->pooled[n] = malloc((size_t)PAIRS * ROW * sizeof(float));
	if (s->power && s->mel && s->pooled[0] && (!personalised || s->pooled[1])) return SN_OK;
	sn_dnsmos_stream_close(out);
	return sn_fail(err, SN_E_MEMORY, "no memory to rate audio in");
}

void sn_dnsmos_stream_close(sn_dnsmos_stream **stream) {
	sn_dnsmos_stream *const s = *stream;
	*stream = NULL;
	if (!s) return;
	free(s->pooled[0]);
	free(s->pooled[1]);
	free(s->power);
	free(s->mel);
	free(s);
}

void sn_dnsmos_begin(sn_dnsmos *d, sn_dnsmos_stream *s, const float *window, int64_t second) {
	const int64_t ahead = s->stage == DONE && s->second >= 0 ? second - s->second : 9;
	/* Of the window before, what saw neither end: pairs 2 .. 447, mel frames 1 .. 898. */
	const int64_t pairs = ahead * (PAIRS / 9), frames = ahead * (FRAMES / 9);
	s->kept = EDGE;
	s->mel_done = 1;
	if (ahead > 0 && pairs < PAIRS - 2 * EDGE) {
		const size_t kept = (size_t)(PAIRS - EDGE - pairs);
		for (int n = 0; n < s->nets; n++) memmove(s->pooled[n], s->pooled[n] + pairs * ROW, kept * ROW * sizeof(float));
		memmove(s->power, s->power + frames * SN_DNSMOS_MELS, (size_t)(FRAMES - frames) * SN_DNSMOS_MELS * sizeof(float));
		s->kept = (int)kept;
		s->mel_done = (int)(FRAMES - 1 - frames);
	}
	s->window = window;
	s->second = second;
	s->done = s->kept;
	s->stage = MEL;
	s->net = s->running = 0;
	s->kind = INSIDE;
	sn_dnsmos_mel_power(d->mel, window, 0, 1, s->power);
}

/* A piece of a run whose input is filled where it begins. */
static int run(sn_dnsmos_stream *s, const part *p, int budget, char *err) {
	if (!s->running) nn_exec_begin(p->exec);
	const int code = nn_exec_next(p->exec, budget, err);
	s->running = code == SN_AGAIN;
	return code;
}

/* The frames, in the end in decibels. Like those below it returns SN_OK at its end and SN_AGAIN before. */
static int next_mel(sn_dnsmos *d, sn_dnsmos_stream *s) {
	const int left = FRAMES - s->mel_done, count = left < MEL_FRAMES ? left : MEL_FRAMES;
	sn_dnsmos_mel_power(d->mel, s->window, s->mel_done, count, s->power + s->mel_done * SN_DNSMOS_MELS);
	s->mel_done += count;
	if (s->mel_done < FRAMES) return SN_AGAIN;
	sn_dnsmos_mel_decibels(s->power, s->mel);
	return SN_OK;
}

static int next_p808(sn_dnsmos *d, sn_dnsmos_stream *s, char *err) {
	if (!s->running) memcpy(nn_exec_input(d->p808.exec, "mel"), s->mel, FRAMES * SN_DNSMOS_MELS * sizeof(float));
	const int code = run(s, &d->p808, 34, err);
	if (code == SN_OK) s->raw.p808 = *nn_exec_output(d->p808.exec, "score", NULL);
	return code;
}

/* All pairs of the net. */
static int next_strip(sn_dnsmos *d, sn_dnsmos_stream *s, char *err) {
	if (s->kind == INSIDE && s->done == PAIRS - EDGE) s->kind = TOP;
	const part *const p = &d->nets[s->net].parts[s->kind];
	const int left = PAIRS - EDGE - s->done, inside = left < STRIP ? left : STRIP, pairs = s->kind == INSIDE ? inside : EDGE;
	const int place = s->kind == INSIDE ? s->done : s->kind == TOP ? 0 : PAIRS - EDGE;
	if (!s->running) {
		const int first = s->kind == TOP ? 0 : 2 * place - REACH, spectra = 2 * pairs + (s->kind == INSIDE ? 2 : 1) * REACH;
		if (s->kind == INSIDE) nn_exec_set(p->exec, "pairs", pairs);
		memcpy(nn_exec_input(p->exec, "blocks"), s->window + first * BLOCK, (size_t)(spectra + 1) * BLOCK * sizeof(float));
	}
	const int code = run(s, p, 25, err);
	if (code != SN_OK) return code;
	memcpy(s->pooled[s->net] + (size_t)place * ROW, nn_exec_output(p->exec, "pairs", NULL), (size_t)pairs * ROW * sizeof(float));
	if (s->kind == INSIDE) s->done += pairs;
	else if (s->kind == BOTTOM) return SN_OK;
	else s->kind = BOTTOM;
	return SN_AGAIN;
}

/* The net's scores. */
static int next_tail(sn_dnsmos *d, sn_dnsmos_stream *s, char *err) {
	const part *const p = &d->nets[s->net].parts[TAIL];
	if (!s->running) memcpy(nn_exec_input(p->exec, "pairs"), s->pooled[s->net], (size_t)PAIRS * ROW * sizeof(float));
	const int code = run(s, p, 34, err);
	if (code != SN_OK) return code;
	memcpy(s->net ? &s->raw.personal_signal : &s->raw.signal, nn_exec_output(p->exec, "scores", NULL), 3 * sizeof(float));
	s->kind = INSIDE;
	s->done = s->kept;
	return SN_OK;
}

int sn_dnsmos_next(sn_dnsmos *d, sn_dnsmos_stream *s, char *err) {
	int code = SN_OK;
	switch (s->stage) {
	case MEL:
		code = next_mel(d, s);
		if (code == SN_OK) s->stage = P808;
		break;
	case P808:
		code = next_p808(d, s, err);
		if (code == SN_OK) s->stage = STRIPS;
		break;
	case STRIPS:
		code = next_strip(d, s, err);
		if (code == SN_OK) s->stage = TAILS;
		break;
	case TAILS:
		code = next_tail(d, s, err);
		if (code == SN_OK) s->stage = ++s->net < s->nets ? STRIPS : DONE;
		break;
	default: break;
	}
	return code == SN_OK && s->stage != DONE ? SN_AGAIN : code;
}

void sn_dnsmos_get_raw(const sn_dnsmos_stream *s, sn_dnsmos_raw *raw) { *raw = s->raw; }
const float *sn_dnsmos_get_mel(const sn_dnsmos_stream *s) { return s->mel; }

/* Coefficients of the highest power first, as the authors give them. */
static double polynomial(const double c[4], double x) { return ((c[0] * x + c[1]) * x + c[2]) * x + c[3]; }

void sn_dnsmos_scale(const sn_dnsmos_raw *raw, int personalised, sn_dnsmos_scores *scores) {
	static const double signal[2][4] = {
		{ 0, -0.08397278, 1.22083953, 0.0052439 }, { -0.01019296, 0.02751166, 1.19576786, -0.24348726 },
	};
	static const double background[2][4] = {
		{ 0, -0.13166888, 1.60915514, -0.39604546 }, { -0.04976499, 0.44276479, -0.1644611, 0.96883132 },
	};
	static const double overall[2][4] = {
		{ 0, -0.06766283, 1.11546468, 0.04602535 }, { -0.00533021, 0.005101, 1.18058466, -0.11236046 },
	};
	const int p = personalised != 0;
	scores->signal = polynomial(signal[p], p ? raw->personal_signal : raw->signal);
	scores->background = polynomial(background[p], p ? raw->personal_background : raw->background);
	scores->overall = polynomial(overall[p], p ? raw->personal_overall : raw->overall);
	scores->p808 = raw->p808;
}

int64_t sn_dnsmos_windows(int64_t samples) {
	const int64_t seconds = samples / SN_DNSMOS_RATE;
	return seconds > 10 ? seconds - 9 : 1;
}

int sn_dnsmos_is_heard(int64_t second) {
	return (int64_t)(((double)second + 9.01) * SN_DNSMOS_RATE) - second * SN_DNSMOS_HOP >= SN_DNSMOS_WINDOW;
}

int64_t sn_dnsmos_doubled(int64_t samples) {
	while (samples > 0 && samples < SN_DNSMOS_WINDOW) samples *= 2;
	return samples;
}
