/* HiFi-GAN (Kong et al. 2020): upsamplings, each followed by the mean of residual blocks of several kernel sizes. */
#include "models/vocoder_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FINAL_SLOPE 0.01f /* the references leave the last activation at their library's default */
#define COQUI_PADDING 5   /* frames repeated at each end where the configuration says nothing */
#define SPLIT_WIDTH 96    /* channels from which on the layers of residual blocks become stages of their own, see split() */

typedef struct block { /* `second` in those of type 1 only */
	int depth;
	vocoder_conv first[VOCODER_MAX_DEPTH], second[VOCODER_MAX_DEPTH];
} block;

typedef struct upsampling {
	vocoder_conv conv;
	int64_t stride;
	block blocks[VOCODER_MAX_BLOCKS];
} upsampling;

/* A stage of the generator: layers from .. to - 1 of the residual blocks behind an upsampling, which stands before layer 0. */
typedef struct piece { int up, from, to; } piece;

typedef struct hifigan {
	/* configuration */
	int stages, kernels, two, fixed_depth; /* fixed_depth: convolutions of a block, 0: as many as dilations */
	int64_t rates[VOCODER_MAX_STAGES], up_kernels[VOCODER_MAX_STAGES], block_kernels[VOCODER_MAX_BLOCKS];
	int64_t dilations[VOCODER_MAX_BLOCKS][VOCODER_MAX_DEPTH];
	int dilation_count[VOCODER_MAX_BLOCKS];
	int64_t width; /* after the first convolution */
	int mirrored, padding, normalise;
	float slope;
	/* weights */
	vocoder_conv pre, post;
	upsampling ups[VOCODER_MAX_STAGES];
	const sn_weight *mean, *scale; /* [mels] of `normalise` */
	piece pieces[SN_GENERATOR_MAX_STAGES];
	int piece_count;
} hifigan;

/* Keys of one thing in the layouts. */
typedef struct keys { const char *rates, *type; } keys;

/* ---- configuration ---- */

static int missing(const json_t *o, const char *key, const char *file, char *err) {
	const json_t *const value = json_object_get(o, key);
	return value && !json_is_null(value) ? SN_OK : sn_fail(err, SN_E_MODEL, "%s: '%s' is missing", file, key);
}

static int parse_dilations(hifigan *h, const json_t *o, const char *file, char *err) {
	const json_t *const lists = json_object_get(o, "resblock_dilation_sizes");
	if (!lists || json_is_null(lists)) return SN_OK;
	if (!json_is_array(lists) || json_array_size(lists) < 1 || json_array_size(lists) > VOCODER_MAX_BLOCKS)
		return sn_fail(err, SN_E_MODEL, "%s: 'resblock_dilation_sizes' must be a list of 1 to %d lists", file, VOCODER_MAX_BLOCKS);
	h->kernels = (int)json_array_size(lists);
	for (int i = 0; i < h->kernels; i++) {
		json_t *const wrapped = json_pack("{sO}", "resblock_dilation_sizes", json_array_get(lists, (size_t)i));
		h->dilation_count[i] = 0;
		const int code = wrapped ? sn_json_ints(wrapped, "resblock_dilation_sizes", 1, VOCODER_MAX_KERNEL, h->dilations[i],
		                                        VOCODER_MAX_DEPTH, &h->dilation_count[i], file, err)
		                         : sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", file);
		json_decref(wrapped);
		if (code != SN_OK) return code;
		if (h->dilation_count[i] < 1) return sn_fail(err, SN_E_MODEL, "%s: 'resblock_dilation_sizes' holds an empty list", file);
	}
	return SN_OK;
}

