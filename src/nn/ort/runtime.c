/* Finding and opening libonnxruntime, and sessions. The library is opened here and nowhere else, when a backend of that kind is asked for. */
#include "nn/ort/runtime.h"

#include "base/hash.h"
#include "base/log.h"

#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
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

static int says(const char *message, const char *const *words) {
	for (; *words; words++)
		if (strcasestr(message, *words))
			return 1;
	return 0;
}

/* Libraries of a device have codes of their own, which are only told in words. */
static int code_of(OrtErrorCode code, const char *message) {
	static const char *const memory[] = { "out of memory", "Failed to allocate memory", "ALLOC_FAILED", "bad_alloc", NULL };
	static const char *const device[] = { "no CUDA-capable device", "driver version is insufficient", "CUDA failure 100", "CUDA failure 35", NULL };
	return says(message, memory)                                     ? SN_E_MEMORY
	       : says(message, device)                                   ? SN_E_DEPENDENCY
	       : code == ORT_NOT_IMPLEMENTED || code == ORT_INVALID_GRAPH ? SN_E_UNSUPPORTED
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

/* DIR/libonnxruntime.so, else with a version behind it, or a file itself. */
static void *open_in(const char *place, char *tried, size_t size) {
	char path[PATH_MAX];
	struct stat info;
	if (stat(place, &info) != 0 || !S_ISDIR(info.st_mode))
		return open_at(place, tried, size);
	glob_t found;
	snprintf(path, sizeof path, "%s/libonnxruntime.so*", place);
	void *library = NULL;
	if (glob(path, 0, NULL, &found) == 0) {
		library = open_at(found.gl_pathv[0], tried, size);
		globfree(&found);
	} else {
		const size_t used = strlen(tried);
		snprintf(tried + used, size - used, "%s%s: no such file", used ? "; " : "", path);
	}
	return library;
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
	snprintf(b->label, sizeof b->label, "ort:%s, ONNX Runtime %.20s, %s", nn_provider_name(b->provider), base->GetVersionString(),
	         b->provider == PROVIDER_TENSORRT && !b->exact ? "f16 and f32" : "f32");
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

/* The environment, of which a process has one, with one pool of threads. With a provider its warnings count, too: one says that some nodes
 * are left to the CPU. */
static OrtStatus *start(nn_backend *b) {
	const OrtLoggingLevel level = b->provider == PROVIDER_CPU ? ORT_LOGGING_LEVEL_ERROR : ORT_LOGGING_LEVEL_WARNING;
	OrtThreadingOptions *threads = NULL;
	OrtStatus *status = b->api->CreateThreadingOptions(&threads);
	if (!status)
		status = b->api->SetGlobalIntraOpNumThreads(threads, b->threads);
	if (!status)
		status = b->api->SetGlobalInterOpNumThreads(threads, 1);
	if (!status)
		status = b->api->SetGlobalDenormalAsZero(threads);
	if (!status)
		status = b->api->CreateEnvWithCustomLoggerAndGlobalThreadPools(to_log, NULL, level, "sonant", threads, &b->env);
	if (threads)
		b->api->ReleaseThreadingOptions(threads);
	return status;
}

/* Where the program has started the same ONNX Runtime before us its environment may have no such pool, which no call tells: the least of all
 * sessions without threads of its own is refused then. */
static int find_pool(const nn_backend *b) {
	const int64_t dims[1] = { 1 };
	onnx_model *m = onnx_new();
	OrtSessionOptions *o = NULL;
	OrtSession *session = NULL;
	size_t size = 0;
	if (!m)
		return 0;
	const onnx_value x = onnx_input(m, "x", ONNX_F32, 1, dims, NULL);
	onnx_output(m, x, "y", ONNX_F32, 1, dims, NULL);
	uint8_t *bytes = onnx_finish(m, "pool", "", &size);
	OrtStatus *status = b->api->CreateSessionOptions(&o);
	if (!status)
		status = b->api->DisablePerSessionThreads(o);
	if (!status && bytes)
		status = b->api->CreateSessionFromArray(b->env, bytes, size, o, &session);
	const int found = session != NULL;
	if (status)
		b->api->ReleaseStatus(status);
	if (session)
		b->api->ReleaseSession(session);
	if (o)
		b->api->ReleaseSessionOptions(o);
	free(bytes);
	onnx_free(&m);
	return found;
}

static int open_environment(nn_backend *b, char *err) {
	int result = nn_ort_check(b, start(b), err, "ONNX Runtime does not start");
	if (result == SN_OK)
		b->pooled = find_pool(b);
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
	b->exact = options->exact;
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

/* Options of CUDA's provider; an older ONNX Runtime does not know the newest of them. */
static int tell_cuda(const nn_backend *b, OrtCUDAProviderOptionsV2 *cuda, const nn_provider_options *o, char *err) {
	size_t count = (size_t)o->count;
	OrtStatus *status = b->api->UpdateCUDAProviderOptions(cuda, o->key, o->value, count);
	if (status && count && strstr(b->api->GetErrorMessage(status), NN_PROVIDER_NEWEST)) {
		b->api->ReleaseStatus(status);
		status = b->api->UpdateCUDAProviderOptions(cuda, o->key, o->value, count - 1);
	}
	return nn_ort_check(b, status, err, "options of CUDA's provider");
}

static int append_cuda(const nn_backend *b, OrtSessionOptions *to, char *err) {
	OrtCUDAProviderOptionsV2 *cuda = NULL;
	nn_provider_options o;
	int result = nn_provider_options_make(&o, PROVIDER_CUDA, NULL, NULL, NULL, b->threads, b->exact, err);
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->CreateCUDAProviderOptions(&cuda), err, "CUDA's provider");
	if (result == SN_OK)
		result = tell_cuda(b, cuda, &o, err);
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->SessionOptionsAppendExecutionProvider_CUDA_V2(to, cuda), err, "CUDA's provider does not load");
	if (cuda)
		b->api->ReleaseCUDAProviderOptions(cuda);
	nn_provider_options_free(&o);
	return result;
}

/* What TensorRT cannot do is left to CUDA. */
static int append_tensorrt(const nn_backend *b, OrtSessionOptions *to, const nn_provider_options *o, char *err) {
	OrtTensorRTProviderOptionsV2 *trt = NULL;
	int result = nn_ort_check(b, b->api->CreateTensorRTProviderOptions(&trt), err, "TensorRT's provider");
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->UpdateTensorRTProviderOptions(trt, o->key, o->value, (size_t)o->count), err, "options of TensorRT's provider");
	if (result == SN_OK)
		result = nn_ort_check(b, b->api->SessionOptionsAppendExecutionProvider_TensorRT_V2(to, trt), err, "TensorRT's provider does not load");
	if (trt)
		b->api->ReleaseTensorRTProviderOptions(trt);
	return result == SN_OK ? append_cuda(b, to, err) : result;
}

