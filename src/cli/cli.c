#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- output ---- */

static struct {
	int json, lost;
	const char *colors;
} output;

void cli_errors_json(int on) { output.json = on; }
void cli_colors(const char *when) { output.colors = when; }

int cli_has_colors(FILE *stream) {
	const char *const terminal = getenv("TERM"), *const no = getenv("NO_COLOR");
	if (output.colors && strcmp(output.colors, "auto") != 0)
		return strcmp(output.colors, "always") == 0;
	return isatty(fileno(stream)) && !(no && *no) && terminal && strcmp(terminal, "dumb") != 0;
}

/* Whether the message has the name already, as a word of its own. */
static int is_in(const char *name, const char *message) {
	const size_t size = strlen(name);
	for (const char *at = message; size && (at = strstr(at, name)); at++)
		if ((at == message || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[size]))
			return 1;
	return 0;
}

void cli_tame(char *text, size_t size, const char *kept) {
	for (size_t i = 0; i < size; i++) {
		const unsigned char c = (unsigned char)text[i], next = i + 1 < size ? (unsigned char)text[i + 1] : 0;
		if (((c < 0x20 || c == 0x7f) && !(c && strchr(kept, c))) || (c == 0xc2 && next >= 0x80 && next < 0xa0)) {
			text[i] = '?';
			if (c == 0xc2)
				text[++i] = '?';
		}
	}
}

/* A copy for the terminal, to be free()d; NULL: out of memory. */
static char *tame(const char *text) {
	char *const copy = strdup(text);
	if (copy)
		cli_tame(copy, strlen(copy), "");
	return copy;
}

/* A line on standard error, the head in a colour. */
static void remark(const char *head, int colour, const char *command, const char *what, const char *message) {
	const int named = what && is_in(what, message), colours = cli_has_colors(stderr);
	char *const name = what && !named ? tame(what) : NULL, *const text = tame(message);
	char light[16] = "";
	if (colours)
		snprintf(light, sizeof light, "\033[%dm", colour);
	fprintf(stderr, "sonant%s%s: %s%s%s%s%s%s\n", command ? " " : "", command ? command : "", light, head, name ? name : "", name ? ": " : "",
	        colours ? "\033[0m" : "", text ? text : "out of memory");
	free(name);
	free(text);
}

/* One line of JSON on standard error. */
static void remark_json(json_t *value) {
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
	fprintf(stderr, "%s\n", text ? text : "{\"error\":{\"code\":7,\"name\":\"SN_E_MEMORY\",\"message\":\"out of memory\"}}");
	free(text);
	json_decref(value);
}

int cli_complain(int code, const char *command, const char *what, const char *message) {
	if (!output.json) {
		remark("", 31, command, what, message);
		return sn_result_exit(code);
	}
	json_t *const e = json_pack("{s:i, s:s, s:o}", "code", sn_result_exit(code), "name", sn_result_name(code), "message", cli_text(message));
	if (command)
		json_object_set_new(e, "command", cli_text(command));
	if (what)
		json_object_set_new(e, "file", cli_text(what));
	remark_json(json_pack("{s:o}", "error", e));
	return sn_result_exit(code);
}

int cli_fail(int code, const char *what, const char *message) { return cli_complain(code, NULL, what, message); }

void cli_note(const char *what, const char *message) {
	if (!output.json) {
		remark("note: ", 33, NULL, what, message);
		return;
	}
	json_t *const note = json_pack("{s:o}", "message", cli_text(message));
	if (what)
		json_object_set_new(note, "file", cli_text(what));
	remark_json(json_pack("{s:o}", "note", note));
}

int cli_write(const char *text, size_t size) {
	if (fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0)
		return SN_OK;
	const int reason = errno, code = reason == ENOSPC ? SN_E_NO_SPACE : SN_E_IO;
	char message[128];
	output.lost = 1;
	snprintf(message, sizeof message, "cannot write to standard output: %s", strerror(reason));
	if (reason != EPIPE) /* whoever closed the pipe knows */
		cli_fail(code, NULL, message);
	return code;
}

