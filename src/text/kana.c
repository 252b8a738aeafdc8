#include "text/kana.h"

#include "text/utf8.h"

#include <string.h>
#include <unicode/utf8.h>

#define FIRST 0x3041 /* of hiragana, small a */
#define LAST 0x3096
#define KATAKANA 0x60 /* above the hiragana of the same sound */
#define LENGTH_MARK 0x30fc
#define SMALL_TSU 0x3063
#define N 0x3093

/* What a kana's consonant and vowel sound like. */
typedef struct sound {
	const char *onset, *vowel;
} sound;

/* From FIRST on, in the order of Unicode: small and large vowels, then each row with its voiced (and half voiced) forms. */
static const sound sounds[LAST - FIRST + 1] = {
	{ "", "a" }, { "", "a" }, { "", "i" }, { "", "i" }, { "", "ɯ" }, { "", "ɯ" }, { "", "e" }, { "", "e" }, { "", "o" }, { "", "o" },
	{ "k", "a" }, { "ɡ", "a" }, { "kʲ", "i" }, { "ɡʲ", "i" }, { "k", "ɯ" }, { "ɡ", "ɯ" }, { "k", "e" }, { "ɡ", "e" }, { "k", "o" }, { "ɡ", "o" },
	{ "s", "a" }, { "ʣ", "a" }, { "ɕ", "i" }, { "ʥ", "i" }, { "s", "ɨ" }, { "z", "ɨ" }, { "s", "e" }, { "ʣ", "e" }, { "s", "o" }, { "ʣ", "o" },
	{ "t", "a" }, { "d", "a" }, { "ʨ", "i" }, { "ʥ", "i" }, { "ʔ", "" }, { "ʦ", "ɨ" }, { "z", "ɨ" }, { "t", "e" }, { "d", "e" }, { "t", "o" }, { "d", "o" },
	{ "n", "a" }, { "ɲ", "i" }, { "n", "ɯ" }, { "n", "e" }, { "n", "o" },
	{ "h", "a" }, { "b", "a" }, { "p", "a" }, { "ç", "i" }, { "bʲ", "i" }, { "pʲ", "i" }, { "ɸ", "ɯ" }, { "b", "ɯ" }, { "p", "ɯ" },
	{ "h", "e" }, { "b", "e" }, { "p", "e" }, { "h", "o" }, { "b", "o" }, { "p", "o" },
	{ "m", "a" }, { "mʲ", "i" }, { "m", "ɯ" }, { "m", "e" }, { "m", "o" },
	{ "j", "a" }, { "j", "a" }, { "j", "ɯ" }, { "j", "ɯ" }, { "j", "o" }, { "j", "o" },
	{ "ɾ", "a" }, { "ɾʲ", "i" }, { "ɾ", "ɯ" }, { "ɾ", "e" }, { "ɾ", "o" },
	{ "β", "a" }, { "β", "a" }, { "", "i" }, { "", "e" }, { "", "o" }, { "ɴ", "" }, { "v", "ɯ" }, { "k", "a" }, { "k", "e" },
};

/* ---- characters ---- */

/* The hiragana of a katakana; others as they are. Va, vi, ve and vo, which hiragana lacks, are left. */
static int32_t hiragana(int32_t c) { return c >= FIRST + KATAKANA && c <= LAST + KATAKANA ? c - KATAKANA : c; }

int sn_kana_is(int32_t c) {
	c = hiragana(c);
	return (c >= FIRST && c <= LAST) || c == LENGTH_MARK || c == 0x309d || c == 0x309e || (c >= 0x30f7 && c <= 0x30fa) || c == 0x30fd || c == 0x30fe;
}

static int32_t peek(const char *text, size_t size, size_t at) {
	int32_t i = (int32_t)at, c = -1;
	if (at < size)
		U8_NEXT((const uint8_t *)text, i, (int32_t)size, c);
	return hiragana(c);
}

static size_t width(const char *text, size_t size, size_t at) {
	int32_t i = (int32_t)at;
	U8_FWD_1((const uint8_t *)text, i, (int32_t)size);
	return (size_t)i - at;
}

