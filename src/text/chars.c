#include "text/chars_internal.h"

#include "base/buf.h"
#include "text/cleaners.h"
#include "text/files.h"
#include "text/marks.h"
#include "text/roman.h"
#include "text/utf8.h"
#include "text/validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uloc.h>
#include <unicode/utf8.h>

#define MAX_TEXT ((size_t)16 << 20) /* bytes of phonemes of one text */

typedef chars_entry entry;
typedef chars_special special;

/* ---- reading ---- */

static int by_character(const void *a, const void *b) {
	const entry *x = a, *y = b;
	return x->character != y->character ? (x->character > y->character) - (x->character < y->character) : (x->id > y->id) - (x->id < y->id);
}

static int32_t find(const sn_chars *chars, int32_t character) {
	int low = 0, high = chars->count;
	while (low < high) {
		const int middle = (low + high) / 2;
		if (chars->entries[middle].character < character)
			low = middle + 1;
		else
			high = middle;
	}
	return low < chars->count && chars->entries[low].character == character ? chars->entries[low].id : -1;
}

void chars_add(sn_chars *chars, int32_t character, int32_t id) {
	chars->entries[chars->count++] = (entry){ character, id };
	if (id >= chars->config.size)
		chars->config.size = (int)id + 1;
}

void chars_sort(sn_chars *chars) {
	qsort(chars->entries, (size_t)chars->count, sizeof *chars->entries, by_character);
	int kept = 0;
	for (int i = 0; i < chars->count; i++) {
		kept -= kept && chars->entries[kept - 1].character == chars->entries[i].character;
		chars->entries[kept++] = chars->entries[i];
	}
	chars->count = kept;
}

int32_t chars_only(const char *text) {
	int32_t at = 0, size = (int32_t)strlen(text), character = -1;
	if (size)
		U8_NEXT((const uint8_t *)text, at, size, character);
	return at == size ? character : -1;
}

static int add_special(sn_chars *chars, const char *text, const json_t *vocabulary, const char *path, char *err) {
	const json_t *id = json_object_get(vocabulary, text);
	for (int i = 0; i < chars->special_count; i++)
		if (strcmp(chars->specials[i].text, text) == 0)
			return SN_OK;
	if (chars->special_count == CHARS_MAX_SPECIALS || strlen(text) >= sizeof chars->specials[0].text || !*text)
		return sn_fail(err, SN_E_MODEL, "%s: the token '%.40s' is too long or one of more than %d special tokens", path, text, CHARS_MAX_SPECIALS);
	special *s = &chars->specials[chars->special_count++];
	strcpy(s->text, text);
	s->size = strlen(text);
	s->id = id ? (int32_t)json_integer_value(id) : -1;
	return SN_OK;
}

/* {character: id}; longer keys are special tokens. */
static int read_vocabulary(sn_chars *chars, json_t *vocabulary, const char *path, char *err) {
	const char *key;
	json_t *value;
	size_t count = json_object_size(vocabulary);
	if (!count || count > CHARS_MAX_VOCABULARY)
		return sn_fail(err, SN_E_MODEL, "%s: an object of 1 to %d characters and ids is expected", path, CHARS_MAX_VOCABULARY);
	chars->entries = malloc(count * sizeof *chars->entries);
	if (!chars->entries)
		return sn_fail(err, SN_E_MEMORY, "out of memory for a vocabulary of %zu characters", count);
	json_object_foreach(vocabulary, key, value) {
		int64_t id = json_is_integer(value) ? json_integer_value(value) : -1;
		const int32_t character = chars_only(key);
		if (id < 0 || id >= CHARS_MAX_VOCABULARY)
			return sn_fail(err, SN_E_MODEL, "%s: the id of '%.40s' must lie between 0 and %d", path, key, CHARS_MAX_VOCABULARY - 1);
		if (id >= chars->config.size)
			chars->config.size = (int)id + 1;
		if (character >= 0) {
			chars_add(chars, character, (int32_t)id);
		} else if (*key) {
			int result = add_special(chars, key, vocabulary, path, err);
			if (result != SN_OK)
				return result;
		}
	}
	chars_sort(chars);
	return SN_OK;
}

