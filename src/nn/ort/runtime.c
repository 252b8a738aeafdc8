/* Finding and opening libonnxruntime, and sessions. The library is opened here and nowhere else, when a backend of that kind is asked for. */
#include "nn/ort/runtime.h"

#include "base/log.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- messages ---- */

static void to_log(void *payload, OrtLoggingLevel severity, const char *category, const char *id, const char *where, const char *message) {
	sn_log(severity >= ORT_LOGGING_LEVEL_ERROR ? SN_LOG_ERROR : SN_LOG_WARN, "ONNX Runtime: %s", message);
}

static int code_of(OrtErrorCode code, const char *message) {
	return strstr(message, "out of memory") || strstr(message, "Failed to allocate memory") ? SN_E_MEMORY
	       : code == ORT_NOT_IMPLEMENTED || code == ORT_INVALID_GRAPH                     ? SN_E_UNSUPPORTED
	                                                                                      : SN_E_INTERNAL;
}

/* Without the place in ONNX Runtime's sources that some of its messages begin with: "FILE:LINE FUNCTION [ONNXRuntimeError] : 1 : FAIL : ". */
static const char *essence(const char *message) {
	const char *at = strstr(message, "[ONNXRuntimeError]");
	for (int i = 0; at && i < 3; i++)
		at = (at = strstr(at, " : ")) ? at + 3 : NULL;
	return at ? at : message;
}

int nn_ort_check(const nn_backend *b, OrtStatus *status, char *err, const char *format, ...) {
	if (!status)
		return SN_OK;
	char what[SN_ERRLEN];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	const char *message = b->api->GetErrorMessage(status);
	const char *const told = essence(message);
	int length = (int)strlen(told);
	while (length > 0 && (told[length - 1] == '\n' || told[length - 1] == ' '))
		length--;
	const int result = sn_fail(err, code_of(b->api->GetErrorCode(status), message), "%s: %.*s", what, length, told);
	b->api->ReleaseStatus(status);
	return result;
}

/* ---- the library ---- */

static void *open_at(const char *path, char *tried, size_t size) {
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); /* its threads may outlive a close */
	if (!library) {
		const size_t used = strlen(tried);
		snprintf(tried + used, size - used, "%s%s", used ? "; " : "", dlerror());
	}
	return library;
}

/* DIR/libonnxruntime.so, or a file itself. */
static void *open_in(const char *place, char *tried, size_t size) {
	char path[PATH_MAX];
	struct stat info;
	if (stat(place, &info) == 0 && S_ISDIR(info.st_mode)) {
		snprintf(path, sizeof path, "%s/libonnxruntime.so", place);
		return access(path, F_OK) == 0 ? open_at(path, tried, size) : NULL;
	}
	return open_at(place, tried, size);
}

static void *open_library(const char *home, char *tried, size_t size) {
	const char *named = getenv("SONANT_ONNXRUNTIME");
	char path[PATH_MAX];
	void *library = NULL;
	Dl_info self;
	if (named && named[0])
		return open_in(named, tried, size);
	snprintf(path, sizeof path, "%s/onnxruntime", home ? home : "");
	if (home && access(path, F_OK) == 0)
		library = open_in(path, tried, size);
	if (!library && dladdr((const void *)&nn_backend_open, &self) && self.dli_fname && strchr(self.dli_fname, '/')) {
		snprintf(path, sizeof path, "%.*s/libonnxruntime.so", (int)(strrchr(self.dli_fname, '/') - self.dli_fname), self.dli_fname);
		library = access(path, F_OK) == 0 ? open_at(path, tried, size) : NULL;
	}
	if (!library)
		library = open_at("libonnxruntime.so.1", tried, size);
	return library ? library : open_at("libonnxruntime.so", tried, size);
}

