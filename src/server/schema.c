#include "server/schema.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const json_t *sv_schema_resolve(const json_t *document, const json_t *schema) {
	for (int i = 0; schema && i < SV_SCHEMA_DEPTH; i++) {
		const char *ref = json_string_value(json_object_get(schema, "$ref"));
		if (!ref)
			return schema;
		schema = strncmp(ref, "#/", 2) == 0 ? document : NULL;
		for (const char *at = ref + 2; schema && *at;) {
			const size_t size = strcspn(at, "/");
			schema = json_object_getn(schema, at, size);
			at += size + (at[size] == '/');
		}
	}
	return NULL;
}

/* ---- one value ---- */

static const char *kind_of(const json_t *value) {
	switch (json_typeof(value)) {
	case JSON_OBJECT: return "object";
	case JSON_ARRAY: return "array";
	case JSON_STRING: return "string";
	case JSON_INTEGER: return "integer";
	case JSON_REAL: return "number";
	case JSON_NULL: return "null";
	default: return "boolean";
	}
}

static int is_type(const json_t *value, const char *type) {
	const char *const kind = kind_of(value);
	if (strcmp(kind, type) == 0 || (strcmp(type, "number") == 0 && json_is_integer(value)))
		return 1;
	return strcmp(type, "integer") == 0 && json_is_real(value) && json_real_value(value) == floor(json_real_value(value)) &&
	       fabs(json_real_value(value)) < 9e15;
}

static int check_type(const json_t *schema, const json_t *value, const char *field, char *err) {
	const json_t *const type = json_object_get(schema, "type");
	size_t i;
	json_t *one;
	if (!type || (json_is_string(type) && is_type(value, json_string_value(type))))
		return SN_OK;
	json_array_foreach((json_t *)type, i, one)
		if (is_type(value, json_string_value(one)))
			return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "\"%s\" is of type %s; %s would be right", field, kind_of(value),
	               json_is_string(type) ? json_string_value(type) : "another type");
}

static int check_enum(const json_t *schema, const json_t *value, const char *field, char *err) {
	const json_t *const words = json_object_get(schema, "enum");
	char list[256] = "";
	size_t i;
	json_t *one;
	if (!words)
		return SN_OK;
	json_array_foreach((json_t *)words, i, one) {
		if (json_equal(one, value))
			return SN_OK;
		const size_t used = strlen(list);
		snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", json_string_value(one));
	}
	return sn_fail(err, SN_E_ARGUMENT, "\"%s\" is \"%.60s\"; it must be one of %s", field, json_is_string(value) ? json_string_value(value) : "?",
	               list);
}

static int check_range(const json_t *schema, const json_t *value, const char *field, char *err) {
	const json_t *const least = json_object_get(schema, "minimum"), *const most = json_object_get(schema, "maximum");
	const double x = json_number_value(value);
	if (!json_is_number(value) || ((!least || x >= json_number_value(least)) && (!most || x <= json_number_value(most))))
		return SN_OK;
	if (!most)
		return sn_fail(err, SN_E_ARGUMENT, "\"%s\" is %g; it must be at least %g", field, x, json_number_value(least));
	return sn_fail(err, SN_E_ARGUMENT, "\"%s\" is %g; it must lie between %g and %g", field, x, json_number_value(least),
	               json_number_value(most));
}

/* Bytes of a text, elements of a list. */
static int check_size(const json_t *schema, const json_t *value, const char *field, char *err) {
	const int text = json_is_string(value);
	const json_t *const least = json_object_get(schema, text ? "minLength" : "minItems");
	const json_t *const most = json_object_get(schema, text ? "maxLength" : "maxItems");
	const size_t size = text ? json_string_length(value) : json_array_size(value);
	const char *const unit = text ? "bytes" : "elements";
	if (!text && !json_is_array(value))
		return SN_OK;
	if (least && size < (size_t)json_integer_value(least))
		return sn_fail(err, SN_E_ARGUMENT, "\"%s\" has %zu %s; at least %lld are needed", field, size, unit, (long long)json_integer_value(least));
	if (most && size > (size_t)json_integer_value(most))
		return sn_fail(err, SN_E_LIMIT, "\"%s\" has %zu %s; at most %lld are taken", field, size, unit, (long long)json_integer_value(most));
	return SN_OK;
}

/* ---- the parts of a value ---- */

typedef struct walk {
	const json_t *document;
	char *field, *err;
	int depth;
} walk;

static int check(walk *w, const json_t *schema, json_t *value);

/* Checks a part whose name is appended to the field while it is looked at; the name stays where it failed. */
static int check_part(walk *w, const json_t *schema, json_t *value, const char *name) {
	const size_t used = strlen(w->field);
	snprintf(w->field + used, SV_FIELD - used, "%s%.40s", used ? "." : "", name);
	const int result = check(w, schema, value);
	if (result == SN_OK)
		w->field[used] = 0;
	return result;
}

static int check_required(walk *w, const json_t *schema, const json_t *value) {
	const json_t *const required = json_object_get(schema, "required");
	size_t i;
	json_t *name;
	json_array_foreach((json_t *)required, i, name) {
		if (json_object_get(value, json_string_value(name)))
			continue;
		const size_t used = strlen(w->field);
		snprintf(w->field + used, SV_FIELD - used, "%s%.40s", used ? "." : "", json_string_value(name));
		return sn_fail(w->err, SN_E_ARGUMENT, "\"%s\" is missing", w->field);
	}
	return SN_OK;
}

/* Characters that two names have in common at their beginning and at their end. */
static size_t common(const char *a, const char *b) {
	const size_t na = strlen(a), nb = strlen(b), least = na < nb ? na : nb;
	size_t head = 0, tail = 0;
	while (head < least && a[head] == b[head])
		head++;
	while (head + tail < least && a[na - 1 - tail] == b[nb - 1 - tail])
		tail++;
	return head + tail;
}

