/* Shared by the files of Tacotron 2. */
#ifndef SN_MODELS_TACOTRON2_INTERNAL_H
#define SN_MODELS_TACOTRON2_INTERNAL_H

#include "models/tacotron2.h"
#include "text/symbols.h"

#define TACO_PATH 4096
#define TACO_MAX_WIDTH 8192
#define TACO_MAX_LAYERS 16
#define TACO_POSTNET_ROWS 64 /* finished frames of one run of the postnet */

typedef enum taco_attention { TACO_LOCATION, TACO_CONTENT /* without location */, TACO_DYNAMIC } taco_attention;

/* Sizes that a configuration states and the weights have. */
typedef enum taco_size {
	TACO_VOCAB, TACO_MELS, TACO_FRAME /* of the decoder */, TACO_REDUCTION, TACO_WIDTH, TACO_ENCODER, TACO_DECODER_IN,
	TACO_ENCODER_LAYERS, TACO_ENCODER_KERNEL, TACO_QUERY, TACO_ATTENTION, TACO_FILTERS, TACO_LOCATION_KERNEL, TACO_DECODER, TACO_PRENET,
	TACO_POSTNET_UNITS, TACO_POSTNET_KERNEL, TACO_POSTNET_LAYERS, TACO_SIZES
} taco_size;

typedef struct taco_conv {
	int64_t in, out, kernel;
} taco_conv;

typedef struct taco_settings {
	int coqui;
	char config[TACO_PATH];              /* for messages: the configuration, or the weights where there is none */
	struct { const char *key; int64_t value; } stated[TACO_SIZES]; /* by the configuration; key NULL: not stated */

	/* taco_settings_read */
	taco_attention attention_kind;
	int sigmoid;                         /* attention weights are sigmoids by their sum, else a softmax */
	/* Coqui's "attention_win", "use_forward_attn", "transition_agent", "forward_attn_mask" */
	int windowing, forward, agent, forward_mask;
	int prenet_norm;                     /* batch norm in the prenet */
	int dropout;                         /* as the reference does without being told */
	int by_number, by_vector;            /* speakers */
	int64_t style, vector;               /* values of a style (zeros) and of a speaker's embedding behind each encoder row */
	int64_t max_steps;
	double threshold;                    /* of the stop probability */
	int first_stop;                      /* the first step that may be the last */
	int32_t symbols[SN_SYMBOLS];         /* NVIDIA's table to ids; -1: the model has no such symbol */
	sn_mel_layout mel;
	char language[16];                   /* Coqui's, where it names one; "" else */

	/* taco_settings_bind */
	char prefix[SN_WEIGHTS_MAX_NAME + 1];
	int64_t vocab, width, lstm, encoder, memory; /* encoder: 2 * lstm; memory: encoder + style + vector */
	int64_t convs;                       /* of the encoder */
	taco_conv conv[TACO_MAX_LAYERS];
	int64_t prenets, prenet[TACO_MAX_LAYERS], frame; /* layers, their units, values that go in */
	int64_t query, attention, filters, location_kernel, decoder;
	int64_t dynamic_filters, dynamic_kernel, prior; /* of dynamic convolution attention */
	int64_t mels, stored, reduction;     /* frames that the projection makes and that are used */
	int64_t postnets;
	taco_conv postnet[TACO_MAX_LAYERS];
	int64_t speakers;                    /* rows of the speakers' table */
} taco_settings;

/* 1: NVIDIA, 2: Coqui, 0: another model. */
int taco_layout(const char *path);
/* Reads config.json or hparams.json. Errors: SN_E_FORMAT, SN_E_MODEL (a wrong key), SN_E_UNSUPPORTED (an option by its name). */
int taco_settings_read(taco_settings *s, const char *path, char *err);
/* The sizes of the weights, against what was stated. Errors: SN_E_MODEL, SN_E_LIMIT. */
int taco_settings_bind(taco_settings *s, const sn_weights *w, char *err);

