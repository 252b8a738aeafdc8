/* Resampling, levels, and what the decoding helper is kept from doing. */
#include "audio/resample.h"
#include "audio/validate.h"
#include "audio_clips.h"
#include "base/helper_path.h"

#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

static char err[SN_ERRLEN];

static void resampling_keeps_a_sine(void **state) {
	static const int rates[][2] = { { 8000, 16000 }, { 11025, 16000 }, { 44100, 16000 }, { 22050, 24000 }, { 768000, 1000 }, { 1000, 768000 } };
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		int in_rate = rates[i][0], out_rate = rates[i][1];
		double hz = in_rate < 2000 || out_rate < 2000 ? 100 : CLIP_HZ;
		size_t count = (size_t)in_rate / 2, got;
		float *x = malloc(sizeof *x * count), *y;
		for (size_t t = 0; t < count; t++)
			x[t] = (float)(0.5 * sin(2 * M_PI * hz * (double)t / in_rate));
		assert_int_equal(sn_resample(x, count, in_rate, out_rate, &y, &got, err), SN_OK);
		assert_int_equal(got, (count * (size_t)out_rate + (size_t)in_rate - 1) / (size_t)in_rate);
		for (size_t t = got / 4; t < got * 3 / 4; t++)
			assert_float_equal(y[t], 0.5 * sin(2 * M_PI * hz * (double)t / out_rate), 1e-3);
		free(x);
		free(y);
	}
}

static void what_would_alias_is_removed(void **state) {
	float x[48000], *y;
	size_t got;
	for (int t = 0; t < 48000; t++)
		x[t] = (float)sin(2 * M_PI * 9000 * t / 48000.0); /* above the 8000 Hz that 16 kHz can hold */
	assert_int_equal(sn_resample(x, 48000, 48000, 16000, &y, &got, err), SN_OK);
	assert_int_equal(got, 16000);
	for (size_t t = 1000; t < 15000; t++)
		assert_float_equal(y[t], 0, 1e-4);
	free(y);
}

static void resampling_of_nothing_and_of_one(void **state) {
	float one = 1, *y;
	size_t got;
	assert_int_equal(sn_resample(&one, 0, 44100, 16000, &y, &got, err), SN_OK);
	assert_int_equal(got, 0);
	free(y);
	assert_int_equal(sn_resample(&one, 1, 44100, 16000, &y, &got, err), SN_OK);
	assert_int_equal(got, 1);
	free(y);
	assert_int_equal(sn_resample(&one, 1, 999, 16000, &y, &got, err), SN_E_ARGUMENT);
	assert_string_equal(err, "a sample rate of 999 Hz is not possible; 1000 to 768000 Hz are");
}

static void levels_add_up(void **state) {
	float x[] = { 0.5f, -0.5f, 1.0f, NAN, -0.25f, INFINITY, 0 };
	sn_audio_level level = SN_AUDIO_LEVEL_INIT;
	sn_audio_measure(&level, x, 3);
	sn_audio_measure(&level, x + 3, 4);
	assert_int_equal(level.samples, 7);
	assert_int_equal(level.invalid, 2);
	assert_int_equal(level.first_invalid, 3);
	assert_int_equal(level.clipped, 1);
	assert_true(level.peak == 1.0f);
	assert_float_equal(sn_audio_rms(&level), sqrt((0.25 + 0.25 + 1 + 0.0625) / 5), 1e-6);
	assert_int_equal(sn_audio_find_invalid(x, 7), 3);
	assert_int_equal(sn_audio_find_invalid(x, 3), 3);
	level = (sn_audio_level)SN_AUDIO_LEVEL_INIT;
	assert_float_equal(sn_audio_rms(&level), 0, 0);
}

/* Each attempt is refused (0) or ends the process (SIGSYS); 3 means that it was possible. */
static void the_sandbox_holds(void **state) {
	static const char *const attempts[] = { "open", "socket", "exec", "write" };
	char path[PATH_MAX];
	assert_int_equal(sn_helper_path("sonant-decode", path, sizeof path, err), SN_OK);
	for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			execl(path, "sonant-decode", "--try", attempts[i], NULL);
			_exit(127);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true((WIFEXITED(status) && WEXITSTATUS(status) == 0) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resampling_keeps_a_sine),
		cmocka_unit_test(what_would_alias_is_removed),
		cmocka_unit_test(resampling_of_nothing_and_of_one),
		cmocka_unit_test(levels_add_up),
		cmocka_unit_test(the_sandbox_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
