#include "models/fastspeech2_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "nn/cpu/kernels.h"
#include "text/arpabet.h"
#include "text/coqui.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACK_VERSION 1     /* raised when the recorded graphs change what is packed */
#define SENTENCE_BYTES 400 /* of text that is spoken at once: about 25 s at the usual speed */

typedef struct model {
	fs2_settings settings;
	sn_synth_facts facts;
	sn_weights *file;
	char prefix[SN_WEIGHTS_MAX_NAME + 1];
	nn_pack *pack;
	nn_exec *text, *decoder;
	int debug;
	sn_phones *phones; /* one of these two makes ids */
	sn_coqui *coqui;
	const char *languages[1];
	float *table;      /* positions: conformer [MAX_FRAMES, width], sines and cosines of distance, row by row as needed; Coqui [width, table_length] */
	int64_t table_rows, table_length;
	float table_scale; /* Coqui: of the table, before it is added */
} model;

typedef struct stream {
	model *m;
	int count, frames, rows, position; /* ids; decoder frames; spectrogram rows in all and given out */
	int decoded;
	int32_t durations[SN_FASTSPEECH2_MAX_TOKENS];
	float *x;                          /* [frames, width]: the decoder's input */
	float *mel;                        /* [rows, mels] */
	float *log_durations, *pitch, *energy; /* [MAX_TOKENS] of the last start */
} stream;

/* ---- loading ---- */

static const sn_weight *find(const model *m, const char *name) {
	char full[2 * SN_WEIGHTS_MAX_NAME];
	snprintf(full, sizeof full, "%s%s", m->prefix, name);
	return sn_weights_find(m->file, full);
}

/* A tensor that is read by this file itself. */
static int need(const model *m, const sn_weight **out, const char *name, int rank, const int64_t *dims, char *err) {
	const sn_weight *const w = *out = find(m, name);
	if (!w) return sn_fail(err, SN_E_MODEL, "%s lacks tensor '%s%s'", sn_weights_path(m->file), m->prefix, name);
	int fits = w->rank == rank && sn_weight_is_float(w);
	for (int i = 0; fits && i < rank; i++) fits = dims[i] < 0 || w->dims[i] == dims[i];
	if (fits) return SN_OK;
	return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' has rank %d and %lld rows of %s; floats of rank %d with %lld rows are expected",
	               sn_weights_path(m->file), w->name, w->rank, w->rank ? (long long)w->dims[0] : 1ll, sn_dtype_name(w->dtype), rank,
	               (long long)dims[0]);
}

/* Sizes that only the weights tell; and the tables of voices, which no graph asks for. */
static int read_shapes(model *m, char *err) {
	fs2_settings *const s = &m->settings;
	const sn_weight *w;
	const int64_t any = s->width;
	int code = SN_OK;
	if (!s->coqui && s->speakers) code = need(m, &w, "speaker_id_embedding.weight", 2, (int64_t[]){ s->speakers, any }, err);
	if (!s->coqui && s->languages && code == SN_OK) code = need(m, &w, "language_id_embedding.weight", 2, (int64_t[]){ s->languages, any }, err);
	if (!s->coqui) return code;
	code = need(m, &w, "emb.weight", 2, (int64_t[]){ -1, any }, err);
	if (code != SN_OK) return code;
	if (s->vocab && s->vocab != w->dims[0])
		return sn_fail(err, SN_E_MODEL, "%s: 'num_chars' is %lld; the weights have %lld", s->config, (long long)s->vocab, (long long)w->dims[0]);
	s->vocab = w->dims[0];
	if (s->speakers) {
		code = need(m, &w, "emb_g.weight", 2, (int64_t[]){ -1, any }, err);
		if (code == SN_OK && (w->dims[0] < 1 || w->dims[0] > SN_FASTSPEECH2_MAX_SPEAKERS))
			code = sn_fail(err, SN_E_MODEL, "%s: %lld speakers; 1 to %d are right", s->config, (long long)w->dims[0], SN_FASTSPEECH2_MAX_SPEAKERS);
		if (code == SN_OK) s->speakers = w->dims[0];
	}
	return code;
}