/* The lists that all layouts have; what is missing stays as the caller has set it. */
static int parse_lists(hifigan *h, const json_t *o, keys k, const char *file, char *err) {
	int up_kernels = h->stages, kernels = h->kernels;
	int code = sn_json_ints(o, k.rates, 1, VOCODER_MAX_KERNEL, h->rates, VOCODER_MAX_STAGES, &h->stages, file, err);
	if (code == SN_OK)
		code = sn_json_ints(o, "upsample_kernel_sizes", 1, VOCODER_MAX_KERNEL, h->up_kernels, VOCODER_MAX_STAGES, &up_kernels, file,
		                    err);
	if (code == SN_OK)
		code = sn_json_ints(o, "resblock_kernel_sizes", 1, VOCODER_MAX_KERNEL, h->block_kernels, VOCODER_MAX_BLOCKS, &kernels, file,
		                    err);
	if (code == SN_OK) code = parse_dilations(h, o, file, err);
	if (code == SN_OK) code = sn_json_int(o, "upsample_initial_channel", 1, VOCODER_MAX_WIDTH, &h->width, file, err);
	if (code != SN_OK) return code;
	if (h->stages < 1 || h->stages != up_kernels)
		return sn_fail(err, SN_E_MODEL, "%s: '%s' has %d numbers, 'upsample_kernel_sizes' %d; both need as many, 1 to %d", file,
		               k.rates, h->stages, up_kernels, VOCODER_MAX_STAGES);
	if (h->kernels < 1 || h->kernels != kernels)
		return sn_fail(err, SN_E_MODEL,
		               "%s: 'resblock_dilation_sizes' has %d lists, 'resblock_kernel_sizes' %d numbers; both need as many", file,
		               h->kernels, kernels);
	for (int i = 0; i < h->stages; i++)
		if (h->up_kernels[i] < h->rates[i])
			return sn_fail(err, SN_E_MODEL, "%s: an upsampling by %lld has a kernel of %lld rows; at least its rate is right", file,
			               (long long)h->rates[i], (long long)h->up_kernels[i]);
	return SN_OK;
}

static int parse_type(hifigan *h, const json_t *o, keys k, const char *file, char *err) {
	static const char *const lists[] = { "upsample_kernel_sizes", "resblock_kernel_sizes", "resblock_dilation_sizes",
	                                     "upsample_initial_channel" };
	int code = missing(o, k.rates, file, err);
	for (size_t i = 0; code == SN_OK && i < sizeof lists / sizeof *lists; i++) code = missing(o, lists[i], file, err);
	if (code == SN_OK) code = missing(o, k.type, file, err);
	if (code != SN_OK) return code;
	const char *const type = json_string_value(json_object_get(o, k.type));
	h->two = type && strcmp(type, "1") == 0; /* whatever is not the text "1" is type 2 to the references */
	h->fixed_depth = h->two ? 3 : 2;
	return parse_lists(h, o, k, file, err);
}

static int refuse_condition(const json_t *o, const char *file, char *err) {
	int64_t cond = 0, linear = 0, out = 1;
	int each = 0;
	int code = sn_json_int(o, "cond_channels", 0, VOCODER_MAX_WIDTH, &cond, file, err);
	if (code == SN_OK) code = sn_json_int(o, "pre_linear", 0, VOCODER_MAX_WIDTH, &linear, file, err);
	if (code == SN_OK) code = sn_json_int(o, "out_channels", 1, VOCODER_MAX_WIDTH, &out, file, err);
	if (code == SN_OK) code = sn_json_bool(o, "cond_in_each_up_layer", &each, file, err);
	if (code != SN_OK) return code;
	if (cond || linear || each)
		return sn_fail(err, SN_E_UNSUPPORTED,
		               "%s: this HiFi-GAN takes a speaker embedding or features besides the spectrogram (cond_channels %lld, "
		               "pre_linear %lld); only spectrograms can be given", file, (long long)cond, (long long)linear);
	if (out != 1)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: 'out_channels' is %lld; only one channel is supported", file, (long long)out);
	return SN_OK;
}

/* Transformers fills in what its configuration does not say. */
static void set_defaults(hifigan *h) {
	static const int64_t dilations[] = { 1, 3, 5 };
	h->stages = 4;
	h->kernels = 3;
	h->width = 512;
	for (int i = 0; i < 4; i++) h->rates[i] = 4, h->up_kernels[i] = 8;
	for (int i = 0; i < 3; i++) {
		h->block_kernels[i] = i ? 3 + 4 * i : 3;
		h->dilation_count[i] = 3;
		memcpy(h->dilations[i], dilations, sizeof dilations);
	}
}

