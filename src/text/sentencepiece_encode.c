#include "text/sentencepiece_internal.h"

#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/utf8.h>

/* Ids being written; a run of unknown pieces is one id, or the bytes of the text with byte fallback. */
typedef struct writer {
	const sn_spm *spm;
	int32_t *ids;
	int max, count, after_unknown;
} writer;

static void put(writer *w, int32_t id) {
	if (w->count < w->max)
		w->ids[w->count] = id;
	w->count++;
}

static void put_piece(writer *w, int32_t id, const char *text, size_t size) {
	int unknown = id == w->spm->config.unknown;
	if (unknown && w->spm->config.byte_fallback)
		for (size_t i = 0; i < size; i++)
			put(w, w->spm->byte_ids[(uint8_t)text[i]]);
	else if (!unknown || !w->after_unknown)
		put(w, id);
	w->after_unknown = unknown;
}

int32_t spm_lookup(const sn_spm *spm, const char *text, size_t size) {
	int32_t id = vocab_find(&spm->pieces, &spm->reserved, text, size);
	if (id < 0)
		id = vocab_find(&spm->pieces, &spm->normal, text, size);
	return id < 0 ? spm->config.unknown : id;
}

static size_t one_character(const char *text, size_t size) {
	int32_t next = 0;
	U8_FWD_1((const uint8_t *)text, next, (int32_t)size);
	return (size_t)next;
}

/* The longest symbol that the user defined (*defined 1), else one character. */
static size_t symbol(const sn_spm *spm, const char *text, size_t size, int *defined) {
	size_t length = 0;
	*defined = vocab_longest(&spm->pieces, &spm->user, text, size, &length) >= 0;
	return *defined ? length : one_character(text, size);
}

static void encode_characters(writer *w, const char *text, size_t size) {
	int defined;
	for (size_t i = 0; i < size;) {
		size_t length = symbol(w->spm, text + i, size - i, &defined);
		put_piece(w, spm_lookup(w->spm, text + i, length), text + i, length);
		i += length;
	}
}

/* ---- words: "▁" begins one, or ends it; of several the first does where pieces of white space alone are allowed ---- */

static void encode_words(writer *w, const char *text, size_t size) {
	const size_t mark = sizeof SN_SPM_SPACE - 1;
	const int suffix = w->spm->config.whitespace_as_suffix, runs = w->spm->only_white;
	size_t start = 0;
	int in_run = 0;
	for (size_t i = 0; i < size;) {
		int white = size - i >= mark && memcmp(text + i, SN_SPM_SPACE, mark) == 0;
		size_t length = white ? mark : one_character(text + i, size - i);
		int starts = suffix ? in_run && (!white || !runs) : white && (!in_run || !runs);
		if (i && starts) {
			put_piece(w, spm_lookup(w->spm, text + start, i - start), text + start, i - start);
			start = i;
		}
		in_run = white;
		i += length;
	}
	put_piece(w, spm_lookup(w->spm, text + start, size - start), text + start, size - start);
}

/* ---- unigram: the path of the largest sum of scores (Viterbi, Kudo 2018) ---- */

typedef struct node {
	int32_t id, start; /* of the best piece that ends here; start < 0: none does */
	int32_t next;      /* where the piece that begins here ends, once the path is known */
	float score;
} node;

#define UNKNOWN_PENALTY 10.0f

static void improve(node *to, int32_t id, int32_t start, double score) {
	if (to->start < 0 || score > (double)to->score)
		*to = (node){ id, start, 0, (float)score };
}

/* All pieces that begin at `start`; an unknown character stands where none has its length. */
static void extend(const sn_spm *spm, node *nodes, const char *text, size_t size, size_t start, size_t character) {
	vocab_cursor cursor = VOCAB_START(&spm->normal);
	float before = nodes[start].score;
	int single = 0;
	for (size_t i = start; i < size; i++) {
		int32_t id = vocab_step(&spm->pieces, &spm->normal, &cursor, (uint8_t)text[i]);
		if (id == -2)
			break;
		if (id < 0 || spm->kinds[id] == SPM_UNUSED)
			continue;
		size_t length = i + 1 - start;
		/* A symbol that the user defined is always to win: the reference gives it this. */
		double score = spm->kinds[id] == SPM_USER ? (double)length * (double)spm->most - 0.1 : (double)spm->scores[id];
		improve(&nodes[i + 1], id, (int32_t)start, score + (double)before);
		single |= length == character;
	}
	if (!single)
		improve(&nodes[start + character], spm->config.unknown, (int32_t)start, (double)(spm->least - UNKNOWN_PENALTY) + (double)before);
}

