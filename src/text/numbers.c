#include "text/numbers.h"

#include "base/ascii.h"
#include "text/numbers_internal.h"
#include "text/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#define MAX_TEXT ((size_t)4 << 20)
#define MAX_DIGITS 18 /* longer numbers are read digit by digit */

typedef struct reader {
	const char *text;
	size_t size;
	sn_buf *out;
	speller s;
	int cleaner, times; /* cleaner: see numbers_for_cleaner; times: read 10:30 */
} reader;

/* An integer with digits in groups ("1,000,000") and its decimals, as they stand in the text. */
typedef struct number {
	char digits[MAX_DIGITS + 1];
	size_t begin, end;           /* bytes of the text */
	int count, grouped;          /* digits; those beyond MAX_DIGITS are counted only */
	const char *decimals;
	size_t decimal_count;
	int64_t value;
} number;

/* ---- looking at the text ---- */

static int is_digit(const reader *r, size_t at) { return at < r->size && r->text[at] >= '0' && r->text[at] <= '9'; }

static int at_is(const reader *r, size_t at, const char *word) {
	size_t length = strlen(word);
	return at <= r->size && r->size - at >= length && memcmp(r->text + at, word, length) == 0;
}

static int is_letter(const reader *r, size_t at) {
	int32_t i = (int32_t)at, c = 0;
	if (at < r->size)
		U8_NEXT((const uint8_t *)r->text, i, (int32_t)r->size, c);
	return u_isalpha(c);
}

static int letter_before(const reader *r, size_t at) {
	int32_t i = (int32_t)at, c = 0;
	if (at)
		U8_PREV((const uint8_t *)r->text, 0, i, c);
	return u_isalpha(c);
}

/* The bytes of the first word of `words` that stands at `at` with no letter or digit behind it, in any case; 0: none. */
static size_t word_at(const reader *r, size_t at, const char *word) {
	size_t length = strlen(word);
	return r->size >= at + length && sn_strncasecmp(r->text + at, word, length) == 0 && !is_letter(r, at + length) && !is_digit(r, at + length)
	         ? length
	         : 0;
}

static size_t over_space(const reader *r, size_t at) { return at < r->size && r->text[at] == ' ' ? at + 1 : at; }

static int plain(const reader *r, size_t at, size_t least, size_t most, int *value) {
	size_t length = 0;
	*value = 0;
	while (is_digit(r, at + length) && length <= most)
		*value = 10 * *value + r->text[at + length++] - '0';
	return length >= least && length <= most ? (int)length : 0;
}

static int scan(const reader *r, size_t at, number *n) {
	*n = (number){ .begin = at };
	for (size_t run = 0;; at++) {
		if (is_digit(r, at)) {
			if (n->count < MAX_DIGITS)
				n->digits[n->count] = r->text[at];
			n->count++;
			run++;
			continue;
		}
		int group = at < r->size && r->text[at] == r->s.group && (n->grouped ? run == 3 : run && run <= 3) && is_digit(r, at + 1) &&
		            is_digit(r, at + 2) && is_digit(r, at + 3) && !is_digit(r, at + 4);
		if (!group)
			break;
		n->grouped = 1;
		run = 0;
	}
	n->end = at;
	n->value = n->count <= MAX_DIGITS ? strtoll(n->digits, NULL, 10) : 0;
	if (n->count && at < r->size && r->text[at] == r->s.point && is_digit(r, at + 1)) {
		n->decimals = r->text + at + 1;
		while (is_digit(r, at + 1 + n->decimal_count))
			n->decimal_count++;
		n->end += 1 + n->decimal_count;
	}
	return n->count > 0;
}

/* ---- plain numbers ---- */

static int say_integer(reader *r, const number *n) {
	if (n->count > MAX_DIGITS || (n->count > 1 && n->digits[0] == '0' && !n->grouped))
		return spell_digits(&r->s, r->out, r->text + n->begin, n->grouped ? 0 : (size_t)n->count);
	return spell(&r->s, r->out, n->digits, (size_t)n->count, SPELL_CARDINAL);
}

