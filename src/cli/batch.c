/* Which files a command line means. */
#include "cli/batch.h"
#include "cli/plan.h"

#include <errno.h>
#include <fts.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int fail(cli_batch *b, int code, const char *what, const char *message) {
	const int status = cli_fail(code, what, message);
	b->status = b->status ? b->status : status;
	b->failed++;
	return status;
}

static int add(cli_batch *b, const char *input, const char *sub) {
	if (b->count == CLI_MAX_ITEMS)
		return cli_fail(SN_E_LIMIT, input, "more than 1000000 inputs were given");
	if (b->count == b->room) {
		const int room = b->room ? 2 * b->room : 64;
		cli_item *const items = realloc(b->items, (size_t)room * sizeof *items);
		if (!items)
			return cli_fail(SN_E_MEMORY, NULL, "out of memory");
		b->items = items;
		b->room = room;
	}
	cli_item *const item = &b->items[b->count++];
	*item = (cli_item){ .input = strdup(input), .sub = strdup(sub), .index = ++b->given };
	return item->input && item->sub ? 0 : cli_fail(SN_E_MEMORY, NULL, "out of memory");
}

/* ---- directories ---- */

static int is_audio(const char *name) {
	static const char endings[] = " wav wave w64 rf64 flac ogg oga opus spx mp3 mp2 m4a m4b mp4 m4v aac ac3 aif aiff aifc au snd caf wma wmv webm mkv "
		"mka mov avi amr 3gp mpg mpeg ts wv ape voc ";
	char wanted[16];
	const char *const dot = strrchr(name, '.');
	if (!dot || dot == name || strlen(dot) > 8 || strchr(dot, ' '))
		return 0;
	snprintf(wanted, sizeof wanted, " %s ", dot + 1);
	return strcasestr(endings, wanted) != NULL;
}

static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

/* The folders between the root and the file of the walk. */
static int add_found(cli_batch *b, const char *root, const FTSENT *entry) {
	const size_t skip = strlen(root), whole = strlen(entry->fts_path) - strlen(entry->fts_name);
	const char *at = entry->fts_path + (skip < whole ? skip : whole);
	char *sub;
	at += strspn(at, "/");
	const char *const end = entry->fts_path + whole;
	if (asprintf(&sub, "%.*s", at < end ? (int)(end - at) - 1 : 0, at) < 0)
		return cli_fail(SN_E_MEMORY, NULL, "out of memory");
	const int status = add(b, entry->fts_path, sub);
	free(sub);
	return status;
}

static int walk(cli_batch *b, const char *root) {
	char *const roots[] = { (char *)(uintptr_t)root, NULL };
	FTS *const tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
	const int before = b->count;
	int status = tree ? 0 : fail(b, SN_E_IO, root, strerror(errno));
	for (FTSENT *entry; !status && (entry = fts_read(tree));) {
		if (entry->fts_level > 0 && *entry->fts_name == '.')
			fts_set(tree, entry, FTS_SKIP);
		else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR)
			fail(b, SN_E_IO, entry->fts_path, strerror(entry->fts_errno));
		else if (entry->fts_info == FTS_F && is_audio(entry->fts_name))
			status = add_found(b, root, entry);
	}
	if (tree)
		fts_close(tree);
	if (!status && b->count == before)
		fail(b, SN_E_FORMAT, root, "there is no audio file below this directory");
	return status;
}

