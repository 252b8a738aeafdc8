#include "models/tacotron2_internal.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NVIDIA_TENSOR "decoder.attention_layer.query_layer.linear_layer.weight"

/* ---- which layout ---- */

static int is_directory(const char *path) {
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A file of the model's directory; `path` may be the directory or its weights. 0: too long. */
static int beside(char out[TACO_PATH], const char *path, const char *name) {
	const char *const slash = strrchr(path, '/');
	if (is_directory(path)) return snprintf(out, TACO_PATH, "%s/%s", path, name) < TACO_PATH;
	return snprintf(out, TACO_PATH, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path, name) < TACO_PATH;
}

static int exists(const char *path) {
	struct stat st;
	return stat(path, &st) == 0;
}

static int has_nvidia_tensors(const char *path) {
	sn_weights *w = NULL;
	char prefix[SN_WEIGHTS_MAX_NAME + 1];
	const size_t length = strlen(path);
	if (length > 5 && strcmp(path + length - 5, ".onnx") == 0) return 0;
	if (sn_weights_open(&w, path, NULL) != SN_OK) return 0;
	const int found = sn_weights_prefix(w, NVIDIA_TENSOR, prefix) > 0;
	sn_weights_close(&w);
	return found;
}

int taco_layout(const char *path) {
	char file[TACO_PATH];
	json_t *root = NULL;
	if (!beside(file, path, "config.json")) return 0;
	if (!exists(file)) return has_nvidia_tensors(path) ? 1 : 0;
	if (sn_json_file(&root, file, NULL) != SN_OK) return 0;
	const char *const model = json_string_value(json_object_get(root, "model"));
	const int coqui = !json_object_get(root, "model_type") && model && strcmp(model, "tacotron2") == 0;
	json_decref(root);
	return coqui ? 2 : 0;
}

/* ---- reading keys ---- */

typedef struct number {
	taco_size size;
	const char *key;
	int64_t most, usual; /* usual: what the reference takes for a missing key; 0: the weights tell */
} number;

static int read_sizes(taco_settings *s, const json_t *root, const number *list, size_t count, char *err) {
	int code = SN_OK;
	for (size_t i = 0; i < count && code == SN_OK; i++) {
		int64_t value = list[i].usual;
		code = sn_json_int(root, list[i].key, 0, list[i].most, &value, s->config, err);
		if (value) s->stated[list[i].size].key = list[i].key;
		s->stated[list[i].size].value = value;
	}
	return code;
}

/* ---- NVIDIA: hparams.json, which few have ---- */

/* "symbols": the names of the ids, where they are other than the table's first. */
static int read_symbols(taco_settings *s, const json_t *list, char *err) {
	if (!list || json_is_null(list)) return SN_OK;
	if (!json_is_array(list) || json_array_size(list) > 1 << 16)
		return sn_fail(err, SN_E_MODEL, "%s: 'symbols' must be a list of at most %d texts", s->config, 1 << 16);
	for (int i = 0; i < SN_SYMBOLS; i++) s->symbols[i] = -1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *const name = json_string_value(json_array_get(list, i));
		if (!name) return sn_fail(err, SN_E_MODEL, "%s: 'symbols' holds something that is no text at %zu", s->config, i);
		const int32_t id = sn_symbols_id(name);
		if (id >= 0 && s->symbols[id] < 0) s->symbols[id] = (int32_t)i;
	}
	return SN_OK;
}