static int parse_hugging_face(hifigan *h, const vocoder_files *f, char *err) {
	double slope = h->slope;
	const char *const type = json_string_value(json_object_get(f->params, "model_type"));
	const int fastspeech = f->prefix || (type && strncmp(type, "fastspeech2", 11) == 0);
	set_defaults(h);
	if (fastspeech) {
		static const int64_t rates[] = { 8, 8, 2, 2 }, kernels[] = { 16, 16, 4, 4 };
		memcpy(h->rates, rates, sizeof rates);
		memcpy(h->up_kernels, kernels, sizeof kernels);
	}
	h->two = h->normalise = 1;
	int code = parse_lists(h, f->params, (keys){ "upsample_rates", NULL }, f->config, err);
	if (code == SN_OK) code = sn_json_double(f->params, "leaky_relu_slope", 0, 1, &slope, f->config, err);
	if (code == SN_OK) code = sn_json_bool(f->params, "normalize_before", &h->normalise, f->config, err);
	h->slope = (float)slope;
	return code;
}

static int parse(hifigan *h, const vocoder_files *f, char *err) {
	const keys coqui = { "upsample_factors", "resblock_type" }, jik876 = { "upsample_rates", "resblock" };
	int64_t padding = COQUI_PADDING;
	h->slope = 0.1f;
	if (f->layout == VOCODER_HUGGING_FACE) return parse_hugging_face(h, f, err);
	if (f->layout == VOCODER_JIK876) return parse_type(h, f->params, jik876, f->config, err);
	h->mirrored = f->layout == VOCODER_SPEECHBRAIN; /* the toolkit's own convolutions */
	int code = parse_type(h, f->params, coqui, f->config, err);
	if (code == SN_OK) code = sn_json_int(f->params, "inference_padding", 0, VOCODER_MAX_PADDING, &padding, f->config, err);
	if (code == SN_OK) code = refuse_condition(f->params, f->config, err);
	h->padding = (int)padding;
	return code;
}

/* ---- weights ---- */

static void bind_block(vocoder_binder *b, hifigan *h, block *k, int64_t channels, int index, int which) {
	const char *const first = h->two ? "convs1" : "convs";
	k->depth = h->fixed_depth ? h->fixed_depth : h->dilation_count[which];
	if (h->dilation_count[which] < k->depth) {
		char found[96], name[64];
		snprintf(found, sizeof found, "is one of %d convolutions, but the configuration gives %d dilations", k->depth,
		         h->dilation_count[which]);
		snprintf(name, sizeof name, "resblocks.%d.%s", index, first);
		vocoder_bind_fail(b, name, found, "as many");
		return;
	}
	for (int i = 0; i < k->depth && b->code == SN_OK; i++) {
		vocoder_conv_shape want = { .out = channels, .in = channels, .kernel = h->block_kernels[which],
		                            .dilation = (int)h->dilations[which][i] };
		vocoder_bind_conv(b, &k->first[i], want, "resblocks.%d.%s.%d", index, first, i);
		want.dilation = 1;
		if (h->two) vocoder_bind_conv(b, &k->second[i], want, "resblocks.%d.convs2.%d", index, i);
	}
	if (vocoder_has(b, "resblocks.%d.%s.%d", index, first, k->depth)) {
		char name[64];
		snprintf(name, sizeof name, "resblocks.%d.%s.%d", index, first, k->depth);
		vocoder_bind_fail(b, name, "is there too", "no more than the configuration says");
	}
}

static void refuse_more(vocoder_binder *b, const char *what, int count) {
	char name[64];
	snprintf(name, sizeof name, "%s.%d", what, count);
	if (vocoder_has(b, "%s", name) || vocoder_has(b, "%s.convs1.0", name) || vocoder_has(b, "%s.convs.0", name))
		vocoder_bind_fail(b, name, "is there too", "no more than the configuration says");
}