/* Coqui's table of positions is [1, width, length] in the file. */
static int read_positions(model *m, char *err) {
	const fs2_settings *const s = &m->settings;
	const int64_t width = s->width;
	if (!s->coqui) {
		m->table = malloc((size_t)(SN_FASTSPEECH2_MAX_FRAMES * width) * sizeof *m->table); /* untouched pages cost nothing */
		return m->table ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for a table of positions");
	}
	if (!s->positions) return SN_OK;
	const sn_weight *w, *scale = find(m, "pos_encoder.scale");
	int code = need(m, &w, "pos_encoder.pe", 3, (int64_t[]){ 1, width, -1 }, err);
	if (code == SN_OK && scale) code = need(m, &scale, "pos_encoder.scale", 1, (int64_t[]){ 1 }, err);
	if (code != SN_OK) return code;
	m->table_length = w->dims[2];
	m->table_scale = 1;
	if (scale) sn_weight_floats(scale, 0, 1, &m->table_scale);
	m->table = malloc((size_t)(width * m->table_length + 1) * sizeof *m->table);
	if (!m->table) return sn_fail(err, SN_E_MEMORY, "no memory for %lld positions", (long long)m->table_length);
	sn_weight_floats(w, 0, width * m->table_length, m->table);
	return SN_OK;
}

static int compile(model *m, const sn_load_options *load, const char *name, void (*record)(fs2_recorder *), nn_dtype dtype, nn_exec **out,
                   char *err) {
	fs2_recorder r = { .g = nn_graph_new(name), .s = &m->settings, .w = m->file, .prefix = m->prefix };
	const nn_plan_options options = { .backend = load->backend, .exports = load->exports, .dtype = dtype, .debug = load->debug, .pack = m->pack };
	nn_plan *plan = NULL;
	if (!r.g) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	record(&r);
	int code = nn_plan_compile(&plan, r.g, &options, err);
	if (code == SN_OK) code = nn_exec_new(out, plan, load->pool, err);
	nn_plan_release(&plan);
	nn_graph_free(&r.g);
	return code;
}

static int open_text(model *m, const char *dir, char *err) {
	fs2_settings *const s = &m->settings;
	int code = s->coqui ? sn_coqui_open(&m->coqui, s->config, err) : sn_phones_open(&m->phones, dir, err);
	if (code != SN_OK) return code;
	const int size = s->coqui ? sn_coqui_get_config(m->coqui)->size : sn_phones_get_config(m->phones)->size;
	if (size > s->vocab)
		return sn_fail(err, SN_E_MODEL, "%s: the text's alphabet has %d symbols; the weights have %lld", s->config, size, (long long)s->vocab);
	if (s->coqui) {
		const char *const spoken = sn_coqui_get_config(m->coqui)->phoneme_language;
		const int english = strstr(sn_coqui_get_config(m->coqui)->cleaner, "english") != NULL;
		if (*spoken) snprintf(s->language, sizeof s->language, "%.*s", (int)strcspn(spoken, "-_"), spoken);
		else if (!*s->language && english) snprintf(s->language, sizeof s->language, "en");
	}
	return SN_OK;
}

