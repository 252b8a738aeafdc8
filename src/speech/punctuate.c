#include "speech/punctuate.h"

#include "base/clock.h"
#include "speech/punctuate_rules.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 20) /* bytes of a segment's text */
#define READY 150    /* words that the classifier waits for, so that most of them have all their context */
#define LOOKAHEAD 16 /* words behind the last that is given out */
#define CONTEXT 32   /* words before the first */
#define OVERLAP 8    /* words at the cut end of a window that the next one decides */
#define PIECE 0.03   /* seconds that a piece of work should take */

typedef struct held {
	sn_segment segment;  /* as it came; its memory is one block with what it points to */
	int first, count;    /* of the words */
} held;

struct sn_punctuator {
	const sn_rules *rules;
	sn_casing *casing;
	sn_bert *model;
	char space[16];
	int keep, ended;
	held *segments;      /* those given out whose words are context, then those that wait */
	int segment_count, segment_room, next;
	sn_marked *words;
	sn_bert_case *cases; /* [word_room], by the classifier */
	int word_count, word_room;
	int ready;           /* segments before this one can be given out */
	int fresh;           /* words that came since the classifier last saw all */
	int begins;          /* the next word to be given out begins a sentence */
	sn_rules_state state;
	/* the classifier's window in work */
	int running, from, to, read, budget; /* words [from, to); words before `read` are labelled */
	int32_t ids[SN_BERT_MAX_TOKENS];
	int at[SN_BERT_MAX_TOKENS];          /* token that decides the word from + i */
	/* the segment given out */
	sn_buf text, word_text;
	sn_word *out;
	size_t *out_at;
	int out_room;
	sn_segment given;
};

/* ---- life ---- */

int sn_punctuator_open(sn_punctuator **out, const sn_punctuator_options *o, char *err) {
	*out = NULL;
	sn_punctuator *p = calloc(1, sizeof *p);
	if (!p)
		return sn_fail(err, SN_E_MEMORY, "no memory for punctuation");
	p->rules = sn_rules_of(o->language);
	p->model = o->model;
	p->keep = o->keep;
	p->begins = 1;
	p->budget = 25;
	strncpy(p->space, o->space, sizeof p->space - 1);
	sn_buf_init(&p->text, TEXT_MAX);
	sn_buf_init(&p->word_text, TEXT_MAX);
	const int result = sn_casing_open(&p->casing, o->language, err);
	if (result != SN_OK)
		sn_punctuator_close(&p);
	*out = p;
	return result;
}

void sn_punctuator_close(sn_punctuator **punctuator) {
	sn_punctuator *p = *punctuator;
	*punctuator = NULL;
	if (!p)
		return;
	sn_punctuator_leave(p);
	for (int i = 0; i < p->segment_count; i++)
		free((void *)p->segments[i].segment.words);
	sn_casing_close(&p->casing);
	sn_buf_free(&p->text);
	sn_buf_free(&p->word_text);
	free(p->segments);
	free(p->words);
	free(p->cases);
	free(p->out);
	free(p->out_at);
	free(p);
}

int sn_punctuator_holds(const sn_punctuator *p) { return p->running; }

void sn_punctuator_leave(sn_punctuator *p) {
	if (p->running)
		sn_bert_end(p->model);
	p->running = 0;
}

/* ---- in ---- */

static int room_for(int *room, int wanted, int most) {
	int size = *room ? *room : 64;
	while (size < wanted)
		size *= 2;
	*room = size < most ? size : most;
	return *room >= wanted;
}

