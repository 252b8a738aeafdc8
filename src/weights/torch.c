/* torch.save's zip files (.bin, .pt, .pth): PREFIX/data.pkl describes tensors over the stored entries PREFIX/data/KEY. Stored
 * entries lie in the file as they are, so tensors stay mapped; minizip tells where. */
#include "weights/pickle.h"
#include "weights/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <minizip/unzip.h>

#define MAX_ENTRIES (SN_WEIGHTS_MAX_TENSORS + 64)
#define MAX_ENTRY_NAME 512

typedef struct entry {
	const char *name; /* owned by the weights */
	const uint8_t *data;
	size_t size;
} entry;

typedef struct archive {
	sn_weights *weights;
	const char *path;
	entry *entries; /* by name */
	size_t count;
	const char *prefix; /* of data.pkl, with its slash */
	size_t prefix_length;
} archive;

static int by_name(const void *a, const void *b) { return strcmp(((const entry *)a)->name, ((const entry *)b)->name); }

/* Entry PREFIX/NAME, or NULL. */
static const entry *find_entry(const archive *a, const char *name, size_t length) {
	char full[MAX_ENTRY_NAME];
	if (length >= sizeof full || a->prefix_length >= sizeof full - length)
		return NULL;
	memcpy(full, a->prefix, a->prefix_length);
	memcpy(full + a->prefix_length, name, length);
	full[a->prefix_length + length] = 0;
	const entry key = { .name = full };
	return bsearch(&key, a->entries, a->count, sizeof key, by_name);
}

static int add_entry(archive *a, unzFile zip, const sn_map *map, char *err) {
	unz_file_info64 info;
	char name[MAX_ENTRY_NAME];
	if (unzGetCurrentFileInfo64(zip, &info, name, sizeof name, NULL, 0, NULL, 0) != UNZ_OK || info.size_filename >= sizeof name)
		return sn_fail(err, SN_E_MODEL, "%s: entry %zu of the zip file is malformed", a->path, a->count);
	if (info.compression_method != 0 || info.compressed_size != info.uncompressed_size)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' is compressed; torch.save stores entries as they are", a->path, name);
	ZPOS64_T at = unzOpenCurrentFile(zip) == UNZ_OK ? unzGetCurrentFileZStreamPos64(zip) : 0;
	unzCloseCurrentFile(zip);
	if (at == 0 || at > map->size || info.uncompressed_size > map->size - at)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' lies outside the file, which has %zu bytes (cut short?)",
		               a->path, name, map->size);
	int result = SN_OK;
	const char *copy = sn_weights_own_text(a->weights, name, strlen(name), &result, err);
	if (copy)
		a->entries[a->count++] = (entry){ copy, map->data + at, (size_t)info.uncompressed_size };
	return result;
}

static int list_entries(archive *a, unzFile zip, const sn_map *map, char *err) {
	unz_global_info64 info;
	if (unzGetGlobalInfo64(zip, &info) != UNZ_OK)
		return sn_fail(err, SN_E_MODEL, "%s: the zip file's directory cannot be read", a->path);
	if (info.number_entry > MAX_ENTRIES)
		return sn_fail(err, SN_E_LIMIT, "%s: the zip file has %llu entries; at most %d are read", a->path,
		               (unsigned long long)info.number_entry, MAX_ENTRIES);
	a->entries = calloc((size_t)info.number_entry + 1, sizeof *a->entries);
	if (!a->entries)
		return sn_fail(err, SN_E_MEMORY, "%s: out of memory", a->path);
	int more = info.number_entry > 0 ? unzGoToFirstFile(zip) : UNZ_END_OF_LIST_OF_FILE;
	while (more == UNZ_OK && a->count < info.number_entry) {
		int result = add_entry(a, zip, map, err);
		if (result != SN_OK)
			return result;
		more = unzGoToNextFile(zip);
	}
	if (a->count != info.number_entry)
		return sn_fail(err, SN_E_MODEL, "%s: the zip file lists %zu entries of %llu",
		               a->path, a->count, (unsigned long long)info.number_entry);
	qsort(a->entries, a->count, sizeof *a->entries, by_name);
	return SN_OK;
}

static const entry *find_pickle(archive *a) {
	for (size_t i = 0; i < a->count; i++) {
		const char *name = a->entries[i].name;
		size_t length = strlen(name);
		if (length >= 9 && strcmp(name + length - 9, "/data.pkl") == 0) {
			a->prefix = name;
			a->prefix_length = length - 8;
			return a->entries + i;
		}
	}
	return NULL;
}

/* There is at least one element. */
static int is_contiguous(const sn_pickle_tensor *t) {
	int64_t expected = 1;
	for (int i = t->rank - 1; i >= 0; expected *= t->dims[i], i--)
		if (t->dims[i] != 1 && t->strides[i] != expected)
			return 0;
	return 1;
}

