/* sonant-decode: reads any audio that FFmpeg reads from standard input (a regular file) and writes float32 PCM records
 * (audio/decode_protocol.h) to standard output. It runs on hostile input, so before it looks at a byte it gives up what it does not need:
 * memory, processor time and file sizes are limited, and the kernel lets it do little but read descriptor 0 and write descriptor 1.
 * It is a program of its own because FFmpeg is large and Debian builds it under the GPL.
 *
 * sonant-decode --stream FORMAT|auto reads a stream instead: a pipe or socket, from front to back, and writes samples as they come.
 *
 * sonant-decode --try open|socket|exec|write attempts what the sandbox forbids and exits with status 3 when it was possible; --try linger
 * stays until nobody reads its output. */
#include "audio/decode_protocol.h"
#include "decode_sandbox.h"

#include <sonant/sonant.h>

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_CHANNELS 64
#define MAX_ALLOCATION (256 << 20)
#define INPUT_BUFFER (64 << 10)
#define MAX_BLOCK_FRAMES 4096
#define LEAST_GAP 0.05     /* seconds; shorter ones are rounding */
#define MOST_OVERLAP 1.0   /* seconds; what goes back further begins anew */
#define MOST_GAP 3600.0    /* longer ones are another clock */
#define STREAM_PROBE 65536 /* bytes of a stream that are looked at to know what it is */

typedef struct decoder {
	AVFormatContext *container;
	AVCodecContext *codec;
	AVStream *stream;
	SwrContext *convert;
	int rate, channels;     /* of the output: those of the first frame */
	int in_format, in_rate, in_channels; /* what `convert` was made for */
	int64_t frames;         /* written */
	int keeps_time;         /* a file: what its timeline leaves out becomes silence; a stream's samples are given as they come */
	double clock;           /* where its timeline goes on, in seconds */
	int64_t silence;        /* frames of it */
	int64_t damaged, packets;
	int format_sent;
	float block[MAX_BLOCK_FRAMES * MAX_CHANNELS];
} decoder;

static void write_all(const void *data, size_t size) {
	const char *from = data;
	while (size) {
		ssize_t n = write(1, from, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1); /* nobody listens any more */
		from += n;
		size -= (size_t)n;
	}
}

static void send_record(uint32_t kind, const void *data, size_t size) {
	sn_decode_record record = { SN_DECODE_MAGIC, kind, (uint32_t)size };
	write_all(&record, sizeof record);
	write_all(data, size);
}

static void end_with(uint32_t kind, sn_decode_status status) {
	send_record(kind, &status, sizeof status);
	_exit(0);
}

__attribute__((noreturn)) static void fail(int code, const char *text) {
	sn_decode_status status = { .code = code };
	snprintf(status.text, sizeof status.text, "%s", text);
	end_with(SN_DECODE_ERROR, status);
	__builtin_unreachable();
}

__attribute__((noreturn)) static void fail_av(const char *what, int error) {
	char reason[64], text[SN_DECODE_TEXT];
	if (av_strerror(error, reason, sizeof reason) < 0)
		snprintf(reason, sizeof reason, "error %d", error);
	snprintf(text, sizeof text, "%s (%s)", what, reason);
	if (error == AVERROR(ENOMEM))
		fail(SN_E_LIMIT, "it asks for more memory than its decoder is given");
	fail(SN_E_FORMAT, text);
}

static int input_read(void *opaque, uint8_t *out, int size) {
	ssize_t n;
	do
		n = read(0, out, (size_t)size);
	while (n < 0 && errno == EINTR);
	return n > 0 ? (int)n : n == 0 ? AVERROR_EOF : AVERROR(errno);
}

static int64_t input_seek(void *opaque, int64_t offset, int whence) {
	if (whence & AVSEEK_SIZE) {
		int64_t here = lseek(0, 0, SEEK_CUR), end = lseek(0, 0, SEEK_END);
		return here < 0 || end < 0 || lseek(0, here, SEEK_SET) < 0 ? AVERROR(errno) : end;
	}
	off_t at = lseek(0, offset, whence & ~AVSEEK_FORCE);
	return at < 0 ? AVERROR(errno) : at;
}

