/* Inside of decode: an input, and the two sources that read one. */
#ifndef SN_AUDIO_DECODE_SOURCE_H
#define SN_AUDIO_DECODE_SOURCE_H

#include "audio/decode.h"

#include <sys/types.h>

typedef struct sn_input {
	int fd;             /* a regular file or memory file, ours to close; -1: data holds it all */
	const char *data;
	int64_t size;
	char name[256];     /* for messages */
	sn_progress progress; /* asked while a pipe is waited for; NULL: nobody is, and waiting has no end */
	void *payload;
} sn_input;

/* The input is zero before, but for whom it asks. Path, caller's descriptor (pipes are copied to a memory or temporary file first), memory. Refuse folders, devices, emptiness and what
 * exceeds SN_AUDIO_MAX_BYTES. */
int sn_input_open_path(sn_input *input, const char *path, char *err);
int sn_input_open_fd(sn_input *input, int fd, const char *name, char *err);
/* A descriptor of which `size` bytes at `head` were read already; the name is set. */
int sn_input_open_rest(sn_input *input, int fd, const void *head, size_t size, char *err);
int sn_input_open_memory(sn_input *input, const void *data, size_t size, const char *name, char *err);
void sn_input_close(sn_input *input);

/* Waits until there is something to read. SN_E_CANCELLED: who is asked gives up. */
int sn_input_wait(const sn_input *input, int fd, char *err);

/* Bytes at an offset; fewer at the end, -1 on errors. */
int64_t sn_input_read(const sn_input *input, int64_t offset, void *out, size_t size);

/* Makes input->fd valid and puts it at its beginning: memory is copied into a memory file. */
int sn_input_need_fd(sn_input *input, char *err);

/* What the frames of an input say of its length, where its header may be wrong about it. */
typedef struct sn_length {
	int goes_on;        /* it has more than libsndfile would read of it */
	int64_t frames;     /* -1: what the header says is as good */
} sn_length;

void sn_source_measure(const sn_input *input, sn_length *length);

/* A source fills info when it opens. read: up to `frames` frames of [frames, channels]; SN_OK with *got 0 is the end, at which info's
 * `truncated` and `note` are complete. */
typedef struct sn_source {
	void *state;
	int (*read)(void *state, float *out, size_t frames, size_t *got, sn_audio_info *info, char *err);
	void (*close)(void *state);
	int (*seek)(void *state, int64_t frame, char *err); /* before the first read; NULL: reading is the only way there */
} sn_source;

/* The sizes of a wav's samples that a writer puts who cannot go back: what there is up to the end. */
static inline int sn_wav_is_open(uint32_t size) { return size == 0 || (size >= 0x7ffff000u && size <= 0x80000000u) || size >= 0xfffff000u; }
/* Whether p, 4 bytes behind samples of size 0, is the name of a chunk: there are none, really. */
int sn_wav_is_chunk(const unsigned char *p);

/* SN_AGAIN: not for libsndfile; err says what it said about the input, and *known whether it knows this kind of file. */
int sn_source_open_sndfile(sn_source *source, sn_input *input, sn_audio_info *info, int *known, char *err);
/* Runs sonant-decode (path) with in and out, both above 2, as its standard input and output. name: of what it decodes, for messages. */
int sn_decode_start(pid_t *pid, const char *path, const char *const *arguments, int in, int out, const char *name, char *err);
/* A wav from a pipe, whose reads return SN_AGAIN when nothing comes for a while. SN_AGAIN: it is not that; the input is open, with all
 * of it. Else the input stays closed, with its name. */
int sn_source_open_pipe(sn_source *source, sn_input *input, int fd, sn_audio_info *info, char *err);
int sn_source_open_helper(sn_source *source, sn_input *input, sn_audio_info *info, char *err);

#endif
