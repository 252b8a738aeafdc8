/* The command line against the table: options, choices, operands, and what is near to a mistake. */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const switches[] = { "auto", "off", "on" }, *const dtypes[] = { "auto", "f32", "bf16", "int8" };
static const char *color;

static const cli_option common[] = {
	{ "json", 0, NULL, "the same as --format json; errors are JSON, too", CLI_JSON, NULL },
	{ "color", 0, "auto|always|never", "default: auto, where there is a terminal and NO_COLOR is not set", CLI_CHOICE, &color },
	{ "help", 'h', NULL, "this text", CLI_HELP, NULL },
};

/* ---- the table ---- */

int cli_option_total(const cli_command *c) { return c->option_count + COUNT(common) - !cli_find(c, "format", 6); }

const cli_option *cli_option_at(const cli_command *c, int i) {
	return i < c->option_count ? &c->options[i] : &common[i - c->option_count + !cli_find(c, "format", 6)];
}

void cli_spell(const char *name, char spelled[CLI_NAME]) {
	snprintf(spelled, CLI_NAME, "%s", name);
	for (char *at = spelled; *at; at++)
		*at = *at == '_' ? '-' : *at;
}

/* '_' in the table is '-' on the command line. */
static int is_named(const cli_option *o, const char *name, size_t length) {
	size_t i = 0;
	while (i < length && o->name[i] && name[i] == (o->name[i] == '_' ? '-' : o->name[i]))
		i++;
	return i == length && !o->name[i];
}

const cli_option *cli_find(const cli_command *c, const char *name, size_t length) {
	for (int i = 0; i < c->option_count; i++)
		if (is_named(&c->options[i], name, length))
			return &c->options[i];
	for (int i = length == 6 && strncmp(name, "format", 6) == 0 ? COUNT(common) : 0; i < COUNT(common); i++)
		if (is_named(&common[i], name, length) && (common[i].kind != CLI_JSON || cli_find(c, "format", 6)))
			return &common[i];
	return NULL;
}

const cli_option *cli_find_letter(const cli_command *c, char letter) {
	for (int i = 0; letter && i < cli_option_total(c); i++)
		if (cli_option_at(c, i)->letter == letter)
			return cli_option_at(c, i);
	return NULL;
}

int cli_takes_value(const cli_option *o) { return o->kind != CLI_FLAG && o->kind != CLI_JSON && o->kind != CLI_HELP; }

int cli_next_choice(const char **words, char word[CLI_NAME]) {
	const char *const at = *words + strspn(*words, "|, ");
	const size_t size = strcspn(at, "|, ");
	snprintf(word, CLI_NAME, "%.*s", (int)size, at);
	*words = at + size;
	return size > 0;
}

const char *cli_choices(const cli_option *o) {
	const int listed = o->kind == CLI_CHOICE || o->kind == CLI_SWITCH || (o->kind == CLI_TEXT && strchr(o->value, '|'));
	return listed ? o->value : o->kind == CLI_DTYPE ? "auto|f32|bf16|int8" : NULL;
}

int cli_most(const cli_operand *operands) {
	int most = 0;
	for (int i = 0; i < CLI_MAX_OPERANDS && operands[i].name; i++) {
		if (!operands[i].most)
			return -1;
		most += operands[i].most;
	}
	return most;
}

/* ---- near names ---- */

#define NEAR 48 /* bytes of names that are compared */

/* Letters to insert, drop, change or swap, whatever their case. */
static int distance(const char *a, const char *b) {
	int rows[3][NEAR + 1], *before = rows[0], *last = rows[1], *row = rows[2];
	const int m = (int)strnlen(a, NEAR), n = (int)strnlen(b, NEAR);
	for (int k = 0; k <= n; k++)
		last[k] = k;
	for (int i = 1; i <= m; i++) {
		row[0] = i;
		for (int k = 1; k <= n; k++) {
			const int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[k - 1]);
			int least = last[k - 1] + (x != y);
			least = last[k] + 1 < least ? last[k] + 1 : least;
			least = row[k - 1] + 1 < least ? row[k - 1] + 1 : least;
			if (i > 1 && k > 1 && x == tolower((unsigned char)b[k - 2]) && y == tolower((unsigned char)a[i - 2]) && before[k - 2] + 1 < least)
				least = before[k - 2] + 1;
			row[k] = least;
		}
		int *const spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[n];
}

void cli_near(cli_nearest *nearest, const char *candidate) {
	const int length = (int)strlen(nearest->wanted), begins = length >= 3 && strncmp(candidate, nearest->wanted, (size_t)length) == 0;
	const int far = begins ? 1 : distance(nearest->wanted, candidate);
	if (far > (length < 4 ? 1 : length / 3) || (*nearest->name && far >= nearest->distance))
		return;
	nearest->distance = far;
	snprintf(nearest->name, sizeof nearest->name, "%s", candidate);
}

