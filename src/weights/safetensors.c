/* safetensors: u64 header size, JSON header { name: { dtype, shape, data_offsets } }, then the bytes. Offsets count from the
 * end of the header. As the reference reader demands, the tensors cover the rest of the file without gap or overlap. */
#include "weights/quantize.h"
#include "weights/reader.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_MAX ((size_t)100 << 20)

typedef struct span {
	sn_weight weight;
	uint64_t begin, end;
} span;

static const struct {
	const char *name;
	sn_dtype dtype;
} names[] = {
	{ "F32", SN_F32 }, { "F16", SN_F16 }, { "BF16", SN_BF16 }, { "F64", SN_F64 }, { "I8", SN_I8 },
	{ "U8", SN_U8 },   { "I16", SN_I16 }, { "I32", SN_I32 },   { "I64", SN_I64 }, { "BOOL", SN_BOOL },
};

static int read_dtype(const char *file, const char *name, const json_t *entry, sn_dtype *dtype, char *err) {
	const char *text = json_string_value(json_object_get(entry, "dtype"));
	for (size_t i = 0; text && i < sizeof names / sizeof names[0]; i++)
		if (strcmp(text, names[i].name) == 0) {
			*dtype = names[i].dtype;
			return SN_OK;
		}
	return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has the dtype '%s'; F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL are read",
	               file, name, text ? text : "(none)");
}

static int read_shape(const char *file, const char *name, const json_t *entry, sn_weight *weight, char *err) {
	const json_t *shape = json_object_get(entry, "shape");
	size_t rank = json_array_size(shape);
	if (!json_is_array(shape) || rank > SN_WEIGHTS_MAX_RANK)
		return sn_fail(err, SN_E_MODEL, "%s: the shape of tensor '%s' must be a list of at most %d integers",
		               file, name, SN_WEIGHTS_MAX_RANK);
	weight->rank = (int)rank;
	for (size_t i = 0; i < rank; i++) {
		const json_t *dim = json_array_get(shape, i);
		weight->dims[i] = json_integer_value(dim);
		if (!json_is_integer(dim) || weight->dims[i] < 0)
			return sn_fail(err, SN_E_MODEL, "%s: dimension %zu of tensor '%s' is not a non-negative integer", file, i, name);
	}
	return SN_OK;
}

static int read_offsets(const char *file, const char *name, const json_t *entry, uint64_t size, span *span, char *err) {
	const json_t *offsets = json_object_get(entry, "data_offsets");
	const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
	json_int_t from = json_integer_value(begin), to = json_integer_value(end);
	if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) || from < 0 || to < from)
		return sn_fail(err, SN_E_MODEL, "%s: data_offsets of tensor '%s' must be two integers, begin <= end", file, name);
	if ((uint64_t)to > size)
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' ends at byte %lld of the data; there are %llu (is the file cut short?)",
		               file, name, (long long)to, (unsigned long long)size);
	span->begin = (uint64_t)from;
	span->end = (uint64_t)to;
	return SN_OK;
}

