#include "text/kokoro.h"

#include "base/json.h"
#include "text/inline.h"
#include "text/kana.h"
#include "text/readings.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#define MAX_SOUNDS ((size_t)1 << 20) /* bytes */
#define SYLLABIC 0x329

typedef struct symbol {
	int32_t c, id;
} symbol;

struct sn_kokoro_text {
	symbol *symbols; /* by character */
	int count;
	sn_readings *readings;
};

/* ---- the table of ids ---- */

static int by_character(const void *a, const void *b) {
	const int32_t x = ((const symbol *)a)->c, y = ((const symbol *)b)->c;
	return (x > y) - (x < y);
}

static int id_of(const sn_kokoro_text *t, int32_t c) {
	const symbol wanted = { c, 0 };
	const symbol *const found = bsearch(&wanted, t->symbols, (size_t)t->count, sizeof wanted, by_character);
	return found ? found->id : -1;
}

static int read_symbols(sn_kokoro_text *t, const json_t *vocab, const char *path, char *err) {
	const char *key;
	json_t *value;
	if (!json_is_object(vocab) || !json_object_size(vocab) || json_object_size(vocab) > SN_KOKORO_MAX_ID)
		return sn_fail(err, SN_E_MODEL, "%s: 'vocab' must be an object of 1 to %d characters and their ids", path, SN_KOKORO_MAX_ID);
	t->symbols = calloc(json_object_size(vocab), sizeof *t->symbols);
	if (!t->symbols)
		return sn_fail(err, SN_E_MEMORY, "no memory for the characters of %s", path);
	json_object_foreach((json_t *)(uintptr_t)vocab, key, value) {
		int32_t i = 0, c;
		const int32_t size = (int32_t)strlen(key);
		U8_NEXT((const uint8_t *)key, i, size, c);
		if (size == 0 || c < 0 || i != size)
			return sn_fail(err, SN_E_MODEL, "%s: '%.40s' in 'vocab' must be one character", path, key);
		const json_int_t id = json_integer_value(value);
		if (!json_is_integer(value) || id < 0 || id > SN_KOKORO_MAX_ID)
			return sn_fail(err, SN_E_MODEL, "%s: the id of '%s' must be an integer from 0 to %d", path, key, SN_KOKORO_MAX_ID);
		if (id > 0) /* 0 stands around every text */
			t->symbols[t->count++] = (symbol){ c, (int32_t)id };
	}
	qsort(t->symbols, (size_t)t->count, sizeof *t->symbols, by_character);
	return SN_OK;
}

int sn_kokoro_text_open(sn_kokoro_text **out, const char *path, char *err) {
	json_t *root = NULL;
	sn_kokoro_text *const t = *out = calloc(1, sizeof *t);
	if (!t)
		return sn_fail(err, SN_E_MEMORY, "no memory for %s", path);
	int result = sn_json_file(&root, path, err);
	if (result == SN_OK)
		result = read_symbols(t, json_object_get(root, "vocab"), path, err);
	if (result == SN_OK)
		result = sn_readings_open(&t->readings, err);
	json_decref(root);
	if (result != SN_OK)
		sn_kokoro_text_close(out);
	return result;
}

void sn_kokoro_text_close(sn_kokoro_text **held) {
	sn_kokoro_text *const t = *held;
	*held = NULL;
	if (!t)
		return;
	sn_readings_close(&t->readings);
	free(t->symbols);
	free(t);
}

/* ---- espeak's IPA in the notation of the voices ---- */

typedef enum dialect { AMERICAN, BRITISH, OTHER } dialect;

static const struct {
	char letter;
	const char *language, *espeak;
	dialect dialect;
} languages[] = {
	{ 'a', "en", "en-us", AMERICAN }, { 'b', "en-gb", "en", BRITISH }, { 'j', "ja", "en-us", AMERICAN }, { 'e', "es", "es", OTHER },
	{ 'f', "fr", "fr", OTHER }, { 'h', "hi", "hi", OTHER }, { 'i', "it", "it", OTHER }, { 'p', "pt-br", "pt-br", OTHER },
};
#define LANGUAGES (sizeof languages / sizeof *languages)

