/* The helper sonant-decode as a source: a child that reads the input from descriptor 0 and writes records to descriptor 1. */
#include "audio/decode_protocol.h"
#include "audio/decode_source.h"

#include "base/clock.h"
#include "base/helper_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STALL_MS 60000      /* no byte for so long: the helper hangs */
#define DYING_SECONDS 2.0    /* from closing its output until it must have ended */
#define MAX_ENVIRONMENT 8

typedef struct state {
	sn_input *input;
	pid_t pid;
	int fd;
	int ended;
	size_t frame_bytes, left; /* of the AUDIO record being read */
	int64_t position;         /* frames read */
} state;

/* Nothing of ours reaches the child but what a dynamic loader and a sanitizer look at. */
static void pass_environment(char *to[MAX_ENVIRONMENT]) {
	static const char *const kept[] = { "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=" };
	int count = 0;
	for (char **e = environ; e && *e; e++)
		for (size_t i = 0; i < sizeof kept / sizeof kept[0] && count < MAX_ENVIRONMENT - 1; i++)
			if (!strncmp(*e, kept[i], strlen(kept[i])))
				to[count++] = *e;
	to[count] = NULL;
}

int sn_decode_start(pid_t *pid, const char *path, const char *const *arguments, int in, int out, const char *name, char *err) {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	int number = posix_spawn_file_actions_adddup2(&actions, in, 0);
	number = number ? number : posix_spawn_file_actions_adddup2(&actions, out, 1);
	number = number ? number : posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setpgroup(&attributes, 0); /* its own: a Ctrl-C is for the program, which may still be finishing */
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	char *environment[MAX_ENVIRONMENT];
	pass_environment(environment);
	errno = number ? number : posix_spawn(pid, path, &actions, &attributes, (char *const *)(uintptr_t)arguments, environment);
	int result = errno ? sn_fail_errno(err, "cannot start '%s' to decode '%s'", path, name) : SN_OK;
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return result;
}

/* Two descriptors above the standard ones, which the child's own dup2 would overwrite. */
static int make_pipe(int fds[2]) {
	int raw[2];
	if (pipe2(raw, O_CLOEXEC) != 0)
		return -1;
	fds[0] = fcntl(raw[0], F_DUPFD_CLOEXEC, 3);
	fds[1] = fcntl(raw[1], F_DUPFD_CLOEXEC, 3);
	int number = errno;
	close(raw[0]);
	close(raw[1]);
	if (fds[0] >= 0 && fds[1] >= 0)
		return 0;
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	errno = number;
	return -1;
}

static int spawn(state *s, char *err) {
	char path[PATH_MAX];
	int result = sn_helper_path("sonant-decode", path, sizeof path, err);
	if (result != SN_OK)
		return result;
	if ((result = sn_input_need_fd(s->input, err)) != SN_OK)
		return result;
	int in = fcntl(s->input->fd, F_DUPFD_CLOEXEC, 3), fds[2];
	if (in < 0)
		return sn_fail_errno(err, "cannot hand '%s' to sonant-decode", s->input->name);
	if (make_pipe(fds) != 0) {
		result = sn_fail_errno(err, "cannot make a pipe to sonant-decode for '%s'", s->input->name);
	} else {
		static const char *const arguments[] = { "sonant-decode", NULL };
		result = sn_decode_start(&s->pid, path, arguments, in, fds[1], s->input->name, err);
		close(fds[1]);
		s->fd = fds[0];
	}
	close(in);
	return result;
}

/* As waitpid; a child that lives on is killed, and *killed set. */
static pid_t wait_for_end(pid_t child, int *status, int *killed) {
	const struct timespec pause = { .tv_nsec = 2000000 };
	const double deadline = sn_now() + DYING_SECONDS;
	pid_t pid;
	*killed = 0;
	while ((pid = waitpid(child, status, *killed ? 0 : WNOHANG)) == 0 || (pid < 0 && errno == EINTR)) {
		if (!*killed && sn_now() > deadline)
			*killed = kill(child, SIGKILL) == 0;
		else if (!*killed)
			nanosleep(&pause, NULL);
	}
	return pid;
}

/* The pipe closed without END or ERROR. */
static int explain_death(state *s, char *err) {
	int status = 0, killed;
	const pid_t pid = wait_for_end(s->pid, &status, &killed);
	s->pid = 0;
	const char *name = s->input->name;
	if (killed)
		return sn_fail(err, SN_E_TIMEOUT, "decoding '%s' stalled: sonant-decode closed its output, but had not ended %g s later", name,
		               DYING_SECONDS);
	if (pid < 0)
		return sn_fail(err, SN_E_INTERNAL, "sonant-decode ended early while decoding '%s'", name);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return sn_fail(err, SN_E_DEPENDENCY, "sonant-decode, needed for '%s', cannot run: a library it needs is missing or broken", name);
	if (WIFEXITED(status))
		return sn_fail(err, SN_E_FORMAT, "'%s' could not be decoded: sonant-decode gave up on it (exit status %d)", name, WEXITSTATUS(status));
	int number = WTERMSIG(status);
	if (number == SIGXCPU)
		return sn_fail(err, SN_E_TIMEOUT, "'%s' took sonant-decode more processor time than it is allowed", name);
	if (number == SIGKILL)
		return sn_fail(err, SN_E_IO, "sonant-decode was killed while decoding '%s'", name);
	return sn_fail(err, SN_E_FORMAT, "'%s' is damaged or hostile: its decoder, sonant-decode, died on it (signal %d, %s)", name, number,
	               number == SIGSYS ? "a forbidden system call" : sigdescr_np(number));
}