static int reserve(sn_punctuator *p, int words, char *err) {
	int segments = p->segment_room, room = p->word_room;
	if (!room_for(&segments, p->segment_count + 1, SN_PUNCTUATE_MAX_SEGMENTS) || !room_for(&room, p->word_count + words, SN_PUNCTUATE_MAX_WORDS))
		return sn_fail(err, SN_E_LIMIT, "%d segments with %d words wait for marks; at most %d with %d can", p->segment_count + 1,
		               p->word_count + words, SN_PUNCTUATE_MAX_SEGMENTS, SN_PUNCTUATE_MAX_WORDS);
	held *const s = segments == p->segment_room ? p->segments : realloc(p->segments, (size_t)segments * sizeof *s);
	p->segments = s ? s : p->segments;
	sn_marked *const w = room == p->word_room ? p->words : realloc(p->words, (size_t)room * sizeof *w);
	p->words = w ? w : p->words;
	sn_bert_case *const c = room == p->word_room ? p->cases : realloc(p->cases, (size_t)room * sizeof *c);
	p->cases = c ? c : p->cases;
	if (!s || !w || !c)
		return sn_fail(err, SN_E_MEMORY, "no memory for %d words", room);
	p->segment_room = segments;
	p->word_room = room;
	return SN_OK;
}

/* One block: words, tokens, texts of the words. */
static int copy(sn_punctuator *p, held *h, const sn_segment *segment, char *err) {
	const size_t words = (size_t)segment->word_count * sizeof(sn_word), tokens = (size_t)segment->token_count * sizeof(int32_t);
	sn_buf *const text = &p->text;
	sn_buf_clear(text);
	for (int i = 0; i < segment->word_count; i++) {
		sn_casing_write(p->casing, segment->words[i].text, p->keep ? SN_CASE_AS_IS : SN_CASE_LOWER, text);
		sn_buf_add(text, "", 1);
	}
	char *const block = text->failed ? NULL : malloc(words + tokens + text->size + 1);
	if (!block)
		return sn_fail(err, SN_E_MEMORY, "no memory for a segment of %d words", segment->word_count);
	sn_word *const w = (sn_word *)block;
	memcpy(block, segment->words, words);
	memcpy(block + words, segment->tokens, tokens);
	const char *at = memcpy(block + words + tokens, text->data, text->size);
	for (int i = 0; i < segment->word_count; i++, at += strlen(at) + 1) {
		w[i].text = at;
		p->words[p->word_count + i] = (sn_marked){ .text = at, .start = w[i].start, .end = w[i].end, .confidence = w[i].confidence,
		                                           .before = "", .after = "", .how = SN_CASE_AS_IS };
	}
	*h = (held){ .segment = *segment, .first = p->word_count, .count = segment->word_count };
	h->segment.words = w;
	h->segment.tokens = (const int32_t *)(block + words);
	return SN_OK;
}

/* Forgets segments that were given out and whose words nothing needs as context. */
static void forget(sn_punctuator *p) {
	int drop = 0;
	while (drop < p->next && (!p->model || p->segments[p->next - 1].first + p->segments[p->next - 1].count -
	                                        (p->segments[drop].first + p->segments[drop].count) >= CONTEXT))
		free((void *)p->segments[drop++].segment.words);
	if (!drop)
		return;
	const int words = p->segments[drop - 1].first + p->segments[drop - 1].count;
	p->segment_count -= drop;
	p->word_count -= words;
	p->next -= drop;
	p->ready -= drop;
	p->read = p->read > words ? p->read - words : 0;
	p->from = p->from > words ? p->from - words : 0;
	memmove(p->segments, p->segments + drop, (size_t)p->segment_count * sizeof *p->segments);
	memmove(p->words, p->words + words, (size_t)p->word_count * sizeof *p->words);
	memmove(p->cases, p->cases + words, (size_t)p->word_count * sizeof *p->cases);
	for (int i = 0; i < p->segment_count; i++)
		p->segments[i].first -= words;
}

int sn_punctuator_add(sn_punctuator *p, const sn_segment *segment, char *err) {
	if (!p->running)
		forget(p);
	int result = segment->word_count ? reserve(p, segment->word_count, err) : SN_OK;
	if (result != SN_OK || !segment->word_count)
		return result;
	result = copy(p, &p->segments[p->segment_count], segment, err);
	if (result == SN_OK) {
		p->word_count += segment->word_count;
		p->fresh += segment->word_count;
		p->segment_count++;
	}
	return result;
}

void sn_punctuator_end(sn_punctuator *p) { p->ended = 1; }

/* ---- by rules ---- */

