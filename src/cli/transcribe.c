#include "cli/batch.h"
#include "cli/transcribe.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define FILES_AT_ONCE 4
#define MAX_JOBS 256
#define UNSET INT_MIN /* 0 would be the default of the library's options */
#define RETRY_BELOW 0.6f /* confidence at which --retry begins, if not said */

static struct {
	cli_engine engine;
	const char *model, *format, *retry;
	sn_transcript_options lines;
	cli_inputs inputs;
	cli_outputs outputs;
	sn_stt_options stt;
	sn_switch timestamps;
	int words, no_fallback, no_condition, denoise, jobs;
	float from, length;
} args;

static const cli_option options[] = {
	{ "model", 'm', "MODEL", "name, alias or directory (default: auto)", CLI_MODEL_TRANSCRIBE, &args.model },
	{ "language", 'l', "LANG", "code or name, or auto to detect it (default: auto)", CLI_LANGUAGE, &args.stt.language },
	{ "task", 0, "transcribe|translate", "translate: into English (default: transcribe)", CLI_CHOICE, &args.stt.task },
	{ "format", 'f', SN_TRANSCRIPT_FORMATS, "default: by the ending of OUT, else text", CLI_CHOICE, &args.format },
	{ "output", 'o', "OUT", "file, folder or pattern (default: standard output)", CLI_FILE, &args.outputs.out },
	{ "vad", 0, "on|off|auto", "decode speech only, in batches (default: where silero-vad is installed)", CLI_SWITCH,
		&args.stt.vad },
	{ "batch", 0, "N", "windows decoded together with --vad (default: 8)", CLI_INT, &args.stt.batch },
	{ "jobs", 'j', "N", "FILEs that are heard side by side (default: 4)", CLI_INT, &args.jobs },
	{ "from", 0, "SECONDS", "where in the audio to begin; times stay those of the whole (default: 0)", CLI_FLOAT, &args.from },
	{ "length", 0, "SECONDS", "how much of it to hear (default: all)", CLI_FLOAT, &args.length },
	{ "beam", 0, "N", "sequences searched; 1: greedy (default: 5)", CLI_INT, &args.stt.beam },
	{ "prompt", 0, "TEXT", "text that the audio follows: names, spelling, style", CLI_TEXT, &args.stt.prompt },
	{ "temperature", 0, "X", "first temperature, 0 to 1 (default: 0)", CLI_FLOAT, &args.stt.temperature },
	{ "seed", 0, "N", "of sampling at temperatures above 0", CLI_U64, &args.stt.seed },
	{ "timestamps", 0, "on|off|auto", "times within a window (default: on)", CLI_SWITCH, &args.timestamps },
	{ "words", 0, NULL, "times of words, in json and in subtitles' lines, for models that have them; in text on a terminal, doubtful ones in a colour", CLI_FLAG, &args.words },
	{ "max-line-width", 0, "N", "of srt and vtt: characters of a line, wide ones count as two (default: 42)", CLI_INT, &args.lines.line_width },
	{ "max-line-count", 0, "N", "of srt and vtt: lines of a cue (default: 2)", CLI_INT, &args.lines.line_count },
	{ "denoise", 0, NULL, "take noise out first (DeepFilterNet)", CLI_FLAG, &args.denoise },
	{ "hotwords", 0, "LIST", "words and phrases, separated by commas, that are made likelier", CLI_TEXT, &args.stt.hotwords },
	{ "guards", 0, "on|off|auto", "against loops, text on silence and echoes of the prompt (default: on)", CLI_SWITCH,
		&args.stt.guards },
	{ "retry", 0, "MODELS", "tried one after the other, separated by commas, below --min-confidence", CLI_MODEL_TRANSCRIBE, &args.retry },
	{ "min-confidence", 0, "X", "0 to 1 (default with --retry: 0.6)", CLI_FLOAT, &args.stt.min_confidence },
	{ "punctuate", 0, "on|off|auto", "marks and capitals where the model writes none (default: on there)", CLI_SWITCH,
		&args.stt.punctuate },
	{ "punctuation", 0, "MODEL", "token classifier for that (default: an installed one, else rules)", CLI_MODEL, &args.stt.punctuation },
	{ "vad-threshold", 0, "X", "probability of speech, above 0 and below 1 (default: 0.5)", CLI_FLOAT, &args.stt.vad_settings.threshold },
	{ "vad-min-speech", 0, "MS", "shorter stretches are no speech; below 0: 0 (default: 0)", CLI_INT, &args.stt.vad_settings.min_speech },
	{ "vad-min-silence", 0, "MS", "a silence that ends a stretch of speech (default: 160)", CLI_INT, &args.stt.vad_settings.min_silence },
	{ "vad-pad", 0, "MS", "silence kept around speech; below 0: none (default: 400)", CLI_INT, &args.stt.vad_settings.pad },
	{ "no-fallback", 0, NULL, "do not repeat doubtful windows at higher temperatures", CLI_FLAG, &args.no_fallback },
	{ "no-condition", 0, NULL, "without vad: do not give windows the text before them", CLI_FLAG, &args.no_condition },
	CLI_OUTPUT_OPTIONS(args.outputs),
	CLI_INPUT_OPTIONS(args.inputs),
	CLI_ENGINE_OPTIONS(args.engine),
};