static int parse_nvidia(taco_settings *s, const json_t *root, char *err) {
	static const number sizes[] = {
		{ TACO_VOCAB, "n_symbols", 1 << 16, 0 }, { TACO_MELS, "n_mel_channels", 512, 0 }, { TACO_REDUCTION, "n_frames_per_step", 16, 0 },
		{ TACO_WIDTH, "symbols_embedding_dim", TACO_MAX_WIDTH, 0 }, { TACO_ENCODER, "encoder_embedding_dim", TACO_MAX_WIDTH, 0 },
		{ TACO_ENCODER_LAYERS, "encoder_n_convolutions", TACO_MAX_LAYERS, 0 }, { TACO_ENCODER_KERNEL, "encoder_kernel_size", 255, 0 },
		{ TACO_QUERY, "attention_rnn_dim", TACO_MAX_WIDTH, 0 }, { TACO_ATTENTION, "attention_dim", TACO_MAX_WIDTH, 0 },
		{ TACO_FILTERS, "attention_location_n_filters", TACO_MAX_WIDTH, 0 },
		{ TACO_LOCATION_KERNEL, "attention_location_kernel_size", 255, 0 },
		{ TACO_DECODER, "decoder_rnn_dim", TACO_MAX_WIDTH, 0 }, { TACO_PRENET, "prenet_dim", TACO_MAX_WIDTH, 0 },
		{ TACO_POSTNET_UNITS, "postnet_embedding_dim", TACO_MAX_WIDTH, 0 }, { TACO_POSTNET_KERNEL, "postnet_kernel_size", 255, 0 },
		{ TACO_POSTNET_LAYERS, "postnet_n_convolutions", TACO_MAX_LAYERS, 0 },
	};
	const char *const f = s->config;
	sn_mel_layout *const m = &s->mel;
	int code = read_sizes(s, root, sizes, sizeof sizes / sizeof *sizes, err);
	if (code == SN_OK) code = sn_json_int(root, "max_decoder_steps", 1, 1 << 20, &s->max_steps, f, err);
	if (code == SN_OK) code = sn_json_double(root, "gate_threshold", 0, 1, &s->threshold, f, err);
	if (code == SN_OK) code = sn_json_int32(root, "sampling_rate", 1000, 384000, &m->sample_rate, f, err);
	if (code == SN_OK) code = sn_json_int32(root, "filter_length", 1, 1 << 20, &m->fft, f, err);
	if (code == SN_OK) code = sn_json_int32(root, "hop_length", 1, 1 << 20, &m->hop, f, err);
	if (code == SN_OK) code = sn_json_int32(root, "win_length", 1, 1 << 20, &m->window, f, err);
	if (code == SN_OK) code = sn_json_float(root, "mel_fmin", 0, 192000, &m->low, f, err);
	if (code == SN_OK) code = sn_json_float(root, "mel_fmax", 0, 192000, &m->high, f, err);
	return code == SN_OK ? read_symbols(s, json_object_get(root, "symbols"), err) : code;
}

static int read_nvidia(taco_settings *s, const char *path, char *err) {
	json_t *root = NULL;
	s->max_steps = 1000;
	s->threshold = 0.5;
	s->dropout = 1;
	s->mel = (sn_mel_layout){ .sample_rate = 22050, .fft = 1024, .hop = 256, .window = 1024, .low = 0, .high = 8000,
	                          .scale = SN_MEL_SLANEY, .log = SN_MEL_LOG_E, .floor = 1e-5f, .gain = 1 };
	for (int i = 0; i < SN_SYMBOLS; i++) s->symbols[i] = i;
	if (!exists(s->config)) {
		snprintf(s->config, sizeof s->config, "%s", path);
		return SN_OK;
	}
	int code = sn_json_file(&root, s->config, err);
	if (code == SN_OK && !json_is_object(root))
		code = sn_fail(err, SN_E_MODEL, "%s: an object of hyper-parameters is expected", s->config);
	if (code == SN_OK) code = parse_nvidia(s, root, err);
	json_decref(root);
	return code;
}

/* ---- Coqui ---- */

static int text_of(const json_t *root, const char *key, const char *usual, const char **out, const char *file, char *err) {
	const json_t *const value = json_object_get(root, key);
	*out = value && !json_is_null(value) ? json_string_value(value) : usual;
	return *out ? SN_OK : sn_fail(err, SN_E_MODEL, "%s: '%s' must be text", file, key);
}

static int parse_attention(taco_settings *s, const json_t *root, char *err) {
	const char *const f = s->config, *kind, *norm, *prenet;
	int location = 1;
	int code = text_of(root, "attention_type", "original", &kind, f, err);
	if (code == SN_OK) code = text_of(root, "attention_norm", "sigmoid", &norm, f, err);
	if (code == SN_OK) code = text_of(root, "prenet_type", "original", &prenet, f, err);
	if (code == SN_OK) code = sn_json_bool(root, "location_attn", &location, f, err);
	if (code == SN_OK) code = sn_json_bool(root, "attention_win", &s->windowing, f, err);
	if (code == SN_OK) code = sn_json_bool(root, "use_forward_attn", &s->forward, f, err);
	if (code == SN_OK) code = sn_json_bool(root, "transition_agent", &s->agent, f, err);
	if (code == SN_OK) code = sn_json_bool(root, "forward_attn_mask", &s->forward_mask, f, err);
	if (code != SN_OK) return code;
	if (strcmp(kind, "dynamic_convolution") == 0) {
		s->attention_kind = TACO_DYNAMIC; /* has none of the options */
		s->windowing = s->forward = s->agent = s->forward_mask = 0;
	} else if (strcmp(kind, "original") == 0) {
		s->attention_kind = location ? TACO_LOCATION : TACO_CONTENT;
	} else {
		return sn_fail(err, SN_E_UNSUPPORTED,
		               "%s: 'attention_type' \"%.32s\" is not supported; \"original\" and \"dynamic_convolution\" are", f, kind);
	}
	s->sigmoid = s->attention_kind != TACO_DYNAMIC && strcmp(norm, "sigmoid") == 0;
	if (!s->sigmoid && s->attention_kind != TACO_DYNAMIC && strcmp(norm, "softmax") != 0)
		return sn_fail(err, SN_E_MODEL, "%s: 'attention_norm' is \"%.32s\"; \"softmax\" or \"sigmoid\" is right", f, norm);
	s->prenet_norm = strcmp(prenet, "bn") == 0;
	if (!s->prenet_norm && strcmp(prenet, "original") != 0)
		return sn_fail(err, SN_E_MODEL, "%s: 'prenet_type' is \"%.32s\"; \"original\" or \"bn\" is right", f, prenet);
	return SN_OK;
}

