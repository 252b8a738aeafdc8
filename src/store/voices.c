#include "store/voices.h"

#include "base/ascii.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FACTS "voice.json"
#define LISTED 8 /* names that an error lists */

static const char *const kind_names[] = {
	[SN_VOICE_SPEAKER] = "speaker", [SN_VOICE_EMBEDDING] = "embedding", [SN_VOICE_PRESET] = "preset", [SN_VOICE_CLIP] = "clip",
};
static const char *const kind_files[] = {
	[SN_VOICE_SPEAKER] = "", [SN_VOICE_EMBEDDING] = "voice.npy", [SN_VOICE_PRESET] = "voice.npz", [SN_VOICE_CLIP] = "voice.wav",
};

/* ---- names ---- */

int sn_bank_check_name(const char *name, char *err) {
	const size_t length = strlen(name);
	int good = length > 0 && length <= SN_MAX_VOICE_NAME && *name != '.', other = 0;
	for (const char *c = name; *c && good; c++) {
		good = sn_isalnum((unsigned char)*c) || *c == '-' || *c == '_' || *c == '.';
		other |= !isdigit((unsigned char)*c);
	}
	if (good && other && strcmp(name, "default") != 0 && strcmp(name, "auto") != 0)
		return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "a voice cannot be called \"%.80s\": 1 to %zu letters, digits, \"-\", \"_\" and \".\" "
	               "(not first), not a number alone, not \"default\" and not \"auto\" are right", name, SN_MAX_VOICE_NAME);
}

static int bank_path(const sn_store *store, char out[SN_STORE_PATH], const char *name, char *err) {
	char voices[SN_STORE_PATH];
	const int good = sn_path_join(voices, sn_store_home(store), "voices") &&
	                 (name ? sn_path_join(out, voices, name) : snprintf(out, SN_STORE_PATH, "%s", voices) > 0);
	return good ? SN_OK : sn_fail(err, SN_E_LIMIT, "the path of the bank in \"%.200s\" is too long", sn_store_home(store));
}

/* ---- reading ---- */

/* An optional text of at most SN_MAX_VOICE_FACT bytes; 0: too long or no text. */
static int read_text(const json_t *facts, const char *key, char *out, size_t size) {
	const json_t *const value = json_object_get(facts, key);
	*out = 0;
	return !value || (json_is_string(value) && (size_t)snprintf(out, size, "%s", json_string_value(value)) < size);
}

static int read_facts(sn_bank_voice *v, const json_t *facts, const char *file, char *err) {
	static const char *const keys[] = { "speaker", "model", "architecture", "language", "licence", "source", "created" };
	char *const texts[] = { v->speaker, v->model, v->architecture, v->language, v->licence, v->source, v->created };
	const size_t sizes[] = { sizeof v->speaker, sizeof v->model, sizeof v->architecture, sizeof v->language, sizeof v->licence,
	                         sizeof v->source, sizeof v->created };
	const char *const kind = json_string_value(json_object_get(facts, "kind"));
	int64_t embedding = 0;
	for (int i = 1; i < (int)(sizeof kind_names / sizeof *kind_names); i++)
		if (kind && strcmp(kind, kind_names[i]) == 0)
			v->kind = (sn_voice_kind)i;
	if (!v->kind)
		return sn_fail(err, SN_E_FORMAT, "%s: \"kind\" is \"%.40s\"; speaker, embedding, preset or clip are known", file,
		               kind ? kind : "");
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (!read_text(facts, keys[i], texts[i], sizes[i]))
			return sn_fail(err, SN_E_FORMAT, "%s: \"%s\" is not a text of at most %zu bytes", file, keys[i], sizes[i] - 1);
	const int result = sn_json_int(facts, "embedding", 0, SN_BANK_MAX_EMBEDDING, &embedding, file, err);
	v->embedding = (int)embedding;
	return result == SN_E_MODEL ? SN_E_FORMAT : result;
}

