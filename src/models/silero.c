#include "models/silero.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAMES 4  /* spectra of a chunk */
#define HIDDEN 128
#define BLOCK 64  /* chunks of one run: enough rows for the products, few enough to stay in the cache */

enum { STFT, CONV, LSTM_IH = CONV + 8, LSTM_HH, BIAS_IH, BIAS_HH, HEAD, HEAD_BIAS, PARTS };

static const char *const plain_names[PARTS] = {
	"stft_conv.weight", "conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "conv3.weight", "conv3.bias", "conv4.weight",
	"conv4.bias", "lstm_cell.weight_ih", "lstm_cell.weight_hh", "lstm_cell.bias_ih", "lstm_cell.bias_hh", "final_conv.weight",
	"final_conv.bias",
};
static const char *const onnx_names[PARTS] = {
	"stft.forward_basis_buffer", "encoder.0.reparam_conv.weight", "encoder.0.reparam_conv.bias", "encoder.1.reparam_conv.weight",
	"encoder.1.reparam_conv.bias", "encoder.2.reparam_conv.weight", "encoder.2.reparam_conv.bias", "encoder.3.reparam_conv.weight",
	"encoder.3.reparam_conv.bias", "decoder.rnn.weight_ih", "decoder.rnn.weight_hh", "decoder.rnn.bias_ih", "decoder.rnn.bias_hh",
	"decoder.decoder.2.weight", "decoder.decoder.2.bias",
};
/* In the order of preference: in the published package the safetensors hold the weights of another training run. */
static const char *const files[] = { "silero_vad.onnx", "silero_vad_op18_ifless.onnx", "silero_vad_16k.safetensors" };

/* The network of one sample rate. */
typedef struct net {
	sn_weights *weights;
	nn_plan *plan;
	nn_exec *exec;
	int chunk, context, width, hop; /* samples: of a chunk, before it, of a spectrum's window, between windows */
} net;

struct sn_silero {
	char *dir;
	nn_pool *pool;
	nn_backend *backend;
	nn_exports *exports;
	int debug;
	net nets[2]; /* 16 kHz; 8 kHz, opened when first used */
};

static void net_close(net *n) {
	nn_exec_free(&n->exec);
	nn_plan_release(&n->plan);
	sn_weights_close(&n->weights);
}

/* The names' common beginning: a file holds the networks of one or both rates, told apart by the size of the transform. */
static int find_prefix(const sn_weights *w, const char *suffix, int64_t rows, char prefix[NN_NAME]) {
	for (size_t i = 0; i < sn_weights_count(w); i++) {
		const sn_weight *const item = sn_weights_at(w, i);
		const size_t length = strlen(item->name), tail = strlen(suffix);
		if (length < tail || length - tail >= NN_NAME || strcmp(item->name + length - tail, suffix) != 0) continue;
		if (item->rank != 3 || item->dims[0] != rows) continue;
		memcpy(prefix, item->name, length - tail);
		prefix[length - tail] = 0;
		return 1;
	}
	return 0;
}

typedef struct recorder {
	nn_graph *g;
	const sn_weights *weights;
	const char *const *names;
	const char *prefix;
} recorder;

static nn_t part(const recorder *r, int index, int rank, int64_t a, int64_t b, int64_t c) {
	char name[2 * NN_NAME];
	snprintf(name, sizeof name, "%s%s", r->prefix, r->names[index]);
	return nn_weight_shaped(r->g, r->weights, name, rank, (int64_t[]){ a, b, c });
}

static nn_t conv_relu(const recorder *r, int index, nn_t x, int64_t in, int64_t out, int stride) {
	const nn_t w = part(r, CONV + 2 * index, 3, out, in, 3), b = part(r, CONV + 2 * index + 1, 1, out, 0, 0);
	x = nn_conv1d(r->g, x, w, b, (nn_conv){ .stride = stride, .pad_left = 1, .pad_right = 1 });
	return nn_name(r->g, nn_unary(r->g, NN_RELU, x, 0), "encoder.%d", index);
}

