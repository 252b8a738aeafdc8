#include "server/api.h"

#include "base/error.h"
#include "server/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROUTES 256

struct sv_api {
	json_t *document;
	sv_route *routes;
	int count;
};

/* ---- opening ---- */

static const sv_operation *find_operation(const sv_operation *const *tables, const char *id) {
	for (int i = 0; tables[i]; i++)
		for (const sv_operation *o = tables[i]; o->id; o++)
			if (strcmp(o->id, id) == 0)
				return o;
	return NULL;
}

static int add_route(sv_api *api, const char *path, const char *method, json_t *operation, const sv_operation *const *tables, char *err) {
	const char *const id = json_string_value(json_object_get(operation, "operationId"));
	const char *const scope = json_string_value(json_object_get(operation, "x-scope"));
	const sv_operation *const o = id ? find_operation(tables, id) : NULL;
	if (!o)
		return sn_fail(err, SN_E_INTERNAL, "%s %s is declared as operation \"%s\", which has no handler", method, path, id ? id : "");
	if (api->count == MAX_ROUTES)
		return sn_fail(err, SN_E_INTERNAL, "more than %d routes are declared", MAX_ROUTES);
	sv_route *const r = &api->routes[api->count++];
	for (size_t i = 0; method[i] && i + 1 < sizeof r->method; i++)
		r->method[i] = (char)(method[i] & ~0x20);
	snprintf(r->path, sizeof r->path, "%s", path);
	snprintf(r->operation, sizeof r->operation, "%s", id);
	r->scope = scope && strcmp(scope, "manage") == 0 ? SV_SCOPE_MANAGE : scope && strcmp(scope, "none") == 0 ? SV_SCOPE_NONE : SV_SCOPE_USE;
	r->openai = strncmp(path, "/v1/", 4) == 0;
	r->handler = o->handler;
	r->runs_inline = o->runs_inline;
	r->peek = o->peek;
	r->operation_json = operation;
	return SN_OK;
}

static int check_handlers(const sv_api *api, const sv_operation *const *tables, char *err) {
	for (int i = 0; tables[i]; i++)
		for (const sv_operation *o = tables[i]; o->id; o++) {
			int at = 0;
			while (at < api->count && strcmp(api->routes[at].operation, o->id) != 0)
				at++;
			if (at == api->count)
				return sn_fail(err, SN_E_INTERNAL, "the handler of \"%s\" belongs to no declared operation", o->id);
		}
	return SN_OK;
}

int sv_api_open(sv_api **out, const char *text, size_t size, const sv_operation *const *tables, char *err) {
	json_error_t error;
	const char *path, *method;
	json_t *methods, *operation;
	*out = NULL;
	sv_api *api = calloc(1, sizeof *api);
	if (api)
		api->routes = calloc(MAX_ROUTES, sizeof *api->routes);
	if (!api || !api->routes) {
		free(api);
		return sn_fail(err, SN_E_MEMORY, "no memory for the routes");
	}
	api->document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	int result = api->document ? SN_OK : sn_fail(err, SN_E_INTERNAL, "the API's document: line %d: %s", error.line, error.text);
	json_object_foreach(json_object_get(api->document, "paths"), path, methods)
		json_object_foreach(methods, method, operation)
			if (result == SN_OK)
				result = add_route(api, path, method, operation, tables, err);
	if (result == SN_OK)
		result = check_handlers(api, tables, err);
	if (result != SN_OK)
		sv_api_close(&api);
	*out = api;
	return result;
}

void sv_api_close(sv_api **held) {
	sv_api *const api = *held;
	*held = NULL;
	if (!api)
		return;
	json_decref(api->document);
	free(api->routes);
	free(api);
}

/* ---- finding ---- */

int sv_hex(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1; }

/* A path segment as text; NULL: no UTF-8, a NUL inside, or no memory. */
static json_t *decoded(const char *text, size_t size) {
	char *const copy = malloc(size + 1);
	size_t n = 0;
	for (size_t i = 0; copy && i < size; i++) {
		const int high = text[i] == '%' && i + 2 < size ? sv_hex(text[i + 1]) : -1, low = high >= 0 ? sv_hex(text[i + 2]) : -1;
		copy[n++] = low >= 0 ? (char)(high * 16 + low) : text[i];
		i += low >= 0 ? 2 : 0;
	}
	json_t *const value = copy && !memchr(copy, 0, n) ? json_stringn(copy, n) : NULL;
	free(copy);
	return value;
}

/* Matches segment by segment. rest: a last parameter takes all that is left ("org/name" of models). */
static int matches(const char *pattern, const char *path, int rest, json_t *params) {
	while (*pattern) {
		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return 0;
			continue;
		}
		const size_t name = strcspn(++pattern, "}");
		const char *const after = pattern + name + 1;
		const size_t size = *after || !rest ? strcspn(path, "/") : strlen(path);
		json_t *const value = size ? decoded(path, size) : NULL;
		if (!value)
			return 0;
		if (params)
			json_object_setn_new(params, pattern, name, value);
		else
			json_decref(value);
		path += size;
		pattern = after;
	}
	return !*path;
}

