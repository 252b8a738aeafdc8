/* Addresses of the net, hashtags and names with an at sign. */
#include "text/normalise_internal.h"

#include "base/ascii.h"

#include <string.h>
#include <unicode/uchar.h>

/* Endings that make a word with a dot an address; those of countries that are words of a language are left out. */
static const char endings[] =
	"com org net info edu gov mil int biz app dev online io ai tv eu de fr es it pt uk at ch nl be pl ru jp cn br ca au se dk fi "
	"cz gr hu ro ua tr kr mx ar cl nz za ie lu html htm php pdf txt jpg png";

static const char *sign_word(const norm_reader *r, char c) {
	for (const norm_pair *sign = r->l->signs; sign && sign->written; sign++)
		if (sign->written[0] == c && !sign->written[1])
			return sign->spoken;
	return NULL;
}

#define MAX_ADDRESS 2048 /* bytes; what is longer is read in parts */

/* The end of what has no spaces, without the punctuation behind it. */
static size_t token_end(const norm_reader *r, size_t at) {
	size_t end = at, most = r->size - at < MAX_ADDRESS ? r->size : at + MAX_ADDRESS;
	while (end < most && !strchr(" \t\r\n\"<>", r->text[end]) && !norm_starts(r, end, "\xc2\xa0"))
		end++;
	while (end > at && strchr(".,;:!?)'*_]}", r->text[end - 1]))
		end--;
	return end;
}

static int host_char(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
    c == '.'; }

/* The end of a host name: where that is not sure one with a dot and a known ending; 0: none. */
static size_t host_end(const norm_reader *r, size_t at, size_t end, int sure) {
	size_t i = at, label = at, dots = 0;
	while (i < end && host_char(r->text[i])) {
		if (r->text[i] == '.') {
			if (i == label) /* ".." */
				return 0;
			dots++;
			label = i + 1;
		}
		i++;
	}
	if ((!dots && !sure) || i - label < 2 || (i < end && !strchr("/?#:", r->text[i])))
		return 0;
	return sure || norm_listed(endings, r->text + label, i - label) ? i : 0;
}

static void say_name(norm_reader *r, size_t at, size_t end, int last) {
	size_t size = end - at, vowels = 0;
	for (size_t i = at; i < end; i++)
		vowels += strchr("aeiouyAEIOUY", r->text[i]) != NULL || (unsigned char)r->text[i] > 0x7f;
	int word = last ? norm_listed(r->l->tlds, r->text + at, size) : vowels && size > 2;
	if (word || size > 5 || (vowels && size > 3)) {
		norm_say_part(r, r->text + at, size);
		return;
	}
	const char *between = norm_speaks(r, "en") ? "." : " "; /* as norm_say_letters */
	for (size_t i = at; i < end; i = norm_next(r, i)) {
		char letter[8] = "";
		memcpy(letter, r->text + i, norm_next(r, i) - i);
		if (!letter[1] && letter[0] >= 'a' && letter[0] <= 'z')
			letter[0] -= 32;
		if (i == at)
			norm_say(r, letter);
		else {
			norm_glue(r, between);
			norm_glue(r, letter);
		}
	}
}

static void say_figures(norm_reader *r, size_t at, size_t end) {
	norm_number n;
	if (end - at <= 4 && norm_scan(r, at, &n) && n.end == end)
		norm_say_number(r, &n);
	else
		norm_spell_digits(r, r->text + at, end - at);
}

static void say_mark(norm_reader *r, char c) {
	const char *word = c == '.' ? r->l->dot : c == '@' ? r->l->at : c == '/' ? r->l->slash : c == '-' ? r->l->dash : c == '_'
	    ? r->l->underscore
	                 : sign_word(r, c);
	if (word)
		norm_say(r, word);
	else
		norm_unspoken(r, (unsigned char)c);
}

/* Names, figures and marks one after the other; a slash at the end goes without saying. */
static void say_address(norm_reader *r, size_t at, size_t end, size_t host) {
	while (at < end) {
		size_t stop = norm_letters(r, at);
		if (stop > at) {
			stop = stop > end ? end : stop;
			say_name(r, at, stop, stop == host && r->text[at - (at > 0)] == '.');
		} else if (norm_is_digit(r, at)) {
			for (stop = at; stop < end && norm_is_digit(r, stop); stop++)
				;
			say_figures(r, at, stop);
		} else {
			stop = norm_next(r, at);
			if (!(stop == end && r->text[at] == '/')) {
				if ((unsigned char)r->text[at] < 0x80)
					say_mark(r, r->text[at]);
				else
					norm_unspoken(r, norm_char(r, at));
			}
		}
		at = stop;
	}
}

static size_t mail_at(const norm_reader *r, size_t at, size_t end) {
	for (size_t i = at; i < end; i++) {
		if (r->text[i] == '@')
			return i > at && memchr(r->text + i, '.', end - i) && host_end(r, i + 1, end, 1) == end ? i : 0;
		if (!host_char(r->text[i]) && !strchr("_%+", r->text[i]))
			return 0;
	}
	return 0;
}

size_t norm_read_address(norm_reader *r, size_t at) {
	static const char *const schemes[] = { "https://", "http://", "ftp://", "mailto:" };
	size_t end = token_end(r, at), begin = at, host;
	if (!r->l->dot || end - at < 4)
		return 0;
	for (size_t i = 0; i < 4; i++)
		if (sn_strncasecmp(r->text + at, schemes[i], strlen(schemes[i])) == 0)
			begin = at + strlen(schemes[i]);
	if (begin == at && !memchr(r->text + at, '.', end - at))
		return 0;
	size_t mail = mail_at(r, begin, end);
	if (mail) {
		say_address(r, begin, end, end);
		return end;
	}
	int sure = begin > at || norm_starts(r, at, "www.");
	host = host_end(r, begin, end, sure);
	if (!host)
		return 0;
	say_address(r, begin, end, host);
	return end;
}

/* "#MeToo_now" as its words. */
static size_t say_tag(norm_reader *r, size_t at) {
	while (at < r->size) {
		size_t stop = at;
		if (norm_is_digit(r, at)) {
			while (norm_is_digit(r, stop))
				stop++;
			say_figures(r, at, stop);
		} else if (norm_is_letter(r, at)) {
			int lower = 0;
			while (norm_is_letter(r, stop) && !(lower && norm_is_upper(r, stop))) {
				lower |= !norm_is_upper(r, stop);
				stop = norm_next(r, stop);
			}
			norm_say_part(r, r->text + at, stop - at);
		} else if (norm_starts(r, at, "_") && (norm_is_letter(r, at + 1) || norm_is_digit(r, at + 1))) {
			stop = at + 1;
		} else {
			break;
		}
		at = stop;
	}
	return at;
}

size_t norm_read_tag(norm_reader *r, size_t at) {
	int32_t before = norm_char_before(r, at);
	int hash = norm_starts(r, at, "#"), name = norm_starts(r, at, "@");
	if ((!hash && !name) || u_isalnum(before) || !r->l->at || !r->n->spell)
		return 0;
	if (hash && norm_is_digit(r, at + 1)) {
		norm_say(r, r->l->number);
		norm_glue(r, " ");
		return r->l->number ? at + 1 : 0;
	}
	if (!norm_is_letter(r, at + 1))
		return 0;
	norm_say(r, hash ? r->l->hash : r->l->at);
	return say_tag(r, at + 1);
}
