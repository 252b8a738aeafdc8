/* Everything that is neither letter nor digit. */
#include "text/normalise_internal.h"

#include <string.h>
#include <unicode/uchar.h>

static int letter_before(const norm_reader *r, size_t at) { return u_isalpha(norm_char_before(r, at)); }

static int digit_before(const norm_reader *r, size_t at) { return at && norm_is_digit(r, at - 1); }

static size_t dash_length(const norm_reader *r, size_t at) {
	return norm_starts(r, at, "-") ? 1 : norm_starts(r, at, "–") || norm_starts(r, at, "−") ? 3 : 0;
}

/* Spanish "entre 5-7" joins by another word. */
static int after_between(const norm_reader *r, size_t at) {
	char word[16];
	if (!norm_speaks(r, "es"))
		return 0;
	while (at && (norm_is_digit(r, at - 1) || r->text[at - 1] == ',' || r->text[at - 1] == '.'))
		at--;
	norm_word_before(r, at, word, sizeof word);
	return norm_is_word("entre Entre", word);
}

/* "5-7", "10:00 - 12:00", "5 €-7 €": a dash between two numbers. */
static size_t read_range(norm_reader *r, size_t at, size_t length) {
	size_t before = at, behind = norm_spaces(r, at + length);
	while (before && r->text[before - 1] == ' ')
		before--;
	int figures = norm_is_digit(r, behind) || norm_starts(r, behind, "$") || norm_starts(r, behind, "€") || norm_starts(r, behind, "£");
	int spaced = before < at;
	if (!r->number_end || r->number_end != before || !figures || (spaced != (behind > at + length)))
		return 0;
	int minus = norm_starts(r, at, "−") || (spaced && r->sums);
	if (minus ? !norm_say_minus(r) : !r->l->to)
		return 0;
	norm_say(r, minus ? NULL : after_between(r, at) ? "y" : r->l->to);
	norm_glue(r, " ");
	return behind;
}

static size_t read_dash(norm_reader *r, size_t at) {
	size_t length = dash_length(r, at), end;
	if (!length)
		return 0;
	if ((end = norm_read_minus(r, at)) || (end = read_range(r, at, length)))
		return end;
	size_t behind = at + length;
	size_t next = norm_next(r, behind);
	int to_figure = letter_before(r, at) && norm_is_digit(r, behind);
	int to_letter = digit_before(r, at) && norm_is_upper(r, behind) && (norm_is_digit(r, next) || !norm_is_letter(r, next));
	if (!r->n->spell || length != 1 || (!to_figure && !to_letter))
		return 0; /* "5-year-old" and "T-Shirt" keep theirs */
	norm_glue(r, " "); /* "COVID-19", "R2-D2" */
	return behind;
}

static const char *sign_name(const norm_reader *r, const char *written) {
	for (const norm_pair *sign = r->l->signs; sign && sign->written; sign++)
		if (strcmp(sign->written, written) == 0)
			return sign->spoken;
	return NULL;
}

/* x², 10⁵, 10⁻³; behind a word it is the mark of a footnote. */
static size_t read_power(norm_reader *r, size_t at) {
	int minus = norm_starts(r, at, "⁻"), digit;
	size_t end = minus ? norm_next(r, at) : at;
	int value = norm_superscript(norm_char(r, end));
	if (value < 0)
		return 0;
	end = norm_next(r, end);
	int footnote = !minus && at > 1 && letter_before(r, at) && u_isalpha(norm_char_before(r, at - 1));
	for (; (digit = norm_superscript(norm_char(r, end))) >= 0; end = norm_next(r, end))
		value = value < 1000 ? 10 * value + digit : value;
	int named = !minus && (value == 2 || value == 3);
	const char *word = sign_name(r, !named ? "^" : value == 2 ? "²" : "³");
	if (footnote || !word || !*word) {
		norm_unspoken(r, norm_char(r, at));
		return end;
	}
	norm_say(r, word);
	if (minus)
		norm_say_minus(r);
	if (!named)
		norm_spell_int(r, value, NORM_NUMBER);
	return r->number_end = end;
}

