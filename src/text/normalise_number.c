/* Numbers: cardinals, decimals, years, fractions, scores, ranges, versions; what stands behind them is found by others. */
#include "text/normalise_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>

/* ---- scanning ---- */

#define MAX_GROUPS 9 /* that are looked at to tell a number from a list; more than an int64_t holds */

static int digits_at(const norm_reader *r, size_t at) {
	int count = 0;
	while (count < 4 && norm_is_digit(r, at + (size_t)count))
		count++;
	return count;
}

/* Where spaces are no marks of the language they are where nothing else makes sense: "10 000", "1 234 567", but "100 200 300" and
 * "1 800 555 1234". */
static int spaces_group(const norm_reader *r, const norm_number *n) {
	int groups = 0, zeros = 0;
	size_t at = n->end;
	for (; groups < MAX_GROUPS && norm_starts(r, at, " ") && digits_at(r, at + 1) == 3; at += 4) {
		zeros |= norm_starts(r, at, " 000");
		groups++;
	}
	return zeros || (groups > 1 && n->count < 3 && !(norm_starts(r, at, " ") && norm_is_digit(r, at + 1)));
}

/* Bytes of a mark between groups of three digits, 0: none. */
static size_t group_mark(const norm_reader *r, size_t at, int spaces) {
	char c = at < r->size ? r->text[at] : 0;
	size_t length = norm_starts(r, at, "\xc2\xa0") ? 2 : c == '\'' || c == (r->n->decimal == ',' ? '.' : ',') || (c == ' ' && spaces);
	return length && digits_at(r, at + length) == 3 ? length : 0;
}

/* The first of the groups of an Indian number, "1,23,45,678": groups of two, and one of three at the end. */
static int indian_groups(const norm_reader *r, size_t at) {
	size_t begin = at;
	while (at - begin < 3 * MAX_GROUPS && norm_starts(r, at, ",") && digits_at(r, at + 1) == 2)
		at += 3;
	return r->n->decimal == '.' && at > begin && norm_starts(r, at, ",") && digits_at(r, at + 1) == 3 && !norm_starts(r, at + 4, ",");
}

static void take_digit(norm_number *n, char digit) {
	if (n->count < NORM_MAX_DIGITS)
		n->digits[n->count] = digit;
	n->count++;
}

static size_t take_group(const norm_reader *r, size_t at, size_t size, norm_number *n) {
	for (size_t i = 0; i < size; i++)
		take_digit(n, r->text[at + i]);
	n->grouped = 1;
	return at + size;
}

static size_t scan_groups(const norm_reader *r, norm_number *n) {
	size_t at = n->end, length;
	int groupable = n->count <= 3 && n->digits[0] != '0', spaces = groupable && (r->n->decimal == ',' || spaces_group(r, n));
	if (groupable && n->count < 3 && indian_groups(r, at)) {
		while (digits_at(r, at + 1) == 2)
			at = take_group(r, at + 1, 2, n);
		return take_group(r, at + 1, 3, n);
	}
	length = groupable ? group_mark(r, at, spaces) : 0;
	char mark = length ? r->text[at] : 0;
	while (length && r->text[at] == mark) {
		at = take_group(r, at + length, 3, n);
		length = group_mark(r, at, spaces);
	}
	return at;
}

int norm_scan(const norm_reader *r, size_t at, norm_number *n) {
	*n = (norm_number){ .begin = at };
	for (; norm_is_digit(r, at); at++)
		take_digit(n, r->text[at]);
	if (!n->count)
		return 0;
	n->end = at;
	n->end = at = scan_groups(r, n);
	n->value = n->count <= NORM_MAX_DIGITS ? strtoll(n->digits, NULL, 10) : INT64_MAX;
	char point = at < r->size ? r->text[at] : 0;
	if ((point == r->n->decimal || (point == '.' && !n->grouped)) && norm_is_digit(r, at + 1)) {
		size_t end = at + 1;
		while (norm_is_digit(r, end))
			end++;
		if (end < r->size && r->text[end] == point && norm_is_digit(r, end + 1)) /* a list: 1,5,7 */
			return 1;
		n->decimals_at = at + 1;
		n->decimals = (int)(end - at - 1);
		n->foreign = point != r->n->decimal;
		n->end = end;
	}
	return 1;
}

