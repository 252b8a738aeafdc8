/* Files named by the SHA-256 of their content, below one directory, counted by who refers to them. A blob is written beside its place,
 * synced and renamed, so it is whole or not there. */
#ifndef SN_STORE_BLOBS_H
#define SN_STORE_BLOBS_H

#include "store/db.h"

#include <stddef.h>

#define SN_BLOB_HASH 32

typedef struct sn_blobs sn_blobs;

/* Opens or makes the directory; files that no row of the database knows (left by a crash) are removed. SN_E_IO, SN_E_NO_SPACE. */
int sn_blobs_open(sn_blobs **out, sn_db *db, const char *directory, char *err);
void sn_blobs_close(sn_blobs **blobs);

/* Keeps bytes, or the rest of a descriptor from its beginning, and takes one reference. SN_E_NO_SPACE, SN_E_IO. */
int sn_blobs_put(sn_blobs *blobs, const void *data, size_t size, uint8_t hash[SN_BLOB_HASH], char *err);
int sn_blobs_put_file(sn_blobs *blobs, int fd, uint8_t hash[SN_BLOB_HASH], int64_t *size, char *err);
/* A descriptor for reading, or -1 (err: why). close() it; it stays readable though the blob goes. */
int sn_blobs_open_blob(sn_blobs *blobs, const uint8_t hash[SN_BLOB_HASH], int64_t *size, char *err);
/* Gives a reference back; the last one removes the file. */
int sn_blobs_drop(sn_blobs *blobs, const uint8_t hash[SN_BLOB_HASH], char *err);

#endif
