/* Audio that comes piece by piece: bare samples are converted here, containers by sonant-decode, a child on a socket that is never waited for. */
#include "audio/decode_protocol.h"
#include "audio/decode_source.h"
#include "audio/resample.h"
#include "audio/validate.h"
#include "base/helper_path.h"

#include <sonant/sonant.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES 16384 /* that wait to become samples */
#define BLOCK 2048  /* frames converted at a time */
#define MAX_CHANNELS 8
#define FORMATS "pcm16, float32, g711_ulaw, g711_alaw, auto, webm, opus, ogg, mp3, flac, wav"

typedef enum kind { PCM16, FLOAT32, ULAW, ALAW, CONTAINER } kind;

/* What bare samples have in bytes, or the name that FFmpeg has for a container. */
static const struct format { const char *name; kind kind; int bytes; const char *container; } formats[] = {
	{ "pcm16", PCM16, 2, NULL }, { "float32", FLOAT32, 4, NULL }, { "g711_ulaw", ULAW, 1, NULL }, { "g711_alaw", ALAW, 1, NULL },
	{ "auto", CONTAINER, 0, "auto" }, { "webm", CONTAINER, 0, "matroska" }, { "opus", CONTAINER, 0, "ogg" }, { "ogg", CONTAINER, 0, "ogg" },
	{ "mp3", CONTAINER, 0, "mp3" }, { "flac", CONTAINER, 0, "flac" }, { "wav", CONTAINER, 0, "wav" },
};

struct sn_reader {
	const struct format *format;
	int rate, channels, out_rate; /* rate 0: not known yet */
	sn_resampler *resampler;
	uint8_t bytes[BYTES];
	size_t have;
	float mono[BLOCK];
	size_t at, count;
	int64_t position;        /* frames */
	int finished, ended;     /* no more bytes come; no more frames come */
	int failed;
	char failure[SN_ERRLEN];
	/* the child */
	pid_t pid;
	int fd;
	size_t left;             /* bytes of the record of samples that is being read */
};

/* ---- opening ---- */

static int open_socket(int ends[2], char *err) {
	int raw[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, raw) != 0)
		return sn_fail_errno(err, "cannot make a socket to sonant-decode");
	for (int i = 0; i < 2; i++) {
		ends[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3); /* the child's own dup2 would overwrite lower ones */
		close(raw[i]);
	}
	if (ends[0] >= 0 && ends[1] >= 0)
		return SN_OK;
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	return sn_fail_errno(err, "cannot make a socket to sonant-decode");
}

static int start_child(sn_reader *r, char *err) {
	const char *const arguments[] = { "sonant-decode", "--stream", r->format->container, NULL };
	char path[PATH_MAX];
	int ends[2] = { -1, -1 }, result = sn_helper_path("sonant-decode", path, sizeof path, err);
	if (result == SN_OK)
		result = open_socket(ends, err);
	if (result != SN_OK)
		return result;
	result = sn_decode_start(&r->pid, path, arguments, ends[1], ends[1], "the stream", err);
	close(ends[1]);
	r->fd = ends[0];
	return result;
}

static int check_rate(int rate, char *err) {
	return rate >= SN_AUDIO_MIN_RATE && rate <= SN_AUDIO_MAX_RATE ? SN_OK
		: sn_fail(err, SN_E_ARGUMENT, "a sample rate of %d Hz is not possible; %d to %d Hz are", rate, SN_AUDIO_MIN_RATE, SN_AUDIO_MAX_RATE);
}

static int prepare_rate(sn_reader *r, char *err) {
	return r->rate != r->out_rate ? sn_resampler_open(&r->resampler, r->rate, r->out_rate, 1, err) : SN_OK;
}

int sn_reader_open(sn_reader **out, const sn_reader_options *options, char *err) {
	const sn_reader_options none = { 0 }, *const o = options ? options : &none;
	const char *const name = o->format ? o->format : "auto";
	const struct format *format = NULL;
	*out = NULL;
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (strcmp(formats[i].name, name) == 0)
			format = &formats[i];
	if (!format)
		return sn_fail(err, SN_E_ARGUMENT, "unknown format of a stream \"%.40s\"; known are %s", name, FORMATS);
	if (o->channels < 0 || o->channels > MAX_CHANNELS)
		return sn_fail(err, SN_E_ARGUMENT, "%d channels are not possible; 1 to %d are", o->channels, MAX_CHANNELS);
	sn_reader *const r = calloc(1, sizeof *r);
	if (!r)
		return sn_fail(err, SN_E_MEMORY, "no memory to read a stream");
	r->format = format;
	r->fd = -1;
	r->out_rate = o->output_rate ? o->output_rate : SN_STT_RATE;
	int result = check_rate(r->out_rate, err);
	if (result == SN_OK && format->kind == CONTAINER) {
		result = start_child(r, err);
	} else if (result == SN_OK) {
		r->rate = o->sample_rate ? o->sample_rate : SN_STT_RATE;
		r->channels = o->channels ? o->channels : 1;
		result = check_rate(r->rate, err);
		if (result == SN_OK)
			result = prepare_rate(r, err);
	}
	*out = r;
	if (result != SN_OK)
		sn_reader_close(out);
	return result;
}

