/* Dates in figures, times of day, telephone numbers. */
#include "text/normalise_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unicode/uchar.h>

/* ---- months ---- */

/* Bytes of a month's name at `at`, whole or abbreviated with or without its dot; 0: another word. */
static size_t month_name(const norm_reader *r, size_t at, const char *name, int is_short) {
	size_t length = strlen(name), dot = length && name[length - 1] == '.';
	length -= dot;
	int exact = norm_speaks(r, "en de nl da");
	if (!length || at + length > r->size || (exact ? strncmp : strncasecmp)(r->text + at, name, length) != 0)
		return 0;
	size_t end = at + length;
	if (norm_is_letter(r, end) || norm_is_digit(r, end))
		return 0;
	return end - at + (is_short && norm_starts(r, end, ".") && !norm_at_end(r, end + 1));
}

int norm_month_at(const norm_reader *r, size_t at, size_t *end) {
	static const char *const extra[] = { "en Sept", "de Mrz", "de Sept", "fr aout", "es set", "it sett", NULL };
	static const int extra_month[] = { 9, 3, 9, 8, 9, 9 };
	size_t length;
	for (int i = 0; i < 24; i++) {
		const char *name = i < 12 ? r->n->months[i] : r->n->short_months[i - 12];
		if ((length = month_name(r, at, name, i >= 12))) {
			*end = at + length;
			return i % 12 + 1;
		}
	}
	for (int i = 0; extra[i]; i++)
		if (strncmp(extra[i], r->n->language, 2) == 0 && (length = month_name(r, at, extra[i] + 3, 1))) {
			*end = at + length;
			return extra_month[i];
		}
	return 0;
}

/* ---- dates ---- */

int norm_date_fits(const norm_date *d) { return d->month >= 1 && d->month <= 12 && d->day >= 1 && d->day <= 31; }

/* A month's name; where that has a figure ("tháng 3"), the figure as a word. */
static void say_month(norm_reader *r, int month) {
	const char *name = r->n->months[month - 1];
	size_t digits = strcspn(name, "0123456789"), size = strlen(name);
	if (digits == size) {
		norm_say(r, name);
		return;
	}
	norm_say_part(r, name, digits);
	norm_spell_int(r, month, NORM_NUMBER);
	norm_glue(r, name + digits + strspn(name + digits, "0123456789"));
}

static void say_field(norm_reader *r, char field, int count, const norm_date *d) {
	norm_form day = norm_speaks(r, "ru uk") ? NORM_ORDINAL_GENITIVE : norm_speaks(r, "sv da nb nn fi") ? NORM_ORDINAL : NORM_NUMBER;
	if (field == 'd' && !norm_spell_int(r, d->day, day))
		norm_spell_int(r, d->day, NORM_NUMBER);
	else if (field == 'y')
		norm_speaks(r, "ru uk zh") ? norm_spell_int(r, d->year, NORM_YEAR) : norm_say_year(r, d->year);
	else if (field == 'M' && count < 3)
		norm_spell_int(r, d->month, NORM_NUMBER);
	else if (field == 'M')
		say_month(r, d->month);
}

/* By the pattern of ICU's long date: fields are spelled, what stands between is said. */
static void say_pattern(norm_reader *r, const norm_date *d) {
	int quoted = 0;
	for (const char *p = r->n->long_date; *p;) {
		int count = 1;
		while (p[count] == *p)
			count++;
		if (*p == '\'') {
			quoted = !quoted;
			count = 1;
		} else if (!quoted && strchr("dMyLG", *p)) {
			say_field(r, *p == 'L' ? 'M' : *p, count, d);
		} else if (strncmp(p, "г", strlen("г")) == 0 || strncmp(p, "р", strlen("р")) == 0) { /* the year, abbreviated */
			norm_glue(r, strncmp(p, "г", strlen("г")) == 0 ? "года" : "року");
			count = (int)strlen("г");
		} else if (*p == ' ') {
			norm_glue(r, r->out->size > r->piece && r->out->data[r->out->size - 1] != ' ' ? " " : "");
		} else if (*p != '.' && *p != ',') {
			sn_buf_add(r->out, p, 1);
			count = 1;
		}
		p += count;
	}
}

int norm_say_date(norm_reader *r, const norm_date *d) {
	if (!r->n->spell || (!r->l->date && !norm_date_fits(d)))
		return 0;
	if (r->l->date)
		r->l->date(r, d);
	else if (!*r->n->long_date)
		return 0;
	else
		say_pattern(r, d);
	return 1;
}

/* Three numbers to a date in the order of the locale; a month beyond 12 shows that it is the other order. */
static int order(const norm_reader *r, char mark, int a, int b, int c, norm_date *d) {
	int month_first = r->n->order == NORM_MDY && mark != '.';
	*d = (norm_date){ .year = c, .month = month_first ? a : b, .day = month_first ? b : a };
	if (d->month > 12 && d->day <= 12) {
		int day = d->month;
		d->month = d->day;
		d->day = day;
	}
	return norm_date_fits(d);
}