void chars_set_language(sn_chars *chars, const char *text) {
	const int size = sizeof chars->config.language;
	UErrorCode status = U_ZERO_ERROR;
	const int32_t length = uloc_getLanguage(text, chars->config.language, size, &status);
	if (U_FAILURE(status) || length < 1 || length >= size)
		snprintf(chars->config.language, sizeof chars->config.language, "%s", text);
}

static int read_config(sn_chars *chars, json_t *config, const json_t *vocabulary, const char *path, char *err) {
	const char *unknown = sn_text_token(config, "unk_token", "<unk>");
	const json_t *unknown_id = json_object_get(vocabulary, unknown), *language = json_object_get(config, "language");
	chars->unknown = unknown_id ? (int32_t)json_integer_value(unknown_id) : -1;
	if (json_is_string(language))
		chars_set_language(chars, json_string_value(language));
	int result = sn_json_bool(config, "add_blank", &chars->config.add_blank, path, err);
	if (result == SN_OK)
		result = sn_json_bool(config, "normalize", &chars->config.normalize, path, err);
	if (result == SN_OK)
		result = sn_json_bool(config, "phonemize", &chars->config.phonemize, path, err);
	if (result == SN_OK)
		result = sn_json_bool(config, "is_uroman", &chars->config.uroman, path, err);
	if (result == SN_OK)
		result = add_special(chars, sn_text_token(config, "pad_token", "<pad>"), vocabulary, path, err);
	if (result == SN_OK)
		result = add_special(chars, unknown, vocabulary, path, err);
	const char *id;
	json_t *token;
	json_object_foreach(json_object_get(config, "added_tokens_decoder"), id, token) {
		const char *text = sn_text_token(token, "content", "");
		if (result == SN_OK && *text)
			result = add_special(chars, text, vocabulary, path, err);
	}
	return result;
}

int sn_chars_open(sn_chars **out, const char *dir, char *err) {
	char vocabulary_path[SN_PATH_MAX], config_path[SN_PATH_MAX];
	json_t *vocabulary = NULL, *config = NULL;
	sn_chars *chars = calloc(1, sizeof *chars);
	int result = chars ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory for a tokenizer");
	if (result == SN_OK) {
		chars->config = (sn_chars_config){ .add_blank = 1, .normalize = 1, .phonemize = 1 };
		result = sn_text_path(vocabulary_path, dir, "vocab.json", err);
	}
	if (result == SN_OK)
		result = sn_text_path(config_path, dir, "tokenizer_config.json", err);
	if (result == SN_OK)
		result = sn_text_json(&vocabulary, dir, "vocab.json", 0, 0, err);
	if (result == SN_OK)
		result = sn_text_json(&config, dir, "tokenizer_config.json", 0, 1, err);
	if (result == SN_OK)
		result = read_vocabulary(chars, vocabulary, vocabulary_path, err);
	if (result == SN_OK)
		result = read_config(chars, config, vocabulary, config_path, err);
	json_decref(vocabulary);
	json_decref(config);
	if (result != SN_OK)
		sn_chars_close(&chars);
	*out = chars;
	return result;
}

int sn_chars_open_authors(sn_chars **out, const char *json, char *err) {
	sn_chars *chars = calloc(1, sizeof *chars);
	int result = chars ? chars_read_authors(chars, json, err) : sn_fail(err, SN_E_MEMORY, "out of memory for a tokenizer");
	if (result != SN_OK && chars)
		sn_chars_close(&chars);
	*out = chars;
	return result;
}

void sn_chars_close(sn_chars **chars) {
	if (*chars)
		free((*chars)->entries);
	free(*chars);
	*chars = NULL;
}

const sn_chars_config *sn_chars_get_config(const sn_chars *chars) { return &chars->config; }

void sn_chars_letters(const sn_chars *chars, char *out, size_t size) {
	size_t used = 0;
	*out = 0;
	for (int i = 0; i < chars->count; i++) {
		const int32_t c = chars->entries[i].character;
		if (u_isalpha(c) && used + U8_LENGTH(c) + sizeof " ..." <= size) {
			used += (size_t)snprintf(out + used, size - used, "%s", used ? " " : "");
			U8_APPEND_UNSAFE((uint8_t *)out, used, c);
			out[used] = 0;
		} else if (u_isalpha(c)) {
			snprintf(out + used, size - used, " ...");
			return;
		}
	}
}

