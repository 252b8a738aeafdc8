#include "cli/batch.h"

#include <stdlib.h>
#include <string.h>

static struct {
	cli_engine engine;
	const char *audio, *format;
	cli_inputs inputs;
	cli_outputs outputs;
	sn_enhance_options enhance;
} args;

static const cli_option options[] = {
	{ "output", 'o', "OUT", "audio file, folder or pattern; the ending says the format; \"-\": standard output", CLI_FILE, &args.outputs.out },
	{ "audio", 0, "wav|flac|mp3|opus|pcm", "whatever OUT ends in", CLI_CHOICE, &args.audio },
	{ "denoise", 0, "on|off|auto", "take noise out (default: where there is some and a model is installed)", CLI_SWITCH, &args.enhance.denoise },
	{ "attenuation", 0, "DB", "noise is lowered at most so far, 1 to 100 (default: 24)", CLI_FLOAT, &args.enhance.attenuation_limit },
	{ "declip", 0, "on|off|auto", "repair clipped peaks (default: on)", CLI_SWITCH, &args.enhance.declip },
	{ "highpass", 0, "on|off|auto", "take off rumble below 60 Hz and a constant offset (default: on)", CLI_SWITCH, &args.enhance.highpass },
	{ "compress", 0, "on|off|auto", "even out the level, gently (default: off)", CLI_SWITCH, &args.enhance.compress },
	{ "normalise", 0, "on|off|auto", "bring the loudness to its target (default: on)", CLI_SWITCH, &args.enhance.normalise },
	{ "loudness", 0, "LUFS", "that target by EBU R128, -40 to -5 (default: -16)", CLI_FLOAT, &args.enhance.loudness },
	{ "ceiling", 0, "DBTP", "of true peaks, -20 to -0.1 (default: -1)", CLI_FLOAT, &args.enhance.ceiling },
	{ "rate", 0, "HZ", "sample rate of OUT, 8000 to 192000 (default: the input's)", CLI_INT, &args.enhance.sample_rate },
	{ "scores", 0, "on|off|auto", "rate IN and OUT by DNSMOS (default: off)", CLI_SWITCH, &args.enhance.scores },
	{ "format", 'f', "text|json", "what was done, on standard output (default: nothing)", CLI_CHOICE, &args.format },
	CLI_OUTPUT_OPTIONS(args.outputs),
	CLI_INPUT_OPTIONS(args.inputs),
	CLI_ENGINE_OPTIONS(args.engine),
};

static int cli_enhance(int argc, char **argv);

const cli_command cli_enhance_command = {
	.name = "enhance",
	.brief = "make a recording better to listen to",
	.run = cli_enhance,
	.operands = { { "IN", CLI_FILE, 0, 0 } },
	.summary = "Makes a recording of speech better to listen to: repairs clipped peaks, takes noise out, sets the loudness.",
	.options = options,
	.option_count = COUNT(options),
	.details = CLI_PATTERN_HELP "A single file OUT may be IN.\n\n"
	           "Channels are averaged: OUT is mono. \"-\" reads standard input. Of several INs each is made better by itself; one that fails is\n"
	           "reported, the others go on, and the exit status is that of the first failure.",
};

static json_t *levels(const sn_enhanced_levels *l) {
	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "score", cli_round(l->score), "loudness", cli_round(l->loudness), "loudness_range", cli_round(l->range), "true_peak",
		cli_round(l->true_peak), "rms", cli_round(l->rms), "noise_floor", cli_round(l->noise_floor), "snr", cli_round(l->snr));
}

static int print_json(const sn_enhancement *f, const char *in, const char *out) {
	json_t *stages = json_array(), *notes = json_array();
	for (int i = 0; i < SN_ENHANCE_STAGES; i++)
		json_array_append_new(stages, json_pack("{s:s, s:b, s:o}", "name", f->stages[i].name, "done", f->stages[i].done, "message",
			cli_text(f->stages[i].message)));
	if (*f->note)
		json_array_append_new(notes, json_pack("{s:s, s:o}", "code", "input", "message", cli_text(f->note)));
	return cli_print(json_pack("{s:b, s:o, s:o, s:f, s:f, s:i, s:i, s:i, s:o, s:o, s:I, s:I, s:f, s:f, s:f, s:f, s:o, s:o, s:o}", "success", 1,
		"input", cli_text(in), "output", cli_text(out), "duration", cli_round(f->duration), "processing_time",
		cli_round(f->processing_time), "input_rate", f->input_rate, "input_channels", f->input_channels, "sample_rate", f->sample_rate,
		"before", levels(&f->before), "after", levels(&f->after), "clipped_samples", (json_int_t)f->clipped, "repaired_samples",
		(json_int_t)f->repaired, "noise_reduction", cli_round(f->noise_reduction), "gain", cli_round(f->gain), "compression",
		cli_round(f->compression), "limited", cli_round(f->limited), "denoiser", cli_text(f->denoiser), "stages", stages, "notes", notes));
}

