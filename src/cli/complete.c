/* What could stand where the cursor is. The shells' scripts ask this program, so that they never tell of options that it does not have. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

/* ---- candidates ---- */

typedef struct ask {
	const char *word;   /* that is being written */
	const char *prefix; /* "--option=" before it, or "" */
	const char *then;   /* what the shell adds: ":file", ":folder" or ":none" */
} ask;

static void offer(const ask *a, const char *text, const char *help) {
	if (strncmp(text, a->word, strlen(a->word)) == 0)
		printf("%s%s\t%s\n", a->prefix, text, help);
}

static void offer_models(const ask *a, int task, int also_missing) {
	sn_engine *engine = NULL;
	sn_model_list *models = NULL;
	if (sn_engine_open(&engine, &(sn_engine_options){ .threads = 1, .no_cache = 1 }, NULL) == SN_OK)
		sn_model_list_read(&models, engine, NULL);
	for (size_t i = 0; models && i < models->count; i++) {
		const sn_model_entry *const e = &models->entries[i];
		if ((!e->installed && !also_missing) || (task && e->task != task))
			continue;
		offer(a, e->name, e->architecture);
		for (const char *at = e->aliases; *at;) {
			char alias[CLI_NAME];
			const size_t size = strcspn(at, " ");
			snprintf(alias, sizeof alias, "%.*s", (int)size, at);
			offer(a, alias, e->name);
			at += size + (at[size] == ' ');
		}
	}
	sn_model_list_free(&models);
	sn_engine_close(&engine);
}

static void offer_voices(const ask *a) {
	sn_engine *engine = NULL;
	sn_voice_list *voices = NULL;
	if (sn_engine_open(&engine, &(sn_engine_options){ .threads = 1, .no_cache = 1 }, NULL) == SN_OK)
		sn_voice_list_read(&voices, engine, NULL, NULL);
	for (size_t i = 0; voices && i < voices->count; i++)
		offer(a, voices->entries[i].name, voices->entries[i].language);
	sn_voice_list_free(&voices);
	sn_engine_close(&engine);
}

/* Codes have two or three letters. */
static void offer_languages(const ask *a) {
	char code[4] = "";
	offer(a, "auto", "detect it");
	for (code[0] = 'a'; code[0] <= 'z'; code[0]++)
		for (code[1] = 'a'; code[1] <= 'z'; code[1]++)
			for (int last = 'a' - 1; last <= 'z'; last++) {
				code[2] = last < 'a' ? 0 : (char)last;
				if (sn_language_name(code))
					offer(a, code, sn_language_name(code));
			}
}

static void offer_commands(const ask *a) {
	for (int i = 0; i < cli_command_count; i++)
		if (!cli_commands[i]->hidden && !strchr(cli_commands[i]->name, ' '))
			offer(a, cli_commands[i]->name, cli_commands[i]->brief);
}

/* The second words of commands as "serve keys". */
static void offer_second_words(const ask *a, const cli_command *c) {
	const size_t size = strlen(c->name);
	for (int i = 0; i < cli_command_count; i++)
		if (strncmp(cli_commands[i]->name, c->name, size) == 0 && cli_commands[i]->name[size] == ' ')
			offer(a, cli_commands[i]->name + size + 1, cli_commands[i]->brief);
}

static void offer_kind(ask *a, cli_kind kind) {
	a->then = kind == CLI_FILE ? ":file" : kind == CLI_FOLDER ? ":folder" : a->then;
	if (kind == CLI_MODEL || kind == CLI_MODEL_KNOWN)
		offer_models(a, 0, kind == CLI_MODEL_KNOWN);
	else if (kind == CLI_MODEL_TRANSCRIBE || kind == CLI_MODEL_SPEAK)
		offer_models(a, kind == CLI_MODEL_SPEAK ? SN_TASK_SPEAK : SN_TASK_TRANSCRIBE, 0);
	else if (kind == CLI_VOCODER)
		offer_models(a, SN_TASK_VOCODE, 0);
	else if (kind == CLI_VOICE)
		offer_voices(a);
	else if (kind == CLI_LANGUAGE)
		offer_languages(a);
	else if (kind == CLI_COMMAND)
		offer_commands(a);
	if (kind == CLI_VOCODER)
		offer(a, "griffin-lim", "without a model");
	if ((kind == CLI_VOICE || (kind >= CLI_MODEL && kind <= CLI_VOCODER)) && (strchr(a->word, '/') || *a->word == '.'))
		a->then = kind == CLI_VOICE ? ":file" : ":folder";
}

