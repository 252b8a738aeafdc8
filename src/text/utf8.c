#include "text/utf8.h"

#include <stdlib.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

int sn_utf8_check(const char *text, size_t size, size_t most, char *err) {
	if (size > most || size > INT32_MAX / 4)
		return sn_fail(err, SN_E_LIMIT, "the text has %zu bytes; at most %zu are taken", size, most);
	for (int32_t i = 0, length = (int32_t)size; i < length;) {
		int32_t at = i, c;
		U8_NEXT((const uint8_t *)text, i, length, c);
		if (c < 0)
			return sn_fail(err, SN_E_FORMAT, "the text is not valid UTF-8 at byte %d", at);
	}
	return SN_OK;
}

void sn_utf8_add(sn_buf *out, int32_t c) {
	uint8_t bytes[4];
	int32_t length = 0;
	U8_APPEND_UNSAFE(bytes, length, c);
	sn_buf_add(out, bytes, (size_t)length);
}

typedef int32_t mapping(UChar *, int32_t, const UChar *, int32_t, const char *, UErrorCode *);

static void add_mapped(sn_buf *out, int32_t c, mapping *map) {
	UChar from[2], to[8];
	int32_t length = 0;
	UErrorCode status = U_ZERO_ERROR;
	U16_APPEND_UNSAFE(from, length, c);
	int32_t count = map(to, 8, from, length, "", &status);
	for (int32_t i = 0; i < count && U_SUCCESS(status);) {
		int32_t mapped;
		U16_NEXT(to, i, count, mapped);
		sn_utf8_add(out, mapped);
	}
}

void sn_utf8_add_lower(sn_buf *out, int32_t c) { add_mapped(out, c, u_strToLower); }

void sn_utf8_add_upper(sn_buf *out, int32_t c) { add_mapped(out, c, u_strToUpper); }

static const UNormalizer2 *normalizer(sn_normal_form form, UErrorCode *status) {
	if (form == SN_NFC)
		return unorm2_getNFCInstance(status);
	return form == SN_NFD ? unorm2_getNFDInstance(status) : unorm2_getNFKCInstance(status);
}

/* No form makes a text longer than 18 times (NFKC of U+FDFA). */
static int32_t convert(UChar *wide, int32_t units, UChar *changed, int32_t room, const char *text, size_t size, sn_normal_form form,
                       UErrorCode *status) {
	int32_t length = 0;
	u_strFromUTF8(wide, units, &length, text, (int32_t)size, status);
	return unorm2_normalize(normalizer(form, status), wide, length, changed, room, status);
}

int sn_utf8_normal(sn_buf *out, const char *text, size_t size, sn_normal_form form, char *err) {
	size_t units = size + 1, room = 18 * units;
	if (size > INT32_MAX / 32)
		return sn_fail(err, SN_E_LIMIT, "the text has %zu bytes; at most %d are taken", size, INT32_MAX / 32);
	UChar *wide = malloc((units + room) * sizeof *wide), *changed = wide ? wide + units : NULL;
	if (!wide)
		return sn_fail(err, SN_E_MEMORY, "out of memory for a text of %zu bytes", size);
	UErrorCode status = U_ZERO_ERROR;
	int32_t length = convert(wide, (int32_t)units, changed, (int32_t)room, text, size, form, &status);
	for (int32_t i = 0; i < length && U_SUCCESS(status);) {
		int32_t c;
		U16_NEXT(changed, i, length, c);
		sn_utf8_add(out, c);
	}
	free(wide);
	if (U_FAILURE(status))
		return sn_fail(err, SN_E_DEPENDENCY, "ICU cannot normalize the text: %s", u_errorName(status));
	return out->failed ? sn_fail(err, out->failed, "the text takes more than %zu bytes", out->max) : SN_OK;
}
