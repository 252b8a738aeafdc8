/* Neural networks as recorded graphs.
 *
 * A model records a graph once: ops on shaped tensors, nothing is computed. nn_plan_compile() folds constants, fuses,
 * places every tensor in one arena by liveness, and packs weights for the kernels of this CPU (the packed form is kept on
 * disk, see nn_pack). An nn_exec is one runnable instance of a plan: arena, inputs, outputs and states.
 *
 * Layout. Activations are row-major with channels last: [time, channels], [batch, time, channels] or [rows, channels].
 * Dimensions may be symbolic with a stated maximum (nn_symbol): a graph is planned once for the maxima and run with the
 * extents of the moment. Values that ops read and write are float32 as far as a model can see; int32 for ids and indices.
 *
 * Errors while recording are sticky: a failed op returns NN_NONE, later ops on NN_NONE do nothing, and nn_plan_compile()
 * reports the first sentence. So model code records without checks.
 *
 * Determinism: the order of every reduction is fixed by the shape of one row, never by batch, rows or threads; the same
 * row gives the same bytes whatever else runs beside it.
 */
#ifndef SN_NN_NN_H
#define SN_NN_NN_H

#include "base/error.h"
#include "weights/weights.h"

#define NN_MAX_RANK 4
#define NN_MAX_SYMBOLS 8
#define NN_NAME 64

typedef int nn_t; /* a tensor of a graph */
#define NN_NONE (-1)

typedef struct nn_graph nn_graph;

/* An extent: (mul * symbol + add) / div, rounded down; symbol -1: the constant `add`. */
typedef struct nn_dim {
	int16_t symbol;
	int32_t mul, div;
	int64_t add;
} nn_dim;

static inline nn_dim nn_fix(int64_t extent) { return (nn_dim){ -1, 0, 1, extent }; }

typedef enum nn_type { NN_F32, NN_I32 } nn_type;

/* ---- recording ---- */

/* NULL when out of memory. `name` (model and graph, e.g. "whisper.encoder") prefixes packed weights and messages. */
nn_graph *nn_graph_new(const char *name);
void nn_graph_free(nn_graph **graph); /* a plan does not need its graph any more once compiled */
const char *nn_graph_error(const nn_graph *graph); /* "" or the first error */

/* Declares a symbolic extent between 1 and most; the same name gives the same symbol. */
nn_dim nn_symbol(nn_graph *g, const char *name, int64_t most);
nn_dim nn_dim_add(nn_dim d, int64_t n);
nn_dim nn_dim_mul(nn_dim d, int32_t n);          /* only where d.div == 1 */
nn_dim nn_dim_div(nn_dim d, int32_t n);          /* rounds down */

nn_t nn_input(nn_graph *g, const char *name, nn_type type, int rank, const nn_dim *dims);
/* A checkpoint tensor as it is; the weights must stay open until the plan is compiled, and as long as any exec of a plan
 * lives that gathers rows from it (embedding tables are read where they lie). NULL weight: sticky error naming `what`. */
