#include "models/encodec_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 16          /* frames that the upsampler makes at once: what it works on stays near the second-level cache */
#define RECURRENT_ROWS 64 /* frames of one run of the recurrent layers */
#define NAME_BYTES 256
#define STATE_NAME 24

struct sn_encodec {
	encodec_config config;
	sn_encodec_facts facts;
	nn_pool *pool;
	nn_plan *recurrent, *upsampler;
	const sn_weight *books[ENCODEC_MAX_QUANTIZERS]; /* [codebook, width] */
	int most;           /* frames of the longest utterance */
	int64_t chunk_rows; /* input rows of the upsampler's largest run */
};

struct sn_encodec_stream {
	sn_encodec *codec;
	nn_exec *recurrent, *upsampler;
	float *embedding; /* [frames, width] */
	float *hidden;    /* [frames, channels]: what the recurrent layers gave */
	int64_t frames, known, given; /* frames in all, of `hidden` so far, given out as sound */
};

/* ---- the configuration ---- */

static int read_choice(const json_t *root, const char *key, const char *const *names, int count, int *choice, const char *file,
                       char *err) {
	const json_t *const value = json_object_get(root, key);
	if (!value || json_is_null(value)) return SN_OK;
	const char *const text = json_string_value(value);
	for (int i = 0; text && i < count; i++) {
		if (strcmp(text, names[i]) != 0) continue;
		*choice = i;
		return SN_OK;
	}
	return sn_fail(err, SN_E_UNSUPPORTED, "%s: '%s' is '%s'; %s, %s%s%s are known", file, key, text ? text : "no text", names[0],
	               names[1], count > 2 ? ", " : "", count > 2 ? names[2] : "");
}

/* Quantizers of the largest bandwidth, in the reference's arithmetic. */
static int count_quantizers(encodec_config *c, const json_t *root, const char *file, char *err) {
	const json_t *const list = json_object_get(root, "target_bandwidths");
	double bandwidth = 24;
	int bits = 0;
	if (list && !json_is_null(list)) {
		const json_t *const last = json_array_get(list, json_array_size(list) - 1);
		if (!json_is_number(last)) return sn_fail(err, SN_E_MODEL, "%s: 'target_bandwidths' must be a list of numbers", file);
		bandwidth = json_number_value(last);
	}
	while ((1 << bits) < c->codebook) bits++;
	if (c->codebook != 1 << bits)
		return sn_fail(err, SN_E_MODEL, "%s: 'codebook_size' is %d; a power of two is right", file, c->codebook);
	const double rate = ceil((double)c->sample_rate / c->hop) * bits, count = floor(1000 * bandwidth / rate);
	if (!(count >= 1))
		return sn_fail(err, SN_E_MODEL, "%s: a bandwidth of %g is too small for one code book of %g bits/s", file, bandwidth, rate);
	c->quantizers = count > ENCODEC_MAX_QUANTIZERS ? ENCODEC_MAX_QUANTIZERS : (int)count;
	return SN_OK;
}

