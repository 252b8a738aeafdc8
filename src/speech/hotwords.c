#include "speech/hotwords.h"

#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

/* Earned by the token that begins a phrase, and by each after it, which the phrase makes likelier by itself. A search that cannot go back
 * must be careful with the first one. Chosen on spoken sentences with rare names and on clips without them. */
static const float first_bonus[] = { 1, 1.5f }, later_bonus[] = { 6, 4 }; /* one hypothesis; beams */
#define MAX_TOKENS ((int)SN_MAX_HOTWORDS + 2) /* of a phrase: no more than its bytes */
#define SPELLINGS 3  /* as written, first letter capital, every word's first letter capital */

enum { ROOT, BARE_ROOT, ROOTS }; /* of phrases behind a space or in a script without spaces; of those that begin without one */
enum { BEGINS_WORD = 1, ENDS_INSIDE = 2 };

typedef struct node {
	int32_t token;
	int child, count;    /* children: nodes child .. child + count - 1, by token */
	int fail;            /* the node of the longest other beginning of a phrase that what was read ends with */
	int parent;
	float pending;       /* earned since the last phrase that is complete: lost when the path breaks */
	uint8_t is_end, is_free; /* a phrase ends here; whatever follows it (scripts without spaces) */
} node;

struct sn_hotwords {
	node *nodes;         /* breadth first */
	int count;
	uint8_t *flags;      /* [size], by token */
	int size;
};

/* ---- the list ---- */

static int is_apart(int32_t c) { return c == ',' || c == '\n' || c == '\r' || c == 0xff0c || c == 0x3001; }

int sn_hotwords_item(const char **at, const char **item, size_t *size) {
	const char *const text = *at;
	const int32_t length = (int32_t)strlen(text);
	int32_t i = 0, c = 0, first = -1, end = 0;
	while (i < length) {
		const int32_t begin = i;
		U8_NEXT(text, i, length, c);
		if (is_apart(c) && first >= 0)
			break;
		if (is_apart(c) || c < 0 || u_isUWhiteSpace(c))
			continue;
		first = first < 0 ? begin : first;
		end = i;
	}
	*at = text + i;
	*item = text + (first < 0 ? 0 : first);
	*size = first < 0 ? 0 : (size_t)(end - first);
	return first >= 0;
}

/* Scripts that part no words by spaces. */
static int is_unspaced(int32_t c) {
	UErrorCode status = U_ZERO_ERROR;
	switch (uscript_getScript(c, &status)) {
	case USCRIPT_HAN: case USCRIPT_HIRAGANA: case USCRIPT_KATAKANA: case USCRIPT_THAI: case USCRIPT_LAO: case USCRIPT_KHMER:
	case USCRIPT_MYANMAR: case USCRIPT_TIBETAN:
		return 1;
	default:
		return 0;
	}
}

static int32_t first_char(const char *text, size_t size) {
	int32_t i = 0, c = -1;
	if (size)
		U8_NEXT(text, i, (int32_t)size, c);
	return c;
}

static int32_t last_char(const char *text, size_t size) {
	int32_t i = (int32_t)size, c = -1;
	if (size)
		U8_PREV(text, 0, i, c);
	return c;
}

static int is_letter(int32_t c) { return c < 0 || u_isalnum(c) || u_charType(c) == U_NON_SPACING_MARK; } /* < 0: a part of one */

/* A spelling of a phrase behind a space. */
static void spell(sn_buf *out, const char *text, size_t size, int how) {
	int begins = 1;
	sn_buf_clear(out);
	sn_buf_text(out, " ");
	for (int32_t i = 0, c; i < (int32_t)size;) {
		U8_NEXT(text, i, (int32_t)size, c);
		if (begins && how)
			sn_utf8_add_upper(out, c);
		else
			sn_utf8_add(out, c);
		begins = how == 2 && u_isUWhiteSpace(c);
	}
}

/* ---- the tree, first with children in lists ---- */

typedef struct twig {
	int32_t token;
	int child, sibling;
	uint8_t is_end, is_free;
} twig;

typedef struct growth {
	twig *twigs;
	int count, room;
	sn_bpe *bpe;
	int32_t *ids;        /* [MAX_TOKENS] */
	sn_buf text;
} growth;

static int find_twig(const growth *g, int at, int32_t token) {
	int t = g->twigs[at].child;
	while (t >= 0 && g->twigs[t].token != token)
		t = g->twigs[t].sibling;
	return t;
}

static int add_twig(growth *g, int at, int32_t token, char *err) {
	if (g->count == g->room) {
		const int room = 2 * g->room;
		twig *const grown = realloc(g->twigs, (size_t)room * sizeof *grown);
		if (!grown)
			return sn_fail(err, SN_E_MEMORY, "no memory for hot words");
		g->twigs = grown;
		g->room = room;
	}
	g->twigs[g->count] = (twig){ .token = token, .child = -1, .sibling = g->twigs[at].child };
	g->twigs[at].child = g->count++;
	return SN_OK;
}

