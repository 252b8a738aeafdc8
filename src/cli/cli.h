/* What the subcommands share. They see sonant.h and nothing below it. */
#ifndef SN_CLI_CLI_H
#define SN_CLI_CLI_H

#include <sonant/sonant.h>

#include <jansson.h>
#include <stdio.h>

/* What a value is: how it is checked, stored and completed. */
typedef enum cli_kind {
	CLI_TEXT, CLI_INT, CLI_U64, CLI_FLOAT, CLI_FLAG, CLI_SWITCH /* on, off or auto */, CLI_DTYPE,
	CLI_SIZE,                                         /* uint64_t bytes: 500, 64K, 10M, 2G */
	CLI_CHOICE,                                       /* a text: one of the words of `value`, which stand between '|' or commas */
	CLI_FILE, CLI_FOLDER,                             /* texts from here on */
	CLI_MODEL, CLI_MODEL_TRANSCRIBE, CLI_MODEL_SPEAK, /* an installed model, of a task */
	CLI_MODEL_KNOWN,                                  /* any of the catalogue */
	CLI_VOCODER, CLI_VOICE, CLI_LANGUAGE,
	CLI_COMMAND,                                      /* a word of the command line of sonant itself */
	CLI_JSON, CLI_HELP                                /* every command's own */
} cli_kind;

/* One option of a command. A long name ('_' stands for '-') without its dashes, a letter or 0; `value` names the argument in the help,
 * NULL: a switch. */
typedef struct cli_option {
	const char *name;
	char letter;
	const char *value, *help;
	cli_kind kind;
	void *target; /* const char *, int, uint64_t, float, int, sn_switch, sn_precision; texts and choices: const char * */
} cli_option;

/* What stands on the command line without dashes. most 0: any number. */
typedef struct cli_operand {
	const char *name;
	cli_kind kind;
	int least, most;
} cli_operand;

#define CLI_MAX_OPERANDS 3

/* The first word after commands as "models": each has operands of its own. */
typedef struct cli_action {
	const char *name, *help;
	cli_operand operands[CLI_MAX_OPERANDS]; /* the first without a name ends them */
} cli_action;

/* A command, all that is told about it: parser, help, completion and manual are made from this. */
typedef struct cli_command {
	const char *name, *brief;          /* "serve keys" may have a space; brief: one line in the list of commands */
	const char *summary, *details;     /* details: after the options in the help; may be NULL */
	const char *hint;                  /* said where there are words too many; may be NULL */
	const char *examples;              /* for the manual: a line what, a line how, ...; may be NULL */
	const cli_option *options;
	int option_count;
	cli_operand operands[CLI_MAX_OPERANDS];
	const cli_action *actions;         /* instead of operands */
	int action_count;
	int (*run)(int argc, char **argv); /* argv[0]: the name's last word. Returns an exit status. */
	int hidden;                        /* not in the list of commands */
} cli_command;

/* The one table of commands. */
extern const cli_command *const cli_commands[];
extern const int cli_command_count;
/* The command that argv begins with; words: of its name. NULL: none. */
const cli_command *cli_command_named(int argc, char **argv, int *words);

#define CLI_NAME 96

/* All options of a command, with those that every command has. */
int cli_option_total(const cli_command *command);
const cli_option *cli_option_at(const cli_command *command, int i);
const cli_option *cli_find(const cli_command *command, const char *name, size_t length);
const cli_option *cli_find_letter(const cli_command *command, char letter);
int cli_takes_value(const cli_option *option);
/* The name as it is typed. */
void cli_spell(const char *name, char spelled[CLI_NAME]);
/* What stands for the value in the help. 1: the choices are too long for it and belong to the help. */
int cli_placeholder(const cli_option *option, char name[CLI_NAME]);
/* The words that a value can be, between '|' or commas; NULL: others, too. */
const char *cli_choices(const cli_option *option);
/* Takes the next of such words; 0: there is none. */
int cli_next_choice(const char **words, char word[CLI_NAME]);
/* Most words; -1: any number. */
int cli_most(const cli_operand *operands);

/* Of all candidates the one that `wanted` may have meant: name, "" where none is near. */
typedef struct cli_nearest {
	const char *wanted;
	char name[CLI_NAME];
	int distance;
} cli_nearest;
void cli_near(cli_nearest *nearest, const char *candidate);

