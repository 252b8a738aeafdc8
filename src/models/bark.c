#include "models/bark_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/path.h"
#include "nn/cpu/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACK_VERSION 1           /* raised when the recorded graphs change what is packed */
#define LIMIT_TOKENS 200         /* semantic tokens that any text may take (4 s) */
#define LIMIT_PER_ID 40          /* and more for each of its ids (0.8 s; speech takes about a third of it) */
#define QUIET_LEVEL 1e-3f        /* amplitude of silence */
#define QUIET_SECONDS 3.0        /* of silence that are worth a remark */

/* ---- loading ---- */

static int accepts(const char *path) {
	char file[SN_PATH_MAX];
	json_t *config = NULL;
	if (!sn_path_join(file, path, "config.json") || sn_json_file(&config, file, NULL) != SN_OK) return 0;
	const char *const type = json_string_value(json_object_get(config, "model_type"));
	const int yes = type && strcmp(type, "bark") == 0;
	json_decref(config);
	return yes;
}

/* An embedding table [rows, width]: read row by row, so it needs no plan. */
static int bind_table(const bark_model *m, const sn_weight **out, const char *name, int rows, int width, char *err) {
	const sn_weight *const w = *out = sn_weights_find(m->weights, name);
	if (!w) return sn_fail(err, SN_E_MODEL, "%s lacks tensor '%s'", sn_weights_path(m->weights), name);
	if (w->rank == 2 && w->dims[0] == rows && w->dims[1] == width && w->dtype <= SN_F64) return SN_OK;
	return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' is %s of rank %d [%lld, %lld]; floating [%d, %d] is right",
	               sn_weights_path(m->weights), name, sn_dtype_name(w->dtype), w->rank, (long long)(w->rank > 0 ? w->dims[0] : 0),
	               (long long)(w->rank > 1 ? w->dims[1] : 0), rows, width);
}

static int compile(const bark_model *m, const sn_load_options *load, nn_graph *g, nn_plan **out, char *err) {
	const nn_plan_options options = { .backend = load->backend, .exports = load->exports, .dtype = load->dtype, .debug = load->debug, .pack = m->pack };
	return nn_plan_compile(out, g, &options, err);
}

static int load_causal(bark_model *m, const sn_load_options *load, bark_gpt_part *part, const bark_gpt_config *c, const char *prefix,
                       char *err) {
	char name[NN_NAME];
	bark_recorder r = { .c = c, .weights = m->weights, .prefix = prefix, .rows = BARK_ROWS };
	part->c = c;
	snprintf(name, sizeof name, "%s.input_embeds_layer.weight", prefix);
	int code = bind_table(m, &part->tokens, name, c->in, c->width, err);
	snprintf(name, sizeof name, "%s.position_embeds_layer.weight", prefix);
	if (code == SN_OK) code = bind_table(m, &part->positions, name, c->block, c->width, err);
	if (code != SN_OK) return code;
	snprintf(name, sizeof name, "bark.%s", prefix);
	if (!(r.g = nn_graph_new(name))) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	bark_record_causal(&r);
	code = compile(m, load, r.g, &part->plan, err);
	nn_graph_free(&r.g);
	return code;
}

/* Code book b >= given is predicted by head b - given, which may be tied to the embedding of book b - given + 1 and not stored. */
static int load_head(bark_model *m, const sn_load_options *load, bark_recorder *r, int book, char *err) {
	const bark_config *const c = &m->config;
	const int head = book - c->fine.given;
	char name[NN_NAME], graph[NN_NAME];
	snprintf(name, sizeof name, "fine_acoustics.lm_heads.%d.weight", head);
	if (c->fine.tied && !sn_weights_find(m->weights, name))
		snprintf(name, sizeof name, "fine_acoustics.input_embeds_layers.%d.weight", head + 1);
	snprintf(graph, sizeof graph, "bark.fine_head%d", head);
	if (!(r->g = nn_graph_new(graph))) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	r->rows = BARK_HEAD_ROWS;
	bark_record_head(r, name);
	const int code = compile(m, load, r->g, &m->fine.heads[book], err);
	nn_graph_free(&r->g);
	return code;
}

