/* What the subcommands share. They see sonant.h and nothing below it. */
#ifndef SN_CLI_CLI_H
#define SN_CLI_CLI_H

#include <sonant/sonant.h>

#include <jansson.h>
#include <stdio.h>

/* One option of a subcommand. A long name without its dashes, a letter or 0; `value` names the argument in the help, NULL: a
 * switch. */
typedef struct cli_option {
	const char *name;
	char letter;
	const char *value, *help;
	enum { CLI_TEXT, CLI_INT, CLI_U64, CLI_FLOAT, CLI_FLAG, CLI_SWITCH /* on, off or auto */, CLI_DTYPE } kind;
	void *target; /* const char *, int, uint64_t, float, int, sn_switch, sn_precision */
} cli_option;

typedef struct cli_command {
	const char *name, *usage, *summary, *details; /* details: after the options in the help; may be NULL */
	const cli_option *options;
	int option_count;
} cli_command;

/* Sorts arguments into options and operands: operands (argc places) receives the latter. Prints what is wrong. Returns the
 * count of operands, -1 for a mistake (exit status 2), -2 after --help was printed. */
int cli_parse(const cli_command *command, int argc, char **argv, const char **operands);
void cli_help(const cli_command *command, FILE *out);

/* "sonant: MESSAGE" on standard error; returns the exit status of the code. `what` (a file) may be NULL. */
int cli_fail(int code, const char *what, const char *message);

/* Writes all of it to standard output. Returns an sn_result. */
int cli_write(const char *text, size_t size);

/* Text as a JSON string with its quotes; free() it. NULL when out of memory. */
char *cli_quoted(const char *text);

/* For JSON: a text, bytes that are no UTF-8 as '?'; seconds to the millisecond. */
json_t *cli_text(const char *text);
double cli_round(double seconds);
/* Writes the value as a line (decref'ed; NULL: out of memory). Returns an exit status. */
int cli_print(json_t *value);

/* The format of facts, text or json: --format, or json where --json was given. NULL: neither, reported. */
const char *cli_facts_format(const char *format, int json);

/* A line that is rewritten on standard error when that is a terminal; `done` clears it. */
typedef struct cli_progress {
	int enabled;
	double shown; /* time of the last writing */
	const char *name;
} cli_progress;
void cli_progress_start(cli_progress *progress, const char *name);
int cli_progress_show(void *progress, double seconds, double total); /* an sn_progress */
void cli_progress_done(cli_progress *progress);

/* Options that every subcommand with an engine has: three of them. */
typedef struct cli_engine {
	int threads;
	sn_precision precision;
	int no_cache;
} cli_engine;
#define CLI_ENGINE_OPTIONS(e) \
	{ "threads", 't', "N", "threads that compute (default: one for each CPU)", CLI_INT, &(e).threads }, \
	{ "dtype", 0, "TYPE", "auto, f32, bf16 or int8 (default: auto)", CLI_DTYPE, &(e).precision }, \
	{ "no-cache", 0, NULL, "keep no packed weights on disk", CLI_FLAG, &(e).no_cache }
int cli_engine_open(sn_engine **engine, const cli_engine *options, char *err);

int cli_transcribe(int argc, char **argv);
int cli_listen(int argc, char **argv);
int cli_serve(int argc, char **argv);
int cli_config(int argc, char **argv);
int cli_speak(int argc, char **argv);
int cli_enhance(int argc, char **argv);
int cli_quality(int argc, char **argv);
int cli_analyze(int argc, char **argv);
int cli_convert(int argc, char **argv);
int cli_models(int argc, char **argv);
int cli_voices(int argc, char **argv);
int cli_info(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_version(int argc, char **argv);

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

#endif