static void bind(vocoder_binder *b, hifigan *h) {
	const char *const ups = vocoder_has(b, "upsampler.0") ? "upsampler" : "ups";
	int64_t channels = h->width;
	if (vocoder_has(b, "cond_layer") || vocoder_has(b, "lin_pre") || vocoder_has(b, "conds.0")) {
		b->code = sn_fail(b->err, SN_E_UNSUPPORTED,
		                  "%s: this HiFi-GAN takes a speaker embedding besides the spectrogram; only spectrograms can be given",
		                  sn_weights_path(b->file));
		return;
	}
	vocoder_bind_conv(b, &h->pre, (vocoder_conv_shape){ .out = h->width, .in = VOCODER_ANY, .kernel = VOCODER_ANY }, "conv_pre");
	for (int i = 0; i < h->stages && b->code == SN_OK; i++) {
		upsampling *const u = &h->ups[i];
		const vocoder_conv_shape want = { .out = VOCODER_ANY, .in = channels, .kernel = h->up_kernels[i], .transposed = 1 };
		vocoder_bind_conv(b, &u->conv, want, "%s.%d", ups, i);
		u->stride = h->rates[i];
		channels = u->conv.out;
		for (int j = 0; j < h->kernels && b->code == SN_OK; j++) bind_block(b, h, &u->blocks[j], channels, i * h->kernels + j, j);
	}
	vocoder_bind_conv(b, &h->post, (vocoder_conv_shape){ .out = 1, .in = channels, .kernel = VOCODER_ANY, .bare = 1 }, "conv_post");
	refuse_more(b, ups, h->stages);
	refuse_more(b, "resblocks", h->stages * h->kernels);
	if (h->normalise) {
		h->mean = vocoder_bind(b, "mean", 1, &h->pre.in);
		h->scale = vocoder_bind(b, "scale", 1, &h->pre.in);
	}
}

/* ---- the network ---- */

static int depth_of(const hifigan *h, int up) {
	int depth = 0;
	for (int j = 0; j < h->kernels; j++) depth = h->ups[up].blocks[j].depth > depth ? h->ups[up].blocks[j].depth : depth;
	return depth;
}

/* Behind the first upsamplings a frame has few rows, and the residual blocks reach over many: in small chunks most of what a stage
 * computes would be computed again in the next. By layers it is little, for the price of carrying all blocks' rows between them. */
static void split(hifigan *h) {
	for (int up = 0; up < h->stages; up++) {
		const int depth = depth_of(h, up), room = SN_GENERATOR_MAX_STAGES - h->piece_count - (h->stages - up);
		const int step = h->ups[up].conv.out >= SPLIT_WIDTH && depth <= room ? 1 : depth;
		for (int from = 0; from < depth; from += step) h->pieces[h->piece_count++] = (piece){ up, from, from + step };
	}
}

/* Layer i of a residual block. */
static nn_t residual(const hifigan *h, nn_graph *g, const block *k, int i, nn_t x) {
	nn_t y = vocoder_record_conv(g, &k->first[i], nn_unary(g, NN_LEAKY_RELU, x, h->slope), h->mirrored);
	if (h->two) y = vocoder_record_conv(g, &k->second[i], nn_unary(g, NN_LEAKY_RELU, y, h->slope), h->mirrored);
	return nn_binary(g, NN_ADD, y, x);
}

static nn_t upsample(const hifigan *h, nn_graph *g, int up, nn_t x) {
	const upsampling *const u = &h->ups[up];
	if (up == 0) {
		if (h->normalise) {
			x = nn_binary(g, NN_SUB, x, nn_weight(g, h->mean, "mean"));
			x = nn_binary(g, NN_DIV, x, nn_weight(g, h->scale, "scale"));
		}
		x = nn_name(g, vocoder_record_conv(g, &h->pre, x, h->mirrored), "conv_pre_out");
	}
	x = nn_unary(g, NN_LEAKY_RELU, x, h->slope);
	x = nn_conv_transpose1d(g, x, vocoder_weight(g, &u->conv), vocoder_bias(g, &u->conv), (int)u->stride,
	                        (int)(u->conv.kernel - u->stride) / 2);
	return nn_name(g, x, "ups%d_out", up);
}

static nn_t record(void *payload, nn_graph *g, int stage, nn_t x) {
	const hifigan *const h = payload;
	const piece *const p = &h->pieces[stage];
	const upsampling *const u = &h->ups[p->up];
	const int done = p->to == depth_of(h, p->up);
	nn_t all = NN_NONE;
	if (p->from == 0) x = upsample(h, g, p->up, x);
	for (int j = 0; j < h->kernels; j++) {
		const block *const k = &u->blocks[j];
		nn_t y = p->from ? nn_slice_cols(g, x, j * u->conv.out, u->conv.out) : x;
		for (int i = p->from; i < p->to && i < k->depth; i++) y = residual(h, g, k, i, y);
		all = j == 0 ? y : done ? nn_binary(g, NN_ADD, all, y) : nn_concat_cols(g, all, y);
	}
	if (!done) return all;
	x = nn_affine(g, all, 1.0f / (float)h->kernels, 0);
	if (p->up + 1 < h->stages) return x;
	x = vocoder_record_conv(g, &h->post, nn_unary(g, NN_LEAKY_RELU, x, FINAL_SLOPE), h->mirrored);
	return nn_unary(g, NN_TANH, x, 0);
}

