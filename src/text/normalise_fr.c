/* French. */
#include "text/normalise_internal.h"

#include <string.h>

static const norm_pair signs[] = {
	{ "+", "plus" }, { "=", "égale" }, { "&", "et" }, { "%", "pour cent" }, { "<", "inférieur à" }, { ">", "supérieur à" },
	{ "<=", "inférieur ou égal à" }, { ">=", "supérieur ou égal à" }, { "≤", "inférieur ou égal à" },
	{ "≥", "supérieur ou égal à" }, { "≠", "différent de" }, { "≈", "environ égal à" }, { "±", "plus ou moins" }, { "×", "fois" },
	{ "÷", "divisé par" }, { "*", "fois" }, { "√", "racine carrée de" }, { "∞", "l'infini" }, { "§", "paragraphe" },
	{ "©", "copyright" }, { "®", "marque déposée" }, { "™", "marque de commerce" }, { "°", "degrés" }, { "→", "vers" },
	{ "~", "environ" }, { "^", "puissance" }, { "²", "au carré" }, { "³", "au cube" }, { "€", "euro" }, { "$", "dollar" },
	{ "£", "livre" }, { "¥", "yen" }, { "#", "dièse" }, { "@", "arobase" }, { ":", "deux-points" },
	{ "?", "point d'interrogation" }, { "−", "moins" }, { "‰", "pour mille" }, { "№", "numéro" }, { NULL, NULL } };

static const norm_abbreviation abbreviations[] = {
	{ "M.", "Monsieur", NORM_BEFORE_NAME }, { "MM.", "Messieurs", NORM_BEFORE_NAME }, { "Mme", "Madame", 0 },
	{ "Mmes", "Mesdames", 0 }, { "Mlle", "Mademoiselle", 0 }, { "Mlles", "Mesdemoiselles", 0 },
	{ "Me", "Maître", NORM_BEFORE_NAME }, { "Mgr", "Monseigneur", NORM_BEFORE_NAME }, { "Dr", "Docteur", NORM_BEFORE_NAME },
	{ "Dr.", "Docteur", NORM_BEFORE_NAME }, { "Pr", "Professeur", NORM_BEFORE_NAME }, { "Pr.", "Professeur", NORM_BEFORE_NAME },
	{ "St-", "Saint-", 0 }, { "Ste-", "Sainte-", 0 }, { "St", "Saint", NORM_BEFORE_NAME }, { "Ste", "Sainte", NORM_BEFORE_NAME },
	{ "av.J.-C.", "avant Jésus-Christ", 0 }, { "apr.J.-C.", "après Jésus-Christ", 0 }, { "J.-C.", "Jésus-Christ", 0 },
	{ "av.", "avenue", NORM_BEFORE_NAME }, { "bd.", "boulevard", 0 }, { "bd", "boulevard", NORM_BEFORE_NAME },
	{ "boul.", "boulevard", 0 }, { "n°", "numéro", 0 }, { "n°s", "numéros", 0 }, { "nº", "numéro", 0 },
	{ "no.", "numéro", NORM_BEFORE_NUMBER }, { "p.ex.", "par exemple", 0 }, { "p.", "page", NORM_BEFORE_NUMBER },
	{ "pp.", "pages", NORM_BEFORE_NUMBER }, { "c.-à-d.", "c'est-à-dire", 0 }, { "càd", "c'est-à-dire", 0 },
	{ "etc.", "et cetera", 0 }, { "cf.", "confer", 0 }, { "cf", "confer", 0 }, { "ex.", "exemple", 0 }, { "env.", "environ", 0 },
	{ "tél.", "téléphone", 0 }, { "vol.", "volume", NORM_BEFORE_NUMBER }, { "chap.", "chapitre", NORM_BEFORE_NUMBER },
	{ "art.", "article", NORM_BEFORE_NUMBER }, { "fig.", "figure", NORM_BEFORE_NUMBER }, { "éd.", "édition", 0 },
	{ "Cie", "compagnie", 0 }, { "s.v.p.", "s'il vous plaît", 0 }, { "SVP", "s'il vous plaît", 0 }, { "RDV", "rendez-vous", 0 },
	{ "hab.", "habitants", NORM_AFTER_NUMBER }, { "vs.", "versus", 0 }, { "vs", "versus", 0 },
	{ "min.", "minutes", NORM_AFTER_NUMBER }, { "sec.", "secondes", NORM_AFTER_NUMBER }, { "approx.", "approximativement", 0 },
	{ "janv.", "janvier", NORM_BEFORE_NUMBER }, { "févr.", "février", NORM_BEFORE_NUMBER },
	{ "juil.", "juillet", NORM_BEFORE_NUMBER }, { "sept.", "septembre", NORM_BEFORE_NUMBER },
	{ "oct.", "octobre", NORM_BEFORE_NUMBER }, { "nov.", "novembre", NORM_BEFORE_NUMBER },
	{ "déc.", "décembre", NORM_BEFORE_NUMBER }, { "max.", "maximum", 0 }, { "qqn", "quelqu'un", 0 }, { "qqch", "quelque chose", 0 },
	{ NULL, NULL, 0 } };

