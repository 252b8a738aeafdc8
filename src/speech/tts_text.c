/* Text on its way to the conductor: decided to be SSML or not, cut into sentences or clauses, read as words, made into ids. */
#include "speech/tts.h"

#include "base/clock.h"
#include "text/clauses.h"
#include "text/inline.h"
#include "text/sentences.h"
#include "text/validate.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#define SENTENCE_BYTES 600 /* a longer sentence is cut: about 40 s at the usual speed */
#define SENTENCE_LEAST 16  /* below that sentences are not cut */
#define AHEAD 1.5          /* seconds of speech ahead of the listener below which clauses are spoken */
#define TAG_BYTES 200      /* of "[laughs]" and "{HH AH0}", which models read themselves */

void sn_tts_text_open(sn_tts *tts, const sn_tts_options *o) {
	tts_text *const in = &tts->in;
	sn_buf_init(&in->text, SN_TTS_MAX_TEXT + 1);
	sn_buf_init(&in->marks, (size_t)TTS_MARKS * TTS_NAME + 1);
	sn_buf_init(&in->head, SN_TTS_MAX_TEXT + 64);
	in->kind = o->ssml == SN_ON ? TTS_SSML : o->ssml == SN_OFF ? TTS_PLAIN : TTS_UNDECIDED;
	in->written = (sn_ssml_style){ .rate = 1, .pitch = 1, .gain = 1 };
	in->style = (tts_style){ .speed = tts->options.speed, .pitch = tts->options.pitch, .gain = 1, .language = tts->options.language,
		.voice = tts->options.voice };
	const sn_synth_facts *const f = tts->model->facts;
	const char *const own = tts->options.language ? tts->options.language : *f->language ? f->language : f->language_count ? f->languages[0] : "";
	snprintf(in->style.reading, sizeof in->style.reading, "%s", own);
	in->normalise = o->normalise != SN_OFF;
	in->stream = o->stream == SN_ON;
	snprintf(in->nothing, sizeof in->nothing, "there was no text to speak");
}

void sn_tts_text_close(tts_text *in) {
	sn_ssml_close(&in->ssml);
	for (int i = 0; i < TTS_NORMALISERS; i++)
		sn_normaliser_close(&in->readers[i].normaliser);
	for (int i = 0; i < in->voice_count; i++)
		sn_voice_clear(&in->voices[i].voice);
	sn_buf_free(&in->text);
	sn_buf_free(&in->marks);
	sn_buf_free(&in->head);
}

void sn_tts_note(sn_tts *tts, const char *code, const char *format, ...) {
	char text[SN_NOTE_TEXT];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	sn_sched_lock(tts->engine->sched);
	sn_notes_add(&tts->notes, code, "%s", text);
	sn_sched_unlock(tts->engine->sched);
}

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
static tts_item *new_item(tts_kind kind, int ids, const tts_mark *marks, int mark_count, const char *words, size_t size, char *err) {
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
	tts_item *const item = new_item(TTS_SILENCE, 0, NULL, 0, NULL, 0, err);
	if (!item)
		return SN_E_MEMORY;
	item->silence = (int64_t)(seconds * tts->rate);
	sn_tts_queue(tts, item);
	return SN_OK;
}

static int queue_mark(sn_tts *tts, const char *name, char *err) {
	tts_mark mark = { 0 };
	snprintf(mark.name, sizeof mark.name, "%s", name);
	tts_item *const item = new_item(TTS_MARK, 0, &mark, 1, NULL, 0, err);
	if (!item)
		return SN_E_MEMORY;
	sn_tts_queue(tts, item);
	return SN_OK;
}

