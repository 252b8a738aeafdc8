/* Files whose own word about their length is wrong: joined mp3, ogg and flac files, mp3 of varying bitrate without a header, flac with a
 * total that is too small. libsndfile ends where it believes that they end. Only headers of frames and pages are looked at here, and
 * nothing is decoded. */
#include "audio/decode_source.h"

#include <string.h>

#define WINDOW 65536
#define TRIES 64 /* headers of flac frames whose whole checksum is tried: chance makes hardly any */
#define SLACK 5 /* frames of MPEG audio that an encoder's header may be off: its delay and padding are not in every count */

typedef struct window {
	const sn_input *input;
	int64_t at;
	size_t count;
	unsigned char bytes[WINDOW];
} window;

/* `size` bytes at an offset; NULL: the input ends before. */
static const unsigned char *look(window *w, int64_t at, size_t size) {
	if (at < w->at || at + (int64_t)size > w->at + (int64_t)w->count) {
		const int64_t got = sn_input_read(w->input, at, w->bytes, sizeof w->bytes);
		w->at = at;
		w->count = got > 0 ? (size_t)got : 0;
	}
	return at + (int64_t)size <= w->at + (int64_t)w->count ? w->bytes + (at - w->at) : NULL;
}

/* Bytes of the tag at an offset: ID3v2 with its footer, APEv2 with its header, ID3v1. 0: there is none. */
static int64_t tag_at(window *w, int64_t at) {
	const unsigned char *p = look(w, at, 32);
	if (p && !memcmp(p, "APETAGEX", 8))
		return 32 + ((int64_t)p[15] << 24 | p[14] << 16 | p[13] << 8 | p[12]);
	p = p ? p : look(w, at, 10);
	if (p && !memcmp(p, "ID3", 3))
		return 10 + ((p[6] & 127) << 21 | (p[7] & 127) << 14 | (p[8] & 127) << 7 | (p[9] & 127)) + (p[5] & 16 ? 10 : 0);
	return p && !memcmp(p, "TAG", 3) ? 128 : 0;
}

static int64_t behind_tags(window *w) {
	int64_t at = 0, size;
	while (at < w->input->size && (size = tag_at(w, at)) > 0)
		at += size;
	return at;
}

/* ---- MPEG audio ---- */

typedef struct frame {
	int kind;            /* version and layer */
	int rate, samples, channels, bitrate;
	int size;            /* bytes */
} frame;

/* kbit/s by [row][index]; 0 is a free bitrate, which is not read here. */
static const short bitrates[5][15] = {
	{ 0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448 }, /* version 1, layer I */
	{ 0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384 },    /* II */
	{ 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 },     /* III */
	{ 0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256 },    /* version 2 and 2.5, layer I */
	{ 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160 },         /* II, III */
};

static int read_frame(const unsigned char *p, frame *f) {
	static const int rates[3] = { 44100, 48000, 32000 };
	const int version = p[1] >> 3 & 3, layer = 4 - (p[1] >> 1 & 3), index = p[2] >> 4, rate = p[2] >> 2 & 3, padding = p[2] >> 1 & 1;
	if (p[0] != 0xff || (p[1] & 0xe0) != 0xe0 || version == 1 || layer == 4 || index == 0 || index == 15 || rate == 3)
		return 0;
	const int first = version == 3, row = first ? layer - 1 : layer == 1 ? 3 : 4;
	f->kind = p[1] & 0x1e;
	f->rate = rates[rate] >> (first ? 0 : version == 2 ? 1 : 2);
	f->samples = layer == 1 ? 384 : layer == 3 && !first ? 576 : 1152;
	f->channels = p[3] >> 6 == 3 ? 1 : 2;
	f->bitrate = bitrates[row][index] * 1000;
	f->size = layer == 1 ? (12 * f->bitrate / f->rate + padding) * 4 : f->samples / 8 * f->bitrate / f->rate + padding;
	return 1;
}

/* A frame of the same kind, or the end, follows the one at `at`: what looks like a header is one. */
static int is_followed(window *w, int64_t at, const frame *f) {
	frame next;
	if (at + f->size == w->input->size)
		return 1;
	const unsigned char *p = look(w, at + f->size, 4);
	return p && read_frame(p, &next) && next.kind == f->kind;
}

