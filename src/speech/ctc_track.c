#include "speech/ctc_track.h"

#include <stdlib.h>
#include <string.h>

struct sn_ctc_track {
	sn_ctc_track_options options;
	float *rows;              /* [room, size]: frames first .. first + count of the track */
	int32_t *best;            /* [room] their likeliest letters */
	int room;
	int64_t first;
	int count, fixed;         /* fixed: frames that no later window replaces */
	int used;                 /* frames at the front that the last cut has given away */
	int spaces;               /* delimiters passed since the last segment */
	int32_t before;           /* likeliest letter of the frame before `first` */
	int ended;
};

int sn_ctc_track_open(sn_ctc_track **out, const sn_ctc_track_options *o, char *err) {
	*out = NULL;
	if (o->size < 2 || o->window < 1 || o->overlap < 0 || o->overlap >= o->window || 2 * o->margin > o->overlap || o->most < 2)
		return sn_fail(err, SN_E_ARGUMENT, "windows of %d frames cannot overlap by %d with margins of %d", o->window, o->overlap, o->margin);
	sn_ctc_track *t = calloc(1, sizeof *t);
	if (t) {
		t->options = *o;
		t->room = o->most + o->window; /* what is fixed is cut before it is longer than `most` */
		t->rows = malloc((size_t)t->room * (size_t)o->size * sizeof *t->rows);
		t->best = malloc((size_t)t->room * sizeof *t->best);
		t->before = o->blank;
	}
	if (t && (!t->rows || !t->best))
		sn_ctc_track_close(&t);
	*out = t;
	return t ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for %d frames", o->most + o->window);
}

void sn_ctc_track_close(sn_ctc_track **held) {
	sn_ctc_track *t = *held;
	*held = NULL;
	if (!t)
		return;
	free(t->rows);
	free(t->best);
	free(t);
}

static int32_t likeliest(const float *row, int size) {
	int best = 0;
	for (int v = 1; v < size; v++)
		if (row[v] > row[best])
			best = v;
	return best;
}

/* Forgets the frames of the last cut. */
static void drop_used(sn_ctc_track *t) {
	const size_t size = (size_t)t->options.size;
	if (!t->used)
		return;
	t->before = t->best[t->used - 1];
	t->first += t->used;
	t->count -= t->used;
	t->fixed -= t->used;
	memmove(t->rows, t->rows + (size_t)t->used * size, (size_t)t->count * size * sizeof *t->rows);
	memmove(t->best, t->best + t->used, (size_t)t->count * sizeof *t->best);
	t->used = 0;
}

/* Where in the frames [from, to) that both windows have the new one takes over: `mine` is what the track has, `theirs` the window's. */
static int find_seam(const sn_ctc_track *t, const int32_t *mine, const float *theirs, int count) {
	const int margin = t->options.margin < count / 2 ? t->options.margin : count / 2;
	int seam = count / 2, longest = 0;
	for (int i = margin, run = 0, quiet = 0; i <= count - margin; i++) {
		const int in = i < count - margin;
		const int agrees = in && mine[i] == likeliest(theirs + (int64_t)i * t->options.size, t->options.size);
		const int blank = in && mine[i] == t->options.blank;
		if (run && (!agrees || blank != quiet)) {
			const int weight = quiet ? run + count : run; /* any blanks before any letters */
			if (weight > longest) {
				longest = weight;
				seam = i - run + run / 2;
			}
			run = 0;
		}
		quiet = blank;
		run += agrees;
	}
	return seam;
}

void sn_ctc_track_add(sn_ctc_track *t, int64_t at, const float *rows, int frames, int is_last) {
	const int size = t->options.size;
	drop_used(t);
	const int begin = (int)(at - t->first), shared = t->count - begin < frames ? t->count - begin : frames; /* nothing of these was cut */
	const int skip = shared > 0 ? find_seam(t, t->best + begin, rows, shared) : 0; /* before it the track keeps its own */
	for (int i = skip; i < frames && begin + i < t->room; i++) {
		memcpy(t->rows + (int64_t)(begin + i) * size, rows + (int64_t)i * size, (size_t)size * sizeof *rows);
		t->best[begin + i] = likeliest(rows + (int64_t)i * size, size);
	}
	t->count = begin + frames < t->room ? begin + frames : t->room;
	t->fixed = is_last ? t->count : t->count - t->options.overlap > t->fixed ? t->count - t->options.overlap : t->fixed;
	t->ended = is_last;
}

void sn_ctc_track_end(sn_ctc_track *t) {
	drop_used(t);
	t->fixed = t->count;
	t->ended = 1;
}

static int is_quiet(const sn_ctc_track *t, int32_t id) { return id == t->options.blank || id == t->options.delimiter; }

/* Passes over quiet frames in front, counting the delimiters among them. */
static void skip_quiet(sn_ctc_track *t) {
	int i = 0;
	int32_t last = t->before;
	for (; i < t->fixed && is_quiet(t, t->best[i]); last = t->best[i++])
		t->spaces += t->best[i] == t->options.delimiter && last != t->options.delimiter;
	t->used = i;
	drop_used(t);
}

/* A segment that is too long ends at the longest quiet stretch with a delimiter in its later half, else where two different letters
 * meet, which loses nothing. */
static int forced_end(const sn_ctc_track *t, int most) {
	int end = 0, longest = 0;
	for (int i = most / 2, run = 0, parted = 0; i < most; i++) {
		const int quiet = is_quiet(t, t->best[i]);
		run = quiet ? run + 1 : 0;
		parted = quiet && (parted || t->best[i] == t->options.delimiter || t->options.delimiter < 0);
		if (run > longest && parted) {
			longest = run;
			end = i - run + 1;
		}
	}
	for (int i = most - 1; !end && i > 0; i--)
		if (t->best[i] != t->best[i - 1] || t->best[i] == t->options.blank)
			end = i;
	return end ? end : most;
}

int sn_ctc_track_next(sn_ctc_track *t, sn_ctc_cut *cut) {
	drop_used(t);
	skip_quiet(t);
	int end = 0;
	for (int i = 0, run = 0, parted = 0; i < t->fixed && !end && i < t->options.most; i++) {
		const int quiet = is_quiet(t, t->best[i]);
		run = quiet ? run + 1 : 0;
		parted = quiet && (parted || t->best[i] == t->options.delimiter || t->options.delimiter < 0);
		if (run >= t->options.pause && parted)
			end = i + 1 - run;
	}
	if (!end && t->fixed >= t->options.most)
		end = forced_end(t, t->options.most);
	if (!end && t->ended)
		end = t->fixed;
	if (!end)
		return 0;
	*cut = (sn_ctc_cut){ .first = t->first, .frames = end, .logprobs = t->rows, .spaces = t->spaces };
	t->used = end;
	t->spaces = 0;
	return 1;
}
