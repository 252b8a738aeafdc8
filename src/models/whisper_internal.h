/* Shared by the files of Whisper: reading the configuration, binding weights, recording graphs, running them. */
#ifndef SN_MODELS_WHISPER_INTERNAL_H
#define SN_MODELS_WHISPER_INTERNAL_H

#include "base/json.h"
#include "base/path.h"
#include "models/whisper.h"

#define WHISPER_MAX_WANTED 64 /* rows of one decoder step whose logits are computed */
#define WHISPER_MAX_ATTEND 32 /* rows whose attention is looked at together */

enum { WHISPER_ENCODER, WHISPER_DECODER };

/* whisper_config.c: hyper-parameters, special ids, languages and suppression lists from the directory's JSON files, the shapes of
 * the weights (CTranslate2 stores no sizes) and the vocabulary. SN_E_MODEL names the file or tensor, what was found and expected. */
int whisper_config_read(sn_whisper_config *c, nn_act *act, const char *dir, const sn_weights *weights, const sn_bpe *bpe, char *err);
/* The same of what such files say; `generation` may be NULL. The names are for messages. */
typedef struct whisper_said {
	const json_t *config, *generation;
	const char *dir, *file, *generation_file;
} whisper_said;
int whisper_config_take(sn_whisper_config *c, nn_act *act, const whisper_said *said, const sn_weights *weights, const sn_bpe *bpe, char *err);

/* whisper_export.c: the files that sherpa-onnx publishes for a Whisper, NAME-encoder.onnx, NAME-decoder.onnx (or .int8.onnx) and
 * NAME-tokens.txt. Their graphs are not run: the weights in them are. */
typedef struct whisper_export {
	char encoder[SN_PATH_MAX], decoder[SN_PATH_MAX], tokens[SN_PATH_MAX]; /* encoder "": there are none */
} whisper_export;

/* Of a directory the float files where they are there; of a file that is named itself it and those that belong to it. A part that is
 * missing is SN_E_NOT_FOUND. */
int whisper_export_locate(whisper_export *files, const char *path, char *err);
int whisper_export_open(sn_weights **weights, sn_bpe **bpe, sn_whisper_config *c, nn_act *act, const whisper_export *files, char *err);

/* whisper_onnx.c: both files' tensors under Hugging Face's names. On success the parts are NULL. */
typedef struct whisper_parts {
	sn_weights *file[2];           /* encoder, decoder */
	int layers[2], width, vocab;   /* as the encoder's metadata say */
} whisper_parts;
int whisper_onnx_bind(sn_weights **out, whisper_parts *parts, char *err);

/* whisper_weights.c: the one place that knows both layouts' tensor names. */
typedef enum whisper_matrix {
	WHISPER_SELF_Q, WHISPER_SELF_K, WHISPER_SELF_V, WHISPER_SELF_OUT, WHISPER_CROSS_Q, WHISPER_CROSS_K, WHISPER_CROSS_V,
	WHISPER_CROSS_OUT, WHISPER_FC1, WHISPER_FC2
} whisper_matrix;
typedef enum whisper_norm { WHISPER_SELF_NORM, WHISPER_CROSS_NORM, WHISPER_FFN_NORM, WHISPER_FINAL_NORM } whisper_norm;

typedef struct whisper_names {
	const sn_weights *weights;
	int ctranslate2;
	const char *prefix; /* "model." or "" before Hugging Face names */
} whisper_names;

whisper_names whisper_names_of(const sn_weights *weights);
/* Layers of a side that the file holds, by its first self-attention matrices. */
int whisper_layers(const whisper_names *names, int side);
const char *whisper_conv_name(const whisper_names *names, int conv, char name[NN_NAME]);
const char *whisper_positions_name(const whisper_names *names, int side, char name[NN_NAME]);
const char *whisper_embedding_name(const whisper_names *names, char name[NN_NAME]);
/* The stored tensor of a layer's matrix; CTranslate2 stores q, k, v (or k, v) as one. */
const char *whisper_matrix_name(const whisper_names *names, whisper_matrix which, int side, int layer, char name[NN_NAME]);

const char *whisper_norm_stem(const whisper_names *names, whisper_norm which, int side, int layer, char stem[NN_NAME]);

/* Checked against the configuration's sizes while recording. */
typedef struct whisper_recorder {
	nn_graph *g;
	whisper_names names;
	const sn_whisper_config *c;
	nn_act act;
	int side, probs, outputs; /* probs: attention probabilities as named tensors; outputs: each stage's result readable */
	int64_t slots, windows;
} whisper_recorder;

nn_t whisper_linear(whisper_recorder *r, nn_t x, whisper_matrix which, int layer);
nn_t whisper_layer_norm(whisper_recorder *r, nn_t x, whisper_norm which, int layer);
nn_t whisper_conv(whisper_recorder *r, nn_t x, int conv);
nn_t whisper_positions(whisper_recorder *r); /* [positions, width] */
nn_t whisper_embedding(whisper_recorder *r); /* [vocab, width] */
nn_t whisper_projection(whisper_recorder *r, nn_t embedding); /* [vocab, width]: to logits */

/* whisper_graph.c */
void whisper_record_encoder(whisper_recorder *r);
void whisper_record_decoder(whisper_recorder *r);
void whisper_record_attend(whisper_recorder *r);
int whisper_aligned(const sn_whisper_config *c, int layer); /* the layer has alignment heads */

#endif
