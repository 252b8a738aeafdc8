#include "models/wav2vec2_internal.h"

#include "base/ascii.h"
#include "base/json.h"
#include "base/map.h"
#include "base/path.h"

#include <stdio.h>
#include <string.h>

#define MAX_WIDTH 8192
#define MAX_LAYERS 128
#define MAX_VOCAB (1 << 20)
#define MAX_STRIDE 100000
#define CARD_BYTES 65536 /* of a model card that are looked at */

/* transformers' names. */
static int read_activation(const json_t *config, const char *key, wav2vec2_act *out, const char *file, char *err) {
	static const struct { const char *name; wav2vec2_act act; } known[] = {
		{ "gelu", WAV2VEC2_GELU }, { "gelu_python", WAV2VEC2_GELU }, { "gelu_new", WAV2VEC2_GELU_TANH },
		{ "gelu_pytorch_tanh", WAV2VEC2_GELU_TANH }, { "gelu_fast", WAV2VEC2_GELU_TANH }, { "gelu_accurate", WAV2VEC2_GELU_TANH },
		{ "gelu_python_tanh", WAV2VEC2_GELU_TANH }, { "quick_gelu", WAV2VEC2_QUICK_GELU }, { "relu", WAV2VEC2_RELU },
		{ "relu2", WAV2VEC2_RELU2 }, { "relu6", WAV2VEC2_RELU6 }, { "leaky_relu", WAV2VEC2_LEAKY_RELU }, { "silu", WAV2VEC2_SILU },
		{ "swish", WAV2VEC2_SILU }, { "hardswish", WAV2VEC2_HARD_SWISH }, { "tanh", WAV2VEC2_TANH },
		{ "sigmoid", WAV2VEC2_SIGMOID }, { "mish", WAV2VEC2_MISH },
		{ "linear", WAV2VEC2_LINEAR },
	};
	const json_t *const value = json_object_get(config, key);
	const char *const name = json_string_value(value);
	*out = WAV2VEC2_GELU;
	if (!value || json_is_null(value)) return SN_OK;
	for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
		if (strcmp(name, known[i].name) == 0) return *out = known[i].act, SN_OK;
	return sn_fail(err, SN_E_MODEL, "%s: '%s' is '%.40s'; known are gelu, gelu_new, quick_gelu, relu, relu2, relu6, leaky_relu, silu, "
	               "hardswish, tanh, sigmoid, mish and linear", file, key, name ? name : "no text");
}

/* Three lists of the same length. */
static int read_convs(wav2vec2_settings *s, const json_t *config, const char *file, char *err) {
	static const int dims[] = { 512, 512, 512, 512, 512, 512, 512 };
	static const int kernels[] = { 10, 3, 3, 3, 3, 2, 2 }, steps[] = { 5, 2, 2, 2, 2, 2, 2 };
	const struct { const char *key; int most; const int *usual; int *out; } lists[] = {
		{ "conv_dim", MAX_WIDTH, dims, s->dim }, { "conv_kernel", 1024, kernels, s->kernel },
		{ "conv_stride", 4096, steps, s->step },
	};
	int counts[3];
	for (int i = 0; i < 3; i++) {
		int64_t values[WAV2VEC2_MAX_CONVS];
		counts[i] = 7;
		for (int k = 0; k < 7; k++) values[k] = lists[i].usual[k];
		const int code = sn_json_ints(config, lists[i].key, 1, lists[i].most, values, WAV2VEC2_MAX_CONVS, &counts[i], file, err);
		if (code != SN_OK) return code;
		for (int k = 0; k < counts[i]; k++) lists[i].out[k] = (int)values[k];
	}
	if (counts[0] < 1 || counts[1] != counts[0] || counts[2] != counts[0])
		return sn_fail(err, SN_E_MODEL, "%s: 'conv_dim', 'conv_kernel' and 'conv_stride' have %d, %d and %d numbers; expected as many "
		               "in each", file, counts[0], counts[1], counts[2]);
	s->convs = counts[0];
	int64_t stride = 1;
	for (int i = 0; i < s->convs; i++) stride *= s->step[i];
	if (stride > MAX_STRIDE)
		return sn_fail(err, SN_E_MODEL, "%s: 'conv_stride' multiplies to %lld samples a frame; at most %d are right", file, (long long)stride,
		               MAX_STRIDE);
	return SN_OK;
}

