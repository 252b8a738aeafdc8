#include "text/phonemize.h"

#include "base/clock.h"
#include "base/helper_path.h"
#include "text/phonemize_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELPER "sonant-phonemize"
#define TIMEOUT 5.0  /* seconds for one answer; 64 KiB of text take about one */
#define PATIENCE 40.0 /* for the second try, on a machine with too much to do */

extern char **environ;

struct sn_phonemizer {
	pthread_mutex_t lock;
	pid_t pid; /* 0: not running */
	int fd, greeted;
	double limit; /* seconds for the answer that is waited for */
};

int sn_phonemizer_open(sn_phonemizer **out, char *err) {
	*out = calloc(1, sizeof **out);
	if (!*out)
		return sn_fail(err, SN_E_MEMORY, "out of memory for a phonemizer");
	pthread_mutex_init(&(*out)->lock, NULL);
	(*out)->fd = -1;
	return SN_OK;
}

/* Ends the helper; tells in err how it ended when it did so by itself. */
static void stop(sn_phonemizer *p, char *err) {
	if (!p->pid)
		return;
	close(p->fd);
	kill(p->pid, SIGKILL);
	int status = 0;
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		sn_fail(err, SN_E_IO, HELPER " died of signal %d while it read this text", WTERMSIG(status));
	p->pid = 0;
	p->fd = -1;
	p->greeted = 0;
}

void sn_phonemizer_close(sn_phonemizer **out) {
	sn_phonemizer *p = *out;
	*out = NULL;
	if (!p)
		return;
	stop(p, NULL);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* What the helper needs of the environment: where libraries and espeak-ng's data are. Nothing else of it is passed on. */
static void helper_environment(char **out, int max) {
	static const char *const names[] = { "LD_LIBRARY_PATH=", "ESPEAK_DATA_PATH=" };
	int count = 0;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		for (char **e = environ; e && *e && count + 1 < max; e++)
			if (strncmp(*e, names[i], strlen(names[i])) == 0)
				out[count++] = *e;
	out[count] = NULL;
}

/* Own process group: a Ctrl-C at the terminal is for the program, which may still be finishing. Its standard error is
 * dropped, since espeak-ng writes warnings there. */
static int spawn(pid_t *pid, const char *path, const char *voice, int fd) {
	char *environment[8], *arguments[] = { (char *)HELPER, (char *)voice, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, pipe;
	sigemptyset(&none);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	helper_environment(environment, 8);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	int failed = posix_spawn_file_actions_adddup2(&actions, fd, 0) || posix_spawn_file_actions_adddup2(&actions, fd, 1) ||
	             posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0) ||
	             posix_spawn_file_actions_addclosefrom_np(&actions, 3) || posix_spawnattr_setsigmask(&attributes, &none) ||
	             posix_spawnattr_setsigdefault(&attributes, &pipe) || posix_spawnattr_setpgroup(&attributes, 0) ||
	             posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) ||
	             (errno = posix_spawn(pid, path, &actions, &attributes, arguments, environment)) != 0;
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return !failed;
}

/* voice: to be loaded before the first request, or NULL. */
static int start(sn_phonemizer *p, const char *voice, char *err) {
	char path[PATH_MAX];
	int pair[2];
	if (p->pid)
		return SN_OK;
	int result = sn_helper_path(HELPER, path, sizeof path, err);
	if (result != SN_OK)
		return result;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return sn_fail_errno(err, "cannot make a socket for " HELPER);
	if (!spawn(&p->pid, path, voice, pair[1])) {
		result = sn_fail_errno(err, "cannot start %s", path);
		p->pid = 0;
		close(pair[0]);
		pair[0] = -1;
	}
	close(pair[1]);
	p->fd = pair[0];
	return result;
}

int sn_phonemizer_prestart(sn_phonemizer *p, const char *voice, char *err) {
	pthread_mutex_lock(&p->lock);
	int result = start(p, voice, err);
	pthread_mutex_unlock(&p->lock);
	return result;
}

