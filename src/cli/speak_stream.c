/* Speech while its text is still being written: reads standard input as it comes, writes sound as it is made. */
#include "cli/speak.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define READ 4096     /* bytes at once */
#define BUSY_WAIT 4   /* milliseconds between two looks for sound while some is being made */
#define IDLE_WAIT 100 /* and while none is */

typedef struct live {
	const cli_speak_args *args;
	sn_tts *tts;
	sn_writer *writer;
	char text[READ + 4]; /* read and not pushed: the beginning of a character */
	size_t size;
	int64_t samples;
	int rate, sentence; /* sentence: the last one that was heard of */
	int json;
	char err[SN_ERRLEN];
} live;

static int print_event(live *l, const char *event, const char *name, json_t *value) {
	if (!l->json) {
		json_decref(value);
		return SN_OK;
	}
	json_t *line = json_pack("{s:s, s:o, s:f}", "event", event, name, value, "time", cli_round((double)l->samples / l->rate));
	return cli_print(line) == 0 ? SN_OK : SN_E_IO;
}

/* Writes all sound that is ready. SN_AGAIN: there is no more now. */
static int write_ready(live *l) {
	sn_audio audio;
	int code;
	while ((code = sn_tts_pull(l->tts, &audio, l->err)) == SN_OK) {
		if (cli_is_interrupted())
			break;
		if (audio.mark)
			code = print_event(l, "mark", "name", cli_text(audio.mark));
		else if (audio.sentence > l->sentence)
			code = print_event(l, "sentence", "sentence", json_integer(l->sentence = audio.sentence));
		if (code == SN_OK)
			code = sn_writer_write(l->writer, audio.pcm, audio.count, l->err);
		l->samples += (int64_t)audio.count;
		if (code != SN_OK)
			return code;
	}
	if (!cli_is_interrupted())
		return code;
	snprintf(l->err, sizeof l->err, "interrupted");
	return SN_E_CANCELLED;
}

/* Bytes of whole characters; what is no UTF-8 at all is left for the session to refuse. */
static size_t whole(const char *text, size_t size) {
	for (size_t back = 1; back <= 3 && back <= size; back++) {
		const unsigned char c = (unsigned char)text[size - back];
		if ((c & 0xc0) == 0x80)
			continue;
		const size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
		return length > back ? size - back : size;
	}
	return size;
}

static int push(live *l, size_t size) {
	int code;
	while ((code = sn_tts_push(l->tts, l->text, size, l->err)) == SN_AGAIN)
		if ((code = write_ready(l)) != SN_AGAIN)
			return code;
	l->size -= size;
	memmove(l->text, l->text + size, l->size);
	return code;
}

/* One read of standard input. SN_END: there is no more. */
static int take_input(live *l) {
	const ssize_t got = read(STDIN_FILENO, l->text + l->size, READ);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return SN_AGAIN;
	if (got < 0) {
		snprintf(l->err, sizeof l->err, "standard input cannot be read: %s", strerror(errno));
		return SN_E_IO;
	}
	l->size += (size_t)got;
	const size_t ready = got ? whole(l->text, l->size) : l->size;
	const int code = ready ? push(l, ready) : SN_OK;
	return code == SN_OK && !got ? SN_END : code;
}

/* Until standard input ends. */
static int speak_input(live *l) {
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	int code = SN_OK, quiet = 0; /* looks without new sound */
	while (code == SN_OK || code == SN_AGAIN) {
		const int64_t before = l->samples;
		code = write_ready(l);
		if (code != SN_AGAIN)
			return code;
		quiet = l->samples > before ? 0 : quiet + 1;
		if (poll(&input, 1, quiet * BUSY_WAIT < 1000 ? BUSY_WAIT : IDLE_WAIT) <= 0)
			continue;
		code = take_input(l);
		quiet = 0;
	}
	return code;
}

static int open_all(live *l, sn_engine **engine, sn_model **model) {
	const cli_speak_args *const a = l->args;
	sn_tts_options options = a->tts;
	sn_speech speech;
	options.stream = SN_ON;
	options.priority = SN_PRIORITY_REALTIME;
	int code = cli_engine_open(engine, &a->engine, l->err);
	if (code == SN_OK)
		code = cli_model_load_for(model, *engine, &a->engine, a->model, SN_TASK_SPEAK, a->tts.language, 0, l->err);
	if (code == SN_OK)
		code = sn_tts_open(&l->tts, *model, &options, l->err);
	if (code != SN_OK)
		return code;
	sn_tts_result(l->tts, &speech);
	l->rate = speech.sample_rate;
	cli_catch_interrupts(); /* from here on there is a file to take away */
	return sn_writer_open(&l->writer, a->out, a->audio, l->rate, l->err);
}

/* The text ended with an error: what came before it is heard first. */
static int speak_rest(live *l, int code) {
	char reason[SN_ERRLEN];
	memcpy(reason, l->err, sizeof reason);
	int rest = write_ready(l);
	memcpy(l->err, reason, sizeof reason);
	return rest == SN_E_IO || rest == SN_E_NO_SPACE ? rest : code;
}

int cli_speak_stream(const cli_speak_args *args) {
	live l = { .args = args, .sentence = -1, .json = args->format && strcmp(args->format, "json") == 0 };
	sn_engine *engine = NULL;
	sn_model *model = NULL;
	sn_speech speech;
	int status = 0, code = open_all(&l, &engine, &model);
	if (code == SN_OK)
		code = speak_input(&l);
	if (code == SN_END || (code < 0 && code != SN_E_CANCELLED && l.writer)) {
		const int finished = sn_tts_finish(l.tts, code == SN_END ? l.err : NULL);
		if (code < 0)
			code = speak_rest(&l, code);
		else
			code = finished == SN_OK ? write_ready(&l) : speak_rest(&l, finished);
	}
	if (code == SN_END)
		code = sn_writer_finish(l.writer, l.err);
	if (code == SN_OK) {
		if (sn_tts_check(l.tts, &speech, l.err) != SN_OK)
			cli_note("the speech was not rated", l.err);
		status = cli_speak_report(&speech, args->out);
	} else {
		status = cli_fail(code, NULL, l.err);
	}
	sn_writer_close(&l.writer);
	sn_tts_close(&l.tts);
	sn_model_release(&model);
	sn_engine_close(&engine);
	return status;
}
