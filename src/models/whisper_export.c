/* A Whisper as sherpa-onnx publishes it: its files, and what their metadata and tokens say. */
#include "models/whisper_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_STEM 256
#define MAX_NAMED (SN_WHISPER_MAX_LANGUAGES + 16)

/* ---- files ---- */

static const char *const sides[] = { [WHISPER_ENCODER] = "encoder", [WHISPER_DECODER] = "decoder" };
static const char *const kinds[] = { ".onnx", ".int8.onnx" };

/* "tiny.en-encoder.int8.onnx" -> its side (or -1), its kind and "tiny.en". */
static int side_of(const char *name, int *kind, char stem[MAX_STEM]) {
	char end[32];
	for (int side = WHISPER_ENCODER; side <= WHISPER_DECODER; side++)
		for (int k = 0; k < 2; k++) {
			const int size = snprintf(end, sizeof end, "-%s%s", sides[side], kinds[k]), length = (int)strlen(name) - size;
			if (length < 1 || length >= MAX_STEM || strcmp(name + length, end) != 0)
				continue;
			snprintf(stem, MAX_STEM, "%.*s", length, name);
			*kind = k;
			return side;
		}
	return -1;
}

/* The one stem of the encoders in `dir`, "" where there are none. */
static int find_stem(const char *dir, char stem[MAX_STEM], char *err) {
	char found[MAX_STEM];
	int kind, result = SN_OK;
	DIR *const list = opendir(dir);
	*stem = 0;
	if (!list)
		return sn_fail_errno(err, "cannot read '%s'", dir);
	for (const struct dirent *entry; result == SN_OK && (entry = readdir(list));) {
		if (side_of(entry->d_name, &kind, found) != WHISPER_ENCODER || strcmp(stem, found) == 0)
			continue;
		if (*stem)
			result = sn_fail(err, SN_E_MODEL, "'%s' holds several models, '%.100s' and '%.100s': name the file '%.100s-encoder.onnx' of one", dir, stem,
			                 found, stem);
		strcpy(stem, found);
	}
	closedir(list);
	return result;
}

