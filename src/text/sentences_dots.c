/* Dots that end no sentence: those of abbreviations, initials and ordinals. */
#include "text/sentences_internal.h"

#include "text/normalise.h"

#include <stdio.h>
#include <string.h>
#include <unicode/uchar.h>

#define WORD_BYTES 24 /* of the longest word in these lists, and a NUL */

typedef sentence_source source;

static int listed(const char *const *words, size_t count, const char *word) {
	for (size_t i = 0; i < count; i++)
		if (strcmp(word, words[i]) == 0)
			return 1;
	return 0;
}

static int speaks(const source *s, const char *language) {
	const char *const locale = s->locale ? s->locale : "";
	return strncmp(locale, language, 2) == 0 && !(locale[2] >= 'a' && locale[2] <= 'z');
}

/* Lower case, without the last dot. Titles and the like, which a name or a number follows. */
static int abbreviation(const source *s, const char *word) {
	static const char *const words[] = { "dr", "mr", "mrs", "ms", "prof", "st", "mt", "rev", "hon", "gen", "col", "capt", "lt", "sgt", "sen",
		                                 "rep", "gov", "pres", "messrs", "mme", "mlle", "mm", "mgr", "sr", "sra", "srta", "dott", "sig", "hr",
		                                 "fr", "frl", "vs", "e.g", "i.e", "cf", "viz", "ca", "approx", "bzw", "usw", "z.b", "d.h", "u.a",
		                                 "ph.d", "dipl", "ing" };
	static const char *const german[] = { "med", "jur", "phil", "rer", "nat", "habil", "theol", "fa" };
	return listed(words, sizeof words / sizeof words[0], word) || (speaks(s, "de") && listed(german, sizeof german / sizeof german[0], word));
}

static int counts_things(const char *word) {
	static const char *const words[] = { "no", "nr", "fig", "figs", "vol", "vols", "pp", "pg", "ch", "chap", "sec", "eq", "art", "abs", "abb",
		                                 "kap", "tab", "bd", "str", "tel", "ext", "op", "ver", "pt", "num", "jan", "feb", "mar", "apr", "jun",
		                                 "jul", "aug", "sep", "sept", "oct", "nov", "dec", "apt", "rm", "bldg" };
	return listed(words, sizeof words / sizeof words[0], word);
}

/* Where the word of letters, digits and dots before `dot` begins. */
static int32_t word_start(const source *s, int32_t begin, int32_t dot) {
	int32_t start = dot;
	while (start > begin) {
		int32_t at = start, c = sentence_previous(s, &at);
		if (c != '.' && !u_isalnum(c))
			break;
		start = at;
	}
	return start;
}

/* That word with ASCII letters as lower case; empty: too long for any list. */
static void lower_word(const source *s, int32_t start, int32_t dot, char *word) {
	int32_t length = 0;
	if (dot - start < WORD_BYTES)
		for (int32_t i = start; i < dot; i++)
			word[length++] = (char)(s->text[i] >= 'A' && s->text[i] <= 'Z' ? s->text[i] + 32 : s->text[i]);
	word[length] = 0;
}

int sentence_has_ordinal_dots(const char *locale) {
	static const char languages[] = "de da nb nn no fi cs sk hu pl hr sr bs sl et lv lt is fo tr lb ";
	char key[4] = { locale[0], locale[0] ? locale[1] : 0, ' ', 0 };
	return key[1] && !(locale[2] >= 'a' && locale[2] <= 'z') && strstr(languages, key) != NULL;
}

int sentence_dot_of_word(const source *s, int32_t begin, int32_t dot, int32_t next) {
	char word[WORD_BYTES];
	int32_t letters = 0, digits = 0;
	const int32_t start = word_start(s, begin, dot);
	for (int32_t i = start; i < dot;) {
		const int32_t c = sentence_next(s, &i);
		letters += u_isalpha(c);
		digits += u_isdigit(c);
	}
	if ((letters == 1 && !digits && s->text[start] != 'I') || sn_abbreviation_dot(s->locale, (const char *)s->text, (size_t)s->size, (size_t)dot))
		return 1;
	if (!letters && digits && digits <= 2 && s->ordinal_dots)
		return 1;
	lower_word(s, start, dot, word);
	return abbreviation(s, word) || (u_isdigit(next) && counts_things(word));
}

/* ---- dots that the next word decides on ---- */

/* Words that follow where the sentence goes on, small letters aside. */
static const char *followers(const char *word) {
	static const char times[] = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mon Tue Tues Wed Thu Thur Thurs Fri Sat Sun January "
								"February March April May June July August September October November December Jan Feb Mar Apr Jun Jul Aug "
								"Sep Sept Oct Nov Dec Eastern Central Mountain Pacific Greenwich ET CT MT PT EST EDT CST CDT MST MDT PST PDT "
								"GMT BST UTC CET CEST IST JST AEST";
	static const struct {
		const char *word, *next;
	} words[] = { { "a.m", times }, { "p.m", times }, { "co", "KG KGaA OHG Ltd Inc LLC" }, { "inc", "" }, { "ltd", "" },
		        { "corp", "" }, { "jr", "" }, { "etc", "" } };
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(word, words[i].word) == 0)
			return words[i].next;
	return NULL;
}

