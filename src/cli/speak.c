#include "cli/speak.h"

#include <stdlib.h>
#include <string.h>

static cli_speak_args args;
static int no_normalise, stream, verify;

static const cli_option options[] = {
	{ "output", 'o', "OUT", "audio file; its ending says the format; \"-\": standard output", CLI_FILE, &args.out },
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
	{ "ssml", 0, "on|off|auto", "the text is an SSML document (auto: where it begins with <speak)", CLI_SWITCH, &args.tts.ssml },
	{ "no-normalise", 0, NULL, "leave numbers, dates, abbreviations to the model", CLI_FLAG, &no_normalise },
	{ "stream", 0, NULL, "speak clauses as standard input brings them", CLI_FLAG, &stream },
	{ "check", 0, "on|off|auto", "look at each sentence; on (auto: with --format json): rate the whole", CLI_SWITCH, &args.tts.check },
	{ "verify", 0, NULL, "read each sentence back by a model that transcribes", CLI_FLAG, &verify },
	{ "verify-model", 0, "MODEL", "that one (default: auto)", CLI_MODEL_TRANSCRIBE, &args.tts.verify_model },
	{ "retries", 0, "N", "speak a bad sentence again, at most so often; below 0: never (default: 1)", CLI_INT, &args.tts.retries },
	{ "audio", 0, "wav|flac|mp3|opus|pcm", "whatever OUT ends in", CLI_CHOICE, &args.audio },
	{ "format", 'f', "text|json", "facts of the result, on standard output (default: nothing)", CLI_CHOICE, &args.format },
	CLI_ENGINE_OPTIONS(args.engine),
};

static int cli_speak(int argc, char **argv);

const cli_command cli_speak_command = {
	.name = "speak",
	.brief = "text to speech",
	.run = cli_speak,
	.operands = { { "TEXT", CLI_TEXT, 1, 1 } },
	.summary = "Speaks a text to an audio file; \"-\" reads the text from standard input.",
	.options = options,
	.option_count = COUNT(options),
	.details = "\"sonant models info MODEL\" shows which of these a model has; asking for what it lacks is an error.",
};

/* All of standard input, up to one byte more than may be spoken. */
static char *read_input(size_t *size) {
	char *text = malloc(SN_SPEAK_MAX_TEXT + 1);
	*size = text ? fread(text, 1, SN_SPEAK_MAX_TEXT + 1, stdin) : 0;
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

json_t *cli_speak_facts(const sn_speech *s) {
	return json_pack("{s:b, s:o, s:i, s:f, s:f, s:f, s:i, s:o, s:s, s:o, s:o, s:o, s:o, s:i, s:o, s:o}", "success", 1, "output",
		cli_text(args.out), "sample_rate", s->sample_rate, "duration", cli_round(s->duration), "processing_time",
		cli_round(s->processing_time), "first_audio", cli_round(s->first_audio), "sentences", s->sentences, "model", cli_text(s->model),
		"dtype", s->dtype, "voice", cli_text(s->voice), "vocoder", cli_text(s->vocoder), "quality_score",
		s->quality > 0 ? json_real(cli_round((double)s->quality)) : json_null(), "word_error_rate",
		s->word_error_rate >= 0 ? json_real(cli_round((double)s->word_error_rate)) : json_null(), "attempts", s->attempts, "marks",
		list_marks(s), "notes", list_notes(s));
}

int cli_speak_report(const sn_speech *s) {
	for (int i = 0; i < s->note_count; i++)
		cli_note(NULL, s->notes[i].message);
	if (!args.format)
		return 0;
	if (strcmp(args.format, "json") == 0)
		return cli_print(cli_speak_facts(s));
	printf("%s: %.2f s of speech in %.3f s, %d sentence%s, %d Hz, model %s in %s%s%s\n", args.out, s->duration, s->processing_time,
	       s->sentences, s->sentences == 1 ? "" : "s", s->sample_rate, s->model, s->dtype, *s->vocoder ? ", vocoder " : "", s->vocoder);
	return sn_result_exit(cli_write("", 0));
}

static int speak(const char *text, size_t size) {
	char err[SN_ERRLEN];
	sn_engine *engine = NULL;
	sn_model *model = NULL;
	sn_speech speech;
	cli_progress progress;
	cli_progress_start(&progress, "speaking");
	args.tts.progress = cli_progress_show;
	args.tts.payload = &progress;
	int code = cli_engine_open(&engine, &args.engine, err), status = 0;
	if (code == SN_OK)
		code = sn_model_load(&model, engine, args.model, &(sn_model_options){ .task = SN_TASK_SPEAK }, err);
	if (code == SN_OK)
		code = sn_speak_file(model, text, size, args.out, args.audio, &args.tts, &speech, err);
	cli_progress_done(&progress);
	if (code != SN_OK)
		status = cli_fail(code, NULL, err);
	if (code == SN_OK)
		status = cli_speak_report(&speech);
	sn_model_release(&model);
	sn_engine_close(&engine);
	return status;
}

/* A rating belongs to a JSON reply. */
static void take_switches(void) {
	args.tts.normalise = no_normalise ? SN_OFF : SN_DEFAULT;
	args.tts.verify = verify || args.tts.verify_model ? SN_ON : SN_DEFAULT;
	if (args.tts.check == SN_DEFAULT && args.format && strcmp(args.format, "json") == 0)
		args.tts.check = SN_ON;
}

static int cli_speak(int argc, char **argv) {
	const char **operands = calloc((size_t)argc, sizeof *operands);
	int count = operands ? cli_parse(&cli_speak_command, argc, argv, operands) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	const char *text = count == 1 ? operands[0] : NULL;
	free(operands);
	if (count < 0)
		return status;
	if (!args.out) {
		cli_mistake(&cli_speak_command, "-o OUT is missing");
		return sn_result_exit(SN_E_ARGUMENT);
	}
	if (args.format && strcmp(args.out, "-") == 0)
		return cli_fail(SN_E_ARGUMENT, NULL, "audio and facts cannot both go to standard output");
	take_switches();
	if (stream)
		return strcmp(text, "-") == 0 ? cli_speak_stream(&args)
			: cli_fail(SN_E_ARGUMENT, NULL, "--stream speaks what standard input brings: the TEXT is \"-\"");
	size_t size = strlen(text);
	char *input = NULL;
	if (strcmp(text, "-") == 0) {
		input = read_input(&size);
		if (!input || ferror(stdin)) {
			free(input);
			return cli_fail(SN_E_IO, NULL, "standard input cannot be read");
		}
	}
	status = speak(input ? input : text, size);
	free(input);
	return status;
}
