/* Short-time spectra against values that torch.stft and the definitions of the filters gave for the same signal. */
#include "audio/spectrum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 4000

static float signal[COUNT];

static int make_signal(void **state) {
	for (int i = 0; i < COUNT; i++) signal[i] = (float)(0.5 * sin(0.05 * i + 1e-4 * i * i) + 0.2 * cos(1.3 * i));
	return 0;
}

typedef struct point { int row, column; double value; } point;

static void expect(const sn_spectrum_options *options, int rows, int columns, const point points[5], double sum) {
	char err[SN_ERRLEN] = "";
	sn_spectrum *s;
	double total = 0;
	assert_int_equal(sn_spectrum_open(&s, options, err), SN_OK);
	assert_int_equal(sn_spectrum_frames(s, COUNT), rows);
	assert_int_equal(sn_spectrum_columns(s), columns);
	float *const out = malloc((size_t)rows * (size_t)columns * sizeof *out);
	assert_non_null(out);
	assert_int_equal(sn_spectrum_run(s, signal, COUNT, out, err), SN_OK);
	for (int i = 0; i < 5; i++) {
		const double found = (double)out[points[i].row * columns + points[i].column];
		if (!(fabs(found - points[i].value) < 1e-5 + 2e-5 * fabs(points[i].value)))
			fail_msg("[%d, %d] is %.9g, %.9g is right", points[i].row, points[i].column, found, points[i].value);
	}
	for (int i = 0; i < rows * columns; i++) total += (double)out[i];
	if (!(fabs(total - sum) < 2e-6 * fabs(sum))) fail_msg("the sum is %.9g, %.9g is right", total, sum);
	free(out);
	sn_spectrum_close(&s);
}

static void voice_encoders_mels(void **state) {
	const sn_spectrum_options o = { .sample_rate = 16000, .fft = 512, .hop = 160, .window_size = 400, .window = SN_WINDOW_HAMMING,
		.pad = SN_SPECTRUM_PAD_REFLECT, .power = 2, .preemphasis = 0.97f, .preemphasis_reflect = 1, .mels = 64, .log = SN_SPECTRUM_LOG_E,
		.offset = 1e-6f };
	const point points[] = { { 0, 0, -2.10638714 }, { 1, 21, -5.18321609 }, { 13, 32, -6.00929451 }, { 25, 63, -1.6345979 },
		{ 25, 2, -0.426069081 } };
	expect(&o, 26, 64, points, -5970.77135);
}

static void vocoders_mels(void **state) {
	const sn_spectrum_options o = { .sample_rate = 22050, .fft = 1024, .hop = 256, .pad = SN_SPECTRUM_PAD_REFLECT, .power = 1, .mels = 80,
		.high = 8000, .scale = SN_SCALE_SLANEY, .area = 1, .log = SN_SPECTRUM_LOG_E, .floor = 1e-5f };
	const point points[] = { { 0, 0, -0.0609439164 }, { 1, 26, -4.23885632 }, { 8, 40, 0.474103928 }, { 15, 79, -4.5150609 },
		{ 15, 2, -3.57559061 } };
	expect(&o, 16, 80, points, -9145.28255);
}

static void symmetric_filters_in_decibels(void **state) {
	const sn_spectrum_options o = { .sample_rate = 16000, .fft = 400, .hop = 160, .window = SN_WINDOW_HAMMING, .pad = SN_SPECTRUM_PAD_ZERO,
		.power = 2, .mels = 24, .filter_symmetric = 1, .log = SN_SPECTRUM_LOG_10, .floor = 1e-10f, .gain = 10 };
	const point points[] = { { 0, 0, 26.4565296 }, { 1, 8, -16.6692734 }, { 13, 12, -8.66447258 }, { 25, 23, -18.4907455 },
		{ 25, 2, -2.06861186 } };
	expect(&o, 26, 24, points, -4731.63989);
}

static void linear_frequencies_of_whole_frames(void **state) {
	const sn_spectrum_options o = { .sample_rate = 16000, .fft = 64, .hop = 16, .symmetric = 1, .power = 1 };
	const point points[] = { { 0, 0, 12.6866159 }, { 1, 11, 0.0684322566 }, { 123, 16, 0.0463230908 }, { 246, 32, 0.000170469284 },
		{ 246, 2, 0.00921525247 } };
	expect(&o, 247, 33, points, 5771.88435);
}

static void given_filters_are_used(void **state) {
	float filters[2 * 33] = { 0 }, linear[247 * 33], out[247 * 2];
	char err[SN_ERRLEN];
	sn_spectrum_options o = { .sample_rate = 16000, .fft = 64, .hop = 16, .power = 1 };
	sn_spectrum *s;
	assert_int_equal(sn_spectrum_open(&s, &o, err), SN_OK);
	assert_int_equal(sn_spectrum_run(s, signal, COUNT, linear, err), SN_OK);
	sn_spectrum_close(&s);
	filters[5] = 2;
	filters[33 + 7] = filters[33 + 9] = 0.5f;
	o.mels = 2;
	o.filters = filters;
	assert_int_equal(sn_spectrum_open(&s, &o, err), SN_OK);
	assert_int_equal(sn_spectrum_run(s, signal, COUNT, out, err), SN_OK);
	sn_spectrum_close(&s);
	for (int t = 0; t < 247; t++) {
		assert_float_equal(out[2 * t], 2 * linear[33 * t + 5], 1e-6);
		assert_float_equal(out[2 * t + 1], 0.5f * (linear[33 * t + 7] + linear[33 * t + 9]), 1e-6);
	}
}

static void what_cannot_be_is_refused(void **state) {
	const sn_spectrum_options good = { .sample_rate = 16000, .fft = 512, .hop = 160, .pad = SN_SPECTRUM_PAD_REFLECT, .power = 2, .mels = 64 };
	sn_spectrum_options bad[8];
	char err[SN_ERRLEN] = "";
	float out[64];
	sn_spectrum *s;
	for (int i = 0; i < 8; i++) bad[i] = good;
	bad[0].fft = 511;
	bad[1].hop = 0;
	bad[2].window_size = 513;
	bad[3].low = 9000;
	bad[4].power = 3;
	bad[5].mels = SN_SPECTRUM_MAX_MELS + 1;
	bad[6].fft = 2 * SN_SPECTRUM_MAX_FFT;
	bad[7].preemphasis = NAN;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(sn_spectrum_open(&s, &bad[i], err), SN_E_ARGUMENT);
		assert_null(s);
	}
	assert_int_equal(sn_spectrum_open(&s, &good, err), SN_OK);
	assert_int_equal(sn_spectrum_run(s, signal, 256, out, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "256 samples is too short"));
	assert_int_equal(sn_spectrum_run(s, signal, SN_SPECTRUM_MAX_SAMPLES + 1, out, err), SN_E_LIMIT);
	sn_spectrum_close(&s);
	sn_spectrum_close(&s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(voice_encoders_mels),
		cmocka_unit_test(vocoders_mels),
		cmocka_unit_test(symmetric_filters_in_decibels),
		cmocka_unit_test(linear_frequencies_of_whole_frames),
		cmocka_unit_test(given_filters_are_used),
		cmocka_unit_test(what_cannot_be_is_refused),
	};
	return cmocka_run_group_tests(tests, make_signal, NULL);
}
