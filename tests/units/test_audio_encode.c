/* What is written can be read again, and a failure leaves nothing that looks like a result. */
#include "audio/decode.h"
#include "audio/encode.h"
#include "audio_clips.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

static char err[SN_ERRLEN], dir[] = "/tmp/sonant-test-XXXXXX", path[PATH_MAX];

static const char *in_dir(const char *name) {
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static int files_in_dir(void) {
	DIR *d = opendir(dir);
	int count = 0;
	for (struct dirent *e; (e = readdir(d));)
		count += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	return count;
}

static float *sine(int rate, int channels, int frames, double amplitude) {
	float *x = malloc(sizeof *x * (size_t)(frames * channels));
	for (int t = 0; t < frames; t++)
		for (int k = 0; k < channels; k++)
			x[t * channels + k] = (float)(amplitude * sin(2 * M_PI * CLIP_HZ * t / rate));
	return x;
}

static double error_to_sine(const float *x, size_t count, int rate, double amplitude) {
	double most = 0;
	for (size_t i = count / 8; i < count - count / 8; i++)
		most = fmax(most, fabs(x[i] - amplitude * sin(2 * M_PI * CLIP_HZ * (double)i / rate)));
	return most;
}

static void check_decoded(sn_decoder *decoder, const char *format, int rate, size_t frames, double tolerance) {
	float *samples;
	size_t count;
	assert_int_equal(sn_decoder_read_all(decoder, 100, &samples, &count, err), SN_OK);
	const sn_audio_info *info = sn_decoder_get_info(decoder);
	assert_string_equal(info->format, format);
	assert_int_equal(info->rate, rate);
	assert_string_equal(info->note, "");
	assert_int_equal(count, frames);
	assert_in_range((int)(1e6 * error_to_sine(samples, count, rate, 0.5)), 0, (int)(1e6 * tolerance));
	free(samples);
	sn_decoder_close(&decoder);
}

static const struct { sn_audio_format format; int floats, rate, channels, file_rate; const char *read_as; double tolerance; } kinds[] = {
	{ SN_AUDIO_WAV, 0, 22050, 1, 22050, "wav", 1e-4 }, { SN_AUDIO_WAV, 1, 16000, 1, 16000, "wav", 1e-6 },
	{ SN_AUDIO_WAV, 0, 48000, 2, 48000, "wav", 1e-4 }, { SN_AUDIO_WAV, 0, 48000, 8, 48000, "wav", 1e-4 },
	{ SN_AUDIO_FLAC, 0, 22050, 1, 22050, "flac", 1e-4 }, { SN_AUDIO_FLAC, 0, 44100, 2, 44100, "flac", 1e-4 },
	{ SN_AUDIO_MP3, 0, 22050, 1, 22050, "mp3", 2e-2 }, { SN_AUDIO_MP3, 0, 96000, 1, 48000, "mp3", 2e-2 },
	{ SN_AUDIO_MP3, 0, 7350, 2, 8000, "mp3", 8e-2 }, { SN_AUDIO_OPUS, 0, 22050, 1, 24000, "ogg/opus", 8e-2 },
	{ SN_AUDIO_OPUS, 0, 16000, 2, 16000, "ogg/opus", 8e-2 }, { SN_AUDIO_OPUS, 0, 44100, 1, 48000, "ogg/opus", 8e-2 },
};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* In pieces of 1000 frames, as a stream comes. */
static void write_sine(sn_encoder *e, int rate, int channels, int frames) {
	float *x = sine(rate, channels, frames, 0.5);
	for (int at = 0; at < frames; at += 1000)
		assert_int_equal(sn_encoder_write(e, x + at * channels, (size_t)(frames - at < 1000 ? frames - at : 1000), err), SN_OK);
	free(x);
	assert_int_equal(sn_encoder_finish(e, err), SN_OK);
}

static void every_format_is_read_again(void **state) {
	for (size_t i = 0; i < KINDS; i++) {
		sn_encoder_options options = { .format = kinds[i].format, .rate = kinds[i].rate, .channels = kinds[i].channels, .floats = kinds[i].floats };
		sn_encoder *encoder;
		sn_buf buf;
		sn_buf_init(&buf, 1 << 24);
		assert_int_equal(sn_encoder_open_memory(&encoder, &buf, &options, err), SN_OK);
		assert_int_equal(sn_encoder_rate(encoder), kinds[i].file_rate);
		write_sine(encoder, kinds[i].rate, kinds[i].channels, kinds[i].rate);
		sn_encoder_close(&encoder);
		sn_decoder *decoder;
		assert_int_equal(sn_decoder_open_memory(&decoder, buf.data, buf.size, "memory", 0, err), SN_OK);
		assert_int_equal(sn_decoder_get_info(decoder)->channels, kinds[i].channels);
		check_decoded(decoder, kinds[i].read_as, kinds[i].file_rate, (size_t)kinds[i].file_rate, kinds[i].tolerance);
		sn_buf_free(&buf);
	}
}

static void a_file_has_its_name_when_it_is_complete(void **state) {
	sn_encoder_options options = { .format = SN_AUDIO_FLAC, .rate = 16000, .channels = 1 };
	sn_encoder *encoder;
	assert_int_equal(sn_encoder_open_path(&encoder, in_dir("a.flac"), &options, err), SN_OK);
	assert_int_not_equal(access(in_dir("a.flac"), F_OK), 0);
	write_sine(encoder, 16000, 1, 16000);
	assert_int_equal(sn_encoder_write(encoder, (float[]){ 0 }, 1, err), SN_E_CLOSED);
	sn_encoder_close(&encoder);
	assert_int_equal(files_in_dir(), 1);
	struct stat st;
	mode_t mask = umask(0);
	umask(mask);
	assert_int_equal(stat(in_dir("a.flac"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
	sn_decoder *decoder;
	assert_int_equal(sn_decoder_open_path(&decoder, in_dir("a.flac"), 0, err), SN_OK);
	check_decoded(decoder, "flac", 16000, 16000, 1e-4);
	unlink(in_dir("a.flac"));
}

static void what_is_not_finished_leaves_nothing(void **state) {
	sn_encoder_options options = { .format = SN_AUDIO_WAV, .rate = 16000, .channels = 1 };
	sn_encoder *encoder;
	int fd = open(in_dir("a.wav"), O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "before", 6), 6);
	close(fd);
	assert_int_equal(sn_encoder_open_path(&encoder, in_dir("a.wav"), &options, err), SN_OK);
	float nan = NAN;
	assert_int_equal(sn_encoder_write(encoder, (float[]){ 0.5f, 0.5f }, 2, err), SN_OK);
	assert_int_equal(sn_encoder_write(encoder, &nan, 1, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "sample 2 for"));
	assert_int_equal(sn_encoder_finish(encoder, err), SN_E_ARGUMENT);
	sn_encoder_close(&encoder);
	assert_int_equal(files_in_dir(), 1);
	struct stat st;
	assert_int_equal(stat(in_dir("a.wav"), &st), 0);
	assert_int_equal(st.st_size, 6);
	unlink(in_dir("a.wav"));
}

static void places_that_cannot_be_written(void **state) {
	sn_encoder_options options = { .format = SN_AUDIO_WAV, .rate = 16000, .channels = 1 };
	float x[16000] = { 0 };
	assert_int_equal(sn_encode_path("/nonexistent/a.wav", &options, x, 16000, err), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, "'/nonexistent/a.wav': its folder does not exist"));
	assert_int_equal(sn_encode_path(dir, &options, x, 16000, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "it is a folder"));
	assert_int_equal(sn_encode_path("/dev/full", &options, x, 16000, err), SN_E_NO_SPACE);
	assert_non_null(strstr(err, "/dev/full"));
	for (size_t i = 0; i < KINDS; i++) {
		sn_encoder *encoder;
		sn_encoder_options each = { .format = kinds[i].format, .rate = kinds[i].rate, .channels = 1, .floats = kinds[i].floats };
		int fd = open("/dev/full", O_WRONLY), result = sn_encoder_open_fd(&encoder, fd, "standard output", &each, err);
		if (result == SN_OK)
			result = sn_encoder_write(encoder, x, 16000, err);
		if (result == SN_OK)
			result = sn_encoder_finish(encoder, err);
		assert_int_equal(result, SN_E_NO_SPACE);
		sn_encoder_close(&encoder);
		close(fd);
	}
	assert_int_equal(files_in_dir(), 0);
}

static void a_maximum_of_memory_holds(void **state) {
	sn_encoder_options options = { .format = SN_AUDIO_WAV, .rate = 16000, .channels = 1 };
	sn_encoder *encoder;
	sn_buf buf;
	float x[16000] = { 0 };
	sn_buf_init(&buf, 10000);
	assert_int_equal(sn_encoder_open_memory(&encoder, &buf, &options, err), SN_OK);
	assert_int_equal(sn_encoder_write(encoder, x, 16000, err), SN_E_LIMIT);
	assert_non_null(strstr(err, "10000 bytes"));
	sn_encoder_close(&encoder);
	sn_buf_free(&buf);
}

/* Each format to a pipe: nothing can be written again there. */
static void a_pipe_gets_a_stream_that_is_read_again(void **state) {
	for (size_t i = 0; i < KINDS; i++) {
		sn_encoder_options options = { .format = kinds[i].format, .rate = kinds[i].rate, .channels = kinds[i].channels, .floats = kinds[i].floats };
		sn_encoder *encoder;
		int fds[2], frames = kinds[i].rate / 20;
		assert_int_equal(pipe(fds), 0);
		assert_true(fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) > 0); /* holds all of it, so one process can be both ends */
		assert_int_equal(sn_encoder_open_fd(&encoder, fds[1], "standard output", &options, err), SN_OK);
		write_sine(encoder, kinds[i].rate, kinds[i].channels, frames);
		sn_encoder_close(&encoder);
		close(fds[1]);
		sn_decoder *decoder;
		float *samples;
		size_t count;
		assert_int_equal(sn_decoder_open_fd(&decoder, fds[0], "standard input", 0, err), SN_OK);
		assert_int_equal(sn_decoder_read_all(decoder, 100, &samples, &count, err), SN_OK);
		size_t whole = (size_t)sn_resampled_count(frames, kinds[i].rate, kinds[i].file_rate);
		/* an mp3's padding would be noted in its header, for which a frame was left free */
		assert_in_range(count, whole, whole + (kinds[i].format == SN_AUDIO_MP3 ? 4 * 1152 : 0));
		free(samples);
		sn_decoder_close(&decoder);
		close(fds[0]);
	}
}

static int append(void *payload, const void *data, size_t size) { return sn_buf_add(payload, data, size); }

/* The same to a function, at another rate. */
static void a_function_gets_a_stream_that_is_read_again(void **state) {
	for (size_t i = 0; i < KINDS; i++) {
		const sn_encoder_options options = { .format = kinds[i].format, .rate = kinds[i].rate, .channels = kinds[i].channels,
			.floats = kinds[i].floats, .out_rate = 16000 };
		const int frames = kinds[i].rate / 20;
		sn_encoder *encoder;
		sn_decoder *decoder;
		sn_buf buf;
		float *samples;
		size_t count;
		sn_buf_init(&buf, 1 << 22);
		assert_int_equal(sn_encoder_open_function(&encoder, append, &buf, &options, err), SN_OK);
		assert_int_equal(sn_encoder_rate(encoder), 16000);
		write_sine(encoder, kinds[i].rate, kinds[i].channels, frames);
		sn_encoder_close(&encoder);
		assert_int_equal(sn_decoder_open_memory(&decoder, buf.data, buf.size, "memory", 0, err), SN_OK);
		assert_int_equal(sn_decoder_get_info(decoder)->rate, 16000);
		assert_int_equal(sn_decoder_read_all(decoder, 100, &samples, &count, err), SN_OK);
		const size_t whole = (size_t)sn_resampled_count(frames, kinds[i].rate, 16000);
		assert_in_range(count, whole, whole + (kinds[i].format == SN_AUDIO_MP3 ? 3000 : 0));
		free(samples);
		sn_decoder_close(&decoder);
		sn_buf_free(&buf);
	}
}

/* What it returns ends the writing, and is the error from then on. */
static void a_function_may_refuse(void **state) {
	const sn_encoder_options options = { .format = SN_AUDIO_PCM, .rate = 16000, .channels = 1 };
	const float x[16] = { 0 };
	sn_encoder *encoder;
	sn_buf buf;
	sn_buf_init(&buf, 40);
	assert_int_equal(sn_encoder_open_function(&encoder, append, &buf, &options, err), SN_OK);
	assert_int_equal(sn_encoder_write(encoder, x, 16, err), SN_OK);
	assert_int_equal(sn_encoder_write(encoder, x, 16, err), SN_E_LIMIT);
	assert_int_equal(sn_encoder_write(encoder, x, 1, err), SN_E_LIMIT);
	assert_int_equal(sn_encoder_finish(encoder, err), SN_E_LIMIT);
	assert_int_equal(buf.size, 32);
	sn_encoder_close(&encoder);
	sn_buf_free(&buf);
}

static void a_descriptor_is_written_from_where_it_is(void **state) {
	sn_encoder_options options = { .format = SN_AUDIO_WAV, .rate = 16000, .channels = 1 };
	int fd = open(in_dir("a.bin"), O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, "prefix", 6), 6);
	sn_encoder *encoder;
	assert_int_equal(sn_encoder_open_fd(&encoder, fd, "a.bin", &options, err), SN_OK);
	write_sine(encoder, 16000, 1, 100);
	sn_encoder_close(&encoder);
	unsigned char bytes[512];
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 6 + 44 + 200);
	assert_int_equal(pread(fd, bytes, sizeof bytes, 0), 6 + 44 + 200);
	assert_memory_equal(bytes, "prefixRIFF\xec\0\0\0WAVE", 18);
	assert_memory_equal(bytes + 46, "\xc8\0\0\0", 4);
	close(fd);
	unlink(in_dir("a.bin"));
}

