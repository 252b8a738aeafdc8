#include "models/waveglow_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the configuration states ---- */

/* A number of the configuration: of the JSON file, of the dictionary beside the weights, or of the pickled module. */
static int stated(const vocoder_files *f, const sn_weights *file, const char *key, double *value) {
	static const char *const places[] = { "config.", "model." };
	const json_t *at = f->params;
	char path[96];
	for (const char *part = key; at && part; part = strchr(part, '.') ? strchr(part, '.') + 1 : NULL) {
		snprintf(path, sizeof path, "%.*s", (int)strcspn(part, "."), part);
		at = json_object_get(at, path);
	}
	if (json_is_number(at)) {
		*value = json_number_value(at);
		return 1;
	}
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		snprintf(path, sizeof path, "%s%s", places[i], key);
		if (sn_weights_number(file, path, value)) return 1;
	}
	return 0;
}

typedef struct agreement {
	const vocoder_files *files;
	const sn_weights *file;
	int code;
	char *err;
} agreement;

static void agree(agreement *a, const char *key, int64_t found) {
	double value;
	if (a->code != SN_OK || !stated(a->files, a->file, key, &value) || value == (double)found) return;
	a->code = sn_fail(a->err, SN_E_MODEL, "%s: the configuration's '%s' is %g, but the weights' shapes say %lld",
	                  sn_weights_path(a->file), key, value,
	                  (long long)found);
}

/* Channels leave the audio early before every flow whose number is a multiple of n_early_every, the first excepted. */
static void agree_early(agreement *a, const waveglow_weights *w) {
	double every, size;
	if (!stated(a->files, a->file, "n_early_every", &every) || !stated(a->files, a->file, "n_early_size", &size)) return;
	for (int i = 1; i < w->flows && a->code == SN_OK; i++) {
		const int leave = w->flow[i - 1].channels - w->flow[i].channels, expected = every >= 1 && fmod(i, every) == 0 ? (int)size : 0;
		if (leave != expected)
			a->code = sn_fail(a->err, SN_E_MODEL,
			                  "%s: by the weights' shapes %d channels leave before flow %d; with 'n_early_every' %g and 'n_early_size' %g "
			                  "that would be %d", sn_weights_path(a->file), leave, i, every, size, expected);
	}
}

static int check_config(const waveglow_weights *w, const sn_weights *file, const vocoder_files *f, char *err) {
	agreement a = { f, file, SN_OK, err };
	int64_t hop = WAVEGLOW_HOP;
	agree(&a, "n_mel_channels", w->mels);
	agree(&a, "n_flows", w->flows);
	agree(&a, "n_group", w->group);
	agree_early(&a, w);
	agree(&a, "WN_config.n_layers", w->flow[0].layers);
	agree(&a, "WN_config.n_channels", w->width);
	agree(&a, "WN_config.kernel_size", w->flow[0].in[0].kernel);
	if (a.code == SN_OK)
		a.code = sn_json_int(json_object_get(f->root, "data_config"), "hop_length", 1, 1 << 20, &hop, f->config, err);
	if (a.code == SN_OK && hop != WAVEGLOW_HOP)
		return sn_fail(err, SN_E_MODEL, "%s: 'hop_length' is %lld, but WaveGlow makes %d samples of a frame", f->config,
		               (long long)hop, WAVEGLOW_HOP);
	return a.code;
}

/* ---- tensors ---- */

/* Gauss and Jordan with pivots, in double. 0: the matrix has no inverse. */
static int invert(const float *from, int n, float *to) {
	double m[WAVEGLOW_MAX_GROUP][2 * WAVEGLOW_MAX_GROUP];
	for (int i = 0; i < n; i++)
		for (int j = 0; j < 2 * n; j++) m[i][j] = j < n ? (double)from[i * n + j] : j - n == i;
	for (int i = 0; i < n; i++) {
		int best = i;
		for (int r = i + 1; r < n; r++) best = fabs(m[r][i]) > fabs(m[best][i]) ? r : best;
		if (!(fabs(m[best][i]) > 1e-12) || !isfinite(m[best][i])) return 0;
		for (int j = 0; j < 2 * n; j++) {
			const double kept = m[i][j];
			m[i][j] = m[best][j];
			m[best][j] = kept;
		}
		const double pivot = m[i][i];
		for (int j = 0; j < 2 * n; j++) m[i][j] /= pivot;
		for (int r = 0; r < n; r++) {
			const double factor = m[r][i];
			for (int j = 0; j < 2 * n && r != i; j++) m[r][j] -= factor * m[i][j];
		}
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) to[i * n + j] = (float)m[i][n + j];
	return 1;
}

static void bind_inverse(vocoder_binder *b, waveglow_weights *w, int index) {
	waveglow_flow *const f = &w->flow[index];
	float values[WAVEGLOW_MAX_GROUP * WAVEGLOW_MAX_GROUP];
	char name[64];
	vocoder_conv conv;
	vocoder_bind_conv(b, &conv, (vocoder_conv_shape){ .out = VOCODER_ANY, .in = VOCODER_ANY, .kernel = 1, .bare = 1 },
	                  "convinv.%d.conv", index);
	if (b->code != SN_OK) return;
	snprintf(name, sizeof name, "convinv.%d.conv.weight", index);
	const int before = index ? w->flow[index - 1].channels : WAVEGLOW_MAX_GROUP;
	if (!conv.weight || conv.out != conv.in || conv.out % 2 || conv.out > before) {
		vocoder_bind_fail(b, name, "is no square matrix with an even number of rows, at most as many as before", "up to 64 rows");
		return;
	}
	f->channels = (int)conv.out;
	sn_weight_floats(conv.weight, 0, conv.out * conv.out, values);
	if (!invert(values, f->channels, f->inverse)) vocoder_bind_fail(b, name, "has no inverse", "one that can be inverted");
}

