/* Rating audio. */
#include "cli/batch.h"

#include <stdlib.h>
#include <string.h>

static struct {
	cli_engine engine;
	const char *format;
	cli_inputs inputs;
	cli_outputs outputs;
	sn_quality_options quality;
	int personalised, no_scores, exact;
} args;

static const cli_option options[] = {
	{ "model", 'm', "MODEL", "that scores (default: dnsmos, where it is installed)", CLI_MODEL, &args.quality.model },
	{ "personalised", 0, NULL, "and the scores that count other voices as noise", CLI_FLAG, &args.personalised },
	{ "no-scores", 0, NULL, "only measure", CLI_FLAG, &args.no_scores },
	{ "windows", 0, "N", "most windows of 9 s that are scored (default: 52, all of a minute)", CLI_INT, &args.quality.windows },
	{ "exact", 0, NULL, "score every window, one each second, however long the file is", CLI_FLAG, &args.exact },
	{ "format", 'f', "text|json", "default: by the ending of OUT, else text", CLI_CHOICE, &args.format },
	{ "output", 'o', "OUT", "file, folder or pattern (default: standard output)", CLI_FILE, &args.outputs.out },
	CLI_OUTPUT_OPTIONS(args.outputs),
	CLI_INPUT_OPTIONS(args.inputs),
	CLI_ENGINE_OPTIONS(args.engine),
};

static int cli_quality(int argc, char **argv);

const cli_command cli_quality_command = {
	.name = "quality",
	.brief = "rate audio from 1 to 5",
	.run = cli_quality,
	.operands = { { "FILE", CLI_FILE, 0, 0 } },
	.summary = "Rates audio from 1 to 5, as listeners would (DNSMOS) and by what is measured; \"-\" is standard input.",
	.details = CLI_PATTERN_HELP "\n"
	           "With json and several FILEs each file's object is one line. A file that fails is reported on standard error, the\n"
	           "others are still rated, and the exit status is that of the first failure.",
	.options = options,
	.option_count = COUNT(options),
};

static int rate_one(void *engine, const cli_item *item, int many) {
	char err[SN_ERRLEN], *text = NULL;
	size_t size;
	sn_quality quality;
	cli_progress progress;
	cli_progress_start(&progress, item->input);
	args.quality.progress = cli_progress_show;
	args.quality.payload = &progress;
	int code = sn_quality_file(&quality, engine, item->input, &args.quality, err);
	cli_progress_done(&progress);
	if (code == SN_OK)
		code = sn_quality_format(&text, &size, &quality, args.format, many ? item->input : NULL, err);
	if (code != SN_OK)
		return cli_fail(code, item->input, err);
	const int status = cli_batch_write(item, text, size);
	free(text);
	return status;
}

static int rate_all(const char **files, int count) {
	const cli_wish wish = { .command = &cli_quality_command, .operands = files, .operand_count = count, .inputs = &args.inputs,
		.outputs = &args.outputs, .format = strcmp(args.format, "json") == 0 ? "json" : "txt" };
	char err[SN_ERRLEN];
	sn_engine *engine = NULL;
	cli_batch batch;
	int status = cli_batch_open(&batch, &wish);
	if (!status && batch.count) {
		const int code = cli_engine_open(&engine, &args.engine, err);
		if (code == SN_OK)
			cli_batch_run(&batch, rate_one, engine);
		else
			status = cli_fail(code, NULL, err);
	}
	sn_engine_close(&engine);
	const int all = cli_batch_close(&batch);
	return status ? status : all;
}

static int cli_quality(int argc, char **argv) {
	static const char *const formats[] = { "text", "json", NULL };
	const char **files = calloc((size_t)argc, sizeof *files);
	const int count = files ? cli_parse(&cli_quality_command, argc, argv, files) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count >= 0) {
		args.quality.personalised = args.personalised ? SN_ON : SN_DEFAULT;
		args.quality.scores = args.no_scores ? SN_OFF : SN_DEFAULT;
		args.quality.windows = args.exact ? -1 : args.quality.windows;
		if (!args.format)
			args.format = cli_format_of(args.outputs.out, formats);
		args.format = args.format ? args.format : "text";
		status = rate_all(files, count);
	}
	free(files);
	return status;
}
