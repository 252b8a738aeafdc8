/* In place of runtime.c and run.c where ONNX Runtime's C header was not there when this was built. */
#include "nn/ort/ort.h"

#include <stdlib.h>
#include <string.h>

int nn_backend_open(nn_backend **out, const char *name, const nn_backend_options *options, char *err) {
	nn_provider provider;
	*out = NULL;
	if (strcmp(name, "cpu") == 0)
		return SN_OK;
	if (!nn_provider_of(name, &provider))
		return sn_fail(err, SN_E_ARGUMENT, "there is no backend '%.40s': cpu, ort, ort:cpu, ort:cuda, ort:tensorrt or ort:openvino", name);
	return sn_fail(err, SN_E_DEPENDENCY, "this build has no backend '%s': onnxruntime_c_api.h was not found when it was built; install "
	               "libonnxruntime-dev or run scripts/onnxruntime.sh, and build with -Donnxruntime=enabled", name);
}

void nn_backend_close(nn_backend **backend) { *backend = NULL; }
const char *nn_backend_label(const nn_backend *backend) { return "cpu"; }

/* No backend can be open, so none of these is reached. */
int nn_ort_plan_new(nn_ort_plan **out, const nn_graph *g, nn_backend *backend, int debug, char *err) { return SN_E_INTERNAL; }
void nn_ort_plan_free(nn_ort_plan **plan) { *plan = NULL; }
int nn_ort_exec_new(nn_ort_exec **out, nn_ort_plan *plan, const nn_graph *g, char *err) { return SN_E_INTERNAL; }
void nn_ort_exec_free(nn_ort_exec **exec) { *exec = NULL; }
int nn_ort_exec_share(nn_ort_exec *exec, nn_ort_exec *owner, char *err) { return SN_E_INTERNAL; }
void *nn_ort_exec_input(nn_ort_exec *exec, const char *name) { return NULL; }
int nn_ort_exec_run(nn_ort_exec *exec, const int64_t *symbols, char *err) { return SN_E_INTERNAL; }
const float *nn_ort_exec_output(nn_ort_exec *exec, const char *name, const int64_t *symbols, int64_t *dims) { return NULL; }
int nn_ort_exec_tensor(nn_ort_exec *exec, const char *name, const int64_t *symbols, float **values, int *rank, int64_t *dims, char *err) {
	return SN_E_INTERNAL;
}