/* The next header from *at on that is one. */
static int find_frame(window *w, int64_t *at, int64_t last, frame *f) {
	const unsigned char *p;
	for (; *at < last && (p = look(w, *at, 4)); ++*at)
		if (p[0] == 0xff && read_frame(p, f) && is_followed(w, *at, f))
			return 1;
	return 0;
}

/* A first frame that holds no sound but facts about the file. *frames: of those that follow, as it says; -1: nothing. */
static int is_header(window *w, int64_t at, const frame *f, int64_t *frames) {
	const unsigned char *const p = look(w, at, (size_t)f->size);
	const int first = (f->kind & 8) != 0, side = first ? f->channels == 1 ? 17 : 32 : f->channels == 1 ? 9 : 17;
	*frames = -1;
	for (int skipped = 0; p && skipped <= 2; skipped += 2) { /* a checksum of two bytes may come first */
		const unsigned char *const x = p + 4 + skipped + side, *const v = p + 4 + skipped + 32;
		if (x + 12 <= p + f->size && (!memcmp(x, "Xing", 4) || !memcmp(x, "Info", 4))) {
			if (x[7] & 1)
				*frames = (int64_t)x[8] << 24 | x[9] << 16 | x[10] << 8 | x[11];
			return 1;
		}
		if (v + 18 <= p + f->size && !memcmp(v, "VBRI", 4)) {
			*frames = (int64_t)v[14] << 24 | v[15] << 16 | v[16] << 8 | v[17];
			return 1;
		}
	}
	return 0;
}

static void measure_mpeg(window *w, int64_t at, sn_length *length) {
	const int64_t size = w->input->size;
	frame first, f;
	int64_t promised, frames = 0;
	if (!find_frame(w, &at, at + WINDOW, &first))
		return;
	int varies = 0, odd = 0;
	if (is_header(w, at, &first, &promised))
		at += first.size;
	while (at < size) {
		const unsigned char *const p = look(w, at, 4);
		int64_t tag;
		if (p && read_frame(p, &f) && f.kind == first.kind) {
			varies |= f.bitrate != first.bitrate;
			odd |= f.rate != first.rate || f.channels != first.channels;
			frames += at + f.size <= size;
			at += f.size;
		} else if ((tag = tag_at(w, at)) > 0) {
			at += tag;
		} else if (find_frame(w, &at, size, &f)) {
			odd = 1;
			if (f.kind != first.kind) { /* a file of another kind was joined: what is behind it is the helper's to tell */
				length->goes_on = 1;
				return;
			}
		} else {
			break;
		}
	}
	length->goes_on = odd || (promised < 0 ? varies : frames > promised + SLACK);
	if (promised < 0 || length->goes_on)
		length->frames = frames * first.samples;
}

/* ---- Ogg ---- */

/* Another stream begins behind pages that are no beginnings: what follows it is a file of its own. */
static void measure_ogg(window *w, sn_length *length) {
	const unsigned char *p;
	int begun = 0;
	for (int64_t at = 0; (p = look(w, at, 27)) && !memcmp(p, "OggS", 4);) {
		const int segments = p[26], begins = p[5] & 2;
		if (begins && begun)
			length->goes_on = 1;
		begun |= !begins;
		at += 27 + segments;
		if (length->goes_on || !(p = look(w, at - segments, (size_t)segments)))
			return;
		for (int i = 0; i < segments; i++)
			at += p[i];
	}
}

/* ---- FLAC ---- */

typedef struct flac {
	int block, rate, channels; /* block: samples of all but the last, where that is fixed */
	int64_t total;             /* 0: not known to the writer */
} flac;

#define STREAMINFO 42 /* bytes, with what is before it */

/* A file begins so: its name, and a first block that is no other than this one. */
static int begins_flac(const unsigned char *p) { return !memcmp(p, "fLaC", 4) && !(p[4] & 127) && !p[5] && !p[6] && p[7] == 34; }

static flac read_info(const unsigned char *p) {
	return (flac){ .block = p[10] << 8 | p[11], .rate = p[18] << 12 | p[19] << 4 | p[20] >> 4, .channels = (p[20] >> 1 & 7) + 1,
	               .total = (int64_t)(p[21] & 15) << 32 | (int64_t)p[22] << 24 | p[23] << 16 | p[24] << 8 | p[25] };
}