static int load_api(nn_backend *b, const char *home, char *err) {
	char tried[SN_ERRLEN / 2] = "";
	b->library = open_library(home, tried, sizeof tried);
	if (!b->library)
		return sn_fail(err, SN_E_DEPENDENCY, "backend ort:%s needs libonnxruntime.so, version 1.17 or later, which could not be opened (%s); install "
		               "libonnxruntime, or name its file by SONANT_ONNXRUNTIME", nn_provider_name(b->provider), tried);
	const OrtApiBase *(*base_of)(void) = NULL;
	void *symbol = dlsym(b->library, "OrtGetApiBase");
	memcpy(&base_of, &symbol, sizeof base_of);
	const OrtApiBase *base = symbol ? base_of() : NULL;
	if (!base)
		return sn_fail(err, SN_E_DEPENDENCY, "libonnxruntime.so has no OrtGetApiBase: it is no ONNX Runtime");
	b->api = base->GetApi(NN_ORT_API);
	if (!b->api)
		return sn_fail(err, SN_E_DEPENDENCY, "ONNX Runtime %.40s is too old: version 1.%d or later is needed", base->GetVersionString(), NN_ORT_API);
	snprintf(b->label, sizeof b->label, "ort:%s, ONNX Runtime %.20s, f32", nn_provider_name(b->provider), base->GetVersionString());
	return SN_OK;
}

/* What helps where ONNX Runtime was built without the provider, and where it does not load or finds no device. */
static const struct { const char *library, *rest; } remedies[PROVIDER_COUNT] = {
	[PROVIDER_CUDA] = { "install onnxruntime-gpu's library, CUDA and cuDNN, and name it by SONANT_ONNXRUNTIME",
		"it needs a device, its driver, and the CUDA and cuDNN that this ONNX Runtime was built for" },
	[PROVIDER_TENSORRT] = { "install onnxruntime-gpu's library, CUDA, cuDNN and TensorRT, and name it by SONANT_ONNXRUNTIME",
		"it needs a device, its driver, and the CUDA, cuDNN and TensorRT that this ONNX Runtime was built for" },
	[PROVIDER_OPENVINO] = { "install onnxruntime-openvino's library and name it by SONANT_ONNXRUNTIME",
		"it needs the libraries of OpenVINO that come with onnxruntime-openvino beside it" },
};

static int check_provider(const nn_backend *b, char *err) {
	char **names = NULL, list[256] = "";
	int count = 0, there = 0;
	const int result = nn_ort_check(b, b->api->GetAvailableProviders(&names, &count), err, "the providers of ONNX Runtime cannot be listed");
	if (result != SN_OK)
		return result;
	for (int i = 0; i < count; i++) {
		const size_t used = strlen(list);
		there |= strcmp(names[i], nn_provider_full_name(b->provider)) == 0;
		snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", names[i]);
	}
	OrtStatus *status = b->api->ReleaseAvailableProviders(names, count);
	if (status)
		b->api->ReleaseStatus(status);
	if (there)
		return SN_OK;
	return sn_fail(err, SN_E_DEPENDENCY, "this ONNX Runtime has no %s (it has %s); %s", nn_provider_full_name(b->provider), list,
	               remedies[b->provider].library ? remedies[b->provider].library : "");
}

static int open_environment(nn_backend *b, char *err) {
	int result = nn_ort_check(b, b->api->CreateEnvWithCustomLogger(to_log, NULL, ORT_LOGGING_LEVEL_ERROR, "sonant", &b->env), err,
	                          "ONNX Runtime does not start");
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &b->cpu), err, "ONNX Runtime has no memory");
	if (result == SN_OK && (b->provider == PROVIDER_CUDA || b->provider == PROVIDER_TENSORRT))
		result = nn_ort_check(b, b->api->CreateMemoryInfo("Cuda", OrtDeviceAllocator, 0, OrtMemTypeDefault, &b->device), err,
		                      "ONNX Runtime has no memory on the device");
	return result;
}

