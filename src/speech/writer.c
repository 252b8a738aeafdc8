#include "audio/encode.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sn_writer {
	sn_encoder *encoder;
};

int sn_writer_open(sn_writer **out, const char *path, const char *format, int sample_rate, char *err) {
	sn_encoder_options options = { .format = SN_AUDIO_WAV, .channels = 1, .rate = sample_rate };
	const int is_stdout = strcmp(path, "-") == 0;
	*out = NULL;
	if (sample_rate < SN_AUDIO_MIN_RATE || sample_rate > SN_AUDIO_MAX_RATE)
		return sn_fail(err, SN_E_ARGUMENT, "a rate of %d Hz is outside %d to %d", sample_rate, SN_AUDIO_MIN_RATE, SN_AUDIO_MAX_RATE);
	int result = SN_OK;
	if (format)
		result = sn_audio_format_parse(format, &options.format, err);
	else if (!is_stdout && strchr(path, '.'))
		result = sn_audio_format_of_path(path, &options.format, err);
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
	free(writer);
}
