#include "store/whole.h"

#include "store/models.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 16 /* of names beside the place */

/* 1: nothing there or an empty directory. */
static int check_free(const char *dir, char *err) {
	DIR *list = opendir(dir);
	if (!list)
		return errno == ENOENT    ? SN_OK
		       : errno == ENOTDIR ? sn_fail(err, SN_E_ARGUMENT, "'%.200s' is a file; name a folder that is new or empty", dir)
		                          : sn_fail_errno(err, "cannot read '%.200s'", dir);
	int count = 0;
	for (struct dirent *entry; (entry = readdir(list));)
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(list);
	return count ? sn_fail(err, SN_E_ARGUMENT, "the folder '%.200s' is not empty; name a new one", dir) : SN_OK;
}

int sn_whole_begin(sn_whole *w, const char *dir, char *err) {
	size_t size = strlen(dir);
	w->path[0] = 0;
	while (size > 1 && dir[size - 1] == '/')
		size--;
	if (size == 0 || size + 24 >= sizeof w->final)
		return sn_fail(err, SN_E_ARGUMENT, size ? "a path of %zu bytes is too long" : "the name of the folder is empty", size);
	memcpy(w->final, dir, size);
	w->final[size] = 0;
	const int result = check_free(w->final, err);
	if (result != SN_OK)
		return result;
	const char *const slash = strrchr(w->final, '/'), *const name = slash ? slash + 1 : w->final;
	for (int i = 0; i < TRIES; i++) {
		unsigned mark = 0;
		if (getrandom(&mark, sizeof mark, GRND_NONBLOCK) != sizeof mark)
			mark = (unsigned)getpid() + (unsigned)i;
		snprintf(w->path, sizeof w->path, "%.*s.%.200s.%08x", (int)(name - w->final), w->final, name, mark);
		if (mkdir(w->path, 0777) == 0)
			return SN_OK;
		if (errno != EEXIST)
			break;
	}
	w->path[0] = 0;
	return sn_fail_errno(err, "cannot make the folder '%.200s'", w->final);
}

static int sync_directory(const char *path) {
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int result = fd < 0 || fsync(fd) != 0 ? -1 : 0;
	if (fd >= 0)
		close(fd);
	return result;
}

int sn_whole_keep(sn_whole *w, char *err) {
	if (sync_directory(w->path) != 0 || rename(w->path, w->final) != 0) {
		const int result = errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR
			? sn_fail(err, SN_E_ARGUMENT, "'%.200s' came to be there meanwhile", w->final) : sn_fail_errno(err, "cannot make '%.200s'", w->final);
		sn_whole_drop(w);
		return result;
	}
	w->path[0] = 0;
	return SN_OK;
}

void sn_whole_drop(sn_whole *w) {
	int64_t freed = 0;
	if (w->path[0])
		sn_store_remove_tree(w->path, &freed);
	w->path[0] = 0;
}

/* ---- files ---- */

static int create(int *fd, const sn_whole *w, const char *name, char *err) {
	char path[SN_PATH_MAX];
	*fd = -1;
	if (!sn_path_join(path, w->path, name))
		return sn_fail(err, SN_E_ARGUMENT, "the path '%.200s' is too long", w->path);
	*fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	return *fd < 0 ? sn_fail_errno(err, "cannot write '%.200s/%.100s'", w->final, name) : SN_OK;
}

/* The folders before the name. */
static int make_folders(const sn_whole *w, const char *name, char *err) {
	char path[SN_PATH_MAX];
	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		if (snprintf(path, sizeof path, "%s/%.*s", w->path, (int)(slash - name), name) >= (int)sizeof path)
			return sn_fail(err, SN_E_ARGUMENT, "the path '%.200s' is too long", w->path);
		if (mkdir(path, 0777) != 0 && errno != EEXIST)
			return sn_fail_errno(err, "cannot make the folder '%.200s/%.*s'", w->final, (int)(slash - name < 100 ? slash - name : 100), name);
	}
	return SN_OK;
}

static int put(int fd, const char *data, size_t size) {
	for (size_t done = 0; done < size;) {
		const ssize_t n = write(fd, data + done, size - done);
		if (n < 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int sn_whole_write(const sn_whole *w, const char *name, const void *data, size_t size, char *err) {
	int fd, result = create(&fd, w, name, err);
	if (result != SN_OK)
		return result;
	if (put(fd, data, size) != 0 || fsync(fd) != 0)
		result = sn_fail_errno(err, "cannot write '%.200s/%.100s'", w->final, name);
	close(fd);
	return result;
}

int sn_whole_copy(const sn_whole *w, const char *name, const char *from, char *err) {
	char block[1 << 15];
	ssize_t n = 0;
	int out = -1;
	const int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return sn_fail_errno(err, "cannot open '%.300s'", from);
	int result = make_folders(w, name, err);
	if (result == SN_OK)
		result = create(&out, w, name, err);
	while (result == SN_OK && ((n = read(in, block, sizeof block)) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0 && put(out, block, (size_t)n) != 0)
			result = sn_fail_errno(err, "cannot write '%.200s/%.100s'", w->final, name);
	if (result == SN_OK && n < 0)
		result = sn_fail_errno(err, "cannot read '%.300s'", from);
	if (result == SN_OK && fsync(out) != 0)
		result = sn_fail_errno(err, "cannot write '%.200s/%.100s'", w->final, name);
	if (out >= 0)
		close(out);
	close(in);
	return result;
}

int sn_whole_settle(const sn_whole *w, const char *folder, char *err) {
	char path[SN_PATH_MAX];
	if (!sn_path_join(path, w->path, folder) || (sync_directory(path) != 0 && errno != ENOENT))
		return sn_fail_errno(err, "cannot write '%.200s/%.100s'", w->final, folder);
	return SN_OK;
}
