#include "audio/decode_source.h"

#include "base/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BLOCK (256 << 10)
#define PATIENCE 100 /* ms after which the caller is asked whether it still wants to wait */

static void set_name(sn_input *input, const char *name) { snprintf(input->name, sizeof input->name, "%s", name); }

static int check_size(const sn_input *input, char *err) {
	if (input->size <= 0)
		return sn_fail(err, SN_E_FORMAT, "'%s' is empty (0 bytes); an audio file was expected", input->name);
	if (input->size > SN_AUDIO_MAX_BYTES)
		return sn_fail(err, SN_E_LIMIT, "'%s' has %lld bytes; at most %lld are read", input->name, (long long)input->size,
		               (long long)SN_AUDIO_MAX_BYTES);
	return SN_OK;
}

static int write_all(int fd, const char *data, size_t size) {
	while (size) {
		ssize_t n = write(fd, data, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Moves what a memory file holds to the disk. */
static int move_to_disk(int *fd, char *block) {
	int disk = sn_temporary_file();
	if (disk < 0)
		return -1;
	ssize_t n = 0;
	for (off_t at = 0; (n = pread(*fd, block, COPY_BLOCK, at)) > 0; at += n)
		if (write_all(disk, block, (size_t)n) != 0)
			break;
	if (n != 0) {
		int number = errno;
		close(disk);
		errno = number;
		return -1;
	}
	close(*fd);
	*fd = disk;
	return 0;
}

int sn_input_wait(const sn_input *input, int fd, char *err) {
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ready = 0;
	while (ready <= 0) {
		if (input->progress && input->progress(input->payload, 0, 0) != 0)
			return sn_fail(err, SN_E_CANCELLED, "cancelled by the caller");
		ready = poll(&p, 1, input->progress ? PATIENCE : -1);
		if (ready < 0 && errno != EINTR)
			return sn_fail_errno(err, "cannot read '%s'", input->name);
	}
	return SN_OK;
}

/* Copies a stream that cannot be sought, and what was read of it already, to its end: into memory while it is small, to the disk beyond. */
static int spool(sn_input *input, int from, const void *head, size_t size, char *err) {
	char *block = malloc(COPY_BLOCK);
	input->fd = memfd_create("sonant-input", MFD_CLOEXEC);
	int on_disk = 0, result = SN_OK;
	if (!block || input->fd < 0 || write_all(input->fd, head, size) != 0)
		result = sn_fail(err, SN_E_MEMORY, "no memory to hold '%s'", input->name);
	input->size = (int64_t)size;
	while (result == SN_OK && (result = sn_input_wait(input, from, err)) == SN_OK) {
		ssize_t n = read(from, block, COPY_BLOCK);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			result = sn_fail_errno(err, "cannot read '%s'", input->name);
		else if (write_all(input->fd, block, (size_t)n) != 0)
			result = sn_fail_errno(err, "cannot keep a copy of '%s' (%s, byte %lld)", input->name, on_disk ? "temporary file" : "memory",
			                       (long long)input->size);
		else
			input->size += n;
		if (result == SN_OK && input->size > SN_AUDIO_MAX_BYTES)
			result = check_size(input, err);
		if (result == SN_OK && !on_disk && input->size > SN_AUDIO_SPOOL_MEMORY) {
			on_disk = 1;
			if (move_to_disk(&input->fd, block) != 0)
				result = sn_fail_errno(err, "cannot make a temporary file for '%s' in TMPDIR, /var/tmp or /tmp", input->name);
		}
	}
	free(block);
	return result == SN_OK ? check_size(input, err) : result;
}

/* fd is ours to close from here on. */
static int take(sn_input *input, int fd, const void *head, size_t size, char *err) {
	struct stat st;
	if (fstat(fd, &st) != 0) {
		int result = sn_fail_errno(err, "cannot read '%s'", input->name);
		close(fd);
		return result;
	}
	if (S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0) {
		input->fd = fd;
		input->size = st.st_size;
		return check_size(input, err);
	}
	int result = SN_OK;
	if (S_ISDIR(st.st_mode))
		result = sn_fail(err, SN_E_FORMAT, "'%s' is a folder; an audio file was expected", input->name);
	else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		result = sn_fail(err, SN_E_FORMAT, "'%s' is a terminal or a device; an audio file or a pipe was expected", input->name);
	else
		result = spool(input, fd, head, size, err);
	close(fd);
	return result;
}

int sn_input_open_path(sn_input *input, const char *path, char *err) {
	input->fd = -1;
	set_name(input, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe to which nobody writes yet is waited for later */
	if (fd >= 0 && fcntl(fd, F_SETFL, 0) < 0) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		return sn_fail_errno(err, "cannot open '%s'", input->name);
	int result = take(input, fd, NULL, 0, err);
	if (result != SN_OK)
		sn_input_close(input);
	return result;
}

int sn_input_open_fd(sn_input *input, int fd, const char *name, char *err) {
	input->fd = -1;
	set_name(input, name);
	return sn_input_open_rest(input, fd, NULL, 0, err);
}

int sn_input_open_rest(sn_input *input, int fd, const void *head, size_t size, char *err) {
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return sn_fail_errno(err, "cannot read '%s'", input->name);
	int result = take(input, copy, head, size, err);
	if (result != SN_OK)
		sn_input_close(input);
	return result;
}

int sn_input_open_memory(sn_input *input, const void *data, size_t size, const char *name, char *err) {
	*input = (sn_input){ .fd = -1, .data = data, .size = (int64_t)size };
	set_name(input, name);
	return check_size(input, err);
}

void sn_input_close(sn_input *input) {
	if (input->fd >= 0)
		close(input->fd);
	input->fd = -1;
}

int64_t sn_input_read(const sn_input *input, int64_t offset, void *out, size_t size) {
	if (input->fd >= 0)
		return pread(input->fd, out, size, offset);
	if (offset < 0 || offset >= input->size)
		return 0;
	if ((int64_t)size > input->size - offset)
		size = (size_t)(input->size - offset);
	memcpy(out, input->data + offset, size);
	return (int64_t)size;
}

int sn_input_need_fd(sn_input *input, char *err) {
	if (input->fd < 0) {
		int fd = memfd_create("sonant-input", MFD_CLOEXEC);
		if (fd < 0 || write_all(fd, input->data, (size_t)input->size) != 0) {
			int result = sn_fail_errno(err, "no memory for a copy of '%s'", input->name);
			if (fd >= 0)
				close(fd);
			return result;
		}
		input->fd = fd;
	}
	if (lseek(input->fd, 0, SEEK_SET) != 0)
		return sn_fail_errno(err, "cannot read '%s'", input->name);
	return SN_OK;
}