/* A segment's marks are known when the segment behind it is. */
static int work_by_rules(sn_punctuator *p) {
	if (p->ready == p->segment_count || (p->ready + 1 == p->segment_count && !p->ended))
		return SN_END;
	const held *const h = &p->segments[p->ready++];
	sn_rules_mark(p->rules, &p->state, p->words + h->first, h->count, p->word_count - h->first);
	return SN_OK;
}

/* ---- by the classifier ---- */

/* As many words from `from` on as fit. Reference, for marks: FullStop's predict (Guhr et al. 2021) reads the label of a word's last
 * token; models that tell the case were trained on the first (rpunct). */
static int fill_window(sn_punctuator *p, int *count, char *err) {
	const sn_bert_config *const c = sn_bert_get_config(p->model);
	int32_t ids[SN_BERT_MAX_PIECES];
	int used = 0, w = p->from;
	p->ids[used++] = c->begin;
	for (; w < p->word_count; w++) {
		int pieces = 0;
		const int result = sn_bert_encode(p->model, p->words[w].text, w == p->from, ids, &pieces, err);
		if (result != SN_OK)
			return result;
		pieces = pieces < c->most - 2 ? pieces : c->most - 2;
		if (used + pieces + 1 > c->most)
			break;
		memcpy(p->ids + used, ids, (size_t)pieces * sizeof *ids);
		p->at[w - p->from] = c->has_case ? used : used + pieces - 1;
		used += pieces;
	}
	p->ids[used++] = c->end;
	p->to = w;
	*count = used;
	return SN_OK;
}

static void read_labels(sn_punctuator *p) {
	const sn_bert_config *const c = sn_bert_get_config(p->model);
	const float *const logits = sn_bert_logits(p->model);
	const int overlap = (p->to - p->from) / 3 < OVERLAP ? (p->to - p->from) / 3 : OVERLAP;
	const int sure = p->to < p->word_count && p->to - overlap > p->read ? p->to - overlap : p->to;
	if (sure <= p->read) { /* long words left no room for a new one behind the overlap */
		p->from = p->read;
		return;
	}
	for (int w = p->read; w < sure; w++) {
		const float *const row = logits + (int64_t)p->at[w - p->from] * c->labels;
		int best = 0;
		for (int i = 1; i < c->labels; i++)
			best = row[i] > row[best] ? i : best;
		const char *const mark = c->label[best].mark;
		p->words[w].before = "";
		p->words[w].after = strcmp(mark, ".") == 0 ? p->rules->stop : strcmp(mark, ",") == 0 ? p->rules->comma
			: strcmp(mark, "?") == 0 ? p->rules->question : strcmp(mark, "-") == 0 ? " -" : mark;
		p->cases[w] = c->label[best].how;
	}
	p->read = sure;
	p->from = sure - overlap;
}

/* All words have labels: those far enough from the end keep them. */
static void settle(sn_punctuator *p) {
	if (p->ended && p->word_count && !sn_rules_ends(p->words[p->word_count - 1].after))
		p->words[p->word_count - 1].after = p->rules->stop;
	p->ready = p->next;
	while (p->ready < p->segment_count && (p->ended || p->segments[p->ready].first + p->segments[p->ready].count <= p->word_count - LOOKAHEAD))
		p->ready++;
	p->from = p->read = p->fresh = 0;
}

static int go_on(sn_punctuator *p, char *err) {
	const double start = sn_now();
	const int result = sn_bert_next(p->model, p->budget, err);
	if (result == SN_AGAIN) {
		const double wanted = p->budget * PIECE / (sn_now() - start + 1e-6);
		p->budget = wanted < 1 ? 1 : wanted > 100 ? 100 : (int)wanted;
		return SN_OK;
	}
	if (result == SN_OK)
		read_labels(p);
	sn_punctuator_leave(p);
	if (result != SN_OK)
		return result;
	if (p->read == p->word_count)
		settle(p);
	return SN_OK;
}

