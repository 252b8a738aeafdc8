/* Noise reduction of timelines, and enhancement of samples. What needs the model is skipped where it is not installed. */
#include "audio/decode.h"
#include "speech/denoise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sn_engine *engine;

static int open_engine(void **state) { return sn_engine_open(&engine, &(sn_engine_options){ .threads = 1 }, NULL); }
static int close_engine(void **state) {
	sn_engine_close(&engine);
	return 0;
}

static float *room(size_t count) {
	float *samples = calloc(count + 1, sizeof *samples);
	assert_non_null(samples);
	return samples;
}

static void need_model(void) {
	char err[SN_ERRLEN];
	sn_model *model;
	const int result = sn_model_load(&model, engine, NULL, &(sn_model_options){ .task = SN_TASK_DENOISE }, err);
	if (result == SN_E_NOT_FOUND) {
		assert_non_null(strstr(err, "models pull"));
		skip();
	}
	assert_int_equal(result, SN_OK);
	sn_model_release(&model);
}

/* Returns how many samples came. */
static size_t denoise(int rate, float limit, const float *in, size_t count, size_t piece, float *out) {
	sn_denoise *d;
	size_t given = 0, used, got;
	assert_int_equal(sn_denoise_open(&d, engine, rate, limit, NULL), SN_OK);
	for (size_t at = 0; at < count; at += used) {
		assert_int_equal(sn_denoise_call(d, in + at, count - at < piece ? count - at : piece, &used, out + given, count + 1 - given, &got, NULL), SN_OK);
		assert_true(used + got > 0);
		given += got;
	}
	do {
		assert_int_equal(sn_denoise_call(d, NULL, 0, &used, out + given, count + 1 - given, &got, NULL), SN_OK);
		given += got;
	} while (got);
	sn_denoise_close(&d);
	return given;
}

/* With nothing taken out, what comes out is what went in, sample by sample: no delay is left at any rate. */
static void times_do_not_shift(void **state) {
	static const int rates[] = { 8000, 16000, 22050, 44100, 48000, 96000 };
	need_model();
	for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
		const int rate = rates[r];
		const size_t count = (size_t)rate + 123;
		float *const in = room(count), *const out = room(count);
		double signal = 0, wrong = 0;
		for (size_t i = 0; i < count; i++) {
			const double t = (double)i / rate;
			in[i] = (float)(0.3 * sin(2 * 3.14159265 * (300 + 700 * t) * t) * (t < 0.1 || t > 0.9 ? 0 : 1));
		}
		assert_int_equal(denoise(rate, 0, in, count, 1000, out), count);
		for (size_t i = 0; i < count; i++) {
			signal += (double)in[i] * in[i];
			wrong += (double)(out[i] - in[i]) * (out[i] - in[i]);
		}
		assert_true(wrong < signal * 1e-5);
		free(in);
		free(out);
	}
}

static void read_clip(float **pcm, size_t *count) {
	sn_decoder *decoder;
	assert_int_equal(sn_decoder_open_path(&decoder, TEST_AUDIO "/jfk.wav", 16000, NULL), SN_OK);
	assert_int_equal(sn_decoder_read_all(decoder, 60, pcm, count, NULL), SN_OK);
	sn_decoder_close(&decoder);
}

static void noise_goes_and_speech_stays(void **state) {
	float *pcm;
	size_t count;
	uint32_t seed = 5;
	double clean_sum = 0, before = 0, after = 0;
	need_model();
	read_clip(&pcm, &count);
	float *const noisy = room(count), *const out = room(count), *const reference = room(count);
	for (size_t i = 0; i < count; i++) {
		seed = seed * 1664525u + 1013904223u;
		noisy[i] = pcm[i] + 0.1f * (float)(int32_t)seed / 2147483648.0f;
	}
	assert_int_equal(denoise(16000, 100, pcm, count, 4096, reference), count); /* the clip is noisy itself */
	assert_int_equal(denoise(16000, 100, noisy, count, 4096, out), count);
	for (size_t i = 0; i < count; i++) {
		clean_sum += (double)reference[i] * reference[i];
		before += (double)(noisy[i] - reference[i]) * (noisy[i] - reference[i]);
		after += (double)(out[i] - reference[i]) * (out[i] - reference[i]);
	}
	assert_true(10 * log10(clean_sum / after) > 10 * log10(clean_sum / before) + 3);
	free(pcm);
	free(noisy);
	free(out);
	free(reference);
}

static void pieces_do_not_matter(void **state) {
	float *pcm;
	size_t count;
	need_model();
	read_clip(&pcm, &count);
	count = 40000;
	float *const whole = room(count), *const out = room(count);
	assert_int_equal(denoise(16000, 18, pcm, count, count, whole), count);
	for (size_t piece = 320; piece < 20000; piece = piece * 7 + 13) {
		assert_int_equal(denoise(16000, 18, pcm, count, piece, out), count);
		assert_memory_equal(whole, out, count * sizeof *out);
	}
	free(pcm);
	free(whole);
	free(out);
}

