#include "speech/vad.h"

#include <math.h>

sn_vad_options sn_vad_silero_defaults(void) {
	return (sn_vad_options){ .threshold = 0.5, .neg_threshold = -1, .min_speech_ms = 250, .min_silence_ms = 100, .speech_pad_ms = 30,
	                         .max_cut_silence_ms = 98, .cut_at_longest = 1 };
}

sn_vad_options sn_vad_whisper_defaults(double max_speech_s) {
	return (sn_vad_options){ .threshold = 0.5, .neg_threshold = -1, .min_silence_ms = 2000, .speech_pad_ms = 400,
	                         .max_speech_s = max_speech_s, .max_cut_silence_ms = 98 };
}

void sn_vad_init(sn_vad *vad, const sn_vad_options *options, int rate) {
	const sn_vad_options *const o = options;
	*vad = (sn_vad){ .options = *o, .window = rate == 8000 ? 256 : 512 };
	vad->neg_threshold = o->neg_threshold >= 0 ? o->neg_threshold : fmax(o->threshold - 0.15, 0.01);
	vad->min_speech = (double)rate * o->min_speech_ms / 1000;
	vad->min_silence = (double)rate * o->min_silence_ms / 1000;
	vad->max_cut_silence = (double)rate * o->max_cut_silence_ms / 1000;
	vad->pad = (double)rate * o->speech_pad_ms / 1000;
	vad->max_speech = o->max_speech_s > 0 ? rate * o->max_speech_s - (double)vad->window - 2 * vad->pad : INFINITY;
}

/* Forgets everything about the segment that was just closed. */
static void clear_marks(sn_vad *vad) {
	vad->temp_end = vad->prev_end = vad->next_start = vad->best_end = vad->best_silence = 0;
}

/* Settles where the held segment ends, now that speech after it is known to begin at `next` (before padding): both are padded, or
 * they share the gap between them. Returns the padded start of the next one. */
static int64_t release(sn_vad *vad, int64_t next) {
	const int64_t gap = next - vad->held.end;
	const int shared = (double)gap < 2 * vad->pad;
	vad->held.end = shared ? vad->held.end + gap / 2 : (int64_t)((double)vad->held.end + vad->pad);
	vad->ready[vad->ready_count++] = vad->held;
	vad->waiting = 0;
	return shared ? next - gap / 2 : (int64_t)fmax(0, (double)next - vad->pad);
}

static void accept(sn_vad *vad, int64_t start, int64_t end) {
	const int64_t padded = vad->waiting ? release(vad, start) : (int64_t)fmax(0, (double)start - vad->pad);
	vad->held = (sn_vad_segment){ padded, end };
	vad->waiting = 1;
}

/* The segment has become too long at `now`. Returns 1 when a silence in it was the place of the cut. */
static int cut(sn_vad *vad, int64_t now) {
	const int longest = vad->options.cut_at_longest;
	const int64_t mark = longest ? vad->best_silence ? vad->best_end : 0 : vad->prev_end;
	const int64_t next = longest ? vad->best_end + vad->best_silence : vad->next_start;
	accept(vad, vad->start, mark ? mark : now);
	clear_marks(vad);
	vad->triggered = mark && next >= mark; /* speech has returned since */
	vad->start = next;
	return mark != 0;
}

static void mark_speech(sn_vad *vad, int64_t now) {
	const int64_t silence = now - vad->temp_end;
	if (!vad->temp_end) return;
	if ((double)silence > vad->max_cut_silence && silence > vad->best_silence) {
		vad->best_end = vad->temp_end;
		vad->best_silence = silence;
	}
	vad->temp_end = 0;
	if (vad->next_start < vad->prev_end) vad->next_start = now;
}

static void mark_silence(sn_vad *vad, int64_t now) {
	if (!vad->temp_end) vad->temp_end = now;
	const int64_t silence = now - vad->temp_end;
	if ((double)silence > vad->max_cut_silence) vad->prev_end = vad->temp_end;
	if ((double)silence < vad->min_silence) return;
	if ((double)(vad->temp_end - vad->start) > vad->min_speech) accept(vad, vad->start, vad->temp_end);
	clear_marks(vad);
	vad->triggered = 0;
}

static void step(sn_vad *vad, float probability, int64_t now) {
	const int speech = probability >= vad->options.threshold;
	if (speech) mark_speech(vad, now);
	if (speech && !vad->triggered) {
		vad->triggered = 1;
		vad->start = now;
		return;
	}
	if (vad->triggered && (double)(now - vad->start) > vad->max_speech && !cut(vad, now)) return;
	if (probability < vad->neg_threshold && vad->triggered) mark_silence(vad, now);
}

void sn_vad_push(sn_vad *vad, float probability) {
	const int64_t now = vad->sample;
	vad->sample += vad->window;
	step(vad, probability, now);
	/* The held segment need not wait for a neighbour that can only come after the padding of both. */
	const int64_t next = vad->triggered ? vad->start : now;
	if (vad->waiting && (double)(next - vad->held.end) >= 2 * vad->pad) release(vad, next);
}

void sn_vad_finish(sn_vad *vad, int64_t samples) {
	if (vad->triggered && (double)(samples - vad->start) > vad->min_speech) accept(vad, vad->start, samples);
	vad->triggered = 0;
	if (!vad->waiting) return;
	vad->held.end = (int64_t)fmin((double)samples, (double)vad->held.end + vad->pad);
	vad->ready[vad->ready_count++] = vad->held;
	vad->waiting = 0;
}

int sn_vad_next(sn_vad *vad, sn_vad_segment *out) {
	if (vad->ready_count == 0) return 0;
	*out = vad->ready[0];
	for (int i = 1; i < vad->ready_count; i++) vad->ready[i - 1] = vad->ready[i];
	vad->ready_count--;
	return 1;
}

int64_t sn_vad_settled(const sn_vad *vad) {
	const int64_t next = vad->triggered ? vad->start : vad->sample;
	return vad->waiting ? vad->held.start : (int64_t)fmax(0, (double)next - vad->pad);
}
