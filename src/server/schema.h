/* Values against JSON Schema, as far as the API's document uses it: type, enum, minimum, maximum, minLength, maxLength (in bytes),
 * minItems, maxItems, items, properties, required, additionalProperties, anyOf, $ref within the document, default. */
#ifndef SN_SERVER_SCHEMA_H
#define SN_SERVER_SCHEMA_H

#include "base/error.h"

#include <jansson.h>

#define SV_SCHEMA_DEPTH 16
#define SV_FIELD 64 /* bytes of a field's name in messages, its NUL counted */

/* $ref followed, as often as there are. NULL: it leads nowhere. */
const json_t *sv_schema_resolve(const json_t *document, const json_t *schema);

/* Fills defaults of absent properties into objects. field: what is to blame, "items.3.text". SN_E_ARGUMENT; SN_E_LIMIT where something
 * is too long. */
int sv_schema_check(const json_t *document, const json_t *schema, json_t *value, char field[SV_FIELD], char *err);

/* A text (of a form, path or query) as the schema's type: number, integer, boolean ("true", "1", ...), list of one. NULL: it is none, or no memory. */
json_t *sv_schema_typed(const json_t *document, const json_t *schema, const char *text);

#endif
