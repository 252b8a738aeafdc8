/* The picture of an analysis: panels one below the other over one axis of time. */
#include "speech/analysis_internal.h"
#include "speech/plot.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_WIDTH 1600
#define DEFAULT_HEIGHT 900
#define MIN_WIDTH 480
#define MIN_HEIGHT 360
#define MAX_SIDE 8192
#define LANES 24          /* most lines of words */

#define PAPER 0x11151bu
#define PANEL 0x181e27u
#define GRID 0x2a3340u
#define INK 0xdfe5ecu
#define FAINT 0x8e9bacu
#define WAVE 0x3f8fd2u
#define LEVEL 0x9fd3ffu
#define SPEECH 0x45c486u
#define PITCH 0x6ff2f0u
#define WORD 0xf3b84bu

typedef struct panel { int top, bottom; } panel;

typedef struct view {
	const analysis *a;
	sn_plot plot;
	int scale, left, right; /* dots of the letters; the panels' sides */
	double duration;
} view;

static double x_of(const view *v, double seconds) { return v->left + seconds / v->duration * (v->right - v->left); }

__attribute__((format(printf, 6, 7))) static int label(view *v, int x, int y, int align, uint32_t color, const char *format, ...) {
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	const int width = sn_plot_text_width(text, sizeof text, v->scale);
	sn_plot_text(&v->plot, x - (align > 0 ? width : align < 0 ? 0 : width / 2), y, text, sizeof text, v->scale, color);
	return width;
}

static void frame(view *v, const panel *p, const char *name) {
	sn_plot_box(&v->plot, v->left, p->top, v->right, p->bottom, PANEL, 1);
	label(v, v->left, p->top - 9 * v->scale, -1, FAINT, "%s", name);
}

/* A mark on the left axis with a line through the panel. */
static void rule(view *v, double y, const char *text) {
	sn_plot_box(&v->plot, v->left, y, v->right, y + 1, GRID, 1);
	label(v, v->left - 4 * v->scale, (int)y - 3 * v->scale, 1, FAINT, "%s", text);
}

/* ---- time ---- */

/* The least of 1, 2, 5, ... (beyond a minute 15, 30, 60, ...) seconds at which labels stand apart. */
static double tick_step(const view *v) {
	static const double steps[] = { 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600,
		900, 1800, 3600, 7200, 14400, 36000 };
	const double room = 12.0 * SN_PLOT_GLYPH_WIDTH * v->scale / (v->right - v->left) * v->duration;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (steps[i] >= room)
			return steps[i];
	return 86400;
}

