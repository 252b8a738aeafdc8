#include "models/whisper_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "nn/cpu/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACK_VERSION 2 /* raised when the recorded graphs change what is packed */

struct sn_whisper_encoder {
	nn_exec *exec;
	float *mel;
	int32_t *window;
};

struct sn_whisper {
	sn_whisper_config config;
	nn_act act;
	int debug, outputs; /* outputs: the encoder's result can be read, which reduced precisions need not keep in float32 */
	sn_weights *weights;
	sn_bpe *bpe;
	nn_pack *pack;
	nn_pool *pool;
	nn_plan *encoder_plan;
	sn_whisper_encoder *encoder; /* for whole windows */
	nn_exec *decoder, *attend;
	struct { int32_t *token, *slot, *position, *table, *window, *wanted; } in;
	/* alignment: queries of its heads, [slots, target positions, alignment heads, head size], mapped and untouched until kept */
	int keep;
	int64_t slots, windows;
	float *kept;
};

typedef void recording(whisper_recorder *);

static int record_graph(whisper_recorder *r, sn_whisper *w, const char *dir, const char *name, recording *record, char *err) {
	*r = (whisper_recorder){ .g = nn_graph_new(name), .names = whisper_names_of(w->weights), .c = &w->config, .act = w->act,
		.probs = w->debug, .outputs = w->outputs, .slots = w->slots, .windows = w->windows };
	if (!r->g)
		return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", dir);
	record(r);
	return SN_OK;
}

static int compile(sn_whisper *w, const sn_load_options *load, const char *name, recording *record, nn_plan **out, char *err) {
	whisper_recorder r;
	int result = record_graph(&r, w, load->dir, name, record, err);
	if (result != SN_OK)
		return result;
	nn_plan_options options = { .backend = load->backend, .exports = load->exports, .dtype = load->dtype, .debug = load->debug, .pack = w->pack };
	result = nn_plan_compile(out, r.g, &options, err);
	nn_graph_free(&r.g);
	return result;
}

/* A plan with its one exec, which shares the encoder's states. */
static int prepare(sn_whisper *w, const sn_load_options *load, const char *name, recording *record, nn_exec **out, char *err) {
	nn_plan *plan = NULL;
	int result = compile(w, load, name, record, &plan, err);
	if (result == SN_OK)
		result = nn_exec_new(out, plan, load->pool, err);
	if (result == SN_OK)
		result = nn_exec_share(*out, w->encoder->exec, err);
	nn_plan_release(&plan);
	return result;
}

/* Floats of the alignment heads' queries of one row. */
static size_t query_size(const sn_whisper *w) {
	return (size_t)w->config.alignment_count * (size_t)(w->config.width / w->config.decoder_heads);
}

static int measure(sn_whisper *w, const sn_load_options *load, const char *name, recording *record, nn_need *need, char *err) {
	whisper_recorder r;
	int result = record_graph(&r, w, load->dir, name, record, err);
	if (result != SN_OK)
		return result;
	nn_plan_options options = { .backend = load->backend, .dtype = load->dtype, .debug = load->debug };
	result = nn_plan_measure(need, r.g, &options, nn_pool_threads(load->pool), err);
	nn_graph_free(&r.g);
	return result;
}

/* The graphs for one window and one sequence say what each takes: the decoder's states are both, the encoder's the window's. */
static int admit(sn_whisper *w, const sn_load_options *load, char *err) {
	if (!load->admit)
		return SN_OK;
	int rows = (int)w->slots, windows = (int)w->windows;
	nn_need encoder, decoder, attend;
	w->slots = w->windows = 1;
	int result = measure(w, load, "whisper.encoder", whisper_record_encoder, &encoder, err);
	if (result == SN_OK)
		result = measure(w, load, "whisper.decoder", whisper_record_decoder, &decoder, err);
	if (result == SN_OK)
		result = measure(w, load, "whisper.attend", whisper_record_attend, &attend, err);
	if (result == SN_OK) {
		const sn_load_need need = {
			.weights = encoder.weights + decoder.weights, .work = encoder.work + decoder.work + attend.work, .window = encoder.states,
			.sequence = decoder.states - encoder.states + (size_t)w->config.target_positions * query_size(w) * sizeof *w->kept,
			.input = 2 * (size_t)w->config.source_positions * (size_t)w->config.mels * sizeof(float),
			.logits = (size_t)w->config.vocab * sizeof(float), .parameters = sn_whisper_parameters(w),
		};
		result = load->admit(load->payload, &need, &rows, &windows, err);
	}
	w->slots = rows;
	w->windows = windows;
	return result;
}

