/* Griffin and Lim (1984), in the accelerated form of Perraudin et al. (2013), for spectrograms that no network fits. Mels are
 * turned into magnitudes by non-negative least squares; phases are found block by block: the frames before a block keep theirs,
 * some frames behind it are looked at, so that blocks join without seams and do not depend on how the sound is taken out. */
#include "models/vocoder_internal.h"

#include "models/vits_internal.h"
#include "models/vocoder_stft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 32            /* frames whose phases are found at once */
#define AHEAD 8             /* frames behind them that are looked at */
#define ITERATIONS 32
#define MOMENTUM 0.99f
#define SQUARES 40          /* steps of the non-negative least squares */
#define MAX_OVERLAP 32      /* frames that one sample lies in */
#define LEAST_WEIGHT 1e-3f  /* where less of the windows lies, the sum is not divided */

typedef struct network {
	sn_mel_layout mel;
	vocoder_stft *stft;
	int bins, before;       /* before: frames that overlap with a block's first one */
	float *filters;         /* [mels, bins] */
	int *first, *last;      /* [mels]: the bins that a filter is not zero in */
} network;

typedef struct stream {
	network *network;
	float *mels;            /* [SN_VOCODER_MAX_PUSH + BLOCK + AHEAD, mels]: frames from `next` + magnitudes made on */
	int64_t held;           /* of them */
	float *magnitude;       /* [before + BLOCK + AHEAD, bins]: of frames `next` - kept on */
	float *spectrum, *old;  /* [before + BLOCK + AHEAD, bins, 2] */
	float *signal, *weight; /* of one window of frames */
	float *sum, *sum_weight; /* of finished frames, from sample `out` on */
	float *frame;           /* [fft] */
	int64_t next;           /* the first frame without phases */
	int64_t pushed, out, ready;
	int kept, made, ended;  /* kept: finished frames before `next`; made: magnitudes from `next` on */
	float last;             /* sample given out last: undoes the preemphasis */
	float noise[VOCODER_STFT_MAX / 2 + 1]; /* phases of the first frame */
} stream;

/* ---- mel filters ---- */

static double mel_of(sn_mel_scale scale, double hz) {
	if (scale == SN_MEL_HTK) return 2595 * log10(1 + hz / 700);
	return hz < 1000 ? hz * 3 / 200 : 15 + log(hz / 1000) * 27 / log(6.4);
}

static double hz_of(sn_mel_scale scale, double mel) {
	if (scale == SN_MEL_HTK) return 700 * (pow(10, mel / 2595) - 1);
	return mel < 15 ? mel * 200 / 3 : 1000 * exp((mel - 15) * log(6.4) / 27);
}

/* Triangles between neighbouring centres, which lie evenly on the mel scale; Slaney's have area 1. */
static void make_filters(network *n) {
	const sn_mel_layout *const m = &n->mel;
	const double high = m->high > 0 ? (double)m->high : m->sample_rate / 2.0;
	const double low = mel_of(m->scale, m->low), step = (mel_of(m->scale, high) - low) / (m->mels + 1);
	for (int i = 0; i < m->mels; i++) {
		const double left = hz_of(m->scale, low + step * i), middle = hz_of(m->scale, low + step * (i + 1));
		const double right = hz_of(m->scale, low + step * (i + 2));
		const double height = m->scale == SN_MEL_SLANEY ? 2 / (right - left) : 1;
		n->first[i] = n->bins;
		for (int k = 0; k < n->bins; k++) {
			const double hz = (double)k * m->sample_rate / m->fft;
			const double weight = fmin((hz - left) / (middle - left), (right - hz) / (right - middle));
			if (!(weight > 0)) continue;
			if (n->first[i] == n->bins) n->first[i] = k;
			n->last[i] = k + 1;
			n->filters[(size_t)i * (size_t)n->bins + (size_t)k] = (float)(weight * height);
		}
	}
}

/* ---- from mels to magnitudes ---- */