const sv_route *sv_api_route(const sv_api *api, const char *method, const char *path, json_t *params, char allowed[64]) {
	const char *const wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
	*allowed = 0;
	for (int rest = 0; rest < 2 && !*allowed; rest++)
		for (int i = 0; i < api->count; i++) {
			const sv_route *const r = &api->routes[i];
			if (!matches(r->path, path, rest, NULL))
				continue;
			if (strcmp(r->method, wanted) == 0) {
				matches(r->path, path, rest, params);
				return r;
			}
			const size_t used = strlen(allowed);
			snprintf(allowed + used, 64 - used, "%s%s", used ? ", " : "", r->method);
		}
	return NULL;
}

/* ---- checking ---- */

static const json_t *body_schema(const sv_route *route, const char *type) {
	const json_t *const content = json_object_get(json_object_get(route->operation_json, "requestBody"), "content");
	return json_object_get(json_object_get(content, type), "schema");
}

int sv_api_takes(const sv_api *api, const sv_route *route, const char *type, int *none) {
	(void)api;
	*none = !json_object_get(route->operation_json, "requestBody");
	return body_schema(route, type) != NULL;
}

/* Replaces a text by what the schema makes of it. */
static int convert(const sv_api *api, const json_t *schema, json_t *object, const char *name, char *field, char *err) {
	json_t *const text = json_object_get(object, name);
	if (!json_is_string(text))
		return SN_OK;
	json_t *const typed = sv_schema_typed(api->document, schema, json_string_value(text));
	if (typed)
		return json_object_set_new(object, name, typed) == 0 ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the request");
	snprintf(field, SV_FIELD, "%.60s", name);
	const char *const type = json_string_value(json_object_get(sv_schema_resolve(api->document, schema), "type"));
	return sn_fail(err, SN_E_ARGUMENT, "\"%.60s\" is \"%.60s\"; a value of type %s would be right", name, json_string_value(text), type ? type : "?");
}

/* Fields of a form are texts; one that came several times is a list of them. */
static int convert_fields(const sv_api *api, const json_t *properties, json_t *body, char *field, char *err) {
	const char *name;
	const json_t *schema;
	int result = SN_OK;
	json_object_foreach((json_t *)properties, name, schema)
		if (result == SN_OK && json_object_get(body, name))
			result = convert(api, schema, body, name, field, err);
	return result;
}

int sv_api_check_parameters(const sv_api *api, const sv_route *route, json_t *params, char *field, char *err) {
	json_t *const properties = json_object(), *const required = json_array();
	json_t *const schema = json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required", required,
	                                 "additionalProperties", 0);
	size_t i;
	json_t *one;
	json_array_foreach(json_object_get(route->operation_json, "parameters"), i, one) {
		const json_t *const p = sv_schema_resolve(api->document, one);
		const char *const name = json_string_value(json_object_get(p, "name"));
		json_object_set(properties, name, json_object_get(p, "schema"));
		if (json_is_true(json_object_get(p, "required")))
			json_array_append_new(required, json_string(name));
	}
	int result = schema ? convert_fields(api, properties, params, field, err) : sn_fail(err, SN_E_MEMORY, "no memory for the request");
	if (result == SN_OK)
		result = sv_schema_check(api->document, schema, params, field, err);
	json_decref(schema);
	return result;
}

int sv_api_check_body(const sv_api *api, const sv_route *route, const char *type, json_t *body, int form, const json_t *files,
                      json_t *params, char *field, char *err) {
	const json_t *const schema = sv_schema_resolve(api->document, body_schema(route, type));
	const json_t *const properties = json_object_get(schema, "properties");
	size_t i;
	json_t *name;
	*field = 0;
	int result = form ? convert_fields(api, properties, body, field, err) : SN_OK;
	/* an upload stands in its field as a text, or as a list of one where several are allowed */
	json_array_foreach((json_t *)files, i, name)
		if (result == SN_OK) {
			json_t *const stand_in = sv_schema_typed(api->document, json_object_get(properties, json_string_value(name)), "");
			json_object_set_new(body, json_string_value(name), stand_in ? stand_in : json_string(""));
		}
	if (result == SN_OK)
		result = sv_schema_check(api->document, schema, body, field, err);
	json_array_foreach((json_t *)files, i, name)
		json_object_del(body, json_string_value(name));
	if (result == SN_OK && json_object_update(params, body) != 0)
		result = sn_fail(err, SN_E_MEMORY, "no memory for the request");
	return result;
}

int sv_api_check_schema(const sv_api *api, const char *name, json_t *value, char *field, char *err) {
	const json_t *const schemas = json_object_get(json_object_get(api->document, "components"), "schemas");
	const json_t *const schema = json_object_get(schemas, name);
	return schema ? sv_schema_check(api->document, schema, value, field, err) : sn_fail(err, SN_E_INTERNAL, "there is no schema \"%s\"", name);
}
