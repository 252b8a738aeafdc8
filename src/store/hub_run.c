/* The helper sonant-pull: a request on its standard input, events on its standard output. */
#include "store/hub.h"

#include "base/buf.h"
#include "base/helper_path.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_LINE ((size_t)16 << 20) /* bytes of one event */
#define WAIT 250                    /* ms until the caller is asked whether to go on */

extern char **environ;

/* The text as a file without a name, so that writing it can neither block nor end this process. */
static int as_file(const char *text, char *err) {
	const size_t size = strlen(text);
	const int file = memfd_create("sonant-pull", MFD_CLOEXEC);
	if (file < 0 || write(file, text, size) != (ssize_t)size || lseek(file, 0, SEEK_SET) != 0) {
		sn_fail_errno(err, "no file for a request");
		if (file >= 0)
			close(file);
		return -1;
	}
	return file;
}

static int start(const char *program, int in, int out, pid_t *child, char *err) {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	char *const arguments[] = { (char *)(uintptr_t)program, NULL };
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	int code = posix_spawn_file_actions_adddup2(&actions, in, 0);
	code = code ? code : posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	code = code ? code : posix_spawn(child, program, &actions, &attributes, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return code == 0 ? SN_OK : sn_fail(err, SN_E_DEPENDENCY, "sonant-pull cannot be started: %s", strerror(code));
}

/* One line of the helper. A value other than SN_OK ends the run. */
static int take_line(const char *line, size_t size, hub_event event, void *payload, json_t **last, char *err) {
	errno = 0;
	json_t *const json = json_loadb(line, size, 0, NULL);
	if (!json)
		return sn_fail_memory(sn_fail(err, SN_E_INTERNAL, "sonant-pull wrote a line that is no JSON"), err);
	const char *const what = json_string_value(json_object_get(json, "event"));
	int result = SN_OK;
	if (what && strcmp(what, "error") == 0) {
		const char *const text = json_string_value(json_object_get(json, "text"));
		const int code = (int)json_integer_value(json_object_get(json, "code"));
		result = sn_fail(err, code < 0 ? code : SN_E_INTERNAL, "%s", text ? text : "sonant-pull failed");
	} else if (what && (strcmp(what, "done") == 0 || strcmp(what, "verified") == 0)) {
		json_decref(*last);
		*last = json_incref(json);
	} else if (what && event(payload, json) != 0) {
		result = sn_fail(err, SN_E_CANCELLED, "the pull was cancelled; what came so far is kept for the next");
	}
	json_decref(json);
	return result;
}

static int take_lines(sn_buf *text, hub_event event, void *payload, json_t **last, char *err) {
	int result = SN_OK;
	size_t from = 0;
	for (char *end; result == SN_OK && text->data && (end = memchr(text->data + from, '\n', text->size - from));) {
		result = take_line(text->data + from, (size_t)(end - text->data) - from, event, payload, last, err);
		from = (size_t)(end - text->data) + 1;
	}
	if (from) {
		memmove(text->data, text->data + from, text->size - from);
		text->size -= from;
	}
	return result;
}

/* Until the helper closes its end, fails or the caller has had enough. */
static int follow(int from, hub_event event, void *payload, json_t **last, char *err) {
	char block[65536];
	sn_buf text;
	int result = SN_OK;
	sn_buf_init(&text, MAX_LINE);
	while (result == SN_OK) {
		struct pollfd waits = { .fd = from, .events = POLLIN };
		const int ready = poll(&waits, 1, WAIT);
		if (ready == 0 && event(payload, NULL) != 0)
			result = sn_fail(err, SN_E_CANCELLED, "the pull was cancelled; what came so far is kept for the next");
		const ssize_t size = ready > 0 ? read(from, block, sizeof block) : -1;
		if (size == 0)
			break;
		if (size > 0 && sn_buf_add(&text, block, (size_t)size) != SN_OK)
			result = sn_fail(err, text.failed, "an event of sonant-pull is too long");
		if (size > 0 && result == SN_OK)
			result = take_lines(&text, event, payload, last, err);
	}
	sn_buf_free(&text);
	return result;
}

int hub_run(const json_t *request, hub_event event, void *payload, json_t **last, char *err) {
	char path[SN_STORE_PATH];
	int ends[2], status = 0;
	pid_t child = 0;
	errno = 0;
	char *const text = sn_json_dumps(request, JSON_COMPACT);
	*last = NULL;
	int result = sn_fail_memory(text ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for a request"), err);
	if (result == SN_OK)
		result = sn_helper_path("sonant-pull", path, sizeof path, err);
	const int in = result == SN_OK ? as_file(text, err) : -1;
	free(text);
	if (in < 0)
		return result == SN_OK ? SN_E_IO : result;
	if (pipe2(ends, O_CLOEXEC) != 0) {
		close(in);
		return sn_fail_errno(err, "no pipe for sonant-pull");
	}
	result = start(path, in, ends[1], &child, err);
	close(in);
	close(ends[1]);
	if (result == SN_OK) {
		result = follow(ends[0], event, payload, last, err);
		if (result != SN_OK)
			kill(child, SIGTERM);
		close(ends[0]);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			continue;
		if (result == SN_OK && !*last)
			result = sn_fail(err, SN_E_IO, "sonant-pull was broken off%s; a new pull goes on where it was", WIFSIGNALED(status) ? " by a signal" : "");
	} else {
		close(ends[0]);
	}
	if (result != SN_OK) {
		json_decref(*last);
		*last = NULL;
	}
	return result;
}
