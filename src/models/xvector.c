#include "models/xvector.h"

#include "audio/resample.h"
#include "audio/spectrum.h"
#include "base/ascii.h"
#include "base/map.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define MAX_BLOCKS 32
#define MAX_WIDTH 16384
#define MAX_YAML ((size_t)1 << 20)
#define THREADS 2              /* of one embedding, which may be made beside a running engine */
#define MAX_DECIBELS 80        /* below a clip's loudest value, all is as loud */
#define DEVIATION_FLOOR 1e-5f  /* added by the reference's pooling */
#define BATCH_NORM_EPS 1e-5f
#define LEAK 0.01f             /* torch's LeakyReLU */

/* Dilations stand nowhere but in the YAML file; channels and kernels are the weights' shapes. */
typedef struct settings {
	int sample_rate, fft, window, hop; /* samples */
	int64_t most;                      /* frames of a clip */
	int mels, blocks, channels, width; /* channels: of the last block; width: of the embedding */
	int reach[MAX_BLOCKS], dilations[MAX_BLOCKS], kernels[MAX_BLOCKS];
	double low, high;                  /* Hz; high 0: half the rate */
	int std_norm;
} settings;

struct sn_xvector {
	settings s;
	sn_weights *weights;
	sn_spectrum *spectrum;
	nn_plan *plan;
};

/* ---- hyperparams.yaml ---- */

/* What follows "key:" at the start of some line, after its indentation; NULL when no line has it. */
static const char *value_of(const char *text, const char *key) {
	const size_t length = strlen(key);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		while (*line == '\n' || *line == ' ' || *line == '-') line++;
		if (strncmp(line, key, length) != 0 || line[length] != ':') continue;
		line += length + 1;
		return line + strspn(line, " ");
	}
	return NULL;
}

/* A number; a key whose value is a reference ("!ref <n_mels>") or nothing keeps the default. */
static int read_number(const char *text, const char *key, double least, double most, double *out, const char *file, char *err) {
	const char *const at = value_of(text, key);
	if (!at || !(isdigit((unsigned char)*at) || *at == '-' || *at == '.')) return SN_OK;
	const double value = sn_number(at, NULL);
	if (!(value >= least && value <= most))
		return sn_fail(err, SN_E_MODEL, "%s: '%s' is %g; it must lie between %g and %g", file, key, value, least, most);
	*out = value;
	return SN_OK;
}

/* "[1, 2, 3]" */
static int read_dilations(settings *s, const char *text, const char *file, char *err) {
	const char *at = value_of(text, "tdnn_dilations");
	int count = 0;
	if (!at) return SN_OK;
	if (*at++ != '[') return sn_fail(err, SN_E_MODEL, "%s: 'tdnn_dilations' must be a list in brackets", file);
	while (count < MAX_BLOCKS) {
		char *end;
		const long value = strtol(at, &end, 10);
		if (end == at || value < 1 || value > 1024)
			return sn_fail(err, SN_E_MODEL, "%s: 'tdnn_dilations'[%d] must be a number from 1 to 1024", file, count);
		s->dilations[count++] = (int)value;
		at = end + strspn(end, " ");
		if (*at++ != ',') break;
	}
	if (at[-1] != ']') return sn_fail(err, SN_E_MODEL, "%s: 'tdnn_dilations' must be a list of at most %d numbers", file, MAX_BLOCKS);
	memset(s->dilations + count, 0, sizeof s->dilations - (size_t)count * sizeof *s->dilations);
	return SN_OK;
}

