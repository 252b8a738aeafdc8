#include "models/tacotron2_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct { const char *nvidia, *coqui; } names[] = {
	[TACO_CONV] = { "encoder.convolutions.%d.0.conv", "encoder.convolutions.%d.convolution1d" },
	[TACO_CONV_NORM] = { "encoder.convolutions.%d.1", "encoder.convolutions.%d.batch_normalization" },
	[TACO_PRENET_LAYER] = { "decoder.prenet.layers.%d", "decoder.prenet.linear_layers.%d" },
	[TACO_QUERY_LAYER] = { "decoder.attention_layer.query_layer.linear_layer", "decoder.attention.query_layer.linear_layer" },
	[TACO_MEMORY_LAYER] = { "decoder.attention_layer.memory_layer.linear_layer", "decoder.attention.inputs_layer.linear_layer" },
	[TACO_ENERGY_LAYER] = { "decoder.attention_layer.v.linear_layer", "decoder.attention.v.linear_layer" },
	[TACO_LOCATION_CONV] = { "decoder.attention_layer.location_layer.location_conv.conv",
	                         "decoder.attention.location_layer.location_conv1d" },
	[TACO_LOCATION_DENSE] = { "decoder.attention_layer.location_layer.location_dense.linear_layer",
	                          "decoder.attention.location_layer.location_dense.linear_layer" },
	[TACO_STOP] = { "decoder.gate_layer.linear_layer", "decoder.stopnet.1.linear_layer" },
	[TACO_POSTNET] = { "postnet.convolutions.%d.0.conv", "postnet.convolutions.%d.convolution1d" },
	[TACO_POSTNET_NORM] = { "postnet.convolutions.%d.1", "postnet.convolutions.%d.batch_normalization" },
};

const char *taco_tensor(const taco_settings *s, taco_name name, int layer, const char *suffix, char out[2 * SN_WEIGHTS_MAX_NAME]) {
	const char *const form = s->coqui ? names[name].coqui : names[name].nvidia, *const at = strstr(form, "%d");
	char number[16] = "";
	if (at) snprintf(number, sizeof number, "%d", layer);
	const int front = at ? (int)(at - form) : (int)strlen(form);
	snprintf(out, 2 * SN_WEIGHTS_MAX_NAME, "%s%.*s%s%s.%s", s->prefix, front, form, number, at ? at + 2 : "", suffix);
	return out;
}

typedef struct binding {
	taco_settings *s;
	const sn_weights *w;
	char *err;
	int code; /* sticky */
} binding;

/* Sizes of a tensor that must have them all between 1 and the most. */
static const sn_weight *take(binding *b, const char *name, int rank) {
	if (b->code != SN_OK) return NULL;
	const sn_weight *const t = sn_weights_find(b->w, name);
	if (!t) {
		b->code = sn_fail(b->err, SN_E_MODEL, "%s lacks tensor '%s'", sn_weights_path(b->w), name);
		return NULL;
	}
	int fits = t->rank == rank;
	for (int i = 0; fits && i < rank; i++) fits = t->dims[i] >= 1 && t->dims[i] <= 4 * TACO_MAX_WIDTH + (i ? 0 : 1 << 16);
	if (fits) return t;
	b->code = sn_fail(b->err, SN_E_MODEL, "%s: tensor '%s' has rank %d and %lld rows; rank %d and 1 to %d are expected",
	                  sn_weights_path(b->w), name, t->rank, t->rank ? (long long)t->dims[0] : 1ll, rank, 4 * TACO_MAX_WIDTH);
	return NULL;
}

static int64_t size_of(binding *b, const char *name, int rank, int axis) {
	const sn_weight *const t = take(b, name, rank);
	return t ? t->dims[axis] : 1;
}

static int64_t named(binding *b, taco_name name, int layer, const char *suffix, int rank, int axis) {
	char full[2 * SN_WEIGHTS_MAX_NAME];
	return size_of(b, taco_tensor(b->s, name, layer, suffix, full), rank, axis);
}

static int64_t plain(binding *b, const char *name, int rank, int axis) {
	char full[2 * SN_WEIGHTS_MAX_NAME];
	snprintf(full, sizeof full, "%s%s", b->s->prefix, name);
	return size_of(b, full, rank, axis);
}

