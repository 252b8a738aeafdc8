/* Python pickles of torch.save, read as data: nothing is called or imported. Only what state dictionaries are made of is
 * understood: dictionaries, lists, tuples, texts, numbers, OrderedDict, parameters, and tensors over typed storages. Any other
 * constructor is refused by name. Private to this room. */
#ifndef SN_WEIGHTS_PICKLE_H
#define SN_WEIGHTS_PICKLE_H

#include "weights/weights.h"

typedef struct sn_pickle_tensor {
	sn_dtype dtype;
	const char *storage; /* key of the storage, not NUL-terminated */
	size_t storage_length;
	int64_t storage_elements, offset; /* in elements */
	int rank;
	int64_t dims[SN_WEIGHTS_MAX_RANK], strides[SN_WEIGHTS_MAX_RANK]; /* each >= 0 */
} sn_pickle_tensor;

/* Called for each tensor found, with its name: keys of nested dictionaries joined by dots. */
typedef int (*sn_pickle_visit)(void *payload, const char *name, const sn_pickle_tensor *tensor, char *err);

/* Errors: SN_E_MODEL, SN_E_LIMIT, SN_E_MEMORY, or what visit returned. `file` is for messages. */
int sn_pickle_read(const uint8_t *data, size_t size, const char *file, sn_pickle_visit visit, void *payload, char *err);

#endif
