#include "speech/align_silence.h"

#include <math.h>
#include <string.h>

#define FRAME 0.01        /* seconds of a level */
#define HIGH_SHARE 0.95f  /* of levels that lie below what counts as the loudest and the quietest */
#define LOW_SHARE 0.05f
#define QUIET_SHARE 0.35f /* of the range between them that is quiet */
#define QUIET_MOST 40.0f  /* decibels by which it lies below the loudest, at most */
#define QUIET_LEAST 12.0f
#define SLOPE 10.0f       /* decibels from silence to speech */
#define SPAN 5            /* frames compared before and after an onset */
#define RISE 25.0f        /* decibels of a full onset */
#define RANGE 45.0f       /* below the loudest everything counts alike */
#define SHORTEST 0.04     /* seconds that trimming leaves of a word */

void sn_align_measure(sn_align_levels *levels, const sn_mel_view *view, int64_t frames) {
	levels->count = frames < SN_ALIGN_MAX_LEVELS ? (int)frames : SN_ALIGN_MAX_LEVELS;
	memset(levels->speech, 255, sizeof levels->speech);
	for (int i = 0; i < levels->count; i++) {
		const int64_t first = view->origin + (int64_t)i * SN_MEL_HOP;
		float sum = 0;
		for (int64_t k = first < 0 ? 0 : first; k < first + SN_MEL_HOP && k < view->count; k++)
			sum += view->samples[k] * view->samples[k];
		const float level = -20 * log10f(sum / SN_MEL_HOP + 1e-13f); /* half decibels: twice 10 log10 of the power */
		levels->level[i] = level < 0 ? 0 : level > 255 ? 255 : (uint8_t)level;
	}
}

static float decibels(const sn_align_levels *l, int i) { return -0.5f * (float)l->level[i < l->count ? i : l->count - 1]; }
static float between(float x, float least, float most) { return x < least ? least : x > most ? most : x; }

/* The level below which lies that share of the frames that are not below `least`. */
static float level_at(const sn_align_levels *l, float share, float least) {
	const int last = (int)between(-2 * least, 0, 255);
	int counts[256] = { 0 }, all = 0, below = 0, level = last;
	for (int i = 0; i < l->count; i++)
		counts[l->level[i]]++;
	for (int i = 0; i <= last; i++)
		all += counts[i];
	while (level > 0 && (float)(below += counts[level]) < share * (float)all)
		level--;
	return -0.5f * (float)level;
}

/* Decibels below which a frame is quiet. Silence beside the recording, as a cut or a gap leaves it, tells nothing of its noise. */
static float quiet_below(const sn_align_levels *l) {
	const float top = level_at(l, HIGH_SHARE, -128), floor = level_at(l, LOW_SHARE, top - RANGE);
	return between(floor + QUIET_SHARE * (top - floor), top - QUIET_MOST, top - QUIET_LEAST);
}

/* 0 to 1 */
static float speech_in(const sn_align_levels *l, int i, float quiet) {
	const float loud = between((decibels(l, i) - quiet) / SLOPE + 0.5f, 0, 1);
	const float voice = between((float)l->speech[i < l->count ? i : l->count - 1] / 127.5f, 0, 1); /* one from a half on */
	return loud < voice ? loud : voice;
}

void sn_align_hear(const sn_align_levels *l, int steps, float *speech, float *onset) {
	for (int t = 0; t < steps; t++)
		speech[t] = 1, onset[t] = 0;
	if (!l || !l->count)
		return;
	const float quiet = quiet_below(l), top = level_at(l, HIGH_SHARE, -128);
	float sum[SN_ALIGN_MAX_LEVELS + 1] = { 0 };
	for (int i = 0; i < l->count; i++)
		sum[i + 1] = sum[i] + between(decibels(l, i), top - RANGE, top);
	for (int t = 0; t < steps; t++) {
		const int at = 2 * t < l->count ? 2 * t : l->count - 1, before = at > SPAN ? at - SPAN : 0;
		const int after = at + SPAN < l->count ? at + SPAN : l->count;
		const float first = speech_in(l, 2 * t, quiet), second = speech_in(l, 2 * t + 1, quiet);
		speech[t] = first > second ? first : second;
		if (before < at)
			onset[t] = between((sum[after] - sum[at]) / (float)(after - at) - (sum[at] - sum[before]) / (float)(at - before), 0, RISE) / RISE;
	}
}

/* ---- trimming ---- */

static int is_silent(const sn_align_levels *l, double seconds, float quiet) {
	const int i = (int)(seconds / FRAME + 0.5);
	return i >= 0 && i < l->count && speech_in(l, i, quiet) <= 0;
}

static void trim(const sn_align_levels *l, sn_aligned_word *w, float quiet) {
	while (w->stop - w->start > SHORTEST && is_silent(l, w->start, quiet))
		w->start += FRAME;
	while (w->stop - w->start > SHORTEST && is_silent(l, w->stop - FRAME, quiet))
		w->stop -= FRAME;
}

/* A word that lies across a joint stays on the side that has more of it. */
static void leave_joint(sn_aligned_word *w, double joint) {
	if (joint <= w->start || joint >= w->stop)
		return;
	if (joint - w->start > w->stop - joint)
		w->stop = joint;
	else
		w->start = joint;
}

void sn_align_trim(const sn_align_sequence *s, sn_aligned_word *words, int count) {
	const float quiet = s->levels && s->levels->count ? quiet_below(s->levels) : 0;
	const double whole = (double)s->frames * FRAME;
	double least = 0;
	for (int i = 0; i < count; i++) {
		sn_aligned_word *w = &words[i];
		for (int k = 0; k < s->joint_count; k++)
			leave_joint(w, (double)s->joints[k] / SN_MEL_RATE);
		if (s->levels && s->levels->count)
			trim(s->levels, w, quiet);
		w->start = fmin(fmax(w->start, least), whole);
		w->stop = fmin(fmax(w->stop, w->start), whole);
		if (i + 1 < count && w->stop > words[i + 1].start)
			w->stop = fmax(w->start, words[i + 1].start);
		least = w->stop;
	}
}
