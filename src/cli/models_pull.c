#include "cli/models_pull.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHORT 12 /* digits of a commit that are shown */

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* "145.2 MB" */
static const char *megabytes(int64_t bytes, char text[32]) {
	const double mb = (double)bytes * 1e-6;
	snprintf(text, 32, mb < 0.1 ? "%.4f MB" : mb < 10000 ? "%.1f MB" : "%.0f MB", mb);
	return text;
}

/* ---- progress ---- */

typedef struct line {
	int enabled, shown;
} line;

static void clear(line *l) {
	if (l->shown)
		fprintf(stderr, "\r\033[K");
	l->shown = 0;
}

static int show(void *payload, const sn_pull_state *s) {
	line *const l = payload;
	char total[32], rate[32], left[32] = "";
	if (s->note) {
		clear(l);
		cli_note(s->model, s->note);
		return 0;
	}
	if (!l->enabled || !s->total)
		return 0;
	if (s->rate > 1)
		snprintf(left, sizeof left, ", %.0f s left", (double)(s->total - s->bytes) / s->rate);
	fprintf(stderr, "\r%s: %3.0f %% of %s, %s/s%s  %s\033[K", s->model, 100 * (double)s->bytes / (double)s->total, megabytes(s->total, total),
	        megabytes((int64_t)s->rate, rate), left, s->file);
	fflush(stderr);
	l->shown = 1;
	return 0;
}

static void begin(line *l, sn_pull_options *o) {
	*l = (line){ .enabled = isatty(STDERR_FILENO) };
	o->progress = show;
	o->payload = l;
}

/* ---- pull ---- */

static json_t *pulled_json(const sn_pulled *p, int dry) {
	json_t *const files = json_array();
	for (size_t i = 0; i < p->file_count; i++)
		json_array_append_new(files, json_pack("{s:o, s:I, s:I}", "name", cli_text(p->files[i].name), "bytes", (json_int_t)p->files[i].bytes, "present",
		                                       (json_int_t)p->files[i].present));
	return json_pack("{s:o, s:o, s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:o}", "model", cli_text(p->model), "path", cli_text(p->path), "source", p->source,
	                 "repository", p->repository, "revision", p->revision, "already", p->already, "dry", dry, "bytes", (json_int_t)p->bytes, "fetched",
	                 (json_int_t)p->fetched, "files", files);
}

/* "the hub (org/name at 0123456789ab)" */
static void source_of(const sn_pulled *p, char text[400]) {
	if (strcmp(p->source, "hub") == 0)
		snprintf(text, 400, "the hub (%s at %.*s)", p->repository, SHORT, p->revision);
	else
		snprintf(text, 400, "%s", strcmp(p->source, "hub-cache") == 0 ? "the hub's cache" : "packages");
}

static void print_dry(const sn_pulled *p) {
	char source[400], size[32];
	int64_t missing = 0;
	source_of(p, source);
	for (size_t i = 0; i < p->file_count; i++) {
		missing += p->files[i].bytes - p->files[i].present;
		printf("%12s  %s%s\n", megabytes(p->files[i].bytes, size), p->files[i].name, p->files[i].present == p->files[i].bytes ? "  (there)" :
		       p->files[i].present ? "  (begun)" : "");
	}
	printf("%12s  %s from %s", megabytes(p->bytes, size), p->model, source);
	printf(", %s to fetch\n", megabytes(missing, size));
}

static void print_pulled(const sn_pulled *p, double seconds) {
	char source[400], size[32];
	source_of(p, source);
	if (strcmp(p->source, "hub-cache") == 0)
		printf("%s: lies in the hub's cache and is used there: %s\n", p->model, p->path);
	else if (p->already)
		printf("%s: is there, from %s: %s\n", p->model, source, p->path);
	else
		printf("%s: installed from %s, %s in %.1f s: %s\n", p->model, source, megabytes(p->bytes, size), seconds, p->path);
}

int cli_models_pull(const char *const *names, int count, sn_pull_options *options, int json) {
	char err[SN_ERRLEN];
	json_t *const all = json_array();
	int status = 0;
	line l;
	begin(&l, options);
	for (int i = 0; i < count; i++) {
		const double start = now();
		sn_pulled *p;
		const int code = sn_models_pull(&p, names[i], options, err);
		clear(&l);
		if (code != SN_OK) {
			const int failed = cli_fail(code, names[i], err);
			status = status ? status : failed;
			continue;
		}
		if (json)
			json_array_append_new(all, pulled_json(p, options->dry));
		else if (options->dry && !p->already)
			print_dry(p);
		else
			print_pulled(p, now() - start);
		sn_pulled_free(&p);
	}
	if (json && json_array_size(all)) {
		const int printed = cli_print(all);
		return status ? status : printed;
	}
	json_decref(all);
	const int written = cli_write("", 0);
	return status ? status : sn_result_exit(written);
}