/* "T14:30" or " 14:30" behind an ISO date stays for the next piece; a T goes. */
static size_t behind_iso(const norm_reader *r, size_t at) {
	return norm_starts(r, at, "T") && norm_is_digit(r, at + 1) ? at + 1 : at;
}

size_t norm_read_date(norm_reader *r, size_t at) {
	int a, b, c = 0;
	int first = norm_plain(r, at, 1, 4, &a);
	size_t i = at + (size_t)first;
	char mark = first && i < r->size ? r->text[i] : 0;
	norm_date d;
	if (!first || first == 3 || !mark || !strchr("-/.", mark))
		return 0;
	int second = norm_plain(r, i + 1, 1, 2, &b);
	i += 1 + (size_t)second;
	if (!second || i >= r->size || r->text[i] != mark)
		return 0;
	int third = norm_plain(r, i + 1, first == 4 ? 1 : 2, first == 4 ? 2 : 4, &c);
	if (!third && mark == '.' && first < 4 && r->l->day_before_month && !norm_is_digit(r, i + 1) && norm_speaks(r, "de")) {
		d = (norm_date){ .day = a, .month = b, .at = at };
		int ends = norm_at_end(r, i + 1); /* then the dot is the sentence's, too, and "25.12." may be a number */
		char before[16];
		norm_word_before(r, at, before, sizeof before);
		if (ends && !norm_is_word("am der den dem vom zum bis ab seit Am Der Vom Bis Ab Seit", before))
			return 0;
		return norm_date_fits(&d) && norm_say_date(r, &d) ? i + !ends : 0;
	}
	i += 1 + (size_t)third;
	if (!third || third == 3 || norm_is_digit(r, i) || (norm_is_letter(r, i) && !norm_starts(r, i, "T")) ||
	    (i < r->size && r->text[i] == mark && norm_is_digit(r, i + 1)) || (mark == '-' && first < 4 && third < 4))
		return 0;
	if (first == 4)
		d = (norm_date){ .year = a, .month = b, .day = c };
	else if (!order(r, mark, a, b, third == 2 ? c + (c < 50 ? 2000 : 1900) : c, &d))
		return 0;
	d.at = at;
	return norm_date_fits(&d) && d.year >= 1000 && norm_say_date(r, &d) ? behind_iso(r, i) : 0;
}

/* ---- times ---- */

/* "am", "p.m.", "PM": 'a' or 'p' and where it ends. */
static char half_at(const norm_reader *r, size_t at, size_t *end) {
	char half = at < r->size ? (char)(r->text[at] | 32) : 0;
	if ((half != 'a' && half != 'p') || !norm_speaks(r, "en"))
		return 0;
	size_t i = at + 1, dots = norm_starts(r, i, ".");
	i += dots;
	if (i >= r->size || (r->text[i] | 32) != 'm' || norm_is_letter(r, i + 1) || norm_is_digit(r, i + 1))
		return 0;
	*end = i + 1;
	if (dots && norm_starts(r, *end, ".") && !norm_at_end(r, *end + 1))
		++*end;
	return half;
}

/* What says that it is a time of day: "Uhr", "h", "horas" is a word of its own and stays. */
static size_t time_mark(const norm_reader *r, size_t at) {
	size_t word = norm_spaces(r, at), length = 0;
	if (norm_speaks(r, "de"))
		length = norm_word(r, word, "Uhr");
	else if (norm_speaks(r, "fr es it pt nl") && !(length = norm_word(r, word, "h")))
		length = norm_word(r, word, "hs");
	return length ? word + length : 0;
}

/* "14h30", "14 h 30", "9h" and "18h" ("5 h" without minutes is a duration as well, and read alike). */
static size_t hour_mark(norm_reader *r, size_t at, norm_time *t) {
	size_t h = norm_spaces(r, at), behind;
	if (!norm_speaks(r, "fr pt es it") || !norm_starts(r, h, "h") || t->hour > 24)
		return 0;
	behind = norm_spaces(r, h + 1);
	int length = norm_plain(r, behind, 2, 2, &t->minute);
	if (length && t->minute < 60 && (!norm_is_letter(r, behind + 2) || norm_word(r, behind + 2, "min") || norm_word(r, behind + 2,
	    "m"))) {
		size_t end = behind + 2;
		t->marked = 1;
		if (norm_word(r, end, "min"))
			end += 3;
		else if (norm_word(r, end, "m"))
			end += 1;
		return end;
	}
	t->minute = -1;
	t->marked = 1;
	return norm_word(r, h, "h") ? h + 1 : 0;
}