static void fill_facts(model *m) {
	const fs2_settings *const s = &m->settings;
	int64_t parameters = 0;
	for (size_t i = 0; i < sn_weights_count(m->file); i++) {
		const sn_weight *const w = sn_weights_at(m->file, i);
		const size_t length = strlen(m->prefix);
		int64_t count = 1;
		for (int a = 0; a < w->rank; a++) count *= w->dims[a];
		if (strncmp(w->name, m->prefix, length) == 0 && w->dtype != SN_I64 && !strstr(w->name, "running_") && !strstr(w->name, "pos_encoder."))
			parameters += count;
	}
	m->languages[0] = s->language;
	m->facts = (sn_synth_facts){
		.kind = SN_SYNTH_MEL, .sample_rate = s->mel.sample_rate, .hop = s->mel.hop, .width = (int)s->mels, .mel = s->mel,
		.parameters = parameters, .speakers = s->speakers ? (int)s->speakers : 1,
		.phonemes = m->coqui ? SN_PHONEMES_NONE : SN_PHONEMES_ARPABET, .language_count = *s->language != 0, .languages = m->languages,
		.embedding = (int)s->embedding, .has_speed = 1, .has_pitch = s->pitch.used, .has_energy = s->energy.used,
		.max_ids = SN_FASTSPEECH2_MAX_TOKENS, .max_bytes = SENTENCE_BYTES,
	};
	snprintf(m->facts.language, sizeof m->facts.language, "%s", s->language);
}

static int load_all(model *m, const sn_load_options *load, char *err) {
	int code = fs2_settings_read(&m->settings, load->dir, err);
	if (code == SN_OK) code = sn_weights_open(&m->file, load->dir, err);
	if (code != SN_OK) return code;
	sn_weights_prefix(m->file, m->settings.coqui ? "duration_predictor.conv_1.weight" : "encoder.embed.weight", m->prefix);
	code = read_shapes(m, err);
	if (code == SN_OK) code = read_positions(m, err);
	if (code == SN_OK) code = open_text(m, load->dir, err);
	if (code != SN_OK) return code;
	const int facts[] = { PACK_VERSION, load->dtype, load->debug };
	const uint64_t key = sn_hash_text(sn_hash(sn_weights_key(m->file), facts, sizeof facts), nn_kernels_best()->name);
	code = nn_pack_open(&m->pack, load->pack_path, key, err);
	/* Durations decide lengths, so they are computed alike whatever the precision. */
	if (code == SN_OK) code = compile(m, load, "fastspeech2.text", fs2_record_text, NN_DTYPE_F32, &m->text, err);
	const nn_dtype dtype = load->dtype == NN_DTYPE_F32 ? NN_DTYPE_F32 : NN_DTYPE_BF16;
	if (code == SN_OK) code = compile(m, load, "fastspeech2.decoder", fs2_record_decoder, dtype, &m->decoder, err);
	char note[SN_ERRLEN] = "";
	if (code == SN_OK && load->pack_path && nn_pack_save(m->pack, note) != SN_OK)
		sn_log(SN_LOG_WARN, "packed weights of %s were not kept: %s", load->dir, note);
	if (code == SN_OK) fill_facts(m);
	return code;
}

static void fs2_close(void **held) {
	model *const m = *held;
	*held = NULL;
	if (!m) return;
	nn_exec_profile(m->text);
	nn_exec_profile(m->decoder);
	nn_exec_free(&m->text);
	nn_exec_free(&m->decoder);
	nn_pack_close(&m->pack);
	sn_weights_close(&m->file);
	sn_phones_close(&m->phones);
	sn_coqui_close(&m->coqui);
	free(m->table);
	free(m);
}

static int fs2_open(void **out, const sn_load_options *load, char *err) {
	model *const m = *out = calloc(1, sizeof *m);
	if (!m) return sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", load->dir);
	m->debug = load->debug;
	const int code = load_all(m, load, err);
	if (code != SN_OK) fs2_close(out);
	return code;
}

static int fs2_accepts(const char *path) { return fs2_layout(path) != 0; }
static const sn_synth_facts *fs2_facts(const void *held) { return &((const model *)held)->facts; }

/* ---- text and voices ---- */

static float speed_of(const sn_synth_options *o) { return o && o->speed > 0 ? o->speed : 1; }

