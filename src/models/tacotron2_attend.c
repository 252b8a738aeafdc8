/* Coqui's options of the attention that look at where it was: windowing and forward attention (Zhang et al. 2018). They are
 * exact to the reference, its wrapped negative indices included. */
#include "models/tacotron2_internal.h"

#include <math.h>
#include <string.h>

#define WINDOW_BACK 2
#define WINDOW_FRONT 6
#define LEAST 1e-8f      /* added to each symbol's transition */
#define FIRST_LEAST 1e-7f
#define FORWARD_REACH 3  /* symbols ahead of the last place that the mask leaves open */
#define LAST_SHARE 0.01f /* of the largest weight, for the symbol left behind */

void taco_attend_begin(taco_attend *a, int symbols) {
	a->window = -1;
	a->move = 0.5f;
	for (int i = 0; i < symbols; i++) a->previous[i] = i ? FIRST_LEAST : 1;
}

static int largest(const float *x, int count) {
	int at = 0;
	for (int i = 1; i < count; i++)
		if (x[i] > x[at]) at = i;
	return at;
}

static void keep_window(taco_attend *a, float *energies, int symbols) {
	for (int i = 0; i < a->window - WINDOW_BACK && i < symbols; i++) energies[i] = -INFINITY;
	for (int i = a->window + WINDOW_FRONT; i < symbols; i++) energies[i] = -INFINITY;
	if (a->window < 0) energies[0] = energies[largest(energies, symbols)];
	a->window = largest(energies, symbols);
}

static void normalise(const float *energies, int symbols, int sigmoid, float *out) {
	const float top = energies[largest(energies, symbols)];
	double sum = 0;
	for (int i = 0; i < symbols; i++) {
		out[i] = sigmoid ? 1 / (1 + expf(-energies[i])) : expf(energies[i] - top);
		sum += (double)out[i];
	}
	for (int i = 0; i < symbols; i++) out[i] = (float)((double)out[i] / sum);
}

/* A Python slice's end or start. */
static int wrapped(int index, int count) {
	if (index < 0) index += count;
	return index < 0 ? 0 : index > count ? count : index;
}

/* shifted: the place before the step moved on by one */
static void mask(float *weights, int symbols, int shifted) {
	const float top = weights[largest(weights, symbols)];
	const int last = shifted - 2 < 0 ? shifted - 2 + symbols : shifted - 2;
	for (int i = wrapped(shifted + FORWARD_REACH, symbols); i < symbols; i++) weights[i] = 0;
	for (int i = 0; i < wrapped(shifted - 1, symbols); i++) weights[i] = 0;
	if (last >= 0 && last < symbols) weights[last] = LAST_SHARE * top;
}

void taco_attend_run(taco_attend *a, const taco_settings *s, float *energies, int symbols, float *normal, float *weights) {
	double sum = 0;
	if (s->windowing) keep_window(a, energies, symbols);
	normalise(energies, symbols, s->sigmoid, normal);
	if (!s->forward) {
		memcpy(weights, normal, (size_t)symbols * sizeof *weights);
		return;
	}
	int shifted = 0; /* the largest of [0, previous without its last] */
	float top = 0;
	for (int i = 0; i < symbols; i++) {
		const float before = i ? a->previous[i - 1] : 0;
		if (before > top) top = before, shifted = i;
		weights[i] = ((1 - a->move) * a->previous[i] + a->move * before + LEAST) * normal[i];
	}
	if (s->forward_mask) mask(weights, symbols, shifted);
	for (int i = 0; i < symbols; i++) sum += (double)weights[i];
	for (int i = 0; i < symbols; i++) a->previous[i] = weights[i] = (float)((double)weights[i] / sum);
}
