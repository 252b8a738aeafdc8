/* MelGAN (Kumar et al. 2019) and multi-band MelGAN (Yang et al. 2020), as Coqui stores them: layers numbered in one sequence;
 * upsamplings, each followed by dilated residual layers, all mirrored at the utterance's ends. The bands are joined by a pseudo
 * quadrature mirror filter. */
#include "models/vocoder_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOPE 0.2f
#define PADDING 2 /* frames repeated at each end */

typedef struct upsampling {
	vocoder_conv conv;
	int64_t stride, left, right;
	vocoder_conv dilated[VOCODER_MAX_DEPTH], pointwise[VOCODER_MAX_DEPTH], shortcut[VOCODER_MAX_DEPTH];
} upsampling;

typedef struct melgan {
	int stages, depth, bands;
	int64_t rates[VOCODER_MAX_STAGES];
	vocoder_conv pre, post;
	upsampling ups[VOCODER_MAX_STAGES];
	const sn_weight *filter; /* [1, bands, taps]: synthesis, or NULL */
} melgan;

static int parse(melgan *m, const vocoder_files *f, char *err) {
	const int code = vocoder_need_int(f->params, "num_res_blocks", 1, VOCODER_MAX_DEPTH, &m->depth, f->config, err);
	if (code != SN_OK) return code;
	m->stages = 0;
	const int listed = sn_json_ints(f->params, "upsample_factors", 1, VOCODER_MAX_KERNEL / 2, m->rates, VOCODER_MAX_STAGES,
	                                &m->stages, f->config, err);
	if (listed != SN_OK) return listed;
	return m->stages ? SN_OK : sn_fail(err, SN_E_MODEL, "%s: 'upsample_factors' is missing", f->config);
}

/* ---- weights ---- */

static void bind_stack(vocoder_binder *b, const melgan *m, upsampling *u, int layer) {
	const int64_t channels = u->conv.out;
	int64_t dilation = 1;
	for (int i = 0; i < m->depth && b->code == SN_OK; i++) {
		const vocoder_conv_shape point = { .out = channels, .in = channels, .kernel = 1 };
		const vocoder_conv_shape want = { .out = channels, .in = channels, .kernel = i ? u->dilated[0].kernel : VOCODER_ANY,
		                                  .dilation = (int)dilation };
		vocoder_bind_conv(b, &u->dilated[i], want, "layers.%d.blocks.%d.2", layer, i);
		vocoder_bind_conv(b, &u->pointwise[i], point, "layers.%d.blocks.%d.4", layer, i);
		vocoder_bind_conv(b, &u->shortcut[i], point, "layers.%d.shortcuts.%d", layer, i);
		dilation = dilation * u->dilated[0].kernel > VOCODER_MAX_KERNEL ? VOCODER_MAX_KERNEL : dilation * u->dilated[0].kernel;
	}
	if (b->code == SN_OK && vocoder_has(b, "layers.%d.blocks.%d.2", layer, m->depth)) {
		char name[64];
		snprintf(name, sizeof name, "layers.%d.blocks.%d.2", layer, m->depth);
		vocoder_bind_fail(b, name, "is there too", "no more than 'num_res_blocks'");
	}
}

static void bind_filter(vocoder_binder *b, melgan *m) {
	m->filter = vocoder_bind(b, "pqmf_layer.G", 3, (int64_t[]){ 1, m->bands, VOCODER_ANY });
	if (m->filter && (m->filter->dims[2] % 2 == 0 || m->filter->dims[2] > VOCODER_MAX_KERNEL))
		vocoder_bind_fail(b, m->filter->name, "has an even number of taps or more than 4096", "an odd number");
}

static void bind(vocoder_binder *b, melgan *m, int multiband) {
	vocoder_bind_conv(b, &m->pre, (vocoder_conv_shape){ .out = VOCODER_ANY, .in = VOCODER_ANY, .kernel = VOCODER_ANY }, "layers.1");
	for (int i = 0; i < m->stages && b->code == SN_OK; i++) {
		upsampling *const u = &m->ups[i];
		const int64_t rate = u->stride = m->rates[i];
		const vocoder_conv_shape want = { .out = VOCODER_ANY, .in = i ? m->ups[i - 1].conv.out : m->pre.out, .kernel = 2 * rate,
		                                  .transposed = 1 };
		vocoder_bind_conv(b, &u->conv, want, "layers.%d", 3 * i + 3);
		u->left = rate / 2 + rate % 2;
		u->right = u->left - rate % 2; /* an odd rate's output padding */
		bind_stack(b, m, u, 3 * i + 4);
	}
	if (b->code != SN_OK) return;
	vocoder_bind_conv(b, &m->post,
	                  (vocoder_conv_shape){ .out = multiband ? VOCODER_ANY : 1, .in = m->ups[m->stages - 1].conv.out,
	                                        .kernel = VOCODER_ANY },
	                  "layers.%d", 3 * m->stages + 4);
	m->bands = (int)m->post.out;
	if (multiband && b->code == SN_OK) bind_filter(b, m);
}

/* ---- the network ---- */

static nn_t leaky(nn_graph *g, nn_t x) { return nn_unary(g, NN_LEAKY_RELU, x, SLOPE); }

/* The bands' rows become samples: zeros between them, times the filter; the sum over bands and taps is one transposed convolution,
 * whose kernel is the filter reversed. A row's worth of zeros behind it keeps the length a multiple. */
