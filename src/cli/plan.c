/* Where the results of a batch go. */
#include "cli/plan.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LANGUAGE "{lang}"

typedef struct plan {
	const cli_wish *wish;
	const char *folder;  /* taken as it is before the pattern; NULL: none */
	const char *pattern;
	int width;           /* digits of {index} */
} plan;

static const char *const fields[] = { "name", "stem", "ext", "dir", "sub", "index", "lang", "format" };
enum { NAME, STEM, EXT, DIR_OF, SUB, INDEX, LANG, FORMAT };

/* ---- patterns ---- */

static int field_at(const char *at, size_t size) {
	for (int i = 0; i < COUNT(fields); i++)
		if (strlen(fields[i]) == size && strncmp(at, fields[i], size) == 0)
			return i;
	return -1;
}

/* 0, or an exit status: a brace that stands for nothing. */
static int check_pattern(const plan *p) {
	char text[SN_ERRLEN], name[CLI_NAME];
	const char *const slash = strrchr(p->pattern, '/');
	for (const char *at = p->pattern; (at = strchr(at, '{')); at++) {
		const size_t size = strcspn(at + 1, "}");
		if (at[1] == '{') {
			at++;
			continue;
		}
		const int field = at[1 + size] ? field_at(at + 1, size) : -1;
		if (field == LANG && !p->wish->language && !p->wish->hears)
			return cli_fail(SN_E_ARGUMENT, NULL, "{lang} stands for nothing here: the language is known with --language only");
		if (field == LANG && !p->wish->language && at < slash)
			return cli_fail(SN_E_ARGUMENT, NULL, "{lang} in a folder's name needs --language: the language is known when the folder is there already");
		if (field >= 0)
			continue;
		snprintf(name, sizeof name, "%.*s", (int)size, at + 1);
		cli_nearest near = { .wanted = name };
		for (int i = 0; i < COUNT(fields); i++)
			cli_near(&near, fields[i]);
		snprintf(text, sizeof text, "-o has \"{%.60s%s\"; {name}, {stem}, {ext}, {dir}, {sub}, {index}, {lang} and {format} are known%s%s%s", name,
		         at[1 + size] ? "}" : "", *near.name ? "; did you mean {" : "", near.name, *near.name ? "}?" : "");
		return cli_fail(SN_E_ARGUMENT, NULL, text);
	}
	return 0;
}

/* The ending that a result of this item has where the pattern does not say it. */
static const char *ending(const cli_wish *w, const char *ext) {
	static const char *const written[] = { "wav", "flac", "mp3", "opus" };
	if (w->format || w->audio)
		return w->format ? w->format : w->audio;
	for (int i = 0; i < COUNT(written); i++)
		if (strcasecmp(written[i], ext) == 0)
			return written[i];
	return "wav";
}

/* A text in the place of a file: its number is its name. */
static void print_field(FILE *out, const plan *p, const cli_item *item, int field, int is_text) {
	char number[16];
	snprintf(number, sizeof number, "%0*d", p->width, item->index);
	const char *const path = is_text ? number : strcmp(item->input, "-") == 0 ? "stdin" : item->input;
	const char *const slash = strrchr(path, '/'), *const name = slash ? slash + 1 : path, *const dot = strrchr(name, '.');
	const int has_dot = dot && dot != name;
	if (field == NAME)
		fputs(name, out);
	else if (field == STEM)
		fprintf(out, "%.*s", has_dot ? (int)(dot - name) : (int)strlen(name), name);
	else if (field == EXT)
		fputs(has_dot ? dot + 1 : "", out);
	else if (field == DIR_OF)
		fprintf(out, "%.*s", !slash ? 1 : slash == path ? 1 : (int)(slash - path), slash ? path : ".");
	else if (field == SUB)
		fputs(item->sub, out);
	else if (field == INDEX)
		fputs(number, out);
	else if (field == LANG)
		fputs(p->wish->language ? p->wish->language : LANGUAGE, out);
	else
		fputs(ending(p->wish, has_dot ? dot + 1 : ""), out);
}

/* NULL: out of memory. */
static char *expand(const plan *p, const cli_item *item) {
	char *path = NULL;
	size_t size;
	FILE *const out = open_memstream(&path, &size);
	if (!out)
		return NULL;
	if (p->folder)
		fprintf(out, "%s%s", p->folder, p->folder[strlen(p->folder) - 1] == '/' ? "" : "/");
	for (const char *at = p->pattern; *at;) {
		const size_t plain = strcspn(at, "{");
		fprintf(out, "%.*s", (int)plain, at);
		at += plain;
		if (at[0] == '{' && at[1] == '{') {
			fputc('{', out);
			at += 2;
		} else if (*at) {
			const size_t length = strcspn(at + 1, "}");
			const int field = field_at(at + 1, length);
			print_field(out, p, item, field, p->wish->texts);
			at += length + 2;
			at += field == SUB && !*item->sub && *at == '/'; /* nothing in between: not the root */
		}
	}
	const int failed = fclose(out) != 0;
	if (failed)
		free(path);
	return failed ? NULL : path;
}

