#include "models/vits_synth.h"
#include "models/vits_internal.h"
#include "models/yourtts_internal.h"

#include "base/json.h"
#include "text/chars.h"
#include "text/piper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SENTENCE_BYTES 600 /* of text that is spoken at once: about 40 s at the usual speed */

/* ---- streams ---- */

typedef struct stream {
	const vits_synth *synth;
	sn_vits_stream *vits;
	int left, frames; /* to come, of all */
} stream;

int vits_synth_stream_new(void **out, void *model, char *err) {
	vits_synth *const synth = model;
	stream *s = *out = calloc(1, sizeof *s);
	if (!s) return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	s->synth = synth;
	const int code = sn_vits_stream_new(&s->vits, synth->vits, err);
	if (code != SN_OK) vits_synth_stream_free(out);
	return code;
}

void vits_synth_stream_free(void **held) {
	stream *const s = *held;
	*held = NULL;
	if (!s) return;
	sn_vits_stream_free(&s->vits);
	free(s);
}

const vits_synth *vits_synth_of(const void *held) { return ((const stream *)held)->synth; }
const sn_synth_facts *vits_synth_facts(const void *model) { return &((const vits_synth *)model)->facts; }
const char *vits_synth_remark(const void *held) { return NULL; }

static float speed_of(const sn_synth_options *o) { return o && o->speed > 0 ? o->speed : 1; }

int vits_synth_most_ids(const sn_synth_options *options) {
	const float speed = speed_of(options);
	return (int)((float)SN_VITS_MAX_TOKENS * (speed < 1 ? speed : 1));
}

int vits_synth_begin(void *held, const int32_t *ids, int count, const sn_synth_options *options, sn_vits_options own, char *err) {
	stream *const s = held;
	own.length_scale = sn_vits_get_config(s->synth->vits)->length_scale / speed_of(options);
	own.noise_scale = options->noise_scale;
	own.noise_duration = options->noise_duration;
	own.force_frames = options->force_frames;
	own.seed = options->seed;
	const int code = sn_vits_start(s->vits, ids, count, &own, &s->left, err);
	s->frames = s->left;
	return code;
}

int vits_synth_next(void *held, int most, float *out, int *frames, int *extra, char *err) {
	stream *const s = held;
	const int64_t samples = sn_vits_next(s->vits, most < SN_SYNTH_MAX_NEXT ? most : SN_SYNTH_MAX_NEXT, out, err);
	*frames = *extra = 0;
	if (samples < 0) return (int)samples;
	*frames = (int)(samples / s->synth->facts.hop);
	s->left -= *frames;
	return s->left > 0 ? SN_OK : SN_END;
}

/* By the durations of the ids, which a decoder of another rate stretches. */
int64_t vits_synth_place(const void *held, double share) {
	const stream *const s = held;
	int count;
	int64_t before = 0, all = 0;
	const int32_t *const durations = sn_vits_durations(s->vits, &count);
	for (int i = 0; i < count; i++) {
		before += i < (int)(share * count) ? durations[i] : 0;
		all += durations[i];
	}
	return all ? before * s->frames / all : 0;
}

/* ---- what the class says and finds ---- */

void vits_synth_fill(vits_synth *synth) {
	const sn_vits_config *const c = sn_vits_get_config(synth->vits);
	synth->facts = (sn_synth_facts){
		.kind = SN_SYNTH_SOUND, .sample_rate = c->sample_rate, .hop = c->hop, .width = c->hop,
		.parameters = sn_vits_parameters(synth->vits), .speakers = c->embedding ? 0 : c->speakers, .embedding = c->embedding,
		.has_speed = 1, .has_noise = 1, .max_ids = SN_VITS_MAX_TOKENS, .max_bytes = SENTENCE_BYTES,
	};
}