/* Rows on each side that layers from .. to - 1 reach. */
static int64_t reach(const hifigan *h, const piece *p) {
	int64_t most = 0;
	for (int j = 0; j < h->kernels; j++) {
		const block *const k = &h->ups[p->up].blocks[j];
		int64_t rows = 0;
		for (int i = p->from; i < p->to && i < k->depth; i++)
			rows += vocoder_conv_side(&k->first[i]) + (h->two ? vocoder_conv_side(&k->second[i]) : 0);
		most = rows > most ? rows : most;
	}
	return most;
}

static sn_generator_stage describe_piece(const hifigan *h, const piece *p) {
	const upsampling *const u = &h->ups[p->up];
	const int64_t width = u->conv.out, side = (u->conv.kernel - u->stride) / 2;
	const int done = p->to == depth_of(h, p->up), last = done && p->up + 1 == h->stages;
	sn_generator_stage s = { .in = h->kernels * width, .out = last ? 1 : done ? width : h->kernels * width, .widest = width,
	                         .after = reach(h, p) + (last ? vocoder_conv_side(&h->post) : 0), .stride = 1, .kernel = 1 };
	if (p->from) return s;
	s.in = p->up ? u->conv.in : h->pre.in;
	s.before = p->up ? 0 : vocoder_conv_side(&h->pre);
	s.stride = u->stride;
	s.kernel = u->conv.kernel;
	s.left = s.right = side;
	return s;
}

static int describe(hifigan *h, sn_generator_shape *shape, const char *path, char *err) {
	int64_t hop = 1;
	for (int i = 0; i < h->stages; i++) {
		hop *= h->ups[i].stride;
		if (hop > VOCODER_MAX_HOP)
			return sn_fail(err, SN_E_MODEL, "%s: a frame would have more than %d samples; that is the most", path, VOCODER_MAX_HOP);
	}
	split(h);
	*shape = (sn_generator_shape){ .name = "hifigan", .stages = h->piece_count, .most = SN_VOCODER_MAX_CHUNK * hop,
	                               .push = SN_VOCODER_MAX_PUSH + 2 * h->padding };
	for (int i = 0; i < h->piece_count; i++) shape->stage[i] = describe_piece(h, &h->pieces[i]);
	return SN_OK;
}

static int load_network(hifigan *h, sn_vocoder *v, const vocoder_files *f, const sn_load_options *load, char *err) {
	sn_generator_shape shape;
	sn_generator *generator;
	vocoder_binder b;
	int code = parse(h, f, err);
	if (code == SN_OK) code = sn_weights_open(&v->file, f->weights, err);
	if (code != SN_OK) return code;
	if (!vocoder_binder_open(&b, v->file, f->prefix, "conv_pre", err))
		return sn_fail(err, SN_E_MODEL, "%s: tensor 'conv_pre.weight' is missing; a HiFi-GAN generator has it",
		               sn_weights_path(v->file));
	bind(&b, h);
	if (b.code != SN_OK) return b.code;
	v->facts.architecture = "hifigan";
	v->facts.parameters = b.parameters;
	code = describe(h, &shape, sn_weights_path(v->file), err);
	if (code == SN_OK) code = vocoder_files_mel(f, (int)h->pre.in, (int)(shape.most / SN_VOCODER_MAX_CHUNK), &v->facts.mel, err);
	if (code == SN_OK) code = vocoder_pack_open(v, load, err);
	if (code == SN_OK) code = sn_generator_open(&generator, &shape, record, h, load, v->pack, err);
	return code == SN_OK ? vocoder_take_generator(v, generator, h->padding, err) : code;
}

int vocoder_open_hifigan(sn_vocoder *v, const vocoder_files *files, const sn_load_options *load, char *err) {
	hifigan *const h = calloc(1, sizeof *h);
	if (!h) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	const int code = load_network(h, v, files, load, err);
	free(h);
	return code;
}
