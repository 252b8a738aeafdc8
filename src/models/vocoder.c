#include "models/vocoder_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "nn/cpu/kernels.h"

#include <stdlib.h>
#include <string.h>

#define PACK_VERSION 2 /* raised when the recorded graphs change what is packed */

struct sn_vocoder_stream {
	sn_vocoder *vocoder;
	void *state;
	int started;
};

/* ---- loading ---- */

int sn_vocoder_accepts(const char *path) {
	vocoder_files files;
	if (vocoder_files_read(&files, path, NULL) != SN_OK) return 0;
	const int yes = files.kind != VOCODER_NONE;
	vocoder_files_free(&files);
	return yes;
}

int sn_vocoder_locate(char weights[4096], const char *path, char *err) {
	vocoder_files files;
	const int code = vocoder_files_read(&files, path, err);
	if (code != SN_OK) return code;
	strcpy(weights, files.weights);
	vocoder_files_free(&files);
	return SN_OK;
}

int vocoder_pack_open(sn_vocoder *v, const sn_load_options *load, char *err) {
	const int facts[] = { PACK_VERSION, load->dtype != NN_DTYPE_F32, load->debug };
	const uint64_t key = sn_hash_text(sn_hash(sn_weights_key(v->file), facts, sizeof facts), nn_kernels_best()->name);
	return nn_pack_open(&v->pack, load->pack_path, key, err);
}

static int open_network(sn_vocoder *v, const vocoder_files *f, const sn_load_options *load, char *err) {
	switch (f->kind) {
	case VOCODER_HIFIGAN: return vocoder_open_hifigan(v, f, load, err);
	case VOCODER_MELGAN:
	case VOCODER_MULTIBAND: return vocoder_open_melgan(v, f, load, err);
	case VOCODER_WAVEGLOW: return vocoder_open_waveglow(v, f, load, err);
	case VOCODER_OTHER:
		return sn_fail(err, SN_E_UNSUPPORTED,
		               "%s: the vocoder '%s' is not supported; HiFi-GAN, MelGAN, multi-band MelGAN and WaveGlow are", f->config, f->name);
	default: return sn_fail(err, SN_E_MODEL, "%s holds no vocoder that is known (HiFi-GAN, MelGAN, multi-band MelGAN or WaveGlow)",
	                        load->dir);
	}
}

int sn_vocoder_open(sn_vocoder **out, const sn_load_options *load, char *err) {
	vocoder_files files;
	char note[SN_ERRLEN] = "";
	*out = NULL;
	sn_vocoder *v = calloc(1, sizeof *v);
	if (!v) return sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", load->dir);
	int code = vocoder_files_read(&files, load->dir, err);
	if (code == SN_OK) {
		code = open_network(v, &files, load, err);
		vocoder_files_free(&files);
	}
	if (code == SN_OK) {
		v->facts.sample_rate = v->facts.mel.sample_rate;
		if (load->pack_path && nn_pack_save(v->pack, note) != SN_OK)
			sn_log(SN_LOG_WARN, "packed weights of %s were not kept: %s", load->dir, note);
	} else {
		sn_vocoder_close(&v);
	}
	*out = v;
	return code;
}

void sn_vocoder_close(sn_vocoder **vocoder) {
	sn_vocoder *const v = *vocoder;
	if (!v) return;
	if (v->network) v->class->close(&v->network);
	nn_pack_close(&v->pack);
	sn_weights_close(&v->file);
	free(v);
	*vocoder = NULL;
}

const sn_vocoder_facts *sn_vocoder_get_facts(const sn_vocoder *vocoder) { return &vocoder->facts; }

/* ---- streams ---- */

int sn_vocoder_stream_new(sn_vocoder_stream **out, sn_vocoder *vocoder, char *err) {
	sn_vocoder_stream *const s = *out = calloc(1, sizeof *s);
	if (!s) return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	s->vocoder = vocoder;
	const int code = vocoder->class->stream_new(&s->state, vocoder->network, err);
	if (code != SN_OK) sn_vocoder_stream_free(out);
	return code;
}

void sn_vocoder_stream_free(sn_vocoder_stream **stream) {
	if (!*stream) return;
	if ((*stream)->state) (*stream)->vocoder->class->stream_free(&(*stream)->state);
	free(*stream);
	*stream = NULL;
}

int sn_vocoder_start(sn_vocoder_stream *stream, const sn_vocoder_options *options, char *err) {
	stream->started = 0;
	if (options->sigma > 10 || options->denoise > 100 || options->sigma != options->sigma || options->denoise != options->denoise)
		return sn_fail(err, SN_E_ARGUMENT, "sigma %g or a denoiser strength of %g is out of range; up to 10 and 100 are right",
		               (double)options->sigma, (double)options->denoise);
	const int code = stream->vocoder->class->start(stream->state, options, err);
	stream->started = code == SN_OK;
	return code;
}