static void offer_value(ask *a, const cli_option *o) {
	const char *words = cli_choices(o);
	char word[CLI_NAME];
	while (words && cli_next_choice(&words, word))
		offer(a, word, "");
	if (!cli_choices(o))
		offer_kind(a, o->kind);
}

static void offer_options(const ask *a, const cli_command *c) {
	char name[CLI_NAME + 2], value[CLI_NAME];
	for (int i = 0; i < cli_option_total(c); i++) {
		const cli_option *const o = cli_option_at(c, i);
		const int lists = cli_placeholder(o, value);
		name[0] = name[1] = '-';
		cli_spell(o->name, name + 2);
		if (strncmp(name, a->word, strlen(a->word)) == 0)
			printf("%s\t%s%s%s\n", name, lists ? o->value : "", lists ? "; " : "", o->help);
	}
}

/* ---- where the cursor is ---- */

/* Which of the operands the next word is; `count` are there. */
static void offer_operand(ask *a, const cli_operand *operands, int count) {
	for (int i = 0; i < CLI_MAX_OPERANDS && operands[i].name; i++) {
		if (!operands[i].most || count < operands[i].most) {
			offer_kind(a, operands[i].kind);
			return;
		}
		count -= operands[i].most;
	}
}

static void offer_word(ask *a, const cli_command *c, const char *action, int count) {
	if (!c->action_count)
		offer_operand(a, c->operands, count);
	for (int i = 0; i < c->action_count; i++) {
		if (!count)
			offer(a, c->actions[i].name, c->actions[i].help);
		else if (strcmp(c->actions[i].name, action) == 0)
			offer_operand(a, c->actions[i].operands, count - 1);
	}
}

/* The option of the word whose value the next one is; NULL: none. */
static const cli_option *awaits(const cli_command *c, const char *word) {
	if (word[1] == '-') {
		const cli_option *const o = strchr(word, '=') ? NULL : cli_find(c, word + 2, strlen(word + 2));
		return o && cli_takes_value(o) ? o : NULL;
	}
	for (const char *letter = word + 1; *letter; letter++) {
		const cli_option *const o = cli_find_letter(c, *letter);
		if (!o || cli_takes_value(o))
			return o && !letter[1] ? o : NULL;
	}
	return NULL;
}

/* words[0..count): those before the cursor, after the command's name. */
static void offer_all(ask *a, const cli_command *c, char **words, int count) {
	const cli_option *pending = NULL;
	const char *action = "";
	int operands = 0, only_operands = 0;
	for (int i = 0; i < count; i++) {
		if (pending || (!only_operands && words[i][0] == '-' && words[i][1])) {
			only_operands |= !pending && strcmp(words[i], "--") == 0;
			pending = pending || only_operands ? NULL : awaits(c, words[i]);
			continue;
		}
		action = operands++ ? action : words[i];
	}
	const char *const equals = strncmp(a->word, "--", 2) == 0 && !only_operands && !pending ? strchr(a->word, '=') : NULL;
	if (equals) {
		pending = cli_find(c, a->word + 2, (size_t)(equals - a->word) - 2);
		char *const prefix = strndup(a->word, (size_t)(equals - a->word) + 1);
		*a = (ask){ equals + 1, prefix ? prefix : "", ":none" };
		if (pending)
			offer_value(a, pending);
		free(prefix);
	} else if (pending) {
		offer_value(a, pending);
	} else if (*a->word == '-' && !only_operands) {
		offer_options(a, c);
	} else {
		offer_word(a, c, action, operands);
		if (!count)
			offer_second_words(a, c);
	}
}

static int cli_complete(int argc, char **argv) {
	const int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
	ask a = { argc > first ? argv[argc - 1] : "", "", ":none" };
	int words = 0;
	if (argc <= first + 1) {
		offer_commands(&a);
		offer(&a, "--help", "the commands");
		offer(&a, "--version", "print the version");
	} else {
		const cli_command *const c = cli_command_named(argc - 1 - first, argv + first, &words);
		if (c)
			offer_all(&a, c, argv + first + words, argc - 1 - first - words);
	}
	printf("%s\n", a.then);
	return sn_result_exit(cli_write("", 0));
}

const cli_command cli_complete_command = {
	.name = "complete",
	.brief = "what could stand where the cursor is",
	.summary = "Tells the shells what the last WORD could become: a line each, its help behind a tab, and what the shell is to add.",
	.operands = { { "WORD", CLI_TEXT, 0, 0 } },
	.run = cli_complete,
	.hidden = 1,
};

/* ---- the shells' scripts ---- */

