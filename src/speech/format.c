/* Transcripts as text, subtitles and JSON. */
#include "base/ascii.h"
#include "base/buf.h"
#include "base/error.h"
#include "speech/format_cues.h"

#include <sonant/sonant.h>

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OUTPUT ((size_t)512 << 20)
#define MAX_SPACES ((size_t)4096)
#define DIGITS 9 /* of JSON numbers, which are rounded before */

static double rounded(double x, double scale) { return round(x * scale) / scale; }
static json_t *seconds(double x) { return json_real(rounded(x, 1e3)); }
static json_t *fraction(double x) { return json_real(rounded(x, 1e6)); }

/* Text of a file name or a model's path may not be UTF-8: such bytes become '?'. */
static json_t *lenient(const char *text) {
	json_t *s = json_string(text);
	char *copy = s ? NULL : strdup(text);
	for (char *c = copy; c && *c; c++)
		*c = (unsigned char)*c < 0x80 ? *c : '?';
	s = s ? s : json_string(copy ? copy : "");
	free(copy);
	return s;
}

/* ---- JSON ----
 * A transcript is written piece by piece: the tree of a whole one would take a hundred times the memory of its text. */

static json_t *word_json(const sn_word *w) {
	return json_pack("{s:o, s:o, s:o, s:o}", "word", lenient(w->text), "start", seconds(w->start), "end", seconds(w->end), "confidence",
	                 fraction((double)w->confidence));
}

static json_t *segment_json(const sn_segment *s, int verbose) {
	json_t *o = json_object();
	json_object_set_new(o, "id", json_integer(s->id));
	json_object_set_new(o, "start", seconds(s->start));
	json_object_set_new(o, "end", seconds(s->end));
	json_object_set_new(o, "text", lenient(s->text));
	if (verbose) {
		json_t *tokens = json_array();
		for (int i = 0; i < s->token_count; i++)
			json_array_append_new(tokens, json_integer(s->tokens[i]));
		json_object_set_new(o, "tokens", tokens);
		if (s->token_logprobs) {
			json_t *logprobs = json_array();
			for (int i = 0; i < s->token_count; i++)
				json_array_append_new(logprobs, fraction((double)s->token_logprobs[i]));
			json_object_set_new(o, "token_logprobs", logprobs);
		}
		json_object_set_new(o, "temperature", fraction((double)s->temperature));
		json_object_set_new(o, "avg_logprob", fraction((double)s->avg_logprob));
		json_object_set_new(o, "compression_ratio", fraction((double)s->compression_ratio));
		json_object_set_new(o, "no_speech_prob", fraction((double)s->no_speech_prob));
	}
	json_object_set_new(o, "confidence", fraction((double)s->confidence));
	return o;
}

/* All that comes before the segments. */
static json_t *head_json(const sn_transcript *t, const char *file, int with_text) {
	json_t *o = json_object();
	if (file)
		json_object_set_new(o, "file", lenient(file));
	json_object_set_new(o, "success", json_true());
	if (with_text)
		json_object_set_new(o, "text", lenient(t->text));
	json_object_set_new(o, "task", json_string(t->task));
	json_object_set_new(o, "language", json_string(t->language));
	json_object_set_new(o, "language_confidence", fraction((double)t->language_confidence));
	json_object_set_new(o, "avg_confidence", fraction((double)t->avg_confidence));
	json_object_set_new(o, "duration", seconds(t->duration));
	json_object_set_new(o, "processing_time", seconds(t->processing_time));
	json_object_set_new(o, "model", lenient(t->model));
	json_object_set_new(o, "dtype", json_string(t->dtype));
	return o;
}

/* All that comes behind them. */
static void add_tail(json_t *o, const sn_transcript *t) {
	json_t *notes = json_array(), *attempts = json_array();
	for (size_t i = 0; i < t->note_count; i++)
		json_array_append_new(notes, json_pack("{s:s, s:o}", "code", t->notes[i].code, "message", lenient(t->notes[i].message)));
	json_object_set_new(o, "notes", notes);
	for (int i = 0; i < t->attempt_count; i++) {
		const sn_attempt *const a = &t->attempts[i];
		json_array_append_new(attempts, json_pack("{s:o, s:s, s:o, s:b}", "model", lenient(a->model), "dtype", a->dtype, "confidence",
		                                          fraction((double)a->confidence), "kept", a->kept));
	}
	if (t->attempt_count > 1)
		json_object_set(o, "attempts", attempts);
	json_decref(attempts);
}

static int dump(const char *data, size_t size, void *payload) { return sn_buf_add(payload, data, size) == SN_OK ? 0 : -1; }

