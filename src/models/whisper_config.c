#include "models/whisper_internal.h"

#include "audio/mel.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

/* The languages of the published vocabularies, for checkpoints that do not list theirs. */
static const char language_codes[] =
	"en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml cy sk te fa lv "
	"bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo "
	"tl mg as tt haw ln ha ba jw su yue";

#define MAX_WIDTH 8192
#define MAX_LAYERS 128
#define MAX_VOCAB (1 << 20)
#define MAX_PATH_TEXT 4200
#define FALLBACK_HEADS 32

/* ---- sizes ---- */

/* A tensor's extent, for layouts that store no sizes. */
static int extent(const sn_weights *w, const char *name, int rank, int axis, int64_t most, int *out, char *err) {
	const sn_weight *t = sn_weights_find(w, name);
	if (!t)
		return sn_fail(err, SN_E_MODEL, "%s has no tensor '%s', so it is no Whisper checkpoint that can be read", sn_weights_path(w), name);
	if (t->rank != rank)
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has %d dimensions; expected %d", sn_weights_path(w), name, t->rank, rank);
	if (t->dims[axis] < 1 || t->dims[axis] > most)
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has extent %lld in dimension %d; it must lie between 1 and %lld",
		               sn_weights_path(w), name, (long long)t->dims[axis], axis, (long long)most);
	*out = (int)t->dims[axis];
	return SN_OK;
}

static int scalar(const sn_weights *w, const char *name, int otherwise) {
	const sn_weight *t = sn_weights_find(w, name);
	int8_t i8;
	int16_t i16;
	int32_t i32;
	if (!t)
		return otherwise;
	if (t->bytes == sizeof i8)
		return memcpy(&i8, t->data, sizeof i8), i8;
	if (t->bytes == sizeof i16)
		return memcpy(&i16, t->data, sizeof i16), i16;
	if (t->bytes == sizeof i32)
		return memcpy(&i32, t->data, sizeof i32), i32;
	return otherwise;
}

/* CTranslate2's numbers of activations. */
static int ct2_activation(const sn_weights *w, nn_act *act, char *err) {
	static const struct { int number; nn_act act; } known[] = { { 0, NN_RELU }, { 1, NN_GELU_TANH }, { 2, NN_SILU }, { 3, NN_GELU } };
	int number = scalar(w, "decoder/activation", 3);
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].number == number)
			return *act = known[i].act, SN_OK;
	return sn_fail(err, SN_E_MODEL, "%s: 'decoder/activation' is %d; known are 0 to 3", sn_weights_path(w), number);
}

static int read_sizes_ct2(sn_whisper_config *c, nn_act *act, const sn_weights *w, char *err) {
	whisper_names n = whisper_names_of(w);
	char name[NN_NAME];
	const struct { const char *name; int rank, axis; int64_t most; int *out; } sizes[] = {
		{ "decoder/embeddings/weight", 2, 0, MAX_VOCAB, &c->vocab },
		{ "decoder/embeddings/weight", 2, 1, MAX_WIDTH, &c->width },
		{ "encoder/conv1/weight", 3, 1, 1024, &c->mels },
		{ "encoder/position_encodings/encodings", 2, 0, SN_WHISPER_WINDOW / 320, &c->source_positions },
		{ "decoder/position_encodings/encodings", 2, 0, 4096, &c->target_positions },
		{ "encoder/layer_0/ffn/linear_0/weight", 2, 0, 8 * MAX_WIDTH, &c->encoder_ffn },
		{ "decoder/layer_0/ffn/linear_0/weight", 2, 0, 8 * MAX_WIDTH, &c->decoder_ffn },
	};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		int result = extent(w, sizes[i].name, sizes[i].rank, sizes[i].axis, sizes[i].most, sizes[i].out, err);
		if (result != SN_OK)
			return result;
	}
	c->encoder_layers = whisper_layers(&n, WHISPER_ENCODER);
	c->decoder_layers = whisper_layers(&n, WHISPER_DECODER);
	if (c->encoder_layers < 1 || c->decoder_layers < 1)
		return sn_fail(err, SN_E_MODEL, "%s has no tensor '%s'", sn_weights_path(w),
		               whisper_matrix_name(&n, WHISPER_SELF_Q, c->encoder_layers < 1 ? WHISPER_ENCODER : WHISPER_DECODER, 0, name));
	int heads = c->width >= 64 ? c->width / 64 : 1; /* of every published size */
	c->encoder_heads = scalar(w, "encoder/num_heads", heads);
	c->decoder_heads = scalar(w, "decoder/num_heads", heads);
	return ct2_activation(w, act, err);
}

