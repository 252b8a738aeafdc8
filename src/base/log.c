#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sn_log_level most_level;
static sn_log_sink current;
static void *current_payload;

void sn_log_set(sn_log_level most, sn_log_sink sink, void *payload) {
	pthread_mutex_lock(&lock);
	most_level = most;
	current = sink;
	current_payload = payload;
	pthread_mutex_unlock(&lock);
}

void sn_log(sn_log_level level, const char *format, ...) {
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20)
			*c = ' ';
	pthread_mutex_lock(&lock);
	if (current && level <= most_level)
		current(level, text, current_payload);
	pthread_mutex_unlock(&lock);
}
