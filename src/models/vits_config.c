#include "models/vits_internal.h"

#include "base/path.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_SEEN 4096 /* entries of a directory that are looked at for a voice */

int vits_path(char out[VITS_PATH], const char *dir, const char *name, char *err) {
	if (sn_path_join(out, dir, name)) return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long; at most %d bytes are allowed", dir, VITS_PATH - 1);
}

/* The voice of a directory: the first .onnx, by name, that has its .onnx.json beside it. */
static int find_voice(const char *path, char voice[VITS_PATH], char *err) {
	char best[256] = "", json[VITS_PATH];
	DIR *const dir = opendir(path);
	if (!dir) return sn_fail_errno(err, "cannot read the folder %s", path);
	for (int seen = 0; seen < FILES_SEEN; seen++) {
		const struct dirent *const entry = readdir(dir);
		struct stat st;
		if (!entry) break;
		if (!sn_path_ends_with(entry->d_name, ".onnx") || strlen(entry->d_name) >= sizeof best) continue;
		if (snprintf(json, sizeof json, "%s/%s.json", path, entry->d_name) >= (int)sizeof json || stat(json, &st) != 0) continue;
		if (!*best || strcmp(entry->d_name, best) < 0) strcpy(best, entry->d_name);
	}
	closedir(dir);
	if (!*best) return sn_fail(err, SN_E_NOT_FOUND, "%s holds neither a config.json nor a voice (.onnx with its .onnx.json)", path);
	return vits_path(voice, path, best, err);
}

static int read_text(const json_t *object, const char *key, char *out, size_t size, const char *file, char *err) {
	const json_t *const value = json_object_get(object, key);
	if (!value || json_is_null(value)) return SN_OK;
	if (!json_is_string(value) || json_string_length(value) >= size || strlen(json_string_value(value)) != json_string_length(value))
		return sn_fail(err, SN_E_MODEL, "%s: '%s' must be text of at most %zu bytes", file, key, size - 1);
	strcpy(out, json_string_value(value));
	return SN_OK;
}

