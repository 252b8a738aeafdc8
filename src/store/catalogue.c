#include "store/catalogue.h"

#include "base/ascii.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static const char *text_of(const json_t *object, const char *key) {
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static void *new_list(sn_catalogue *c, size_t count, size_t size) {
	if (c->list_count == c->list_capacity) {
		int capacity = c->list_capacity ? 2 * c->list_capacity : 32;
		void **lists = realloc(c->lists, (size_t)capacity * sizeof *lists);
		if (!lists)
			return NULL;
		c->lists = lists;
		c->list_capacity = capacity;
	}
	void *list = calloc(count + 1, size);
	if (list)
		c->lists[c->list_count++] = list;
	return list;
}

static int read_texts(sn_catalogue *c, const json_t *object, const char *key, const char *const **out, int *count) {
	const json_t *array = json_object_get(object, key);
	size_t n = json_array_size(array);
	const char **texts = new_list(c, n, sizeof *texts);
	for (size_t i = 0; texts && i < n; i++) {
		const char *text = json_string_value(json_array_get(array, i));
		texts[i] = text ? text : "";
	}
	*out = texts;
	*count = texts ? (int)n : 0;
	return texts != NULL;
}

static int read_packages(sn_catalogue *c, const json_t *object, sn_catalogue_entry *entry) {
	const json_t *array = json_object_get(object, "packages");
	size_t n = json_array_size(array);
	sn_catalogue_package *packages = new_list(c, n, sizeof *packages);
	for (size_t i = 0; packages && i < n; i++) {
		const json_t *item = json_array_get(array, i);
		packages[i] = (sn_catalogue_package){ text_of(item, "name"), text_of(item, "version") };
	}
	entry->packages = packages;
	entry->package_count = packages ? (int)n : 0;
	return packages != NULL;
}

static int read_files(sn_catalogue *c, const json_t *object, sn_catalogue_entry *entry) {
	const json_t *array = json_object_get(object, "files");
	size_t n = json_array_size(array);
	sn_catalogue_file *files = new_list(c, n, sizeof *files);
	for (size_t i = 0; files && i < n; i++) {
		const json_t *item = json_array_get(array, i);
		files[i].name = text_of(item, "name");
		files[i].sha256 = text_of(item, "sha256");
		files[i].size = json_integer_value(json_object_get(item, "size"));
		entry->size += files[i].size;
	}
	entry->files = files;
	entry->file_count = files ? (int)n : 0;
	return files != NULL;
}

static int read_entry(sn_catalogue *c, const json_t *object, sn_catalogue_entry *entry) {
	const json_t *const hub = json_object_get(object, "hub");
	*entry = (sn_catalogue_entry){ .name = text_of(object, "name"), .directory = text_of(object, "directory"),
		                           .task = text_of(object, "task"),
		                           .architecture = text_of(object, "architecture"), .description = text_of(object, "description"),
		                           .licence = text_of(object, "licence"), .origin = text_of(object, "origin"),
		                           .vocoder = text_of(object, "vocoder"), .hub = text_of(hub, "repository"),
		                           .hub_revision = text_of(hub, "revision"), .hub_folder = text_of(hub, "folder") };
	return read_texts(c, object, "aliases", &entry->aliases, &entry->alias_count) &&
	       read_texts(c, object, "languages", &entry->languages, &entry->language_count) &&
	       read_texts(c, object, "dtypes", &entry->dtypes, &entry->dtype_count) && read_packages(c, object, entry) &&
	       read_files(c, object, entry);
}

int sn_catalogue_open(sn_catalogue *c, const char *text, size_t size, char *err) {
	*c = (sn_catalogue){ 0 };
	int result = sn_json_text(&c->json, text, size, "the catalogue of models", err);
	if (result != SN_OK)
		return result;
	const json_t *models = json_object_get(c->json, "models");
	size_t n = json_array_size(models);
	c->entries = calloc(n + 1, sizeof *c->entries);
	while (c->entries && (size_t)c->count < n && read_entry(c, json_array_get(models, (size_t)c->count), c->entries + c->count))
		c->count++;
	if (!c->entries || (size_t)c->count < n) {
		sn_catalogue_close(c);
		return sn_fail(err, SN_E_MEMORY, "out of memory for the catalogue of models");
	}
	return SN_OK;
}

void sn_catalogue_close(sn_catalogue *c) {
	for (int i = 0; i < c->list_count; i++)
		free(c->lists[i]);
	free(c->lists);
	free(c->entries);
	json_decref(c->json);
	*c = (sn_catalogue){ 0 };
}

/* ---- looking up ---- */

const sn_catalogue_entry *sn_catalogue_find(const sn_catalogue *c, const char *name) {
	for (int i = 0; i < c->count; i++) {
		const sn_catalogue_entry *entry = c->entries + i;
		if (sn_strcasecmp(entry->name, name) == 0)
			return entry;
		for (int k = 0; k < entry->alias_count; k++)
			if (sn_strcasecmp(entry->aliases[k], name) == 0)
				return entry;
	}
	return NULL;
}

int sn_catalogue_allows(const sn_catalogue_entry *entry, const char *dtype) {
	for (int i = 0; i < entry->dtype_count; i++)
		if (strcmp(entry->dtypes[i], dtype) == 0)
			return 1;
	return 0;
}

const char *sn_catalogue_default(const sn_catalogue *c, const char *task, int index) {
	const json_t *list = json_object_get(json_object_get(c->json, "defaults"), task);
	return index < 0 ? NULL : json_string_value(json_array_get(list, (size_t)index));
}

#define NEAR_LENGTH 64

/* Levenshtein's distance, letters of any case; texts longer than NEAR_LENGTH are not near anything. */
static int distance(const char *a, const char *b) {
	size_t n = strlen(a), m = strlen(b);
	int row[NEAR_LENGTH + 1];
	if (n > NEAR_LENGTH || m > NEAR_LENGTH)
		return NEAR_LENGTH;
	for (size_t k = 0; k <= m; k++)
		row[k] = (int)k;
	for (size_t i = 0; i < n; i++) {
		int diagonal = row[0];
		row[0] = (int)i + 1;
		for (size_t k = 0; k < m; k++) {
			int change = diagonal + (sn_strncasecmp(a + i, b + k, 1) != 0);
			diagonal = row[k + 1];
			int gap = (row[k] < diagonal ? row[k] : diagonal) + 1;
			row[k + 1] = change < gap ? change : gap;
		}
	}
	return row[m];
}

static int is_near(const char *known, const char *name) {
	size_t length = strlen(name);
	return distance(known, name) <= (length < 6 ? 1 : 3) || (length > 2 && strcasestr(known, name));
}

/* Whole names only. */
static void add_name(char *text, size_t size, const char *name) {
	const size_t used = strlen(text);
	if (used + strlen(name) + 3 <= size)
		snprintf(text + used, size - used, "%s%s", used ? ", " : "", name);
}

void sn_catalogue_near(const sn_catalogue *c, const char *name, char *text, size_t size) {
	text[0] = 0;
	for (int all = 0; all < 2 && !*text; all++)
		for (int i = 0; i < c->count; i++) {
			const sn_catalogue_entry *entry = c->entries + i;
			int near = all ? entry->package_count > 0 : is_near(entry->name, name);
			for (int k = 0; k < entry->alias_count && !near && !all; k++)
				near = is_near(entry->aliases[k], name);
			if (near)
				add_name(text, size, entry->name);
		}
}
