/* WaveGlow (Prenger et al. 2018), NVIDIA's layout: noise and the upsampled mel go backwards through flows of invertible convolutions
 * and affine couplings. Optionally NVIDIA's denoiser takes the spectrum of what the network makes of silence off the result. */
#include "models/waveglow_internal.h"

#include "models/vits_internal.h"
#include "models/vocoder_stft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIGMA 0.6f       /* of NVIDIA's published examples */
#define DENOISE 0.0f     /* of its inference program */
#define FFT 1024         /* the denoiser's */
#define HOP (FFT / 4)
#define BINS (FFT / 2 + 1)
#define BIAS_FRAMES 88   /* of silence whose first spectrum is the bias */
#define PIECE 64         /* frames of one run before the denoiser */
#define HELD (PIECE * WAVEGLOW_HOP + 4 * FFT)

typedef struct waveglow {
	waveglow_weights weights; /* small: the tensors stay in the file */
	sn_generator *generator;
	vocoder_stft *stft;
	float *bias;       /* [BINS], made when the denoiser is first asked for */
} waveglow;

/* Samples on their way through the denoiser. */
typedef struct denoiser {
	float strength;
	float raw[HELD], sum[HELD], weight[HELD]; /* of samples raw_first.., sum_first.. on */
	int64_t raw_first, raw_last, sum_first;
	int64_t frame;     /* the next spectrum */
	int64_t out, ready; /* samples given out and finished */
	float spectrum[2 * BINS], frame_in[FFT], frame_out[FFT];
} denoiser;

typedef struct stream {
	waveglow *network;
	sn_generator_stream *rows;
	denoiser *denoiser; /* NULL until it is asked for */
	int denoising, ended;
	float sigma;
	uint64_t seed;
	const float *noise; /* given: [remaining channels, groups] of the first flow, then those that join later; NULL: drawn */
	int64_t groups;     /* of the given noise */
	int64_t frames;     /* pushed */
	float *row;         /* [mels + WAVEGLOW_HOP] */
} stream;

/* Samples, or an error. */
static int waveglow_next_raw(stream *s, int64_t most, float *pcm, char *err) {
	const int group = s->network->weights.group;
	const int64_t rows = sn_generator_next(s->rows, most / group, pcm, err);
	return (int)(rows < 0 ? rows : rows * group);
}

/* ---- loading ---- */

static void network_close(void **payload) {
	waveglow *const w = *payload;
	sn_generator_close(&w->generator);
	vocoder_stft_close(&w->stft);
	free(w->bias);
	free(w);
	*payload = NULL;
}

static void stream_free(void **payload) {
	stream *const s = *payload;
	sn_generator_stream_free(&s->rows);
	free(s->denoiser);
	free(s->row);
	free(s);
	*payload = NULL;
}

static int stream_new(void **out, void *network, char *err) {
	stream *const s = *out = calloc(1, sizeof *s);
	waveglow *const w = network;
	if (!s) return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	s->network = w;
	s->row = malloc((size_t)(w->weights.mels + WAVEGLOW_HOP) * sizeof *s->row);
	const int code = s->row ? sn_generator_stream_new(&s->rows, w->generator, err)
	                        : sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	if (code != SN_OK) stream_free(out);
	return code;
}

/* ---- noise and frames ---- */

/* The noise of a frame's samples, [groups of a frame, group]: channels that join a flow later lie before those already there. */
static void fill_noise(const stream *s, float *out) {
	const waveglow_weights *const w = &s->network->weights;
	const int64_t per_frame = WAVEGLOW_HOP / w->group, first = s->frames * per_frame;
	if (!s->noise) vits_noise(s->seed, 0, (uint64_t)(s->frames * WAVEGLOW_HOP), WAVEGLOW_HOP, out);
	for (int64_t g = 0; g < per_frame && s->noise; g++) {
		const float *from = s->noise;
		int placed = 0; /* channels filled, from the right */
		for (int k = w->flows - 1; k >= 0; k--) {
			const int count = w->flow[k].channels - placed;
			for (int c = 0; c < count; c++) out[g * w->group + w->group - placed - count + c] = from[c * s->groups + first + g];
			from += count * s->groups;
			placed += count;
		}
	}
	for (int i = 0; i < WAVEGLOW_HOP; i++) out[i] *= s->sigma;
}

static int stream_push(void *payload, const float *mel, int frames, int last, char *err) {
	stream *const s = payload;
	const int mels = s->network->weights.mels;
	if (s->ended) return sn_fail(err, SN_E_CLOSED, "frames were pushed behind the last");
	if (s->noise && s->frames + frames > s->groups * s->network->weights.group / WAVEGLOW_HOP)
		return sn_fail(err, SN_E_ARGUMENT, "the given noise is of %lld frames, more were pushed",
		               (long long)(s->groups * s->network->weights.group / WAVEGLOW_HOP));
	if (sn_generator_room(s->rows) < frames) return SN_AGAIN;
	for (int i = 0; i < frames; i++, s->frames++) {
		memcpy(s->row, mel + (size_t)i * (size_t)mels, (size_t)mels * sizeof *s->row);
		fill_noise(s, s->row + mels);
		sn_generator_push(s->rows, s->row, 1);
	}
	if (last) sn_generator_end(s->rows);
	s->ended = last;
	return SN_OK;
}

