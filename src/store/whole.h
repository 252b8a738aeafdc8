/* Directories that appear whole or not at all: written under another name beside their place, and renamed. */
#ifndef SN_STORE_WHOLE_H
#define SN_STORE_WHOLE_H

#include "base/error.h"
#include "base/path.h"

typedef struct sn_whole {
	char path[SN_PATH_MAX]; /* to write to; "": none is begun */
	char final[SN_PATH_MAX];
} sn_whole;

/* `dir` must not be there, or be an empty directory: else SN_E_ARGUMENT. The directory it is in must be there. */
int sn_whole_begin(sn_whole *whole, const char *dir, char *err);
/* All is written and synced: it gets its name. On failure nothing of it is left. */
int sn_whole_keep(sn_whole *whole, char *err);
/* It is deleted, unless it was kept. */
void sn_whole_drop(sn_whole *whole);

/* Writes and syncs a file in it; it must not be there. */
int sn_whole_write(const sn_whole *whole, const char *name, const void *data, size_t size, char *err);
/* Copies the file at `from` into it; `name` may have folders before it, which are made. */
int sn_whole_copy(const sn_whole *whole, const char *name, const char *from, char *err);
/* Syncs a folder of it that files were copied into; one that is not there needs none. */
int sn_whole_settle(const sn_whole *whole, const char *folder, char *err);

#endif