static void pcm_is_bare_and_clips(void **state) {
	sn_encoder_options options = { .format = SN_AUDIO_PCM, .rate = 16000, .channels = 1 };
	sn_encoder *encoder;
	sn_buf buf;
	sn_buf_init(&buf, 1000);
	assert_int_equal(sn_encoder_open_memory(&encoder, &buf, &options, err), SN_OK);
	assert_int_equal(sn_encoder_write(encoder, (float[]){ 0, 0.5f, 1.5f, -1.5f, -1 }, 5, err), SN_OK);
	assert_int_equal(sn_encoder_finish(encoder, err), SN_OK);
	assert_int_equal(buf.size, 10);
	int16_t x[5];
	memcpy(x, buf.data, sizeof x);
	assert_int_equal(x[0], 0);
	assert_in_range(x[1], 16383, 16384);
	assert_int_equal(x[2], 32767);
	assert_int_equal(x[3], -32768);
	assert_in_range(-x[4], 32767, 32768);
	sn_encoder_close(&encoder);
	sn_buf_free(&buf);
}

static void formats_have_names(void **state) {
	sn_audio_format format;
	assert_int_equal(sn_audio_format_parse("OPUS", &format, err), SN_OK);
	assert_int_equal(format, SN_AUDIO_OPUS);
	assert_int_equal(sn_audio_format_parse("aiff", &format, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "'aiff'; known are " SN_AUDIO_FORMATS));
	assert_int_equal(sn_audio_format_of_path("/a.b/c.MP3", &format, err), SN_OK);
	assert_int_equal(format, SN_AUDIO_MP3);
	assert_int_equal(sn_audio_format_of_path("/a.wav/c", &format, err), SN_E_ARGUMENT);
	const char *const plain[] = { "-", "c", "./c", "../c", "/a.flac/c" };
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		format = SN_AUDIO_MP3;
		assert_int_equal(sn_audio_format_choose(NULL, plain[i], &format, err), SN_OK);
		assert_int_equal(format, SN_AUDIO_WAV);
	}
	assert_int_equal(sn_audio_format_choose(NULL, "./c.flac", &format, err), SN_OK);
	assert_int_equal(format, SN_AUDIO_FLAC);
	assert_int_equal(sn_audio_format_choose("opus", "./c.flac", &format, err), SN_OK);
	assert_int_equal(format, SN_AUDIO_OPUS);
	assert_int_equal(sn_audio_format_choose(NULL, "./c.docx", &format, err), SN_E_ARGUMENT);
	assert_string_equal(sn_audio_format_mime(SN_AUDIO_WAV), "audio/wav");
}