/* ---- what a file is called everywhere ---- */

/* The path without links, as far as it exists; the rest, which will be made, without "." and "..". NULL: out of memory. */
static char *canonical(const char *path) {
	char *const begin = strdup(path), *real = NULL;
	size_t end = strlen(path);
	while (begin && !(real = realpath(end ? begin : *path == '/' ? "/" : ".", NULL)) && end) {
		while (end && begin[end - 1] != '/')
			end--;
		while (end && begin[end - 1] == '/')
			end--;
		begin[end] = 0;
	}
	free(begin);
	char *const whole = real ? realloc(real, strlen(real) + strlen(path + end) + 2) : NULL;
	if (!whole)
		free(real);
	for (const char *at = path + end; whole && *at;) {
		at += strspn(at, "/");
		const size_t size = strcspn(at, "/");
		char *const last = strrchr(whole, '/');
		if (size == 2 && strncmp(at, "..", 2) == 0)
			last[last == whole] = 0;
		else if (size && (size > 1 || *at != '.'))
			sprintf(whole + strlen(whole), "%s%.*s", last[1] ? "/" : "", (int)size, at);
		at += size;
	}
	return whole;
}

typedef struct place {
	char *path;
	int item;
} place;

static int by_path(const void *a, const void *b) { return strcmp(((const place *)a)->path, ((const place *)b)->path); }

static int clash(const cli_batch *b, int item, int other, const char *what) {
	char text[SN_ERRLEN];
	snprintf(text, sizeof text, "'%.200s' %s '%.200s'", b->items[other].input, what, b->items[item].out);
	return cli_fail(SN_E_ARGUMENT, b->items[item].input, text);
}

/* Sorted by their paths; NULL: out of memory. Standard input and output have no place, and what cannot be looked up is left out. */
static place *list_places(const cli_batch *b, int outputs, int *count) {
	place *const places = calloc((size_t)b->count + 1, sizeof *places);
	*count = 0;
	for (int i = 0; places && i < b->count; i++) {
		const char *const path = outputs ? b->items[i].out : b->items[i].input;
		if (!path || strcmp(path, "-") == 0)
			continue;
		places[*count].item = i;
		places[*count].path = canonical(path);
		*count += places[*count].path != NULL;
	}
	if (places)
		qsort(places, (size_t)*count, sizeof *places, by_path);
	return places;
}

static void free_places(place *places, int count) {
	for (int i = 0; i < count; i++)
		free(places[i].path);
	free(places);
}

/* Two results in one file, or one in the place of an input. */
static int check_sorted(const cli_batch *b, const cli_wish *w, const place *outputs, int output_count, const place *inputs, int input_count) {
	for (int i = 1; i < output_count; i++)
		if (strcmp(outputs[i].path, outputs[i - 1].path) == 0 && strncmp(outputs[i].path, "/dev/", 5) != 0)
			return clash(b, outputs[i].item, outputs[i - 1].item, "would be written to the same file");
	for (int i = 0; i < output_count; i++) {
		const place *const same = bsearch(&outputs[i], inputs, (size_t)input_count, sizeof *inputs, by_path);
		if (same && w->in_place && b->given == 1)
			continue;
		if (same && strcmp(b->items[same->item].input, b->items[outputs[i].item].input) == 0)
			return cli_fail(SN_E_ARGUMENT, b->items[same->item].input, "its result would be written over it");
		if (same)
			return clash(b, outputs[i].item, same->item, "is an input, and would be overwritten as");
	}
	return 0;
}

static int check_places(const cli_batch *b, const cli_wish *w) {
	int output_count = 0, input_count = 0, status;
	place *const outputs = list_places(b, 1, &output_count), *const inputs = list_places(b, 0, &input_count);
	if (outputs && inputs)
		status = check_sorted(b, w, outputs, output_count, inputs, w->texts ? 0 : input_count);
	else
		status = cli_fail(SN_E_MEMORY, NULL, "out of memory");
	free_places(outputs, output_count);
	free_places(inputs, input_count);
	return status;
}

/* ---- the plan ---- */

