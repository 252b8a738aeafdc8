#include "speech/voices.h"

#include "audio/decode.h"
#include "audio/encode.h"
#include "base/ascii.h"
#include "base/map.h"
#include "store/voices.h"
#include "weights/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- clips ---- */

/* The first minute of a file, at its own rate. free() *pcm. */
static int read_clip(const char *path, float **pcm, size_t *count, int *rate, char *err) {
	sn_decoder *decoder;
	*pcm = NULL;
	*count = 0;
	int result = sn_decoder_open_path(&decoder, path, 0, err);
	if (result != SN_OK)
		return result;
	*rate = sn_decoder_get_info(decoder)->out_rate;
	const size_t most = (size_t)*rate * SN_VOICE_MOST_SECONDS;
	size_t got = 0;
	*pcm = malloc(most * sizeof **pcm);
	result = *pcm ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for %d s of audio", SN_VOICE_MOST_SECONDS);
	while (result == SN_OK && *count < most && (result = sn_decoder_read(decoder, *pcm + *count, most - *count, &got, err)) == SN_OK)
		*count += got;
	if (result == SN_END || result == SN_OK)
		result = *count >= (size_t)*rate * SN_VOICE_LEAST_SECONDS ? SN_OK
			: sn_fail(err, SN_E_ARGUMENT, "%s holds %.2f s of audio; a voice needs at least %d s", path, (double)*count / *rate,
			          SN_VOICE_LEAST_SECONDS);
	sn_decoder_close(&decoder);
	if (result != SN_OK)
		free(*pcm);
	return result;
}

typedef struct embedding_job {
	const sn_model *model;
	const float *pcm;
	size_t count;
	int rate, result;
	float *out;
	char *err;
} embedding_job;

static void run_embedding(void *payload) {
	embedding_job *j = payload;
	const sn_model *const m = j->model;
	if (m->xvector)
		j->result = sn_xvector_embed(m->xvector, j->pcm, (int64_t)j->count, j->rate, j->out, j->err);
	else if (m->encoder)
		j->result = sn_speaker_encoder_embed(m->encoder, j->pcm, (int64_t)j->count, j->rate, j->out, j->err);
	else
		j->result = m->class->embed(m->synth, j->pcm, (int64_t)j->count, j->rate, j->out, j->err);
}

/* Values of the embeddings that the model makes of clips; 0: it makes none. */
static int embedding_values(const sn_model *m) {
	if (m->xvector)
		return sn_xvector_width(m->xvector);
	if (m->encoder)
		return sn_speaker_encoder_size(m->encoder);
	return m->class && m->class->embed && m->facts->embeds ? m->facts->embedding : 0;
}

/* Between two steps of the engine, whose threads it uses. free() *out, [embedding_values]. */
static int embed_clip(const sn_model *model, const char *path, float **out, char *err) {
	const int values = embedding_values(model);
	float *pcm;
	size_t count;
	int rate;
	*out = NULL;
	if (values < 1)
		return sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" makes no voices of clips%s", model->name,
		               model->facts->embedding ? ": it lacks a speaker encoder; give it an embedding (.npy)"
		                                       : "; those with a speaker encoder do, as yourtts, or speecht5 with xvector");
	int result = read_clip(path, &pcm, &count, &rate, err);
	if (result != SN_OK)
		return result;
	*out = malloc((size_t)values * sizeof **out);
	embedding_job job = { .model = model, .pcm = pcm, .count = count, .rate = rate, .out = *out, .err = err };
	if (*out)
		sn_sched_call(model->engine->sched, run_embedding, &job);
	else
		job.result = sn_fail(err, SN_E_MEMORY, "no memory for an embedding of %d values", values);
	free(pcm);
	if (job.result != SN_OK) {
		free(*out);
		*out = NULL;
	}
	return job.result;
}

/* ---- finding ---- */

static int same_model(const sn_model *model, const sn_bank_voice *v) {
	return strcmp(v->model, model->name) == 0 || strcmp(v->model, model->path) == 0;
}

/* A file of the bank, as the model reads it. */
static int take_file(sn_voice *voice, const sn_model *model, const sn_bank_voice *v, char *err) {
	const sn_synth_facts *const f = model->facts;
	const int is_preset = v->kind == SN_VOICE_PRESET;
	if (is_preset ? !f->presets : !f->embedding)
		return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" is %s, which the model \"%s\" (%s) does not take; it takes %s",
		               v->name, is_preset ? "a preset" : "an embedding", model->name, model->label,
		               f->presets ? "presets" : f->embedding ? "embeddings" : "its own speakers only");
	if (!is_preset && v->embedding && v->embedding != f->embedding)
		return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" is an embedding of %d values; the model \"%s\" takes %d", v->name, v->embedding,
		               model->name, f->embedding);
	if (*v->architecture && strcmp(v->architecture, model->label) != 0)
		return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" was made for %s; the model \"%s\" is %s, whose voices are others", v->name,
		               v->architecture, model->name, model->label);
	return model->class->voice(model->synth, v->data, voice, err);
}

