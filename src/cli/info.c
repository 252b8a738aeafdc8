#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static struct {
	cli_engine engine;
	const char *format;
} args;

static const cli_option options[] = {
	{ "format", 'f', "text|json", "default: text", CLI_CHOICE, &args.format },
	CLI_ENGINE_OPTIONS(args.engine),
};

static int cli_info(int argc, char **argv);

const cli_command cli_info_command = {
	.name = "info",
	.brief = "show what the engine runs on",
	.run = cli_info,
	.summary = "Shows the version, the processor's instruction sets in use, threads and folders.",
	.options = options,
	.option_count = COUNT(options),
};

static int cli_info(int argc, char **argv) {
	char err[SN_ERRLEN];
	sn_engine *engine;
	sn_engine_info info;
	const char **operands = calloc((size_t)argc, sizeof *operands);
	const int count = operands ? cli_parse(&cli_info_command, argc, argv, operands) : -1;
	free(operands);
	if (count < 0)
		return count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	const int json = args.format && strcmp(args.format, "json") == 0;
	int code = cli_engine_open(&engine, &args.engine, err);
	if (code != SN_OK)
		return cli_fail(code, NULL, err);
	sn_engine_describe(engine, &info);
	static const char text[] = "version  %s\ncpu      %s\nbecause  %s\nthreads  %d\nhome     %s\n";
	static const char object[] = "{\"version\": \"%s\", \"cpu\": \"%s\", \"cpu_why\": %s, \"threads\": %d, \"home\": %s}\n";
	char *home = json ? cli_quoted(info.home) : strdup(info.home), *why = json ? cli_quoted(info.cpu_why) : strdup(info.cpu_why);
	const int made = home && why;
	if (made)
		printf(json ? object : text, sn_version(), info.cpu, why, info.threads, home);
	free(home);
	free(why);
	sn_engine_close(&engine);
	return sn_result_exit(made ? cli_write("", 0) : SN_E_MEMORY);
}
