/* German. */
#include "text/normalise_internal.h"

#include <stdio.h>
#include <string.h>

static const norm_pair signs[] = {
	{ "+", "plus" }, { "=", "gleich" }, { "&", "und" }, { "%", "Prozent" }, { "<", "kleiner als" }, { ">", "größer als" },
	{ "<=", "kleiner oder gleich" }, { ">=", "größer oder gleich" }, { "≤", "kleiner oder gleich" }, { "≥", "größer oder gleich" },
	{ "≠", "ungleich" }, { "≈", "ungefähr gleich" }, { "±", "plus minus" }, { "×", "mal" }, { "÷", "geteilt durch" },
	{ "*", "mal" }, { "√", "Wurzel aus" }, { "∞", "unendlich" }, { "§§", "Paragrafen" }, { "§", "Paragraf" }, { "©", "Copyright" },
	{ "®", "registriert" }, { "™", "Trademark" }, { "°", "Grad" }, { "†", "gestorben" }, { "→", "nach" }, { "~", "ungefähr" },
	{ "^", "hoch" }, { "²", "Quadrat" }, { "³", "hoch drei" }, { "€", "Euro" }, { "$", "Dollar" }, { "£", "Pfund" }, { "¥", "Yen" },
	{ "#", "Raute" }, { "@", "ät" }, { ":", "Doppelpunkt" }, { "?", "Fragezeichen" }, { "−", "minus" }, { "‰", "Promille" },
	{ "№", "Nummer" }, { "Ø", "Durchschnitt" }, { NULL, NULL } };

static const norm_abbreviation abbreviations[] = {
	{ "z.B.", "zum Beispiel", 0 }, { "d.h.", "das heißt", 0 }, { "u.a.", "unter anderem", 0 }, { "u.ä.", "und Ähnliches", 0 },
	{ "u.Ä.", "und Ähnliches", 0 }, { "o.ä.", "oder Ähnliches", 0 }, { "o.Ä.", "oder Ähnliches", 0 },
	{ "i.d.R.", "in der Regel", 0 }, { "z.T.", "zum Teil", 0 }, { "z.Zt.", "zur Zeit", 0 }, { "z.Z.", "zur Zeit", 0 },
	{ "u.U.", "unter Umständen", 0 }, { "m.E.", "meines Erachtens", 0 }, { "v.a.", "vor allem", 0 }, { "s.o.", "siehe oben", 0 },
	{ "s.u.", "siehe unten", 0 }, { "a.D.", "außer Dienst", 0 }, { "i.A.", "im Auftrag", 0 }, { "n.Chr.", "nach Christus", 0 },
	{ "v.Chr.", "vor Christus", 0 }, { "a.M.", "am Main", 0 }, { "e.V.", "E V", 0 }, { "usw.", "und so weiter", 0 },
	{ "usf.", "und so fort", 0 }, { "bzw.", "beziehungsweise", 0 }, { "ca.", "circa", 0 }, { "vgl.", "vergleiche", 0 },
	{ "evtl.", "eventuell", 0 }, { "ggf.", "gegebenenfalls", 0 }, { "bspw.", "beispielsweise", 0 }, { "inkl.", "inklusive", 0 },
	{ "exkl.", "exklusive", 0 }, { "zzgl.", "zuzüglich", 0 }, { "MwSt.", "Mehrwertsteuer", 0 }, { "u.", "und", 0 },
	{ "abzgl.", "abzüglich", 0 }, { "max.", "maximal", 0 }, { "min.", "Minuten", NORM_AFTER_NUMBER }, { "mind.", "mindestens", 0 },
	{ "sog.", "sogenannte", 0 }, { "gem.", "gemäß", 0 }, { "lt.", "laut", 0 }, { "etc.", "et cetera", 0 }, { "vs.", "versus", 0 },
	{ "geb.", "geboren", 0 }, { "gest.", "gestorben", 0 }, { "ehem.", "ehemals", 0 }, { "Dr.", "Doktor", 0 },
	{ "Prof.", "Professor", 0 }, { "Dipl.-Ing.", "Diplomingenieur", 0 }, { "Hr.", "Herr", 0 }, { "Hrn.", "Herrn", 0 },
	{ "Fr.", "Frau", NORM_BEFORE_NAME }, { "St.", "Sankt", NORM_BEFORE_NAME }, { "Nr.", "Nummer", 0 }, { "Nrn.", "Nummern", 0 },
	{ "S.", "Seite", NORM_BEFORE_NUMBER }, { "Bd.", "Band", NORM_BEFORE_NUMBER }, { "Kap.", "Kapitel", 0 },
	{ "Abs.", "Absatz", NORM_BEFORE_NUMBER }, { "Art.", "Artikel", NORM_BEFORE_NUMBER }, { "Abb.", "Abbildung", 0 },
	{ "Tab.", "Tabelle", NORM_BEFORE_NUMBER }, { "Std.", "Stunden", NORM_AFTER_NUMBER }, { "Min.", "Minuten", NORM_AFTER_NUMBER },
	{ "Sek.", "Sekunden", NORM_AFTER_NUMBER }, { "Jh.", "Jahrhundert", 0 }, { "Jhd.", "Jahrhundert", 0 }, { "Tel.", "Telefon", 0 },
	{ "Str.", "Straße", 0 }, { "Pl.", "Platz", NORM_BEFORE_NUMBER }, { "Mio.", "Millionen", 0 }, { "Mrd.", "Milliarden", 0 },
	{ "Tsd.", "Tausend", 0 }, { "GmbH", "G M B H", 0 }, { "Co.", "Co", 0 }, { "Aufl.", "Auflage", 0 },
	{ "Hrsg.", "Herausgeber", 0 }, { "Jan.", "Januar", NORM_BEFORE_NUMBER }, { "Feb.", "Februar", NORM_BEFORE_NUMBER },
	{ "Aug.", "August", NORM_BEFORE_NUMBER }, { "Sept.", "September", NORM_BEFORE_NUMBER },
	{ "Okt.", "Oktober", NORM_BEFORE_NUMBER }, { "Nov.", "November", NORM_BEFORE_NUMBER },
	{ "Dez.", "Dezember", NORM_BEFORE_NUMBER }, { "Bhf.", "Bahnhof", 0 }, { "Hbf.", "Hauptbahnhof", 0 },
	{ "Hbf", "Hauptbahnhof", 0 }, { "Mo.", "Montag", NORM_BEFORE_NUMBER }, { NULL, NULL, 0 } };

