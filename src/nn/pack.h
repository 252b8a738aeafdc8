/* The store of packed weights behind nn_pack. */
#ifndef SN_NN_PACK_H
#define SN_NN_PACK_H

#include "nn/nn.h"

/* The entry of that name, mapped or made; NULL when there is none. */
const void *nn_pack_find(nn_pack *pack, const char *name, size_t *size);

/* A new entry of `size` bytes (64-byte aligned, zeroed) that the caller fills. Owned by the pack. NULL when out of memory. */
void *nn_pack_new(nn_pack *pack, const char *name, size_t size);

/* The newest entry is filled: a large one goes to the file that is being written and is mapped from there, so that a model larger than
 * the memory that is free can be packed. Returns where its bytes are from now on. */
const void *nn_pack_filled(nn_pack *pack);

/* The newest entry could not be filled: it is gone, so that nobody finds it. */
void nn_pack_drop(nn_pack *pack);

#endif