int cli_output_is_lost(void) { return output.lost; }

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
	if (!text)
		return cli_fail(SN_E_MEMORY, NULL, "out of memory");
	const int code = cli_write(text, strlen(text));
	free(text);
	return sn_result_exit(code == SN_OK ? cli_write("\n", 1) : code);
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static volatile sig_atomic_t interrupted;

static void interrupt(int number) { interrupted = 1; }

int cli_is_interrupted(void) { return interrupted; }

void cli_catch_interrupts(void) {
	static const int signals[] = { SIGINT, SIGTERM };
	const struct sigaction stop = { .sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND };
	struct sigaction before;
	for (int i = 0; i < COUNT(signals); i++)
		if (sigaction(signals[i], &stop, &before) == 0 && before.sa_handler == SIG_IGN) /* a shell's background */
			sigaction(signals[i], &before, NULL);
}

void cli_progress_start(cli_progress *p, const char *name) {
	*p = (cli_progress){ .enabled = isatty(STDERR_FILENO), .name = name };
}

int cli_progress_show(void *payload, double seconds, double total) {
	cli_progress *p = payload;
	if (interrupted)
		return 1;
	if (!p->enabled || now() - p->shown < 0.1)
		return 0;
	p->shown = now();
	char *const name = tame(p->name);
	if (total > 0)
		fprintf(stderr, "\r%s: %3.0f %% of %.0f s\033[K", name ? name : "", 100 * (seconds < total ? seconds / total : 1), total);
	else
		fprintf(stderr, "\r%s: %.1f s\033[K", name ? name : "", seconds);
	free(name);
	fflush(stderr);
	return 0;
}

void cli_progress_done(cli_progress *p) {
	if (p->enabled && p->shown > 0)
		fprintf(stderr, "\r\033[K");
}

int cli_engine_open(sn_engine **engine, const cli_engine *o, char *err) {
	const sn_engine_options options = { .threads = o->threads, .precision = o->precision, .no_cache = o->no_cache,
		.max_memory = o->max_memory > INT64_MAX ? INT64_MAX : (int64_t)o->max_memory, .backend = o->backend };
	return sn_engine_open(engine, &options, err);
}

/* A near name, where there is none of that one. */
static void suggest_model(sn_engine *engine, const char *name, char *err) {
	cli_nearest near = { .wanted = name };
	sn_model_list *models = NULL;
	sn_model_list_read(&models, engine, NULL);
	for (size_t i = 0; models && i < models->count; i++) {
		cli_near(&near, models->entries[i].name);
		for (const char *at = models->entries[i].aliases; *at;) {
			char alias[CLI_NAME];
			const size_t size = strcspn(at, " ");
			snprintf(alias, sizeof alias, "%.*s", (int)size, at);
			cli_near(&near, alias);
			at += size + (at[size] == ' ');
		}
	}
	sn_model_list_free(&models);
	if (*near.name && strcmp(near.name, name) != 0 && strlen(err) + strlen(near.name) + 32 < SN_ERRLEN)
		sprintf(err + strlen(err), "; did you mean %s?", near.name);
}

int cli_model_load(sn_model **model, sn_engine *engine, const cli_engine *o, const char *name, int task, int windows, char *err) {
	return cli_model_load_for(model, engine, o, name, task, NULL, windows, err);
}

int cli_model_load_for(sn_model **model, sn_engine *engine, const cli_engine *o, const char *name, int task, const char *language, int windows,
                       char *err) {
	const sn_model_options options = { .precision = o->precision, .task = task, .language = language, .windows = windows };
	const int code = sn_model_load(model, engine, name, &options, err);
	if (code == SN_E_NOT_FOUND && name && strncmp(err, "no model", 8) == 0) /* one that is known and not installed is what was meant */
		suggest_model(engine, name, err);
	return code;
}
