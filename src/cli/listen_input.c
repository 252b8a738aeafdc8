#include "cli/listen.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <portaudio.h>
#include <soxr.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT 5              /* ms */
#define MAX_CHANNELS 64
#define MIN_RATE 1000
#define MAX_RATE 768000
#define HEADER 4096         /* bytes of a wav's header before its data */
#define MIC_FRAMES 320      /* read at once: 20 ms */

/* PortAudio is opened when a microphone is: nothing else of the program needs ALSA and JACK. */
typedef struct microphone {
	void *library;
	PaStream *stream;
	PaError (*initialize)(void);
	PaError (*terminate)(void);
	PaError (*open)(PaStream **, const PaStreamParameters *, const PaStreamParameters *, double, unsigned long, PaStreamFlags,
	                PaStreamCallback *, void *);
	PaError (*start)(PaStream *);
	PaError (*close)(PaStream *);
	PaError (*read)(PaStream *, void *, unsigned long);
	PaDeviceIndex (*device_count)(void);
	PaDeviceIndex (*default_input)(void);
	const PaDeviceInfo *(*device_info)(PaDeviceIndex);
	const char *(*error_text)(PaError);
	int initialized;
} microphone;

struct listen_source {
	int rate, channels, is_float;
	int begun;                  /* the header, if there is one, was read */
	unsigned char bytes[HEADER + LISTEN_BLOCK];
	size_t held;                /* bytes that are no whole frame yet, or of a header */
	float mono[LISTEN_BLOCK];
	soxr_t resampler;           /* NULL: 16 kHz */
	microphone mic;
	int ended;
};

static int fail(char *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(char *err, int code, const char *format, ...) {
	va_list list;
	va_start(list, format);
	vsnprintf(err, SN_ERRLEN, format, list);
	va_end(list);
	return code;
}

/* ---- rate ---- */

static int set_rate(listen_source *s, int rate, int channels, char *err) {
	if (rate < MIN_RATE || rate > MAX_RATE || channels < 1 || channels > MAX_CHANNELS)
		return fail(err, SN_E_ARGUMENT, "%d channels at %d Hz: 1 to %d channels at %d to %d Hz are possible", channels, rate,
		            MAX_CHANNELS, MIN_RATE, MAX_RATE);
	s->rate = rate;
	s->channels = channels;
	soxr_delete(s->resampler);
	s->resampler = NULL;
	if (rate == SN_STT_RATE)
		return SN_OK;
	soxr_error_t error;
	const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_MQ, 0);
	s->resampler = soxr_create(rate, SN_STT_RATE, 1, &error, NULL, &quality, NULL);
	return s->resampler ? SN_OK : fail(err, SN_E_MEMORY, "cannot convert %d Hz: %s", rate, soxr_strerror(error));
}

/* mono[count] at the source's rate to pcm, at most LISTEN_BLOCK; with NULL what the converter still holds. */
static int resample(listen_source *s, const float *mono, size_t count, float *pcm, size_t *made, char *err) {
	if (!s->resampler) {
		if (count)
			memcpy(pcm, mono, count * sizeof *pcm);
		*made = count;
		return SN_OK;
	}
	const soxr_error_t error = soxr_process(s->resampler, mono, count, NULL, pcm, LISTEN_BLOCK, made);
	return error ? fail(err, SN_E_INTERNAL, "cannot convert the rate: %s", soxr_strerror(error)) : SN_OK;
}

/* ---- standard input ---- */

static unsigned u16(const unsigned char *p) { return (unsigned)p[0] | (unsigned)p[1] << 8; }
static unsigned u32(const unsigned char *p) { return u16(p) | u16(p + 2) << 16; }

/* Reads the header of a wav if the input begins with one. Returns SN_AGAIN while too little of it is there. Sizes of a stream's header
 * mean nothing: the data go on to the end of the input. */
