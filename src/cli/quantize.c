/* Checkpoints with narrower weights. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static struct {
	cli_engine engine;
	const char *format, *output, *dtype;
	sn_quantize_options wanted;
} args;

static const cli_option options[] = {
	{ "output", 'o', "DIR", "folder to be made, new or empty (needed)", CLI_FOLDER, &args.output },
	{ "dtype", 0, "int8|bf16", "what matrices are stored as (needed)", CLI_CHOICE, &args.dtype },
	{ "calibrate", 0, "DIR", "measure word errors before and after: texts (NAME.txt) and, to transcribe, their clips (NAME.wav, ..)", CLI_FOLDER, &args.wanted.measure },
	{ "language", 'l', "LANG", "of those texts (default: the model's, or as it is detected)", CLI_LANGUAGE, &args.wanted.language },
	{ "format", 'f', "text|json", "of the report (default: text)", CLI_CHOICE, &args.format },
	{ "threads", 't', "N", "threads that compute (default: one for each CPU)", CLI_INT, &args.engine.threads },
};

static int cli_quantize(int argc, char **argv);

const cli_command cli_quantize_command = {
	.name = "quantize",
	.brief = "write a model with narrower weights",
	.run = cli_quantize,
	.operands = { { "MODEL", CLI_MODEL, 1, 1 } },
	.summary = "Writes a checkpoint whose matrices are int8 with a scale for each row, or bf16, and reports sizes and errors.",
	.options = options,
	.option_count = COUNT(options),
	.details = "DIR appears whole, once it has been loaded for a test, or not at all; name it where a MODEL is asked for. Checkpoints of safetensors,\n"
	           "CTranslate2 and PyTorch can be quantised; a voice inside of an ONNX graph cannot. Weights need no calibration: the folder is for\n"
	           "measuring. A model that speaks is read back by the default one that transcribes.",
	.examples = "Whisper at a quarter of its size, with word errors\n"
	            "sonant quantize base --dtype int8 --calibrate clips -o whisper-base-int8\n",
};

static int go_on(void *payload, const char *part, double share) { return cli_is_interrupted(); }

static double per(int64_t bytes, int64_t count) { return count ? (double)bytes / (double)count : 0; }

static json_t *as_json(const sn_quantized *q) {
	json_t *layers = json_array();
	for (size_t i = 0; i < q->layer_count; i++) {
		const sn_quantized_layer *l = &q->layers[i];
		json_array_append_new(layers, json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:f}", "name", cli_text(l->name), "type", l->type, "rows", (json_int_t)l->rows, "columns",
		                      (json_int_t)l->columns, "bytes_before", (json_int_t)l->bytes_before, "bytes", (json_int_t)l->bytes, "error", l->error));
	}
	json_t *o = json_pack("{s:o, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:f, s:f, s:o}", "model", cli_text(q->model), "architecture", q->architecture, "dtype",
		q->precision, "path", cli_text(args.output), "parameters", (json_int_t)q->parameters, "bytes_f32", (json_int_t)q->bytes_f32, "bytes_before",
		(json_int_t)q->bytes_before, "bytes", (json_int_t)q->bytes, "bytes_per_parameter", per(q->bytes, q->parameters), "error", q->error, "layers", layers);
	if (o && q->texts)
		json_object_set_new(o, "measured", json_pack("{s:i, s:I, s:f, s:f}", "texts", q->texts, "words", (json_int_t)q->words, "wer_before",
		                    q->wer_before, "wer_after", q->wer_after));
	return o;
}

static int print_text(const sn_quantized *q) {
	int width = 4;
	for (size_t i = 0; i < q->layer_count; i++)
		width = (int)strlen(q->layers[i].name) > width ? (int)strlen(q->layers[i].name) : width;
	printf("%-*s %-8s %8s %8s %10s\n", width, "NAME", "TYPE", "ROWS", "COLUMNS", "ERROR");
	for (size_t i = 0; i < q->layer_count; i++)
		printf("%-*s %-8s %8lld %8lld %9.4f%%\n", width, q->layers[i].name, q->layers[i].type, (long long)q->layers[i].rows, (long long)q->layers[i].columns, 100 * q->layers[i].error);
	printf("\n%s as %s: %.1f MB, %.2f bytes a parameter; it was %.1f MB, in float32 it is %.1f MB; error %.4f%%\n", q->model, q->precision,
	       (double)q->bytes / 1e6, per(q->bytes, q->parameters), (double)q->bytes_before / 1e6, (double)q->bytes_f32 / 1e6, 100 * q->error);
	if (q->texts)
		printf("word errors of %d texts (%lld words): %.2f%% before, %.2f%% after\n", q->texts, (long long)q->words, 100 * q->wer_before, 100 * q->wer_after);
	return sn_result_exit(cli_write("", 0));
}

static int run(const char *model) {
	char err[SN_ERRLEN];
	sn_engine *engine;
	sn_quantized *made = NULL;
	args.wanted.precision = strcmp(args.dtype, "int8") == 0 ? SN_PRECISION_INT8 : SN_PRECISION_BF16;
	args.wanted.progress = go_on;
	cli_catch_interrupts();
	int code = cli_engine_open(&engine, &args.engine, err);
	if (code == SN_OK)
		code = sn_model_quantize(&made, engine, model, &args.wanted, args.output, err);
	sn_engine_close(&engine);
	if (code != SN_OK)
		return cli_fail(code, NULL, err);
	const int status = args.format && strcmp(args.format, "json") == 0 ? cli_print(as_json(made)) : print_text(made);
	sn_quantized_free(&made);
	return status;
}

static int cli_quantize(int argc, char **argv) {
	const char **words = calloc((size_t)argc, sizeof *words);
	const int count = words ? cli_parse(&cli_quantize_command, argc, argv, words) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count >= 0 && (!args.output || !args.dtype))
		cli_mistake(&cli_quantize_command, args.output ? "--dtype is needed: int8 or bf16" : "-o DIR is needed: the folder to be made");
	else if (count >= 0)
		status = run(words[0]);
	free(words);
	return status;
}