/* Hugging Face's layout, Piper's and the authors'. */
typedef struct voice_model {
	vits_synth synth;
	sn_chars *chars; /* one of the two */
	sn_piper *piper;
	const char *languages[1];
	const char **piper_names; /* [speakers], where each has one */
	yourtts_names names;      /* of the other layouts */
	char letters[160];
} voice_model;

static int voice_accepts(const char *path) {
	sn_vits_files files;
	struct stat st;
	json_t *root = NULL;
	if (sn_vits_locate(&files, path, NULL) != SN_OK || files.coqui || stat(files.json, &st) != 0) return 0;
	if (files.piper) return 1;
	if (sn_json_file(&root, files.json, NULL) != SN_OK) return 0;
	const char *const type = json_string_value(json_object_get(root, "model_type"));
	const int yes = vits_authors_is(root) || (type && strcmp(type, "vits") == 0);
	json_decref(root);
	return yes;
}

static void voice_close(void **held) {
	voice_model *const m = *held;
	*held = NULL;
	if (!m) return;
	sn_vits_close(&m->synth.vits);
	sn_chars_close(&m->chars);
	sn_piper_close(&m->piper);
	free(m->piper_names);
	yourtts_names_clear(&m->names);
	free(m);
}

/* Names are listed where every speaker has one. */
static int piper_names(voice_model *m, char *err) {
	const int speakers = m->synth.facts.speakers;
	if (!sn_piper_speaker_name(m->piper, 0)) return SN_OK;
	m->piper_names = calloc((size_t)speakers, sizeof *m->piper_names);
	if (!m->piper_names) return sn_fail(err, SN_E_MEMORY, "out of memory for the names of %d speakers", speakers);
	for (int i = 0; i < speakers; i++)
		if (!(m->piper_names[i] = sn_piper_speaker_name(m->piper, i))) return SN_OK;
	m->synth.facts.speaker_names = m->piper_names;
	return SN_OK;
}

/* The other layouts have no place for names; configurations that were written with derived code list them. */
static int list_names(voice_model *m, const char *json, char *err) {
	char dir[VITS_PATH];
	json_t *root;
	if (m->piper || m->synth.facts.speakers < 2) return m->piper ? piper_names(m, err) : SN_OK;
	int code = sn_json_file(&root, json, err);
	if (code != SN_OK) return code;
	const char *const slash = strrchr(json, '/');
	snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - json) : 1, slash ? json : ".");
	m->names.speaker_count = m->synth.facts.speakers;
	code = yourtts_speakers_read(&m->names, root, dir, json, err);
	m->synth.facts.speaker_names = m->names.speakers;
	json_decref(root);
	return code;
}

static int load_all(voice_model *m, const sn_load_options *load, char *err) {
	sn_vits_files files;
	int code = sn_vits_locate(&files, load->dir, err);
	if (code == SN_OK && files.coqui)
		code = sn_fail(err, SN_E_UNSUPPORTED, "%s holds VITS in Coqui's layout, which the architecture \"yourtts\" speaks", load->dir);
	if (code == SN_OK)
		code = files.piper ? sn_piper_open(&m->piper, files.json, err)
		     : files.authors ? sn_chars_open_authors(&m->chars, files.json, err) : sn_chars_open(&m->chars, load->dir, err);
	if (code == SN_OK) code = sn_vits_open(&m->synth.vits, load, err);
	if (code != SN_OK) return code;
	vits_synth_fill(&m->synth);
	sn_synth_facts *const f = &m->synth.facts;
	m->synth.default_speaker = m->piper ? sn_piper_get_config(m->piper)->default_speaker : 0;
	if (m->synth.default_speaker >= f->speakers)
		return sn_fail(err, SN_E_MODEL, "%s: 'default_speaker_id' is %d; the weights have speakers 0 to %d", files.json, m->synth.default_speaker,
		               f->speakers - 1);
	snprintf(f->language, sizeof f->language, "%s",
	         m->piper ? sn_piper_get_config(m->piper)->language : sn_chars_get_config(m->chars)->language);
	m->languages[0] = f->language;
	f->languages = m->languages;
	f->language_count = *f->language != 0;
	f->foreign = m->piper && sn_piper_get_config(m->piper)->phonemize;
	f->phonemes = f->foreign ? SN_PHONEMES_IPA : SN_PHONEMES_NONE;
	if (m->chars && !sn_chars_get_config(m->chars)->phonemize) {
		sn_chars_letters(m->chars, m->letters, sizeof m->letters);
		f->letters = m->letters;
		f->romanises = sn_chars_get_config(m->chars)->uroman;
	}
	return list_names(m, files.json, err);
}