static int add_tokens(growth *g, int root, const char *text, size_t size, char *err) {
	int count, at = root;
	int result = sn_bpe_encode(g->bpe, text, size, g->ids, MAX_TOKENS, &count, err);
	for (int i = 0; i < count && result == SN_OK; i++) {
		const int known = find_twig(g, at, g->ids[i]);
		if (known < 0)
			result = add_twig(g, at, g->ids[i], err);
		at = known < 0 ? g->count - 1 : known;
	}
	if (result == SN_OK && at >= ROOTS) {
		g->twigs[at].is_end = 1;
		g->twigs[at].is_free |= (uint8_t)is_unspaced(last_char(text, size));
	}
	return result;
}

static int add_phrase(growth *g, const char *text, size_t size, char *err) {
	const int unspaced = is_unspaced(first_char(text, size));
	int result = SN_OK;
	for (int how = 0; how < SPELLINGS && result == SN_OK; how++) {
		spell(&g->text, text, size, how);
		if (g->text.failed)
			return sn_fail(err, g->text.failed, "no memory for hot words");
		result = add_tokens(g, ROOT, g->text.data, g->text.size, err);
		if (result == SN_OK)
			result = add_tokens(g, unspaced ? ROOT : BARE_ROOT, g->text.data + 1, g->text.size - 1, err);
	}
	return result;
}

static int grow(growth *g, const char *list, char *err) {
	const char *item;
	size_t size;
	int result = SN_OK;
	while (result == SN_OK && sn_hotwords_item(&list, &item, &size))
		result = add_phrase(g, item, size, err);
	return result;
}

/* ---- the tree as it is read ---- */

static int by_token(const void *a, const void *b) {
	const int32_t x = ((const node *)a)->token, y = ((const node *)b)->token;
	return (x > y) - (x < y);
}

static int find_child(const sn_hotwords *h, int at, int32_t token) {
	int low = h->nodes[at].child, high = low + h->nodes[at].count;
	while (low < high) {
		const int middle = low + (high - low) / 2;
		if (h->nodes[middle].token < token)
			low = middle + 1;
		else
			high = middle;
	}
	return low < h->nodes[at].child + h->nodes[at].count && h->nodes[low].token == token ? low : -1;
}

static int flags_of(const sn_hotwords *h, int32_t token) { return token >= 0 && token < h->size ? h->flags[token] : BEGINS_WORD; }

/* Whether the phrases that end at `at` are complete when `token` follows. */
static int completes(const sn_hotwords *h, int at, int32_t token) {
	return h->nodes[at].is_end && (h->nodes[at].is_free || (flags_of(h, token) & BEGINS_WORD));
}

/* Breadth first, so that a node comes after its parent and after the nodes that it falls back to. `source` is a node's twig. */
static void flatten(sn_hotwords *h, const growth *g, int *source) {
	h->count = ROOTS;
	for (int r = 0; r < ROOTS; r++) {
		h->nodes[r] = (node){ .token = -1 };
		source[r] = r;
	}
	for (int at = 0; at < h->count; at++) {
		node *const n = &h->nodes[at];
		n->child = h->count;
		/* `child` holds the twig until the node's own turn */
		for (int t = g->twigs[source[at]].child; t >= 0; t = g->twigs[t].sibling, n->count++)
			h->nodes[h->count++] = (node){ .token = g->twigs[t].token, .parent = at, .child = t };
		qsort(h->nodes + n->child, (size_t)n->count, sizeof *n, by_token);
		for (int c = n->child; c < h->count; c++) {
			node *const child = &h->nodes[c];
			const twig *const t = &g->twigs[source[c] = child->child];
			child->is_end = t->is_end;
			child->is_free = t->is_free;
			child->pending = (completes(h, at, child->token) ? 0 : n->pending) + (at < ROOTS ? first_bonus[1] : later_bonus[1]);
			int back = at < ROOTS ? -1 : n->fail, found = -1;
			while (back >= 0 && (found = find_child(h, back, child->token)) < 0 && back != ROOT)
				back = h->nodes[back].fail;
			child->fail = found >= 0 ? found : ROOT;
		}
	}
}

static void set_flags(sn_hotwords *h, const sn_bpe *bpe) {
	for (int32_t i = 0; i < h->size; i++) {
		size_t size;
		const char *const bytes = sn_bpe_bytes(bpe, i, &size);
		if (!bytes || !size)
			h->flags[i] = BEGINS_WORD;
		else
			h->flags[i] = (uint8_t)((is_letter(first_char(bytes, size)) ? 0 : BEGINS_WORD) |
			                        (is_letter(last_char(bytes, size)) ? ENDS_INSIDE : 0));
	}
}

static int build(sn_hotwords **out, const growth *g, int vocab, char *err) {
	sn_hotwords *h = calloc(1, sizeof *h);
	int *const source = malloc((size_t)g->count * sizeof *source);
	if (h) {
		h->size = vocab;
		h->nodes = malloc((size_t)g->count * sizeof *h->nodes);
		h->flags = malloc((size_t)h->size + 1);
	}
	const int good = h && source && h->nodes && h->flags;
	if (good) {
		set_flags(h, g->bpe);
		flatten(h, g, source);
		*out = h;
	} else {
		sn_hotwords_close(&h);
	}
	free(source);
	return good ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for hot words");
}

