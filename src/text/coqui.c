#include "text/coqui_internal.h"

#include "base/json.h"
#include "text/cleaners.h"
#include "text/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/utf8.h>

/* The sets that stand where config.json has none (TTS/tts/utils/text/characters.py). */
static const char default_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char default_marks[] = "!'(),-.:;? ";
static const char default_phonemes[] = "iyɨʉɯuɪʏʊeøɘəɵɤoɛœɜɞʌɔæɐaɶɑɒᵻʘɓǀɗǃʄǂɠǁʛ"
									   "pbtdʈɖcɟkɡqɢʔɴŋɲɳnɱmʙrʀⱱɾɽɸβfvθðszʃʒʂʐçʝxɣχʁħʕhɦɬɮʋɹɻjɰlɭʎʟ"
									   "ˈˌːˑʍwɥʜʢʡɕʑɺɧʲ\u0303ɚ˞ɫ";

typedef struct reading {
	sn_coqui *coqui;
	const char *path;
	char *err;
} reading;

static int add(reading *r, const char *text, size_t size) {
	return vocab_add(&r->coqui->symbols, r->coqui->symbols.size, text, size, r->path, r->err);
}

static int32_t character(const char *text, size_t *size) {
	int32_t i = 0, c;
	U8_NEXT((const uint8_t *)text, i, -1, c);
	*size = (size_t)i;
	return c;
}

