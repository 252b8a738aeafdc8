/* Looking at audio. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static struct {
	cli_engine engine;
	const char *format, *plot, *size;
	sn_analysis_options analysis;
	int words, scores;
} args;

static const cli_option options[] = {
	{ "plot", 'p', "OUT.png", "draw waveform, log-mel spectrogram, pitch, speech and words over time (one FILE)", CLI_FILE,
		&args.plot },
	{ "size", 0, "WxH", "of the picture (default: 1600x900)", CLI_TEXT, &args.size },
	{ "words", 0, NULL, "transcribe, too", CLI_FLAG, &args.words },
	{ "model", 'm', "MODEL", "that transcribes and tells the language (default: auto)", CLI_MODEL_TRANSCRIBE, &args.analysis.model },
	{ "language", 0, "on|off|auto", "tell the language (default: where a multilingual Whisper is installed)", CLI_SWITCH,
		&args.analysis.language },
	{ "scores", 0, NULL, "listeners' scores, too, as \"sonant quality\" does", CLI_FLAG, &args.scores },
	{ "vad-threshold", 0, "X", "probability of speech, 0 to 1 (default: 0.5)", CLI_FLOAT, &args.analysis.quality.vad.threshold },
	{ "format", 'f', "text|json", "default: text", CLI_CHOICE, &args.format },
	CLI_ENGINE_OPTIONS(args.engine),
};

static int cli_analyze(int argc, char **argv);

const cli_command cli_analyze_command = {
	.name = "analyze",
	.brief = "show what is in audio, also as a picture",
	.run = cli_analyze,
	.operands = { { "FILE", CLI_FILE, 1, 0 } },
	.summary = "Shows what is in audio: levels, loudness, spectrum, pitch, speech, language, words; \"-\" is standard input.",
	.details = "With json and several FILEs each file's object is one line. A file that fails is reported on standard error, the\n"
	           "others are still looked at, and the exit status is that of the first failure.",
	.options = options,
	.option_count = COUNT(options),
};

static int write_all(const sn_analysis *analysis, const char *file, int many, int width, int height) {
	char err[SN_ERRLEN], *text = NULL;
	size_t size;
	const char *const slash = strrchr(file, '/');
	int code = args.plot ? sn_analysis_plot(analysis, args.plot, width, height, slash ? slash + 1 : file, err) : SN_OK;
	if (code == SN_OK)
		code = sn_analysis_format(&text, &size, analysis, args.format, many ? file : NULL, err);
	if (code != SN_OK)
		return cli_fail(code, file, err);
	const int status = sn_result_exit(cli_write(text, size));
	free(text);
	return status;
}

static int analyze_one(sn_engine *engine, const char *file, int many, int width, int height) {
	char err[SN_ERRLEN];
	sn_analysis *analysis = NULL;
	cli_progress progress;
	cli_progress_start(&progress, file);
	args.analysis.quality.progress = cli_progress_show;
	args.analysis.quality.payload = &progress;
	const int code = sn_analyze_file(&analysis, engine, file, &args.analysis, err);
	cli_progress_done(&progress);
	const int status = code == SN_OK ? write_all(analysis, file, many, width, height) : cli_fail(code, file, err);
	sn_analysis_free(&analysis);
	return status;
}

static int analyze_all(const char **files, int count, int width, int height) {
	char err[SN_ERRLEN];
	sn_engine *engine = NULL;
	int code = cli_engine_open(&engine, &args.engine, err), first = 0;
	if (code != SN_OK)
		return cli_fail(code, NULL, err);
	for (int i = 0; i < count; i++) {
		const int status = analyze_one(engine, files[i], count > 1, width, height);
		first = first ? first : status;
	}
	sn_engine_close(&engine);
	return first;
}

/* "WxH"; 0: not of this form. */
static int read_size(const char *text, int *width, int *height) {
	char rest;
	return sscanf(text, "%5dx%5d%c", width, height, &rest) == 2;
}

static int check(int count, int *width, int *height) {
	if (args.plot && count > 1)
		return cli_fail(SN_E_ARGUMENT, NULL, "--plot draws one FILE");
	if (args.size && (!args.plot || !read_size(args.size, width, height)))
		return cli_fail(SN_E_ARGUMENT, NULL, args.plot ? "--size is WIDTHxHEIGHT, as 1600x900" : "--size needs --plot");
	return 0;
}

static int cli_analyze(int argc, char **argv) {
	const char **files = calloc((size_t)argc, sizeof *files);
	args.format = "text";
	const int count = files ? cli_parse(&cli_analyze_command, argc, argv, files) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT), width = 0, height = 0;
	if (count > 0) {
		args.analysis.words = args.words ? SN_ON : SN_DEFAULT;
		args.analysis.quality.scores = args.scores ? SN_ON : SN_DEFAULT;
		status = check(count, &width, &height);
		if (!status)
			status = analyze_all(files, count, width, height);
	}
	free(files);
	return status;
}
