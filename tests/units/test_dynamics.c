/* What repairs and shapes levels: declipping, high-pass, compressor, limiter, and the file that samples wait in. */
#include "audio/declip.h"
#include "audio/dynamics.h"
#include "audio/levels.h"
#include "audio/spool.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RATE 48000
#define COUNT 48000

static float *room(size_t count) {
	float *samples = calloc(count, sizeof *samples);
	assert_non_null(samples);
	return samples;
}

static void add_sine(float *samples, double hertz, double amplitude) {
	for (int i = 0; i < COUNT; i++) samples[i] += (float)(amplitude * sin(2 * 3.14159265358979 * hertz * i / RATE + 0.3));
}

static float noise(uint32_t *state) {
	*state = *state * 1664525u + 1013904223u;
	return (float)(int32_t)*state / 2147483648.0f;
}

/* ---- declipping ---- */

static size_t declip(sn_declipper *d, const float *in, size_t count, size_t piece, float *out) {
	size_t got = 0;
	for (size_t at = 0; at < count; at += piece) got += sn_declip(d, in + at, count - at < piece ? count - at : piece, out + got);
	return got + sn_declip(d, NULL, 0, out + got);
}

static void clipped_peaks_are_found_and_repaired(void **state) {
	sn_clip_finder *finder = calloc(1, sizeof *finder);
	float *const whole = room(COUNT), *const cut = room(COUNT), *const out = room(COUNT + SN_DECLIP_MAX_RUN + 1);
	float levels[2];
	sn_declipper d;
	double before = 0, after = 0;
	int64_t clipped = 0;
	add_sine(whole, 220, 0.5);
	add_sine(whole, 330.7, 0.3);
	add_sine(whole, 1234.5, 0.15);
	for (int i = 0; i < COUNT; i++) {
		cut[i] = fminf(fmaxf(whole[i], -0.75f), 0.75f);
		clipped += fabsf(whole[i]) > 0.75f;
	}
	sn_clip_find(finder, cut, COUNT);
	sn_clip_levels(finder, levels);
	assert_true(fabsf(levels[0] - 0.75f) < 1e-3f && fabsf(levels[1] - 0.75f) < 1e-3f);
	sn_declip_init(&d, levels, RATE);
	assert_int_equal(declip(&d, cut, COUNT, COUNT, out), COUNT);
	assert_true(d.clipped > clipped * 9 / 10 && d.clipped < clipped * 11 / 10);
	assert_int_equal(d.repaired, d.clipped);
	for (int i = 0; i < COUNT; i++) {
		before += (double)(cut[i] - whole[i]) * (cut[i] - whole[i]);
		after += (double)(out[i] - whole[i]) * (out[i] - whole[i]);
		if (fabsf(whole[i]) < 0.7f)
			assert_true(out[i] == cut[i]); /* what was heard stays */
	}
	assert_true(after < before / 10); /* 10 dB nearer to what was cut off */
	free(finder);
	free(whole);
	free(cut);
	free(out);
}

static void declipping_does_not_depend_on_pieces(void **state) {
	float *const in = room(COUNT), *const a = room(COUNT + SN_DECLIP_MAX_RUN + 1), *const b = room(COUNT + SN_DECLIP_MAX_RUN + 1);
	const float levels[2] = { 0.4f, 0.5f };
	uint32_t seed = 1;
	sn_declipper d;
	for (int i = 0; i < COUNT; i++) in[i] = fminf(fmaxf(noise(&seed) + (i / 3000 % 4 == 0 ? 0.6f : 0), -0.4f), 0.5f);
	sn_declip_init(&d, levels, RATE);
	assert_int_equal(declip(&d, in, COUNT, COUNT, a), COUNT);
	for (size_t piece = 1; piece < 4000; piece = piece * 3 + 1) {
		sn_declip_init(&d, levels, RATE);
		assert_int_equal(declip(&d, in, COUNT, piece, b), COUNT);
		assert_memory_equal(a, b, COUNT * sizeof *a);
	}
	free(in);
	free(a);
	free(b);
}