static const sound *sound_of(int32_t c) { return c >= FIRST && c <= LAST ? &sounds[c - FIRST] : NULL; }

/* ---- sounds ---- */

static int is_small_y(int32_t c) { return c == 0x3083 || c == 0x3085 || c == 0x3087; }
static int is_small_vowel(int32_t c) { return c == 0x3041 || c == 0x3043 || c == 0x3045 || c == 0x3047 || c == 0x3049; }

/* A kana and the small one behind it as one syllable. 0: they are two. */
static int add_pair(sn_buf *out, int32_t c, int32_t small) {
	const sound *s = sound_of(c);
	const char *const vowel = sound_of(small)->vowel, *join = "";
	const int soft = strcmp(s->vowel, "i") == 0 && *s->onset; /* "ki": palatal already */
	if (is_small_y(small)) {
		if (c == 0x3094) /* vu: spoken as b */
			s = &sounds[0x3073 - FIRST];
		else if (!soft && c != 0x3066 && c != 0x3067 && c != 0x3075) /* te, de, fu */
			return 0;
		else if (!soft)
			join = "ʲ";
		sn_buf_text(out, s->onset);
		sn_buf_text(out, join);
		sn_buf_text(out, small == 0x3085 ? "ɨ" : vowel);
		return 1;
	}
	if (!*s->onset) { /* ye, wi, we, wo */
		if ((c == 0x3044 && small == 0x3047) || (c == 0x3046 && small != 0x3041 && small != 0x3045)) {
			sn_buf_text(out, c == 0x3044 ? "j" : "β");
			sn_buf_text(out, vowel);
			return 1;
		}
		return 0;
	}
	if (c == 0x304f || c == 0x3050) /* ku, gu: rounded */
		join = small == 0x3045 ? "" : "ᵝ";
	else if (small == 0x3043 && !soft && (c == 0x3064 || c == 0x3066 || c == 0x3067 || c == 0x3075 || c == 0x3094))
		join = "ʲ";
	sn_buf_text(out, s->onset);
	sn_buf_text(out, join);
	sn_buf_text(out, vowel);
	return 1;
}

/* The nasal before the kana that follows. */
static const char *nasal(int32_t next) {
	const sound *const s = sound_of(next);
	if (!s || !*s->onset)
		return "ɴ";
	if (strchr("mpb", s->onset[0]))
		return "m";
	if (s->onset[0] == 'k' || strncmp(s->onset, "ɡ", 2) == 0)
		return "ŋ";
	if (strcmp(s->onset, "ɲ") == 0 || strcmp(s->onset, "ʨ") == 0 || strcmp(s->onset, "ʥ") == 0)
		return "ɲ";
	return strchr("ntdz", s->onset[0]) || strcmp(s->onset, "ɾ") == 0 || strcmp(s->onset, "ɾʲ") == 0 ? "n" : "ɴ";
}

/* A repetition sign: the kana before it, voiced where the sign says so. */
static int32_t repeated(int32_t sign, int32_t before) {
	const int voiced = sign == 0x309e || sign == 0x30fe;
	return !sound_of(before) ? 0 : voiced && before >= 0x304b && before < 0x306a ? before + 1 : before;
}

void sn_kana_sounds(sn_buf *out, const char *text, size_t size, int *missing) {
	static const char *const extended[] = { "va", "vʲi", "ve", "vo" };
	int32_t before = 0;
	for (size_t i = 0; i < size;) {
		int32_t c = peek(text, size, i);
		i += width(text, size, i);
		const int32_t next = peek(text, size, i);
		if (c == 0x309d || c == 0x309e || c == 0x30fd || c == 0x30fe)
			c = repeated(c, before);
		if (c == LENGTH_MARK)
			sn_buf_text(out, "ː");
		else if (c == ' ')
			sn_buf_text(out, " ");
		else if (c >= 0x30f7 && c <= 0x30fa)
			sn_buf_text(out, extended[c - 0x30f7]);
		else if (c == N)
			sn_buf_text(out, nasal(next));
		else if (!sound_of(c))
			++*missing;
		else if ((is_small_y(next) || is_small_vowel(next)) && c != SMALL_TSU && add_pair(out, c, next))
			i += width(text, size, i);
		else {
			sn_buf_text(out, sound_of(c)->onset);
			sn_buf_text(out, sound_of(c)->vowel);
		}
		before = c;
	}
}

