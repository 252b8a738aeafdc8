/* What "auto" may stand for, told from the catalogue and small files: nothing is loaded for it. */
#include "store/models.h"

#include "base/ascii.h"
#include "base/json.h"
#include "base/map.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uloc.h>

#define MAX_TOKENIZER ((size_t)1 << 20) /* bytes of a tokenizer_config.json that is looked at */
#define ENGLISH_VOCABULARY 51864 /* of the published Whispers that write English alone */

/* "pt" is "pt-br" and "pt_PT", too. */
static int is_same(const char *known, const char *code) {
	const size_t size = strcspn(known, "-_");
	return size == strcspn(code, "-_") && sn_strncasecmp(known, code, size) == 0;
}

/* Of a Piper voice: what its JSON says. -1: it says nothing. */
static int voice_knows(const char *json, const char *code) {
	json_t *config = NULL;
	if (sn_json_file(&config, json, NULL) != SN_OK)
		return -1;
	const char *language = json_string_value(json_object_get(json_object_get(config, "language"), "code"));
	if (!language)
		language = json_string_value(json_object_get(json_object_get(config, "espeak"), "voice"));
	const int known = language ? is_same(language, code) : -1;
	json_decref(config);
	return known;
}

/* Of a VITS in Hugging Face's layout: ISO 639-3, beside a number that no integer holds. -1: it says nothing. */
static int tokenizer_knows(const char *dir, const char *code) {
	char path[SN_STORE_PATH];
	sn_map map;
	if (!sn_path_join(path, dir, "tokenizer_config.json") || sn_map_open(&map, path, NULL) != SN_OK)
		return -1;
	json_t *const config = map.size < MAX_TOKENIZER ? json_loadb((const char *)map.data, map.size, JSON_DECODE_INT_AS_REAL, NULL) : NULL;
	const char *const language = json_string_value(json_object_get(config, "language"));
	const int known = language ? is_same(language, code) || is_same(language, uloc_getISO3Language(code)) : -1;
	json_decref(config);
	sn_map_close(&map);
	return known;
}

/* Of a Whisper in Hugging Face's layout: its list of languages, else the size of its vocabulary. */
static int whisper_knows(const char *dir, const char *code) {
	char path[SN_STORE_PATH], token[24];
	json_t *said = NULL, *config = NULL;
	int known = -1;
	snprintf(token, sizeof token, "<|%.*s|>", (int)strcspn(code, "-_") % 16, code);
	if (sn_path_join(path, dir, "generation_config.json") && sn_json_file(&said, path, NULL) == SN_OK && json_object_get(said, "lang_to_id"))
		known = json_object_get(json_object_get(said, "lang_to_id"), token) != NULL;
	else if (sn_path_join(path, dir, "config.json") && sn_json_file(&config, path, NULL) == SN_OK &&
	         json_integer_value(json_object_get(config, "vocab_size")) == ENGLISH_VOCABULARY)
		known = is_same("en", code);
	json_decref(said);
	json_decref(config);
	return known;
}

static int directory_knows(const sn_model_place *place, const char *code) {
	char path[SN_STORE_PATH];
	int known = strcmp(place->architecture, "whisper") == 0 ? whisper_knows(place->path, code) : -1;
	DIR *const list = strcmp(place->architecture, "vits") == 0 ? opendir(place->path) : NULL;
	for (struct dirent *one; list && known < 0 && (one = readdir(list));)
		if (sn_path_ends_with(one->d_name, ".onnx.json") && sn_path_join(path, place->path, one->d_name))
			known = voice_knows(path, code);
	if (list)
		closedir(list);
	return known < 0 && strcmp(place->architecture, "vits") == 0 ? tokenizer_knows(place->path, code) : known;
}

int sn_store_knows(const sn_model_place *place, const char *code) {
	const sn_catalogue_entry *const entry = place->entry;
	if (!code)
		return 1;
	if (!entry)
		return directory_knows(place, code);
	int known = entry->language_count ? 0 : -1;
	for (int i = 0; i < entry->language_count && known < 1; i++)
		known = strcmp(entry->languages[i], "multilingual") == 0 || is_same(entry->languages[i], code);
	return known;
}

static int is_for(const sn_model_place *place, const char *task) {
	static const char *const hear[] = { "whisper", "wav2vec2" };
	static const char *const speak[] = { "vits", "yourtts", "speecht5", "fastspeech2", "bark", "tacotron2", "kokoro" };
	const int hears = strcmp(task, "transcribe") == 0, speaks = strcmp(task, "speak") == 0;
	const char *const *const all = hears ? hear : speak;
	const size_t count = hears ? sizeof hear / sizeof *hear : speaks ? sizeof speak / sizeof *speak : 0;
	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i], place->architecture) == 0)
			return 1;
	return 0;
}

static int is_default(const sn_store *store, const char *task, const char *model) {
	const char *name;
	for (int i = 0; (name = sn_store_default(store, task, i)); i++)
		if (sn_strcasecmp(name, model) == 0)
			return 1;
	return 0;
}

int sn_store_others(const sn_store *store, const char *task, const char *code, sn_model_place **out, int *count, char *err) {
	sn_model_place *all, *kept;
	int n, used = 0;
	*out = NULL;
	*count = 0;
	const int result = sn_store_list(store, &all, &n, err);
	if (result != SN_OK || !n)
		return result;
	if (!(kept = calloc((size_t)n, sizeof *kept))) {
		free(all);
		return sn_fail(err, SN_E_MEMORY, "no memory for a list of models");
	}
	for (int sure = 1; sure >= -1; sure -= 2)
		for (int i = 0; i < n; i++)
			if (is_for(&all[i], task) && !is_default(store, task, all[i].name) && sn_store_knows(&all[i], code) == sure)
				kept[used++] = all[i];
	free(all);
	*out = kept;
	*count = used;
	return SN_OK;
}