static const norm_currency currencies[] = {
	{ "EUR", "€", "Euro", "Euro", "Cent", "Cent", 'm', 'm' }, { "USD", "$ US$", "Dollar", "Dollar", "Cent", "Cent", 'm', 'm' },
	{ "GBP", "£", "Pfund", "Pfund", "Penny", "Pence", 'n', 'm' }, { "JPY", "¥", "Yen", "Yen", NULL, NULL, 'm', 0 },
	{ "CHF", "Fr. SFr. sFr.", "Franken", "Franken", "Rappen", "Rappen", 'm', 'm' },
	{ "INR", "₹", "Rupie", "Rupien", NULL, NULL, 'f', 0 }, { "RUB", "₽", "Rubel", "Rubel", "Kopeke", "Kopeken", 'm', 'f' },
	{ "DEM", "DM", "D-Mark", "D-Mark", "Pfennig", "Pfennig", 'f', 'm' }, { "KRW", "₩", "Won", "Won", NULL, NULL, 'm', 0 },
	{ "TRY", "₺", "Lira", "Lira", NULL, NULL, 'f', 0 }, { "PLN", "zł", "Złoty", "Złoty", "Groschen", "Groschen", 'm', 'm' },
	{ NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 } };

static const norm_scale scales[] = {
	{ "Tsd.", "Tausend", "Tausend", 0, 3 }, { "Tausend", "Tausend", "Tausend", 0, 3 }, { "Mio.", "Million", "Millionen", 0, 6 },
	{ "Mio", "Million", "Millionen", 0, 6 }, { "Million", "Million", "Millionen", 0, 6 },
	{ "Millionen", "Million", "Millionen", 0, 6 }, { "Mrd.", "Milliarde", "Milliarden", 0, 9 },
	{ "Mrd", "Milliarde", "Milliarden", 0, 9 }, { "Milliarde", "Milliarde", "Milliarden", 0, 9 },
	{ "Milliarden", "Milliarde", "Milliarden", 0, 9 }, { "Bio.", "Billion", "Billionen", 0, 12 },
	{ "Billion", "Billion", "Billionen", 0, 12 }, { "Billionen", "Billion", "Billionen", 0, 12 }, { NULL, NULL, NULL, 0, 0 } };

