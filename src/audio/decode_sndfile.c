/* libsndfile as a source, and what it does not tell: whether a file was cut off. */
#include "audio/decode_source.h"

#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct state {
	SNDFILE *file;
	sn_input *input;
	int64_t at;       /* of a memory input */
	int64_t position; /* frames read */
	int64_t patch_at; /* where the header is read otherwise than it is; 0: nowhere */
	unsigned char patch[8];
	int patch_size;
} state;

static sf_count_t vio_size(void *user) { return ((state *)user)->input->size; }
static sf_count_t vio_tell(void *user) { return ((state *)user)->at; }

static sf_count_t vio_seek(sf_count_t offset, int whence, void *user) {
	state *s = user;
	int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? s->at : s->input->size;
	if (offset < -base || offset > s->input->size - base)
		return -1;
	return s->at = base + offset;
}

static sf_count_t vio_read(void *out, sf_count_t size, void *user) {
	state *s = user;
	int64_t got = sn_input_read(s->input, s->at, out, (size_t)size);
	for (int i = 0; s->patch_at && i < s->patch_size; i++)
		if (s->patch_at + i >= s->at && s->patch_at + i < s->at + got)
			((unsigned char *)out)[s->patch_at + i - s->at] = s->patch[i];
	s->at += got > 0 ? got : 0;
	return got;
}

static sf_count_t vio_write(const void *data, sf_count_t size, void *user) { return 0; }

static const SF_VIRTUAL_IO vio = { vio_size, vio_seek, vio_read, vio_write, vio_tell };

static uint32_t get32(const unsigned char *p, int big) {
	return big ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
	           : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* The samples of RIFF, RF64 (wav) and FORM (aiff) files. */
typedef struct samples {
	int64_t size_at;           /* where their size stands, of size_bytes */
	int size_bytes;
	int64_t promised, present; /* bytes, as the header says and as there are; promised 0: up to the end */
	int is_wav, is_followed;   /* followed: by another chunk at once */
} samples;

int sn_wav_is_chunk(const unsigned char *p) {
	static const char names[][5] = { "LIST", "fact", "bext", "cue ", "smpl", "inst", "plst", "id3 ", "ID3 ", "iXML", "PEAK", "JUNK", "_PMX", "FLLR", "PAD " };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!memcmp(p, names[i], 4))
			return 1;
	return 0;
}

static int find_samples(const sn_input *input, samples *found) {
	unsigned char head[12], chunk[8], large[16];
	if (sn_input_read(input, 0, head, sizeof head) != sizeof head)
		return 0;
	const int big = !memcmp(head, "FORM", 4), rf64 = !memcmp(head, "RF64", 4);
	if (!big && !rf64 && memcmp(head, "RIFF", 4) != 0)
		return 0;
	int64_t at = sizeof head, total_at = 0;
	for (int i = 0; i < 1000 && sn_input_read(input, at, chunk, sizeof chunk) == sizeof chunk; i++) {
		const uint32_t size = get32(chunk + 4, big);
		const int64_t body = at + (int64_t)sizeof chunk;
		if (rf64 && !memcmp(chunk, "ds64", 4) && sn_input_read(input, body, large, sizeof large) == sizeof large)
			total_at = body + 8;
		if (!memcmp(chunk, big ? "SSND" : "data", 4)) {
			const int by_total = size == UINT32_MAX && total_at;
			const uint64_t total = by_total ? (uint64_t)get32(large + 12, 0) << 32 | get32(large + 8, 0) : size;
			*found = (samples){ .size_at = by_total ? total_at : at + 4, .size_bytes = by_total ? 8 : 4, .present = input->size - body, .is_wav = !big };
			found->promised = (!by_total && sn_wav_is_open(size)) || total > INT64_MAX ? 0 : (int64_t)total;
			found->is_followed = sn_input_read(input, body, head, 4) == 4 && sn_wav_is_chunk(head);
			return 1;
		}
		at = body + size + (size & 1);
	}
	return 0;
}

