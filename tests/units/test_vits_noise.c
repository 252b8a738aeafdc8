/* A seed must give the same sound for ever, on every machine: these draws are part of the promise. */
#include "models/vits_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

/* Philox 4x32-10 of counter 0 and key 0 gives 6627e8d5 e169c58d bc57ac4c 9b00dbd8 (its authors' known answer). */
static void draws_are_those_of_the_first_day(void **state) {
	static const float expected[8] = { 0.991137683f, -0.92466259f, -0.617608964f, -0.482068598f, -0.153638229f, 0.180825904f, 0.831735134f,
	                                   0.197439715f };
	float draws[8];
	vits_noise(0, 0, 0, 8, draws);
	assert_memory_equal(draws, expected, sizeof expected);
	const double radius = sqrt(-2 * log((0x6627e8d5 + 1.0) / 4294967296.0)), angle = 2 * M_PI * (0xe169c58d / 4294967296.0);
	assert_true(fabs(draws[0] - radius * cos(angle)) < 1e-6);
	assert_true(fabs(draws[1] - radius * sin(angle)) < 1e-6);
}

static void a_draw_depends_on_nothing_but_its_number(void **state) {
	float all[1000], one;
	vits_noise(123456789012345ull, 1, 5, 1000, all);
	for (int i = 0; i < 1000; i += 7) {
		vits_noise(123456789012345ull, 1, (uint64_t)(5 + i), 1, &one);
		assert_memory_equal(&one, &all[i], sizeof one);
	}
	vits_noise(123456789012345ull, 0, 5, 1, &one);
	assert_true(one != all[0]);
	vits_noise(123456789012346ull, 1, 5, 1, &one);
	assert_true(one != all[0]);
}

static void draws_are_normal(void **state) {
	enum { N = 200000 };
	static float draws[N];
	double mean = 0, square = 0, fourth = 0, lag = 0;
	vits_noise(42, 1, 0, N, draws);
	for (int i = 0; i < N; i++) {
		const double x = draws[i];
		mean += x / N;
		square += x * x / N;
		fourth += x * x * x * x / N;
		if (i) lag += x * draws[i - 1] / N;
	}
	assert_true(fabs(mean) < 0.01 && fabs(square - 1) < 0.015 && fabs(fourth - 3) < 0.1 && fabs(lag) < 0.01);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(draws_are_those_of_the_first_day),
		cmocka_unit_test(a_draw_depends_on_nothing_but_its_number),
		cmocka_unit_test(draws_are_normal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
