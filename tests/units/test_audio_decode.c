/* What a user's files become: every kind of wav made here, real files of other containers, and files that are broken. */
#include "audio/decode.h"
#include "audio/encode.h"
#include "audio_clips.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

#define NAME "clip.wav"

static char err[SN_ERRLEN];

static int decode(const clip *c, int rate, float **samples, size_t *count, sn_audio_info *info) {
	sn_decoder *decoder;
	*samples = NULL;
	*count = 0;
	int result = sn_decoder_open_memory(&decoder, c->data, c->size, NAME, rate, err);
	if (result != SN_OK) {
		assert_null(decoder);
		return result;
	}
	result = sn_decoder_read_all(decoder, 3600, samples, count, err);
	*info = *sn_decoder_get_info(decoder);
	sn_decoder_close(&decoder);
	assert_null(decoder);
	return result;
}

static void assert_is_sine(const float *samples, size_t count, int rate, double amplitude, double tolerance) {
	for (size_t i = count / 8; i < count - count / 8; i++) /* a resampler bends the ends */
		assert_float_equal(samples[i], amplitude * sin(2 * M_PI * CLIP_HZ * (double)i / rate), tolerance);
}

static void every_wav_becomes_mono_16k(void **state) {
	static const struct { int tag, bits, rate, channels; double tolerance; } kinds[] = {
		{ WAV_PCM, 16, 16000, 1, 1e-4 }, { WAV_PCM, 16, 8000, 1, 1e-3 }, { WAV_PCM, 16, 11025, 1, 1e-3 }, { WAV_PCM, 16, 44100, 2, 1e-3 },
		{ WAV_PCM, 16, 48000, 1, 1e-3 }, { WAV_PCM, 24, 96000, 1, 1e-3 }, { WAV_PCM, 16, 192000, 2, 1e-3 }, { WAV_PCM, 16, 768000, 1, 1e-3 },
		{ WAV_PCM, 16, 48000, 8, 1e-3 }, { WAV_PCM, 8, 16000, 1, 1e-2 }, { WAV_PCM, 24, 16000, 1, 1e-6 }, { WAV_PCM, 32, 16000, 3, 1e-6 },
		{ WAV_FLOAT, 32, 16000, 1, 1e-6 }, { WAV_FLOAT, 32, 44100, 2, 1e-3 }, { WAV_MULAW, 8, 8000, 1, 2e-2 }, { WAV_PCM, 16, 16000, 64, 1e-4 },
	};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		int frames = kinds[i].rate / 2;
		clip c = clip_sine(kinds[i].tag, kinds[i].bits, kinds[i].rate, kinds[i].channels, frames, 0.5);
		float *samples;
		size_t count;
		sn_audio_info info;
		assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
		assert_int_equal(count, sn_resampled_count(frames, kinds[i].rate, 16000));
		assert_int_equal(info.rate, kinds[i].rate);
		assert_int_equal(info.channels, kinds[i].channels);
		assert_int_equal(info.frames, frames);
		assert_string_equal(info.format, "wav");
		assert_string_equal(info.note, "");
		assert_false(info.truncated || info.helper);
		assert_is_sine(samples, count, 16000, 0.5, kinds[i].tolerance);
		free(samples);
		free(c.data);
	}
}

static void rate_zero_keeps_the_rate(void **state) {
	clip c = clip_sine(WAV_PCM, 16, 22050, 1, 2205, 0.25);
	float *samples;
	size_t count;
	sn_audio_info info;
	assert_int_equal(decode(&c, 0, &samples, &count, &info), SN_OK);
	assert_int_equal(count, 2205);
	assert_int_equal(info.out_rate, 22050);
	assert_is_sine(samples, count, 22050, 0.25, 1e-4);
	free(samples);
	free(c.data);
}

static void channels_are_averaged(void **state) {
	clip c = clip_header(WAV_FLOAT, 32, 16000, 4, 4 * 4 * 10);
	for (int t = 0; t < 10; t++)
		for (int k = 0; k < 4; k++)
			put_sample(&c, WAV_FLOAT, 32, k * 0.25);
	float *samples;
	size_t count;
	sn_audio_info info;
	assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
	for (size_t i = 0; i < count; i++)
		assert_float_equal(samples[i], 0.375, 1e-7);
	free(samples);
	free(c.data);
}

static void the_shortest_clips_work(void **state) {
	static const int rates[] = { 8000, 16000, 44100 };
	for (int i = 0; i < 3; i++) {
		clip c = clip_sine(WAV_PCM, 16, rates[i], 1, 1, 0.5);
		float *samples;
		size_t count;
		sn_audio_info info;
		assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
		assert_in_range(count, 1, 2);
		assert_string_equal(info.note, "");
		free(samples);
		c.size = 44;
		c.data[40] = c.data[41] = 0; /* a header that promises nothing, and nothing behind it */
		assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
		assert_int_equal(count, 0);
		assert_string_equal(info.note, "it holds no samples");
		free(samples);
		free(c.data);
	}
}

static void a_cut_file_gives_what_is_there(void **state) {
	clip c = clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5);
	float *samples;
	size_t count;
	sn_audio_info info;
	c.size = 44 + 20001; /* in the middle of a sample */
	assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
	assert_int_equal(count, 10000);
	assert_true(info.truncated);
	assert_string_equal(info.note, "cut off: the header promises 32000 bytes of audio, 20001 are there");
	assert_is_sine(samples, count, 16000, 0.5, 1e-4);
	free(samples);
	free(c.data);
}

static void cut_codecs_give_what_is_there(void **state) {
	static const struct { sn_audio_format format; const char *says; } kinds[] = {
		{ SN_AUDIO_FLAC, "cut off or damaged: the header promises 2.000 s" }, { SN_AUDIO_MP3, "cut off or damaged: the header promises 2.000 s" },
		{ SN_AUDIO_OPUS, "cut off: the stream has no end mark" },
	};
	float sine[32000];
	for (int t = 0; t < 32000; t++)
		sine[t] = (float)(0.5 * sin(2 * M_PI * CLIP_HZ * t / 16000 + 1e-8 * t * t * t)); /* rising, so that it takes some bytes */
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		sn_encoder *encoder;
		sn_buf buf;
		sn_buf_init(&buf, 1 << 20);
		assert_int_equal(sn_encoder_open_memory(&encoder, &buf, &(sn_encoder_options){ .format = kinds[i].format, .rate = 16000, .channels = 1 }, err), SN_OK);
		assert_int_equal(sn_encoder_write(encoder, sine, 32000, err), SN_OK);
		assert_int_equal(sn_encoder_finish(encoder, err), SN_OK);
		sn_encoder_close(&encoder);
		clip c = { (unsigned char *)buf.data, buf.size - buf.size / 4 };
		float *samples;
		size_t count;
		sn_audio_info info;
		assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
		assert_true(info.truncated);
		assert_in_range(count, 8000, 31000);
		if (strncmp(info.note, kinds[i].says, strlen(kinds[i].says)) != 0)
			fail_msg("the note is '%s', not '%s'", info.note, kinds[i].says);
		free(samples);
		sn_buf_free(&buf);
	}
}

