#include "models/bark_internal.h"

#include "base/path.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const kinds[3] = { "semantic_prompt", "coarse_prompt", "fine_prompt" };

/* What Suno's documentation lists; presets may add more. */
static const char *const documented[] = { "en", "de", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh" };

/* ---- what there is ---- */

static int known_language(const bark_model *m, const char *code, size_t length) {
	for (int i = 0; i < m->facts.language_count; i++)
		if (strlen(m->languages[i]) == length && strncmp(m->languages[i], code, length) == 0) return 1;
	return 0;
}

static void add_language(bark_model *m, const char *code, size_t length) {
	if (length < 2 || length > 3 || known_language(m, code, length) || m->facts.language_count >= BARK_MAX_LANGUAGES) return;
	char *const to = m->language_codes[m->facts.language_count];
	memcpy(to, code, length);
	to[length] = 0;
	m->languages[m->facts.language_count++] = to;
}

/* "v2/en_speaker_0" -> "en" */
static void add_language_of(bark_model *m, const char *preset) {
	const char *const slash = strrchr(preset, '/'), *const base = slash ? slash + 1 : preset, *const tail = strstr(base, "_speaker");
	if (tail) add_language(m, base, (size_t)(tail - base));
}

int bark_voices_open(bark_model *m, char *err) {
	char file[SN_PATH_MAX];
	struct stat st;
	const char *name;
	json_t *value;
	if (!sn_path_join(file, m->dir, "speaker_embeddings_path.json"))
		return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long", m->dir);
	if (stat(file, &st) == 0) {
		const int code = sn_json_file(&m->presets, file, err);
		if (code != SN_OK) return code;
		if (!json_is_object(m->presets) || json_object_size(m->presets) > SN_BARK_MAX_PRESETS)
			return sn_fail(err, SN_E_MODEL, "%s must be an object of at most %d voices", file, SN_BARK_MAX_PRESETS);
	}
	m->preset_names = calloc(json_object_size(m->presets) + 1, sizeof *m->preset_names);
	m->language_codes = calloc(BARK_MAX_LANGUAGES, sizeof *m->language_codes);
	m->languages = calloc(BARK_MAX_LANGUAGES, sizeof *m->languages);
	if (!m->preset_names || !m->language_codes || !m->languages)
		return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", file);
	for (size_t i = 0; i < sizeof documented / sizeof *documented; i++) add_language(m, documented[i], 2);
	int count = 0;
	json_object_foreach(m->presets, name, value) {
		if (!json_is_object(value)) continue; /* "repo_or_path" */
		m->preset_names[count++] = name;
		add_language_of(m, name);
	}
	m->facts.speakers = count ? count : 1;
	m->facts.speaker_names = count ? m->preset_names : NULL;
	m->facts.languages = m->languages;
	return SN_OK;
}

void bark_voices_close(bark_model *m) {
	json_decref(m->presets);
	free(m->preset_names);
	free(m->language_codes);
	free(m->languages);
}

/* ---- reading arrays ---- */

static int integer_at(const sn_weight *w, int64_t i, int64_t *out) {
	const char *const at = (const char *)w->data + (size_t)i * sn_dtype_size(w->dtype);
	int64_t i64;
	int32_t i32;
	int16_t i16;
	float f;
	switch (w->dtype) {
	case SN_I64: memcpy(&i64, at, sizeof i64), *out = i64; return 1;
	case SN_I32: memcpy(&i32, at, sizeof i32), *out = i32; return 1;
	case SN_I16: memcpy(&i16, at, sizeof i16), *out = i16; return 1;
	case SN_U8: *out = *(const uint8_t *)at; return 1;
	case SN_I8: *out = *(const int8_t *)at; return 1;
	case SN_F64: case SN_F32: case SN_F16:
		sn_weight_floats(w, i, 1, &f);
		*out = f >= -1e9f && f <= 1e9f ? (int64_t)f : -1;
		return f == (float)*out; /* neither NaN nor a fraction */
	default: return 0;
	}
}

static int read_prompt(const sn_weight *w, int which, sn_voice *voice, const char *file, char *err) {
	const int rank = which == 0 ? 1 : 2;
	const int64_t rows = rank == 1 || w->rank < 2 ? 1 : w->dims[0], count = w->rank == rank ? w->dims[rank - 1] : 0;
	if (w->rank != rank || rows > BARK_MAX_BOOKS || count > SN_BARK_MAX_PROMPT)
		return sn_fail(err, SN_E_ARGUMENT, "%s: %s has rank %d and %lld tokens; rank %d and at most %d tokens are right", file,
		               kinds[which], w->rank, (long long)(w->rank > 0 ? w->dims[w->rank - 1] : 0), rank, SN_BARK_MAX_PROMPT);
	int32_t *const to = voice->prompt[which] = malloc((size_t)(rows * count + 1) * sizeof *to);
	if (!to) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", file);
	for (int64_t i = 0; i < rows * count; i++) {
		int64_t value = 0;
		if (!integer_at(w, i, &value) || value < INT32_MIN || value > INT32_MAX)
			return sn_fail(err, SN_E_ARGUMENT, "%s: element %lld of %s (%s) is no token", file, (long long)i, kinds[which],
			               sn_dtype_name(w->dtype));
		to[i] = (int32_t)value;
	}
	voice->prompt_rows[which] = (int)rows;
	voice->prompt_count[which] = (int)count;
	return SN_OK;
}

static int read_npz(sn_voice *voice, const char *file, char *err) {
	sn_weights *w = NULL;
	int code = sn_weights_open(&w, file, err);
	for (int i = 0; i < 3 && code == SN_OK; i++) {
		const sn_weight *const array = sn_weights_find(w, kinds[i]);
		code = array ? read_prompt(array, i, voice, file, err)
		             : sn_fail(err, SN_E_ARGUMENT, "%s lacks the array '%s' of a Bark voice", file, kinds[i]);
	}
	sn_weights_close(&w);
	return code;
}

static int read_npy(sn_voice *voice, const char *const files[3], char *err) {
	int code = SN_OK;
	for (int i = 0; i < 3 && code == SN_OK; i++) {
		sn_weights *w = NULL;
		code = sn_weights_open(&w, files[i], err);
		if (code == SN_OK) code = read_prompt(sn_weights_at(w, 0), i, voice, files[i], err);
		sn_weights_close(&w);
	}
	return code;
}

/* ---- finding a voice ---- */

static int is_file(const char *path) {
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The preset called `name`, or the first, those of "v2/" before others, whose name ends with "/name", or the one of that number. */
static const char *find_preset(const bark_model *m, const char *name) {
	const char *const *const names = m->facts.speaker_names;
	const int count = names ? m->facts.speakers : 0;
	char later[96], *end;
	snprintf(later, sizeof later, "v2/%.80s", name);
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0) return names[i];
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], later) == 0) return names[i];
	for (int i = 0; i < count; i++) {
		const char *const slash = strrchr(names[i], '/');
		if (slash && strcmp(slash + 1, name) == 0) return names[i];
	}
	const long number = strtol(name, &end, 10);
	return *name >= '0' && *name <= '9' && !*end && number < count ? names[number] : NULL;
}

