/* Where the helper programs lie. */
#ifndef SN_BASE_HELPER_PATH_H
#define SN_BASE_HELPER_PATH_H

#include "base/error.h"

/* Finds the executable `name` ("sonant-decode") and writes its path to out (`size` bytes). Looked at, in this order:
 * $SONANT_HELPERS (alone, when it is set), the directory of the running program, and of this library where it is a
 * shared object, with helpers/ and ../libexec/sonant/ and ../helpers/ and ../../helpers/ beside each, the installation's
 * libexec directory. Errors: SN_E_DEPENDENCY naming the places, SN_E_LIMIT when the path is longer than size. */
int sn_helper_path(const char *name, char *out, size_t size, char *err);

#endif