int nn_backend_open(nn_backend **out, const char *name, const nn_backend_options *options, char *err) {
	nn_provider provider;
	*out = NULL;
	if (strcmp(name, "cpu") == 0)
		return SN_OK;
	if (!nn_provider_of(name, &provider))
		return sn_fail(err, SN_E_ARGUMENT, "there is no backend '%.40s': cpu, ort, ort:cpu, ort:cuda, ort:tensorrt or ort:openvino", name);
	nn_backend *b = calloc(1, sizeof *b);
	if (!b)
		return sn_fail(err, SN_E_MEMORY, "no memory for backend %s", name);
	b->provider = provider;
	b->threads = options->threads;
	b->in_place = provider == PROVIDER_CPU || provider == PROVIDER_CUDA;
	int result = load_api(b, options->home, err);
	if (result == SN_OK)
		result = check_provider(b, err);
	if (result == SN_OK)
		result = open_environment(b, err);
	if (result == SN_OK && options->home && provider != PROVIDER_CPU && asprintf(&b->cache, "%s/onnxruntime-cache", options->home) < 0) {
		b->cache = NULL;
		result = sn_fail(err, SN_E_MEMORY, "no memory for backend %s", name);
	}
	if (result != SN_OK)
		nn_backend_close(&b);
	*out = b;
	return result;
}

void nn_backend_close(nn_backend **held) {
	nn_backend *b = *held;
	*held = NULL;
	if (!b)
		return;
	if (b->cpu)
		b->api->ReleaseMemoryInfo(b->cpu);
	if (b->device)
		b->api->ReleaseMemoryInfo(b->device);
	if (b->env)
		b->api->ReleaseEnv(b->env);
	if (b->library)
		dlclose(b->library);
	free(b->cache);
	free(b);
}

const char *nn_backend_label(const nn_backend *b) { return b ? b->label : "cpu"; }

/* ---- sessions ---- */

static int append_cuda(const nn_backend *b, OrtSessionOptions *to, const nn_provider_options *o, char *err) {
	OrtCUDAProviderOptionsV2 *cuda = NULL;
	int result = nn_ort_check(b, b->api->CreateCUDAProviderOptions(&cuda), err, "CUDA's provider");
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->UpdateCUDAProviderOptions(cuda, o->key, o->value, (size_t)o->count), err, "options of CUDA's provider");
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->SessionOptionsAppendExecutionProvider_CUDA_V2(to, cuda), err, "CUDA's provider does not load");
	if (cuda)
		b->api->ReleaseCUDAProviderOptions(cuda);
	return result;
}

/* What TensorRT cannot do is left to CUDA. */
static int append_tensorrt(const nn_backend *b, OrtSessionOptions *to, const nn_provider_options *o, const nn_provider_options *rest, char *err) {
	OrtTensorRTProviderOptionsV2 *trt = NULL;
	int result = nn_ort_check(b, b->api->CreateTensorRTProviderOptions(&trt), err, "TensorRT's provider");
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->UpdateTensorRTProviderOptions(trt, o->key, o->value, (size_t)o->count), err, "options of TensorRT's provider");
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->SessionOptionsAppendExecutionProvider_TensorRT_V2(to, trt), err, "TensorRT's provider does not load");
	if (trt)
		b->api->ReleaseTensorRTProviderOptions(trt);
	return result == SN_OK ? append_cuda(b, to, rest, err) : result;
}

static int append_provider(const nn_backend *b, OrtSessionOptions *to, const nn_lowered *lowered, const nn_graph *g, char *err) {
	nn_provider_options o, rest;
	int result = nn_provider_options_make(&o, b->provider, lowered, g, b->cache, b->threads, err);
	if (result != SN_OK)
		return result;
	result = nn_provider_options_make(&rest, PROVIDER_CUDA, lowered, g, b->cache, b->threads, err);
	if (result == SN_OK && b->provider == PROVIDER_CUDA)
		result = append_cuda(b, to, &o, err);
	else if (result == SN_OK && b->provider == PROVIDER_TENSORRT)
		result = append_tensorrt(b, to, &o, &rest, err);
	else if (result == SN_OK && b->provider == PROVIDER_OPENVINO)
		result = nn_ort_check(b, b->api->SessionOptionsAppendExecutionProvider_OpenVINO_V2(to, o.key, o.value, (size_t)o.count), err,
		                      "OpenVINO's provider does not load");
	nn_provider_options_free(&o);
	nn_provider_options_free(&rest);
	if (result == SN_OK || result == SN_E_MEMORY)
		return result;
	char why[SN_ERRLEN];
	snprintf(why, sizeof why, "%s", err);
	return sn_fail(err, SN_E_DEPENDENCY, "%s; %s", why, remedies[b->provider].rest);
}

