#include "pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define MARGIN ((int64_t)1 << 20)      /* bytes for directories and the manifest */
#define MAX_MANIFEST ((off_t)4 << 20)

int pull_place_name(pull *p, char *err) {
	char hidden[300];
	const char *const directory = pull_text(p->request, "directory");
	snprintf(hidden, sizeof hidden, ".pull-%s", directory);
	if (!*directory || strchr(directory, '/') || *directory == '.' || strlen(directory) > 240)
		return sn_fail(err, SN_E_ARGUMENT, "\"%.100s\" cannot be a model's directory", directory);
	if (sn_path_join(p->models, pull_text(p->request, "home"), "models") && sn_path_join(p->place, p->models, directory) &&
	    sn_path_join(p->work, p->models, hidden) && sn_path_join(p->parts, p->work, "parts") && sn_path_join(p->whole, p->work, "whole"))
		return SN_OK;
	return sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
}

int pull_place_make(const char *path, char *err) {
	if (sn_store_make_directories(path) == 0)
		return SN_OK;
	const int denied = errno == EACCES || errno == EROFS || errno == EPERM;
	const int result = sn_fail_errno(err, "%.300s cannot be made", path);
	if (!denied)
		return result;
	return sn_fail(err, SN_E_IO, "%.300s cannot be made: the store is read-only for this user; set SONANT_HOME to a directory of your own", path);
}

/* ---- one pull of a model at a time ---- */

/* Whether the descriptor's file is still the one of that name: the pull before may have removed it. */
static int is_current(int file, const char *path) {
	struct stat own, named;
	return fstat(file, &own) == 0 && stat(path, &named) == 0 && own.st_ino == named.st_ino && own.st_dev == named.st_dev;
}

int pull_place_lock(pull *p, char *err) {
	char path[SN_STORE_PATH];
	int said = 0;
	if (!sn_path_join(path, p->work, "lock"))
		return sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
	for (;;) {
		const int made = pull_place_make(p->work, err);
		if (made != SN_OK)
			return made;
		p->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (p->lock < 0 && errno == ENOENT) /* removed in between */
			continue;
		if (p->lock < 0)
			return sn_fail_errno(err, "%.300s cannot be written", path);
		while (flock(p->lock, LOCK_EX | LOCK_NB) != 0) {
			if (errno != EWOULDBLOCK && errno != EINTR)
				return sn_fail_errno(err, "%.300s cannot be locked", path);
			if (!said++)
				pull_note("another process is pulling %s: waiting for it", p->model);
			if (!pull_show(p, "", 0, 0))
				return sn_fail(err, SN_E_CANCELLED, "nobody waits for the model any more");
			nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
		}
		if (is_current(p->lock, path))
			return SN_OK;
		close(p->lock);
		p->lock = -1;
	}
}

void pull_place_leave(pull *p) {
	char path[SN_STORE_PATH];
	int64_t freed = 0;
	if (p->lock < 0)
		return;
	sn_store_remove_tree(p->whole, &freed);
	rmdir(p->parts);
	if (sn_path_join(path, p->work, "lock") && access(p->parts, F_OK) != 0 && access(p->whole, F_OK) != 0 && is_current(p->lock, path))
		unlink(path);
	rmdir(p->work);
	close(p->lock);
	p->lock = -1;
}

int pull_place_room(const pull *p, int64_t needed, char *err) {
	struct statvfs fs;
	if (statvfs(p->models, &fs) != 0)
		return SN_OK; /* writing will tell */
	const int64_t room = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
	if (needed + MARGIN <= room)
		return SN_OK;
	return sn_fail(err, SN_E_NO_SPACE, "%s needs %.1f MB more, and %.300s has %.1f MB left: %.1f MB are missing", p->model, (double)needed / 1e6, p->models,
	               (double)room / 1e6, (double)(needed + MARGIN - room) / 1e6);
}

/* ---- what is there ---- */

json_t *pull_place_manifest(const char *directory) {
	char path[SN_STORE_PATH];
	struct stat st;
	json_t *manifest = NULL;
	if (sn_path_join(path, directory, PULL_MANIFEST) && lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < MAX_MANIFEST)
		manifest = json_load_file(path, 0, NULL);
	return manifest;
}

int pull_place_part(const pull *p, const pull_file *file, const char *end, char path[SN_STORE_PATH], char *err) {
	char name[128];
	uint64_t mark = 14695981039346656037u; /* two files of one content have parts of their own */
	for (const char *c = file->name; *c; c++)
		mark = (mark ^ (unsigned char)*c) * 1099511628211u;
	snprintf(name, sizeof name, "%s-%08llx%s", *file->hash ? file->hash : "file", (unsigned long long)(mark & 0xffffffffu), end);
	return sn_path_join(path, p->parts, name) ? SN_OK : sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
}

static const json_t *recorded(const json_t *manifest, const char *name) {
	const json_t *const files = json_object_get(manifest, "files");
	for (size_t i = 0; i < json_array_size(files); i++)
		if (strcmp(pull_text(json_array_get(files, i), "name"), name) == 0)
			return json_array_get(files, i);
	return NULL;
}

