/* Sonant: a speech engine. This header is the whole public C API, and its specification. */
#ifndef SONANT_SONANT_H
#define SONANT_SONANT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SN_API __attribute__((visibility("default")))
#else
#define SN_API
#endif

/* Bytes of a message buffer. Every `char *err` parameter points to SN_ERRLEN bytes or is NULL; on failure it
 * holds one sentence that says what was wrong, with which value, and what would be right. */
#define SN_ERRLEN 512

/* The one list of results: X(code, value, text, HTTP status, exit status of the program, Python exception). */
#define SN_RESULTS(X) \
	X(SN_OK, 0, "success", 200, 0, None) \
	X(SN_AGAIN, 1, "nothing ready yet", 202, 0, None) \
	X(SN_END, 2, "the stream has ended", 200, 0, None) \
	X(SN_E_ARGUMENT, -1, "invalid argument", 400, 2, ValueError) \
	X(SN_E_NOT_FOUND, -2, "not found", 404, 3, FileNotFoundError) \
	X(SN_E_FORMAT, -3, "malformed or unreadable input", 422, 4, FormatError) \
	X(SN_E_MODEL, -4, "unusable model files", 500, 5, ModelError) \
	X(SN_E_UNSUPPORTED, -5, "the model cannot do this", 422, 6, UnsupportedError) \
	X(SN_E_MEMORY, -6, "out of memory", 503, 7, MemoryError) \
	X(SN_E_IO, -7, "input or output failed", 500, 8, OSError) \
	X(SN_E_NO_SPACE, -8, "no space left", 507, 9, OSError) \
	X(SN_E_LIMIT, -9, "a limit was exceeded", 413, 10, LimitError) \
	X(SN_E_BUSY, -10, "too busy", 429, 11, BusyError) \
	X(SN_E_CANCELLED, -11, "cancelled", 499, 12, CancelledError) \
	X(SN_E_TIMEOUT, -12, "timed out", 504, 13, TimeoutError) \
	X(SN_E_DEPENDENCY, -13, "a needed program or library is missing", 501, 14, DependencyError) \
	X(SN_E_CLOSED, -14, "already closed or finished", 409, 15, ClosedError) \
	X(SN_E_INTERNAL, -15, "internal error", 500, 70, InternalError)

#define SN_X(code, value, text, http, exit, python) code = value,
typedef enum sn_result { SN_RESULTS(SN_X) } sn_result;
#undef SN_X

/* The list's entries for a code; an unknown code reads as SN_E_INTERNAL. Strings are static. */
SN_API const char *sn_result_name(int code);
SN_API const char *sn_result_text(int code);
SN_API int sn_result_http(int code);
SN_API int sn_result_exit(int code);

#ifdef __cplusplus
}
#endif
#endif