/* Words that begin sentences and hardly any name; those of English where the language is not known. */
static const char *openers(const source *s) {
	static const struct {
		const char *language, *words;
	} tables[] = {
		{ "en", "The This That These Those A An It He She We They You I My His Her Its Our Your Their There Here And But Or So Yet If When "
			    "While Since Because Although Though After Before Then Now However In On At For From By With As To What Why How Where Who "
			    "Is Are Was Were Do Did Does" },
		{ "de", "Der Die Das Den Dem Des Ein Eine Einen Einem Einer Er Sie Es Wir Ihr Ich Du Sein Seine Ihre Mein Meine Unser Unsere Dieser "
			    "Diese Dieses Und Aber Oder Doch Wenn Als Weil Da Dann Dort Hier Jetzt So In Im Am An Auf Aus Bei Mit Nach Seit Von Vor Zu Zum "
			    "Zur Für Was Wer Wie Wo Warum Ist Sind War Hat" },
		{ "fr", "Le La Les L Un Une Des Il Elle Ils Elles On Nous Vous Je J Tu Ce C Cet Cette Ces Son Sa Ses Leur Leurs Mon Ma Mes Notre Nos "
			    "Et Mais Ou Donc Or Si Quand Lorsque Puis Alors Ensuite Ici Là En Dans À Au Aux Avec Pour Par Sur Depuis Qui Que Quoi Comment "
			    "Pourquoi Est Sont" },
		{ "es", "El La Los Las Un Una Unos Unas Él Ella Ellos Ellas Yo Nosotros Su Sus Mi Mis Nuestro Nuestra Este Esta Esto Ese Esa Eso Y "
			    "Pero O Si Cuando Como Porque Aunque Entonces Luego Ahora Aquí En Con Por Para Desde Según No Se Es Son Fue Qué Quién Cómo" },
		{ "it", "Il Lo La I Gli Le L Un Uno Una Egli Lui Lei Loro Io Noi Voi Suo Sua Suoi Mio Mia Nostro Questo Questa Quello Quella E Ma O "
			    "Se Quando Come Perché Poi Allora Ora Qui In Nel Nella Con Per Da Dal Dalla Non Si È Sono Era Che Chi" },
		{ "pt", "O A Os As Um Uma Ele Ela Eles Elas Eu Nós Seu Sua Seus Suas Meu Minha Nosso Nossa Este Esta Isto Esse Essa Isso E Mas Ou Se "
			    "Quando Como Porque Então Depois Agora Aqui Em No Na Nos Nas Com Por Para Desde Não É São Foi Que Quem" },
		{ "nl", "De Het Een Hij Zij Ze We Wij Ik Je Jij Zijn Haar Mijn Onze Dit Dat Deze Die En Maar Of Als Toen Dan Daar Hier Nu In Op Aan "
			    "Met Voor Uit Bij Na Sinds Wat Wie Hoe Waarom Is Was" },
		{ "ru", "Он Она Оно Они Мы Вы Я Ты Это Эта Этот Эти Его Её Их И Но А Или Если Когда Потом Теперь Здесь Там В Во На С По Из За Для К "
			    "О Об От Не Что Кто Как Где" },
	};
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		if (speaks(s, tables[i].language))
			return tables[i].words;
	return s->locale && *s->locale ? "" : tables[0].words;
}

static int is_among(const char *list, const char *word) {
	const size_t size = strlen(word);
	for (const char *at = list; size && (at = strstr(at, word)); at++)
		if ((at == list || at[-1] == ' ') && (at[size] == ' ' || !at[size]))
			return 1;
	return 0;
}

/* Two capitals or more, each with its dot: "U.S", "J.R.R". */
static int is_initials(const source *s, int32_t start, int32_t dot) {
	int capitals = 0;
	for (int32_t i = start; i < dot; capitals++) {
		if (!u_isupper(sentence_next(s, &i)) || (i < dot && s->text[i] != '.'))
			return 0;
		i++;
	}
	return capitals > 1;
}

/* Past white space, quotes, brackets and dashes. */
static int32_t next_word(const source *s, int32_t i) {
	while (i < s->size) {
		int32_t at = i, c = sentence_next(s, &at);
		if (!u_isUWhiteSpace(c) && !sentence_closes(c) && !(U_GET_GC_MASK(c) & (U_GC_PS_MASK | U_GC_PD_MASK)))
			break;
		i = at;
	}
	return i;
}

static int32_t word_end(const source *s, int32_t i) {
	while (i < s->size) {
		int32_t at = i;
		if (!u_isalnum(sentence_next(s, &at)))
			break;
		i = at;
	}
	return i;
}

int sentence_goes_on(const source *s, int32_t begin, int32_t dot) {
	char word[WORD_BYTES] = "";
	const int32_t start = word_start(s, begin, dot);
	lower_word(s, start, dot, word);
	const char *const next = followers(word);
	if (!next && !is_initials(s, start, dot))
		return 0;
	int32_t from = next_word(s, dot + 1), to = word_end(s, from), at = from;
	if (to == s->size)
		return -1;
	if (to == from)
		return 0;
	if (u_islower(sentence_next(s, &at)))
		return 1;
	snprintf(word, sizeof word, "%.*s", to - from < WORD_BYTES ? (int)(to - from) : 0, (const char *)s->text + from);
	return next ? is_among(next, word) : !is_among(openers(s), word);
}