/* Playlists and references to other files lead nowhere. */
static int refuse_open(AVFormatContext *container, AVIOContext **out, const char *url, int flags, AVDictionary **options) {
	return AVERROR(EACCES);
}

/* streamed: the name of the container that comes piece by piece, "auto": to be found out; NULL: standard input is a file. */
static void open_container(decoder *d, const char *streamed) {
	unsigned char *buffer = av_malloc(INPUT_BUFFER);
	AVIOContext *io = buffer ? avio_alloc_context(buffer, INPUT_BUFFER, 0, NULL, input_read, NULL, streamed ? NULL : input_seek) : NULL;
	d->container = avformat_alloc_context();
	if (!io || !d->container)
		fail(SN_E_MEMORY, "no memory");
	d->container->pb = io;
	if (streamed) { /* the first samples are wanted as soon as they are there */
		io->seekable = 0;
		d->container->probesize = STREAM_PROBE;
		d->container->max_analyze_duration = AV_TIME_BASE / 10;
	}
	d->container->flags |= AVFMT_FLAG_CUSTOM_IO;
	d->container->io_open = refuse_open;
	int error = avformat_open_input(&d->container, "", streamed ? av_find_input_format(streamed) : NULL, NULL);
	if (error < 0)
		fail_av("its format is not recognised", error);
	error = avformat_find_stream_info(d->container, NULL);
	if (error < 0)
		fail_av("its streams cannot be read", error);
}