/* A JSON text under way. depth: that the lines of a value stand at, -1 without lines. */
typedef struct json_out {
	sn_buf *to, piece;
	int depth, members;
} json_out;

/* The value (decref'ed) as jansson writes it inside of others: its further lines move in. Returns it, to be used up to the next call. */
static const char *dumped(json_out *out, json_t *value) {
	sn_buf_clear(&out->piece);
	if (!value || json_dump_callback(value, dump, &out->piece, (out->depth < 0 ? 0 : JSON_INDENT(2)) | JSON_REAL_PRECISION(DIGITS)) != 0)
		out->to->failed = out->to->failed ? out->to->failed : SN_E_MEMORY;
	json_decref(value);
	return out->piece.data ? out->piece.data : "";
}

static void line(json_out *out, int depth) {
	if (out->depth >= 0)
		sn_buf_printf(out->to, "\n%*s", 2 * depth, "");
}

/* The members of an object (decref'ed) without its braces. */
static void put_members(json_out *out, json_t *object) {
	const int is_empty = json_object_size(object) == 0;
	const char *const text = dumped(out, object);
	const size_t size = out->piece.size, edge = out->depth < 0 ? 1 : 2; /* a brace, and the line's end beside it */
	if (!is_empty && size > 2 * edge)
		sn_buf_add(out->to, text + 1, size - 1 - edge);
}

static void begin_list(json_out *out, const char *name) {
	sn_buf_text(out->to, out->depth < 0 ? ", " : ",");
	line(out, 1);
	sn_buf_printf(out->to, "\"%s\": [", name);
	out->members = 0;
}

/* A value (decref'ed) of the list. */
static void put(json_out *out, json_t *value) {
	if (out->members++)
		sn_buf_text(out->to, out->depth < 0 ? ", " : ",");
	line(out, 2);
	for (const char *at = dumped(out, value), *end; *at; at = end) {
		end = strchr(at, '\n');
		sn_buf_add(out->to, at, end ? (size_t)(end - at) : strlen(at));
		if (!end)
			break;
		line(out, 2);
		end++;
	}
}

static void end_list(json_out *out) {
	if (out->members)
		line(out, 1);
	sn_buf_text(out->to, "]");
}

static void write_json(sn_buf *to, const sn_transcript *t, int verbose, const char *file) {
	json_out out = { .to = to, .depth = verbose ? 0 : -1 };
	json_t *tail = json_object();
	int words = 0;
	sn_buf_init(&out.piece, MAX_OUTPUT);
	sn_buf_text(to, "{");
	put_members(&out, head_json(t, file, 1));
	begin_list(&out, "segments");
	for (size_t i = 0; i < t->segment_count && !to->failed; i++) {
		put(&out, segment_json(&t->segments[i], verbose));
		words |= t->segments[i].word_count;
	}
	end_list(&out);
	if (words)
		begin_list(&out, "word_timestamps");
	for (size_t i = 0; i < t->segment_count && !to->failed; i++)
		for (int k = 0; k < t->segments[i].word_count; k++)
			put(&out, word_json(&t->segments[i].words[k]));
	if (words)
		end_list(&out);
	add_tail(tail, t);
	sn_buf_text(to, verbose ? "," : ", ");
	put_members(&out, tail);
	line(&out, 0);
	sn_buf_text(to, "}\n");
	sn_buf_free(&out.piece);
}

static void write_line(sn_buf *to, json_t *value) {
	if (!value || json_dump_callback(value, dump, to, JSON_REAL_PRECISION(DIGITS)) != 0)
		to->failed = to->failed ? to->failed : SN_E_MEMORY;
	json_decref(value);
	sn_buf_text(to, "\n");
}

/* ---- subtitles and tables ---- */

