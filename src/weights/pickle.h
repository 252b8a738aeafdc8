/* Python pickles of torch.save, read as data: nothing is called or imported. Understood is what checkpoints are made of:
 * dictionaries, lists, tuples, sets, texts, numbers, tensors over typed storages, parameters, and objects of any class as
 * long as they are only an empty shell with a dictionary of attributes (NEWOBJ and BUILD), as pickled modules are. A call of
 * anything else is refused by name. Private to this room. */
#ifndef SN_WEIGHTS_PICKLE_H
#define SN_WEIGHTS_PICKLE_H

#include "weights/weights.h"

typedef struct sn_pickle_storage {
	const char *key; /* not NUL-terminated */
	size_t key_length;
	sn_dtype dtype;
	int64_t elements;   /* of the whole storage */
	int64_t begin, end; /* the part that the tensor may see */
} sn_pickle_storage;

typedef struct sn_pickle_tensor {
	sn_pickle_storage storage;
	int64_t offset; /* of its first element, from storage.begin */
	int rank;
	int64_t dims[SN_WEIGHTS_MAX_RANK], strides[SN_WEIGHTS_MAX_RANK]; /* each >= 0 */
} sn_pickle_tensor;

typedef struct sn_pickle sn_pickle;

/* Runs the pickle that begins at `data`; *used is its length. `file` is for messages and kept; `most` bounds the bytes that
 * its values take. The data must stay. Errors: SN_E_MODEL, SN_E_LIMIT, SN_E_MEMORY; then *out is NULL. */
int sn_pickle_read(sn_pickle **out, const uint8_t *data, size_t size, const char *file, size_t most, size_t *used, char *err);
void sn_pickle_close(sn_pickle **pickle);

/* Called for each tensor found, with its name: keys of nested dictionaries and modules joined by dots. */
typedef int (*sn_pickle_visit)(void *payload, const char *name, const sn_pickle_tensor *tensor, char *err);

/* Visits the tensors and adds the facts (numbers, texts, lists, keys) to the weights. */
int sn_pickle_walk(sn_pickle *pickle, sn_weights *weights, sn_pickle_visit visit, void *payload, char *err);

/* Storages in the order in which they are named, each as often as it is used. */
size_t sn_pickle_storage_count(const sn_pickle *pickle);
const sn_pickle_storage *sn_pickle_storage_at(const sn_pickle *pickle, size_t index);

/* What the small pickles of the older stream are: that integer; the long integer of these little-endian bytes; a dictionary
 * with that key and true. */
int sn_pickle_is_integer(const sn_pickle *pickle, int64_t value);
int sn_pickle_is_long(const sn_pickle *pickle, const void *bytes, size_t size);
int sn_pickle_says_true(sn_pickle *pickle, const char *key);

/* The next text of a list of texts, not NUL-terminated; *cursor is 0 before the first. NULL after the last one and for
 * anything else. */
const char *sn_pickle_text(sn_pickle *pickle, uint32_t *cursor, size_t *length);

#endif