/* Waits until the socket is ready for `events`: SN_OK or SN_E_TIMEOUT. */
static int wait_for(sn_phonemizer *p, short events, double deadline, char *err) {
	for (;;) {
		double left = deadline - sn_now();
		struct pollfd poller = { p->fd, events, 0 };
		int ready = left > 0 ? poll(&poller, 1, (int)(left * 1000) + 1) : 0;
		if (ready > 0)
			return SN_OK;
		if (ready == 0)
			return sn_fail(err, SN_E_TIMEOUT, HELPER " gave no answer within %g seconds", p->limit);
		if (errno != EINTR)
			return sn_fail_errno(err, "cannot wait for " HELPER);
	}
}

static int lost(char *err) { return sn_fail(err, SN_E_IO, HELPER " ended without an answer"); }

static int send_all(sn_phonemizer *p, const void *data, size_t size, double deadline, char *err) {
	for (const char *at = data; size;) {
		ssize_t n = send(p->fd, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		} else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			int result = wait_for(p, POLLOUT, deadline, err);
			if (result != SN_OK)
				return result;
		} else {
			return lost(err);
		}
	}
	return SN_OK;
}

static int receive_all(sn_phonemizer *p, void *data, size_t size, double deadline, char *err) {
	for (char *at = data; size;) {
		ssize_t n = recv(p->fd, at, size, MSG_DONTWAIT);
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		} else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			int result = wait_for(p, POLLIN, deadline, err);
			if (result != SN_OK)
				return result;
		} else {
			return lost(err);
		}
	}
	return SN_OK;
}

/* What the helper may say; anything else is not of its protocol. */
static int is_code(int32_t code) {
	return code == SN_OK || code == SN_E_UNSUPPORTED || code == SN_E_DEPENDENCY || code == SN_E_LIMIT || code == SN_E_MEMORY;
}

/* One reply: SN_OK with its body (*body may be NULL when empty), or the code and message the helper gave, or a failure
 * to talk, which also sets *broken. */
static int receive_reply(sn_phonemizer *p, char **body, size_t *size, double deadline, int *broken, char *err) {
	sn_wire_reply head;
	*body = NULL;
	*broken = 1;
	int result = receive_all(p, &head, sizeof head, deadline, err);
	if (result != SN_OK)
		return result;
	if (head.magic != SN_WIRE_MAGIC || head.size > SN_WIRE_REPLY_MAX || !is_code(head.code))
		return sn_fail(err, SN_E_IO, "the answer of " HELPER " is not in its protocol; is it of another version?");
	*body = malloc((size_t)head.size + 1);
	if (!*body)
		return sn_fail(err, SN_E_MEMORY, "out of memory for phonemes");
	result = receive_all(p, *body, head.size, deadline, err);
	(*body)[head.size] = 0;
	*size = head.size;
	*broken = result != SN_OK;
	if (result == SN_OK && head.code != SN_OK)
		result = sn_fail(err, head.code, "%s", *body);
	if (result != SN_OK) {
		free(*body);
		*body = NULL;
	}
	return result;
}

static int exchange(sn_phonemizer *p, const char *voice, const char *text, size_t size, char **body, size_t *body_size, int *broken,
                    char *err) {
	double deadline = sn_now() + p->limit;
	sn_wire_request request = { SN_WIRE_MAGIC, (uint32_t)strlen(voice), (uint32_t)size };
	*broken = 1;
	*body = NULL;
	int result = SN_OK;
	if (!p->greeted) {
		result = receive_reply(p, body, body_size, deadline, broken, err);
		free(*body);
		*body = NULL;
		*broken = result != SN_OK;
		p->greeted = result == SN_OK;
	}
	if (result == SN_OK) {
		*broken = 1;
		result = send_all(p, &request, sizeof request, deadline, err);
	}
	if (result == SN_OK)
		result = send_all(p, voice, request.voice, deadline, err);
	if (result == SN_OK)
		result = send_all(p, text, size, deadline, err);
	return result == SN_OK ? receive_reply(p, body, body_size, deadline, broken, err) : result;
}