static int hf_activation(const json_t *config, nn_act *act, const char *file, char *err) {
	static const struct { const char *name; nn_act act; } known[] = {
		{ "gelu", NN_GELU }, { "gelu_new", NN_GELU_TANH }, { "gelu_pytorch_tanh", NN_GELU_TANH }, { "relu", NN_RELU }, { "silu", NN_SILU },
	};
	const char *name = json_string_value(json_object_get(config, "activation_function"));
	*act = NN_GELU;
	if (!name)
		return SN_OK;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (!strcmp(name, known[i].name))
			return *act = known[i].act, SN_OK;
	return sn_fail(err, SN_E_MODEL, "%s: 'activation_function' is '%.40s'; known are gelu, gelu_new, gelu_pytorch_tanh, relu and silu",
	               file, name);
}

static int read_sizes_hf(sn_whisper_config *c, nn_act *act, const json_t *config, const char *file, char *err) {
	const char *type = json_string_value(json_object_get(config, "model_type"));
	if (type && strcmp(type, "whisper"))
		return sn_fail(err, SN_E_MODEL, "%s: 'model_type' is '%.40s'; expected 'whisper'", file, type);
	const struct { const char *key; int64_t most; int *out; } sizes[] = {
		{ "d_model", MAX_WIDTH, &c->width }, { "encoder_layers", MAX_LAYERS, &c->encoder_layers },
		{ "decoder_layers", MAX_LAYERS, &c->decoder_layers }, { "encoder_attention_heads", 256, &c->encoder_heads },
		{ "decoder_attention_heads", 256, &c->decoder_heads }, { "encoder_ffn_dim", 8 * MAX_WIDTH, &c->encoder_ffn },
		{ "decoder_ffn_dim", 8 * MAX_WIDTH, &c->decoder_ffn }, { "num_mel_bins", 1024, &c->mels }, { "vocab_size", MAX_VOCAB, &c->vocab },
		{ "max_source_positions", SN_WHISPER_WINDOW / 320, &c->source_positions },
		{ "max_target_positions", 4096, &c->target_positions },
	};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		int64_t value = 0;
		int result = sn_json_int(config, sizes[i].key, 1, sizes[i].most, &value, file, err);
		if (result != SN_OK)
			return result;
		if (!value)
			return sn_fail(err, SN_E_MODEL, "%s: '%s' is missing", file, sizes[i].key);
		*sizes[i].out = (int)value;
	}
	return hf_activation(config, act, file, err);
}

/* The configuration must describe the weights that lie beside it. Recording checks each shape; a file with more layers than
 * configured would pass unseen there. */
static int check_sizes(const sn_whisper_config *c, const sn_weights *w, char *err) {
	whisper_names n = whisper_names_of(w);
	char name[NN_NAME];
	for (int side = WHISPER_ENCODER; side <= WHISPER_DECODER; side++) {
		int layers = side == WHISPER_ENCODER ? c->encoder_layers : c->decoder_layers;
		int heads = side == WHISPER_ENCODER ? c->encoder_heads : c->decoder_heads;
		int found = whisper_layers(&n, side);
		if (found != layers)
			return sn_fail(err, SN_E_MODEL, "%s: %s tensor '%s'; expected %d %s layers by the configuration", sn_weights_path(w),
			               found < layers ? "it has no" : "there is a",
			               whisper_matrix_name(&n, WHISPER_SELF_Q, side, found < layers ? found : layers, name), layers,
			               side == WHISPER_ENCODER ? "encoder" : "decoder");
		if (heads < 1 || c->width % heads)
			return sn_fail(err, SN_E_MODEL, "%s: width %d cannot be divided among %d attention heads", sn_weights_path(w), c->width, heads);
	}
	return SN_OK;
}

