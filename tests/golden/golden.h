/* Goldens: a checkpoint's tensors against a reference implementation's, in the debug plan and in the fused plan.
 *
 * An adapter knows one architecture: it runs the checkpoint and hands over its tensors by the names in expected.safetensors.
 * In the debug plan every expected tensor must be compared or used as an input; in the fused plan each stage's output. */
#ifndef SN_TESTS_GOLDEN_H
#define SN_TESTS_GOLDEN_H

#include "nn/nn.h"
#include "weights/weights.h"

typedef struct golden golden;

typedef struct golden_adapter {
	const char *name;
	/* Whether the model (a directory, or a file such as a Piper voice's .onnx) is of this architecture. */
	int (*accepts)(const char *model);
	/* One pass: loads the checkpoint with debug plans or fused f32 plans, runs it, compares. Returns an sn_result; tensors out
	 * of bounds are no error of the pass, main counts them. */
	int (*run)(golden *g, char *err);
} golden_adapter;

extern const golden_adapter golden_whisper, golden_vits, golden_piper, golden_silero;
extern const golden_adapter golden_fastspeech2;
extern const golden_adapter golden_vocoder;
extern const golden_adapter golden_speecht5, golden_xvector;
extern const golden_adapter golden_yourtts;
extern const golden_adapter golden_wav2vec2;
extern const golden_adapter golden_deepfilter;
extern const golden_adapter golden_bark;
extern const golden_adapter golden_tacotron2;
extern const golden_adapter golden_bert;
extern const golden_adapter golden_dnsmos;

/* ---- what is being run ---- */
int golden_debug(const golden *g);         /* 1: this pass uses debug plans */
const char *golden_dir(const golden *g);   /* the fixture: clips, expected.json and tokenizer cases lie here */
const char *golden_model(const golden *g); /* the checkpoint's directory or file */
nn_pool *golden_pool(const golden *g);
nn_backend *golden_backend(const golden *g); /* NULL: this library's kernels */
int golden_new_tokens(const golden *g);    /* "at most N new tokens" of the fixture's README; 0 when it says none */

/* ---- expected tensors ---- */
size_t golden_count(const golden *g);
const sn_weight *golden_at(const golden *g, size_t index);
const sn_weight *golden_find(const golden *g, const char *name); /* NULL when the fixture has no such tensor */

/* The values of an expected tensor that is an input of the reference's run, as float or int32 (converted from its own type);
 * marks it as used, so that it needs no comparison. NULL when there is none. *count (may be NULL) receives the elements.
 * Borrowed until the pass ends. */
const float *golden_input(golden *g, const char *name, int64_t *count);
const int32_t *golden_input_ids(golden *g, const char *name, int64_t *count);
/* As above without marking: to read an expected result (for instance how many tokens it has). */
const float *golden_floats(golden *g, const char *name, int64_t *count);
const int32_t *golden_ids(golden *g, const char *name, int64_t *count);

/* ---- comparing ---- (each prints its line; a name that the fixture lacks is ignored, so adapters can offer all they have) */
typedef enum golden_kind {
	GOLDEN_TENSOR, /* relative L2 <= 1e-4 and max abs <= 2e-4 x max(1, largest expected) */
	GOLDEN_SIGNAL  /* waveforms and mels: the same with max abs <= 2e-5 x max(1, largest expected) */
} golden_kind;

/* `count` values in the expected tensor's own order (row-major); a count that differs from the expected size fails. */
void golden_compare(golden *g, const char *name, const float *values, int64_t count, golden_kind kind);
void golden_compare_ids(golden *g, const char *name, const int32_t *values, int64_t count); /* equal, or it fails */

/* As golden_compare for names of the form base, base_rowsA_B (last axis but one), base_framesA_B (last axis), base_last_frame,
 * base_row_norms (L2 over the last axis) and base_rowsum_firstN: takes the part out of values[dims] and compares it. */
void golden_offer(golden *g, const char *base, const float *values, int rank, const int64_t *dims, golden_kind kind);
/* A single figure of the reference that is no tensor (from expected.json): |value - expected| <= bound. */
void golden_compare_value(golden *g, const char *name, double value, double expected, double bound);

#endif
