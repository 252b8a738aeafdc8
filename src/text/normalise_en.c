/* English. */
#include "text/normalise_internal.h"

#include <stdio.h>
#include <string.h>

static const norm_pair signs[] = {
	{ "+", "plus" }, { "=", "equals" }, { "&", "and" }, { "%", "percent" }, { "<", "less than" }, { ">", "greater than" },
	{ "<=", "less than or equal to" }, { ">=", "greater than or equal to" }, { "≤", "less than or equal to" },
	{ "≥", "greater than or equal to" }, { "≠", "is not equal to" }, { "≈", "is about" }, { "±", "plus or minus" },
	{ "×", "times" }, { "÷", "divided by" }, { "*", "times" }, { "√", "the square root of" }, { "∞", "infinity" },
	{ "§", "section" }, { "©", "copyright" }, { "®", "registered" }, { "™", "trademark" }, { "°", "degrees" }, { "→", "to" },
	{ "~", "about" }, { "^", "to the power of" }, { "²", "squared" }, { "³", "cubed" }, { "€", "euro" }, { "$", "dollar" },
	{ "£", "pound" }, { "¥", "yen" }, { "#", "hash" }, { "@", "at" }, { ":", "colon" }, { "?", "question mark" }, { "−", "minus" },
	{ "‰", "per mille" }, { "№", "number" }, { "º", "" }, { NULL, NULL } };

static const norm_abbreviation abbreviations[] = {
	{ "St.", "Saint|Street", NORM_STREET }, { "St", "Saint|Street", NORM_STREET }, { "Dr.", "Doctor|Drive", NORM_STREET },
	{ "Dr", "Doctor", NORM_BEFORE_NAME }, { "Mr.", "Mister", 0 }, { "Mr", "Mister", 0 }, { "Mrs.", "Missus", 0 },
	{ "Mrs", "Missus", 0 }, { "Ms.", "Miz", 0 }, { "Ms", "Miz", NORM_BEFORE_NAME }, { "Prof.", "Professor", 0 },
	{ "Jr.", "Junior", 0 }, { "Sr.", "Senior", 0 }, { "Gen.", "General", NORM_BEFORE_NAME },
	{ "Col.", "Colonel", NORM_BEFORE_NAME }, { "Capt.", "Captain", 0 }, { "Lt.", "Lieutenant", 0 }, { "Sgt.", "Sergeant", 0 },
	{ "Maj.", "Major", NORM_BEFORE_NAME }, { "Cmdr.", "Commander", 0 }, { "Rev.", "Reverend", NORM_BEFORE_NAME },
	{ "Hon.", "Honorable", NORM_BEFORE_NAME }, { "Gov.", "Governor", NORM_BEFORE_NAME }, { "Sen.", "Senator", NORM_BEFORE_NAME },
	{ "Rep.", "Representative", NORM_BEFORE_NAME }, { "Pres.", "President", NORM_BEFORE_NAME }, { "Ave.", "Avenue", 0 },
	{ "Blvd.", "Boulevard", 0 }, { "Blvd", "Boulevard", 0 }, { "Rd.", "Road", 0 }, { "Hwy.", "Highway", 0 },
	{ "Mt.", "Mount", NORM_BEFORE_NAME }, { "Ft.", "Fort", NORM_BEFORE_NAME }, { "Inc.", "Incorporated", 0 },
	{ "Ltd.", "Limited", 0 }, { "Ltd", "Limited", 0 }, { "Corp.", "Corporation", 0 }, { "Co.", "Company", 0 },
	{ "Bros.", "Brothers", 0 }, { "Dept.", "Department", 0 }, { "dept.", "department", 0 }, { "Univ.", "University", 0 },
	{ "Assn.", "Association", 0 }, { "No.", "number", NORM_BEFORE_NUMBER }, { "no.", "number", NORM_BEFORE_NUMBER },
	{ "Nos.", "numbers", NORM_BEFORE_NUMBER }, { "nos.", "numbers", NORM_BEFORE_NUMBER }, { "p.", "page", NORM_BEFORE_NUMBER },
	{ "pp.", "pages", NORM_BEFORE_NUMBER }, { "vol.", "volume", NORM_BEFORE_NUMBER }, { "Vol.", "volume", NORM_BEFORE_NUMBER },
	{ "ch.", "chapter", NORM_BEFORE_NUMBER }, { "Ch.", "chapter", NORM_BEFORE_NUMBER }, { "fig.", "figure", NORM_BEFORE_NUMBER },
	{ "figs.", "figures", NORM_BEFORE_NUMBER }, { "sec.", "section", NORM_BEFORE_NUMBER },
	{ "art.", "article", NORM_BEFORE_NUMBER }, { "ext.", "extension", NORM_BEFORE_NUMBER }, { "c.", "circa", NORM_BEFORE_NUMBER },
	{ "ca.", "circa", NORM_BEFORE_NUMBER }, { "approx.", "approximately", 0 }, { "tel.", "telephone", 0 }, { "vs.", "versus", 0 },
	{ "vs", "versus", 0 }, { "etc.", "et cetera", 0 }, { "e.g.", "for example", 0 }, { "i.e.", "that is", 0 },
	{ "cf.", "compare", 0 }, { "viz.", "namely", 0 }, { "et al.", "and others", 0 }, { "a.k.a.", "also known as", 0 },
	{ "Ph.D.", "P.H.D", 0 }, { "PhD", "P.H.D", 0 }, { "M.D.", "M.D", 0 }, { "a.m.", "A.M", 0 }, { "p.m.", "P.M", 0 },
	{ "w/o", "without", 0 }, { "w/", "with", 0 }, { "fps", "frames per second", NORM_AFTER_NUMBER },
	{ "bpm", "beats per minute", NORM_AFTER_NUMBER }, { "rpm", "revolutions per minute", NORM_AFTER_NUMBER },
	{ "Mon.", "Monday", 0 }, { "Tue.", "Tuesday", 0 }, { "Tues.", "Tuesday", 0 }, { "Wed.", "Wednesday", 0 },
	{ "Thu.", "Thursday", 0 }, { "Thurs.", "Thursday", 0 }, { "Fri.", "Friday", 0 }, { "hrs.", "hours", NORM_AFTER_NUMBER },
	{ "min.", "minutes", NORM_AFTER_NUMBER }, { "sq. ft.", "square feet", NORM_AFTER_NUMBER },
	{ "sq ft", "square feet", NORM_AFTER_NUMBER }, { "in.", "inches", NORM_AFTER_NUMBER }, { "yrs.", "years", NORM_AFTER_NUMBER },
	{ "yrs", "years", NORM_AFTER_NUMBER }, { "C#", "C sharp", 0 }, { "JPEG", "jay peg", 0 }, { "SQL", "sequel", 0 },
	{ "ASCII", "askey", 0 }, { "IEEE", "I triple E", 0 }, { NULL, NULL, 0 } };