const char *sn_kokoro_language(char letter) {
	for (size_t i = 0; i < LANGUAGES; i++)
		if (languages[i].letter == letter)
			return languages[i].language;
	return NULL;
}

#define IN(dialect) (1 << (dialect))
#define ENGLISH (IN(AMERICAN) | IN(BRITISH))
#define ALL (ENGLISH | IN(OTHER))

/* One sign for a diphthong or an affricate; the longer of those that begin alike first. */
static const struct {
	const char *from, *to;
	int dialects;
} signs[] = {
	{ "ʔˌn̩", "tn", ENGLISH }, { "ʔn̩", "tn", ENGLISH }, { "ɜːɹ", "ɜɹ", IN(AMERICAN) }, { "ɜː", "ɜɹ", IN(AMERICAN) },
	{ "tʃ", "ʧ", ALL }, { "dʒ", "ʤ", ALL }, { "ts", "ʦ", IN(OTHER) }, { "dz", "ʣ", IN(OTHER) }, { "aɪ", "I", ALL }, { "aʊ", "W", ALL },
	{ "eɪ", "A", ALL }, { "ɔɪ", "Y", ALL }, { "oʊ", "O", IN(AMERICAN) | IN(OTHER) }, { "əʊ", "Q", IN(BRITISH) | IN(OTHER) },
	{ "eə", "ɛː", IN(BRITISH) }, { "iə", "ɪə", IN(BRITISH) }, { "ɪə", "iə", IN(AMERICAN) }, { "ː", "", IN(AMERICAN) }, { "ʲ", "", ENGLISH },
	{ "ɚ", "əɹ", ENGLISH }, { "e", "A", ENGLISH }, { "r", "ɹ", ENGLISH }, { "x", "k", ENGLISH }, { "ç", "k", ENGLISH }, { "ɐ", "ə", ENGLISH },
	{ "ɬ", "l", ENGLISH }, { "ʔ", "t", ENGLISH }, { "ɾ", "T", ENGLISH }, { "o", "ɔ", ENGLISH }, { "̃", "", ENGLISH },
};

static size_t width(const char *text, size_t size) {
	int32_t i = 0;
	U8_FWD_1((const uint8_t *)text, i, (int32_t)size);
	return (size_t)i;
}

static int32_t character(const char *text, size_t size) {
	int32_t i = 0, c = -1;
	if (size)
		U8_NEXT((const uint8_t *)text, i, (int32_t)size, c);
	return c;
}

static int starts(const char *text, size_t size, const char *with) { return size >= strlen(with) && memcmp(text, with, strlen(with)) == 0; }

/* "l" with a short vowel before it, at the end of a word or before a consonant: "little"; not "police". */
static int is_weak_l(const char *text, size_t size) {
	const size_t length = strlen("əl");
	if (!starts(text, size, "əl"))
		return 0;
	const int32_t next = character(text + length, size - length);
	return !(next == 0x2c8 || next == 0x2cc || next == SYLLABIC || (next > 0 && strchr("aeiouAIOWYQ", next < 0x80 ? next : 0x80)) ||
	         (next >= 0x250 && next <= 0x25c) || next == 0xe6 || next == 0x26a || next == 0x28a || next == 0x28c || next == 0x1d7b);
}

