/* ONNX Runtime, opened. */
#ifndef SN_NN_ORT_RUNTIME_H
#define SN_NN_ORT_RUNTIME_H

#include "nn/ort/ort.h"

#include <onnxruntime_c_api.h>

#define NN_ORT_API 17 /* the version of the C API that is asked for: ONNX Runtime 1.17 and all later ones have it */

struct nn_backend {
	void *library;
	const OrtApi *api;
	OrtEnv *env;
	OrtMemoryInfo *cpu; /* memory of this process */
	OrtMemoryInfo *device; /* NULL: states lie in this process' memory */
	nn_provider provider;
	int threads, exact; /* exact: no float16 in TensorRT */
	char label[64];    /* "ort:cpu, ONNX Runtime 1.17.0, f32" */
	char *cache;       /* directory of those for compiled graphs, or NULL */
	int in_place;      /* a state's new value may lie where the old one does */
	int pooled;        /* sessions share one pool of threads */
};

struct nn_ort_plan {
	nn_backend *backend;
	nn_lowered *lowered; /* its ports; the model's bytes are gone */
	OrtSession *session;
	char name[NN_NAME];
};

/* SN_OK for no status; else frees it and says in err what failed. */
int nn_ort_check(const nn_backend *backend, OrtStatus *status, char *err, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Options of a session with the backend's provider, which `options` is for. Release *out in any case where it is not NULL. spinning: its
 * threads wait busily for the next piece of a run's work. */
int nn_ort_options_new(OrtSessionOptions **out, const nn_backend *backend, const nn_provider_options *options, int spinning, char *err);

#endif