static int is_folder(const char *path) {
	struct stat st;
	return path[strlen(path) - 1] == '/' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

const char *cli_format_of(const char *out, const char *const *formats) {
	const char *const slash = out ? strrchr(out, '/') : NULL, *const dot = out ? strrchr(slash ? slash : out, '.') : NULL;
	if (!dot || is_folder(out))
		return NULL;
	for (int i = 0; formats[i]; i++)
		if (strcasecmp(dot + 1, strcmp(formats[i], "text") == 0 ? "txt" : formats[i]) == 0)
			return formats[i];
	return NULL;
}

/* What OUT means. 0, or an exit status. */
static int read_wish(plan *p, const cli_batch *b, char **made) {
	const char *const out = p->wish->outputs->out, *const slash = strrchr(out, '/'), *const name = slash ? slash + 1 : out;
	const int has_fields = strchr(out, '{') != NULL, names = b->given > 1 && !has_fields;
	p->pattern = out;
	if (is_folder(out) && (!has_fields || out[strlen(out) - 1] != '/')) {
		p->folder = out;
		p->pattern = "{sub}/{stem}.{format}";
	} else if (has_fields && is_folder(out)) {
		if (asprintf(made, "%s{stem}.{format}", out) < 0)
			return cli_fail(SN_E_MEMORY, NULL, "out of memory");
		p->pattern = *made;
	} else if (names && strchr(name, '.') && strchr(name, '.') != name) {
		char text[SN_ERRLEN];
		snprintf(text, sizeof text, "%d results would be written to the same file '%.160s'; a folder (with a slash at its end) or a pattern as "
		         "'{dir}/{stem}.{format}' would be right", b->given, out);
		return cli_fail(SN_E_ARGUMENT, NULL, text);
	} else if (names) {
		p->folder = out;
		p->pattern = "{sub}/{stem}.{format}";
	}
	if (!p->wish->language && strstr(p->pattern, LANGUAGE) && (p->wish->outputs->skip_existing || p->wish->outputs->no_overwrite))
		return cli_fail(SN_E_ARGUMENT, NULL, "--skip-existing and --no-overwrite with {lang} need --language: the names are not known before");
	return check_pattern(p);
}

/* Fields can be empty. */
static int check_names(const cli_batch *b) {
	char text[SN_ERRLEN];
	for (int i = 0; i < b->count; i++) {
		const char *const out = b->items[i].out, *const slash = strrchr(out, '/');
		if (slash ? slash[1] : *out)
			continue;
		snprintf(text, sizeof text, "its result would be called '%.200s', which is no name of a file", out);
		return cli_fail(SN_E_ARGUMENT, b->items[i].input, text);
	}
	return 0;
}

static int refuse_existing(const cli_batch *b) {
	for (int i = 0; i < b->count; i++)
		if (b->items[i].out && access(b->items[i].out, F_OK) == 0)
			return cli_fail(SN_E_ARGUMENT, b->items[i].out, "this exists already, and --no-overwrite keeps it; --skip-existing leaves its input out");
	return 0;
}

int cli_plan_outputs(cli_batch *b, const cli_wish *w) {
	plan p = { .wish = w };
	char *made = NULL;
	if (!*w->outputs->out)
		return cli_fail(SN_E_ARGUMENT, NULL, "-o is empty; a file, a folder or a pattern would be right");
	if (strcmp(w->outputs->out, "-") == 0)
		return 0;
	for (int n = b->given; n; n /= 10)
		p.width++;
	int status = read_wish(&p, b, &made);
	for (int i = 0; i < b->count && !status; i++)
		if (!(b->items[i].out = expand(&p, &b->items[i])))
			status = cli_fail(SN_E_MEMORY, NULL, "out of memory");
	b->hears_names = !w->language && strstr(p.pattern, LANGUAGE);
	b->makes_folders = p.folder || p.pattern != w->outputs->out || strchr(p.pattern, '{'); /* a slip of the pen makes none */
	free(made);
	if (!status)
		status = check_names(b);
	if (!status)
		status = check_places(b, w);
	return !status && w->outputs->no_overwrite && !w->outputs->skip_existing ? refuse_existing(b) : status;
}

/* All folders of the path. */
static int make_folders(const char *path) {
	char folder[PATH_MAX];
	if (strlen(path) >= sizeof folder)
		return cli_fail(SN_E_ARGUMENT, path, "the path is too long");
	for (const char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		snprintf(folder, sizeof folder, "%.*s", (int)(at - path), path);
		if (mkdir(folder, 0777) != 0 && errno != EEXIST)
			return cli_fail(errno == ENOSPC ? SN_E_NO_SPACE : SN_E_IO, folder, strerror(errno));
	}
	return 0;
}

int cli_plan_folders(const cli_batch *b) {
	int status = 0;
	for (int i = 0; i < b->count && !status; i++)
		if (b->items[i].out && b->makes_folders)
			status = make_folders(b->items[i].out);
	return status;
}

int cli_plan_rename(cli_item *item, const char *heard) {
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
	/* unknown, or what no code is: a model's files say it, and it becomes part of a path */
	const char *const language = *heard && !heard[strspn(heard, letters)] ? heard : "und";
	char *const field = strstr(item->out, LANGUAGE), *path;
	if (!field)
		return 0;
	char *at = field;
	size_t size;
	FILE *const out = open_memstream(&path, &size);
	if (!out)
		return cli_fail(SN_E_MEMORY, NULL, "out of memory");
	fprintf(out, "%.*s", (int)(field - item->out), item->out);
	while (*at) {
		const int here = strncmp(at, LANGUAGE, sizeof LANGUAGE - 1) == 0;
		fprintf(out, "%.*s", here ? (int)strlen(language) : 1, here ? language : at);
		at += here ? sizeof LANGUAGE - 1 : 1;
	}
	fclose(out);
	const int failed = rename(item->out, path) != 0;
	const int status = failed ? cli_fail(SN_E_IO, path, strerror(errno)) : 0;
	free(item->out);
	item->out = path;
	return status;
}