static int check_config(encodec_config *c, int audio_channels, int codebook_dim, const char *file, char *err) {
	int64_t channels = c->filters, hop = 1, dilation = 1;
	for (int i = 0; i < c->ratio_count; i++) {
		hop *= c->ratios[i];
		channels *= 2;
		if (hop > ENCODEC_MAX_HOP)
			return sn_fail(err, SN_E_MODEL, "%s: a frame of more than %d samples is not supported", file, ENCODEC_MAX_HOP);
	}
	for (int i = 1; i < c->residual_layers; i++) dilation *= c->growth;
	c->hop = (int)hop;
	c->channels = (int)channels;
	if (c->ratio_count < 1) return sn_fail(err, SN_E_MODEL, "%s: 'upsampling_ratios' is empty", file);
	if (channels > ENCODEC_MAX_WIDTH)
		return sn_fail(err, SN_E_MODEL, "%s: %lld channels are too many; at most %d are supported", file, (long long)channels,
		               ENCODEC_MAX_WIDTH);
	if (dilation > ENCODEC_MAX_DILATION)
		return sn_fail(err, SN_E_MODEL, "%s: a dilation of %lld is too large; at most %d is supported", file, (long long)dilation,
		               ENCODEC_MAX_DILATION);
	if (c->residual_layers && c->compress > c->filters)
		return sn_fail(err, SN_E_MODEL, "%s: 'compress' %d leaves nothing of %d filters", file, c->compress, c->filters);
	if (audio_channels != 1) return sn_fail(err, SN_E_UNSUPPORTED, "%s: %d audio channels; speech has one", file, audio_channels);
	if (codebook_dim != c->width)
		return sn_fail(err, SN_E_MODEL, "%s: 'codebook_dim' is %d, 'hidden_size' %d; they must be equal", file, codebook_dim, c->width);
	if (!c->causal && c->trim_right < 1)
		return sn_fail(err, SN_E_MODEL, "%s: 'trim_right_ratio' is %g; without causal convolutions only 1 makes sense", file,
		               c->trim_right);
	return SN_OK;
}

static int read_config(encodec_config *c, const json_t *root, const char *file, char *err) {
	static const char *const norms[] = { "weight_norm", "time_group_norm" }, *const pads[] = { "constant", "replicate", "reflect" };
	static const nn_pad pad_kinds[] = { NN_PAD_ZERO, NN_PAD_REPEAT, NN_PAD_REFLECT };
	*c = (encodec_config){ .sample_rate = 24000, .width = 128, .filters = 32, .residual_layers = 1, .lstm_layers = 2, .compress = 2, .shortcut = 1,
	                       .kernel = 7, .last_kernel = 7, .residual_kernel = 3, .growth = 2, .ratios = { 8, 5, 4, 2 }, .ratio_count = 4,
	                       .codebook = 1024, .causal = 1, .trim_right = 1 };
	int audio_channels = 1, norm = 0, pad = 2, codebook_dim;
	int code = sn_json_int32(root, "sampling_rate", 1000, 384000, &c->sample_rate, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "audio_channels", 1, 64, &audio_channels, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "hidden_size", 1, ENCODEC_MAX_WIDTH, &c->width, file, err);
	codebook_dim = c->width;
	if (code == SN_OK) code = sn_json_int32(root, "codebook_dim", 1, ENCODEC_MAX_WIDTH, &codebook_dim, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "codebook_size", 2, 1 << 20, &c->codebook, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "num_filters", 1, ENCODEC_MAX_WIDTH, &c->filters, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "num_residual_layers", 0, ENCODEC_MAX_RESIDUAL, &c->residual_layers, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "num_lstm_layers", 1, ENCODEC_MAX_LSTM, &c->lstm_layers, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "compress", 1, ENCODEC_MAX_WIDTH, &c->compress, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "kernel_size", 1, ENCODEC_MAX_KERNEL, &c->kernel, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "last_kernel_size", 1, ENCODEC_MAX_KERNEL, &c->last_kernel, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "residual_kernel_size", 1, ENCODEC_MAX_KERNEL, &c->residual_kernel, file, err);
	if (code == SN_OK) code = sn_json_int32(root, "dilation_growth_rate", 1, 16, &c->growth, file, err);
	if (code == SN_OK) code = sn_json_ints(root, "upsampling_ratios", 1, 64, c->ratios, ENCODEC_MAX_RATIOS, &c->ratio_count, file, err);
	if (code == SN_OK) code = sn_json_bool(root, "use_causal_conv", &c->causal, file, err);
	if (code == SN_OK) code = sn_json_bool(root, "use_conv_shortcut", &c->shortcut, file, err);
	if (code == SN_OK) code = sn_json_double(root, "trim_right_ratio", 0, 1, &c->trim_right, file, err);
	if (code == SN_OK) code = read_choice(root, "norm_type", norms, 2, &norm, file, err);
	if (code == SN_OK) code = read_choice(root, "pad_mode", pads, 3, &pad, file, err);
	c->group_norm = norm == 1;
	c->pad = pad_kinds[pad];
	if (code == SN_OK) code = check_config(c, audio_channels, codebook_dim, file, err);
	return code == SN_OK ? count_quantizers(c, root, file, err) : code;
}

