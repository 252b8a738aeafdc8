#include "cli/listen.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define ARRIVALS 4096 /* reads whose time is remembered */
#define CLEAR 4       /* bytes that clear the line before what is drawn */

static struct {
	cli_engine engine;
	const char *model, *format, *device;
	sn_stt_options stt;
	int rate, channels, words, denoise;
} args;

static const cli_option options[] = {
	{ "model", 'm', "MODEL", "name, alias or directory (default: auto)", CLI_MODEL_TRANSCRIBE, &args.model },
	{ "language", 'l', "LANG", "code or name, or auto to detect it (default: auto)", CLI_LANGUAGE, &args.stt.language },
	{ "task", 0, "transcribe|translate", "translate: into English (default: transcribe)", CLI_CHOICE, &args.stt.task },
	{ "format", 'f', "text|json", "json: one object for each event (default: text)", CLI_CHOICE, &args.format },
	{ "rate", 'r', "HZ", "of samples without a header (default: 16000)", CLI_INT, &args.rate },
	{ "channels", 'c', "N", "of samples without a header (default: 1)", CLI_INT, &args.channels },
	{ "device", 'd', "NAME", "microphone: default, a number or part of a name", CLI_TEXT, &args.device },
	{ "words", 0, NULL, "times of words, in json", CLI_FLAG, &args.words },
	{ "prompt", 0, "TEXT", "text that the speech follows: names, spelling, style", CLI_TEXT, &args.stt.prompt },
	{ "hotwords", 0, "LIST", "words and phrases, separated by commas, that are made likelier", CLI_TEXT, &args.stt.hotwords },
	{ "denoise", 0, NULL, "take noise out first (DeepFilterNet)", CLI_FLAG, &args.denoise },
	{ "interval", 0, "MS", "new speech between two partials; below 0: none (default: 320)", CLI_INT, &args.stt.partial_interval },
	{ "vad-threshold", 0, "X", "probability of speech, above 0 and below 1 (default: 0.5)", CLI_FLOAT, &args.stt.vad_settings.threshold },
	{ "vad-min-speech", 0, "MS", "shorter sounds are no utterance (default: 100)", CLI_INT, &args.stt.vad_settings.min_speech },
	{ "vad-min-silence", 0, "MS", "a silence that ends an utterance (default: 400)", CLI_INT, &args.stt.vad_settings.min_silence },
	{ "vad-pad", 0, "MS", "silence kept before an utterance; below 0: none (default: 400)", CLI_INT, &args.stt.vad_settings.pad },
	CLI_ENGINE_OPTIONS(args.engine),
};

static int cli_listen(int argc, char **argv);

const cli_command cli_listen_command = {
	.name = "listen",
	.brief = "live captions of a microphone or a pipe",
	.run = cli_listen,
	.hint = "\"sonant transcribe\" reads files",
	.summary = "Writes what is said while it is said: live captions of a microphone, or of samples on standard input (16-bit\n"
	           "little endian, or a wav), as fast as they come.",
	.details = "On a terminal the text that may still change is rewritten in place. Elsewhere each event is a line: its kind\n"
	           "(partial, commit, segment, language, note), the seconds of audio it knows, and the milliseconds since they came.\n"
	           "Committed text never changes; a segment is the commits of an utterance, joined. An interrupt ends the input.",
	.options = options,
	.option_count = COUNT(options),
};

static volatile sig_atomic_t interrupted;