static void open_codec(decoder *d) {
	const AVCodec *codec = NULL;
	int index = av_find_best_stream(d->container, AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
	if (index == AVERROR_STREAM_NOT_FOUND)
		fail(SN_E_FORMAT, "there is no audio in it");
	if (index < 0 || !codec)
		fail(SN_E_FORMAT, "no decoder for its audio");
	for (unsigned i = 0; i < d->container->nb_streams; i++)
		d->container->streams[i]->discard = (int)i == index ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
	d->stream = d->container->streams[index];
	d->codec = avcodec_alloc_context3(codec);
	if (!d->codec)
		fail(SN_E_MEMORY, "no memory");
	int error = avcodec_parameters_to_context(d->codec, d->stream->codecpar);
	d->codec->pkt_timebase = d->stream->time_base;
	d->codec->thread_count = 1; /* the sandbox allows no other */
	d->codec->request_sample_fmt = AV_SAMPLE_FMT_FLT;
	if (error >= 0)
		error = avcodec_open2(d->codec, codec, NULL);
	if (error < 0)
		fail_av("the decoder of its audio does not start", error);
}

/* Not so with a picture of the cover. */
static int has_other_streams(const decoder *d) {
	int others = 0;
	for (unsigned i = 0; i < d->container->nb_streams; i++)
		others |= d->container->streams[i] != d->stream && !(d->container->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC);
	return others;
}

/* 0: unknown, of another stream perhaps, or only guessed from the bit rate. */
static double container_seconds(const decoder *d) {
	if (d->container->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE)
		return 0;
	if (d->stream->duration > 0)
		return (double)d->stream->duration * av_q2d(d->stream->time_base);
	return d->container->duration > 0 && !has_other_streams(d) ? (double)d->container->duration / AV_TIME_BASE : 0;
}

static void send_format(decoder *d, int rate, int channels) {
	if (rate < 1 || channels < 1)
		fail(SN_E_FORMAT, "none of its audio can be decoded");
	if (channels > MAX_CHANNELS)
		fail(SN_E_LIMIT, "it has more than 64 channels");
	double seconds = container_seconds(d);
	sn_decode_format format = { .rate = rate, .channels = channels, .frames = seconds > 0 && seconds < 1e7 ? llrint(seconds * rate) : -1 };
	const char *container = d->container->iformat->name, *codec = avcodec_get_name(d->codec->codec_id);
	int length = (int)strcspn(container, ",");
	if ((int)strlen(codec) == length && !strncmp(container, codec, (size_t)length))
		snprintf(format.name, sizeof format.name, "%s", codec);
	else
		snprintf(format.name, sizeof format.name, "%.*s/%s", length, container, codec);
	d->rate = rate;
	d->channels = channels;
	d->format_sent = 1;
	send_record(SN_DECODE_FORMAT, &format, sizeof format);
}

/* A stream may change its layout or rate on the way; the output keeps those of its first frame. */
static void prepare_convert(decoder *d, const AVFrame *frame) {
	AVChannelLayout in = { 0 }, out = { 0 };
	if (frame->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
		av_channel_layout_default(&in, frame->ch_layout.nb_channels);
	else if (av_channel_layout_copy(&in, &frame->ch_layout) < 0)
		fail(SN_E_MEMORY, "no memory");
	if (in.nb_channels == d->channels)
		av_channel_layout_copy(&out, &in);
	else
		av_channel_layout_default(&out, d->channels);
	swr_free(&d->convert);
	int error = swr_alloc_set_opts2(&d->convert, &out, AV_SAMPLE_FMT_FLT, d->rate, &in, frame->format, frame->sample_rate, 0, NULL);
	if (error >= 0)
		error = swr_init(d->convert);
	if (error < 0)
		fail_av("its samples cannot be converted", error);
	av_channel_layout_uninit(&in);
	av_channel_layout_uninit(&out);
	d->in_format = frame->format;
	d->in_rate = frame->sample_rate;
	d->in_channels = frame->ch_layout.nb_channels;
}

static void send_audio(decoder *d, const uint8_t **data, int frames) {
	uint8_t *to[1] = { (uint8_t *)d->block };
	int got = swr_convert(d->convert, to, MAX_BLOCK_FRAMES, data, frames);
	while (got > 0) {
		send_record(SN_DECODE_AUDIO, d->block, sizeof(float) * (size_t)got * (size_t)d->channels);
		d->frames += got;
		got = swr_convert(d->convert, to, MAX_BLOCK_FRAMES, NULL, 0);
	}
	if (got < 0)
		fail_av("its samples cannot be converted", got);
}

static void send_silence(decoder *d, int64_t frames) {
	memset(d->block, 0, sizeof d->block);
	for (int64_t left = frames, n; left > 0; left -= n) {
		n = left < MAX_BLOCK_FRAMES ? left : MAX_BLOCK_FRAMES;
		send_record(SN_DECODE_AUDIO, d->block, sizeof(float) * (size_t)n * (size_t)d->channels);
	}
	d->frames += frames;
	d->silence += frames;
}

/* Samples joined over a pause would come too early. A frame's own length is what times may be wrong by where a packet has several. */
static void keep_time(decoder *d, const AVFrame *frame) {
	const double length = (double)frame->nb_samples / frame->sample_rate;
	if (frame->best_effort_timestamp == AV_NOPTS_VALUE) {
		d->clock += length;
		return;
	}
	const double at = (double)frame->best_effort_timestamp * av_q2d(d->stream->time_base);
	if (!d->frames)
		d->clock = d->container->start_time != AV_NOPTS_VALUE ? (double)d->container->start_time / AV_TIME_BASE : at;
	const double gap = at - d->clock;
	if (gap > LEAST_GAP + length && gap <= MOST_GAP)
		send_silence(d, llrint(gap * d->rate));
	/* What overlaps is heard behind what was before it: later times are compared with what was written. */
	d->clock = (gap < 0 && gap >= -MOST_OVERLAP ? d->clock : at) + length;
}

static void receive_frames(decoder *d, AVFrame *frame) {
	while (avcodec_receive_frame(d->codec, frame) >= 0) {
		if (frame->nb_samples > 0 && frame->sample_rate > 0 && frame->ch_layout.nb_channels > 0) {
			if (!d->format_sent)
				send_format(d, frame->sample_rate, frame->ch_layout.nb_channels);
			if (!d->convert || d->in_format != frame->format || d->in_rate != frame->sample_rate ||
			    d->in_channels != frame->ch_layout.nb_channels)
				prepare_convert(d, frame);
			if (d->keeps_time)
				keep_time(d, frame);
			send_audio(d, (const uint8_t **)frame->extended_data, frame->nb_samples);
		}
		av_frame_unref(frame);
	}
}

/* Of the second of several files that were joined: its codec is open already. */
static int is_header(const AVPacket *packet) {
	return packet->size >= 8 && (!memcmp(packet->data, "OpusHead", 8) || !memcmp(packet->data, "OpusTags", 8));
}

static int decode_packets(decoder *d) {
	AVPacket *packet = av_packet_alloc();
	AVFrame *frame = av_frame_alloc();
	if (!packet || !frame)
		fail(SN_E_MEMORY, "no memory");
	int error;
	while ((error = av_read_frame(d->container, packet)) >= 0) {
		if (packet->stream_index == d->stream->index) {
			d->packets++;
			int sent = avcodec_send_packet(d->codec, packet);
			if (sent == AVERROR(ENOMEM))
				fail_av("its decoder failed", sent);
			d->damaged += sent < 0 && !is_header(packet);
			receive_frames(d, frame);
		}
		av_packet_unref(packet);
	}
	avcodec_send_packet(d->codec, NULL);
	receive_frames(d, frame);
	if (d->convert)
		send_audio(d, NULL, 0);
	return error == AVERROR_EOF ? 0 : error;
}

static void report_end(decoder *d, int error) {
	sn_decode_status status = { 0 };
	double promised = container_seconds(d), have = d->rate ? (double)d->frames / d->rate : 0;
	if (!d->format_sent) {
		if (d->packets)
			fail(SN_E_FORMAT, "none of its audio can be decoded");
		send_format(d, d->codec->sample_rate, d->codec->ch_layout.nb_channels);
	}
	/* Containers round durations, and some round them by a second. */
	if (error < 0 && promised <= have) {
		status.truncated = 1;
		snprintf(status.text, sizeof status.text, "damaged: nothing can be read after %.2f s", have);
	} else if (error < 0 || promised - have > 1.0 + 0.02 * promised) {
		status.truncated = 1;
		snprintf(status.text, sizeof status.text, "cut off or damaged: its container promises %.2f s, %.2f s can be decoded", promised, have);
	} else if (d->damaged) {
		status.truncated = 1;
		snprintf(status.text, sizeof status.text, "damaged: %lld of %lld packets cannot be decoded", (long long)d->damaged, (long long)d->packets);
	} else if (d->silence) {
		snprintf(status.text, sizeof status.text, "its timeline leaves out %.2f s, which are silence here", (double)d->silence / d->rate);
	}
	end_with(SN_DECODE_END, status);
}

int main(int argc, char **argv) {
	static decoder d;
	const char *const streamed = argc == 3 && !strcmp(argv[1], "--stream") ? argv[2] : NULL;
	if (argc != 1 && !streamed && !(argc == 3 && !strcmp(argv[1], "--try"))) {
		fputs("sonant-decode is run by sonant: it reads audio from standard input and writes PCM records to standard output.\n", stderr);
		return 2;
	}
	av_log_set_level(AV_LOG_QUIET);
	av_max_alloc(MAX_ALLOCATION);
	if (!sandbox_enter())
		fail(SN_E_IO, "the sandbox of sonant-decode cannot be set up on this system");
	if (argc == 3 && !streamed)
		return sandbox_try(argv[2]);
	struct stat st;
	if (!streamed && (fstat(0, &st) != 0 || !S_ISREG(st.st_mode)))
		fail(SN_E_IO, "standard input is not a regular file");
	d.keeps_time = !streamed;
	open_container(&d, streamed);
	open_codec(&d);
	report_end(&d, decode_packets(&d));
	return 0;
}
