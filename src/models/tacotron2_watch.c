/* Whether the attention still reads the text. Nothing is said of steps whose weights are spread out: only a sharp attention,
 * which rests on some symbols and leaves the others, can be seen to stand still, to go back or to skip. */
#include "models/tacotron2_internal.h"

#include <stdlib.h>

#define LEAST_SYMBOLS 10     /* shorter texts are within the reach of any attention */
#define NEAR 2               /* symbols beside the peak that belong to it */
#define SHARP 0.8f           /* their share of all weights */
#define STEADY 1             /* symbols that a resting attention may move */
#define STILL_SECONDS 2.5    /* longer than any pause or vowel */
#define END_SECONDS 2.0      /* on the last symbols */
#define LAST_SYMBOLS 2
#define BACK 6               /* symbols behind the furthest; */
#define AHEAD 12             /* and before it */
#define STAY 4               /* steps at another place until it counts */
#define STRIDE 4             /* symbols that one step may go on without being sharp */
#define MOVES 8              /* forward, by at most a stride, and this many times as many as others: the attention reads; */
#define MOVES_SHARE 3        /* that of untrained weights rests anywhere */
#define FLAT_SHARE 0.1       /* of sharp steps: below, the attention was flat */

void taco_watch_begin(taco_watch *w, int symbols, double steps_a_second) {
	*w = (taco_watch){ .symbols = symbols, .candidate = -1 };
	w->still_steps = (int)(STILL_SECONDS * steps_a_second) + STAY;
	w->end_steps = (int)(END_SECONDS * steps_a_second) + STAY;
}

static int peak(const taco_watch *w, const float *alignment, float *share) {
	int at = 0;
	for (int i = 1; i < w->symbols; i++)
		if (alignment[i] > alignment[at]) at = i;
	*share = 0;
	for (int i = at < NEAR ? 0 : at - NEAR; i <= at + NEAR && i < w->symbols; i++) *share += alignment[i];
	return at;
}

static taco_trouble rest(taco_watch *w, int at) {
	if (abs(at - w->anchor) > STEADY) {
		if (at > w->anchor && at - w->anchor <= STRIDE) w->moves++;
		else w->jumps++;
		w->anchor = at;
		w->still = 0;
	}
	w->still++;
	if (at >= w->symbols - LAST_SYMBOLS) return w->still == w->end_steps ? TACO_END : TACO_FINE;
	return w->still == w->still_steps ? TACO_STILL : TACO_FINE;
}

taco_trouble taco_watch_step(taco_watch *w, const float *alignment) {
	float share;
	const int at = peak(w, alignment, &share);
	w->steps++;
	if (w->symbols < LEAST_SYMBOLS) return TACO_FINE;
	if (at > w->furthest && at - w->furthest <= STRIDE) w->furthest = at;
	if (!(share >= SHARP)) return TACO_FINE;
	w->sharp++;
	const int back = at < w->furthest - BACK, ahead = at > w->furthest + AHEAD;
	if (back || ahead) {
		w->stay = abs(at - w->candidate) <= NEAR ? w->stay + 1 : 1;
		w->candidate = at;
		if (w->stay == STAY) return back ? TACO_BACK : TACO_SKIP;
	} else {
		w->stay = 0;
		if (at > w->furthest) w->furthest = at;
	}
	return rest(w, at);
}

int taco_watch_reads(const taco_watch *w) { return w->moves >= MOVES && w->moves >= MOVES_SHARE * w->jumps; }

int taco_watch_flat(const taco_watch *w) {
	return w->symbols >= LEAST_SYMBOLS && w->steps > STAY && w->sharp < FLAT_SHARE * w->steps;
}
