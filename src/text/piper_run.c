#include "text/piper_internal.h"

#include "text/inline.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PHONEMES ((size_t)16 << 20) /* bytes for one text */

/* Sentences being made: their phonemes lie one after the other in `text`, NUL between. */
typedef struct builder {
	const sn_piper *piper;
	sn_buf text, sentences; /* bytes; sn_piper_sentence with phonemes still an offset */
	size_t start;           /* of the open sentence in text */
	size_t begin, end;      /* of the open sentence in the source */
	int ids, max_ids;       /* of the open sentence, without ^ _ and $ */
	int total;              /* ids of all closed sentences */
} builder;

static void close_sentence(builder *b) {
	int around = b->piper->begin->count + b->piper->pad->count + b->piper->end->count;
	if (b->ids) {
		sn_piper_sentence sentence = { .begin = b->begin, .end = b->end, .phonemes = (const char *)b->start, .count = b->ids + around };
		sn_buf_add(&b->text, "", 1);
		sn_buf_add(&b->sentences, &sentence, sizeof sentence);
		b->total += sentence.count;
	} else if (!b->text.failed) {
		b->text.size = b->start;
	}
	b->start = b->text.size;
	b->ids = 0;
}

static void add_part(builder *b, const char *text, size_t size, int ids, size_t begin, size_t end) {
	if (b->text.size == b->start)
		b->begin = begin;
	b->end = end;
	b->ids += ids;
	sn_buf_add(&b->text, text, size);
}

/* Adds phonemes to the open sentence, closing it first where they do not fit. What fits no sentence is cut after spaces,
 * else anywhere. */
static void add_phonemes(builder *b, const char *text, size_t size, size_t begin, size_t end) {
	int missing = 0, ids = piper_text_ids(b->piper, text, size, NULL, &missing);
	if (b->ids + ids > b->max_ids)
		close_sentence(b);
	if (ids <= b->max_ids) {
		add_part(b, text, size, ids, begin, end);
		return;
	}
	for (size_t i = 0; i < size;) {
		size_t word = i;
		while (word < size && text[word++] != ' ')
			;
		ids = piper_text_ids(b->piper, text + i, word - i, NULL, &missing);
		if (ids > b->max_ids) {
			word = i + (size_t)piper_unit(b->piper, text + i, size - i);
			ids = piper_text_ids(b->piper, text + i, word - i, NULL, &missing);
		}
		if (b->ids + ids > b->max_ids)
			close_sentence(b);
		add_part(b, text + i, word - i, ids, begin, end);
		i = word;
	}
}

/* Leaves out what espeak-ng writes where it changes the language: "(en)", "(de)". */
static void without_markers(sn_buf *out, const char *text) {
	while (*text) {
		const char *open = strchr(text, '('), *close = open ? strchr(open, ')') : NULL;
		if (!close) {
			sn_buf_text(out, text);
			return;
		}
		int empty = close == open + 1;
		sn_buf_add(out, text, (size_t)(open - text));
		if (empty)
			sn_buf_text(out, "()");
		text = close + 1;
	}
}

static int add_clause(builder *b, const sn_clause *clause, char *err) {
	sn_buf plain, phonemes;
	sn_buf_init(&plain, MAX_PHONEMES);
	sn_buf_init(&phonemes, MAX_PHONEMES);
	without_markers(&plain, clause->phonemes);
	sn_buf_add(&plain, &clause->terminator, clause->terminator != 0);
	if (clause->terminator && strchr(",:;", clause->terminator))
		sn_buf_text(&plain, " ");
	int result = plain.failed ? sn_fail(err, plain.failed, "a clause has more than %zu bytes of phonemes", MAX_PHONEMES)
	                          : piper_decompose(plain.data ? plain.data : "", plain.size, &phonemes, err);
	if (result == SN_OK)
		add_phonemes(b, phonemes.data ? phonemes.data : "", phonemes.size, clause->begin, clause->end);
	if (clause->sentence_end)
		close_sentence(b);
	sn_buf_free(&plain);
	sn_buf_free(&phonemes);
	return result;
}

/* Adds what lies between two stretches of given phonemes, or around them. The punctuation behind one is that of its clause. */
static int add_text(builder *b, sn_phonemizer *phonemizer, const char *voice, const char *text, size_t size, size_t at, int follows,
                    int ends, char *err) {
	size_t i = 0;
	while (follows && i < size && strchr(",.;:?!", text[i]) && text[i])
		i++;
	if (i) {
		add_phonemes(b, text, 1, at, at + 1);
		if (strchr(".?!", text[0]))
			close_sentence(b);
	}
	while (i < size && strchr(" \t\n", text[i]) && text[i])
		i++;
	if (follows && i && b->ids)
		add_phonemes(b, " ", 1, at, at + i);
	if (i == size)
		return SN_OK;
	sn_clauses clauses = { 0 };
	int result = sn_phonemizer_run(phonemizer, voice, text + i, size - i, &clauses, err);
	for (int k = 0; result == SN_OK && k < clauses.count; k++) {
		sn_clause *const c = &clauses.items[k];
		c->begin += at + i;
		c->end += at + i;
		c->sentence_end = c->sentence_end && (ends || k + 1 < clauses.count || c->terminator);
		result = add_clause(b, c, err);
	}
	if (result == SN_OK && !ends && b->ids && strchr(" \t\n", text[size - 1]))
		add_phonemes(b, " ", 1, at + size - 1, at + size);
	sn_clauses_free(&clauses);
	return result;
}

