/* Models from elsewhere: which one a name means, where it could come from, and what the caller is told. The helper sonant-pull does what
 * needs the network or reads archives. */
#include "store/hub.h"

#include "base/ascii.h"
#include "base/json.h"
#include "store/catalogue.h"

#include <errno.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- names ---- */

static int is_name(const char *text, size_t size) {
	int good = size > 0 && size <= 96 && *text != '.' && *text != '-';
	for (size_t i = 0; i < size; i++)
		good = good && (sn_isalnum((unsigned char)text[i]) || strchr("._-", text[i])) && strncmp(text + i, "..", 2) != 0;
	return good;
}

/* "org/name" and what may follow: folders, or one file. As on the hub neither holds "--", which stands for "/" in names of directories. */
static int split_repository(hub_target *t, const char *name) {
	const char *const slash = strchr(name, '/'), *const end = slash ? slash + 1 + strcspn(slash + 1, "/") : NULL;
	if (!slash || !is_name(name, (size_t)(slash - name)) || !is_name(slash + 1, (size_t)(end - slash - 1)) ||
	    memmem(name, (size_t)(end - name), "--", 2))
		return 0;
	for (const char *part = end; *part; part += strcspn(part, "/")) {
		const size_t size = strcspn(++part, "/");
		if (!is_name(part, size))
			return 0;
	}
	return snprintf(t->repository, sizeof t->repository, "%.*s", (int)(end - name), name) < (int)sizeof t->repository &&
	       snprintf(t->folder, sizeof t->folder, "%s", *end ? end + 1 : "") < (int)sizeof t->folder && sn_store_directory(name, t->directory);
}

int hub_target_of(hub_target *t, const sn_store *store, const char *name, char *err) {
	char models[SN_STORE_PATH], voice[SN_STORE_NAME];
	*t = (hub_target){ .entry = sn_store_find(store, name) };
	if (t->entry) {
		snprintf(t->model, sizeof t->model, "%s", t->entry->name);
		snprintf(t->directory, sizeof t->directory, "%s", t->entry->directory);
		if (strchr(name, '/'))
			snprintf(t->repository, sizeof t->repository, "%s", t->entry->name);
	} else if (split_repository(t, name)) {
		snprintf(t->model, sizeof t->model, "%s", name);
	} else if (is_name(name, strlen(name)) && sn_path_join(models, sn_store_home(store), "models") && sn_path_join(t->path, models, name) &&
	           sn_path_is_directory(t->path)) {
		snprintf(t->model, sizeof t->model, "%s", name);
		snprintf(t->directory, sizeof t->directory, "%s", name);
	} else if (sn_store_piper(name, voice) && split_repository(t, voice)) {
		snprintf(t->model, sizeof t->model, "%s", voice);
	} else {
		sn_model_place place;
		const int result = is_name(name, strlen(name)) ? sn_store_resolve(store, name, &place, err) : SN_OK; /* names those that are near */
		return result != SN_OK ? result
			: sn_fail(err, SN_E_ARGUMENT, "\"%.100s\" is no name of a model: give one of the catalogue, or org/name of the hub", name);
	}
	return sn_path_join(models, sn_store_home(store), "models") && sn_path_join(t->path, models, t->directory)
		? SN_OK : sn_fail(err, SN_E_LIMIT, "the path of the home is too long");
}

/* ---- what is there ---- */

json_t *hub_manifest(const char *directory) {
	char path[SN_STORE_PATH];
	json_t *manifest = NULL;
	if (sn_path_join(path, directory, SN_STORE_MANIFEST) && sn_json_file(&manifest, path, NULL) != SN_OK)
		manifest = NULL;
	return manifest;
}

static int has_size(const char *directory, const char *name, int64_t size) {
	char path[SN_STORE_PATH];
	struct stat st;
	return sn_path_join(path, directory, name) && stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == size;
}

