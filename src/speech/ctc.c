#include "speech/ctc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NONE (-1e30f)       /* log probability of what cannot be */
#define LEAST (-16.0f)      /* less likely letters are not tried in a frame */
#define MOST_TRIED 48       /* nor are more */
#define MOST_EARNED 10      /* letters that count: a long phrase may not outweigh what was clearly heard */
#define MAX_REREAD 64       /* letters of a word that may begin another listed one than the phrase that was left */

/* A prefix, as a node of the tree of all that were kept. What a list of words adds to it depends on its letters alone. */
typedef struct prefix {
	int parent, child, sibling; /* -1: none */
	int32_t id;
	int word;                   /* node of the list that its last letters lie on; -1: no listed word can follow before a delimiter */
	float earned, pending;      /* for words that are complete, and for one that is not yet */
} prefix;

/* Listed words, as a tree of letters. Node 0 is the beginning of a word. */
typedef struct branch {
	int child, sibling, is_end;
	int32_t id;
} branch;

typedef struct hypothesis {
	int node;                   /* -1: letter `id` behind the prefix `parent`, which has no node yet */
	int parent;
	int32_t id;
	float blank, letter;        /* log probabilities of paths that end in a blank, and in its last letter */
	float rank;
} hypothesis;

struct sn_ctc {
	sn_ctc_options options;
	prefix *prefixes;
	int prefix_count;
	branch *branches;
	int branch_count;
	hypothesis *beam, *next;    /* [beam], [beam * (MOST_TRIED + 1)] */
	int32_t *ids;               /* [SN_CTC_MAX_FRAMES] of the best prefix */
	float *score;               /* alignment: [2][2 * SN_CTC_MAX_FRAMES + 1] */
	unsigned char *step;        /* [frames][2 * letters + 1]: how many states back the best path came from */
};

/* ---- listed words ---- */

static int find_branch(const sn_ctc *c, int at, int32_t id) {
	int b = c->branches[at].child;
	while (b >= 0 && c->branches[b].id != id)
		b = c->branches[b].sibling;
	return b;
}

static void add_word(sn_ctc *c, const int32_t *ids, int count) {
	int at = 0;
	for (int i = 0; i < count; i++) {
		int b = find_branch(c, at, ids[i]);
		if (b < 0) {
			b = c->branch_count++;
			c->branches[b] = (branch){ .child = -1, .sibling = c->branches[at].child, .id = ids[i] };
			c->branches[at].child = b;
		}
		at = b;
	}
	c->branches[at].is_end |= at != 0;
}

/* A phrase is left inside a word: the listed word that the letters since the delimiter and `id` begin, with their number, or -1. */
static int begin_again(const sn_ctc *c, const prefix *from, int32_t id, int *letters) {
	int32_t read[MAX_REREAD];
	int count = 0, at = 0;
	for (; from->id >= 0 && from->id != c->options.delimiter; from = &c->prefixes[from->parent]) {
		if (count == MAX_REREAD)
			return -1;
		read[count++] = from->id;
	}
	for (int i = count - 1; i >= 0 && at >= 0; i--)
		at = find_branch(c, at, read[i]);
	*letters = count + 1;
	return at >= 0 ? find_branch(c, at, id) : -1;
}

/* Behind a delimiter: a phrase may go on, and what is complete before it stays. */
static void follow_delimiter(const sn_ctc *c, const prefix *from, prefix *to) {
	const int whole = from->word > 0 && c->branches[from->word].is_end;
	const int on = from->word > 0 ? find_branch(c, from->word, c->options.delimiter) : -1;
	to->earned += whole ? from->pending : 0;
	to->pending = on >= 0 ? c->options.weight + (whole ? 0 : from->pending) : 0;
	to->word = on >= 0 ? on : 0;
}

/* What letter `id` behind the prefix `from` makes of the words. A word counts when it is complete: at a delimiter, or at the end;
 * where words are not parted, at its last letter. */