/* Inside the model's directory: neither absolute nor upwards. */
static int inside(const char *path) {
	if (*path == '/') return 0;
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (strncmp(at, "..", 2) == 0 && (!at[2] || at[2] == '/')) return 0;
	}
	return 1;
}

static int too_long(const char *name, char *err) {
	return sn_fail(err, SN_E_ARGUMENT, "the name %.64s... is too long for a path", name);
}

static int read_preset(const bark_model *m, const char *preset, sn_voice *voice, char *err) {
	const json_t *const entry = json_object_get(m->presets, preset);
	char paths[3][SN_PATH_MAX], packed[SN_PATH_MAX];
	int found = 1;
	for (int i = 0; i < 3; i++) {
		const char *const path = json_string_value(json_object_get(entry, kinds[i]));
		if (!path || !inside(path))
			return sn_fail(err, SN_E_MODEL, "speaker_embeddings_path.json: %s of '%s' is %s; a path below the model's directory is right",
			               kinds[i], preset, path ? path : "missing");
		if (!sn_path_join(paths[i], m->dir, path)) return too_long(path, err);
		found = found && is_file(paths[i]);
	}
	if (snprintf(packed, sizeof packed, "%s/speaker_embeddings/%s.npz", m->dir, preset) >= (int)sizeof packed)
		return too_long(preset, err);
	if (!found && inside(preset) && is_file(packed)) return read_npz(voice, packed, err);
	return read_npy(voice, (const char *const[]){ paths[0], paths[1], paths[2] }, err);
}

