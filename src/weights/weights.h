/* Named weight tensors of a checkpoint, read where they lie on disk. Everything in a file is hostile: each offset, size,
 * shape and name is checked once, at opening; after that a tensor's `data` may be read for `bytes` without care. */
#ifndef SN_WEIGHTS_WEIGHTS_H
#define SN_WEIGHTS_WEIGHTS_H

#include "base/error.h"

#define SN_WEIGHTS_MAX_RANK 8
#define SN_WEIGHTS_MAX_TENSORS 65536
#define SN_WEIGHTS_MAX_SHARDS 256

typedef enum sn_dtype { SN_F32, SN_F16, SN_BF16, SN_F64, SN_I8, SN_U8, SN_I16, SN_I32, SN_I64, SN_BOOL } sn_dtype;

/* Bytes of one element, and the name for messages ("float32", ...). */
size_t sn_dtype_size(sn_dtype dtype);
const char *sn_dtype_name(sn_dtype dtype);

typedef struct sn_weight {
	const char *name;
	sn_dtype dtype;
	int rank;                          /* 0 for a scalar */
	int64_t dims[SN_WEIGHTS_MAX_RANK]; /* row-major, outermost first; each >= 0 */
	const void *data;                  /* not necessarily aligned to the element */
	size_t bytes;                      /* product of dims times element size */
	const float *row_scale;            /* int8 matrices of CTranslate2: value = int8 * row_scale[row]; else NULL; may be unaligned */
} sn_weight;

typedef struct sn_weights sn_weights;

/* Opens a checkpoint. `path` is a file or a directory:
 *   *.safetensors | directory with model.safetensors, or model.safetensors.index.json and its shards
 *   directory with CTranslate2's model.bin | such a model.bin
 *   directory with pytorch_model.bin, or pytorch_model.bin.index.json and its shards | *.bin, *.pt, *.pth of torch.save
 *   *.onnx (initialisers, Constant nodes' values, and those inside If/Loop bodies, by their ONNX names)
 * A directory that holds several is read in the order of this list; files of other names count when they are the only ones
 * of their kind, after those named here.
 * On success *out is the caller's (sn_weights_close); on failure *out is NULL.
 * The files stay mapped until then. Replace them by renaming a new file over the old one; never write into them or cut them
 * while they are open: tensors would change, or reading them would end the process with SIGBUS.
 * Errors: SN_E_NOT_FOUND, SN_E_IO, SN_E_MODEL (malformed: names the file, the tensor, what was found and expected),
 * SN_E_LIMIT, SN_E_MEMORY. */
int sn_weights_open(sn_weights **out, const char *path, char *err);
void sn_weights_close(sn_weights **weights);

/* The tensor of that name or NULL. The result is borrowed from `weights`. */
const sn_weight *sn_weights_find(const sn_weights *weights, const char *name);

/* Enumerates in file order. */
size_t sn_weights_count(const sn_weights *weights);
const sn_weight *sn_weights_at(const sn_weights *weights, size_t index);

typedef enum sn_layout { SN_LAYOUT_SAFETENSORS, SN_LAYOUT_CTRANSLATE2, SN_LAYOUT_ONNX, SN_LAYOUT_TORCH } sn_layout;
sn_layout sn_weights_layout(const sn_weights *weights);

/* A 64-bit key of what the checkpoint is: paths, sizes, modification times and headers of its files. For cache file names. */
uint64_t sn_weights_key(const sn_weights *weights);

/* The file that messages should name. Borrowed. */
const char *sn_weights_path(const sn_weights *weights);

/* Converts elements [first, first + count) of a floating (or scaled int8) tensor to float32. The range must lie inside. */
void sn_weight_floats(const sn_weight *weight, int64_t first, int64_t count, float *out);

#endif
