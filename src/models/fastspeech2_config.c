#include "models/fastspeech2_internal.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

static int read_text(const json_t *object, const char *key, char *out, size_t size, const char *file, char *err) {
	const json_t *const value = json_object_get(object, key);
	if (!value || json_is_null(value)) return SN_OK;
	if (!json_is_string(value) || json_string_length(value) >= size)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' must be text of at most %zu bytes", file, key, size - 1);
	snprintf(out, size, "%s", json_string_value(value));
	return SN_OK;
}

static int open_config(json_t **root, const char *dir, char path[FS2_PATH], char *err) {
	if (snprintf(path, FS2_PATH, "%s/config.json", dir) >= FS2_PATH)
		return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long; at most %d bytes are allowed", dir, FS2_PATH - 1);
	return sn_json_file(root, path, err);
}

static int is_one_of(const char *text, const char *const *names) {
	for (; *names; names++)
		if (strcmp(text, *names) == 0) return 1;
	return 0;
}

static int layout_of(const json_t *root) {
	static const char *const conformers[] = { "fastspeech2_conformer", "fastspeech2_conformer_with_hifigan", NULL };
	static const char *const forwards[] = { "fast_speech2", "fastspeech2", "fast_pitch", "fastpitch", "forward_tts", "fast_speech",
	                                        "speedy_speech", NULL };
	const char *const type = json_string_value(json_object_get(root, "model_type"));
	const char *const model = json_string_value(json_object_get(root, "model"));
	if (type && is_one_of(type, conformers)) return 1;
	return !type && model && is_one_of(model, forwards) ? 2 : 0;
}

int fs2_layout(const char *dir) {
	char path[FS2_PATH];
	json_t *root = NULL;
	if (open_config(&root, dir, path, NULL) != SN_OK) return 0;
	const int layout = layout_of(root);
	json_decref(root);
	return layout;
}

typedef struct number {
	const char *key;
	int64_t least, most, *out;
} number;

static int read_numbers(const json_t *object, const number *list, size_t count, const char *file, char *err) {
	int code = SN_OK;
	for (size_t i = 0; i < count && code == SN_OK; i++)
		code = sn_json_int(object, list[i].key, list[i].least, list[i].most, list[i].out, file, err);
	return code;
}

#define READ(object, list, file, err) read_numbers(object, list, sizeof list / sizeof *list, file, err)

static int check_sizes(const fs2_settings *s, char *err) {
	if (s->duration.kernel % 2 == 0)
		return sn_fail(err, SN_E_MODEL, "%s: 'duration_predictor_kernel_size' is %lld; only odd numbers give each symbol a duration", s->config,
		               (long long)s->duration.kernel);
	if (s->width % s->encoder.heads == 0 && s->width % s->decoder.heads == 0) return SN_OK;
	return sn_fail(err, SN_E_MODEL, "%s: a width of %lld is no multiple of %lld and %lld attention heads", s->config, (long long)s->width,
	               (long long)s->encoder.heads, (long long)s->decoder.heads);
}

/* ---- Conformer (transformers) ---- */