/* ---- numbers ---- */

static const char *const digit_kana[] = { "ぜろ", "いち", "に", "さん", "よん", "ご", "ろく", "なな", "はち", "きゅー" };
static const char *const unit_kana[] = { "じゅー", "ひゃく", "せん", "まん", "おく", "ちょー" };

/* 0-9, or 10 ten, 11 hundred, 12 thousand, 13 ten thousand, 14 a hundred million, 15 a billion; -1. */
static int digit_of(int32_t c) {
	static const int32_t codes[] = { 0x3007, 0x4e00, 0x4e8c, 0x4e09, 0x56db, 0x4e94, 0x516d, 0x4e03, 0x516b, 0x4e5d, 0x5341, 0x767e, 0x5343, 0x4e07, 0x5104, 0x5146 };
	for (int i = 0; i < 16; i++)
		if (codes[i] == c)
			return i;
	return c >= '0' && c <= '9' ? c - '0' : c >= 0xff10 && c <= 0xff19 ? c - 0xff10 : c == 0x96f6 ? 0 : -1;
}

int sn_kana_digit(int32_t c) { return digit_of(c) >= 0; }

static void add_space(sn_buf *out) {
	if (out->size && out->data[out->size - 1] != ' ')
		sn_buf_text(out, " ");
}

static void add_part(sn_buf *out, const char *kana) {
	if (*kana) {
		add_space(out);
		sn_buf_text(out, kana);
	}
}

/* Four digits, each part a word: "sanbyaku", "happyaku", "sanzen"; "issen" before a larger unit. */
static void add_four(sn_buf *out, int value, int big) {
	static const char *const hundreds[] = { "", "ひゃく", "にひゃく", "さんびゃく", "よんひゃく", "ごひゃく", "ろっぴゃく", "ななひゃく", "はっぴゃく", "きゅーひゃく" };
	static const char *const thousands[] = { "", "せん", "にせん", "さんぜん", "よんせん", "ごせん", "ろくせん", "ななせん", "はっせん", "きゅーせん" };
	static const char *const tens[] = { "", "じゅー", "にじゅー", "さんじゅー", "よんじゅー", "ごじゅー", "ろくじゅー", "ななじゅー", "はちじゅー", "きゅーじゅー" };
	add_part(out, value / 1000 == 1 && big ? "いっせん" : thousands[value / 1000]);
	add_part(out, hundreds[value / 100 % 10]);
	add_part(out, tens[value / 10 % 10]);
	if (value % 10)
		add_part(out, digit_kana[value % 10]);
}

static void add_number(sn_buf *out, int64_t value) {
	static const char *const names[] = { "", "まん", "おく", "ちょー" };
	static const int64_t sizes[] = { 1, 10000, 100000000, 1000000000000 };
	if (!value)
		add_part(out, digit_kana[0]);
	for (int i = 3; i >= 0; i--) {
		const int four = (int)(value / sizes[i] % 10000);
		if (!four)
			continue;
		if (i == 3 && four == 1)
			add_part(out, "いっ");
		else if (i == 3 && four == 8)
			add_part(out, "はっ");
		else if (i == 3 && four == 10)
			add_part(out, "じゅっ");
		else
			add_four(out, four, i > 0);
		sn_buf_text(out, names[i]);
	}
}

/* Digits one after the other, as after a decimal point or where there are too many. */
static void add_digits(sn_buf *out, const char *text, size_t size) {
	add_space(out);
	for (size_t i = 0; i < size; i += width(text, size, i)) {
		const int digit = digit_of(peek(text, size, i));
		sn_buf_text(out, digit < 10 ? digit_kana[digit] : unit_kana[digit - 10]);
	}
}

