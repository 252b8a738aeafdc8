/* A wav that comes through a pipe, read as it comes: what is said in it may be known long before its end, and nothing of it is kept.
 * Its header is found here, its samples are converted by libsndfile as a file without one. */
#include "audio/decode_source.h"

#include <errno.h>
#include <poll.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER 65536
#define PATIENCE 100              /* ms after which the reader is asked whether it still wants to wait, and nothing more is drained */
#define DRAIN (1 << 20)           /* bytes behind the audio that the writer may get rid of */
#define ENDLESS (INT64_C(1) << 60)

typedef struct state {
	int fd;
	char name[256];
	SNDFILE *file;
	unsigned char buffer[BUFFER];
	size_t at, count;             /* what of it is to be taken */
	size_t frame_bytes;
	int64_t promised, taken;      /* bytes of audio; promised 0: up to the end */
	int ended;
} state;

/* ---- the header ---- */

typedef struct header {
	int format, rate, channels, bits; /* format: libsndfile's, 0: none that is read here */
	int64_t promised;
	size_t size;                  /* up to the first sample; 0: not found yet */
	int is_other;                 /* not a wav, or one for libsndfile alone */
} header;

static uint32_t get32(const unsigned char *p) { return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0]; }
static unsigned get16(const unsigned char *p) { return (unsigned)p[1] << 8 | p[0]; }
static int64_t get64(const unsigned char *p) { return (int64_t)((uint64_t)get32(p + 4) << 32 | get32(p)); }

static int format_of(unsigned tag, int bits) {
	static const struct { unsigned tag; int bits, format; } formats[] = {
		{ 1, 8, SF_FORMAT_PCM_U8 }, { 1, 16, SF_FORMAT_PCM_16 }, { 1, 24, SF_FORMAT_PCM_24 }, { 1, 32, SF_FORMAT_PCM_32 },
		{ 3, 32, SF_FORMAT_FLOAT }, { 3, 64, SF_FORMAT_DOUBLE }, { 6, 8, SF_FORMAT_ALAW }, { 7, 8, SF_FORMAT_ULAW },
	};
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (formats[i].tag == tag && formats[i].bits == bits)
			return formats[i].format;
	return 0;
}

static void read_format(header *h, const unsigned char *chunk, uint32_t size) {
	unsigned tag = get16(chunk);
	if (tag == 0xfffe && size >= 40)
		tag = get16(chunk + 24); /* the first bytes of the GUID */
	h->channels = (int)get16(chunk + 2);
	h->rate = (int)(get32(chunk + 4) & 0x7fffffff);
	h->bits = (int)get16(chunk + 14);
	h->format = format_of(tag, h->bits);
	h->is_other = !h->format || get16(chunk + 12) != (unsigned)(h->channels * h->bits / 8) || h->channels < 1;
}

/* Looks at the chunks that are there. */
static void parse(header *h, const unsigned char *p, size_t count) {
	int64_t large = 0; /* of RF64 */
	if (count < 12)
		return;
	h->is_other = (memcmp(p, "RIFF", 4) != 0 && memcmp(p, "RF64", 4) != 0) || memcmp(p + 8, "WAVE", 4) != 0;
	for (size_t at = 12; !h->is_other && at + 8 <= count;) {
		const uint32_t size = get32(p + at + 4);
		const unsigned char *const body = p + at + 8;
		const size_t there = count - at - 8;
		if (memcmp(p + at, "data", 4) == 0) {
			if (size == 0 && there < 4)
				return;
			h->is_other = !h->format || (size == 0 && sn_wav_is_chunk(body));
			h->promised = size == UINT32_MAX && large > 0 ? large : sn_wav_is_open(size) ? 0 : size;
			h->size = at + 8;
			return;
		}
		if (there < size)
			return;
		if (memcmp(p + at, "fmt ", 4) == 0 && size >= 16)
			read_format(h, body, size);
		if (memcmp(p + at, "ds64", 4) == 0 && size >= 16)
			large = get64(body + 8);
		at += 8 + (size_t)size + (size & 1);
	}
}

/* Reads up to the first sample. SN_AGAIN: it is not for here; what was read is in the buffer. */
static int find_audio(state *s, header *h, const sn_input *input, char *err) {
	while (!h->size) {
		const int result = sn_input_wait(input, s->fd, err);
		if (result != SN_OK)
			return result;
		const ssize_t n = read(s->fd, s->buffer + s->count, BUFFER - s->count);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sn_fail_errno(err, "cannot read '%s'", s->name);
		s->count += (size_t)n;
		parse(h, s->buffer, s->count);
		if (h->is_other || (!h->size && (n == 0 || s->count == BUFFER)))
			return SN_AGAIN;
	}
	s->at = h->size;
	return SN_OK;
}

/* ---- its samples, which libsndfile takes for a file without header ---- */

static sf_count_t vio_size(void *user) { return ENDLESS; }
static sf_count_t vio_seek(sf_count_t offset, int whence, void *user) { return ((state *)user)->taken; }
static sf_count_t vio_tell(void *user) { return ((state *)user)->taken; }
static sf_count_t vio_write(const void *data, sf_count_t size, void *user) { return 0; }