static int say_number(reader *r, const number *n) {
	if (!n->decimals)
		return say_integer(r, n);
	if (r->s.english) {
		int known = say_integer(r, n);
		sn_buf_text(r->out, " point ");
		return known && spell_digits(&r->s, r->out, n->decimals, n->decimal_count);
	}
	char text[2 * MAX_DIGITS];
	if (n->count > MAX_DIGITS || n->decimal_count >= MAX_DIGITS)
		return 0;
	int length = snprintf(text, sizeof text, "%s.%.*s", n->digits, (int)n->decimal_count, n->decimals);
	return spell(&r->s, r->out, text, (size_t)length, SPELL_CARDINAL);
}

static const char *percent_word(const char *locale) {
	static const char *const words[][2] = { { "en", "percent" },   { "de", "Prozent" },    { "fr", "pour cent" }, { "es", "por ciento" },
		                                    { "it", "per cento" }, { "pt", "por cento" },  { "nl", "procent" },   { "sv", "procent" },
		                                    { "da", "procent" },   { "nb", "prosent" },    { "no", "prosent" },   { "pl", "procent" },
		                                    { "cs", "procent" },   { "ro", "la sută" },    { "ru", "процентов" }, { "uk", "відсотків" },
		                                    { "fi", "prosenttia" }, { "hu", "százalék" },  { "tr", "yüzde" },     { "ca", "per cent" } };
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i][0], locale) == 0)
			return words[i][1];
	return NULL;
}

/* ---- money ---- */

static const struct currency {
	const char *sign, *code, *one, *many, *cent, *cents;
} currencies[] = { { "$", "USD", "dollar", "dollars", "cent", "cents" },  { "€", "EUR", "euro", "euros", "cent", "cents" },
	               { "£", "GBP", "pound", "pounds", "penny", "pence" },   { "¥", "JPY", "yen", "yen", NULL, NULL },
	               { "₹", "INR", "rupee", "rupees", "paisa", "paise" },   { "₩", "KRW", "won", "won", NULL, NULL },
	               { "₽", "RUB", "ruble", "rubles", "kopek", "kopeks" },
	               { "A$", "AUD", "Australian dollar", "Australian dollars", "cent", "cents" },
	               { "C$", "CAD", "Canadian dollar", "Canadian dollars", "cent", "cents" },
	               { "Fr.", "CHF", "Swiss franc", "Swiss francs", "centime", "centimes" } };

static const struct currency *currency_at(const reader *r, size_t at, size_t *length) {
	for (size_t i = 0; i < sizeof currencies / sizeof currencies[0]; i++) {
		const char *sign = currencies[i].sign, *code = currencies[i].code;
		*length = at_is(r, at, sign) ? strlen(sign) : at_is(r, at, code) && !is_letter(r, at + 3) ? strlen(code) : 0;
		if (*length)
			return &currencies[i];
	}
	return NULL;
}

static const char *scale_at(const reader *r, size_t at, size_t *end) {
	static const char *const scales[] = { "thousand", "million", "billion", "trillion" };
	size_t word = over_space(r, at);
	for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++)
		if (word > at && word_at(r, word, scales[i])) {
			*end = word + strlen(scales[i]);
			return scales[i];
		}
	return NULL;
}

/* $1.5 million, $5.20, $5; `end` is behind the number (and the currency that follows it). */
static size_t say_money(reader *r, const number *n, const struct currency *c, size_t end) {
	size_t behind = end;
	const char *scale = scale_at(r, n->end, &behind);
	int cents = n->decimal_count == 2 && c->cent ? 10 * (n->decimals[0] - '0') + n->decimals[1] - '0' : -1;
	if (scale || (n->decimals && cents < 0)) {
		say_number(r, n);
		sn_buf_printf(r->out, "%s%s %s", scale ? " " : "", scale ? scale : "", c->many);
		return behind > end ? behind : end;
	}
	if (n->value || cents <= 0) {
		say_integer(r, n);
		sn_buf_printf(r->out, " %s", n->value == 1 && n->count <= MAX_DIGITS ? c->one : c->many);
	}
	if (cents > 0) {
		sn_buf_text(r->out, n->value ? " " : "");
		spell_int(&r->s, r->out, cents, SPELL_CARDINAL);
		sn_buf_printf(r->out, " %s", cents == 1 ? c->cent : c->cents);
	}
	return end;
}

