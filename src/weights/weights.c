#include "weights/facts.h"
#include "weights/reader.h"

#include "base/hash.h"
#include "base/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_HEADER 16384 /* bytes at the front of each file that enter the key */
#define KEY_BLOCKS 64    /* and as many blocks of this size, evenly from there to its end */
#define KEY_BLOCK 4096
#define BLOCK_SIZE 65536
#define FAULTED ((size_t)64 << 10) /* bytes of a file that the kernel maps around one that is read */
#define OWNED_BASE ((size_t)16 << 20) /* owned bytes allowed for any file, and more for each byte mapped */
#define OWNED_FACTOR 8                /* a typed int64 of ONNX takes one byte in the file */

static const struct {
	const char *name;
	size_t size;
} dtypes[] = {
	[SN_F32] = { "float32", 4 }, [SN_F16] = { "float16", 2 }, [SN_BF16] = { "bfloat16", 2 }, [SN_F64] = { "float64", 8 },
	[SN_I8] = { "int8", 1 }, [SN_U8] = { "uint8", 1 }, [SN_I16] = { "int16", 2 }, [SN_I32] = { "int32", 4 },
	[SN_I64] = { "int64", 8 }, [SN_BOOL] = { "bool", 1 },
};

size_t sn_dtype_size(sn_dtype dtype) { return dtypes[dtype].size; }
const char *sn_dtype_name(sn_dtype dtype) { return dtypes[dtype].name; }

/* ---- owned memory ---- */

struct sn_block {
	struct sn_block *next;
	size_t used, size;
	_Alignas(16) unsigned char data[];
};

size_t sn_weights_budget(const sn_weights *weights) { return OWNED_BASE + OWNED_FACTOR * weights->mapped_bytes; }

static struct sn_block *add_block(sn_weights *weights, size_t room, int *result, char *err) {
	size_t most = sn_weights_budget(weights);
	if (room > most - weights->owned_bytes) {
		*result = sn_fail(err, SN_E_LIMIT, "%s: what must be copied of it takes more than %zu bytes (%d times its size and %zu)",
		                  weights->path, most, OWNED_FACTOR, OWNED_BASE);
		return NULL;
	}
	struct sn_block *block = malloc(sizeof *block + room);
	if (!block) {
		*result = sn_fail(err, SN_E_MEMORY, "%s: out of memory for %zu bytes", weights->path, room);
		return NULL;
	}
	*block = (struct sn_block){ .next = weights->owned, .size = room };
	weights->owned = block;
	weights->owned_bytes += room;
	return block;
}

void *sn_weights_own(sn_weights *weights, size_t size, int *result, char *err) {
	struct sn_block *block = weights->owned;
	size_t whole = size > SIZE_MAX - 15 ? SIZE_MAX : (size + 15) & ~(size_t)15;
	if (!block || whole > block->size - block->used)
		block = add_block(weights, whole > BLOCK_SIZE ? whole : BLOCK_SIZE, result, err);
	if (!block)
		return NULL;
	void *data = block->data + block->used;
	block->used += whole;
	return data;
}

const char *sn_weights_own_text(sn_weights *weights, const void *text, size_t size, int *result, char *err) {
	char *copy = sn_weights_own(weights, size + 1, result, err);
	if (!copy)
		return NULL;
	if (size)
		memcpy(copy, text, size);
	copy[size] = 0;
	return copy;
}

/* ---- names: a hash table whose slots hold index + 1 of a tensor ---- */

static size_t slot_of(const sn_weights *weights, const char *name) {
	size_t at = sn_hash_text(SN_HASH_INIT, name) & (weights->slot_count - 1);
	while (weights->slots[at] && strcmp(weights->items[weights->slots[at] - 1].name, name) != 0)
		at = (at + 1) & (weights->slot_count - 1);
	return at;
}

const sn_weight *sn_weights_find(const sn_weights *weights, const char *name) {
	uint32_t index = weights->slot_count ? weights->slots[slot_of(weights, name)] : 0;
	return index ? weights->items + index - 1 : NULL;
}