/* ---- preparing the text ---- */

static const special *special_at(const sn_chars *chars, const char *text, size_t size) {
	const special *longest = NULL;
	for (int i = 0; i < chars->special_count; i++) {
		const special *s = &chars->specials[i];
		if (s->size <= size && memcmp(text, s->text, s->size) == 0 && (!longest || s->size > longest->size))
			longest = s;
	}
	return longest;
}

/* Lower case, except what the vocabulary has as it is. */
static int lower_case(const sn_chars *chars, const char *text, size_t size, sn_buf *out, char *err) {
	int lower = chars->config.normalize, romanian = strcmp(chars->config.language, "ro") == 0;
	for (int32_t i = 0; i < (int32_t)size;) {
		const special *s = special_at(chars, text + i, size - (size_t)i);
		int32_t at = i, c;
		if (s) {
			sn_buf_add(out, s->text, s->size);
			i += (int32_t)s->size;
			continue;
		}
		U8_NEXT((const uint8_t *)text, i, (int32_t)size, c);
		if (c < 0)
			return sn_fail(err, SN_E_FORMAT, "the text is not valid UTF-8 at byte %d", at);
		if (romanian && (c == 0x21b || (lower && c == 0x21a)))
			sn_utf8_add(out, 0x163);
		else if (lower && (chars->lower_all || find(chars, c) < 0))
			sn_utf8_add_lower(out, c);
		else
			sn_utf8_add(out, c);
	}
	return out->failed ? sn_fail(err, out->failed, "the text is too long") : SN_OK;
}

/* Text that is ASCII already stays as it is. */
static int romanise(sn_buf *text, sn_buf *other, char *err) {
	size_t ascii = 0;
	while (ascii < text->size && (uint8_t)text->data[ascii] < 0x80)
		ascii++;
	if (ascii == text->size)
		return SN_OK;
	const int result = sn_roman(other, text->data, text->size, err);
	const sn_buf swapped = *text;
	*text = *other;
	*other = swapped;
	sn_buf_clear(other);
	return result;
}

/* Leaves out what the vocabulary lacks, then white space at both ends. */
static int keep_known(const sn_chars *chars, const sn_buf *in, sn_buf *out, int *missing, char *err) {
	size_t end = 0;
	for (int32_t i = 0; i < (int32_t)in->size;) {
		int32_t c;
		U8_NEXT((const uint8_t *)in->data, i, (int32_t)in->size, c);
		int known = find(chars, c) >= 0, white = u_isUWhiteSpace(c);
		*missing += !known && !white;
		if (!known || (white && !out->size))
			continue;
		sn_utf8_add(out, c);
		if (!white)
			end = out->size;
	}
	out->size = end;
	return out->failed ? sn_fail(err, out->failed, "the text is too long") : SN_OK;
}

/* ---- phonemes: espeak's, with the punctuation of the text kept between them ---- */

static void add_marks(sn_buf *out, const char *text, size_t size) {
	for (int32_t i = 0; i < (int32_t)size;) {
		int32_t c;
		U8_NEXT((const uint8_t *)text, i, (int32_t)size, c);
		if (!u_isUWhiteSpace(c))
			sn_utf8_add(out, c);
		else if (!out->size || out->data[out->size - 1] != ' ')
			sn_buf_text(out, " ");
	}
}

static int add_phonemes(sn_phonemizer *phonemizer, const sn_buf *in, sn_buf *out, char *err) {
	const char *text = in->data ? in->data : "";
	int result = phonemizer ? SN_OK : sn_fail(err, SN_E_DEPENDENCY, "this voice needs a phonemizer");
	for (size_t i = 0, start = 0; result == SN_OK && i <= in->size;) {
		size_t marks = sn_marks_at(text + i, in->size - i);
		if (marks || i == in->size) {
			if (i > start)
				result = sn_marks_phonemes(phonemizer, "en-us", text + start, i - start, " ", out, err);
			add_marks(out, text + i, marks);
			start = i + marks;
		}
		i += marks ? marks : 1;
		while (i < in->size && ((uint8_t)text[i] & 0xc0) == 0x80)
			i++;
	}
	return result;
}

