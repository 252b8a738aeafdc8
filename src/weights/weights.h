/* Named weight tensors of a checkpoint, read where they lie on disk. Everything in a file is hostile: each offset, size,
 * shape and name is checked once, at opening; after that a tensor's `data` may be read for `bytes` without care. */
#ifndef SN_WEIGHTS_WEIGHTS_H
#define SN_WEIGHTS_WEIGHTS_H

#include "base/error.h"

#define SN_WEIGHTS_MAX_RANK 8
#define SN_WEIGHTS_MAX_TENSORS 65536
#define SN_WEIGHTS_MAX_SHARDS 256
#define SN_WEIGHTS_MAX_NAME 1024
#define SN_WEIGHTS_MAX_FACTS 262144 /* numbers, texts, lists and dictionaries of a pickle */

/* What a clone of a repository without Git LFS leaves in a file's place; the text for it, of its path. */
int sn_is_lfs_pointer(const void *data, size_t size);
#define SN_LFS_POINTER "'%s' is a pointer of Git LFS, not the file: run 'git lfs pull' there, or 'sonant models pull ORG/NAME'"

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
	const float *row_scale;            /* int8 matrices of CTranslate2 and our own: value = int8 * row_scale[row]; else NULL; may be unaligned */
	const uint8_t *map;                /* of the file, where `data` lies in one; set when the tensor is added, as is the next */
	size_t map_size;
	int turned;                        /* a matrix whose element [i, j] lies where [j, i] would: sn_weight_floats reads it by `dims` all the same */
} sn_weight;

/* Whether sn_weight_floats reads it. */
static inline int sn_weight_is_float(const sn_weight *w) {
	return w->dtype == SN_F32 || w->dtype == SN_F16 || w->dtype == SN_BF16 || w->dtype == SN_F64 || (w->dtype == SN_I8 && w->row_scale);
}

typedef struct sn_weights sn_weights;

/* Opens a checkpoint. `path` is a file or a directory:
 *   *.safetensors | directory with model.safetensors, or model.safetensors.index.json and its shards
 *   directory with CTranslate2's model.bin | such a model.bin
 *   directory with pytorch_model.bin, or pytorch_model.bin.index.json and its shards | *.bin, *.pt, *.pth, *.ckpt of
 *     torch.save, zip files or the older stream; also model_file.pth, best_model.pth (Coqui), *_statedict.pt (NVIDIA),
 *     embedding_model.ckpt, generator.ckpt (SpeechBrain), and generator*, g_*, checkpoint_* without an extension (HiFi-GAN,
 *     NVIDIA)
 *   *.onnx (initialisers, Constant nodes' values, and those inside If/Loop bodies, by their ONNX names), with files of external
 *     data beside it
 *   *.npy: one tensor named "array" | *.npz: its arrays by name
 * A directory that holds several is read in the order of the table in weights.c; of files known only by how their names end
 * or begin it must hold one of a kind. Any file may be named itself: one of an unknown name is known by its first bytes.
 * Pickles are data: dictionaries, lists, and the state of pickled module objects; nothing is ever called, and a constructor
 * other than those that such files need is refused by name. Tensors are named by their keys joined by dots, those of module
 * objects as state_dict() names them. A file that is one bare tensor holds it as "array".
 * On success *out is the caller's (sn_weights_close); on failure *out is NULL.
 * The files stay mapped until then. Replace them by renaming a new file over the old one; never write into them or cut them
 * while they are open: tensors would change, or reading them would end the process with SIGBUS.
 * Errors: SN_E_NOT_FOUND, SN_E_IO, SN_E_MODEL (malformed: names the file, the tensor, what was found and expected),
 * SN_E_LIMIT, SN_E_MEMORY. */
int sn_weights_open(sn_weights **out, const char *path, char *err);
void sn_weights_close(sn_weights **weights);

/* The tensor of that name or NULL. The result is borrowed from `weights`. */
const sn_weight *sn_weights_find(const sn_weights *weights, const char *name);

