/* Models as files for other programs. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static struct {
	cli_engine engine;
	const char *format, *output;
	sn_export_options wanted;
} args;

static const cli_option options[] = {
	{ "output", 'o', "DIR", "folder to be made, new or empty (needed)", CLI_FOLDER, &args.output },
	{ "format", 'f', "onnx|json", "onnx: what is written, and there is no other; json: tell its manifest, too (default: onnx)", CLI_CHOICE, &args.format },
	{ "sequences", 0, "N", "Whisper: sequences that the states have room for (default: 1)", CLI_INT, &args.wanted.sequences },
	{ "windows", 0, "N", "Whisper: audio windows that the states have room for (default: 1)", CLI_INT, &args.wanted.windows },
};

static int cli_export(int argc, char **argv);

const cli_command cli_export_command = {
	.name = "export",
	.brief = "write a model as ONNX, for other programs",
	.run = cli_export,
	.operands = { { "MODEL", CLI_MODEL, 1, 1 } },
	.summary = "Writes a model as ONNX: a file for each graph, their weights in one file beside them, tokenizer, configuration and a manifest.",
	.options = options,
	.option_count = COUNT(options),
	.details = "DIR appears whole or not at all. Its manifest.json names graphs, inputs, outputs, states, types and shapes; the program's\n"
	           "documentation (docs/onnx.md) says how they are run. ONNX Runtime 1.17 and later ones read them; it is not needed to write them.",
	.examples = "Whisper for Python\n"
	            "sonant export base --format onnx -o whisper-base-onnx\n",
};

static int go_on(void *payload, const char *part, double share) { return cli_is_interrupted(); }

static void print_names(const char *label, const json_t *ports) {
	size_t i;
	json_t *port;
	printf("  %-8s", label);
	json_array_foreach(ports, i, port)
		printf("%s%s", i ? " " : "", json_string_value(json_object_get(port, "name")));
	printf("\n");
}

static int print_text(const json_t *said) {
	size_t i;
	json_t *graph;
	json_array_foreach(json_object_get(said, "graphs"), i, graph) {
		printf("%s\n", json_string_value(json_object_get(graph, "file")));
		print_names("inputs", json_object_get(graph, "inputs"));
		print_names("outputs", json_object_get(graph, "outputs"));
		if (json_array_size(json_object_get(graph, "states")))
			printf("  %-8s%zu\n", "states", json_array_size(json_object_get(graph, "states")));
	}
	const json_t *const weights = json_object_get(said, "weights");
	printf("%s %.1f MB\n", json_string_value(json_object_get(weights, "file")), (double)json_integer_value(json_object_get(weights, "bytes")) / 1e6);
	return sn_result_exit(cli_write("", 0));
}

/* What was written says it best. */
static int print_made(void) {
	const size_t size = strlen(args.output) + sizeof "/manifest.json";
	char *const path = malloc(size);
	if (path)
		snprintf(path, size, "%s/manifest.json", args.output);
	json_t *const said = path ? json_load_file(path, 0, NULL) : NULL;
	free(path);
	if (!said)
		return cli_fail(SN_E_IO, args.output, "what was written cannot be read");
	if (args.format && strcmp(args.format, "json") == 0)
		return cli_print(said);
	const int status = print_text(said);
	json_decref(said);
	return status;
}

static int run(const char *model) {
	char err[SN_ERRLEN];
	sn_engine *engine;
	args.wanted.progress = go_on;
	cli_catch_interrupts();
	int code = cli_engine_open(&engine, &args.engine, err);
	if (code == SN_OK)
		code = sn_model_export(engine, model, &args.wanted, args.output, err);
	sn_engine_close(&engine);
	return code == SN_OK ? print_made() : cli_fail(code, NULL, err);
}

static int cli_export(int argc, char **argv) {
	const char **words = calloc((size_t)argc, sizeof *words);
	const int count = words ? cli_parse(&cli_export_command, argc, argv, words) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count >= 0 && !args.output)
		cli_mistake(&cli_export_command, "-o DIR is needed: the folder to be made");
	else if (count >= 0)
		status = run(words[0]);
	free(words);
	return status;
}
