#include "models/speecht5_internal.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define FEATURE_HOP_MS 16 /* defaults of the reference's feature extractor */
#define FEATURE_WINDOW_MS 64

static int join(char out[PATH_BYTES], const char *dir, const char *name, char *err) {
	if (snprintf(out, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES) return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long; at most %d bytes are allowed", dir, PATH_BYTES - 1);
}

typedef struct number {
	const char *key;
	int64_t least, most;
	int *out;
} number;

static int read_numbers(const json_t *root, const number *list, size_t count, const char *file, char *err) {
	for (size_t i = 0; i < count; i++) {
		int64_t value = *list[i].out;
		const int code = sn_json_int(root, list[i].key, list[i].least, list[i].most, &value, file, err);
		if (code != SN_OK) return code;
		*list[i].out = (int)value;
	}
	return SN_OK;
}

/* Names of transformers' ACT2FN. */
static int read_act(speecht5_settings *s, const json_t *root, const char *file, char *err) {
	static const struct { const char *name; nn_act act; float param; } known[] = {
		{ "gelu", NN_GELU, 0 }, { "gelu_python", NN_GELU, 0 }, { "gelu_new", NN_GELU_TANH, 0 }, { "gelu_fast", NN_GELU_TANH, 0 },
		{ "gelu_pytorch_tanh", NN_GELU_TANH, 0 }, { "relu", NN_RELU, 0 }, { "silu", NN_SILU, 0 }, { "swish", NN_SILU, 0 },
		{ "tanh", NN_TANH, 0 }, { "sigmoid", NN_SIGMOID, 0 }, { "leaky_relu", NN_LEAKY_RELU, 0.01f }, { "elu", NN_ELU, 0 },
		{ "linear", NN_IDENTITY, 0 }, { "quick_gelu", NN_IDENTITY, 0 },
	};
	const json_t *const value = json_object_get(root, "hidden_act");
	const char *const name = !value || json_is_null(value) ? "gelu" : json_string_value(value);
	for (size_t i = 0; name && i < sizeof known / sizeof *known; i++) {
		if (strcmp(name, known[i].name) != 0) continue;
		s->act = known[i].act;
		s->act_param = known[i].param;
		s->quick_gelu = strcmp(name, "quick_gelu") == 0;
		return SN_OK;
	}
	return sn_fail(err, SN_E_UNSUPPORTED, "%s: 'hidden_act' is '%.40s'; gelu and its variants, relu, silu, tanh, sigmoid, leaky_relu, elu "
	               "and linear are known", file, name ? name : "no name");
}

/* What the configuration is for; other tasks of SpeechT5 have other parts. */
static int check_task(const json_t *root, const char *file, char *err) {
	const char *const type = json_string_value(json_object_get(root, "model_type"));
	const char *const task = json_string_value(json_array_get(json_object_get(root, "architectures"), 0));
	if (type && strcmp(type, "speecht5") != 0)
		return sn_fail(err, SN_E_MODEL, "%s: 'model_type' is '%s'; expected 'speecht5'", file, type);
	if (!task || strcmp(task, "SpeechT5ForTextToSpeech") == 0) return SN_OK;
	return sn_fail(err, SN_E_UNSUPPORTED, "%s: '%s' cannot be run; of SpeechT5 only SpeechT5ForTextToSpeech can", file, task);
}

static int check_settings(const speecht5_settings *s, const char *file, char *err) {
	const struct { const char *key; int heads; } heads[] = {
		{ "encoder_attention_heads", s->encoder_heads }, { "decoder_attention_heads", s->public.decoder_heads } };
	for (size_t i = 0; i < 2; i++)
		if (s->width % heads[i].heads)
			return sn_fail(err, SN_E_MODEL, "%s: 'hidden_size' is %d, no multiple of '%s', which is %d", file, s->width, heads[i].key,
			               heads[i].heads);
	if (s->width % 2) return sn_fail(err, SN_E_MODEL, "%s: 'hidden_size' is %d; it must be even", file, s->width);
	if (s->postnet_kernel % 2 == 0)
		return sn_fail(err, SN_E_MODEL, "%s: 'speech_decoder_postnet_kernel' is %d; only odd numbers keep the length", file,
		               s->postnet_kernel);
	if (!(s->dropout < 1))
		return sn_fail(err, SN_E_MODEL, "%s: 'speech_decoder_prenet_dropout' is %g; it must be less than 1", file, s->dropout);
	return SN_OK;
}

static int parse(speecht5_settings *s, const json_t *root, const char *file, char *err) {
	sn_speecht5_config *const c = &s->public;
	int pad = s->pad, max_steps = 4000, max_text = 450;
	double eps = 1e-5;
	const number list[] = {
		{ "vocab_size", 1, 1 << 20, &c->vocab }, { "hidden_size", 2, SPEECHT5_MAX_WIDTH, &s->width },
		{ "encoder_layers", 0, SPEECHT5_MAX_LAYERS, &s->encoder_layers }, { "encoder_attention_heads", 1, 256, &s->encoder_heads },
		{ "encoder_ffn_dim", 1, 4 * SPEECHT5_MAX_WIDTH, &s->encoder_ffn },
		{ "decoder_layers", 1, SPEECHT5_MAX_LAYERS, &c->decoder_layers }, { "decoder_attention_heads", 1, 256, &c->decoder_heads },
		{ "decoder_ffn_dim", 1, 4 * SPEECHT5_MAX_WIDTH, &s->decoder_ffn }, { "num_mel_bins", 1, 1024, &c->mels },
		{ "speech_decoder_prenet_layers", 1, 8, &c->prenet_layers },
		{ "speech_decoder_prenet_units", 1, SPEECHT5_MAX_WIDTH, &c->prenet_units },
		{ "speaker_embedding_dim", 1, SPEECHT5_MAX_WIDTH, &c->speaker_width }, { "reduction_factor", 1, 64, &c->reduction },
		{ "speech_decoder_postnet_layers", 1, 16, &s->postnet_layers },
		{ "speech_decoder_postnet_units", 1, SPEECHT5_MAX_WIDTH, &s->postnet_units },
		{ "speech_decoder_postnet_kernel", 1, 255, &s->postnet_kernel }, { "pad_token_id", -1, 1 << 20, &pad },
		{ "max_speech_positions", 1, 1 << 20, &max_steps }, { "max_text_positions", 1, 1 << 20, &max_text },
		{ "encoder_max_relative_position", 1, 1 << 16, &s->window },
	};
	int code = check_task(root, file, err);
	if (code == SN_OK) code = read_numbers(root, list, sizeof list / sizeof *list, file, err);
	if (code == SN_OK) code = sn_json_double(root, "speech_decoder_prenet_dropout", 0, 1, &s->dropout, file, err);
	if (code == SN_OK) code = sn_json_double(root, "layer_norm_eps", 1e-12, 1, &eps, file, err);
	if (code == SN_OK) code = read_act(s, root, file, err);
	if (code == SN_OK) code = check_settings(s, file, err);
	const int frames = SN_SPEECHT5_MAX_FRAMES / c->reduction;
	s->pad = pad;
	s->norm_eps = (float)eps;
	c->max_steps = max_steps < frames ? max_steps : frames;
	c->max_text = max_text < SN_SPEECHT5_MAX_TEXT ? max_text : SN_SPEECHT5_MAX_TEXT;
	return code;
}

/* Mel features as the reference's feature extractor defines them; its hop and window are milliseconds. */
static int parse_features(speecht5_settings *s, const json_t *root, const char *file, char *err) {
	sn_mel_layout *const mel = &s->public.mel;
	int rate = 16000, hop = FEATURE_HOP_MS, window = FEATURE_WINDOW_MS;
	double low = 80, high = 7600, least = 1e-10;
	const number list[] = { { "sampling_rate", 1000, 384000, &rate }, { "hop_length", 1, 1000, &hop }, { "win_length", 1, 1000, &window } };
	int code = read_numbers(root, list, sizeof list / sizeof *list, file, err);
	if (code == SN_OK) code = sn_json_double(root, "fmin", 0, 192000, &low, file, err);
	if (code == SN_OK) code = sn_json_double(root, "fmax", 1, 192000, &high, file, err);
	if (code == SN_OK) code = sn_json_double(root, "mel_floor", 0, 1, &least, file, err);
	if (code != SN_OK) return code;
	s->public.hop = (int)((int64_t)hop * rate / 1000);
	*mel = (sn_mel_layout){ .sample_rate = rate, .mels = s->public.mels, .fft = 1, .window = (int)((int64_t)window * rate / 1000),
	                        .low = (float)low, .high = (float)high, .scale = SN_MEL_SLANEY, .log = SN_MEL_LOG_10, .floor = (float)least,
	                        .gain = 1 };
	while (mel->fft < mel->window) mel->fft *= 2;
	return SN_OK;
}

int speecht5_settings_read(speecht5_settings *s, const char *dir, char *err) {
	char path[PATH_BYTES];
	json_t *root = NULL;
	*s = (speecht5_settings){
		.public = { .vocab = 81, .mels = 80, .reduction = 2, .speaker_width = 512, .decoder_layers = 6, .decoder_heads = 12,
		            .prenet_layers = 2, .prenet_units = 256 },
		.width = 768, .encoder_layers = 12, .encoder_heads = 12, .encoder_ffn = 3072, .decoder_ffn = 3072, .window = 160,
		.postnet_layers = 5, .postnet_units = 256, .postnet_kernel = 5, .pad = 1, .dropout = 0.5,
	};
	int code = join(path, dir, "config.json", err);
	if (code == SN_OK) code = sn_json_file(&root, path, err);
	if (code == SN_OK) code = parse(s, root, path, err);
	json_decref(root);
	root = NULL;
	if (code == SN_OK) code = join(path, dir, "preprocessor_config.json", err);
	if (code == SN_OK && access(path, F_OK) == 0) code = sn_json_file(&root, path, err);
	if (code == SN_OK) code = parse_features(s, root, path, err);
	json_decref(root);
	return code;
}

int sn_speecht5_accepts(const char *path) {
	char file[PATH_BYTES];
	json_t *root = NULL;
	if (join(file, path, "config.json", NULL) != SN_OK || sn_json_file(&root, file, NULL) != SN_OK) return 0;
	const char *const type = json_string_value(json_object_get(root, "model_type"));
	const int yes = type && strcmp(type, "speecht5") == 0;
	json_decref(root);
	return yes;
}

/* ---- what only the weights tell ---- */

static int read_alpha(const sn_weights *weights, const char *name, float *out, char *err) {
	const sn_weight *const t = sn_weights_find(weights, name);
	if (!t) return sn_fail(err, SN_E_MODEL, "%s lacks tensor '%s'", sn_weights_path(weights), name);
	if (t->dtype > SN_F64 || t->bytes != sn_dtype_size(t->dtype))
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' is no single floating-point number", sn_weights_path(weights), name);
	sn_weight_floats(t, 0, 1, out);
	return SN_OK;
}

/* A layer beyond those that the configuration names means that it belongs to other weights. */
static int check_layers(const sn_weights *weights, const char *before, int count, const char *after, const char *key, char *err) {
	char name[128];
	snprintf(name, sizeof name, "%s%d%s", before, count, after);
	if (!sn_weights_find(weights, name)) return SN_OK;
	return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' is there, but '%s' of config.json is %d", sn_weights_path(weights), name, key, count);
}

int speecht5_settings_bind(speecht5_settings *s, const sn_weights *weights, char *err) {
	const sn_speecht5_config *const c = &s->public;
	const struct { const char *before, *after, *key; int count; } stacks[] = {
		{ "speecht5.encoder.wrapped_encoder.layers.", ".layer_norm.weight", "encoder_layers", s->encoder_layers },
		{ "speecht5.decoder.wrapped_decoder.layers.", ".self_attn_layer_norm.weight", "decoder_layers", c->decoder_layers },
		{ "speecht5.decoder.prenet.layers.", ".weight", "speech_decoder_prenet_layers", c->prenet_layers },
		{ "speech_decoder_postnet.layers.", ".conv.weight", "speech_decoder_postnet_layers", s->postnet_layers },
	};
	int code = read_alpha(weights, "speecht5.encoder.prenet.encode_positions.alpha", &s->encoder_alpha, err);
	if (code == SN_OK) code = read_alpha(weights, "speecht5.decoder.prenet.encode_positions.alpha", &s->decoder_alpha, err);
	for (size_t i = 0; code == SN_OK && i < sizeof stacks / sizeof *stacks; i++)
		code = check_layers(weights, stacks[i].before, stacks[i].count, stacks[i].after, stacks[i].key, err);
	return code;
}

void speecht5_position(int position, float alpha, int width, float *out) {
	const float slope = (float)-(log(10000.0) / width);
	for (int i = 0; i < width; i += 2) {
		const float angle = (float)position * expf((float)i * slope);
		out[i] = alpha * (float)sin(angle);
		out[i + 1] = alpha * (float)cos(angle);
	}
}
