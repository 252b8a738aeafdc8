#include "text/normalise_internal.h"

#include "text/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/udat.h>
#include <unicode/uloc.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

/* ---- opening ---- */

static const norm_table no_table = { 0 };

const norm_table *norm_table_of(const char *language) {
	if (!language || !*language)
		language = "en";
	static const norm_table *const tables[] = { &norm_english, &norm_german, &norm_french, &norm_spanish, &norm_italian,
	    &norm_portuguese };
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		if (strncmp(tables[i]->language, language, 2) == 0 && !(language[2] >= 'a' && language[2] <= 'z'))
			return tables[i];
	return NULL;
}

static void find_locale(sn_normaliser *n, const char *language) {
	UErrorCode status = U_ZERO_ERROR;
	char tag[64];
	snprintf(tag, sizeof tag, "%s", language && *language ? language : "en");
	for (char *c = tag; *c; c++)
		*c = *c == '_' ? '-' : *c;
	if (strcmp(tag, "cmn") == 0 || strncmp(tag, "cmn-", 4) == 0)
		snprintf(tag, sizeof tag, "zh");
	uloc_forLanguageTag(tag, n->locale, sizeof n->locale, NULL, &status);
	uloc_getLanguage(n->locale, n->language, sizeof n->language, &status);
	if (U_FAILURE(status) || status == U_STRING_NOT_TERMINATED_WARNING || !*n->language) {
		snprintf(n->locale, sizeof n->locale, "und");
		*n->language = 0;
	}
	if (strcmp(n->language, "no") == 0) /* ICU's rules are under Bokmål */
		snprintf(n->locale, sizeof n->locale, "nb"), snprintf(n->language, sizeof n->language, "nb");
	status = U_ZERO_ERROR;
	uloc_getCountry(n->locale, n->region, sizeof n->region, &status);
	if (U_FAILURE(status))
		*n->region = 0;
}

static void find_separators(sn_normaliser *n) {
	UErrorCode status = U_ZERO_ERROR;
	UChar symbol[8] = { '.' };
	UNumberFormat *format = unum_open(UNUM_DECIMAL, NULL, 0, n->locale, NULL, &status);
	if (U_SUCCESS(status))
		unum_getSymbol(format, UNUM_DECIMAL_SEPARATOR_SYMBOL, symbol, 8, &status);
	n->decimal = U_SUCCESS(status) && symbol[0] == ',' ? ',' : '.';
	unum_close(format);
}

/* The pattern of a style in UTF-8, "" where there is none. */
static void find_pattern(const char *locale, UDateFormatStyle time, UDateFormatStyle date, char *out) {
	UErrorCode status = U_ZERO_ERROR;
	UChar pattern[NORM_MAX_NAME];
	*out = 0;
	UDateFormat *format = udat_open(time, date, locale, NULL, 0, NULL, 0, &status);
	int32_t length = U_SUCCESS(status) ? udat_toPattern(format, 0, pattern, NORM_MAX_NAME, &status) : 0;
	u_strToUTF8(out, NORM_MAX_NAME - 1, NULL, pattern, length, &status);
	if (U_FAILURE(status))
		*out = 0;
	udat_close(format);
}

static void find_months(sn_normaliser *n, const char *locale) {
	UErrorCode status = U_ZERO_ERROR;
	UChar name[NORM_MAX_NAME];
	UDateFormat *format = udat_open(UDAT_NONE, UDAT_LONG, locale, NULL, 0, NULL, 0, &status);
	for (int i = 0; i < 24 && U_SUCCESS(status); i++) {
		char *to = i < 12 ? n->months[i] : n->short_months[i - 12];
		int32_t length = udat_getSymbols(format, i < 12 ? UDAT_MONTHS : UDAT_SHORT_MONTHS, i % 12, name, NORM_MAX_NAME, &status);
		u_strToUTF8(to, NORM_MAX_NAME, NULL, name, length, &status);
		if (U_FAILURE(status) || status == U_STRING_NOT_TERMINATED_WARNING)
			*to = 0;
	}
	udat_close(format);
}

