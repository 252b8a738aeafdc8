/* Numbers as the tokenizer of SpeechT5 reads them (transformers' EnglishNumberNormalizer). Two of its oddities are not kept:
 * it drops a zero, and it takes only the first comma out of 1,000,000. */
#include "text/numbers.h"

#include "text/utf8.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#define MAX_TEXT ((size_t)4 << 20)
#define MAX_DIGITS 36 /* decillions */

static const char *const small[] = { "",        "one",     "two",       "three",    "four",     "five",    "six",
	                                 "seven",   "eight",   "nine",      "ten",      "eleven",   "twelve",  "thirteen",
	                                 "fourteen", "fifteen", "sixteen",   "seventeen", "eighteen", "nineteen" };
static const char *const tens[] = { "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety" };
static const char *const thousands[] = { "",            "thousand",   "million",    "billion",   "trillion",  "quadrillion",
	                                     "quintillion", "sextillion", "septillion", "octillion", "nonillion", "decillion" };

static const struct {
	const char *sign, *name;
} currencies[] = { { "$", " dollars" },       { "€", " euros" },          { "£", " pounds" },          { "¢", " cents" },
	               { "¥", " japanese yen" },  { "﷼", " saudi riyal" },    { "₹", " indian rupees" },   { "₽", " russian rubles" },
	               { "฿", " thai baht" },     { "₺", " turkish liras" },  { "₴", " ukrainian hryvnia" }, { "₣", " swiss francs" },
	               { "₡", " costa rican colon" }, { "₱", " philippine peso" }, { "₪", " israeli shekels" }, { "₮", " mongolian tögrög" },
	               { "₩", " south korean won" }, { "₦", " nigerian naira" }, { "₫", " vietnamese Đồng" } };

static void add_word(sn_buf *out, size_t start, const char *word) {
	if (*word && out->size > start)
		sn_buf_text(out, " ");
	sn_buf_text(out, word);
}

/* 0 to 999, "and" behind the hundreds. */
static void add_chunk(sn_buf *out, size_t start, int n) {
	if (n >= 100) {
		add_word(out, start, small[n / 100]);
		sn_buf_text(out, n % 100 ? " hundred and" : " hundred");
	}
	n %= 100;
	add_word(out, start, n < 20 ? small[n] : tens[n / 10]);
	if (n >= 20)
		add_word(out, start, small[n % 10]);
}

/* Digits with commas among them. */
static void add_integer(sn_buf *out, const char *text, size_t size, int digits) {
	size_t start = out->size;
	int chunk = 0, left = digits;
	for (size_t i = 0; i < size; i++) {
		if (text[i] == ',')
			continue;
		chunk = 10 * chunk + text[i] - '0';
		if (--left % 3)
			continue;
		add_chunk(out, start, chunk);
		if (chunk)
			add_word(out, start, thousands[left / 3]);
		chunk = 0;
	}
	if (out->size == start)
		sn_buf_text(out, "zero");
}

static int is_word(int32_t c) { return c == '_' || u_isalnum(c); }

static int word_at(const char *text, size_t at, size_t size) {
	int32_t i = (int32_t)at, c = 0;
	if (at < size)
		U8_NEXT((const uint8_t *)text, i, (int32_t)size, c);
	return is_word(c);
}

static int is_digit(const char *text, size_t at, size_t size) { return at < size && text[at] >= '0' && text[at] <= '9'; }

/* A number at text + at: sign, currency, digits with commas, one or two decimals, percent. Returns its bytes, 0: none. */
static size_t add_number(sn_buf *out, const char *text, size_t at, size_t size) {
	size_t i = at, first;
	const char *currency = "";
	int minus = text[i] == '-', digits = 0;
	i += (size_t)minus;
	for (size_t k = 0; k < sizeof currencies / sizeof currencies[0] && !*currency; k++) {
		size_t length = strlen(currencies[k].sign);
		if (size - i >= length && memcmp(text + i, currencies[k].sign, length) == 0) {
			currency = currencies[k].name;
			i += length;
		}
	}
	for (first = i; is_digit(text, i, size) || (digits && i < size && text[i] == ',' && is_digit(text, i + 1, size)); i++)
		digits += text[i] != ',';
	if (!digits || digits > MAX_DIGITS)
		return 0;
	size_t whole = i, decimals = 0;
	while (i < size && text[i] == '.' && decimals < 2 && is_digit(text, i + 1 + decimals, size))
		decimals++;
	for (;; decimals--) { /* as many decimals as leave no letter or digit behind the number */
		i = whole + (decimals ? decimals + 1 : 0);
		int percent = i < size && text[i] == '%';
		if (percent && !word_at(text, i + 1, size))
			i++;
		else if (word_at(text, i, size))
			percent = -1;
		if (percent >= 0)
			break;
		if (!decimals)
			return 0;
	}
	sn_buf_text(out, minus ? "minus " : "");
	add_integer(out, text + first, whole - first, digits);
	if (decimals && !(decimals == 2 && memcmp(text + whole + 1, "00", 2) == 0)) {
		sn_buf_text(out, " point");
		for (size_t k = 0; k < decimals; k++)
			sn_buf_printf(out, " %s", text[whole + 1 + k] == '0' ? "zero" : small[text[whole + 1 + k] - '0']);
	}
	sn_buf_text(out, text[i - 1] == '%' ? " percent" : "");
	sn_buf_text(out, currency);
	return i - at;
}

int sn_text_numbers_speecht5(sn_buf *out, const char *text, size_t size, char *err) {
	int after_word = 0, result = sn_utf8_check(text, size, MAX_TEXT, err);
	for (size_t i = 0; result == SN_OK && i < size;) {
		size_t length = after_word ? 0 : add_number(out, text, i, size);
		if (length) {
			i += length;
			after_word = text[i - 1] != '%';
			continue;
		}
		int32_t next = (int32_t)i, c;
		U8_NEXT((const uint8_t *)text, next, (int32_t)size, c);
		if (c != ' ' || !out->size || out->data[out->size - 1] != ' ')
			sn_buf_add(out, text + i, (size_t)next - i);
		after_word = is_word(c);
		i = (size_t)next;
	}
	if (result == SN_OK && out->failed)
		result = sn_fail(err, out->failed, "the text with its numbers as words takes more than %zu bytes", out->max);
	return result;
}
