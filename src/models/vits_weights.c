#include "models/vits_internal.h"

#include "weights/onnx.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A voice's convolutions by the node that runs them: exporters fold weight normalisation into tensors without a name, and strides
 * and dilations stand nowhere else. */
typedef struct binder {
	vits_weights *w;
	const vits_settings *s;
	const sn_weights *file;
	const sn_onnx_node **convs; /* Conv and ConvTranspose nodes */
	size_t conv_count;
	const char *text, *duration, *decoder; /* what names of the text encoder, the duration predictor and the decoder begin with */
	char prefix[SN_WEIGHTS_MAX_NAME + 1]; /* what a wrapper put before every name */
	int piper, coqui, authors; /* authors: their names and numbers of flows, flips counted, which Piper keeps */
	int code; /* the first failure; later calls do nothing */
	char *err;
} binder;

/* Coqui keeps most names of the authors' code. */
#define PICK(b, hugging_face, original) ((b)->authors || (b)->coqui ? (original) : (hugging_face))
#define ANY (-1)

static void fail(binder *b, const char *name, const char *found, const char *expected) {
	if (b->code == SN_OK)
		b->code = sn_fail(b->err, SN_E_MODEL, "%s: tensor '%s' %s; expected %s", sn_weights_path(b->file), name, found, expected);
}

static const sn_weight *find(const binder *b, const char *base, const char *tail) {
	char name[256];
	return snprintf(name, sizeof name, "%s%s%s", b->prefix, base, tail) < (int)sizeof name ? sn_weights_find(b->file, name) : NULL;
}

static int64_t elements(const sn_weight *weight) {
	int64_t count = 1;
	for (int i = 0; i < weight->rank; i++) count *= weight->dims[i];
	return count;
}

/* Refuses a tensor that is missing, no float, empty, or of another shape than dims (ANY: 1 to VITS_MAX_WIDTH); counts its parameters. */
static const sn_weight *expect(binder *b, const sn_weight *weight, const char *name, int rank, const int64_t *dims) {
	char found[128], expected[128];
	int n = snprintf(expected, sizeof expected, "floats ["), m, fits;
	for (int i = 0; i < rank; i++)
		n += snprintf(expected + n, sizeof expected - (size_t)n, dims[i] == ANY ? "%s%s" : "%s%s%lld", i ? ", " : "",
		              dims[i] == ANY ? "any" : "", (long long)dims[i]);
	snprintf(expected + n, sizeof expected - (size_t)n, "]");
	if (!weight) {
		fail(b, name, "is missing", expected);
		return NULL;
	}
	fits = weight->rank == rank && sn_weight_is_float(weight);
	m = snprintf(found, sizeof found, "is %s [", sn_dtype_name(weight->dtype));
	for (int i = 0; i < weight->rank; i++) {
		m += snprintf(found + m, sizeof found - (size_t)m, "%s%lld", i ? ", " : "", (long long)weight->dims[i]);
		if (m >= (int)sizeof found - 24) break;
		if (i < rank && (weight->dims[i] < 1 || (dims[i] == ANY ? weight->dims[i] > VITS_MAX_WIDTH : weight->dims[i] != dims[i]))) fits = 0;
	}
	snprintf(found + m, sizeof found - (size_t)m, "]");
	if (!fits) {
		fail(b, name, found, expected);
		return NULL;
	}
	b->w->parameters += elements(weight);
	return weight;
}

static const sn_weight *bind(binder *b, int rank, const int64_t *dims, const char *format, ...) __attribute__((format(printf, 4, 5)));
static const sn_weight *bind(binder *b, int rank, const int64_t *dims, const char *format, ...) {
	char name[256];
	va_list args;
	va_start(args, format);
	vsnprintf(name, sizeof name, format, args);
	va_end(args);
	return b->code == SN_OK ? expect(b, find(b, name, ""), name, rank, dims) : NULL;
}