static void nothing_and_little_come_out_as_they_are_long(void **state) {
	float in[500] = { 0 }, out[501];
	need_model();
	for (size_t count = 0; count <= 500; count = count * 3 + 1) assert_int_equal(denoise(16000, 18, in, count, 100, out), count);
}

/* ---- enhancement ---- */

static void tone(float *out, size_t count, double amplitude) {
	for (size_t i = 0; i < count; i++) out[i] = (float)(amplitude * sin(2 * 3.14159265358979 * 1000 * (double)i / 48000));
}

/* The tone of EBU Tech 3341: 1 kHz at -23 dBFS is -23 LUFS in two channels, -26 in one. */
static void loudness_reaches_its_target(void **state) {
	const size_t count = 48000 * 5;
	float *const in = room(count), *out;
	size_t got;
	sn_enhancement f;
	tone(in, count, pow(10, -23 / 20.0));
	static const float targets[] = { 0, -23, -30 };
	for (int i = 0; i < 3; i++) {
		const sn_enhance_options o = { .denoise = SN_OFF, .loudness = targets[i] };
		assert_int_equal(sn_enhance_pcm(&out, &got, &f, engine, in, count, 48000, &o, NULL), SN_OK);
		assert_int_equal(got, count);
		assert_true(fabsf(f.before.loudness + 26.0f) < 0.15f);
		assert_true(fabsf(f.after.loudness - (i ? targets[i] : -16)) < 0.1f);
		assert_int_equal(f.sample_rate, 48000);
		assert_string_equal(f.stages[2].name, "denoise");
		assert_false(f.stages[2].done);
		free(out);
	}
	free(in);
}

static void stages_say_what_they_did(void **state) {
	const size_t count = 48000 * 3;
	float *const in = room(count), *out;
	size_t got;
	sn_enhancement f;
	tone(in, count, 1.6);
	for (size_t i = 0; i < count; i++) in[i] = fminf(fmaxf(in[i], -1), 1);
	const sn_enhance_options o = { .denoise = SN_OFF, .compress = SN_ON, .loudness = -5, .ceiling = -3, .sample_rate = 16000 };
	assert_int_equal(sn_enhance_pcm(&out, &got, &f, engine, in, count, 48000, &o, NULL), SN_OK);
	assert_int_equal(got, count / 3);
	assert_true(f.clipped > 1000 && f.repaired == f.clipped);
	assert_true(f.after.true_peak <= -3);
	assert_true(f.limited > 0 && f.stages[0].done && f.stages[3].done && f.stages[5].done);
	free(out);
	memset(in, 0, count * sizeof *in);
	assert_int_equal(sn_enhance_pcm(&out, &got, &f, engine, in, count, 48000, &(sn_enhance_options){ .compress = SN_ON }, NULL), SN_OK);
	assert_false(f.stages[3].done || f.stages[4].done || f.stages[2].done); /* silence stays silence */
	for (size_t i = 0; i < got; i++) assert_true(out[i] == 0);
	free(out);
	free(in);
}

static void bad_options_are_refused(void **state) {
	static const struct { sn_enhance_options o; int rate; const char *says; } cases[] = {
		{ { .attenuation_limit = 101 }, 48000, "attenuation limit of 101 dB" }, { { .attenuation_limit = NAN }, 48000, "attenuation" },
		{ { .loudness = 3 }, 48000, "loudness of 3 LUFS" }, { { .ceiling = 1 }, 48000, "ceiling of 1 dBTP" },
		{ { .sample_rate = 100 }, 48000, "of the result of 100 Hz" }, { { .declip = (sn_switch)7 }, 48000, "declip is 7" }, { { 0 }, 4000, "of the input of 4000 Hz" },
	};
	float in[100] = { 0 }, *out;
	char err[SN_ERRLEN];
	size_t got;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(sn_enhance_pcm(&out, &got, NULL, engine, in, 100, cases[i].rate, &cases[i].o, err), SN_E_ARGUMENT);
		assert_null(out);
		assert_non_null(strstr(err, cases[i].says));
	}
	assert_int_equal(sn_enhance_pcm(&out, &got, NULL, engine, in, 0, 16000, NULL, err), SN_E_FORMAT);
	in[7] = NAN;
	assert_int_equal(sn_enhance_pcm(&out, &got, NULL, engine, in, 100, 16000, NULL, err), SN_E_FORMAT);
	assert_non_null(strstr(err, "sample 7 is nan"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_do_not_shift), cmocka_unit_test(noise_goes_and_speech_stays), cmocka_unit_test(pieces_do_not_matter),
		cmocka_unit_test(nothing_and_little_come_out_as_they_are_long), cmocka_unit_test(loudness_reaches_its_target),
		cmocka_unit_test(stages_say_what_they_did), cmocka_unit_test(bad_options_are_refused),
	};
	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