static int fs2_encode(const void *held, sn_phonemizer *phonemizer, const char *text, size_t size, const sn_synth_options *options,
                      sn_synth_emit emit, void *payload, int *missing, char *err) {
	const model *const m = held;
	const float speed = speed_of(options);
	const int most = (int)((float)SN_FASTSPEECH2_MAX_TOKENS * (speed < 1 ? speed : 1));
	int32_t ids[SN_FASTSPEECH2_MAX_TOKENS];
	int count = 0, code;
	*missing = 0;
	if (m->coqui) code = sn_coqui_encode(m->coqui, phonemizer, NULL, text, size, ids, most, &count, missing, err);
	else code = sn_phones_encode(m->phones, phonemizer, text, size, ids, most, &count, missing, err);
	return code == SN_OK && count > 0 ? emit(payload, ids, count, size, err) : code;
}

static int fs2_voice(const void *held, const char *name, sn_voice *voice, char *err) {
	const model *const m = held;
	const fs2_settings *const s = &m->settings;
	const int speakers = s->speakers ? (int)s->speakers : 1;
	char *end;
	*voice = (sn_voice){ .speaker = -1 };
	if (!name) name = "default";
	snprintf(voice->name, sizeof voice->name, "%s", name);
	const long number = strtol(name, &end, 10);
	if (strcmp(name, "default") == 0 || (end != name && !*end && number >= 0 && number < speakers)) {
		voice->speaker = end != name ? (int)number : 0;
		return SN_OK;
	}
	if (s->embedding && strchr(name, '.')) return sn_voice_read(voice, name, (int)s->embedding, err);
	return sn_fail(err, SN_E_NOT_FOUND, "there is no voice \"%.64s\"; the model has %d, numbered from 0%s", name, speakers,
	               s->embedding ? ", and takes embeddings from .npy files" : "");
}

/* ---- streams ---- */

static int fs2_stream_new(void **out, void *held, char *err) {
	model *const m = held;
	const fs2_settings *const s = &m->settings;
	stream *const u = *out = calloc(1, sizeof *u);
	const size_t curve = SN_FASTSPEECH2_MAX_TOKENS * sizeof(float), frames = SN_FASTSPEECH2_MAX_FRAMES * sizeof(float);
	if (u) {
		u->m = m;
		u->x = malloc(frames * (size_t)s->width);
		u->mel = malloc(frames * (size_t)(s->mels * s->reduction));
		u->log_durations = malloc(curve);
		u->pitch = malloc(curve);
		u->energy = malloc(curve);
	}
	if (u && u->x && u->mel && u->log_durations && u->pitch && u->energy) return SN_OK;
	if (u) sn_synth_fastspeech2.stream_free(out);
	return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance of %d frames", SN_FASTSPEECH2_MAX_FRAMES);
}

static void fs2_stream_free(void **held) {
	stream *const u = *held;
	*held = NULL;
	if (!u) return;
	free(u->x);
	free(u->mel);
	free(u->log_durations);
	free(u->pitch);
	free(u->energy);
	free(u);
}

/* Rows of sines and cosines for the distances 2 rows - 1 .. of a conformer: row r stands for distance rows - 1 - r, that of a negative
 * distance has the sines negated. */
static void fill_positions(model *m, int64_t rows, float *out) {
	const int64_t width = m->settings.width;
	for (int64_t i = 0; m->table_rows < rows && i < width; i++) {
		const float frequency = expf((float)(i / 2 * 2) * -(logf(10000.0f) / (float)width));
		for (int64_t d = m->table_rows; d < rows; d++) {
			const float angle = (float)d * frequency;
			m->table[d * width + i] = i % 2 ? cosf(angle) : sinf(angle);
		}
	}
	if (m->table_rows < rows) m->table_rows = rows;
	for (int64_t r = 0; r < 2 * rows - 1; r++) {
		const int64_t distance = rows - 1 - r;
		float *const to = out + r * width;
		memcpy(to, m->table + (distance < 0 ? -distance : distance) * width, (size_t)width * sizeof *to);
		for (int64_t i = 0; distance < 0 && i < width; i += 2) to[i] = -to[i];
	}
}