static int read_type(const json_t *config, const char *file, char *err) {
	const char *const type = json_string_value(json_object_get(config, "model_type"));
	if (!type || strcmp(type, "wav2vec2") != 0)
		return sn_fail(err, SN_E_MODEL, "%s: 'model_type' is '%.40s'; expected 'wav2vec2'", file, type ? type : "missing");
	const json_t *const list = json_object_get(config, "architectures");
	const char *const architecture = json_string_value(json_array_get(list, 0));
	if (architecture && strcmp(architecture, "Wav2Vec2ForCTC") != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: the checkpoint is a %.60s; of this family only Wav2Vec2ForCTC transcribes", file,
		               architecture);
	return SN_OK;
}

static int read_sizes(wav2vec2_settings *s, const json_t *config, const char *file, char *err) {
	const struct { const char *key; int64_t least, most; int *out; } sizes[] = {
		{ "hidden_size", 1, MAX_WIDTH, &s->width }, { "num_hidden_layers", 1, MAX_LAYERS, &s->layers },
		{ "num_attention_heads", 1, 256, &s->heads }, { "intermediate_size", 1, 8 * MAX_WIDTH, &s->ffn },
		{ "vocab_size", 2, MAX_VOCAB, &s->vocab }, { "num_conv_pos_embeddings", 1, 1024, &s->positions },
		{ "num_conv_pos_embedding_groups", 1, MAX_WIDTH, &s->position_groups }, { "adapter_attn_dim", 1, MAX_WIDTH, &s->language_width },
		{ "num_adapter_layers", 1, 16, &s->adapter_layers }, { "adapter_kernel_size", 1, 16, &s->adapter_kernel },
		{ "adapter_stride", 1, 16, &s->adapter_stride }, { "output_hidden_size", 1, MAX_WIDTH, &s->adapter_width },
	};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		const int code = sn_json_int32(config, sizes[i].key, sizes[i].least, sizes[i].most, sizes[i].out, file, err);
		if (code != SN_OK) return code;
	}
	if (!s->adapter_width) s->adapter_width = s->width;
	if (s->width % s->heads)
		return sn_fail(err, SN_E_MODEL, "%s: 'hidden_size' %d cannot be divided among %d attention heads", file, s->width, s->heads);
	if (s->width % s->position_groups)
		return sn_fail(err, SN_E_MODEL, "%s: 'hidden_size' %d cannot be divided among %d groups of 'num_conv_pos_embedding_groups'", file,
		               s->width, s->position_groups);
	if (s->language_width && !s->stable)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: 'adapter_attn_dim' is %d, but 'do_stable_layer_norm' is not set: only such layers take "
		               "language adapters", file, s->language_width);
	return SN_OK;
}

