/* Packed weights in one file:
 *   header { magic, version, key, entries, file size, table hash }, table of { name hash, offset, size }, 64-byte aligned data.
 * The file is ours, but a disk may have cut it or another version written it: anything that does not fit is ignored and rewritten. */
#include "nn/pack.h"

#include "base/hash.h"
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x6b636170746e6e53)
#define VERSION 1
#define MAX_ENTRIES 65536
#define ALIGN 64

typedef struct header {
	uint64_t magic, version, key, entries, size, table_hash;
} header;

typedef struct entry {
	uint64_t name, offset, size;
} entry;

typedef struct item { /* made in memory, to be saved */
	uint64_t name;
	size_t size;
	void *data;
} item;

struct nn_pack {
	char *path; /* NULL: memory only */
	uint64_t key;
	sn_map map;
	const entry *table;
	unsigned char *used; /* per entry of the table: somebody asked for it */
	size_t mapped, count, capacity;
	item *items;
};

static int valid(const sn_map *map, uint64_t key) {
	const header *h = (const header *)map->data;
	if (map->size < sizeof *h || h->magic != MAGIC || h->version != VERSION || h->key != key || h->size != map->size || h->entries > MAX_ENTRIES)
		return 0;
	size_t table = (size_t)h->entries * sizeof(entry);
	if (map->size - sizeof *h < table || sn_hash(SN_HASH_INIT, map->data + sizeof *h, table) != h->table_hash)
		return 0;
	const entry *e = (const entry *)(map->data + sizeof *h);
	for (size_t i = 0; i < h->entries; i++)
		if (e[i].offset % ALIGN || e[i].offset > map->size || e[i].size > map->size - e[i].offset)
			return 0;
	return 1;
}

int nn_pack_open(nn_pack **out, const char *path, uint64_t key, char *err) {
	nn_pack *pack = calloc(1, sizeof *pack);
	*out = pack;
	if (pack && path && !(pack->path = strdup(path))) {
		free(pack);
		*out = pack = NULL;
	}
	if (!pack)
		return sn_fail(err, SN_E_MEMORY, "no memory for packed weights");
	pack->key = key;
	if (path && sn_map_open(&pack->map, path, NULL) == SN_OK) {
		size_t entries = valid(&pack->map, key) ? (size_t)((const header *)pack->map.data)->entries : 0;
		pack->used = calloc(entries + 1, 1);
		if (entries && pack->used) {
			pack->table = (const entry *)(pack->map.data + sizeof(header));
			pack->mapped = entries;
		} else {
			sn_map_close(&pack->map);
		}
	}
	return SN_OK;
}

const void *nn_pack_find(nn_pack *pack, const char *name, size_t *size) {
	uint64_t key = sn_hash_text(SN_HASH_INIT, name);
	for (size_t i = 0; i < pack->count; i++)
		if (pack->items[i].name == key) {
			*size = pack->items[i].size;
			return pack->items[i].data;
		}
	for (size_t low = 0, high = pack->mapped; low < high;) { /* the table is sorted by name */
		size_t middle = (low + high) / 2;
		const entry *e = pack->table + middle;
		if (e->name == key) {
			pack->used[middle] = 1;
			*size = e->size;
			return pack->map.data + e->offset;
		}
		if (e->name < key)
			low = middle + 1;
		else
			high = middle;
	}
	*size = 0;
	return NULL;
}

void *nn_pack_new(nn_pack *pack, const char *name, size_t size) {
	if (pack->count == pack->capacity) {
		size_t grown = pack->capacity ? pack->capacity * 2 : 64;
		item *items = grown <= MAX_ENTRIES ? realloc(pack->items, grown * sizeof *items) : NULL;
		if (!items)
			return NULL;
		pack->items = items;
		pack->capacity = grown;
	}
	size_t rounded = (size + ALIGN - 1) / ALIGN * ALIGN + ALIGN;
	void *data = aligned_alloc(ALIGN, rounded);
	if (!data)
		return NULL;
	memset(data, 0, rounded);
	pack->items[pack->count++] = (item){ sn_hash_text(SN_HASH_INIT, name), size, data };
	return data;
}