static int load_fine(bark_model *m, const sn_load_options *load, char *err) {
	const bark_config *const c = &m->config;
	bark_recorder r = { .c = &c->fine.gpt, .weights = m->weights, .prefix = "fine_acoustics", .fine = 1, .rows = c->fine.length };
	int code = bind_table(m, &m->fine.positions, "fine_acoustics.position_embeds_layer.weight", c->fine.gpt.block, c->fine.gpt.width,
	                      err);
	for (int b = 0; b < c->fine.total && code == SN_OK; b++) {
		char name[NN_NAME];
		snprintf(name, sizeof name, "fine_acoustics.input_embeds_layers.%d.weight", b);
		code = bind_table(m, &m->fine.tokens[b], name, c->fine.gpt.in, c->fine.gpt.width, err);
	}
	if (code != SN_OK) return code;
	if (!(r.g = nn_graph_new("bark.fine"))) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	bark_record_fine(&r);
	code = compile(m, load, r.g, &m->fine.body, err);
	nn_graph_free(&r.g);
	for (int b = c->coarse.books; b < c->fine.books && code == SN_OK; b++) code = load_head(m, load, &r, b, err);
	return code;
}

static int load_codec(bark_model *m, const sn_load_options *load, const json_t *root, char *err) {
	char name[SN_PATH_MAX + 32];
	const bark_config *const c = &m->config;
	snprintf(name, sizeof name, "%s/config.json: codec_config", m->dir);
	const sn_encodec_source source = { .config = json_object_get(root, "codec_config"), .config_name = name, .weights = m->weights,
	                                   .prefix = "codec_model.", .pack = m->pack, .frames = c->most_frames };
	const int code = sn_encodec_open(&m->codec, &source, load, err);
	if (code != SN_OK) return code;
	const sn_encodec_facts *const f = sn_encodec_get_facts(m->codec);
	if (f->quantizers < c->fine.books || f->codebook < c->codebook)
		return sn_fail(err, SN_E_MODEL, "%s has %d books of %d codes; the fine transformer makes %d of %d", name, f->quantizers,
		               f->codebook, c->fine.books, c->codebook);
	return SN_OK;
}

static void set_facts(bark_model *m) {
	sn_synth_facts *const f = &m->facts;
	const sn_encodec_facts *const codec = sn_encodec_get_facts(m->codec);
	f->kind = SN_SYNTH_SOUND;
	f->sample_rate = m->config.sample_rate ? m->config.sample_rate : codec->sample_rate;
	f->hop = f->width = codec->hop;
	f->emotion_count = bark_emotion_list(m->emotions);
	f->emotions = m->emotions;
	f->presets = f->has_temperature = f->emphasis = 1;
	f->max_ids = m->config.semantic.length;
	f->max_bytes = BARK_SENTENCE_BYTES;
	for (size_t i = 0; i < sn_weights_count(m->weights); i++) {
		const sn_weight *const w = sn_weights_at(m->weights, i);
		if (sn_weight_is_float(w)) f->parameters += (int64_t)(w->bytes / sn_dtype_size(w->dtype));
	}
}

static int open_pack(bark_model *m, const sn_load_options *load, char *err) {
	const int facts[] = { PACK_VERSION, load->dtype, load->debug };
	const uint64_t key = sn_hash_text(sn_hash(sn_weights_key(m->weights), facts, sizeof facts), nn_kernels_best()->name);
	return nn_pack_open(&m->pack, load->pack_path, key, err);
}

static int load_all(bark_model *m, const sn_load_options *load, char *err) {
	const bark_config *const c = &m->config;
	json_t *root = NULL;
	char note[SN_ERRLEN] = "";
	int code = bark_config_read(&m->config, &root, m->dir, err);
	if (code == SN_OK) code = bark_voices_open(m, err);
	if (code == SN_OK) code = sn_wordpiece_open(&m->wordpiece, m->dir, err);
	if (code == SN_OK) code = sn_weights_open(&m->weights, m->dir, err);
	if (code == SN_OK) code = open_pack(m, load, err);
	if (code == SN_OK) code = load_causal(m, load, &m->semantic, &c->semantic.gpt, "semantic", err);
	if (code == SN_OK) code = load_causal(m, load, &m->coarse, &c->coarse.gpt, "coarse_acoustics", err);
	if (code == SN_OK) code = load_fine(m, load, err);
	if (code == SN_OK) code = load_codec(m, load, root, err);
	json_decref(root);
	if (code != SN_OK) return code;
	set_facts(m);
	if (load->pack_path && nn_pack_save(m->pack, note) != SN_OK)
		sn_log(SN_LOG_WARN, "packed weights of %s were not kept: %s", load->dir, note);
	return SN_OK;
}

