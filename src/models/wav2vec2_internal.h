/* Shared by the files of Wav2Vec2: reading the configuration, preparing samples, recording graphs, running them. */
#ifndef SN_MODELS_WAV2VEC2_INTERNAL_H
#define SN_MODELS_WAV2VEC2_INTERNAL_H

#include "models/wav2vec2.h"

#define WAV2VEC2_MAX_CONVS 16
#define WAV2VEC2_MAX_FIRST 128 /* kernel of a first convolution with a group norm */

typedef enum wav2vec2_act {
	WAV2VEC2_GELU, WAV2VEC2_GELU_TANH, WAV2VEC2_QUICK_GELU, WAV2VEC2_RELU, WAV2VEC2_RELU2, WAV2VEC2_RELU6, WAV2VEC2_LEAKY_RELU,
	WAV2VEC2_HARD_SWISH, WAV2VEC2_SILU, WAV2VEC2_TANH, WAV2VEC2_SIGMOID, WAV2VEC2_MISH, WAV2VEC2_LINEAR
} wav2vec2_act;

/* config.json and preprocessor_config.json, every number inside its range. */
typedef struct wav2vec2_settings {
	int width, layers, heads, ffn, vocab;
	int convs, dim[WAV2VEC2_MAX_CONVS], kernel[WAV2VEC2_MAX_CONVS], step[WAV2VEC2_MAX_CONVS]; /* the feature encoder's */
	int conv_bias, group_norm;        /* group_norm: of the first convolution only; else layer norms of all */
	wav2vec2_act conv_act, act;
	int positions, position_groups;   /* kernel of the positional convolution */
	int stable;                       /* layer norms before the blocks, and one behind the last */
	float eps;
	int language_width;               /* of the adapter in each layer (MMS), 0: none */
	int add_adapter, adapter_layers, adapter_kernel, adapter_stride, adapter_width; /* convolutions behind the encoder */
	int normalise;                    /* windows to mean 0 and variance 1 */
	int sample_rate;
} wav2vec2_settings;

int wav2vec2_settings_read(wav2vec2_settings *s, const char *dir, char *err);
/* Languages that the model card (README.md) names, at most `max`; 0 without any. */
int wav2vec2_card_languages(const char *dir, char (*codes)[SN_CTC_LANGUAGE], int max);

/* Where tensors are: the checkpoint's, and those that a language's file replaces. */
typedef struct wav2vec2_files {
	const sn_weights *body, *adapter; /* adapter NULL: everything is in the body */
	const char *prefix;               /* "wav2vec2." or "" */
} wav2vec2_files;

/* The contents of both match: no tensor of a convolution bias, layer or adapter that the configuration denies. */
int wav2vec2_files_check(const wav2vec2_files *files, const wav2vec2_settings *s, char *err);

typedef struct wav2vec2_recorder {
	nn_graph *g;
	const wav2vec2_settings *s;
	wav2vec2_files files;
	int debug, outputs; /* debug: probabilities, and keys can be masked; outputs: the encoder's result can be read */
	int64_t most;       /* frames of one run */
	int vocab;          /* letters of the head */
	const char *language, *tag; /* of the adapter; tag: tells its packed weights from those of other languages */
} wav2vec2_recorder;

/* samples[n, 1] (and with group norm scale[1, C], shift[1, C]) -> "hidden" [frames, width] */
void wav2vec2_record_features(wav2vec2_recorder *r);
/* hidden[frames, width] -> "logits" [frames, letters]; debug: keys[valid] are the frames that attention sees */
void wav2vec2_record_encoder(wav2vec2_recorder *r);

/* ---- wav2vec2_input.c ---- */

/* (x - mean) / sqrt(variance + 1e-7) over all samples, as the reference's feature extractor. */
void wav2vec2_normalise(float *samples, int64_t count);

/* The first convolution as the reference has it, for its group norm's statistics. */
typedef struct wav2vec2_first {
	int channels, kernel, step;
	const float *weight, *bias, *gamma, *beta; /* [channels, kernel], [channels] or NULL, [channels], [channels] */
} wav2vec2_first;

/* Group norm with one channel a group, over all positions of convolution(samples), as y * scale + shift. */
void wav2vec2_group_norm(const wav2vec2_first *f, const float *samples, int64_t count, float *scale, float *shift);

#endif
