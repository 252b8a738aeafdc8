/* Many inputs, one result each: which files a command line means, and where each result goes. */
#ifndef SN_CLI_BATCH_H
#define SN_CLI_BATCH_H

#include "cli/cli.h"

#define CLI_MAX_ITEMS 1000000
#define CLI_MAX_LIST ((size_t)64 << 20) /* bytes of --files-from */

typedef struct cli_inputs {
	int recursive;
	const char *from;
} cli_inputs;
#define CLI_INPUT_OPTIONS(i) \
	{ "recursive", 'R', NULL, "take the audio files below directories", CLI_FLAG, &(i).recursive }, \
	{ "files-from", 0, "LIST", "take more FILEs, the lines of LIST; \"-\": of standard input", CLI_FILE, &(i).from }

typedef struct cli_outputs {
	const char *out;
	int no_overwrite, skip_existing;
} cli_outputs;
#define CLI_OUTPUT_OPTIONS(o) \
	{ "no-overwrite", 0, NULL, "do nothing where an output exists already", CLI_FLAG, &(o).no_overwrite }, \
	{ "skip-existing", 0, NULL, "leave out what has its output already", CLI_FLAG, &(o).skip_existing }
/* Of `formats` (NULL behind the last; the ending of "text" is txt) the one that a file or pattern called `out` (may be NULL) has by its ending;
 * NULL: none. */
const char *cli_format_of(const char *out, const char *const *formats);
/* A sentence for the details of commands that have -o. */
#define CLI_PATTERN_HELP \
	"OUT may be a file, a folder (one that exists, or with a slash at its end) or a pattern: {name} is the input's name, {stem} and {ext} its\n" \
	"parts before and after the last dot, {dir} its folder, {sub} the folders below the directory that was given, {index} its number, {lang}\n" \
	"the language, {format} the ending that belongs to the format, {{ a brace. Missing folders are made. Two results for one file, or one\n" \
	"in place of an input, are refused before any work.\n"

typedef struct cli_item {
	char *input;          /* "-": standard input; a text where the batch is one of texts */
	char *sub;            /* folders between a directory that was given and the file; may be "" */
	char *out;            /* NULL: standard output. "{lang}" stands in it until it is known. */
	int index;            /* from 1, of all that was given */
} cli_item;

typedef struct cli_batch {
	const cli_command *command;
	cli_item *items;      /* what is to be worked on: what fails or is left out before is no item */
	int count, room;
	int given;            /* inputs; more than one: results are told apart by their files */
	int makes_folders;    /* of the outputs */
	int hears_names;      /* {lang} stands in the outputs' names */
	int done, failed, skipped;
	int status;           /* of the first failure */
	double started;
} cli_batch;

typedef struct cli_wish {
	const cli_command *command;
	const char *const *operands;
	int operand_count;
	const cli_inputs *inputs;
	const cli_outputs *outputs; /* NULL: standard output */
	const char *format;         /* ending of the results, "srt"; NULL: audio, by --audio or as the input's */
	const char *audio, *language; /* may be NULL */
	int in_place;               /* a single OUT may be its input */
	int hears;                  /* the language is known when a result is there */
	int texts;                  /* operands are texts to speak, not files, and so are the lines of `lines` */
	const char *lines;          /* may be NULL */
} cli_wish;

/* Finds the inputs and plans the outputs; nothing is made but folders. Returns 0, or an exit status after what is wrong was reported: then
 * nothing is to be done. cli_batch_close is called in any case. */
int cli_batch_open(cli_batch *batch, const cli_wish *wish);
/* Other results of the same inputs. As cli_batch_open. */
int cli_batch_beside(cli_batch *batch, const cli_batch *of, const cli_wish *wish);
/* An item ended with this exit status. language: puts its result in its place where the name has {lang}; may be NULL. Returns the status. */
int cli_batch_ended(cli_batch *batch, int item, int status, const char *language);
/* One item after the other; what fails is counted and the others go on, until standard output is lost. */
void cli_batch_run(cli_batch *batch, int (*one)(void *payload, const cli_item *item, int many), void *payload);
/* Text to the item's file or standard output. Returns an exit status. */
int cli_batch_write(const cli_item *item, const char *text, size_t size);
/* Tells the counts on a terminal; returns the exit status of all. */
int cli_batch_close(cli_batch *batch);

#endif
