#include "models/vits_internal.h"

#include "base/json.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_BYTES 4096
#define FILES_SEEN 4096 /* entries of a directory that are looked at for a voice */

static int is_directory(const char *path) {
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int ends_with(const char *text, const char *tail) {
	const size_t length = strlen(text), end = strlen(tail);
	return length > end && strcmp(text + length - end, tail) == 0;
}

static int join(char out[PATH_BYTES], const char *dir, const char *name, char *err) {
	if (snprintf(out, PATH_BYTES, "%s%s", dir, name) < PATH_BYTES) return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long; at most %d bytes are allowed", dir, PATH_BYTES - 1);
}

/* The voice of a directory: the first .onnx, by name, that has its .onnx.json beside it. */
static int find_voice(const char *path, char voice[PATH_BYTES], char *err) {
	char best[256] = "", json[PATH_BYTES];
	DIR *const dir = opendir(path);
	if (!dir) return sn_fail_errno(err, "cannot read the folder %s", path);
	for (int seen = 0; seen < FILES_SEEN; seen++) {
		const struct dirent *const entry = readdir(dir);
		struct stat st;
		if (!entry) break;
		if (!ends_with(entry->d_name, ".onnx") || strlen(entry->d_name) >= sizeof best) continue;
		if (snprintf(json, sizeof json, "%s/%s.json", path, entry->d_name) >= (int)sizeof json || stat(json, &st) != 0) continue;
		if (!*best || strcmp(entry->d_name, best) < 0) strcpy(best, entry->d_name);
	}
	closedir(dir);
	if (!*best) return sn_fail(err, SN_E_NOT_FOUND, "%s holds neither a config.json nor a voice (.onnx with its .onnx.json)", path);
	if (snprintf(voice, PATH_BYTES, "%s/%s", path, best) < PATH_BYTES) return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long", path);
}

static int read_text(const json_t *object, const char *key, char *out, size_t size, const char *file, char *err) {
	const json_t *const value = json_object_get(object, key);
	if (!value || json_is_null(value)) return SN_OK;
	if (!json_is_string(value) || json_string_length(value) >= size || strlen(json_string_value(value)) != json_string_length(value))
		return sn_fail(err, SN_E_MODEL, "%s: '%s' must be text of at most %zu bytes", file, key, size - 1);
	strcpy(out, json_string_value(value));
	return SN_OK;
}

static int read_float(const json_t *object, const char *key, double least, double most, float *out, const char *file, char *err) {
	double value = *out;
	const int code = sn_json_double(object, key, least, most, &value, file, err);
	*out = (float)value;
	return code;
}

static int read_int(const json_t *object, const char *key, int64_t least, int64_t most, int *out, const char *file, char *err) {
	int64_t value = *out;
	const int code = sn_json_int(object, key, least, most, &value, file, err);
	*out = (int)value;
	return code;
}

static int parse_piper(vits_settings *s, const json_t *root, const char *file, char *err) {
	sn_vits_config *const c = &s->public;
	const json_t *const inference = json_object_get(root, "inference");
	char type[32] = "espeak";
	int code = read_int(json_object_get(root, "audio"), "sample_rate", 1000, 384000, &c->sample_rate, file, err);
	if (code == SN_OK) code = read_float(inference, "noise_scale", 0, 10, &c->noise_scale, file, err);
	if (code == SN_OK) code = read_float(inference, "noise_w", 0, 10, &c->noise_duration, file, err);
	if (code == SN_OK) code = read_float(inference, "length_scale", 0.01, 100, &c->length_scale, file, err);
	if (code == SN_OK) code = read_text(json_object_get(root, "espeak"), "voice", c->espeak_voice, sizeof c->espeak_voice, file, err);
	if (code == SN_OK) code = read_text(json_object_get(root, "language"), "code", c->language, sizeof c->language, file, err);
	if (code == SN_OK) code = read_text(root, "phoneme_type", type, sizeof type, file, err);
	if (code != SN_OK) return code;
	if (strcmp(type, "espeak") != 0 && strcmp(type, "text") != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: phoneme_type '%s' is not known; espeak and text are", file, type);
	if (!json_is_object(json_object_get(root, "phoneme_id_map"))) return sn_fail(err, SN_E_MODEL, "%s: 'phoneme_id_map' is missing", file);
	return SN_OK;
}

static int parse_dilations(vits_settings *s, const json_t *root, const char *file, char *err) {
	const json_t *const rows = json_object_get(root, "resblock_dilation_sizes");
	s->kernels = (int)json_array_size(rows);
	if (s->kernels < 1 || s->kernels > VITS_MAX_KERNELS)
		return sn_fail(err, SN_E_MODEL, "%s: 'resblock_dilation_sizes' must be a list of 1 to %d lists", file, VITS_MAX_KERNELS);
	for (int i = 0; i < s->kernels; i++) {
		const json_t *const row = json_array_get(rows, (size_t)i);
		s->dilation_count[i] = (int)json_array_size(row);
		if (s->dilation_count[i] < 1 || s->dilation_count[i] > VITS_MAX_DEPTH)
			return sn_fail(err, SN_E_MODEL, "%s: 'resblock_dilation_sizes'[%d] must be a list of 1 to %d numbers", file, i, VITS_MAX_DEPTH);
		for (int j = 0; j < s->dilation_count[i]; j++) {
			const json_t *const value = json_array_get(row, (size_t)j);
			s->dilations[i][j] = json_integer_value(value);
			if (!json_is_integer(value) || s->dilations[i][j] < 1 || s->dilations[i][j] > VITS_MAX_DILATION)
				return sn_fail(err, SN_E_MODEL, "%s: 'resblock_dilation_sizes'[%d][%d] must be 1 to %d", file, i, j, VITS_MAX_DILATION);
		}
	}
	return SN_OK;
}

static int parse_hugging_face(vits_settings *s, const json_t *root, const char *file, char *err) {
	sn_vits_config *const c = &s->public;
	char act[32] = "relu";
	float rate = 1;
	c->sample_rate = 16000;
	int code = read_int(root, "sampling_rate", 1000, 384000, &c->sample_rate, file, err);
	if (code == SN_OK) code = read_int(root, "num_attention_heads", 1, 256, &s->heads, file, err);
	if (code == SN_OK) code = read_int(root, "wavenet_dilation_rate", 1, 16, &s->wavenet_dilation, file, err);
	if (code == SN_OK) code = read_float(root, "noise_scale", 0, 10, &c->noise_scale, file, err);
	if (code == SN_OK) code = read_float(root, "noise_scale_duration", 0, 10, &c->noise_duration, file, err);
	if (code == SN_OK) code = read_float(root, "speaking_rate", 0.01, 100, &rate, file, err);
	if (code == SN_OK) code = read_float(root, "layer_norm_eps", 1e-12, 1, &s->norm_eps, file, err);
	if (code == SN_OK) code = read_float(root, "leaky_relu_slope", 0, 1, &s->slope, file, err);
	if (code == SN_OK) code = read_float(root, "duration_predictor_tail_bound", 1e-3, 1e3, &s->tail_bound, file, err);
	if (code == SN_OK) code = read_text(root, "hidden_act", act, sizeof act, file, err);
	if (code == SN_OK) code = sn_json_ints(root, "upsample_rates", 1, 32, s->rates, VITS_MAX_STAGES, &s->stages, file, err);
	if (code == SN_OK) code = parse_dilations(s, root, file, err);
	if (code != SN_OK) return code;
	if (s->stages < 1) return sn_fail(err, SN_E_MODEL, "%s: 'upsample_rates' is missing", file);
	c->length_scale = 1 / rate;
	if (strcmp(act, "relu") == 0) s->act = NN_RELU;
	else if (strcmp(act, "gelu") == 0) s->act = NN_GELU;
	else if (strcmp(act, "silu") == 0 || strcmp(act, "swish") == 0) s->act = NN_SILU;
	else return sn_fail(err, SN_E_UNSUPPORTED, "%s: hidden_act '%s' is not known; relu, gelu and silu are", file, act);
	return SN_OK;
}

int sn_vits_locate(sn_vits_files *files, const char *path, char *err) {
	struct stat st;
	int code;
	*files = (sn_vits_files){ 0 };
	if ((code = join(files->weights, path, "", err)) != SN_OK || (code = join(files->json, path, "/config.json", err)) != SN_OK) return code;
	if (is_directory(path) && stat(files->json, &st) == 0) return SN_OK;
	files->piper = 1;
	if (is_directory(path)) code = find_voice(path, files->weights, err);
	return code == SN_OK ? join(files->json, files->weights, ".json", err) : code;
}

int vits_settings_read(vits_settings *s, const sn_vits_files *files, char *err) {
	json_t *root = NULL;
	*s = (vits_settings){
		.public = { .sample_rate = 22050, .speakers = 1, .noise_scale = 0.667f, .noise_duration = 0.8f, .length_scale = 1, .piper = files->piper },
		.act = NN_RELU, .norm_eps = 1e-5f, .slope = 0.1f, .tail_bound = 5, .wavenet_dilation = 1,
	};
	int code = sn_json_file(&root, files->json, err);
	if (code != SN_OK) return code;
	code = files->piper ? parse_piper(s, root, files->json, err) : parse_hugging_face(s, root, files->json, err);
	json_decref(root);
	return code;
}