static int parse(settings *s, const char *text, const char *file, char *err) {
	double rate = 16000, fft = 400, window = 25, hop = 10, mels = s->mels;
	int code = read_number(text, "sample_rate", 1000, 384000, &rate, file, err);
	if (code == SN_OK) code = read_number(text, "n_fft", 16, SN_SPECTRUM_MAX_FFT, &fft, file, err);
	if (code == SN_OK) code = read_number(text, "win_length", 1, 1000, &window, file, err);
	if (code == SN_OK) code = read_number(text, "hop_length", 5, 1000, &hop, file, err);
	if (code == SN_OK) code = read_number(text, "f_min", 0, 192000, &s->low, file, err);
	if (code == SN_OK) code = read_number(text, "f_max", 0, 192000, &s->high, file, err);
	if (code == SN_OK) code = read_number(text, "n_mels", 1, SN_SPECTRUM_MAX_MELS, &mels, file, err);
	if (code == SN_OK) code = read_dilations(s, text, file, err);
	if (code != SN_OK) return code;
	if ((int)mels != s->mels)
		return sn_fail(err, SN_E_MODEL, "%s: 'n_mels' is %d, but the weights take %d values a frame", file, (int)mels, s->mels);
	const char *const normal = value_of(text, "std_norm"), *const act = value_of(text, "activation");
	s->std_norm = normal && sn_tolower((unsigned char)*normal) == 't';
	if (act && strncmp(act, "!name:torch.nn.LeakyReLU", 24) != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: 'activation' is %.40s; !name:torch.nn.LeakyReLU is known", file, act);
	s->sample_rate = (int)rate;
	s->fft = (int)fft;
	s->window = (int)lrint(rate / 1000 * window);
	s->hop = (int)lrint(rate / 1000 * hop);
	s->most = (int64_t)SN_XVECTOR_MAX_SECONDS * s->sample_rate / s->hop + 1;
	return SN_OK;
}

static int join(char out[PATH_BYTES], const char *dir, const char *name, char *err) {
	if (snprintf(out, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES) return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long; at most %d bytes are allowed", dir, PATH_BYTES - 1);
}

/* The published one's values hold where there is no such file. */
static int read_yaml(settings *s, const char *dir, char *err) {
	char path[PATH_BYTES];
	sn_map map;
	char *text = NULL;
	int code = join(path, dir, "hyperparams.yaml", err);
	if (code != SN_OK || access(path, F_OK) != 0) return code == SN_OK ? parse(s, "", path, err) : code;
	code = sn_map_open(&map, path, err);
	if (code != SN_OK) return code;
	if (map.size > MAX_YAML) code = sn_fail(err, SN_E_LIMIT, "%s has %zu bytes; at most %zu are read", path, map.size, MAX_YAML);
	else if (!(text = strndup(map.size ? (const char *)map.data : "", map.size))) code = sn_fail(err, SN_E_MEMORY, "out of memory");
	if (code == SN_OK) code = parse(s, text, path, err);
	free(text);
	sn_map_close(&map);
	return code;
}

/* ---- weights ---- */

static const sn_weight *find(const sn_xvector *x, int layer, const char *tail) {
	char name[64];
	snprintf(name, sizeof name, "blocks.%d.%s", layer, tail);
	return sn_weights_find(x->weights, name);
}

/* Blocks of a convolution, an activation and a batch norm; then the pooling, which has no weights, and the linear layer. */
static int read_shapes(sn_xvector *x, char *err) {
	settings *const s = &x->s;
	const sn_weight *w;
	while (s->blocks < MAX_BLOCKS && (w = find(x, 3 * s->blocks, "conv.weight"))) {
		if (w->rank != 3 || w->dims[0] < 1 || w->dims[0] > MAX_WIDTH || w->dims[1] < 1 || w->dims[1] > MAX_WIDTH || w->dims[2] < 1 ||
		    w->dims[2] > 255)
			return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' is no convolution of up to %d channels and 255 taps", sn_weights_path(x->weights),
			               w->name, MAX_WIDTH);
		if (!s->blocks) s->mels = (int)w->dims[1];
		s->channels = (int)w->dims[0];
		s->kernels[s->blocks++] = (int)w->dims[2];
	}
	w = find(x, 3 * s->blocks + 1, "w.weight");
	if (!s->blocks || s->mels > SN_SPECTRUM_MAX_MELS || !w || w->rank != 2 || w->dims[0] < 1 || w->dims[0] > MAX_WIDTH)
		return sn_fail(err, SN_E_MODEL, "%s holds no x-vector encoder: blocks.0.conv.weight [channels, mels, taps] to blocks.%d.w.weight "
		               "[embedding, 2 * channels] are needed", sn_weights_path(x->weights), 3 * s->blocks + 1);
	s->width = (int)w->dims[0];
	return SN_OK;
}

static int check_reach(settings *s, const char *dir, char *err) {
	for (int i = 0; i < s->blocks; i++) {
		if (!s->dilations[i]) return sn_fail(err, SN_E_MODEL, "%s: 'tdnn_dilations' has no value for block %d of %d", dir, i, s->blocks);
		s->reach[i] = s->dilations[i] * (s->kernels[i] - 1) / 2;
		if (s->reach[i] > 1024)
			return sn_fail(err, SN_E_MODEL, "%s: block %d reaches %d frames to each side; at most 1024", dir, i, s->reach[i]);
	}
	return SN_OK;
}

/* ---- the graph ---- */

static nn_t weight(const sn_xvector *x, nn_graph *g, int layer, const char *tail, int rank, const int64_t *dims) {
	char name[64];
	snprintf(name, sizeof name, "blocks.%d.%s", layer, tail);
	return nn_weight_shaped(g, x->weights, name, rank, dims);
}

/* [frames, in] -> [frames, out]; the clip's mirror image lies around it */
static nn_t block(const sn_xvector *x, nn_graph *g, nn_t h, int index, int64_t in) {
	const settings *const s = &x->s;
	const int64_t out = find(x, 3 * index, "conv.weight")->dims[0];
	const nn_t w = weight(x, g, 3 * index, "conv.weight", 3, (int64_t[]){ out, in, s->kernels[index] });
	const nn_t b = weight(x, g, 3 * index, "conv.bias", 1, &out);
	if (s->reach[index]) h = nn_pad_rows(g, h, s->reach[index], s->reach[index], NN_PAD_REFLECT);
	h = nn_unary(g, NN_LEAKY_RELU, nn_conv1d(g, h, w, b, (nn_conv){ .dilation = s->dilations[index] }), LEAK);
	const nn_t gamma = weight(x, g, 3 * index + 2, "norm.weight", 1, &out), beta = weight(x, g, 3 * index + 2, "norm.bias", 1, &out);
	const nn_t mean = weight(x, g, 3 * index + 2, "norm.running_mean", 1, &out);
	const nn_t variance = weight(x, g, 3 * index + 2, "norm.running_var", 1, &out);
	const nn_t scale = nn_binary(g, NN_DIV, gamma, nn_unary(g, NN_SQRT, nn_affine(g, variance, 1, BATCH_NORM_EPS), 0));
	const nn_t shift = nn_binary(g, NN_SUB, beta, nn_binary(g, NN_MUL, mean, scale));
	h = nn_binary(g, NN_ADD, nn_binary(g, NN_MUL, h, scale), shift);
	return nn_name(g, h, "block%d_out", index);
}

/* Mean and unbiased deviation of each column, [1, 2 * channels]. The reference adds noise of at most 9e-5 to the mean, which is left
 * out here. correction [1]: T / (T - 1) */
static nn_t pool(nn_graph *g, nn_t h) {
	const nn_t correction = nn_input(g, "correction", NN_F32, 1, (nn_dim[]){ nn_fix(1) });
	const nn_t mean = nn_mean_rows(g, h), off = nn_binary(g, NN_SUB, h, mean);
	const nn_t variance = nn_binary(g, NN_MUL, nn_mean_rows(g, nn_binary(g, NN_MUL, off, off)), correction);
	return nn_name(g, nn_concat_cols(g, mean, nn_affine(g, nn_unary(g, NN_SQRT, variance, 0), 1, DEVIATION_FLOOR)), "pooled");
}

static void record(const sn_xvector *x, nn_graph *g) {
	const settings *const s = &x->s;
	const int64_t width = s->width;
	const nn_dim frames = nn_symbol(g, "frames", s->most);
	nn_t h = nn_input(g, "features", NN_F32, 2, (nn_dim[]){ frames, nn_fix(s->mels) });
	h = s->std_norm ? nn_norm_rows(g, h, NN_NONE, NN_NONE, 0) : nn_binary(g, NN_SUB, h, nn_mean_rows(g, h));
	nn_name(g, h, "normalised");
	int64_t in = s->mels;
	for (int i = 0; i < s->blocks; i++) {
		h = block(x, g, h, i, in);
		in = find(x, 3 * i, "conv.weight")->dims[0];
	}
	const nn_t w = weight(x, g, 3 * s->blocks + 1, "w.weight", 2, (int64_t[]){ width, 2 * in });
	nn_output(g, nn_linear(g, pool(g, h), w, weight(x, g, 3 * s->blocks + 1, "w.bias", 1, &width)), "embedding");
}

/* ---- opening ---- */

int sn_xvector_accepts(const char *dir) {
	char path[PATH_BYTES];
	sn_weights *weights = NULL;
	if (join(path, dir, "embedding_model.ckpt", NULL) != SN_OK || access(path, F_OK) != 0 || sn_weights_open(&weights, path, NULL) != SN_OK)
		return 0;
	const int yes = sn_weights_find(weights, "blocks.0.conv.weight") != NULL;
	sn_weights_close(&weights);
	return yes;
}

static int open_spectrum(sn_xvector *x, char *err) {
	const settings *const s = &x->s;
	const sn_spectrum_options options = {
		.sample_rate = s->sample_rate, .fft = s->fft, .hop = s->hop, .window_size = s->window, .window = SN_WINDOW_HAMMING,
		.pad = SN_SPECTRUM_PAD_ZERO, .power = 2, .mels = s->mels, .low = (float)s->low, .high = (float)s->high, .scale = SN_SCALE_HTK, .filter_symmetric = 1,
		.log = SN_SPECTRUM_LOG_10, .floor = 1e-10f, .gain = 10,
	};
	return sn_spectrum_open(&x->spectrum, &options, err);
}

static int load_all(sn_xvector *x, const sn_load_options *load, char *err) {
	char path[PATH_BYTES];
	int code = join(path, load->dir, "embedding_model.ckpt", err);
	if (code == SN_OK) code = sn_weights_open(&x->weights, path, err);
	if (code == SN_OK) code = read_shapes(x, err);
	if (code == SN_OK) code = read_yaml(&x->s, load->dir, err);
	if (code == SN_OK) code = check_reach(&x->s, load->dir, err);
	if (code == SN_OK) code = open_spectrum(x, err);
	if (code != SN_OK) return code;
	nn_graph *g = nn_graph_new("xvector");
	if (!g) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	record(x, g);
	/* Embeddings are made once for a voice: never in less than full precision. */
	const nn_plan_options options = { .backend = load->backend, .exports = load->exports, .dtype = NN_DTYPE_F32, .debug = load->debug };
	code = nn_plan_compile(&x->plan, g, &options, err);
	nn_graph_free(&g);
	return code;
}

int sn_xvector_open(sn_xvector **out, const sn_load_options *load, char *err) {
	sn_xvector *const x = *out = calloc(1, sizeof *x);
	if (!x) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	memcpy(x->s.dilations, (int[]){ 1, 2, 3, 1, 1 }, 5 * sizeof(int));
	const int code = load_all(x, load, err);
	if (code != SN_OK) sn_xvector_close(out);
	return code;
}

void sn_xvector_close(sn_xvector **xvector) {
	sn_xvector *const x = *xvector;
	if (!x) return;
	nn_plan_release(&x->plan);
	sn_spectrum_close(&x->spectrum);
	sn_weights_close(&x->weights);
	free(x);
	*xvector = NULL;
}

int sn_xvector_width(const sn_xvector *xvector) { return xvector->s.width; }

/* ---- embedding ---- */

/* In decibels, at most so many below the loudest. */
static void limit_range(float *values, int64_t count) {
	float most = -INFINITY;
	for (int64_t i = 0; i < count; i++) most = fmaxf(most, values[i]);
	for (int64_t i = 0; i < count; i++) values[i] = fmaxf(values[i], most - MAX_DECIBELS);
}

int sn_xvector_features(const sn_xvector *x, const float *pcm, int64_t count, int sample_rate, float **features, int64_t *frames,
                        char *err) {
	const int rate = x->s.sample_rate;
	float *resampled = NULL;
	size_t size = 0;
	*features = NULL;
	if (count < sample_rate / 2)
		return sn_fail(err, SN_E_ARGUMENT, "the clip has %.2f s; a voice needs at least 0.5 s",
		               (double)count / (sample_rate > 0 ? sample_rate : 1));
	if (count > (int64_t)SN_XVECTOR_MAX_SECONDS * sample_rate) count = (int64_t)SN_XVECTOR_MAX_SECONDS * sample_rate;
	for (int64_t i = 0; i < count; i++)
		if (!isfinite(pcm[i])) return sn_fail(err, SN_E_FORMAT, "sample %lld of the clip is not a number", (long long)i);
	if (sample_rate != rate) {
		const int code = sn_resample(pcm, (size_t)count, sample_rate, rate, &resampled, &size, err);
		if (code != SN_OK) return code;
		count = (int64_t)size < (int64_t)SN_XVECTOR_MAX_SECONDS * rate ? (int64_t)size : (int64_t)SN_XVECTOR_MAX_SECONDS * rate;
	}
	*frames = sn_spectrum_frames(x->spectrum, count);
	*features = malloc((size_t)*frames * (size_t)x->s.mels * sizeof **features + 1);
	int code = *features ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory for a clip of %lld samples", (long long)count);
	if (code == SN_OK) code = sn_spectrum_run(x->spectrum, resampled ? resampled : pcm, count, *features, err);
	free(resampled);
	if (code == SN_OK) limit_range(*features, *frames * x->s.mels);
	if (code == SN_OK) return SN_OK;
	free(*features);
	*features = NULL;
	return code;
}

/* A pool and an exec of its own: the engine's are busy, or not this thread's. */
int sn_xvector_run(const sn_xvector *x, const float *features, int64_t frames, float *embedding,
                   void (*look)(void *payload, nn_exec *exec), void *payload, char *err) {
	nn_pool *pool = NULL;
	nn_exec *exec = NULL;
	if (frames < 2 || frames > x->s.most)
		return sn_fail(err, SN_E_ARGUMENT, "%lld frames make no voice; 2 to %lld do", (long long)frames, (long long)x->s.most);
	int code = nn_pool_open(&pool, THREADS, err);
	if (code == SN_OK) code = nn_exec_new(&exec, x->plan, pool, err);
	if (code == SN_OK) {
		nn_exec_set(exec, "frames", frames);
		memcpy(nn_exec_input(exec, "features"), features, (size_t)(frames * x->s.mels) * sizeof *features);
		*nn_exec_input(exec, "correction") = (float)frames / (float)(frames - 1);
		code = nn_exec_run(exec, err);
		memcpy(embedding, nn_exec_output(exec, "embedding", NULL), (size_t)x->s.width * sizeof *embedding);
		if (look) look(payload, exec);
	}
	nn_exec_free(&exec);
	nn_pool_close(&pool);
	for (int i = 0; code == SN_OK && i < x->s.width; i++)
		if (!isfinite(embedding[i])) code = sn_fail(err, SN_E_MODEL, "value %d of the embedding is not a number: are the weights sound?", i);
	return code;
}

int sn_xvector_embed(const sn_xvector *x, const float *pcm, int64_t count, int sample_rate, float *embedding, char *err) {
	float *features;
	int64_t frames;
	int code = sn_xvector_features(x, pcm, count, sample_rate, &features, &frames, err);
	if (code == SN_OK) code = sn_xvector_run(x, features, frames, embedding, NULL, NULL, err);
	free(features);
	return code;
}
