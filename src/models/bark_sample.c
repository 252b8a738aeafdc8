#include "models/bark_internal.h"

#include <math.h>
#include <stdlib.h>

/* A step of splitmix64 (Steele et al. 2014), used as a function of a counter. */
static uint64_t mix(uint64_t x) {
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

double bark_uniform(uint64_t seed, uint32_t stage, uint64_t index) {
	return (double)(mix(mix(mix(seed) + stage) + index) >> 11) * 0x1p-53;
}

static int greedy(const float *logits, bark_allowed allowed) {
	int best = allowed.first;
	for (int i = allowed.first + 1; i < allowed.last; i++)
		if (logits[i] > logits[best]) best = i;
	if (allowed.extra < 0) return best;
	if (allowed.last <= allowed.first) return allowed.extra;
	if (logits[allowed.extra] > logits[best]) return allowed.extra;
	return logits[allowed.extra] == logits[best] && allowed.extra < best ? allowed.extra : best;
}

/* The count-th largest of values[n], by a heap of the largest so far, the least of them on top. */
static float largest(const float *values, int n, int count, float *heap) {
	int size = 0;
	for (int i = 0; i < n; i++) {
		int at;
		if (size < count) {
			for (at = size++; at > 0 && heap[(at - 1) / 2] > values[i]; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
			heap[at] = values[i];
			continue;
		}
		if (values[i] <= heap[0]) continue;
		at = 0;
		for (int child = 1; child < size; child = 2 * at + 1) {
			if (child + 1 < size && heap[child + 1] < heap[child]) child++;
			if (heap[child] >= values[i]) break;
			heap[at] = heap[child];
			at = child;
		}
		heap[at] = values[i];
	}
	return heap[0];
}

static int descending(const void *a, const void *b) {
	const float x = *(const float *)a, y = *(const float *)b;
	return (x < y) - (x > y);
}

/* The least value that stays: those before it in falling order have less than `share` of the whole. */
static float nucleus(const float *values, int n, float floor, double share, float *sorted) {
	int count = 0;
	double sum = 0, before = 0;
	for (int i = 0; i < n; i++)
		if (values[i] >= floor) sorted[count++] = values[i];
	qsort(sorted, (size_t)count, sizeof *sorted, descending);
	for (int i = 0; i < count; i++) sum += exp((double)sorted[i] - sorted[0]);
	int kept = 0;
	while (kept < count && (kept == 0 || before < share * sum)) before += exp((double)sorted[kept++] - sorted[0]);
	return kept ? sorted[kept - 1] : floor;
}

static int id_of(bark_allowed allowed, int i) { return i < allowed.last - allowed.first ? allowed.first + i : allowed.extra; }

int bark_pick(const float *logits, bark_allowed allowed, const bark_sampling *how, double uniform, float *scratch) {
	const int best = greedy(logits, allowed), n = allowed.last - allowed.first + (allowed.extra >= 0);
	if (!how->sample || n < 2) return best;
	float *const values = scratch, *const work = scratch + n, floor_all = -INFINITY;
	for (int i = 0; i < n; i++) values[i] = (float)(logits[id_of(allowed, i)] / how->temperature);
	float least = floor_all;
	if (how->top_k > 0 && how->top_k < n) least = largest(values, n, how->top_k, work);
	if (how->top_p < 1) least = nucleus(values, n, least, how->top_p, work);
	const double top = logits[best] / how->temperature;
	double sum = 0, passed = 0;
	for (int i = 0; i < n; i++)
		if (values[i] >= least) sum += exp(values[i] - top);
	for (int i = 0; i < n; i++) {
		if (!(values[i] >= least)) continue;
		passed += exp(values[i] - top);
		if (passed > uniform * sum) return id_of(allowed, i);
	}
	return best;
}

double bark_probability(const float *logits, bark_allowed allowed) {
	const float top = logits[greedy(logits, allowed)];
	double sum = exp((double)logits[allowed.extra] - top);
	const double of = sum;
	for (int i = allowed.first; i < allowed.last; i++) sum += exp((double)logits[i] - top);
	return of / sum;
}