/* The property that an unknown name may stand for: others' name for it, or one with which it has more than half in common. NULL: none. */
static const char *nearest(const json_t *properties, const char *unknown) {
	static const char *const others[][2] = { { "input", "text" }, { "speaker", "voice" }, { "audio", "file" }, { "word_timestamps", "return_timestamps" } };
	const char *name, *best = NULL;
	const json_t *part;
	size_t most = strlen(unknown) / 2 < 2 ? 2 : strlen(unknown) / 2;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (strcmp(unknown, others[i][0]) == 0 && json_object_get(properties, others[i][1]))
			return others[i][1];
	json_object_foreach((json_t *)properties, name, part) {
		const size_t same = common(unknown, name);
		if (same > most) {
			most = same;
			best = name;
		}
	}
	return best;
}

static int check_unknown(walk *w, const json_t *properties, const json_t *value) {
	const char *name;
	const json_t *part;
	json_object_foreach((json_t *)value, name, part) {
		if (json_object_get(properties, name))
			continue;
		const char *const near = nearest(properties, name);
		snprintf(w->field, SV_FIELD, "%.60s", name);
		return sn_fail(w->err, SN_E_ARGUMENT, "there is no field \"%.60s\" here%s%.60s%s", name, near ? "; \"" : "", near ? near : "", near ? "\" may be meant" : "");
	}
	return SN_OK;
}

static int check_object(walk *w, const json_t *schema, json_t *value) {
	const json_t *const properties = json_object_get(schema, "properties");
	const char *name;
	json_t *part;
	int result = json_is_false(json_object_get(schema, "additionalProperties")) ? check_unknown(w, properties, value) : SN_OK;
	if (result == SN_OK)
		result = check_required(w, schema, value);
	json_object_foreach(value, name, part) {
		const json_t *const inner = json_object_get(properties, name);
		if (result == SN_OK && inner)
			result = check_part(w, inner, part, name);
	}
	json_object_foreach((json_t *)properties, name, part) {
		json_t *const fallback = json_object_get(sv_schema_resolve(w->document, part), "default");
		if (result == SN_OK && fallback && !json_object_get(value, name) && json_object_set(value, name, fallback) != 0)
			result = sn_fail(w->err, SN_E_MEMORY, "no memory for the request");
	}
	return result;
}

static int check_array(walk *w, const json_t *schema, json_t *value) {
	const json_t *const items = json_object_get(schema, "items");
	size_t i;
	json_t *part;
	int result = SN_OK;
	json_array_foreach(value, i, part) {
		char name[24];
		snprintf(name, sizeof name, "%zu", i);
		if (items && result == SN_OK)
			result = check_part(w, items, part, name);
	}
	return result;
}

/* The first of the alternatives that fits; the message is the last one's. */
static int check_any(walk *w, const json_t *alternatives, json_t *value) {
	const size_t used = strlen(w->field);
	size_t i;
	json_t *one;
	int result = SN_OK;
	json_array_foreach((json_t *)alternatives, i, one) {
		w->field[used] = 0;
		if ((result = check(w, one, value)) == SN_OK)
			return SN_OK;
	}
	return result;
}

static int check(walk *w, const json_t *schema, json_t *value) {
	schema = sv_schema_resolve(w->document, schema);
	if (!schema || w->depth == SV_SCHEMA_DEPTH)
		return sn_fail(w->err, SN_E_ARGUMENT, "\"%s\" lies deeper than %d levels", w->field, SV_SCHEMA_DEPTH);
	w->depth++;
	int result = check_type(schema, value, w->field, w->err);
	if (result == SN_OK)
		result = check_enum(schema, value, w->field, w->err);
	if (result == SN_OK)
		result = check_range(schema, value, w->field, w->err);
	if (result == SN_OK)
		result = check_size(schema, value, w->field, w->err);
	if (result == SN_OK && json_is_object(value))
		result = check_object(w, schema, value);
	if (result == SN_OK && json_is_array(value))
		result = check_array(w, schema, value);
	const json_t *const alternatives = json_object_get(schema, "anyOf");
	if (result == SN_OK && alternatives)
		result = check_any(w, alternatives, value);
	w->depth--;
	return result;
}

int sv_schema_check(const json_t *document, const json_t *schema, json_t *value, char field[SV_FIELD], char *err) {
	walk w = { document, field, err, 0 };
	*field = 0;
	return check(&w, schema, value);
}

/* ---- texts ---- */

static json_t *boolean(const char *text) {
	static const char *const words[] = { "false", "true", "0", "1", "off", "on", "no", "yes" };
	for (int i = 0; i < 8; i++)
		if (strcasecmp(text, words[i]) == 0)
			return json_boolean(i % 2);
	return NULL;
}

json_t *sv_schema_typed(const json_t *document, const json_t *schema, const char *text) {
	schema = sv_schema_resolve(document, schema);
	const char *const type = json_string_value(json_object_get(schema, "type"));
	char *end = NULL;
	if (!type || strcmp(type, "string") == 0)
		return json_string(text);
	if (strcmp(type, "boolean") == 0)
		return boolean(text);
	if (strcmp(type, "array") == 0) {
		json_t *const one = sv_schema_typed(document, json_object_get(schema, "items"), text);
		return one ? json_pack("[o]", one) : NULL;
	}
	errno = 0;
	if (strcmp(type, "integer") == 0) {
		const long long value = strtoll(text, &end, 10);
		return !errno && end != text && !*end ? json_integer(value) : NULL;
	}
	const double value = strtod(text, &end);
	return !errno && end != text && !*end && isfinite(value) ? json_real(value) : NULL;
}