/* A file that is named, or what is below a directory. */
static int take(cli_batch *b, const cli_wish *w, const char *path) {
	struct stat st;
	if (strcmp(path, "-") == 0 || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return add(b, path, "");
	if (w->inputs->recursive)
		return walk(b, path);
	b->given++;
	fail(b, SN_E_FORMAT, path, "this is a directory; --recursive takes the audio files below it");
	return 0;
}

/* A pattern that the shell left as it was: quoted, or without a match for it. */
static int take_operand(cli_batch *b, const cli_wish *w, const char *operand) {
	struct stat st;
	glob_t found;
	int status = 0;
	if (!strpbrk(operand, "*?[") || lstat(operand, &st) == 0 || glob(operand, GLOB_BRACE | GLOB_TILDE, NULL, &found) != 0)
		return take(b, w, operand);
	for (size_t i = 0; i < found.gl_pathc && !status; i++)
		status = take(b, w, found.gl_pathv[i]);
	globfree(&found);
	return status;
}

/* ---- lists ---- */

/* All of a file, "-": standard input, with a NUL behind it. NULL: reported. */
static char *read_list(cli_batch *b, const char *path, size_t *size) {
	FILE *const file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	char *text = NULL;
	size_t room = 0;
	*size = 0;
	if (!file) {
		fail(b, errno == ENOENT ? SN_E_NOT_FOUND : SN_E_IO, path, strerror(errno));
		return NULL;
	}
	int failed = 0;
	while (!failed && !feof(file) && *size <= CLI_MAX_LIST) {
		if (*size + 1 >= room) {
			char *const more = realloc(text, room = room ? 2 * room : 65536);
			failed = !more;
			text = more ? more : text;
		}
		if (!failed)
			*size += fread(text + *size, 1, room - 1 - *size, file);
		failed |= ferror(file) != 0;
	}
	if (file != stdin)
		fclose(file);
	if (failed || *size > CLI_MAX_LIST) {
		fail(b, failed ? SN_E_IO : SN_E_LIMIT, path, failed ? "the list cannot be read" : "the list has more than 64 MB");
		free(text);
		return NULL;
	}
	text[*size] = 0;
	return text;
}

/* The lines of a list; where it has NULs (find -print0) they stand between the entries instead. */
static int take_list(cli_batch *b, const cli_wish *w, const char *path, int texts) {
	size_t size;
	char *const list = read_list(b, path, &size);
	if (!list)
		return b->status;
	const char *const end = list + size;
	const char mark = memchr(list, 0, size) ? 0 : '\n';
	int status = 0;
	for (char *at = list, *next; at < end && !status; at = next) {
		char *const stop = memchr(at, mark, (size_t)(end - at));
		next = stop ? stop + 1 : list + size;
		if (stop)
			*stop = 0;
		const size_t length = strlen(at);
		if (mark && length && at[length - 1] == '\r')
			at[length - 1] = 0;
		if (at[strspn(at, " \t")])
			status = texts ? add(b, at, "") : take(b, w, at);
	}
	free(list);
	return status;
}

/* ---- the batch ---- */

/* Standard input can be read once. */
static int check_input(cli_batch *b, const cli_wish *w) {
	int readers = (w->inputs->from && strcmp(w->inputs->from, "-") == 0) + (w->lines && strcmp(w->lines, "-") == 0);
	for (int i = 0; i < b->count; i++)
		readers += strcmp(b->items[i].input, "-") == 0;
	return readers > 1 ? cli_fail(SN_E_ARGUMENT, NULL, "\"-\" is given more than once, and standard input can be read only once") : 0;
}

static int find_inputs(cli_batch *b, const cli_wish *w) {
	int status = 0;
	for (int i = 0; i < w->operand_count && !status; i++)
		status = w->texts ? add(b, w->operands[i], "") : take_operand(b, w, w->operands[i]);
	if (!status && w->lines)
		status = take_list(b, w, w->lines, 1);
	if (!status && w->inputs->from)
		status = take_list(b, w, w->inputs->from, 0);
	if (!status && !b->given && !b->status) {
		cli_mistake(w->command, w->inputs->from || w->lines ? "the list is empty" : "no %s was given", w->texts ? "TEXT" : "FILE");
		status = sn_result_exit(SN_E_ARGUMENT);
	}
	return status ? status : check_input(b, w);
}

static void drop(cli_item *item) {
	free(item->input);
	free(item->sub);
	free(item->out);
}

/* Leaves out what has its result already. */
static void skip_existing(cli_batch *b) {
	int kept = 0;
	for (int i = 0; i < b->count; i++) {
		if (b->items[i].out && access(b->items[i].out, F_OK) == 0) {
			drop(&b->items[i]);
			b->skipped++;
		} else {
			b->items[kept++] = b->items[i];
		}
	}
	b->count = kept;
}

int cli_batch_open(cli_batch *b, const cli_wish *w) {
	*b = (cli_batch){ .command = w->command, .started = now() };
	int status = find_inputs(b, w);
	if (!status && w->outputs && w->outputs->out)
		status = cli_plan_outputs(b, w);
	if (!status && w->outputs && w->outputs->skip_existing)
		skip_existing(b);
	if (!status && w->outputs && w->outputs->out)
		status = cli_plan_folders(b);
	b->status = status ? status : b->status;
	return status ? status : b->count ? 0 : b->status;
}

int cli_batch_beside(cli_batch *b, const cli_batch *of, const cli_wish *w) {
	*b = (cli_batch){ .command = w->command, .started = now(), .items = calloc((size_t)of->count, sizeof *b->items), .given = of->given };
	int status = b->items ? 0 : cli_fail(SN_E_MEMORY, NULL, "out of memory");
	for (int i = 0; i < of->count && !status; i++) {
		const cli_item *const from = &of->items[i];
		b->items[b->count++] = (cli_item){ .input = strdup(from->input), .sub = strdup(from->sub), .index = from->index };
		if (!b->items[i].input || !b->items[i].sub)
			status = cli_fail(SN_E_MEMORY, NULL, "out of memory");
	}
	if (!status)
		status = cli_plan_outputs(b, w);
	return status ? status : cli_plan_folders(b);
}

int cli_batch_ended(cli_batch *b, int item, int status, const char *language) {
	cli_item *const one = &b->items[item];
	if (!status && one->out && language && b->hears_names)
		status = cli_plan_rename(one, language);
	b->done += status == 0;
	b->failed += status != 0;
	b->status = b->status ? b->status : status;
	return status;
}

void cli_batch_run(cli_batch *b, int (*one)(void *payload, const cli_item *item, int many), void *payload) {
	cli_catch_interrupts();
	for (int i = 0; i < b->count && !cli_output_is_lost() && !cli_is_interrupted(); i++)
		cli_batch_ended(b, i, one(payload, &b->items[i], b->given > 1), NULL);
	if (cli_is_interrupted())
		b->status = cli_fail(SN_E_CANCELLED, NULL, "interrupted: what was not done yet left nothing");
}

int cli_batch_write(const cli_item *item, const char *text, size_t size) {
	if (!item->out)
		return sn_result_exit(cli_write(text, size));
	FILE *const file = fopen(item->out, "w");
	int failed = !file || fwrite(text, 1, size, file) != size;
	if (file && fclose(file) != 0)
		failed = 1;
	return failed ? cli_fail(errno == ENOSPC ? SN_E_NO_SPACE : SN_E_IO, item->out, strerror(errno)) : 0;
}

int cli_batch_close(cli_batch *b) {
	if (b->given > 1 && isatty(STDERR_FILENO) && b->done + b->failed + b->skipped) {
		fprintf(stderr, "sonant %s: %d of %d done", b->command->name, b->done, b->given);
		if (b->skipped)
			fprintf(stderr, ", %d left out", b->skipped);
		if (b->failed)
			fprintf(stderr, ", %d failed", b->failed);
		fprintf(stderr, " in %.1f s\n", now() - b->started);
	}
	for (int i = 0; i < b->count; i++)
		drop(&b->items[i]);
	free(b->items);
	b->items = NULL;
	b->count = 0;
	return b->status;
}