static void follow_words(const sn_ctc *c, const prefix *from, int32_t id, prefix *to) {
	const int parted = c->options.delimiter >= 0;
	int letters = 1;
	to->earned = from->earned;
	to->pending = 0;
	to->word = -1;
	if (!c->branch_count)
		return;
	if (parted && id == c->options.delimiter) {
		follow_delimiter(c, from, to);
		return;
	}
	int b = from->word >= 0 ? find_branch(c, from->word, id) : -1;
	to->pending = b >= 0 ? from->pending + c->options.weight : 0;
	if (b < 0 && from->word >= 0 && (b = parted ? begin_again(c, from, id, &letters) : find_branch(c, 0, id)) >= 0)
		to->pending = (float)letters * c->options.weight;
	if (to->pending > MOST_EARNED * c->options.weight)
		to->pending = MOST_EARNED * c->options.weight;
	to->word = b >= 0 || parted ? b : 0;
	if (!parted && b >= 0 && c->branches[b].is_end && c->branches[b].child < 0) {
		to->earned += to->pending;
		to->pending = 0;
		to->word = 0;
	}
}

static float at_end(const sn_ctc *c, const prefix *p) {
	return p->earned + (p->word > 0 && c->branches[p->word].is_end ? p->pending : 0);
}

/* ---- opening ---- */

int sn_ctc_open(sn_ctc **out, const sn_ctc_options *o, char *err) {
	*out = NULL;
	int letters = 0;
	if (o->size < 2 || o->blank < 0 || o->blank >= o->size || o->beam < 0 || o->beam > SN_CTC_MAX_BEAM)
		return sn_fail(err, SN_E_ARGUMENT, "a search over %d letters with blank %d and %d prefixes cannot be made; up to %d prefixes can",
		               o->size, o->blank, o->beam, SN_CTC_MAX_BEAM);
	for (int i = 0; i < o->word_count; i++)
		letters += o->lengths[i];
	if (letters > SN_CTC_MAX_LETTERS)
		return sn_fail(err, SN_E_LIMIT, "the listed words have %d letters; at most %d are taken", letters, SN_CTC_MAX_LETTERS);
	sn_ctc *c = calloc(1, sizeof *c);
	if (!c)
		return sn_fail(err, SN_E_MEMORY, "no memory for a search");
	c->options = *o;
	const size_t frames = SN_CTC_MAX_FRAMES, states = 2 * frames + 1, beam = (size_t)o->beam;
	if (o->beam) {
		c->prefixes = malloc((frames * beam + 1) * sizeof *c->prefixes);
		c->branches = malloc(((size_t)letters + 1) * sizeof *c->branches);
		c->beam = malloc(beam * sizeof *c->beam);
		c->next = malloc(beam * (MOST_TRIED + 1) * sizeof *c->next);
		c->ids = malloc(frames * sizeof *c->ids);
		c->score = malloc(2 * states * sizeof *c->score);
		c->step = malloc(frames * states);
		if (!c->prefixes || !c->branches || !c->beam || !c->next || !c->ids || !c->score || !c->step) {
			sn_ctc_close(&c);
			return sn_fail(err, SN_E_MEMORY, "no memory for a search of %d prefixes", o->beam);
		}
	}
	if (o->beam && o->word_count) {
		c->branches[c->branch_count++] = (branch){ .child = -1, .sibling = -1, .id = -1 };
		for (int i = 0, at = 0; i < o->word_count; at += o->lengths[i++])
			add_word(c, o->words + at, o->lengths[i]);
	}
	c->options.words = NULL;
	c->options.lengths = NULL;
	*out = c;
	return SN_OK;
}

void sn_ctc_close(sn_ctc **held) {
	sn_ctc *c = *held;
	*held = NULL;
	if (!c)
		return;
	free(c->prefixes);
	free(c->branches);
	free(c->beam);
	free(c->next);
	free(c->ids);
	free(c->score);
	free(c->step);
	free(c);
}

/* ---- frames ---- */

void sn_ctc_log_softmax(float *rows, int64_t frames, int size) {
	for (int64_t t = 0; t < frames; t++, rows += size) {
		float most = rows[0];
		for (int v = 1; v < size; v++)
			most = rows[v] > most ? rows[v] : most;
		double sum = 0;
		for (int v = 0; v < size; v++)
			sum += exp((double)(rows[v] - most));
		const float shift = most + (float)log(sum);
		for (int v = 0; v < size; v++)
			rows[v] -= shift;
	}
}

static float add_logs(float a, float b) {
	const float most = a > b ? a : b, least = a > b ? b : a;
	return least <= NONE ? most : most + log1pf(expf(least - most));
}

