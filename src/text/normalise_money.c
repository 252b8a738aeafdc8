/* What is counted: money, percent, units, and millions of them. */
#include "text/normalise_internal.h"

#include <stdio.h>
#include <string.h>
#include <unicode/uchar.h>

/* ---- scales: "Mio.", "bn" ---- */

static const norm_scale *scale_at(const norm_reader *r, size_t at, int money, size_t *end) {
	size_t word = norm_spaces(r, at);
	for (const norm_scale *s = r->l->scales; s && s->written; s++) {
		size_t length = strlen(s->written);
		if ((s->only_money && !money && !(s->only_money == 2 && word == at && norm_spaces(r, at + length) > at + length &&
		                                  !norm_is_upper(r, norm_spaces(r, at + length)))) || !norm_starts(r, word, s->written))
			continue;
		/* "5 M€" and "$5M", but not "5 Mon" */
		if (norm_is_letter(r, word + length) || norm_is_digit(r, word + length))
			continue;
		*end = word + length;
		return s;
	}
	return NULL;
}

/* Figures of a scale: 1,5 is more than one in most languages, and plural in English. */
static int is_one(const norm_reader *r, const norm_number *n) {
	if (norm_speaks(r, "fr") || norm_speaks(r, "pt"))
		return n->value < 2 && n->count <= NORM_MAX_DIGITS;
	return n->value == 1 && !n->decimals;
}

static void say_scaled(norm_reader *r, const norm_number *n, const norm_scale *s) {
	norm_say_counted(r, n, s->value == 3 ? 0 : norm_speaks(r, "de") ? 'f' : 'm');
	norm_say(r, is_one(r, n) ? s->one : s->many);
}

/* "millions d'euros": between what is a noun itself and what is counted. */
static void say_of(norm_reader *r, const char *counted) {
	int vowel = strchr("aeiouhAEIOUH", counted[0]) != NULL || strncmp(counted, "é", 2) == 0;
	if (!r->l->of)
		norm_say(r, counted);
	else if (norm_speaks(r, "fr") && vowel) {
		norm_say(r, "d'");
		norm_glue(r, counted);
	} else {
		norm_say(r, r->l->of);
		norm_say(r, counted);
	}
}

static int round_million(const norm_number *n) { return !n->decimals && n->value >= 1000000 && n->value % 1000000 == 0; }

/* ---- currencies ---- */

typedef struct money {
	const norm_currency *known; /* NULL: only ICU knows it, by its code */
	char name[32];              /* "currency/SEK" */
} money;

/* A sign or code of a currency at `at`, and where it ends. */
static int currency_at(const norm_reader *r, size_t at, money *m, size_t *end) {
	size_t best = 0;
	*m = (money){ 0 };
	for (const norm_currency *c = r->l->currencies; c && c->code; c++) {
		for (const char *sign = c->signs; *sign; sign += strspn(sign, " ")) {
			size_t length = strcspn(sign, " ");
			int here = r->size - at >= length && memcmp(r->text + at, sign, length) == 0;
			int word = here && u_isalpha((unsigned char)sign[length - 1]);
			if (here && length > best && (!word || norm_letters(r, at) == at + length)) {
				best = length;
				m->known = c;
			}
			sign += length;
		}
		if (!best && norm_starts(r, at, c->code) && norm_letters(r, at) == at + 3) {
			best = 3;
			m->known = c;
		}
	}
	if (!best && at + 3 <= r->size && norm_letters(r, at) == at + 3 && r->n->spell) {
		static const char codes[] =
			"USD EUR GBP JPY CNY CHF SEK NOK DKK PLN CZK HUF RUB UAH TRY INR KRW BRL MXN ARS CLP COP CAD AUD NZD SGD HKD ILS ZAR "
			"THB IDR MYR PHP VND AED SAR EGP NGN KES RON BGN ISK TWD PEN UYU";
		if (norm_listed(codes, r->text + at, 3))
			best = 3;
	}
	if (!best && !r->l->currencies) { /* a language without a table: the signs that mean one currency */
		static const norm_pair signs[] = {
			{ "€", "EUR" }, { "$", "USD" }, { "£", "GBP" }, { "₽", "RUB" }, { "₴", "UAH" }, { "₹", "INR" }, { "₩", "KRW" },
			{ "¥", "JPY" }, { "zł", "PLN" }, { "Kč", "CZK" }, { NULL, NULL } };
		for (const norm_pair *sign = signs; sign->written && !best; sign++) {
			size_t length = strlen(sign->written);
			int yuan = strcmp(sign->written, "¥") == 0 && norm_speaks(r, "zh yue");
			if (!norm_starts(r, at, sign->written) || (norm_is_letter(r, at + length) && norm_joins_words(norm_char(r, at + length))))
				continue;
			best = length;
			snprintf(m->name, sizeof m->name, "currency/%s", yuan ? "CNY" : sign->spoken);
		}
	}
	if (best && !*m->name)
		snprintf(m->name, sizeof m->name, "currency/%.3s", m->known ? m->known->code : r->text + at);
	*end = at + best;
	return best > 0;
}

