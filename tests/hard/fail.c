#include "fail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCKS ((size_t)1 << 20) /* a power of two */
#define GONE ((void *)1)
#define HERE ((size_t)__builtin_return_address(0) - (size_t)&__executable_start)

extern const char __executable_start;

static atomic_long due_at, counted;
static atomic_int armed, kind_armed, all_threads;
static atomic_size_t where;
static _Thread_local int mine, reading;

static int due(fail_kind kind, size_t from) {
	if (!atomic_load(&armed) || reading || atomic_load(&kind_armed) != (int)kind || !(mine || atomic_load(&all_threads)))
		return 0;
	if (atomic_fetch_add(&counted, 1) + 1 != atomic_load(&due_at))
		return 0;
	atomic_store(&where, from);
	return 1;
}

void fail_arm(fail_kind kind, fail_whose whose, long n) {
	mine = 1;
	atomic_store(&kind_armed, (int)kind);
	atomic_store(&all_threads, whose == FAIL_ALL);
	atomic_store(&due_at, n);
	atomic_store(&counted, 0);
	atomic_store(&armed, 1);
}

long fail_disarm(void) {
	atomic_store(&armed, 0);
	mine = 0;
	return atomic_load(&counted);
}

size_t fail_where(void) { return atomic_load(&where); }

/* ---- what is held ---- */

static struct { void *block; size_t from; long serial; } held[BLOCKS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long held_count, serial;

static size_t slot_of(const void *block) { return ((uintptr_t)block >> 4) * 0x9e3779b97f4a7c15u >> 44; }

static void *keep(void *block, size_t from) {
	if (!block)
		return NULL;
	pthread_mutex_lock(&lock);
	size_t at = slot_of(block);
	while (held[at].block && held[at].block != GONE && held[at].block != block)
		at = (at + 1) % BLOCKS;
	held_count += held[at].block != block;
	held[at].block = block;
	held[at].from = from;
	held[at].serial = ++serial;
	pthread_mutex_unlock(&lock);
	return block;
}

static void forget(const void *block) {
	if (!block)
		return;
	pthread_mutex_lock(&lock);
	size_t at = slot_of(block);
	while (held[at].block && held[at].block != block)
		at = (at + 1) % BLOCKS;
	if (held[at].block) {
		held[at].block = held[(at + 1) % BLOCKS].block ? GONE : NULL;
		held_count--;
	}
	pthread_mutex_unlock(&lock);
}

long fail_held(void) {
	pthread_mutex_lock(&lock);
	const long count = held_count;
	pthread_mutex_unlock(&lock);
	return count;
}

long fail_mark(void) {
	pthread_mutex_lock(&lock);
	const long mark = serial;
	pthread_mutex_unlock(&lock);
	return mark;
}

void fail_name_held(long mark) {
	int named = 0;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < BLOCKS && named < 10; i++)
		if (held[i].block && held[i].block != GONE && held[i].serial > mark) {
			fprintf(stderr, "# held: asked for at 0x%zx\n", held[i].from);
			named++;
		}
	pthread_mutex_unlock(&lock);
}

/* ---- memory ---- */

#define WRAP(type, name, ...) \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)
#define NO_MEMORY(value) \
	do \
		if (due(FAIL_MEMORY, HERE)) { \
			errno = ENOMEM; \
			return value; \
		} \
	while (0)
#define NOTHING_LEFT(number, value) \
	do \
		if (due(FAIL_DESCRIPTORS, HERE)) { \
			errno = number; \
			return value; \
		} \
	while (0)

WRAP(void *, malloc, size_t size) {
	NO_MEMORY(NULL);
	return keep(__real_malloc(size), HERE);
}

WRAP(void *, calloc, size_t count, size_t size) {
	NO_MEMORY(NULL);
	return keep(__real_calloc(count, size), HERE);
}

WRAP(void *, realloc, void *old, size_t size) {
	NO_MEMORY(NULL);
	forget(old); /* before another thread can be given the same place */
	void *const block = __real_realloc(old, size);
	keep(block ? block : old, HERE);
	return block;
}

WRAP(void *, aligned_alloc, size_t alignment, size_t size) {
	NO_MEMORY(NULL);
	return keep(__real_aligned_alloc(alignment, size), HERE);
}

WRAP(int, posix_memalign, void **out, size_t alignment, size_t size) {
	if (due(FAIL_MEMORY, HERE))
		return ENOMEM;
	const int code = __real_posix_memalign(out, alignment, size);
	if (code == 0)
		keep(*out, HERE);
	return code;
}

WRAP(void, free, void *block) {
	forget(block);
	__real_free(block);
}

WRAP(char *, strdup, const char *text) {
	NO_MEMORY(NULL);
	return keep(__real_strdup(text), HERE);
}

WRAP(char *, strndup, const char *text, size_t size) {
	NO_MEMORY(NULL);
	return keep(__real_strndup(text, size), HERE);
}

WRAP(char *, realpath, const char *path, char *out) {
	NO_MEMORY(NULL);
	char *const block = __real_realpath(path, out);
	return out ? block : keep(block, HERE);
}