size_t sn_weights_prefix(const sn_weights *weights, const char *suffix, char prefix[SN_WEIGHTS_MAX_NAME + 1]) {
	size_t tail = strlen(suffix), found = 0, shortest = 0;
	prefix[0] = 0;
	for (size_t i = 0; i < weights->count; i++) {
		const char *name = weights->items[i].name;
		size_t length = strlen(name), front = length - tail;
		if (tail > length || strcmp(name + front, suffix) != 0 || (front > 0 && name[front - 1] != '.'))
			continue;
		if (found++ == 0 || front < shortest) {
			memcpy(prefix, name, front);
			prefix[front] = 0;
			shortest = front;
		}
	}
	return found;
}

/* The tensor after the last one counted becomes known by its name. */
static int add_name(sn_weights *weights) {
	size_t index = weights->count;
	if (2 * (index + 1) > weights->slot_count) {
		size_t slot_count = weights->slot_count ? weights->slot_count * 4 : 1024;
		uint32_t *slots = calloc(slot_count, sizeof *slots);
		if (!slots)
			return SN_E_MEMORY;
		free(weights->slots);
		weights->slots = slots;
		weights->slot_count = slot_count;
		for (size_t i = 0; i < index; i++)
			slots[slot_of(weights, weights->items[i].name)] = (uint32_t)i + 1;
	}
	weights->slots[slot_of(weights, weights->items[index].name)] = (uint32_t)index + 1;
	return SN_OK;
}

/* ---- tensors ---- */

int64_t sn_weights_elements(int rank, const int64_t *dims) {
	int64_t elements = 1;
	for (int i = 0; i < rank; i++)
		if (dims[i] < 0 || __builtin_mul_overflow(elements, dims[i], &elements))
			return -1;
	return elements;
}

static int check(const sn_weights *weights, const sn_weight *weight, const char *file, char *err) {
	size_t length = strlen(weight->name);
	if (length == 0 || length > SN_WEIGHTS_MAX_NAME)
		return sn_fail(err, SN_E_MODEL, "%s: a tensor's name has %zu bytes; 1 to %d are allowed", file, length, SN_WEIGHTS_MAX_NAME);
	if (sn_weights_find(weights, weight->name))
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' occurs twice", file, weight->name);
	int64_t elements = sn_weights_elements(weight->rank, weight->dims), bytes;
	if (elements < 0 || __builtin_mul_overflow(elements, (int64_t)sn_dtype_size(weight->dtype), &bytes))
		return sn_fail(err, SN_E_MODEL, "%s: the dimensions of tensor '%s' are negative or too large", file, weight->name);
	if ((uint64_t)bytes != weight->bytes)
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has %zu bytes; its shape and type (%s) need %lld", file, weight->name,
		               weight->bytes, sn_dtype_name(weight->dtype), (long long)bytes);
	return SN_OK;
}

static void find_map(const sn_weights *weights, sn_weight *weight) {
	const uintptr_t at = (uintptr_t)weight->data;
	for (int i = 0; i < weights->map_count; i++) {
		const sn_map *const map = weights->maps + i;
		if (at >= (uintptr_t)map->data && at - (uintptr_t)map->data < map->size) {
			weight->map = map->data;
			weight->map_size = map->size;
		}
	}
	for (int i = 0; i < weights->part_count; i++)
		find_map(weights->parts[i], weight);
}

int sn_weights_add(sn_weights *weights, const sn_weight *weight, const char *file, char *err) {
	int result = check(weights, weight, file, err);
	if (result != SN_OK)
		return result;
	if (weights->count == SN_WEIGHTS_MAX_TENSORS)
		return sn_fail(err, SN_E_LIMIT, "%s: more than %d tensors", file, SN_WEIGHTS_MAX_TENSORS);
	if (weights->count == weights->capacity) {
		size_t capacity = weights->capacity ? weights->capacity * 2 : 256;
		sn_weight *items = realloc(weights->items, capacity * sizeof *items);
		if (!items)
			return sn_fail(err, SN_E_MEMORY, "%s: out of memory for %zu tensors", file, capacity);
		weights->items = items;
		weights->capacity = capacity;
	}
	weights->items[weights->count] = *weight;
	weights->items[weights->count].map = NULL;
	find_map(weights, weights->items + weights->count);
	if (add_name(weights) != SN_OK)
		return sn_fail(err, SN_E_MEMORY, "%s: out of memory for the names of tensors", file);
	weights->count++;
	return SN_OK;
}