static const char *text_of(const json_t *object, const char *name) {
	const char *const text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

static void add_file(json_t *files, const char *name, int64_t size) {
	json_array_append_new(files, json_pack("{s:s, s:I, s:I}", "name", name, "bytes", (json_int_t)size, "present", (json_int_t)size));
}

static json_t *as_done(const char *source, const char *repository, const char *commit, int64_t bytes, json_t *files) {
	return json_pack("{s:s, s:s, s:s, s:b, s:I, s:i, s:O}", "source", source, "repository", repository, "revision", commit, "already", 1, "bytes",
	                 (json_int_t)bytes, "fetched", 0, "files", files);
}

/* As a "done" of the helper: the model as it lies in its place, every file there with its size. NULL: it does not. */
static json_t *installed(const hub_target *t) {
	json_t *const manifest = hub_manifest(t->path), *const listed = json_object_get(manifest, "files"), *const files = json_array();
	int64_t bytes = 0;
	const int count = listed ? (int)json_array_size(listed) : t->entry ? t->entry->file_count : 0;
	int whole = count > 0;
	for (int i = 0; i < count && whole; i++) {
		const json_t *const one = json_array_get(listed, (size_t)i);
		const char *const name = listed ? text_of(one, "name") : t->entry->files[i].name;
		const int64_t size = listed ? json_integer_value(json_object_get(one, "size")) : t->entry->files[i].size;
		whole = has_size(t->path, name, size);
		bytes += size;
		add_file(files, name, size);
	}
	json_t *const out = whole ? as_done(manifest ? text_of(manifest, "source") : "packages", text_of(manifest, "repository"), text_of(manifest, "commit"),
	                                    bytes, files) : NULL;
	json_decref(manifest);
	json_decref(files);
	return out;
}

/* Counts bytes of the snapshot's files. */
static json_t *cached(const char *path, const char *repository) {
	char file[SN_STORE_PATH];
	const char *const commit = strrchr(path, '/') ? strrchr(path, '/') + 1 : "";
	struct stat st;
	int64_t bytes = 0;
	json_t *const files = json_array();
	DIR *const dir = opendir(path);
	for (struct dirent *item; dir && (item = readdir(dir));)
		if (item->d_name[0] != '.' && sn_path_join(file, path, item->d_name) && stat(file, &st) == 0 && S_ISREG(st.st_mode)) {
			bytes += st.st_size;
			add_file(files, item->d_name, st.st_size);
		}
	if (dir)
		closedir(dir);
	json_t *const out = as_done("hub-cache", repository, commit, bytes, files);
	json_decref(files);
	return out;
}

/* ---- asking ---- */

static const char *or_empty(const char *text) { return text ? text : ""; }

static void add_candidate(json_t *candidates, const char *repository, const char *revision, const char *folder, json_t *entry) {
	json_t *const one = json_pack("{s:s, s:s, s:s}", "repository", repository, "revision", *or_empty(revision) ? revision : "main", "folder", folder);
	if (one && entry)
		json_object_set(one, "entry", entry);
	json_array_append_new(candidates, one);
}

static json_t *entry_json(const sn_store *store, const sn_catalogue_entry *entry) {
	json_t *catalogue = json_loadb(sn_catalogue_text, sn_catalogue_size, 0, NULL), *found = NULL;
	for (int i = 0; entry && i < sn_store_count(store); i++)
		if (sn_store_at(store, i) == entry)
			found = json_incref(json_array_get(json_object_get(catalogue, "models"), (size_t)i));
	json_decref(catalogue);
	return found;
}

/* Where the model could come from, best first. A short name means the catalogue's files; "org/name" that repository as it is. */
static json_t *request_of(const sn_store *store, const hub_target *t, const sn_pull_options *o) {
	json_t *const entry = entry_json(store, t->entry), *const candidates = json_array(); /* in this order: reading JSON sets errno to 0 */
	const char *const source = or_empty(o->source), *const revision = or_empty(o->revision);
	const int hub = strcmp(source, "packages") != 0;
	if (t->entry && hub && *t->entry->hub && !*t->repository)
		add_candidate(candidates, t->entry->hub, *revision ? revision : t->entry->hub_revision, t->entry->hub_folder,
		              t->entry->file_count && !*revision ? entry : NULL);
	const int is_repository = t->entry && strchr(t->entry->name, '/') && sn_path_ends_with(t->entry->origin, t->entry->name) && sn_store_on_hub(t->entry);
	/* Packages have the catalogue's files for sure: what a repository has today is for those who name it. */
	const int packed = t->entry && t->entry->package_count && !*t->repository && (!*source || !strcmp(source, "auto")) && !*revision;
	if (hub && ((is_repository && !packed) || (t->entry && *t->repository && strcmp(source, "hub") == 0)))
		add_candidate(candidates, t->entry->name, revision, "", NULL);
	if (!t->entry && hub && *t->repository)
		add_candidate(candidates, t->repository, revision, t->folder, NULL);
	json_t *const request = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:s, s:s, s:s}", "do", "pull", "home", sn_store_home(store), "model", t->model,
		"directory", t->directory, "include", or_empty(o->include), "dry", o->dry != 0, "force", o->force != 0, "candidates", candidates, "endpoint",
		or_empty(o->endpoint), "index", or_empty(o->index), "certificates", or_empty(o->certificates));
	if (request && o->token)
		json_object_set_new(request, "token", json_string(o->token));
	if (request && t->entry && t->entry->package_count && strcmp(source, "hub") != 0 && !*revision)
		json_object_set(request, "packages", entry);
	json_decref(entry);
	return request;
}