/* A currency's name by ICU, but for the one that a price in Chinese is said in. */
static int currency_name(norm_reader *r, const money *m, const norm_number *n, char *before, char *after) {
	if (strcmp(m->name, "currency/CNY") != 0 || !norm_speaks(r, "zh yue"))
		return norm_measure_name(r, m->name, n, before, after);
	*before = 0;
	snprintf(after, 128, "元");
	return 1;
}

/* Two figures behind the point are cents. */
static void say_amount(norm_reader *r, const norm_number *n, const money *m) {
	const norm_currency *c = m->known;
	char before[128], after[128];
	if (!c) {
		if (currency_name(r, m, n, before, after)) {
			norm_say(r, before);
			norm_say_counted(r, n, 'm');
			norm_say(r, after);
		}
		return;
	}
	int cents = n->decimals == 2 && c->cent ? 10 * (r->text[n->decimals_at] - '0') + r->text[n->decimals_at + 1] - '0' : -1;
	norm_number whole = *n;
	if (cents >= 0 || (n->decimals == 2 && strncmp(r->text + n->decimals_at, "00", 2) == 0)) {
		whole.decimals = 0;
		whole.end = n->decimals_at - 1;
	}
	if (whole.value || cents <= 0) {
		norm_say_counted(r, &whole, c->gender);
		if (round_million(&whole))
			say_of(r, c->many);
		else
			norm_say(r, is_one(r, &whole) ? c->one : c->many);
	}
	if (cents <= 0)
		return;
	norm_number part = { .count = 2, .value = cents };
	snprintf(part.digits, sizeof part.digits, "%d", cents);
	part.count = cents < 10 ? 1 : 2;
	if (whole.value && norm_speaks(r, "en fr es it pt")) {
		static const char *const ands[][2] = { { "en", "and" }, { "fr", NULL }, { "es", "con" }, { "it", "e" }, { "pt", "e" } };
		for (size_t i = 0; i < 5; i++)
			if (strcmp(ands[i][0], r->n->language) == 0)
				norm_say(r, ands[i][1]);
	}
	norm_say_counted(r, &part, c->cent_gender);
	norm_say(r, cents == 1 ? c->cent : c->cents);
}

/* "a $1.5bn deal" is one of dollars, said in the singular. */
static int is_adjective(const norm_reader *r, size_t at, size_t end) {
	static const char no_nouns[] =
		"in to of for at and or is was were are from by on per each more less a an the over under as with than that which who if "
		"but when after before will would has had have can could since until between this last next now";
	char before[16];
	size_t next = norm_spaces(r, end), stop = norm_letters(r, next);
	norm_word_before(r, at, before, sizeof before);
	return norm_speaks(r, "en") && stop > next && next > end && !norm_is_upper(r, next) &&
	       norm_is_word("a A an An the The this This its his her their our my your", before) &&
	       !norm_listed(no_nouns, r->text + next, stop - next);
}

