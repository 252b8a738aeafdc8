#include "base/path.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int sn_path_join(char out[SN_PATH_MAX], const char *dir, const char *name) {
	int good = snprintf(out, SN_PATH_MAX, "%s/%s", dir, name) < SN_PATH_MAX;
	if (!good)
		*out = 0;
	return good;
}

int sn_path_is_directory(const char *path) {
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int sn_path_ends_with(const char *path, const char *end) {
	size_t length = strlen(path), tail = strlen(end);
	return length >= tail && strcmp(path + length - tail, end) == 0;
}
