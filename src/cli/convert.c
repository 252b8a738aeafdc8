/* Converting audio. */
#include "cli/batch.h"

#include <stdlib.h>
#include <string.h>

static struct {
	const char *format;
	cli_inputs inputs;
	cli_outputs outputs;
	sn_convert_options convert;
	float start, end;
	int kilobits;
} args;

static const cli_option options[] = {
	{ "output", 'o', "OUT", "file, folder or pattern, instead of the second operand; needed with several INs", CLI_FILE, &args.outputs.out },
	{ "audio", 0, "wav|flac|mp3|opus|pcm", "default: by the ending of OUT", CLI_CHOICE, &args.convert.format },
	{ "rate", 'r', "HZ", "sample rate (default: as it is)", CLI_INT, &args.convert.sample_rate },
	{ "bits", 'b', "N", "16, 24 or 32 (float) in wav and pcm, 16 or 24 in flac (default: 16)", CLI_INT, &args.convert.bits },
	{ "bitrate", 0, "KBIT", "kbit/s of mp3 and opus", CLI_INT, &args.kilobits },
	{ "start", 0, "S", "seconds at which the part begins that is taken", CLI_FLOAT, &args.start },
	{ "end", 0, "S", "and at which it ends (default: all)", CLI_FLOAT, &args.end },
	{ "gain", 0, "DB", "raise the samples; beyond full scale they are clipped", CLI_FLOAT, &args.convert.gain },
	{ "loudness", 0, "LUFS", "bring to this loudness by EBU R128, peaks below -1 dBTP", CLI_FLOAT, &args.convert.loudness },
	{ "format", 'f', "text|json", "what was done, on standard output (default: nothing)", CLI_CHOICE, &args.format },
	CLI_OUTPUT_OPTIONS(args.outputs),
	CLI_INPUT_OPTIONS(args.inputs),
};

static int cli_convert(int argc, char **argv);

const cli_command cli_convert_command = {
	.name = "convert",
	.brief = "convert audio: format, rate, loudness, a part of it",
	.run = cli_convert,
	.operands = { { "IN", CLI_FILE, 0, 0 }, { "OUT", CLI_FILE, 0, 1 } },
	.summary = "Converts audio, whatever is read (also FFmpeg's formats), to wav, flac, mp3, opus or bare samples.",
	.options = options,
	.option_count = COUNT(options),
	.details = "Without -o the last of two operands is OUT. " CLI_PATTERN_HELP "A single file OUT may be IN.\n\n"
	           "\"-\" is standard input or output. Channels are averaged: OUT is mono. Nothing is left behind when it fails. Of several INs one\n"
	           "that fails is reported, the others go on, and the exit status is that of the first failure.",
};

static int print_facts(const sn_conversion *f, const char *in, const char *out) {
	if (strcmp(args.format, "json") == 0)
		return cli_print(json_pack("{s:b, s:o, s:o, s:s, s:s, s:f, s:f, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:I, s:o}",
			"success", 1, "input", cli_text(in), "output", cli_text(out), "input_format", f->input_format,
			"format", f->format, "duration", cli_round(f->duration), "processing_time", cli_round(f->processing_time),
			"input_rate", f->input_rate, "input_channels", f->input_channels, "sample_rate", f->sample_rate,
			"channels", f->channels, "bits", f->bits, "gain", cli_round((double)f->gain), "peak", cli_round((double)f->peak),
			"limited", cli_round((double)f->limited), "clipped_samples", (json_int_t)f->clipped, "note", cli_text(f->note)));
	printf("%s: %.2f s, %s at %d Hz, gain %.1f dB, peak %.1f dBFS, in %.3f s\n", out, f->duration, f->format,
	       f->sample_rate, (double)f->gain, (double)f->peak, f->processing_time);
	return sn_result_exit(cli_write("", 0));
}

static int convert_one(void *payload, const cli_item *item, int many) {
	char err[SN_ERRLEN];
	const char *const out = item->out ? item->out : "-", *const what = many ? item->input : NULL;
	sn_conversion facts;
	cli_progress progress;
	cli_progress_start(&progress, item->input);
	args.convert.progress = cli_progress_show;
	args.convert.payload = &progress;
	const int code = sn_convert_file(&facts, item->input, out, &args.convert, err);
	cli_progress_done(&progress);
	if (code != SN_OK)
		return cli_fail(code, item->input, err);
	if (*facts.note)
		cli_note(what, facts.note);
	if (facts.clipped) {
		snprintf(err, sizeof err, "%lld samples were beyond full scale and are clipped", (long long)facts.clipped);
		cli_note(what, err);
	}
	return args.format ? print_facts(&facts, item->input, out) : 0;
}

static int convert_all(const char **files, int count) {
	const cli_wish wish = { .command = &cli_convert_command, .operands = files, .operand_count = count, .inputs = &args.inputs,
		.outputs = &args.outputs, .audio = args.convert.format, .in_place = 1 };
	cli_batch batch;
	int status = cli_batch_open(&batch, &wish);
	args.convert.start = (double)args.start;
	args.convert.end = (double)args.end;
	args.convert.bitrate = args.kilobits * 1000;
	if (!status && batch.given > 1 && strcmp(args.outputs.out, "-") == 0)
		status = cli_fail(SN_E_ARGUMENT, NULL, "only one IN can go to standard output; -o may be a folder or a pattern");
	if (!status)
		cli_batch_run(&batch, convert_one, NULL);
	const int all = cli_batch_close(&batch);
	return status ? status : all;
}

/* 0, or an exit status. */
static int check(int *count, const char **files) {
	const int has_out = args.outputs.out != NULL;
	if (!has_out && *count == 2)
		args.outputs.out = files[--*count];
	if (!args.outputs.out || (!*count && !args.inputs.from)) {
		cli_mistake(&cli_convert_command, "one IN and one OUT are needed, or several INs and -o");
		return sn_result_exit(SN_E_ARGUMENT);
	}
	if (args.kilobits < 0 || args.kilobits > 1000)
		return cli_fail(SN_E_ARGUMENT, NULL, "--bitrate is in kbit/s, 6 to 512");
	if (args.format && strcmp(args.outputs.out, "-") == 0)
		return cli_fail(SN_E_ARGUMENT, NULL, "audio and facts cannot both go to standard output");
	return 0;
}

static int cli_convert(int argc, char **argv) {
	const char **files = calloc((size_t)argc, sizeof *files);
	int count = files ? cli_parse(&cli_convert_command, argc, argv, files) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count >= 0)
		status = check(&count, files);
	if (count >= 0 && !status)
		status = convert_all(files, count);
	free(files);
	return status;
}
