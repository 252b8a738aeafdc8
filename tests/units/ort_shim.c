/* An ONNX Runtime that goes wrong on demand: the real one behind a table of functions of which some fail.
 *
 *	ORT_SHIM_REAL      file of the real library
 *	ORT_SHIM_OLD       set: it has no API of a version that is asked for
 *	ORT_SHIM_STARTED   set: the program has started it before, with threads for each session
 *	ORT_SHIM_FAIL      RunWithBinding, CreateSessionFromArray, CreateTensorAsOrtValue, CreateAllocator, BindInput or BindOutput; with ":N" only
 *	                   from the N-th call on (1: the first since this and UNTIL were set so)
 *	ORT_SHIM_UNTIL     "N": calls behind the N-th do not fail any more
 *	ORT_SHIM_GRAPH     only RunWithBinding of models in whose bytes these words stand is counted and fails: which of several graphs
 *	                   that work at the same time makes the N-th call is a matter of the machine's speed
 *	ORT_SHIM_TEXT      what it says then
 *	ORT_SHIM_DEVICE    set: it has CUDA's and TensorRT's providers, which take every option and leave all work to the CPU;
 *	                   "1.17": an option "use_tf32" is refused, as that version does
 *	ORT_SHIM_LOG       file that the options of TensorRT's provider are written to, "KEY=VALUE" by lines
 */
#include <onnxruntime_c_api.h>

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const OrtApiBase *real_base;
static const OrtApi *real;
static OrtApi changed;
static OrtApiBase base;
static int calls;
static char counted[96]; /* for what they are counted */
static const OrtSession *_Atomic graphs[64]; /* those that ORT_SHIM_GRAPH names */
static _Atomic size_t graph_count;

/* A status where the call named so shall fail now. */
static OrtStatusPtr failing(const char *call) {
	const char *const wanted = getenv("ORT_SHIM_FAIL"), *const text = getenv("ORT_SHIM_TEXT"), *const until = getenv("ORT_SHIM_UNTIL");
	const size_t length = strlen(call);
	if (!wanted || strncmp(wanted, call, length) != 0 || (wanted[length] && wanted[length] != ':'))
		return NULL;
	char now[sizeof counted];
	snprintf(now, sizeof now, "%s %s", wanted, until ? until : "");
	if (strcmp(counted, now) != 0)
		calls = 0;
	memcpy(counted, now, sizeof now);
	const int n = ++calls, from = wanted[length] ? atoi(wanted + length + 1) : 1;
	return n >= from && (!until || n <= atoi(until)) ? real->CreateStatus(ORT_FAIL, text ? text : "injected") : NULL;
}

static OrtStatusPtr ORT_API_CALL run(OrtSession *s, const OrtRunOptions *o, const OrtIoBinding *b) {
	int meant = !getenv("ORT_SHIM_GRAPH");
	for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++)
		meant |= graphs[i] == s;
	const OrtStatusPtr status = meant ? failing("RunWithBinding") : NULL;
	return status ? status : real->RunWithBinding(s, o, b);
}

static OrtStatusPtr ORT_API_CALL create(const OrtEnv *e, const void *data, size_t size, const OrtSessionOptions *o, OrtSession **out) {
	const char *const graph = getenv("ORT_SHIM_GRAPH");
	OrtStatusPtr status = failing("CreateSessionFromArray");
	if (!status)
		status = real->CreateSessionFromArray(e, data, size, o, out);
	if (!status && graph && memmem(data, size, graph, strlen(graph)))
		graphs[graph_count++ % (sizeof graphs / sizeof *graphs)] = *out;
	return status;
}

static OrtStatusPtr ORT_API_CALL tensor(OrtAllocator *a, const int64_t *dims, size_t rank, ONNXTensorElementDataType type, OrtValue **out) {
	const OrtStatusPtr status = failing("CreateTensorAsOrtValue");
	return status ? status : real->CreateTensorAsOrtValue(a, dims, rank, type, out);
}

static OrtStatusPtr ORT_API_CALL allocator(const OrtSession *s, const OrtMemoryInfo *of, OrtAllocator **out) {
	const OrtStatusPtr status = failing("CreateAllocator");
	return status ? status : real->CreateAllocator(s, of, out);
}

static OrtStatusPtr ORT_API_CALL bind_input(OrtIoBinding *b, const char *name, const OrtValue *value) {
	const OrtStatusPtr status = failing("BindInput");
	return status ? status : real->BindInput(b, name, value);
}

static OrtStatusPtr ORT_API_CALL bind_output(OrtIoBinding *b, const char *name, const OrtValue *value) {
	const OrtStatusPtr status = failing("BindOutput");
	return status ? status : real->BindOutput(b, name, value);
}

/* ---- providers of a device that is not there ---- */

static char *names[] = { "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider" };

static OrtStatusPtr ORT_API_CALL list(char ***out, int *count) {
	*out = names;
	*count = 3;
	return NULL;
}

