/* Shared by the files of the vocoders: what a network offers to vocoder.c, checkpoints' layouts, and the binding of weights. */
#ifndef SN_MODELS_VOCODER_INTERNAL_H
#define SN_MODELS_VOCODER_INTERNAL_H

#include "base/json.h"
#include "base/path.h"
#include "models/generator.h"
#include "models/vocoder.h"

#define VOCODER_MAX_WIDTH 8192    /* channels; extents of tensors */
#define VOCODER_MAX_KERNEL 4096   /* rows that a convolution spans */
#define VOCODER_MAX_HOP 16384     /* samples of a frame */
#define VOCODER_MAX_STAGES 8      /* upsamplings */
#define VOCODER_MAX_DEPTH 16      /* convolutions in a row */
#define VOCODER_MAX_BLOCKS 8      /* residual blocks of a stage */
#define VOCODER_MAX_PADDING 256   /* repeated frames on each side */

/* ---- what a kind of network offers ---- */

typedef struct vocoder_class {
	void (*close)(void **network);
	int (*stream_new)(void **stream, void *network, char *err);
	void (*stream_free)(void **stream);
	int (*start)(void *stream, const sn_vocoder_options *options, char *err);
	int (*push)(void *stream, const float *mel, int frames, int last, char *err);
	int64_t (*next)(void *stream, int most_frames, float *pcm, char *err);
	int (*ended)(const void *stream);
	int (*tensor)(void *stream, const char *name, float **values, int *rank, int64_t *dims, char *err);
} vocoder_class;

struct sn_vocoder {
	const vocoder_class *class;
	void *network;
	sn_vocoder_facts facts;
	sn_weights *file;
	nn_pack *pack;
};

/* Opens a pack for the vocoder's open checkpoint; `facts` are what the packed weights depend on besides. */
int vocoder_pack_open(sn_vocoder *v, const sn_load_options *load, char *err);

/* Networks made of a generator alone: frames in, samples out, `padding` frames repeated at each end. The generator becomes the
 * vocoder's; its last stage has one value a row. */
int vocoder_take_generator(sn_vocoder *v, sn_generator *generator, int padding, char *err);

/* ---- checkpoints (vocoder_files.c) ---- */

typedef enum vocoder_layout {
	VOCODER_JIK876, VOCODER_HUGGING_FACE, VOCODER_COQUI, VOCODER_SPEECHBRAIN, VOCODER_NVIDIA
} vocoder_layout;
typedef enum vocoder_kind {
	VOCODER_NONE, VOCODER_HIFIGAN, VOCODER_MELGAN, VOCODER_MULTIBAND, VOCODER_WAVEGLOW, VOCODER_OTHER
} vocoder_kind;

typedef struct vocoder_files {
	vocoder_kind kind;
	vocoder_layout layout;
	char config[SN_PATH_MAX], weights[SN_PATH_MAX]; /* config "": none */
	char name[48];          /* VOCODER_OTHER: what the configuration calls it */
	const char *prefix;     /* of the tensors' names where the layout has one: "vocoder." */
	json_t *root;           /* the whole configuration, or NULL */
	const json_t *params;   /* the network's part of it, or NULL */
} vocoder_files;

/* What lies at `path`. SN_OK with VOCODER_NONE when it holds no vocoder; errors are those of reading a configuration. */
int vocoder_files_read(vocoder_files *files, const char *path, char *err);
void vocoder_files_free(vocoder_files *files);

/* Fills the layout of the spectrogram from the configuration. mels: as the weights say. */
int vocoder_files_mel(const vocoder_files *files, int mels, int hop, sn_mel_layout *mel, char *err);

/* A number that must be there. */
int vocoder_need_int(const json_t *object, const char *key, int64_t least, int64_t most, int *out, const char *file, char *err);

/* ---- weights (vocoder_weights.c) ---- */

#define VOCODER_ANY (-1)

typedef struct vocoder_binder {
	const sn_weights *file;
	char prefix[64];
	int64_t parameters;
	int code; /* the first failure; later calls do nothing */
	char *err;
} vocoder_binder;

typedef struct vocoder_conv {
	const sn_weight *weight;          /* [out, in, kernel] ([in, out, kernel] when transposed) or NULL: */
	const sn_weight *norm_g, *norm_v; /* weight normalised */
	const sn_weight *bias;            /* [out] or NULL */
	int64_t out, in, kernel;
	int dilation;
} vocoder_conv;

/* out, in, kernel may be VOCODER_ANY; bare: the bias may be missing */
typedef struct vocoder_conv_shape { int64_t out, in, kernel; int transposed, dilation, bare; } vocoder_conv_shape;

/* Finds under which wrapper ("generator.", "model.model_g.", ...) the tensor `base` lies. 0: nowhere. */
int vocoder_binder_open(vocoder_binder *b, const sn_weights *file, const char *prefix, const char *base, char *err);
/* printf-like names of layers; a tensor that is missing or of another shape makes b->code an error. */
void vocoder_bind_conv(vocoder_binder *b, vocoder_conv *c, vocoder_conv_shape want, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Whether the layer has a weight, in any form. */
int vocoder_has(const vocoder_binder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A tensor by its name; dims may be VOCODER_ANY. */
const sn_weight *vocoder_bind(vocoder_binder *b, const char *name, int rank, const int64_t *dims);
/* "FILE: NAME FOUND; expected EXPECTED" */
void vocoder_bind_fail(vocoder_binder *b, const char *name, const char *found, const char *expected);

nn_t vocoder_weight(nn_graph *g, const vocoder_conv *c);
nn_t vocoder_bias(nn_graph *g, const vocoder_conv *c);
/* A convolution that keeps the length; pads with zeros, or mirrored. */
nn_t vocoder_record_conv(nn_graph *g, const vocoder_conv *c, nn_t x, int mirrored);
/* Rows on each side that it reaches. */
int64_t vocoder_conv_side(const vocoder_conv *c);

/* ---- networks ---- */

int vocoder_open_hifigan(sn_vocoder *v, const vocoder_files *files, const sn_load_options *load, char *err);
int vocoder_open_melgan(sn_vocoder *v, const vocoder_files *files, const sn_load_options *load, char *err);
int vocoder_open_waveglow(sn_vocoder *v, const vocoder_files *files, const sn_load_options *load, char *err);

#endif
