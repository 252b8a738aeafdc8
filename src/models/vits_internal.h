/* Shared by the files of VITS: the configuration, one struct of weights for all layouts, the recorded graphs, the noise. */
#ifndef SN_MODELS_VITS_INTERNAL_H
#define SN_MODELS_VITS_INTERNAL_H

#include "base/json.h"
#include "models/vits.h"

#define VITS_MAX_LAYERS 48   /* text encoder */
#define VITS_MAX_WAVENET 16  /* layers of a coupling */
#define VITS_MAX_FLOWS 16
#define VITS_MAX_DEPTH 8     /* separable convolutions in a row; dilations of a residual block */
#define VITS_MAX_STAGES 8    /* upsamplings */
#define VITS_MAX_KERNELS 8   /* residual blocks of a stage */
#define VITS_MAX_WIDTH 8192
#define VITS_MAX_DILATION 4096
#define VITS_MAX_HOP 8192    /* samples of a frame */
#define VITS_PATH 4096       /* bytes of a path */

/* What Coqui's configuration, or the authors', states and the weights must agree with; hop 0: any. */
typedef struct vits_coqui {
	int hop, chars, hidden, layers, feed_forward, text_kernel, stochastic, flow_layers, flow_kernel, decoder_width, block_type;
	int kernel_count, up_count;
	int64_t kernels[VITS_MAX_KERNELS], up_kernels[VITS_MAX_STAGES];
} vits_coqui;

/* What a Hugging Face configuration states, else the reference's default, and the weights must agree with; 0 layers: not that layout. */
typedef struct vits_stated {
	int layers, vocab, hidden, window, feed_forward, text_kernel, flow_size, speakers, speaker_width, decoder_width;
	int flows, flow_layers, flow_kernel, stochastic, bias;
	int filter, duration_kernel, duration_flows, bins, separable_layers, separable_channels;
	int kernel_count, up_count;
	int64_t kernels[VITS_MAX_KERNELS], up_kernels[VITS_MAX_STAGES];
} vits_stated;

/* What the JSON files say beyond sn_vits_config; a Piper voice says none of it, so those are the reference's constants. */
typedef struct vits_settings {
	sn_vits_config public;
	int heads;                      /* 0: told by the relative embeddings */
	nn_act act;                     /* of the feed-forward layers */
	float norm_eps, slope, tail_bound;
	float duration_eps;             /* of the norms in the deterministic duration predictor */
	int speaker_width, language_width, use_speakers; /* Coqui: of the embeddings, 0: none; speakers have numbers */
	int duration_voice;             /* the speaker conditions the durations */
	double stretch;                 /* latent frames are resampled to so many times as many before the decoder; 1: not */
	int most_frames;                /* the decoder takes no more; 0: all */
	vits_coqui coqui;
	vits_stated stated;
	int wavenet_dilation;           /* layer i of a coupling has dilation wavenet_dilation^i */
	int stages, kernels;
	int64_t rates[VITS_MAX_STAGES];
	int dilation_count[VITS_MAX_KERNELS];
	int64_t dilations[VITS_MAX_KERNELS][VITS_MAX_DEPTH];
} vits_settings;

/* vits_config.c: reads the JSON. */
int vits_settings_read(vits_settings *s, const sn_vits_files *files, char *err);
/* Lists of dilations, one for each residual block of a stage; a missing key leaves s->kernels as it is. */
int vits_read_dilations(vits_settings *s, const json_t *root, const char *key, const char *file, char *err);
/* "1", "2" or such a number at `key`: which kind the residual blocks are. */
int vits_read_block_type(const json_t *object, const char *key, int *type, const char *file, char *err);
/* DIR/NAME, or an error that says that it is too long. */
int vits_path(char out[VITS_PATH], const char *dir, const char *name, char *err);

/* vits_authors.c: the authors' configuration. */
int vits_authors_is(const json_t *root);
int vits_authors_settings(vits_settings *s, const json_t *root, const char *file, char *err);
/* The generator in a directory: the G_*.pth of the highest number, else the only .pth that is no discriminator. */
int vits_authors_weights(char path[VITS_PATH], const char *dir, char *err);
/* The configuration of a checkpoint: NAME.json or config.json beside NAME.pth. */
int vits_authors_json(char path[VITS_PATH], const char *weights, char *err);

/* ---- weights ---- */

typedef struct vits_conv {
	const sn_weight *weight;      /* [out, in, kernel] ([in, out, kernel] when transposed, [out, in] for kernel 1) or NULL: */
	const sn_weight *norm_g, *norm_v; /* weight normalised */
	const sn_weight *bias;        /* [out] or NULL */
	int64_t out, in, kernel;
	int stride, dilation, groups;
} vits_conv;