/* The value of a run of number characters; -1 where they do not make one number below 10^16. */
static int64_t value_of(const char *text, size_t size) {
	static const int64_t sizes[] = { 10, 100, 1000, 10000, 100000000, 1000000000000 };
	int64_t all = 0, four = 0, part = -1, last_big = INT64_MAX, last_small = INT64_MAX;
	for (size_t i = 0; i < size; i += width(text, size, i)) {
		const int digit = digit_of(peek(text, size, i));
		if (digit < 10) {
			part = part < 0 ? digit : part * 10 + digit;
			if (part > 9999999999999999)
				return -1;
			continue;
		}
		const int64_t unit = sizes[digit - 10];
		if (digit < 13) {
			if (unit >= last_small || part > 9 || part == 0)
				return -1;
			four += (part < 0 ? 1 : part) * unit;
			last_small = unit;
		} else {
			const int64_t before = four + (part < 0 ? 0 : part);
			if (unit >= last_big || before == 0 || before > 9999)
				return -1;
			all += before * unit;
			last_big = unit;
			last_small = INT64_MAX;
			four = 0;
		}
		part = -1;
	}
	if (part > 9 && (four || last_small != INT64_MAX))
		return -1;
	return all + four + (part < 0 ? 0 : part);
}

/* Counters by which four, seven and nine are called otherwise. */
static const struct {
	const char *written, *spoken, *four, *seven, *nine;
} counters[] = {
	{ "年", "ねん", "よ", "なな", "きゅー" }, { "月", "がつ", "し", "しち", "く" }, { "時", "じ", "よ", "しち", "く" },
	{ "日", "にち", "よん", "しち", "く" }, { "円", "えん", "よ", "なな", "きゅー" }, { "人", "にん", "よ", "なな", "きゅー" },
	{ "秒", "びょー", "よん", "なな", "きゅー" },
};
enum { MONTH = 1, DAY = 3, PEOPLE = 5, COUNTERS = sizeof counters / sizeof *counters };

/* Counters whose first sound and the number's last one change each other: "gofun", "jippun", "sanbiki", "ikkai". stop: behind numbers that end in
 * a doubled consonant; three, four: behind these; soft: 6 and 100 end so, too. */
static const struct {
	const char *written, *spoken, *stop, *three, *four;
	int soft;
} changing[] = {
	{ "分", "ふん", "ぷん", "ぷん", "ぷん", 1 }, { "匹", "ひき", "ぴき", "びき", "ひき", 1 }, { "本", "ほん", "ぽん", "ぼん", "ほん", 1 },
	{ "杯", "はい", "ぱい", "ばい", "はい", 1 }, { "回", "かい", "かい", "かい", "かい", 1 }, { "個", "こ", "こ", "こ", "こ", 1 },
	{ "歳", "さい", "さい", "さい", "さい", 0 }, { "冊", "さつ", "さつ", "さつ", "さつ", 0 },
};

/* The tenth day of a month and those before it, the fourteenth, the twentieth and the twenty-fourth have names of their own. */
static int add_day(sn_buf *out, int64_t value) {
	static const char *const names[] = { "", "ついたち", "ふつか", "みっか", "よっか", "いつか", "むいか", "なのか", "よーか", "ここのか", "とーか" };
	if (value < 1 || (value > 10 && value != 14 && value != 20 && value != 24))
		return 0;
	add_part(out, value == 20 ? "はつか" : value == 14 ? "じゅー よっか" : value == 24 ? "にじゅー よっか" : names[value]);
	return 1;
}

static int ends_in(const sn_buf *out, const char *kana) {
	const size_t length = strlen(kana);
	return !out->failed && out->size >= length && memcmp(out->data + out->size - length, kana, length) == 0;
}

static void add_changing(sn_buf *out, int64_t value, size_t counter) {
	static const char *const ends[][2] = { { "いち", "いっ" }, { "はち", "はっ" }, { "じゅー", "じゅっ" }, { "ろく", "ろっ" }, { "ひゃく", "ひゃっ" } };
	const char *spoken = changing[counter].spoken;
	add_number(out, value);
	if (ends_in(out, "さん"))
		spoken = changing[counter].three;
	else if (ends_in(out, "よん"))
		spoken = changing[counter].four;
	for (size_t i = 0; i < (changing[counter].soft ? 5u : 3u); i++)
		if (ends_in(out, ends[i][0])) {
			out->size -= strlen(ends[i][0]);
			sn_buf_text(out, ends[i][1]);
			spoken = changing[counter].stop;
			break;
		}
	sn_buf_text(out, spoken);
}

