/* Tensors of an .onnx file that lie in files beside it. */
#include "weights/reader.h"

#include "base/path.h"

#include <stdio.h>
#include <string.h>

/* 0 when `text` is no whole number. */
static int parse(const char *text, uint64_t *value) {
	*value = 0;
	if (!*text || strlen(text) > 18)
		return 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		*value = *value * 10 + (uint64_t)(*text - '0');
	}
	return 1;
}

/* A file of the directory that the .onnx file is in, never one elsewhere. */
static int is_plain_name(const char *name) { return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0; }

static int open_file(sn_weights *weights, sn_onnx_external *files, const char *path, const char *tensor, const char *location,
                     const sn_map **map, char *err) {
	char dir[SN_PATH_MAX], file[SN_PATH_MAX];
	for (int i = 0; i < files->count; i++)
		if (strcmp(files->files[i].location, location) == 0) {
			*map = &files->files[i].map;
			return SN_OK;
		}
	if (files->count == SN_WEIGHTS_MAX_SHARDS)
		return sn_fail(err, SN_E_LIMIT, "%s: its tensors lie in more than %d files", path, SN_WEIGHTS_MAX_SHARDS);
	snprintf(dir, sizeof dir, "%s", path);
	char *const slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = 0;
	if (!sn_path_join(file, slash ? dir : ".", location))
		return sn_fail(err, SN_E_LIMIT, "%s: the path of '%.200s' beside it is too long", path, location);
	int result = sn_weights_map(weights, file, &files->files[files->count].map, err);
	if (result == SN_E_NOT_FOUND)
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' lies in '%.200s', which is not beside it", path, tensor, location);
	if (result != SN_OK)
		return result;
	files->files[files->count].location = location;
	*map = &files->files[files->count++].map;
	return SN_OK;
}

int sn_onnx_external_find(sn_weights *weights, sn_onnx_external *files, const char *path, const char *tensor, const char *location,
                          const char *offset, const char *length, size_t size, const void **data, char *err) {
	const sn_map *map;
	uint64_t at = 0, given = size;
	if (!location || !is_plain_name(location))
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' lies in '%.200s'; the name of a file beside it is expected", path, tensor,
		               location ? location : "");
	if ((offset && !parse(offset, &at)) || (length && !parse(length, &given)))
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has the offset '%.40s' and the length '%.40s'; whole numbers are expected", path, tensor,
		               offset ? offset : "0", length ? length : "");
	if (given != size)
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has %llu bytes in '%.200s'; its shape and type need %zu", path, tensor,
		               (unsigned long long)given, location, size);
	int result = open_file(weights, files, path, tensor, location, &map, err);
	if (result != SN_OK)
		return result;
	if (at > map->size || size > map->size - at)
		return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has %zu bytes at %llu of '%.200s', which has %zu (cut short?)", path, tensor, size,
		               (unsigned long long)at, location, map->size);
	*data = map->data + at;
	return SN_OK;
}
