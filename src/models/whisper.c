#include "models/whisper_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "nn/cpu/kernels.h"

#include <stdlib.h>
#include <string.h>

#define PACK_VERSION 1 /* raised when the recorded graphs change what is packed */

struct sn_whisper {
	sn_whisper_config config;
	nn_act act;
	int debug, outputs; /* outputs: the encoder's result can be read, which reduced precisions need not keep in float32 */
	sn_weights *weights;
	sn_bpe *bpe;
	nn_pack *pack;
	nn_exec *encoder, *decoder;
	float *mel;
	int32_t *encode_window;
	struct { int32_t *token, *slot, *position, *table, *window, *wanted; } in;
};

static int compile(sn_whisper *w, const sn_load_options *load, int side, nn_exec **out, char *err) {
	whisper_recorder r = {
		.g = nn_graph_new(side == WHISPER_ENCODER ? "whisper.encoder" : "whisper.decoder"), .names = whisper_names_of(w->weights),
		.c = &w->config, .act = w->act, .probs = w->debug, .outputs = w->outputs,
		.slots = load->rows > 0 ? load->rows : 40, .windows = load->windows > 0 ? load->windows : 8,
	};
	if (!r.g)
		return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	if (side == WHISPER_ENCODER)
		whisper_record_encoder(&r);
	else
		whisper_record_decoder(&r);
	nn_plan_options options = { .dtype = load->dtype, .debug = load->debug, .pack = w->pack };
	nn_plan *plan = NULL;
	int result = nn_plan_compile(&plan, r.g, &options, err);
	if (result == SN_OK)
		result = nn_exec_new(out, plan, load->pool, err);
	nn_plan_release(&plan);
	nn_graph_free(&r.g);
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
	int result = compile(w, load, WHISPER_ENCODER, &w->encoder, err);
	if (result == SN_OK)
		result = compile(w, load, WHISPER_DECODER, &w->decoder, err);
	if (result == SN_OK)
		result = nn_exec_share(w->decoder, w->encoder, err);
	if (result != SN_OK)
		return result;
	w->mel = nn_exec_input(w->encoder, "mel");
	w->encode_window = nn_exec_input_ids(w->encoder, "window");
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

int sn_whisper_open(sn_whisper **out, const sn_load_options *load, char *err) {
	*out = NULL;
	sn_whisper *w = calloc(1, sizeof *w);
	if (!w)
		return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	w->debug = load->debug;
	w->outputs = load->dtype == NN_DTYPE_F32;
	int result = sn_weights_open(&w->weights, load->dir, err);
	if (result == SN_OK)
		result = sn_bpe_open(&w->bpe, load->dir, err);
	if (result == SN_OK)
		result = whisper_config_read(&w->config, &w->act, load->dir, w->weights, w->bpe, err);
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
	nn_exec_profile(w->encoder);
	nn_exec_profile(w->decoder);
	nn_exec_free(&w->decoder); /* first: it shares the encoder's states */
	nn_exec_free(&w->encoder);
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

float *sn_whisper_mel_input(sn_whisper *w) { return w->mel; }

void sn_whisper_encode_begin(sn_whisper *w, int window) {
	w->encode_window[0] = window;
	nn_exec_begin(w->encoder);
}

int sn_whisper_encode_next(sn_whisper *w, int budget) { return nn_exec_next(w->encoder, budget); }

/* Runs rows[0..count), at most SN_WHISPER_MAX_ROWS of which at most WHISPER_MAX_WANTED want logits. */
static void decode_block(sn_whisper *w, const sn_whisper_row *rows, int count) {
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
	nn_exec_run(w->decoder);
	const float *logits = nn_exec_output(w->decoder, "logits", NULL);
	for (int i = 0; i < wanted; i++)
		memcpy(rows[w->in.wanted[i]].logits, logits + (int64_t)i * w->config.vocab, (size_t)w->config.vocab * sizeof *logits);
}

void sn_whisper_decode(sn_whisper *w, const sn_whisper_row *rows, int count) {
	while (count > 0) {
		int block = 0, wanted = 0;
		while (block < count && block < SN_WHISPER_MAX_ROWS && wanted + !!rows[block].logits <= WHISPER_MAX_WANTED)
			wanted += !!rows[block++].logits;
		decode_block(w, rows, block);
		rows += block;
		count -= block;
	}
}

int sn_whisper_tensor(sn_whisper *w, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	if (w->debug) {
		int result = nn_exec_tensor(w->encoder, name, values, rank, dims, err);
		return result == SN_E_NOT_FOUND ? nn_exec_tensor(w->decoder, name, values, rank, dims, err) : result;
	}
	if (!w->outputs || strcmp(name, "encoder_out"))
		return sn_fail(err, SN_E_NOT_FOUND, "tensor '%s' can only be read from debug plans", name);
	const float *from = nn_exec_output(w->encoder, name, dims);
	size_t bytes = (size_t)(w->config.source_positions * w->config.width) * sizeof **values;
	*rank = 2;
	if (!(*values = malloc(bytes)))
		return sn_fail(err, SN_E_MEMORY, "out of memory for a copy of tensor '%s'", name);
	memcpy(*values, from, bytes);
	return SN_OK;
}
