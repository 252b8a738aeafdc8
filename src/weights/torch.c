/* Files of torch.save (.bin, .pt, .pth, .ckpt). Since version 1.6 a zip file: PREFIX/data.pkl describes tensors over the
 * stored entries PREFIX/data/KEY. Before, a stream: magic number, protocol and facts of the machine, each a pickle; the
 * pickle of the object; the pickled list of its storages' keys; then each storage as a count of elements and these. Either
 * way tensors lie in the file as they are and stay mapped. */
#include "weights/pickle.h"
#include "weights/reader.h"
#include "weights/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
	sn_weights *weights;
	const char *path;
	const sn_zip *zip;
	const char *prefix; /* of data.pkl, with its slash */
	int prefix_length;
	struct segment *segments; /* the older stream's storages, by key */
	size_t segment_count;
} reader;

static int add_tensor(const reader *r, const char *name, const sn_pickle_tensor *t, const uint8_t *data, size_t bytes, char *err) {
	size_t size = sn_dtype_size(t->storage.dtype);
	if ((uint64_t)t->storage.elements != bytes / size || bytes % size)
		return sn_fail(err, SN_E_MODEL, "%s: the storage of tensor '%s' has %zu bytes; %lld elements of %s are promised", r->path, name,
		               bytes, (long long)t->storage.elements, sn_dtype_name(t->storage.dtype));
	sn_weights_view view = { .dtype = t->storage.dtype, .storage = data + (size_t)t->storage.begin * size,
		                     .elements = t->storage.end - t->storage.begin, .offset = t->offset, .rank = t->rank };
	memcpy(view.dims, t->dims, sizeof view.dims);
	memcpy(view.strides, t->strides, sizeof view.strides);
	return sn_weights_add_view(r->weights, name, &view, r->path, err);
}

/* ---- the zip file ---- */

static int add_from_zip(void *payload, const char *name, const sn_pickle_tensor *t, char *err) {
	const reader *r = payload;
	char key[SN_ZIP_MAX_NAME];
	int length = (int)(t->storage.key_length < 256 ? t->storage.key_length : 256);
	int fits = snprintf(key, sizeof key, "%.*sdata/%.*s", r->prefix_length, r->prefix, length, t->storage.key) < (int)sizeof key;
	const sn_zip_entry *entry = fits ? sn_zip_find(r->zip, key) : NULL;
	if (!entry)
		return sn_fail(err, SN_E_MODEL, "%s: the storage '%s' of tensor '%s' is missing", r->path, key, name);
	return add_tensor(r, name, t, entry->data, entry->size, err);
}

static const sn_zip_entry *find_pickle(reader *r) {
	for (size_t i = 0; i < r->zip->count; i++) {
		const char *name = r->zip->by_name[i].name;
		size_t length = strlen(name);
		if (length >= 9 && strcmp(name + length - 9, "/data.pkl") == 0) {
			r->prefix = name;
			r->prefix_length = (int)length - 8;
			return r->zip->by_name + i;
		}
	}
	return NULL;
}

static int read_archive(reader *r, char *err) {
	const sn_zip_entry *data = find_pickle(r);
	if (!data)
		return sn_fail(err, SN_E_MODEL, "%s: not a file of torch.save: the zip file holds no data.pkl", r->path);
	char name[SN_ZIP_MAX_NAME + 16];
	snprintf(name, sizeof name, "%.*sbyteorder", r->prefix_length, r->prefix);
	const sn_zip_entry *order = sn_zip_find(r->zip, name);
	if (order && (order->size != 6 || memcmp(order->data, "little", 6) != 0))
		return sn_fail(err, SN_E_MODEL, "%s: only little-endian tensors are read", r->path);
	sn_pickle *pickle;
	size_t used;
	int result = sn_pickle_read(&pickle, data->data, data->size, r->path, sn_weights_budget(r->weights), &used, err);
	if (result == SN_OK)
		result = sn_pickle_walk(pickle, r->weights, add_from_zip, r, err);
	sn_pickle_close(&pickle);
	return result;
}

static int read_zip(reader *r, const sn_map *map, char *err) {
	sn_zip zip;
	int result = sn_zip_open(&zip, r->weights, r->path, map, 0, "torch.save stores entries as they are", err);
	if (result != SN_OK)
		return result;
	r->zip = &zip;
	result = read_archive(r, err);
	sn_zip_close(&zip);
	return result;
}

/* ---- the older stream ---- */

/* A storage of the file; before it is found there, one that the pickle names. */
typedef struct segment {
	const sn_pickle_storage *storage;
	const uint8_t *data;
	size_t bytes;
} segment;

static int compare_keys(const sn_pickle_storage *a, const sn_pickle_storage *b) {
	size_t least = a->key_length < b->key_length ? a->key_length : b->key_length;
	int order = least ? memcmp(a->key, b->key, least) : 0;
	return order ? order : (a->key_length > b->key_length) - (a->key_length < b->key_length);
}

static int by_key(const void *a, const void *b) {
	return compare_keys(((const segment *)a)->storage, ((const segment *)b)->storage);
}

static segment *find_segment(const reader *r, const sn_pickle_storage *storage) {
	const segment wanted = { .storage = storage };
	return bsearch(&wanted, r->segments, r->segment_count, sizeof wanted, by_key);
}