/* Extents differ from run to run, so memory patterns of earlier ones are of no use; denormals are zeros as they are in our kernels. */
static int set_options(const nn_backend *b, OrtSessionOptions *o, char *err) {
	OrtStatus *status = b->api->SetIntraOpNumThreads(o, b->threads);
	if (!status)
		status = b->api->SetInterOpNumThreads(o, 1);
	if (!status)
		status = b->api->SetSessionGraphOptimizationLevel(o, ORT_ENABLE_ALL);
	if (!status)
		status = b->api->DisableMemPattern(o);
	if (!status)
		status = b->api->AddSessionConfigEntry(o, "session.set_denormal_as_zero", "1");
	if (!status) /* a model has several sessions: threads of the last one do not stand in the next one's way */
		status = b->api->AddSessionConfigEntry(o, "session.force_spinning_stop", "1");
	return nn_ort_check(b, status, err, "ONNX Runtime's session options");
}

/* Constants that lie outside of the model's bytes, handed over from memory; ONNX Runtime copies them. */
static int add_constants(const nn_backend *b, OrtSessionOptions *o, const onnx_model *m, char *err) {
	const int count = m->externals;
	const char **names = calloc((size_t)count + 1, sizeof *names);
	OrtValue **values = calloc((size_t)count + 1, sizeof *values);
	int result = names && values ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the names of %d constants", count);
	for (int i = 0; i < count && result == SN_OK; i++) {
		const onnx_external *e = m->external + i;
		names[i] = e->name;
		result = nn_ort_check(b, b->api->CreateTensorWithDataAsOrtValue(b->cpu, e->data, e->bytes, e->dims, (size_t)e->rank,
		                      (ONNXTensorElementDataType)e->type, &values[i]), err, "constant %s", e->name);
	}
	if (result == SN_OK && count)
		result = nn_ort_check(b, b->api->AddExternalInitializers(o, names, (const OrtValue *const *)values, (size_t)count), err, "constants");
	for (int i = 0; values && i < count; i++)
		if (values[i])
			b->api->ReleaseValue(values[i]);
	free(names);
	free(values);
	return result;
}

static int open_session(nn_ort_plan *plan, const nn_graph *g, char *err) {
	const nn_backend *b = plan->backend;
	OrtSessionOptions *o = NULL;
	size_t size = 0;
	uint8_t *bytes = onnx_finish(plan->lowered->model, g->name, "weights.bin", &size);
	int result = bytes ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for graph %s as ONNX", g->name);
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->CreateSessionOptions(&o), err, "ONNX Runtime's session options");
	if (result == SN_OK)
		result = set_options(b, o, err);
	if (result == SN_OK)
		result = append_provider(b, o, plan->lowered, g, err);
	if (result == SN_OK)
		result = add_constants(b, o, plan->lowered->model, err);
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->CreateSessionFromArray(b->env, bytes, size, o, &plan->session), err, "ONNX Runtime refuses graph %s", g->name);
	if (o)
		b->api->ReleaseSessionOptions(o);
	free(bytes);
	return result;
}

int nn_ort_plan_new(nn_ort_plan **out, const nn_graph *g, nn_backend *backend, int debug, char *err) {
	nn_ort_plan *plan = calloc(1, sizeof *plan);
	*out = NULL;
	if (!plan)
		return sn_fail(err, SN_E_MEMORY, "no memory for plan %s", g->name);
	plan->backend = backend;
	snprintf(plan->name, sizeof plan->name, "%s", g->name);
	int result = nn_lower(&plan->lowered, g, debug, err);
	if (result == SN_OK)
		result = open_session(plan, g, err);
	if (result == SN_OK)
		onnx_free(&plan->lowered->model);
	else
		nn_ort_plan_free(&plan);
	*out = plan;
	return result;
}

void nn_ort_plan_free(nn_ort_plan **held) {
	nn_ort_plan *plan = *held;
	*held = NULL;
	if (!plan)
		return;
	if (plan->session)
		plan->backend->api->ReleaseSession(plan->session);
	nn_lowered_free(&plan->lowered);
	free(plan);
}
