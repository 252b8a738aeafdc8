/* What punctuate_rules.c knows of languages. Questions are listed where their beginning tells them from statements almost always. */
#include "speech/punctuate_rules.h"

#include <string.h>
#include <unicode/uloc.h>

#define EN_BE " is are was were am isn't aren't wasn't weren't "
#define EN_AUX " is are was were am do does did can could will would should shall may might must has have had isn't aren't wasn't " \
	"weren't don't doesn't didn't can't couldn't won't wouldn't shouldn't hasn't haven't hadn't "
#define EN_SUBJECT " i you he she it we they there this that these those "

static const char *const en_asking[][2] = {
	{ "what", EN_AUX "about else kind sort time happened happens makes made " }, { "what's", "" }, { "what're", "" }, { "who", EN_AUX },
	{ "who's", "" }, { "whose", " is are was were " }, { "where", EN_AUX }, { "where's", "" }, { "why", "" },
	{ "when", " is are was were do does did can could will would should has have " }, { "when's", "" }, { "which", " one of is are way " },
	{ "how", EN_AUX "many much long old far often about come big soon " }, { "how's", "" },
	{ "is", EN_SUBJECT "everyone anybody anyone somebody someone your my his her our their the " }, { "are", EN_SUBJECT "your the " },
	{ "was", EN_SUBJECT }, { "were", EN_SUBJECT }, { "am", " i " }, { "do", " you we they i " }, { "does", EN_SUBJECT "anyone anybody the " },
	{ "did", EN_SUBJECT "anyone anybody the your " }, { "can", EN_SUBJECT "anyone anybody " }, { "could", EN_SUBJECT "anyone " },
	{ "will", EN_SUBJECT }, { "would", EN_SUBJECT }, { "should", " i you he she it we they there this " }, { "shall", " i we " },
	{ "have", " you we they i " }, { "has", EN_SUBJECT "anyone anybody " }, { "isn't", EN_SUBJECT }, { "aren't", EN_SUBJECT },
	{ "don't", " you we they i " }, { "doesn't", EN_SUBJECT }, { "didn't", EN_SUBJECT }, { "can't", EN_SUBJECT }, { "won't", EN_SUBJECT },
	{ "wouldn't", EN_SUBJECT }, { "couldn't", EN_SUBJECT }, { "haven't", " you we they i " }, { NULL, NULL },
};

#define DE_VERB " ist sind war waren hat haben hast kann kannst können soll sollen will willst wollen wird werden wirst macht machst " \
	"machen geht gibt heißt heißen kommt kommst möchte möchten darf darfst muss musst müssen bedeutet kostet passiert denkst meinst "
#define DE_SUBJECT " du sie er es wir ihr man das ich "
static const char *const de_asking[][2] = {
	{ "wer", DE_VERB "weiß " }, { "was", DE_VERB }, { "wo", DE_VERB "liegt wohnt wohnst wohnen steht " }, { "wie", DE_VERB
	"viel viele lange oft weit alt spät groß " }, { "wann", "" }, { "warum", "" }, { "wieso", "" }, { "weshalb", "" }, { "woher", "" },
	{ "wohin", "" }, { "welche", "" }, { "welcher", "" }, { "welches", "" }, { "welchen", "" }, { "hast", " du " }, { "haben", " sie wir " },
	{ "hat", " er sie es jemand " }, { "bist", " du " }, { "sind", " sie wir das die " }, { "ist", DE_SUBJECT "der die jemand " },
	{ "kannst", " du " }, { "können", " sie wir " }, { "kann", " ich man er sie es " }, { "willst", " du " }, { "wollen", " wir sie " },
	{ "möchten", " sie " }, { "möchtest", " du " }, { "gibt", " es " }, { "gehst", " du " }, { "darf", " ich " }, { "soll", " ich " },
	{ "wirst", " du " }, { "werden", " sie wir " }, { "weißt", " du " }, { "wissen", " sie " }, { "sprechen", " sie " }, { "könnten", " sie wir " },
	{ NULL, NULL },
};

static const char *const fr_asking[][2] = {
	{ "est-ce", "" }, { "est", " ce ce que ce qu'il ce qu'elle " }, { "qu'est-ce", "" }, { "qu'est", " ce " }, { "pourquoi", "" },
	{ "combien", "" }, { "comment", "" }, { "où", " est sont vas va allez habitez habites se avez peut puis étais étiez en " },
	{ "quel", " est âge jour temps " }, { "quelle", " est heure " }, { "quels", " sont " }, { "quelles", " sont " },
	{ "qui", " est êtes es sont a veut peut " }, { "que", " faites fais faut-il veux voulez faire pensez penses dites dis se " },
	{ "avez", " vous " }, { "avez-vous", "" }, { "êtes", " vous " }, { "êtes-vous", "" }, { "pouvez", " vous " }, { "pouvez-vous", "" },
	{ "voulez", " vous " }, { "voulez-vous", "" }, { "as", " tu " }, { "as-tu", "" }, { "es", " tu " }, { "es-tu", "" }, { "peux", " tu " },
	{ "peux-tu", "" }, { "veux", " tu " }, { "veux-tu", "" }, { "puis-je", "" }, { "savez", " vous " }, { "savez-vous", "" },
	{ "parlez-vous", "" }, { "parlez", " vous " }, { NULL, NULL },
};