nn_t nn_weight(nn_graph *g, const sn_weight *weight, const char *what);
/* As above but checked: rank and dims must equal those given (-1 matches any). */
nn_t nn_weight_shaped(nn_graph *g, const sn_weights *w, const char *name, int rank, const int64_t *dims);
/* A constant, copied. */
nn_t nn_const(nn_graph *g, const char *name, int rank, const int64_t *dims, const float *values);
/* Names a tensor, so that a debug plan exposes it and messages can say it. Returns t. printf-like. */
nn_t nn_name(nn_graph *g, nn_t t, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Makes t an output under that name (float32, contiguous, readable after a run until the next). */
void nn_output(nn_graph *g, nn_t t, const char *name);

int nn_rank(const nn_graph *g, nn_t t);

/* ---- ops ---- (x: activation, w/b/gamma/...: constants; b may be NN_NONE) */

typedef enum nn_act {
	NN_IDENTITY, NN_RELU, NN_LEAKY_RELU /* param: slope */, NN_GELU /* erf form */, NN_GELU_TANH, NN_SILU, NN_TANH, NN_SIGMOID,
	NN_EXP, NN_LOG, NN_SQRT, NN_SOFTPLUS, NN_NEG, NN_ABS, NN_CLAMP_MIN /* param: least */, NN_ELU /* alpha 1 */
} nn_act;

nn_t nn_unary(nn_graph *g, nn_act act, nn_t x, float param);
typedef enum nn_binary_op { NN_ADD, NN_SUB, NN_MUL, NN_DIV } nn_binary_op;
/* y has x's shape, or is a row [C] or [1, C] applied to every row of x, or a single value [1]. */
nn_t nn_binary(nn_graph *g, nn_binary_op op, nn_t x, nn_t y);
nn_t nn_affine(nn_graph *g, nn_t x, float scale, float shift); /* x * scale + shift */

/* [.., K] x w[N, K]^T + b[N] -> [.., N] */
nn_t nn_linear(nn_graph *g, nn_t x, nn_t w, nn_t b);

typedef struct nn_conv {
	int stride, dilation, pad_left, pad_right, groups; /* zero stride, dilation or groups read as 1; zero padding values */
} nn_conv;
/* x[T, Cin] (or [B, T, Cin]), w[Cout, Cin/groups, k], b[Cout] -> [(T + pads - dilation*(k-1) - 1) / stride + 1, Cout] */
nn_t nn_conv1d(nn_graph *g, nn_t x, nn_t w, nn_t b, nn_conv c);
/* x[T, Cin], w[Cin, Cout, k], b[Cout] -> [(T-1)*stride - 2*pad + k, Cout]   (torch's ConvTranspose1d, groups 1) */
nn_t nn_conv_transpose1d(nn_graph *g, nn_t x, nn_t w, nn_t b, int stride, int pad);

nn_t nn_layer_norm(nn_graph *g, nn_t x, nn_t gamma, nn_t beta, float eps); /* over the last axis; beta may be NN_NONE */
/* Each column over all rows of x[T, C]: (x - mean) / sqrt(var + eps) * gamma + beta, variance over T (torch's InstanceNorm1d, and
 * GroupNorm with as many groups as channels); gamma and beta may be NN_NONE. */
nn_t nn_norm_rows(nn_graph *g, nn_t x, nn_t gamma, nn_t beta, float eps);
nn_t nn_gated_tanh(nn_graph *g, nn_t x); /* [T, 2C] -> tanh(first half) * sigmoid(second half) -> [T, C] */

nn_t nn_slice_cols(nn_graph *g, nn_t x, int64_t first, int64_t count);
nn_t nn_concat_cols(nn_graph *g, nn_t a, nn_t b);
nn_t nn_flip_cols(nn_graph *g, nn_t x); /* column c becomes column C-1-c */
nn_t nn_reshape(nn_graph *g, nn_t x, int rank, const nn_dim *dims);    /* same element order */

/* Rows [first, T - drop_last) of x[T, C]; a view. */
nn_t nn_trim_rows(nn_graph *g, nn_t x, int64_t first, int64_t drop_last);
/* `left` rows before and `right` after x[T, C]: its first and last row repeated, mirrored without the edge (torch's reflect, which
 * needs more than max(left, right) rows: shorter x mirrors within what it has), or zeros. */
typedef enum nn_pad { NN_PAD_ZERO, NN_PAD_REPEAT, NN_PAD_REFLECT } nn_pad;
nn_t nn_pad_rows(nn_graph *g, nn_t x, int64_t left, int64_t right, nn_pad how);
/* Over the rows of x[T, C]: softmax of each column -> [T, C]; sum or mean of each column -> [1, C]. */
nn_t nn_softmax_rows(nn_graph *g, nn_t x);
nn_t nn_sum_rows(nn_graph *g, nn_t x);
nn_t nn_mean_rows(nn_graph *g, nn_t x);
nn_t nn_max_rows(nn_graph *g, nn_t x); /* the largest of each column -> [1, C] */
/* Patches of an image x[H, W, C] (fixed W and C) for a 2-D convolution as a linear layer: -> [Ho, Wo, kh*kw*C], element
 * (i*kw + j)*C + c of a patch from row h*stride_h + i - pad_h, column w*stride_w + j - pad_w; zeros outside. */
nn_t nn_unfold(nn_graph *g, nn_t x, int kh, int kw, int stride_h, int stride_w, int pad_h, int pad_w);
/* The largest value of each channel in each kh x kw patch of an image, no padding: -> [(H - kh) / stride_h + 1, .., C] */
nn_t nn_max_pool(nn_graph *g, nn_t x, int kh, int kw, int stride_h, int stride_w);

/* out[i] = table[ids[i]] : table [V, C] weight, constant or activation; ids int32 [N]. Ids outside are the caller's duty to check;
 * they read as row 0. */
nn_t nn_gather_rows(nn_graph *g, nn_t table, nn_t ids);

typedef struct nn_attn {
	int heads;
	float scale;          /* applied to q.k */
	int causal;           /* row t sees keys 0..t */
	int window;           /* with rel_k/rel_v: relative positions -window..window (VITS, Shaw et al. 2018) */
	nn_t rel_k, rel_v;    /* [2*window+1, head size] constants or NN_NONE (set both to NN_NONE when unused!); rel_v may lack alone */
	int rel_clip;         /* positions farther than the window take the window's edge (SpeechT5); 0: they take nothing (VITS) */
	/* Transformer-XL (Dai et al. 2019): scores = scale * ((q + u) k^T + shift((q + v) pos^T)). The caller gives q + u as q, and
	 * here q + v [T, D] and pos [2T-1, D], row r for distance T-1-r (query minus key): rows descend from T-1 to 1-T. Zero-
	 * initialised options have no such term: it is used where `shifted` is set. */
	int shifted;
	nn_t shifted_q, shifted_pos;
} nn_attn;
/* softmax(scale * q k^T (+ relative)) v per head. q[T, D], k[S, D], v[S, D] -> [T, D]; head h is columns h*D/heads...
 * probs (may be NULL) receives the tensor [heads, T, S]; asking for it makes the plan compute and store it. */
nn_t nn_attention(nn_graph *g, nn_t q, nn_t k, nn_t v, nn_attn a, nn_t *probs);

/* Keys and values of a finished sequence, packed for many queries (cross attention).
 * nn_kv_write stores k[S, D], v[S, D] at entry slot[0] (int32 [1]) of a kv state made by nn_kv_state, whose `length` is S or, where S
 * is symbolic, its maximum: an entry holds as many keys as were last written.
 * nn_kv_attention: row r of q[R, D] attends to all keys of entry slot[r] (int32 [R]) -> [R, D]; probs [heads, R, length], zero beyond.
 * Rows with equal slots should be neighbours: they are computed together. */
nn_t nn_kv_state(nn_graph *g, const char *name, int64_t slots, int64_t length, int64_t width, int heads);
nn_t nn_kv_write(nn_graph *g, nn_t state, nn_t k, nn_t v, nn_t slot);
nn_t nn_kv_attention(nn_graph *g, nn_t q, nn_t state, nn_t slot, float scale, nn_t *probs);

/* A cache that grows by rows (self attention of a decoder). State made by nn_cache_state: [slots, length, width] for k and v.
 * Each run: row r's k, v are first written at (slot[r], position[r]); then row r attends to positions 0..position[r], where the
 * entry of position p is read from slot table[r * length + p]: int32 table [R, length]. Beams share history by their tables;
 * several rows of one sequence in one run (a prompt) see each other's new entries. -> [R, D]; probs [heads, R, length].
 * k and v both NN_NONE: nothing is written, rows attend to what is there (cross attention over a sequence of any length, written
 * before by nn_cache_write: position is then its length - 1). */
nn_t nn_cache_state(nn_graph *g, const char *name, int64_t slots, int64_t length, int64_t width, int heads);
nn_t nn_cache_attention(nn_graph *g, nn_t q, nn_t k, nn_t v, nn_t state, nn_t slot, nn_t position, nn_t table, float scale, nn_t *probs);

/* Stores k[R, D], v[R, D] at (slot[r], position[r]). Its result is no tensor; the step is kept all the same, as nn_kv_write's is. */
nn_t nn_cache_write(nn_graph *g, nn_t state, nn_t k, nn_t v, nn_t slot, nn_t position);

/* torch's LSTMCell over rows in sequence: x[T, I], h0[1, H], c0[1, H], w_ih[4H, I], w_hh[4H, H], b_ih[4H], b_hh[4H], gates i f g o.
 * -> h of every step [T, H]; *last_h, *last_c (may be NULL) [1, H]. */
nn_t nn_lstm(nn_graph *g, nn_t x, nn_t h0, nn_t c0, nn_t w_ih, nn_t w_hh, nn_t b_ih, nn_t b_hh, nn_t *last_h, nn_t *last_c);

/* torch's GRU over rows in sequence: x[T, I], h0[1, H], w_ih[3H, I], w_hh[3H, H], b_ih[3H], b_hh[3H], gates r z n:
 * n = tanh(x_n + r * (w_hn h + b_hn)), h' = (1 - z) n + z h. -> h of every step [T, H]; *last_h (may be NULL) [1, H]. */
nn_t nn_gru(nn_graph *g, nn_t x, nn_t h0, nn_t w_ih, nn_t w_hh, nn_t b_ih, nn_t b_hh, nn_t *last_h);

/* One LSTM cell of a step graph, for R sequences side by side: gates[R, 4H] (order i f g o; the caller's nn_linear over [input, h],
 * which runs in the plan's precision on all threads), c[R, H] -> h[R, H], *next_c [R, H]. */
nn_t nn_lstm_cell(nn_graph *g, nn_t gates, nn_t c, nn_t *next_c);

/* Inverse of the piecewise rational quadratic spline (Durkan et al. 2019, as VITS's stochastic duration predictor uses it):
 * x[T, 1], params[T, 3*bins-1] = widths, heights (already divided by sqrt(filter channels) by the caller's nn_affine where the
 * reference does so), derivatives; linear tails outside [-bound, bound]. -> [T, 1] */
nn_t nn_spline_inverse(nn_graph *g, nn_t x, nn_t params, int bins, float bound);

/* Constant expressions: elementwise ops and reshapes of constants are folded at compile time. These only make sense there: */
nn_t nn_fold_weight_norm(nn_graph *g, nn_t weight_g, nn_t weight_v); /* g * v / |v|, norm over all but axis 0 */
nn_t nn_fold_weight_norm_last(nn_graph *g, nn_t weight_g, nn_t weight_v); /* rank 3, norm over all but axis 2 (Wav2Vec2's positions) */
nn_t nn_fold_scale(nn_graph *g, nn_t w, nn_t scale); /* row i of axis 0 times scale[i]: a batch norm folded into its layer */
nn_t nn_fold_concat(nn_graph *g, nn_t a, nn_t b);    /* matrices [N, K1], [N, K2] -> [N, K1+K2]: LSTM's w_ih and w_hh side by side */
nn_t nn_fold_rows(nn_graph *g, nn_t w, int64_t first, int64_t count); /* rows of axis 0: cuts a fused QKV matrix */

/* ---- plans ---- */

typedef enum nn_dtype { NN_DTYPE_F32, NN_DTYPE_BF16, NN_DTYPE_INT8 } nn_dtype;

struct nn_kernels; /* cpu/kernels.h */
typedef struct nn_pack nn_pack;
typedef struct nn_plan nn_plan;
typedef struct nn_exec nn_exec;
typedef struct nn_pool nn_pool;

/* Packed weights on disk: one file per checkpoint, dtype and instruction set. `path` NULL keeps them in memory only. The file
 * is mapped when it fits `key`; otherwise weights are packed while plans compile and nn_pack_save writes it (atomically). A
 * failed save is no error for the caller: everything works from memory, and *note says why it was not kept. */
int nn_pack_open(nn_pack **out, const char *path, uint64_t key, char *err);
int nn_pack_save(nn_pack *pack, char *note);
void nn_pack_close(nn_pack **pack);

/* What runs plans; NULL is this library's own kernels.
 * `name`: "cpu" (*out is NULL) | "ort" | "ort:cpu" | "ort:cuda" | "ort:tensorrt" | "ort:openvino": ONNX Runtime and one of its providers.
 * SN_E_ARGUMENT for any other name; SN_E_DEPENDENCY where the library, the provider or this build lacks what it takes: says what to install.
 * Close it after all plans. Such a plan computes in float32 whatever `dtype` says. */
typedef struct nn_backend nn_backend;
typedef struct nn_backend_options {
	int threads;      /* that a run may use */
	int exact;        /* float32 was asked for: TensorRT may not use float16 */
	const char *home; /* HOME/onnxruntime may hold the library, HOME/onnxruntime-cache keeps compiled graphs; may be NULL */
} nn_backend_options;
int nn_backend_open(nn_backend **out, const char *name, const nn_backend_options *options, char *err);
void nn_backend_close(nn_backend **backend);
const char *nn_backend_label(const nn_backend *backend); /* "cpu", or provider, version and precision: for messages */

typedef struct nn_exports nn_exports; /* export.h */

typedef struct nn_plan_options {
	nn_backend *backend;              /* NULL: this library's kernels. Must outlive the plan */
	nn_exports *exports;              /* where the graph is written to as ONNX; such a plan reads no weights and cannot run */
	nn_dtype dtype;
	int debug;                        /* fuse nothing, keep every tensor readable, f32 only */
	const struct nn_kernels *kernels; /* NULL: the best of this CPU (nn_kernels_best) */
	nn_pack *pack;                    /* NULL: in memory. Must outlive the plan */
} nn_plan_options;

int nn_plan_compile(nn_plan **out, const nn_graph *graph, const nn_plan_options *options, char *err);
void nn_plan_release(nn_plan **plan); /* execs hold a reference */

/* Bytes that a graph would take: packed weights and constants, an exec's own memory for the symbols' maxima, and its states. No weight is read. */
typedef struct nn_need { size_t weights, work, states; } nn_need;
int nn_plan_measure(nn_need *need, const nn_graph *graph, const nn_plan_options *options, int threads, char *err);

/* Threads that run steps, the caller's thread not among them: `threads` >= 1 workers. Workers flush denormals. */
int nn_pool_open(nn_pool **out, int threads, char *err);
void nn_pool_close(nn_pool **pool);
int nn_pool_threads(const nn_pool *pool);
/* Calls fn(payload, task, worker) for task 0..tasks-1 on the pool's workers, in any order; returns when all are done. */
void nn_pool_run(nn_pool *pool, void (*fn)(void *payload, int64_t task, int worker), void *payload, int64_t tasks);
/* Runs fn(payload) on worker 0 and waits: for code that itself calls nn_exec_run. Such code runs with worker 0 as leader. */
void nn_pool_call(nn_pool *pool, void (*fn)(void *payload), void *payload);

int nn_exec_new(nn_exec **out, nn_plan *plan, nn_pool *pool, char *err);
void nn_exec_free(nn_exec **exec);
/* Makes every state of `exec` that has a namesake in `owner` use owner's memory; SN_E_INTERNAL when their sizes differ. `owner` must
 * outlive exec. */
int nn_exec_share(nn_exec *exec, nn_exec *owner, char *err);

/* Lets execs that run strictly in turn work in one piece of memory: outputs of one are gone once another of them begins. Execs of debug
 * plans keep their own. Free them all before any runs again. */
void nn_exec_share_arena(nn_exec **execs, int count);

void nn_exec_set(nn_exec *exec, const char *symbol, int64_t extent);
/* The input's memory, sized for the maxima, contiguous for the extents of the run: fill it before each run. */
float *nn_exec_input(nn_exec *exec, const char *name);
int32_t *nn_exec_input_ids(nn_exec *exec, const char *name);
/* Runs the whole graph. Our own kernels never allocate and never fail. Another backend allocates where its library does (ONNX Runtime: what a run
 * makes on its way, and a binding when extents change), and may fail (SN_E_MEMORY, SN_E_INTERNAL, ..): then outputs are zeros, what the run should
 * have written to states is not to be used, and the exec runs again as if it had not happened. Whose run it was ends with that error. */
int nn_exec_run(nn_exec *exec, char *err) __attribute__((warn_unused_result));
/* Or in pieces: begin, then next until it returns SN_OK; SN_AGAIN means more is left; else it failed, and nothing is left. A piece is about
 * `budget` parts in 100 of the graph's arithmetic (1..100). Between pieces other execs may run on the pool. */
void nn_exec_begin(nn_exec *exec);
int nn_exec_next(nn_exec *exec, int budget, char *err) __attribute__((warn_unused_result));

/* An output after a run; dims (NN_MAX_RANK entries, may be NULL) receives the extents. Borrowed until the next run. */
const float *nn_exec_output(nn_exec *exec, const char *name, int64_t *dims);
/* Debug plans: any named tensor as float32, copied to malloc'ed *values (free() it). SN_E_NOT_FOUND when no tensor has the name. */
int nn_exec_tensor(nn_exec *exec, const char *name, float **values, int *rank, int64_t *dims, char *err);

/* Seconds of each region since the last call, when SONANT_PROFILE is set: written to the log. */
void nn_exec_profile(nn_exec *exec); /* NULL is a no-op */

#endif