/* ---- times and dates ---- */

/* 10:30, 9:05 pm, 14:00:30. A cleaner always says which half of the day. */
static size_t read_time(reader *r, size_t at) {
	static const char *const halves[] = { "a.m.", "p.m.", "a.m", "p.m", "am", "pm" };
	int hour, minute, second = 0, length = plain(r, at, 1, 2, &hour);
	size_t i = at + (size_t)length, minutes = i + 1;
	if (!length || hour > 23 || !at_is(r, i, ":") || plain(r, minutes, 2, 2, &minute) != 2 || minute > 59)
		return 0;
	i = minutes + 2;
	if (at_is(r, i, ":") && plain(r, i + 1, 2, 2, &second) == 2 && second < 60)
		i += 3;
	const char *half = NULL;
	size_t word = over_space(r, i), half_length = 0;
	for (size_t k = 0; k < sizeof halves / sizeof halves[0] && !half; k++)
		if ((half_length = word_at(r, word, halves[k])))
			half = halves[k];
	if (is_letter(r, i) && !half)
		return 0;
	if (!half && r->cleaner)
		half = hour >= 12 || hour == 0 ? "pm" : "am"; /* the reference takes midnight for noon */
	if (half || r->cleaner)
		hour = hour % 12 ? hour % 12 : 12;
	spell_int(&r->s, r->out, hour, SPELL_CARDINAL);
	if (minute) {
		sn_buf_text(r->out, minute < 10 ? " oh " : " ");
		spell_int(&r->s, r->out, minute, SPELL_CARDINAL);
	} else if (!half) {
		sn_buf_text(r->out, hour > 12 || !hour ? " hundred" : " o'clock");
	}
	if (second) {
		sn_buf_text(r->out, " and ");
		spell_int(&r->s, r->out, second, SPELL_CARDINAL);
		sn_buf_text(r->out, second == 1 ? " second" : " seconds");
	}
	if (half)
		sn_buf_printf(r->out, " %c m", half[0]);
	return half_length ? word + half_length : i;
}

static const char *const months[] = { "January", "February", "March",     "April",   "May",      "June",
	                                  "July",    "August",   "September", "October", "November", "December" };

static size_t say_date(reader *r, int year, int month, int day, size_t end) {
	if (month < 1 || month > 12 || day < 1 || day > 31 || year < 1000)
		return 0;
	sn_buf_printf(r->out, "%s ", months[month - 1]);
	spell_int(&r->s, r->out, day, SPELL_ORDINAL);
	sn_buf_text(r->out, ", ");
	spell_year(&r->s, r->out, year);
	return end;
}

/* 2024-01-15, and 1/15/2024 with the month first. */
static size_t read_date(reader *r, size_t at) {
	int a, b, c, length = plain(r, at, 1, 4, &a);
	size_t i = at + (size_t)length;
	char mark = length == 4 ? '-' : '/';
	if (!length || length == 3 || i >= r->size || r->text[i] != mark)
		return 0;
	int second = plain(r, i + 1, mark == '-' ? 2 : 1, 2, &b);
	i += 1 + (size_t)second;
	if (!second || i >= r->size || r->text[i] != mark)
		return 0;
	int third = plain(r, i + 1, mark == '-' ? 2 : 4, mark == '-' ? 2 : 4, &c);
	i += 1 + (size_t)third;
	if (!third || is_digit(r, i) || is_letter(r, i))
		return 0;
	return mark == '-' ? say_date(r, a, b, c, i) : say_date(r, c, a, b, i);
}

/* "January 5": the day behind a month's name is an ordinal. */
static size_t read_month(reader *r, size_t at) {
	for (size_t m = 0; m < 12; m++) {
		int day;
		size_t length = word_at(r, at, months[m]);
		char abbreviated[5] = { months[m][0], months[m][1], months[m][2], 0 };
		size_t end = at + length;
		if (!length && (length = word_at(r, at, abbreviated)))
			end = at + length + at_is(r, at + length, ".");
		if (!length || !at_is(r, end, " "))
			continue;
		int digits = plain(r, end + 1, 1, 2, &day);
		size_t behind = end + 1 + (size_t)digits;
		if (!digits || day < 1 || day > 31 || is_letter(r, behind) || at_is(r, behind, ":") ||
		    (at_is(r, behind, ".") && is_digit(r, behind + 1)))
			return 0;
		sn_buf_printf(r->out, "%s ", months[m]);
		spell_int(&r->s, r->out, day, SPELL_ORDINAL);
		return behind;
	}
	return 0;
}

