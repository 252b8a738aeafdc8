/* The API as its document declares it: routes and what requests may hold. The document (api/openapi.json) is compiled in. */
#ifndef SN_SERVER_API_H
#define SN_SERVER_API_H

#include "server/server.h"

extern const char sv_openapi_text[];
extern const size_t sv_openapi_size;

typedef struct sv_api sv_api;

/* Reads the document and binds a handler to every operationId; tables ends with NULL. SN_E_INTERNAL: the document is broken, an operation
 * lacks its handler, or a handler its operation. */
int sv_api_open(sv_api **out, const char *text, size_t size, const sv_operation *const *tables, char *err);
void sv_api_close(sv_api **api);

/* The route of a method and path; its path parameters go to params (texts, percent-decoded). NULL: *allowed is "" where no route has the
 * path, else the methods that it has, for the Allow header. HEAD finds GET. */
const sv_route *sv_api_route(const sv_api *api, const char *method, const char *path, json_t *params, char allowed[64]);

/* The value of a hexadecimal digit, or -1. */
int sv_hex(char c);

/* The request body's kinds: 1 when the operation takes the content type (without its parameters), 0 when not; *none: it takes no body. */
int sv_api_takes(const sv_api *api, const sv_route *route, const char *type, int *none);

/* Checks path and query parameters (texts become what their schemas say, defaults are filled in). field[SV_NAME]: the one to blame. */
int sv_api_check_parameters(const sv_api *api, const sv_route *route, json_t *params, char *field, char *err);

/* Checks a body and merges its fields into params. form: fields are texts or lists of texts, uploads are told by their fields' names in
 * `files` (an array of texts). */
int sv_api_check_body(const sv_api *api, const sv_route *route, const char *type, json_t *body, int form, const json_t *files,
                      json_t *params, char *field, char *err);

/* Whether a value is what components/schemas/NAME says: for tests of replies. */
int sv_api_check_schema(const sv_api *api, const char *name, json_t *value, char *field, char *err);

#endif