static void say_money(norm_reader *r, const norm_number *n, const norm_scale *s, const money *m, int adjective) {
	char before[128] = "", after[128] = "";
	const char *name = !m->known ? after : adjective ? m->known->one : m->known->many;
	if (!s && !(adjective && m->known && !n->decimals)) {
		say_amount(r, n, m);
		return;
	}
	if (!s) {
		norm_say_number(r, n);
		norm_say(r, name);
		return;
	}
	norm_number many = { .digits = "5", .count = 1, .value = 5 };
	if (!m->known)
		currency_name(r, m, &many, before, after);
	say_scaled(r, n, s);
	norm_say(r, before);
	if (s->value >= 6)
		say_of(r, name);
	else
		norm_say(r, name);
}

/* "€5-7": the first of two numbers that share a currency. */
static size_t shared_range(norm_reader *r, const norm_number *first, norm_number *second) {
	size_t dash = norm_starts(r, first->end, "-") ? 1 : norm_starts(r, first->end, "–") ? 3 : 0;
	return dash && r->l->to && norm_scan(r, first->end + dash, second) ? second->end : 0;
}

int norm_currency_before(const norm_reader *r, size_t at) {
	money m;
	size_t end;
	norm_number n;
	return currency_at(r, at, &m, &end) && (norm_is_digit(r, norm_spaces(r, end)) || norm_scan_point(r, end, &n));
}

size_t norm_read_money(norm_reader *r, size_t at) {
	money m, again;
	norm_number n, second;
	size_t end, behind, number;
	if (!r->n->spell || !currency_at(r, at, &m, &end) || norm_joins_words(norm_char_before(r, at)))
		return 0;
	number = norm_spaces(r, end);
	size_t minus = norm_starts(r, number, "-") && norm_is_digit(r, number + 1) ? 1 : 0;
	if (!norm_scan(r, number + minus, &n) && !norm_scan_point(r, number + minus, &n))
		return 0;
	/* Between two numbers it belongs to the first; "5 € 20" is rare, "5 EUR 1,000" a list. */
	if (minus)
		norm_say_minus(r);
	behind = shared_range(r, &n, &second);
	if (behind) {
		norm_say_counted(r, &n, m.known ? m.known->gender : 'm');
		norm_say(r, r->l->to);
		n = second;
	}
	behind = n.end;
	const norm_scale *s = scale_at(r, n.end, 1, &behind);
	say_money(r, &n, s, &m, is_adjective(r, at, behind));
	size_t code = norm_spaces(r, behind); /* "$5 USD" */
	if (m.known && currency_at(r, code, &again, &end) && again.known && strcmp(again.known->code, m.known->code) == 0)
		behind = end;
	r->number_end = behind;
	return behind;
}

/* ---- units ---- */

/* What is written, ICU's name for it, and whether a single letter has to touch the number (1: "5A", but "5 m") or must not (2: "300 K",
 * but "a 4K screen"). */
