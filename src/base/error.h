/* Failing with a sentence: see SN_RESULTS in sonant.h for the codes. */
#ifndef SN_BASE_ERROR_H
#define SN_BASE_ERROR_H

#include <sonant/sonant.h>

/* Writes the formatted sentence to err (SN_ERRLEN bytes, may be NULL) and returns code, so that a function can
 * `return sn_fail(err, SN_E_FORMAT, "...")`. The text goes through sn_clean_text(). */
int sn_fail(char *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with strerror(errno) appended; ENOSPC and EDQUOT turn the code into SN_E_NO_SPACE, ENOMEM into SN_E_MEMORY,
 * ENOENT into SN_E_NOT_FOUND; otherwise SN_E_IO. */
int sn_fail_errno(char *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* `result`, or SN_E_MEMORY where memory ran out since the caller set errno to 0: what a parser lost to that looks damaged to it, and
 * jansson leaves out what it has no memory for. Only errno tells, which no function sets to 0. */
int sn_fail_memory(int result, char *err);

/* Control characters, and bytes that are no UTF-8, become '?': hostile file contents cannot forge log lines or terminal sequences, and what
 * "%.60s" cut between the bytes of a character can still be said in JSON. */
void sn_clean_text(char *text);

#endif
