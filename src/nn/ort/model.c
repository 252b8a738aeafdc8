#include "nn/ort/model.h"
#include "nn/ort/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct nn_ort_model {
	const nn_backend *backend;
	OrtSession *session;
	OrtAllocator *allocator; /* ONNX Runtime's default one, which it owns: names of ports */
	int inputs, outputs;
	nn_ort_tensor input[NN_ORT_PORTS], output[NN_ORT_PORTS];
	char name[64];           /* of the file, for messages */
};

/* What a file makes ONNX Runtime say is the file's fault, except want of memory. */
static int blame_file(int result) { return result == SN_OK || result == SN_E_MEMORY || result == SN_E_DEPENDENCY ? result : SN_E_MODEL; }

/* ---- opening ---- */

/* Threads sleep between runs: they share the cores with the engine's own. */
static int open_session(nn_ort_model *m, const char *path, char *err) {
	const nn_backend *b = m->backend;
	const nn_provider_options nothing = { 0 };
	OrtSessionOptions *o = NULL;
	int result = nn_ort_options_new(&o, b, &nothing, 0, err);
	if (result == SN_OK)
		result = blame_file(nn_ort_check(b, b->api->CreateSession(b->env, path, o, &m->session), err, "%s cannot be run", path));
	if (o)
		b->api->ReleaseSessionOptions(o);
	return result;
}

/* ---- ports ---- */

static int read_shape(const nn_ort_model *m, const OrtTypeInfo *info, nn_ort_tensor *port, char *err) {
	const OrtApi *api = m->backend->api;
	const OrtTensorTypeAndShapeInfo *shape = NULL;
	ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
	size_t rank = 0;
	int result = nn_ort_check(m->backend, api->CastTypeInfoToTensorInfo(info, &shape), err, "%s: '%s'", m->name, port->name);
	port->type = NN_ORT_OTHER;
	if (result != SN_OK || !shape) /* a sequence or map */
		return result;
	result = nn_ort_check(m->backend, api->GetTensorElementType(shape, &type), err, "%s: '%s'", m->name, port->name);
	if (result == SN_OK)
		result = nn_ort_check(m->backend, api->GetDimensionsCount(shape, &rank), err, "%s: '%s'", m->name, port->name);
	if (result != SN_OK || rank > NN_ORT_RANK)
		return result;
	port->rank = (int)rank;
	port->type = type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT ? NN_ORT_FLOAT : type == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 ? NN_ORT_INT64 : NN_ORT_OTHER;
	return nn_ort_check(m->backend, api->GetDimensions(shape, port->dims, rank), err, "%s: '%s'", m->name, port->name);
}

static int read_port(nn_ort_model *m, int output, size_t i, nn_ort_tensor *port, char *err) {
	const OrtApi *api = m->backend->api;
	OrtTypeInfo *info = NULL;
	char *name = NULL;
	OrtStatus *status = output ? api->SessionGetOutputName(m->session, i, m->allocator, &name) : api->SessionGetInputName(m->session, i, m->allocator, &name);
	int result = nn_ort_check(m->backend, status, err, "%s: its ports", m->name);
	if (result != SN_OK)
		return result;
	port->name = name;
	status = output ? api->SessionGetOutputTypeInfo(m->session, i, &info) : api->SessionGetInputTypeInfo(m->session, i, &info);
	result = nn_ort_check(m->backend, status, err, "%s: '%s'", m->name, name);
	if (result == SN_OK)
		result = read_shape(m, info, port, err);
	if (info)
		api->ReleaseTypeInfo(info);
	return result;
}

static int read_ports(nn_ort_model *m, char *err) {
	const nn_backend *b = m->backend;
	size_t inputs = 0, outputs = 0;
	int result = nn_ort_check(b, b->api->GetAllocatorWithDefaultOptions(&m->allocator), err, "ONNX Runtime's allocator");
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->SessionGetInputCount(m->session, &inputs), err, "%s: its inputs", m->name);
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->SessionGetOutputCount(m->session, &outputs), err, "%s: its outputs", m->name);
	if (result == SN_OK && (inputs > NN_ORT_PORTS || outputs > NN_ORT_PORTS))
		result = sn_fail(err, SN_E_MODEL, "%s has %zu inputs and %zu outputs; at most %d of each are right", m->name, inputs, outputs, NN_ORT_PORTS);
	for (size_t i = 0; i < inputs && result == SN_OK; i++)
		result = read_port(m, 0, i, &m->input[m->inputs++], err);
	for (size_t i = 0; i < outputs && result == SN_OK; i++)
		result = read_port(m, 1, i, &m->output[m->outputs++], err);
	return result;
}

int nn_ort_model_open(nn_ort_model **out, nn_backend *backend, const char *path, char *err) {
	struct stat st;
	*out = NULL;
	if (!backend)
		return sn_fail(err, SN_E_ARGUMENT, "%s is an ONNX model: it runs by ONNX Runtime alone", path);
	if (backend->provider != PROVIDER_CPU && backend->provider != PROVIDER_CUDA)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s runs by ort:cpu or ort:cuda, not by ort:%s", path, nn_provider_name(backend->provider));
	if (stat(path, &st) != 0)
		return sn_fail_errno(err, "cannot open '%s'", path);
	if (!S_ISREG(st.st_mode))
		return sn_fail(err, SN_E_MODEL, "'%s' is no file", path);
	nn_ort_model *m = calloc(1, sizeof *m);
	if (!m)
		return sn_fail(err, SN_E_MEMORY, "no memory for %s", path);
	const char *const slash = strrchr(path, '/');
	m->backend = backend;
	snprintf(m->name, sizeof m->name, "%s", slash ? slash + 1 : path);
	int result = open_session(m, path, err);
	if (result == SN_OK)
		result = blame_file(read_ports(m, err));
	if (result != SN_OK)
		nn_ort_model_close(&m);
	*out = m;
	return result;
}