void sn_weight_release(const sn_weight *weight, int64_t first, int64_t count) {
	const size_t size = sn_dtype_size(weight->dtype);
	if (!weight->map || count <= 0)
		return;
	if (weight->turned) { /* a row of it lies all over: the last one takes all along */
		count = (size_t)(first + count) * size == weight->bytes ? first + count : 0;
		first = 0;
	}
	const uintptr_t first_byte = (uintptr_t)weight->map, last_byte = first_byte + weight->map_size;
	uintptr_t begin = ((uintptr_t)weight->data + (size_t)first * size) / FAULTED * FAULTED;
	uintptr_t end = ((uintptr_t)weight->data + (size_t)(first + count) * size + FAULTED - 1) / FAULTED * FAULTED;
	begin = begin > first_byte ? begin : first_byte;
	end = end < last_byte ? end : last_byte;
	madvise((void *)begin, end - begin, MADV_DONTNEED); /* advice: it may fail */
}

size_t sn_weights_count(const sn_weights *weights) { return weights->count; }
const sn_weight *sn_weights_at(const sn_weights *weights, size_t index) { return weights->items + index; }
sn_layout sn_weights_layout(const sn_weights *weights) { return weights->layout; }
uint64_t sn_weights_key(const sn_weights *weights) { return weights->key; }
const char *sn_weights_path(const sn_weights *weights) { return weights->path; }

/* ---- opening ---- */

/* Another training of the same model has the same sizes and header, and the same time where an image's files have one: so samples of
 * the values, too. */
static uint64_t mix_values(uint64_t key, const sn_map *map) {
	if (map->size <= KEY_HEADER)
		return key;
	const size_t rest = map->size - KEY_HEADER;
	if (rest <= (size_t)KEY_BLOCKS * KEY_BLOCK)
		return sn_hash(key, map->data + KEY_HEADER, rest);
	const size_t gap = (rest - KEY_BLOCK) / (KEY_BLOCKS - 1);
	for (size_t i = 0; i + 1 < KEY_BLOCKS; i++)
		key = sn_hash(key, map->data + KEY_HEADER + i * gap, KEY_BLOCK);
	return sn_hash(key, map->data + map->size - KEY_BLOCK, KEY_BLOCK);
}

static uint64_t mix_file(uint64_t key, const char *path, const sn_map *map) {
	char *real = realpath(path, NULL);
	key = sn_hash_text(key, real ? real : path);
	free(real);
	struct stat st;
	if (stat(path, &st) == 0)
		key = sn_hash(key, &st.st_mtim, sizeof st.st_mtim);
	key = sn_hash(key, &map->size, sizeof map->size);
	key = sn_hash(key, map->data, map->size < KEY_HEADER ? map->size : KEY_HEADER);
	key = mix_values(key, map);
	/* Around each block the kernel has mapped as much of the file as it keeps in one piece, up to megabytes, which would count as ours. */
	madvise((void *)map->data, map->size, MADV_DONTNEED);
	return key;
}

int sn_is_lfs_pointer(const void *data, size_t size) {
	static const char mark[] = "version https://git-lfs";
	return size < 1024 && size > sizeof mark && memcmp(data, mark, sizeof mark - 1) == 0;
}

int sn_weights_map(sn_weights *weights, const char *path, sn_map *map, char *err) {
	int result = sn_map_open(map, path, err);
	if (result != SN_OK)
		return result == SN_E_FORMAT ? SN_E_MODEL : result;
	if (sn_is_lfs_pointer(map->data, map->size)) {
		sn_map_close(map);
		return sn_fail(err, SN_E_MODEL, SN_LFS_POINTER, path);
	}
	sn_map *maps = map->size ? realloc(weights->maps, (size_t)(weights->map_count + 1) * sizeof *maps) : NULL;
	if (!maps) {
		result = map->size ? sn_fail(err, SN_E_MEMORY, "out of memory for '%s'", path)
		                   : sn_fail(err, SN_E_MODEL, "'%s' is empty", path);
		sn_map_close(map);
		return result;
	}
	weights->maps = maps;
	weights->maps[weights->map_count++] = *map;
	weights->mapped_bytes += map->size;
	weights->key = mix_file(weights->key, path, map);
	return SN_OK;
}