/* ---- the denoiser ---- */

static void magnitudes(vocoder_stft *stft, const float *frame, float *spectrum, float *out) {
	vocoder_stft_forward(stft, frame, spectrum);
	for (int k = 0; k < BINS; k++) out[k] = sqrtf(spectrum[2 * k] * spectrum[2 * k] + spectrum[2 * k + 1] * spectrum[2 * k + 1]);
}

/* The first spectrum of what the network makes of frames of zeros without noise. */
static int make_bias(waveglow *w, char *err) {
	void *payload = NULL;
	float pcm[FFT], frame[FFT], spectrum[2 * BINS];
	float *const mel = calloc((size_t)BIAS_FRAMES * (size_t)w->weights.mels, sizeof *mel);
	int code = mel ? vocoder_stft_open(&w->stft, FFT, HOP, FFT, err) : sn_fail(err, SN_E_MEMORY, "out of memory for the denoiser");
	if (code == SN_OK) code = stream_new(&payload, w, err);
	float *const bias = code == SN_OK ? malloc(BINS * sizeof *bias) : NULL;
	if (code == SN_OK && !bias) code = sn_fail(err, SN_E_MEMORY, "out of memory for the denoiser");
	if (code == SN_OK) {
		stream *const s = payload;
		sn_generator_start(s->rows);
		code = stream_push(s, mel, BIAS_FRAMES, 1, err);
		const int made = code == SN_OK ? waveglow_next_raw(s, FFT, pcm, err) : code;
		code = made < 0 ? made : SN_OK;
		for (int i = 0; code == SN_OK && i < FFT; i++) frame[i] = pcm[vocoder_mirror(i - FFT / 2, BIAS_FRAMES * WAVEGLOW_HOP)];
		if (code == SN_OK) magnitudes(w->stft, frame, spectrum, bias);
	}
	if (code != SN_OK) {
		free(bias);
		vocoder_stft_close(&w->stft);
	} else {
		w->bias = bias;
	}
	if (payload) stream_free(&payload);
	free(mel);
	return code;
}

static int stream_start(void *payload, const sn_vocoder_options *o, char *err) {
	stream *const s = payload;
	const int group = s->network->weights.group;
	const float strength = o->denoise < 0 ? DENOISE : o->denoise;
	if (o->noise && (o->noise_count < group || o->noise_count % WAVEGLOW_HOP))
		return sn_fail(err, SN_E_ARGUMENT, "the given noise has %lld values; a multiple of %d is right", (long long)o->noise_count,
		               WAVEGLOW_HOP);
	int code = strength > 0 && !s->network->bias ? make_bias(s->network, err) : SN_OK;
	if (code == SN_OK && strength > 0 && !s->denoiser && !(s->denoiser = calloc(1, sizeof *s->denoiser)))
		code = sn_fail(err, SN_E_MEMORY, "out of memory for the denoiser");
	if (code != SN_OK) return code;
	sn_generator_start(s->rows);
	s->denoising = strength > 0;
	if (s->denoising) *s->denoiser = (denoiser){ .strength = strength };
	s->sigma = o->sigma < 0 ? SIGMA : o->sigma;
	s->seed = o->seed;
	s->noise = o->noise;
	s->groups = o->noise ? o->noise_count / group : 0;
	s->frames = 0;
	s->ended = 0;
	return SN_OK;
}

/* Takes the bias off frame number d->frame and adds it to the sum. total: samples of the utterance, -1 as long as it goes on. */
static void denoise_frame(denoiser *d, waveglow *w, int64_t total) {
	const int64_t first = d->frame * HOP - FFT / 2;
	const float *const weight = vocoder_stft_weight(w->stft);
	for (int64_t i = 0; i < FFT; i++) {
		const int64_t at = total >= 0 ? vocoder_mirror(first + i, total) : first + i < 0 ? -(first + i) : first + i;
		d->frame_in[i] = d->raw[at - d->raw_first];
	}
	vocoder_stft_forward(w->stft, d->frame_in, d->spectrum);
	for (int k = 0; k < BINS; k++) {
		float *const bin = d->spectrum + 2 * k;
		const float magnitude = sqrtf(bin[0] * bin[0] + bin[1] * bin[1]), less = magnitude - w->bias[k] * d->strength;
		const float factor = less > 0 && magnitude > 0 ? less / magnitude : 0;
		bin[0] *= factor;
		bin[1] *= factor;
	}
	vocoder_stft_inverse(w->stft, d->spectrum, d->frame_out);
	for (int64_t i = first < 0 ? -first : 0; i < FFT; i++) {
		d->sum[first + i - d->sum_first] += d->frame_out[i];
		d->weight[first + i - d->sum_first] += weight[i];
	}
	d->frame++;
}