/* A recorder that crashed left its samples without their size: libsndfile is told the one that they have. */
static void mend_size(state *s, const samples *found) {
	unsigned char size[8];
	if (!found->is_wav || found->promised || found->present <= 0 || found->is_followed ||
	    sn_input_read(s->input, found->size_at, size, (size_t)found->size_bytes) != found->size_bytes || get32(size, 0) != 0)
		return;
	const int64_t most = found->size_bytes == 4 ? UINT32_MAX : INT64_MAX, there = found->present < most ? found->present : most;
	s->patch_at = found->size_at;
	s->patch_size = found->size_bytes;
	for (int i = 0; i < s->patch_size; i++)
		s->patch[i] = (unsigned char)(there >> (8 * i));
}

static const struct { int format; const char *name; } names[] = {
	{ SF_FORMAT_WAV, "wav" }, { SF_FORMAT_WAVEX, "wav" }, { SF_FORMAT_RF64, "rf64" }, { SF_FORMAT_W64, "w64" },
	{ SF_FORMAT_AIFF, "aiff" }, { SF_FORMAT_FLAC, "flac" }, { SF_FORMAT_MPEG, "mp3" }, { SF_FORMAT_AU, "au" },
	{ SF_FORMAT_CAF, "caf" }, { SF_FORMAT_NIST, "sphere" }, { SF_FORMAT_VOC, "voc" },
};

static void name_format(int format, char name[32]) {
	int major = format & SF_FORMAT_TYPEMASK, codec = format & SF_FORMAT_SUBMASK;
	const char *found = NULL;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].format == major)
			found = names[i].name;
	if (major == SF_FORMAT_OGG)
		found = codec == SF_FORMAT_VORBIS ? "ogg/vorbis" : codec == SF_FORMAT_OPUS ? "ogg/opus" : "ogg";
	if (major == SF_FORMAT_MPEG && codec != SF_FORMAT_MPEG_LAYER_III)
		found = codec == SF_FORMAT_MPEG_LAYER_II ? "mp2" : "mp1";
	SF_FORMAT_INFO info = { .format = major };
	if (!found && sf_command(NULL, SFC_GET_FORMAT_INFO, &info, sizeof info) == 0)
		found = info.name;
	snprintf(name, 32, "%s", found ? found : "unknown");
}

static int source_read(void *opaque, float *out, size_t frames, size_t *got, sn_audio_info *info, char *err) {
	state *s = opaque;
	sf_count_t n = sf_readf_float(s->file, out, (sf_count_t)frames);
	*got = n > 0 ? (size_t)n : 0;
	s->position += (int64_t)*got;
	if (*got)
		return SN_OK;
	/* The length in a flac header is a promise; of what is coded in blocks it is often an estimate. */
	int64_t slack = strcmp(info->format, "flac") ? info->rate / 5 : 0, missing = info->frames - s->position;
	if (info->frames > 0 && missing > slack) {
		if (!s->position)
			return sn_fail(err, SN_E_FORMAT, "'%s' (%s) holds no usable audio: its header promises %lld frames, none can be decoded",
			               s->input->name, info->format, (long long)info->frames);
		info->truncated = 1;
		if (!*info->note)
			snprintf(info->note, sizeof info->note, "cut off or damaged: the header promises %.3f s, %.3f s can be decoded",
			         (double)info->frames / info->rate, (double)s->position / info->rate);
	}
	return SN_OK;
}

static int source_seek(void *opaque, int64_t frame, char *err) {
	state *s = opaque;
	const sf_count_t at = sf_seek(s->file, frame, SF_SEEK_SET);
	if (at < 0)
		return sn_fail(err, SN_E_FORMAT, "'%s' cannot be read from frame %lld on: %s", s->input->name, (long long)frame, sf_strerror(s->file));
	s->position = at;
	return SN_OK;
}