/* The accent tells the word that asks from the one that joins. */
static const char *const es_asking[][2] = {
	{ "qué", "" }, { "quién", "" }, { "quiénes", "" }, { "cómo", "" }, { "cuándo", "" }, { "dónde", "" }, { "cuánto", "" }, { "cuánta", "" },
	{ "cuántos", "" }, { "cuántas", "" }, { "cuál", "" }, { "cuáles", "" }, { "por", " qué dónde " }, { "para", " qué quién " },
	{ "de", " dónde quién qué " }, { "a", " dónde quién qué " }, { "con", " quién qué " }, { "en", " qué " }, { NULL, NULL },
};

#define IT_VERB " è sono sei siete era ha hai hanno avete fa fai fanno fate va vai vuoi vuole può puoi si ti vi sta stai stanno state " \
	"succede significa pensi pensa dici "
static const char *const it_asking[][2] = {
	{ "chi", IT_VERB }, { "cosa", IT_VERB }, { "che", " cosa ore ora tipo " }, { "come", " mai stai sta state va vai ti si posso possiamo fai "
	}, { "dove", IT_VERB }, { "dov'è", "" }, { "cos'è", "" }, { "com'è", "" }, { "chi", IT_VERB }, { "perché", " non mai hai ha sei è " },
	{ "quanto", " costa è tempo ci " }, { "quanti", "" }, { "quante", "" }, { "qual", " è " }, { "quale", " è " }, { "quali", " sono " },
	{ NULL, NULL },
};

#define PT_VERB " é são foi era está estão tem têm vai vão pode podem quer querem faz fazem você vocês se "
static const char *const pt_asking[][2] = {
	{ "o", " que é quê " }, { "quem", PT_VERB }, { "onde", PT_VERB "fica ficam " }, { "como", " vai está estão você se é posso " },
	{ "por", " que quê " }, { "qual", " é o a " }, { "quais", " são " }, { "quanto", " custa é tempo " }, { "quantos", "" }, { "quantas", "" },
	{ "será", " que " }, { NULL, NULL },
};

#define NL_VERB " is zijn was waren heeft hebben heb kan kunnen kun wil wilt willen gaat gaan ga doet doen doe moet moeten zal zullen " \
	"betekent gebeurt kost "
static const char *const nl_asking[][2] = {
	{ "wie", NL_VERB }, { "wat", NL_VERB "voor " }, { "waar", NL_VERB "woon woont wonen ligt komt kom " }, { "waarom", "" }, { "wanneer", NL_VERB },
	{ "hoe", NL_VERB "veel lang laat oud vaak ver groot " }, { "welke", "" }, { "welk", "" }, { "heb", " je jij u " }, { "heeft", " u hij zij ze " },
	{ "ben", " je jij " }, { "bent", " u " }, { "kun", " je jij " }, { "kunt", " u " }, { "kan", " ik u je het " }, { "wil", " je jij u " },
	{ "mag", " ik " }, { "is", " het er dat dit hij zij ze de " }, { "zijn", " er we wij jullie " }, { "gaat", " het u " }, { "weet", " je jij u " },
	{ NULL, NULL },
};

#define SV_VERB " är var har hade kan ska vill gör heter händer kostar betyder "
static const char *const sv_asking[][2] = {
	{ "vad", SV_VERB }, { "vem", SV_VERB }, { "var", " är ligger bor finns kan har " }, { "varför", "" }, { "hur", SV_VERB
	"mår många mycket länge ofta långt gammal står " }, { "när", " är kommer går börjar " }, { "vilken", "" }, { "vilket", "" }, { "vilka", "" },
	{ "är", " du det ni han hon den vi " }, { "har", " du ni han hon vi " }, { "kan", " du ni jag vi man " }, { "vill", " du ni " },
	{ "ska", " du vi jag ni " }, { "finns", " det " }, { "vet", " du ni " }, { NULL, NULL },
};

static const char *const ru_asking[][2] = {
	{ "почему", "" }, { "зачем", "" }, { "сколько", "" }, { "кто", " это такой такая там здесь вы ты был знает может " },
	{ "где", " вы ты это мы он она находится можно " }, { "когда", " вы ты это мы будет начинается " }, { "как", " дела вас тебя вы ты это " },
	{ "что", " это такое ты вы делать случилось " }, { "какой", "" }, { "какая", "" }, { "какие", "" }, { "откуда", "" }, { "куда", "" },
	{ NULL, NULL },
};

