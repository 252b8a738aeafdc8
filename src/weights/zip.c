#include "weights/zip.h"

#include "weights/reader.h"

#include <stdlib.h>
#include <string.h>

#include <minizip/unzip.h>

typedef struct lister {
	sn_zip *zip;
	sn_weights *weights;
	const char *path;
	const sn_map *map;
	unzFile file;
	int unpack;
	const char *why;
	uint64_t (*spans)[2]; /* first byte and end of each entry in the file */
} lister;

/* minizip checks the CRC when everything was read and the entry is closed. */
static int unpack_entry(lister *l, const char *name, uint64_t size, sn_zip_entry *entry, char *err) {
	int result = SN_OK;
	uint8_t *data = sn_weights_own(l->weights, (size_t)size, &result, err);
	if (!data)
		return result;
	size_t got = 0;
	int good = unzOpenCurrentFile(l->file) == UNZ_OK;
	while (good && got < size) {
		unsigned chunk = size - got < 1 << 20 ? (unsigned)(size - got) : 1 << 20;
		int n = unzReadCurrentFile(l->file, data + got, chunk);
		good = n > 0;
		got += good ? (size_t)n : 0;
	}
	good = good && unzReadCurrentFile(l->file, &(char){ 0 }, 1) == 0;
	good = unzCloseCurrentFile(l->file) == UNZ_OK && good;
	if (!good)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' cannot be unpacked to the %llu bytes that are promised", l->path, name,
		               (unsigned long long)size);
	entry->data = data;
	return SN_OK;
}

static int add_entry(lister *l, char *err) {
	unz_file_info64 info;
	char name[SN_ZIP_MAX_NAME];
	size_t index = l->zip->count;
	if (unzGetCurrentFileInfo64(l->file, &info, name, sizeof name, NULL, 0, NULL, 0) != UNZ_OK || info.size_filename >= sizeof name)
		return sn_fail(err, SN_E_MODEL, "%s: entry %zu of the zip file is malformed", l->path, index);
	int stored = info.compression_method == 0 && info.compressed_size == info.uncompressed_size;
	if ((!stored && (!l->unpack || info.compression_method != Z_DEFLATED)) || info.flag & 1)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' is %s; %s", l->path, name, info.flag & 1 ? "encrypted" : "compressed", l->why);
	ZPOS64_T at = unzOpenCurrentFile(l->file) == UNZ_OK ? unzGetCurrentFileZStreamPos64(l->file) : 0;
	unzCloseCurrentFile(l->file);
	if (at == 0 || at > l->map->size || info.compressed_size > l->map->size - at)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' lies outside the file, which has %zu bytes (cut short?)", l->path, name,
		               l->map->size);
	int result = SN_OK;
	sn_zip_entry entry = { .data = l->map->data + at, .size = (size_t)info.uncompressed_size };
	entry.name = sn_weights_own_text(l->weights, name, strlen(name), &result, err);
	if (result == SN_OK && !stored)
		result = unpack_entry(l, name, info.uncompressed_size, &entry, err);
	l->spans[index][0] = at;
	l->spans[index][1] = at + info.compressed_size;
	if (result == SN_OK)
		l->zip->entries[l->zip->count++] = entry;
	return result;
}

static int by_begin(const void *a, const void *b) {
	const uint64_t *x = a, *y = b;
	return x[0] != y[0] ? (x[0] < y[0] ? -1 : 1) : x[1] < y[1] ? -1 : x[1] > y[1];
}

static int by_name(const void *a, const void *b) {
	return strcmp(((const sn_zip_entry *)a)->name, ((const sn_zip_entry *)b)->name);
}

static int check_spans(lister *l, char *err) {
	qsort(l->spans, l->zip->count, sizeof *l->spans, by_begin);
	for (size_t i = 1; i < l->zip->count; i++)
		if (l->spans[i][0] < l->spans[i - 1][1])
			return sn_fail(err, SN_E_MODEL, "%s: two entries of the zip file share the bytes from %llu on", l->path,
			               (unsigned long long)l->spans[i][0]);
	qsort(l->zip->by_name, l->zip->count, sizeof *l->zip->by_name, by_name);
	return SN_OK;
}

static int list(lister *l, char *err) {
	unz_global_info64 info;
	if (unzGetGlobalInfo64(l->file, &info) != UNZ_OK)
		return sn_fail(err, SN_E_MODEL, "%s: the zip file's directory cannot be read", l->path);
	if (info.number_entry > SN_ZIP_MAX_ENTRIES)
		return sn_fail(err, SN_E_LIMIT, "%s: the zip file has %llu entries; at most %d are read", l->path,
		               (unsigned long long)info.number_entry, SN_ZIP_MAX_ENTRIES);
	size_t count = (size_t)info.number_entry;
	l->zip->entries = calloc(2 * count + 1, sizeof *l->zip->entries);
	l->spans = calloc(count + 1, sizeof *l->spans);
	if (!l->zip->entries || !l->spans)
		return sn_fail(err, SN_E_MEMORY, "%s: out of memory", l->path);
	int more = count > 0 ? unzGoToFirstFile(l->file) : UNZ_END_OF_LIST_OF_FILE;
	while (more == UNZ_OK && l->zip->count < count) {
		int result = add_entry(l, err);
		if (result != SN_OK)
			return result;
		more = unzGoToNextFile(l->file);
	}
	if (l->zip->count != count)
		return sn_fail(err, SN_E_MODEL, "%s: the zip file lists %zu entries of %zu", l->path, l->zip->count, count);
	l->zip->by_name = l->zip->entries + count;
	memcpy(l->zip->by_name, l->zip->entries, count * sizeof *l->zip->entries);
	return check_spans(l, err);
}

int sn_zip_open(sn_zip *zip, sn_weights *weights, const char *path, const sn_map *map, int unpack, const char *why, char *err) {
	*zip = (sn_zip){ 0 };
	lister l = { .zip = zip, .weights = weights, .path = path, .map = map, .unpack = unpack, .why = why };
	l.file = unzOpen64(path);
	if (!l.file)
		return sn_fail(err, SN_E_MODEL, "%s: no zip directory (cut short?)", path);
	int result = list(&l, err);
	unzClose(l.file);
	free(l.spans);
	if (result != SN_OK)
		sn_zip_close(zip);
	return result;
}

void sn_zip_close(sn_zip *zip) {
	free(zip->entries);
	*zip = (sn_zip){ 0 };
}

const sn_zip_entry *sn_zip_find(const sn_zip *zip, const char *name) {
	const sn_zip_entry key = { .name = name };
	return bsearch(&key, zip->by_name, zip->count, sizeof key, by_name);
}
