/* The features against a plain re-telling of their definition, one sum per frequency, in double precision. That they are the reference's,
 * the goldens show on real clips. */
#include "audio/mel.h"
#include "audio_clips.h"

#include <stdarg.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#define WINDOW 480000
#define FRAMES 3000

static char err[SN_ERRLEN];

static float *noise(int count) {
	float *x = malloc(sizeof *x * (size_t)count);
	uint32_t seed = 1;
	for (int i = 0; i < count; i++) {
		seed = seed * 1664525 + 1013904223;
		x[i] = 0.3f * sinf(0.1f * (float)i) * sinf(1e-4f * (float)i) + 1e-4f * ((float)(seed >> 8) * 0x1p-23f - 1);
	}
	return x;
}

/* log10 of the filtered power of the frame whose middle is samples[middle]; before the clip mirrored, behind it silent. */
static void plain_frame(const float *samples, int count, const float *filters, int mels, int middle, double *out) {
	double power[SN_MEL_BINS];
	for (int k = 0; k < SN_MEL_BINS; k++) {
		double re = 0, im = 0;
		for (int n = 0; n < SN_MEL_FFT; n++) {
			int at = abs(middle - SN_MEL_FFT / 2 + n);
			double x = at < count ? samples[at] : 0;
			x *= 0.5 - 0.5 * cos(2 * M_PI * n / SN_MEL_FFT);
			re += x * cos(2 * M_PI * (double)(n * k % SN_MEL_FFT) / SN_MEL_FFT);
			im -= x * sin(2 * M_PI * (double)(n * k % SN_MEL_FFT) / SN_MEL_FFT);
		}
		power[k] = re * re + im * im;
	}
	for (int m = 0; m < mels; m++) {
		double sum = 0;
		for (int k = 0; k < SN_MEL_BINS; k++)
			sum += filters[m * SN_MEL_BINS + k] * power[k];
		out[m] = log10(fmax(sum, 1e-10));
	}
}

static void frames_are_what_they_are_defined_to_be(void **state) {
	static const int chosen[] = { 0, 1, 2, 7, 8, 100, 1234, 1247, 1248, 1249, 1250, 1251, 1252, 2999 };
	const int count = 200000; /* the rest of the window is silence */
	float *x = noise(count), *out = malloc(sizeof *out * FRAMES * SN_MEL_MAX);
	for (int mels = 80; mels <= 128; mels += 48) {
		sn_mel *mel;
		assert_int_equal(sn_mel_open(&mel, mels, err), SN_OK);
		sn_mel_view view = { x, count, 0 };
		float max = sn_mel_block(mel, &view, 0, FRAMES, out), largest = -10;
		for (int i = 0; i < FRAMES * mels; i++)
			largest = fmaxf(largest, out[i]);
		assert_true(max == largest);
		for (size_t i = 0; i < sizeof chosen / sizeof chosen[0]; i++) {
			double expected[SN_MEL_MAX];
			plain_frame(x, count, sn_mel_filters(mel), mels, chosen[i] * SN_MEL_HOP, expected);
			for (int m = 0; m < mels; m++)
				assert_float_equal(out[chosen[i] * mels + m], expected[m], 2e-6);
		}
		sn_mel_close(&mel);
		assert_null(mel);
	}
	free(x);
	free(out);
}

/* Values of librosa.filters.mel(sr=16000, n_fft=400, n_mels=...), as Whisper ships them: the peaks of a few triangles. */
static void filters_are_those_of_the_reference(void **state) {
	static const struct { int mels, filter, bin; float value; } peaks[] = {
		{ 80, 0, 1, 0.0248625949f }, { 80, 20, 20, 0.013890394f }, { 80, 40, 43, 0.0147355655f }, { 80, 79, 192, 0.00316471164f },
		{ 128, 0, 1, 0.0123739867f }, { 128, 32, 19, 0.0214935672f }, { 128, 64, 43, 0.0180915184f }, { 128, 127, 195, 0.0050416016f },
	};
	for (size_t i = 0; i < sizeof peaks / sizeof peaks[0]; i++) {
		sn_mel *mel;
		assert_int_equal(sn_mel_open(&mel, peaks[i].mels, err), SN_OK);
		const float *row = sn_mel_filters(mel) + peaks[i].filter * SN_MEL_BINS;
		assert_float_equal(row[peaks[i].bin], peaks[i].value, 1e-8);
		for (int k = 0; k < SN_MEL_BINS; k++)
			assert_true(row[k] >= 0 && row[k] <= row[peaks[i].bin]);
		sn_mel_close(&mel);
	}
}