static int list_segments(reader *r, const sn_pickle *pickle, char *err) {
	size_t count = sn_pickle_storage_count(pickle);
	r->segments = calloc(count + 1, sizeof *r->segments);
	if (!r->segments)
		return sn_fail(err, SN_E_MEMORY, "%s: out of memory for %zu storages", r->path, count);
	for (size_t i = 0; i < count; i++)
		r->segments[i].storage = sn_pickle_storage_at(pickle, i);
	qsort(r->segments, count, sizeof *r->segments, by_key);
	for (size_t i = 0; i < count; i++) {
		const sn_pickle_storage *s = r->segments[i].storage;
		const sn_pickle_storage *before = r->segment_count ? r->segments[r->segment_count - 1].storage : NULL;
		if (!before || compare_keys(before, s) != 0)
			r->segments[r->segment_count++] = r->segments[i];
		else if (before->dtype != s->dtype || before->elements != s->elements)
			return sn_fail(err, SN_E_MODEL, "%s: storage '%.*s' is said to have %lld elements of %s and %lld of %s", r->path,
			               (int)(s->key_length < 80 ? s->key_length : 80), s->key, (long long)before->elements,
			               sn_dtype_name(before->dtype), (long long)s->elements, sn_dtype_name(s->dtype));
	}
	return SN_OK;
}

/* Storage after storage from byte `at` on: int64 count, elements. */
static int place_segments(reader *r, const sn_map *map, size_t at, sn_pickle *keys, char *err) {
	uint32_t cursor = 0;
	sn_pickle_storage wanted = { 0 };
	while ((wanted.key = sn_pickle_text(keys, &cursor, &wanted.key_length))) {
		int length = (int)(wanted.key_length < 80 ? wanted.key_length : 80);
		segment *s = find_segment(r, &wanted);
		if (!s || s->data)
			return sn_fail(err, SN_E_MODEL, "%s: storage '%.*s' %s", r->path, length, wanted.key,
			               s ? "occurs twice" : "belongs to no tensor");
		uint64_t count = map->size - at >= 8 ? sn_le64(map->data + at) : 0, size = sn_dtype_size(s->storage->dtype);
		if (map->size - at < 8 || count > (map->size - at - 8) / size)
			return sn_fail(err, SN_E_MODEL, "%s: storage '%.*s' ends outside the file, which has %zu bytes (cut short?)", r->path,
			               length, wanted.key, map->size);
		s->data = map->data + at + 8;
		s->bytes = (size_t)(count * size);
		at += 8 + s->bytes;
	}
	return SN_OK;
}

static int add_from_stream(void *payload, const char *name, const sn_pickle_tensor *t, char *err) {
	const reader *r = payload;
	const segment *s = find_segment(r, &t->storage);
	if (!s || !s->data)
		return sn_fail(err, SN_E_MODEL, "%s: the storage of tensor '%s' is missing", r->path, name);
	return add_tensor(r, name, t, s->data, s->bytes, err);
}

static int read_object(reader *r, const sn_map *map, sn_pickle *object, size_t at, char *err) {
	sn_pickle *keys;
	size_t used = 0;
	int result = sn_pickle_read(&keys, map->data + at, map->size - at, r->path, sn_weights_budget(r->weights), &used, err);
	if (result == SN_OK)
		result = list_segments(r, object, err);
	if (result == SN_OK)
		result = place_segments(r, map, at + used, keys, err);
	if (result == SN_OK)
		result = sn_pickle_walk(object, r->weights, add_from_stream, r, err);
	free(r->segments);
	sn_pickle_close(&keys);
	return result;
}

/* 1 for what pickle `index` at the front of a stream must be. */
static int is_front(sn_pickle *pickle, int index) {
	static const uint8_t magic[] = { 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19 };
	return index == 0   ? sn_pickle_is_long(pickle, magic, sizeof magic)
	       : index == 1 ? sn_pickle_is_integer(pickle, 1001)
	                    : sn_pickle_says_true(pickle, "little_endian");
}

static int read_stream(reader *r, const sn_map *map, char *err) {
	static const char *const front[] = { "magic number of torch.save", "protocol version 1001", "word that it is little-endian" };
	size_t at = 0, used = 0;
	sn_pickle *pickle = NULL;
	int result = SN_OK;
	for (int i = 0; i < 4 && result == SN_OK; i++, at += used) {
		sn_pickle_close(&pickle);
		result = sn_pickle_read(&pickle, map->data + at, map->size - at, r->path, sn_weights_budget(r->weights), &used, err);
		if (result == SN_OK && i < 3 && !is_front(pickle, i))
			result = sn_fail(err, SN_E_MODEL, "%s: a pickle without the %s, at byte %zu", r->path, front[i], at);
	}
	if (result == SN_OK)
		result = read_object(r, map, pickle, at, err);
	sn_pickle_close(&pickle);
	return result;
}

int sn_read_torch(sn_weights *weights, const char *path, char *err) {
	sn_map map;
	int result = sn_weights_map(weights, path, &map, err);
	if (result != SN_OK)
		return result;
	reader r = { .weights = weights, .path = path };
	if (map.data[0] == 0x80)
		return read_stream(&r, &map, err);
	if (map.size < 4 || memcmp(map.data, "PK\3\4", 4) != 0)
		return sn_fail(err, SN_E_MODEL, "%s: not a file of torch.save, which begins with a zip entry or a pickle", path);
	return read_zip(&r, &map, err);
}

int sn_read_torch_shards(sn_weights *weights, const char *index_path, char *err) {
	return sn_read_shards(weights, index_path, sn_read_torch, err);
}
