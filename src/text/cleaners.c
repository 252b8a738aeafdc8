#include "text/cleaners.h"

#include "base/ascii.h"
#include "text/numbers.h"
#include "text/numbers_internal.h"
#include "text/roman.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>
#include <unicode/utrans.h>

#define MAX_TEXT ((size_t)1 << 20)  /* bytes of one text */
#define MAX_CLEAN ((size_t)16 << 20)

/* In the order in which they are done; LOWER_LATE comes behind ABBREVIATIONS, whose French ones have capitals. */
enum {
	ROMAN = 1,         /* in Latin letters */
	ASCII = 2,         /* other letters become the nearest in ASCII */
	COMPOSE = 4,       /* NFC */
	TURKISH = 8,       /* I is a capital ı */
	LOWER = 16,
	TIMES = 32,
	NUMBERS = 64,      /* English ones, as Tacotron's cleaners read them */
	SPELL = 128,       /* numbers of the cleaner's own language */
	ABBREVIATIONS = 256,
	LOWER_LATE = 512,
	SYMBOLS = 1024,    /* ; and : to commas, - to a space, & to a word */
	BRACKETS = 2048,   /* < > ( ) [ ] " go */
	SPACES = 4096,     /* one space for each run, none at the ends */
	LINES = 8192,      /* line feeds go */
	RUNS = 16384,      /* one space for each run, at the ends too */
};

typedef struct cleaner {
	const char *name, *language;
	int steps;
} cleaner;

static const cleaner cleaners[] = {
	{ "no_cleaners", "", LINES },
	{ "basic_cleaners", "", COMPOSE | LOWER | SPACES },
	{ "transliteration_cleaners", "", COMPOSE | LOWER | SPACES },
	{ "basic_german_cleaners", "de", COMPOSE | LOWER | SPACES },
	{ "basic_turkish_cleaners", "tr", COMPOSE | TURKISH | LOWER | SPACES },
	{ "english_cleaners", "en", COMPOSE | LOWER | TIMES | NUMBERS | ABBREVIATIONS | SYMBOLS | BRACKETS | SPACES },
	{ "phoneme_cleaners", "en", COMPOSE | NUMBERS | ABBREVIATIONS | SYMBOLS | BRACKETS | SPACES },
	{ "multilingual_phoneme_cleaners", "", COMPOSE | SYMBOLS | BRACKETS | SPACES },
	{ "french_cleaners", "fr", COMPOSE | ABBREVIATIONS | LOWER_LATE | SYMBOLS | BRACKETS | SPACES },
	{ "portuguese_cleaners", "pt", COMPOSE | LOWER | SYMBOLS | BRACKETS | SPACES },
	{ "italian_cleaners", "it", COMPOSE | LOWER | SPELL | SYMBOLS | BRACKETS | SPACES },
	{ "chinese_mandarin_cleaners", "zh", COMPOSE | SPELL },
	{ "multilingual_cleaners", "", COMPOSE | LOWER | SYMBOLS | BRACKETS | SPACES },
	{ "uroman_cleaners", "", ROMAN | COMPOSE | LOWER | SPACES },
	{ "vits", "en", ASCII | LOWER | ABBREVIATIONS | RUNS },
	{ "vits_transliteration", "", ASCII | LOWER | RUNS },
	{ "vits_basic", "", LOWER | RUNS },
	{ "tacotron2", "en", ASCII | LOWER | NUMBERS | ABBREVIATIONS | RUNS },
};

static const cleaner *find(const char *name) {
	for (size_t i = 0; i < sizeof cleaners / sizeof cleaners[0]; i++)
		if (strcmp(cleaners[i].name, name) == 0)
			return &cleaners[i];
	return NULL;
}

int sn_cleaner_known(const char *name) { return find(name) != NULL; }

/* ---- steps: each appends the text changed ---- */

typedef struct job {
	const cleaner *c;
	char language[4]; /* two letters, or "" */
	char *err;
} job;