static const norm_currency currencies[] = {
	{ "USD", "$ US$", "dollar", "dollars", "cent", "cents", 0, 0 }, { "EUR", "€", "euro", "euros", "cent", "cents", 0, 0 },
	{ "GBP", "£", "pound", "pounds", "penny", "pence", 0, 0 }, { "JPY", "¥ JP¥", "yen", "yen", NULL, NULL, 0, 0 },
	{ "CHF", "Fr. SFr.", "Swiss franc", "Swiss francs", "centime", "centimes", 0, 0 },
	{ "INR", "₹ Rs. Rs", "rupee", "rupees", "paisa", "paise", 0, 0 }, { "CNY", "CN¥ RMB", "yuan", "yuan", "fen", "fen", 0, 0 },
	{ "KRW", "₩", "won", "won", NULL, NULL, 0, 0 }, { "RUB", "₽", "ruble", "rubles", "kopek", "kopeks", 0, 0 },
	{ "CAD", "C$ CA$", "Canadian dollar", "Canadian dollars", "cent", "cents", 0, 0 },
	{ "AUD", "A$ AU$", "Australian dollar", "Australian dollars", "cent", "cents", 0, 0 },
	{ "BRL", "R$", "Brazilian real", "Brazilian reais", "centavo", "centavos", 0, 0 },
	{ "ILS", "₪", "shekel", "shekels", NULL, NULL, 0, 0 }, { "UAH", "₴", "hryvnia", "hryvnias", NULL, NULL, 0, 0 },
	{ "XBT", "₿", "bitcoin", "bitcoins", NULL, NULL, 0, 0 }, { "XXC", "¢", "cent", "cents", NULL, NULL, 0, 0 },
	{ NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 } };