static void add_row(const model *m, const char *name, int64_t row, float *out) {
	const sn_weight *const w = find(m, name);
	float values[FS2_MAX_WIDTH];
	if (!w || w->rank != 2 || w->dims[1] != m->settings.width || row >= w->dims[0]) return;
	sn_weight_floats(w, row * m->settings.width, m->settings.width, values);
	for (int64_t i = 0; i < m->settings.width; i++) out[i] += values[i];
}

/* Coqui's d-vector: as it is, or through proj_g [width, embedding]. */
static int add_vector(const model *m, const float *embedding, float *out, char *err) {
	const fs2_settings *const s = &m->settings;
	const sn_weight *w, *b;
	float row[FS2_MAX_WIDTH];
	if (s->embedding == s->width && !find(m, "proj_g.weight")) {
		for (int64_t i = 0; i < s->width; i++) out[i] += embedding[i];
		return SN_OK;
	}
	int code = need(m, &w, "proj_g.weight", 2, (int64_t[]){ s->width, s->embedding }, err);
	if (code == SN_OK) code = need(m, &b, "proj_g.bias", 1, (int64_t[]){ s->width }, err);
	for (int64_t i = 0; code == SN_OK && i < s->width; i++) {
		float bias;
		double sum = 0;
		sn_weight_floats(w, i * s->embedding, s->embedding, row);
		sn_weight_floats(b, i, 1, &bias);
		for (int64_t k = 0; k < s->embedding; k++) sum += (double)row[k] * (double)embedding[k];
		out[i] += (float)sum + bias;
	}
	return code;
}

/* Fills what the graph wants to know of the voice. */
static int set_voice(model *m, const sn_voice *voice, int count, char *err) {
	const fs2_settings *const s = &m->settings;
	float *const row = nn_exec_input(m->text, "voice"), *const embedding = nn_exec_input(m->text, "embedding");
	const int speaker = voice ? voice->speaker : 0;
	if (voice && voice->embedding && voice->embedding_count != s->embedding)
		return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" has an embedding of %d values; this model takes %lld", voice->name,
		               voice->embedding_count, (long long)s->embedding);
	if (speaker > 0 && speaker >= s->speakers)
		return sn_fail(err, SN_E_ARGUMENT, "speaker %d does not exist; this model has speakers 0 to %lld", speaker,
		               s->speakers ? (long long)s->speakers - 1 : 0ll);
	if (row) memset(row, 0, (size_t)s->width * sizeof *row);
	if (row && s->speakers && speaker >= 0) add_row(m, s->coqui ? "emb_g.weight" : "speaker_id_embedding.weight", speaker, row);
	if (row && s->languages) add_row(m, "language_id_embedding.weight", 0, row);
	if (row && s->coqui && s->embedding && voice && voice->embedding) return add_vector(m, voice->embedding, row, err);
	if (!embedding) return SN_OK;
	const int given = voice && voice->embedding;
	double norm = 1e-24; /* of torch's normalize: at least 1e-12 */
	for (int64_t i = 0; given && i < s->embedding; i++) norm += (double)voice->embedding[i] * (double)voice->embedding[i];
	for (int64_t i = 0; i < s->embedding; i++) embedding[i] = given ? (float)(voice->embedding[i] / sqrt(norm)) : 0;
	*nn_exec_input(m->text, "mix") = (float)given;
	memset(nn_exec_input_ids(m->text, "zeros"), 0, (size_t)count * sizeof(int32_t));
	return SN_OK;
}