/* ---- files whose header is wrong about their length ---- */

static clip encoded(sn_audio_format format, int bitrate, int frames) {
	float *const sine = malloc(sizeof *sine * (size_t)frames);
	sn_encoder *encoder;
	sn_buf buf;
	for (int t = 0; t < frames; t++)
		sine[t] = (float)(0.5 * sin(2 * M_PI * CLIP_HZ * t / 16000));
	sn_buf_init(&buf, 1 << 20);
	assert_int_equal(sn_encoder_open_memory(&encoder, &buf, &(sn_encoder_options){ .format = format, .rate = 16000, .channels = 1, .bitrate = bitrate }, err), SN_OK);
	assert_int_equal(sn_encoder_write(encoder, sine, (size_t)frames, err), SN_OK);
	assert_int_equal(sn_encoder_finish(encoder, err), SN_OK);
	sn_encoder_close(&encoder);
	free(sine);
	return (clip){ (unsigned char *)buf.data, buf.size };
}

/* b behind a, of which `first` bytes are left out; both are freed. */
static clip joined(clip a, clip b, size_t first) {
	clip c = { malloc(a.size + b.size), a.size + b.size - first };
	memcpy(c.data, a.data, a.size);
	memcpy(c.data + a.size, b.data + first, b.size - first);
	free(a.data);
	free(b.data);
	return c;
}

/* An mp3 without its first frame, which holds no sound but the file's length. */
static clip without_header(clip c) {
	const unsigned char sync[2] = { c.data[0], c.data[1] }, *const second = memmem(c.data + 4, c.size - 4, sync, 2);
	assert_non_null(second);
	c.size -= (size_t)(second - c.data);
	memmove(c.data, second, c.size);
	return c;
}

static clip misjudged(int kind) {
	clip c;
	switch (kind) {
	case 0: return joined(encoded(SN_AUDIO_MP3, 0, 32000), encoded(SN_AUDIO_MP3, 0, 32000), 0);
	case 1: return joined(encoded(SN_AUDIO_OPUS, 0, 32000), encoded(SN_AUDIO_OPUS, 0, 32000), 0);
	case 2: return joined(encoded(SN_AUDIO_FLAC, 0, 32000), encoded(SN_AUDIO_FLAC, 0, 32000), 0);
	case 3: return joined(without_header(encoded(SN_AUDIO_MP3, 128000, 32000)), without_header(encoded(SN_AUDIO_MP3, 32000, 32000)), 0);
	case 4: return joined(without_header(encoded(SN_AUDIO_MP3, 32000, 32000)), without_header(encoded(SN_AUDIO_MP3, 128000, 32000)), 0);
	case 5: return joined(encoded(SN_AUDIO_MP3, 64000, 64000), (clip){ calloc(1, 128), 128 }, 0);
	default: /* a total of 1 s in the header of 4 s */
		c = encoded(SN_AUDIO_FLAC, 0, 64000);
		memcpy(c.data + 22, (unsigned char[]){ 0, 0, 16000 >> 8, 16000 & 255 }, 4);
		return c;
	}
}

static void nothing_behind_a_wrong_length_is_lost(void **state) {
	for (int kind = 0; kind < 7; kind++) {
		clip c = misjudged(kind);
		float *samples;
		size_t count, rest;
		sn_audio_info info;
		sn_decoder *decoder;
		assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
		free(samples);
		assert_in_range(count, 63900, 64000 + 5 * 576); /* an mp3 without its header keeps the encoder's delay */
		if (*info.note || info.truncated)
			fail_msg("of kind %d is said '%s'", kind, info.note);
		int result;
		assert_int_equal(sn_decoder_open_memory(&decoder, c.data, c.size, NAME, 16000, err), SN_OK);
		while ((result = sn_decoder_seek(decoder, 3, err)) == SN_AGAIN)
			;
		assert_int_equal(result, SN_OK);
		assert_int_equal(sn_decoder_read_all(decoder, 100, &samples, &rest, err), SN_OK);
		assert_in_range(rest, count - 48000 - 100, count - 48000 + 100);
		sn_decoder_close(&decoder);
		free(samples);
		free(c.data);
	}
}

/* MPEG-1 and then MPEG-2: looking for the end ends, too, and what is behind the seam is heard. */
static void joined_files_of_two_kinds_have_an_end(void **state) {
	enum { FRAMES = 20, FIRST = 417, SECOND = 208 };
	clip c = { calloc(FRAMES, FIRST + SECOND), (size_t)FRAMES * (FIRST + SECOND) };
	float *samples;
	size_t count;
	sn_audio_info info;
	assert_non_null(c.data);
	for (int i = 0; i < FRAMES; i++) {
		memcpy(c.data + i * FIRST, (unsigned char[]){ 0xff, 0xfb, 0x90, 0xc0 }, 4); /* 44.1 kHz, 128 kbit/s, mono: 1152 samples */
		memcpy(c.data + FRAMES * FIRST + i * SECOND, (unsigned char[]){ 0xff, 0xf3, 0x80, 0xc0 }, 4); /* 22.05 kHz, 64 kbit/s: 576 */
	}
	assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
	assert_in_range(count, (size_t)FRAMES * 1152 * 16000 / 44100, (size_t)FRAMES * 2 * 1152 * 16000 / 44100 + 1152);
	free(samples);
	free(c.data);
}

/* Without the helper there is what libsndfile reads, and a note. */
static void a_wrong_length_without_the_helper_is_told(void **state) {
	char *before = getenv("SONANT_HELPERS") ? strdup(getenv("SONANT_HELPERS")) : NULL;
	clip c = misjudged(2);
	float *samples;
	size_t count;
	sn_audio_info info;
	setenv("SONANT_HELPERS", "/nonexistent", 1);
	assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
	assert_int_equal(count, 32000);
	assert_true(info.truncated);
	assert_non_null(strstr(info.note, "it goes on behind 2.000 s"));
	free(samples);
	free(c.data);
	if (before)
		setenv("SONANT_HELPERS", before, 1);
	else
		unsetenv("SONANT_HELPERS");
	free(before);
}