static void close_model(void **model) {
	bark_model *const m = *model;
	if (!m) return;
	sn_encodec_close(&m->codec);
	nn_plan_release(&m->semantic.plan);
	nn_plan_release(&m->coarse.plan);
	nn_plan_release(&m->fine.body);
	for (int i = 0; i < BARK_MAX_BOOKS; i++) nn_plan_release(&m->fine.heads[i]);
	nn_pack_close(&m->pack);
	sn_weights_close(&m->weights);
	sn_wordpiece_close(&m->wordpiece);
	bark_voices_close(m);
	free(m->dir);
	free(m);
	*model = NULL;
}

static int open_model(void **model, const sn_load_options *load, char *err) {
	bark_model *const m = calloc(1, sizeof *m);
	*model = m;
	if (m) m->dir = strdup(load->dir);
	int code = m && m->dir ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", load->dir);
	if (code == SN_OK) {
		m->pool = load->pool;
		code = load_all(m, load, err);
	}
	if (code != SN_OK) close_model(model);
	return code;
}

static const sn_synth_facts *facts(const void *model) { return &((const bark_model *)model)->facts; }

static int encode(const void *model, sn_phonemizer *phonemizer, const char *text, size_t size, const sn_synth_options *options,
                  sn_synth_emit emit, void *payload, int *missing, char *err) {
	(void)phonemizer;
	return bark_encode(model, text, size, options, emit, payload, missing, err);
}

static int voice(const void *model, const char *name, sn_voice *out, char *err) { return bark_voice_read(model, name, out, err); }

/* ---- streams ---- */

static int open_run(bark_run *run, const bark_gpt_part *part, nn_pool *pool, char *err) {
	const size_t block = (size_t)part->c->block;
	run->part = part;
	run->ids = calloc(block + 1, sizeof *run->ids);
	run->added = calloc(block + 1, sizeof *run->added);
	run->logits = calloc((size_t)part->c->out, sizeof *run->logits);
	if (!run->ids || !run->added || !run->logits) return sn_fail(err, SN_E_MEMORY, "out of memory for %zu positions", block);
	return nn_exec_new(&run->exec, part->plan, pool, err);
}

static void close_run(bark_run *run) {
	nn_exec_profile(run->exec);
	nn_exec_free(&run->exec);
	free(run->ids);
	free(run->added);
	free(run->logits);
}

static void free_prompt(bark_prompt *p) {
	for (int i = 0; i < 3; i++) free(p->tokens[i]);
	*p = (bark_prompt){ 0 };
}

static void stream_free(void **stream) {
	bark_stream *const s = *stream;
	if (!s) return;
	close_run(&s->coarse_run); /* first: it may use the other's cache */
	close_run(&s->semantic_run);
	nn_exec_profile(s->fine_exec);
	nn_exec_free(&s->fine_exec);
	for (int i = 0; i < BARK_MAX_BOOKS; i++) {
		nn_exec_free(&s->head_exec[i]);
		free(s->watched.fine[i]);
	}
	sn_encodec_stream_free(&s->codec);
	free_prompt(&s->drawn);
	free_prompt(&s->given);
	free(s->semantic);
	free(s->coarse);
	free(s->fine);
	free(s->codes);
	free(s->scratch);
	free(s->watched.semantic);
	free(s->watched.coarse);
	free(s);
	*stream = NULL;
}

/* The semantic cache is needed no more when the coarse one begins: transformers of the same shape share its memory. */
static int share_cache(bark_stream *s, char *err) {
	const bark_gpt_config *const a = s->semantic_run.part->c, *const b = s->coarse_run.part->c;
	if (a->width != b->width || a->layers != b->layers || a->block != b->block || a->heads != b->heads) return SN_OK;
	return nn_exec_share(s->coarse_run.exec, s->semantic_run.exec, err);
}