static void add_counted(sn_buf *out, int64_t value, int counter) {
	const int digit = (int)(value % 10);
	if (counter == PEOPLE && (value == 1 || value == 2)) {
		add_part(out, value == 1 ? "ひとり" : "ふたり");
	} else if (counter != DAY || !add_day(out, value)) {
		if (value - digit)
			add_number(out, value - digit);
		if (digit || !value)
			add_part(out, digit == 4 ? counters[counter].four : digit == 7 ? counters[counter].seven : digit == 9 ? counters[counter].nine : digit_kana[digit]);
		add_part(out, counters[counter].spoken);
	}
}

static int begins(const char *text, size_t size, const char *with) { return size >= strlen(with) && memcmp(text, with, strlen(with)) == 0; }

/* The number with the counter at `text`; bytes of the counter, 0: another one or none. */
static size_t add_with_counter(sn_buf *out, int64_t value, const char *text, size_t size) {
	for (int i = 0; i < COUNTERS; i++)
		if (begins(text, size, counters[i].written) && (i != MONTH || value <= 12)) {
			add_counted(out, value, i);
			return strlen(counters[i].written);
		}
	for (size_t i = 0; i < sizeof changing / sizeof *changing; i++)
		if (begins(text, size, changing[i].written)) {
			add_changing(out, value, i);
			return strlen(changing[i].written);
		}
	return 0;
}

/* "一日" and "十分" are words as well. */
static int is_word(const char *number, size_t size, const char *after, size_t left) {
	const size_t sign = strlen("一");
	return size == sign && left >= sign && ((memcmp(number, "一", sign) == 0 && memcmp(after, "日", sign) == 0) ||
	                                         (memcmp(number, "十", sign) == 0 && memcmp(after, "分", sign) == 0));
}

/* Digits behind a decimal point, "三・一四", "3.14"; bytes that were read, 0: none. */
static size_t add_fraction(sn_buf *out, const char *text, size_t size) {
	static const char *const points[] = { "・", "点", "." };
	size_t start = 0;
	for (size_t i = 0; i < sizeof points / sizeof *points && !start; i++)
		start = begins(text, size, points[i]) ? strlen(points[i]) : 0;
	size_t end = start;
	for (int digit; start && (digit = digit_of(peek(text, size, end))) >= 0 && digit < 10;)
		end += width(text, size, end);
	if (end == start)
		return 0;
	add_part(out, "てん");
	add_digits(out, text + start, end - start);
	return end;
}

size_t sn_kana_number(sn_buf *out, const char *text, size_t size, int follows) {
	size_t end = 0;
	int count = 0, western = 1, units = 0;
	for (int32_t c; digit_of(c = peek(text, size, end)) >= 0; count++) {
		western &= c < 0x3000 || c >= 0xff00;
		units |= digit_of(c) > 9;
		end += width(text, size, end);
	}
	if (!count || (!follows && is_word(text, end, text + end, size - end)))
		return 0;
	const int64_t value = value_of(text, end);
	const size_t counter = value >= 0 ? add_with_counter(out, value, text + end, size - end) : 0;
	if (counter)
		return end + counter;
	sn_buf fraction;
	sn_buf_init(&fraction, 4096);
	const size_t behind = add_fraction(&fraction, text + end, size - end);
	const int one_by_one = count > 1 && !units && (!western || digit_of(peek(text, size, 0)) == 0); /* a telephone number */
	if (count > 1 || western || behind) {
		if (value < 0 || one_by_one)
			add_digits(out, text, end);
		else
			add_number(out, value);
		if (behind)
			add_part(out, fraction.data ? fraction.data : "");
	}
	sn_buf_free(&fraction);
	return count > 1 || western || behind ? end + behind : 0;
}