typedef struct vits_norm {
	const sn_weight *gamma, *beta; /* [channels] */
} vits_norm;

typedef struct vits_layer {
	vits_conv q, k, v, o, ffn1, ffn2;
	const sn_weight *rel_k, *rel_v; /* [1, 2 * window + 1, head size] or NULL */
	vits_norm norm1, norm2;
} vits_layer;

typedef struct vits_separable { /* dilated depthwise and pointwise convolutions */
	int depth;
	vits_conv dilated[VITS_MAX_DEPTH], pointwise[VITS_MAX_DEPTH];
	vits_norm norm1[VITS_MAX_DEPTH], norm2[VITS_MAX_DEPTH];
} vits_separable;

typedef struct vits_spline {
	vits_conv pre, proj; /* [width, 1], [3 * bins - 1, width] */
	vits_separable separable;
} vits_spline;

typedef struct vits_coupling {
	vits_conv pre, post, cond; /* [width, half], [half, width], [2 * width * depth, speaker width] */
	int depth;
	vits_conv in[VITS_MAX_WAVENET], skip[VITS_MAX_WAVENET]; /* [2 * width, width, kernel]; [2 * width, width], the last [width, width] */
} vits_coupling;

typedef struct vits_block { /* residual block of the decoder; `second` only in those of type 1 */
	int depth, two;
	vits_conv first[VITS_MAX_DEPTH], second[VITS_MAX_DEPTH];
} vits_block;

typedef struct vits_stage {
	vits_conv up;
	vits_block blocks[VITS_MAX_KERNELS];
} vits_stage;

typedef struct vits_weights {
	int width, half, speaker_width; /* of the text encoder, half a latent frame, speaker embedding (0: none) */
	int language_width;             /* of the language embedding (0: none), part of the text encoder's width */
	int layer_count, flow_count, spline_count, stage_count, kernel_count, heads, window, stochastic;
	const sn_weight *embedding;            /* [vocab, width - language width] */
	const sn_weight *speakers, *languages; /* [speakers, speaker width] and [languages, language width], or NULL */
	vits_layer layers[VITS_MAX_LAYERS];
	vits_conv project;                     /* [4 * half, width]: means, log variances */
	struct {
		vits_conv pre, proj;               /* stochastic: [filter, width], [filter, filter]; else proj [1, filter] */
		vits_conv cond, cond_language;     /* of the speaker, of the language */
		vits_separable separable;
		float translate, scale;            /* of the first affine flow's first channel: (x - translate) * scale */
		vits_spline splines[VITS_MAX_FLOWS]; /* in the order of use */
		vits_conv conv1, conv2;            /* deterministic */
		vits_norm norm1, norm2;
	} duration;
	vits_coupling flows[VITS_MAX_FLOWS];   /* in the order of use */
	vits_conv conv_pre, conv_post, decoder_cond;
	vits_stage stages[VITS_MAX_STAGES];
	int64_t parameters;
} vits_weights;

/* vits_weights.c: the one place that knows the layouts' tensor names. *w is zeroed first; everything is checked for shape. */
int vits_weights_bind(vits_weights *w, vits_settings *s, const sn_weights *file, char *err);

/* ---- graphs (vits_graph.c) ---- */

typedef struct vits_recorder {
	nn_graph *g;
	const vits_settings *s;
	const vits_weights *w;
	int debug;
} vits_recorder;

/* The speaker is `speaker` [1], a number, or `voice` [1, speaker width], normalised.
 * ids [tokens], language [tokens] (all alike), noise [tokens, 2] (stochastic), speaker -> prior_means, prior_log_variances [tokens, 2 * half],
 * log_duration [tokens, 1], text_encoder_out [tokens, width] */
void vits_record_text(vits_recorder *r);
/* z [frames, 2 * half], speaker -> z */
void vits_record_flow(vits_recorder *r);
/* One upsampling with its residual blocks: x [rows, channels] (stage 0: a latent frame, and the speaker) -> y [rows * stride, channels];
 * the last stage ends in samples [rows * stride, 1]. most: the largest `rows`. */
void vits_record_stage(vits_recorder *r, int stage, int64_t most);

/* Rows of a stage's input that its output rows first .. last - 1 depend on (not clipped to what exists). */
void vits_stage_needs(const vits_weights *w, int stage, int64_t first, int64_t last, int64_t *in_first, int64_t *in_last);

/* ---- noise (vits_noise.c) ---- */

/* Standard normal draws number `first` .. of stream `stream` of a seed: a pure function of its arguments, the same on every machine. */
void vits_noise(uint64_t seed, uint32_t stream, uint64_t first, int64_t count, float *out);

#endif
