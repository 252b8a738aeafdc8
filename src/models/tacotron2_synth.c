/* Tacotron 2 as sessions see it: loading, text and voices around the model. */
#include "models/tacotron2_synth.h"

#include "base/hash.h"
#include "base/log.h"
#include "nn/cpu/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PACK_VERSION 1     /* raised when the recorded graphs change what is packed */
#define SENTENCE_BYTES 200 /* of text that is spoken at once: the attention loses itself in longer ones */
#define SENTENCE_LEAST 64  /* shorter pieces are no sentences, whatever the checkpoint's most steps */
#define BYTES_A_SECOND 12  /* of text, spoken slowly */

/* ---- loading ---- */

static int compile(taco_model *m, const sn_load_options *load, const char *name, void (*record)(taco_recorder *), nn_dtype dtype,
                   nn_plan **out, char *err) {
	taco_recorder r = { .g = nn_graph_new(name), .s = &m->settings, .w = m->file };
	const nn_plan_options options = { .backend = load->backend, .exports = load->exports, .dtype = dtype, .debug = load->debug, .pack = m->pack };
	if (!r.g) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	record(&r);
	const int code = nn_plan_compile(out, r.g, &options, err);
	nn_graph_free(&r.g);
	return code;
}

static int compile_once(taco_model *m, const sn_load_options *load, const char *name, void (*record)(taco_recorder *),
                        nn_dtype dtype, nn_exec **out, char *err) {
	nn_plan *plan = NULL;
	int code = compile(m, load, name, record, dtype, &plan, err);
	if (code == SN_OK) code = nn_exec_new(out, plan, load->pool, err);
	nn_plan_release(&plan);
	return code;
}

static int load_graphs(taco_model *m, const sn_load_options *load, char *err) {
	const int facts[] = { PACK_VERSION, load->dtype, load->debug };
	const uint64_t key = sn_hash_text(sn_hash(sn_weights_key(m->file), facts, sizeof facts), nn_kernels_best()->name);
	const nn_dtype convolutions = load->dtype == NN_DTYPE_F32 ? NN_DTYPE_F32 : NN_DTYPE_BF16;
	int code = nn_pack_open(&m->pack, load->pack_path, key, err);
	if (code == SN_OK) code = compile_once(m, load, "tacotron2.text", taco_record_text, convolutions, &m->text, err);
	if (code == SN_OK) code = compile(m, load, "tacotron2.step", taco_record_step, load->dtype, &m->step, err);
	if (code == SN_OK && taco_split(&m->settings))
		code = compile(m, load, "tacotron2.rest", taco_record_rest, load->dtype, &m->rest, err);
	if (code == SN_OK) code = compile_once(m, load, "tacotron2.postnet", taco_record_postnet, convolutions, &m->postnet, err);
	char note[SN_ERRLEN] = "";
	if (code == SN_OK && load->pack_path && nn_pack_save(m->pack, note) != SN_OK)
		sn_log(SN_LOG_WARN, "packed weights of %s were not kept: %s", load->dir, note);
	return code;
}

static int load_text(taco_model *m, const sn_load_options *load, char *err) {
	taco_settings *const s = &m->settings;
	const sn_vits_config voices = { .speakers = (int)s->speakers, .embedding = s->by_vector ? (int)s->vector : 0 };
	if (!s->coqui) return SN_OK;
	int code = sn_coqui_open(&m->coqui, s->config, err);
	if (code == SN_OK && sn_coqui_get_config(m->coqui)->size > s->vocab)
		code = sn_fail(err, SN_E_MODEL, "%s: the text's alphabet has %d symbols; the weights have %lld", s->config,
		               sn_coqui_get_config(m->coqui)->size, (long long)s->vocab);
	return code == SN_OK && s->vector ? yourtts_names_read(&m->names, &voices, load->dir, s->config, err) : code;
}

