/* Ratings and other facts of audio as text and JSON. */
#include "speech/quality_format.h"

#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT ((size_t)64 << 20)

static double rounded(double value, double step) { return round(value / step) * step; }

static json_t *scores_json(const sn_scores *s) {
	return json_pack("{s:f, s:f, s:f, s:f, s:i}", "overall", rounded((double)s->overall, 1e-4),
	                 "signal", rounded((double)s->signal, 1e-4), "background", rounded((double)s->background, 1e-4),
	                 "p808", rounded((double)s->p808, 1e-4), "windows", s->windows);
}

json_t *sn_quality_json(const sn_quality *q) {
	const struct { const char *name; float value; double step; } facts[] = {
		{ "score", q->score, 1e-3 }, { "snr", q->snr, 0.01 }, { "noise_floor", q->noise_floor, 0.01 }, { "loudness", q->loudness, 0.01 },
		{ "loudness_range", q->loudness_range, 0.01 }, { "peak", q->peak, 0.01 }, { "true_peak", q->true_peak, 0.01 },
		{ "rms", q->rms, 0.01 }, { "dc", q->dc, 1e-6 }, { "clipping", q->clipping, 1e-8 }, { "silence", q->silence, 1e-4 },
		{ "bandwidth", q->bandwidth, 1 },
	};
	json_t *o = json_pack("{s:f, s:i, s:i}", "duration", rounded(q->duration, 1e-3), "sample_rate", q->sample_rate,
	                      "channels", q->channels);
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
		json_object_set_new(o, facts[i].name, json_real(rounded((double)facts[i].value, facts[i].step)));
	json_object_set_new(o, "clipped_runs", json_integer(q->clipped_runs));
	json_object_set_new(o, "speech", q->speech < 0 ? json_null() : json_real(rounded((double)q->speech, 1e-4)));
	json_object_set_new(o, "dnsmos", q->scores.windows ? scores_json(&q->scores) : json_null());
	if (q->personalised.windows)
		json_object_set_new(o, "dnsmos_personalised", scores_json(&q->personalised));
	json_object_set_new(o, "windows_possible", json_integer(q->windows_possible));
	json_t *problems = json_array();
	for (int i = 0; i < q->problem_count; i++)
		json_array_append_new(problems, json_pack("{s:s, s:s}", "code", q->problems[i].code, "message", q->problems[i].message));
	json_object_set_new(o, "problems", problems);
	return o;
}

static void scores_text(sn_buf *b, const char *name, const sn_scores *s, int possible) {
	if (s->windows)
		sn_buf_printf(b, "%-16s overall %.2f, signal %.2f, background %.2f, P.808 %.2f (%d of %d windows)\n", name,
		              (double)s->overall, (double)s->signal, (double)s->background, (double)s->p808, s->windows, possible);
}

void sn_quality_text(sn_buf *b, const sn_quality *q) {
	sn_buf_printf(b, "%-16s %.1f of 5\n", "score", (double)q->score);
	scores_text(b, "DNSMOS", &q->scores, q->windows_possible);
	scores_text(b, "personalised", &q->personalised, q->windows_possible);
	sn_buf_printf(b, "%-16s %.2f s, %d Hz, %d channel%s\n", "audio", q->duration, q->sample_rate, q->channels,
		q->channels == 1 ? "" : "s");
	sn_buf_printf(b, "%-16s %.1f LUFS, range %.1f LU\n", "loudness", (double)q->loudness, (double)q->loudness_range);
	sn_buf_printf(b, "%-16s peak %.1f dBFS, true peak %.1f dBTP, RMS %.1f dBFS\n", "levels", (double)q->peak,
		(double)q->true_peak, (double)q->rms);
	sn_buf_printf(b, "%-16s %.1f dB (noise floor %.1f dBFS)\n", "signal to noise", (double)q->snr, (double)q->noise_floor);
	sn_buf_printf(b, "%-16s %.3g %% of the samples in %lld places\n", "clipping", 100 * (double)q->clipping,
		(long long)q->clipped_runs);
	sn_buf_printf(b, "%-16s %.1f %% of the time", "silence", 100 * (double)q->silence);
	sn_buf_printf(b, q->speech < 0 ? "\n" : ", speech %.1f %%\n", 100 * (double)q->speech);
	sn_buf_printf(b, "%-16s %.0f Hz\n", "bandwidth", (double)q->bandwidth);
	for (int i = 0; i < q->problem_count; i++)
		sn_buf_printf(b, "%-16s %s\n", i ? "" : "problems", q->problems[i].message);
}

json_t *sn_facts_name(const char *file) {
	json_t *s = json_string(file);
	char *const copy = s ? NULL : strdup(file);
	for (char *c = copy; c && *c; c++)
		*c = (unsigned char)*c < 0x80 ? *c : '?';
	s = s ? s : json_string(copy ? copy : "");
	free(copy);
	return s;
}

int sn_facts_write(char **text, size_t *size, json_t *facts, const char *file, char *err) {
	json_t *const all = json_object();
	if (file)
		json_object_set_new(all, "file", sn_facts_name(file));
	json_object_update(all, facts);
	char *const line = sn_json_dumps(all, JSON_REAL_PRECISION(9));
	json_decref(all);
	json_decref(facts);
	sn_buf b;
	sn_buf_init(&b, MAX_TEXT);
	sn_buf_text(&b, line ? line : "");
	sn_buf_text(&b, "\n");
	*text = line ? sn_buf_take(&b, size) : NULL;
	sn_buf_free(&b);
	free(line);
	if (errno == ENOMEM) { /* what there was no memory for is left out */
		free(*text);
		*text = NULL;
	}
	return *text ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the text of the facts");
}

int sn_quality_format(char **text, size_t *size, const sn_quality *quality, const char *format, const char *file, char *err) {
	sn_buf b;
	*text = NULL;
	errno = 0;
	if (strcmp(format, "json") == 0)
		return sn_facts_write(text, size, sn_quality_json(quality), file, err);
	if (strcmp(format, "text") != 0)
		return sn_fail(err, SN_E_ARGUMENT, "unknown format \"%.40s\"; known are text, json", format);
	sn_buf_init(&b, MAX_TEXT);
	if (file)
		sn_buf_printf(&b, "%s\n", file);
	sn_quality_text(&b, quality);
	*text = sn_buf_take(&b, size);
	sn_buf_free(&b);
	return *text ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the text of a rating");
}
