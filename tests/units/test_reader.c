/* Audio that comes piece by piece (sn_reader). */
#include <sonant/sonant.h>

#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST ((size_t)1 << 20)

typedef struct take { float *pcm; size_t count; int result; char err[SN_ERRLEN]; } take;

static void wait_for(const sn_reader *r, int events) {
	struct pollfd wait = { .fd = sn_reader_descriptor(r), .events = (short)events };
	if (wait.fd >= 0)
		poll(&wait, 1, 5000);
}

static int pull_all(sn_reader *r, take *t) {
	size_t got;
	int result;
	while ((result = sn_reader_pull(r, t->pcm + t->count, MOST - t->count, &got, t->err)) == SN_OK)
		t->count += got;
	return result;
}

/* All of the data in pieces of `piece` bytes. */
static take read_in_pieces(const sn_reader_options *options, const void *data, size_t size, size_t piece) {
	take t = { .pcm = malloc(MOST * sizeof(float)) };
	sn_reader *r;
	size_t at = 0, taken;
	assert_int_equal(sn_reader_open(&r, options, t.err), SN_OK);
	while (at < size && t.result >= 0) {
		const size_t part = size - at < piece ? size - at : piece;
		const int pushed = sn_reader_push(r, (const char *)data + at, part, &taken, t.err);
		at += taken;
		t.result = pull_all(r, &t);
		if (pushed == SN_AGAIN && t.result == SN_AGAIN)
			wait_for(r, POLLIN | POLLOUT);
		else if (pushed < 0)
			break;
	}
	if (t.result >= 0) {
		assert_int_equal(sn_reader_finish(r, t.err), SN_OK);
		while ((t.result = pull_all(r, &t)) == SN_AGAIN)
			wait_for(r, POLLIN);
	}
	sn_reader_close(&r);
	assert_null(r);
	return t;
}

static int16_t *tone(size_t count, int rate) {
	int16_t *const samples = malloc(count * sizeof *samples);
	for (size_t i = 0; i < count; i++)
		samples[i] = (int16_t)lrint(16384 * sin(2 * M_PI * 440 * (double)i / rate));
	return samples;
}

static void pcm16_at_its_rate_comes_out_as_it_went_in(void **state) {
	int16_t *const in = tone(16000, 16000);
	for (size_t piece = 1; piece < 70000; piece = piece * 7 + 1) { /* odd pieces cut samples in two */
		take t = read_in_pieces(&(sn_reader_options){ .format = "pcm16" }, in, 32000, piece);
		assert_int_equal(t.result, SN_END);
		assert_int_equal(t.count, 16000);
		for (size_t i = 0; i < t.count; i++)
			assert_true(t.pcm[i] == in[i] / 32768.0f);
		free(t.pcm);
	}
	free(in);
}

static void other_rates_are_converted(void **state) {
	int16_t *const in = tone(24000, 24000);
	take t = read_in_pieces(&(sn_reader_options){ .format = "pcm16", .sample_rate = 24000 }, in, 48000, 1000);
	assert_int_equal(t.result, SN_END);
	assert_int_equal(t.count, 16000);
	for (size_t i = 1000; i < 15000; i++)
		assert_true(fabs(t.pcm[i] - 0.5 * sin(2 * M_PI * 440 * (double)i / 16000)) < 0.002);
	free(t.pcm);
	free(in);
}

static void channels_are_averaged(void **state) {
	const float in[] = { 0.5f, -0.25f, 1, 0, -1, -1 };
	take t = read_in_pieces(&(sn_reader_options){ .format = "float32", .channels = 2 }, in, sizeof in, 5);
	assert_int_equal(t.result, SN_END);
	assert_int_equal(t.count, 3);
	assert_true(t.pcm[0] == 0.125f && t.pcm[1] == 0.5f && t.pcm[2] == -1);
	free(t.pcm);
}

