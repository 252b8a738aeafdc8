#include "pull.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_LISTED 100000 /* files of a repository */

/* ---- refusals ---- */

int pull_hub_explain(const pull *p, const pull_answer *a, const char *what, char *err) {
	const char *const revision = p->commit, *const repository = p->repository;
	if (a->status == 429) {
		char wait[48] = "a while";
		if (a->retry_after >= 0)
			snprintf(wait, sizeof wait, "%lld s", (long long)a->retry_after);
		return sn_fail(err, SN_E_BUSY, "%s asks to wait %s, it had too many requests: try again then%s", p->endpoint, wait,
		               *p->token ? "" : ", or set HF_TOKEN, which allows more");
	}
	if (strcasecmp(a->error_code, "GatedRepo") == 0 || (a->status == 403 && !*a->error_code))
		return sn_fail(err, SN_E_NOT_FOUND, "%s is gated: ask for access on %s/%s, then %s", repository, p->endpoint, repository,
		               *p->token ? "pull again (the token that was sent has none yet)" : "set HF_TOKEN to a token of your account");
	if (strcasecmp(a->error_code, "RevisionNotFound") == 0)
		return sn_fail(err, SN_E_NOT_FOUND, "%s has no revision \"%s\": %s/%s shows its branches and tags", repository, revision, p->endpoint, repository);
	if (strcasecmp(a->error_code, "EntryNotFound") == 0 || (a->status == 404 && *what && strcasecmp(a->error_code, "RepoNotFound") != 0))
		return sn_fail(err, SN_E_NOT_FOUND, "%s has no file %s at %.12s", repository, what, revision);
	if (a->status == 401 || a->status == 404)
		return sn_fail(err, SN_E_NOT_FOUND, "%s has no repository %s, or it is private: check the name%s", p->endpoint, repository,
		               *p->token ? ", or use a token that may read it" : ", or set HF_TOKEN");
	return sn_fail(err, SN_E_IO, "%s answers %ld for %s%s%s%s%s; try again later", p->endpoint, a->status, repository, *what ? " " : "", what,
	               *a->error_message ? ": " : "", a->error_message);
}

/* ---- the listing ---- */

static int read_listing(pull *p, const char *revision, json_t **listing, char *err) {
	char url[PULL_URL];
	pull_answer answer;
	sn_buf body;
	char *const escaped = curl_easy_escape(NULL, revision, 0);
	const int length = snprintf(url, sizeof url, "%s/api/models/%s/revision/%s?blobs=true", p->endpoint, p->repository, escaped ? escaped : "");
	curl_free(escaped);
	*listing = NULL;
	snprintf(p->commit, sizeof p->commit, "%s", revision); /* for sentences, until it is known */
	if (length >= (int)sizeof url)
		return sn_fail(err, SN_E_LIMIT, "the name of the repository or revision is too long");
	sn_buf_init(&body, PULL_MAX_PAGE);
	int result = pull_http_page(p, url, "application/json", &body, &answer, err);
	if (result == SN_OK && answer.status != 200)
		result = pull_hub_explain(p, &answer, "", err);
	if (result == SN_OK) {
		json_error_t error;
		const int large = sn_json_values(body.data, body.size) > PULL_MAX_VALUES;
		*listing = large ? NULL : json_loadb(body.data ? body.data : "", body.size, 0, &error);
		if (large)
			result = sn_fail(err, SN_E_LIMIT, "%.300s answers with more than %d values", url, PULL_MAX_VALUES);
		else if (!json_is_object(*listing))
			result = sn_fail(err, SN_E_FORMAT, "%.300s answers with %s instead of a listing in JSON", url,
			                 strncasecmp(answer.type, "text/html", 9) == 0 ? "a web page" : *listing ? "another value" : error.text);
	}
	sn_buf_free(&body);
	if (result != SN_OK) {
		json_decref(*listing);
		*listing = NULL;
	}
	return result;
}

static int is_hex(const char *text, size_t size) {
	return strlen(text) == size && strspn(text, "0123456789abcdefABCDEF") == size;
}

static int read_commit(pull *p, const char *revision, const json_t *listing, char *err) {
	const char *const sha = pull_text(listing, "sha");
	size_t size = strlen(sha);
	for (const char *c = sha; *c; c++)
		size = isalnum((unsigned char)*c) ? size : 0;
	if (size == 0 || size >= sizeof p->commit)
		return sn_fail(err, SN_E_FORMAT, "the hub's listing of %s names no commit", p->repository);
	if (is_hex(revision, 40) && strcasecmp(revision, sha) != 0)
		return sn_fail(err, SN_E_FORMAT, "the hub lists %s at the commit %s instead of %s", p->repository, sha, revision);
	strcpy(p->commit, sha);
	return SN_OK;
}