/* Two tries: a helper that ended since its last answer (killed, say) or that got no time to run is no fault of this text. */
static int ask(sn_phonemizer *p, const char *voice, const char *text, size_t size, char **body, size_t *body_size, char *err) {
	int result = SN_OK, broken = 0;
	for (int attempt = 0; attempt < 2; attempt++) {
		int served = p->greeted;
		result = start(p, NULL, err);
		if (result != SN_OK)
			return result;
		p->limit = attempt ? PATIENCE : TIMEOUT;
		result = exchange(p, voice, text, size, body, body_size, &broken, err);
		if (broken)
			stop(p, result == SN_E_IO ? err : NULL);
		if (result != SN_E_TIMEOUT && (result != SN_E_IO || !served))
			break;
	}
	return result;
}

/* Without the white space at both ends. */
static void trim(sn_clause *clause, const char *text) {
	while (clause->begin < clause->end && strchr(" \n\t", text[clause->begin]))
		clause->begin++;
	while (clause->end > clause->begin && strchr(" \n\t", text[clause->end - 1]))
		clause->end--;
}

/* The reply's clauses, as an array and the phonemes behind it in one block. */
static int unpack(const char *body, size_t size, const char *text, size_t text_size, sn_clauses *out, char *err) {
	size_t count = 0, bytes = 0, at = 0;
	sn_wire_clause clause;
	for (; at + sizeof clause <= size; at += sizeof clause + clause.size, count++) {
		memcpy(&clause, body + at, sizeof clause);
		if (clause.size > size - at - sizeof clause || clause.begin > clause.end || clause.end > text_size)
			break;
		bytes += clause.size + 1;
	}
	if (at != size)
		return sn_fail(err, SN_E_IO, "the answer of " HELPER " is damaged at byte %zu of %zu", at, size);
	sn_clause *items = malloc(count * sizeof *items + bytes + 1);
	if (!items)
		return sn_fail(err, SN_E_MEMORY, "out of memory for phonemes");
	char *phonemes = (char *)(items + count);
	at = 0;
	for (size_t i = 0; i < count; i++, at += sizeof clause + clause.size) {
		memcpy(&clause, body + at, sizeof clause);
		items[i] = (sn_clause){ phonemes, clause.begin, clause.end, (char)clause.terminator, clause.sentence_end };
		trim(&items[i], text);
		memcpy(phonemes, body + at + sizeof clause, clause.size);
		phonemes[clause.size] = 0;
		phonemes += clause.size + 1;
	}
	*out = (sn_clauses){ items, (int)count };
	return SN_OK;
}

int sn_phonemizer_run(sn_phonemizer *p, const char *voice, const char *text, size_t size, sn_clauses *out, char *err) {
	*out = (sn_clauses){ 0 };
	if (size > SN_PHONEMIZE_MAX)
		return sn_fail(err, SN_E_LIMIT, "the text has %zu bytes; at most %zu are phonemized at once", size, SN_PHONEMIZE_MAX);
	if (!*voice || strlen(voice) > SN_WIRE_VOICE_MAX)
		return sn_fail(err, SN_E_UNSUPPORTED, "'%.60s' is no espeak voice; a name of 1 to %u characters is expected", voice,
		               SN_WIRE_VOICE_MAX);
	char *body, reason[SN_ERRLEN] = "";
	size_t body_size = 0;
	pthread_mutex_lock(&p->lock);
	int result = ask(p, voice, text, size, &body, &body_size, reason);
	pthread_mutex_unlock(&p->lock);
	if (result == SN_E_UNSUPPORTED)
		return sn_fail(err, result, "%s: '%s'", reason, voice);
	if (result != SN_OK)
		return sn_fail(err, result, "%s", reason);
	result = unpack(body, body_size, text, size, out, err);
	free(body);
	return result;
}

void sn_clauses_free(sn_clauses *clauses) {
	free(clauses->items);
	*clauses = (sn_clauses){ 0 };
}
