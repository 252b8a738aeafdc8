#include "cli/batch.h"
#include "cli/speak.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static cli_speak_args args;
static int no_normalise, stream, verify;
static const char *lines, *texts;
static cli_outputs outputs;

static const cli_option options[] = {
	{ "output", 'o', "OUT", "audio file, folder or pattern; the ending says the format; \"-\": standard output", CLI_FILE, &outputs.out },
	{ "model", 'm', "MODEL", "name, alias or path (default: auto)", CLI_MODEL_SPEAK, &args.model },
	{ "voice", 'v', "VOICE", "speaker of the model by name or number, voice of the bank, .npy or .npz file", CLI_VOICE,
		&args.tts.voice },
	{ "vocoder", 0, "VOCODER", "name, path or griffin-lim, for models of spectrograms (default: the model's)", CLI_VOCODER,
		&args.tts.vocoder },
	{ "language", 'l', "LANG", "language of the text (default: the model's)", CLI_LANGUAGE, &args.tts.language },
	{ "emotion", 0, "EMOTION", "one that the model has", CLI_TEXT, &args.tts.emotion },
	{ "speed", 0, "X", "0.25 to 4 (default: 1)", CLI_FLOAT, &args.tts.speed },
	{ "pitch", 0, "X", "factor of the pitch, 0.25 to 4 (default: 1)", CLI_FLOAT, &args.tts.pitch },
	{ "energy", 0, "X", "factor of the loudness, likewise", CLI_FLOAT, &args.tts.energy },
	{ "seed", 0, "N", "of the model's noise (default: 0)", CLI_U64, &args.tts.seed },
	{ "noise", 0, "X", "of the voice, up to 2; below 0: none (default: the voice's)", CLI_FLOAT, &args.tts.noise },
	{ "noise-duration", 0, "X", "of the rhythm, likewise", CLI_FLOAT, &args.tts.noise_duration },
	{ "temperature", 0, "X", "of sampled tokens, up to 2; below 0: the likeliest (default: the model's)", CLI_FLOAT,
		&args.tts.temperature },
	{ "dropout", 0, "on|off|auto", "of prenets while speaking (default: as the reference does)", CLI_SWITCH, &args.tts.dropout },
	{ "pause", 0, "S", "seconds of silence between sentences (default: 0)", CLI_FLOAT, &args.tts.pause },
	{ "ssml", 0, "on|off|auto", "the text is an SSML document (auto: where it begins with <speak or <?xml)", CLI_SWITCH, &args.tts.ssml },
	{ "no-normalise", 0, NULL, "leave numbers, dates, abbreviations to the model", CLI_FLAG, &no_normalise },
	{ "stream", 0, NULL, "speak clauses as standard input brings them", CLI_FLAG, &stream },
	{ "check", 0, "on|off|auto", "look at each sentence; on (auto: with --format json): rate the whole", CLI_SWITCH, &args.tts.check },
	{ "verify", 0, NULL, "read each sentence back by a model that transcribes", CLI_FLAG, &verify },
	{ "verify-model", 0, "MODEL", "that one (default: auto)", CLI_MODEL_TRANSCRIBE, &args.tts.verify_model },
	{ "retries", 0, "N", "speak a bad sentence again, at most so often, up to 8; below 0: never (default: 1)", CLI_INT, &args.tts.retries },
	{ "audio", 0, "wav|flac|mp3|opus|pcm", "whatever OUT ends in", CLI_CHOICE, &args.audio },
	{ "format", 'f', "text|json", "facts of the result, on standard output (default: nothing)", CLI_CHOICE, &args.format },
	{ "lines-from", 0, "FILE", "speak each line of FILE for itself; \"-\": of standard input", CLI_FILE, &lines },
	{ "files-from", 0, "LIST", "speak each file of text that a line of LIST names; \"-\": of standard input", CLI_FILE, &texts },
	CLI_OUTPUT_OPTIONS(outputs),
	CLI_ENGINE_OPTIONS(args.engine),
};

static int cli_speak(int argc, char **argv);

