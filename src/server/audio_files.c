#include "server/audio_files.h"

#include "base/clock.h"
#include "base/error.h"
#include "server/base64.h"
#include "server/config.h"
#include "server/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LEAST_FREE 268435456.0 /* bytes of the disk of temporary files that are left to others; of a small one a tenth */

static const char *temporary_directory(void) {
	const char *const dir = getenv("TMPDIR");
	return dir && *dir && strlen(dir) < SV_AUDIO_PATH - 32 ? dir : "/tmp";
}

static int spool(sv_audio_files *f, const char *data, size_t size, char *err) {
	f->fd = sv_open_spool();
	if (f->fd < 0)
		return sn_fail_errno(err, "a temporary file cannot be made");
	while (size) {
		const ssize_t wrote = write(f->fd, data, size);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return sn_fail_errno(err, "the audio cannot be kept in a temporary file");
		data += wrote;
		size -= (size_t)wrote;
	}
	return SN_OK;
}

int sv_audio_take(sv_audio_files *f, sv_request *r, const char **field, char *err) {
	const sv_upload *const upload = sv_request_file(r, "file");
	const char *const text = sv_text(r, "audio_data", NULL);
	void *data = NULL;
	size_t size = 0;
	*f = (sv_audio_files){ .request = r, .fd = -1, .started = sn_now() };
	*field = upload || !text ? "file" : "audio_data";
	int result = SN_OK;
	if (!upload && !text)
		return sn_fail(err, SN_E_ARGUMENT, "\"file\" must be an upload with a file name");
	if (upload && upload->fd < 0) {
		result = spool(f, upload->data ? upload->data : "", upload->size, err);
	} else if (!upload) {
		result = sv_base64_decode(&data, &size, text, strlen(text), "audio_data", err);
		if (result == SN_OK)
			result = spool(f, data ? data : "", size, err);
		free(data);
	}
	snprintf(f->in, sizeof f->in, "/proc/self/fd/%d", f->fd >= 0 ? f->fd : upload ? upload->fd : -1); /* opened anew: read from its beginning */
	return result;
}

int sv_audio_place(sv_audio_files *f, char *err) {
	snprintf(f->dir, sizeof f->dir, "%s/sonant-XXXXXX", temporary_directory());
	if (!mkdtemp(f->dir)) {
		*f->dir = 0;
		return sn_fail_errno(err, "a temporary directory cannot be made");
	}
	snprintf(f->out, sizeof f->out, "%s/out", f->dir);
	return SN_OK;
}

int sv_audio_result(const sv_audio_files *f, int64_t *size, char *err) {
	struct stat st;
	const int fd = open(f->out, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		sn_fail_errno(err, "the result cannot be read");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*size = st.st_size;
	return fd;
}

void sv_audio_close(sv_audio_files *f) {
	if (f->fd >= 0)
		close(f->fd);
	if (*f->dir) {
		unlink(f->out);
		rmdir(f->dir);
	}
	f->fd = -1;
	*f->dir = 0;
}

/* A short upload may stand for days of samples; others need the disk, too. */
static int is_disk_full(void) {
	struct statvfs disk;
	if (statvfs(temporary_directory(), &disk) != 0 || !disk.f_blocks)
		return 0;
	const double size = (double)disk.f_blocks * (double)disk.f_frsize;
	return (double)disk.f_bavail * (double)disk.f_frsize < (size / 10 < LEAST_FREE ? size / 10 : LEAST_FREE);
}

int sv_audio_progress(void *payload, double seconds, double total) {
	sv_audio_files *const f = payload;
	const double most = f->request->server->config->max_duration, now = sn_now();
	f->too_long |= seconds > most || total > most;
	if (now - f->looked > 0.1) {
		f->disk_full = is_disk_full();
		f->looked = now;
	}
	return f->too_long || f->disk_full || atomic_load(&f->request->gone);
}

/* Every `from` in the message becomes `to`. */
static void rename_in(char *err, const char *from, const char *to) {
	for (char *at = err; *from && (at = strstr(at, from));) {
		char rest[SN_ERRLEN];
		snprintf(rest, sizeof rest, "%s", at + strlen(from));
		snprintf(at, (size_t)(err + SN_ERRLEN - at), "%s%s", to, rest);
		at += strlen(to) < strlen(at) ? strlen(to) : strlen(at);
	}
}

int sv_audio_failed(const sv_audio_files *f, int code, char *err) {
	char quoted[SV_AUDIO_PATH + 16];
	if (f->too_long)
		return sn_fail(err, SN_E_LIMIT, "the audio is longer than the %g s that max_duration allows", f->request->server->config->max_duration);
	if (f->disk_full && code == SN_E_CANCELLED)
		return sn_fail(err, SN_E_NO_SPACE, "there is no room for the temporary files that this audio needs");
	snprintf(quoted, sizeof quoted, "'%s'", f->in);
	rename_in(err, quoted, "the audio");
	rename_in(err, f->in, "the audio");
	snprintf(quoted, sizeof quoted, "'%s'", f->out);
	rename_in(err, quoted, "the result");
	rename_in(err, f->out, "the result");
	return code;
}
