/* Transcripts as text, subtitles and JSON. */
#include "base/buf.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OUTPUT ((size_t)512 << 20)
#define DIGITS 9 /* of JSON numbers, which are rounded before */
/* A subtitle of words: two usual lines, no longer than one can keep in mind, no pause inside. */
#define CUE_BYTES 84
#define CUE_SECONDS 7.0
#define CUE_PAUSE 1.5

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

static json_t *words_json(const sn_transcript *t) {
	json_t *words = json_array();
	for (size_t i = 0; i < t->segment_count; i++)
		for (int k = 0; k < t->segments[i].word_count; k++) {
			const sn_word *const w = &t->segments[i].words[k];
			json_array_append_new(words, json_pack("{s:o, s:o, s:o, s:o}", "word", lenient(w->text), "start", seconds(w->start), "end",
			                                       seconds(w->end), "confidence", fraction((double)w->confidence)));
		}
	return words;
}

static json_t *attempts_json(const sn_transcript *t) {
	json_t *attempts = json_array();
	for (int i = 0; i < t->attempt_count; i++) {
		const sn_attempt *const a = &t->attempts[i];
		json_array_append_new(attempts, json_pack("{s:o, s:s, s:o, s:b}", "model", lenient(a->model), "dtype", a->dtype, "confidence",
		                                          fraction((double)a->confidence), "kept", a->kept));
	}
	return attempts;
}

static json_t *transcript_json(const sn_transcript *t, int verbose, const char *file) {
	json_t *o = json_object(), *segments = json_array(), *notes = json_array();
	if (file)
		json_object_set_new(o, "file", lenient(file));
	json_object_set_new(o, "success", json_true());
	json_object_set_new(o, "text", lenient(t->text));
	json_object_set_new(o, "task", json_string(t->task));
	json_object_set_new(o, "language", json_string(t->language));
	json_object_set_new(o, "language_confidence", fraction((double)t->language_confidence));
	json_object_set_new(o, "avg_confidence", fraction((double)t->avg_confidence));
	json_object_set_new(o, "duration", seconds(t->duration));
	json_object_set_new(o, "processing_time", seconds(t->processing_time));
	json_object_set_new(o, "model", lenient(t->model));
	json_object_set_new(o, "dtype", json_string(t->dtype));
	for (size_t i = 0; i < t->segment_count; i++)
		json_array_append_new(segments, segment_json(&t->segments[i], verbose));
	json_object_set_new(o, "segments", segments);
	json_t *words = words_json(t);
	if (json_array_size(words))
		json_object_set(o, "word_timestamps", words);
	json_decref(words);
	for (size_t i = 0; i < t->note_count; i++)
		json_array_append_new(notes, json_pack("{s:s, s:o}", "code", t->notes[i].code, "message", lenient(t->notes[i].message)));
	json_object_set_new(o, "notes", notes);
	if (t->attempt_count > 1)
		json_object_set_new(o, "attempts", attempts_json(t));
	return o;
}

static int dump(const char *data, size_t size, void *payload) { return sn_buf_add(payload, data, size) == SN_OK ? 0 : -1; }

static void write_json(sn_buf *out, const sn_transcript *t, int verbose, const char *file) {
	json_t *o = transcript_json(t, verbose, file);
	json_dump_callback(o, dump, out, (verbose ? JSON_INDENT(2) : 0) | JSON_REAL_PRECISION(DIGITS));
	json_decref(o);
	sn_buf_text(out, "\n");
}