#define MAX_PATH_BEFORE 256 /* bytes that are looked at for the beginning of a path */

/* In "/usr/local" and "~/music". */
static int in_path(const norm_reader *r, size_t at) {
	size_t begin = at;
	while (begin && at - begin < MAX_PATH_BEFORE && !strchr(" \t\n\"'(", r->text[begin - 1]))
		begin--;
	return norm_starts(r, begin, "/") || norm_starts(r, begin, "~/");
}

/* "€5/kg" is per kilogram, "he/she" he or she, "AC/DC" letters, "and/or" its words, "A / B" a pause, "/usr/bin" a path. */
static size_t read_slash(norm_reader *r, size_t at) {
	char before[32];
	size_t next = at + 1, end = norm_letters(r, next);
	if (!norm_starts(r, at, "/") || !r->l->slash)
		return 0;
	if (r->number_end && r->number_end == at && end > next) {
		norm_say(r, r->l->per);
		size_t unit = norm_read_unit(r, next);
		norm_glue(r, unit ? "" : " ");
		return unit ? unit : next;
	}
	if (norm_char_before(r, at) == ' ' && norm_starts(r, next, " ")) {
		norm_glue(r, ",");
		return next;
	}
	norm_word_before(r, at, before, sizeof before);
	int joined = *before && !in_path(r, at) && letter_before(r, at) && end > next;
	int both = joined && norm_is_word("and und et y e", before) && norm_listed("or oder ou o", r->text + next, end - next);
	int capitals = joined && norm_is_upper(r, next) && norm_is_upper(r, norm_next(r, next));
	int words = joined && strlen(before) > 1 && end - next > 1;
	if (!both && !capitals)
		norm_say(r, words ? r->l->or : r->l->slash);
	norm_glue(r, " ");
	return next;
}

/* An emoji with its skin, its companions and its variation; a flag of two letters. */
static size_t pictograph_end(const norm_reader *r, size_t at) {
	size_t end = norm_next(r, at);
	int flag = norm_char(r, at) >= 0x1f1e6 && norm_char(r, at) <= 0x1f1ff;
	for (;;) {
		int32_t c = norm_char(r, end);
		if (c == 0x200d && u_hasBinaryProperty(norm_char(r, norm_next(r, end)), UCHAR_EXTENDED_PICTOGRAPHIC))
			end = norm_next(r, end);
		else if (!((c >= 0x1f3fb && c <= 0x1f3ff) || c == 0xfe0f || c == 0x200d || (c >= 0xe0020 && c <= 0xe007f) ||
		           (flag && c >= 0x1f1e6 && c <= 0x1f1ff)))
			return end;
		end = norm_next(r, end);
		flag = 0;
	}
}

static size_t read_table(norm_reader *r, size_t at) {
	const norm_pair *best = NULL;
	for (const norm_pair *sign = r->l->signs; sign && sign->written; sign++)
		if (norm_starts(r, at, sign->written) && (!best || strlen(sign->written) > strlen(best->written)))
			best = sign;
	if (!best || !*best->spoken)
		return 0;
	size_t end = at + strlen(best->written);
	char c = best->written[0];
	int between = digit_before(r, at) && norm_is_digit(r, end);
	if ((c == ':' || c == '?' || c == '_' || c == ',') && !best->written[1]) /* spoken in addresses only */
		return 0;
	if (c == '*' && r->l->born && norm_char_before(r, at) == '(' && norm_is_digit(r, norm_spaces(r, end))) {
		norm_say(r, r->l->born);
		return end;
	}
	if (c == '*' && !between && !(r->sums && norm_spaces(r, end) > end)) /* emphasis */
		return 0;
	if (c == '~' && !norm_is_digit(r, norm_spaces(r, end)) && !(U_GET_GC_MASK(norm_char(r, norm_spaces(r, end))) & U_GC_SC_MASK))
		return 0;
	if (c == '^' && !norm_is_digit(r, end) && !(dash_length(r, end) && norm_is_digit(r, end + dash_length(r, end))))
		return 0;
	norm_say(r, best->spoken);
	if (r->n->spaces && end < r->size && r->text[end] != ' ' && (norm_is_digit(r, end) || norm_is_letter(r, end)))
		norm_glue(r, " ");
	return end;
}

