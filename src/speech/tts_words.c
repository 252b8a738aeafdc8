/* One sentence on its way to the conductor: marks are taken out, what is written is read as words, words become ids. */
#include "speech/tts.h"

#include "base/ascii.h"
#include "text/inline.h"
#include "text/sentences.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#define SENTENCE_BYTES 600 /* a longer sentence is cut: about 40 s at the usual speed */
#define SENTENCE_LEAST 16  /* below that sentences are not cut */
#define TAG_BYTES 200      /* of "[laughs]" and "{HH AH0}", which models read themselves */

/* ---- items ---- */

void sn_tts_queue(sn_tts *tts, tts_item *item) {
	tts->in.items++;
	sn_sched_lock(tts->engine->sched);
	*tts->last = item;
	tts->last = &item->next;
	tts->waiting += item->bytes;
	sn_sched_wake(tts->engine->sched, &tts->job);
	sn_sched_unlock(tts->engine->sched);
}

/* One block: the item, `ids` places for ids, marks, and the text. */
tts_item *sn_tts_item(tts_kind kind, int ids, const tts_mark *marks, int mark_count, const char *words, size_t size, char *err) {
	const size_t room = (size_t)ids * sizeof(int32_t), mark_room = (size_t)mark_count * sizeof *marks;
	tts_item *const item = calloc(1, sizeof *item + room + mark_room + size + 1);
	if (!item) {
		sn_fail(err, SN_E_MEMORY, "no memory for a sentence of %zu bytes", size);
		return NULL;
	}
	char *const after = (char *)(item->ids + ids);
	item->kind = kind;
	item->count = ids;
	item->mark_count = mark_count;
	item->marks = mark_count ? memcpy(after, marks, mark_room) : NULL;
	item->words = after + mark_room;
	if (size)
		memcpy(after + mark_room, words, size);
	return item;
}

int sn_tts_text_silence(sn_tts *tts, double seconds, char *err) {
	tts_item *const item = sn_tts_item(TTS_SILENCE, 0, NULL, 0, NULL, 0, err);
	if (!item)
		return SN_E_MEMORY;
	item->silence = (int64_t)(seconds * tts->rate);
	sn_tts_queue(tts, item);
	return SN_OK;
}

int sn_tts_queue_mark(sn_tts *tts, const char *name, char *err) {
	tts_mark mark = { 0 };
	snprintf(mark.name, sizeof mark.name, "%s", name);
	tts_item *const item = sn_tts_item(TTS_MARK, 0, &mark, 1, NULL, 0, err);
	if (!item)
		return SN_E_MEMORY;
	sn_tts_queue(tts, item);
	return SN_OK;
}

/* ---- one sentence ---- */

/* What encode is called with, and where its ids belong. */
typedef struct making {
	sn_tts *tts;
	const char *words;
	size_t size, done;         /* bytes that ids were made of */
	const tts_mark *marks;
	int mark_count, marks_taken;
	int ends, strange;
} making;

/* Queues ids for the conductor, with the words and marks that they stand for: an sn_synth_emit. */
static int queue_ids(void *payload, const int32_t *ids, int count, size_t bytes, char *err) {
	making *const m = payload;
	tts_text *const in = &m->tts->in;
	if (count <= 0)
		return SN_OK;
	while (m->done < m->size && sn_isspace((unsigned char)m->words[m->done]))
		m->done++;
	const size_t from = m->done, to = bytes < m->size - from ? from + bytes : m->size;
	const float begin = (float)from / (float)m->size, length = (float)(to - from) / (float)m->size;
	int taken = 0;
	while (m->marks_taken + taken < m->mark_count && (to == m->size || m->marks[m->marks_taken + taken].share < begin + length))
		taken++;
	tts_item *const item = sn_tts_item(TTS_SPEECH, count, m->marks + m->marks_taken, taken, m->words + from, to - from, err);
	if (!item)
		return SN_E_MEMORY;
	memcpy(item->ids, ids, (size_t)count * sizeof *ids);
	for (int i = 0; i < taken && length > 0; i++) {
		tts_mark *const mark = (tts_mark *)(uintptr_t)&item->marks[i];
		mark->share = mark->share > begin ? (mark->share - begin) / length : 0;
	}
	item->bytes = to - from;
	item->index = in->sentences++;
	item->ends = m->ends;
	item->strange = m->strange;
	item->style = in->style;
	m->marks_taken += taken;
	m->done = to;
	sn_tts_queue(m->tts, item);
	return SN_OK;
}

