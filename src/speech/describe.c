/* What models are and can do, one by one and in lists. */
#include "speech/engine.h"
#include "speech/stt_whisper.h"
#include "speech/vocoders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void describe_whisper(const sn_model *m, sn_model_info *info) {
	const sn_whisper_config *const c = sn_whisper_get_config(m->whisper);
	info->parameters = sn_whisper_parameters(m->whisper);
	info->language_count = c->multilingual ? c->languages : 1;
	info->detects_language = c->multilingual;
	info->translates = sn_stt_whisper_translates(c);
	info->streams = info->has_words = 1;
}

static void describe_wav2vec2(const sn_model *m, sn_model_info *info) {
	const sn_wav2vec2_config *const c = sn_wav2vec2_get_config(m->wav2vec2);
	info->parameters = sn_wav2vec2_parameters(m->wav2vec2);
	info->sample_rate = c->sample_rate;
	info->languages = c->languages;
	info->language_count = c->language_count;
	info->streams = info->has_words = 1;
}

static void describe_synth(const sn_model *m, sn_model_info *info) {
	const sn_synth_facts *const f = m->facts;
	info->parameters = f->parameters;
	info->sample_rate = f->sample_rate;
	info->languages = f->languages;
	info->language_count = f->language_count;
	info->speakers = f->speakers;
	info->speaker_names = f->speaker_names;
	info->emotions = f->emotions;
	info->emotion_count = f->emotion_count;
	info->embedding = f->embedding;
	info->embeds = f->embeds;
	info->has_presets = f->presets;
	info->has_speed = f->has_speed;
	info->has_pitch = f->has_pitch;
	info->has_energy = f->has_energy;
	info->has_noise = f->has_noise;
	info->has_temperature = f->has_temperature;
	info->has_dropout = f->has_dropout;
	info->streams = 1;
	if (f->kind == SN_SYNTH_MEL && m->own_vocoder) {
		info->vocoder = m->own_vocoder->name;
		info->sample_rate = sn_vocoder_get_facts(m->own_vocoder->vocoder)->sample_rate;
	}
}

size_t sn_model_token(const sn_model *model, int32_t token, char *text, size_t size) {
	size_t count = 0;
	const char *const bytes = model->whisper ? sn_bpe_bytes(sn_whisper_bpe(model->whisper), token, &count) : NULL;
	const size_t kept = !bytes || !size ? 0 : count < size ? count : size - 1;
	if (kept)
		memcpy(text, bytes, kept);
	if (size)
		text[kept] = 0;
	return bytes ? count : 0;
}

const char *sn_model_backend(const sn_model *m) { return nn_backend_label(m->backend); }

void sn_model_describe(const sn_model *m, sn_model_info *info) {
	*info = (sn_model_info){ .name = m->name, .path = m->path, .architecture = m->label, .precision = sn_dtype_label(m->dtype),
		.task = sn_model_task(m->label), .sample_rate = SN_STT_RATE, .languages = m->languages, .windows = m->windows,
		.load_time = m->load_time, .from_cache = m->from_cache, .memory = (int64_t)m->memory,
		.memory_most = (int64_t)m->memory_most, .mel = m->mel, .vocoder = "" };
	if (m->whisper)
		describe_whisper(m, info);
	if (m->wav2vec2)
		describe_wav2vec2(m, info);
	if (m->synth)
		describe_synth(m, info);
	if (m->bert) {
		info->parameters = sn_bert_get_config(m->bert)->parameters;
		info->sample_rate = 0;
	}
	if (m->dnsmos)
		info->parameters = sn_dnsmos_parameters(m->dnsmos);
	if (m->deepfilter) {
		info->parameters = sn_deepfilter_parameters(m->deepfilter);
		info->sample_rate = SN_DEEPFILTER_RATE;
		info->streams = 1;
	}
	if (m->vocoder) {
		info->parameters = sn_vocoder_get_facts(m->vocoder)->parameters;
		info->sample_rate = sn_vocoder_get_facts(m->vocoder)->sample_rate;
		info->streams = 1;
	}
	if (m->xvector) {
		info->embedding = sn_xvector_width(m->xvector);
		info->sample_rate = 0; /* any */
	}
	if (m->encoder) {
		info->embedding = sn_speaker_encoder_size(m->encoder);
		info->sample_rate = sn_speaker_encoder_rate(m->encoder);
		info->parameters = sn_speaker_encoder_parameters(m->encoder);
	}
}