static int open_pack(sn_whisper *w, const sn_load_options *load, char *err) {
	uint64_t key = sn_weights_key(w->weights);
	const char *isa = nn_kernels_best()->name;
	int facts[] = { PACK_VERSION, load->dtype, load->debug };
	key = sn_hash_text(sn_hash(key, facts, sizeof facts), isa);
	return nn_pack_open(&w->pack, load->pack_path, key, err);
}

static int load_plans(sn_whisper *w, const sn_load_options *load, char *err) {
	int result = compile(w, load, "whisper.encoder", whisper_record_encoder, &w->encoder_plan, err);
	if (result == SN_OK)
		result = sn_whisper_encoder_open(&w->encoder, w, err);
	if (result == SN_OK)
		result = prepare(w, load, "whisper.decoder", whisper_record_decoder, &w->decoder, err);
	if (result == SN_OK)
		result = prepare(w, load, "whisper.attend", whisper_record_attend, &w->attend, err);
	if (result != SN_OK)
		return result;
	w->kept = calloc((size_t)(w->slots * w->config.target_positions), query_size(w) * sizeof *w->kept);
	if (!w->kept)
		return sn_fail(err, SN_E_MEMORY, "out of memory for the queries of %d alignment heads", w->config.alignment_count);
	w->in.token = nn_exec_input_ids(w->decoder, "token");
	w->in.slot = nn_exec_input_ids(w->decoder, "slot");
	w->in.position = nn_exec_input_ids(w->decoder, "position");
	w->in.table = nn_exec_input_ids(w->decoder, "table");
	w->in.window = nn_exec_input_ids(w->decoder, "window");
	w->in.wanted = nn_exec_input_ids(w->decoder, "wanted");
	char note[SN_ERRLEN] = "";
	if (load->pack_path && nn_pack_save(w->pack, note) != SN_OK)
		sn_log(SN_LOG_WARN, "packed weights of %s were not kept: %s", load->dir, note);
	return SN_OK;
}

static int open_files(sn_whisper *w, const char *path, char *err) {
	whisper_export files;
	int result = whisper_export_locate(&files, path, err);
	if (result != SN_OK || *files.encoder)
		return result == SN_OK ? whisper_export_open(&w->weights, &w->bpe, &w->config, &w->act, &files, err) : result;
	result = sn_weights_open(&w->weights, path, err);
	if (result == SN_OK)
		result = sn_bpe_open(&w->bpe, path, err);
	return result == SN_OK ? whisper_config_read(&w->config, &w->act, path, w->weights, w->bpe, err) : result;
}

int sn_whisper_open(sn_whisper **out, const sn_load_options *load, char *err) {
	*out = NULL;
	sn_whisper *w = calloc(1, sizeof *w);
	if (!w)
		return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	w->debug = load->debug;
	w->pool = load->pool;
	w->slots = load->rows > 0 ? load->rows : 40;
	w->windows = load->windows > 0 ? load->windows : 8;
	w->outputs = load->dtype == NN_DTYPE_F32;
	int result = open_files(w, load->dir, err);
	if (result == SN_OK)
		result = admit(w, load, err);
	if (result == SN_OK)
		result = open_pack(w, load, err);
	if (result == SN_OK)
		result = load_plans(w, load, err);
	if (result != SN_OK)
		return sn_whisper_close(&w), result;
	*out = w;
	return SN_OK;
}

void sn_whisper_close(sn_whisper **whisper) {
	sn_whisper *w = *whisper;
	if (!w)
		return;
	nn_exec_profile(w->encoder ? w->encoder->exec : NULL);
	nn_exec_profile(w->decoder);
	nn_exec_free(&w->attend); /* first: these share the encoder's states */
	nn_exec_free(&w->decoder);
	sn_whisper_encoder_close(&w->encoder);
	nn_plan_release(&w->encoder_plan);
	free(w->kept);
	nn_pack_close(&w->pack);
	sn_bpe_close(&w->bpe);
	sn_weights_close(&w->weights);
	free(w);
	*whisper = NULL;
}

const sn_whisper_config *sn_whisper_get_config(const sn_whisper *w) { return &w->config; }
sn_bpe *sn_whisper_bpe(sn_whisper *w) { return w->bpe; }

