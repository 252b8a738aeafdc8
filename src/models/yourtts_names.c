#include "models/yourtts_internal.h"

#include "base/ascii.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_BYTES 4096
#define MAX_FILES 16 /* of embeddings */

int yourtts_file(char out[PATH_BYTES], const char *dir, const char *path) {
	const char *const slash = path ? strrchr(path, '/') : NULL, *const name = slash ? slash + 1 : path;
	struct stat st;
	return name && *name && snprintf(out, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES && stat(out, &st) == 0 && S_ISREG(st.st_mode);
}

static int ends_with(const char *text, const char *tail) {
	const size_t length = strlen(text), end = strlen(tail);
	return length >= end && strcmp(text + length - end, tail) == 0;
}

/* A name without the space around it, which the lists of published checkpoints end lines with; NULL: empty, too long, no memory. */
static char *copy_name(const char *name, size_t length) {
	while (length && (unsigned char)name[length - 1] <= ' ') length--;
	while (length && (unsigned char)*name <= ' ') name++, length--;
	return length && length < YOURTTS_MAX_NAME ? strndup(name, length) : NULL;
}

static const json_t *setting(const json_t *root, const char *key) {
	const json_t *const value = json_object_get(json_object_get(root, "model_args"), key), *const beside = json_object_get(root, key);
	return value && !json_is_null(value) ? value : beside;
}

/* ---- names with numbers ---- */

/* Puts a name at its number; `what` for messages. */
static int place(const char **names, int count, const char *name, size_t length, double number, const char *what, const char *file, char *err) {
	const int at = number >= 0 && number < count && number == floor(number) ? (int)number : -1;
	if (at < 0 || names[at])
		return sn_fail(err, SN_E_MODEL, "%s: the %s '%.60s' has number %g; each of 0 to %d is expected at most once", file, what, name, number,
		               count - 1);
	names[at] = copy_name(name, length);
	if (names[at]) return SN_OK;
	return sn_fail(err, SN_E_MODEL, "%s: the %s number %d has no name of 1 to %d bytes", file, what, at, YOURTTS_MAX_NAME - 1);
}

/* {"name": number, ...} */
static int place_all(const char **names, int count, json_t *map, const char *what, const char *path, char *err) {
	const char *key;
	json_t *value;
	int code = json_is_object(map) ? SN_OK : sn_fail(err, SN_E_MODEL, "%s: an object of names and numbers is expected", path);
	json_object_foreach(map, key, value)
		if (code == SN_OK) code = place(names, count, key, strlen(key), json_is_number(value) ? json_number_value(value) : -1, what, path, err);
	return code;
}

static int read_numbers(const char **names, int count, const char *what, const char *path, char *err) {
	json_t *root;
	int code = sn_json_file(&root, path, err);
	if (code != SN_OK) return code;
	code = place_all(names, count, root, what, path, err);
	json_decref(root);
	return code;
}

static int read_saved_numbers(const char **names, int count, const char *path, char *err) {
	sn_weights *file;
	int code = sn_weights_open(&file, path, err);
	if (code != SN_OK) return code;
	const size_t keys = sn_weights_key_count(file, "");
	for (size_t i = 0; i < keys && code == SN_OK; i++) {
		const char *const key = sn_weights_key_at(file, "", i);
		double number = -1;
		sn_weights_number(file, key, &number);
		code = place(names, count, key, strlen(key), number, "speaker", path, err);
	}
	sn_weights_close(&file);
	return code;
}

/* ["name", ...] in the order of the numbers */
static int read_list(const char **names, int count, const json_t *list, const char *what, const char *path, char *err) {
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *const item = json_array_get(list, i);
		const char *const name = json_is_string(item) ? json_string_value(item) : "";
		const int code = place(names, count, name, strlen(name), (double)i, what, path, err);
		if (code != SN_OK) return code;
	}
	return SN_OK;
}

static int read_languages(yourtts_names *n, const json_t *root, const char *dir, const char *json, char *err) {
	char path[PATH_BYTES];
	if (n->language_count > YOURTTS_MAX_LANGUAGES)
		return sn_fail(err, SN_E_LIMIT, "%s: the model has %d languages; at most %d are supported", json, n->language_count, YOURTTS_MAX_LANGUAGES);
	if (n->language_count == 0) return SN_OK;
	int code = yourtts_file(path, dir, json_string_value(setting(root, "language_ids_file"))) || yourtts_file(path, dir, "language_ids.json")
	               ? read_numbers(n->languages, n->language_count, "language", path, err)
	               : read_list(n->languages, n->language_count, json_object_get(root, "languages"), "language", json, err);
	for (int i = 0; i < n->language_count && code == SN_OK; i++)
		if (!n->languages[i])
			code = sn_fail(err, SN_E_MODEL, "%s: language %d of the model's %d has no name; language_ids.json beside it, or 'languages', should tell",
			               json, i, n->language_count);
	return code;
}