/* What a list's texts point to. */
typedef struct model_list {
	sn_model_list list; /* first: callers see only this */
	sn_model_place *places;
	char (*aliases)[SN_STORE_NAME], (*paths)[SN_STORE_PATH];
} model_list;

static void list_aliases(char out[SN_STORE_NAME], const sn_catalogue_entry *entry) {
	size_t used = 0;
	*out = 0;
	for (int i = 0; i < entry->alias_count && used < SN_STORE_NAME; i++)
		used += (size_t)snprintf(out + used, SN_STORE_NAME - used, "%s%s", i ? " " : "", entry->aliases[i]);
}

static const sn_model_place *installed_place(const model_list *l, int count, const sn_catalogue_entry *entry) {
	for (int i = 0; i < count; i++)
		if (l->places[i].entry == entry)
			return &l->places[i];
	return NULL;
}

static void fill_list(model_list *l, const sn_store *store, int known, int installed) {
	for (int i = 0; i < known; i++) {
		const sn_catalogue_entry *const e = sn_store_at(store, i);
		const sn_model_place *const place = installed_place(l, installed, e);
		snprintf(l->paths[i], sizeof l->paths[i], "%.*s/models/%s", SN_STORE_PATH / 2, sn_store_home(store), e->directory);
		list_aliases(l->aliases[i], e);
		l->list.entries[l->list.count++] = (sn_model_entry){ .name = e->name, .architecture = e->architecture,
			.licence = e->licence,
			.source = e->origin, .aliases = l->aliases[i], .task = sn_model_task(e->architecture), .bytes = (uint64_t)e->size,
			.installed = place != NULL, .path = place ? place->path : l->paths[i], .in_hub_cache = place && place->in_hub_cache };
	}
	for (int i = 0; i < installed; i++) {
		const sn_model_place *const p = &l->places[i];
		if (!p->entry)
			l->list.entries[l->list.count++] = (sn_model_entry){ .name = p->name, .architecture = p->architecture, .licence = "",
				.source = "",
				.aliases = "", .task = sn_model_task(p->architecture), .installed = 1, .path = p->path,
				.in_hub_cache = p->in_hub_cache };
	}
}

int sn_model_list_read(sn_model_list **out, sn_engine *engine, char *err) {
	*out = NULL;
	int installed = 0, known = sn_store_count(engine->store);
	model_list *l = calloc(1, sizeof *l);
	int result = l ? sn_store_list(engine->store, &l->places, &installed, err) : SN_E_MEMORY;
	if (result == SN_OK) {
		l->list.entries = calloc((size_t)(known + installed), sizeof *l->list.entries);
		l->aliases = calloc((size_t)known, sizeof *l->aliases);
		l->paths = calloc((size_t)known, sizeof *l->paths);
	}
	sn_model_list *list = l ? &l->list : NULL;
	if (result == SN_E_MEMORY || (result == SN_OK && (!l->list.entries || !l->aliases || !l->paths)))
		result = sn_fail(err, SN_E_MEMORY, "no memory for a list of models");
	if (result == SN_OK)
		fill_list(l, engine->store, known, installed);
	else
		sn_model_list_free(&list);
	*out = list;
	return result;
}

void sn_model_list_free(sn_model_list **held) {
	model_list *l = (model_list *)*held;
	*held = NULL;
	if (!l)
		return;
	free(l->list.entries);
	free(l->places);
	free(l->aliases);
	free(l->paths);
	free(l);
}
