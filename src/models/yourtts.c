/* Coqui's VITS as sessions see it: YourTTS, whose voices are embeddings, and models of one or many numbered speakers. */
#include "models/vits_synth.h"
#include "models/yourtts_internal.h"

#include "base/json.h"
#include "models/speaker_encoder.h"
#include "text/coqui.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define NAMES_LISTED 8 /* in a message */

typedef struct yourtts {
	vits_synth synth;
	sn_coqui *coqui;
	sn_speaker_encoder *encoder; /* NULL: the checkpoint has none */
	yourtts_names names;
	const char *own_language[1]; /* of a model without a language embedding */
} yourtts;

/* ---- loading ---- */

static int yourtts_accepts(const char *path) {
	sn_vits_files files;
	return sn_vits_locate(&files, path, NULL) == SN_OK && files.coqui;
}

static void yourtts_close(void **held) {
	yourtts *const m = *held;
	*held = NULL;
	if (!m) return;
	sn_vits_close(&m->synth.vits);
	sn_coqui_close(&m->coqui);
	sn_speaker_encoder_close(&m->encoder);
	yourtts_names_clear(&m->names);
	free(m);
}

/* The speaker encoder lies beside the model, under the name that the configuration says or the usual one. */
static int open_encoder(yourtts *m, const sn_load_options *load, const char *json, char *err) {
	static const char *const usual[] = { "model_se.pth", "model_se.pth.tar", "SE_checkpoint.pth.tar" };
	const int wanted = sn_vits_get_config(m->synth.vits)->embedding;
	char config[4096], weights[4096];
	json_t *root;
	int code = sn_json_file(&root, json, err);
	if (code != SN_OK) return code;
	const json_t *const args = json_object_get(root, "model_args");
	int found = yourtts_file(weights, load->dir, json_string_value(json_object_get(args, "speaker_encoder_model_path")));
	for (size_t i = 0; !found && i < sizeof usual / sizeof *usual; i++) found = yourtts_file(weights, load->dir, usual[i]);
	found = found && (yourtts_file(config, load->dir, json_string_value(json_object_get(args, "speaker_encoder_config_path"))) ||
	                  yourtts_file(config, load->dir, "config_se.json"));
	json_decref(root);
	if (!found) return SN_OK;
	code = sn_speaker_encoder_open(&m->encoder, config, weights, load, err);
	if (code == SN_OK && sn_speaker_encoder_size(m->encoder) != wanted)
		code = sn_fail(err, SN_E_MODEL, "%s: the speaker encoder makes embeddings of %d values; the model takes %d", weights,
		               sn_speaker_encoder_size(m->encoder), wanted);
	return code;
}

static void fill_facts(yourtts *m) {
	sn_synth_facts *const f = &m->synth.facts;
	vits_synth_fill(&m->synth);
	f->speakers = m->names.speaker_count;
	f->speaker_names = m->names.speakers;
	f->languages = m->names.languages;
	f->language_count = m->names.language_count;
	f->embeds = m->encoder != NULL;
	f->romanises = strcmp(sn_coqui_get_config(m->coqui)->cleaner, "uroman_cleaners") == 0;
	if (m->encoder) f->parameters += sn_speaker_encoder_parameters(m->encoder);
	if (f->language_count > 0) return;
	snprintf(f->language, sizeof f->language, "%.15s", sn_coqui_get_config(m->coqui)->phoneme_language);
	m->own_language[0] = f->language;
	f->languages = m->own_language;
	f->language_count = *f->language != 0;
}

static int load_all(yourtts *m, const sn_load_options *load, char *err) {
	sn_vits_files files;
	int code = sn_vits_locate(&files, load->dir, err);
	if (code == SN_OK && !files.coqui) code = sn_fail(err, SN_E_UNSUPPORTED, "%s holds no VITS in Coqui's layout", load->dir);
	if (code == SN_OK) code = sn_coqui_open(&m->coqui, files.json, err);
	if (code == SN_OK) code = sn_vits_open(&m->synth.vits, load, err);
	if (code != SN_OK) return code;
	const sn_vits_config *const c = sn_vits_get_config(m->synth.vits);
	const int symbols = sn_coqui_get_config(m->coqui)->size;
	if (symbols > c->vocab)
		return sn_fail(err, SN_E_MODEL, "%s: the characters make %d symbols; the weights have %d", files.json, symbols, c->vocab);
	code = yourtts_names_read(&m->names, c, load->dir, files.json, err);
	if (code == SN_OK && c->embedding) code = open_encoder(m, load, files.json, err);
	if (code == SN_OK) fill_facts(m);
	return code;
}

static int yourtts_open(void **out, const sn_load_options *load, char *err) {
	yourtts *const m = *out = calloc(1, sizeof *m);
	if (!m) return sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", load->dir);
	const int code = load_all(m, load, err);
	if (code != SN_OK) yourtts_close(out);
	return code;
}

/* ---- what a request asks for ---- */

static void list(char *out, size_t size, const char *const *names, int count) {
	size_t n = 0;
	*out = 0;
	for (int i = 0; i < count && i < NAMES_LISTED && n < size; i++) n += (size_t)snprintf(out + n, size - n, "%s\"%s\"", i ? ", " : "", names[i]);
	if (count > NAMES_LISTED && n < size) snprintf(out + n, size - n, ", ... (%d)", count);
}