int norm_scan_point(const norm_reader *r, size_t at, norm_number *n) {
	*n = (norm_number){ .begin = at, .end = at + 1, .digits = "0", .count = 1, .decimals_at = at + 1 };
	if (!norm_starts(r, at, ".") || r->n->decimal != '.')
		return 0;
	for (; norm_is_digit(r, n->end); n->end++)
		n->decimals++;
	return n->decimals > 0;
}

/* ---- saying ---- */

static int say_integer(norm_reader *r, const norm_number *n, norm_form form) {
	int zeros = n->count > 1 && n->digits[0] == '0' && !n->decimals;
	if (n->count > NORM_MAX_DIGITS || zeros) {
		for (size_t i = n->begin; i < n->end; i++)
			if (!norm_spell_digits(r, r->text + i, 1))
				return 0;
		return 1;
	}
	return norm_spell(r, n->digits, (size_t)n->count, form);
}

/* Behind the point: one by one, or as one number where the language does so (its leading zeros one by one). */
static void say_decimals(norm_reader *r, const norm_number *n) {
	const char *digits = r->text + n->decimals_at;
	size_t count = (size_t)n->decimals, zeros = 0;
	if (n->decimals > r->l->decimals_together) {
		norm_spell_digits(r, digits, count);
		return;
	}
	while (zeros + 1 < count && digits[zeros] == '0')
		zeros++;
	norm_spell_digits(r, digits, zeros);
	norm_spell(r, digits + zeros, count - zeros, NORM_NUMBER);
}

int norm_say_number(norm_reader *r, const norm_number *n) {
	if (!n->decimals)
		return say_integer(r, n, NORM_NUMBER);
	const char *point = n->foreign || (r->n->decimal == '.' && r->l->dot && !norm_speaks(r, "en")) ? r->l->dot : r->l->point;
	if (point) {
		if (!say_integer(r, n, NORM_NUMBER))
			return 0;
		norm_say(r, point);
		say_decimals(r, n);
		return 1;
	}
	char text[2 * NORM_MAX_DIGITS + 4];
	if (n->count > NORM_MAX_DIGITS || n->decimals >= NORM_MAX_DIGITS)
		return 0;
	int length = snprintf(text, sizeof text, "%s.%.*s", n->digits, n->decimals, r->text + n->decimals_at);
	return norm_spell(r, text, (size_t)length, NORM_NUMBER);
}

/* German and Italian bend only "one" itself, the others every number that ends in it. */
int norm_say_counted(norm_reader *r, const norm_number *n, char gender) {
	int only_one = norm_speaks(r, "de it nl");
	if (n->decimals || !gender || (only_one && n->value != 1))
		return norm_say_number(r, n);
	return say_integer(r, n, gender == 'f' ? NORM_FEMININE : gender == 'n' ? NORM_NEUTER : NORM_MASCULINE);
}

/* Years that have a form of their own: nineteen eighty-four, neunzehnhundertvierundachtzig; in English also those from 2010 on. */
static int has_year_form(const norm_reader *r, int64_t year) {
	int english = norm_speaks(r, "en"), germanic = norm_speaks(r, "de nl sv da nb nn");
	return year >= 1100 && ((english && year < 2100) || (germanic && year < 2000));
}

int norm_is_year(const norm_reader *r, const norm_number *n) {
	return n->count == 4 && !n->grouped && !n->decimals && has_year_form(r, n->value);
}

int norm_say_year(norm_reader *r, int year) { return norm_spell_int(r, year, has_year_form(r, year) ? NORM_YEAR : NORM_NUMBER); }

/* ---- fractions, scores, versions ---- */

int norm_vulgar(int32_t c, int *above, int *below) {
	static const struct { int32_t c; int above, below; } known[] = {
		{ 0xbc, 1, 4 }, { 0xbd, 1, 2 }, { 0xbe, 3, 4 }, { 0x2150, 1, 7 }, { 0x2151, 1, 9 }, { 0x2152, 1, 10 }, { 0x2153, 1, 3 },
		{ 0x2154, 2, 3 }, { 0x2155, 1, 5 }, { 0x2156, 2, 5 }, { 0x2157, 3, 5 }, { 0x2158, 4, 5 }, { 0x2159, 1, 6 },
		{ 0x215a, 5, 6 }, { 0x215b, 1, 8 }, { 0x215c, 3, 8 }, { 0x215d, 5, 8 }, { 0x215e, 7, 8 } };
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].c == c) {
			*above = known[i].above;
			*below = known[i].below;
			return 1;
		}
	return 0;
}

