/* Removing models: never through a link, never what a process has open. */
#include "store/hub.h"

#include "base/hash.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 32

/* ---- trees ---- */

static int remove_at(int parent, const char *name, int depth, int64_t *freed) {
	struct stat st;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? SN_E_NOT_FOUND : SN_E_IO;
	if (!S_ISDIR(st.st_mode)) {
		*freed += S_ISREG(st.st_mode) && st.st_nlink == 1 ? st.st_size : 0;
		return unlinkat(parent, name, 0) == 0 ? SN_OK : SN_E_IO;
	}
	const int own = depth < MAX_DEPTH ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	DIR *const dir = own >= 0 ? fdopendir(own) : NULL;
	int result = dir ? SN_OK : SN_E_IO;
	for (struct dirent *item; dir && (item = readdir(dir));)
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0 && remove_at(own, item->d_name, depth + 1, freed) == SN_E_IO)
			result = SN_E_IO;
	const int kept = errno;
	if (dir)
		closedir(dir);
	else if (own >= 0)
		close(own);
	errno = kept;
	return result == SN_OK && (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) ? SN_OK : SN_E_IO;
}

int sn_store_remove_tree(const char *path, int64_t *freed) { return remove_at(AT_FDCWD, path, 0, freed); }

/* ---- who uses it ---- */

/* Whether a line of /proc/PID/maps names a file in the directory, or a pack of that key. */
static int names(const char *line, const char *directory, const char *key) {
	const char *const path = strchr(line, '/');
	const size_t size = strlen(directory);
	return path && ((strncmp(path, directory, size) == 0 && path[size] == '/') || (strstr(path, key) && strstr(path, ".pack")));
}

/* A process that has the model mapped, of those whose maps may be read; 0: none. */
static long user_of(const char *directory, const char *key) {
	char path[64], *line = NULL;
	size_t room = 0;
	long found = 0;
	DIR *const all = opendir("/proc");
	for (struct dirent *item; all && !found && (item = readdir(all));) {
		if (!isdigit((unsigned char)item->d_name[0]) || snprintf(path, sizeof path, "/proc/%.20s/maps", item->d_name) >= (int)sizeof path)
			continue;
		FILE *const maps = fopen(path, "re");
		while (maps && !found && getline(&line, &room, maps) > 0)
			found = names(line, directory, key) ? strtol(item->d_name, NULL, 10) : 0;
		if (maps)
			fclose(maps);
	}
	if (all)
		closedir(all);
	free(line);
	return found;
}

/* ---- packed weights ---- */

static void key_of(const char *real, char key[24]) {
	snprintf(key, 24, "-%016llx-", (unsigned long long)sn_hash_text(SN_HASH_INIT, real));
}

static void remove_packs(const sn_store *store, const char *key, int64_t *freed) {
	char packed[SN_STORE_PATH];
	const int there = sn_path_join(packed, sn_store_home(store), "packed");
	const int own = there ? open(packed, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *const dir = own >= 0 ? fdopendir(own) : NULL;
	for (struct dirent *item; dir && (item = readdir(dir));)
		if (strstr(item->d_name, key) && sn_path_ends_with(item->d_name, ".pack"))
			remove_at(own, item->d_name, MAX_DEPTH, freed);
	if (dir)
		closedir(dir);
	else if (own >= 0)
		close(own);
}

/* Packs of the catalogue's models that are not installed any more. */
static void remove_stale(const sn_store *store, const char *models, int64_t *freed) {
	char path[SN_STORE_PATH], key[24];
	struct stat st;
	for (int i = 0; i < sn_store_count(store); i++)
		if (sn_path_join(path, models, sn_store_at(store, i)->directory) && lstat(path, &st) != 0 && errno == ENOENT) {
			key_of(path, key);
			remove_packs(store, key, freed);
		}
}

/* ---- removing ---- */

/* The lock that a pull of the model holds; -1: there is no pull's directory, -2: it is held. */
static int lock_pull(const char *work) {
	char path[SN_STORE_PATH];
	const int file = sn_path_join(path, work, "lock") ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
	if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) != 0) {
		close(file);
		return -2;
	}
	return file;
}