static void time_text(char text[32], double t, double step, double duration) {
	const int whole = (int)(t + 0.5);
	if (duration >= 3600)
		snprintf(text, 32, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
	else if (duration >= 120)
		snprintf(text, 32, "%d:%02d", whole / 60, whole % 60);
	else
		snprintf(text, 32, "%.*f s", step >= 1 ? 0 : step >= 0.1 ? 1 : step >= 0.01 ? 2 : 3, t);
}

static void draw_time(view *v, const panel *panels, int count) {
	const double step = tick_step(v);
	const int bottom = panels[count - 1].bottom;
	for (int i = 0; i * step <= v->duration * (1 + 1e-9); i++) {
		char text[32];
		const double x = x_of(v, i * step);
		for (int p = 0; p < count; p++)
			sn_plot_box(&v->plot, x, panels[p].top, x + 1, panels[p].bottom, 0xffffff, 0.07);
		sn_plot_box(&v->plot, x, bottom, x + 1, bottom + 3 * v->scale, FAINT, 1);
		time_text(text, i * step, step, v->duration);
		label(v, (int)x, bottom + 5 * v->scale, i == 0 ? -1 : x > v->right - 30 ? 1 : 0, FAINT, "%s", text);
	}
}

/* ---- waveform ---- */

/* Points under pixel column x: [*from, *to), at least one. */
static void points_at(const view *v, int x, size_t *from, size_t *to) {
	const double per_pixel = v->duration / (v->right - v->left), at = (x - v->left) * per_pixel;
	const size_t count = v->a->a.point_count;
	*from = (size_t)(at / v->a->a.point_interval);
	*to = (size_t)ceil((at + per_pixel) / v->a->a.point_interval);
	*from = *from < count ? *from : count - 1;
	*to = *to > count ? count : *to > *from ? *to : *from + 1;
}

static void draw_wave(view *v, const panel *p) {
	const sn_analysis_point *const points = v->a->a.points;
	double most = 0.01;
	for (size_t i = 0; i < v->a->a.point_count; i++)
		most = fmax(most, fmax(fabs((double)points[i].low), fabs((double)points[i].high)));
	const double middle = (p->top + p->bottom) / 2.0, unit = (p->bottom - p->top) / 2.0 / (most * 1.06);
	char text[32];
	double mark = 1;
	while (mark > most)
		mark /= 2;
	frame(v, p, "waveform");
	for (int side = -1; side <= 1; side++) {
		snprintf(text, sizeof text, "%.3g", side * mark);
		rule(v, middle - side * mark * unit, text);
	}
	for (int x = v->left; x < v->right; x++) {
		size_t from, to;
		points_at(v, x, &from, &to);
		double low = 1e9, high = -1e9, power = 0;
		for (size_t i = from; i < to; i++) {
			low = fmin(low, (double)points[i].low);
			high = fmax(high, (double)points[i].high);
			power += pow(10, (double)points[i].level / 10) / (double)(to - from);
		}
		const double rms = power > 2e-10 ? sqrt(power) : 0;
		sn_plot_box(&v->plot, x, middle - high * unit - 0.5, x + 1, middle - low * unit + 0.5, WAVE, 1);
		sn_plot_box(&v->plot, x, middle - fmin(rms, high) * unit, x + 1, middle + fmin(rms, -low) * unit, LEVEL, 0.75);
	}
}

/* Behind the waveform's samples, so that silence and speech are seen at a glance. */
static void shade_speech(view *v, const panel *p) {
	for (size_t i = 0; i < v->a->a.speech_count; i++)
		sn_plot_box(&v->plot, x_of(v, v->a->a.speech[i].start), p->top, x_of(v, v->a->a.speech[i].end), p->bottom, SPEECH, 0.13);
}

/* ---- spectrogram ---- */

static uint32_t heat(double value) {
	static const uint8_t stops[][3] = { { 10, 12, 24 }, { 38, 22, 80 }, { 92, 26, 120 }, { 150, 40, 124 }, { 206, 64, 106 },
		{ 244, 112, 82 }, { 253, 176, 98 }, { 252, 244, 190 } };
	const int last = (int)(sizeof stops / sizeof *stops) - 1;
	const double at = fmin(fmax(value, 0), 1) * last;
	const int i = at >= last ? last - 1 : (int)at;
	uint32_t color = 0;
	for (int k = 0; k < 3; k++)
		color = color << 8 | (uint32_t)(stops[i][k] + (stops[i + 1][k] - stops[i][k]) * (at - i) + 0.5);
	return color;
}

/* Slaney's scale, on which the filters lie. */
static double mel_of(double hz) { return hz < 1000 ? hz * 3 / 200 : 15 + log(hz / 1000) * 27 / log(6.4); }
static double row_of(const panel *p, double hz) {
	const double filter = mel_of(hz) / mel_of(SN_MEL_RATE / 2.0) * (ANALYSIS_MELS + 1) - 1;
	return p->bottom - (filter + 0.5) / ANALYSIS_MELS * (p->bottom - p->top);
}

static double mel_at(const track *t, double column, double filter) {
	const int c = (int)fmin(fmax(column, 0), t->count - 1), f = (int)fmin(fmax(filter, 0), ANALYSIS_MELS - 1);
	const int c1 = c + 1 < t->count ? c + 1 : c, f1 = f + 1 < ANALYSIS_MELS ? f + 1 : f;
	const double across = fmin(fmax(column - c, 0), 1), up = fmin(fmax(filter - f, 0), 1);
	const float *const a = t->values + (size_t)c * ANALYSIS_MELS, *const b = t->values + (size_t)c1 * ANALYSIS_MELS;
	return ((double)a[f] * (1 - up) + (double)a[f1] * up) * (1 - across) + ((double)b[f] * (1 - up) + (double)b[f1] * up) * across;
}

/* The loudest value, and how far below it the picture reaches: to the quiet parts, 40 to 80 dB. */
static void mel_range(const track *t, double *top, double *range) {
	double sum = 0;
	*top = -10;
	for (int64_t i = 0; i < (int64_t)t->count * ANALYSIS_MELS; i++) {
		*top = fmax(*top, (double)t->values[i]);
		sum += (double)t->values[i];
	}
	const double mean = t->count ? sum / ((double)t->count * ANALYSIS_MELS) : -10;
	*range = fmin(fmax(2 * (*top - mean), 4), 8);
}

static void draw_pitch(view *v, const panel *p) {
	const sn_analysis *const a = &v->a->a;
	for (size_t i = 1; i < a->point_count; i++) {
		const double from = (double)a->points[i - 1].pitch, to = (double)a->points[i].pitch;
		const double x0 = x_of(v, ((double)i - 0.5) * a->point_interval), x1 = x_of(v, ((double)i + 0.5) * a->point_interval);
		if (from > 0 && to > 0 && fabs(log2(to / from)) < 0.3)
			sn_plot_line(&v->plot, x0, row_of(p, from), x1, row_of(p, to), v->scale, PITCH, 0.9);
	}
}

static void draw_spectrogram(view *v, const panel *p) {
	static const int marks[] = { 100, 250, 500, 1000, 2000, 4000, 8000 };
	const track *const t = &v->a->mels;
	double top, range;
	mel_range(t, &top, &range);
	frame(v, p, "log-mel spectrogram, Hz");
	for (int x = v->left; x < v->right && t->count; x++) {
		const double column = (x + 0.5 - v->left) / (v->right - v->left) * v->duration / v->a->a.point_interval - 0.5;
		for (int y = p->top; y < p->bottom; y++) {
			const double filter = (p->bottom - y - 0.5) / (p->bottom - p->top) * ANALYSIS_MELS - 0.5;
			sn_plot_pixel(&v->plot, x, y, heat(1 + (mel_at(t, column, filter) - top) / range), 1);
		}
	}
	double last = p->bottom + 9.0 * v->scale; /* where the label before stands */
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		const double y = fmin(fmax(row_of(p, marks[i]), p->top), p->bottom - 1);
		if (last - y < 9 * v->scale)
			continue;
		last = y;
		sn_plot_box(&v->plot, v->left - 2 * v->scale, y, v->left, y + 1, FAINT, 1);
		label(v, v->left - 4 * v->scale, (int)y - 3 * v->scale, 1, FAINT, marks[i] < 1000 ? "%d" : "%dk",
			marks[i] < 1000 ? marks[i] : marks[i] / 1000);
	}
	draw_pitch(v, p);
}

