#include "base/json.h"

#include "base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sn_json_text(json_t **out, const char *text, size_t size, const char *name, char *err) {
	*out = NULL;
	if (size > SN_JSON_MAX)
		return sn_fail(err, SN_E_LIMIT, "%s has %zu bytes; at most %zu are read as JSON", name, size, SN_JSON_MAX);
	json_error_t where;
	const int before = errno; /* may tell a caller that memory ran out earlier */
	errno = 0;
	*out = json_loadb(text ? text : "", size, 0, &where);
	if (!*out)
		return sn_json_refused(&where, SN_E_FORMAT, name, err);
	errno = before;
	return SN_OK;
}

int sn_json_refused(const json_error_t *where, int code, const char *name, char *err) {
	if (errno == ENOMEM)
		return sn_fail(err, SN_E_MEMORY, "no memory to read %s", name);
	return sn_fail(err, code, "%s is not valid JSON: line %d: %s", name, where->line, where->text);
}

json_t *sn_json_string(const char *text) {
	json_t *value = json_string(text);
	char *const copy = value ? NULL : strdup(text);
	for (char *c = copy; c && *c; c++)
		*c = (unsigned char)*c < 0x80 ? *c : '?';
	value = copy ? json_string(copy) : value;
	free(copy);
	return value;
}

char *sn_json_dumps(const json_t *value, size_t flags) {
	const int before = errno;
	errno = 0;
	char *text = json_dumps(value, flags);
	if (errno == ENOMEM) {
		free(text);
		errno = ENOMEM;
		return NULL;
	}
	errno = before;
	return text;
}

size_t sn_json_values(const char *text, size_t size) {
	size_t count = 1;
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '"')
			for (i++; i < size && text[i] != '"'; i++)
				i += text[i] == '\\';
		else
			count += text[i] == ',' || text[i] == '[' || text[i] == '{';
	}
	return count;
}

/* What Python writes for numbers that JSON lacks. */
static size_t constant(const char *text, size_t size) {
	static const char *const words[] = { "-Infinity", "Infinity", "NaN" };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) <= size && memcmp(text, words[i], strlen(words[i])) == 0)
			return strlen(words[i]);
	return 0;
}

/* A copy in which those stand as null; *changed says whether there were any. "NaN" grows by one, and has at least one byte of
 * punctuation beside it. */
static char *without_constants(const char *text, size_t size, size_t *length, int *changed) {
	char *out = malloc(size + size / 3 + 8);
	int quoted = 0;
	*length = 0;
	*changed = 0;
	for (size_t i = 0; out && i < size;) {
		size_t word = quoted ? 0 : constant(text + i, size - i);
		if (word) {
			memcpy(out + *length, "null", 4);
			*length += 4;
			*changed = 1;
			i += word;
			continue;
		}
		if (quoted && text[i] == '\\' && i + 1 < size)
			out[(*length)++] = text[i++];
		else if (text[i] == '"')
			quoted = !quoted;
		out[(*length)++] = text[i++];
	}
	return out;
}

int sn_json_file(json_t **out, const char *path, char *err) {
	*out = NULL;
	sn_map map;
	int result = sn_map_open(&map, path, err);
	if (result != SN_OK)
		return result;
	result = sn_json_text(out, (const char *)map.data, map.size, path, err);
	if (result == SN_E_FORMAT) {
		size_t length;
		int changed;
		char *text = without_constants((const char *)map.data, map.size, &length, &changed);
		if (text && changed)
			result = sn_json_text(out, text, length, path, err);
		else if (!text)
			result = sn_fail(err, SN_E_MEMORY, "no memory to read %s", path);
		free(text);
	}
	sn_map_close(&map);
	return result;
}

static const json_t *present(const json_t *object, const char *key) {
	const json_t *value = json_object_get(object, key);
	return value && !json_is_null(value) ? value : NULL;
}

static int check_int(const json_t *value, const char *key, int64_t least, int64_t most, int64_t *out, const char *file, char *err) {
	if (!json_is_integer(value))
		return sn_fail(err, SN_E_MODEL, "%s: '%s' must be an integer", file, key);
	int64_t number = json_integer_value(value);
	if (number < least || number > most)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' is %lld; it must lie between %lld and %lld", file, key, (long long)number,
		               (long long)least, (long long)most);
	*out = number;
	return SN_OK;
}

int sn_json_int(const json_t *object, const char *key, int64_t least, int64_t most, int64_t *out, const char *file, char *err) {
	const json_t *value = present(object, key);
	return value ? check_int(value, key, least, most, out, file, err) : SN_OK;
}

int sn_json_double(const json_t *object, const char *key, double least, double most, double *out, const char *file, char *err) {
	const json_t *value = present(object, key);
	if (!value)
		return SN_OK;
	if (!json_is_number(value))
		return sn_fail(err, SN_E_MODEL, "%s: '%s' must be a number", file, key);
	double number = json_number_value(value);
	if (!(number >= least && number <= most))
		return sn_fail(err, SN_E_MODEL, "%s: '%s' is %g; it must lie between %g and %g", file, key, number, least, most);
	*out = number;
	return SN_OK;
}

int sn_json_int32(const json_t *object, const char *key, int64_t least, int64_t most, int *out, const char *file, char *err) {
	int64_t value = *out;
	int result = sn_json_int(object, key, least, most, &value, file, err);
	*out = (int)value;
	return result;
}

int sn_json_float(const json_t *object, const char *key, double least, double most, float *out, const char *file, char *err) {
	double value = *out;
	int result = sn_json_double(object, key, least, most, &value, file, err);
	*out = (float)value;
	return result;
}

int sn_json_bool(const json_t *object, const char *key, int *out, const char *file, char *err) {
	const json_t *value = present(object, key);
	if (!value)
		return SN_OK;
	if (!json_is_boolean(value))
		return sn_fail(err, SN_E_MODEL, "%s: '%s' must be true or false", file, key);
	*out = json_is_true(value);
	return SN_OK;
}

int sn_json_ints(const json_t *object, const char *key, int64_t least, int64_t most, int64_t *out, int max, int *count, const char *file,
                 char *err) {
	const json_t *value = present(object, key);
	if (!value)
		return SN_OK;
	if (!json_is_array(value) || json_array_size(value) > (size_t)max)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' must be a list of at most %d integers", file, key, max);
	for (size_t i = 0; i < json_array_size(value); i++) {
		int result = check_int(json_array_get(value, i), key, least, most, out + i, file, err);
		if (result != SN_OK)
			return result;
	}
	*count = (int)json_array_size(value);
	return SN_OK;
}
