#include "server/config.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SV_X(name, kind, text, least, most, reload, help) { #name, text, help, SV_##kind, least, most, reload, offsetof(sv_config, name) },
const sv_option sv_options[] = { SV_OPTIONS(SV_X) };
#undef SV_X
const int sv_option_count = (int)(sizeof sv_options / sizeof *sv_options);

static void *field(sv_config *c, const sv_option *o) { return (char *)c + o->offset; }
static const void *field_of(const sv_config *c, const sv_option *o) { return (const char *)c + o->offset; }

static const sv_option *find(const char *name) {
	for (int i = 0; i < sv_option_count; i++)
		if (strcmp(sv_options[i].name, name) == 0)
			return &sv_options[i];
	return NULL;
}

/* ---- values ---- */

/* A number and one of the suffixes behind it; 0: neither. */
static int scaled(const char *text, const char *const *suffixes, const double *factors, double *out) {
	char *end;
	errno = 0;
	*out = strtod(text, &end);
	if (end == text || errno || !isfinite(*out))
		return 0;
	for (int i = 0; suffixes[i]; i++)
		if (strcasecmp(end, suffixes[i]) == 0) {
			*out *= factors[i];
			return 1;
		}
	return 0;
}

static int number(const sv_option *o, const char *text, double *out) {
	static const char *const plain[] = { "", NULL }, *const bytes[] = { "", "K", "M", "G", "T", NULL };
	static const char *const times[] = { "", "ms", "s", "m", "h", "d", NULL };
	static const double one[] = { 1 }, steps[] = { 1, 1024, 1048576, 1073741824, 1099511627776 }, seconds[] = { 1, 1e-3, 1, 60, 3600, 86400 };
	const int is_bytes = o->kind == SV_BYTES, is_time = o->kind == SV_TIME;
	return scaled(text, is_bytes ? bytes : is_time ? times : plain, is_bytes ? steps : is_time ? seconds : one, out);
}

static int set_number(sv_config *c, const sv_option *o, const char *text, const char *where, char *err) {
	static const char *const forms[] = { [SV_INT] = "a whole number", [SV_REAL] = "a number", [SV_BYTES] = "bytes like 500, 64K or 2G",
		                                 [SV_TIME] = "a time like 30, 500ms, 5m, 2h or 7d" };
	double value;
	if (!number(o, text, &value) || (o->kind == SV_INT && value != floor(value)))
		return sn_fail(err, SN_E_ARGUMENT, "%s: %s is \"%.100s\"; %s would be right", where, o->name, text, forms[o->kind]);
	if (value < o->least || value > o->most)
		return sn_fail(err, SN_E_ARGUMENT, "%s: %s is %s; it must lie between %.15g and %.15g", where, o->name, text, o->least, o->most);
	if (o->kind == SV_INT || o->kind == SV_BYTES)
		*(int64_t *)field(c, o) = (int64_t)value;
	else
		*(double *)field(c, o) = value;
	return SN_OK;
}

static int set_flag(sv_config *c, const sv_option *o, const char *text, const char *where, char *err) {
	static const char *const words[] = { "off", "on", "no", "yes", "false", "true", "0", "1" };
	for (int i = 0; i < 8; i++)
		if (strcasecmp(text, words[i]) == 0) {
			*(int64_t *)field(c, o) = i % 2;
			return SN_OK;
		}
	return sn_fail(err, SN_E_ARGUMENT, "%s: %s is \"%.100s\"; on or off would be right", where, o->name, text);
}

/* The option whose name shares most with a wrong one, for the message. */
static const char *nearest(const char *name) {
	const char *best = sv_options[0].name;
	size_t most = 0;
	for (int i = 0; i < sv_option_count; i++) {
		size_t same = 0;
		while (name[same] && name[same] == sv_options[i].name[same])
			same++;
		if (same > most) {
			most = same;
			best = sv_options[i].name;
		}
	}
	return best;
}

int sv_config_set(sv_config *c, const char *name, const char *text, const char *where, char *err) {
	const sv_option *const o = find(name);
	if (!o)
		return sn_fail(err, SN_E_ARGUMENT, "%s: there is no option \"%.60s\"; the nearest is %s", where, name, nearest(name));
	if (o->kind == SV_FLAG)
		return set_flag(c, o, text, where, err);
	if (o->kind != SV_TEXT)
		return set_number(c, o, text, where, err);
	if (strlen(text) >= SV_CONFIG_TEXT)
		return sn_fail(err, SN_E_LIMIT, "%s: %s has %zu bytes; at most %d are taken", where, o->name, strlen(text), SV_CONFIG_TEXT - 1);
	strcpy(field(c, o), text);
	return SN_OK;
}

void sv_config_defaults(sv_config *c) {
	memset(c, 0, sizeof *c);
	for (int i = 0; i < sv_option_count; i++)
		sv_config_set(c, sv_options[i].name, sv_options[i].fallback, "default", NULL);
}

/* ---- sources ---- */

static char *trimmed(char *text) {
	text += strspn(text, " \t\r\n");
	size_t size = strlen(text);
	while (size && isspace((unsigned char)text[size - 1]))
		text[--size] = 0;
	return text;
}