/* Bytes of a sentence beyond which it is cut; slow speech needs more frames for as many. */
size_t sn_tts_most_bytes(const sn_tts *tts) {
	const int advice = tts->model->facts->max_bytes;
	const float most = advice && advice < SENTENCE_BYTES ? (float)advice : SENTENCE_BYTES;
	const size_t bytes = (size_t)(most * (tts->in.style.speed < 1 ? tts->in.style.speed : 1));
	return bytes < SENTENCE_LEAST ? SENTENCE_LEAST : bytes;
}

static int encode(sn_tts *tts, making *m, const char *words, size_t size, char *err) {
	const sn_model *const model = tts->model;
	const tts_style *const style = &tts->in.style;
	sn_synth_options options = tts->options;
	int missing = 0;
	options.speed = style->speed;
	options.pitch = style->pitch;
	options.language = style->language;
	options.voice = style->voice;
	options.espeak = *style->espeak ? style->espeak : NULL;
	m->words = words;
	m->size = size;
	m->done = 0;
	int result = model->class->encode(model->synth, model->engine->phonemizer, words, size, &options, queue_ids, m, &missing, err);
	tts->in.missing += missing;
	for (size_t i = 0; model->facts->romanises && i < size; i++)
		tts->in.romanised |= (unsigned char)words[i] > 0x7f;
	return result;
}

/* Words may be much longer than what was written: "1e9" is cut once more then. */
static int encode_parts(sn_tts *tts, making *m, const sn_buf *words, char *err) {
	sn_spans spans;
	if (words->size <= sn_tts_most_bytes(tts) || memmem(words->data, words->size, SN_INLINE_IPA, SN_INLINE_BYTES))
		return encode(tts, m, words->data, words->size, err);
	const tts_mark *const marks = m->marks;
	const int mark_count = m->mark_count, ends = m->ends;
	int result = sn_sentences(words->data, words->size, tts->in.style.reading, sn_tts_most_bytes(tts), &spans, err);
	for (int i = 0; result == SN_OK && i < spans.count; i++) {
		m->ends = ends && i + 1 == spans.count;
		m->mark_count = i ? mark_count : 0; /* behind the first part at the soonest: a sentence this long is rare */
		m->marks = marks;
		result = encode(tts, m, words->data + spans.items[i].begin, spans.items[i].end - spans.items[i].begin, err);
	}
	m->mark_count = mark_count;
	sn_spans_free(&spans);
	return result;
}

sn_normaliser *sn_tts_reader(sn_tts *tts, const char *language, char *err) {
	tts_text *const in = &tts->in;
	int free_place = -1;
	for (int i = 0; i < TTS_NORMALISERS; i++) {
		if (in->readers[i].normaliser && strcmp(in->readers[i].language, language) == 0)
			return in->readers[i].normaliser;
		if (!in->readers[i].normaliser)
			free_place = i;
	}
	const int at = free_place >= 0 ? free_place : (in->last_reader = (in->last_reader + 1) % TTS_NORMALISERS);
	sn_normaliser_close(&in->readers[at].normaliser);
	snprintf(in->readers[at].language, sizeof in->readers[at].language, "%s", language);
	errno = 0;
	if (sn_normaliser_open(&in->readers[at].normaliser, language, err) == SN_OK && tts->model->facts->emphasis)
		sn_normaliser_keep_emphasis(in->readers[at].normaliser);
	return in->readers[at].normaliser;
}