static int parse_piper(vits_settings *s, const json_t *root, const char *file, char *err) {
	sn_vits_config *const c = &s->public;
	const json_t *const inference = json_object_get(root, "inference");
	char type[32] = "espeak";
	int code = sn_json_int32(json_object_get(root, "audio"), "sample_rate", 1000, 384000, &c->sample_rate, file, err);
	if (code == SN_OK) code = sn_json_float(inference, "noise_scale", 0, 10, &c->noise_scale, file, err);
	if (code == SN_OK) code = sn_json_float(inference, "noise_w", 0, 10, &c->noise_duration, file, err);
	if (code == SN_OK) code = sn_json_float(inference, "length_scale", 0.01, 100, &c->length_scale, file, err);
	if (code == SN_OK) code = read_text(json_object_get(root, "espeak"), "voice", c->espeak_voice, sizeof c->espeak_voice, file, err);
	if (code == SN_OK) code = read_text(json_object_get(root, "language"), "code", c->language, sizeof c->language, file, err);
	if (code == SN_OK) code = read_text(root, "phoneme_type", type, sizeof type, file, err);
	if (code != SN_OK) return code;
	if (strcmp(type, "espeak") != 0 && strcmp(type, "text") != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: phoneme_type '%s' is not known; espeak and text are", file, type);
	if (!json_is_object(json_object_get(root, "phoneme_id_map"))) return sn_fail(err, SN_E_MODEL, "%s: 'phoneme_id_map' is missing", file);
	return SN_OK;
}

int vits_read_dilations(vits_settings *s, const json_t *root, const char *key, const char *file, char *err) {
	const json_t *const rows = json_object_get(root, key);
	if ((!rows || json_is_null(rows)) && s->kernels) return SN_OK;
	s->kernels = (int)json_array_size(rows);
	if (s->kernels < 1 || s->kernels > VITS_MAX_KERNELS)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' must be a list of 1 to %d lists", file, key, VITS_MAX_KERNELS);
	for (int i = 0; i < s->kernels; i++) {
		const json_t *const row = json_array_get(rows, (size_t)i);
		s->dilation_count[i] = (int)json_array_size(row);
		if (s->dilation_count[i] < 1 || s->dilation_count[i] > VITS_MAX_DEPTH)
			return sn_fail(err, SN_E_MODEL, "%s: '%s'[%d] must be a list of 1 to %d numbers", file, key, i, VITS_MAX_DEPTH);
		for (int j = 0; j < s->dilation_count[i]; j++) {
			const json_t *const value = json_array_get(row, (size_t)j);
			s->dilations[i][j] = json_integer_value(value);
			if (!json_is_integer(value) || s->dilations[i][j] < 1 || s->dilations[i][j] > VITS_MAX_DILATION)
				return sn_fail(err, SN_E_MODEL, "%s: '%s'[%d][%d] must be 1 to %d", file, key, i, j, VITS_MAX_DILATION);
		}
	}
	return SN_OK;
}

int vits_read_block_type(const json_t *object, const char *key, int *type, const char *file, char *err) {
	const json_t *const value = json_object_get(object, key);
	if (!value || json_is_null(value)) return SN_OK;
	const char *const text = json_string_value(value);
	*type = json_is_integer(value) ? (int)json_integer_value(value) : text && strcmp(text, "1") == 0 ? 1 : text && strcmp(text, "2") == 0 ? 2 : 0;
	if (*type == 1 || *type == 2) return SN_OK;
	return sn_fail(err, SN_E_UNSUPPORTED, "%s: '%s' is neither \"1\" nor \"2\"", file, key);
}

static int parse_stated(vits_stated *t, const json_t *root, const char *file, char *err) {
	*t = (vits_stated){ .layers = 6, .vocab = 38, .hidden = 192, .window = 4, .feed_forward = 768, .text_kernel = 3, .flow_size = 192, .speakers = 1,
	                    .decoder_width = 512, .flows = 4, .flow_layers = 4, .flow_kernel = 5, .stochastic = 1, .bias = 1, .filter = 256,
	                    .duration_kernel = 3, .duration_flows = 4, .bins = 10, .separable_layers = 3, .separable_channels = 2, .kernel_count = 3,
	                    .up_count = 4, .kernels = { 3, 7, 11 }, .up_kernels = { 16, 16, 4, 4 } };
	const struct { const char *key; int *value, least, most; } sizes[] = {
		{ "num_hidden_layers", &t->layers, 1, VITS_MAX_LAYERS }, { "vocab_size", &t->vocab, 1, 1 << 20 }, { "hidden_size", &t->hidden, 1, VITS_MAX_WIDTH },
		{ "window_size", &t->window, 0, VITS_MAX_WIDTH }, { "ffn_dim", &t->feed_forward, 1, VITS_MAX_WIDTH },
		{ "ffn_kernel_size", &t->text_kernel, 1, VITS_MAX_WIDTH }, { "flow_size", &t->flow_size, 1, VITS_MAX_WIDTH },
		{ "num_speakers", &t->speakers, 0, SN_VITS_MAX_SPEAKERS }, { "speaker_embedding_size", &t->speaker_width, 0, VITS_MAX_WIDTH },
		{ "upsample_initial_channel", &t->decoder_width, 1, VITS_MAX_WIDTH }, { "prior_encoder_num_flows", &t->flows, 1, VITS_MAX_FLOWS },
		{ "prior_encoder_num_wavenet_layers", &t->flow_layers, 1, VITS_MAX_WAVENET }, { "wavenet_kernel_size", &t->flow_kernel, 1, VITS_MAX_WIDTH },
		{ "duration_predictor_filter_channels", &t->filter, 1, VITS_MAX_WIDTH },
		{ "duration_predictor_kernel_size", &t->duration_kernel, 1, VITS_MAX_WIDTH }, { "duration_predictor_num_flows", &t->duration_flows, 1, 64 },
		{ "duration_predictor_flow_bins", &t->bins, 1, 1024 }, { "depth_separable_num_layers", &t->separable_layers, 1, VITS_MAX_DEPTH },
		{ "depth_separable_channels", &t->separable_channels, 2, 2 },
	};
	int code = SN_OK;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes && code == SN_OK; i++)
		code = sn_json_int32(root, sizes[i].key, sizes[i].least, sizes[i].most, sizes[i].value, file, err);
	if (code == SN_OK) code = sn_json_bool(root, "use_stochastic_duration_prediction", &t->stochastic, file, err);
	if (code == SN_OK) code = sn_json_bool(root, "use_bias", &t->bias, file, err);
	if (code == SN_OK) code = sn_json_ints(root, "resblock_kernel_sizes", 1, 256, t->kernels, VITS_MAX_KERNELS, &t->kernel_count, file, err);
	if (code == SN_OK) code = sn_json_ints(root, "upsample_kernel_sizes", 1, 256, t->up_kernels, VITS_MAX_STAGES, &t->up_count, file, err);
	return code;
}