/* Coqui's normalisation, the gain and the logarithm undone. */
static float amplitude(const sn_mel_layout *m, float x) {
	if (m->normalised) {
		const float low = m->symmetric ? -m->max_norm : 0, range = m->max_norm - low;
		x = (x < low ? low : x > m->max_norm ? m->max_norm : x) - low;
		x = x * -m->min_db / range + m->min_db + m->ref_db;
	}
	x /= m->gain;
	x = x < -60 ? -60 : x > 60 ? 60 : x; /* what is no number either reads as silence */
	return x == x ? m->log == SN_MEL_LOG_10 ? powf(10, x) : expf(x) : 0;
}

/* to += filters transposed * values */
static void add_filtered(const network *n, const float *values, float *to) {
	for (int i = 0; i < n->mel.mels; i++) {
		const float *const filter = n->filters + (size_t)i * (size_t)n->bins;
		for (int k = n->first[i]; k < n->last[i]; k++) to[k] += filter[k] * values[i];
	}
}

/* magnitude >= 0 with filters * magnitude near the mels, by multiplicative steps (Lee and Seung 2001). */
static void magnitudes(stream *s, const float *mel, float *out) {
	const network *const n = s->network;
	float wanted[VOCODER_MAX_WIDTH];
	for (int i = 0; i < n->mel.mels; i++) wanted[i] = amplitude(&n->mel, mel[i]);
	float *const up = s->frame, *const down = s->signal; /* [bins] each, free here */
	memset(up, 0, (size_t)n->bins * sizeof *up);
	add_filtered(n, wanted, up);
	for (int k = 0; k < n->bins; k++) out[k] = up[k] > 0;
	for (int step = 0; step < SQUARES; step++) {
		float fit[VOCODER_MAX_WIDTH];
		for (int i = 0; i < n->mel.mels; i++) {
			const float *const filter = n->filters + (size_t)i * (size_t)n->bins;
			fit[i] = 0;
			for (int k = n->first[i]; k < n->last[i]; k++) fit[i] += filter[k] * out[k];
		}
		memset(down, 0, (size_t)n->bins * sizeof *down);
		add_filtered(n, fit, down);
		for (int k = 0; k < n->bins; k++) out[k] = down[k] > 1e-30f ? out[k] * up[k] / down[k] : 0;
	}
}

/* ---- phases ---- */

/* The overlapped sum of frames 0 .. count - 1 of the window: s->signal, whose first sample is fft / 2 before frame 0's middle. */
static void inverse(stream *s, int count) {
	const network *const n = s->network;
	const int fft = n->mel.fft, hop = n->mel.hop;
	const float *const weight = vocoder_stft_weight(n->stft);
	const size_t size = (size_t)((count - 1) * hop + fft);
	memset(s->signal, 0, size * sizeof *s->signal);
	memset(s->weight, 0, size * sizeof *s->weight);
	for (int f = 0; f < count; f++) {
		vocoder_stft_inverse(n->stft, s->spectrum + (size_t)f * 2 * (size_t)n->bins, s->frame);
		for (int i = 0; i < fft; i++) {
			s->signal[f * hop + i] += s->frame[i];
			s->weight[f * hop + i] += weight[i];
		}
	}
	for (size_t i = 0; i < size; i++) s->signal[i] /= s->weight[i] > LEAST_WEIGHT ? s->weight[i] : 1;
}

static void set_phase(float *bin, float magnitude, float re, float im) {
	const float length = sqrtf(re * re + im * im);
	bin[0] = length > 0 ? magnitude * re / length : magnitude;
	bin[1] = length > 0 ? magnitude * im / length : 0;
}

/* First phases of frame f of the window: those of the frame before, each bin's turned as far as its frequency goes in a hop. */
static void guess(stream *s, int f) {
	const network *const n = s->network;
	float *const to = s->spectrum + (size_t)f * 2 * (size_t)n->bins, *const from = to - 2 * n->bins;
	const float *const magnitude = s->magnitude + (size_t)f * (size_t)n->bins;
	for (int k = 0; k < n->bins; k++) {
		const double turn = f ? 2 * M_PI * ((int64_t)k * n->mel.hop % n->mel.fft) / n->mel.fft : s->noise[k];
		const double re = f ? from[2 * k] : 1, im = f ? from[2 * k + 1] : 0;
		set_phase(to + 2 * k, magnitude[k], (float)(re * cos(turn) - im * sin(turn)), (float)(re * sin(turn) + im * cos(turn)));
	}
}

