/* Where encoded bytes go: a file that gets its name when it is complete, a descriptor, memory, or a function. */
#ifndef SN_AUDIO_ENCODE_SINK_H
#define SN_AUDIO_ENCODE_SINK_H

#include "base/buf.h"

#include <stdint.h>

typedef struct sn_sink {
	int fd;              /* -1: none */
	int owned;           /* fd is ours to close */
	int seekable;        /* earlier bytes can be written again; else such writes are dropped */
	sn_buf *buf;         /* memory */
	int (*take)(void *payload, const void *data, size_t size); /* a function: an sn_result, of which all but SN_OK ends the writing */
	void *payload;
	int refused;         /* what it returned then */
	int64_t base;        /* where our byte 0 lies in the descriptor's file or in buf */
	int64_t at, end;     /* position, bytes so far */
	int failed;          /* errno of the first failure, or 0 */
	char name[256];      /* for messages */
	char *temporary, *final; /* paths; NULL: there is nothing to rename */
} sn_sink;

int sn_sink_open_path(sn_sink *sink, const char *path, char *err);
int sn_sink_open_fd(sn_sink *sink, int fd, const char *name, char *err);
void sn_sink_open_memory(sn_sink *sink, sn_buf *buf);
void sn_sink_open_function(sn_sink *sink, int (*take)(void *payload, const void *data, size_t size), void *payload);

/* Writes at sink->at; 0 after a failure. */
int64_t sn_sink_write(sn_sink *sink, const void *data, int64_t size);

/* The result for sink->failed. */
int sn_sink_error(const sn_sink *sink, char *err);

/* Closes and renames. */
int sn_sink_finish(sn_sink *sink, char *err);

/* Releases; what was not finished is removed. */
void sn_sink_close(sn_sink *sink);

#endif