static int before_is_hour(const norm_reader *r, size_t at) {
	char word[32];
	norm_word_before(r, at, word, sizeof word);
	return norm_speaks(r, "it") && norm_is_word("alle Alle ore Ore dalle Dalle", word);
}

/* Hours and minutes as two numbers, with the signs for them where no spaces are written. */
static void say_time(norm_reader *r, const norm_time *t) {
	if (r->l->time) {
		r->l->time(r, t);
		return;
	}
	static const char *const marks[][4] = { { "zh", "点", "分", "秒" }, { "ja", "時", "分", "秒" }, { "ko", "시", "분", "초" } };
	const int values[] = { t->hour, t->minute, t->second };
	for (int i = 0; i < 3; i++) {
		if (i && values[i] <= 0)
			continue;
		norm_spell_int(r, values[i], NORM_NUMBER);
		for (size_t k = 0; k < sizeof marks / sizeof marks[0]; k++)
			norm_glue(r, strcmp(marks[k][0], r->n->language) == 0 ? marks[k][i + 1] : "");
	}
}

size_t norm_read_time(norm_reader *r, size_t at) {
	norm_time t = { .minute = -1, .second = -1 };
	int length = norm_plain(r, at, 1, 2, &t.hour);
	size_t i = at + (size_t)length, end = 0, half_end = 0;
	if (!length || !r->n->spell || t.hour > 24)
		return 0;
	char mark = i < r->size ? r->text[i] : 0;
	int dotted = mark == '.' && norm_plain(r, i + 1, 2, 2, &t.minute) &&
	    (time_mark(r, i + 3) || before_is_hour(r, at) || half_at(r, norm_spaces(r, i + 3), &half_end));
	if ((mark == ':' || dotted) && norm_plain(r, i + 1, 2, 2, &t.minute) && t.minute < 60) {
		end = i + 3;
		if (norm_starts(r, end, ":") && norm_plain(r, end + 1, 2, 2, &t.second) && t.second < 60)
			end += 3;
		else if (norm_starts(r, end, ":"))
			return 0;
		size_t marked = time_mark(r, end);
		t.half = half_at(r, norm_spaces(r, end), &half_end);
		t.marked = marked != 0;
		end = t.half ? half_end : marked ? marked : end;
		if (norm_is_letter(r, end) && !t.half && !norm_starts(r, end, "Z"))
			return 0;
	} else {
		t.minute = -1;
		end = hour_mark(r, i, &t);
		if (!end && (t.half = half_at(r, norm_spaces(r, i), &half_end)) && t.hour >= 1 && t.hour <= 12)
			end = half_end;
		else if (!end)
			return 0;
	}
	if (t.hour == 24 && t.minute > 0)
		return 0;
	say_time(r, &t);
	return end;
}

/* "1:02:03.456", "2:03.45": with a part of a second it is a duration. */
size_t norm_read_lap(norm_reader *r, size_t at) {
	static const char *const units[] = { "hour", "minute", "second" };
	static const char named[] = "h Std Stunde Stunden hour hours heure heures hora horas ora ore min mins Minute Minuten minute minutes "
								"minuto minutos minuti";
	norm_number parts[3];
	int count = 0;
	size_t end = at;
	while (count < 3 && norm_scan(r, end, &parts[count])) {
		norm_number *n = &parts[count++];
		if (n->count > 2 || n->grouped || (count > 1 && (n->count < 2 || n->value > 59)))
			return 0;
		end = n->end;
		n->count = snprintf(n->digits, sizeof n->digits, "%d", (int)n->value);
		if (n->decimals || !norm_starts(r, end, ":"))
			break;
		end++;
	}
	if (count < 2 || !parts[count - 1].decimals || norm_is_letter(r, end) || norm_starts(r, end, ":") || !r->n->spell)
		return 0;
	for (int i = 0; i < count; i++)
		if (parts[i].value || i == count - 1)
			norm_say_unit(r, &parts[i], units[3 - count + i]);
	size_t next = norm_spaces(r, end), behind = norm_letters(r, next);
	return norm_listed(named, r->text + next, behind - next) ? behind : end; /* "2:03,45 Minuten" */
}

/* ---- telephone numbers ---- */

static int phone_mark(char c) { return c == ' ' || c == '-' || c == '/' || c == '.' || c == '(' || c == ')'; }

/* Where a run of figures and the marks between them ends; how many figures and groups it has. */
static size_t phone_end(const norm_reader *r, size_t at, int *digits, int *groups, char *marks) {
	size_t end = at, i = at;
	*digits = *groups = 0;
	*marks = 0;
	while (i < r->size && *digits < 20) {
		if (norm_is_digit(r, i)) {
			*groups += i == at || !norm_is_digit(r, i - 1);
			++*digits;
			end = ++i;
			continue;
		}
		size_t next = i;
		while (next < r->size && next - i < 2 && phone_mark(r->text[next]))
			next++;
		if (norm_starts(r, i, "\xc2\xa0"))
			next = i + 2;
		if (next == i || !norm_is_digit(r, next))
			break;
		*marks = r->text[i];
		i = next;
	}
	return norm_is_letter(r, end) ? at : end;
}