typedef enum match { WHOLE, END, FRONT, PATH } match;

/* The formats by file name, and the order in which a directory is searched. WHOLE: that very name; END and FRONT: names that
 * end or begin so, of which a directory must hold exactly one; those that begin so have no extension. PATH: names that end so,
 * of files that are only read when they are named themselves. */
static const struct format {
	const char *name;
	match match;
	sn_layout layout;
	int (*read)(sn_weights *, const char *, char *);
} formats[] = {
	{ "model.safetensors", WHOLE, SN_LAYOUT_SAFETENSORS, sn_read_safetensors },
	{ "model.safetensors.index.json", WHOLE, SN_LAYOUT_SAFETENSORS, sn_read_safetensors_shards },
	{ "model.bin", WHOLE, SN_LAYOUT_CTRANSLATE2, sn_read_ctranslate2 },
	{ "pytorch_model.bin", WHOLE, SN_LAYOUT_TORCH, sn_read_torch },
	{ "pytorch_model.bin.index.json", WHOLE, SN_LAYOUT_TORCH, sn_read_torch_shards },
	{ "model_file.pth", WHOLE, SN_LAYOUT_TORCH, sn_read_torch },
	{ "best_model.pth", WHOLE, SN_LAYOUT_TORCH, sn_read_torch },
	{ "model_file.pth.tar", WHOLE, SN_LAYOUT_TORCH, sn_read_torch },
	{ "best_model.pth.tar", WHOLE, SN_LAYOUT_TORCH, sn_read_torch },
	{ "embedding_model.ckpt", WHOLE, SN_LAYOUT_TORCH, sn_read_torch },
	{ "generator.ckpt", WHOLE, SN_LAYOUT_TORCH, sn_read_torch },
	{ "_statedict.pt", END, SN_LAYOUT_TORCH, sn_read_torch },
	{ "generator", FRONT, SN_LAYOUT_TORCH, sn_read_torch },
	{ "g_", FRONT, SN_LAYOUT_TORCH, sn_read_torch },
	{ "checkpoint_", FRONT, SN_LAYOUT_TORCH, sn_read_torch },
	{ ".safetensors", END, SN_LAYOUT_SAFETENSORS, sn_read_safetensors },
	{ ".safetensors.index.json", END, SN_LAYOUT_SAFETENSORS, sn_read_safetensors_shards },
	{ ".bin.index.json", PATH, SN_LAYOUT_TORCH, sn_read_torch_shards },
	{ ".onnx", END, SN_LAYOUT_ONNX, sn_read_onnx },
	{ ".pt", END, SN_LAYOUT_TORCH, sn_read_torch },
	{ ".pth", END, SN_LAYOUT_TORCH, sn_read_torch },
	{ ".bin", END, SN_LAYOUT_TORCH, sn_read_torch },
	{ ".ckpt", END, SN_LAYOUT_TORCH, sn_read_torch },
	{ ".npy", PATH, SN_LAYOUT_NUMPY, sn_read_npy },
	{ ".npz", PATH, SN_LAYOUT_NUMPY, sn_read_npz },
};
#define FORMATS (sizeof formats / sizeof formats[0])

static int matches(const struct format *format, const char *name) {
	if (format->match == WHOLE)
		return strcmp(name, format->name) == 0;
	if (format->match == FRONT)
		return strncmp(name, format->name, strlen(format->name)) == 0 && !strchr(name, '.');
	return sn_path_ends_with(name, format->name);
}

/* Looks in directory `dir` for files of the format; returns how many and the first in file[SN_PATH_MAX]. Folders are none. */
static int count_files(const char *dir, const struct format *format, char *file) {
	DIR *list = opendir(dir);
	int count = 0;
	for (struct dirent *entry; list && (entry = readdir(list));)
		if (entry->d_name[0] != '.' && entry->d_type != DT_DIR && matches(format, entry->d_name) && ++count == 1 &&
		    !sn_path_join(file, dir, entry->d_name))
			count--;
	if (list)
		closedir(list);
	return count;
}