static int open_buffers(bark_stream *s, char *err) {
	const bark_config *const c = &s->model->config;
	const size_t books = (size_t)c->fine.books, frames = (size_t)c->most_frames + 1;
	const size_t rows = (size_t)c->fine.history + (size_t)c->fine.length + frames;
	int widest = c->semantic.gpt.out > c->coarse.gpt.out ? c->semantic.gpt.out : c->coarse.gpt.out;
	if (c->fine.gpt.out > widest) widest = c->fine.gpt.out;
	s->fine = malloc(rows * books * sizeof *s->fine);
	s->codes = malloc(frames * books * sizeof *s->codes);
	s->scratch = malloc(2 * ((size_t)widest + 1) * sizeof *s->scratch);
	s->drawn.tokens[0] = malloc(((size_t)c->most_tokens + 1) * sizeof **s->drawn.tokens);
	s->drawn.tokens[1] = malloc(frames * (size_t)c->coarse.books * sizeof **s->drawn.tokens);
	s->drawn.tokens[2] = malloc(frames * books * sizeof **s->drawn.tokens);
	if (s->fine && s->codes && s->scratch && s->drawn.tokens[0] && s->drawn.tokens[1] && s->drawn.tokens[2]) return SN_OK;
	return sn_fail(err, SN_E_MEMORY, "out of memory for %zu frames of sound", frames);
}

static int stream_new(void **stream, void *model, char *err) {
	bark_model *const m = model;
	bark_stream *const s = calloc(1, sizeof *s);
	*stream = s;
	if (!s) return sn_fail(err, SN_E_MEMORY, "out of memory for one more voice");
	s->model = m;
	s->stage = BARK_ENDED;
	int code = open_run(&s->semantic_run, &m->semantic, m->pool, err);
	if (code == SN_OK) code = open_run(&s->coarse_run, &m->coarse, m->pool, err);
	if (code == SN_OK) code = share_cache(s, err);
	if (code == SN_OK) code = nn_exec_new(&s->fine_exec, m->fine.body, m->pool, err);
	for (int b = 0; b < BARK_MAX_BOOKS && code == SN_OK; b++)
		if (m->fine.heads[b]) code = nn_exec_new(&s->head_exec[b], m->fine.heads[b], m->pool, err);
	if (code == SN_OK) code = sn_encodec_stream_new(&s->codec, m->codec, err);
	if (code == SN_OK) code = open_buffers(s, err);
	if (code != SN_OK) stream_free(stream);
	return code;
}

/* ---- utterances ---- */

static int copy_voice(bark_prompt *to, const sn_voice *v, char *err) {
	free_prompt(to);
	for (int i = 0; i < 3; i++) {
		const size_t size = (size_t)v->prompt_rows[i] * (size_t)v->prompt_count[i];
		to->tokens[i] = malloc((size + 1) * sizeof **to->tokens);
		if (!to->tokens[i]) {
			free_prompt(to);
			return sn_fail(err, SN_E_MEMORY, "out of memory for a voice");
		}
		memcpy(to->tokens[i], v->prompt[i], size * sizeof **to->tokens);
		to->count[i] = v->prompt_count[i];
	}
	return SN_OK;
}

/* The voice of the options, else the one that an earlier utterance has drawn, else none: this one draws it. */
static int choose_history(bark_stream *s, const sn_voice *v, char *err) {
	s->history = NULL;
	s->own = 0;
	if (v && v->prompt[0]) {
		int code = bark_voice_check(s->model, v, err);
		if (code == SN_OK) code = copy_voice(&s->given, v, err);
		if (code == SN_OK) s->history = &s->given;
		return code;
	}
	if (s->drawn.count[0]) s->history = &s->drawn;
	else s->own = 1;
	return SN_OK;
}

static int set_options(bark_stream *s, const sn_synth_options *o, char *err) {
	const bark_config *const c = &s->model->config;
	if (!(o->temperature <= 10))
		return sn_fail(err, SN_E_ARGUMENT, "a temperature of %g is out of range; 0 to 10 are right", (double)o->temperature);
	if (o->force_frames < 0 || o->force_frames > (int)(c->most_tokens * c->ratio / c->coarse.books))
		return sn_fail(err, SN_E_LIMIT, "%d frames are out of range; one utterance has at most %d", o->force_frames,
		               (int)(c->most_tokens * c->ratio / c->coarse.books));
	s->seed = o->seed;
	s->forced = o->force_frames;
	s->semantic_sampling = c->semantic.sampling;
	s->coarse_sampling = c->coarse.sampling;
	s->fine_temperature = o->temperature == 0 ? 1 : c->fine.temperature;
	if (o->temperature < 0) return SN_OK;
	s->semantic_sampling.sample = s->coarse_sampling.sample = o->temperature > 0;
	s->semantic_sampling.temperature = s->coarse_sampling.temperature = (double)o->temperature;
	return SN_OK;
}

