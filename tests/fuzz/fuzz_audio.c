/* Decodes hostile audio in this process. The helper stays out of it: it is a program of its own, behind a sandbox, and too slow to start
 * for every input. The first byte of an input chooses the rate, the rest is the file. */
#include "audio/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SAMPLES 4000000 /* of one input: codecs that pack silence would take long */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libsndfile 1.2 forgets what libvorbis allocated when an Ogg file's headers are broken. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:vorbis_info_init\n"; }

/* All samples are numbers, an end is an end, and an error has words and stays. */
static void read_all(sn_decoder *decoder) {
	float block[5000];
	char err[SN_ERRLEN] = "";
	size_t got, total = 0;
	int result;
	while ((result = sn_decoder_read(decoder, block, 1 + total % 5000, &got, err)) == SN_OK && total < MOST_SAMPLES) {
		if (!got || got > 5000)
			abort();
		for (size_t i = 0; i < got; i++)
			if (!isfinite(block[i]))
				abort();
		total += got;
	}
	if (result == SN_OK)
		return;
	if (got || (result != SN_END && !*err) || sn_decoder_read(decoder, block, 1, &got, err) != result)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const int rates[] = { 16000, 0, 48000, 1000 };
	if (!size)
		return 0;
	setenv("SONANT_HELPERS", "/nonexistent", 1);
	char err[SN_ERRLEN] = "";
	sn_decoder *decoder;
	int result = sn_decoder_open_memory(&decoder, data + 1, size - 1, "input", rates[data[0] % 4], err);
	if ((result == SN_OK) != (decoder != NULL) || (result != SN_OK && !*err))
		abort();
	if (decoder)
		read_all(decoder);
	sn_decoder_close(&decoder);
	return 0;
}