static const char words[] =
	"AB AM AN DA DAS DEM DEN DER DES DIE DIR DU EIN ER ES FÜR HAT ICH IHR IM IN IST JA MAL MAN MIR MIT NEU NIE NUN NUR OB SIE SO "
	"UM UND UNS VOM VON VOR WAR WAS WER WIE WIR WO ZU ZUM ZUR ALLE AUCH AUF AUS BEI BIS OHNE ODER KEIN NICHT OK ALS ALSO NATO UNO "
	"UNESCO UNICEF AIDS FIFA UEFA OPEC NASA ESA DAX VOX BAFÖG BAMF IKEA PISA ASEAN MOMA COVID RAM ROM PIN TAN SIM ZIP GIF LASER "
	"RADAR ELSTER SCHUFA HARIBO ADIDAS EDEKA REWE ALDI LIDL AUDI SEAT FIAT OPEL BAFIN GEMA DIN";

static const char letters[] =
	"USA EU UK AOK IAA OSZE OECD FAQ IHK EKD IT KI EZB TÜV MDR NDR WDR ZDF ARD RTL CDU CSU SPD FDP AFD DGB ADAC BMW";

static const char kings[] =
	"Ludwig Karl Friedrich Wilhelm Heinrich Otto Konrad Philipp Elisabeth Georg Eduard Richard Johannes Paul Benedikt Pius Gregor "
	"Leo Klemens Innozenz Alexander Nikolaus Peter Katharina Ferdinand Franz Josef Joseph Maximilian Rudolf Leopold Albert "
	"Albrecht Ernst August Christian Gustav Adolf Harald Margrethe Napoleon Ramses Iwan Sixtus Bonifatius Urban Maria Theresia "
	"Juan Carlos Felipe Charles Viktor Emanuel Johann Jakob Sigismund Ruprecht Lothar Ptolemäus Kleopatra";

static const char chapters[] =
	"Kapitel Teil Band Akt Buch Abschnitt Typ Phase Stufe Klasse Titel Artikel Abbildung Tabelle Grad Szene Staffel Gruppe "
	"Weltkrieg Hartz Apollo Vatikanum";

static const char phones[] = "Telefon Tel Fax Handy Mobil Telefonnummer Rufnummer Hotline Nummer anrufen";

static const char tlds[] = "com org net info gov biz app dev online";

/* Words that begin a sentence behind "5.", and no noun that an ordinal could count. */
static const char starters[] =
	"Der Die Das Den Dem Er Sie Es Wir Ich Ihr Du Man Dann Danach Doch Und Aber Auch Ein Eine Einen Im In Am Auf Bei Mit Nach Vor "
	"Von Zu Zum Zur Wer Was Wie Wo Warum Heute Morgen Gestern Dort Hier Jetzt So Nun Als Wenn Weil Dass Daher Deshalb Seit Für";

/* ---- ordinals ---- */

static int ends_with(const char *word, size_t size, const char *ending) {
	size_t length = strlen(ending);
	return size >= length && memcmp(word + size - length, ending, length) == 0;
}