static int set_durations(stream *u, const sn_synth_options *o, char *err) {
	const fs2_settings *const s = &u->m->settings;
	const float scale = (float)(s->length_scale / (double)speed_of(o));
	int64_t frames = 0;
	for (int i = 0; i < u->count; i++) {
		const float linear = expf(u->log_durations[i]) - 1;
		float d = s->coqui ? linear * scale : rintf(linear);
		if (!s->coqui) d = d < 0 ? 0 : scale != 1 ? rintf(d * scale) : d;
		else d = rintf(d < 1 ? 1 : d);
		if (!(d >= 0)) return sn_fail(err, SN_E_MODEL, "the duration of symbol %d is not a number: are the weights sound?", i);
		if (o->force_frames) d = (float)((int64_t)(i + 1) * o->force_frames / u->count - (int64_t)i * o->force_frames / u->count);
		if (d > SN_FASTSPEECH2_MAX_FRAMES || (frames += (int64_t)d) > SN_FASTSPEECH2_MAX_FRAMES)
			return sn_fail(err, SN_E_LIMIT, "the sentence would be longer than %d frames; split it or speak faster", SN_FASTSPEECH2_MAX_FRAMES);
		u->durations[i] = (int32_t)d;
	}
	if (frames == 0) { /* as the reference: one frame for each */
		for (int i = 0; i < u->count; i++) u->durations[i] = 1;
		frames = u->count;
	}
	if (u->m->table_length && frames > u->m->table_length)
		return sn_fail(err, SN_E_LIMIT, "the sentence has %lld frames; the model knows %lld positions", (long long)frames,
		               (long long)u->m->table_length);
	u->frames = (int)frames;
	return SN_OK;
}

/* x[frame] = the row of its symbol; Coqui: times sqrt(width), plus the table of positions. */
static void regulate(stream *u, const float *hidden) {
	const model *const m = u->m;
	const int64_t width = m->settings.width;
	const float factor = m->settings.coqui && m->settings.positions ? sqrtf((float)width) : 1;
	int64_t frame = 0;
	for (int i = 0; i < u->count; i++)
		for (int d = 0; d < u->durations[i]; d++, frame++)
			for (int64_t c = 0; c < width; c++)
				u->x[frame * width + c] = hidden[i * width + c] * factor + (m->table_length ? m->table_scale * m->table[c * m->table_length + frame] : 0);
}

static int check(const model *m, const int32_t *ids, int count, char *err) {
	if (count < 1) return sn_fail(err, SN_E_ARGUMENT, "there is nothing to speak");
	if (count > SN_FASTSPEECH2_MAX_TOKENS)
		return sn_fail(err, SN_E_LIMIT, "the sentence has %d symbols; at most %d can be spoken at once", count, SN_FASTSPEECH2_MAX_TOKENS);
	for (int i = 0; i < count; i++)
		if (ids[i] < 0 || ids[i] >= m->settings.vocab)
			return sn_fail(err, SN_E_ARGUMENT, "symbol %d has id %d; this model knows ids 0 to %lld", i, ids[i], (long long)m->settings.vocab - 1);
	return SN_OK;
}

static void copy_curve(const model *m, const char *name, float *out, int count) {
	const float *const curve = nn_exec_output(m->text, name, NULL);
	if (curve) memcpy(out, curve, (size_t)count * sizeof *out);
}

static int fs2_start(void *held, const int32_t *ids, int count, const sn_synth_options *options, char *err) {
	static const sn_synth_options plain = { .speed = 1 };
	const sn_synth_options *const o = options ? options : &plain;
	stream *const u = held;
	model *const m = u->m;
	u->count = u->frames = u->rows = u->position = u->decoded = 0;
	int code = check(m, ids, count, err);
	if (code != SN_OK) return code;
	nn_exec_set(m->text, "tokens", count);
	memcpy(nn_exec_input_ids(m->text, "ids"), ids, (size_t)count * sizeof *ids);
	code = set_voice(m, o->voice, count, err);
	if (code != SN_OK) return code;
	if (!m->settings.coqui) fill_positions(m, count, nn_exec_input(m->text, "positions"));
	if (m->settings.pitch.used) *nn_exec_input(m->text, "pitch_factor") = o->pitch > 0 ? o->pitch : 1;
	if (m->settings.energy.used) *nn_exec_input(m->text, "energy_factor") = o->energy > 0 ? o->energy : 1;
	code = nn_exec_run(m->text, err);
	if (code != SN_OK) return code;
	copy_curve(m, "log_durations", u->log_durations, count);
	copy_curve(m, "pitch", u->pitch, count);
	copy_curve(m, "energy", u->energy, count);
	u->count = count;
	code = set_durations(u, o, err);
	if (code == SN_OK) regulate(u, nn_exec_output(m->text, "hidden", NULL));
	return code;
}

