/* Reading audio: any container and codec, any rate and channel count, to mono float32.
 *
 * libsndfile reads wav, flac, ogg (vorbis, opus), mp3, aiff and its other formats in this process; what it cannot open, or would end
 * too early (decode_length.c), goes to the sandboxed helper sonant-decode, where a pause in a container's timeline becomes silence.
 * Channels are averaged; libsoxr converts the rate. Memory does not grow with the length: input from a pipe is kept in memory up to
 * SN_AUDIO_SPOOL_MEMORY and in an unlinked temporary file beyond.
 *
 *   sn_decoder *decoder;
 *   if (sn_decoder_open_path(&decoder, "speech.m4a", 16000, err) != SN_OK) ...;
 *   while ((result = sn_decoder_read(decoder, block, 4096, &got, err)) == SN_OK) use(block, got);
 *   if (result != SN_END) ...;
 *   sn_decoder_close(&decoder);
 *
 * Errors of all functions: SN_E_NOT_FOUND (no such file), SN_E_IO (no permission, reading failed), SN_E_FORMAT (a folder, not audio,
 * damaged beyond use, samples that are not numbers), SN_E_LIMIT (a maximum below), SN_E_DEPENDENCY (the helper is needed and missing),
 * SN_E_TIMEOUT (the helper stalled), SN_E_MEMORY. Messages name the file.
 * A file with a valid header and no samples opens, and its first read gives SN_END: the caller decides what that means. */
#ifndef SN_AUDIO_DECODE_H
#define SN_AUDIO_DECODE_H

#include "audio/resample.h"
#include "base/error.h"

#include <stdint.h>

#define SN_AUDIO_MAX_CHANNELS 64
#define SN_AUDIO_MAX_BYTES (INT64_C(32) << 30)  /* of an input */
#define SN_AUDIO_MAX_SECONDS (48 * 3600)        /* of an input */
#define SN_AUDIO_SPOOL_MEMORY (INT64_C(64) << 20)
#define SN_AUDIO_NOTE 160

typedef struct sn_audio_info {
	int rate, channels;   /* of the source */
	int64_t frames;       /* of the source as its header or its frames say; -1 where they do not */
	int out_rate;         /* of the samples that are read */
	char format[32];      /* "wav", "flac", "ogg/opus", "mp3", ... */
	int helper;           /* the helper decodes it */
	int truncated;        /* ends before its header says, or in the middle of something; complete once SN_END was seen */
	char note[SN_AUDIO_NOTE]; /* what is odd about it ("" when nothing is): truncated where, no samples, ... */
} sn_audio_info;

typedef struct sn_decoder sn_decoder;

/* rate: of the samples to read; 0 keeps the source's. */
int sn_decoder_open_path(sn_decoder **out, const char *path, int rate, char *err);

/* fd stays the caller's and must stay open; read from its current offset on. It may be a pipe, which is read to its end first. `name`
 * is what messages call it. */
int sn_decoder_open_fd(sn_decoder **out, int fd, const char *name, int rate, char *err);

/* The same to be read once, without rewinding: a wav from a pipe is not kept, and is read as it comes. */
int sn_decoder_open_stream(sn_decoder **out, int fd, const char *name, int rate, char *err);

/* A path, or standard input for "-", for a caller that may give up: progress, where there is one, is asked while a pipe is waited for.
 * once: without rewinding, as sn_decoder_open_stream. Errors also: SN_E_CANCELLED. */
int sn_decoder_open_input(sn_decoder **out, const char *path, int rate, int once, sn_progress progress, void *payload, char *err);

/* data must stay until the decoder is closed. */
int sn_decoder_open_memory(sn_decoder **out, const void *data, size_t size, const char *name, int rate, char *err);

/* Up to `frames` samples; *got is at least 1 with SN_OK. SN_END: all were read. An error is final: later reads repeat it. Only a stream
 * returns SN_AGAIN, about ten times a second while nothing comes, with the *got samples that there were. */
int sn_decoder_read(sn_decoder *decoder, float *out, size_t frames, size_t *got, char *err);

/* Before the first read: the first sample will be the one at so many seconds. Formats that can are not decoded up to there; the others,
 * and streams, return SN_AGAIN now and then: to be called again with the same time. Behind the end there is nothing to read. */
int sn_decoder_seek(sn_decoder *decoder, double seconds, char *err);

/* Back to the first sample, also of what came from a pipe; what had failed may be read again. On failure the decoder can only be closed. */
int sn_decoder_rewind(sn_decoder *decoder, char *err);

/* Borrowed; `truncated` and `note` may change while reading. */
const sn_audio_info *sn_decoder_get_info(const sn_decoder *decoder);

void sn_decoder_close(sn_decoder **decoder);

/* Everything that is left, at most max_seconds of it (SN_E_LIMIT when there is more). free() *samples. */
int sn_decoder_read_all(sn_decoder *decoder, double max_seconds, float **samples, size_t *count, char *err);

#endif