static int encode_unigram(writer *w, const char *text, size_t size, char *err) {
	node *nodes = malloc((size + 1) * sizeof *nodes);
	if (!nodes)
		return sn_fail(err, SN_E_MEMORY, "out of memory for a text of %zu bytes", size);
	for (size_t i = 0; i <= size; i++)
		nodes[i] = (node){ -1, -1, 0, 0 };
	for (size_t i = 0; i < size;) {
		size_t character = one_character(text + i, size - i);
		extend(w->spm, nodes, text, size, i, character);
		i += character;
	}
	for (int32_t end = (int32_t)size; end > 0; end = nodes[end].start)
		nodes[nodes[end].start].next = end;
	for (int32_t start = 0; start < (int32_t)size; start = nodes[start].next)
		put_piece(w, nodes[nodes[start].next].id, text + start, (size_t)(nodes[start].next - start));
	free(nodes);
	return SN_OK;
}

/* ---- BPE: joins the pair whose piece has the largest score, leftmost first ---- */

typedef struct part {
	int32_t at, size, previous, next; /* size 0: joined to the part before */
	int frozen;                       /* a symbol that the user defined is never joined */
} part;

typedef struct pair {
	float score;
	int32_t left, right, size;
} pair;

typedef struct merger {
	const sn_spm *spm;
	const char *text;
	part *parts;
	pair *heap;
	int32_t count; /* of the heap */
	int32_t *cuts; /* by id, of unused pieces: bytes of the first of the two that make it; NULL: none is unused */
} merger;

static int before(const pair *a, const pair *b) { return a->score != b->score ? a->score > b->score : a->left < b->left; }

static void heap_push(merger *m, pair p) {
	int32_t i = m->count++;
	for (; i > 0 && before(&p, &m->heap[(i - 1) / 2]); i = (i - 1) / 2)
		m->heap[i] = m->heap[(i - 1) / 2];
	m->heap[i] = p;
}

static pair heap_pop(merger *m) {
	pair top = m->heap[0], p = m->heap[--m->count];
	int32_t i = 0;
	for (;;) {
		int32_t child = 2 * i + 1;
		if (child + 1 < m->count && before(&m->heap[child + 1], &m->heap[child]))
			child++;
		if (child >= m->count || !before(&m->heap[child], &p))
			break;
		m->heap[i] = m->heap[child];
		i = child;
	}
	m->heap[i] = p;
	return top;
}

static void consider(merger *m, int32_t left, int32_t right) {
	if (left < 0 || right < 0 || m->parts[left].frozen || m->parts[right].frozen)
		return;
	int32_t size = m->parts[left].size + m->parts[right].size;
	int32_t id = size <= SN_VOCAB_MAX_TOKEN ? vocab_find(&m->spm->pieces, &m->spm->normal, m->text + m->parts[left].at, (size_t)size) : -1;
	if (id < 0)
		return;
	heap_push(m, (pair){ m->spm->scores[id], left, right, size });
	if (m->cuts && m->spm->kinds[id] == SPM_UNUSED)
		m->cuts[id] = m->parts[left].size;
}

static int32_t split(merger *m, const char *text, size_t size) {
	int32_t count = 0;
	for (size_t i = 0; i < size; count++) {
		int defined;
		size_t length = symbol(m->spm, text + i, size - i, &defined);
		m->parts[count] = (part){ (int32_t)i, (int32_t)length, count - 1, i + length < size ? count + 1 : -1, defined };
		i += length;
	}
	return count;
}

static void join(merger *m) {
	while (m->count) {
		pair p = heap_pop(m);
		part *left = &m->parts[p.left], *right = &m->parts[p.right];
		if (!left->size || !right->size || left->size + right->size != p.size)
			continue;
		left->size = p.size;
		left->next = right->next;
		right->size = 0;
		if (left->next >= 0)
			m->parts[left->next].previous = p.left;
		consider(m, left->previous, p.left);
		consider(m, p.left, left->next);
	}
}

/* An unused piece is taken apart into what made it until every piece is used. */
static void put_used(const merger *m, writer *w, int32_t at, int32_t size) {
	int32_t id = spm_lookup(m->spm, m->text + at, (size_t)size), cut = m->cuts && m->spm->kinds[id] == SPM_UNUSED ? m->cuts[id] : 0;
	if (cut <= 0 || cut >= size) {
		put_piece(w, id, m->text + at, (size_t)size);
		return;
	}
	put_used(m, w, at, cut);
	put_used(m, w, at + cut, size - cut);
}