static const char bash[] =
	"# Completion of sonant for bash: source <(sonant completion bash)\n"
	"_sonant() {\n"
	"	local i word line then= prefix=\n"
	"	local -a words=()\n"
	"	for ((i = 1; i <= COMP_CWORD; i++)); do # bash cuts at = and :\n"
	"		word=${COMP_WORDS[i]}\n"
	"		if ((${#words[@]})) && [[ $word == [=:]* || ${COMP_WORDS[i - 1]} == [=:] ]]; then\n"
	"			words[-1]+=$word\n"
	"		else\n"
	"			words+=(\"$word\")\n"
	"		fi\n"
	"	done\n"
	"	word=${words[-1]-}\n"
	"	[[ $word == *[=:]* ]] && prefix=${word%\"${word##*[=:]}\"}\n"
	"	COMPREPLY=()\n"
	"	while IFS= read -r line; do\n"
	"		case $line in\n"
	"			:file | :folder | :none) then=$line ;;\n"
	"			*) line=${line%%$'\\t'*}; printf -v line %q \"${line#\"$prefix\"}\"; COMPREPLY+=(\"$line\") ;;\n"
	"		esac\n"
	"	done < <(\"$1\" complete -- \"${words[@]}\" 2>/dev/null)\n"
	"	word=${word#\"$prefix\"}\n"
	"	case $then in\n"
	"		:file) compopt -o filenames; mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -f -- \"$word\") ;;\n"
	"		:folder) compopt -o filenames; mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -d -- \"$word\") ;;\n"
	"	esac\n"
	"}\n"
	"complete -F _sonant sonant\n";

static const char zsh[] =
	"#compdef sonant\n"
	"# Completion of sonant for zsh: a file _sonant in a folder of $fpath, or source <(sonant completion zsh)\n"
	"_sonant() {\n"
	"	local line value then\n"
	"	local -a found\n"
	"	for line in \"${(@f)$(\"${(Q)words[1]}\" complete -- \"${(@Q)words[2,CURRENT]}\" 2>/dev/null)}\"; do\n"
	"		case $line in\n"
	"			:*) then=$line ;;\n"
	"			*) value=${line%%$'\\t'*}; value=${value#--*=}; found+=(\"${value//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
	"		esac\n"
	"	done\n"
	"	[[ ${words[CURRENT]} == --*=* ]] && compset -P '*='\n"
	"	(( $#found )) && _describe -t values value found\n"
	"	case $then in\n"
	"		:file) _files ;;\n"
	"		:folder) _files -/ ;;\n"
	"	esac\n"
	"}\n"
	"if [ \"$funcstack[1]\" = _sonant ]; then _sonant \"$@\"; else compdef _sonant sonant; fi\n";

static const char fish[] =
	"# Completion of sonant for fish: sonant completion fish | source\n"
	"function __sonant_complete\n"
	"	set -l words (commandline -opc)\n"
	"	set -l word (commandline -ct)\n"
	"	set -l found ($words[1] complete -- $words[2..-1] \"$word\" 2>/dev/null)\n"
	"	test (count $found) -gt 1; and printf '%s\\n' $found[1..-2]\n"
	"	switch $found[-1]\n"
	"		case :file\n"
	"			__fish_complete_path $word\n"
	"		case :folder\n"
	"			__fish_complete_directories $word\n"
	"	end\n"
	"end\n"
	"complete -c sonant -f -a '(__sonant_complete)'\n";

static int cli_completion(int argc, char **argv) {
	const char **words = calloc((size_t)argc, sizeof *words);
	const int count = words ? cli_parse(&cli_completion_command, argc, argv, words) : -1;
	const char *const script = count < 1 ? NULL : strcmp(words[0], "bash") == 0 ? bash : strcmp(words[0], "zsh") == 0 ? zsh : fish;
	free(words);
	if (!script)
		return count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	return sn_result_exit(cli_write(script, strlen(script)));
}

static const cli_action shells[] = {
	{ "bash", "for ~/.bashrc: source <(sonant completion bash)", { { 0 } } },
	{ "zsh", "for a file _sonant in a folder of $fpath", { { 0 } } },
	{ "fish", "for ~/.config/fish/completions/sonant.fish", { { 0 } } },
};

const cli_command cli_completion_command = {
	.name = "completion",
	.brief = "print a shell's completion script",
	.summary = "Prints the script that completes sonant's commands, options, models, voices and languages in a shell. An installed sonant\n"
	           "has put it where the shells look for it.",
	.actions = shells,
	.action_count = COUNT(shells),
	.run = cli_completion,
};
