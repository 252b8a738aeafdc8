#include "cli/config.h"
#include "server/serve.h"

#include <malloc.h>
#include <stdlib.h>

static const char *config_path;

/* The options of the server's table as the command line spells them. */
#define PLACE(name, kind, text, least, most, reload, help) PLACE_##name,
enum { SV_OPTIONS(PLACE) PLACES };
static const char *texts[PLACES]; /* given here */

#define VALUE_TEXT "TEXT"
#define VALUE_INT "N"
#define VALUE_REAL "X"
#define VALUE_FLAG "on|off"
#define VALUE_BYTES "BYTES"
#define VALUE_TIME "TIME"
#define OPTION(name, kind, text, least, most, reload, help) \
	{ #name, 0, VALUE_##kind, sizeof text > 1 ? help " (default: " text ")" : help, CLI_TEXT, &texts[PLACE_##name] },

static const cli_option options[] = {
	{ "config", 'c', "FILE", "configuration", CLI_FILE, &config_path },
	SV_OPTIONS(OPTION)
};

static int cli_serve(int argc, char **argv);

const cli_command cli_serve_command = {
	.name = "serve",
	.brief = "HTTP and WebSocket server",
	.run = cli_serve,
	.summary = "Serves speech to text and text to speech over HTTP and WebSockets.",
	.details = "Options come, in rising precedence, from `name = value` lines of FILE, from SONANT_NAME in the environment, and from here.\n"
	           "SIGHUP reads FILE again, SIGTERM finishes what is being worked on and ends; a second one ends at once.\n"
	           "\"sonant serve keys --help\" tells how API keys are made, \"sonant config list\" more about the options.",
	.options = options,
	.option_count = COUNT(options),
};

static int read_sources(sv_config *config, const char *const *given, char *err) {
	return cli_config_read(config, config_path, given, "serve", err);
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

static int cli_serve(int argc, char **argv) {
	mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
	const char **operands = calloc((size_t)argc, sizeof *operands);
	static sv_config config;
	char err[SN_ERRLEN];
	const int count = operands ? cli_parse(&cli_serve_command, argc, argv, operands) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count == 0) {
		int code = read_sources(&config, texts, err);
		if (code == SN_OK)
			code = sv_serve(&(sv_run){ &config, ready, reload, texts }, err);
		status = code == SN_OK ? 0 : cli_fail(code, NULL, err);
	}
	free(operands);
	return status;
}