/* Streamed flac does not know its length; its last frame does. */
static void a_flac_without_a_total_knows_its_end(void **state) {
	clip c = encoded(SN_AUDIO_FLAC, 0, 32000);
	sn_decoder *decoder;
	float *samples, sample;
	size_t count;
	sn_audio_info info;
	memset(c.data + 22, 0, 4);
	for (int spoilt = 0; spoilt < 2; spoilt++) {
		assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
		assert_int_equal(count, 32000);
		assert_int_equal(info.frames, spoilt ? -1 : 32000);
		free(samples);
		assert_int_equal(sn_decoder_open_memory(&decoder, c.data, c.size, NAME, 16000, err), SN_OK);
		assert_int_equal(sn_decoder_seek(decoder, 45, err), SN_OK);
		assert_int_equal(sn_decoder_read(decoder, &sample, 1, &count, err), SN_END);
		sn_decoder_close(&decoder);
		c = joined(c, (clip){ memset(malloc(16), 1, 16), 16 }, 0); /* behind which its last frame is not found */
	}
	free(c.data);
}

/* A wav written to a pipe cannot know its length. */
static void unknown_lengths_mean_until_the_end(void **state) {
	clip c = clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5);
	float *samples;
	size_t count;
	sn_audio_info info;
	memset(c.data + 4, 0xff, 4);
	memset(c.data + 40, 0xff, 4);
	assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
	assert_int_equal(count, 16000);
	assert_false(info.truncated);
	free(samples);
	free(c.data);
}

/* ---- what is refused, and in which words ---- */

static clip cut(clip c, size_t size) {
	c.size = size;
	return c;
}

static clip with_number(clip c, size_t at, uint32_t value) {
	memcpy(c.data + at, &value, 4);
	return c;
}

static clip text_clip(const char *text) {
	clip c = { malloc(strlen(text) + 1), 0 };
	put_text(&c, text);
	return c;
}

static clip with_floats(float value, int first, int last) {
	clip c = clip_sine(WAV_FLOAT, 32, 16000, 1, 16000, 0.5);
	for (int i = first; i < last; i++)
		memcpy(c.data + 44 + 4 * i, &value, 4);
	return c;
}

static clip noise_clip(void) {
	clip c = { malloc(5000), 5000 };
	uint32_t x = 1;
	for (int i = 0; i < 5000; i++)
		c.data[i] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
	return c;
}

static void broken_files_say_what_is_wrong(void **state) {
	const struct { clip c; int code; const char *says; } cases[] = {
		{ text_clip(""), SN_E_FORMAT, "'" NAME "' is empty (0 bytes)" },
		{ text_clip("This is a transcript.\n"), SN_E_FORMAT, "'" NAME "' is text, not audio" },
		{ text_clip("<!DOCTYPE html><html>404 \xc3\xa9</html>"), SN_E_FORMAT, "is text, not audio" },
		{ noise_clip(), SN_E_FORMAT, "'" NAME "' cannot be read as audio" },
		{ cut(clip_sine(WAV_PCM, 16, 16000, 1, 100, 0.5), 30), SN_E_FORMAT, "No 'data' chunk marker" },
		{ cut(clip_sine(WAV_PCM, 16, 16000, 1, 100, 0.5), 44), SN_E_FORMAT, "ends before its first sample, 200 bytes of audio are missing" },
		{ with_number(clip_sine(WAV_PCM, 16, 16000, 1, 100, 0.5), 16, 0x66666666), SN_E_FORMAT, "'" NAME "' cannot be read as audio" },
		{ with_number(clip_sine(WAV_PCM, 16, 16000, 1, 100, 0.5), 24, 1092676), SN_E_FORMAT, "claims 1092676 samples a second; 1000 to 768000" },
		{ with_number(clip_sine(WAV_PCM, 16, 16000, 1, 100, 0.5), 24, 10), SN_E_FORMAT, "claims 10 samples a second" },
		{ clip_sine(WAV_PCM, 16, 16000, 65, 100, 0.5), SN_E_LIMIT, "has 65 channels; 1 to 64 are read" },
		{ with_floats(NAN, 0, 16000), SN_E_FORMAT, "its samples are not numbers (all of the first 4096 are NaN or infinite)" },
		{ with_floats(NAN, 8000, 8001), SN_E_FORMAT, "the sample at 0.5000 s (frame 8000) is not a number" },
		{ with_floats(-INFINITY, 0, 1), SN_E_FORMAT, "(frame 0) is not a number" },
		{ with_floats(1e30f, 100, 101), SN_E_FORMAT, "(frame 100) is not a number within +-1e+10" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		float *samples;
		size_t count;
		sn_audio_info info;
		*err = 0;
		assert_int_equal(decode(&cases[i].c, 16000, &samples, &count, &info), cases[i].code);
		assert_null(samples);
		if (!strstr(err, cases[i].says))
			fail_msg("case %zu says '%s', not '%s'", i, err, cases[i].says);
		free(cases[i].c.data);
	}
}

static void an_error_is_repeated(void **state) {
	clip c = with_floats(NAN, 8000, 8001);
	sn_decoder *decoder;
	float block[1000];
	size_t got, total = 0;
	int result;
	assert_int_equal(sn_decoder_open_memory(&decoder, c.data, c.size, NAME, 16000, err), SN_OK);
	while ((result = sn_decoder_read(decoder, block, 1000, &got, err)) == SN_OK)
		total += got;
	assert_int_equal(result, SN_E_FORMAT);
	assert_in_range(total, 1, 8000);
	assert_int_equal(sn_decoder_read(decoder, block, 1000, &got, err), SN_E_FORMAT);
	assert_non_null(strstr(err, "frame 8000"));
	sn_decoder_close(&decoder);
	free(c.data);
}

static void a_maximum_of_seconds_holds(void **state) {
	clip c = clip_sine(WAV_PCM, 16, 16000, 1, 32000, 0.5);
	sn_decoder *decoder;
	float *samples;
	size_t count;
	assert_int_equal(sn_decoder_open_memory(&decoder, c.data, c.size, NAME, 16000, err), SN_OK);
	assert_int_equal(sn_decoder_read_all(decoder, 1.5, &samples, &count, err), SN_E_LIMIT);
	assert_null(samples);
	assert_non_null(strstr(err, "longer than 2 s"));
	sn_decoder_close(&decoder);
	free(c.data);
}

/* ---- paths and descriptors ---- */

static int open_path(const char *path) {
	sn_decoder *decoder;
	int result = sn_decoder_open_path(&decoder, path, 16000, err);
	sn_decoder_close(&decoder);
	return result;
}

static void paths_that_are_no_files(void **state) {
	assert_int_equal(open_path("/nonexistent/clip.wav"), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, "'/nonexistent/clip.wav'"));
	assert_int_equal(open_path("/tmp"), SN_E_FORMAT);
	assert_non_null(strstr(err, "'/tmp' is a folder"));
	assert_int_equal(open_path("/dev/zero"), SN_E_FORMAT);
	assert_non_null(strstr(err, "a device"));
}

