#include "store/blobs.h"

#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)
#define CLEAN "blobs_clean" /* the setting of a directory that was closed in order */

typedef struct name_list {
	struct name_list *next;
	uint8_t hash[SN_BLOB_HASH];
} name_list;

struct sn_blobs {
	sn_db *db;
	char directory[SN_PATH_MAX];
	int fd, opened;            /* of the directory */
	pthread_mutex_t lock;      /* taken after the database's, never before */
	uint64_t made;             /* names of files being written */
	name_list *staged, *loose; /* one node for each holder; what may have lost its last reference */
};

static void unlock(sn_blobs *b) { pthread_mutex_unlock(&b->lock); }

/* A file that may not grow (RLIMIT_FSIZE) is as good as a full disk. */
static int failed(char *err, const char *what) {
	const int full = errno == EFBIG;
	const int result = sn_fail_errno(err, "the server's store: %s", what);
	return full ? SN_E_NO_SPACE : result;
}

/* "ab/cdef...", and "ab" by its first two letters. */
static void spell(const uint8_t hash[SN_BLOB_HASH], char out[2 * SN_BLOB_HASH + 2]) {
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < SN_BLOB_HASH; i++) {
		*out++ = digits[hash[i] >> 4];
		*out++ = digits[hash[i] & 15];
		if (i == 0)
			*out++ = '/';
	}
	*out = 0;
}

static int known(sn_blobs *b, const uint8_t hash[SN_BLOB_HASH], sn_query *q) {
	int result = sn_db_begin(b->db, q, "SELECT 1 FROM blobs WHERE hash = ?1", "b", NULL, hash, (size_t)SN_BLOB_HASH);
	if (result == SN_OK)
		result = sn_db_row(q, NULL);
	return result != SN_END; /* what cannot be told stays */
}

/* ---- who holds what ---- */

static int is_staged(const sn_blobs *b, const uint8_t hash[SN_BLOB_HASH]) {
	for (const name_list *n = b->staged; n; n = n->next)
		if (memcmp(n->hash, hash, SN_BLOB_HASH) == 0)
			return 1;
	return 0;
}

static int push(sn_blobs *b, name_list **list, const uint8_t hash[SN_BLOB_HASH]) {
	name_list *const n = malloc(sizeof *n);
	if (!n)
		return SN_E_MEMORY;
	memcpy(n->hash, hash, SN_BLOB_HASH);
	pthread_mutex_lock(&b->lock);
	n->next = *list;
	*list = n;
	unlock(b);
	return SN_OK;
}

/* Removes the file unless a row or a holder has it. The statement stays open meanwhile: nobody can keep the blob in between. */
static void remove_loose(sn_blobs *b, const uint8_t hash[SN_BLOB_HASH]) {
	char name[2 * SN_BLOB_HASH + 2];
	sn_query q;
	spell(hash, name);
	const int kept = known(b, hash, &q);
	pthread_mutex_lock(&b->lock);
	if (!kept && !is_staged(b, hash))
		unlinkat(b->fd, name, 0);
	unlock(b);
	sn_db_end(&q);
}

void sn_blobs_unstage(sn_blobs *b, const uint8_t hash[SN_BLOB_HASH]) {
	name_list *gone = NULL;
	pthread_mutex_lock(&b->lock);
	for (name_list **at = &b->staged; *at && !gone; at = &(*at)->next)
		if (memcmp((*at)->hash, hash, SN_BLOB_HASH) == 0) {
			gone = *at;
			*at = gone->next;
			break;
		}
	unlock(b);
	free(gone);
	remove_loose(b, hash);
}

void sn_blobs_tidy(sn_blobs *b) {
	pthread_mutex_lock(&b->lock);
	name_list *list = b->loose;
	b->loose = NULL;
	unlock(b);
	while (list) {
		name_list *const n = list;
		list = n->next;
		remove_loose(b, n->hash);
		free(n);
	}
}

