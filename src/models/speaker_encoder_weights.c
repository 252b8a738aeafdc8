#include "models/speaker_encoder_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ANY (-1)

typedef struct binder {
	se_weights *w;
	const sn_weights *file;
	const char *prefix;
	int code; /* the first failure; later calls do nothing */
	char *err;
} binder;

static const sn_weight *find(const binder *b, const char *name) {
	char full[SN_WEIGHTS_MAX_NAME + 128];
	return snprintf(full, sizeof full, "%s%s", b->prefix, name) < (int)sizeof full ? sn_weights_find(b->file, full) : NULL;
}

static void say_shape(char *out, size_t size, int rank, const int64_t *dims) {
	size_t n = (size_t)snprintf(out, size, "[");
	for (int i = 0; i < rank && n < size; i++)
		n += (size_t)(dims[i] == ANY ? snprintf(out + n, size - n, "%sany", i ? ", " : "")
		                             : snprintf(out + n, size - n, "%s%lld", i ? ", " : "", (long long)dims[i]));
	if (n < size) snprintf(out + n, size - n, "]");
}

/* A float tensor of that shape (ANY: 1 to SE_MAX_WIDTH), counted among the parameters. */
static const sn_weight *bind(binder *b, int rank, const int64_t *dims, const char *format, ...) __attribute__((format(printf, 4, 5)));
static const sn_weight *bind(binder *b, int rank, const int64_t *dims, const char *format, ...) {
	char name[128], found[160], expected[160];
	va_list args;
	if (b->code != SN_OK) return NULL;
	va_start(args, format);
	vsnprintf(name, sizeof name, format, args);
	va_end(args);
	const sn_weight *const t = find(b, name);
	int64_t count = 1;
	int fits = t && t->rank == rank && sn_weight_is_float(t);
	for (int i = 0; fits && i < rank; i++) {
		fits = dims[i] == ANY ? t->dims[i] >= 1 && t->dims[i] <= SE_MAX_WIDTH : t->dims[i] == dims[i];
		count *= t->dims[i];
	}
	if (fits) {
		b->w->parameters += count;
		return t;
	}
	say_shape(expected, sizeof expected, rank, dims);
	if (t) say_shape(found, sizeof found, t->rank, t->dims);
	b->code = t ? sn_fail(b->err, SN_E_MODEL, "%s: tensor '%s' is %s %s; expected floats %s", sn_weights_path(b->file), name,
	                      sn_dtype_name(t->dtype), found, expected)
	            : sn_fail(b->err, SN_E_MODEL, "%s: tensor '%s' is missing; expected floats %s", sn_weights_path(b->file), name, expected);
	return NULL;
}

static void bind_norm(binder *b, se_norm *n, int64_t channels, const char *base) {
	n->gamma = bind(b, 1, &channels, "%s.weight", base);
	n->beta = bind(b, 1, &channels, "%s.bias", base);
	n->mean = bind(b, 1, &channels, "%s.running_mean", base);
	n->variance = bind(b, 1, &channels, "%s.running_var", base);
	if (b->code == SN_OK) b->w->parameters -= 2 * channels;
}

/* A convolution of 3 x 3 looks at nine values of each channel and frequency: what one frame of its input takes is bounded, since a
 * small file can claim wide layers. */
static void check_size(binder *b, int64_t channels, const char *base) {
	if (b->code == SN_OK && channels * 9 * b->w->height > SE_MAX_FRAME)
		b->code = sn_fail(b->err, SN_E_LIMIT, "%s: '%s' reads %lld channels at %d frequencies; %d values at once are the most",
		                  sn_weights_path(b->file), base, (long long)channels, b->w->height, SE_MAX_FRAME / 9);
}