/* What `cat clip | sonant` and `sonant < clip` hand over; the pipe is larger than what pipes hold. */
static void descriptors_give_the_same_as_memory(void **state) {
	clip c = clip_sine(WAV_PCM, 16, 44100, 2, 44100, 0.5);
	float *expected, *samples;
	size_t count, expected_count;
	sn_audio_info info;
	assert_int_equal(decode(&c, 16000, &expected, &expected_count, &info), SN_OK);
	char path[] = "/tmp/sonant-test-XXXXXX";
	int fds[2], file = mkstemp(path);
	assert_int_equal(write(file, c.data, c.size), c.size);
	assert_int_equal(lseek(file, 0, SEEK_SET), 0);
	assert_int_equal(pipe(fds), 0);
	pid_t writer = fork();
	if (writer == 0)
		_exit(write(fds[1], c.data, c.size) != (ssize_t)c.size);
	close(fds[1]);
	int from[] = { file, fds[0] };
	for (int i = 0; i < 2; i++) {
		sn_decoder *decoder;
		assert_int_equal(sn_decoder_open_fd(&decoder, from[i], "standard input", 16000, err), SN_OK);
		assert_int_equal(sn_decoder_read_all(decoder, 100, &samples, &count, err), SN_OK);
		sn_decoder_close(&decoder);
		assert_int_equal(count, expected_count);
		assert_memory_equal(samples, expected, count * sizeof *samples);
		free(samples);
		assert_int_equal(fcntl(from[i], F_GETFD), 0);
		close(from[i]);
	}
	int status = -1;
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	unlink(path);
	free(expected);
	free(c.data);
}

/* ---- streams, and beginning later ---- */

/* A child that writes the bytes in pieces of an odd size and ends. */
static int piped(const clip *c, pid_t *writer) {
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	*writer = fork();
	if (*writer == 0) {
		close(fds[0]);
		for (size_t at = 0, n; at < c->size; at += n) {
			n = c->size - at < 1023 ? c->size - at : 1023;
			if (write(fds[1], c->data + at, n) != (ssize_t)n)
				_exit(1);
		}
		_exit(0);
	}
	close(fds[1]);
	return fds[0];
}

static void read_stream(const clip *c, float **samples, size_t *count, sn_audio_info *info, int wanted) {
	pid_t writer;
	sn_decoder *decoder;
	int fd = piped(c, &writer), result, status = -1;
	size_t got = 0;
	*samples = malloc(sizeof **samples * 200000);
	*count = 0;
	assert_int_equal(sn_decoder_open_stream(&decoder, fd, "standard input", 16000, err), SN_OK);
	while ((result = sn_decoder_read(decoder, *samples + *count, 4096, &got, err)) == SN_OK || result == SN_AGAIN)
		*count += got;
	assert_int_equal(result, wanted);
	*info = *sn_decoder_get_info(decoder);
	sn_decoder_close(&decoder);
	close(fd);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
}

/* Read as it comes a wav gives the samples that it gives as a file, whatever its header says of its size. */
static void a_stream_gives_the_same_as_memory(void **state) {
	static const struct { int tag, bits, rate, channels; } kinds[] = {
		{ WAV_PCM, 8, 16000, 1 }, { WAV_PCM, 16, 44100, 2 }, { WAV_PCM, 24, 16000, 3 }, { WAV_PCM, 32, 8000, 1 }, { WAV_FLOAT, 32, 48000, 2 },
		{ WAV_MULAW, 8, 8000, 1 },
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		for (int endless = 0; endless < 2; endless++) {
			clip c = clip_sine(kinds[i].tag, kinds[i].bits, kinds[i].rate, kinds[i].channels, kinds[i].rate * 2, 0.5);
			float *expected, *samples;
			size_t expected_count, count;
			sn_audio_info info;
			assert_int_equal(decode(&c, 16000, &expected, &expected_count, &info), SN_OK);
			if (endless)
				memset(c.data + 40, 0xff, 4);
			read_stream(&c, &samples, &count, &info, SN_END);
			assert_int_equal(count, expected_count);
			assert_memory_equal(samples, expected, count * sizeof *samples);
			assert_string_equal(info.format, "wav");
			assert_int_equal(info.frames, endless ? -1 : 2 * kinds[i].rate);
			assert_int_equal(info.truncated, 0);
			free(samples);
			free(expected);
			free(c.data);
		}
}

static void a_stream_that_is_cut_or_no_wav_says_so(void **state) {
	clip whole = clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5), c = cut(whole, 44 + 2000);
	float *samples;
	size_t count;
	sn_audio_info info;
	read_stream(&c, &samples, &count, &info, SN_END);
	assert_int_equal(count, 1000);
	assert_int_equal(info.truncated, 1);
	assert_string_equal(info.note, "cut off: the header promises 32000 bytes of audio, 2000 are there");
	free(samples);
	c = cut(c, 44);
	read_stream(&c, &samples, &count, &info, SN_E_FORMAT);
	assert_non_null(strstr(err, "32000 bytes of audio are missing"));
	free(samples);
	free(c.data);
	clip text = text_clip("this is no audio");
	pid_t writer;
	sn_decoder *decoder;
	int fd = piped(&text, &writer);
	assert_int_equal(sn_decoder_open_stream(&decoder, fd, "standard input", 16000, err), SN_E_FORMAT);
	assert_non_null(strstr(err, "'standard input' is text"));
	waitpid(writer, NULL, 0);
	close(fd);
	free(text.data);
}