/* ---- what may stand behind a number ---- */

static const struct unit {
	const char *sign, *one, *many;
} units[] = { { "km/h", "kilometer per hour", "kilometers per hour" }, { "m/s", "meter per second", "meters per second" },
	          { "km", "kilometer", "kilometers" },   { "cm", "centimeter", "centimeters" }, { "mm", "millimeter", "millimeters" },
	          { "m", "meter", "meters" },            { "kg", "kilogram", "kilograms" },     { "mg", "milligram", "milligrams" },
	          { "g", "gram", "grams" },              { "lbs", "pound", "pounds" },          { "lb", "pound", "pounds" },
	          { "oz", "ounce", "ounces" },           { "ft", "foot", "feet" },              { "mph", "mile per hour", "miles per hour" },
	          { "ml", "milliliter", "milliliters" }, { "l", "liter", "liters" },            { "L", "liter", "liters" },
	          { "GHz", "gigahertz", "gigahertz" },   { "MHz", "megahertz", "megahertz" },   { "kHz", "kilohertz", "kilohertz" },
	          { "Hz", "hertz", "hertz" },            { "TB", "terabyte", "terabytes" },     { "GB", "gigabyte", "gigabytes" },
	          { "MB", "megabyte", "megabytes" },     { "KB", "kilobyte", "kilobytes" },     { "kB", "kilobyte", "kilobytes" },
	          { "kW", "kilowatt", "kilowatts" },     { "W", "watt", "watts" },              { "V", "volt", "volts" },
	          { "ms", "millisecond", "milliseconds" }, { "hrs", "hour", "hours" },          { "hr", "hour", "hours" },
	          { "min", "minute", "minutes" },        { "sec", "second", "seconds" },        { "s", "second", "seconds" },
	          { "°C", "degree Celsius", "degrees Celsius" }, { "°F", "degree Fahrenheit", "degrees Fahrenheit" },
	          { "°", "degree", "degrees" } };

static const struct unit *unit_at(const reader *r, size_t at, size_t *end) {
	size_t word = over_space(r, at);
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		size_t length = strlen(units[i].sign);
		int letter_alone = length == 1 && word > at; /* "5 m", but not "5 s" of "5 s" words: one letter must touch */
		if (at_is(r, word, units[i].sign) && !is_letter(r, word + length) && !is_digit(r, word + length) && !letter_alone) {
			*end = word + length;
			return &units[i];
		}
	}
	return NULL;
}

static int ordinal_at(const reader *r, size_t at) {
	return word_at(r, at, "st") || word_at(r, at, "nd") || word_at(r, at, "rd") || word_at(r, at, "th");
}

static int is_year(const reader *r, const number *n) {
	int wide = r->cleaner;
	return n->count == 4 && !n->grouped && !n->decimals && n->value >= (wide ? 1001 : 1100) && n->value <= (wide ? 2999 : 2099);
}

/* 1980s as "nineteen eighties". */
static size_t read_decade(reader *r, const number *n) {
	size_t end = n->end + at_is(r, n->end, "'");
	if (!is_year(r, n) || n->value % 10 || !word_at(r, end, "s"))
		return 0;
	spell_year(&r->s, r->out, (int)n->value);
	if (!r->out->failed && r->out->size && r->out->data[r->out->size - 1] == 'y') {
		r->out->size--;
		sn_buf_text(r->out, "ies");
	} else {
		sn_buf_text(r->out, "s");
	}
	return end + 1;
}