static void bind_block(binder *b, se_block *k, int layer, int index, int in) {
	char base[64], name[96];
	snprintf(base, sizeof base, "layer%d.%d", layer + 1, index);
	*k = (se_block){ .in = in, .stride = layer && !index ? 2 : 1 };
	k->conv1 = bind(b, 4, (int64_t[]){ ANY, in, 3, 3 }, "%s.conv1.weight", base);
	if (b->code != SN_OK) return;
	const int64_t out = k->conv1->dims[0];
	k->out = (int)out;
	check_size(b, in > out ? in : out, base);
	k->conv2 = bind(b, 4, (int64_t[]){ out, out, 3, 3 }, "%s.conv2.weight", base);
	snprintf(name, sizeof name, "%s.bn1", base);
	bind_norm(b, &k->norm1, out, name);
	snprintf(name, sizeof name, "%s.bn2", base);
	bind_norm(b, &k->norm2, out, name);
	k->squeeze = bind(b, 2, (int64_t[]){ ANY, out }, "%s.se.fc.0.weight", base);
	if (b->code != SN_OK) return;
	const int64_t less = k->squeeze->dims[0];
	k->squeeze_bias = bind(b, 1, &less, "%s.se.fc.0.bias", base);
	k->excite = bind(b, 2, (int64_t[]){ out, less }, "%s.se.fc.2.weight", base);
	k->excite_bias = bind(b, 1, &out, "%s.se.fc.2.bias", base);
	if (k->stride == 1 && k->in == k->out) return;
	k->down = bind(b, 4, (int64_t[]){ out, in, 1, 1 }, "%s.downsample.0.weight", base);
	snprintf(name, sizeof name, "%s.downsample.1", base);
	bind_norm(b, &k->down_norm, out, name);
}

static void bind_layer(binder *b, int layer, int *channels) {
	char name[64];
	int count = 0;
	for (; count <= SE_MAX_BLOCKS; count++) {
		snprintf(name, sizeof name, "layer%d.%d.conv1.weight", layer + 1, count);
		if (!find(b, name)) break;
	}
	if (b->code == SN_OK && (count < 1 || count > SE_MAX_BLOCKS))
		b->code = sn_fail(b->err, SN_E_MODEL, "%s: 'layer%d' has %d blocks; 1 to %d are expected", sn_weights_path(b->file), layer + 1, count,
		                  SE_MAX_BLOCKS);
	for (int i = 0; i < count && b->code == SN_OK; i++) {
		bind_block(b, &b->w->blocks[layer][i], layer, i, *channels);
		*channels = b->w->blocks[layer][i].out;
	}
	b->w->block_count[layer] = count;
	if (layer) b->w->height = (b->w->height - 1) / 2 + 1;
}

int se_weights_bind(se_weights *w, int mels, const sn_weights *file, const char *prefix, char *err) {
	binder b = { .w = w, .file = file, .prefix = prefix, .err = err };
	*w = (se_weights){ .mels = mels, .height = mels };
	w->conv = bind(&b, 4, (int64_t[]){ ANY, 1, 3, 3 }, "conv1.weight");
	if (!w->conv) return b.code;
	int channels = (int)w->conv->dims[0];
	w->conv_bias = bind(&b, 1, w->conv->dims, "conv1.bias");
	bind_norm(&b, &w->norm, channels, "bn1");
	for (int i = 0; i < SE_LAYERS; i++) bind_layer(&b, i, &channels);
	const int64_t width = (int64_t)channels * w->height;
	w->attend1 = bind(&b, 3, (int64_t[]){ ANY, width, 1 }, "attention.0.weight");
	if (!w->attend1) return b.code;
	const int64_t hidden = w->attend1->dims[0];
	w->attend1_bias = bind(&b, 1, &hidden, "attention.0.bias");
	bind_norm(&b, &w->attend_norm, hidden, "attention.2");
	w->attend2 = bind(&b, 3, (int64_t[]){ width, hidden, 1 }, "attention.3.weight");
	w->attend2_bias = bind(&b, 1, &width, "attention.3.bias");
	w->project = bind(&b, 2, (int64_t[]){ ANY, 2 * width }, "fc.weight");
	if (!w->project) return b.code;
	w->size = (int)w->project->dims[0];
	w->project_bias = bind(&b, 1, w->project->dims, "fc.bias");
	return b.code;
}