/* ---- ids ---- */

static int read_special(sn_whisper_config *c, const sn_bpe *bpe, const char *dir, char *err) {
	const struct { const char *name, *other; int32_t *out; } specials[] = {
		{ "<|endoftext|>", NULL, &c->eot }, { "<|startoftranscript|>", NULL, &c->sot }, { "<|translate|>", NULL, &c->translate },
		{ "<|transcribe|>", NULL, &c->transcribe }, { "<|startoflm|>", NULL, &c->sot_lm }, { "<|startofprev|>", NULL, &c->sot_prev },
		{ "<|nospeech|>", "<|nocaptions|>", &c->no_speech }, { "<|notimestamps|>", NULL, &c->no_timestamps },
	};
	for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
		int32_t id = sn_bpe_id(bpe, specials[i].name);
		if (id < 0 && specials[i].other)
			id = sn_bpe_id(bpe, specials[i].other);
		if (id >= c->vocab)
			return sn_fail(err, SN_E_MODEL, "%s: token '%s' has id %d, but the embedding has %d rows", dir, specials[i].name, id, c->vocab);
		*specials[i].out = id;
	}
	if (c->eot < 0 || c->sot < 0)
		return sn_fail(err, SN_E_MODEL, "%s: the vocabulary has no token '%s'", dir, c->eot < 0 ? "<|endoftext|>" : "<|startoftranscript|>");
	if (c->no_timestamps < 0)
		return sn_fail(err, SN_E_MODEL, "%s: the vocabulary has no token '<|notimestamps|>', behind which timestamps begin", dir);
	if (c->no_timestamps + 1 >= c->vocab)
		return sn_fail(err, SN_E_MODEL, "%s: token '<|notimestamps|>' has id %d, the last of %d; timestamps must follow it", dir,
		               c->no_timestamps, c->vocab);
	c->timestamp_begin = c->no_timestamps + 1;
	return SN_OK;
}

/* `token` as in the vocabulary, "<|en|>"; kept in ascending order of ids. */
static void add_language(sn_whisper_config *c, const char *code, size_t size, int32_t id) {
	if (id < 0 || id >= c->vocab || size < 1 || size >= sizeof c->language[0].code || c->languages == SN_WHISPER_MAX_LANGUAGES)
		return;
	int at = c->languages++;
	for (; at > 0 && c->language[at - 1].token > id; at--)
		c->language[at] = c->language[at - 1];
	memset(&c->language[at], 0, sizeof c->language[at]);
	memcpy(c->language[at].code, code, size);
	c->language[at].token = id;
}

static void read_languages(sn_whisper_config *c, const json_t *generation, const sn_bpe *bpe) {
	json_t *listed = json_object_get(generation, "lang_to_id"), *value;
	const char *key;
	json_object_foreach(listed, key, value) {
		size_t size = strlen(key);
		if (size > 4 && !strncmp(key, "<|", 2) && !strcmp(key + size - 2, "|>") && json_is_integer(value) &&
		    json_integer_value(value) < c->vocab)
			add_language(c, key + 2, size - 4, (int32_t)json_integer_value(value));
	}
	if (c->languages)
		return;
	for (const char *code = language_codes; *code;) {
		size_t size = strcspn(code, " ");
		char token[16];
		snprintf(token, sizeof token, "<|%.*s|>", (int)size, code);
		add_language(c, code, size, sn_bpe_id(bpe, token));
		code += size + (code[size] == ' ');
	}
}

