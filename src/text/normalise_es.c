/* Spanish. */
#include "text/normalise_internal.h"

#include <string.h>

static const norm_pair signs[] = {
	{ "+", "más" }, { "=", "igual a" }, { "&", "y" }, { "%", "por ciento" }, { "<", "menor que" }, { ">", "mayor que" },
	{ "<=", "menor o igual que" }, { ">=", "mayor o igual que" }, { "≤", "menor o igual que" }, { "≥", "mayor o igual que" },
	{ "≠", "distinto de" }, { "≈", "aproximadamente" }, { "±", "más menos" }, { "×", "por" }, { "÷", "dividido por" },
	{ "*", "por" }, { "√", "raíz cuadrada de" }, { "∞", "infinito" }, { "§", "sección" }, { "©", "copyright" },
	{ "®", "marca registrada" }, { "™", "marca" }, { "°", "grados" }, { "→", "a" }, { "~", "unos" }, { "^", "elevado a" },
	{ "²", "al cuadrado" }, { "³", "al cubo" }, { "€", "euro" }, { "$", "dólar" }, { "£", "libra" }, { "¥", "yen" },
	{ "#", "almohadilla" }, { "@", "arroba" }, { ":", "dos puntos" }, { "?", "interrogación" }, { "−", "menos" },
	{ "‰", "por mil" }, { "№", "número" }, { NULL, NULL } };

static const norm_abbreviation abbreviations[] = {
	{ "Sr.", "señor", 0 }, { "Sra.", "señora", 0 }, { "Srta.", "señorita", 0 }, { "Sres.", "señores", 0 },
	{ "Sras.", "señoras", 0 }, { "D.", "don", NORM_BEFORE_NAME }, { "Dña.", "doña", 0 }, { "Dª", "doña", 0 },
	{ "Dr.", "doctor", 0 }, { "Dra.", "doctora", 0 }, { "Prof.", "profesor", 0 }, { "Profa.", "profesora", 0 },
	{ "Ud.", "usted", 0 }, { "Uds.", "ustedes", 0 }, { "Vd.", "usted", 0 }, { "Vds.", "ustedes", 0 }, { "etc.", "etcétera", 0 },
	{ "p.ej.", "por ejemplo", 0 }, { "pág.", "página", 0 }, { "págs.", "páginas", 0 }, { "p.", "página", NORM_BEFORE_NUMBER },
	{ "n.os", "números", 0 }, { "n.º", "número", 0 }, { "N.º", "número", 0 }, { "nº", "número", 0 }, { "Nº", "número", 0 },
	{ "n°", "número", 0 }, { "núm.", "número", 0 }, { "tel.", "teléfono", 0 }, { "Tel.", "teléfono", 0 }, { "Avda.", "avenida", 0 },
	{ "Av.", "avenida", 0 }, { "c/", "calle ", 0 }, { "C/", "calle ", 0 }, { "a.C.", "antes de Cristo", 0 },
	{ "d.C.", "después de Cristo", 0 }, { "a.m.", "a m", 0 }, { "p.m.", "p m", 0 }, { "EE.UU.", "Estados Unidos", 0 },
	{ "EEUU", "Estados Unidos", 0 }, { "JJ.OO.", "Juegos Olímpicos", 0 }, { "FF.AA.", "Fuerzas Armadas", 0 },
	{ "RR.HH.", "Recursos Humanos", 0 }, { "CC.OO.", "Comisiones Obreras", 0 }, { "Sto.", "santo", NORM_BEFORE_NAME },
	{ "Sta.", "santa", NORM_BEFORE_NAME }, { "S.", "san", NORM_BEFORE_NAME }, { "Cía.", "compañía", 0 },
	{ "Lic.", "licenciado", 0 }, { "Ing.", "ingeniero", 0 }, { "Gral.", "general", 0 }, { "Mons.", "monseñor", 0 },
	{ "vol.", "volumen", NORM_BEFORE_NUMBER }, { "cap.", "capítulo", NORM_BEFORE_NUMBER },
	{ "art.", "artículo", NORM_BEFORE_NUMBER }, { "fig.", "figura", NORM_BEFORE_NUMBER }, { "aprox.", "aproximadamente", 0 },
	{ "máx.", "máximo", 0 }, { "mín.", "mínimo", 0 }, { "min.", "minutos", NORM_AFTER_NUMBER },
	{ "hab.", "habitantes", NORM_AFTER_NUMBER }, { "vs.", "versus", 0 }, { "vs", "versus", 0 }, { "Depto.", "departamento", 0 },
	{ NULL, NULL, 0 } };

