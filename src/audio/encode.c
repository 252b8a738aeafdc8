#include "audio/encode.h"

#include "base/ascii.h"
#include "audio/encode_sink.h"
#include "audio/validate.h"

#include <sndfile.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CHANNELS 8
#define BLOCK 4096 /* frames of a resampled block */
#ifndef WAV_MOST
#define WAV_MOST UINT32_MAX /* bytes of a wav that can state its lengths */
#endif

struct sn_encoder {
	sn_encoder_options options;
	sn_sink sink;
	SNDFILE *file;
	int rate;                /* in the file */
	int64_t frames;          /* written */
	sn_resampler *resampler; /* NULL: the format knows the rate */
	float *block;            /* [BLOCK, channels] */
	int failed, finished;    /* failed: the final error, with its message */
	char failure[SN_ERRLEN];
};

static const struct {
	const char *name, *mime, *endings[4];
	int major, integers, deep, floats, max_channels; /* deep: of 24 bits; 0: the format knows none */
	int rates[10]; /* ascending, ends with 0; empty: any */
} formats[] = {
	[SN_AUDIO_WAV] = { "wav", "audio/wav", { "wav", "wave" }, SF_FORMAT_WAV, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_FLOAT, MAX_CHANNELS, { 0 } },
	[SN_AUDIO_FLAC] = { "flac", "audio/flac", { "flac" }, SF_FORMAT_FLAC, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_PCM_16, MAX_CHANNELS, { 0 } },
	[SN_AUDIO_MP3] = { "mp3", "audio/mpeg", { "mp3" }, SF_FORMAT_MPEG, SF_FORMAT_MPEG_LAYER_III, 0, SF_FORMAT_MPEG_LAYER_III, 2,
	                   { 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000 } },
	[SN_AUDIO_OPUS] = { "opus", "audio/ogg", { "opus", "ogg", "oga" }, SF_FORMAT_OGG, SF_FORMAT_OPUS, 0, SF_FORMAT_OPUS, MAX_CHANNELS,
	                    { 8000, 12000, 16000, 24000, 48000 } },
	[SN_AUDIO_PCM] = { "pcm", "audio/pcm", { "pcm", "raw" }, SF_FORMAT_RAW, SF_FORMAT_PCM_16 | SF_ENDIAN_LITTLE,
	                   SF_FORMAT_PCM_24 | SF_ENDIAN_LITTLE, SF_FORMAT_FLOAT | SF_ENDIAN_LITTLE, MAX_CHANNELS, { 0 } },
};
#define FORMATS (sizeof formats / sizeof formats[0])

int sn_audio_format_parse(const char *name, sn_audio_format *format, char *err) {
	for (size_t i = 0; i < FORMATS; i++)
		if (!sn_strcasecmp(name, formats[i].name)) {
			*format = (sn_audio_format)i;
			return SN_OK;
		}
	return sn_fail(err, SN_E_ARGUMENT, "unknown audio format '%.60s'; known are %s", name, SN_AUDIO_FORMATS);
}

int sn_audio_format_of_path(const char *path, sn_audio_format *format, char *err) {
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
	for (size_t i = 0; dot && i < FORMATS; i++)
		for (int k = 0; k < 4 && formats[i].endings[k]; k++)
			if (!sn_strcasecmp(dot + 1, formats[i].endings[k])) {
				*format = (sn_audio_format)i;
				return SN_OK;
			}
	return sn_fail(err, SN_E_ARGUMENT, "the ending of '%.200s' names no audio format; known are %s", path, SN_AUDIO_FORMATS);
}

int sn_audio_format_choose(const char *name, const char *path, sn_audio_format *format, char *err) {
	const char *const slash = strrchr(path, '/');
	*format = SN_AUDIO_WAV;
	if (name)
		return sn_audio_format_parse(name, format, err);
	return strchr(slash ? slash : path, '.') ? sn_audio_format_of_path(path, format, err) : SN_OK;
}