static const norm_scale scales[] = {
	{ "hundred", "hundred", "hundred", 0, 2 }, { "thousand", "thousand", "thousand", 0, 3 },
	{ "million", "million", "million", 0, 6 }, { "billion", "billion", "billion", 0, 9 },
	{ "trillion", "trillion", "trillion", 0, 12 }, { "bn", "billion", "billion", 0, 9 }, { "mn", "million", "million", 0, 6 },
	{ "mln", "million", "million", 0, 6 }, { "tn", "trillion", "trillion", 0, 12 }, { "k", "thousand", "thousand", 0, 3 },
	{ "K", "thousand", "thousand", 1, 3 }, { "M", "million", "million", 2, 6 }, { "MM", "million", "million", 1, 6 },
	{ "m", "million", "million", 1, 6 }, { "B", "billion", "billion", 1, 9 }, { "b", "billion", "billion", 1, 9 },
	{ "T", "trillion", "trillion", 1, 12 }, { NULL, NULL, NULL, 0, 0 } };

/* Short words that stand in capitals for emphasis, and acronyms that are words. */
static const char words[] =
	"A I AN AS AT BE BY DO GO HE IF IN IS ME MY NO OF OH OK ON OR SO TO UP WE AM ALL AND ANY ARE BUT CAN DID FOR GET GOT HAD HAS "
	"HER HIM HIS HOW ITS LET MAY NEW NOT NOW OFF OLD ONE OUR OUT OWN PUT RUN SAY SEE SHE SHOULD THE TOO TRY TWO USE WAS WAY WHY "
	"WIN YES YET YOU BIG TOP HOT END DAY MAN STOP FREE SALE OPEN NASA NATO AIDS UNESCO UNICEF OPEC FIFA UEFA NAFTA ASEAN INTERPOL "
	"RADAR LASER SCUBA COVID SARS MERS RAM ROM PIN SIM ZIP GIF BIOS RAID LAN WAN POTUS SCOTUS FLOTUS SWAT NASDAQ FEMA NOAA OSHA "
	"PETA RICO EBITDA NIMBY YOLO FOMO ASAP WASP AWOL CAPTCHA DOS VAT UNIX LINUX PEMEX IKEA LEGO ESSO";

static const char letters[] =
	"FAQ UCLA USAID IAEA OECD IUCN UAE AOL IOU UFO EU UK US USA IT AI IQ EQ ID TV PC UN ETA AIG IBM IPO API URL CEO CFO CTO COO "
	"GUI";

static const char kings[] =
	"Elizabeth Henry Louis Charles George Edward Richard William James Mary Philip John Paul Benedict Pius Gregory Leo Clement "
	"Innocent Alexander Nicholas Peter Catherine Frederick Ferdinand Francis Alfonso Napoleon Margaret Harald Carl Gustaf "
	"Christian Frederik Albert Leopold Baudouin Ivan Ramses Ramesses Ptolemy Cleopatra Otto Wilhelm Maximilian Rudolf Umberto "
	"Victor Emmanuel Boniface Urban Xerxes Darius Sixtus Julius Juan Carlos Isabella Robert Stephen David";

static const char chapters[] =
	"War Chapter Part Act Volume Book Section Type Phase Stage Class Title Article Bowl Figure Table Level Grade Episode Scene "
	"Schedule Appendix Season Mark Division Group Round Apollo Rocky Psalm Canto Vatican chapter part act volume book section "
	"type phase stage class title article figure table level grade episode";

static const char phones[] =
	"phone Phone telephone Telephone call Call Tel tel fax Fax mobile Mobile dial Dial text Text cell Cell ring Ring";

static const char tlds[] = "co com org net info gov mil biz app dev online";

static int is_british(const norm_reader *r) { return r->n->order != NORM_MDY; }

/* ---- numbers ---- */

static size_t ordinal(norm_reader *r, const norm_number *n) {
	static const char *const endings[] = { "st", "nd", "rd", "th" };
	for (int i = 0; i < 4; i++)
		if (n->count <= NORM_MAX_DIGITS && norm_word_any(r, n->end, endings[i]) && norm_spell_int(r, n->value, NORM_ORDINAL))
			return n->end + 2;
	return 0;
}