/* Phases of frames kept .. kept + count - 1 of the window. */
static void find_phases(stream *s, int count) {
	const network *const n = s->network;
	const size_t row = 2 * (size_t)n->bins;
	const int all = s->kept + count;
	for (int f = s->kept; f < all; f++) guess(s, f);
	memcpy(s->old, s->spectrum, (size_t)all * row * sizeof *s->old);
	for (int step = 0; step < ITERATIONS; step++) {
		inverse(s, all);
		for (int f = s->kept; f < all; f++) {
			float *const to = s->spectrum + (size_t)f * row, *const old = s->old + (size_t)f * row;
			const float *const magnitude = s->magnitude + (size_t)f * (size_t)n->bins;
			vocoder_stft_forward(n->stft, s->signal + f * n->mel.hop, to);
			for (int k = 0; k < n->bins; k++) {
				const float re = to[2 * k], im = to[2 * k + 1];
				set_phase(to + 2 * k, magnitude[k], re + MOMENTUM * (re - old[2 * k]), im + MOMENTUM * (im - old[2 * k + 1]));
				old[2 * k] = re;
				old[2 * k + 1] = im;
			}
		}
	}
}

/* Adds frame f of the window, number `next` + f - kept of the utterance, to the sum; samples before 0 are left out. */
static void finish_frame(stream *s, int f) {
	const network *const n = s->network;
	const int fft = n->mel.fft;
	const float *const weight = vocoder_stft_weight(n->stft);
	const int64_t first = (s->next + f - s->kept) * n->mel.hop - fft / 2;
	vocoder_stft_inverse(n->stft, s->spectrum + (size_t)f * 2 * (size_t)n->bins, s->frame);
	for (int i = 0; i < fft; i++) {
		if (first + i < s->out) continue;
		s->sum[first + i - s->out] += s->frame[i];
		s->sum_weight[first + i - s->out] += weight[i];
	}
}

/* The next block, when its frames and those behind it are there. 0: they are not. */
static int run_block(stream *s) {
	const network *const n = s->network;
	const size_t bins = (size_t)n->bins;
	const int64_t left = s->pushed - s->next;
	if (left == 0 || (left < BLOCK + AHEAD && !s->ended)) return 0;
	const int count = left < BLOCK + AHEAD ? (int)left : BLOCK + AHEAD, block = count < BLOCK ? count : BLOCK;
	int taken = 0;
	for (; s->made < count; s->made++, taken++)
		magnitudes(s, s->mels + (size_t)taken * (size_t)n->mel.mels, s->magnitude + (size_t)(s->kept + s->made) * bins);
	memmove(s->mels, s->mels + (size_t)taken * (size_t)n->mel.mels,
	        (size_t)(s->held - taken) * (size_t)n->mel.mels * sizeof *s->mels);
	s->held -= taken;
	find_phases(s, count);
	for (int f = s->kept; f < s->kept + block; f++) finish_frame(s, f);
	const int all = s->kept + count, done = s->kept + block, keep = done < n->before ? done : n->before;
	memmove(s->magnitude, s->magnitude + (size_t)(done - keep) * bins, (size_t)(all - done + keep) * bins * sizeof *s->magnitude);
	memmove(s->spectrum, s->spectrum + (size_t)(done - keep) * 2 * bins, (size_t)keep * 2 * bins * sizeof *s->spectrum);
	s->next += block;
	s->kept = keep;
	s->made = count - block;
	s->ready = s->ended && s->next == s->pushed ? s->pushed * n->mel.hop : s->next * n->mel.hop - n->mel.fft / 2;
	if (s->ready < s->out) s->ready = s->out;
	return 1;
}

/* ---- streams ---- */