static const char *const no_asking[][2] = { { NULL, NULL } };
static const char *const zh_tails[] = { "吗", "嗎", NULL }, *const ja_tails[] = { "ですか", "ますか", "でしたか", "ましたか", "でしょうか", NULL };
static const char *const ko_tails[] = { "니까", "나요", "까요", "인가요", NULL };

static const sn_rules rules[] = {
	{ "en", ".", ",", "?", "", " the a an of my your his her its our their and or but because if than into from with without very every "
	  "mr mrs ms mister during between among whose i'm you're we're they're i've we've i'll ",
	  " and but or so because which while although though where as ", en_asking, NULL },
	{ "de", ".", ",", "?", "", " der die das den dem des ein eine einen einem einer eines und oder aber weil dass mein dein sein ihr unser im "
	  "am zum zur vom beim von für mit ohne sehr wenn als ", " und aber oder denn weil dass obwohl wenn sondern damit ", de_asking, NULL },
	{ "fr", ".", ",", "?", "", " le la les un une des du de d' à au aux et ou mais que qui mon ton son ma ta sa mes tes ses notre votre leur "
	  "dans pour avec sans sur chez par très parce ", " et mais ou car parce alors donc puis ", fr_asking, NULL },
	{ "es", ".", ",", "?", "¿", " el la los las un una unos unas de del a al y e o u pero que mi tu su mis tus sus nuestro nuestra en con sin "
	  "por para muy porque ", " y pero o porque aunque sino pues ", es_asking, NULL },
	{ "it", ".", ",", "?", "", " il lo la i gli le un uno una di del della dei delle dell' a al alla ai in nel nella con su per e ed o ma che "
	  "mio tuo suo mia tua sua molto perché ", " e ma o però perché anche quindi ", it_asking, NULL },
	{ "pt", ".", ",", "?", "", " o a os as um uma uns umas de do da dos das em no na nos nas ao à e ou mas que meu minha seu sua com sem por "
	  "para muito porque ", " e mas ou porque embora pois ", pt_asking, NULL },
	{ "nl", ".", ",", "?", "", " de het een van en of maar dat mijn jouw uw zijn haar ons onze hun in met zonder voor naar bij om te zeer heel ",
	  " en maar of want omdat dat terwijl ", nl_asking, NULL },
	{ "sv", ".", ",", "?", "", " en ett och eller men att av min din sin vår med utan för till från mycket ", " och men eller för att som eftersom ",
	  sv_asking, NULL },
	{ "ru", ".", ",", "?", "", " и а но или в на с к от для по из о об у что чтобы очень мой твой наш ", " и а но или что потому чтобы если ",
	  ru_asking, NULL },
	{ "zh", "。", "，", "？", "", " ", " ", no_asking, zh_tails }, { "ja", "。", "、", "？", "", " ", " ", no_asking, ja_tails },
	{ "yue", "。", "，", "？", "", " ", " ", no_asking, zh_tails }, { "ko", ".", ",", "?", "", " ", " ", no_asking, ko_tails },
	{ "ar", ".", "،", "؟", "", " في من إلى على عن و أو ", " و لكن أو ثم ", no_asking, NULL },
	{ "fa", ".", "،", "؟", "", " در از به با و که را ", " و اما ولی یا که ", no_asking, NULL },
	{ "ur", "۔", "،", "؟", "", " ", " ", no_asking, NULL }, { "hi", "।", ",", "?", "", " ", " ", no_asking, NULL },
	{ "bn", "।", ",", "?", "", " ", " ", no_asking, NULL }, { "el", ".", ",", ";", "", " ο η το και να ", " και αλλά ή ", no_asking, NULL },
	{ "hy", "։", ",", "՞", "", " ", " ", no_asking, NULL }, { "am", "።", "፣", "?", "", " ", " ", no_asking, NULL },
	{ "my", "။", "၊", "။", "", " ", " ", no_asking, NULL }, { "km", "។", ",", "?", "", " ", " ", no_asking, NULL },
	{ "th", "", "", "", "", " ", " ", no_asking, NULL }, { "lo", "", "", "", "", " ", " ", no_asking, NULL },
	{ "", ".", ",", "?", "", " ", " ", no_asking, NULL },
};
#define RULES ((int)(sizeof rules / sizeof rules[0]))

const sn_rules *sn_rules_of(const char *language) {
	UErrorCode status = U_ZERO_ERROR;
	char code[ULOC_LANG_CAPACITY];
	uloc_getLanguage(language, code, sizeof code, &status);
	if (U_SUCCESS(status) && strcmp(code, "cmn") == 0)
		strcpy(code, "zh");
	for (int i = 0; i < RULES - 1 && U_SUCCESS(status); i++)
		if (strcmp(rules[i].code, code) == 0)
			return &rules[i];
	return &rules[RULES - 1];
}
