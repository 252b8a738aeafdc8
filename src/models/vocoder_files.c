/* Which vocoder lies in a directory, in whose layout, and which of its files hold the configuration and the weights. */
#include "models/vocoder_internal.h"

#include "base/map.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_SEEN 4096   /* entries of a directory that are looked at for weights */
#define YAML_LINES 4096   /* lines of a hyperparams.yaml that are read */
#define YAML_MAX ((size_t)1 << 20)

static const char *text_of(const json_t *object, const char *key) {
	const char *const text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* ---- SpeechBrain's hyperparams.yaml ---- */

/* One "key: value" line whose value reads as JSON: numbers, texts in quotes, lists, True and False. References (!ref) and whatever
 * builds objects are left out; a key's first value counts. */
static void read_line(json_t *root, const char *line, size_t length) {
	const char *const colon = memchr(line, ':', length);
	char key[64], value[512];
	if (!colon) return;
	while (line < colon && *line == ' ') line++, length--;
	const size_t key_length = (size_t)(colon - line);
	if (key_length == 0 || key_length >= sizeof key || *line == '#') return;
	memcpy(key, line, key_length);
	key[key_length] = 0;
	const char *at = colon + 1, *end = line + length;
	const char *const comment = memchr(at, '#', (size_t)(end - at));
	if (comment) end = comment;
	while (at < end && (*at == ' ' || *at == '\t')) at++;
	while (end > at && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) end--;
	const size_t size = (size_t)(end - at);
	if (size == 0 || size >= sizeof value) return;
	for (size_t i = 0; i < size; i++) value[i] = at[i] == '\'' ? '"' : at[i];
	value[size] = 0;
	json_t *const read = strcmp(value, "True") == 0    ? json_true()
	                     : strcmp(value, "False") == 0 ? json_false()
	                     : *value == '!'               ? NULL
	                                                   : json_loads(value, JSON_DECODE_ANY, NULL);
	if (read && !json_object_get(root, key)) json_object_set(root, key, read);
	json_decref(read);
}

static int read_yaml(json_t **out, const char *path, char *err) {
	sn_map map;
	int code = sn_map_open(&map, path, err);
	if (code != SN_OK) return code;
	*out = json_object();
	const char *at = (const char *)map.data, *const end = at + (map.size < YAML_MAX ? map.size : YAML_MAX);
	for (int line = 0; *out && at && at < end && line < YAML_LINES; line++) {
		const char *const newline = memchr(at, '\n', (size_t)(end - at));
		const size_t length = (size_t)((newline ? newline : end) - at);
		read_line(*out, at, length);
		at += length + 1;
	}
	sn_map_close(&map);
	return *out ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", path);
}

/* ---- which file ---- */

static int is_step(const char *name) { return strncmp(name, "g_", 2) == 0 || strncmp(name, "generator", 9) == 0; }
static int is_waveglow(const char *name) { return strstr(name, "waveglow") != NULL; }
static int is_torch(const char *name) { return sn_path_ends_with(name, ".pt") || sn_path_ends_with(name, ".pth"); }

static int is_weights(const char *name) {
	static const char *const others[] = { ".json", ".yaml", ".yml", ".md", ".txt", ".py", ".wav" };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (sn_path_ends_with(name, others[i])) return 0;
	return 1;
}

/* The last (training steps: the farthest) or the first file, by name, of those that `wanted` likes. */
static int find_file(char out[SN_PATH_MAX], const char *dir, int (*wanted)(const char *), int last) {
	char best[256] = "";
	DIR *const d = opendir(dir);
	for (int seen = 0; d && seen < FILES_SEEN; seen++) {
		const struct dirent *const entry = readdir(d);
		if (!entry) break;
		if (!wanted(entry->d_name) || !is_weights(entry->d_name) || strlen(entry->d_name) >= sizeof best) continue;
		const int order = strcmp(entry->d_name, best);
		if (!*best || (last ? order > 0 : order < 0)) strcpy(best, entry->d_name);
	}
	if (d) closedir(d);
	return *best && sn_path_join(out, dir, best);
}

static int exists(const char *path) {
	FILE *const file = fopen(path, "rb");
	if (file) fclose(file);
	return file != NULL;
}

static void choose_weights(vocoder_files *f, const char *dir) {
	static const char *const coqui[] = { "model_file.pth", "best_model.pth", "model.pth", "model_file.pth.tar",
	                                     "best_model.pth.tar" };
	char path[SN_PATH_MAX];
	snprintf(f->weights, sizeof f->weights, "%s", dir);
	if (f->layout == VOCODER_JIK876 && find_file(path, dir, is_step, 1)) strcpy(f->weights, path);
	if (f->layout == VOCODER_NVIDIA && (find_file(path, dir, is_waveglow, 0) || find_file(path, dir, is_torch, 0)))
		strcpy(f->weights, path);
	if (f->layout == VOCODER_SPEECHBRAIN && sn_path_join(path, dir, "generator.ckpt")) strcpy(f->weights, path);
	for (size_t i = 0; f->layout == VOCODER_COQUI && i < sizeof coqui / sizeof *coqui; i++)
		if (sn_path_join(path, dir, coqui[i]) && exists(path)) {
			strcpy(f->weights, path);
			return;
		}
}

/* ---- which layout ---- */

static void classify_coqui(vocoder_files *f, const char *generator) {
	f->layout = VOCODER_COQUI;
	f->params = json_object_get(f->root, "generator_model_params");
	f->kind = strcmp(generator, "hifigan_generator") == 0            ? VOCODER_HIFIGAN
	          : strcmp(generator, "melgan_generator") == 0           ? VOCODER_MELGAN
	          : strcmp(generator, "fullband_melgan_generator") == 0  ? VOCODER_MELGAN
	          : strcmp(generator, "multiband_melgan_generator") == 0 ? VOCODER_MULTIBAND
	                                                                 : VOCODER_OTHER;
	snprintf(f->name, sizeof f->name, "%s", generator);
}

static int names(const json_t *root, const char *name) {
	const json_t *const list = json_object_get(root, "architectures");
	const char *const first = json_string_value(json_array_get(list, 0));
	return first && strcmp(first, name) == 0;
}

static void classify(vocoder_files *f) {
	const json_t *const root = f->root;
	const char *const type = text_of(root, "model_type"), *const generator = text_of(root, "generator_model");
	const json_t *const waveglow = json_object_get(root, "waveglow_config");
	f->params = root;
	if (strcmp(type, "fastspeech2_conformer_with_hifigan") == 0 || names(root, "FastSpeech2ConformerWithHifiGan")) {
		f->kind = VOCODER_HIFIGAN;
		f->layout = VOCODER_HUGGING_FACE;
		f->params = json_object_get(root, "vocoder_config");
		f->prefix = "vocoder.";
	} else if (strcmp(type, "speecht5_hifigan") == 0 || strcmp(type, "fastspeech2_conformer_hifigan") == 0 ||
	           strcmp(type, "hifigan") == 0 ||
	           names(root, "SpeechT5HifiGan") || names(root, "FastSpeech2ConformerHifiGan")) {
		f->kind = VOCODER_HIFIGAN;
		f->layout = VOCODER_HUGGING_FACE;
	} else if (*generator) {
		classify_coqui(f, generator);
	} else if (!*type && json_object_get(root, "resblock_kernel_sizes") && json_object_get(root, "upsample_initial_channel")) {
		f->kind = VOCODER_HIFIGAN;
		f->layout = VOCODER_JIK876;
	} else if (json_is_object(waveglow) || (json_object_get(root, "WN_config") && !*type)) {
		f->kind = VOCODER_WAVEGLOW;
		f->layout = VOCODER_NVIDIA;
		if (waveglow) f->params = waveglow;
	}
}

/* Weights alone: WaveGlow's say all of its shape. */
static void classify_weights(vocoder_files *f, const char *path) {
	sn_weights *weights = NULL;
	vocoder_binder b;
	f->layout = VOCODER_NVIDIA;
	if (sn_path_is_directory(path)) choose_weights(f, path);
	else snprintf(f->weights, sizeof f->weights, "%s", path);
	if ((!is_torch(f->weights) && !is_waveglow(f->weights)) || sn_weights_open(&weights, f->weights, NULL) != SN_OK) return;
	if (vocoder_binder_open(&b, weights, NULL, "WN.0.start", NULL) && vocoder_has(&b, "upsample")) f->kind = VOCODER_WAVEGLOW;
	sn_weights_close(&weights);
}

static int read_config(vocoder_files *f, const char *dir, char *err) {
	char yaml[SN_PATH_MAX], generator[SN_PATH_MAX];
	if (!sn_path_join(f->config, dir, "config.json") || !sn_path_join(yaml, dir, "hyperparams.yaml") ||
	    !sn_path_join(generator, dir, "generator.ckpt"))
		return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long; at most %d bytes are allowed", dir, SN_PATH_MAX - 32);
	if (exists(f->config)) {
		const int code = sn_json_file(&f->root, f->config, err);
		if (code == SN_OK) classify(f);
		return code;
	}
	*f->config = 0;
	if (!exists(yaml) || !exists(generator)) return SN_OK;
	strcpy(f->config, yaml);
	const int code = read_yaml(&f->root, yaml, err);
	if (code != SN_OK) return code;
	f->kind = VOCODER_HIFIGAN;
	f->layout = VOCODER_SPEECHBRAIN;
	f->params = f->root;
	return SN_OK;
}

int vocoder_files_read(vocoder_files *files, const char *path, char *err) {
	const int whole = sn_path_is_directory(path);
	char dir[SN_PATH_MAX];
	*files = (vocoder_files){ 0 };
	if (strlen(path) >= sizeof dir - 32)
		return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long; at most %d bytes are allowed", path, SN_PATH_MAX - 32);
	strcpy(dir, path);
	if (!whole) {
		char *const slash = strrchr(dir, '/');
		if (slash) slash[slash == dir] = 0;
		else strcpy(dir, ".");
	}
	const int code = read_config(files, dir, err);
	if (code != SN_OK) {
		vocoder_files_free(files);
		return code;
	}
	if (files->kind == VOCODER_NONE && !*files->config) classify_weights(files, path);
	else if (whole) choose_weights(files, path);
	else strcpy(files->weights, path);
	return SN_OK;
}

void vocoder_files_free(vocoder_files *files) {
	json_decref(files->root);
	files->root = NULL;
	files->params = NULL;
	files->kind = VOCODER_NONE;
}

/* ---- what the frames mean ---- */

int vocoder_need_int(const json_t *object, const char *key, int64_t least, int64_t most, int *out, const char *file, char *err) {
	int64_t value = INT64_MIN;
	const int code = sn_json_int(object, key, least, most, &value, file, err);
	if (code != SN_OK) return code;
	if (value == INT64_MIN)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' is missing; a number from %lld to %lld is right", file, key, (long long)least,
		               (long long)most);
	*out = (int)value;
	return SN_OK;
}