static const struct unit {
	const char *written, *name;
	int touching;
} units[] = {
	{ "km/h", "kilometer-per-hour", 0 }, { "kmh", "kilometer-per-hour", 0 }, { "kph", "kilometer-per-hour", 0 },
	{ "mph", "mile-per-hour", 0 }, { "m/s", "meter-per-second", 0 }, { "km", "kilometer", 0 }, { "hm", "hectometer", 0 },
	{ "dm", "decimeter", 0 }, { "cm", "centimeter", 0 }, { "mm", "millimeter", 0 }, { "µm", "micrometer", 0 },
	{ "nm", "nanometer", 0 }, { "m", "meter", 0 }, { "mi", "mile", 0 }, { "ft", "foot", 0 }, { "yd", "yard", 0 },
	{ "ha", "hectare", 0 }, { "ac", "acre", 0 }, { "kg", "kilogram", 0 }, { "mg", "milligram", 0 }, { "µg", "microgram", 0 },
	{ "g", "gram", 0 }, { "t", "tonne", 0 }, { "lbs", "pound", 0 }, { "lb", "pound", 0 }, { "oz", "ounce", 0 },
	{ "ml", "milliliter", 0 }, { "mL", "milliliter", 0 }, { "cl", "centiliter", 0 }, { "dl", "deciliter", 0 },
	{ "hl", "hectoliter", 0 }, { "l", "liter", 0 }, { "L", "liter", 0 }, { "gal", "gallon", 0 }, { "ms", "millisecond", 0 },
	{ "µs", "microsecond", 0 }, { "ns", "nanosecond", 0 }, { "s", "second", 0 }, { "sec", "second", 0 }, { "secs", "second", 0 },
	{ "min", "minute", 0 }, { "mins", "minute", 0 }, { "h", "hour", 0 }, { "yr", "year", 0 }, { "atm", "atmosphere", 0 },
	{ "mmHg", "millimeter-ofhg", 0 }, { "hr", "hour", 0 }, { "hrs", "hour", 0 }, { "°C", "celsius", 0 }, { "° C", "celsius", 0 },
	{ "°F", "fahrenheit", 0 }, { "° F", "fahrenheit", 0 }, { "°", "degree", 0 }, { "K", "kelvin", 2 }, { "TB", "terabyte", 0 },
	{ "GB", "gigabyte", 0 }, { "MB", "megabyte", 0 }, { "kB", "kilobyte", 0 }, { "KB", "kilobyte", 0 }, { "PB", "petabyte", 0 },
	{ "Tbit", "terabit", 0 }, { "Gbit", "gigabit", 0 }, { "Mbit", "megabit", 0 }, { "kbit", "kilobit", 0 }, { "Gb", "gigabit", 0 },
	{ "Mb", "megabit", 0 }, { "Mbps", "megabit-per-second", 0 }, { "Gbps", "gigabit-per-second", 0 },
	{ "kbps", "kilobit-per-second", 0 }, { "GHz", "gigahertz", 0 }, { "MHz", "megahertz", 0 }, { "kHz", "kilohertz", 0 },
	{ "Hz", "hertz", 0 }, { "GW", "gigawatt", 0 }, { "MW", "megawatt", 0 }, { "kW", "kilowatt", 0 }, { "mW", "milliwatt", 0 },
	{ "W", "watt", 0 }, { "kWh", "kilowatt-hour", 0 }, { "GWh", "gigawatt-hour", 0 }, { "MWh", "megawatt-hour", 0 },
	{ "TWh", "terawatt-hour", 0 }, { "Wh", "watt-hour", 0 }, { "hp", "horsepower", 0 }, { "kV", "kilovolt", 0 }, { "V", "volt", 0 },
	{ "mV", "millivolt", 0 }, { "mA", "milliampere", 0 }, { "A", "ampere", 1 }, { "Ω", "ohm", 0 }, { "N", "newton", 1 },
	{ "Nm", "newton-meter", 0 }, { "kJ", "kilojoule", 0 }, { "J", "joule", 1 }, { "kcal", "kilocalorie", 0 },
	{ "cal", "calorie", 0 }, { "kN", "kilonewton", 0 }, { "hPa", "hectopascal", 0 }, { "kPa", "kilopascal", 0 },
	{ "MPa", "megapascal", 0 }, { "Pa", "pascal", 0 }, { "mbar", "millibar", 0 }, { "bar", "bar", 0 },
	{ "psi", "pound-force-per-square-inch", 0 }, { "dB", "decibel", 0 }, { "lx", "lux", 0 }, { "lm", "lumen", 0 },
	{ "px", "pixel", 0 }, { "dpi", "dot-per-inch", 0 }, { "MP", "megapixel", 0 }, { "ppm", "permillion", 0 },
	{ "км/ч", "kilometer-per-hour", 0 }, { "км/год", "kilometer-per-hour", 0 }, { "км", "kilometer", 0 }, { "м", "meter", 0 },
	{ "см", "centimeter", 0 }, { "мм", "millimeter", 0 }, { "кг", "kilogram", 0 }, { "г", "gram", 0 }, { "т", "tonne", 0 },
	{ "л", "liter", 0 }, { "мл", "milliliter", 0 }, { "ч", "hour", 0 }, { "мин", "minute", 0 }, { "с", "second", 0 },
	{ "ГБ", "gigabyte", 0 }, { "%", "percent", 0 }, { "‰", "permille", 0 } };

static const char *const squared[] = { "kilometer", "meter", "centimeter", "millimeter", "mile", "foot", NULL };
static const char *const cubed[] = { "kilometer", "meter", "centimeter", "millimeter", "foot", NULL };