static int roman(const job *j, const sn_buf *in, sn_buf *out) {
	for (size_t i = 0; i < in->size; i++)
		if ((uint8_t)in->data[i] > 0x7f)
			return sn_roman(out, in->data, in->size, j->err);
	return sn_buf_add(out, in->data, in->size);
}

/* By ICU's transliterator; what it leaves outside ASCII is dropped. */
static int to_ascii(const job *j, const sn_buf *in, sn_buf *out) {
	static const UChar rules[] = u"Any-Latin; Latin-ASCII";
	UErrorCode status = U_ZERO_ERROR;
	int32_t room = 8 * (int32_t)in->size + 64, length = 0, limit;
	UChar *wide = malloc((size_t)room * sizeof *wide);
	if (!wide)
		return sn_fail(j->err, SN_E_MEMORY, "out of memory for a text of %zu bytes", in->size);
	UTransliterator *t = utrans_openU(rules, -1, UTRANS_FORWARD, NULL, 0, NULL, &status);
	u_strFromUTF8(wide, room, &length, in->data, (int32_t)in->size, &status);
	limit = length;
	if (U_SUCCESS(status))
		utrans_transUChars(t, wide, &length, room, 0, &limit, &status);
	for (int32_t i = 0; i < length && U_SUCCESS(status); i++)
		if (wide[i] < 0x80)
			sn_utf8_add(out, wide[i]);
	if (t)
		utrans_close(t);
	free(wide);
	return U_SUCCESS(status) ? SN_OK : sn_fail(j->err, SN_E_DEPENDENCY, "ICU cannot write the text in ASCII: %s", u_errorName(status));
}

static int ascii(const job *j, const sn_buf *in, sn_buf *out) {
	for (size_t i = 0; i < in->size; i++)
		if ((uint8_t)in->data[i] > 0x7f)
			return to_ascii(j, in, out);
	return sn_buf_add(out, in->data, in->size);
}

static int compose(const job *j, const sn_buf *in, sn_buf *out) { return sn_utf8_normal(out, in->data, in->size, SN_NFC, j->err); }

static int turkish(const job *j, const sn_buf *in, sn_buf *out) {
	for (size_t i = 0; i < in->size; i++)
		sn_buf_add(out, in->data[i] == 'I' ? "ı" : in->data + i, in->data[i] == 'I' ? sizeof "ı" - 1 : 1);
	return SN_OK;
}

static int lower(const job *j, const sn_buf *in, sn_buf *out) {
	for (int32_t i = 0; i < (int32_t)in->size;) {
		int32_t c;
		U8_NEXT((const uint8_t *)in->data, i, (int32_t)in->size, c);
		sn_utf8_add_lower(out, c);
	}
	return SN_OK;
}

static int numbers(const job *j, const sn_buf *in, sn_buf *out) {
	return numbers_for_cleaner(out, in->data, in->size, (j->c->steps & TIMES) != 0, j->err);
}

static int spell_own(const job *j, const sn_buf *in, sn_buf *out) {
	return sn_text_numbers(out, in->data, in->size, j->c->language, j->err);
}

typedef struct abbreviation {
	const char *text, *word;
} abbreviation;

/* With a dot behind, in any case. */
static const abbreviation english[] = { { "mrs.", "misess" },    { "mr.", "mister" },  { "dr.", "doctor" },   { "st.", "saint" },
	                                    { "co.", "company" },    { "jr.", "junior" },  { "maj.", "major" },   { "gen.", "general" },
	                                    { "drs.", "doctors" },   { "rev.", "reverend" }, { "lt.", "lieutenant" }, { "hon.", "honorable" },
	                                    { "sgt.", "sergeant" },  { "capt.", "captain" }, { "esq.", "esquire" }, { "ltd.", "limited" },
	                                    { "col.", "colonel" },   { "ft.", "fort" } };