/* The fields that every configuration has under some name (NULL: none). */
typedef struct mel_keys { const char *rate, *mels, *fft, *hop, *window, *low, *high; } mel_keys;

static int read_fields(const vocoder_files *f, const json_t *o, mel_keys k, sn_mel_layout *m, char *err) {
	int code = SN_OK;
	if (k.rate) code = sn_json_int32(o, k.rate, 0, 384000, &m->sample_rate, f->config, err);
	if (code == SN_OK && k.mels) code = sn_json_int32(o, k.mels, 0, VOCODER_MAX_WIDTH, &m->mels, f->config, err);
	if (code == SN_OK && k.fft) code = sn_json_int32(o, k.fft, 0, 1 << 20, &m->fft, f->config, err);
	if (code == SN_OK && k.hop) code = sn_json_int32(o, k.hop, 0, 1 << 20, &m->hop, f->config, err);
	if (code == SN_OK && k.window) code = sn_json_int32(o, k.window, 0, 1 << 20, &m->window, f->config, err);
	if (code == SN_OK && k.low) code = sn_json_float(o, k.low, 0, 192000, &m->low, f->config, err);
	if (code == SN_OK && k.high) code = sn_json_float(o, k.high, 0, 192000, &m->high, f->config, err);
	return code;
}

/* The feature extractors that the published models were trained with (SpeechT5FeatureExtractor, ESPnet's LogMelFbank). */
static int read_hugging_face(const vocoder_files *f, int hop, sn_mel_layout *m, char *err) {
	const int fastspeech = f->prefix || strcmp(text_of(f->params, "model_type"), "fastspeech2_conformer_hifigan") == 0 ||
	                       names(f->params, "FastSpeech2ConformerHifiGan");
	*m = (sn_mel_layout){ .sample_rate = fastspeech ? 22050 : 16000, .mels = 80, .hop = hop, .low = 80, .high = 7600,
	                      .scale = SN_MEL_SLANEY, .log = SN_MEL_LOG_10, .floor = 1e-10f, .gain = 1 };
	return read_fields(f, f->params, (mel_keys){ .rate = "sampling_rate", .mels = "model_in_dim" }, m, err);
}