/* Sines of any amplitude, also one that touches full scale, quiet sounds and silence are not clipped. */
static void whole_sounds_are_left(void **state) {
	static const double hertz[] = { 50, 440, 1000, 7000 }, amplitudes[] = { 0.01, 0.3, 0.99, 1.0 };
	for (int i = 0; i < 16; i++) {
		sn_clip_finder *finder = calloc(1, sizeof *finder);
		float *const x = room(COUNT), levels[2];
		add_sine(x, hertz[i / 4], amplitudes[i % 4]);
		for (int j = 0; j < COUNT; j++) x[j] = roundf(x[j] * 32767) / 32767;
		sn_clip_find(finder, x, COUNT);
		sn_clip_levels(finder, levels);
		assert_true(isinf(levels[0]) && isinf(levels[1]));
		free(finder);
		free(x);
	}
}

static void long_runs_are_left(void **state) {
	float *const in = room(COUNT), *const out = room(COUNT + SN_DECLIP_MAX_RUN + 1);
	const float levels[2] = { 0.5f, 0.5f };
	sn_declipper d;
	for (int i = 0; i < COUNT; i++) in[i] = i / 500 % 2 ? 0.5f : -0.5f;
	sn_declip_init(&d, levels, RATE);
	assert_int_equal(declip(&d, in, COUNT, 700, out), COUNT);
	assert_memory_equal(in, out, COUNT * sizeof *in);
	assert_int_equal(d.clipped, COUNT);
	assert_int_equal(d.repaired, 0);
	free(in);
	free(out);
}

/* ---- levels ---- */

static double power(const float *samples, int from, int to) {
	double sum = 0;
	for (int i = from; i < to; i++) sum += (double)samples[i] * samples[i];
	return 10 * log10(sum / (to - from) + 1e-20);
}

static void highpass_takes_off_rumble(void **state) {
	static const struct { double hertz, low, high; } cases[] = { { 10, -100, -28 }, { 60, -3.3, -2.7 }, { 200, -0.2, 0.1 }, { 3000, -0.05, 0.05 } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		float *const x = room(COUNT);
		sn_highpass filter;
		for (int j = 0; j < COUNT; j++) x[j] = 0.2f; /* an offset, too */
		add_sine(x, cases[i].hertz, 0.5);
		sn_highpass_init(&filter, 60, RATE);
		sn_highpass_run(&filter, x, 1000);
		sn_highpass_run(&filter, x + 1000, COUNT - 1000);
		const double change = power(x, COUNT / 2, COUNT) - 10 * log10(0.125);
		assert_true(change > cases[i].low && change < cases[i].high);
		free(x);
	}
}

static void compressor_halves_what_is_above(void **state) {
	float *const loud = room(COUNT), *const quiet = room(COUNT);
	sn_compressor c;
	add_sine(loud, 500, 0.5 * sqrt(2)); /* -6.02 dBFS */
	add_sine(quiet, 500, 0.01);
	sn_compressor_init(&c, -20, RATE);
	sn_compressor_run(&c, loud, COUNT);
	assert_true(fabs(power(loud, COUNT / 2, COUNT) - (-20 + (20 - 6.02) / 2)) < 0.2);
	sn_compressor_init(&c, -20, RATE);
	const double before = power(quiet, 0, COUNT);
	sn_compressor_run(&c, quiet, COUNT);
	assert_true(fabs(power(quiet, 0, COUNT) - before) < 0.01);
	free(loud);
	free(quiet);
}

static size_t limit(double ceiling, int rate, const float *in, size_t count, size_t piece, float *out) {
	sn_limiter *l = NULL;
	size_t got = 0, more;
	assert_int_equal(sn_limiter_open(&l, ceiling, rate, NULL), SN_OK);
	for (size_t at = 0; at < count; at += piece) got += sn_limiter_run(l, in + at, count - at < piece ? count - at : piece, out + got);
	while ((more = sn_limiter_run(l, NULL, piece, out + got)) > 0) got += more;
	sn_limiter_close(&l);
	return got;
}