static const norm_currency currencies[] = {
	{ "EUR", "€", "euro", "euros", "céntimo", "céntimos", 'm', 'm' },
	{ "USD", "$ US$", "dólar", "dólares", "centavo", "centavos", 'm', 'm' },
	{ "GBP", "£", "libra", "libras", "penique", "peniques", 'f', 'm' }, { "JPY", "¥", "yen", "yenes", NULL, NULL, 'm', 0 },
	{ "CHF", "Fr.", "franco suizo", "francos suizos", "céntimo", "céntimos", 'm', 'm' },
	{ "INR", "₹", "rupia", "rupias", NULL, NULL, 'f', 0 }, { "RUB", "₽", "rublo", "rublos", "kopek", "kopeks", 'm', 'm' },
	{ "BRL", "R$", "real", "reales", "centavo", "centavos", 'm', 'm' },
	{ "MXN", "MX$", "peso mexicano", "pesos mexicanos", "centavo", "centavos", 'm', 'm' },
	{ "ESP", "pta ptas", "peseta", "pesetas", NULL, NULL, 'f', 0 }, { NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 } };

static const norm_scale scales[] = {
	{ "mil millones", "mil millones", "mil millones", 0, 9 }, { "mil", "mil", "mil", 0, 3 },
	{ "millón", "millón", "millones", 0, 6 }, { "millones", "millón", "millones", 0, 6 },
	{ "billones", "billón", "billones", 0, 12 }, { "mill.", "millón", "millones", 0, 6 }, { "mdd", "millón", "millones", 1, 6 },
	{ "M", "millón", "millones", 1, 6 }, { "k", "mil", "mil", 1, 3 }, { NULL, NULL, NULL, 0, 0 } };

static const norm_pair units[] = { { "tonne", "tonelada|toneladas" }, { NULL, NULL } };

static const char words[] =
	"A AL ASÍ CON DE DEL EL EN ES ESA ESE ESO ESTÁ HA HAY HOY LA LAS LE LES LO LOS ME MI MIS MÁS MUY NI NO NOS O OS PARA PERO POR "
	"QUE QUÉ SE SER SI SÍ SIN SON SU SUS TE TÚ TU TODO UN UNA UNO VA VER YA YO OK FIN SOL MAR ONU OTAN OVNI SIDA UNESCO UNICEF "
	"FIFA UEFA OPEP NASA RENFE AVE PYME PYMES TALGO IVA ETA ONCE SEAT ESO UNED RAE LASER RADAR COVID RAM ROM PIN SIM IKEA UNAM "
	"PEMEX FARC PRI PAN PIB INE IMSERSO INEM AENA CEPAL OEA CIA NIE NIF CIF TIC TIE";

static const char letters[] = "UE EU UK USA ADN DNI UGT ARN IA FMI BCE OCDE API URL EA PP";

static const char kings[] =
	"Felipe Alfonso Carlos Fernando Isabel Juan Pedro Sancho Jaime Enrique Pablo Pío Benedicto Gregorio León Clemente Inocencio "
	"Alejandro Nicolás Catalina Luis Jorge Eduardo Ricardo Guillermo Jacobo Napoleón Federico Francisco Maximiliano Rodolfo "
	"Alberto Leopoldo Víctor Manuel Bonifacio Urbano Ramsés Ptolomeo Darío Otón Iván Gustavo Cristián Sixto Julio Amadeo Ramiro "
	"Ordoño Bermudo García Berenguer Juana María";

static const char queens[] = "Isabel Juana María Catalina Cleopatra Cristina Margarita";

static const char chapters[] =
	"capítulo Capítulo tomo Tomo volumen Volumen libro Libro acto Acto parte Parte título Título artículo Artículo sección "
	"Sección tipo Tipo fase Fase clase Clase figura tabla nivel Nivel grado escena Escena temporada grupo Grupo anexo Anexo siglo "
	"Siglo siglos Mundial Apolo Vaticano";

static const char phones[] = "teléfono Teléfono tel Tel fax Fax móvil Móvil llame Llame llamando celular";

static const char tlds[] = "com org net info gov biz app dev online";

/* ---- ordinals ---- */

/* 1.º, 2ª, 3er, 1ro, 2da */
static size_t ordinal(norm_reader *r, const norm_number *n) {
	static const struct { const char *ending; norm_form form; } endings[] = {
		{ "º", NORM_ORDINAL }, { "ª", NORM_ORDINAL_FEMININE }, { "er", NORM_ORDINAL_SHORT }, { "ro", NORM_ORDINAL },
		{ "ra", NORM_ORDINAL_FEMININE }, { "do", NORM_ORDINAL }, { "da", NORM_ORDINAL_FEMININE }, { "to", NORM_ORDINAL },
		{ "ta", NORM_ORDINAL_FEMININE } };
	size_t at = n->end + (size_t)norm_starts(r, n->end, ".");
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
		if (norm_word(r, at, endings[i].ending) && n->count <= 4 && norm_spell_int(r, n->value, endings[i].form))
			return at + strlen(endings[i].ending);
	return 0;
}

/* To ten by ordinals: Felipe sexto, Alfonso trece. */
static void king(norm_reader *r, int value, size_t at) {
	char before[32];
	norm_word_before(r, at, before, sizeof before);
	norm_spell_int(r, value, value > 10 ? NORM_NUMBER : norm_is_word(queens, before) ? NORM_ORDINAL_FEMININE : NORM_ORDINAL);
}