/* espeak's notes of a change of language ("(en)") are left out. */
static void add_ipa(sn_buf *out, const char *ipa, size_t size, dialect d) {
	for (size_t i = 0; i < size;) {
		const char *const at = ipa + i;
		const size_t left = size - i, one = width(at, left);
		const char *const close = *at == '(' ? memchr(at, ')', left) : NULL;
		size_t k = 0;
		while (k < sizeof signs / sizeof *signs && !((signs[k].dialects & IN(d)) && starts(at, left, signs[k].from)))
			k++;
		if (close) {
			i += (size_t)(close - at) + 1;
		} else if (d != OTHER && is_weak_l(at, left)) {
			sn_buf_text(out, "ᵊl");
			i += strlen("əl");
		} else if (d != OTHER && character(at + one, left - one) == SYLLABIC) {
			sn_buf_text(out, "ᵊ");
			sn_buf_add(out, at, one);
			i += one + strlen("̩");
		} else if (k < sizeof signs / sizeof *signs) {
			sn_buf_text(out, signs[k].to);
			i += strlen(signs[k].from);
		} else {
			sn_buf_add(out, at, one);
			i += one;
		}
	}
}

static int ends_with_space(const sn_buf *out) { return !out->size || out->data[out->size - 1] == ' '; }

static void add_space(sn_buf *out) {
	if (!ends_with_space(out))
		sn_buf_text(out, " ");
}

static int add_espeak(sn_phonemizer *phonemizer, const char *voice, dialect d, const char *text, size_t size, sn_buf *out, char *err) {
	sn_clauses clauses;
	if (!phonemizer)
		return sn_fail(err, SN_E_DEPENDENCY, "this voice needs a phonemizer");
	const int result = sn_phonemizer_run(phonemizer, voice, text, size, &clauses, err);
	if (result != SN_OK)
		return result;
	for (int i = 0; i < clauses.count; i++) {
		const char *ipa = clauses.items[i].phonemes;
		size_t length = strlen(ipa);
		while (length && *ipa == ' ')
			ipa++, length--;
		while (length && ipa[length - 1] == ' ')
			length--;
		if (!length)
			continue;
		add_space(out);
		add_ipa(out, ipa, length, d);
		if (clauses.items[i].terminator)
			sn_buf_add(out, &clauses.items[i].terminator, 1);
	}
	sn_clauses_free(&clauses);
	return SN_OK;
}

/* ---- Japanese ---- */

typedef struct japanese {
	const sn_kokoro_text *t;
	sn_phonemizer *phonemizer;
	sn_buf *out;
	int *missing;
	sn_buf word;         /* kana of the word that may go on */
	sn_word_kind kind;   /* of its last part */
	char *err;
} japanese;

static int is_han(int32_t c) {
	UErrorCode status = U_ZERO_ERROR;
	return c >= 0 && (c == 0x3006 || uscript_getScript(c, &status) == USCRIPT_HAN);
}

static int is_latin(int32_t c) {
	UErrorCode status = U_ZERO_ERROR;
	return c >= 0 && u_isalpha(c) && uscript_getScript(c, &status) == USCRIPT_LATIN;
}

/* Words stand apart; a doubled consonant joins the word that it begins or ends in to its neighbour. */
static void add_word(japanese *j, const char *kana, size_t size) {
	const size_t stop = strlen("ʔ"), quote = strlen("“");
	sn_buf *const out = j->out;
	sn_buf word;
	sn_buf_init(&word, MAX_SOUNDS);
	sn_kana_sounds(&word, kana, size, j->missing);
	const int after_stop = out->size >= stop && memcmp(out->data + out->size - stop, "ʔ", stop) == 0;
	const int after_quote = out->size >= quote && memcmp(out->data + out->size - quote, "“", quote) == 0;
	const int stops = word.size && starts(word.data, word.size, "ʔ") && out->size && !strchr("!\",.:;?", out->data[out->size - 1]);
	if (word.size && !after_stop && !after_quote && !stops)
		add_space(out);
	if (word.size)
		sn_buf_add(out, word.data, word.size);
	sn_buf_free(&word);
}

static void end_word(japanese *j) {
	if (j->word.size)
		add_word(j, j->word.data, j->word.size);
	sn_buf_clear(&j->word);
	j->kind = SN_WORD_OTHER;
}