/* `o` is of the backend's provider. */
static int append_provider(const nn_backend *b, OrtSessionOptions *to, const nn_provider_options *o, char *err) {
	int result = SN_OK;
	if (b->provider == PROVIDER_CUDA)
		result = append_cuda(b, to, err);
	else if (b->provider == PROVIDER_TENSORRT)
		result = append_tensorrt(b, to, o, err);
	else if (b->provider == PROVIDER_OPENVINO)
		result = nn_ort_check(b, b->api->SessionOptionsAppendExecutionProvider_OpenVINO_V2(to, o->key, o->value, (size_t)o->count), err,
		                      "OpenVINO's provider does not load");
	if (result == SN_OK || result == SN_E_MEMORY)
		return result;
	char why[SN_ERRLEN];
	snprintf(why, sizeof why, "%s", err);
	return sn_fail(err, SN_E_DEPENDENCY, "%s; %s", why, remedies[b->provider].rest);
}

/* Extents differ from run to run, so memory patterns of earlier ones are of no use; denormals are zeros as they are in our kernels.
 * Sessions share one pool, but for those that do not spin.
 * spinning: threads of the last run look for the next one's work for a while; those of a session that has the cores to itself do not
 * stand in another's way, since they stop where the run ends. */
static int set_options(const nn_backend *b, OrtSessionOptions *o, int spinning, char *err) {
	OrtStatus *status = spinning && b->pooled ? b->api->DisablePerSessionThreads(o) : b->api->SetIntraOpNumThreads(o, b->threads);
	if (!status)
		status = b->api->SetInterOpNumThreads(o, 1);
	if (!status)
		status = b->api->SetSessionGraphOptimizationLevel(o, ORT_ENABLE_ALL);
	if (!status)
		status = b->api->DisableMemPattern(o);
	if (!status)
		status = b->api->AddSessionConfigEntry(o, "session.set_denormal_as_zero", "1");
	if (!status && spinning)
		status = b->api->AddSessionConfigEntry(o, "session.force_spinning_stop", "1");
	else if (!status)
		status = b->api->AddSessionConfigEntry(o, "session.intra_op.allow_spinning", "0");
	return nn_ort_check(b, status, err, "ONNX Runtime's session options");
}