void sn_reader_close(sn_reader **held) {
	sn_reader *const r = held ? *held : NULL;
	if (!r)
		return;
	*held = NULL;
	if (r->fd >= 0)
		close(r->fd);
	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	sn_resampler_close(&r->resampler);
	free(r);
}

int sn_reader_descriptor(const sn_reader *r) { return r->fd; }

/* ---- bytes in ---- */

int sn_reader_push(sn_reader *r, const void *data, size_t size, size_t *taken, char *err) {
	*taken = 0;
	if (r->failed)
		return sn_fail(err, r->failed, "%s", r->failure);
	if (r->finished)
		return sn_fail(err, SN_E_CLOSED, "the stream was finished already");
	if (r->format->kind != CONTAINER) {
		*taken = size < BYTES - r->have ? size : BYTES - r->have;
		memcpy(r->bytes + r->have, data, *taken);
		r->have += *taken;
		return *taken || !size ? SN_OK : SN_AGAIN;
	}
	const ssize_t sent = size ? send(r->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
	if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return SN_AGAIN;
	*taken = sent < 0 ? size : (size_t)sent; /* a child that has gone says why behind what it has made */
	return SN_OK;
}

int sn_reader_finish(sn_reader *r, char *err) {
	if (r->finished)
		return sn_fail(err, SN_E_CLOSED, "the stream was finished already");
	r->finished = 1;
	if (r->fd >= 0)
		shutdown(r->fd, SHUT_WR);
	return SN_OK;
}

/* ---- frames ---- */

static float from_ulaw(uint8_t byte) {
	const int code = ~byte & 0xff, exponent = code >> 4 & 7, value = (((code & 15) << 3) + 132) << exponent;
	return (float)((code & 128 ? 132 - value : value - 132) / 32768.0);
}

static float from_alaw(uint8_t byte) {
	const int code = byte ^ 0x55, exponent = code >> 4 & 7, low = (code & 15) << 4;
	const int value = exponent ? (low + 264) << (exponent - 1) : low + 8;
	return (float)((code & 128 ? value : -value) / 32768.0);
}

static float sample_at(const sn_reader *r, const uint8_t *at) {
	float value;
	switch (r->format->kind) {
	case PCM16: return (float)((int16_t)(at[0] | at[1] << 8) / 32768.0);
	case ULAW: return from_ulaw(*at);
	case ALAW: return from_alaw(*at);
	default:
		memcpy(&value, at, sizeof value);
		return value;
	}
}

static size_t frame_bytes(const sn_reader *r) {
	return (size_t)r->channels * (r->format->kind == CONTAINER ? sizeof(float) : (size_t)r->format->bytes);
}

static void consume(sn_reader *r, size_t size) {
	r->have -= size;
	memmove(r->bytes, r->bytes + size, r->have);
}

/* At most `frames` of the first bytes to mono. */
static int convert(sn_reader *r, size_t frames, char *err) {
	const size_t step = frame_bytes(r) / (size_t)r->channels;
	frames = frames < BLOCK ? frames : BLOCK;
	for (size_t t = 0; t < frames; t++) {
		float sum = 0;
		for (int c = 0; c < r->channels; c++)
			sum += sample_at(r, r->bytes + t * frame_bytes(r) + (size_t)c * step);
		r->mono[t] = sum / (float)r->channels;
	}
	const size_t bad = sn_audio_find_invalid(r->mono, frames);
	if (bad < frames)
		return sn_fail(err, SN_E_FORMAT, "the sample at %.4f s is not a number within +-%g", (double)(r->position + (int64_t)bad) / r->rate,
		               (double)SN_AUDIO_MAX_SAMPLE);
	consume(r, frames * frame_bytes(r));
	r->at = 0;
	r->count = frames;
	r->position += (int64_t)frames;
	return SN_OK;
}

static int fill_bare(sn_reader *r, char *err) {
	const size_t frames = r->have / frame_bytes(r);
	if (frames)
		return convert(r, frames, err);
	if (r->finished && r->have)
		return sn_fail(err, SN_E_FORMAT, "the stream ends in the middle of a sample: %zu bytes are left over", r->have);
	r->ended = r->finished;
	return r->ended ? SN_OK : SN_AGAIN;
}

/* ---- the child's records ---- */

static int malformed(char *err) { return sn_fail(err, SN_E_INTERNAL, "sonant-decode sent a malformed record; is it of the same version as this library?"); }

static int take_format(sn_reader *r, const uint8_t *data, char *err) {
	sn_decode_format format;
	memcpy(&format, data, sizeof format);
	if (r->rate || format.channels < 1 || format.channels > SN_AUDIO_MAX_CHANNELS)
		return malformed(err);
	if (check_rate(format.rate, err) != SN_OK)
		return SN_E_FORMAT;
	r->rate = format.rate;
	r->channels = format.channels;
	return prepare_rate(r, err);
}

static int take_status(sn_reader *r, const uint8_t *data, int is_error, char *err) {
	sn_decode_status status;
	memcpy(&status, data, sizeof status);
	status.text[sizeof status.text - 1] = 0;
	if (is_error)
		return sn_fail(err, status.code == SN_E_LIMIT || status.code == SN_E_MEMORY || status.code == SN_E_IO ? status.code : SN_E_FORMAT,
		               "the stream cannot be read as audio: %s", status.text);
	if (status.truncated && !r->position)
		return sn_fail(err, SN_E_FORMAT, "the stream holds no usable audio: %s", status.text);
	r->ended = 1;
	return SN_OK;
}

/* SN_AGAIN: the record is not whole yet. */
static int take_record(sn_reader *r, char *err) {
	static const size_t sizes[] = { [SN_DECODE_FORMAT] = sizeof(sn_decode_format), [SN_DECODE_END] = sizeof(sn_decode_status),
		[SN_DECODE_ERROR] = sizeof(sn_decode_status) };
	sn_decode_record record;
	if (r->have < sizeof record)
		return SN_AGAIN;
	memcpy(&record, r->bytes, sizeof record);
	if (record.magic != SN_DECODE_MAGIC || record.kind < SN_DECODE_FORMAT || record.kind > SN_DECODE_ERROR || record.bytes > SN_DECODE_MAX_RECORD)
		return malformed(err);
	if (record.kind == SN_DECODE_AUDIO) {
		if (!r->rate || record.bytes % frame_bytes(r))
			return malformed(err);
		consume(r, sizeof record);
		r->left = record.bytes;
		return SN_OK;
	}
	if (record.bytes != sizes[record.kind])
		return malformed(err);
	if (r->have < sizeof record + record.bytes)
		return SN_AGAIN;
	const uint8_t *const data = r->bytes + sizeof record;
	const int result = record.kind == SN_DECODE_FORMAT ? take_format(r, data, err) : take_status(r, data, record.kind == SN_DECODE_ERROR, err);
	consume(r, sizeof record + record.bytes);
	return result;
}

static int fill_from_child(sn_reader *r, char *err) {
	while (!r->ended && r->at == r->count) {
		size_t frames = r->left ? (r->have < r->left ? r->have : r->left) / frame_bytes(r) : 0;
		frames = frames < BLOCK ? frames : BLOCK;
		int result = SN_AGAIN;
		if (frames) {
			r->left -= frames * frame_bytes(r);
			result = convert(r, frames, err);
		} else if (!r->left) {
			result = take_record(r, err);
		}
		if (result != SN_AGAIN && result != SN_OK)
			return result;
		if (result == SN_OK)
			continue;
		const ssize_t got = recv(r->fd, r->bytes + r->have, BYTES - r->have, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return SN_AGAIN;
		if (got <= 0)
			return sn_fail(err, SN_E_FORMAT, "the stream is damaged or hostile: its decoder, sonant-decode, ended early");
		r->have += (size_t)got;
	}
	return SN_OK;
}

/* ---- samples out ---- */

static int deliver(sn_reader *r, float *pcm, size_t most, size_t *count, char *err) {
	const size_t left = r->count - r->at;
	size_t used = left < most ? left : most;
	if (!r->resampler) {
		memcpy(pcm, r->mono + r->at, used * sizeof *pcm);
		*count = used;
	} else {
		const int result = sn_resampler_process(r->resampler, left ? r->mono + r->at : NULL, left, &used, pcm, most, count, err);
		if (result != SN_OK)
			return result;
	}
	r->at += used;
	return SN_OK;
}

static int pull(sn_reader *r, float *pcm, size_t most, size_t *count, char *err) {
	while (*count < most) {
		int result = r->at == r->count && !r->ended ? (r->format->kind == CONTAINER ? fill_from_child(r, err) : fill_bare(r, err)) : SN_OK;
		if (result != SN_OK)
			return result == SN_AGAIN && *count ? SN_OK : result;
		if (r->ended && r->at == r->count && (!r->resampler || !r->position))
			break;
		size_t got = 0;
		if ((result = deliver(r, pcm + *count, most - *count, &got, err)) != SN_OK)
			return result;
		*count += got;
		if (r->ended && r->at == r->count && !got)
			break;
	}
	return *count || !most ? SN_OK : SN_END;
}

int sn_reader_pull(sn_reader *r, float *pcm, size_t most, size_t *count, char *err) {
	*count = 0;
	if (r->failed)
		return sn_fail(err, r->failed, "%s", r->failure);
	const int result = pull(r, pcm, most, count, r->failure);
	if (result >= 0)
		return result;
	r->failed = result;
	*count = 0;
	return sn_fail(err, result, "%s", r->failure);
}
