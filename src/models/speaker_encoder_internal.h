/* Shared by the files of the speaker encoder: its weights and its graph. */
#ifndef SN_MODELS_SPEAKER_ENCODER_INTERNAL_H
#define SN_MODELS_SPEAKER_ENCODER_INTERNAL_H

#include "models/speaker_encoder.h"

#define SE_LAYERS 4
#define SE_MAX_BLOCKS 64   /* of one layer */
#define SE_MAX_WIDTH 8192  /* channels, mels, values of an embedding */
#define SE_MAX_FRAME (1 << 18) /* values that a convolution reads for one frame: 20000 in the published encoder */

typedef struct se_norm { /* batch norm: (x - mean) / sqrt(variance + 1e-5) * gamma + beta, each [channels] */
	const sn_weight *gamma, *beta, *mean, *variance;
} se_norm;

typedef struct se_block { /* two convolutions of 3 x 3 without bias, the first with the stride; channels weighed by what they hold */
	const sn_weight *conv1, *conv2, *down; /* [out, in, 3, 3], [out, out, 3, 3], [out, in, 1, 1] or NULL */
	se_norm norm1, norm2, down_norm;
	const sn_weight *squeeze, *squeeze_bias, *excite, *excite_bias; /* [less, out], [less], [out, less], [out] */
	int in, out, stride;
} se_block;

typedef struct se_weights {
	const sn_weight *conv, *conv_bias; /* [channels, 1, 3, 3] */
	se_norm norm;
	se_block blocks[SE_LAYERS][SE_MAX_BLOCKS];
	int block_count[SE_LAYERS];
	int mels, height;                  /* frequencies of the input and of the last layer */
	const sn_weight *attend1, *attend1_bias, *attend2, *attend2_bias; /* [hidden, width, 1], [width, hidden, 1]; width = channels * height */
	se_norm attend_norm;
	const sn_weight *project, *project_bias; /* [size, 2 * width]: means, deviations */
	int size;
	int64_t parameters;
} se_weights;

/* speaker_encoder_weights.c: *w is zeroed first; everything is checked for shape. mels: those of the configuration. */
int se_weights_bind(se_weights *w, int mels, const sn_weights *file, const char *prefix, char *err);

/* speaker_encoder_graph.c: mel [frames, mels] -> embedding [1, size], not normalised. log_input: the logarithm is taken here. */
void se_record(nn_graph *g, const se_weights *w, int frames, int log_input);

#endif