static void source_close(void *opaque) {
	state *s = opaque;
	if (s->file)
		sf_close(s->file);
	free(s);
}

/* An Ogg stream's last page says so in its flags. A page is a header of 27 bytes, `segments` lengths and what these add up to: at most
 * 65307 bytes. */
static int ogg_has_end(const sn_input *input) {
	unsigned char tail[65536];
	int64_t start = input->size > (int64_t)sizeof tail ? input->size - (int64_t)sizeof tail : 0;
	int64_t size = sn_input_read(input, start, tail, sizeof tail);
	for (int64_t i = size - 27; i >= 0; i--)
		if (!memcmp(tail + i, "OggS", 5)) { /* and version 0 */
			int64_t segments = tail[i + 26], end = i + 27 + segments;
			for (int64_t k = 0; k < segments && i + 27 + k < size; k++)
				end += tail[i + 27 + k];
			return (tail[i + 5] & 4) && end <= size;
		}
	return 0;
}

static int check_promise(const sn_input *input, const samples *found, sn_audio_info *info, char *err) {
	if (!strncmp(info->format, "ogg", 3) && !ogg_has_end(input)) {
		info->truncated = 1;
		snprintf(info->note, sizeof info->note, "cut off: the stream has no end mark");
	}
	if (found->present >= found->promised)
		return SN_OK;
	if (!info->frames)
		return sn_fail(err, SN_E_FORMAT, "'%s' (%s) holds no usable audio: it ends before its first sample, %lld bytes of audio are missing",
		               input->name, info->format, (long long)(found->promised - found->present));
	info->truncated = 1;
	snprintf(info->note, sizeof info->note, "cut off: the header promises %lld bytes of audio, %lld are there", (long long)found->promised,
	         (long long)found->present);
	return SN_OK;
}

/* The kinds whose first bytes leave no doubt, so that libsndfile's complaint is worth more than the helper's. */
static int is_known(const sn_input *input) {
	char head[12] = { 0 };
	sn_input_read(input, 0, head, sizeof head);
	int riff = !memcmp(head, "RIFF", 4) && (!memcmp(head + 8, "WAVE", 4) || input->size < 12);
	int form = !memcmp(head, "FORM", 4) && (!memcmp(head + 8, "AIF", 3) || input->size < 12);
	return riff || form || !memcmp(head, "fLaC", 4);
}

int sn_source_open_sndfile(sn_source *source, sn_input *input, sn_audio_info *info, int *known, char *err) {
	state *s = calloc(1, sizeof *s);
	if (!s)
		return sn_fail(err, SN_E_MEMORY, "no memory to read '%s'", input->name);
	SF_INFO sf = { 0 };
	samples found = { 0 };
	s->input = input;
	if (find_samples(input, &found))
		mend_size(s, &found);
	if (found.is_wav && !found.promised && found.present > UINT32_MAX) { /* libsndfile takes the largest size for one */
		*known = 1;
		source_close(s);
		sn_fail(err, SN_E_FORMAT, "'%s' has more than 4 GiB of samples, but does not say how many", input->name);
		return SN_AGAIN;
	}
	s->file = sf_open_virtual((SF_VIRTUAL_IO *)&vio, SFM_READ, &sf, s);
	if (!s->file) {
		*known = is_known(input);
		sn_fail(err, SN_E_FORMAT, "'%s' cannot be read as audio: %s", input->name, sf_strerror(NULL));
		source_close(s);
		return SN_AGAIN;
	}
	info->rate = sf.samplerate;
	info->channels = sf.channels;
	info->frames = sf.frames >= 0 && sf.frames < SF_COUNT_MAX ? sf.frames : -1;
	name_format(sf.format, info->format);
	int result = check_promise(input, &found, info, err);
	if (result != SN_OK) {
		source_close(s);
		return result;
	}
	*source = (sn_source){ s, source_read, source_close, sf.seekable ? source_seek : NULL };
	return SN_OK;
}