static int by_code(const void *a, const void *b) {
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

/* Characters one by one, without repeats and by code point where the config says so. */
static int add_characters(reading *r, const char *text, int unique, int sorted) {
	int count = 0, result = SN_OK;
	int32_t *list = malloc((strlen(text) + 1) * sizeof *list);
	if (!list)
		return sn_fail(r->err, SN_E_MEMORY, "out of memory for the characters of %s", r->path);
	for (size_t size; *text; text += size)
		list[count++] = character(text, &size);
	if (sorted)
		qsort(list, (size_t)count, sizeof *list, by_code);
	for (int i = 0; result == SN_OK && i < count; i++) {
		uint8_t bytes[4];
		int32_t length = 0;
		int known = 0;
		for (int k = 0; unique && k < i && !known; k++)
			known = list[k] == list[i];
		U8_APPEND_UNSAFE(bytes, length, list[i]);
		if (!known)
			result = add(r, (const char *)bytes, (size_t)length);
	}
	free(list);
	return result;
}

static int add_special(reading *r, const char *text, int32_t *id) {
	*id = -1;
	if (!text || !*text)
		return SN_OK;
	*id = r->coqui->symbols.size;
	return add(r, text, strlen(text));
}

/* What "characters" says; texts may be NULL. */
typedef struct set {
	const char *class, *pad, *end, *begin, *blank, *letters, *marks, *phonemes;
	int unique, sorted;
	const json_t *list; /* "vocab_dict" */
} set;

static int read_text(reading *r, const json_t *object, const char *key, const char **text) {
	const json_t *value = json_object_get(object, key);
	if (!value)
		return SN_OK;
	*text = json_string_value(value);
	if (!json_is_string(value) && !json_is_null(value))
		return sn_fail(r->err, SN_E_MODEL, "%s: '%s' must be a text or null", r->path, key);
	if (*text && strlen(*text) > COQUI_MAX_SYMBOLS)
		return sn_fail(r->err, SN_E_LIMIT, "%s: '%s' has %zu bytes; at most %d are allowed", r->path, key, strlen(*text), COQUI_MAX_SYMBOLS);
	return SN_OK;
}

/* Defaults are those of the reference: of the class where there are no "characters" at all, else of CharactersConfig. */
static int read_set(reading *r, const json_t *config, set *s) {
	const json_t *object = json_object_get(config, "characters");
	int phonemes = r->coqui->config.phonemes;
	*s = (set){ .class = phonemes ? "IPAPhonemes" : "Graphemes", .pad = "<PAD>", .unique = 1, .sorted = 1 };
	if (!object || json_is_null(object)) {
		int vits = json_is_string(json_object_get(config, "model")) && strcmp(json_string_value(json_object_get(config, "model")), "vits") == 0;
		*s = (set){ .class = vits ? "VitsCharacters" : s->class, .pad = "<PAD>", .end = "<EOS>", .begin = "<BOS>", .blank = "<BLNK>",
			        .letters = default_letters, .marks = default_marks, .phonemes = default_phonemes, .sorted = 1 };
		return SN_OK;
	}
	static const char *const keys[] = { "characters_class", "pad", "eos", "bos", "blank", "characters", "punctuations", "phonemes" };
	const char **texts[] = { &s->class, &s->pad, &s->end, &s->begin, &s->blank, &s->letters, &s->marks, &s->phonemes };
	int result = json_is_object(object) ? SN_OK : sn_fail(r->err, SN_E_MODEL, "%s: 'characters' must be an object", r->path);
	for (size_t i = 0; result == SN_OK && i < sizeof keys / sizeof keys[0]; i++)
		result = read_text(r, object, keys[i], texts[i]);
	if (result == SN_OK)
		result = sn_json_bool(object, "is_unique", &s->unique, r->path, r->err);
	if (result == SN_OK)
		result = sn_json_bool(object, "is_sorted", &s->sorted, r->path, r->err);
	const char *dot = s->class ? strrchr(s->class, '.') : NULL;
	s->class = !s->class ? (phonemes ? "IPAPhonemes" : "Graphemes") : dot ? dot + 1 : s->class;
	s->list = json_object_get(object, "vocab_dict");
	return result;
}

static int need(const reading *r, const char *text, const char *key) {
	return text ? SN_OK : sn_fail(r->err, SN_E_MODEL, "%s: 'characters' lacks the text '%s'", r->path, key);
}

/* pad, eos, bos, blank, characters, punctuations */
static int build_base(reading *r, const set *s) {
	sn_coqui_config *c = &r->coqui->config;
	int result = need(r, s->letters, "characters");
	if (result == SN_OK)
		result = need(r, s->marks, "punctuations");
	if (result == SN_OK)
		result = add_special(r, s->pad, &c->pad);
	if (result == SN_OK)
		result = add_special(r, s->end, &c->end);
	if (result == SN_OK)
		result = add_special(r, s->begin, &c->begin);
	if (result == SN_OK)
		result = add_special(r, s->blank, &c->blank);
	if (result == SN_OK)
		result = add_characters(r, s->letters, s->unique, s->sorted);
	return result == SN_OK ? add_characters(r, s->marks, 0, 0) : result;
}

/* pad, punctuations, characters, phonemes, blank; no begin or end */
static int build_vits(reading *r, const set *s) {
	sn_coqui_config *c = &r->coqui->config;
	int result = need(r, s->letters, "characters");
	if (result == SN_OK)
		result = need(r, s->marks, "punctuations");
	if (result == SN_OK)
		result = need(r, s->pad && *s->pad ? s->pad : NULL, "pad");
	if (result == SN_OK)
		result = add_special(r, s->pad, &c->pad);
	if (result == SN_OK)
		result = add_characters(r, s->marks, 0, 0);
	if (result == SN_OK)
		result = add_characters(r, s->letters, 0, 0);
	if (result == SN_OK && s->phonemes)
		result = add_characters(r, s->phonemes, 0, 0);
	return result == SN_OK ? add_special(r, "<BLNK>", &c->blank) : result;
}

/* "vocab_dict": the symbols in their order, the special ones among them. */
static int build_list(reading *r, const set *s) {
	const size_t count = json_is_array(s->list) ? json_array_size(s->list) : json_object_size(s->list);
	int result = SN_OK;
	size_t i;
	json_t *value;
	const char *key;
	if (!count || count > COQUI_MAX_SYMBOLS)
		return sn_fail(r->err, SN_E_MODEL, "%s: 'vocab_dict' must be a list of 1 to %d texts", r->path, COQUI_MAX_SYMBOLS);
	if (json_is_object(s->list)) {
		json_object_foreach((json_t *)s->list, key, value)
			result = result == SN_OK ? add(r, key, strlen(key)) : result;
		return result;
	}
	json_array_foreach(s->list, i, value) {
		if (!json_is_string(value))
			return sn_fail(r->err, SN_E_MODEL, "%s: entry %zu of 'vocab_dict' is not a text", r->path, i);
		if ((result = add(r, json_string_value(value), json_string_length(value))) != SN_OK)
			return result;
	}
	return result;
}

static int by_text_and_id(const void *a, const void *b, void *context) {
	const vocab *v = context;
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	int order = strcmp(vocab_text(v, x), vocab_text(v, y));
	return order ? order : (x > y) - (x < y);
}

/* Of equal symbols the last has the id, unless they must be unique. */
static int index_symbols(reading *r, int unique) {
	vocab *v = &r->coqui->symbols;
	int32_t *ids = malloc((size_t)v->size * sizeof *ids + 1);
	uint8_t *last = malloc((size_t)v->size + 1);
	int result = ids && last ? SN_OK : sn_fail(r->err, SN_E_MEMORY, "out of memory for %d symbols", v->size);
	for (int32_t i = 0; result == SN_OK && i < v->size; i++)
		ids[i] = i;
	if (result == SN_OK)
		qsort_r(ids, (size_t)v->size, sizeof *ids, by_text_and_id, v);
	for (int i = 0; result == SN_OK && i < v->size; i++) {
		last[ids[i]] = i + 1 == v->size || strcmp(vocab_text(v, ids[i]), vocab_text(v, ids[i + 1])) != 0;
		if (unique && !last[ids[i]])
			result = sn_fail(r->err, SN_E_MODEL, "%s: 'is_unique' is set and '%.20s' is among the characters twice", r->path,
			                 vocab_text(v, ids[i]));
	}
	if (result == SN_OK)
		result = vocab_index_build(v, &r->coqui->index, last, 1, r->path, r->err);
	free(ids);
	free(last);
	return result;
}

static void find_special(sn_coqui *coqui, const char *text, int32_t *id) { *id = text && *text ? sn_coqui_id(coqui, text) : -1; }

static int build(reading *r, const set *s) {
	static const char *const classes[] = { "Graphemes", "IPAPhonemes", "BaseCharacters", "VitsCharacters", "BaseVocabulary" };
	sn_coqui *coqui = r->coqui;
	set changed = *s;
	size_t kind = 0;
	while (kind < 5 && strcmp(classes[kind], s->class) != 0)
		kind++;
	if (kind == 5)
		return sn_fail(r->err, SN_E_UNSUPPORTED,
		               "%s: the characters class '%.60s' is not known; Graphemes, IPAPhonemes, BaseCharacters, VitsCharacters and "
		               "BaseVocabulary are",
		               r->path, s->class);
	if (kind == 1 && s->phonemes)
		changed.letters = s->phonemes;
	int listed = kind == 4, result = listed ? build_list(r, s) : kind == 3 ? build_vits(r, s) : build_base(r, &changed);
	if (result == SN_OK)
		result = index_symbols(r, s->unique && kind < 3);
	if (result != SN_OK)
		return result;
	coqui->config.size = coqui->symbols.size;
	if (listed) {
		find_special(coqui, s->pad, &coqui->config.pad);
		find_special(coqui, s->begin, &coqui->config.begin);
		find_special(coqui, s->end, &coqui->config.end);
		find_special(coqui, s->blank, &coqui->config.blank);
	}
	if (coqui->config.blank < 0)
		coqui->config.blank = coqui->config.size;
	if (coqui->config.begin_end && (coqui->config.begin < 0 || coqui->config.end < 0))
		return sn_fail(r->err, SN_E_MODEL, "%s: 'enable_eos_bos_chars' is set and the characters have no 'bos' or no 'eos'", r->path);
	return SN_OK;
}

/* Names of espeak's voices that the reference takes others for. */
static void set_phoneme_language(sn_coqui_config *c, const char *language) {
	language = strcmp(language, "en") == 0 ? "en-us" : strcmp(language, "zh-cn") == 0 ? "cmn" : language;
	snprintf(c->phoneme_language, sizeof c->phoneme_language, "%s", language);
}

static int read_phonemizer(reading *r, const json_t *config) {
	const char *name = NULL, *language = NULL;
	int result = read_text(r, config, "phonemizer", &name);
	if (result == SN_OK)
		result = read_text(r, config, "phoneme_language", &language);
	if (result != SN_OK || !r->coqui->config.phonemes)
		return result;
	if (name && *name && strcmp(name, "espeak") != 0 && strcmp(name, "gruut") != 0 && strcmp(name, "multi_phonemizer") != 0)
		return sn_fail(r->err, SN_E_UNSUPPORTED, "%s: the phonemizer '%.60s' is not known; espeak, gruut and multi_phonemizer are", r->path,
		               name);
	if (language && strlen(language) >= sizeof r->coqui->config.phoneme_language)
		return sn_fail(r->err, SN_E_MODEL, "%s: 'phoneme_language' is '%.60s'; a name of less than 32 characters is expected", r->path,
		               language);
	set_phoneme_language(&r->coqui->config, language ? language : "");
	return SN_OK;
}

static int read_cleaner(reading *r, const json_t *config) {
	const char *name = NULL;
	int result = read_text(r, config, "text_cleaner", &name);
	if (result != SN_OK || !name || !*name)
		return result;
	if (strlen(name) >= sizeof r->coqui->config.cleaner || !sn_cleaner_known(name))
		return sn_fail(r->err, SN_E_UNSUPPORTED, "%s: the text cleaner '%.60s' is not known", r->path, name);
	strcpy(r->coqui->config.cleaner, name);
	return SN_OK;
}

int sn_coqui_open(sn_coqui **out, const char *path, char *err) {
	json_t *config = NULL;
	sn_coqui *coqui = calloc(1, sizeof *coqui);
	reading r = { coqui, path, err };
	set s;
	int result = coqui ? sn_json_file(&config, path, err) : sn_fail(err, SN_E_MEMORY, "out of memory for a tokenizer");
	if (result == SN_OK) {
		const char *model = json_string_value(json_object_get(config, "model"));
		coqui->config.pad = coqui->config.begin = coqui->config.end = coqui->config.blank = -1;
		coqui->config.add_blank = model && strcmp(model, "vits") == 0;
		result = sn_json_bool(config, "add_blank", &coqui->config.add_blank, path, err);
	}
	if (result == SN_OK)
		result = sn_json_bool(config, "enable_eos_bos_chars", &coqui->config.begin_end, path, err);
	if (result == SN_OK)
		result = sn_json_bool(config, "use_phonemes", &coqui->config.phonemes, path, err);
	if (result == SN_OK)
		result = read_cleaner(&r, config);
	if (result == SN_OK)
		result = read_phonemizer(&r, config);
	if (result == SN_OK)
		result = read_set(&r, config, &s);
	if (result == SN_OK)
		result = build(&r, &s);
	json_decref(config);
	if (result != SN_OK)
		sn_coqui_close(&coqui);
	*out = coqui;
	return result;
}

void sn_coqui_close(sn_coqui **out) {
	sn_coqui *coqui = *out;
	*out = NULL;
	if (!coqui)
		return;
	vocab_free(&coqui->symbols);
	vocab_index_free(&coqui->index);
	free(coqui);
}

const sn_coqui_config *sn_coqui_get_config(const sn_coqui *coqui) { return &coqui->config; }

int32_t sn_coqui_id(const sn_coqui *coqui, const char *symbol) { return vocab_find(&coqui->symbols, &coqui->index, symbol, strlen(symbol)); }

const char *sn_coqui_symbol(const sn_coqui *coqui, int32_t id) { return vocab_text(&coqui->symbols, id); }
