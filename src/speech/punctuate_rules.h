/* Marks and capitals by rules: pauses, words that cannot end a sentence, words that begin a question, names. */
#ifndef SN_SPEECH_PUNCTUATE_RULES_H
#define SN_SPEECH_PUNCTUATE_RULES_H

#include "text/casing.h"

/* A word with what is written round it. */
typedef struct sn_marked {
	const char *text;          /* in lower case where the model knows one case only */
	double start, end;
	float confidence;
	const char *before, *after; /* marks; "" none. Static or the rules' */
	sn_case how;
	int joined;                /* a letter that is written to the word before, as in "USA" */
} sn_marked;

/* What a language writes, and what tells its sentences. Words of a list stand between spaces. */
typedef struct sn_rules {
	const char *code;          /* "": any language that is not listed */
	const char *stop, *comma, *question, *opens; /* opens: before a question, "" for most */
	const char *unending;      /* words that no sentence and no clause ends with */
	const char *joins;         /* words that go on after a comma rather than begin a sentence */
	const char *const (*asking)[2]; /* first word of a question, and the words that may come second ("": any); ends with NULL */
	const char *const *tails;  /* endings of a question; ends with NULL. NULL: none */
} sn_rules;

/* Where a text is in its sentence. {0} begins. */
typedef struct sn_rules_state {
	int words;                 /* of the sentence so far */
	int question;              /* it began as one */
} sn_rules_state;

const sn_rules *sn_rules_of(const char *language);
/* Whether the language can begin a question so. */
int sn_rules_asks(const sn_rules *rules, const sn_marked *words, int count);

/* Marks words[0, count) by the pauses behind them; words[count, all) are what follows, none: the text ends there. */
void sn_rules_mark(const sn_rules *rules, sn_rules_state *state, sn_marked *words, int count, int all);
/* Whether a sentence ends with these marks. */
int sn_rules_ends(const char *after);
/* Capitals: of sentences by the marks (begins: words[0] begins one), and of names. keep: only the first letters of sentences. */
void sn_rules_case(const sn_casing *casing, sn_marked *words, int count, int begins, int keep);

#endif
