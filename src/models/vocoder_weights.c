#include "models/vocoder_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void vocoder_bind_fail(vocoder_binder *b, const char *name, const char *found, const char *expected) {
	if (b->code == SN_OK)
		b->code = sn_fail(b->err, SN_E_MODEL, "%s: tensor '%s' %s; expected %s", sn_weights_path(b->file), name, found, expected);
}

static const sn_weight *find(const vocoder_binder *b, const char *base, const char *tail) {
	char name[256];
	return snprintf(name, sizeof name, "%s%s%s", b->prefix, base, tail) < (int)sizeof name ? sn_weights_find(b->file, name) : NULL;
}

/* A layer's weight by what it may be called: as it is, or weight normalised by torch's older or newer function; SpeechBrain wraps its
 * convolutions once more. */
static int find_weight(const vocoder_binder *b, vocoder_conv *c, const char *base) {
	static const struct { const char *weight, *g, *v, *bias; } names[] = {
		{ ".weight", ".weight_g", ".weight_v", ".bias" },
		{ ".weight", ".parametrizations.weight.original0", ".parametrizations.weight.original1", ".bias" },
		{ ".conv.weight", ".conv.weight_g", ".conv.weight_v", ".conv.bias" },
		{ ".conv.weight", ".conv.parametrizations.weight.original0", ".conv.parametrizations.weight.original1", ".conv.bias" },
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		c->weight = find(b, base, names[i].weight);
		c->norm_v = c->weight ? NULL : find(b, base, names[i].v);
		if (!c->weight && !c->norm_v) continue;
		c->norm_g = c->weight ? NULL : find(b, base, names[i].g);
		c->bias = find(b, base, names[i].bias);
		return 1;
	}
	return 0;
}

int vocoder_binder_open(vocoder_binder *b, const sn_weights *file, const char *prefix, const char *base, char *err) {
	static const char *const wrappers[] = { "", "generator.", "model.", "model.model_g.", "model_g.", "state_dict.",
	                                        "state_dict.module.",
	                                        "module.", "model.module.", "generator.module.", "model.generator." };
	vocoder_conv conv;
	*b = (vocoder_binder){ .file = file, .err = err };
	for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
		snprintf(b->prefix, sizeof b->prefix, "%s", prefix ? prefix : wrappers[i]);
		if (find_weight(b, &conv, base)) return 1;
		if (prefix) break;
	}
	return 0;
}

static void write_dims(char *out, size_t size, const char *before, int rank, const int64_t *dims) {
	int n = snprintf(out, size, "%s[", before);
	for (int i = 0; i < rank && n < (int)size - 24; i++)
		n += dims[i] == VOCODER_ANY ? snprintf(out + n, size - (size_t)n, "%sany", i ? ", " : "")
		                            : snprintf(out + n, size - (size_t)n, "%s%lld", i ? ", " : "", (long long)dims[i]);
	snprintf(out + n, size - (size_t)n, "]");
}

/* Refuses a tensor that is missing, no float, empty, or of another shape than dims (VOCODER_ANY: 1 to VOCODER_MAX_WIDTH). */
static const sn_weight *expect(vocoder_binder *b, const sn_weight *w, const char *name, int rank, const int64_t *dims) {
	char found[160], expected[160], kind[32];
	int fits = w && w->rank == rank && sn_weight_is_float(w);
	int64_t elements = 1;
	if (b->code != SN_OK) return NULL;
	for (int i = 0; fits && i < rank; i++) {
		fits = w->dims[i] >= 1 && (dims[i] == VOCODER_ANY ? w->dims[i] <= VOCODER_MAX_WIDTH : w->dims[i] == dims[i]);
		elements *= w->dims[i];
	}
	if (fits) {
		b->parameters += elements;
		return w;
	}
	write_dims(expected, sizeof expected, "floats ", rank, dims);
	if (w) snprintf(kind, sizeof kind, "is %s ", sn_dtype_name(w->dtype));
	if (w) write_dims(found, sizeof found, kind, w->rank, w->dims);
	vocoder_bind_fail(b, w ? w->name : name, w ? found : "is missing", expected);
	return NULL;
}

const sn_weight *vocoder_bind(vocoder_binder *b, const char *name, int rank, const int64_t *dims) {
	return expect(b, find(b, name, ""), name, rank, dims);
}

int vocoder_has(const vocoder_binder *b, const char *format, ...) {
	char base[192];
	vocoder_conv conv;
	va_list args;
	va_start(args, format);
	vsnprintf(base, sizeof base, format, args);
	va_end(args);
	return find_weight(b, &conv, base);
}

void vocoder_bind_conv(vocoder_binder *b, vocoder_conv *c, vocoder_conv_shape want, const char *format, ...) {
	char base[192], found[96];
	va_list args;
	if (b->code != SN_OK) return;
	va_start(args, format);
	vsnprintf(base, sizeof base, format, args);
	va_end(args);
	*c = (vocoder_conv){ .dilation = want.dilation ? want.dilation : 1 };
	find_weight(b, c, base);
	const sn_weight *const main = c->weight ? c->weight : c->norm_v;
	const int64_t dims[3] = { want.transposed ? want.in : want.out, want.transposed ? want.out : want.in, want.kernel };
	if (!expect(b, main, base, 3, dims)) return;
	c->out = main->dims[want.transposed ? 1 : 0];
	c->in = main->dims[want.transposed ? 0 : 1];
	c->kernel = main->dims[2];
	if (c->norm_v) expect(b, c->norm_g, base, 3, (int64_t[]){ main->dims[0], 1, 1 });
	if (c->bias || !want.bare) {
		snprintf(base + strlen(base), sizeof base - strlen(base), ".bias");
		expect(b, c->bias, base, 1, &c->out);
	}
	const int64_t span = (c->kernel - 1) * c->dilation;
	if (span < VOCODER_MAX_KERNEL && (want.transposed || span % 2 == 0)) return;
	snprintf(found, sizeof found, "has a kernel of %lld rows with dilation %d", (long long)c->kernel, c->dilation);
	vocoder_bind_fail(b, main->name, found, "one that spans an odd number of rows up to 4096, which keeps the length");
}

nn_t vocoder_weight(nn_graph *g, const vocoder_conv *c) {
	if (c->weight) return nn_weight(g, c->weight, c->weight->name);
	return nn_fold_weight_norm(g, nn_weight(g, c->norm_g, c->norm_v->name), nn_weight(g, c->norm_v, c->norm_v->name));
}

nn_t vocoder_bias(nn_graph *g, const vocoder_conv *c) { return c->bias ? nn_weight(g, c->bias, c->bias->name) : NN_NONE; }

int64_t vocoder_conv_side(const vocoder_conv *c) { return (c->kernel - 1) * c->dilation / 2; }

nn_t vocoder_record_conv(nn_graph *g, const vocoder_conv *c, nn_t x, int mirrored) {
	const int64_t side = vocoder_conv_side(c);
	if (c->kernel == 1)
		return nn_linear(g, x, nn_reshape(g, vocoder_weight(g, c), 2, (nn_dim[]){ nn_fix(c->out), nn_fix(c->in) }), vocoder_bias(g, c));
	if (mirrored) x = nn_pad_rows(g, x, side, side, NN_PAD_REFLECT);
	const nn_conv shape = { .dilation = c->dilation, .pad_left = mirrored ? 0 : (int)side, .pad_right = mirrored ? 0 : (int)side };
	return nn_conv1d(g, x, vocoder_weight(g, c), vocoder_bias(g, c), shape);
}