static int is_file(const char *path) {
	struct stat st;
	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

/* DIR/STEM-SIDE of the kind that is wanted, else of the other. */
static int find_part(char path[SN_PATH_MAX], const char *dir, const char *stem, int side, int kind, char *err) {
	for (int i = 0; i < 2; i++) {
		if (snprintf(path, SN_PATH_MAX, "%s/%s-%s%s", dir, stem, sides[side], kinds[i ? !kind : kind]) >= SN_PATH_MAX)
			return sn_fail(err, SN_E_LIMIT, "the path '%.100s.../%s' is too long", dir, stem);
		if (is_file(path))
			return SN_OK;
	}
	return sn_fail(err, SN_E_NOT_FOUND, "'%s' holds an export of Whisper without its %s: neither '%s-%s.onnx' nor '%s-%s.int8.onnx' is there", dir,
	               sides[side], stem, sides[side], stem, sides[side]);
}

int whisper_export_locate(whisper_export *files, const char *path, char *err) {
	char dir[SN_PATH_MAX], stem[MAX_STEM] = "", own[SN_PATH_MAX];
	int kind = 0, result = SN_OK;
	memset(files, 0, sizeof *files);
	snprintf(dir, sizeof dir, "%s", path);
	if (sn_path_is_directory(path)) {
		if (sn_path_join(own, path, "config.json") && is_file(own)) /* of another layout */
			return SN_OK;
		result = find_stem(dir, stem, err);
	} else {
		char *const slash = strrchr(dir, '/');
		if (side_of(slash ? slash + 1 : dir, &kind, stem) < 0)
			return SN_OK;
		if (slash)
			slash[slash == dir] = 0;
		else
			strcpy(dir, ".");
	}
	if (result != SN_OK || !*stem)
		return result;
	result = find_part(files->encoder, dir, stem, WHISPER_ENCODER, kind, err);
	if (result == SN_OK)
		result = find_part(files->decoder, dir, stem, WHISPER_DECODER, kind, err);
	if (result == SN_OK && snprintf(files->tokens, SN_PATH_MAX, "%s/%s-tokens.txt", dir, stem) >= SN_PATH_MAX)
		result = sn_fail(err, SN_E_LIMIT, "the path '%.100s.../%s' is too long", dir, stem);
	if (result == SN_OK && !is_file(files->tokens))
		result = sn_fail(err, SN_E_NOT_FOUND, "'%s' holds an export of Whisper without its tokens: '%s-tokens.txt' is not there", dir, stem);
	return result;
}

int sn_whisper_is_export(const char *path) {
	whisper_export files;
	return whisper_export_locate(&files, path, NULL) != SN_OK || *files.encoder;
}

/* ---- metadata ---- */

typedef struct metadata {
	const sn_weights *file;
	int code; /* the first failure; later calls do nothing */
	char *err;
} metadata;

static void fail(metadata *m, const char *key, const char *found, const char *expected) {
	if (m->code == SN_OK)
		m->code = sn_fail(m->err, SN_E_MODEL, "%s: its metadata have '%s' as '%.60s'; expected %s", sn_weights_path(m->file), key, found, expected);
}

/* What jansson returns is not 0 where there was no memory. */
static void keep(metadata *m, int failed) {
	if (failed && m->code == SN_OK)
		m->code = sn_fail(m->err, SN_E_MEMORY, "%s: out of memory for its metadata", sn_weights_path(m->file));
}

/* "" and a failure where it is missing. */
static const char *text_of(metadata *m, const char *key) {
	const char *const text = sn_weights_text(m->file, key);
	if (!text && m->code == SN_OK)
		m->code = sn_fail(m->err, SN_E_MODEL, "%s has no '%s' in its metadata; the exports of Whisper for sherpa-onnx have", sn_weights_path(m->file), key);
	return text ? text : "";
}

/* The number at *at, which a comma, a colon or the end follows; -1 where there is none. */
static int64_t take_number(const char **at) {
	char *end;
	errno = 0;
	const long value = **at >= '0' && **at <= '9' ? strtol(*at, &end, 10) : -1;
	if (value < 0 || value > INT32_MAX || errno || (*end && *end != ',' && *end != ':'))
		return -1;
	*at = end + (*end != 0);
	return value;
}

static int int_of(metadata *m, const char *key) {
	const char *const text = text_of(m, key), *at = text;
	const int64_t value = take_number(&at);
	if (value < 0 || *at)
		fail(m, key, text, "a number");
	return value < 0 ? 0 : (int)value;
}

/* "1,2,7" */
static json_t *list_of(metadata *m, const char *key) {
	const char *const text = text_of(m, key);
	json_t *const list = json_array();
	for (const char *at = text; *at;) {
		const int64_t value = take_number(&at);
		if (value < 0) {
			fail(m, key, text, "numbers with commas between");
			break;
		}
		keep(m, json_array_append_new(list, json_integer(value)));
	}
	return list;
}

/* Heads whose attention follows the speech, as openai-whisper publishes them: decoder layer and head. Exports do not have them, but say which
 * model they are of; those that compute words' times themselves have "alignment_heads" in this form. */
static const struct {
	const char *model, *heads;
} published[] = {
	{ "whisper-tiny.en", "1:0,2:0,2:5,3:0,3:1,3:2,3:3,3:4" },
	{ "whisper-tiny", "2:2,3:0,3:2,3:3,3:4,3:5" },
	{ "whisper-base.en", "3:3,4:7,5:1,5:5,5:7" },
	{ "whisper-base", "3:1,4:2,4:3,4:7,5:1,5:2,5:4,5:6" },
	{ "whisper-small.en", "6:6,7:0,7:3,7:8,8:2,8:5,8:7,9:0,9:4,9:8,9:10,10:0,10:1,10:2,10:3,10:6,10:11,11:2,11:4" },
	{ "whisper-small", "5:3,5:9,8:0,8:4,8:7,8:8,9:0,9:7,9:9,10:5" },
	{ "whisper-medium.en", "11:4,14:1,14:12,14:14,15:4,16:0,16:4,16:9,17:12,17:14,18:7,18:10,18:15,20:0,20:3,20:9,20:14,21:12" },
	{ "whisper-medium", "13:15,15:4,15:15,16:1,20:0,23:4" },
	{ "whisper-large-v1", "9:19,11:2,11:4,11:17,22:7,22:11,22:17,23:2,23:15" },
	{ "whisper-large-v2", "10:12,13:17,16:11,16:12,16:13,17:15,17:16,18:4,18:11,18:19,19:11,21:2,21:3,22:3,22:9,22:12,23:5,23:7,23:13,25:5,26:1,26:12,27:15" },
	{ "whisper-large-v3", "7:0,10:17,12:18,13:12,16:1,17:14,19:11,21:4,24:1,25:6" },
	{ "whisper-large", "7:0,10:17,12:18,13:12,16:1,17:14,19:11,21:4,24:1,25:6" }, /* v3 under another name */
	{ "whisper-turbo", "2:4,2:11,3:3,3:6,3:11,3:14" },
};

static json_t *heads_of(metadata *m) {
	const char *text = sn_weights_text(m->file, "alignment_heads"), *const model = text_of(m, "model_type");
	for (size_t i = 0; !text && i < sizeof published / sizeof *published; i++)
		text = strcmp(published[i].model, model) == 0 ? published[i].heads : NULL;
	json_t *const list = text ? json_array() : NULL;
	for (const char *at = text; at && *at;) {
		const int64_t layer = take_number(&at), head = take_number(&at);
		if (layer < 0 || head < 0) {
			fail(m, "alignment_heads", text, "layer:head with commas between");
			break;
		}
		keep(m, json_array_append_new(list, json_pack("[I, I]", (json_int_t)layer, (json_int_t)head)));
	}
	return list;
}

static const struct {
	const char *token, *key;
} special[] = {
	{ "<|endoftext|>", "eot" }, { "<|startoftranscript|>", "sot" }, { "<|translate|>", "translate" }, { "<|transcribe|>", "transcribe" },
	{ "<|startoflm|>", "sot_lm" }, { "<|startofprev|>", "sot_prev" }, { "<|nospeech|>", "no_speech" }, { "<|notimestamps|>", "no_timestamps" },
};
#define SPECIAL ((int)(sizeof special / sizeof *special))

/* {"<|en|>": 50259, ..}, ids in one list and codes in another. */
static json_t *languages_of(metadata *m) {
	json_t *const ids = list_of(m, "all_language_tokens"), *const languages = json_object();
	const char *at = text_of(m, "all_language_codes");
	size_t count = 0;
	for (char token[24]; m->code == SN_OK && *at; count++) {
		const int size = (int)strcspn(at, ",");
		if (size < 1 || size > 8 || count >= json_array_size(ids))
			fail(m, "all_language_codes", at, "as many codes of languages as 'all_language_tokens' has ids");
		snprintf(token, sizeof token, "<|%.*s|>", size, at);
		keep(m, json_object_set(languages, token, json_array_get(ids, count)));
		at += size + (at[size] == ',');
	}
	if (m->code == SN_OK && (count != json_array_size(ids) || count > SN_WHISPER_MAX_LANGUAGES))
		fail(m, "all_language_tokens", text_of(m, "all_language_tokens"), "one id for each of 'all_language_codes', at most 128");
	json_decref(ids);
	return languages;
}

/* What is written in config.json of the layout that the reader knows. */
static json_t *config_of(metadata *m, const sn_weights *weights) {
	static const char *const keys[][2] = {
		{ "d_model", "n_audio_state" }, { "encoder_layers", "n_audio_layer" }, { "decoder_layers", "n_text_layer" },
		{ "encoder_attention_heads", "n_audio_head" }, { "decoder_attention_heads", "n_text_head" }, { "num_mel_bins", "n_mels" },
		{ "vocab_size", "n_vocab" }, { "max_source_positions", "n_audio_ctx" }, { "max_target_positions", "n_text_ctx" },
	};
	static const char *const inner[][2] = {
		{ "encoder_ffn_dim", "encoder.layers.0.fc1.bias" }, { "decoder_ffn_dim", "decoder.layers.0.fc1.bias" },
	};
	json_t *const config = json_object();
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		keep(m, json_object_set_new(config, keys[i][0], json_integer(int_of(m, keys[i][1]))));
	for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
		const sn_weight *const bias = sn_weights_find(weights, inner[i][1]);
		keep(m, json_object_set_new(config, inner[i][0], json_integer(bias && bias->rank == 1 ? bias->dims[0] : 0)));
	}
	return config;
}