static int exists(const binder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int exists(const binder *b, const char *format, ...) {
	char name[256];
	va_list args;
	va_start(args, format);
	vsnprintf(name, sizeof name, format, args);
	va_end(args);
	return find(b, name, "") != NULL;
}

/* How many tensors there are of those named before, number, after; numbers rise by `step` from `first`. More than `most` are refused. */
static int count_numbered(binder *b, const char *before, const char *after, int first, int step, int most) {
	char name[256], expected[48];
	int count = 0;
	while (count < most && exists(b, "%s%d%s", before, first + count * step, after)) count++;
	snprintf(name, sizeof name, "%s%d%s", before, first + count * step, after);
	snprintf(expected, sizeof expected, "at most %d of its kind", most);
	if (count == most && exists(b, "%s", name)) fail(b, name, "is one too many", expected);
	return count;
}

static const sn_onnx_node *node_using(const binder *b, int input, const char *tensor) {
	for (size_t i = 0; tensor && i < b->conv_count; i++)
		if (b->convs[i]->input_count > input && strcmp(b->convs[i]->inputs[input], tensor) == 0) return b->convs[i];
	return NULL;
}

static int64_t attribute(const sn_onnx_node *node, const char *name, int64_t otherwise) {
	const sn_onnx_attribute *const a = sn_onnx_attribute_find(node, name);
	return !a ? otherwise : a->ints ? a->count > 0 ? a->ints[0] : otherwise : a->i;
}

/* The weight itself, its two factors, or in a voice what the node with this bias multiplies by. */
static void find_conv(binder *b, vits_conv *c, const char *base) {
	char bias_name[256];
	snprintf(bias_name, sizeof bias_name, "%s.bias", base);
	c->bias = find(b, base, ".bias");
	c->weight = find(b, base, ".weight");
	if (!c->weight && (c->norm_v = find(b, base, ".weight_v"))) c->norm_g = find(b, base, ".weight_g");
	else if (!c->weight && (c->norm_v = find(b, base, ".parametrizations.weight.original1")))
		c->norm_g = find(b, base, ".parametrizations.weight.original0");
	const sn_onnx_node *node = c->bias ? node_using(b, 2, bias_name) : NULL;
	if (!node && c->weight) node = node_using(b, 1, c->weight->name);
	if (!b->piper) return;
	if (!node) {
		fail(b, base, "is used by no convolution", "one Conv or ConvTranspose node");
		return;
	}
	if (!c->weight && !c->norm_v) c->weight = sn_onnx_input(b->file, node, 1);
	const int64_t stride = attribute(node, "strides", 1), dilation = attribute(node, "dilations", 1);
	if (stride < 1 || stride > 32 || dilation < 1 || dilation > VITS_MAX_DILATION) {
		char found[96];
		snprintf(found, sizeof found, "belongs to a convolution of stride %lld and dilation %lld", (long long)stride, (long long)dilation);
		fail(b, base, found, "strides of 1 to 32, dilations of 1 to 4096");
		return;
	}
	c->stride = (int)stride;
	c->dilation = (int)dilation;
}

typedef struct shape { int64_t out, in, kernel; int transposed, groups, dilation, bare, odd; } shape;

/* What the recorded graph can run: only upsamplings have strides, nothing but the others dilations; odd kernels where chunks are cut. */
static void check_steps(binder *b, const vits_conv *c, const shape *want, const char *base) {
	char found[80];
	if (!want->transposed && c->stride != 1) {
		snprintf(found, sizeof found, "belongs to a convolution of stride %d", c->stride);
		fail(b, base, found, "stride 1");
	}
	if (want->transposed && c->dilation != 1) {
		snprintf(found, sizeof found, "belongs to an upsampling of dilation %d", c->dilation);
		fail(b, base, found, "dilation 1");
	}
	if (!want->transposed && c->kernel * c->dilation > VITS_MAX_WIDTH) {
		snprintf(found, sizeof found, "spans %lld rows", (long long)c->kernel * c->dilation);
		fail(b, base, found, "at most 8192");
	}
	if (want->odd && c->kernel % 2 == 0) {
		snprintf(found, sizeof found, "has a kernel of %lld rows", (long long)c->kernel);
		fail(b, base, found, "an odd number, which keeps the length");
	}
}

/* out, in, kernel may be ANY; bare: the bias may be missing; odd: the kernel must be; `dilation` holds where no node tells it. */
static void bind_conv(binder *b, vits_conv *c, shape want, const char *format, ...) __attribute__((format(printf, 4, 5)));
static void bind_conv(binder *b, vits_conv *c, shape want, const char *format, ...) {
	char base[192];
	va_list args;
	if (b->code != SN_OK) return;
	va_start(args, format);
	vsnprintf(base, sizeof base, format, args);
	va_end(args);
	*c = (vits_conv){ .stride = 1, .dilation = want.dilation ? want.dilation : 1, .groups = want.groups ? want.groups : 1 };
	find_conv(b, c, base);
	if (b->code != SN_OK) return;
	const sn_weight *const main = c->weight ? c->weight : c->norm_v;
	const int64_t in = want.in == ANY ? ANY : want.in / c->groups;
	const int flat = main && main->rank == 2 && (want.kernel == 1 || want.kernel == ANY) && !want.transposed;
	const int64_t dims[3] = { want.transposed ? want.in : want.out, want.transposed ? want.out : in, want.kernel };
	if (!expect(b, main, main ? main->name : base, flat ? 2 : 3, dims)) return;
	c->out = main->dims[want.transposed ? 1 : 0];
	c->in = main->dims[want.transposed ? 0 : 1] * c->groups;
	c->kernel = flat ? 1 : main->dims[2];
	if (c->norm_v) expect(b, c->norm_g, base, main->rank, (int64_t[]){ main->dims[0], 1, 1 });
	check_steps(b, c, &want, base);
	snprintf(base + strlen(base), sizeof base - strlen(base), ".bias");
	if (c->bias || !want.bare) expect(b, c->bias, base, 1, &c->out);
}

static void bind_norm(binder *b, vits_norm *n, int64_t channels, const char *format, ...) __attribute__((format(printf, 4, 5)));
static void bind_norm(binder *b, vits_norm *n, int64_t channels, const char *format, ...) {
	char base[192];
	va_list args;
	va_start(args, format);
	vsnprintf(base, sizeof base, format, args);
	va_end(args);
	n->gamma = bind(b, 1, &channels, "%s.%s", base, PICK(b, "weight", "gamma"));
	n->beta = bind(b, 1, &channels, "%s.%s", base, PICK(b, "bias", "beta"));
}

/* Coqui's deterministic duration predictor keeps its norms as [1, channels, 1]. */
static void bind_tall_norm(binder *b, vits_norm *n, int64_t channels, const char *base, int index) {
	const int64_t dims[] = { 1, channels, 1 };
	n->gamma = bind(b, 3, dims, "%s.norm_%d.gamma", base, index);
	n->beta = bind(b, 3, dims, "%s.norm_%d.beta", base, index);
}

/* An embedding by its name, or as the table that a Gather reads by the graph's input of that name: exporters rename it. */
static const sn_weight *find_table(const binder *b, const char *name, const char *ids) {
	const sn_weight *const table = find(b, name, "");
	for (size_t i = 0; !table && b->piper && i < sn_onnx_node_count(b->file); i++) {
		const sn_onnx_node *const node = sn_onnx_node_at(b->file, i);
		if (strcmp(node->op, "Gather") != 0 || node->input_count < 2 || strcmp(node->inputs[1], ids) != 0) continue;
		const sn_weight *const read = sn_onnx_input(b->file, node, 0);
		if (read && read->rank == 2) return read;
	}
	return table;
}

static void bind_layer(binder *b, vits_layer *l, int i) {
	const int64_t width = b->w->width, head = width / b->w->heads, ffn = ANY;
	const char *const norm1 = PICK(b, "%s.encoder.layers.%d.layer_norm", "%s.encoder.norm_layers_1.%d");
	const char *const norm2 = PICK(b, "%s.encoder.layers.%d.final_layer_norm", "%s.encoder.norm_layers_2.%d");
	char base[96];
	snprintf(base, sizeof base, PICK(b, "%s.encoder.layers.%d.attention", "%s.encoder.attn_layers.%d"), b->text, i);
	bind_conv(b, &l->q, (shape){ .out = width, .in = width, .kernel = 1, .bare = 1 }, "%s.%s", base, PICK(b, "q_proj", "conv_q"));
	bind_conv(b, &l->k, (shape){ .out = width, .in = width, .kernel = 1, .bare = 1 }, "%s.%s", base, PICK(b, "k_proj", "conv_k"));
	bind_conv(b, &l->v, (shape){ .out = width, .in = width, .kernel = 1, .bare = 1 }, "%s.%s", base, PICK(b, "v_proj", "conv_v"));
	bind_conv(b, &l->o, (shape){ .out = width, .in = width, .kernel = 1, .bare = 1 }, "%s.%s", base, PICK(b, "out_proj", "conv_o"));
	if (b->w->window) {
		const int64_t dims[] = { 1, 2 * b->w->window + 1, head };
		l->rel_k = bind(b, 3, dims, "%s.emb_rel_k", base);
		l->rel_v = bind(b, 3, dims, "%s.emb_rel_v", base);
	}
	snprintf(base, sizeof base, PICK(b, "%s.encoder.layers.%d.feed_forward", "%s.encoder.ffn_layers.%d"), b->text, i);
	bind_conv(b, &l->ffn1, (shape){ .out = ffn, .in = width, .kernel = ANY }, "%s.conv_1", base);
	bind_conv(b, &l->ffn2, (shape){ .out = width, .in = l->ffn1.out, .kernel = ANY }, "%s.conv_2", base);
	bind_norm(b, &l->norm1, width, norm1, b->text, i);
	bind_norm(b, &l->norm2, width, norm2, b->text, i);
}

/* A number of the configuration that the weights tell as well. */
static void agree(binder *b, const char *key, int64_t configured, int64_t found) {
	if (b->code == SN_OK && configured != found)
		b->code = sn_fail(b->err, SN_E_MODEL, "%s: the configuration's '%s' is %lld; the weights have %lld", sn_weights_path(b->file), key,
		                  (long long)configured, (long long)found);
}

/* The language's embedding stands beside each symbol's. */
static void bind_languages(binder *b) {
	vits_weights *const w = b->w;
	if (b->coqui) agree(b, "use_language_embedding", b->s->language_width != 0, exists(b, "emb_l.weight"));
	if (!b->s->language_width) return;
	w->languages = bind(b, 2, (int64_t[]){ ANY, b->s->language_width }, "emb_l.weight");
	w->language_width = b->s->language_width;
}

static void bind_text(binder *b) {
	vits_weights *const w = b->w;
	char name[96], before[96];
	snprintf(name, sizeof name, "%s.%s", b->text, PICK(b, "embed_tokens.weight", "emb.weight"));
	w->embedding = find_table(b, name, "input");
	const sn_weight *const table = w->embedding;
	if (table && table->rank == 2 && table->dims[0] > VITS_MAX_WIDTH) fail(b, table->name, "has too many rows", "a vocabulary of at most 8192");
	if (!expect(b, table, name, 2, (int64_t[]){ ANY, ANY })) return;
	w->width = (int)table->dims[1] + w->language_width;
	snprintf(before, sizeof before, "%s.encoder.%s.emb_rel_k", b->text, PICK(b, "layers.0.attention", "attn_layers.0"));
	const sn_weight *const rel = find(b, before, "");
	if (rel && expect(b, rel, rel->name, 3, (int64_t[]){ 1, ANY, ANY })) {
		w->window = (int)(rel->dims[1] / 2);
		w->parameters -= elements(rel);
	}
	w->heads = b->s->heads ? b->s->heads : rel && b->code == SN_OK ? (int)(w->width / rel->dims[2]) : 2;
	if (b->code == SN_OK && (w->heads < 1 || w->width % w->heads)) fail(b, table->name, "has a width that the heads do not divide", "a multiple");
	snprintf(before, sizeof before, "%s.encoder.%s", b->text, PICK(b, "layers.", "norm_layers_1."));
	w->layer_count = count_numbered(b, before, PICK(b, ".layer_norm.weight", ".gamma"), 0, 1, VITS_MAX_LAYERS);
	for (int i = 0; i < w->layer_count && b->code == SN_OK; i++) bind_layer(b, &w->layers[i], i);
	bind_conv(b, &w->project, (shape){ .out = ANY, .in = w->width, .kernel = 1 }, "%s.%s", b->text, PICK(b, "project", "proj"));
	if (b->code == SN_OK && (w->layer_count == 0 || w->project.out % 4))
		fail(b, b->text, "projects to other rows than those of VITS, or has no layers", "at least one layer and a multiple of 4 rows");
	w->half = (int)(w->project.out / 4);
}

static void bind_speakers(binder *b) {
	vits_weights *const w = b->w;
	const char *const name = PICK(b, "embed_speaker.weight", "emb_g.weight");
	if (b->coqui) w->speaker_width = b->s->speaker_width;
	if (b->coqui && !b->s->use_speakers) return;
	w->speakers = find_table(b, name, "sid");
	if (!w->speakers && !b->coqui) return;
	if (w->speakers && w->speakers->rank == 2 && w->speakers->dims[0] > SN_VITS_MAX_SPEAKERS)
		fail(b, name, "has too many rows", "at most 4096 speakers");
	if (expect(b, w->speakers, name, 2, (int64_t[]){ ANY, b->coqui ? w->speaker_width : ANY })) w->speaker_width = (int)w->speakers->dims[1];
}

static void bind_separable(binder *b, vits_separable *s, int64_t width, const char *base) {
	char before[128];
	int64_t dilation = 1;
	snprintf(before, sizeof before, PICK(b, "%s.convs_dilated.", "%s.convs_sep."), base);
	s->depth = count_numbered(b, before, ".weight", 0, 1, VITS_MAX_DEPTH);
	for (int i = 0; i < s->depth && b->code == SN_OK; i++) {
		vits_conv *const c = &s->dilated[i];
		bind_conv(b, c, (shape){ .out = width, .in = width, .kernel = ANY, .groups = (int)width, .dilation = (int)dilation },
		          PICK(b, "%s.convs_dilated.%d", "%s.convs_sep.%d"), base, i);
		bind_conv(b, &s->pointwise[i], (shape){ .out = width, .in = width, .kernel = 1 }, PICK(b, "%s.convs_pointwise.%d", "%s.convs_1x1.%d"),
		          base, i);
		bind_norm(b, &s->norm1[i], width, "%s.norms_1.%d", base, i);
		bind_norm(b, &s->norm2[i], width, "%s.norms_2.%d", base, i);
		dilation = dilation * c->kernel > VITS_MAX_DILATION ? VITS_MAX_DILATION : dilation * c->kernel;
	}
	if (b->code == SN_OK && s->depth == 0) fail(b, base, "holds no convolutions", "at least one");
}

/* What an exporter left of a voice's log scale: its negative, before the Exp that is run, where that was not folded, too. */
static const sn_weight *negative_logs(const binder *b) {
	for (size_t i = 0; i < sn_onnx_node_count(b->file); i++) {
		const sn_onnx_node *const node = sn_onnx_node_at(b->file, i);
		if (strcmp(node->op, "Exp") == 0 && node->output_count == 1 && strcmp(node->outputs[0], "/dp/flows.0/Exp_output_0") == 0)
			return sn_onnx_input(b->file, node, 0);
	}
	return NULL;
}

/* Flow 0 is affine: only its first channel reaches the durations. Most voices of Piper keep exp(-log scale), already computed. */
static void bind_affine(binder *b) {
	float translate[2], scale[2];
	const int64_t dims[] = { 2, 1 };
	const char *const logs_name = b->authors ? "logs" : "log_scale";
	const sn_weight *const logs = find(b, b->duration, b->authors ? ".flows.0.logs" : ".flows.0.log_scale");
	const sn_weight *const m = bind(b, 2, dims, "%s.flows.0.%s", b->duration, b->authors ? "m" : b->coqui ? "translation" : "translate");
	const sn_weight *const folded = logs || !b->piper ? NULL : sn_weights_find(b->file, "/dp/flows.0/Exp_output_0");
	const sn_weight *const s = logs || !b->piper ? logs : folded ? folded : negative_logs(b);
	char name[96];
	snprintf(name, sizeof name, "%s.flows.0.%s", b->duration, logs_name);
	if (!m || !expect(b, s, name, 2, dims)) return;
	sn_weight_floats(m, 0, 2, translate);
	sn_weight_floats(s, 0, 2, scale);
	b->w->duration.translate = translate[0];
	b->w->duration.scale = folded ? scale[0] : expf(logs ? -scale[0] : scale[0]);
}

/* What a duration predictor is told beside the text, in `width` channels. */
static void bind_conditions(binder *b, int64_t width) {
	vits_weights *const w = b->w;
	if (w->speaker_width && b->s->duration_voice)
		bind_conv(b, &w->duration.cond, (shape){ .out = width, .in = w->speaker_width, .kernel = 1 }, "%s.cond", b->duration);
	if (w->language_width)
		bind_conv(b, &w->duration.cond_language, (shape){ .out = width, .in = w->language_width, .kernel = 1 }, "%s.cond_lang", b->duration);
}

/* Run backwards, the first spline flow is skipped, as in the reference; the authors number the flips between flows too. */
static void bind_stochastic(binder *b) {
	vits_weights *const w = b->w;
	char base[96];
	bind_conv(b, &w->duration.pre, (shape){ .out = b->coqui ? ANY : w->width, .in = w->width, .kernel = 1 }, "%s.%s", b->duration,
	          PICK(b, "conv_pre", "pre"));
	const int64_t width = w->duration.pre.out;
	bind_conv(b, &w->duration.proj, (shape){ .out = width, .in = width, .kernel = 1 }, "%s.%s", b->duration, PICK(b, "conv_proj", "proj"));
	snprintf(base, sizeof base, "%s.%s", b->duration, PICK(b, "conv_dds", "convs"));
	bind_separable(b, &w->duration.separable, width, base);
	bind_conditions(b, width);
	bind_affine(b);
	snprintf(base, sizeof base, "%s.flows.", b->duration);
	const int last = 1 + count_numbered(b, base, PICK(b, ".conv_pre.weight", ".pre.weight"), b->authors ? 3 : 2, b->authors ? 2 : 1, VITS_MAX_FLOWS);
	for (int flow = last; flow >= 2 && b->code == SN_OK; flow--) {
		vits_spline *const f = &w->duration.splines[w->spline_count++];
		snprintf(base, sizeof base, "%s.flows.%d", b->duration, b->authors ? 2 * flow - 1 : flow);
		bind_conv(b, &f->pre, (shape){ .out = width, .in = 1, .kernel = 1 }, PICK(b, "%s.conv_pre", "%s.pre"), base);
		bind_conv(b, &f->proj, (shape){ .out = ANY, .in = width, .kernel = 1 }, PICK(b, "%s.conv_proj", "%s.proj"), base);
		if (b->code == SN_OK && ((f->proj.out + 1) % 3 || f->proj.out > 191))
			fail(b, base, "has no spline of 1 to 64 bins", "3 * bins - 1 rows");
		strncat(base, PICK(b, ".conv_dds", ".convs"), sizeof base - strlen(base) - 1);
		bind_separable(b, &f->separable, width, base);
	}
}

static void bind_deterministic(binder *b) {
	vits_weights *const w = b->w;
	bind_conditions(b, w->width);
	bind_conv(b, &w->duration.conv1, (shape){ .out = ANY, .in = w->width, .kernel = ANY }, "%s.conv_1", b->duration);
	const int64_t width = w->duration.conv1.out;
	bind_conv(b, &w->duration.conv2, (shape){ .out = width, .in = width, .kernel = ANY }, "%s.conv_2", b->duration);
	if (b->coqui) {
		bind_tall_norm(b, &w->duration.norm1, width, b->duration, 1);
		bind_tall_norm(b, &w->duration.norm2, width, b->duration, 2);
	} else {
		bind_norm(b, &w->duration.norm1, width, "%s.norm_1", b->duration);
		bind_norm(b, &w->duration.norm2, width, "%s.norm_2", b->duration);
	}
	bind_conv(b, &w->duration.proj, (shape){ .out = 1, .in = width, .kernel = 1 }, "%s.proj", b->duration);
}

static void bind_coupling(binder *b, vits_coupling *f, const char *base) {
	const vits_weights *const w = b->w;
	const char *const net = PICK(b, "wavenet", "enc");
	char before[96];
	int64_t dilation = 1;
	bind_conv(b, &f->pre, (shape){ .out = ANY, .in = w->half, .kernel = 1 }, PICK(b, "%s.conv_pre", "%s.pre"), base);
	const int64_t width = f->pre.out;
	snprintf(before, sizeof before, "%s.%s.in_layers.", base, net);
	f->depth = count_numbered(b, before, ".bias", 0, 1, VITS_MAX_WAVENET);
	for (int i = 0; i < f->depth; i++) {
		bind_conv(b, &f->in[i], (shape){ .out = 2 * width, .in = width, .kernel = ANY, .dilation = (int)dilation }, "%s.%s.in_layers.%d", base, net, i);
		bind_conv(b, &f->skip[i], (shape){ .out = i + 1 < f->depth ? 2 * width : width, .in = width, .kernel = 1 }, "%s.%s.res_skip_layers.%d", base,
		          net, i);
		dilation = dilation * b->s->wavenet_dilation > VITS_MAX_DILATION ? VITS_MAX_DILATION : dilation * b->s->wavenet_dilation;
	}
	if (b->code == SN_OK && f->depth == 0) fail(b, base, "holds no layers", "at least one");
	if (w->speaker_width)
		bind_conv(b, &f->cond, (shape){ .out = 2 * width * f->depth, .in = w->speaker_width, .kernel = 1 }, "%s.%s.cond_layer", base, net);
	bind_conv(b, &f->post, (shape){ .out = w->half, .in = width, .kernel = 1 }, PICK(b, "%s.conv_post", "%s.post"), base);
}

static void bind_flow(binder *b) {
	vits_weights *const w = b->w;
	const int step = b->authors ? 2 : 1; /* the authors number the flips between flows too */
	w->flow_count = count_numbered(b, "flow.flows.", PICK(b, ".conv_pre.weight", ".pre.weight"), 0, step, VITS_MAX_FLOWS);
	for (int i = 0; i < w->flow_count; i++) {
		char base[64];
		snprintf(base, sizeof base, "flow.flows.%d", (w->flow_count - 1 - i) * step);
		bind_coupling(b, &w->flows[i], base);
	}
	if (b->code == SN_OK && w->flow_count == 0) fail(b, "flow.flows.0", "is missing", "at least one coupling");
}

/* Type 2 has one convolution for each dilation, type 1 two. */
static void bind_block(binder *b, vits_block *k, int64_t channels, int index, int which) {
	const char *const decoder = b->decoder;
	k->two = exists(b, "%s.resblocks.%d.convs1.0.bias", decoder, index);
	const char *const first = k->two ? "convs1" : "convs";
	char before[64];
	snprintf(before, sizeof before, "%s.resblocks.%d.%s.", decoder, index, first);
	k->depth = count_numbered(b, before, ".bias", 0, 1, VITS_MAX_DEPTH);
	for (int i = 0; i < k->depth && b->code == SN_OK; i++) {
		const int told = !b->piper && which < b->s->kernels && i < b->s->dilation_count[which];
		shape want = { .out = channels, .in = channels, .kernel = ANY, .odd = 1, .dilation = told ? (int)b->s->dilations[which][i] : 1 };
		bind_conv(b, &k->first[i], want, "%s.resblocks.%d.%s.%d", decoder, index, first, i);
		want.dilation = 1;
		if (k->two) bind_conv(b, &k->second[i], want, "%s.resblocks.%d.convs2.%d", decoder, index, i);
	}
}

static void bind_decoder(binder *b) {
	vits_weights *const w = b->w;
	const char *const decoder = b->decoder, *const ups = PICK(b, "upsampler", "ups");
	char found[96], name[64];
	int blocks = 0;
	bind_conv(b, &w->conv_pre, (shape){ .out = ANY, .in = 2 * w->half, .kernel = ANY, .odd = 1 }, "%s.conv_pre", decoder);
	if (w->speaker_width)
		bind_conv(b, &w->decoder_cond, (shape){ .out = w->conv_pre.out, .in = w->speaker_width, .kernel = 1 }, "%s.%s", decoder,
		          b->coqui ? "cond_layer" : "cond");
	snprintf(name, sizeof name, "%s.%s.", decoder, ups);
	w->stage_count = count_numbered(b, name, ".bias", 0, 1, VITS_MAX_STAGES);
	while (blocks <= VITS_MAX_STAGES * VITS_MAX_KERNELS && (exists(b, "%s.resblocks.%d.convs1.0.bias", decoder, blocks) ||
	                                                        exists(b, "%s.resblocks.%d.convs.0.bias", decoder, blocks)))
		blocks++;
	if (b->code != SN_OK) return;
	if (w->stage_count == 0 || blocks == 0 || blocks % w->stage_count || blocks / w->stage_count > VITS_MAX_KERNELS) {
		snprintf(found, sizeof found, "is missing: there are %d residual blocks for %d upsamplings", blocks, w->stage_count);
		snprintf(name, sizeof name, "%s.resblocks.%d", decoder, blocks);
		fail(b, name, found, "1 to 8 upsamplings with 1 to 8 residual blocks each");
		return;
	}
	if (!b->piper && w->stage_count != b->s->stages) {
		snprintf(found, sizeof found, "is the last of %d upsamplings, the configuration has %d", w->stage_count, b->s->stages);
		snprintf(name, sizeof name, "%s.%s.%d", decoder, ups, w->stage_count - 1);
		fail(b, name, found, "as many as 'upsample_rates'");
		return;
	}
	w->kernel_count = blocks / w->stage_count;
	int64_t channels = w->conv_pre.out;
	for (int i = 0; i < w->stage_count && b->code == SN_OK; i++) {
		vits_stage *const stage = &w->stages[i];
		bind_conv(b, &stage->up, (shape){ .out = ANY, .in = channels, .kernel = ANY, .transposed = 1 }, "%s.%s.%d", decoder, ups, i);
		if (b->code != SN_OK) return;
		if (!b->piper) stage->up.stride = (int)b->s->rates[i];
		if (stage->up.kernel < stage->up.stride || (stage->up.kernel - stage->up.stride) % 2) {
			snprintf(found, sizeof found, "has a kernel of %lld rows and stride %d", (long long)stage->up.kernel, stage->up.stride);
			snprintf(name, sizeof name, "%s.%s.%d", decoder, ups, i);
			fail(b, name, found, "a kernel of the stride plus an even number, which multiplies the length");
		}
		channels = stage->up.out;
		for (int j = 0; j < w->kernel_count; j++) bind_block(b, &stage->blocks[j], channels, i * w->kernel_count + j, j);
	}
	bind_conv(b, &w->conv_post, (shape){ .out = 1, .in = channels, .kernel = ANY, .bare = 1, .odd = 1 }, "%s.conv_post", decoder);
}

static int collect_convs(binder *b) {
	const size_t nodes = sn_onnx_node_count(b->file);
	if (!b->piper) return SN_OK;
	b->convs = malloc((nodes + 1) * sizeof *b->convs);
	if (!b->convs) return sn_fail(b->err, SN_E_MEMORY, "out of memory while reading %s", sn_weights_path(b->file));
	for (size_t i = 0; i < nodes; i++) {
		const sn_onnx_node *const node = sn_onnx_node_at(b->file, i);
		if (strcmp(node->op, "Conv") == 0 || strcmp(node->op, "ConvTranspose") == 0) b->convs[b->conv_count++] = node;
	}
	return SN_OK;
}

static void check_decoder(binder *b, const char *kernels, const char *dilations, const char *ups, const char *type) {
	const vits_weights *const w = b->w;
	const vits_coqui *const c = &b->s->coqui;
	agree(b, kernels, c->kernel_count, w->kernel_count);
	agree(b, dilations, b->s->kernels, w->kernel_count);
	agree(b, ups, c->up_count, w->stage_count);
	for (int i = 0; i < w->stage_count && b->code == SN_OK; i++) {
		agree(b, ups, c->up_kernels[i], w->stages[i].up.kernel);
		for (int j = 0; j < w->kernel_count; j++) {
			agree(b, kernels, c->kernels[j], w->stages[i].blocks[j].first[0].kernel);
			if (b->s->dilation_count[j] < w->stages[i].blocks[j].depth)
				agree(b, dilations, b->s->dilation_count[j], w->stages[i].blocks[j].depth);
			agree(b, type, c->block_type, w->stages[i].blocks[j].two ? 1 : 2);
		}
	}
}

/* The authors' code fills what the checkpoint lacks with random numbers. */
static void check_authors(binder *b) {
	const vits_weights *const w = b->w;
	const vits_coqui *const c = &b->s->coqui;
	if (b->code != SN_OK) return;
	agree(b, "hidden_channels", c->hidden, w->width);
	agree(b, "n_layers", c->layers, w->layer_count);
	for (int i = 0; i < w->layer_count; i++) {
		agree(b, "filter_channels", c->feed_forward, w->layers[i].ffn1.out);
		agree(b, "kernel_size", c->text_kernel, w->layers[i].ffn1.kernel);
	}
	agree(b, "use_sdp", c->stochastic, w->stochastic);
	agree(b, "upsample_initial_channel", c->decoder_width, w->conv_pre.out);
	agree(b, "n_speakers", b->s->stated.speakers, w->speakers ? w->speakers->dims[0] : 1);
	if (w->speakers) agree(b, "gin_channels", b->s->speaker_width, w->speaker_width);
	check_decoder(b, "resblock_kernel_sizes", "resblock_dilation_sizes", "upsample_kernel_sizes", "resblock");
}

/* Coqui's reference builds the model from its configuration and loads only what fits. */
static void check_coqui(binder *b) {
	const vits_weights *const w = b->w;
	const vits_coqui *const c = &b->s->coqui;
	if (b->code != SN_OK) return;
	agree(b, "num_chars", c->chars, w->embedding->dims[0]);
	agree(b, "hidden_channels", c->hidden, w->embedding->dims[1]);
	agree(b, "hidden_channels", c->hidden, 2 * w->half);
	agree(b, "num_layers_text_encoder", c->layers, w->layer_count);
	for (int i = 0; i < w->layer_count; i++) {
		agree(b, "hidden_channels_ffn_text_encoder", c->feed_forward, w->layers[i].ffn1.out);
		agree(b, "kernel_size_text_encoder", c->text_kernel, w->layers[i].ffn1.kernel);
	}
	agree(b, "use_sdp", c->stochastic, w->stochastic);
	for (int i = 0; i < w->flow_count; i++) {
		agree(b, "num_layers_flow", c->flow_layers, w->flows[i].depth);
		agree(b, "kernel_size_flow", c->flow_kernel, w->flows[i].in[0].kernel);
	}
	agree(b, "upsample_initial_channel_decoder", c->decoder_width, w->conv_pre.out);
	check_decoder(b, "resblock_kernel_sizes_decoder", "resblock_dilation_sizes_decoder", "upsample_kernel_sizes_decoder",
	              "resblock_type_decoder");
	if (!w->speaker_width && exists(b, "%s.cond_layer.weight", b->decoder))
		fail(b, "waveform_decoder.cond_layer.weight", "is there", "none, since neither 'use_speaker_embedding' nor 'use_d_vector_file' is set");
}

/* Samples of a frame: what the upsamplings make of it, which some configurations state as well. */
static void set_hop(binder *b, vits_settings *s) {
	int64_t hop = 1;
	if (b->code != SN_OK) return;
	for (int i = 0; i < b->w->stage_count; i++) hop *= b->w->stages[i].up.stride; /* at most 32^8 */
	if (hop > VITS_MAX_HOP)
		b->code = sn_fail(b->err, SN_E_MODEL, "%s: a frame has %lld samples; at most %d are supported", sn_weights_path(b->file), (long long)hop,
		                  VITS_MAX_HOP);
	else if (s->coqui.hop && s->coqui.hop != hop)
		b->code = sn_fail(b->err, SN_E_MODEL, "%s: the configuration's 'hop_length' asks for %d samples a frame; the upsamplings make %lld",
		                  sn_weights_path(b->file), s->coqui.hop, (long long)hop);
	s->public.hop = (int)hop;
}

/* The stochastic predictor's layers are as wide as the encoder; one of its flows stays unused. */
static void check_durations(binder *b) {
	const vits_stated *const t = &b->s->stated;
	vits_weights *const w = b->w;
	agree(b, "use_stochastic_duration_prediction", t->stochastic, w->stochastic);
	if (b->code != SN_OK) return;
	if (!w->stochastic) {
		agree(b, "duration_predictor_filter_channels", t->filter, w->duration.conv1.out);
		agree(b, "duration_predictor_kernel_size", t->duration_kernel, w->duration.conv1.kernel);
		return;
	}
	agree(b, "depth_separable_num_layers", t->separable_layers, w->duration.separable.depth);
	agree(b, "duration_predictor_kernel_size", t->duration_kernel, w->duration.separable.dilated[0].kernel);
	agree(b, "duration_predictor_num_flows", t->duration_flows, w->spline_count + 1);
	agree(b, "duration_predictor_flow_bins", t->bins, (w->duration.splines[0].proj.out + 1) / 3);
}

/* A configuration with other sizes than its weights' is of another model. */
static void check_stated(binder *b) {
	const vits_stated *const t = &b->s->stated;
	vits_weights *const w = b->w;
	if (b->code != SN_OK) return;
	agree(b, "vocab_size", t->vocab, w->embedding->dims[0]);
	agree(b, "hidden_size", t->hidden, w->embedding->dims[1]);
	agree(b, "flow_size", t->flow_size, 2 * w->half);
	agree(b, "num_hidden_layers", t->layers, w->layer_count);
	agree(b, "window_size", t->window, w->layers[0].rel_k ? w->window : 0);
	agree(b, "use_bias", t->bias, w->layers[0].q.bias != NULL);
	for (int i = 0; i < w->layer_count; i++) {
		agree(b, "ffn_dim", t->feed_forward, w->layers[i].ffn1.out);
		agree(b, "ffn_kernel_size", t->text_kernel, w->layers[i].ffn1.kernel);
	}
	agree(b, "num_speakers", t->speakers > 1 ? t->speakers : 1, w->speakers ? w->speakers->dims[0] : 1);
	if (t->speakers > 1) agree(b, "speaker_embedding_size", t->speaker_width, w->speaker_width);
	check_durations(b);
	agree(b, "prior_encoder_num_flows", t->flows, w->flow_count);
	for (int i = 0; i < w->flow_count; i++) {
		agree(b, "prior_encoder_num_wavenet_layers", t->flow_layers, w->flows[i].depth);
		agree(b, "wavenet_kernel_size", t->flow_kernel, w->flows[i].in[0].kernel);
	}
	agree(b, "upsample_initial_channel", t->decoder_width, w->conv_pre.out);
	agree(b, "upsample_kernel_sizes", t->up_count, w->stage_count);
	agree(b, "resblock_kernel_sizes", t->kernel_count, w->kernel_count);
	for (int i = 0; b->code == SN_OK && i < w->stage_count; i++) {
		agree(b, "upsample_kernel_sizes", t->up_kernels[i], w->stages[i].up.kernel);
		for (int j = 0; j < w->kernel_count; j++)
			agree(b, "resblock_kernel_sizes", t->kernels[j], w->stages[i].blocks[j].first[0].kernel);
	}
}

int vits_weights_bind(vits_weights *w, vits_settings *s, const sn_weights *file, char *err) {
	binder b = { .w = w, .s = s, .file = file, .piper = s->public.piper, .coqui = s->public.coqui, .err = err };
	b.authors = b.piper || s->public.authors;
	b.text = b.authors ? "enc_p" : "text_encoder";
	b.duration = b.authors ? "dp" : "duration_predictor";
	b.decoder = b.authors ? "dec" : b.coqui ? "waveform_decoder" : "decoder";
	*w = (vits_weights){ 0 };
	if (b.coqui) sn_weights_prefix(file, "waveform_decoder.conv_pre.weight", b.prefix);
	if (s->public.authors) sn_weights_prefix(file, "dec.conv_pre.weight", b.prefix);
	const int code = collect_convs(&b);
	if (code != SN_OK) return code;
	bind_languages(&b);
	bind_text(&b);
	bind_speakers(&b);
	w->stochastic = exists(&b, "%s.flows.0.%s", b.duration, b.authors ? "m" : b.coqui ? "translation" : "translate");
	if (w->stochastic) bind_stochastic(&b);
	else bind_deterministic(&b);
	bind_flow(&b);
	bind_decoder(&b);
	free(b.convs);
	if (b.coqui) check_coqui(&b);
	else if (s->public.authors) check_authors(&b);
	else if (s->stated.layers) check_stated(&b);
	set_hop(&b, s);
	if (b.code != SN_OK) return b.code;
	s->public.vocab = (int)w->embedding->dims[0];
	s->public.speakers = w->speakers ? (int)w->speakers->dims[0] : 1;
	s->public.embedding = w->speakers ? 0 : w->speaker_width;
	s->public.languages = w->languages ? (int)w->languages->dims[0] : 0;
	return SN_OK;
}