int norm_superscript(int32_t c) {
	return c == 0xb9 ? 1 : c == 0xb2 ? 2 : c == 0xb3 ? 3 : c == 0x2070 || (c >= 0x2074 && c <= 0x2079) ? c - 0x2070 : -1;
}

/* "1½", "1 1/2": the fraction behind a whole number. */
static size_t read_mixed_fraction(norm_reader *r, const norm_number *n) {
	int above, below;
	size_t at = norm_spaces(r, n->end), end = 0;
	if (n->decimals || !r->l->fraction)
		return 0;
	if (norm_vulgar(norm_char(r, n->end), &above, &below)) {
		end = norm_next(r, n->end);
	} else if (at > n->end && n->count < 4) {
		int first = norm_plain(r, at, 1, 1, &above), second = first && norm_starts(r, at + 1, "/")
		    ? norm_plain(r, at + 2, 1, 2, &below) : 0;
		end = second && above && below > above && below <= 16 && !norm_is_letter(r, at + 2 + (size_t)second)
		    ? at + 2 + (size_t)second : 0;
	}
	if (!end)
		return 0;
	norm_say_number(r, n);
	for (const norm_pair *sign = r->l->signs; sign && sign->written; sign++)
		if (strcmp(sign->written, "&") == 0)
			norm_say(r, sign->spoken);
	return r->l->fraction(r, above, below) ? end : 0;
}

static size_t read_fraction(norm_reader *r, const norm_number *n) {
	norm_number below;
	if (!norm_starts(r, n->end, "/") || n->decimals || n->grouped || n->count > 4 || !norm_scan(r, n->end + 1, &below) ||
	    below.decimals ||
	    below.count > 4 || norm_starts(r, below.end, "/") || norm_is_letter(r, below.end))
		return 0;
	if (norm_starts(r, n->begin, "24/7") || norm_starts(r, n->begin, "9/11") || norm_starts(r, n->begin, "50/50")) {
		norm_say_number(r, n);
		norm_say_number(r, &below);
		return below.end;
	}
	int season = n->count == 4 && below.count == 2 && below.value == (n->value + 1) % 100; /* 2023/24 */
	if (!season && n->value && n->value < below.value && below.value <= 100 && below.value > 1 && r->l->fraction &&
	    (below.value <= 20 || below.value == 100) && r->l->fraction(r, n->value, below.value))
		return below.end;
	norm_is_year(r, n) ? norm_say_year(r, (int)n->value) : norm_say_number(r, n);
	const char *over = below.count == 4 && below.value > 1900 && below.value < 2100 ? r->l->slash : r->l->over;
	norm_say(r, season ? NULL : over ? over : "/"); /* law 39/2015; a voice may have a word for the sign */
	norm_say_number(r, &below);
	return below.end;
}

/* 3:2, where it is no time of day. */
static size_t read_score(norm_reader *r, const norm_number *n) {
	norm_number other;
	if (!norm_starts(r, n->end, ":") || n->decimals || n->count > 3 || !r->l->score || !norm_scan(r, n->end + 1, &other) ||
	    other.count > 3)
		return 0;
	norm_say_number(r, n);
	norm_say(r, r->l->score);
	norm_say_number(r, &other);
	return other.end;
}