/* Stress and punctuation out; white space is one space and none at the ends. */
static void make_plain(sn_buf *text) {
	size_t kept = 0;
	for (int32_t i = 0; i < (int32_t)text->size;) {
		const int32_t at = i;
		int32_t c;
		U8_NEXT((const uint8_t *)text->data, i, (int32_t)text->size, c);
		const int white = sn_marks_is(c) || u_isUWhiteSpace(c);
		if (c == 0x2c8 || c == 0x2cc || (white && (!kept || text->data[kept - 1] == ' ')))
			continue;
		if (white)
			text->data[kept++] = ' ';
		for (int32_t k = at; k < i && !white; k++)
			text->data[kept++] = text->data[k];
	}
	text->size = kept && text->data[kept - 1] == ' ' ? kept - 1 : kept;
}

static int phonemize(const sn_chars *chars, sn_phonemizer *phonemizer, const sn_buf *in, sn_buf *out, char *err) {
	const int result = add_phonemes(phonemizer, in, out, err);
	if (result == SN_OK && out->failed)
		return sn_fail(err, out->failed, "the phonemes of the text take more than %zu bytes", MAX_TEXT);
	if (result == SN_OK && chars->plain)
		make_plain(out);
	return result;
}

/* ---- ids ---- */

typedef struct writer {
	int32_t *ids;
	int max, count, blank, open; /* blank: write 0 round each character; open: inside a run of characters */
} writer;

static void put(writer *w, int32_t id) {
	if (w->count < w->max)
		w->ids[w->count] = id;
	w->count++;
}

/* A run of n characters becomes 0 c 0 c ... 0; special tokens stand between the runs by themselves. */
static void put_character(writer *w, int32_t id) {
	if (!w->open && w->blank)
		put(w, 0);
	w->open = 1;
	put(w, id);
	if (w->blank)
		put(w, 0);
}

static void put_text(const sn_chars *chars, const sn_buf *text, writer *w, int *missing) {
	for (int32_t i = 0; i < (int32_t)text->size;) {
		const special *s = special_at(chars, text->data + i, text->size - (size_t)i);
		int32_t c;
		if (s) {
			w->open = 0;
			if (s->id >= 0)
				put(w, s->id);
			i += (int32_t)s->size;
			continue;
		}
		U8_NEXT((const uint8_t *)text->data, i, (int32_t)text->size, c);
		int32_t id = find(chars, c);
		*missing += id < 0;
		if (id >= 0 || chars->unknown >= 0)
			put_character(w, id >= 0 ? id : chars->unknown);
	}
}

int sn_chars_encode(const sn_chars *chars, sn_phonemizer *phonemizer, const char *text, size_t size, int32_t *ids, int max, int *count,
                    int *missing, char *err) {
	int ignored, *absent = missing ? missing : &ignored;
	sn_buf lower, prepared;
	*count = *absent = 0;
	if (size > SN_TEXT_MAX)
		return sn_fail(err, SN_E_LIMIT, "the text has %zu bytes; at most %zu are taken", size, SN_TEXT_MAX);
	sn_buf_init(&lower, MAX_TEXT);
	sn_buf_init(&prepared, MAX_TEXT);
	int result = chars->cleaner ? sn_clean(&lower, chars->cleaner, NULL, text, size, err) : lower_case(chars, text, size, &lower, err);
	if (result == SN_OK && chars->config.uroman)
		result = romanise(&lower, &prepared, err);
	const sn_buf *ready = &lower;
	if (result == SN_OK && (chars->config.phonemize || chars->config.normalize)) {
		result = chars->config.phonemize ? phonemize(chars, phonemizer, &lower, &prepared, err) : keep_known(chars, &lower, &prepared, absent, err);
		ready = &prepared;
	}
	if (result == SN_OK) {
		writer w = { .ids = ids, .max = max, .blank = chars->config.add_blank };
		put_text(chars, ready, &w, absent);
		*count = w.count;
		if (w.count > max)
			result = sn_fail(err, SN_E_LIMIT, "the text makes %d ids; at most %d are taken", w.count, max);
	}
	sn_buf_free(&lower);
	sn_buf_free(&prepared);
	return result;
}