/* 1/2, 3/4 and the like. */
static size_t read_fraction(reader *r, const number *n) {
	int below, digits = at_is(r, n->end, "/") ? plain(r, n->end + 1, 1, 2, &below) : 0;
	size_t end = n->end + 1 + (size_t)digits;
	if (!digits || n->decimals || n->value < 1 || n->value > 9 || below < 2 || below > 10 || n->value >= below || at_is(r, end, "/") ||
	    is_letter(r, end))
		return 0;
	spell_int(&r->s, r->out, n->value, SPELL_CARDINAL);
	sn_buf_text(r->out, " ");
	if (below == 2 || below == 4)
		sn_buf_text(r->out, below == 2 ? "half" : "quarter");
	else
		spell_int(&r->s, r->out, below, SPELL_ORDINAL);
	sn_buf_text(r->out, n->value > 1 ? "s" : "");
	return end;
}

static size_t read_english(reader *r, size_t at) {
	number n;
	size_t length = 0, end;
	const struct currency *c = letter_before(r, at) ? NULL : currency_at(r, at, &length);
	if (c && scan(r, over_space(r, at + length), &n))
		return say_money(r, &n, c, n.end);
	if (!is_digit(r, at))
		return 0;
	if (r->times && (end = read_time(r, at)))
		return end;
	if (!r->cleaner && (end = read_date(r, at)))
		return end;
	scan(r, at, &n);
	if (!n.decimals && n.count <= MAX_DIGITS && ordinal_at(r, n.end)) {
		spell_int(&r->s, r->out, n.value, SPELL_ORDINAL);
		return n.end + 2;
	}
	if ((end = read_decade(r, &n)))
		return end;
	if (r->cleaner) {
		if (is_year(r, &n))
			spell_year(&r->s, r->out, (int)n.value);
		else
			say_number(r, &n);
		return n.end;
	}
	if ((end = read_fraction(r, &n)))
		return end;
	if ((c = currency_at(r, over_space(r, n.end), &length)))
		return say_money(r, &n, c, over_space(r, n.end) + length);
	end = n.end;
	const struct unit *u = unit_at(r, n.end, &end);
	if (is_year(r, &n) && !u && !at_is(r, n.end, "%"))
		spell_year(&r->s, r->out, (int)n.value);
	else
		say_number(r, &n);
	if (u)
		sn_buf_printf(r->out, " %s", n.value == 1 && !n.decimals ? u->one : u->many);
	return end;
}

/* ---- titles ---- */

static size_t read_title(reader *r, size_t at) {
	static const char *const titles[][2] = { { "Dr.", "Doctor" },     { "Mrs.", "Missus" },   { "Mr.", "Mister" },    { "Ms.", "Miss" },
		                                     { "St.", "Saint" },      { "Prof.", "Professor" }, { "Jr.", "Junior" },  { "Sr.", "Senior" },
		                                     { "Gen.", "General" },   { "Col.", "Colonel" },  { "Capt.", "Captain" }, { "Lt.", "Lieutenant" },
		                                     { "Sgt.", "Sergeant" },  { "Maj.", "Major" },    { "Rev.", "Reverend" }, { "Hon.", "Honorable" },
		                                     { "Gov.", "Governor" },  { "Sen.", "Senator" },  { "Rep.", "Representative" },
		                                     { "Ltd.", "Limited" },   { "Inc.", "Incorporated" }, { "vs.", "versus" }, { "etc.", "et cetera" },
		                                     { "e.g.", "for example" }, { "i.e.", "that is" }, { "approx.", "approximately" } };
	for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
		if (at_is(r, at, titles[i][0])) {
			size_t end = at + strlen(titles[i][0]);
			sn_buf_text(r->out, titles[i][1]);
			/* A dot at the end of the text, or before a new sentence, also ended the sentence. */
			if (end == r->size || r->text[end] == '\n')
				sn_buf_text(r->out, ".");
			return end;
		}
	if (at_is(r, at, "No. ") && is_digit(r, at + 4)) {
		sn_buf_text(r->out, "number");
		return at + 3;
	}
	return 0;
}

/* ---- a text ---- */