static int fraction(norm_reader *r, int64_t above, int64_t below) {
	int behind_and = r->out->size >= 2 && memcmp(r->out->data + r->out->size - 2, " y", 2) == 0;
	if (!(behind_and && above == 1 && below == 2))
		norm_spell_int(r, above, NORM_MASCULINE);
	if (below == 2)
		norm_say(r, above == 1 ? "medio" : "medios");
	else if (below == 3)
		norm_say(r, above == 1 ? "tercio" : "tercios");
	else if (below <= 10 || below == 100) {
		norm_spell_int(r, below, NORM_ORDINAL);
		norm_glue(r, above == 1 ? "" : "s");
	} else {
		norm_spell_int(r, below, NORM_NUMBER);
		norm_glue(r, above == 1 ? "avo" : "avos");
	}
	return 1;
}

/* ---- dates and times ---- */

static void date(norm_reader *r, const norm_date *d) {
	int first = d->day == 1 && *r->n->region && strcmp(r->n->region, "ES") != 0; /* in America */
	if (d->day)
		norm_spell_int(r, d->day, first ? NORM_ORDINAL : NORM_NUMBER);
	if (d->day && d->month)
		norm_say(r, "de");
	norm_say(r, d->month ? r->n->months[d->month - 1] : NULL);
	if (d->year) {
		norm_say(r, d->month ? "de" : NULL);
		norm_say_year(r, d->year);
	}
}

static void time_of_day(norm_reader *r, const norm_time *t) {
	norm_spell_int(r, t->hour, NORM_FEMININE);
	if (t->minute > 0 && t->minute < 10)
		norm_spell_int(r, 0, NORM_NUMBER);
	if (t->minute > 0)
		norm_spell_int(r, t->minute, NORM_NUMBER);
	if (t->marked)
		norm_say(r, t->hour == 1 && t->minute <= 0 ? "hora" : "horas");
	if (t->second > 0) {
		norm_say(r, "y");
		norm_spell_int(r, t->second, NORM_MASCULINE);
		norm_say(r, t->second == 1 ? "segundo" : "segundos");
	}
}

static int ends(const norm_reader *r, size_t end, const char *ending) {
	return end >= strlen(ending) && norm_starts(r, end - strlen(ending), ending);
}

/* Before a noun that is written out: "21 libras" is feminine, "1 vez", too, "21 años" masculine, as far as the noun's ending shows. */
static size_t number_suffix(norm_reader *r, const norm_number *n) {
	static const char masculine[] =
		"días mapas problemas sistemas programas idiomas planetas temas poemas atletas idioma planeta tema poema clima poeta "
		"cometa día mapa problema sistema programa";
	static const char no_nouns[] =
		"de y o e u a al del en que por con sin es ni no se para hasta contra sobre entre desde como cuando donde pero sino más "
		"menos";
	size_t next = norm_spaces(r, n->end), end = norm_letters(r, next), size = end - next;
	int one = n->value % 10 == 1 && n->value % 100 != 11, hundreds = n->value % 1000 >= 200 && n->value < 1000000;
	if (n->decimals || n->count > 6 || next == n->end || size < 3 || norm_is_upper(r, next) || !(one || hundreds) ||
	    norm_listed(no_nouns, r->text + next, size))
		return 0;
	int plural = r->text[end - 1] == 's';
	if ((n->value == 1) == plural)
		return 0;
	int feminine = (ends(r, end, "a") || ends(r, end, "as") || ends(r, end, "vez") || ends(r, end, "veces") || ends(r, end, "ión") ||
	                ends(r, end, "iones") || ends(r, end, "dad") || ends(r, end, "dades")) &&
	                    !norm_listed(masculine, r->text + next, size);
	return norm_spell_int(r, n->value, feminine ? NORM_FEMININE : NORM_MASCULINE) ? n->end : 0;
}

const norm_table norm_spanish = {
	.language = "es", .minus = "menos", .point = "coma", .dot = "punto", .to = "a", .score = "a", .over = "sobre", .by = "por",
	.times = "veces", .at = "arroba", .or = "o", .per = "por", .slash = "barra", .dash = "guion", .underscore = "guion bajo",
	.hash = "hashtag", .number = "número", .version = "versión", .of = "de", .decimals_together = 2, .signs = signs,
	.abbreviations = abbreviations, .currencies = currencies, .scales = scales, .units = units,
	.feminine_units = "hour tonne mile inch ounce pound calorie kilocalorie yard", .say_words = words, .say_letters = letters,
	.kings = kings, .chapters = chapters, .phones = phones, .tlds = tlds, .bleep = "pip", .ordinal = ordinal, .date = date,
	.time = time_of_day, .fraction = fraction, .king = king, .number_suffix = number_suffix };