static int all_kana(const char *text, size_t size) {
	for (size_t i = 0; i < size; i += width(text + i, size - i))
		if (!sn_kana_is(character(text + i, size - i)))
			return 0;
	return 1;
}

/* Endings are part of the verb before them: "yon de" is one word, and so is "mashi ta"; "masu" is one of its own behind longer verbs. */
static int goes_on(const japanese *j, const sn_reading *r) {
	if (!j->word.size || (j->kind != SN_WORD_VERB && j->kind != SN_WORD_AUXILIARY))
		return 0;
	return r->kind == SN_WORD_CONNECTIVE ||
	       (r->kind == SN_WORD_AUXILIARY && (j->kind == SN_WORD_AUXILIARY || j->word.size == strlen("イ") || r->word_size == strlen("た")));
}

static void read_word(void *payload, const sn_reading *r) {
	japanese *const j = payload;
	const int read = r->reading_size && all_kana(r->reading, r->reading_size);
	if (!goes_on(j, r))
		end_word(j);
	j->kind = r->kind;
	if (read)
		sn_buf_add(&j->word, r->reading, r->reading_size);
	else if (all_kana(r->word, r->word_size))
		sn_buf_add(&j->word, r->word, r->word_size);
	else
		for (size_t i = 0; i < r->word_size; i += width(r->word + i, r->word_size - i))
			++*j->missing;
}

/* A run of kana and Chinese characters. Kana alone can be read without the analyser, as one word. */
static int add_run(japanese *j, const char *text, size_t size) {
	if (sn_readings_ready(j->t->readings, j->err)) {
		sn_buf_init(&j->word, MAX_SOUNDS);
		const int result = sn_readings_run(j->t->readings, text, size, read_word, j, j->err);
		end_word(j);
		sn_buf_free(&j->word);
		return result;
	}
	if (!all_kana(text, size))
		return SN_E_DEPENDENCY;
	add_word(j, text, size);
	return SN_OK;
}

static size_t run_length(const char *text, size_t size) {
	size_t i = 0;
	for (int32_t c; i < size && (sn_kana_is(c = character(text + i, size - i)) || is_han(c)); i += width(text + i, size - i)) {
		sn_buf number; /* one that is no word by itself ends the run */
		if (!i || !sn_kana_digit(c))
			continue;
		sn_buf_init(&number, 4096);
		const size_t is = sn_kana_number(&number, text + i, size - i, 0);
		sn_buf_free(&number);
		if (is)
			break;
	}
	return i;
}

/* Latin letters and what stands between them, up to the last letter. */
static size_t latin_length(const char *text, size_t size) {
	size_t end = 0;
	for (size_t i = 0; i < size; i += width(text + i, size - i)) {
		const int32_t c = character(text + i, size - i);
		if (is_latin(c) || c == '\'')
			end = i + width(text + i, size - i);
		else if (c >= 0x80 && !(c >= 0x2010 && c <= 0x2019))
			break;
	}
	return end;
}

/* A mark as the voices know it; 0: another character. */
static int add_mark(japanese *j, int32_t c) {
	static const struct {
		int32_t c;
		const char *mark;
	} marks[] = {
		{ 0x3002, "." }, { 0x3001, "," }, { 0xff61, "." }, { 0xff64, "," }, { 0xff0c, "," }, { 0x300c, "“" }, { 0x300d, "”" }, { 0x300e, "“" }, { 0x300f, "”" },
		{ 0x201c, "“" }, { 0x201d, "”" }, { 0x300a, "(" }, { 0x300b, ")" }, { 0x3010, "(" }, { 0x3011, ")" }, { 0x301c, "—" }, { '~', "—" }, { 0x2014, "—" },
		{ 0x2026, "…" }, { '!', "!" }, { '?', "?" }, { ',', "," }, { '.', "." }, { ';', ";" }, { ':', ":" }, { '(', "(" }, { ')', ")" }, { '"', "\"" },
	};
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		if (marks[i].c != c)
			continue;
		const int opens = strcmp(marks[i].mark, "“") == 0 || *marks[i].mark == '(';
		if (opens)
			add_space(j->out);
		else
			while (j->out->size && j->out->data[j->out->size - 1] == ' ')
				j->out->size--;
		sn_buf_text(j->out, marks[i].mark);
		return 1;
	}
	return 0;
}