/* Bytes at text that the model reads by itself: phonemes, or a tag of words in brackets. */
static size_t own_reading(const char *text, size_t size) {
	if (size > SN_INLINE_BYTES && memcmp(text, SN_INLINE_IPA, SN_INLINE_BYTES) == 0) {
		const char *const end = memmem(text, size, SN_INLINE_IPA_END, SN_INLINE_BYTES);
		return end ? (size_t)(end - text) + SN_INLINE_BYTES : size;
	}
	if (*text != '{' && *text != '[')
		return 0;
	const char close = *text == '{' ? '}' : ']';
	size_t i = 1;
	for (; i < size && i < TAG_BYTES; i++) {
		const unsigned char c = (unsigned char)text[i];
		if (!sn_isalpha(c) && c != ' ' && !(close == '}' && isdigit(c)))
			break;
	}
	return i > 1 && i < size && text[i] == close ? i + 1 : 0;
}

static int add_reading(sn_tts *tts, sn_normaliser *reader, const char *text, size_t size, sn_buf *out, char *err) {
	tts_text *const in = &tts->in;
	sn_normal_map map = { 0 };
	if (!size)
		return SN_OK;
	if (out->size && sn_isspace((unsigned char)*text) && !sn_isspace((unsigned char)out->data[out->size - 1]))
		sn_buf_text(out, " ");
	int result = sn_normalise(reader, text, size, out, &map, err);
	if (result == SN_OK && out->size && sn_isspace((unsigned char)text[size - 1]) && !sn_isspace((unsigned char)out->data[out->size - 1]))
		sn_buf_text(out, " ");
	in->unspoken += map.unspoken;
	if (!*in->sample)
		snprintf(in->sample, sizeof in->sample, "%s", map.sample);
	sn_normal_map_free(&map);
	return result;
}

/* Numbers, dates and the like as words. */
static int read_words(sn_tts *tts, const char *text, size_t size, sn_buf *out, char *err) {
	sn_normaliser *const reader = tts->in.normalise ? sn_tts_reader(tts, tts->in.style.reading, err) : NULL;
	if (!tts->in.normalise)
		return sn_buf_add(out, text, size) == SN_OK ? SN_OK : sn_fail(err, out->failed, "no memory for %zu bytes of text", size);
	if (!reader)
		return sn_fail_memory(SN_E_DEPENDENCY, err);
	int result = SN_OK;
	size_t start = 0;
	for (size_t i = 0; result == SN_OK && i < size;) {
		const size_t own = own_reading(text + i, size - i);
		if (own) {
			result = add_reading(tts, reader, text + start, i - start, out, err);
			sn_buf_add(out, text + i, own);
			start = i + own;
		}
		i += own ? own : 1;
	}
	if (result == SN_OK)
		result = add_reading(tts, reader, text + start, size - start, out, err);
	return result == SN_OK && out->failed ? sn_fail(err, out->failed, "no memory for the words of %zu bytes of text", size) : result;
}

/* Takes the marks out of a sentence; *count of them were in it, whose names wait in in->marks. */
static int take_marks(sn_tts *tts, const char *text, size_t size, sn_buf *plain, tts_mark **marks, int *count, char *err) {
	tts_text *const in = &tts->in;
	*count = 0;
	*marks = NULL;
	for (const char *at = text; (at = memmem(at, size - (size_t)(at - text), SN_INLINE_MARK, SN_INLINE_BYTES)); at += SN_INLINE_BYTES)
		++*count;
	if (!*count)
		return sn_buf_add(plain, text, size) == SN_OK ? SN_OK : sn_fail(err, plain->failed, "no memory for %zu bytes of text", size);
	*marks = calloc((size_t)*count, sizeof **marks);
	if (!*marks)
		return sn_fail(err, SN_E_MEMORY, "no memory for %d marks", *count);
	size_t start = 0;
	for (int i = 0; i < *count; i++) {
		const size_t at = (size_t)((char *)memmem(text + start, size - start, SN_INLINE_MARK, SN_INLINE_BYTES) - text);
		sn_buf_add(plain, text + start, at - start);
		(*marks)[i].share = (float)plain->size;
		memcpy((*marks)[i].name, in->marks.data + (size_t)i * TTS_NAME, TTS_NAME);
		start = at + SN_INLINE_BYTES;
	}
	sn_buf_add(plain, text + start, size - start);
	for (int i = 0; i < *count && plain->size; i++)
		(*marks)[i].share /= (float)plain->size;
	const size_t used = (size_t)*count * TTS_NAME;
	memmove(in->marks.data, in->marks.data + used, in->marks.size - used);
	in->marks.size -= used;
	return plain->failed ? sn_fail(err, plain->failed, "no memory for %zu bytes of text", size) : SN_OK;
}

