#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SN_X(code, value, text, http, exit, python) { code, http, exit, #code, text },
static const struct {
	int code, http, exit;
	const char *name, *text;
} results[] = { SN_RESULTS(SN_X) };
#undef SN_X

static size_t find(int code) {
	size_t last = sizeof results / sizeof results[0] - 1; /* SN_E_INTERNAL */
	for (size_t i = 0; i < last; i++)
		if (results[i].code == code)
			return i;
	return last;
}

const char *sn_result_name(int code) { return results[find(code)].name; }
const char *sn_result_text(int code) { return results[find(code)].text; }
int sn_result_http(int code) { return results[find(code)].http; }
int sn_result_exit(int code) { return results[find(code)].exit; }

/* Bytes of the character that begins there; 0 where there is none, or one that controls a terminal. */
static size_t character(const unsigned char *t) {
	const size_t size = t[0] < 0x80 ? 1 : t[0] < 0xc2 ? 0 : t[0] < 0xe0 ? 2 : t[0] < 0xf0 ? 3 : t[0] < 0xf5 ? 4 : 0;
	for (size_t i = 1; i < size; i++)
		if ((t[i] & 0xc0) != 0x80)
			return 0;
	const int too_long = (t[0] == 0xe0 && t[1] < 0xa0) || (t[0] == 0xf0 && t[1] < 0x90);
	const int no_scalar = (t[0] == 0xed && t[1] > 0x9f) || (t[0] == 0xf4 && t[1] > 0x8f);
	const int control = t[0] < 0x20 || t[0] == 0x7f || (t[0] == 0xc2 && t[1] < 0xa0);
	return too_long || no_scalar || control ? 0 : size;
}

void sn_clean_text(char *text) {
	while (*text) {
		const size_t size = character((const unsigned char *)text);
		if (!size)
			*text = '?';
		text += size ? size : 1;
	}
}

int sn_fail(char *err, int code, const char *format, ...) {
	if (err) {
		va_list args;
		va_start(args, format);
		vsnprintf(err, SN_ERRLEN, format, args);
		va_end(args);
		sn_clean_text(err);
	}
	return code;
}

int sn_fail_errno(char *err, const char *format, ...) {
	int number = errno;
	if (err) {
		va_list args;
		va_start(args, format);
		vsnprintf(err, SN_ERRLEN, format, args);
		va_end(args);
		size_t used = strlen(err);
		char reason[128];
		const char *text = strerror_r(number, reason, sizeof reason);
		snprintf(err + used, SN_ERRLEN - used, ": %s", text);
		sn_clean_text(err);
	}
	if (number == ENOSPC || number == EDQUOT)
		return SN_E_NO_SPACE;
	if (number == ENOMEM)
		return SN_E_MEMORY;
	return number == ENOENT ? SN_E_NOT_FOUND : SN_E_IO;
}

int sn_fail_memory(int result, char *err) {
	if (errno != ENOMEM || result == SN_E_MEMORY)
		return result;
	return sn_fail(err, SN_E_MEMORY, "out of memory");
}