static int take_voice(sn_voice *voice, const sn_model *model, const sn_bank_voice *v, char *err) {
	*voice = (sn_voice){ .speaker = -1 };
	if (v->kind == SN_VOICE_SPEAKER) {
		if (!same_model(model, v))
			return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" is a speaker of \"%s\", not of \"%s\"", v->name, v->model, model->name);
		return model->class->voice(model->synth, v->speaker, voice, err);
	}
	if (v->kind != SN_VOICE_CLIP)
		return take_file(voice, model, v, err);
	int result = embed_clip(model, v->data, &voice->embedding, err);
	voice->embedding_count = result == SN_OK ? model->facts->embedding : 0;
	return result;
}

/* A speaker of the model, by its name or number. */
static int is_speaker(const sn_model *model, const char *name) {
	const sn_synth_facts *const f = model->facts;
	for (int i = 0; f->speaker_names && i < f->speakers; i++)
		if (sn_strcasecmp(f->speaker_names[i], name) == 0)
			return 1;
	return !name[strspn(name, "0123456789")];
}

int sn_voice_find(sn_voice *voice, sn_model *model, const char *name, char *err) {
	char why[SN_ERRLEN], bank[SN_ERRLEN];
	sn_bank_voice v;
	*voice = (sn_voice){ .speaker = -1 };
	if (!name || !*name || strcmp(name, "default") == 0) {
		if (model->class->voice(model->synth, "default", voice, NULL) != SN_OK)
			sn_voice_clear(voice);
		return SN_OK;
	}
	int result = SN_E_NOT_FOUND; /* which a model says of what is neither a speaker nor a file */
	if (!model->engine->no_paths || is_speaker(model, name))
		result = model->class->voice(model->synth, name, voice, why);
	else
		sn_voice_unknown(model->facts, name, why);
	if (result == SN_OK)
		return SN_OK;
	sn_voice_clear(voice);
	if (result != SN_E_NOT_FOUND)
		return sn_fail(err, result, "%s", why);
	if (sn_bank_check_name(name, NULL) != SN_OK)
		return sn_fail(err, SN_E_NOT_FOUND, "%s", why);
	result = sn_bank_read(model->engine->store, name, &v, bank);
	if (result != SN_OK)
		return sn_fail(err, result, "%.300s; %s", why, bank);
	result = take_voice(voice, model, &v, err);
	if (result != SN_OK)
		sn_voice_clear(voice);
	snprintf(voice->name, sizeof voice->name, "%s", v.name);
	return result;
}

/* ---- the bank: sonant.h says what these are for ---- */

/* A .npy of one row of 32-bit floats: magic, version 1.0, a header padded so that the data begins at a multiple of 64. */
static int write_npy(sn_buf *out, const float *values, int count) {
	char header[118];
	const int length = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }", count);
	memset(header + length, ' ', sizeof header - (size_t)length);
	header[sizeof header - 1] = '\n';
	sn_buf_add(out, "\x93NUMPY\x01\x00\x76\x00", 10);
	sn_buf_add(out, header, sizeof header);
	sn_buf_add(out, values, (size_t)count * sizeof *values);
	return out->failed;
}

static int fact(char *out, const char *name, const char *text, char *err) {
	if (text && strlen(text) > SN_MAX_VOICE_FACT)
		return sn_fail(err, SN_E_ARGUMENT, "the voice's %s has %zu bytes; at most %zu are right", name, strlen(text), SN_MAX_VOICE_FACT);
	snprintf(out, SN_BANK_FACT, "%s", text ? text : "");
	return SN_OK;
}

static int set_facts(sn_bank_voice *v, const sn_voice_facts *f, char *err) {
	int result = f && f->language ? fact(v->language, "language", f->language, err) : SN_OK;
	if (result == SN_OK && f && f->licence)
		result = fact(v->licence, "licence", f->licence, err);
	if (result == SN_OK && f && f->source)
		result = fact(v->source, "source", f->source, err);
	return result;
}

/* A file's bytes as they are. */
static int add_bytes(sn_buf *data, const char *path, char *err) {
	sn_map map;
	int result = sn_map_open(&map, path, err);
	if (result == SN_OK && sn_buf_add(data, map.data, map.size) != SN_OK)
		result = sn_fail(err, data->failed, "%s has %zu bytes; at most %zu are right for a voice", path, map.size, SN_BANK_MAX_DATA);
	sn_map_close(&map);
	return result;
}