static int decode(stream *u, char *err) {
	model *const m = u->m;
	const fs2_settings *const s = &m->settings;
	nn_exec_set(m->decoder, "frames", u->frames);
	memcpy(nn_exec_input(m->decoder, "x"), u->x, (size_t)(u->frames * s->width) * sizeof *u->x);
	if (!s->coqui) fill_positions(m, u->frames, nn_exec_input(m->decoder, "positions"));
	const int code = nn_exec_run(m->decoder, err);
	if (code != SN_OK) return code;
	u->rows = (int)(u->frames * s->reduction);
	memcpy(u->mel, nn_exec_output(m->decoder, "mel", NULL), (size_t)(u->rows * s->mels) * sizeof *u->mel);
	u->decoded = 1;
	for (int64_t i = 0; i < u->rows * s->mels; i++)
		if (!isfinite(u->mel[i]))
			return sn_fail(err, SN_E_MODEL, "value %lld of the spectrogram is not a number: are the weights sound?", (long long)i);
	return SN_OK;
}

static int fs2_next(void *held, int most, float *out, int *frames, int *extra, char *err) {
	stream *const u = held;
	const int64_t mels = u->m->settings.mels;
	*frames = *extra = 0;
	const int code = !u->decoded && u->frames ? decode(u, err) : SN_OK;
	if (code != SN_OK) return code;
	const int left = u->rows - u->position;
	*frames = most < left ? most : left;
	memcpy(out, u->mel + u->position * mels, (size_t)(*frames * mels) * sizeof *out);
	u->position += *frames;
	return u->position < u->rows ? SN_OK : SN_END;
}

static const char *fs2_remark(const void *held) { return NULL; }

/* ---- looking in ---- */

const int32_t *sn_fastspeech2_durations(const void *held, int *count) {
	const stream *const u = held;
	*count = u->count;
	return u->durations;
}

int sn_fastspeech2_tensor(const void *held, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	const stream *const u = held;
	const fs2_settings *const s = &u->m->settings;
	const struct { const char *name; const float *from; int64_t rows, cols; } own[] = {
		{ "log_durations", u->log_durations, u->count, 1 }, { "pitch", s->pitch.used ? u->pitch : NULL, u->count, 1 },
		{ "energy", s->energy.used ? u->energy : NULL, u->count, 1 }, { "mel", u->mel, u->rows, s->mels },
		{ "decoder_in", u->x, u->frames, s->width },
	};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		if (strcmp(own[i].name, name) != 0 || !own[i].from) continue;
		const size_t bytes = (size_t)(own[i].rows * own[i].cols) * sizeof(float);
		*values = malloc(bytes + 1);
		if (!*values) return sn_fail(err, SN_E_MEMORY, "no memory for tensor '%s'", name);
		memcpy(*values, own[i].from, bytes);
		*rank = 2;
		dims[0] = own[i].rows;
		dims[1] = own[i].cols;
		return SN_OK;
	}
	const int code = nn_exec_tensor(u->m->text, name, values, rank, dims, err);
	return code == SN_E_NOT_FOUND ? nn_exec_tensor(u->m->decoder, name, values, rank, dims, err) : code;
}

const sn_synth_class sn_synth_fastspeech2 = {
	.architecture = "fastspeech2", .accepts = fs2_accepts, .open = fs2_open, .close = fs2_close, .facts = fs2_facts, .encode = fs2_encode,
	.voice = fs2_voice, .stream_new = fs2_stream_new, .stream_free = fs2_stream_free, .start = fs2_start, .next = fs2_next, .remark = fs2_remark,
};
