/* What the readers of the file formats share: each adds tensors to one sn_weights. Private to this room. */
#ifndef SN_WEIGHTS_READER_H
#define SN_WEIGHTS_READER_H

#include "base/map.h"
#include "weights/onnx.h"
#include "weights/weights.h"

struct sn_weights {
	sn_layout layout;
	char *path;
	uint64_t key;
	sn_map *maps;
	int map_count;
	struct sn_weights **parts; /* of a composed one, whose maps these have */
	int part_count;
	sn_weight *items;
	size_t count, capacity;
	uint32_t *slots;   /* hash table of the names of the items */
	size_t slot_count; /* 0 or a power of two */
	struct sn_block *owned;
	size_t owned_bytes, mapped_bytes;
	struct sn_fact *facts; /* pickles only */
	size_t fact_count, fact_capacity;
	uint32_t *fact_slots; /* hash table of their paths */
	size_t fact_slot_count;
	sn_onnx_node *nodes; /* ONNX only */
	size_t node_count, node_capacity;
};

/* Maps a file for the lifetime of `weights` and mixes it into the key. An empty file is SN_E_MODEL. */
int sn_weights_map(sn_weights *weights, const char *path, sn_map *map, char *err);

/* The bytes that may be owned for the files mapped so far. */
size_t sn_weights_budget(const sn_weights *weights);

/* Memory freed with `weights`, aligned to 16 bytes. NULL after a failure, with the error in *result and err: SN_E_MEMORY, or
 * SN_E_LIMIT when all that is owned would outgrow the files, as only copies of copies do. */
void *sn_weights_own(sn_weights *weights, size_t size, int *result, char *err);
/* A NUL-terminated copy of `size` bytes, which must hold no NUL. */
const char *sn_weights_own_text(sn_weights *weights, const void *text, size_t size, int *result, char *err);

/* The number of elements, or -1 when a dimension is negative or their product overflows. */
int64_t sn_weights_elements(int rank, const int64_t *dims);

/* Adds a tensor whose bytes lie inside a map or in owned memory. Refuses a name taken, empty or too long, a rank or
 * dimension out of range, and a size that is not the product of the dimensions. `file` is for messages. */
int sn_weights_add(sn_weights *weights, const sn_weight *weight, const char *file, char *err);

/* A tensor over a part of a file. */
typedef struct sn_weights_view {
	sn_dtype dtype;
	const uint8_t *storage; /* `elements` of them may be read */
	int64_t elements, offset;
	int rank;
	int64_t dims[SN_WEIGHTS_MAX_RANK], strides[SN_WEIGHTS_MAX_RANK]; /* in elements, each >= 0 */
} sn_weights_view;

/* Adds it, copied into rows unless it lies so already. What it sees must lie inside and may not be larger than the storage. */
int sn_weights_add_view(sn_weights *weights, const char *name, const sn_weights_view *view, const char *file, char *err);

/* One reader per format. */
int sn_read_safetensors(sn_weights *weights, const char *path, char *err);
int sn_read_safetensors_shards(sn_weights *weights, const char *index_path, char *err);
int sn_read_ctranslate2(sn_weights *weights, const char *path, char *err);
int sn_read_torch(sn_weights *weights, const char *path, char *err);
int sn_read_torch_shards(sn_weights *weights, const char *index_path, char *err);
int sn_read_npy(sn_weights *weights, const char *path, char *err);
int sn_read_npz(sn_weights *weights, const char *path, char *err);
int sn_read_onnx(sn_weights *weights, const char *path, char *err);

/* The files beside an .onnx file in which tensors of it lie. */
typedef struct sn_onnx_external {
	int count;
	struct {
		const char *location;
		sn_map map;
	} files[SN_WEIGHTS_MAX_SHARDS];
} sn_onnx_external;

/* Where a tensor of `size` bytes lies by what TensorProto.external_data says: texts, NULL where not given. `path` is the .onnx file's. */
int sn_onnx_external_find(sn_weights *weights, sn_onnx_external *files, const char *path, const char *tensor, const char *location,
                          const char *offset, const char *length, size_t size, const void **data, char *err);

/* Reads the list of shard files in an index ("weight_map") and calls `read` for each; then every name in it must exist. */
int sn_read_shards(sn_weights *weights, const char *index_path, int (*read)(sn_weights *, const char *, char *), char *err);

static inline uint32_t sn_le32(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static inline uint64_t sn_le64(const uint8_t *p) { return sn_le32(p) | (uint64_t)sn_le32(p + 4) << 32; }

#endif