static int is_unspoken(int32_t c) {
	static const char marks[] = "*_|\\~^<>#=";
	const uint32_t none = U_GC_S_MASK | U_GC_CN_MASK | U_GC_CO_MASK | U_GC_CC_MASK;
	if (c < 0x80)
		return strchr(marks, (int)c) != NULL;
	return (U_GET_GC_MASK(c) & none) != 0 || c == 0xb7 || c == 0x2020 || c == 0x2021 || c == 0x203b; /* middle dot, daggers, reference mark */
}

/* What no voice can say: counted and left out. Brackets of any kind become round ones, which voices know. */
static size_t read_other(norm_reader *r, size_t at) {
	int32_t c = norm_char(r, at);
	int inside = letter_before(r, at) && norm_is_letter(r, norm_next(r, at));
	if (c == '[' || c == '{' || c == ']' || c == '}') {
		norm_glue(r, c == '[' || c == '{' ? "(" : ")");
		return norm_next(r, at);
	}
	if (!is_unspoken(c) || (c == 0xb7 && inside) || (c == 0x266a && r->n->emphasis)) /* Catalan l·l, ♪ */
		return 0;
	norm_glue(r, inside && (c == '_' || c == '|' || c == '\\') ? " " : "");
	norm_unspoken(r, c);
	return pictograph_end(r, at);
}

/* ".5" */
static size_t read_leading_point(norm_reader *r, size_t at) {
	norm_number n;
	size_t end = norm_scan_point(r, at, &n) ? norm_read_measure(r, &n) : 0;
	if (end)
		return end;
	norm_say(r, r->l->point);
	norm_spell_digits(r, r->text + n.decimals_at, (size_t)n.decimals);
	return r->number_end = n.end;
}

size_t norm_read_sign(norm_reader *r, size_t at) {
	int32_t c = norm_char(r, at);
	int above, below;
	size_t end;
	if (c <= ' ' || c == 0xa0)
		return 0;
	if ((end = norm_read_money(r, at)) || (end = read_dash(r, at)) || (end = norm_read_tag(r, at)))
		return end;
	if (r->n->spell && r->l->fraction && norm_vulgar(c, &above, &below) && r->l->fraction(r, above, below))
		return r->number_end = norm_next(r, at);
	if (c == '\'' && norm_is_digit(r, at + 1) && norm_is_digit(r, at + 2) && !norm_is_digit(r, at + 3) && !letter_before(r, at) &&
	    !digit_before(r, at) && r->n->spell)
		return at + 1; /* '90s */
	if (c == '.' && norm_is_digit(r, at + 1) && !digit_before(r, at) && !letter_before(r, at) && r->l->point && r->n->decimal == '.')
		return read_leading_point(r, at);
	if (c == ',' && digit_before(r, at) && norm_is_digit(r, at + 1) && r->n->spell) {
		norm_glue(r, ", "); /* 1,5,7 */
		return at + 1;
	}
	if (c == '(' && norm_is_digit(r, at + 1) && (end = norm_read_phone(r, at + 1)) && memchr(r->text + at, ')', end - at))
		return end; /* (555) 123-4567 */
	if (c == '%' && norm_speaks(r, "tr") && norm_is_digit(r, at + 1) && r->n->spell) { /* yüzde elli */
		norm_say(r, "yüzde");
		norm_glue(r, " ");
		return at + 1;
	}
	if ((end = read_power(r, at)) || (end = read_slash(r, at)) || (end = read_table(r, at)))
		return end;
	return read_other(r, at);
}
