/* Looking at audio. */
#include "cli/batch.h"

#include <stdlib.h>
#include <string.h>

static struct {
	cli_engine engine;
	const char *format, *size;
	cli_inputs inputs;
	cli_outputs outputs, pictures;
	sn_analysis_options analysis;
	int words, scores, width, height;
} args;

static const cli_option options[] = {
	{ "plot", 'p', "OUT.png", "draw waveform, log-mel spectrogram, pitch, speech and words over time; a pattern as of -o", CLI_FILE,
		&args.pictures.out },
	{ "size", 0, "WxH", "of the picture (default: 1600x900)", CLI_TEXT, &args.size },
	{ "words", 0, NULL, "transcribe, too", CLI_FLAG, &args.words },
	{ "model", 'm', "MODEL", "that transcribes and tells the language (default: auto)", CLI_MODEL_TRANSCRIBE, &args.analysis.model },
	{ "language", 0, "on|off|auto", "tell the language (default: where a multilingual Whisper is installed)", CLI_SWITCH,
		&args.analysis.language },
	{ "scores", 0, NULL, "listeners' scores, too, as \"sonant quality\" does", CLI_FLAG, &args.scores },
	{ "vad-threshold", 0, "X", "probability of speech, 0 to 1 (default: 0.5)", CLI_FLOAT, &args.analysis.quality.vad.threshold },
	{ "format", 'f', "text|json", "default: by the ending of OUT, else text", CLI_CHOICE, &args.format },
	{ "output", 'o', "OUT", "file, folder or pattern (default: standard output)", CLI_FILE, &args.outputs.out },
	CLI_OUTPUT_OPTIONS(args.outputs),
	CLI_INPUT_OPTIONS(args.inputs),
	CLI_ENGINE_OPTIONS(args.engine),
};

static int cli_analyze(int argc, char **argv);

const cli_command cli_analyze_command = {
	.name = "analyze",
	.brief = "show what is in audio, also as a picture",
	.run = cli_analyze,
	.operands = { { "FILE", CLI_FILE, 0, 0 } },
	.summary = "Shows what is in audio: levels, loudness, spectrum, pitch, speech, language, words; \"-\" is standard input.",
	.details = CLI_PATTERN_HELP "\n"
	           "With json and several FILEs each file's object is one line. A file that fails is reported on standard error, the\n"
	           "others are still looked at, and the exit status is that of the first failure.",
	.options = options,
	.option_count = COUNT(options),
};

typedef struct run {
	sn_engine *engine;
	const cli_batch *batch;
	cli_batch pictures; /* items of the same places; none where none are drawn */
} run;

static int write_all(const run *r, const sn_analysis *analysis, const cli_item *item, int many) {
	char err[SN_ERRLEN], *text = NULL;
	size_t size;
	const char *const slash = strrchr(item->input, '/'), *const picture = r->pictures.count ? r->pictures.items[item - r->batch->items].out : NULL;
	int code = picture ? sn_analysis_plot(analysis, picture, args.width, args.height, slash ? slash + 1 : item->input, err) : SN_OK;
	if (code == SN_OK)
		code = sn_analysis_format(&text, &size, analysis, args.format, many ? item->input : NULL, err);
	if (code != SN_OK)
		return cli_fail(code, item->input, err);
	const int status = cli_batch_write(item, text, size);
	free(text);
	return status;
}

static int analyze_one(void *payload, const cli_item *item, int many) {
	const run *const r = payload;
	char err[SN_ERRLEN];
	sn_analysis *analysis = NULL;
	cli_progress progress;
	cli_progress_start(&progress, item->input);
	args.analysis.quality.progress = cli_progress_show;
	args.analysis.quality.payload = &progress;
	const int code = sn_analyze_file(&analysis, r->engine, item->input, &args.analysis, err);
	cli_progress_done(&progress);
	const int status = code == SN_OK ? write_all(r, analysis, item, many) : cli_fail(code, item->input, err);
	sn_analysis_free(&analysis);
	return status;
}

static int plan_pictures(run *r) {
	static const char *const others[] = { "jpg", "jpeg", "svg", "pdf", "webp", "gif", "bmp", "tif", "tiff", NULL };
	char err[SN_ERRLEN];
	const cli_wish wish = { .command = &cli_analyze_command, .outputs = &args.pictures, .format = "png" };
	if (strcmp(args.pictures.out, "-") == 0)
		return cli_fail(SN_E_ARGUMENT, NULL, "a picture cannot go to standard output; --plot may be a file, a folder or a pattern");
	const char *const other = cli_format_of(args.pictures.out, others);
	if (other) {
		snprintf(err, sizeof err, "a picture is drawn as png, not as %s; --plot may end in .png", other);
		return cli_fail(SN_E_ARGUMENT, NULL, err);
	}
	args.pictures.no_overwrite = args.outputs.no_overwrite;
	return cli_batch_beside(&r->pictures, r->batch, &wish);
}

static int analyze_all(const char **files, int count) {
	const cli_wish wish = { .command = &cli_analyze_command, .operands = files, .operand_count = count, .inputs = &args.inputs,
		.outputs = &args.outputs, .format = strcmp(args.format, "json") == 0 ? "json" : "txt" };
	char err[SN_ERRLEN];
	cli_batch batch;
	run r = { .batch = &batch };
	int status = cli_batch_open(&batch, &wish);
	if (!status && batch.count && args.pictures.out)
		status = plan_pictures(&r);
	if (!status && batch.count) {
		const int code = cli_engine_open(&r.engine, &args.engine, err);
		if (code == SN_OK)
			cli_batch_run(&batch, analyze_one, &r);
		else
			status = cli_fail(code, NULL, err);
	}
	sn_engine_close(&r.engine);
	cli_batch_close(&r.pictures);
	const int all = cli_batch_close(&batch);
	return status ? status : all;
}

/* "WxH"; 0: not of this form. */
static int read_size(const char *text, int *width, int *height) {
	char rest;
	return sscanf(text, "%5dx%5d%c", width, height, &rest) == 2;
}

static int cli_analyze(int argc, char **argv) {
	static const char *const formats[] = { "text", "json", NULL };
	const char **files = calloc((size_t)argc, sizeof *files);
	const int count = files ? cli_parse(&cli_analyze_command, argc, argv, files) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count >= 0 && args.size && (!args.pictures.out || !read_size(args.size, &args.width, &args.height))) {
		status = cli_fail(SN_E_ARGUMENT, NULL, args.pictures.out ? "--size is WIDTHxHEIGHT, as 1600x900" : "--size needs --plot");
	} else if (count >= 0) {
		args.analysis.words = args.words ? SN_ON : SN_DEFAULT;
		args.analysis.quality.scores = args.scores ? SN_ON : SN_DEFAULT;
		if (!args.format)
			args.format = cli_format_of(args.outputs.out, formats);
		args.format = args.format ? args.format : "text";
		status = analyze_all(files, count);
	}
	free(files);
	return status;
}