/* twenty to twenties, hundred to hundreds */
static void make_plural(norm_reader *r) {
	sn_buf *out = r->out;
	if (out->failed || out->size <= r->piece)
		return;
	if (out->data[out->size - 1] == 'y') {
		out->size--;
		norm_glue(r, "ies");
	} else {
		norm_glue(r, out->data[out->size - 1] == 'x' ? "es" : "s");
	}
}

/* "on 3/5" is a day; "in 1066" a year */
static size_t number_in_time(norm_reader *r, const norm_number *n) {
	char before[16];
	int other;
	norm_word_before(r, n->begin, before, sizeof before);
	int length = norm_starts(r, n->end, "/") ? norm_plain(r, n->end + 1, 1, 2, &other) : 0;
	size_t end = n->end + 1 + (size_t)length, next = norm_spaces(r, end);
	if (length && n->count <= 2 && norm_is_word("on On by By until Until since Since", before) && !norm_word(r, next, "of") &&
	    !norm_starts(r, end, "/") && !norm_is_letter(r, end)) {
		norm_date d = { .month = is_british(r) ? other : (int)n->value, .day = is_british(r) ? (int)n->value : other,
		    .at = n->begin };
		return norm_date_fits(&d) && norm_say_date(r, &d) ? end : 0;
	}
	if (n->count == 4 && !n->decimals && !n->grouped && n->value > 1009 && n->value < 1100 &&
	    norm_is_word("in In year since Since until Until by before after", before))
		return norm_spell_int(r, n->value, NORM_YEAR) ? n->end : 0;
	return 0;
}

/* 401(k), 401Ks */
static size_t pension(norm_reader *r, const norm_number *n) {
	size_t bracket = (size_t)norm_starts(r, n->end, "("), end = n->end + bracket + 1, plural;
	int letter = norm_starts(r, end - 1, "k") || norm_starts(r, end - 1, "K");
	if (n->count != 3 || n->value != 401 || n->decimals || !letter || (bracket && !norm_starts(r, end++, ")")))
		return 0;
	plural = norm_word(r, end, "s");
	if (norm_is_letter(r, end) && !plural)
		return 0;
	norm_say(r, "four oh one K");
	norm_glue(r, plural ? "'s" : "");
	return end + plural;
}

/* "call 911", "the 911 operator": numbers of help, said by their figures */
static size_t help_line(norm_reader *r, const norm_number *n) {
	static const char lines[] = "911 999 988 112 111 101 110 119 211 311 411 511 611 711 811";
	static const char dials[] = "dial Dial dials dialed dialled dialing dialling Dialing";
	static const char verbs[] = "call Call calls called calling Calling text Text texts texted texting phone Phone phoned phoning ring Ring rang";
	static const char behind[] = /* a verb: another word is what is counted, "called 110 witnesses" */
		"a about after again and anytime as at because before but directly first for from if immediately in instead is now on once or "
		"right so straight the then to today twice until was when while with";
	static const char nouns[] = "call calls caller callers operator operators dispatcher dispatchers dispatch";
	char before[16];
	size_t next = norm_spaces(r, n->end), size = next > n->end ? norm_letters(r, next) - next : 0;
	norm_word_before(r, n->begin, before, sizeof before);
	int counts = size && !norm_is_upper(r, next) && !norm_listed(behind, r->text + next, size);
	int called = norm_is_word(dials, before) || (norm_is_word(verbs, before) && !counts);
	int named = n->value > 900 && norm_listed(nouns, r->text + next, size); /* "101 calls" are so many */
	if (n->grouped || n->decimals || !norm_listed(lines, r->text + n->begin, n->end - n->begin) || !(called || named))
		return 0;
	norm_spell_digits(r, n->digits, 3);
	return n->end;
}

#define QUOTES_BEFORE 256 /* bytes that are looked at for an open quotation */

