#include "cli/cli.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- options ---- */

static const cli_option *find(const cli_command *c, const char *name, size_t length) {
	for (int i = 0; i < c->option_count; i++) {
		const cli_option *const o = &c->options[i];
		if (length == 1 ? o->letter == *name : strlen(o->name) == length && strncmp(o->name, name, length) == 0)
			return o;
	}
	return NULL;
}

static int word(const char *text, const char *const *words, int count) {
	for (int i = 0; i < count; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	return -1;
}

/* Returns 0 when the text is no such value. */
static int set(const cli_option *o, const char *text) {
	static const char *const switches[] = { "auto", "off", "on" }, *const dtypes[] = { "auto", "f32", "bf16", "int8" };
	char *end = NULL;
	errno = 0;
	if (o->kind == CLI_TEXT) {
		*(const char **)o->target = text;
		return 1;
	}
	if (o->kind == CLI_FLAG) {
		*(int *)o->target = 1;
		return 1;
	}
	if (o->kind == CLI_SWITCH || o->kind == CLI_DTYPE) {
		int at = o->kind == CLI_SWITCH ? word(text, switches, COUNT(switches)) : word(text, dtypes, COUNT(dtypes));
		if (at >= 0 && o->kind == CLI_SWITCH)
			*(sn_switch *)o->target = (sn_switch)at;
		else if (at >= 0)
			*(sn_precision *)o->target = (sn_precision)at;
		return at >= 0;
	}
	if (o->kind == CLI_INT) {
		long value = strtol(text, &end, 10);
		*(int *)o->target = (int)value;
		return !errno && end != text && !*end && value >= -1000000000 && value <= 1000000000;
	}
	if (o->kind == CLI_U64) {
		*(uint64_t *)o->target = strtoull(text, &end, 10);
		return !errno && end != text && !*end && *text != '-';
	}
	*(float *)o->target = strtof(text, &end);
	return !errno && end != text && !*end && isfinite(*(float *)o->target);
}

static int mistake(const cli_command *c, const char *format, const char *a, const char *b) {
	fprintf(stderr, "sonant %s: ", c->name);
	fprintf(stderr, format, a, b);
	fprintf(stderr, "; \"sonant %s --help\" lists the options\n", c->name);
	return -1;
}

int cli_parse(const cli_command *c, int argc, char **argv, const char **operands) {
	int count = 0, only_operands = 0;
	for (int i = 1; i < argc; i++) {
		const char *const arg = argv[i];
		if (only_operands || arg[0] != '-' || !arg[1]) {
			operands[count++] = arg;
			continue;
		}
		if (strcmp(arg, "--") == 0) {
			only_operands = 1;
			continue;
		}
		if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
			cli_help(c, stdout);
			return -2;
		}
		const int is_long = arg[1] == '-';
		const char *const name = arg + 1 + is_long, *const equals = is_long ? strchr(name, '=') : NULL;
		const size_t length = equals ? (size_t)(equals - name) : is_long ? strlen(name) : 1;
		const cli_option *const o = is_long && length == 1 ? NULL : find(c, name, length);
		if (!o)
			return mistake(c, "there is no option \"%s\"%s", arg, "");
		const char *value = equals ? equals + 1 : !is_long && name[1] ? name + 1 : NULL;
		if (o->kind == CLI_FLAG && value)
			return mistake(c, "--%s takes no value, so not \"%s\"", o->name, value);
		if (o->kind != CLI_FLAG && !value && ++i == argc)
			return mistake(c, "--%s needs a value: %s", o->name, o->value);
		if (!set(o, value ? value : argv[i]))
			return mistake(c, "--%s cannot be \"%s\"", o->name, value ? value : argv[i]);
	}
	return count;
}