/* Memory that depends on the voice's length. */
static int make_room(bark_stream *s, char *err) {
	const bark_config *const c = &s->model->config;
	const size_t before[2] = { s->history ? (size_t)s->history->count[0] : 0, s->history ? (size_t)s->history->count[1] : 0 };
	const size_t tokens = before[0] + (size_t)c->most_tokens + 1, codes = (before[1] + (size_t)c->most_frames + 1) * (size_t)c->coarse.books;
	free(s->semantic);
	free(s->coarse);
	s->semantic = malloc(tokens * sizeof *s->semantic);
	s->coarse = malloc(codes * sizeof *s->coarse);
	return s->semantic && s->coarse ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory for %zu tokens", tokens + codes);
}

static int start(void *stream, const int32_t *ids, int count, const sn_synth_options *options, char *err) {
	bark_stream *const s = stream;
	const bark_config *const c = &s->model->config;
	s->stage = BARK_ENDED;
	*s->remark = 0;
	if (count < 1) return sn_fail(err, SN_E_ARGUMENT, "there is nothing to speak");
	if (count > c->semantic.length)
		return sn_fail(err, SN_E_LIMIT, "the sentence has %d tokens; at most %d can be spoken at once", count, c->semantic.length);
	int code = set_options(s, options, err);
	if (code == SN_OK) code = choose_history(s, options->voice, err);
	if (code == SN_OK) code = make_room(s, err);
	if (code != SN_OK) return code;
	const int by_text = LIMIT_TOKENS + LIMIT_PER_ID * count;
	s->limited = by_text < c->most_tokens;
	s->limit = s->limited ? by_text : c->most_tokens;
	return bark_generate_start(s, ids, count, err);
}

/* The tokens of the first utterance are the voice of the next ones. */
static void keep_voice(bark_stream *s) {
	const bark_config *const c = &s->model->config;
	const size_t frames = (size_t)s->frames, tokens = (size_t)s->semantic_count;
	if (!s->own || !tokens) return;
	memcpy(s->drawn.tokens[0], s->semantic + s->semantic_before, tokens * sizeof *s->semantic);
	memcpy(s->drawn.tokens[1], s->codes, frames * (size_t)c->coarse.books * sizeof *s->codes); /* the first books are the coarse ones */
	memcpy(s->drawn.tokens[2], s->codes, frames * (size_t)c->fine.books * sizeof *s->codes);
	s->drawn.count[0] = s->semantic_count;
	s->drawn.count[1] = s->drawn.count[2] = s->frames;
}

static void listen_for_silence(bark_stream *s, const float *pcm, int64_t count) {
	for (int64_t i = 0; i < count; i++) {
		s->quiet = fabsf(pcm[i]) < QUIET_LEVEL ? s->quiet + 1 : 0;
		if (s->quiet > s->longest_quiet) s->longest_quiet = s->quiet;
	}
}

static int end(bark_stream *s) {
	const double seconds = (double)s->longest_quiet / s->model->facts.sample_rate;
	if (seconds > QUIET_SECONDS && !*s->remark) snprintf(s->remark, sizeof s->remark, "%.1f s of it are silence", seconds);
	s->stage = BARK_ENDED;
	return SN_END;
}

static int next(void *stream, int most, float *out, int *frames, int *extra, char *err) {
	bark_stream *const s = stream;
	*frames = *extra = 0;
	if (s->stage == BARK_ENDED) return end(s);
	if (s->stage != BARK_CODEC) {
		const int code = bark_generate_next(s, err);
		if (code != SN_OK) s->stage = BARK_ENDED;
		if (code == SN_OK && s->stage == BARK_CODEC) keep_voice(s);
		return code != SN_OK || s->stage != BARK_ENDED ? code : end(s);
	}
	const int64_t samples = sn_encodec_next(s->codec, most, out, err);
	if (samples < 0) {
		s->stage = BARK_ENDED;
		return (int)samples;
	}
	listen_for_silence(s, out, samples);
	*frames = (int)(samples / s->model->facts.hop);
	return sn_encodec_ended(s->codec) ? end(s) : SN_OK;
}