static OrtStatusPtr ORT_API_CALL unlist(char **list, int count) {
	(void)list;
	(void)count;
	return NULL;
}

static OrtStatusPtr ORT_API_CALL new_cuda(OrtCUDAProviderOptionsV2 **out) {
	*out = malloc(1);
	return NULL;
}

static OrtStatusPtr ORT_API_CALL tell_cuda(OrtCUDAProviderOptionsV2 *o, const char *const *keys, const char *const *values, size_t count) {
	(void)o;
	(void)values;
	const int is_old = strcmp(getenv("ORT_SHIM_DEVICE"), "1.17") == 0;
	for (size_t i = 0; i < count && is_old; i++)
		if (strcmp(keys[i], "use_tf32") == 0)
			return real->CreateStatus(ORT_INVALID_ARGUMENT, "Unknown provider option: \"use_tf32\".");
	return NULL;
}

static OrtStatusPtr ORT_API_CALL add_cuda(OrtSessionOptions *to, const OrtCUDAProviderOptionsV2 *o) {
	(void)to;
	(void)o;
	return NULL;
}

static void ORT_API_CALL free_cuda(OrtCUDAProviderOptionsV2 *o) { free(o); }

static OrtStatusPtr ORT_API_CALL new_trt(OrtTensorRTProviderOptionsV2 **out) {
	*out = malloc(1);
	return NULL;
}

static OrtStatusPtr ORT_API_CALL tell_trt(OrtTensorRTProviderOptionsV2 *o, const char *const *keys, const char *const *values, size_t count) {
	(void)o;
	FILE *const log = getenv("ORT_SHIM_LOG") ? fopen(getenv("ORT_SHIM_LOG"), "a") : NULL;
	for (size_t i = 0; i < count && log; i++)
		fprintf(log, "%s=%s\n", keys[i], values[i]);
	if (log)
		fclose(log);
	return NULL;
}

static OrtStatusPtr ORT_API_CALL add_trt(OrtSessionOptions *to, const OrtTensorRTProviderOptionsV2 *o) {
	(void)to;
	(void)o;
	return NULL;
}

static void ORT_API_CALL free_trt(OrtTensorRTProviderOptionsV2 *o) { free(o); }

/* Memory of the device is this process' own. */
static OrtStatusPtr ORT_API_CALL memory(const char *name, enum OrtAllocatorType type, int id, enum OrtMemType kind, OrtMemoryInfo **out) {
	(void)name;
	return real->CreateMemoryInfo("Cpu", type, id, kind, out);
}

/* ---- the table ---- */

static const OrtApi *ORT_API_CALL get(uint32_t version) {
	if (getenv("ORT_SHIM_OLD") || !(real = real_base->GetApi(version)))
		return NULL;
	/* what API 17 has; a table of an older library ends there */
	OrtEnv *before; /* ends with the process */
	const OrtStatusPtr status = getenv("ORT_SHIM_STARTED") ? real->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "program", &before) : NULL;
	if (status)
		return NULL;
	memcpy(&changed, real, offsetof(OrtApi, SessionOptionsAppendExecutionProvider_OpenVINO_V2) + sizeof(void *));
	changed.RunWithBinding = run;
	changed.CreateSessionFromArray = create;
	changed.CreateTensorAsOrtValue = tensor;
	changed.CreateAllocator = allocator;
	changed.BindInput = bind_input;
	changed.BindOutput = bind_output;
	if (!getenv("ORT_SHIM_DEVICE"))
		return &changed;
	changed.GetAvailableProviders = list;
	changed.ReleaseAvailableProviders = unlist;
	changed.CreateCUDAProviderOptions = new_cuda;
	changed.UpdateCUDAProviderOptions = tell_cuda;
	changed.SessionOptionsAppendExecutionProvider_CUDA_V2 = add_cuda;
	changed.ReleaseCUDAProviderOptions = free_cuda;
	changed.CreateTensorRTProviderOptions = new_trt;
	changed.UpdateTensorRTProviderOptions = tell_trt;
	changed.SessionOptionsAppendExecutionProvider_TensorRT_V2 = add_trt;
	changed.ReleaseTensorRTProviderOptions = free_trt;
	changed.CreateMemoryInfo = memory;
	return &changed;
}

__attribute__((visibility("default"))) const OrtApiBase *ORT_API_CALL OrtGetApiBase(void) {
	void *const library = dlopen(getenv("ORT_SHIM_REAL"), RTLD_NOW | RTLD_LOCAL);
	void *const symbol = library ? dlsym(library, "OrtGetApiBase") : NULL;
	const OrtApiBase *(*base_of)(void) = NULL;
	memcpy(&base_of, &symbol, sizeof base_of);
	if (!base_of)
		return NULL;
	real_base = base_of();
	base = *real_base;
	base.GetApi = get;
	return &base;
}
