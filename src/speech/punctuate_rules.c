#include "speech/punctuate_rules.h"

#include <stdio.h>
#include <string.h>

/* Seconds of silence behind a word. Chosen on read and spoken clips of several languages, see docs/punctuation.md. */
#define STOP 0.55        /* ends a sentence, */
#define STOP_LONG 0.40   /* one of many words earlier, */
#define STOP_JOIN 1.10   /* one that goes on with "and", "but" later, */
#define STOP_OPEN 2.50   /* and one that breaks off inside a phrase much later */
#define COMMA 0.20
#define COMMA_JOIN 0.18  /* before "and", "but" */
#define MANY 14          /* words */
#define LEAST_COMMA 2    /* words of a sentence before its first comma */

static int has(const char *list, const char *word) {
	char key[64];
	const int size = snprintf(key, sizeof key, " %s ", word);
	return size < (int)sizeof key && strstr(list, key) != NULL;
}

int sn_rules_asks(const sn_rules *rules, const sn_marked *words, int count) {
	for (const char *const (*q)[2] = rules->asking; count > 0 && (*q)[0]; q++)
		if (strcmp((*q)[0], words[0].text) == 0 && (!*(*q)[1] || (count > 1 && has((*q)[1], words[1].text))))
			return 1;
	return 0;
}

/* Whether the words[0, count) end as a question does: written without spaces, as these languages are. */
static int tails(const sn_rules *rules, const sn_marked *words, int count) {
	char text[128] = "";
	size_t size = 0;
	for (int i = count > 8 ? count - 8 : 0; i < count; i++) {
		const size_t length = strlen(words[i].text);
		if (size + length >= sizeof text)
			size = 0;
		if (length >= sizeof text)
			continue;
		memcpy(text + size, words[i].text, length + 1);
		size += length;
	}
	for (const char *const *t = rules->tails; t && *t; t++)
		if (size >= strlen(*t) && strcmp(text + size - strlen(*t), *t) == 0)
			return 1;
	return 0;
}

/* 2: a sentence ends behind words[at], 1: a clause, 0: neither. */
static int weigh(const sn_rules *rules, const sn_marked *words, int at, const sn_rules_state *state) {
	const double pause = words[at + 1].start - words[at].end;
	const int joins = has(rules->joins, words[at + 1].text), length = state->words;
	if (has(rules->unending, words[at].text))
		return pause >= STOP_OPEN ? 2 : 0;
	if (pause >= (joins && !state->question ? STOP_JOIN : length >= MANY ? STOP_LONG : STOP))
		return 2;
	return length >= LEAST_COMMA && pause >= (joins ? COMMA_JOIN : COMMA);
}

void sn_rules_mark(const sn_rules *rules, sn_rules_state *state, sn_marked *words, int count, int all) {
	int first = 0; /* of the sentence, or of what is here of it */
	for (int i = 0; i < count; i++) {
		words[i].before = words[i].after = "";
		if (!state->words) {
			first = i;
			state->question = sn_rules_asks(rules, words + i, all - i);
			words[i].before = state->question ? rules->opens : "";
		}
		state->words++;
		const int what = i + 1 < all ? weigh(rules, words, i, state) : 2;
		if (what == 1)
			words[i].after = rules->comma;
		if (what < 2)
			continue;
		words[i].after = state->question || tails(rules, words + first, i + 1 - first) ? rules->question : rules->stop;
		*state = (sn_rules_state){ 0 };
	}
}

int sn_rules_ends(const char *after) {
	static const char *const ends[] = { ".", "?", "!", ";", "。", "？", "！", "؟", "۔", "।", "։", "՞", "።", "။", "។", "…" };
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (strcmp(ends[i], after) == 0)
			return 1;
	return 0;
}

#define WINDOW 64 /* words whose names are looked up at once */
#define NAME 4    /* words of the longest name */
#define ACRONYM 3 /* letters of the shortest that is sure */

/* Letters that make an acronym become one word; marks between them part them. */
static void join_letters(const sn_casing *casing, const char *const *texts, sn_marked *words, int count) {
	for (int i = 0; i < count; i++) {
		const int spelled = sn_casing_spelled(casing, texts, count, i);
		int letters = spelled > 0;
		while (letters && letters < spelled && !*words[i + letters - 1].after)
			letters++;
		for (int k = 0; letters >= ACRONYM && k < letters; k++) {
			words[i + k].how = SN_CASE_UPPER;
			words[i + k].joined = k > 0;
		}
		i += letters > 1 ? letters - 1 : 0;
	}
}

void sn_rules_case(const sn_casing *casing, sn_marked *words, int count, int begins, int keep) {
	const char *texts[WINDOW];
	sn_case cases[WINDOW];
	for (int i = 0; i < count; i++) {
		words[i].how = SN_CASE_AS_IS;
		words[i].joined = 0;
	}
	for (int at = 0; !keep && at < count; at += WINDOW - NAME) { /* windows overlap: a name may lie across */
		const int here = count - at < WINDOW ? count - at : WINDOW;
		for (int i = 0; i < here; i++)
			texts[i] = words[at + i].text;
		sn_casing_find(casing, texts, here, cases);
		for (int i = at ? NAME / 2 : 0; i < here; i++)
			words[at + i].how = cases[i];
		join_letters(casing, texts, words + at, here);
	}
	for (int i = 0; i < count; i++) {
		if (begins && words[i].how != SN_CASE_UPPER)
			words[i].how = SN_CASE_CAPITAL;
		begins = sn_rules_ends(words[i].after);
	}
}
