/* The kinds of SSML's say-as. */
#include "text/normalise_internal.h"

#include "base/ascii.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>

typedef struct say_as {
	const char *kind, *format, *detail;
} say_as;

typedef int kind_reader(norm_reader *r, const say_as *s); /* 1: read; 0: the text is not of this kind */

static size_t begin_of(const norm_reader *r) {
	return norm_spaces(r, 0);
}

/* Behind the text without the white space at its end. */
static size_t end_of(const norm_reader *r) {
	size_t end = r->size;
	while (end && u_isUWhiteSpace(norm_char_before(r, end)))
		end -= (unsigned char)r->text[end - 1] == 0xa0 ? 2 : 1;
	return end;
}

static int is_integer(const norm_reader *r, size_t at, norm_number *n) {
	return norm_scan(r, at, n) && n->end == end_of(r) && !n->decimals && n->count <= NORM_MAX_DIGITS;
}

static int read_cardinal(norm_reader *r, const say_as *s) {
	norm_number n;
	size_t at = begin_of(r), end = end_of(r);
	int roman = norm_roman(r->text + at, end - at);
	if (roman)
		return norm_spell_int(r, roman, NORM_NUMBER);
	if (norm_starts(r, at, "-") || norm_starts(r, at, "−")) {
		size_t behind = norm_read_minus(r, at);
		if (!behind || behind == end)
			return behind == end;
		at = behind;
	}
	return norm_scan(r, at, &n) && n.end == end && norm_say_number(r, &n);
}

static int read_ordinal(norm_reader *r, const say_as *s) {
	norm_number n;
	size_t at = begin_of(r), end = end_of(r);
	int roman = norm_roman(r->text + at, end - at);
	if (!roman && !is_integer(r, at, &n))
		return 0;
	return norm_spell_int(r, roman ? roman : n.value, NORM_ORDINAL);
}

static const char *sign_name(const norm_reader *r, size_t at, size_t *end) {
	static const char digits_of_signs[] = "./-_@";
	const char *const own[] = { r->l->dot, r->l->slash, r->l->dash, r->l->underscore, r->l->at }, *in;
	*end = norm_next(r, at);
	if ((in = strchr(digits_of_signs, r->text[at])) && r->text[at])
		return own[in - digits_of_signs];
	for (const norm_pair *sign = r->l->signs; sign && sign->written; sign++)
		if (strlen(sign->written) == *end - at && norm_starts(r, at, sign->written))
			return sign->spoken;
	return NULL;
}

/* joined: to the letter before it, as norm_say_letters does: espeak takes a lone "A" for the article. */
static void say_character(norm_reader *r, size_t at, int joined) {
	int32_t c = norm_char(r, at);
	size_t end = norm_next(r, at);
	if (norm_is_digit(r, at) && norm_spell_digits(r, r->text + at, 1))
		return;
	if (u_isalnum(c)) {
		char letter[8] = "";
		memcpy(letter, r->text + at, end - at);
		if (letter[0] >= 'a' && letter[0] <= 'z')
			letter[0] -= 32;
		norm_glue(r, joined ? "." : "");
		(joined ? norm_glue : norm_say)(r, letter);
		return;
	}
	const char *name = sign_name(r, at, &end);
	if (name && *name)
		norm_say(r, name);
	else if (!u_isUWhiteSpace(c))
		norm_unspoken(r, c);
}

/* One by one; a space is a pause, and `detail` has the sizes of groups with pauses between. */
static int read_characters(norm_reader *r, const say_as *s) {
	const char *groups = s->detail;
	const int english = norm_speaks(r, "en");
	long left = 0;
	for (size_t at = begin_of(r), begin = at, end = end_of(r); at < end; at = norm_next(r, at)) {
		int32_t c = norm_char(r, at);
		int joined = english && at > begin && u_isalpha(c) && u_isalpha(norm_char_before(r, at));
		if (left <= 0 && groups && *groups) {
			char *rest;
			left = strtol(groups, &rest, 10);
			if (rest == groups || left < 1)
				groups = NULL;
			else {
				norm_glue(r, r->out->size > r->piece ? "," : "");
				groups = rest;
				joined = 0;
			}
		}
		if (u_isUWhiteSpace(c) && r->out->size > r->piece)
			norm_glue(r, ",");
		say_character(r, at, joined);
		left--;
	}
	return 1;
}

