#include "base/map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int sn_map_open(sn_map *map, const char *path, char *err) {
	*map = (sn_map){ 0 };
	/* A pipe without a writer would keep a blocking open waiting. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return sn_fail_errno(err, "cannot open '%s'", path);
	struct stat st;
	int result = SN_OK;
	if (fstat(fd, &st) != 0) {
		result = sn_fail_errno(err, "cannot read '%s'", path);
	} else if (!S_ISREG(st.st_mode)) {
		result = sn_fail(err, SN_E_FORMAT, "'%s' is not a regular file", path);
	} else if (st.st_size > 0) {
		void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED)
			result = sn_fail_errno(err, "cannot map '%s'", path);
		else
			*map = (sn_map){ data, (size_t)st.st_size };
	}
	close(fd);
	return result;
}

void sn_map_close(sn_map *map) {
	if (map->data)
		munmap((void *)map->data, map->size);
	*map = (sn_map){ 0 };
}