static int64_t sum_size(const network *n) { return (int64_t)(BLOCK + 1) * n->mel.hop + 2 * n->mel.fft; }

static void stream_free(void **payload) {
	stream *const s = *payload;
	free(s->mels);
	free(s->magnitude);
	free(s->spectrum);
	free(s->old);
	free(s->signal);
	free(s->weight);
	free(s->sum);
	free(s->sum_weight);
	free(s->frame);
	free(s);
	*payload = NULL;
}

static float *floats(int64_t count) { return calloc((size_t)count, sizeof(float)); }

static int stream_new(void **out, void *payload, char *err) {
	network *const n = payload;
	stream *const s = *out = calloc(1, sizeof *s);
	if (!s) return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	const int64_t window = n->before + BLOCK + AHEAD, samples = (window - 1) * n->mel.hop + n->mel.fft;
	s->network = n;
	s->mels = floats((int64_t)(SN_VOCODER_MAX_PUSH + BLOCK + AHEAD) * n->mel.mels);
	s->magnitude = floats(window * n->bins);
	s->spectrum = floats(window * n->bins * 2);
	s->old = floats(window * n->bins * 2);
	s->signal = floats(samples);
	s->weight = floats(samples);
	s->sum = floats(sum_size(n));
	s->sum_weight = floats(sum_size(n));
	s->frame = floats(n->mel.fft);
	if (s->mels && s->magnitude && s->spectrum && s->old && s->signal && s->weight && s->sum && s->sum_weight && s->frame)
		return SN_OK;
	stream_free(out);
	return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
}

static int stream_start(void *payload, const sn_vocoder_options *options, char *err) {
	stream *const s = payload;
	(void)err;
	s->held = s->next = s->pushed = s->out = s->ready = 0;
	s->kept = s->made = s->ended = 0;
	s->last = 0;
	memset(s->sum, 0, (size_t)sum_size(s->network) * sizeof *s->sum);
	memset(s->sum_weight, 0, (size_t)sum_size(s->network) * sizeof *s->sum_weight);
	vits_noise(options->seed, 0, 0, s->network->bins, s->noise);
	for (int k = 0; k < s->network->bins; k++) s->noise[k] *= (float)M_PI;
	return SN_OK;
}

static int stream_push(void *payload, const float *mel, int frames, int last, char *err) {
	stream *const s = payload;
	const size_t mels = (size_t)s->network->mel.mels;
	if (s->ended) return sn_fail(err, SN_E_CLOSED, "frames were pushed behind the last");
	if (s->held + frames > SN_VOCODER_MAX_PUSH + BLOCK + AHEAD) return SN_AGAIN;
	if (frames) memcpy(s->mels + (size_t)s->held * mels, mel, (size_t)frames * mels * sizeof *mel);
	s->held += frames;
	s->pushed += frames;
	s->ended = last;
	return SN_OK;
}

static int64_t take(stream *s, int64_t most, float *pcm) {
	const int64_t count = s->ready - s->out < most ? s->ready - s->out : most, left = sum_size(s->network) - count;
	for (int64_t i = 0; i < count; i++) {
		const float x = s->sum[i] / (s->sum_weight[i] > LEAST_WEIGHT ? s->sum_weight[i] : 1);
		pcm[i] = s->last = x + s->network->mel.preemphasis * s->last;
	}
	memmove(s->sum, s->sum + count, (size_t)left * sizeof *s->sum);
	memmove(s->sum_weight, s->sum_weight + count, (size_t)left * sizeof *s->sum_weight);
	memset(s->sum + left, 0, (size_t)count * sizeof *s->sum);
	memset(s->sum_weight + left, 0, (size_t)count * sizeof *s->sum_weight);
	s->out += count;
	return count;
}

static int64_t stream_next(void *payload, int most_frames, float *pcm, char *err) {
	stream *const s = payload;
	const int64_t most = (int64_t)most_frames * s->network->mel.hop;
	int64_t count = 0;
	(void)err;
	while (count < most && (s->ready > s->out || run_block(s))) count += take(s, most - count, pcm + count);
	return count;
}