/* The ending of an ordinal: "am dritten", "der dritte", "ein dritter", "dritter März". `noun`: what it counts. */
static norm_form ending_of(const norm_reader *r, size_t at, const char *noun, size_t size) {
	static const char weak[] =
		"dem den des am im vom zum zur beim ans ins bis ab einem einer eines einen meinem meiner seinem seiner ihrem ihrer diesem "
		"dieser diesen jedem jeder jeden unserem unserer unseren keinem keiner keinen Am Im Vom Zum Zur Beim Den Dem Ab seit Seit";
	static const char dative[] =
		"in mit nach von aus bei seit zu an auf vor unter über neben zwischen während trotz wegen In Mit Nach Von Aus Bei Seit An "
		"Auf Vor Während";
	static const char strong[] = "ein kein mein dein sein ihr unser euer Ein Mein Sein Ihr";
	static const char *const feminine[] = { "ung", "heit", "keit", "ion", "tät", "schaft", "e", "in" };
	static const char *const neuter[] = {
		"hundert", "chen", "lein", "um", "Mal", "Kapitel", "Quartal", "Jahr", "Tor", "Spiel", "Buch", "Semester", "Lebensjahr",
		"Stockwerk", "Reich", "Bild" };
	char before[32], more[32];
	int is_feminine = 0, is_neuter = 0;
	size_t begin = norm_word_before(r, at, before, sizeof before), length = strlen(before);
	norm_word_before(r, begin, more, sizeof more);
	for (size_t i = 0; i < sizeof feminine / sizeof feminine[0]; i++)
		is_feminine |= ends_with(noun, size, feminine[i]) && size > 3;
	for (size_t i = 0; i < sizeof neuter / sizeof neuter[0]; i++)
		is_neuter |= ends_with(noun, size, neuter[i]);
	int32_t mark = norm_char_before(r, at);
	if (r->ending && (norm_listed("und oder bis", before, length) || mark == '-' || mark == 0x2013))
		return r->ending;
	if (norm_listed(weak, before, length))
		return NORM_ORDINAL_N;
	if (norm_listed("der Der", before, length)) /* "in der dritten Klasse", "der dritte März" */
		return norm_is_word(dative, more) || is_feminine ? NORM_ORDINAL_N : NORM_ORDINAL;
	if (norm_listed("die Die das Das eine Eine seine ihre meine unsere diese dieses jede keine Seine Ihre Meine Diese", before,
	    length))
		return NORM_ORDINAL;
	if (norm_listed(dative, before, length))
		return is_neuter || !is_feminine ? NORM_ORDINAL_N : NORM_ORDINAL_R;
	if (norm_listed(strong, before, length))
		return is_neuter ? NORM_ORDINAL_S : NORM_ORDINAL_R;
	return is_neuter ? NORM_ORDINAL_S : is_feminine ? NORM_ORDINAL : NORM_ORDINAL_R;
}

/* "3. Oktober", "die 2. Auflage", "5.–7. März" */
static size_t ordinal(norm_reader *r, const norm_number *n) {
	size_t behind = n->end + 1, next = norm_spaces(r, behind), word_end = norm_letters(r, next);
	if (!norm_starts(r, n->end, ".") || n->count > 4 || n->grouped)
		return 0;
	int dash = norm_starts(r, behind, "-") || norm_starts(r, behind, "–");
	int32_t mark = norm_char(r, behind); /* "am Freitag, dem 13., um zwei" */
	if ((mark == ',' || mark == ';' || mark == ':' || mark == ')') && n->count <= 2) {
		norm_spell_int(r, n->value, ending_of(r, n->begin, "Tag", 3));
		return behind;
	}
	int joined = (dash || norm_listed("und oder bis", r->text + next, word_end - next)); /* "am 3. und 4. Mai" */
	if (!joined && (next == behind || word_end == next || norm_listed(starters, r->text + next, word_end - next)))
		return 0;
	if (n->count > 2 && !norm_is_upper(r, next))
		return 0;
	r->ending = joined ? ending_of(r, n->begin, "", 0) : ending_of(r, n->begin, r->text + next, word_end - next);
	norm_spell_int(r, n->value, r->ending);
	return behind;
}

/* ---- what is joined to a number ---- */

/* "1 Uhr", "1 Stunde", "1 Prozent" as far as the noun's ending shows; a name of one or two letters is none. */
static size_t say_one(norm_reader *r, const norm_number *n, size_t noun) {
	static const char *const feminine[] = {
		"ung", "heit", "keit", "ion", "schaft", "unde", "nute", "oche", "eile", "erson", "tadt", "rau", "utter" };
	static const char dative[] = "nach mit von vor in bei seit aus zu ab Nach Mit Von Vor In Bei Seit Aus Ab";
	char before[32];
	size_t end = norm_letters(r, noun);
	int is_feminine = 0;
	if (end - noun < 3 || norm_is_upper(r, norm_next(r, noun)) || norm_is_digit(r, end) ||
	    (norm_starts(r, end, ".") && !norm_at_end(r, end + 1)))
		return 0;
	for (size_t i = 0; i < sizeof feminine / sizeof feminine[0]; i++)
		is_feminine |= ends_with(r->text + noun, end - noun, feminine[i]);
	norm_word_before(r, n->begin, before, sizeof before);
	int is_dative = norm_is_word(dative, before) && !norm_word(r, noun, "Uhr");
	norm_form form = is_dative ? (is_feminine ? NORM_DATIVE_FEMININE : NORM_DATIVE) : is_feminine ? NORM_FEMININE : NORM_NEUTER;
	return norm_spell_int(r, 1, form) ? n->end : 0;
}

