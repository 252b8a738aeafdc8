#include "text/piper_internal.h"

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

int sn_piper_run(const sn_piper *piper, sn_phonemizer *phonemizer, const char *text, size_t size, int max_ids, sn_piper_sentences *out,
                 char *err) {
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
	sn_clauses clauses = { 0 };
	int result = SN_OK;
	if (piper->config.phonemize) {
		result = sn_phonemizer_run(phonemizer, piper->config.espeak_voice, text, size, &clauses, err);
		for (int i = 0; result == SN_OK && i < clauses.count; i++)
			result = add_clause(&b, &clauses.items[i], err);
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
	sn_clauses_free(&clauses);
	sn_buf_free(&b.text);
	sn_buf_free(&b.sentences);
	return result;
}

void sn_piper_sentences_free(sn_piper_sentences *sentences) {
	free(sentences->items);
	*sentences = (sn_piper_sentences){ 0 };
}