int sn_bank_read_directory(const char *dir, sn_bank_voice *out, char *err) {
	char file[SN_STORE_PATH];
	json_t *facts = NULL;
	*out = (sn_bank_voice){ 0 };
	const char *const slash = strrchr(dir, '/');
	snprintf(out->name, sizeof out->name, "%s", slash ? slash + 1 : dir);
	int result = snprintf(out->path, sizeof out->path, "%s", dir) < (int)sizeof out->path && sn_path_join(file, dir, FACTS)
		? sn_json_file(&facts, file, err) : sn_fail(err, SN_E_LIMIT, "the path \"%.200s\" is too long", dir);
	if (result == SN_OK)
		result = read_facts(out, facts, file, err);
	json_decref(facts);
	struct stat st;
	if (result != SN_OK || out->kind == SN_VOICE_SPEAKER)
		return result;
	if (!sn_path_join(out->data, dir, kind_files[out->kind]) || stat(out->data, &st) != 0 || !S_ISREG(st.st_mode))
		return sn_fail(err, SN_E_FORMAT, "the voice in \"%.200s\" lacks its file %s", dir, kind_files[out->kind]);
	if (st.st_size > (off_t)SN_BANK_MAX_DATA)
		return sn_fail(err, SN_E_LIMIT, "%s has %lld bytes; at most %zu are right", out->data, (long long)st.st_size, SN_BANK_MAX_DATA);
	return SN_OK;
}

/* Names in the bank, by name. *out and its items are the caller's. SN_E_LIMIT: too many. */
static int list_names(const sn_store *store, struct dirent ***out, int *count, char *err) {
	char voices[SN_STORE_PATH];
	*out = NULL;
	*count = 0;
	int result = bank_path(store, voices, NULL, err);
	if (result != SN_OK)
		return result;
	*count = scandir(voices, out, NULL, alphasort);
	if (*count >= 0)
		return SN_OK;
	*count = 0;
	return errno == ENOENT ? SN_OK : sn_fail_errno(err, "cannot list the voices in \"%s\"", voices);
}