static int read_config(wav2vec2_settings *s, const json_t *config, const char *file, char *err) {
	double eps = 1e-5;
	*s = (wav2vec2_settings){ .width = 768, .layers = 12, .heads = 12, .ffn = 3072, .vocab = 32, .positions = 128, .position_groups = 16,
	                          .adapter_layers = 3, .adapter_kernel = 3, .adapter_stride = 2, .normalise = 1, .sample_rate = 16000 };
	int code = read_type(config, file, err);
	if (code == SN_OK) code = sn_json_bool(config, "conv_bias", &s->conv_bias, file, err);
	if (code == SN_OK) code = sn_json_bool(config, "do_stable_layer_norm", &s->stable, file, err);
	if (code == SN_OK) code = sn_json_bool(config, "add_adapter", &s->add_adapter, file, err);
	if (code == SN_OK) code = sn_json_double(config, "layer_norm_eps", 0, 1, &eps, file, err);
	if (code == SN_OK) code = read_sizes(s, config, file, err);
	if (code == SN_OK) code = read_convs(s, config, file, err);
	if (code == SN_OK) code = read_activation(config, "feat_extract_activation", &s->conv_act, file, err);
	if (code == SN_OK) code = read_activation(config, "hidden_act", &s->act, file, err);
	if (code != SN_OK) return code;
	const json_t *const norm = json_object_get(config, "feat_extract_norm");
	const char *const name = norm ? json_string_value(norm) : "group";
	if (!name || (strcmp(name, "group") != 0 && strcmp(name, "layer") != 0))
		return sn_fail(err, SN_E_MODEL, "%s: 'feat_extract_norm' is '%.40s'; known are group and layer", file, name ? name : "no text");
	s->group_norm = strcmp(name, "group") == 0;
	if (s->group_norm && s->kernel[0] > WAV2VEC2_MAX_FIRST)
		return sn_fail(err, SN_E_MODEL, "%s: 'conv_kernel' begins with %d; before a group norm at most %d are right", file, s->kernel[0],
		               WAV2VEC2_MAX_FIRST);
	s->eps = (float)eps;
	return SN_OK;
}

/* preprocessor_config.json, or what newer versions write: an object inside processor_config.json. */
static int read_preprocessor(wav2vec2_settings *s, const char *dir, char *err) {
	static const char *const names[] = { "preprocessor_config.json", "processor_config.json" };
	for (int i = 0; i < 2; i++) {
		char file[SN_PATH_MAX];
		json_t *root = NULL;
		if (!sn_path_join(file, dir, names[i])) return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long", dir);
		int code = sn_json_file(&root, file, err);
		if (code == SN_E_NOT_FOUND) continue;
		const json_t *const object = i == 0 ? root : json_object_get(root, "feature_extractor");
		int channels = 1;
		if (code == SN_OK) code = sn_json_bool(object, "do_normalize", &s->normalise, file, err);
		if (code == SN_OK) code = sn_json_int32(object, "sampling_rate", 1, 1000000, &s->sample_rate, file, err);
		if (code == SN_OK) code = sn_json_int32(object, "feature_size", 1, 1000000, &channels, file, err);
		if (code == SN_OK && channels != 1)
			code = sn_fail(err, SN_E_UNSUPPORTED, "%s: 'feature_size' is %d; samples have 1 value", file, channels);
		if (code == SN_OK && s->sample_rate != 16000)
			code = sn_fail(err, SN_E_UNSUPPORTED, "%s: 'sampling_rate' is %d; only models of 16000 Hz can be used", file, s->sample_rate);
		json_decref(root);
		if (code != SN_OK || object) return code;
	}
	return SN_OK;
}

int wav2vec2_settings_read(wav2vec2_settings *s, const char *dir, char *err) {
	char file[SN_PATH_MAX];
	json_t *config = NULL;
	if (!sn_path_join(file, dir, "config.json")) return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long", dir);
	int code = sn_json_file(&config, file, err);
	if (code == SN_OK) code = read_config(s, config, file, err);
	if (code == SN_OK) code = read_preprocessor(s, dir, err);
	json_decref(config);
	return code;
}

int sn_wav2vec2_accepts(const char *dir) {
	char file[SN_PATH_MAX];
	json_t *config = NULL;
	if (!sn_path_join(file, dir, "config.json") || sn_json_file(&config, file, NULL) != SN_OK) return 0;
	const char *const type = json_string_value(json_object_get(config, "model_type"));
	const int yes = type && strcmp(type, "wav2vec2") == 0;
	json_decref(config);
	return yes;
}

/* ---- what must not be there ---- */

