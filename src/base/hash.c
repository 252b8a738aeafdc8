#include "base/hash.h"

#include <string.h>

uint64_t sn_hash(uint64_t seed, const void *data, size_t size) {
	const uint8_t *bytes = data;
	for (size_t i = 0; i < size; i++)
		seed = (seed ^ bytes[i]) * 0x100000001b3ull;
	seed ^= seed >> 32;
	return seed * 0xd6e8feb86659fd93ull;
}

/* The NUL is hashed too, so that ("ab","c") and ("a","bc") differ. */
uint64_t sn_hash_text(uint64_t seed, const char *text) { return sn_hash(seed, text, strlen(text) + 1); }
