/* What the files of the normaliser share: a language's table, the reader of one text, and the tools that grammars are made of. */
#ifndef SN_TEXT_NORMALISE_INTERNAL_H
#define SN_TEXT_NORMALISE_INTERNAL_H

#include "text/normalise.h"

#include <pthread.h>
#include <unicode/unum.h>
#include <unicode/unumberformatter.h>

#define NORM_MAX_DIGITS 18   /* longer numbers are read digit by digit; also what an int64_t holds */
#define NORM_MAX_MEASURES 48 /* units and currencies whose formatters are kept; further ones are made anew each time */
#define NORM_MAX_NAME 96     /* bytes of a month's name */

/* Which of a language's ways to spell a number. Where ICU lacks a rule set the nearest one stands in (normalise_spell.c). */
typedef enum norm_form {
	NORM_NUMBER,                                     /* counting: eins, uno */
	NORM_MASCULINE, NORM_FEMININE, NORM_NEUTER,      /* before a noun: ein, una */
	NORM_DATIVE, NORM_DATIVE_FEMININE,               /* German: einem, einer */
	NORM_YEAR,
	NORM_ORDINAL, NORM_ORDINAL_FEMININE, NORM_ORDINAL_PLURAL,
	NORM_ORDINAL_SHORT,                              /* before a masculine noun: primer */
	NORM_ORDINAL_N, NORM_ORDINAL_R, NORM_ORDINAL_S,  /* German endings: dritten, dritter, drittes */
	NORM_ORDINAL_GENITIVE,                           /* the day in a Russian date */
	NORM_FORMS
} norm_form;

/* ---- what a language's file fills in; a field that is left out (NULL, 0) switches its reading off ---- */

typedef struct norm_pair {
	const char *written, *spoken;
} norm_pair;

/* When an abbreviation is one. */
typedef enum norm_when {
	NORM_ALWAYS,
	NORM_BEFORE_NAME,    /* a capital letter follows: "Dr. Smith" */
	NORM_BEFORE_NUMBER,  /* a digit follows: "No. 5" */
	NORM_AFTER_NUMBER,   /* a digit stands before: "5 Std." */
	NORM_STREET          /* "Saint|Street": the first before a name, the second behind one */
} norm_when;

typedef struct norm_abbreviation {
	const char *written, *spoken; /* written without spaces: "z.B." also stands for "z. B."; a small first letter for a capital, too */
	norm_when when;
} norm_abbreviation;

typedef struct norm_currency {
	const char *code, *signs;                /* signs with spaces between: "€", "$ US$" */
	const char *one, *many, *cent, *cents;   /* cent NULL: decimals are read as decimals */
	char gender, cent_gender;                /* m f n */
} norm_currency;

typedef struct norm_scale {
	const char *written, *one, *many; /* "Mio.", "Million", "Millionen" */
	int only_money;                   /* 1: an abbreviation that only stands beside a currency: "5 m" are metres, "$5 m" millions; 2: or
	                                   * without a space: "5M users" */
	int value;                        /* 3, 6, 9...: the power of ten */
} norm_scale;

typedef struct norm_reader norm_reader;
typedef struct norm_number norm_number;

typedef struct norm_time {
	int hour, minute, second; /* minute, second -1: not given */
	char half;                /* 'a', 'p' or 0 */
	int marked;               /* "Uhr" or "h" stood with it */
} norm_time;

typedef struct norm_date {
	int year, month, day;     /* 0: not given */
	size_t at;                /* where it begins in the text: German endings depend on the word before */
} norm_date;

typedef struct norm_table {
	const char *language;
	const char *minus, *point, *dot, *to, *score, *over, *by, *times, *at, *slash, *dash, *underscore, *hash, *number, *version,
	    *or, *per;
	const char *born;             /* an asterisk before a date in brackets */
	const char *of;               /* between millions and what is counted: "de", "di" ("d'" in French before a vowel) */
	const char *range;            /* before a range: "da" cinque a sette */
	int decimals_together;        /* up to so many decimals are read as one number: trois virgule quatorze */
	int pairs;                    /* digits of telephone numbers are read in pairs */
	const norm_pair *signs;       /* "+" plus, "&" and ... */
	const norm_abbreviation *abbreviations;
	const norm_currency *currencies;
	const norm_scale *scales;
	const norm_pair *units;       /* names that are better than ICU's: "kilometer-per-hour", "one|many" */
	const char *feminine_units;   /* ICU's names, spaces between: "hour minute" */
	const char *say_words;        /* capitals that are read as words: acronyms (NASA) and short words (THE), spaces round each */
	const char *say_letters;      /* capitals that look like a word but are spelled (AIDS is not, IEEE is) */
	const char *kings;            /* names that a Roman numeral makes a ruler of */
	const char *chapters;         /* words before a Roman numeral that is a plain number: Chapter, War */
	const char *centuries;        /* words behind (Italian, French) a Roman numeral that is an ordinal: secolo */
	const char *phones;           /* words before a telephone number */
	const char *tlds;             /* top-level domains that are read as words */
	const char *bleep;            /* stands for what is not to be said */

	/* Grammar. Each says the words; those that return a position return where the reading ends, 0: not theirs. */
	size_t (*ordinal)(norm_reader *r, const norm_number *n);
	void (*date)(norm_reader *r, const norm_date *d);
	size_t (*day_before_month)(norm_reader *r, const norm_number *n);
	void (*time)(norm_reader *r, const norm_time *t);
	int (*fraction)(norm_reader *r, int64_t above, int64_t below);
	void (*king)(norm_reader *r, int value, size_t at); /* at: the numeral, behind the name */
	size_t (*word)(norm_reader *r, size_t at);                       /* what else a word may begin: March 5 */
	int (*one)(norm_reader *r, const char *noun,
	    char gender);       /* says "one" and the noun where the noun's beginning bends it: un'ora */
	size_t (*number_suffix)(norm_reader *r, const norm_number *n); /* what else stands behind a number: 1990s, 80er, 10x, 5-jährig */
} norm_table;