static nn_t synthesis(const melgan *m, nn_graph *g, nn_t x) {
	const int64_t taps = m->filter->dims[2], kernel = taps + m->bands - 1, dims[] = { m->bands, 1, kernel };
	float *const w = calloc((size_t)(m->bands * kernel), sizeof *w);
	float *const filter = malloc((size_t)(m->bands * taps) * sizeof *filter);
	nn_t weight = NN_NONE;
	if (w && filter) {
		sn_weight_floats(m->filter, 0, m->bands * taps, filter);
		for (int64_t band = 0; band < m->bands; band++)
			for (int64_t i = 0; i < taps; i++) w[band * kernel + i] = (float)m->bands * filter[band * taps + taps - 1 - i];
		weight = nn_const(g, "pqmf", 3, dims, w);
	}
	free(w);
	free(filter);
	return nn_conv_transpose1d(g, x, weight, NN_NONE, m->bands, (int)(taps / 2));
}

static nn_t record(void *payload, nn_graph *g, int stage, nn_t x) {
	const melgan *const m = payload;
	if (stage == m->stages) return synthesis(m, g, x);
	const upsampling *const u = &m->ups[stage];
	if (stage == 0) x = vocoder_record_conv(g, &m->pre, x, 1);
	x = nn_conv_transpose1d(g, leaky(g, x), vocoder_weight(g, &u->conv), vocoder_bias(g, &u->conv), (int)u->stride, (int)u->right);
	if (u->left > u->right) x = nn_trim_rows(g, x, u->left - u->right, 0);
	for (int i = 0; i < m->depth; i++) {
		nn_t y = vocoder_record_conv(g, &u->dilated[i], leaky(g, x), 1);
		y = vocoder_record_conv(g, &u->pointwise[i], leaky(g, y), 1);
		x = nn_binary(g, NN_ADD, vocoder_record_conv(g, &u->shortcut[i], x, 1), y);
	}
	if (stage + 1 < m->stages) return x;
	return nn_name(g, nn_unary(g, NN_TANH, vocoder_record_conv(g, &m->post, leaky(g, x), 1), 0), "bands");
}

static int describe(const melgan *m, sn_generator_shape *shape, const char *path, char *err) {
	int64_t hop = m->filter ? m->bands : 1;
	*shape = (sn_generator_shape){ .name = "melgan", .stages = m->stages };
	for (int i = 0; i < m->stages; i++) {
		const upsampling *const u = &m->ups[i];
		const int last = i + 1 == m->stages;
		sn_generator_stage *const s = &shape->stage[i];
		*s = (sn_generator_stage){ .in = i ? u->conv.in : m->pre.in, .out = last ? m->bands : u->conv.out, .widest = u->conv.out,
		                           .before = i ? 0 : vocoder_conv_side(&m->pre), .after = last ? vocoder_conv_side(&m->post) : 0,
		                           .stride = u->stride, .kernel = u->conv.kernel, .left = u->left, .right = u->right };
		for (int j = 0; j < m->depth; j++) s->after += vocoder_conv_side(&u->dilated[j]);
		hop *= u->stride;
		if (hop > VOCODER_MAX_HOP)
			return sn_fail(err, SN_E_MODEL, "%s: a frame would have more than %d samples; that is the most", path, VOCODER_MAX_HOP);
	}
	if (m->filter) {
		const int64_t taps = m->filter->dims[2];
		shape->stage[shape->stages++] = (sn_generator_stage){ .in = m->bands, .out = 1, .widest = m->bands, .stride = m->bands,
		                                                      .kernel = taps + m->bands - 1, .left = taps / 2, .right = taps / 2 };
	}
	shape->most = SN_VOCODER_MAX_CHUNK * hop;
	shape->push = SN_VOCODER_MAX_PUSH + 2 * PADDING;
	return SN_OK;
}

static int load_network(melgan *m, sn_vocoder *v, const vocoder_files *f, const sn_load_options *load, char *err) {
	sn_generator_shape shape;
	sn_generator *generator;
	vocoder_binder b;
	const int multiband = f->kind == VOCODER_MULTIBAND;
	int code = parse(m, f, err);
	if (code == SN_OK) code = sn_weights_open(&v->file, f->weights, err);
	if (code != SN_OK) return code;
	if (!vocoder_binder_open(&b, v->file, NULL, "layers.1", err))
		return sn_fail(err, SN_E_MODEL, "%s: tensor 'layers.1.weight' is missing; a MelGAN generator has it", sn_weights_path(v->file));
	bind(&b, m, multiband);
	if (b.code != SN_OK) return b.code;
	v->facts.architecture = multiband ? "multiband-melgan" : "melgan";
	v->facts.parameters = b.parameters;
	code = describe(m, &shape, sn_weights_path(v->file), err);
	if (code == SN_OK) code = vocoder_files_mel(f, (int)m->pre.in, (int)(shape.most / SN_VOCODER_MAX_CHUNK), &v->facts.mel, err);
	if (code == SN_OK) code = vocoder_pack_open(v, load, err);
	if (code == SN_OK) code = sn_generator_open(&generator, &shape, record, m, load, v->pack, err);
	return code == SN_OK ? vocoder_take_generator(v, generator, PADDING, err) : code;
}

int vocoder_open_melgan(sn_vocoder *v, const vocoder_files *files, const sn_load_options *load, char *err) {
	melgan *const m = calloc(1, sizeof *m);
	if (!m) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	const int code = load_network(m, v, files, load, err);
	free(m);
	return code;
}