/* ---- verify ---- */

static json_t *verified_json(const sn_verified *v) {
	json_t *const flaws = json_array();
	for (size_t i = 0; i < v->flaw_count; i++)
		json_array_append_new(flaws, json_pack("{s:o, s:s, s:o}", "file", cli_text(v->flaws[i].file), "what", v->flaws[i].what, "message",
		                                       cli_text(v->flaws[i].message)));
	return json_pack("{s:o, s:o, s:s, s:s, s:I, s:I, s:b, s:o}", "model", cli_text(v->model), "path", cli_text(v->path), "source", v->source, "revision",
	                 v->revision, "files", (json_int_t)v->file_count, "bytes", (json_int_t)v->bytes, "good", v->flaw_count == 0, "flaws", flaws);
}

/* Adds to `all` or prints; an exit status. */
static int verify(const char *name, sn_pull_options *options, json_t *all, int json) {
	char err[SN_ERRLEN], size[32];
	sn_verified *v;
	const int code = sn_models_verify(&v, name, options, err);
	clear(options->payload);
	if (code != SN_OK)
		return cli_fail(code, name, err);
	for (size_t i = 0; i < v->flaw_count; i++)
		if (!json)
			cli_fail(SN_E_MODEL, v->model, v->flaws[i].message);
	if (json)
		json_array_append_new(all, verified_json(v));
	else if (!v->flaw_count)
		printf("%s: good: %zu files, %s, as they were installed%s%.*s\n", v->model, v->file_count, megabytes(v->bytes, size),
		       *v->revision ? " at " : "", SHORT, v->revision);
	const int status = v->flaw_count ? sn_result_exit(SN_E_MODEL) : 0;
	sn_verified_free(&v);
	return status;
}

/* All that are installed and say what their files should be. */
static int verify_all(sn_pull_options *options, json_t *all, int json) {
	char err[SN_ERRLEN];
	sn_engine *engine;
	sn_model_list *models;
	int status = 0, code = sn_engine_open(&engine, &(sn_engine_options){ .threads = 1, .no_cache = 1 }, err);
	if (code != SN_OK)
		return cli_fail(code, NULL, err);
	code = sn_model_list_read(&models, engine, err);
	for (size_t i = 0; code == SN_OK && i < models->count; i++)
		if (models->entries[i].installed) {
			const int one = verify(models->entries[i].name, options, all, json);
			status = status && status != sn_result_exit(SN_E_UNSUPPORTED) ? status : one ? one : status;
		}
	sn_model_list_free(&models);
	sn_engine_close(&engine);
	return code == SN_OK ? status : cli_fail(code, NULL, err);
}

int cli_models_verify(const char *const *names, int count, sn_pull_options *options, int json) {
	json_t *const all = json_array();
	int status = 0;
	line l;
	begin(&l, options);
	for (int i = 0; i < count; i++) {
		const int one = verify(names[i], options, all, json);
		status = status ? status : one;
	}
	if (!count)
		status = verify_all(options, all, json);
	if (json && json_array_size(all)) {
		const int printed = cli_print(all);
		return status ? status : printed;
	}
	json_decref(all);
	const int written = cli_write("", 0);
	return status ? status : sn_result_exit(written);
}

/* ---- remove ---- */

int cli_models_remove(const char *const *names, int count, sn_pull_options *options, int json) {
	char err[SN_ERRLEN], size[32];
	json_t *const all = json_array();
	int status = 0;
	for (int i = 0; i < count; i++) {
		int64_t freed = 0;
		const int code = sn_models_remove(names[i], options, &freed, err);
		if (code != SN_OK) {
			const int failed = cli_fail(code, names[i], err);
			status = status ? status : failed;
		} else if (json) {
			json_array_append_new(all, json_pack("{s:o, s:I}", "model", cli_text(names[i]), "freed", (json_int_t)freed));
		} else {
			printf("%s: removed, %s\n", names[i], megabytes(freed, size));
		}
	}
	if (json && json_array_size(all)) {
		const int printed = cli_print(all);
		return status ? status : printed;
	}
	json_decref(all);
	const int written = cli_write("", 0);
	return status ? status : sn_result_exit(written);
}