/* ---- loading ---- */

/* A file may hold fewer books than the largest bandwidth takes, where fewer are used. */
static int bind_books(sn_encodec *e, const sn_encodec_source *source, char *err) {
	encodec_config *const c = &e->config;
	char name[NAME_BYTES];
	for (int i = 0; i < c->quantizers; i++) {
		snprintf(name, sizeof name, "%squantizer.layers.%d.codebook.embed", source->prefix, i);
		const sn_weight *const w = e->books[i] = sn_weights_find(source->weights, name);
		if (!w && i == 0) return sn_fail(err, SN_E_MODEL, "%s lacks tensor '%s'", sn_weights_path(source->weights), name);
		if (!w) c->quantizers = i;
		else if (w->rank != 2 || w->dims[0] != c->codebook || w->dims[1] != c->width || w->dtype > SN_F64)
			return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' is %s of rank %d [%lld, %lld]; floating [%d, %d] is right",
			               sn_weights_path(source->weights), name, sn_dtype_name(w->dtype), w->rank, (long long)(w->rank > 0 ? w->dims[0] : 0),
			               (long long)(w->rank > 1 ? w->dims[1] : 0), c->codebook, c->width);
	}
	return SN_OK;
}

static int compile(sn_encodec *e, const sn_encodec_source *source, const sn_load_options *load, int upsampler, nn_plan **out,
                   char *err) {
	const encodec_config *const c = &e->config;
	/* The recurrent layers would carry rounding along; what one group norm sees is the whole utterance, at any length. */
	const int exact = load->dtype == NN_DTYPE_F32 || !upsampler || c->group_norm;
	const nn_plan_options options = { .backend = load->backend, .exports = load->exports, .debug = load->debug,
	                                  .dtype = exact ? NN_DTYPE_F32 : NN_DTYPE_BF16, .pack = source->pack };
	encodec_recorder r = { .g = nn_graph_new(upsampler ? "encodec.upsampler" : "encodec.recurrent"), .c = c, .weights = source->weights,
	                       .prefix = source->prefix };
	if (!r.g) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	r.rows = c->group_norm ? e->most : upsampler ? e->chunk_rows : RECURRENT_ROWS;
	if (upsampler) encodec_record_upsampler(&r);
	else encodec_record_recurrent(&r);
	const int code = nn_plan_compile(out, r.g, &options, err);
	nn_graph_free(&r.g);
	return code;
}

int sn_encodec_open(sn_encodec **out, const sn_encodec_source *source, const sn_load_options *load, char *err) {
	int64_t first, last;
	*out = NULL;
	sn_encodec *e = calloc(1, sizeof *e);
	if (!e) return sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", load->dir);
	e->pool = load->pool;
	e->most = source->frames > SN_ENCODEC_MAX_FRAMES ? SN_ENCODEC_MAX_FRAMES : source->frames;
	int code = read_config(&e->config, source->config, source->config_name, err);
	if (code == SN_OK) code = bind_books(e, source, err);
	if (code == SN_OK) {
		const encodec_config *const c = &e->config;
		encodec_needs(c, 1, 0, (int64_t)CHUNK * c->hop, &first, &last);
		e->chunk_rows = last - first + 1;
		e->facts = (sn_encodec_facts){ .sample_rate = c->sample_rate, .hop = c->hop, .quantizers = c->quantizers, .codebook = c->codebook,
		                               .width = c->width };
		code = compile(e, source, load, 0, &e->recurrent, err);
	}
	if (code == SN_OK) code = compile(e, source, load, 1, &e->upsampler, err);
	if (code != SN_OK) sn_encodec_close(&e);
	*out = e;
	return code;
}

