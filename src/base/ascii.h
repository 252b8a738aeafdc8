/* Letters and numbers as files and names of options write them: in ASCII, with a decimal point, whatever locale the program that uses the
 * library has set. The C library's own functions follow that locale: "Italian" is not "italian" in Turkish, and "1.5" no number in German. */
#ifndef SN_BASE_ASCII_H
#define SN_BASE_ASCII_H

#include <locale.h>
#include <stddef.h>
#include <stdlib.h>

static inline int sn_isupper(int c) { return c >= 'A' && c <= 'Z'; }
static inline int sn_islower(int c) { return c >= 'a' && c <= 'z'; }
static inline int sn_isalpha(int c) { return sn_isupper(c) || sn_islower(c); }
static inline int sn_isalnum(int c) { return sn_isalpha(c) || (c >= '0' && c <= '9'); }
static inline int sn_isspace(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static inline int sn_tolower(int c) { return sn_isupper(c) ? c + ('a' - 'A') : c; }
static inline int sn_toupper(int c) { return sn_islower(c) ? c - ('a' - 'A') : c; }

/* 0: the same but for case, in the first `size` bytes at most. */
static inline int sn_strncasecmp(const char *a, const char *b, size_t size) {
	for (; size; a++, b++, size--) {
		const int x = sn_tolower((unsigned char)*a), y = sn_tolower((unsigned char)*b);
		if (x != y || !x)
			return x - y;
	}
	return 0;
}

static inline int sn_strcasecmp(const char *a, const char *b) { return sn_strncasecmp(a, b, (size_t)-1); }

/* As strtod. */
static inline double sn_number(const char *text, char **end) {
	const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a constant of the C library: nothing is allocated */
	const double value = plain ? strtod_l(text, end, plain) : strtod(text, end);
	if (plain)
		freelocale(plain);
	return value;
}

#endif