static void free_names(struct dirent **names, int count) {
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

static int is_name(const struct dirent *entry) { return sn_bank_check_name(entry->d_name, NULL) == SN_OK; }

int sn_bank_read(const sn_store *store, const char *name, sn_bank_voice *out, char *err) {
	char dir[SN_STORE_PATH], text[LISTED * (SN_MAX_VOICE_NAME + 3)] = "";
	struct dirent **names;
	int count, result = sn_bank_check_name(name, err);
	if (result == SN_OK)
		result = bank_path(store, dir, name, err);
	if (result != SN_OK)
		return result;
	if (sn_path_is_directory(dir))
		return sn_bank_read_directory(dir, out, err);
	result = list_names(store, &names, &count, err);
	if (result != SN_OK)
		return result;
	size_t used = 0;
	for (int i = 0, listed = 0; i < count && listed < LISTED; i++)
		if (is_name(names[i]))
			used += (size_t)snprintf(text + used, sizeof text - used, "%s%.63s", listed++ ? ", " : "", names[i]->d_name);
	free_names(names, count);
	return sn_fail(err, SN_E_NOT_FOUND, "there is no voice \"%s\" in the bank%s%s", name,
	               *text ? ", which has " : ", which is empty", text);
}

int sn_bank_list(const sn_store *store, sn_bank_voice **out, size_t *count, char *err) {
	struct dirent **names;
	int total, result = list_names(store, &names, &total, err);
	char why[SN_ERRLEN], dir[SN_STORE_PATH];
	size_t most = 0;
	*out = NULL;
	*count = 0;
	for (int i = 0; i < total; i++)
		most += (size_t)is_name(names[i]);
	if (result == SN_OK && most > SN_MAX_VOICES)
		result = sn_fail(err, SN_E_LIMIT, "the bank has %zu voices; at most %d are right", most, SN_MAX_VOICES);
	if (result == SN_OK && !(*out = calloc(most + 1, sizeof **out)))
		result = sn_fail(err, SN_E_MEMORY, "no memory for a list of %zu voices", most);
	for (int i = 0; i < total && result == SN_OK; i++) {
		if (!is_name(names[i]) || bank_path(store, dir, names[i]->d_name, NULL) != SN_OK)
			continue;
		if (sn_bank_read_directory(dir, &(*out)[*count], why) == SN_OK)
			++*count;
		else
			sn_log(SN_LOG_WARN, "a voice of the bank was left out: %s", why);
	}
	free_names(names, total);
	return result;
}

/* ---- writing ---- */

static int write_file(const char *path, const void *data, size_t size, char *err) {
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return sn_fail_errno(err, "cannot write \"%s\"", path);
	const char *at = data;
	int result = SN_OK;
	while (size && result == SN_OK) {
		const ssize_t written = write(fd, at, size);
		if (written < 0 && errno != EINTR)
			result = sn_fail_errno(err, "cannot write \"%s\"", path);
		at += written > 0 ? written : 0;
		size -= written > 0 ? (size_t)written : 0;
	}
	if (result == SN_OK && fsync(fd) != 0 && errno != EINVAL)
		result = sn_fail_errno(err, "cannot write \"%s\"", path);
	if (close(fd) != 0 && result == SN_OK)
		result = sn_fail_errno(err, "cannot write \"%s\"", path);
	if (result != SN_OK)
		unlink(path);
	return result;
}

static int write_in(const char *dir, const char *name, const void *data, size_t size, char *err) {
	char path[SN_STORE_PATH];
	if (!sn_path_join(path, dir, name))
		return sn_fail(err, SN_E_LIMIT, "the path \"%.200s\" is too long", dir);
	return write_file(path, data, size, err);
}

/* The texts were checked to be short; bytes that are no UTF-8 make the facts unwritable, which is an error of the caller's. */
static int write_facts(const char *dir, const sn_bank_voice *v, char *err) {
	errno = 0;
	json_t *const facts = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s}", "name", v->name, "kind", kind_names[v->kind],
		"speaker", v->speaker, "model", v->model, "architecture", v->architecture, "embedding", v->embedding, "language", v->language,
		"licence", v->licence, "source", v->source, "created", v->created);
	char *const text = facts ? sn_json_dumps(facts, JSON_INDENT(2)) : NULL;
	int result = errno == ENOMEM ? sn_fail(err, SN_E_MEMORY, "no memory for the facts of the voice \"%s\"", v->name)
		: text ? write_in(dir, FACTS, text, strlen(text), err)
		: sn_fail(err, SN_E_ARGUMENT, "the facts of the voice \"%s\" are not valid UTF-8", v->name);
	free(text);
	json_decref(facts);
	return result;
}

/* Removes a directory of plain files: those of a voice even where it cannot be listed. */
static void remove_directory(const char *dir) {
	static const char *const known[] = { FACTS, "voice.npy", "voice.npz", "voice.wav" };
	char path[SN_STORE_PATH];
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (sn_path_join(path, dir, known[i]))
			unlink(path);
	DIR *list = opendir(dir);
	for (struct dirent *entry; list && (entry = readdir(list));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && sn_path_join(path, dir, entry->d_name))
			unlink(path);
	if (list)
		closedir(list);
	rmdir(dir);
}