static int cli_transcribe(int argc, char **argv);

const cli_command cli_transcribe_command = {
	.name = "transcribe",
	.brief = "speech to text",
	.run = cli_transcribe,
	.operands = { { "FILE", CLI_FILE, 0, 0 } },
	.summary = "Writes what is said in audio files: wav, flac, ogg, opus, mp3 and all that FFmpeg reads; \"-\" is standard\n"
	           "input.",
	.details = CLI_PATTERN_HELP "\n"
	           "With json and several FILEs each file's object is one line. A file that fails is reported on standard error, the\n"
	           "others are still transcribed, and the exit status is that of the first failure. All formats but json and\n"
	           "verbose_json are written while the audio is heard; what was written stays when an interrupt ends it. With several\n"
	           "FILEs, or with --skip-existing, it is called OUT.part until it is whole.",
	.examples = "What is said in a recording:\nsonant transcribe talk.mp3\n"
	            "Subtitles beside each film below a folder, with the language in their names:\n"
	            "sonant transcribe -R films -o '{dir}/{stem}.{lang}.srt'\n"
	            "What find finds, a line of JSON for each; what fails is told on standard error:\n"
	            "find . -newer last.txt -name '*.opus' -print0 | sonant transcribe --files-from - --json\n",
	.options = options,
	.option_count = COUNT(options),
};

/* The ending of files of the format. */
static const char *ending(void) {
	const char *const format = args.lines.format;
	return strcmp(format, "text") == 0 ? "txt" : strcmp(format, "verbose_json") == 0 ? "json" : format;
}

/* Cuts --retry at its commas, in place. 0, or an exit status. */
static int read_retries(char *list) {
	static const char *names[SN_MAX_RETRIES];
	for (char *at = list, *name; at && (name = strsep(&at, ","));)
		if (*name) {
			if (args.stt.retry_model_count == SN_MAX_RETRIES)
				return cli_fail(SN_E_ARGUMENT, NULL, "--retry takes at most 8 models");
			names[args.stt.retry_model_count++] = name;
		}
	args.stt.retry_models = names;
	if (!args.stt.retry_model_count && args.stt.min_confidence != 0)
		return cli_fail(SN_E_ARGUMENT, NULL, "--min-confidence needs --retry, the models that try below it");
	if (args.stt.retry_model_count && args.stt.min_confidence == 0)
		args.stt.min_confidence = RETRY_BELOW;
	return 0;
}

/* The format and its lines. 0, or an exit status. */
static int read_format(void) {
	static const char *const known[] = { "text", "json", "jsonl", "srt", "vtt", "tsv", NULL };
	const char *const by_ending = args.format ? NULL : cli_format_of(args.outputs.out, known);
	sn_transcript_stream *stream = NULL;
	char err[SN_ERRLEN];
	args.lines.format = args.format ? args.format : by_ending ? by_ending : "text";
	const int is_subtitles = strcmp(args.lines.format, "srt") == 0 || strcmp(args.lines.format, "vtt") == 0;
	if (!is_subtitles && (args.lines.line_width || args.lines.line_count)) {
		snprintf(err, sizeof err, "--max-line-width and --max-line-count are for srt and vtt, not for %s", args.lines.format);
		return cli_fail(SN_E_ARGUMENT, NULL, err);
	}
	const int code = is_subtitles ? sn_transcript_stream_begin(&stream, &args.lines, err) : SN_OK;
	sn_transcript_stream_close(&stream);
	return code == SN_OK ? 0 : cli_fail(code, NULL, err);
}

static int is_listed(const sn_model_entry *e, const char *name) {
	const size_t size = strlen(name);
	int found = strcmp(e->name, name) == 0;
	for (const char *at = e->aliases; *at && !found; at += strcspn(at, " "), at += *at == ' ')
		found = strcspn(at, " ") == size && strncmp(at, name, size) == 0;
	return found && e->installed && e->task == SN_TASK_TRANSCRIBE;
}

