/* A growable byte buffer with a named maximum. */
#ifndef SN_BASE_BUF_H
#define SN_BASE_BUF_H

#include "base/error.h"

typedef struct sn_buf {
	char *data; /* always ends with a NUL that `size` does not count, once anything was added */
	size_t size, capacity, max;
	int failed; /* SN_OK, SN_E_LIMIT or SN_E_MEMORY: sticky, so that a chain of adds needs one check at its end */
} sn_buf;

void sn_buf_init(sn_buf *buf, size_t max);
void sn_buf_free(sn_buf *buf);
void sn_buf_clear(sn_buf *buf);
int sn_buf_add(sn_buf *buf, const void *data, size_t size);
int sn_buf_text(sn_buf *buf, const char *text);
int sn_buf_printf(sn_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Hands the bytes over to the caller (free() them) and leaves the buffer empty. NULL when nothing was added or it failed. */
char *sn_buf_take(sn_buf *buf, size_t *size);

#endif