/* The flat keys with the reference's defaults; it overwrites the nested dictionaries by them. */
static int parse_conformer(fs2_settings *s, const json_t *root, char *err) {
	const json_t *const nested = json_object_get(root, "model_config"), *const c = nested ? nested : root;
	const char *const f = s->config;
	s->width = 384, s->vocab = 78, s->mels = 80, s->reduction = 1;
	s->encoder = (fs2_block){ 4, 2, 1536, 7, 0, 0 };
	s->decoder = (fs2_block){ 4, 2, 1536, 31, 0, 0 };
	s->duration = (fs2_predictor){ 2, 256, 3, 1, 1 };
	s->pitch = (fs2_predictor){ 5, 256, 5, 1, 1 };
	s->energy = (fs2_predictor){ 2, 256, 3, 1, 1 };
	s->ffn_kernel = 3, s->postnet_layers = 5, s->postnet_units = 256, s->postnet_kernel = 5;
	s->macaron = s->convolution = s->convolution_bias = 1;
	const number numbers[] = {
		{ "hidden_size", 2, FS2_MAX_WIDTH, &s->width }, { "vocab_size", 1, 1 << 16, &s->vocab }, { "num_mel_bins", 1, 512, &s->mels },
		{ "reduction_factor", 1, 16, &s->reduction }, { "num_speakers", 0, SN_FASTSPEECH2_MAX_SPEAKERS, &s->speakers },
		{ "num_languages", 0, 1024, &s->languages }, { "speaker_embed_dim", 0, FS2_MAX_WIDTH, &s->embedding },
		{ "encoder_layers", 1, FS2_MAX_LAYERS, &s->encoder.layers }, { "decoder_layers", 1, FS2_MAX_LAYERS, &s->decoder.layers },
		{ "encoder_num_attention_heads", 1, 256, &s->encoder.heads }, { "decoder_num_attention_heads", 1, 256, &s->decoder.heads },
		{ "encoder_linear_units", 1, 1 << 16, &s->encoder.hidden }, { "decoder_linear_units", 1, 1 << 16, &s->decoder.hidden },
		{ "encoder_kernel_size", 1, 255, &s->encoder.kernel }, { "decoder_kernel_size", 1, 255, &s->decoder.kernel },
		{ "duration_predictor_layers", 1, FS2_MAX_LAYERS, &s->duration.layers },
		{ "duration_predictor_channels", 1, FS2_MAX_WIDTH, &s->duration.channels },
		{ "duration_predictor_kernel_size", 1, 255, &s->duration.kernel },
		{ "pitch_predictor_layers", 1, FS2_MAX_LAYERS, &s->pitch.layers }, { "pitch_predictor_channels", 1, FS2_MAX_WIDTH, &s->pitch.channels },
		{ "pitch_predictor_kernel_size", 1, 255, &s->pitch.kernel }, { "pitch_embed_kernel_size", 1, 255, &s->pitch.embed_kernel },
		{ "energy_predictor_layers", 1, FS2_MAX_LAYERS, &s->energy.layers },
		{ "energy_predictor_channels", 1, FS2_MAX_WIDTH, &s->energy.channels },
		{ "energy_predictor_kernel_size", 1, 255, &s->energy.kernel }, { "energy_embed_kernel_size", 1, 255, &s->energy.embed_kernel },
		{ "positionwise_conv_kernel_size", 1, 255, &s->ffn_kernel }, { "speech_decoder_postnet_layers", 0, FS2_MAX_LAYERS, &s->postnet_layers },
		{ "speech_decoder_postnet_units", 1, FS2_MAX_WIDTH, &s->postnet_units },
		{ "speech_decoder_postnet_kernel", 1, 255, &s->postnet_kernel },
	};
	const struct { const char *key; int *out; } flags[] = {
		{ "encoder_normalize_before", &s->encoder.normalize_before }, { "decoder_normalize_before", &s->decoder.normalize_before },
		{ "encoder_concat_after", &s->encoder.concat_after }, { "decoder_concat_after", &s->decoder.concat_after },
		{ "use_macaron_style_in_conformer", &s->macaron }, { "use_cnn_in_conformer", &s->convolution },
		{ "convolution_bias", &s->convolution_bias },
	};
	int code = READ(c, numbers, f, err);
	for (size_t i = 0; i < sizeof flags / sizeof *flags && code == SN_OK; i++) code = sn_json_bool(c, flags[i].key, flags[i].out, f, err);
	if (code == SN_OK) code = sn_json_double(c, "speaking_speed", 0.01, 100, &s->length_scale, f, err);
	if (s->speakers < 2) s->speakers = 0;
	if (s->languages < 2) s->languages = 0;
	s->mel.mels = (int)s->mels;
	snprintf(s->language, sizeof s->language, "en"); /* ARPAbet is English's alphabet */
	return code == SN_OK ? check_sizes(s, err) : code;
}

/* ---- Coqui ---- */

/* Parameters of a feed-forward transformer; the reference has no defaults inside a dictionary that is given. */
static int parse_transformer(fs2_block *b, const json_t *args, const char *which, const char *file, char *err) {
	char type[40] = "fftransformer", key[40];
	snprintf(key, sizeof key, "%s_type", which);
	int code = read_text(args, key, type, sizeof type, file, err);
	if (code != SN_OK) return code;
	if (strcmp(type, "fftransformer") != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: %s '%s' is not known; 'fftransformer' is", file, key, type);
	snprintf(key, sizeof key, "%s_params", which);
	const json_t *const params = json_object_get(args, key);
	*b = (fs2_block){ .layers = 6, .heads = 1, .hidden = 1024 };
	if (!params || json_is_null(params)) return SN_OK;
	static const char *const needed[] = { "num_layers", "num_heads", "hidden_channels_ffn" };
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!json_object_get(params, needed[i])) return sn_fail(err, SN_E_MODEL, "%s: '%s' lacks '%s'", file, key, needed[i]);
	const number numbers[] = { { "num_layers", 1, FS2_MAX_LAYERS, &b->layers }, { "num_heads", 1, 256, &b->heads },
	                           { "hidden_channels_ffn", 1, 1 << 16, &b->hidden } };
	return READ(params, numbers, file, err);
}