/* The files that `base` stands for: base, base.npz, or base_semantic_prompt.npy and the two others. SN_E_NOT_FOUND without a message. */
static int read_files(const char *base, sn_voice *voice, char *err) {
	char paths[3][SN_PATH_MAX], packed[SN_PATH_MAX];
	if (sn_path_ends_with(base, ".npz") && is_file(base)) return read_npz(voice, base, err);
	if (snprintf(packed, sizeof packed, "%s.npz", base) >= (int)sizeof packed) return too_long(base, err);
	if (is_file(packed)) return read_npz(voice, packed, err);
	for (int i = 0; i < 3; i++)
		if (snprintf(paths[i], sizeof paths[i], "%s_%s.npy", base, kinds[i]) >= (int)sizeof paths[i]) return too_long(base, err);
	if (!is_file(paths[0])) return SN_E_NOT_FOUND;
	return read_npy(voice, (const char *const[]){ paths[0], paths[1], paths[2] }, err);
}

static int not_found(const bark_model *m, const char *name, char *err) {
	char list[256] = "";
	for (int i = 0; m->facts.speaker_names && i < m->facts.speakers && i < 4; i++) {
		const size_t used = strlen(list);
		snprintf(list + used, sizeof list - used, "%s%.48s", i ? ", " : "", m->facts.speaker_names[i]);
	}
	return sn_fail(err, SN_E_NOT_FOUND, "there is no voice \"%.64s\"; the model has %d preset%s%s%s, and takes .npz files", name,
	               m->facts.speaker_names ? m->facts.speakers : 0, m->facts.speaker_names && m->facts.speakers == 1 ? "" : "s", *list ? ": " : "", list);
}

static int find_and_read(const bark_model *m, const char *name, sn_voice *voice, char *err) {
	char path[SN_PATH_MAX];
	const char *const preset = find_preset(m, name);
	if (preset) return read_preset(m, preset, voice, err);
	int code = read_files(name, voice, err);
	if (code == SN_E_NOT_FOUND && inside(name)) {
		if (snprintf(path, sizeof path, "%s/speaker_embeddings/%s", m->dir, name) >= (int)sizeof path) return too_long(name, err);
		code = read_files(path, voice, err);
		if (code == SN_E_NOT_FOUND) {
			if (snprintf(path, sizeof path, "%s/speaker_embeddings/v2/%s", m->dir, name) >= (int)sizeof path) return too_long(name, err);
			code = read_files(path, voice, err);
		}
	}
	return code == SN_E_NOT_FOUND ? not_found(m, name, err) : code;
}

int bark_voice_read(const bark_model *m, const char *name, sn_voice *voice, char *err) {
	*voice = (sn_voice){ .speaker = -1 };
	snprintf(voice->name, sizeof voice->name, "%.63s", name);
	if (strcmp(name, "default") == 0) return SN_OK;
	int code = find_and_read(m, name, voice, err);
	if (code == SN_OK) code = bark_voice_check(m, voice, err);
	if (code != SN_OK) sn_voice_clear(voice);
	return code;
}

int bark_voice_check(const bark_model *m, const sn_voice *voice, char *err) {
	const bark_config *const c = &m->config;
	const int rows[3] = { 1, c->coarse.books, c->fine.books }, range[3] = { c->semantic.vocab, c->codebook, c->codebook };
	for (int i = 0; i < 3; i++) {
		const int count = voice->prompt_count[i];
		if (!voice->prompt[i] || voice->prompt_rows[i] != rows[i] || count < 1 || count > SN_BARK_MAX_PROMPT)
			return sn_fail(err, SN_E_ARGUMENT, "voice \"%.63s\": %s is %d x %d; this model takes %d x 1 to %d", voice->name, kinds[i],
			               voice->prompt[i] ? voice->prompt_rows[i] : 0, voice->prompt[i] ? count : 0, rows[i], SN_BARK_MAX_PROMPT);
		for (int64_t j = 0; j < (int64_t)rows[i] * count; j++)
			if (voice->prompt[i][j] < 0 || voice->prompt[i][j] >= range[i])
				return sn_fail(err, SN_E_ARGUMENT, "voice \"%.63s\": token %lld of %s is %d; 0 to %d are right", voice->name, (long long)j,
				               kinds[i], voice->prompt[i][j], range[i] - 1);
	}
	return SN_OK;
}