/* A list that is absent (not merely empty) falls back to what the reference always suppresses. */
static int read_suppressed(sn_whisper_config *c, const json_t *config, const json_t *generation, const sn_bpe *bpe, int ct2,
                           const char *file, char *err) {
	const char *always = ct2 ? "suppress_ids" : "suppress_tokens", *begin = ct2 ? "suppress_ids_begin" : "begin_suppress_tokens";
	int64_t ids[SN_WHISPER_MAX_SUPPRESS];
	int count = -1, result;
	const json_t *from = json_is_array(json_object_get(generation, always)) ? generation : config;
	if ((result = sn_json_ints(from, always, 0, c->vocab - 1, ids, SN_WHISPER_MAX_SUPPRESS, &count, file, err)) != SN_OK)
		return result;
	for (int i = 0; i < count; i++)
		c->suppress[c->suppress_count++] = (int32_t)ids[i];
	const int32_t usual[] = { c->sot, c->translate, c->transcribe, c->sot_lm, c->sot_prev, c->no_speech };
	for (size_t i = 0; count < 0 && i < sizeof usual / sizeof usual[0]; i++)
		if (usual[i] >= 0)
			c->suppress[c->suppress_count++] = usual[i];

	count = -1;
	from = json_is_array(json_object_get(generation, begin)) ? generation : config;
	int max = (int)(sizeof c->begin_suppress / sizeof c->begin_suppress[0]);
	if ((result = sn_json_ints(from, begin, 0, c->vocab - 1, ids, max, &count, file, err)) != SN_OK)
		return result;
	for (int i = 0; i < count; i++)
		c->begin_suppress[c->begin_suppress_count++] = (int32_t)ids[i];
	const int32_t blank[] = { sn_bpe_id(bpe, "\xc4\xa0") /* a space in byte-level BPE */, c->eot };
	for (int i = 0; count < 0 && i < 2; i++)
		if (blank[i] >= 0 && blank[i] < c->vocab)
			c->begin_suppress[c->begin_suppress_count++] = blank[i];
	return SN_OK;
}

static void add_alignment(sn_whisper_config *c, int64_t layer, int64_t head) {
	if (layer < 0 || layer >= c->decoder_layers || head < 0 || head >= c->decoder_heads || c->alignment_count == SN_WHISPER_MAX_ALIGNMENT)
		return;
	c->alignment[c->alignment_count].layer = (int16_t)layer;
	c->alignment[c->alignment_count++].head = (int16_t)head;
}

/* Distilled checkpoints carry the list of the model they came from, with layers that they do not have: those entries are left out.
 * Without a usable list the reference takes every head of the upper half of the layers; here at most FALLBACK_HEADS of them, spread
 * evenly, since the queries of each are kept for every row. */
static void read_alignment(sn_whisper_config *c, const json_t *list) {
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *pair = json_array_get(list, i), *layer = json_array_get(pair, 0), *head = json_array_get(pair, 1);
		if (json_is_integer(layer) && json_is_integer(head))
			add_alignment(c, json_integer_value(layer), json_integer_value(head));
	}
	if (c->alignment_count)
		return;
	int first = c->decoder_layers / 2 * c->decoder_heads, all = c->decoder_layers * c->decoder_heads - first;
	int count = all < FALLBACK_HEADS ? all : FALLBACK_HEADS;
	for (int i = 0; i < count; i++) {
		int at = first + (int)((int64_t)i * all / count);
		add_alignment(c, at / c->decoder_heads, at % c->decoder_heads);
	}
}

