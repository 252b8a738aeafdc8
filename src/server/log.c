#include "server/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "server/config.h"
#include "server/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAUSE 20      /* milliseconds for which the writer lets lines gather */
#define PATIENCE 1000 /* milliseconds for which it waits for who reads them */

typedef enum target { TO_REMARKS, TO_ACCESS, TARGETS } target;

struct sv_log {
	sv_server *server;
	pthread_mutex_t lock;
	pthread_cond_t news;
	pthread_t thread;
	sn_buf waiting[TARGETS];
	int64_t dropped;
	int stopping, reopen, started;
	atomic_int level;
	int file;                    /* of the access log: -1: standard error, -2: none; the writer's */
};

/* ---- lines ---- */

typedef struct line { char text[SV_LOG_LINE]; size_t size; } line;

static void put(line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(line *l, const char *format, ...) {
	va_list args;
	va_start(args, format);
	const int size = vsnprintf(l->text + l->size, sizeof l->text - l->size, format, args);
	va_end(args);
	if (size > 0)
		l->size += (size_t)size < sizeof l->text - l->size ? (size_t)size : sizeof l->text - l->size - 1;
}

/* A JSON string. What is no UTF-8 loses its bytes beyond ASCII, controls become spaces. Texts here leave room for the rest of the line. */
static void put_string(line *l, const char *text) {
	json_t *const valid = json_string(text);
	char *to = l->text + l->size, *const end = l->text + sizeof l->text - 128;
	*to++ = '"';
	for (const unsigned char *from = (const unsigned char *)text; *from && to + 2 < end; from++) {
		if (*from == '"' || *from == '\\')
			*to++ = '\\';
		*to++ = (char)(*from < 0x20 || *from == 0x7f ? ' ' : *from >= 0x80 && !valid ? '?' : *from);
	}
	*to++ = '"';
	*to = 0;
	l->size = (size_t)(to - l->text);
	json_decref(valid);
}

static void put_time(line *l) {
	struct timespec now;
	struct tm utc;
	char text[32];
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
	put(l, "{\"time\":\"%s.%03ldZ\"", text, now.tv_nsec / 1000000);
}

static void hand_over(sv_log *log, target to, line *l) {
	put(l, "}");
	l->text[l->size++] = '\n'; /* in place of the NUL where the line is full */
	pthread_mutex_lock(&log->lock);
	if (log->waiting[to].size + l->size > SV_LOG_WAITING || sn_buf_add(&log->waiting[to], l->text, l->size) != SN_OK) {
		log->dropped++;
		log->waiting[to].failed = SN_OK;
	} else if (log->waiting[to].size == l->size) {
		pthread_cond_signal(&log->news);
	}
	pthread_mutex_unlock(&log->lock);
}

/* ---- the writer ---- */

/* Lines that a full disk or a reader who has stopped reading keeps out are lost: the number of them. */
static int64_t write_out(int fd, const char *text, size_t size) {
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	int64_t lost = 0;
	while (size) {
		const size_t part = size < PIPE_BUF ? size : PIPE_BUF; /* so much never waits after a poll */
		const int count = poll(&ready, 1, PATIENCE);
		const ssize_t wrote = count > 0 ? write(fd, text, part) : -1;
		if (wrote < 0 && count != 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			break;
		text += wrote;
		size -= (size_t)wrote;
	}
	for (size_t i = 0; i < size; i++)
		lost += text[i] == '\n';
	return lost;
}

static int open_file(sv_log *log, char *err) {
	const char *const path = log->server->config->access_log;
	const int is_none = strcmp(path, "none") == 0, is_file = !is_none && *path && strcmp(path, "-") != 0;
	const int fd = is_file ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640) : is_none ? -2 : -1;
	if (is_file && fd < 0)
		return sn_fail_errno(err, "the access log \"%.200s\" cannot be opened", path);
	if (log->file >= 0)
		close(log->file);
	log->file = fd;
	return SN_OK;
}

static void *write_lines(void *payload) {
	sv_log *const log = payload;
	char err[SN_ERRLEN];
	int64_t lost = 0;
	sn_buf out[TARGETS];
	for (int i = 0; i < TARGETS; i++)
		sn_buf_init(&out[i], 2 * SV_LOG_WAITING);
	for (int stopping = 0; !stopping;) {
		pthread_mutex_lock(&log->lock);
		while (!log->waiting[0].size && !log->waiting[1].size && !log->stopping && !log->reopen)
			pthread_cond_wait(&log->news, &log->lock);
		if (!log->stopping) {
			pthread_mutex_unlock(&log->lock);
			nanosleep(&(struct timespec){ .tv_nsec = PAUSE * 1000000L }, NULL);
			pthread_mutex_lock(&log->lock);
		}
		stopping = log->stopping;
		const int reopen = log->reopen;
		log->dropped += lost;
		lost = 0;
		log->reopen = 0;
		for (int i = 0; i < TARGETS; i++) {
			const sn_buf full = log->waiting[i];
			log->waiting[i] = out[i];
			out[i] = full;
		}
		pthread_mutex_unlock(&log->lock);
		for (int i = 0; i < TARGETS; i++) {
			const int fd = i == TO_ACCESS && log->file != -1 ? log->file : STDERR_FILENO;
			lost += fd >= 0 ? write_out(fd, out[i].data, out[i].size) : 0;
			sn_buf_clear(&out[i]);
		}
		if (reopen && open_file(log, err) != SN_OK)
			sv_log_say(log, SN_LOG_ERROR, "%s; the old one is written on", err);
	}
	for (int i = 0; i < TARGETS; i++)
		sn_buf_free(&out[i]);
	return NULL;
}

/* ---- opening ---- */

static void take_remark(sn_log_level level, const char *text, void *payload) { sv_log_say(payload, level, "%s", text); }

static sn_log_level level_of(const sv_config *config) {
	static const char *const names[] = { "error", "warn", "info", "debug" };
	for (int i = 0; i < 4; i++)
		if (strcmp(config->log_level, names[i]) == 0)
			return (sn_log_level)i;
	return SN_LOG_INFO;
}

int sv_log_open(sv_log **out, sv_server *server, char *err) {
	sv_log *const log = *out = calloc(1, sizeof *log);
	if (!log)
		return sn_fail(err, SN_E_MEMORY, "no memory for the log");
	log->server = server;
	log->file = -1;
	atomic_store(&log->level, level_of(server->config));
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->news, NULL);
	for (int i = 0; i < TARGETS; i++)
		sn_buf_init(&log->waiting[i], 2 * SV_LOG_WAITING);
	int result = open_file(log, err);
	if (result == SN_OK && pthread_create(&log->thread, NULL, write_lines, log) != 0)
		result = sn_fail(err, SN_E_MEMORY, "the log's thread cannot be started");
	log->started = result == SN_OK;
	if (result == SN_OK)
		sn_log_set(level_of(server->config), take_remark, log);
	else
		sv_log_close(out);
	return result;
}