/* The model's number of a language, 0 where none is asked for; models without the embedding have but one. */
static int find_language(const yourtts *m, const char *language, int *number, char *err) {
	char names[NAMES_LISTED * (YOURTTS_MAX_NAME + 4) + 16];
	*number = 0;
	if (!language || !*language || m->names.language_count == 0) return SN_OK;
	*number = yourtts_find_language(&m->names, language);
	if (*number >= 0) return SN_OK;
	list(names, sizeof names, m->names.languages, m->names.language_count);
	return sn_fail(err, SN_E_UNSUPPORTED, "the model does not speak \"%.32s\"; it speaks %s", language, names);
}

static int yourtts_encode(const void *model, sn_phonemizer *phonemizer, const char *text, size_t size, const sn_synth_options *options,
                          sn_synth_emit emit, void *payload, int *missing, char *err) {
	const yourtts *const m = model;
	int32_t ids[SN_VITS_MAX_TOKENS];
	int count, number;
	*missing = 0;
	int code = find_language(m, options ? options->language : NULL, &number, err);
	if (code != SN_OK) return code;
	const char *const language = m->names.language_count ? m->names.languages[number] : NULL;
	code = sn_coqui_encode(m->coqui, phonemizer, language, text, size, ids, vits_synth_most_ids(options), &count, missing, err);
	return code == SN_OK && count > 0 ? emit(payload, ids, count, size, err) : code;
}

/* A speaker's name or number, "default" for the first, or a file with an embedding. */
static int yourtts_voice(const void *model, const char *name, sn_voice *voice, char *err) {
	const yourtts *const m = model;
	const int speakers = m->synth.facts.speakers, size = m->synth.facts.embedding;
	*voice = (sn_voice){ .speaker = sn_voice_speaker(&m->synth.facts, name) };
	if (voice->speaker < 0 && speakers > 0 && strcmp(name, "default") == 0) voice->speaker = 0;
	int code = SN_OK;
	if (voice->speaker < 0 && (!*name || access(name, R_OK) != 0)) return sn_voice_unknown(&m->synth.facts, name, err);
	if (voice->speaker < 0 && !size)
		return sn_fail(err, SN_E_ARGUMENT, "the file %.64s cannot be a voice of this model, which has %d speakers by number", name, speakers);
	if (voice->speaker < 0) {
		code = sn_voice_read(voice, name, size, err);
	} else if (size) {
		voice->embedding = malloc((size_t)size * sizeof *voice->embedding);
		voice->embedding_count = size;
		if (!voice->embedding) code = sn_fail(err, SN_E_MEMORY, "out of memory for a voice");
		else memcpy(voice->embedding, m->names.embeddings + (size_t)voice->speaker * (size_t)size, (size_t)size * sizeof *voice->embedding);
	}
	if (code == SN_OK) snprintf(voice->name, sizeof voice->name, "%s", name);
	else sn_voice_clear(voice);
	return code;
}

static int yourtts_embed(const void *model, const float *pcm, int64_t count, int sample_rate, float *embedding, char *err) {
	const yourtts *const m = model;
	if (!m->encoder)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model has no speaker encoder; config_se.json and model_se.pth beside it would be one");
	return sn_speaker_encoder_embed(m->encoder, pcm, count, sample_rate, embedding, err);
}

/* The voice's own embedding, else that of its number, else the first speaker's. */
static int yourtts_start(void *held, const int32_t *ids, int count, const sn_synth_options *options, char *err) {
	const yourtts *const m = (const yourtts *)vits_synth_of(held);
	const sn_voice *const voice = options->voice;
	const int size = m->synth.facts.embedding, speakers = m->synth.facts.speakers;
	sn_vits_options own = { .speaker = voice ? voice->speaker : 0, .embedding = size && voice ? voice->embedding : NULL };
	const int code = find_language(m, options->language, &own.language, err);
	if (code != SN_OK) return code;
	if (own.embedding && voice->embedding_count != size)
		return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" has an embedding of %d values; the model takes %d", voice->name, voice->embedding_count,
		               size);
	if (!own.embedding && (own.speaker < 0 || own.speaker >= speakers))
		return voice ? sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" is none of this model's %d", voice->name, speakers)
		             : sn_fail(err, SN_E_ARGUMENT, "the model has no voice of its own; it needs an embedding of %d values", size);
	if (size && !own.embedding) own.embedding = m->names.embeddings + (size_t)own.speaker * (size_t)size;
	if (size) own.speaker = 0;
	return vits_synth_begin(held, ids, count, options, own, err);
}

const sn_synth_class sn_synth_yourtts = {
	.architecture = "yourtts", .accepts = yourtts_accepts, .open = yourtts_open, .close = yourtts_close, .facts = vits_synth_facts,
	.encode = yourtts_encode, .voice = yourtts_voice, .embed = yourtts_embed, .stream_new = vits_synth_stream_new,
	.stream_free = vits_synth_stream_free, .start = yourtts_start, .next = vits_synth_next, .remark = vits_synth_remark,
	.place = vits_synth_place,
};