static void bind_flow(vocoder_binder *b, waveglow_weights *w, int index) {
	waveglow_flow *const f = &w->flow[index];
	const int64_t half = f->channels / 2, wide = (int64_t)w->mels * w->group;
	int64_t dilation = 1;
	vocoder_bind_conv(b, &f->start, (vocoder_conv_shape){ .out = index ? w->width : VOCODER_ANY, .in = half, .kernel = 1 },
	                  "WN.%d.start", index);
	if (b->code != SN_OK) return;
	const int64_t width = w->width = (int)f->start.out;
	for (f->layers = 0; f->layers <= WAVEGLOW_MAX_LAYERS && vocoder_has(b, "WN.%d.in_layers.%d", index, f->layers);) f->layers++;
	if (f->layers < 1 || f->layers > WAVEGLOW_MAX_LAYERS || (index && f->layers != w->flow[0].layers)) {
		char name[64], found[64];
		snprintf(name, sizeof name, "WN.%d.in_layers", index);
		snprintf(found, sizeof found, "has %d layers", f->layers);
		vocoder_bind_fail(b, name, found, "1 to 16, and as many as the first flow");
		return;
	}
	for (int i = 0; i < f->layers && b->code == SN_OK; i++, dilation *= 2) {
		const int64_t kernel = index || i ? w->flow[0].in[0].kernel : VOCODER_ANY;
		vocoder_bind_conv(b, &f->in[i],
		                  (vocoder_conv_shape){ .out = 2 * width, .in = width, .kernel = kernel, .dilation = (int)dilation },
		                  "WN.%d.in_layers.%d", index, i);
		vocoder_bind_conv(b, &f->skip[i],
		                  (vocoder_conv_shape){ .out = i + 1 < f->layers ? 2 * width : width, .in = width, .kernel = 1 },
		                  "WN.%d.res_skip_layers.%d", index, i);
	}
	vocoder_bind_conv(b, &f->end, (vocoder_conv_shape){ .out = 2 * half, .in = width, .kernel = 1 }, "WN.%d.end", index);
	vocoder_bind_conv(b, &f->cond, (vocoder_conv_shape){ .out = 2 * width * f->layers, .in = wide, .kernel = 1 },
	                  "WN.%d.cond_layer", index);
}

static void bind_upsample(vocoder_binder *b, waveglow_weights *w) {
	vocoder_bind_conv(b, &w->upsample,
	                  (vocoder_conv_shape){ .out = VOCODER_ANY, .in = VOCODER_ANY, .kernel = VOCODER_ANY, .transposed = 1 },
	                  "upsample");
	if (b->code != SN_OK) return;
	w->mels = (int)w->upsample.in;
	w->kernel = w->upsample.kernel;
	if (!w->upsample.weight || w->upsample.out != w->upsample.in || w->kernel < WAVEGLOW_HOP || w->kernel % w->group ||
	    w->mels > 512)
		vocoder_bind_fail(b, "upsample.weight", "does not give each mel its samples",
		                  "[mels, mels, kernel], up to 512 mels, a kernel of at least 256");
	if (b->code == SN_OK && WAVEGLOW_HOP % w->group)
		b->code = sn_fail(b->err, SN_E_UNSUPPORTED, "%s: groups of %d samples do not divide a frame of %d; 2, 4, 8, ... are supported",
		                  sn_weights_path(b->file), w->group, WAVEGLOW_HOP);
}

int waveglow_bind(waveglow_weights *w, const sn_weights *file, const vocoder_files *files, char *err) {
	vocoder_binder b;
	*w = (waveglow_weights){ 0 };
	if (!vocoder_binder_open(&b, file, NULL, "WN.0.start", err))
		return sn_fail(err, SN_E_MODEL, "%s: tensor 'WN.0.start.weight' is missing; WaveGlow has it", sn_weights_path(file));
	while (w->flows <= WAVEGLOW_MAX_FLOWS && vocoder_has(&b, "convinv.%d", w->flows)) w->flows++;
	if (w->flows > WAVEGLOW_MAX_FLOWS || vocoder_has(&b, "WN.%d.start", w->flows))
		vocoder_bind_fail(&b, "convinv", "and 'WN' differ in number or are too many", "as many of both, up to 32");
	for (int i = 0; i < w->flows && b.code == SN_OK; i++) bind_inverse(&b, w, i);
	w->group = w->flow[0].channels;
	if (b.code == SN_OK) bind_upsample(&b, w);
	for (int i = 0; i < w->flows && b.code == SN_OK; i++) bind_flow(&b, w, i);
	w->parameters = b.parameters;
	return b.code == SN_OK ? check_config(w, file, files, err) : b.code;
}
