#include "audio/encode.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_MEMORY ((size_t)2 << 30) /* bytes */

struct sn_writer {
	sn_encoder *encoder;
	sn_buf memory;
};

int sn_writer_open(sn_writer **out, const char *path, const char *format, int sample_rate, char *err) {
	sn_encoder_options options = { .format = SN_AUDIO_WAV, .channels = 1, .rate = sample_rate };
	const int is_stdout = strcmp(path, "-") == 0;
	*out = NULL;
	if (sample_rate < SN_AUDIO_MIN_RATE || sample_rate > SN_AUDIO_MAX_RATE)
		return sn_fail(err, SN_E_ARGUMENT, "a rate of %d Hz is outside %d to %d", sample_rate, SN_AUDIO_MIN_RATE, SN_AUDIO_MAX_RATE);
	int result = sn_audio_format_choose(format, path, &options.format, err);
	if (result != SN_OK)
		return result;
	sn_writer *writer = calloc(1, sizeof *writer);
	if (!writer)
		return sn_fail(err, SN_E_MEMORY, "no memory to write '%s'", path);
	result = is_stdout ? sn_encoder_open_fd(&writer->encoder, STDOUT_FILENO, "standard output", &options, err)
	                   : sn_encoder_open_path(&writer->encoder, path, &options, err);
	if (result != SN_OK)
		sn_writer_close(&writer);
	*out = writer;
	return result;
}

/* take NULL: memory */
static int open_with(sn_writer **out, int (*take)(void *payload, const void *data, size_t size), void *payload, const sn_writer_options *given,
                     char *err) {
	static const sn_writer_options none;
	const sn_writer_options *const o = given ? given : &none;
	sn_encoder_options options = { .format = SN_AUDIO_WAV, .channels = 1, .rate = o->sample_rate, .out_rate = o->output_rate, .bitrate = o->bitrate };
	*out = NULL;
	int result = o->format ? sn_audio_format_parse(o->format, &options.format, err) : SN_OK;
	if (result != SN_OK)
		return result;
	sn_writer *writer = calloc(1, sizeof *writer);
	if (!writer)
		return sn_fail(err, SN_E_MEMORY, "no memory to write audio");
	sn_buf_init(&writer->memory, o->most ? o->most : MOST_MEMORY);
	result = take ? sn_encoder_open_function(&writer->encoder, take, payload, &options, err)
	              : sn_encoder_open_memory(&writer->encoder, &writer->memory, &options, err);
	if (result != SN_OK)
		sn_writer_close(&writer);
	*out = writer;
	return result;
}

int sn_writer_open_callback(sn_writer **out, int (*write)(void *payload, const void *data, size_t size), void *payload,
                            const sn_writer_options *options, char *err) {
	return open_with(out, write, payload, options, err);
}

int sn_writer_open_memory(sn_writer **out, const sn_writer_options *options, char *err) { return open_with(out, NULL, NULL, options, err); }

void *sn_writer_take(sn_writer *writer, size_t *size) { return sn_buf_take(&writer->memory, size); }

int sn_writer_rate(const sn_writer *writer) { return sn_encoder_rate(writer->encoder); }

int sn_writer_write(sn_writer *writer, const float *pcm, size_t count, char *err) {
	return count ? sn_encoder_write(writer->encoder, pcm, count, err) : SN_OK;
}

int sn_writer_finish(sn_writer *writer, char *err) { return sn_encoder_finish(writer->encoder, err); }

void sn_writer_close(sn_writer **held) {
	sn_writer *writer = *held;
	*held = NULL;
	if (!writer)
		return;
	sn_encoder_close(&writer->encoder);
	sn_buf_free(&writer->memory);
	free(writer);
}