static int parse_hugging_face(vits_settings *s, const json_t *root, const char *file, char *err) {
	sn_vits_config *const c = &s->public;
	char act[32] = "relu";
	float rate = 1;
	c->sample_rate = 16000;
	int code = sn_json_int32(root, "sampling_rate", 1000, 384000, &c->sample_rate, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "num_attention_heads", 1, 256, &s->heads, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "wavenet_dilation_rate", 1, 16, &s->wavenet_dilation, file, err);
	if (code == SN_OK) code = sn_json_float(root, "noise_scale", 0, 10, &c->noise_scale, file, err);
	if (code == SN_OK) code = sn_json_float(root, "noise_scale_duration", 0, 10, &c->noise_duration, file, err);
	if (code == SN_OK) code = sn_json_float(root, "speaking_rate", 0.01, 100, &rate, file, err);
	if (code == SN_OK) code = sn_json_float(root, "layer_norm_eps", 1e-12, 1, &s->norm_eps, file, err);
	if (code == SN_OK) code = sn_json_float(root, "leaky_relu_slope", 0, 1, &s->slope, file, err);
	if (code == SN_OK) code = sn_json_float(root, "duration_predictor_tail_bound", 1e-3, 1e3, &s->tail_bound, file, err);
	if (code == SN_OK) code = read_text(root, "hidden_act", act, sizeof act, file, err);
	if (code == SN_OK) code = sn_json_ints(root, "upsample_rates", 1, 32, s->rates, VITS_MAX_STAGES, &s->stages, file, err);
	if (code == SN_OK) code = vits_read_dilations(s, root, "resblock_dilation_sizes", file, err);
	if (code == SN_OK) code = parse_stated(&s->stated, root, file, err);
	if (code != SN_OK) return code;
	if (s->stages < 1) return sn_fail(err, SN_E_MODEL, "%s: 'upsample_rates' is missing", file);
	c->length_scale = 1 / rate;
	s->duration_eps = s->norm_eps;
	if (strcmp(act, "relu") == 0) s->act = NN_RELU;
	else if (strcmp(act, "gelu") == 0) s->act = NN_GELU;
	else if (strcmp(act, "silu") == 0 || strcmp(act, "swish") == 0) s->act = NN_SILU;
	else return sn_fail(err, SN_E_UNSUPPORTED, "%s: hidden_act '%s' is not known; relu, gelu and silu are", file, act);
	return SN_OK;
}

/* ---- Coqui ---- */

/* What conditions the model: numbered speakers, embeddings that come with the request, languages. */
static int parse_conditions(vits_settings *s, const json_t *args, const char *file, char *err) {
	int vectors = 0, languages = 0, width = 256, vector_width = 0;
	int code = sn_json_bool(args, "use_speaker_embedding", &s->use_speakers, file, err);
	if (code == SN_OK) code = sn_json_bool(args, "use_d_vector_file", &vectors, file, err);
	if (code == SN_OK) code = sn_json_bool(args, "use_language_embedding", &languages, file, err);
	if (code == SN_OK) code = sn_json_bool(args, "condition_dp_on_speaker", &s->duration_voice, file, err);
	if (code == SN_OK) code = sn_json_int32(args, "speaker_embedding_channels", 1, VITS_MAX_WIDTH, &width, file, err);
	if (code == SN_OK) code = sn_json_int32(args, "d_vector_dim", 0, VITS_MAX_WIDTH, &vector_width, file, err);
	s->language_width = 4;
	if (code == SN_OK) code = sn_json_int32(args, "embedded_language_dim", 1, VITS_MAX_WIDTH, &s->language_width, file, err);
	if (code != SN_OK) return code;
	if (vectors) s->use_speakers = 0; /* so the reference decides where both are set */
	s->speaker_width = s->use_speakers ? width : vectors ? vector_width : 0;
	if (!languages) s->language_width = 0;
	if (vectors && vector_width == 0)
		return sn_fail(err, SN_E_MODEL, "%s: 'use_d_vector_file' is set but 'd_vector_dim' is 0; the embedding's size is expected", file);
	return SN_OK;
}