/* Blocks may be computed anywhere in any order: same bits. */
static void blocks_make_the_window(void **state) {
	static const int ends[] = { 1, 9, 16, 100, 1503, 1504, 2996, FRAMES };
	float *x = noise(WINDOW), *whole = malloc(sizeof *whole * FRAMES * 80), *parts = malloc(sizeof *parts * FRAMES * 80), max = -10;
	sn_mel *mel;
	assert_int_equal(sn_mel_open(&mel, 80, err), SN_OK);
	sn_mel_view view = { x, WINDOW, 0 };
	sn_mel_window(mel, &view, FRAMES, whole);
	for (int i = 0, at = 0; at < FRAMES; at = ends[i++])
		max = fmaxf(max, sn_mel_block(mel, &view, at, ends[i] - at, parts + at * 80));
	sn_mel_normalise(parts, FRAMES * 80, max);
	assert_memory_equal(whole, parts, sizeof *whole * FRAMES * 80);
	sn_mel_close(&mel);
	free(x);
	free(whole);
	free(parts);
}

/* A window of long audio, cut out with its context, has the frames that the whole has there. */
static void a_window_is_a_part_of_the_whole(void **state) {
	const int start = 1001 * SN_MEL_HOP, frames = 500, cut = SN_MEL_CONTEXT;
	float *x = noise(WINDOW), whole[500 * 80], part[500 * 80];
	sn_mel *mel;
	assert_int_equal(sn_mel_open(&mel, 80, err), SN_OK);
	sn_mel_block(mel, &(sn_mel_view){ x, WINDOW, 0 }, 1001, frames, whole);
	sn_mel_view view = { x + start - cut, cut + frames * SN_MEL_HOP + cut, cut };
	sn_mel_block(mel, &view, 0, frames, part);
	assert_memory_equal(whole, part, sizeof whole);
	sn_mel_close(&mel);
	free(x);
}

static void silence_and_shortness(void **state) {
	float one = 1, out[100 * 80];
	sn_mel *mel;
	assert_int_equal(sn_mel_open(&mel, 80, err), SN_OK);
	sn_mel_window(mel, &(sn_mel_view){ NULL, 0, 0 }, 100, out);
	for (int i = 0; i < 100 * 80; i++)
		assert_float_equal(out[i], -1.5, 0); /* (-10 + 4) / 4 */
	float max = sn_mel_block(mel, &(sn_mel_view){ &one, 1, 0 }, 0, 100, out);
	double expected[80];
	plain_frame(&one, 1, sn_mel_filters(mel), 80, 0, expected);
	assert_float_equal(out[40], expected[40], 2e-6);
	assert_true(max > -2 && out[99 * 80] == -10);
	sn_mel_normalise(out, 100 * 80, max);
	assert_float_equal(out[99 * 80], (max - 8 + 4) / 4, 1e-6); /* the floor is above -10 */
	sn_mel_close(&mel);
}

static void counts_of_bands_are_checked(void **state) {
	sn_mel *mel;
	assert_int_equal(sn_mel_open(&mel, 0, err), SN_E_ARGUMENT);
	assert_int_equal(sn_mel_open(&mel, 129, err), SN_E_ARGUMENT);
	assert_string_equal(err, "129 mel bands asked for; 1 to 128 are possible (Whisper uses 80 or 128)");
	assert_null(mel);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_what_they_are_defined_to_be),
		cmocka_unit_test(filters_are_those_of_the_reference),
		cmocka_unit_test(blocks_make_the_window),
		cmocka_unit_test(a_window_is_a_part_of_the_whole),
		cmocka_unit_test(silence_and_shortness),
		cmocka_unit_test(counts_of_bands_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