/* ---- speech ---- */

static void draw_speech(view *v, const panel *p) {
	const sn_analysis *const a = &v->a->a;
	const double bar = 4.0 * v->scale, floor = p->bottom, unit = p->bottom - p->top - bar - v->scale;
	frame(v, p, "speech: probability, stretches");
	for (int k = 0; k <= 2; k++)
		rule(v, fmin(floor - k * 0.5 * unit, floor - 1), k == 0 ? "0" : k == 1 ? ".5" : "1");
	double last = floor;
	for (int x = v->left; x < v->right; x++) {
		size_t from, to;
		double sum = 0;
		points_at(v, x, &from, &to);
		for (size_t i = from; i < to; i++)
			sum += (double)a->points[i].speech / (double)(to - from);
		const double y = floor - sum * unit;
		sn_plot_box(&v->plot, x, y, x + 1, floor, SPEECH, 0.3);
		if (x > v->left)
			sn_plot_line(&v->plot, x - 0.5, last, x + 0.5, y, 1.2 * v->scale, SPEECH, 0.9);
		last = y;
	}
	for (size_t i = 0; i < a->speech_count; i++)
		sn_plot_box(&v->plot, x_of(v, a->speech[i].start), p->top, x_of(v, a->speech[i].end), p->top + bar, SPEECH, 1);
}

