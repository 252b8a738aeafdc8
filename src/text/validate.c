#include "text/validate.h"

#include "text/inline.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

/* Controls, and what only hides in text: byte order marks, the bidirectional formatting characters, what sessions write into text. */
static int is_removed(int32_t c) {
	return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0 && c != 0x85) || c == 0xfeff || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= SN_INLINE_FIRST && c <= SN_INLINE_LAST) || U_IS_UNICODE_NONCHAR(c);
}

static void count(sn_text_facts *facts, int32_t c) {
	uint32_t mask = U_GET_GC_MASK(c);
	if (mask & (U_GC_L_MASK | U_GC_M_MASK))
		facts->letters += (mask & U_GC_L_MASK) != 0;
	else if (mask & U_GC_N_MASK)
		facts->digits++;
	else if (u_hasBinaryProperty(c, UCHAR_EMOJI_PRESENTATION) || u_hasBinaryProperty(c, UCHAR_EXTENDED_PICTOGRAPHIC))
		facts->emoji++;
	else if (!u_isUWhiteSpace(c) && !(mask & U_GC_C_MASK))
		facts->symbols++;
}

static int nothing_to_speak(size_t size, const sn_text_facts *facts, char *err) {
	if (!size)
		return sn_fail(err, SN_E_ARGUMENT, "the text is empty; give at least one word to speak");
	if (facts->emoji || facts->symbols)
		return sn_fail(err, SN_E_ARGUMENT, "the text has no letter or digit to speak, only %zu emoji and %zu other signs", facts->emoji,
		               facts->symbols);
	if (facts->removed)
		return sn_fail(err, SN_E_ARGUMENT, "the text has no letter or digit to speak, only %zu control characters and white space",
		               facts->removed);
	return sn_fail(err, SN_E_ARGUMENT, "the text has %zu bytes of white space only; give at least one word to speak", size);
}

int sn_text_validate(const char *text, size_t size, sn_buf *clean, sn_text_facts *facts, char *err) {
	sn_text_facts ignored;
	const uint8_t *s = (const uint8_t *)text;
	facts = facts ? facts : &ignored;
	*facts = (sn_text_facts){ 0 };
	if (size > SN_TEXT_MAX)
		return sn_fail(err, SN_E_LIMIT, "the text has %zu bytes; at most %zu (1 MiB) are spoken at once", size, SN_TEXT_MAX);
	int32_t start = 0, length = (int32_t)size;
	for (int32_t i = 0; i < length;) {
		int32_t at = i, c;
		U8_NEXT(s, i, length, c);
		if (c < 0)
			return sn_fail(err, SN_E_FORMAT, "the text is not valid UTF-8: byte 0x%02x at offset %d; save it as UTF-8", s[at], at);
		count(facts, c);
		if (!is_removed(c))
			continue;
		sn_buf_add(clean, text + start, (size_t)(at - start));
		start = i;
		if (c == '\r' && !(i < length && s[i] == '\n'))
			sn_buf_text(clean, "\n");
		else
			facts->removed += c != '\r';
	}
	sn_buf_add(clean, text + start, (size_t)(length - start));
	if (!facts->letters && !facts->digits)
		return nothing_to_speak(size, facts, err);
	return clean->failed ? sn_fail(err, clean->failed, "no room for a text of %zu bytes", size) : SN_OK;
}