static const norm_currency currencies[] = {
	{ "EUR", "€", "euro", "euros", "centime", "centimes", 'm', 'm' },
	{ "USD", "$ US$", "dollar", "dollars", "cent", "cents", 'm', 'm' },
	{ "GBP", "£", "livre", "livres", "penny", "pence", 'f', 'm' }, { "JPY", "¥", "yen", "yens", NULL, NULL, 'm', 0 },
	{ "CHF", "Fr. FS", "franc suisse", "francs suisses", "centime", "centimes", 'm', 'm' },
	{ "INR", "₹", "roupie", "roupies", NULL, NULL, 'f', 0 }, { "RUB", "₽", "rouble", "roubles", "kopeck", "kopecks", 'm', 'm' },
	{ "CAD", "C$ $CA", "dollar canadien", "dollars canadiens", "cent", "cents", 'm', 'm' },
	{ "KRW", "₩", "won", "wons", NULL, NULL, 'm', 0 }, { NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 } };

static const norm_scale scales[] = {
	{ "mille", "mille", "mille", 0, 3 }, { "million", "million", "millions", 0, 6 }, { "millions", "million", "millions", 0, 6 },
	{ "milliard", "milliard", "milliards", 0, 9 }, { "milliards", "milliard", "milliards", 0, 9 },
	{ "billions", "billion", "billions", 0, 12 }, { "mio", "million", "millions", 0, 6 }, { "mrd", "milliard", "milliards", 0, 9 },
	{ "Mds", "milliard", "milliards", 0, 9 }, { "Md", "milliard", "milliards", 0, 9 }, { "M", "million", "millions", 1, 6 },
	{ "k", "mille", "mille", 1, 3 }, { NULL, NULL, NULL, 0, 0 } };

static const norm_pair units[] = {
	{ "kilometer-per-hour", "kilomètre à l'heure|kilomètres à l'heure" }, { "tonne", "tonne|tonnes" }, { NULL, NULL } };

static const char words[] =
	"A À AI AU AUX CE CES DE DES DU ELLE EN ET EST IL ILS JE LA LE LES LEUR LUI MA MAIS ME MES MON NE NI NON NOS NOUS ON OÙ OU "
	"OUI PAR PAS PLUS POUR QUE QUI SA SE SES SI SON SUR TA TE TES TON TOUT TRÈS TU UN UNE VOS VOUS OK BON FIN VIE ROI ONU OTAN "
	"UNESCO UNICEF SIDA INSEE SMIC PACS ENA FIFA UEFA OPEP NASA CEDEX ZAC OVNI RAM ROM PIN SIM ZUP COVID IKEA FNAC LICRA CAPES "
	"DOM TOM CROUS URSSAF ASSEDIC MEDEF LASER RADAR SACEM CNIL DEUG BIC ISO BAC ADEME INA IRA";