int64_t sn_whisper_parameters(const sn_whisper *w) {
	int64_t sum = 0;
	for (size_t i = 0; i < sn_weights_count(w->weights); i++) {
		const sn_weight *t = sn_weights_at(w->weights, i);
		if (t->rank > 0)
			sum += (int64_t)(t->bytes / sn_dtype_size(t->dtype));
	}
	return sum;
}

/* ---- encoding ---- */

int sn_whisper_encoder_open(sn_whisper_encoder **out, sn_whisper *w, char *err) {
	sn_whisper_encoder *e = calloc(1, sizeof *e);
	*out = NULL;
	if (!e)
		return sn_fail(err, SN_E_MEMORY, "out of memory for an encoder");
	int result = nn_exec_new(&e->exec, w->encoder_plan, w->pool, err);
	if (result == SN_OK && w->encoder)
		result = nn_exec_share(e->exec, w->encoder->exec, err);
	if (result != SN_OK)
		return sn_whisper_encoder_close(&e), result;
	e->mel = nn_exec_input(e->exec, "mel");
	e->window = nn_exec_input_ids(e->exec, "window");
	int32_t *const place = nn_exec_input_ids(e->exec, "place");
	for (int i = 0; i < w->config.source_positions; i++)
		place[i] = i;
	*out = e;
	return SN_OK;
}

void sn_whisper_encoder_close(sn_whisper_encoder **encoder) {
	sn_whisper_encoder *e = *encoder;
	*encoder = NULL;
	if (!e)
		return;
	nn_exec_free(&e->exec);
	free(e);
}

float *sn_whisper_encoder_mel(sn_whisper_encoder *e) { return e->mel; }

void sn_whisper_encoder_begin(sn_whisper_encoder *e, int window, int positions) {
	e->window[0] = window;
	nn_exec_set(e->exec, "positions", positions);
	nn_exec_begin(e->exec);
}

int sn_whisper_encoder_next(sn_whisper_encoder *e, int budget, char *err) { return nn_exec_next(e->exec, budget, err); }

float *sn_whisper_mel_input(sn_whisper *w) { return w->encoder->mel; }

void sn_whisper_encode_begin(sn_whisper *w, int window) {
	sn_whisper_encoder_begin(w->encoder, window, w->config.source_positions);
}

int sn_whisper_encode_next(sn_whisper *w, int budget, char *err) { return nn_exec_next(w->encoder->exec, budget, err); }

/* ---- attention of the alignment heads ---- */

void sn_whisper_keep_queries(sn_whisper *w, int keep) { w->keep = keep; }

static float *kept_at(const sn_whisper *w, int32_t slot, int32_t position) {
	return w->kept + (size_t)(slot * w->config.target_positions + position) * query_size(w);
}

static void keep_queries(sn_whisper *w, const sn_whisper_row *rows, int count) {
	const sn_whisper_config *c = &w->config;
	const size_t size = (size_t)(c->width / c->decoder_heads);
	for (int h = 0; h < c->alignment_count; h++) {
		char name[NN_NAME];
		snprintf(name, sizeof name, "queries%d", c->alignment[h].layer);
		const float *q = nn_exec_output(w->decoder, name, NULL) + (size_t)c->alignment[h].head * size; /* [count, width] */
		for (int i = 0; i < count; i++)
			memcpy(kept_at(w, rows[i].slot, rows[i].position) + (size_t)h * size, q + i * c->width, size * sizeof *q);
	}
}

/* from[0..steps) / its sum; where all of the attention lies behind, it is even. */
static void share_of(const float *from, int steps, float *to) {
	float sum = 0;
	for (int t = 0; t < steps; t++)
		sum += from[t];
	const float scale = sum > 0 ? 1 / sum : 0, rest = sum > 0 ? 0 : 1 / (float)steps;
	for (int t = 0; t < steps; t++)
		to[t] = from[t] * scale + rest;
}