static clip rf64_clip(clip c, uint64_t promised) {
	clip large = { malloc(c.size + 36), 0 };
	put_text(&large, "RF64");
	put_number(&large, UINT32_MAX, 4);
	put_text(&large, "WAVEds64");
	put_number(&large, 28, 4);
	put_number(&large, c.size + 28, 8);
	put_number(&large, promised, 8);
	put_number(&large, 0, 8);
	put_number(&large, 0, 4);
	memcpy(large.data + large.size, c.data + 12, c.size - 12);
	memset(large.data + large.size + 28, 0xff, 4);
	large.size += c.size - 12;
	free(c.data);
	return large;
}

/* Recorders that crash leave sizes of 0, writers to pipes other ones that cannot be: the samples are there all the same, in whichever way
 * they come. A promise that is one is held against what is there. */
static void what_a_header_says_of_the_samples(void **state) {
	const uint32_t none = 0;
	struct { clip c; int promised; } cases[] = {
		{ with_number(clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5), 40, none), 0 },
		{ with_number(with_number(clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5), 40, none), 4, none), 0 },
		{ with_number(clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5), 40, 0x7fffffff), 0 },
		{ with_number(clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5), 40, 0x80000000), 0 },
		{ with_number(clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5), 40, 0xfffffff0), 0 },
		{ with_number(clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5), 40, 3000000000), 1 },
		{ rf64_clip(clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5), 32000), 0 },
		{ rf64_clip(clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5), 0), 0 },
		{ rf64_clip(clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5), 6000000000), 1 },
	};
	clip whole = clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5);
	float *expected, *samples;
	size_t count;
	sn_audio_info info;
	assert_int_equal(decode(&whole, 16000, &expected, &count, &info), SN_OK);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int piped = 0; piped < 2; piped++) {
			if (piped)
				read_stream(&cases[i].c, &samples, &count, &info, SN_END);
			else
				assert_int_equal(decode(&cases[i].c, 16000, &samples, &count, &info), SN_OK);
			assert_int_equal(count, 16000);
			assert_memory_equal(samples, expected, count * sizeof *samples);
			if (info.truncated != cases[i].promised || !strstr(info.note, cases[i].promised ? "cut off: the header promises" : ""))
				fail_msg("case %zu%s says '%s'", i, piped ? ", piped," : "", info.note);
			free(samples);
		}
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		free(cases[i].c.data);
	free(expected);
	free(whole.data);
}

static void a_wav_beyond_4_gib_without_a_size_is_read_to_its_end(void **state) {
	clip c = with_number(clip_sine(WAV_PCM, 16, 48000, 1, 48000, 0.5), 40, UINT32_MAX);
	char path[] = "/tmp/sonant-test-XXXXXX";
	const int fd = mkstemp(path);
	sn_decoder *decoder;
	assert_int_equal(write(fd, c.data, c.size), c.size);
	assert_int_equal(ftruncate(fd, INT64_C(5) << 30), 0); /* a hole */
	assert_int_equal(sn_decoder_open_path(&decoder, path, 0, err), SN_OK);
	assert_true(sn_decoder_get_info(decoder)->helper && !*sn_decoder_get_info(decoder)->note);
	assert_int_equal(sn_decoder_get_info(decoder)->frames, -1);
	sn_decoder_close(&decoder);
	close(fd);
	unlink(path);
	free(c.data);
}

/* Samples of size 0 that are none: what follows is another chunk, and no sound. */
static void an_empty_wav_stays_empty(void **state) {
	clip c = with_number(clip_sine(WAV_PCM, 16, 16000, 1, 100, 0.5), 40, 0);
	float *samples;
	size_t count;
	sn_audio_info info;
	c.size = 44;
	put_text(&c, "LIST");
	put_number(&c, 12, 4);
	put_text(&c, "INFOISFTabcd");
	for (int piped = 0; piped < 2; piped++) {
		if (piped)
			read_stream(&c, &samples, &count, &info, SN_END);
		else
			assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
		assert_int_equal(count, 0);
		assert_string_equal(info.note, "it holds no samples");
		free(samples);
	}
	free(c.data);
}

/* A writer that has written a whole wav and keeps the pipe open is not waited for. */
static void a_stream_ends_with_its_audio(void **state) {
	clip c = clip_sine(WAV_PCM, 16, 16000, 1, 8000, 0.5);
	sn_decoder *decoder;
	float block[4096];
	size_t got, count = 0;
	int fds[2], result;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], c.data, c.size), c.size);
	assert_int_equal(write(fds[1], "LIST\4\0\0\0abcd", 12), 12);
	alarm(30);
	assert_int_equal(sn_decoder_open_stream(&decoder, fds[0], "standard input", 16000, err), SN_OK);
	while ((result = sn_decoder_read(decoder, block, 4096, &got, err)) == SN_OK || result == SN_AGAIN)
		count += got;
	alarm(0);
	assert_int_equal(result, SN_END);
	assert_int_equal(count, 8000);
	assert_int_equal(sn_decoder_get_info(decoder)->truncated, 0);
	sn_decoder_close(&decoder);
	close(fds[0]);
	close(fds[1]);
	free(c.data);
	assert_int_equal(sn_decoder_open_stream(&decoder, fds[0], "standard input", 16000, err), SN_E_IO); /* closed, which is no format */
}

static int asked;
static int give_up(void *payload, double seconds, double total) { return ++asked >= *(const int *)payload; }

/* Opens what never ends and is no wav; the caller gives up when it was asked for the third time. */
static void assert_gives_up(const char *path, int once) {
	const int third = 3;
	sn_decoder *decoder;
	asked = 0;
	alarm(20);
	assert_int_equal(sn_decoder_open_input(&decoder, path, 0, once, give_up, (void *)(uintptr_t)&third, err), SN_E_CANCELLED);
	alarm(0);
	assert_int_equal(asked, 3);
	assert_null(decoder);
}

static void who_waits_for_a_pipe_may_give_up(void **state) {
	char dir[] = "/tmp/sonant-test-XXXXXX", path[64];
	int fds[2], before = dup(STDIN_FILENO);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/named", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_gives_up(path, 0); /* nobody writes to it yet */
	const int both = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(write(both, "ID3 ...", 7), 7);
	assert_gives_up(path, 0);
	close(both);
	unlink(path);
	rmdir(dir);
	assert_int_equal(pipe(fds), 0);
	dup2(fds[0], STDIN_FILENO);
	assert_gives_up("-", 0);
	assert_gives_up("-", 1);
	assert_int_equal(write(fds[1], "RIFF", 4), 4);
	assert_gives_up("-", 1);
	assert_int_equal(write(fds[1], "ID3 ...", 7), 7);
	assert_gives_up("-", 1);
	dup2(before, STDIN_FILENO);
	close(before);
	close(fds[0]);
	close(fds[1]);
}