/* ---- mistakes ---- */

int cli_mistake(const cli_command *c, const char *format, ...) {
	char text[SN_ERRLEN], whole[SN_ERRLEN + 96];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	snprintf(whole, sizeof whole, "%s (\"sonant %s --help\" tells more)", text, c->name);
	cli_complain(SN_E_ARGUMENT, c->name, NULL, whole);
	return -1;
}

static int no_option(const cli_command *c, const char *arg) {
	char spelled[CLI_NAME];
	cli_nearest near = { .wanted = arg + strspn(arg, "-") };
	char name[CLI_NAME];
	snprintf(name, sizeof name, "%.*s", (int)strcspn(near.wanted, "="), near.wanted);
	near.wanted = name;
	for (int i = 0; i < cli_option_total(c); i++) {
		cli_spell(cli_option_at(c, i)->name, spelled);
		cli_near(&near, spelled);
	}
	return *near.name ? cli_mistake(c, "there is no option \"%.80s\"; did you mean --%s?", arg, near.name)
		: cli_mistake(c, "there is no option \"%.80s\"", arg);
}

static int no_choice(const cli_command *c, const cli_option *o, const char *name, const char *text) {
	const char *const all = cli_choices(o), *words = all;
	char word[CLI_NAME];
	cli_nearest near = { .wanted = text };
	if (!all)
		return cli_mistake(c, "--%s cannot be \"%.80s\": it is %s", name, text, o->value);
	while (cli_next_choice(&words, word))
		cli_near(&near, word);
	return *near.name ? cli_mistake(c, "--%s cannot be \"%.80s\"; did you mean %s?", name, text, near.name)
		: cli_mistake(c, "--%s cannot be \"%.80s\"; it is one of %s", name, text, all);
}

/* ---- parsing ---- */

