/* Networks that turn few rows into many (vocoders, decoders of speaking models), run in chunks of any sizes.
 *
 * The network is cut into stages, each with at most one upsampling, and each stage is a graph of its own. A stream keeps, before
 * every stage, the rows that its next output still depends on, so a stage computes each row once and beside it only what one block
 * of rows reaches over its ends. Pieces joined are what one run over the whole gives, but for the order of some sums. */
#ifndef SN_MODELS_GENERATOR_H
#define SN_MODELS_GENERATOR_H

#include "models/options.h"

#define SN_GENERATOR_MAX_STAGES 34

/* What a stage does to rows: something that reaches `before` rows to each side; an upsampling whose output row t is made of the
 * rows j with t = j * stride - left + m, 0 <= m < kernel; something that reaches `after` rows to each side. It makes
 * (rows - 1) * stride + kernel - left - right rows. Without upsampling stride and kernel are 1. */
typedef struct sn_generator_stage {
	int64_t in, out;          /* values of a row */
	int64_t widest;           /* values of its tensors' rows at the output's rate: sizes the blocks */
	int64_t before, after;
	int64_t stride, kernel, left, right;
} sn_generator_stage;

typedef struct sn_generator_shape {
	const char *name;         /* of the plans, with the stage's number behind it: "hifigan" */
	int stages;
	sn_generator_stage stage[SN_GENERATOR_MAX_STAGES];
	int64_t most;             /* output rows of one sn_generator_next */
	int64_t push;             /* input rows that must find room before them */
} sn_generator_shape;

/* Records stage `stage` upon x [rows, in] and returns its result [.., out]. At the utterance's ends the graph sees them as they are;
 * elsewhere it sees rows cut off, and what that spoils is not used. */
typedef nn_t (*sn_generator_record)(void *payload, nn_graph *graph, int stage, nn_t x);

typedef struct sn_generator sn_generator;
typedef struct sn_generator_stream sn_generator_stream;

/* Checks the shape and compiles the stages; `pack` outlives the generator. */
int sn_generator_open(sn_generator **out, const sn_generator_shape *shape, sn_generator_record record, void *payload,
                      const sn_load_options *load, nn_pack *pack, char *err);
void sn_generator_close(sn_generator **generator);
int sn_generator_stages(const sn_generator *generator);
int64_t sn_generator_hop(const sn_generator *generator);  /* output rows an input row */
int64_t sn_generator_more(const sn_generator *generator); /* output rows beyond input rows * hop */
/* For inputs besides x (a speaker's number): filled before sn_generator_next. */
nn_exec *sn_generator_exec(sn_generator *generator, int stage);

int sn_generator_stream_new(sn_generator_stream **out, sn_generator *generator, char *err);
void sn_generator_stream_free(sn_generator_stream **stream);
void sn_generator_start(sn_generator_stream *stream);
int64_t sn_generator_room(const sn_generator_stream *stream); /* input rows that a push may have */
void sn_generator_push(sn_generator_stream *stream, const float *rows, int64_t count);
void sn_generator_end(sn_generator_stream *stream); /* no more rows will be pushed */
/* The next output rows, at most `most`, as far as they depend on pushed rows only; or an error of nn_exec_run. */
int64_t sn_generator_next(sn_generator_stream *stream, int64_t most, float *out, char *err);
/* 1: every output row was given out. */
int sn_generator_ended(const sn_generator_stream *stream);

#endif