/* n parts begin with n - 1 pairs, and each of n - 1 joins adds at most two. */
static int encode_bpe(writer *w, const char *text, size_t size, char *err) {
	const int unused = w->spm->has_unused;
	merger m = { w->spm, text, malloc(size * sizeof *m.parts), malloc(3 * size * sizeof *m.heap), 0, NULL };
	int result = SN_OK;
	if (unused)
		m.cuts = calloc((size_t)w->spm->config.size, sizeof *m.cuts);
	if (!m.parts || !m.heap || (unused && !m.cuts)) {
		result = sn_fail(err, SN_E_MEMORY, "out of memory for a text of %zu bytes", size);
	} else {
		int32_t count = split(&m, text, size);
		for (int32_t i = 1; i < count; i++)
			consider(&m, i - 1, i);
		join(&m);
		for (int32_t i = 0; i >= 0; i = m.parts[i].next)
			put_used(&m, w, m.parts[i].at, m.parts[i].size);
	}
	free(m.parts);
	free(m.heap);
	free(m.cuts);
	return result;
}

int sn_spm_encode(const sn_spm *spm, const char *text, size_t size, int32_t *ids, int max, int *count, char *err) {
	writer w = { spm, ids, max, 0, 0 };
	sn_buf normal;
	sn_buf_init(&normal, SN_SPM_MAX_NORMAL);
	*count = 0;
	int result = sn_spm_normalize(spm, text, size, &normal, err);
	if (result == SN_OK && normal.size) {
		if (spm->config.type == SN_SPM_UNIGRAM)
			result = encode_unigram(&w, normal.data, normal.size, err);
		else if (spm->config.type == SN_SPM_BPE)
			result = encode_bpe(&w, normal.data, normal.size, err);
		else if (spm->config.type == SN_SPM_WORD)
			encode_words(&w, normal.data, normal.size);
		else
			encode_characters(&w, normal.data, normal.size);
	}
	sn_buf_free(&normal);
	if (result == SN_OK && w.count > max)
		result = sn_fail(err, SN_E_LIMIT, "the text makes %d ids; at most %d are taken", w.count, max);
	*count = result == SN_OK ? w.count : 0;
	return result;
}

/* ---- decoding ---- */

/* Bytes to UTF-8; what is none becomes U+FFFD byte by byte. */
static void add_bytes(sn_buf *out, const sn_buf *bytes) {
	const uint8_t *s = (const uint8_t *)bytes->data;
	for (int32_t i = 0, size = (int32_t)bytes->size; i < size;) {
		int32_t at = i, c;
		U8_NEXT(s, i, size, c);
		if (c < 0)
			i = at + 1;
		sn_utf8_add(out, c < 0 ? 0xfffd : c);
	}
}

static void add_piece(sn_buf *out, const char *piece) {
	const char *space;
	while ((space = strstr(piece, SN_SPM_SPACE))) {
		sn_buf_add(out, piece, (size_t)(space - piece));
		sn_buf_text(out, " ");
		piece = space + sizeof SN_SPM_SPACE - 1;
	}
	sn_buf_text(out, piece);
}

int sn_spm_decode(const sn_spm *spm, const int32_t *ids, int count, sn_buf *out) {
	size_t start = out->size;
	int strip = spm->config.add_dummy_prefix || spm->config.remove_extra_whitespaces, stripped = 0;
	sn_buf bytes;
	sn_buf_init(&bytes, out->max);
	for (int i = 0; i <= count; i++) {
		const char *piece = i < count ? sn_spm_piece(spm, ids[i]) : NULL;
		int kind = piece ? spm->kinds[ids[i]] : 0;
		if (kind == SPM_BYTE) {
			char byte = (char)spm_byte_of(piece);
			sn_buf_add(&bytes, &byte, 1);
			continue;
		}
		add_bytes(out, &bytes);
		sn_buf_clear(&bytes);
		if (kind == SPM_UNKNOWN) {
			sn_buf_text(out, spm->unknown_text);
		} else if (piece && kind != SPM_CONTROL) {
			int white = strip && !stripped && out->size == start && strncmp(piece, SN_SPM_SPACE, sizeof SN_SPM_SPACE - 1) == 0;
			add_piece(out, piece + (white ? sizeof SN_SPM_SPACE - 1 : 0));
			stripped = white && !spm->config.remove_extra_whitespaces;
		}
	}
	sn_buf_free(&bytes);
	return out->failed;
}