/* Whether the installed directory has that file as it should be. */
static int is_installed(const pull *p, const json_t *manifest, pull_file *f) {
	char path[SN_STORE_PATH];
	struct stat st;
	int same = 0;
	const json_t *const known = recorded(manifest, f->name);
	if (!sn_path_join(path, p->place, f->name) || lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != f->size)
		return 0;
	if (!p->force && known && strcasecmp(pull_text(known, "hash"), f->hash) == 0 && strlen(pull_text(known, "sha256")) == 64) {
		strcpy(f->sha256, pull_text(known, "sha256"));
		return 1;
	}
	return pull_hash_file(path, f->hash, f->size, &same, f->sha256, NULL) == SN_OK && same;
}

int pull_place_look(pull *p, int *already, char *err) {
	json_t *const manifest = pull_place_manifest(p->place);
	char path[SN_STORE_PATH];
	struct stat st;
	int result = SN_OK;
	*already = manifest && strcmp(pull_text(manifest, "commit"), p->commit) == 0;
	p->bytes = p->total = 0;
	for (int i = 0; i < p->count && result == SN_OK; i++) {
		pull_file *const f = &p->files[i];
		f->whole = f->installed = is_installed(p, manifest, f);
		f->present = f->whole ? f->size : 0;
		*already = *already && f->whole;
		result = pull_place_part(p, f, "", path, err);
		if (result == SN_OK && !f->whole && stat(path, &st) == 0 && st.st_size <= f->size)
			f->present = st.st_size;
		p->bytes += f->present;
		p->total += f->size;
	}
	json_decref(manifest);
	return result;
}

/* ---- into its place ---- */

static int copy(const char *from, const char *to, char *err) {
	static char block[PULL_BLOCK];
	const int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	ssize_t count = in < 0 || out < 0 ? -1 : 1;
	while (count > 0 && (count = read(in, block, sizeof block)) > 0)
		count = write(out, block, (size_t)count) == count ? count : -1;
	if (count == 0 && fsync(out) != 0)
		count = -1;
	const int result = count < 0 ? sn_fail_errno(err, "%.200s cannot be copied to %.200s", from, to) : SN_OK;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return result;
}

int pull_place_gather(pull *p, char *err) {
	char from[SN_STORE_PATH], to[SN_STORE_PATH], part[SN_STORE_PATH];
	int64_t freed = 0;
	sn_store_remove_tree(p->whole, &freed); /* of a pull that was killed here; its files are parts or installed ones */
	int result = pull_place_make(p->whole, err);
	for (int i = 0; i < p->count && result == SN_OK; i++) {
		const pull_file *const f = &p->files[i];
		result = pull_place_part(p, f, "", part, err);
		if (result == SN_OK && (!sn_path_join(from, p->place, f->name) || !sn_path_join(to, p->whole, f->name)))
			result = sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
		char *const slash = strrchr(to, '/');
		*slash = 0;
		result = result == SN_OK ? pull_place_make(to, err) : result;
		*slash = '/';
		const char *const source = f->installed ? from : part; /* of which a part may lie there, too */
		if (result == SN_OK && link(source, to) != 0)
			result = copy(source, to, err);
	}
	return result;
}

static int write_manifest(const pull *p, const char *source, char *err) {
	char path[SN_STORE_PATH];
	json_t *const files = json_array(), *const manifest = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "version", 1, "model", p->model, "source",
		source, "endpoint", *p->repository ? p->endpoint : "", "repository", p->repository, "commit", p->commit, "include", p->include, "files", files);
	for (int i = 0; i < p->count && manifest; i++) /* without it the list is gone, too */
		json_array_append_new(files, json_pack("{s:s, s:I, s:s, s:s}", "name", p->files[i].name, "size", (json_int_t)p->files[i].size, "sha256",
		                                       p->files[i].sha256, "hash", p->files[i].hash));
	char *const text = manifest ? json_dumps(manifest, JSON_INDENT(1)) : NULL;
	json_decref(manifest);
	if (!text || !sn_path_join(path, p->whole, PULL_MANIFEST)) {
		free(text);
		return sn_fail(err, SN_E_MEMORY, "no memory for the list of %d files", p->count);
	}
	FILE *const out = fopen(path, "w");
	int good = out && fputs(text, out) >= 0 && fflush(out) == 0 && fsync(fileno(out)) == 0;
	const int result = good ? SN_OK : sn_fail_errno(err, "%.300s cannot be written", path);
	if (out)
		fclose(out);
	free(text);
	return result;
}

int pull_place_install(pull *p, const char *source, char *err) {
	char old[SN_STORE_PATH];
	int64_t freed = 0;
	struct stat st;
	int result = write_manifest(p, source, err);
	if (result != SN_OK)
		return result;
	if (!sn_path_join(old, p->work, "old"))
		return sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
	sn_store_remove_tree(old, &freed);
	const int there = lstat(p->place, &st) == 0;
	const int exchanged = there && renameat2(AT_FDCWD, p->whole, AT_FDCWD, p->place, RENAME_EXCHANGE) == 0;
	const int moved = there && !exchanged && rename(p->place, old) == 0; /* a file system that cannot exchange */
	if (!exchanged && ((there && !moved) || rename(p->whole, p->place) != 0)) {
		result = sn_fail_errno(err, "%.300s cannot take its place", p->whole);
		if (moved && rename(old, p->place) != 0)
			result = sn_fail_errno(err, "%.300s cannot take its place; the model lies in %.300s", p->whole, old);
		return result;
	}
	sn_store_remove_tree(old, &freed);
	sn_store_remove_tree(p->whole, &freed);
	sn_store_remove_tree(p->parts, &freed);
	return SN_OK;
}