#define REMOVED ".removed-" /* and the number of the thread that deletes it */

/* Of removals that were killed; one that still goes on is only helped. */
static void remove_rests(const char *models, int64_t *freed) {
	DIR *const dir = opendir(models);
	for (struct dirent *item; dir && (item = readdir(dir));)
		if (strncmp(item->d_name, REMOVED, sizeof REMOVED - 1) == 0)
			remove_at(dirfd(dir), item->d_name, 0, freed);
	if (dir)
		closedir(dir);
}

/* Out of sight at once, then deleted. */
static int take_away(const char *models, const char *path, int64_t *freed, char *err) {
	char hidden[SN_STORE_PATH], name[64];
	snprintf(name, sizeof name, REMOVED "%ld", (long)gettid());
	if (!sn_path_join(hidden, models, name))
		return sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
	sn_store_remove_tree(hidden, freed);
	if (rename(path, hidden) != 0)
		return sn_fail_errno(err, "%.300s cannot be removed", path);
	const int result = sn_store_remove_tree(hidden, freed) == SN_E_IO ? sn_fail_errno(err, "%.300s cannot be removed whole", path) : SN_OK;
	remove_rests(models, freed);
	return result;
}

/* What a broken-off pull has left. The lock goes last: while its file is there no other pull begins. */
static void remove_work(const char *work, int64_t *freed) {
	static const char *const parts[] = { "whole", "parts", "old", "lock" };
	char path[SN_STORE_PATH];
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (sn_path_join(path, work, parts[i]))
			sn_store_remove_tree(path, freed);
	rmdir(work);
}

static int remove_model(const sn_store *store, const hub_target *t, int force, int64_t *freed, char *err) {
	char models[SN_STORE_PATH], real_models[PATH_MAX], real[PATH_MAX], work[SN_STORE_PATH], hidden[SN_STORE_NAME + 16], key[24];
	sn_model_place place;
	struct stat st;
	snprintf(hidden, sizeof hidden, ".pull-%s", t->directory);
	if (!sn_path_join(models, sn_store_home(store), "models") || !sn_path_join(work, models, hidden))
		return sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
	const int there = lstat(t->path, &st) == 0, begun = lstat(work, &st) == 0;
	if (!there && !begun) {
		const int cached = sn_store_resolve(store, t->model, &place, err) == SN_OK && place.in_hub_cache;
		return cached ? sn_fail(err, SN_E_UNSUPPORTED, "%s lies in the hub's cache (%.200s), which is left alone: remove it with the hub's own client",
		                        t->model, place.path) : sn_fail(err, SN_E_NOT_FOUND, "%s is not installed in %.300s", t->model, sn_store_home(store));
	}
	if (!realpath(t->path, real))
		snprintf(real, sizeof real, "%s", t->path);
	key_of(real, key);
	const long user = force ? 0 : user_of(real, key);
	if (user)
		return sn_fail(err, SN_E_BUSY, "%s is in use by process %ld: stop it or unload the model there, or use --force", t->model, user);
	const int lock = lock_pull(work);
	if (lock == -2)
		return sn_fail(err, SN_E_BUSY, "%s is being pulled at this moment", t->model);
	int result = there ? take_away(models, t->path, freed, err) : SN_OK;
	if (begun)
		remove_work(work, freed);
	if (lock >= 0)
		close(lock);
	remove_packs(store, key, freed);
	if (realpath(models, real_models))
		remove_stale(store, real_models, freed);
	return result;
}

int sn_models_remove(const char *name, const sn_pull_options *options, int64_t *freed, char *err) {
	hub_target *const t = malloc(sizeof *t);
	sn_store *store = NULL;
	int64_t bytes = 0;
	int result = t ? sn_store_open(&store, options ? options->home : NULL, err) : sn_fail(err, SN_E_MEMORY, "no memory for a model");
	if (result == SN_OK) {
		sn_store_refuse_paths(store);
		result = hub_target_of(t, store, name ? name : "", err);
	}
	if (result == SN_OK)
		result = remove_model(store, t, options && options->force, &bytes, err);
	if (freed)
		*freed = bytes;
	sn_store_close(&store);
	free(t);
	return result;
}