const cli_command cli_speak_command = {
	.name = "speak",
	.brief = "text to speech",
	.run = cli_speak,
	.hint = "quote a text of several words",
	.operands = { { "TEXT", CLI_TEXT, 0, 1 } },
	.summary = "Speaks a text to an audio file; \"-\" reads the text from standard input.",
	.options = options,
	.option_count = COUNT(options),
	.details = "\"sonant models info MODEL\" shows which of these a model has; asking for what it lacks is an error.\n\n"
	           CLI_PATTERN_HELP "A line or TEXT has its number for a name. What fails of several texts is reported, the others are spoken, and the exit\n"
	           "status is that of the first failure.",
	.examples = "A text to a file:\nsonant speak 'Good morning.' -o morning.flac\n"
	            "Each line of a script to a file of its own, 01.wav, 02.wav, ...:\nsonant speak --lines-from script.txt -o 'prompts/{index}.wav'\n"
	            "As it is written, to the speakers:\nsonant speak - --stream -o - --audio wav | aplay\n",
};

/* All of a file, up to one byte more than may be spoken. */
static char *read_input(FILE *file, size_t *size) {
	char *text = malloc(SN_SPEAK_MAX_TEXT + 1);
	*size = text ? fread(text, 1, SN_SPEAK_MAX_TEXT + 1, file) : 0;
	return text;
}

static json_t *list_notes(const sn_speech *s) {
	json_t *notes = json_array();
	for (int i = 0; i < s->note_count; i++)
		json_array_append_new(notes, json_pack("{s:s, s:o}", "code", s->notes[i].code, "message", cli_text(s->notes[i].message)));
	return notes;
}

static json_t *list_marks(const sn_speech *s) {
	json_t *marks = json_array();
	for (int i = 0; i < s->mark_count && i < SN_SPEECH_MARKS; i++)
		json_array_append_new(marks, json_pack("{s:o, s:f}", "name", cli_text(s->marks[i].name), "time", cli_round(s->marks[i].time)));
	return marks;
}

json_t *cli_speak_facts(const sn_speech *s, const char *out) {
	return json_pack("{s:b, s:o, s:i, s:f, s:f, s:f, s:i, s:o, s:s, s:o, s:o, s:o, s:o, s:i, s:o, s:o}", "success", 1, "output",
		cli_text(out), "sample_rate", s->sample_rate, "duration", cli_round(s->duration), "processing_time",
		cli_round(s->processing_time), "first_audio", cli_round(s->first_audio), "sentences", s->sentences, "model", cli_text(s->model),
		"dtype", s->dtype, "voice", cli_text(s->voice), "vocoder", cli_text(s->vocoder), "quality_score",
		s->quality > 0 ? json_real(cli_round((double)s->quality)) : json_null(), "word_error_rate",
		s->word_error_rate >= 0 ? json_real(cli_round((double)s->word_error_rate)) : json_null(), "attempts", s->attempts, "marks",
		list_marks(s), "notes", list_notes(s));
}

int cli_speak_report(const sn_speech *s, const char *out) {
	if (args.format && strcmp(args.format, "json") == 0)
		return cli_print(cli_speak_facts(s, out));
	for (int i = 0; i < s->note_count; i++)
		cli_note(NULL, s->notes[i].message);
	if (!args.format)
		return 0;
	printf("%s: %.2f s of speech in %.3f s, %d sentence%s, %d Hz, model %s in %s%s%s\n", out, s->duration, s->processing_time,
	       s->sentences, s->sentences == 1 ? "" : "s", s->sample_rate, s->model, s->dtype, *s->vocoder ? ", vocoder " : "", s->vocoder);
	return sn_result_exit(cli_write("", 0));
}

static int speak(sn_model *model, const char *text, size_t size, const char *out, const char *what) {
	char err[SN_ERRLEN];
	sn_speech speech;
	cli_progress progress;
	cli_progress_start(&progress, what ? what : "speaking");
	args.tts.progress = cli_progress_show;
	args.tts.payload = &progress;
	const int code = sn_speak_file(model, text, size, out, args.audio, &args.tts, &speech, err);
	cli_progress_done(&progress);
	return code == SN_OK ? cli_speak_report(&speech, out) : cli_fail(code, what, err);
}

/* A text, or a file of it where the batch is one of files; "-": standard input. */
static int speak_one(void *model, const cli_item *item, int many) {
	const int is_input = strcmp(item->input, "-") == 0;
	const char *const out = item->out ? item->out : "-", *const what = texts ? item->input : NULL;
	if (!texts && (!is_input || many))
		return speak(model, item->input, strlen(item->input), out, many ? item->out : what);
	FILE *const file = is_input ? stdin : fopen(item->input, "r");
	size_t size = 0;
	char *const text = file ? read_input(file, &size) : NULL;
	int status;
	if (!file)
		status = cli_fail(errno == ENOENT ? SN_E_NOT_FOUND : SN_E_IO, item->input, strerror(errno));
	else if (!text || ferror(file))
		status = cli_fail(SN_E_IO, NULL, is_input ? "standard input cannot be read" : "the text cannot be read");
	else
		status = speak(model, text, size, out, what);
	if (file && !is_input)
		fclose(file);
	free(text);
	return status;
}