static int read_exactly(state *s, void *out, size_t size, char *err) {
	char *to = out;
	while (size) {
		struct pollfd wait = { .fd = s->fd, .events = POLLIN };
		int ready = poll(&wait, 1, STALL_MS);
		if (ready == 0)
			return sn_fail(err, SN_E_TIMEOUT, "decoding '%s' stalled: sonant-decode gave nothing for %d s", s->input->name, STALL_MS / 1000);
		ssize_t n = ready < 0 ? -1 : read(s->fd, to, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sn_fail_errno(err, "cannot read what sonant-decode makes of '%s'", s->input->name);
		if (n == 0)
			return explain_death(s, err);
		to += n;
		size -= (size_t)n;
	}
	return SN_OK;
}

static int bad_record(const state *s, char *err) {
	return sn_fail(err, SN_E_INTERNAL, "sonant-decode sent a malformed record for '%s'; is it of the same version as this program?",
	               s->input->name);
}

static int read_status(state *s, uint32_t bytes, sn_decode_status *status, char *err) {
	if (bytes != sizeof *status)
		return bad_record(s, err);
	int result = read_exactly(s, status, sizeof *status, err);
	status->text[sizeof status->text - 1] = 0;
	return result;
}

static int report_error(state *s, uint32_t bytes, char *err) {
	sn_decode_status status;
	int result = read_status(s, bytes, &status, err);
	if (result != SN_OK)
		return result;
	int code = status.code == SN_E_LIMIT || status.code == SN_E_MEMORY || status.code == SN_E_IO ? status.code : SN_E_FORMAT;
	return sn_fail(err, code, "'%s' cannot be read as audio: %s", s->input->name, status.text);
}

static int read_record(state *s, sn_decode_record *record, char *err) {
	int result = read_exactly(s, record, sizeof *record, err);
	if (result == SN_OK && (record->magic != SN_DECODE_MAGIC || record->bytes > SN_DECODE_MAX_RECORD))
		result = bad_record(s, err);
	if (result == SN_OK && record->kind == SN_DECODE_ERROR)
		result = report_error(s, record->bytes, err);
	return result;
}

static int read_format(state *s, sn_audio_info *info, char *err) {
	sn_decode_record record;
	sn_decode_format format;
	int result = read_record(s, &record, err);
	if (result != SN_OK)
		return result;
	if (record.kind != SN_DECODE_FORMAT || record.bytes != sizeof format)
		return bad_record(s, err);
	if ((result = read_exactly(s, &format, sizeof format, err)) != SN_OK)
		return result;
	if (format.channels < 1 || format.channels > SN_AUDIO_MAX_CHANNELS)
		return bad_record(s, err);
	info->rate = format.rate;
	info->channels = format.channels;
	info->frames = format.frames;
	info->helper = 1;
	snprintf(info->format, sizeof info->format, "%.31s", format.name);
	s->frame_bytes = sizeof(float) * (size_t)format.channels;
	return SN_OK;
}

static int finish(state *s, uint32_t bytes, sn_audio_info *info, char *err) {
	sn_decode_status status;
	int result = read_status(s, bytes, &status, err);
	if (result != SN_OK)
		return result;
	s->ended = 1;
	if (status.truncated && !s->position)
		return sn_fail(err, SN_E_FORMAT, "'%s' (%s) holds no usable audio: %s", s->input->name, info->format, status.text);
	info->truncated = status.truncated != 0;
	if (*status.text)
		snprintf(info->note, sizeof info->note, "%s", status.text);
	return SN_OK;
}

static int source_read(void *opaque, float *out, size_t frames, size_t *got, sn_audio_info *info, char *err) {
	state *s = opaque;
	*got = 0;
	while (!s->left && !s->ended) {
		sn_decode_record record;
		int result = read_record(s, &record, err);
		if (result != SN_OK)
			return result;
		if (record.kind == SN_DECODE_END)
			return finish(s, record.bytes, info, err);
		if (record.kind != SN_DECODE_AUDIO || record.bytes % s->frame_bytes)
			return bad_record(s, err);
		s->left = record.bytes;
	}
	size_t size = frames * s->frame_bytes < s->left ? frames * s->frame_bytes : s->left;
	int result = size ? read_exactly(s, out, size, err) : SN_OK;
	if (result != SN_OK)
		return result;
	s->left -= size;
	*got = size / s->frame_bytes;
	s->position += (int64_t)*got;
	return SN_OK;
}

static void source_close(void *opaque) {
	state *s = opaque;
	if (s->fd >= 0)
		close(s->fd);
	if (s->pid > 0) {
		kill(s->pid, SIGKILL); /* after END it has nothing left to do either */
		while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	free(s);
}

int sn_source_open_helper(sn_source *source, sn_input *input, sn_audio_info *info, char *err) {
	state *s = calloc(1, sizeof *s);
	if (!s)
		return sn_fail(err, SN_E_MEMORY, "no memory to read '%s'", input->name);
	s->input = input;
	s->fd = -1;
	int result = spawn(s, err);
	if (result == SN_OK)
		result = read_format(s, info, err);
	if (result != SN_OK) {
		source_close(s);
		return result;
	}
	*source = (sn_source){ s, source_read, source_close, NULL };
	return SN_OK;
}
