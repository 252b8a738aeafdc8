#include "cli/transcribe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_AT_ONCE 4
#define RETRY_BELOW 0.6f /* confidence at which --retry begins, if not said */

static struct {
	cli_engine engine;
	const char *model, *format, *out, *retry;
	sn_stt_options stt;
	sn_switch timestamps;
	int words, no_fallback, no_condition, denoise, jobs;
	float from, length;
} args;

static const cli_option options[] = {
	{ "model", 'm', "MODEL", "name, alias or directory (default: auto)", CLI_MODEL_TRANSCRIBE, &args.model },
	{ "language", 'l', "LANG", "code or name, or auto to detect it (default: auto)", CLI_LANGUAGE, &args.stt.language },
	{ "task", 0, "transcribe|translate", "translate: into English (default: transcribe)", CLI_CHOICE, &args.stt.task },
	{ "format", 'f', SN_TRANSCRIPT_FORMATS, "default: text", CLI_CHOICE, &args.format },
	{ "output", 'o', "OUT", "file; with several FILEs a folder; default: standard output", CLI_FILE, &args.out },
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
	{ "words", 0, NULL, "times of words, in json and in subtitles' lines, for models that have them", CLI_FLAG, &args.words },
	{ "denoise", 0, NULL, "take noise out first (DeepFilterNet)", CLI_FLAG, &args.denoise },
	{ "hotwords", 0, "LIST", "words and phrases, separated by commas, that are made likelier", CLI_TEXT, &args.stt.hotwords },
	{ "guards", 0, "on|off|auto", "against loops, text on silence and echoes of the prompt (default: on)", CLI_SWITCH,
		&args.stt.guards },
	{ "retry", 0, "MODELS", "tried one after the other, separated by commas, below --min-confidence", CLI_MODEL_TRANSCRIBE, &args.retry },
	{ "min-confidence", 0, "X", "0 to 1 (default with --retry: 0.6)", CLI_FLOAT, &args.stt.min_confidence },
	{ "punctuate", 0, "on|off|auto", "marks and capitals where the model writes none (default: on there)", CLI_SWITCH,
		&args.stt.punctuate },
	{ "punctuation", 0, "MODEL", "token classifier for that (default: an installed one, else rules)", CLI_MODEL, &args.stt.punctuation },
	{ "vad-threshold", 0, "X", "probability of speech, 0 to 1 (default: 0.5)", CLI_FLOAT, &args.stt.vad_settings.threshold },
	{ "vad-min-speech", 0, "MS", "shorter stretches are no speech; below 0: 0 (default: 0)", CLI_INT, &args.stt.vad_settings.min_speech },
	{ "vad-min-silence", 0, "MS", "a silence that ends a stretch of speech (default: 160)", CLI_INT, &args.stt.vad_settings.min_silence },
	{ "vad-pad", 0, "MS", "silence kept around speech; below 0: none (default: 400)", CLI_INT, &args.stt.vad_settings.pad },
	{ "no-fallback", 0, NULL, "do not repeat doubtful windows at higher temperatures", CLI_FLAG, &args.no_fallback },
	{ "no-condition", 0, NULL, "without vad: do not give windows the text before them", CLI_FLAG, &args.no_condition },
	CLI_ENGINE_OPTIONS(args.engine),
};

static int cli_transcribe(int argc, char **argv);

const cli_command cli_transcribe_command = {
	.name = "transcribe",
	.brief = "speech to text",
	.run = cli_transcribe,
	.operands = { { "FILE", CLI_FILE, 1, 0 } },
	.summary = "Writes what is said in audio files: wav, flac, ogg, opus, mp3 and all that FFmpeg reads; \"-\" is standard\n"
	           "input.",
	.details = "With json and several FILEs each file's object is one line. A file that fails is reported on standard error, the\n"
	           "others are still transcribed, and the exit status is that of the first failure. All formats but json and\n"
	           "verbose_json are written while the audio is heard; what was written stays when an interrupt ends it.",
	.options = options,
	.option_count = COUNT(options),
};