int wav2vec2_files_check(const wav2vec2_files *files, const wav2vec2_settings *s, char *err) {
	char names[6][160], says[6][96];
	const int present[] = { !s->conv_bias, s->group_norm && s->convs > 1, 1, 1, !s->language_width, !s->add_adapter };
	snprintf(names[0], sizeof names[0], "%sfeature_extractor.conv_layers.0.conv.bias", files->prefix);
	snprintf(says[0], sizeof says[0], "'conv_bias' is false");
	snprintf(names[1], sizeof names[1], "%sfeature_extractor.conv_layers.1.layer_norm.weight", files->prefix);
	snprintf(says[1], sizeof says[1], "'feat_extract_norm' is group");
	snprintf(names[2], sizeof names[2], "%sfeature_extractor.conv_layers.%d.conv.weight", files->prefix, s->convs);
	snprintf(says[2], sizeof says[2], "'conv_dim' lists %d layers", s->convs);
	snprintf(names[3], sizeof names[3], "%sencoder.layers.%d.attention.q_proj.weight", files->prefix, s->layers);
	snprintf(says[3], sizeof says[3], "'num_hidden_layers' is %d", s->layers);
	snprintf(names[4], sizeof names[4], "%sencoder.layers.0.adapter_layer.norm.weight", files->prefix);
	snprintf(says[4], sizeof says[4], "'adapter_attn_dim' is not set");
	snprintf(names[5], sizeof names[5], "%sadapter.layers.0.conv.weight", files->prefix);
	snprintf(says[5], sizeof says[5], "'add_adapter' is false");
	for (int i = 0; i < 6; i++)
		if (present[i] && sn_weights_find(files->body, names[i]))
			return sn_fail(err, SN_E_MODEL, "%s has the tensor '%s', but in its config.json %s", sn_weights_path(files->body), names[i],
			               says[i]);
	return SN_OK;
}

/* ---- the model card ---- */

static int add_code(char (*codes)[SN_CTC_LANGUAGE], int count, int max, const char *text, size_t size) {
	while (size && !sn_isalnum((unsigned char)*text)) text++, size--;
	while (size && !sn_isalnum((unsigned char)text[size - 1])) size--;
	if (size < 2 || size >= SN_CTC_LANGUAGE || count == max) return count;
	for (size_t i = 0; i < size; i++)
		if (!sn_isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_') return count;
	memcpy(codes[count], text, size);
	codes[count][size] = 0;
	return count + 1;
}

/* A card begins with YAML between two lines of "---". Known ways: "language: en", "language: [en, de]", and "language:" with lines
 * "- en" below it. */
int wav2vec2_card_languages(const char *dir, char (*codes)[SN_CTC_LANGUAGE], int max) {
	char file[SN_PATH_MAX], text[CARD_BYTES];
	sn_map map;
	int count = 0, inside = 0;
	if (!sn_path_join(file, dir, "README.md") || sn_map_open(&map, file, NULL) != SN_OK) return 0;
	const size_t size = map.size < sizeof text - 1 ? map.size : sizeof text - 1;
	if (size) memcpy(text, map.data, size);
	text[size] = 0;
	sn_map_close(&map);
	if (strncmp(text, "---", 3) != 0) return 0;
	for (char *end = strchr(text, '\n'); end && strncmp(end + 1, "---", 3) != 0;) {
		char *const line = end + 1;
		end = strchr(line, '\n');
		const size_t length = end ? (size_t)(end - line) : strlen(line);
		if (strncmp(line, "language:", 9) == 0) {
			inside = 1;
			for (size_t from = 9, to; from < length; from = to + 1) {
				to = from + strcspn(line + from, ",\n");
				to = to < length ? to : length;
				count = add_code(codes, count, max, line + from, to - from);
			}
		} else if (inside && line[strspn(line, " ")] == '-') {
			count = add_code(codes, count, max, line, length);
		} else {
			inside = 0;
		}
	}
	return count;
}
