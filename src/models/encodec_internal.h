/* Shared by the files of EnCodec: what the configuration says, and the recorded graphs. */
#ifndef SN_MODELS_ENCODEC_INTERNAL_H
#define SN_MODELS_ENCODEC_INTERNAL_H

#include "models/encodec.h"

#define ENCODEC_MAX_RATIOS 8
#define ENCODEC_MAX_RESIDUAL 8
#define ENCODEC_MAX_LSTM 8
#define ENCODEC_MAX_WIDTH 8192
#define ENCODEC_MAX_HOP 8192
#define ENCODEC_MAX_KERNEL 63
#define ENCODEC_MAX_DILATION 4096
#define ENCODEC_MAX_QUANTIZERS 64

typedef struct encodec_config {
	int sample_rate, width;                 /* width: of a code book's entry and of the first convolution's input */
	int filters, residual_layers, lstm_layers, compress, shortcut;
	int kernel, last_kernel, residual_kernel, growth; /* growth: of the dilation from one residual layer to the next */
	int64_t ratios[ENCODEC_MAX_RATIOS];
	int ratio_count, hop, channels;         /* channels: of the recurrent layers, filters * 2^ratio_count */
	int codebook, quantizers;
	int causal, group_norm;
	nn_pad pad;
	double trim_right;                      /* share of a causal transposed convolution's surplus that is cut off behind */
} encodec_config;

typedef struct encodec_recorder {
	nn_graph *g;
	const encodec_config *c;
	const sn_weights *weights;
	const char *prefix;
	int64_t rows;                           /* the most of one run */
} encodec_recorder;

/* encodec_graph.c */

/* x [rows + kernel - 1, width], padding included, and h0, c0, h1, ... [1, channels] -> y [rows, channels], next_h0, next_c0, ... */
void encodec_record_recurrent(encodec_recorder *r);
/* x [rows, channels] -> y [rows * hop, 1] */
void encodec_record_upsampler(encodec_recorder *r);

/* Rows of padding on both sides of a convolution that keeps the length. */
void encodec_padding(const encodec_config *c, int kernel, int dilation, int *left, int *right);
/* Rows of the upsampler's input that its samples first .. last - 1 depend on (not clipped to what exists). mirrored: those that they reach
 * through reflections at an edge among them. */
void encodec_needs(const encodec_config *c, int mirrored, int64_t first, int64_t last, int64_t *in_first, int64_t *in_last);

#endif