static const char letters[] = "USA UE EU OMS OMC OGM ADN PDG TVA SNCF RATP TGV RER HLM CGT PSG OM OL API URL FAQ IA ETA UV IUT";

static const char kings[] =
	"Louis Henri Charles François Philippe Napoléon Jean Paul Pie Benoît Grégoire Léon Clément Innocent Alexandre Nicolas Pierre "
	"Catherine Frédéric Guillaume Georges George Édouard Richard Jacques Élisabeth Elisabeth Elizabeth Albert Léopold Baudouin "
	"Ferdinand Alphonse Maximilien Rodolphe Umberto Emmanuel Boniface Urbain Ramsès Ptolémée Cléopâtre Darius Xerxès Othon Ivan "
	"Gustave Christian Juan Carlos Felipe Sixte Jules Mohammed Hassan Robert";

static const char chapters[] =
	"chapitre Chapitre tome Tome volume Volume livre Livre acte Acte partie Partie titre Titre article Article section Section "
	"type Type phase Phase classe Classe figure Figure tableau Tableau niveau Niveau scène Scène saison Saison épisode groupe "
	"Groupe annexe Annexe Apollo Vatican mondiale guerre Guerre";

static const char phones[] = "tél téléphone Tél Téléphone fax Fax mobile Mobile portable appelez Appelez composez numéro";

static const char tlds[] = "com org net info gov biz app dev online";

/* ---- ordinals ---- */

static const struct { const char *ending; norm_form form; int first; } endings[] = {
	{ "er", NORM_ORDINAL, 1 }, { "ers", NORM_ORDINAL_PLURAL, 1 }, { "re", NORM_ORDINAL_FEMININE, 1 },
	{ "ère", NORM_ORDINAL_FEMININE, 1 }, { "ème", NORM_ORDINAL, 0 }, { "eme", NORM_ORDINAL, 0 }, { "èmes", NORM_ORDINAL_PLURAL, 0 },
	{ "es", NORM_ORDINAL_PLURAL, 0 }, { "e", NORM_ORDINAL, 0 } };

static size_t say_ordinal(norm_reader *r, int64_t value, size_t at) {
	if (value == 2 && (norm_word(r, at, "nd") || norm_word(r, at, "nde"))) {
		norm_say(r, norm_word(r, at, "nd") ? "second" : "seconde");
		return at + 2 + (norm_word(r, at, "nd") == 0);
	}
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
		if (norm_word(r, at, endings[i].ending) && endings[i].first == (value == 1) && norm_spell_int(r, value, endings[i].form))
			return at + strlen(endings[i].ending);
	return 0;
}

static size_t ordinal(norm_reader *r, const norm_number *n) { return n->count <= NORM_MAX_DIGITS ? say_ordinal(r, n->value, n->end)
    : 0; }

/* "XXe siècle", "François Ier" */
static size_t word(norm_reader *r, size_t at) {
	size_t end = at;
	while (end < r->size && strchr("IVX", r->text[end]))
		end++;
	int value = end > at ? norm_roman(r->text + at, end - at) : 0;
	return value && norm_is_letter(r, end) && !norm_is_upper(r, end) &&
	    (value > 1 || norm_word(r, end, "er") || norm_word(r, end, "re")) && value < 100
	         ? say_ordinal(r, value, end) : 0;
}

static void king(norm_reader *r, int value, size_t at) { norm_spell_int(r, value, value == 1 ? NORM_ORDINAL : NORM_NUMBER); }