typedef struct cli_status { int code, status; const char *text; } cli_status;
extern const cli_status cli_statuses[];
extern const int cli_status_count;

/* Sorts arguments into options and operands: operands (argc places) receives the latter. Prints what is wrong. Returns the
 * count of operands, -1 for a mistake (exit status 2), -2 after --help was printed. */
int cli_parse(const cli_command *command, int argc, char **argv, const char **operands);
void cli_help(const cli_command *command, FILE *out);
/* A mistake on the command line, told with where to read more. Returns -1. */
int cli_mistake(const cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "sonant: MESSAGE" on standard error, or one line of JSON where that is asked for; returns the exit status of the code. `what` (a file)
 * may be NULL. */
int cli_fail(int code, const char *what, const char *message);
/* The same for a command, "sonant COMMAND: MESSAGE"; `command` may be NULL. */
int cli_complain(int code, const char *command, const char *what, const char *message);
/* A remark that is no error; `what` may be NULL. */
void cli_note(const char *what, const char *message);
void cli_errors_json(int on);

/* always, never, or auto (NULL, too): where the stream is a terminal that has them and NO_COLOR is not set. */
void cli_colors(const char *when);
int cli_has_colors(FILE *stream);

/* From now on the first interrupt, or request to end, is remembered and cancels whatever shows its progress: nothing is left half-done. The
 * second one ends the program. */
void cli_catch_interrupts(void);
int cli_is_interrupted(void);

/* Bytes that would move a terminal's cursor or colour what follows become '?', but those of `kept`. */
void cli_tame(char *text, size_t size, const char *kept);

/* Writes all of it to standard output. Returns an sn_result. */
int cli_write(const char *text, size_t size);
/* Whether that has failed. */
int cli_output_is_lost(void);

/* Text as a JSON string with its quotes; free() it. NULL when out of memory. */
char *cli_quoted(const char *text);

/* For JSON: a text, bytes that are no UTF-8 as '?'; seconds to the millisecond. */
json_t *cli_text(const char *text);
double cli_round(double seconds);
/* Writes the value as a line (decref'ed; NULL: out of memory). Returns an exit status. */
int cli_print(json_t *value);

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
	uint64_t max_memory;
	const char *backend;
} cli_engine;
#define CLI_ENGINE_OPTIONS(e) \
	{ "threads", 't', "N", "threads that compute (default: one for each CPU)", CLI_INT, &(e).threads }, \
	{ "dtype", 0, "TYPE", "auto, f32, bf16 or int8 (default: auto)", CLI_DTYPE, &(e).precision }, \
	{ "no-cache", 0, NULL, "keep no packed weights on disk", CLI_FLAG, &(e).no_cache }, \
	{ "max-memory", 0, "BYTES", "that models may take (default: what the machine has)", CLI_SIZE, &(e).max_memory }, \
	{ "backend", 0, "cpu|ort|ort:cpu|ort:cuda|ort:tensorrt|ort:openvino", "what computes: own kernels, or ONNX Runtime (default: cpu)", CLI_CHOICE, \
	  &(e).backend }
int cli_engine_open(sn_engine **engine, const cli_engine *options, char *err);
/* As sn_model_load, for the model that a command is about: it is asked for in the precision of --dtype, while what helps it takes what it
 * can of that. An unknown name's error suggests a near one. `task` and `windows` are the model's options. */
int cli_model_load(sn_model **model, sn_engine *engine, const cli_engine *o, const char *name, int task, int windows, char *err);
/* The same with the language that "auto" is to know; NULL: any. */
int cli_model_load_for(sn_model **model, sn_engine *engine, const cli_engine *o, const char *name, int task, const char *language, int windows,
                       char *err);

extern const cli_command cli_transcribe_command, cli_listen_command, cli_speak_command, cli_enhance_command, cli_quality_command, cli_analyze_command,
	cli_convert_command, cli_serve_command, cli_keys_command, cli_config_command, cli_models_command, cli_export_command, cli_quantize_command, cli_voices_command, cli_info_command,
	cli_bench_command, cli_version_command, cli_help_command, cli_completion_command, cli_complete_command, cli_man_command;

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

#endif