static int speak_all(const char **words, int count) {
	const cli_inputs inputs = { .from = texts };
	const cli_wish wish = { .command = &cli_speak_command, .operands = words, .operand_count = count, .inputs = &inputs,
		.outputs = &outputs, .audio = args.audio, .language = args.tts.language, .texts = !texts, .lines = lines };
	char err[SN_ERRLEN];
	sn_engine *engine = NULL;
	sn_model *model = NULL;
	cli_batch batch;
	int code = SN_OK, status = cli_batch_open(&batch, &wish);
	if (!status && batch.given > 1 && strcmp(outputs.out, "-") == 0)
		status = cli_fail(SN_E_ARGUMENT, NULL, "only one TEXT can go to standard output; -o may be a folder or a pattern as '{index}.wav'");
	if (!status && batch.count) {
		code = cli_engine_open(&engine, &args.engine, err);
		if (code == SN_OK)
			code = cli_model_load_for(&model, engine, &args.engine, args.model, SN_TASK_SPEAK, args.tts.language, 0, err);
		if (code == SN_OK)
			cli_batch_run(&batch, speak_one, model);
		else
			status = cli_fail(code, NULL, err);
	}
	sn_model_release(&model);
	sn_engine_close(&engine);
	const int all = cli_batch_close(&batch);
	return status ? status : all;
}

/* A rating belongs to a JSON reply. */
static void take_switches(void) {
	args.tts.normalise = no_normalise ? SN_OFF : SN_DEFAULT;
	args.tts.verify = verify || args.tts.verify_model ? SN_ON : SN_DEFAULT;
	if (args.tts.check == SN_DEFAULT && args.format && strcmp(args.format, "json") == 0)
		args.tts.check = SN_ON;
}

/* A factor of 0 would be the default of the library's options. 0, or an exit status. */
static int take_factor(float *value, const char *name) {
	char err[SN_ERRLEN];
	if (isnan(*value))
		*value = 0; /* was not given */
	else if (*value == 0) {
		snprintf(err, sizeof err, "--%s is 0.25 to 4, not 0", name);
		return cli_fail(SN_E_ARGUMENT, NULL, err);
	}
	return 0;
}

static int take_factors(void) {
	int status = take_factor(&args.tts.speed, "speed");
	if (!status)
		status = take_factor(&args.tts.pitch, "pitch");
	return status ? status : take_factor(&args.tts.energy, "energy");
}

/* 0, or an exit status. */
static int check(const char **words, int count) {
	if (!count && !lines && !texts)
		cli_mistake(&cli_speak_command, "no TEXT was given");
	else if (!outputs.out)
		cli_mistake(&cli_speak_command, "-o OUT is missing");
	else if (texts && (count || lines))
		cli_mistake(&cli_speak_command, "--files-from goes with neither a TEXT nor --lines-from");
	else if (stream && (count != 1 || strcmp(words[0], "-") != 0))
		cli_mistake(&cli_speak_command, "--stream speaks what standard input brings: the TEXT is \"-\"");
	else if (stream && (outputs.no_overwrite || outputs.skip_existing))
		cli_mistake(&cli_speak_command, "--stream goes with neither --no-overwrite nor --skip-existing");
	else if (args.format && strcmp(outputs.out, "-") == 0)
		cli_mistake(&cli_speak_command, "audio and facts cannot both go to standard output");
	else
		return 0;
	return sn_result_exit(SN_E_ARGUMENT);
}

static int cli_speak(int argc, char **argv) {
	const char **words = calloc((size_t)argc, sizeof *words);
	args.tts.speed = args.tts.pitch = args.tts.energy = NAN;
	const int count = words ? cli_parse(&cli_speak_command, argc, argv, words) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count >= 0)
		status = check(words, count);
	if (count >= 0 && !status)
		status = take_factors();
	if (count >= 0 && !status) {
		take_switches();
		args.out = outputs.out;
		status = stream ? cli_speak_stream(&args) : speak_all(words, count);
	}
	free(words);
	return status;
}