static int read_header(listen_source *s, int at_end, char *err) {
	const unsigned char *const b = s->bytes;
	size_t at = 12;
	const int may_be = s->held == 0 || memcmp(b, "RIFF", s->held < 4 ? s->held : 4) == 0;
	if (!may_be || (at_end && s->held < 12) || (s->held >= 12 && memcmp(b + 8, "WAVE", 4) != 0)) {
		s->begun = 1;
		return SN_OK;
	}
	for (;;) {
		if (s->held < at + 8)
			break;
		const size_t size = u32(b + at + 4);
		if (memcmp(b + at, "data", 4) == 0) {
			s->held -= at + 8;
			memmove(s->bytes, b + at + 8, s->held);
			s->begun = 1;
			return SN_OK;
		}
		if (size > HEADER)
			return fail(err, SN_E_FORMAT, "the wav's header has a chunk of %zu bytes before its samples; at most %d are read", size, HEADER);
		if (s->held < at + 8 + size)
			break;
		if (memcmp(b + at, "fmt ", 4) == 0 && size >= 16) {
			unsigned kind = u16(b + at + 8);
			const unsigned bits = u16(b + at + 22);
			kind = kind == 0xfffe && size >= 26 ? u16(b + at + 32) : kind;
			if (!(kind == 1 && bits == 16) && !(kind == 3 && bits == 32))
				return fail(err, SN_E_FORMAT, "the wav has %u bits of kind %u; 16-bit integers and 32-bit floats are read from a pipe", bits, kind);
			s->is_float = kind == 3;
			const int result = set_rate(s, (int)(u32(b + at + 12) & 0x7fffffff), (int)u16(b + at + 10), err);
			if (result != SN_OK)
				return result;
		}
		at += 8 + size + (size & 1);
	}
	if (s->held >= HEADER || at_end)
		return fail(err, SN_E_FORMAT, "the input begins like a wav and has no samples in its first %zu bytes", s->held);
	return SN_AGAIN;
}

/* Whole frames of what is held, to mono. Values that are no numbers are silence. */
static size_t take_frames(listen_source *s) {
	const size_t sample = s->is_float ? 4 : 2, frame = sample * (size_t)s->channels;
	/* a slow rate becomes several samples at 16 kHz */
	const size_t room = s->rate < SN_STT_RATE ? (size_t)LISTEN_BLOCK * (size_t)s->rate / SN_STT_RATE / 2 : LISTEN_BLOCK;
	size_t frames = s->held / frame;
	frames = frames < room ? frames : room;
	for (size_t i = 0; i < frames; i++) {
		float sum = 0;
		for (int c = 0; c < s->channels; c++) {
			const unsigned char *const p = s->bytes + i * frame + (size_t)c * sample;
			float value = (float)(int16_t)u16(p) / 32768;
			if (s->is_float)
				memcpy(&value, p, sizeof value);
			sum += value >= -1 && value <= 1 ? value : value > 1 ? 1 : value < -1 ? -1 : 0;
		}
		s->mono[i] = sum / (float)s->channels;
	}
	s->held -= frames * frame;
	memmove(s->bytes, s->bytes + frames * frame, s->held);
	return frames;
}

static int read_pipe(listen_source *s, float *pcm, size_t *count, char *err) {
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	size_t room = sizeof s->bytes - s->held;
	if (!s->ended && room > HEADER / 2 && poll(&input, 1, WAIT) > 0) {
		const ssize_t got = read(STDIN_FILENO, s->bytes + s->held, room);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return fail(err, SN_E_IO, "cannot read standard input: %s", strerror(errno));
		s->held += got > 0 ? (size_t)got : 0;
		s->ended = got == 0;
	}
	if (!s->begun) {
		const int result = read_header(s, s->ended, err);
		if (result != SN_OK)
			return result == SN_AGAIN ? SN_OK : result;
	}
	const size_t frames = take_frames(s);
	if (frames || !s->ended)
		return resample(s, s->mono, frames, pcm, count, err);
	if (!s->resampler)
		return SN_END;
	const int result = resample(s, NULL, 0, pcm, count, err);
	return result == SN_OK && !*count ? SN_END : result;
}

int listen_open_pipe(listen_source **out, int rate, int channels, char *err) {
	listen_source *s = *out = calloc(1, sizeof *s);
	if (!s)
		return fail(err, SN_E_MEMORY, "out of memory");
	const int result = set_rate(s, rate ? rate : SN_STT_RATE, channels ? channels : 1, err);
	if (result != SN_OK)
		listen_close(out);
	return result;
}

/* ---- microphone ---- */

