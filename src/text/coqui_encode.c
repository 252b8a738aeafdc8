#include "text/coqui_internal.h"

#include "text/cleaners.h"
#include "text/marks.h"
#include "text/utf8.h"

#include <stdio.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#define MAX_TEXT ((size_t)1 << 20)
#define MAX_PREPARED ((size_t)16 << 20) /* bytes of the cleaned text, and of its phonemes */

/* espeak's name of a language: en is en-us, as in the reference; what the caller says goes before what the config says. */
static const char *voice(const sn_coqui *coqui, const char *language) {
	if (language && *language && !(strcmp(language, "en") == 0 && strncmp(coqui->config.phoneme_language, "en", 2) == 0))
		return strcmp(language, "en") == 0 ? "en-us" : strcmp(language, "zh-cn") == 0 ? "cmn" : language;
	return *coqui->config.phoneme_language ? coqui->config.phoneme_language : "en-us";
}

static void strip(const char **text, size_t *size) {
	int32_t i = 0, end = (int32_t)*size, c;
	while (i < end) {
		int32_t at = i;
		U8_NEXT((const uint8_t *)*text, i, end, c);
		if (!u_isUWhiteSpace(c)) {
			i = at;
			break;
		}
	}
	while (end > i) {
		int32_t at = end;
		U8_PREV((const uint8_t *)*text, i, at, c);
		if (!u_isUWhiteSpace(c))
			break;
		end = at;
	}
	*text += i;
	*size = (size_t)(end - i);
}

/* Words are phonemized between the punctuation, which stays as it is; clauses that espeak makes within are joined without
 * a space, as in the reference. */
static int phonemize(sn_phonemizer *phonemizer, const char *name, const sn_buf *in, sn_buf *out, char *err) {
	const char *text = in->data ? in->data : "";
	size_t size = in->size;
	int result = SN_OK;
	strip(&text, &size);
	for (size_t i = 0, start = 0; result == SN_OK && i <= size;) {
		size_t marks = sn_marks_at(text + i, size - i);
		if (marks || i == size) {
			if (i > start)
				result = sn_marks_phonemes(phonemizer, name, text + start, i - start, "", out, err);
			sn_buf_add(out, text + i, marks);
			start = i + marks;
		}
		i += marks ? marks : 1;
		while (i < size && ((uint8_t)text[i] & 0xc0) == 0x80)
			i++;
	}
	if (result == SN_OK && out->failed)
		result = sn_fail(err, out->failed, "the phonemes of the text take more than %zu bytes", MAX_PREPARED);
	return result;
}

typedef struct writer {
	int32_t *ids;
	int max, count;
} writer;

static void put(writer *w, int32_t id) {
	if (w->count < w->max)
		w->ids[w->count] = id;
	w->count++;
}

static void put_text(const sn_coqui *coqui, const sn_buf *text, writer *w, int *missing) {
	const sn_coqui_config *c = &coqui->config;
	if (c->begin_end)
		put(w, c->begin);
	if (c->add_blank)
		put(w, c->blank);
	for (int32_t i = 0; i < (int32_t)text->size;) {
		int32_t at = i;
		U8_FWD_1((const uint8_t *)text->data, i, (int32_t)text->size);
		int32_t id = vocab_find(&coqui->symbols, &coqui->index, text->data + at, (size_t)(i - at));
		*missing += id < 0;
		if (id < 0)
			continue;
		put(w, id);
		if (c->add_blank)
			put(w, c->blank);
	}
	if (c->begin_end)
		put(w, c->end);
}

int sn_coqui_encode(const sn_coqui *coqui, sn_phonemizer *phonemizer, const char *language, const char *text, size_t size, int32_t *ids,
                    int max, int *count, int *missing, char *err) {
	const sn_coqui_config *c = &coqui->config;
	int ignored, *absent = missing ? missing : &ignored;
	sn_buf clean, phonemes;
	const sn_buf *ready = &clean;
	*count = *absent = 0;
	int result = sn_utf8_check(text, size, MAX_TEXT, err);
	if (result != SN_OK)
		return result;
	sn_buf_init(&clean, MAX_PREPARED);
	sn_buf_init(&phonemes, MAX_PREPARED);
	if (*c->cleaner)
		result = sn_clean(&clean, c->cleaner, language, text, size, err);
	else if (sn_buf_add(&clean, text, size) != SN_OK)
		result = sn_fail(err, clean.failed, "out of memory for a text of %zu bytes", size);
	if (result == SN_OK && c->phonemes) {
		result = phonemize(phonemizer, voice(coqui, language), &clean, &phonemes, err);
		ready = &phonemes;
	}
	if (result == SN_OK) {
		writer w = { ids, max, 0 };
		put_text(coqui, ready, &w, absent);
		*count = w.count;
		if (w.count > max)
			result = sn_fail(err, SN_E_LIMIT, "the text makes %d ids; at most %d are taken", w.count, max);
	}
	sn_buf_free(&clean);
	sn_buf_free(&phonemes);
	return result;
}
