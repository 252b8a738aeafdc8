/* The entries of a zip file, for the formats that are one: torch.save and numpy.savez. Private to this room. */
#ifndef SN_WEIGHTS_ZIP_H
#define SN_WEIGHTS_ZIP_H

#include "base/map.h"
#include "weights/weights.h"

#define SN_ZIP_MAX_ENTRIES (SN_WEIGHTS_MAX_TENSORS + 64)
#define SN_ZIP_MAX_NAME 512

typedef struct sn_zip_entry {
	const char *name; /* owned by the weights */
	const uint8_t *data;
	size_t size;
} sn_zip_entry;

typedef struct sn_zip {
	sn_zip_entry *entries; /* in the order of the directory */
	size_t count;
	sn_zip_entry *by_name;
} sn_zip;

/* Lists the entries of the mapped file `path`. Stored entries lie in the map. Deflated ones are unpacked into memory of the
 * weights, within its bounds, when `unpack` is set, and otherwise refused with `why` ("torch.save stores entries ...").
 * Entries that share bytes are refused. On failure *zip is zeroed. */
int sn_zip_open(sn_zip *zip, sn_weights *weights, const char *path, const sn_map *map, int unpack, const char *why, char *err);
void sn_zip_close(sn_zip *zip);

/* NULL when there is none. */
const sn_zip_entry *sn_zip_find(const sn_zip *zip, const char *name);

#endif
