/* Plans and execs run by ONNX Runtime: what plan.c and exec.c hand on to. */
#ifndef SN_NN_ORT_ORT_H
#define SN_NN_ORT_ORT_H

#include "nn/nn.h"
#include "nn/ort/lower.h"

typedef struct nn_ort_plan nn_ort_plan;
typedef struct nn_ort_exec nn_ort_exec;

int nn_ort_plan_new(nn_ort_plan **out, const nn_graph *g, nn_backend *backend, int debug, char *err);
void nn_ort_plan_free(nn_ort_plan **plan);

int nn_ort_exec_new(nn_ort_exec **out, nn_ort_plan *plan, const nn_graph *g, char *err);
void nn_ort_exec_free(nn_ort_exec **exec);
int nn_ort_exec_share(nn_ort_exec *exec, nn_ort_exec *owner, char *err);
void *nn_ort_exec_input(nn_ort_exec *exec, const char *name);
/* Runs the graph at these extents. A failure leaves zeros in every output. */
int nn_ort_exec_run(nn_ort_exec *exec, const int64_t *symbols, char *err);
const float *nn_ort_exec_output(nn_ort_exec *exec, const char *name, const int64_t *symbols, int64_t *dims);
int nn_ort_exec_tensor(nn_ort_exec *exec, const char *name, const int64_t *symbols, float **values, int *rank, int64_t *dims, char *err);

/* ---- providers ---- */

typedef enum nn_provider { PROVIDER_CPU, PROVIDER_CUDA, PROVIDER_TENSORRT, PROVIDER_OPENVINO, PROVIDER_COUNT } nn_provider;

#define NN_PROVIDER_OPTIONS 16
#define NN_PROVIDER_NEWEST "use_tf32" /* CUDA's: float32 shall be that */

/* What a provider is told about one graph, as it wants it: names and values. */
typedef struct nn_provider_options {
	int count;
	const char *key[NN_PROVIDER_OPTIONS], *value[NN_PROVIDER_OPTIONS];
	char *text; /* owns the values that are made */
} nn_provider_options;

/* "ort", "ort:cpu", "ort:cuda", ..; 0 when it is none of them. */
int nn_provider_of(const char *backend, nn_provider *out);
const char *nn_provider_name(nn_provider provider);        /* "cuda" */
const char *nn_provider_full_name(nn_provider provider);   /* "CUDAExecutionProvider" */
/* `cache`: a directory for this graph when it was compiled, or NULL. exact: TensorRT may not use float16. Shapes of its profiles come from
 * the symbols' maxima. */
int nn_provider_options_make(nn_provider_options *out, nn_provider provider, const nn_lowered *lowered, const nn_graph *g, const char *cache,
                             int threads, int exact, char *err);
void nn_provider_options_free(nn_provider_options *options);

#endif
