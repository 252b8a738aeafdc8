#include "server/stt_record.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "sntrans1"
#define MAX_COUNT ((uint64_t)1 << 32)

/* The order in a record: head, segments, words, tokens, their logarithms, attempts, texts. A text ends with its NUL. */
typedef struct head {
	char magic[8];
	uint64_t segments, words, tokens, logprobs, notes, attempts, texts; /* texts: bytes */
	double duration;
	float language_confidence, avg_confidence;
} head;

typedef struct segment_record {
	double start, end;
	int32_t id, tokens, words, has_logprobs;
	float temperature, avg_logprob, compression_ratio, no_speech_prob, confidence, unused;
} segment_record;

typedef struct word_record { double start, end; float confidence, unused; } word_record;
typedef struct attempt_record { float confidence; int32_t kept; } attempt_record;

/* ---- writing ---- */

static void add_text(sn_buf *out, const char *text) { sn_buf_add(out, text, strlen(text) + 1); }

static void write_texts(sn_buf *out, const sn_transcript *t) {
	add_text(out, t->text);
	add_text(out, t->language);
	add_text(out, t->task);
	add_text(out, t->model);
	add_text(out, t->dtype);
	for (size_t i = 0; i < t->segment_count; i++) {
		const sn_segment *const s = &t->segments[i];
		add_text(out, s->text);
		for (int k = 0; k < s->word_count; k++)
			add_text(out, s->words[k].text);
	}
	for (size_t i = 0; i < t->note_count; i++) {
		add_text(out, t->notes[i].code);
		add_text(out, t->notes[i].message);
	}
	for (int i = 0; i < t->attempt_count; i++) {
		add_text(out, t->attempts[i].model);
		add_text(out, t->attempts[i].dtype);
	}
}

static void write_segments(sn_buf *out, const sn_transcript *t) {
	for (size_t i = 0; i < t->segment_count; i++) {
		const sn_segment *const s = &t->segments[i];
		const segment_record r = { .start = s->start, .end = s->end, .id = s->id, .tokens = s->token_count, .words = s->word_count,
			.has_logprobs = s->token_logprobs != NULL, .temperature = s->temperature, .avg_logprob = s->avg_logprob,
			.compression_ratio = s->compression_ratio, .no_speech_prob = s->no_speech_prob, .confidence = s->confidence };
		sn_buf_add(out, &r, sizeof r);
	}
	for (size_t i = 0; i < t->segment_count; i++)
		for (int k = 0; k < t->segments[i].word_count; k++) {
			const sn_word *const w = &t->segments[i].words[k];
			sn_buf_add(out, &(word_record){ .start = w->start, .end = w->end, .confidence = w->confidence }, sizeof(word_record));
		}
	for (size_t i = 0; i < t->segment_count; i++)
		if (t->segments[i].token_count)
			sn_buf_add(out, t->segments[i].tokens, (size_t)t->segments[i].token_count * sizeof(int32_t));
	for (size_t i = 0; i < t->segment_count; i++)
		if (t->segments[i].token_count && t->segments[i].token_logprobs)
			sn_buf_add(out, t->segments[i].token_logprobs, (size_t)t->segments[i].token_count * sizeof(float));
	for (int i = 0; i < t->attempt_count; i++)
		sn_buf_add(out, &(attempt_record){ t->attempts[i].confidence, t->attempts[i].kept }, sizeof(attempt_record));
}

void sv_record_write(sn_buf *out, const sn_transcript *t) {
	sn_buf texts;
	head h = { .magic = MAGIC, .segments = t->segment_count, .notes = t->note_count, .attempts = (uint64_t)t->attempt_count,
		.duration = t->duration, .language_confidence = t->language_confidence, .avg_confidence = t->avg_confidence };
	for (size_t i = 0; i < t->segment_count; i++) {
		h.words += (uint64_t)t->segments[i].word_count;
		h.tokens += (uint64_t)t->segments[i].token_count;
		h.logprobs += t->segments[i].token_logprobs ? (uint64_t)t->segments[i].token_count : 0;
	}
	sn_buf_init(&texts, SV_MAX_RECORD);
	write_texts(&texts, t);
	h.texts = texts.size;
	sn_buf_add(out, &h, sizeof h);
	write_segments(out, t);
	sn_buf_add(out, texts.data, texts.size);
	if (texts.failed && !out->failed)
		out->failed = texts.failed;
	sn_buf_free(&texts);
}

/* ---- reading ---- */

/* The transcript, what it points to, and a copy of the bytes, in which its texts and tokens lie. */
typedef struct block {
	sn_transcript t; /* first */
	const char *text, *end;
	const segment_record *segments;
	const word_record *words;
	const int32_t *tokens;
	const float *logprobs;
	const attempt_record *attempts;
	sn_segment *segment;
	sn_word *word;
	sn_note *note;
	sn_attempt *attempt;
} block;

/* The next of the texts; when there are too few the last one serves again, and read_parts sees that. */
static const char *next_text(block *b) {
	const char *const text = b->text;
	if (!text)
		return "";
	const char *const nul = memchr(text, 0, (size_t)(b->end - text));
	b->text = nul && nul + 1 < b->end ? nul + 1 : NULL;
	return text;
}