static int is_one_of(const char *const *list, const char *name) {
	for (; *list; list++)
		if (strcmp(*list, name) == 0)
			return 1;
	return 0;
}

/* A single unit at `at` with its power (m², m2): ICU's name. It touches a number (1), has a space before it (0) or a slash (-1). */
static size_t unit_at(const norm_reader *r, size_t at, int touches, char *name, size_t room) {
	size_t best = 0;
	int power = 0;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		const struct unit *u = &units[i];
		size_t length = strlen(u->written), behind = at + length;
		if (length <= best || !norm_starts(r, at, u->written) || (u->touching && touches >= 0 && (u->touching == 1) != touches))
			continue;
		int32_t next = norm_char(r, behind);
		int raised = norm_superscript(next);
		if (raised < 0 && (next == '2' || next == '3') && !norm_is_digit(r, behind + 1) && !norm_is_letter(r, behind + 1))
			raised = next - '0';
		int can = (raised == 2 && is_one_of(squared, u->name)) || (raised == 3 && is_one_of(cubed, u->name));
		int goes_on = u->touching || strcmp(u->written, "s") == 0 ? u_isalnum(next) != 0 : norm_joins_words(next); /* "5A级" */
		if (!can && goes_on && u_isalpha(norm_char_before(r, behind)))
			continue;
		best = length;
		power = can ? raised : 0;
		snprintf(name, room, "%s%s", power == 2 ? "square-" : power == 3 ? "cubic-" : "", u->name);
	}
	return best ? at + best + (power ? norm_next(r, at + best) - at - best : 0) : 0;
}

/* "km", "kWh/m²", "l/100 km" is too much. */
static size_t unit_chain(const norm_reader *r, size_t at, int touches, char *name, size_t room) {
	char below[40];
	size_t end = unit_at(r, at, touches, name, room), behind;
	if (end && norm_starts(r, end, "/") && !strstr(name, "-per-") && (behind = unit_at(r, end + 1, -1, below, sizeof below)) &&
	    !strstr(below, "-per-")) {
		size_t used = strlen(name);
		snprintf(name + used, room - used, "-per-%s", below);
		return behind;
	}
	return end;
}

/* m or f; 0: as one counts, which is right in most languages without a table. */
static char gender_of(const norm_reader *r, const char *name) {
	static const norm_pair feminine[] = {
		{ "ru", "minute second tonne mile" }, { "uk", "hour minute second tonne mile" }, { "pl", "hour minute second tonne mile" },
		{ "cs", "hour minute second tonne mile" }, { "sk", "hour minute second tonne mile" }, { NULL, NULL } };
	const char *per = strstr(name, "-per-"), *list = r->l->feminine_units;
	size_t length = per ? (size_t)(per - name) : strlen(name);
	for (const norm_pair *f = feminine; f->written && !r->l->language; f++)
		list = strcmp(f->written, r->n->language) == 0 ? f->spoken : list;
	if (norm_listed(list, name, length))
		return 'f';
	return r->l->language || norm_speaks(r, "sv da nb nn") ? 'm' : 0;
}

/* Per cent where ICU has the sign only: said before the number, or behind it. */
static int percent_name(const norm_reader *r, char *before, char *after) {
	static const struct { const char *language, *before, *after; } names[] = {
		{ "zh", "百分之", "" }, { "yue", "百分之", "" }, { "ko", "", "퍼센트" }, { "vi", "", "phần trăm" }, { "ar", "", "بالمئة" },
		{ "tr", "yüzde", "" } };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(names[i].language, r->n->language) == 0) {
			snprintf(before, 128, "%s", names[i].before);
			snprintf(after, 128, "%s", names[i].after);
			return 1;
		}
	return 0;
}

/* A language's own name of a unit instead of ICU's. */
static void own_name(const norm_reader *r, const char *name, int one, char *after) {
	for (const norm_pair *unit = r->l->units; unit && unit->written; unit++) {
		const char *bar = strchr(unit->spoken, '|');
		if (strcmp(unit->written, name) == 0 && one)
			snprintf(after, 128, "%.*s", (int)(bar - unit->spoken), unit->spoken);
		else if (strcmp(unit->written, name) == 0)
			snprintf(after, 128, "%s", bar + 1);
	}
}