/* Spectra of all frames whose samples are there; what they finish is ready. */
static void denoise(stream *s) {
	denoiser *const d = s->denoiser;
	const int over = sn_generator_ended(s->rows);
	const int64_t total = over ? d->raw_last : -1, frames = over ? (d->raw_last ? d->raw_last / HOP + 1 : 0) : d->raw_last / HOP - 1;
	while (d->frame < frames) denoise_frame(d, s->network, total);
	d->ready = over ? d->raw_last : d->frame * HOP - FFT / 2;
	if (d->ready < 0) d->ready = 0;
	int64_t keep = (d->frame - 3) * HOP - FFT / 2; /* a frame at the end mirrors samples before it */
	if (keep > d->raw_last) keep = d->raw_last;
	if (keep <= d->raw_first) return;
	memmove(d->raw, d->raw + (keep - d->raw_first), (size_t)(d->raw_last - keep) * sizeof *d->raw);
	d->raw_first = keep;
}

static int64_t take_ready(denoiser *d, int64_t most, float *pcm) {
	const int64_t count = d->ready - d->out < most ? d->ready - d->out : most, held = HELD - count;
	for (int64_t i = 0; i < count; i++) {
		const float weight = d->weight[d->out - d->sum_first + i];
		pcm[i] = d->sum[d->out - d->sum_first + i] / (weight > 1e-30f ? weight : 1);
	}
	if (count == 0) return 0;
	memmove(d->sum, d->sum + count, (size_t)held * sizeof *d->sum);
	memmove(d->weight, d->weight + count, (size_t)held * sizeof *d->weight);
	memset(d->sum + held, 0, (size_t)count * sizeof *d->sum);
	memset(d->weight + held, 0, (size_t)count * sizeof *d->weight);
	d->out += count;
	d->sum_first = d->out;
	return count;
}

/* ---- sound ---- */

static int64_t stream_next(void *payload, int most_frames, float *pcm, char *err) {
	stream *const s = payload;
	const int64_t most = (int64_t)most_frames * WAVEGLOW_HOP;
	int64_t count = 0;
	while (count < most) {
		const int64_t left = most - count, piece = left < PIECE * WAVEGLOW_HOP ? left : PIECE * WAVEGLOW_HOP;
		denoiser *const d = s->denoiser;
		if (s->denoising && d->ready > d->out) {
			count += take_ready(d, left, pcm + count);
			continue;
		}
		float *const to = s->denoising ? d->raw + (d->raw_last - d->raw_first) : pcm + count;
		const int got = waveglow_next_raw(s, piece, to, err);
		if (got < 0) return got;
		if (s->denoising) {
			d->raw_last += got;
			denoise(s);
			if (got == 0 && d->ready == d->out) break;
		} else if (got == 0) {
			break;
		} else {
			count += got;
		}
	}
	return count;
}

static int stream_ended(const void *payload) {
	const stream *const s = payload;
	return sn_generator_ended(s->rows) && (!s->denoising || s->denoiser->out == s->denoiser->raw_last);
}

static int stream_tensor(void *payload, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	sn_generator *const g = ((stream *)payload)->network->generator;
	int code = SN_E_NOT_FOUND;
	for (int i = 0; i < sn_generator_stages(g) && code == SN_E_NOT_FOUND; i++)
		code = nn_exec_tensor(sn_generator_exec(g, i), name, values, rank, dims, err);
	return code;
}

static const vocoder_class waveglow_class = { network_close, stream_new, stream_free, stream_start, stream_push, stream_next,
                                              stream_ended, stream_tensor };

int vocoder_open_waveglow(sn_vocoder *v, const vocoder_files *files, const sn_load_options *load, char *err) {
	sn_generator_shape shape;
	waveglow *const w = calloc(1, sizeof *w);
	if (!w) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	v->network = w;
	v->class = &waveglow_class;
	int code = sn_weights_open(&v->file, files->weights, err);
	if (code == SN_OK) code = waveglow_bind(&w->weights, v->file, files, err);
	if (code == SN_OK) code = vocoder_files_mel(files, w->weights.mels, WAVEGLOW_HOP, &v->facts.mel, err);
	if (code == SN_OK) code = vocoder_pack_open(v, load, err);
	if (code != SN_OK) return code;
	v->facts.architecture = "waveglow";
	v->facts.parameters = w->weights.parameters;
	v->facts.hop = WAVEGLOW_HOP;
	v->facts.seeded = 1;
	waveglow_describe(&w->weights, &shape);
	return sn_generator_open(&w->generator, &shape, waveglow_record, &w->weights, load, v->pack, err);
}
