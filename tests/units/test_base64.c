#include "server/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_vectors_of_the_standard(void **state) {
	static const char *const plain[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar" };
	static const char *const coded[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	(void)state;
	for (int i = 0; i < 7; i++) {
		char err[SN_ERRLEN], *text = sv_base64_encode(plain[i], strlen(plain[i]));
		void *data;
		size_t size;
		assert_string_equal(text, coded[i]);
		assert_int_equal(strlen(text), SV_BASE64_SIZE(strlen(plain[i])));
		assert_int_equal(sv_base64_decode(&data, &size, text, strlen(text), "x", err), SN_OK);
		assert_int_equal(size, strlen(plain[i]));
		assert_memory_equal(data, plain[i], size);
		free(data);
		free(text);
	}
}

static void every_byte_comes_back(void **state) {
	uint8_t bytes[1000];
	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 167 >> 2);
	for (size_t size = 0; size <= sizeof bytes; size += 37) {
		char *const text = sv_base64_encode(bytes, size);
		void *data;
		size_t count;
		assert_int_equal(sv_base64_decode(&data, &count, text, strlen(text), "x", NULL), SN_OK);
		assert_int_equal(count, size);
		assert_memory_equal(data, bytes, size);
		free(data);
		free(text);
	}
}

static void other_ways_of_writing(void **state) {
	static const char *const same[] = { "+/+/Zg==", "-_-_Zg", " +/+/\r\nZg==\n", "+/-_Zg=", "data:audio/wav;base64,+/+/Zg==" };
	(void)state;
	for (int i = 0; i < 5; i++) {
		void *data;
		size_t size;
		assert_int_equal(sv_base64_decode(&data, &size, same[i], strlen(same[i]), "x", NULL), SN_OK);
		assert_int_equal(size, 4);
		assert_memory_equal(data, "\xfb\xff\xbf" "f", 4);
		free(data);
	}
}

static void what_is_no_base64(void **state) {
	static const char *const bad[] = { "Zm9v!", "Zg==Zg==", "Zg===", "Z", "Zm9vY", "data:audio/wav,Zg==", "Zm\xc3\xa9v" };
	(void)state;
	for (int i = 0; i < 7; i++) {
		char err[SN_ERRLEN] = "";
		void *data = err;
		size_t size;
		assert_int_equal(sv_base64_decode(&data, &size, bad[i], strlen(bad[i]), "audio_data", err), SN_E_FORMAT);
		assert_null(data);
		assert_non_null(strstr(err, "audio_data"));
	}
	void *data;
	size_t size;
	assert_int_equal(sv_base64_decode(&data, &size, "Zg\0=", 4, "x", NULL), SN_E_FORMAT); /* a NUL inside */
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vectors_of_the_standard),
		cmocka_unit_test(every_byte_comes_back),
		cmocka_unit_test(other_ways_of_writing),
		cmocka_unit_test(what_is_no_base64),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
