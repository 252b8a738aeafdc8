/* What a reply tells of the speech in it. */
#include "server/tts_speech.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double rounded(double value) { return round(value * 10000) / 10000; }

/* Texts of fixed size may end inside a character. */
static json_t *whole(const char *text) {
	size_t size = strlen(text);
	json_t *value = json_string(text);
	while (!value && size && ((unsigned char)text[size - 1] & 0x80))
		value = json_stringn(text, --size);
	return value ? value : json_string("");
}

static json_t *list_notes(const sn_speech *s) {
	json_t *const notes = json_array();
	for (int i = 0; i < s->note_count; i++)
		json_array_append_new(notes, json_pack("{s:s, s:o}", "code", s->notes[i].code, "message", whole(s->notes[i].message)));
	return notes;
}

static json_t *list_marks(const sn_speech *s) {
	json_t *const marks = json_array();
	for (int i = 0; i < s->mark_count && i < SN_SPEECH_MARKS; i++)
		json_array_append_new(marks, json_pack("{s:o, s:f}", "name", whole(s->marks[i].name), "time", rounded(s->marks[i].time)));
	return marks;
}

json_t *tts_facts_json(const tts_result *t) {
	const sn_speech *const s = &t->speech;
	json_t *const o = json_pack("{s:b, s:s, s:i, s:f, s:f, s:f, s:i, s:f, s:i, s:s, s:s, s:s, s:s, s:o, s:o}", "success", 1, "format",
		t->format, "sample_rate", t->rate, "duration", rounded(s->duration), "processing_time", rounded(s->processing_time), "first_audio",
		rounded(s->first_audio), "sentences", s->sentences, "quality_score", rounded((double)s->quality), "attempts", s->attempts, "model",
		s->model, "dtype", s->dtype, "voice", *s->voice ? s->voice : "default", "vocoder", s->vocoder, "marks", list_marks(s), "notes",
		list_notes(s));
	if (o && s->word_error_rate >= 0)
		json_object_set_new(o, "word_error_rate", json_real(rounded((double)s->word_error_rate)));
	return o;
}

static void set_number(json_t *o, const char *name, const char *format, double value) {
	char text[32];
	snprintf(text, sizeof text, format, value);
	json_object_set_new(o, name, json_string(text));
}

json_t *tts_facts_headers(const tts_result *t) {
	const sn_speech *const s = &t->speech;
	json_t *const o = json_pack("{s:s, s:s, s:s}", "X-Model", s->model, "X-Voice", *s->voice ? s->voice : "default", "X-Format", t->format);
	char notes[256] = "";
	if (!o)
		return NULL;
	set_number(o, "X-Duration", "%.4f", s->duration);
	set_number(o, "X-Sample-Rate", "%.0f", (double)t->rate);
	set_number(o, "X-Processing-Time", "%.4f", s->processing_time);
	if (s->quality > 0)
		set_number(o, "X-Quality-Score", "%.3f", (double)s->quality);
	if (s->word_error_rate >= 0)
		set_number(o, "X-Word-Error-Rate", "%.4f", (double)s->word_error_rate);
	for (int i = 0; i < s->note_count; i++)
		snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s%s", i ? ", " : "", s->notes[i].code);
	if (*notes)
		json_object_set_new(o, "X-Notes", json_string(notes));
	return o;
}

void tts_send_headers(sv_reply *reply, const json_t *headers) {
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)headers, name, value)
		sv_reply_header(reply, name, json_string_value(value));
}