int sn_vocoder_push(sn_vocoder_stream *stream, const float *mel, int frames, int last, char *err) {
	if (!stream->started) return sn_fail(err, SN_E_ARGUMENT, "no utterance has been started");
	if (frames < 0 || frames > SN_VOCODER_MAX_PUSH)
		return sn_fail(err, SN_E_ARGUMENT, "%d frames were given at once; 0 to %d are right", frames, SN_VOCODER_MAX_PUSH);
	return stream->vocoder->class->push(stream->state, mel, frames, last, err);
}

int64_t sn_vocoder_next(sn_vocoder_stream *stream, int most_frames, float *pcm, char *err) {
	if (!stream->started) return sn_fail(err, SN_E_ARGUMENT, "no utterance has been started");
	const int most = most_frames < 1 ? 1 : most_frames > SN_VOCODER_MAX_CHUNK ? SN_VOCODER_MAX_CHUNK : most_frames;
	return stream->vocoder->class->next(stream->state, most, pcm, err);
}

int sn_vocoder_ended(const sn_vocoder_stream *stream) { return stream->started && stream->vocoder->class->ended(stream->state); }

int sn_vocoder_tensor(sn_vocoder_stream *stream, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	return stream->vocoder->class->tensor(stream->state, name, values, rank, dims, err);
}

/* ---- networks that are a generator alone ---- */

typedef struct network {
	sn_generator *generator;
	int padding, mels;
} network;

typedef struct frames {
	const network *network;
	sn_generator_stream *rows;
	float *row;         /* the frame pushed last: repeated at the end */
	int padding, begun, ended;
} frames;

static void network_close(void **payload) {
	network *const n = *payload;
	sn_generator_close(&n->generator);
	free(n);
	*payload = NULL;
}

static void frames_free(void **stream) {
	frames *const s = *stream;
	sn_generator_stream_free(&s->rows);
	free(s->row);
	free(s);
	*stream = NULL;
}

static int frames_new(void **stream, void *payload, char *err) {
	const network *const n = payload;
	frames *const s = *stream = calloc(1, sizeof *s);
	if (!s) return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	s->network = n;
	s->row = malloc((size_t)n->mels * sizeof *s->row);
	const int code = s->row ? sn_generator_stream_new(&s->rows, n->generator, err)
	                        : sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	if (code != SN_OK) frames_free(stream);
	return code;
}

static int frames_start(void *stream, const sn_vocoder_options *options, char *err) {
	frames *const s = stream;
	(void)err;
	s->padding = options->bare ? 0 : s->network->padding;
	sn_generator_start(s->rows);
	s->begun = s->ended = 0;
	return SN_OK;
}

static void repeat(frames *s, const float *row) {
	for (int i = 0; i < s->padding; i++) sn_generator_push(s->rows, row, 1);
}

static int frames_push(void *stream, const float *mel, int count, int last, char *err) {
	frames *const s = stream;
	const size_t width = (size_t)s->network->mels;
	if (s->ended) return sn_fail(err, SN_E_CLOSED, "frames were pushed behind the last");
	if (sn_generator_room(s->rows) < count + 2 * s->network->padding) return SN_AGAIN;
	if (count > 0) {
		if (!s->begun) repeat(s, mel);
		s->begun = 1;
		sn_generator_push(s->rows, mel, count);
		memcpy(s->row, mel + (size_t)(count - 1) * width, width * sizeof *s->row);
	}
	if (!last) return SN_OK;
	if (s->begun) repeat(s, s->row);
	sn_generator_end(s->rows);
	s->ended = 1;
	return SN_OK;
}

static int64_t frames_next(void *stream, int most_frames, float *pcm, char *err) {
	frames *const s = stream;
	return sn_generator_next(s->rows, most_frames * sn_generator_hop(s->network->generator), pcm, err);
}

static int frames_ended(const void *stream) { return sn_generator_ended(((const frames *)stream)->rows); }

static int frames_tensor(void *stream, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	const network *const n = ((frames *)stream)->network;
	int code = SN_E_NOT_FOUND;
	for (int i = 0; i < sn_generator_stages(n->generator) && code == SN_E_NOT_FOUND; i++)
		code = nn_exec_tensor(sn_generator_exec(n->generator, i), name, values, rank, dims, err);
	return code;
}

static const vocoder_class generator_class = { network_close, frames_new, frames_free, frames_start, frames_push, frames_next,
                                               frames_ended, frames_tensor };

int vocoder_take_generator(sn_vocoder *v, sn_generator *generator, int padding, char *err) {
	network *const n = calloc(1, sizeof *n);
	if (!n) {
		sn_generator_close(&generator);
		return sn_fail(err, SN_E_MEMORY, "out of memory while loading a vocoder");
	}
	*n = (network){ generator, padding, v->facts.mel.mels };
	v->class = &generator_class;
	v->network = n;
	v->facts.hop = (int)sn_generator_hop(generator);
	v->facts.extra = 2 * padding * v->facts.hop + (int)sn_generator_more(generator);
	return SN_OK;
}
