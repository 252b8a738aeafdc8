/* Portuguese: of Brazil, and of Portugal where the language says "pt-PT" (ICU's numbers differ). */
#include "text/normalise_internal.h"

#include <string.h>

static const norm_pair signs[] = {
	{ "+", "mais" }, { "=", "igual a" }, { "&", "e" }, { "%", "por cento" }, { "<", "menor que" }, { ">", "maior que" },
	{ "<=", "menor ou igual a" }, { ">=", "maior ou igual a" }, { "≤", "menor ou igual a" }, { "≥", "maior ou igual a" },
	{ "≠", "diferente de" }, { "≈", "aproximadamente" }, { "±", "mais ou menos" }, { "×", "vezes" }, { "÷", "dividido por" },
	{ "*", "vezes" }, { "√", "raiz quadrada de" }, { "∞", "infinito" }, { "§", "parágrafo" }, { "©", "copyright" },
	{ "®", "marca registrada" }, { "™", "marca" }, { "°", "graus" }, { "→", "para" }, { "~", "cerca de" }, { "^", "elevado a" },
	{ "²", "ao quadrado" }, { "³", "ao cubo" }, { "€", "euro" }, { "$", "dólar" }, { "£", "libra" }, { "¥", "iene" },
	{ "#", "cerquilha" }, { "@", "arroba" }, { ":", "dois pontos" }, { "?", "interrogação" }, { "−", "menos" }, { "‰", "por mil" },
	{ "№", "número" }, { NULL, NULL } };

static const norm_abbreviation abbreviations[] = {
	{ "Sr.", "senhor", 0 }, { "Sra.", "senhora", 0 }, { "Srta.", "senhorita", 0 }, { "Srs.", "senhores", 0 },
	{ "Dr.", "doutor", 0 }, { "Dra.", "doutora", 0 }, { "Prof.", "professor", 0 }, { "Profa.", "professora", 0 },
	{ "Profª", "professora", 0 }, { "D.", "dom", NORM_BEFORE_NAME }, { "Exmo.", "excelentíssimo", 0 }, { "etc.", "et cetera", 0 },
	{ "p.ex.", "por exemplo", 0 }, { "pág.", "página", 0 }, { "págs.", "páginas", 0 }, { "p.", "página", NORM_BEFORE_NUMBER },
	{ "n.º", "número", 0 }, { "N.º", "número", 0 }, { "nº", "número", 0 }, { "Nº", "número", 0 }, { "n°", "número", 0 },
	{ "núm.", "número", 0 }, { "tel.", "telefone", 0 }, { "Tel.", "telefone", 0 }, { "Av.", "avenida", 0 },
	{ "R.", "rua", NORM_BEFORE_NAME }, { "a.C.", "antes de Cristo", 0 }, { "d.C.", "depois de Cristo", 0 },
	{ "S.", "são", NORM_BEFORE_NAME }, { "Sto.", "santo", NORM_BEFORE_NAME }, { "Sta.", "santa", NORM_BEFORE_NAME },
	{ "Cia.", "companhia", 0 }, { "Ltda.", "limitada", 0 }, { "Jr.", "júnior", 0 }, { "Eng.", "engenheiro", NORM_BEFORE_NAME },
	{ "Gov.", "governador", NORM_BEFORE_NAME }, { "Gen.", "general", NORM_BEFORE_NAME }, { "vol.", "volume", NORM_BEFORE_NUMBER },
	{ "cap.", "capítulo", NORM_BEFORE_NUMBER }, { "art.", "artigo", NORM_BEFORE_NUMBER }, { "fig.", "figura", NORM_BEFORE_NUMBER },
	{ "aprox.", "aproximadamente", 0 }, { "máx.", "máximo", 0 }, { "mín.", "mínimo", 0 }, { "min.", "minutos", NORM_AFTER_NUMBER },
	{ "hab.", "habitantes", NORM_AFTER_NUMBER }, { "vs.", "versus", 0 }, { "vs", "versus", 0 }, { "EUA", "Estados Unidos", 0 },
	{ "V.Exa.", "vossa excelência", 0 }, { NULL, NULL, 0 } };