static int after_phone_word(const norm_reader *r, size_t at) {
	char word[32];
	while (at && (r->text[at - 1] == ':' || r->text[at - 1] == ' ' || r->text[at - 1] == '.' || r->text[at - 1] == '('))
		at--;
	norm_word_before(r, at, word, sizeof word);
	return norm_is_word(r->l->phones, word);
}

void norm_say_phone(norm_reader *r, size_t at, size_t end, int signs) {
	for (size_t i = at, said = 0; i < end;) {
		size_t stop = i;
		while (stop < end && norm_is_digit(r, stop))
			stop++;
		if (stop == i) {
			if (r->text[i] == '+')
				for (const norm_pair *sign = r->l->signs; sign && sign->written; sign++)
					norm_say(r, strcmp(sign->written, "+") == 0 ? sign->spoken : NULL);
			else if (signs && r->text[i] == '-')
				norm_say(r, r->l->dash);
			i++;
			continue;
		}
		if (said)
			norm_glue(r, ",");
		int pairs = r->l->pairs && (stop - i) % 2 == 0;
		for (size_t k = i; k < stop; k += pairs ? 2 : 1)
			if (pairs && r->text[k] != '0')
				norm_spell(r, r->text + k, 2, NORM_NUMBER);
			else
				norm_spell_digits(r, r->text + k, pairs ? 2 : 1);
		said = 1;
		i = stop;
	}
}

size_t norm_read_phone(norm_reader *r, size_t at) {
	int digits, groups;
	char marks, before = at ? r->text[at - 1] : 0;
	size_t end = phone_end(r, at, &digits, &groups, &marks);
	int first = 0;
	while (norm_is_digit(r, at + (size_t)first))
		first++;
	int bracketed = before == '(' && norm_starts(r, at + (size_t)first, ")") && digits >= 8;
	int known = bracketed || (before == '+' && digits >= 7) || (digits >= 5 && after_phone_word(r, at));
	int american = norm_speaks(r, "en") && (marks == '-' || marks == '.' || marks == ' ') &&
	               ((groups == 3 && digits == 10 && first == 3 && norm_is_digit(r, end - 4) && !norm_is_digit(r, end - 5)) ||
	                (groups == 2 && digits == 7 && first == 3 && marks == '-') ||
	                    (groups == 4 && digits == 11 && first == 1 && marks == '-'));
	int trunk = r->text[at] == '0' && groups >= 2 && digits >= 8 && first >= 2 && marks != '.';
	int french = r->l->pairs && r->text[at] == '0' && digits == 10 && groups == 5;
	if (end == at || digits > 17 || !(known || american || trunk || french) || !r->n->spell)
		return 0;
	norm_say_phone(r, at, end, 0);
	return end;
}

#define MAX_HYPHENS 32 /* groups */

/* Three groups or more with hyphens between are no range: "4-3-3", and digit by digit "123-45-6789", "978-3-16-148410-0". */
size_t norm_read_groups(norm_reader *r, size_t at) {
	size_t end = at, begin = at;
	int groups = 0, longest = 0, years = 1;
	norm_number n;
	if (!r->l->to || !r->n->spell || r->sums)
		return 0;
	while (groups < MAX_HYPHENS && norm_is_digit(r, begin)) {
		for (end = begin; norm_is_digit(r, end); end++)
			;
		longest = end - begin > (size_t)longest ? (int)(end - begin) : longest;
		years &= norm_scan(r, begin, &n) && n.end == end && norm_is_year(r, &n);
		groups++;
		begin = end + (size_t)norm_starts(r, end, "-");
		if (begin == end)
			break;
	}
	int goes_on = norm_is_letter(r, end) || norm_starts(r, end, "/") ||
	    ((norm_starts(r, end, ".") || norm_starts(r, end, ",")) && norm_is_digit(r, end + 1));
	if (groups < 3 || goes_on)
		return 0;
	if (longest > 2 && !years) {
		norm_say_phone(r, at, end, 0);
		return end;
	}
	for (size_t i = at; i < end; i = n.end + 1) {
		int value, length = norm_plain(r, i, 1, 4, &value);
		n = (norm_number){ .begin = i, .end = i + (size_t)length, .count = length }; /* "4-3-3 500" is not 3500 in any language */
		memcpy(n.digits, r->text + i, (size_t)length);
		norm_glue(r, i > at && longest > 1 ? "," : "");
		years ? norm_say_year(r, value) : norm_say_number(r, &n);
	}
	return end;
}
