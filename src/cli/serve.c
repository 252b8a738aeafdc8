#include "cli/config.h"
#include "cli/keys.h"
#include "server/serve.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static const char *config_path;

static const cli_command command_text = {
	.name = "serve",
	.usage = "serve [--config FILE] [OPTION...] | serve keys ...",
	.summary = "Serves speech to text and text to speech over HTTP and WebSockets.",
	.details = "Options come, in rising precedence, from `name = value` lines of FILE, from SONANT_NAME in the environment, and from here.\n"
	           "SIGHUP reads FILE again, SIGTERM finishes what is being worked on and ends; a second one ends at once.\n"
	           "\"sonant serve keys --help\" tells how API keys are made, \"sonant config list\" more about the options.",
};

/* The options of the one table as the command line spells them; *texts receives what is given. NULL: no memory. */
static cli_option *make_options(const char ***texts) {
	static const char *const values[] = { [SV_TEXT] = "TEXT", [SV_INT] = "N", [SV_REAL] = "X", [SV_FLAG] = "on|off", [SV_BYTES] = "BYTES",
		                                  [SV_TIME] = "TIME" };
	cli_option *const options = calloc((size_t)sv_option_count + 1, sizeof *options);
	*texts = calloc((size_t)sv_option_count, sizeof **texts);
	if (!options || !*texts)
		return NULL;
	options[0] = (cli_option){ "config", 'c', "FILE", "configuration", CLI_TEXT, &config_path };
	for (int i = 0; i < sv_option_count; i++) {
		char *const name = strdup(sv_options[i].name), *help = NULL;
		for (char *at = name; at && *at; at++)
			*at = *at == '_' ? '-' : *at;
		if (!name || asprintf(&help, "%s%s%s%s", sv_options[i].help, *sv_options[i].fallback ? " (default: " : "", sv_options[i].fallback,
		                      *sv_options[i].fallback ? ")" : "") < 0)
			return NULL;
		options[i + 1] = (cli_option){ name, 0, values[sv_options[i].kind], help, CLI_TEXT, *texts + i };
	}
	return options;
}

static int read_sources(sv_config *config, const char *const *texts, char *err) {
	return cli_config_read(config, config_path, texts, "serve", err);
}

static void ready(void *payload, const char *url) {
	(void)payload;
	printf("serving on %s\n", url);
	fflush(stdout);
}

static int reload(void *payload, sv_config *fresh, char *err) { return read_sources(fresh, payload, err); }

/* glibc lets the size from which a block is a mapping of its own grow with what was freed; buffers of sessions would then leave holes between
 * what lives long. A fixed size gives them back. */
#define MAPPED_FROM 65536

int cli_serve(int argc, char **argv) {
	mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
	if (argc > 1 && strcmp(argv[1], "keys") == 0)
		return cli_keys(argc - 1, argv + 1);
	const char **operands = calloc((size_t)argc, sizeof *operands), **texts;
	static sv_config config;
	char err[SN_ERRLEN];
	cli_option *const options = make_options(&texts);
	if (!operands || !options)
		return cli_fail(SN_E_MEMORY, NULL, "out of memory");
	cli_command command = command_text;
	command.options = options;
	command.option_count = sv_option_count + 1;
	const int count = cli_parse(&command, argc, argv, operands);
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count > 0)
		fprintf(stderr, "sonant serve: \"%s\" is no option\n", operands[0]);
	if (count == 0) {
		int code = read_sources(&config, texts, err);
		if (code == SN_OK)
			code = sv_serve(&(sv_run){ &config, ready, reload, texts }, err);
		status = code == SN_OK ? 0 : cli_fail(code, NULL, err);
	}
	for (int i = 1; i <= sv_option_count; i++) {
		free((char *)(uintptr_t)options[i].name);
		free((char *)(uintptr_t)options[i].help);
	}
	free(options);
	free(texts);
	free(operands);
	return status;
}
