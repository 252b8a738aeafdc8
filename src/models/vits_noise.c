#include "models/vits_internal.h"

#include <math.h>

/* Philox 4x32 with 10 rounds (Salmon et al. 2011): four random words from a 128-bit counter and a 64-bit key. */
static void philox(uint64_t key, uint64_t counter, uint32_t stream, uint32_t out[4]) {
	uint32_t c[4] = { (uint32_t)counter, (uint32_t)(counter >> 32), stream, 0 }, k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
	for (int round = 0; round < 10; round++) {
		const uint64_t p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
		const uint32_t next[4] = { (uint32_t)(p1 >> 32) ^ c[1] ^ k0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c[3] ^ k1, (uint32_t)p0 };
		for (int i = 0; i < 4; i++) c[i] = next[i];
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	for (int i = 0; i < 4; i++) out[i] = c[i];
}

/* The C library's log, sin and cos differ between versions in their last bit; these use only exactly rounded operations. */

/* ln x for x in (0, 1], by ln m = 2 artanh((m - 1) / (m + 1)) with m in [sqrt(1/2), sqrt(2)) */
static double ln(double x) {
	int exponent;
	double m = frexp(x, &exponent);
	if (m < 0.70710678118654752440) {
		m *= 2;
		exponent--;
	}
	const double s = (m - 1) / (m + 1), s2 = s * s;
	const double series = 1 + s2 * (1. / 3 + s2 * (1. / 5 + s2 * (1. / 7 + s2 * (1. / 9 + s2 * (1. / 11 + s2 * (1. / 13))))));
	return exponent * 0.69314718055994530942 + 2 * s * series;
}

/* cos and sin of 2 pi turn for turn in [0, 1), by their series on an eighth of a turn */
static void cos_sin(double turn, double *c, double *s) {
	const int quarter = (int)(turn * 4 + 0.5);
	const double x = (turn - quarter * 0.25) * 6.28318530717958647693, x2 = -x * x;
	const double cx = 1 + x2 * (1. / 2 + x2 * (1. / 24 + x2 * (1. / 720 + x2 * (1. / 40320 + x2 * (1. / 3628800 + x2 / 479001600)))));
	const double sx = 1 + x2 * (1. / 6 + x2 * (1. / 120 + x2 * (1. / 5040 + x2 * (1. / 362880 + x2 * (1. / 39916800 + x2 / 6227020800)))));
	const double cosine[4] = { cx, -x * sx, -cx, x * sx };
	*c = cosine[quarter & 3];
	*s = cosine[(quarter + 3) & 3];
}

/* Box and Muller: two draws from two words. */
static void pair(const uint32_t words[2], float out[2]) {
	const double radius = sqrt(-2 * ln((words[0] + 1.0) * (1 / 4294967296.0)));
	double c, s;
	cos_sin(words[1] * (1 / 4294967296.0), &c, &s);
	out[0] = (float)(radius * c);
	out[1] = (float)(radius * s);
}

void vits_noise(uint64_t seed, uint32_t stream, uint64_t first, int64_t count, float *out) {
	float draws[4];
	uint64_t held = UINT64_MAX; /* counter whose draws are in `draws` */
	for (int64_t i = 0; i < count; i++) {
		const uint64_t index = first + (uint64_t)i;
		if (index / 4 != held) {
			uint32_t words[4];
			held = index / 4;
			philox(seed, held, stream, words);
			pair(words, draws);
			pair(words + 2, draws + 2);
		}
		out[i] = draws[index % 4];
	}
}
