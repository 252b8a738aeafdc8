/* What the tests of text share. */
#ifndef TEST_TEXT_H
#define TEST_TEXT_H

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURES TEST_SOURCE "/tests/fixtures/"

static inline json_t *load_json(const char *path) {
	char err[SN_ERRLEN] = "";
	json_t *root;
	if (sn_json_file(&root, path, err) != SN_OK)
		fail_msg("%s", err);
	return root;
}

static inline const char *text_of(const json_t *object, const char *key) { return json_string_value(json_object_get(object, key)); }

static inline void expect_ids(const char *text, const json_t *expected, const int32_t *ids, int count) {
	if ((int)json_array_size(expected) != count)
		fail_msg("'%s' gives %d ids, not %zu", text, count, json_array_size(expected));
	for (int i = 0; i < count; i++)
		if (json_integer_value(json_array_get(expected, (size_t)i)) != ids[i])
			fail_msg("'%s': id %d is %d, not %lld", text, i, ids[i], json_integer_value(json_array_get(expected, (size_t)i)));
}

/* A call that must fail: code, and a part of what it says. */
static inline void expect_failure(int result, int code, const char *err, const char *says) {
	if (result != code || !strstr(err, says))
		fail_msg("%s and '%s', not %s and '%s'", sn_result_name(result), err, sn_result_name(code), says);
}

/* A directory of its own; files are written into it and all goes with drop_dir. */
static inline char *make_dir(char *name) {
	strcpy(name, "/tmp/sonant-text-XXXXXX");
	assert_non_null(mkdtemp(name));
	return name;
}

static inline void put_file(const char *dir, const char *name, const void *data, size_t size) {
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static inline void put_text(const char *dir, const char *name, const char *text) { put_file(dir, name, text, strlen(text)); }

static inline void drop_dir(const char *dir, const char *const *names) {
	char path[512];
	for (; *names; names++) {
		snprintf(path, sizeof path, "%s/%s", dir, *names);
		unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
}

#endif