extern const norm_table norm_english, norm_german, norm_french, norm_spanish, norm_italian, norm_portuguese;

/* ---- the normaliser ---- */

typedef struct norm_measure {
	char name[80];                /* of the skeleton: "unit/kilometer" */
	UNumberFormatter *format;
} norm_measure;

typedef enum norm_order { NORM_DMY, NORM_MDY, NORM_YMD } norm_order;

struct sn_normaliser {
	char locale[64], language[16], region[8];
	const norm_table *table;      /* never NULL: one without words where the language has none */
	char decimal;                 /* '.' or ',' */
	norm_order order;             /* of dates in figures */
	int spaces;                   /* words are written with spaces between */
	int clock12;
	int emphasis;                 /* capitals and ♪ stay */
	char months[12][NORM_MAX_NAME], short_months[12][NORM_MAX_NAME], long_date[NORM_MAX_NAME];
	UNumberFormat *spell;         /* NULL: ICU has no rules for the language */
	UChar rules[NORM_FORMS][48];
	norm_form form;               /* the rule set that is chosen now */
	UFormattedNumber *result;
	norm_measure measures[NORM_MAX_MEASURES];
	int measure_count;
	pthread_mutex_t lock;         /* guards what follows `spell` */
};

/* ---- one text ---- */

struct norm_reader {
	sn_normaliser *n;
	const norm_table *l;
	const char *text;             /* folded: see normalise_fold.c */
	size_t size;
	const uint32_t *source;       /* [size + 1] where each of its bytes came from */
	sn_buf *out;
	size_t base, piece;           /* out's size when the text, the piece began */
	size_t mapped;                /* how much of the unfolded text is in the map */
	size_t number_end;            /* behind the last number that was read, or 0 */
	sn_normal_map *map;           /* never NULL */
	norm_form ending;             /* of the last ordinal: "am 3. und 4. Mai" have the same */
	int shouting;                 /* the text is in capitals: they mean nothing */
	int sums;                     /* there is an equals sign: a hyphen between numbers is a minus */
};

struct norm_number {
	size_t begin, end;            /* bytes of the text */
	char digits[NORM_MAX_DIGITS + 2];
	int count, grouped;           /* all digits before the point, also those beyond NORM_MAX_DIGITS */
	size_t decimals_at;
	int decimals;
	int foreign;                  /* the point is not the language's */
	int64_t value;
};

/* normalise_fold.c: quotes, widths, ligatures, invisible characters, with `digits` digits of any script. *source is malloced,
 * [folded->size + 1]. */
int norm_fold(const char *text, size_t size, int digits, sn_buf *folded, uint32_t **source, char *err);

/* normalise_spell.c */
int norm_spell_open(sn_normaliser *n, char *err);
void norm_spell_close(sn_normaliser *n);
/* Says a number ("12", "-3.14"). 0: ICU cannot, and nothing was said. */
int norm_spell(norm_reader *r, const char *number, size_t size, norm_form form);
int norm_spell_int(norm_reader *r, int64_t value, norm_form form);
int norm_spell_digits(norm_reader *r, const char *digits, size_t count); /* one by one */
/* ICU's name of a unit or currency ("unit/kilometer", "currency/SEK") in the number of n, cut where the figure stands: *before
 * and *after, each of 128 bytes. 0: ICU does not know it. */
int norm_measure_name(norm_reader *r, const char *name, const norm_number *n, char *before, char *after);