static int32_t likeliest(const float *row, int size) {
	int best = 0;
	for (int v = 1; v < size; v++)
		if (row[v] > row[best])
			best = v;
	return best;
}

static int decode_greedy(const sn_ctc *c, const float *row, int frames, sn_ctc_token *tokens) {
	int count = 0;
	int32_t last = -1;
	for (int t = 0; t < frames; t++, row += c->options.size) {
		const int32_t id = likeliest(row, c->options.size);
		if (id != c->options.blank && id != last)
			tokens[count++] = (sn_ctc_token){ .id = id, .first = t };
		if (id != c->options.blank) {
			tokens[count - 1].last = t;
			tokens[count - 1].logprob += row[id];
		}
		last = id;
	}
	for (int i = 0; i < count; i++)
		tokens[i].logprob /= (float)(tokens[i].last - tokens[i].first + 1);
	return count;
}

/* ---- search over prefixes ---- */

static int find_child(const sn_ctc *c, int parent, int32_t id) {
	int at = c->prefixes[parent].child;
	while (at >= 0 && c->prefixes[at].id != id)
		at = c->prefixes[at].sibling;
	return at;
}

/* Letters of a frame that are worth trying, the blank not among them: the likeliest, best first. */
static int choose_letters(const sn_ctc *c, const float *row, int32_t *ids) {
	int count = 0;
	for (int32_t v = 0; v < c->options.size; v++) {
		if (v == c->options.blank || row[v] < LEAST || (count == MOST_TRIED && row[v] <= row[ids[count - 1]]))
			continue;
		int at = count < MOST_TRIED ? count++ : count - 1;
		for (; at > 0 && row[ids[at - 1]] < row[v]; at--)
			ids[at] = ids[at - 1];
		ids[at] = v;
	}
	return count;
}

/* The entry of the next beam for the letter `id` behind `parent`; a prefix of the present beam already has one. */
static hypothesis *next_for(sn_ctc *c, int *count, int kept, int parent, int32_t id) {
	const int node = find_child(c, parent, id);
	for (int i = 0; node >= 0 && i < kept; i++)
		if (c->next[i].node == node)
			return &c->next[i];
	c->next[*count] = (hypothesis){ .node = node, .parent = parent, .id = id, .blank = NONE, .letter = NONE };
	return &c->next[(*count)++];
}

static void rank(const sn_ctc *c, hypothesis *h) {
	prefix p;
	if (h->node >= 0)
		p = c->prefixes[h->node];
	else
		follow_words(c, &c->prefixes[h->parent], h->id, &p);
	h->rank = add_logs(h->blank, h->letter) + p.earned + p.pending;
}

static int by_rank(const void *a, const void *b) {
	const hypothesis *x = a, *y = b;
	if (x->rank != y->rank)
		return x->rank < y->rank ? 1 : -1;
	return x->parent != y->parent ? (x->parent > y->parent) - (x->parent < y->parent) : (x->id > y->id) - (x->id < y->id);
}

static void keep(sn_ctc *c, hypothesis *h) {
	if (h->node >= 0)
		return;
	prefix *const p = &c->prefixes[c->prefix_count], *const parent = &c->prefixes[h->parent];
	*p = (prefix){ .parent = h->parent, .child = -1, .sibling = parent->child, .id = h->id };
	follow_words(c, parent, h->id, p);
	h->node = parent->child = c->prefix_count++;
}

/* One frame: every prefix stays as it is (a blank, or its last letter again) or gets one letter more; one that ends in that letter
 * only behind a blank. */
static int advance(sn_ctc *c, const float *row, int kept) {
	int32_t letters[MOST_TRIED];
	const int letter_count = choose_letters(c, row, letters);
	int count = kept;
	for (int i = 0; i < kept; i++) {
		const hypothesis *const h = &c->beam[i];
		const int32_t last = c->prefixes[h->node].id;
		c->next[i] = *h;
		c->next[i].blank = add_logs(h->blank, h->letter) + row[c->options.blank];
		c->next[i].letter = last >= 0 && h->letter > NONE ? h->letter + row[last] : NONE;
	}
	for (int i = 0; i < kept; i++) {
		const hypothesis *const h = &c->beam[i];
		const int32_t last = c->prefixes[h->node].id;
		for (int k = 0; k < letter_count; k++) {
			const float before = letters[k] == last ? h->blank : add_logs(h->blank, h->letter);
			if (before <= NONE)
				continue;
			hypothesis *const n = next_for(c, &count, kept, h->node, letters[k]);
			n->letter = add_logs(n->letter, before + row[letters[k]]);
		}
	}
	for (int i = 0; i < count; i++)
		rank(c, &c->next[i]);
	qsort(c->next, (size_t)count, sizeof *c->next, by_rank);
	kept = count < c->options.beam ? count : c->options.beam;
	for (int i = 0; i < kept; i++) {
		keep(c, &c->next[i]);
		c->beam[i] = c->next[i];
	}
	return kept;
}