/* Names that are not there are no error: speakers can be chosen by number. */
int yourtts_speakers_read(yourtts_names *n, const json_t *root, const char *dir, const char *json, char *err) {
	json_t *const list = json_object_get(root, "speakers");
	char path[PATH_BYTES];
	int code = SN_OK, all = 1;
	n->speakers = calloc((size_t)n->speaker_count, sizeof *n->speakers);
	if (!n->speakers) return sn_fail(err, SN_E_MEMORY, "out of memory for the names of %d speakers", n->speaker_count);
	if (json_array_size(list) > 0) code = read_list(n->speakers, n->speaker_count, list, "speaker", json, err);
	else if (json_object_size(list) > 0) code = place_all(n->speakers, n->speaker_count, list, "speaker", json, err);
	else if (yourtts_file(path, dir, json_string_value(setting(root, "speakers_file"))) || yourtts_file(path, dir, "speaker_ids.json") ||
	         yourtts_file(path, dir, "speakers.pth"))
		code = ends_with(path, ".json") ? read_numbers(n->speakers, n->speaker_count, "speaker", path, err)
		                                : read_saved_numbers(n->speakers, n->speaker_count, path, err);
	for (int i = 0; i < n->speaker_count; i++) all &= n->speakers[i] != NULL;
	if (code != SN_OK || all) return code;
	for (int i = 0; i < n->speaker_count; i++) free((char *)n->speakers[i]);
	free(n->speakers);
	n->speakers = NULL;
	return SN_OK;
}

/* ---- names with embeddings ---- */

typedef struct speaker {
	char *name;
	int clips;
	double *sum; /* [size] */
} speaker;

typedef struct table {
	speaker *speakers; /* [SN_VITS_MAX_SPEAKERS] */
	int count, size;
	double *clip;      /* [size + 1]: the one that was read last */
} table;

/* Adds table->clip, of `count` values, to the speaker of that name. */
static int add_clip(table *t, const char *name, int count, const char *key, const char *file, char *err) {
	if (count != t->size)
		return sn_fail(err, SN_E_MODEL, "%s: the embedding of '%.60s' has %d values; the model's speakers have %d", file, key, count, t->size);
	char *const copy = copy_name(name, strlen(name));
	int i = 0;
	if (!copy) return sn_fail(err, SN_E_MODEL, "%s: '%.60s' has no name of 1 to %d bytes", file, key, YOURTTS_MAX_NAME - 1);
	while (i < t->count && strcmp(t->speakers[i].name, copy) != 0) i++;
	if (i == SN_VITS_MAX_SPEAKERS) {
		free(copy);
		return sn_fail(err, SN_E_LIMIT, "%s: more than %d speakers", file, SN_VITS_MAX_SPEAKERS);
	}
	if (i < t->count) {
		free(copy);
	} else {
		t->speakers[t->count++] = (speaker){ .name = copy, .sum = calloc((size_t)t->size, sizeof(double)) };
		if (!t->speakers[i].sum) return sn_fail(err, SN_E_MEMORY, "out of memory for a speaker's embedding");
	}
	for (int c = 0; c < t->size; c++) {
		if (!isfinite(t->clip[c])) return sn_fail(err, SN_E_MODEL, "%s: value %d of the embedding of '%.60s' is not a number", file, c, key);
		t->speakers[i].sum[c] += t->clip[c];
	}
	t->speakers[i].clips++;
	return SN_OK;
}

static int no_clip(const char *key, const char *file, char *err) {
	return sn_fail(err, SN_E_MODEL, "%s: '%.60s' is no clip with a 'name' and an 'embedding'", file, key);
}

static int read_json_clips(table *t, const char *path, char *err) {
	json_t *root, *value;
	const char *key;
	int code = sn_json_file(&root, path, err);
	if (code != SN_OK) return code;
	json_object_foreach(root, key, value) {
		const json_t *const list = json_object_get(value, "embedding");
		const char *const name = json_string_value(json_object_get(value, "name"));
		if (code != SN_OK) break;
		for (size_t i = 0; i < json_array_size(list) && i < (size_t)t->size; i++) t->clip[i] = json_number_value(json_array_get(list, i));
		code = name && list ? add_clip(t, name, (int)json_array_size(list), key, path, err) : no_clip(key, path, err);
	}
	json_decref(root);
	return code;
}

