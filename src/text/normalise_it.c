/* Italian. */
#include "text/normalise_internal.h"

#include <string.h>

static const norm_pair signs[] = {
	{ "+", "più" }, { "=", "uguale" }, { "&", "e" }, { "%", "per cento" }, { "<", "minore di" }, { ">", "maggiore di" },
	{ "<=", "minore o uguale a" }, { ">=", "maggiore o uguale a" }, { "≤", "minore o uguale a" }, { "≥", "maggiore o uguale a" },
	{ "≠", "diverso da" }, { "≈", "circa uguale a" }, { "±", "più o meno" }, { "×", "per" }, { "÷", "diviso" }, { "*", "per" },
	{ "√", "radice quadrata di" }, { "∞", "infinito" }, { "§", "paragrafo" }, { "©", "copyright" }, { "®", "marchio registrato" },
	{ "™", "marchio" }, { "°", "gradi" }, { "→", "a" }, { "~", "circa" }, { "^", "alla" }, { "²", "al quadrato" },
	{ "³", "al cubo" }, { "€", "euro" }, { "$", "dollaro" }, { "£", "sterlina" }, { "¥", "yen" }, { "#", "cancelletto" },
	{ "@", "chiocciola" }, { ":", "due punti" }, { "?", "punto interrogativo" }, { "−", "meno" }, { "‰", "per mille" },
	{ "№", "numero" }, { NULL, NULL } };

static const norm_abbreviation abbreviations[] = {
	{ "Sig.", "signor", 0 }, { "Sig.ra", "signora", 0 }, { "Sig.na", "signorina", 0 }, { "Sigg.", "signori", 0 },
	{ "sig.", "signor", 0 }, { "sig.ra", "signora", 0 }, { "Dott.", "dottor", 0 }, { "Dott.ssa", "dottoressa", 0 },
	{ "dott.", "dottor", 0 }, { "dott.ssa", "dottoressa", 0 }, { "Dr.", "dottor", 0 }, { "Prof.", "professor", 0 },
	{ "Prof.ssa", "professoressa", 0 }, { "prof.", "professor", 0 }, { "prof.ssa", "professoressa", 0 }, { "Avv.", "avvocato", 0 },
	{ "avv.", "avvocato", 0 }, { "Ing.", "ingegner", 0 }, { "ing.", "ingegner", 0 }, { "Arch.", "architetto", NORM_BEFORE_NAME },
	{ "Geom.", "geometra", NORM_BEFORE_NAME }, { "On.", "onorevole", NORM_BEFORE_NAME }, { "on.", "onorevole", NORM_BEFORE_NAME },
	{ "Mons.", "monsignor", 0 }, { "S.", "San", NORM_BEFORE_NAME }, { "ecc.", "eccetera", 0 }, { "etc.", "eccetera", 0 },
	{ "es.", "esempio", 0 }, { "p.es.", "per esempio", 0 }, { "cfr.", "confronta", 0 }, { "ca.", "circa", 0 },
	{ "pag.", "pagina", 0 }, { "pagg.", "pagine", 0 }, { "p.", "pagina", NORM_BEFORE_NUMBER },
	{ "n.", "numero", NORM_BEFORE_NUMBER }, { "nn.", "numeri", NORM_BEFORE_NUMBER }, { "n°", "numero", 0 }, { "nº", "numero", 0 },
	{ "num.", "numero", 0 }, { "cell.", "cellulare", 0 }, { "tel.", "telefono", 0 }, { "Tel.", "telefono", 0 },
	{ "v.le", "viale", 0 }, { "V.le", "viale", 0 }, { "P.zza", "piazza", 0 }, { "p.zza", "piazza", 0 }, { "C.so", "corso", 0 },
	{ "c.so", "corso", 0 }, { "a.C.", "avanti Cristo", 0 }, { "d.C.", "dopo Cristo", 0 }, { "vol.", "volume", NORM_BEFORE_NUMBER },
	{ "cap.", "capitolo", NORM_BEFORE_NUMBER }, { "art.", "articolo", NORM_BEFORE_NUMBER },
	{ "fig.", "figura", NORM_BEFORE_NUMBER }, { "min.", "minuti", NORM_AFTER_NUMBER }, { "sec.", "secondi", NORM_AFTER_NUMBER },
	{ "ab.", "abitanti", NORM_AFTER_NUMBER }, { "max.", "massimo", 0 }, { "vs.", "versus", 0 }, { "vs", "versus", 0 },
	{ "S.p.A.", "società per azioni", 0 }, { "SpA", "società per azioni", 0 }, { "S.r.l.", "S R L", 0 }, { NULL, NULL, 0 } };

