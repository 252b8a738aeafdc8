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

static void clean(char *text) {
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

int sn_fail(char *err, int code, const char *format, ...) {
	if (err) {
		va_list args;
		va_start(args, format);
		vsnprintf(err, SN_ERRLEN, format, args);
		va_end(args);
		clean(err);
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
		clean(err);
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