/* A named pipe that is opened before there is a writer gives what comes. */
static void a_named_pipe_is_waited_for(void **state) {
	clip c = clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5);
	char dir[] = "/tmp/sonant-test-XXXXXX", path[64];
	int many = 1000;
	sn_decoder *decoder;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/named", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	const pid_t writer = fork();
	if (writer == 0) {
		nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
		const int fd = open(path, O_WRONLY);
		_exit(write(fd, c.data, c.size) != (ssize_t)c.size);
	}
	assert_int_equal(sn_decoder_open_input(&decoder, path, 0, 0, give_up, &many, err), SN_OK);
	assert_int_equal(sn_decoder_get_info(decoder)->frames, 16000);
	sn_decoder_close(&decoder);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	unlink(path);
	rmdir(dir);
	free(c.data);
}

/* What cannot jump is passed over in parts, in which its caller may give up. */
static void a_stream_is_passed_over_in_parts(void **state) {
	clip c = clip_sine(WAV_PCM, 16, 16000, 1, 16000, 0.5);
	sn_decoder *decoder;
	float *whole, sample;
	size_t count, got;
	sn_audio_info info;
	int fds[2], calls = 0, result;
	assert_int_equal(decode(&c, 16000, &whole, &count, &info), SN_OK);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], c.data, 20044), 20044);
	assert_int_equal(sn_decoder_open_stream(&decoder, fds[0], "standard input", 16000, err), SN_OK);
	assert_int_equal(sn_decoder_seek(decoder, 0.75, err), SN_AGAIN);
	assert_int_equal(write(fds[1], c.data + 20044, c.size - 20044), c.size - 20044);
	while ((result = sn_decoder_seek(decoder, 0.75, err)) == SN_AGAIN)
		assert_in_range(++calls, 1, 100);
	assert_int_equal(result, SN_OK);
	assert_int_equal(sn_decoder_read(decoder, &sample, 1, &got, err), SN_OK);
	assert_true(sample == whole[12000]);
	sn_decoder_close(&decoder);
	close(fds[0]);
	close(fds[1]);
	free(whole);
	free(c.data);
}

static void reading_begins_at_any_time(void **state) {
	clip c = clip_sine(WAV_PCM, 16, 16000, 2, 64000, 0.5);
	float *whole, *rest;
	size_t count, rest_count;
	sn_audio_info info;
	sn_decoder *decoder;
	assert_int_equal(decode(&c, 16000, &whole, &count, &info), SN_OK);
	for (int i = 0; i < 3; i++) {
		const double from[] = { 0, 1.25, 3.9999375 };
		const size_t first = (size_t)(from[i] * 16000);
		assert_int_equal(sn_decoder_open_memory(&decoder, c.data, c.size, NAME, 16000, err), SN_OK);
		assert_int_equal(sn_decoder_seek(decoder, from[i], err), SN_OK);
		assert_int_equal(sn_decoder_read_all(decoder, 100, &rest, &rest_count, err), SN_OK);
		assert_int_equal(rest_count, count - first);
		assert_memory_equal(rest, whole + first, rest_count * sizeof *rest);
		sn_decoder_close(&decoder);
		free(rest);
	}
	float sample;
	assert_int_equal(sn_decoder_open_memory(&decoder, c.data, c.size, NAME, 16000, err), SN_OK);
	assert_int_equal(sn_decoder_seek(decoder, 4, err), SN_OK);
	assert_int_equal(sn_decoder_read(decoder, &sample, 1, &count, err), SN_END);
	sn_decoder_close(&decoder);
	free(whole);
	free(c.data);
}

/* ---- the helper ---- */

static void other_containers_go_to_the_helper(void **state) {
	static const struct { const char *file, *format; double seconds; } files[] = {
		{ "jfk_2s.m4a", "mov/aac", 2.1 }, { "jfk_2s.webm", "matroska/opus", 2.0 }, { "jfk_2s.wma", "asf/wmav2", 2.0 },
		{ "jfk_2s.aac", "aac", 2.1 }, { "jfk_2s.ac3", "ac3", 2.0 },
	};
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		char path[PATH_MAX];
		snprintf(path, sizeof path, "%s/%s", TEST_AUDIO, files[i].file);
		sn_decoder *decoder;
		float *samples;
		size_t count;
		assert_int_equal(sn_decoder_open_path(&decoder, path, 16000, err), SN_OK);
		assert_int_equal(sn_decoder_read_all(decoder, 100, &samples, &count, err), SN_OK);
		const sn_audio_info *info = sn_decoder_get_info(decoder);
		assert_string_equal(info->format, files[i].format);
		assert_true(info->helper);
		assert_false(info->truncated);
		assert_string_equal(info->note, "");
		assert_float_equal((double)count / 16000, files[i].seconds, 0.05);
		double power = 0;
		for (size_t k = 0; k < count; k++)
			power += (double)samples[k] * samples[k];
		assert_float_equal(sqrt(power / (double)count), 0.217, 0.01); /* of the clip before it was encoded: 0.221 over 2.0 s */
		free(samples);
		sn_decoder_close(&decoder);
	}
}

static clip load(const char *file) {
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", TEST_AUDIO, file);
	clip c = { malloc(100000), 0 };
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	c.size = fread(c.data, 1, 100000, f);
	fclose(f);
	return c;
}

static void the_helper_reads_memory_and_cut_files(void **state) {
	clip c = load("jfk_2s.webm");
	float *samples;
	size_t whole, count;
	sn_audio_info info;
	assert_int_equal(decode(&c, 16000, &samples, &whole, &info), SN_OK);
	free(samples);
	c.size /= 4;
	assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
	assert_in_range(count, whole / 10, whole / 2);
	free(samples);
	free(c.data);
	c = load("jfk_2s.m4a"); /* its index lies at its end */
	c.size -= 3000;
	assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_E_FORMAT);
	assert_non_null(strstr(err, "'" NAME "' cannot be read as audio"));
	free(c.data);
}

/* ---- Matroska files made here ---- */

/* An element's name and room for its size. Returns where its content begins. */
static size_t begin_element(clip *c, uint32_t name) {
	for (int shift = 24; shift >= 0; shift -= 8)
		if (name >> shift)
			c->data[c->size++] = (unsigned char)(name >> shift);
	put_number(c, 1, 8);
	return c->size;
}