static const abbreviation french[] = { { "M.", "monsieur" },        { "Mlle.", "mademoiselle" }, { "Mlles.", "mesdemoiselles" },
	                                   { "Mme.", "Madame" },        { "Mmes.", "Mesdames" },     { "N.B.", "nota bene" },
	                                   { "p.c.q.", "parce que" },   { "Pr.", "professeur" },     { "qqch.", "quelque chose" },
	                                   { "rdv.", "rendez-vous" },   { "max.", "maximum" },       { "min.", "minimum" },
	                                   { "no.", "numéro" },         { "adr.", "adresse" },       { "dr.", "docteur" },
	                                   { "st.", "saint" },          { "co.", "companie" },       { "jr.", "junior" },
	                                   { "sgt.", "sergent" },       { "capt.", "capitain" },     { "col.", "colonel" },
	                                   { "av.", "avenue" },         { "apr. J.-C.", "après Jésus-Christ" }, { "art.", "article" },
	                                   { "boul.", "boulevard" },    { "c.-à-d.", "c’est-à-dire" }, { "etc.", "et cetera" },
	                                   { "ex.", "exemple" },        { "excl.", "exclusivement" } };

/* These without a dot, as they are written. */
static const abbreviation french_plain[] = { { "Mlle", "mademoiselle" }, { "Mme", "Madame" } };

static const abbreviation *abbreviation_at(const abbreviation *list, size_t count, const char *text, size_t size, int any_case) {
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(list[i].text);
		if (length <= size && (any_case ? sn_strncasecmp(text, list[i].text, length) : strncmp(text, list[i].text, length)) == 0)
			return &list[i];
	}
	return NULL;
}

static int abbreviations(const job *j, const sn_buf *in, sn_buf *out) {
	const int is_french = strcmp(j->language, "fr") == 0, is_english = strcmp(j->language, "en") == 0;
	int in_word = 0;
	for (size_t i = 0; i < in->size;) {
		const abbreviation *a = NULL;
		const char *at = in->data + i;
		size_t left = in->size - i;
		if (!in_word && is_english)
			a = abbreviation_at(english, sizeof english / sizeof english[0], at, left, 1);
		if (!in_word && is_french && !(a = abbreviation_at(french, sizeof french / sizeof french[0], at, left, 1)))
			a = abbreviation_at(french_plain, sizeof french_plain / sizeof french_plain[0], at, left, 0);
		if (a) {
			sn_buf_text(out, a->word);
			i += strlen(a->text);
			in_word = in->data[i - 1] != '.';
			continue;
		}
		int32_t next = (int32_t)i, c;
		U8_NEXT((const uint8_t *)in->data, next, (int32_t)in->size, c);
		in_word = c == '_' || u_isalnum(c);
		sn_buf_add(out, at, (size_t)next - i);
		i = (size_t)next;
	}
	return SN_OK;
}

/* Greek asks with a semicolon; Catalan writes words with - and '. */
static const char *symbol(const char *language, char c) {
	const int catalan = strcmp(language, "ca") == 0;
	if (c == ';')
		return strcmp(language, "el") == 0 ? NULL : ",";
	if (c == '-')
		return catalan ? "" : " ";
	if (c == ':')
		return ",";
	if (c == '\'')
		return catalan ? "" : NULL;
	if (c != '&')
		return NULL;
	if (strcmp(language, "en") == 0)
		return " and ";
	if (strcmp(language, "fr") == 0)
		return " et ";
	return catalan ? " i " : strcmp(language, "it") == 0 || strcmp(language, "pt") == 0 ? " e " : NULL;
}

static int symbols(const job *j, const sn_buf *in, sn_buf *out) {
	for (size_t i = 0; i < in->size; i++) {
		const char *with = symbol(j->language, in->data[i]);
		if (with)
			sn_buf_text(out, with);
		else
			sn_buf_add(out, in->data + i, 1);
	}
	return SN_OK;
}