const char *sn_audio_format_name(sn_audio_format format) { return formats[format].name; }
const char *sn_audio_format_mime(sn_audio_format format) { return formats[format].mime; }

static sf_count_t vio_size(void *user) { return ((sn_sink *)user)->end; }
static sf_count_t vio_tell(void *user) { return ((sn_sink *)user)->at; }
static sf_count_t vio_read(void *out, sf_count_t size, void *user) { return 0; }

static sf_count_t vio_seek(sf_count_t offset, int whence, void *user) {
	sn_sink *sink = user;
	int64_t at = offset + (whence == SEEK_SET ? 0 : whence == SEEK_CUR ? sink->at : sink->end);
	return at < 0 || at > sink->end ? -1 : (sink->at = at);
}

static sf_count_t vio_write(const void *data, sf_count_t size, void *user) {
	sn_sink *sink = user;
	/* The header of a wav whose lengths cannot be filled in later, or have no room in it: they become "until the end". */
	unsigned char header[128];
	const int has_no_length = sink->seekable ? !sink->at && sink->end > WAV_MOST : !sink->end;
	if (has_no_length && size >= 44 && size <= (sf_count_t)sizeof header && !memcmp(data, "RIFF", 4)) {
		memcpy(header, data, (size_t)size);
		memset(header + 4, 0xff, 4);
		memset(header + size - 4, 0xff, 4);
		data = header;
	}
	return sn_sink_write(sink, data, size);
}

static const SF_VIRTUAL_IO vio = { vio_size, vio_seek, vio_read, vio_write, vio_tell };

static int choose_rate(const sn_encoder_options *options) {
	const int *rates = formats[options->format].rates;
	const int wanted = options->out_rate ? options->out_rate : options->rate;
	int chosen = rates[0] ? 0 : wanted;
	for (int i = 0; rates[i] && chosen < wanted; i++)
		chosen = rates[i];
	return chosen;
}

static int check_options(const sn_encoder_options *options, char *err) {
	if ((size_t)options->format >= FORMATS)
		return sn_fail(err, SN_E_ARGUMENT, "unknown audio format %d; known are %s", (int)options->format, SN_AUDIO_FORMATS);
	if (options->rate < SN_AUDIO_MIN_RATE || options->rate > SN_AUDIO_MAX_RATE)
		return sn_fail(err, SN_E_ARGUMENT, "a sample rate of %d Hz is not possible; %d to %d Hz are", options->rate, SN_AUDIO_MIN_RATE,
		               SN_AUDIO_MAX_RATE);
	if (options->out_rate && (options->out_rate < SN_AUDIO_MIN_RATE || options->out_rate > SN_AUDIO_MAX_RATE))
		return sn_fail(err, SN_E_ARGUMENT, "audio of %d Hz cannot be written; %d to %d Hz can", options->out_rate, SN_AUDIO_MIN_RATE,
		               SN_AUDIO_MAX_RATE);
	int most = formats[options->format].max_channels;
	if (options->channels < 1 || options->channels > most)
		return sn_fail(err, SN_E_ARGUMENT, "%d channels are not possible in %s; 1 to %d are", options->channels, formats[options->format].name,
		               most);
	if (options->deep && !formats[options->format].deep)
		return sn_fail(err, SN_E_ARGUMENT, "%s has no samples of 24 bits; wav, flac and pcm do", formats[options->format].name);
	return SN_OK;
}

/* mp3 and opus take a bitrate as a share of what they can: from 32 to 320 kbit/s, below 32000 Hz from 8 to 160, opus from 6 to 256 a
 * channel. libsndfile counts it from the top. */