static unsigned crc(const unsigned char *p, size_t size, unsigned polynomial, int bits) {
	const unsigned top = 1u << (bits - 1), mask = (top << 1) - 1;
	unsigned value = 0;
	for (size_t i = 0; i < size; i++) {
		value ^= (unsigned)p[i] << (bits - 8);
		for (int k = 0; k < 8; k++)
			value = (value & top ? value << 1 ^ polynomial : value << 1) & mask;
	}
	return value;
}

/* A number as UTF-8 would code it, in up to 7 bytes. Returns its bytes; 0: it is none. */
static size_t read_number(const unsigned char *p, int64_t *value) {
	size_t bytes = 1;
	if (p[0] >= 0x80) {
		for (bytes = 2; bytes < 7 && (p[0] << bytes & 0x80); bytes++)
			;
		if (p[0] < 0xc0 || p[0] == 0xff)
			return 0;
	}
	*value = bytes == 1 ? p[0] : p[0] & (0x7f >> bytes);
	for (size_t i = 1; i < bytes; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*value = *value << 6 | (p[i] & 0x3f);
	}
	return bytes;
}

/* p has at least 16 bytes. Where the frame's samples end; 0: there is no frame. */
static int64_t frame_end(const unsigned char *p, const flac *info) {
	const int code = p[2] >> 4, rate = p[2] & 15;
	int64_t number;
	if (p[0] != 0xff || (p[1] & 0xfe) != 0xf8 || !code || rate == 15 || p[3] >> 4 > 10 || (p[3] & 1))
		return 0;
	size_t at = read_number(p + 4, &number);
	if (!at)
		return 0;
	at += 4;
	int64_t samples = code == 1 ? 192 : code < 6 ? 576 << (code - 2) : 256 << (code & 7);
	if (code == 6)
		samples = p[at] + 1;
	if (code == 7)
		samples = (p[at] << 8 | p[at + 1]) + 1;
	at += code == 6 || code == 7 ? (size_t)code - 5 : 0;
	at += rate == 12 ? 1 : rate > 12 ? 2 : 0;
	if (crc(p, at, 0x07, 8) != p[at])
		return 0;
	return (p[1] & 1 ? number : number * info->block) + samples;
}

/* Where the last frame's samples end, found from the file's end; 0: no whole frame ends there. */
static int64_t last_end(window *w, const flac *info) {
	int64_t size = w->input->size;
	const unsigned char *p = look(w, size > 128 ? size - 128 : 0, 3);
	if (p && !memcmp(p, "TAG", 3))
		size -= 128;
	const size_t there = size < WINDOW ? (size_t)size : WINDOW;
	if (!(p = look(w, size - (int64_t)there, there)))
		return 0;
	for (size_t i = there > 18 ? there - 18 : 0, tries = 0; i > 0 && tries < TRIES; i--) {
		const int64_t end = p[i] == 0xff ? frame_end(p + i, info) : 0;
		tries += end != 0;
		if (end && crc(p + i, there - i, 0x8005, 16) == 0)
			return end;
	}
	return 0;
}

static int holds_another(window *w, int64_t at) {
	const unsigned char *p;
	while ((p = look(w, at, 8))) {
		const size_t there = w->count - (size_t)(at - w->at);
		const unsigned char *const found = memmem(p, there - 4, "fLaC", 4);
		if (found && begins_flac(found))
			return 1;
		at += found ? found - p + 1 : (int64_t)there - 7;
	}
	return 0;
}

static void measure_flac(window *w, int64_t at, sn_length *length) {
	const unsigned char *const p = look(w, at, STREAMINFO);
	if (!p)
		return;
	const flac info = read_info(p);
	const int64_t end = last_end(w, &info);
	if (holds_another(w, at + 4))
		length->goes_on = 1;
	else if (end > info.total) {
		length->goes_on = info.total > 0;
		length->frames = end;
	}
}

void sn_source_measure(const sn_input *input, sn_length *length) {
	window w = { .input = input };
	*length = (sn_length){ .frames = -1 };
	const int64_t at = behind_tags(&w);
	const unsigned char *const p = look(&w, at, 8);
	if (!p)
		return;
	if (!memcmp(p, "OggS", 4) && !at)
		measure_ogg(&w, length);
	else if (begins_flac(p))
		measure_flac(&w, at, length);
	else if (at || (p[0] == 0xff && (p[1] & 0xe0) == 0xe0))
		measure_mpeg(&w, at, length);
}