/* Reads what begins at `at`; 0: nothing that is known. What was written of it then is taken back. */
static size_t read_at(reader *r, size_t at) {
	size_t start = r->out->size, end = 0;
	number n;
	if (r->s.english) {
		if (!r->cleaner && !letter_before(r, at))
			end = is_letter(r, at) ? read_title(r, at) : 0;
		if (!end && !r->cleaner && is_letter(r, at) && !letter_before(r, at))
			end = read_month(r, at);
		if (!end)
			end = read_english(r, at);
	} else if (is_digit(r, at) && scan(r, at, &n) && say_number(r, &n)) {
		end = n.end;
	}
	if (!r->out->failed && r->out->size == start)
		end = 0;
	if (!end && !r->out->failed)
		r->out->size = start;
	return end;
}

/* A minus sign: behind nothing or white space, before a digit. */
static int is_minus(const reader *r, size_t at) {
	size_t sign = at_is(r, at, "-") ? 1 : at_is(r, at, "\xe2\x88\x92") ? 3 : 0;
	int alone = at == 0 || strchr(" \t\n(", r->text[at - 1]) != NULL;
	return sign && alone && is_digit(r, at + sign) ? (int)sign : 0;
}

static size_t copy(reader *r, size_t at) {
	int32_t next = (int32_t)at;
	int minus = r->s.english ? is_minus(r, at) : 0;
	U8_FWD_1((const uint8_t *)r->text, next, (int32_t)r->size);
	if (minus)
		sn_buf_text(r->out, "minus ");
	else if (!r->cleaner && r->s.english && at_is(r, at, "#") && is_digit(r, at + 1))
		sn_buf_text(r->out, "number ");
	else if (!r->cleaner && r->s.english && at_is(r, at, "\xe2\x80\x93") && at && is_digit(r, at - 1) && is_digit(r, (size_t)next))
		sn_buf_text(r->out, " to ");
	else
		sn_buf_add(r->out, r->text + at, (size_t)next - at);
	return (size_t)next;
}

static int read_text(reader *r, char *err) {
	int result = sn_utf8_check(r->text, r->size, MAX_TEXT, err);
	for (size_t i = 0; result == SN_OK && i < r->size && !r->out->failed;) {
		size_t start = r->out->size, end = read_at(r, i);
		if (!end && is_digit(r, i)) { /* a number that stays as it is, whole */
			for (end = i; is_digit(r, end); end++)
				;
			sn_buf_add(r->out, r->text + i, end - i);
			i = end;
			continue;
		}
		if (!end) {
			i = copy(r, i);
			continue;
		}
		if (letter_before(r, i) && is_digit(r, i) && !r->out->failed) { /* "mp3": a space between */
			char *words = strdup(r->out->data + start);
			r->out->size = start;
			sn_buf_printf(r->out, " %s", words ? words : "");
			free(words);
		}
		const char *percent = percent_word(r->s.locale);
		if (percent && is_digit(r, end - 1) && at_is(r, over_space(r, end), "%")) {
			sn_buf_printf(r->out, " %s", percent);
			end = over_space(r, end) + 1;
		}
		if (is_letter(r, end))
			sn_buf_text(r->out, " ");
		i = end;
	}
	speller_free(&r->s);
	if (result == SN_OK && r->out->failed)
		result = sn_fail(err, r->out->failed, "the text with its numbers as words takes more than %zu bytes", r->out->max);
	return result;
}

/* Languages that write 1.000,5. */
static int has_decimal_comma(const char *locale) {
	static const char languages[] = "de fr es it pt nl sv da nb no fi pl cs sk ru uk bg ro hu tr el hr sl sr ca id vi ";
	char key[4] = { locale[0], locale[0] ? locale[1] : 0, ' ', 0 };
	return key[1] && strstr(languages, key) != NULL;
}

int sn_text_numbers(sn_buf *out, const char *text, size_t size, const char *language, char *err) {
	reader r = { .text = text, .size = size, .out = out, .times = 1 };
	speller_init(&r.s, language);
	if (has_decimal_comma(r.s.locale)) {
		r.s.group = '.';
		r.s.point = ',';
	}
	return read_text(&r, err);
}

int numbers_for_cleaner(sn_buf *out, const char *text, size_t size, int times, char *err) {
	reader r = { .text = text, .size = size, .out = out, .cleaner = 1, .times = times };
	speller_init(&r.s, "en");
	return read_text(&r, err);
}