/* ---- opening ---- */

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static int read_name(const char *first, const char *rest, uint8_t hash[SN_BLOB_HASH]) {
	char text[2 * SN_BLOB_HASH + 1];
	if (strlen(first) != 2 || strlen(rest) != 2 * SN_BLOB_HASH - 2)
		return 0;
	memcpy(text, first, 2);
	memcpy(text + 2, rest, sizeof text - 2);
	for (int i = 0; i < SN_BLOB_HASH; i++) {
		const int high = hex(text[2 * i]), low = hex(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return 0;
		hash[i] = (uint8_t)(high * 16 + low);
	}
	return 1;
}

static void sweep_part(sn_blobs *b, const char *part) {
	const int fd = openat(b->fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *const dir = fd < 0 ? NULL : fdopendir(fd);
	uint8_t hash[SN_BLOB_HASH];
	struct dirent *e;
	while (dir && (e = readdir(dir))) {
		if (*e->d_name == '.')
			continue;
		if (read_name(part, e->d_name, hash))
			remove_loose(b, hash);
		else
			unlinkat(fd, e->d_name, 0);
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

/* After a crash: what was being written, and files without a row. */
static void sweep(sn_blobs *b) {
	const int fd = openat(b->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *const dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	while (dir && (e = readdir(dir))) {
		if (*e->d_name == '.')
			continue;
		if (strlen(e->d_name) == 2)
			sweep_part(b, e->d_name);
		else
			unlinkat(b->fd, e->d_name, 0);
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

int sn_blobs_open(sn_blobs **out, sn_db *db, const char *directory, char *err) {
	int64_t clean = 0;
	sn_blobs *const b = *out = calloc(1, sizeof *b);
	if (!b)
		return sn_fail(err, SN_E_MEMORY, "no memory for the store");
	b->db = db;
	b->fd = -1;
	pthread_mutex_init(&b->lock, NULL);
	snprintf(b->directory, sizeof b->directory, "%s", directory);
	if (mkdir(directory, 0700) == 0 || errno == EEXIST)
		b->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = b->fd < 0 ? failed(err, directory) : SN_OK;
	if (result == SN_OK && flock(b->fd, LOCK_EX | LOCK_NB) != 0)
		result = sn_fail(err, SN_E_BUSY, "another server uses \"%.200s\"; a home is for one", directory);
	if (result == SN_OK)
		result = sn_db_do(db, &clean, "DELETE FROM settings WHERE name = ?1", "t", err, CLEAN);
	if (result == SN_OK && !clean)
		sweep(b);
	b->opened = result == SN_OK;
	if (result != SN_OK)
		sn_blobs_close(out);
	return result;
}

void sn_blobs_close(sn_blobs **held) {
	sn_blobs *const b = *held;
	*held = NULL;
	if (!b)
		return;
	if (b->opened) {
		sn_blobs_tidy(b);
		sn_db_do(b->db, NULL, "INSERT OR REPLACE INTO settings(name, value) VALUES(?1, '1')", "t", NULL, CLEAN);
	}
	if (b->fd >= 0)
		close(b->fd);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* ---- writing ---- */

typedef struct writer {
	char name[32];
	int fd;
	int64_t size;
	gnutls_hash_hd_t hash;
} writer;

static int begin(sn_blobs *b, writer *w, char *err) {
	*w = (writer){ .fd = -1 };
	pthread_mutex_lock(&b->lock);
	snprintf(w->name, sizeof w->name, "new-%llu", (unsigned long long)b->made++);
	unlock(b);
	if (gnutls_hash_init(&w->hash, GNUTLS_DIG_SHA256) != 0)
		return sn_fail(err, SN_E_MEMORY, "no memory for the store");
	w->fd = openat(b->fd, w->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return w->fd < 0 ? failed(err, "a file cannot be made") : SN_OK;
}

static int add(writer *w, const void *data, size_t size, char *err) {
	for (const char *at = data; size;) {
		const ssize_t wrote = write(w->fd, at, size < PIECE ? size : PIECE);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return failed(err, "a file cannot be written");
		if (gnutls_hash(w->hash, at, (size_t)wrote) != 0)
			return sn_fail(err, SN_E_INTERNAL, "the hash of a file failed");
		at += wrote;
		size -= (size_t)wrote;
		w->size += wrote;
	}
	return SN_OK;
}

/* Makes the part of the directory where needed. */
static int open_part(sn_blobs *b, const char *name, int durable, char *err) {
	const char part[3] = { name[0], name[1], 0 };
	const int made = mkdirat(b->fd, part, 0700) == 0;
	if (!made && errno != EEXIST)
		return failed(err, "a directory cannot be made");
	return made && durable && fsync(b->fd) != 0 ? failed(err, "a directory cannot be synced") : SN_OK;
}

static int sync_part(sn_blobs *b, const char *name, char *err) {
	const char part[3] = { name[0], name[1], 0 };
	const int fd = openat(b->fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int result = fd < 0 || fsync(fd) != 0 ? failed(err, "a directory cannot be synced") : SN_OK;
	if (fd >= 0)
		close(fd);
	return result;
}

/* Ends the hash; a result of SN_OK puts the file in its place, held. An equal file is replaced: it might be damaged, or not synced. */
static int end(sn_blobs *b, writer *w, int durable, uint8_t hash[SN_BLOB_HASH], int result, char *err) {
	char name[2 * SN_BLOB_HASH + 2];
	if (w->hash)
		gnutls_hash_deinit(w->hash, hash);
	if (result == SN_OK && durable && fsync(w->fd) != 0)
		result = failed(err, "a file cannot be synced");
	if (w->fd >= 0 && close(w->fd) != 0 && result == SN_OK)
		result = failed(err, "a file cannot be closed");
	if (result == SN_OK) {
		spell(hash, name);
		result = open_part(b, name, durable, err);
	}
	if (result == SN_OK && (result = push(b, &b->staged, hash)) == SN_OK) {
		result = renameat(b->fd, w->name, b->fd, name) != 0 ? failed(err, "a file cannot be named") : SN_OK;
		if (result == SN_OK && durable)
			result = sync_part(b, name, err);
		if (result != SN_OK)
			sn_blobs_unstage(b, hash);
	}
	if (result != SN_OK && w->fd >= 0)
		unlinkat(b->fd, w->name, 0);
	return result;
}

int sn_blobs_stage(sn_blobs *b, const void *data, size_t size, int durable, uint8_t hash[SN_BLOB_HASH], char *err) {
	writer w;
	int result = begin(b, &w, err);
	if (result == SN_OK)
		result = add(&w, data, size, err);
	return end(b, &w, durable, hash, result, err);
}

int sn_blobs_stage_file(sn_blobs *b, int fd, int durable, uint8_t hash[SN_BLOB_HASH], int64_t *size, char *err) {
	writer w;
	int result = begin(b, &w, err);
	char *const piece = malloc(PIECE);
	if (result == SN_OK && !piece)
		result = sn_fail(err, SN_E_MEMORY, "no memory for the store");
	while (result == SN_OK) {
		const ssize_t got = pread(fd, piece, PIECE, w.size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			result = got < 0 ? failed(err, "an upload cannot be read") : SN_OK;
			break;
		}
		result = add(&w, piece, (size_t)got, err);
	}
	free(piece);
	*size = w.size;
	return end(b, &w, durable, hash, result, err);
}

/* ---- references ---- */

int sn_blobs_keep(sn_blobs *b, const uint8_t hash[SN_BLOB_HASH], int64_t size, char *err) {
	return sn_db_do(b->db, NULL, "INSERT INTO blobs(hash, size, uses) VALUES(?1, ?2, 1) ON CONFLICT(hash) DO UPDATE SET uses = uses + 1",
	                "bi", err, hash, (size_t)SN_BLOB_HASH, size);
}

int sn_blobs_drop(sn_blobs *b, const uint8_t hash[SN_BLOB_HASH], char *err) {
	int64_t gone = 0;
	int result = sn_db_do(b->db, NULL, "UPDATE blobs SET uses = uses - 1 WHERE hash = ?1", "b", err, hash, (size_t)SN_BLOB_HASH);
	if (result == SN_OK)
		result = sn_db_do(b->db, &gone, "DELETE FROM blobs WHERE hash = ?1 AND uses <= 0", "b", err, hash, (size_t)SN_BLOB_HASH);
	return result == SN_OK && gone ? push(b, &b->loose, hash) : result;
}

/* ---- reading ---- */

int sn_blobs_open_blob(sn_blobs *b, const uint8_t hash[SN_BLOB_HASH], int64_t *size, char *err) {
	char name[2 * SN_BLOB_HASH + 2];
	struct stat st;
	spell(hash, name);
	const int fd = openat(b->fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		failed(err, "a file cannot be read");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*size = st.st_size;
	return fd;
}

static int read_all(int fd, char *data, size_t size, char *err) {
	for (size_t done = 0; done < size;) {
		const ssize_t got = read(fd, data + done, size - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? failed(err, "a file cannot be read") : sn_fail(err, SN_E_FORMAT, "the server's store: a file is cut short");
		done += (size_t)got;
	}
	return SN_OK;
}

int sn_blobs_read(sn_blobs *b, const uint8_t hash[SN_BLOB_HASH], void **data, size_t *size, char *err) {
	uint8_t found[SN_BLOB_HASH];
	int64_t length;
	*data = NULL;
	*size = 0;
	const int fd = sn_blobs_open_blob(b, hash, &length, err);
	if (fd < 0)
		return SN_E_IO;
	char *const bytes = length >= 0 && (uint64_t)length <= SN_BLOB_MAX ? malloc((size_t)length + 1) : NULL;
	int result = bytes ? read_all(fd, bytes, (size_t)length, err) : sn_fail(err, SN_E_MEMORY, "no memory for a stored file");
	close(fd);
	if (result == SN_OK && (gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, (size_t)length, found) != 0 || memcmp(found, hash, sizeof found) != 0))
		result = sn_fail(err, SN_E_FORMAT, "the server's store: a file is damaged");
	if (result != SN_OK) {
		free(bytes);
		return result;
	}
	bytes[length] = 0;
	*data = bytes;
	*size = (size_t)length;
	return SN_OK;
}
