#include "text/files.h"

#include "base/map.h"

#include <errno.h>
#include <unistd.h>

int sn_text_path(char path[SN_PATH_MAX], const char *dir, const char *name, char *err) {
	if (!sn_path_join(path, dir, name))
		return sn_fail(err, SN_E_LIMIT, "the path '%.100s.../%s' is too long", dir, name);
	return SN_OK;
}

int sn_text_has(const char *dir, const char *name) {
	char path[SN_PATH_MAX];
	return sn_path_join(path, dir, name) && access(path, F_OK) == 0;
}

static int read_loosely(json_t **out, const char *path, char *err) {
	sn_map map;
	json_error_t where;
	int result = sn_map_open(&map, path, err);
	if (result != SN_OK)
		return result;
	if (map.size > SN_JSON_MAX)
		result = sn_fail(err, SN_E_LIMIT, "%s has %zu bytes; at most %zu are read as JSON", path, map.size, SN_JSON_MAX);
	const int before = errno; /* may tell a caller that memory ran out earlier */
	errno = 0;
	if (result == SN_OK && !(*out = json_loadb(map.data ? (const char *)map.data : "", map.size, JSON_DECODE_INT_AS_REAL, &where)))
		result = sn_json_refused(&where, SN_E_FORMAT, path, err);
	else
		errno = before;
	sn_map_close(&map);
	return result;
}

int sn_text_json(json_t **out, const char *dir, const char *name, int optional, int loose, char *err) {
	char path[SN_PATH_MAX];
	*out = NULL;
	int result = sn_text_path(path, dir, name, err);
	if (result != SN_OK || (optional && access(path, F_OK) != 0))
		return result;
	result = loose ? read_loosely(out, path, err) : sn_json_file(out, path, err);
	if (result == SN_OK && !json_is_object(*out)) {
		json_decref(*out);
		*out = NULL;
		result = sn_fail(err, SN_E_FORMAT, "%s: an object is expected", path);
	}
	return result;
}

const char *sn_text_token(const json_t *config, const char *key, const char *fallback) {
	const json_t *token = json_object_get(config, key);
	const char *text = json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
	return text ? text : fallback;
}
