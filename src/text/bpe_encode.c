#include "text/bpe_internal.h"

#include "base/json.h"
#include "base/map.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

/* ---- merges: (left id, right id) to (rank, merged id) ---- */

static uint32_t pair_slot(const sn_bpe *bpe, int32_t left, int32_t right) {
	uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
	return (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & bpe->merge_mask;
}

static const bpe_merge *find_merge(const sn_bpe *bpe, int32_t left, int32_t right) {
	uint32_t slot = pair_slot(bpe, left, right);
	for (; bpe->merges[slot].left >= 0; slot = (slot + 1) & bpe->merge_mask)
		if (bpe->merges[slot].left == left && bpe->merges[slot].right == right)
			return &bpe->merges[slot];
	return NULL;
}

static int alloc_merges(sn_bpe *bpe, size_t count, char *err) {
	uint32_t slots = 16;
	if (count > SN_BPE_MAX_TOKENS)
		return sn_fail(err, SN_E_LIMIT, "the tokenizer in '%s' has %zu merges; at most %d are allowed", bpe->dir, count, SN_BPE_MAX_TOKENS);
	while (slots < 2 * count)
		slots *= 2;
	bpe->merges = malloc(slots * sizeof *bpe->merges);
	if (!bpe->merges)
		return sn_fail(err, SN_E_MEMORY, "out of memory for %zu merges", count);
	for (uint32_t i = 0; i < slots; i++)
		bpe->merges[i].left = -1;
	bpe->merge_mask = slots - 1;
	return SN_OK;
}

/* Of equal pairs the first counts. */
static void put_merge(sn_bpe *bpe, bpe_merge merge) {
	if (find_merge(bpe, merge.left, merge.right))
		return;
	uint32_t slot = pair_slot(bpe, merge.left, merge.right);
	while (bpe->merges[slot].left >= 0)
		slot = (slot + 1) & bpe->merge_mask;
	bpe->merges[slot] = merge;
}

/* ---- merging ---- */

typedef struct piece {
	int32_t id, previous, next; /* id < 0: merged into the piece before */
} piece;

typedef struct candidate {
	uint32_t rank;
	int32_t at, left, right; /* ids when it was found: stale when a piece has changed since */
} candidate;

typedef struct work {
	piece *pieces;
	candidate *heap;
	int32_t capacity, count; /* of the heap */
} work;

static int before(const candidate *a, const candidate *b) { return a->rank != b->rank ? a->rank < b->rank : a->at < b->at; }

static void heap_push(work *w, candidate c) {
	int32_t i = w->count++;
	for (; i > 0 && before(&c, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = c;
}

static candidate heap_pop(work *w) {
	candidate top = w->heap[0], c = w->heap[--w->count];
	int32_t i = 0;
	for (;;) {
		int32_t child = 2 * i + 1;
		if (child + 1 < w->count && before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (child >= w->count || !before(&w->heap[child], &c))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = c;
	return top;
}

static void consider(const sn_bpe *bpe, work *w, int32_t at) {
	int32_t next = at >= 0 ? w->pieces[at].next : -1;
	if (next < 0)
		return;
	const bpe_merge *merge = find_merge(bpe, w->pieces[at].id, w->pieces[next].id);
	if (merge)
		heap_push(w, (candidate){ merge->rank, at, merge->left, merge->right });
}

/* A word of n bytes makes at most n - 1 merges, each of which adds at most two candidates to the n - 1 at the start. */
static int work_reserve(work *w, int32_t size, char *err) {
	if (size <= w->capacity)
		return SN_OK;
	free(w->pieces);
	free(w->heap);
	*w = (work){ malloc((size_t)size * sizeof *w->pieces), malloc((size_t)size * 3 * sizeof *w->heap), size, 0 };
	if (!w->pieces || !w->heap)
		return sn_fail(err, SN_E_MEMORY, "out of memory for a word of %d bytes", size);
	return SN_OK;
}

/* Joins the pair of the lowest rank, leftmost first, until none is left. */
static void merge_word(const sn_bpe *bpe, work *w, const char *text, int32_t size) {
	for (int32_t i = 0; i < size; i++)
		w->pieces[i] = (piece){ bpe->byte_ids[(uint8_t)text[i]], i - 1, i + 1 < size ? i + 1 : -1 };
	w->count = 0;
	for (int32_t i = 0; i < size; i++)
		consider(bpe, w, i);
	while (w->count) {
		candidate c = heap_pop(w);
		piece *left = &w->pieces[c.at];
		if (left->id != c.left || left->next < 0 || w->pieces[left->next].id != c.right)
			continue;
		left->id = find_merge(bpe, c.left, c.right)->merged;
		w->pieces[left->next].id = -1;
		left->next = w->pieces[left->next].next;
		if (left->next >= 0)
			w->pieces[left->next].previous = c.at;
		consider(bpe, w, left->previous);
		consider(bpe, w, c.at);
	}
}

/* ---- where merges come from ---- */

static int add_merge(sn_bpe *bpe, uint32_t rank, const char *left, size_t left_size, const char *right, size_t right_size, char *err) {
	char bytes[2 * SN_BPE_MAX_TOKEN];
	int a = left_size <= SN_BPE_MAX_TOKEN ? bpe_unspell(left, left_size, bytes) : -1;
	int b = a > 0 && right_size <= SN_BPE_MAX_TOKEN ? bpe_unspell(right, right_size, bytes + a) : -1;
	if (b <= 0)
		return sn_fail(err, SN_E_FORMAT, "merge %u of '%s' is not two tokens of valid UTF-8", rank, bpe->dir);
	bpe_merge merge = { bpe_table_find(bpe, &bpe->all, bytes, (size_t)a), bpe_table_find(bpe, &bpe->all, bytes + a, (size_t)b),
		                bpe_table_find(bpe, &bpe->all, bytes, (size_t)(a + b)), rank };
	if (merge.left < 0 || merge.right < 0 || merge.merged < 0)
		return sn_fail(err, SN_E_MODEL, "merge %u of '%s' ('%.40s') names a token that is not in the vocabulary", rank, bpe->dir, left);
	put_merge(bpe, merge);
	return SN_OK;
}

static int add_merge_text(sn_bpe *bpe, uint32_t rank, const char *text, size_t size, char *err) {
	const char *space = memchr(text, ' ', size);
	if (!space)
		return sn_fail(err, SN_E_FORMAT, "merge %u of '%s' is not two tokens with a space between", rank, bpe->dir);
	return add_merge(bpe, rank, text, (size_t)(space - text), space + 1, size - (size_t)(space + 1 - text), err);
}

/* "left right" a line, after an optional "#version" line. */
static int read_merges_txt(sn_bpe *bpe, const sn_map *map, char *err) {
	const char *text = (const char *)map->data, *end = text + map->size;
	size_t lines = 0;
	for (const char *s = text; s < end; s++)
		lines += *s == '\n';
	int result = alloc_merges(bpe, lines + 1, err);
	uint32_t rank = 0;
	for (int first = 1; result == SN_OK && text < end; first = 0) {
		const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
		size_t size = (size_t)(stop - text);
		if (size && text[size - 1] == '\r')
			size--;
		if (size && !(first && size > 8 && memcmp(text, "#version", 8) == 0))
			result = add_merge_text(bpe, rank++, text, size, err);
		text = stop + 1;
	}
	return result;
}

/* The list after "merges": alone is parsed, since the rest of a tokenizer.json costs ten times as much. No vocabulary entry looks
 * like it: those are followed by a number. */
static const char *find_merges(const sn_map *map) {
	const char *s = (const char *)map->data, *end = s + map->size;
	while (s && (s = memmem(s, (size_t)(end - s), "\"merges\"", 8))) {
		s += 8;
		while (s < end && (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r' || *s == ':'))
			s++;
		if (s < end && *s == '[')
			return s;
	}
	return NULL;
}

/* ["left right", ...] or [["left", "right"], ...] */
static int read_merges_json(sn_bpe *bpe, const sn_map *map, char *err) {
	const char *start = find_merges(map);
	json_error_t where;
	json_t *list =
		start ? json_loadb(start, map->size - (size_t)(start - (const char *)map->data), JSON_DISABLE_EOF_CHECK, &where) : NULL, *entry;
	if (!list)
		return sn_fail(err, SN_E_FORMAT, "the tokenizer.json in '%s' has no readable list of merges", bpe->dir);
	int result = alloc_merges(bpe, json_array_size(list), err);
	size_t i;
	json_array_foreach(list, i, entry) {
		const json_t *left = json_array_get(entry, 0), *right = json_array_get(entry, 1);
		if (result != SN_OK)
			break;
		if (json_is_string(entry))
			result = add_merge_text(bpe, (uint32_t)i, json_string_value(entry), json_string_length(entry), err);
		else if (json_is_string(left) && json_is_string(right))
			result = add_merge(bpe, (uint32_t)i, json_string_value(left), json_string_length(left), json_string_value(right),
			                   json_string_length(right), err);
		else
			result = sn_fail(err, SN_E_FORMAT, "merge %zu of '%s' is neither a text nor a pair of texts", i, bpe->dir);
	}
	json_decref(list);
	return result;
}

/* GPT-2 numbers its tokens in the order of their merges, so the pair that makes a token is what the merges before it
 * leave of its bytes. For CTranslate2 directories this is better than the tokenizer.json beside them: published ones
 * lack the first merge (" t"), which makes " the" two tokens where OpenAI's tokenizer, from the ids alone as here, has
 * one. */
static int derive_merges(sn_bpe *bpe, char *err) {
	int result = alloc_merges(bpe, (size_t)bpe->size, err);
	work w = { 0 };
	for (int32_t id = 0; result == SN_OK && id < bpe->size; id++) {
		const bpe_token *token = &bpe->tokens[id];
		if (!token->known || token->special || token->size < 2)
			continue;
		result = work_reserve(&w, (int32_t)token->size, err);
		if (result != SN_OK)
			break;
		merge_word(bpe, &w, bpe->bytes + token->at, (int32_t)token->size);
		int32_t second = w.pieces[0].next;
		if (second > 0 && w.pieces[second].next < 0)
			put_merge(bpe, (bpe_merge){ w.pieces[0].id, w.pieces[second].id, id, (uint32_t)id });
	}
	free(w.pieces);
	free(w.heap);
	return result;
}

static int read_merges(sn_bpe *bpe, char *err) {
	int lines = bpe_has(bpe->dir, "merges.txt");
	if (!lines && (bpe->ordered || !bpe_has(bpe->dir, "tokenizer.json")))
		return derive_merges(bpe, err);
	char path[PATH_MAX];
	sn_map map;
	int result = bpe_path(path, bpe->dir, lines ? "merges.txt" : "tokenizer.json", err);
	if (result == SN_OK)
		result = sn_map_open(&map, path, err);
	if (result != SN_OK)
		return result;
	if (map.size > SN_BPE_MAX_BYTES)
		result = sn_fail(err, SN_E_LIMIT, "%s has %zu bytes; at most %zu are allowed", path, map.size, SN_BPE_MAX_BYTES);
	else
		result = lines ? read_merges_txt(bpe, &map, err) : read_merges_json(bpe, &map, err);
	sn_map_close(&map);
	return result;
}

static int prepare(sn_bpe *bpe, char *err) {
	int result = bpe_table_build(bpe, &bpe->all, 0, err);
	for (int i = 0; result == SN_OK && i < 256; i++) {
		char byte = (char)i;
		bpe->byte_ids[i] = bpe_table_find(bpe, &bpe->all, &byte, 1);
		if (bpe->byte_ids[i] < 0)
			result = sn_fail(err, SN_E_MODEL, "the vocabulary in '%s' has no token for byte 0x%02x", bpe->dir, i);
	}
	if (result == SN_OK)
		result = read_merges(bpe, err);
	if (result != SN_OK) {
		free(bpe->all.slots);
		free(bpe->merges);
		bpe->all = (bpe_table){ 0 };
		bpe->merges = NULL;
	}
	bpe->ready = result == SN_OK;
	return result;
}

static int ensure_ready(sn_bpe *bpe, char *err) {
	pthread_mutex_lock(&bpe->lock);
	int result = bpe->ready ? SN_OK : prepare(bpe, err);
	pthread_mutex_unlock(&bpe->lock);
	return result;
}

/* ---- words: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ ---- */

typedef enum { SPACE, LETTER, NUMBER, OTHER } char_class;

static char_class next_class(const char *text, int32_t *i) {
	const uint8_t *s = (const uint8_t *)text;
	int32_t c;
	U8_NEXT_UNSAFE(s, *i, c);
	if (u_isUWhiteSpace(c))
		return SPACE;
	uint32_t mask = U_GET_GC_MASK(c);
	return mask & U_GC_L_MASK ? LETTER : mask & U_GC_N_MASK ? NUMBER : OTHER;
}

static int32_t run_end(const char *text, int32_t i, int32_t size, char_class kind) {
	while (i < size) {
		int32_t next = i;
		if (next_class(text, &next) != kind)
			break;
		i = next;
	}
	return i;
}

static int32_t contraction(const char *text, int32_t i, int32_t size) {
	static const char *const ends[] = { "s", "t", "re", "ve", "m", "ll", "d" };
	if (text[i] != '\'')
		return 0;
	for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++) {
		int32_t length = (int32_t)strlen(ends[k]);
		if (size - i > length && memcmp(text + i + 1, ends[k], (size_t)length) == 0)
			return length + 1;
	}
	return 0;
}

/* The end of the word that starts at i. */
static int32_t word_end(const char *text, int32_t i, int32_t size) {
	int32_t length = contraction(text, i, size);
	if (length)
		return i + length;
	int32_t next = i, first = text[i] == ' ' && i + 1 < size ? i + 1 : i;
	next = first;
	char_class kind = next_class(text, &next);
	if (kind != SPACE)
		return run_end(text, next, size, kind);
	int32_t end = run_end(text, i, size, SPACE), last = end;
	if (end == size)
		return end;
	U8_BACK_1((const uint8_t *)text, 0, last);
	return last > i ? last : end;
}

static int check_utf8(const char *text, size_t size, char *err) {
	if (size > INT32_MAX / 4)
		return sn_fail(err, SN_E_LIMIT, "the text has %zu bytes; at most %d can be encoded", size, INT32_MAX / 4);
	const uint8_t *s = (const uint8_t *)text;
	for (int32_t i = 0, length = (int32_t)size; i < length;) {
		int32_t at = i, c;
		U8_NEXT(s, i, length, c);
		if (c < 0)
			return sn_fail(err, SN_E_FORMAT, "the text is not valid UTF-8 at byte %d", at);
	}
	return SN_OK;
}

int sn_bpe_encode(sn_bpe *bpe, const char *text, size_t size, int32_t *ids, int max, int *count, char *err) {
	*count = 0;
	int result = check_utf8(text, size, err);
	if (result == SN_OK && size)
		result = ensure_ready(bpe, err);
	work w = { 0 };
	for (int32_t i = 0; result == SN_OK && i < (int32_t)size;) {
		int32_t end = word_end(text, i, (int32_t)size);
		result = work_reserve(&w, end - i, err);
		if (result != SN_OK)
			break;
		merge_word(bpe, &w, text + i, end - i);
		for (int32_t p = 0; result == SN_OK && p >= 0; p = w.pieces[p].next) {
			if (*count == max)
				result = sn_fail(err, SN_E_LIMIT, "the text has more than %d tokens", max);
			else
				ids[(*count)++] = w.pieces[p].id;
		}
		i = end;
	}
	free(w.pieces);
	free(w.heap);
	return result;
}