/* The second interrupt ends the program. */
static void interrupt(int number) {
	interrupted = 1;
	signal(number, SIG_DFL);
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* When the samples up to `end` seconds were there, and what is on the screen. */
typedef struct listener {
	struct { double end, time; } arrival[ARRIVALS]; /* a ring */
	int first, count;
	double seconds, finished;      /* pushed; when the input ended, 0: not yet */
	int is_json, is_terminal, drawn;
	char *committed;               /* of the utterance, on a terminal */
} listener;

static void arrived(listener *l, size_t samples) {
	l->seconds += (double)samples / SN_STT_RATE;
	if (l->count == ARRIVALS) {
		l->first = (l->first + 1) % ARRIVALS;
		l->count--;
	}
	const int at = (l->first + l->count++) % ARRIVALS;
	l->arrival[at].end = l->seconds;
	l->arrival[at].time = now();
}

/* Milliseconds since the audio up to `position` was there. */
static double latency(const listener *l, double position) {
	double since = l->finished > 0 ? l->finished : now();
	for (int i = 0; i < l->count; i++) {
		const int at = (l->first + i) % ARRIVALS;
		if (l->arrival[at].end >= position - 1e-6) {
			since = l->finished > 0 && position >= l->seconds - 1e-6 ? l->finished : l->arrival[at].time;
			break;
		}
	}
	return (now() - since) * 1e3;
}

static const char *kind_of(const sn_event *e) {
	static const char *const kinds[] = { [SN_EVENT_LANGUAGE] = "language", [SN_EVENT_SEGMENT] = "segment", [SN_EVENT_NOTE] = "note",
		[SN_EVENT_PARTIAL] = "partial", [SN_EVENT_COMMIT] = "commit" };
	return kinds[e->kind];
}

/* ---- json ---- */

static json_t *words_of(const sn_word *words, int count) {
	json_t *list = json_array();
	for (int i = 0; i < count; i++)
		json_array_append_new(list, json_pack("{s:o, s:f, s:f, s:f}", "word", cli_text(words[i].text), "start",
		                                      cli_round(words[i].start), "end", cli_round(words[i].end), "confidence",
		                                      cli_round((double)words[i].confidence)));
	return list;
}

static int print_json(const listener *l, const sn_event *e) {
	json_t *o = json_pack("{s:s}", "kind", kind_of(e));
	const sn_segment *const s = &e->segment;
	if (e->kind == SN_EVENT_PARTIAL || e->kind == SN_EVENT_COMMIT)
		json_object_set_new(o, "text", cli_text(e->text));
	if (e->kind == SN_EVENT_SEGMENT)
		json_object_update_new(o, json_pack("{s:i, s:f, s:f, s:o, s:f, s:f, s:f, s:f}", "id", s->id, "start", cli_round(s->start), "end",
		                                    cli_round(s->end), "text", cli_text(s->text), "confidence", cli_round((double)s->confidence),
		                                    "avg_logprob", cli_round((double)s->avg_logprob), "compression_ratio",
		                                    cli_round((double)s->compression_ratio), "no_speech_prob", cli_round((double)s->no_speech_prob)));
	if (e->kind == SN_EVENT_LANGUAGE)
		json_object_update_new(o, json_pack("{s:s, s:f}", "language", e->language, "confidence", cli_round((double)e->language_confidence)));
	if (e->kind == SN_EVENT_NOTE)
		json_object_update_new(o, json_pack("{s:s, s:o}", "code", e->note.code, "message", cli_text(e->note.message)));
	if (args.words && e->kind == SN_EVENT_COMMIT)
		json_object_set_new(o, "words", words_of(e->words, e->word_count));
	if (args.words && e->kind == SN_EVENT_SEGMENT)
		json_object_set_new(o, "words", words_of(s->words, s->word_count));
	json_object_set_new(o, "position", json_real(cli_round(e->position)));
	json_object_set_new(o, "latency", json_real(cli_round(latency(l, e->position))));
	return cli_print(o);
}

/* ---- text ---- */

static const char *without_space(const char *text) { return text + strspn(text, " "); }

static int print_line(const listener *l, const sn_event *e) {
	char start[64];
	snprintf(start, sizeof start, "%-8s %8.2f %5.0f ms  ", kind_of(e), e->position, latency(l, e->position));
	const char *text = e->kind == SN_EVENT_SEGMENT ? without_space(e->segment.text) : e->kind == SN_EVENT_NOTE ? e->note.message :
		e->kind == SN_EVENT_LANGUAGE ? e->language : e->text;
	char *line;
	if (asprintf(&line, "%s%s\n", start, text) < 0)
		return sn_result_exit(SN_E_MEMORY);
	const int code = cli_write(line, strlen(line));
	free(line);
	return sn_result_exit(code);
}

/* The last characters of a text that fit the terminal's line; characters count as one column each. */
static const char *tail(const char *text, int columns) {
	int count = 0;
	for (const char *c = text; *c; c++)
		count += ((unsigned char)*c & 0xc0) != 0x80;
	for (; count > columns; count--)
		do
			text++;
		while (((unsigned char)*text & 0xc0) == 0x80);
	return text;
}

static int draw(listener *l, const sn_event *e) {
	struct winsize size = { 0 };
	char *line = NULL, *committed = NULL;
	const int columns = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
	const char *const before = l->committed ? l->committed : "";
	if (e->kind == SN_EVENT_LANGUAGE)
		return 0;
	if (e->kind == SN_EVENT_NOTE) {
		fprintf(stderr, "\r\033[Ksonant: %s\n", e->note.message);
		return 0;
	}
	int made = 0;
	if (e->kind == SN_EVENT_COMMIT) {
		made = asprintf(&committed, "%s%s", before, e->text);
		free(l->committed);
		l->committed = made < 0 ? NULL : committed;
		made = made < 0 ? made : asprintf(&line, "\r\033[K%s", tail(without_space(l->committed), columns));
	} else if (e->kind == SN_EVENT_PARTIAL) {
		char *whole = NULL;
		made = asprintf(&whole, "%s%s", before, e->text);
		made = made < 0 ? made : asprintf(&line, "\r\033[K%s", tail(without_space(whole), columns));
		free(whole);
	} else {
		free(l->committed);
		l->committed = NULL;
		made = asprintf(&line, "\r\033[K%s\n", without_space(e->segment.text));
	}
	if (made >= 0)
		cli_tame(line + CLEAR, strlen(line + CLEAR), "\n");
	const int code = made < 0 ? SN_E_MEMORY : cli_write(line, strlen(line));
	l->drawn = e->kind != SN_EVENT_SEGMENT;
	free(line);
	return sn_result_exit(code);
}

static int show(listener *l, const sn_event *e) {
	return l->is_json ? print_json(l, e) : l->is_terminal ? draw(l, e) : print_line(l, e);
}

/* ---- the loop ---- */

/* Shows what is ready. SN_AGAIN, SN_END or an error; *status: of writing. */
static int drain(listener *l, sn_stt *stt, int *status, char *err) {
	sn_event event;
	int code;
	while ((code = sn_stt_pull(stt, &event, err)) == SN_OK)
		if ((*status = show(l, &event)) != 0)
			return SN_E_IO;
	return code;
}

static int push(listener *l, sn_stt *stt, const float *pcm, size_t count, int *status, char *err) {
	int code;
	arrived(l, count);
	while ((code = sn_stt_push(stt, pcm, count, err)) == SN_AGAIN)
		if ((code = drain(l, stt, status, err)) != SN_AGAIN)
			return code;
	return code;
}

/* Returns an exit status. */
static int listen_to(sn_stt *stt, listen_source *source, listener *l) {
	static float pcm[LISTEN_BLOCK];
	char err[SN_ERRLEN] = "", why[SN_ERRLEN] = "";
	int code = SN_OK, status = 0, input = SN_OK;
	while (code == SN_OK && input == SN_OK && !interrupted) {
		size_t count;
		input = listen_read(source, pcm, &count, why);
		if (input == SN_OK && count)
			code = push(l, stt, pcm, count, &status, err);
		if (code == SN_OK) {
			code = drain(l, stt, &status, err);
			code = code == SN_AGAIN ? SN_OK : code;
		}
	}
	l->finished = now();
	if (code == SN_OK)
		code = sn_stt_finish(stt, err);
	if (code == SN_OK)
		code = drain(l, stt, &status, err);
	if (l->drawn)
		fputc('\n', stdout);
	if (status)
		return status;
	if (code != SN_END)
		return cli_fail(code, NULL, err);
	return input == SN_OK || input == SN_END ? 0 : cli_fail(input, NULL, why);
}

static int listen_all(void) {
	char err[SN_ERRLEN];
	sn_engine *engine = NULL;
	sn_model *model = NULL;
	sn_stt *stt = NULL;
	listen_source *source = NULL;
	listener *const l = calloc(1, sizeof *l);
	int code = l ? SN_OK : SN_E_MEMORY;
	const int microphone = args.device || isatty(STDIN_FILENO);
	err[0] = 0;
	if (code == SN_OK)
		code = microphone ? listen_open_microphone(&source, args.device, err) : listen_open_pipe(&source, args.rate, args.channels, err);
	if (code == SN_OK)
		code = cli_engine_open(&engine, &args.engine, err);
	if (code == SN_OK)
		code = cli_model_load_for(&model, engine, &args.engine, args.model, SN_TASK_TRANSCRIBE, args.stt.language, 0, err);
	if (code == SN_OK)
		code = sn_stt_open(&stt, model, &args.stt, err);
	int status = code == SN_OK ? 0 : cli_fail(code, NULL, *err ? err : "out of memory");
	if (code == SN_OK) {
		l->is_json = strcmp(args.format, "json") == 0;
		l->is_terminal = isatty(STDOUT_FILENO);
		sigaction(SIGINT, &(struct sigaction){ .sa_handler = interrupt }, NULL);
		status = listen_to(stt, source, l);
	}
	sn_stt_close(&stt);
	sn_model_release(&model);
	sn_engine_close(&engine);
	listen_close(&source);
	if (l)
		free(l->committed);
	free(l);
	return status;
}

static int cli_listen(int argc, char **argv) {
	const char **operands = calloc((size_t)argc, sizeof *operands);
	args.format = "text";
	const int count = operands ? cli_parse(&cli_listen_command, argc, argv, operands) : -1;
	free(operands);
	if (count < 0)
		return count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	args.stt.live = SN_ON;
	args.stt.words = args.words ? SN_DEFAULT : SN_OFF;
	args.stt.denoise = args.denoise ? SN_ON : SN_DEFAULT;
	return listen_all();
}