/* NVIDIA's training configuration has its mel beside the network's part; alone the network says only how many mels. */
static int read_nvidia(const vocoder_files *f, int hop, sn_mel_layout *m, char *err) {
	*m = (sn_mel_layout){ .sample_rate = 22050, .fft = 1024, .hop = hop, .window = 1024, .high = 8000,
	                      .scale = SN_MEL_SLANEY, .log = SN_MEL_LOG_E, .floor = 1e-5f, .gain = 1 };
	return read_fields(f, json_object_get(f->root, "data_config"),
	                   (mel_keys){ "sampling_rate", NULL, "filter_length", "hop_length", "win_length", "mel_fmin", "mel_fmax" },
	                   m, err);
}

int vocoder_files_mel(const vocoder_files *f, int mels, int hop, sn_mel_layout *m, char *err) {
	int code = SN_OK;
	*m = (sn_mel_layout){ .scale = SN_MEL_SLANEY, .log = SN_MEL_LOG_E, .floor = 1e-5f, .gain = 1 };
	if (f->layout == VOCODER_COQUI) code = sn_mel_layout_coqui(m, f->root, f->config, err);
	else if (f->layout == VOCODER_HUGGING_FACE) code = read_hugging_face(f, hop, m, err);
	else if (f->layout == VOCODER_NVIDIA) code = read_nvidia(f, hop, m, err);
	else if (f->layout == VOCODER_JIK876)
		code = read_fields(f, f->params, (mel_keys){ "sampling_rate", "num_mels", "n_fft", "hop_size", "win_size", "fmin", "fmax" }, m,
		                   err);
	else {
		m->sample_rate = 22050;
		m->high = 8000;
		code = read_fields(f, f->params, (mel_keys){ "sample_rate", "in_channels", "n_fft", "hop_length", "win_length", "mel_fmin",
		                                             "mel_fmax" }, m, err);
	}
	if (code != SN_OK) return code;
	if (m->sample_rate < 1000)
		return sn_fail(err, SN_E_MODEL, "%s: the sample rate is %s; 1000 to 384000 is right", *f->config ? f->config : f->weights,
		               m->sample_rate ? "too low" : "missing");
	if (m->mels && m->mels != mels)
		return sn_fail(err, SN_E_MODEL, "%s: frames have %d mels, but the weights of %s take %d", f->config, m->mels, f->weights, mels);
	m->mels = mels;
	return SN_OK;
}