static void free_names(nn_ort_model *m, nn_ort_tensor *ports, int count) {
	for (int i = 0; i < count; i++) {
		void *name = NULL;
		memcpy(&name, &ports[i].name, sizeof name);
		OrtStatus *status = name ? m->backend->api->AllocatorFree(m->allocator, name) : NULL;
		if (status)
			m->backend->api->ReleaseStatus(status);
	}
}

void nn_ort_model_close(nn_ort_model **held) {
	nn_ort_model *m = *held;
	*held = NULL;
	if (!m)
		return;
	free_names(m, m->input, m->inputs);
	free_names(m, m->output, m->outputs);
	if (m->session)
		m->backend->api->ReleaseSession(m->session);
	free(m);
}

static const nn_ort_tensor *find(const nn_ort_tensor *ports, int count, const char *name) {
	for (int i = 0; i < count; i++)
		if (strcmp(ports[i].name, name) == 0)
			return ports + i;
	return NULL;
}

const nn_ort_tensor *nn_ort_model_input(const nn_ort_model *m, const char *name) { return find(m->input, m->inputs, name); }
const nn_ort_tensor *nn_ort_model_output(const nn_ort_model *m, const char *name) { return find(m->output, m->outputs, name); }

/* ---- running ---- */

static int wrap_input(const nn_ort_model *m, const nn_ort_tensor *t, OrtValue **value, char *err) {
	const nn_backend *b = m->backend;
	size_t bytes = t->type == NN_ORT_INT64 ? sizeof(int64_t) : sizeof(float);
	void *data = NULL;
	for (int i = 0; i < t->rank; i++)
		bytes *= (size_t)t->dims[i];
	memcpy(&data, &t->data, sizeof data); /* which ONNX Runtime does not write */
	return nn_ort_check(b, b->api->CreateTensorWithDataAsOrtValue(b->cpu, data, bytes, t->dims, (size_t)t->rank,
	                    t->type == NN_ORT_INT64 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, value), err,
	                    "%s: '%s'", m->name, t->name);
}

static int describe_output(const nn_ort_model *m, nn_ort_tensor *t, char *err) {
	const OrtApi *api = m->backend->api;
	OrtTensorTypeAndShapeInfo *shape = NULL;
	ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
	size_t rank = 0;
	void *data = NULL;
	OrtStatus *status = api->GetTensorTypeAndShape(t->held, &shape);
	if (!status)
		status = api->GetTensorElementType(shape, &type);
	if (!status)
		status = api->GetDimensionsCount(shape, &rank);
	if (!status && rank <= NN_ORT_RANK)
		status = api->GetDimensions(shape, t->dims, rank);
	if (!status)
		status = api->GetTensorMutableData(t->held, &data);
	if (shape)
		api->ReleaseTensorTypeAndShapeInfo(shape);
	const int result = nn_ort_check(m->backend, status, err, "%s: '%s'", m->name, t->name);
	if (result == SN_OK && rank > NN_ORT_RANK)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' has %zu axes; at most %d are right", m->name, t->name, rank, NN_ORT_RANK);
	t->rank = (int)rank;
	t->type = type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT ? NN_ORT_FLOAT : type == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 ? NN_ORT_INT64 : NN_ORT_OTHER;
	t->data = data;
	return result;
}

int nn_ort_model_run(nn_ort_model *m, const nn_ort_tensor *inputs, int input_count, nn_ort_tensor *outputs, int output_count, char *err) {
	const nn_backend *b = m->backend;
	OrtValue *in[NN_ORT_PORTS] = { 0 }, *out[NN_ORT_PORTS] = { 0 };
	const char *in_names[NN_ORT_PORTS] = { 0 }, *out_names[NN_ORT_PORTS] = { 0 };
	int result = SN_OK;
	if (input_count > NN_ORT_PORTS || output_count > NN_ORT_PORTS)
		return sn_fail(err, SN_E_ARGUMENT, "%s: %d inputs and %d outputs are too many", m->name, input_count, output_count);
	for (int i = 0; i < output_count; i++) {
		outputs[i].held = NULL;
		outputs[i].data = NULL;
		out_names[i] = outputs[i].name;
	}
	for (int i = 0; i < input_count && result == SN_OK; i++) {
		in_names[i] = inputs[i].name;
		result = wrap_input(m, inputs + i, &in[i], err);
	}
	if (result == SN_OK)
		result = blame_file(nn_ort_check(b, b->api->Run(m->session, NULL, in_names, (const OrtValue *const *)in, (size_t)input_count, out_names,
		                    (size_t)output_count, out), err, "%s fails", m->name));
	for (int i = 0; i < input_count; i++)
		if (in[i])
			b->api->ReleaseValue(in[i]);
	for (int i = 0; i < output_count; i++)
		outputs[i].held = out[i];
	for (int i = 0; i < output_count && result == SN_OK; i++)
		result = describe_output(m, outputs + i, err);
	for (int i = 0; i < output_count && result != SN_OK; i++)
		nn_ort_tensor_free(m, outputs + i);
	return result;
}

void nn_ort_tensor_free(const nn_ort_model *m, nn_ort_tensor *t) {
	if (t->held)
		m->backend->api->ReleaseValue(t->held);
	t->held = NULL;
	t->data = NULL;
}