static void find_dates(sn_normaliser *n) {
	char locale[96], pattern[NORM_MAX_NAME];
	snprintf(locale, sizeof locale, "%s@calendar=gregorian", n->locale);
	find_months(n, locale);
	find_pattern(locale, UDAT_NONE, UDAT_LONG, n->long_date);
	find_pattern(locale, UDAT_NONE, UDAT_SHORT, pattern);
	const char *day = strchr(pattern, 'd'), *month = strchr(pattern, 'M'), *year = strchr(pattern, 'y');
	n->order = !day || !month || !year ? NORM_DMY : year < day ? NORM_YMD : month < day ? NORM_MDY : NORM_DMY;
	find_pattern(locale, UDAT_SHORT, UDAT_NONE, pattern);
	n->clock12 = strchr(pattern, 'a') != NULL;
}

int sn_normaliser_open(sn_normaliser **out, const char *language, char *err) {
	sn_normaliser *n = *out = NULL;
	if (!(n = calloc(1, sizeof *n)))
		return sn_fail(err, SN_E_MEMORY, "out of memory for the rules of a language");
	pthread_mutex_init(&n->lock, NULL);
	find_locale(n, language);
	n->table = *n->language ? norm_table_of(n->language) : NULL;
	n->table = n->table ? n->table : norm_arithmetic_of(n->language);
	n->table = n->table ? n->table : &no_table;
	n->spaces = !norm_listed("zh yue ja th lo km my", n->language, strlen(n->language));
	find_separators(n);
	find_dates(n);
	int result = norm_spell_open(n, err);
	if (result != SN_OK)
		sn_normaliser_close(&n);
	*out = n;
	return result;
}

void sn_normaliser_keep_emphasis(sn_normaliser *n) { n->emphasis = 1; }

void sn_normaliser_close(sn_normaliser **n) {
	if (!n || !*n)
		return;
	norm_spell_close(*n);
	pthread_mutex_destroy(&(*n)->lock);
	free(*n);
	*n = NULL;
}

const char *sn_normaliser_language(const sn_normaliser *n) { return n->language; }

int sn_normaliser_level(const sn_normaliser *n) { return n->table->language ? 2 : n->spell != NULL; }

/* ---- the map ---- */

void sn_normal_map_free(sn_normal_map *map) {
	if (map)
		free(map->items);
	if (map)
		*map = (sn_normal_map){ 0 };
}

size_t sn_normal_map_at(const sn_normal_map *map, size_t at) {
	for (int i = 0; i < map->count; i++) {
		const sn_normal_piece *p = &map->items[i];
		if (at < p->to)
			return p->read || p->to - p->from != p->end - p->begin ? p->begin : p->begin + (at > p->from ? at - p->from : 0);
	}
	return map->count ? map->items[map->count - 1].end : 0;
}

/* Pieces that stayed as they are grow as long as both sides do alike, so that positions inside them are exact. */
void norm_add_piece(norm_reader *r, size_t to, size_t begin, int read) {
	sn_normal_map *map = r->map;
	sn_normal_piece p = { r->mapped, r->source[to], begin - r->base, r->out->size - r->base, read };
	sn_normal_piece *last = map->count ? &map->items[map->count - 1] : NULL;
	map->read += (size_t)read;
	r->mapped = r->source[to];
	if (last && !read && !last->read && last->to == p.from && last->end == p.begin &&
	    last->to - last->from == last->end - last->begin &&
	    p.to - p.from == p.end - p.begin) {
		last->to = p.to;
		last->end = p.end;
		return;
	}
	if (map->count == map->capacity) {
		int capacity = map->capacity ? 2 * map->capacity : 16;
		sn_normal_piece *grown = realloc(map->items, (size_t)capacity * sizeof *grown);
		if (!grown) {
			r->out->failed = SN_E_MEMORY;
			return;
		}
		map->items = grown;
		map->capacity = capacity;
	}
	map->items[map->count++] = p;
}

/* ---- reading a text ---- */

/* What stays as it is: a word, a run of digits, or one character. */
static size_t copy(norm_reader *r, size_t at) {
	int32_t c = norm_char(r, at);
	size_t end = norm_letters(r, at);
	if (c == 0xa0 || c == ' ') {
		char before = r->out->size > r->base ? r->out->data[r->out->size - 1] : ' ';
		if (before != ' ')
			sn_buf_add(r->out, " ", 1);
		return norm_next(r, at);
	}
	if (end == at)
		end = norm_next(r, at);
	if (norm_is_digit(r, at)) {
		while (norm_is_digit(r, end))
			end++;
		r->map->digits += end - at;
	}
	norm_copy(r, at, end);
	return end;
}