int nn_pack_add(nn_pack *pack, const char *name, const void *data, size_t size, char *err) {
	void *copy = nn_pack_new(pack, name, size);
	if (!copy)
		return sn_fail(err, SN_E_MEMORY, "no memory for %zu packed bytes", size);
	memcpy(copy, data, size);
	return SN_OK;
}

static int by_name(const void *a, const void *b) {
	uint64_t x = ((const item *)a)->name, y = ((const item *)b)->name;
	return x < y ? -1 : x > y;
}

static int write_all(int fd, const void *data, size_t size) {
	for (const char *p = data; size;) {
		ssize_t n = write(fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

static int write_file(int fd, uint64_t key, const item *items, size_t count) {
	static const char zeros[ALIGN];
	size_t table_size = count * sizeof(entry), at = sizeof(header) + table_size;
	entry *table = calloc(count + 1, sizeof *table);
	if (!table)
		return -1;
	for (size_t i = 0; i < count; i++) {
		at = (at + ALIGN - 1) / ALIGN * ALIGN;
		table[i] = (entry){ items[i].name, at, items[i].size };
		at += items[i].size + ALIGN; /* kernels may read a little past the end */
	}
	header h = { MAGIC, VERSION, key, count, at, sn_hash(SN_HASH_INIT, table, table_size) };
	int failed = write_all(fd, &h, sizeof h) || write_all(fd, table, table_size);
	size_t written = sizeof h + table_size;
	for (size_t i = 0; !failed && i < count; i++) {
		failed = write_all(fd, zeros, table[i].offset - written) || write_all(fd, items[i].data, items[i].size) || write_all(fd, zeros, ALIGN);
		written = table[i].offset + items[i].size + ALIGN;
	}
	free(table);
	return failed ? -1 : 0;
}

/* Everything that was asked for, mapped or made: the new file replaces the old one, without what nobody needs any more. */
static item *gather(const nn_pack *pack, size_t *count) {
	item *all = calloc(pack->mapped + pack->count + 1, sizeof *all);
	*count = 0;
	if (!all)
		return NULL;
	for (size_t i = 0; i < pack->mapped; i++)
		if (pack->used[i])
			all[(*count)++] = (item){ pack->table[i].name, pack->table[i].size, (void *)(pack->map.data + pack->table[i].offset) };
	memcpy(all + *count, pack->items, pack->count * sizeof *all);
	*count += pack->count;
	qsort(all, *count, sizeof *all, by_name);
	return all;
}

int nn_pack_save(nn_pack *pack, char *note) {
	if (!pack->path || !pack->count)
		return SN_OK;
	size_t count, length = strlen(pack->path) + 16;
	item *all = gather(pack, &count);
	char *temporary = malloc(length);
	int result = SN_OK, fd = -1;
	if (!all || !temporary) {
		result = sn_fail(note, SN_E_MEMORY, "no memory to save packed weights");
	} else {
		snprintf(temporary, length, "%s.XXXXXX", pack->path);
		fd = mkstemp(temporary);
		if (fd < 0)
			result = sn_fail_errno(note, "packed weights were not kept: cannot write '%s'", pack->path);
	}
	if (fd >= 0) {
		/* Synced before it takes its name: after a power cut there is the old file or the whole new one. */
		int failed = write_file(fd, pack->key, all, count) != 0 || fchmod(fd, 0644) != 0 || fsync(fd) != 0;
		failed = (close(fd) != 0) || failed;
		if (failed || rename(temporary, pack->path) != 0) {
			result = sn_fail_errno(note, "packed weights were not kept: cannot write '%s'", pack->path);
			unlink(temporary);
		}
	}
	free(all);
	free(temporary);
	return result;
}

void nn_pack_close(nn_pack **held) {
	nn_pack *pack = *held;
	*held = NULL;
	if (!pack)
		return;
	for (size_t i = 0; i < pack->count; i++)
		free(pack->items[i].data);
	free(pack->items);
	free(pack->used);
	free(pack->path);
	sn_map_close(&pack->map);
	free(pack);
}