/* An embedding or a preset from a file: the model says whether it fits; without one it is only read. */
static int add_arrays(sn_bank_voice *v, sn_buf *data, const sn_model *model, const char *path, char *err) {
	sn_weights *weights;
	sn_voice voice = { .speaker = -1 };
	int result = sn_weights_open(&weights, path, err);
	if (result != SN_OK)
		return result == SN_E_MODEL ? SN_E_FORMAT : result;
	const sn_weight *const array = sn_weights_find(weights, "array");
	if (array) {
		int64_t values = 1;
		for (int i = 0; i < array->rank; i++)
			values *= array->dims[i] <= SN_BANK_MAX_EMBEDDING ? array->dims[i] : SN_BANK_MAX_EMBEDDING + 1;
		v->embedding = values > SN_BANK_MAX_EMBEDDING ? 0 : (int)values;
		if (array->rank > SN_WEIGHTS_MAX_RANK / 4 + 1 || v->embedding < 1)
			result = sn_fail(err, SN_E_FORMAT, "%s holds no embedding: one row of 1 to %d values is right", path, SN_BANK_MAX_EMBEDDING);
	}
	v->kind = array ? SN_VOICE_EMBEDDING : SN_VOICE_PRESET;
	sn_weights_close(&weights);
	if (result == SN_OK && model && model->synth)
		result = model->class->voice(model->synth, path, &voice, err);
	sn_voice_clear(&voice);
	return result == SN_OK ? add_bytes(data, path, err) : result;
}

static int add_audio(sn_bank_voice *v, sn_buf *data, const sn_model *model, const char *path, char *err) {
	if (model) {
		float *embedding;
		int result = embed_clip(model, path, &embedding, err);
		if (result != SN_OK)
			return result;
		v->kind = SN_VOICE_EMBEDDING;
		v->embedding = embedding_values(model);
		result = write_npy(data, embedding, v->embedding);
		free(embedding);
		return result == SN_OK ? SN_OK : sn_fail(err, result, "no memory for an embedding");
	}
	float *pcm;
	size_t count;
	sn_encoder *encoder = NULL;
	sn_encoder_options options = { .format = SN_AUDIO_WAV, .channels = 1 };
	int result = read_clip(path, &pcm, &count, &options.rate, err);
	if (result != SN_OK)
		return result;
	v->kind = SN_VOICE_CLIP;
	result = sn_encoder_open_memory(&encoder, data, &options, err);
	if (result == SN_OK)
		result = sn_encoder_write(encoder, pcm, count, err);
	if (result == SN_OK)
		result = sn_encoder_finish(encoder, err);
	sn_encoder_close(&encoder);
	free(pcm);
	return result;
}

static int add_speaker(sn_bank_voice *v, const sn_model *model, const char *speaker, char *err) {
	sn_voice voice = { .speaker = -1 };
	if (!model || !model->synth)
		return sn_fail(err, SN_E_ARGUMENT, "a speaker belongs to a model that speaks, and none was given");
	int result = model->class->voice(model->synth, speaker, &voice, err);
	sn_voice_clear(&voice);
	v->kind = SN_VOICE_SPEAKER;
	return result == SN_OK ? fact(v->speaker, "speaker", speaker, err) : result;
}

/* A directory that an export wrote. */
static int add_exported(sn_bank_voice *v, sn_buf *data, const char *path, char *err) {
	const sn_bank_voice named = *v;
	int result = sn_bank_read_directory(path, v, err);
	memcpy(v->name, named.name, sizeof v->name);
	return result == SN_OK && v->kind != SN_VOICE_SPEAKER ? add_bytes(data, v->data, err) : result;
}

static int add_content(sn_bank_voice *v, sn_buf *data, const sn_model *model, const char *path, const sn_voice_facts *facts, char *err) {
	if (facts && facts->speaker)
		return path ? sn_fail(err, SN_E_ARGUMENT, "a voice is either a speaker of a model or a file, not both")
		            : add_speaker(v, model, facts->speaker, err);
	if (!path || !*path)
		return sn_fail(err, SN_E_ARGUMENT, "a voice needs a clip, an embedding (.npy), a preset (.npz), or a speaker of a model");
	if (sn_path_is_directory(path))
		return add_exported(v, data, path, err);
	if (sn_path_ends_with(path, ".npy") || sn_path_ends_with(path, ".npz"))
		return add_arrays(v, data, model, path, err);
	return add_audio(v, data, model, path, err);
}

