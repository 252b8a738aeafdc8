#include "audio/spool.h"

#include "base/temporary.h"

#include <errno.h>
#include <unistd.h>

int sn_spool_open(sn_spool *spool, char *err) {
	*spool = (sn_spool){ .fd = sn_temporary_file() };
	return spool->fd >= 0 ? SN_OK : sn_fail_errno(err, "cannot make a temporary file in TMPDIR, /var/tmp or /tmp");
}

void sn_spool_close(sn_spool *spool) {
	if (spool->fd >= 0)
		close(spool->fd);
	spool->fd = -1;
}

int sn_spool_write(sn_spool *spool, int64_t at, const float *samples, size_t count, char *err) {
	const char *data = (const char *)samples;
	off_t offset = (off_t)at * (off_t)sizeof *samples;
	for (size_t size = count * sizeof *samples; size;) {
		ssize_t n = pwrite(spool->fd, data, size, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sn_fail_errno(err, "cannot write to a temporary file");
		data += n;
		offset += n;
		size -= (size_t)n;
	}
	if (at + (int64_t)count > spool->count)
		spool->count = at + (int64_t)count;
	return SN_OK;
}

int sn_spool_read(const sn_spool *spool, int64_t at, float *samples, size_t most, size_t *got, char *err) {
	const int64_t left = spool->count - at;
	const size_t count = left < (int64_t)most ? (size_t)(left > 0 ? left : 0) : most;
	char *data = (char *)samples;
	off_t offset = (off_t)at * (off_t)sizeof *samples;
	*got = 0;
	for (size_t size = count * sizeof *samples; size;) {
		ssize_t n = pread(spool->fd, data, size, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? sn_fail_errno(err, "cannot read from a temporary file") : sn_fail(err, SN_E_IO, "a temporary file has become shorter");
		data += n;
		offset += n;
		size -= (size_t)n;
	}
	*got = count;
	return SN_OK;
}
