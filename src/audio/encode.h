/* Writing audio: wav, flac, mp3, ogg/opus by libsndfile, and bare 16-bit PCM.
 *
 * A file appears under its name when it is complete: it is written beside it and renamed by sn_encoder_finish. Closing without
 * finishing leaves nothing behind. (What is not a regular file, as /dev/stdout or a pipe, is written directly.)
 * mp3 and opus know a few rates: others are converted to the next higher of those. */
#ifndef SN_AUDIO_ENCODE_H
#define SN_AUDIO_ENCODE_H

#include "audio/resample.h"
#include "base/buf.h"

typedef enum sn_audio_format { SN_AUDIO_WAV, SN_AUDIO_FLAC, SN_AUDIO_MP3, SN_AUDIO_OPUS, SN_AUDIO_PCM } sn_audio_format;
#define SN_AUDIO_FORMATS "wav, flac, mp3, opus, pcm"

/* By a name ("wav") or a path's ending ("x.flac"; ogg and oga mean opus, raw means pcm). SN_E_ARGUMENT names what is known. */
int sn_audio_format_parse(const char *name, sn_audio_format *format, char *err);
int sn_audio_format_of_path(const char *path, sn_audio_format *format, char *err);
/* That of an output: by its name; NULL: by the path's ending. A path without one, and "-", are wav. */
int sn_audio_format_choose(const char *name, const char *path, sn_audio_format *format, char *err);
const char *sn_audio_format_name(sn_audio_format format);
const char *sn_audio_format_mime(sn_audio_format format);

typedef struct sn_encoder_options {
	sn_audio_format format;
	int rate, channels;  /* of the samples that are written to it; 1 to 8 channels, mp3 1 or 2 */
	int out_rate;        /* of the file; 0: the same */
	int floats;          /* wav and pcm in 32-bit float instead of 16-bit integers; others ignore it */
	int deep;            /* wav, flac and pcm in 24-bit integers */
	int bitrate;         /* mp3 and opus: bit/s, 0: their own choice */
} sn_encoder_options;

typedef struct sn_encoder sn_encoder;

int sn_encoder_open_path(sn_encoder **out, const char *path, const sn_encoder_options *options, char *err);

/* fd stays the caller's. On a pipe, and beyond 4 GiB, wav gets the lengths that mean "until the end". */
int sn_encoder_open_fd(sn_encoder **out, int fd, const char *name, const sn_encoder_options *options, char *err);

/* Appends to buf, which has its own maximum and must stay until the encoder is closed. */
int sn_encoder_open_memory(sn_encoder **out, sn_buf *buf, const sn_encoder_options *options, char *err);

/* Hands the bytes to a function as they come; wav gets the lengths that mean "until the end". What it returns but SN_OK is the error. */
int sn_encoder_open_function(sn_encoder **out, int (*take)(void *payload, const void *data, size_t size), void *payload,
                             const sn_encoder_options *options, char *err);

/* frames of interleaved samples; beyond -1..1 they are clipped where the format is of integers. Errors: SN_E_ARGUMENT (a sample is not a number), SN_E_NO_SPACE,
 * SN_E_IO, SN_E_LIMIT (memory). An error is final. */
int sn_encoder_write(sn_encoder *encoder, const float *samples, size_t frames, char *err);

/* Completes the output and, for a path, gives it its name. */
int sn_encoder_finish(sn_encoder *encoder, char *err);
void sn_encoder_close(sn_encoder **encoder);

/* The rate in the file: the one asked for unless the format does not know it. */
int sn_encoder_rate(const sn_encoder *encoder);

/* All at once. */
int sn_encode_path(const char *path, const sn_encoder_options *options, const float *samples, size_t frames, char *err);

#endif