/* 2.0.1 and 192.168.0.1: each part a number, the dots by name. Three digits in a part are read one by one. */
static size_t read_dotted(norm_reader *r, size_t at) {
	size_t end = at, parts = 0;
	int grouped = 1, long_part = 0;
	while (norm_is_digit(r, end)) {
		size_t begin = end;
		while (norm_is_digit(r, end))
			end++;
		grouped &= parts ? end - begin == 3 : end - begin <= 3;
		long_part |= end - begin > 5;
		if (++parts > 8)
			return 0;
		if (!norm_starts(r, end, ".") || !norm_is_digit(r, end + 1))
			break;
		end++;
	}
	const char *dot = r->l->dot;
	int address = parts == 4 && (r->n->decimal == '.' || r->text[at] != '0');
	for (size_t i = at, value = 0; i < end && address; i++) {
		value = r->text[i] == '.' ? 0 : 10 * value + (size_t)(r->text[i] - '0');
		address = value <= 255;
	}
	if (parts < 3 || long_part || (grouped && r->n->decimal == ',' && !address) || !r->l->dot)
		return 0;
	if (!address && norm_speaks(r, "en"))
		dot = r->l->point;
	for (size_t i = at; i < end;) {
		norm_number part;
		size_t stop = i;
		while (norm_is_digit(r, stop))
			stop++;
		if (stop - i > 2 || r->text[i] == '0') {
			norm_spell_digits(r, r->text + i, stop - i);
		} else {
			part = (norm_number){ .begin = i, .end = stop, .count = (int)(stop - i) };
			memcpy(part.digits, r->text + i, stop - i);
			norm_say_number(r, &part);
		}
		if (stop < end)
			norm_say(r, dot);
		i = stop + 1;
	}
	return end;
}

/* ---- among letters, and plain ---- */

/* The figures of "B2B", "MP3", "A380": three in English by the first and the other two. */
static size_t read_among_letters(norm_reader *r, const norm_number *n) {
	if (n->grouped || n->decimals)
		return 0;
	if (norm_speaks(r, "en") && r->out->size > r->base && r->out->data[r->out->size - 1] == 'A' &&
	    norm_char_before(r, n->begin) == 'A')
		norm_glue(r, "-"); /* "A4" is no article */
	if (n->count > 4) {
		norm_spell_digits(r, r->text + n->begin, (size_t)n->count);
	} else if (n->count == 3 && n->digits[0] != '0' && n->value % 100 >= 10 && norm_speaks(r, "en")) {
		norm_spell(r, n->digits, 1, NORM_NUMBER);
		norm_spell(r, n->digits + 1, 2, NORM_NUMBER);
	} else if (norm_is_year(r, n)) {
		norm_say_year(r, (int)n->value);
	} else {
		norm_say_number(r, n);
	}
	return n->end;
}

/* 4x4, 1920 × 1080, 3x faster */
static size_t read_by(norm_reader *r, const norm_number *n) {
	size_t at = norm_spaces(r, n->end), behind = at;
	int cross = norm_starts(r, at, "×"), x = norm_starts(r, at, "x") || norm_starts(r, at, "X");
	if (!cross && !x)
		return 0;
	behind = norm_spaces(r, at + (cross ? 2 : 1));
	if (!norm_is_digit(r, behind)) {
		if (!r->l->times || at != n->end || norm_is_letter(r, at + (cross ? 2 : 1)) || norm_starts(r, at + 1, "-"))
			return 0;
		norm_say_counted(r, n, 'f');
		norm_say(r, r->l->times);
		return at + (cross ? 2 : 1);
	}
	if (!r->l->by || (x && (at != n->end) != (behind != at + 1)))
		return 0;
	const char *word = r->l->by;
	int power = norm_starts(r, behind, "10") && (norm_starts(r, behind + 2, "⁻") || norm_starts(r, behind + 2, "^") ||
	                                             norm_superscript(norm_char(r, behind + 2)) >= 0);
	int product = r->sums || power;
	for (const norm_pair *sign = r->l->signs; product && sign && sign->written; sign++) /* 5 × 3 = 15 */
		word = strcmp(sign->written, "×") == 0 ? sign->spoken : word;
	norm_say_number(r, n);
	norm_say(r, word);
	return behind;
}

/* A range's word comes from the sign between ("5-7": see normalise_sign.c); this one stands before it: "da" 5 a 7. */
static void say_range(norm_reader *r, const norm_number *n) {
	char before[32];
	int dash = norm_starts(r, n->end, "-") || norm_starts(r, n->end, "–");
	size_t behind = n->end + (norm_starts(r, n->end, "-") ? 1 : 3);
	if (!r->l->range || !dash || !norm_is_digit(r, behind) || r->number_end == n->begin - 1 || r->number_end == n->begin - 3)
		return;
	norm_number second;
	norm_word_before(r, n->begin, before, sizeof before);
	if (!norm_scan(r, behind, &second) || second.value <= n->value) /* 3-2 is a score */
		return;
	if (strncmp(before, "da", 2) != 0 && strncmp(before, "Da", 2) != 0)
		norm_say(r, r->l->range);
}