static int speakable(const char *text, size_t size) {
	for (int32_t i = 0, c; i < (int32_t)size;) {
		U8_NEXT((const uint8_t *)text, i, (int32_t)size, c);
		if (u_isalnum(c))
			return 1;
	}
	return 0;
}

/* Letters of scripts that the language is not written in, which voices spell by name or leave out. */
static int strange_letters(sn_tts *tts, const char *text, size_t size) {
	UScriptCode scripts[8], script;
	UErrorCode status = U_ZERO_ERROR;
	int strange = 0;
	const int count = uscript_getCode(tts->in.style.reading, scripts, 8, &status);
	if (U_FAILURE(status) || !*tts->in.style.reading)
		return 0;
	for (int32_t i = 0, c; i < (int32_t)size;) {
		U8_NEXT((const uint8_t *)text, i, (int32_t)size, c);
		script = u_isalpha(c) ? uscript_getScript(c, &status) : USCRIPT_COMMON;
		int known = script == USCRIPT_COMMON || script == USCRIPT_INHERITED || script == USCRIPT_LATIN || script == USCRIPT_GREEK;
		for (int k = 0; k < count && !known; k++)
			known = uscript_hasScript(c, scripts[k]);
		if (!known && !strange++)
			sn_tts_note(tts, "foreign_script",
			            "there are %s letters in the text, which is taken for \"%s\"; the voice may spell them by name", uscript_getName(script), tts->in.style.reading);
	}
	return strange;
}

int sn_tts_speak(sn_tts *tts, const char *text, size_t size, int ends, char *err) {
	sn_buf plain, words;
	making m = { .tts = tts, .ends = ends };
	tts_mark *marks;
	sn_buf_init(&plain, SN_TTS_MAX_TEXT + 1);
	sn_buf_init(&words, SN_TTS_MAX_TEXT * 4);
	int result = take_marks(tts, text, size, &plain, &marks, &m.mark_count, err);
	m.marks = marks;
	if (result == SN_OK && plain.size)
		result = read_words(tts, plain.data, plain.size, &words, err);
	if (result == SN_OK && words.size)
		m.strange = strange_letters(tts, words.data, words.size);
	if (result == SN_OK && words.size && speakable(words.data, words.size))
		result = encode_parts(tts, &m, &words, err);
	for (int i = m.marks_taken; i < m.mark_count && result == SN_OK; i++)
		result = sn_tts_queue_mark(tts, marks[i].name, err);
	free(marks);
	sn_buf_free(&plain);
	sn_buf_free(&words);
	return result;
}

/* Queues the ids of a sentence that is not spoken: an sn_synth_emit. */
static int queue_warm(void *payload, const int32_t *ids, int count, size_t bytes, char *err) {
	sn_tts *const tts = payload;
	tts_item *const item = count > 0 ? sn_tts_item(TTS_WARM, count, NULL, 0, NULL, 0, err) : NULL;
	if (!item)
		return SN_E_MEMORY;
	memcpy(item->ids, ids, (size_t)count * sizeof *ids);
	item->style = tts->in.style;
	sn_tts_queue(tts, item);
	tts->in.items--;
	return SN_E_CANCELLED; /* one is enough */
}

void sn_tts_text_warm(sn_tts *tts) {
	static const char text[] = "At 10:30, one more."; /* numbers load their rules */
	const sn_model *const m = tts->model;
	char err[SN_ERRLEN];
	sn_buf words;
	int missing = 0;
	sn_buf_init(&words, SN_TTS_MAX_TEXT);
	if (read_words(tts, text, sizeof text - 1, &words, err) == SN_OK && words.size)
		m->class->encode(m->synth, m->engine->phonemizer, words.data, words.size, &tts->options, queue_warm, tts, &missing, err);
	sn_buf_free(&words);
}
