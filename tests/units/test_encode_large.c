/* A wav that is longer than its header can say. The limit, 4 GiB, is 100000 bytes here. */
#include "audio/decode.h"
#include "audio/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void lengths_that_have_no_room_mean_until_the_end(void **state) {
	static float samples[120000];
	char err[SN_ERRLEN];
	for (int large = 0; large < 2; large++) {
		const size_t count = large ? 120000 : 20000;
		sn_encoder *encoder;
		sn_decoder *decoder;
		sn_buf buf;
		float *back;
		size_t got;
		uint32_t whole, data;
		sn_buf_init(&buf, 1 << 20);
		assert_int_equal(sn_encoder_open_memory(&encoder, &buf, &(sn_encoder_options){ .format = SN_AUDIO_WAV, .rate = 16000, .channels = 1 }, err), SN_OK);
		assert_int_equal(sn_encoder_write(encoder, samples, count, err), SN_OK);
		assert_int_equal(sn_encoder_finish(encoder, err), SN_OK);
		sn_encoder_close(&encoder);
		assert_int_equal(buf.size, 44 + 2 * count);
		memcpy(&whole, buf.data + 4, 4);
		memcpy(&data, buf.data + 40, 4);
		assert_int_equal(whole, large ? UINT32_MAX : 36 + 2 * count);
		assert_int_equal(data, large ? UINT32_MAX : 2 * count);
		assert_int_equal(sn_decoder_open_memory(&decoder, buf.data, buf.size, "long.wav", 0, err), SN_OK);
		assert_int_equal(sn_decoder_read_all(decoder, 100, &back, &got, err), SN_OK);
		assert_int_equal(got, count);
		assert_false(sn_decoder_get_info(decoder)->truncated);
		sn_decoder_close(&decoder);
		free(back);
		sn_buf_free(&buf);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = { cmocka_unit_test(lengths_that_have_no_room_mean_until_the_end) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