int nn_ort_options_new(OrtSessionOptions **out, const nn_backend *b, const nn_provider_options *o, int spinning, char *err) {
	int result = nn_ort_check(b, b->api->CreateSessionOptions(out), err, "ONNX Runtime's session options");
	if (result == SN_OK)
		result = set_options(b, *out, spinning, err);
	if (result == SN_OK)
		result = append_provider(b, *out, o, err);
	return result;
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

/* Where a provider keeps what it makes of this graph: CACHE/HASH of the graph, its weights and the ONNX Runtime, since providers know a
 * graph again by its names and shapes alone. "": nowhere. */
static void place_cache(const nn_backend *b, const onnx_model *m, const uint8_t *bytes, size_t size, char path[PATH_MAX]) {
	path[0] = 0;
	if (!b->cache || b->provider == PROVIDER_CUDA)
		return;
	uint64_t hash = sn_hash_text(sn_hash(SN_HASH_INIT, bytes, size), b->label);
	for (int i = 0; i < m->externals; i++)
		hash = sn_hash(hash, m->external[i].data, m->external[i].bytes);
	if (snprintf(path, PATH_MAX, "%s/%016llx", b->cache, (unsigned long long)hash) >= PATH_MAX) {
		path[0] = 0;
		return;
	}
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0777);
		*slash = '/';
	}
	if (mkdir(path, 0777) != 0 && errno != EEXIST)
		path[0] = 0; /* nothing is kept then: slower, and no error */
}

static int create_session(nn_ort_plan *plan, const nn_graph *g, const uint8_t *bytes, size_t size, const OrtSessionOptions *o, const char *cache, char *err) {
	const nn_backend *b = plan->backend;
	int result = nn_ort_check(b, b->api->CreateSessionFromArray(b->env, bytes, size, o, &plan->session), err, "ONNX Runtime refuses graph %s", g->name);
	if (result == SN_OK || result == SN_E_MEMORY)
		return result;
	char why[SN_ERRLEN];
	snprintf(why, sizeof why, "%s", err);
	if (result == SN_E_DEPENDENCY)
		return sn_fail(err, result, "%s; %s", why, remedies[b->provider].rest ? remedies[b->provider].rest : "");
	if (cache[0])
		return sn_fail(err, result, "%s; where what was kept in %s is broken, removing that folder helps", why, cache);
	return result;
}

static int open_session(nn_ort_plan *plan, const nn_graph *g, char *err) {
	const nn_backend *b = plan->backend;
	OrtSessionOptions *o = NULL;
	nn_provider_options options = { 0 };
	char cache[PATH_MAX] = "";
	size_t size = 0;
	uint8_t *bytes = onnx_finish(plan->lowered->model, g->name, "weights.bin", &size);
	int result = bytes ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for graph %s as ONNX", g->name);
	if (result == SN_OK) {
		place_cache(b, plan->lowered->model, bytes, size, cache);
		result = nn_provider_options_make(&options, b->provider, plan->lowered, g, cache[0] ? cache : NULL, b->threads, b->exact, err);
	}
	if (result == SN_OK)
		result = nn_ort_options_new(&o, b, &options, 1, err);
	if (result == SN_OK)
		result = add_constants(b, o, plan->lowered->model, err);
	if (result == SN_OK)
		result = create_session(plan, g, bytes, size, o, cache, err);
	if (o)
		b->api->ReleaseSessionOptions(o);
	nn_provider_options_free(&options);
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