int sn_voice_add(sn_engine *engine, sn_model *model, const char *name, const char *path, const sn_voice_facts *facts, char *err) {
	sn_bank_voice v = { 0 }, taken;
	sn_buf data;
	int result = sn_bank_check_name(name, err);
	if (result == SN_OK && model && !model->synth && !embedding_values(model))
		result = sn_fail(err, SN_E_UNSUPPORTED, "the model \"%s\" neither speaks nor embeds voices", model->name);
	if (result == SN_OK && sn_bank_read(engine->store, name, &taken, NULL) != SN_E_NOT_FOUND)
		result = sn_fail(err, SN_E_ARGUMENT, "there is a voice \"%s\" already; remove it first", name);
	if (result != SN_OK)
		return result;
	snprintf(v.name, sizeof v.name, "%s", name);
	sn_buf_init(&data, SN_BANK_MAX_DATA);
	result = add_content(&v, &data, model, path, facts, err);
	if (result == SN_OK)
		result = set_facts(&v, facts, err);
	if (result == SN_OK && model) {
		snprintf(v.model, sizeof v.model, "%.*s", (int)SN_MAX_VOICE_FACT, model->name);
		snprintf(v.architecture, sizeof v.architecture, "%s", model->synth ? model->label : ""); /* "": of any that takes as many */
	}
	if (result == SN_OK)
		result = sn_bank_add(engine->store, &v, data.data, data.size, err);
	sn_buf_free(&data);
	return result;
}

int sn_voice_remove(sn_engine *engine, const char *name, char *err) { return sn_bank_remove(engine->store, name, err); }

int sn_voice_export(sn_engine *engine, const char *name, const char *path, char *err) {
	return sn_bank_export(engine->store, name, path, err);
}

/* What a list's texts point to. */
typedef struct voice_list {
	sn_voice_list list; /* first: callers see only this */
	sn_bank_voice *bank;
	char (*numbers)[16];
	char model[SN_STORE_NAME], language[16];
	const char *label;
} voice_list;

static void fill_list(voice_list *l, const sn_synth_facts *facts, size_t in_bank) {
	for (int i = 0; facts && i < facts->speakers; i++) {
		snprintf(l->numbers[i], sizeof l->numbers[i], "%d", i);
		const char *const name = facts->speaker_names ? facts->speaker_names[i] : l->numbers[i];
		l->list.entries[l->list.count++] = (sn_voice_entry){ .name = name, .kind = SN_VOICE_SPEAKER, .speaker = name, .model = l->model,
			.architecture = l->label, .language = l->language, .licence = "", .source = "", .created = "", .path = "" };
	}
	for (size_t i = 0; i < in_bank; i++) {
		const sn_bank_voice *const v = &l->bank[i];
		l->list.entries[l->list.count++] = (sn_voice_entry){ .name = v->name, .kind = v->kind, .in_bank = 1, .speaker = v->speaker,
			.model = v->model, .architecture = v->architecture, .embedding = v->embedding, .language = v->language,
			.licence = v->licence, .source = v->source, .created = v->created, .path = v->path };
	}
}

int sn_voice_list_read(sn_voice_list **out, sn_engine *engine, const sn_model *model, char *err) {
	const sn_synth_facts *const facts = model ? model->facts : NULL;
	const size_t own = facts && facts->speakers > 0 ? (size_t)facts->speakers : 0;
	size_t in_bank = 0;
	*out = NULL;
	voice_list *l = calloc(1, sizeof *l);
	int result = l ? sn_bank_list(engine->store, &l->bank, &in_bank, err) : SN_E_MEMORY;
	if (result == SN_OK) {
		l->list.entries = calloc(own + in_bank + 1, sizeof *l->list.entries);
		l->numbers = calloc(own + 1, sizeof *l->numbers);
		result = l->list.entries && l->numbers ? SN_OK : SN_E_MEMORY;
	}
	if (result == SN_E_MEMORY)
		sn_fail(err, SN_E_MEMORY, "no memory for a list of voices");
	if (result == SN_OK) {
		snprintf(l->model, sizeof l->model, "%s", model ? model->name : "");
		snprintf(l->language, sizeof l->language, "%s", facts ? facts->language : "");
		l->label = model ? model->label : "";
		fill_list(l, facts, in_bank);
	}
	sn_voice_list *list = l ? &l->list : NULL;
	if (result != SN_OK)
		sn_voice_list_free(&list);
	*out = list;
	return result;
}

void sn_voice_list_free(sn_voice_list **held) {
	voice_list *l = (voice_list *)*held;
	*held = NULL;
	if (!l)
		return;
	free(l->list.entries);
	free(l->bank);
	free(l->numbers);
	free(l);
}
