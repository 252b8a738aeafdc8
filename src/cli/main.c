#include "cli/cli.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

const cli_command *const cli_commands[] = {
	&cli_transcribe_command, &cli_listen_command, &cli_speak_command, &cli_enhance_command, &cli_quality_command, &cli_analyze_command,
	&cli_convert_command, &cli_serve_command, &cli_keys_command, &cli_config_command, &cli_models_command, &cli_export_command, &cli_quantize_command, &cli_voices_command,
	&cli_info_command, &cli_bench_command, &cli_completion_command, &cli_help_command, &cli_version_command, &cli_complete_command, &cli_man_command,
};
const int cli_command_count = COUNT(cli_commands);

const cli_command *cli_command_named(int argc, char **argv, int *words) {
	const cli_command *found = NULL;
	*words = 0;
	for (int i = 0; i < cli_command_count && argc; i++) {
		const char *const name = cli_commands[i]->name, *const space = strchr(name, ' ');
		const size_t first = space ? (size_t)(space - name) : strlen(name);
		const int fits = strncmp(argv[0], name, first) == 0 && !argv[0][first] && (!space || (argc > 1 && strcmp(argv[1], space + 1) == 0));
		if (fits && 1 + !!space > *words) {
			found = cli_commands[i];
			*words = 1 + !!space;
		}
	}
	return found;
}

static void usage(FILE *out) {
	fprintf(out, "usage: sonant COMMAND [OPTION...] [ARGUMENT...]\n\n");
	for (int i = 0; i < cli_command_count; i++)
		if (!cli_commands[i]->hidden)
			fprintf(out, "  %-12s %s\n", cli_commands[i]->name, cli_commands[i]->brief);
	fprintf(out, "\n\"sonant help COMMAND\" lists a command's options and the exit statuses.\n"
	             "Environment: SONANT_HOME (models and caches), SONANT_LOG (error, warn, info, debug), SONANT_CPU (which instruction sets to use),\n"
	             "NO_COLOR.\n");
}

/* Returns an exit status. */
static int no_command(const char *word) {
	char text[SN_ERRLEN];
	cli_nearest near = { .wanted = word };
	for (int i = 0; i < cli_command_count; i++)
		if (!cli_commands[i]->hidden && !strchr(cli_commands[i]->name, ' '))
			cli_near(&near, cli_commands[i]->name);
	snprintf(text, sizeof text, "there is no command \"%.80s\"%s%s%s (\"sonant help\" lists them)", word, *near.name ? "; did you mean " : "",
	         near.name, *near.name ? "?" : "");
	return cli_fail(SN_E_ARGUMENT, NULL, text);
}

static int help(int argc, char **argv) {
	const char **operands = calloc((size_t)argc, sizeof *operands);
	const int count = operands ? cli_parse(&cli_help_command, argc, argv, operands) : -1;
	int words, status = count == -1 ? sn_result_exit(SN_E_ARGUMENT) : 0;
	const cli_command *const command = count > 0 ? cli_command_named(count, (char **)(uintptr_t)operands, &words) : NULL;
	if (command)
		cli_help(command, stdout);
	else if (count > 0)
		status = no_command(operands[0]);
	else if (count == 0)
		usage(stdout);
	free(operands);
	return status ? status : sn_result_exit(cli_write("", 0));
}

const cli_command cli_help_command = {
	.name = "help",
	.brief = "list the commands, or tell about one",
	.summary = "Lists the commands, or tells what COMMAND does and takes.",
	.operands = { { "COMMAND", CLI_COMMAND, 0, 2 } },
	.run = help,
};

static int version(int argc, char **argv) {
	const char **operands = calloc((size_t)argc, sizeof *operands);
	const int count = operands ? cli_parse(&cli_version_command, argc, argv, operands) : -1;
	free(operands);
	if (count < 0)
		return count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	printf("sonant %s\n", sn_version());
	return sn_result_exit(cli_write("", 0));
}

const cli_command cli_version_command = {
	.name = "version",
	.brief = "print the version",
	.summary = "Prints the version.",
	.run = version,
};

static void print_log(sn_log_level level, const char *text, void *payload) { fprintf(stderr, "sonant: %s\n", text); }

/* SONANT_LOG=error, warn, info or debug: the library's remarks on standard error. */
static void follow_log(void) {
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	const char *const wanted = getenv("SONANT_LOG");
	for (int i = 0; wanted && i < COUNT(levels); i++)
		if (strcmp(wanted, levels[i]) == 0)
			sn_log_set((sn_log_level)i, print_log, NULL);
}

int main(int argc, char **argv) {
	int words;
	follow_log();
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of writing, and a helper's end is no reason to die */
	if (argc < 2) {
		usage(stderr);
		return sn_result_exit(SN_E_ARGUMENT);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help(1, argv);
	if (strcmp(argv[1], "--version") == 0)
		return version(1, argv);
	const cli_command *const command = cli_command_named(argc - 1, argv + 1, &words);
	const int status = command ? command->run(argc - words, argv + words) : no_command(argv[1]);
	return status || cli_output_is_lost() ? status : sn_result_exit(cli_write("", 0));
}
