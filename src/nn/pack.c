/* Packed weights in one file:
 *   header { magic, version, key, entries, file size, table hash, table offset }, 64-byte aligned data, table of { name hash, offset, size }.
 * The file is ours, but a disk may have cut it or another version written it: anything that does not fit is ignored and rewritten.
 *
 * A new file has no name until it is whole. Large entries go into it one by one while they are made, the small ones, what is kept of
 * the file before, and the table at the end. */
#include "nn/pack.h"

#include "base/hash.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x6b636170746e6e53)
#define VERSION 2
#define MAX_ENTRIES 65536
#define ALIGN 64
#define LARGE ((size_t)256 << 10) /* bytes of an entry that has pages of its own */
#define NAMES 100                 /* tried for the file before it takes its own */
#define DAY (24 * 3600)
#define UNUSED (30 * DAY) /* seconds after which packs that nobody opened are removed, when another is saved */

typedef struct header {
	uint64_t magic, version, key, entries, size, table_hash, table;
} header;

typedef struct entry {
	uint64_t name, offset, size;
} entry;

typedef struct item { /* made here, to be saved */
	uint64_t name;
	size_t size;
	void *data;
	size_t pages; /* bytes of the map that `data` is; 0: of the heap */
	uint64_t at;  /* in the file that is being written; 0: not there */
} item;

struct nn_pack {
	char *path; /* NULL: memory only */
	uint64_t key;
	sn_map map;
	const entry *table;
	unsigned char *used; /* per entry of the table: somebody asked for it */
	size_t mapped, count, capacity;
	item *items;
	/* the file that is being written */
	int fd;          /* -1: none */
	char *temporary; /* its name; NULL: it has none */
	uint64_t end;
	size_t saved;    /* items that the last file has */
	int failed;      /* errno of a write: no more is tried */
	int resting;     /* saving was asked for: what comes later lies in memory until it is again */
};

static int valid(const sn_map *map, uint64_t key) {
	const header *h = (const header *)map->data;
	if (map->size < sizeof *h || h->magic != MAGIC || h->version != VERSION || h->key != key || h->size != map->size || h->entries > MAX_ENTRIES)
		return 0;
	const size_t table = (size_t)h->entries * sizeof(entry);
	if (h->table % ALIGN || h->table > map->size || map->size - h->table < table ||
	    sn_hash(SN_HASH_INIT, map->data + h->table, table) != h->table_hash)
		return 0;
	const entry *e = (const entry *)(map->data + h->table);
	for (size_t i = 0; i < h->entries; i++)
		if (e[i].offset % ALIGN || e[i].offset > map->size || e[i].size > map->size - e[i].offset)
			return 0;
	return 1;
}