void cli_help(const cli_command *c, FILE *out) {
#define SN_X(code, value, text, http, exit, python) { value, exit, text },
	static const struct {
		int code, status;
		const char *text;
	} results[] = { SN_RESULTS(SN_X) };
#undef SN_X
	fprintf(out, "usage: sonant %s\n\n%s\n", c->usage, c->summary);
	if (c->option_count)
		fprintf(out, "\noptions:\n");
	for (int i = 0; i < c->option_count; i++) {
		char left[64];
		const cli_option *const o = &c->options[i];
		snprintf(left, sizeof left, "%s%.1s%s--%s%s%s", o->letter ? "-" : "  ", o->letter ? &o->letter : "",
		         o->letter ? ", " : "  ", o->name, o->value ? " " : "", o->value ? o->value : "");
		fprintf(out, "  %-26s %s\n", left, o->help);
	}
	if (c->details)
		fprintf(out, "\n%s\n", c->details);
	fprintf(out, "\nexit status:\n    0  success\n");
	for (int i = 0; i < COUNT(results); i++)
		if (results[i].code < 0)
			fprintf(out, "  %3d  %s\n", results[i].status, results[i].text);
}

/* ---- output ---- */

int cli_fail(int code, const char *what, const char *message) {
	int named = what && strstr(message, what);
	fprintf(stderr, "sonant: %s%s%s\n", what && !named ? what : "", what && !named ? ": " : "", message);
	return sn_result_exit(code);
}

int cli_write(const char *text, size_t size) {
	if (fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0)
		return SN_OK;
	int code = errno == ENOSPC ? SN_E_NO_SPACE : SN_E_IO;
	fprintf(stderr, "sonant: cannot write to standard output: %s\n", strerror(errno));
	return code;
}

char *cli_quoted(const char *text) {
	json_t *s = json_string(text);
	char *quoted = s ? json_dumps(s, JSON_ENCODE_ANY) : NULL;
	json_decref(s);
	return quoted ? quoted : strdup("\"\"");
}

json_t *cli_text(const char *text) {
	json_t *s = json_string(text);
	char *copy = s ? NULL : strdup(text);
	for (char *c = copy; c && *c; c++)
		*c = (unsigned char)*c < 0x80 ? *c : '?';
	s = s ? s : json_string(copy ? copy : "");
	free(copy);
	return s;
}

double cli_round(double seconds) { return round(seconds * 1e3) / 1e3; }

int cli_print(json_t *value) {
	char *text = value ? json_dumps(value, JSON_REAL_PRECISION(9)) : NULL;
	json_decref(value);
	int code = text ? cli_write(text, strlen(text)) : SN_E_MEMORY;
	free(text);
	return sn_result_exit(code == SN_OK ? cli_write("\n", 1) : code);
}

const char *cli_facts_format(const char *format, int json) {
	if (format && strcmp(format, "text") != 0 && strcmp(format, "json") != 0) {
		cli_fail(SN_E_ARGUMENT, NULL, "--format is text or json");
		return NULL;
	}
	return json ? "json" : format ? format : "text";
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cli_progress_start(cli_progress *p, const char *name) {
	*p = (cli_progress){ .enabled = isatty(STDERR_FILENO), .name = name };
}

int cli_progress_show(void *payload, double seconds, double total) {
	cli_progress *p = payload;
	if (!p->enabled || now() - p->shown < 0.1)
		return 0;
	p->shown = now();
	if (total > 0)
		fprintf(stderr, "\r%s: %3.0f %% of %.0f s\033[K", p->name, 100 * (seconds < total ? seconds / total : 1), total);
	else
		fprintf(stderr, "\r%s: %.1f s\033[K", p->name, seconds);
	fflush(stderr);
	return 0;
}

void cli_progress_done(cli_progress *p) {
	if (p->enabled && p->shown > 0)
		fprintf(stderr, "\r\033[K");
}

int cli_engine_open(sn_engine **engine, const cli_engine *o, char *err) {
	const sn_engine_options options = { .threads = o->threads, .precision = o->precision, .no_cache = o->no_cache };
	return sn_engine_open(engine, &options, err);
}