/* ---- words ---- */

typedef struct lanes {
	int count, pitch, top;   /* lines; pixels from one to the next */
	double ends[LANES];      /* where the last text of each ends */
	int scale;
} lanes;

/* A bar where the word is, and its text below it in the first line with room; without room only the bar. */
static void draw_word(view *v, const panel *p, lanes *l, const char *text, double start, double end, float confidence) {
	const double x0 = x_of(v, start), x1 = fmax(x_of(v, end), x0 + 1), bar = 4.0 * v->scale, gap = 4.0 * l->scale;
	text += strspn(text, " ");
	const double width = sn_plot_text_width(text, strlen(text), l->scale);
	const double x = fmin(x0, v->right - width);
	sn_plot_box(&v->plot, x0, p->top, x1 - fmin(1, (x1 - x0) / 4), p->top + bar, WORD, 0.35 + 0.65 * (double)confidence);
	for (int i = 0; i < l->count; i++) {
		if (l->ends[i] + gap > x)
			continue;
		const int y = l->top + i * l->pitch;
		sn_plot_box(&v->plot, x0, p->top + bar, x0 + 1, y + SN_PLOT_GLYPH_HEIGHT * l->scale, WORD, 0.28);
		sn_plot_text(&v->plot, (int)x + (x >= x0 ? 3 : 0), y, text, strlen(text), l->scale, INK);
		l->ends[i] = x + width;
		return;
	}
}

static void draw_words(view *v, const panel *p) {
	const sn_transcript *const t = v->a->a.transcript;
	lanes l = { .scale = v->scale };
	double width = 0;
	frame(v, p, "words");
	for (size_t i = 0; i < t->segment_count; i++)
		width += sn_plot_text_width(t->segments[i].text, strlen(t->segments[i].text), v->scale);
	/* Letters half as large where lines of full size would not hold them all. */
	const int top = p->top + 7 * v->scale;
	if (l.scale > 1 && width > 0.8 * (v->right - v->left) * ((p->bottom - top) / (10 * l.scale)))
		l.scale--;
	l.top = top;
	l.pitch = 10 * l.scale;
	l.count = (p->bottom - top) / l.pitch;
	l.count = l.count < LANES ? l.count : LANES;
	for (int i = 0; i < l.count; i++)
		l.ends[i] = v->left - 100;
	for (size_t i = 0; i < t->segment_count; i++) {
		const sn_segment *const s = &t->segments[i];
		for (int k = 0; k < s->word_count; k++)
			draw_word(v, p, &l, s->words[k].text, s->words[k].start, s->words[k].end, s->words[k].confidence);
		if (!s->word_count)
			draw_word(v, p, &l, s->text, s->start, s->end, s->confidence);
	}
}

/* ---- the whole ---- */

static int legend_item(view *v, int x, int y, uint32_t color, const char *name) {
	const int side = SN_PLOT_GLYPH_HEIGHT * v->scale;
	x -= label(v, x, y, 1, FAINT, "%s", name) + 4 * v->scale + side;
	sn_plot_box(&v->plot, x, y, x + side, y + side, color, 1);
	return x - 8 * v->scale;
}