/* What is written in generation_config.json: as openai-whisper decodes, no token is ever chosen that stands for no speech. */
static json_t *generation_of(metadata *m, json_t *languages) {
	static const char *const never[] = { "transcribe", "translate", "sot", "sot_prev", "sot_lm", "no_speech" };
	json_t *const suppressed = list_of(m, "non_speech_tokens"), *const heads = heads_of(m);
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		keep(m, json_array_append_new(suppressed, json_integer(int_of(m, never[i]))));
	json_t *const generation = json_pack("{s:b, s:o, s:o, s:[i, i]}", "is_multilingual", int_of(m, "is_multilingual"), "lang_to_id", languages,
	                                     "suppress_tokens", suppressed, "begin_suppress_tokens", int_of(m, "blank_id"), int_of(m, "eot"));
	if (heads)
		keep(m, json_object_set_new(generation, "alignment_heads", heads));
	return generation;
}

static int read_config(sn_whisper_config *c, nn_act *act, metadata *m, json_t *languages, const sn_weights *weights, const sn_bpe *bpe, char *err) {
	json_t *const config = config_of(m, weights), *const generation = generation_of(m, json_incref(languages));
	const char *const path = sn_weights_path(weights);
	const whisper_said said = { config, generation, path, path, path };
	int result = m->code;
	if (result == SN_OK && (!config || !generation))
		result = sn_fail(err, SN_E_MEMORY, "%s: out of memory for its metadata", path);
	if (result == SN_OK)
		result = whisper_config_take(c, act, &said, weights, bpe, err);
	json_decref(config);
	json_decref(generation);
	return result;
}