/* The likeliest prefix with its words: its letters to c->ids. */
static int search(sn_ctc *c, const float *row, int frames) {
	c->prefixes[0] = (prefix){ .parent = -1, .child = -1, .sibling = -1, .id = -1, .word = c->branch_count ? 0 : -1 };
	c->prefix_count = 1;
	c->beam[0] = (hypothesis){ .node = 0, .parent = -1, .id = -1, .blank = 0, .letter = NONE };
	int kept = 1, best = 0, count = 0;
	for (int t = 0; t < frames; t++, row += c->options.size)
		kept = advance(c, row, kept);
	float most = NONE;
	for (int i = 0; i < kept; i++) {
		const float sum = add_logs(c->beam[i].blank, c->beam[i].letter) + at_end(c, &c->prefixes[c->beam[i].node]);
		if (i == 0 || sum > most) {
			most = sum;
			best = c->beam[i].node;
		}
	}
	for (int at = best; at > 0; at = c->prefixes[at].parent)
		count++;
	for (int at = best, i = count; at > 0; at = c->prefixes[at].parent)
		c->ids[--i] = c->prefixes[at].id;
	return count;
}

/* Where the letters lie: the likeliest path through blank, letter, blank, letter, ..., blank (Viterbi). A state is entered from itself,
 * the one before, or over a blank that parts two different letters. */
static void align(sn_ctc *c, const float *logprobs, int frames, int count, sn_ctc_token *tokens) {
	const int states = 2 * count + 1, size = c->options.size;
	float *score = c->score, *old = c->score + states;
	for (int s = 0; s < states; s++)
		old[s] = s == 0 ? 0 : NONE; /* before the first frame: in front of the first blank */
	for (int t = 0; t < frames; t++) {
		const float *const row = logprobs + (int64_t)t * size;
		unsigned char *const step = c->step + (size_t)t * (size_t)states;
		for (int s = 0; s < states; s++) {
			const int32_t id = s % 2 ? c->ids[s / 2] : c->options.blank;
			const int skips = s % 2 && s > 1 && c->ids[s / 2] != c->ids[s / 2 - 1];
			float best = t || s == 0 ? old[s] : NONE;
			step[s] = 0;
			if (s > 0 && old[s - 1] > best)
				best = old[s - 1], step[s] = 1;
			if (skips && t && old[s - 2] > best)
				best = old[s - 2], step[s] = 2;
			score[s] = best > NONE ? best + row[id] : NONE;
		}
		float *const swap = old;
		old = score;
		score = swap;
	}
	for (int i = 0; i < count; i++)
		tokens[i] = (sn_ctc_token){ .id = c->ids[i], .first = frames, .last = 0 };
	int s = count && old[states - 2] > old[states - 1] ? states - 2 : states - 1;
	for (int t = frames - 1; t >= 0; t--) {
		if (s % 2) {
			sn_ctc_token *const k = &tokens[s / 2];
			k->last = k->first == frames ? t : k->last;
			k->first = t;
			k->logprob += logprobs[(int64_t)t * size + k->id];
		}
		s -= c->step[(size_t)t * (size_t)states + (size_t)s];
	}
	for (int i = 0; i < count; i++)
		tokens[i].logprob /= (float)(tokens[i].last - tokens[i].first + 1);
}

int sn_ctc_decode(sn_ctc *c, const float *logprobs, int frames, sn_ctc_token *tokens) {
	if (!c->options.beam)
		return decode_greedy(c, logprobs, frames, tokens);
	const int count = search(c, logprobs, frames);
	align(c, logprobs, frames, count, tokens);
	return count;
}