/* `name = value`, quoted where spaces count; empty lines and those that begin with # say nothing. */
static int read_line(sv_config *c, char *line, char *seen, const char *where, char *err) {
	char *name = trimmed(line), *value = strchr(name, '=');
	if (!*name || *name == '#')
		return SN_OK;
	if (!value)
		return sn_fail(err, SN_E_ARGUMENT, "%s: \"%.60s\" is no \"name = value\"", where, name);
	*value++ = 0;
	name = trimmed(name);
	value = trimmed(value);
	const size_t size = strlen(value);
	if (size >= 2 && *value == '"' && value[size - 1] == '"') {
		value[size - 1] = 0;
		value++;
	}
	const sv_option *const o = find(name);
	if (o && seen[o - sv_options]++)
		return sn_fail(err, SN_E_ARGUMENT, "%s: %s was set above already", where, name);
	return sv_config_set(c, name, value, where, err);
}

int sv_config_file(sv_config *c, const char *path, void (*report)(void *payload, const char *message), void *payload, char *err) {
	FILE *const file = fopen(path, "r");
	if (!file)
		return sn_fail_errno(err, "the configuration \"%.200s\" cannot be read", path);
	char *line = NULL, where[SN_ERRLEN], message[SN_ERRLEN], seen[sizeof sv_options / sizeof *sv_options] = { 0 };
	size_t room = 0, total = 0;
	ssize_t size;
	int result = SN_OK;
	for (int number = 1; (size = getline(&line, &room, file)) >= 0; number++) {
		snprintf(where, sizeof where, "%.200s:%d", path, number);
		total += (size_t)size;
		int code = total > SV_CONFIG_MAX_FILE ? sn_fail(message, SN_E_LIMIT, "%s: the file has more than %zu bytes", where, SV_CONFIG_MAX_FILE)
			: strlen(line) != (size_t)size ? sn_fail(message, SN_E_FORMAT, "%s: there is a NUL in the line", where)
			                               : read_line(c, line, seen, where, message);
		if (code == SN_OK)
			continue;
		if (report)
			report(payload, message);
		if (result == SN_OK)
			result = sn_fail(err, code, "%s", message);
		if (code == SN_E_LIMIT)
			break;
	}
	free(line);
	fclose(file);
	return result;
}

int sv_config_environment(sv_config *c, char *err) {
	for (int i = 0; i < sv_option_count; i++) {
		char name[80] = "SONANT_";
		for (size_t k = 0; sv_options[i].name[k]; k++)
			name[7 + k] = (char)toupper((unsigned char)sv_options[i].name[k]);
		const char *const text = getenv(name);
		int result = text ? sv_config_set(c, sv_options[i].name, text, name, err) : SN_OK;
		if (result != SN_OK)
			return result;
	}
	return SN_OK;
}

/* ---- the whole ---- */

static int one_of(const char *name, const char *text, const char *const *words, char *err) {
	char list[128] = "";
	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], text) == 0)
			return SN_OK;
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", words[i]);
	}
	return sn_fail(err, SN_E_ARGUMENT, "%s is \"%.60s\"; it must be one of %s", name, text, list);
}

int sv_config_check(const sv_config *c, char *err) {
	static const char *const dtypes[] = { "auto", "f32", "bf16", "int8", NULL }, *const keys[] = { "auto", "on", "off", NULL };
	static const char *const levels[] = { "error", "warn", "info", "debug", NULL };
	if (!*c->tls_certificate != !*c->tls_key)
		return sn_fail(err, SN_E_ARGUMENT, "TLS needs both tls_certificate and tls_key; %s is missing",
		               *c->tls_key ? "tls_certificate" : "tls_key");
	if (c->max_json > c->max_body)
		return sn_fail(err, SN_E_ARGUMENT, "max_json, %lld bytes, is more than max_body, %lld", (long long)c->max_json, (long long)c->max_body);
	if (c->max_sockets > c->max_connections)
		return sn_fail(err, SN_E_ARGUMENT, "max_sockets, %lld, is more than max_connections, %lld", (long long)c->max_sockets,
		               (long long)c->max_connections);
	if (strncmp(c->package_index, "https://", 8) != 0)
		return sn_fail(err, SN_E_ARGUMENT, "package_index is \"%.100s\"; it must begin with https://", c->package_index);
	int result = one_of("dtype", c->dtype, dtypes, err);
	if (result == SN_OK)
		result = one_of("require_key", c->require_key, keys, err);
	return result == SN_OK ? one_of("log_level", c->log_level, levels, err) : result;
}

static size_t size_of(const sv_option *o) { return o->kind == SV_TEXT ? SV_CONFIG_TEXT : 8; }

static int differs(const sv_config *a, const sv_config *b, const sv_option *o) {
	return o->kind == SV_TEXT ? strcmp(field_of(a, o), field_of(b, o)) != 0 : memcmp(field_of(a, o), field_of(b, o), size_of(o)) != 0;
}

void sv_config_reload(sv_config *c, const sv_config *fresh, char *ignored, size_t room) {
	size_t used = 0;
	*ignored = 0;
	for (int i = 0; i < sv_option_count; i++) {
		const sv_option *const o = &sv_options[i];
		if (o->reload)
			memcpy(field(c, o), field_of(fresh, o), size_of(o));
		else if (differs(c, fresh, o) && used + strlen(o->name) + 3 < room)
			used += (size_t)snprintf(ignored + used, room - used, "%s%s", used ? ", " : "", o->name);
	}
}

json_t *sv_config_json(const sv_config *c) {
	json_t *out = json_object();
	for (int i = 0; i < sv_option_count; i++) {
		const sv_option *const o = &sv_options[i];
		const void *const at = field_of(c, o);
		json_t *value = o->kind == SV_TEXT ? json_string(at) : o->kind == SV_FLAG ? json_boolean(*(const int64_t *)at)
			: o->kind == SV_INT || o->kind == SV_BYTES ? json_integer(*(const int64_t *)at) : json_real(*(const double *)at);
		json_object_set_new(out, o->name, value);
	}
	return out;
}
