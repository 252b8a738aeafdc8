/* Base64 (RFC 4648): bytes as text, for JSON. */
#ifndef SN_SERVER_BASE64_H
#define SN_SERVER_BASE64_H

#include "base/error.h"

#include <stddef.h>

#define SV_BASE64_SIZE(bytes) (((bytes) + 2) / 3 * 4) /* characters, without the NUL */

/* Standard alphabet, padded, in one line; out has room for SV_BASE64_SIZE(size) + 1 characters. */
void sv_base64_write(char *out, const void *data, size_t size);
/* The same as a text of its own; free() it. NULL: no memory. */
char *sv_base64_encode(const void *data, size_t size);

/* Either alphabet, with or without padding, line ends and spaces, and behind "data:TYPE;base64," as browsers write it. *out is free()d by the caller, NULL on failure; nothing gives zero bytes.
 * SN_E_FORMAT: says what stands where; SN_E_MEMORY. name: of the field, for the message. */
int sv_base64_decode(void **out, size_t *count, const char *text, size_t size, const char *name, char *err);

#endif
