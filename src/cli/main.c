#include "cli/cli.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "transcribe", "speech to text", cli_transcribe },
	{ "listen", "live captions of a microphone or a pipe", cli_listen },
	{ "speak", "text to speech", cli_speak },
	{ "enhance", "make a recording better to listen to", cli_enhance },
	{ "quality", "rate audio from 1 to 5", cli_quality },
	{ "analyze", "show what is in audio, also as a picture", cli_analyze },
	{ "convert", "convert audio: format, rate, loudness, a part of it", cli_convert },
	{ "serve", "HTTP and WebSocket server", cli_serve },
	{ "config", "check, show and list the server's options", cli_config },
	{ "models", "list models, or show what one can do", cli_models },
	{ "voices", "keep voices: add, list, show, remove, export", cli_voices },
	{ "info", "show what the engine runs on", cli_info },
	{ "bench", "measure speed on this machine", cli_bench },
	{ "version", "print the version", cli_version },
};

static void usage(FILE *out) {
	fprintf(out, "usage: sonant COMMAND [OPTION...] [ARGUMENT...]\n\n");
	for (int i = 0; i < COUNT(commands); i++)
		fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
	fprintf(out, "\n\"sonant COMMAND --help\" lists a command's options and the exit statuses.\n"
	             "Environment: SONANT_HOME (models and caches), SONANT_LOG (error, warn, info, debug), SONANT_CPU (scalar, avx512, avx512_vnni).\n");
}

int cli_version(int argc, char **argv) {
	static const cli_command command = { .name = "version", .usage = "version", .summary = "Prints the version." };
	const char *operands[2];
	int count = argc > 2 ? -1 : cli_parse(&command, argc, argv, operands);
	if (count < 0)
		return count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	printf("sonant %s\n", sn_version());
	return sn_result_exit(cli_write("", 0));
}

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
	follow_log();
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of writing, and a helper's end is no reason to die */
	if (argc < 2) {
		usage(stderr);
		return sn_result_exit(SN_E_ARGUMENT);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0)
		return cli_version(1, argv);
	for (int i = 0; i < COUNT(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "sonant: there is no command \"%s\"\n\n", argv[1]);
	usage(stderr);
	return sn_result_exit(SN_E_ARGUMENT);
}
