/* Read-only maps of whole files. */
#ifndef SN_BASE_MAP_H
#define SN_BASE_MAP_H

#include "base/error.h"

typedef struct sn_map {
	const uint8_t *data; /* NULL for an empty file */
	size_t size;
} sn_map;

/* Maps a regular file. On failure *map is zeroed. Errors: SN_E_NOT_FOUND, SN_E_IO, SN_E_FORMAT (not a regular file). */
int sn_map_open(sn_map *map, const char *path, char *err);

/* Unmaps; a zeroed map is a no-op. */
void sn_map_close(sn_map *map);

#endif