static const char *remark(const void *stream) {
	const bark_stream *const s = stream;
	return *s->remark ? s->remark : NULL;
}

/* ---- what tests look at ---- */

int sn_bark_watch(void *stream, char *err) {
	bark_stream *const s = stream;
	const bark_config *const c = &s->model->config;
	int missing;
	if (s->watch) return SN_OK;
	s->watch = 1;
	s->watched.semantic = calloc(SN_BARK_WATCHED * (size_t)c->semantic.gpt.out, sizeof(float));
	s->watched.coarse = calloc(SN_BARK_WATCHED * (size_t)c->coarse.gpt.out, sizeof(float));
	missing = !s->watched.semantic || !s->watched.coarse;
	for (int b = c->coarse.books; b < c->fine.books; b++) {
		s->watched.fine[b] = calloc((size_t)c->fine.length * (size_t)c->fine.gpt.out, sizeof(float));
		missing |= !s->watched.fine[b];
	}
	return missing ? sn_fail(err, SN_E_MEMORY, "out of memory for what is watched") : SN_OK;
}

/* Copies [rows, cols] of floats, or of tokens where `from` is NULL. turned: the copy is [cols, rows]. */
static int copy_out(const float *from, const int32_t *tokens, int64_t rows, int64_t cols, int turned, float **values, int *rank,
                    int64_t *dims, char *err) {
	float *const to = *values = malloc((size_t)(rows * cols + 1) * sizeof *to);
	if (!to) return sn_fail(err, SN_E_MEMORY, "out of memory for a copy");
	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < cols; i++)
			to[turned ? i * rows + r : r * cols + i] = from ? from[r * cols + i] : (float)tokens[r * cols + i];
	*rank = 2;
	dims[0] = turned ? cols : rows;
	dims[1] = turned ? rows : cols;
	return SN_OK;
}

int sn_bark_tensor(void *stream, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	bark_stream *const s = stream;
	const bark_config *const c = &s->model->config;
	static const char fine[] = "fine_logits_codebook";
	if (!s->watch || !s->semantic) return sn_fail(err, SN_E_NOT_FOUND, "the stream does not watch, or has said nothing");
	if (strcmp(name, "semantic_tokens") == 0)
		return copy_out(NULL, s->semantic + s->semantic_before, 1, s->semantic_count, 0, values, rank, dims, err);
	if (strcmp(name, "coarse_tokens") == 0)
		return copy_out(NULL, s->coarse + s->coarse_before, 1, s->coarse_count, 0, values, rank, dims, err);
	if (strcmp(name, "fine_codes") == 0) return copy_out(NULL, s->codes, c->fine.books, s->frames, 0, values, rank, dims, err);
	if (strcmp(name, "semantic_logits") == 0)
		return copy_out(s->watched.semantic, NULL, s->watched.semantic_steps, c->semantic.gpt.out, 0, values, rank, dims, err);
	if (strcmp(name, "coarse_logits") == 0)
		return copy_out(s->watched.coarse, NULL, s->watched.coarse_steps, c->coarse.gpt.out, 0, values, rank, dims, err);
	if (strcmp(name, "codec_embedding") == 0)
		return copy_out(sn_encodec_embedding(s->codec), NULL, s->frames, sn_encodec_get_facts(s->model->codec)->width, 1, values, rank,
		                dims, err);
	const int book = strncmp(name, fine, sizeof fine - 1) == 0 ? atoi(name + sizeof fine - 1) : -1;
	if (book >= 0 && book < BARK_MAX_BOOKS && s->watched.fine[book])
		return copy_out(s->watched.fine[book], NULL, c->fine.length, c->fine.gpt.out, 0, values, rank, dims, err);
	return sn_fail(err, SN_E_NOT_FOUND, "there is no result '%.64s'", name);
}

const sn_synth_class sn_synth_bark = {
	.architecture = "bark", .accepts = accepts, .open = open_model, .close = close_model, .facts = facts, .encode = encode, .voice = voice,
	.stream_new = stream_new, .stream_free = stream_free, .start = start, .next = next, .remark = remark,
};