/* ---- opening ---- */

static int open_tokens(sn_bpe **bpe, metadata *m, json_t *languages, const char *path, char *err) {
	sn_bpe_named named[MAX_NAMED];
	int count = 0;
	const char *token;
	json_t *id;
	for (; count < SPECIAL; count++)
		named[count] = (sn_bpe_named){ special[count].token, int_of(m, special[count].key) };
	json_object_foreach(languages, token, id)
		named[count++] = (sn_bpe_named){ token, (int32_t)json_integer_value(id) };
	return m->code == SN_OK ? sn_bpe_open_ranks(bpe, path, named, count, err) : m->code;
}

static int open_parts(whisper_parts *parts, const whisper_export *files, metadata *m, char *err) {
	int result = sn_weights_open(&parts->file[WHISPER_ENCODER], files->encoder, err);
	if (result != SN_OK)
		return result;
	*m = (metadata){ .file = parts->file[WHISPER_ENCODER], .err = err };
	const char *const type = text_of(m, "model_type");
	if (strncmp(type, "whisper", 7) != 0)
		fail(m, "model_type", type, "'whisper-..'");
	parts->layers[WHISPER_ENCODER] = int_of(m, "n_audio_layer");
	parts->layers[WHISPER_DECODER] = int_of(m, "n_text_layer");
	parts->width = int_of(m, "n_text_state");
	parts->vocab = int_of(m, "n_vocab");
	return m->code == SN_OK ? sn_weights_open(&parts->file[WHISPER_DECODER], files->decoder, err) : m->code;
}

int whisper_export_open(sn_weights **weights, sn_bpe **bpe, sn_whisper_config *c, nn_act *act, const whisper_export *files, char *err) {
	whisper_parts parts = { 0 };
	metadata m;
	json_t *languages = NULL;
	int result = open_parts(&parts, files, &m, err);
	if (result == SN_OK) {
		languages = languages_of(&m);
		result = open_tokens(bpe, &m, languages, files->tokens, err);
	}
	if (result == SN_OK)
		result = whisper_onnx_bind(weights, &parts, err);
	if (result == SN_OK)
		result = read_config(c, act, &m, languages, *weights, *bpe, err);
	json_decref(languages);
	sn_weights_close(&parts.file[WHISPER_ENCODER]);
	sn_weights_close(&parts.file[WHISPER_DECODER]);
	return result;
}