/* A run as the caller sees it. */
typedef struct showing {
	const sn_pull_options *options;
	sn_pull_state state;
	char file[512];
} showing;

static int show(void *payload, const json_t *event) {
	showing *const s = payload;
	const char *const what = text_of(event, "event");
	s->state.note = strcmp(what, "note") == 0 ? text_of(event, "text") : NULL;
	if (strcmp(what, "progress") == 0) {
		if (*text_of(event, "file")) {
			snprintf(s->file, sizeof s->file, "%s", text_of(event, "file"));
			s->state.file_bytes = json_integer_value(json_object_get(event, "file_bytes"));
			s->state.file_total = json_integer_value(json_object_get(event, "file_total"));
		}
		s->state.bytes = json_integer_value(json_object_get(event, "bytes"));
		s->state.total = json_integer_value(json_object_get(event, "total"));
		s->state.rate = json_number_value(json_object_get(event, "rate"));
	}
	const int stop = s->options->progress ? s->options->progress(s->options->payload, &s->state) : 0;
	s->state.note = NULL;
	return stop;
}

/* ---- results ---- */

typedef struct pulled {
	sn_pulled pulled; /* first: callers see only this */
	json_t *json;
	char model[SN_STORE_NAME], path[SN_STORE_PATH];
	sn_pull_file files[];
} pulled;

/* Takes the event, which may be NULL. */
static int give(sn_pulled **out, const hub_target *t, const char *path, json_t *done, char *err) {
	const json_t *const files = json_object_get(done, "files");
	const size_t count = json_array_size(files);
	pulled *const p = done ? calloc(1, sizeof *p + count * sizeof *p->files) : NULL;
	if (!p) {
		json_decref(done);
		return sn_fail(err, SN_E_MEMORY, "no memory for a list of files");
	}
	p->json = done;
	snprintf(p->model, sizeof p->model, "%s", t->model);
	snprintf(p->path, sizeof p->path, "%s", path);
	for (size_t i = 0; i < count; i++) {
		const json_t *const f = json_array_get(files, i);
		p->files[i] = (sn_pull_file){ text_of(f, "name"), json_integer_value(json_object_get(f, "bytes")),
			                          json_integer_value(json_object_get(f, "present")) };
	}
	p->pulled = (sn_pulled){ .model = p->model, .path = p->path, .source = text_of(done, "source"), .repository = text_of(done, "repository"),
		.revision = text_of(done, "revision"), .already = json_is_true(json_object_get(done, "already")),
		.bytes = json_integer_value(json_object_get(done, "bytes")), .fetched = json_integer_value(json_object_get(done, "fetched")), .files = p->files,
		.file_count = count };
	*out = &p->pulled;
	return SN_OK;
}