/* frames [chunks * 4, width] -> magnitudes -> four convolutions, each chunk by itself -> LSTM over chunks -> probability [chunks, 1] */
static void record(const recorder *r, int width) {
	nn_graph *const g = r->g;
	const int64_t bins = width / 2 + 1;
	const nn_dim chunks = nn_symbol(g, "chunks", BLOCK);
	const nn_t frames = nn_input(g, "frames", NN_F32, 2, (nn_dim[]){ nn_dim_mul(chunks, FRAMES), nn_fix(width) });
	const nn_t h0 = nn_input(g, "h", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(HIDDEN) });
	const nn_t c0 = nn_input(g, "c", NN_F32, 2, (nn_dim[]){ nn_fix(1), nn_fix(HIDDEN) });
	const nn_t basis = nn_reshape(g, part(r, STFT, 3, 2 * bins, 1, width), 2, (nn_dim[]){ nn_fix(2 * bins), nn_fix(width) });
	const nn_t spectrum = nn_linear(g, frames, basis, NN_NONE);
	const nn_t re = nn_slice_cols(g, spectrum, 0, bins), im = nn_slice_cols(g, spectrum, bins, bins);
	const nn_t power = nn_binary(g, NN_ADD, nn_binary(g, NN_MUL, re, re), nn_binary(g, NN_MUL, im, im));
	nn_t x = nn_name(g, nn_unary(g, NN_SQRT, power, 0), "magnitude");
	x = nn_reshape(g, x, 3, (nn_dim[]){ chunks, nn_fix(FRAMES), nn_fix(bins) });
	x = conv_relu(r, 0, x, bins, 128, 1); /* [chunks, 4, 128] */
	x = conv_relu(r, 1, x, 128, 64, 2);   /* [chunks, 2, 64] */
	x = conv_relu(r, 2, x, 64, 64, 2);    /* [chunks, 1, 64] */
	x = conv_relu(r, 3, x, 64, HIDDEN, 1);
	x = nn_reshape(g, x, 2, (nn_dim[]){ chunks, nn_fix(HIDDEN) });
	nn_t h, c;
	x = nn_lstm(g, x, h0, c0, part(r, LSTM_IH, 2, 4 * HIDDEN, HIDDEN, 0), part(r, LSTM_HH, 2, 4 * HIDDEN, HIDDEN, 0),
	            part(r, BIAS_IH, 1, 4 * HIDDEN, 0, 0), part(r, BIAS_HH, 1, 4 * HIDDEN, 0, 0), &h, &c);
	const nn_t head = nn_reshape(g, part(r, HEAD, 3, 1, HIDDEN, 1), 2, (nn_dim[]){ nn_fix(1), nn_fix(HIDDEN) });
	x = nn_linear(g, nn_unary(g, NN_RELU, x, 0), head, part(r, HEAD_BIAS, 1, 1, 0, 0));
	nn_output(g, nn_unary(g, NN_SIGMOID, x, 0), "probability");
	nn_output(g, h, "h");
	nn_output(g, c, "c");
}

/* Opens the first file of the directory that holds the network of this rate. */
static int open_weights(sn_silero *silero, int second, sn_weights **weights, recorder *r, char prefix[NN_NAME], char *err) {
	const int64_t rows = second ? 130 : 258;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char path[4096];
		if (snprintf(path, sizeof path, "%s/%s", silero->dir, files[i]) >= (int)sizeof path || access(path, F_OK) != 0) continue;
		const int code = sn_weights_open(weights, path, err);
		if (code != SN_OK) return code;
		r->names = sn_weights_layout(*weights) == SN_LAYOUT_ONNX ? onnx_names : plain_names;
		if (find_prefix(*weights, r->names[STFT], rows, prefix)) return SN_OK;
		sn_weights_close(weights);
	}
	return sn_fail(err, SN_E_NOT_FOUND, "%s holds no Silero VAD weights for %d Hz; %s or %s is needed", silero->dir, second ? 8000 : 16000,
	               files[0], files[1]);
}

