#include "base/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_PATH 4096

/* Some file systems (NFS, overlayfs before Linux 6.1) make no files without a name: there it has one for a moment. */
static int with_a_name(const char *dir) {
	char path[MAX_PATH];
	if (snprintf(path, sizeof path, "%s/sonant-XXXXXX", dir) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	const int fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

int sn_temporary_file_in(const char *dir) {
	const int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT) ? with_a_name(dir) : fd;
}

int sn_temporary_file(void) {
	const char *const dirs[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };
	int fd = -1;
	for (size_t i = 0; fd < 0 && i < sizeof dirs / sizeof *dirs; i++)
		if (dirs[i] && *dirs[i])
			fd = sn_temporary_file_in(dirs[i]);
	return fd;
}
