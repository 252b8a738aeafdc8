/* Shared by the files of Bark: configuration, graphs, sampling, generation, voices and text. */
#ifndef SN_MODELS_BARK_INTERNAL_H
#define SN_MODELS_BARK_INTERNAL_H

#include "models/bark.h"
#include "models/encodec.h"
#include "text/wordpiece.h"

#define BARK_MAX_LAYERS 96
#define BARK_MAX_WIDTH 8192
#define BARK_MAX_VOCAB (1 << 20)
#define BARK_MAX_BLOCK 16384    /* positions of a transformer */
#define BARK_MAX_BOOKS 32
#define BARK_MAX_LANGUAGES 128
#define BARK_MAX_EMOTIONS 16
#define BARK_ROWS 128           /* rows of one run of a prompt */
#define BARK_HEAD_ROWS 128      /* rows of one run of a fine head */
#define BARK_SENTENCE_BYTES 200 /* of text that is spoken in the 13 seconds that one window is good for */

/* ---- configuration (bark_config.c) ---- */

typedef struct bark_gpt_config {
	int width, heads, layers, block, in, out, bias; /* block: positions; in, out: vocabularies */
} bark_gpt_config;

typedef struct bark_sampling {
	int sample; /* 0: greedy */
	double temperature, top_p;
	int top_k; /* 0: all */
} bark_sampling;

typedef struct bark_config {
	struct {
		bark_gpt_config gpt;
		bark_sampling sampling;
		int eos, text_offset, text_pad, infer, vocab, length, most; /* length: of the text; most: new tokens. eos is the pad token too */
		int least;            /* new tokens before the first eos */
		double rate, min_eos; /* tokens a second; least probability of eos that ends the utterance, 0: none */
	} semantic;
	struct {
		bark_gpt_config gpt;
		bark_sampling sampling;
		int pad, infer, books, length, history, window;
		double rate; /* frames a second */
	} coarse;
	struct {
		bark_gpt_config gpt;
		double temperature; /* 1: greedy, as the reference reads it */
		int total, given, tied, history, length, books;
	} fine;
	int codebook, sample_rate;
	double ratio;         /* coarse tokens for one semantic token */
	int semantic_history; /* semantic tokens before the present ones in the coarse transformer's input */
	int most_tokens, most_frames; /* of one utterance */
} bark_config;

/* Reads config.json (*root is the caller's) and generation_config.json of a directory and checks that they fit each other. */
int bark_config_read(bark_config *c, json_t **root, const char *dir, char *err);

/* ---- graphs (bark_graph.c) ---- */

typedef struct bark_recorder {
	nn_graph *g;
	const bark_gpt_config *c;
	const sn_weights *weights;
	const char *prefix; /* "semantic", "coarse_acoustics", "fine_acoustics" */
	int fine;           /* not causal, layer norms always have a bias */
	int64_t rows;
} bark_recorder;

/* x [rows, width] (embeddings and positions added), position, slot [rows], table [rows, block], wanted [1] -> logits [1, out] */
void bark_record_causal(bark_recorder *r);
/* x [rows, width] -> hidden [rows, width] */
void bark_record_fine(bark_recorder *r);
/* hidden [rows, width] -> logits [rows, out]; `weight` is the tensor's name */
void bark_record_head(bark_recorder *r, const char *weight);

/* ---- sampling (bark_sample.c) ---- */

typedef struct bark_allowed {
	int first, last, extra; /* ids first .. last - 1, and `extra` where it is not -1 */
} bark_allowed;

/* A number in [0, 1), a pure function of its arguments, the same on every machine. */
double bark_uniform(uint64_t seed, uint32_t stage, uint64_t index);
/* The id that the logits give among those allowed. scratch has room for 2 * (ids + 1) floats. */
int bark_pick(const float *logits, bark_allowed allowed, const bark_sampling *how, double uniform, float *scratch);
/* The probability of allowed.extra among those allowed. */
double bark_probability(const float *logits, bark_allowed allowed);

/* ---- the model (bark.c) ---- */

typedef struct bark_gpt_part {
	nn_plan *plan;
	const bark_gpt_config *c;
	const sn_weight *tokens, *positions; /* [in, width], [block, width] */
} bark_gpt_part;