static void end_element(clip *c, size_t begin) {
	for (int i = 0; i < 7; i++)
		c->data[begin - 1 - (size_t)i] = (unsigned char)((c->size - begin) >> (8 * i));
}

static void put_big(clip *c, uint64_t value, int bytes) {
	while (bytes--)
		c->data[c->size++] = (unsigned char)(value >> (8 * bytes));
}

static void put_whole(clip *c, uint32_t name, uint64_t value) {
	const size_t begin = begin_element(c, name);
	put_big(c, value, 4);
	end_element(c, begin);
}

static void put_real(clip *c, uint32_t name, double value) {
	const size_t begin = begin_element(c, name);
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	put_big(c, bits, 8);
	end_element(c, begin);
}

static void put_word(clip *c, uint32_t name, const char *word) {
	const size_t begin = begin_element(c, name);
	put_text(c, word);
	end_element(c, begin);
}

static void put_track(clip *c, int number) {
	const size_t begin = begin_element(c, 0xae);
	put_whole(c, 0xd7, (uint64_t)number);
	put_whole(c, 0x73c5, (uint64_t)number);
	put_whole(c, 0x83, number == 1 ? 2 : 1);
	put_word(c, 0x86, number == 1 ? "A_PCM/INT/LIT" : "V_VP8");
	const size_t kind = begin_element(c, number == 1 ? 0xe1 : 0xe0);
	if (number == 1) {
		put_real(c, 0xb5, 16000);
		put_whole(c, 0x9f, 1);
		put_whole(c, 0x6264, 16);
	} else {
		put_whole(c, 0xb0, 16);
		put_whole(c, 0xba, 16);
	}
	end_element(c, kind);
	end_element(c, begin);
}

static void put_block(clip *c, int track, int ms, const void *data, size_t size) {
	const size_t begin = begin_element(c, 0x1f43b675);
	put_whole(c, 0xe7, (uint64_t)ms);
	const size_t block = begin_element(c, 0xa3);
	put_big(c, 0x80 | (uint64_t)track, 1);
	put_big(c, 0x80, 3); /* no time of its own, a key frame */
	memcpy(c->data + c->size, data, size);
	c->size += size;
	end_element(c, block);
	end_element(c, begin);
}

/* 2 s of a sine in blocks of 0.1 s, which begin at `first` ms, those of the second half `pause` ms later; a container of `duration` s,
 * with a picture at 0 where it has any. */
static clip matroska(int first, int pause, double duration, int pictures) {
	clip c = { calloc(1, 100000), 0 }, sine = clip_sine(WAV_PCM, 16, 16000, 1, 32000, 0.5);
	size_t begin = begin_element(&c, 0x1a45dfa3);
	put_word(&c, 0x4282, "matroska");
	end_element(&c, begin);
	const size_t segment = begin_element(&c, 0x18538067);
	begin = begin_element(&c, 0x1549a966);
	put_whole(&c, 0x2ad7b1, 1000000);
	put_real(&c, 0x4489, duration * 1000);
	end_element(&c, begin);
	begin = begin_element(&c, 0x1654ae6b);
	put_track(&c, 1);
	if (pictures)
		put_track(&c, 2);
	end_element(&c, begin);
	if (pictures)
		put_block(&c, 2, 0, "picture", 7);
	for (int i = 0; i < 20; i++)
		put_block(&c, 1, first + 100 * i + (i < 10 ? 0 : pause), sine.data + 44 + 3200 * i, 3200);
	end_element(&c, segment);
	free(sine.data);
	return c;
}

/* A container's length is a promise of its sound only where it holds nothing else. */
static void pictures_may_last_longer_than_sound(void **state) {
	for (int pictures = 0; pictures < 2; pictures++) {
		clip c = matroska(0, 0, 30, pictures);
		float *samples;
		size_t count;
		sn_audio_info info;
		assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
		assert_int_equal(count, 32000);
		assert_int_equal(info.truncated, !pictures);
		if (pictures ? *info.note : !strstr(info.note, "its container promises 30.00 s"))
			fail_msg("with%s pictures it says '%s'", pictures ? "" : "out", info.note);
		free(samples);
		free(c.data);
	}
}

/* What is said after a pause is said after it: the pause, and what a container has before its sound, become silence. */
static void a_timeline_is_kept(void **state) {
	static const struct { int first, pause, pictures, silent_from, silence; const char *note; } cases[] = {
		{ 0, 0, 0, 0, 0, "" }, { 0, 30, 0, 0, 0, "" },
		{ 0, 5000, 0, 16000, 80000, "its timeline leaves out 5.00 s, which are silence here" },
		{ 3000, 0, 1, 0, 48000, "its timeline leaves out 3.00 s, which are silence here" },
		{ 0, 7200000, 0, 0, 0, "" }, /* another clock */
	};
	clip plain = clip_sine(WAV_PCM, 16, 16000, 1, 32000, 0.5);
	float *sine, *samples;
	size_t count;
	sn_audio_info info;
	assert_int_equal(decode(&plain, 16000, &sine, &count, &info), SN_OK);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		clip c = matroska(cases[i].first, cases[i].pause, 2, cases[i].pictures);
		assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_OK);
		assert_string_equal(info.note, cases[i].note);
		assert_false(info.truncated);
		const size_t from = (size_t)cases[i].silent_from, to = from + (size_t)cases[i].silence;
		assert_int_equal(count, 32000 + to - from);
		for (size_t k = 0; k < count; k++)
			assert_float_equal(samples[k], k >= from && k < to ? 0 : sine[k < from ? k : k - (to - from)], 1e-4);
		free(samples);
		free(c.data);
	}
	free(sine);
	free(plain.data);
}

/* Spoilt bytes and lost ends: any outcome but a hang, a crash of this process, or samples that are not numbers. */
static void the_helper_is_given_spoilt_files(void **state) {
	static const char *const files[] = { "jfk_2s.m4a", "jfk_2s.webm", "jfk_2s.wma", "jfk_2s.aac", "jfk_2s.ac3" };
	uint32_t x = 1;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		for (int round = 0; round < 8; round++) {
			clip c = load(files[i]);
			for (int k = 0; k < 1 << round; k++) {
				x = x * 1664525 + 1013904223;
				c.data[(x >> 8) % (k % 2 ? c.size : 600)] = (unsigned char)(x >> 24);
			}
			c.size -= round % 4 == 3 ? (x >> 8) % c.size : 0;
			float *samples;
			size_t count;
			sn_audio_info info;
			*err = 0;
			int result = decode(&c, 16000, &samples, &count, &info);
			assert_true(result == SN_OK || (result < 0 && *err && !samples));
			for (size_t k = 0; k < count; k++)
				assert_true(isfinite(samples[k]));
			free(samples);
			free(c.data);
		}
}

