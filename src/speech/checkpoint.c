#include "speech/checkpoint.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_COPIED ((off_t)256 << 20) /* bytes of a file that is no weights */

/* Whether such a file says something of a model, and is no weights. */
static int tells(const char *name) {
	static const char *const endings[] = { ".json", ".txt", ".model", ".yaml", ".yml", ".vocab", ".md" };
	static const char *const fronts[] = { "LICENSE", "LICENCE", "NOTICE", "COPYING" };
	if (name[0] == '.' || sn_path_ends_with(name, ".index.json") || strcmp(name, SN_EXPORT_MANIFEST) == 0 || strcmp(name, SN_QUANTIZED_MANIFEST) == 0)
		return 0;
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
		if (sn_path_ends_with(name, endings[i]))
			return 1;
	for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++)
		if (strncmp(name, fronts[i], strlen(fronts[i])) == 0)
			return 1;
	return 0;
}

/* Beside a file of weights others may lie that belong to other models: those with its name are its own, and what they may share. */
static int belongs(const char *name, const char *weights) {
	const size_t stem = strcspn(weights, ".");
	return !*weights || strncmp(name, weights, stem) == 0 || strcmp(name, "config.json") == 0 || strncmp(name, "LICEN", 5) == 0;
}

int sn_checkpoint_copy(const sn_whole *to, const char *model, json_t *names, char *err) {
	char dir[SN_PATH_MAX], path[SN_PATH_MAX];
	struct stat st;
	snprintf(dir, sizeof dir, "%s", model);
	char *const slash = sn_path_is_directory(model) ? NULL : strrchr(dir, '/');
	const char *const weights = sn_path_is_directory(model) ? "" : slash ? slash + 1 : model;
	if (slash)
		*slash = 0;
	DIR *const list = opendir(slash || !*weights ? dir : ".");
	if (!list)
		return sn_fail_errno(err, "cannot read '%.200s'", dir);
	int result = SN_OK;
	for (struct dirent *entry; result == SN_OK && (entry = readdir(list));) {
		const char *const name = entry->d_name;
		if (!tells(name) || !belongs(name, weights) || !sn_path_join(path, slash || !*weights ? dir : ".", name))
			continue;
		if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_COPIED)
			continue;
		result = sn_whole_copy(to, name, path, err);
		json_array_append_new(names, json_pack("{s:s, s:I}", "name", name, "bytes", (json_int_t)st.st_size));
	}
	closedir(list);
	return result;
}