static void telephone_codes_are_expanded(void **state) {
	const uint8_t u[] = { 0xff, 0x7f, 0x80, 0x00 }, a[] = { 0xd5, 0x55, 0xaa, 0x2a };
	take t = read_in_pieces(&(sn_reader_options){ .format = "g711_ulaw" }, u, sizeof u, 4);
	assert_true(t.pcm[0] == 0 && t.pcm[1] == 0 && t.pcm[2] == 32124 / 32768.0f && t.pcm[3] == -32124 / 32768.0f);
	free(t.pcm);
	t = read_in_pieces(&(sn_reader_options){ .format = "g711_alaw" }, a, sizeof a, 4);
	assert_true(t.pcm[0] == 8 / 32768.0f && t.pcm[1] == -8 / 32768.0f && t.pcm[2] == 32256 / 32768.0f && t.pcm[3] == -32256 / 32768.0f);
	free(t.pcm);
}

static void bad_samples_are_told(void **state) {
	const float in[] = { 0, NAN };
	take t = read_in_pieces(&(sn_reader_options){ .format = "float32" }, in, sizeof in, 8);
	assert_int_equal(t.result, SN_E_FORMAT);
	free(t.pcm);
	t = read_in_pieces(&(sn_reader_options){ .format = "pcm16" }, "abc", 3, 3);
	assert_int_equal(t.result, SN_E_FORMAT);
	assert_non_null(strstr(t.err, "middle of a sample"));
	free(t.pcm);
}

static void bad_options_are_told(void **state) {
	char err[SN_ERRLEN];
	sn_reader *r;
	assert_int_equal(sn_reader_open(&r, &(sn_reader_options){ .format = "pcm17" }, err), SN_E_ARGUMENT);
	assert_null(r);
	assert_non_null(strstr(err, "pcm16"));
	assert_int_equal(sn_reader_open(&r, &(sn_reader_options){ .format = "pcm16", .sample_rate = 9 }, err), SN_E_ARGUMENT);
	assert_int_equal(sn_reader_open(&r, &(sn_reader_options){ .format = "pcm16", .channels = 9 }, err), SN_E_ARGUMENT);
}

static void *read_file(const char *name, size_t *size) {
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", TEST_AUDIO, name);
	FILE *const file = fopen(path, "rb");
	assert_non_null(file);
	char *const data = malloc((size_t)8 << 20);
	*size = fread(data, 1, (size_t)8 << 20, file);
	fclose(file);
	return data;
}

static void containers_are_read_by_the_helper(void **state) {
	size_t size;
	char *const data = read_file("jfk.wav", &size);
	take t = read_in_pieces(&(sn_reader_options){ 0 }, data, size, 4000);
	assert_int_equal(t.result, SN_END);
	assert_int_equal(t.count, 176000);
	free(t.pcm);
	free(data);
}

/* What was recorded before the stream goes on can be heard: nothing waits for the end. */
static void samples_come_before_the_end(void **state) {
	size_t size, taken, count = 0;
	char *const data = read_file("jfk_2s.webm", &size), err[SN_ERRLEN];
	float *const pcm = malloc(MOST * sizeof *pcm);
	sn_reader *r;
	assert_int_equal(sn_reader_open(&r, &(sn_reader_options){ .format = "webm" }, err), SN_OK);
	assert_int_equal(sn_reader_push(r, data, size / 2, &taken, err), SN_OK);
	for (int i = 0; i < 1000 && count < 8000; i++) {
		size_t got;
		while (sn_reader_pull(r, pcm, MOST, &got, err) == SN_OK)
			count += got;
		struct pollfd wait = { .fd = sn_reader_descriptor(r), .events = POLLIN };
		poll(&wait, 1, 200);
	}
	assert_true(count >= 8000);
	sn_reader_close(&r);
	free(pcm);
	free(data);
}

static void noise_is_no_container(void **state) {
	char noise[60000];
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)(i * i * 2654435761u >> 13);
	take t = read_in_pieces(&(sn_reader_options){ .format = "webm" }, noise, sizeof noise, 1000);
	assert_int_equal(t.result, SN_E_FORMAT);
	free(t.pcm);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcm16_at_its_rate_comes_out_as_it_went_in), cmocka_unit_test(other_rates_are_converted),
		cmocka_unit_test(channels_are_averaged), cmocka_unit_test(telephone_codes_are_expanded), cmocka_unit_test(bad_samples_are_told),
		cmocka_unit_test(bad_options_are_told), cmocka_unit_test(containers_are_read_by_the_helper),
		cmocka_unit_test(samples_come_before_the_end), cmocka_unit_test(noise_is_no_container),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
