/* In place of model.c where ONNX Runtime's C header was not there when this was built: no backend can be open, so nothing but the first is
 * reached. */
#include "nn/ort/model.h"

#include <stddef.h>

int nn_ort_model_open(nn_ort_model **out, nn_backend *backend, const char *path, char *err) {
	*out = NULL;
	return sn_fail(err, SN_E_DEPENDENCY, "%s is an ONNX model, and this build has no ONNX Runtime", path);
}

void nn_ort_model_close(nn_ort_model **model) { *model = NULL; }
const nn_ort_tensor *nn_ort_model_input(const nn_ort_model *model, const char *name) { return NULL; }
const nn_ort_tensor *nn_ort_model_output(const nn_ort_model *model, const char *name) { return NULL; }

int nn_ort_model_run(nn_ort_model *model, const nn_ort_tensor *inputs, int input_count, nn_ort_tensor *outputs, int output_count, char *err) {
	return SN_E_INTERNAL;
}

void nn_ort_tensor_free(const nn_ort_model *model, nn_ort_tensor *output) {}
