/* Which providers there are, and what each is told. Nothing of ONNX Runtime is needed here. */
#include "nn/ort/ort.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name, *full; } providers[PROVIDER_COUNT] = {
	[PROVIDER_CPU] = { "cpu", "CPUExecutionProvider" },
	[PROVIDER_CUDA] = { "cuda", "CUDAExecutionProvider" },
	[PROVIDER_TENSORRT] = { "tensorrt", "TensorrtExecutionProvider" },
	[PROVIDER_OPENVINO] = { "openvino", "OpenVINOExecutionProvider" },
};

int nn_provider_of(const char *backend, nn_provider *out) {
	*out = PROVIDER_CPU;
	if (strcmp(backend, "ort") == 0)
		return 1;
	for (int i = 0; strncmp(backend, "ort:", 4) == 0 && i < PROVIDER_COUNT; i++)
		if (strcmp(backend + 4, providers[i].name) == 0) {
			*out = (nn_provider)i;
			return 1;
		}
	return 0;
}

const char *nn_provider_name(nn_provider provider) { return providers[provider].name; }
const char *nn_provider_full_name(nn_provider provider) { return providers[provider].full; }

static void add(nn_provider_options *o, const char *key, const char *value) {
	if (value && o->count < NN_PROVIDER_OPTIONS) {
		o->key[o->count] = key;
		o->value[o->count++] = value;
	}
}

/* "mel:1x80,table:1x448": every input that has a symbol, at the symbols' values, 1 or their maxima. 0: it does not fit. */
static int profile(const nn_lowered *lowered, const nn_graph *g, int least, char *text, size_t size) {
	int64_t ones[NN_MAX_SYMBOLS];
	size_t used = 0;
	for (int s = 0; s < NN_MAX_SYMBOLS; s++)
		ones[s] = 1;
	text[0] = 0;
	for (int i = 0; i < lowered->inputs; i++) {
		const nn_port *p = lowered->input + i;
		const nn_node *n = g->nodes + p->index;
		int symbolic = 0;
		for (int a = 0; p->kind == PORT_INPUT && a < n->rank; a++)
			symbolic |= !nn_dim_fixed(n->dims[a]);
		if (!symbolic)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s:", used ? "," : "", p->name);
		for (int a = 0; a < n->rank && used < size; a++) {
			const int64_t extent = nn_dim_value(g, n->dims[a], least ? ones : NULL);
			used += (size_t)snprintf(text + used, size - used, "%s%lld", a ? "x" : "", (long long)(extent > 0 ? extent : 1));
		}
		if (used >= size)
			return 0;
	}
	return 1;
}

#define PROFILE ((size_t)64 << 10)

int nn_provider_options_make(nn_provider_options *o, nn_provider provider, const nn_lowered *lowered, const nn_graph *g, const char *cache,
                             int threads, int exact, char *err) {
	*o = (nn_provider_options){ 0 };
	if (provider == PROVIDER_CPU)
		return SN_OK;
	if (!(o->text = calloc(2, PROFILE)))
		return sn_fail(err, SN_E_MEMORY, "no memory for the options of %s", providers[provider].full);
	char *const least = o->text, *const most = o->text + PROFILE;
	switch (provider) {
	case PROVIDER_CUDA:
		add(o, "device_id", "0");
		add(o, "arena_extend_strategy", "kSameAsRequested");
		add(o, "cudnn_conv_algo_search", "HEURISTIC");
		add(o, "do_copy_in_default_stream", "1");
		add(o, NN_PROVIDER_NEWEST, "0"); /* last: ONNX Runtime 1.17 does not know it */
		break;
	case PROVIDER_TENSORRT:
		if (!profile(lowered, g, 1, least, PROFILE) || !profile(lowered, g, 0, most, PROFILE)) {
			nn_provider_options_free(o);
			return sn_fail(err, SN_E_LIMIT, "the shapes of graph %s take more than %zu bytes to tell TensorRT", g->name, PROFILE);
		}
		add(o, "device_id", "0");
		add(o, "trt_fp16_enable", exact ? "0" : "1");
		add(o, "trt_engine_cache_enable", cache ? "1" : "0");
		add(o, "trt_engine_cache_path", cache);
		add(o, "trt_timing_cache_enable", cache ? "1" : "0");
		add(o, "trt_timing_cache_path", cache);
		add(o, "trt_profile_min_shapes", least[0] ? least : NULL);
		add(o, "trt_profile_max_shapes", least[0] ? most : NULL);
		add(o, "trt_profile_opt_shapes", least[0] ? most : NULL);
		break;
	default:
		snprintf(least, PROFILE, "%d", threads);
		add(o, "device_type", "CPU");
		add(o, "precision", "FP32");
		add(o, "num_of_threads", least);
		add(o, "cache_dir", cache);
	}
	return SN_OK;
}

void nn_provider_options_free(nn_provider_options *o) {
	free(o->text);
	*o = (nn_provider_options){ 0 };
}