static int voice_open(void **out, const sn_load_options *load, char *err) {
	voice_model *const m = *out = calloc(1, sizeof *m);
	if (!m) return sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", load->dir);
	const int code = load_all(m, load, err);
	if (code != SN_OK) voice_close(out);
	return code;
}

static int encode_phonemes(const voice_model *m, sn_phonemizer *phonemizer, const char *espeak, const char *text, size_t size,
                           int most, sn_synth_emit emit, void *payload, int *missing, char *err) {
	sn_piper_sentences sentences;
	int code = sn_piper_run(m->piper, phonemizer, espeak, text, size, most, &sentences, err);
	if (code != SN_OK) return code;
	for (int i = 0; i < sentences.count && code == SN_OK; i++) {
		const sn_piper_sentence *const s = &sentences.items[i];
		*missing += s->missing;
		if (s->count > 0) code = emit(payload, s->ids, s->count, s->end - s->begin, err);
	}
	sn_piper_sentences_free(&sentences);
	return code;
}

static int voice_encode(const void *model, sn_phonemizer *phonemizer, const char *text, size_t size, const sn_synth_options *options,
                        sn_synth_emit emit, void *payload, int *missing, char *err) {
	const voice_model *const m = model;
	const int most = vits_synth_most_ids(options);
	int32_t ids[SN_VITS_MAX_TOKENS];
	int count;
	*missing = 0;
	if (m->piper) return encode_phonemes(m, phonemizer, options ? options->espeak : NULL, text, size, most, emit, payload, missing, err);
	const int code = sn_chars_encode(m->chars, phonemizer, text, size, ids, most, &count, missing, err);
	return code == SN_OK && count > 0 ? emit(payload, ids, count, size, err) : code;
}

static int voice_voice(const void *model, const char *name, sn_voice *voice, char *err) {
	const voice_model *const m = model;
	const sn_synth_facts *const f = &m->synth.facts;
	*voice = (sn_voice){ .speaker = m->piper ? sn_piper_speaker(m->piper, name) : -1 };
	if (voice->speaker < 0 || voice->speaker >= f->speakers) voice->speaker = sn_voice_speaker(f, name);
	if (voice->speaker < 0 && strcmp(name, "default") == 0) voice->speaker = m->synth.default_speaker;
	if (voice->speaker < 0) return sn_voice_unknown(f, name, err);
	snprintf(voice->name, sizeof voice->name, "%s", name);
	return SN_OK;
}

static int voice_start(void *held, const int32_t *ids, int count, const sn_synth_options *options, char *err) {
	const sn_voice *const voice = options->voice;
	if (voice && voice->speaker < 0)
		return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" is no speaker of this model, which takes numbers", voice->name);
	const sn_vits_options own = { .speaker = voice ? voice->speaker : vits_synth_of(held)->default_speaker };
	return vits_synth_begin(held, ids, count, options, own, err);
}

const sn_synth_class sn_synth_vits = {
	.architecture = "vits", .accepts = voice_accepts, .open = voice_open, .close = voice_close, .facts = vits_synth_facts,
	.encode = voice_encode, .voice = voice_voice, .stream_new = vits_synth_stream_new, .stream_free = vits_synth_stream_free,
	.start = voice_start, .next = vits_synth_next, .remark = vits_synth_remark, .place = vits_synth_place,
};