/* The names of all files, borrowed; free() *names. */
static int read_names(const pull *p, const json_t *siblings, const char ***names, int *count, char *err) {
	const size_t n = json_array_size(siblings);
	if (!json_is_array(siblings) || n > MAX_LISTED)
		return n ? sn_fail(err, SN_E_LIMIT, "%s has %zu files; at most %d are read", p->repository, n, MAX_LISTED)
		         : sn_fail(err, SN_E_FORMAT, "the hub's listing of %s has no files", p->repository);
	*names = calloc(n + 1, sizeof **names);
	if (!*names)
		return sn_fail(err, SN_E_MEMORY, "no memory for a listing");
	for (size_t i = 0; i < n; i++) {
		(*names)[i] = pull_text(json_array_get(siblings, i), "rfilename");
		if (!pull_name_is_safe((*names)[i]))
			return sn_fail(err, SN_E_FORMAT, "the hub's listing of %s has a file \"%.80s\": no name of a file inside it; nothing was fetched", p->repository,
			               (*names)[i]);
	}
	*count = (int)n;
	return SN_OK;
}

static int add_file(pull *p, const json_t *sibling, const char *name, char *err) {
	const json_t *const lfs = json_object_get(sibling, "lfs"), *const size = json_object_get(lfs, "size"), *const own = json_object_get(sibling, "size");
	const char *const sha256 = *pull_text(lfs, "sha256") ? pull_text(lfs, "sha256") : pull_text(lfs, "oid"), *const blob = pull_text(sibling, "blobId");
	pull_file *const f = &p->files[p->count++];
	*f = (pull_file){ .size = json_is_integer(size) ? json_integer_value(size) : json_is_integer(own) ? json_integer_value(own) : -1 };
	snprintf(f->remote, sizeof f->remote, "%s", pull_text(sibling, "rfilename"));
	snprintf(f->name, sizeof f->name, "%s", name);
	if (json_is_object(lfs) && is_hex(sha256, 64))
		strcpy(f->hash, sha256);
	else if (!json_is_object(lfs) && is_hex(blob, 40))
		strcpy(f->hash, blob);
	if (f->size < -1 || f->size > PULL_MAX_FILE)
		return sn_fail(err, SN_E_FORMAT, "%s cannot have %lld bytes", f->name, (long long)f->size);
	return SN_OK;
}

/* What the listing does not say of a file: by asking for its headers. */
static int ask_headers(const pull *p, pull_file *f, char *err) {
	char url[PULL_URL], tag[256];
	pull_answer a;
	if (!pull_http_url(p, f->remote, url))
		return sn_fail(err, SN_E_LIMIT, "the URL of %.200s is too long", f->remote);
	const int result = pull_http_page(p, url, NULL, NULL, &a, err);
	if (result != SN_OK)
		return result;
	if (a.status != 200)
		return pull_hub_explain(p, &a, f->remote, err);
	const char *const from = *a.linked_etag ? a.linked_etag : a.etag;
	snprintf(tag, sizeof tag, "%s", strchr(from, '"') ? strchr(from, '"') + 1 : from);
	tag[strcspn(tag, "\"")] = 0;
	f->size = f->size >= 0 ? f->size : a.linked_size >= 0 ? a.linked_size : a.length;
	if (!*f->hash && (is_hex(tag, 64) || is_hex(tag, 40)))
		strcpy(f->hash, tag);
	if (!*f->hash || f->size < 0 || f->size > PULL_MAX_FILE)
		return sn_fail(err, SN_E_FORMAT, "the hub tells neither in its listing nor in its headers which %s %s has, so it could not be checked",
		               *f->hash ? "size" : "hash", f->remote);
	return SN_OK;
}

/* ---- choosing ---- */