/* Whether there are enough new words for another reading, or no more will come. */
static int is_due(const sn_punctuator *p) {
	if (p->ready > p->next || p->next == p->segment_count)
		return 0;
	return p->read || p->ended || (p->fresh && (p->word_count - p->segments[p->next].first >= READY ||
	                                            p->segment_count >= SN_PUNCTUATE_MAX_SEGMENTS / 2));
}

static int work_by_model(sn_punctuator *p, char *err) {
	int count = 0;
	if (p->running)
		return go_on(p, err);
	if (!is_due(p))
		return SN_END;
	const int result = fill_window(p, &count, err);
	if (result != SN_OK)
		return result;
	if (sn_bert_start(p->model, p->ids, count) != SN_OK)
		return SN_AGAIN;
	p->running = 1;
	return SN_OK;
}

int sn_punctuator_work(sn_punctuator *p, char *err) {
	return p->model ? work_by_model(p, err) : work_by_rules(p);
}

/* ---- out ---- */

static int reserve_out(sn_punctuator *p, int count) {
	if (count <= p->out_room)
		return 1;
	sn_word *const out = realloc(p->out, (size_t)count * sizeof *out);
	p->out = out ? out : p->out;
	size_t *const at = realloc(p->out_at, (size_t)count * sizeof *at);
	p->out_at = at ? at : p->out_at;
	p->out_room = out && at ? count : p->out_room;
	return out && at;
}

static void set_cases(sn_punctuator *p, const held *h) {
	static const sn_case cases[] = { [SN_BERT_CASE_UNKNOWN] = SN_CASE_AS_IS, [SN_BERT_CASE_LOWER] = SN_CASE_AS_IS,
	                                 [SN_BERT_CASE_CAPITAL] = SN_CASE_CAPITAL, [SN_BERT_CASE_UPPER] = SN_CASE_UPPER };
	sn_marked *const words = p->words + h->first;
	sn_rules_case(p->casing, words, h->count, p->begins, p->keep);
	for (int i = 0; p->model && sn_bert_get_config(p->model)->has_case && i < h->count; i++) {
		words[i].how = cases[p->cases[h->first + i]];
		words[i].joined = 0;
	}
	p->begins = sn_rules_ends(words[h->count - 1].after);
}

/* The words' texts one after another, each with its marks; a joined letter goes to the word before it. */
static int write_words(sn_punctuator *p, const held *h) {
	sn_buf *const text = &p->word_text;
	int count = 0;
	sn_buf_clear(text);
	for (int i = 0; i < h->count; i++) {
		const sn_marked *const w = &p->words[h->first + i];
		if (!w->joined || !count) {
			if (count)
				sn_buf_add(text, "", 1);
			p->out[count] = (sn_word){ .start = w->start, .confidence = w->confidence };
			p->out_at[count++] = text->size;
		}
		sn_word *const o = &p->out[count - 1];
		o->end = w->end;
		o->confidence = w->confidence < o->confidence ? w->confidence : o->confidence;
		sn_buf_text(text, w->before);
		sn_casing_write(p->casing, w->text, w->how, text);
		sn_buf_text(text, w->after);
	}
	for (int i = 0; i < count && !text->failed; i++)
		p->out[i].text = text->data + p->out_at[i];
	return count;
}

int sn_punctuator_next(sn_punctuator *p, const sn_segment **segment) {
	if (p->next >= p->ready || p->running)
		return 0;
	const held *const h = &p->segments[p->next];
	if (!reserve_out(p, h->count))
		return SN_E_MEMORY;
	set_cases(p, h);
	p->given = h->segment;
	p->given.words = p->out;
	p->given.word_count = write_words(p, h);
	if (p->word_text.failed)
		return SN_E_MEMORY;
	sn_buf_clear(&p->text);
	for (int i = 0; i < p->given.word_count; i++) {
		if (i || p->given.id)
			sn_buf_text(&p->text, p->space);
		sn_buf_text(&p->text, p->out[i].text);
	}
	if (p->text.failed)
		return SN_E_MEMORY;
	p->given.text = p->text.data ? p->text.data : "";
	p->next++;
	*segment = &p->given;
	return 1;
}