/* 55" TV, 6" wide, unless the mark closes a quotation */
static size_t inches(norm_reader *r, const norm_number *n) {
	static const char adjectives[] = "wide long tall high deep thick across square";
	static const char nouns[] =
		"TV TVs television televisions monitor monitors screen screens touchscreen display displays LCD LED OLED laptop laptops "
		"tablet tablets disk disks floppy record records vinyl single speaker speakers gun guns pizza pizzas pot pan pipe pipes "
		"wheel wheels rim rims tire tires tyre tyres knife blade ruler nail nails bolt bolts heels plank board";
	size_t next = norm_spaces(r, n->end + 1), size = norm_letters(r, next) - next, open = 0;
	if (!norm_starts(r, n->end, "\"") || next == n->end + 1)
		return 0;
	for (size_t i = n->begin; i && n->begin - i < QUOTES_BEFORE; i--)
		open ^= r->text[i - 1] == '"' && !(i > 1 && norm_is_digit(r, i - 2));
	int noun = norm_listed(nouns, r->text + next, size);
	if (open || !(noun || norm_listed(adjectives, r->text + next, size)))
		return 0;
	norm_say_number(r, n);
	norm_say(r, noun || (n->value == 1 && !n->decimals) ? "inch" : "inches");
	return n->end + 1;
}

/* 1990s, '90s, 6'2", 221B */
static size_t number_suffix(norm_reader *r, const norm_number *n) {
	int part;
	size_t s = n->end + (size_t)norm_starts(r, n->end, "'"), in_time = number_in_time(r, n);
	size_t known = in_time ? in_time : pension(r, n);
	known = known ? known : help_line(r, n);
	known = known ? known : inches(r, n);
	if (known)
		return known;
	if (n->value % 10 == 0 && n->value && n->count <= 4 && !n->decimals && !n->grouped && norm_word(r, s, "s")) {
		n->count == 4 ? norm_say_year(r, (int)n->value) : norm_spell_int(r, n->value, NORM_NUMBER);
		make_plural(r);
		return s + 1;
	}
	if (n->count == 3 && !n->decimals && !n->grouped && n->digits[0] != '0' && n->value % 100 >= 10 && norm_is_upper(r, n->end) &&
	    !norm_is_letter(r, norm_next(r, n->end)) && !strchr("MVW", r->text[n->end])) { /* 220V: a unit */
		norm_spell(r, n->digits, 1, NORM_NUMBER);
		norm_spell(r, n->digits + 1, 2, NORM_NUMBER);
		return n->end;
	}
	int digits = norm_starts(r, n->end, "'") ? norm_plain(r, n->end + 1, 1, 2, &part) : 0;
	if (digits && part < 12 && n->value < 10 && n->count == 1 && norm_starts(r, n->end + 1 + (size_t)digits, "\"")) {
		norm_say_number(r, n);
		norm_say(r, "foot");
		norm_spell_int(r, part, NORM_NUMBER);
		return n->end + 2 + (size_t)digits;
	}
	return 0;
}

static int fraction(norm_reader *r, int64_t above, int64_t below) {
	int behind_and = r->out->size >= 4 && memcmp(r->out->data + r->out->size - 4, " and", 4) == 0;
	if (behind_and && above == 1 && (below == 2 || below == 4))
		norm_say(r, "a");
	else
		norm_spell_int(r, above, NORM_NUMBER);
	if (below == 2)
		norm_say(r, above == 1 ? "half" : "halves");
	else if (below == 4)
		norm_say(r, above == 1 ? "quarter" : "quarters");
	else if (below == 100)
		norm_say(r, above == 1 ? "hundredth" : "hundredths");
	else {
		norm_spell_int(r, below, NORM_ORDINAL);
		norm_glue(r, above == 1 ? "" : "s");
	}
	return 1;
}

/* ---- dates and times ---- */

static void date(norm_reader *r, const norm_date *d) {
	char before[16];
	norm_word_before(r, d->at, before, sizeof before);
	if (is_british(r) && d->day && d->month) {
		if (strcmp(before, "the") && strcmp(before, "The"))
			norm_say(r, "the");
		norm_spell_int(r, d->day, NORM_ORDINAL);
		norm_say(r, "of");
		norm_say(r, r->n->months[d->month - 1]);
	} else {
		norm_say(r, d->month ? r->n->months[d->month - 1] : NULL);
		if (d->day)
			norm_spell_int(r, d->day, NORM_ORDINAL);
	}
	if (d->year) {
		if (d->day)
			norm_glue(r, ",");
		norm_say_year(r, d->year);
	}
}

