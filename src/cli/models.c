#include "cli/cli.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct {
	cli_engine engine;
	const char *format;
} args;

static const cli_option options[] = {
	{ "format", 'f', "FORMAT", "text or json (default: text)", CLI_TEXT, &args.format },
	CLI_ENGINE_OPTIONS(args.engine),
};

static const cli_command command = {
	.name = "models",
	.usage = "models list | models info MODEL [OPTION...]",
	.summary = "Lists the models that are known or installed, or shows what one is and can do.",
	.options = options,
	.option_count = COUNT(options),
};

static const char *const tasks[] = {
	[0] = "?", [SN_TASK_TRANSCRIBE] = "transcribe", [SN_TASK_SPEAK] = "speak", [SN_TASK_VAD] = "vad",
};

static int is_json(void) { return args.format && strcmp(args.format, "json") == 0; }

static int print(json_t *value) {
	char *text = json_dumps(value, JSON_REAL_PRECISION(6));
	json_decref(value);
	int code = text ? cli_write(text, strlen(text)) : SN_E_MEMORY;
	free(text);
	return sn_result_exit(code == SN_OK ? cli_write("\n", 1) : code);
}

static json_t *entry_json(const sn_model_entry *e) {
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:s, s:s, s:s}", "name", e->name, "aliases", e->aliases, "task", tasks[e->task],
	                 "architecture", e->architecture, "installed", e->installed, "bytes", (json_int_t)e->bytes, "licence", e->licence,
	                 "source", e->source, "path", e->path);
}

static int list(sn_engine *engine) {
	char err[SN_ERRLEN];
	sn_model_list *models;
	int code = sn_model_list_read(&models, engine, err);
	if (code != SN_OK)
		return cli_fail(code, NULL, err);
	json_t *all = json_array();
	if (!is_json())
		printf("%-26s %-11s %-10s %8s  %-12s %s\n", "NAME", "TASK", "INSTALLED", "MB", "LICENCE", "ALIASES");
	for (size_t i = 0; i < models->count; i++) {
		const sn_model_entry *const e = &models->entries[i];
		json_t *o = entry_json(e);
		if (o && is_json())
			json_array_append(all, o);
		json_decref(o);
		if (!is_json())
			printf("%-26s %-11s %-10s %8.1f  %-12s %s\n", e->name, tasks[e->task], e->installed ? "yes" : "no",
			       (double)e->bytes / 1e6, e->licence, e->aliases);
	}
	sn_model_list_free(&models);
	if (is_json())
		return print(all);
	json_decref(all);
	return sn_result_exit(cli_write("", 0));
}

static json_t *info_json(const sn_model_info *m) {
	json_t *languages = json_array();
	for (int i = 0; i < m->language_count; i++)
		json_array_append_new(languages, json_string(m->languages[i]));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:i, s:b, s:b, s:b, s:b, s:f, s:b, s:o}", "name", m->name, "path", m->path,
	                 "architecture", m->architecture, "dtype", m->precision, "task", tasks[m->task], "parameters",
	                 (json_int_t)m->parameters, "sample_rate", m->sample_rate, "speakers", m->speakers, "detects_language",
	                 m->detects_language, "translates", m->translates, "streams", m->streams, "has_speed", m->has_speed, "load_time",
	                 m->load_time, "from_cache", m->from_cache, "languages", languages);
}

static int info(sn_engine *engine, const char *name) {
	char err[SN_ERRLEN];
	sn_model *model;
	sn_model_info m;
	int code = sn_model_load(&model, engine, name, NULL, err);
	if (code != SN_OK)
		return cli_fail(code, NULL, err);
	sn_model_describe(model, &m);
	int status = 0;
	if (is_json()) {
		status = print(info_json(&m));
	} else {
		printf("name          %s\npath          %s\narchitecture  %s\ntask          %s\n", m.name, m.path, m.architecture,
		       tasks[m.task]);
		printf("dtype         %s\nparameters    %.1f million\nsample rate   %d Hz\n", m.precision, (double)m.parameters * 1e-6,
		       m.sample_rate);
		if (m.speakers)
			printf("speakers      %d\n", m.speakers);
		printf("can           %s%s%s%s\n", tasks[m.task], m.detects_language ? ", detect the language" : "",
		       m.translates ? ", translate into English" : "", m.has_speed ? ", change its speed" : "");
		printf("languages    ");
		for (int i = 0; i < m.language_count; i++)
			printf(" %s", m.languages[i]);
		printf("\nloaded in     %.0f ms%s\n", 1e3 * m.load_time, m.from_cache ? " from packed weights" : "");
		status = sn_result_exit(cli_write("", 0));
	}
	sn_model_release(&model);
	return status;
}

int cli_models(int argc, char **argv) {
	const char **words = calloc((size_t)argc, sizeof *words);
	char err[SN_ERRLEN];
	sn_engine *engine;
	int count = words ? cli_parse(&command, argc, argv, words) : -1, status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	const int lists = count == 1 && strcmp(words[0], "list") == 0, informs = count == 2 && strcmp(words[0], "info") == 0;
	const char *const name = informs ? words[1] : NULL;
	free(words);
	if (count < 0)
		return status;
	if (args.format && !is_json() && strcmp(args.format, "text") != 0)
		return cli_fail(SN_E_ARGUMENT, NULL, "--format is text or json");
	if (!lists && !informs)
		return cli_fail(SN_E_ARGUMENT, NULL, "\"models\" is followed by \"list\", or by \"info\" and a model");
	int code = cli_engine_open(&engine, &args.engine, err);
	if (code != SN_OK)
		return cli_fail(code, NULL, err);
	status = lists ? list(engine) : info(engine, name);
	sn_engine_close(&engine);
	return status;
}