static int read_segment(block *b, const head *h, size_t i, size_t used[3]) {
	const segment_record *const r = &b->segments[i];
	sn_segment *const s = &b->segment[i];
	if (r->tokens < 0 || r->words < 0 || used[0] + (size_t)r->words > h->words || used[1] + (size_t)r->tokens > h->tokens ||
	    (r->has_logprobs && used[2] + (size_t)r->tokens > h->logprobs))
		return 0;
	*s = (sn_segment){ .id = r->id, .start = r->start, .end = r->end, .text = next_text(b), .tokens = b->tokens + used[1],
		.token_count = r->tokens, .token_logprobs = r->has_logprobs ? b->logprobs + used[2] : NULL, .temperature = r->temperature,
		.avg_logprob = r->avg_logprob, .compression_ratio = r->compression_ratio, .no_speech_prob = r->no_speech_prob, .confidence = r->confidence,
		.words = r->words ? b->word + used[0] : NULL, .word_count = r->words };
	for (int k = 0; k < r->words; k++) {
		const word_record *const w = &b->words[used[0] + (size_t)k];
		b->word[used[0] + (size_t)k] = (sn_word){ w->start, w->end, next_text(b), w->confidence };
	}
	used[0] += (size_t)r->words;
	used[1] += (size_t)r->tokens;
	used[2] += r->has_logprobs ? (size_t)r->tokens : 0;
	return 1;
}

static int read_parts(block *b, const head *h) {
	size_t used[3] = { 0 };
	b->t = (sn_transcript){ .language_confidence = h->language_confidence, .avg_confidence = h->avg_confidence, .duration = h->duration,
		.segments = b->segment, .segment_count = (size_t)h->segments, .notes = b->note, .note_count = (size_t)h->notes,
		.attempts = b->attempt, .attempt_count = (int)h->attempts };
	b->t.text = next_text(b);
	b->t.language = next_text(b);
	b->t.task = next_text(b);
	b->t.model = next_text(b);
	b->t.dtype = next_text(b);
	for (size_t i = 0; i < h->segments; i++)
		if (!read_segment(b, h, i, used))
			return 0;
	for (size_t i = 0; i < h->notes; i++) {
		b->note[i].code = next_text(b);
		b->note[i].message = next_text(b);
	}
	for (size_t i = 0; i < h->attempts; i++) {
		if (!b->text)
			return 0;
		b->attempt[i] = (sn_attempt){ .confidence = b->attempts[i].confidence, .kept = b->attempts[i].kept };
		b->attempt[i].model = next_text(b);
		b->attempt[i].dtype = next_text(b);
	}
	return !b->text && used[0] == h->words && used[1] == h->tokens && used[2] == h->logprobs;
}

sn_transcript *sv_record_read(const void *data, size_t size) {
	head h;
	if (size < sizeof h || size > SV_MAX_RECORD)
		return NULL;
	memcpy(&h, data, sizeof h);
	if (memcmp(h.magic, MAGIC, sizeof h.magic) != 0 || h.segments > MAX_COUNT || h.words > MAX_COUNT || h.tokens > MAX_COUNT ||
	    h.logprobs > MAX_COUNT || h.notes > MAX_COUNT || h.attempts > SN_MAX_RETRIES + 1 || h.texts > MAX_COUNT)
		return NULL;
	const uint64_t words = sizeof h + h.segments * sizeof(segment_record), tokens = words + h.words * sizeof(word_record);
	const uint64_t logprobs = tokens + h.tokens * sizeof(int32_t), attempts = logprobs + h.logprobs * sizeof(float);
	const uint64_t texts = attempts + h.attempts * sizeof(attempt_record);
	const char *const bytes = data;
	if (texts + h.texts != size || !h.texts || bytes[size - 1] != 0 || h.notes > h.texts)
		return NULL;
	const size_t at_words = sizeof(block) + (size_t)h.segments * sizeof(sn_segment), at_notes = at_words + (size_t)h.words * sizeof(sn_word);
	const size_t at_attempts = at_notes + (size_t)h.notes * sizeof(sn_note), at_data = at_attempts + (size_t)h.attempts * sizeof(sn_attempt);
	char *const memory = calloc(1, at_data + size);
	if (!memory)
		return NULL;
	char *const copy = memcpy(memory + at_data, data, size);
	block *const b = (block *)(void *)memory;
	b->segment = (sn_segment *)(void *)(memory + sizeof(block));
	b->word = (sn_word *)(void *)(memory + at_words);
	b->note = (sn_note *)(void *)(memory + at_notes);
	b->attempt = (sn_attempt *)(void *)(memory + at_attempts);
	b->segments = (const segment_record *)(void *)(copy + sizeof h);
	b->words = (const word_record *)(void *)(copy + words);
	b->tokens = (const int32_t *)(void *)(copy + tokens);
	b->logprobs = (const float *)(void *)(copy + logprobs);
	b->attempts = (const attempt_record *)(void *)(copy + attempts);
	b->text = copy + texts;
	b->end = copy + size;
	if (read_parts(b, &h))
		return &b->t;
	free(memory);
	return NULL;
}