static int add_japanese(japanese *j, const char *text, size_t size) {
	int result = SN_OK, follows = 0;
	sn_buf number;
	sn_buf_init(&number, 65536);
	for (size_t i = 0; i < size && result == SN_OK;) {
		const char *const at = text + i;
		const size_t left = size - i;
		const int32_t c = character(at, left);
		size_t length = sn_kana_digit(c) ? sn_kana_number(&number, at, left, follows) : 0;
		follows = length > 0;
		if (length) {
			add_word(j, number.data, number.size);
			sn_buf_clear(&number);
		} else if ((length = run_length(at, left))) {
			result = add_run(j, at, length);
		} else if (is_latin(c)) {
			length = latin_length(at, left);
			result = add_espeak(j->phonemizer, "en-us", AMERICAN, at, length, j->out, j->err);
		} else {
			length = width(at, left);
			if (c == 0x30fb || u_isUWhiteSpace(c))
				add_space(j->out);
			else if (!add_mark(j, c) && u_isalnum(c))
				++*j->missing;
		}
		i += length;
	}
	sn_buf_free(&number);
	return result;
}

static int add_normal_japanese(const sn_kokoro_text *t, sn_phonemizer *phonemizer, const char *text, size_t size, sn_buf *out, int *missing, char *err) {
	japanese j = { .t = t, .phonemizer = phonemizer, .out = out, .missing = missing, .err = err };
	sn_buf normal;
	sn_buf_init(&normal, MAX_SOUNDS);
	int result = sn_utf8_normal(&normal, text, size, SN_NFKC, err);
	if (result == SN_OK && normal.size)
		result = add_japanese(&j, normal.data, normal.size);
	sn_buf_free(&normal);
	return result;
}

/* ---- text ---- */

/* Given phonemes, without what separates syllables. */
static void add_given(sn_buf *out, const char *ipa, size_t size, dialect d) {
	sn_buf plain;
	sn_buf_init(&plain, MAX_SOUNDS);
	for (size_t i = 0; i < size; i++) {
		if (starts(ipa + i, size - i, SN_INLINE_SPACE)) {
			sn_buf_text(&plain, " ");
			i += SN_INLINE_BYTES - 1;
		} else if (!strchr(".,;:?!|-", ipa[i]) || !ipa[i]) {
			sn_buf_add(&plain, ipa + i, 1);
		}
	}
	add_space(out);
	if (plain.size)
		add_ipa(out, plain.data, plain.size, d);
	sn_buf_free(&plain);
}