/* Whatever comes in, at any rate: the meter of EBU R128 finds no true peak above the ceiling. */
static void limiter_keeps_true_peaks_below(void **state) {
	static const int rates[] = { 8000, 22050, 48000, 96000, 192000 };
	for (int kind = 0; kind < 4; kind++)
		for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
			float *const in = room(COUNT), *const out = room(COUNT);
			uint32_t seed = 7;
			sn_level_facts facts;
			sn_levels *levels = NULL;
			for (int i = 0; i < COUNT; i++)
				in[i] = kind == 0 ? noise(&seed) * 3 : kind == 1 ? (i % 4 < 2 ? 1.0f : -1.0f) /* peaks lie between the samples */
				      : kind == 2 ? (i % 9973 == 50 ? -8.0f : 0.1f * noise(&seed)) : (float)sin(i * (0.001 + i * 3e-5)) * (i / 4000 % 2 ? 2.5f : 0.2f);
			assert_int_equal(limit(-1, rates[r], in, COUNT, 1024, out), COUNT);
			assert_int_equal(sn_levels_open(&levels, rates[r], NULL), SN_OK);
			assert_int_equal(sn_levels_push(levels, out, COUNT, NULL), SN_OK);
			sn_levels_get(levels, &facts);
			if (facts.true_peak > -1 || facts.true_peak < -2.5) print_error("kind %d at %d Hz: %.3f dBTP\n", kind, rates[r], facts.true_peak);
			assert_true(facts.true_peak <= -1.0);
			assert_true(facts.true_peak > -2.5); /* and it takes no more than it must */
			sn_levels_close(&levels);
			free(in);
			free(out);
		}
}

static void limiter_leaves_what_is_below(void **state) {
	float *const in = room(COUNT), *const out = room(COUNT), *const pieces = room(COUNT);
	add_sine(in, 997, 0.8);
	assert_int_equal(limit(-1, RATE, in, COUNT, COUNT, out), COUNT);
	assert_memory_equal(in, out, COUNT * sizeof *in); /* in time, too */
	for (int i = 0; i < COUNT; i++) in[i] *= i > 20000 && i < 20500 ? 4 : 1;
	limit(-1, RATE, in, COUNT, COUNT, out);
	for (size_t piece = 1; piece < 5000; piece = piece * 5 + 2) {
		assert_int_equal(limit(-1, RATE, in, COUNT, piece, pieces), COUNT);
		assert_memory_equal(pieces, out, COUNT * sizeof *out);
	}
	assert_int_equal(limit(-1, RATE, in, 3, 3, out), 3); /* shorter than it looks ahead */
	free(in);
	free(out);
	free(pieces);
}

static void spool_keeps_samples(void **state) {
	const float values[] = { 1, 2, 3, 4, 5 };
	float back[8];
	size_t got;
	sn_spool spool;
	assert_int_equal(sn_spool_open(&spool, NULL), SN_OK);
	assert_int_equal(sn_spool_write(&spool, 0, values, 5, NULL), SN_OK);
	assert_int_equal(sn_spool_write(&spool, 1, values + 3, 2, NULL), SN_OK);
	assert_int_equal(sn_spool_read(&spool, 0, back, 8, &got, NULL), SN_OK);
	assert_int_equal(got, 5);
	assert_memory_equal(back, ((float[]){ 1, 4, 5, 4, 5 }), 5 * sizeof *back);
	assert_int_equal(sn_spool_read(&spool, 5, back, 8, &got, NULL), SN_OK);
	assert_int_equal(got, 0);
	sn_spool_close(&spool);
	sn_spool_close(&spool);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clipped_peaks_are_found_and_repaired), cmocka_unit_test(declipping_does_not_depend_on_pieces),
		cmocka_unit_test(whole_sounds_are_left), cmocka_unit_test(long_runs_are_left), cmocka_unit_test(highpass_takes_off_rumble),
		cmocka_unit_test(compressor_halves_what_is_above), cmocka_unit_test(limiter_keeps_true_peaks_below),
		cmocka_unit_test(limiter_leaves_what_is_below), cmocka_unit_test(spool_keeps_samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