static int choose_in_directory(const char *dir, char *file, const struct format **format, char *err) {
	for (size_t i = 0; i < FORMATS; i++) {
		struct stat st;
		*format = formats + i;
		if (formats[i].match == PATH)
			continue;
		if (formats[i].match == WHOLE) {
			if (sn_path_join(file, dir, formats[i].name) && stat(file, &st) == 0)
				return SN_OK;
			continue;
		}
		int count = count_files(dir, formats + i, file);
		if (count == 1)
			return SN_OK;
		if (count > 1)
			return sn_fail(err, SN_E_MODEL, formats[i].match == END ? "'%s' holds %d files *%s; name one of them"
			                                                        : "'%s' holds %d files %s*; name one of them",
			               dir, count, formats[i].name);
	}
	return sn_fail(err, SN_E_NOT_FOUND,
	               "'%s' holds no weights: looked for model.safetensors, pytorch_model.bin (or their .index.json), model.bin, "
	               "*.safetensors, *.onnx, *.pt, *.pth, *.bin, *.ckpt, generator*, g_* and checkpoint_*", dir);
}

/* A file of another name is known by its first bytes, when these can belong to nothing else. */
static const struct format *recognise(const char *path) {
	char head[8] = { 0 };
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t size = file >= 0 ? read(file, head, sizeof head) : 0;
	if (file >= 0)
		close(file);
	const char *as = size < 6                                           ? NULL
	                 : memcmp(head, "\x93NUMPY", 6) == 0                ? ".npy"
	                 : memcmp(head, "PK\3\4", 4) == 0                   ? ".pt"
	                 : head[0] == '\x80' && head[1] >= 2 && head[1] <= 5 ? ".pt"
	                                                                    : NULL;
	for (size_t i = 0; as && i < FORMATS; i++)
		if (strcmp(formats[i].name, as) == 0)
			return formats + i;
	return NULL;
}

static int choose(const char *path, char *file, const struct format **format, char *err) {
	struct stat st;
	if (stat(path, &st) != 0)
		return sn_fail_errno(err, "cannot open '%s'", path);
	if (S_ISDIR(st.st_mode))
		return choose_in_directory(path, file, format, err);
	if (snprintf(file, SN_PATH_MAX, "%s", path) >= SN_PATH_MAX)
		return sn_fail(err, SN_E_ARGUMENT, "a path of %zu bytes is too long", strlen(path));
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	*format = NULL;
	for (size_t i = 0; i < FORMATS && !*format; i++)
		if (formats[i].match != FRONT && matches(formats + i, base))
			*format = formats + i;
	if (!*format)
		*format = recognise(path);
	return *format ? SN_OK
	               : sn_fail(err, SN_E_MODEL,
	                         "'%s' is no known kind of weights: *.safetensors and *.bin (or their .index.json), *.pt, *.pth, *.ckpt, "
	                         "*.onnx, *.npy, *.npz, CTranslate2's model.bin, and other files of torch.save are read", path);
}

int sn_weights_open(sn_weights **out, const char *path, char *err) {
	char file[SN_PATH_MAX];
	const struct format *format = NULL;
	*out = NULL;
	int result = choose(path, file, &format, err);
	if (result != SN_OK)
		return result;
	sn_weights *weights = calloc(1, sizeof *weights);
	if (!weights || !(weights->path = strdup(file)))
		result = sn_fail(err, SN_E_MEMORY, "out of memory for '%s'", file);
	if (result == SN_OK) {
		weights->layout = format->layout;
		weights->key = SN_HASH_INIT;
		result = format->read(weights, file, err);
	}
	if (result != SN_OK) {
		sn_weights_close(&weights);
		return result;
	}
	*out = weights;
	return SN_OK;
}

void sn_weights_close(sn_weights **out) {
	sn_weights *weights = *out;
	*out = NULL;
	if (!weights)
		return;
	for (int i = 0; i < weights->part_count; i++)
		sn_weights_close(weights->parts + i);
	for (int i = 0; i < weights->map_count; i++)
		sn_map_close(weights->maps + i);
	for (struct sn_block *block = weights->owned, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	free(weights->parts);
	free(weights->maps);
	free(weights->items);
	free(weights->slots);
	free(weights->facts);
	free(weights->fact_slots);
	free(weights->nodes);
	free(weights->path);
	free(weights);
}
