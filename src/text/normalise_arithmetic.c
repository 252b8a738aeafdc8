/* Words of arithmetic for languages that have no table of their own: without them a sign would vanish, and the sense with it. */
#include "text/normalise_internal.h"

#include <string.h>

/* ---- fractions ---- */

/* The parts come first where words have no spaces, "of two parts one", and in Korean. Behind a whole number they take a word. */
static int parts_first(norm_reader *r, int64_t above, int64_t below, const char *behind_whole, const char *parts) {
	norm_say(r, r->out->size > r->piece ? behind_whole : NULL);
	norm_spell_int(r, below, NORM_NUMBER);
	norm_glue(r, parts);
	return norm_spell_int(r, above, NORM_NUMBER);
}

static int chinese_fraction(norm_reader *r, int64_t above, int64_t below) { return parts_first(r, above, below, "又", "分之"); }

static int japanese_fraction(norm_reader *r, int64_t above, int64_t below) { return parts_first(r, above, below, "と", "分の"); }

static int korean_fraction(norm_reader *r, int64_t above, int64_t below) { return parts_first(r, above, below, NULL, "분의"); }

/* een half, drie kwart, twee derde */
static int dutch_fraction(norm_reader *r, int64_t above, int64_t below) {
	norm_say(r, r->out->size > r->piece ? "en" : NULL);
	norm_spell_int(r, above, NORM_NUMBER);
	if (below != 2 && below != 4)
		return norm_spell_int(r, below, NORM_ORDINAL);
	norm_say(r, below == 4 ? "kwart" : above == 1 ? "half" : "halve");
	return 1;
}

/* ---- the languages ---- */

#define ARITHMETIC(name, fraction_, over_, plus, equals, times, divided, squared, cubed, power) \
	static const norm_pair name##_signs[] = { \
		{ "+", plus }, { "=", equals }, { "×", times }, { "÷", divided }, { "²", squared }, { "³", cubed }, { "^", power }, \
		{ NULL, NULL } }; \
	static const norm_table name = { .over = over_, .signs = name##_signs, .fraction = fraction_ }

ARITHMETIC(arabic, NULL, "على", "زائد", "يساوي", "ضرب", "على", "تربيع", "تكعيب", "أس");
ARITHMETIC(bulgarian, NULL, "върху", "плюс", "е равно на", "по", "делено на", "на квадрат", "на куб", "на степен");
ARITHMETIC(catalan, NULL, "partit per", "més", "és igual a", "per", "dividit per", "al quadrat", "al cub", "elevat a");
ARITHMETIC(chinese, chinese_fraction, NULL, "加", "等于", "乘以", "除以", "的平方", "的立方", "");
ARITHMETIC(czech, NULL, "lomeno", "plus", "rovná se", "krát", "děleno", "na druhou", "na třetí", "na");
ARITHMETIC(danish, NULL, "skråstreg", "plus", "er lig med", "gange", "divideret med", "i anden", "i tredje", "opløftet i");
ARITHMETIC(dutch, dutch_fraction, "over", "plus", "is", "keer", "gedeeld door", "kwadraat", "tot de derde", "tot de macht");
ARITHMETIC(finnish, NULL, "kautta", "plus", "on", "kertaa", "jaettuna", "toiseen", "kolmanteen", "potenssiin");
ARITHMETIC(greek, NULL, "διά", "συν", "ίσον", "επί", "διά", "στο τετράγωνο", "στον κύβο", "εις την");
ARITHMETIC(hebrew, NULL, "חלקי", "ועוד", "שווה", "כפול", "חלקי", "בריבוע", "בשלישית", "בחזקת");
ARITHMETIC(hindi, NULL, "बटा", "जमा", "बराबर", "गुणा", "भाग", "का वर्ग", "का घन", "की घात");
ARITHMETIC(hungarian, NULL, "per", "meg", "egyenlő", "szorozva", "osztva", "a négyzeten", "a köbön", "a hatványon");
ARITHMETIC(indonesian, NULL, "per", "tambah", "sama dengan", "kali", "dibagi", "kuadrat", "pangkat tiga", "pangkat");
ARITHMETIC(japanese, japanese_fraction, NULL, "たす", "は", "かける", "わる", "の二乗", "の三乗", "");
ARITHMETIC(korean, korean_fraction, NULL, "더하기", "는", "곱하기", "나누기", "제곱", "세제곱", "");
ARITHMETIC(norwegian, NULL, "delt på", "pluss", "er lik", "ganger", "delt på", "i andre", "i tredje", "opphøyd i");
ARITHMETIC(polish, NULL, "łamane przez", "plus", "równa się", "razy", "podzielić przez", "do kwadratu", "do sześcianu", "do potęgi");
ARITHMETIC(romanian, NULL, "pe", "plus", "egal", "ori", "împărțit la", "la pătrat", "la cub", "la puterea");
ARITHMETIC(russian, NULL, "дробь", "плюс", "равно", "умножить на", "разделить на", "в квадрате", "в кубе", "в степени");
ARITHMETIC(slovak, NULL, "lomeno", "plus", "rovná sa", "krát", "delené", "na druhú", "na tretiu", "na");
ARITHMETIC(swedish, NULL, "genom", "plus", "är lika med", "gånger", "delat med", "i kvadrat", "i kubik", "upphöjt till");
ARITHMETIC(thai, NULL, "ส่วน", "บวก", "เท่ากับ", "คูณ", "หาร", "ยกกำลังสอง", "ยกกำลังสาม", "ยกกำลัง");
ARITHMETIC(turkish, NULL, "bölü", "artı", "eşittir", "çarpı", "bölü", "kare", "küp", "üzeri");
ARITHMETIC(ukrainian, NULL, "дріб", "плюс", "дорівнює", "помножити на", "поділити на", "у квадраті", "у кубі", "у степені");
ARITHMETIC(vietnamese, NULL, "phần", "cộng", "bằng", "nhân", "chia", "bình phương", "lập phương", "mũ");

const norm_table *norm_arithmetic_of(const char *language) {
	static const struct { const char *language; const norm_table *table; } tables[] = {
		{ "ar", &arabic }, { "bg", &bulgarian }, { "ca", &catalan }, { "cs", &czech }, { "da", &danish }, { "el", &greek },
		{ "fi", &finnish }, { "he", &hebrew }, { "hi", &hindi }, { "hu", &hungarian }, { "id", &indonesian }, { "ja", &japanese },
		{ "ko", &korean }, { "nb", &norwegian }, { "nl", &dutch }, { "nn", &norwegian }, { "no", &norwegian }, { "pl", &polish },
		{ "ro", &romanian }, { "ru", &russian }, { "sk", &slovak }, { "sv", &swedish }, { "th", &thai }, { "tr", &turkish },
		{ "uk", &ukrainian }, { "vi", &vietnamese }, { "yue", &chinese }, { "zh", &chinese } };
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		if (strcmp(tables[i].language, language) == 0)
			return tables[i].table;
	return NULL;
}