/* What will try again must be there, and a model that transcribes: what no list has is loaded to see. */
static int check_retries(sn_engine *engine, char *err) {
	sn_model_list *models = NULL;
	int code = args.stt.retry_model_count ? sn_model_list_read(&models, engine, err) : SN_OK;
	for (int i = 0; i < args.stt.retry_model_count && code == SN_OK; i++) {
		const char *const name = args.stt.retry_models[i];
		sn_model *model = NULL;
		int found = 0;
		for (size_t k = 0; k < models->count && !found; k++)
			found = is_listed(&models->entries[k], name);
		if (!found)
			code = cli_model_load(&model, engine, &args.engine, name, SN_TASK_TRANSCRIBE, args.stt.batch, err);
		sn_model_release(&model);
	}
	sn_model_list_free(&models);
	return code;
}

static void ended(void *batch, int index, int status, const char *language) { cli_batch_ended(batch, index, status, language); }

/* Loads the model and transcribes what is left to do. Returns an exit status. */
static int transcribe_batch(cli_batch *batch) {
	char err[SN_ERRLEN] = "out of memory";
	sn_engine *engine = NULL;
	sn_model *model = NULL;
	transcribe_file *const files = calloc((size_t)batch->count, sizeof *files);
	int code = files ? cli_engine_open(&engine, &args.engine, err) : SN_E_MEMORY;
	if (code == SN_OK)
		code = check_retries(engine, err);
	if (code == SN_OK)
		code = cli_model_load_for(&model, engine, &args.engine, args.model, SN_TASK_TRANSCRIBE, args.stt.language, args.stt.batch, err);
	for (int i = 0; i < batch->count && code == SN_OK; i++)
		files[i] = (transcribe_file){ batch->items[i].input, batch->items[i].out };
	const transcribe_plan plan = { .model = model, .stt = &args.stt, .format = args.lines, .files = files, .count = batch->count,
		.most = args.jobs > 0 ? args.jobs : FILES_AT_ONCE, .named = batch->given > 1, .apart = batch->given > 1 || args.outputs.skip_existing, .ended = ended, .payload = batch };
	const int status = code == SN_OK ? transcribe_files(&plan) : cli_fail(code, NULL, err);
	free(files);
	sn_model_release(&model);
	sn_engine_close(&engine);
	return status;
}

static int transcribe_all(const char **files, int count) {
	const int is_known = args.stt.language && strcmp(args.stt.language, "auto") != 0;
	const cli_wish wish = { .command = &cli_transcribe_command, .operands = files, .operand_count = count, .inputs = &args.inputs,
		.outputs = &args.outputs, .format = ending(), .language = is_known ? args.stt.language : NULL, .hears = 1 };
	cli_batch batch;
	int status = cli_batch_open(&batch, &wish);
	if (!status && batch.count)
		status = transcribe_batch(&batch);
	const int all = cli_batch_close(&batch);
	return status == sn_result_exit(SN_E_CANCELLED) || !all ? status : all;
}

static int cli_transcribe(int argc, char **argv) {
	const char **files = calloc((size_t)argc, sizeof *files);
	args.stt.beam = UNSET;
	const int count = files ? cli_parse(&cli_transcribe_command, argc, argv, files) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count >= 0) {
		const int no_beam = args.stt.beam == 0;
		args.stt.beam = args.stt.beam == UNSET ? 0 : args.stt.beam;
		args.stt.timestamps = args.timestamps;
		args.stt.words = args.words ? SN_ON : SN_DEFAULT;
		args.stt.fallback = args.no_fallback ? SN_OFF : SN_DEFAULT;
		args.stt.condition = args.no_condition ? SN_OFF : SN_DEFAULT;
		args.stt.from = (double)args.from;
		args.stt.length = (double)args.length;
		args.stt.denoise = args.denoise ? SN_ON : SN_DEFAULT;
		char *const retry = args.retry ? strdup(args.retry) : NULL;
		status = args.jobs >= 0 && args.jobs <= MAX_JOBS ? read_retries(retry) : cli_fail(SN_E_ARGUMENT, NULL, "--jobs is 1 to 256");
		if (!status && no_beam)
			status = cli_fail(SN_E_ARGUMENT, NULL, "--beam is 1 to 16, not 0; 1 is greedy");
		if (!status)
			status = read_format();
		if (!status)
			status = transcribe_all(files, count);
		free(retry);
	}
	free(files);
	return status;
}