static const norm_currency currencies[] = {
	{ "EUR", "€", "euro", "euros", "cêntimo", "cêntimos", 'm', 'm' },
	{ "USD", "$ US$ U$", "dólar", "dólares", "centavo", "centavos", 'm', 'm' },
	{ "BRL", "R$", "real", "reais", "centavo", "centavos", 'm', 'm' }, { "GBP", "£", "libra", "libras", "pêni", "pence", 'f', 'm' },
	{ "JPY", "¥", "iene", "ienes", NULL, NULL, 'm', 0 },
	{ "CHF", "Fr.", "franco suíço", "francos suíços", "cêntimo", "cêntimos", 'm', 'm' },
	{ "INR", "₹", "rupia", "rupias", NULL, NULL, 'f', 0 }, { "RUB", "₽", "rublo", "rublos", "copeque", "copeques", 'm', 'm' },
	{ NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 } };

static const norm_scale scales[] = {
	{ "mil", "mil", "mil", 0, 3 }, { "milhão", "milhão", "milhões", 0, 6 }, { "milhões", "milhão", "milhões", 0, 6 },
	{ "bilhão", "bilhão", "bilhões", 0, 9 }, { "bilhões", "bilhão", "bilhões", 0, 9 }, { "trilhões", "trilhão", "trilhões", 0, 12 },
	{ "mi", "milhão", "milhões", 1, 6 }, { "tri", "trilhão", "trilhões", 1, 12 }, { "bi", "bilhão", "bilhões", 1, 9 },
	{ "M", "milhão", "milhões", 1, 6 }, { "k", "mil", "mil", 1, 3 }, { NULL, NULL, NULL, 0, 0 } };

static const norm_pair units[] = { { "tonne", "tonelada|toneladas" }, { NULL, NULL } };

static const char words[] =
	"A À AO AOS AS COM DA DAS DE DO DOS E É EIS ELA ELE EM ERA ESTÁ EU FAZ FIM FOI HÁ HOJE IR ISSO JÁ LÁ MAIS MAS ME MEU MUITO NA "
	"NÃO NAO NEM NO NOS NÓS O OU OS PARA POR QUE SE SEM SER SEU SIM SÓ SOU SUA TEM TER TEU TU TUDO UM UMA VAI VER VOCÊ VOU OK PAZ "
	"MAR SOL ONU OTAN NATO SIDA AIDS UNESCO UNICEF FIFA UEFA OPEP NASA PIB SUS CEP ENEM IBAMA ANATEL ANVISA FUNAI PIS COFINS IVA "
	"COVID RAM ROM PIN SIM IKEA LASER RADAR TAP SENAI SESC SESI UNICAMP CAIXA IPEA DETRAN PROCON BIC IPI IPTU IOF MERCOSUL";

static const char letters[] =
	"UE UK USA EUA ADN DNA TV CPF IBGE INSS STF OMS IA API URL PT USP UFRJ IPTU IOF IPI RG PM PF OMC FMI BCE OCDE";

static const char kings[] =
	"João Pedro Manuel Afonso Sancho Carlos Luís Filipe Felipe José Fernando Duarte Dinis Henrique Paulo Pio Bento Gregório Leão "
	"Clemente Inocêncio Alexandre Nicolau Catarina Frederico Guilherme Jorge Eduardo Ricardo Jaime Isabel Elizabeth Elisabete "
	"Maria Napoleão Francisco Maximiliano Rodolfo Alberto Leopoldo Vítor Emanuel Bonifácio Urbano Ramsés Ptolomeu Dario Otão Ivan "
	"Gustavo Sisto Júlio Juan Afonso Sebastião";

static const char queens[] = "Isabel Elizabeth Elisabete Maria Catarina Cleópatra Cristina Margarida";

static const char chapters[] =
	"capítulo Capítulo tomo Tomo volume Volume livro Livro ato Ato parte Parte título Título artigo Artigo seção Seção tipo Tipo "
	"fase Fase classe Classe figura tabela nível Nível grau cena Cena temporada grupo Grupo anexo Anexo século Século séculos "
	"Mundial Apollo Vaticano";

static const char phones[] = "telefone Telefone tel Tel fax Fax celular Celular telemóvel ligue Ligue contato contacto WhatsApp";

static const char tlds[] = "com org net info gov biz app dev online";

/* 1º, 2ª, 3.º */
static size_t ordinal(norm_reader *r, const norm_number *n) {
	size_t at = n->end + (size_t)norm_starts(r, n->end, ".");
	int degree = norm_starts(r, at, "°") && n->value < 20 && norm_is_letter(r, norm_spaces(r, at + 2)) &&
	    !norm_starts(r, norm_spaces(r, at + 2), "C");
	if (n->count > 4 || n->grouped)
		return 0;
	if ((norm_starts(r, at, "º") || (degree && norm_spaces(r, at + 2) > at + 2)) && norm_spell_int(r, n->value, NORM_ORDINAL))
		return at + 2;
	return norm_starts(r, at, "ª") && norm_spell_int(r, n->value, NORM_ORDINAL_FEMININE) ? at + 2 : 0;
}