static size_t read_bare(norm_reader *r, const norm_number *n) {
	size_t end = r->l->number_suffix ? r->l->number_suffix(r, n) : 0;
	if (!end)
		end = read_mixed_fraction(r, n);
	if (!end)
		end = read_fraction(r, n);
	if (!end)
		end = read_score(r, n);
	if (!end && r->l->day_before_month)
		end = r->l->day_before_month(r, n);
	if (!end && r->l->ordinal && !n->decimals)
		end = r->l->ordinal(r, n);
	if (!end)
		end = norm_read_measure(r, n);
	if (!end)
		end = read_by(r, n);
	if (end)
		return end;
	if (norm_is_year(r, n))
		return norm_say_year(r, (int)n->value) ? n->end : 0;
	if (n->count == 4 && norm_starts(r, n->end, "年") && norm_speaks(r, "zh"))
		return norm_spell_int(r, n->value, NORM_YEAR) ? n->end : 0;
	return norm_say_number(r, n) ? n->end : 0;
}

size_t norm_read_number(norm_reader *r, size_t at) {
	norm_number n;
	size_t end = 0;
	int among = u_isalpha(norm_char_before(r, at)) && r->n->spaces && r->number_end != at; /* the T of 2024-03-05T14:30 is none */
	if (!r->n->spell || !norm_scan(r, at, &n))
		return 0;
	if (among)
		end = read_among_letters(r, &n);
	if (!end)
		end = norm_read_date(r, at);
	if (!end)
		end = norm_read_lap(r, at);
	if (!end)
		end = norm_read_time(r, at);
	if (!end)
		end = norm_read_phone(r, at);
	if (!end)
		end = norm_read_groups(r, at);
	if (!end)
		end = read_dotted(r, at);
	if (!end) {
		say_range(r, &n);
		end = read_bare(r, &n);
	}
	r->number_end = end;
	return end;
}

/* The language's word, or what ICU says before "one" where no table has it. 0: there is none, and nothing was said. */
int norm_say_minus(norm_reader *r) {
	sn_buf *out = r->out;
	size_t begin = out->size;
	if (r->l->minus || !norm_spell(r, "-1", 2, NORM_NUMBER)) {
		norm_say(r, r->l->minus);
		return r->l->minus != NULL;
	}
	size_t end = out->size;
	norm_spell(r, "1", 1, NORM_NUMBER);
	if (out->failed)
		return 0;
	size_t one = end + strspn(out->data + end, " "), size = out->size - one;
	int is_last = end - begin > size && memcmp(out->data + end - size, out->data + one, size) == 0;
	out->size = is_last ? end - size : begin;
	while (out->size > begin && out->data[out->size - 1] == ' ')
		out->size--;
	out->data[out->size] = 0;
	return is_last;
}

/* What shows that a dash behind a letter is a minus where words have no spaces: "气温-5°C", but "歼-20". */
static int is_measured(const norm_reader *r, size_t at) {
	static const char *const marks[] = { "%", "‰", "°", "度", "元", "円" };
	norm_number n;
	int found = !norm_scan(r, at, &n);
	for (size_t i = 0; i < sizeof marks / sizeof marks[0] && !found; i++)
		found = norm_starts(r, norm_spaces(r, n.end), marks[i]);
	return found;
}

/* "-5", "−5", "-$5": a sign that belongs to the number behind it. */
size_t norm_read_minus(norm_reader *r, size_t at) {
	int32_t before = norm_char_before(r, at);
	size_t length = norm_starts(r, at, "-") ? 1 : norm_starts(r, at, "−") ? 3 : 0, behind = at + length;
	int alone = !before || u_isUWhiteSpace(before) || before == '(' || before == '"' || before == '[' || before == '=' ||
	    before == '^' || before == 0xa0;
	int point = r->l->point && norm_starts(r, behind, r->n->decimal == ',' ? "," : ".");
	int figure = norm_is_digit(r, behind + (size_t)point);
	if (!length || !r->n->spell || !(figure || norm_currency_before(r, behind)))
		return 0;
	if (!alone && (!u_isalpha(before) || norm_joins_words(before) || !is_measured(r, behind)))
		return 0;
	return norm_say_minus(r) ? behind : 0;
}
