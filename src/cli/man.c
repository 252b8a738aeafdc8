/* The manual's pages, in mdoc, from the table. */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DATE "November 23, 2026"
#define WIDTH 64 /* escapes come on top */

/* ---- text ---- */

/* One word as it is: no macro, no request, no escape. */
static void put_word(FILE *out, const char *word, size_t size) {
	for (size_t i = 0; i < size; i++) {
		if ((i == 0 && strchr(".'", word[0])) || (i == 0 && isupper((unsigned char)word[0])))
			fputs("\\&", out);
		if (word[i] == '\\')
			fputs("\\e", out);
		else if (word[i] == '"')
			fputs("\\(dq", out);
		else
			fputc(word[i], out);
	}
}

/* Lines of a text: a sentence begins one, and an empty one parts paragraphs. */
static void put_text(FILE *out, const char *text) {
	size_t column = 0;
	for (const char *at = text; *at;) {
		const size_t blanks = strspn(at, " \t\n"), size = strcspn(at + blanks, " \t\n");
		const int parts = blanks > 1 && at > text && strncmp(at, "\n\n", 2) == 0;
		const int ends = at > text && (at[-1] == '.' || at[-1] == ':' || at[-1] == '?' || at[-1] == '!');
		at += blanks;
		if (!size)
			break;
		if (column && (ends || parts || column + size + 1 > WIDTH)) {
			fputc('\n', out);
			column = 0;
		}
		if (parts)
			fputs(".Pp\n", out);
		if (column)
			fputc(' ', out);
		column += column != 0;
		put_word(out, at, size);
		column += size;
		at += size;
	}
	fputc('\n', out);
}

static void put_argument(FILE *out, const char *macro, const char *text, const char *after) {
	fprintf(out, " %s ", macro);
	put_word(out, text, strlen(text));
	fputs(after, out);
}

/* ---- parts of a page ---- */

/* "serve keys" is the page sonant-serve-keys. */
static void page_name(const cli_command *c, char name[CLI_NAME]) {
	snprintf(name, CLI_NAME, "sonant-%s", c->name);
	for (char *at = name; *at; at++)
		*at = *at == ' ' ? '-' : *at;
}

static void put_head(FILE *out, const char *name, const char *brief) {
	fputs(".Dd " DATE "\n.Dt ", out);
	for (const char *at = name; *at; at++)
		fputc(toupper((unsigned char)*at), out);
	fprintf(out, " 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", name, brief);
}

static void put_operands(FILE *out, const cli_operand *operands) {
	for (int i = 0; i < CLI_MAX_OPERANDS && operands[i].name; i++) {
		fputs(operands[i].least ? "." : ".Op", out);
		fprintf(out, "%sAr %s%s\n", operands[i].least ? "" : " ", operands[i].name, operands[i].most ? "" : " ...");
	}
}

static void put_synopsis(FILE *out, const cli_command *c) {
	fputs(".Sh SYNOPSIS\n", out);
	for (int i = 0; i < c->action_count; i++) {
		fprintf(out, ".Nm sonant %s %s\n", c->name, c->actions[i].name);
		put_operands(out, c->actions[i].operands);
		fprintf(out, ".Op Ar option ...\n");
	}
	if (c->action_count)
		return;
	fprintf(out, ".Nm sonant %s\n", c->name);
	put_operands(out, c->operands);
	fprintf(out, ".Op Ar option ...\n");
}

static void put_actions(FILE *out, const cli_command *c) {
	if (!c->action_count)
		return;
	fputs(".Pp\nThe first word says what is done:\n.Bl -tag -width Ds\n", out);
	for (int i = 0; i < c->action_count; i++) {
		fprintf(out, ".It Cm %s", c->actions[i].name);
		for (int k = 0; k < CLI_MAX_OPERANDS && c->actions[i].operands[k].name; k++)
			put_argument(out, "Ar", c->actions[i].operands[k].name, "");
		fputc('\n', out);
		put_text(out, c->actions[i].help);
	}
	fputs(".El\n", out);
}