static int set_bitrate(sn_encoder *e, char *err) {
	const sn_encoder_options *o = &e->options;
	const int opus = o->format == SN_AUDIO_OPUS, low = opus ? 6000 * o->channels : e->rate < 32000 ? 8000 : 32000;
	const int high = opus ? 256000 * o->channels : e->rate < 32000 ? 160000 : 320000;
	if (!o->bitrate)
		return SN_OK;
	if (o->format != SN_AUDIO_MP3 && !opus)
		return sn_fail(err, SN_E_ARGUMENT, "%s has no bitrate to choose; mp3 and opus do", formats[o->format].name);
	if (o->bitrate < low || o->bitrate > high)
		return sn_fail(err, SN_E_ARGUMENT, "%d bit/s are not possible in %s at %d Hz; %d to %d are", o->bitrate, formats[o->format].name, e->rate, low, high);
	double level = (double)(high - o->bitrate) / (high - low);
	int mode = SF_BITRATE_MODE_CONSTANT;
	if (!opus)
		sf_command(e->file, SFC_SET_BITRATE_MODE, &mode, sizeof mode);
	if (sf_command(e->file, SFC_SET_COMPRESSION_LEVEL, &level, sizeof level) != SF_TRUE)
		return sn_fail(err, SN_E_INTERNAL, "the bitrate of %s cannot be set: %s", formats[o->format].name, sf_strerror(e->file));
	return SN_OK;
}

static int open_file(sn_encoder *e, char *err) {
	const sn_encoder_options *o = &e->options;
	e->rate = choose_rate(o);
	SF_INFO info = { .samplerate = e->rate, .channels = o->channels };
	info.format = formats[o->format].major | (o->floats ? formats[o->format].floats : o->deep ? formats[o->format].deep : formats[o->format].integers);
	e->file = sf_open_virtual((SF_VIRTUAL_IO *)&vio, SFM_WRITE, &info, &e->sink);
	if (e->sink.failed)
		return sn_sink_error(&e->sink, err);
	if (!e->file)
		return sn_fail(err, SN_E_INTERNAL, "cannot write %s at %d Hz: %s", formats[o->format].name, e->rate, sf_strerror(NULL));
	sf_command(e->file, SFC_SET_CLIPPING, NULL, SF_TRUE);
	sf_command(e->file, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE);
	const int result = set_bitrate(e, err);
	if (result != SN_OK)
		return result;
	if (e->rate == o->rate)
		return SN_OK;
	e->block = malloc(sizeof(float) * BLOCK * (size_t)o->channels);
	if (!e->block)
		return sn_fail(err, SN_E_MEMORY, "no memory to write '%s'", e->sink.name);
	return sn_resampler_open(&e->resampler, o->rate, e->rate, o->channels, err);
}

/* The ways to open differ in their sink only, which is `given` where it is open already. */
static int open_encoder(sn_encoder **out, const sn_encoder_options *options, const char *path, int fd, const char *name,
                        const sn_sink *given, char *err) {
	*out = NULL;
	int result = check_options(options, err);
	if (result != SN_OK)
		return result;
	sn_encoder *e = calloc(1, sizeof *e);
	if (!e)
		return sn_fail(err, SN_E_MEMORY, "no memory for an encoder");
	e->options = *options;
	if (path)
		result = sn_sink_open_path(&e->sink, path, err);
	else if (given)
		e->sink = *given;
	else
		result = sn_sink_open_fd(&e->sink, fd, name, err);
	if (result == SN_OK)
		result = open_file(e, err);
	if (result != SN_OK)
		sn_encoder_close(&e);
	*out = e;
	return result;
}

int sn_encoder_open_path(sn_encoder **out, const char *path, const sn_encoder_options *options, char *err) {
	return open_encoder(out, options, path, -1, NULL, NULL, err);
}

int sn_encoder_open_fd(sn_encoder **out, int fd, const char *name, const sn_encoder_options *options, char *err) {
	return open_encoder(out, options, NULL, fd, name, NULL, err);
}

int sn_encoder_open_memory(sn_encoder **out, sn_buf *buf, const sn_encoder_options *options, char *err) {
	sn_sink sink;
	sn_sink_open_memory(&sink, buf);
	return open_encoder(out, options, NULL, -1, NULL, &sink, err);
}