static int by_offset(const void *a, const void *b) {
	const span *x = a, *y = b;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

/* ---- what quantize.h says of such a file ---- */

/* The scales of a matrix: checked here, and read where they lie. */
static int bind_scales(const char *file, const sn_map *map, size_t header, const json_t *object, sn_weight *weight, char *err) {
	char name[SN_WEIGHTS_MAX_NAME + 32];
	span scales = { .begin = 0 };
	snprintf(name, sizeof name, "%s" SN_QUANTIZED_SCALE, weight->name);
	const json_t *const entry = json_object_get(object, name);
	if (!entry)
		return SN_OK; /* integers */
	int result = read_dtype(file, name, entry, &scales.weight.dtype, err);
	if (result == SN_OK)
		result = read_shape(file, name, entry, &scales.weight, err);
	if (result == SN_OK)
		result = read_offsets(file, name, entry, map->size - header, &scales, err);
	if (result != SN_OK)
		return result;
	const int64_t rows = weight->rank > 0 ? weight->dims[0] : -1;
	if (scales.weight.dtype != SN_F32 || scales.weight.rank != 1 || scales.weight.dims[0] != rows || (scales.end - scales.begin) / sizeof(float) != (uint64_t)rows ||
	    (scales.end - scales.begin) % sizeof(float) != 0)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' must be a row of %lld float32, one for each row of '%s'", file, name, (long long)rows, weight->name);
	const uint8_t *const at = map->data + header + scales.begin;
	for (int64_t i = 0; i < rows; i++) {
		float value;
		memcpy(&value, at + (size_t)i * sizeof value, sizeof value);
		if (!(value > 0) || !isfinite(value))
			return sn_fail(err, SN_E_MODEL, "%s: '%s' holds the scale %g; it must be positive and finite", file, name, (double)value);
	}
	weight->row_scale = (const float *)(const void *)at;
	return SN_OK;
}

/* Scales belong to their matrices and are no tensors of the model. */
static int is_scales(const json_t *object, const char *name) {
	char of[SN_WEIGHTS_MAX_NAME + 1];
	const size_t length = strlen(name), tail = strlen(SN_QUANTIZED_SCALE);
	if (length <= tail || length - tail >= sizeof of || strcmp(name + length - tail, SN_QUANTIZED_SCALE) != 0)
		return 0;
	snprintf(of, sizeof of, "%.*s", (int)(length - tail), name);
	const char *const type = json_string_value(json_object_get(json_object_get(object, of), "dtype"));
	return type && strcmp(type, "I8") == 0;
}

/* Second names, and whose names they are. */
static int read_facts(sn_weights *weights, const char *file, json_t *facts, char *err) {
	const char *key, *layout = json_string_value(json_object_get(facts, SN_QUANTIZED_LAYOUT));
	const size_t front = strlen(SN_QUANTIZED_ALIAS);
	json_t *value;
	int result = SN_OK;
	if (layout && strcmp(layout, "ctranslate2") == 0)
		weights->layout = SN_LAYOUT_CTRANSLATE2;
	json_object_foreach(facts, key, value) {
		const sn_weight *const target = strncmp(key, SN_QUANTIZED_ALIAS, front) == 0 && json_is_string(value) ? sn_weights_find(weights, json_string_value(value)) : NULL;
		if (!target)
			continue;
		sn_weight copy = *target;
		copy.name = sn_weights_own_text(weights, key + front, strlen(key + front), &result, err);
		if (copy.name)
			result = sn_weights_add(weights, &copy, file, err);
		if (result != SN_OK)
			return result;
	}
	return SN_OK;
}

static int add_all(sn_weights *weights, const char *file, const sn_map *map, size_t header, json_t *object, span *spans, size_t count, char *err) {
	json_t *const facts = json_object_get(object, "__metadata__");
	const int quantized = json_is_string(json_object_get(facts, SN_QUANTIZED_KEY));
	uint64_t at = 0, size = map->size - header;
	qsort(spans, count, sizeof *spans, by_offset);
	for (size_t i = 0; i < count; i++) {
		sn_weight *weight = &spans[i].weight;
		if (spans[i].begin != at)
			return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' begins at byte %llu of the data; the one before ends at %llu",
			               file, weight->name, (unsigned long long)spans[i].begin, (unsigned long long)at);
		at = spans[i].end;
		if (quantized && is_scales(object, weight->name))
			continue;
		int result = quantized && weight->dtype == SN_I8 ? bind_scales(file, map, header, object, weight, err) : SN_OK;
		if (result != SN_OK)
			return result;
		weight->data = map->data + header + spans[i].begin;
		weight->bytes = (size_t)(spans[i].end - spans[i].begin);
		weight->name = sn_weights_own_text(weights, weight->name, strlen(weight->name), &result, err);
		if (weight->name)
			result = sn_weights_add(weights, weight, file, err);
		if (result != SN_OK)
			return result;
	}
	if (at != size)
		return sn_fail(err, SN_E_MODEL, "%s: the tensors cover %llu bytes of data; there are %llu", file, (unsigned long long)at,
		               (unsigned long long)size);
	return quantized ? read_facts(weights, file, facts, err) : SN_OK;
}

/* Names of the spans stay borrowed from `object` until they are added. */
static int read_entries(const char *file, json_t *object, uint64_t size, span *spans, size_t *count, char *err) {
	const char *name;
	json_t *entry;
	json_object_foreach(object, name, entry) {
		if (strcmp(name, "__metadata__") == 0)
			continue;
		span *span = spans + (*count)++;
		span->weight.name = name;
		int result = read_dtype(file, name, entry, &span->weight.dtype, err);
		if (result == SN_OK)
			result = read_shape(file, name, entry, &span->weight, err);
		if (result == SN_OK)
			result = read_offsets(file, name, entry, size, span, err);
		if (result != SN_OK)
			return result;
	}
	return SN_OK;
}

