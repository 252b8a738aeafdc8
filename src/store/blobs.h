/* Files named by the SHA-256 of their content, below one directory, counted by who refers to them. A blob is written beside its place and
 * renamed, so it is whole or not there; one that must survive a loss of power is synced, too. A file comes first and its row second, so
 * that a crash leaves at most a file without a row, and those are removed when the directory is opened again. */
#ifndef SN_STORE_BLOBS_H
#define SN_STORE_BLOBS_H

#include "store/db.h"

#include <stddef.h>

#define SN_BLOB_HASH 32
#define SN_BLOB_MAX ((size_t)1 << 31)    /* bytes of one that is read into memory */

typedef struct sn_blobs sn_blobs;

/* Opens or makes the directory, which no other process may use meanwhile. SN_E_BUSY, SN_E_IO, SN_E_NO_SPACE. */
int sn_blobs_open(sn_blobs **out, sn_db *db, const char *directory, char *err);
void sn_blobs_close(sn_blobs **blobs);

/* Writes bytes, or all of a descriptor, and holds the file until sn_blobs_unstage: to be called outside of transactions. durable: synced,
 * with its directory. On failure nothing is held. SN_E_NO_SPACE, SN_E_IO, SN_E_MEMORY. */
int sn_blobs_stage(sn_blobs *blobs, const void *data, size_t size, int durable, uint8_t hash[SN_BLOB_HASH], char *err);
int sn_blobs_stage_file(sn_blobs *blobs, int fd, int durable, uint8_t hash[SN_BLOB_HASH], int64_t *size, char *err);
/* After the transaction that kept it, or instead of one: a file that nobody refers to goes. */
void sn_blobs_unstage(sn_blobs *blobs, const uint8_t hash[SN_BLOB_HASH]);

/* Takes a reference to a staged blob: a statement of the caller's transaction. */
int sn_blobs_keep(sn_blobs *blobs, const uint8_t hash[SN_BLOB_HASH], int64_t size, char *err);
/* Gives a reference back, likewise. The file of the last one goes with the next sn_blobs_tidy. */
int sn_blobs_drop(sn_blobs *blobs, const uint8_t hash[SN_BLOB_HASH], char *err);
/* After such a transaction, outside of it. */
void sn_blobs_tidy(sn_blobs *blobs);

/* A descriptor for reading, or -1 (err: why). close() it; it stays readable though the blob goes. */
int sn_blobs_open_blob(sn_blobs *blobs, const uint8_t hash[SN_BLOB_HASH], int64_t *size, char *err);
/* All of it, followed by a NUL; free() *data. SN_E_FORMAT: the file is not what its name says. */
int sn_blobs_read(sn_blobs *blobs, const uint8_t hash[SN_BLOB_HASH], void **data, size_t *size, char *err);

#endif