static int fraction(norm_reader *r, int64_t above, int64_t below) {
	int behind_and = r->out->size >= 3 && memcmp(r->out->data + r->out->size - 3, " et", 3) == 0;
	if (!(behind_and && above == 1 && below == 2))
		norm_spell_int(r, above, NORM_NUMBER);
	if (below == 2)
		norm_say(r, above == 1 ? "demi" : "demis");
	else if (below == 3)
		norm_say(r, "tiers");
	else if (below == 4)
		norm_say(r, above == 1 ? "quart" : "quarts");
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

/* "1 mars" is the first; other days are numbers as any. An abbreviated month becomes whole. */
static size_t day_before_month(norm_reader *r, const norm_number *n) {
	size_t end, next = norm_spaces(r, n->end);
	int month = n->count <= 2 && !n->decimals && n->value >= 1 && n->value <= 31 && next > n->end ? norm_month_at(r, next, &end) : 0;
	if (!month)
		return 0;
	date(r, &(norm_date){ .day = (int)n->value, .month = month });
	return end;
}

static void time_of_day(norm_reader *r, const norm_time *t) {
	norm_spell_int(r, t->hour, NORM_FEMININE);
	norm_say(r, t->hour < 2 ? "heure" : "heures");
	if (t->minute > 0)
		norm_spell_int(r, t->minute, t->minute % 10 == 1 && t->minute != 11 ? NORM_FEMININE : NORM_NUMBER);
	if (t->second > 0) {
		norm_say(r, "et");
		norm_spell_int(r, t->second, NORM_FEMININE);
		norm_say(r, t->second == 1 ? "seconde" : "secondes");
	}
}

/* ---- before a noun ---- */

static const char feminine_nouns[] =
	"heure minute seconde nuit fois femme fille mère sœur soeur tante nièce cousine amie dame reine chose page image plage cage "
	"place pièce porte fenêtre table chaise chambre ville rue route voie piste main jambe tête dent bouche lèvre joue épaule part "
	"vie loi voix croix noix fin mer eau terre île forêt montagne planète lune guerre arme bombe balle classe école note ligne "
	"lettre phrase réponse langue histoire victoire mémoire liste carte clé clef photo moto auto vidéo télé radio chaîne équipe "
	"course étape once tasse cuillère pomme poire orange banane tomate fraise tranche branche goutte boîte caisse dose pilule "
	"plante fleur rose herbe vache poule chèvre chatte brebis souris mouche fourmi bête robe jupe chemise veste cravate bague "
	"montre couleur largeur longueur hauteur profondeur douleur peur erreur valeur odeur faveur lueur vapeur gare banque somme taxe "
	"offre commande vente perte hausse baisse cause façon boisson chanson leçon prison rançon moisson époque ère danse fête église "
	"cathédrale tombe victime recrue moitié amitié paire manche coupe défaite touche gamme clause règle phase base demande attaque "
	"marque remarque plaque barque brique fibre molécule cellule particule espèce requête enquête conquête tempête toile date trace "
	"race glace surface menace preuve épreuve grève rive fabrique boutique musique république clinique pratique technique politique "
	"rubrique critique couche poche plume lampe bougie feuille bouteille oreille abeille corbeille famille médaille bataille taille "
	"maille grille chute faute visite suite fuite dispute salle halle malle pile file grande petite grosse longue vieille seule "
	"pleine";

static const char masculine_nouns[] =
	"bastion musée lycée trophée mausolée scarabée apogée athée silence murmure mercure squelette quintette cimetière "
	"arrière derrière violoncelle rebelle comité stade grade prélude interlude génie incendie sosie messie domaine capitaine "
	"détective traité jade camarade malade nomade invité retraité";

static const char *const feminine_endings[] = { "tion", "sion", "xion", "aison", "ité", "iété", "auté", "erté", "onté", "ée", "ance",
	"ence", "ture", "sure", "ette", "esse", "euse", "trice", "ière", "elle", "enne", "onne", "aine", "ade", "tude", "erie", "phie",
	"logie", "nomie", "artie", "érie", "opie", "rise", "tive" };

static int is_feminine(const norm_reader *r, size_t at, size_t end) {
	if (end > at + 2 && r->text[end - 1] == 's' && !norm_listed(feminine_nouns, r->text + at, end - at))
		end--;
	if (norm_listed(masculine_nouns, r->text + at, end - at))
		return 0;
	for (size_t i = 0; i < sizeof feminine_endings / sizeof feminine_endings[0]; i++) {
		size_t size = strlen(feminine_endings[i]);
		if (end - at > size && norm_starts(r, end - size, feminine_endings[i]))
			return 1;
	}
	return norm_listed(feminine_nouns, r->text + at, end - at);
}

/* "1 place Bellecour", "1 rue de la Paix" are addresses. */
static int is_street(const norm_reader *r, size_t at, size_t end) {
	if (!norm_listed("rue route place allée chaussée voie", r->text + at, end - at))
		return 0;
	at = norm_spaces(r, end);
	while ((end = norm_letters(r, at)) > at && norm_listed("de du des la le les d l", r->text + at, end - at))
		at = norm_spaces(r, end + (size_t)norm_starts(r, end, "'"));
	return norm_is_upper(r, at);
}

/* "1 heure", "21 femmes", "1 autre personne", "1 demi-heure", as far as the noun shows it */
static size_t number_suffix(norm_reader *r, const norm_number *n) {
	static const char either[] = "autre autres jeune jeunes simple simples même mêmes demi seconde";
	static const char named[] = /* by a number */
		"numéro page pages ligne bus tram tramway métro chambre salle bureau porte quai voie étape jour leçon question "
		"version chaîne canal équipe place option point rang zone formule catégorie Numéro Page Ligne Bus Tram Chambre Salle "
		"Porte Quai Voie Étape Jour Leçon Question Version Équipe Option Point Zone Catégorie";
	char before[32];
	int64_t last = n->value % 100;
	size_t noun = norm_spaces(r, n->end), end = norm_letters(r, noun);
	norm_word_before(r, n->begin, before, sizeof before);
	if (n->decimals || n->count > NORM_MAX_DIGITS || last % 10 != 1 || last == 11 || last == 71 || last == 91 || noun == n->end ||
	    norm_is_word(chapters, before) || norm_is_word(named, before))
		return 0;
	size_t next = norm_starts(r, end, "-") ? end + 1 : norm_spaces(r, end);
	if (norm_listed(either, r->text + noun, end - noun) && norm_is_letter(r, next)) {
		noun = next;
		end = norm_letters(r, noun);
	}
	if (n->value > 1 ? !strchr("sx", r->text[end - 1]) : is_street(r, noun, end)) /* not in the plural: "21 rue Hugo", "en 2021 personne" */
		return 0;
	return is_feminine(r, noun, end) && norm_spell(r, n->digits, (size_t)n->count, NORM_FEMININE) ? n->end : 0;
}

const norm_table norm_french = {
	.language = "fr", .minus = "moins", .point = "virgule", .dot = "point", .to = "à", .score = "à", .over = "sur", .by = "par",
	.times = "fois", .at = "arobase", .or = "ou", .per = "par", .slash = "slash", .dash = "tiret", .underscore = "tiret bas",
	.hash = "hashtag", .number = "numéro", .version = "version", .of = "de", .decimals_together = 3, .pairs = 1, .signs = signs,
	.abbreviations = abbreviations, .currencies = currencies, .scales = scales, .units = units,
	.feminine_units = "hour minute second tonne calorie kilocalorie " "pound ounce", .say_words = words, .say_letters = letters,
	.kings = kings, .chapters = chapters, .phones = phones, .tlds = tlds, .bleep = "bip", .ordinal = ordinal, .date = date,
	.day_before_month = day_before_month, .time = time_of_day, .fraction = fraction, .king = king, .word = word,
	.number_suffix = number_suffix };
