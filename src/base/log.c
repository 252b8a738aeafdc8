#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct settings {
	sn_log_level most;
	sn_log_sink sink;
	void *payload;
} settings;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  /* guards the next, held for copies only */
static settings current;
static pthread_mutex_t calls = PTHREAD_MUTEX_INITIALIZER; /* held while the sink runs: one line at a time */
static _Thread_local int inside;                          /* this thread is in the sink, and holds `calls` */
static pthread_once_t watched = PTHREAD_ONCE_INIT;

/* ---- fork ---- */

/* The settings are whole in the child. Whether another thread is in the sink is not waited for: it may need what the forking thread holds. */
static void before_fork(void) { pthread_mutex_lock(&lock); }

static void behind_fork(void) { pthread_mutex_unlock(&lock); }

static void in_child(void) {
	pthread_mutex_unlock(&lock);
	if (!inside) /* who held it is not there */
		pthread_mutex_init(&calls, NULL);
}

static void watch_forks(void) { pthread_atfork(before_fork, behind_fork, in_child); }

/* ---- lines ---- */

void sn_log_set(sn_log_level most, sn_log_sink sink, void *payload) {
	pthread_once(&watched, watch_forks);
	if (!inside)
		pthread_mutex_lock(&calls); /* the sink that was set before is not called any more */
	pthread_mutex_lock(&lock);
	current = (settings){ .most = most, .sink = sink, .payload = payload };
	pthread_mutex_unlock(&lock);
	if (!inside)
		pthread_mutex_unlock(&calls);
}

void sn_log(sn_log_level level, const char *format, ...) {
	char text[1024];
	va_list args;
	if (inside) /* a sink's own remarks would have no end */
		return;
	pthread_once(&watched, watch_forks);
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20)
			*c = ' ';
	pthread_mutex_lock(&calls);
	pthread_mutex_lock(&lock);
	const settings now = current;
	pthread_mutex_unlock(&lock);
	inside = 1;
	if (now.sink && level <= now.most)
		now.sink(level, text, now.payload);
	inside = 0;
	pthread_mutex_unlock(&calls);
}