/* To ten by ordinals: Pedro segundo, Luís catorze. */
static void king(norm_reader *r, int value, size_t at) {
	char before[32];
	norm_word_before(r, at, before, sizeof before);
	norm_spell_int(r, value, value > 10 ? NORM_NUMBER : norm_is_word(queens, before) ? NORM_ORDINAL_FEMININE : NORM_ORDINAL);
}

static int fraction(norm_reader *r, int64_t above, int64_t below) {
	int behind_and = r->out->size >= 2 && memcmp(r->out->data + r->out->size - 2, " e", 2) == 0;
	if (!(behind_and && above == 1 && below == 2))
		norm_spell_int(r, above, NORM_NUMBER);
	if (below == 2)
		norm_say(r, above == 1 ? "meio" : "meios");
	else if (below == 3)
		norm_say(r, above == 1 ? "terço" : "terços");
	else if (below <= 10 || below == 100) {
		norm_spell_int(r, below, NORM_ORDINAL);
		norm_glue(r, above == 1 ? "" : "s");
	} else {
		norm_spell_int(r, below, NORM_NUMBER);
		norm_say(r, above == 1 ? "avo" : "avos");
	}
	return 1;
}

static void date(norm_reader *r, const norm_date *d) {
	if (d->day)
		norm_spell_int(r, d->day, d->day == 1 && strcmp(r->n->region, "PT") != 0 ? NORM_ORDINAL : NORM_NUMBER);
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
	if (t->minute <= 0)
		norm_say(r, t->hour < 2 ? "hora" : "horas");
	if (t->minute > 0) {
		norm_say(r, "e");
		norm_spell_int(r, t->minute, NORM_NUMBER);
	}
	if (t->second > 0) {
		norm_say(r, "e");
		norm_spell_int(r, t->second, NORM_NUMBER);
		norm_say(r, t->second == 1 ? "segundo" : "segundos");
	}
}

/* Before a noun that is written out: "2 horas" is feminine, "2 anos" masculine, as far as the noun's ending shows. */
static size_t number_suffix(norm_reader *r, const norm_number *n) {
	static const char masculine[] =
		"dia mapa problema sistema programa idioma planeta tema poema atleta quilograma grama telefonema cometa clima poeta dias "
		"mapas problemas sistemas programas idiomas planetas temas poemas atletas quilogramas gramas";
	static const char others[] =
		"mulher mulheres vez vezes noite noites parte partes mãe mães classe classes ordem ordens série árvores viagens imagens";
	size_t next = norm_spaces(r, n->end), end = norm_letters(r, next), size = end - next;
	int bends = n->value % 10 == 1 || n->value % 10 == 2 || (n->value % 1000 >= 200 && n->value < 1000000);
	if (n->decimals || n->count > 6 || next == n->end || size < 3 || norm_is_upper(r, next) || !bends || n->value % 100 == 11 ||
	    n->value % 100 == 12)
		return 0;
	int plural = r->text[end - 1] == 's';
	int feminine = r->text[end - (plural ? 2 : 1)] == 'a' || norm_listed(others, r->text + next, size) ||
	    norm_starts(r, end - 5, "dades") ||
	               (size > 6 && norm_starts(r, end - 6, "ções"));
	if ((n->value == 1) == plural || norm_listed("para contra cada mais entre sobre", r->text + next, size) || !feminine ||
	    norm_listed(masculine, r->text + next, size))
		return 0;
	return norm_spell_int(r, n->value, NORM_FEMININE) ? n->end : 0;
}

const norm_table norm_portuguese = {
	.language = "pt", .minus = "menos", .point = "vírgula", .dot = "ponto", .to = "a", .score = "a", .over = "sobre", .by = "por",
	.times = "vezes", .at = "arroba", .or = "ou", .per = "por", .slash = "barra", .dash = "hífen", .underscore = "sublinhado",
	.hash = "hashtag", .number = "número", .version = "versão", .of = "de", .decimals_together = 2, .signs = signs,
	.abbreviations = abbreviations, .currencies = currencies, .scales = scales, .units = units,
	.feminine_units = "hour tonne mile inch ounce pound calorie kilocalorie yard", .say_words = words, .say_letters = letters,
	.kings = kings, .chapters = chapters, .phones = phones, .tlds = tlds, .bleep = "bipe", .ordinal = ordinal, .date = date,
	.time = time_of_day, .fraction = fraction, .king = king, .number_suffix = number_suffix };