static const norm_currency currencies[] = {
	{ "EUR", "€", "euro", "euro", "centesimo", "centesimi", 'm', 'm' },
	{ "USD", "$ US$", "dollaro", "dollari", "centesimo", "centesimi", 'm', 'm' },
	{ "GBP", "£", "sterlina", "sterline", "penny", "penny", 'f', 'm' }, { "JPY", "¥", "yen", "yen", NULL, NULL, 'm', 0 },
	{ "CHF", "Fr.", "franco svizzero", "franchi svizzeri", "centesimo", "centesimi", 'm', 'm' },
	{ "INR", "₹", "rupia", "rupie", NULL, NULL, 'f', 0 }, { "RUB", "₽", "rublo", "rubli", "copeco", "copechi", 'm', 'm' },
	{ "ITL", "₤ L.", "lira", "lire", NULL, NULL, 'f', 0 }, { NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 } };

static const norm_scale scales[] = {
	{ "mila", "mille", "mila", 0, 3 }, { "milione", "milione", "milioni", 0, 6 }, { "milioni", "milione", "milioni", 0, 6 },
	{ "miliardo", "miliardo", "miliardi", 0, 9 }, { "miliardi", "miliardo", "miliardi", 0, 9 },
	{ "mln", "milione", "milioni", 0, 6 }, { "mld", "miliardo", "miliardi", 0, 9 }, { "mrd", "miliardo", "miliardi", 0, 9 },
	{ "M", "milione", "milioni", 1, 6 }, { "k", "mille", "mila", 1, 3 }, { NULL, NULL, NULL, 0, 0 } };

static const norm_pair units[] = { { "percent", "per cento|per cento" }, { "tonne", "tonnellata|tonnellate" }, { NULL, NULL } };

static const char words[] =
	"A AI AL CHE CHI CI COME CON CUI DA DAL DEI DEL DI DUE E È ED ERA GLI HA HAI HO I IL IN IO LA LE LEI LI LO LUI MA ME MI MIA "
	"MIO NE NEL NO NOI NON O OGGI ORA PER PIÙ PIU POI SE SEI SI SÌ SIA SONO STO SU SUA SUE SUL SUO TE TI TRA TRE TU TUO TUTTO UN "
	"UNA UNO VA VI VIA VOI OK BAR MAI ONU NATO UNESCO UNICEF AIDS FIFA UEFA OPEC NASA RAI FIAT INPS ISTAT IVA PIL IRPEF SIAE ENI "
	"ENEL COOP IKEA LASER RADAR COVID RAM ROM PIN SIM INAIL IMU TARI ANSA TIM CAP ISEE CONI ANAS ACI ATAC CISL UIL ARCI CNEL TAR "
	"IRAP ASL";

static const char letters[] = "UE EU UK USA DNA TV PD IA API URL PCI DC PSI BCE FMI OCSE OMS";

static const char kings[] =
	"Luigi Carlo Enrico Filippo Francesco Giovanni Paolo Pio Benedetto Gregorio Leone Clemente Innocenzo Alessandro Niccolò "
	"Nicola Pietro Caterina Federico Guglielmo Giorgio Edoardo Riccardo Giacomo Elisabetta Vittorio Emanuele Umberto Amedeo "
	"Alberto Leopoldo Ferdinando Alfonso Napoleone Massimiliano Rodolfo Bonifacio Urbano Ramses Tolomeo Dario Ottone Ivan Gustavo "
	"Cristiano Sisto Giulio Juan Carlos Felipe Martino Callisto Eugenio";

static const char queens[] = "Elisabetta Caterina Giovanna Maria Cleopatra Cristina Margherita Isabella";

static const char chapters[] =
	"capitolo Capitolo tomo volume Volume atto Atto parte Parte titolo Titolo articolo sezione tipo Tipo fase Fase classe figura "
	"tabella livello grado scena Scena stagione gruppo allegato Apollo Vaticano Mondiale";

static const char centuries[] = "guerra secolo sec Secolo legislatura Legislatura edizione Olimpiade municipio arrondissement";

static const char phones[] = "telefono Telefono tel Tel fax Fax cellulare Cellulare chiamare chiamate chiama numero";

static const char tlds[] = "com org net info gov biz app dev online it";

/* ---- ordinals ---- */

/* 1º, 2ª; "1° maggio", but "30° all'ombra" */
static size_t ordinal(norm_reader *r, const norm_number *n) {
	size_t next = norm_spaces(r, n->end + 2), end = norm_letters(r, next), month_end;
	int degree = norm_starts(r, n->end, "°");
	if (n->count > 4 || n->grouped)
		return 0;
	int noun = end > next && !norm_listed("C F a all al di in e nord sud est ovest con per da", r->text + next, end - next);
	if (norm_starts(r, n->end, "º") || (degree && next > n->end + 2 && (norm_month_at(r, next, &month_end) || (noun &&
	    n->value <= 25))))
		return norm_spell_int(r, n->value, NORM_ORDINAL) ? n->end + 2 : 0;
	return norm_starts(r, n->end, "ª") && norm_spell_int(r, n->value, NORM_ORDINAL_FEMININE) ? n->end + 2 : 0;
}

static void king(norm_reader *r, int value, size_t at) {
	char before[32];
	norm_word_before(r, at, before, sizeof before);
	norm_spell_int(r, value, norm_is_word(queens, before) ? NORM_ORDINAL_FEMININE : NORM_ORDINAL);
}