WRAP(int, vasprintf, char **out, const char *format, va_list values) {
	NO_MEMORY(-1);
	const int length = __real_vasprintf(out, format, values);
	if (length >= 0)
		keep(*out, HERE);
	return length;
}

int __wrap_asprintf(char **out, const char *format, ...);
int __wrap_asprintf(char **out, const char *format, ...) {
	va_list values;
	NO_MEMORY(-1);
	va_start(values, format);
	const int length = __real_vasprintf(out, format, values);
	va_end(values);
	if (length >= 0)
		keep(*out, HERE);
	return length;
}

WRAP(void *, mmap64, void *at, size_t size, int protection, int flags, int fd, off_t offset) {
	NO_MEMORY(MAP_FAILED);
	void *const map = __real_mmap64(at, size, protection, flags, fd, offset);
	if (map != MAP_FAILED)
		keep(map, HERE);
	return map;
}

WRAP(int, munmap, void *at, size_t size) {
	forget(at);
	return __real_munmap(at, size);
}

/* ---- descriptors, processes, threads ---- */

/* A descriptor is held under a made-up address. */
static int keep_fd(int fd, size_t from) {
	if (fd >= 0)
		keep((void *)(((uintptr_t)fd + 1) << 50), from);
	return fd;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...) {
	va_list values;
	NOTHING_LEFT(EMFILE, -1);
	va_start(values, flags);
	const int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(values, int) : 0;
	va_end(values);
	return keep_fd(__real_open64(path, flags, mode), HERE);
}

WRAP(int, close, int fd) {
	forget((void *)(((uintptr_t)fd + 1) << 50));
	return __real_close(fd);
}

WRAP(FILE *, fopen64, const char *path, const char *mode) {
	NOTHING_LEFT(EMFILE, NULL);
	return __real_fopen64(path, mode);
}

WRAP(DIR *, opendir, const char *path) {
	NOTHING_LEFT(EMFILE, NULL);
	return __real_opendir(path);
}

WRAP(int, pipe2, int fds[2], int flags) {
	NOTHING_LEFT(EMFILE, -1);
	const int code = __real_pipe2(fds, flags);
	for (int i = 0; i < 2 && code == 0; i++)
		keep_fd(fds[i], HERE);
	return code;
}

WRAP(int, memfd_create, const char *name, unsigned flags) {
	NOTHING_LEFT(EMFILE, -1);
	return keep_fd(__real_memfd_create(name, flags), HERE);
}

WRAP(int, mkstemp64, char *path) {
	NOTHING_LEFT(ENOSPC, -1);
	return keep_fd(__real_mkstemp64(path), HERE);
}

WRAP(int, socketpair, int domain, int type, int protocol, int fds[2]) {
	NOTHING_LEFT(EMFILE, -1);
	const int code = __real_socketpair(domain, type, protocol, fds);
	for (int i = 0; i < 2 && code == 0; i++)
		keep_fd(fds[i], HERE);
	return code;
}

int __real_fcntl64(int fd, int what, ...);
int __wrap_fcntl64(int fd, int what, ...);
int __wrap_fcntl64(int fd, int what, ...) {
	va_list values;
	va_start(values, what);
	void *const value = va_arg(values, void *);
	va_end(values);
	if (what != F_DUPFD_CLOEXEC)
		return __real_fcntl64(fd, what, value);
	NOTHING_LEFT(EMFILE, -1);
	return keep_fd(__real_fcntl64(fd, what, value), HERE);
}

WRAP(int, posix_spawn, pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes, char *const arguments[],
     char *const environment[]) {
	if (due(FAIL_DESCRIPTORS, HERE))
		return EAGAIN;
	return __real_posix_spawn(pid, path, actions, attributes, arguments, environment);
}

WRAP(int, posix_spawn_file_actions_adddup2, posix_spawn_file_actions_t *actions, int from, int to) {
	if (due(FAIL_DESCRIPTORS, HERE))
		return ENOMEM;
	return __real_posix_spawn_file_actions_adddup2(actions, from, to);
}

WRAP(int, posix_spawn_file_actions_addopen, posix_spawn_file_actions_t *actions, int fd, const char *path, int flags, mode_t mode) {
	if (due(FAIL_DESCRIPTORS, HERE))
		return ENOMEM;
	return __real_posix_spawn_file_actions_addopen(actions, fd, path, flags, mode);
}

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *payload) {
	if (due(FAIL_DESCRIPTORS, HERE))
		return EAGAIN;
	return __real_pthread_create(thread, attributes, run, payload);
}

/* Jansson 2.14 writes behind its buffer when a text of a document cannot grow, so reading a document fails as a whole, at its start. */
WRAP(json_t *, json_loadb, const char *text, size_t size, size_t flags, json_error_t *error) {
	if (due(FAIL_MEMORY, HERE)) {
		errno = ENOMEM;
		if (error)
			*error = (json_error_t){ .line = -1 };
		return NULL;
	}
	reading = 1;
	json_t *const json = __real_json_loadb(text, size, flags, error);
	reading = 0;
	return json;
}

void fail_setup(void) { json_set_alloc_funcs(__wrap_malloc, __wrap_free); }
