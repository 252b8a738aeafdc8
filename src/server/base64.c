#include "server/base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_PREFIX ((size_t)128)

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void sv_base64_write(char *out, const void *data, size_t size) {
	const uint8_t *at = data;
	for (; size >= 3; size -= 3, at += 3) {
		const uint32_t bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
		*out++ = letters[bits >> 18];
		*out++ = letters[bits >> 12 & 63];
		*out++ = letters[bits >> 6 & 63];
		*out++ = letters[bits & 63];
	}
	if (size) {
		const uint32_t bits = (uint32_t)at[0] << 16 | (size == 2 ? (uint32_t)at[1] << 8 : 0);
		*out++ = letters[bits >> 18];
		*out++ = letters[bits >> 12 & 63];
		*out++ = size == 2 ? letters[bits >> 6 & 63] : '=';
		*out++ = '=';
	}
	*out = 0;
}

char *sv_base64_encode(const void *data, size_t size) {
	char *const text = size < SIZE_MAX / 2 ? malloc(SV_BASE64_SIZE(size) + 1) : NULL;
	if (text)
		sv_base64_write(text, data, size);
	return text;
}

/* 0..63; 64: to be passed over; 65: padding; 255: nothing of base64 */
static void fill_values(uint8_t value[256]) {
	memset(value, 255, 256);
	for (int i = 0; i < 64; i++)
		value[(uint8_t)letters[i]] = (uint8_t)i;
	value['-'] = 62; /* as in URLs */
	value['_'] = 63;
	value['\n'] = value['\r'] = value[' '] = value['\t'] = 64;
	value['='] = 65;
}

static int decode(uint8_t *bytes, size_t *count, const char *text, size_t size, const char *name, char *err) {
	uint8_t value[256];
	uint32_t pending = 0;
	int held = 0, padding = 0;
	fill_values(value);
	for (size_t i = 0; i < size; i++) {
		const uint8_t v = value[(uint8_t)text[i]];
		if (v == 64)
			continue;
		if (v == 65 && ++padding <= 2)
			continue;
		if (padding || v > 63)
			return sn_fail(err, SN_E_FORMAT, "%s is no base64: byte %zu is %u", name, i, (uint8_t)text[i]);
		pending = pending << 6 | v;
		if ((held += 6) >= 8)
			bytes[(*count)++] = (uint8_t)(pending >> (held -= 8));
	}
	return held < 6 ? SN_OK : sn_fail(err, SN_E_FORMAT, "%s is no base64: it ends with a single character", name);
}

/* Bytes of "data:audio/wav;base64," at the beginning; 0: there is none. */
static size_t data_prefix(const char *text, size_t size) {
	const char *const comma = size > 5 && strncasecmp(text, "data:", 5) == 0 ? memchr(text, ',', size < MAX_PREFIX ? size : MAX_PREFIX) : NULL;
	return comma && comma - text >= 12 && strncasecmp(comma - 7, ";base64", 7) == 0 ? (size_t)(comma + 1 - text) : 0;
}

int sv_base64_decode(void **out, size_t *count, const char *text, size_t size, const char *name, char *err) {
	const size_t prefix = data_prefix(text, size);
	uint8_t *bytes = malloc(size / 4 * 3 + 3);
	*out = NULL;
	*count = 0;
	if (!bytes)
		return sn_fail(err, SN_E_MEMORY, "no memory for %s", name);
	const int result = decode(bytes, count, text + prefix, size - prefix, name, err);
	if (result == SN_OK)
		*out = bytes;
	else
		free(bytes);
	return result;
}
