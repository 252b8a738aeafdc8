/* What the vocabulary (bpe.c) and the encoder (bpe_encode.c) share. */
#ifndef SN_TEXT_BPE_INTERNAL_H
#define SN_TEXT_BPE_INTERNAL_H

#include "text/bpe.h"

#include <pthread.h>

#define SN_BPE_MAX_TOKENS (1 << 20)          /* ids of one vocabulary; Whisper has 51866 */
#define SN_BPE_MAX_BYTES ((size_t)32 << 20)  /* of one vocabulary or merges file; Whisper's largest has 2.5 MB */
#define SN_BPE_MAX_TOKEN 4096                /* bytes of one token */

typedef struct bpe_token {
	uint32_t at;                            /* into bytes */
	uint32_t size : 30, special : 1, known : 1;
} bpe_token;

/* Open addressing, a power of two of slots, each an id + 1 or 0. */
typedef struct bpe_table {
	uint32_t *slots;
	uint32_t mask;
} bpe_table;

typedef struct bpe_merge {
	int32_t left, right, merged; /* left < 0: empty slot */
	uint32_t rank;
} bpe_merge;

struct sn_bpe {
	char *dir;
	char *bytes; /* every token, byte-level decoded, one after the other */
	size_t used, capacity;
	bpe_token *tokens;
	int size, ordered; /* ordered: of CTranslate2 or tiktoken, whose ids are in the order of the merges */
	bpe_table special; /* <|...|> by their text */

	pthread_mutex_t lock; /* guards the making of what follows; read-only once `ready` */
	int ready;
	bpe_table all;
	bpe_merge *merges;
	uint32_t merge_mask;
	int32_t byte_ids[256];
};

/* The id of a token by its decoded bytes, or -1. */
int32_t bpe_table_find(const sn_bpe *bpe, const bpe_table *table, const char *bytes, size_t size);
/* Indexes the known tokens, only special ones or all the others. The first of equal tokens wins. */
int bpe_table_build(const sn_bpe *bpe, bpe_table *table, int special, char *err);

/* Undoes the byte-level spelling of a token ("Ġthe" to " the"); a token with any other character stays as it is. Returns the size
 * written to out (never more than size), or -1 for invalid UTF-8. */
int bpe_unspell(const char *text, size_t size, char *out);

/* A tokenizer without tokens, and what makes it one that can be used: *out is NULL where `result` or making it is a failure. */
sn_bpe *bpe_new(const char *dir, char *err);
int bpe_finish(sn_bpe **out, sn_bpe *bpe, int result, char *err);
/* Makes room for tokens of `bytes` bytes in all (those that are added from then on) and ids below `size`. */
int bpe_reserve(sn_bpe *bpe, size_t bytes, int size, const char *path, char *err);

/* Writes "dir/name" to path (PATH_MAX bytes). */
int bpe_path(char *path, const char *dir, const char *name, char *err);
int bpe_has(const char *dir, const char *name);

#endif