/* The text ends here: what was queued is spoken, then the session ends with the error. */
static int end_text(sn_tts *tts, int result, const char *message, char *err) {
	tts_text *const in = &tts->in;
	snprintf(in->message, sizeof in->message, "%s", message);
	in->broken = result;
	sn_buf_clear(&in->text);
	sn_buf_clear(&in->marks);
	tts_item *const item = new_item(TTS_ERROR, 0, NULL, 0, in->message, strlen(in->message), NULL);
	if (item) {
		item->error = result;
		sn_tts_queue(tts, item);
	}
	return sn_fail(err, result, "%s", in->message);
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
	while (m->done < m->size && isspace((unsigned char)m->words[m->done]))
		m->done++;
	const size_t from = m->done, to = bytes < m->size - from ? from + bytes : m->size;
	const float begin = (float)from / (float)m->size, length = (float)(to - from) / (float)m->size;
	int taken = 0;
	while (m->marks_taken + taken < m->mark_count && (to == m->size || m->marks[m->marks_taken + taken].share < begin + length))
		taken++;
	tts_item *const item = new_item(TTS_SPEECH, count, m->marks + m->marks_taken, taken, m->words + from, to - from, err);
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
static size_t most_bytes(const sn_tts *tts) {
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
	return result;
}

/* Words may be much longer than what was written: "1e9" is cut once more then. */
static int encode_parts(sn_tts *tts, making *m, const sn_buf *words, char *err) {
	sn_spans spans;
	if (words->size <= most_bytes(tts) || memmem(words->data, words->size, SN_INLINE_IPA, SN_INLINE_BYTES))
		return encode(tts, m, words->data, words->size, err);
	const tts_mark *const marks = m->marks;
	const int mark_count = m->mark_count, ends = m->ends;
	int result = sn_sentences(words->data, words->size, tts->in.style.reading, most_bytes(tts), &spans, err);
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
	return sn_normaliser_open(&in->readers[at].normaliser, language, err) == SN_OK ? in->readers[at].normaliser : NULL;
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
	while (i < size && i < TAG_BYTES && (isalpha((unsigned char)text[i]) || text[i] == ' ' || (close == '}' && isdigit((unsigned char)text[i]))))
		i++;
	return i > 1 && i < size && text[i] == close ? i + 1 : 0;
}

static int add_reading(sn_tts *tts, sn_normaliser *reader, const char *text, size_t size, sn_buf *out, char *err) {
	tts_text *const in = &tts->in;
	sn_normal_map map = { 0 };
	if (!size)
		return SN_OK;
	if (out->size && isspace((unsigned char)*text) && !isspace((unsigned char)out->data[out->size - 1]))
		sn_buf_text(out, " ");
	int result = sn_normalise(reader, text, size, out, &map, err);
	if (result == SN_OK && out->size && isspace((unsigned char)text[size - 1]) && !isspace((unsigned char)out->data[out->size - 1]))
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
		return SN_E_DEPENDENCY;
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
			sn_tts_note(tts, "foreign_script", "there are %s letters in the text, which is taken for \"%s\"; the voice may spell them by name",
			            uscript_getName(script), tts->in.style.reading);
	}
	return strange;
}

static int speak_span(sn_tts *tts, const char *text, size_t size, int ends, char *err) {
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
		result = queue_mark(tts, marks[i].name, err);
	free(marks);
	sn_buf_free(&plain);
	sn_buf_free(&words);
	return result;
}

