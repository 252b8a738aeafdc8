/* Dots that end no sentence, by the tables of abbreviations. */
#include "text/normalise_internal.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

/* These end sentences as well: only a figure behind them says that they do not. */
static const char enders[] =
	"etc. usw. usf. ecc. Inc. Ltd. Corp. Co. Jr. Sr. a.m. p.m. a.C. d.C. v.Chr. n.Chr. Ph.D. M.D. e.V. a.D. o.ä. u.ä. o.Ä. u.Ä. "
	"Ave. Blvd. Rd. Hwy. hrs. yrs. min. sec. in. Std. Min. Sek. hab. ab. Jh. Jhd. MwSt. Str. Ltda. Cia. Cía. S.p.A. S.r.l. max. "
	"Bros. Hbf. Bhf. u. EE.UU. JJ.OO. CC.OO. FF.AA.";

static int32_t char_before(const char *text, size_t at) {
	int32_t i = (int32_t)at, c = 0;
	if (at)
		U8_PREV((const uint8_t *)text, 0, i, c);
	return c;
}

/* Whether `written` ends at `end`, with a space behind any of its inner dots, and begins a word. */
static int ends_with(const char *text, size_t end, const char *written) {
	size_t at = end;
	for (size_t w = strlen(written); w; w--) {
		if (w < strlen(written) && written[w - 1] == '.' && at && text[at - 1] != '.')
			while (at && (text[at - 1] == ' ' || text[at - 1] == '\xa0' || text[at - 1] == '\xc2'))
				at--;
		char c = written[w - 1];
		if (!at || (text[at - 1] != c && !(w == 1 && c >= 'a' && c <= 'z' && text[at - 1] == c - 32)))
			return 0;
		at--;
	}
	return !u_isalnum(char_before(text, at));
}

/* "II." of "im II. Weltkrieg" */
static int roman_before(const char *text, size_t dot) {
	size_t at = dot;
	while (at && strchr("IVX", text[at - 1]))
		at--;
	return at < dot && dot - at < 6 && at && text[at - 1] == ' ' && norm_roman(text + at, dot - at);
}

int sn_abbreviation_dot(const char *language, const char *text, size_t size, size_t dot) {
	const norm_table *table = norm_table_of(language);
	size_t next = dot + 1;
	int same_part = 0, rest = 0;
	if (!table || dot >= size || text[dot] != '.')
		return 0;
	while (next < size && (text[next] == ' ' || text[next] == '\xc2' || text[next] == '\xa0'))
		next++;
	int figure = next < size && text[next] >= '0' && text[next] <= '9';
	for (const norm_abbreviation *a = table->abbreviations; a && a->written; a++) {
		const char *inner = a->written;
		while ((inner = strchr(inner, '.')) && inner[1]) { /* a dot inside: "EE. UU.", "av. J.-C." */
			size_t length = (size_t)(++inner - a->written), left = strlen(inner);
			char part[32];
			if (length >= sizeof part)
				break;
			memcpy(part, a->written, length);
			part[length] = 0;
			rest = next + left <= size && memcmp(text + next, inner, left) == 0;
			same_part |= rest && ends_with(text, dot + 1, part);
		}
		size_t length = strlen(a->written);
		if (a->when == NORM_STREET || a->written[length - 1] != '.' || !ends_with(text, dot + 1, a->written) ||
		    (a->when == NORM_BEFORE_NUMBER && !figure))
			continue;
		if (figure || !norm_listed(enders, a->written, length))
			return 1;
	}
	return same_part || (strcmp(table->language, "de") == 0 && ((figure && dot > 3 && memcmp(text + dot - 3, "str", 3) == 0) ||
	    roman_before(text, dot)));
}
