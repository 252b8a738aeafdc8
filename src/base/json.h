/* JSON files read as hostile data: jansson with a size limit and errors that name file, key, found and expected. */
#ifndef SN_BASE_JSON_H
#define SN_BASE_JSON_H

#include "base/error.h"

#include <jansson.h>

#define SN_JSON_MAX ((size_t)64 << 20)

/* Parses a file; json_decref() the result. Infinity and NaN, which Python writes, read as null. Errors: SN_E_NOT_FOUND, SN_E_IO,
 * SN_E_FORMAT, SN_E_LIMIT, SN_E_MEMORY. */
int sn_json_file(json_t **out, const char *path, char *err);

/* Parses text of `size` bytes; `name` stands for the source in messages. */
int sn_json_text(json_t **out, const char *text, size_t size, const char *name, char *err);

/* How many values the text holds, keys left out; at least as many as jansson would make before it finds a mistake. For hostile texts:
 * "[{},{}" is a hundred times as large in memory. */
size_t sn_json_values(const char *text, size_t size);

/* Why json_loadb gave nothing, errno having been 0 before: SN_E_MEMORY, else `code` with the place. */
int sn_json_refused(const json_error_t *where, int code, const char *name, char *err);

/* As json_dumps, which leaves a key out when there was no memory for it (jansson up to 2.14): NULL then, too, with errno ENOMEM. */
char *sn_json_dumps(const json_t *value, size_t flags);

/* The text, with '?' for every byte beyond ASCII where it is no UTF-8: of file names, say. NULL: no memory. */
json_t *sn_json_string(const char *text);

/* Reads object[key] into *out. A missing or null key leaves *out as it is (the caller's default) and succeeds; a wrong
 * type or a number outside [least, most] is SN_E_MODEL with file, key, value and range. */
int sn_json_int(const json_t *object, const char *key, int64_t least, int64_t most, int64_t *out, const char *file, char *err);
int sn_json_double(const json_t *object, const char *key, double least, double most, double *out, const char *file, char *err);
/* The same for int and float. */
int sn_json_int32(const json_t *object, const char *key, int64_t least, int64_t most, int *out, const char *file, char *err);
int sn_json_float(const json_t *object, const char *key, double least, double most, float *out, const char *file, char *err);
int sn_json_bool(const json_t *object, const char *key, int *out, const char *file, char *err);

/* As sn_json_int for an array of integers of at most `max` elements; *count is left alone when the key is missing. */
int sn_json_ints(const json_t *object, const char *key, int64_t least, int64_t most, int64_t *out, int max, int *count, const char *file,
                 char *err);

#endif
