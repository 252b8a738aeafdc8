#include "cli/models_pull.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct {
	cli_engine engine;
	const char *format;
	sn_pull_options pull;
} args;

static const cli_option options[] = {
	{ "format", 'f', "text|json", "default: text", CLI_CHOICE, &args.format },
	{ "revision", 0, "NAME", "pull: branch, tag or commit of the repository (default: main)", CLI_TEXT, &args.pull.revision },
	{ "source", 0, "auto|hub|packages", "pull: where from (default: the hub, then packages)", CLI_CHOICE, &args.pull.source },
	{ "include", 0, "PATTERNS", "pull: more files than needed, as \"adapter.deu.*\"", CLI_TEXT, &args.pull.include },
	{ "dry-run", 'n', NULL, "pull: list files and sizes, fetch nothing", CLI_FLAG, &args.pull.dry },
	{ "force", 0, NULL, "pull: compare every file, and fetch any kind; remove: even what is in use", CLI_FLAG, &args.pull.force },
	CLI_ENGINE_OPTIONS(args.engine),
};

static const cli_action actions[] = {
	{ "list", "what is known or installed", { { 0 } } },
	{ "info", "what a model is and can do", { { "MODEL", CLI_MODEL, 1, 1 } } },
	{ "pull", "install models of the catalogue or the hub (org/name)", { { "MODEL", CLI_MODEL_KNOWN, 1, 0 } } },
	{ "verify", "compare every file with what was installed", { { "MODEL", CLI_MODEL, 0, 0 } } },
	{ "remove", "delete models and their packed weights", { { "MODEL", CLI_MODEL, 1, 0 } } },
};

static int cli_models(int argc, char **argv);

const cli_command cli_models_command = {
	.name = "models",
	.brief = "list, install, verify and remove models",
	.run = cli_models,
	.actions = actions,
	.action_count = COUNT(actions),
	.summary = "Lists the models that are known or installed, shows what one can do, installs, verifies and removes them.",
	.options = options,
	.option_count = COUNT(options),
};

static const char *const tasks[] = {
	[0] = "?", [SN_TASK_TRANSCRIBE] = "transcribe", [SN_TASK_SPEAK] = "speak", [SN_TASK_VAD] = "vad",
	[SN_TASK_VOCODE] = "vocode", [SN_TASK_EMBED] = "embed",
	[SN_TASK_DENOISE] = "denoise", [SN_TASK_SCORE] = "score", [SN_TASK_PUNCTUATE] = "punctuate",
};

static int is_json(void) { return args.format && strcmp(args.format, "json") == 0; }

static json_t *entry_json(const sn_model_entry *e) {
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:s, s:s, s:s}", "name", e->name, "aliases", e->aliases, "task", tasks[e->task],
	                 "architecture", e->architecture, "installed", e->installed, "in_hub_cache", e->in_hub_cache, "bytes", (json_int_t)e->bytes, "licence", e->licence,
	                 "source", e->source, "path", e->path);
}

static void print_entry(const sn_model_entry *e, int width) {
	char size[24] = "-"; /* of models without a list of files */
	if (e->bytes)
		snprintf(size, sizeof size, "%.1f", (double)e->bytes / 1e6);
	printf("%-*s %-10s %-16s %-9s %8s  %-15s %s\n", width, e->name, tasks[e->task], e->architecture,
	       e->in_hub_cache ? "cache" : e->installed ? "yes" : "no", size, e->licence, e->aliases);
}

/* What is there comes first: the catalogue is long. */
static void print_entries(const sn_model_list *models) {
	int width = 0;
	for (size_t i = 0; i < models->count; i++)
		width = (int)strlen(models->entries[i].name) > width ? (int)strlen(models->entries[i].name) : width;
	printf("%-*s %-10s %-16s %-9s %8s  %-15s %s\n", width, "NAME", "TASK", "ARCHITECTURE", "INSTALLED", "MB", "LICENCE", "ALIASES");
	for (int installed = 1; installed >= 0; installed--)
		for (size_t i = 0; i < models->count; i++)
			if (models->entries[i].installed == installed)
				print_entry(&models->entries[i], width);
}

static int list(sn_engine *engine) {
	char err[SN_ERRLEN];
	sn_model_list *models;
	int code = sn_model_list_read(&models, engine, err);
	if (code != SN_OK)
		return cli_fail(code, NULL, err);
	json_t *const all = is_json() ? json_array() : NULL;
	for (size_t i = 0; i < models->count && all; i++)
		json_array_append_new(all, entry_json(&models->entries[i]));
	if (!is_json())
		print_entries(models);
	sn_model_list_free(&models);
	return is_json() ? cli_print(all) : sn_result_exit(cli_write("", 0));
}

#define MAX_CAN 16

/* What the model can be asked for; returns how many. */
static int capabilities(const sn_model_info *m, const char *can[MAX_CAN]) {
	const struct { int has; const char *text; } all[] = {
		{ m->task == SN_TASK_TRANSCRIBE, "transcribe" }, { m->task == SN_TASK_SPEAK, "speak" },
		{ m->task == SN_TASK_VAD, "detect speech" }, { m->task == SN_TASK_VOCODE, "make sound of spectrograms" },
		{ m->task == SN_TASK_EMBED || m->embeds, "make voices of clips" }, { m->detects_language, "detect the language" },
		{ m->translates, "translate into English" }, { m->has_words, "time words" }, { m->has_speed, "change its speed" },
		{ m->has_pitch, "change its pitch" }, { m->has_energy, "change its energy" }, { m->has_noise, "change its noise" },
		{ m->has_temperature, "change its temperature" }, { m->has_dropout, "switch its dropout" },
		{ m->has_presets, "take presets as voices" }, { m->streams, "stream" },
	};
	int count = 0;
	for (int i = 0; i < COUNT(all); i++)
		if (all[i].has)
			can[count++] = all[i].text;
	return count;
}

