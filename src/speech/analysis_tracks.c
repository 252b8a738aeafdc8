/* What an analysis keeps of audio while it is heard: tracks over time that coarsen as it grows, and counts of pitches. */
#include "speech/analysis_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX SN_ANALYSIS_MAX_POINTS
#define HOP 160  /* samples of a frame */
#define BLOCK 64 /* mel frames computed at once */

/* ---- tracks ---- */

static int track_open(track *t, track_kind kind, int width) {
	*t = (track){ .kind = kind, .width = width, .merged = 1, .values = malloc((size_t)MAX * (size_t)width * sizeof(float)) };
	return t->values != NULL;
}

/* column, made of `weight` frames, takes those of `more` in. */
static void combine(const track *t, float *column, const float *more, float weight, float more_weight) {
	const float share = more_weight / (weight + more_weight);
	if (t->kind == TRACK_WAVE) {
		column[0] = fminf(column[0], more[0]);
		column[1] = fmaxf(column[1], more[1]);
		column[2] += (more[2] - column[2]) * share;
	} else if (t->kind == TRACK_PITCH) {
		/* Octave errors make means of nothing: the column keeps its first pitch. */
		column[0] = column[0] > 0 ? column[0] : more[0];
	} else {
		for (int i = 0; i < t->width; i++)
			column[i] += (more[i] - column[i]) * share;
	}
}

static void halve(track *t) {
	const size_t width = (size_t)t->width;
	for (int i = 0; i < t->count; i += 2) {
		float *const to = t->values + (size_t)(i / 2) * width;
		memmove(to, t->values + (size_t)i * width, width * sizeof *to);
		if (i + 1 < t->count)
			combine(t, to, t->values + (size_t)(i + 1) * width, 1, 1);
	}
	t->count = (t->count + 1) / 2;
	t->merged *= 2;
}

static void track_add(track *t, const float *frame) {
	float *const column = t->values + (size_t)t->count * (size_t)t->width;
	if (t->filled == 0)
		memcpy(column, frame, (size_t)t->width * sizeof *column);
	else
		combine(t, column, frame, (float)t->filled, 1);
	if (++t->filled < t->merged)
		return;
	t->filled = 0;
	if (++t->count == MAX)
		halve(t);
}

int sn_analysis_open_tracks(analysis *a, char *err) {
	if (!track_open(&a->waves, TRACK_WAVE, 3) || !track_open(&a->pitches, TRACK_PITCH, 1) ||
	    !track_open(&a->voices, TRACK_MEAN, 1) || !track_open(&a->mels, TRACK_MEAN, ANALYSIS_MELS))
		return sn_fail(err, SN_E_MEMORY, "no memory for an analysis");
	sn_pitch_init(&a->pitch);
	return sn_mel_open(&a->mel, ANALYSIS_MELS, err);
}

void sn_analysis_close_tracks(analysis *a) {
	free(a->waves.values);
	free(a->pitches.values);
	free(a->voices.values);
	free(a->mels.values);
	sn_mel_close(&a->mel);
}

/* ---- hearing ---- */

static void hear_waves(analysis *a, const float *pcm, size_t count) {
	for (size_t i = 0; i < count; i++) {
		a->low = a->wave_count ? fminf(a->low, pcm[i]) : pcm[i];
		a->high = a->wave_count ? fmaxf(a->high, pcm[i]) : pcm[i];
		a->square_sum += (double)pcm[i] * (double)pcm[i];
		if (++a->wave_count < HOP)
			continue;
		track_add(&a->waves, (float[]){ a->low, a->high, (float)(a->square_sum / HOP) });
		a->square_sum = a->wave_count = 0;
	}
}

static void hear_pitch(analysis *a, const float *pcm, size_t count) {
	float values[RATER_BLOCK / SN_PITCH_HOP + 2];
	const int made = sn_pitch_push(&a->pitch, pcm, count, values);
	for (int i = 0; i < made; i++) {
		track_add(&a->pitches, &values[i]);
		a->pitch_frames++;
		if (values[i] <= 0)
			continue;
		const double place = log2((double)values[i] / SN_PITCH_LOW) / log2((double)SN_PITCH_HIGH / SN_PITCH_LOW) * ANALYSIS_PITCHES;
		a->pitch_counts[place < 0 ? 0 : place < ANALYSIS_PITCHES ? (int)place : ANALYSIS_PITCHES - 1]++;
		a->pitched++;
	}
}