/* hours:minutes:seconds and milliseconds; WebVTT writes a point, SubRip a comma */
static void write_time(sn_buf *out, double t, char point) {
	long long ms = llround(t * 1000);
	sn_buf_printf(out, "%02lld:%02lld:%02lld%c%03lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, point, ms % 1000);
}

static const char *trimmed(const char *text) { return text + strspn(text, " "); }

/* Where cues go, and how they look. */
typedef struct cue_writer {
	sn_buf *out;
	int64_t count;                   /* so far */
	char point;                      /* of seconds */
} cue_writer;

static void write_cue(void *payload, double start, double end, const char *text) {
	cue_writer *const w = payload;
	w->count++;
	if (w->point == ',')
		sn_buf_printf(w->out, "%lld\n", (long long)w->count);
	write_time(w->out, start, w->point);
	sn_buf_text(w->out, " --> ");
	write_time(w->out, end, w->point);
	sn_buf_text(w->out, "\n");
	sn_buf_text(w->out, text);
	sn_buf_text(w->out, "\n\n");
}
static void write_row(sn_buf *out, const sn_segment *s) {
	sn_buf_printf(out, "%lld\t%lld\t", llround(s->start * 1000), llround(s->end * 1000));
	for (const char *c = trimmed(s->text); *c; c++)
		sn_buf_add(out, *c == '\t' ? " " : c, 1);
	sn_buf_text(out, "\n");
}

/* ---- a transcript as it comes ---- */

typedef enum stream_kind { STREAM_TEXT, STREAM_JSONL, STREAM_SRT, STREAM_VTT, STREAM_TSV, STREAM_KINDS } stream_kind;
static const char *const stream_names[STREAM_KINDS] = { "text", "jsonl", "srt", "vtt", "tsv" };
static const char *const stream_heads[STREAM_KINDS] = { "", "", "", "WEBVTT\n\n", "start\tend\ttext\n" };

struct sn_transcript_stream {
	stream_kind kind;
	char *file;                   /* in each line of jsonl; NULL: it is not said */
	sn_buf out, spaces;           /* spaces: that end the text so far, written when more follows */
	cue_writer cues;
	sn_cue_layout layout;
	int begun;                    /* the head is written */
	int said;                     /* text: there is some */
};

/* STREAM_KINDS: none. */
static int kind_of(const char *format) {
	int kind = 0;
	while (kind < STREAM_KINDS && strcmp(format, stream_names[kind]) != 0)
		kind++;
	return kind;
}

int sn_transcript_stream_open(sn_transcript_stream **out, const char *format, const char *file, char *err) {
	const sn_transcript_options options = { .format = format, .file = file };
	return sn_transcript_stream_begin(out, &options, err);
}

int sn_transcript_stream_begin(sn_transcript_stream **out, const sn_transcript_options *options, char *err) {
	const char *const format = options && options->format ? options->format : "text", *const file = options ? options->file : NULL;
	const int kind = kind_of(format);
	sn_cue_layout layout;
	*out = NULL;
	const int result = sn_cue_layout_check(&layout, options ? options->line_width : 0, options ? options->line_count : 0, err);
	if (result != SN_OK)
		return result;
	if (kind == STREAM_KINDS)
		return sn_fail(err, SN_E_ARGUMENT, "format \"%s\" cannot be written as it comes; %s can", format, SN_TRANSCRIPT_STREAMS);
	sn_transcript_stream *s = calloc(1, sizeof *s);
	if (s && file)
		s->file = strdup(file);
	if (!s || (file && !s->file)) {
		free(s);
		return sn_fail(err, SN_E_MEMORY, "no memory to write a transcript");
	}
	s->kind = (stream_kind)kind;
	s->layout = layout;
	s->cues = (cue_writer){ .out = &s->out, .point = s->kind == STREAM_SRT ? ',' : '.' };
	sn_buf_init(&s->out, MAX_OUTPUT);
	sn_buf_init(&s->spaces, MAX_SPACES);
	*out = s;
	return SN_OK;
}

void sn_transcript_stream_close(sn_transcript_stream **held) {
	sn_transcript_stream *s = *held;
	*held = NULL;
	if (!s)
		return;
	sn_buf_free(&s->out);
	sn_buf_free(&s->spaces);
	free(s->file);
	free(s);
}

/* Spaces before the text and white space behind it are left out. */
static void write_text(sn_transcript_stream *s, const char *text) {
	text = s->said || s->spaces.size ? text : trimmed(text);
	size_t size = strlen(text);
	while (size && sn_isspace((unsigned char)text[size - 1]))
		size--;
	if (size && s->spaces.size)
		sn_buf_add(&s->out, s->spaces.data, s->spaces.size);
	if (size)
		sn_buf_clear(&s->spaces);
	sn_buf_add(&s->out, text, size);
	s->said |= size > 0;
	sn_buf_text(&s->spaces, text + size);
	s->out.failed = s->out.failed ? s->out.failed : s->spaces.failed;
}

static void write_segment_line(sn_transcript_stream *s, const sn_segment *segment) {
	json_t *o = json_object(), *words = json_array();
	if (s->file)
		json_object_set_new(o, "file", lenient(s->file));
	json_object_update_new(o, segment_json(segment, 0));
	for (int i = 0; i < segment->word_count; i++)
		json_array_append_new(words, word_json(&segment->words[i]));
	if (segment->word_count)
		json_object_set(o, "words", words);
	json_decref(words);
	write_line(&s->out, o);
}

/* What was written, in *text. */
static int hand_out(sn_transcript_stream *s, const char **text, size_t *size, char *err) {
	*text = s->out.data ? s->out.data : "";
	*size = s->out.size;
	const int result = s->out.failed ? sn_fail(err, s->out.failed, "a segment is too long to be written") : SN_OK;
	return sn_fail_memory(result, err);
}

static void begin_piece(sn_transcript_stream *s) {
	errno = 0;
	sn_buf_clear(&s->out);
	if (!s->begun)
		sn_buf_text(&s->out, stream_heads[s->kind]);
	s->begun = 1;
}

static void write_cues(sn_transcript_stream *s, const sn_segment *segment) {
	const int result = sn_cues(segment, &s->layout, write_cue, &s->cues);
	s->out.failed = s->out.failed ? s->out.failed : result;
}

static void write_segment(sn_transcript_stream *s, const sn_segment *segment) {
	if (s->kind == STREAM_TEXT)
		write_text(s, segment->text);
	else if (s->kind == STREAM_JSONL)
		write_segment_line(s, segment);
	else if (s->kind == STREAM_TSV)
		write_row(&s->out, segment);
	else
		write_cues(s, segment);
}

int sn_transcript_stream_add(sn_transcript_stream *s, const sn_segment *segment, const char **text, size_t *size, char *err) {
	begin_piece(s);
	write_segment(s, segment);
	return hand_out(s, text, size, err);
}

static void write_end(sn_transcript_stream *s, const sn_transcript *t) {
	if (s->kind == STREAM_JSONL) {
		json_t *o = head_json(t, s->file, 0);
		add_tail(o, t);
		write_line(&s->out, o);
	}
	if (s->kind == STREAM_TEXT || (s->kind == STREAM_SRT && !s->cues.count))
		sn_buf_text(&s->out, "\n");
}

int sn_transcript_stream_end(sn_transcript_stream *s, const sn_transcript *t, const char **text, size_t *size, char *err) {
	begin_piece(s);
	write_end(s, t);
	return hand_out(s, text, size, err);
}

/* ---- a whole transcript ---- */

static int is_json(const char *format) { return strcmp(format, "json") == 0 || strcmp(format, "verbose_json") == 0; }

static int format_stream(sn_buf *out, const sn_transcript *t, const sn_transcript_options *options, char *err) {
	sn_transcript_stream *s;
	const int result = sn_transcript_stream_begin(&s, options, err);
	if (result != SN_OK)
		return result;
	const sn_buf kept = s->out;
	s->out = *out;
	begin_piece(s);
	for (size_t i = 0; i < t->segment_count && s->kind != STREAM_TEXT && !s->out.failed; i++)
		write_segment(s, &t->segments[i]);
	if (s->kind == STREAM_TEXT)
		sn_buf_text(&s->out, t->text);
	write_end(s, t);
	*out = s->out;
	s->out = kept;
	sn_transcript_stream_close(&s);
	return SN_OK;
}

int sn_transcript_format(char **text, size_t *size, const sn_transcript *t, const char *format, const char *file, char *err) {
	const sn_transcript_options options = { .format = format, .file = file };
	return sn_transcript_write(text, size, t, &options, err);
}

int sn_transcript_write(char **text, size_t *size, const sn_transcript *t, const sn_transcript_options *options, char *err) {
	const sn_transcript_options o = options ? *options : (sn_transcript_options){ 0 };
	const char *const format = o.format ? o.format : "text";
	sn_cue_layout layout;
	sn_buf out;
	*text = NULL;
	if (!is_json(format) && kind_of(format) == STREAM_KINDS)
		return sn_fail(err, SN_E_ARGUMENT, "format \"%s\" is unknown; known are %s", format, SN_TRANSCRIPT_FORMATS);
	int result = sn_cue_layout_check(&layout, o.line_width, o.line_count, err);
	errno = 0;
	sn_buf_init(&out, MAX_OUTPUT);
	if (result == SN_OK && is_json(format))
		write_json(&out, t, *format == 'v', o.file);
	else if (result == SN_OK)
		result = format_stream(&out, t, &o, err);
	if (result == SN_OK && out.failed)
		result = sn_fail(err, out.failed, "the transcript is too long to be written at once");
	result = sn_fail_memory(result, err);
	if (result == SN_OK)
		*text = sn_buf_take(&out, size);
	else
		sn_buf_free(&out);
	return result;
}