static void need(binding *b, int right, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void need(binding *b, int right, const char *format, ...) {
	char text[256];
	va_list args;
	if (right || b->code != SN_OK) return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	b->code = sn_fail(b->err, SN_E_MODEL, "%s: %s", sn_weights_path(b->w), text);
}

static void width(binding *b, int64_t value, const char *what) {
	need(b, value <= TACO_MAX_WIDTH, "%lld %s; at most %d are supported", (long long)value, what, TACO_MAX_WIDTH);
}

static void odd(binding *b, int64_t kernel, const char *what) {
	need(b, kernel % 2 == 1 && kernel <= 255, "a kernel of %lld in the %s; odd numbers up to 255 are right", (long long)kernel, what);
}

/* How many layers of that name there are. */
static int64_t layers(binding *b, taco_name name, const char *suffix) {
	char full[2 * SN_WEIGHTS_MAX_NAME];
	int count = 0;
	while (count <= TACO_MAX_LAYERS && sn_weights_find(b->w, taco_tensor(b->s, name, count, suffix, full))) count++;
	need(b, count >= 1, "tensor '%s' is missing", taco_tensor(b->s, name, 0, suffix, full));
	need(b, count <= TACO_MAX_LAYERS, "more than %d layers like '%s'", TACO_MAX_LAYERS, taco_tensor(b->s, name, 0, suffix, full));
	return b->code == SN_OK ? count : 0;
}

static int64_t convolutions(binding *b, taco_name name, int64_t in, taco_conv *conv, const char *what) {
	const int64_t count = layers(b, name, "weight");
	for (int i = 0; i < count; i++) {
		conv[i] = (taco_conv){ in, named(b, name, i, "weight", 3, 0), named(b, name, i, "weight", 3, 2) };
		odd(b, conv[i].kernel, what);
		width(b, conv[i].out, "channels");
		in = conv[i].out;
	}
	return count;
}

static void bind_encoder(binding *b) {
	taco_settings *const s = b->s;
	s->vocab = plain(b, "embedding.weight", 2, 0);
	s->width = plain(b, "embedding.weight", 2, 1);
	width(b, s->width, "values a symbol");
	need(b, s->vocab <= 1 << 16, "%lld symbols; at most %d are supported", (long long)s->vocab, 1 << 16);
	s->convs = convolutions(b, TACO_CONV, s->width, s->conv, "encoder");
	s->lstm = plain(b, "encoder.lstm.weight_hh_l0", 2, 1);
	s->encoder = 2 * s->lstm;
	width(b, s->encoder, "values of the encoder");
}

static void bind_attention(binding *b) {
	taco_settings *const s = b->s;
	const char *const dense = "decoder.attention.dynamic_filter_layer.weight";
	if (s->attention_kind == TACO_DYNAMIC) {
		s->attention = plain(b, "decoder.attention.query_layer.weight", 2, 0);
		s->dynamic_filters = plain(b, dense, 2, 1);
		s->dynamic_kernel = plain(b, "decoder.attention.key_layer.weight", 2, 0) / s->dynamic_filters;
		s->filters = plain(b, "decoder.attention.static_filter_conv.weight", 3, 0);
		s->location_kernel = plain(b, "decoder.attention.static_filter_conv.weight", 3, 2);
		s->prior = plain(b, "decoder.attention.prior", 1, 0);
		odd(b, s->dynamic_kernel, "dynamic filters");
		need(b, s->prior <= 255, "a prior of %lld symbols; at most 255 are supported", (long long)s->prior);
	} else {
		s->attention = named(b, TACO_QUERY_LAYER, 0, "weight", 2, 0);
	}
	if (s->attention_kind == TACO_LOCATION) {
		s->filters = named(b, TACO_LOCATION_CONV, 0, "weight", 3, 0);
		s->location_kernel = named(b, TACO_LOCATION_CONV, 0, "weight", 3, 2);
	}
	if (s->attention_kind != TACO_CONTENT) odd(b, s->location_kernel, "attention's location layer");
	width(b, s->attention, "values of the attention");
	width(b, s->filters, "filters of the attention");
}

/* No graph asks for this table, so its columns and type are checked here. */
static void bind_speakers(binding *b) {
	taco_settings *const s = b->s;
	char full[2 * SN_WEIGHTS_MAX_NAME];
	snprintf(full, sizeof full, "%sspeaker_embedding.weight", s->prefix);
	const sn_weight *const t = take(b, full, 2);
	if (!t) return;
	need(b, t->dims[1] == s->vector && t->dtype <= SN_F64,
	     "tensor '%.80s' holds %lld columns of %s; %lld floating-point columns are expected", full, (long long)t->dims[1],
	     sn_dtype_name(t->dtype), (long long)s->vector);
	s->speakers = t->dims[0];
}

static void bind_decoder(binding *b) {
	taco_settings *const s = b->s;
	s->prenets = layers(b, TACO_PRENET_LAYER, "linear_layer.weight");
	for (int i = 0; i < s->prenets; i++)
		width(b, s->prenet[i] = named(b, TACO_PRENET_LAYER, i, "linear_layer.weight", 2, 0), "units of the prenet");
	s->frame = named(b, TACO_PRENET_LAYER, 0, "linear_layer.weight", 2, 1);
	s->query = plain(b, "decoder.attention_rnn.weight_hh", 2, 1);
	s->decoder = plain(b, "decoder.decoder_rnn.weight_hh", 2, 1);
	width(b, s->query, "units of the attention's LSTM");
	width(b, s->decoder, "units of the decoder's LSTM");
	if (b->code == SN_OK) s->memory = plain(b, "decoder.attention_rnn.weight_ih", 2, 1) - s->prenet[s->prenets - 1];
	need(b, s->memory == s->encoder + s->style + s->vector,
	     "the decoder takes %lld values a symbol; the encoder makes %lld, a style %lld and a speaker %lld", (long long)s->memory,
	     (long long)s->encoder, (long long)s->style, (long long)s->vector);
	if (s->by_number) bind_speakers(b);
	need(b, s->speakers <= SN_TACOTRON2_MAX_SPEAKERS, "%lld speakers; at most %d are supported", (long long)s->speakers,
	     SN_TACOTRON2_MAX_SPEAKERS);
}

/* Coqui's checkpoint says how many of the projection's frames are used. */
static void bind_frames(binding *b) {
	taco_settings *const s = b->s;
	double number;
	s->mels = named(b, TACO_POSTNET, 0, "weight", 3, 1);
	need(b, s->mels <= 512, "%lld mels; at most 512 are supported", (long long)s->mels);
	const int64_t rows = plain(b, "decoder.linear_projection.linear_layer.weight", 2, 0);
	s->stored = rows / s->mels;
	need(b, rows % s->mels == 0 && s->stored >= 1 && s->stored <= 256,
	     "a projection to %lld values, which are no 1 to 256 frames of %lld mels", (long long)rows, (long long)s->mels);
	s->reduction = s->stored;
	if (s->coqui && (sn_weights_number(b->w, "r", &number) || sn_weights_number(b->w, "config.r", &number))) {
		need(b, number >= 1 && number <= (double)s->stored, "the checkpoint's 'r' is %g; its projection makes %lld frames", number,
		     (long long)s->stored);
		if (b->code == SN_OK) s->reduction = (int64_t)number;
	}
	need(b, s->frame == s->mels || s->frame == s->mels * s->reduction, "the prenet takes %lld values; a frame has %lld",
	     (long long)s->frame, (long long)s->mels);
	s->postnets = convolutions(b, TACO_POSTNET, s->mels, s->postnet, "postnet");
	if (s->postnets) need(b, s->postnet[s->postnets - 1].out == s->mels, "the postnet ends with %lld channels; %lld are right",
	                      (long long)s->postnet[s->postnets - 1].out, (long long)s->mels);
}

static void compare(binding *b) {
	const taco_settings *const s = b->s;
	const int64_t has[TACO_SIZES] = {
		[TACO_VOCAB] = s->vocab, [TACO_MELS] = s->mels, [TACO_FRAME] = s->mels, [TACO_REDUCTION] = s->stored, [TACO_WIDTH] = s->width,
		[TACO_ENCODER] = s->encoder, [TACO_DECODER_IN] = s->encoder, [TACO_ENCODER_LAYERS] = s->convs,
		[TACO_ENCODER_KERNEL] = s->conv[0].kernel, [TACO_QUERY] = s->query, [TACO_ATTENTION] = s->attention,
		[TACO_FILTERS] = s->filters, [TACO_LOCATION_KERNEL] = s->location_kernel,
		[TACO_DECODER] = s->decoder, [TACO_PRENET] = s->prenet[0], [TACO_POSTNET_UNITS] = s->postnet[0].out,
		[TACO_POSTNET_KERNEL] = s->postnet[0].kernel, [TACO_POSTNET_LAYERS] = s->postnets,
	};
	for (int i = 0; i < TACO_SIZES && b->code == SN_OK; i++)
		if (s->stated[i].key && s->stated[i].value != has[i])
			b->code = sn_fail(b->err, SN_E_MODEL,
			                  "%s: '%s' is %lld (where it is missing, that is what the reference takes); the weights have %lld",
			                  s->config, s->stated[i].key, (long long)s->stated[i].value, (long long)has[i]);
}

int taco_settings_bind(taco_settings *s, const sn_weights *w, char *err) {
	binding b = { .s = s, .w = w, .err = err };
	sn_weights_prefix(w, s->coqui ? "decoder.attention_rnn.weight_ih" : "decoder.attention_layer.query_layer.linear_layer.weight",
	                  s->prefix);
	bind_encoder(&b);
	bind_attention(&b);
	bind_decoder(&b);
	bind_frames(&b);
	compare(&b);
	s->mel.mels = (int)s->mels;
	for (int i = 0; i < SN_SYMBOLS; i++)
		if (s->symbols[i] >= s->vocab) s->symbols[i] = -1;
	return b.code;
}