static int parse_voices(taco_settings *s, const json_t *root, char *err) {
	const char *const f = s->config;
	int64_t numbered = 512, given = 0;
	int styled = 0, capacitron = 0;
	int code = sn_json_bool(root, "use_speaker_embedding", &s->by_number, f, err);
	if (code == SN_OK) code = sn_json_bool(root, "use_d_vector_file", &s->by_vector, f, err);
	if (code == SN_OK) code = sn_json_int(root, "speaker_embedding_dim", 1, TACO_MAX_WIDTH, &numbered, f, err);
	if (code == SN_OK) code = sn_json_int(root, "d_vector_dim", 0, TACO_MAX_WIDTH, &given, f, err);
	if (code == SN_OK) code = sn_json_bool(root, "use_gst", &styled, f, err);
	if (code == SN_OK) code = sn_json_bool(root, "use_capacitron_vae", &capacitron, f, err);
	if (code != SN_OK) return code;
	if (capacitron) return sn_fail(err, SN_E_UNSUPPORTED, "%s: 'use_capacitron_vae' is not supported", f);
	if (s->by_vector) s->by_number = 0; /* as the reference does with both */
	s->vector = s->by_vector ? (given ? given : 512) : s->by_number ? numbered : 0;
	if (!styled) return SN_OK;
	s->style = 256; /* without a clip to imitate, the reference's style is zeros */
	return sn_json_int(json_object_get(root, "gst"), "gst_embedding_dim", 1, TACO_MAX_WIDTH, &s->style, f, err);
}

static int parse_coqui(taco_settings *s, const json_t *root, char *err) {
	/* out_channels, decoder_output_dim and the audio's mels must agree; the reference's defaults are those of its Tacotron2Config */
	static const number sizes[] = {
		{ TACO_VOCAB, "num_chars", 1 << 16, 0 }, { TACO_MELS, "out_channels", 512, 80 }, { TACO_FRAME, "decoder_output_dim", 512, 80 },
		{ TACO_REDUCTION, "r", 256, 2 }, { TACO_ENCODER, "encoder_in_features", TACO_MAX_WIDTH, 512 },
		{ TACO_DECODER_IN, "decoder_in_features", TACO_MAX_WIDTH, 512 },
	};
	const json_t *const languages = json_object_get(root, "languages");
	const char *const f = s->config;
	int dropout = 1, inference = 0;
	s->coqui = 1;
	s->max_steps = 10000;
	s->threshold = 0.5;
	s->first_stop = 1;
	int code = read_sizes(s, root, sizes, sizeof sizes / sizeof *sizes, err);
	if (code == SN_OK) code = sn_json_int(root, "max_decoder_steps", 1, 1 << 20, &s->max_steps, f, err);
	if (code == SN_OK) code = sn_json_bool(root, "prenet_dropout", &dropout, f, err);
	if (code == SN_OK) code = sn_json_bool(root, "prenet_dropout_at_inference", &inference, f, err);
	if (code == SN_OK) code = parse_attention(s, root, err);
	if (code == SN_OK) code = parse_voices(s, root, err);
	if (json_array_size(languages) == 1 && json_is_string(json_array_get(languages, 0)))
		snprintf(s->language, sizeof s->language, "%s", json_string_value(json_array_get(languages, 0)));
	if (code == SN_OK) code = sn_mel_layout_coqui(&s->mel, root, f, err);
	s->dropout = dropout && inference;
	if (code == SN_OK && s->mel.mels != s->stated[TACO_MELS].value)
		return sn_fail(err, SN_E_MODEL, "%s: 'num_mels' is %d and 'out_channels' %lld; they must be equal", f, s->mel.mels,
		               (long long)s->stated[TACO_MELS].value);
	return code;
}

int taco_settings_read(taco_settings *s, const char *path, char *err) {
	json_t *root = NULL;
	*s = (taco_settings){ 0 };
	const int layout = taco_layout(path);
	if (!layout)
		return sn_fail(err, SN_E_MODEL,
		               "%s holds neither a config.json with \"model\": \"tacotron2\" nor NVIDIA's tensors (" NVIDIA_TENSOR ")", path);
	if (!beside(s->config, path, layout == 2 ? "config.json" : "hparams.json"))
		return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long; at most %d bytes are allowed", path, TACO_PATH - 1);
	if (layout == 1) return read_nvidia(s, path, err);
	int code = sn_json_file(&root, s->config, err);
	if (code == SN_OK) code = parse_coqui(s, root, err);
	json_decref(root);
	return code;
}