/* A model of another kind, seen before gigabytes of it were fetched. */
static int check_kind(const pull *p, const json_t *listing, char *err) {
	const char *type = pull_text(json_object_get(listing, "config"), "model_type");
	const pull_file *config = NULL;
	char url[PULL_URL], of_file[64] = "";
	pull_answer a;
	sn_buf body;
	json_t *const manifest = pull_place_manifest(p->place);
	const int known = manifest != NULL; /* it was looked at when it was installed */
	json_decref(manifest);
	if (known || p->force)
		return SN_OK;
	for (int i = 0; i < p->count && !*type; i++)
		config = strcmp(p->files[i].name, "config.json") == 0 && p->files[i].size < (1 << 22) ? &p->files[i] : config;
	sn_buf_init(&body, 1 << 22);
	if (config && pull_http_url(p, config->remote, url) && pull_http_page(p, url, NULL, &body, &a, NULL) == SN_OK && a.status == 200 && body.data) {
		json_t *const json = json_loadb(body.data, body.size, 0, NULL);
		snprintf(of_file, sizeof of_file, "%s", pull_text(json, "model_type"));
		type = of_file;
		json_decref(json);
	}
	sn_buf_free(&body);
	if (!*type || sn_store_reads(type))
		return SN_OK;
	return sn_fail(err, SN_E_UNSUPPORTED, "%s is a model of the kind \"%.40s\", which Sonant cannot run; --force fetches it nevertheless", p->repository,
	               type);
}

/* The files of the catalogue's entry, with its hashes. */
static int plan_pinned(pull *p, const json_t *siblings, const char *const *names, int count, const char *folder, const json_t *entry, char *err) {
	const json_t *const files = json_object_get(entry, "files");
	for (size_t i = 0; i < json_array_size(files) && i < PULL_MAX_FILES; i++) {
		const json_t *const file = json_array_get(files, i);
		const char *const name = pull_text(file, "name"), *const sha256 = pull_text(file, "sha256");
		char remote[PULL_NAME];
		int at = 0;
		snprintf(remote, sizeof remote, "%s%s%s", folder, *folder ? "/" : "", name);
		while (at < count && strcmp(names[at], remote) != 0)
			at++;
		int result = at < count ? add_file(p, json_array_get(siblings, (size_t)at), name, err)
			: sn_fail(err, SN_E_NOT_FOUND, "%s has no file %s", p->repository, remote);
		if (result != SN_OK)
			return result;
		pull_file *const f = &p->files[p->count - 1];
		const int64_t size = json_integer_value(json_object_get(file, "size"));
		if ((f->size >= 0 && f->size != size) || (strlen(f->hash) == 64 && strcasecmp(f->hash, sha256) != 0))
			return sn_fail(err, SN_E_FORMAT, "%s of %s is not the file that the catalogue knows", remote, p->repository);
		f->size = size;
		snprintf(f->hash, sizeof f->hash, "%s", sha256);
	}
	return SN_OK;
}

static int plan_chosen(pull *p, const json_t *listing, const char *const *names, int count, const char *folder, char *err) {
	const json_t *const siblings = json_object_get(listing, "siblings");
	char *const chosen = calloc((size_t)count + 1, 1);
	int result = chosen ? pull_choose(names, count, folder, p->include, chosen, err) : sn_fail(err, SN_E_MEMORY, "no memory for a listing");
	const char *const slash = strrchr(folder, '/');
	const size_t above = slash ? (size_t)(slash - folder) + 1 : 0, whole = strlen(folder) + (*folder != 0);
	const size_t skip = sn_path_ends_with(folder, ".onnx") ? above : whole; /* a file is named, or a folder */
	for (int i = 0; i < count && result == SN_OK; i++)
		if (chosen[i])
			result = p->count < PULL_MAX_FILES ? add_file(p, json_array_get(siblings, (size_t)i), names[i] + skip, err)
				: sn_fail(err, SN_E_LIMIT, "%s has more than %d files to fetch", p->repository, PULL_MAX_FILES);
	free(chosen);
	return result == SN_OK ? check_kind(p, listing, err) : result;
}

int pull_hub_plan(pull *p, const json_t *candidate, char *err) {
	const char *const folder = pull_text(candidate, "folder"), **names = NULL;
	const json_t *const entry = json_object_get(candidate, "entry");
	json_t *listing = NULL;
	int count = 0;
	p->count = 0;
	snprintf(p->repository, sizeof p->repository, "%s", pull_text(candidate, "repository"));
	int result = read_listing(p, pull_text(candidate, "revision"), &listing, err);
	if (result == SN_OK)
		result = read_commit(p, pull_text(candidate, "revision"), listing, err);
	if (result == SN_OK)
		result = read_names(p, json_object_get(listing, "siblings"), &names, &count, err);
	if (result == SN_OK)
		result = entry ? plan_pinned(p, json_object_get(listing, "siblings"), names, count, folder, entry, err)
			: plan_chosen(p, listing, names, count, folder, err);
	for (int i = 0; i < p->count && result == SN_OK; i++)
		if (p->files[i].size < 0 || !*p->files[i].hash)
			result = ask_headers(p, &p->files[i], err);
	free(names);
	json_decref(listing);
	return result;
}
