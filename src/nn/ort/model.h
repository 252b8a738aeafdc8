/* ONNX models as they come: a session over an .onnx file that others made, run with named inputs. For graphs that a model of ours does not
 * record. Outputs are ONNX Runtime's own memory: nothing is copied. */
#ifndef SN_NN_ORT_MODEL_H
#define SN_NN_ORT_MODEL_H

#include "nn/nn.h"

#define NN_ORT_RANK 6

typedef enum nn_ort_type { NN_ORT_FLOAT, NN_ORT_INT64, NN_ORT_OTHER } nn_ort_type;

typedef struct nn_ort_tensor {
	const char *name;
	nn_ort_type type;
	int rank;
	int64_t dims[NN_ORT_RANK]; /* of a port -1: any extent */
	const void *data;
	void *held;                /* what owns an output's data */
} nn_ort_tensor;

typedef struct nn_ort_model nn_ort_model;

/* By "ort:cpu" or "ort:cuda"; the backend outlives the model. Errors: SN_E_NOT_FOUND, SN_E_MODEL (the file is no ONNX model, is cut, or has
 * what ONNX Runtime refuses), SN_E_DEPENDENCY (CUDA does not load), SN_E_UNSUPPORTED (another provider), SN_E_MEMORY. */
int nn_ort_model_open(nn_ort_model **out, nn_backend *backend, const char *path, char *err);
void nn_ort_model_close(nn_ort_model **model);

/* The input or output of that name: type, rank and extents; NULL when there is none. Names are the model's. */
const nn_ort_tensor *nn_ort_model_input(const nn_ort_model *model, const char *name);
const nn_ort_tensor *nn_ort_model_output(const nn_ort_model *model, const char *name);

#define NN_ORT_PORTS 16 /* inputs, and outputs, of one model */

/* Runs all `inputs` and gives the outputs whose names are set in `outputs`; their data stay until nn_ort_tensor_free. Several runs of one
 * model may go on at once. Errors: SN_E_MODEL (ONNX Runtime fails on these inputs), SN_E_MEMORY; then no output is held. */
int nn_ort_model_run(nn_ort_model *model, const nn_ort_tensor *inputs, int input_count, nn_ort_tensor *outputs, int output_count, char *err);
void nn_ort_tensor_free(const nn_ort_model *model, nn_ort_tensor *output);

#endif
