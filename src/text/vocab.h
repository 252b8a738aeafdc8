/* Tokens by id, and their ids by text or by the beginning of a text. */
#ifndef SN_TEXT_VOCAB_H
#define SN_TEXT_VOCAB_H

#include "base/buf.h"
#include "base/json.h"

#define SN_VOCAB_MAX_TOKENS (1 << 20)
#define SN_VOCAB_MAX_BYTES ((size_t)32 << 20)
#define SN_VOCAB_MAX_TOKEN 512 /* bytes of one token */

typedef struct vocab_token {
	uint32_t at, size;
	int known; /* 0: no token has this id */
} vocab_token;

typedef struct vocab {
	char *bytes; /* every token with a NUL behind it */
	size_t used, room;
	vocab_token *tokens; /* by id */
	int size, capacity;
} vocab;

/* Ids sorted by the bytes of their tokens. */
typedef struct vocab_index {
	int32_t *ids;
	int count;
} vocab_index;

void vocab_free(vocab *v);
/* Adds a token; `file` is for messages. Errors: SN_E_MODEL (the id is taken, or the id, size or UTF-8 of the token is not
 * allowed), SN_E_LIMIT, SN_E_MEMORY. */
int vocab_add(vocab *v, int64_t id, const char *text, size_t size, const char *file, char *err);
/* Adds {token: id}; `file` is for messages. */
int vocab_add_object(vocab *v, const json_t *object, const char *file, char *err);
const char *vocab_text(const vocab *v, int32_t id); /* NULL: no such id */

/* Indexes the known tokens, or those whose flags[id] is `wanted` where flags is not NULL. Errors: SN_E_MODEL (a token
 * twice), SN_E_MEMORY. */
int vocab_index_build(const vocab *v, vocab_index *index, const uint8_t *flags, int wanted, const char *file, char *err);
void vocab_index_free(vocab_index *index);
int32_t vocab_find(const vocab *v, const vocab_index *index, const char *text, size_t size); /* -1: none */

/* The tokens that a text begins with, byte by byte. */
typedef struct vocab_cursor {
	int from, to; /* of the index: tokens that begin with what was read */
	uint32_t depth;
} vocab_cursor;

#define VOCAB_START(index) ((vocab_cursor){ 0, (index)->count, 0 })
/* Reads a byte: the id of the token that ends here, -1 when none does, -2 when no token goes on so. */
int32_t vocab_step(const vocab *v, const vocab_index *index, vocab_cursor *cursor, uint8_t byte);
/* The longest token that text begins with, *length its bytes; -1: none. */
int32_t vocab_longest(const vocab *v, const vocab_index *index, const char *text, size_t size, size_t *length);

#endif