static void put_options(FILE *out, const cli_command *c) {
	fputs(".Sh OPTIONS\n.Bl -tag -width Ds\n", out);
	for (int i = 0; i < cli_option_total(c); i++) {
		char name[CLI_NAME], value[CLI_NAME];
		const cli_option *const o = cli_option_at(c, i);
		const int lists = cli_placeholder(o, value);
		cli_spell(o->name, name);
		fputs(".It", out);
		if (o->letter)
			fprintf(out, " Fl %c ,", o->letter);
		fprintf(out, " Fl -%s", name);
		if (*value)
			put_argument(out, "Ar", value, "");
		fputc('\n', out);
		if (lists)
			fprintf(out, "One of %s.\n", o->value);
		put_text(out, o->help);
	}
	fputs(".El\n", out);
}

static void put_examples(FILE *out, const char *examples) {
	if (!examples)
		return;
	fputs(".Sh EXAMPLES\n", out);
	for (const char *at = examples; *at;) {
		const size_t what = strcspn(at, "\n"), how = strcspn(at + what + 1, "\n");
		fprintf(out, "%s%.*s\n.Pp\n.Dl ", at > examples ? ".Pp\n" : "", (int)what, at);
		for (const char *c = at + what + 1; c < at + what + 1 + how; c++)
			fputs(*c == '\\' ? "\\e" : (char[]){ *c, 0 }, out);
		fputc('\n', out);
		at += what + 1 + how;
		at += *at == '\n';
	}
}

static void put_environment(FILE *out) {
	static const char *const variables[][2] = {
		{ "SONANT_HOME", "Where models, voices and caches are; default: $XDG_CACHE_HOME/sonant, else ~/.cache/sonant." },
		{ "SONANT_LOG", "What the engine remarks on standard error: error, warn, info or debug; default: nothing." },
		{ "SONANT_CPU", "The best instruction set to use, to leave better ones out." },
		{ "NO_COLOR", "Where this is set and not empty, there are no colours." },
		{ "TERM", "Where this is dumb or not set, there are none either." },
	};
	fputs(".Sh ENVIRONMENT\n.Bl -tag -width Ds\n", out);
	for (int i = 0; i < COUNT(variables); i++) {
		fprintf(out, ".It Ev %s\n", variables[i][0]);
		put_text(out, variables[i][1]);
	}
	fputs(".El\n", out);
}

static void put_statuses(FILE *out) {
	fputs(".Sh EXIT STATUS\n.Bl -tag -width Ds\n.It 0\nsuccess\n", out);
	for (int i = 0; i < cli_status_count; i++)
		if (cli_statuses[i].code < 0)
			fprintf(out, ".It %d\n%s\n", cli_statuses[i].status, cli_statuses[i].text);
	fputs(".El\n", out);
}

/* ---- pages ---- */