static int read_ids(sn_whisper_config *c, const json_t *config, const json_t *generation, const sn_bpe *bpe, int ct2, const char *dir,
                    const char *file, char *err) {
	int result = read_special(c, bpe, dir, err);
	if (result != SN_OK)
		return result;
	c->multilingual = c->vocab >= 51865; /* the published English-only vocabularies are smaller */
	int64_t initial = 50;                 /* 1 s */
	if ((result = sn_json_bool(generation, "is_multilingual", &c->multilingual, file, err)) != SN_OK ||
	    (result = sn_json_int(generation, "max_initial_timestamp_index", 0, 1 << 20, &initial, file, err)) != SN_OK)
		return result;
	c->max_initial_timestamp = (int)initial;
	if (c->multilingual)
		read_languages(c, generation, bpe);
	if (c->multilingual && (!c->languages || c->transcribe < 0))
		return sn_fail(err, SN_E_MODEL, "%s: the model is multilingual, but its vocabulary has no token '%s'", dir,
		               c->languages ? "<|transcribe|>" : "<|en|>' or of another language, '<|..|>");
	if ((result = read_suppressed(c, config, generation, bpe, ct2, file, err)) != SN_OK)
		return result;
	const json_t *heads = json_object_get(generation, "alignment_heads");
	read_alignment(c, json_is_array(heads) ? heads : json_object_get(config, "alignment_heads"));
	return SN_OK;
}

/* Log-mel features are computed as for every published Whisper; a checkpoint that asks for others would hear them wrong. */
static int check_features(const sn_whisper_config *c, const char *dir, char *err) {
	char file[MAX_PATH_TEXT];
	json_t *features = NULL;
	snprintf(file, sizeof file, "%s/preprocessor_config.json", dir);
	int result = sn_json_file(&features, file, err);
	if (result != SN_OK)
		return result == SN_E_NOT_FOUND ? SN_OK : result; /* optional */
	const struct { const char *key; int64_t right; } wanted[] = {
		{ "sampling_rate", SN_MEL_RATE }, { "hop_length", SN_MEL_HOP }, { "n_fft", SN_MEL_FFT }, { "feature_size", c->mels },
		{ "n_samples", 2 * (int64_t)c->source_positions * SN_MEL_HOP }, { "nb_max_frames", 2 * (int64_t)c->source_positions },
	};
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted && result == SN_OK; i++) {
		int64_t found = wanted[i].right;
		result = sn_json_int(features, wanted[i].key, 1, INT32_MAX, &found, file, err);
		if (result == SN_OK && found != wanted[i].right)
			result = sn_fail(err, SN_E_MODEL, "%s: '%s' is %lld; this model's features are computed with %lld", file, wanted[i].key,
			                 (long long)found, (long long)wanted[i].right);
	}
	json_decref(features);
	return result;
}

int whisper_config_take(sn_whisper_config *c, nn_act *act, const whisper_said *said, const sn_weights *weights, const sn_bpe *bpe, char *err) {
	int ct2 = sn_weights_layout(weights) == SN_LAYOUT_CTRANSLATE2;
	memset(c, 0, sizeof *c);
	int result = ct2 ? read_sizes_ct2(c, act, weights, err) : read_sizes_hf(c, act, said->config, said->file, err);
	if (result == SN_OK)
		result = check_sizes(c, weights, err);
	if (result != SN_OK)
		return result;
	return read_ids(c, said->config, said->generation, bpe, ct2, said->dir, said->generation ? said->generation_file : said->file, err);
}

int whisper_config_read(sn_whisper_config *c, nn_act *act, const char *dir, const sn_weights *weights, const sn_bpe *bpe, char *err) {
	char file[MAX_PATH_TEXT], generation_file[MAX_PATH_TEXT];
	json_t *config = NULL, *generation = NULL;
	snprintf(file, sizeof file, "%s/config.json", dir);
	snprintf(generation_file, sizeof generation_file, "%s/generation_config.json", dir);
	int result = sn_json_file(&config, file, err);
	if (result == SN_OK) {
		result = sn_json_file(&generation, generation_file, err);
		if (result == SN_E_NOT_FOUND) /* optional in both layouts */
			result = SN_OK;
	}
	const whisper_said said = { config, generation, dir, file, generation_file };
	if (result == SN_OK)
		result = whisper_config_take(c, act, &said, weights, bpe, err);
	if (result == SN_OK)
		result = check_features(c, dir, err);
	json_decref(generation);
	json_decref(config);
	return result;
}