/* Only what is in the buffer is asked for. */
static sf_count_t vio_read(void *out, sf_count_t size, void *user) {
	state *s = user;
	const size_t there = s->count - s->at, n = (size_t)size < there ? (size_t)size : there;
	memcpy(out, s->buffer + s->at, n);
	s->at += n;
	s->taken += (int64_t)n;
	return (sf_count_t)n;
}

static const SF_VIRTUAL_IO vio = { vio_size, vio_seek, vio_read, vio_write, vio_tell };

/* Reads more into the buffer. SN_AGAIN: there is nothing yet. */
static int refill(state *s, char *err) {
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	memmove(s->buffer, s->buffer + s->at, s->count - s->at);
	s->count -= s->at;
	s->at = 0;
	if (poll(&p, 1, PATIENCE) <= 0)
		return SN_AGAIN;
	const ssize_t n = read(s->fd, s->buffer + s->count, BUFFER - s->count);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? SN_AGAIN : sn_fail_errno(err, "cannot read '%s'", s->name);
	s->count += (size_t)n;
	s->ended = n == 0;
	return SN_OK;
}

/* A writer whose last bytes are not wanted should not fail for it, but one that keeps the pipe open is not waited for. */
static void drain(state *s) {
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	ssize_t n = 1;
	for (int64_t all = 0; n > 0 && all < DRAIN && !s->ended; all += n)
		n = poll(&p, 1, PATIENCE) > 0 ? read(s->fd, s->buffer, BUFFER) : 0;
	s->ended = 1;
}

static int end(state *s, sn_audio_info *info, char *err) {
	if (!s->promised || s->taken >= s->promised)
		return SN_OK;
	if (!s->taken)
		return sn_fail(err, SN_E_FORMAT, "'%s' (%s) holds no usable audio: it ends before its first sample, %lld bytes of audio are missing",
		               s->name, info->format, (long long)s->promised);
	info->truncated = 1;
	snprintf(info->note, sizeof info->note, "cut off: the header promises %lld bytes of audio, %lld are there", (long long)s->promised,
	         (long long)s->taken);
	return SN_OK;
}

static int source_read(void *opaque, float *out, size_t frames, size_t *got, sn_audio_info *info, char *err) {
	state *s = opaque;
	const int64_t left = s->promised ? s->promised - s->taken : ENDLESS;
	*got = 0;
	if (left < (int64_t)s->frame_bytes) {
		drain(s);
		return SN_OK;
	}
	while (s->count - s->at < s->frame_bytes) {
		const int result = s->ended ? SN_OK : refill(s, err);
		if (result != SN_OK)
			return result;
		if (s->ended)
			return end(s, info, err);
	}
	int64_t there = (int64_t)((s->count - s->at) / s->frame_bytes);
	there = there < left / (int64_t)s->frame_bytes ? there : left / (int64_t)s->frame_bytes;
	const sf_count_t n = sf_readf_float(s->file, out, there < (int64_t)frames ? there : (sf_count_t)frames);
	*got = n > 0 ? (size_t)n : 0;
	return n > 0 ? SN_OK : sn_fail(err, SN_E_INTERNAL, "'%s' cannot be read: %s", s->name, sf_strerror(s->file));
}

static void source_close(void *opaque) {
	state *s = opaque;
	if (s->file)
		sf_close(s->file);
	free(s);
}

static int open_samples(state *s, const header *h, sn_audio_info *info, char *err) {
	SF_INFO sf = { .samplerate = h->rate > 0 ? h->rate : 1, .channels = h->channels, .format = SF_FORMAT_RAW | h->format | SF_ENDIAN_LITTLE };
	s->frame_bytes = (size_t)(h->channels * h->bits / 8);
	s->promised = h->promised;
	info->rate = h->rate;
	info->channels = h->channels;
	info->frames = h->promised ? h->promised / (int64_t)s->frame_bytes : -1;
	snprintf(info->format, sizeof info->format, "wav");
	s->file = sf_open_virtual((SF_VIRTUAL_IO *)&vio, SFM_READ, &sf, s);
	return s->file ? SN_OK : sn_fail(err, SN_E_FORMAT, "'%s' cannot be read as audio: %s", s->name, sf_strerror(NULL));
}

static int is_pipe(int fd) {
	struct stat st;
	return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

int sn_source_open_pipe(sn_source *source, sn_input *input, int fd, sn_audio_info *info, char *err) {
	header h = { 0 };
	int result;
	if (!is_pipe(fd))
		return (result = sn_input_open_rest(input, fd, NULL, 0, err)) == SN_OK ? SN_AGAIN : result;
	state *s = calloc(1, sizeof *s);
	if (!s)
		return sn_fail(err, SN_E_MEMORY, "no memory to read '%s'", input->name);
	s->fd = fd;
	snprintf(s->name, sizeof s->name, "%s", input->name);
	result = find_audio(s, &h, input, err);
	if (result == SN_AGAIN && (result = sn_input_open_rest(input, fd, s->buffer, s->count, err)) == SN_OK)
		result = SN_AGAIN;
	else if (result == SN_OK)
		result = open_samples(s, &h, info, err);
	if (result == SN_OK)
		*source = (sn_source){ s, source_read, source_close, NULL };
	else
		source_close(s);
	return result;
}