static void options_are_checked(void **state) {
	static const sn_encoder_options wrong[] = {
		{ .format = SN_AUDIO_WAV, .rate = 0, .channels = 1 },     { .format = SN_AUDIO_WAV, .rate = 800000, .channels = 1 },
		{ .format = SN_AUDIO_WAV, .rate = 16000, .channels = 0 }, { .format = SN_AUDIO_MP3, .rate = 16000, .channels = 3 },
		{ .format = 17, .rate = 16000, .channels = 1 },            { .format = SN_AUDIO_WAV, .rate = 16000, .channels = 1, .out_rate = 800000 },
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		sn_encoder *encoder;
		assert_int_equal(sn_encoder_open_path(&encoder, in_dir("a.wav"), &wrong[i], err), SN_E_ARGUMENT);
		assert_null(encoder);
	}
	assert_int_equal(files_in_dir(), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_is_read_again),
		cmocka_unit_test(a_file_has_its_name_when_it_is_complete),
		cmocka_unit_test(what_is_not_finished_leaves_nothing),
		cmocka_unit_test(places_that_cannot_be_written),
		cmocka_unit_test(a_maximum_of_memory_holds),
		cmocka_unit_test(a_pipe_gets_a_stream_that_is_read_again),
		cmocka_unit_test(a_function_gets_a_stream_that_is_read_again),
		cmocka_unit_test(a_function_may_refuse),
		cmocka_unit_test(a_descriptor_is_written_from_where_it_is),
		cmocka_unit_test(pcm_is_bare_and_clips),
		cmocka_unit_test(formats_have_names),
		cmocka_unit_test(options_are_checked),
	};
	if (!mkdtemp(dir))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