void sn_pulled_free(sn_pulled **held) {
	pulled *const p = (pulled *)*held;
	*held = NULL;
	if (!p)
		return;
	json_decref(p->json);
	free(p);
}

/* ---- pulling ---- */

/* What needs no pull: files of the catalogue in their place, or a snapshot of the hub's cache. */
static json_t *find_here(const sn_store *store, const hub_target *t, const sn_pull_options *o, char path[SN_STORE_PATH]) {
	char source[SN_STORE_PATH];
	sn_model_place place;
	json_t *done = NULL;
	if (*or_empty(o->revision) || o->force || *or_empty(o->include) || (*or_empty(o->source) && strcmp(o->source, "auto") != 0))
		return NULL;
	snprintf(path, SN_STORE_PATH, "%s", t->path);
	if (t->entry && t->entry->file_count)
		done = installed(t);
	const int there = done || sn_path_is_directory(t->path);
	if (!there && sn_store_resolve(store, t->model, &place, NULL) == SN_OK && place.in_hub_cache) {
		snprintf(source, sizeof source, "%s", t->model);
		done = cached(place.path, source);
		snprintf(path, SN_STORE_PATH, "%s", place.path);
	}
	return done;
}

static int check_options(const sn_pull_options *o, const hub_target *t, char *err) {
	static const char *const sources[] = { "", "auto", "hub", "packages" };
	int known = 0;
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
		known += strcmp(or_empty(o->source), sources[i]) == 0;
	if (!known)
		return sn_fail(err, SN_E_ARGUMENT, "the source is \"%.40s\"; it can be auto, hub or packages", o->source);
	for (const char *c = or_empty(o->revision); *c; c++)
		if ((!sn_isalnum((unsigned char)*c) && !strchr("._-/", *c)) || strncmp(c, "..", 2) == 0)
			return sn_fail(err, SN_E_ARGUMENT, "\"%.80s\" cannot be a revision: branches, tags and commits have letters, digits and ._-/", o->revision);
	if (strlen(or_empty(o->revision)) > 200 || strlen(or_empty(o->include)) > 1000)
		return sn_fail(err, SN_E_LIMIT, "the revision has at most 200 bytes, the patterns 1000");
	if (strcmp(or_empty(o->source), "packages") == 0 && !(t->entry && t->entry->package_count))
		return sn_fail(err, SN_E_UNSUPPORTED, "%s is in no package", t->model);
	if (t->entry && !t->entry->package_count && !sn_store_on_hub(t->entry) && strcmp(or_empty(o->source), "hub") != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s is neither on the hub nor in a package: put the files of %s into %.200s", t->model,
		               t->entry->origin, t->path);
	if (!t->entry && !*t->repository)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s was put into the store by hand: there is nowhere to pull it from", t->model);
	return SN_OK;
}

static int pull_with(sn_pulled **out, const sn_store *store, const hub_target *t, const sn_pull_options *o, char *err) {
	char path[SN_STORE_PATH];
	showing s = { .options = o, .state = { .model = t->model } };
	s.state.file = s.file;
	json_t *done = find_here(store, t, o, path);
	if (done)
		return give(out, t, path, done, err);
	errno = 0;
	json_t *const request = request_of(store, t, o);
	int result = sn_fail_memory(request ? SN_OK : sn_fail(err, SN_E_ARGUMENT, "the home or an option is not UTF-8"), err);
	if (result == SN_OK)
		result = hub_run(request, show, &s, &done, err);
	json_decref(request);
	if (result == SN_E_IO && !o->force && !o->dry && !*or_empty(o->revision) && !*or_empty(o->include) && (done = installed(t))) {
		s.state.note = err ? err : "the hub cannot be asked"; /* whether there is something newer; what is here is whole */
		if (o->progress)
			o->progress(o->payload, &s.state);
		result = SN_OK;
	}
	return result == SN_OK ? give(out, t, t->path, done, err) : result;
}

