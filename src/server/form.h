/* Bodies of multipart/form-data (RFC 7578), piece by piece as they come. Names may be quoted or plain tokens; a file may be named by
 * filename, by filename* (RFC 8187), or by both. Independent of HTTP. */
#ifndef SN_SERVER_FORM_H
#define SN_SERVER_FORM_H

#include "base/error.h"

#include <stddef.h>

#define SV_FORM_BOUNDARY 200          /* bytes of a boundary; RFC 2046 allows 70 */
#define SV_FORM_HEADERS ((size_t)8192) /* bytes of a part's headers */
#define SV_FORM_NAME 1024             /* bytes of a field's or a file's name */

typedef struct sv_form sv_form;

typedef struct sv_form_part {
	char name[SV_FORM_NAME];
	char file_name[SV_FORM_NAME];
	int is_file;                      /* file_name was given, if only as "" */
	char encoding[64];                /* Content-Transfer-Encoding, "": none */
} sv_form_part;

/* What a part brings, in its order: begin, any number of data, end. Anything but SN_OK ends the form and is returned; why is then
 * theirs to tell, err stays as it was. */
typedef struct sv_form_sink {
	int (*begin)(void *payload, const sv_form_part *part);
	int (*data)(void *payload, const void *data, size_t size);
	int (*end)(void *payload);
} sv_form_sink;

/* content_type: the request's header, which has the boundary. SN_E_FORMAT: it has none, or too long a one. */
int sv_form_open(sv_form **out, const char *content_type, const sv_form_sink *sink, void *payload, char *err);
int sv_form_take(sv_form *form, const void *data, size_t size, char *err); /* SN_E_FORMAT, SN_E_LIMIT: says what is wrong */
int sv_form_end(sv_form *form, char *err);                                 /* SN_E_FORMAT: the last boundary has not come */
void sv_form_close(sv_form **form);

#endif