static json_t *texts_json(const char *const *texts, int count) {
	json_t *array = json_array();
	for (int i = 0; texts && i < count; i++)
		json_array_append_new(array, cli_text(texts[i]));
	return array;
}

static json_t *info_json(const sn_model_info *m) {
	const char *can[MAX_CAN];
	json_t *o = json_pack("{s:o, s:o, s:s, s:s, s:s, s:I, s:i, s:i, s:b, s:b, s:b, s:b, s:f, s:b, s:o, s:I, s:I}", "name", cli_text(m->name),
		"path", cli_text(m->path), "architecture", m->architecture, "dtype", m->precision, "task", tasks[m->task], "parameters",
		(json_int_t)m->parameters, "sample_rate", m->sample_rate, "speakers", m->speakers, "detects_language", m->detects_language,
		"translates", m->translates, "streams", m->streams, "has_speed", m->has_speed, "load_time", m->load_time, "from_cache",
		m->from_cache, "languages", texts_json(m->languages, m->language_count), "memory", (json_int_t)m->memory,
		"memory_most", (json_int_t)m->memory_most);
	json_t *more = json_pack("{s:o, s:o, s:i, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:o, s:o, s:o}", "speaker_names",
		texts_json(m->speaker_names, m->speakers), "emotions", texts_json(m->emotions, m->emotion_count), "embedding", m->embedding,
		"embeds", m->embeds, "has_presets", m->has_presets, "has_words", m->has_words, "has_pitch", m->has_pitch, "has_energy",
		m->has_energy, "has_noise", m->has_noise, "has_temperature", m->has_temperature, "has_dropout", m->has_dropout, "mel",
		cli_text(m->mel), "vocoder", cli_text(m->vocoder), "can", texts_json(can, capabilities(m, can)));
	if (o && more)
		json_object_update(o, more);
	json_decref(more);
	return o;
}

#define LISTED 24 /* names on one line; more are counted */

/* One line of the description; none where the list is empty. */
static void print_list(const char *label, const char *const *texts, int count, const char *between) {
	if (!texts || !count)
		return;
	printf("%-14s", label);
	for (int i = 0; i < count && i < LISTED; i++)
		printf("%s%s", i ? between : "", texts[i]);
	if (count > LISTED)
		printf(" and %d more", count - LISTED);
	printf("\n");
}

static void print_info(const sn_model_info *m) {
	const char *can[MAX_CAN];
	printf("name          %s\npath          %s\narchitecture  %s\ntask          %s\n", m->name, m->path, m->architecture,
	       tasks[m->task]);
	printf("dtype         %s\n", m->precision);
	if (m->parameters)
		printf("parameters    %.3f million\n", (double)m->parameters * 1e-6);
	if (m->sample_rate)
		printf("sample rate   %d Hz\n", m->sample_rate);
	print_list("languages", m->languages, m->language_count, " ");
	if (m->speakers)
		printf("speakers      %d\n", m->speakers);
	print_list("names", m->speaker_names, m->speakers, ", ");
	print_list("emotions", m->emotions, m->emotion_count, ", ");
	if (m->embedding)
		printf("embedding     %d values\n", m->embedding);
	if (*m->mel)
		printf("mel           %s\n", m->mel);
	if (*m->vocoder)
		printf("vocoder       %s\n", m->vocoder);
	print_list("can", can, capabilities(m, can), ", ");
	printf("loaded in     %.0f ms%s\n", 1e3 * m->load_time, m->from_cache ? " from packed weights" : "");
	if (m->memory && m->memory < m->memory_most)
		printf("memory        %.0f MB decoding one window, %.0f MB decoding %d\n", (double)m->memory * 1e-6, (double)m->memory_most * 1e-6, m->windows);
	else if (m->memory)
		printf("memory        %.0f MB\n", (double)m->memory * 1e-6);
}

static int info(sn_engine *engine, const char *name) {
	char err[SN_ERRLEN];
	sn_model *model;
	sn_model_info m;
	int code = cli_model_load(&model, engine, &args.engine, name, 0, 0, err);
	if (code != SN_OK)
		return cli_fail(code, NULL, err);
	sn_model_describe(model, &m);
	if (!is_json())
		print_info(&m);
	int status = is_json() ? cli_print(info_json(&m)) : sn_result_exit(cli_write("", 0));
	sn_model_release(&model);
	return status;
}

/* Lists, or tells of the model. */
static int with_engine(const char *name) {
	char err[SN_ERRLEN];
	sn_engine *engine;
	const int code = cli_engine_open(&engine, &args.engine, err);
	if (code != SN_OK)
		return cli_fail(code, NULL, err);
	const int status = name ? info(engine, name) : list(engine);
	sn_engine_close(&engine);
	return status;
}

static int cli_models(int argc, char **argv) {
	const char **words = calloc((size_t)argc, sizeof *words);
	int count = words ? cli_parse(&cli_models_command, argc, argv, words) : -1, status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	const char *const what = count > 0 ? words[0] : "";
	const int rest = count - 1;
	if (count > 0 && strcmp(what, "pull") == 0)
		status = cli_models_pull(words + 1, rest, &args.pull, is_json());
	else if (count > 0 && strcmp(what, "verify") == 0)
		status = cli_models_verify(words + 1, rest, &args.pull, is_json());
	else if (count > 0 && strcmp(what, "remove") == 0)
		status = cli_models_remove(words + 1, rest, &args.pull, is_json());
	else if (count > 0)
		status = with_engine(strcmp(what, "info") == 0 ? words[1] : NULL);
	free(words);
	return status;
}