static void draw_head(view *v, const char *title) {
	const sn_analysis *const a = &v->a->a;
	const sn_quality *const q = &a->quality;
	const int first = 6 * v->scale, second = 18 * v->scale;
	char facts[160];
	snprintf(facts, sizeof facts, "%.2f s  %d Hz  %.1f LUFS  SNR %.0f dB%s%s%s", q->duration, q->sample_rate, (double)q->loudness,
		(double)q->snr, *a->language ? "  " : "", a->language, q->clipping > 1e-4f ? "  clipped" : "");
	const int width = label(v, v->right, first, 1, FAINT, "%s", facts);
	const int room = (v->right - width - v->left) / (SN_PLOT_GLYPH_WIDTH * v->scale) - 2;
	label(v, v->left, first, -1, INK, "%.*s", room > 0 ? room : 0, title ? title : "");
	int x = v->right;
	if (a->transcript)
		x = legend_item(v, x, second, WORD, "words");
	x = legend_item(v, x, second, SPEECH, "speech");
	x = legend_item(v, x, second, PITCH, "pitch");
	x = legend_item(v, x, second, LEVEL, "RMS");
	x = legend_item(v, x, second, WAVE, "samples");
	const int bar = 40 * v->scale, side = SN_PLOT_GLYPH_HEIGHT * v->scale;
	double top, range;
	mel_range(&v->a->mels, &top, &range);
	x -= label(v, x, second, 1, FAINT, "0 dB") + 3 * v->scale + bar;
	for (int i = 0; i < bar; i++)
		sn_plot_box(&v->plot, x + i, second, x + i + 1, second + side, heat((double)i / bar), 1);
	label(v, x - 3 * v->scale, second, 1, FAINT, "%.0f", -10 * range);
}

static void draw(view *v, const char *title) {
	const int words = v->a->a.transcript && v->a->a.transcript->segment_count;
	const double shares[] = { 0.24, words ? 0.48 : 0.57, words ? 0.13 : 0.19, words ? 0.15 : 0 };
	const int count = words ? 4 : 3, gap = 13 * v->scale, head = 29 * v->scale, foot = 16 * v->scale;
	const double room = v->plot.height - head - foot - count * gap;
	panel panels[4];
	double y = head;
	v->left = 38 * v->scale;
	v->right = v->plot.width - 12 * v->scale;
	for (int i = 0; i < count; i++) {
		panels[i].top = (int)(y + gap);
		panels[i].bottom = (int)(panels[i].top + shares[i] * room);
		y = panels[i].bottom;
	}
	draw_head(v, title);
	draw_wave(v, &panels[0]);
	shade_speech(v, &panels[0]);
	draw_spectrogram(v, &panels[1]);
	draw_speech(v, &panels[2]);
	if (words)
		draw_words(v, &panels[3]);
	draw_time(v, panels, count);
}

int sn_analysis_plot(const sn_analysis *held, const char *path, int width, int height, const char *title, char *err) {
	view v = { .a = (const analysis *)held, .duration = held->quality.duration };
	width = width ? width : DEFAULT_WIDTH;
	height = height ? height : DEFAULT_HEIGHT;
	if (width < MIN_WIDTH || height < MIN_HEIGHT || width > MAX_SIDE || height > MAX_SIDE)
		return sn_fail(err, SN_E_ARGUMENT, "a picture of %d x %d pixels; %d x %d to %d x %d are possible", width, height,
			MIN_WIDTH, MIN_HEIGHT, MAX_SIDE, MAX_SIDE);
	v.scale = width >= 2800 && height >= 1600 ? 4 : width >= 1100 && height >= 620 ? 2 : 1;
	int result = sn_plot_open(&v.plot, width, height, PAPER, err);
	if (result != SN_OK)
		return result;
	draw(&v, title);
	result = sn_plot_write(&v.plot, path, err);
	sn_plot_close(&v.plot);
	return result;
}