/* German "von zehn Quadratmetern": the dative of what ends in -er. */
static void bend(const norm_reader *r, const norm_number *n, char *name) {
	char before[16];
	size_t end = strcspn(name, " "), size = strlen(name);
	norm_word_before(r, n->begin, before, sizeof before);
	if (!norm_speaks(r, "de") || end < 5 || size > 100 || memcmp(name + end - 2, "er", 2) != 0 || (n->value == 1 && !n->decimals) ||
	    !norm_is_word("von mit aus nach bei in seit zu vor ab Von Mit Aus Nach Bei In Seit Vor Ab", before))
		return;
	memmove(name + end + 1, name + end, size - end + 1);
	name[end] = 'n';
}

static int say_unit(norm_reader *r, const norm_number *n, const norm_scale *s, const char *name, size_t end) {
	char before[128], after[128], full[96];
	snprintf(full, sizeof full, "unit/%s", name);
	const norm_number many = { .digits = "5", .count = 1, .value = 5 }, single = { .digits = "1", .count = 1, .value = 1 };
	int adjective = is_adjective(r, n->begin, end); /* "a 16 GB stick" */
	if (!norm_measure_name(r, full, adjective ? &single : s ? &many : n, before, after) || (!*before && !*after))
		return 0;
	own_name(r, name, !s && is_one(r, n), after);
	bend(r, n, after);
	int percent = strcmp(name, "percent") == 0 && percent_name(r, before, after);
	norm_say(r, before);
	if (!s && n->value == 1 && !n->decimals && r->l->one && r->l->one(r, after, gender_of(r, name)))
		return 1;
	if (s)
		say_scaled(r, n, s);
	else
		norm_say_counted(r, n, percent ? 0 : gender_of(r, name));
	if (strcmp(name, "percent") && ((s && s->value >= 6) || round_million(n)) && strncmp(after, "d'", 2) &&
	    strncmp(after, "de ", 3) && strncmp(after, "di ", 3))
		say_of(r, after);
	else
		norm_say(r, after);
	return 1;
}

void norm_say_unit(norm_reader *r, const norm_number *n, const char *name) {
	if (!say_unit(r, n, NULL, name, n->end))
		norm_say_number(r, n);
}

size_t norm_read_unit(norm_reader *r, size_t at) {
	const norm_number single = { .digits = "1", .count = 1, .value = 1 };
	char name[64], full[96], before[128], after[128];
	size_t end = unit_at(r, at, -1, name, sizeof name);
	snprintf(full, sizeof full, "unit/%s", end ? name : "");
	if (!end || strstr(name, "-per-") || strcmp(name, "percent") == 0 || !norm_measure_name(r, full, &single, before, after))
		return 0;
	own_name(r, name, 1, after);
	norm_say(r, after);
	return end;
}

size_t norm_read_measure(norm_reader *r, const norm_number *n) {
	char name[64];
	money m;
	size_t behind = n->end, at, end;
	const norm_scale *s = scale_at(r, n->end, 0, &behind), *for_money = s;
	at = norm_spaces(r, behind);
	if (!s && r->l->scales) { /* "5 M€", "3k €" */
		size_t money_end = n->end;
		const norm_scale *short_scale = scale_at(r, n->end, 1, &money_end);
		size_t sign = norm_spaces(r, money_end);
		if (short_scale && currency_at(r, sign, &m, &end)) {
			for_money = short_scale;
			at = sign;
		}
	}
	if (currency_at(r, at, &m, &end) && !(norm_is_digit(r, end) && at > n->end)) {
		say_money(r, n, for_money, &m, 0);
		return end;
	}
	end = unit_chain(r, at, at == n->end, name, sizeof name);
	if (end && !(at > behind && end - at == 1 && norm_starts(r, end, "'")) && say_unit(r, n, s, name, end)) {
		size_t next = norm_spaces(r, end + 1); /* "6 ft. tall" */
		return norm_starts(r, end, ".") && next > end + 1 && norm_is_letter(r, next) && !norm_is_upper(r, next) ? end + 1 : end;
	}
	if (!s)
		return 0;
	say_scaled(r, n, s);
	return behind;
}