/* Reads what begins at `at`: where it ends; 0: it stays. What was written of it then is taken back. */
static size_t read_at(norm_reader *r, size_t at) {
	size_t start = r->out->size, end = 0;
	if (norm_is_letter(r, at))
		end = norm_read_word(r, at);
	else if (norm_is_digit(r, at))
		end = norm_read_number(r, at);
	else
		end = norm_read_sign(r, at);
	if (!end && !r->out->failed) {
		r->out->size = start;
		if (r->out->data)
			r->out->data[start] = 0;
	}
	return end;
}

/* A space before a sign that was left out at the end. */
static void trim(norm_reader *r) {
	sn_buf *out = r->out;
	if (out->size <= r->base || out->data[out->size - 1] != ' ' || !r->size || r->text[r->size - 1] == ' ')
		return;
	out->data[--out->size] = 0;
	for (int i = r->map->count - 1; i >= 0 && r->map->items[i].end > out->size - r->base; i--) {
		r->map->items[i].end = out->size - r->base;
		if (r->map->items[i].begin > r->map->items[i].end)
			r->map->items[i].begin = r->map->items[i].end;
	}
}

int norm_read_text(norm_reader *r, char *err) {
	size_t most = r->base + r->size * SN_NORMAL_GROWTH + SN_NORMAL_SLACK;
	for (size_t i = 0, end; i < r->size && !r->out->failed; i = end) {
		r->piece = r->out->size;
		end = read_at(r, i);
		int read = end != 0;
		if (read && norm_is_letter(r, end) && r->out->size > r->piece && r->n->spaces &&
		    r->out->data[r->out->size - 1] != ' ' && r->out->data[r->out->size - 1] != '-')
			sn_buf_add(r->out, " ", 1);
		if (!read) {
			size_t begin = r->out->size;
			end = copy(r, i);
			norm_add_piece(r, end, begin, 0);
		} else {
			norm_add_piece(r, end, r->piece, 1);
		}
		if (r->out->size > most)
			return sn_fail(err, SN_E_LIMIT, "the text with its numbers as words takes more than %d bytes for each of its own",
			    SN_NORMAL_GROWTH);
	}
	if (r->out->failed)
		return sn_fail(err, r->out->failed, "the text with its numbers as words takes more than %zu bytes", r->out->max);
	trim(r);
	return SN_OK;
}

/* Whether most of more than a few letters are capitals. */
static int is_shouting(const norm_reader *r) {
	size_t upper = 0, lower = 0, words = 0;
	for (size_t i = 0; i < r->size; i = norm_next(r, i)) {
		int32_t c = norm_char(r, i);
		upper += u_isupper(c) != 0;
		lower += u_islower(c) != 0;
		words += c == ' ';
	}
	return words >= 2 && upper > 10 && upper > 4 * lower;
}

int norm_run(sn_normaliser *n, const char *text, size_t size, sn_buf *out, sn_normal_map *map, norm_task *task, const void *context,
    char *err) {
	sn_buf folded;
	uint32_t *source = NULL;
	sn_normal_map own = { 0 };
	int result = sn_utf8_check(text, size, SN_NORMAL_MAX, err);
	if (result != SN_OK)
		return result;
	size_t base = out->size;
	result = norm_fold(text, size, n->spell != NULL, &folded, &source, err);
	norm_reader r = { .n = n, .l = n->table, .text = folded.data ? folded.data : "", .size = folded.size, .source = source,
	    .out = out, .base = base,
		              .piece = base, .map = map ? map : &own };
	if (result == SN_OK) {
		r.shouting = is_shouting(&r);
		r.sums = memchr(r.text, '=', r.size) != NULL;
		pthread_mutex_lock(&n->lock);
		result = task(&r, context, err);
		pthread_mutex_unlock(&n->lock);
	}
	if (result != SN_OK && result != SN_AGAIN && out->data) {
		out->size = base;
		out->data[base] = 0;
	}
	sn_normal_map_free(&own);
	sn_buf_free(&folded);
	free(source);
	return result;
}

static int read_all(norm_reader *r, const void *context, char *err) { return norm_read_text(r, err); }

int sn_normalise(sn_normaliser *n, const char *text, size_t size, sn_buf *out, sn_normal_map *map, char *err) {
	return norm_run(n, text, size, out, map, read_all, NULL, err);
}