void sv_log_close(sv_log **held) {
	sv_log *const log = *held;
	*held = NULL;
	if (!log)
		return;
	if (log->started) {
		sn_log_set(SN_LOG_ERROR, NULL, NULL);
		pthread_mutex_lock(&log->lock);
		log->stopping = 1;
		pthread_cond_signal(&log->news);
		pthread_mutex_unlock(&log->lock);
		pthread_join(log->thread, NULL);
	}
	if (log->file >= 0)
		close(log->file);
	for (int i = 0; i < TARGETS; i++)
		sn_buf_free(&log->waiting[i]);
	pthread_cond_destroy(&log->news);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

void sv_log_reopen(sv_log *log) {
	if (!log)
		return;
	atomic_store(&log->level, level_of(log->server->config));
	sn_log_set(level_of(log->server->config), take_remark, log);
	pthread_mutex_lock(&log->lock);
	log->reopen = 1;
	pthread_cond_signal(&log->news);
	pthread_mutex_unlock(&log->lock);
}

/* ---- what is logged ---- */

void sv_log_say(sv_log *log, sn_log_level level, const char *format, ...) {
	static const char *const names[] = { "error", "warn", "info", "debug" };
	char text[SN_ERRLEN + 256];
	line l = { .size = 0 };
	va_list args;
	if (!log || (int)level > atomic_load(&log->level))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	put_time(&l);
	put(&l, ",\"level\":\"%s\",\"message\":", names[level]);
	put_string(&l, text);
	hand_over(log, TO_REMARKS, &l);
}

static void put_seconds(line *l, const char *name, double seconds) {
	if (seconds > 0)
		put(l, ",\"%s\":%.6g", name, seconds);
}

static void put_facts(line *l, const sv_facts *f) {
	if (*f->task)
		put(l, ",\"task\":\"%.15s\"", f->task);
	if (*f->model) {
		put(l, ",\"model\":");
		put_string(l, f->model);
	}
	put_seconds(l, "processing", f->processing);
	put_seconds(l, "first", f->first);
	put_seconds(l, "audio", f->audio);
	put_seconds(l, "speech", f->speech);
	if (f->characters > 0)
		put(l, ",\"characters\":%lld", (long long)f->characters);
	if (f->quality > 0)
		put(l, ",\"quality\":%.2f", (double)f->quality);
	if (f->confidence > 0)
		put(l, ",\"confidence\":%.3f", (double)f->confidence);
	if (f->retries || f->guards)
		put(l, ",\"retries\":%d,\"guards\":%d", f->retries, f->guards);
	if (f->cached != SV_UNCACHED)
		put(l, ",\"cached\":\"%s\"", f->cached == SV_RESULT_HIT ? "result" : "audio");
}

static int is_probe(const sv_route *route) {
	static const char *const probes[] = { "live", "ready", "health", "metrics", "metricsJson" };
	for (size_t i = 0; route && i < sizeof probes / sizeof *probes; i++)
		if (strcmp(route->operation, probes[i]) == 0)
			return 1;
	return 0;
}

void sv_log_request(sv_log *log, const sv_request *r, int status, int64_t bytes_in, int64_t bytes_out) {
	line l = { .size = 0 };
	const int wanted = log && (!is_probe(r->route) || atomic_load(&log->level) >= SN_LOG_DEBUG);
	if (!wanted || strcmp(log->server->config->access_log, "none") == 0)
		return;
	put_time(&l);
	put(&l, ",\"id\":\"%s\",\"method\":\"%s\",\"route\":\"%s\",\"status\":%d", r->id, r->route ? r->route->method : "", r->route ? r->route->path : "",
	    status);
	if (r->connection && r->connection->reply.code != SN_OK)
		put(&l, ",\"code\":\"%s\"", sn_result_name(r->connection->reply.code));
	if (r->connection && *r->connection->address && log->server->config->log_address)
		put(&l, ",\"address\":\"%s\"", r->connection->address);
	if (*r->key.name) {
		put(&l, ",\"key\":");
		put_string(&l, r->key.name);
	}
	put(&l, ",\"bytes_in\":%lld,\"bytes_out\":%lld,\"seconds\":%.6f", (long long)bytes_in, (long long)bytes_out, sn_now() - r->received);
	put_seconds(&l, "queue", r->started > 0 ? r->started - r->queued : 0);
	put_facts(&l, &r->facts);
	hand_over(log, TO_ACCESS, &l);
}

int64_t sv_log_dropped(sv_log *log) {
	if (!log)
		return 0;
	pthread_mutex_lock(&log->lock);
	const int64_t dropped = log->dropped;
	pthread_mutex_unlock(&log->lock);
	return dropped;
}