/* Of the parts that speak: not of other decoders that were trained beside, nor of an optimizer's state. */
static int64_t count_parameters(const taco_model *m) {
	static const char *const parts[] = { "embedding.", "encoder.", "decoder.", "postnet.", "speaker_embedding." };
	const size_t prefix = strlen(m->settings.prefix);
	int64_t sum = 0;
	for (size_t i = 0; i < sn_weights_count(m->file); i++) {
		const sn_weight *const w = sn_weights_at(m->file, i);
		if (strncmp(w->name, m->settings.prefix, prefix) != 0 || !sn_weight_is_float(w) || strstr(w->name, "running_")) continue;
		for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
			if (strncmp(w->name + prefix, parts[p], strlen(parts[p])) == 0) sum += (int64_t)(w->bytes / sn_dtype_size(w->dtype));
	}
	return sum;
}

static void fill_facts(taco_model *m) {
	const taco_settings *const s = &m->settings;
	const double seconds = (double)(s->max_steps * s->reduction) * s->mel.hop / s->mel.sample_rate;
	const int by_steps = seconds * BYTES_A_SECOND < SENTENCE_BYTES ? (int)(seconds * BYTES_A_SECOND) : SENTENCE_BYTES;
	sn_synth_facts *const f = &m->facts;
	*f = (sn_synth_facts){
		.phonemes = m->coqui ? SN_PHONEMES_NONE : SN_PHONEMES_ARPABET,
		.kind = SN_SYNTH_MEL, .sample_rate = s->mel.sample_rate, .hop = s->mel.hop, .width = (int)s->mels, .mel = s->mel,
		.parameters = count_parameters(m), .embedding = s->by_vector ? (int)s->vector : 0, .has_dropout = 1,
		.max_ids = SN_TACOTRON2_MAX_IDS, .max_bytes = by_steps < SENTENCE_LEAST ? SENTENCE_BYTES : by_steps,
	};
	f->speakers = s->by_vector ? m->names.speaker_count : s->by_number ? (int)s->speakers : 1;
	f->speaker_names = m->names.speakers;
	if (m->coqui) {
		const char *const spoken = sn_coqui_get_config(m->coqui)->phoneme_language;
		const int english = !*spoken && strstr(sn_coqui_get_config(m->coqui)->cleaner, "english") != NULL;
		const char *const language = english ? "en" : *spoken ? spoken : s->language;
		snprintf(f->language, sizeof f->language, "%.*s", (int)strcspn(language, "-_"), language);
	} else {
		snprintf(f->language, sizeof f->language, "en"); /* of NVIDIA's symbols and its text cleaning */
	}
	m->languages[0] = f->language;
	f->language_count = *f->language != 0;
	f->languages = m->languages;
}

static int load_all(taco_model *m, const sn_load_options *load, char *err) {
	m->pool = load->pool;
	int code = taco_settings_read(&m->settings, load->dir, err);
	if (code == SN_OK) code = sn_weights_open(&m->file, load->dir, err);
	if (code == SN_OK) code = taco_settings_bind(&m->settings, m->file, err);
	if (code == SN_OK) code = load_text(m, load, err);
	if (code == SN_OK) code = load_graphs(m, load, err);
	if (code == SN_OK) fill_facts(m);
	return code;
}

static void taco_close(void **held) {
	taco_model *const m = *held;
	*held = NULL;
	if (!m) return;
	nn_exec_free(&m->text);
	nn_exec_free(&m->postnet);
	nn_plan_release(&m->step);
	nn_plan_release(&m->rest);
	nn_pack_close(&m->pack);
	sn_weights_close(&m->file);
	sn_coqui_close(&m->coqui);
	yourtts_names_clear(&m->names);
	free(m);
}

static int taco_open(void **out, const sn_load_options *load, char *err) {
	taco_model *const m = *out = calloc(1, sizeof *m);
	if (!m) return sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", load->dir);
	const int code = load_all(m, load, err);
	if (code != SN_OK) taco_close(out);
	return code;
}

static int taco_accepts(const char *path) { return taco_layout(path) != 0; }
static const sn_synth_facts *taco_facts(const void *held) { return &((const taco_model *)held)->facts; }

/* ---- text ---- */

typedef struct encoding {
	const taco_model *m;
	sn_phonemizer *phonemizer;
	const char *language;
	sn_synth_emit emit;
	void *payload;
	int *missing;
	int32_t ids[SN_TACOTRON2_MAX_IDS];
} encoding;