/* 80er, 1990ern; 5-jährig, 10-mal, 100%ig, 3-fach */
static size_t number_suffix(norm_reader *r, const norm_number *n) {
	size_t hyphen = n->end + (size_t)norm_starts(r, n->end, "-"), end = norm_letters(r, hyphen);
	static const char *const joined[] = {
		"jährig", "mal", "fach", "stündig", "tägig", "wöchig", "monatig", "minütig", "stellig", "köpfig", "teilig", "malig",
		"prozentig", "stöckig", "jähr", "täg", "geschossig" };
	if (n->decimals || n->count > 6)
		return 0;
	if (norm_word(r, n->end, "er") || norm_word(r, n->end, "ern") || norm_word(r, n->end, "ers")) {
		norm_is_year(r, n) ? norm_say_year(r, (int)n->value) : norm_spell_int(r, n->value, NORM_NUMBER);
		norm_glue(r, "er");
		return n->end + 2;
	}
	if (norm_starts(r, n->end, "%ig")) {
		norm_say_number(r, n);
		norm_glue(r, "prozent");
		norm_copy(r, n->end + 1, norm_letters(r, n->end + 1));
		return norm_letters(r, n->end + 1);
	}
	if (n->value == 1 && n->count == 1 && (end = norm_spaces(r, n->end)) > n->end && norm_is_upper(r, end))
		return say_one(r, n, end);
	for (size_t i = 0; i < sizeof joined / sizeof joined[0]; i++)
		if (end > hyphen && norm_starts(r, hyphen, joined[i])) {
			norm_spell_int(r, n->value, n->value == 1 ? NORM_NEUTER : NORM_NUMBER);
			norm_copy(r, hyphen, end);
			return end;
		}
	return 0;
}

/* "eineinhalb", "zweidreiviertel": behind a whole number and its "und". */
static int join_fraction(norm_reader *r, const char *part) {
	sn_buf *out = r->out;
	out->size -= 4;
	if (out->size >= r->piece + 4 && memcmp(out->data + out->size - 4, "eins", 4) == 0)
		out->size--;
	norm_glue(r, part);
	return 1;
}

static int fraction(norm_reader *r, int64_t above, int64_t below) {
	int behind_and = !r->out->failed && r->out->size >= r->piece + 4 && memcmp(r->out->data + r->out->size - 4, " und", 4) == 0;
	if (behind_and && (below == 2 || below == 4))
		return join_fraction(r, below == 2 ? "einhalb" : above == 1 ? "einviertel" : "dreiviertel");
	if (below == 2) {
		norm_say(r, above == 1 ? "ein halb" : NULL);
		return above == 1;
	}
	norm_spell_int(r, above, above == 1 ? NORM_NEUTER : NORM_NUMBER);
	if (below == 3)
		norm_say(r, "Drittel");
	else if (below == 100)
		norm_say(r, "Hundertstel");
	else if (!r->out->failed) {
		norm_spell_int(r, below, NORM_ORDINAL); /* "vierte" + l */
		norm_glue(r, "l");
		char *space = memrchr(r->out->data, ' ', r->out->size);
		if (space && space[1] >= 'a' && space[1] <= 'z')
			space[1] -= 32;
	}
	return 1;
}

/* ---- dates and times ---- */

static void date(norm_reader *r, const norm_date *d) {
	if (d->day)
		norm_spell_int(r, d->day, d->at == SIZE_MAX ? NORM_ORDINAL_R : ending_of(r, d->at, "März", 5));
	norm_say(r, d->month ? r->n->months[d->month - 1] : NULL);
	if (d->year)
		norm_say_year(r, d->year);
}