/* hours:minutes:seconds and milliseconds; WebVTT writes a point, SubRip a comma */
static void write_time(sn_buf *out, double t, char point) {
	long long ms = llround(t * 1000);
	sn_buf_printf(out, "%02lld:%02lld:%02lld%c%03lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, point, ms % 1000);
}

static const char *trimmed(const char *text) { return text + strspn(text, " "); }

static void write_cue(sn_buf *out, size_t *number, double start, double end, const char *text, size_t size, char point) {
	++*number;
	if (point == ',')
		sn_buf_printf(out, "%zu\n", *number);
	write_time(out, start, point);
	sn_buf_text(out, " --> ");
	write_time(out, end, point);
	sn_buf_printf(out, "\n%.*s\n\n", (int)size, text);
}

/* A segment whose words have times, cut where a subtitle gets too long. Words are found again in the text, which knows whether the
 * language puts spaces between them. 0: they are not all there. */
static int write_words(sn_buf *out, size_t *number, const sn_segment *s, char point) {
	const char *at = s->text, *begin = NULL, *end = NULL;
	for (int i = 0; i < s->word_count; i++) {
		if (!(at = strstr(at, s->words[i].text)))
			return 0;
		at += strlen(s->words[i].text);
	}
	at = s->text;
	int first = 0;
	for (int i = 0; i < s->word_count; i++) {
		const sn_word *const w = &s->words[i];
		const char *const word = strstr(at, w->text), *const stop = word + strlen(w->text);
		if (begin && (stop - begin > CUE_BYTES || w->end - s->words[first].start > CUE_SECONDS ||
		              w->start - s->words[i - 1].end > CUE_PAUSE)) {
			write_cue(out, number, s->words[first].start, s->words[i - 1].end, begin, (size_t)(end - begin), point);
			begin = NULL;
		}
		first = begin ? first : i;
		begin = begin ? begin : word;
		at = end = stop;
	}
	write_cue(out, number, s->words[first].start, s->words[s->word_count - 1].end, begin, (size_t)(end - begin), point);
	return 1;
}

static void write_subtitles(sn_buf *out, const sn_transcript *t, char point) {
	size_t number = 0;
	for (size_t i = 0; i < t->segment_count; i++) {
		const sn_segment *s = &t->segments[i];
		if (!s->word_count || !write_words(out, &number, s, point))
			write_cue(out, &number, s->start, s->end, trimmed(s->text), strlen(trimmed(s->text)), point);
	}
}

static void write_tsv(sn_buf *out, const sn_transcript *t) {
	sn_buf_text(out, "start\tend\ttext\n");
	for (size_t i = 0; i < t->segment_count; i++) {
		const sn_segment *s = &t->segments[i];
		sn_buf_printf(out, "%lld\t%lld\t", llround(s->start * 1000), llround(s->end * 1000));
		for (const char *c = trimmed(s->text); *c; c++)
			sn_buf_add(out, *c == '\t' ? " " : c, 1);
		sn_buf_text(out, "\n");
	}
}

int sn_transcript_format(char **text, size_t *size, const sn_transcript *t, const char *format, const char *file, char *err) {
	sn_buf out;
	*text = NULL;
	sn_buf_init(&out, MAX_OUTPUT);
	if (strcmp(format, "text") == 0)
		sn_buf_printf(&out, "%s\n", t->text);
	else if (strcmp(format, "json") == 0 || strcmp(format, "verbose_json") == 0)
		write_json(&out, t, *format == 'v', file);
	else if (strcmp(format, "srt") == 0)
		write_subtitles(&out, t, ',');
	else if (strcmp(format, "vtt") == 0) {
		sn_buf_text(&out, "WEBVTT\n\n");
		write_subtitles(&out, t, '.');
	} else if (strcmp(format, "tsv") == 0)
		write_tsv(&out, t);
	else
		return sn_fail(err, SN_E_ARGUMENT, "format \"%s\" is unknown; known are %s", format, SN_TRANSCRIPT_FORMATS);
	if (!out.size)
		sn_buf_text(&out, "\n");
	if (out.failed) {
		int result = sn_fail(err, out.failed, "the transcript is too long to be written at once");
		sn_buf_free(&out);
		return result;
	}
	*text = sn_buf_take(&out, size);
	return SN_OK;
}