/* Where a wrapper put the tensors of a model: writes what stands before `suffix` in the name of the tensor that ends with it
 * ("" | "model." | "state_dict.module." ...; it ends with a dot or is empty) and returns how many tensors end so. Of several
 * the shortest prefix counts, then the first in the file. 0, and "" in prefix, when there is none. Give a suffix that only
 * the wanted part of a file has: "enc_p.emb.weight", not "emb.weight". */
size_t sn_weights_prefix(const sn_weights *weights, const char *suffix, char prefix[SN_WEIGHTS_MAX_NAME + 1]);

/* What pickled dictionaries and the attributes of pickled modules hold beside tensors, by path: keys joined by dots, items
 * of lists by number ("config.audio.num_mels", "model.WN.0.n_layers", "config.languages.0"); what the metadata of an .onnx file say,
 * as texts by their keys. Other layouts hold none. Each returns 1 when the path is there and of that type, else 0 (NULL).
 * number: an integer, float or boolean; it may be infinite or NaN.
 * numbers: a list of numbers only, or a tensor: *count is how many it has, of which the first `max` are written. */
int sn_weights_number(const sn_weights *weights, const char *path, double *value);
int sn_weights_numbers(const sn_weights *weights, const char *path, double *values, int max, int *count);
const char *sn_weights_text(const sn_weights *weights, const char *path);
/* Keys of the dictionary at `path` ("" is the whole file), in file order, those of tensors too. Keys that are no texts
 * are left out, and with them all below. */
size_t sn_weights_key_count(const sn_weights *weights, const char *path);
const char *sn_weights_key_at(const sn_weights *weights, const char *path, size_t index);

/* Enumerates in file order. */
size_t sn_weights_count(const sn_weights *weights);
const sn_weight *sn_weights_at(const sn_weights *weights, size_t index);

typedef enum sn_layout {
	SN_LAYOUT_SAFETENSORS, SN_LAYOUT_CTRANSLATE2, SN_LAYOUT_ONNX, SN_LAYOUT_TORCH, SN_LAYOUT_NUMPY
} sn_layout;
sn_layout sn_weights_layout(const sn_weights *weights);

/* A 64-bit key of what the checkpoint is: paths, sizes, modification times and headers of its files. For cache file names. */
uint64_t sn_weights_key(const sn_weights *weights);

/* The file that messages should name. Borrowed. */
const char *sn_weights_path(const sn_weights *weights);

/* Converts elements [first, first + count) of a floating (or scaled int8) tensor to float32. The range must lie inside. */
void sn_weight_floats(const sn_weight *weight, int64_t first, int64_t count, float *out);

/* The same for an integer or bool tensor, as int64. 0 when its type is a floating one, and nothing is written. */
int sn_weight_integers(const sn_weight *weight, int64_t first, int64_t count, int64_t *out);

/* Checkpoints that lie in several files under names of their exporter: an empty one that owns `parts`, to which their tensors are
 * added under the names that a model asks for. On success the parts are NULL, and live as long as *out.
 * add: `from` is a part's. turned: its matrix is stored the other way round.
 * add_scaled: an int8 or uint8 matrix, value = (stored - zero) * scale, where scale and zero (NULL: 0) have one value for all or one
 * for each row of what is added. */
int sn_weights_compose(sn_weights **out, sn_weights **parts, int count, char *err);
int sn_weights_compose_add(sn_weights *weights, const char *name, const sn_weight *from, int turned, char *err);
int sn_weights_compose_add_scaled(sn_weights *weights, const char *name, const sn_weight *from, const sn_weight *scale,
                                  const sn_weight *zero, int turned, char *err);

/* Says that elements [first, first + count) will not be read again soon: where they lie in a file their pages leave this process's
 * memory. Reading them brings them back. */
void sn_weight_release(const sn_weight *weight, int64_t first, int64_t count);

#endif