/* Frames of the encoder's rate become frames of the sound's, by interpolation or by longer upsamplings. */
static int parse_rates(vits_settings *s, const json_t *root, const json_t *args, const char *file, char *err) {
	const json_t *const audio = json_object_get(root, "audio");
	sn_vits_config *const c = &s->public;
	int encoder_rate = 0, interpolate = 1;
	s->coqui.hop = 256;
	int code = sn_json_int32(audio, "sample_rate", 1000, 384000, &c->sample_rate, file, err);
	if (code == SN_OK) code = sn_json_int32(audio, "hop_length", 1, VITS_MAX_HOP, &s->coqui.hop, file, err);
	if (code == SN_OK) code = sn_json_int32(args, "encoder_sample_rate", 0, 384000, &encoder_rate, file, err);
	if (code == SN_OK) code = sn_json_bool(args, "interpolate_z", &interpolate, file, err);
	if (code != SN_OK || !encoder_rate) return code;
	const double factor = (double)c->sample_rate / encoder_rate;
	if (factor < 1.0 / 16 || factor > 16)
		return sn_fail(err, SN_E_MODEL, "%s: 'encoder_sample_rate' is %d beside a 'sample_rate' of %d; up to 16 times as much or as little is right",
		               file, encoder_rate, c->sample_rate);
	if (interpolate) s->stretch = factor;
	else if (factor * s->coqui.hop != floor(factor * s->coqui.hop))
		return sn_fail(err, SN_E_MODEL, "%s: 'hop_length' %d at %d Hz is no whole number of samples at %d Hz", file, s->coqui.hop, encoder_rate,
		               c->sample_rate);
	else s->coqui.hop = (int)(factor * s->coqui.hop);
	if (interpolate) s->coqui.hop = 0;
	return SN_OK;
}

static int parse_coqui_sizes(vits_settings *s, const json_t *args, const char *file, char *err) {
	vits_coqui *const c = &s->coqui;
	const struct { const char *key; int *value, most; } sizes[] = {
		{ "num_chars", &c->chars, VITS_MAX_WIDTH }, { "hidden_channels", &c->hidden, VITS_MAX_WIDTH },
		{ "hidden_channels_ffn_text_encoder", &c->feed_forward, VITS_MAX_WIDTH }, { "num_heads_text_encoder", &s->heads, 256 },
		{ "num_layers_text_encoder", &c->layers, VITS_MAX_LAYERS }, { "kernel_size_text_encoder", &c->text_kernel, VITS_MAX_WIDTH },
		{ "kernel_size_flow", &c->flow_kernel, VITS_MAX_WIDTH }, { "dilation_rate_flow", &s->wavenet_dilation, 16 },
		{ "num_layers_flow", &c->flow_layers, VITS_MAX_WAVENET }, { "upsample_initial_channel_decoder", &c->decoder_width, VITS_MAX_WIDTH },
		{ "max_inference_len", &s->most_frames, 1 << 30 },
	};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		const int code = sn_json_int32(args, sizes[i].key, 1, sizes[i].most, sizes[i].value, file, err);
		if (code != SN_OK) return code;
	}
	int code = vits_read_block_type(args, "resblock_type_decoder", &c->block_type, file, err);
	if (code == SN_OK) code = sn_json_ints(args, "upsample_rates_decoder", 1, 32, s->rates, VITS_MAX_STAGES, &s->stages, file, err);
	const char *const ups = "upsample_kernel_sizes_decoder", *const blocks = "resblock_kernel_sizes_decoder";
	if (code == SN_OK) code = sn_json_ints(args, ups, 1, 256, c->up_kernels, VITS_MAX_STAGES, &c->up_count, file, err);
	if (code == SN_OK) code = sn_json_ints(args, blocks, 1, 256, c->kernels, VITS_MAX_KERNELS, &c->kernel_count, file, err);
	if (code == SN_OK) code = sn_json_bool(args, "use_sdp", &c->stochastic, file, err);
	return code == SN_OK ? vits_read_dilations(s, args, "resblock_dilation_sizes_decoder", file, err) : code;
}

/* Keys that a configuration leaves out have the reference's defaults. */
static int parse_coqui(vits_settings *s, const json_t *root, const char *file, char *err) {
	const json_t *const args = json_object_get(root, "model_args");
	sn_vits_config *const c = &s->public;
	if (!json_is_object(args)) return sn_fail(err, SN_E_MODEL, "%s: 'model_args' is missing; an object with the model's sizes is expected", file);
	s->coqui = (vits_coqui){ .chars = 100, .hidden = 192, .layers = 6, .feed_forward = 768, .text_kernel = 3, .stochastic = 1, .flow_layers = 4,
	                         .flow_kernel = 5, .decoder_width = 512, .block_type = 1, .kernel_count = 3, .up_count = 4,
	                         .kernels = { 3, 7, 11 }, .up_kernels = { 16, 16, 4, 4 } };
	s->stages = 4;
	memcpy(s->rates, (int64_t[]){ 8, 8, 2, 2 }, 4 * sizeof *s->rates);
	s->kernels = 3;
	for (int i = 0; i < s->kernels; i++) {
		s->dilation_count[i] = 3;
		memcpy(s->dilations[i], (int64_t[]){ 1, 3, 5 }, 3 * sizeof *s->dilations[i]);
	}
	s->heads = 2;
	s->duration_eps = 1e-4f;
	c->noise_duration = 1;
	int code = parse_coqui_sizes(s, args, file, err);
	if (code == SN_OK) code = parse_conditions(s, args, file, err);
	if (code == SN_OK) code = parse_rates(s, root, args, file, err);
	if (code == SN_OK) code = sn_json_float(args, "inference_noise_scale", 0, 10, &c->noise_scale, file, err);
	if (code == SN_OK) code = sn_json_float(args, "inference_noise_scale_dp", 0, 10, &c->noise_duration, file, err);
	return code == SN_OK ? sn_json_float(args, "length_scale", 0.01, 100, &c->length_scale, file, err) : code;
}

