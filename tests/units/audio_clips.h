/* Clips that the audio tests make themselves: wav files of every kind, sound and broken. */
#ifndef SN_TESTS_AUDIO_CLIPS_H
#define SN_TESTS_AUDIO_CLIPS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CLIP_HZ 440.0

typedef struct clip {
	unsigned char *data;
	size_t size;
} clip;

enum { WAV_PCM = 1, WAV_FLOAT = 3, WAV_ALAW = 6, WAV_MULAW = 7 };

static inline void put_number(clip *c, uint64_t value, int bytes) {
	for (int i = 0; i < bytes; i++)
		c->data[c->size++] = (unsigned char)(value >> (8 * i));
}

static inline void put_text(clip *c, const char *text) {
	memcpy(c->data + c->size, text, strlen(text));
	c->size += strlen(text);
}

/* The 44 bytes before the samples, and room for `bytes` of them. */
static inline clip clip_header(int tag, int bits, int rate, int channels, size_t bytes) {
	clip c = { malloc(bytes + 44), 0 };
	put_text(&c, "RIFF");
	put_number(&c, bytes + 36, 4);
	put_text(&c, "WAVEfmt ");
	put_number(&c, 16, 4);
	put_number(&c, (uint64_t)tag, 2);
	put_number(&c, (uint64_t)channels, 2);
	put_number(&c, (uint64_t)rate, 4);
	put_number(&c, (uint64_t)rate * (uint64_t)channels * (uint64_t)bits / 8, 4);
	put_number(&c, (uint64_t)(channels * bits / 8), 2);
	put_number(&c, (uint64_t)bits, 2);
	put_text(&c, "data");
	put_number(&c, bytes, 4);
	return c;
}

/* Inverse of the mu-law expansion of ITU-T G.711, by search. */
static inline unsigned char mulaw_of(double x) {
	int best = 0;
	double least = 2;
	for (int code = 0; code < 256; code++) {
		int bits = ~code & 0xff, exponent = bits >> 4 & 7, mantissa = bits & 15;
		double value = (((mantissa << 3) + 132) << exponent) - 132;
		value = (bits & 128 ? -value : value) / 32768;
		if (fabs(value - x) < least) {
			least = fabs(value - x);
			best = code;
		}
	}
	return (unsigned char)best;
}

static inline void put_sample(clip *c, int tag, int bits, double x) {
	float f = (float)x;
	uint32_t raw;
	memcpy(&raw, &f, sizeof raw);
	if (tag == WAV_FLOAT)
		put_number(c, raw, 4);
	else if (tag == WAV_MULAW)
		put_number(c, mulaw_of(x), 1);
	else if (bits == 8)
		put_number(c, (uint64_t)lrint(x * 127) + 128, 1);
	else
		put_number(c, (uint64_t)llrint(x * (double)((INT64_C(1) << (bits - 1)) - 1)), bits / 8);
}

/* A sine of `amplitude` in every channel. */
static inline clip clip_sine(int tag, int bits, int rate, int channels, int frames, double amplitude) {
	clip c = clip_header(tag, bits, rate, channels, (size_t)(frames * channels * bits / 8));
	for (int t = 0; t < frames; t++)
		for (int k = 0; k < channels; k++)
			put_sample(&c, tag, bits, amplitude * sin(2 * M_PI * CLIP_HZ * t / rate));
	return c;
}

#endif