/* "5. März", "5. 3.": the dot is the ordinal's. */
static size_t day_before_month(norm_reader *r, const norm_number *n) {
	size_t end = 0, next = norm_spaces(r, n->end + 1);
	int month = norm_starts(r, n->end, ".") && n->count <= 2 && n->value >= 1 && n->value <= 31 ? norm_month_at(r, next, &end) : 0;
	if (!month)
		return 0;
	r->ending = ending_of(r, n->begin, "März", 5);
	norm_spell_int(r, n->value, r->ending);
	norm_say(r, r->n->months[month - 1]);
	return end;
}

static void time_of_day(norm_reader *r, const norm_time *t) {
	norm_spell_int(r, t->hour, t->hour == 1 ? NORM_MASCULINE : NORM_NUMBER);
	norm_say(r, "Uhr");
	if (t->minute > 0)
		norm_spell_int(r, t->minute, NORM_NUMBER);
	if (t->second > 0) {
		norm_say(r, "und");
		norm_spell_int(r, t->second, t->second == 1 ? NORM_FEMININE : NORM_NUMBER);
		norm_say(r, t->second == 1 ? "Sekunde" : "Sekunden");
	}
}

/* "Ludwig der Vierzehnte", "unter Ludwig dem Vierzehnten" */
static void king(norm_reader *r, int value, size_t at) {
	norm_say(r, "der");
	norm_spell_int(r, value, NORM_ORDINAL);
	char *space = r->out->failed ? NULL : memrchr(r->out->data, ' ', r->out->size);
	if (space && space[1] >= 'a' && space[1] <= 'z')
		space[1] -= 32;
}

/* "im II. Weltkrieg" */
static size_t roman_ordinal(norm_reader *r, size_t at) {
	char before[48];
	size_t end = at, next;
	while (end < r->size && strchr("IVX", r->text[end]))
		end++;
	int value = end > at && norm_starts(r, end, ".") ? norm_roman(r->text + at, end - at) : 0;
	norm_word_before(r, at, before, sizeof before);
	if (!value || norm_is_word(kings, before) || (next = norm_spaces(r, end + 1)) == end + 1 || !norm_is_upper(r, next) ||
	    norm_listed(starters, r->text + next, norm_letters(r, next) - next) || (end - at == 1 && !*before))
		return 0;
	norm_spell_int(r, value, ending_of(r, at, r->text + next, norm_letters(r, next) - next));
	return end + 1;
}

/* "Hauptstr. 5", "Okt. 2024", "II. Weltkrieg" */
static size_t word(norm_reader *r, size_t at) {
	size_t end = norm_letters(r, at), next;
	if (end - at > 3 && norm_starts(r, end - 3, "str.")) {
		norm_say_part(r, r->text + at, end - at - 3);
		norm_glue(r, "straße");
		norm_glue(r, norm_at_end(r, end + 1) ? "." : "");
		return end + 1;
	}
	if ((end = roman_ordinal(r, at)))
		return end;
	int month = norm_month_at(r, at, &end);
	if (!month || r->text[end - 1] != '.' || !norm_is_digit(r, next = norm_spaces(r, end)) || next == end)
		return 0;
	norm_say(r, r->n->months[month - 1]);
	return end;
}

const norm_table norm_german = {
	.language = "de", .minus = "minus", .point = "Komma", .dot = "Punkt", .to = "bis", .score = "zu", .over = "zu", .by = "mal",
	.times = "mal", .at = "ät", .born = "geboren", .or = "oder", .per = "pro", .slash = "Schrägstrich", .dash = "Bindestrich",
	.underscore = "Unterstrich", .hash = "Hashtag", .number = "Nummer", .version = "Version", .signs = signs,
	.abbreviations = abbreviations, .currencies = currencies, .scales = scales,
	.feminine_units = "hour minute second tonne mile kilowatt-hour calorie ounce", .say_words = words, .say_letters = letters,
	.kings = kings, .chapters = chapters, .phones = phones, .tlds = tlds, .bleep = "piep", .ordinal = ordinal, .date = date,
	.day_before_month = day_before_month, .time = time_of_day, .fraction = fraction, .king = king, .word = word,
	.number_suffix = number_suffix };
