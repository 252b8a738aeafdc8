/* Two of these: the result cache (final bytes of replies) and the audio cache (what inference gave). Entries are immutable bytes with a
 * short JSON text of facts, under a key of 32 bytes, on disk; those used last are in memory, too, so that a hit costs a look-up. A full
 * disk or a damaged entry is a miss, never an error of the request. Any thread. */
#ifndef SN_STORE_CACHE_H
#define SN_STORE_CACHE_H

#include "store/blobs.h"

#define SN_CACHE_FACTS 4096              /* bytes of facts */
#define SN_CACHE_MAX_ENTRY ((size_t)256 << 20)

typedef enum sn_cache_kind { SN_CACHE_RESULT = 1, SN_CACHE_AUDIO } sn_cache_kind;
typedef struct sn_cache sn_cache;

typedef struct sn_cached {
	const void *data;
	size_t size;
	const char *facts;
} sn_cached;

/* limit: bytes on disk, 0: nothing is kept; memory: bytes of entries in memory. */
int sn_cache_open(sn_cache **out, sn_db *db, sn_blobs *blobs, sn_cache_kind kind, int64_t limit, int64_t memory, char *err);
void sn_cache_close(sn_cache **cache);
/* From a reload of the configuration. */
void sn_cache_set_limit(sn_cache *cache, int64_t limit);

/* NULL: not there. The entry stays as it is until it is given back, whatever becomes of the cache's. */
const sn_cached *sn_cache_get(sn_cache *cache, const uint8_t key[32]);
/* The same without the disk: NULL also where it only lies there. Takes no longer than a look-up: for the io thread. */
const sn_cached *sn_cache_peek(sn_cache *cache, const uint8_t key[32]);
void sn_cached_release(const sn_cached **entry);
/* Copies the bytes; what is too large, or fails, is only counted. */
void sn_cache_put(sn_cache *cache, const uint8_t key[32], const void *data, size_t size, const char *facts);
void sn_cache_clear(sn_cache *cache);

typedef struct sn_cache_facts { int64_t hits, misses, entries, bytes, memory, evicted, failed; } sn_cache_facts;
void sn_cache_describe(sn_cache *cache, sn_cache_facts *facts);

#endif