/* Names of tensors that the layouts call differently, without ".weight". */
typedef enum taco_name {
	TACO_CONV, TACO_CONV_NORM, TACO_PRENET_LAYER, TACO_QUERY_LAYER, TACO_MEMORY_LAYER, TACO_ENERGY_LAYER, TACO_LOCATION_CONV,
	TACO_LOCATION_DENSE, TACO_STOP, TACO_POSTNET, TACO_POSTNET_NORM
} taco_name;
/* With the prefix, `suffix` behind and a layer's number in it. */
const char *taco_tensor(const taco_settings *s, taco_name name, int layer, const char *suffix, char out[2 * SN_WEIGHTS_MAX_NAME]);

/* Whether the attention's weights are made outside of the graphs: each step is two graphs then. */
static inline int taco_split(const taco_settings *s) { return s->windowing || s->forward; }
/* Rows before and behind that a finished frame depends on. */
static inline int taco_reach(const taco_settings *s) {
	int64_t reach = 0;
	for (int64_t i = 0; i < s->postnets; i++) reach += (s->postnet[i].kernel - 1) / 2;
	return (int)reach;
}

/* ---- graphs (tacotron2_graph.c) ---- */

typedef struct taco_recorder {
	nn_graph *g;
	const taco_settings *s;
	const sn_weights *w;
} taco_recorder;

/* ids, reversed (symbols - 1, .., 0) [symbols] -> encoder_out [symbols, encoder], processed [symbols, attention] (not for dynamic
 * convolutions); with a style or speakers voice [1, style + vector] and zeros [symbols] -> memory [symbols, memory] */
void taco_record_text(taco_recorder *r);
/* One step: frame [1, frame], keep0.. [1, units], context [1, memory], query, query_cell [1, query], hidden, cell [1, decoder],
 * location [symbols, 2] (weights of the step before and their sum), processed, memory -> mel [1, stored * mels], stop [1, 1]
 * (a logit), alignment [symbols, 1], next_context, next_query, next_query_cell, next_hidden, next_cell. Split: to energies
 * [symbols, 1], */
void taco_record_step(taco_recorder *r);
/* and from alignment, query, memory, hidden and cell on; with a transition agent also move [1, 1] (a logit). */
void taco_record_rest(taco_recorder *r);
/* x [rows, mels] -> y, right where all rows of its reach are at hand, or the utterance begins or ends */
void taco_record_postnet(taco_recorder *r);

/* ---- attention outside of graphs (tacotron2_attend.c) ---- */

typedef struct taco_attend {
	int window;      /* symbol that the last step attended to most, -1 at first */
	float move;      /* probability to move on, of the transition agent */
	float *previous; /* [symbols] weights of the step before, at first all on the first symbol */
} taco_attend;

void taco_attend_begin(taco_attend *a, int symbols);
/* energies[symbols] (changed) -> normal: weights as the location layer is to see them summed; weights: those that make
 * the context */
void taco_attend_run(taco_attend *a, const taco_settings *s, float *energies, int symbols, float *normal, float *weights);

/* ---- the attention watch (tacotron2_watch.c) ---- */

typedef enum taco_trouble { TACO_FINE, TACO_STILL, TACO_END /* it rests on the text's end */, TACO_BACK, TACO_SKIP } taco_trouble;

typedef struct taco_watch {
	int symbols, still_steps, end_steps; /* limits */
	int anchor, still;                   /* where a sharp attention rests, and for how many steps */
	int moves, jumps;                    /* of that place: on by a stride, and elsewhere */
	int furthest, candidate, stay;       /* furthest symbol that was held; another place, and for how many steps */
	int steps, sharp;                    /* of the utterance */
} taco_watch;

void taco_watch_begin(taco_watch *w, int symbols, double steps_a_second);
/* Each trouble is told once. */
taco_trouble taco_watch_step(taco_watch *w, const float *alignment);
/* 1: so far the attention went through the text as that of a trained model does. */
int taco_watch_reads(const taco_watch *w);
/* 1: the attention was never sharp for long, so that nothing can be said about it. */
int taco_watch_flat(const taco_watch *w);

#endif