static int word_at(const char *text, const char *const *words, int count) {
	for (int i = 0; i < count; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	return -1;
}

static int is_choice(const char *words, const char *text) {
	char word[CLI_NAME];
	while (cli_next_choice(&words, word))
		if (strcmp(word, text) == 0)
			return 1;
	return 0;
}

/* 500, 64K, 10M, 2G. */
static int read_size(const char *text, uint64_t *bytes) {
	static const char steps[] = "KMGT";
	char *end;
	const double value = strtod(text, &end);
	const char *const step = *end ? strchr(steps, toupper((unsigned char)*end)) : NULL;
	const double unit = step ? ldexp(1, 10 * (int)(step - steps + 1)) : 1;
	end += step != NULL;
	end += step && *end == 'B';
	if (end == text || *end || !isfinite(value) || value < 0 || value * unit > 1e18)
		return 0;
	*bytes = (uint64_t)(value * unit);
	return 1;
}

/* Returns 0 when the text is no such value. */
static int set(const cli_option *o, const char *text) {
	char *end = NULL;
	errno = 0;
	if (o->kind == CLI_SWITCH || o->kind == CLI_DTYPE) {
		const int at = o->kind == CLI_SWITCH ? word_at(text, switches, COUNT(switches)) : word_at(text, dtypes, COUNT(dtypes));
		if (at >= 0 && o->kind == CLI_SWITCH)
			*(sn_switch *)o->target = (sn_switch)at;
		else if (at >= 0)
			*(sn_precision *)o->target = (sn_precision)at;
		return at >= 0;
	}
	if (o->kind == CLI_INT) {
		const long value = strtol(text, &end, 10);
		*(int *)o->target = (int)value;
		return !errno && end != text && !*end && value >= -1000000000 && value <= 1000000000;
	}
	if (o->kind == CLI_U64) {
		*(uint64_t *)o->target = strtoull(text, &end, 10);
		return !errno && end != text && !*end && *text != '-';
	}
	if (o->kind == CLI_FLOAT) {
		*(float *)o->target = strtof(text, &end);
		return !errno && end != text && !*end && isfinite(*(float *)o->target);
	}
	if (o->kind == CLI_SIZE)
		return read_size(text, o->target);
	*(const char **)o->target = text;
	return o->kind != CLI_CHOICE || is_choice(o->value, text);
}

static int is_json(const char *format) {
	return format && (strcmp(format, "json") == 0 || strcmp(format, "jsonl") == 0 || strcmp(format, "verbose_json") == 0);
}

/* Whether errors shall be JSON, as far as that can be seen before all is understood: of mistakes, too. */
static int asks_json(const cli_command *c, int argc, char **argv) {
	int json = 0;
	for (int i = 1; cli_find(c, "format", 6) && i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *const arg = argv[i], *value = NULL;
		if (strcmp(arg, "--json") == 0)
			value = "json";
		else if (strncmp(arg, "--format=", 9) == 0)
			value = arg + 9;
		else if (strcmp(arg, "--format") == 0 || strcmp(arg, "-f") == 0)
			value = i + 1 < argc ? argv[i + 1] : "";
		else if (strncmp(arg, "-f", 2) == 0)
			value = arg + 2;
		if (value)
			json = is_json(value);
	}
	return json;
}

/* A switch, or an option with its value. Returns 0, or as cli_parse. */
static int take(const cli_command *c, const cli_option *o, const char *value) {
	char name[CLI_NAME];
	cli_spell(o->name, name);
	if (o->kind == CLI_HELP) {
		cli_help(c, stdout);
		return -2;
	}
	if (o->kind == CLI_JSON)
		*(const char **)cli_find(c, "format", 6)->target = "json";
	else if (o->kind == CLI_FLAG)
		*(int *)o->target = 1;
	else if (!set(o, value))
		return no_choice(c, o, name, value);
	return 0;
}

/* argv[*at] and perhaps its value in the next. */
static int take_long(const cli_command *c, int argc, char **argv, int *at) {
	const char *const arg = argv[*at], *const equals = strchr(arg, '=');
	const size_t length = equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2;
	const cli_option *const o = cli_find(c, arg + 2, length);
	if (!o)
		return no_option(c, arg);
	if (!cli_takes_value(o) && equals)
		return cli_mistake(c, "%.*s takes no value, so not \"%.80s\"", (int)length + 2, arg, equals + 1);
	if (cli_takes_value(o) && !equals && ++*at == argc)
		return cli_mistake(c, "%s needs a value: %s", arg, o->value);
	return take(c, o, equals ? equals + 1 : argv[*at]);
}

/* Switches may stand together, the last with a value: -Rf json. */
static int take_letters(const cli_command *c, int argc, char **argv, int *at) {
	for (const char *letter = argv[*at] + 1; *letter; letter++) {
		const cli_option *const o = cli_find_letter(c, *letter);
		if (!o)
			return no_option(c, argv[*at]);
		const int takes = cli_takes_value(o);
		if (takes && !letter[1] && ++*at == argc)
			return cli_mistake(c, "-%c needs a value: %s", *letter, o->value);
		const int code = take(c, o, !takes ? NULL : letter[1] ? letter + 1 : argv[*at]);
		if (code != 0 || takes)
			return code;
	}
	return 0;
}

/* Whether so many words fit; what says what has them. */
static int check_operands(const cli_command *c, const cli_operand *operands, const char *what, const char **words, int count) {
	int least = 0;
	const int most = cli_most(operands);
	for (int i = 0; i < CLI_MAX_OPERANDS && operands[i].name; i++) {
		least += operands[i].least;
		if (count < least)
			return cli_mistake(c, "%sno %s was given", what, operands[i].name);
	}
	if (most < 0 || count <= most)
		return count;
	return cli_mistake(c, "%s\"%.80s\" is one word too many%s%s", what, words[most], c->hint ? "; " : "", c->hint ? c->hint : "");
}

static int check_action(const cli_command *c, const char **words, int count) {
	char what[CLI_NAME];
	cli_nearest near = { .wanted = count ? words[0] : "" };
	for (int i = 0; i < c->action_count && count; i++) {
		cli_near(&near, c->actions[i].name);
		if (strcmp(words[0], c->actions[i].name) != 0)
			continue;
		snprintf(what, sizeof what, "%s: ", words[0]);
		return check_operands(c, c->actions[i].operands, what, words + 1, count - 1) < 0 ? -1 : count;
	}
	char names[SN_ERRLEN / 2] = "";
	for (int i = 0; i < c->action_count; i++)
		snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "", c->actions[i].name);
	if (!count)
		return cli_mistake(c, "what is to be done is missing: %s", names);
	return *near.name ? cli_mistake(c, "\"%.80s\" is none of %s; did you mean %s?", words[0], names, near.name)
		: cli_mistake(c, "\"%.80s\" is none of %s", words[0], names);
}

int cli_parse(const cli_command *c, int argc, char **argv, const char **operands) {
	int count = 0, only_operands = 0, code = 0;
	cli_errors_json(asks_json(c, argc, argv));
	for (int i = 1; i < argc && code == 0; i++) {
		const char *const arg = argv[i];
		if (only_operands || arg[0] != '-' || !arg[1])
			operands[count++] = arg;
		else if (strcmp(arg, "--") == 0)
			only_operands = 1;
		else
			code = arg[1] == '-' ? take_long(c, argc, argv, &i) : take_letters(c, argc, argv, &i);
	}
	if (code != 0)
		return code;
	cli_colors(color);
	const cli_option *const format = cli_find(c, "format", 6);
	cli_errors_json(format && is_json(*(const char **)format->target));
	return c->action_count ? check_action(c, operands, count) : check_operands(c, c->operands, "", operands, count);
}