typedef struct bark_model {
	bark_config config;
	sn_synth_facts facts;
	char *dir;
	json_t *presets; /* speaker_embeddings_path.json, or NULL */
	const char **preset_names;
	char (*language_codes)[8];
	const char **languages;
	const char *emotions[BARK_MAX_EMOTIONS];
	sn_weights *weights;
	sn_wordpiece *wordpiece;
	nn_pack *pack;
	nn_pool *pool;
	sn_encodec *codec;
	bark_gpt_part semantic, coarse;
	struct {
		nn_plan *body, *heads[BARK_MAX_BOOKS]; /* heads: by code book, NULL for those that are given */
		const sn_weight *tokens[BARK_MAX_BOOKS], *positions;
	} fine;
} bark_model;

/* ---- generation (bark_generate.c) ---- */

typedef struct bark_run { /* a causal transformer with its cache */
	const bark_gpt_part *part;
	nn_exec *exec;
	int32_t *ids, *added; /* [block]: what is or will be at each position; added: a second token whose embedding is added, -1: none */
	int held, wanted;     /* positions in the cache; positions asked for */
	int running;          /* positions at work, 0: none */
	float *logits;        /* [out], of the last position */
} bark_run;

typedef struct bark_prompt { /* tokens of a voice: semantic [n], coarse [2, n], fine [8, n] */
	int32_t *tokens[3];
	int count[3];
} bark_prompt;

typedef enum bark_stage { BARK_SEMANTIC, BARK_COARSE, BARK_FINE, BARK_CODEC, BARK_ENDED } bark_stage;

typedef struct bark_stream {
	bark_model *model;
	bark_run semantic_run, coarse_run;
	nn_exec *fine_exec, *head_exec[BARK_MAX_BOOKS];
	sn_encodec_stream *codec;
	bark_stage stage;
	uint64_t seed;
	bark_sampling semantic_sampling, coarse_sampling;
	double fine_temperature;
	int forced;           /* frames that must come; 0: as many as the model says */
	int own;              /* the tokens of this utterance become the voice of those that follow */
	bark_prompt drawn;    /* that voice; counts of 0: none yet */
	const bark_prompt *history; /* of this utterance, or NULL */
	bark_prompt given;    /* a copy of the voice of the options */
	int limit, limited;   /* most semantic tokens, and whether the text's length says so */

	int32_t *semantic;    /* history, then [most_tokens] */
	int semantic_before, semantic_count;
	int32_t *coarse;      /* history, then [most_frames * books] */
	int coarse_before, coarse_count, coarse_wanted; /* coarse_wanted: new tokens in all */
	int window_step, window_steps; /* of the present coarse window; 0, 0: begin the next one */
	int32_t *fine;        /* [rows, books] */
	int fine_rows, fine_before, frames; /* rows in all, of history; new frames */
	int loop, loops, book, running; /* window and code book; whether the transformer is at work */
	int32_t *codes;       /* [books, frames] */
	float *scratch;
	int64_t quiet, longest_quiet; /* samples without sound */
	char remark[160];
	int watch;
	struct {
		float *semantic, *coarse, *fine[BARK_MAX_BOOKS];
		int semantic_steps, coarse_steps;
	} watched;
} bark_stream;

/* Begins an utterance: the stream's seed, sampling, history and limits are set. */
int bark_generate_start(bark_stream *s, const int32_t *ids, int count, char *err);
/* A piece of work of the stages before the codec. */
int bark_generate_next(bark_stream *s, char *err);

/* ---- voices (bark_voice.c) ---- */

int bark_voices_open(bark_model *m, char *err);
void bark_voices_close(bark_model *m);
int bark_voice_read(const bark_model *m, const char *name, sn_voice *voice, char *err);
/* SN_OK, or SN_E_ARGUMENT when the voice's tokens are none of this model's. */
int bark_voice_check(const bark_model *m, const sn_voice *voice, char *err);

/* ---- text (bark_text.c) ---- */

int bark_emotion_list(const char *names[BARK_MAX_EMOTIONS]); /* returns how many */
int bark_encode(const bark_model *m, const char *text, size_t size, const sn_synth_options *options, sn_synth_emit emit, void *payload,
                int *missing, char *err);

#endif