int sn_models_pull(sn_pulled **out, const char *name, const sn_pull_options *options, char *err) {
	static const sn_pull_options none;
	const sn_pull_options *const o = options ? options : &none;
	hub_target *const t = malloc(sizeof *t);
	sn_store *store = NULL;
	*out = NULL;
	int result = t ? sn_store_open(&store, o->home, err) : sn_fail(err, SN_E_MEMORY, "no memory for a pull");
	if (result == SN_OK) {
		sn_store_refuse_paths(store);
		result = hub_target_of(t, store, or_empty(name), err);
	}
	if (result == SN_OK)
		result = check_options(o, t, err);
	if (result == SN_OK)
		result = pull_with(out, store, t, o, err);
	sn_store_close(&store);
	free(t);
	return result;
}

/* ---- verifying ---- */

typedef struct verified {
	sn_verified verified; /* first: callers see only this */
	json_t *json;
	char model[SN_STORE_NAME], path[SN_STORE_PATH];
	sn_flaw flaws[];
} verified;

static int give_verified(sn_verified **out, const hub_target *t, const char *path, json_t *json, char *err) {
	const json_t *const flaws = json_object_get(json, "flaws");
	const size_t count = json_array_size(flaws);
	verified *const v = calloc(1, sizeof *v + count * sizeof *v->flaws);
	if (!v) {
		json_decref(json);
		return sn_fail(err, SN_E_MEMORY, "no memory for a list of files");
	}
	v->json = json;
	snprintf(v->model, sizeof v->model, "%s", t->model);
	snprintf(v->path, sizeof v->path, "%s", path);
	for (size_t i = 0; i < count; i++) {
		const json_t *const f = json_array_get(flaws, i);
		v->flaws[i] = (sn_flaw){ text_of(f, "file"), text_of(f, "what"), text_of(f, "message") };
	}
	v->verified = (sn_verified){ .model = v->model, .path = v->path, .source = text_of(json, "source"), .revision = text_of(json, "revision"),
		.file_count = (size_t)json_integer_value(json_object_get(json, "file_count")), .bytes = json_integer_value(json_object_get(json, "bytes")),
		.flaws = v->flaws, .flaw_count = count };
	*out = &v->verified;
	return SN_OK;
}

void sn_verified_free(sn_verified **held) {
	verified *const v = (verified *)*held;
	*held = NULL;
	if (!v)
		return;
	json_decref(v->json);
	free(v);
}

/* The directory in HOME even where files of it are missing, else the snapshot in the hub's cache. */
static int find_place(const sn_store *store, const hub_target *t, sn_model_place *place, char *err) {
	if (!sn_path_is_directory(t->path))
		return sn_store_resolve(store, t->model, place, err);
	*place = (sn_model_place){ 0 };
	strcpy(place->path, t->path);
	return SN_OK;
}

int sn_models_verify(sn_verified **out, const char *name, const sn_pull_options *options, char *err) {
	static const sn_pull_options none;
	const sn_pull_options *const o = options ? options : &none;
	hub_target *const t = malloc(sizeof *t);
	sn_store *store = NULL;
	sn_model_place place;
	json_t *last = NULL, *request = NULL;
	*out = NULL;
	int result = t ? sn_store_open(&store, o->home, err) : sn_fail(err, SN_E_MEMORY, "no memory for a model");
	if (result == SN_OK) {
		sn_store_refuse_paths(store);
		result = hub_target_of(t, store, or_empty(name), err);
	}
	if (result == SN_OK)
		result = find_place(store, t, &place, err);
	if (result == SN_OK) {
		showing s = { .options = o, .state = { .model = t->model } };
		s.state.file = s.file;
		errno = 0;
		json_t *const entry = entry_json(store, t->entry);
		request = json_pack("{s:s, s:s, s:s, s:b, s:o*}", "do", "verify", "model", t->model, "path", place.path, "cache", place.in_hub_cache,
		                    "entry", entry);
		result = sn_fail_memory(request ? SN_OK : sn_fail(err, SN_E_ARGUMENT, "the path of %.300s is not UTF-8", t->path), err);
		if (result == SN_OK)
			result = hub_run(request, show, &s, &last, err);
	}
	if (result == SN_OK)
		result = give_verified(out, t, place.path, last, err);
	json_decref(request);
	sn_store_close(&store);
	free(t);
	return result;
}