int sn_encoder_open_function(sn_encoder **out, int (*take)(void *payload, const void *data, size_t size), void *payload,
                             const sn_encoder_options *options, char *err) {
	sn_sink sink;
	sn_sink_open_function(&sink, take, payload);
	return open_encoder(out, options, NULL, -1, NULL, &sink, err);
}

static int put(sn_encoder *e, const float *samples, size_t frames, char *err) {
	sf_count_t n = sf_writef_float(e->file, samples, (sf_count_t)frames);
	if (e->sink.failed)
		return sn_sink_error(&e->sink, err);
	if (n != (sf_count_t)frames)
		return sn_fail(err, SN_E_IO, "cannot write '%s': %s", e->sink.name, sf_strerror(e->file));
	return SN_OK;
}

/* samples NULL: the rest of what the resampler holds. */
static int put_resampled(sn_encoder *e, const float *samples, size_t frames, char *err) {
	size_t used = 0, got = 0;
	do {
		int result = sn_resampler_process(e->resampler, samples, frames, &used, e->block, BLOCK, &got, err);
		if (result == SN_OK && got)
			result = put(e, e->block, got, err);
		if (result != SN_OK)
			return result;
		samples = samples ? samples + used * (size_t)e->options.channels : NULL;
		frames -= used;
	} while (samples ? frames > 0 : got > 0);
	return SN_OK;
}

int sn_encoder_write(sn_encoder *encoder, const float *samples, size_t frames, char *err) {
	sn_encoder *e = encoder;
	if (e->failed)
		return sn_fail(err, e->failed, "%s", e->failure);
	if (e->finished)
		return sn_fail(err, SN_E_CLOSED, "'%s' is already finished", e->sink.name);
	size_t count = frames * (size_t)e->options.channels, bad = sn_audio_find_invalid(samples, count);
	if (!frames)
		return SN_OK;
	if (bad < count)
		e->failed = sn_fail(e->failure, SN_E_ARGUMENT, "sample %lld for '%s' is not a number within +-%g",
		                    (long long)(e->frames + (int64_t)(bad / (size_t)e->options.channels)), e->sink.name, (double)SN_AUDIO_MAX_SAMPLE);
	else
		e->failed = e->resampler ? put_resampled(e, samples, frames, e->failure) : put(e, samples, frames, e->failure);
	e->frames += (int64_t)frames;
	return e->failed ? sn_fail(err, e->failed, "%s", e->failure) : SN_OK;
}

int sn_encoder_finish(sn_encoder *encoder, char *err) {
	sn_encoder *e = encoder;
	if (e->failed)
		return sn_fail(err, e->failed, "%s", e->failure);
	if (e->finished)
		return SN_OK;
	e->finished = 1;
	if (e->resampler && e->frames)
		e->failed = put_resampled(e, NULL, 0, e->failure);
	sf_close(e->file);
	e->file = NULL;
	if (!e->failed)
		e->failed = sn_sink_finish(&e->sink, e->failure);
	return e->failed ? sn_fail(err, e->failed, "%s", e->failure) : SN_OK;
}

void sn_encoder_close(sn_encoder **encoder) {
	if (!encoder || !*encoder)
		return;
	sn_encoder *e = *encoder;
	if (e->file)
		sf_close(e->file);
	sn_sink_close(&e->sink);
	sn_resampler_close(&e->resampler);
	free(e->block);
	free(e);
	*encoder = NULL;
}

int sn_encoder_rate(const sn_encoder *encoder) { return encoder->rate; }

int sn_encode_path(const char *path, const sn_encoder_options *options, const float *samples, size_t frames, char *err) {
	sn_encoder *encoder = NULL;
	int result = sn_encoder_open_path(&encoder, path, options, err);
	if (result == SN_OK)
		result = sn_encoder_write(encoder, samples, frames, err);
	if (result == SN_OK)
		result = sn_encoder_finish(encoder, err);
	sn_encoder_close(&encoder);
	return result;
}