/* Writes the voice beside its place and renames it there. */
static int place_voice(const char *parent, const sn_bank_voice *v, const void *data, size_t size, char *err) {
	char temporary[SN_STORE_PATH], path[SN_STORE_PATH];
	if (!sn_path_join(temporary, parent, ".new-XXXXXX") || !sn_path_join(path, parent, v->name))
		return sn_fail(err, SN_E_LIMIT, "the path \"%.200s\" is too long", parent);
	if (sn_path_is_directory(path))
		return sn_fail(err, SN_E_ARGUMENT, "\"%s\" exists already; nothing is overwritten", path);
	if (!mkdtemp(temporary))
		return sn_fail_errno(err, "cannot write into \"%s\"", parent);
	int result = chmod(temporary, 0755) == 0 ? write_facts(temporary, v, err) : sn_fail_errno(err, "cannot write \"%s\"", temporary);
	if (result == SN_OK && data)
		result = write_in(temporary, kind_files[v->kind], data, size, err);
	if (result == SN_OK && rename(temporary, path) != 0)
		result = errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR
			? sn_fail(err, SN_E_ARGUMENT, "\"%s\" exists already; nothing is overwritten", path)
			: sn_fail_errno(err, "cannot write \"%s\"", path);
	if (result != SN_OK)
		remove_directory(temporary);
	return result;
}

int sn_bank_add(const sn_store *store, const sn_bank_voice *voice, const void *data, size_t size, char *err) {
	char voices[SN_STORE_PATH];
	struct dirent **names;
	int count, result = sn_bank_check_name(voice->name, err);
	sn_bank_voice v = *voice;
	if (result == SN_OK && size > SN_BANK_MAX_DATA)
		result = sn_fail(err, SN_E_LIMIT, "a voice of %zu bytes; at most %zu are right", size, SN_BANK_MAX_DATA);
	if (result == SN_OK)
		result = bank_path(store, voices, NULL, err);
	if (result != SN_OK)
		return result;
	if (sn_store_make_directories(voices) != 0)
		return sn_fail_errno(err, "cannot make \"%s\"", voices);
	result = list_names(store, &names, &count, err);
	if (result != SN_OK)
		return result;
	free_names(names, count);
	if (count >= SN_MAX_VOICES)
		return sn_fail(err, SN_E_LIMIT, "the bank has %d voices, which is the most; remove some", SN_MAX_VOICES);
	const time_t now = time(NULL);
	struct tm utc;
	if (!*v.created && gmtime_r(&now, &utc))
		strftime(v.created, sizeof v.created, "%Y-%m-%dT%H:%M:%SZ", &utc);
	return place_voice(voices, &v, data, size, err);
}

int sn_bank_remove(const sn_store *store, const char *name, char *err) {
	char path[SN_STORE_PATH], old[SN_STORE_PATH], hidden[SN_MAX_VOICE_NAME + 32];
	sn_bank_voice v;
	int result = sn_bank_check_name(name, err);
	if (result == SN_OK)
		result = bank_path(store, path, name, err);
	if (result != SN_OK)
		return result;
	if (!sn_path_is_directory(path)) /* says which there are */
		return sn_bank_read(store, name, &v, err);
	snprintf(hidden, sizeof hidden, ".old-%s-%ld", name, (long)getpid());
	result = bank_path(store, old, hidden, err);
	if (result == SN_OK)
		remove_directory(old); /* of an earlier removal that could not end */
	if (result == SN_OK && rename(path, old) != 0)
		result = sn_fail_errno(err, "cannot remove \"%s\"", path);
	if (result == SN_OK)
		remove_directory(old);
	return result;
}

int sn_bank_export(const sn_store *store, const char *name, const char *path, char *err) {
	sn_bank_voice v;
	sn_map map = { 0 };
	struct stat st;
	int result = sn_bank_read(store, name, &v, err);
	const int is_directory = sn_path_is_directory(path);
	if (result == SN_OK && v.kind == SN_VOICE_SPEAKER && !is_directory)
		return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" is a speaker of \"%s\" and has no data; export it into a directory",
		               name, v.model);
	if (result == SN_OK && v.kind != SN_VOICE_SPEAKER)
		result = sn_map_open(&map, v.data, err);
	if (result != SN_OK)
		return result;
	if (is_directory)
		result = place_voice(path, &v, map.data, map.size, err);
	else if (lstat(path, &st) == 0)
		result = sn_fail(err, SN_E_ARGUMENT, "\"%s\" exists already; nothing is overwritten", path);
	else
		result = write_file(path, map.data, map.size, err);
	sn_map_close(&map);
	return result;
}