static int load_portaudio(microphone *m, char *err) {
	const struct { const char *name; void *to; } symbols[] = {
		{ "Pa_Initialize", &m->initialize }, { "Pa_Terminate", &m->terminate }, { "Pa_OpenStream", &m->open },
		{ "Pa_StartStream", &m->start }, { "Pa_CloseStream", &m->close }, { "Pa_ReadStream", &m->read },
		{ "Pa_GetDeviceCount", &m->device_count }, { "Pa_GetDefaultInputDevice", &m->default_input },
		{ "Pa_GetDeviceInfo", &m->device_info }, { "Pa_GetErrorText", &m->error_text },
	};
	m->library = dlopen("libportaudio.so.2", RTLD_NOW | RTLD_LOCAL);
	if (!m->library)
		return fail(err, SN_E_DEPENDENCY, "a microphone needs PortAudio: apt-get install libportaudio2; or pipe samples into \"sonant listen\"");
	for (int i = 0; i < COUNT(symbols); i++) {
		void *const found = dlsym(m->library, symbols[i].name);
		if (!found)
			return fail(err, SN_E_DEPENDENCY, "libportaudio.so.2 lacks %s", symbols[i].name);
		memcpy(symbols[i].to, &found, sizeof found);
	}
	return SN_OK;
}

/* ALSA and JACK write their own complaints to standard error. */
static PaError initialize(microphone *m) {
	fflush(stderr);
	const int kept = dup(STDERR_FILENO);
	if (kept >= 0 && !freopen("/dev/null", "w", stderr))
		clearerr(stderr);
	const PaError error = m->initialize();
	if (kept >= 0) {
		fflush(stderr);
		dup2(kept, STDERR_FILENO);
		close(kept);
	}
	return error;
}

/* A device that records, by its number or a part of its name. Below 0: there is none. */
static PaDeviceIndex find_device(const microphone *m, const char *name) {
	char *end;
	if (!name || strcmp(name, "default") == 0)
		return m->default_input();
	const long number = strtol(name, &end, 10);
	for (PaDeviceIndex i = 0; i < m->device_count(); i++) {
		const PaDeviceInfo *const info = m->device_info(i);
		if (info && info->maxInputChannels > 0 && (*end ? strcasestr(info->name, name) != NULL : number == i))
			return i;
	}
	return -1;
}

int listen_open_microphone(listen_source **out, const char *name, char *err) {
	listen_source *s = *out = calloc(1, sizeof *s);
	if (!s)
		return fail(err, SN_E_MEMORY, "out of memory");
	microphone *const m = &s->mic;
	int result = load_portaudio(m, err);
	if (result == SN_OK) {
		const PaError error = initialize(m);
		m->initialized = error == paNoError;
		const PaDeviceIndex device = m->initialized ? find_device(m, name) : -1;
		if (error != paNoError)
			result = fail(err, SN_E_IO, "PortAudio cannot start: %s", m->error_text(error));
		else if (device < 0)
			result = fail(err, SN_E_NOT_FOUND, name ? "no device \"%s\" records; pipe samples into \"sonant listen\" instead" :
			              "no device records%s; pipe samples into \"sonant listen\" instead", name ? name : "");
		const PaStreamParameters input = { .device = device, .channelCount = 1, .sampleFormat = paFloat32, .suggestedLatency = 0.02 };
		if (result == SN_OK) {
			PaError opened = m->open(&m->stream, &input, NULL, SN_STT_RATE, MIC_FRAMES, paClipOff, NULL, NULL);
			opened = opened == paNoError ? m->start(m->stream) : opened;
			if (opened != paNoError)
				result = fail(err, SN_E_IO, "the microphone cannot be opened: %s", m->error_text(opened));
		}
	}
	if (result != SN_OK)
		listen_close(out);
	return result;
}

static int read_microphone(listen_source *s, float *pcm, size_t *count, char *err) {
	const PaError error = s->mic.read(s->mic.stream, pcm, MIC_FRAMES);
	if (error != paNoError && error != paInputOverflowed)
		return fail(err, SN_E_IO, "the microphone failed: %s", s->mic.error_text(error));
	*count = MIC_FRAMES;
	return SN_OK;
}

/* ---- both ---- */

int listen_read(listen_source *s, float *pcm, size_t *count, char *err) {
	*count = 0;
	return s->mic.stream ? read_microphone(s, pcm, count, err) : read_pipe(s, pcm, count, err);
}

void listen_close(listen_source **held) {
	listen_source *s = *held;
	*held = NULL;
	if (!s)
		return;
	if (s->mic.stream)
		s->mic.close(s->mic.stream);
	if (s->mic.initialized)
		s->mic.terminate();
	if (s->mic.library)
		dlclose(s->mic.library);
	soxr_delete(s->resampler);
	free(s);
}