/* NVIDIA's table as this checkpoint numbers it. */
static void renumber(encoding *e, int *count) {
	int kept = 0;
	for (int i = 0; i < *count; i++) {
		const int32_t id = e->m->settings.symbols[e->ids[i]];
		if (id >= 0) e->ids[kept++] = id;
	}
	*e->missing += *count - kept;
	*count = kept;
}

/* Where a text may be cut in two: after the space next to its middle that is not inside of braces, else between characters. */
static size_t middle(const char *text, size_t size) {
	size_t best = 0;
	int depth = 0;
	for (size_t i = 0; i < size; i++) {
		depth += (text[i] == '{') - (text[i] == '}');
		const size_t now = i + 1 > size / 2 ? i + 1 - size / 2 : size / 2 - i - 1;
		const size_t then = best > size / 2 ? best - size / 2 : size / 2 - best;
		if (text[i] == ' ' && depth <= 0 && i + 1 < size && (!best || now < then)) best = i + 1;
	}
	if (best) return best;
	best = size / 2;
	while (best && ((unsigned char)text[best] & 0xC0) == 0x80) best--;
	return best;
}

/* Numbers and phonemes may make a sentence longer than one start; it is spoken in parts then. */
static int encode_part(encoding *e, const char *text, size_t size, char *err) {
	int count = 0, missing = 0, code;
	if (e->m->coqui)
		code = sn_coqui_encode(e->m->coqui, e->phonemizer, e->language, text, size, e->ids, SN_TACOTRON2_MAX_IDS, &count, &missing, err);
	else code = sn_symbols_encode(text, size, e->ids, SN_TACOTRON2_MAX_IDS, &count, &missing, err);
	const size_t half = code == SN_E_LIMIT ? middle(text, size) : 0;
	if (half) {
		code = encode_part(e, text, half, err);
		return code == SN_OK ? encode_part(e, text + half, size - half, err) : code;
	}
	if (code != SN_OK) return code;
	*e->missing += missing;
	if (!e->m->coqui) renumber(e, &count);
	return count ? e->emit(e->payload, e->ids, count, size, err) : SN_OK;
}

static int taco_encode(const void *held, sn_phonemizer *phonemizer, const char *text, size_t size, const sn_synth_options *options,
                       sn_synth_emit emit, void *payload, int *missing, char *err) {
	encoding e = { .m = held, .phonemizer = phonemizer, .language = options ? options->language : NULL, .emit = emit,
	               .payload = payload, .missing = missing };
	*missing = 0;
	return encode_part(&e, text, size, err);
}

/* ---- voices ---- */

static int number_of(const taco_model *m, const char *name) {
	const int found = sn_voice_speaker(&m->facts, name);
	return found < 0 && m->facts.speakers && strcmp(name, "default") == 0 ? 0 : found;
}

static int taco_voice(const void *held, const char *name, sn_voice *voice, char *err) {
	const taco_model *const m = held;
	const int size = m->facts.embedding;
	int code = SN_OK;
	*voice = (sn_voice){ .speaker = number_of(m, name) };
	if (voice->speaker < 0) {
		if (!size || !*name || access(name, R_OK) != 0) return sn_voice_unknown(&m->facts, name, err);
		code = sn_voice_read(voice, name, size, err);
	} else if (size) {
		voice->embedding = malloc((size_t)size * sizeof *voice->embedding);
		voice->embedding_count = size;
		if (!voice->embedding) code = sn_fail(err, SN_E_MEMORY, "out of memory for a voice");
		else memcpy(voice->embedding, m->names.embeddings + (size_t)voice->speaker * (size_t)size,
		            (size_t)size * sizeof *voice->embedding);
	}
	if (code == SN_OK) snprintf(voice->name, sizeof voice->name, "%s", name);
	else sn_voice_clear(voice);
	return code;
}

static int taco_start(void *stream, const int32_t *ids, int count, const sn_synth_options *options, char *err) {
	return sn_tacotron2_start(stream, ids, count, options, NULL, err);
}

const sn_synth_class sn_synth_tacotron2 = {
	.architecture = "tacotron2", .accepts = taco_accepts, .open = taco_open, .close = taco_close, .facts = taco_facts,
	.encode = taco_encode, .voice = taco_voice, .stream_new = taco_stream_new,
	.stream_free = taco_stream_free, .start = taco_start, .next = taco_next, .remark = taco_remark,
};
