#include "base/helper_path.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SN_LIBEXEC_DIR
#define SN_LIBEXEC_DIR "/usr/local/libexec/sonant"
#endif

static const char *const beside[] = { "", "/helpers", "/../libexec/sonant", "/../helpers", "/../../helpers" };

/* SN_OK: found; SN_AGAIN: not there. */
static int try_path(const char *dir, const char *sub, const char *name, char *out, size_t size, char *err) {
	char path[PATH_MAX];
	int length = snprintf(path, sizeof path, "%s%s/%s", dir, sub, name);
	if (length < 0 || (size_t)length >= sizeof path)
		return SN_AGAIN;
	struct stat st;
	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || access(path, X_OK) != 0)
		return SN_AGAIN;
	if ((size_t)length >= size)
		return sn_fail(err, SN_E_LIMIT, "the path of %s has %d bytes; at most %zu are allowed", name, length, size - 1);
	memcpy(out, path, (size_t)length + 1);
	return SN_OK;
}

static int program_dir(char *dir, size_t size) {
	ssize_t length = readlink("/proc/self/exe", dir, size - 1);
	if (length <= 0)
		return 0;
	dir[length] = 0;
	char *slash = strrchr(dir, '/');
	if (!slash)
		return 0;
	*slash = 0;
	return 1;
}

/* Differs from program_dir when this code runs inside another program, as a shared object. */
static int library_dir(char *dir) {
	Dl_info info;
	if (!dladdr((void *)beside, &info) || !info.dli_fname || !realpath(info.dli_fname, dir))
		return 0;
	char *slash = strrchr(dir, '/');
	if (!slash)
		return 0;
	*slash = 0;
	return 1;
}

int sn_helper_path(const char *name, char *out, size_t size, char *err) {
	const char *chosen = getenv("SONANT_HELPERS");
	if (chosen && *chosen) {
		int result = try_path(chosen, "", name, out, size, err);
		return result != SN_AGAIN ? result
		                          : sn_fail(err, SN_E_DEPENDENCY, "no executable %s in '%s', where SONANT_HELPERS points", name, chosen);
	}
	char dirs[2][PATH_MAX] = { "", "" };
	/* The library's own come first: a Python beside which another version is installed is no reason to take those. */
	int have[2] = { library_dir(dirs[0]), program_dir(dirs[1], sizeof dirs[1]) };
	for (int d = 0; d < 2; d++)
		for (size_t i = 0; have[d] && i < sizeof beside / sizeof beside[0]; i++) {
			int result = try_path(dirs[d], beside[i], name, out, size, err);
			if (result != SN_AGAIN)
				return result;
		}
	int result = try_path(SN_LIBEXEC_DIR, "", name, out, size, err);
	if (result != SN_AGAIN)
		return result;
	return sn_fail(err, SN_E_DEPENDENCY,
	               "the program %s was not found in '%.160s' (nor in helpers, ../libexec/sonant, ../helpers, ../../helpers "
	               "there), nor in %s; set SONANT_HELPERS to its directory",
	               name, dirs[0], SN_LIBEXEC_DIR);
}