static int net_open(sn_silero *silero, int second, char *err) {
	net *const n = &silero->nets[second];
	char prefix[NN_NAME];
	recorder r = { .prefix = prefix };
	n->width = second ? 128 : 256;
	n->hop = n->width / 2;
	n->chunk = 2 * n->width;
	n->context = n->width / 4;
	int code = open_weights(silero, second, &n->weights, &r, prefix, err);
	if (code != SN_OK) return code;
	r.weights = n->weights;
	r.g = nn_graph_new(second ? "silero.8k" : "silero.16k");
	if (!r.g) return sn_fail(err, SN_E_MEMORY, "out of memory while loading Silero VAD");
	record(&r, n->width);
	code = nn_plan_compile(&n->plan, r.g, &(nn_plan_options){ .backend = silero->backend, .exports = silero->exports, .debug = silero->debug }, err);
	nn_graph_free(&r.g);
	return code == SN_OK ? nn_exec_new(&n->exec, n->plan, silero->pool, err) : code;
}

int sn_silero_open(sn_silero **out, const sn_load_options *load, char *err) {
	*out = NULL;
	sn_silero *silero = calloc(1, sizeof *silero);
	if (silero) silero->dir = strdup(load->dir);
	if (!silero || !silero->dir) {
		free(silero);
		return sn_fail(err, SN_E_MEMORY, "out of memory while loading Silero VAD");
	}
	silero->pool = load->pool;
	silero->debug = load->debug;
	silero->backend = load->backend;
	silero->exports = load->exports;
	const int code = net_open(silero, 0, err);
	if (code != SN_OK) sn_silero_close(&silero);
	*out = silero;
	return code;
}

void sn_silero_close(sn_silero **silero) {
	if (!*silero) return;
	net_close(&(*silero)->nets[0]);
	net_close(&(*silero)->nets[1]);
	free((*silero)->dir);
	free(*silero);
	*silero = NULL;
}

void sn_silero_reset(sn_silero_stream *stream, int rate) {
	*stream = (sn_silero_stream){ .rate = rate };
}

/* One chunk's four overlapping windows of context, chunk and its last samples mirrored. */
static void fill_frames(const net *n, const float *context, const float *pcm, float *frames) {
	float line[64 + 512 + 64];
	const int end = n->context + n->chunk;
	memcpy(line, context, (size_t)n->context * sizeof *line);
	memcpy(line + n->context, pcm, (size_t)n->chunk * sizeof *line);
	for (int i = 0; i < n->context; i++) line[end + i] = line[end - 2 - i];
	for (int f = 0; f < FRAMES; f++) memcpy(frames + f * n->width, line + f * n->hop, (size_t)n->width * sizeof *line);
}

int sn_silero_run(sn_silero *silero, sn_silero_stream *stream, const float *pcm, int chunks, float *probabilities, char *err) {
	const int second = stream->rate == 8000;
	net *const n = &silero->nets[second];
	if (!second && stream->rate != 16000) return sn_fail(err, SN_E_ARGUMENT, "Silero VAD runs at 8000 or 16000 Hz, not %d", stream->rate);
	if (!n->exec) {
		const int code = net_open(silero, second, err);
		if (code != SN_OK) {
			net_close(n);
			return code;
		}
	}
	float *const frames = nn_exec_input(n->exec, "frames");
	const size_t state = HIDDEN * sizeof(float);
	for (int done = 0; done < chunks;) {
		const int count = chunks - done < BLOCK ? chunks - done : BLOCK;
		for (int i = 0; i < count; i++, pcm += n->chunk) {
			fill_frames(n, stream->context, pcm, frames + (size_t)i * FRAMES * (size_t)n->width);
			memcpy(stream->context, pcm + n->chunk - n->context, (size_t)n->context * sizeof *pcm);
		}
		nn_exec_set(n->exec, "chunks", count);
		memcpy(nn_exec_input(n->exec, "h"), stream->state[0], state);
		memcpy(nn_exec_input(n->exec, "c"), stream->state[1], state);
		const int code = nn_exec_run(n->exec, err);
		if (code != SN_OK) return code;
		memcpy(probabilities + done, nn_exec_output(n->exec, "probability", NULL), (size_t)count * sizeof(float));
		memcpy(stream->state[0], nn_exec_output(n->exec, "h", NULL), state);
		memcpy(stream->state[1], nn_exec_output(n->exec, "c", NULL), state);
		done += count;
	}
	return SN_OK;
}
