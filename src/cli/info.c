#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static struct {
	cli_engine engine;
	const char *format;
} args;

static const cli_option options[] = {
	{ "format", 'f', "FORMAT", "text or json (default: text)", CLI_TEXT, &args.format },
	CLI_ENGINE_OPTIONS(args.engine),
};

static const cli_command command = {
	.name = "info",
	.usage = "info [OPTION...]",
	.summary = "Shows the version, the processor's instruction sets in use, threads and folders.",
	.options = options,
	.option_count = COUNT(options),
};

int cli_info(int argc, char **argv) {
	const char *operands[16];
	char err[SN_ERRLEN];
	sn_engine *engine;
	sn_engine_info info;
	int count = argc > COUNT(operands) ? -1 : cli_parse(&command, argc, argv, operands);
	if (count < 0)
		return count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	int json = args.format && strcmp(args.format, "json") == 0;
	if (count > 0 || (args.format && !json && strcmp(args.format, "text") != 0))
		return cli_fail(SN_E_ARGUMENT, NULL, "info takes no arguments, and --format is text or json");
	int code = cli_engine_open(&engine, &args.engine, err);
	if (code != SN_OK)
		return cli_fail(code, NULL, err);
	sn_engine_describe(engine, &info);
	static const char text[] = "version  %s\ncpu      %s\nthreads  %d\nhome     %s\n";
	static const char object[] = "{\"version\": \"%s\", \"cpu\": \"%s\", \"threads\": %d, \"home\": %s}\n";
	char *home = json ? cli_quoted(info.home) : strdup(info.home);
	if (home)
		printf(json ? object : text, sn_version(), info.cpu, info.threads, home);
	free(home);
	sn_engine_close(&engine);
	return sn_result_exit(home ? cli_write("", 0) : SN_E_MEMORY);
}
