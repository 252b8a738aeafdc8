/* Temporary files where the file system makes none without a name, as NFS and overlayfs before Linux 6.1. */
#include "audio/decode.h"
#include "audio/spool.h"
#include "audio_clips.h"
#include "base/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static int refusal; /* errno of an open without a name; 0: it works */
static char err[SN_ERRLEN], dir[] = "/tmp/sonant-test-XXXXXX";

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

int __wrap_open64(const char *path, int flags, ...) {
	va_list args;
	va_start(args, flags);
	const unsigned mode = va_arg(args, unsigned);
	va_end(args);
	if (refusal && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = refusal;
		return -1;
	}
	return __real_open64(path, flags, mode);
}

static void a_file_without_a_name_is_made_anywhere(void **state) {
	static const int refusals[] = { 0, EOPNOTSUPP, EISDIR, ENOENT };
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		struct stat st, place;
		refusal = refusals[i];
		const int fd = sn_temporary_file();
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(stat(dir, &place), 0);
		assert_true(st.st_nlink == 0 && st.st_dev == place.st_dev && (st.st_mode & 0777) == 0600);
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		assert_int_equal(write(fd, "abc", 3), 3);
		close(fd);
		assert_int_equal(rmdir(dir), 0); /* it is empty */
		assert_int_equal(mkdir(dir, 0700), 0);
	}
}

static void samples_are_kept(void **state) {
	const float some[3] = { 0.5f, -1, 0.25f };
	float back[3] = { 0 };
	size_t got = 0;
	sn_spool spool;
	refusal = EOPNOTSUPP;
	assert_int_equal(sn_spool_open(&spool, err), SN_OK);
	assert_int_equal(sn_spool_write(&spool, 0, some, 3, err), SN_OK);
	assert_int_equal(sn_spool_read(&spool, 0, back, 3, &got, err), SN_OK);
	assert_int_equal(got, 3);
	assert_memory_equal(back, some, sizeof some);
	sn_spool_close(&spool);
}

/* More than is kept in memory of what comes through a pipe. */
static void a_long_pipe_is_read(void **state) {
	const int frames = (int)(SN_AUDIO_SPOOL_MEMORY / 2) + 100000;
	clip c = clip_header(WAV_PCM, 16, 48000, 1, 2 * (size_t)frames);
	sn_decoder *decoder;
	int fds[2], status = -1;
	memset(c.data + 44, 0, 2 * (size_t)frames);
	c.size += 2 * (size_t)frames;
	refusal = EOPNOTSUPP;
	assert_int_equal(pipe(fds), 0);
	const pid_t writer = fork();
	if (writer == 0) {
		size_t at = 0;
		for (ssize_t n = 1; n > 0 && at < c.size; at += n > 0 ? (size_t)n : 0)
			n = write(fds[1], c.data + at, c.size - at);
		_exit(at != c.size);
	}
	close(fds[1]);
	assert_int_equal(sn_decoder_open_fd(&decoder, fds[0], "standard input", 0, err), SN_OK);
	assert_int_equal(sn_decoder_get_info(decoder)->frames, frames);
	sn_decoder_close(&decoder);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	close(fds[0]);
	free(c.data);
}

static int make_folder(void **state) { return mkdtemp(dir) ? setenv("TMPDIR", dir, 1) : -1; }
static int remove_folder(void **state) { return rmdir(dir); }

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_without_a_name_is_made_anywhere),
		cmocka_unit_test(samples_are_kept),
		cmocka_unit_test(a_long_pipe_is_read),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