int sn_hotwords_open(sn_hotwords **out, const char *list, sn_bpe *bpe, int vocab, char *err) {
	*out = NULL;
	const size_t size = list ? strlen(list) : 0;
	if (size > SN_MAX_HOTWORDS)
		return sn_fail(err, SN_E_LIMIT, "the hot words have %zu bytes; at most %zu are taken", size, SN_MAX_HOTWORDS);
	int result = size ? sn_utf8_check(list, size, SN_MAX_HOTWORDS, err) : SN_OK;
	growth g = { .bpe = bpe, .count = ROOTS, .room = 256 };
	if (result != SN_OK || !size)
		return result;
	sn_buf_init(&g.text, 8 * SN_MAX_HOTWORDS); /* capitals may be longer than letters */
	g.twigs = malloc((size_t)g.room * sizeof *g.twigs);
	g.ids = malloc((size_t)MAX_TOKENS * sizeof *g.ids);
	if (g.twigs && g.ids) {
		for (int r = 0; r < ROOTS; r++)
			g.twigs[r] = (twig){ .token = -1, .child = -1, .sibling = -1 };
		result = grow(&g, list, err);
	} else {
		result = sn_fail(err, SN_E_MEMORY, "no memory for hot words");
	}
	if (result == SN_OK && g.count > ROOTS)
		result = build(out, &g, vocab, err);
	sn_buf_free(&g.text);
	free(g.twigs);
	free(g.ids);
	return result;
}

void sn_hotwords_close(sn_hotwords **hotwords) {
	sn_hotwords *h = *hotwords;
	*hotwords = NULL;
	if (!h)
		return;
	free(h->nodes);
	free(h->flags);
	free(h);
}

/* ---- the search's side ---- */

/* Where `token` leads that does not go on at `at` itself: on from a shorter beginning, or into a new phrase. */
static int restart(const sn_hotwords *h, sn_hotwords_state s, int32_t token) {
	int found = -1;
	for (int back = h->nodes[s.node].fail; back != ROOT && found < 0; back = h->nodes[back].fail)
		found = find_child(h, back, token);
	if (found < 0)
		found = find_child(h, ROOT, token);
	if (found < 0 && !s.inside)
		found = find_child(h, BARE_ROOT, token);
	return found < 0 ? ROOT : found;
}

/* What the token changes in the sum of all that was earned. */
static float change(const sn_hotwords *h, sn_hotwords_state s, int32_t token, int beams) {
	const int child = s.node >= ROOTS ? find_child(h, s.node, token) : -1;
	if (child >= 0)
		return later_bonus[beams];
	const int to = restart(h, s, token);
	const float lost = beams && !completes(h, s.node, token) ? h->nodes[s.node].pending : 0;
	const float gained = to == ROOT ? 0 : beams ? h->nodes[to].pending : h->nodes[to].parent < ROOTS ? first_bonus[0] : later_bonus[0];
	return gained - lost;
}

float sn_hotwords_bonus(const sn_hotwords *h, sn_hotwords_state s, int32_t token, int beams) {
	return change(h, s, token, beams) + (beams ? h->nodes[s.node].pending : 0);
}

/* The children of a node; a token may also be a child of the nodes that come later in `apply`: the first one decides, as in restart. */
static void add_children(const sn_hotwords *h, sn_hotwords_state s, int at, float base, float *logits, int beams) {
	for (int c = h->nodes[at].child; c < h->nodes[at].child + h->nodes[at].count; c++) {
		const int32_t token = h->nodes[c].token;
		if ((at == s.node && at >= ROOTS) || ((s.node < ROOTS || find_child(h, s.node, token) < 0) && restart(h, s, token) == c))
			logits[token] += change(h, s, token, beams) + (completes(h, s.node, token) ? 0 : base);
	}
}

float sn_hotwords_apply(const sn_hotwords *h, sn_hotwords_state s, float *logits, int beams) {
	const node *const n = &h->nodes[s.node];
	const float base = beams ? n->pending : 0;
	if (base > 0 && n->is_end) /* what begins a word completes the phrase and loses nothing */
		for (int32_t i = 0; i < h->size; i++)
			logits[i] += n->is_free || (h->flags[i] & BEGINS_WORD) ? base : 0;
	if (s.node >= ROOTS)
		add_children(h, s, s.node, base, logits, beams);
	for (int back = n->fail; back >= ROOTS; back = h->nodes[back].fail)
		add_children(h, s, back, base, logits, beams);
	add_children(h, s, ROOT, base, logits, beams);
	if (!s.inside)
		add_children(h, s, BARE_ROOT, base, logits, beams);
	return -base;
}

sn_hotwords_state sn_hotwords_next(const sn_hotwords *h, sn_hotwords_state s, int32_t token) {
	const int child = s.node >= ROOTS ? find_child(h, s.node, token) : -1;
	return (sn_hotwords_state){ .node = child >= 0 ? child : restart(h, s, token), .inside = (flags_of(h, token) & ENDS_INSIDE) != 0 };
}