static int attend_block(sn_whisper *w, int window, const int32_t *slots, const int32_t *positions, int count, int steps, float *probs,
                        int64_t stride, char *err) {
	const sn_whisper_config *c = &w->config;
	const size_t size = (size_t)(c->width / c->decoder_heads);
	int32_t *entry = nn_exec_input_ids(w->attend, "window");
	char name[NN_NAME];
	for (int h = 0; h < c->alignment_count; h++) {
		snprintf(name, sizeof name, "queries%d", c->alignment[h].layer);
		float *q = nn_exec_input(w->attend, name) + (size_t)c->alignment[h].head * size;
		for (int i = 0; i < count; i++)
			memcpy(q + i * c->width, kept_at(w, slots[i], positions[i]) + (size_t)h * size, size * sizeof *q);
	}
	for (int i = 0; i < count; i++)
		entry[i] = window;
	nn_exec_set(w->attend, "rows", count);
	const int result = nn_exec_run(w->attend, err);
	if (result != SN_OK)
		return result;
	for (int h = 0; h < c->alignment_count; h++) {
		snprintf(name, sizeof name, "probs%d", c->alignment[h].layer);
		const float *all = nn_exec_output(w->attend, name, NULL) + (int64_t)c->alignment[h].head * count * c->source_positions;
		for (int i = 0; i < count; i++)
			share_of(all + (int64_t)i * c->source_positions, steps, probs + h * stride + (int64_t)i * steps);
	}
	return SN_OK;
}

int sn_whisper_attend(sn_whisper *w, int window, const int32_t *slots, const int32_t *positions, int count, int steps, float *probs, char *err) {
	int result = SN_OK;
	for (int first = 0; first < count && result == SN_OK; first += WHISPER_MAX_ATTEND) {
		int block = count - first < WHISPER_MAX_ATTEND ? count - first : WHISPER_MAX_ATTEND;
		result = attend_block(w, window, slots + first, positions + first, block, steps, probs + (int64_t)first * steps, (int64_t)count * steps, err);
	}
	return result;
}

/* ---- decoding ---- */

/* Runs rows[0..count), at most SN_WHISPER_MAX_ROWS of which at most WHISPER_MAX_WANTED want logits. */
static int decode_block(sn_whisper *w, const sn_whisper_row *rows, int count, char *err) {
	int64_t length = w->config.target_positions;
	int wanted = 0;
	for (int i = 0; i < count; i++) {
		w->in.token[i] = rows[i].token;
		w->in.slot[i] = rows[i].slot;
		w->in.position[i] = rows[i].position;
		w->in.window[i] = rows[i].window;
		memcpy(w->in.table + i * length, rows[i].table, ((size_t)rows[i].position + 1) * sizeof *rows[i].table);
		if (rows[i].logits)
			w->in.wanted[wanted++] = i;
	}
	nn_exec_set(w->decoder, "rows", count);
	nn_exec_set(w->decoder, "wanted", wanted ? wanted : 1);
	if (!wanted)
		w->in.wanted[0] = 0;
	const int result = nn_exec_run(w->decoder, err);
	if (result != SN_OK)
		return result;
	if (w->keep)
		keep_queries(w, rows, count);
	const float *logits = nn_exec_output(w->decoder, "logits", NULL);
	for (int i = 0; i < wanted; i++)
		memcpy(rows[w->in.wanted[i]].logits, logits + (int64_t)i * w->config.vocab, (size_t)w->config.vocab * sizeof *logits);
	return SN_OK;
}

int sn_whisper_decode(sn_whisper *w, const sn_whisper_row *rows, int count, char *err) {
	int result = SN_OK;
	while (count > 0 && result == SN_OK) {
		int block = 0, wanted = 0;
		while (block < count && block < SN_WHISPER_MAX_ROWS && wanted + !!rows[block].logits <= WHISPER_MAX_WANTED)
			wanted += !!rows[block++].logits;
		result = decode_block(w, rows, block, err);
		rows += block;
		count -= block;
	}
	return result;
}

int sn_whisper_tensor(sn_whisper *w, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	if (w->debug) {
		int result = nn_exec_tensor(w->encoder->exec, name, values, rank, dims, err);
		return result == SN_E_NOT_FOUND ? nn_exec_tensor(w->decoder, name, values, rank, dims, err) : result;
	}
	if (!w->outputs || strcmp(name, "encoder_out"))
		return sn_fail(err, SN_E_NOT_FOUND, "tensor '%s' can only be read from debug plans", name);
	const float *from = nn_exec_output(w->encoder->exec, name, dims);
	size_t bytes = (size_t)(w->config.source_positions * w->config.width) * sizeof **values;
	*rank = 2;
	if (!(*values = malloc(bytes)))
		return sn_fail(err, SN_E_MEMORY, "out of memory for a copy of tensor '%s'", name);
	memcpy(*values, from, bytes);
	return SN_OK;
}
