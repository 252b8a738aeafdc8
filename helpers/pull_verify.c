/* Compares what lies on disk with what is written down: a manifest, the catalogue, or the names of the hub's blobs. */
#include "pull.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 8

typedef struct checking {
	pull shown;              /* of which only the progress is used */
	const char *root;
	const json_t *files;     /* of name, size, sha256 */
	json_t *flaws;
	int64_t bytes;
	int count, is_cache, ended;
} checking;

static void add_flaw(checking *c, const char *file, const char *what, const char *message) {
	json_array_append_new(c->flaws, json_pack("{s:o, s:s, s:o}", "file", pull_json(file), "what", what, "message", pull_json(message)));
}

static void compare(checking *c, const char *name, const char *hash, int64_t size) {
	char path[SN_STORE_PATH], message[SN_ERRLEN] = "", sha256[65] = "";
	struct stat st;
	int same = 0;
	if (!sn_path_join(path, c->root, name) || stat(path, &st) != 0) {
		const int missing = errno == ENOENT || errno == ENOTDIR;
		snprintf(message, sizeof message, "%.200s is missing", name);
		add_flaw(c, name, missing ? "missing" : "unreadable", missing ? message : strerror(errno));
		return;
	}
	if (size >= 0 && st.st_size != size) {
		snprintf(message, sizeof message, "%.200s has %lld bytes instead of %lld", name, (long long)st.st_size, (long long)size);
		add_flaw(c, name, "changed", message);
	} else if (pull_hash_file(path, hash, size, &same, sha256, message) != SN_OK) {
		add_flaw(c, name, "unreadable", message);
	} else if (!same) {
		snprintf(message, sizeof message, "%.200s is not what was installed: its SHA-256 is %s%s%s", name, sha256, strlen(hash) == 64 ? " instead of " : "",
		         strlen(hash) == 64 ? hash : "");
		add_flaw(c, name, "changed", message);
	}
	c->count++;
	c->bytes += st.st_size;
	c->shown.bytes = c->bytes;
	c->ended = !pull_show(&c->shown, name, st.st_size, st.st_size);
}

static int is_recorded(const checking *c, const char *name) {
	for (size_t i = 0; i < json_array_size(c->files); i++)
		if (strcmp(pull_text(json_array_get(c->files, i), "name"), name) == 0)
			return 1;
	return strcmp(name, PULL_MANIFEST) == 0;
}

/* A snapshot's file is a link to ../../blobs/HASH. */
static void compare_blob(checking *c, const char *name, const char *path) {
	char target[PATH_MAX];
	const ssize_t size = readlink(path, target, sizeof target - 1);
	target[size > 0 ? size : 0] = 0;
	const char *const hash = strrchr(target, '/') ? strrchr(target, '/') + 1 : "";
	if ((strlen(hash) == 64 || strlen(hash) == 40) && strspn(hash, "0123456789abcdef") == strlen(hash))
		compare(c, name, hash, -1);
}

/* Everything below `inside`, of which the root is given by "". */
static void walk(checking *c, const char *inside, int depth) {
	char path[SN_STORE_PATH], name[SN_STORE_PATH], message[SN_ERRLEN];
	struct stat st;
	if (!sn_path_join(path, c->root, inside))
		return;
	DIR *const dir = opendir(path);
	for (struct dirent *item; dir && !c->ended && (item = readdir(dir));) {
		if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
			continue;
		if (snprintf(name, sizeof name, "%s%s%s", inside, *inside ? "/" : "", item->d_name) >= (int)sizeof name || !sn_path_join(path, c->root, name) ||
		    lstat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH)
			walk(c, name, depth + 1);
		else if (c->is_cache)
			compare_blob(c, name, path);
		else if (!is_recorded(c, name)) {
			snprintf(message, sizeof message, "%.200s was not installed with the model", name);
			add_flaw(c, name, "extra", message);
		}
	}
	if (dir)
		closedir(dir);
}

int pull_verify(const json_t *request, char *err) {
	const char *const path = pull_text(request, "path");
	json_t *const manifest = pull_place_manifest(path);
	const json_t *const listed = json_object_get(manifest, "files"), *const known = json_object_get(json_object_get(request, "entry"), "files");
	checking c = { .root = path, .files = listed ? listed : known, .flaws = json_array(), .is_cache = json_is_true(json_object_get(request, "cache")) };
	c.shown.model = pull_text(request, "model");
	if (c.is_cache)
		c.files = NULL;
	for (size_t i = 0; i < json_array_size(c.files); i++)
		c.shown.total += json_integer_value(json_object_get(json_array_get(c.files, i), "size"));
	for (size_t i = 0; i < json_array_size(c.files) && !c.ended; i++) {
		const json_t *const f = json_array_get(c.files, i);
		if (pull_name_is_safe(pull_text(f, "name")))
			compare(&c, pull_text(f, "name"), pull_text(f, "sha256"), json_integer_value(json_object_get(f, "size")));
	}
	if (listed || c.is_cache) /* what was put there by hand may have company */
		walk(&c, "", 0);
	int result = c.ended ? sn_fail(err, SN_E_CANCELLED, "nobody waits for the answer any more") : SN_OK;
	if (result == SN_OK && c.count == 0 && json_array_size(c.flaws) == 0)
		result = sn_fail(err, SN_E_UNSUPPORTED, "nothing says what the files of %s should be: it was not installed by a pull",
		                 pull_text(request, "model"));
	if (result == SN_OK)
		pull_event(json_pack("{s:s, s:s, s:s, s:i, s:I, s:O}", "event", "verified", "source", c.is_cache ? "hub-cache" :
		                     manifest ? pull_text(manifest, "source") : "packages", "revision", pull_text(manifest, "commit"), "file_count", c.count, "bytes", (json_int_t)c.bytes, "flaws", c.flaws));
	json_decref(c.flaws);
	json_decref(manifest);
	return result;
}
