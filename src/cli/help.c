/* What a command's --help prints, from the table. */
#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

#define LEFT 30      /* columns of an option and its value; a longer one has a line of its own */
#define LONG_VALUE 22 /* choices that are longer are listed with the help */

const cli_status cli_statuses[] = {
#define SN_X(code, value, text, http, exit, python) { value, exit, text },
	SN_RESULTS(SN_X)
#undef SN_X
};
const int cli_status_count = COUNT(cli_statuses);

int cli_placeholder(const cli_option *o, char name[CLI_NAME]) {
	const int is_long = o->kind == CLI_CHOICE && strlen(o->value) > LONG_VALUE;
	cli_spell(is_long ? o->name : o->value ? o->value : "", name);
	for (char *at = name; is_long && *at; at++)
		*at = (char)toupper((unsigned char)*at);
	return is_long;
}

static void print_operands(const cli_operand *operands, FILE *out) {
	for (int i = 0; i < CLI_MAX_OPERANDS && operands[i].name; i++)
		fprintf(out, " %s%s%s%s", operands[i].least ? "" : "[", operands[i].name, operands[i].most ? "" : "...", operands[i].least ? "" : "]");
}

static void print_option(const cli_option *o, FILE *out) {
	char left[2 * CLI_NAME + 16], name[CLI_NAME], value[CLI_NAME];
	cli_spell(o->name, name);
	const int lists = cli_placeholder(o, value);
	const char letter[] = { o->letter ? '-' : ' ', o->letter ? o->letter : ' ', o->letter ? ',' : ' ', 0 };
	snprintf(left, sizeof left, "%s --%s%s%s", letter, name, *value ? " " : "", value);
	fprintf(out, "  %-*s%s %s%s%s\n", LEFT, left, strlen(left) > LEFT ? "\n                               " : "", lists ? o->value : "",
	        lists ? "; " : "", o->help);
}

void cli_help(const cli_command *c, FILE *out) {
	for (int i = 0; i < c->action_count; i++) {
		fprintf(out, "%s sonant %s %s", i ? "      " : "usage:", c->name, c->actions[i].name);
		print_operands(c->actions[i].operands, out);
		fprintf(out, " [OPTION...]\n");
	}
	if (!c->action_count) {
		fprintf(out, "usage: sonant %s", c->name);
		print_operands(c->operands, out);
		fprintf(out, " [OPTION...]\n");
	}
	fprintf(out, "\n%s\n", c->summary);
	for (int i = 0; i < c->action_count; i++)
		fprintf(out, "%s  %-*s %s\n", i ? "" : "\n", LEFT, c->actions[i].name, c->actions[i].help);
	fprintf(out, "\noptions:\n");
	for (int i = 0; i < cli_option_total(c); i++)
		print_option(cli_option_at(c, i), out);
	if (c->details)
		fprintf(out, "\n%s\n", c->details);
	fprintf(out, "\nexit status:\n    0  success\n");
	for (int i = 0; i < cli_status_count; i++)
		if (cli_statuses[i].code < 0)
			fprintf(out, "  %3d  %s\n", cli_statuses[i].status, cli_statuses[i].text);
}