/* Index of the last element that the strides reach, or -1 when the sum overflows. There is at least one element. */
static int64_t last_element(const sn_pickle_tensor *t) {
	int64_t last = t->offset;
	for (int i = 0; i < t->rank; i++) {
		int64_t step;
		if (__builtin_mul_overflow(t->dims[i] - 1, t->strides[i], &step) || __builtin_add_overflow(last, step, &last))
			return -1;
	}
	return last;
}

/* A transposed or cut tensor is copied into rows; the caller has checked its bounds, which says nothing of the strides of
 * dimensions of 1. */
static const void *gather(sn_weights *weights, const sn_pickle_tensor *t, const uint8_t *data, int64_t elements, int *result,
                          char *err) {
	size_t size = sn_dtype_size(t->dtype);
	uint8_t *out = sn_weights_own(weights, (size_t)elements * size, result, err);
	int64_t index[SN_WEIGHTS_MAX_RANK] = { 0 }, at = 0;
	for (int64_t i = 0; out && i < elements; i++) {
		memcpy(out + (size_t)i * size, data + (size_t)at * size, size);
		for (int k = t->rank - 1; k >= 0; k--) {
			if (t->dims[k] == 1)
				continue;
			at += t->strides[k];
			if (++index[k] < t->dims[k])
				break;
			at -= t->strides[k] * t->dims[k];
			index[k] = 0;
		}
	}
	return out;
}

static int add_tensor(void *payload, const char *name, const sn_pickle_tensor *t, char *err) {
	const archive *a = payload;
	char key[MAX_ENTRY_NAME];
	int length = snprintf(key, sizeof key, "data/%.*s", t->storage_length < 256 ? (int)t->storage_length : 256, t->storage);
	const entry *entry = find_entry(a, key, (size_t)length);
	if (!entry)
		return sn_fail(err, SN_E_MODEL, "%s: the storage '%s' of tensor '%s' is missing", a->path, key, name);
	size_t size = sn_dtype_size(t->dtype);
	if ((uint64_t)t->storage_elements != entry->size / size || entry->size % size)
		return sn_fail(err, SN_E_MODEL, "%s: the storage of tensor '%s' has %zu bytes; %lld elements of %s are promised",
		               a->path, name, entry->size, (long long)t->storage_elements, sn_dtype_name(t->dtype));
	int64_t elements = sn_weights_elements(t->rank, t->dims), last = elements > 0 ? last_element(t) : 0;
	if (elements < 0 || elements > t->storage_elements || last < 0 || (elements > 0 && last >= t->storage_elements))
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' reaches outside its storage of %lld elements", a->path, name,
		               (long long)t->storage_elements);
	int result = SN_OK;
	sn_weight weight = { .name = sn_weights_own_text(a->weights, name, strlen(name), &result, err), .dtype = t->dtype,
		                 .rank = t->rank, .bytes = (size_t)elements * size };
	memcpy(weight.dims, t->dims, sizeof weight.dims);
	weight.data = entry->data + (elements > 0 ? (size_t)t->offset * size : 0);
	if (result == SN_OK && elements > 0 && !is_contiguous(t))
		weight.data = gather(a->weights, t, weight.data, elements, &result, err);
	return result == SN_OK ? sn_weights_add(a->weights, &weight, a->path, err) : result;
}

int sn_read_torch(sn_weights *weights, const char *path, char *err) {
	sn_map map;
	int result = sn_weights_map(weights, path, &map, err);
	if (result != SN_OK)
		return result;
	if (map.size >= 2 && map.data[0] == 0x80)
		return sn_fail(err, SN_E_MODEL, "%s: a torch file older than version 1.6; save it again with torch.save", path);
	unzFile zip = unzOpen64(path);
	if (!zip)
		return sn_fail(err, SN_E_MODEL, "%s: not a file of torch.save (no zip directory; cut short?)", path);
	archive a = { .weights = weights, .path = path };
	result = list_entries(&a, zip, &map, err);
	unzClose(zip);
	const entry *pickle = result == SN_OK ? find_pickle(&a) : NULL, *order = pickle ? find_entry(&a, "byteorder", 9) : NULL;
	if (result == SN_OK && !pickle)
		result = sn_fail(err, SN_E_MODEL, "%s: the zip file holds no data.pkl", path);
	else if (order && (order->size != 6 || memcmp(order->data, "little", 6) != 0))
		result = sn_fail(err, SN_E_MODEL, "%s: only little-endian tensors are read", path);
	if (result == SN_OK)
		result = sn_pickle_read(pickle->data, pickle->size, path, add_tensor, &a, err);
	free(a.entries);
	return result;
}

int sn_read_torch_shards(sn_weights *weights, const char *index_path, char *err) {
	return sn_read_shards(weights, index_path, sn_read_torch, err);
}