/* Its time of change says so, once a day; its time of access does where the file is another's. */
static void mark_used(const char *path) {
	struct stat st;
	if (stat(path, &st) == 0 && time(NULL) - st.st_mtime > DAY)
		utimensat(AT_FDCWD, path, NULL, 0); /* it may be another's */
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
	pack->fd = -1;
	if (path && sn_map_open(&pack->map, path, NULL) == SN_OK) {
		const header *const h = (const header *)pack->map.data;
		size_t entries = valid(&pack->map, key) ? (size_t)h->entries : 0;
		pack->used = calloc(entries + 1, 1);
		if (entries && pack->used) {
			mark_used(path);
			pack->table = (const entry *)(pack->map.data + h->table);
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

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }
static uint64_t round_up(uint64_t size, uint64_t unit) { return (size + unit - 1) / unit * unit; }

/* Zeroed, with ALIGN bytes more, since kernels may read a little past the end. */
static void *reserve(size_t size, size_t *pages) {
	*pages = size >= LARGE ? (size_t)round_up(size + ALIGN, page_size()) : 0;
	if (*pages) {
		void *map = mmap(NULL, *pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return map == MAP_FAILED ? NULL : map;
	}
	const size_t rounded = (size_t)round_up(size, ALIGN) + ALIGN;
	void *data = aligned_alloc(ALIGN, rounded);
	return data ? memset(data, 0, rounded) : NULL;
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
	item fresh = { .name = sn_hash_text(SN_HASH_INIT, name), .size = size };
	fresh.data = reserve(size, &fresh.pages);
	if (fresh.data)
		pack->items[pack->count++] = fresh;
	return fresh.data;
}

/* ---- the file that is being written ---- */

static int write_at(int fd, const void *data, size_t size, uint64_t at) {
	for (const char *p = data; size;) {
		ssize_t n = pwrite(fd, p, size, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n < 0 ? errno : EIO;
			return -1;
		}
		p += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* A file without a name leaves nothing behind when the process is killed; where there are none it has a temporary one. */
static int create(nn_pack *pack) {
	const char *const slash = strrchr(pack->path, '/');
	const size_t length = strlen(pack->path) + 16;
	char *name = malloc(length);
	if (!name)
		return -1;
	snprintf(name, length, "%.*s", slash ? (int)(slash - pack->path) + 1 : 1, slash ? pack->path : ".");
	pack->fd = access("/proc/self/fd", F_OK) == 0 ? open(name, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644) : -1;
	pack->end = sizeof(header);
	if (pack->fd >= 0) {
		free(name);
		return 0;
	}
	snprintf(name, length, "%s.XXXXXX", pack->path);
	pack->fd = mkostemp(name, O_CLOEXEC);
	if (pack->fd < 0) {
		free(name);
		return -1;
	}
	pack->temporary = name;
	return 0;
}

static void abandon(nn_pack *pack) {
	if (pack->fd >= 0)
		close(pack->fd);
	if (pack->temporary)
		unlink(pack->temporary);
	free(pack->temporary);
	pack->temporary = NULL;
	pack->fd = -1;
	for (size_t i = 0; i < pack->count; i++)
		pack->items[i].at = 0;
}

/* What kernels may read past the end is zeros: in the file, too, behind the last entry. */
static int append(nn_pack *pack, const void *data, size_t size, uint64_t unit, uint64_t *at) {
	static const char zeros[ALIGN];
	*at = round_up(pack->end, unit);
	pack->end = *at + size + ALIGN;
	return write_at(pack->fd, data, size, *at) || write_at(pack->fd, zeros, ALIGN, *at + size) ? -1 : 0;
}

const void *nn_pack_filled(nn_pack *pack) {
	item *const last = pack->items + pack->count - 1;
	if (!last->pages || !pack->path || pack->failed || pack->resting)
		return last->data;
	if ((pack->fd < 0 && create(pack) != 0) || append(pack, last->data, last->size, page_size(), &last->at) != 0) {
		pack->failed = errno;
		abandon(pack);
		return last->data;
	}
	void *map = mmap(NULL, last->pages, PROT_READ, MAP_PRIVATE, pack->fd, (off_t)last->at);
	if (map != MAP_FAILED) {
		munmap(last->data, last->pages);
		last->data = map;
	}
	return last->data;
}

static void discard(const item *it) {
	if (it->pages)
		munmap(it->data, it->pages);
	else
		free(it->data);
}

void nn_pack_drop(nn_pack *pack) { discard(&pack->items[--pack->count]); }

/* All that was asked for, mapped or made, without what nobody needs any more: writes what is not in the file yet, and fills the table. */
static int write_rest(nn_pack *pack, entry *table, size_t *count) {
	*count = 0;
	for (size_t i = 0; i < pack->mapped; i++) {
		const entry *const e = pack->table + i;
		if (!pack->used[i])
			continue;
		table[*count] = (entry){ .name = e->name, .size = e->size };
		if (append(pack, pack->map.data + e->offset, (size_t)e->size, ALIGN, &table[(*count)++].offset) != 0)
			return -1;
	}
	for (size_t i = 0; i < pack->count; i++) {
		item *const it = pack->items + i;
		if (!it->at && append(pack, it->data, it->size, ALIGN, &it->at) != 0)
			return -1;
		table[(*count)++] = (entry){ it->name, it->at, it->size };
	}
	return 0;
}

static int by_name(const void *a, const void *b) {
	uint64_t x = ((const entry *)a)->name, y = ((const entry *)b)->name;
	return x < y ? -1 : x > y;
}

static int complete(nn_pack *pack) {
	size_t count;
	entry *table = calloc(pack->mapped + pack->count + 1, sizeof *table);
	int failed = !table || write_rest(pack, table, &count) != 0;
	if (!failed) {
		qsort(table, count, sizeof *table, by_name);
		header h = { .magic = MAGIC, .version = VERSION, .key = pack->key, .entries = count };
		h.table_hash = sn_hash(SN_HASH_INIT, table, count * sizeof *table);
		failed = append(pack, table, count * sizeof *table, ALIGN, &h.table) != 0;
		h.size = pack->end;
		failed = failed || write_at(pack->fd, &h, sizeof h, 0) != 0;
	}
	free(table);
	/* Synced before it takes its name: after a power cut there is the old file or the whole new one. */
	return failed || fchmod(pack->fd, 0644) != 0 || fsync(pack->fd) != 0 ? -1 : 0;
}

/* The file gets its name, or a temporary one first, since a link cannot replace another file. */
static int take_name(nn_pack *pack) {
	const size_t length = strlen(pack->path) + 16;
	char from[32];
	if (pack->temporary)
		return rename(pack->temporary, pack->path);
	if (!(pack->temporary = malloc(length)))
		return -1;
	snprintf(from, sizeof from, "/proc/self/fd/%d", pack->fd);
	int linked = -1;
	for (int i = 0; i < NAMES && linked != 0; i++) {
		snprintf(pack->temporary, length, "%s.new%d", pack->path, i);
		linked = linkat(AT_FDCWD, from, AT_FDCWD, pack->temporary, AT_SYMLINK_FOLLOW);
		if (linked != 0 && errno != EEXIST)
			break;
	}
	if (linked == 0)
		return rename(pack->temporary, pack->path);
	free(pack->temporary); /* it is another's */
	pack->temporary = NULL;
	return -1;
}

/* Packs of checkpoints that were moved, changed or removed would stay for good, and those that a killed process did not finish. */
static void remove_old(const char *path) {
	const char *const slash = strrchr(path, '/');
	char *const directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	DIR *const d = directory ? opendir(directory) : NULL;
	const time_t now = time(NULL);
	struct stat st;
	for (struct dirent *item; d && (item = readdir(d));) {
		const char *const end = strstr(item->d_name, ".pack");
		if (!end || (end[5] && end[5] != '.') || fstatat(dirfd(d), item->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
			continue;
		const time_t used = st.st_atime > st.st_mtime ? st.st_atime : st.st_mtime;
		if (now - used > (end[5] ? DAY : UNUSED))
			unlinkat(dirfd(d), item->d_name, 0); /* who has it mapped keeps it */
	}
	if (d)
		closedir(d);
	free(directory);
}

int nn_pack_save(nn_pack *pack, char *note) {
	pack->resting = 1;
	if (!pack->path || pack->saved == pack->count)
		return SN_OK;
	if (!pack->failed && ((pack->fd < 0 && create(pack) != 0) || complete(pack) != 0 || take_name(pack) != 0))
		pack->failed = errno;
	if (!pack->failed) { /* the name is the file's own now */
		free(pack->temporary);
		pack->temporary = NULL;
		pack->saved = pack->count;
		remove_old(pack->path);
	}
	abandon(pack);
	errno = pack->failed;
	pack->failed = 0;
	return errno ? sn_fail_errno(note, "packed weights were not kept: cannot write '%s'", pack->path) : SN_OK;
}

void nn_pack_close(nn_pack **held) {
	nn_pack *pack = *held;
	*held = NULL;
	if (!pack)
		return;
	abandon(pack);
	for (size_t i = 0; i < pack->count; i++)
		discard(&pack->items[i]);
	free(pack->items);
	free(pack->used);
	free(pack->path);
	sn_map_close(&pack->map);
	free(pack);
}
