/* 64-bit FNV-1a with a final mix: for cache keys, not for security. */
#ifndef SN_BASE_HASH_H
#define SN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define SN_HASH_INIT 0xcbf29ce484222325ull
uint64_t sn_hash(uint64_t seed, const void *data, size_t size);
uint64_t sn_hash_text(uint64_t seed, const char *text);

#endif