static int parse_predictor(fs2_predictor *p, const json_t *args, const char *which, const char *file, char *err) {
	char channels[64], kernel[64], embed[64];
	*p = (fs2_predictor){ 2, 256, 3, 3, p->used };
	snprintf(channels, sizeof channels, "%s_predictor_hidden_channels", which);
	snprintf(kernel, sizeof kernel, "%s_predictor_kernel_size", which);
	snprintf(embed, sizeof embed, "%s_embedding_kernel_size", which);
	const number numbers[] = { { channels, 1, FS2_MAX_WIDTH, &p->channels }, { kernel, 1, 255, &p->kernel }, { embed, 1, 255, &p->embed_kernel } };
	return READ(args, numbers, file, err);
}

static int parse_coqui(fs2_settings *s, const json_t *root, char *err) {
	const json_t *const args = json_object_get(root, "model_args");
	const char *const f = s->config;
	int by_number = 0, by_vector = 0;
	if (!json_is_object(args)) return sn_fail(err, SN_E_MODEL, "%s: 'model_args' is missing", f);
	s->coqui = 1;
	s->width = 384, s->vocab = 0, s->mels = 80, s->reduction = 1;
	s->duration.used = s->pitch.used = s->positions = 1;
	s->energy.used = 0;
	const number numbers[] = {
		{ "hidden_channels", 2, FS2_MAX_WIDTH, &s->width }, { "num_chars", 0, 1 << 16, &s->vocab }, { "out_channels", 1, 512, &s->mels },
		{ "d_vector_dim", 0, FS2_MAX_WIDTH, &s->embedding },
	};
	const struct { const char *key; int *out; } flags[] = {
		{ "use_pitch", &s->pitch.used }, { "use_energy", &s->energy.used }, { "positional_encoding", &s->positions },
		{ "use_speaker_embedding", &by_number }, { "use_d_vector_file", &by_vector },
	};
	int code = READ(args, numbers, f, err);
	for (size_t i = 0; i < sizeof flags / sizeof *flags && code == SN_OK; i++) code = sn_json_bool(args, flags[i].key, flags[i].out, f, err);
	/* The keys beside model_args switch voices on as well, as the reference copies them. */
	int more[2] = { 0, 0 };
	if (code == SN_OK) code = sn_json_bool(root, "use_speaker_embedding", &more[0], f, err);
	if (code == SN_OK) code = sn_json_bool(root, "use_d_vector_file", &more[1], f, err);
	if (code == SN_OK && more[1] && !s->embedding) code = sn_json_int(root, "d_vector_dim", 0, FS2_MAX_WIDTH, &s->embedding, f, err);
	by_number |= more[0];
	by_vector |= more[1];
	if (code == SN_OK) code = sn_json_double(args, "length_scale", 0.01, 100, &s->length_scale, f, err);
	if (code == SN_OK) code = parse_transformer(&s->encoder, args, "encoder", f, err);
	if (code == SN_OK) code = parse_transformer(&s->decoder, args, "decoder", f, err);
	if (code == SN_OK) code = parse_predictor(&s->duration, args, "duration", f, err);
	if (code == SN_OK) code = parse_predictor(&s->pitch, args, "pitch", f, err);
	if (code == SN_OK) code = parse_predictor(&s->energy, args, "energy", f, err);
	if (code == SN_OK) code = sn_mel_layout_coqui(&s->mel, root, f, err);
	if (code != SN_OK) return code;
	if (s->mel.mels && s->mel.mels != s->mels)
		return sn_fail(err, SN_E_MODEL, "%s: 'num_mels' is %d and 'out_channels' is %lld; they must be equal", f, s->mel.mels, (long long)s->mels);
	s->mel.mels = (int)s->mels;
	const char *const language = json_string_value(json_array_get(json_object_get(root, "languages"), 0));
	if (language) snprintf(s->language, sizeof s->language, "%.*s", (int)strcspn(language, "-_"), language);
	s->speakers = by_number; /* how many, the weights say */
	if (!by_vector) s->embedding = 0;
	if (by_vector && !s->embedding) return sn_fail(err, SN_E_MODEL, "%s: 'use_d_vector_file' without 'd_vector_dim'", f);
	return check_sizes(s, err);
}

int fs2_settings_read(fs2_settings *s, const char *dir, char *err) {
	json_t *root = NULL;
	*s = (fs2_settings){ .length_scale = 1 };
	int code = open_config(&root, dir, s->config, err);
	if (code != SN_OK) return code;
	const int layout = layout_of(root);
	if (layout == 1) code = parse_conformer(s, root, err);
	else if (layout == 2) code = parse_coqui(s, root, err);
	else code = sn_fail(err, SN_E_MODEL, "%s names neither transformers' \"fastspeech2_conformer\" nor Coqui's \"fastspeech2\" or \"fast_pitch\"", s->config);
	json_decref(root);
	return code;
}