/* normalise_text.c: looking at the text */
int32_t norm_char(const norm_reader *r, size_t at);        /* 0 at the end */
int32_t norm_char_before(const norm_reader *r, size_t at); /* 0 at the beginning */
size_t norm_next(const norm_reader *r, size_t at);
int norm_is_digit(const norm_reader *r, size_t at);
int norm_is_letter(const norm_reader *r, size_t at);
int norm_is_upper(const norm_reader *r, size_t at);
int norm_joins_words(int32_t c);                                         /* a digit, or a letter of a script that writes spaces */
int norm_starts(const norm_reader *r, size_t at, const char *what);      /* 1: the text has it here */
size_t norm_word(const norm_reader *r, size_t at, const char *word);     /* its bytes where no letter or digit follows; else 0 */
size_t norm_word_any(const norm_reader *r, size_t at, const char *word); /* the same in any case of ASCII letters */
size_t norm_spaces(const norm_reader *r, size_t at);                     /* past spaces and no-break spaces, not line ends */
size_t norm_letters(const norm_reader *r, size_t at);                    /* past letters and marks */
int norm_plain(const norm_reader *r, size_t at, int least, int most, int *value); /* that many digits and no more: how many; else 0 */
/* The word before `at`, spaces between allowed; "" where something else stands there. Returns where it begins. */
size_t norm_word_before(const norm_reader *r, size_t at, char *word, size_t room);
int norm_listed(const char *list, const char *word, size_t size);        /* a list with spaces between its words, NULL: never */
int norm_is_word(const char *list, const char *word);                     /* the same for a word with a NUL */
int norm_speaks(const norm_reader *r, const char *languages);            /* the text's language is one of the list */
int norm_at_end(const norm_reader *r, size_t at);                        /* only closing marks and spaces follow */

/* Saying: one space between, and before the first where a letter or digit stands before. */
void norm_say(norm_reader *r, const char *words);
void norm_say_part(norm_reader *r, const char *words, size_t size);
void norm_glue(norm_reader *r, const char *text);                        /* without a space */
void norm_copy(norm_reader *r, size_t from, size_t to);                  /* as it stands */
void norm_unspoken(norm_reader *r, int32_t c);                           /* counts it */

/* normalise_number.c */
int norm_scan(const norm_reader *r, size_t at, norm_number *n);
int norm_scan_point(const norm_reader *r, size_t at, norm_number *n);    /* ".5", where the point is a dot */
int norm_say_number(norm_reader *r, const norm_number *n);
int norm_say_counted(norm_reader *r, const norm_number *n, char gender); /* before a noun */
int norm_is_year(const norm_reader *r, const norm_number *n);
int norm_say_year(norm_reader *r, int year);
size_t norm_read_number(norm_reader *r, size_t at);
size_t norm_read_minus(norm_reader *r, size_t at);
int norm_say_minus(norm_reader *r);                                      /* 0: the language has no word for it */
int norm_vulgar(int32_t c, int *above, int *below);                      /* ½ */
int norm_superscript(int32_t c);                                         /* ² as 2; -1: none */

/* normalise_date.c */
size_t norm_read_date(norm_reader *r, size_t at);
size_t norm_read_time(norm_reader *r, size_t at);
size_t norm_read_lap(norm_reader *r, size_t at);
size_t norm_read_phone(norm_reader *r, size_t at);
size_t norm_read_groups(norm_reader *r, size_t at);
void norm_say_phone(norm_reader *r, size_t at, size_t end, int signs);
int norm_month_at(const norm_reader *r, size_t at, size_t *end);         /* 1 to 12 where a month's name stands, else 0 */
int norm_say_date(norm_reader *r, const norm_date *d);                   /* by the table, else by ICU's pattern */
int norm_date_fits(const norm_date *d);

/* normalise_money.c */
size_t norm_read_money(norm_reader *r, size_t at);                       /* "€5": a currency before a number */
int norm_currency_before(const norm_reader *r, size_t at);               /* one stands at `at`, and a number behind it */
size_t norm_read_measure(norm_reader *r, const norm_number *n);          /* "5 €", "5 km", "5 %", "5 Mio. €": what follows a number */

/* A number of units by ICU's name, or the number alone where ICU has none. */
void norm_say_unit(norm_reader *r, const norm_number *n, const char *name);

/* "per kilogram": a unit at `at` by its name alone; where it ends, 0: none. */
size_t norm_read_unit(norm_reader *r, size_t at);

/* normalise_word.c */
size_t norm_read_word(norm_reader *r, size_t at);
/* One by one; in English with dots between, by which espeak-ng and its kin know them from words ("a"): A.P.I. `plural`: an "s" will
 * stand behind. */
void norm_say_letters(norm_reader *r, size_t at, size_t end, int plural);
int norm_roman(const char *text, size_t size);                           /* its value, 0: none */

/* normalise_address.c */
size_t norm_read_address(norm_reader *r, size_t at);                     /* URL, e-mail; at a word's beginning */
size_t norm_read_tag(norm_reader *r, size_t at);                         /* #tag, @name */

/* normalise_sign.c */
size_t norm_read_sign(norm_reader *r, size_t at);

/* normalise_arithmetic.c: what a language without a table has, NULL: nothing */
const norm_table *norm_arithmetic_of(const char *language);

/* normalise.c */
const norm_table *norm_table_of(const char *language); /* "de", "de_AT"; NULL: the language has none */
typedef int norm_task(norm_reader *r, const void *context, char *err);
/* Folds the text and does the task under the lock; a failed task leaves nothing in out. */
int norm_run(sn_normaliser *n, const char *text, size_t size, sn_buf *out, sn_normal_map *map, norm_task *task, const void *context,
    char *err);
int norm_read_text(norm_reader *r, char *err); /* all of r->text */
/* What the last piece left of the text up to `to` became what out has from `begin` on. */
void norm_add_piece(norm_reader *r, size_t to, size_t begin, int read);

#endif
