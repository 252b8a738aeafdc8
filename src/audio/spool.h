/* Samples that are gone through more than once: kept in a temporary file without a name, so that memory does not grow with them. */
#ifndef SN_AUDIO_SPOOL_H
#define SN_AUDIO_SPOOL_H

#include "base/error.h"

#include <stdint.h>

typedef struct sn_spool {
	int fd;
	int64_t count; /* samples */
} sn_spool;

#define SN_SPOOL_CLOSED { .fd = -1 }

/* In TMPDIR, /var/tmp or /tmp. Errors: SN_E_IO. */
int sn_spool_open(sn_spool *spool, char *err);
void sn_spool_close(sn_spool *spool);

/* At samples [at, at + count), of which those beyond the end are appended. Errors: SN_E_NO_SPACE, SN_E_IO. */
int sn_spool_write(sn_spool *spool, int64_t at, const float *samples, size_t count, char *err);
/* *got of them, fewer than `most` at the end only. */
int sn_spool_read(const sn_spool *spool, int64_t at, float *samples, size_t most, size_t *got, char *err);

#endif