static int stream_ended(const void *payload) {
	const stream *const s = payload;
	return s->ended && s->out == s->pushed * s->network->mel.hop;
}

static int stream_tensor(void *payload, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	(void)payload, (void)values, (void)rank, (void)dims;
	return sn_fail(err, SN_E_NOT_FOUND, "Griffin-Lim has no tensor '%s'", name);
}

/* ---- opening ---- */

static void network_close(void **payload) {
	network *const n = *payload;
	vocoder_stft_close(&n->stft);
	free(n->filters);
	free(n->first);
	free(n->last);
	free(n);
	*payload = NULL;
}

static const vocoder_class griffin_lim_class = { network_close, stream_new, stream_free, stream_start, stream_push, stream_next,
                                                 stream_ended, stream_tensor };

static const char *unstated(const sn_mel_layout *m) {
	if (m->sample_rate < 1000) return "sample rate";
	if (m->mels < 1 || m->mels > VOCODER_MAX_WIDTH) return "number of mels";
	if (m->fft < 4) return "transform";
	if (m->hop < 1) return "hop";
	if (m->window < 1) return "window";
	if (m->scale == SN_MEL_UNKNOWN) return "mel scale";
	if (m->log == SN_MEL_LOG_UNKNOWN) return "logarithm";
	return m->gain != 0 ? NULL : "factor of the logarithm";
}

static int check(const sn_mel_layout *m, char *err) {
	const char *const missing = unstated(m);
	const double high = m->high > 0 ? (double)m->high : m->sample_rate / 2.0;
	if (missing)
		return sn_fail(err, SN_E_ARGUMENT, "sound cannot be made of these spectrograms without a network: their %s is not stated",
		               missing);
	if (m->normalised > 1 || (m->normalised && !(m->max_norm > 0 && m->min_db < 0)))
		return sn_fail(err, SN_E_UNSUPPORTED,
		               "sound cannot be made of these spectrograms without a network: how they are normalised is not stated");
	if (!(m->low >= 0 && (double)m->low < high) || m->fft > VOCODER_STFT_MAX || m->fft > MAX_OVERLAP * m->hop || m->fft < 2 * m->hop)
		return sn_fail(err, SN_E_UNSUPPORTED,
		               "sound cannot be made of spectrograms from %g to %g Hz with frames of %d samples every %d; rising "
		               "frequencies and 2 to %d frames over each sample, of up to %d samples, are right", (double)m->low, high,
		               m->fft, m->hop, MAX_OVERLAP, VOCODER_STFT_MAX);
	return SN_OK;
}

int sn_vocoder_griffin_lim(sn_vocoder **out, const sn_mel_layout *mel, nn_pool *pool, char *err) {
	int code = check(mel, err);
	*out = NULL;
	(void)pool;
	if (code != SN_OK) return code;
	sn_vocoder *v = calloc(1, sizeof *v);
	network *const n = calloc(1, sizeof *n);
	if (!v || !n) {
		free(v);
		free(n);
		return sn_fail(err, SN_E_MEMORY, "out of memory for Griffin-Lim");
	}
	v->class = &griffin_lim_class;
	v->network = n;
	v->facts = (sn_vocoder_facts){ .architecture = "griffin-lim", .sample_rate = mel->sample_rate, .hop = mel->hop, .mel = *mel };
	n->mel = *mel;
	n->bins = mel->fft / 2 + 1;
	n->before = (mel->fft + mel->hop - 1) / mel->hop;
	n->filters = floats((int64_t)mel->mels * n->bins);
	n->first = calloc((size_t)mel->mels, sizeof *n->first);
	n->last = calloc((size_t)mel->mels, sizeof *n->last);
	code = n->filters && n->first && n->last ? vocoder_stft_open(&n->stft, mel->fft, mel->hop, mel->window, err)
	                                                     : sn_fail(err, SN_E_MEMORY, "out of memory for Griffin-Lim");
	if (code == SN_OK) make_filters(n);
	else sn_vocoder_close(&v);
	*out = v;
	return code;
}