/* Where a file's transcript goes with -o: OUT itself, or OUT/NAME.FORMAT when OUT is a folder. NULL: out of memory. */
static char *output_path(const char *file, int is_folder) {
	const char *const base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	const char *const dot = strrchr(base, '.');
	const int is_text = strcmp(args.format, "text") == 0, is_json = strcmp(args.format, "verbose_json") == 0;
	const char *const ending = is_text ? "txt" : is_json ? "json" : args.format;
	const int is_input = strcmp(file, "-") == 0, length = dot && dot != base ? (int)(dot - base) : (int)strlen(base);
	char *path = NULL;
	if (!is_folder)
		return strdup(args.out);
	if (asprintf(&path, "%s/%.*s.%s", args.out, is_input ? 5 : length, is_input ? "stdin" : base, ending) < 0)
		return NULL;
	return path;
}

/* Two inputs of one name would write one file. */
static int check_outputs(const char **files, int count, int is_folder) {
	for (int i = 0; is_folder && i < count; i++)
		for (int k = 0; k < i; k++) {
			char *a = output_path(files[i], 1), *b = output_path(files[k], 1), text[SN_ERRLEN];
			const int same = a && b && strcmp(a, b) == 0;
			if (same)
				snprintf(text, sizeof text, "'%.200s' would be written to the same file '%.200s'", files[k], a);
			free(a);
			free(b);
			if (same)
				return cli_fail(SN_E_ARGUMENT, files[i], text);
		}
	return 0;
}

/* OUT is a folder when it is one already or several files go there. */
static int prepare_output(int files, int *is_folder) {
	struct stat st;
	*is_folder = args.out && (files > 1 || (stat(args.out, &st) == 0 && S_ISDIR(st.st_mode)));
	if (*is_folder && mkdir(args.out, 0777) != 0 && errno != EEXIST)
		return cli_fail(SN_E_IO, args.out, strerror(errno));
	return 0;
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
	if (args.stt.retry_model_count && args.stt.min_confidence == 0)
		args.stt.min_confidence = RETRY_BELOW;
	return 0;
}

static int transcribe_all(const char **files, int count, int is_folder) {
	const sn_model_options load = { .task = SN_TASK_TRANSCRIBE, .windows = args.stt.batch };
	char err[SN_ERRLEN];
	sn_engine *engine = NULL;
	sn_model *model = NULL;
	transcribe_file *const each = calloc((size_t)count, sizeof *each);
	int status = 0, code = each ? cli_engine_open(&engine, &args.engine, err) : SN_E_MEMORY;
	if (code == SN_OK)
		code = sn_model_load(&model, engine, args.model, &load, err);
	for (int i = 0; i < count && code == SN_OK; i++) {
		each[i] = (transcribe_file){ files[i], args.out ? output_path(files[i], is_folder) : NULL };
		code = args.out && !each[i].path ? SN_E_MEMORY : SN_OK;
	}
	const transcribe_plan plan = { .model = model, .stt = &args.stt, .format = args.format, .files = each, .count = count,
		.most = args.jobs > 0 ? args.jobs : FILES_AT_ONCE, .named = count > 1 };
	status = code == SN_OK ? transcribe_files(&plan) : cli_fail(code, NULL, code == SN_E_MEMORY ? "out of memory" : err);
	for (int i = 0; each && i < count; i++)
		free((char *)(uintptr_t)each[i].path);
	free(each);
	sn_model_release(&model);
	sn_engine_close(&engine);
	return status;
}

static int cli_transcribe(int argc, char **argv) {
	const char **files = calloc((size_t)argc, sizeof *files);
	args.format = "text";
	int is_folder, count = files ? cli_parse(&cli_transcribe_command, argc, argv, files) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count > 0) {
		args.stt.timestamps = args.timestamps;
		args.stt.words = args.words ? SN_ON : SN_DEFAULT;
		args.stt.fallback = args.no_fallback ? SN_OFF : SN_DEFAULT;
		args.stt.condition = args.no_condition ? SN_OFF : SN_DEFAULT;
		args.stt.from = (double)args.from;
		args.stt.length = (double)args.length;
		args.stt.denoise = args.denoise ? SN_ON : SN_DEFAULT;
		char *const retry = args.retry ? strdup(args.retry) : NULL;
		status = read_retries(retry);
		if (!status)
			status = prepare_output(count, &is_folder);
		if (!status)
			status = check_outputs(files, count, is_folder);
		if (!status)
			status = transcribe_all(files, count, is_folder);
		free(retry);
	}
	free(files);
	return status;
}