static int fraction(norm_reader *r, int64_t above, int64_t below) {
	int behind_and = r->out->size >= 2 && memcmp(r->out->data + r->out->size - 2, " e", 2) == 0;
	if (!(behind_and && above == 1 && below == 2))
		norm_spell_int(r, above, above == 1 ? NORM_MASCULINE : NORM_NUMBER);
	if (below == 2)
		norm_say(r, above == 1 ? "mezzo" : "mezzi");
	else
		norm_spell_int(r, below, above == 1 ? NORM_ORDINAL : NORM_ORDINAL_PLURAL);
	return 1;
}

/* ---- dates and times ---- */

static void date(norm_reader *r, const norm_date *d) {
	if (d->day)
		norm_spell_int(r, d->day, d->day == 1 ? NORM_ORDINAL : NORM_NUMBER);
	norm_say(r, d->month ? r->n->months[d->month - 1] : NULL);
	if (d->year)
		norm_say_year(r, d->year);
}

static size_t day_before_month(norm_reader *r, const norm_number *n) {
	size_t end, next = norm_spaces(r, n->end);
	int month = n->count <= 2 && !n->decimals && n->value >= 1 && n->value <= 31 && next > n->end ? norm_month_at(r, next, &end) : 0;
	if (!month)
		return 0;
	date(r, &(norm_date){ .day = (int)n->value, .month = month });
	return end;
}

static void time_of_day(norm_reader *r, const norm_time *t) {
	if (t->hour == 1 && t->minute < 0) {
		norm_say(r, "un'ora");
		return;
	}
	norm_spell_int(r, t->hour, t->hour == 1 ? NORM_FEMININE : NORM_NUMBER);
	if (t->minute < 0)
		norm_say(r, "ore");
	if (t->minute > 0) {
		norm_say(r, "e");
		norm_spell_int(r, t->minute, NORM_NUMBER);
	}
	if (t->second > 0) {
		norm_say(r, "e");
		norm_spell_int(r, t->second, NORM_NUMBER);
		norm_say(r, t->second == 1 ? "secondo" : "secondi");
	}
}

/* un chilo, uno yen, una casa, un'ora */
static int one(norm_reader *r, const char *noun, char gender) {
	int vowel = strchr("aeiouAEIOUh", noun[0]) != NULL;
	int hard = noun[0] == 'z' || noun[0] == 'y' || noun[0] == 'x' || strncmp(noun, "gn", 2) == 0 || strncmp(noun, "ps", 2) == 0 ||
	           (noun[0] == 's' && !strchr("aeiou", noun[1]));
	norm_say(r, gender == 'f' ? (vowel ? "un'" : "una") : hard ? "uno" : "un");
	if (gender == 'f' && vowel)
		norm_glue(r, noun);
	else
		norm_say(r, noun);
	return 1;
}

/* "1 casa" as far as the noun's ending shows. */
static size_t number_suffix(norm_reader *r, const norm_number *n) {
	static const char no_nouns[] =
		"e o a ed od da di in con per su tra fra del della dal dalla al alla se ma che non contro come dopo prima volta";
	size_t next = norm_spaces(r, n->end), end = norm_letters(r, next), size = end - next;
	char noun[64] = "";
	size_t month;
	if (n->value != 1 || n->decimals || n->count > 1 || next == n->end || norm_month_at(r, next, &month) || size < 3 ||
	    size >= sizeof noun || norm_is_upper(r, next) ||
	    norm_is_digit(r, end))
		return 0;
	memcpy(noun, r->text + next, size);
	char last = noun[size - 1];
	int feminine = last == 'a' || (size > 4 && (memcmp(noun + size - 4, "ione", 4) == 0 || memcmp(noun + size - 3, "tà", 3) == 0));
	if ((norm_listed(no_nouns, noun, size) && strcmp(noun, "volta")) || !(feminine || last == 'o' || last == 'e'))
		return 0;
	return one(r, noun, feminine ? 'f' : 'm') ? end : 0;
}

const norm_table norm_italian = {
	.language = "it", .minus = "meno", .point = "virgola", .dot = "punto", .to = "a", .score = "a", .over = "su", .by = "per",
	.times = "volte", .at = "chiocciola", .or = "o", .per = "al", .slash = "barra", .dash = "trattino",
	.underscore = "trattino basso", .hash = "hashtag", .number = "numero", .version = "versione", .of = "di", .range = "da",
	.decimals_together = 2, .signs = signs, .abbreviations = abbreviations, .currencies = currencies, .scales = scales,
	.units = units, .feminine_units = "hour tonne ounce pound calorie kilocalorie yard", .say_words = words, .say_letters = letters,
	.kings = kings, .chapters = chapters, .centuries = centuries, .phones = phones, .tlds = tlds, .bleep = "bip",
	.ordinal = ordinal, .date = date, .day_before_month = day_before_month, .time = time_of_day, .fraction = fraction, .king = king,
	.one = one, .number_suffix = number_suffix };