static int read_saved_clips(table *t, const char *path, char *err) {
	sn_weights *file;
	int code = sn_weights_open(&file, path, err);
	if (code != SN_OK) return code;
	const size_t keys = sn_weights_key_count(file, "");
	for (size_t i = 0; i < keys && code == SN_OK; i++) {
		const char *const key = sn_weights_key_at(file, "", i);
		char where[SN_WEIGHTS_MAX_NAME + 16];
		int count = 0;
		snprintf(where, sizeof where, "%s.name", key);
		const char *const name = sn_weights_text(file, where);
		snprintf(where, sizeof where, "%s.embedding", key);
		const int whole = name && sn_weights_numbers(file, where, t->clip, t->size, &count);
		code = whole ? add_clip(t, name, count, key, path, err) : no_clip(key, path, err);
	}
	sn_weights_close(&file);
	return code;
}

static int by_name(const void *a, const void *b) { return strcmp(((const speaker *)a)->name, ((const speaker *)b)->name); }

/* Takes over what was read: speakers by name, as the reference numbers them, each the mean of its clips. */
static int keep(yourtts_names *n, table *t, char *err) {
	if (t->count == 0) return SN_OK;
	qsort(t->speakers, (size_t)t->count, sizeof *t->speakers, by_name);
	n->speakers = calloc((size_t)t->count, sizeof *n->speakers);
	n->embeddings = malloc((size_t)t->count * (size_t)t->size * sizeof *n->embeddings);
	if (!n->speakers || !n->embeddings) return sn_fail(err, SN_E_MEMORY, "out of memory for %d speakers", t->count);
	n->speaker_count = t->count;
	for (int i = 0; i < t->count; i++) {
		speaker *const s = &t->speakers[i];
		for (int c = 0; c < t->size; c++) n->embeddings[(size_t)i * (size_t)t->size + (size_t)c] = (float)(s->sum[c] / s->clips);
		n->speakers[i] = s->name;
		s->name = NULL;
	}
	return SN_OK;
}

static int read_files(table *t, const json_t *root, const char *dir, char *err) {
	const json_t *const named = setting(root, "d_vector_file");
	const size_t count = json_is_array(named) ? json_array_size(named) : 1;
	char path[PATH_BYTES];
	int found = 0, code = SN_OK;
	for (size_t i = 0; i < count && i < MAX_FILES && code == SN_OK; i++) {
		const json_t *const item = json_is_array(named) ? json_array_get(named, i) : named;
		if (!yourtts_file(path, dir, json_string_value(item))) continue;
		found = 1;
		code = ends_with(path, ".json") ? read_json_clips(t, path, err) : read_saved_clips(t, path, err);
	}
	if (!found && yourtts_file(path, dir, "speakers.pth")) return read_saved_clips(t, path, err);
	if (!found && yourtts_file(path, dir, "speakers.json")) return read_json_clips(t, path, err);
	return code;
}

static int read_embeddings(yourtts_names *n, const json_t *root, const char *dir, char *err) {
	table t = { .size = n->size };
	t.speakers = calloc(SN_VITS_MAX_SPEAKERS, sizeof *t.speakers);
	t.clip = calloc((size_t)n->size + 1, sizeof *t.clip);
	int code = t.speakers && t.clip ? read_files(&t, root, dir, err) : sn_fail(err, SN_E_MEMORY, "out of memory for the voices of %s", dir);
	if (code == SN_OK) code = keep(n, &t, err);
	for (int i = 0; i < t.count; i++) {
		free(t.speakers[i].name);
		free(t.speakers[i].sum);
	}
	free(t.speakers);
	free(t.clip);
	return code;
}

/* ---- all of them ---- */

int yourtts_names_read(yourtts_names *n, const sn_vits_config *config, const char *dir, const char *json, char *err) {
	json_t *root;
	*n = (yourtts_names){ .size = config->embedding, .speaker_count = config->embedding ? 0 : config->speakers };
	int code = sn_json_file(&root, json, err);
	if (code != SN_OK) return code;
	n->language_count = config->languages;
	code = read_languages(n, root, dir, json, err);
	if (code == SN_OK && config->embedding) code = read_embeddings(n, root, dir, err);
	else if (code == SN_OK && config->speakers > 1) code = yourtts_speakers_read(n, root, dir, json, err);
	json_decref(root);
	return code;
}

void yourtts_names_clear(yourtts_names *n) {
	for (int i = 0; n->speakers && i < n->speaker_count; i++) free((char *)n->speakers[i]);
	for (int i = 0; i < YOURTTS_MAX_LANGUAGES; i++) free((char *)n->languages[i]);
	free(n->speakers);
	free(n->embeddings);
	*n = (yourtts_names){ 0 };
}

static size_t primary(const char *language) { return strcspn(language, "-_"); }

int yourtts_find_language(const yourtts_names *n, const char *language) {
	for (int i = 0; i < n->language_count; i++)
		if (sn_strcasecmp(n->languages[i], language) == 0) return i;
	for (int i = 0; i < n->language_count; i++)
		if (primary(n->languages[i]) == primary(language) && sn_strncasecmp(n->languages[i], language, primary(language)) == 0) return i;
	return -1;
}