/* Mel frames whose samples are all there; at the end those that see zeros behind it, too. */
static void make_mels(analysis *a, int at_end) {
	float out[BLOCK * ANALYSIS_MELS];
	for (;;) {
		const int64_t end = a->tape_first + a->tape_count;
		const int64_t ready = at_end ? end / HOP : end < SN_MEL_CONTEXT ? 0 : (end - SN_MEL_CONTEXT) / HOP;
		int64_t frames = ready - a->mel_next;
		frames = frames < BLOCK ? frames : BLOCK;
		if (frames <= 0)
			return;
		const sn_mel_view view = { a->tape, a->tape_count, a->mel_next * HOP - a->tape_first };
		sn_mel_block(a->mel, &view, 0, frames, out);
		for (int64_t i = 0; i < frames; i++)
			track_add(&a->mels, out + i * ANALYSIS_MELS);
		a->mel_next += frames;
		const int64_t needed = a->mel_next * HOP - 2 * HOP, drop = needed > a->tape_first ? needed - a->tape_first : 0;
		a->tape_count -= drop;
		a->tape_first += drop;
		memmove(a->tape, a->tape + drop, (size_t)a->tape_count * sizeof *a->tape);
	}
}

void sn_analysis_hear(void *payload, const float *pcm, size_t count) {
	analysis *const a = payload;
	hear_waves(a, pcm, count);
	hear_pitch(a, pcm, count);
	if (a->heard) {
		const size_t room = ANALYSIS_LANGUAGE - a->heard_count, part = count < room ? count : room;
		memcpy(a->heard + a->heard_count, pcm, part * sizeof *pcm);
		a->heard_count += part;
	}
	while (count) {
		const size_t room = (size_t)(ANALYSIS_TAPE - a->tape_count), part = count < room ? count : room;
		memcpy(a->tape + a->tape_count, pcm, part * sizeof *pcm);
		a->tape_count += (int64_t)part;
		pcm += part;
		count -= part;
		make_mels(a, 0);
	}
}

void sn_analysis_voice(void *payload, int64_t first, const float *probabilities, int chunks) {
	analysis *const a = payload;
	for (int i = 0; i < chunks; i++)
		for (const int64_t end = first + (int64_t)(i + 1) * RATER_CHUNK; a->voice_frames * HOP + HOP / 2 < end; a->voice_frames++)
			track_add(&a->voices, &probabilities[i]);
}

void sn_analysis_speech(void *payload, int64_t start, int64_t end) {
	analysis *const a = payload;
	if (a->a.speech_count < SN_ANALYSIS_MAX_SPEECH)
		a->speech[a->a.speech_count++] = (sn_interval){ (double)start / SN_PITCH_RATE, (double)end / SN_PITCH_RATE };
	else
		a->speech_left_out++;
}

/* ---- the end ---- */

/* Pitch below which that share of the pitched time lies. */
static float quantile(const analysis *a, double share) {
	double sum = 0;
	int bin = 0;
	for (; bin < ANALYSIS_PITCHES - 1; bin++)
		if ((sum += (double)a->pitch_counts[bin]) >= share * (double)a->pitched)
			break;
	return a->pitched ? (float)(SN_PITCH_LOW * pow((double)SN_PITCH_HIGH / SN_PITCH_LOW, (bin + 0.5) / ANALYSIS_PITCHES)) : 0;
}

/* A column that is not whole counts, too; then as coarse as the coarsest. */
static void align(track *t, int64_t merged) {
	if (t->filled && t->count < MAX)
		t->count++;
	t->filled = 0;
	while (t->merged < merged)
		halve(t);
}

static float value(const track *t, int column, int index) {
	return column < t->count ? t->values[(size_t)column * (size_t)t->width + (size_t)index] : 0;
}

void sn_analysis_settle(analysis *a) {
	track *const tracks[] = { &a->waves, &a->pitches, &a->mels, &a->voices };
	int64_t merged = 1;
	if (a->wave_count)
		track_add(&a->waves, (float[]){ a->low, a->high, (float)(a->square_sum / a->wave_count) });
	make_mels(a, 1);
	for (int i = 0; i < 4; i++)
		merged = tracks[i]->merged > merged ? tracks[i]->merged : merged;
	for (int i = 0; i < 4; i++)
		align(tracks[i], merged);
	for (int i = 0; i < a->waves.count; i++)
		a->points[i] = (sn_analysis_point){ value(&a->waves, i, 0), value(&a->waves, i, 1),
			(float)sn_decibels((double)value(&a->waves, i, 2)), value(&a->pitches, i, 0), value(&a->voices, i, 0) };
	a->a.points = a->points;
	a->a.point_count = (size_t)a->waves.count;
	a->a.point_interval = (double)merged * HOP / SN_PITCH_RATE;
	a->a.pitch_median = quantile(a, 0.5);
	a->a.pitch_low = quantile(a, 0.05);
	a->a.pitch_high = quantile(a, 0.95);
	a->a.pitched = a->pitch_frames ? (float)a->pitched / (float)a->pitch_frames : 0;
}
