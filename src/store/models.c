#include "store/models.h"

#include "base/ascii.h"
#include "base/json.h"
#include "base/map.h"
#include "store/catalogue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sn_store {
	char home[SN_STORE_PATH], hub[SN_STORE_PATH]; /* hub "": none */
	int no_paths;
	sn_catalogue catalogue;
};

/* ---- paths ---- */

static int exists(const char *path) {
	struct stat st;
	return *path && stat(path, &st) == 0;
}

static const char *base_name(const char *path) {
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

/* $name, or "" when it is unset. */
static const char *variable(const char *name) {
	const char *value = getenv(name);
	return value ? value : "";
}

static int cache_directory(char *path) {
	const struct passwd *user;
	if (*variable("XDG_CACHE_HOME") == '/')
		return snprintf(path, SN_STORE_PATH, "%s", variable("XDG_CACHE_HOME")) < SN_STORE_PATH;
	if (*variable("HOME"))
		return sn_path_join(path, variable("HOME"), ".cache");
	user = getpwuid(getuid());
	return user && user->pw_dir && sn_path_join(path, user->pw_dir, ".cache");
}

static int is_weights(const char *name) {
	static const char *const ends[] = { ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx" };
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (sn_path_ends_with(name, ends[i]))
			return 1;
	return 0;
}

/* A tokenizer alone has none, nor has a download that was broken off, whose links lead nowhere. */
static int has_weights(const char *dir) {
	char file[SN_STORE_PATH];
	int found = 0;
	DIR *const d = opendir(dir);
	for (struct dirent *item; d && !found && (item = readdir(d));)
		found = is_weights(item->d_name) && sn_path_join(file, dir, item->d_name) && exists(file);
	if (d)
		closedir(d);
	return found;
}

/* The first name of a directory with weights in `dir` in the order of bytes, in path[SN_STORE_PATH]. */
static int first_snapshot(const char *dir, char *path) {
	struct dirent **list;
	int count = scandir(dir, &list, NULL, alphasort), found = 0;
	for (int i = 0; i < count; i++) {
		if (!found && list[i]->d_name[0] != '.')
			found = sn_path_join(path, dir, list[i]->d_name) && has_weights(path);
		free(list[i]);
	}
	if (count >= 0)
		free(list);
	return found;
}

/* ---- the hub's cache: HUB/models--ORG--NAME/{refs/main, snapshots/COMMIT/} ---- */

static int hub_snapshot(const char *repository, char *path) {
	char refs[SN_STORE_PATH], commit[128] = "", snapshots[SN_STORE_PATH];
	if (!sn_path_join(refs, repository, "refs/main") || !sn_path_join(snapshots, repository, "snapshots"))
		return 0;
	sn_map map;
	if (sn_map_open(&map, refs, NULL) == SN_OK) {
		for (size_t i = 0; i < map.size && i < sizeof commit - 1 && sn_isalnum(map.data[i]); i++)
			commit[i] = (char)map.data[i];
		sn_map_close(&map);
	}
	if (*commit && sn_path_join(path, snapshots, commit) && has_weights(path))
		return 1;
	return first_snapshot(snapshots, path);
}

static int hub_find(const sn_store *store, const char *name, char *path) {
	char directory[SN_STORE_NAME], repository[SN_STORE_PATH];
	const char *slash = strchr(name, '/');
	if (!*store->hub || !slash || strchr(slash + 1, '/') || strlen(name) > SN_STORE_NAME - 16)
		return 0;
	snprintf(directory, sizeof directory, "models--%.*s--%s", (int)(slash - name), name, slash + 1);
	return sn_path_join(repository, store->hub, directory) && hub_snapshot(repository, path);
}

/* ---- what the files are ---- */

/* CTranslate2's model.bin: u32 version, u16 length, name of the specification. */
static int is_ctranslate2_whisper(const char *dir) {
	char path[SN_STORE_PATH];
	sn_map map;
	if (!sn_path_join(path, dir, "model.bin") || sn_map_open(&map, path, NULL) != SN_OK)
		return 0;
	int is = map.size > 18 && memcmp(map.data + 6, "WhisperSpec", 12) == 0;
	sn_map_close(&map);
	return is;
}

typedef struct known_type {
	const char *type, *architecture;
} known_type;

static const char *known(const known_type *types, int count, const char *type) {
	for (int i = 0; i < count && type; i++)
		if (strcmp(types[i].type, type) == 0)
			return types[i].architecture;
	return NULL;
}

/* By what a config.json says: "model_type" (Hugging Face), "model" (Coqui), or keys that only one kind has. */
static const char *architecture_of_config(const json_t *config) {
	static const known_type hub[] = {
		{ "speecht5_hifigan", "hifigan" }, { "hifigan", "hifigan" }, { "fastspeech2_conformer_hifigan", "hifigan" },
		{ "fastspeech2_conformer", "fastspeech2" }, { "fastspeech2_conformer_with_hifigan", "fastspeech2" },
	};
	static const known_type coqui[] = {
		{ "tacotron2", "tacotron2" }, { "fastspeech2", "fastspeech2" }, { "fast_speech2", "fastspeech2" },
		{ "fast_speech", "fastspeech2" }, { "fast_pitch", "fastspeech2" }, { "speedy_speech", "fastspeech2" },
		{ "forward_tts", "fastspeech2" }, { "vits", "yourtts" }, { "hifigan", "hifigan" }, { "melgan", "melgan" },
		{ "fullband_melgan", "melgan" }, { "multiband_melgan", "multiband-melgan" }, { "speaker_encoder", "speaker-encoder" },
	};
	const char *const type = json_string_value(json_object_get(config, "model_type"));
	const char *const model = json_string_value(json_object_get(config, "model"));
	const char *const class = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
	if (class && sn_path_ends_with(class, "ForTokenClassification")) /* BERT and its kin: opening tells which */
		return "bert";
	const char *const found = type ? known(hub, sizeof hub / sizeof *hub, type) : known(coqui, sizeof coqui / sizeof *coqui, model);
	if (found || type || model)
		return found ? found : type ? type : model;
	if (json_object_get(json_object_get(config, "model"), "inter_channels")) /* VITS as its authors wrote it */
		return "vits";
	if (json_object_get(config, "WN_config") || json_object_get(config, "waveglow_config"))
		return "waveglow";
	if (json_object_get(config, "upsample_rates") && json_object_get(config, "resblock"))
		return "hifigan";
	return "";
}

int sn_store_reads(const char *type) {
	static const char *const all[] = {
		"whisper", "wav2vec2", "vits", "speecht5", "fastspeech2_conformer", "fastspeech2_conformer_with_hifigan", "fastspeech2_conformer_hifigan",
		"speecht5_hifigan", "hifigan", "bark", "bert", "electra", "distilbert", "roberta", "xlm-roberta", "camembert",
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (strcmp(all[i], type) == 0)
			return 1;
	return 0;
}

/* Of the architectures that a config.json can name. */
static int is_runnable(const char *architecture) {
	static const char *const all[] = { "whisper", "wav2vec2", "vits", "speecht5", "fastspeech2", "bark", "hifigan", "silero-vad", "xvector" };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (strcmp(all[i], architecture) == 0)
			return 1;
	return 0;
}

/* By the name of a file that publishers give to one kind only. */
static const char *architecture_of_name(const char *name) {
	static const char *const parts[] = { "-encoder.onnx", "-encoder.int8.onnx", "-decoder.onnx", "-decoder.int8.onnx" }; /* of sherpa-onnx's Whispers */
	if (strncmp(name, "silero_vad", 10) == 0)
		return "silero-vad";
	if (strcmp(name, "erb_dec.onnx") == 0)
		return "deepfilternet";
	if (strcmp(name, "sig_bak_ovr.onnx") == 0)
		return "dnsmos";
	if (sn_path_ends_with(name, ".onnx.json"))
		return "vits";
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (sn_path_ends_with(name, parts[i]))
			return "whisper";
	const int is_torch = sn_path_ends_with(name, ".pt") || sn_path_ends_with(name, ".pth");
	if (is_torch && sn_strncasecmp(name, "tacotron2", 9) == 0)
		return "tacotron2";
	if (is_torch && sn_strncasecmp(name, "waveglow", 8) == 0)
		return "waveglow";
	return strcmp(name, "embedding_model.ckpt") == 0 ? "xvector" : "";
}

/* As `sonant quantize` writes it down. */
static const char *architecture_of_quantized(const json_t *said) {
	const char *const format = json_string_value(json_object_get(said, "format")), *const is = json_string_value(json_object_get(said, "architecture"));
	return format && is && strcmp(format, "sonant-quantized") == 0 ? is : "";
}

static void architecture_of_directory(const char *dir, char *out) {
	char path[SN_STORE_PATH];
	json_t *config = NULL;
	if (is_ctranslate2_whisper(dir)) {
		strcpy(out, "whisper");
		return;
	}
	if (sn_path_join(path, dir, "quantized.json") && sn_json_file(&config, path, NULL) == SN_OK) /* CTranslate2's configuration does not tell */
		snprintf(out, 32, "%s", architecture_of_quantized(config));
	json_decref(config);
	config = NULL;
	if (!*out && sn_path_join(path, dir, "config.json") && sn_json_file(&config, path, NULL) == SN_OK)
		snprintf(out, 32, "%s", architecture_of_config(config));
	json_decref(config);
	DIR *list = *out ? NULL : opendir(dir);
	for (struct dirent *entry; list && (entry = readdir(list));)
		if (*architecture_of_name(entry->d_name))
			snprintf(out, 32, "%s", architecture_of_name(entry->d_name));
	if (list)
		closedir(list);
}

void sn_store_architecture(const char *path, char out[32]) {
	char beside[SN_STORE_PATH];
	*out = 0;
	if (sn_path_is_directory(path)) {
		architecture_of_directory(path, out);
	} else if (*architecture_of_name(base_name(path))) {
		snprintf(out, 32, "%s", architecture_of_name(base_name(path)));
	} else if (sn_path_ends_with(path, ".onnx")) {
		if (snprintf(beside, sizeof beside, "%s.json", path) < (int)sizeof beside && exists(beside))
			strcpy(out, "vits");
	} else if (snprintf(beside, sizeof beside, "%s", path) < (int)sizeof beside && strrchr(beside, '/')) {
		*strrchr(beside, '/') = 0;
		architecture_of_directory(beside, out);
	}
}

/* ---- the store ---- */

int sn_store_open(sn_store **out, const char *home, char *err) {
	*out = NULL;
	sn_store *store = calloc(1, sizeof *store);
	if (!store)
		return sn_fail(err, SN_E_MEMORY, "out of memory for the model store");
	char cache[SN_STORE_PATH];
	int good = 1, has_cache = cache_directory(cache);
	home = home ? home : variable("SONANT_HOME");
	if (*home)
		good = snprintf(store->home, sizeof store->home, "%s", home) < (int)sizeof store->home;
	else
		good = has_cache && sn_path_join(store->home, cache, "sonant");
	if (*variable("HF_HUB_CACHE"))
		snprintf(store->hub, sizeof store->hub, "%s", variable("HF_HUB_CACHE"));
	else if (*variable("HF_HOME"))
		sn_path_join(store->hub, variable("HF_HOME"), "hub");
	else if (has_cache)
		sn_path_join(store->hub, cache, "huggingface/hub");
	int result = good ? sn_catalogue_open(&store->catalogue, sn_catalogue_text, sn_catalogue_size, err)
	                  : sn_fail(err, SN_E_ARGUMENT, "no home for models: set SONANT_HOME to a directory");
	if (result != SN_OK) {
		free(store);
		return result;
	}
	*out = store;
	return SN_OK;
}

void sn_store_close(sn_store **store) {
	if (!*store)
		return;
	sn_catalogue_close(&(*store)->catalogue);
	free(*store);
	*store = NULL;
}

void sn_store_refuse_paths(sn_store *store) { store->no_paths = 1; }

const char *sn_store_home(const sn_store *store) { return store->home; }
const char *sn_store_hub_cache(const sn_store *store) { return store->hub; }
int sn_store_count(const sn_store *store) { return store->catalogue.count; }
const sn_catalogue_entry *sn_store_at(const sn_store *store, int index) { return store->catalogue.entries + index; }

const sn_catalogue_entry *sn_store_find(const sn_store *store, const char *name) {
	return sn_catalogue_find(&store->catalogue, name);
}

const char *sn_store_default(const sn_store *store, const char *task, int index) {
	return sn_catalogue_default(&store->catalogue, task, index);
}

static const sn_catalogue_entry *entry_of_directory(const sn_store *store, const char *name) {
	for (int i = 0; i < store->catalogue.count; i++)
		if (strcmp(store->catalogue.entries[i].directory, name) == 0)
			return store->catalogue.entries + i;
	return NULL;
}

const sn_catalogue_entry *sn_store_vocoder(const sn_store *store, const char *name) {
	const sn_catalogue_entry *const known = sn_store_find(store, name), *const entry = known ? known : entry_of_directory(store, name);
	return entry && *entry->vocoder ? sn_store_find(store, entry->vocoder) : NULL;
}

static int is_in_cache(const sn_store *store, const char *path) {
	const size_t size = strlen(store->hub);
	return size && strncmp(path, store->hub, size) == 0 && path[size] == '/';
}

static void place(sn_model_place *out, const char *name, const sn_catalogue_entry *entry) {
	snprintf(out->name, sizeof out->name, "%s", entry ? entry->name : name);
	out->entry = entry;
	sn_store_architecture(out->path, out->architecture);
	if (entry && !*out->architecture)
		snprintf(out->architecture, sizeof out->architecture, "%s", entry->architecture);
}

static int is_whole(const sn_catalogue_entry *entry, const char *path) {
	char file[SN_STORE_PATH];
	int whole = sn_path_is_directory(path);
	if (whole && sn_path_join(file, path, SN_STORE_MANIFEST) && exists(file)) /* what a pull made is whole */
		return 1;
	for (int i = 0; i < entry->file_count && whole; i++)
		whole = sn_path_join(file, path, entry->files[i].name) && exists(file);
	return whole;
}

/* In HOME/models under the entry's directory with all its files, or in the hub's cache under its name. */
static int find_entry(const sn_store *store, const sn_catalogue_entry *entry, char *path) {
	char models[SN_STORE_PATH];
	return (sn_path_join(models, store->home, "models") && sn_path_join(path, models, entry->directory) && is_whole(entry, path)) ||
	       hub_find(store, entry->name, path);
}

int sn_store_directory(const char *name, char directory[SN_STORE_NAME]) {
	size_t used = 0;
	for (const char *c = name; *c && used < SN_STORE_NAME - 16; c++) {
		directory[used++] = *c == '/' ? '-' : *c;
		if (*c == '/')
			directory[used++] = '-';
	}
	directory[used] = 0;
	return strlen(name) + 16 < SN_STORE_NAME && used < SN_STORE_NAME - 16;
}

static int find_other(const sn_store *store, const char *model, char *path) {
	char models[SN_STORE_PATH];
	if (!store->no_paths && snprintf(path, SN_STORE_PATH, "%s", model) < SN_STORE_PATH && exists(path))
		return 1;
	if (!strchr(model, '/') && model[0] != '.' && sn_path_join(models, store->home, "models") &&
	    sn_path_join(path, models, model) && exists(path))
		return 1;
	char pulled[SN_STORE_NAME];
	if (strchr(model, '/') && model[0] != '.' && model[0] != '/' && sn_store_directory(model, pulled) &&
	    sn_path_join(models, store->home, "models") && sn_path_join(path, models, pulled) && sn_path_is_directory(path))
		return 1;
	return hub_find(store, model, path);
}

int sn_store_piper(const char *name, char repository[SN_STORE_NAME]) {
	static const char *const qualities[] = { "x_low", "low", "medium", "high" };
	char language[4], region[4], voice[64], quality[8];
	int end = 0;
	if (sscanf(name, "%3[a-z]_%3[A-Z0-9]-%63[A-Za-z0-9_]-%7[a-z_]%n", language, region, voice, quality, &end) != 4 || name[end])
		return 0;
	for (size_t i = 0; i < sizeof qualities / sizeof *qualities; i++)
		if (strcmp(qualities[i], quality) == 0)
			return snprintf(repository, SN_STORE_NAME, "rhasspy/piper-voices/%s/%s_%s/%s/%s", language, language, region, voice, quality) < SN_STORE_NAME;
	return 0;
}

int sn_store_on_hub(const sn_catalogue_entry *entry) {
	static const char site[] = "https://huggingface.co/";
	return *entry->hub || (strncmp(entry->origin, site, sizeof site - 1) == 0 && strcmp(entry->origin + sizeof site - 1, entry->name) == 0);
}

/* The entry whose directory in HOME/models `path` is, by whatever way it was named. */
static const sn_catalogue_entry *entry_at(const sn_store *store, const char *path) {
	const sn_catalogue_entry *found = NULL;
	char models[SN_STORE_PATH], own[SN_STORE_PATH];
	struct stat st, other;
	if (stat(path, &st) != 0 || !sn_path_join(models, store->home, "models"))
		return NULL;
	for (int i = 0; i < store->catalogue.count && !found; i++)
		if (sn_path_join(own, models, store->catalogue.entries[i].directory) && stat(own, &other) == 0 &&
		    st.st_dev == other.st_dev && st.st_ino == other.st_ino)
			found = store->catalogue.entries + i;
	return found;
}

int sn_store_resolve(const sn_store *store, const char *model, sn_model_place *out, char *err) {
	*out = (sn_model_place){ 0 };
	const sn_catalogue_entry *entry = sn_store_find(store, model);
	if (entry && find_entry(store, entry, out->path)) {
		place(out, entry->name, entry);
		out->in_hub_cache = is_in_cache(store, out->path);
		return SN_OK;
	}
	char voice[SN_STORE_NAME] = "";
	if (*model && (find_other(store, model, out->path) || (sn_store_piper(model, voice) && find_other(store, voice, out->path)))) {
		char *const real = !store->no_paths && exists(model) ? realpath(out->path, NULL) : NULL; /* "." and "voice/" have names, too */
		place(out, real ? base_name(real) : *voice ? voice : model, entry_at(store, out->path));
		out->in_hub_cache = is_in_cache(store, out->path);
		free(real);
		return SN_OK;
	}
	*out = (sn_model_place){ 0 };
	if (entry && !entry->package_count && !sn_store_on_hub(entry))
		return sn_fail(err, SN_E_NOT_FOUND, "model '%s' is not installed: put the files of %s into '%.200s/models/%s'", entry->name,
		               entry->origin, store->home, entry->directory);
	if (entry)
		return sn_fail(err, SN_E_NOT_FOUND, "model '%s' is not installed in '%.200s': run 'sonant models pull %s', or set SONANT_HOME to where it is",
		               entry->name, store->home, entry->alias_count ? entry->aliases[0] : entry->name);
	const char *const slash = strchr(model, '/');
	if (slash && slash != model && slash[1] && !strchr(slash + 1, '/') && *model != '.')
		return sn_fail(err, SN_E_NOT_FOUND, "no model '%.200s' on this machine: 'sonant models pull %.100s' fetches it from the hub, or give the path of a "
		               "checkpoint", model, model);
	if (*voice)
		return sn_fail(err, SN_E_NOT_FOUND, "no voice '%s' on this machine: 'sonant models pull %s' fetches it from the hub", model, voice);
	char near[256];
	sn_catalogue_near(&store->catalogue, model, near, sizeof near);
	return sn_fail(err, SN_E_NOT_FOUND, "no model '%.100s': known are %s ('sonant models list' shows all); or give org/name of the hub "
	               "(openai/whisper-small), or the path of a checkpoint", model, near);
}

/* ---- listing ---- */

typedef struct listing {
	const sn_store *store;
	sn_model_place *places;
	int count, capacity;
	int failed; /* errno of what would make the list shorter than it is */
} listing;

/* What a pull called the model in that directory, else the directory's name. */
static void name_of_directory(const char *path, const char *own, char name[SN_STORE_NAME]) {
	char file[SN_STORE_PATH];
	json_t *manifest = NULL;
	snprintf(name, SN_STORE_NAME, "%s", own);
	if (strstr(own, "--") && sn_path_join(file, path, SN_STORE_MANIFEST) && sn_json_file(&manifest, file, NULL) == SN_OK) {
		const char *const model = json_string_value(json_object_get(manifest, "model"));
		char directory[SN_STORE_NAME];
		if (model && sn_store_directory(model, directory) && strcmp(directory, own) == 0)
			snprintf(name, SN_STORE_NAME, "%s", model);
	}
	json_decref(manifest);
}

static void add_place(listing *l, const char *path, const char *name, const sn_catalogue_entry *entry) {
	if (l->failed || l->count == SN_STORE_MAX_MODELS)
		return;
	if (l->count == l->capacity) {
		int capacity = l->capacity ? 2 * l->capacity : 16;
		sn_model_place *places = realloc(l->places, (size_t)capacity * sizeof *places);
		if (!places) {
			l->failed = ENOMEM;
			return;
		}
		l->places = places;
		l->capacity = capacity;
	}
	sn_model_place *added = l->places + l->count++;
	*added = (sn_model_place){ .in_hub_cache = is_in_cache(l->store, path) };
	snprintf(added->path, sizeof added->path, "%s", path);
	place(added, name, entry);
}

/* NULL where there is nothing to list, which is no error, or no descriptor or memory left to list it with. */
static DIR *open_folder(listing *l, const char *path) {
	DIR *const dir = opendir(path);
	if (!dir && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		l->failed = errno;
	return dir;
}

static void list_home(listing *l) {
	char models[SN_STORE_PATH], path[SN_STORE_PATH];
	DIR *dir = sn_path_join(models, l->store->home, "models") ? open_folder(l, models) : NULL;
	for (struct dirent *item; dir && (item = readdir(dir));) {
		if (item->d_name[0] == '.' || !sn_path_join(path, models, item->d_name))
			continue;
		const sn_catalogue_entry *entry = entry_of_directory(l->store, item->d_name);
		char name[SN_STORE_NAME];
		if (entry ? !is_whole(entry, path) : !sn_path_is_directory(path))
			continue;
		name_of_directory(path, item->d_name, name);
		add_place(l, path, name, entry);
	}
	if (dir)
		closedir(dir);
}

/* "models--ORG--NAME" to "ORG/NAME". 0 for anything else. */
static int repository_name(const char *directory, char *name) {
	const char *org = directory + 8, *dashes = strncmp(directory, "models--", 8) == 0 ? strstr(org, "--") : NULL;
	return dashes && snprintf(name, SN_STORE_NAME, "%.*s/%s", (int)(dashes - org), org, dashes + 2) < SN_STORE_NAME;
}

/* Only what has to do with speech: the cache holds data sets and models of all kinds. */
static void list_hub(listing *l) {
	char name[SN_STORE_NAME], repository[SN_STORE_PATH], path[SN_STORE_PATH], architecture[32];
	DIR *dir = *l->store->hub ? open_folder(l, l->store->hub) : NULL;
	for (struct dirent *item; dir && (item = readdir(dir));) {
		if (!repository_name(item->d_name, name) || !sn_path_join(repository, l->store->hub, item->d_name) ||
		    !hub_snapshot(repository, path))
			continue;
		sn_store_architecture(path, architecture);
		if (is_runnable(architecture) || sn_store_find(l->store, name))
			add_place(l, path, name, sn_store_find(l->store, name));
	}
	if (dir)
		closedir(dir);
}

static int by_name(const void *a, const void *b) {
	return strcmp(((const sn_model_place *)a)->name, ((const sn_model_place *)b)->name);
}

int sn_store_list(const sn_store *store, sn_model_place **out, int *count, char *err) {
	listing l = { .store = store };
	list_home(&l);
	list_hub(&l);
	*out = NULL;
	*count = 0;
	if (l.failed) {
		free(l.places);
		errno = l.failed;
		return sn_fail_errno(err, "the installed models cannot be listed, %d were found so far", l.count);
	}
	if (l.count > 1)
		qsort(l.places, (size_t)l.count, sizeof *l.places, by_name);
	*out = l.places;
	*count = l.count;
	return SN_OK;
}

/* ---- packed weights ---- */

int sn_store_make_directories(const char *path) {
	char part[SN_STORE_PATH];
	int denied = 0; /* of a directory that may be there all the same */
	snprintf(part, sizeof part, "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(part, 0777) != 0 && errno != EEXIST) {
			if (errno != EROFS && errno != EACCES)
				return -1;
			denied = errno;
		}
		*slash = '/';
	}
	if (mkdir(part, 0777) == 0 || errno == EEXIST)
		return 0;
	errno = errno == ENOENT && denied ? denied : errno;
	return -1;
}

void sn_store_packed_path(const sn_store *store, const char *name, uint64_t key, const char *variant, char *path, char *note) {
	char packed[SN_STORE_PATH], file[SN_STORE_NAME + 64];
	int length = snprintf(file, sizeof file, "%.128s-%016llx-%.64s.pack", base_name(name), (unsigned long long)key, variant);
	for (int i = 0; i < length; i++)
		if (!sn_isalnum((unsigned char)file[i]) && !strchr(".-_", file[i]))
			file[i] = '_';
	*path = 0;
	if (note)
		*note = 0;
	if (!sn_path_join(packed, store->home, "packed") || !sn_path_join(path, packed, file)) {
		sn_fail(note, SN_E_LIMIT, "packed weights are not kept: the path of '%s' is too long", store->home);
		return;
	}
	if (exists(path) || sn_store_make_directories(packed) == 0)
		return;
	sn_fail_errno(note, "packed weights are not kept: cannot make '%s'", packed);
	*path = 0;
}