int sn_kokoro_sounds(const sn_kokoro_text *t, sn_phonemizer *phonemizer, const char *language, const char *espeak, const char *in, size_t size,
                     sn_buf *out, int *missing, char *err) {
	size_t l = 0;
	int result = SN_OK;
	for (size_t i = 0; language && i < LANGUAGES; i++)
		if (strcmp(languages[i].language, language) == 0)
			l = i;
	const int own = !espeak || !*espeak;
	const int kana = own && languages[l].letter == 'j';
	const dialect d = own ? languages[l].dialect : strcmp(espeak, "en") == 0 ? BRITISH : strncmp(espeak, "en", 2) == 0 ? AMERICAN : OTHER;
	for (size_t i = 0; i < size && result == SN_OK;) {
		const char *const ipa = memmem(in + i, size - i, SN_INLINE_IPA, SN_INLINE_BYTES);
		const size_t part = ipa ? (size_t)(ipa - in) : size;
		if (part > i && kana)
			result = add_normal_japanese(t, phonemizer, in + i, part - i, out, missing, err);
		else if (part > i)
			result = add_espeak(phonemizer, own ? languages[l].espeak : espeak, d, in + i, part - i, out, err);
		if (!ipa || result != SN_OK)
			break;
		const size_t from = part + SN_INLINE_BYTES;
		const char *const close = memmem(in + from, size - from, SN_INLINE_IPA_END, SN_INLINE_BYTES);
		const size_t to = close ? (size_t)(close - in) : size;
		add_given(out, in + from, to - from, kana ? OTHER : d);
		i = close ? to + SN_INLINE_BYTES : size;
	}
	return result == SN_OK && out->failed ? sn_fail(err, out->failed, "the text has more than %zu bytes of sounds", out->max) : result;
}

/* ---- ids ---- */

/* The nearest sounds of some that the table lacks. */
static const struct {
	int32_t c;
	const char *near;
} nearest[] = {
	{ 0x67, "ɡ" }, { 0x25d, "ɜɹ" }, { 0x25a, "əɹ" }, { 0x266, "h" }, { 0x127, "h" }, { 0x26b, "l" }, { 0x26d, "l" }, { 0x28f, "y" }, { 0x275, "ø" },
	{ 0x289, "u" }, { 0x271, "m" }, { 0x280, "ʁ" }, { 0x291, "ʥ" }, { 0x24d, "w" }, { 0x28d, "w" }, { 0x1d7f, "ʊ" }, { 0x25e, "ɜ" }, { 0x258, "ə" },
	{ 0x264, "o" }, { 0x250, "ə" }, { 0xab, "“" }, { 0xbb, "”" }, { 0x51, "O" },
};

static const char *near_of(int32_t c) {
	for (size_t i = 0; i < sizeof nearest / sizeof *nearest; i++)
		if (nearest[i].c == c)
			return nearest[i].near;
	return NULL;
}

/* What separates or joins, and has no sound. */
static int is_silent(int32_t c) { return c == '-' || c == '_' || c == '\'' || c == 0x361 || c == 0x203f || c == SYLLABIC || c == 0x32f || u_charType(c) == U_FORMAT_CHAR; }

/* How good a cut behind this character is. */
static int cut_worth(int32_t c) { return c == '.' || c == '!' || c == '?' || c == 0x2026 ? 3 : c == ',' || c == ';' || c == ':' || c == 0x2014 ? 2 : c == ' '; }

int sn_kokoro_ids(const sn_kokoro_text *t, const char *sounds, size_t size, int32_t *ids, int max, size_t *used, int *missing) {
	int count = 0, best = 0, best_count = 0, strange = 0, best_strange = 0;
	size_t i = 0, best_used = 0;
	while (i < size) {
		const int32_t c = character(sounds + i, size - i);
		const char *const near = id_of(t, c) < 0 ? near_of(c) : NULL;
		const int need = near ? 2 : 1;
		if (count + need > max)
			break;
		if (near)
			for (size_t k = 0; near[k]; k += width(near + k, strlen(near + k))) {
				const int id = id_of(t, character(near + k, strlen(near + k)));
				if (id >= 0)
					ids[count++] = id;
			}
		else if (id_of(t, c) >= 0)
			ids[count++] = id_of(t, c);
		else
			strange += !is_silent(c);
		i += width(sounds + i, size - i);
		if (cut_worth(c) >= best && cut_worth(c) && (count > max / 3 || !best)) {
			best = cut_worth(c);
			best_count = count;
			best_used = i;
			best_strange = strange;
		}
	}
	if (i < size && best) {
		i = best_used;
		count = best_count;
		strange = best_strange;
	}
	*used = i;
	*missing += strange;
	return count;
}