void sn_encodec_close(sn_encodec **codec) {
	sn_encodec *const e = *codec;
	if (!e) return;
	nn_plan_release(&e->recurrent);
	nn_plan_release(&e->upsampler);
	free(e);
	*codec = NULL;
}

const sn_encodec_facts *sn_encodec_get_facts(const sn_encodec *codec) { return &codec->facts; }

/* ---- streams ---- */

int sn_encodec_stream_new(sn_encodec_stream **out, sn_encodec *codec, char *err) {
	const encodec_config *const c = &codec->config;
	sn_encodec_stream *s = calloc(1, sizeof *s);
	*out = s;
	if (s) {
		s->codec = codec;
		s->embedding = malloc((size_t)codec->most * (size_t)c->width * sizeof(float));
		s->hidden = malloc((size_t)codec->most * (size_t)c->channels * sizeof(float));
	}
	int code = s && s->embedding && s->hidden ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory for %d frames of sound", codec->most);
	if (code == SN_OK) code = nn_exec_new(&s->recurrent, codec->recurrent, codec->pool, err);
	if (code == SN_OK) code = nn_exec_new(&s->upsampler, codec->upsampler, codec->pool, err);
	if (code != SN_OK) sn_encodec_stream_free(out);
	return code;
}

void sn_encodec_stream_free(sn_encodec_stream **stream) {
	sn_encodec_stream *const s = *stream;
	if (!s) return;
	nn_exec_profile(s->recurrent);
	nn_exec_profile(s->upsampler);
	nn_exec_free(&s->recurrent);
	nn_exec_free(&s->upsampler);
	free(s->embedding);
	free(s->hidden);
	free(s);
	*stream = NULL;
}

/* An input of the recurrent layers, or one of their outputs: "h0", "next_c1", ... */
static const char *state_name(char name[STATE_NAME], const char *kind, int layer) {
	snprintf(name, STATE_NAME, "%s%d", kind, layer);
	return name;
}

int sn_encodec_start(sn_encodec_stream *s, const int32_t *codes, int books, int frames, char *err) {
	const encodec_config *const c = &s->codec->config;
	char name[STATE_NAME];
	s->frames = s->known = s->given = 0;
	if (frames < 1 || frames > s->codec->most || books < 1 || books > c->quantizers)
		return sn_fail(err, SN_E_ARGUMENT, "%d frames of %d codes; 1 to %d of 1 to %d are right", frames, books, s->codec->most,
		               c->quantizers);
	memset(s->embedding, 0, (size_t)frames * (size_t)c->width * sizeof *s->embedding);
	for (int b = 0; b < books; b++)
		for (int t = 0; t < frames; t++) {
			float entry[ENCODEC_MAX_WIDTH], *const row = s->embedding + (int64_t)t * c->width;
			const int32_t code = codes[(int64_t)b * frames + t];
			if (code < 0 || code >= c->codebook)
				return sn_fail(err, SN_E_ARGUMENT, "code %d of book %d is outside 0 to %d", code, b, c->codebook - 1);
			sn_weight_floats(s->codec->books[b], (int64_t)code * c->width, c->width, entry);
			for (int i = 0; i < c->width; i++) row[i] += entry[i];
		}
	for (int i = 0; i < c->lstm_layers; i++) {
		memset(nn_exec_input(s->recurrent, state_name(name, "h", i)), 0, (size_t)c->channels * sizeof(float));
		memset(nn_exec_input(s->recurrent, state_name(name, "c", i)), 0, (size_t)c->channels * sizeof(float));
	}
	s->frames = frames;
	return SN_OK;
}

/* Frame t of the first convolution's padded input, NULL for zeros. As in the reference, what is too short to be mirrored gets zeros behind
 * it first. */
static const float *padded_frame(const sn_encodec_stream *s, int64_t t, int64_t widest) {
	const encodec_config *const c = &s->codec->config;
	const int64_t length = c->pad == NN_PAD_REFLECT && s->frames <= widest ? widest + 1 : s->frames;
	if (c->pad == NN_PAD_REPEAT) t = t < 0 ? 0 : t >= length ? length - 1 : t;
	if (c->pad == NN_PAD_REFLECT) t = t < 0 ? -t : t >= length ? 2 * (length - 1) - t : t;
	return t >= 0 && t < s->frames ? s->embedding + t * c->width : NULL;
}