static int read_digits(norm_reader *r, const say_as *s) {
	for (size_t at = begin_of(r), end = end_of(r); at < end; at = norm_next(r, at)) {
		if (norm_is_digit(r, at) ? !norm_spell_digits(r, r->text + at, 1) : u_isalpha(norm_char(r, at)))
			return 0;
		if (!norm_is_digit(r, at) && !u_isUWhiteSpace(norm_char(r, at)) && !strchr("-.,/()", r->text[at]))
			return 0;
	}
	return r->out->size > r->piece;
}

/* Numbers in the order that the format names. */
static int read_formatted_date(norm_reader *r, const char *format) {
	norm_date d = { .at = SIZE_MAX };
	size_t at = begin_of(r), end = end_of(r);
	for (const char *f = format; *f; f++) {
		size_t run = 0;
		int value = 0;
		while (at < end && !norm_is_digit(r, at) && strchr("-/. ,", r->text[at]))
			at++;
		while (norm_is_digit(r, at + run))
			run++;
		size_t length = *f == 'y' && run >= 4 ? 4 : run < 2 ? run : 2; /* "20240305" */
		for (size_t i = 0; i < length; i++)
			value = 10 * value + r->text[at + i] - '0';
		if (!length)
			return 0;
		int *field = *f == 'y' ? &d.year : *f == 'm' ? &d.month : *f == 'd' ? &d.day : NULL;
		if (!field)
			return 0;
		*field = *f == 'y' && length == 2 ? value + (value < 50 ? 2000 : 1900) : value;
		at += length;
	}
	at += strspn(r->text + at, ". "); /* "5.3." */
	if (at < end || (strchr(format, 'm') && (d.month < 1 || d.month > 12)) || (strchr(format, 'd') && (d.day < 1 || d.day > 31)))
		return 0;
	if (!r->l->date && !(d.year && d.month && d.day))
		return 0;
	return norm_say_date(r, &d);
}

static int read_date(norm_reader *r, const say_as *s) {
	size_t at = begin_of(r);
	if (s->format && *s->format)
		return read_formatted_date(r, s->format);
	return norm_read_date(r, at) == end_of(r);
}

static int read_time(norm_reader *r, const say_as *s) {
	return norm_read_time(r, begin_of(r)) == end_of(r);
}

static int say_span(norm_reader *r, const char *unit, int value) {
	char before[128], after[128];
	norm_number n = { .value = value };
	n.count = snprintf(n.digits, sizeof n.digits, "%d", value);
	if (!norm_measure_name(r, unit, &n, before, after))
		return 0;
	norm_say(r, before);
	int feminine = norm_listed(r->l->feminine_units, unit + 5, strlen(unit + 5));
	norm_say_counted(r, &n, feminine ? 'f' : 'm');
	norm_say(r, after);
	return 1;
}

/* "1:21:05", "2:30" (minutes and seconds), 1'21" */
static int read_duration(norm_reader *r, const say_as *s) {
	static const char *const units[] = { "unit/hour", "unit/minute", "unit/second" };
	int values[3], count = 0;
	size_t at = begin_of(r), end = end_of(r);
	while (count < 3 && at < end) {
		int length = norm_plain(r, at, 1, 4, &values[count]);
		if (!length)
			return 0;
		count++;
		at += (size_t)length;
		if (at < end && strchr(":'\"", r->text[at]))
			at++;
	}
	if (at != end || count < 2)
		return 0;
	for (int i = 0; i < count; i++)
		if (values[i] && !say_span(r, units[3 - count + i], values[i]))
			return 0;
	return r->out->size > r->piece || say_span(r, units[2], 0);
}

