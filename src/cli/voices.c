/* The bank of voices. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static struct {
	cli_engine engine;
	const char *model, *format;
	sn_voice_facts facts;
} args;

static const cli_option options[] = {
	{ "model", 'm', "MODEL", "that the voice is for (add), or whose speakers are listed, too (list)", CLI_MODEL_SPEAK, &args.model },
	{ "speaker", 0, "SPEAKER", "add a name for a speaker of MODEL instead of a FILE", CLI_TEXT, &args.facts.speaker },
	{ "language", 0, "LANG", "of the voice, kept with it", CLI_LANGUAGE, &args.facts.language },
	{ "licence", 0, "TEXT", "under which it may be used, kept with it", CLI_TEXT, &args.facts.licence },
	{ "source", 0, "TEXT", "where it comes from, kept with it", CLI_TEXT, &args.facts.source },
	{ "format", 'f', "text|json", "default: text", CLI_CHOICE, &args.format },
	CLI_ENGINE_OPTIONS(args.engine),
};

static const cli_action actions[] = {
	{ "list", "the voices of the bank, and MODEL's speakers", { { 0 } } },
	{ "show", "one voice", { { "NAME", CLI_VOICE, 1, 1 } } },
	{ "add", "a voice of FILE, or a name for a --speaker", { { "NAME", CLI_TEXT, 1, 1 }, { "FILE", CLI_FILE, 0, 1 } } },
	{ "remove", "forget a voice", { { "NAME", CLI_VOICE, 1, 1 } } },
	{ "export", "a voice's data to a file, or all of it to a folder", { { "NAME", CLI_VOICE, 1, 1 }, { "OUT", CLI_FILE, 1, 1 } } },
};

static int cli_voices(int argc, char **argv);

const cli_command cli_voices_command = {
	.name = "voices",
	.brief = "keep voices: add, list, show, remove, export",
	.run = cli_voices,
	.actions = actions,
	.action_count = COUNT(actions),
	.summary = "Keeps voices in a bank, for \"sonant speak -v NAME\".",
	.options = options,
	.option_count = COUNT(options),
	.details = "FILE is audio of the voice (at least 1 s; the first minute counts), an embedding (.npy), a preset (.npz), or a\n"
	           "folder that export wrote. With -m a clip becomes that model's embedding at once; without, the clip is kept and\n"
	           "each model listens to it when it speaks. OUT is a file for the voice's data, or a folder that gets all of it.",
};

static const char *const kinds[] = {
	[SN_VOICE_SPEAKER] = "speaker", [SN_VOICE_EMBEDDING] = "embedding", [SN_VOICE_PRESET] = "preset", [SN_VOICE_CLIP] = "clip",
};

static int is_json(void) { return args.format && strcmp(args.format, "json") == 0; }

static json_t *voice_json(const sn_voice_entry *v) {
	return json_pack("{s:o, s:s, s:b, s:o, s:o, s:s, s:i, s:o, s:o, s:o, s:s, s:o}", "name", cli_text(v->name), "kind",
		kinds[v->kind], "in_bank", v->in_bank, "speaker", cli_text(v->speaker), "model", cli_text(v->model), "architecture",
		v->architecture, "embedding", v->embedding, "language", cli_text(v->language), "licence", cli_text(v->licence), "source", cli_text(v->source), "created",
		v->created, "path", cli_text(v->path));
}

static int print_all(const sn_voice_list *voices) {
	json_t *all = is_json() ? json_array() : NULL;
	if (!is_json())
		printf("%-20s %-10s %-8s %-12s %s\n", "NAME", "KIND", "LANGUAGE", "LICENCE", "MODEL");
	for (size_t i = 0; i < voices->count; i++) {
		const sn_voice_entry *const v = &voices->entries[i];
		if (all)
			json_array_append_new(all, voice_json(v));
		else
			printf("%-20s %-10s %-8s %-12s %s\n", v->name, kinds[v->kind], v->language, v->licence, v->model);
	}
	return all ? cli_print(all) : sn_result_exit(cli_write("", 0));
}

static int print_one(const sn_voice_list *voices, const char *name) {
	char text[SN_ERRLEN];
	for (size_t i = 0; i < voices->count; i++) {
		const sn_voice_entry *const v = &voices->entries[i];
		if (strcmp(v->name, name) != 0)
			continue;
		if (is_json())
			return cli_print(voice_json(v));
		const char *const lines[][2] = {
			{ "name", v->name }, { "kind", kinds[v->kind] }, { "speaker", v->speaker }, { "model", v->model },
			{ "architecture", v->architecture }, { "language", v->language }, { "licence", v->licence }, { "source", v->source },
			{ "created", v->created }, { "path", v->path },
		};
		for (int k = 0; k < COUNT(lines); k++)
			if (*lines[k][1])
				printf("%-14s%s\n", lines[k][0], lines[k][1]);
		if (v->embedding)
			printf("%-14s%d values\n", "embedding", v->embedding);
		return sn_result_exit(cli_write("", 0));
	}
	snprintf(text, sizeof text, "there is no voice \"%.80s\"; \"sonant voices list\" shows them", name);
	return cli_fail(SN_E_NOT_FOUND, NULL, text);
}

/* words: the action, the voice, the file. */
static int act(sn_engine *engine, sn_model *model, const char **words, int count, char *err) {
	if (strcmp(words[0], "add") == 0)
		return sn_voice_add(engine, model, words[1], count > 2 ? words[2] : NULL, &args.facts, err);
	if (strcmp(words[0], "remove") == 0)
		return sn_voice_remove(engine, words[1], err);
	return sn_voice_export(engine, words[1], words[2], err);
}

static int run(const char **words, int count) {
	char err[SN_ERRLEN];
	sn_engine *engine = NULL;
	sn_model *model = NULL;
	sn_voice_list *voices = NULL;
	const int shows = strcmp(words[0], "list") == 0 || strcmp(words[0], "show") == 0;
	int code = cli_engine_open(&engine, &args.engine, err), status = 0;
	if (code == SN_OK && args.model)
		code = cli_model_load(&model, engine, &args.engine, args.model, 0, 0, err);
	if (code == SN_OK)
		code = shows ? sn_voice_list_read(&voices, engine, model, err) : act(engine, model, words, count, err);
	if (code != SN_OK)
		status = cli_fail(code, NULL, err);
	else if (shows)
		status = count == 1 ? print_all(voices) : print_one(voices, words[1]);
	sn_voice_list_free(&voices);
	sn_model_release(&model);
	sn_engine_close(&engine);
	return status;
}

static int cli_voices(int argc, char **argv) {
	const char **words = calloc((size_t)argc, sizeof *words);
	int count = words ? cli_parse(&cli_voices_command, argc, argv, words) : -1, status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	if (count >= 0)
		status = run(words, count);
	free(words);
	return status;
}