static int print_text(const sn_enhancement *f, const char *out) {
	const struct { const char *when; const sn_enhanced_levels *levels; } rows[] = { { "before", &f->before }, { "after", &f->after } };
	printf("%s: %.2f s at %d Hz in %.3f s\n", out, f->duration, f->sample_rate, f->processing_time);
	for (int i = 0; i < COUNT(rows); i++) {
		printf("%-9s loudness %.1f LUFS, true peak %.1f dBTP, noise floor %.1f dBFS, signal-to-noise ratio %.0f dB", rows[i].when,
		       rows[i].levels->loudness, rows[i].levels->true_peak, rows[i].levels->noise_floor, rows[i].levels->snr);
		if (rows[i].levels->score > 0)
			printf(", DNSMOS %.2f", rows[i].levels->score);
		printf("\n");
	}
	for (int i = 0; i < SN_ENHANCE_STAGES; i++)
		printf("%-9s %s\n", f->stages[i].name, f->stages[i].message);
	return sn_result_exit(cli_write("", 0));
}

static int enhance_one(void *engine, const cli_item *item, int many) {
	char err[SN_ERRLEN];
	const char *const out = item->out ? item->out : "-";
	sn_enhancement facts;
	cli_progress progress;
	cli_progress_start(&progress, item->input);
	args.enhance.progress = cli_progress_show;
	args.enhance.payload = &progress;
	const int code = sn_enhance_file(&facts, engine, item->input, out, args.audio, &args.enhance, err);
	cli_progress_done(&progress);
	if (code != SN_OK)
		return cli_fail(code, item->input, err);
	if (args.format && strcmp(args.format, "json") == 0)
		return print_json(&facts, item->input, out);
	if (*facts.note)
		cli_note(many ? item->input : NULL, facts.note);
	return args.format ? print_text(&facts, out) : 0;
}

static int enhance_all(const char **files, int count) {
	const cli_wish wish = { .command = &cli_enhance_command, .operands = files, .operand_count = count, .inputs = &args.inputs,
		.outputs = &args.outputs, .audio = args.audio, .in_place = 1 };
	char err[SN_ERRLEN];
	sn_engine *engine = NULL;
	cli_batch batch;
	int status = cli_batch_open(&batch, &wish);
	if (!status && batch.given > 1 && strcmp(args.outputs.out, "-") == 0)
		status = cli_fail(SN_E_ARGUMENT, NULL, "only one IN can go to standard output; -o may be a folder or a pattern");
	if (!status && batch.count) {
		const int code = cli_engine_open(&engine, &args.engine, err);
		if (code == SN_OK)
			cli_batch_run(&batch, enhance_one, engine);
		else
			status = cli_fail(code, NULL, err);
	}
	sn_engine_close(&engine);
	const int all = cli_batch_close(&batch);
	return status ? status : all;
}

static int cli_enhance(int argc, char **argv) {
	const char **files = calloc((size_t)argc, sizeof *files);
	const int count = files ? cli_parse(&cli_enhance_command, argc, argv, files) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count >= 0 && !count && !args.inputs.from)
		cli_mistake(&cli_enhance_command, "no IN was given");
	else if (count >= 0 && !args.outputs.out)
		cli_mistake(&cli_enhance_command, "-o OUT is missing");
	else if (count >= 0 && args.format && strcmp(args.outputs.out, "-") == 0)
		status = cli_fail(SN_E_ARGUMENT, NULL, "audio and facts cannot both go to standard output");
	else if (count >= 0)
		status = enhance_all(files, count);
	free(files);
	return status;
}
