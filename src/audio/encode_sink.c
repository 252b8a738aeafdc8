#include "audio/encode_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file beside the final one, under a name that is not taken. */
static int open_temporary(sn_sink *sink, char *err) {
	const char *slash = strrchr(sink->final, '/');
	int dir = slash ? (int)(slash - sink->final) + 1 : 0;
	for (int tries = 0; tries < 100 && sink->fd < 0; tries++) {
		uint64_t number = 0;
		if (getrandom(&number, sizeof number, 0) != sizeof number)
			number = (uint64_t)tries;
		free(sink->temporary);
		if (asprintf(&sink->temporary, "%.*s.sonant-%016llx.part", dir, sink->final, (unsigned long long)number) < 0) {
			sink->temporary = NULL;
			return sn_fail(err, SN_E_MEMORY, "no memory to write '%s'", sink->name);
		}
		sink->fd = open(sink->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (sink->fd < 0 && errno != EEXIST)
			break;
	}
	if (sink->fd >= 0)
		return SN_OK;
	int number = errno;
	free(sink->temporary);
	sink->temporary = NULL;
	errno = number;
	return number == ENOENT ? sn_fail(err, SN_E_NOT_FOUND, "cannot write '%s': its folder does not exist", sink->name)
	                        : sn_fail_errno(err, "cannot write '%s'", sink->name);
}

int sn_sink_open_path(sn_sink *sink, const char *path, char *err) {
	*sink = (sn_sink){ .fd = -1, .owned = 1, .seekable = 1 };
	snprintf(sink->name, sizeof sink->name, "%s", path);
	struct stat st;
	int exists = stat(path, &st) == 0;
	if (exists && S_ISDIR(st.st_mode))
		return sn_fail(err, SN_E_ARGUMENT, "cannot write '%s': it is a folder; a file's name was expected", sink->name);
	if (exists && access(path, W_OK) != 0)
		return sn_fail_errno(err, "cannot write '%s'", sink->name);
	if (exists && !S_ISREG(st.st_mode)) {
		sink->seekable = 0;
		sink->fd = open(path, O_WRONLY | O_CLOEXEC);
		return sink->fd >= 0 ? SN_OK : sn_fail_errno(err, "cannot write '%s'", sink->name);
	}
	/* Through a link to what it names, so that the link stays one. */
	sink->final = exists ? realpath(path, NULL) : strdup(path);
	int result = sink->final ? open_temporary(sink, err) : sn_fail_errno(err, "cannot write '%s'", sink->name);
	if (result != SN_OK)
		sn_sink_close(sink);
	return result;
}

int sn_sink_open_fd(sn_sink *sink, int fd, const char *name, char *err) {
	*sink = (sn_sink){ .fd = fd };
	snprintf(sink->name, sizeof sink->name, "%s", name);
	struct stat st;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) != 0)
		return sn_fail_errno(err, "cannot write to %s", sink->name);
	if ((flags & O_ACCMODE) == O_RDONLY)
		return sn_fail(err, SN_E_ARGUMENT, "cannot write to %s: it is open for reading only", sink->name);
	off_t at = S_ISREG(st.st_mode) && !(flags & O_APPEND) ? lseek(fd, 0, SEEK_CUR) : -1;
	sink->seekable = at >= 0;
	sink->base = at >= 0 ? at : 0;
	return SN_OK;
}

void sn_sink_open_memory(sn_sink *sink, sn_buf *buf) {
	*sink = (sn_sink){ .fd = -1, .seekable = 1, .buf = buf, .base = (int64_t)buf->size, .name = "memory" };
}

void sn_sink_open_function(sn_sink *sink, int (*take)(void *payload, const void *data, size_t size), void *payload) {
	*sink = (sn_sink){ .fd = -1, .take = take, .payload = payload, .name = "the stream" };
}

static int hand_over(sn_sink *sink, const void *data, int64_t size) {
	sink->refused = sink->take(sink->payload, data, (size_t)size);
	return sink->refused == SN_OK ? 0 : EPIPE;
}

static int write_memory(sn_sink *sink, const char *data, int64_t size) {
	int64_t over = sink->end - sink->at < size ? sink->end - sink->at : size;
	if (over > 0)
		memcpy(sink->buf->data + sink->base + sink->at, data, (size_t)over);
	if (size > over && sn_buf_add(sink->buf, data + over, (size_t)(size - over)) != SN_OK)
		return sink->buf->failed == SN_E_LIMIT ? EFBIG : ENOMEM;
	return 0;
}

static int write_file(sn_sink *sink, const char *data, int64_t size) {
	for (int64_t done = 0; done < size;) {
		ssize_t n = sink->seekable ? pwrite(sink->fd, data + done, (size_t)(size - done), sink->base + sink->at + done)
		                           : write(sink->fd, data + done, (size_t)(size - done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		done += n;
	}
	return 0;
}

int64_t sn_sink_write(sn_sink *sink, const void *data, int64_t size) {
	if (sink->failed || size <= 0 || sink->at > sink->end)
		return 0;
	if (sink->seekable || sink->at == sink->end)
		sink->failed = sink->take ? hand_over(sink, data, size) : sink->buf ? write_memory(sink, data, size) : write_file(sink, data, size);
	if (sink->failed)
		return 0;
	sink->at += size;
	sink->end = sink->at > sink->end ? sink->at : sink->end;
	return size;
}

int sn_sink_error(const sn_sink *sink, char *err) {
	if (sink->refused)
		return sn_fail(err, sink->refused, "the encoded audio was not taken: %s", sn_result_text(sink->refused));
	if (sink->buf && sink->failed == EFBIG)
		return sn_fail(err, SN_E_LIMIT, "the encoded audio exceeds the %zu bytes it may have", sink->buf->max);
	errno = sink->failed;
	return sn_fail_errno(err, "cannot write '%s'", sink->name);
}

int sn_sink_finish(sn_sink *sink, char *err) {
	if (sink->failed)
		return sn_sink_error(sink, err);
	if (sink->fd >= 0 && !sink->owned && sink->seekable && lseek(sink->fd, sink->base + sink->end, SEEK_SET) < 0)
		return sn_fail_errno(err, "cannot write to %s", sink->name);
	if (sink->fd >= 0 && sink->owned) {
		int error = close(sink->fd);
		sink->fd = -1;
		if (error)
			return sn_fail_errno(err, "cannot write '%s'", sink->name);
	}
	if (sink->temporary) {
		if (rename(sink->temporary, sink->final) != 0)
			return sn_fail_errno(err, "cannot give the finished file the name '%s'", sink->name);
		free(sink->temporary);
		sink->temporary = NULL;
	}
	return SN_OK;
}

void sn_sink_close(sn_sink *sink) {
	if (sink->fd >= 0 && sink->owned)
		close(sink->fd);
	if (sink->temporary)
		unlink(sink->temporary);
	free(sink->temporary);
	free(sink->final);
	sink->fd = -1;
	sink->temporary = sink->final = NULL;
}