/* Queues the ids of a sentence that is not spoken: an sn_synth_emit. */
static int queue_warm(void *payload, const int32_t *ids, int count, size_t bytes, char *err) {
	sn_tts *const tts = payload;
	tts_item *const item = count > 0 ? new_item(TTS_WARM, count, NULL, 0, NULL, 0, err) : NULL;
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

/* ---- cutting ---- */

/* A stretch of text as its sentences, the last of which ends where `ends` says so. */
static int speak_all(sn_tts *tts, const char *text, size_t size, int ends, char *err) {
	sn_spans spans;
	int result = sn_sentences(text, size, tts->in.style.reading, most_bytes(tts), &spans, err);
	for (int i = 0; result == SN_OK && i < spans.count; i++)
		result = speak_span(tts, text + spans.items[i].begin, spans.items[i].end - spans.items[i].begin,
		                    spans.items[i].sentence_end && (ends || i + 1 < spans.count), err);
	sn_spans_free(&spans);
	return result;
}

static void drop_front(sn_buf *text, size_t used) {
	if (!used)
		return;
	memmove(text->data, text->data + used, text->size - used + 1);
	text->size -= used;
}

/* May the listener be waiting, or soon? */
static int is_hungry(sn_tts *tts) {
	sn_sched_lock(tts->engine->sched);
	const double made = (double)tts->samples / tts->rate, heard = tts->samples ? sn_now() - tts->opened - tts->first_audio : 0;
	const int hungry = !tts->first && made - heard + (tts->speaking ? 1 : 0) < AHEAD;
	sn_sched_unlock(tts->engine->sched);
	return hungry;
}

static int speak_clauses(sn_tts *tts, char *err) {
	tts_text *const in = &tts->in;
	size_t used = 0, end;
	int result = SN_OK, sentence_end = 0;
	while (result == SN_OK && (end = sn_clause_end(in->text.data + used, in->text.size - used, in->style.reading, is_hungry(tts), &sentence_end))) {
		result = speak_all(tts, in->text.data + used, end, sentence_end, err);
		used += end;
	}
	drop_front(&in->text, used);
	return result;
}

/* Queues all sentences that are whole. One that never ends is cut at the model's length. */
static int speak_ready(sn_tts *tts, char *err) {
	tts_text *const in = &tts->in;
	sn_spans spans;
	if (!in->text.size)
		return SN_OK;
	int result = in->stream ? speak_clauses(tts, err) : SN_OK;
	if (result != SN_OK || (in->stream && in->text.size < 2 * most_bytes(tts)))
		return result;
	result = sn_sentences(in->text.data, in->text.size, in->style.reading, most_bytes(tts), &spans, err);
	const int ready = spans.count - 1;
	for (int i = 0; i < ready && result == SN_OK; i++)
		result = speak_span(tts, in->text.data + spans.items[i].begin, spans.items[i].end - spans.items[i].begin, spans.items[i].sentence_end, err);
	if (result == SN_OK && ready > 0)
		drop_front(&in->text, spans.items[ready].begin);
	sn_spans_free(&spans);
	return result;
}

int sn_tts_text_flush(sn_tts *tts, int sentence_end, char *err) {
	tts_text *const in = &tts->in;
	if (!in->text.size)
		return SN_OK;
	int result = speak_all(tts, in->text.data, in->text.size, sentence_end, err);
	sn_buf_clear(&in->text);
	return result;
}

int sn_tts_text_hurry(sn_tts *tts) {
	tts_text *const in = &tts->in;
	char err[SN_ERRLEN];
	const int before = in->items;
	if (!in->stream || !in->text.size || in->broken)
		return 0;
	int result = speak_clauses(tts, err);
	if (result != SN_OK)
		end_text(tts, result, err, NULL);
	return in->items > before;
}

/* ---- text that comes in ---- */

/* Cleaned text; what has no letter yet is no mistake. */
static int clean(sn_tts *tts, const char *text, size_t size, sn_buf *out, char *err) {
	char reason[SN_ERRLEN] = "";
	sn_text_facts facts;
	int result = sn_text_validate(text, size, out, &facts, reason);
	if (result == SN_E_ARGUMENT) {
		snprintf(tts->in.nothing, sizeof tts->in.nothing, "%s", reason);
		result = out->failed;
	}
	return result == SN_OK ? SN_OK : sn_fail(err, result, "%s", reason);
}

int sn_tts_text_add(sn_tts *tts, const char *text, size_t size, char *err) {
	sn_buf *const to = &tts->in.text;
	sn_buf cleaned;
	sn_buf_init(&cleaned, SN_TTS_MAX_TEXT + 1);
	int result = clean(tts, text, size, &cleaned, err);
	if (result == SN_OK && to->size + cleaned.size > SN_TTS_MAX_TEXT)
		result = sn_fail(err, SN_E_LIMIT, "a sentence of more than %zu bytes", SN_TTS_MAX_TEXT);
	if (result == SN_OK && cleaned.size && sn_buf_add(to, cleaned.data, cleaned.size) != SN_OK)
		result = sn_fail(err, SN_E_MEMORY, "no memory for %zu bytes of text", cleaned.size);
	sn_buf_free(&cleaned);
	return result;
}

int sn_tts_text_mark(sn_tts *tts, const char *name, char *err) {
	tts_text *const in = &tts->in;
	char padded[TTS_NAME] = "";
	if (!in->text.size)
		return queue_mark(tts, name, err);
	snprintf(padded, sizeof padded, "%s", name);
	if (in->text.size + SN_INLINE_BYTES > SN_TTS_MAX_TEXT || in->marks.size + TTS_NAME > (size_t)TTS_MARKS * TTS_NAME)
		return sn_fail(err, SN_E_LIMIT, "more than %d marks in one sentence", TTS_MARKS);
	if (sn_buf_text(&in->text, SN_INLINE_MARK) != SN_OK || sn_buf_add(&in->marks, padded, sizeof padded) != SN_OK)
		return sn_fail(err, SN_E_MEMORY, "no memory for a mark");
	return SN_OK;
}

static int push_ssml(sn_tts *tts, const char *text, size_t size, int last, char *err) {
	tts_text *const in = &tts->in;
	char reason[SN_ERRLEN] = "";
	int result = in->ssml ? SN_OK : sn_ssml_open(&in->ssml, sn_tts_ssml_event, tts, reason);
	if (result == SN_OK)
		result = sn_ssml_push(in->ssml, text, size, last, reason);
	if (result == SN_OK && !last)
		result = speak_ready(tts, reason);
	if (result != SN_OK) /* what was read before it is spoken */
		sn_tts_text_flush(tts, 1, NULL);
	return result == SN_OK ? SN_OK : end_text(tts, result, reason, err);
}

static int push_plain(sn_tts *tts, const char *text, size_t size, char *err) {
	char reason[SN_ERRLEN] = "";
	int result = sn_tts_text_add(tts, text, size, err);
	if (result != SN_OK)
		return result;
	result = speak_ready(tts, reason);
	return result == SN_OK ? SN_OK : end_text(tts, result, reason, err);
}

/* Collects text until it shows whether it is SSML. */
static int push_undecided(sn_tts *tts, const char *text, size_t size, int last, char *err) {
	tts_text *const in = &tts->in;
	const size_t before = in->head.size;
	if (sn_buf_add(&in->head, text, size) != SN_OK)
		return sn_fail(err, SN_E_MEMORY, "no memory for %zu bytes of text", size);
	int is = sn_ssml_begins(in->head.data, in->head.size);
	if (is < 0 && !last)
		return SN_OK;
	in->kind = is > 0 ? TTS_SSML : TTS_PLAIN;
	int result = is > 0 ? push_ssml(tts, in->head.data, in->head.size, 0, err) : push_plain(tts, in->head.data, in->head.size, err);
	if (result != SN_OK && !in->broken) { /* refused: as if it had not come */
		in->kind = TTS_UNDECIDED;
		in->head.size = before;
		return result;
	}
	sn_buf_clear(&in->head);
	return result;
}

int sn_tts_text_push(sn_tts *tts, const char *text, size_t size, char *err) {
	tts_text *const in = &tts->in;
	if (in->broken)
		return sn_fail(err, in->broken, "%s", in->message);
	if (!size)
		return SN_OK;
	if (in->kind == TTS_UNDECIDED)
		return push_undecided(tts, text, size, 0, err);
	return in->kind == TTS_SSML ? push_ssml(tts, text, size, 0, err) : push_plain(tts, text, size, err);
}

int sn_tts_text_finish(sn_tts *tts, char *err) {
	tts_text *const in = &tts->in;
	char reason[SN_ERRLEN] = "";
	int result = in->broken ? sn_fail(err, in->broken, "%s", in->message) : SN_OK;
	if (result == SN_OK && in->kind == TTS_UNDECIDED && in->head.size)
		result = push_undecided(tts, "", 0, 1, err);
	if (result == SN_OK && in->kind == TTS_SSML)
		result = push_ssml(tts, "", 0, 1, err);
	if (result == SN_OK && (result = sn_tts_text_flush(tts, 1, reason)) != SN_OK)
		return end_text(tts, result, reason, err);
	if (result == SN_OK && !in->items && (in->missing || in->unspoken))
		return sn_fail(err, SN_E_ARGUMENT, "there is nothing to speak: the voice \"%.64s\" of \"%.128s\" knows none of the %zu characters or sounds",
		               *tts->voice.name ? tts->voice.name : "default", tts->model->name, (size_t)in->missing + in->unspoken);
	return result == SN_OK && !in->items ? sn_fail(err, SN_E_ARGUMENT, "%s", in->nothing) : result;
}