static int read_telephone(norm_reader *r, const say_as *s) {
	size_t end = end_of(r), digits = 0;
	for (size_t i = 0; i < end; i++)
		digits += (size_t)norm_is_digit(r, i);
	if (!digits || !r->n->spell)
		return 0;
	for (size_t i = 0; i < end; i++) /* "1-800-FLOWERS" */
		if (norm_is_letter(r, i))
			return read_characters(r, &(say_as){ 0 });
	if (s->format && *s->format >= '0' && *s->format <= '9' && !norm_starts(r, begin_of(r), "+")) {
		norm_spell_digits(r, s->format, strspn(s->format, "0123456789"));
		norm_glue(r, ",");
	}
	norm_say_phone(r, begin_of(r), end, s->detail && strcmp(s->detail, "punctuation") == 0);
	return 1;
}

static int read_fraction(norm_reader *r, const say_as *s) {
	norm_number whole = { 0 }, above, below;
	size_t at = begin_of(r);
	if (!r->l->fraction || !norm_scan(r, at, &above))
		return 0;
	size_t next = norm_spaces(r, above.end);
	next = norm_starts(r, next, "+") ? norm_spaces(r, next + 1) : next;
	if (next > above.end) {
		whole = above;
		if (!norm_scan(r, next, &above))
			return 0;
	}
	if (!norm_starts(r, above.end, "/") || !norm_scan(r, above.end + 1, &below) || below.end != end_of(r) || above.decimals ||
	    below.decimals)
		return 0;
	if (whole.count) {
		norm_say_number(r, &whole);
		for (const norm_pair *sign = r->l->signs; sign->written; sign++)
			norm_say(r, strcmp(sign->written, "&") == 0 ? sign->spoken : NULL);
	}
	if (below.value > 1 && below.value <= 1000 && above.count <= 4 && r->l->fraction(r, above.value, below.value))
		return 1;
	norm_say_number(r, &above);
	norm_say(r, r->l->over);
	return norm_say_number(r, &below);
}

static int read_expletive(norm_reader *r, const say_as *s) {
	norm_say(r, r->l->bleep ? r->l->bleep : "bip");
	return 1;
}

static const struct kind {
	const char *name;
	kind_reader *read; /* NULL: as any text */
} kinds[] = {
	{ "cardinal", read_cardinal }, { "number", read_cardinal }, { "ordinal", read_ordinal }, { "characters", read_characters },
	{ "spell-out", read_characters }, { "letters", read_characters }, { "verbatim", read_characters }, { "digits", read_digits },
	{ "date", read_date }, { "time", read_time }, { "duration", read_duration }, { "telephone", read_telephone },
	{ "phone", read_telephone }, { "fraction", read_fraction }, { "expletive", read_expletive }, { "bleep", read_expletive },
	{ "currency", NULL }, { "money", NULL }, { "unit", NULL }, { "measure", NULL }, { "address", NULL }, { "name", NULL } };

static int read_kind(norm_reader *r, const void *context, char *err) {
	const say_as *s = context;
	const struct kind *kind = NULL;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (sn_strcasecmp(kinds[i].name, s->kind) == 0)
			kind = &kinds[i];
	if (kind && kind->read && kind->read(r, s) && !r->out->failed) {
		norm_add_piece(r, r->size, r->piece, 1);
		return SN_OK;
	}
	if (!r->out->failed && r->out->data)
		r->out->size = r->piece;
	int result = norm_read_text(r, err);
	if (result != SN_OK || (kind && !kind->read))
		return result;
	return kind ? sn_fail(err, SN_AGAIN, "say-as \"%s\": \"%.60s\" is none%s%s; it is read as plain text", s->kind, r->text,
	                      s->format && *s->format ? " of the format " : "", s->format ? s->format : "")
	            : sn_fail(err, SN_AGAIN, "say-as \"%s\" is not known; the text is read as plain text", s->kind);
}

int sn_say_as(sn_normaliser *n, const char *interpret_as, const char *format, const char *detail, const char *text, size_t size,
    sn_buf *out,
              sn_normal_map *map, char *err) {
	say_as s = { interpret_as ? interpret_as : "", format, detail };
	return norm_run(n, text, size, out, map, read_kind, &s, err);
}
