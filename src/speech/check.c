#include "speech/check.h"

#include <math.h>
#include <stdio.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#define LETTER 0.068      /* seconds of one letter of an alphabet: 15 a second */
#define SIGN 0.2          /* of a character that is a syllable */
#define DIGIT 0.35        /* that nothing has read */
#define PAUSE 0.25        /* of a comma or the like */
#define MOST_TIMES 3.0    /* longer than so many times what is expected, and so many seconds more: it ran away */
#define MOST_MORE 3.0
#define LEAST_TIMES 0.25  /* shorter than this: it was cut off; told of half a second and more only */
#define LEAST_EXPECTED 0.5
#define SILENT_PEAK 0.01f /* -40 dBFS */
#define GAP 2.0           /* seconds of silence inside a sentence */
#define GAP_LEVEL 0.003f  /* of its loudest 20 ms: -50 dB */
#define CLIPPED 0.002f    /* of all samples */
#define OFFSET 0.03f
#define MISREAD 0.34      /* of the words, */
#define MISREAD_LEAST 2   /* and so many */

double sn_check_expected(const char *words, size_t size) {
	double seconds = 0;
	for (int32_t i = 0, c; i < (int32_t)size;) {
		U8_NEXT((const uint8_t *)words, i, (int32_t)size, c);
		const int wide = c > 0 && u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH) == U_EA_WIDE;
		if (c > 0 && u_isdigit(c))
			seconds += DIGIT;
		else if (c > 0 && u_isalpha(c))
			seconds += wide ? SIGN : LETTER;
		else if (c > 0 && u_ispunct(c))
			seconds += PAUSE;
	}
	return seconds;
}

/* Longest run of quiet frames of 20 ms between two loud ones. */
static double longest_gap(const float *pcm, size_t count, int rate) {
	const size_t frame = (size_t)rate / 50 ? (size_t)rate / 50 : 1;
	float loudest = 0;
	size_t gap = 0, longest = 0;
	int begun = 0;
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i + frame <= count; i += frame) {
			float sum = 0;
			for (size_t k = 0; k < frame; k++)
				sum += pcm[i + k] * pcm[i + k];
			const float level = sqrtf(sum / (float)frame);
			if (!pass) {
				loudest = fmaxf(loudest, level);
			} else if (level > loudest * GAP_LEVEL) {
				longest = begun && gap > longest ? gap : longest;
				gap = 0;
				begun = 1;
			} else {
				gap++;
			}
		}
	return (double)(longest * frame) / rate;
}

void sn_check_speech(sn_check *c, const float *pcm, size_t count, int rate, int64_t clipped, double expected) {
	double sum = 0;
	*c = (sn_check){ .duration = (double)count / rate, .expected = expected };
	for (size_t i = 0; i < count; i++) {
		c->peak = fmaxf(c->peak, fabsf(pcm[i]));
		sum += (double)pcm[i];
	}
	c->offset = count ? (float)(sum / (double)count) : 0;
	c->clipped = count ? (float)clipped / (float)count : 0;
	c->gap = longest_gap(pcm, count, rate);
	if (expected > 0 && c->duration > MOST_TIMES * expected + MOST_MORE)
		c->faults |= SN_FAULT_TOO_LONG;
	if (expected > LEAST_EXPECTED && c->duration < LEAST_TIMES * expected)
		c->faults |= SN_FAULT_TOO_SHORT;
	if (c->peak < SILENT_PEAK)
		c->faults |= SN_FAULT_SILENT;
	if (c->gap > GAP)
		c->faults |= SN_FAULT_SILENCE_INSIDE;
	if (c->clipped > CLIPPED)
		c->faults |= SN_FAULT_CLIPPED;
	if (fabsf(c->offset) > OFFSET)
		c->faults |= SN_FAULT_OFFSET;
}

void sn_check_words(sn_check *c, int words, int errors) {
	c->words = words;
	c->word_errors = errors;
	if (words && (errors >= words || (errors >= MISREAD_LEAST && errors > MISREAD * words)))
		c->faults |= SN_FAULT_MISREAD;
}

static const struct {
	const char *code;
	int weight;
} faults[SN_FAULT_COUNT] = {
	{ "too_long", 8 }, { "too_short", 6 }, { "silent", 10 }, { "silence_inside", 4 }, { "clipped", 3 }, { "offset", 2 }, { "misread", 5 },
};

static int weight_of(const sn_check *c) {
	int weight = 0;
	for (int i = 0; i < SN_FAULT_COUNT; i++)
		weight += c->faults >> i & 1 ? faults[i].weight : 0;
	return weight;
}

int sn_check_better(const sn_check *a, const sn_check *b) {
	const double wrong_a = a->words ? (double)a->word_errors / a->words : 0, wrong_b = b->words ? (double)b->word_errors / b->words : 0;
	if (wrong_a != wrong_b)
		return wrong_a < wrong_b;
	if (weight_of(a) != weight_of(b))
		return weight_of(a) < weight_of(b);
	return fabs(a->duration - a->expected) < fabs(b->duration - b->expected);
}

const char *sn_check_fault(const sn_check *c, int i, int sentence, char *message, size_t size) {
	if (!(c->faults >> i & 1))
		return NULL;
	switch ((sn_fault)(1 << i)) {
	case SN_FAULT_TOO_LONG:
		snprintf(message, size, "sentence %d takes %.1f s, where about %.1f s are right: the model ran away", sentence, c->duration,
		         c->expected);
		break;
	case SN_FAULT_TOO_SHORT:
		snprintf(message, size, "sentence %d takes %.1f s, where about %.1f s are right: words are missing", sentence, c->duration,
		         c->expected);
		break;
	case SN_FAULT_SILENT: snprintf(message, size, "sentence %d is silent: its peak is %.4f", sentence, (double)c->peak); break;
	case SN_FAULT_SILENCE_INSIDE: snprintf(message, size, "sentence %d has %.1f s of silence inside", sentence, c->gap); break;
	case SN_FAULT_CLIPPED:
		snprintf(message, size, "sentence %d is clipped: %.1f %% of its samples", sentence, 100 * (double)c->clipped);
		break;
	case SN_FAULT_OFFSET: snprintf(message, size, "sentence %d is off the middle by %.3f", sentence, (double)c->offset); break;
	case SN_FAULT_MISREAD:
		snprintf(message, size, "sentence %d was not understood: %d of %d words differ", sentence, c->word_errors, c->words);
		break;
	}
	return faults[i].code;
}