static void without_the_helper_the_message_says_where_it_should_be(void **state) {
	char *before = getenv("SONANT_HELPERS") ? strdup(getenv("SONANT_HELPERS")) : NULL;
	setenv("SONANT_HELPERS", "/nonexistent", 1);
	clip c = load("jfk_2s.m4a"), broken = cut(clip_sine(WAV_PCM, 16, 16000, 1, 100, 0.5), 30);
	float *samples;
	size_t count;
	sn_audio_info info;
	assert_int_equal(decode(&c, 16000, &samples, &count, &info), SN_E_DEPENDENCY);
	assert_non_null(strstr(err, "'" NAME "' is of a kind that only sonant-decode reads"));
	assert_non_null(strstr(err, "/nonexistent"));
	assert_int_equal(decode(&broken, 16000, &samples, &count, &info), SN_E_DEPENDENCY);
	assert_non_null(strstr(err, "'" NAME "' cannot be read as audio")); /* what is known without it, */
	assert_non_null(strstr(err, "/nonexistent"));                         /* and what is missing */
	free(c.data);
	free(broken.data);
	if (before)
		setenv("SONANT_HELPERS", before, 1);
	else
		unsetenv("SONANT_HELPERS");
	free(before);
}

/* Whoever asked for the sound may be killed: the helper ends by itself then, even while it writes nothing. */
static void the_helper_ends_when_nobody_reads(void **state) {
	char path[PATH_MAX];
	int fds[2], status;
	const struct timespec pause = { .tv_nsec = 20000000 };
	snprintf(path, sizeof path, "%s/sonant-decode", getenv("SONANT_HELPERS"));
	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		execl(path, "sonant-decode", "--try", "linger", NULL);
		_exit(9);
	}
	assert_true(child > 0);
	close(fds[1]);
	nanosleep(&pause, NULL);
	assert_int_equal(waitpid(child, &status, WNOHANG), 0);
	close(fds[0]);
	for (int i = 0; i < 400 && waitpid(child, &status, WNOHANG) == 0; i++) {
		nanosleep(&pause, NULL);
		if (i == 399)
			kill(child, SIGKILL);
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

/* Stand-ins that misbehave as a helper under attack might. */
static void a_broken_helper_is_survived(void **state) {
	static const struct { const char *script; int code; const char *says; } cases[] = {
		{ "exec >&-; sleep 60", SN_E_TIMEOUT, "closed its output" },
		{ "exit 3", SN_E_FORMAT, "exit status 3" },
		{ "kill -SEGV $$", SN_E_FORMAT, "signal 11" },
		{ "kill -KILL $$", SN_E_IO, "was killed" },
		{ "kill -XCPU $$", SN_E_TIMEOUT, "more processor time" },
		{ "echo 'this is no record of any kind'", SN_E_INTERNAL, "malformed record" },
	};
	char *before = getenv("SONANT_HELPERS") ? strdup(getenv("SONANT_HELPERS")) : NULL;
	char dir[] = "/tmp/sonant-test-XXXXXX", path[64];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sonant-decode", dir);
	setenv("SONANT_HELPERS", dir, 1);
	clip c = load("jfk_2s.m4a");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		FILE *f = fopen(path, "w");
		fprintf(f, "#!/bin/sh\nulimit -c 0\n%s\n", cases[i].script);
		fclose(f);
		chmod(path, 0755);
		float *samples;
		size_t count;
		sn_audio_info info;
		assert_int_equal(decode(&c, 16000, &samples, &count, &info), cases[i].code);
		if (!strstr(err, cases[i].says))
			fail_msg("'%s' says '%s', not '%s'", cases[i].script, err, cases[i].says);
	}
	free(c.data);
	unlink(path);
	rmdir(dir);
	if (before)
		setenv("SONANT_HELPERS", before, 1);
	else
		unsetenv("SONANT_HELPERS");
	free(before);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_wav_becomes_mono_16k),
		cmocka_unit_test(rate_zero_keeps_the_rate),
		cmocka_unit_test(channels_are_averaged),
		cmocka_unit_test(the_shortest_clips_work),
		cmocka_unit_test(a_cut_file_gives_what_is_there),
		cmocka_unit_test(cut_codecs_give_what_is_there),
		cmocka_unit_test(unknown_lengths_mean_until_the_end),
		cmocka_unit_test(nothing_behind_a_wrong_length_is_lost),
		cmocka_unit_test(joined_files_of_two_kinds_have_an_end),
		cmocka_unit_test(a_wrong_length_without_the_helper_is_told),
		cmocka_unit_test(a_flac_without_a_total_knows_its_end),
		cmocka_unit_test(broken_files_say_what_is_wrong),
		cmocka_unit_test(an_error_is_repeated),
		cmocka_unit_test(a_maximum_of_seconds_holds),
		cmocka_unit_test(paths_that_are_no_files),
		cmocka_unit_test(descriptors_give_the_same_as_memory),
		cmocka_unit_test(a_stream_gives_the_same_as_memory),
		cmocka_unit_test(a_stream_that_is_cut_or_no_wav_says_so),
		cmocka_unit_test(what_a_header_says_of_the_samples),
		cmocka_unit_test(a_wav_beyond_4_gib_without_a_size_is_read_to_its_end),
		cmocka_unit_test(an_empty_wav_stays_empty),
		cmocka_unit_test(a_stream_ends_with_its_audio),
		cmocka_unit_test(who_waits_for_a_pipe_may_give_up),
		cmocka_unit_test(a_named_pipe_is_waited_for),
		cmocka_unit_test(a_stream_is_passed_over_in_parts),
		cmocka_unit_test(reading_begins_at_any_time),
		cmocka_unit_test(other_containers_go_to_the_helper),
		cmocka_unit_test(the_helper_reads_memory_and_cut_files),
		cmocka_unit_test(pictures_may_last_longer_than_sound),
		cmocka_unit_test(a_timeline_is_kept),
		cmocka_unit_test(the_helper_is_given_spoilt_files),
		cmocka_unit_test(without_the_helper_the_message_says_where_it_should_be),
		cmocka_unit_test(the_helper_ends_when_nobody_reads),
		cmocka_unit_test(a_broken_helper_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