/* "5 March" */
static size_t day_before_month(norm_reader *r, const norm_number *n) {
	char before[16];
	size_t end, month_at = norm_spaces(r, n->end);
	int month = n->count <= 2 && !n->decimals && n->value >= 1 && n->value <= 31 && month_at > n->end
	    ? norm_month_at(r, month_at, &end) : 0;
	if (!month || (month == 5 && norm_is_letter(r, norm_spaces(r, end))) || r->text[n->begin] == '0')
		return 0;
	norm_word_before(r, n->begin, before, sizeof before);
	if (strcmp(before, "the") && strcmp(before, "The"))
		norm_say(r, "the");
	norm_spell_int(r, n->value, NORM_ORDINAL);
	norm_say(r, "of");
	norm_say(r, r->n->months[month - 1]);
	return end;
}

static size_t day_at(norm_reader *r, size_t at) {
	static const char *const endings[] = { "st", "nd", "rd", "th" };
	int day, length = norm_plain(r, at, 1, 2, &day);
	size_t end = at + (size_t)length, suffix = 0;
	for (int i = 0; i < 4 && !suffix; i++)
		suffix = norm_word(r, end, endings[i]);
	end += suffix;
	if (!length || day < 1 || day > 31 || norm_is_letter(r, end) || norm_starts(r, end, ":") || norm_starts(r, end, "/") ||
	    norm_starts(r, end, "%") ||
	    ((norm_starts(r, end, ".") || norm_starts(r, end, ",")) && norm_is_digit(r, end + 1)))
		return 0;
	norm_spell_int(r, day, NORM_ORDINAL);
	return end;
}

/* "March 5", "Sept. 2024" */
static size_t word(norm_reader *r, size_t at) {
	size_t end, next, behind;
	int month = norm_month_at(r, at, &end);
	if (!month || !(norm_is_digit(r, next = norm_spaces(r, end)) && next > end))
		return 0;
	norm_say(r, r->n->months[month - 1]);
	behind = day_at(r, next);
	if (!behind)
		return r->text[end - 1] == '.' || end - at < 4 ? end : 0;
	size_t dash = norm_starts(r, behind, "-") ? 1 : norm_starts(r, behind, "–") ? 3 : 0;
	if (dash && norm_is_digit(r, behind + dash)) {
		norm_say(r, "to");
		size_t second = day_at(r, behind + dash);
		return second ? second : 0;
	}
	return behind;
}

static void time_of_day(norm_reader *r, const norm_time *t) {
	if (t->hour % 24 == 0 && t->minute <= 0 && !t->half) {
		norm_say(r, "midnight");
		return;
	}
	norm_spell_int(r, t->hour, NORM_NUMBER);
	if (t->minute > 0) {
		norm_say(r, t->minute < 10 ? "oh" : NULL);
		norm_spell_int(r, t->minute, NORM_NUMBER);
	} else if (t->minute == 0 && !t->half && t->second <= 0) {
		norm_say(r, t->hour > 12 ? "hundred" : "o'clock");
	}
	if (t->second > 0) {
		norm_say(r, "and");
		norm_spell_int(r, t->second, NORM_NUMBER);
		norm_say(r, t->second == 1 ? "second" : "seconds");
	}
	if (t->half)
		norm_say(r, t->half == 'a' ? "A.M" : "P.M");
}

static void king(norm_reader *r, int value, size_t at) {
	norm_say(r, "the");
	norm_spell_int(r, value, NORM_ORDINAL);
}

const norm_table norm_english = {
	.language = "en", .minus = "minus", .point = "point", .dot = "dot", .to = "to", .score = "to", .over = "over", .by = "by",
	.times = "times", .at = "at", .or = "or", .per = "per", .slash = "slash", .dash = "dash", .underscore = "underscore",
	.hash = "hashtag", .number = "number", .version = "version", .signs = signs, .abbreviations = abbreviations,
	.currencies = currencies, .scales = scales, .say_words = words, .say_letters = letters, .kings = kings, .chapters = chapters,
	.phones = phones, .tlds = tlds, .bleep = "bleep", .ordinal = ordinal, .date = date, .day_before_month = day_before_month,
	.time = time_of_day, .fraction = fraction, .king = king, .word = word, .number_suffix = number_suffix };
