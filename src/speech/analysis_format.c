/* Analyses as text and JSON. */
#include "speech/quality_format.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT ((size_t)64 << 20)
#define LISTED 12 /* stretches of speech in a text */

static json_t *rounded(double value, double step) { return json_real(round(value / step) * step); }

static json_t *spectrum_json(const sn_analysis *a) {
	json_t *o = json_object(), *bands = json_array();
	for (int i = 0; i < a->band_count; i++)
		json_array_append_new(bands, json_pack("{s:f, s:o}", "center", (double)a->bands[i].center, "level",
			rounded((double)a->bands[i].level, 0.01)));
	json_object_set_new(o, "bands", bands);
	json_object_set_new(o, "centroid", rounded((double)a->centroid, 1));
	json_object_set_new(o, "rolloff", rounded((double)a->rolloff, 1));
	return o;
}

static json_t *pitch_json(const sn_analysis *a) {
	json_t *o = json_object();
	json_object_set_new(o, "median", rounded((double)a->pitch_median, 0.1));
	json_object_set_new(o, "low", rounded((double)a->pitch_low, 0.1));
	json_object_set_new(o, "high", rounded((double)a->pitch_high, 0.1));
	json_object_set_new(o, "share", rounded((double)a->pitched, 1e-4));
	return o;
}

static json_t *speech_json(const sn_analysis *a) {
	json_t *list = json_array();
	for (size_t i = 0; i < a->speech_count; i++)
		json_array_append_new(list, json_pack("{s:o, s:o}", "start", rounded(a->speech[i].start, 1e-3), "end",
			rounded(a->speech[i].end, 1e-3)));
	return list;
}

static json_t *words_json(const sn_transcript *t) {
	json_t *list = json_array();
	for (size_t i = 0; i < t->segment_count; i++)
		for (int k = 0; k < t->segments[i].word_count; k++) {
			const sn_word *const w = &t->segments[i].words[k];
			json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "word", sn_facts_name(w->text), "start",
				rounded(w->start, 1e-3), "end", rounded(w->end, 1e-3), "confidence", rounded((double)w->confidence, 1e-4)));
		}
	return list;
}

static json_t *analysis_json(const sn_analysis *a) {
	json_t *o = json_object(), *notes = json_array();
	json_object_set_new(o, "format", json_string(a->format));
	json_object_set_new(o, "quality", sn_quality_json(&a->quality));
	json_object_set_new(o, "crest", rounded((double)a->crest, 0.01));
	json_object_set_new(o, "crossings", rounded((double)a->crossings, 0.1));
	json_object_set_new(o, "spectrum", spectrum_json(a));
	json_object_set_new(o, "pitch", pitch_json(a));
	json_object_set_new(o, "speech", speech_json(a));
	json_object_set_new(o, "language", *a->language ? json_string(a->language) : json_null());
	json_object_set_new(o, "language_confidence", *a->language ? rounded((double)a->language_confidence, 1e-4) : json_null());
	if (a->transcript) {
		json_object_set_new(o, "text", sn_facts_name(a->transcript->text));
		json_object_set_new(o, "word_timestamps", words_json(a->transcript));
	}
	for (size_t i = 0; i < a->note_count; i++)
		json_array_append_new(notes, json_pack("{s:s, s:o}", "code", a->notes[i].code, "message",
			sn_facts_name(a->notes[i].message)));
	json_object_set_new(o, "notes", notes);
	json_object_set_new(o, "processing_time", rounded(a->processing_time, 1e-3));
	return o;
}

static void analysis_text(sn_buf *b, const sn_analysis *a) {
	sn_quality_text(b, &a->quality);
	sn_buf_printf(b, "%-16s %s\n%-16s", "format", a->format, "octaves (dBFS)");
	for (int i = 0; i < a->band_count; i++)
		sn_buf_printf(b, "%s %.0f Hz %.0f", i ? "," : "", (double)a->bands[i].center, (double)a->bands[i].level);
	sn_buf_printf(b, "\n%-16s centroid %.0f Hz, 95 %% below %.0f Hz, %.0f zero crossings a second, crest %.1f dB\n", "spectrum",
		(double)a->centroid, (double)a->rolloff, (double)a->crossings, (double)a->crest);
	if (a->pitch_median > 0)
		sn_buf_printf(b, "%-16s median %.0f Hz, mostly %.0f to %.0f Hz, in %.0f %% of the time\n", "pitch",
			(double)a->pitch_median, (double)a->pitch_low, (double)a->pitch_high, 100 * (double)a->pitched);
	for (size_t i = 0; i < a->speech_count && i < LISTED; i++)
		sn_buf_printf(b, "%-16s %8.2f to %8.2f s\n", i ? "" : "speech", a->speech[i].start, a->speech[i].end);
	if (a->speech_count > LISTED)
		sn_buf_printf(b, "%-16s and %zu more\n", "", a->speech_count - LISTED);
	if (*a->language)
		sn_buf_printf(b, "%-16s %s (%.0f %%)\n", "language", a->language, 100 * (double)a->language_confidence);
	if (a->transcript)
		sn_buf_printf(b, "%-16s %s\n", "text", a->transcript->text);
	for (size_t i = 0; i < a->note_count; i++)
		sn_buf_printf(b, "%-16s %s\n", i ? "" : "notes", a->notes[i].message);
}

int sn_analysis_format(char **text, size_t *size, const sn_analysis *analysis, const char *format, const char *file, char *err) {
	sn_buf b;
	*text = NULL;
	errno = 0;
	if (strcmp(format, "json") == 0)
		return sn_facts_write(text, size, analysis_json(analysis), file, err);
	if (strcmp(format, "text") != 0)
		return sn_fail(err, SN_E_ARGUMENT, "unknown format \"%.40s\"; known are text, json", format);
	sn_buf_init(&b, MAX_TEXT);
	if (file)
		sn_buf_printf(&b, "%s\n", file);
	analysis_text(&b, analysis);
	*text = sn_buf_take(&b, size);
	sn_buf_free(&b);
	return *text ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the text of an analysis");
}