static int run_recurrent(sn_encodec_stream *s, char *err) {
	const encodec_config *const c = &s->codec->config;
	const int64_t most = c->group_norm ? s->frames : RECURRENT_ROWS, rows = s->frames - s->known < most ? s->frames - s->known : most;
	const size_t width = (size_t)c->width * sizeof(float), channels = (size_t)c->channels * sizeof(float);
	int left, right;
	char name[STATE_NAME];
	encodec_padding(c, c->kernel, 1, &left, &right);
	nn_exec_set(s->recurrent, "rows", rows);
	float *const x = nn_exec_input(s->recurrent, "x");
	for (int64_t i = 0; i < rows + c->kernel - 1; i++) {
		const float *const from = padded_frame(s, s->known + i - left, left > right ? left : right);
		if (from) memcpy(x + i * c->width, from, width);
		else memset(x + i * c->width, 0, width);
	}
	const int code = nn_exec_run(s->recurrent, err);
	if (code != SN_OK) return code;
	memcpy(s->hidden + s->known * c->channels, nn_exec_output(s->recurrent, "y", NULL), (size_t)rows * channels);
	for (int i = 0; i < c->lstm_layers; i++) {
		const float *const h = nn_exec_output(s->recurrent, state_name(name, "next_h", i), NULL);
		memcpy(nn_exec_input(s->recurrent, state_name(name, "h", i)), h, channels);
		const float *const cell = nn_exec_output(s->recurrent, state_name(name, "next_c", i), NULL);
		memcpy(nn_exec_input(s->recurrent, state_name(name, "c", i)), cell, channels);
	}
	s->known += rows;
	return SN_OK;
}

/* The frames [*a, *b) that samples of frames [first, last) depend on. */
static void reach(const sn_encodec_stream *s, int64_t first, int64_t last, int64_t *a, int64_t *b) {
	const encodec_config *const c = &s->codec->config;
	int64_t before, behind;
	encodec_needs(c, 0, first * c->hop, last * c->hop, a, b);
	encodec_needs(c, 1, first * c->hop, last * c->hop, &before, &behind);
	if (*a < 0 && c->pad == NN_PAD_REFLECT && behind > *b) *b = behind;
	if (*b > s->frames && c->pad == NN_PAD_REFLECT && before < *a) *a = before;
	if (*a < 0 || c->group_norm) *a = 0;
	if (*b > s->frames || c->group_norm) *b = s->frames;
}

int64_t sn_encodec_next(sn_encodec_stream *s, int most_frames, float *pcm, char *err) {
	const encodec_config *const c = &s->codec->config;
	int64_t a, b, chunk = most_frames > CHUNK && !c->group_norm ? CHUNK : most_frames;
	if (chunk > s->frames - s->given) chunk = s->frames - s->given;
	if (chunk < 1) return 0;
	reach(s, s->given, s->given + chunk, &a, &b);
	if (s->known < b) return run_recurrent(s, err);
	if (!c->group_norm || s->given == 0) {
		nn_exec_set(s->upsampler, "rows", b - a);
		memcpy(nn_exec_input(s->upsampler, "x"), s->hidden + a * c->channels, (size_t)((b - a) * c->channels) * sizeof(float));
		const int code = nn_exec_run(s->upsampler, err);
		if (code != SN_OK) return code;
	}
	memcpy(pcm, nn_exec_output(s->upsampler, "y", NULL) + (s->given - a) * c->hop, (size_t)(chunk * c->hop) * sizeof *pcm);
	s->given += chunk;
	return chunk * c->hop;
}

int sn_encodec_ended(const sn_encodec_stream *stream) { return stream->given >= stream->frames; }
const float *sn_encodec_embedding(const sn_encodec_stream *stream) { return stream->embedding; }
