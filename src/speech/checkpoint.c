#include "speech/checkpoint.h"

#include "base/json.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_BYTES ((off_t)256 << 20) /* of a file that is copied */
#define MAX_FILES 16384
#define MAX_DEPTH 4                  /* folders of voices inside of each other */

/* What belongs to a model of a kind beside what says something of any. */
static const struct kind {
	const char *label;
	int deep;                             /* voices lie in folders, too */
	const char *front, *endings[2];       /* weights of its own that are read as they are */
} kinds[] = {
	{ "bark", 1, NULL, { NULL } },                         /* speaker_embeddings/v2/... */
	{ "wav2vec2", 0, "adapter.", { ".safetensors", ".bin" } }, /* of a language */
	{ "yourtts", 0, "", { ".pth", ".pth.tar" } },          /* speakers and their encoder */
};

typedef struct copying {
	const sn_whole *to;
	const char *dir, *weights; /* weights: name of the one file that was given, "" for a directory */
	const struct kind *kind;   /* NULL: one that nothing more belongs to */
	int parts;                 /* 1: weights of its own, too */
	json_t *names;
	int count;
	struct { dev_t device; ino_t inode; } above[MAX_DEPTH + 1]; /* folders that are being read */
	char *err;
} copying;

static int ends_with_one(const char *name, const char *const *endings, size_t count) {
	for (size_t i = 0; i < count; i++)
		if (endings[i] && sn_path_ends_with(name, endings[i]))
			return 1;
	return 0;
}

static int is_voice(const char *name) { return sn_path_ends_with(name, ".npy") || sn_path_ends_with(name, ".npz"); }

/* Whether such a file says something of a model, and is no weights. */
static int tells(const char *name) {
	static const char *const endings[] = { ".json", ".txt", ".model", ".yaml", ".yml", ".vocab", ".md" };
	static const char *const fronts[] = { "LICENSE", "LICENCE", "NOTICE", "COPYING" };
	if (sn_path_ends_with(name, ".index.json") || strcmp(name, SN_EXPORT_MANIFEST) == 0 || strcmp(name, SN_QUANTIZED_MANIFEST) == 0)
		return 0;
	for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++)
		if (strncmp(name, fronts[i], strlen(fronts[i])) == 0)
			return 1;
	return ends_with_one(name, endings, sizeof endings / sizeof *endings);
}

/* Names under which Coqui's programs keep the model itself, also of earlier steps. */
static int is_body(const char *name) {
	static const char *const fronts[] = { "model_file.", "best_model", "model.pth", "checkpoint_" };
	for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++)
		if (strncmp(name, fronts[i], strlen(fronts[i])) == 0)
			return 1;
	return 0;
}

static int is_part(const copying *c, const char *name) {
	const struct kind *const k = c->kind;
	return c->parts && k && k->front && strncmp(name, k->front, strlen(k->front)) == 0 && ends_with_one(name, k->endings, 2) &&
	       !is_body(name);
}

/* Beside a file of weights others may lie that belong to other models: those with its name are its own, and what they may share. */
static int belongs(const char *name, const char *weights) {
	const size_t stem = strcspn(weights, ".");
	return !*weights || strncmp(name, weights, stem) == 0 || strcmp(name, "config.json") == 0 || strncmp(name, "LICEN", 5) == 0;
}

/* `name` is the path in the checkpoint, and of what is written. */
static int copy_file(copying *c, const char *name, const char *path, const struct stat *st) {
	if (st->st_size > MAX_BYTES)
		return sn_fail(c->err, SN_E_LIMIT, "'%.300s' has %lld bytes; files beside the weights may have %lld", path,
		               (long long)st->st_size, (long long)MAX_BYTES);
	if (c->count++ == MAX_FILES)
		return sn_fail(c->err, SN_E_LIMIT, "'%.200s' holds more than %d files that belong to the model", c->dir, MAX_FILES);
	const int result = sn_whole_copy(c->to, name, path, c->err);
	json_array_append_new(c->names, json_pack("{s:o, s:I}", "name", sn_json_string(name), "bytes", (json_int_t)st->st_size));
	return result;
}

static int copy_folder(copying *c, const char *name, int depth);

/* Links are followed, as the hub's cache is made of them; one to a folder that is being read leads nowhere new. */
static int enter(copying *c, const char *name, const struct stat *st, int depth) {
	for (int i = 0; i < depth; i++)
		if (c->above[i].device == st->st_dev && c->above[i].inode == st->st_ino)
			return SN_OK;
	if (depth > MAX_DEPTH)
		return sn_fail(c->err, SN_E_LIMIT, "'%.200s/%.100s': voices may lie in %d folders inside of each other", c->dir, name,
		               MAX_DEPTH);
	return copy_folder(c, name, depth);
}

static int copy_entry(copying *c, const char *folder, const char *entry, int depth) {
	char name[SN_PATH_MAX], path[SN_PATH_MAX];
	struct stat st;
	const int fits = *folder ? sn_path_join(name, folder, entry) : snprintf(name, sizeof name, "%s", entry) < (int)sizeof name;
	if (*entry == '.')
		return SN_OK;
	if (!fits || !sn_path_join(path, c->dir, name))
		return sn_fail(c->err, SN_E_ARGUMENT, "the path '%.200s/%.200s' is too long", c->dir, folder);
	if (stat(path, &st) != 0)
		return SN_OK; /* a link to what is not there */
	if (S_ISDIR(st.st_mode))
		return c->kind && c->kind->deep && !*c->weights ? enter(c, name, &st, depth + 1) : SN_OK;
	const int is_wanted = is_voice(entry) || (!depth && (tells(entry) || is_part(c, entry)));
	return is_wanted && belongs(entry, c->weights) && S_ISREG(st.st_mode) ? copy_file(c, name, path, &st) : SN_OK;
}

/* `name`: of a folder in the checkpoint, "" for itself. */
static int copy_folder(copying *c, const char *name, int depth) {
	char path[SN_PATH_MAX];
	struct stat st;
	if (!sn_path_join(path, *c->dir ? c->dir : "/", *name ? name : "."))
		return sn_fail(c->err, SN_E_ARGUMENT, "the path '%.200s' is too long", c->dir);
	DIR *const list = opendir(path);
	if (!list)
		return sn_fail_errno(c->err, "cannot read '%.300s'", path);
	if (fstat(dirfd(list), &st) == 0) {
		c->above[depth].device = st.st_dev;
		c->above[depth].inode = st.st_ino;
	}
	int result = SN_OK;
	for (struct dirent *entry; result == SN_OK && (entry = readdir(list));)
		result = copy_entry(c, name, entry->d_name, depth);
	closedir(list);
	return result == SN_OK && *name ? sn_whole_settle(c->to, name, c->err) : result;
}

int sn_checkpoint_copy(const sn_whole *to, const char *model, const char *label, int parts, json_t *names, char *err) {
	char dir[SN_PATH_MAX];
	const char *const slash = sn_path_is_directory(model) ? model + strlen(model) : strrchr(model, '/');
	copying c = { .to = to, .dir = dir, .weights = !slash ? model : *slash ? slash + 1 : "", .parts = parts, .names = names,
		.err = err };
	snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - model) : 1, slash ? model : ".");
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kinds[i].label, label) == 0)
			c.kind = kinds + i;
	return copy_folder(&c, "", 0);
}