static void put_command(FILE *out, const cli_command *c) {
	char name[CLI_NAME];
	page_name(c, name);
	put_head(out, name, c->brief);
	put_synopsis(out, c);
	fputs(".Sh DESCRIPTION\n", out);
	put_text(out, c->summary);
	put_actions(out, c);
	if (c->details) {
		fputs(".Pp\n", out);
		put_text(out, c->details);
	}
	put_options(out, c);
	put_environment(out);
	put_statuses(out);
	put_examples(out, c->examples);
	fputs(".Sh SEE ALSO\n.Xr sonant 1\n", out);
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static void put_pages(FILE *out) {
	char (*const names)[CLI_NAME] = calloc((size_t)cli_command_count, sizeof *names);
	int count = 0;
	for (int i = 0; names && i < cli_command_count; i++)
		if (!cli_commands[i]->hidden)
			page_name(cli_commands[i], names[count++]);
	if (names)
		qsort(names, (size_t)count, sizeof *names, by_name);
	fputs(".Sh SEE ALSO\n", out);
	for (int i = 0; i < count; i++)
		fprintf(out, ".Xr %s 1%s\n", names[i], i + 1 < count ? " ," : "");
	free(names);
}

static void put_program(FILE *out) {
	put_head(out, "sonant", "speech to text, text to speech, and what belongs to them");
	fputs(".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar option ...\n.Op Ar argument ...\n.Nm\n.Fl -version\n.Sh DESCRIPTION\nThe commands:\n"
	      ".Bl -tag -width Ds\n", out);
	for (int i = 0; i < cli_command_count; i++) {
		char name[CLI_NAME];
		if (cli_commands[i]->hidden)
			continue;
		page_name(cli_commands[i], name);
		fprintf(out, ".It Xr %s 1\n", name);
		put_text(out, cli_commands[i]->brief);
	}
	fputs(".El\n.Pp\n", out);
	put_text(out, "Options may stand before, between and behind the other arguments; \"--\" ends them. A value follows its option as the next "
		"word, behind \"=\", or right behind a letter. Results go to standard output, everything else to standard error. A progress line is "
		"shown on terminals only.\n\n"
		"With --json (or a json --format) results are JSON, and so is each error, a line on standard error: {\"error\": {\"code\": 3, "
		"\"name\": \"SN_E_NOT_FOUND\", \"message\": \"...\", \"file\": \"...\"}}. The code is the exit status that this error leads to, the "
		"name that of the library's result; \"file\" and \"command\" are there where the error is about one. A remark is {\"note\": "
		"{\"message\": \"...\", \"file\": \"...\"}}. Nothing of a result that failed is on standard output, but for what is written as it comes (jsonl, events).\n\n"
		"A closed standard output ends the work quietly, with status 8; a full one is reported, with status 9.");
	put_environment(out);
	put_statuses(out);
	put_examples(out, "What is said in a recording:\nsonant transcribe talk.mp3\n"
		"A voice from the text of a file:\nsonant speak - -o letter.wav < letter.txt\n"
		"All of a folder, subtitles beside the films:\nsonant transcribe -R films -f srt -o '{dir}/{stem}.srt'\n");
	put_pages(out);
}

/* c NULL: the page of sonant itself. Returns an exit status. */
static int write_page(const char *folder, const cli_command *c) {
	char name[CLI_NAME] = "sonant", *path;
	if (c)
		page_name(c, name);
	if (asprintf(&path, "%s/%s.1", folder, name) < 0)
		return cli_fail(SN_E_MEMORY, NULL, "out of memory");
	FILE *const out = fopen(path, "w");
	if (out && c)
		put_command(out, c);
	else if (out)
		put_program(out);
	int failed = !out || ferror(out);
	if (out && fclose(out) != 0)
		failed = 1;
	const int status = failed ? cli_fail(errno == ENOSPC ? SN_E_NO_SPACE : SN_E_IO, path, strerror(errno)) : 0;
	free(path);
	return status;
}

static int cli_man(int argc, char **argv) {
	const char **words = calloc((size_t)argc, sizeof *words);
	const int count = words ? cli_parse(&cli_man_command, argc, argv, words) : -1;
	int status = count == -1 ? sn_result_exit(SN_E_ARGUMENT) : count == 1 ? write_page(words[0], NULL) : 0;
	for (int i = 0; i < cli_command_count && count == 1 && !status; i++)
		if (!cli_commands[i]->hidden)
			status = write_page(words[0], cli_commands[i]);
	free(words);
	return status;
}

const cli_command cli_man_command = {
	.name = "man",
	.brief = "write the manual's pages",
	.summary = "Writes the manual's pages, sonant.1 and one for each command, into the folder DIR.",
	.operands = { { "DIR", CLI_FOLDER, 1, 1 } },
	.run = cli_man,
	.hidden = 1,
};