/* Coqui's configurations say "model": "vits", Hugging Face's "model_type"; the authors' have sections. Others count as Hugging Face's, whose
 * reader refuses them. */
static int find_layout(sn_vits_files *files, char *err) {
	json_t *root = NULL;
	const int code = sn_json_file(&root, files->json, err);
	if (code != SN_OK) return code == SN_E_MEMORY ? code : SN_OK;
	const char *const model = json_string_value(json_object_get(root, "model"));
	files->coqui = model && strcmp(model, "vits") == 0 && !json_object_get(root, "model_type");
	files->authors = vits_authors_is(root);
	json_decref(root);
	return SN_OK;
}

/* Other .pth files lie beside the model's: embeddings of speakers, the speaker encoder. */
static int find_coqui(const char *path, char weights[VITS_PATH], char *err) {
	static const char *const names[] = { "model_file.pth", "model_file.pth.tar", "best_model.pth", "best_model.pth.tar", "model.pth",
	                                     "model.safetensors" /* quantised */ };
	struct stat st;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const int code = vits_path(weights, path, names[i], err);
		if (code != SN_OK) return code;
		if (stat(weights, &st) == 0) return SN_OK;
	}
	return sn_fail(err, SN_E_NOT_FOUND, "%s has Coqui's config.json but no weights; model_file.pth, best_model.pth or model.pth is expected", path);
}

static int locate_directory(sn_vits_files *files, const char *path, char *err) {
	const int code = find_layout(files, err);
	if (code != SN_OK) return code;
	if (files->coqui) return find_coqui(path, files->weights, err);
	return files->authors ? vits_authors_weights(files->weights, path, err) : SN_OK;
}

int sn_vits_locate(sn_vits_files *files, const char *path, char *err) {
	const int is_directory = sn_path_is_directory(path);
	struct stat st;
	*files = (sn_vits_files){ 0 };
	int code = vits_path(files->json, path, "config.json", err); /* the longest of those that are tried */
	if (code != SN_OK) return code;
	strcpy(files->weights, path);
	if (is_directory && stat(files->json, &st) == 0) return locate_directory(files, path, err);
	files->authors = !is_directory && (sn_path_ends_with(path, ".pth") || sn_path_ends_with(path, ".pt"));
	if (files->authors) return vits_authors_json(files->json, path, err);
	files->piper = 1;
	if (is_directory) code = find_voice(path, files->weights, err);
	if (code != SN_OK || snprintf(files->json, sizeof files->json, "%s.json", files->weights) < (int)sizeof files->json) return code;
	return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long; at most %d bytes are allowed", path, VITS_PATH - 1);
}

int vits_settings_read(vits_settings *s, const sn_vits_files *files, char *err) {
	json_t *root = NULL;
	*s = (vits_settings){
		.public = { .sample_rate = 22050, .speakers = 1, .noise_scale = 0.667f, .noise_duration = 0.8f, .length_scale = 1, .piper = files->piper,
		            .coqui = files->coqui, .authors = files->authors },
		.act = NN_RELU, .norm_eps = 1e-5f, .duration_eps = 1e-5f, .slope = 0.1f, .tail_bound = 5, .wavenet_dilation = 1, .duration_voice = 1,
		.stretch = 1,
	};
	int code = sn_json_file(&root, files->json, err);
	if (code != SN_OK) return code;
	code = files->piper ? parse_piper(s, root, files->json, err)
	     : files->coqui ? parse_coqui(s, root, files->json, err)
	     : files->authors ? vits_authors_settings(s, root, files->json, err) : parse_hugging_face(s, root, files->json, err);
	json_decref(root);
	return code;
}