int sn_read_safetensors(sn_weights *weights, const char *path, char *err) {
	sn_map map;
	int result = sn_weights_map(weights, path, &map, err);
	if (result != SN_OK)
		return result;
	uint64_t length = map.size >= 8 ? sn_le64(map.data) : 0;
	if (map.size < 8 || length > map.size - 8)
		return sn_fail(err, SN_E_MODEL, "%s: the header claims %llu bytes, the file has %zu (cut short, or no safetensors file)",
		               path, (unsigned long long)length, map.size);
	if (length > HEADER_MAX)
		return sn_fail(err, SN_E_LIMIT, "%s: the header has %llu bytes; at most %zu are read",
		               path, (unsigned long long)length, HEADER_MAX);
	json_error_t where;
	json_t *object = json_loadb((const char *)map.data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &where);
	if (!json_is_object(object)) {
		json_decref(object);
		return sn_fail(err, SN_E_MODEL, "%s: the header is not a JSON object: %s", path, object ? "another type" : where.text);
	}
	size_t entries = json_object_size(object), count = 0;
	int few = entries <= SN_WEIGHTS_MAX_TENSORS + 1; /* one may be __metadata__ */
	span *spans = few ? calloc(entries + 1, sizeof *spans) : NULL;
	if (!few)
		result = sn_fail(err, SN_E_LIMIT, "%s: %zu tensors are more than %d", path, entries, SN_WEIGHTS_MAX_TENSORS);
	else if (!spans)
		result = sn_fail(err, SN_E_MEMORY, "%s: out of memory for %zu tensors", path, entries);
	if (result == SN_OK)
		result = read_entries(path, object, map.size - 8 - length, spans, &count, err);
	if (result == SN_OK)
		result = add_all(weights, path, &map, 8 + (size_t)length, object, spans, count, err);
	free(spans);
	json_decref(object);
	return result;
}

/* ---- shards ---- */

static int read_shard(sn_weights *weights, const char *index_path, const char *name, int (*read)(sn_weights *, const char *, char *),
                      char *err) {
	if (!name || !*name || strchr(name, '/') || strcmp(name, "..") == 0)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' is no name of a shard; it must be a file beside the index",
		               index_path, name ? name : "(no text)");
	const char *slash = strrchr(index_path, '/');
	size_t dir = slash ? (size_t)(slash - index_path) + 1 : 0;
	char *path = malloc(dir + strlen(name) + 1);
	if (!path)
		return sn_fail(err, SN_E_MEMORY, "%s: out of memory", index_path);
	memcpy(path, index_path, dir);
	strcpy(path + dir, name);
	int result = read(weights, path, err);
	free(path);
	return result;
}

/* `ends` has, for each shard in the order of reading, how many tensors there were behind it. */
static int check_place(const sn_weights *weights, const char *index_path, json_t *ends, const char *name, const char *shard, char *err) {
	const sn_weight *const weight = sn_weights_find(weights, name);
	const char *lies = "", *key;
	json_t *end;
	json_object_foreach(ends, key, end)
		if (!*lies && weight && weight - weights->items < json_integer_value(end))
			lies = key;
	if (!weight)
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' is not in '%s'", index_path, name, shard);
	if (strcmp(lies, shard) != 0)
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' lies in '%s', the index names '%s'", index_path, name, lies, shard);
	return SN_OK;
}

int sn_read_shards(sn_weights *weights, const char *index_path, int (*read)(sn_weights *, const char *, char *), char *err) {
	json_t *index;
	int result = sn_json_file(&index, index_path, err);
	if (result != SN_OK)
		return result == SN_E_FORMAT ? SN_E_MODEL : result;
	const json_t *list = json_object_get(index, "weight_map");
	if (!json_is_object(list))
		result = sn_fail(err, SN_E_MODEL, "%s: 'weight_map' must be an object of tensor names and files", index_path);
	json_t *seen = json_object();
	const char *name;
	json_t *file;
	json_object_foreach((json_t *)list, name, file) {
		const char *shard = json_string_value(file);
		if (result != SN_OK || (shard && json_object_get(seen, shard)))
			continue;
		if (json_object_size(seen) == SN_WEIGHTS_MAX_SHARDS)
			result = sn_fail(err, SN_E_LIMIT, "%s: more than %d shards", index_path, SN_WEIGHTS_MAX_SHARDS);
		else
			result = read_shard(weights, index_path, shard, read, err);
		if (result == SN_OK && json_object_set_new(seen, shard, json_integer((json_int_t)weights->count)) != 0)
			result = sn_fail(err, SN_E_MEMORY, "%s: out of memory", index_path);
	}
	if (result == SN_OK && json_object_size(list) == 0)
		result = sn_fail(err, SN_E_MODEL, "%s: 'weight_map' lists no tensor", index_path);
	json_object_foreach((json_t *)list, name, file)
		if (result == SN_OK)
			result = check_place(weights, index_path, seen, name, json_string_value(file), err);
	json_decref(seen);
	json_decref(index);
	return result;
}

int sn_read_safetensors_shards(sn_weights *weights, const char *index_path, char *err) {
	return sn_read_shards(weights, index_path, sn_read_safetensors, err);
}