static int brackets(const job *j, const sn_buf *in, sn_buf *out) {
	for (size_t i = 0; i < in->size; i++)
		if (!strchr("<>()[]\"", in->data[i]))
			sn_buf_add(out, in->data + i, 1);
	return SN_OK;
}

static int spaces(const job *j, const sn_buf *in, sn_buf *out) {
	int pending = 0;
	for (int32_t i = 0; i < (int32_t)in->size;) {
		int32_t at = i, c;
		U8_NEXT((const uint8_t *)in->data, i, (int32_t)in->size, c);
		if (u_isUWhiteSpace(c) || (c >= 0x1c && c <= 0x1f)) {
			pending = out->size > 0;
			continue;
		}
		if (pending)
			sn_buf_text(out, " ");
		pending = 0;
		sn_buf_add(out, in->data + at, (size_t)(i - at));
	}
	return SN_OK;
}

static int runs(const job *j, const sn_buf *in, sn_buf *out) {
	for (size_t i = 0; i < in->size; i++) {
		int white = strchr(" \t\n\v\f\r", in->data[i]) != NULL;
		if (!white || !out->size || out->data[out->size - 1] != ' ')
			sn_buf_add(out, white ? " " : in->data + i, 1);
	}
	return SN_OK;
}

static int lines(const job *j, const sn_buf *in, sn_buf *out) {
	for (size_t i = 0; i < in->size; i++)
		if (in->data[i] != '\n')
			sn_buf_add(out, in->data + i, 1);
	return SN_OK;
}

/* ---- all of them ---- */

static const struct {
	int bit;
	int (*apply)(const job *, const sn_buf *, sn_buf *);
} steps[] = { { ROMAN, roman }, { ASCII, ascii },   { COMPOSE, compose },   { TURKISH, turkish },
	          { LOWER, lower },      { NUMBERS, numbers }, { SPELL, spell_own }, { ABBREVIATIONS, abbreviations },
	          { LOWER_LATE, lower }, { SYMBOLS, symbols }, { BRACKETS, brackets }, { SPACES, spaces },
	          { LINES, lines },       { RUNS, runs } };

static int apply(const job *j, sn_buf *text, sn_buf *other) {
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		if (!(j->c->steps & steps[i].bit) || !text->size)
			continue;
		sn_buf_clear(other);
		int result = steps[i].apply(j, text, other);
		if (result == SN_OK && other->failed)
			result = sn_fail(j->err, other->failed, "the cleaned text takes more than %zu bytes", MAX_CLEAN);
		if (result != SN_OK)
			return result;
		sn_buf swapped = *text;
		*text = *other;
		*other = swapped;
	}
	return SN_OK;
}

int sn_clean(sn_buf *out, const char *name, const char *language, const char *text, size_t size, char *err) {
	job j = { .c = find(name), .err = err };
	sn_buf a, b;
	if (!j.c)
		return sn_fail(err, SN_E_UNSUPPORTED, "no text cleaner is called '%.60s'", name);
	if (!language || !*language)
		language = j.c->language;
	size_t letters = strcspn(language, "-_");
	memcpy(j.language, language, letters < sizeof j.language ? letters : 0);
	int result = sn_utf8_check(text, size, MAX_TEXT, err);
	if (result != SN_OK)
		return result;
	sn_buf_init(&a, MAX_CLEAN);
	sn_buf_init(&b, MAX_CLEAN);
	sn_buf_add(&a, text, size);
	result = a.failed ? sn_fail(err, a.failed, "out of memory for a text of %zu bytes", size) : apply(&j, &a, &b);
	if (result == SN_OK && sn_buf_add(out, a.data ? a.data : "", a.size) != SN_OK)
		result = sn_fail(err, out->failed, "the cleaned text takes more than %zu bytes", out->max);
	sn_buf_free(&a);
	sn_buf_free(&b);
	return result;
}