/* Without what separates syllables. */
static int add_ipa(builder *b, const char *ipa, size_t size, size_t at, char *err) {
	sn_buf plain, phonemes;
	sn_buf_init(&plain, MAX_PHONEMES);
	sn_buf_init(&phonemes, MAX_PHONEMES);
	for (size_t i = 0; i < size; i++) {
		if (size - i >= SN_INLINE_BYTES && memcmp(ipa + i, SN_INLINE_SPACE, SN_INLINE_BYTES) == 0) {
			sn_buf_text(&plain, " ");
			i += SN_INLINE_BYTES - 1;
		} else if (!strchr(".,;:?!|-", ipa[i]) || !ipa[i]) {
			sn_buf_add(&plain, ipa + i, 1);
		}
	}
	int result = plain.size ? piper_decompose(plain.data, plain.size, &phonemes, err) : SN_OK;
	if (result == SN_OK && phonemes.size)
		add_phonemes(b, phonemes.data, phonemes.size, at, at + size);
	sn_buf_free(&plain);
	sn_buf_free(&phonemes);
	return result;
}

/* Text in which phonemes may stand between SN_INLINE_IPA and SN_INLINE_IPA_END. */
static int add_all(builder *b, sn_phonemizer *phonemizer, const char *voice, const char *text, size_t size, char *err) {
	int result = SN_OK, follows = 0;
	for (size_t i = 0; result == SN_OK && i < size;) {
		const char *const ipa = memmem(text + i, size - i, SN_INLINE_IPA, SN_INLINE_BYTES);
		const size_t part = ipa ? (size_t)(ipa - text) : size;
		result = add_text(b, phonemizer, voice, text + i, part - i, i, follows, !ipa, err);
		if (!ipa || result != SN_OK)
			break;
		const size_t from = part + SN_INLINE_BYTES;
		const char *const close = memmem(text + from, size - from, SN_INLINE_IPA_END, SN_INLINE_BYTES);
		const size_t to = close ? (size_t)(close - text) : size;
		result = add_ipa(b, text + from, to - from, from, err);
		i = close ? to + SN_INLINE_BYTES : size;
		follows = 1;
	}
	return result;
}

/* One block: the sentences, their ids, their phonemes. */
static int finish(builder *b, sn_piper_sentences *out, char *err) {
	close_sentence(b);
	if (b->text.failed || b->sentences.failed)
		return sn_fail(err, b->text.failed ? b->text.failed : b->sentences.failed, "the text has more than %zu bytes of phonemes",
		               MAX_PHONEMES);
	size_t count = b->sentences.size / sizeof(sn_piper_sentence);
	sn_piper_sentence *items = malloc(b->sentences.size + (size_t)b->total * sizeof(int32_t) + b->text.size + 1);
	if (!items)
		return sn_fail(err, SN_E_MEMORY, "out of memory for %d phoneme ids", b->total);
	if (count)
		memcpy(items, b->sentences.data, b->sentences.size);
	int32_t *ids = (int32_t *)(items + count);
	char *text = (char *)(ids + b->total);
	if (b->text.size)
		memcpy(text, b->text.data, b->text.size);
	int result = SN_OK;
	for (size_t i = 0; result == SN_OK && i < count; i++) {
		sn_piper_sentence *s = &items[i];
		int room = s->count;
		s->phonemes = text + (size_t)s->phonemes;
		s->ids = ids;
		result = sn_piper_ids(b->piper, s->phonemes, strlen(s->phonemes), ids, room, &s->count, &s->missing, err);
		ids += room;
	}
	*out = (sn_piper_sentences){ items, (int)count };
	if (result != SN_OK)
		sn_piper_sentences_free(out);
	return result;
}

int sn_piper_run(const sn_piper *piper, sn_phonemizer *phonemizer, const char *voice, const char *text, size_t size, int max_ids,
                 sn_piper_sentences *out, char *err) {
	*out = (sn_piper_sentences){ 0 };
	int around = piper->begin->count + piper->pad->count + piper->end->count;
	int least = around + SN_PIPER_MAX_IDS + piper->pad->count;
	if (max_ids < 16 || max_ids < least)
		return sn_fail(err, SN_E_ARGUMENT, "sentences of at most %d phoneme ids; at least %d are needed", max_ids, least > 16 ? least : 16);
	if (size > SN_PHONEMIZE_MAX)
		return sn_fail(err, SN_E_LIMIT, "the text has %zu bytes; at most %zu are phonemized at once", size, SN_PHONEMIZE_MAX);
	builder b = { .piper = piper, .max_ids = max_ids - around };
	sn_buf_init(&b.text, MAX_PHONEMES);
	sn_buf_init(&b.sentences, MAX_PHONEMES);
	int result = SN_OK;
	if (piper->config.phonemize) {
		result = add_all(&b, phonemizer, voice && *voice ? voice : piper->config.espeak_voice, text, size, err);
	} else {
		sn_buf decomposed;
		sn_buf_init(&decomposed, MAX_PHONEMES);
		result = piper_decompose(text, size, &decomposed, err);
		if (result == SN_OK)
			add_phonemes(&b, decomposed.data ? decomposed.data : "", decomposed.size, 0, size);
		sn_buf_free(&decomposed);
	}
	if (result == SN_OK)
		result = finish(&b, out, err);
	sn_buf_free(&b.text);
	sn_buf_free(&b.sentences);
	return result;
}

void sn_piper_sentences_free(sn_piper_sentences *sentences) {
	free(sentences->items);
	*sentences = (sn_piper_sentences){ 0 };
}
